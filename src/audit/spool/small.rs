//! The small files of a spool, cursors and state: when they are written, where to while the disk fails, and what has to be
//! on the platter before them. Refuses: to let what they say run ahead of the records there.

use super::cursor;
use super::disk::{read_all, Disk};
use super::names::{SEAL, STATE};
use super::{slots, Receiver, Segment, Spool, Store};
use crate::sorted;
use crate::sys::crash;
use crate::{limits, log};
use std::io;
use std::sync::atomic::Ordering;

impl Spool {
    /// Writes the cursors that have moved.
    pub fn save_cursors(&self) {
        let _alone = self.cursors.lock();
        self.write_cursors(false);
    }

    fn write_cursors(&self, though_bad: bool) {
        let mut dirty: Vec<Receiver> = {
            let mut ledger = self.lock();
            let moved = ledger.receivers.iter_mut().filter_map(|r| std::mem::take(&mut r.dirty).then_some(&*r));
            moved.cloned().collect()
        };
        // Before any cursor moves on the disk there is one of each: else a power cut makes one without a file new, beside
        // others that have come further, and it skips what it lacks.
        sorted::by_key(&mut dirty, |r| !r.place.is_new());
        let mut unborn = false;
        for receiver in dirty {
            let (held, for_disk, cursor) = (receiver.waits.is_some(), receiver.for_disk(), &receiver.cursor);
            let small = (cursor::file_name(&receiver.name), limits::CURSOR_SLOT_BYTES);
            let mut place = receiver.place.clone();
            let (first, waits) = (place.is_new(), unborn && !place.is_new());
            let to_disk = !waits && (though_bad || self.lock().disk_bad.is_none());
            let on_disk = to_disk && self.small_to_disk(&small, &mut place, &for_disk.save()).is_ok();
            unborn |= first && !on_disk;
            let mut whole = on_disk && !held;
            // The next worker goes on where this one was all the same: in memory it finds the notes as well, and all of it
            // where somebody has removed the file.
            if !whole || self.memory.is_some() {
                whole |= self.small_to_memory(&small, &mut place, &cursor.save()).is_ok();
            }
            let mut ledger = self.lock();
            let Some(r) = ledger.receivers.iter_mut().find(|r| r.name == receiver.name) else { continue };
            r.place = place;
            r.dirty |= held || waits || !whole;
            if whole {
                r.saved_others = Some(cursor.others());
            }
            if on_disk {
                r.saved = for_disk.next;
            }
        }
        self.write_progress(though_bad);
    }

    /// Says in the directory to whom it belongs, where that does not stand there yet. A disk that fails is asked again later.
    pub fn save_owner(&self) {
        let Some(owner) = &self.settings.owner else { return };
        if self.owned.load(Ordering::Relaxed) || self.lock().disk_bad.is_some() {
            return;
        }
        match owner.write(&*self.disk) {
            Ok(()) => self.owned.store(true, Ordering::Relaxed),
            Err(e) => log::debug("spool", format!("cannot write whose `{}` is: {e}", self.place())),
        }
    }

    /// Cursors are on the platter up to `seq` before segments go: else a power cut gives back older ones, and what everybody
    /// had is told as damaged. False: one of them waits for the state, all else is done.
    pub(super) fn sync_cursors(&self, seq: u64) -> io::Result<bool> {
        let _alone = self.cursors.lock();
        let mut all = Ok(true);
        let behind: Vec<(String, u64)> = {
            let mut ledger = self.lock();
            let behind = ledger.receivers.iter_mut().filter(|r| r.synced < seq);
            let named = behind.map(|r| {
                r.dirty |= r.saved < seq || !r.place.is_written();
                let want = r.for_disk().next.min(seq);
                if want < r.cursor.next.min(seq) {
                    all = Ok(false);
                }
                (r.name.clone(), want)
            });
            named.collect()
        };
        self.write_cursors(true);
        let sealed = self.sync_progress(seq);
        for (name, want) in behind {
            let done = self.disk.sync(&cursor::file_name(&name));
            let mut ledger = self.lock();
            let Some(r) = ledger.receivers.iter_mut().find(|r| r.name == name) else { continue };
            if done.is_err() {
                r.place.sync_failed();
                r.dirty = true;
                self.keep_in_memory(r);
            } else if r.place.synced() {
                r.synced = r.saved;
            }
            if r.synced < want {
                all = Err(done.err().unwrap_or_else(|| io::Error::other("a cursor could not be written")));
            }
        }
        Ok(sealed? & all?)
    }

