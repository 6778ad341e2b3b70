//! Bench (a): stdin to spool with the receiver down, against `cat > file` on the same disk.
//!
//! Two ways of writing: pieces of 64 KiB, where the producer is no bottleneck, and one write a record, as Picodata does.
//! Two ends of the clock: until the consumer has ended (ours has synced by then, cat has not), and until the last write
//! returned (what the database feels). Beside the plain ratio stands cat with a sync of its file.

use crate::harness::procs::{cpu_seconds_of_children, threads};
use crate::harness::{free_port, Den, Picodata, Setup};
use crate::measure::{goal, line, median, pids, rounds, scaled, Peak, Watch};
use crate::producer::{Stock, Way};
use std::process::Command;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Default)]
struct Run {
    written: f64,
    ended: f64,
    synced: f64,
    cpu: f64,
    peak: Peak,
}

pub fn run() {
    let stock = Stock::real_like(scaled(1_000_000_000));
    println!("(a) stdin to spool, receiver down: {:.0} MB, {} events", stock.megabytes(), stock.events());
    for (way, name) in [(Way::Pieces, "pieces of 64 KiB"), (Way::Record, "a write a record")] {
        // Who comes first pays for pages that the machine has given away; so nobody's first run counts, and they take turns.
        cat(&stock, way);
        let mut runs = Vec::new();
        for round in 0..rounds() {
            if round % 2 == 0 {
                let ours = ours(&stock, way);
                runs.push((ours, cat(&stock, way)));
            } else {
                let cat = cat(&stock, way);
                runs.push((ours(&stock, way), cat));
            }
        }
        report(&stock, name, &runs);
    }
}

fn report(stock: &Stock, name: &str, runs: &[(Run, Run)]) {
    let rate = |of: &dyn Fn(&(Run, Run)) -> f64| median(runs.iter().map(|r| stock.megabytes() / of(r)).collect());
    let (ours, cat) = (rate(&|r| r.0.ended), rate(&|r| r.1.ended));
    line(&format!("{name}, until the end"), ours, "MB/s", "cat > file", cat, &goal(">= 0.5", ours / cat >= 0.5));
    line(&format!("{name}, both synced"), ours, "MB/s", "cat > file, then sync", rate(&|r| r.1.synced), "");
    line(&format!("{name}, last write"), rate(&|r| r.0.written), "MB/s", "cat > file", rate(&|r| r.1.written), "");
    let cpu = median(runs.iter().map(|r| r.0.cpu * 1e6 / stock.events() as f64).collect());
    let high = runs.iter().map(|r| r.0.peak.high_water).fold(0.0, f64::max);
    let pss = runs.iter().map(|r| r.0.peak.proportional).fold(0.0, f64::max);
    println!(
        "  {name}: {cpu:.2} CPU s a million events; peak memory {high:.1} MiB (VmHWM, both), {pss:.1} MiB proportional  {}",
        goal("<= 16 MB", high * 1.048_576 <= 16.0)
    );
}

fn settle() {
    let _ = Command::new("sync").status();
}

fn ours(stock: &Stock, way: Way) -> Run {
    let den = Den::new("bench-a");
    settle();
    let before = cpu_seconds_of_children();
    let url = format!("http://127.0.0.1:{}/", free_port());
    let args = ["--no-config", "--spool-dir", &den.file("spool"), "--drain", "1ms"];
    let mut picodata = Setup::bare(&den).url(&url).args(&args).exec().picodata();
    picodata.wait_worker(None);
    let watch = Watch::group(picodata.group());
    let start = Instant::now();
    stock.pour(&mut picodata, way);
    let written = start.elapsed().as_secs_f64();
    let mut run = Run { written, ..Run::default() };
    print_threads(&picodata);
    picodata.close();
    let code = picodata.wait_end(LIMIT).code();
    run.ended = start.elapsed().as_secs_f64();
    run.synced = run.ended;
    run.cpu = cpu_seconds_of_children() - before;
    run.peak = watch.peak();
    assert_eq!(code, Some(0), "{}", picodata.err());
    run
}

/// Where the time of the processor went, thread by thread.
fn print_threads(picodata: &Picodata) {
    let threads: Vec<String> = pids(picodata)
        .into_iter()
        .flat_map(threads)
        .filter(|(_, user, system)| user + system > 0.0)
        .map(|(name, user, system)| format!("{name} {user:.2} user {system:.2} system"))
        .collect();
    println!("    CPU seconds by thread: {}", threads.join("; "));
}

fn cat(stock: &Stock, way: Way) -> Run {
    let den = Den::new("bench-a-cat");
    settle();
    let mut picodata = Picodata::start("exec cat > file", den.path(), &[]);
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    stock.pour(&mut picodata, way);
    let written = start.elapsed().as_secs_f64();
    picodata.close();
    picodata.wait_end(LIMIT);
    let ended = start.elapsed().as_secs_f64();
    let _ = Command::new("sync").arg(den.file("file")).status();
    Run { written, ended, synced: start.elapsed().as_secs_f64(), ..Run::default() }
}
