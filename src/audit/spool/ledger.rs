//! ○ What can be said of the ledger at a glance: who is past what, what a cursor's file may say, what room there is in memory.
//! Pure. Refuses: to touch a disk.

use super::cursor::Cursor;
use super::{Ledger, Receiver, Segment, Store};

impl Receiver {
    /// It goes on past records that only this note of the account tells of.
    pub(super) fn waits_for(&mut self, note: u64, saved: u64) {
        if note > saved {
            let before = self.for_disk().clone();
            self.waits = Some((note, before));
        }
    }

    /// What its file on the disk may say.
    pub(super) fn for_disk(&self) -> &Cursor {
        self.waits.as_ref().map_or(&self.cursor, |(_, before)| before)
    }
}

impl Ledger {
    /// The record that every receiver is past (`pinning`: every one that may block).
    pub(super) fn acked_before(&self, pinning: bool) -> u64 {
        let pins = self.receivers.iter().filter(|r| !(pinning && r.optional && r.live));
        pins.map(|r| r.cursor.next).min().unwrap_or(self.next_seq)
    }

    /// Whether there is more than a full disk takes: then it helps it when some of that goes.
    pub(super) fn more_than_the_disk_takes(&self) -> bool {
        let all: u64 = self.segments.iter().map(Segment::size).sum();
        self.disk_takes.is_some_and(|(takes, _)| all > takes)
    }

    /// How many bytes of segments there may still be in memory.
    pub(super) fn room_in_memory(&self, most: u64) -> u64 {
        most.saturating_sub(self.segments.iter().filter(|s| s.store == Store::Memory).map(Segment::size).sum())
    }
}
