//! GELF to Graylog over HTTP, TCP, TLS and UDP. The first asks for an answer (202); the streams are those of `stream`, each message
//! with a zero byte behind it; UDP is here.
//!
//! A message that no datagram takes is packed, and goes in up to 128 chunks: `1e 0f`, an id of eight bytes, the number of the
//! chunk, how many there are. Refuses: a message that is more chunks than that; nobody has to be asked about it.

use super::http::{self, OF_HTTP};
use super::route::Route;
use super::row::{Promise, Transport, OF_TLS};
use super::stream;
use crate::audit::delivery::frame::Frame;
use crate::audit::delivery::parcel::{About, Blame, Delivery, Parcel, Said, Sink, Why};
use crate::error::Result;
use crate::flags::text;
use crate::hash::xxh64;
use crate::limits;
use crate::net::datagram::Datagrams;
use crate::net::failure::{Failure, FailureKind};
use crate::net::gzip::Gzip;
use crate::net::target::{Scheme, Shape};
use std::time::{Duration, Instant};

/// `gelf+http://`
pub const HTTP: Transport = Transport {
    scheme: &Scheme { name: "gelf+http", shape: Shape::Host { port: 12201 }, tls: false },
    url: "gelf+http://HOST[:PORT]",
    about: text("Graylog (GELF over HTTP)", "Graylog (GELF по HTTP)"),
    formats: &["gelf", "gelf-lines"],
    options: &[OF_HTTP, OF_TLS, &["proxy"]],
    open: open_http,
    ..http::PLAIN
};

/// `gelf+https://`
pub const HTTPS: Transport = Transport {
    scheme: &Scheme { name: "gelf+https", shape: Shape::Host { port: 12201 }, tls: true },
    url: "gelf+https://HOST[:PORT]",
    about: text("Graylog (GELF over HTTPS)", "Graylog (GELF по HTTPS)"),
    ..HTTP
};

/// `gelf+tcp://`
pub const TCP: Transport = Transport {
    scheme: &Scheme { name: "gelf+tcp", shape: Shape::Port { port: 12201 }, tls: false },
    url: "gelf+tcp://HOST[:PORT]",
    about: text("Graylog (GELF over TCP)", "Graylog (GELF по TCP)"),
    formats: &["gelf"],
    frame: Some(Frame::Nul),
    ..stream::TCP
};

/// `gelf+tls://`
pub const TLS: Transport = Transport {
    scheme: &Scheme { name: "gelf+tls", shape: Shape::Port { port: 12201 }, tls: true },
    url: "gelf+tls://HOST[:PORT]",
    about: text("Graylog (GELF over TLS)", "Graylog (GELF поверх TLS)"),
    formats: &["gelf"],
    frame: Some(Frame::Nul),
    ..stream::TLS
};

/// `gelf+udp://`
pub const UDP: Transport = Transport {
    scheme: &Scheme { name: "gelf+udp", shape: Shape::Port { port: 12201 }, tls: false },
    url: "gelf+udp://HOST[:PORT]",
    about: text(
        "Graylog (GELF over UDP): nobody says whether it came",
        "Graylog (GELF по UDP): о доставке никто не сообщает",
    ),
    options: &[&["gzip"]],
    promise: Promise::Sent,
    open: open_udp,
    ..TCP
};

fn open_http(route: &Route) -> Result<Box<dyn Sink>> {
    http::open_api(route, http::uri_or(route, "/gelf"), &http::NO_PAGE)
}

fn open_udp(route: &Route) -> Result<Box<dyn Sink>> {
    route.to.target.only_queries(&[])?;
    Ok(Box::new(Udp {
        out: Datagrams::new(route.to.target.place().clone()),
        place: route.to.target.display(),
        always_packed: route.to.gzip,
        gzip: None,
        total: route.to.timeouts.total,
    }))
}

/// Sends messages as datagrams.
struct Udp {
    out: Datagrams,
    place: String,
    always_packed: bool,
    gzip: Option<Gzip>,
    total: Duration,
}

