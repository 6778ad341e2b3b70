//! Where in the ring one stream ends and another begins: the ring counts all bytes that ever came, a source counts those of
//! its own stream (of a file, say, which is replaced by another one).
//!
//! A turn says: the byte at this place of the ring is that one of this stream. A ring without turns is one stream, that of
//! its own number. Turns outlive the worker, as the ring does. There are few of them, and one that nobody can come to any
//! more is written over. Refuses: to know what a stream is.

use super::ring::{Ring, Word, TURNS_AT};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// How many turns a ring remembers: as many files may be read ahead of the writer.
pub const TURNS: usize = 8;
/// Order, place in the ring, stream, place in the stream; 64 bytes each. The order is written last, and 0 is none.
const ORDER: usize = 0;
const AT: usize = 1;
const STREAM: usize = 2;
const POSITION: usize = 3;

/// One that is written whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    at: u64,
    stream: u64,
    position: u64,
    order: u64,
    slot: usize,
}

impl Ring {
    fn turn_word(&self, slot: usize, word: usize) -> &AtomicU64 {
        self.raw(TURNS_AT + 64 * (1 + slot) + 8 * word)
    }

    /// The greatest order so far; 0: there is no turn.
    fn turns_made(&self) -> &AtomicU64 {
        self.raw(TURNS_AT)
    }

    /// Whether there was ever a turn.
    pub fn has_turns(&self) -> bool {
        self.turns_made().load(SeqCst) > 0
    }

    fn read_turn(&self, slot: usize) -> Option<Turn> {
        let word = |word: usize| self.turn_word(slot, word).load(SeqCst);
        let order = word(ORDER);
        let turn = Turn { at: word(AT), stream: word(STREAM), position: word(POSITION), order, slot };
        // One that is written over while it is read is one that nobody can come to any more.
        (order > 0 && word(ORDER) == order).then_some(turn)
    }

    /// All turns in order.
    fn turns(&self) -> impl Iterator<Item = Turn> + '_ {
        let slots = if self.has_turns() { TURNS } else { 0 };
        let mut all: [Option<Turn>; TURNS] = [None; TURNS];
        (0..slots).for_each(|slot| all[slot] = self.read_turn(slot));
        all.sort_unstable_by_key(|turn| turn.map_or(0, |t| t.order));
        all.into_iter().flatten()
    }

    /// From Head on the ring holds another stream, from this place of it on. For the filler alone. False: there is no room
    /// for a turn before the taker is further.
    pub fn turn(&self, (stream, position): (u64, u64)) -> bool {
        let head = self.word(Word::Head).load(SeqCst);
        let Some(slot) = self.free_turn() else { return false };
        let order = self.turns_made().load(SeqCst) + 1;
        self.turn_word(slot, ORDER).store(0, SeqCst);
        for (word, value) in [(AT, head), (STREAM, stream), (POSITION, position), (ORDER, order)] {
            self.turn_word(slot, word).store(value, SeqCst);
        }
        self.turns_made().store(order, SeqCst);
        true
    }

    /// A slot for the next turn: an unused one, or that of a turn that nobody can come to any more, since another one begins at
    /// the taker's place or before it.
    fn free_turn(&self) -> Option<usize> {
        let tail = self.word(Word::Tail).load(SeqCst);
        let all: Vec<Turn> = self.turns().collect();
        let passed = |t: &&Turn| all.iter().any(|later| later.order > t.order && later.at <= tail);
        let unused = (0..TURNS).find(|slot| all.iter().all(|t| t.slot != *slot));
        unused.or_else(|| all.iter().find(passed).map(|t| t.slot))
    }

    /// The streams of all turns that are remembered.
    pub(super) fn streams(&self) -> Vec<u64> {
        self.turns().map(|turn| turn.stream).collect()
    }

    /// Whether there is room for a turn now.
    pub(super) fn has_room_for_turn(&self) -> bool {
        self.free_turn().is_some()
    }

    /// Where the next stream begins behind `at`, if one does.
    pub(super) fn next_turn(&self, at: u64) -> Option<u64> {
        self.turns().map(|t| t.at).find(|begin| *begin > at)
    }

    /// Of which stream the byte at this place of the ring is, and where it stands in that.
    pub fn place_of(&self, at: u64) -> (u64, u64) {
        let own = (self.epoch(), at);
        self.turns().filter(|t| t.at <= at).last().map_or(own, |t| (t.stream, t.position + (at - t.at)))
    }

    /// The place in the ring that a place of a stream has; none where it was never in it, or is forgotten.
    pub fn find(&self, (stream, position): (u64, u64)) -> Option<u64> {
        if !self.has_turns() {
            return (stream == self.epoch()).then_some(position);
        }
        let all: Vec<Turn> = self.turns().collect();
        all.iter().enumerate().rev().find_map(|(i, t)| {
            let at = t.at + position.checked_sub(t.position)?;
            let end = all.get(i + 1).map_or(u64::MAX, |next| next.at);
            (t.stream == stream && at <= end).then_some(at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(ring: &Ring, head: u64, tail: u64) {
        ring.word(Word::Head).store(head, SeqCst);
        ring.word(Word::Tail).store(tail, SeqCst);
    }

    #[test]
    fn a_ring_without_turns_is_one_stream() {
        let ring = Ring::create(4096, 42).unwrap();
        assert_eq!((ring.place_of(10), ring.next_turn(0), ring.has_turns()), ((42, 10), None, false));
        assert_eq!((ring.find((42, 7)), ring.find((43, 7))), (Some(7), None));
    }

    #[test]
    fn every_place_is_of_the_stream_that_began_last_before_it() {
        let ring = Ring::create(4096, 42).unwrap();
        assert!(ring.turn((1, 500)));
        moved(&ring, 100, 0);
        assert!(ring.turn((2, 0)) && ring.turn((3, 0)), "one that is empty has no place");
        moved(&ring, 150, 0);
        let again = Ring::open(ring.file().try_clone().unwrap().into()).unwrap();
        assert_eq!([0, 99, 100, 150].map(|at| again.place_of(at)), [(1, 500), (1, 599), (3, 0), (3, 50)]);
        assert_eq!((again.next_turn(0), again.next_turn(99), again.next_turn(100)), (Some(100), Some(100), None));
        let found = [(1, 500), (1, 600), (1, 601), (1, 499), (2, 0), (2, 1), (3, 7), (42, 3)].map(|p| again.find(p));
        assert_eq!(found, [Some(0), Some(100), None, None, Some(100), None, Some(107), None]);
    }

    #[test]
    fn only_what_nobody_can_come_to_is_written_over() {
        let ring = Ring::create(4096, 42).unwrap();
        for n in 0..TURNS as u64 {
            moved(&ring, 10 * n, 0);
            assert!(ring.turn((n, 0)));
        }
        assert!(!ring.turn((99, 0)), "the taker stands in the first");
        moved(&ring, 75, 9);
        assert!(!ring.turn((99, 0)));
        moved(&ring, 75, 10);
        assert!(ring.turn((99, 0)) && !ring.turn((100, 0)));
        assert_eq!((ring.place_of(10), ring.place_of(74), ring.place_of(80)), ((1, 0), (7, 4), (99, 5)));
        // Long behind all of them.
        for n in 0..100u64 {
            moved(&ring, 1000 + 10 * n, 1000 + 10 * n);
            assert!(ring.turn((n, 3)));
            assert_eq!((ring.place_of(1005 + 10 * n), ring.next_turn(1000 + 10 * n)), ((n, 8), None));
        }
    }
}
