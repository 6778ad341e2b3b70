//! A recording receiver: it keeps each document by `gostech.id` in the order of first arrival, counts repeats, and has
//! every fault that a receiver can have, switched while it runs.
//!
//! Written from the contract of Logstash's `http` input: an array is one document an element. Refuses to forget: what it
//! took is on record whatever it answered.

use super::den::{free_listener, wait_for};
use super::http::{array_elements, Conn, Request, Stream};
use serde_json::Value;
use std::collections::HashMap;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How the receiver treats requests from now on.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// Takes and answers 200.
    Healthy,
    /// Takes and answers this 2xx.
    Taking(u16),
    /// Takes nothing and answers this, with a `Retry-After` when given.
    Refusing(u16, Option<String>),
    /// Reads the request, takes nothing, never answers.
    Hanging,
    /// Takes, begins an answer, closes in the middle of its head.
    CutHead,
    /// Takes, sends a whole head that promises a body, closes in the middle of it.
    CutBody,
    /// Takes nothing and closes without a byte.
    Closing,
    /// Takes, answers 200 as if the connection stayed, closes it.
    TakeAndClose,
    /// Takes the first half of the array, answers 500.
    Half,
    /// Answers this for a request with an event that holds the marker, takes any other.
    Marker(u16, String),
    /// Closes without an answer on a request with an event that holds the marker, takes any other.
    Cutting(String),
    /// Takes so long for each event of a request, one request after the other.
    Slow(Duration),
    /// Like `Marker`, but after the first request that it takes it refuses everything with the same status.
    Turning(u16, String),
    /// Answers 413 for a body over so many bytes, takes any other.
    AtMost(usize),
    /// Answers this without the header of that name and value, takes with it.
    Wanting(u16, String, String),
}

/// A document as it came.
#[derive(Clone, Debug)]
pub struct Doc {
    /// `gostech.id`, empty when there is none.
    pub id: String,
    pub value: Value,
    /// The exact text of the element.
    pub raw: String,
    pub at: Instant,
}

/// One request and its answer; 0 stands for none.
#[derive(Clone, Debug)]
pub struct Visit {
    pub request: Request,
    pub status: u16,
    pub at: Instant,
    /// The port of the other side.
    pub from: u16,
}

#[derive(Default)]
struct Book {
    docs: Vec<Doc>,
    seen: HashMap<String, u64>,
    visits: Vec<Visit>,
    errors: Vec<String>,
}

struct Shared {
    mode: Mutex<Mode>,
    book: Mutex<Book>,
    streams: Mutex<Vec<TcpStream>>,
    tls: Mutex<Option<Arc<rustls::ServerConfig>>>,
    open: Mutex<bool>,
    /// TLS begins only after a CONNECT: the receiver plays a proxy and the server behind it.
    tunnel: bool,
    /// Held while it works on a request, where that takes its time.
    work: Mutex<()>,
}

