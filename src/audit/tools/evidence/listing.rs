//! ○ A list while it is being worked off: as it lies in the pool, and which receivers it lets pass what.
//!
//! Refuses: to say whether it is true.

use crate::audit::seal::{absent, Hash, List, Place, StreamId};
use crate::limits;

/// As it lies in the pool: leaves as they are, so that millions are not decoded twice.
/// `place`: where the list itself stands.
pub fn pack(list: &List, place: Option<(StreamId, u64)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(33 * list.places.len() + 96);
    let (stream, seq) = place.unwrap_or((list.stream, 0));
    out.extend_from_slice(&stream.0);
    out.extend_from_slice(&seq.to_be_bytes());
    out.extend_from_slice(&list.stream.0);
    out.extend_from_slice(&list.from.to_be_bytes());
    out.extend_from_slice(&(list.places.len() as u16).to_be_bytes());
    for place in &list.places {
        match place {
            Place::Leaf(leaf) => {
                out.push(b'c');
                out.extend_from_slice(leaf);
            }
            Place::Lost => out.push(b'l'),
        }
    }
    for (name, bits) in &list.passes {
        out.extend_from_slice(&(name.len() as u32).to_be_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend(bits.iter().map(|bit| u8::from(*bit)));
    }
    out
}

/// Of what `pack` has made.
pub fn unpack(mut bytes: &[u8]) -> Option<(List, (StreamId, u64))> {
    fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
        let (head, rest) = bytes.split_at_checked(n)?;
        *bytes = rest;
        Some(head)
    }
    let mut place = || {
        let stream = StreamId(take(&mut bytes, 16)?.try_into().ok()?);
        Some((stream, u64::from_be_bytes(take(&mut bytes, 8)?.try_into().ok()?)))
    };
    let (own, (stream, from)) = (place()?, place()?);
    let count = usize::from(u16::from_be_bytes(take(&mut bytes, 2)?.try_into().ok()?));
    let mut places = Vec::with_capacity(count);
    for _ in 0..count {
        places.push(match take(&mut bytes, 1)?[0] {
            b'l' => Place::Lost,
            _ => Place::Leaf(take(&mut bytes, 32)?.try_into().ok()?),
        });
    }
    let mut passes = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(take(&mut bytes, 4)?.try_into().ok()?);
        let name = String::from_utf8(take(&mut bytes, length as usize)?.to_vec()).ok()?;
        passes.push((name, take(&mut bytes, count)?.iter().map(|b| *b == 1).collect()));
    }
    Some((List { stream, from, places, passes }, own))
}

/// Receivers' names, each a bit.
#[derive(Clone, Debug, Default)]
pub struct Names(Vec<String>);

impl Names {
    /// The bit of a name; 0: there are too many.
    pub fn bit(&mut self, name: &str) -> u64 {
        let at = self.0.iter().position(|n| n == name).unwrap_or_else(|| {
            self.0.push(name.into());
            self.0.len() - 1
        });
        self.0.truncate(limits::VERIFY_RECEIVERS);
        if at < limits::VERIFY_RECEIVERS {
            1 << at
        } else {
            0
        }
    }
}

/// A list whose places are at hand.
#[derive(Debug)]
pub struct Open {
    /// Which of all lists it is.
    pub number: u32,
    /// What it says.
    pub list: List,
    /// It is signed itself, and so is what it says of filters.
    signed: bool,
    bits: Vec<u64>,
}

/// What lists say of filters at one place, a bit for each receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Those that a list knows.
    pub known: u64,
    /// Those that a signed list knows.
    pub signed: u64,
    /// Those that some list lets pass, or knows nothing of.
    pub pass: u64,
}

impl Filters {
    /// And what another list says.
    pub fn add(&mut self, other: Filters) {
        self.known |= other.known;
        self.signed |= other.signed;
        self.pass |= other.pass;
    }
}

impl Open {
    /// Opens it; `bit`: of the name of a receiver, 0 for one that does not count.
    pub fn new(number: u32, list: List, signed: bool, mut bit: impl FnMut(&str) -> u64) -> Open {
        let bits = list.passes.iter().map(|(name, _)| bit(name)).collect();
        Open { number, list, signed, bits }
    }

    /// What it says of one of its places: the leaf, what that is, and of filters.
    pub fn at(&self, seq: u64) -> Option<(Hash, Place, Filters)> {
        let at = usize::try_from(seq.checked_sub(self.list.from)?).ok()?;
        let place = *self.list.places.get(at)?;
        let leaf = match place {
            Place::Leaf(leaf) => leaf,
            Place::Lost => absent(self.list.stream, seq),
        };
        let (mut known, mut kept) = (0, 0);
        for (bit, (_, bits)) in self.bits.iter().zip(&self.list.passes) {
            known |= bit;
            kept |= if bits[at] { 0 } else { *bit };
        }
        Some((leaf, place, Filters { known, signed: if self.signed { known } else { 0 }, pass: !kept }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::seal::Algorithm;

    #[test]
    fn a_list_is_what_it_was_before_it_lay_in_the_pool() {
        let stream = StreamId::new(5, [6; 9], Algorithm::Streebog256);
        let places = vec![Place::Lost, Place::Leaf([7; 32]), Place::Lost];
        let passes = vec![("я".to_string(), vec![true, false, true]), (String::new(), vec![false; 3])];
        let list = List { stream, from: u64::MAX - 3, places, passes };
        let own = (StreamId::new(6, [7; 9], Algorithm::Sha256), 9);
        assert_eq!(unpack(&pack(&list, Some(own))), Some((list.clone(), own)));
        let mut names = Names::default();
        let open = Open::new(1, list, false, |name| names.bit(name));
        let none = Filters { known: 3, signed: 0, pass: !3 };
        assert_eq!(open.at(u64::MAX - 2), Some(([7; 32], Place::Leaf([7; 32]), none)));
        assert_eq!(open.at(u64::MAX - 3).map(|o| (o.0, o.2.pass)), Some((absent(stream, u64::MAX - 3), !2)));
        assert!(open.at(1).is_none() && open.at(u64::MAX).is_none());
        for n in 0..100 {
            names.bit(&n.to_string());
        }
        assert_eq!((names.bit("я"), names.bit("99")), (1, 0));
    }
}
