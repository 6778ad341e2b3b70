//! A byte stream over TCP or a Unix socket, with or without TLS, on which every call has a deadline.
//!
//! The socket is non-blocking; waiting is `poll`. Failures are exact: what the other side did (closed, reset), what TLS
//! says (alerts that come late too), or that the time was over. Writing has two kinds: `write_all`, and `send`, which
//! stops when the other side answers before it has everything, as servers do that refuse a body.

use crate::net::failure::{words, Failure, FailureKind};
use crate::net::resolve;
use crate::net::target::bracketed;
use crate::net::verdict::{self, Names};
use crate::sys::socket::{connect_unix, discard_unsent, unsent, wait, Ready};
use rustls::Connection;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A connected, non-blocking socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

impl Socket {
    /// Ends both directions; whoever waits on the socket in another thread wakes up.
    pub fn shutdown(&self) {
        // It may be gone already, which is what was wanted.
        let _ = match self {
            Socket::Tcp(s) => s.shutdown(Shutdown::Both),
            Socket::Unix(s) => s.shutdown(Shutdown::Both),
        };
    }

    /// Ends the direction to the other side.
    pub fn finish(&self) {
        let _ = match self {
            Socket::Tcp(s) => s.shutdown(Shutdown::Write),
            Socket::Unix(s) => s.shutdown(Shutdown::Write),
        };
    }
}

impl Read for &Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(s) => (&mut &*s).read(buf),
            Socket::Unix(s) => (&mut &*s).read(buf),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(s) => (&mut &*s).write(buf),
            Socket::Unix(s) => (&mut &*s).write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(s) => s.as_fd(),
            Socket::Unix(s) => s.as_fd(),
        }
    }
}

/// How a `send` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The system has all of it.
    All,
    /// The other side said something, or its last, before it had all of it, and that is there to be read. So much of it was
    /// taken; the rest can still be sent.
    Early(usize),
    /// The other side takes nothing more; what it said before may be there to be read.
    Gone,
}

/// A connected stream, over a socket of its own or one that is shared.
pub struct Stream {
    socket: Arc<Socket>,
    tls: Option<Box<Connection>>,
    /// Whose options a cure names when TLS fails.
    names: Names,
    peer: String,
}

impl Stream {
    /// Connects to a name or an address.
    pub fn tcp(host: &str, port: u16, deadline: Instant) -> Result<Stream, Failure> {
        let peer = format!("{}:{port}", bracketed(host));
        let tcp = resolve::connect(host, port, deadline)?;
        tcp.set_nonblocking(true).map_err(|e| no_connection(&peer, &e))?;
        Ok(Stream::over(Arc::new(Socket::Tcp(tcp)), peer))
    }

