//! What is done on no one's path: syncing, saving cursors and state, removing what everybody has, setting damage aside,
//! and bringing the disk back.

use super::blocks::stretch;
use super::disk::Disk;
use super::names::{cut_name, UNBORN};
use super::record::{self, Head, New};
use super::walk::{Found, Walk};
use super::{Segment, Spool, Store};
use crate::audit::alarm::AlarmKind;
use crate::limits;
use crate::log;
use crate::sys::crash;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::Arc;

const PROBE: &str = "probe";

impl Spool {
    /// Syncs what was written. A failed sync is never repeated on the same data: they are written anew elsewhere. False: the
    /// names of files may not be on the platter, and what is in these files is nothing without them.
    pub fn sync(&self, now_ms: i64) -> bool {
        self.clock.store(now_ms, Ordering::Relaxed);
        let _alone = self.syncing.lock();
        let (dirty, names) = {
            let mut ledger = self.lock();
            let dirty = ledger.segments.iter().filter(|s| s.store == Store::Disk && s.synced < s.bytes);
            let dirty: Vec<_> = dirty.map(|s| (s.name.clone(), s.bytes, s.next, s.renew)).collect();
            (dirty, std::mem::take(&mut ledger.names_dirty))
        };
        let mut done: Vec<(String, u64)> = Vec::new();
        for (name, bytes, next, renew) in dirty {
            if !self.disk.is_named(&name) {
                // What is synced there is on no platter that anybody will read.
                self.leave_home(now_ms);
                if !self.disk.moved() {
                    self.save_nameless(&[name], now_ms);
                }
                continue;
            }
            if renew {
                self.write_anew(&name, &io::Error::other("an earlier sync failed"), now_ms);
                continue;
            }
            match self.disk.sync(&name) {
                Ok(()) => {
                    crash::point("sync.done");
                    let mut ledger = self.lock();
                    if let Some(s) = ledger.segments.iter_mut().find(|s| s.name == name && s.store == Store::Disk) {
                        s.synced = s.synced.max(bytes);
                        done.push((name, next));
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => self.write_anew(&name, &e, now_ms),
            }
        }
        let mut named = true;
        if names {
            if let Err(e) = self.disk.sync_names() {
                named = false;
                self.lock().names_dirty = true;
                self.disk_failed("sync names", &e);
            }
            crash::point("sync.names");
        }
        if named && self.stream().is_some() {
            self.lock().note_durable(&done);
        }
        named
    }

    /// A sync failed: the kernel may have dropped what it could not write and call the next sync a success. So what was
    /// not known to be synced is read back as long as it can be, written to another file and synced there.
    fn write_anew(&self, name: &str, error: &io::Error, now_ms: i64) {
        self.disk_failed("sync", error);
        self.let_the_writer_finish();
        let found = {
            let mut ledger = self.lock();
            ledger.begin_anew = true;
            if ledger.active.as_deref() == Some(name) {
                ledger.active = None;
            }
            let mine = ledger.segments.iter_mut().find(|s| s.name == name && s.store == Store::Disk);
            mine.map(|s| {
                s.renew = true;
                s.clone()
            })
        };
        let Some(s) = found else { return };
        crash::point("renew.marked");
        let from = s.synced.max(record::RECORDS_AT);
        // Into memory now; `recover_disk` brings it to the disk when that works again. Where there is no room for it, on the
        // same disk, in another file: it must not crowd out what comes in.
        let size = s.packed.unwrap_or(s.bytes - from);
        let copied = if size <= self.lock().room_in_memory(self.settings.memory_max) {
            self.copy_records(&s, from, Store::Memory, now_ms)
        } else {
            Err(io::Error::other("there is no room"))
        };
        let copied = copied.or_else(|e| {
            log::warn("spool", format!("cannot keep unsynced records in memory: {e}"));
            self.copy_records(&s, from, Store::Disk, now_ms)
        });
        match copied {
            Ok(Some(copy)) => self.put_in_place(&s, from, copy),
            Ok(None) => self.give_up_renewing(&s),
            Err(e) => log::error("spool", format!("records of `{name}` may not survive a power cut: {e}")),
        }
    }

    /// Nothing can be read any more of what was not synced: readers tell so. It must not keep the disk from being used for ever,
    /// nor the state and the cursors from being saved.
    fn give_up_renewing(&self, old: &Segment) {
        let mut ledger = self.lock();
        let mine = ledger.segments.iter_mut().find(|s| s.name == old.name && s.store == Store::Disk);
        if let Some(s) = mine.filter(|s| s.bytes == old.bytes) {
            (s.renew, s.synced) = (false, s.bytes);
        }
    }

    /// The records of a segment from a place on, as a segment of their own.
    pub(super) fn copy_records(&self, s: &Segment, from: u64, to: Store, now_ms: i64) -> io::Result<Option<Segment>> {
        if let Some(size) = s.packed {
            return self.copy_packed(s, size, to).map(Some);
        }
        let mut walk = Walk::start();
        walk.seek(from);
        let source = self.store(s.store);
        let (mut head, mut out, mut next) = (None::<Head>, Vec::new(), 0);
        loop {
            let m = match walk.next(source, &s.name, &s.head, s.bytes)? {
                Found::Record(m) => m,
                // What stands behind damage is to be kept all the same.
                Found::Damage(from, to) => {
                    self.set_aside(s, from, to);
                    continue;
                }
                Found::Torn(_) | Found::End => break,
            };
            // What stands behind its last record is to be read in the next segment, and may have faded here.
            if m.seq >= s.next {
                break;
            }
            let r = walk.record(m);
            let head = head.get_or_insert_with(|| {
                let created_ms = if (now_ms - r.read_ms).unsigned_abs() < 1 << 29 { now_ms } else { r.read_ms };
                // Of what stands in the middle of a segment nobody knows what was read before it.
                let last = s.head.last.filter(|_| r.seq == s.first);
                Head { first_seq: r.seq, stream: s.head.stream, created_ms, last, ..s.head.plain() }
            });
            if out.is_empty() {
                out = head.encode();
            }
            let (kind, part, parts, stream, read_ms) = (m.kind, m.part, m.parts, m.stream, m.read_ms);
            let new = New { kind, raw: r.raw, id: m.id, time: m.time, part, parts, stream, read_ms, form: None };
            record::encode(&mut out, head, m.seq, &new);
            next = m.seq + 1;
        }
        let Some(head) = head else { return Ok(None) };
        let name = self.free_name(head.first_seq, false);
        self.put_whole(&name, to, &out)?;
        let (first, bytes) = (head.first_seq, out.len() as u64);
        Ok(Some(Segment {
            name,
            store: to,
            first,
            next,
            bytes,
            packed: None,
            stays_plain: false,
            synced: bytes,
            durable: 0,
            renew: false,
            replaces: Vec::new(),
            acked_ms: None,
            head: Arc::new(head),
        }))
    }

    /// One that is packed is copied to the byte: it is whole or damaged as it is, and must not take more room than before.
    fn copy_packed(&self, s: &Segment, size: u64, to: Store) -> io::Result<Segment> {
        let mut bytes = vec![0; size as usize];
        let got = self.store(s.store).read_at(&s.name, 0, &mut bytes)?;
        let name = self.free_name(s.first, false);
        self.put_whole(&name, to, &bytes[..got])?;
        Ok(Segment {
            name,
            store: to,
            packed: Some(got as u64),
            synced: s.bytes,
            durable: 0,
            renew: false,
            replaces: Vec::new(),
            ..s.clone()
        })
    }

    fn put_whole(&self, name: &str, to: Store, bytes: &[u8]) -> io::Result<()> {
        match to {
            Store::Disk => self.write_whole(name, bytes),
            Store::Memory => self.memory_disk.write_at(name, 0, bytes).inspect_err(|_| {
                let _ = self.memory_disk.remove(name);
            }),
        }
    }

    /// A file of the disk that has its name only when its bytes are on the platter: what a sync has refused, or a death
    /// left half written, is never taken for it.
    fn write_whole(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unborn = format!("{name}{UNBORN}");
        // Nothing of an earlier try is to be under it.
        let _ = self.disk.remove(&unborn);
        let written = self.disk.write_at(&unborn, 0, bytes).and_then(|()| self.disk.sync(&unborn));
        crash::point("whole.written");
        written.and_then(|()| self.disk.rename(&unborn, name)).inspect_err(|_| {
            let _ = self.disk.remove(&unborn);
        })?;
        crash::point("whole.renamed");
        Ok(())
    }

    /// The ledger reads `copy` instead of `old` from a place on. The old file is cut when the copy is on the platter: what
    /// of it a failed sync has dropped, and what was there long before, nobody knows.
    pub(super) fn put_in_place(&self, old: &Segment, from: u64, mut copy: Segment) {
        crash::point("renew.copied");
        let empty = from <= record::RECORDS_AT;
        let obsolete = (old.name.clone(), if empty { 0 } else { from });
        let durable = copy.store == Store::Disk && self.disk.sync_names().is_ok();
        if !durable {
            copy.replaces.clone_from(&old.replaces);
            copy.replaces.push(obsolete.clone());
        }
        {
            let mut ledger = self.lock();
            let Some(i) = ledger.segments.iter().position(|s| s.name == old.name && s.store == old.store) else {
                return;
            };
            let s = &mut ledger.segments[i];
            (s.bytes, s.synced, s.next, s.renew) = (from, from, copy.first, false);
            ledger.segments.insert(i + 1, copy);
            if empty {
                ledger.segments.remove(i);
            }
            ledger.names_dirty = true;
        }
        crash::point("renew.placed");
        if durable {
            self.cut(&obsolete);
        }
    }

    /// Cuts a file of the disk whose records are on the platter elsewhere.
    fn cut(&self, (name, to): &(String, u64)) {
        let done = if *to == 0 { self.disk.remove(name) } else { self.disk.truncate(name, *to) };
        match done {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                log::debug("spool", format!("cannot cut `{name}`: {e}"));
            }
            _ => drop(self.memory_disk.remove(&cut_name(name))),
        }
    }

    /// Removes segments that everybody has, oldest first: until `bytes` are free, and those whose retention was over
    /// before `retained_until` in any case.
    pub fn remove_acked(&self, bytes: u64, retained_until: i64) {
        let (mut doomed, memory_alone) = {
            let ledger = self.lock();
            let acked = ledger.acked_before(false).min(self.kept_for_evidence(&ledger));
            let (mut freed, mut doomed) = (0, Vec::new());
            for s in &ledger.segments {
                let old = s.acked_ms.is_some_and(|ms| ms <= retained_until) && retained_until != i64::MAX;
                if s.next > acked || Some(&s.name) == ledger.active.as_ref() || (freed >= bytes && !old) {
                    break;
                }
                freed += s.size();
                doomed.push(s.clone());
            }
            // They go with the power anyway, and the disk is told how far things are before it is used again.
            let memory_alone = ledger.disk_bad.is_some() && doomed.iter().all(|s| s.store == Store::Memory);
            (doomed, memory_alone)
        };
        let Some(secured) = self.let_go(&mut doomed, memory_alone) else { return };
        crash::point("remove.chosen");
        let mut obsolete = Vec::new();
        {
            let mut ledger = self.lock();
            let replaced = doomed.iter_mut().flat_map(|s| std::mem::take(&mut s.replaces));
            obsolete.extend(replaced);
            if !secured {
                // They hold the same records, and the disk does not know yet that these may go.
                ledger.obsolete.append(&mut obsolete);
            }
            ledger.segments.retain(|s| !doomed.iter().any(|d| d.name == s.name && d.store == s.store));
        }
        crash::point("remove.listed");
        for s in &doomed {
            match self.store(s.store).remove(&s.name) {
                // The writer, who needs room, and the tender may have chosen the same one.
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    log::warn("spool", format!("cannot remove `{}`: {e}", s.name));
                }
                _ => {}
            }
            crash::point("remove.removed");
        }
        obsolete.iter().for_each(|old| self.cut(old));
        self.room.notify_all();
    }

