//! What is known of orphans and has to go through our own spool and keeper: nothing new comes into theirs.
//!
//! Whoever drains them gives it; the writer tells the losses, the page shows the rest. Refuses: to look at a spool.

use crate::audit::alarm::troubles::Troubles;
use crate::audit::alarm::State;
use crate::audit::locks::{Rank, Ranked};
use crate::audit::record::loss::Loss;
use std::sync::atomic::{AtomicU64, Ordering};

/// That.
#[derive(Debug)]
pub struct Orphans {
    losses: Ranked<Vec<Loss>>,
    /// What is wrong in adopted spools.
    pub troubles: Troubles,
    /// Losses that were given away, and those that the writer has told.
    given: AtomicU64,
    told: AtomicU64,
    /// Events that adopted spools still hold for a receiver.
    waiting: AtomicU64,
    /// Spools that nobody who runs here may adopt, and how many events each holds.
    stranded: Ranked<Vec<(String, u64)>>,
}

impl Default for Orphans {
    fn default() -> Orphans {
        Orphans {
            losses: Ranked::new(Rank::Orphans, Vec::new()),
            troubles: Troubles::default(),
            given: AtomicU64::new(0),
            told: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            stranded: Ranked::new(Rank::Orphans, Vec::new()),
        }
    }
}

impl Orphans {
    /// For the writer: what is to be told.
    pub fn take_losses(&self) -> Vec<Loss> {
        std::mem::take(&mut *self.losses.lock())
    }

    /// An event that tells of one of them is in our spool.
    pub fn told_one(&self) {
        self.told.fetch_add(1, Ordering::AcqRel);
    }

    /// So many events in adopted spools wait for a receiver.
    pub fn set_waiting(&self, events: u64) {
        self.waiting.store(events, Ordering::Release);
    }

    /// Those that nobody who runs here may adopt.
    pub fn set_stranded(&self, spools: Vec<(String, u64)>) {
        *self.stranded.lock() = spools;
    }

    /// How many events in adopted spools are not delivered yet.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Acquire)
    }

    /// The spools that nobody who runs here may adopt, and how many undelivered events each holds.
    pub fn stranded(&self) -> Vec<(String, u64)> {
        self.stranded.lock().clone()
    }

    /// For whoever has found that these are missing in one of them.
    pub fn give(&self, losses: &[Loss]) {
        self.given.fetch_add(losses.len() as u64, Ordering::AcqRel);
        self.losses.lock().extend(losses);
    }

    /// What is wrong in one of them, as ours to tell; `over`: nobody tends it any more.
    pub fn take_troubles(&self, name: &str, theirs: &Troubles, over: bool) {
        let whose = format!(" of `{name}`");
        let mut news = Vec::new();
        theirs.hand_on(|alarm| {
            news.push(alarm.clone());
            true
        });
        for alarm in news {
            let about = format!("{}{whose}", alarm.about);
            match alarm.state {
                State::Firing => self.troubles.fires(alarm.kind, &about, &alarm.text),
                State::Resolved => self.troubles.over(alarm.kind, &about).is_some(),
            };
        }
        if over {
            self.troubles.over_where(|_, about| about.ends_with(&whose));
        }
    }

    /// Whether the writer has told all of them.
    pub fn all_told(&self) -> bool {
        self.told.load(Ordering::Acquire) >= self.given.load(Ordering::Acquire)
    }
}