    /// Connects to a Unix socket.
    pub fn unix(path: &Path) -> Result<Stream, Failure> {
        let peer = format!("unix:{}", path.display());
        let unix = connect_unix(path).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => {
                let text = format!("cannot connect to `{peer}`: nobody there accepts, and its queue is full");
                Failure::new(FailureKind::Connect, text)
            }
            _ if e.raw_os_error() == Some(libc::EPROTOTYPE) => {
                let text =
                    format!("cannot connect to `{peer}`: it takes datagrams, as a syslogd does (syslog+unix://)");
                Failure::new(FailureKind::Connect, text)
            }
            _ => no_connection(&peer, &e),
        })?;
        Ok(Stream::over(Arc::new(Socket::Unix(unix)), peer))
    }

    /// A stream over a socket that was accepted, or is shared; it must be non-blocking.
    pub fn over(socket: Arc<Socket>, peer: impl Into<String>) -> Stream {
        Stream { socket, tls: None, names: Names::default(), peer: peer.into() }
    }

    /// Who is at the other end, for sentences.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether nobody between both ends can read along: TLS, a Unix socket, or the same machine.
    pub fn is_private(&self) -> bool {
        self.is_tls()
            || match self.socket.as_ref() {
                Socket::Unix(_) => true,
                Socket::Tcp(s) => s.peer_addr().is_ok_and(|a| a.ip().is_loopback()),
            }
    }

    /// Begins TLS and finishes its handshake. `names`: whose options a cure names.
    pub fn handshake(
        &mut self,
        connection: impl Into<Connection>,
        names: Names,
        deadline: Instant,
    ) -> Result<(), Failure> {
        (self.tls, self.names) = (Some(Box::new(connection.into())), names);
        self.shake_hands(deadline).map_err(|f| match f.kind {
            FailureKind::Timeout => {
                Failure::new(f.kind, format!("`{}` did not answer in time: the TLS handshake", self.peer))
            }
            _ => f,
        })
    }

    fn shake_hands(&mut self, deadline: Instant) -> Result<(), Failure> {
        while self.tls.as_ref().is_some_and(|t| t.is_handshaking()) {
            if Instant::now() >= deadline {
                return Err(self.late());
            }
            if self.flush_tls(deadline, false)? != Sent::All {
                // Why it was closed is often there to be read: an alert.
                self.pull_tls()?;
                return Err(self.ended_in_handshake("it was closed"));
            }
            if !self.tls.as_ref().is_some_and(|t| t.is_handshaking()) {
                break;
            }
            match self.pull_tls()? {
                Pulled::Nothing => drop(self.ready(true, false, deadline)?),
                Pulled::Something => {}
                Pulled::End => return Err(self.ended_in_handshake("the other side closed it")),
            }
        }
        self.flush_tls(deadline, false).map(drop)
    }

    /// Reads what there is, waiting for the first byte; nothing is the end of the stream.
    pub fn read(&mut self, buf: &mut [u8], deadline: Instant) -> Result<usize, Failure> {
        loop {
            match &mut self.tls {
                None => match self.socket.as_ref().read(buf) {
                    Ok(n) => return Ok(n),
                    Err(e) if is_again(&e) => {}
                    Err(e) => return Err(self.broke(&e)),
                },
                Some(tls) => {
                    match tls.reader().read(buf) {
                        Ok(n) => return Ok(n),
                        // Without a goodbye: whether something is missing, the protocol above can tell.
                        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                        Err(e) if is_again(&e) => {}
                        Err(e) => return Err(self.broke(&e)),
                    }
                    // Words of TLS itself, as fast as they come, must not outlast the deadline either.
                    if Instant::now() >= deadline {
                        return Err(self.late());
                    }
                    if self.pull_tls()? != Pulled::Nothing {
                        continue;
                    }
                }
            }
            self.ready(true, false, deadline)?;
        }
    }

    /// Writes everything.
    pub fn write_all(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Failure> {
        match self.push(bytes, deadline, false)? {
            Sent::All => Ok(()),
            Sent::Early(_) | Sent::Gone => {
                let text = format!("connection to `{}` broke: the other side takes no more", self.peer);
                Err(Failure::new(FailureKind::Closed, text))
            }
        }
    }

    /// Writes everything, unless the other side says something or closes first.
    pub fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<Sent, Failure> {
        self.push(bytes, deadline, true)
    }

    /// Writes what goes without waiting, and answers how much of it that was; nothing when the other side takes nothing now.
    pub fn write_now(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                match tls.write_tls(&mut self.socket.as_ref()) {
                    Ok(_) => {}
                    Err(e) if is_again(&e) => return Ok(0),
                    Err(e) => return Err(self.broke(&e)),
                }
            }
            return tls.writer().write(bytes).map_err(|e| self.broke(&e));
        }
        match self.socket.as_ref().write(bytes) {
            Ok(n) => Ok(n),
            Err(e) if is_again(&e) => Ok(0),
            Err(e) => Err(self.broke(&e)),
        }
    }

    /// Waits until the other side takes something again.
    pub fn until_writable(&self, deadline: Instant) -> Result<(), Failure> {
        self.ready(false, true, deadline).map(drop)
    }

    /// Writes what TLS still holds.
    pub fn flush(&mut self, deadline: Instant) -> Result<(), Failure> {
        self.flush_tls(deadline, false).map(drop)
    }

    /// Whether the stream is whole and nothing came that nobody asked for. Never waits.
    pub fn is_idle(&mut self) -> bool {
        // What came with the last of an answer is in the hands of TLS already, where no socket tells of it.
        if self.tls.as_mut().is_some_and(|t| !holds_nothing(t)) {
            return false;
        }
        let Ok(ready) = wait(self.as_fd(), true, false, Duration::ZERO) else { return false };
        if !ready.read {
            return true;
        }
        // TLS has words of its own between answers (new tickets); anything else is an end or a disorder.
        if self.tls.is_none() || !matches!(self.pull_tls(), Ok(Pulled::Something)) {
            return false;
        }
        self.tls.as_mut().is_some_and(holds_nothing)
    }

    /// Says goodbye, as far as that goes without waiting.
    pub fn goodbye(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut self.socket.as_ref());
        }
    }

    /// Before the stream is closed: says goodbye, or lets what nobody waits for any more go. On a slow road the kernel would
    /// go on sending that for minutes, beside what is sent anew.
    pub fn leave(&mut self) {
        match self.unsent() {
            0 => self.goodbye(),
            _ => self.discard_unsent(),
        }
    }

    /// How much of what was written the other side's kernel does not have; nothing, where the system does not say.
    pub fn unsent(&self) -> usize {
        unsent(self.as_fd()).unwrap_or(0)
    }

    /// Nobody waits for the rest of what was written: it is not sent any more when the stream is closed.
    pub fn discard_unsent(&self) {
        let _ = discard_unsent(self.as_fd());
    }

    /// Says that nothing more is sent; reading goes on.
    pub fn finish(&self) {
        self.socket.as_ref().finish();
    }

    /// Waits for the socket; over time is a failure.
    fn ready(&self, read: bool, write: bool, deadline: Instant) -> Result<Ready, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        // Whoever sends or takes a byte just in time, each time, must not outlast the deadline.
        if left.is_zero() {
            return Err(self.late());
        }
        let ready = wait(self.as_fd(), read, write, left).map_err(|e| self.broke(&e))?;
        if ready == Ready::default() {
            return Err(self.late());
        }
        Ok(ready)
    }

    fn late(&self) -> Failure {
        Failure::new(FailureKind::Timeout, format!("connection to `{}`: the time was over", self.peer))
    }

    fn push(&mut self, bytes: &[u8], deadline: Instant, early: bool) -> Result<Sent, Failure> {
        let mut taken = 0;
        loop {
            // What TLS has taken goes first: also what it holds since the last time.
            match self.flush_tls(deadline, early)? {
                Sent::All if taken == bytes.len() => return Ok(Sent::All),
                Sent::All => {}
                Sent::Early(_) => return Ok(Sent::Early(taken)),
                Sent::Gone => return Ok(Sent::Gone),
            }
            if let Some(tls) = &mut self.tls {
                // Takes as much as its buffer bound allows; the rest after the flush.
                taken += tls.writer().write(&bytes[taken..]).map_err(|e| self.broke(&e))?;
                continue;
            }
            match self.socket.as_ref().write(&bytes[taken..]) {
                Ok(n) => taken += n,
                Err(e) if is_again(&e) => {
                    if !self.ready(early, true, deadline)?.write {
                        return Ok(Sent::Early(taken));
                    }
                }
                Err(e) if is_gone(&e) => return Ok(Sent::Gone),
                Err(e) => return Err(self.broke(&e)),
            }
        }
    }

    /// Writes what TLS has to say to the socket.
    fn flush_tls(&mut self, deadline: Instant, early: bool) -> Result<Sent, Failure> {
        loop {
            let Some(tls) = self.tls.as_mut().filter(|t| t.wants_write()) else { return Ok(Sent::All) };
            match tls.write_tls(&mut self.socket.as_ref()) {
                Ok(_) => {}
                Err(e) if is_again(&e) => {
                    // What TLS has in its hands already no socket tells of.
                    if early && self.has_answer() {
                        return Ok(Sent::Early(0));
                    }
                    let ready = self.ready(early, true, deadline)?;
                    // What can be read may be a ticket, an alert (a failure from here), or the answer.
                    if !ready.write && self.pull_tls()? == Pulled::End {
                        return Ok(Sent::Early(0));
                    }
                }
                Err(e) if is_gone(&e) => return Ok(Sent::Gone),
                Err(e) => return Err(self.broke(&e)),
            }
        }
    }

    /// Takes from the socket what is there, without waiting, and lets TLS work on it.
    fn pull_tls(&mut self) -> Result<Pulled, Failure> {
        let Some(tls) = &mut self.tls else { return Ok(Pulled::Nothing) };
        match tls.read_tls(&mut self.socket.as_ref()) {
            Ok(0) => return Ok(Pulled::End),
            Ok(_) => {}
            Err(e) if is_again(&e) => return Ok(Pulled::Nothing),
            Err(e) if tls.is_handshaking() => return Err(self.ended_in_handshake(&words(&e))),
            Err(e) => return Err(self.broke(&e)),
        }
        let handshaking = tls.is_handshaking();
        if let Err(e) = tls.process_new_packets() {
            // The other side gets our alert, where that goes without waiting.
            let _ = tls.write_tls(&mut self.socket.as_ref());
            return Err(verdict::failure(&e, &self.peer, handshaking, self.names));
        }
        if !handshaking && tls.wants_write() {
            // An answer to a key update; what does not go now goes with the next write.
            let _ = tls.write_tls(&mut self.socket.as_ref());
        }
        Ok(Pulled::Something)
    }

    fn has_answer(&mut self) -> bool {
        let state = self.tls.as_mut().and_then(|t| t.process_new_packets().ok());
        state.is_none_or(|s| s.plaintext_bytes_to_read() > 0 || s.peer_has_closed())
    }

    fn broke(&self, e: &io::Error) -> Failure {
        let kind = if e.kind() == io::ErrorKind::TimedOut { FailureKind::Timeout } else { FailureKind::Closed };
        Failure::new(kind, format!("connection to `{}` broke: {}", self.peer, words(e)))
    }

    fn ended_in_handshake(&self, why: &str) -> Failure {
        let ask = match self.tls.as_deref() {
            Some(Connection::Client(_)) => "; does it speak TLS on this port?",
            _ => "",
        };
        Failure::new(FailureKind::Tls, format!("TLS handshake with `{}` ended: {why}{ask}", self.peer))
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_ref().as_fd()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pulled {
    /// Nothing was there.
    Nothing,
    /// Bytes, which TLS has worked on.
    Something,
    /// The end of the stream.
    End,
}

fn no_connection(peer: &str, e: &io::Error) -> Failure {
    Failure::new(FailureKind::Connect, format!("cannot connect to `{peer}`: {}", words(e)))
}

/// Whether TLS has neither words for us nor the other side's goodbye.
fn holds_nothing(tls: &mut Box<Connection>) -> bool {
    tls.reader().read(&mut [0]).is_err_and(|e| is_again(&e))
}

fn is_again(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// The other side takes nothing any more; what it said before can still be read.
fn is_gone(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted)
}
