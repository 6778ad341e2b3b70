//! Syslog: datagrams over UDP (RFC 5426) and to a local syslogd, and streams over TCP (RFC 6587) and TLS (RFC 5425).
//!
//! A stream is `stream`'s, with the length before each message, or lines where the URL says `?framing=lf`. A datagram is one
//! message; nobody acknowledges it. What can be known is asked: the refusal of the other side's kernel, behind each parcel,
//! and that a local socket has no room. UDP is paced, so that a burst does not run over the receiver's buffer. Refuses: to
//! cut a message that no datagram can hold; that one goes to the quarantine.

use super::route::Route;
use super::row::{Promise, Transport, OF_TLS};
use super::stream::{Line, OF_STREAM};
use crate::audit::delivery::frame::Frame;
use crate::audit::delivery::parcel::{About, Blame, Delivery, Parcel, Said, Sink, Why};
use crate::error::Result;
use crate::flags::text;
use crate::limits;
use crate::net::datagram::Datagrams;
use crate::net::failure::{Failure, FailureKind};
use crate::net::target::{Scheme, Shape};
use crate::words;
use std::time::{Duration, Instant};

/// Options of everything that carries messages of syslog.
pub const OF_SYSLOG: &[&str] = &["facility", "app-name", "sd-id"];

/// `syslog+udp://`
pub const UDP: Transport = Transport {
    scheme: &Scheme { name: "syslog+udp", shape: Shape::Port { port: 514 }, tls: false },
    url: "syslog+udp://HOST[:PORT]",
    about: text(
        "syslog (RFC 5424) over UDP; events over 65,507 bytes go to the quarantine",
        "syslog (RFC 5424) по UDP; события больше 65 507 байт уходят в карантин",
    ),
    formats: &["rfc5424", "rfc3164", "rfc5424-cef", "rfc5424-leef", "rfc3164-cef"],
    frame: Some(Frame::Bare),
    options: &[OF_SYSLOG, OF_STREAM],
    promise: Promise::Sent,
    open: open_datagrams,
    wishes: Route::files,
};

/// `syslog+tcp://`
pub const TCP: Transport = Transport {
    scheme: &Scheme { name: "syslog+tcp", shape: Shape::Port { port: 514 }, tls: false },
    url: "syslog+tcp://HOST[:PORT][?framing=lf]",
    about: text(
        "syslog over TCP, each message with its length before it; with ?framing=lf a line each",
        "syslog по TCP, перед каждым сообщением его длина; с ?framing=lf — по строке",
    ),
    frame: Some(Frame::Octets),
    promise: Promise::ReachedPeer,
    open: open_stream,
    ..UDP
};

/// `syslog+tls://`
pub const TLS: Transport = Transport {
    scheme: &Scheme { name: "syslog+tls", shape: Shape::Port { port: 6514 }, tls: true },
    url: "syslog+tls://HOST[:PORT][?framing=lf]",
    about: text("syslog over TLS (RFC 5425)", "syslog поверх TLS (RFC 5425)"),
    options: &[OF_SYSLOG, OF_STREAM, OF_TLS],
    ..TCP
};

/// `syslog+unix://`
pub const UNIX: Transport = Transport {
    scheme: &Scheme { name: "syslog+unix", shape: Shape::Path, tls: false },
    url: "syslog+unix:///PATH/TO.SOCK",
    about: text(
        "syslog to the socket of this machine, syslog+unix:///dev/log",
        "syslog в сокет этой машины, syslog+unix:///dev/log",
    ),
    formats: &["rfc3164", "rfc5424", "rfc3164-cef", "rfc5424-cef", "rfc5424-leef"],
    promise: Promise::ReachedPeer,
    ..UDP
};

fn open_stream(route: &Route) -> Result<Box<dyn Sink>> {
    route.to.target.only_queries(&[("framing", &["lf"])])?;
    Ok(Box::new(Line::new(route)))
}

