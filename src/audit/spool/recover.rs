//! Opening a spool after anything: a clean end, a killed worker, a power cut, damaged or missing files.
//!
//! Reads heads, cuts the torn tail of the newest segment, takes in what the saved state has not seen. Never deletes a
//! byte that is not in another place: what cannot be used is set aside as `.bad`.

use super::blocks::without_head;
use super::cursor::{self, Cursor};
use super::disk::{read_all, Disk, Entry};
use super::names::{edition_of, number_of};
use super::past::Past;
use super::record::{Front, Head, Meta, RECORDS_AT};
use super::small::newest_copies;
use super::walk::{Found, Walk};
use super::{names, slots, Full, Ledger, Receiver, Segment, Settings, Spool, StateFile, Store};
use crate::audit::locks::{Rank, Ranked};
use crate::audit::record::account::Account;
use crate::audit::record::mark::Mark;
use crate::audit::record::{is_evidence, read_again, EventId, Kind};
use crate::limits;
use crate::log;
use crate::sorted;
use crate::sys::crash;
use crate::sys::ring::Ring;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Condvar};

/// Why a spool cannot be opened here.
#[derive(Debug)]
pub enum Refusal {
    /// It is of a version that this program does not know.
    Foreign(String),
    /// The disk does not answer.
    Disk(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(e: io::Error) -> Self {
        Refusal::Disk(e)
    }
}

impl Spool {
    /// Opens what is there. `memory_disk` may hold segments that an earlier worker could not bring to the disk.
    pub fn open(
        disk: Arc<dyn Disk>,
        memory_disk: Arc<dyn Disk>,
        settings: Settings,
        memory: Option<Arc<Ring>>,
        now_ms: i64,
    ) -> Result<Spool, Refusal> {
        let mut ledger = Ledger { next_seq: 1, begin_anew: true, names_dirty: true, ..Ledger::default() };
        let files = disk.list()?;
        ledger.files_set_aside = files.iter().filter(|f| f.name.ends_with(".bad")).count() as u64;
        let mut segments = segments_of(&*disk, Store::Disk, &files, &settings)?;
        ledger.obsolete = cut_off(&*memory_disk, &mut segments)?;
        segments.extend(segments_of(&*memory_disk, Store::Memory, &memory_disk.list()?, &settings)?);
        ledger.segments = in_order(&*disk, &*memory_disk, segments).into();
        let (state, account) = load_state(&*disk, &*memory_disk)?;
        let remembered = Ranked::new(Rank::Remembered, state.place.without_file());
        let mut spool = Spool {
            disk,
            memory_disk,
            settings,
            ledger: Ranked::new(Rank::Ledger, ledger),
            news: Condvar::new(),
            room: Condvar::new(),
            account: Ranked::new(Rank::Account, account),
            state: Ranked::new(Rank::State, state),
            remembered,
            cursors: Ranked::new(Rank::Cursors, ()),
            syncing: Ranked::new(Rank::Syncing, ()),
            clock: AtomicI64::new(now_ms),
            seals: super::seals::Seals::default(),
            owned: AtomicBool::new(false),
            memory,
            goes_back: None,
            troubles: Arc::default(),
        };
        crash::point("open.listed");
        let cursors = spool.load_cursors(&files)?;
        let past = cursors.iter().map(|l| l.cursor.as_ref().map_or(0, |c| c.next)).min().unwrap_or(0);
        spool.replay(past, now_ms)?;
        crash::point("open.replayed");
        spool.enter_cursors(cursors, &files)?;
        crash::point("open.cursors");
        spool.begin_stream(now_ms)?;
        let forerunner = spool.memory.as_ref().and_then(|ring| Past::of(ring));
        if !forerunner.is_some_and(|f| spool.go_on_behind(&f)) {
            spool.skip_read(past, spool.next_seq(), None, 0);
        }
        spool.go_back();
        let Account { dropped_to, losses, .. } = spool.account().clone();
        spool.drop_before(dropped_to);
        spool.lock().losses.extend(losses);
        spool.settle();
        spool.refuse_requests(&files);
        spool.save_new_cursors();
        spool.remember_all();
        spool.save_owner();
        crash::point("open.done");
        Ok(spool)
    }

