//! ○ Counts per (raft_id, gen): what is missing, what came twice, what came late. Pure: `now` is an argument.
//!
//! A generation begins at 1 and counts every record, so what is missing is known exactly. A gap is declared only after a
//! second, so that records merely out of order are not called lost. Refuses: to remember without bound.

use crate::audit::record::EventId;
use crate::limits;
use crate::sorted::{self, Map};

/// What one id meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The next one.
    Next,
    /// There is a gap before it.
    Gap(Missing),
    /// It fills a gap, late.
    Late,
    /// It was here already.
    Repeat,
    /// This number was here, with other bytes: the numbers have begun anew. So many gaps were found in them so far.
    Anew(u64),
}

/// A missing range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The first id that is missing.
    pub from: EventId,
    /// The count of the last.
    pub to: u64,
}

impl Missing {
    /// How many.
    pub fn count(&self) -> u64 {
        self.to - self.from.count + 1
    }

    /// The last id that is missing.
    pub fn last(&self) -> EventId {
        EventId { count: self.to, ..self.from }
    }
}

/// A range of one generation: first, last, since when (milliseconds), and whether it was told already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first count.
    pub from: u64,
    /// The last count.
    pub to: u64,
    /// When it was found.
    pub since: u64,
    /// An `audit_gap` was written for it.
    pub told: bool,
    /// The record of the spool that this is; 0: nobody knows.
    pub at: u64,
}

/// What is known of one start of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    /// The highest count.
    pub highest: u64,
    /// What is missing below it.
    pub missing: Vec<Range>,
    touched: u64,
    /// Hashes of the events whose counts are powers of two.
    marks: Vec<(u64, u64)>,
    /// Events that look like repeats, and may be those of a database that was made anew.
    again: Option<Box<Again>>,
}

/// How the numbers stand if they have begun anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Again {
    seen: u64,
    generation: Generation,
}

/// All that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    table: Map<(u64, u64), Generation>,
    clock: u64,
    untold: usize,
}

impl Gaps {
    /// Takes note of an id.
    pub fn see(&mut self, id: EventId, now: u64) -> Seen {
        self.see_whole(id, now, || None)
    }

    /// The same for an event whose bytes are known, by their hash: a repeat is only what has the same.
    pub fn see_whole(&mut self, id: EventId, now: u64, hash: impl FnOnce() -> Option<u64>) -> Seen {
        if self.is_next(id) {
            return Seen::Next;
        }
        let mut seen = self.see_number(id, now);
        let Some(g) = self.table.get_mut(&(id.raft_id, id.gen)) else { return seen };
        if matches!(seen, Seen::Next | Seen::Gap(_)) {
            g.again = None;
        }
        let marked = id.count.is_power_of_two();
        let hash = if marked { hash() } else { None };
        let known = g.marks.iter().find(|m| m.0 == id.count).map(|m| m.1);
        let differs = hash.zip(known).is_some_and(|(new, old)| new != old);
        match seen {
            Seen::Repeat if marked && hash.is_some() && hash == known => g.again = None,
            Seen::Repeat | Seen::Late if g.again.is_some() || seen == Seen::Repeat => {
                let again = g.again.get_or_insert_with(Box::default);
                // Back by more than what is merely out of order: these are others than those before.
                if id.count == 1 || id.count.saturating_add(limits::DISORDER) < again.generation.highest {
                    **again = Again::default();
                }
                again.seen += 1;
                again.generation.begin(id.count, hash, now);
                // The first of all, or no single one.
                if differs && (id.count == 1 || again.seen > 1) {
                    let untold = |g: &Generation| g.missing.iter().filter(|r| !r.told).count();
                    let new = Generation { touched: g.touched, ..std::mem::take(&mut again.generation) };
                    self.untold = self.untold + untold(&new) - untold(g);
                    seen = Seen::Anew(new.missing.len() as u64);
                    *g = new;
                }
            }
            _ => {
                if let (Some(hash), None) = (hash, known) {
                    g.mark(id.count, hash);
                }
            }
        }
        seen
    }

