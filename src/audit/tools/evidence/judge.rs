//! ○ One stream, place by place: what is authentic, altered, inserted, removed, and what nobody can tell.
//!
//! The tree is grown from checkpoint to checkpoint; where a root is another one, it is begun again at the signed edge, so
//! that one fault costs the places between two checkpoints. Refuses: to hold more of a stream than one window.

use super::chain::Mark;
use super::claim::{Claim, Fault, Spot, What};
use super::excuse::{Budget, Excuses, Held, Reach, Whose};
use super::findings::{Findings, Kind};
use super::listing::{Filters, Names, Open};
use super::window::{Picks, Version, Window};
use crate::audit::seal::{absent, Checkpoint, Hash, List, Place, StreamId, Tree};
use crate::limits;
use std::collections::HashMap;
use std::io;

/// Where claims come from.
pub trait Source {
    /// The next one of this stream, which stays the next one.
    fn peek(&mut self) -> io::Result<Option<Claim>>;
    /// It is used up.
    fn pass(&mut self);
    /// A list, by where it lies, and its own place.
    fn list(&self, at: u64, bytes: u32) -> io::Result<Option<(List, (StreamId, u64))>>;
    /// A checkpoint.
    fn load(&self, mark: &Mark) -> io::Result<Checkpoint>;
}

/// A root that somebody names who is not believed by himself, or of a stream that follows.
#[derive(Clone, Debug)]
pub struct Named {
    /// Of how many places.
    pub size: u64,
    /// The root.
    pub root: Hash,
    /// Who names it.
    pub who: String,
}

/// What is asked of a judge.
pub struct Case<'a> {
    /// The stream.
    pub id: StreamId,
    /// Its believed checkpoints, by size.
    pub marks: &'a [&'a Mark],
    /// Other roots, by size.
    pub named: &'a [Named],
    /// What is signed besides.
    pub excuses: &'a Excuses,
    /// How many places of each stream are signed.
    pub sizes: &'a HashMap<StreamId, u64>,
    /// Where it begins and ends in the export.
    pub reach: Reach,
    /// Whose export it is.
    pub whose: &'a Whose,
    /// Nobody knows whose it is, of several.
    pub unsure: bool,
}

/// What became of a stream, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events that are as they were sealed.
    pub authentic: u64,
    /// Further copies of events.
    pub repeats: u64,
    /// Lists and checkpoints that stand where they should.
    pub evidence: u64,
}

impl Tally {
    /// And those.
    pub fn add(&mut self, other: &Tally) {
        self.authentic += other.authentic;
        self.repeats += other.repeats;
        self.evidence += other.evidence;
    }
}

/// What is found and counted.
#[derive(Clone, Debug, Default)]
pub struct Out {
    /// What is found.
    pub findings: Findings,
    /// What is counted.
    pub tally: Tally,
}

/// What is the same for all streams.
#[derive(Debug)]
pub struct Court {
    /// Receivers with filters.
    pub names: Names,
    /// Hashes that may still be spent on a second choice.
    pub effort: u64,
    /// Lists that were opened.
    pub lists: u32,
}

/// Judges a stream to its end.
pub fn stream(case: &Case<'_>, court: &mut Court, source: &mut dyn Source, out: &mut Out) -> io::Result<()> {
    let empty = Tree::new(case.id.algorithm());
    let mut judge = Judge {
        case,
        court,
        out,
        next: 1,
        tree: Some(empty),
        opens: Vec::new(),
        window: Window::new(case.id),
        held: None,
        seen: None,
        filters: 0,
        spent: case.excuses.budgets.iter().map(|b| (*b, 0)).collect(),
    };
    let skipped = case.marks.iter().rposition(|m| m.size < case.reach.first.max(1));
    if let Some(at) = skipped {
        let size = case.marks[at].size;
        judge.filters = judge.filters_of(source, at)?;
        judge.begin_at(source, case.marks[at])?;
        if size > 0 {
            judge.missing(1, size, Held::Unknown(None));
        }
    }
    let mut at = skipped.map_or(0, |at| at + 1);
    while at < case.marks.len() {
        let same = case.marks[at..].iter().take_while(|m| m.size == case.marks[at].size).count();
        for m in &case.marks[at + 1..at + same] {
            if m.root != case.marks[at].root {
                let text = format!("{} and {} name two roots of {} places", case.marks[at].words(), m.number, m.size);
                judge.out.findings.say(Kind::Forked, Some(case.id), None, text);
            }
        }
        let now = judge.filters_of(source, at)?;
        let before = std::mem::replace(&mut judge.filters, now);
        judge.filters |= before;
        judge.fill(source, case.marks[at].size)?;
        judge.close(source, case.marks[at])?;
        judge.filters = now;
        at += same;
    }
    judge.fill(source, u64::MAX)?;
    judge.tail();
    Ok(())
}