    /// Takes in the records that the saved state has not seen, and finds where each segment ends.
    fn replay(&mut self, past: u64, now_ms: i64) -> io::Result<()> {
        let seen = self.account().seq;
        let segments: Vec<Segment> = self.lock().segments.iter().cloned().collect();
        if let Some(first) = segments.first().map(|s| s.first).filter(|first| seen == 0 && *first > 1) {
            let text = "is damaged or gone: what was counted before record";
            log::error("spool", format!("`{}` {text} {first}, the oldest held, is counted no more", names::STATE));
        }
        let mut ends = Vec::with_capacity(segments.len());
        for (i, s) in segments.iter().enumerate() {
            let newest = i + 1 == segments.len();
            let next = segments.get(i + 1).map_or(s.first, |n| n.first);
            let walked = newest || next > seen + 1;
            ends.push(if walked { self.replay_segment(s, newest, past, now_ms)?.max(next) } else { next });
        }
        self.divide(ends);
        let seen = self.account().seq;
        let forerunner = self.memory.as_ref().and_then(|ring| Past::of(ring)).map_or(0, |past| past.next - 1);
        let mut ledger = self.lock();
        let last_seq = ledger.segments.back().map_or(0, |s| s.next.saturating_sub(1));
        ledger.next_seq = last_seq.max(seen).max(forerunner) + 1;
        Ok(())
    }

    /// Says which segment is to be read for which records. They overlap where a failed sync had records written anew and
    /// the old file could not be cut: then the newer ones count, for the old ones may fade; unless they are not all there.
    fn divide(&self, ends: Vec<u64>) {
        let mut ledger = self.lock();
        let mut kept: VecDeque<Segment> = VecDeque::with_capacity(ends.len());
        for (mut s, end) in std::mem::take(&mut ledger.segments).into_iter().zip(ends) {
            s.next = end;
            if s.bytes <= RECORDS_AT {
                // The death came between its head and its first record: its name is for the next one.
                if let Err(e) = self.store(s.store).remove(&s.name) {
                    log::warn("spool", format!("cannot remove `{}`, which holds nothing: {e}", s.name));
                }
                continue;
            }
            match kept.back_mut().filter(|old| old.next > s.first) {
                Some(old) if end < old.next => {
                    log::warn("spool", format!("`{}` holds less than `{}` and is set aside", s.name, old.name));
                    let done = match s.store {
                        Store::Disk => self.disk.rename(&s.name, &format!("{}.bad", s.name)),
                        Store::Memory => self.memory_disk.remove(&s.name),
                    };
                    if let Err(e) = done {
                        log::warn("spool", format!("cannot set `{}` aside: {e}", s.name));
                    }
                    continue;
                }
                Some(old) => old.next = s.first,
                None => {}
            }
            kept.push_back(s);
        }
        ledger.segments = kept;
    }

