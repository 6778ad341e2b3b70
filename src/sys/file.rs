//! Files: exclusive locks, free space, anonymous memory files.

use super::check;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Locks a file for its owner alone, without a wait: false when somebody else has it. Ends with the descriptor.
pub fn lock(file: &File) -> io::Result<bool> {
    // SAFETY: flock on a descriptor that `file` keeps open.
    match check(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(e) => Err(e),
    }
}

/// The size of a file system and what an unprivileged user may still write there, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What is left.
    pub free: u64,
}

/// The space of the file system that holds `path`.
pub fn space(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: statvfs is plain numbers, for which all zeros is a value.
    let mut answer: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a string with its NUL, and room for one statvfs.
    check(unsafe { libc::statvfs(path.as_ptr(), &mut answer) })?;
    let block = answer.f_frsize as u64;
    Ok(Space {
        total: block.saturating_mul(answer.f_blocks as u64),
        free: block.saturating_mul(answer.f_bavail as u64),
    })
}

/// A file that is only memory, close-on-exec; it lives as long as somebody holds it.
pub fn memory(name: &str, bytes: u64) -> io::Result<File> {
    let name = CString::new(name)?;
    // SAFETY: a string with its NUL.
    let fd = check(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the call succeeded, so the descriptor is open and ours alone.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.set_len(bytes)?;
    Ok(file)
}

/// Gives the memory behind a part of a file back to the system; it reads as zeros afterwards.
pub fn punch(file: &File, at: u64, bytes: u64) -> io::Result<()> {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: numbers only, on a descriptor that `file` keeps open.
    check(unsafe { libc::fallocate(file.as_raw_fd(), mode, at as libc::off_t, bytes as libc::off_t) }).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_at_a_time() {
        let path = std::env::temp_dir().join(format!("gostech-lock-{}", std::process::id()));
        let a = File::create(&path).unwrap();
        let b = File::open(&path).unwrap();
        assert!(lock(&a).unwrap());
        assert!(!lock(&b).unwrap());
        drop(a);
        assert!(lock(&b).unwrap());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn space_and_memory() {
        let s = space(Path::new("/")).unwrap();
        assert!(s.total > 0 && s.free <= s.total);
        let m = memory("test", 8192).unwrap();
        assert_eq!(m.metadata().unwrap().len(), 8192);
        punch(&m, 0, 4096).unwrap();
    }
}
