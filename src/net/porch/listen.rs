//! A door: one listening socket, opened again and again until it is open, and its accept that survives everything.

use crate::limits;
use crate::log;
use crate::net::address::Address;
use crate::net::failure::words;
use crate::net::resolve;
use crate::net::stream::Socket;
use crate::net::target::is_localhost;
use crate::sys::pipe;
use crate::sys::socket::{connect_unix, lengthen_queue};
use std::fmt;
use std::fs::{File, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

/// What a door saw.
pub enum Next {
    /// A visitor: his socket, non-blocking, and who he is.
    Visitor(Socket, String),
    /// Nobody, this time.
    Nobody,
    /// The porch closes.
    Closed,
}

/// Where a door stands.
enum Place {
    Given,
    Tcp { host: String, port: u16, optional: bool },
    Unix { path: PathBuf, mode: u32 },
}

/// One door.
pub struct Door {
    place: Place,
    listener: Option<Listener>,
    /// The socket file that is ours to remove, and by what it is known.
    file: Option<(PathBuf, Option<(u64, u64)>)>,
    /// Given up to take a visitor off the queue when descriptors have run out.
    reserve: Option<File>,
}

impl Door {
    /// A door that somebody else opened.
    pub fn given(listener: Listener) -> Door {
        let _ = listener.set_nonblocking();
        Door { place: Place::Given, listener: Some(listener), file: None, reserve: File::open("/dev/null").ok() }
    }

    /// The doors of an address: two for `localhost`, of which the one for IPv6 need not be there.
    pub fn for_address(address: &Address) -> Vec<Door> {
        let door = |place| Door { place, listener: None, file: None, reserve: File::open("/dev/null").ok() };
        match address {
            Address::Unix { path, mode } => vec![door(Place::Unix { path: path.clone(), mode: *mode })],
            Address::Tcp { host, port } if is_localhost(host) => {
                let tcp = |host: &str, optional| Place::Tcp { host: host.to_string(), port: *port, optional };
                vec![door(tcp("127.0.0.1", false)), door(tcp("::1", true))]
            }
            Address::Tcp { host, port } => {
                vec![door(Place::Tcp { host: host.clone(), port: *port, optional: false })]
            }
        }
    }

    /// The same without a word.
    pub fn try_to_open(&mut self) -> io::Result<()> {
        match (&self.listener, &self.place) {
            (Some(_), _) | (None, Place::Given) => {}
            (None, Place::Tcp { host, port, .. }) => self.listener = Some(open_tcp(host, *port)?),
            (None, Place::Unix { path, mode }) => {
                self.listener = Some(open_unix(path, *mode)?);
                self.file = Some((path.clone(), identity(path)));
            }
        }
        Ok(())
    }

    /// Tries to open it.
    pub fn open(&mut self, open: &Mutex<Vec<Address>>) {
        match (self.try_to_open(), self.listener.as_ref().and_then(Listener::address)) {
            (Ok(()), Some(address)) => {
                log::calm(&format!("page at {self}"));
                log::info("page", format!("open at {address}"));
                open.lock().unwrap_or_else(PoisonError::into_inner).push(address);
            }
            (Ok(()), None) => {}
            (Err(e), _) => self.not_now(&e),
        }
    }

    fn not_now(&mut self, e: &io::Error) {
        if let Place::Tcp { optional: true, .. } = self.place {
            // Without IPv6 there is no ::1, and nothing to say about it.
            if matches!(e.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
                || e.to_string().contains("not supported")
            {
                self.place = Place::Given;
                return;
            }
        }
        let text = format!("cannot listen: {}; trying again every {} s", words(e), limits::PORCH_RETRY_SECONDS);
        log::warn(&format!("page at {self}"), text);
    }

    /// Where it is open.
    pub fn address(&self) -> Option<Address> {
        self.listener.as_ref().and_then(Listener::address)
    }

    /// The next visitor, or that there is none now.
    pub fn next(&mut self, open: &Mutex<Vec<Address>>, woken: &UnixStream) -> Next {
        let Some(listener) = &self.listener else {
            let patience = Duration::from_secs(limits::PORCH_RETRY_SECONDS);
            if closing(woken, Some(patience)) {
                return Next::Closed;
            }
            self.open(open);
            return if matches!(self.place, Place::Given) { Next::Closed } else { Next::Nobody };
        };
        match pipe::wait([listener.as_fd(), woken.as_fd()], None) {
            Ok([_, end]) if end.readable => return Next::Closed,
            Ok([visitor, _]) if !visitor.readable => return Next::Nobody,
            Ok(_) => {}
            Err(e) => return self.pause(&e, woken),
        }
        match listener.accept() {
            Ok((socket, who)) => Next::Visitor(socket, who),
            Err(e) => self.pause(&e, woken),
        }
    }

    /// After an error of accept. Out of descriptors, the reserve takes one visitor off the queue and sends him away.
    fn pause(&mut self, e: &io::Error, woken: &UnixStream) -> Next {
        use io::ErrorKind as K;
        if matches!(e.kind(), K::WouldBlock | K::Interrupted | K::ConnectionAborted | K::ConnectionReset) {
            return Next::Nobody;
        }
        log::warn("page", format!("cannot accept at {self}: {}", words(e)));
        self.reserve = None;
        if let Some(Ok((socket, _))) = self.listener.as_ref().map(Listener::accept) {
            socket.shutdown();
        }
        self.reserve = File::open("/dev/null").ok();
        match closing(woken, Some(Duration::from_millis(limits::PORCH_PAUSE_MILLIS))) {
            true => Next::Closed,
            false => Next::Nobody,
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.place, self.listener.as_ref().and_then(Listener::address)) {
            (_, Some(address)) => address.fmt(f),
            (Place::Given, None) => f.write_str("a given socket"),
            (Place::Tcp { host, port, .. }, None) => Address::Tcp { host: host.clone(), port: *port }.fmt(f),
            (Place::Unix { path, mode }, None) => Address::Unix { path: path.clone(), mode: *mode }.fmt(f),
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Somebody may have removed it and put his own there.
        if let Some((path, _)) = self.file.as_ref().filter(|(path, ours)| identity(path) == *ours) {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Listener {
    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Listener::Tcp(l) => l.set_nonblocking(true),
            Listener::Unix(l) => l.set_nonblocking(true),
        }
    }

    fn accept(&self) -> io::Result<(Socket, String)> {
        match self {
            Listener::Tcp(l) => {
                let (socket, who) = l.accept()?;
                socket.set_nonblocking(true)?;
                let _ = socket.set_nodelay(true);
                Ok((Socket::Tcp(socket), who.to_string()))
            }
            Listener::Unix(l) => {
                let (socket, _) = l.accept()?;
                socket.set_nonblocking(true)?;
                Ok((Socket::Unix(socket), "unix".to_string()))
            }
        }
    }

    fn address(&self) -> Option<Address> {
        match self {
            Listener::Tcp(l) => l.local_addr().ok().map(|a| Address::Tcp { host: a.ip().to_string(), port: a.port() }),
            Listener::Unix(l) => {
                let path = l.local_addr().ok()?.as_pathname()?.to_path_buf();
                Some(Address::Unix { path, mode: 0 })
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(l) => l.as_fd(),
            Listener::Unix(l) => l.as_fd(),
        }
    }
}

fn closing(woken: &UnixStream, patience: Option<Duration>) -> bool {
    pipe::wait([woken.as_fd()], patience).is_ok_and(|[end]| end.readable)
}

fn open_tcp(host: &str, port: u16) -> io::Result<Listener> {
    let deadline = Instant::now() + Duration::from_secs(limits::PORCH_RETRY_SECONDS);
    let addresses: Vec<SocketAddr> = resolve::lookup(host, port, deadline).map_err(io::Error::other)?;
    let listener = TcpListener::bind(&addresses[..])?;
    // Whoever does not fit into the queue comes again after a second: a crowd of slow ones must not fill it.
    let _ = lengthen_queue(listener.as_fd(), limits::PORCH_QUEUE);
    let listener = Listener::Tcp(listener);
    listener.set_nonblocking()?;
    Ok(listener)
}

/// Which file it is; none: there is none.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Whether a socket file is there at which nobody listens.
pub fn is_left_over(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    is_socket && connect_unix(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}

/// Whether nothing is in the way of a socket here.
pub fn is_free(path: &Path) -> bool {
    let nothing = std::fs::symlink_metadata(path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
    nothing || is_left_over(path)
}

/// Binds a Unix socket. A socket file that nobody listens at is a left-over and removed; anything else in its place is
/// left alone.
fn open_unix(path: &Path, mode: u32) -> io::Result<Listener> {
    if let Ok(meta) = std::fs::symlink_metadata(path) {
        if !meta.file_type().is_socket() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no socket is in its place"));
        }
        match is_left_over(path) {
            true => std::fs::remove_file(path)?,
            false => return Err(io::ErrorKind::AddrInUse.into()),
        }
    }
    let listener = UnixListener::bind(path)?;
    // Between the two the mode is that of the umask, which is 077 in our programs: narrower, never wider.
    std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    let listener = Listener::Unix(listener);
    listener.set_nonblocking()?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::Scratch;

    #[test]
    fn a_door_that_is_closed_takes_its_own_file_along_and_nobody_elses() {
        let dir = Scratch::new("door");
        let path = dir.path("page.sock");
        let open = || {
            let mut door = Door::for_address(&Address::Unix { path: path.clone(), mode: 0o660 }).remove(0);
            door.try_to_open().unwrap();
            door
        };
        drop(open());
        assert!(!path.exists());
        let door = open();
        std::fs::remove_file(&path).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        drop(door);
        UnixStream::connect(&path).expect("the other one is still found");
        drop(other);
    }
}
