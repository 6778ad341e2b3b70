//! Bench (e): a log in a file that is there already, followed to its end: ours and the peers to a receiver that only counts,
//! `tail -F | cat` to a copy. The same 227-byte events for all; `tail` keeps no place and delivers nothing, it is the limit.

use crate::harness::counter::Counter;
use crate::harness::{procs, Den, Picodata, Setup};
use crate::measure::{cpu, line, median, rounds, scaled, Watch};
use crate::producer::Stock;
use crate::rsyslog;
use crate::syslog_ng::{self, Buffer};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(180);
const TAIL: &str = "tail -F | cat";

/// Events a second, CPU seconds a million, peak MiB.
type Run = (f64, f64, f64);
type Start = Box<dyn Fn(&Den, u16) -> Picodata>;

pub fn run() {
    let stock = Stock::of_227(scaled(1_000_000));
    println!("(e) a log in a file, followed to its end: {} events of 227 bytes", stock.events());
    let mut all: Vec<(&str, Start)> = vec![("ours", Box::new(ours)), (TAIL, Box::new(|den, _| tail(den)))];
    if let Some(program) = syslog_ng::program() {
        let start = move |den: &Den, port| syslog_ng::follow(&program, den, port, Buffer::Reliable);
        all.push(("syslog-ng file()", Box::new(start)));
    }
    if let Some(program) = rsyslog::program() {
        all.push((rsyslog::NAME, Box::new(move |den: &Den, port| rsyslog::follow(&program, den, port))));
    }
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); all.len()];
    for _ in 0..rounds() {
        for ((name, start), runs) in all.iter().zip(&mut runs) {
            runs.push(once(&stock, name, start));
        }
    }
    let middle = |runs: &Vec<Run>, of: fn(&Run) -> f64| median(runs.iter().map(of).collect());
    let middles: Vec<Run> = runs.iter().map(|r| (middle(r, |r| r.0), middle(r, |r| r.1), middle(r, |r| r.2))).collect();
    let own = middles[0];
    for ((name, _), run) in all.iter().zip(&middles) {
        println!("  {name:<26} | {:>9.0} events/s | {:>6.2} CPU s a million | peak {:>6.1} MiB", run.0, run.1, run.2);
    }
    for ((name, _), run) in all.iter().zip(&middles).skip(1) {
        line("followed, events a second", own.0, "1/s", name, run.0, "");
        line("followed, CPU a million", own.1, "s", name, run.1, "");
    }
}

fn once(stock: &Stock, name: &str, start: &Start) -> Run {
    let den = Den::new("bench-e");
    let log = den.put("audit.log", stock.records().collect::<Vec<_>>().concat());
    let counter = Counter::start();
    let begin = Instant::now();
    let program = start(&den, counter.port());
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

fn ours(den: &Den, port: u16) -> Picodata {
    let url = format!("http://127.0.0.1:{port}/");
    let args =
        ["--no-config", "--spool-dir", &den.file("spool"), "--type", "file", "--filename", &den.file("audit.log")];
    Setup::bare(den).url(&url).args(&args).exec().picodata()
}

fn tail(den: &Den) -> Picodata {
    let command = format!("tail -n +1 -F {} | cat >{}", den.file("audit.log"), den.file("copy"));
    Picodata::start(&command, den.path(), &[])
}
