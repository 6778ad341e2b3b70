//! Parcels over a byte stream that has no answers: TCP, TLS, a Unix socket.
//!
//! Written from how Linux keeps account of a socket: `ioctl(SIOCOUTQ)` says how much of what was written the other side's
//! kernel has not acknowledged (of a Unix socket: what the other side has not read). Events count as taken when that is
//! nothing, and nobody has closed the connection or said a word until then. A new connection is listened to for a moment
//! longer: a refused client certificate (TLS 1.3), a balancer with nobody behind it, a web server that wants a request, all
//! take the connection and the first bytes before they say no. What was not taken is sent again, whole: better twice.
//!
//! Refuses: to count what an end or a word has followed, to go on with somebody who speaks.

use super::route::Route;
use super::row::{Promise, Transport, OF_TLS};
use crate::audit::delivery::frame::Frame;
use crate::audit::delivery::parcel::{Delivery, Parcel, Said, Sink, Why};
use crate::error::Result;
use crate::flags::text;
use crate::limits;
use crate::net::dial;
use crate::net::failure::{Failure, FailureKind};
use crate::net::foreign;
use crate::net::kept::{Conn, Kept};
use crate::net::stream::Sent;
use crate::net::target::{Scheme, Shape};
use std::time::{Duration, Instant};

/// Options of every stream.
pub const OF_STREAM: &[&str] = &["send-timeout"];

/// `tcp://`
pub const TCP: Transport = Transport {
    scheme: &Scheme { name: "tcp", shape: Shape::Port { port: 0 }, tls: false },
    url: "tcp://HOST:PORT",
    about: text("JSON lines over TCP", "строки JSON по TCP"),
    formats: &["json", "ecs", "cef", "leef", "gelf", "gostech"],
    frame: Some(Frame::Lines),
    options: &[OF_STREAM],
    promise: Promise::ReachedPeer,
    open,
    wishes: Route::files,
};

/// `tls://`
pub const TLS: Transport = Transport {
    scheme: &Scheme { name: "tls", shape: Shape::Port { port: 0 }, tls: true },
    url: "tls://HOST:PORT",
    about: text("JSON lines over TLS", "строки JSON поверх TLS"),
    options: &[OF_STREAM, OF_TLS],
    ..TCP
};

/// `unix://`
pub const UNIX: Transport = Transport {
    scheme: &Scheme { name: "unix", shape: Shape::Path, tls: false },
    url: "unix:///PATH/TO.SOCK",
    about: text(
        "JSON lines to a Unix socket of this machine; taken when the other side has read them",
        "строки JSON в сокет Unix этой машины; доставлено, когда другая сторона прочитала",
    ),
    ..TCP
};

fn open(route: &Route) -> Result<Box<dyn Sink>> {
    route.to.target.only_queries(&[])?;
    Ok(Box::new(Line::new(route)))
}

/// Sends the bytes of parcels, as they are framed, over one kept connection.
pub struct Line {
    kept: Kept,
    /// How long writing may take, and each piece of progress until all is acknowledged.
    send: Duration,
    total: Duration,
    /// How much of its time the last delivery took, in percent.
    spent: u32,
}

/// Why a parcel was not taken.
enum NotTaken {
    /// Before anything was written.
    Before(Failure),
    /// Afterwards.
    Failed(Failure),
    /// The other side said something.
    Spoke(Vec<u8>),
}

impl Line {
    /// Connects to nobody yet.
    pub fn new(route: &Route) -> Line {
        let times = &route.to.timeouts;
        Line { kept: route.to.straight(), send: times.send, total: times.total, spent: 0 }
    }

    /// Sends these bytes, which are all of the parcel, and answers when they are acknowledged.
    pub fn carry(&mut self, parcel: &Parcel<'_>, bytes: &[u8]) -> Delivery {
        match self.try_to(bytes) {
            Ok(()) => Delivery::whole(parcel, Said::default()),
            Err(NotTaken::Before(f)) => Delivery::failed(f, false),
            Err(NotTaken::Failed(f)) => Delivery::failed(f, true),
            Err(NotTaken::Spoke(said)) => {
                let text = foreign::sentence(self.kept.place(), &said, "a receiver of lines says nothing");
                Delivery::none(Why::Configuration, Said { status: None, text })
            }
        }
    }

    fn try_to(&mut self, bytes: &[u8]) -> std::result::Result<(), NotTaken> {
        let begun = Instant::now();
        self.spent = 0;
        let mut conn = self.kept.take(begun + self.total).map_err(NotTaken::Before)?;
        let written = Instant::now();
        let result = self.write(&mut conn, bytes, begun + self.total);
        self.spent = dial::spent(written, self.send);
        match result.and_then(|()| self.listen_on(&mut conn)) {
            Ok(()) => {
                self.kept.put(conn);
                Ok(())
            }
            Err(not) => Err(self.explained(&conn, not)),
        }
    }