    /// Takes note of an id that is what nearly all are: the next one, of which nothing is remembered but that it was.
    fn is_next(&mut self, id: EventId) -> bool {
        let Some(g) = self.table.get_mut(&(id.raft_id, id.gen)) else { return false };
        if g.again.is_some() || id.count.is_power_of_two() || Some(id.count) != g.highest.checked_add(1) {
            return false;
        }
        self.clock += 1;
        (g.touched, g.highest) = (self.clock, id.count);
        true
    }

    fn see_number(&mut self, id: EventId, now: u64) -> Seen {
        self.clock += 1;
        let clock = self.clock;
        let g = self.table.at((id.raft_id, id.gen), Default::default);
        g.touched = clock;
        // A start that fails before the node knows its number writes 0.0.1, 0.0.2, 0.0.3 each time: a new beginning.
        if (id.raft_id, id.gen) == (0, 0) && id.count == 1 {
            g.highest = 0;
        }
        let seen = if Some(id.count) == g.highest.checked_add(1) {
            g.highest = id.count;
            Seen::Next
        } else if id.count > g.highest {
            let range = Range { from: g.highest + 1, to: id.count - 1, since: now, told: false, at: 0 };
            g.highest = id.count;
            if g.missing.len() >= limits::GAP_RANGES {
                // The oldest leaves the memory; told or not, it is counted: `due` gives what is not told before that.
                let oldest = g.missing.remove(0);
                self.untold -= usize::from(!oldest.told);
            }
            g.missing.push(range);
            self.untold += 1;
            Seen::Gap(Missing { from: EventId { count: range.from, ..id }, to: range.to })
        } else if let Some(told) = g.fill(id.count) {
            self.untold = (self.untold + told.1) - told.0;
            Seen::Late
        } else {
            Seen::Repeat
        };
        if self.table.len() > limits::GENERATIONS {
            self.forget_oldest();
        }
        seen
    }

    fn forget_oldest(&mut self) {
        if let Some(key) = self.table.iter().min_by_key(|(_, g)| g.touched).map(|(k, _)| *k) {
            if let Some(g) = self.table.remove(&key) {
                self.untold -= g.missing.iter().filter(|r| !r.told).count();
            }
        }
    }

    /// Gaps to be told now: those older than the patience, or all (`force`), or where the memory of ranges is nearly full.
    pub fn due(&mut self, now: u64, force: bool) -> Vec<Missing> {
        if self.untold == 0 {
            return Vec::new();
        }
        let mut due = Vec::new();
        for (&(raft_id, gen), g) in self.table.iter_mut() {
            let crowded = g.missing.len() * 2 > limits::GAP_RANGES;
            for r in g.missing.iter_mut().filter(|r| !r.told) {
                if force || crowded || now.saturating_sub(r.since) >= limits::GAP_PATIENCE_MILLIS || now < r.since {
                    due.push(Missing { from: EventId { raft_id, gen, count: r.from }, to: r.to });
                }
            }
        }
        due
    }

    /// A range was told (or dropped knowingly): it is not due any more.
    pub fn told(&mut self, m: Missing) {
        self.told_by(m, 0);
    }

    /// The same by record `at` of the spool.
    pub fn told_by(&mut self, m: Missing, at: u64) {
        if let Some(g) = self.table.get_mut(&(m.from.raft_id, m.from.gen)) {
            for r in g.missing.iter_mut().filter(|r| r.from >= m.from.count && r.to <= m.to) {
                self.untold -= usize::from(!r.told);
                (r.told, r.at) = (true, if at > 0 { at } else { r.at });
            }
        }
    }

    /// These records of the spool are gone: what they told is to be told again.
    pub fn untell_between(&mut self, from: u64, to: u64) {
        let all = self.table.values_mut().flat_map(|g| &mut g.missing);
        for r in all.filter(|r| r.told && (from..=to).contains(&r.at)) {
            (r.told, r.at) = (false, 0);
            self.untold += 1;
        }
    }

