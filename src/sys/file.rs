//! Files: exclusive locks, free space, anonymous memory files.

use super::check;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
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

/// Gives the lock back before the descriptor is closed.
pub fn unlock(file: &File) {
    // SAFETY: flock on a descriptor that `file` keeps open. It has nothing to refuse.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
}

/// A lock that ends with this value. A child that is being started has the descriptor for a moment: closing it is not enough.
#[derive(Debug)]
pub struct Locked(File);

impl Locked {
    /// None when somebody else has it.
    pub fn take(file: File) -> io::Result<Option<Locked>> {
        Ok(lock(&file)?.then_some(Locked(file)))
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        unlock(&self.0);
    }
}

fn whole(kind: libc::c_int) -> libc::flock {
    // SAFETY: flock is plain numbers, for which all zeros is a value: from the beginning of the file to its end.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

/// Claims a file for this very process, without a wait: false when another one has claimed it. Children do not inherit it, and
/// it ends with the process, or when that closes any descriptor of the file.
pub fn claim(file: &File) -> io::Result<bool> {
    let lock = whole(libc::F_WRLCK);
    // SAFETY: the descriptor is kept open by `file`; the kernel reads one struct, which lives through the call.
    match check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &lock) }) {
        Ok(_) => Ok(true),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Which other process has claimed it.
pub fn claimed_by(file: &File) -> Option<i32> {
    let mut lock = whole(libc::F_WRLCK);
    // SAFETY: the descriptor is kept open by `file`; the kernel writes to one struct, which is ours.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &mut lock) }).ok()?;
    (lock.l_type != libc::F_UNLCK as libc::c_short && lock.l_pid > 1).then_some(lock.l_pid)
}

/// Who holds the lock that `lock` takes on this file, as the system tells: the process that took it. Nothing is locked or
/// asked for, so a helper that starts at this moment does not notice.
pub fn lock_holder(file: &File) -> io::Result<Option<i32>> {
    let place = format!("{}:{}", device_of(file)?, file.metadata()?.ino());
    let table = std::fs::read_to_string("/proc/locks")?;
    // `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`; those that wait have an arrow after the number.
    let holder = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ours = words.get(1) == Some(&"FLOCK") && words.get(5) == Some(&place.as_str());
        ours.then(|| words.get(4)?.parse().ok()).flatten()
    };
    Ok(table.lines().find_map(holder))
}

/// The device of a file as `/proc/locks` writes it. Some file systems (btrfs, overlays) tell another one in the file's own
/// metadata, so it is taken from the mount.
fn device_of(file: &File) -> io::Result<String> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd()))?;
    let mount = info.lines().find_map(|l| l.strip_prefix("mnt_id:")).map(str::trim);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let found = mounts.lines().find_map(|l| {
        let mut words = l.split(' ');
        let device = words.next().filter(|id| Some(*id) == mount).and_then(|_| words.nth(1))?;
        let (major, minor) = device.split_once(':')?;
        Some(format!("{:02x}:{:02x}", major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    found.ok_or_else(|| io::Error::other("the mount of the file is not known"))
}

/// Opens what must be a regular file, in a directory where others may have put something else: no link is followed, and
/// nobody waits for the other end of a FIFO.
pub fn open_regular(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = match options.custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(e) if e.raw_os_error() == Some(libc::ELOOP) => return Err(irregular(path, "is a symbolic link")),
        // A socket, or a FIFO without a reader.
        Err(e) if e.raw_os_error() == Some(libc::ENXIO) => return Err(irregular(path, "is a socket or a FIFO")),
        Err(e) => return Err(e),
    };
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(irregular(path, "is a directory, a FIFO or a device")),
    }
}

/// The same, for reading.
pub fn read_regular(path: &Path) -> io::Result<File> {
    open_regular(path, OpenOptions::new().read(true))
}

/// A new file in the place of whatever has this name.
pub fn create_anew(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    open_regular(path, OpenOptions::new().write(true).create_new(true).mode(0o600))
}

fn irregular(path: &Path, what: &str) -> io::Error {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    io::Error::other(format!("`{}` {what}, where a file should be", name.escape_debug()))
}

/// The size of a file system and what an unprivileged user may still write there, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What is left.
    pub free: u64,
}

