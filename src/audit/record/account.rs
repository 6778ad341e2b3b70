//! ○ What this spool has taken in so far: counters, titles, gaps. Pure; saved with the spool and replayed from it.
//!
//! The state is a function of a saved version and the records after it, so a crash between two savings costs nothing.
//! Refuses: to count for a receiver (cursors do that), to grow without bound.

mod counters;
mod saved;

use crate::audit::record::gap::{Gaps, Missing, Seen};
use crate::audit::record::gap_event::{GapEvent, Reason};
use crate::audit::record::loss::Loss;
use crate::audit::record::mark::Mark;
use crate::audit::record::{frame, is_evidence, EventId, Facts, Kind, Severity};
use crate::hash::{fold, xxh64};
use crate::json;
use crate::limits;
use crate::sorted::{self, Map};
pub use counters::Counters;
use saved::{id_of, losses_of, ranges, tellings_of};
use serde_json::{json, Value};

/// Records of one generation that were dropped since the last event that said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The first of them.
    pub from: EventId,
    /// The last of them.
    pub to: EventId,
    /// How many; fewer than the range when some of it was kept.
    pub count: u64,
}

/// How many of the numbers from there to there are in any of these ranges.
pub fn within(ranges: &[(u64, u64)], from: u64, to: u64) -> u64 {
    ranges.iter().map(|&(a, b)| (b.min(to) + 1).saturating_sub(a.max(from))).sum()
}

/// All that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The last record in it.
    pub seq: u64,
    /// How many records before the next one this account has not taken in, though an earlier one had: they were in memory
    /// alone, or went before the state was saved. Not saved itself.
    pub unread: u64,
    /// Gaps that were taken for those, and whether that can be said. Not saved.
    pub explained: Vec<Missing>,
    doubtful: bool,
    /// The numbers of events have begun anew, as was seen by this one. Not saved.
    pub anew: Option<EventId>,
    /// How many records just before the next one are not there, and will be told of by whoever reads there. Not saved.
    damaged: u64,
    /// How many bytes of the input stood before the next record that are of none: they were read, and dropped. Not saved.
    let_go: u64,
    /// Not all that was taken in is in it: a version in memory that has all counts more.
    pub behind: bool,
    /// The newest events of our own: under which number each is in the spool, and what it says. Should its record go before
    /// everybody had it, that is to be told again.
    tellings: Vec<(u64, String)>,
    /// Counts the savings, wherever to: of two copies that have all the later one counts.
    pub version: u64,
    /// The last event in it.
    pub last: Option<EventId>,
    /// From this record on to the last one each is an event, and each the one behind the one before; 0: that is not so.
    pub run: u64,
    /// Where in the input it stands.
    pub mark: Mark,
    /// The streams before that one, the newest last: what comes of them is a remnant, or was read before.
    pub streams: Vec<u64>,
    /// Records that went with the power, and that come again from what can be read again, under other numbers.
    pub again: Vec<(u64, u64)>,
    /// How long the record is that ends at the mark, and its hash: by that the place is known again in what can change.
    pub at_mark: Option<(u64, u64)>,
    /// Where in the journal of systemd the last record stands that came from there.
    pub cursor: String,
    /// Pieces of the line at hand that are in it.
    pub pieces: u32,
    /// The counters.
    pub counters: Counters,
    /// What is missing.
    pub gaps: Gaps,
    /// Records by title and severity.
    pub titles: Map<(String, Severity), u64>,
    /// Damaged ranges of the spool that were told.
    pub damages: Vec<(u64, u64)>,
    /// Dropped and not told yet.
    pub dropped: Vec<Dropped>,
    /// Dropped, not told yet, and without an id.
    pub dropped_unknown: u64,
    /// The receivers that have cursors: one of them without a cursor is not new.
    pub receivers: Vec<String>,
    /// Records that a reader has found missing, and that no event tells of yet.
    pub losses: Vec<Loss>,
    /// `drop-oldest` has dropped the records before this one: a cursor that is not past them goes there.
    pub dropped_to: u64,
}

