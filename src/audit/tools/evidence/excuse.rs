//! ○ Why a record may be missing: what signed checkpoints say of receivers, filters, drops and losses, for each stream.
//!
//! «Removed» is said only where a checkpoint that was delivered later says that the receiver has passed the place, and all
//! that could excuse it is known. Refuses: an excuse that nobody has signed.

use super::chain::{Load, Mark};
use super::findings::{Findings, Kind};
use crate::audit::seal::checkpoint::{After, Excused, Receiver, Why};
use crate::audit::seal::{Checkpoint, Hash, StreamId};
use crate::limits;
use std::collections::HashMap;
use std::io;

/// Places, as ranges.
#[derive(Clone, Debug, Default)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// These too; false: there are too many.
    pub fn add(&mut self, from: u64, to: u64) {
        if from <= to && self.0.len() < limits::VERIFY_RANGES {
            self.0.push((from, to));
        }
    }

    /// Puts them in order.
    fn settle(&mut self) {
        self.0.sort_unstable();
        self.0.dedup_by(|b, a| {
            let touch = b.0 <= a.1.saturating_add(1);
            if touch {
                a.1 = a.1.max(b.1);
            }
            touch
        });
    }

    /// Whether any of these places is in one, or may be in one that there was no room for; also before they are in order.
    fn meets(&self, from: u64, to: u64) -> bool {
        self.0.len() >= limits::VERIFY_RANGES || self.0.iter().any(|(a, b)| *a <= to && from <= *b)
    }

    fn at(&self, seq: u64) -> Option<&(u64, u64)> {
        self.0.get(self.0.partition_point(|r| r.1 < seq))
    }

    /// Whether a place is in one.
    pub fn holds(&self, seq: u64) -> bool {
        self.at(seq).is_some_and(|r| r.0 <= seq)
    }

    /// Whether any of these places is.
    pub fn touches(&self, from: u64, to: u64) -> bool {
        self.at(from).is_some_and(|r| r.0 <= to)
    }

    /// The last place that is as this one.
    fn last_alike(&self, seq: u64) -> u64 {
        match self.at(seq) {
            Some(r) if r.0 <= seq => r.1,
            Some(r) => r.0 - 1,
            None => u64::MAX,
        }
    }
}

/// How many records a filter has kept back between two places, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The first place.
    pub from: u64,
    /// The place behind the last.
    pub to: u64,
    /// How many.
    pub most: u64,
    /// The filter was changed meanwhile: what came again after a power cut may have been counted by either.
    pub changed: bool,
}

/// What is signed of one stream besides its roots.
#[derive(Clone, Debug, Default)]
pub struct Excuses {
    /// Gone before they were delivered.
    pub lost: Ranges,
    /// Dropped or set aside.
    pub excused: Ranges,
    /// Where an excuse may be that is not here.
    pub vague: Ranges,
    /// Those of them that are signed: more was excused than is named, or the receiver began anew.
    pub unnamed: Ranges,
    /// Where a filter was changed.
    pub changed: Ranges,
    /// Places before this one the receiver has passed, by a checkpoint that it was given.
    pub passed: u64,
    /// The same, by any checkpoint.
    pub said: u64,
    /// No checkpoint tells of receivers.
    pub silent: bool,
    /// It has ended.
    pub closed: bool,
    /// The stream before it, when that is known.
    pub follows: Option<StreamId>,
    /// Roots that checkpoints of later streams name.
    pub roots: Vec<(u64, Hash)>,
    /// Filters' counts.
    pub budgets: Vec<Budget>,
    /// Its chain, and where it comes in it.
    pub chain: (usize, usize),
}

/// Whose export it is.
#[derive(Clone, Debug, Default)]
pub struct Whose {
    /// `--receiver`
    pub only: Option<String>,
}

impl Whose {
    /// Whether what is said of this receiver counts.
    pub fn counts(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }

    fn ats(&self, c: &Checkpoint) -> Option<(u64, u64)> {
        let ats = c.receivers.iter().filter(|r| self.counts(&r.name)).map(|r| r.at);
        Some((ats.clone().min()?, ats.max()?))
    }
}

