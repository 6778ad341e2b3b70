//! The metrics program under siege: hostile databases and hostile scrapers at once, for a while; memory, threads and
//! descriptors stay where they were, and whoever scrapes in earnest is answered throughout.

use super::Row;
use crate::harness::events::Chance;
use crate::harness::road::seed;
use crate::harness::{long, procs, wait};
use crate::metrics::helper::{get, samples, Helper};
use crate::metrics::stand::{data, Asked, Reply, Stand};
use crate::metrics::villain::{play, Evil, Villain, Whole};
use gostech::iproto::auth::Method::ChapSha1;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// Says that it is over, also when an assertion failed: the other threads of a test wait for it.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A page of so many numbers, about 50 bytes each.
fn page(numbers: usize) -> String {
    let lines = (0..numbers).map(|i| format!("big{{number=\"{i:08}\",of=\"many\"}} {i}\n"));
    format!("# TYPE big gauge\n{}", lines.collect::<String>())
}

#[test]
fn visitors_who_do_not_take_their_page_do_not_keep_it_from_others() {
    let begin = Instant::now();
    // More than what sockets take in by themselves.
    let text = page(120_000);
    let bytes = text.len();
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], move |_, asked| match asked {
        Asked::Eval(_) => data(serde_json::json!([{"page": text, "via": "route"}])),
        _ => data(serde_json::json!([[280, 1, "_space"]])),
    });
    let port = stand.port.to_string();
    let args = ["--port", &port, "--min-interval", "60s", "--timeout", "60s"];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "x")]);
    helper.until("up", SECOND * 60, |p| p["picodata_up"] == 1.0);
    let before = helper.figure("VmRSS");
    // More of them than there are seats.
    let idle: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut socket = TcpStream::connect(("127.0.0.1", helper.port)).expect("a connection");
            // Whoever is turned away is turned away.
            let _ = socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
            socket
        })
        .collect();
    let (mut slowest, mut good) = (Duration::ZERO, 0);
    for _ in 0..5 {
        let one = Instant::now();
        // As a scraper comes again: each try may be told to.
        good += u64::from((0..10).any(|_| {
            let answer = get(helper.port, "/-/healthy", &[]);
            let right = answer.is_some_and(|a| a.status == 200);
            if !right {
                std::thread::sleep(Duration::from_millis(200));
            }
            right
        }));
        slowest = slowest.max(one.elapsed());
    }
    eprintln!(
        "100 visitors who read nothing of {bytes} bytes: {good} of 5 others answered, slowest {slowest:?}, memory {before} \
         to {} KiB",
        helper.figure("VmHWM")
    );
    drop(idle);
    assert_eq!(good, 5);
    // Each of them could keep a lane for ten seconds, and there are four lanes.
    assert!(slowest < SECOND * 12, "{slowest:?}");
    let class = "siege: visitors who take nothing";
    Row { class, injected: 100, survived: 100, records: good, lost: 0, repeated: 0, begin }.say();
}

#[test]
fn while_the_database_hangs_and_everybody_waits_the_helper_says_that_it_lives() {
    let begin = Instant::now();
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], |_, asked| match asked {
        Asked::Eval(_) => Reply::Silence(SECOND * 60),
        _ => data(serde_json::json!([[280, 1, "_space"]])),
    });
    let port = stand.port.to_string();
    let args = ["--port", &port, "--min-interval", "0", "--timeout", "30s"];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "x")]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let page = get(helper.port, "/metrics", &[("X-Prometheus-Scrape-Timeout-Seconds", "4")]);
                    let down = page.filter(|a| a.status == 200).map(|a| samples(&a.text())["picodata_up"]);
                    assert!(down.is_none_or(|up| up == 0.0));
                }
            });
        }
        let _over = Over(&over);
        std::thread::sleep(SECOND);
        for _ in 0..10 {
            let one = Instant::now();
            assert_eq!(get(helper.port, "/-/healthy", &[]).expect("an answer").status, 200);
            // A page of metrics takes three and a half seconds here.
            assert!(one.elapsed() < SECOND * 3, "{:?}", one.elapsed());
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let class = "siege: a database that hangs";
    Row { class, injected: 6, survived: 6, records: 10, lost: 0, repeated: 0, begin }.say();
}

/// A database that is right on most connections for a while, and then does one of the wrong things; the next one another.
fn hostile_database(seed: u64) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let wrongs = Arc::new(AtomicU64::new(0));
    let count = wrongs.clone();
    let whole = Whole { of: Box::new(|_| samples("")) };
    std::thread::spawn(move || {
        for (n, socket) in listener.incoming().flatten().enumerate() {
            let mut chance = Chance::new(seed.wrapping_add(n as u64));
            // Always asked as `pico_service`.
            let mut villain = Villain::of(4 * chance.within(0, 1 << 30) + 1, &whole);
            if villain.at > 0 {
                villain.at += chance.within(0, 40);
            } else if matches!(villain.evil, Evil::Refuse(..)) {
                // A refused password is not tried again for minutes: that is right, and the end of the siege.
                villain.evil = Evil::Close;
            }
            count.fetch_add(1, Ordering::SeqCst);
            let end = socket.try_clone();
            std::thread::spawn(move || play(socket, Some(&villain)));
            // Nobody is right for ever here.
            let life = Duration::from_millis(chance.within(100, 1500));
            std::thread::spawn(move || {
                std::thread::sleep(life);
                end.map(|socket| socket.shutdown(Shutdown::Both))
            });
        }
    });
    (port, wrongs)
}