impl Account {
    /// Takes in a record that is in the spool under `seq`.
    pub fn take(&mut self, seq: u64, facts: &Facts, raw: &[u8], part: u32, parts: u32, now: u64) {
        let follows = |id: EventId| self.run > 0 && self.seq + 1 == seq && self.last.is_some_and(|l| l.is_before(id));
        self.run = match facts.event.filter(|_| facts.kind != Kind::Own) {
            Some(id) if follows(id) => self.run,
            Some(_) => seq,
            None => 0,
        };
        self.seq = seq;
        if facts.kind == Kind::Own {
            self.counters.own += 1;
            if !is_evidence(facts.kind, facts.id.of(raw)) {
                self.told(raw);
                self.note_telling(seq, raw);
            }
        } else {
            self.pieces = if part == parts { 0 } else { part };
            self.see(facts, raw, part, now);
        }
        self.count_title(facts, raw);
    }

    /// What was taken in last ends here, and is this; none: it is of ours.
    pub fn stand(&mut self, mark: Mark, raw: Option<&[u8]>) {
        if self.mark.epoch != mark.epoch && self.mark.epoch > 0 {
            if self.streams.len() >= limits::STREAMS_KNOWN {
                self.streams.remove(0);
            }
            self.streams.push(self.mark.epoch);
        }
        let same = self.at_mark.filter(|_| self.mark == mark);
        self.at_mark = raw.map_or(same, |raw| Some((raw.len() as u64, xxh64(raw, 0))));
        self.mark = mark;
    }

    /// Whether a record that ends there was taken in before: it is of a write that failed, and that could not be cut off.
    pub fn is_behind(&self, mark: Mark) -> bool {
        match mark.epoch == self.mark.epoch {
            true => mark.position < self.mark.position,
            false => self.streams.contains(&mark.epoch),
        }
    }

    /// Records from there to there are not here, and come again under other numbers: nobody has lost them.
    pub fn expect_again(&mut self, from: u64, to: u64) {
        if self.again.len() >= limits::DAMAGES {
            self.again.remove(0);
        }
        self.again.push((from, to));
    }

    /// The same as it was before what comes again, with the numbers that are given: these go on, and the events do not.
    pub fn going_back(self, to: Account) -> Account {
        Account { seq: self.seq, again: self.again, version: self.version, mark: to.mark.anew(), run: 0, ..to }
    }

    /// The events around these records, where it is known which ones they are.
    pub fn around(&self, from: u64, to: u64) -> Option<(EventId, EventId)> {
        let last = self.last.filter(|_| self.run > 0 && self.run <= from && from <= to && to <= self.seq)?;
        let at = |behind: u64| last.count.checked_sub(behind).map(|count| EventId { count, ..last });
        let before = at(self.seq - from + 1)?;
        Some((before, EventId { count: at(self.seq - to)?.count.checked_add(1)?, ..last }))
    }

    /// Takes in a record that is dropped before it comes into the spool.
    pub fn drop_new(&mut self, facts: &Facts, raw: &[u8], part: u32, parts: u32, now: u64) {
        self.counters.dropped += 1;
        self.run = 0;
        self.pieces = if part == parts { 0 } else { part };
        self.see(facts, raw, part, now);
        self.count_title(facts, raw);
        self.note_dropped(facts.event);
    }

    /// A record that was dropped is in the spool after all, under `seq`.
    pub fn came_back(&mut self, seq: u64, facts: &Facts, part: u32) {
        (self.seq, self.run) = (seq, 0);
        self.counters.dropped = self.counters.dropped.saturating_sub(1);
        self.not_dropped(facts.event.filter(|_| part <= 1));
    }

    /// Remembers a dropped record until an event tells of it.
    pub fn note_dropped(&mut self, id: Option<EventId>) {
        let Some(id) = id else {
            self.dropped_unknown += 1;
            return;
        };
        self.note_range(Dropped { from: id, to: id, count: 1 });
    }

    /// Remembers that the records of the spool from `from` to `to` (not included) are dropped, and that nobody could read
    /// what they were; those that are told as damaged are.
    pub fn note_unseen(&mut self, from: u64, to: u64) {
        // Each record of a segment comes by here.
        if from >= to {
            return;
        }
        let losses = self.losses.iter().map(|l| (l.from, l.to));
        let mut told: Vec<(u64, u64)> = self.damages.iter().copied().chain(losses).collect();
        sorted::sort(&mut told);
        let mut at = from;
        for (first, last) in told {
            self.dropped_unknown += first.min(to).saturating_sub(at);
            at = at.max(last.saturating_add(1));
        }
        self.dropped_unknown += to.saturating_sub(at);
    }

