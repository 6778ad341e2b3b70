//! Listeners that systemd opened for us (`LISTEN_FDS`): descriptors from 3 on, taken over once, at the start.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// More sockets than a unit has any use for are not taken.
const MOST: i32 = 16;

/// The numbers of the descriptors that are meant for this process.
pub fn numbers() -> Vec<RawFd> {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<i64>().ok());
    let mine = number("LISTEN_PID").is_none_or(|pid| pid == i64::from(std::process::id()));
    let count = number("LISTEN_FDS").filter(|_| mine).and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
    (3..3 + count.clamp(0, MOST)).collect()
}

/// Takes them over; a number that is not open is left out.
///
/// To be called once, before anything of ours is open, and with nothing else that owns these numbers.
pub fn take() -> Vec<OwnedFd> {
    let open = |fd: &RawFd| {
        // SAFETY: a number only; an error means that it is not open. Close-on-exec: not for our children.
        unsafe { libc::fcntl(*fd, libc::F_SETFD, libc::FD_CLOEXEC) == 0 }
    };
    // SAFETY: systemd's protocol gives us these open descriptors to own, and nobody else here has taken them.
    numbers().into_iter().filter(open).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect()
}
