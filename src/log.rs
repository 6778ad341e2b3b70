//! One line a matter to stderr: levelled, rate-limited, with journald's `<N>` prefix when stderr is the journal.
//!
//! A matter is a short fixed name («spool», «receiver r1»): the first lines of it are printed, then one each ten minutes
//! with the count of what was left out, so that an outage of an hour is a handful of lines. `calm` ends a matter: the
//! next trouble of that name is news again. A stderr that nobody reads costs lines and stops nothing. Refuses: secrets (the
//! caller's duty), newlines (written as `\n`), stdout, to wait.

use crate::limits;
use crate::sys::pipe;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Evidence is lost or will be.
    Error = 3,
    /// Something is wrong, nothing is lost.
    Warn = 4,
    /// Beginnings, endings, recoveries.
    Info = 6,
    /// For the developer.
    Debug = 7,
}

impl Level {
    /// The names that `--log-level` takes.
    pub const NAMES: &'static [&'static str] = &["error", "warn", "info", "debug"];

    /// The level of a name.
    pub fn parse(name: &str) -> Option<Level> {
        match name {
            "error" => Some(Level::Error),
            "warn" | "warning" => Some(Level::Warn),
            "info" => Some(Level::Info),
            "debug" => Some(Level::Debug),
            _ => None,
        }
    }
}

struct Matter {
    since: Instant,
    printed: u32,
    left_out: u64,
    /// How often it was calmed since when.
    calms: (u32, Instant),
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static JOURNALD: AtomicBool = AtomicBool::new(false);
static PROGRAM: Mutex<&'static str> = Mutex::new("gostech");
/// Lines that stderr did not take.
static UNWRITTEN: Mutex<u64> = Mutex::new(0);
static MATTERS: Mutex<BTreeMap<String, Matter>> = Mutex::new(BTreeMap::new());

/// Whether stderr is the journal: `JOURNAL_STREAM` names its device and inode, and stays set where somebody between the
/// service and us has sent stderr elsewhere.
pub fn is_journal(env: &[(OsString, OsString)]) -> bool {
    let named = env.iter().find(|(n, _)| n == "JOURNAL_STREAM").and_then(|(_, v)| v.to_str());
    let Some((device, inode)) = named.and_then(|v| v.split_once(':')) else { return false };
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).metadata());
    stderr.is_ok_and(|m| device.parse() == Ok(m.dev()) && inode.parse() == Ok(m.ino()))
}

/// Says who writes, from which level on, and whether stderr is the journal.
pub fn init(program: &'static str, level: Level, journald: bool) {
    *PROGRAM.lock().unwrap_or_else(PoisonError::into_inner) = program;
    LEVEL.store(level as u8, Ordering::Relaxed);
    JOURNALD.store(journald, Ordering::Relaxed);
}

/// From which level on lines are printed now.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Nothing is printed any more: for simulations, whose every second is a year of trouble.
pub fn mute() {
    LEVEL.store(0, Ordering::Relaxed);
}

