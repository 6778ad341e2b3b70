//! The stand-in for Picodata: an audit stream written as Picodata writes it, and iproto answers as they were recorded
//! on Picodata 25.5.7.
//!
//! As the real one it starts the helper once with `/bin/sh -c ' CMD'`, never again, and writes blocking, one record at a
//! time, cut to 16,383 bytes without a newline when it is longer. Refuses: SQL, and every user but `pico_service`.

use gostech::iproto::auth::{put_proof, Method};
use gostech::msgpack::{put, put_array, put_map, put_str, put_uint, Reader, Value};
use serde_json::{json, Value as Json};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
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
const SALT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

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

/// Opens the iproto port and answers everybody who comes.
pub fn serve_iproto() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            std::thread::spawn(move || converse(socket));
        }
    });
    Ok(address)
}

/// One connection, until it ends.
fn converse(mut socket: TcpStream) -> Option<()> {
    let greeting = "Tarantool 2.11.5 (Binary) 3cd6b7a8-5e28-46eb-9113-acbac4e868f8";
    socket.write_all(format!("{greeting:<63}\n{SALT:<63}\n").as_bytes()).ok()?;
    let mut logged_in = false;
    loop {
        let mut prefix = [0; 5];
        socket.read_exact(&mut prefix).ok()?;
        let size = Reader::new(&prefix).value().ok()?.uint()?;
        let mut frame = vec![0; usize::try_from(size).ok().filter(|n| *n < 1 << 20)?];
        socket.read_exact(&mut frame).ok()?;
        let mut reader = Reader::new(&frame);
        let header = reader.value().ok()?;
        let body = reader.value().unwrap_or(Value::Nil);
        let (kind, sync) = (header.at(0)?.uint()?, header.at(1)?.uint()?);
        let reply = match kind {
            7 if right_password(&body) => {
                logged_in = true;
                Ok(json!([]))
            }
            7 => Err((47, "User not found or supplied credentials are invalid")),
            64 => Ok(json!([])),
            // The source `full`: one EVAL brings the built-in page, after a look at `_space` has shown the rights.
            8 if logged_in => Ok(json!([{"page": RECORDED_PAGE, "via": "route"}])),
            1 if logged_in && body.at(0x10)?.uint() == Some(280) => Ok(json!([[280, 1, "_space"]])),
            _ => Err((42, "Execute access is denied for user")),
        };
        socket.write_all(&answer(sync, reply)).ok()?;
    }
}

fn right_password(body: &Value<'_>) -> bool {
    let salt: [u8; 20] = std::array::from_fn(|i| i as u8);
    let mut known = Vec::new();
    put_proof(&mut known, Method::ChapSha1, "pico_service", PASSWORD, &salt);
    let known = Reader::new(&known).value().ok();
    body.at(0x23).and_then(|u| u.text()).as_deref() == Some("pico_service") && known.as_ref() == body.at(0x21)
}

fn answer(sync: u64, reply: Result<Json, (u64, &str)>) -> Vec<u8> {
    let (code, key, body) = match reply {
        Ok(data) => (0, 0x30, data),
        Err((code, words)) => (0x8000 | code, 0x31, words.into()),
    };
    let mut out = vec![0xce, 0, 0, 0, 0];
    put_map(&mut out, 3);
    for (key, value) in [(0, code), (1, sync), (5, 148)] {
        put_uint(&mut out, key);
        put_uint(&mut out, value);
    }
    put_map(&mut out, 1);
    put_uint(&mut out, key);
    pack(&body, &mut out);
    let size = (out.len() - 5) as u32;
    out[1..5].copy_from_slice(&size.to_be_bytes());
    out
}

/// JSON as MessagePack: what the answers of this demo hold.
fn pack(value: &Json, out: &mut Vec<u8>) {
    match value {
        Json::String(s) => put_str(out, s),
        Json::Number(n) => put_uint(out, n.as_u64().unwrap_or(0)),
        Json::Array(items) => {
            put_array(out, items.len());
            items.iter().for_each(|v| pack(v, out));
        }
        Json::Object(pairs) => {
            put_map(out, pairs.len());
            for (name, v) in pairs {
                put_str(out, name);
                pack(v, out);
            }
        }
        Json::Null | Json::Bool(_) => put(out, &Value::Nil),
    }
}