/// One rude visit.
fn rude(port: u16, chance: &mut Chance) -> Option<()> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket.set_read_timeout(Some(SECOND)).ok()?;
    socket.set_write_timeout(Some(SECOND)).ok()?;
    let get = &b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"[..];
    let pause = |ms| std::thread::sleep(Duration::from_millis(ms));
    match chance.within(0, 11) {
        // Nothing; half a request; a byte now and then.
        0 => pause(300),
        1 => socket.write_all(&get[..20]).ok()?,
        2 => get.iter().take(12).try_for_each(|b| {
            pause(30);
            socket.write_all(&[*b]).ok()
        })?,
        // Noise, a TLS hello, a head without an end, a body.
        3 => socket.write_all(&(0..3000).map(|_| chance.within(0, 255) as u8).collect::<Vec<_>>()).ok()?,
        4 => socket.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").ok()?,
        5 => socket.write_all(&[&get[..get.len() - 2], &b"X: y\r\n".repeat(3000)].concat()).ok()?,
        6 => socket.write_all(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\nxxxx").ok()?,
        // A hundred requests at once, one after which the visitor half-closes, one that goes away before the answer.
        7 => socket.write_all(&get.repeat(100)).ok()?,
        8 => {
            socket.write_all(get).ok()?;
            socket.shutdown(Shutdown::Write).ok()?;
            let _ = socket.read(&mut [0; 100]);
        }
        9 => socket.write_all(get).ok()?,
        // A request whose answer is not taken, or by a byte now and then.
        10 => {
            socket.write_all(get).ok()?;
            pause(700);
        }
        _ => {
            socket.write_all(get).ok()?;
            for _ in 0..20 {
                pause(20);
                let _ = socket.read(&mut [0]);
            }
        }
    }
    Some(())
}

/// What a process holds: memory in KiB, threads, descriptors.
#[derive(Clone, Copy, Debug, Default)]
struct Held(u64, u64, u64);

fn held(pid: u32) -> Held {
    Held(procs::status_kib(pid, "VmRSS"), procs::status_kib(pid, "Threads"), procs::descriptors(pid).len() as u64)
}

fn most(all: &[Held]) -> Held {
    let of = |f: fn(&Held) -> u64| all.iter().map(f).max().unwrap_or(0);
    Held(of(|h| h.0), of(|h| h.1), of(|h| h.2))
}

/// Whoever asks in earnest: answered within three tries, as a scraper comes again; what is up and down.
fn earnest(port: u16) -> Option<bool> {
    (0..3).find_map(|_| {
        let answer =
            get(port, "/metrics", &[("X-Prometheus-Scrape-Timeout-Seconds", "5")]).filter(|a| a.status == 200)?;
        let page = samples(&answer.text());
        let up = page["picodata_up"] == 1.0;
        let reasons = page.keys().filter(|k| k.starts_with("gostech_metrics_down{")).count();
        assert_eq!(reasons, usize::from(!up), "{page:?}");
        Some(up)
    })
}

/// `GOSTECH_LONG=1`: 10 minutes, else 20 seconds.
#[test]
fn hostile_databases_and_hostile_scrapers_at_once() {
    let begin = Instant::now();
    let span = SECOND * if long() { 600 } else { 20 };
    let (database, wrongs) = hostile_database(seed(1));
    let args = ["--port", &database.to_string(), "--min-interval", "0", "--timeout", "300ms"];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "x")]);
    let (pid, port) = (helper.child.id(), helper.port);
    let idle = held(pid);
    let (over, visits) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut up, mut down, mut unanswered, mut figures) = (0, 0, 0, Vec::new());
    std::thread::scope(|scope| {
        for n in 0..24 {
            let (over, visits) = (&over, &visits);
            scope.spawn(move || {
                let mut chance = Chance::new(seed(1) * 1000 + n);
                while !over.load(Ordering::SeqCst) {
                    rude(port, &mut chance);
                    visits.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let _over = Over(&over);
        // On a machine with much else to do it takes longer until each has come.
        let all_came = |up, down| up > 0 && down > 0 && wrongs.load(Ordering::SeqCst) > 5;
        while begin.elapsed() < span || !all_came(up, down) && begin.elapsed() < 4 * span {
            match earnest(port) {
                Some(true) => up += 1,
                Some(false) => down += 1,
                None => unanswered += 1,
            }
            figures.push(held(pid));
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let third = figures.len() / 3;
    let (second, last) = (most(&figures[third..2 * third]), most(&figures[2 * third..]));
    let (visits, wrongs) = (visits.load(Ordering::SeqCst), wrongs.load(Ordering::SeqCst));
    eprintln!(
        "siege of {span:?}: {wrongs} hostile databases, {visits} rude visits; {up} scrapes up, {down} down, {unanswered} \
         without an answer; KiB, threads, descriptors: idle {idle:?}, second third {second:?}, last third {last:?}"
    );
    assert!(up > 0 && down > 0 && wrongs > 5 && visits > 100, "no siege");
    assert!(unanswered * 100 <= up + down, "{unanswered} of {} without an answer", up + down + unanswered);
    assert!(last.0 <= second.0 + 6 * 1024 && last.0 < idle.0 + 48 * 1024, "memory grows: {second:?}, {last:?}");
    assert!(last.1 <= 140 && last.2 <= 180, "threads or descriptors grow: {last:?}");
    wait("everybody's threads and descriptors go with them", SECOND * 30, || {
        let now = held(pid);
        now.1 <= idle.1 + 6 && now.2 <= idle.2 + 6
    });
    let class = "siege: hostile databases and scrapers";
    let injected = wrongs + visits;
    Row { class, injected, survived: injected, records: up + down, lost: 0, repeated: 0, begin }.say();
}
