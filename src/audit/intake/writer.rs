//! From the cushion into the spool: separates records, numbers them, tells what is missing. The only writer.
//!
//! `step` works off a stretch of input and says how much of it is done; the bytes leave the cushion only then. So a worker
//! that dies between two instructions finds them again, and what it had written already it knows by the stream position
//! in the spool. Refuses: to drop anything that `--spool-full` does not tell it to, and that without a count.

use crate::audit::alarm::AlarmKind;
use crate::audit::intake::prefetch::Found;
use crate::audit::intake::skips::Skips;
use crate::audit::record::gap_event::{GapEvent, Reason};
use crate::audit::record::loss::Loss;
use crate::audit::record::mark::Mark;
use crate::audit::record::{self, Ending, Facts, Item, Kind, Severity, Splitter};
use crate::audit::seal::Form;
use crate::audit::spool::append::{Appender, Room};
use crate::audit::spool::orphans::Orphans;
use crate::audit::spool::record::New;
use crate::audit::spool::{Full, Spool};
use crate::json::Span;
use crate::sys::crash::{self, Victim};
use crate::{limits, log};
use std::sync::Arc;

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// So many bytes are worked off (0: there is no whole record).
    Bytes(usize),
    /// The spool is full, and the database shall wait.
    Blocked,
}

/// The writer.
pub struct Writer {
    spool: Arc<Spool>,
    appender: Appender,
    splitter: Splitter,
    items: Vec<Item>,
    /// The room for those of them that are written; nothing is in it between two writes.
    news: Vec<New<'static>>,
    own: Vec<GapEvent>,
    /// The next record is given as mere bytes: workers have died of it.
    pub opaque: bool,
    /// Records are taken one by one: a worker has died of its own fault hereabouts, and the next death shall tell of which.
    pub careful: bool,
    /// The bound of the spool does not count any more: the end has come, and the cushion must be somewhere.
    pub last_call: bool,
    blocked: bool,
    /// When something was last dropped, while an episode of dropping lasts.
    dropping: Option<i64>,
    chunk: usize,
    sync_each: bool,
    /// There was no room for a post of the sealer.
    pub post_waits: bool,
    /// A record of ours was written that nobody has noted for the next worker.
    pub posted: bool,
    /// What orphans leave to be told here.
    pub orphans: Arc<Orphans>,
    /// What the source leaves to be told.
    pub skips: Option<Arc<Skips>>,
}

impl Writer {
    /// For a spool that was opened; `sync_each`: `--sync always`.
    pub fn new(spool: Arc<Spool>, event_max: usize, sync_each: bool) -> Writer {
        let pieces = spool.account().pieces;
        let leaves = spool.settings.sealing.as_ref().is_some_and(|s| s.algorithm.is_quick());
        // Not more than a segment at once: what must be dropped is dropped in small portions.
        let chunk = limits::CHUNK_BYTES.min(spool.settings.segment_bytes() as usize);
        Writer {
            spool,
            appender: Appender::default(),
            splitter: Splitter::new(event_max, pieces).for_leaves(leaves),
            items: Vec::new(),
            news: Vec::new(),
            own: Vec::new(),
            opaque: false,
            careful: false,
            last_call: false,
            blocked: false,
            dropping: None,
            chunk,
            sync_each,
            post_waits: false,
            posted: false,
            orphans: Arc::default(),
            skips: None,
        }
    }

    /// What is read first stands here: it goes on with the line at hand, or that one is over.
    pub fn begin(&mut self, at: Mark) {
        let mark = self.spool.account().mark;
        if self.splitter.pieces() > 0 && mark.rereads() && mark != at {
            self.spool.begin_another_input();
            self.splitter = self.splitter.at(0);
        }
    }

    /// Works off records at the beginning of `data`, which begins at `base`.
    pub fn step(&mut self, data: &[u8], base: Mark, ending: Ending, now_ms: i64) -> Done {
        let used = self.separate(data, ending);
        self.settle(used, data, base, now_ms)
    }

