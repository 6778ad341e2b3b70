//! What all threads of a worker look at: how far the work has come, and whether it is over. Refuses: to do any of it.

use crate::audit::delivery::sender::tally::Tallies;
use crate::audit::spool::orphans::Orphans;
use crate::sys::ring::Ring;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// That.
#[derive(Debug, Default)]
pub struct RunState {
    /// The input has ended and everything is in the spool: nothing is to be waited for.
    pub hurry: AtomicBool,
    /// It is over.
    pub stop: AtomicBool,
    /// Nothing more is to be sent: another worker will.
    pub rest: AtomicBool,
    /// How often SIGHUP came.
    pub reloads: AtomicU64,
    /// Senders that are not done.
    pub senders: AtomicUsize,
    /// What orphans leave to be told.
    pub orphans: Arc<Orphans>,
    /// What each receiver has taken, from whatever spool.
    pub tallies: Arc<Tallies>,
    /// It delivers what a retry has brought.
    pub retries: bool,
    /// What outlives this worker; none in tests.
    pub ring: Option<Arc<Ring>>,
    lock: Mutex<()>,
    changed: Condvar,
}

impl RunState {
    /// At its beginning.
    pub fn of(ring: Option<Arc<Ring>>) -> RunState {
        RunState { ring, ..RunState::default() }
    }

    /// For the senders of another spool in the same worker.
    pub fn beside(&self, retries: bool) -> RunState {
        RunState { ring: self.ring.clone(), tallies: self.tallies.clone(), retries, ..RunState::default() }
    }

    /// Sleeps, but not through a change.
    pub fn sleep(&self, patience: Duration) {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_over() {
            drop(self.changed.wait_timeout(guard, patience));
        }
    }

    /// Whether a sender is to do nothing more.
    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::Acquire) || self.rest.load(Ordering::Acquire)
    }

    /// It is over, for everybody who sleeps as well.
    pub fn end(&self) {
        self.stop.store(true, Ordering::Release);
        self.announce();
    }

    /// Something is another way than before: nobody sleeps on.
    pub fn announce(&self) {
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}
