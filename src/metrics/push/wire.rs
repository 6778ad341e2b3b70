//! The ways for bytes that nobody answers: one kept stream, or packets of whole lines.
//!
//! A stream's bytes count as sent when the other side's kernel has acknowledged all of them. Refuses: to cut a line in two.

use super::row::Route;
use crate::limits;
use crate::net::datagram::Datagrams;
use crate::net::dial::{Dial, Patience};
use crate::net::failure::{Failure, FailureKind};
use crate::net::stream::Stream;
use crate::net::tls;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Takes lines to one place.
pub trait Wire: Send {
    /// Sends them, until the deadline.
    fn send(&mut self, lines: &[u8], deadline: Instant) -> Result<(), Failure>;
    /// Reads certificates again.
    fn reload(&mut self);
}

/// Over a stream, with TLS where the scheme says so.
pub fn stream(route: &Route) -> Box<dyn Wire> {
    let mut dial = Dial::new(route.to.target.place().clone());
    dial.tls = route.to.target.is_tls().then(|| Arc::new(tls::Client::new(route.to.tls.clone())));
    Box::new(Streamed { dial, open: None })
}

/// In datagrams.
pub fn packets(route: &Route) -> Box<dyn Wire> {
    Box::new(Packets(Datagrams::new(route.to.target.place().clone())))
}

struct Streamed {
    dial: Dial,
    open: Option<Stream>,
}

impl Wire for Streamed {
    fn send(&mut self, lines: &[u8], deadline: Instant) -> Result<(), Failure> {
        // One that the other side has closed takes bytes all the same, and loses them.
        let kept = self.open.take().and_then(|mut s| s.is_idle().then_some(s));
        let mut stream = kept.map_or_else(|| self.dial.open(Patience::Until(deadline)), Ok)?;
        stream.write_all(lines, deadline)?;
        stream.flush(deadline)?;
        arrived(&stream, deadline)?;
        self.open = Some(stream);
        Ok(())
    }

    fn reload(&mut self) {
        self.open = None;
        self.dial.tls.iter().for_each(|tls| tls.reload());
    }
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
    fn send(&mut self, mut lines: &[u8], deadline: Instant) -> Result<(), Failure> {
        while !lines.is_empty() {
            let (packet, rest) = lines.split_at(packet_end(lines, limits::PUSH_PACKET_BYTES));
            // Without the last line's end: some take it for an empty line.
            self.0.send(packet.strip_suffix(b"\n").unwrap_or(packet), deadline)?;
            lines = rest;
        }
        Ok(())
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

    #[test]
    fn a_packet_is_whole_lines() {
        assert_eq!(packet_end(b"ab\ncd\nef\n", 7), 6);
        assert_eq!(packet_end(b"ab\ncd\n", 100), 6);
        assert_eq!(packet_end(b"abcdefgh\ncd\n", 4), 9);
        assert_eq!(packet_end(b"abcdefgh", 4), 8);
    }
}
