//! Which seeds are lived through, on as many threads as there are cores: the fixed ones, those that failed here before,
//! and fresh ones until time is up. A seed that fails is said with the command that repeats it, and kept in a file.
//!
//! In a world one thread runs at a time, so a seed is the same run on any number of cores. Refuses: to pass over a seed that
//! stands still.

use crate::canary::Canary;
use crate::chance::Chance;
use crate::report::{say, Sum};
use crate::world::{FOLLOWED, GONE, MORE, PACKED, PARTS, SEALED, WALLS};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seeds that are always run: a sample of every class; and as many of those with more in them.
const FIXED: std::ops::Range<u64> = 0..60;
/// The same of the newest kinds, which have fewer: all of them together have to stay within minutes.
const LATER: std::ops::Range<u64> = 0..30;
/// Seeds that have found a bug once, one a line; what stands behind `#` is which.
const FOUND: &str = include_str!("../data/sim-seeds.txt");
/// What `tests/long` lives through at least.
const LONG_STEPS: u64 = 10_000_000;
/// A hunt ends with so many failures.
const FAILURES: usize = 10;
/// A seed that shows no sign of life for so many seconds stands still.
const STILL_SECONDS: u32 = 60;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|s| s.parse().ok())
}

fn seeds_of(text: &str) -> impl Iterator<Item = u64> + '_ {
    text.lines().filter_map(|l| l.split('#').next()?.trim().parse().ok())
}

/// Where failed seeds are kept: in the target directory, which outlives the run.
fn kept() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sim-failed-seeds.txt")
}

fn keep(seed: u64, why: &str) {
    let before = std::fs::read_to_string(kept()).unwrap_or_default();
    if seeds_of(&before).any(|s| s == seed) {
        return;
    }
    let file = std::fs::OpenOptions::new().create(true).append(true).open(kept());
    let why: String = why.chars().take(200).collect();
    if file.and_then(|mut f| writeln!(f, "{seed} # {}", why.replace('\n', " "))).is_err() {
        say(&format!("sim: cannot keep the seed in `{}`", kept().display()));
    }
}

/// The command that repeats a seed.
fn replay(seed: u64) -> String {
    format!("replay: SEED={seed} cargo test --test sim nothing_promised")
}

/// What one thread is at.
#[derive(Default)]
struct Beat {
    seed: AtomicU64,
    step: AtomicU64,
    done: AtomicU64,
}

/// Ends the process when a seed stands still: a loop without end is a failure with a seed, too.
fn watch(beats: Vec<Arc<Beat>>) {
    std::thread::spawn(move || {
        let mut last: Vec<(u64, u32)> = vec![(0, 0); beats.len()];
        loop {
            std::thread::sleep(Duration::from_secs(1));
            for (beat, (before, still)) in beats.iter().zip(&mut last) {
                let seed = beat.seed.load(Ordering::Relaxed);
                let now = beat.step.load(Ordering::Relaxed) ^ seed << 32;
                *still = if now == *before { *still + 1 } else { 0 };
                *before = now;
                if *still > STILL_SECONDS && beat.done.load(Ordering::Relaxed) == 0 {
                    keep(seed, "stands still");
                    say(&format!("sim: stands still\n     {}", replay(seed)));
                    std::process::exit(101);
                }
            }
        }
    });
}

/// What is still to be lived through.
struct Queue {
    fixed: Vec<u64>,
    fresh: Option<Chance>,
    class: Option<u64>,
    until: Instant,
    /// Steps that have to be made whatever the time.
    steps: u64,
    failed: Vec<u64>,
    /// Failed by chance: told and kept, and no reason for a build to fail.
    found: Vec<u64>,
    /// Every seed that fails is a failure: asked for by name, or in the long run.
    strict: bool,
    known: BTreeSet<u64>,
    sum: Sum,
}

