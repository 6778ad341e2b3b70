//! ○ A claim: what one line of an export says of one place of a stream, in so many bytes that millions can be put in order.
//!
//! The order of the bytes is the order of places; at one place lists come first, then evidence, then events, equal ones side
//! by side. Refuses: what does not fit.

use crate::audit::record::EventId;
use crate::audit::seal::Hash;

/// How long it is.
pub const CLAIM_BYTES: usize = 88;
/// As it is put in order.
pub type Packed = [u8; CLAIM_BYTES];

/// Where a line stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The how-manieth export.
    pub file: u16,
    /// The line in it, from 1.
    pub number: u64,
}

impl Line {
    /// Whether it is the one behind that.
    pub fn is_behind(&self, before: &Line) -> bool {
        self.file == before.file && before.number > 0 && self.number == before.number + 1
    }
}

/// What is told of an event for people to find it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    /// Its id as the database counts.
    pub id: Option<EventId>,
    /// Its time, milliseconds since the epoch.
    pub time_ms: Option<i64>,
    /// Where it stands.
    pub line: Line,
}

/// What a claim is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A list begins here: where it lies in the pool, and its length.
    List(u64, u32),
    /// A list or a checkpoint stands here, with this leaf.
    Evidence(Hash),
    /// An event stands here, with this leaf.
    Event(Hash),
}

/// What is wrong with an event by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// A whole object is shown as if it were none.
    Odd,
    /// Its own seal, its fields or its shape contradict its bytes.
    Altered,
}

/// A claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which stream, by its place in the table.
    pub stream: u32,
    /// The place in the stream.
    pub seq: u64,
    /// What stands there.
    pub what: What,
    /// What is wrong with it.
    pub fault: Fault,
    /// Where it is found.
    pub spot: Spot,
}

impl Claim {
    /// As bytes.
    pub fn pack(&self) -> Packed {
        let mut out = [0; CLAIM_BYTES];
        out[..4].copy_from_slice(&self.stream.to_be_bytes());
        out[4..12].copy_from_slice(&self.seq.to_be_bytes());
        out[13] = self.fault as u8;
        match &self.what {
            What::List(at, bytes) => {
                out[14..22].copy_from_slice(&at.to_be_bytes());
                out[22..26].copy_from_slice(&bytes.to_be_bytes());
            }
            What::Evidence(leaf) | What::Event(leaf) => {
                out[12] = if matches!(self.what, What::Event(_)) { 2 } else { 1 };
                out[14..46].copy_from_slice(leaf);
            }
        }
        out[46..54].copy_from_slice(&self.spot.time_ms.unwrap_or(i64::MIN).to_be_bytes());
        if let Some(id) = self.spot.id {
            let all = [id.raft_id, id.gen, id.count];
            out[54..78].copy_from_slice(all.map(u64::to_be_bytes).as_flattened());
        }
        out[78..80].copy_from_slice(&self.spot.line.file.to_be_bytes());
        out[80..].copy_from_slice(&self.spot.line.number.to_be_bytes());
        out
    }

    /// Of bytes that `pack` has made.
    pub fn unpack(bytes: &Packed) -> Claim {
        let word = |at: usize| bytes[at..].first_chunk().map_or(0, |w| u64::from_be_bytes(*w));
        let half = |at: usize| bytes[at..].first_chunk().map_or(0, |w| u32::from_be_bytes(*w));
        let what = match bytes[12] {
            0 => What::List(word(14), half(22)),
            kind => {
                let leaf = bytes[14..].first_chunk().copied().unwrap_or_default();
                if kind == 1 {
                    What::Evidence(leaf)
                } else {
                    What::Event(leaf)
                }
            }
        };
        let fault = [Fault::None, Fault::Odd, Fault::Altered][usize::from(bytes[13].min(2))];
        let id = EventId { raft_id: word(54), gen: word(62), count: word(70) };
        let time = word(46) as i64;
        Claim {
            stream: half(0),
            seq: word(4),
            what,
            fault,
            spot: Spot {
                id: Some(id).filter(|id| *id != EventId::default()),
                time_ms: Some(time).filter(|t| *t != i64::MIN),
                line: Line { file: u16::from_be_bytes([bytes[78], bytes[79]]), number: word(80) },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_read_as_it_was_packed_and_places_are_in_order() {
        let id = Some(EventId { raft_id: 1, gen: u64::MAX, count: 3 });
        let line = Line { file: 3, number: u64::MAX };
        let mut all = Vec::new();
        for (stream, seq) in [(0, 1), (0, 255), (0, 256), (0, u64::MAX), (1, 1), (256, 1)] {
            for what in [What::List(7, 9), What::Evidence([3; 32]), What::Event([1; 32]), What::Event([2; 32])] {
                for (fault, time_ms, id) in [(Fault::None, None, None), (Fault::Altered, Some(-5), id)] {
                    all.push(Claim { stream, seq, what, fault, spot: Spot { id, time_ms, line } });
                }
            }
        }
        let mut packed: Vec<Packed> = all.iter().rev().map(Claim::pack).collect();
        packed.sort_unstable();
        let key = |c: &Claim| (c.stream, c.seq, c.pack()[12]);
        let read: Vec<Claim> = packed.iter().map(Claim::unpack).collect();
        assert!(read.iter().map(key).eq(all.iter().map(key)));
        assert!(all.iter().all(|c| Claim::unpack(&c.pack()) == *c));
    }
}
