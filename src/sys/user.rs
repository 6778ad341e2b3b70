//! Whom this process acts as: root, and becoming another user for good.
//!
//! Refuses: to give rights back, to leave half of them.

use super::check;
use std::io;

/// Whether this process acts as root.
pub fn is_root() -> bool {
    // SAFETY: it takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Becomes that user with that one group, in every sense, and never root again. For a process with one thread.
pub fn become_for_good(uid: u32, gid: u32) -> io::Result<()> {
    become_with(uid, gid, &[gid])
}

/// The same with these groups: for a question that his other groups answer too.
pub fn become_with(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    if uid == 0 || uid == u32::MAX || gid == u32::MAX {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: as many groups as are said.
    check(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
    // SAFETY: numbers only.
    check(unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: numbers only. After the groups: without root's rights they could not be given up.
    check(unsafe { libc::setresuid(uid, uid, uid) })?;
    let (mut r, mut e, mut s) = (0, 0, 0);
    // SAFETY: room for three numbers.
    check(unsafe { libc::getresuid(&mut r, &mut e, &mut s) })?;
    // SAFETY: a number only; it must fail.
    if (r, e, s) != (uid, uid, uid) || unsafe { libc::setresuid(u32::MAX, 0, u32::MAX) } == 0 {
        return Err(io::Error::other("root's rights are still there"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::{exit_now, fork_single_threaded, wait_for, Ended, Forked};

    #[test]
    fn root_is_given_up_for_good() {
        assert!(become_for_good(0, 5).is_err() && become_for_good(u32::MAX, 5).is_err());
        if !is_root() {
            return;
        }
        match fork_single_threaded().unwrap() {
            // The child makes system calls alone, and leaves without the locks of the other tests' threads.
            Forked::Child => {
                let done = become_for_good(61_234, 61_235).is_ok() && !is_root();
                // SAFETY: numbers only, and room for none: it says how many groups there are.
                let groups = unsafe { libc::getgroups(0, std::ptr::null_mut()) };
                // SAFETY: it takes nothing.
                let gid = unsafe { libc::getegid() };
                exit_now(i32::from(!(done && groups == 1 && gid == 61_235)));
            }
            Forked::Parent(pid) => assert_eq!(wait_for(pid), Some(Ended::Code(0))),
        }
    }
}
