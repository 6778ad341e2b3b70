//! `--type unix`: a Unix socket at which others write: the database itself (`--audit='syslog:server=unix:…'`), rsyslog,
//! syslog-ng, whoever has lines.
//!
//! ```text
//! datagrams  a message a record          streams  a line a record, or a counted one (RFC 6587); several writers at once
//! look (MSG_PEEK) ─▶ a line in the ring, under a note ─▶ take                 whoever dies between two of these has lost nothing
//! ```
//!
//! The keeper holds the socket as standard input, or systemd does (`ListenDatagram=`, `ListenStream=`); the connections of a
//! stream are parked where they outlive the worker that took them. What was looked at and not taken is found again, and known by
//! the note. Who writes waits when nobody reads: a full ring, no room in the spool. Refuses: to read a message twice, to wait.

use super::pipe;
use crate::audit::intake::source::{Choice, Row, Shown, Source};
use crate::error::{Error, Result};
use crate::flags::text;
use crate::hash::xxh64;
use crate::limits;
use crate::sys::filler::{Fill, Filler};
use crate::sys::parked::ParkedFiles;
use crate::sys::{crash, pipe as sys_pipe, socket};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

/// The row.
pub const ROW: Row = Row {
    name: "unix",
    what: text("a Unix socket", "Unix-сокет"),
    term_ends: true,
    options: &["filename", "socket", "socket-mode"],
    is_held: true,
    prepare,
    open: |_| Box::new(Listener::new()),
    check,
    is_pressed: |_| sys_pipe::held(io::stdin().as_fd()).map_or(true, |n| n > 0),
    ..pipe::ROW
};

/// Where the connections of a stream lie.
static PARKED: OnceLock<ParkedFiles> = OnceLock::new();

fn prepare(choice: &Choice, given: Option<OwnedFd>) -> Result<Shown> {
    let parked = ParkedFiles::make().map_err(|e| Error::failed(format!("cannot make a place for connections: {e}")))?;
    let _ = PARKED.set(parked);
    let (given, what) = match given {
        Some(given) => (Ok(given), "the socket that systemd has opened".to_string()),
        None => {
            let path = choice.place()?;
            (open(path, choice), format!("the Unix socket `{}`", path.display()))
        }
    };
    let taken = given.and_then(|socket| {
        socket::set_nonblocking(socket.as_fd())?;
        sys_pipe::as_stdin(socket)
    });
    taken.map_err(|e| Error::failed(format!("cannot listen at {what}: {e}")))?;
    let kind = if socket::is_stream(io::stdin().as_fd()) { "stream" } else { "datagrams" };
    Ok(Shown { what: format!("{what}, {kind}"), holds: None })
}

/// A socket of this name; one that nobody listens at any more gives way.
fn open(path: &Path, choice: &Choice) -> io::Result<OwnedFd> {
    if let Ok(meta) = std::fs::symlink_metadata(path) {
        if !meta.file_type().is_socket() {
            return Err(io::Error::other("something else stands there: give another --filename, or remove it"));
        }
        if is_alive(path) {
            return Err(io::Error::other("somebody listens there already: is another helper running?"));
        }
        std::fs::remove_file(path)?;
    }
    socket::receiving_unix(path, choice.stream, choice.mode, limits::SOURCE_QUEUE)
}

/// Whether somebody listens there, of whichever kind.
fn is_alive(path: &Path) -> bool {
    let refused = |e: &io::Error| e.kind() == io::ErrorKind::ConnectionRefused;
    socket::connect_unix(path).err().is_none_or(|e| !refused(&e))
}

