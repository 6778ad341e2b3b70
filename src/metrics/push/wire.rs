//! An outlet whose page is one piece of bytes, and the ways for such: one kept stream, packets of whole lines, a request.
//!
//! A stream's bytes count as sent when the other side's kernel has acknowledged all of them. Refuses: to cut a line in two.

use super::posted::Posted;
use super::row::{Push, Route, Trouble};
use crate::limits;
use crate::metrics::assemble::Assembled;
use crate::metrics::render::lines::Written;
use crate::net::datagram::Datagrams;
use crate::net::failure::{Failure, FailureKind};
use crate::net::foreign;
use crate::net::kept::Kept;
use crate::net::stream::Stream;
use std::thread;
use std::time::{Duration, Instant};

/// Takes a piece to one place.
pub trait Wire: Send {
    /// Sends it, until the deadline.
    fn send(&mut self, piece: &[u8], deadline: Instant) -> Result<(), Trouble>;
    /// Reads certificates and secrets again.
    fn reload(&mut self);
}

/// How a page becomes a piece.
type Write = Box<dyn FnMut(&Assembled<'_>, &mut Vec<u8>) -> Written + Send>;

/// An outlet that sends each page as one piece, written so.
pub fn pieces(
    wire: Box<dyn Wire>,
    write: impl FnMut(&Assembled<'_>, &mut Vec<u8>) -> Written + Send + 'static,
) -> Box<dyn Push> {
    Box::new(Pieces { wire, write: Box::new(write), piece: Vec::new() })
}

struct Pieces {
    wire: Box<dyn Wire>,
    write: Write,
    piece: Vec<u8>,
}

impl Push for Pieces {
    fn push(&mut self, page: &Assembled<'_>, deadline: Instant) -> Result<Written, Trouble> {
        self.piece.clear();
        let written = (self.write)(page, &mut self.piece);
        self.wire.send(&self.piece, deadline)?;
        Ok(written)
    }

    fn reload(&mut self) {
        self.wire.reload();
    }
}

/// In requests of this type.
pub fn requests(post: Posted, content_type: &'static str) -> Box<dyn Wire> {
    Box::new(Requests(post, content_type))
}

struct Requests(Posted, &'static str);

impl Wire for Requests {
    fn send(&mut self, piece: &[u8], _: Instant) -> Result<(), Trouble> {
        self.0.send(piece, &[("content-type", self.1)]).map(drop)
    }

    fn reload(&mut self) {
        self.0.reload();
    }
}

/// Over a stream, with TLS where the scheme says so.
pub fn stream(route: &Route) -> Box<dyn Wire> {
    Box::new(Streamed(route.to.straight()))
}

/// In datagrams.
pub fn packets(route: &Route) -> Box<dyn Wire> {
    Box::new(Packets(Datagrams::new(route.to.target.place().clone())))
}

struct Streamed(Kept);

impl Wire for Streamed {
    fn send(&mut self, lines: &[u8], deadline: Instant) -> Result<(), Trouble> {
        let mut conn = self.0.take(deadline)?;
        conn.stream.write_all(lines, deadline)?;
        conn.stream.flush(deadline)?;
        arrived(&conn.stream, deadline)?;
        if conn.is_new().is_some() {
            stays(&mut conn.stream)?;
        }
        self.0.put(conn);
        Ok(())
    }

    fn reload(&mut self) {
        self.0.reload();
    }
}

/// A new connection is listened to for a moment: whoever wants another certificate, or speaks another protocol, has taken all
/// of it and says so now.
fn stays(stream: &mut Stream) -> Result<(), Failure> {
    let (mut words, long) = ([0; limits::STREAM_WORDS_BYTES], Duration::from_millis(limits::STREAM_PROOF_MILLIS));
    let why = match stream.read(&mut words, Instant::now() + long) {
        Err(f) if f.kind == FailureKind::Timeout => return Ok(()),
        Err(f) => return Err(f),
        Ok(0) => Failure::new(FailureKind::Closed, format!("`{}` closed the connection at once", stream.peer())),
        Ok(n) => {
            let said = foreign::sentence(stream.peer(), &words[..n], "a receiver of lines says nothing");
            Failure::new(FailureKind::Protocol, said)
        }
    };
    Err(why)
}

/// Waits until the other side's kernel has everything.
fn arrived(stream: &Stream, deadline: Instant) -> Result<(), Failure> {
    while stream.unsent() > 0 {
        if Instant::now() >= deadline {
            let text = format!("`{}` does not take what was sent", stream.peer());
            return Err(Failure::new(FailureKind::Timeout, text));
        }
        thread::sleep(Duration::from_millis(limits::PUSH_LOOK_MILLIS));
    }
    Ok(())
}

struct Packets(Datagrams);

impl Wire for Packets {
    fn send(&mut self, mut lines: &[u8], deadline: Instant) -> Result<(), Trouble> {
        while !lines.is_empty() {
            let (packet, rest) = lines.split_at(packet_end(lines, limits::PUSH_PACKET_BYTES));
            // Without the last line's end: some take it for an empty line.
            self.0.send_paced(packet.strip_suffix(b"\n").unwrap_or(packet), deadline)?;
            lines = rest;
        }
        Ok(self.0.settled()?)
    }

    fn reload(&mut self) {
        self.0.rest();
    }
}

/// Where the last whole line ends that fits; a longer one goes alone.
fn packet_end(lines: &[u8], most: usize) -> usize {
    let end = |part: &[u8]| part.iter().rposition(|b| *b == b'\n').map(|at| at + 1);
    match end(&lines[..lines.len().min(most)]) {
        Some(end) => end,
        None => lines.iter().position(|b| *b == b'\n').map_or(lines.len(), |at| at + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::HttpOptions;
    use crate::net::target::Target;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn a_packet_is_whole_lines() {
        assert_eq!(packet_end(b"ab\ncd\nef\n", 7), 6);
        assert_eq!(packet_end(b"ab\ncd\n", 100), 6);
        assert_eq!(packet_end(b"abcdefgh\ncd\n", 4), 9);
        assert_eq!(packet_end(b"abcdefgh", 4), 8);
    }

    #[test]
    fn who_closes_or_speaks_at_once_has_taken_nothing() {
        for (says, words) in [("", "closed the connection at once"), ("HTTP/1.1 400 Bad\r\n\r\n", "HTTP")] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("graphite://{}", listener.local_addr().unwrap());
            let server = std::thread::spawn(move || {
                let (mut peer, _) = listener.accept().unwrap();
                let mut all = [0; 3];
                peer.read_exact(&mut all).unwrap();
                peer.write_all(says.as_bytes()).unwrap();
            });
            let to = HttpOptions::new(Target::parse(&url, &[super::super::graphite::TCP.scheme]).unwrap());
            let (prefix, interval) = (String::new(), Duration::from_secs(1));
            let format = &crate::metrics::render::PROMETHEUS;
            let mut wire = stream(&Route { to, prefix, interval, format });
            let f = wire.send(b"a 1", Instant::now() + Duration::from_secs(20)).unwrap_err();
            assert!(f.text.contains(words), "{}", f.text);
            server.join().unwrap();
        }
    }
}
