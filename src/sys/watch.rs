//! Whether something happens to the files of a directory: the kernel's inotify, where it has one for this file system.
//!
//! It says only that there may be something new, so whoever waits looks for himself, and from time to time without being told:
//! of what others write to a file server nobody tells. Refuses: to say what happened.

use super::{check, pipe};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// What is watched.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// Of a directory: files that come, go and are written to.
    pub fn of(dir: &Path) -> io::Result<Watch> {
        let name = CString::new(dir.as_os_str().as_bytes())?;
        // SAFETY: a number only; the descriptor is checked before it is owned, and nobody else knows it.
        let watch = unsafe { OwnedFd::from_raw_fd(check(libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC))?) };
        let events = libc::IN_MODIFY | libc::IN_CREATE | libc::IN_MOVED_TO | libc::IN_MOVED_FROM | libc::IN_DELETE_SELF;
        // SAFETY: a text with its zero that lives through the call; the descriptor is open.
        check(unsafe { libc::inotify_add_watch(watch.as_raw_fd(), name.as_ptr(), events) })?;
        Ok(Watch(watch))
    }

    /// Waits until something happens, at most so long. What has happened is forgotten then.
    pub fn wait(&self, patience: Duration) -> io::Result<bool> {
        let [ready] = pipe::wait([self.0.as_fd()], Some(patience))?;
        let mut told = [0; 4096];
        while ready.readable && pipe::read(self.0.as_fd(), &mut told).is_ok_and(|n| n == told.len()) {}
        Ok(ready.readable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn what_happens_in_a_directory_is_told_at_once() {
        let dir = std::env::temp_dir().join(format!("gostech-watch-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let watch = Watch::of(&dir).unwrap();
        assert!(!watch.wait(Duration::ZERO).unwrap());
        for n in 0..3 {
            std::fs::write(dir.join("f"), format!("{n}")).unwrap();
            let begin = Instant::now();
            assert!(watch.wait(Duration::from_secs(20)).unwrap() && begin.elapsed() < Duration::from_secs(10));
            assert!(!watch.wait(Duration::ZERO).unwrap(), "it is told once");
        }
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(Watch::of(&dir).is_err());
    }
}