    /// The kernel may have let go of a cursor that it could not write: the next worker would find an older one, and take
    /// what was quarantined since for delivered.
    pub(super) fn keep_in_memory(&self, r: &mut Receiver) {
        let small = (cursor::file_name(&r.name), limits::CURSOR_SLOT_BYTES);
        if let Err(e) = self.small_to_memory(&small, &mut r.place, &r.cursor.save()) {
            log::debug("spool", format!("the cursor of `{}` is not kept in memory: {e}", r.name));
        }
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
    /// records there. Waits for no disk: the writer does so before it lets go of what it has dropped.
    pub fn remember_state(&self) {
        if let Err(e) = self.state_to_memory() {
            log::debug("spool", format!("the state is not kept in memory: {e}"));
            self.save_state(false);
        }
    }

    pub(super) fn state_to_memory(&self) -> io::Result<()> {
        // Under that lock, so that a later copy never holds less.
        let mut place = self.remembered.lock();
        let payload = self.account().next_version().save();
        self.small_to_memory(&state(), &mut place, &payload)
    }

    pub(super) fn small_to_memory(
        &self,
        (name, room): &Small,
        place: &mut slots::Place,
        payload: &[u8],
    ) -> io::Result<()> {
        let copy = place.next_in_memory(payload, *room).ok_or_else(|| too_large(name))?;
        self.memory_disk.write_at(name, copy.at, &copy.bytes)
    }

    pub(super) fn put_state(&self, sync: bool, though_bad: bool) -> io::Result<()> {
        let mut file = self.state.lock();
        // Under that lock, so that a later version never holds less. Whatever is numbered as a note stands in the account.
        let notes = self.lock().notes;
        let account = self.account().next_version().clone();
        let payload = account.save();
        let kept = if sync {
            // What it has taken in is on the platter before it says so: else a power cut takes records that count as seen.
            let kept = self.sync_known().and_then(|()| self.write_state(&mut file.place, &payload, though_bad));
            kept.and_then(|kept| match kept {
                Store::Disk => self.sync_state(&mut file.place).map(|good| good.then_some(Store::Disk)),
                Store::Memory => Err(io::Error::other("the disk fails")),
            })
        } else {
            // Who wants no syncs is promised nothing of a power cut.
            self.write_state(&mut file.place, &payload, though_bad).map(Some)
        };
        match kept {
            Ok(Some(Store::Disk)) => {
                if sync {
                    crash::point("state.synced");
                    let mut ledger = self.lock();
                    ledger.saved_seq = ledger.saved_seq.max(account.seq);
                }
                if self.memory.is_some() {
                    // For a worker that does not find the file any more.
                    let _ = self.state_to_memory();
                }
                (file.there, file.notes) = (account, notes);
                drop(file);
                self.free_cursors(notes);
            }
            Ok(_) => {}
            Err(e) => {
                // The kernel may have let go of what it could not write: the next worker would find an older state.
                let _ = self.state_to_memory();
                return Err(e);
            }
        }
        Ok(())
    }

    /// True: what was last written is on the platter now.
    fn sync_state(&self, place: &mut slots::Place) -> io::Result<bool> {
        self.disk.sync(STATE).inspect_err(|e| {
            place.sync_failed();
            self.disk_failed("sync", e);
        })?;
        Ok(place.synced())
    }

    /// The state that tells of a dropped segment, the last note, is on the platter. While the account waits for records in
    /// memory, the version that is there is told of it; that is enough when it has seen these records.
    pub(super) fn put_drop(&self, dropped: Option<(&Segment, u64)>) -> bool {
        if self.put_state(true, true).is_ok() {
            return true;
        }
        let mut file = self.state.lock();
        let (notes, saved) = {
            let ledger = self.lock();
            (ledger.notes, ledger.notes_saved)
        };
        if let Some((s, from)) = dropped.filter(|d| d.0.next <= file.there.seq + 1 && file.notes + 1 == notes) {
            self.note_ids(&mut file.there, s, from);
            file.notes = notes;
        }
        if file.notes < notes || saved >= notes {
            return saved >= notes;
        }
        file.there.behind = true;
        let payload = file.there.save();
        let written = self.small_to_disk(&state(), &mut file.place, &payload);
        let done = written.and_then(|()| self.sync_state(&mut file.place)).unwrap_or(false);
        drop(file);
        if done {
            crash::point("state.behind");
            self.free_cursors(notes);
        }
        done
    }

    /// Whether the state on the platter has seen all records before `seq` and all notes: then more can be noted in it.
    pub(super) fn can_note(&self, seq: u64) -> bool {
        let ready = || {
            let there = self.state.lock().there.seq;
            let ledger = self.lock();
            seq <= there.min(ledger.saved_seq) + 1 && ledger.notes_saved >= ledger.notes
        };
        ready() || self.put_drop(None) && ready()
    }

    /// The state on the disk tells of all that these notes tell of: cursors that waited for it are written.
    fn free_cursors(&self, notes: u64) {
        let waited = {
            let mut ledger = self.lock();
            ledger.notes_saved = ledger.notes_saved.max(notes);
            let waited = ledger.receivers.iter_mut().filter_map(|r| r.waits.take_if(|w| w.0 <= notes));
            waited.count()
        };
        if waited > 0 {
            self.save_cursors();
        }
    }

    /// Syncs the records that there are now; an error where some of them are only in memory after that.
    fn sync_known(&self) -> io::Result<()> {
        let known: Vec<(String, u64)> = self.lock().segments.iter().map(|s| (s.name.clone(), s.bytes)).collect();
        if !self.sync(self.clock.load(Ordering::Relaxed)) {
            return Err(io::Error::other("the names of files are not synced"));
        }
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

    /// The state goes to the disk, or to memory while the disk fails; where it is now. `though_bad`: also to a disk that has
    /// failed, and nowhere else.
    fn write_state(&self, place: &mut slots::Place, payload: &[u8], though_bad: bool) -> io::Result<Store> {
        if though_bad || self.lock().disk_bad.is_none() {
            match self.small_to_disk(&state(), place, payload) {
                Ok(()) => return Ok(Store::Disk),
                Err(e) if though_bad => return Err(e),
                Err(_) => {}
            }
        }
        self.state_to_memory().map(|()| Store::Memory)
    }

    pub(super) fn small_to_disk(
        &self,
        (name, room): &Small,
        place: &mut slots::Place,
        payload: &[u8],
    ) -> io::Result<()> {
        let written = self.settle_small(name, *room, place).and_then(|()| {
            let copy = place.next(payload, *room).ok_or_else(|| too_large(name))?;
            let torn = |half: &[u8]| drop(self.disk.write_at(name, copy.at, half));
            match name.as_str() {
                STATE => crash::torn("state.torn", &copy.bytes, torn),
                SEAL => crash::torn("seal.torn", &copy.bytes, torn),
                _ => crash::torn("cursor.torn", &copy.bytes, torn),
            }
            self.disk.write_at(name, copy.at, &copy.bytes)?;
            match name.as_str() {
                STATE => crash::point("state.written"),
                SEAL => crash::point("seal.written"),
                _ => crash::point("cursor.written"),
            }
            place.wrote(&copy, *room);
            self.make_room(name, *room, place);
            Ok(())
        });
        written.inspect_err(|e| self.disk_failed("write", e))
    }

    /// All copies have their room before the disk is full: what makes room then needs them.
    fn make_room(&self, name: &str, room: u64, place: &mut slots::Place) {
        if place.roomy {
            return;
        }
        for (at, bytes) in place.roomless(room) {
            if let Err(e) = self.disk.write_at(name, at, &vec![0; bytes as usize]) {
                log::debug("spool", format!("cannot make room in `{name}`: {e}"));
                return;
            }
        }
        place.roomy = true;
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
pub(super) type Small = (String, u64);

fn state() -> Small {
    (STATE.to_string(), limits::STATE_SLOT_BYTES)
}

fn too_large(name: &str) -> io::Error {
    io::Error::other(format!("`{name}` is too large to be saved"))
}

/// The newest version of a small file on the disk and that in memory, each with its turn. A disk that does not give it now
/// is not one that does not have it: taking a cursor for new would skip events, taking the state for new would tell of
/// losses that never were.
pub(super) fn newest_copies(disk: &dyn Disk, memory_disk: &dyn Disk, name: &str, room: u64) -> io::Result<Newest> {
    let bytes = |d: &dyn Disk| Ok::<_, io::Error>(read_all(d, name, slots::COPIES * room)?.unwrap_or_default());
    let (on_disk, in_memory) = (bytes(disk)?, bytes(memory_disk)?);
    let copies = [slots::decode(&on_disk, room), slots::decode(&in_memory, room)];
    let mut place = slots::Place::of(&on_disk, room);
    place.turn = place.turn.max(copies.iter().flatten().map(|(turn, _)| *turn).max().unwrap_or(0));
    Ok((place, copies.map(|copy| copy.map(|(turn, payload)| (turn, payload.to_vec())))))
}

pub(super) type Newest = (slots::Place, [Option<(u64, Vec<u8>)>; 2]);