    /// Walks one segment; gives the number after its last record. The newest is cut behind it.
    fn replay_segment(&mut self, s: &Segment, newest: bool, past: u64, now_ms: i64) -> io::Result<u64> {
        let (disk, memory_disk) = (self.disk.clone(), self.memory_disk.clone());
        let disk = if s.store == Store::Disk { &*disk } else { &*memory_disk };
        let (mut walk, mut next) = (Walk::start(), s.first);
        loop {
            match walk.next(disk, &s.name, &s.head, s.bytes)? {
                Found::Record(m) => {
                    next = next.max(m.seq + 1);
                    // A segment written anew after a failed sync may overlap with the old one that could not be cut.
                    if m.seq > self.account().seq {
                        self.skip_read(past, m.seq, s.head.last.filter(|_| m.seq == s.first), s.head.epoch);
                        self.replay_record(s.head.epoch, m, walk.record(m).raw, now_ms);
                    }
                }
                Found::Damage(from, to) => self.set_aside(s, from, to),
                Found::Torn(from) => {
                    self.set_aside(s, from, s.bytes);
                    if let Some(packed) = s.head.packed {
                        // It was whole: what is missing is no write that a death has cut off, and is told.
                        return Ok(next.max(packed.next));
                    }
                    if newest {
                        log::warn(
                            "spool",
                            format!("`{}` ends in the middle of a record: {} bytes are cut", s.name, s.bytes - from),
                        );
                        disk.truncate(&s.name, from)?;
                        crash::point("open.cut");
                    }
                    self.shorten(s, from);
                    return Ok(next);
                }
                Found::End => return Ok(next),
            }
        }
    }

    fn replay_record(&self, epoch: u64, m: Meta, raw: &[u8], now_ms: i64) {
        // Bytes that say nothing are not looked into again: they may be what workers have died of.
        if m.kind != Kind::Unparsed {
            crash::poison(crash::Victim::Parser, std::iter::once(raw));
        }
        let facts = read_again(m.kind, raw, m.id, m.time, m.part);
        let mut account = self.account();
        let mark = Mark { epoch, position: m.stream };
        if account.is_behind(mark) {
            account.came_back(m.seq, &facts, m.part);
            return;
        }
        let another = account.mark.epoch != epoch;
        // Nothing was read yet when it was written: what can be read again goes on where it was left, be it in a line.
        let early = another && m.kind == Kind::Own && account.mark.rereads() && !mark.rereads();
        if another && !early {
            // The rest of that line went with the input it was of; an event of our own takes no piece away.
            account.pieces = 0;
        }
        let follows = !another && m.seq == account.seq + 1 && self.settings.full == Full::DropNewest;
        // Its line may end with two bytes.
        let bytes = mark.position.saturating_sub(account.mark.position.saturating_add(raw.len() as u64 + 2));
        account.passed(follows.then_some(bytes));
        account.take(m.seq, &facts, raw, m.part, m.parts, now_ms as u64);
        // A segment whose head is damaged does not know its stream; and what is ours is not the stream's.
        // Evidence stands where reading stood, and moves it into no other stream: what is before that may come again.
        let is_evidence = another && is_evidence(m.kind, facts.id.of(raw));
        if epoch > 0 && !is_evidence && !early {
            account.stand(mark, Some(raw).filter(|_| m.kind != Kind::Own));
        }
    }

    fn shorten(&self, s: &Segment, to: u64) {
        let mut ledger = self.lock();
        if let Some(mine) = ledger.segments.iter_mut().find(|x| x.name == s.name && x.store == s.store) {
            mine.bytes = to;
        }
    }

    /// Records before `seq` that the account has not taken in and that are not here: where every receiver is past them they
    /// were delivered, or are told of elsewhere, and no gap in the input.
    /// `last`: the event before `seq`, where it is known; else as many as were skipped explain what is missing. `stream`: of
    /// which `seq` is.
    fn skip_read(&mut self, past: u64, seq: u64, last: Option<EventId>, stream: u64) {
        let power_went = self.memory.as_ref().and_then(|ring| Past::of(ring)).is_none();
        let mut account = self.account.lock();
        let rereads = account.mark.rereads() || Mark { epoch: stream, position: 0 }.rereads();
        let skipped = (seq - 1).saturating_sub(account.seq);
        match last {
            _ if skipped == 0 => {}
            // They went with the power, and come again; so does all that is behind them.
            _ if past < seq && rereads && power_went => {
                let from = account.seq + 1;
                account.expect_again(from, seq - 1);
                self.goes_back.get_or_insert_with(|| account.clone());
            }
            // The account is no older than the newest gap that was noticed: what is missing up to there was here.
            Some(last) if past >= seq || !power_went => account.resume_behind(last),
            // Where somebody was given a part of them, what is told as damaged is the rest alone.
            _ if past < seq => {
                let whole = past <= account.seq + 1;
                account.doubt(if whole { skipped } else { 0 });
            }
            _ => account.unread += skipped,
        }
    }