/// What the checkpoints of all chains say of each stream. `torn`: some of what was delivered could not be read.
pub fn gather(
    marks: &[Mark],
    chains: &[Vec<usize>],
    whose: &Whose,
    torn: bool,
    load: Load<'_>,
    f: &mut Findings,
) -> io::Result<HashMap<StreamId, Excuses>> {
    let mut all: HashMap<StreamId, Excuses> = HashMap::new();
    let mut looks = limits::VERIFY_LOOKS;
    for (n, chain) in chains.iter().enumerate() {
        let (steady, known) = (Vec::new(), Vec::new());
        let mut walk = Walk { whose, all: &mut all, gap: None, looks: &mut looks, steady, known, chain: n, torn };
        let mut before: Option<(usize, Checkpoint)> = None;
        for (place, &i) in chain.iter().enumerate() {
            let (_, c) = load(&marks[i])?;
            walk.step(before.as_ref().map(|(b, c)| (&marks[*b], c)), &marks[i], &c, place, f);
            if c.why != Why::Closed {
                walk.steady.clone_from(&c.receivers);
            }
            before = Some((i, c));
        }
        walk.end_gap(Kind::Gap, f);
    }
    for e in all.values_mut() {
        [&mut e.lost, &mut e.excused, &mut e.vague, &mut e.changed].into_iter().for_each(Ranges::settle);
        if [&e.lost, &e.excused, &e.vague, &e.changed].into_iter().any(|r| r.0.len() >= limits::VERIFY_RANGES) {
            f.say(Kind::TooMuch, None, None, "too many ranges of excused records: what is missing cannot be judged");
            e.vague = Ranges(vec![(1, u64::MAX)]);
        }
        if torn {
            e.vague = Ranges(vec![(1, u64::MAX)]);
        }
    }
    passed_before(&mut all);
    Ok(all)
}

/// Who has come to a stream has passed all of the one that it follows.
fn passed_before(all: &mut HashMap<StreamId, Excuses>) {
    let mut later: Vec<(usize, StreamId)> = all.iter().map(|(id, e)| (e.chain.1, *id)).collect();
    later.sort_unstable();
    for (_, id) in later.into_iter().rev() {
        let Some((before, passed, said)) = all.get(&id).and_then(|e| Some((e.follows?, e.passed, e.said))) else {
            continue;
        };
        if let Some(e) = all.get_mut(&before) {
            e.passed = if passed > 0 { u64::MAX } else { e.passed };
            e.said = if said > 0 { u64::MAX } else { e.said };
        }
    }
}

/// Checkpoints that are missing.
#[derive(Clone, Copy)]
struct Gap {
    numbers: (u64, u64),
    id: StreamId,
    /// Who has passed this place was given them.
    place: Option<u64>,
    /// Where the one before them stands: they stand behind it.
    from: Option<(StreamId, u64)>,
}

struct Walk<'a> {
    whose: &'a Whose,
    all: &'a mut HashMap<StreamId, Excuses>,
    gap: Option<Gap>,
    /// Ranges that may still be looked at for checkpoints that are missing.
    looks: &'a mut usize,
    /// What the last checkpoint says of the receivers that did not close a stream: one that does says how far they are there, and
    /// counts what they have had of the next.
    steady: Vec<Receiver>,
    /// What was said last of each receiver.
    known: Vec<Known>,
    chain: usize,
    torn: bool,
}

/// A receiver's line, in a checkpoint of which stream, and whether it has a filter there.
#[derive(Clone)]
struct Known {
    line: Receiver,
    id: StreamId,
    filters: bool,
    /// It has begun anew, and how far what it lacked goes is not said yet.
    began: bool,
    /// The last stream that it was in, by where that comes in its chain: all before it has passed.
    reached: usize,
}