    /// The event that told a range is gone before everybody had it. False: there is no room to remember it again.
    pub fn untell(&mut self, m: Missing) -> bool {
        let Some(g) = self.table.get_mut(&(m.from.raft_id, m.from.gen)) else { return false };
        let mut any = false;
        for r in g.missing.iter_mut().filter(|r| r.from >= m.from.count && r.to <= m.to) {
            self.untold += usize::from(r.told);
            (r.told, r.at) = (false, 0);
            any = true;
        }
        if !any && m.to <= g.highest {
            any = g.remember(m);
            self.untold += usize::from(any);
        }
        any
    }

    /// How many gaps are known and not told yet.
    pub fn untold(&self) -> usize {
        self.untold
    }

    /// As lines of numbers, for the state file, which has an end: what is told already is left out first.
    pub fn save(&self) -> Vec<Vec<u64>> {
        let mut room = limits::GAP_RANGES_SAVED;
        let line = |(&(raft, gen), g): (&(u64, u64), &Generation)| {
            let (untold, told): (Vec<&Range>, Vec<&Range>) = g.missing.iter().partition(|r| !r.told);
            let mut kept: Vec<&Range> = untold.into_iter().chain(told.into_iter().rev()).take(room).collect();
            room -= kept.len();
            sorted::by_key(&mut kept, |r| r.from);
            let ranges = kept.iter().flat_map(|r| [r.from, r.to, r.since, if r.told { r.at + 1 } else { 0 }]);
            [raft, gen, g.highest, g.touched].into_iter().chain(ranges).collect()
        };
        self.table.iter().map(line).collect()
    }

    /// The hashes, as lines of node, start, and count and hash in turn: those of the starts that were seen last.
    pub fn save_marks(&self) -> Vec<Vec<u64>> {
        let mut all: Vec<_> = self.table.iter().filter(|(_, g)| !g.marks.is_empty()).collect();
        sorted::by_key(&mut all, |(_, g)| std::cmp::Reverse(g.touched));
        let mut room = limits::MARKS_SAVED;
        let mut lines = Vec::new();
        for (&(raft, gen), g) in all {
            if room < g.marks.len() {
                break;
            }
            room -= g.marks.len();
            lines.push([raft, gen].into_iter().chain(g.marks.iter().flat_map(|m| [m.0, m.1])).collect());
        }
        lines
    }

    /// Takes such lines in, for starts that are known.
    pub fn load_marks(&mut self, lines: &[Vec<u64>]) {
        for line in lines.iter().filter(|l| l.len() >= 2).take(limits::MARKS_SAVED) {
            if let Some(g) = self.table.get_mut(&(line[0], line[1])) {
                line[2..].chunks_exact(2).for_each(|m| g.mark(m[0], m[1]));
            }
        }
    }

    /// From such lines; what does not fit is left out.
    pub fn load(lines: &[Vec<u64>]) -> Gaps {
        let mut gaps = Gaps::default();
        for line in lines.iter().filter(|l| l.len() >= 4 && l.len() % 4 == 0).take(limits::GENERATIONS) {
            let ranges = line[4..].chunks_exact(4).take(limits::GAP_RANGES_MOST);
            let missing: Vec<Range> = ranges
                .filter(|r| r[0] <= r[1] && r[0] > 0 && r[1] < u64::MAX && r[3] <= limits::SPOOL_NUMBER_MAX)
                .map(|r| Range { from: r[0], to: r[1], since: r[2], told: r[3] > 0, at: r[3].saturating_sub(1) })
                .collect();
            gaps.untold += missing.iter().filter(|r| !r.told).count();
            gaps.clock = gaps.clock.max(line[3]);
            let generation = Generation { highest: line[2], missing, touched: line[3], ..Generation::default() };
            gaps.table.insert((line[0], line[1]), generation);
        }
        gaps
    }
}

impl Generation {
    fn mark(&mut self, count: u64, hash: u64) {
        if self.marks.len() < limits::MARKS {
            self.marks.push((count, hash));
        }
    }

