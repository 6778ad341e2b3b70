//! A stand-in for a Kafka broker, strict where the mock cluster of librdkafka is not: it wants a login (PLAIN, SCRAM-SHA-256,
//! SCRAM-SHA-512), checks each checksum, and tells repeats by producer and sequence as a real one does. It can lose answers.
//!
//! Written from the protocol's own description; it knows nothing of the client. Refuses: compressed batches, more than one
//! partition in a request.

use crate::harness::den::free_listener;
use ring::{digest, hmac, pbkdf2};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// What it wants, and what it has.
pub struct Broker {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    /// At which port the leader is.
    leader: AtomicU16,
    partitions: AtomicU32,
    /// It has the topic no more.
    gone: AtomicBool,
    /// The mechanism, the user and the password; none: no login.
    login: Option<(&'static str, &'static str, &'static str)>,
    /// So many produce answers are lost after the records were kept.
    lose: AtomicU32,
    /// The largest batch.
    most: usize,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    values: Vec<String>,
    /// The partitions that were written to.
    partitions: Vec<i64>,
    repeats: u32,
    faults: Vec<String>,
    /// The last batch of each producer in each partition: its first and last sequence.
    last: HashMap<(i64, i64), (i32, i32)>,
    producers: i64,
}

impl Broker {
    pub fn start(login: Option<(&'static str, &'static str, &'static str)>, lose: u32, most: usize) -> Broker {
        let listener = free_listener();
        let port = listener.local_addr().expect("an address").port();
        let (leader, partitions, lose) = (AtomicU16::new(port), AtomicU32::new(1), AtomicU32::new(lose));
        let (gone, book) = (AtomicBool::new(false), Mutex::default());
        let shared = Arc::new(Shared { leader, partitions, gone, login, lose, most, book });
        let mine = shared.clone();
        std::thread::spawn(move || accept(&listener, &mine));
        Broker { port, shared }
    }

    /// The way to it is by this port.
    pub fn is_behind(&self, port: u16) {
        self.shared.leader.store(port, Ordering::Relaxed);
    }

    /// The topic moves to another one; it is here no more.
    pub fn moves_to(&self, port: u16) {
        self.shared.gone.store(true, Ordering::Relaxed);
        self.is_behind(port);
    }

    /// From now on it has so many partitions, and loses so many answers.
    pub fn has(&self, partitions: u32, lose: u32) {
        self.shared.partitions.store(partitions, Ordering::Relaxed);
        self.shared.lose.store(lose, Ordering::Relaxed);
    }

    /// The partition of each batch.
    pub fn partitions(&self) -> Vec<i64> {
        self.shared.book.lock().expect("a book").partitions.clone()
    }

    pub fn url(&self) -> String {
        format!("kafka://127.0.0.1:{}/audit", self.port)
    }

    /// The values in order, how many batches came again, and what was wrong with any.
    pub fn seen(&self) -> (Vec<String>, u32, Vec<String>) {
        let book = self.shared.book.lock().expect("a book");
        (book.values.clone(), book.repeats, book.faults.clone())
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        let shared = shared.clone();
        std::thread::spawn(move || drop(serve(stream, &shared)));
    }
}

/// Takes fields off the front of a request.
struct In<'a>(&'a [u8]);

impl<'a> In<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        taken
    }

    fn number(&mut self, bytes: usize) -> i64 {
        let sign = if self.0[0] & 0x80 != 0 { -1i64 } else { 0 };
        self.take(bytes).iter().fold(sign, |n, b| n << 8 | i64::from(*b))
    }

    fn text(&mut self) -> String {
        match self.number(2) {
            n if n < 0 => String::new(),
            n => String::from_utf8_lossy(self.take(n as usize)).into_owned(),
        }
    }

    fn varint(&mut self) -> i64 {
        let (mut n, mut shift) = (0u64, 0);
        loop {
            let b = self.take(1)[0];
            n |= u64::from(b & 0x7f) << shift;
            shift += 7;
            if b < 0x80 {
                return (n >> 1) as i64 ^ -((n & 1) as i64);
            }
        }
    }
}

fn text_out(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as i16).to_be_bytes());
    out.extend(text.bytes());
}

