//! Bench (b): stdin to a receiver that only counts, and the delivery of a backlog, against syslog-ng with its reliable
//! and its plain disk buffer, and rsyslog with a disk-assisted queue. The same 227-byte events in pieces of 64 KiB for all;
//! default options for ours. Beside them the limit: one thread that writes the bytes of our requests, made before, to the
//! same receiver, and waits for the same answers.

use crate::harness::counter::{self, Counter};
use crate::harness::{free_port, procs, Den, Picodata, Setup};
use crate::measure::{cpu, goal, line, median, pids, rounds, scaled, Watch};
use crate::producer::{Stock, Way};
use crate::rsyslog;
use crate::syslog_ng::{self, Buffer};
use std::io::{IoSlice, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(180);
/// Events a second of a flood on a real Picodata.
const DATABASE_FLOOD: usize = 155_000;

/// Events a second, CPU seconds a million, peak MiB; of ours the body of a request and how many events it has.
#[derive(Clone)]
pub struct Run {
    pub rate: f64,
    pub cpu: f64,
    pub memory: f64,
    proportional: f64,
    sample: Vec<u8>,
}

pub fn run() {
    let stock = Stock::of_227(scaled(1_000_000));
    println!("(b) stdin to a counting receiver, and a backlog: {} events of 227 bytes", stock.events());
    type Start = Box<dyn Fn(&Den, u16) -> Picodata>;
    let mut consumers: Vec<(&str, Start)> = vec![("ours", Box::new(ours))];
    for buffer in [Buffer::Reliable, Buffer::Plain] {
        let Some(program) = syslog_ng::program() else { continue };
        let start = move |den: &Den, port| syslog_ng::start(&program, den, port, buffer, "batch-timeout(200)");
        consumers.push((buffer.name(), Box::new(start)));
    }
    if let Some(program) = rsyslog::program() {
        consumers.push((
            rsyslog::NAME,
            Box::new(move |den: &Den, port| rsyslog::start(&program, den, port, rsyslog::OMFWD)),
        ));
    }
    type Way = fn(&Stock, &dyn Fn(&Den, u16) -> Picodata) -> Run;
    let ways: [(&str, Way); 2] = [("live", live), ("backlog", backlog)];
    for (name, way) in ways {
        // Round by round, so that an hour in which the machine is slow is slow for all.
        let mut runs = vec![Vec::new(); consumers.len()];
        for _ in 0..rounds() {
            for ((_, start), runs) in consumers.iter().zip(&mut runs) {
                runs.push(way(&stock, start));
            }
        }
        let mut middles = runs.into_iter().map(middle);
        let own = middles.next().expect("ours is the first");
        if let Some(limit) = limit(&own) {
            line(&format!("{name}, events a second"), own.rate, "1/s", "the limit: one writev each", limit.rate, "");
            line(&format!("{name}, CPU a million"), own.cpu, "s", "the limit: one writev each", limit.cpu, "");
        }
        println!(
            "  {name}: ours {:.0} events/s, {:.2} CPU s a million, peak {:.1} MiB (VmHWM, both), {:.1} MiB proportional",
            own.rate, own.cpu, own.memory, own.proportional
        );
        println!("    {}; {}", goal(">= 500,000 events/s", own.rate >= 5e5), goal("<= 2 CPU s", own.cpu <= 2.0));
        println!("    {}", goal("<= 16 MB", own.memory * 1.048_576 <= 16.0));
        println!("  {:<26} | {:>9} | {:>6} | {:>8} | durable?", name, "1/s", "CPU s", "peak MiB");
        let rows: Vec<Run> = std::iter::once(own.clone()).chain(middles).collect();
        for ((who, _), run) in consumers.iter().zip(&rows) {
            println!("  {who:<26} | {:>9.0} | {:>6.2} | {:>8.1} | {}", run.rate, run.cpu, run.memory, durable(who));
        }
        for ((peer, _), theirs) in consumers.iter().zip(rows).skip(1) {
            line(&format!("{name}, events a second"), own.rate, "1/s", peer, theirs.rate, "");
            line(&format!("{name}, CPU a million"), own.cpu, "s", peer, theirs.cpu, "");
            line(&format!("{name}, peak memory"), own.memory, "MiB", peer, theirs.memory, "");
        }
    }
}

/// What is left of an event when program, machine or receiver die in the middle.
fn durable(who: &str) -> &'static str {
    if who == "ours" {
        "written to the disk before it is sent and synced soon; there until it is answered"
    } else if who == Buffer::Reliable.name() {
        "written to the disk before it is sent; there until it is answered"
    } else if who == rsyslog::NAME {
        "in the file; what the kernel had taken for a receiver that died is lost"
    } else {
        "in memory first; on the disk when that is full or it ends in order"
    }
}

pub fn middle(runs: Vec<Run>) -> Run {
    let of = |f: fn(&Run) -> f64| median(runs.iter().map(f).collect());
    let sample = runs[0].sample.clone();
    Run {
        rate: of(|r| r.rate),
        cpu: of(|r| r.cpu),
        memory: of(|r| r.memory),
        proportional: of(|r| r.proportional),
        sample,
    }
}

