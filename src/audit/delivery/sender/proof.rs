//! ○ Whether it is the text of one event that a receiver refuses, when its answer does not say so.
//!
//! Something in front of a receiver (a firewall for web applications) answers 403, 404, 500 or 502, or cuts the connection,
//! because of what a stranger has made the database write. The same answers come from a receiver that is down or wrongly
//! configured. What tells them apart is a witness: another event that the same URL takes right after it has refused this
//! one alone. One such pair proves nothing (a receiver may be about to recover), so there have to be many, over minutes.
//! And the last witness must be one that the receiver was never given: one that knows repeats may say yes to those alone.
//! Once that is proven, the same answer of the same URL needs few pairs for the next event.
//!
//! Refuses: to count a refusal without a witness, to count for one URL what another one did.

use crate::limits;
use std::time::Duration;

const PROOF_KEPT: Duration = Duration::from_secs(limits::PROOF_KEPT_SECONDS);

/// What a refusal was, besides the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An answer, by its number where it has one.
    Said(Option<u16>),
    /// The connection ended before an answer.
    Closed,
    /// No answer came in time.
    Late,
}

/// The pairs of one event and one URL.
#[derive(Clone, Copy, Debug)]
struct Pairs {
    which: usize,
    seq: u64,
    /// When it was first refused alone.
    since: Duration,
    count: u32,
    /// It was refused, and the witness is on its way.
    open: bool,
}

/// What is known.
#[derive(Debug, Default)]
pub struct Proof {
    /// Requests in a row that were refused, since when.
    failures: u32,
    since: Option<Duration>,
    pairs: Vec<Pairs>,
    /// Whose answer was proven to be for the content, and when last.
    known: Vec<(usize, Cause, Duration)>,
    /// When a URL last took an event that it was never given before.
    fresh: Vec<(usize, Duration)>,
}

impl Proof {
    /// A request with events was refused.
    pub fn failed(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.since.get_or_insert(now);
    }

    /// Whether the same has been refused so often that its parts are to be tried: by a URL whose answer is known at once, if
    /// that came quickly.
    pub fn is_due(&self, which: usize, cause: Cause, urls: usize, now: Duration) -> bool {
        let lasts = self.since.is_some_and(|s| now.saturating_sub(s) >= Duration::from_millis(limits::STUCK_MILLIS));
        let often = self.failures >= limits::STUCK_TRIES * urls.max(1) as u32;
        lasts && often || cause != Cause::Late && self.is_known(which, cause, now)
    }

    fn is_known(&self, which: usize, cause: Cause, now: Duration) -> bool {
        let kept = |at| now.saturating_sub(at) <= PROOF_KEPT;
        self.known.iter().any(|&(w, c, at)| w == which && c == cause && kept(at))
    }

    /// The event was refused alone.
    pub fn refused(&mut self, which: usize, seq: u64, now: Duration) {
        self.pairs.retain(|p| p.seq == seq);
        match self.pairs.iter_mut().find(|p| p.which == which) {
            Some(p) => p.open = true,
            None => self.pairs.push(Pairs { which, seq, since: now, count: 0, open: true }),
        }
    }

    /// The witness was taken.
    pub fn vouched(&mut self, which: usize) {
        for p in self.pairs.iter_mut().filter(|p| p.which == which && p.open) {
            p.open = false;
            p.count += 1;
        }
    }

    /// The witness was refused as well: that pair says nothing, and of a URL whose answer is known they have to come one
    /// after the other.
    pub fn not_vouched(&mut self, which: usize, now: Duration) {
        let known = self.known.iter().any(|k| k.0 == which && now.saturating_sub(k.2) <= PROOF_KEPT);
        for p in self.pairs.iter_mut().filter(|p| p.which == which) {
            p.open = false;
            p.count = if known { 0 } else { p.count };
        }
    }

    /// Whether there are pairs enough: only a witness that was never given to it may lack.
    pub fn is_enough(&self, which: usize, cause: Cause, now: Duration) -> bool {
        let Some(p) = self.pairs.iter().find(|p| p.which == which) else { return false };
        if self.is_known(which, cause, now) {
            return p.count >= limits::PROOF_TRIES_KNOWN;
        }
        p.count >= limits::PROOF_TRIES && now.saturating_sub(p.since) >= Duration::from_secs(limits::PROOF_SECONDS)
    }

    /// Whether it has taken a new event just now; `since` it has refused this one, unless its answer is known.
    pub fn is_fresh(&self, which: usize, cause: Cause, now: Duration) -> bool {
        let since = self.pairs.iter().find(|p| p.which == which).map_or(Duration::MAX, |p| p.since);
        let known = self.is_known(which, cause, now);
        let lately = Duration::from_secs(limits::FRESH_SECONDS);
        let new =
            |&(w, at): &(usize, Duration)| w == which && now.saturating_sub(at) <= lately && (known || at > since);
        self.fresh.iter().any(new)
    }

