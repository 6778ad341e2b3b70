//! CPU seconds, peak memory and the small arithmetic of the benches; and bench (c), memory at idle.
//!
//! CPU time comes from `/proc/PID/stat`, all processes together; memory twice: the sum of `VmHWM` (counts pages that
//! both share twice, so it errs against us) and the peak of proportional memory, sampled ten times a second.

use crate::harness::{procs, Den, Events, Picodata, Receiver, Setup};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A factor on all amounts.
pub fn scaled(amount: usize) -> usize {
    let factor: f64 = std::env::var("GOSTECH_BENCH_SCALE").ok().and_then(|v| v.parse().ok()).unwrap_or(1.0);
    ((amount as f64 * factor) as usize).max(1)
}

/// How often each measure is taken.
pub fn rounds() -> usize {
    std::env::var("GOSTECH_BENCH_ROUNDS").ok().and_then(|v| v.parse().ok()).unwrap_or(3).max(1)
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The value below which this share of the sorted values lies.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// One line: what, our figure, the peer's, the ratio, the goal.
pub fn line(what: &str, ours: f64, unit: &str, peer: &str, theirs: f64, goal: &str) {
    println!(
        "  {what:<44} ours {ours:>10.2} {unit:<9} {peer:<26} {theirs:>10.2} {unit:<9} ratio {:>6.2}  {goal}",
        ours / theirs
    );
}

/// A goal and whether it is reached.
pub fn goal(text: &str, reached: bool) -> String {
    format!("goal {text}: {}", if reached { "reached" } else { "NOT REACHED" })
}

/// CPU seconds of all these processes.
pub fn cpu(pids: &[u32]) -> f64 {
    pids.iter().map(|&p| procs::cpu_seconds(p)).sum()
}

/// Keeper, worker and stand-in of a helper.
pub fn pids(picodata: &Picodata) -> Vec<u32> {
    let family = picodata.family();
    [family.keeper, family.worker, family.stand_in].into_iter().flatten().collect()
}

/// Peaks in MiB.
#[derive(Clone, Copy, Default)]
pub struct Peak {
    pub high_water: f64,
    pub proportional: f64,
}

/// Watches the memory of the processes of a group until it is asked.
pub struct Watch {
    stop: Arc<AtomicBool>,
    peak: Arc<Mutex<Peak>>,
}

impl Watch {
    /// All processes of the process group; the shell is replaced by `exec`, so these are ours alone.
    pub fn group(pgrp: u32) -> Watch {
        let watch = Watch { stop: Arc::default(), peak: Arc::default() };
        let (stop, peak) = (watch.stop.clone(), watch.peak.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                sample(&procs::group(pgrp), &peak);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        watch
    }

    pub fn peak(&self) -> Peak {
        *self.peak.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn sample(pids: &[u32], peak: &Mutex<Peak>) {
    let mib = |kib: u64| kib as f64 / 1024.0;
    let high = mib(pids.iter().map(|&p| procs::status_kib(p, "VmHWM")).sum());
    let pss = mib(pids.iter().map(|&p| procs::pss_kib(p)).sum());
    let mut peak = peak.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    peak.high_water = peak.high_water.max(high);
    peak.proportional = peak.proportional.max(pss);
}

/// (c) at idle: one event delivered, then silence.
pub fn idle() {
    println!("(c) memory of all processes at idle");
    let den = Den::new("bench-idle");
    let receiver = Receiver::start();
    let mut picodata = Setup::new(&den).url(&receiver.url()).exec().picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    receiver.wait_count(1, Duration::from_secs(20));
    std::thread::sleep(Duration::from_secs(3));
    let kib = |of: &dyn Fn(u32) -> u64| pids(&picodata).iter().map(|&p| of(p)).sum::<u64>() as f64 / 1024.0;
    let resident = kib(&|p| procs::status_kib(p, "VmRSS"));
    let anonymous = kib(&|p| procs::status_kib(p, "RssAnon"));
    let proportional = kib(&procs::pss_kib);
    println!(
        "  resident {resident:.2} MiB, of it anonymous {anonymous:.2} MiB; proportional {proportional:.2} MiB  {}",
        goal("<= 4 MB", resident * 1.048_576 <= 4.0)
    );
    picodata.finish(Duration::from_secs(30));
}
