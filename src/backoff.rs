//! ○ Waiting longer after each failure, with full jitter: pure, chance comes in as a number.

use std::time::Duration;

/// A wait that doubles from `first` to `most`.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// A wait that begins at `first` and is never above `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Backoff { first, most, failures: 0 }
    }

    /// The wait after one more failure: between nothing and the doubled bound («full jitter»), by `chance`.
    pub fn next(&mut self, chance: u64) -> Duration {
        let bound = self.first.saturating_mul(1u32 << self.failures.min(20)).min(self.most);
        self.failures = self.failures.saturating_add(1);
        let micros = bound.as_micros() as u64;
        // Not zero: a refused connection on loopback costs microseconds, and a spin is not a wait.
        Duration::from_micros(if micros == 0 { 0 } else { chance % micros }).max(self.first / 10)
    }

    /// Success: the next failure begins anew.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many failures in a row.
    #[cfg(test)]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_bound_and_begins_anew() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(30));
        let mut b = Backoff::new(first, most);
        for n in 0..40 {
            let bound = first.saturating_mul(1 << n.min(20)).min(most);
            let wait = b.next(u64::MAX - 7);
            assert!(wait <= bound && wait >= first / 10, "{n}: {wait:?} of {bound:?}");
        }
        assert_eq!(b.failures(), 40);
        b.reset();
        assert!(b.next(u64::MAX) <= first);
    }
}
