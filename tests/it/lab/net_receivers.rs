//! Receivers that mean harm: on every second connection the audit helper meets one that answers without an end, too early,
//! with bombs, redirects or rubbish, and takes nothing. Every event arrives all the same, once, in order; none is condemned;
//! memory stays where it was.

use super::Row;
use crate::harness::den::free_listener;
use crate::harness::events::Chance;
use crate::harness::road::seed;
use crate::harness::setup::files_below;
use crate::harness::{free_port, long, procs, wait, Den, Events, Page, Receiver, Setup};
use std::io::{copy, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What they say: first, and then again and again; none of it is the whole head of a success, which is believed.
const WORDS: [(&str, &str); 14] = [
    ("", ""),
    ("HTTP/1.1 307 Round\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", ""),
    ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "x"),
    ("HTTP/1.1 413 Too Big\r\nContent-Length: 0\r\n\r\n", ""),
    ("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", ""),
    ("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n", "1000\r\n[bomb]\r\n"),
    ("HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\n\r\n", "[bomb]"),
    ("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
    ("HTTP/1.1 200 ", "OKOKOK"),
    ("HTTP/1.1 200 OK\r\n", "X-More: and more and more\r\n"),
    ("", "HTTP/1.1 103 Early Hints\r\n\r\n"),
    ("HTTP/1.1 502 No\r\nContent-Length: 99999999999\r\n\r\n", "."),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", "name"),
    ("SSH-2.0-OpenSSH_9.2\r\n", "\r\n"),
];

/// One hostile connection: before the request is read, in the middle of it, or after it.
fn harm(mut socket: TcpStream, chance: &mut Chance) -> Option<()> {
    socket.set_read_timeout(Some(Duration::from_millis(300))).ok()?;
    socket.set_write_timeout(Some(Duration::from_secs(5))).ok()?;
    let (first, again) = WORDS[chance.within(0, WORDS.len() as u64 - 1) as usize];
    let bomb = again.replace("[bomb]", &"\0".repeat(0x1000));
    let mut read = chance.within(0, 60_000);
    while read > 0 {
        match socket.read(&mut [0; 4096]) {
            Ok(n @ 1..) => read = read.saturating_sub(n as u64),
            _ => break,
        }
    }
    socket.write_all(first.as_bytes()).ok()?;
    // Fast or slow, and sooner or later the end.
    let pause = Duration::from_millis(chance.within(0, 1) * 20);
    let end = Instant::now() + Duration::from_millis(chance.within(10, 1500));
    while !bomb.is_empty() && Instant::now() < end {
        socket.write_all(bomb.as_bytes()).ok()?;
        std::thread::sleep(pause);
    }
    Some(())
}

/// Brings a connection to the receiver.
fn lead(client: TcpStream, port: u16) -> Option<()> {
    let server = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let (mut a, mut b) = (client.try_clone().ok()?, server.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ = copy(&mut a, &mut b);
        let _ = b.shutdown(Shutdown::Write);
    });
    let (mut client, mut server) = (client, server);
    let _ = copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    Some(())
}

/// A door to the receiver with villains before it, while `foul`; and how many have been met.
fn door(port: u16, foul: &Arc<AtomicBool>) -> (u16, Arc<AtomicU64>) {
    let listener = free_listener();
    let own = listener.local_addr().expect("an address").port();
    let met = Arc::new(AtomicU64::new(0));
    let (count, foul) = (met.clone(), foul.clone());
    std::thread::spawn(move || {
        for (n, socket) in listener.incoming().flatten().enumerate() {
            let mut chance = Chance::new(seed(1).wrapping_mul(77_003) + n as u64);
            if !foul.load(Ordering::SeqCst) || n % 2 == 0 {
                // Through, for a moment: the next connection is met by another.
                let life = Duration::from_millis(if foul.load(Ordering::SeqCst) { 150 } else { 600_000 });
                let end = socket.try_clone();
                std::thread::spawn(move || lead(socket, port));
                std::thread::spawn(move || {
                    std::thread::sleep(life);
                    // Only the way in: an answer that is on its way still arrives.
                    end.map(|s| s.shutdown(Shutdown::Read))
                });
            } else {
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || harm(socket, &mut chance));
            }
        }
    });
    (own, met)
}

#[test]
fn receivers_that_mean_harm_cost_time_and_nothing_else() {
    let begin = Instant::now();
    let wanted = if long() { 1000 } else { 12 };
    let den = Den::new("harm");
    let receiver = Receiver::start();
    let foul = Arc::new(AtomicBool::new(true));
    let (port, met) = door(receiver.port(), &foul);
    let page = free_port();
    let (url, addr) = (format!("http://127.0.0.1:{port}/"), format!("127.0.0.1:{page}"));
    let patience =
        ["--connect-timeout", "2s", "--send-timeout", "2s", "--first-byte-timeout", "1s", "--total-timeout", "2s"];
    let args = ["--metrics-addr", &addr, "--batch-events", "200", "--drain", "90s"];
    let mut picodata = Setup::new(&den).url(&url).args(&args).args(&patience).picodata();
    let worker = picodata.wait_worker(None);
    let mut events = Events::new(1, 1);
    let mut memory = Vec::new();
    while met.load(Ordering::SeqCst) < wanted || picodata.ledger.len() < 1000 {
        assert!(
            begin.elapsed() < Duration::from_secs(900),
            "{} villains in a quarter of an hour",
            met.load(Ordering::SeqCst)
        );
        for _ in 0..5 {
            picodata.write(&events.event()).expect("the pipe never breaks");
        }
        memory.push(procs::status_kib(worker, "RssAnon"));
        std::thread::sleep(Duration::from_millis(20));
    }
    foul.store(false, Ordering::SeqCst);
    let written = picodata.ledger.len();
    wait("all is delivered", Duration::from_secs(120), || receiver.count() >= written);
    Page::scrape(page).assert_identity("r1");
    assert_eq!(picodata.finish(Duration::from_secs(120)), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
    let condemned = files_below(den.path()).into_iter().any(|(path, bytes)| {
        path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("quarantine-")) && !bytes.is_empty()
    });
    assert!(!condemned, "an event was condemned for the harm of a receiver: {}", picodata.err());
    let (half, most) = (memory.len() / 2, memory.iter().max().copied().unwrap_or(0));
    let (early, late) = (memory[..half].iter().max(), memory[half..].iter().max());
    eprintln!(
        "{} villains, memory at most {most} KiB, first half {early:?}, second {late:?}",
        met.load(Ordering::SeqCst)
    );
    assert!(most < 32 * 1024, "{most} KiB");
    let (class, injected) = ("network: receivers that mean harm", met.load(Ordering::SeqCst));
    let repeated = receiver.repeats();
    Row { class, injected, survived: injected, records: written as u64, lost: 0, repeated, begin }.say();
}
