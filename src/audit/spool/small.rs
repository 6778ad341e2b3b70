//! The small files of a spool, cursors and state: when they are written, where to while the disk fails, and what has to be
//! on the platter before them. Refuses: to let what they say run ahead of the records there.

use super::tend::STATE;
use super::{cursor, slots, Receiver, Segment, Spool, Store};
use crate::sys::crash;
use crate::{limits, log};
use std::io;
use std::sync::atomic::Ordering;
use std::sync::PoisonError;

impl Spool {
    /// Writes the cursors that have moved.
    pub fn save_cursors(&self) {
        let _alone = self.small.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_cursors(false);
    }

    fn write_cursors(&self, though_bad: bool) {
        let dirty: Vec<Receiver> = {
            let mut ledger = self.lock();
            let moved = ledger.receivers.iter_mut().filter_map(|r| std::mem::take(&mut r.dirty).then_some(&*r));
            moved.cloned().collect()
        };
        let notes_saved = self.lock().notes_saved;
        for Receiver { name, mut place, mut cursor, noted, mut before, .. } in dirty {
            cursor.receiver.clone_from(&name);
            before.receiver.clone_from(&name);
            let small = (cursor::file_name(&name), limits::CURSOR_SLOT_BYTES);
            let held = noted > notes_saved;
            let mut kept = Ok(Store::Ark);
            if held {
                if though_bad || self.lock().disk_bad.is_none() {
                    kept = self.small_to_disk(&small, &mut place, &before.save()).map(|()| Store::Disk);
                }
                // The next worker goes on where this one was all the same: it finds the notes beside it.
                let all = self.small_to_memory(&small, &mut place, &cursor.save());
                kept = all.and(kept);
            } else {
                kept = self.write_small(&small, &mut place, &cursor.save(), though_bad);
            }
            let mut ledger = self.lock();
            let Some(r) = ledger.receivers.iter_mut().find(|r| r.name == name) else { continue };
            r.place = place;
            r.dirty |= held || kept.is_err();
            if kept.is_ok() {
                r.saved_others = Some(cursor.others());
            }
            if matches!(kept, Ok(Store::Disk)) {
                r.saved = if held { before.next } else { cursor.next };
            }
        }
    }

    /// Cursors are on the platter up to `seq` before segments go: else a power cut gives back older ones, and what everybody
    /// had is told as damaged. False: one of them waits for the state, all else is done.
    pub(super) fn sync_cursors(&self, seq: u64) -> io::Result<bool> {
        let _alone = self.small.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Ok(true);
        let behind: Vec<(String, u64)> = {
            let mut ledger = self.lock();
            let notes_saved = ledger.notes_saved;
            let behind = ledger.receivers.iter_mut().filter(|r| r.synced < seq);
            let named = behind.map(|r| {
                r.dirty |= r.saved < seq || !r.place.is_written();
                let want = r.for_disk(notes_saved).next.min(seq);
                if want < r.cursor.next.min(seq) {
                    all = Ok(false);
                }
                (r.name.clone(), want)
            });
            named.collect()
        };
        self.write_cursors(true);
        for (name, want) in behind {
            let done = self.disk.sync(&cursor::file_name(&name));
            let mut ledger = self.lock();
            let Some(r) = ledger.receivers.iter_mut().find(|r| r.name == name) else { continue };
            if done.is_err() {
                r.place.sync_failed();
                r.dirty = true;
            } else if r.place.synced() {
                r.synced = r.saved;
            }
            if r.synced < want {
                all = Err(done.err().unwrap_or_else(|| io::Error::other("a cursor could not be written")));
            }
        }
        all
    }

    /// Writes the account; with `sync` it is on the platter when this comes back with true, and segments before it may go.
    pub fn save_state(&self, sync: bool) -> bool {
        let saved = self.put_state(sync, false);
        if let Err(e) = &saved {
            log::debug("spool", format!("the state is not saved: {e}"));
        }
        saved.is_ok()
    }

    /// Keeps the account for the next worker, not for a power cut: what of it is on the platter is never ahead of the
    /// records there.
    pub fn remember_state(&self) {
        let mut place = self.state_place.lock().unwrap_or_else(PoisonError::into_inner);
        let payload = self.account().save();
        if self.state_to_memory(&mut place, &payload).is_err() {
            drop(place);
            self.save_state(false);
        }
    }

    fn state_to_memory(&self, place: &mut slots::Place, payload: &[u8]) -> io::Result<()> {
        self.small_to_memory(&(STATE.to_string(), limits::STATE_SLOT_BYTES), place, payload)
    }

    fn small_to_memory(&self, (name, room): &Small, place: &mut slots::Place, payload: &[u8]) -> io::Result<()> {
        let copy = place.next_in_memory(payload, *room).ok_or_else(|| too_large(name))?;
        self.ark.write_at(name, copy.at, &copy.bytes)
    }