/// The receiver; closed when dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Receiver {
    /// A healthy receiver on a port of its own.
    pub fn start() -> Receiver {
        Receiver::with(None, false)
    }

    /// The same behind TLS.
    pub fn start_tls(config: Arc<rustls::ServerConfig>) -> Receiver {
        Receiver::with(Some(config), false)
    }

    /// A proxy that answers CONNECT for any host and is that host then, behind TLS.
    pub fn start_proxy(config: Arc<rustls::ServerConfig>) -> Receiver {
        Receiver::with(Some(config), true)
    }

    /// On a listener of one's own: another address of loopback.
    pub fn start_on(listener: TcpListener) -> Receiver {
        Receiver::listening(listener, None, false)
    }

    fn with(tls: Option<Arc<rustls::ServerConfig>>, tunnel: bool) -> Receiver {
        Receiver::listening(free_listener(), tls, tunnel)
    }

    fn listening(listener: TcpListener, tls: Option<Arc<rustls::ServerConfig>>, tunnel: bool) -> Receiver {
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            mode: Mutex::new(Mode::Healthy),
            book: Mutex::default(),
            streams: Mutex::default(),
            tls: Mutex::new(tls),
            open: Mutex::new(false),
            tunnel,
            work: Mutex::default(),
        });
        let receiver = Receiver { address, shared };
        receiver.listen(listener);
        receiver
    }

    fn listen(&self, listener: TcpListener) {
        *lock(&self.shared.open) = true;
        listener.set_nonblocking(true).expect("a listener that does not block");
        let shared = self.shared.clone();
        std::thread::spawn(move || accept(&listener, &shared));
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self) -> String {
        let scheme = if lock(&self.shared.tls).is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}/", self.port())
    }

    pub fn set(&self, mode: Mode) {
        *lock(&self.shared.mode) = mode;
    }

    /// Another certificate from the next connection on.
    pub fn set_tls(&self, config: Arc<rustls::ServerConfig>) {
        *lock(&self.shared.tls) = Some(config);
        self.hang_up();
    }

    /// Closes the listener and every connection: the next client is refused.
    pub fn down(&self) {
        *lock(&self.shared.open) = false;
        self.hang_up();
        let gone = || TcpStream::connect(self.address).is_err();
        assert!(wait_for(Duration::from_secs(5), gone), "the listener stays open");
        self.hang_up();
    }

    fn hang_up(&self) {
        for stream in lock(&self.shared.streams).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Listens again on the same port.
    pub fn up(&self) {
        let mut listener = None;
        let bound = wait_for(Duration::from_secs(10), || {
            listener = TcpListener::bind(self.address).ok();
            listener.is_some()
        });
        assert!(bound, "port {} was taken by another while the receiver was down", self.port());
        self.listen(listener.expect("bound"));
    }

    /// The documents in the order of their first arrival.
    pub fn docs(&self) -> Vec<Doc> {
        lock(&self.shared.book).docs.clone()
    }

    /// How many different documents there are.
    pub fn count(&self) -> usize {
        lock(&self.shared.book).docs.len()
    }

    /// How often documents came that were there already.
    pub fn repeats(&self) -> u64 {
        lock(&self.shared.book).seen.values().map(|n| n - 1).sum()
    }

    /// Every request with its answer.
    pub fn visits(&self) -> Vec<Visit> {
        lock(&self.shared.book).visits.clone()
    }

    /// The documents that came more than once, each with the ports of the visits that took it, in order.
    pub fn repeated(&self) -> Vec<(String, Vec<u16>)> {
        let mut by_id: HashMap<String, Vec<u16>> = HashMap::new();
        let book = lock(&self.shared.book);
        for visit in book.visits.iter().filter(|v| (200..300).contains(&v.status)) {
            for doc in documents(&visit.request, visit.at).unwrap_or_default() {
                by_id.entry(doc.id).or_default().push(visit.from);
            }
        }
        by_id.into_iter().filter(|(_, from)| from.len() > 1).collect()
    }

    /// What could not be read as a request or as documents.
    pub fn errors(&self) -> Vec<String> {
        lock(&self.shared.book).errors.clone()
    }

    /// Waits for `n` different documents.
    pub fn wait_count(&self, n: usize, limit: Duration) {
        let so = wait_for(limit, || self.count() >= n);
        assert!(so, "{} of {n} documents after {limit:?}, {} requests", self.count(), self.visits().len());
    }

    /// Waits for a request that was answered so.
    pub fn wait_status(&self, status: u16, limit: Duration) {
        let so = wait_for(limit, || lock(&self.shared.book).visits.iter().any(|v| v.status == status));
        assert!(so, "no request was answered {status} within {limit:?}");
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        *lock(&self.shared.open) = false;
        self.hang_up();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while *lock(&shared.open) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        let _ = stream.set_nonblocking(false);
        let _ = stream.set_nodelay(true);
        if let Ok(copy) = stream.try_clone() {
            lock(&shared.streams).push(copy);
        }
        let shared = shared.clone();
        std::thread::spawn(move || serve(stream, &shared));
    }
}

