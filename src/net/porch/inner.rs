//! The inner server: tiny_http behind a few connections, its links, that are made once, at the start.
//!
//! tiny_http takes a listener, gives each connection a thread, and ends (or aborts the process) when descriptors run
//! out in its `accept`. So it gets a Unix socket in a fresh directory (0700) that exists only for a moment: the links
//! are connected, then socket and directory are removed, and nobody ever connects again. Afterwards it opens no
//! descriptor and starts no thread. Visitors' requests, written anew, take turns on the links.
//!
//! A process that confines itself connects the links before, while it may make directories: they wait in the socket's queue
//! until the server starts.

use crate::limits;
use crate::net::failure::words;
use crate::net::page::{Page, PageRequest};
use crate::net::porch::head::VISITOR;
use crate::net::stream::Socket;
use crate::sys::thread;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tiny_http::{Header, Response, Server, StatusCode};

/// What makes the pages.
pub type Handler = Arc<dyn Fn(&PageRequest) -> Page + Send + Sync>;

/// The inner server and the free links to it.
pub struct Inner {
    server: Arc<Server>,
    listener: UnixListener,
    stopping: Arc<AtomicBool>,
    links: Mutex<Vec<Arc<Socket>>>,
    freed: Condvar,
}

/// A socket that listens where nobody finds it any more, and all that will ever be connected to it.
pub struct Connected {
    listener: UnixListener,
    links: Vec<UnixStream>,
}

/// Connects the links. `own`: a directory of the program's own, for when there is no other place.
pub fn connect(own: Option<&Path>) -> io::Result<Connected> {
    headroom()?;
    let dir = SocketDir::make(own)?;
    let listener = UnixListener::bind(dir.socket())?;
    let links: io::Result<_> = (0..limits::PORCH_LINKS).map(|_| UnixStream::connect(dir.socket())).collect();
    Ok(Connected { listener, links: links? })
}

impl Inner {
    /// Starts it, on links that are connected already or are connected now; an error is one of the world (no directory to be had, no
    /// descriptors, no threads).
    pub fn start(handler: &Handler, connected: &mut Option<Connected>, own: Option<&Path>) -> io::Result<Inner> {
        headroom()?;
        let Connected { listener, links } = connected.take().map_or_else(|| connect(own), Ok)?;
        let server = Server::from_listener(listener.try_clone()?, None).map_err(io::Error::other)?;
        let server = Arc::new(server);
        let stopping = Arc::new(AtomicBool::new(false));
        let inner = Inner {
            server: Arc::clone(&server),
            listener,
            stopping: Arc::clone(&stopping),
            links: Mutex::new(Vec::with_capacity(limits::PORCH_LINKS)),
            freed: Condvar::new(),
        };
        for n in 0..limits::PORCH_LINKS {
            let (server, stopping, handler) = (Arc::clone(&server), Arc::clone(&stopping), Arc::clone(handler));
            let work = move || answer_all(&server, &stopping, &handler);
            thread::with_stack(&format!("page-{n}"), limits::PORCH_STACK_BYTES, work)?;
        }
        for link in links {
            knock(&link)?;
            inner.give_back(Arc::new(Socket::Unix(link)));
        }
        Ok(inner)
    }