    /// How long to wait before the event is asked for again: the pairs are spread over the time that they need.
    pub fn pause(&self, which: usize, cause: Cause, now: Duration, chance: u64) -> Duration {
        if self.is_known(which, cause, now) || self.is_enough(which, cause, now) {
            return Duration::ZERO;
        }
        let share = limits::PROOF_SECONDS * 1_000 / u64::from(limits::PROOF_TRIES);
        Duration::from_millis(share + chance % (share / 2))
    }

    /// It has taken an event that it was never given.
    pub fn took_new(&mut self, which: usize, now: Duration) {
        (self.failures, self.since) = (0, None);
        self.fresh.retain(|f| f.0 != which);
        self.fresh.push((which, now));
    }

    /// An event is set aside for this cause.
    pub fn condemned(&mut self, which: usize, cause: Cause, now: Duration) {
        self.pairs.clear();
        self.known.retain(|&(w, c, _)| (w, c) != (which, cause));
        self.known.push((which, cause, now));
        if self.known.len() > limits::PROOFS {
            self.known.remove(0);
        }
    }

    /// How many pairs there are, for people.
    pub fn pairs(&self, which: usize) -> u32 {
        self.pairs.iter().find(|p| p.which == which).map_or(0, |p| p.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAUSE: Cause = Cause::Said(Some(403));

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn many_pairs_over_minutes_and_a_new_event_are_a_proof() {
        let mut proof = Proof::default();
        let pairs = u64::from(limits::PROOF_TRIES);
        for n in 0..pairs {
            proof.refused(0, 7, at(n));
            proof.vouched(0);
            proof.vouched(0);
            assert_eq!(proof.pairs(0), n as u32 + 1, "a pair has one refusal");
        }
        assert!(!proof.is_enough(0, CAUSE, at(pairs)), "within seconds");
        let end = at(limits::PROOF_SECONDS);
        assert!(proof.is_enough(0, CAUSE, end) && !proof.is_fresh(0, CAUSE, end));
        assert!(!proof.is_enough(1, CAUSE, end), "the other URL has proven nothing");
        proof.took_new(0, end);
        assert!(proof.is_fresh(0, CAUSE, end) && !proof.is_fresh(1, CAUSE, end));
        assert!(!proof.is_fresh(0, CAUSE, end + at(limits::FRESH_SECONDS + 1)));
        proof.refused(0, 8, end);
        assert!(!proof.is_enough(0, CAUSE, end + end), "another event");
    }

    #[test]
    fn without_witnesses_nothing_is_proven() {
        let mut proof = Proof::default();
        for n in 0..1_000 {
            proof.refused(0, 7, at(n));
            proof.not_vouched(0, at(n));
            proof.vouched(0);
        }
        assert!(!proof.is_enough(0, CAUSE, at(100_000)) && proof.pairs(0) == 0);
    }

    #[test]
    fn what_is_proven_once_needs_little_for_a_while() {
        let mut proof = Proof::default();
        assert!(!proof.is_due(0, CAUSE, 1, at(0)));
        proof.condemned(0, CAUSE, at(0));
        assert!(proof.is_due(0, CAUSE, 1, at(1)) && !proof.is_due(1, CAUSE, 2, at(1)));
        assert!(!proof.is_due(0, Cause::Said(Some(500)), 1, at(1)));
        for n in 0..limits::PROOF_TRIES_KNOWN {
            assert!(!proof.is_enough(0, CAUSE, at(1)), "{n}");
            proof.refused(0, 9, at(1));
            proof.vouched(0);
        }
        assert!(proof.is_enough(0, CAUSE, at(1)) && !proof.is_enough(0, Cause::Closed, at(1)));
        assert!(!proof.is_enough(0, CAUSE, at(limits::PROOF_KEPT_SECONDS + 2)));
        proof.not_vouched(0, at(1));
        assert!(!proof.is_enough(0, CAUSE, at(1)), "not one after the other");
    }

    #[test]
    fn the_same_is_tried_as_a_whole_first() {
        let mut proof = Proof::default();
        for n in 0..limits::STUCK_TRIES {
            assert!(!proof.is_due(0, CAUSE, 1, at(100)), "{n}");
            proof.failed(at(1));
        }
        assert!(proof.is_due(0, CAUSE, 1, at(100)) && !proof.is_due(0, CAUSE, 2, at(100)));
        assert!(!proof.is_due(0, CAUSE, 1, at(1)), "all at once");
        proof.took_new(0, at(100));
        assert!(!proof.is_due(0, CAUSE, 1, at(200)));
    }
}