    /// The first half of a step: finds records; how many bytes they are.
    pub fn separate(&mut self, data: &[u8], ending: Ending) -> usize {
        let small = data.len() <= self.chunk;
        let most = if self.careful { 1 } else { limits::CHUNK_RECORDS };
        let mut used = self.split(&data[..data.len().min(self.chunk)], if small { ending } else { Ending::Open }, most);
        if used == 0 && !small {
            used = self.split(data, ending, most);
        }
        used
    }

    /// The same, where somebody has found them already; gives the list of the step before back.
    pub fn take_found(&mut self, found: Found) -> (usize, Vec<Item>) {
        self.splitter = found.splitter;
        (found.used, std::mem::replace(&mut self.items, found.items))
    }

    /// The stretch of input that may be separated while this one is written: how long it is; 0: none now.
    pub fn prefetch_bytes(&self) -> usize {
        if self.opaque || self.careful {
            0
        } else {
            self.chunk
        }
    }

    /// Nothing has come for a while: the memory of the last flood is given back.
    pub fn rest(&mut self) {
        self.items = Vec::new();
        self.own.shrink_to_fit();
        self.appender.rest();
    }

    /// From now on the input is entries of journald, or not.
    pub fn take_entries(&mut self, entries: bool) {
        self.splitter = self.splitter.clone().with_entries(entries);
    }

    /// Where the separating stands.
    pub fn splitter(&self) -> &Splitter {
        &self.splitter
    }

    /// The second half of a step: what was found goes into the spool.
    pub fn settle(&mut self, used: usize, data: &[u8], base: Mark, now_ms: i64) -> Done {
        self.tell(now_ms, base, false);
        if self.items.is_empty() {
            return Done::Bytes(used);
        }
        let items = std::mem::take(&mut self.items);
        let portion = self.portion(&items);
        let done = self.put(portion, data, base, now_ms);
        let all = portion.len() == items.len();
        let end = portion.last().map_or(used, |i| i.end);
        self.items = items;
        if done.is_err() || !all {
            // The other pieces of this line are not out after all.
            self.splitter = self.splitter.at(self.spool.account().pieces);
        }
        match done {
            Ok(()) => Done::Bytes(if all { used } else { end }),
            Err(()) => Done::Blocked,
        }
    }