    /// Where records in the middle come again, reading goes on before them: what is behind them is rather read twice than not.
    fn go_back(&mut self) {
        let to = self.goes_back.take();
        let mut account = self.account.lock();
        account.explained.clear();
        // By number: a segment whose head went with the power does not know its stream, and has moved no mark.
        if let Some(to) = to.filter(|to| to.seq != account.seq) {
            *account = std::mem::take(&mut *account).going_back(to);
        }
    }

    /// Cursors of receivers that are configured, those that are not any more, and those that are new.
    fn load_cursors(&self, files: &[Entry]) -> io::Result<Vec<Loaded>> {
        let mut found: Vec<String> =
            files.iter().filter_map(|f| cursor::receiver_of(&f.name).map(String::from)).collect();
        let in_memory = self.memory_disk.list()?;
        found.extend(in_memory.iter().filter_map(|f| cursor::receiver_of(&f.name).map(String::from)));
        found.extend(self.settings.receivers.iter().map(|(n, _)| n.clone()));
        sorted::sort(&mut found);
        found.dedup();
        found.into_iter().map(|name| self.load_cursor(name)).collect()
    }

    fn enter_cursors(&mut self, loaded: Vec<Loaded>, files: &[Entry]) -> io::Result<()> {
        let in_memory = self.memory_disk.list()?;
        let next_seq = self.lock().next_seq;
        let known = loaded.iter().filter_map(|l| l.cursor.as_ref().map(|c| c.next)).max().unwrap_or(0);
        let mut account = self.account();
        let mut ledger = self.lock();
        // What the account has noted may have been found in memory, or in a page cache.
        ledger.notes = 1;
        // A cursor ahead of the records: the power went, and the tail of the spool with it. Numbers are not used twice.
        ledger.next_seq = next_seq.max(known);
        // Its cursor says nothing any more, or is gone: rather everything again than nothing.
        // One that was forgotten at rest is known to the state still.
        let there = |name: &str| {
            let is_there = |file: String| files.iter().chain(&in_memory).any(|f| f.name == file);
            let known = account.receivers.iter().any(|n| n == name) && !is_there(cursor::request_name(name));
            known || is_there(cursor::file_name(name))
        };
        let damaged: Vec<String> =
            loaded.iter().filter(|l| l.cursor.is_none() && there(&l.name)).map(|l| l.name.clone()).collect();
        let held = ledger.segments.front().map_or(ledger.next_seq, |s| s.first).max(1);
        let mut oldest = oldest_undelivered(&ledger, &loaded);
        if !damaged.is_empty() {
            // Nobody knows what it still needs: for one that may have taken its place that is everything, too.
            oldest = oldest.min(held);
        }
        for Loaded { name, place, cursor, on_disk, dirty } in loaded {
            if damaged.contains(&name) {
                let file = cursor::file_name(&name);
                log::error("spool", format!("`{file}` is damaged: `{name}` is given all that is held once more"));
            }
            let configured = self.settings.receivers.iter().find(|(n, _)| *n == name);
            if configured.is_none() {
                log::warn("spool", format!("there is a cursor for `{name}`, but no such receiver: its events are kept until `spool forget {name}`"));
            }
            let new = || Cursor { next: oldest, filtered: oldest - 1, ..Cursor::default() };
            // What of it may stand on the disk: where it is there no file yet, that nothing has come of it.
            let begun = |c: &Cursor| Cursor { next: c.filtered + 1, filtered: c.filtered, ..Cursor::default() };
            let before = on_disk.unwrap_or_else(|| cursor.as_ref().map_or_else(new, begun));
            let noted = cursor.as_ref().is_some_and(|c| c.others() != before.others());
            let cursor = Cursor { receiver: name.clone(), ..cursor.unwrap_or_else(new) };
            ledger.receivers.push(Receiver {
                // What an earlier worker could not sync may be forgotten yet: it is written anew before the ring says more.
                saved_others: None,
                cursor,
                waits: noted.then(|| (1, Cursor { receiver: name.clone(), ..before })),
                optional: configured.is_some_and(|(_, optional)| *optional),
                live: configured.is_some(),
                place,
                dirty,
                saved: 0,
                synced: 0,
                dropping: false,
                held: (0, 0),
                oldest_ms: None,
                name,
            });
        }
        account.receivers = ledger.receivers.iter().map(|r| r.name.clone()).take(limits::STATE_RECEIVERS).collect();
        Ok(())
    }

