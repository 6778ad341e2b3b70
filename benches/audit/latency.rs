//! Bench (d): from a record's write to its arrival, `--linger 0`, 500 events a second; beside syslog-ng without a batch
//! timeout.

use crate::harness::{Den, Events, Picodata, Receiver, Setup};
use crate::measure::{line, percentile, scaled};
use crate::syslog_ng::{self, Buffer};
use std::collections::HashMap;
use std::time::{Duration, Instant};

pub fn run() {
    let n = scaled(5000);
    println!("(d) latency from write to arrival, {n} events at 500/s");
    let (p50, p99) = measure(n, &|den, receiver| {
        let args = ["--no-config", "--spool-dir", &den.file("spool"), "--linger", "0"];
        Setup::bare(den).url(&receiver.url()).args(&args).exec().picodata()
    });
    println!("  ours p50 {p50:.3} ms, p99 {p99:.3} ms");
    let Some(program) = syslog_ng::program() else { return };
    for buffer in [Buffer::Reliable, Buffer::Plain] {
        let peer = measure(n, &|den, receiver| syslog_ng::start(&program, den, receiver.port(), buffer, ""));
        line("latency p50", p50, "ms", buffer.name(), peer.0, "");
        line("latency p99", p99, "ms", buffer.name(), peer.1, "");
    }
}

fn measure(n: usize, start: &dyn Fn(&Den, &Receiver) -> Picodata) -> (f64, f64) {
    let den = Den::new("bench-d");
    let receiver = Receiver::start();
    let mut picodata = start(&den, &receiver);
    std::thread::sleep(Duration::from_secs(1));
    let mut events = Events::new(1, 1);
    let mut written: HashMap<String, Instant> = HashMap::new();
    let begin = Instant::now();
    for i in 0..n {
        let due = Duration::from_secs_f64(i as f64 / 500.0);
        std::thread::sleep(due.saturating_sub(begin.elapsed()));
        let event = events.event();
        written.insert(format!("1.1.{}", events.count()), Instant::now());
        picodata.write(&event).expect("a reader");
    }
    receiver.wait_count(n, Duration::from_secs(60));
    let arrival = |d: crate::harness::receiver::Doc| d.at - written[d.value["id"].as_str().unwrap_or("")];
    let mut times: Vec<Duration> = receiver.docs().into_iter().map(arrival).collect();
    times.sort();
    let ms = |share: f64| percentile(&times, share).as_secs_f64() * 1e3;
    (ms(0.5), ms(0.99))
}
