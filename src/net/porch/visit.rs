//! One visit: TLS, one request head, who it is, the page, goodbye.
//!
//! A turn is kept no longer than it must be: what a slow visitor does not take yet waits for him, as far as the bound for all
//! of them goes, and beyond that whoever takes for too long makes room. Refuses: to let one visitor's slowness be another's
//! wait.

use crate::limits;
use crate::log;
use crate::net::failure::{words, Failure, FailureKind};
use crate::net::page::Page;
use crate::net::porch::head::{self, Head, Refusal};
use crate::net::porch::seats::Seat;
use crate::net::porch::turns::{self, Handler, Turn, Turns};
use crate::net::porch::users::Users;
use crate::net::stream::{Socket, Stream};
use crate::net::tls;
use crate::net::verdict::Names;
use crate::sys::clock::wall_ms;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What all visits of a porch share.
pub struct Shared {
    /// Both may be others after a reload.
    pub tls: Mutex<Option<Arc<tls::Server>>>,
    pub users: Mutex<Option<Arc<Users>>>,
    pub handler: Handler,
    pub turns: Arc<Turns>,
    pub patience: Patience,
    /// Bytes of pages that slow visitors have not taken, without those of visits with a turn.
    pub read_ahead: AtomicUsize,
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
        Ok(head) => serve(shared, guest, head, &seat),
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

/// Has the page made, and gives it to the visitor.
fn serve(shared: &Shared, mut guest: Stream, head: Head, seat: &Seat) {
    let deadline = Instant::now() + shared.patience.answer;
    let (head_only, hurry) = (head.head_only, head.request.path == HEALTHY);
    let Some(turn) = free_turn(&shared.turns, seat, deadline, hurry) else {
        return refuse(&mut guest, &FULL, head_only);
    };
    let (page, turn) = match turns::make(&shared.handler, head.request, turn, deadline) {
        Ok(Some(made)) => made,
        Ok(None) => return refuse(&mut guest, &NO_ANSWER, head_only),
        Err(e) => {
            log::warn("page", format!("no thread for a page: {}", words(&e)));
            return refuse(&mut guest, &BROKEN, head_only);
        }
    };
    seat.taking();
    let mut rest = Rest::of(page, head_only, &shared.read_ahead);
    if pass(turn, &mut rest, &mut guest, Instant::now() + shared.patience.take, seat).is_some() {
        drop(rest);
        // Only the goodbye is left: the seat is for who comes next.
        seat.leave();
        farewell(&mut guest);
    }
}

/// A turn; whoever keeps one for too long makes room for who waits.
fn free_turn(turns: &Arc<Turns>, seat: &Seat, deadline: Instant, hurry: bool) -> Option<Turn> {
    let stall = Duration::from_millis(limits::PORCH_STALL_MILLIS);
    loop {
        let turn = turns.take(deadline.min(Instant::now() + stall), hurry);
        if turn.is_some() || Instant::now() >= deadline {
            return turn;
        }
        seat.wants_a_turn();
    }
}

/// Passes a page on. The turn ends as soon as what is left of the page has room among all that wait. Nothing when the visitor
/// went away or was too slow.
fn pass(turn: Turn, rest: &mut Rest<'_>, guest: &mut Stream, deadline: Instant, seat: &Seat) -> Option<()> {
    let mut turn = Some(turn);
    while !rest.bytes().is_empty() {
        if turn.is_some() && rest.finds_room() {
            turn = None;
            seat.moved(false);
        }
        match guest.write_now(rest.bytes()).ok()? {
            0 => guest.until_writable(deadline).ok()?,
            n => {
                rest.at += n;
                seat.moved(turn.is_some());
            }
        }
        if Instant::now() >= deadline {
            return None;
        }
    }
    guest.flush(deadline).ok()
}

/// What is not taken yet of an answer.
struct Rest<'h> {
    head: Vec<u8>,
    body: Vec<u8>,
    /// How much of both was taken.
    at: usize,
    /// What it has of the room for all.
    held: usize,
    of_all: &'h AtomicUsize,
}

impl<'h> Rest<'h> {
    fn of(page: Page, head_only: bool, of_all: &'h AtomicUsize) -> Self {
        let mut head = head::answer(&page, wall_ms().div_euclid(1000));
        let mut body = if head_only { Vec::new() } else { page.body };
        if body.len() <= limits::PORCH_COPY_BYTES {
            // In one packet, or as few as may be.
            head.append(&mut body);
        }
        Rest { head, body, at: 0, held: 0, of_all }
    }

    fn bytes(&self) -> &[u8] {
        match self.at.checked_sub(self.head.len()) {
            None => &self.head[self.at..],
            Some(at) => &self.body[at..],
        }
    }

    /// Takes room for what is left, if there is any; what was taken is let go.
    fn finds_room(&mut self) -> bool {
        let left = self.head.len() + self.body.len() - self.at;
        let more = |all: usize| (all + left <= limits::PORCH_AHEAD_BYTES).then_some(all + left);
        if self.of_all.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_err() {
            return false;
        }
        self.held = left;
        let of_body = self.at.saturating_sub(self.head.len());
        self.body.drain(..of_body);
        self.body.shrink_to_fit();
        self.at -= of_body;
        true
    }
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.of_all.fetch_sub(self.held, Ordering::SeqCst);
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
}