/// What it costs a thread to send requests with the body of ours, as many events as ours were, each in one call.
fn limit(ours: &Run) -> Option<Run> {
    if ours.sample.is_empty() {
        return None;
    }
    let counter = Counter::start();
    let mut stream = TcpStream::connect(("127.0.0.1", counter.port())).ok()?;
    stream.set_nodelay(true).ok()?;
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", ours.sample.len());
    let mut answer = [0; counter::ANSWER.len()];
    let (begin, before) = (Instant::now(), thread_cpu());
    while counter.events() < scaled(1_000_000) as u64 {
        let mut parts = [IoSlice::new(head.as_bytes()), IoSlice::new(&ours.sample)];
        let mut parts = &mut parts[..];
        while !parts.is_empty() {
            let written = stream.write_vectored(parts).ok()?;
            IoSlice::advance_slices(&mut parts, written);
        }
        stream.read_exact(&mut answer).ok()?;
    }
    let millions = counter.events() as f64 / 1e6;
    let rate = counter.events() as f64 / begin.elapsed().as_secs_f64();
    Some(Run { rate, cpu: (thread_cpu() - before) / millions, memory: 0.0, proportional: 0.0, sample: Vec::new() })
}

/// CPU seconds of this thread.
pub fn thread_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn ours(den: &Den, port: u16) -> Picodata {
    let url = format!("http://127.0.0.1:{port}/");
    let args = ["--no-config", "--spool-dir", &den.file("spool")];
    let picodata = Setup::bare(den).url(&url).args(&args).exec().picodata();
    picodata.wait_worker(None);
    picodata
}

/// The processes of the consumer: keeper, worker and stand-in, or the peer.
fn consumers(picodata: &Picodata) -> Vec<u32> {
    let family = pids(picodata);
    if family.is_empty() {
        procs::group(picodata.group())
    } else {
        family
    }
}

fn live(stock: &Stock, start: &dyn Fn(&Den, u16) -> Picodata) -> Run {
    live_until(stock.events(), stock, start)
}

/// Until so many events have come, of which some may be the consumer's own.
pub fn live_until(events: usize, stock: &Stock, start: &dyn Fn(&Den, u16) -> Picodata) -> Run {
    poured_until(events, stock, start, &|stock, into| stock.pour(into, Way::Pieces))
}

/// The same, written one by one as fast as a real database has written them.
pub fn paced_until(events: usize, stock: &Stock, start: &dyn Fn(&Den, u16) -> Picodata) -> Run {
    poured_until(events, stock, start, &|stock, into| drop(stock.pace(into, DATABASE_FLOOD)))
}

fn poured_until(
    events: usize,
    stock: &Stock,
    start: &dyn Fn(&Den, u16) -> Picodata,
    pour: &dyn Fn(&Stock, &mut Picodata),
) -> Run {
    let den = Den::new("bench-b");
    let counter = Counter::start();
    let mut picodata = start(&den, counter.port());
    std::thread::sleep(Duration::from_millis(500));
    let watch = Watch::group(picodata.group());
    let begin = Instant::now();
    pour(stock, &mut picodata);
    let done = counter.wait(events as u64, LIMIT);
    finish(stock, done.map(|d| d - begin), 0.0, &picodata, &watch, &counter)
}

fn backlog(stock: &Stock, start: &dyn Fn(&Den, u16) -> Picodata) -> Run {
    backlog_until(stock.events(), stock, start)
}

/// The same, what had come before the receiver did.
pub fn backlog_until(events: usize, stock: &Stock, start: &dyn Fn(&Den, u16) -> Picodata) -> Run {
    let den = Den::new("bench-b-backlog");
    let port = free_port();
    let mut picodata = start(&den, port);
    std::thread::sleep(Duration::from_millis(500));
    stock.pour(&mut picodata, Way::Pieces);
    wait_quiet(&den);
    let watch = Watch::group(picodata.group());
    let before = cpu(&consumers(&picodata));
    let counter = Counter::at(port);
    let done = counter.wait(events as u64, LIMIT);
    let time = done.zip(counter.first()).map(|(d, first)| d - first);
    finish(stock, time, before, &picodata, &watch, &counter)
}

/// Until the files of the consumer have not grown for a second and a half: everything is in its queue.
fn wait_quiet(den: &Den) {
    let (mut last, mut since) = (0, Instant::now());
    let end = since + LIMIT;
    while since.elapsed() < Duration::from_millis(1500) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
        let now = size_below(den.path());
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
}

fn size_below(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|e| if e.path().is_dir() { size_below(&e.path()) } else { e.metadata().map_or(0, |m| m.len()) }).sum()
}

/// `time` is None when not everything came: then the rate is that of nothing.
fn finish(stock: &Stock, time: Option<Duration>, before: f64, from: &Picodata, watch: &Watch, to: &Counter) -> Run {
    let seconds = time.map_or(f64::INFINITY, |t| t.as_secs_f64());
    if time.is_none() {
        println!("  only {} of {} events came", to.events(), stock.events());
    }
    let millions = stock.events() as f64 / 1e6;
    let peak = watch.peak();
    Run {
        rate: stock.events() as f64 / seconds,
        cpu: (cpu(&consumers(from)) - before) / millions,
        memory: peak.high_water,
        proportional: peak.proportional,
        sample: to.sample(),
    }
}
