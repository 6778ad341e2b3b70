//! The bytes between us and the database: TCP or a unix socket, in clear or in TLS, every read and write under a deadline.
//!
//! The deadline sits below TLS and is looked at before every system call, so that a server that sends a byte a second is
//! cut off as surely as one that sends nothing. Refuses: waiting without a deadline.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A connected socket.
pub enum Socket {
    /// Over the network.
    Tcp(TcpStream),
    /// On this machine.
    Unix(UnixStream),
}

/// A socket whose every call ends at the deadline.
pub struct Timed {
    socket: Socket,
    /// When everything must be over.
    pub deadline: Instant,
}

impl Timed {
    /// Watches over a connected socket.
    pub fn new(socket: Socket, deadline: Instant) -> Self {
        Timed { socket, deadline }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        match self.deadline.checked_duration_since(Instant::now()) {
            // Less than a millisecond would be rounded to «for ever» by some kernels.
            Some(left) if left >= Duration::from_millis(1) => Ok(Some(left)),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.left()?;
        match &mut self.socket {
            Socket::Tcp(s) => {
                s.set_read_timeout(left)?;
                s.read(buf)
            }
            Socket::Unix(s) => {
                s.set_read_timeout(left)?;
                s.read(buf)
            }
        }
    }
}

impl Write for Timed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let left = self.left()?;
        match &mut self.socket {
            Socket::Tcp(s) => {
                s.set_write_timeout(left)?;
                s.write(buf)
            }
            Socket::Unix(s) => {
                s.set_write_timeout(left)?;
                s.write(buf)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes, in clear or in TLS.
pub enum Wire {
    /// In clear.
    Plain(Timed),
    /// In TLS.
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, Timed>>),
}

impl Wire {
    /// From now on everything must be over by then.
    pub fn until(&mut self, deadline: Instant) {
        match self {
            Wire::Plain(s) => s.deadline = deadline,
            Wire::Tls(s) => s.sock.deadline = deadline,
        }
    }

    /// Whether no one between us and the server can read along: TLS, a unix socket, or the same machine.
    pub fn private(&self) -> bool {
        match self {
            Wire::Tls(_) | Wire::Plain(Timed { socket: Socket::Unix(_), .. }) => true,
            Wire::Plain(Timed { socket: Socket::Tcp(s), .. }) => s.peer_addr().is_ok_and(|a| a.ip().is_loopback()),
        }
    }

    /// Writes everything.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Plain(s) => s.write_all(bytes),
            Wire::Tls(s) => s.write_all(bytes).and_then(|()| s.flush()),
        }
    }

    /// Reads what is there, at most `most` bytes, behind what the buffer holds; nothing means that the server closed.
    pub fn receive(&mut self, buffer: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        let before = buffer.len();
        buffer.resize(before + most, 0);
        let result = loop {
            let read = match self {
                Wire::Plain(s) => s.read(&mut buffer[before..]),
                Wire::Tls(s) => s.read(&mut buffer[before..]),
            };
            match read {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A server that goes away without TLS's goodbye: closed, like any other.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break Ok(0),
                other => break other,
            }
        };
        buffer.truncate(before + result.as_ref().map_or(0, |n| *n));
        result
    }
}
