//! A receiver that only counts, for the benches: it must cost next to nothing itself.
//!
//! It reads a body into one buffer and counts opening braces (the loop vectorises); the braces of one event are measured
//! on a first request that is parsed properly. So it refuses events whose texts hold braces of different number. What does
//! not begin with a request is lines, and an event each.

use super::den::free_listener;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Tally {
    events: AtomicU64,
    requests: AtomicU64,
    bytes: AtomicU64,
    braces_per_event: AtomicU64,
    stop: AtomicBool,
    first: OnceLock<Instant>,
    /// The first body.
    sample: OnceLock<Vec<u8>>,
}

/// The counting receiver.
pub struct Counter {
    port: u16,
    tally: Arc<Tally>,
}

impl Counter {
    /// Listens at once.
    pub fn start() -> Counter {
        Counter::on(free_listener())
    }

    /// Listens on a port that was chosen before: the moment the receiver comes up is the test's.
    pub fn at(port: u16) -> Counter {
        Counter::on(TcpListener::bind(("127.0.0.1", port)).expect("the port chosen before"))
    }

    fn on(listener: TcpListener) -> Counter {
        let port = listener.local_addr().expect("an address").port();
        let tally = Arc::new(Tally::default());
        let shared = tally.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stop.load(Ordering::Relaxed) {
                    return;
                }
                let shared = shared.clone();
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Counter { port, tally }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn events(&self) -> u64 {
        self.tally.events.load(Ordering::Relaxed)
    }

    /// When the first request came.
    pub fn first(&self) -> Option<Instant> {
        self.tally.first.get().copied()
    }

    /// The first body that came.
    pub fn sample(&self) -> Vec<u8> {
        self.tally.sample.get().cloned().unwrap_or_default()
    }

    pub fn requests(&self) -> u64 {
        self.tally.requests.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        self.tally.bytes.load(Ordering::Relaxed)
    }

    /// Waits until `n` events have come; the moment, or None when the limit was over.
    pub fn wait(&self, n: u64, limit: Duration) -> Option<Instant> {
        let end = Instant::now() + limit;
        while self.events() < n {
            if Instant::now() > end {
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Some(Instant::now())
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.tally.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// What it answers to every request.
pub const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn serve(mut stream: TcpStream, tally: &Tally) {
    let _ = stream.set_nodelay(true);
    let mut buffer = vec![0; 1 << 20];
    let mut filled = stream.read(&mut buffer).unwrap_or(0);
    if !buffer.starts_with(b"POST") {
        return lines(stream, tally, &mut buffer, filled);
    }
    while let Some((head, length)) = head(&mut stream, &mut buffer, &mut filled) {
        tally.first.get_or_init(Instant::now);
        let ahead = (filled - head).min(length);
        let mut first = if tally.braces_per_event.load(Ordering::Relaxed) == 0 { Some(Vec::new()) } else { None };
        let mut braces = count(&buffer[head..head + ahead], &mut first);
        buffer.copy_within(head + ahead..filled, 0);
        filled -= head + ahead;
        let mut missing = length - ahead;
        while missing > 0 {
            let room = buffer.len().min(missing);
            let Ok(n @ 1..) = stream.read(&mut buffer[..room]) else { return };
            braces += count(&buffer[..n], &mut first);
            missing -= n;
        }
        note(tally, length, braces, first);
        if stream.write_all(ANSWER).is_err() {
            return;
        }
    }
}

/// Counts lines, or what ends with a NUL, until the stream ends; nobody is answered.
fn lines(mut stream: TcpStream, tally: &Tally, buffer: &mut [u8], mut filled: usize) {
    while filled > 0 {
        tally.first.get_or_init(Instant::now);
        let ends = buffer[..filled]
            .chunks(192)
            .map(|c| u64::from(c.iter().map(|&b| u8::from(b == b'\n' || b == 0)).sum::<u8>()));
        tally.events.fetch_add(ends.sum(), Ordering::Relaxed);
        tally.bytes.fetch_add(filled as u64, Ordering::Relaxed);
        filled = stream.read(buffer).unwrap_or(0);
    }
}

/// Reads until a head is whole: where it ends, and the length of the body.
fn head(stream: &mut TcpStream, buffer: &mut [u8], filled: &mut usize) -> Option<(usize, usize)> {
    loop {
        if let Some(end) = buffer[..*filled].windows(4).position(|w| w == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let length = text.split("\r\n").find_map(|l| l.strip_prefix("content-length:"))?;
            return Some((end + 4, length.trim().parse().ok()?));
        }
        let n = stream.read(&mut buffer[*filled..]).ok()?;
        if n == 0 {
            return None;
        }
        *filled += n;
    }
}

fn count(bytes: &[u8], first: &mut Option<Vec<u8>>) -> u64 {
    if let Some(body) = first {
        body.extend_from_slice(bytes);
    }
    bytes.chunks(192).map(|c| u64::from(c.iter().map(|&b| u8::from(b == b'{')).sum::<u8>())).sum()
}

fn note(tally: &Tally, length: usize, braces: u64, first: Option<Vec<u8>>) {
    if let Some(body) = first.filter(|b| !b.is_empty()) {
        let text = String::from_utf8_lossy(&body).into_owned();
        let events = match text.trim_start().starts_with('[') {
            true => super::http::array_elements(&text).len(),
            false => text.lines().filter(|l| !l.is_empty()).count(),
        };
        let per_event = braces.checked_div(events as u64).unwrap_or(0);
        assert!(per_event * events as u64 == braces, "events of the bench differ in their braces");
        let _ = tally.sample.set(body);
        tally.braces_per_event.store(per_event, Ordering::Relaxed);
    }
    let per_event = tally.braces_per_event.load(Ordering::Relaxed).max(1);
    tally.events.fetch_add(braces / per_event, Ordering::Relaxed);
    tally.requests.fetch_add(1, Ordering::Relaxed);
    tally.bytes.fetch_add(length as u64, Ordering::Relaxed);
}