struct Judge<'a, 'b> {
    case: &'a Case<'a>,
    court: &'b mut Court,
    out: &'b mut Out,
    /// The next place.
    next: u64,
    /// The tree up to the last checkpoint; none: nobody knows it.
    tree: Option<Tree>,
    opens: Vec<Open>,
    window: Window,
    /// What was said of places that did not fit the window: if the root is right, and if it is not.
    held: Option<(Out, Out)>,
    /// The last event that was there.
    seen: Option<Spot>,
    /// Whose filters are signed around here.
    filters: u64,
    /// What of each budget is used up.
    spent: Vec<(Budget, u64)>,
}

impl Judge<'_, '_> {
    fn filters_of(&mut self, source: &dyn Source, at: usize) -> io::Result<u64> {
        let c = source.load(self.case.marks[at])?;
        let rules = c.rules.iter().filter(|(name, _)| self.case.whose.counts(name));
        Ok(rules.fold(0, |bits, (name, _)| bits | self.court.names.bit(name)))
    }

    fn begin_at(&mut self, source: &dyn Source, mark: &Mark) -> io::Result<()> {
        let c = source.load(mark)?;
        self.tree = Tree::resume(self.case.id.algorithm(), c.size, &c.edge);
        self.next = mark.size.saturating_add(1);
        Ok(())
    }

    /// Takes in what is said of all places up to this one.
    fn fill(&mut self, source: &mut dyn Source, to: u64) -> io::Result<()> {
        while self.next <= to {
            let seq = self.next;
            self.open_lists(source, seq)?;
            self.opens.retain(|open| open.list.end() > seq);
            let claimed = source.peek()?.map(|c| c.seq);
            if self.opens.is_empty() && claimed != Some(seq) {
                let before = claimed.unwrap_or(u64::MAX).min(to.saturating_add(1));
                if to < u64::MAX {
                    self.window.unknown.push((seq, before - 1));
                } else if claimed.is_none() {
                    return Ok(());
                }
                self.next = before;
                continue;
            }
            self.window.place(seq, &self.opens);
            while let Some(claim) = source.peek()?.filter(|c| c.seq == seq) {
                source.pass();
                match claim.what {
                    What::Event(leaf) => self.window.event(seq, leaf, false, claim.fault, claim.spot),
                    What::Evidence(leaf) => self.window.event(seq, leaf, true, claim.fault, claim.spot),
                    What::List(..) => {}
                }
            }
            if self.window.versions.len() > limits::VERIFY_WINDOW {
                self.overflow(to);
            }
            let Some(next) = seq.checked_add(1) else { return Ok(()) };
            self.next = next;
        }
        Ok(())
    }

    fn open_lists(&mut self, source: &mut dyn Source, seq: u64) -> io::Result<()> {
        while let Some(claim) = source.peek()?.filter(|c| c.seq <= seq) {
            match claim.what {
                What::List(at, bytes) => {
                    source.pass();
                    let Some((list, own)) = source.list(at, bytes)?.filter(|(l, _)| l.end() > seq) else { continue };
                    let signed = self.case.sizes.get(&own.0).is_some_and(|size| (1..=*size).contains(&own.1));
                    self.court.lists = self.court.lists.wrapping_add(1);
                    if self.opens.len() < limits::VERIFY_LISTS {
                        let (names, whose) = (&mut self.court.names, self.case.whose);
                        let bit = |name: &str| if whose.counts(name) { names.bit(name) } else { 0 };
                        self.opens.push(Open::new(self.court.lists, list, signed, bit));
                    } else {
                        self.out.findings.say(
                            Kind::TooMuch,
                            Some(self.case.id),
                            None,
                            "too many lists of the same places",
                        );
                    }
                }
                // Of a place that was passed: nothing can be, in order.
                _ if claim.seq < seq => source.pass(),
                _ => break,
            }
        }
        Ok(())
    }

