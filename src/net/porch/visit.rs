//! One visit: TLS, one request head, who it is, the answer of the inner server, goodbye.
//!
//! A link to the inner server is kept no longer than it must be: what a slow visitor does not take yet is read ahead, as far
//! as the bound for all of them goes, and beyond that whoever takes for too long makes room. Refuses: to let one visitor's
//! slowness be another's wait.

use crate::limits;
use crate::log;
use crate::net::failure::{Failure, FailureKind};
use crate::net::porch::head::{self, Head, Refusal};
use crate::net::porch::inner::{Connected, Handler, Inner};
use crate::net::porch::seats::Seat;
use crate::net::porch::users::Users;
use crate::net::stream::{Socket, Stream};
use crate::net::tls;
use crate::net::verdict::Names;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What all visits of a porch share.
pub struct Shared {
    /// Both may be others after a reload.
    pub tls: Mutex<Option<Arc<tls::Server>>>,
    pub users: Mutex<Option<Arc<Users>>>,
    pub handler: Handler,
    pub inner: Mutex<InnerState>,
    pub own: Option<PathBuf>,
    pub patience: Patience,
    /// Bytes read ahead for slow visitors, of all visits.
    pub read_ahead: AtomicUsize,
}

/// The inner server, or the links that are connected for its first start.
pub struct InnerState {
    pub server: Option<Arc<Inner>>,
    pub connected: Option<Connected>,
}

/// How long each part of a visit may take.
pub struct Patience {
    pub head: Duration,
    pub answer: Duration,
    pub take: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            head: Duration::from_secs(limits::PORCH_HEAD_SECONDS),
            answer: Duration::from_secs(limits::PORCH_ANSWER_SECONDS),
            take: Duration::from_secs(limits::PORCH_TAKE_SECONDS),
        }
    }
}

const LATE: Refusal = Refusal::new(408, "the request took too long");
const FULL: Refusal = Refusal::new(503, "too many visitors; come again");
const NO_ANSWER: Refusal = Refusal::new(504, "the page took too long");
const BROKEN: Refusal = Refusal::new(502, "the page could not be made");

/// The page that says whether the program lives, and waits for nothing.
const HEALTHY: &str = "/-/healthy";

/// Receives one visitor, from first byte to last.
pub fn receive(shared: &Shared, socket: Arc<Socket>, visitor: &str, seat: Seat) {
    let deadline = Instant::now() + shared.patience.head;
    let mut guest = Stream::over(socket, visitor);
    if let Some(tls) = shared.tls() {
        let done = tls.config().and_then(|config| {
            let session = rustls::ServerConnection::new(config)
                .map_err(|e| Failure::new(FailureKind::Tls, format!("TLS for the pages: {e}")))?;
            guest.handshake(session, Names::Receiver, deadline)
        });
        match done {
            Ok(()) => drop(log::calm("page TLS")),
            Err(f) if f.kind == FailureKind::Secret => return log::warn("page TLS", f),
            Err(f) => return log::debug("page TLS", f),
        }
    }
    let asked = ask(&mut guest, deadline, visitor);
    if !seat.asked() {
        return;
    }
    let admitted = asked.and_then(|head| admit(shared, head));
    match admitted {
        Ok(head) => serve(shared, guest, &head, &seat),
        Err(Some(refusal)) => refuse(&mut guest, &refusal, false),
        Err(None) => {}
    }
}

/// One request head. `Err(None)` when the visitor went away.
fn ask(guest: &mut Stream, deadline: Instant, visitor: &str) -> Result<Head, Option<Refusal>> {
    let mut bytes = Vec::with_capacity(1024);
    let mut chunk = [0; 1024];
    loop {
        let n = match guest.read(&mut chunk, deadline) {
            Ok(0) => return Err(None),
            Ok(n) => n,
            Err(f) if f.kind == FailureKind::Timeout => return Err(Some(LATE)),
            Err(_) => return Err(None),
        };
        bytes.extend_from_slice(&chunk[..n]);
        if !head::may_begin(&bytes) {
            return Err(Some(Refusal::new(400, "this is not HTTP; is it TLS on a plain port?")));
        }
        match head::end(&bytes) {
            Some(end) if end <= limits::PORCH_HEAD_BYTES => return head::parse(&bytes[..end], visitor).map_err(Some),
            None if bytes.len() < limits::PORCH_HEAD_BYTES => {}
            _ => return Err(Some(Refusal::new(431, "the request head is too long"))),
        }
    }
}

fn admit(shared: &Shared, head: Head) -> Result<Head, Option<Refusal>> {
    match shared.users() {
        Some(users) => users.check(head.authorization.as_deref()).map(|()| head).map_err(Some),
        None => Ok(head),
    }
}

/// Tells a visitor why not, and reads away what he still sends, so that he sees it.
fn refuse(guest: &mut Stream, refusal: &Refusal, head_only: bool) {
    let soon = Instant::now() + Duration::from_millis(limits::PORCH_LINGER_MILLIS);
    if guest.write_all(&refusal.answer(head_only), soon).is_ok() {
        farewell(guest);
    }
}

