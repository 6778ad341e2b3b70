//! Threads with a small stack: there are many, and they stand still most of the time. Refuses: to panic for want of one.

use crate::limits;
use std::io;
use std::thread::{Builder, JoinHandle};

/// From now on the calling thread runs where nobody else wants to. Best effort: a system that refuses it runs it as any other.
pub fn give_way() {
    let none = libc::c_int::from(0);
    // SAFETY: numbers only; 0 is the calling thread. By its number, for one of the C libraries refuses the other call.
    unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, 19) };
    // SAFETY: the third one points to a `sched_param`, which is one number and must be 0 here.
    unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_IDLE, &raw const none) };
}

/// Starts one.
pub fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    with_stack(name, limits::STACK_BYTES, run)
}

/// Starts one with a stack of its own size.
pub fn with_stack(name: &str, stack: usize, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    spawn(name, stack, Box::new(run))
}

/// In a box: what std does for a thread stands in the program once, not for each kind of thread.
fn spawn(name: &str, stack: usize, run: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_string()).stack_size(stack).spawn(run)
}
