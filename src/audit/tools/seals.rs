//! ○ The records of a spool, held against the lists of leaves behind them: for `spool verify`.
//!
//! So a record is seen that was changed on the disk together with its checksum. Whether the lists are those that were signed
//! only `seal verify` tells. Refuses: to hold more leaves than `SEAL_CHECK_LEAVES`.

use crate::audit::seal::{list, Hash, List, Place, StreamId};
use crate::audit::spool::record::{Head, Stored};
use crate::json;
use crate::limits;
use crate::words;
use std::collections::VecDeque;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Seals {
    /// Leaves of records that no list has come for yet, in order.
    held: VecDeque<(StreamId, u64, Hash)>,
    /// Records that are as a list says.
    pub sealed: u64,
    /// Records that are not.
    pub differ: u64,
    /// Those of them that are named.
    pub named: Vec<String>,
    /// Sealed records whose lists are not here, or not yet.
    unlisted: u64,
}

impl Seals {
    /// The next record of the spool.
    pub fn take(&mut self, r: &Stored<'_>, head: &Head) {
        let Some((stream, seq)) = head.seal.and_then(|s| Some((s.id, s.seq(r.seq)?))) else { return };
        // Of its bytes: the leaf that stands beside them says what they were.
        let Some((_, leaf)) = head.leaf(r.seq, r.kind, r.part, r.raw) else { return };
        if self.held.len() >= limits::SEAL_CHECK_LEAVES {
            self.unlisted += u64::from(self.held.pop_front().is_some());
        }
        self.held.push_back((stream, seq, leaf));
        if r.is_evidence() {
            self.compare(r.raw);
        }
    }

    fn compare(&mut self, raw: &[u8]) {
        let mut fields = Vec::new();
        json::object(raw, false, |f| fields.push(f));
        let get = |name: &str| {
            let field = fields.iter().find(|f| f.key.of(raw) == name.as_bytes())?;
            json::text_of(field.value.of(raw)).map(Into::into)
        };
        if get("title").as_deref() != Some(list::TITLE) {
            return;
        }
        let Some(list) = List::read(get) else { return };
        let is_before = |held: &(StreamId, u64, Hash)| held.0 != list.stream || held.1 < list.from;
        // What stands before the list at hand was listed before, or never will be: lists come in order.
        while self.held.front().is_some_and(is_before) {
            self.unlisted += u64::from(self.held.pop_front().is_some());
        }
        while self.held.front().is_some_and(|h| h.0 == list.stream && h.1 < list.end()) {
            let Some((stream, seq, hash)) = self.held.pop_front() else { break };
            match (list.places[(seq - list.from) as usize], hash) {
                (Place::Leaf(said), hash) if said == hash => self.sealed += 1,
                // It was unreadable when it was sealed; who reads it now has it back.
                (Place::Lost, _) => self.unlisted += 1,
                _ => {
                    self.differ += 1;
                    if self.named.len() < limits::TOOL_FINDINGS {
                        self.named.push(format!("record {seq} of stream {stream} is not the one that was sealed"));
                    }
                }
            }
        }
    }

    /// What is told of it where nothing is wrong; none: nothing here is sealed.
    pub fn note(&self) -> Option<String> {
        let open = self.unlisted + self.held.len() as u64;
        (self.sealed + open > 0).then(|| {
            let sealed = words::count(self.sealed, "record");
            format!("seals: {sealed} as their lists say, {open} without a list here")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::{read, Kind};
    use crate::audit::seal::{checkpoint, form, leaf, Algorithm, Stream};
    use crate::audit::spool::record::{decode, encode, New};

    fn head() -> Head {
        let id = StreamId::new(1, [2; 9], Algorithm::Sha256);
        Head { first_seq: 1, seal: Some(Stream { id, first: 5 }), ..Head::default() }
    }

    fn put(seals: &mut Seals, number: u64, raw: &[u8], kind: Kind) {
        let (mut bytes, head, facts) = (Vec::new(), head(), read(raw, false));
        let new =
            New { kind, raw, id: facts.id, time: facts.time, part: 0, parts: 0, stream: 0, read_ms: 0, form: None };
        encode(&mut bytes, &head, number, &new);
        seals.take(&decode(&head, &bytes).unwrap(), &head);
    }

    fn raw(n: u64) -> Vec<u8> {
        format!(r#"{{"id":"1.0.{n}","title":"dml"}}"#).into_bytes()
    }

    fn list(from: u64, places: Vec<Place>) -> Vec<u8> {
        List { stream: head().seal.unwrap().id, from, places, passes: Vec::new() }.write(0)
    }

    fn place(seq: u64) -> Place {
        of(seq, &raw(seq))
    }

    fn of(seq: u64, raw: &[u8]) -> Place {
        Place::Leaf(leaf(head().seal.unwrap().id, seq, form(raw), raw))
    }

    #[test]
    fn a_record_that_is_not_the_sealed_one_is_named() {
        let mut seals = Seals::default();
        // The record before the stream is none of it; the second of the stream was changed.
        put(&mut seals, 4, &raw(0), Kind::Object);
        assert_eq!(seals.note(), None);
        for seq in 1..=4 {
            put(&mut seals, 4 + seq, &raw(if seq == 2 { 99 } else { seq }), Kind::Object);
        }
        let first = list(1, (1..=3).map(place).collect());
        put(&mut seals, 9, &first, Kind::Own);
        assert_eq!((seals.sealed, seals.differ, seals.named.len()), (2, 1, 1));
        assert!(seals.named[0].starts_with("record 2 of stream 000000000001"), "{:?}", seals.named);
        // A list is sealed as any record is; what comes after it waits for the next.
        put(&mut seals, 10, &raw(6), Kind::Object);
        put(&mut seals, 11, &list(4, vec![place(4), of(5, &first)]), Kind::Own);
        assert_eq!((seals.sealed, seals.differ), (4, 1));
        assert_eq!(seals.note().as_deref(), Some("seals: 4 records as their lists say, 2 without a list here"));
    }

    #[test]
    fn repeats_and_lists_of_what_is_not_here_do_no_harm() {
        let mut seals = Seals::default();
        let first = list(1, (1..=4).map(place).collect());
        put(&mut seals, 9, &first, Kind::Own);
        put(&mut seals, 10, &raw(6), Kind::Object);
        put(&mut seals, 11, &list(5, vec![of(5, &first), place(6)]), Kind::Own);
        put(&mut seals, 12, &list(5, vec![of(5, &first), place(6)]), Kind::Own);
        put(&mut seals, 13, br#"{"id":"checkpoint-0-1","title":"audit_checkpoint"}"#, Kind::Own);
        assert_eq!((seals.sealed, seals.differ), (2, 0));
        assert_eq!(checkpoint::TITLE, "audit_checkpoint");
        for n in 0..limits::SEAL_CHECK_LEAVES as u64 + 3 {
            put(&mut seals, 20 + n, &raw(n), Kind::Object);
        }
        assert_eq!(seals.held.len(), limits::SEAL_CHECK_LEAVES);
    }
}