    pub(super) fn put_state(&self, sync: bool, though_bad: bool) -> io::Result<()> {
        let mut place = self.state_place.lock().unwrap_or_else(PoisonError::into_inner);
        // Under that lock, so that a later version never holds less. Whatever is numbered as a note stands in the account.
        let notes = self.lock().notes;
        let (seq, payload) = {
            let account = self.account();
            (account.seq, account.save())
        };
        let small = (STATE.to_string(), limits::STATE_SLOT_BYTES);
        if !sync {
            let kept = self.write_small(&small, &mut place, &payload, though_bad)?;
            drop(place);
            if kept == Store::Disk {
                // Who wants no syncs is promised nothing of a power cut.
                self.free_cursors(notes);
            }
            return Ok(());
        }
        // What it has taken in is on the platter before it says so: else a power cut takes records that count as seen.
        let kept = self.sync_known().and_then(|()| self.write_small(&small, &mut place, &payload, though_bad));
        let synced = kept.and_then(|kept| match kept {
            Store::Disk => self.disk.sync(STATE).inspect_err(|e| {
                place.sync_failed();
                self.disk_failed("sync", e);
            }),
            Store::Ark => Err(io::Error::other("the disk fails")),
        });
        if synced.is_err() {
            // The kernel may have let go of what it could not write: the next worker would find an older state.
            let _ = self.state_to_memory(&mut place, &payload);
        } else if place.synced() {
            crash::point("state.synced");
            {
                let mut ledger = self.lock();
                ledger.saved_seq = ledger.saved_seq.max(seq);
            }
            drop(place);
            self.free_cursors(notes);
        }
        synced
    }

    /// The state on the disk tells of all that these notes tell of: cursors that waited for it are written.
    fn free_cursors(&self, notes: u64) {
        let waited = {
            let mut ledger = self.lock();
            let before = std::mem::replace(&mut ledger.notes_saved, notes);
            ledger.notes_saved = notes.max(before);
            ledger.receivers.iter().any(|r| r.noted > before && r.noted <= notes)
        };
        if waited {
            self.save_cursors();
        }
    }

    /// Syncs the records that there are now; an error where some of them are only in memory after that.
    fn sync_known(&self) -> io::Result<()> {
        let known: Vec<(String, u64)> = self.lock().segments.iter().map(|s| (s.name.clone(), s.bytes)).collect();
        self.sync(self.clock.load(Ordering::Relaxed));
        let ledger = self.lock();
        // What everybody has may go with the power.
        let acked = ledger.acked_before(false);
        let safe = |s: &&Segment| {
            s.next <= acked || s.store == Store::Disk && known.iter().all(|k| k.0 != s.name || k.1 <= s.synced)
        };
        let new = |s: &Segment| !known.iter().any(|k| k.0 == s.name) && s.replaces.is_empty() && s.store == Store::Disk;
        match ledger.segments.iter().find(|s| !safe(s) && !new(s)) {
            Some(s) => Err(io::Error::other(format!("the records from {} on are in memory alone", s.first))),
            None => Ok(()),
        }
    }

    /// A small file goes to the disk, or to memory while the disk fails; where it is now. `though_bad`: also to a disk that
    /// has failed, and nowhere else.
    fn write_small(
        &self,
        small: &Small,
        place: &mut slots::Place,
        payload: &[u8],
        though_bad: bool,
    ) -> io::Result<Store> {
        if though_bad || self.lock().disk_bad.is_none() {
            match self.small_to_disk(small, place, payload) {
                Ok(()) => return Ok(Store::Disk),
                Err(e) if though_bad => return Err(e),
                Err(_) => {}
            }
        }
        self.small_to_memory(small, place, payload).map(|()| Store::Ark)
    }

    fn small_to_disk(&self, (name, room): &Small, place: &mut slots::Place, payload: &[u8]) -> io::Result<()> {
        let first = place.is_new();
        let written = self.settle_small(name, *room, place).and_then(|()| {
            let copy = place.next(payload, *room).ok_or_else(|| too_large(name))?;
            let torn = |half: &[u8]| drop(self.disk.write_at(name, copy.at, half));
            if name == STATE {
                crash::torn("state.torn", &copy.bytes, torn);
            } else {
                crash::torn("cursor.torn", &copy.bytes, torn);
            }
            self.disk.write_at(name, copy.at, &copy.bytes)?;
            if name == STATE {
                crash::point("state.written");
            } else {
                crash::point("cursor.written");
            }
            place.wrote(&copy, *room);
            if first {
                self.make_room(name, *room, copy.at);
            }
            Ok(())
        });
        written.inspect_err(|e| self.disk_failed("write", e))
    }

    /// The other copies of a new file have their room before the disk is full: what makes room then needs them.
    fn make_room(&self, name: &str, room: u64, but: u64) {
        let zeros = vec![0; limits::SLOT_MADE_BYTES.min(room) as usize];
        for at in (0..slots::COPIES).map(|slot| slot * room).filter(|at| *at != but) {
            if let Err(e) = self.disk.write_at(name, at, &zeros) {
                log::debug("spool", format!("cannot make room in `{name}`: {e}"));
            }
        }
    }

    /// What an earlier worker has left is on the platter before the first new version of it is written.
    fn settle_small(&self, name: &str, room: u64, place: &mut slots::Place) -> io::Result<()> {
        let Some(copy) = place.again.clone() else { return Ok(()) };
        self.disk.write_at(name, copy.at, &copy.bytes)?;
        place.wrote(&copy, room);
        self.disk.sync(name).inspect_err(|_| place.sync_failed())?;
        place.synced();
        place.again = None;
        Ok(())
    }

    /// Cursors and account are on the platter up to the record `seq` (not included).
    pub(super) fn secure(&self, seq: u64) -> io::Result<()> {
        let behind = |l: &super::Ledger| l.saved_seq + 1 < seq || l.notes_saved < l.notes;
        if behind(&self.lock()) {
            self.put_state(true, true)?;
        }
        match self.sync_cursors(seq)? {
            true => Ok(()),
            false => Err(io::Error::other("a cursor waits for the state")),
        }
    }
}

/// A small file: its name, and the room of each copy.
type Small = (String, u64);

fn too_large(name: &str) -> io::Error {
    io::Error::other(format!("`{name}` is too large to be saved"))
}
