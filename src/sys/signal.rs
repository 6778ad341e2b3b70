//! Signals as something to read: they are blocked, and a descriptor says which came.

use super::{check, check_size};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

pub use libc::{SIGABRT, SIGBUS, SIGCHLD, SIGHUP, SIGILL, SIGINT, SIGKILL, SIGSEGV, SIGSYS, SIGTERM};

/// A set of blocked signals that are read instead of delivered.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

fn set_of(signals: &[libc::c_int]) -> libc::sigset_t {
    // SAFETY: sigset_t is plain data that sigemptyset fills in; sigaddset takes the set and a number.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for &s in signals {
            libc::sigaddset(&mut set, s);
        }
        set
    }
}

impl Signals {
    /// Blocks `signals` in this thread (and those it starts later) and opens the descriptor that tells of them.
    pub fn take(signals: &[libc::c_int]) -> io::Result<Signals> {
        let set = set_of(signals);
        // SAFETY: the set is initialised; the old mask is not asked for.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
        // SAFETY: the set is initialised; -1 asks for a new descriptor.
        let fd = check(unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })?;
        // SAFETY: the call succeeded, so the descriptor is open and ours alone.
        Ok(Signals { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// The next signal that has come, or none.
    pub fn next(&self) -> Option<libc::c_int> {
        // SAFETY: signalfd_siginfo is plain numbers, for which all zeros is a value.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let size = std::mem::size_of::<libc::signalfd_siginfo>();
        // SAFETY: `info` is `size` bytes of plain data that the kernel may write.
        let got = unsafe { libc::read(self.fd.as_raw_fd(), (&raw mut info).cast(), size) };
        (check_size(got).ok()? == size).then_some(info.ssi_signo as libc::c_int)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Lets all signals through again and gives each its default action: for a child that will be another program.
pub fn defaults() {
    // SAFETY: an initialised set; SIG_DFL is a valid action for every signal that takes one (others refuse harmlessly).
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut set);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        for s in [libc::SIGPIPE, libc::SIGXFSZ, libc::SIGHUP, libc::SIGTERM, libc::SIGINT, libc::SIGCHLD] {
            libc::signal(s, libc::SIG_DFL);
        }
    }
}

/// A broken pipe or socket is an error to read, not a death; so is a file beyond its limit.
pub fn ignore_broken_pipes() {
    // SAFETY: SIG_IGN is a valid action for both.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

/// Sends a signal to this very thread, by the one call with which a process in its cage may send any: it names the process
/// too, so that a filter sees whose thread it is.
pub fn send_self(signal: libc::c_int) {
    // SAFETY: numbers only.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::syscall(libc::SYS_gettid), signal) };
}

/// Lets one signal through to this thread, with its default action.
#[cfg(any(target_env = "musl", test))]
pub(super) fn default_of(signal: libc::c_int) {
    let set = set_of(&[signal]);
    // SAFETY: an initialised set; SIG_DFL is a valid action.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
    }
}

/// Sends a signal to a process group that a child of ours leads and that has not been waited for: nobody else has its number.
pub fn send_group(leader: i32, signal: libc::c_int) {
    if leader > 1 {
        // SAFETY: numbers only; below -1 it is one group, never all.
        unsafe { libc::kill(-leader, signal) };
    }
}

/// Sends a signal to a process; errors (it is gone) are nothing to do about.
pub fn send(pid: i32, signal: libc::c_int) {
    if pid > 1 {
        // SAFETY: numbers only; a pid above 1 is one process, never a group or all.
        unsafe { libc::kill(pid, signal) };
    }
}
