//! Waiting for a descriptor with a deadline, and connecting to a Unix socket without waiting.

use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// What a descriptor is ready for. An error or a hang-up counts as ready: the next call then says what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// A read would not wait.
    pub read: bool,
    /// A write would not wait.
    pub write: bool,
}

/// Waits until the descriptor is ready for what was asked, or the time is over (nothing is ready then).
pub fn wait(fd: BorrowedFd<'_>, read: bool, write: bool, timeout: Duration) -> io::Result<Ready> {
    let end = Instant::now() + timeout;
    let mut events = 0;
    if read {
        events |= libc::POLLIN;
    }
    if write {
        events |= libc::POLLOUT;
    }
    loop {
        let mut one = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
        let left = end.saturating_duration_since(Instant::now());
        // Rounded up: a wait of half a millisecond must not become a spin.
        let millis = left.as_micros().div_ceil(1000).min(i32::MAX as u128) as i32;
        // SAFETY: `one` is one pollfd that lives through the call; the descriptor is borrowed, so it stays open.
        let n = unsafe { libc::poll(&mut one, 1, millis) };
        if n < 0 {
            let e = io::Error::last_os_error();
            if e.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(e);
        }
        let broken = one.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0;
        return Ok(Ready {
            read: read && (broken || one.revents & libc::POLLIN != 0),
            write: write && (broken || one.revents & libc::POLLOUT != 0),
        });
    }
}

/// The address of a path.
fn unix_address(path: &Path) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    let bytes = path.as_os_str().as_bytes();
    // SAFETY: sockaddr_un is plain old data; all zeroes is a valid value of it.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    if bytes.is_empty() || bytes.len() >= address.sun_path.len() || bytes.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a path a Unix socket can have"));
    }
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    Ok((address, std::mem::size_of::<libc::sockaddr_un>() as libc::socklen_t))
}

fn unix_socket(kind: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the result is checked before it is owned.
    let fd = unsafe { libc::socket(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0) };
    super::check(fd)?;
    // SAFETY: the descriptor was made just now and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A Unix stream socket without a name, whose file will have this mode.
pub fn unbound_unix(mode: u32) -> io::Result<OwnedFd> {
    unbound(libc::SOCK_STREAM, mode)
}

fn unbound(kind: libc::c_int, mode: u32) -> io::Result<OwnedFd> {
    let socket = unix_socket(kind)?;
    // SAFETY: no pointers; the descriptor is ours.
    super::check(unsafe { libc::fchmod(socket.as_raw_fd(), mode as libc::mode_t) })?;
    Ok(socket)
}

/// Gives it a name, and lets it listen with a queue so long.
pub fn bind_unix(socket: BorrowedFd<'_>, path: &Path, queue: i32) -> io::Result<()> {
    bind(socket, path)?;
    lengthen_queue(socket, queue)
}

fn bind(socket: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let (address, size) = unix_address(path)?;
    // SAFETY: `address` is an initialised sockaddr_un of `size` bytes that lives through the call.
    super::check(unsafe { libc::bind(socket.as_raw_fd(), std::ptr::addr_of!(address).cast(), size) }).map(drop)
}

/// A Unix socket with this name and mode at which others write: a stream, for so many who wait to be taken, or datagrams.
pub fn receiving_unix(path: &Path, stream: bool, mode: u32, queue: i32) -> io::Result<OwnedFd> {
    let socket = unbound(if stream { libc::SOCK_STREAM } else { libc::SOCK_DGRAM }, mode)?;
    match stream {
        true => bind_unix(socket.as_fd(), path, queue)?,
        false => bind(socket.as_fd(), path)?,
    }
    // The mask of the process has taken away what others need.
    std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(socket)
}

/// Whether it is of streams.
pub fn is_stream(socket: BorrowedFd<'_>) -> bool {
    let (mut kind, mut size) = (0 as libc::c_int, std::mem::size_of::<libc::c_int>() as libc::socklen_t);
    let at = std::ptr::addr_of_mut!(kind).cast();
    // SAFETY: room for one int, whose size is said; both live through the call.
    let got = unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TYPE, at, &mut size) };
    got == 0 && kind == libc::SOCK_STREAM
}

/// Nobody waits at it any more.
pub fn set_nonblocking(socket: BorrowedFd<'_>) -> io::Result<()> {
    let mut on: libc::c_int = 1;
    // SAFETY: FIONBIO reads one int, and `on` is one.
    super::check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONBIO as _, &mut on) }).map(drop)
}