    /// Takes note of a count in numbers that may have begun anew.
    fn begin(&mut self, count: u64, hash: Option<u64>, now: u64) {
        if count > self.highest {
            if count > self.highest + 1 {
                if self.missing.len() >= limits::GAP_RANGES {
                    self.missing.remove(0);
                }
                self.missing.push(Range { from: self.highest + 1, to: count - 1, since: now, told: false, at: 0 });
            }
            self.highest = count;
            hash.into_iter().for_each(|hash| self.mark(count, hash));
        } else {
            self.fill(count);
        }
    }

    /// Takes up a range that was told and forgotten, in the place of another one that is told, if there is one.
    fn remember(&mut self, m: Missing) -> bool {
        if self.missing.len() >= limits::GAP_RANGES {
            match self.missing.iter().position(|r| r.told) {
                Some(told) => drop(self.missing.remove(told)),
                None if self.missing.len() >= limits::GAP_RANGES_MOST => return false,
                None => {}
            }
        }
        let at = self.missing.iter().position(|r| r.from > m.from.count).unwrap_or(self.missing.len());
        self.missing.insert(at, Range { from: m.from.count, to: m.to, since: 0, told: false, at: 0 });
        true
    }

    /// Takes a count out of what is missing; gives how many untold ranges there were and are for it.
    fn fill(&mut self, count: u64) -> Option<(usize, usize)> {
        let at = self.missing.iter().position(|r| (r.from..=r.to).contains(&count))?;
        let r = self.missing.remove(at);
        let mut parts = 0;
        if count < r.to {
            self.missing.insert(at, Range { from: count + 1, ..r });
            parts += 1;
        }
        if r.from < count {
            self.missing.insert(at, Range { to: count - 1, ..r });
            parts += 1;
        }
        let mut before = usize::from(!r.told);
        if self.missing.len() > limits::GAP_RANGES {
            // What is told gives way, and what is not only where that would be too many.
            let told = self.missing.iter().position(|r| r.told);
            if let Some(oldest) = told.or((self.missing.len() > limits::GAP_RANGES_MOST).then_some(0)) {
                before += usize::from(!self.missing.remove(oldest).told);
            }
        }
        Some((before, if r.told { 0 } else { parts }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(gen: u64, count: u64) -> EventId {
        EventId { raft_id: 1, gen, count }
    }

    #[test]
    fn a_generation_begins_at_one() {
        let mut g = Gaps::default();
        assert_eq!(g.see(id(0, 1), 0), Seen::Next);
        assert_eq!(g.see(id(1, 3), 0), Seen::Gap(Missing { from: id(1, 1), to: 2 }));
        assert_eq!(g.due(0, true), [Missing { from: id(1, 1), to: 2 }]);
    }

    #[test]
    fn gaps_late_ones_and_repeats_are_told_apart() {
        let mut g = Gaps::default();
        for n in 1..=4 {
            assert_eq!(g.see(id(0, n), 0), Seen::Next);
        }
        assert!(matches!(g.see(id(0, 10), 100), Seen::Gap(_)));
        assert_eq!(g.see(id(0, 10), 100), Seen::Repeat);
        assert_eq!(g.see(id(0, 7), 200), Seen::Late);
        assert_eq!(g.see(id(0, 7), 200), Seen::Repeat);
        assert!(g.due(900, false).is_empty());
        let due = g.due(1100, false);
        assert_eq!(due, [Missing { from: id(0, 5), to: 6 }, Missing { from: id(0, 8), to: 9 }]);
        assert_eq!((due[0].count(), due[0].last()), (2, id(0, 6)));
        due.iter().for_each(|m| g.told(*m));
        assert_eq!((g.untold(), g.due(99_999, true).len()), (0, 0));
        assert_eq!(g.see(id(0, 5), 99_999), Seen::Late);
        assert_eq!((g.untold(), g.see(id(0, 11), 0)), (0, Seen::Next));
    }

    /// Late ones split what is not told, where there is room for no more ranges: those that are told give way, and each is counted.
    #[test]
    fn what_is_not_told_stays_where_a_late_one_splits_it() {
        let mut g = Gaps::default();
        let ranges = limits::GAP_RANGES as u64;
        for n in 1..=ranges {
            g.see(id(0, n * 10), 0);
            // The oldest is not told yet; all others but the last are.
            if n > 1 && n < ranges {
                g.due(0, true).into_iter().skip(1).for_each(|m| g.told(m));
            }
        }
        assert_eq!(g.untold(), 2);
        assert_eq!(g.see(id(0, ranges * 10 - 5), 0), Seen::Late);
        let missing = |from, to| Missing { from: id(0, from), to };
        let last = ranges * 10;
        let due = g.due(0, true);
        assert_eq!(due, [missing(1, 9), missing(last - 9, last - 6), missing(last - 4, last - 1)]);
        assert_eq!(g.untold(), 3);
        due.iter().for_each(|m| g.told(*m));
        assert_eq!((g.untold(), g.see(id(0, last - 7), 0), g.untold()), (0, Seen::Late, 0));
    }

    /// What went with the events that told of it finds room also where nothing is told; it is forgotten again when it is.
    #[test]
    fn what_is_to_be_told_again_has_room_beside_what_is_not_told() {
        let mut g = Gaps::default();
        let (again, ranges) = (limits::TELLINGS as u64, limits::GAP_RANGES as u64);
        for n in 1..=again {
            g.see(id(0, n * 10), 0);
        }
        g.due(0, true).iter().for_each(|m| g.told(*m));
        for n in again + 1..=again + ranges {
            g.see(id(0, n * 10), 0);
        }
        assert_eq!(g.untold(), limits::GAP_RANGES);
        for n in 1..=again {
            assert!(g.untell(Missing { from: id(0, n * 10 - 9), to: n * 10 - 1 }), "{n}");
        }
        let all = limits::GAP_RANGES_MOST;
        assert_eq!((g.untold(), g.due(0, true).len()), (all, all));
        let saved = g.save();
        assert_eq!(Gaps::load(&saved).untold(), all);
        // One that a late one splits is a range more: the oldest part leaves.
        assert_eq!((g.see(id(0, 5), 0), g.untold()), (Seen::Late, all));
        g.due(0, true).iter().for_each(|m| g.told(*m));
        assert_eq!(g.untold(), 0);
    }

    #[test]
    fn failed_starts_begin_anew_each_time() {
        let mut g = Gaps::default();
        let zero = |count| EventId { raft_id: 0, gen: 0, count };
        for _ in 0..3 {
            for n in 1..=3 {
                assert_eq!(g.see(zero(n), 0), Seen::Next);
            }
        }
    }

    #[test]
    fn memory_is_bounded_and_survives_a_restart() {
        let mut g = Gaps::default();
        let mut told = 0;
        for n in 1..1_000u64 {
            g.see(id(0, n * 2), n);
            let due = g.due(n, false);
            told += due.iter().map(Missing::count).sum::<u64>();
            due.iter().for_each(|m| g.told(*m));
        }
        told += g.due(0, true).iter().map(Missing::count).sum::<u64>();
        assert_eq!(told, 999);
        for n in 0..3_000u64 {
            g.see(id(n, u64::MAX), 0);
            g.see(id(n, u64::MAX), 0);
        }
        assert!(g.table.len() <= limits::GENERATIONS);
        let sum: usize = g.table.values().flat_map(|x| &x.missing).filter(|r| !r.told).count();
        assert_eq!(sum, g.untold());
        let again = Gaps::load(&g.save());
        assert_eq!((again.untold(), again.table.len()), (g.untold(), g.table.len()));
        for gen in 0..200 {
            for n in 1..200 {
                g.see(id(gen, n * 2), 0);
            }
        }
        assert!(g.save().iter().map(Vec::len).sum::<usize>() <= 4 * (limits::GAP_RANGES_SAVED + limits::GENERATIONS));
        let small = Gaps::load(
            &Gaps { table: g.table.iter().take(2).map(|(k, v)| (*k, v.clone())).collect(), ..Gaps::default() }.save(),
        );
        assert_eq!(small.table.len(), 2);
    }
}
