//! What stands between ureq and our streams: a connector (TCP, Unix socket, proxy, TLS) and a transport with its buffers.
//!
//! Failures travel through ureq whole, as `ureq::Error::Other`. The transport swallows what ureq still wants to send
//! after the other side has answered or closed, so that ureq goes on to read the answer that explains it.

use crate::limits;
use crate::net::failure::{Failure, FailureKind};
use crate::net::proxy::Proxy;
use crate::net::secret::Wiped;
use crate::net::stream::{Sent, Stream};
use crate::net::target::{bracketed, Place, Scheme, Target};
use crate::net::tls;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};
use ureq::{config::Config, http::Uri, Timeout};

/// What the client wants to know about a request that failed.
#[derive(Debug, Default)]
pub struct Trace {
    /// Connections opened so far.
    pub opened: AtomicU64,
    /// Something of an answer came.
    pub answered: AtomicBool,
    /// The other side answered or closed before it had the whole request.
    pub cut: AtomicBool,
}

/// Opens connections to the one target.
pub struct Wire {
    pub target: Target,
    pub proxy: Option<Proxy>,
    pub tls: Arc<tls::Client>,
    pub trace: Arc<Trace>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({})", self.target)
    }
}

impl Connector<()> for Wire {
    type Out = WireTransport;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<WireTransport>, ureq::Error> {
        self.trace.opened.fetch_add(1, Ordering::Relaxed);
        let stream = self.open(deadline(details.timeout)).map_err(|f| {
            if f.kind == FailureKind::Timeout {
                return other(timeout(&self.target.display(), details.timeout.reason));
            }
            other(f)
        })?;
        Ok(Some(WireTransport {
            stream,
            buffers: LazyBuffers::new(limits::HTTP_INPUT_BYTES, limits::HTTP_OUTPUT_BYTES),
            trace: Arc::clone(&self.trace),
            place: self.target.display(),
            absolute: self.absolute_form(),
            at_head: true,
            stopped: false,
        }))
    }
}

impl Wire {
    fn open(&self, deadline: Instant) -> Result<Stream, Failure> {
        let mut stream = match (self.target.place(), &self.proxy) {
            (Place::Unix { path }, _) => Stream::unix(path)?,
            (Place::Net { host, port }, None) => Stream::tcp(host, *port, deadline)?,
            (Place::Net { host, port }, Some(proxy)) => {
                let mut stream = Stream::tcp(&proxy.host, proxy.port, deadline)?;
                if self.target.scheme() == Scheme::Https {
                    tunnel(&mut stream, proxy, &format!("{}:{port}", bracketed(host)), deadline)?;
                }
                stream
            }
        };
        if self.target.scheme() == Scheme::Https {
            let name = self.tls.name_for(self.target.host())?;
            let session = rustls::ClientConnection::new(self.tls.config()?, name)
                .map_err(|e| Failure::new(FailureKind::Tls, format!("TLS with `{}`: {e}", stream.peer())))?;
            stream.handshake(session, deadline)?;
        }
        Ok(stream)
    }

    /// A proxy is asked for plain HTTP with the whole URL in the request line.
    fn absolute_form(&self) -> Option<String> {
        let plain = self.proxy.is_some() && self.target.scheme() == Scheme::Http;
        plain.then(|| format!("http://{}", self.target.authority()))
    }
}

/// Asks a proxy for a tunnel.
fn tunnel(stream: &mut Stream, proxy: &Proxy, to: &str, deadline: Instant) -> Result<(), Failure> {
    let mut ask = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes();
    if let Some(value) = proxy.authorization() {
        ask = [&ask[..], b"Proxy-Authorization: ", value, b"\r\n"].concat();
    }
    ask.extend_from_slice(b"\r\n");
    stream.write_all(Wiped::new(ask).bytes(), deadline)?;
    let fail =
        |kind, why: &str| Failure::new(kind, format!("proxy `{}` gave no way to `{to}`: {why}", proxy.display()));
    let mut head = Vec::new();
    let mut byte = [0];
    // One byte at a time: what follows the head belongs to TLS. It is a hundred bytes once a connection.
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte, deadline)? == 0 {
            return Err(fail(FailureKind::Closed, "it closed the connection"));
        }
        head.push(byte[0]);
        if head.len() > limits::PROXY_HEAD_BYTES {
            return Err(fail(FailureKind::Protocol, "its answer has no end"));
        }
    }
    let line = String::from_utf8_lossy(head.split(|&b| b == b'\r').next().unwrap_or_default()).into_owned();
    let status = line.strip_prefix("HTTP/1.").and_then(|l| l.get(2..5)).and_then(|s| s.parse::<u16>().ok());
    match status {
        Some(200..=299) => Ok(()),
        Some(407) => {
            Err(fail(FailureKind::Connect, "it wants a user and a password (407): http://USER:PASSWORD@proxy"))
        }
        Some(status) => Err(fail(FailureKind::Connect, &format!("it answered {status}"))),
        None => Err(fail(FailureKind::Protocol, "its answer is not HTTP")),
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
        let sent = if std::mem::take(&mut self.at_head) && self.absolute.is_some() {
            self.send_head(amount, until)
        } else {
            let bytes = &self.buffers.output()[..amount];
            self.stream.send(bytes, until)
        };
        let sent = sent.map_err(|f| self.exact(f, timeout.reason))?;
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
        let n = self.stream.read(self.buffers.input_append_buf(), until).map_err(|f| self.exact(f, timeout.reason))?;
        if n > 0 && !self.trace.answered.swap(true, Ordering::Relaxed) {
            self.no_tls_here()?;
        }
        self.buffers.input_appended(n);
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

impl WireTransport {
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
        self.stream.goodbye();
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
