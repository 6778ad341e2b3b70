//! The stand-in for Picodata: an audit stream written as Picodata writes it, and iproto answers as they were recorded
//! on Picodata 25.5.7.
//!
//! As the real one it starts the helper once with `/bin/sh -c ' CMD'`, never again, and writes blocking, one record at a
//! time, cut to 16,383 bytes without a newline when it is longer. Refuses: SQL, and every user but `pico_service`.

// The same stand-in that the tests of gostech-metrics ask; the demo plays it without faults.
#[allow(dead_code)]
#[path = "../../tests/it/metrics/stand.rs"]
mod stand;

use gostech::iproto::auth::Method;
use serde_json::Value as Json;
use stand::Stand;
use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The most bytes of one record on the pipe.
const RECORD_BYTES: usize = 16_383;
/// Events a second of the demo.
const PER_SECOND: u64 = 500;
/// Every so often a record is too long for the pipe: a large SQL text.
const LONG_EVERY: u64 = 1_000;
/// The password of `pico_service`, as in the documents.
pub const PASSWORD: &str = "T0psecret";

const RECORDED_LOG: &str = include_str!("../../tests/data/picodata-25.5.7/audit.jsonl");
const RECORDED_PAGE: &str = include_str!("../../tests/data/picodata-25.5.7/metrics-http.txt");

/// The audit log, being written.
pub struct AuditLog {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    written: AtomicU64,
    longest_micros: AtomicU64,
    stop: AtomicBool,
}

impl AuditLog {
    /// Begins to write into the pipe.
    pub fn start(pipe: File) -> AuditLog {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let thread = std::thread::spawn(move || {
            if let Err(e) = write_on(pipe, &theirs) {
                crate::say(&format!("the pipe broke: {e}"));
            }
        });
        AuditLog { shared, thread }
    }

    /// Records written.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Acquire)
    }

    /// The longest time that one write has held up the database.
    pub fn longest_write(&self) -> Duration {
        Duration::from_micros(self.shared.longest_micros.load(Ordering::Relaxed))
    }

    /// The end of the database: for the helper this is the end of input and nothing else. Gives the records written.
    pub fn end(self) -> u64 {
        self.shared.stop.store(true, Ordering::Release);
        let _ = self.thread.join();
        self.shared.written.load(Ordering::Acquire)
    }
}

fn write_on(mut pipe: File, shared: &Shared) -> io::Result<()> {
    let patterns: Vec<Json> = RECORDED_LOG.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    let start = Instant::now();
    for (count, pattern) in (1u64..).zip(patterns.iter().cycle()) {
        if shared.stop.load(Ordering::Acquire) {
            return Ok(());
        }
        let due = Duration::from_micros(count * 1_000_000 / PER_SECOND);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        let bytes = record(pattern, count);
        let begin = Instant::now();
        pipe.write_all(&bytes)?;
        let took = begin.elapsed().as_micros() as u64;
        shared.longest_micros.fetch_max(took, Ordering::Relaxed);
        shared.written.fetch_add(1, Ordering::Release);
    }
    Ok(())
}

/// A recorded event with a new number and the time of now, as it stands on the pipe.
fn record(pattern: &Json, count: u64) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
    let mut event = pattern.clone();
    event["id"] = format!("1.1.{count}").into();
    event["time"] = gostech::stamp::rfc3339_text(now).replace('Z', "+0000").into();
    if count % LONG_EVERY == 0 {
        event["title"] = "dml".into();
        event["message"] = format!("INSERT INTO t VALUES ('{}')", "x".repeat(RECORD_BYTES)).into();
    }
    let mut bytes = event.to_string().into_bytes();
    bytes.push(b'\n');
    bytes.truncate(RECORD_BYTES);
    bytes
}

/// Opens the iproto port and answers everybody who comes, as Picodata with its HTTP listener on was recorded.
pub fn serve_iproto() -> SocketAddr {
    let users = [("pico_service", Method::ChapSha1, PASSWORD)];
    let stand = Stand::start(&users, stand::picodata(Some(RECORDED_PAGE.to_string())));
    SocketAddr::from(([127, 0, 0, 1], stand.port))
}