fn check(choice: &Choice) -> std::result::Result<String, String> {
    let path = choice.place().map_err(|e| e.text().to_string())?;
    let shown = path.display();
    match std::fs::symlink_metadata(path) {
        Ok(meta) if !meta.file_type().is_socket() => {
            Err(format!("`{shown}` is no socket: give another --filename, or remove it"))
        }
        Ok(_) if is_alive(path) => Ok(format!("somebody listens at `{shown}`: the helper that runs, or systemd")),
        Ok(_) => Ok(format!("nobody listens at `{shown}` now; the helper will")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => match path.parent().filter(|d| !d.as_os_str().is_empty()) {
            Some(dir) if !dir.is_dir() => Err(format!("the directory of `{shown}` is not there: make it")),
            _ => Ok(format!("`{shown}` is not there yet: the helper makes it")),
        },
        Err(e) => Err(format!("`{shown}` cannot be looked at: {e}")),
    }
}

/// The socket, and those who write at it when it is a stream.
struct Listener {
    socket: io::Stdin,
    /// None: it is for datagrams.
    writers: Option<Vec<File>>,
    /// What was looked at.
    seen: Vec<u8>,
    /// The same as lines.
    lines: Vec<u8>,
    /// A worker before may have died before it took what it had.
    fresh: bool,
}

impl Listener {
    fn new() -> Listener {
        let socket = io::stdin();
        let writers = socket::is_stream(socket.as_fd()).then(parked);
        Listener { socket, writers, seen: vec![0; limits::SOURCE_LOOK_BYTES], lines: Vec::new(), fresh: true }
    }

    /// What a worker before has put into the ring and not taken is taken.
    fn take_noted(&mut self, to: &mut Filler) -> io::Result<()> {
        let Some((hash, bytes)) = to.noted() else { return Ok(()) };
        let whole = self.writers.is_none();
        let is_it = |fd: BorrowedFd<'_>, room: &mut [u8]| {
            socket::peek(fd, room).is_ok_and(|n| {
                (n == bytes || !whole && n.min(room.len()) > bytes) && xxh64(&room[..bytes], 0) | 1 == hash
            })
        };
        self.seen.resize(bytes.clamp(limits::SOURCE_LOOK_BYTES, limits::SOURCE_MESSAGE_BYTES), 0);
        let bytes = bytes.min(self.seen.len());
        match &self.writers {
            None if is_it(self.socket.as_fd(), &mut self.seen) => socket::take(self.socket.as_fd(), &mut [0])?,
            None => 0,
            Some(writers) => match writers.iter().find(|w| is_it(w.as_fd(), &mut self.seen)) {
                Some(writer) => socket::take(writer.as_fd(), &mut self.seen[..bytes])?,
                None => 0,
            },
        };
        to.taken();
        Ok(())
    }

    /// One datagram; none: there is none now.
    fn datagram(&mut self, to: &mut Filler) -> io::Result<Option<Fill>> {
        let n = match socket::peek(self.socket.as_fd(), &mut self.seen) {
            Err(e) if is_nothing(&e) => return Ok(None),
            got => got?,
        };
        if n > self.seen.len() && n <= limits::SOURCE_MESSAGE_BYTES {
            // Looked at again, whole.
            self.seen.resize(n, 0);
            return Ok(Some(Fill::Bytes(0)));
        }
        let n = n.min(self.seen.len());
        self.lines.clear();
        push_line(&mut self.lines, &self.seen[..n]);
        if !to.put_noted((xxh64(&self.seen[..n], 0), n), &self.lines) {
            return Ok(Some(Fill::Full));
        }
        socket::take(self.socket.as_fd(), &mut [0])?;
        crash::point("socket.taken");
        to.taken();
        Ok(Some(Fill::Bytes(self.lines.len())))
    }

    /// The whole lines of one writer.
    fn stream(&mut self, i: usize, to: &mut Filler) -> io::Result<Option<Fill>> {
        let Some(writer) = self.writers.as_ref().and_then(|w| w.get(i)) else { return Ok(None) };
        // Before the look: what is there then is all.
        let gone = sys_pipe::wait([writer.as_fd()], Some(Duration::ZERO)).is_ok_and(|[r]| r.hung_up);
        let n = match socket::peek(writer.as_fd(), &mut self.seen) {
            Err(e) if is_nothing(&e) => return Ok(None),
            Err(_) | Ok(0) => {
                self.writers.as_mut().map(|w| w.remove(i));
                self.park();
                return Ok(Some(Fill::Bytes(0)));
            }
            Ok(n) => n.min(self.seen.len()),
        };
        self.lines.clear();
        // Of a full look the rest is looked at next, unless it is one line.
        let all = if n < self.seen.len() { gone } else { memchr::memchr(b'\n', &self.seen).is_none() };
        let used = push_lines(&mut self.lines, &self.seen[..n], all);
        if used == 0 {
            return Ok(None);
        }
        if !to.put_noted((xxh64(&self.seen[..used], 0), used), &self.lines) {
            return Ok(Some(Fill::Full));
        }
        socket::take(writer.as_fd(), &mut self.seen[..used])?;
        crash::point("socket.taken");
        to.taken();
        Ok(Some(Fill::Bytes(self.lines.len())))
    }

    /// Takes those who have come; more than there is a place for wait outside.
    fn welcome(&mut self) {
        let Some(writers) = &mut self.writers else { return };
        let before = writers.len();
        while writers.len() < limits::SOURCE_WRITERS {
            let Ok(writer) = socket::accept(self.socket.as_fd()) else { break };
            writers.push(writer.into());
        }
        let now = writers.len();
        if now > before {
            if now == limits::SOURCE_WRITERS {
                let text = "are connected, as many as are taken at once: another one waits until one of them ends";
                crate::log::warn("input", format!("{now} writers {text}"));
            }
            self.park();
        }
    }

    fn park(&self) {
        let all: Vec<&File> = self.writers.iter().flatten().collect();
        if let Some(parked) = PARKED.get() {
            let done = if all.is_empty() { parked.clear() } else { parked.put(&all) };
            if let Err(e) = done {
                crate::log::warn("input", format!("connections cannot be kept for another worker: {e}"));
            }
        }
    }
}