    /// Which of these may go now: the disk knows how far everybody is (true), or it is of no use to wait for that (false).
    fn let_go(&self, doomed: &mut Vec<Segment>, memory_alone: bool) -> Option<bool> {
        let last = doomed.last()?.next;
        if memory_alone {
            self.remember_state();
            self.save_cursors();
            return Some(false);
        }
        let Err(e) = self.secure(last) else { return Some(true) };
        // Where there is no room even for that, what everybody has makes it. Else what the state on the platter does not
        // cover stays until the disk keeps things.
        if super::is_full(&e) {
            return Some(false);
        }
        let covered = self.lock().saved_seq + 1;
        doomed.retain(|s| s.next <= covered);
        let last = doomed.last()?.next;
        self.sync_cursors(last).is_ok_and(|all| all).then_some(true)
    }

    /// One round of the tender: marks what everybody has, removes what is due, keeps two segments of headroom.
    pub fn tidy(&self, now_ms: i64) {
        self.obey_requests();

        if std::mem::take(&mut self.lock().disk_full) {
            self.remove_acked(u64::MAX, i64::MAX);
        }
        let (over, has_live_drops) = {
            let mut ledger = self.lock();
            let fresh = |&(_, since): &(u64, i64)| (now_ms - since).unsigned_abs() < limits::DISK_TAKES_MILLIS;
            ledger.disk_takes = ledger.disk_takes.filter(fresh);
            let acked = ledger.acked_before(false);
            for s in ledger.segments.iter_mut().filter(|s| s.next <= acked && s.acked_ms.is_none()) {
                s.acked_ms = Some(now_ms);
            }
            let used: u64 = ledger.segments.iter().map(Segment::size).sum();
            let room = self.settings.max - self.settings.max.min(2 * self.settings.segment_bytes());
            (used.saturating_sub(room), ledger.receivers.iter().any(|r| r.dropping))
        };
        self.remove_acked(over, now_ms.saturating_sub(self.settings.retain_ms as i64));
        if has_live_drops && over == 0 {
            self.lock().receivers.iter_mut().for_each(|r| r.dropping = false);
        }
    }

