//! Bench (e): a log in a file that is there already, followed to its end: ours and the peers to a receiver that only counts,
//! `tail -F | cat` to a copy. The same 227-byte events for all; `tail` keeps no place and delivers nothing, it is the limit.
//! Then what a line waits from its append to its arrival, each program set to hold nothing back; and the peak of our memory for
//! a log of 1 MB and for one of 4 GB.

use crate::harness::counter::Counter;
use crate::harness::{procs, Den, Picodata, Setup};
use crate::measure::{cpu, goal, line, median, percentile, rounds, scaled, Peak, Watch};
use crate::producer::Stock;
use crate::{fluent_bit, rsyslog, syslog_ng};
use std::io::Write;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(180);
/// For the large log.
const LONG_LIMIT: Duration = Duration::from_secs(1200);
const TAIL: &str = "tail -F | cat";
const NO_PLACE: &str = "no: it keeps no place";
const ANSWERED: &str = "yes: on the disk until it is answered";

/// Events a second, CPU seconds a million, peak MiB.
type Run = (f64, f64, f64);
type Start = Box<dyn Fn(&Den, u16) -> Picodata>;

struct Way {
    name: &'static str,
    durable: &'static str,
    /// As it is usually set up; at once: it holds nothing back.
    start: Start,
    at_once: Start,
}

fn way(
    name: &'static str,
    durable: &'static str,
    start: impl Fn(&Den, u16, bool) -> Picodata + Clone + 'static,
) -> Way {
    let same = start.clone();
    Way {
        name,
        durable,
        start: Box::new(move |den, port| start(den, port, false)),
        at_once: Box::new(move |den, port| same(den, port, true)),
    }
}

fn ways() -> Vec<Way> {
    let mut all = vec![way("ours", ANSWERED, ours), way(TAIL, NO_PLACE, |den, _, _| tail(den))];
    all.extend(syslog_ng::program().map(|program| {
        way("syslog-ng file()", ANSWERED, move |den, port, at_once| {
            syslog_ng::follow(&program, den, port, if at_once { "" } else { "batch-timeout(200)" })
        })
    }));
    let lossy = "no: what the receiver's kernel had is lost";
    all.extend(
        rsyslog::program().map(|p| way(rsyslog::NAME, lossy, move |den, port, _| rsyslog::follow(&p, den, port))),
    );
    all.extend(fluent_bit::program().map(|program| {
        way(fluent_bit::NAME, "yes, but for a power cut: chunks are not synced", move |den, port, at_once| {
            fluent_bit::follow(&program, den, port, if at_once { "0.01" } else { "0.2" })
        })
    }));
    all
}

pub fn run() {
    let stock = Stock::of_227(scaled(1_000_000));
    println!("(e) a log in a file, followed to its end: {} events of 227 bytes", stock.events());
    let all = ways();
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); all.len()];
    for _ in 0..rounds() {
        for (way, runs) in all.iter().zip(&mut runs) {
            runs.push(once(&stock, way));
        }
    }
    let middle = |runs: &Vec<Run>, of: fn(&Run) -> f64| median(runs.iter().map(of).collect());
    let middles: Vec<Run> = runs.iter().map(|r| (middle(r, |r| r.0), middle(r, |r| r.1), middle(r, |r| r.2))).collect();
    let own = middles[0];
    for (Way { name, durable, .. }, run) in all.iter().zip(&middles) {
        let (rate, used, peak) = run;
        println!("  {name:<26} | {rate:>9.0} events/s | {used:>6.2} CPU s a million | peak {peak:>6.1} MiB | durable? {durable}");
    }
    for (way, run) in all.iter().zip(&middles).skip(1) {
        line("followed, events a second", own.0, "1/s", way.name, run.0, "");
        line("followed, CPU a million", own.1, "s", way.name, run.1, "");
    }
    latency(&all);
    memory();
}

/// Median and the 99th of a hundred, in ms, of a line at 100 a second.
fn latency(all: &[Way]) {
    let count = scaled(500).max(20);
    println!("  from the append of a line to its arrival, {count} lines at 100/s, nothing held back");
    let stock = Stock::of_227(count + 1);
    let times: Vec<(&str, f64, f64)> = all.iter().filter(|w| w.name != TAIL).map(|w| waits(&stock, w)).collect();
    for (name, p50, p99) in &times[1..] {
        line("a line p50", times[0].1, "ms", name, *p50, "");
        line("a line p99", times[0].2, "ms", name, *p99, "");
    }
}