impl Walk<'_> {
    fn of(&mut self, id: StreamId, place: usize) -> &mut Excuses {
        let chain = (self.chain, place);
        self.all.entry(id).or_insert_with(|| Excuses { chain, silent: true, ..Excuses::default() })
    }

    fn step(&mut self, before: Option<(&Mark, &Checkpoint)>, m: &Mark, c: &Checkpoint, place: usize, f: &mut Findings) {
        let ats = self.whose.ats(c);
        let e = self.of(m.id, place);
        e.closed |= m.why == Why::Closed;
        e.silent &= c.receivers.is_empty();
        if let Some((least, _)) = ats {
            e.said = e.said.max(least);
            if m.exported.is_some() {
                e.passed = e.passed.max(least);
            }
        }
        c.lost.iter().for_each(|(a, b)| e.lost.add(*a, *b));
        if let After::Stream(id, size, root) = c.after {
            e.follows = Some(id);
            let old = self.of(id, place.saturating_sub(1));
            old.closed = true;
            if !old.roots.contains(&(size, root)) && old.roots.len() < limits::VERIFY_VERSIONS {
                old.roots.push((size, root));
            }
        }
        let gap = match before {
            Some((b, _)) => b.number + 1 < m.number,
            None => m.number > 1,
        };
        self.excused(before, m, c, gap);
        self.begun_anew(before.is_some(), m, c);
        self.rules(before, m, c, gap);
        if let Some((b, old)) = before.filter(|(b, _)| b.id != m.id) {
            let from = self.whose.ats(old).map_or(1, |(least, _)| least.max(1));
            let e = self.of(b.id, place);
            e.closed = true;
            if b.why != Why::Closed {
                // It was closed without a word, so nobody has signed what of its end was lost.
                e.vague.add(from, u64::MAX);
            }
        }
        self.gaps(before.map(|(b, _)| b), m, c, gap, f);
    }

    /// From where on the checkpoint before has not told of a receiver, to where this one has.
    fn vague(&mut self, before: Option<(&Mark, &Checkpoint)>, m: &Mark, c: &Checkpoint) {
        let to = self.whose.ats(c).map_or(c.size, |(_, most)| most.saturating_sub(1));
        let from = before.and_then(|(_, b)| self.whose.ats(b)).map_or(1, |(least, _)| least);
        // Somebody was still busy with the streams before.
        if from == 0 || to == 0 {
            let (chain, reached) = (self.chain, self.known.iter().map(|k| k.reached).min().unwrap_or(0));
            let open = |e: &Excuses| e.chain.0 == chain && e.chain.1 >= reached;
            let earlier = self.all.iter_mut().filter(|(id, e)| open(e) && **id != m.id);
            earlier.for_each(|(_, e)| e.vague.add(1, u64::MAX));
        }
        let from = from.max(1);
        match before {
            Some((b, _)) if b.id == m.id => self.of(m.id, 0).vague.add(from, to),
            Some((b, _)) => {
                self.of(b.id, 0).vague.add(from, u64::MAX);
                self.of(m.id, 0).vague.add(1, to);
            }
            None => self.of(m.id, 0).vague.add(1, to),
        }
    }

    fn excused(&mut self, before: Option<(&Mark, &Checkpoint)>, m: &Mark, c: &Checkpoint, gap: bool) {
        let mut more = gap;
        for excused in &c.excused {
            match excused {
                Excused::Ranges(name, _, ranges) if self.whose.counts(name) => {
                    let e = self.of(m.id, 0);
                    ranges.iter().for_each(|(a, b)| e.excused.add(*a, *b));
                }
                Excused::More(name, _) => more |= self.whose.counts(name),
                Excused::Ranges(..) => {}
            }
        }
        for (id, excused) in &c.earlier {
            match excused {
                Excused::Ranges(name, _, ranges) if self.whose.counts(name) => {
                    let e = self.of(*id, 0);
                    ranges.iter().for_each(|(a, b)| e.excused.add(*a, *b));
                }
                Excused::More(name, _) if self.whose.counts(name) => self.of(*id, 0).unnamed(1, u64::MAX),
                _ => {}
            }
        }
        if more {
            self.vague(before, m, c);
        }
    }

    /// A receiver whose counts go back was forgotten and came again, or its cursor went with the power. What it lacked then nobody
    /// has given it, and what it was not given before that may be excused by nobody: from where it was to where it is now.
    fn begun_anew(&mut self, later: bool, m: &Mark, c: &Checkpoint) {
        for r in c.receivers.iter().filter(|r| self.whose.counts(&r.name)) {
            let filters = c.rules.iter().any(|rule| rule.0 == r.name);
            // Behind all that is signed of a stream that ends: where it really is, the next stream says.
            let beyond = m.why == Why::Closed && r.at > c.size;
            let place = self.all.get(&m.id).map_or(0, |e| e.chain.1);
            let reached = if r.at > 0 { place } else { 0 };
            let mut now = Known { line: r.clone(), id: m.id, filters, began: false, reached };
            let at = self.known.iter().position(|k| k.line.name == r.name);
            let Some(at) = at else {
                let late = later && r.filtered > 0;
                now.began = beyond && late;
                self.known.push(now);
                if late {
                    self.before_its_time(m.id, r.at);
                }
                continue;
            };
            let old = self.known[at].clone();
            let less = |count: fn(&Receiver) -> u64| count(r) < count(&old.line);
            // Without a filter only what was before its time counts as filtered.
            let skips = !old.filters && !now.filters && r.filtered > old.line.filtered;
            let begins = skips || less(|r| r.delivered) || less(|r| r.quarantined) || less(|r| r.dropped);
            now.began = beyond && (begins || old.began);
            now.reached = now.reached.max(old.reached);
            self.known[at] = now;
            if !begins {
                if old.began && old.id != m.id {
                    self.of(m.id, 0).unnamed(1, r.at.saturating_sub(1));
                }
                continue;
            }
            let (from, to) = (old.line.at.max(1), r.at.saturating_sub(1));
            // It was still busy with the streams before, or is.
            let all = old.line.at == 0 || r.at == 0;
            let same = old.id == m.id;
            self.of(m.id, 0).unnamed(if same { from } else { 1 }, to);
            if same && !all {
                continue;
            }
            let (chain, since) = (self.chain, self.all.get(&old.id).map_or(0, |e| e.chain.1));
            let open = |e: &Excuses| e.chain.0 == chain && e.chain.1 >= old.reached;
            for (id, e) in self.all.iter_mut().filter(|(_, e)| open(e)) {
                if *id == old.id && !all {
                    e.unnamed(from, u64::MAX);
                } else if *id != m.id && (all || e.chain.1 > since) {
                    e.unnamed(1, u64::MAX);
                }
            }
        }
    }

    /// A receiver that no checkpoint has named before, and that was not given all: it may have been there for a while, forgotten
    /// before anybody signed that, and has some of what was before its time.
    fn before_its_time(&mut self, id: StreamId, at: u64) {
        self.of(id, 0).unnamed(1, at.saturating_sub(1));
        let chain = self.chain;
        let earlier = self.all.iter_mut().filter(|(other, e)| e.chain.0 == chain && **other != id);
        earlier.for_each(|(_, e)| e.unnamed(1, u64::MAX));
    }

    /// Where the filters changed, and how many they kept back where they did not.
    fn rules(&mut self, before: Option<(&Mark, &Checkpoint)>, m: &Mark, c: &Checkpoint, gap: bool) {
        let Some((b, old)) = before else { return };
        let mut names: Vec<&String> = old.rules.iter().chain(&c.rules).map(|(name, _)| name).collect();
        names.retain(|name| self.whose.counts(name));
        names.sort_unstable();
        names.dedup();
        let alone = names.len() == 1;
        for name in names {
            fn rule<'a>(c: &'a Checkpoint, name: &str) -> Option<&'a String> {
                c.rules.iter().find(|r| r.0 == *name).map(|r| &r.1)
            }
            let of = |c: &Checkpoint| c.receivers.iter().find(|r| r.name == *name).cloned();
            let closed = old.why == Why::Closed && of(old).is_some_and(|r| r.at == old.size + 1);
            let steady = self.steady.iter().find(|r| r.name == *name).cloned();
            let earlier = if closed { steady } else { of(old) };
            let from = of(old).map_or(1, |r| r.at.max(1));
            let changed = rule(old, name) != rule(c, name);
            if changed || gap {
                // Whether it was changed and changed back between them nobody knows.
                let note = |e: &mut Excuses, from, to| if gap { &mut e.vague } else { &mut e.changed }.add(from, to);
                if b.id == m.id {
                    note(self.of(m.id, 0), from, c.size);
                } else {
                    note(self.of(b.id, 0), from, u64::MAX);
                    note(self.of(m.id, 0), 1, c.size);
                }
            }
            if let (true, false, Some(a), Some(z)) = (alone, gap, earlier, of(c)) {
                let most = (z.filtered.checked_sub(a.filtered)).zip(z.dropped.checked_sub(a.dropped));
                let Some(most) = most.map(|(filtered, dropped)| filtered.saturating_add(dropped)) else { continue };
                let same = b.id == m.id;
                let budget = |from, to| Budget { from, to, most, changed };
                if same && a.at > 0 && a.at < z.at {
                    self.of(m.id, 0).budgets.push(budget(a.at, z.at));
                } else if !same {
                    // Both ends of two streams together, and so either of them at most.
                    if a.at > 0 && z.at > 0 && !closed {
                        self.of(b.id, 0).budgets.push(budget(a.at, u64::MAX));
                    }
                    self.of(m.id, 0).budgets.push(budget(1, z.at));
                }
            }
        }
    }

    /// Checkpoints that are missing were removed, when a later one says that the receiver has passed them and nothing that
    /// excuses it is said up to there.
    fn gaps(&mut self, before: Option<&Mark>, m: &Mark, c: &Checkpoint, gap: bool, f: &mut Findings) {
        if let Some(b) = before.filter(|_| gap) {
            self.end_gap(Kind::Gap, f);
            let place = m.exported.and_then(|(_, place)| place).filter(|(id, _)| *id == m.id && *id == b.id);
            let plain = !matches!(m.why, Why::Closed | Why::Start) && !self.torn;
            let place = place.map(|(_, seq)| seq).filter(|_| plain && b.exported.is_some());
            let from = b.exported.and_then(|(_, place)| place);
            self.gap = Some(Gap { numbers: (b.number + 1, m.number - 1), id: m.id, place, from });
        }
        let Some(gap) = self.gap else { return };
        let excuse = c.excused.iter().any(|e| match e {
            Excused::Ranges(name, ..) | Excused::More(name, _) => self.whose.counts(name),
        });
        let least = self.whose.ats(c).map(|(least, _)| least).filter(|_| m.exported.is_some());
        let passed = match (gap.place, least) {
            (Some(place), Some(least)) => {
                if m.id == gap.id {
                    least > place
                } else {
                    least > 0
                }
            }
            _ => false,
        };
        if excuse || gap.place.is_none() {
            self.end_gap(Kind::Gap, f);
        } else if passed {
            let kind = if self.is_excused(&gap) { Kind::Gap } else { Kind::Removed };
            self.end_gap(kind, f);
        }
    }

    /// Whether something is excused where they stand: it may be they. What a later stream's checkpoint says of this one counts,
    /// and what was before the time of a receiver that began anew.
    fn is_excused(&mut self, gap: &Gap) -> bool {
        let end = gap.place.unwrap_or(u64::MAX);
        let stretches = match gap.from {
            Some((id, from)) if id == gap.id => [Some((id, from, end)), None],
            Some((id, from)) => [Some((id, from, u64::MAX)), Some((gap.id, 1, end))],
            None => [Some((gap.id, 1, end)), None],
        };
        stretches.into_iter().flatten().any(|(id, from, to)| {
            let Some(e) = self.all.get(&id) else { return false };
            let left = self.looks.checked_sub(e.reasons().iter().map(|r| r.0.len()).sum());
            *self.looks = left.unwrap_or(0);
            // Where too much is to be looked at, it cannot be told.
            left.is_none() || e.reasons().iter().any(|r| r.meets(from, to))
        })
    }

    fn end_gap(&mut self, kind: Kind, f: &mut Findings) {
        if let Some(gap) = self.gap.take() {
            let (a, b) = gap.numbers;
            let which = if a == b {
                format!("checkpoint {a} is not there")
            } else {
                format!("checkpoints {a} to {b} are not there")
            };
            f.say(kind, Some(gap.id), None, which);
        }
    }
}