fn open_datagrams(route: &Route) -> Result<Box<dyn Sink>> {
    route.to.target.only_queries(&[])?;
    let (target, times) = (&route.to.target, &route.to.timeouts);
    Ok(Box::new(Messages {
        out: Datagrams::new(target.place().clone()),
        // A local syslogd may listen on a stream instead.
        line: target.socket().map(|_| Line::new(route)),
        on_line: false,
        place: target.display(),
        send: times.send,
        total: times.total,
    }))
}

/// Sends each event as a datagram.
struct Messages {
    out: Datagrams,
    line: Option<Line>,
    on_line: bool,
    place: String,
    send: Duration,
    total: Duration,
}

impl Messages {
    fn each(&mut self, parcel: &Parcel<'_>) -> Delivery {
        let end = Instant::now() + self.total;
        for i in 0..parcel.len() {
            if parcel.event(i).len() > limits::DATAGRAM_BYTES {
                return self.too_long(i, parcel.event(i).len());
            }
            if let Err(f) = self.out.send_paced(parcel.event(i), end.min(Instant::now() + self.send)) {
                return self.not_sent(i, f);
            }
        }
        match self.out.settled() {
            Err(f) => self.not_sent(0, f),
            Ok(()) => Delivery::whole(parcel, Said::default()),
        }
    }

    fn too_long(&self, taken: usize, size: usize) -> Delivery {
        let (size, most) = (words::size(size as u64), limits::DATAGRAM_BYTES);
        let cure = "deliver with syslog+tcp://, syslog+tls:// or relp:// to have it";
        let text = format!("a message of {size} fits no datagram, which takes {most} bytes at most: {cure}");
        Delivery::up_to(taken, Why::Content(Blame::Certain), About::Next, Said { status: None, text })
    }

    /// Where the queue is full, those before it are in it; where nobody listens, nobody has them.
    fn not_sent(&self, sent: usize, f: Failure) -> Delivery {
        let taken = if f.kind == FailureKind::Timeout { sent } else { 0 };
        let cure = match f.kind {
            FailureKind::Timeout => "; what listens there does not read: look whether it hangs",
            _ if self.line.is_some() => "; is a syslogd running here",
            _ => "; is a syslog receiver with UDP listening on that port",
        };
        Delivery::up_to(taken, Why::NotSent(f.kind), About::Rest, Said { status: None, text: f.text + cure })
    }
}

