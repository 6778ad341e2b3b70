//! System calls that fail on the real binary, by `strace`: no room, errors of the disk, interruptions, slowness.
//!
//! Preload tools do not bite on a static binary; strace does. Each test looks into the trace for the faults it wanted.
//! What is injected is what the call would truly have done: no answer claims bytes that were not written. (Short writes
//! are made by a file-size limit and a nearly full disk in `bounds` and `disk`.)

use super::real::Real;
use crate::harness::{peer, Events};
use std::time::Duration;

/// A stream with these injections (calls that do the same, and what becomes of them); each must bite on the spool.
fn with(name: &str, class: &'static str, events: usize, injections: &[&str]) {
    let Some(strace) = peer("strace") else { return };
    let real = Real::new(name);
    let mut setup = real.setup().args(&["--spool-max", "256K", "--retain", "0s"]);
    let calls: Vec<&str> = injections.iter().filter_map(|i| i.split(':').next()).collect();
    let inject: String = injections.iter().map(|i| format!("-e inject={i} ")).collect();
    let (strace, trace) = (strace.display(), real.den.file("trace"));
    setup.before = format!("{strace} -f -qq --seccomp-bpf -y -o {trace} -e trace={} {inject}", calls.join(","));
    let mut picodata = setup.picodata();
    picodata.events(&mut Events::new(1, 1), events, 800);
    assert!(picodata.longest < Duration::from_secs(3), "the database waited {:?}", picodata.longest);
    real.whole(&mut picodata);
    let trace = std::fs::read_to_string(real.den.file("trace")).unwrap_or_default();
    let bit: Vec<&str> = trace.lines().filter(|l| l.contains("(INJECTED)") || l.contains("(DELAYED)")).collect();
    for injection in injections {
        let calls = injection.split(':').next().unwrap_or(injection);
        let calls: Vec<String> = calls.split(',').map(|c| format!(" {}(", c.trim_start_matches('?'))).collect();
        let hit = |line: &&&str| line.contains("/spool/") && calls.iter().any(|c| line.contains(c.as_str()));
        assert!(bit.iter().find(hit).is_some(), "{injection} was not felt by the spool");
    }
    real.say(class, bit.len() as u64, picodata.ledger.len());
}

#[test]
fn writes_that_find_no_room() {
    // A write that failed is cut off again; that may fail too. (The first two calls of the first thread are of files in
    // memory; the writer comes to its third one in some seconds, for a full disk is tried again each second.)
    let injections = ["pwrite64:error=ENOSPC:when=20+60", "ftruncate:error=EIO:when=3+1"];
    with("lab-enospc", "calls: ENOSPC on write", 8000, &injections);
}

#[test]
fn writes_and_syncs_with_errors_of_the_disk() {
    let injections = ["pwrite64:error=EIO:when=20+60", "fdatasync,fsync:error=EIO:when=5+9"];
    with("lab-eio", "calls: EIO on write and sync", 2400, &injections);
}

#[test]
fn syncs_that_fail() {
    with("lab-sync", "calls: EIO on sync", 2400, &["fdatasync,fsync:error=EIO:when=2+3"]);
}

#[test]
fn calls_that_are_interrupted() {
    let calls = ["pwrite64", "pread64", "?open,openat", "fdatasync,fsync"];
    let injections = calls.map(|c| format!("{c}:error=EINTR:when=3+7"));
    with("lab-eintr", "calls: EINTR everywhere", 2400, &injections.each_ref().map(String::as_str));
}

/// A spool is opened in seconds when each sync takes two; what the database writes meanwhile is read all the same.
#[test]
fn a_disk_that_is_slow_at_the_start() {
    let Some(strace) = peer("strace") else { return };
    let real = Real::new("lab-slow-start");
    let mut setup = real.setup();
    let (strace, trace) = (strace.display(), real.den.file("trace"));
    let inject = "-e trace=fdatasync,fsync -e inject=fdatasync,fsync:delay_exit=2000000";
    setup.before = format!("{strace} -f -qq --seccomp-bpf -o {trace} {inject} ");
    let mut picodata = setup.picodata();
    // More than the pipe holds, less than it and the cushion do.
    picodata.events(&mut Events::new(1, 1), 4500, 20_000);
    assert!(picodata.longest < Duration::from_millis(1500), "the database waited {:?}", picodata.longest);
    real.whole(&mut picodata);
    real.say("calls: a slow disk at the start", 1, picodata.ledger.len());
}

#[test]
fn syncs_that_take_a_third_of_a_second() {
    with("lab-slow", "calls: each sync takes 0.3 s", 2400, &["fdatasync,fsync:delay_exit=300000"]);
}

#[test]
fn names_that_cannot_be_changed() {
    // Names change when a segment comes back from memory: so writes fail too.
    let injections = [
        "pwrite64:error=EIO:when=20+60",
        "unlink:error=EIO:when=2+3",
        "rename:error=EIO:when=1+3",
        "?open,openat:error=EIO:when=50+40",
    ];
    with("lab-names", "calls: EIO on open, unlink, rename", 2400, &injections);
}

#[test]
fn reads_of_the_spool_that_fail() {
    with("lab-reads", "calls: EIO on read", 2400, &["pread64:error=EIO:when=10+9"]);
}