    /// So many bytes of the input stand between the last record and the next one, as far as that is known. What was read is in
    /// a record or was dropped: where the account that knew it is gone, by this it is told from what never came.
    pub fn passed(&mut self, bytes: Option<u64>) {
        self.let_go = bytes.map_or(0, |bytes| self.let_go.saturating_add(bytes));
    }

    /// Records were read and delivered up to this event, and are not here to be taken in: what is missing before it was told
    /// or is not missing.
    pub fn resume_behind(&mut self, last: EventId) {
        if let Seen::Gap(missing) = self.gaps.see(last, 0) {
            self.gaps.told(missing);
            self.explained.push(missing);
        }
        (self.last, self.unread) = (Some(last), 0);
    }

    /// So many records before the next one are gone that nobody was given, and that may have told of what is missing before
    /// them: rather once more than never. What these records were themselves is told as damaged, and that is enough.
    pub fn doubt(&mut self, gone: u64) {
        (self.doubtful, self.damaged) = (true, gone);
        for missing in std::mem::take(&mut self.explained) {
            self.counters.gaps += u64::from(self.gaps.untell(missing));
        }
    }

    /// Ranges without holes, so that what comes through all the same is taken back from the right one; only when there are
    /// too many of them do they grow together.
    fn note_range(&mut self, new: Dropped) {
        let full = self.dropped.len() >= limits::GAP_RANGES;
        let same = |d: &&mut Dropped| (d.from.raft_id, d.from.gen) == (new.from.raft_id, new.from.gen);
        let before = |d: &&mut Dropped| same(d) && d.to.count.checked_add(1) == Some(new.from.count);
        if let Some(d) = self.dropped.iter_mut().rev().find(before) {
            d.to.count = d.to.count.max(new.to.count);
            d.count += new.count;
            return;
        }
        match self.dropped.iter_mut().rev().find(same) {
            Some(d) if full => {
                d.from.count = d.from.count.min(new.from.count);
                d.to.count = d.to.count.max(new.to.count);
                d.count += new.count;
            }
            None if full => self.dropped_unknown += new.count,
            _ => self.dropped.push(new),
        }
        sorted::by_key(&mut self.dropped, |d| (d.from.raft_id, d.from.gen, d.from.count));
    }

    /// What is to be told as dropped: one event for each generation.
    pub fn dropped_to_tell(&self) -> Vec<Dropped> {
        let mut all: Vec<Dropped> = Vec::new();
        for d in &self.dropped {
            match all.last_mut() {
                Some(l) if (l.from.raft_id, l.from.gen) == (d.from.raft_id, d.from.gen) => {
                    l.to.count = l.to.count.max(d.to.count);
                    l.count += d.count;
                }
                _ => all.push(*d),
            }
        }
        all
    }

    /// Takes back what `note_dropped` noted of an event: it came through all the same. What was dropped before and behind it
    /// stays.
    pub fn not_dropped(&mut self, id: Option<EventId>) {
        let Some(id) = id else {
            self.dropped_unknown = self.dropped_unknown.saturating_sub(1);
            return;
        };
        let holds = |d: &Dropped| {
            (d.from.raft_id, d.from.gen) == (id.raft_id, id.gen) && (d.from.count..=d.to.count).contains(&id.count)
        };
        if let Some(i) = self.dropped.iter().position(holds) {
            self.take_out(i, id.count, id.count, 1);
        }
    }

    /// The same of what was not seen to be dropped: only where it is in a range that has no holes.
    fn came_late(&mut self, id: EventId) {
        let holds = |d: &Dropped| {
            (d.from.raft_id, d.from.gen) == (id.raft_id, id.gen)
                && (d.from.count..=d.to.count).contains(&id.count)
                && (d.to.count - d.from.count).checked_add(1) == Some(d.count)
        };
        if let Some(i) = self.dropped.iter().position(holds) {
            self.take_out(i, id.count, id.count, 1);
        }
    }

    /// An event of ours that was dropped, and is to be told again by that, has come through all the same: what it told as
    /// dropped is told. (What it told otherwise has the same document id when it is told again.)
    pub fn came_through(&mut self, raw: &[u8]) {
        let Some(event) = GapEvent::read(raw).filter(|e| e.reason == Reason::Dropped) else { return };
        let Some((from, to)) = event.range() else {
            self.dropped_unknown = self.dropped_unknown.saturating_sub(event.missing);
            return;
        };
        let holds = |d: &Dropped| {
            (d.from.raft_id, d.from.gen) == (from.raft_id, from.gen)
                && d.from.count <= from.count
                && to.count <= d.to.count
        };
        if let Some(i) = self.dropped.iter().position(holds) {
            self.take_out(i, from.count, to.count, event.missing);
        }
    }

