//! Between a caged worker, which starts nothing, and its keeper, which starts handlers for it: a pair of sockets that both
//! inherit, with one request a message.
//!
//! The worker makes the pipes and hands the handler's ends over, so it sees by itself when a handler ends. It names the
//! program, and the keeper starts only what its own options name: a worker that was taken over gains nothing. The other signer
//! of checkpoints is started the same way, and is not even named. Where there is no keeper (`check --send`) a handler is
//! started here. Refuses: to wait, more handlers than are reasonable.

use crate::limits;
use crate::sys::descriptors;
use crate::sys::process;
use crate::sys::signal;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// The worker's side and the keeper's.
static SIDES: OnceLock<(OwnedFd, OwnedFd)> = OnceLock::new();

/// The ends of a handler's pipes that are its own: standard input, output and error.
pub type Ends = [OwnedFd; 3];

/// What a worker asks of its keeper.
#[derive(Debug)]
pub enum Request {
    /// Start this program under this number; an empty name: the other signer.
    Start(u64, PathBuf, Ends),
    /// The one of this number is to end.
    End(u64, How),
}

/// How one is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It has a moment to end by itself.
    Soon,
    /// It does not do what it should.
    AtOnce,
}

/// From now on the keeper is asked.
pub fn make() -> io::Result<()> {
    if SIDES.get().is_none() {
        let _ = SIDES.set(descriptors::pair()?);
    }
    Ok(())
}

/// Tells the keeper when somebody asks.
pub fn keepers_side() -> Option<BorrowedFd<'static>> {
    SIDES.get().map(|(_, keeper)| keeper.as_fd())
}

/// Whether there is a keeper to be asked.
pub fn has_keeper() -> bool {
    SIDES.get().is_some()
}

/// Asks for a handler.
pub fn ask(number: u64, program: &Path, ends: &Ends) -> io::Result<()> {
    let text = [&number.to_le_bytes()[..], program.as_os_str().as_bytes()].concat();
    send(&text, &[ends[0].as_fd(), ends[1].as_fd(), ends[2].as_fd()])
}

/// Asks that one ends.
pub fn ask_to_end(number: u64, how: How) {
    let at_once: &[u8] = if how == How::AtOnce { b"!" } else { b"" };
    // A request that finds no room is not needed: a handler whose pipes are closed ends by itself, or with the worker.
    let _ = send(&[&number.to_le_bytes()[..], at_once].concat(), &[]);
}

fn send(text: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    match SIDES.get() {
        Some((worker, _)) => descriptors::send(worker.as_fd(), text, fds),
        None => Err(io::ErrorKind::NotConnected.into()),
    }
}

/// The next request.
pub fn next() -> Option<Request> {
    let (_, keeper) = SIDES.get()?;
    let mut text = [0; limits::EXEC_REQUEST_BYTES];
    let (n, fds) = descriptors::receive(keeper.as_fd(), &mut text).ok()?;
    let (number, program) = text[..n].split_at_checked(8)?;
    let number = u64::from_le_bytes(number.try_into().ok()?);
    match Ends::try_from(fds) {
        Ok(ends) => Some(Request::Start(number, std::ffi::OsString::from_vec(program.to_vec()).into(), ends)),
        Err(_) => Some(Request::End(number, if program.is_empty() { How::Soon } else { How::AtOnce })),
    }
}

/// What a handler may need of the environment. Others may hold a secret of the database.
const VARIABLES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TZ",
    // Of a session, for one that shows events on its desktop.
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// Starts a handler: an environment of a few variables, a process group of its own, gone with whoever has started it.
pub fn start(program: &Path, args: &[String], [input, output, error]: Ends) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(Stdio::from(input)).stdout(Stdio::from(output)).stderr(Stdio::from(error)).process_group(0);
    process::before_exec(&mut command, || {
        signal::defaults();
        process::end_with_parent(signal::SIGTERM);
    });
    command.spawn()
}