    /// A free link, waiting for one until the deadline. The last one is for those who are in a hurry: every other may be
    /// waiting for a database that hangs, and whether this program lives is asked just then.
    pub fn link(&self, deadline: Instant, hurry: bool) -> Option<Arc<Socket>> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if hurry || links.len() > 1 {
                if let Some(link) = links.pop() {
                    return Some(link);
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            links = self.freed.wait_timeout(links, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Gives a link back whose last answer was read whole.
    pub fn give_back(&self, link: Arc<Socket>) {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).push(link);
        // Not everyone who waits may take every link.
        self.freed.notify_all();
    }
}

/// A connection that waits in the kernel's queue has no descriptor there yet: while there is room for it, one request
/// makes sure that it was accepted and has its thread.
fn knock(mut link: &UnixStream) -> io::Result<()> {
    link.set_read_timeout(Some(Duration::from_secs(limits::PORCH_ANSWER_SECONDS)))?;
    link.write_all(b"HEAD / HTTP/1.1\r\nx-gostech-knock: 1\r\n\r\n")?;
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") && answer.len() < limits::PORCH_ANSWER_HEAD_BYTES {
        link.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    link.set_nonblocking(true)
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        for _ in 0..limits::PORCH_LINKS {
            self.server.unblock();
        }
        // tiny_http wakes its accept by connecting to the path, which is gone; a shut down listener wakes it too.
        if let Ok(listener) = self.listener.try_clone() {
            let _ = UnixStream::from(OwnedFd::from(listener)).shutdown(Shutdown::Both);
        }
    }
}

/// tiny_http aborts the process when a clone of a socket fails: it must not begin without room for what it opens.
fn headroom() -> io::Result<()> {
    let needed = 3 * limits::PORCH_LINKS + 8;
    let held: io::Result<Vec<File>> = (0..needed).map(|_| File::open("/dev/null")).collect();
    held.map(drop)
}

fn answer_all(server: &Server, stopping: &AtomicBool, handler: &Handler) {
    while !stopping.load(Ordering::SeqCst) {
        let Ok(request) = server.recv() else { continue };
        let page = match request.headers().iter().any(|h| h.field.equiv("x-gostech-knock")) {
            true => Page::text(204, ""),
            false => handler(&as_seen(&request)),
        };
        // Whoever asked may be gone.
        let _ = request.respond(response(page));
    }
}

fn as_seen(request: &tiny_http::Request) -> PageRequest {
    let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
    let (path, query) = (path.to_string(), query.to_string());
    let pairs = request.headers().iter();
    let mut headers: Vec<(String, String)> =
        pairs.map(|h| (h.field.as_str().as_str().to_ascii_lowercase(), h.value.as_str().to_string())).collect();
    let at = headers.iter().position(|(n, _)| n == VISITOR);
    let visitor = at.map(|at| headers.remove(at).1).unwrap_or_default();
    PageRequest { path, query, headers, visitor }
}

fn response(page: Page) -> Response<io::Cursor<Vec<u8>>> {
    let length = page.body.len();
    let own = [("Server", "gostech"), ("Content-Type", page.content_type.as_str())];
    let given = page.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    // A header that HTTP cannot carry is left out: a page with less is better than none.
    let headers = own.into_iter().chain(given).filter(|(n, v)| may_stand(n, v));
    let headers = headers.filter_map(|(n, v)| Header::from_bytes(n.as_bytes(), v.as_bytes()).ok()).collect();
    let body = io::Cursor::new(page.body);
    // Never chunked: the length is known, and the porch reads by it.
    Response::new(StatusCode(page.status), headers, body, Some(length), None).with_chunked_threshold(usize::MAX)
}

fn may_stand(name: &str, value: &str) -> bool {
    let framing = ["content-length", "transfer-encoding", "connection"];
    let token = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !framing.iter().any(|f| name.eq_ignore_ascii_case(f))
        && !name.is_empty()
        && name.bytes().all(token)
        && value.bytes().all(|b| (b' '..0x7f).contains(&b))
}

/// The directories in which that of the socket may be made, in order.
pub fn places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = Vec::new();
    // systemd may name several, separated by colons.
    if let Some(own) = std::env::var_os("RUNTIME_DIRECTORY") {
        places.extend(std::env::split_paths(&own).filter(|p| p.is_absolute()));
    }
    places.extend([std::env::temp_dir(), "/run".into(), "/dev/shm".into(), "/var/tmp".into()]);
    places
}

/// A directory for a moment.
struct SocketDir {
    path: PathBuf,
    /// It itself, where its name is too long for a socket's address.
    open: Option<File>,
}

impl SocketDir {
    fn make(own: Option<&Path>) -> io::Result<SocketDir> {
        let mut tried = Vec::new();
        for place in places().into_iter().chain(own.map(Path::to_path_buf)) {
            match SocketDir::make_in(&place) {
                Ok(dir) => return Ok(dir),
                Err(e) => tried.push(format!("{}: {}", place.display(), words(&e))),
            }
        }
        let cure = "name a directory that may be written in RUNTIME_DIRECTORY or TMPDIR";
        Err(io::Error::other(format!("no place for its socket ({}); {cure}", tried.join(", "))))
    }

    fn make_in(place: &Path) -> io::Result<SocketDir> {
        let mut chance = [0; 8];
        crate::net::crypto::random(&mut chance);
        let path = place.join(format!(".gostech-{:016x}", u64::from_le_bytes(chance)));
        let long = path.as_os_str().len() + "/s".len() > limits::UNIX_PATH_BYTES;
        // Fails when it exists: nobody can have prepared it.
        DirBuilder::new().mode(0o700).create(&path)?;
        let mut dir = SocketDir { path, open: None };
        dir.open = long.then(|| File::open(&dir.path)).transpose()?;
        Ok(dir)
    }

    fn socket(&self) -> PathBuf {
        match &self.open {
            Some(dir) => PathBuf::from(format!("/proc/self/fd/{}/s", dir.as_raw_fd())),
            None => self.path.join("s"),
        }
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path.join("s"));
        let _ = std::fs::remove_dir(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the directory of a spool may be.
    #[test]
    fn a_place_with_a_long_name_takes_a_socket_too() {
        let top = std::env::temp_dir().join(format!("gostech-dir-{}", std::process::id()));
        let place = top.join("x".repeat(limits::UNIX_PATH_BYTES));
        std::fs::create_dir_all(&place).unwrap();
        let dir = SocketDir::make_in(&place).unwrap();
        let _listener = UnixListener::bind(dir.socket()).unwrap();
        UnixStream::connect(dir.socket()).unwrap();
        drop(dir);
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0, "and leaves nothing behind");
        std::fs::remove_dir_all(top).unwrap();
    }
}