    /// `count` events between `from` and `to` leave a range; what is before and behind them stays. Of a range with holes
    /// nobody knows which side loses them: it keeps its ends, and only its count shrinks.
    fn take_out(&mut self, i: usize, from: u64, to: u64, count: u64) {
        let d = self.dropped[i];
        let whole = |from: u64, to: u64| to.checked_sub(from).and_then(|n| n.checked_add(1));
        if whole(d.from.count, d.to.count) != Some(d.count) || whole(from, to) != Some(count) {
            self.dropped[i].count = d.count.saturating_sub(count);
            self.dropped.retain(|d| d.count > 0);
            return;
        }
        self.dropped.remove(i);
        let at = |count: u64| EventId { count, ..d.from };
        if to < d.to.count {
            self.dropped.insert(i, Dropped { from: at(to + 1), to: d.to, count: d.to.count - to });
        }
        if d.from.count < from {
            self.dropped.insert(i, Dropped { from: d.from, to: at(from - 1), count: from - d.from.count });
        }
    }

    /// Whether everything that is missing has been told.
    pub fn all_told(&self) -> bool {
        self.gaps.untold() == 0 && self.dropped.is_empty() && self.dropped_unknown == 0
    }

    /// An own event is dropped before everybody had it: what it told is to be told again. What it told as damaged comes
    /// back, for the reader who finds it next.
    pub fn untold(&mut self, raw: &[u8]) -> Option<(u64, u64)> {
        let event = GapEvent::read(raw)?;
        match (event.reason, event.range()) {
            (Reason::Damaged, _) => {
                let range = event.spool?;
                let before = self.damages.len();
                self.damages.retain(|d| *d != range);
                if self.damages.len() < before {
                    self.counters.damaged -= self.counters.damaged.min(range.1 - range.0 + 1);
                }
                return Some(range);
            }
            (Reason::Lost, Some((from, to))) if self.gaps.untell(Missing { from, to: to.count }) => {}
            // What it told is gone with it: one record, that is known.
            (Reason::Skipped, _) => self.dropped_unknown += 1,
            (_, Some((from, to))) => self.note_range(Dropped { from, to, count: event.missing }),
            (_, None) => self.dropped_unknown += event.missing,
        }
        None
    }

    fn see(&mut self, facts: &Facts, raw: &[u8], part: u32, now: u64) {
        self.follow(raw);
        let c = &mut self.counters;
        c.read += 1;
        c.truncated += u64::from(facts.kind == Kind::Cut);
        c.unparsed += u64::from(facts.kind == Kind::Unparsed);
        let Some(id) = facts.event else { return };
        self.last = Some(id);
        // Another piece of one may be cut elsewhere the next time.
        match self.gaps.see_whole(id, now, || (part == 0).then(|| u64::from(fold(xxh64(raw, 0))))) {
            Seen::Anew(gaps) => {
                c.gaps += gaps;
                self.anew = Some(id);
            }
            Seen::Next => {}
            // They were read and were in the spool; whether they were delivered is the cursors' matter.
            Seen::Gap(missing) if missing.count() <= self.unread && !self.doubtful => {
                self.gaps.told(missing);
                self.explained.push(missing);
            }
            Seen::Gap(missing) if missing.count() <= self.damaged => self.gaps.told(missing),
            Seen::Gap(missing) if missing.count().saturating_mul(limits::EVENT_LINE_LEAST) <= self.let_go => {
                c.read += missing.count();
                c.dropped += missing.count();
                self.gaps.told(missing);
                self.note_range(Dropped { from: missing.from, to: missing.last(), count: missing.count() });
            }
            Seen::Gap(_) => c.gaps += 1,
            Seen::Late => {
                c.late += 1;
                self.came_late(id);
            }
            Seen::Repeat => c.repeats += 1,
        }
        (self.unread, self.damaged, self.let_go) = (0, 0, 0);
    }

