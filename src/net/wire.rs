//! What stands between ureq and our streams: a connector, which dials, and a transport with its buffers.
//!
//! Failures travel through ureq whole, as `ureq::Error::Other`. The transport swallows what ureq still wants to send
//! after the other side has answered or closed, so that ureq goes on to read the answer that explains it.

use crate::limits;
use crate::net::dial::{self, Dial, Patience};
use crate::net::failure::{Failure, FailureKind};
use crate::net::stream::{Sent, Stream};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};
use ureq::{config::Config, http::Uri, Timeout};

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

/// What the client wants to know about a request that failed.
#[derive(Debug, Default)]
pub struct Trace {
    /// Connections opened so far.
    pub opened: AtomicU64,
    /// Something of an answer came.
    pub answered: AtomicBool,
    /// The other side answered or closed before it had the whole request.
    pub cut: AtomicBool,
    /// Something of the request was handed to a connection.
    pub sending: AtomicBool,
    /// The largest part of its time that any phase of the request has taken so far, in percent.
    pub spent: AtomicU64,
}

/// Opens connections to the one target.
pub struct Wire {
    /// Where, for sentences.
    pub place: String,
    pub dial: Dial,
    /// A proxy is asked for plain HTTP with the whole URL in the request line: what stands before its path there.
    pub absolute: Option<String>,
    pub trace: Arc<Trace>,
    pub timeouts: Timeouts,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({})", self.place)
    }
}

impl Connector<()> for Wire {
    type Out = WireTransport;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<WireTransport>, ureq::Error> {
        self.trace.opened.fetch_add(1, Ordering::Relaxed);
        let stream = self.dial.open(Patience::Until(deadline(details.timeout))).map_err(|f| match f.kind {
            FailureKind::Timeout => other(timeout(&self.place, details.timeout.reason)),
            _ => other(f),
        })?;
        Ok(Some(WireTransport {
            stream,
            buffers: LazyBuffers::new(limits::HTTP_INPUT_BYTES, limits::HTTP_OUTPUT_BYTES),
            trace: Arc::clone(&self.trace),
            place: self.place.clone(),
            absolute: self.absolute.clone(),
            at_head: true,
            stopped: false,
            timeouts: self.timeouts,
            head: None,
        }))
    }
}

/// One connection, as ureq sees it.
pub struct WireTransport {
    stream: Stream,
    buffers: LazyBuffers,
    trace: Arc<Trace>,
    place: String,
    absolute: Option<String>,
    at_head: bool,
    stopped: bool,
    timeouts: Timeouts,
    /// The wait for the head of an answer.
    head: Option<HeadWait>,
}

/// The wait for the head of an answer. Its time begins when the other side's kernel has the last byte of the request, or
/// something of the answer is there; until then each piece of progress is waited for as long as a request may take.
#[derive(Debug)]
struct HeadWait {
    begun: Option<Instant>,
    unsent: usize,
    moved: Instant,
    slice: Duration,
}

impl HeadWait {
    fn new() -> HeadWait {
        let slice = Duration::from_millis(limits::UNSENT_LOOK_MILLIS.0);
        HeadWait { begun: None, unsent: usize::MAX, moved: Instant::now(), slice }
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

impl fmt::Debug for WireTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WireTransport({})", self.place)
    }
}

impl WireTransport {
    fn exact(&self, f: Failure, reason: Timeout) -> ureq::Error {
        match f.kind {
            FailureKind::Timeout => other(timeout(&self.place, reason)),
            _ => other(f),
        }
    }

    /// The head of a request to a proxy: `POST /path` becomes `POST http://host/path`.
    fn send_head(&mut self, amount: usize, until: Instant) -> Result<Sent, Failure> {
        let head = &self.buffers.output()[..amount];
        let space = head.iter().position(|&b| b == b' ').map_or(0, |at| at + 1);
        let mut whole = Vec::with_capacity(amount + 64);
        whole.extend_from_slice(&head[..space]);
        whole.extend_from_slice(self.absolute.as_deref().unwrap_or_default().as_bytes());
        whole.extend_from_slice(&head[space..]);
        self.stream.send(&whole, until)
    }
}

