//! ○ Which events `--from` and `--to` mean.
//!
//! An event id (`1.0.26`) is a bound by number: it need not be there itself. A document id (`cluster/instance/1.0.26/hash`)
//! is one certain record. What has no event id (unparsed records, pieces, events of our own) belongs to the range when it
//! stands between records that do. Two rounds: the first finds where the range stands, the second asks for each record.

use crate::audit::record::EventId;
use crate::error::Result;
use crate::flags::{Item, Parsed};

/// One end of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// By number.
    Event(EventId),
    /// This record.
    Document(String),
}

/// A range, and where it was found to stand.
#[derive(Clone, Debug, Default)]
pub struct Range {
    from: Option<Bound>,
    to: Option<Bound>,
    first: Option<u64>,
    last: Option<u64>,
}

impl Range {
    /// The options of a call.
    pub fn read(parsed: &Parsed) -> Result<Range> {
        let bound = |name: &str| parsed.get(name).map(bound).transpose();
        let range = Range { from: bound("from")?, to: bound("to")?, ..Range::default() };
        match parsed.get("to").filter(|_| range.is_upside_down()) {
            Some(to) => Err(to.error(format!("{} is before --from: nothing is between them", to.shown()))),
            None => Ok(range),
        }
    }

    /// Whether its end is before its beginning, as far as numbers tell.
    fn is_upside_down(&self) -> bool {
        matches!((&self.from, &self.to), (Some(Bound::Event(from)), Some(Bound::Event(to))) if to < from)
    }

    /// Whether everything is meant.
    pub fn is_all(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// Whether document ids have to be known.
    pub fn wants_documents(&self) -> bool {
        matches!(self.from, Some(Bound::Document(_))) || matches!(self.to, Some(Bound::Document(_)))
    }

    /// Forgets what was found, for another spool.
    pub fn begin(&mut self) {
        self.first = self.from.is_none().then_some(0);
        self.last = self.to.is_none().then_some(u64::MAX);
    }

    /// The first round, in the order of the spool. `document`: empty when it is not wanted.
    pub fn see(&mut self, seq: u64, event: Option<EventId>, part: u32, document: &str) {
        let begins = match &self.from {
            Some(Bound::Event(from)) => event.is_some_and(|e| e >= *from) && self.below(event),
            Some(Bound::Document(id)) => id == document,
            None => false,
        };
        if begins && self.first.is_none() {
            self.first = Some(seq);
        }
        let ends = match &self.to {
            Some(Bound::Event(to)) => event.is_some_and(|e| e <= *to) && self.above(event),
            Some(Bound::Document(id)) => id == document,
            None => false,
        };
        // The later pieces of an event belong to its first.
        let goes_on = part > 1 && self.to.is_some() && self.last == seq.checked_sub(1);
        if ends || goes_on {
            self.last = Some(seq);
        }
    }

    /// The second round.
    pub fn holds(&self, seq: u64, event: Option<EventId>) -> bool {
        let (Some(first), Some(last)) = (self.first, self.last) else { return false };
        (first..=last).contains(&seq) && (event.is_none() || self.below(event) && self.above(event))
    }

    fn below(&self, event: Option<EventId>) -> bool {
        !matches!((&self.to, event), (Some(Bound::Event(to)), Some(e)) if e > *to)
    }

    fn above(&self, event: Option<EventId>) -> bool {
        !matches!((&self.from, event), (Some(Bound::Event(from)), Some(e)) if e < *from)
    }
}

fn bound(item: &Item) -> Result<Bound> {
    if item.value.contains('/') {
        return Ok(Bound::Document(item.value.clone()));
    }
    let how = "write an event id as `1.0.26`, or a whole document id as `cluster/instance/1.0.26/0123456789abcdef`";
    let id = EventId::parse(item.value.as_bytes());
    id.map(Bound::Event).ok_or_else(|| item.error(format!("{} is no id: {how}", item.shown())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(count: u64) -> Option<EventId> {
        Some(EventId { raft_id: 1, gen: 0, count })
    }

    /// What of these records (event count, or 0 for none; part) is in the range.
    fn found(mut range: Range, records: &[(u64, u32)]) -> Vec<usize> {
        range.begin();
        let event = |n: u64| if n == 0 { None } else { id(n) };
        for (i, (n, part)) in records.iter().enumerate() {
            range.see(i as u64, event(*n), *part, &format!("doc/{i}"));
        }
        (0..records.len()).filter(|&i| range.holds(i as u64, event(records[i].0))).collect()
    }

    fn range(from: Option<Bound>, to: Option<Bound>) -> Range {
        Range { from, to, ..Range::default() }
    }

    #[test]
    fn ids_that_are_not_there_and_records_without_any() {
        let by = |a: u64, b: u64| range(id(a).map(Bound::Event), id(b).map(Bound::Event));
        let plain: Vec<(u64, u32)> = [1, 2, 0, 4, 3, 0, 6, 0].map(|n| (n, 0)).to_vec();
        assert_eq!(found(by(2, 4), &plain), [1, 2, 3, 4]);
        assert_eq!(found(by(3, 5), &plain), [3, 4]);
        assert_eq!(found(by(5, 5), &plain), Vec::<usize>::new());
        assert!(by(5, 4).is_upside_down() && !by(5, 5).is_upside_down() && !by(4, 5).is_upside_down());
        assert_eq!(found(by(7, 9), &plain), Vec::<usize>::new());
        assert_eq!(found(range(id(4).map(Bound::Event), None), &plain), [3, 5, 6, 7]);
        assert_eq!(found(range(None, id(1).map(Bound::Event)), &plain), [0]);
        // An oversize event with its pieces at the end of the range.
        assert_eq!(found(by(1, 2), &[(1, 0), (2, 1), (0, 2), (0, 3), (0, 0), (3, 0)]), [0, 1, 2, 3]);
    }

    #[test]
    fn document_ids_are_certain_records() {
        let doc = |i: usize| Some(Bound::Document(format!("doc/{i}")));
        let plain: Vec<(u64, u32)> = [1, 2, 0, 4].map(|n| (n, 0)).to_vec();
        assert_eq!(found(range(doc(1), doc(2)), &plain), [1, 2]);
        assert_eq!(found(range(doc(9), doc(2)), &plain), Vec::<usize>::new());
        assert_eq!(found(range(doc(2), None), &plain), [2, 3]);
    }
}
