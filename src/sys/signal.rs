//! Signals: those that ask for something are blocked and read from a descriptor, all others end nobody.
//!
//! Whoever signals a whole unit (`systemctl kill -s USR1`) means the database, not its helper; and a helper that ends is
//! not started again. Refuses: to let anything but SIGKILL and a fault of its own end a process that holds.

use super::{check, check_size};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

pub use libc::{SIGABRT, SIGBUS, SIGCHLD, SIGCONT, SIGHUP, SIGILL, SIGINT, SIGKILL, SIGSEGV, SIGSYS, SIGTERM};
pub use libc::{SIGSTOP, SIGTSTP, SIGWINCH};

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
        mask(libc::SIG_BLOCK, &set);
        // SAFETY: the set is initialised; -1 asks for a new descriptor.
        let fd = check(unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })?;
        // SAFETY: the call succeeded, so the descriptor is open and ours alone.
        Ok(Signals { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// The next signal that has come, or none.
    pub fn next(&self) -> Option<libc::c_int> {
        self.next_from().map(|(signal, _)| signal)
    }

    /// The same, and which process sent it (0: the kernel, or one that cannot be seen from here).
    pub fn next_from(&self) -> Option<(libc::c_int, i32)> {
        // SAFETY: signalfd_siginfo is plain numbers, for which all zeros is a value.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let size = std::mem::size_of::<libc::signalfd_siginfo>();
        // SAFETY: `info` is `size` bytes of plain data that the kernel may write.
        let got = unsafe { libc::read(self.fd.as_raw_fd(), (&raw mut info).cast(), size) };
        (check_size(got).ok()? == size).then_some((info.ssi_signo as libc::c_int, info.ssi_pid as i32))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The highest number of a signal.
const LAST: libc::c_int = 64;
/// What is asked of a program by a signal: kept until somebody reads it.
const ASKING: &[libc::c_int] = &[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGCHLD];

/// From now on no signal ends or stops this process but SIGKILL, SIGSTOP and a fault of its own: what asks for something
/// waits to be read, everything else is ignored. Whatever was inherited is undone: with SIGCHLD ignored nobody learns of a
/// child's end. For the first act of a program.
pub fn hold() {
    // Before their actions: between the two they would end the process.
    mask(libc::SIG_SETMASK, &set_of(ASKING));
    for signal in (1..=LAST).filter(|s| !is_fault_of_memory(*s)) {
        act(signal, if ASKING.contains(&signal) { libc::SIG_DFL } else { libc::SIG_IGN });
    }
    for (signal, before) in [(libc::SIGSEGV, &BEFORE[0]), (libc::SIGBUS, &BEFORE[1])] {
        catch_fault(signal, before);
    }
}

/// Gives all signals their default actions and lets them through: for a job that its user may end, and for a child that
/// will be another program. Makes system calls only.
pub fn defaults() {
    (1..=LAST).for_each(|signal| act(signal, libc::SIG_DFL));
    mask(libc::SIG_SETMASK, &set_of(&[]));
}

/// Gives one signal its default action. Makes a system call only.
pub fn let_end(signal: libc::c_int) {
    act(signal, libc::SIG_DFL);
}

fn mask(how: libc::c_int, set: &libc::sigset_t) {
    // SAFETY: the set is initialised; the old mask is not asked for.
    unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) };
}

/// Gives a signal one of the two actions without a handler. By the kernel's own call: C libraries keep the first real-time
/// signals for themselves and do not let others name them, but whoever sends one of them ends the process all the same.
fn act(signal: libc::c_int, action: libc::sighandler_t) {
    // The kernel's `struct sigaction` on both processors: handler, flags, restorer, mask.
    let action: [usize; 4] = [action, 0, 0, 0];
    // SAFETY: the action lives through the call and has the kernel's layout, the mask 8 bytes as said; the old one is not
    // asked for. SIGKILL and SIGSTOP are refused harmlessly.
    unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), std::ptr::null_mut::<usize>(), 8usize);
    }
}

/// What the Rust library does at a fault of memory: it tells of a stack that is full, and lets the process die.
static BEFORE: [AtomicUsize; 2] = [AtomicUsize::new(libc::SIG_DFL), AtomicUsize::new(libc::SIG_DFL)];

fn is_fault_of_memory(signal: libc::c_int) -> bool {
    [libc::SIGSEGV, libc::SIGBUS].contains(&signal)
}

/// Other faults (SIGILL, SIGFPE, SIGTRAP, `abort`) end a process that ignores their signal; these two have a handler of the
/// Rust library, which would let the second one that is sent from outside through.
fn catch_fault(signal: libc::c_int, before: &AtomicUsize) {
    // SAFETY: sigaction is plain data for which all zeros is a value; the handler has the signature that SA_SIGINFO asks
    // for. The old action is read first, so that the handler knows it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut action);
        let own = on_fault as extern "C" fn(_, _, _) as usize;
        if action.sa_sigaction != own {
            let handler = if action.sa_sigaction == libc::SIG_IGN { libc::SIG_DFL } else { action.sa_sigaction };
            before.store(handler, Ordering::Release);
        }
        action.sa_sigaction = own;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives it. A code up to 0 is that of a signal which somebody has sent.
    if unsafe { (*info).si_code } <= 0 {
        return;
    }
    let before = BEFORE[usize::from(signal == libc::SIGBUS)].load(Ordering::Acquire);
    if before == libc::SIG_DFL {
        // Back at the instruction that failed, it fails again, and nobody is in the way.
        return act(signal, libc::SIG_DFL);
    }
    // SAFETY: the address of a handler that was installed with SA_SIGINFO (the Rust library's), with what it is given.
    unsafe {
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = std::mem::transmute(before);
        handler(signal, info, context);
    }
}

/// A broken pipe or socket is an error to read, not a death; so is a file beyond its limit.
pub fn ignore_broken_pipes() {
    act(libc::SIGPIPE, libc::SIG_IGN);
    act(libc::SIGXFSZ, libc::SIG_IGN);
}

/// Sends a signal to this very thread, by the one call with which a process in its cage may send any: it names the process
/// too, so that a filter sees whose thread it is.
pub fn send_self(signal: libc::c_int) {
    // SAFETY: numbers only.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::syscall(libc::SYS_gettid), signal) };
}

/// All that end a program which does nothing about them, but faults of its own.
pub fn ending() -> Vec<libc::c_int> {
    let named = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM, libc::SIGTERM];
    let rare = [libc::SIGSTKFLT, libc::SIGXCPU, libc::SIGVTALRM, libc::SIGPROF, libc::SIGIO, libc::SIGPWR];
    named.into_iter().chain(rare).chain(libc::SIGRTMIN()..=LAST).collect()
}

/// What was read from a descriptor does now what it would have done by itself: the kernel decides, which stops nobody whom no
/// shell would wake.
pub fn obey(signal: libc::c_int) {
    default_of(signal);
    send_self(signal);
    mask(libc::SIG_BLOCK, &set_of(&[signal]));
}

/// Lets one signal through to this thread, with its default action.
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
