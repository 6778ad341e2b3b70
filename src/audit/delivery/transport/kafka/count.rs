//! ○ How batches are counted, so that a broker tells a repeat: each partition has the number of its next record.
//!
//! A batch whose answer did not come may be there. So it goes once more byte for byte, whatever is asked to be sent now; when it
//! is there, its events count as soon as they are asked for again. Refuses: to use a number twice for different records that
//! may both be there, to insist for ever.

use super::records::{self, Producer};
use crate::audit::delivery::parcel::Parcel;
use crate::hash::xxh64;
use crate::limits;
use crate::sorted::Map;
use std::collections::VecDeque;
use std::ops::Range;

/// The count.
#[derive(Debug, Default)]
pub struct Count {
    /// Our number, where the cluster has given one.
    pub producer: Option<Producer>,
    next: Map<usize, i32>,
    /// The batch that is under way.
    pub open: Option<Open>,
    /// Events that are there and were not asked for again, by their ids.
    ahead: VecDeque<u64>,
}

/// A batch that is under way.
#[derive(Debug)]
pub struct Open {
    /// In which partition.
    pub partition: usize,
    /// As it goes over the wire.
    pub batch: Vec<u8>,
    /// It may be there.
    uncertain: bool,
    turns: u32,
    ids: VecDeque<u64>,
}

fn hash(parcel: &Parcel<'_>, i: usize) -> u64 {
    xxh64(parcel.id(i).as_bytes(), 0)
}

impl Count {
    /// How many events of a parcel, from one on, are there already.
    pub fn known(&mut self, parcel: &Parcel<'_>, from: usize) -> usize {
        if from < parcel.len() {
            let first = hash(parcel, from);
            let at = self.ahead.iter().position(|id| *id == first).unwrap_or(self.ahead.len());
            self.ahead.drain(..at);
        }
        let pairs = (from..parcel.len()).zip(&self.ahead);
        let known = pairs.take_while(|(i, id)| hash(parcel, *i) == **id).count();
        self.ahead.drain(..known);
        known
    }

    /// Which of these events go in one batch: as many as a broker takes by default.
    pub fn extent(parcel: &Parcel<'_>, most: Range<usize>) -> Range<usize> {
        let mut bytes = 0;
        let fits = |i: &usize| {
            bytes += parcel.event(*i).len() + 2 * parcel.id(*i).len() + limits::KAFKA_RECORD_BYTES;
            *i == most.start || bytes <= limits::KAFKA_BATCH_BYTES
        };
        let n = most.clone().take_while(fits).count();
        most.start..most.start + n
    }

    /// The number of the next record.
    pub fn sequence(&self, partition: usize) -> i32 {
        self.next.get(&partition).copied().unwrap_or_default()
    }

    /// This batch is to be sent.
    pub fn begins(&mut self, partition: usize, batch: Vec<u8>, parcel: &Parcel<'_>, part: Range<usize>) {
        let ids = part.map(|i| hash(parcel, i)).collect();
        self.open = Some(Open { partition, batch, uncertain: false, turns: 0, ids });
    }

    /// The batch is there.
    pub fn kept(&mut self) {
        let Some(open) = self.open.take() else { return };
        // Behind the largest number comes zero.
        let next = (i64::from(self.sequence(open.partition)) + open.ids.len() as i64) % (i64::from(i32::MAX) + 1);
        self.next.insert(open.partition, next as i32);
        self.ahead = open.ids;
    }

    /// It was refused, and what was refused now is certainly not there; an attempt before may be all the same.
    pub fn refused(&mut self) {
        self.open = self.open.take().filter(|open| open.uncertain);
    }

    /// It is not there, and never was.
    pub fn never_kept(&mut self) {
        self.open = None;
    }

    /// Nobody knows whether it is there. False: it was sent so often by now that other events may be what helps.
    pub fn unknown(&mut self) -> bool {
        let Some(open) = &mut self.open else { return true };
        (open.uncertain, open.turns) = (true, open.turns + 1);
        if open.turns < limits::KAFKA_INSISTS {
            return true;
        }
        *self = Count::default();
        false
    }

    /// The cluster does not know the count any more: another number of ours. What is under way goes under it as well.
    pub fn begin_anew(&mut self, producer: Producer) {
        (self.producer, self.next) = (Some(producer), Map::new());
        if let Some(open) = &mut self.open {
            records::renumber(&mut open.batch, producer, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::delivery::transport::testing::Lines;

    fn begun(partition: usize, lines: &Lines, part: Range<usize>) -> Count {
        let mut count = Count { producer: Some(Producer { id: 7, epoch: 0 }), ..Count::default() };
        count.begins(partition, vec![0; 100], &lines.parcel(), part);
        count
    }

    #[test]
    fn what_is_there_counts_when_it_is_asked_for_again_in_whatever_portions() {
        let lines = Lines::of(0..10, 10);
        let parcel = lines.parcel();
        let mut count = begun(3, &lines, 0..6);
        assert!(count.unknown() && count.open.is_some(), "it goes once more");
        count.refused();
        assert!(count.open.is_some(), "an attempt before may be there");
        count.kept();
        assert_eq!((count.sequence(3), count.sequence(0)), (6, 0));
        let two = Lines::of(0..2, 10);
        assert_eq!(count.known(&two.parcel(), 0), 2);
        // Two were dropped from the spool meanwhile.
        assert_eq!(count.known(&parcel, 4), 2);
        assert_eq!(count.known(&parcel, 6), 0);
        assert_eq!(count.known(&parcel, 4), 0, "each once");
    }

    #[test]
    fn what_was_refused_at_once_may_go_in_other_portions() {
        let lines = Lines::of(0..4, 10);
        let mut count = begun(0, &lines, 0..4);
        count.refused();
        assert!(count.open.is_none() && count.producer.is_some() && count.known(&lines.parcel(), 0) == 0);
        let mut count = begun(0, &lines, 0..4);
        assert!(count.unknown());
        count.never_kept();
        assert!(count.open.is_none());
    }

    #[test]
    fn nobody_insists_for_ever_and_a_new_number_goes_into_what_is_under_way() {
        let lines = Lines::of(0..4, 10);
        let mut count = begun(0, &lines, 0..4);
        assert_eq!((1..limits::KAFKA_INSISTS).filter(|_| count.unknown()).count() as u32, limits::KAFKA_INSISTS - 1);
        assert!(!count.unknown() && count.open.is_none() && count.producer.is_none());
        let mut count = begun(0, &lines, 0..4);
        count.begin_anew(Producer { id: 0x0102, epoch: 3 });
        let open = count.open.expect("it is still under way");
        assert_eq!(open.batch[43..57], [0, 0, 0, 0, 0, 0, 1, 2, 0, 3, 0, 0, 0, 0]);
    }

    #[test]
    fn a_batch_is_no_larger_than_a_broker_takes_and_numbers_begin_again() {
        let lines = Lines::of(0..4, 400_000);
        assert_eq!(Count::extent(&lines.parcel(), 0..4), 0..2);
        let large = Lines::of(0..2, 2_000_000);
        assert_eq!(Count::extent(&large.parcel(), 0..2), 0..1, "one at least");
        let small = Lines::of(0..1, 1);
        let mut count = begun(0, &small, 0..1);
        count.next.insert(0, i32::MAX);
        count.kept();
        assert_eq!(count.sequence(0), 0);
    }
}