    /// Keeps damaged bytes for people, once: what stands between two places of a segment.
    pub fn set_aside(&self, s: &Segment, from: u64, to: u64) {
        let name = &s.name;
        let bad = format!("{name}.{from}.bad");
        let mut here = [0u8; 1];
        if s.store == Store::Memory || self.disk.read_at(&bad, 0, &mut here).is_ok() {
            return;
        }
        let (from, to) = match s.packed.map(|size| stretch(&*self.disk, name, from, to, size)) {
            Some(Ok(stretch)) => stretch,
            _ => (from, to),
        };
        let text = format!("damage in `{name}`: {} bytes from {from} on are set aside in `{bad}`", to - from);
        // Whole or not at all: half of it would be taken for all by the next one who finds the damage.
        let unborn = format!("{bad}{UNBORN}");
        let copied = copy_bytes(&*self.disk, name, from, to, &unborn).inspect(|_| crash::point("aside.unborn"));
        match copied.and_then(|n| if n > 0 { self.disk.rename(&unborn, &bad).map(|()| n) } else { Ok(0) }) {
            Ok(0) => return,
            Ok(_) => log::error("spool", &text),
            Err(e) => log::error("spool", format!("{text}, but that failed: {e}")),
        }
        crash::point("aside.copied");
        let mut ledger = self.lock();
        ledger.files_set_aside += 1;
        drop(ledger);
        self.troubles.fires(AlarmKind::Damage, "spool", &text);
    }

