//! `abort` for the static binaries: what a panic, a failed allocation and a stack that is full end in.
//!
//! musl's sends the signal by `tkill`, which names a thread of anybody; in the cage that is refused, and it goes on to an
//! instruction that faults: the keeper would tell of a SIGSEGV where there was a panic. This one names the process too.
//!
//! Refuses: other C libraries; theirs do the same.

use super::{process, signal};

/// C's abort.
#[cfg_attr(not(test), no_mangle)]
pub extern "C" fn abort() -> ! {
    signal::default_of(signal::SIGABRT);
    signal::send_self(signal::SIGABRT);
    // Where even that is forbidden, by a list around us, there is no other way.
    process::exit_now(134)
}