fn serve(mut stream: std::net::TcpStream, shared: &Shared) -> io::Result<()> {
    let mut login = Login { in_progress: None, done: shared.login.is_none() };
    loop {
        let mut head = [0; 4];
        stream.read_exact(&mut head)?;
        let mut bytes = vec![0; u32::from_be_bytes(head) as usize];
        stream.read_exact(&mut bytes)?;
        let mut request = In(&bytes);
        let (api, version, correlation) = (request.number(2), request.number(2), request.number(4));
        request.text();
        let mut out = (correlation as i32).to_be_bytes().to_vec();
        match api {
            18 => versions(&mut out),
            17 => login.handshake(&mut out, &request.text(), shared),
            36 => {
                let n = request.number(4) as usize;
                login.step(&mut out, request.take(n), shared);
            }
            // As a real one does with whoever has not logged in.
            _ if !login.done => return Ok(()),
            3 => metadata(&mut out, shared),
            22 => {
                let mut book = shared.book.lock().expect("a book");
                book.producers += 1;
                out.extend([0; 4]);
                out.extend(0i16.to_be_bytes());
                out.extend((1000 + book.producers).to_be_bytes());
                out.extend(0i16.to_be_bytes());
            }
            0 => {
                let (partition, error) = produce(&mut request, shared);
                if shared.lose.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
                    return Ok(());
                }
                assert_eq!(version, 8, "the newest that is offered");
                out.extend(1i32.to_be_bytes());
                text_out(&mut out, "audit");
                out.extend(1i32.to_be_bytes());
                out.extend((partition as i32).to_be_bytes());
                out.extend(error.to_be_bytes());
                out.extend([0; 8 * 3]);
                out.extend(0i32.to_be_bytes());
                out.extend((-1i16).to_be_bytes());
                out.extend([0; 4]);
            }
            other => panic!("an API that nobody offered: {other}"),
        }
        stream.write_all(&(out.len() as u32).to_be_bytes())?;
        stream.write_all(&out)?;
    }
}

fn versions(out: &mut Vec<u8>) {
    let all: [(i16, i16, i16); 6] = [(0, 3, 9), (3, 0, 12), (17, 0, 1), (18, 0, 3), (22, 0, 4), (36, 0, 2)];
    out.extend(0i16.to_be_bytes());
    out.extend((all.len() as i32).to_be_bytes());
    all.iter().for_each(|(a, b, c)| [a, b, c].iter().for_each(|n| out.extend(n.to_be_bytes())));
}

fn metadata(out: &mut Vec<u8>, shared: &Shared) {
    out.extend([0; 4]);
    out.extend(1i32.to_be_bytes());
    out.extend(1i32.to_be_bytes());
    text_out(out, "127.0.0.1");
    out.extend(i32::from(shared.leader.load(Ordering::Relaxed)).to_be_bytes());
    out.extend((-1i16).to_be_bytes());
    text_out(out, "cluster");
    out.extend(1i32.to_be_bytes());
    out.extend(1i32.to_be_bytes());
    out.extend(0i16.to_be_bytes());
    text_out(out, "audit");
    out.push(0);
    let partitions = shared.partitions.load(Ordering::Relaxed) as i32;
    out.extend(partitions.to_be_bytes());
    for index in 0..partitions {
        out.extend(0i16.to_be_bytes());
        [index, 1, 1, 1, 1, 1].iter().for_each(|n| out.extend(n.to_be_bytes()));
    }
}

/// Bit by bit, so that it is no copy of a table.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, b| {
        (0..8).fold(crc ^ u32::from(*b), |c, _| if c & 1 == 1 { c >> 1 ^ 0x82f6_3b78 } else { c >> 1 })
    })
}

fn produce(request: &mut In<'_>, shared: &Shared) -> (i64, i16) {
    request.text();
    assert_eq!(request.number(2), -1, "acks=all");
    request.number(4);
    assert_eq!((request.number(4), request.text().as_str(), request.number(4)), (1, "audit", 1));
    let partition = request.number(4);
    let leads = !shared.gone.load(Ordering::Relaxed);
    let there = leads && partition < i64::from(shared.partitions.load(Ordering::Relaxed));
    (partition, if there { keep(request, partition, shared) } else { 3 })
}

