//! Producers that cost little themselves: the events are made before, the clock runs only while they are written.

use crate::harness::events::Chance;
use crate::harness::{Events, Picodata};
use std::time::{Duration, Instant};

/// Events of one start, newline-ended, in one buffer.
pub struct Stock {
    bytes: Vec<u8>,
    /// Where each record ends.
    ends: Vec<usize>,
}

/// How the stock is written.
#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    /// One write(2) a record: as Picodata does.
    Record,
    /// Pieces of 64 KiB: the producer is not the bottleneck.
    Pieces,
}

impl Stock {
    /// Real-like events of 200 to 360 bytes, so many bytes in all.
    pub fn real_like(bytes: usize) -> Stock {
        let mut events = Events::new(1, 1);
        let mut stock = Stock { bytes: Vec::with_capacity(bytes + 512), ends: Vec::new() };
        while stock.bytes.len() < bytes {
            stock.add(&events.event());
        }
        stock
    }

    /// What a real database has written, again and again under other ids, at other times, by other users.
    pub fn recorded(bytes: usize) -> Stock {
        const LOG: &str = include_str!("../../tests/data/picodata-25.5.7/audit.jsonl");
        let (mut stock, mut chance, mut n) =
            (Stock { bytes: Vec::with_capacity(bytes + 512), ends: Vec::new() }, Chance::new(1), 0);
        let mut ms = 0;
        while stock.bytes.len() < bytes {
            // Not in the order of the recording: what comes after what is as it happens.
            let lines = LOG.lines().count() as u64;
            let line = LOG.lines().nth(chance.within(0, lines - 1) as usize).unwrap_or_default();
            (n, ms) = (n + 1, ms + chance.within(0, 40));
            let (hours, minutes) = (ms / 3_600_000 % 24, ms / 60_000 % 60);
            let time = format!("2026-11-21T{hours:02}:{minutes:02}:{:02}.{:03}+0000", ms / 1000 % 60, ms % 1000);
            let user = format!("\"user_{}\"", chance.within(0, 999));
            let line = valued(&valued(line, "id", &format!("1.0.{n}")), "time", &time);
            stock.add(&line.replace("\"admin\"", &user));
        }
        stock
    }

    /// So many events of 227 bytes.
    pub fn of_227(n: usize) -> Stock {
        let mut events = Events::new(1, 1);
        let mut stock = Stock { bytes: Vec::with_capacity(n * 228), ends: Vec::with_capacity(n) };
        (0..n).for_each(|_| stock.add(&events.event_227()));
        stock
    }

    fn add(&mut self, event: &str) {
        self.bytes.extend_from_slice(event.as_bytes());
        self.bytes.push(b'\n');
        self.ends.push(self.bytes.len());
    }

    pub fn events(&self) -> usize {
        self.ends.len()
    }

    pub fn megabytes(&self) -> f64 {
        self.bytes.len() as f64 / 1e6
    }

    /// Writes everything as fast as the reader takes it.
    pub fn pour(&self, into: &mut Picodata, way: Way) {
        match way {
            Way::Pieces => self.bytes.chunks(64 << 10).for_each(|c| into.write_raw(c).expect("a reader")),
            Way::Record => self.records().for_each(|r| into.write_raw(r).expect("a reader")),
        }
    }

    /// The records one by one, with their newlines.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    /// Writes at a rate, one write a record, in bursts of a millisecond; the longest time each write took, sorted.
    pub fn pace(&self, into: &mut Picodata, per_second: usize) -> Vec<Duration> {
        let start = Instant::now();
        let mut times = Vec::with_capacity(self.events());
        for (i, record) in self.records().enumerate() {
            let due = Duration::from_secs_f64(i as f64 / per_second as f64);
            if let Some(early) = due.checked_sub(start.elapsed()).filter(|e| *e > Duration::from_millis(1)) {
                std::thread::sleep(early);
            }
            let write = Instant::now();
            into.write_raw(record).expect("a reader");
            times.push(write.elapsed());
        }
        times.sort();
        times
    }
}

/// The line with another value of this field.
fn valued(line: &str, field: &str, value: &str) -> String {
    let key = format!("\"{field}\":\"");
    let Some(from) = line.find(&key).map(|at| at + key.len()) else { return line.to_string() };
    let to = line[from..].find('"').map_or(line.len(), |n| from + n);
    format!("{}{value}{}", &line[..from], &line[to..])
}