fn waits(stock: &Stock, way: &Way) -> (&'static str, f64, f64) {
    let den = Den::new("bench-e-line");
    let mut records = stock.records();
    let first = records.next().unwrap_or_default();
    let path = den.put("audit.log", first);
    let mut log = std::fs::File::options().append(true).open(path).expect("the log");
    let counter = Counter::start();
    let program = (way.at_once)(&den, counter.port());
    let mut times = Vec::new();
    if counter.wait(1, LIMIT).is_some() {
        std::thread::sleep(Duration::from_millis(500));
        times = appended(&mut log, records, &counter);
    }
    drop(program);
    if times.len() + 1 < stock.events() {
        println!("  {}: only {} of {} lines came", way.name, times.len(), stock.events() - 1);
        return (way.name, f64::INFINITY, f64::INFINITY);
    }
    times.sort();
    let ms = |share: f64| percentile(&times, share).as_secs_f64() * 1e3;
    (way.name, ms(0.5), ms(0.99))
}

/// Lines come in their order, so the moment when so many have come is that of the last of them.
fn appended<'a>(log: &mut std::fs::File, lines: impl Iterator<Item = &'a [u8]>, counter: &Counter) -> Vec<Duration> {
    let (begin, mut written, mut times) = (Instant::now(), Vec::new(), Vec::new());
    let mut see = |written: &[Instant], until: Instant| loop {
        let now = Instant::now();
        let come = (counter.events() as usize - 1).min(written.len());
        while times.len() < come {
            times.push(now - written[times.len()]);
        }
        if now >= until {
            return times.len();
        }
        std::thread::sleep(Duration::from_micros(100));
    };
    for (i, text) in lines.enumerate() {
        see(&written, begin + Duration::from_millis(10 * i as u64));
        written.push(Instant::now());
        log.write_all(text).expect("room");
    }
    let end = Instant::now() + Duration::from_secs(10);
    while see(&written, Instant::now()) < written.len() && Instant::now() < end {
        std::thread::sleep(Duration::from_micros(100));
    }
    times
}

/// It must be the same for a log of any size. The large one comes to its size by the scale, the small one is as it is.
fn memory() {
    let stock = Stock::of_227(4405);
    let times = scaled(4 << 10);
    let (small, large) = (peak(&stock, 1), peak(&stock, times));
    println!(
        "  memory of all ours, peaks: a log of 1 MB {:.1} MiB (proportional {:.1}), of {times} MB {:.1} MiB ({:.1})  {}",
        small.high_water,
        small.proportional,
        large.high_water,
        large.proportional,
        goal("flat: at most 16 MiB more", large.proportional <= small.proportional + 16.0)
    );
}

fn peak(stock: &Stock, times: usize) -> Peak {
    let den = Den::new("bench-e-memory");
    let text = stock.records().collect::<Vec<_>>().concat();
    let mut log = std::fs::File::create(den.path().join("audit.log")).expect("the log");
    (0..times).for_each(|_| log.write_all(&text).expect("room for the log"));
    let counter = Counter::start();
    let program = ours(&den, counter.port(), false);
    let watch = Watch::group(program.group());
    let wanted = (stock.events() * times) as u64;
    if counter.wait(wanted, LONG_LIMIT).is_none() {
        println!("  memory: only {} of {wanted} events came", counter.events());
    }
    watch.peak()
}

fn once(stock: &Stock, way: &Way) -> Run {
    let name = way.name;
    let den = Den::new("bench-e");
    let log = den.put("audit.log", stock.records().collect::<Vec<_>>().concat());
    let counter = Counter::start();
    let begin = Instant::now();
    let program = (way.start)(&den, counter.port());
    let watch = Watch::group(program.group());
    let bytes = std::fs::metadata(log).map_or(0, |m| m.len());
    let copied = || std::fs::metadata(den.file("copy")).is_ok_and(|m| m.len() >= bytes);
    let done = match name {
        TAIL => crate::harness::den::wait_for(LIMIT, copied).then(Instant::now),
        _ => counter.wait(stock.events() as u64, LIMIT),
    };
    if done.is_none() {
        println!("  {name}: only {} of {} events came", counter.events(), stock.events());
    }
    let seconds = done.map_or(f64::INFINITY, |d| (d - begin).as_secs_f64());
    let used = cpu(&procs::group(program.group()));
    (stock.events() as f64 / seconds, used * 1e6 / stock.events() as f64, watch.peak().high_water)
}

fn ours(den: &Den, port: u16, at_once: bool) -> Picodata {
    let url = format!("http://127.0.0.1:{port}/");
    let (spool, log) = (den.file("spool"), den.file("audit.log"));
    let linger = if at_once { "0s" } else { "200ms" };
    let args = ["--no-config", "--spool-dir", &spool, "--type", "file", "--filename", &log, "--linger", linger];
    Setup::bare(den).url(&url).args(&args).exec().picodata()
}

fn tail(den: &Den) -> Picodata {
    let command = format!("tail -n +1 -F {} | cat >{}", den.file("audit.log"), den.file("copy"));
    Picodata::start(&command, den.path(), &[])
}
