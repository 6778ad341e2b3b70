//! Descriptors that go from process to process, or from us to a server, beside some bytes.
//!
//! Refuses: to wait, more descriptors at once than somebody here needs.

use super::{check, check_size};
use crate::limits;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// So many at once.
pub const MOST: usize = limits::SOURCE_WRITERS;
/// Room for a control message with so many.
const CONTROL: usize = 96;

/// Two sockets that are each other's ends; messages keep their borders. Close-on-exec, nobody waits.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds: [RawFd; 2] = [-1; 2];
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: `fds` is room for the two descriptors the call writes.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so both are open and nobody else owns them.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

/// Sends bytes and descriptors as one message; the sender keeps his.
pub fn send(to: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let fds: Vec<RawFd> = fds.iter().take(MOST).map(AsRawFd::as_raw_fd).collect();
    let size = size_of_val(fds.as_slice()) as u32;
    // SAFETY: CMSG_LEN and CMSG_SPACE only reckon; the header is the first in the message's room, which is aligned and
    // larger than the space of MOST descriptors, and outlives the call; the bytes are only read.
    let sent = with_message(bytes.as_ptr().cast_mut(), bytes.len(), |message| unsafe {
        match fds.len() {
            0 => (message.msg_control, message.msg_controllen) = (std::ptr::null_mut(), 0),
            _ => {
                message.msg_controllen = libc::CMSG_SPACE(size) as _;
                let head = libc::CMSG_FIRSTHDR(message);
                (*head).cmsg_level = libc::SOL_SOCKET;
                (*head).cmsg_type = libc::SCM_RIGHTS;
                (*head).cmsg_len = libc::CMSG_LEN(size) as _;
                for (i, fd) in fds.iter().enumerate() {
                    libc::CMSG_DATA(head).cast::<RawFd>().add(i).write_unaligned(*fd);
                }
            }
        }
        libc::sendmsg(to.as_raw_fd(), message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
    });
    check_size(sent).map(drop)
}

/// The next message: how many bytes of it are in `room`, and its descriptors.
pub fn receive(from: BorrowedFd<'_>, room: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    receive_with(from, room, 0)
}

/// The same, and it stays there.
pub fn peek(from: BorrowedFd<'_>, room: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    receive_with(from, room, libc::MSG_PEEK)
}

fn receive_with(from: BorrowedFd<'_>, room: &mut [u8], flags: libc::c_int) -> io::Result<(usize, Vec<OwnedFd>)> {
    let flags = flags | libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    with_message(room.as_mut_ptr(), room.len(), |message| {
        // SAFETY: room for the bytes and for the control message, both of which outlive the call.
        let n = check_size(unsafe { libc::recvmsg(from.as_raw_fd(), message, flags) })?;
        // SAFETY: the kernel has filled the room as far as it says; a header of this kind holds as many descriptors as
        // its length says, all of them open and ours alone.
        unsafe {
            let head = libc::CMSG_FIRSTHDR(message);
            if head.is_null() || (*head).cmsg_type != libc::SCM_RIGHTS {
                return Ok((n, Vec::new()));
            }
            let count = ((*head).cmsg_len as usize - libc::CMSG_LEN(0) as usize) / size_of::<RawFd>();
            let fd = |i| libc::CMSG_DATA(head).cast::<RawFd>().add(i).read_unaligned();
            Ok((n, (0..count).map(|i| OwnedFd::from_raw_fd(fd(i))).collect()))
        }
    })
}

/// A message of these bytes, with room for descriptors beside them, for as long as a call takes.
fn with_message<T>(bytes: *mut u8, length: usize, call: impl FnOnce(&mut libc::msghdr) -> T) -> T {
    let mut room = [0u64; CONTROL / 8];
    let mut part = libc::iovec { iov_base: bytes.cast(), iov_len: length };
    // SAFETY: msghdr is plain numbers and pointers, for which all zeros is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_control = room.as_mut_ptr().cast();
    message.msg_controllen = CONTROL as _;
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    call(&mut message)
}