    /// Whether the disk takes and keeps things now.
    fn probe(&self) -> io::Result<()> {
        let probe = vec![0x5a; limits::PROBE_BYTES];
        let works = self.disk.write_at(PROBE, 0, &probe).and_then(|()| self.disk.sync(PROBE));
        // New files are nothing without their names.
        let works = works.and_then(|()| self.disk.sync_names());
        let _ = self.disk.remove(PROBE);
        works
    }

    /// Whether the disk does not fail, as far as it is known and can be tried.
    pub fn disk_is_well(&self) -> bool {
        self.lock().disk_bad.is_none() && self.probe().is_ok()
    }

    /// Whether room was made on a full disk since the last call.
    pub fn take_room_made(&self) -> bool {
        std::mem::take(&mut self.lock().try_disk)
    }

    /// While the disk fails: looks whether it works again, and brings back what lies in memory. True when all is well.
    pub fn recover_disk(&self) -> bool {
        if self.lock().disk_bad.is_some() {
            if self.disk.moved() {
                // First what is still open; then nothing is any more.
                self.look_at_home(0);
                if let Err(e) = self.disk.revive() {
                    log::warn("spool", format!("cannot make `{}` anew: {e}", self.place()));
                    return false;
                }
                self.lock().homeless = false;
                self.owned.store(false, Ordering::Relaxed);
                // What did not fit into memory and is still open.
                self.look_at_files(self.clock.load(Ordering::Relaxed));
            }
            let works = self.probe();
            // And what became of things in the meantime stands before what comes now.
            if let Err(e) = works.and_then(|()| self.sync_cursors(u64::MAX)) {
                log::debug("spool", format!("the disk is not used yet: {e}"));
                return false;
            }
            crash::point("back.probed");
            if let Err(e) = self.put_state(true, true) {
                log::debug("spool", format!("the state waits for the records: {e}"));
            }
            let mut ledger = self.lock();
            ledger.disk_bad = None;
            ledger.begin_anew = true;
            ledger.names_dirty = true;
            drop(ledger);
            self.room.notify_all();
        }
        {
            // The segment that was written last is to come back as well, and not only with the next record.
            let mut ledger = self.lock();
            let written = ledger.segments.back().filter(|s| s.store == Store::Memory).map(|s| s.name.clone());
            if ledger.ended || !ledger.writing && written.is_some() && written == ledger.active {
                ledger.active = None;
                ledger.begin_anew = true;
            }
        }
        // The records that the state waited for are there: at once, for a power cut would make it see them jump.
        let back = self.bring_back();
        let seen = self.account().seq;
        if back && (self.lock().saved_seq >= seen || self.save_state(true)) {
            let obsolete = std::mem::take(&mut self.lock().obsolete);
            obsolete.iter().for_each(|old| self.cut(old));
        }
        back
    }

