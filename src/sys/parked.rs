//! Files that are parked: they lie in a socket pair, sent and never received. A lock on such a file lasts as long as any process
//! that has the pair, whoever took it, and whether or not that one lives; and a directory in it keeps its number.
//!
//! What a process inherits by `fork` it need not be told of, so a worker can put into its keeper's hands what its keeper
//! never opens. Refuses: to wait.

use super::{check, check_size};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;

/// Room for a control message with so many descriptors.
const CONTROL: usize = 64;
const FILES: usize = 2;

/// Holds a few files that belong together, or none.
#[derive(Debug)]
pub struct ParkedFiles {
    hand: OwnedFd,
    bottom: OwnedFd,
}

impl ParkedFiles {
    /// An empty one, close-on-exec.
    pub fn make() -> io::Result<ParkedFiles> {
        let mut fds: [RawFd; 2] = [-1; 2];
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: `fds` is room for the two descriptors the call writes.
        check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) })?;
        // SAFETY: the call succeeded, so both are open and nobody else owns them.
        let [hand, bottom] = fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        Ok(ParkedFiles { hand, bottom })
    }

    /// Puts these files in, and then takes out what was there before.
    pub fn put(&self, files: &[&File]) -> io::Result<()> {
        if is(&self.look()?, files) {
            return Ok(());
        }
        self.send(files)?;
        while !is(&self.look()?, files) {
            self.receive(0)?;
        }
        Ok(())
    }

    /// What is in it, and stays there.
    pub fn look(&self) -> io::Result<Vec<File>> {
        self.receive(libc::MSG_PEEK)
    }

    /// Takes all out.
    pub fn clear(&self) -> io::Result<()> {
        while !self.receive(0)?.is_empty() {}
        Ok(())
    }

    fn send(&self, files: &[&File]) -> io::Result<()> {
        let fds: Vec<RawFd> = files.iter().take(FILES).map(|f| f.as_raw_fd()).collect();
        let bytes = size_of_val(fds.as_slice()) as u32;
        // SAFETY: CMSG_LEN and CMSG_SPACE only reckon; the header is the first in the message's room, which is aligned and
        // larger than the space of FILES descriptors, and outlives the call.
        let sent = with_message(|message| unsafe {
            message.msg_controllen = libc::CMSG_SPACE(bytes) as _;
            let head = libc::CMSG_FIRSTHDR(message);
            (*head).cmsg_level = libc::SOL_SOCKET;
            (*head).cmsg_type = libc::SCM_RIGHTS;
            (*head).cmsg_len = libc::CMSG_LEN(bytes) as _;
            for (i, fd) in fds.iter().enumerate() {
                libc::CMSG_DATA(head).cast::<RawFd>().add(i).write_unaligned(*fd);
            }
            libc::sendmsg(self.hand.as_raw_fd(), message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
        });
        check_size(sent).map(|_| ())
    }

    /// The oldest.
    fn receive(&self, flags: libc::c_int) -> io::Result<Vec<File>> {
        let flags = flags | libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        with_message(|message| {
            // SAFETY: room for one byte and for the control message, both of which outlive the call.
            match check_size(unsafe { libc::recvmsg(self.bottom.as_raw_fd(), message, flags) }) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Vec::new()),
                other => other?,
            };
            // SAFETY: the kernel has filled the room as far as it says; a header of this kind holds as many descriptors as
            // its length says, all of them open and ours alone.
            unsafe {
                let head = libc::CMSG_FIRSTHDR(message);
                if head.is_null() || (*head).cmsg_type != libc::SCM_RIGHTS {
                    return Err(io::Error::other("no descriptor could be taken"));
                }
                let count = ((*head).cmsg_len as usize - libc::CMSG_LEN(0) as usize) / size_of::<RawFd>();
                let fd = |i| libc::CMSG_DATA(head).cast::<RawFd>().add(i).read_unaligned();
                Ok((0..count).map(|i| File::from(OwnedFd::from_raw_fd(fd(i)))).collect())
            }
        })
    }
}

fn is(there: &[File], files: &[&File]) -> bool {
    there.len() == files.len() && there.iter().zip(files).all(|(a, b)| same(a, b))
}

/// Whether both are one file.
pub fn same(a: &File, b: &File) -> bool {
    let place = |f: &File| f.metadata().map(|m| (m.dev(), m.ino()));
    matches!((place(a), place(b)), (Ok(a), Ok(b)) if a == b)
}

/// A message of one byte, with room for descriptors beside it, for as long as a call takes.
fn with_message<T>(call: impl FnOnce(&mut libc::msghdr) -> T) -> T {
    let (mut room, mut byte) = ([0u64; CONTROL / 8], 0u8);
    let mut bytes = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: msghdr is plain numbers and pointers, for which all zeros is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_control = room.as_mut_ptr().cast();
    message.msg_controllen = CONTROL as _;
    message.msg_iov = &mut bytes;
    message.msg_iovlen = 1;
    call(&mut message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::file::lock;

    #[test]
    fn a_lock_in_it_outlives_who_took_it() {
        let path = std::env::temp_dir().join(format!("gostech-parked-{}", std::process::id()));
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        let parked = ParkedFiles::make().unwrap();
        assert!(parked.look().unwrap().is_empty());
        let file = open();
        assert!(lock(&file).unwrap());
        parked.put(&[&file]).unwrap();
        drop(file);
        assert!(!lock(&open()).unwrap());
        // Looked at, it is the very one, and stays.
        let seen = parked.look().unwrap().remove(0);
        assert!(same(&seen, &open()) && lock(&seen).unwrap());
        drop(seen);
        parked.put(&[&open()]).unwrap();
        assert!(!lock(&open()).unwrap(), "what is there already is not exchanged");
        // Other files drive it out.
        let (other, dir) = (File::open("/dev/null").unwrap(), File::open("/").unwrap());
        parked.put(&[&other, &dir]).unwrap();
        assert!(is(&parked.look().unwrap(), &[&other, &dir]) && lock(&open()).unwrap());
        let file = open();
        assert!(lock(&file).unwrap());
        parked.put(&[&file]).unwrap();
        drop(file);
        parked.clear().unwrap();
        assert!(parked.look().unwrap().is_empty() && lock(&open()).unwrap());
        std::fs::remove_file(&path).unwrap();
    }
}