fn farewell(guest: &mut Stream) {
    guest.goodbye();
    guest.finish();
    let soon = Instant::now() + Duration::from_millis(limits::PORCH_LINGER_MILLIS);
    let (mut chunk, mut read) = ([0; 4096], 0);
    while let Ok(n @ 1..) = guest.read(&mut chunk, soon) {
        read += n;
        if read > limits::PORCH_LINGER_BYTES {
            break;
        }
    }
}

/// Sends away a visitor for whom there is no seat, without waiting.
pub fn turn_away(shared: &Shared, socket: &Socket) {
    // Nothing can be said before a TLS handshake, and that would be a visit.
    if shared.tls().is_none() {
        let _ = std::io::Write::write(&mut &*socket, &FULL.answer(false));
    }
    socket.shutdown();
}

/// Takes the request to the inner server and its answer back.
fn serve(shared: &Shared, mut guest: Stream, head: &Head, seat: &Seat) {
    let deadline = Instant::now() + shared.patience.answer;
    let Some(inner) = shared.current() else { return refuse(&mut guest, &BROKEN, head.head_only) };
    let hurry = head.request.path == HEALTHY;
    let Some(link) = free_link(&inner, seat, deadline, hurry) else {
        return refuse(&mut guest, &FULL, head.head_only);
    };
    let mut link = Link { stream: Stream::over(link, "inner server"), left: 0 };
    match link.ask(head, deadline) {
        Ok(begun) => {
            seat.taking();
            let mut ahead = ReadAhead { bytes: begun, at: 0, held: 0, of_all: &shared.read_ahead };
            let deadline = Instant::now() + shared.patience.take;
            match pass(link, &mut ahead, &mut guest, deadline, (&inner, seat)) {
                Ok(()) => {
                    // Only the goodbye is left: the seat is for who comes next.
                    seat.leave();
                    return farewell(&mut guest);
                }
                Err(None) => return,
                Err(Some(kept)) => link = kept,
            }
        }
        Err(f) if f.kind == FailureKind::Timeout => refuse(&mut guest, &NO_ANSWER, head.head_only),
        Err(_) => {
            shared.renew(&inner);
            return refuse(&mut guest, &BROKEN, head.head_only);
        }
    }
    drop(guest);
    seat.leave();
    // A link is never closed: what is left of its answer, even one that did not come yet, is read away first.
    match link.clear(head) {
        Ok(()) => link.give_back(&inner),
        Err(_) => shared.renew(&inner),
    }
}

/// A link; whoever keeps one for too long makes room for who waits.
fn free_link(inner: &Inner, seat: &Seat, deadline: Instant, hurry: bool) -> Option<Arc<Socket>> {
    let stall = Duration::from_millis(limits::PORCH_STALL_MILLIS);
    loop {
        let link = inner.link(deadline.min(Instant::now() + stall), hurry);
        if link.is_some() || Instant::now() >= deadline {
            return link;
        }
        seat.wants_a_link();
    }
}

/// Passes the answer on. The link is given back as soon as all of the page has been read from it; it comes back to the caller
/// when the visitor went away, or was too slow, before that.
fn pass(
    link: Link,
    ahead: &mut ReadAhead<'_>,
    guest: &mut Stream,
    deadline: Instant,
    (inner, seat): (&Inner, &Seat),
) -> Result<(), Option<Link>> {
    let mut link = Some(link);
    loop {
        if link.as_ref().is_some_and(|l| l.left == 0) {
            link.take().into_iter().for_each(|l| l.give_back(inner));
            seat.moved(false);
        }
        let taken = if ahead.is_empty() { Ok(0) } else { guest.write_now(ahead.bytes()) };
        match (taken, &mut link) {
            (Err(_), _) => return Err(link),
            (Ok(n @ 1..), _) => {
                ahead.gone(n);
                seat.moved(link.is_some());
            }
            // All is taken, or he takes nothing now and there is room for more of it.
            (_, Some(l)) if ahead.is_empty() || ahead.has_room() => {
                if l.read_into(ahead, deadline).is_err() {
                    return Err(link);
                }
            }
            (_, None) if ahead.is_empty() => return guest.flush(deadline).map_err(|_| None),
            _ => {
                if guest.until_writable(deadline).is_err() {
                    return Err(link);
                }
            }
        }
        if Instant::now() >= deadline {
            return Err(link);
        }
    }
}

/// What was read of a page and is not taken yet.
struct ReadAhead<'h> {
    bytes: Vec<u8>,
    at: usize,
    /// What it has of the room for all.
    held: usize,
    of_all: &'h AtomicUsize,
}

impl ReadAhead<'_> {
    fn bytes(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn gone(&mut self, n: usize) {
        self.at += n;
        if self.is_empty() {
            self.bytes.clear();
            self.at = 0;
            self.of_all.fetch_sub(std::mem::take(&mut self.held), Ordering::SeqCst);
        }
    }

    /// Takes room for one more piece, if there is any.
    fn has_room(&mut self) -> bool {
        let piece = limits::PORCH_COPY_BYTES;
        let more = |all: usize| (all + piece <= limits::PORCH_AHEAD_BYTES).then_some(all + piece);
        let granted = self.of_all.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok();
        self.held += if granted { piece } else { 0 };
        granted
    }
}

