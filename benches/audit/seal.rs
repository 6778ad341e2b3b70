//! Bench (s): what sealing costs: bench (b) without it, with SHA-256 and with Streebog-256, in one run; at the rate of a database's
//! flood, at all that goes, and of a backlog. Beside it the limit, what the hashes alone cost a thread; and how fast an export is
//! verified. Not measured: how long the last request, which is not full, waits for more (`--linger`): that is no throughput.

use crate::deliver::{backlog_until, live_until, middle, paced_until, thread_cpu, Run};
use crate::harness::setup::binary;
use crate::harness::{Den, Picodata, Setup};
use crate::measure::{goal, line, rounds, scaled};
use crate::producer::{Stock, Way};
use gostech::audit::seal::{form, leaf, Algorithm, StreamId, Tree};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// An event of leaves for each so many.
const LEAVES: usize = 128;
/// The events of a request: the last one of those that have leaves is mostly not full.
const LAST_REQUEST: usize = 1000;
const LIMIT: Duration = Duration::from_secs(120);

pub fn run() {
    let stock = Stock::of_227(scaled(1_000_000));
    println!("(s) what sealing costs: {} events of 227 bytes", stock.events());
    type Measure = fn(usize, &Stock, &dyn Fn(&Den, u16) -> Picodata) -> Run;
    let ways: [(&str, Measure); 3] = [("database", paced_until), ("live", live_until), ("backlog", backlog_until)];
    let kinds: [(&str, &[&str]); 3] =
        [("without", &[]), ("sha256", &["--seal-hash", "sha256"]), ("streebog256", &["--seal-hash", "streebog256"])];
    for (name, way) in ways {
        let mut runs = vec![Vec::new(); kinds.len()];
        for _ in 0..rounds() {
            for ((kind, args), runs) in kinds.iter().zip(&mut runs) {
                let sealed = *kind != "without";
                let lists = if sealed { stock.events() / LEAVES } else { 0 };
                let events = (stock.events() + lists).saturating_sub(LAST_REQUEST).max(1);
                runs.push(way(events, &stock, &|den, port| start(den, &format!("http://127.0.0.1:{port}/"), args)));
            }
        }
        let mut middles = runs.into_iter().map(middle);
        let plain = middles.next().expect("the first is without");
        for ((kind, _), sealed) in kinds.iter().skip(1).zip(middles) {
            let wanted =
                if *kind == "sha256" { goal(">= 0.7", sealed.rate >= 0.7 * plain.rate) } else { String::new() };
            line(&format!("{name}, events a second, {kind}"), sealed.rate, "1/s", "without", plain.rate, &wanted);
            line(&format!("{name}, CPU a million, {kind}"), sealed.cpu, "s", "without", plain.cpu, "");
            let wanted = goal("<= 1 MiB more", sealed.memory <= plain.memory + 1.0);
            line(&format!("{name}, peak memory, {kind}"), sealed.memory, "MiB", "without", plain.memory, &wanted);
        }
    }
    Algorithm::ALL.into_iter().for_each(|algorithm| limit(&stock, algorithm));
    verify(&stock);
}

/// What nobody can do without: a leaf of each record, and its part of the tree.
fn limit(stock: &Stock, algorithm: Algorithm) {
    let (id, mut tree, before) = (StreamId::new(1, [2; 9], algorithm), Tree::new(algorithm), thread_cpu());
    let few = if algorithm.is_quick() { usize::MAX } else { scaled(100_000) };
    for (seq, record) in (1..).zip(stock.records().take(few)) {
        let body = &record[..record.len() - 1];
        tree.push(leaf(id, seq, form(body), body));
    }
    let cpu = (thread_cpu() - before) / tree.size() as f64 * 1e6;
    println!("  the limit: hashes alone, one thread, {}: {cpu:.2} CPU s a million", algorithm.name());
}

/// `args` of sealing: with any a key is made first.
fn start(den: &Den, url: &str, args: &[&str]) -> Picodata {
    let mut all = vec!["--no-config".to_string(), "--spool-dir".into(), den.file("spool")];
    if !args.is_empty() {
        std::fs::write(den.path().join("key"), init(den)).expect("a key");
        all.extend(["--seal".into(), den.file("seal")]);
        all.extend(args.iter().map(|a| (*a).to_string()));
    }
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let picodata = Setup::bare(den).url(url).args(&all).exec().picodata();
    picodata.wait_worker(None);
    picodata
}

fn init(den: &Den) -> Vec<u8> {
    let made = Command::new(binary()).args(["seal", "init", "--seal", &den.file("seal")]).output();
    made.expect("it starts").stdout
}

/// How many events a minute are verified, of a file that a run has written.
fn verify(stock: &Stock) {
    let den = Den::new("bench-s-verify");
    let export = den.file("events.jsonl");
    let mut picodata = start(&den, &format!("file://{export}"), &["--seal-hash", "sha256"]);
    stock.pour(&mut picodata, Way::Pieces);
    picodata.finish(LIMIT);
    let begin = Instant::now();
    let key = den.file("key");
    let mut call = Command::new(binary());
    call.args(["seal", "verify", "--key", &key, "--export", &export]).stderr(Stdio::null()).stdout(Stdio::null());
    let status = call.status().expect("it starts");
    let minutes = begin.elapsed().as_secs_f64() / 60.0;
    println!(
        "  verified {} events: {:.1} million a minute, exit {:?}",
        stock.events(),
        stock.events() as f64 / 1e6 / minutes,
        status.code()
    );
}