/// Whether this process may make and remove files in a directory, as far as owners and modes go.
pub fn is_writable(dir: &Path) -> bool {
    let Ok(path) = CString::new(dir.as_os_str().as_bytes()) else { return false };
    // SAFETY: a string with its NUL that lives through the call.
    unsafe { libc::access(path.as_ptr(), libc::W_OK | libc::X_OK) == 0 }
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

/// A file that is only memory, close-on-exec; it lives as long as somebody holds it. As long as `bytes`, or shorter where the
/// limit of file sizes (`ulimit -f`) does not let it be: a sparse file is longer than what will ever be in it.
pub fn memory(name: &str, bytes: u64) -> io::Result<File> {
    let name = CString::new(name)?;
    // SAFETY: a string with its NUL.
    let fd = check(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the call succeeded, so the descriptor is open and ours alone.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    let mut length = bytes;
    while let Err(e) = file.set_len(length) {
        length /= 2;
        if e.raw_os_error() != Some(libc::EFBIG) || length == 0 {
            return Err(e);
        }
    }
    Ok(file)
}

/// A file of memory with these bytes, which nobody can change any more.
pub fn sealed(name: &str, bytes: &[u8]) -> io::Result<File> {
    let name = CString::new(name)?;
    // SAFETY: a string with its NUL.
    let fd = check(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) })?;
    // SAFETY: the call succeeded, so the descriptor is open and ours alone.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    (&file).write_all(bytes)?;
    let all = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: fcntl with a number, on a descriptor that `file` keeps open.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, all) })?;
    Ok(file)
}

/// Where the next bytes stand that are in no hole; `NotFound`: there are none.
pub fn data_from(file: &File, at: u64) -> io::Result<u64> {
    // SAFETY: numbers only, on a descriptor that `file` keeps open; nobody reads it from where it stands.
    match unsafe { libc::lseek(file.as_raw_fd(), at as libc::off_t, libc::SEEK_DATA) } {
        -1 => match io::Error::last_os_error() {
            e if e.raw_os_error() == Some(libc::ENXIO) => Err(io::ErrorKind::NotFound.into()),
            e => Err(e),
        },
        at => Ok(at as u64),
    }
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
        // As a child has it that is just being started.
        let _inherited = a.try_clone().unwrap();
        let a = Locked::take(a).unwrap().expect("nobody has it");
        assert!(!lock(&b).unwrap());
        assert_eq!(lock_holder(&b).unwrap(), Some(std::process::id() as i32));
        drop(a);
        assert_eq!(lock_holder(&b).unwrap(), None);
        assert!(lock(&b).unwrap());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_regular_file_is_neither_followed_nor_waited_for() {
        let dir = std::env::temp_dir().join(format!("gostech-regular-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("directory")).unwrap();
        let at = |name: &str| dir.join(name);
        std::fs::write(at("file"), "x").unwrap();
        for (link, target) in [("link", "file"), ("dangling", "made"), ("device", "/dev/zero")] {
            std::os::unix::fs::symlink(target, at(link)).unwrap();
        }
        assert!(std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(read_regular(&at("file")).unwrap().metadata().unwrap().len(), 1);
        for name in ["link", "dangling", "device", "fifo", "socket", "directory"] {
            let said = read_regular(&at(name)).unwrap_err().to_string();
            assert!(said.contains("where a file should be"), "{name}: {said}");
            let write = open_regular(&at(name), OpenOptions::new().read(true).write(true).create(true));
            assert!(write.is_err(), "{name}");
            assert_eq!(create_anew(&at(name)).is_ok(), name != "directory", "{name}: it is another file now");
        }
        assert!(!at("made").exists() && std::fs::read(at("file")).unwrap() == b"x");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn space_and_memory() {
        let s = space(Path::new("/")).unwrap();
        assert!(s.total > 0 && s.free <= s.total);
        let m = memory("test", 8192).unwrap();
        assert_eq!(m.metadata().unwrap().len(), 8192);
        punch(&m, 0, 4096).unwrap();
        let s = sealed("test", b"abc").unwrap();
        assert!((&s).write_all(b"d").is_err() && s.set_len(0).is_err() && s.metadata().unwrap().len() == 3);
    }
}
