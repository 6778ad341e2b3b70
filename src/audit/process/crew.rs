//! The senders of one spool: a thread for each receiver. One that cannot be started now, for want of threads, is started
//! later: reading and writing go on without it.
//!
//! Refuses: to end because a thread is lacking, to call a spool drained whose sender has not begun.

use crate::audit::delivery::parcel::Sink;
use crate::audit::delivery::sender::{matter_of, Now, Sender, Wait};
use crate::audit::delivery::transport;
use crate::audit::options::ReceiverOptions;
use crate::audit::process::run_state::RunState;
use crate::audit::spool::Spool;
use crate::hash::xxh64;
use crate::net::failure::words;
use crate::sys::clock::wall_ms;
use crate::sys::marks::Mark;
use crate::sys::process;
use crate::sys::thread;
use crate::{limits, log};
use std::io;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The senders.
pub struct Crew {
    spool: Arc<Spool>,
    run_state: Arc<RunState>,
    /// Those that have not begun.
    missing: Vec<ReceiverOptions>,
    next: Instant,
}

impl Crew {
    /// For these receivers; nobody has begun.
    pub fn new<'a>(
        spool: Arc<Spool>,
        run_state: Arc<RunState>,
        receivers: impl Iterator<Item = &'a ReceiverOptions>,
    ) -> Crew {
        Crew { spool, run_state, missing: receivers.cloned().collect(), next: Instant::now() }
    }

    /// Starts who has not begun, when it is time to try.
    pub fn complete(&mut self) {
        if self.missing.is_empty() || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + Duration::from_millis(limits::THREAD_RETRY_MILLIS);
        let (spool, run_state) = (&self.spool, &self.run_state);
        self.missing.retain(|r| match start(spool.clone(), r, run_state.clone()) {
            Ok(()) => false,
            Err(e) => {
                log::warn(&matter_of(&r.name), format!("cannot start its thread: {}; trying again", words(&e)));
                true
            }
        });
    }

    /// Whether all of them have delivered everything.
    pub fn is_done(&self) -> bool {
        self.missing.is_empty() && self.run_state.senders.load(Ordering::Acquire) == 0
    }
}

/// Starts the sender of a receiver.
fn start(spool: Arc<Spool>, r: &ReceiverOptions, run_state: Arc<RunState>) -> io::Result<()> {
    let opened = r.targets.iter().map(transport::open);
    // The options have asked the same: what it refuses was a usage error.
    let sinks: Vec<Box<dyn Sink>> =
        opened.collect::<Result<_, _>>().map_err(|e| io::Error::other(e.text().to_string()))?;
    let key = xxh64(r.name.as_bytes(), xxh64(spool.place().as_bytes(), 2));
    let mark = run_state.ring.as_ref().map(|ring| Mark::of(ring, key)).unwrap_or_default();
    let sender = Sender::new(&r.name, spool.clone(), sinks, r.form.clone(), r.portion, r.quarantine_max)
        .sifted(r.filter.clone());
    let tally = run_state.tallies.of(&r.name);
    let sender = sender.marked(mark).tallied(&if run_state.retries { tally.of_retry() } else { tally });
    run_state.senders.fetch_add(1, Ordering::AcqRel);
    let (name, mine) = (format!("sender-{}", r.name), run_state.clone());
    thread::start(&name, move || live(sender, &spool, &mine)).map(drop).inspect_err(|_| {
        run_state.senders.fetch_sub(1, Ordering::AcqRel);
    })
}

/// A sender's life.
fn live(mut sender: Sender, spool: &Spool, run_state: &RunState) {
    let begin = Instant::now();
    let mut chance = process::chance() | 1;
    let mut reloads = run_state.reloads.load(Ordering::Acquire);
    while !run_state.is_over() {
        let now_reloads = run_state.reloads.load(Ordering::Acquire);
        if now_reloads != std::mem::replace(&mut reloads, now_reloads) {
            sender.reload();
        }
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        let now = Now { mono: begin.elapsed(), wall_ms: wall_ms(), chance };
        let hurry = spool.closing();
        match sender.step(now, hurry) {
            Wait::Not => {}
            Wait::News(_, patience) if hurry => run_state.sleep(patience.min(Duration::from_millis(20))),
            Wait::News(seq, patience) => spool.wait_news(seq, patience),
            Wait::Sleep(patience) => run_state.sleep(patience),
            Wait::Done => break,
        }
    }
    run_state.senders.fetch_sub(1, Ordering::AcqRel);
}