    /// What is put at once: the pieces of a long line may be more than the whole spool holds.
    fn portion<'a>(&self, items: &'a [Item]) -> &'a [Item] {
        let mut bytes = 0;
        let over = items.iter().position(|i| {
            bytes += i.raw.to - i.raw.from;
            bytes > self.chunk
        });
        &items[..over.map_or(items.len(), |n| n.max(1))]
    }

    fn split(&mut self, data: &[u8], ending: Ending, most: usize) -> usize {
        self.items.clear();
        if self.opaque {
            let end = memchr::memchr(b'\n', data).map_or(data.len(), |n| n + 1);
            self.opaque = false;
            let raw = Span { from: 0, to: end - usize::from(data[..end].ends_with(b"\n")) };
            self.items.push(Item { raw, end, facts: Facts::opaque(), part: 0, parts: 0, canonical: false });
            return end;
        }
        let used = self.splitter.split(data, ending, most, &mut self.items);
        crash::poison(Victim::Parser, self.items.iter().map(|i| i.raw.of(data)));
        used
    }

    /// Records into the spool, or dropped as the policy says. `Err`: the database shall wait.
    fn put(&mut self, items: &[Item], data: &[u8], base: Mark, now_ms: i64) -> Result<(), ()> {
        let need = self.need_of(items);
        let policy = self.spool.settings.full;
        let room = match self.spool.room_for(need) {
            Room::None if self.last_call => Room::Enough,
            room => room,
        };
        match (room, policy) {
            (Room::Enough, _) | (Room::LastTenth, Full::Block | Full::DropOldest) => {
                self.write(items, data, base, now_ms, |_| true)
            }
            (Room::LastTenth, Full::DropNewest) => {
                self.write(items, data, base, now_ms, |i| i.facts.severity_as_delivered() == Severity::High)
            }
            (Room::None, Full::DropNewest) => self.write(items, data, base, now_ms, |_| false),
            (Room::None, Full::DropOldest) => {
                self.make_room(need, now_ms);
                self.write(items, data, base, now_ms, |_| true)
            }
            (Room::None, Full::Block) => {
                self.spool.pause(&mut self.appender);
                if !std::mem::replace(&mut self.blocked, true) {
                    let text = "the spool is full and a receiver does not take events: reading stops, and the database with it";
                    self.spool.alarm(AlarmKind::SpoolFull, "spool", text);
                }
                Err(())
            }
        }
    }

    /// The oldest events give way; false when that does not help.
    fn make_room(&mut self, need: u64, now_ms: i64) -> bool {
        self.say_dropping("its oldest events are dropped", now_ms);
        // Each round frees a segment; a spool has few.
        for _ in 0..limits::SEGMENTS * 4 {
            if self.spool.room_for(need) != Room::None {
                return true;
            }
            if !self.spool.drop_oldest() {
                return false;
            }
        }
        false
    }

    fn say_dropping(&mut self, what: &str, now_ms: i64) {
        if self.dropping.replace(now_ms).is_none() {
            let why = match self.spool.sizes().disk_bad {
                None => "the spool is full".to_string(),
                Some(why) => format!("the disk takes nothing ({why}) and memory is full"),
            };
            self.spool.alarm(
                AlarmKind::EventsDropped,
                "spool",
                format!("{why}: {what}, counted, and told as audit_gap"),
            );
        }
    }

    /// Writes those of the items that may be written and accounts for all, in runs of kept and of dropped ones.
    ///
    /// A new worker takes up the input behind the last record in the spool. So what was dropped before a record has to be
    /// in the saved state before that record is written: else a death in between would make it neither read nor dropped.
    fn write(
        &mut self,
        items: &[Item],
        data: &[u8],
        base: Mark,
        now_ms: i64,
        keep: impl Fn(&Item) -> bool,
    ) -> Result<(), ()> {
        let (mut dropped, mut any) = (false, false);
        for run in items.chunk_by(|a, b| keep(a) == keep(b)) {
            if !keep(&run[0]) {
                self.drop_run(run, data, base, now_ms);
                (dropped, any) = (true, true);
                continue;
            }
            if std::mem::take(&mut dropped) {
                self.spool.remember_state();
            }
            let mut news = with_room_of(std::mem::take(&mut self.news));
            news.extend(run.iter().map(|i| new_of(i, data, base, now_ms)));
            let mut done = self.spool.append(&mut self.appender, base.epoch, &news, now_ms, self.last_call);
            // The disk was full just now, and the cushion is: the oldest give way to these.
            if done.is_err()
                && self.spool.settings.full == Full::DropOldest
                && self.make_room(self.need_of(run), now_ms)
            {
                done = self.spool.append(&mut self.appender, base.epoch, &news, now_ms, self.last_call);
            }
            self.news = with_room_of(news);
            match done {
                Ok(first) => {
                    if self.sync_each {
                        self.spool.sync(now_ms);
                    }
                    let before = self.gaps_seen();
                    self.account(run, data, base, now_ms, Some(first));
                    crash::point("append.accounted");
                    // Should these records go, with the account that has seen them, nobody else knows what was missing.
                    if self.gaps_seen() != before {
                        self.spool.remember_state();
                    }
                }
                Err(_) if self.spool.settings.full == Full::Block && !self.last_call => return Err(()),
                Err(_) => {
                    self.drop_run(run, data, base, now_ms);
                    (dropped, any) = (true, true);
                }
            }
        }
        if dropped {
            // What is dropped is in no segment: only the state knows, so it is saved before the bytes are let go.
            self.spool.remember_state();
            crash::point("drop-newest.saved");
        }
        if !any {
            self.calm();
        }
        Ok(())
    }

    /// How often what is missing has become more or less.
    fn gaps_seen(&self) -> u64 {
        let account = self.spool.account();
        account.counters.gaps + account.counters.late
    }

    fn drop_run(&mut self, run: &[Item], data: &[u8], base: Mark, now_ms: i64) {
        self.say_dropping("new events are dropped", now_ms);
        self.account(run, data, base, now_ms, None);
        crash::point("drop-newest.accounted");
    }

    fn calm(&mut self) {
        self.spool.troubles.over(AlarmKind::SpoolFull, "spool");
        if std::mem::take(&mut self.blocked) {
            log::calm("spool");
            log::info("spool", "there is room again: reading goes on");
        }
    }

    /// Takes a run into the account: under the numbers from `first` on, or as dropped.
    fn account(&mut self, run: &[Item], data: &[u8], base: Mark, now_ms: i64, first: Option<u64>) {
        let mut account = self.spool.account();
        let now = now_ms as u64;
        for (n, i) in run.iter().enumerate() {
            let raw = i.raw.of(data);
            match first {
                Some(first) => account.take(first + n as u64, &i.facts, raw, i.part, i.parts, now),
                None => account.drop_new(&i.facts, raw, i.part, i.parts, now),
            }
            if account.gaps.untold() * 2 > limits::GAP_RANGES {
                collect_gaps(&mut account, &mut self.own, now, true);
            }
        }
        if let Some(last) = run.last() {
            account.stand(base.behind(last.end), Some(last.raw.of(data)));
        }
    }

    /// Tells what is missing in events of our own. `force`: also gaps that are younger than the patience.
    pub fn tell(&mut self, now_ms: i64, at: Mark, force: bool) {
        self.put_post(now_ms, at);
        self.tell_of_new_numbers();
        for loss in self.spool.take_losses() {
            self.own.push(damage_event(&loss));
        }
        // Numbers of their spool say nothing in ours.
        let orphaned = self.orphans.take_losses().into_iter().map(|l| GapEvent { spool: None, ..damage_event(&l) });
        self.own.extend(orphaned);
        self.tell_of_gaps(now_ms, force);
        self.put_what_is_told(now_ms, at);
        while let Some(skip) = self.skips.as_ref().filter(|_| self.own.is_empty()).and_then(|s| s.next()) {
            self.own.push(skip);
            if !self.put_what_is_told(now_ms, at) {
                break;
            }
        }
    }

    /// What the numbers say; an episode of dropping is told when it is over, in one event.
    fn tell_of_gaps(&mut self, now_ms: i64, force: bool) {
        let quiet = |last: i64| (now_ms - last).unsigned_abs() > limits::DROP_PAUSE_MILLIS;
        if self.dropping.is_some_and(|last| force || quiet(last)) {
            self.dropping = None;
            log::calm("spool");
        }
        if self.dropping.is_none() {
            self.spool.troubles.over(AlarmKind::EventsDropped, "spool");
        }
        let on_the_way = self.spool.dropped_on_the_way();
        let mut account = self.spool.account();
        if account.gaps.untold() > 0 {
            collect_gaps(&mut account, &mut self.own, now_ms as u64, force);
        }
        if self.dropping.is_some() || on_the_way && !self.last_call {
            return;
        }
        let dropped =
            |from, to, missing| GapEvent { from, to, missing, reason: Reason::Dropped, spool: None, skip: None };
        self.own.extend(account.dropped_to_tell().into_iter().map(|d| dropped(Some(d.from), Some(d.to), d.count)));
        if account.dropped_unknown > 0 {
            self.own.push(dropped(None, None, account.dropped_unknown));
        }
    }

    /// Writes the events of our own. Where there is no room they are told when there is; the account knows what it was.
    /// False: for want of room.
    fn put_what_is_told(&mut self, now_ms: i64, at: Mark) -> bool {
        while let Some(event) = self.own.first().cloned() {
            let raw = event.write(now_ms, self.spool.next_seq());
            if !self.put_own(&raw, at, now_ms) {
                self.own.retain(|e| e.reason == Reason::Damaged);
                return false;
            }
            if let (Some(skips), Some(skip)) = (&self.skips, &event.skip) {
                crash::point("skip.appended");
                skips.told(skip);
            }
            let count = if event.skip.is_some() { "some".into() } else { event.missing.to_string() };
            let text = format!("{count} events {}: {}", event.reason.name(), String::from_utf8_lossy(&raw));
            match event.reason {
                Reason::Lost | Reason::Skipped => {
                    log::warn("gap", &text);
                    self.spool.troubles.fires(AlarmKind::EventLost, "input", &text);
                }
                Reason::Damaged => self.spool.alarm(AlarmKind::Damage, "gap", &text),
                // The episode of dropping was told when it began.
                Reason::Dropped => log::error("gap", &text),
            }
            if event.reason == Reason::Damaged && event.spool.is_none() {
                self.orphans.told_one();
            }
            self.own.remove(0);
        }
        true
    }

    fn tell_of_new_numbers(&self) {
        let Some(id) = self.spool.account().anew.take() else { return };
        let text = "has a number that another event had before: the database was made anew under the same name";
        let text = format!("the event {id} {text}; its numbers are counted from the beginning");
        self.spool.alarm(AlarmKind::EventLost, "gap", text);
    }

    /// What the sealer has posted, in one write. Where there is no room it waits, and nobody for it.
    fn put_post(&mut self, now_ms: i64, at: Mark) {
        let post = self.spool.take_post();
        self.post_waits = false;
        if post.is_empty() {
            return;
        }
        let facts: Vec<Facts> = post.iter().map(|raw| Facts { kind: Kind::Own, ..record::read(raw, false) }).collect();
        // All that the sealer writes has the canonical form.
        let form = Some(Form::Canonical);
        let news = post.iter().zip(&facts).map(|(raw, f)| New { form, ..own(raw, f, at, now_ms) });
        let news: Vec<New<'_>> = news.collect();
        // What is in the way waits for this very post: it is one beyond the bound, and then that goes.
        let beyond = self.last_call || self.spool.waits_for_evidence();
        match self.spool.append(&mut self.appender, at.epoch, &news, now_ms, beyond) {
            Ok(first) => {
                crash::point("seal.appended");
                let mut account = self.spool.account();
                for (n, (raw, f)) in post.iter().zip(&facts).enumerate() {
                    account.take(first + n as u64, f, raw, 0, 0, now_ms as u64);
                }
                drop(account);
                self.posted = true;
                self.spool.post_is_there(first + post.len() as u64, post);
            }
            Err(_) => {
                self.post_waits = true;
                self.spool.give_post_back(post);
            }
        }
    }

    fn need_of(&self, items: &[Item]) -> u64 {
        self.spool.need_of(items.iter().map(|i| i.raw.to - i.raw.from))
    }

    fn put_own(&mut self, raw: &[u8], at: Mark, now_ms: i64) -> bool {
        let mut facts = record::read(raw, false);
        facts.kind = Kind::Own;
        let new = [own(raw, &facts, at, now_ms)];
        match self.spool.append(&mut self.appender, at.epoch, &new, now_ms, self.last_call) {
            Ok(seq) => {
                crash::point("gap.appended");
                self.posted = true;
                self.spool.account().take(seq, &facts, raw, 0, 0, now_ms as u64);
                true
            }
            Err(_) => false,
        }
    }
}

