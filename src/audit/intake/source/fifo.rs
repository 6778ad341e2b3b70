//! `--type fifo`: a FIFO with a name, into which whoever may write does, one after the other or several at once.
//!
//! The keeper opens both of its ends, as standard input, so that nothing in it is lost between two writers or two workers; from
//! there on it is read as a pipe is. Where systemd opened it (`ListenFIFO=`) it outlives us too. One that is not there is made.
//! Refuses: what is no FIFO.

use super::pipe;
use crate::audit::intake::source::{Choice, Row, Shown};
use crate::error::{Error, Result};
use crate::flags::text;
use crate::sys::pipe as sys_pipe;
use std::fs::{Metadata, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// The row.
pub const ROW: Row = Row {
    name: "fifo",
    what: text("a FIFO", "FIFO"),
    term_ends: true,
    options: &["filename", "socket-mode"],
    is_held: true,
    prepare,
    check,
    ..pipe::ROW
};

fn prepare(choice: &Choice, given: Option<OwnedFd>) -> Result<Shown> {
    if let Some(given) = given {
        sys_pipe::as_stdin(given).map_err(|e| Error::failed(format!("cannot take the FIFO of systemd: {e}")))?;
        return Ok(shown("the FIFO that systemd has opened".into()));
    }
    let path = choice.place()?;
    open(path, choice.mode).map_err(|e| Error::failed(format!("cannot open the FIFO `{}`: {e}", path.display())))?;
    Ok(shown(format!("the FIFO `{}`", path.display())))
}

fn shown(what: String) -> Shown {
    Shown { what, holds: pipe::widened() }
}

fn open(path: &Path, mode: u32) -> io::Result<()> {
    if std::fs::symlink_metadata(path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
        sys_pipe::make_fifo(path, mode)?;
    }
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let fifo = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    is_fifo(&fifo.metadata()?)?;
    sys_pipe::as_stdin(fifo.into())
}

fn is_fifo(meta: &Metadata) -> io::Result<()> {
    match meta.file_type().is_fifo() {
        true => Ok(()),
        false => Err(io::Error::other("it is no FIFO: give another --filename, or remove what stands there")),
    }
}

fn check(choice: &Choice) -> std::result::Result<String, String> {
    let path = choice.place().map_err(|e| e.text().to_string())?;
    let shown = path.display();
    match std::fs::symlink_metadata(path).and_then(|meta| is_fifo(&meta)) {
        Ok(()) => Ok(format!("the FIFO `{shown}` is there")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(format!("the FIFO `{shown}` is not there yet: it is made")),
        Err(e) => Err(format!("`{shown}`: {e}")),
    }
}
