//! A receiver of TCP or HTTP that reads everything and keeps nothing. A stand-in: it is there for what a push costs its sender.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Bytes that came to a receiver.
pub struct Sink {
    pub port: u16,
    pub bytes: Arc<AtomicU64>,
}

/// One; over HTTP it answers each request with this body, or with none.
pub fn sink(http: bool, body: Arc<Vec<u8>>) -> Sink {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let sink = Sink { port: listener.local_addr().expect("an address").port(), bytes: Arc::default() };
    let bytes = sink.bytes.clone();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let (bytes, body) = (bytes.clone(), body.clone());
            std::thread::spawn(move || swallow(BufReader::with_capacity(1 << 20, socket), http, &bytes, &body));
        }
    });
    sink
}

/// Reads all; answers each request of HTTP with this body, or with none.
fn swallow(mut from: BufReader<TcpStream>, http: bool, bytes: &AtomicU64, body: &[u8]) -> Option<()> {
    loop {
        let mut left = u64::MAX;
        if http {
            let mut line = String::new();
            left = 0;
            while from.read_line(&mut line).ok().filter(|n| *n > 0)? > 2 {
                let length = line.to_ascii_lowercase().strip_prefix("content-length: ").map(|n| n.trim().parse());
                left = length.map_or(left, |n| n.expect("a length"));
                line.clear();
            }
        }
        while left > 0 {
            let some = from.fill_buf().ok().filter(|b| !b.is_empty())?.len().min(left as usize);
            from.consume(some);
            left -= some as u64;
            bytes.fetch_add(some as u64, Ordering::Relaxed);
        }
        let head = match body.len() {
            0 => "HTTP/1.1 204 No Content\r\n\r\n".to_string(),
            size => {
                format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {size}\r\n\r\n")
            }
        };
        from.get_mut().write_all(head.as_bytes()).and_then(|()| from.get_mut().write_all(body)).ok()?;
    }
}
