//! Threads with a small stack: there are many, and they stand still most of the time. Refuses: to panic for want of one.

use crate::limits;
use std::io;
use std::thread::{Builder, JoinHandle};

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