/// Whether a line of this level would be printed.
pub fn enabled(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// Evidence is lost or will be.
pub fn error(matter: &str, text: impl Display) {
    line(Level::Error, matter, text);
}

/// Something is wrong, nothing is lost.
pub fn warn(matter: &str, text: impl Display) {
    line(Level::Warn, matter, text);
}

/// Beginnings, endings, recoveries.
pub fn info(matter: &str, text: impl Display) {
    line(Level::Info, matter, text);
}

/// For the developer; not rate-limited.
pub fn debug(matter: &str, text: impl Display) {
    line(Level::Debug, matter, text);
}

/// Ends a matter: its next line is news again, but not when it ends and begins anew all the time. True when there had
/// been something to calm.
pub fn calm(matter: &str) -> bool {
    let mut matters = MATTERS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(m) = matters.get_mut(matter).filter(|m| m.printed > 0) else { return false };
    let now = Instant::now();
    if now.duration_since(m.calms.1) >= Duration::from_secs(limits::LOG_REPEAT_SECONDS) {
        m.calms = (0, now);
    }
    if m.calms.0 < limits::LOG_CALMS {
        m.calms.0 += 1;
        (m.since, m.printed, m.left_out) = (now, 0, 0);
    }
    true
}

fn line(level: Level, matter: &str, text: impl Display) {
    if !enabled(level) {
        return;
    }
    let Some(left_out) = admit(level, matter) else { return };
    let mut out = beginning(level, matter);
    push_clean(&mut out, &text.to_string());
    if left_out > 0 {
        out.push_str(&format!(" ({left_out} more lines of this matter were left out)"));
    }
    out.push('\n');
    put(&out);
}

/// What stands before the words of a line.
fn beginning(level: Level, matter: &str) -> String {
    let program = *PROGRAM.lock().unwrap_or_else(PoisonError::into_inner);
    let priority = if JOURNALD.load(Ordering::Relaxed) { format!("<{}>", level as u8) } else { String::new() };
    let name = match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    format!("{priority}{program}: {name}: {matter}: ")
}

/// One write a line. A closed stderr is no reason to stop, and one that is full none to wait: events wait behind us.
fn put(line: &str) {
    let mut unwritten = UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let patience = if *unwritten > 0 { 0 } else { limits::LOG_PATIENCE_MILLIS };
    let mut stderr = std::io::stderr();
    if !pipe::takes(stderr.as_fd(), Duration::from_millis(patience)) {
        *unwritten += 1;
        return;
    }
    let _ = stderr.write_all(line.as_bytes());
    if *unwritten > 0 && pipe::takes(stderr.as_fd(), Duration::ZERO) {
        let text = format!("{} lines before could not be written: nobody read stderr\n", *unwritten);
        let _ = stderr.write_all((beginning(Level::Warn, "log") + &text).as_bytes());
        *unwritten = 0;
    }
}

/// What panics says so here as well, and does not wait for stderr before it dies.
pub fn tell_of_panics() {
    std::panic::set_hook(Box::new(|info| error("fault", info)));
}

/// What stands in a line is one line, of bounded length, without control characters a terminal would obey.
fn push_clean(out: &mut String, text: &str) {
    for c in text.chars() {
        if out.len() >= limits::LOG_LINE_BYTES {
            out.push('…');
            return;
        }
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push(' '),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

/// Whether this line may be printed now, and how many of its matter were left out before it.
fn admit(level: Level, matter: &str) -> Option<u64> {
    if level == Level::Debug {
        return Some(0);
    }
    let now = Instant::now();
    let mut matters = MATTERS.lock().unwrap_or_else(PoisonError::into_inner);
    if !matters.contains_key(matter) {
        if matters.len() >= limits::LOG_MATTERS {
            let oldest = matters.iter().min_by_key(|(_, m)| m.since).map(|(k, _)| k.clone());
            oldest.map(|k| matters.remove(&k));
        }
        matters.insert(matter.to_string(), Matter { since: now, printed: 0, left_out: 0, calms: (0, now) });
    }
    let m = matters.get_mut(matter)?;
    if m.printed < limits::LOG_BURST_LINES {
        m.printed += 1;
        return Some(0);
    }
    if now.duration_since(m.since) < Duration::from_secs(limits::LOG_REPEAT_SECONDS) {
        m.left_out += 1;
        return None;
    }
    m.since = now;
    Some(std::mem::take(&mut m.left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matter_is_a_handful_of_lines_until_it_is_calmed() {
        let name = "test of a matter";
        let printed = (0..100).filter(|_| admit(Level::Warn, name).is_some()).count();
        assert_eq!(printed, limits::LOG_BURST_LINES as usize);
        assert!(calm(name));
        assert!(!calm(name));
        assert_eq!(admit(Level::Warn, name), Some(0));
    }

    #[test]
    fn a_matter_that_comes_and_goes_all_the_time_is_a_handful_of_lines_too() {
        let name = "test of a matter that flaps";
        let printed = (0..10_000).filter(|_| admit(Level::Warn, name).is_some() && calm(name)).count();
        assert!(printed <= (limits::LOG_CALMS + limits::LOG_BURST_LINES) as usize, "{printed} lines");
    }

    #[test]
    fn a_line_stays_one_line() {
        let mut out = String::new();
        push_clean(&mut out, "a\nb\x1b[31m\tc");
        assert_eq!(out, "a\\nb\u{fffd}[31m c");
        let mut out = String::new();
        push_clean(&mut out, &"x".repeat(100_000));
        assert!(out.len() <= limits::LOG_LINE_BYTES + '…'.len_utf8());
    }
}
