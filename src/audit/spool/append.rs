//! Writing to the spool: the one appender, new segments, room, and what gives way when there is none.

use super::cursor::Fate;
use super::disk::Disk;
use super::names::edition_of;
use super::record::{self, Head, New, RECORDS_AT};
use super::walk::{Found, Walk};
use super::{names, Segment, Spool, Store};
use crate::audit::record::account::Account;
use crate::audit::record::loss::Loss;
use crate::audit::record::mark::Mark;
use crate::audit::record::Kind;
use crate::limits;
use crate::log;
use crate::sys::crash;
use std::sync::Arc;

/// The writer's place in the spool.
#[derive(Debug, Default)]
pub struct Appender {
    open: Option<Open>,
    out: Vec<u8>,
    made: u64,
}

#[derive(Debug)]
struct Open {
    name: String,
    store: Store,
    head: Arc<Head>,
    /// 0: the head is not written yet.
    bytes: u64,
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// How much room there is for new records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Enough.
    Enough,
    /// Only the last tenth.
    LastTenth,
    /// None.
    None,
}

impl Spool {
    /// Writes records, which are of the stream `epoch`; gives the number of the first. With `NoRoom` nothing was written, and
    /// it can be tried again. `beyond`: the bound does not count any more (the disk's own does).
    pub fn append(
        &self,
        a: &mut Appender,
        epoch: u64,
        news: &[New<'_>],
        now_ms: i64,
        beyond: bool,
    ) -> Result<u64, NoRoom> {
        let need = self.need_of(news.iter().map(|n| n.raw.len()));
        let Some(first) = news.first() else { return Ok(self.next_seq()) };
        // Disk, then memory when the disk fails: never a third try.
        for _ in 0..2 {
            if !beyond && self.room_for(need) == Room::None {
                return Err(NoRoom);
            }
            let (seq, store, anew) = {
                let mut l = self.lock();
                l.writing = true;
                (
                    l.next_seq,
                    if l.disk_bad.is_some() { Store::Memory } else { Store::Disk },
                    std::mem::take(&mut l.begin_anew),
                )
            };
            let last = news.last().unwrap_or(first);
            let begin = Mark { epoch, position: first.stream };
            a.prepare(self, store, anew, seq, begin, now_ms, need, (seq + news.len() as u64, last.stream));
            let Some(open) = a.open.as_mut() else {
                self.lock().writing = false;
                return Err(NoRoom);
            };
            a.out.clear();
            if open.bytes == 0 {
                a.out.extend_from_slice(&open.head.encode());
            }
            for (i, n) in news.iter().enumerate() {
                record::encode(&mut a.out, &open.head, seq + i as u64, n);
            }
            crash::torn("append.torn", &a.out, |half| drop(self.store(store).write_at(&open.name, open.bytes, half)));
            match self.store(store).write_at(&open.name, open.bytes, &a.out) {
                Ok(()) => {
                    crash::point("append.written");
                    open.bytes += a.out.len() as u64;
                    self.enter(open, seq, news.len() as u64);
                    crash::point("append.entered");
                    return Ok(seq);
                }
                Err(e) => {
                    self.cut_off(open);
                    a.open = None;
                    self.lock().writing = false;
                    if store == Store::Memory {
                        return Err(NoRoom);
                    }
                    self.disk_failed("write", &e);
                }
            }
        }
        Err(NoRoom)
    }

    /// What a write that failed has written is cut off again, best effort: behind the known length nobody reads.
    fn cut_off(&self, open: &Open) {
        let cut = self.store(open.store).truncate(&open.name, open.bytes);
        if open.bytes == 0 {
            let _ = self.store(open.store).remove(&open.name);
        } else if cut.is_err() && open.store == Store::Disk {
            // The next worker must not take them for records: the same go elsewhere now, or are dropped.
            let _ = self.memory_disk.write_at(&names::cut_name(&open.name), 0, &open.bytes.to_le_bytes());
            self.lock().obsolete.push((open.name.clone(), open.bytes));
        }
    }

    /// Nothing will be written for a while: what lies in memory may come back to the disk.
    pub fn pause(&self, a: &mut Appender) {
        if a.open.as_ref().is_some_and(|o| o.store == Store::Memory) {
            a.open = None;
            self.lock().active = None;
        }
    }

    /// The ledger learns of what was written.
    fn enter(&self, open: &Open, seq: u64, count: u64) {
        let mut ledger = self.lock();
        ledger.writing = false;
        ledger.next_seq = seq + count;
        match ledger.segments.back_mut().filter(|s| s.name == open.name) {
            Some(s) => {
                s.bytes = open.bytes;
                s.next = seq + count;
            }
            None => {
                ledger.segments.push_back(Segment {
                    name: open.name.clone(),
                    store: open.store,
                    first: seq,
                    next: seq + count,
                    bytes: open.bytes,
                    packed: None,
                    stays_plain: false,
                    synced: 0,
                    durable: 0,
                    renew: false,
                    replaces: Vec::new(),
                    acked_ms: None,
                    head: open.head.clone(),
                });
                ledger.active = Some(open.name.clone());
                ledger.names_dirty |= open.store == Store::Disk;
            }
        }
        drop(ledger);
        self.news.notify_all();
    }

    /// How much room there is for `need` bytes, after what may give way has given way.
    pub fn room_for(&self, need: u64) -> Room {
        let head = RECORDS_AT;
        for attempt in 0..3 {
            let (over, tenth, retained) = {
                let ledger = self.lock();
                let memory = ledger.disk_bad.is_some();
                let acked = ledger.acked_before(false);
                let sum = |f: &dyn Fn(&&Segment) -> bool| -> u64 {
                    ledger.segments.iter().filter(f).map(Segment::size).sum::<u64>() + need + head
                };
                let counts = |s: &&Segment| !memory || s.store == Store::Memory;
                let retained = sum(&|s| counts(s) && s.next <= acked) - need - head;
                // Segments in memory are copied to the disk when it works again, beside those that are there. The bound counts
                // both: a disk that fails again and again must not fill itself that way.
                let bound = self.settings.max;
                let takes = ledger.disk_takes.map_or(bound, |(takes, _)| takes.min(bound));
                let (all, max) =
                    if memory { (bound + self.settings.memory_max, self.settings.memory_max) } else { (takes, takes) };
                let over = sum(&counts).saturating_sub(max).max(sum(&|_| true).saturating_sub(all));
                (over, sum(&counts) > max - max / 10, retained)
            };
            if over == 0 {
                return if tenth && retained == 0 { Room::LastTenth } else { Room::Enough };
            }
            match attempt {
                0 => self.remove_acked(over, i64::MAX),
                1 => self.drop_optional(over),
                _ => {}
            }
        }
        Room::None
    }

    /// Receivers that may not pin lose their oldest records until `bytes` are free, or they hold nothing any more.
    fn drop_optional(&self, bytes: u64) {
        let mut freed = 0;
        while freed < bytes {
            let mut ledger = self.lock();
            let pinned = ledger.acked_before(true);
            let active = ledger.active.clone();
            let Some(s) = ledger.segments.front().cloned() else { break };
            if s.next > pinned || Some(&s.name) == active.as_ref() {
                break;
            }
            for r in ledger.receivers.iter_mut().filter(|r| r.optional && r.cursor.next < s.next) {
                let gone = s.next - r.cursor.next.max(s.first).min(s.next);
                if self.seals.excuses {
                    r.cursor.excused.add(Fate::Dropped, r.cursor.next, s.next - 1);
                }
                r.cursor.dropped += s.next - r.cursor.next;
                r.cursor.next = s.next;
                r.dirty = true;
                if !std::mem::replace(&mut r.dropping, true) {
                    log::error(
                        "spool",
                        format!(
                            "the optional receiver `{}` loses its oldest events: the spool is full ({gone} so far)",
                            r.name
                        ),
                    );
                }
            }
            freed += s.size();
            drop(ledger);
            crash::point("drop-optional.passed");
            self.save_cursors();
            self.remove_acked(s.size(), i64::MAX);
        }
    }

    /// `drop-oldest`: the oldest segment goes, for everyone; what was dropped is noted in the account. False when there
    /// is none, or dropping it would make no room.
    pub fn drop_oldest(&self) -> bool {
        let Some(s) = self.droppable() else { return false };
        let from = {
            // A sender whose events come through at this moment takes them back from the note before or after, never between.
            let mut account = self.account();
            let from = {
                let mut ledger = self.lock();
                if Some(&s.name) == ledger.active.as_ref() {
                    ledger.begin_anew = true;
                    ledger.active = None;
                }
                ledger.acked_before(false).max(account.dropped_to)
            };
            let losses = self.note_ids(&mut account, &s, from);
            let mut ledger = self.lock();
            ledger.losses.extend(losses);
            ledger.notes += 1;
            from
        };
        crash::point("drop-oldest.noted");
        // What is dropped is told whatever happens now: a worker that finds this in the state finishes what we began.
        self.put_drop(Some((&s, from)));
        crash::point("drop-oldest.saved");
        self.drop_before(s.next);
        self.save_cursors();
        crash::point("drop-oldest.passed");
        self.remove_acked(s.size(), i64::MAX);
        let mut ledger = self.lock();
        ledger.try_disk = ledger.disk_bad.is_some() && !ledger.more_than_the_disk_takes();
        true
    }

    /// The oldest segment, if dropping it makes room. While the disk fails new records go to memory, so a segment in memory
    /// makes room for them. A segment on the disk does so only when the disk works or is full. A drop must be noted on the
    /// disk before the file goes; where the note cannot be kept, the file stays.
    fn droppable(&self) -> Option<Segment> {
        let (s, failing, full) = {
            let ledger = self.lock();
            (ledger.segments.front().cloned()?, ledger.disk_bad.is_some(), ledger.more_than_the_disk_takes())
        };
        let makes_room = match s.store {
            Store::Memory if failing => true,
            Store::Disk if failing && !full => false,
            _ => self.can_note(s.next),
        };
        makes_room.then_some(s)
    }

    /// Cursors that are not past the records before `seq` go there: these are dropped.
    pub(super) fn drop_before(&self, seq: u64) {
        let mut ledger = self.lock();
        let (notes, saved) = (ledger.notes, ledger.notes_saved);
        for r in ledger.receivers.iter_mut().filter(|r| r.cursor.next < seq) {
            r.waits_for(notes, saved);
            if self.seals.excuses {
                r.cursor.excused.add(Fate::Dropped, r.cursor.next, seq - 1);
            }
            r.cursor.dropped += seq - r.cursor.next;
            r.cursor.next = seq;
            r.dirty = true;
        }
    }

    /// Which events a segment holds from record `from` on, for the event that tells of their loss. Gives what is to be found
    /// missing again, since the event that told of it is among them.
    pub(super) fn note_ids(&self, account: &mut Account, s: &Segment, from: u64) -> Vec<Loss> {
        // The next record that is not looked at yet.
        let (mut next, mut losses) = (from, Vec::new());
        let mut walk = Walk::start();
        // It goes now: what cannot be read now is never read.
        walk.accept_holes();
        let disk = self.store(s.store);
        let mut s = s.clone();
        loop {
            match walk.next(disk, &s.name, &s.head, s.bytes) {
                Ok(Found::Record(m)) if (next..s.next).contains(&m.seq) => {
                    account.note_unseen(next, m.seq);
                    next = m.seq + 1;
                    if m.kind == Kind::Own {
                        let range = account.untold(walk.record(m).raw);
                        losses.extend(range.map(|(from, to)| Loss { from, to, before: None, after: None }));
                    } else {
                        let event = walk.record(m).number().filter(|_| m.part <= 1);
                        account.note_dropped(event);
                    }
                }
                Ok(Found::Record(_) | Found::Damage(..)) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && self.packed_meanwhile(&mut s) => {
                    walk.look_again()
                }
                // What the disk does not give is told by its number.
                Ok(Found::Torn(_) | Found::End) | Err(_) => break,
            }
        }
        account.note_unseen(next, s.next);
        account.dropped_to = s.next;
        losses
    }
}

impl Appender {
    /// Gives back the memory of large portions.
    pub fn rest(&mut self) {
        self.out = Vec::new();
    }

