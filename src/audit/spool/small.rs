//! The small files of a spool, cursors and state: when they are written, where to while the disk fails, and what has to be
//! on the platter before them. Refuses: to let what they say run ahead of the records there.

use super::tend::STATE;
use super::{cursor, slots, Segment, Spool, Store};
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
        let dirty: Vec<(String, slots::Place, cursor::Cursor)> = {
            let mut ledger = self.lock();
            let moved = ledger.receivers.iter_mut().filter_map(|r| std::mem::take(&mut r.dirty).then_some(&*r));
            moved.map(|r| (r.name.clone(), r.place.clone(), r.cursor.clone())).collect()
        };
        for (name, mut place, mut cursor) in dirty {
            cursor.receiver.clone_from(&name);
            let small = (cursor::file_name(&name), limits::CURSOR_SLOT_BYTES);
            let kept = self.write_small(&small, &mut place, &cursor.save(), though_bad);
            let mut ledger = self.lock();
            let Some(r) = ledger.receivers.iter_mut().find(|r| r.name == name) else { continue };
            r.place = place;
            match kept {
                Ok(Store::Disk) => r.saved = cursor.next,
                Ok(Store::Ark) => {}
                Err(_) => {
                    r.dirty = true;
                    continue;
                }
            }
            r.saved_others = Some(cursor.others());
        }
    }

    /// Cursors are on the platter up to `seq` before segments go: else a power cut gives back older ones, and what everybody
    /// had is told as damaged.
    pub(super) fn sync_cursors(&self, seq: u64) -> io::Result<()> {
        let _alone = self.small.lock().unwrap_or_else(PoisonError::into_inner);
        let behind: Vec<(String, u64)> = {
            let mut ledger = self.lock();
            let behind = ledger.receivers.iter_mut().filter(|r| r.synced < seq);
            let named = behind.map(|r| {
                r.dirty |= r.saved < seq || !r.place.is_written();
                (r.name.clone(), r.cursor.next.min(seq))
            });
            named.collect()
        };
        self.write_cursors(true);
        let mut all = Ok(());
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

    /// Writes the account; with `sync` it is on the platter when this comes back, and segments before it may go.
    pub fn save_state(&self, sync: bool) {
        if let Err(e) = self.put_state(sync, false) {
            log::debug("spool", format!("the state is not saved: {e}"));
        }
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
        let copy = place.next_in_memory(payload, limits::STATE_SLOT_BYTES);
        let copy = copy.ok_or_else(|| io::Error::other("the state is too large to be saved"))?;
        self.ark.write_at(STATE, copy.at, &copy.bytes)
    }

    pub(super) fn put_state(&self, sync: bool, though_bad: bool) -> io::Result<()> {
        let mut place = self.state_place.lock().unwrap_or_else(PoisonError::into_inner);
        // Under that lock, so that a later version never holds less.
        let (seq, payload) = {
            let account = self.account();
            (account.seq, account.save())
        };
        let small = (STATE.to_string(), limits::STATE_SLOT_BYTES);
        if !sync {
            return self.write_small(&small, &mut place, &payload, though_bad).map(drop);
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
            let mut ledger = self.lock();
            ledger.saved_seq = ledger.saved_seq.max(seq);
        }
        synced
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
        (name, room): &(String, u64),
        place: &mut slots::Place,
        payload: &[u8],
        though_bad: bool,
    ) -> io::Result<Store> {
        let too_large = || io::Error::other(format!("`{name}` is too large to be saved"));
        let mut failed = io::Error::other("the disk fails");
        if though_bad || self.lock().disk_bad.is_none() {
            let first = place.is_new();
            let written = self.settle_small(name, *room, place).and_then(|()| {
                let copy = place.next(payload, *room).ok_or_else(too_large)?;
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
                Ok(Store::Disk)
            });
            match written {
                Ok(store) => return Ok(store),
                Err(e) => failed = e,
            }
            self.disk_failed("write", &failed);
        }
        if though_bad {
            return Err(failed);
        }
        let copy = place.next_in_memory(payload, *room).ok_or_else(too_large)?;
        self.ark.write_at(name, copy.at, &copy.bytes).map(|()| Store::Ark)
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
        if self.lock().saved_seq + 1 < seq {
            self.put_state(true, true)?;
        }
        self.sync_cursors(seq)
    }
}