/// A record of ours, which stands where the input stands.
fn own<'a>(raw: &'a [u8], facts: &Facts, at: Mark, read_ms: i64) -> New<'a> {
    let (id, time) = (facts.id, facts.time);
    New { kind: Kind::Own, raw, id, time, part: 0, parts: 0, stream: at.position, read_ms, form: None }
}

/// Nothing, in the room that these had: they are too many to ask for it each time. (What is collected in place keeps it.)
fn with_room_of<'a>(mut news: Vec<New<'_>>) -> Vec<New<'a>> {
    news.clear();
    news.into_iter().map(|n| New { raw: &[], ..n }).collect()
}

fn new_of<'a>(i: &Item, data: &'a [u8], base: Mark, read_ms: i64) -> New<'a> {
    let (raw, stream) = (i.raw.of(data), base.behind(i.end).position);
    let (Facts { kind, id, time, .. }, form) = (i.facts, i.canonical.then_some(Form::Canonical));
    New { kind, raw, id, time, part: i.part, parts: i.parts, stream, read_ms, form }
}

fn collect_gaps(account: &mut crate::audit::record::account::Account, own: &mut Vec<GapEvent>, now: u64, force: bool) {
    for m in account.gaps.due(now, force) {
        let known = own.iter().any(|e| e.reason == Reason::Lost && e.from == Some(m.from));
        if !known {
            let (from, to) = (Some(m.from), Some(m.last()));
            own.push(GapEvent { from, to, missing: m.count(), reason: Reason::Lost, spool: None, skip: None });
        }
    }
}

