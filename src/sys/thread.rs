//! Threads with a small stack: there are many, and they stand still most of the time. Refuses: to panic for want of one.

use crate::limits;
use std::thread::{Builder, JoinHandle};

/// Starts one.
pub fn start(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_string()).stack_size(limits::STACK_BYTES).spawn(run)
}
