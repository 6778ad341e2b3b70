//! Pipes: their size, what they hold, moving bytes between them without copying, and waiting for them.
//!
//! Nothing here sets `O_NONBLOCK` on what was inherited: the other end of our stdin shares the flag with the database.

use super::{check, check_size};
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// An own pipe (read end, write end), close-on-exec.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds: [RawFd; 2] = [-1; 2];
    // SAFETY: `fds` is room for the two descriptors the call writes.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: the call succeeded, so both are open and nobody else owns them.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

/// Opens a FIFO to write into it, also where nobody reads (a write is EPIPE then): its own description, in which nobody waits.
/// No link is followed.
pub fn open_writer(path: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let open = |read| OpenOptions::new().read(read).write(true).custom_flags(flags).open(path);
    // Whoever has both ends open finds a reader: himself, for as long as that takes.
    let both = open(true);
    match open(false) {
        Err(e) if e.raw_os_error() == Some(libc::ENXIO) => Err(both.err().unwrap_or(e)),
        other => other,
    }
}

/// Widens a pipe as far as the system allows, up to `most` bytes; gives the size it has then.
pub fn widen(fd: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let mut want = most;
    let now = size(fd)?;
    while want > now {
        // SAFETY: fcntl with an integer argument; the descriptor is borrowed and so open.
        let got = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETPIPE_SZ, want as libc::c_int) };
        if got > 0 {
            return Ok(got as usize);
        }
        want /= 2;
    }
    Ok(now)
}

/// How many bytes a pipe can hold; an error when it is no pipe.
pub fn size(fd: BorrowedFd<'_>) -> io::Result<usize> {
    // SAFETY: fcntl without a third argument on a borrowed descriptor.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETPIPE_SZ) }).map(|n| n as usize)
}

/// How many bytes a pipe holds now.
pub fn held(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, and `bytes` is one.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD as _, &mut bytes) })?;
    Ok(bytes.max(0) as usize)
}

/// Moves up to `most` bytes from one descriptor into a pipe without a wait: 0 is the end of the input, `WouldBlock` that
/// there is nothing now. The kernel moves whole bytes or none: a process killed meanwhile leaves each byte in one of both.
pub fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE;
    let (none_in, none_out) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: both offsets are null (pipes have none, a file moves its own); the descriptors are borrowed and so open.
    check_size(unsafe { libc::splice(from.as_raw_fd(), none_in, to.as_raw_fd(), none_out, most, flags) })
}

/// Reads what is there, as everyone does.
pub fn read(from: BorrowedFd<'_>, to: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the descriptor is borrowed and so open; the call writes into a slice that is ours, and no further.
    check_size(unsafe { libc::read(from.as_raw_fd(), to.as_mut_ptr().cast(), to.len()) })
}

/// What `wait` saw of one descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// There is something to read (or the end of it).
    pub readable: bool,
    /// The other end is gone.
    pub hung_up: bool,
}

/// From now on this is standard input, also of those who are forked.
pub fn as_stdin(fd: OwnedFd) -> io::Result<()> {
    // SAFETY: numbers only; `fd` is open, and closed with its own number when this is done.
    check(unsafe { libc::dup2(fd.as_raw_fd(), libc::STDIN_FILENO) }).map(drop)
}

/// Makes a FIFO with this mode.
pub fn make_fifo(path: &Path, mode: u32) -> io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a text with its zero that lives through both calls.
    check(unsafe { libc::mkfifo(name.as_ptr(), 0o600) })?;
    // SAFETY: as above. The mask of the process has no say in it.
    check(unsafe { libc::chmod(name.as_ptr(), mode as libc::mode_t) }).map(drop)
}

/// Waits until one of these is readable or hung up, at most `patience`; a signal ends it early.
pub fn wait_for_any(fds: &[BorrowedFd<'_>], patience: Option<Duration>) -> io::Result<bool> {
    let one = |fd: &BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut polls: Vec<libc::pollfd> = fds.iter().map(one).collect();
    let millis = patience.map_or(-1, |p| p.as_micros().div_ceil(1000).min(i32::MAX as u128) as libc::c_int);
    // SAFETY: `polls` holds as many pollfd as is said.
    match check(unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, millis) }) {
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(false),
        answer => answer.map(|n| n > 0),
    }
}