fn serve(stream: TcpStream, shared: &Arc<Shared>) {
    let end = stream.try_clone();
    let from = stream.peer_addr().map_or(0, |a| a.port());
    let conn = if shared.tunnel { Some(Conn::new(Box::new(stream))) } else { dress(Box::new(stream), shared) };
    if let Some(mut conn) = conn {
        while let Ok(Some(request)) = conn.request().inspect_err(|e| note_error(shared, e)) {
            if !answer(&mut conn, &request, from, shared) {
                break;
            }
            if request.method == "CONNECT" {
                let Some(inner) = dress(conn.stream, shared) else { break };
                conn = inner;
            }
        }
    }
    if let Ok(stream) = end {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// TLS around the stream when the receiver has a certificate.
fn dress(stream: Box<dyn Stream>, shared: &Shared) -> Option<Conn> {
    let tls = lock(&shared.tls).clone();
    match tls.map(rustls::ServerConnection::new) {
        None => Some(Conn::new(stream)),
        Some(Ok(session)) => Some(Conn::new(Box::new(rustls::StreamOwned::new(session, stream)))),
        Some(Err(error)) => {
            lock(&shared.book).errors.push(format!("tls: {error}"));
            None
        }
    }
}

/// Broken requests are worth a look; connections that ended are not.
fn note_error(shared: &Shared, error: &std::io::Error) {
    if error.kind() == std::io::ErrorKind::InvalidData {
        lock(&shared.book).errors.push(error.to_string());
    }
}

/// Answers one request; false when the connection is to be closed.
fn answer(conn: &mut Conn, request: &Request, from: u16, shared: &Shared) -> bool {
    if request.method == "CONNECT" {
        take(request, 200, None, from, shared);
        return conn.stream.write_all(b"HTTP/1.1 200 Established\r\n\r\n").is_ok();
    }
    let mode = lock(&shared.mode).clone();
    let marked = |m: &str| String::from_utf8_lossy(&request.body).contains(m);
    let refused = match &mode {
        Mode::Refusing(status, _) => *status,
        Mode::Marker(status, marker) | Mode::Turning(status, marker) if marked(marker) => *status,
        Mode::Cutting(marker) if marked(marker) => 0,
        Mode::AtMost(bytes) if request.body.len() > *bytes => 413,
        Mode::Wanting(status, name, value) if request.header(name) != Some(value) => *status,
        Mode::Half => 500,
        Mode::Hanging | Mode::Closing => 0,
        Mode::Taking(status) => *status,
        _ => 200,
    };
    if let Mode::Slow(each) = mode {
        let _alone = lock(&shared.work);
        let events = documents(request, Instant::now()).map_or(0, |d| d.len());
        std::thread::sleep(each * events as u32);
    }
    let share = match mode {
        Mode::Half => Some(0.5),
        _ if (200..300).contains(&refused) => Some(1.0),
        _ => None,
    };
    take(request, refused, share, from, shared);
    if let (Mode::Turning(status, _), 200) = (&mode, refused) {
        *lock(&shared.mode) = Mode::Refusing(*status, None);
    }
    match mode {
        Mode::Hanging => hang(&mode, shared),
        Mode::Closing => false,
        Mode::Cutting(_) if refused == 0 => false,
        Mode::CutHead => conn.stream.write_all(b"HTTP/1.1 20").is_err(),
        Mode::CutBody => conn.stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf an").is_err(),
        Mode::TakeAndClose => {
            respond(conn, 200, None);
            false
        }
        Mode::Refusing(status, after) => respond(conn, status, after.as_deref()),
        _ => respond(conn, refused, None),
    }
}

fn hang(mode: &Mode, shared: &Shared) -> bool {
    while *lock(&shared.mode) == *mode && *lock(&shared.open) {
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

fn respond(conn: &mut Conn, status: u16, retry_after: Option<&str>) -> bool {
    let after = retry_after.map(|v| format!("retry-after: {v}\r\n")).unwrap_or_default();
    let body = if status < 300 { "ok" } else { "the stand-in refuses" };
    let text = format!("HTTP/1.1 {status} Said\r\n{after}content-length: {}\r\n\r\n{body}", body.len());
    conn.stream.write_all(text.as_bytes()).and_then(|()| conn.stream.flush()).is_ok()
}

/// Writes the visit down, and the documents of the share that is taken.
fn take(request: &Request, status: u16, share: Option<f64>, from: u16, shared: &Shared) {
    let at = Instant::now();
    let docs = documents(request, at);
    let mut book = lock(&shared.book);
    book.visits.push(Visit { request: request.clone(), status, at, from });
    let docs = match docs {
        Ok(docs) => docs,
        Err(error) => return book.errors.push(error),
    };
    let part = share.map_or(0, |s| (docs.len() as f64 * s) as usize);
    for doc in docs.into_iter().take(part) {
        let first = doc.id.is_empty() || !book.seen.contains_key(&doc.id);
        if !doc.id.is_empty() {
            *book.seen.entry(doc.id.clone()).or_insert(0) += 1;
        }
        if first {
            book.docs.push(doc);
        }
    }
}

fn documents(request: &Request, at: Instant) -> Result<Vec<Doc>, String> {
    if request.body.is_empty() {
        return Ok(Vec::new());
    }
    let text = std::str::from_utf8(&request.body).map_err(|_| "a body that is not UTF-8".to_owned())?;
    let lines = request.header("content-type").is_some_and(|t| t.contains("ndjson"));
    let elements = if lines {
        text.lines().filter(|l| !l.is_empty()).collect()
    } else if text.trim_start().starts_with('[') {
        array_elements(text)
    } else {
        vec![text.trim()]
    };
    elements.into_iter().map(|raw| document(raw, at)).collect()
}

fn document(raw: &str, at: Instant) -> Result<Doc, String> {
    let value: Value = serde_json::from_str(raw).map_err(|e| format!("no JSON ({e}): {raw}"))?;
    let id = value["gostech"]["id"].as_str().unwrap_or("").to_owned();
    Ok(Doc { id, value, raw: raw.to_owned(), at })
}
