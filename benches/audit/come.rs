//! Receivers of every kind that only count what has come: streams, RELP, a Unix socket, a file, Kafka's mock cluster, a number
//! that somebody writes. Refuses: to look at an event.

use crate::harness::counter::Counter;
use crate::harness::den::free_listener;
use crate::harness::{peer, Den};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// A receiver: where it is, and how many events have come.
pub struct Come {
    pub url: String,
    pub port: u16,
    events: Box<dyn FnMut() -> u64>,
}

impl Come {
    pub fn events(&mut self) -> u64 {
        (self.events)()
    }
}

/// HTTP, lines, messages that end with a NUL; `$PORT` stands in the URL.
pub fn counter(url: &str) -> Come {
    let counter = Counter::start();
    let port = counter.port();
    Come { url: url.replace("$PORT", &port.to_string()), port, events: Box::new(move || counter.events()) }
}

/// RELP: each message is answered.
pub fn relp() -> Come {
    let listener = free_listener();
    let port = listener.local_addr().expect("an address").port();
    let tally = Arc::new(AtomicU64::new(0));
    let shared = tally.clone();
    std::thread::spawn(move || {
        // (One sender, one connection.)
        if let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.set_nodelay(true);
            let (mut heard, mut answers, mut block) = (Vec::new(), Vec::new(), vec![0; 1 << 18]);
            while let Ok(n @ 1..) = stream.read(&mut block) {
                heard.extend_from_slice(&block[..n]);
                answers.clear();
                shared.fetch_add(answered(&mut heard, &mut answers), Ordering::Relaxed);
                if stream.write_all(&answers).is_err() {
                    return;
                }
            }
        }
    });
    Come { url: format!("relp://127.0.0.1:{port}"), port, events: Box::new(move || tally.load(Ordering::Relaxed)) }
}

/// Takes whole frames off the front, writes the answers, and says how many were messages.
fn answered(heard: &mut Vec<u8>, answers: &mut Vec<u8>) -> u64 {
    const OPEN: &str = "200 OK\nrelp_version=0\nrelp_software=bench\ncommands=syslog";
    let (mut at, mut messages) = (0, 0);
    loop {
        // `NUMBER COMMAND LENGTH[ DATA]\n`
        let head = &heard[at..heard.len().min(at + 40)];
        let Some(end) = head.iter().enumerate().filter(|(_, b)| matches!(b, b' ' | b'\n')).nth(2).map(|(i, _)| i)
        else {
            break;
        };
        let head = std::str::from_utf8(&head[..end]).expect("a head");
        let mut parts = head.split(' ');
        let (number, command) = (parts.next().expect("a number"), parts.next().expect("a command"));
        let length: usize = parts.next().and_then(|n| n.parse().ok()).expect("a length");
        let whole = end + if length == 0 { 1 } else { 2 + length };
        if heard.len() < at + whole {
            break;
        }
        let answer = if command == "open" { OPEN } else { "200 OK" };
        messages += u64::from(command == "syslog");
        let _ = writeln!(answers, "{number} rsp {} {answer}", answer.len());
        at += whole;
    }
    heard.drain(..at);
    messages
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|b| **b == b'\n').count() as u64
}

/// Lines at a socket.
pub fn lines_at(scheme: &str, den: &Den) -> Option<Come> {
    let path = den.file("lines.sock");
    let listener = UnixListener::bind(&path).ok()?;
    let tally = Arc::new(AtomicU64::new(0));
    let shared = tally.clone();
    std::thread::spawn(move || {
        if let Ok((mut stream, _)) = listener.accept() {
            let mut block = vec![0; 1 << 18];
            while let Ok(n @ 1..) = stream.read(&mut block) {
                shared.fetch_add(newlines(&block[..n]), Ordering::Relaxed);
            }
        }
    });
    Some(Come { url: format!("{scheme}://{path}"), port: 0, events: Box::new(move || tally.load(Ordering::Relaxed)) })
}

/// Lines of a file, which is read behind its writer.
pub fn file(den: &Den, scheme: &str) -> Come {
    let path = den.file("out.jsonl");
    let (url, mut all, mut open, mut block) = (format!("{scheme}{path}"), 0, None, vec![0; 1 << 18]);
    let events = move || {
        open = open.take().or_else(|| File::open(&path).ok());
        while let Some(n @ 1..) = open.as_mut().and_then(|f| f.read(&mut block).ok()) {
            all += newlines(&block[..n]);
        }
        all
    };
    Come { url, port: 0, events: Box::new(events) }
}

/// A number in a file.
pub fn number_in(path: &str, url: String) -> Come {
    let path = path.to_string();
    let read = move || std::fs::read_to_string(&path).ok().and_then(|t| t.trim().parse().ok()).unwrap_or(0);
    Come { url, port: 0, events: Box::new(read) }
}

/// Ends with its input.
struct Cluster(Child);

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Three brokers, asked by kcat how many records there are.
pub fn kafka() -> Option<Come> {
    let kcat = peer("kcat")?;
    let mut cluster = Command::new(peer("kafka-mock")?);
    cluster.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut cluster = Cluster(cluster.spawn().ok()?);
    let mut answers = BufReader::new(cluster.0.stdout.take()?);
    let (mut brokers, mut done) = (String::new(), String::new());
    answers.read_line(&mut brokers).ok()?;
    writeln!(cluster.0.stdin.as_mut()?, "topic audit 1").ok()?;
    answers.read_line(&mut done).ok()?;
    let brokers = brokers.trim().to_string();
    let url = format!("kafka://{brokers}/audit");
    let events = move || {
        let _ = &cluster;
        let asked = Command::new(&kcat).args(["-Q", "-b", &brokers, "-t", "audit:0:-1"]).stderr(Stdio::null()).output();
        let said = asked.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_string()).unwrap_or_default();
        // `audit [0] offset 7`
        said.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    Some(Come { url, port: 0, events: Box::new(events) })
}
