//! The few system calls that std lacks: the only room with `unsafe`, each block with its reason.
//!
//! One file a subject. What std can do is not here. Errors are `std::io::Error`; nothing here logs, waits without a
//! limit the caller gave, or knows what an event or a metric is.
#![allow(unsafe_code)]

#[cfg(any(target_env = "musl", test))]
pub mod abort;
pub mod activation;
#[cfg(all(target_arch = "x86_64", any(target_env = "musl", test)))]
pub mod bytes;
pub mod clock;
pub mod crash;
pub mod descriptors;
pub mod file;
pub mod filler;
pub mod landlock;
pub mod lanes;
pub mod marks;
pub mod notify;
pub mod parked;
pub mod pipe;
pub mod process;
pub mod ring;
pub mod seccomp;
pub mod signal;
pub mod socket;
pub mod terminal;
pub mod thread;
pub mod trial;
pub mod turns;
pub mod user;
pub mod watch;

use std::io;

/// The result of a system call that says -1 on failure.
fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}

/// The same for calls that answer with a size.
fn check_size(answer: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(answer).map_err(|_| io::Error::last_os_error())
}