    /// More is said than is held: the first choice goes into the tree, and what follows from it waits for the root.
    fn overflow(&mut self, to: u64) {
        if to == u64::MAX {
            return self.tail();
        }
        let picks = self.window.first();
        let (good, bad) = self.both(&picks);
        let blanks = self.window.blanks() > limits::VERIFY_WINDOW as u64;
        self.tree = self.tree.take().filter(|_| !blanks).map(|tree| self.window.grown(&tree, &picks, |_| ()));
        let (all_good, all_bad) = self.held.get_or_insert_default();
        all_good.absorb(good);
        all_bad.absorb(bad);
        self.window.clear();
    }

    /// What is to be said if these picks are right, and if nothing is known to be.
    fn both(&mut self, picks: &Picks) -> (Out, Out) {
        let (seen, spent) = (self.seen, self.spent.clone());
        let good = self.settled(picks);
        (self.seen, self.spent) = (seen, spent);
        (good, self.broken(None, true))
    }

    /// A checkpoint: its root says what is true.
    fn close(&mut self, source: &dyn Source, mark: &Mark) -> io::Result<()> {
        let tree = self.tree.take();
        let chosen = tree.as_ref().and_then(|tree| self.window.choose(tree, &mark.root, &mut self.court.effort));
        let held = self.held.take();
        let said = match (&chosen, tree) {
            (Some((picks, _)), Some(tree)) => {
                let named = self.named(&tree, picks, mark);
                let mut out = held.map(|(good, _)| good).unwrap_or_default();
                out.absorb(self.settled(picks));
                out.absorb(named);
                out
            }
            (_, tree) => {
                let before = held.is_some();
                let mut out = held.map(|(_, bad)| bad).unwrap_or_default();
                out.absorb(self.broken(Some(mark), before || tree.is_none()));
                out
            }
        };
        self.out.absorb(said);
        self.window.clear();
        match chosen {
            Some((_, tree)) => self.tree = Some(tree),
            None => self.begin_at(source, mark)?,
        }
        Ok(())
    }

    /// Whether roots that others name between two checkpoints are those of the tree.
    fn named(&self, tree: &Tree, picks: &Picks, mark: &Mark) -> Out {
        let mut out = Out::default();
        let mut names = self.case.named.iter().filter(|n| n.size > tree.size() && n.size <= mark.size).peekable();
        if names.peek().is_none() {
            return out;
        }
        self.window.grown(tree, picks, |tree| {
            while let Some(n) = names.next_if(|n| n.size == tree.size()) {
                if n.root != tree.root() {
                    let text = format!("{} names another root of {} places", n.who, n.size);
                    out.findings.say(Kind::Forged, Some(self.case.id), None, text);
                }
            }
        });
        out
    }

    /// The root is right with these picks.
    fn settled(&mut self, picks: &Picks) -> Out {
        let mut out = Out::default();
        let window = std::mem::replace(&mut self.window, Window::new(self.case.id));
        let mut liars: Vec<u32> = Vec::new();
        let mut unknown = window.unknown.iter().copied().peekable();
        for (from, to) in window.places() {
            let truth = picks.get(&from).copied().unwrap_or(from);
            let gone = Version::gone(self.case.id, window.versions[from].seq);
            let v = window.versions.get(truth).unwrap_or(&gone);
            while let Some((a, b)) = unknown.next_if(|(a, _)| *a < v.seq) {
                self.absent_from(a, b, Held::Nothing, &mut out);
            }
            let others = || (from..to).filter(|&i| i != truth).map(|i| &window.versions[i]);
            let lost = v.is_lost();
            let nothing = absent(self.case.id, v.seq);
            // What is there as something else is not missing.
            let altered = |other: &Version| !v.is_there() && v.leaf != nothing && other.is_there();
            self.true_one(v, others().any(altered), &mut out);
            for other in others() {
                self.false_one(other, altered(other), lost, &mut liars, &mut out);
            }
        }
        for (a, b) in unknown {
            self.absent_from(a, b, Held::Nothing, &mut out);
        }
        self.unweighed(&window, &mut out);
        self.window = window;
        out
    }

    fn unweighed(&self, window: &Window, out: &mut Out) {
        for (seq, spot) in &window.more {
            out.findings.places(
                Kind::Inserted,
                self.case.id,
                (*seq, *seq),
                [Some(*spot), None],
                "one of many versions",
            );
        }
    }

