//! Landlock: a process gives up, for itself and for all it will ever start, every file but those it names.
//!
//! Without rights of an administrator and without a daemon; since kernel 5.13. What a kernel can govern grows by versions
//! of its interface (ABI), so it is asked at run time. Ports are left alone on purpose: a receiver's address may change.
//! Refuses: to know whose files these are, and to be undone.

use super::check_size;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What may be done with files below a place, as the kernel's bits.
pub type Rights = u64;

/// Start a program.
pub const EXECUTE: Rights = 1 << 0;
/// Open a file for writing.
pub const WRITE_FILE: Rights = 1 << 1;
/// Open a file for reading.
pub const READ_FILE: Rights = 1 << 2;
/// List a directory.
pub const READ_DIR: Rights = 1 << 3;
/// Remove a directory.
pub const REMOVE_DIR: Rights = 1 << 4;
/// Remove or rename a file.
pub const REMOVE_FILE: Rights = 1 << 5;
/// Make a directory.
pub const MAKE_DIR: Rights = 1 << 7;
/// Make a file.
pub const MAKE_REG: Rights = 1 << 8;
/// Bind a Unix socket.
pub const MAKE_SOCK: Rights = 1 << 9;
/// Cut a file (ABI 3).
pub const TRUNCATE: Rights = 1 << 14;
/// Devices' own requests (ABI 5).
const IOCTL_DEV: Rights = 1 << 15;
/// What can be said of a single file.
const OF_FILES: Rights = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

/// Signals to processes outside, and abstract Unix sockets of theirs (ABI 6).
const ABSTRACT_SOCKETS_AND_SIGNALS: u64 = 0b11;

/// `struct landlock_ruleset_attr`; kernels that know less of it want zeros there.
#[repr(C)]
struct RulesetAttr {
    files: u64,
    network: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`, which is packed.
#[repr(C, packed)]
struct BeneathAttr {
    rights: u64,
    parent: i32,
}

/// The version of the interface that this kernel has; 0: none, or switched off.
pub fn abi() -> u32 {
    // SAFETY: with the flag VERSION the call takes a null and a zero, and only answers.
    let answer = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<RulesetAttr>(), 0usize, 1 as libc::c_uint)
    };
    u32::try_from(answer).unwrap_or(0)
}

/// Everything about files that an interface of this version governs.
pub fn all(abi: u32) -> Rights {
    // 13 is moving files between directories (ABI 2): refused unless granted, and nobody here needs it.
    let last = match abi {
        0 => return 0,
        1 => 12,
        2 => 13,
        3 | 4 => 14,
        _ => 15,
    };
    (1 << (last + 1)) - 1
}

/// Rules that are not in force yet.
#[derive(Debug)]
pub struct Ruleset {
    fd: OwnedFd,
    governed: Rights,
}

impl Ruleset {
    /// No rules: of `governed`, as far as this kernel knows it, nothing will be allowed.
    pub fn new(governed: Rights, scoped: bool) -> io::Result<Ruleset> {
        let abi = abi();
        let governed = governed & all(abi);
        let scoped = if scoped && abi >= 6 { ABSTRACT_SOCKETS_AND_SIGNALS } else { 0 };
        let attr = RulesetAttr { files: governed, network: 0, scoped };
        let size = std::mem::size_of::<RulesetAttr>();
        // SAFETY: an initialised structure of `size` bytes that lives through the call; no flags.
        let fd = check_size(unsafe {
            libc::syscall(libc::SYS_landlock_create_ruleset, &attr, size, 0 as libc::c_uint) as isize
        })?;
        // SAFETY: the call succeeded, so the descriptor is open and ours alone.
        Ok(Ruleset { fd: unsafe { OwnedFd::from_raw_fd(fd as i32) }, governed })
    }

    /// Allows `rights` with this file, or with all that is below this directory.
    pub fn allow(&self, path: &Path, rights: Rights) -> io::Result<()> {
        let place = named(path)?;
        let directory = place.metadata()?.mode() & libc::S_IFMT == libc::S_IFDIR;
        let rights = rights & self.governed & if directory { Rights::MAX } else { OF_FILES };
        if rights == 0 {
            return Ok(());
        }
        let attr = BeneathAttr { rights, parent: place.as_raw_fd() };
        let (fd, of_a_path) = (self.fd.as_raw_fd(), 1 as libc::c_int);
        // SAFETY: an initialised structure with an open descriptor in it, both living through the call; no flags.
        check_size(unsafe {
            libc::syscall(libc::SYS_landlock_add_rule, fd, of_a_path, &attr, 0 as libc::c_uint) as isize
        })
        .map(drop)
    }

    /// Puts them in force for this thread and all that it starts, for ever. No new privileges must be set before.
    pub fn enforce(self) -> io::Result<()> {
        // SAFETY: numbers only, on a descriptor that `self` keeps open.
        check_size(unsafe {
            libc::syscall(libc::SYS_landlock_restrict_self, self.fd.as_raw_fd(), 0 as libc::c_uint) as isize
        })
        .map(drop)
    }
}

/// A place by its name, not opened: a FIFO that is opened waits for a writer, and not all that may be written may be read.
/// Not by std: with musl it takes `O_PATH` for an access mode, which it drops.
fn named(path: &Path) -> io::Result<File> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a zero-terminated path that lives through the call; without O_CREAT there is no third argument.
    let fd = check_size(unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) as isize })?;
    // SAFETY: the call succeeded, so the descriptor is open and ours alone.
    Ok(unsafe { File::from_raw_fd(fd as i32) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_governs_what_the_kernels_documents_say() {
        assert_eq!(all(0), 0);
        assert_eq!(all(1), 0x1fff);
        assert_eq!(all(2) & !all(1), 1 << 13);
        assert_eq!((all(3) & !all(2), all(4)), (TRUNCATE, all(3)));
        assert_eq!((all(5) & !all(4), all(99)), (IOCTL_DEV, all(5)));
        assert_eq!(std::mem::size_of::<BeneathAttr>(), 12);
    }

    #[test]
    fn a_place_is_named_and_not_opened() {
        let path = std::env::temp_dir().join(format!("gostech-landlock-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        let (told, heard) = std::sync::mpsc::channel();
        let place = path.clone();
        std::thread::spawn(move || told.send(named(&place).map(|f| f.metadata().expect("what it is").ino())));
        // Nobody writes into it.
        let inode = heard.recv_timeout(std::time::Duration::from_secs(20)).expect("at once").expect("named");
        assert_eq!(inode, std::fs::metadata(&path).expect("there").ino());
        let _ = std::fs::remove_file(&path);
    }
}