impl Drop for ReadAhead<'_> {
    fn drop(&mut self) {
        self.of_all.fetch_sub(self.held, Ordering::SeqCst);
    }
}

/// A link with an answer under way.
struct Link {
    stream: Stream,
    /// Bytes of the body still to come; `u64::MAX` while the head has not come.
    left: u64,
}

impl Link {
    /// Sends the request and reads the head of the answer, written anew for the visitor.
    fn ask(&mut self, head: &Head, deadline: Instant) -> Result<Vec<u8>, Failure> {
        self.left = u64::MAX;
        self.stream.write_all(&head::passed_on(head), deadline)?;
        self.begin(head, deadline)
    }

    fn begin(&mut self, head: &Head, deadline: Instant) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::with_capacity(512);
        let mut chunk = [0; 512];
        let end = loop {
            if let Some(end) = head::end(&bytes) {
                break end;
            }
            let n = self.stream.read(&mut chunk, deadline)?;
            bytes.extend_from_slice(&chunk[..n]);
            if n == 0 || bytes.len() > limits::PORCH_ANSWER_HEAD_BYTES {
                return Err(Failure::new(FailureKind::Protocol, "the inner server gave no whole answer"));
            }
        };
        let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length =
            text.lines().filter_map(|l| l.split_once(':')).find(|(n, _)| n.eq_ignore_ascii_case("content-length"));
        let length: u64 = length.and_then(|(_, v)| v.trim().parse().ok()).unwrap_or(0);
        let bodyless = head.head_only || text.starts_with("HTTP/1.1 204") || text.starts_with("HTTP/1.1 304");
        let body = &bytes[end..];
        self.left = if bodyless { 0 } else { length.saturating_sub(body.len() as u64) };
        // This connection ends with the answer; the link does not.
        let mut out = text.trim_end().as_bytes().to_vec();
        out.extend_from_slice(b"\r\nConnection: close\r\n\r\n");
        out.extend_from_slice(body);
        Ok(out)
    }

    /// Reads one more piece of the page.
    fn read_into(&mut self, ahead: &mut ReadAhead<'_>, deadline: Instant) -> Result<(), Failure> {
        let begin = ahead.bytes.len();
        ahead.bytes.resize(begin + limits::PORCH_COPY_BYTES.min(self.left as usize), 0);
        let read = self.stream.read(&mut ahead.bytes[begin..], deadline);
        ahead.bytes.truncate(begin + read.as_ref().map_or(0, |n| *n));
        match read? {
            0 => Err(Failure::new(FailureKind::Closed, "the inner server closed a link")),
            n => {
                self.left = self.left.saturating_sub(n as u64);
                Ok(())
            }
        }
    }

    /// Reads away what is left. The page may hang for as long as it likes: that costs this link and its thread.
    fn clear(&mut self, head: &Head) -> Result<(), Failure> {
        while self.left == u64::MAX {
            match self.begin(head, in_an_hour()) {
                Err(f) if f.kind == FailureKind::Timeout => {}
                other => drop(other?),
            }
        }
        let mut chunk = [0; 4096];
        while self.left > 0 {
            match self.stream.read(&mut chunk, in_an_hour())? {
                0 => return Err(Failure::new(FailureKind::Closed, "the inner server closed a link")),
                n => self.left = self.left.saturating_sub(n as u64),
            }
        }
        Ok(())
    }

    fn give_back(self, inner: &Inner) {
        inner.give_back(self.stream.into_socket());
    }
}

impl Shared {
    pub fn tls(&self) -> Option<Arc<tls::Server>> {
        self.tls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn users(&self) -> Option<Arc<Users>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files of the pages, and says what is wrong with them.
    pub fn look(&self) {
        if let Some(Err(f)) = self.tls().as_deref().map(tls::Server::config) {
            log::warn("page TLS", f);
        }
        if let Some(users) = self.users() {
            users.look();
        }
    }

    /// The inner server; started if there is none.
    pub fn current(&self) -> Option<Arc<Inner>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.server.is_none() {
            match Inner::start(&self.handler, &mut inner.connected, self.own.as_deref()) {
                Ok(started) => inner.server = Some(Arc::new(started)),
                Err(e) => {
                    let why = crate::net::failure::words(&e);
                    log::warn("page", format!("cannot start the inner server of the pages: {why}"));
                }
            }
        }
        inner.server.clone()
    }

    /// Gives up an inner server that broke a link; the next visitor starts another.
    fn renew(&self, broken: &Arc<Inner>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.server.as_ref().is_some_and(|i| Arc::ptr_eq(i, broken)) {
            inner.server = None;
        }
    }
}

/// For our own pages, which are waited for as long as they take, and looked after again now and then.
fn in_an_hour() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}