/// Damage of the spool's disk: which events they were is known where their neighbours are of the same start.
fn damage_event(loss: &Loss) -> GapEvent {
    let missing = loss.to - loss.from + 1;
    let ids = match (loss.before, loss.after) {
        (Some(a), Some(b)) if (a.raft_id, a.gen) == (b.raft_id, b.gen) && b.count > a.count + 1 => {
            let from = record::EventId { count: a.count + 1, ..a };
            Some((from, record::EventId { count: b.count - 1, ..b }))
        }
        _ => None,
    };
    let spool = Some((loss.from, loss.to));
    GapEvent { from: ids.map(|i| i.0), to: ids.map(|i| i.1), missing, reason: Reason::Damaged, spool, skip: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::EventId;
    use crate::audit::spool::disk::Disk;
    use crate::audit::spool::memory_disk::MemoryDisk;
    use crate::audit::spool::record::Identity;
    use crate::audit::spool::Settings;
    use crate::sys::ring::Ring;

    /// Else each piece of a flood would ask the system for it, and give it back.
    #[test]
    fn the_room_of_what_was_written_is_kept() {
        let facts = record::read(b"x", false);
        let mut news = with_room_of(Vec::new());
        news.extend((0..300).map(|_| own(b"x", &facts, Mark::default(), 0)));
        let room = news.capacity();
        let kept: Vec<New<'static>> = with_room_of(news);
        assert_eq!((kept.len(), kept.capacity()), (0, room));
    }

    /// What is missing in the input shows by what comes behind it: should that go before the state is written, the next worker
    /// knows of it all the same.
    #[test]
    fn what_is_missing_in_the_input_is_known_also_where_all_records_go() {
        log::mute();
        let memory = || Arc::new(MemoryDisk::open(MemoryDisk::create().unwrap()).unwrap());
        let (disk, memory_disk) = (memory(), memory());
        let ring = Arc::new(Ring::create(4096, 1).unwrap());
        let open = || {
            let settings = Settings {
                max: 1 << 20,
                full: Full::Block,
                retain_ms: 0,
                memory_max: 1 << 20,
                identity: Identity::default(),
                receivers: vec![("r1".into(), false)],
                owner: None,
                sealing: None,
            };
            Spool::open(disk.clone(), memory_disk.clone(), settings, Some(ring.clone()), 0).unwrap()
        };
        let spool = Arc::new(open());
        let lines = b"{\"id\":\"1.0.1\"}\n{\"id\":\"1.0.4\"}\n{\"id\":\"1.0.5\"}\n";
        Writer::new(spool.clone(), 1 << 20, false).step(lines, (1, 0).into(), Ending::Open, 0);
        spool.note_taken(0);
        drop(spool);
        disk.list().unwrap().iter().for_each(|f| disk.remove(&f.name).unwrap());
        let spool = open();
        let due = spool.account().gaps.due(0, true);
        let id = |count| EventId { raft_id: 1, gen: 0, count };
        assert_eq!(due.iter().map(|m| (m.from, m.to)).collect::<Vec<_>>(), [(id(2), 3)]);
        assert_eq!(spool.account().last, Some(id(5)));
    }
}