    /// Segments in memory that are not being written go to the disk.
    fn bring_back(&self) -> bool {
        loop {
            let next = {
                let ledger = self.lock();
                let free = |s: &&Segment| s.store == Store::Memory && Some(&s.name) != ledger.active.as_ref();
                ledger.segments.iter().find(free).cloned()
            };
            let Some(s) = next else {
                let ledger = self.lock();
                return ledger.disk_bad.is_none() && !ledger.segments.iter().any(|s| s.store == Store::Memory);
            };
            if let Err(e) = self.bring_back_one(&s) {
                self.disk_failed("write", &e);
                return false;
            }
        }
    }

    fn bring_back_one(&self, s: &Segment) -> io::Result<()> {
        let mut bytes = vec![0; s.size() as usize];
        let got = self.memory_disk.read_at(&s.name, 0, &mut bytes)?;
        let free = matches!(self.disk.read_at(&s.name, 0, &mut [0; 1]), Err(e) if e.kind() == io::ErrorKind::NotFound);
        let name = if free { s.name.clone() } else { self.free_name(s.first, false) };
        self.write_whole(&name, &bytes[..got])?;
        self.disk.sync_names()?;
        crash::point("back.written");
        let mut ledger = self.lock();
        if let Some(mine) = ledger.segments.iter_mut().find(|x| x.name == s.name && x.store == Store::Memory) {
            mine.store = Store::Disk;
            mine.name = name;
            mine.synced = mine.bytes;
            mine.replaces.clear();
        }
        drop(ledger);
        crash::point("back.entered");
        s.replaces.iter().for_each(|old| self.cut(old));
        // Should this fail, recovery finds the segment twice and takes one.
        let _ = self.memory_disk.remove(&s.name);
        self.room.notify_all();
        Ok(())
    }
}

/// Copies a stretch of a file into a file of its own and syncs it.
fn copy_bytes(disk: &dyn Disk, name: &str, from: u64, to: u64, target: &str) -> io::Result<u64> {
    let mut buf = vec![0; limits::READ_BYTES];
    let mut at = from;
    while at < to {
        let most = ((to - at) as usize).min(buf.len());
        let got = disk.read_at(name, at, &mut buf[..most])?;
        if got == 0 {
            break;
        }
        disk.write_at(target, at - from, &buf[..got])?;
        at += got as u64;
    }
    if at > from {
        disk.sync(target)?;
    }
    Ok(at - from)
}
