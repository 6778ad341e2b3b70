//! Moving a cursor, in two halves: the change in the ledger, which waits for nothing, and the keeping of it for the next
//! worker, which may wait for a disk. Refuses: to hold a lock over both.

use super::cursor::Cursor;
use super::Spool;

/// What a change has made of a cursor, for the one who keeps it.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It is where it was.
    Not,
    /// It is at this record, and its file says all else of it.
    To(u64),
    /// It has moved, and its file lacks more than the place.
    Unsaved,
}

impl Spool {
    /// Changes a receiver's cursor; it is written at the next tick. `f` sees the cursor as it is now: records dropped
    /// meanwhile are behind it already. May wait for the disk: whoever holds the account takes `change` and `keep`.
    pub fn update(&self, receiver: &str, mut f: impl FnMut(&mut Cursor)) {
        let moved = self.change(receiver, &mut f);
        self.keep(receiver, moved);
    }

    /// The first half of `update`, which waits for nothing.
    pub fn change(&self, receiver: &str, f: &mut dyn FnMut(&mut Cursor)) -> Moved {
        let mut ledger = self.lock();
        let Some(r) = ledger.receivers.iter_mut().find(|r| r.name == receiver) else { return Moved::Not };
        let before = r.cursor.next;
        f(&mut r.cursor);
        r.dirty = true;
        match r.cursor.next {
            next if next == before => Moved::Not,
            next if r.saved_others == Some(r.cursor.others()) => Moved::To(next),
            _ => Moved::Unsaved,
        }
    }

    /// The second half, without the account: cursors that are being synced are waited for.
    pub fn keep(&self, receiver: &str, moved: Moved) {
        match moved {
            Moved::Not => return,
            Moved::To(next) => self.remember(receiver, next),
            // Not at the next tick: what the next worker has of a place in the ring is a count of delivered ones.
            Moved::Unsaved => self.save_cursors(),
        }
        self.room.notify_all();
    }

    fn remember(&self, receiver: &str, next: u64) {
        if let Some(ring) = &self.memory {
            ring.remember(self.memory_key(receiver), next);
        }
    }
}