impl Sink for Udp {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        let deadline = Instant::now() + self.total;
        for i in 0..parcel.len() {
            let packed = self.packed(parcel.event(i));
            let message = packed.as_deref().unwrap_or(parcel.event(i));
            let Some(chunks) = chunks(message, xxh64(parcel.id(i).as_bytes(), 0)) else {
                let text = format!("{} bytes, packed, are more than {} chunks", message.len(), limits::GELF_CHUNKS);
                return Delivery::up_to(i, Why::Content(Blame::Certain), About::Next, Said { status: None, text });
            };
            if let Err(f) = chunks.iter().try_for_each(|chunk| self.out.send_paced(chunk, deadline)) {
                // Where nobody listens, nobody has those before it either.
                let taken = if f.kind == FailureKind::Timeout { i } else { 0 };
                return Delivery::up_to(taken, Why::NotSent(f.kind), About::Rest, f.into());
            }
        }
        match self.out.settled() {
            Err(f) => {
                let text = f.text + "; is an input for GELF UDP listening on that port";
                Delivery::none(Why::NotSent(f.kind), Said { status: None, text })
            }
            Ok(()) => Delivery::whole(parcel, Said::default()),
        }
    }

    fn check(&mut self) -> std::result::Result<(), Failure> {
        Ok(())
    }

    fn reload(&mut self) {
        self.out.rest();
    }

    fn rest(&mut self) {
        self.gzip = None;
        self.out.rest();
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}

impl Udp {
    /// The message packed, where it is to be or would need chunks.
    fn packed(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        if !self.always_packed && message.len() <= limits::GELF_CHUNK_BYTES[0] {
            return None;
        }
        let mut out = Vec::new();
        self.gzip.get_or_insert_with(Gzip::fast).pack(message, &mut out);
        Some(out)
    }
}

/// The datagrams of a message; none: it is too long for them. Larger ones are cut in pieces by IP, so they come second.
fn chunks(message: &[u8], id: u64) -> Option<Vec<Vec<u8>>> {
    const HEAD: usize = 12;
    if message.len() <= limits::GELF_CHUNK_BYTES[0] {
        return Some(vec![message.to_vec()]);
    }
    let fits = |size: &&usize| message.len().div_ceil(**size - HEAD) <= limits::GELF_CHUNKS;
    let size = limits::GELF_CHUNK_BYTES.iter().find(fits)? - HEAD;
    let count = message.len().div_ceil(size) as u8;
    let chunk = |(n, piece): (usize, &[u8])| [&[0x1e, 0x0f][..], &id.to_be_bytes(), &[n as u8, count], piece].concat();
    Some(message.chunks(size).enumerate().map(chunk).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::delivery::transport::testing::Lines;
    use crate::net::http::HttpOptions;
    use crate::net::target::Target;

    /// What a receiver does: by the numbers, not by the order.
    fn joined(mut chunks: Vec<Vec<u8>>) -> Vec<u8> {
        if chunks.len() == 1 {
            return chunks.remove(0);
        }
        let count = chunks.len();
        assert!(chunks.iter().all(|c| c.starts_with(&[0x1e, 0x0f]) && c[2..10] == chunks[0][2..10]));
        assert!(chunks.iter().all(|c| usize::from(c[11]) == count));
        chunks.sort_by_key(|c| c[10]);
        assert!(chunks.iter().enumerate().all(|(i, c)| usize::from(c[10]) == i));
        chunks.iter().flat_map(|c| c[12..].to_vec()).collect()
    }

    #[test]
    fn a_message_is_put_together_again_and_too_long_a_one_is_none() {
        let [small, large] = limits::GELF_CHUNK_BYTES.map(|size| (size - 12) * limits::GELF_CHUNKS);
        for length in [1, 1420, 1421, 5_000, small, small + 1, large] {
            let message: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
            let all = chunks(&message, 7).expect("chunks");
            assert!(all.len() <= limits::GELF_CHUNKS && joined(all) == message, "{length}");
        }
        assert!(chunks(&vec![0; large + 1], 7).is_none());
    }

    #[test]
    fn where_nobody_listens_nothing_is_taken() {
        let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let target = Target::parse(&format!("gelf+udp://{port}"), &[UDP.scheme]).unwrap();
        let mut sink = open_udp(&Route::new(HttpOptions::new(target), Vec::new())).unwrap();
        for n in [1, 3, 1] {
            let lines = Lines::of(0..n, 40);
            let d = sink.deliver(&lines.parcel());
            assert!(d.taken == 0 && d.stop.is_some_and(|s| s.said.text.contains("refused")), "{n}");
        }
    }
}
