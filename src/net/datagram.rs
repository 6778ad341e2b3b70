//! Datagrams to one place: UDP to the first address of a name that takes them, or a Unix datagram socket.
//!
//! Nobody acknowledges a datagram. What can be known is known here: that no address takes any (the kernel, or the other side's,
//! said so), that a Unix socket's reader has gone, that one is too long. After a failure, and every few minutes, the name is
//! asked again; the addresses that have refused come last. Refuses: datagrams that no road takes, and to wait beyond the deadline for room.

use crate::limits;
use crate::net::failure::{words, Failure, FailureKind};
use crate::net::resolve;
use crate::net::target::Place;
use crate::sys::{descriptors, socket};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

/// Sends datagrams to one place.
#[derive(Debug)]
pub struct Datagrams {
    place: Place,
    /// The socket, and when it was opened.
    socket: Option<(Socket, Instant)>,
    /// How long one is used: nobody tells that a name has moved.
    age: Duration,
    /// So many were sent since the last pause.
    burst: usize,
    /// When a refusal was waited for last.
    looked: Option<Instant>,
}

/// A connected, non-blocking socket.
#[derive(Debug)]
enum Socket {
    /// To this address, which has taken something.
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Datagrams {
    /// Nothing is looked up or opened yet.
    pub fn new(place: Place) -> Datagrams {
        let age = Duration::from_secs(limits::DATAGRAM_AGE_SECONDS);
        Datagrams { place, socket: None, age, burst: 0, looked: None }
    }

    /// Sends one. A failure means that this one was not sent; where an earlier one was refused, that shows here at the latest,
    /// and the next call looks for another address.
    pub fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Failure> {
        if bytes.len() > limits::DATAGRAM_BYTES {
            return Err(self.too_long(bytes.len()));
        }
        if let Some((kept, _)) = self.socket.as_ref().filter(|(_, opened)| opened.elapsed() < self.age) {
            match kept.send(bytes, deadline) {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::TimedOut || is_too_long(&e) => {
                    return Err(self.not_sent(bytes.len(), &e));
                }
                // Whoever took datagrams here is gone, or has come again: looked for at once.
                Err(_) => self.socket = None,
            }
        }
        let opened = match &self.place {
            Place::Unix { path } => self.send_unix(path, bytes, deadline),
            Place::Net { host, port } => self.send_udp(host, *port, bytes, deadline),
            Place::Path { .. } | Place::Nowhere => Err(self.failure(FailureKind::Connect, "nobody takes any there")),
        };
        self.socket = Some((opened?, Instant::now()));
        Ok(())
    }

    /// Sends one of many. Over UDP they are paced, so that they do not run over the receiver's buffer.
    pub fn send_paced(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Failure> {
        if self.burst == limits::DATAGRAM_BURST && matches!(self.place, Place::Net { .. }) {
            self.burst = 0;
            std::thread::sleep(Duration::from_millis(limits::DATAGRAM_PAUSE_MILLIS));
        }
        self.burst += 1;
        self.send(bytes, deadline).inspect_err(|_| self.looked = None)
    }

    /// Behind many: whether the other side's kernel refuses them. That needs the time of the road, and is not waited for behind
    /// each of many in a row: it shows with the next.
    pub fn settled(&mut self) -> Result<(), Failure> {
        let often = Duration::from_millis(limits::DATAGRAM_LOOK_EVERY_MILLIS);
        let look = match self.looked.is_some_and(|at| at.elapsed() < often) {
            true => Duration::ZERO,
            false => Duration::from_millis(limits::DATAGRAM_LOOK_MILLIS),
        };
        if !look.is_zero() {
            self.looked = Some(Instant::now());
        }
        match self.refusal(look) {
            Some(f) => {
                self.looked = None;
                Err(f)
            }
            None => Ok(()),
        }
    }

    /// What the other side's kernel says to what was sent, as far as it says it within this time; then it is looked for anew.
    fn refusal(&mut self, look: Duration) -> Option<Failure> {
        let refused = self.socket.as_ref().and_then(|(kept, _)| kept.refusal(look))?;
        self.socket = None;
        Some(self.failure(FailureKind::Connect, &words(&refused)))
    }

    /// Whether the place is a Unix socket for streams.
    pub fn wants_stream(&self) -> bool {
        let Place::Unix { path } = &self.place else { return false };
        let connected = UnixDatagram::unbound().and_then(|s| s.connect(path));
        connected.is_err_and(|e| e.raw_os_error() == Some(libc::EPROTOTYPE))
    }

    /// Sends one that is nothing but a file, for a server behind a Unix socket that reads it from there.
    pub fn pass(&mut self, file: &File, deadline: Instant) -> Result<(), Failure> {
        let Place::Unix { path } = &self.place else {
            return Err(self.failure(FailureKind::Connect, "no file goes there"));
        };
        let pass = || {
            let socket = open_unix(path)?;
            loop {
                match descriptors::send(socket.as_fd(), &[], &[file.as_fd()]) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => socket.until_writable(deadline)?,
                    other => return other,
                }
            }
        };
        pass().map_err(|e: io::Error| self.not_sent(0, &e))
    }

    /// The socket is given up; the next datagram looks for the place anew.
    pub fn rest(&mut self) {
        self.socket = None;
    }

    fn send_unix(&self, path: &Path, bytes: &[u8], deadline: Instant) -> Result<Socket, Failure> {
        let socket = open_unix(path).map_err(|e| self.failure(FailureKind::Connect, &words(&e)))?;
        match socket.send(bytes, deadline) {
            Ok(()) => Ok(socket),
            Err(e) => Err(self.not_sent(bytes.len(), &e)),
        }
    }

    /// To each address of the name, until one takes it.
    fn send_udp(&self, host: &str, port: u16, bytes: &[u8], deadline: Instant) -> Result<Socket, Failure> {
        let addresses = resolve::candidates(host, port, deadline)?;
        let mut failed = Vec::new();
        for (n, address) in addresses.iter().enumerate() {
            if Instant::now() >= deadline {
                break;
            }
            // The last one may be as silent as it likes.
            let look = if n + 1 < addresses.len() { limits::DATAGRAM_LOOK_MILLIS } else { 0 };
            let opened = open_udp(address).and_then(|socket| {
                socket.send(bytes, deadline)?;
                socket.refusal(Duration::from_millis(look)).map_or(Ok(socket), Err)
            });
            match opened {
                Ok(socket) => {
                    resolve::answered(&addresses);
                    return Ok(socket);
                }
                Err(e) if is_too_long(&e) => return Err(self.too_long(bytes.len())),
                Err(e) => failed.push((*address, e)),
            }
        }
        Err(resolve::nobody("send datagrams to", (host, port), addresses.len(), failed))
    }

    fn not_sent(&self, size: usize, e: &io::Error) -> Failure {
        match e.kind() {
            _ if is_too_long(e) => self.too_long(size),
            io::ErrorKind::TimedOut => self.failure(FailureKind::Timeout, "nobody takes what was sent before"),
            _ => self.failure(FailureKind::Closed, &words(e)),
        }
    }

    fn too_long(&self, size: usize) -> Failure {
        self.failure(FailureKind::Protocol, &format!("{size} bytes are more than one takes"))
    }

    fn failure(&self, kind: FailureKind, why: &str) -> Failure {
        Failure::new(kind, format!("cannot send datagrams to `{}`: {why}", self.place))
    }
}

/// Longer than this road takes.
fn is_too_long(e: &io::Error) -> bool {
    e.raw_os_error() == Some(libc::EMSGSIZE)
}

fn open_unix(path: &Path) -> io::Result<Socket> {
    let unix = UnixDatagram::unbound()?;
    unix.set_nonblocking(true)?;
    unix.connect(path)?;
    Ok(Socket::Unix(unix))
}

fn open_udp(address: &SocketAddr) -> io::Result<Socket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let udp = UdpSocket::bind(any)?;
    udp.set_nonblocking(true)?;
    udp.connect(address)?;
    Ok(Socket::Udp(udp))
}

