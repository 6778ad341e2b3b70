//! What is told of the outlets: pushes, failures by reason, numbers sent and left out, what waits. Refuses: to forget a count while its outlet is configured.

use crate::metrics::render::lines::Written;
use crate::metrics::rules::Tally;
use crate::sorted::Map;
use std::sync::{Mutex, PoisonError};

/// The counts of one outlet since the start.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Pages that were taken.
    pub taken: u64,
    /// Tries that failed, by reason.
    pub failures: Tally,
    /// Numbers that were taken.
    pub samples: u64,
    /// Numbers that were left out of a page that was taken, by reason.
    pub left_out: Tally,
    /// Pages that were never sent, by reason.
    pub dropped: Tally,
    /// When a page was last taken, seconds since 1970.
    pub last: Option<f64>,
    /// Pages that wait.
    pub waiting: usize,
}

impl Counts {
    /// A page was taken.
    pub fn add(&mut self, written: Written, now: f64) {
        self.taken += 1;
        self.samples += written.samples;
        self.left_out.add_many("not_finite", written.not_finite);
        self.left_out.add_many("collision", written.collisions);
        self.left_out.add_many("refused", written.refused);
        self.last = Some(now);
    }
}

/// The counts of all outlets, by name.
#[derive(Debug, Default)]
pub struct Register(Mutex<Map<String, Counts>>);

impl Register {
    /// One that is configured; its counts go on where it was before.
    pub fn add(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).at(name.to_string(), Default::default);
    }

    /// Changes those of one. One that is gone stays so, whatever its last push comes to.
    pub fn of(&self, name: &str, change: impl FnOnce(&mut Counts)) {
        if let Some(counts) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(name) {
            change(counts);
        }
    }

    /// Forgets one that is configured no more.
    pub fn forget(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// All of them as they are.
    pub fn all(&self) -> Vec<(String, Counts)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, counts)| (name.clone(), counts.clone())).collect()
    }
}
