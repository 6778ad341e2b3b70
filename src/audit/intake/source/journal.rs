//! `--type journal`: the journal of systemd, read on from the entry that was kept last.
//!
//! ```text
//! keeper ──▶ journalctl -o export --follow ──pipe, standard input──▶ ring ─▶ spool: each record with its entry, cursor too
//! ```
//!
//! What is in the pipe and in the ring outlives the worker, as with any pipe. A cursor is needed only where `journalctl` begins:
//! at the first start, and when it or its keeper has died. It is that of the last record in the spool, so no second file says
//! how far the journal was read. Then half an entry in the pipe is marked as torn, and comes again. An entry that is not there
//! any more was vacuumed: that is told, and reading goes on with the oldest there is.
//! Refuses: to read the files of the journal itself.

use super::pipe;
use crate::audit::intake::source::{Choice, Row, Shown, VACUUMED};
use crate::audit::record::frame;
use crate::error::{Error, Result};
use crate::flags::text;
use crate::hash::xxh64;
use crate::log;
use crate::sys::ring::{Ring, Word};
use crate::sys::{pipe as sys_pipe, process, signal};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::OnceLock;

/// Who knows the files of the journal.
const JOURNALCTL: &str = "journalctl";

/// The row.
pub const ROW: Row = Row {
    name: "journal",
    what: text("systemd's journal", "журнал systemd"),
    term_ends: true,
    options: &["read-from", "journal-match"],
    feed: Some(feed),
    prepare,
    check,
    ..pipe::ROW
};

/// Into which `journalctl` writes. All three hold it, so that its end is not the end of the input.
static MOUTH: OnceLock<OwnedFd> = OnceLock::new();

fn prepare(choice: &Choice, _: Option<OwnedFd>) -> Result<Shown> {
    let made = sys_pipe::pair().and_then(|(out, mouth)| {
        let _ = MOUTH.set(mouth);
        sys_pipe::as_stdin(out)
    });
    made.map_err(|e| Error::failed(format!("cannot make a pipe for {JOURNALCTL}: {e}")))?;
    let matches = choice.matches.join(" ");
    Ok(Shown {
        what: format!("the journal, {}", if matches.is_empty() { "all of it" } else { &matches }),
        holds: pipe::widened(),
    })
}

fn command(choice: &Choice) -> Command {
    let mut command = Command::new(JOURNALCTL);
    command.args(["--output=export", "--output-fields=MESSAGE,_HOSTNAME", "--all", "--no-pager", "--quiet"]);
    command.args(&choice.matches).stdin(Stdio::null());
    command
}

/// Becomes the one who writes what stands behind this entry into standard input. Comes back only when that fails.
fn feed(choice: &Choice, cursor: &str, ring: &Ring) -> io::Error {
    let Some(mouth) = MOUTH.get().and_then(|m| m.try_clone().ok()).map(File::from) else {
        return io::Error::other("there is no pipe");
    };
    let mut command = command(choice);
    command.args(["--follow", "--no-tail"]);
    match cursor {
        "" if choice.from_end => {
            command.arg("--lines=0");
        }
        "" => {}
        cursor => {
            match holds(choice, cursor) {
                Ok(true) => command.arg(format!("--after-cursor={cursor}")),
                Ok(false) => {
                    note_vacuumed(ring, cursor);
                    // The oldest that follows.
                    command.arg(format!("--cursor={cursor}"))
                }
                // Nobody knows; another one looks again.
                Err(e) => return e,
            };
        }
    }
    if let Err(e) = (&mouth).write_all(frame::TORN) {
        return e;
    }
    command.stdout(mouth);
    signal::defaults();
    command.exec()
}

/// It is told as a gap, of each place once.
fn note_vacuumed(ring: &Ring, cursor: &str) {
    log::warn("input", format!("{VACUUMED}; reading goes on with the oldest that follows"));
    let hash = xxh64(cursor.as_bytes(), 0);
    let known = ring.word(Word::VacuumedAt);
    if known.load(Ordering::Acquire) != hash {
        // Counted first: whoever dies in between has it counted twice, never not at all.
        ring.word(Word::Vacuumed).fetch_add(1, Ordering::Release);
        known.store(hash, Ordering::Release);
    }
}

/// Whether the journal holds the entry of this cursor.
fn holds(choice: &Choice, cursor: &str) -> io::Result<bool> {
    let mut command = command(choice);
    command.arg(format!("--cursor={cursor}")).stdout(Stdio::piped()).stderr(Stdio::null());
    process::before_exec(&mut command, signal::defaults);
    let mut child = command.spawn()?;
    let mut line = String::new();
    let read = child.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
    if line.is_empty() {
        let ended = child.wait()?;
        return if ended.success() { Ok(false) } else { Err(io::Error::other(format!("{JOURNALCTL}: {ended}"))) };
    }
    let _ = child.kill();
    let _ = child.wait();
    read.transpose()?;
    Ok(line.trim_end().strip_prefix("__CURSOR=") == Some(cursor))
}

fn check(choice: &Choice) -> std::result::Result<String, String> {
    let mut command = command(choice);
    match command.args(["--lines=1"]).stdout(Stdio::piped()).output() {
        Ok(out) if !out.status.success() => {
            Err(format!("{JOURNALCTL}: {}", String::from_utf8_lossy(&out.stderr).trim().replace('\n', "; ")))
        }
        Ok(out) if out.stdout.is_empty() => Ok(
            "the journal can be read, and holds nothing yet that matches: is this user in the group systemd-journal?"
                .into(),
        ),
        Ok(_) => Ok("the journal can be read".into()),
        Err(e) => Err(format!("{JOURNALCTL} cannot be run: {e}; --type journal needs systemd")),
    }
}
