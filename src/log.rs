//! One line a matter to stderr: levelled, rate-limited, with journald's `<N>` prefix when stderr is the journal and the time
//! when it is not.
//!
//! A matter is a short fixed name («spool», «receiver r1»). `gate` says which of its lines are printed: a cause once, a new
//! cause at once, then a count every few minutes. `calm` ends a matter: the next trouble of that name is news again. A stderr
//! that nobody reads costs lines and stops nothing. Refuses: secrets (the caller's duty), newlines (written as `\n`), stdout,
//! to wait.

mod gate;

use crate::sorted::Map;
use crate::sys::clock::wall_ms;
use crate::sys::pipe;
use crate::{limits, stamp};
use gate::{Before, Gate};
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU8, Ordering};
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

/// Where lines go, and what stands before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// To the journal, which knows the time: a priority.
    Journal = 0,
    /// To a file or a terminal, by a helper at work: the time.
    Stamped = 1,
    /// To whoever has called a command: nothing.
    Plain = 2,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static SINK: AtomicU8 = AtomicU8::new(Sink::Plain as u8);
static PROGRAM: Mutex<&'static str> = Mutex::new("gostech");
/// Lines that stderr did not take.
static UNWRITTEN: Mutex<u64> = Mutex::new(0);
static MATTERS: Mutex<Map<String, Gate>> = Mutex::new(Map::new());

/// Whether stderr is the journal: `JOURNAL_STREAM` names its device and inode, and stays set where somebody between the
/// service and us has sent stderr elsewhere.
fn is_journal(env: &[(OsString, OsString)]) -> bool {
    let named = env.iter().find(|(n, _)| n == "JOURNAL_STREAM").and_then(|(_, v)| v.to_str());
    let Some((device, inode)) = named.and_then(|v| v.split_once(':')) else { return false };
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).metadata());
    stderr.is_ok_and(|m| device.parse() == Ok(m.dev()) && inode.parse() == Ok(m.ino()))
}

/// How a helper at work writes.
pub fn sink(env: &[(OsString, OsString)]) -> Sink {
    if is_journal(env) {
        Sink::Journal
    } else {
        Sink::Stamped
    }
}

/// Says who writes, from which level on, and how.
pub fn init(program: &'static str, level: Level, sink: Sink) {
    *PROGRAM.lock().unwrap_or_else(PoisonError::into_inner) = program;
    LEVEL.store(level as u8, Ordering::Relaxed);
    SINK.store(sink as u8, Ordering::Relaxed);
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
    line(Level::Error, matter, &text);
}

/// Something is wrong, nothing is lost.
pub fn warn(matter: &str, text: impl Display) {
    line(Level::Warn, matter, &text);
}

/// Beginnings, endings, recoveries.
pub fn info(matter: &str, text: impl Display) {
    line(Level::Info, matter, &text);
}

/// For the developer; not rate-limited.
pub fn debug(matter: &str, text: impl Display) {
    line(Level::Debug, matter, &text);
}

/// Ends a matter: its next line is news again, but not when it ends and begins anew all the time. True when there had
/// been something to calm.
pub fn calm(matter: &str) -> bool {
    let mut matters = MATTERS.lock().unwrap_or_else(PoisonError::into_inner);
    matters.get_mut(matter).is_some_and(|gate| gate.calm(Instant::now()))
}

fn line(level: Level, matter: &str, text: &dyn Display) {
    if !enabled(level) {
        return;
    }
    let text = text.to_string();
    let Some(before) = admit(level, matter, &text) else { return };
    let mut out = beginning(level, matter);
    push_clean(&mut out, &text);
    if before.left_out > 0 {
        let lasts = stamp::for_people(before.lasts.as_secs_f64());
        out.push_str(&format!(" ({} more like this one were left out, for {lasts} now)", before.left_out));
    }
    out.push('\n');
    put(&out);
}

/// What stands before the words of a line.
fn beginning(level: Level, matter: &str) -> String {
    let program = *PROGRAM.lock().unwrap_or_else(PoisonError::into_inner);
    let first = match SINK.load(Ordering::Relaxed) {
        0 => format!("<{}>", level as u8),
        1 => format!("{} ", stamp::rfc3339_text(wall_ms())),
        _ => String::new(),
    };
    let name = match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    format!("{first}{program}: {name}: {matter}: ")
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

/// Whether this line is printed now, and what is said behind it.
fn admit(level: Level, matter: &str, text: &str) -> Option<Before> {
    if level == Level::Debug {
        return Some(Before::default());
    }
    let now = Instant::now();
    let mut matters = MATTERS.lock().unwrap_or_else(PoisonError::into_inner);
    if !matters.contains_key(matter) && matters.len() >= limits::LOG_MATTERS {
        let oldest = matters.iter().min_by_key(|(_, m)| m.used()).map(|(k, _)| k.clone());
        oldest.map(|k| matters.remove(&k));
    }
    matters.at(matter.to_string(), || Gate::new(now)).admit(level as u8, text, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matter_is_said_once_until_it_is_calmed() {
        let name = "test of a matter";
        let printed = (0..100).filter(|_| admit(Level::Warn, name, "refused").is_some()).count();
        assert_eq!(printed, 1);
        assert!(admit(Level::Warn, name, "another cause").is_some());
        assert!(calm(name));
        assert!(!calm(name));
        assert_eq!(admit(Level::Warn, name, "refused"), Some(Before::default()));
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