    /// What stands in the small files has a copy in memory from the beginning: should they go before anything in them
    /// changes, the next worker knows what it lacks.
    fn remember_all(&self) {
        if self.memory.is_none() {
            return;
        }
        if let Err(e) = self.state_to_memory() {
            log::debug("spool", format!("the state is not kept in memory: {e}"));
        }
        self.lock().receivers.iter_mut().for_each(|r| self.keep_in_memory(r));
    }

    /// A new state is written at once, while there is room for its copies: a full disk can be emptied only when it can be
    /// written. Not when the spool is opened: the database must not wait for its syncs.
    pub fn save_new_state(&self) {
        let new = self.state.lock().place.is_new();
        if new {
            self.save_state(true);
        }
    }

    /// A receiver that has no cursor yet has one on the platter before anything is delivered: else the next start takes it
    /// for new, beside others that have come further, and skips what it lacks.
    fn save_new_cursors(&self) {
        let receivers = self.receivers();
        let new: Vec<&Receiver> = receivers.iter().filter(|r| r.place.turn == 0).collect();
        if new.is_empty() {
            return;
        }
        let most = new.iter().map(|r| r.cursor.next).max().unwrap_or(0);
        if let Err(e) = self.sync_cursors(most).and_then(|_| self.disk.sync_names()) {
            log::warn("spool", format!("new cursors in `{}` may not survive a power cut: {e}", self.place()));
        }
    }

    /// A cursor as its file has it, or further where that is known from elsewhere: then its file is to be written.
    fn load_cursor(&self, name: String) -> io::Result<Loaded> {
        let file = cursor::file_name(&name);
        let room = limits::CURSOR_SLOT_BYTES;
        let (place, copies) = newest_copies(&*self.disk, &*self.memory_disk, &file, room)?;
        let cursor_of = |(_, bytes): (u64, Vec<u8>)| Cursor::load(&bytes).filter(|c| c.is_of(&name));
        let [on_disk, in_memory] = copies.map(|copy| copy.and_then(cursor_of));
        // No cursor ever goes back, and what the disk may say can be less than what is so.
        let mut cursor = on_disk.clone().into_iter().chain(in_memory).max_by_key(|c| c.next);
        // A worker before us may have come further than its last tick wrote.
        let further = self.memory.as_ref().and_then(|m| m.remembered(self.memory_key(&name)));
        let mut dirty = cursor.is_none();
        if let (Some(c), Some(next)) = (cursor.as_mut(), further) {
            dirty |= next > c.next;
            c.delivered += next.saturating_sub(c.next);
            c.next = c.next.max(next);
        }
        Ok(Loaded { name, place, cursor, on_disk, dirty })
    }

