//! The collector of the demo: takes what Logstash's http input takes, a JSON array in a POST, and keeps a ledger by
//! document id, as an index with `document_id` would.
//!
//! Refuses: to take half a body; TLS and chunks, which this demo does not use.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A body larger than this is not the demo's: its batches are about 1 MB.
const BODY_BYTES: usize = 16 << 20;
/// Headers of one request, in bytes.
const HEAD_BYTES: u64 = 16 << 10;

/// What has arrived.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By document id, how often.
    pub documents: HashMap<String, u64>,
    /// Events whose number was not above the last one of a first arrival.
    pub out_of_order: u64,
    /// Events that the database's buffer had cut.
    pub cut: u64,
    /// The last one that came, as text.
    pub last: String,
    highest: u64,
}

impl Ledger {
    /// Different events.
    pub fn unique(&self) -> u64 {
        self.documents.len() as u64
    }

    /// Arrivals beyond the first: an index that knows the document id overwrites them.
    pub fn repeats(&self) -> u64 {
        self.documents.values().sum::<u64>() - self.unique()
    }

    fn take(&mut self, event: &serde_json::Value) {
        let id = event["gostech"]["id"].as_str().unwrap_or("(no document id)");
        let times = self.documents.entry(id.to_string()).or_default();
        *times += 1;
        if *times > 1 {
            return;
        }
        let count = event["gostech"]["count"].as_u64().unwrap_or(0);
        self.out_of_order += u64::from(count <= self.highest);
        self.highest = self.highest.max(count);
        self.cut += u64::from(event["gostech"]["truncated"] == true);
        let message: String = event["message"].as_str().unwrap_or("").chars().take(48).collect();
        self.last = format!("{} {message}", event["title"].as_str().unwrap_or(""));
    }
}

#[derive(Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    lines: Mutex<Vec<TcpStream>>,
    down: AtomicBool,
}

/// A collector that can be stopped and started again at the same address.
pub struct Collector {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Collector {
    /// Listens on a port of the system's choice.
    pub fn start() -> io::Result<Collector> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let collector = Collector { address: listener.local_addr()?, shared: Arc::default() };
        collector.open(listener);
        Ok(collector)
    }

    /// What has arrived so far.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As a stopped service is: connections are reset, new ones refused.
    pub fn stop(&self) {
        self.shared.down.store(true, Ordering::Release);
        // The door stands in `accept`: one visitor makes it look.
        drop(TcpStream::connect(self.address));
        for line in self.lines().drain(..) {
            let _ = line.shutdown(Shutdown::Both);
        }
    }

    /// The same service again.
    pub fn restart(&self) -> io::Result<()> {
        let listener = TcpListener::bind(self.address)?;
        self.shared.down.store(false, Ordering::Release);
        self.open(listener);
        Ok(())
    }

    fn lines(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, listener: TcpListener) {
        let shared = self.shared.clone();
        std::thread::spawn(move || {
            while let Ok((line, _)) = listener.accept() {
                if shared.down.load(Ordering::Acquire) {
                    return;
                }
                if let Ok(copy) = line.try_clone() {
                    shared.lines.lock().unwrap_or_else(PoisonError::into_inner).push(copy);
                }
                let shared = shared.clone();
                std::thread::spawn(move || serve(&shared, line));
            }
        });
    }
}

/// Requests of one connection, until it ends.
fn serve(shared: &Shared, line: TcpStream) -> Option<()> {
    line.set_read_timeout(Some(Duration::from_secs(120))).ok()?;
    let mut reader = BufReader::new(line.try_clone().ok()?);
    let mut writer = line;
    loop {
        let body = request(&mut reader).ok()??;
        if shared.down.load(Ordering::Acquire) {
            return None;
        }
        let events: Vec<serde_json::Value> = serde_json::from_slice(&body).ok()?;
        let mut ledger = shared.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().for_each(|e| ledger.take(e));
        drop(ledger);
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").ok()?;
    }
}

/// The body of the next request; none when the other side has closed.
fn request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut length = 0usize;
    let mut first = true;
    loop {
        let mut line = String::new();
        if reader.by_ref().take(HEAD_BYTES).read_line(&mut line)? == 0 {
            return if first { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        first = false;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
            }
            _ if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    if length > BODY_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(body))
}
