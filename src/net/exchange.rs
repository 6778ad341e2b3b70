//! One HTTP request over one connection, and its answer, each part before its deadline.
//!
//! The other side may answer, or close, before it has the whole request: what is left of it is not sent then, and the answer,
//! which explains it, is read. Heads that only say that an answer is to come (1xx) stop nothing. Refuses: to wait for an answer
//! while the request has not left the kernel, and to let that take for ever.

use crate::limits;
use crate::net::dial;
use crate::net::failure::{Failure, FailureKind};
use crate::net::foreign;
use crate::net::kept::Conn;
use crate::net::mask::Mask;
use crate::net::reply::{self, Body, Head};
use crate::net::stream::Sent;
use std::time::{Duration, Instant};

/// How long each part of a delivery may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Name, TCP, proxy and TLS together.
    pub connect: Duration,
    /// From the first byte of the request to its last.
    pub send: Duration,
    /// From the moment at which the other side's kernel has that one to the head of the answer.
    pub first_byte: Duration,
    /// Everything.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(limits::HTTP_CONNECT_SECONDS),
            send: Duration::from_secs(limits::HTTP_SEND_SECONDS),
            first_byte: Duration::from_secs(limits::HTTP_FIRST_BYTE_SECONDS),
            total: Duration::from_secs(limits::HTTP_TOTAL_SECONDS),
        }
    }
}

/// What was over time, by the option that says how long it may take.
pub const CONNECT: &str = "no connection within --connect-timeout";
const SEND: &str = "it did not take the request within --send-timeout";
const FIRST_BYTE: &str = "no answer within --first-byte-timeout";
const BODY: &str = "the rest of its answer did not come within --first-byte-timeout";
/// All of it.
pub const TOTAL: &str = "no whole answer within --total-timeout";

/// The failure of what was over time.
pub fn late(place: &str, what: &str) -> Failure {
    Failure::new(FailureKind::Timeout, format!("`{place}`: {what}"))
}

/// One.
pub struct Exchange<'p> {
    conn: Conn,
    /// Where, for sentences.
    place: &'p str,
    /// What must not be shown of what comes.
    mask: &'p Mask,
    times: Timeouts,
    /// When all of it must be over.
    end: Instant,
    /// What came and was not understood yet.
    came: Vec<u8>,
    /// How long the heads were that only said that an answer is to come.
    passed: usize,
    /// Something of an answer came.
    pub answered: bool,
    /// The other side answered or closed before it had the whole request.
    pub cut: bool,
    /// The largest part of its time that any phase has taken so far, in percent.
    pub spent: u32,
}

impl<'p> Exchange<'p> {
    /// Over this connection, until then.
    pub fn new(conn: Conn, place: &'p str, mask: &'p Mask, times: Timeouts, end: Instant) -> Self {
        Exchange { conn, place, mask, times, end, came: Vec::new(), passed: 0, answered: false, cut: false, spent: 0 }
    }

    /// Sends the request, as far as it is taken.
    pub fn send(&mut self, parts: [&[u8]; 2]) -> Result<(), Failure> {
        let begun = Instant::now();
        let (until, what) = self.within(self.times.send, SEND);
        for mut part in parts {
            while !self.cut {
                match self.conn.stream.send(part, until).map_err(|f| self.exact(f, what))? {
                    Sent::All => break,
                    Sent::Gone => self.cut = true,
                    Sent::Early(taken) => {
                        part = &part[taken..];
                        let more = self.hear(until).map_err(|f| self.exact(f, what))?;
                        self.cut = more == 0 || self.last_head()?.is_some() || self.is_begun();
                    }
                }
            }
        }
        self.spend(begun, self.times.send);
        Ok(())
    }

    /// The end of a phase that may take so long, and what was over time if it is not over then.
    fn within(&self, long: Duration, what: &'static str) -> (Instant, &'static str) {
        match Instant::now() + long {
            own if own < self.end => (own, what),
            _ => (self.end, TOTAL),
        }
    }

    /// Reads the head of the answer.
    pub fn head(&mut self) -> Result<Head, Failure> {
        let mut wait = Wait::new();
        loop {
            if let Some((head, length)) = self.last_head()? {
                self.came.drain(..length);
                return Ok(head);
            }
            self.await_head(&mut wait)?;
        }
    }

    /// The head of the answer, and how long it is, where it is there whole; those that only say that it is to come are passed over.
    fn last_head(&mut self) -> Result<Option<(Head, usize)>, Failure> {
        loop {
            match reply::head(&self.came).map_err(|why| self.no_answer(why))? {
                Some((head, length)) if head.status == 101 || head.status >= 200 => return Ok(Some((head, length))),
                _ if self.passed + self.came.len() > limits::HTTP_INPUT_BYTES => {
                    return Err(self.not_http("a head that is too long"));
                }
                None => return Ok(None),
                Some((_, length)) => {
                    self.came.drain(..length);
                    self.passed += length;
                }
            }
        }
    }

    /// Whether what there is of a head is that of the answer: its status begins with another digit than 1.
    fn is_begun(&self) -> bool {
        self.came.trim_ascii_start().get("HTTP/1.1 ".len()).is_some_and(|digit| *digit != b'1')
    }