    fn count_title(&mut self, facts: &Facts, raw: &[u8]) {
        let severity = facts.severity_as_delivered();
        let title = facts.title_of(raw);
        let fits = !title.is_empty() && title.len() <= limits::TITLE_BYTES;
        let title = if fits { title } else { b"other" };
        // The same title comes thousands of times: look before it is made a key, or a text.
        if let Some(n) = self.titles.iter_mut().find(|((t, s), _)| t.as_bytes() == title && *s == severity) {
            *n.1 += 1;
            return;
        }
        let title = std::str::from_utf8(title).unwrap_or("other");
        let full = self.titles.len() >= limits::TITLES;
        let name = json::text_of(title.as_bytes()).filter(|_| !full).unwrap_or_else(|| "other".into());
        *self.titles.at((name, severity), Default::default) += 1;
    }

    /// Takes note of where in the journal of systemd a record stands, if it is of there.
    pub fn follow(&mut self, raw: &[u8]) {
        let cursor = if frame::is_entry(raw) { frame::of(raw).map(|f| f.cursor.of(raw)) } else { None };
        if let Some(cursor) =
            cursor.and_then(|c| std::str::from_utf8(c).ok()).filter(|c| c.len() <= limits::CURSOR_BYTES)
        {
            self.cursor.clear();
            self.cursor.push_str(cursor);
        }
    }

    /// An own event that is in the spool: what it tells is told.
    fn told(&mut self, raw: &[u8]) {
        let Some(event) = GapEvent::read(raw) else { return };
        match (event.reason, event.range()) {
            (Reason::Lost, Some((from, to))) => self.gaps.told_by(Missing { from, to: to.count }, self.seq),
            (Reason::Lost, None) | (Reason::Skipped, _) => {}
            (Reason::Dropped, Some((from, to))) => {
                let same = |d: &Dropped| (d.from.raft_id, d.from.gen) == (from.raft_id, from.gen);
                self.dropped.retain(|d| !(same(d) && d.from.count <= to.count && from.count <= d.to.count));
            }
            (Reason::Dropped, None) => self.dropped_unknown = 0,
            (Reason::Damaged, _) => event.spool.into_iter().for_each(|range| self.note_damage(range)),
        }
    }

    fn note_telling(&mut self, seq: u64, raw: &[u8]) {
        let escaped = |t: &&str| t.len() + t.bytes().filter(|b| matches!(b, b'"' | b'\\')).count();
        let fits = |t: &&str| escaped(t) <= limits::TELLING_BYTES - limits::TELLING_NUMBER_BYTES;
        let Some(text) = std::str::from_utf8(raw).ok().filter(fits) else { return };
        if self.tellings.len() >= limits::TELLINGS {
            // A loss has the gaps in the input that were told before it told once more, all at once: they must not push out what
            // tells of the loss itself. What was here and went is the graver matter of the two.
            let is_lost = |raw: &str| GapEvent::read(raw.as_bytes()).is_some_and(|e| e.reason == Reason::Lost);
            match self.tellings.iter().position(|t| is_lost(&t.1)) {
                Some(oldest) => self.tellings.remove(oldest),
                None if is_lost(text) => return,
                None => self.tellings.remove(0),
            };
        }
        self.tellings.push((seq, text.to_string()));
    }

    /// These records are gone, and nobody can read what they were: what those of ours among them told is to be told again.
    /// Gives what they told as damaged, for whoever reports that.
    pub fn untold_by(&mut self, from: u64, to: u64) -> Vec<(u64, u64)> {
        // There may be no room for what they said; the gap may still know which of them told it.
        self.gaps.untell_between(from, to);
        let (gone, kept) = std::mem::take(&mut self.tellings).into_iter().partition(|t| (from..=to).contains(&t.0));
        self.tellings = kept;
        let gone: Vec<(u64, String)> = gone;
        gone.iter().filter_map(|(_, raw)| self.untold(raw.as_bytes())).collect()
    }

    /// Those records are damaged, and that is told.
    pub fn note_damage(&mut self, range: (u64, u64)) {
        if self.damages.len() >= limits::DAMAGES {
            self.damages.remove(0);
        }
        self.damages.push(range);
        self.losses.retain(|l| (l.from, l.to) != range);
        self.counters.damaged = self.counters.damaged.saturating_add(range.1 - range.0 + 1);
    }

    /// As it is to be saved next.
    pub fn next_version(&mut self) -> &Account {
        self.version += 1;
        self
    }