    fn write(&self, conn: &mut Conn, bytes: &[u8], end: Instant) -> std::result::Result<(), NotTaken> {
        let until = end.min(Instant::now() + self.send);
        match conn.stream.send(bytes, until) {
            Ok(Sent::All) => self.acknowledged(conn, end),
            // What it has said before it closed is there to be read.
            Ok(Sent::Early(_) | Sent::Gone) => {
                listen(conn, Duration::from_millis(limits::STREAM_WORDS_MILLIS))?;
                let text = format!("connection to `{}` broke: the other side takes no more", self.kept.place());
                Err(NotTaken::Failed(Failure::new(FailureKind::Closed, text)))
            }
            Err(f) if f.kind == FailureKind::Timeout => Err(self.late()),
            Err(f) => Err(NotTaken::Failed(f)),
        }
    }

    /// Waits until the other side's kernel has all of it, as long as that gets on.
    fn acknowledged(&self, conn: &mut Conn, end: Instant) -> std::result::Result<(), NotTaken> {
        let (first, most) = limits::STREAM_LOOK_MILLIS;
        let (mut slice, most) = (Duration::from_millis(first), Duration::from_millis(most));
        let (mut least, mut moved) = (usize::MAX, Instant::now());
        loop {
            let (unsent, now) = (conn.stream.unsent(), Instant::now());
            if unsent == 0 {
                return Ok(());
            }
            if unsent < least {
                (least, moved) = (unsent, now);
            }
            if now >= end || now.duration_since(moved) >= self.send {
                return Err(self.late());
            }
            listen(conn, slice.min(end - now))?;
            slice = (slice * 2).min(most);
        }
    }

    /// Whether it still stands; a new one is listened to for a while.
    fn listen_on(&self, conn: &mut Conn) -> std::result::Result<(), NotTaken> {
        match conn.is_new() {
            Some(opening) => {
                let least = Duration::from_millis(limits::STREAM_PROOF_MILLIS);
                let most = Duration::from_millis(limits::STREAM_PROOF_MOST_MILLIS);
                listen(conn, (opening * limits::STREAM_PROOF_TIMES).clamp(least, most))
            }
            None if conn.stream.is_idle() => Ok(()),
            None => listen(conn, Duration::from_millis(limits::STREAM_WORDS_MILLIS)),
        }
    }

    fn late(&self) -> NotTaken {
        let text = format!("`{}`: it did not take the events within --send-timeout", self.kept.place());
        NotTaken::Failed(Failure::new(FailureKind::Timeout, text))
    }

    /// What it means that a connection ends as soon as it is there.
    fn explained(&self, conn: &Conn, not: NotTaken) -> NotTaken {
        match not {
            NotTaken::Failed(f) if f.kind == FailureKind::Closed && conn.is_new().is_some() => {
                let why = match conn.stream.is_tls() {
                    true => "does it want a client certificate (--certificate), and does it know ours",
                    false => "does it want TLS, and does it let this machine in",
                };
                let text = format!("{}; it was a new connection: {why}, and is somebody behind a balancer", f.text);
                NotTaken::Failed(Failure::new(f.kind, text))
            }
            not => not,
        }
    }
}

/// Listens for so long to somebody who is to say nothing, and is to stay.
fn listen(conn: &mut Conn, long: Duration) -> std::result::Result<(), NotTaken> {
    let mut words = [0; limits::STREAM_WORDS_BYTES];
    match conn.stream.read(&mut words, Instant::now() + long) {
        Err(f) if f.kind == FailureKind::Timeout => Ok(()),
        Err(f) => Err(NotTaken::Failed(f)),
        Ok(0) => {
            let text = format!("connection to `{}` broke: the other side closed it", conn.stream.peer());
            Err(NotTaken::Failed(Failure::new(FailureKind::Closed, text)))
        }
        Ok(n) => Err(NotTaken::Spoke(words[..n].to_vec())),
    }
}

impl Sink for Line {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        self.carry(parcel, parcel.bytes)
    }

    fn check(&mut self) -> std::result::Result<(), Failure> {
        self.kept.check()
    }

    fn spent(&self) -> u32 {
        self.spent
    }

    fn reload(&mut self) {
        self.kept.reload();
    }

    fn rest(&mut self) {
        self.kept.rest();
    }

    fn place(&self) -> String {
        self.kept.place().to_string()
    }
}

#[cfg(test)]
mod tests;
