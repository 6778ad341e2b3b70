//! How much each receiver has taken a second in the last minute: in this worker's memory alone. Refuses: to know more.

use crate::audit::spool::moment::Standing;
use crate::limits;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Each receiver, and how much it had taken.
type Taken = Vec<(String, u64)>;

/// What was taken at some moments, the oldest first.
#[derive(Debug, Default)]
pub struct Pace(Mutex<VecDeque<(Instant, Taken)>>);

impl Pace {
    /// Whether it is to be noted again.
    pub fn is_due(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = Duration::from_millis(limits::PAGE_NOTE_MILLIS);
        all.back().is_none_or(|(at, _)| at.elapsed() >= pause)
    }

    /// They have taken so much.
    pub fn note(&self, taken: Taken) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= limits::PAGE_PACES {
            all.pop_front();
        }
        all.push_back((Instant::now(), taken));
    }

    /// Of those that were there then.
    pub fn rates(&self, now: &[Standing]) -> Vec<(String, f64)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((at, before)) = all.front().filter(|(at, _)| at.elapsed() >= Duration::from_secs(1)) else {
            return Vec::new();
        };
        let rate = |r: &Standing| {
            let (name, taken) = before.iter().find(|(name, _)| *name == r.name)?;
            Some((name.clone(), r.cursor.delivered.checked_sub(*taken)? as f64 / at.elapsed().as_secs_f64()))
        };
        now.iter().filter_map(rate).collect()
    }
}