    /// As bytes for the state file.
    pub fn save(&self) -> Vec<u8> {
        let c = &self.counters;
        let titles: Vec<Value> = self.titles.iter().map(|((t, s), n)| json!([t, *s as u8, n])).collect();
        let dropped: Vec<Value> = self
            .dropped
            .iter()
            .map(|d| json!([d.from.raft_id, d.from.gen, d.from.count, d.to.count, d.count]))
            .collect();
        let text = |id: Option<EventId>| id.map(|id| id.to_string());
        let losses: Vec<Value> =
            self.losses.iter().map(|l| json!([l.from, l.to, text(l.before), text(l.after)])).collect();
        let value = json!({
            "losses": losses, "seq": self.seq, "epoch": self.mark.epoch, "stream": self.mark.position, "pieces": self.pieces,
            "read": c.read, "own": c.own, "dropped": c.dropped, "gaps": c.gaps, "repeats": c.repeats, "late": c.late,
            "truncated": c.truncated, "unparsed": c.unparsed, "damaged": c.damaged, "titles": titles,
            "generations": self.gaps.save(), "marks": self.gaps.save_marks(), "damages": self.damages, "untold": dropped,
            "untold_unknown": self.dropped_unknown, "dropped_to": self.dropped_to, "receivers": self.receivers,
            "again": self.again, "streams": self.streams, "at_mark": self.at_mark, "cursor": self.cursor, "behind": self.behind, "version": self.version, "tellings": self.tellings, "last": text(self.last), "run": self.run,
        });
        value.to_string().into_bytes()
    }

    /// From such bytes; what is not there is zero, a number that cannot be makes all of it none.
    pub fn load(bytes: &[u8]) -> Option<Account> {
        const MOST: u64 = limits::SPOOL_NUMBER_MAX;
        let v: Value = serde_json::from_slice(bytes).ok()?;
        let n = |name: &str| v[name].as_u64().unwrap_or(0);
        let counted = ["seq", "stream", "read", "own", "dropped", "damaged", "untold_unknown", "version"];
        counted.iter().all(|name| n(name) <= MOST).then_some(())?;
        let numbers = |v: &Value| -> Vec<u64> {
            v.as_array().map(|a| a.iter().map(|n| n.as_u64().unwrap_or(0)).collect()).unwrap_or_default()
        };
        let lines = |name: &str| -> Vec<Vec<u64>> {
            v[name].as_array().map(|a| a.iter().map(numbers).collect()).unwrap_or_default()
        };
        let titles = v["titles"].as_array()?.iter().take(limits::TITLES + 4).filter_map(|t| {
            let severity = [Severity::Low, Severity::Medium, Severity::High, Severity::Other];
            Some(((t[0].as_str()?.to_string(), *severity.get(t[1].as_u64()? as usize)?), t[2].as_u64()?.min(MOST)))
        });
        let dropped =
            lines("untold").into_iter().filter(|l| l.len() == 5 && l[2] <= l[3]).take(limits::GAP_RANGES).map(|l| {
                Dropped {
                    from: EventId { raft_id: l[0], gen: l[1], count: l[2] },
                    to: EventId { raft_id: l[0], gen: l[1], count: l[3] },
                    count: l[4],
                }
            });
        let receivers = v["receivers"].as_array().into_iter().flatten().filter_map(|n| n.as_str().map(String::from));
        let mut gaps = Gaps::load(&lines("generations"));
        gaps.load_marks(&lines("marks"));
        Some(Account {
            receivers: receivers.take(limits::STATE_RECEIVERS).collect(),
            seq: n("seq"),
            cursor: v["cursor"].as_str().unwrap_or_default().into(),
            unread: 0,
            explained: Vec::new(),
            doubtful: false,
            damaged: 0,
            let_go: 0,
            anew: None,
            last: id_of(&v["last"]),
            run: n("run"),
            behind: v["behind"].as_bool().unwrap_or(false),
            version: n("version"),
            tellings: tellings_of(&v["tellings"]),
            losses: losses_of(&v["losses"]),
            mark: Mark { epoch: n("epoch"), position: n("stream") },
            again: ranges(lines("again")),
            streams: numbers(&v["streams"]).into_iter().take(limits::STREAMS_KNOWN).collect(),
            at_mark: <[u64; 2]>::try_from(numbers(&v["at_mark"])).ok().map(|[bytes, hash]| (bytes, hash)),
            pieces: n("pieces") as u32,
            counters: counters::of(n),
            gaps,
            titles: titles.collect(),
            damages: ranges(lines("damages")),
            dropped: dropped.collect(),
            dropped_unknown: n("untold_unknown"),
            dropped_to: n("dropped_to"),
        })
    }
}

#[cfg(test)]
mod tests;