    /// Numbers that must agree do: records that a power cut took count as read, and no number is given twice.
    fn settle(&mut self) {
        let next_seq = self.lock().next_seq;
        let mut account = self.account();
        let c = &mut account.counters;
        let known = c.read + c.own - c.dropped.min(c.read);
        c.read += (next_seq - 1).saturating_sub(known);
        account.seq = next_seq - 1;
        drop(account);
        let mut ledger = self.lock();
        for r in ledger.receivers.iter_mut() {
            let c = &mut r.cursor;
            let accounted = c.delivered + c.quarantined + c.dropped + c.filtered;
            if accounted != c.next - 1 {
                // A damaged or older file: what is not accounted for was before its time.
                c.filtered = (c.next - 1).saturating_sub(c.delivered + c.quarantined + c.dropped);
                if c.delivered + c.quarantined + c.dropped > c.next - 1 {
                    c.delivered = c.next - 1 - c.quarantined.min(c.next - 1);
                    (c.quarantined, c.dropped, c.filtered) = (c.next - 1 - c.delivered, 0, 0);
                }
                r.dirty = true;
            }
        }
    }
}

/// A cursor's name, where its versions stand, what the newest one says and the newest on the disk, and whether that is to
/// be written.
struct Loaded {
    name: String,
    place: slots::Place,
    cursor: Option<Cursor>,
    on_disk: Option<Cursor>,
    dirty: bool,
}

/// Where a new receiver begins: the oldest record that somebody still needs, or the end.
fn oldest_undelivered(ledger: &Ledger, loaded: &[Loaded]) -> u64 {
    let oldest_held = ledger.segments.front().map_or(ledger.next_seq, |s| s.first);
    match loaded.iter().filter_map(|l| l.cursor.as_ref().map(|c| c.next)).min() {
        Some(next) => next.max(1),
        None => oldest_held.max(1),
    }
}

fn load_state(disk: &dyn Disk, memory_disk: &dyn Disk) -> io::Result<(StateFile, Account)> {
    let (place, copies) = newest_copies(disk, memory_disk, names::STATE, limits::STATE_SLOT_BYTES)?;
    let loaded = copies.map(|copy| copy.and_then(|(turn, bytes)| Some((turn, Account::load(&bytes)?))));
    let there = loaded[0].clone().map(|(_, account)| account).unwrap_or_default();
    let newest = loaded.into_iter().flatten().max_by_key(|(turn, a)| (!a.behind, a.version, *turn));
    let mut account = newest.map(|(_, account)| account).unwrap_or_default();
    account.behind = false;
    Ok((StateFile { place, there, notes: 0 }, account))
}

/// The segments of one store, by what their heads say.
fn segments_of(disk: &dyn Disk, store: Store, files: &[Entry], settings: &Settings) -> Result<Vec<Segment>, Refusal> {
    let mut all = Vec::new();
    for f in files.iter().filter(|f| f.name.ends_with(names::UNBORN)) {
        let _ = disk.remove(&f.name);
    }
    for f in files.iter().filter(|f| f.name.ends_with(".seg")) {
        let mut bytes = vec![0; RECORDS_AT as usize];
        let got = disk.read_at(&f.name, 0, &mut bytes)?;
        let head = match (Front::of(&bytes[..got]), number_of(&f.name)) {
            (Front::Whole(head, _), _) => head,
            (Front::Foreign, _) => return Err(Refusal::Foreign(format!("`{}` is of another version", f.name))),
            (Front::Damaged, Some(first_seq)) => {
                let packed = without_head(disk, &f.name);
                Head { first_seq, identity: settings.identity.clone(), packed, ..Head::default() }
            }
            // The head was being written: there can be no record. An empty file is nothing to keep.
            (Front::Short, _) | (Front::Damaged, None) => {
                discard(disk, store, f);
                continue;
            }
        };
        all.push(Segment {
            name: f.name.clone(),
            store,
            first: head.first_seq,
            next: head.first_seq,
            bytes: head.packed.map_or(f.bytes.max(RECORDS_AT), |p| p.plain),
            packed: head.packed.map(|_| f.bytes),
            stays_plain: false,
            // The worker that wrote it may have died before it was synced.
            synced: if store == Store::Memory { f.bytes } else { 0 },
            durable: 0,
            renew: false,
            replaces: Vec::new(),
            acked_ms: None,
            head: Arc::new(head),
        });
    }
    Ok(all)
}

/// What a write that failed has left behind the end of a segment, and could not be cut off, is no record of it.
fn cut_off(memory_disk: &dyn Disk, segments: &mut [Segment]) -> io::Result<Vec<(String, u64)>> {
    let mut obsolete = Vec::new();
    for s in segments {
        let known = read_all(memory_disk, &names::cut_name(&s.name), 8)?;
        let Some(to) = known.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?))) else { continue };
        s.bytes = s.bytes.min(to.max(RECORDS_AT));
        obsolete.push((s.name.clone(), to));
    }
    Ok(obsolete)
}