fn keep(request: &mut In<'_>, partition: i64, shared: &Shared) -> i16 {
    let mut book = shared.book.lock().expect("a book");
    book.partitions.push(partition);
    let length = request.number(4) as usize;
    if length > shared.most {
        return 10;
    }
    let mut batch = In(request.take(length));
    batch.take(8);
    assert_eq!(batch.number(4) as usize, length - 12);
    batch.take(4);
    assert_eq!(batch.number(1), 2, "the magic");
    let sum = batch.number(4) as u32;
    if sum != crc32c(batch.0) {
        book.faults.push(format!("checksum {sum:x}"));
        return 2;
    }
    assert_eq!(batch.number(2), 0, "no compression");
    let last = batch.number(4) as i32;
    batch.take(16);
    let producer = batch.number(8);
    batch.number(2);
    let (first, count) = (batch.number(4) as i32, batch.number(4) as i32);
    assert_eq!(count, last + 1);
    let before = book.last.get(&(producer, partition)).copied();
    if before == Some((first, first + last)) {
        book.repeats += 1;
        return 0;
    }
    if first != before.map_or(0, |(_, last)| last + 1) {
        book.faults.push(format!("sequence {first} behind {before:?}"));
        return 45;
    }
    book.last.insert((producer, partition), (first, first + last));
    for n in 0..count {
        batch.varint();
        batch.take(1);
        batch.varint();
        assert_eq!(batch.varint(), i64::from(n));
        let key = batch.varint() as usize;
        batch.take(key);
        let value = batch.varint() as usize;
        book.values.push(String::from_utf8_lossy(batch.take(value)).into_owned());
        for _ in 0..2 * batch.varint() {
            let n = batch.varint() as usize;
            batch.take(n);
        }
    }
    assert!(batch.0.is_empty());
    0
}

struct Login {
    /// Of SCRAM: the first messages of both.
    in_progress: Option<String>,
    done: bool,
}

const SALT: &[u8] = b"salt of this server";

impl Login {
    fn handshake(&mut self, out: &mut Vec<u8>, mechanism: &str, shared: &Shared) {
        let ours = shared.login.map_or("", |l| l.0);
        let error: i16 = if ours == mechanism { 0 } else { 33 };
        out.extend(error.to_be_bytes());
        out.extend(1i32.to_be_bytes());
        text_out(out, ours);
    }

    fn step(&mut self, out: &mut Vec<u8>, step: &[u8], shared: &Shared) {
        let (mechanism, user, password) = shared.login.expect("a login");
        let answer = match mechanism {
            "PLAIN" => (step == format!("\0{user}\0{password}").as_bytes()).then(Vec::new),
            _ => self.scram(mechanism, std::str::from_utf8(step).expect("text"), user, password),
        };
        match answer {
            Some(said) => {
                self.done |= mechanism == "PLAIN" || said.starts_with(b"v=");
                out.extend(0i16.to_be_bytes());
                out.extend((-1i16).to_be_bytes());
                out.extend((said.len() as i32).to_be_bytes());
                out.extend(said);
            }
            None => {
                out.extend(58i16.to_be_bytes());
                text_out(out, "Authentication failed");
                out.extend(0i32.to_be_bytes());
            }
        }
        out.extend(0i64.to_be_bytes());
    }

    fn scram(&mut self, mechanism: &str, step: &str, user: &str, password: &str) -> Option<Vec<u8>> {
        let (mac, stretch) = match mechanism {
            "SCRAM-SHA-256" => (hmac::HMAC_SHA256, pbkdf2::PBKDF2_HMAC_SHA256),
            _ => (hmac::HMAC_SHA512, pbkdf2::PBKDF2_HMAC_SHA512),
        };
        let code = |bytes: &[u8]| crate::harness::http::base64(bytes);
        let Some(first) = self.in_progress.take() else {
            let bare = step.strip_prefix("n,,")?;
            // RFC 5802: these two are written so in a name.
            let name = user.replace('=', "=3D").replace(',', "=2C");
            let nonce = bare.strip_prefix(&format!("n={name},r="))?;
            let server = format!("r={nonce}SERVER,s={},i=4096", code(SALT));
            self.in_progress = Some(format!("{bare},{server}"));
            return Some(server.into_bytes());
        };
        let (without, proof) = step.rsplit_once(",p=")?;
        let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(mac, key), text).as_ref().to_vec();
        let mut salted = vec![0; mac.digest_algorithm().output_len()];
        let rounds = std::num::NonZeroU32::new(4096).expect("rounds");
        pbkdf2::derive(stretch, rounds, SALT, password.as_bytes(), &mut salted);
        let client = sign(&salted, b"Client Key");
        let stored = digest::digest(mac.digest_algorithm(), &client);
        let all = format!("{first},{without}");
        let mut expected = sign(stored.as_ref(), all.as_bytes());
        expected.iter_mut().zip(&client).for_each(|(e, c)| *e ^= c);
        let server = sign(&sign(&salted, b"Server Key"), all.as_bytes());
        (code(&expected) == proof).then(|| format!("v={}", code(&server)).into_bytes())
    }
}