impl Sink for Messages {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        if !self.on_line {
            let delivery = self.each(parcel);
            self.on_line = delivery.stop.is_some() && self.line.is_some() && self.out.wants_stream();
            if !self.on_line {
                return delivery;
            }
        }
        let Some(line) = &mut self.line else { return self.each(parcel) };
        let lines: Vec<&[u8]> = (0..parcel.len()).flat_map(|i| [parcel.event(i), b"\n"]).collect();
        let delivery = line.carry(parcel, &lines.concat());
        // What listens there next may be of the other kind.
        self.on_line = delivery.stop.is_none();
        delivery
    }

    fn spent(&self) -> u32 {
        self.line.as_ref().filter(|_| self.on_line).map_or(0, Sink::spent)
    }

    fn reload(&mut self) {
        self.rest();
    }

    fn rest(&mut self) {
        self.out.rest();
        self.line.iter_mut().for_each(Sink::rest);
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::delivery::transport;
    use crate::net::http::HttpOptions;
    use crate::net::target::Target;
    use crate::net::testing::Scratch;
    use std::io::Read;
    use std::net::UdpSocket;
    use std::os::unix::net::{UnixDatagram, UnixListener};
    use std::time::SystemTime;

    fn sink(url: &str) -> Box<dyn Sink> {
        let mut o = HttpOptions::new(Target::parse(url, &transport::schemes()).unwrap());
        o.timeouts.send = Duration::from_millis(300);
        transport::open(&Route::new(o, Vec::new())).unwrap()
    }

    fn send(sink: &mut Box<dyn Sink>, events: &[&[u8]]) -> Delivery {
        let mut at = 0;
        let places: Vec<_> = events
            .iter()
            .map(|e| {
                at += e.len();
                at - e.len()..at
            })
            .collect();
        let (bytes, wall) = (events.concat(), SystemTime::UNIX_EPOCH);
        let ids = (&bytes[..], &places[..]);
        sink.deliver(&Parcel { bytes: &bytes, events: &places, ids, content_type: "", key: "", node: None, wall })
    }

    #[test]
    fn each_event_is_a_datagram_and_one_that_fits_none_is_named_at_once() {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut sink = sink(&format!("syslog+udp://{}", peer.local_addr().unwrap()));
        let long = vec![b'x'; limits::DATAGRAM_BYTES + 1];
        let d = send(&mut sink, &[b"one", b"two", &long, b"three"]);
        let stop = d.stop.unwrap();
        assert_eq!((d.taken, stop.why, stop.about), (2, Why::Content(Blame::Certain), About::Next));
        assert!(stop.said.text.contains("64.0 KiB") && stop.said.text.contains("relp://"), "{}", stop.said.text);
        let mut got = [0; 16];
        let mut next = || {
            let n = peer.recv(&mut got).unwrap();
            got[..n].to_vec()
        };
        assert_eq!((next(), next()), (b"one".to_vec(), b"two".to_vec()));
    }

    #[test]
    fn where_nobody_listens_nothing_is_taken() {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut sink = sink(&format!("syslog+udp://{port}"));
        for events in [&[&b"one"[..]][..], &[b"one", b"two"]] {
            let d = send(&mut sink, events);
            let stop = d.stop.unwrap();
            assert_eq!((d.taken, stop.why), (0, Why::NotSent(FailureKind::Connect)));
            assert!(stop.said.text.contains("refused") && stop.said.text.contains("listening"), "{}", stop.said.text);
        }
    }

    #[test]
    fn a_local_syslogd_has_datagrams_or_a_stream() {
        let dir = Scratch::new("syslog-unix");
        let path = dir.path("log");
        let mut sink = sink(&format!("syslog+unix://{}", path.display()));
        let d = send(&mut sink, &[b"<110>x"]);
        assert!(d.stop.unwrap().said.text.contains("is a syslogd running"));
        let peer = UnixDatagram::bind(&path).unwrap();
        assert_eq!(send(&mut sink, &[b"<110>x", b"<110>y"]).stop, None);
        let mut got = [0; 16];
        assert_eq!(peer.recv(&mut got).unwrap(), 6);
        // One that does not read: what is in its queue is taken, and no more.
        let events: Vec<&[u8]> = vec![b"<110>z"; 5_000];
        let d = send(&mut sink, &events);
        let stop = d.stop.unwrap();
        assert!((1..5_000).contains(&d.taken) && stop.said.text.contains("does not read"), "{} {stop:?}", d.taken);
        drop(peer);
        std::fs::remove_file(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let mut all = [0; 14];
            listener.accept().unwrap().0.read_exact(&mut all).map(|()| all)
        });
        let d = send(&mut sink, &[b"<110>x", b"<110>y"]);
        assert_eq!(server.join().unwrap().unwrap(), *b"<110>x\n<110>y\n");
        // It closed at once.
        assert_eq!(d.taken, 0);
    }

    #[test]
    fn a_query_that_nobody_knows_is_a_usage_error() {
        let route =
            |url: &str| Route::new(HttpOptions::new(Target::parse(url, &transport::schemes()).unwrap()), vec![]);
        assert!(transport::open(&route("syslog+tcp://h?framing=lf")).is_ok());
        for url in ["syslog+tcp://h?framing=x", "syslog+udp://h?framing=lf", "syslog+tls://h?x"] {
            assert!(transport::open(&route(url)).is_err(), "{url}");
        }
        let tcp = transport::of(&route("syslog+tcp://h?framing=lf").to.target);
        assert_eq!(tcp.frame_at(&route("syslog+tcp://h?framing=lf").to.target), Some(Frame::Lines));
        assert_eq!(tcp.frame_at(&route("syslog+tcp://h").to.target), Some(Frame::Octets));
    }
}