impl Transport for WireTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        if self.stopped || amount == 0 {
            return Ok(());
        }
        let until = deadline(timeout);
        self.trace.sending.store(true, Ordering::Relaxed);
        self.head = Some(HeadWait::new());
        let begun = Instant::now();
        let sent = if std::mem::take(&mut self.at_head) && self.absolute.is_some() {
            self.send_head(amount, until)
        } else {
            let bytes = &self.buffers.output()[..amount];
            self.stream.send(bytes, until)
        };
        let sent = sent.map_err(|f| self.exact(f, timeout.reason))?;
        self.spend(begun, self.timeouts.send);
        self.stopped = sent == Sent::Stopped;
        if self.stopped {
            self.trace.cut.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let until = deadline(timeout);
        if self.buffers.input_append_buf().is_empty() {
            let text = format!("`{}` answers with a head longer than {} bytes", self.place, limits::HTTP_INPUT_BYTES);
            return Err(other(Failure::new(FailureKind::Protocol, text)));
        }
        let n = match self.head.take() {
            Some(wait) => self.read_head(wait, until, timeout.reason)?,
            None => {
                let read = self.stream.read(self.buffers.input_append_buf(), until);
                read.map_err(|f| self.exact(f, timeout.reason))?
            }
        };
        if n > 0 && !self.trace.answered.swap(true, Ordering::Relaxed) {
            self.no_tls_here()?;
        }
        self.buffers.input_appended(n);
        if self.head.is_some() && ends_a_head(self.buffers.input(), n) {
            self.head = None;
        }
        Ok(n > 0)
    }

    fn is_open(&mut self) -> bool {
        self.at_head = true;
        !self.stopped && self.stream.is_idle()
    }

    fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }
}

/// Whether the last `new` bytes bring the end of a head.
fn ends_a_head(input: &[u8], new: usize) -> bool {
    let tail = &input[input.len().saturating_sub(new + 3)..];
    [&b"\r\n\r\n"[..], b"\n\n"].iter().any(|end| memchr::memmem::find(tail, end).is_some())
}

impl WireTransport {
    /// Reads what is there of the head of an answer, each time from the moment on at which the request was sent.
    fn read_head(&mut self, mut wait: HeadWait, until: Instant, reason: Timeout) -> Result<usize, ureq::Error> {
        loop {
            let whole = wait.begun.map(|b| b + self.timeouts.first_byte);
            let end = whole.map_or(until, |w| w.min(until));
            let slice = if whole.is_some() { end } else { end.min(Instant::now() + wait.slice) };
            match self.stream.read(self.buffers.input_append_buf(), slice) {
                Ok(n) => {
                    let begun = *wait.begun.get_or_insert_with(Instant::now);
                    self.spend(begun, self.timeouts.first_byte);
                    self.head = Some(wait);
                    return Ok(n);
                }
                Err(f) if f.kind != FailureKind::Timeout || Instant::now() < slice => {
                    return Err(self.exact(f, reason));
                }
                Err(_) if whole.is_some_and(|w| w <= until) => {
                    return Err(other(timeout(&self.place, Timeout::RecvResponse)));
                }
                Err(_) if slice == until => return Err(other(timeout(&self.place, reason))),
                Err(_) => {}
            }
            if !wait.look(self.stream.unsent(), self.timeouts.send) {
                return Err(other(timeout(&self.place, Timeout::SendBody)));
            }
        }
    }

    /// A phase that has begun then has taken so much of its time.
    fn spend(&self, begun: Instant, of: Duration) {
        self.trace.spent.fetch_max(dial::spent(begun, of).into(), Ordering::Relaxed);
    }

    /// A TLS record where an answer should begin: the port wants `https://`.
    fn no_tls_here(&mut self) -> Result<(), ureq::Error> {
        let begun = self.buffers.input_append_buf();
        if self.stream.is_tls() || !begun.starts_with(&[0x15, 0x03]) {
            return Ok(());
        }
        let text = format!("`{}` answers with TLS: its URL should begin with https://", self.place);
        Err(other(Failure::new(FailureKind::Tls, text)))
    }
}

impl Drop for WireTransport {
    fn drop(&mut self) {
        self.stream.leave();
    }
}

/// The addresses are found by the connector itself, which knows about proxies and sockets.
#[derive(Debug)]
pub struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

/// The sentence for a deadline that passed, by the option that sets it.
pub fn timeout(place: &str, reason: Timeout) -> Failure {
    let what = match reason {
        Timeout::Connect | Timeout::Resolve => "no connection within --connect-timeout",
        Timeout::SendRequest | Timeout::SendBody => "it did not take the request within --send-timeout",
        Timeout::RecvResponse => "no answer within --first-byte-timeout",
        _ => "no whole answer within --total-timeout",
    };
    Failure::new(FailureKind::Timeout, format!("`{place}`: {what}"))
}

fn other(f: Failure) -> ureq::Error {
    ureq::Error::Other(Box::new(f))
}

fn deadline(timeout: NextTimeout) -> Instant {
    let most = Duration::from_secs(24 * 3600);
    Instant::now() + (*timeout.after).min(most)
}