/// What a missing place is known to have held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// A record.
    Record,
    /// One that a filter keeps back, as a list says.
    Kept {
        /// The list is signed itself.
        signed: bool,
    },
    /// What was gone before it was sealed.
    Nothing,
    /// Nobody knows; where the checkpoint that signs it stands, when it was delivered.
    Unknown(Option<u64>),
}

/// Where a stream begins and ends in an export.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// The first place that is there; what is before it is `before`.
    pub first: u64,
    /// What a place before the first one is.
    pub before: Kind,
    /// Up to here the beginning is ragged.
    pub ragged: u64,
    /// The last place that is there.
    pub last: u64,
}

impl Excuses {
    /// What is signed of places that may be missing.
    fn reasons(&self) -> [&Ranges; 3] {
        [&self.lost, &self.excused, &self.unnamed]
    }

    /// What is signed tells that something here may be missing, and not what.
    fn unnamed(&mut self, from: u64, to: u64) {
        self.vague.add(from, to);
        self.unnamed.add(from, to);
    }

    /// What it means that a place has no record, and up to which place that is the same.
    pub fn missing(&self, seq: u64, held: Held, reach: &Reach) -> (Kind, u64) {
        let alike = [&self.lost, &self.excused, &self.vague, &self.changed].map(|r| r.last_alike(seq));
        let bounds = [
            reach.first,
            reach.ragged,
            reach.last.saturating_add(1),
            self.passed,
            self.said,
            reach.last.saturating_sub(limits::VERIFY_IN_FLIGHT),
        ];
        let bounds = bounds.into_iter().filter(|b| *b > seq).map(|b| b - 1);
        let to = alike.into_iter().chain(bounds).min().unwrap_or(u64::MAX);
        (self.kind(seq, held, reach), to)
    }