/// Waits until one of a few descriptors is readable or hung up, at most `patience`; a signal ends it early.
pub fn wait<const N: usize>(fds: [BorrowedFd<'_>; N], patience: Option<Duration>) -> io::Result<[Ready; N]> {
    let mut polls = fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let millis = patience.map_or(-1, |p| p.as_micros().div_ceil(1000).min(i32::MAX as u128) as libc::c_int);
    // SAFETY: `polls` is an array of N pollfd, and N is what is said.
    let answer = unsafe { libc::poll(polls.as_mut_ptr(), N as libc::nfds_t, millis) };
    if answer == -1 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
        return Ok([Ready::default(); N]);
    }
    Ok(polls.map(|p| Ready {
        readable: p.revents & (libc::POLLIN | libc::POLLHUP | libc::POLLERR) != 0,
        hung_up: p.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0,
    }))
}

/// What can be done with a program that is talked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Talk {
    /// It takes a page at once.
    pub takes: bool,
    /// It has said something, or will say no more.
    pub says: bool,
    /// So on its standard error.
    pub complains: bool,
}

/// Waits for a program, at most `patience`; a descriptor that is not there is not waited for.
pub fn talk(
    write: Option<BorrowedFd<'_>>,
    says: BorrowedFd<'_>,
    complains: Option<BorrowedFd<'_>>,
    patience: Duration,
) -> io::Result<Talk> {
    // A negative number is passed over.
    let of = |fd: Option<BorrowedFd<'_>>, events| {
        let fd = fd.map_or(-1, |fd| fd.as_raw_fd());
        libc::pollfd { fd, events, revents: 0 }
    };
    let mut polls = [of(write, libc::POLLOUT), of(Some(says), libc::POLLIN), of(complains, libc::POLLIN)];
    let millis = patience.as_micros().div_ceil(1000).min(i32::MAX as u128) as libc::c_int;
    // SAFETY: `polls` is an array of three pollfd, and three is what is said; the descriptors are borrowed and so open.
    if unsafe { libc::poll(polls.as_mut_ptr(), 3, millis) } == -1 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted { Ok(Talk::default()) } else { Err(error) };
    }
    let [takes, says, complains] = polls.map(|p| p.revents != 0);
    Ok(Talk { takes, says, complains })
}

/// Waits until a descriptor takes a page at once, at most `patience`. True also when it will only give an error.
pub fn takes(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    let mut one = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    let millis = patience.as_millis().min(i32::MAX as u128) as libc::c_int;
    // SAFETY: one pollfd, and one is what is said; the descriptor is borrowed and so open.
    unsafe { libc::poll(&mut one, 1, millis) == 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn a_pipe_is_widened_filled_and_moved() {
        let (r, w) = pair().unwrap();
        let (r2, w2) = pair().unwrap();
        assert!(widen(r.as_fd(), 1 << 20).unwrap() >= 65536);
        let mut w = std::fs::File::from(w);
        assert_eq!(splice(r.as_fd(), w2.as_fd(), 100).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        w.write_all(b"hello").unwrap();
        assert_eq!(held(r.as_fd()).unwrap(), 5);
        assert!(wait([r.as_fd()], Some(Duration::ZERO)).unwrap()[0].readable);
        assert_eq!(splice(r.as_fd(), w2.as_fd(), 100).unwrap(), 5);
        assert_eq!((held(r.as_fd()).unwrap(), held(r2.as_fd()).unwrap()), (0, 5));
        assert!(takes(w.as_fd(), Duration::ZERO));
        w.write_all(&vec![0; size(w.as_fd()).unwrap()]).unwrap();
        assert!(!takes(w.as_fd(), Duration::from_millis(1)), "full");
        let mut all = vec![0; held(r.as_fd()).unwrap()];
        std::io::Read::read_exact(&mut std::fs::File::from(r.try_clone().unwrap()), &mut all).unwrap();
        drop(w);
        assert_eq!(splice(r.as_fd(), w2.as_fd(), 100).unwrap(), 0);
        assert!(wait([r.as_fd()], None).unwrap()[0].hung_up);
    }
}