    fn true_one(&mut self, v: &Version, altered: bool, out: &mut Out) {
        let [good, odd, bad] = v.events;
        let at = (v.seq, v.seq);
        out.tally.repeats += (good + odd).saturating_sub(1);
        match v.evidence {
            true => out.tally.evidence += u64::from(good > 0),
            false => out.tally.authentic += u64::from(good > 0),
        }
        if good == 0 && odd > 0 {
            out.findings.places(Kind::Odd, self.case.id, at, [v.spot, None], "");
        }
        if bad > 0 {
            out.findings.places(Kind::Altered, self.case.id, at, [v.spot, None], "");
        }
        if v.is_there() {
            self.seen = v.spot;
        } else if let Some((place, _)) = v.listed.filter(|_| !altered) {
            self.absent_from(v.seq, v.seq, self.held(place, v.filters), out);
        }
    }

    fn held(&self, place: Place, f: Filters) -> Held {
        match place {
            Place::Leaf(_) if f.signed & !f.pass != 0 => Held::Kept { signed: true },
            // Whoever makes one up makes up none of the rules that are signed.
            Place::Leaf(_) if f.known & self.filters & !f.pass != 0 => Held::Kept { signed: false },
            Place::Leaf(_) => Held::Record,
            Place::Lost => Held::Nothing,
        }
    }

    /// `lost`: what stood there was gone before it was sealed.
    fn false_one(&mut self, other: &Version, altered: bool, lost: bool, liars: &mut Vec<u32>, out: &mut Out) {
        let at = (other.seq, other.seq);
        if lost && other.events[2] == 0 && other.is_there() {
            // Delivery does not wait for the sealer: a power cut may have taken what somebody had been given already.
            let text = "what stood there was gone before it was sealed, and may have been delivered before that";
            out.findings.places(Kind::Unproven, self.case.id, at, [other.spot, None], text);
        } else if other.is_there() {
            let kind = if altered { Kind::Altered } else { Kind::Inserted };
            out.findings.places(kind, self.case.id, at, [other.spot, None], "");
            self.seen = if altered { other.spot } else { self.seen };
        }
        // What was in a list may be gone when it is told anew after a death: that is no lie, and the root says which is so.
        let may_differ = |place: &Place| lost || *place == Place::Lost;
        if let Some((_, list)) = other.listed.filter(|(place, list)| !may_differ(place) && !liars.contains(list)) {
            if liars.len() < limits::VERIFY_LISTS {
                liars.push(list);
                out.findings.places(
                    Kind::Forged,
                    self.case.id,
                    at,
                    [None, None],
                    "a list says that something else stands there",
                );
            }
        }
    }

    /// No choice gives the root. `whole`: something before may be to blame.
    fn broken(&mut self, mark: Option<&Mark>, whole: bool) -> Out {
        let mut out = Out::default();
        let window = std::mem::replace(&mut self.window, Window::new(self.case.id));
        let by = mark.and_then(|m| m.exported).and_then(|(_, place)| place);
        let by = by.filter(|(id, _)| *id == self.case.id).map(|(_, seq)| seq);
        let blank = Held::Unknown(by);
        let (mut contested, mut first, mut last) = (false, None, 0);
        let mut unknown = window.unknown.iter().copied().peekable();
        for (from, to) in window.places() {
            let v = &window.versions[from];
            while let Some((a, b)) = unknown.next_if(|(a, _)| *a < v.seq) {
                self.absent_from(a, b, blank, &mut out);
            }
            first = first.or(Some(v.seq));
            last = v.seq;
            contested |= self.unproven(&window.versions[from..to], &mut out);
        }
        for (a, b) in unknown {
            self.absent_from(a, b, blank, &mut out);
        }
        self.unweighed(&window, &mut out);
        contested |= !window.more.is_empty();
        if let Some(first) = first.filter(|_| !contested && !whole && window.unknown.is_empty()) {
            let text = "something among these is not what was sealed, and the list of it neither";
            out.findings.places(Kind::Altered, self.case.id, (first, last), [None, None], text);
        }
        self.window = window;
        out
    }