    /// Makes sure that a segment is open that these records fit.
    #[allow(clippy::too_many_arguments)]
    fn prepare(
        &mut self,
        spool: &Spool,
        store: Store,
        anew: bool,
        seq: u64,
        begin: Mark,
        now_ms: i64,
        need: u64,
        (end_seq, end_stream): (u64, u64),
    ) {
        let most = spool.settings.segment_bytes().min(if store == Store::Memory {
            limits::SEGMENT_BYTES.0 * 16
        } else {
            u64::MAX
        });
        let fits = |o: &Open| {
            o.store == store
                && o.head.epoch == begin.epoch
                && (o.bytes + need <= most || o.bytes <= RECORDS_AT)
                && o.head.reaches(end_seq, end_stream, now_ms)
                && o.head.reaches(seq, begin.position, now_ms)
        };
        if !anew && self.open.as_ref().is_some_and(fits) {
            return;
        }
        self.made += 1;
        let head = Head {
            first_seq: seq,
            epoch: begin.epoch,
            stream: begin.position,
            created_ms: now_ms,
            identity: spool.settings.identity.clone(),
            last: spool.account().last,
            packed: None,
            seal: spool.stream(),
        };
        // The number at the end tells a segment from another one that began with the same record and is still there.
        let name = spool.free_name(seq, false);
        crash::point("append.begun");
        self.open = Some(Open { name, store, head: Arc::new(head), bytes: 0 });
    }
}

impl Spool {
    /// A file name for a segment that begins with `seq`, later than those of the ledger. Who packs works beside all others, and
    /// has names of his own: another file under the name that he was given would be taken for his.
    pub(super) fn free_name(&self, seq: u64, packs: bool) -> String {
        let known: Vec<String> = {
            let ledger = self.lock();
            ledger.segments.iter().filter(|s| s.first == seq).map(|s| s.name.clone()).collect()
        };
        // Files that the ledger does not know may hold the only copy that survives a power cut.
        let there = |disk: &dyn Disk, name: &str| match disk.read_at(name, 0, &mut [0; 1]) {
            Ok(_) => true,
            Err(e) => e.kind() != std::io::ErrorKind::NotFound,
        };
        let taken =
            |name: &str| known.iter().any(|k| k == name) || there(&*self.disk, name) || there(&*self.memory_disk, name);
        let plain = format!("{seq:020}.seg");
        if known.is_empty() && !packs && !taken(&plain) {
            return plain;
        }
        let last = known.iter().map(|name| edition_of(name)).max().unwrap_or(0);
        let mine = (last + 1..limits::NAME_TRIES).filter(|n| packs == (n % 2 == 1));
        let numbered = mine.map(|n| format!("{seq:020}-{n}.seg")).find(|n| !taken(n));
        numbered.unwrap_or(plain)
    }
}