    /// Whether something between these places may be missing with reason.
    fn is_excused_or_late(&self, from: u64, to: u64) -> bool {
        self.excused.touches(from, to) || !self.silent && to >= self.passed
    }

    fn kind(&self, seq: u64, held: Held, reach: &Reach) -> Kind {
        let passed = self.silent
            || seq < self.passed
            || seq < self.said && seq.checked_add(limits::VERIFY_IN_FLIGHT).is_some_and(|s| s < reach.last);
        match held {
            _ if held == Held::Nothing || self.lost.holds(seq) => Kind::Lost,
            _ if self.excused.holds(seq) => Kind::Excused,
            Held::Kept { signed: true } => Kind::Filtered,
            Held::Kept { signed: false } => Kind::FilteredUnsigned,
            Held::Record | Held::Unknown(_) if self.changed.holds(seq) => Kind::Filtered,
            _ if seq < reach.first => reach.before,
            _ if seq < reach.ragged => Kind::Missing,
            _ if seq > reach.last && seq >= self.passed => Kind::Tail,
            _ if self.vague.holds(seq) || !passed => Kind::Missing,
            // What it was the list tells, which stands before the checkpoint: only where that must be there as well it is gone too.
            Held::Unknown(by) if by.is_none_or(|by| self.is_excused_or_late(seq, by)) => Kind::Missing,
            _ => Kind::Removed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::seal::Algorithm;

    /// Behind either bound nobody is blamed for a checkpoint that is not there.
    #[test]
    fn what_is_beyond_the_bounds_cannot_be_told() {
        let id = StreamId::new(1, [2; 9], Algorithm::Sha256);
        let gap = Gap { numbers: (2, 2), id, place: Some(20), from: Some((id, 10)) };
        let excused = |ranges: usize, mut looks: usize| {
            let mut e = Excuses::default();
            (0..ranges).for_each(|_| e.lost.add(30, 30));
            let (whose, mut all) = (Whose::default(), HashMap::from([(id, e)]));
            let (steady, known) = (Vec::new(), Vec::new());
            let (all, looks) = (&mut all, &mut looks);
            Walk { whose: &whose, all, gap: None, looks, steady, known, chain: 0, torn: false }.is_excused(&gap)
        };
        assert!(!excused(5, 5));
        assert!(excused(5, 4));
        assert!(!excused(limits::VERIFY_RANGES - 1, usize::MAX));
        assert!(excused(limits::VERIFY_RANGES, usize::MAX));
    }
}