/// The next one who has connected to a listener that nobody waits at.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: null pointers: nobody asks for the address. The result is checked before it is owned.
    let fd = super::check(unsafe {
        libc::accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), flags)
    })?;
    // SAFETY: the descriptor was made just now and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What comes next, without taking it: a datagram's length, also where the room is less; of a stream what fits.
pub fn peek(socket: BorrowedFd<'_>, room: &mut [u8]) -> io::Result<usize> {
    receive(socket, room, libc::MSG_PEEK | libc::MSG_TRUNC)
}

/// Takes it: a datagram whole, of a stream as much as the room is long.
pub fn take(socket: BorrowedFd<'_>, room: &mut [u8]) -> io::Result<usize> {
    receive(socket, room, 0)
}

fn receive(socket: BorrowedFd<'_>, room: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    let flags = flags | libc::MSG_DONTWAIT;
    // SAFETY: the call writes into a slice that is ours, and no further; the descriptor is borrowed and so open.
    super::check_size(unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), flags) })
}

/// Connects to a Unix stream socket without waiting: a listener whose queue is full is `WouldBlock`, and a blocking
/// connect (std's only one) would wait for it without end. The stream is non-blocking.
pub fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let (address, size) = unix_address(path)?;
    let owned = unix_socket(libc::SOCK_STREAM | libc::SOCK_NONBLOCK)?;
    // SAFETY: `address` is an initialised sockaddr_un of `size` bytes that lives through the call.
    super::check(unsafe { libc::connect(owned.as_raw_fd(), std::ptr::addr_of!(address).cast(), size) })?;
    Ok(UnixStream::from(owned))
}

/// How many bytes of what was written to a stream the other side's kernel (a Unix socket: the other side) does not have.
pub fn unsent(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (TIOCOUTQ by its older name) writes one int, and `bytes` is one.
    super::check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ as _, &mut bytes) })?;
    Ok(bytes.max(0) as usize)
}

/// What is still unsent when the socket is closed is thrown away: else the kernel goes on sending it, beside what is sent
/// anew.
pub fn discard_unsent(fd: BorrowedFd<'_>) -> io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = std::mem::size_of::<libc::linger>() as libc::socklen_t;
    let at = std::ptr::addr_of!(linger).cast();
    // SAFETY: `linger` is an initialised struct of `size` bytes that lives through the call.
    super::check(unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, at, size) }).map(drop)
}

/// Gives a listening socket a longer queue than the 128 that std asks for.
pub fn lengthen_queue(listener: BorrowedFd<'_>, most: i32) -> io::Result<()> {
    // SAFETY: no pointers; listening again changes the length of the queue and nothing else.
    super::check(unsafe { libc::listen(listener.as_raw_fd(), most) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixListener;

    #[test]
    fn waits_for_what_was_asked_and_no_longer_than_that() {
        let (a, mut b) = UnixStream::pair().unwrap();
        let begun = Instant::now();
        assert_eq!(wait(a.as_fd(), true, false, Duration::from_millis(30)).unwrap(), Ready::default());
        assert!(begun.elapsed() >= Duration::from_millis(30));
        assert!(wait(a.as_fd(), true, true, Duration::from_secs(5)).unwrap().write);
        b.write_all(b"x").unwrap();
        assert!(wait(a.as_fd(), true, false, Duration::from_secs(5)).unwrap().read);
        drop(b);
        assert!(wait(a.as_fd(), true, false, Duration::ZERO).unwrap().read);
    }

    #[test]
    fn what_is_not_sent_is_known_and_can_be_thrown_away() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut out = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut guest, _) = listener.accept().unwrap();
        assert_eq!(unsent(out.as_fd()).unwrap(), 0);
        out.set_nonblocking(true).unwrap();
        while out.write(&[0; 65_536]).is_ok() {}
        assert!(unsent(out.as_fd()).unwrap() > 0);
        discard_unsent(out.as_fd()).unwrap();
        drop(out);
        let all = std::io::Read::read_to_end(&mut guest, &mut Vec::new());
        assert_eq!(all.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_full_queue_does_not_make_it_wait() {
        let path = std::env::temp_dir().join(format!("gostech-queue-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert_eq!(connect_unix(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        let listener = UnixListener::bind(&path).unwrap();
        lengthen_queue(listener.as_fd(), 1).unwrap();
        let mut kept = Vec::new();
        let full = (0..50).find_map(|_| connect_unix(&path).map(|s| kept.push(s)).err());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(full.unwrap().kind(), io::ErrorKind::WouldBlock);
        assert!(!kept.is_empty());
        assert!(connect_unix(Path::new("")).is_err() && connect_unix(Path::new(&"x".repeat(200))).is_err());
    }
}