/// Removes what holds nothing, sets aside what may.
fn discard(disk: &dyn Disk, store: Store, f: &Entry) {
    let done = if f.bytes == 0 || store == Store::Memory {
        disk.remove(&f.name)
    } else {
        log::error("spool", format!("`{}` has no readable head and is set aside as `{}.bad`", f.name, f.name));
        disk.rename(&f.name, &format!("{}.bad", f.name))
    };
    if let Err(e) = done {
        log::warn("spool", format!("cannot set `{}` aside: {e}", f.name));
    }
}

/// In the order of their records. Of two that begin with the same record the one that holds more whole ones stays; of
/// equals that in memory, for it is there only while the one on disk is not known to be on the platter. What was packed is
/// removed only when the packed one is whole.
fn in_order(disk: &dyn Disk, memory_disk: &dyn Disk, mut segments: Vec<Segment>) -> Vec<Segment> {
    sorted::by_key(&mut segments, |s| s.first);
    let mut kept: Vec<Segment> = Vec::with_capacity(segments.len());
    for s in segments {
        let Some(k) = kept.last_mut().filter(|k| k.first == s.first) else {
            kept.push(s);
            continue;
        };
        let store = |s: &Segment| if s.store == Store::Disk { disk } else { memory_disk };
        let whole = |s: &Segment| whole_records(store(s), &s.name, &s.head, s.bytes);
        let rank = |s: &Segment| (whole(s), s.store == Store::Memory, edition_of(&s.name));
        let (old, new) = (rank(k), rank(&s));
        let lesser = if new > old { std::mem::replace(k, s) } else { s };
        if old.0 == new.0 && (k.packed.is_some() || lesser.packed.is_some()) && lesser.store == k.store {
            // The worker that packed it died before one of them went. Not before the other one is on the platter.
            let safe = disk.sync(&k.name).and_then(|()| disk.sync_names());
            let _ = safe.and_then(|()| disk.remove(&lesser.name));
            continue;
        }
        log::warn("spool", format!("`{}` holds the same records as `{}` and is set aside", lesser.name, k.name));
        k.replaces.extend(lesser.replaces.iter().cloned());
        match (lesser.store, k.store) {
            (Store::Disk, Store::Memory) => k.replaces.push((lesser.name, 0)),
            (Store::Memory, _) => {
                if disk.sync(&k.name).and_then(|()| disk.sync_names()).is_ok() {
                    let _ = memory_disk.remove(&lesser.name);
                }
            }
            // Not before the better one is on the platter: this one may be there already.
            (Store::Disk, Store::Disk) => {
                let safe = disk.sync(&k.name).and_then(|()| disk.sync_names());
                let _ = safe.and_then(|()| disk.rename(&lesser.name, &format!("{}.bad", lesser.name)));
            }
        }
    }
    kept
}

/// How many whole records a segment's file holds.
pub fn whole_records(disk: &dyn Disk, name: &str, head: &Head, bytes: u64) -> u64 {
    let (mut walk, mut count) = (Walk::start(), 0);
    loop {
        match walk.next(disk, name, head, bytes) {
            Ok(Found::Record(_)) => count += 1,
            Ok(Found::Damage(..)) => {}
            Ok(Found::Torn(_) | Found::End) | Err(_) => return count,
        }
    }
}

#[cfg(test)]
mod tests;