    /// What is said of a place that no root confirms. Whether it contradicts itself.
    fn unproven(&mut self, all: &[Version], out: &mut Out) -> bool {
        let lost = all.iter().any(Version::is_lost);
        let mut contested = all.iter().filter(|v| !v.is_lost()).count() > 1;
        let spot = all.iter().find_map(|v| v.spot);
        let at = (all[0].seq, all[0].seq);
        let there = all.iter().any(Version::is_there);
        let bad = all.iter().any(|v| v.events[2] > 0);
        if contested {
            let text = "several things are said of it, and no root tells which is true";
            out.findings.places(Kind::Altered, self.case.id, at, [spot, None], text);
        } else if bad {
            out.findings.places(Kind::Altered, self.case.id, at, [spot, None], "");
            contested = true;
        } else if there && all.iter().all(|v| !v.evidence) {
            out.findings.places(Kind::Unproven, self.case.id, at, [spot, None], "");
        }
        out.tally.evidence += u64::from(all.iter().any(|v| v.evidence));
        if there {
            self.seen = spot;
        } else if lost && all.len() > 1 && !contested {
            let text = "one list says that it was lost, and another one not";
            out.findings.places(Kind::Missing, self.case.id, at, [self.seen, None], text);
        } else if let Some((place, _)) = all[0].listed.filter(|_| !contested) {
            let held = self.held(place, all[0].filters);
            self.absent_from(at.0, at.1, held, out);
        }
        contested
    }

    /// Places without a record, said at once.
    fn missing(&mut self, from: u64, to: u64, held: Held) {
        let mut out = Out::default();
        self.absent_from(from, to, held, &mut out);
        self.out.absorb(out);
    }

    fn absent_from(&mut self, from: u64, to: u64, held: Held, out: &mut Out) {
        let mut seq = from;
        while seq <= to {
            let (mut kind, last) = self.case.excuses.missing(seq, held, &self.case.reach);
            let last = last.min(to).max(seq);
            let mut text = "";
            let is_filtered = matches!(kind, Kind::Filtered | Kind::FilteredUnsigned);
            let last = if is_filtered { last.min(self.budget_end(seq)) } else { last };
            if self.case.unsure && (is_filtered || kind == Kind::Excused) {
                (kind, text) =
                    (Kind::Missing, "for one of the receivers it is explained: say by --receiver whose export it is");
            } else if let Some(over) = is_filtered.then(|| self.over(seq, last, held)).flatten() {
                (kind, text) = (over, "more are missing as if filtered than were filtered");
            } else if matches!(held, Held::Unknown(_)) && kind == Kind::Removed {
                text = "with the list that told of it";
            }
            out.findings.places(kind, self.case.id, (seq, last), [self.seen, None], text);
            let Some(next) = last.checked_add(1) else { return };
            seq = next;
        }
    }

    /// What it means where the filter has not kept back so many, by the counts that are signed.
    fn over(&mut self, from: u64, to: u64, held: Held) -> Option<Kind> {
        let kept = matches!(held, Held::Kept { .. });
        let Some((budget, spent)) = self.spent.iter_mut().find(|(b, _)| b.from <= from && from < b.to) else {
            // A list says so, or nothing does but that the filter was changed.
            return (!kept).then_some(Kind::Missing);
        };
        *spent = spent.saturating_add(to - from).saturating_add(1);
        let over = if budget.changed || !kept { Kind::Missing } else { Kind::Removed };
        (*spent > budget.most).then_some(over)
    }

    /// The last place of the budget that this one is in.
    fn budget_end(&self, seq: u64) -> u64 {
        let budget = self.spent.iter().map(|(b, _)| b).find(|b| b.from <= seq && seq < b.to);
        budget.map_or(u64::MAX, |b| b.to - 1)
    }

    /// Behind the last checkpoint.
    fn tail(&mut self) {
        let window = std::mem::replace(&mut self.window, Window::new(self.case.id));
        let mut out = Out::default();
        let kind = match () {
            () if self.case.marks.is_empty() => Kind::Unproven,
            () if self.case.excuses.closed => Kind::Beyond,
            () => Kind::Unsealed,
        };
        for (from, to) in window.places() {
            let all = &window.versions[from..to];
            let at = (all[0].seq, all[0].seq);
            let spot = all.iter().find_map(|v| v.spot);
            let bad = all.iter().any(|v| v.events[Fault::Altered as usize] > 0);
            if bad || all.iter().filter(|v| !v.is_lost()).count() > 1 {
                out.findings.places(Kind::Altered, self.case.id, at, [spot, None], "");
            } else if all.iter().any(|v| !v.evidence && v.is_there()) {
                out.findings.places(kind, self.case.id, at, [spot, None], "");
            }
            out.tally.evidence += u64::from(all.iter().any(|v| v.evidence));
        }
        self.unweighed(&window, &mut out);
        self.out.absorb(out);
    }
}

impl Out {
    /// And that.
    pub fn absorb(&mut self, other: Out) {
        self.findings.absorb(other.findings);
        self.tally.add(&other.tally);
    }
}
