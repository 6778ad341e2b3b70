//! Processes seen through `/proc`: who is the keeper, who the worker, what they hold, how much memory and time they took.
//!
//! Signals go through the shell's own `kill`, to single processes and groups that the caller started; never by name.

use crate::harness::den::wait_for;
use std::fs;
use std::process::Command;
use std::time::Duration;

/// The text of `/proc/PID/NAME`, empty when the process is gone.
pub fn text(pid: u32, name: &str) -> String {
    String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default()).into_owned()
}

/// The fields of `/proc/PID/stat` after the name: state, ppid, pgrp, …
fn stat(pid: u32) -> Option<Vec<String>> {
    fields(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn fields(stat: &str) -> Option<Vec<String>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// User and system seconds of each living thread, by its name.
pub fn threads(pid: u32) -> Vec<(String, f64, f64)> {
    let Ok(dir) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    dir.filter_map(|entry| {
        let path = entry.ok()?.path();
        let line = fields(&fs::read_to_string(path.join("stat")).ok()?)?;
        let seconds = |i: usize| line[i].parse::<f64>().unwrap_or(0.0) / 100.0;
        Some((fs::read_to_string(path.join("comm")).ok()?.trim().to_owned(), seconds(11), seconds(12)))
    })
    .collect()
}

/// Whether the process lives; a zombie does not.
pub fn alive(pid: u32) -> bool {
    stat(pid).is_some_and(|f| f[0] != "Z" && f[0] != "X")
}

pub fn parent(pid: u32) -> Option<u32> {
    stat(pid)?[1].parse().ok()
}

/// Every living process of a process group.
pub fn group(pgrp: u32) -> Vec<u32> {
    let Ok(dir) = fs::read_dir("/proc") else { return Vec::new() };
    let mut pids: Vec<u32> = dir
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| stat(pid).is_some_and(|f| f[2] == pgrp.to_string() && f[0] != "Z" && f[0] != "X"))
        .collect();
    pids.sort_unstable();
    pids
}

/// Keeper, worker and stand-in of a group: the processes of our program, the parent first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Family {
    pub keeper: Option<u32>,
    pub worker: Option<u32>,
    pub stand_in: Option<u32>,
}

/// The family in a process group: of those that run `exe`, the one that has children, and these by what they call
/// themselves.
pub fn family(pgrp: u32, exe: &std::path::Path) -> Family {
    let exe = exe.canonicalize().unwrap_or_else(|_| exe.to_owned());
    let ours: Vec<u32> = group(pgrp).into_iter().filter(|&p| runs(p, &exe)).collect();
    let called = |p: u32, name: &str| text(p, "comm").trim_end() == name;
    // One whose keeper was killed has another parent, until it has ended or is the keeper itself.
    let keeper =
        ours.iter().copied().find(|&p| called(p, "gostech-audit-l") && !parent(p).is_some_and(|pp| ours.contains(&pp)));
    let child =
        |name: &str| keeper.and_then(|k| ours.iter().copied().find(|&p| parent(p) == Some(k) && called(p, name)));
    let (worker, stand_in) = (child("gostech-audit-w"), child("gostech-audit-s"));
    Family { keeper, worker, stand_in }
}

fn runs(pid: u32, exe: &std::path::Path) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|link| link == exe)
}

/// Sends a signal by name or number to a process, or to a group (`-PGRP`). False when nobody was there.
pub fn signal(name: &str, target: i64) -> bool {
    assert!(!(-1..=1).contains(&target), "a signal to {target} would hit strangers");
    let script = format!("kill -s {name} -- {target} 2>/dev/null");
    let sent = Command::new("/bin/sh").args(["-c", &script]).status().is_ok_and(|s| s.success());
    if let (true, "STOP", Ok(pid)) = (sent, name, u32::try_from(target)) {
        wait_stopped(pid);
    }
    sent
}

/// A stop is there when every thread stands still: on a busy machine one may answer for some milliseconds after `kill`.
fn wait_stopped(pid: u32) {
    let all = || {
        let Ok(dir) = fs::read_dir(format!("/proc/{pid}/task")) else { return true };
        let mut states = dir.filter_map(|e| fields(&fs::read_to_string(e.ok()?.path().join("stat")).ok()?));
        states.all(|f| matches!(f[0].as_str(), "T" | "t" | "Z" | "X"))
    };
    wait_for(Duration::from_secs(5), all);
}

pub fn kill9(pid: u32) -> bool {
    signal("KILL", i64::from(pid))
}

/// A line of `/proc/PID/status` in KiB: `VmHWM` is the peak of resident memory, `VmRSS` what is resident now.
pub fn status_kib(pid: u32, key: &str) -> u64 {
    let status = text(pid, "status");
    let line = status.lines().find(|l| l.strip_prefix(key).is_some_and(|r| r.starts_with(':')));
    line.and_then(|l| l.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

/// Proportional memory in KiB: pages shared by two processes count half for each.
pub fn pss_kib(pid: u32) -> u64 {
    let rollup = text(pid, "smaps_rollup");
    let line = rollup.lines().find(|l| l.starts_with("Pss:"));
    line.and_then(|l| l.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

/// CPU seconds, user and system, of the process and of the children it has waited for. Hundredths of a second fine.
pub fn cpu_seconds(pid: u32) -> f64 {
    stat(pid).map_or(0.0, |f| f[11..15].iter().filter_map(|v| v.parse::<f64>().ok()).sum::<f64>() / 100.0)
}

/// CPU seconds of the children this process has waited for, and of theirs.
pub fn cpu_seconds_of_children() -> f64 {
    let of = |f: Vec<String>| f[13..15].iter().filter_map(|v| v.parse::<f64>().ok()).sum::<f64>() / 100.0;
    stat(std::process::id()).map_or(0.0, of)
}

/// What the open descriptors point at, as `(number, target)`.
pub fn descriptors(pid: u32) -> Vec<(u32, String)> {
    let Ok(dir) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    dir.filter_map(|e| {
        let entry = e.ok()?;
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
    })
    .collect()
}