impl Queue {
    fn from_environment() -> Queue {
        let (one, class) = (number("SEED"), number("SIM_CLASS"));
        let lives = number("SIM_LIVES").unwrap_or(1);
        let long = std::env::var_os("GOSTECH_LONG").is_some();
        let before = std::fs::read_to_string(kept()).unwrap_or_default();
        let known: BTreeSet<u64> = FIXED
            .chain(FIXED.map(|n| MORE + n))
            .chain(FIXED.map(|n| WALLS + n))
            .chain(LATER.map(|n| PARTS + n))
            .chain(LATER.map(|n| GONE + n))
            .chain(LATER.map(|n| FOLLOWED + n))
            .chain(LATER.map(|n| PACKED + n))
            .chain(LATER.map(|n| SEALED + n))
            .chain(seeds_of(FOUND))
            .chain(seeds_of(&before))
            .collect();
        let of_class = known.iter().copied().filter(|s| class.is_none_or(|c| s % 5 == c));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
        Queue {
            fixed: one.map_or_else(|| of_class.collect(), |s| (s..s + lives).rev().collect()),
            fresh: one.is_none().then(|| Chance::new(now)),
            class,
            until: Instant::now() + Duration::from_secs(number("SIM_SECONDS").unwrap_or(20)),
            steps: if long { LONG_STEPS } else { 0 },
            failed: Vec::new(),
            found: Vec::new(),
            strict: long || one.is_some() || class.is_some(),
            sum: Sum::default(),
            known,
        }
    }

    fn next(&mut self) -> Option<u64> {
        if self.failed.len() + self.found.len() >= FAILURES {
            return None;
        }
        if let Some(seed) = self.fixed.pop() {
            return Some(seed);
        }
        if Instant::now() >= self.until && self.sum.all.steps >= self.steps {
            return None;
        }
        let class = self.class;
        self.fresh.as_mut().map(|c| {
            let from = c.pick(&[MORE, WALLS, PARTS, FOLLOWED, PACKED, SEALED]);
            from + c.below(1 << 48) / 5 * 5 + class.unwrap_or_else(|| c.below(5))
        })
    }
}

/// Lives through all of them; the seeds that failed.
pub fn hunt() -> Vec<u64> {
    let begin = Instant::now();
    let queue = Mutex::new(Queue::from_environment());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let beats: Vec<Arc<Beat>> = (0..threads).map(|_| Arc::default()).collect();
    watch(beats.clone());
    let lock = || queue.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for beat in &beats {
            scope.spawn(|| {
                loop {
                    // Not in the head of the loop: the lock would be held while the seed is lived through.
                    let next = lock().next();
                    let Some(seed) = next else { break };
                    beat.seed.store(seed, Ordering::Relaxed);
                    let since = Instant::now();
                    let (figures, verdict) = crate::run(seed, Canary::None, &|n| beat.step.store(n, Ordering::Relaxed));
                    let mut queue = lock();
                    queue.sum.add(seed, &figures, since.elapsed().as_secs_f64());
                    if let Err(e) = verdict {
                        say(&format!("sim: {e}\n     {}", replay(seed)));
                        keep(seed, &e);
                        if queue.strict || queue.known.contains(&seed) {
                            queue.failed.push(seed);
                        } else {
                            queue.found.push(seed);
                        }
                    }
                }
                beat.done.store(1, Ordering::Relaxed);
            });
        }
    });
    let queue = queue.into_inner().unwrap_or_else(PoisonError::into_inner);
    say(&queue.sum.line(queue.failed.len(), begin.elapsed().as_secs_f64()));
    if !queue.found.is_empty() {
        // A build must not fail by chance of what an earlier one has brought in.
        say(&format!("sim: fresh seeds FOUND something, which is to be mended: {:?}", queue.found));
    }
    if queue.failed.is_empty() && queue.found.is_empty() {
        queue.sum.rows();
    } else {
        say(&format!("sim: the failed seeds are kept in `{}`", kept().display()));
    }
    queue.failed
}
