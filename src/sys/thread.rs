//! Threads with a small stack: there are many, and they stand still most of the time. Refuses: to panic for want of one.

use crate::limits;
use std::io;
use std::thread::{Builder, JoinHandle};

/// From now on the calling thread steps back behind the others. Not as far as `SCHED_IDLE` does: all threads share the
/// allocator's lock, and on a busy machine whoever waited for one that holds it would wait for seconds. Best effort: a system
/// that refuses it runs it as any other.
pub fn give_way() {
    // SAFETY: numbers only; 0 is the calling thread. By its number, since the C libraries differ in the type of the first.
    unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, limits::PACKER_NICE) };
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