    /// Waits for more of the head. Its time begins when the other side's kernel has the last byte of the request, or something of
    /// the answer is there; until then each piece of progress is waited for as long as a request may take.
    fn await_head(&mut self, wait: &mut Wait) -> Result<(), Failure> {
        loop {
            let whole = wait.begun.map(|begun| begun + self.times.first_byte);
            let until = self.end.min(whole.unwrap_or_else(|| Instant::now() + wait.slice));
            match self.hear(until) {
                Ok(0) => return Err(self.ended()),
                Ok(_) => {
                    let begun = *wait.begun.get_or_insert_with(Instant::now);
                    self.spend(begun, self.times.first_byte);
                    return Ok(());
                }
                Err(f) if f.kind != FailureKind::Timeout || Instant::now() < until => {
                    return Err(self.exact(f, FIRST_BYTE));
                }
                Err(_) if until == self.end => return Err(late(self.place, TOTAL)),
                Err(_) if whole.is_some() => return Err(self.silent()),
                Err(_) => {}
            }
            if !wait.look(self.conn.stream.unsent(), self.times.send) {
                return Err(late(self.place, SEND));
            }
        }
    }

    /// Reads the body, so that the connection can be used again, up to a bound, into `kept`, of which `keep` bytes are wanted.
    /// Whether all of it came.
    pub fn body(&mut self, body: &mut Body, most: usize, keep: usize, kept: &mut Vec<u8>) -> Result<bool, Failure> {
        let (until, what) = self.within(self.times.first_byte, BODY);
        let (mut at, mut total) = (0, 0);
        while !body.is_whole() && total <= most {
            if at == self.came.len() {
                self.came.clear();
                at = 0;
                match self.read(until) {
                    Ok(0) if *body == Body::UntilTheEnd => break,
                    Ok(0) => return Err(self.ended()),
                    Ok(_) => {}
                    Err(f) => return Err(self.exact(f, what)),
                }
            }
            let (n, own) = body.take(&self.came[at..]).map_err(|why| self.not_http(why))?;
            kept.extend_from_slice(&own[..own.len().min(keep - kept.len())]);
            (at, total) = (at + n, total + own.len());
        }
        self.came.drain(..at);
        Ok(body.is_whole())
    }

    /// The connection, when the other side has said nothing that nobody asked for.
    pub fn into_conn(self) -> Option<Conn> {
        (self.came.is_empty() && !self.cut).then_some(self.conn)
    }

    /// Reads some of the head of an answer.
    fn hear(&mut self, until: Instant) -> Result<usize, Failure> {
        let n = self.read(until)?;
        if n > 0 && !std::mem::replace(&mut self.answered, true) {
            self.no_tls_here()?;
        }
        Ok(n)
    }

    fn read(&mut self, until: Instant) -> Result<usize, Failure> {
        let mut chunk = [0; 4096];
        let n = self.conn.stream.read(&mut chunk, until)?;
        self.came.extend_from_slice(&chunk[..n]);
        Ok(n)
    }

    /// A phase that has begun then has taken so much of its time.
    fn spend(&mut self, begun: Instant, of: Duration) {
        self.spent = self.spent.max(dial::spent(begun, of));
    }

    /// A TLS record where an answer should begin: the port wants `https://`.
    fn no_tls_here(&self) -> Result<(), Failure> {
        if self.conn.stream.is_tls() || !self.came.starts_with(&[0x15, 0x03]) {
            return Ok(());
        }
        let text = format!("`{}` answers with TLS: its URL should begin with https://", self.place);
        Err(Failure::new(FailureKind::Tls, text))
    }

    /// A head that is none. Whoever speaks another protocol is named; he may say ours back.
    fn no_answer(&self, why: &str) -> Failure {
        if self.came.trim_ascii_start().starts_with(b"HTTP/") {
            return self.not_http(why);
        }
        let shown = self.came.len().min(limits::HTTP_EXCERPT_BYTES);
        let text = foreign::sentence(self.place, &self.mask.apply(self.came[..shown].to_vec()), "HTTP would answer");
        Failure::new(FailureKind::Protocol, text)
    }

    /// What it means that a new connection breaks before anything of an answer is there.
    pub fn explained(&self, f: Failure) -> Failure {
        match f.kind {
            FailureKind::Closed if self.conn.is_new().is_some() && !self.answered && !self.conn.stream.is_tls() => {
                Failure::new(f.kind, format!("{}; does it want TLS on this port?", f.text))
            }
            _ => f,
        }
    }

    fn not_http(&self, why: &str) -> Failure {
        let text = format!("`{}` does not answer as HTTP should: {why}", self.place);
        Failure::new(FailureKind::Protocol, text)
    }

    fn silent(&self) -> Failure {
        match self.conn.is_new() {
            Some(_) if !self.answered => late(self.place, &format!("{FIRST_BYTE}; does it speak HTTP on this port?")),
            _ => late(self.place, FIRST_BYTE),
        }
    }

    fn ended(&self) -> Failure {
        let text = format!("`{}` closed the connection before a whole answer", self.place);
        Failure::new(FailureKind::Closed, text)
    }

    fn exact(&self, f: Failure, what: &str) -> Failure {
        match f.kind {
            FailureKind::Timeout => late(self.place, what),
            _ => f,
        }
    }
}

/// The wait for the head of an answer.
struct Wait {
    /// Since when the other side has the whole request, or something of the answer is there.
    begun: Option<Instant>,
    unsent: usize,
    moved: Instant,
    slice: Duration,
}

impl Wait {
    fn new() -> Wait {
        let slice = Duration::from_millis(limits::UNSENT_LOOK_MILLIS.0);
        Wait { begun: None, unsent: usize::MAX, moved: Instant::now(), slice }
    }

    /// Looks at what is not sent yet. False: nothing of it has gone for too long.
    fn look(&mut self, unsent: usize, patience: Duration) -> bool {
        let now = Instant::now();
        if unsent == 0 {
            self.begun = Some(now);
        }
        if unsent < self.unsent {
            (self.unsent, self.moved) = (unsent, now);
        }
        self.slice = (self.slice * 2).min(Duration::from_millis(limits::UNSENT_LOOK_MILLIS.1));
        now.duration_since(self.moved) < patience
    }
}
