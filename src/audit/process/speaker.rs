//! The socket in the spool's sub-directory, by which the running helper tells `status` how it stands.
//!
//! Whoever connects is given one answer and nothing is read from them. One after the other, each within a bound of time and
//! bytes. The socket is for its owner alone; it gets its mode before the cage closes, which allows no change of modes.
//! Refuses: a request, to make anybody wait for it but who asks.

use crate::audit::process::page::Source;
use crate::sys::socket;
use crate::sys::thread;
use crate::{limits, log};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Its name in the sub-directory.
pub const SOCKET: &str = "status.sock";

/// A socket that has no name yet.
#[derive(Debug)]
pub struct Speaker(Option<OwnedFd>);

/// One that listens: its file goes with it.
#[derive(Debug)]
pub struct Listening(PathBuf);

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The name of the socket as it fits an address, and what must stay open for that: a long directory is named by its
/// descriptor.
fn address(dir: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let path = dir.join(SOCKET);
    if path.as_os_str().len() <= limits::UNIX_PATH_BYTES {
        return Ok((path, None));
    }
    let dir = File::open(dir)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd())), Some(dir)))
}

impl Speaker {
    /// Before the cage. Without one `status` reads files.
    pub fn prepare() -> Speaker {
        let made = socket::unbound_unix(0o600);
        if let Err(e) = &made {
            log::debug("status", format!("cannot make a socket: {e}"));
        }
        Speaker(made.ok())
    }

    /// Binds it in this directory, whose lock is ours, and answers until the end of the process.
    pub fn start(self, dir: &Path, source: Arc<Source>) -> Option<Listening> {
        let socket = self.0?;
        let bound = address(dir).and_then(|(path, open)| {
            // One that a worker before has left.
            match std::fs::remove_file(dir.join(SOCKET)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            socket::bind_unix(socket.as_fd(), &path, limits::STATUS_QUEUE)?;
            drop(open);
            thread::start("status", move || answer_all(&UnixListener::from(socket), &source)).map(drop)
        });
        if let Err(e) = bound {
            log::debug("status", format!("no socket for `status` in `{}`: {e}", dir.display()));
            return None;
        }
        Some(Listening(dir.join(SOCKET)))
    }
}

fn answer_all(listener: &UnixListener, source: &Source) {
    loop {
        match listener.accept() {
            Ok((visitor, _)) => drop(answer(visitor, source)),
            // No descriptor for it now: not at once again.
            Err(_) => std::thread::sleep(Duration::from_millis(limits::PORCH_PAUSE_MILLIS)),
        }
    }
}

fn answer(mut visitor: UnixStream, source: &Source) -> io::Result<()> {
    let bytes = source.moment().save();
    let end = Instant::now() + Duration::from_millis(limits::STATUS_MILLIS);
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        visitor.set_write_timeout(Some(left))?;
        let n = visitor.write(rest)?;
        rest = &rest[n..];
    }
    Ok(())
}

/// What the helper that works in this directory says; nothing when none answers in time.
pub fn ask(dir: &Path) -> io::Result<Vec<u8>> {
    let (path, open) = address(dir)?;
    let meta = std::fs::symlink_metadata(dir.join(SOCKET))?;
    if !std::os::unix::fs::FileTypeExt::is_socket(&meta.file_type()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut stream = socket::connect_unix(&path)?;
    drop(open);
    let end = Instant::now() + Duration::from_millis(limits::STATUS_MILLIS);
    let mut bytes = Vec::new();
    let mut part = [0; limits::PIPE_ATOM_BYTES];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || bytes.len() as u64 > limits::STATUS_ANSWER_BYTES {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match stream.read(&mut part) {
            Ok(0) => return Ok(bytes),
            Ok(n) => bytes.extend_from_slice(&part[..n]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => drop(socket::wait(stream.as_fd(), true, false, left)?),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