impl Socket {
    /// Sends one, waiting for room until the deadline.
    fn send(&self, bytes: &[u8], deadline: Instant) -> io::Result<()> {
        loop {
            let sent = match self {
                Socket::Udp(s) => s.send(bytes),
                Socket::Unix(s) => s.send(bytes),
            };
            match sent {
                Ok(_) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.until_writable(deadline)?,
                Err(e) => return Err(e),
            }
        }
    }

    fn until_writable(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        match !left.is_zero() && socket::wait(self.as_fd(), false, true, left)?.write {
            true => Ok(()),
            false => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// What the other side's kernel says to what was sent just now, if it says something so soon.
    fn refusal(&self, look: Duration) -> Option<io::Error> {
        let Socket::Udp(udp) = self else { return None };
        // An answer nobody asked for, or the refusal.
        let _ = socket::wait(self.as_fd(), true, false, look);
        udp.take_error().ok().flatten()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Udp(s) => s.as_fd(),
            Socket::Unix(s) => s.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::Scratch;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn receiver(address: &str) -> (UdpSocket, Place) {
        let udp = UdpSocket::bind(address).unwrap();
        udp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let port = udp.local_addr().unwrap().port();
        (udp, Place::Net { host: "localhost".into(), port })
    }

    fn next(udp: &UdpSocket) -> Vec<u8> {
        let mut bytes = vec![0; limits::DATAGRAM_BYTES];
        let n = udp.recv(&mut bytes).unwrap();
        bytes.truncate(n);
        bytes
    }

    #[test]
    fn the_first_address_that_takes_it_gets_the_very_datagram() {
        // `localhost` is 127.0.0.1 first: it refuses, and nothing is lost by that.
        let (six, place) = receiver("[::1]:0");
        let mut out = Datagrams::new(place);
        out.send(b"one", soon()).unwrap();
        out.send(b"two", soon()).unwrap();
        assert_eq!((next(&six), next(&six)), (b"one".to_vec(), b"two".to_vec()));
    }

    #[test]
    fn who_refuses_is_told_with_every_address_and_who_comes_again_is_found() {
        let (four, place) = receiver("127.0.0.1:0");
        let address = four.local_addr().unwrap();
        let mut out = Datagrams::new(place);
        out.send(b"one", soon()).unwrap();
        drop(four);
        // The kernel takes this one, and says with the next that nobody was there.
        let _ = out.send(b"lost", soon());
        let f = out.send(b"two", soon()).unwrap_err();
        assert_eq!(f.kind, FailureKind::Connect);
        assert!(f.text.contains("127.0.0.1:") && f.text.contains("[::1]:") && f.text.contains("refused"), "{f}");
        let (six, _) = receiver(&format!("[::1]:{}", address.port()));
        out.send(b"three", soon()).unwrap();
        assert_eq!(next(&six), b"three");
    }

    #[test]
    fn a_name_that_has_moved_is_found_in_time() {
        let (six, place) = receiver("[::1]:0");
        let mut out = Datagrams::new(place);
        out.send(b"one", soon()).unwrap();
        let (four, _) = receiver(&format!("127.0.0.1:{}", six.local_addr().unwrap().port()));
        out.send(b"two", soon()).unwrap();
        out.age = Duration::ZERO;
        out.send(b"three", soon()).unwrap();
        assert_eq!((next(&six), next(&six), next(&four)), (b"one".to_vec(), b"two".to_vec(), b"three".to_vec()));
    }

    #[test]
    fn what_is_too_long_is_told_and_sends_nothing() {
        let (four, place) = receiver("127.0.0.1:0");
        let mut out = Datagrams::new(place);
        let f = out.send(&vec![b'x'; limits::DATAGRAM_BYTES + 1], soon()).unwrap_err();
        assert!(f.kind == FailureKind::Protocol && f.text.contains("65508 bytes"), "{f}");
        out.send(&vec![b'x'; limits::DATAGRAM_BYTES], soon()).unwrap();
        assert_eq!(next(&four).len(), limits::DATAGRAM_BYTES);
    }

    #[test]
    fn a_unix_reader_that_comes_again_is_found_and_one_that_stands_still_costs_the_deadline() {
        let dir = Scratch::new("datagram");
        let path = dir.path("log.sock");
        let mut out = Datagrams::new(Place::Unix { path: path.clone() });
        let f = out.send(b"x", soon()).unwrap_err();
        assert!(f.kind == FailureKind::Connect && f.text.contains("unix:") && f.text.contains("No such file"), "{f}");
        let first = UnixDatagram::bind(&path).unwrap();
        out.send(b"one", soon()).unwrap();
        drop(first);
        std::fs::remove_file(&path).unwrap();
        let second = UnixDatagram::bind(&path).unwrap();
        out.send(b"two", soon()).unwrap();
        let mut bytes = [0; 16];
        let n = second.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..n], b"two");
        let begun = Instant::now();
        let f = loop {
            assert!(begun.elapsed() < Duration::from_secs(20), "its queue has no end");
            if let Err(f) = out.send(b"more", Instant::now() + Duration::from_millis(50)) {
                break f;
            }
        };
        assert_eq!(f.kind, FailureKind::Timeout, "{f}");
        while second.set_nonblocking(true).is_ok() && second.recv(&mut bytes).is_ok() {}
        out.send(b"again", soon()).unwrap();
    }
}