fn parked() -> Vec<File> {
    PARKED.get().and_then(|p| p.look().ok()).unwrap_or_default()
}

fn is_nothing(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// One message as a line. Some end it with a newline, some with a zero.
fn push_line(out: &mut Vec<u8>, message: &[u8]) {
    let end = message.iter().rposition(|b| !matches!(b, b'\n' | 0)).map_or(0, |n| n + 1);
    out.extend_from_slice(&message[..end]);
    out.push(b'\n');
}

/// The whole messages that stand at the beginning, and how many bytes they are. `all`: half of one is one, for nothing follows.
fn push_lines(out: &mut Vec<u8>, data: &[u8], all: bool) -> usize {
    let mut at = 0;
    while at < data.len() {
        let rest = &data[at..];
        let (message, bytes) = match counted(rest) {
            Some((from, to)) if to <= rest.len() => (&rest[from..to], to),
            Some(_) if !all => break,
            _ => match memchr::memchr(b'\n', rest) {
                Some(n) => (&rest[..n], n + 1),
                None if all => (rest, rest.len()),
                None => break,
            },
        };
        push_line(out, message);
        at += bytes;
    }
    at
}

/// A message whose length stands before it: from where to where. `17 <14>…`
fn counted(data: &[u8]) -> Option<(usize, usize)> {
    let digits = data.iter().take(limits::SOURCE_COUNT_DIGITS).take_while(|b| b.is_ascii_digit()).count();
    let length: usize = std::str::from_utf8(&data[..digits]).ok()?.parse().ok()?;
    let blank = data.get(digits..digits + 2).is_some_and(|b| b == b" <");
    (blank && length < limits::SOURCE_LOOK_BYTES - limits::FRAME_BYTES).then_some((digits + 1, digits + 1 + length))
}

impl Source for Listener {
    fn fill(&mut self, to: &mut Filler) -> io::Result<Fill> {
        if std::mem::take(&mut self.fresh) {
            self.take_noted(to)?;
        }
        self.welcome();
        let mut taken = 0;
        let mut more = true;
        while more && taken < limits::READ_SMALL_BYTES {
            more = false;
            let count = self.writers.as_ref().map_or(1, Vec::len);
            for i in 0..count {
                let got = match self.writers {
                    None => self.datagram(to)?,
                    Some(_) => self.stream(i, to)?,
                };
                match got {
                    Some(Fill::Full) if taken == 0 => return Ok(Fill::Full),
                    Some(Fill::Bytes(n)) => (taken, more) = (taken + n, true),
                    _ => {}
                }
            }
        }
        Ok(if taken > 0 { Fill::Bytes(taken) } else { Fill::Nothing })
    }

    fn naps(&self) -> bool {
        // The queue of datagrams is short.
        false
    }

    fn wait(&mut self, patience: Option<Duration>) -> io::Result<bool> {
        let writers = self.writers.iter().flatten().map(|w| w.as_fd());
        let full = self.writers.as_ref().is_some_and(|w| w.len() >= limits::SOURCE_WRITERS);
        let door = Some(self.socket.as_fd()).filter(|_| !full);
        let all: Vec<BorrowedFd<'_>> = door.into_iter().chain(writers).collect();
        sys_pipe::wait_for_any(&all, patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(data: &str, all: bool) -> (String, usize) {
        let mut out = Vec::new();
        let used = push_lines(&mut out, data.as_bytes(), all);
        (String::from_utf8(out).unwrap(), used)
    }

    #[test]
    fn messages_of_a_stream_are_lines_or_counted() {
        assert_eq!(lines("{}\n<1>a\nhalf", false), ("{}\n<1>a\n".into(), 8));
        assert_eq!(lines("{}\nhalf", true), ("{}\nhalf\n".into(), 7));
        assert_eq!(lines("5 <1>ab7 <1>abcd{}\n", false), ("<1>ab\n<1>abcd\n{}\n".into(), 19));
        assert_eq!(lines("6 <1>a\n\n", false), ("<1>a\n".into(), 8), "the newline may be counted");
        assert_eq!(lines("50 <1>half", false), (String::new(), 0));
        assert_eq!(lines("50 <1>half", true), ("50 <1>half\n".into(), 10));
        assert_eq!(lines("17 is no length\n", false), ("17 is no length\n".into(), 16));
        assert_eq!(lines("99999999999 <1>x\n", false), ("99999999999 <1>x\n".into(), 17));
    }
}
