//! What the senders of one receiver know of each other: the few events that a retry has brought into a spool of their own
//! see no other one taken. They were judged once, so that the receiver takes those of another spool is enough to judge again.
//!
//! Refuses: to tell anybody but the sender of a retry. Behind one address there may be several, of which one refuses
//! everything; what was never judged needs a witness of its own spool.

use crate::sorted::Map;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

/// How often each URL of a receiver has taken something, from all senders and from this one.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    all: Arc<Mutex<Map<usize, u64>>>,
    mine: Map<usize, u64>,
    /// It is a retry's.
    asks: bool,
    /// What was refused, each alone, by which URL, and what that had taken from others by then.
    refused: Option<(RangeInclusive<u64>, usize, u64)>,
}

/// One for each receiver, by its name: for all the spools that a worker delivers from.
#[derive(Debug, Default)]
pub struct Tallies(Mutex<Map<String, Tally>>);

impl Tallies {
    /// That of this receiver.
    pub fn of(&self, receiver: &str) -> Tally {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.at(receiver.to_string(), Default::default).shared()
    }
}

impl Tally {
    /// For another sender to the same receiver.
    pub fn shared(&self) -> Tally {
        Tally { all: self.all.clone(), asks: self.asks, ..Tally::default() }
    }

    /// For the sender of a retry.
    pub fn of_retry(&self) -> Tally {
        Tally { asks: true, ..self.shared() }
    }

    /// It has taken something from us.
    pub fn took(&mut self, which: usize) {
        *self.all.lock().unwrap_or_else(PoisonError::into_inner).at(which, Default::default) += 1;
        *self.mine.at(which, Default::default) += 1;
    }

    fn others_gave(&self, which: usize) -> u64 {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner).get(&which).copied();
        all.unwrap_or_default().saturating_sub(self.mine.get(&which).copied().unwrap_or_default())
    }

    /// These records were all refused alone, and nothing was taken.
    pub fn refused(&mut self, seqs: Option<RangeInclusive<u64>>, which: usize) {
        self.refused = seqs.map(|seqs| (seqs, which, self.others_gave(which)));
    }

    /// Whether it took something from another sender since it refused this one alone.
    pub fn took_from_others_since(&self, seq: u64, which: usize) -> bool {
        let since = self.refused.as_ref().filter(|(seqs, by, _)| self.asks && seqs.contains(&seq) && *by == which);
        since.is_some_and(|(_, _, before)| self.others_gave(which) > *before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_others_were_given_since_then_by_the_same_one_counts() {
        let mut other = Tally::default();
        let mut mine = other.of_retry().shared();
        let mut deaf = other.shared();
        other.took(0);
        assert!(!mine.took_from_others_since(5, 0), "nothing was refused");
        mine.refused(Some(5..=6), 0);
        deaf.refused(Some(5..=6), 0);
        mine.took(0);
        other.took(1);
        assert!(!mine.took_from_others_since(5, 0));
        other.took(0);
        let told = [(4, 0), (5, 0), (6, 0), (7, 0), (5, 1)].map(|(seq, which)| mine.took_from_others_since(seq, which));
        assert_eq!(told, [false, true, true, false, false]);
        assert!(!deaf.took_from_others_since(5, 0), "it is no retry");
        mine.refused(None, 0);
        assert!(!mine.took_from_others_since(5, 0));
    }

    #[test]
    fn the_senders_of_one_receiver_share_and_those_of_another_do_not() {
        let all = Tallies::default();
        let (mut home, mut retry, mut other) = (all.of("r1"), all.of("r1").of_retry(), all.of("r2").of_retry());
        retry.refused(Some(5..=5), 0);
        other.refused(Some(5..=5), 0);
        home.took(0);
        assert!(retry.took_from_others_since(5, 0) && !other.took_from_others_since(5, 0));
    }
}
