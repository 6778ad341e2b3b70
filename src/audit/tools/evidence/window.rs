//! ○ The places between two checkpoints, with all that is said of each, and the choice that gives the signed root.
//!
//! Where two things are said of a place, the root tells which is true: lists are believed first, then events, then every way
//! of choosing while there are few; then that what no list is here of was gone before it was sealed, then that anything was.
//! Refuses: to spend more on it than its bounds.

use super::claim::{Fault, Spot};
use super::listing::{Filters, Open};
use super::stretch::Forest;
use crate::audit::seal::{absent, Hash, Place, StreamId, Tree};
use crate::limits;
use std::collections::BTreeMap;

/// One of the things that are said of a place.
#[derive(Clone, Debug)]
pub struct Version {
    /// The place.
    pub seq: u64,
    /// Its leaf.
    pub leaf: Hash,
    /// What a list says it is, and which list.
    pub listed: Option<(Place, u32)>,
    /// Copies of the event: good ones, shown oddly, and altered in what the leaf does not cover.
    pub events: [u64; 3],
    /// It is a list or checkpoint.
    pub evidence: bool,
    /// The first event.
    pub spot: Option<Spot>,
    /// What lists say of filters.
    pub filters: Filters,
}

impl Version {
    /// What nobody says, and the root does: it was gone before it was sealed.
    pub fn gone(id: StreamId, seq: u64) -> Version {
        let (listed, filters) = (Some((Place::Lost, 0)), Filters::default());
        Version { seq, leaf: absent(id, seq), listed, events: [0; 3], evidence: false, spot: None, filters }
    }

    /// Whether something of it is there.
    pub fn is_there(&self) -> bool {
        self.events.iter().any(|n| *n > 0)
    }

    /// Whether a list says that it was gone before it was sealed. It may have been delivered before that, and another list may
    /// know it: then it went between the two.
    pub fn is_lost(&self) -> bool {
        matches!(self.listed, Some((Place::Lost, _))) && !self.is_there()
    }
}

/// The places.
#[derive(Debug)]
pub struct Window {
    id: StreamId,
    /// What is said, by place.
    pub versions: Vec<Version>,
    /// Places of which nothing is said.
    pub unknown: Vec<(u64, u64)>,
    /// Versions that were not weighed: place, and where one of them is.
    pub more: Vec<(u64, Spot)>,
    begun: usize,
}

/// Which version of each contested place; the others have but one.
pub type Picks = BTreeMap<usize, usize>;
/// None of them: it was gone before it was sealed.
pub const GONE: usize = usize::MAX;

impl Window {
    /// Of this stream.
    pub fn new(id: StreamId) -> Window {
        Window { id, versions: Vec::new(), unknown: Vec::new(), more: Vec::new(), begun: 0 }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.versions.clear();
        self.unknown.clear();
        self.more.clear();
        self.begun = 0;
    }

    /// A place begins, of which these lists tell.
    pub fn place(&mut self, seq: u64, lists: &[Open]) {
        self.begun = self.versions.len();
        for open in lists {
            let Some((leaf, place, filters)) = open.at(seq) else { continue };
            if let Some(v) = self.version(seq, leaf) {
                v.listed = v.listed.or(Some((place, open.number)));
                v.filters.add(filters);
            }
        }
    }

    fn version(&mut self, seq: u64, leaf: Hash) -> Option<&mut Version> {
        let own = &self.versions[self.begun..];
        let at = match own.iter().position(|v| v.leaf == leaf) {
            Some(at) => self.begun + at,
            None if own.len() == limits::VERIFY_VERSIONS => return None,
            None => {
                let (listed, events, evidence, filters) = (None, [0; 3], false, Filters::default());
                self.versions.push(Version { seq, leaf, listed, events, evidence, spot: None, filters });
                self.versions.len() - 1
            }
        };
        self.versions.get_mut(at)
    }

    /// An event stands there; `evidence`: it is a list or checkpoint.
    pub fn event(&mut self, seq: u64, leaf: Hash, evidence: bool, fault: Fault, spot: Spot) {
        if let Some(v) = self.version(seq, leaf) {
            v.events[fault as usize] += 1;
            v.evidence |= evidence;
            v.spot = v.spot.or(Some(spot));
        } else if self.more.len() < limits::TOOL_FINDINGS {
            self.more.push((seq, spot));
        }
    }

    /// The versions of each place, from one index to another.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let first = self.versions.get(at)?;
            let from = at;
            while self.versions.get(at).is_some_and(|v| v.seq == first.seq) {
                at += 1;
            }
            Some((from, at))
        })
    }

    /// How many places nothing is said of.
    pub fn blanks(&self) -> u64 {
        self.unknown.iter().fold(0, |n: u64, (a, b)| n.saturating_add(b - a).saturating_add(1))
    }

    /// The leaves of all places, chosen so; what nothing is said of counts as lost before it was sealed.
    fn leaves(&self, picks: &Picks, mut give: impl FnMut(Hash)) {
        let mut unknown = self.unknown.iter().copied().peekable();
        let mut fill = |before: u64, give: &mut dyn FnMut(Hash)| {
            while let Some((a, b)) = unknown.next_if(|(a, _)| *a < before) {
                (a..=b).for_each(|seq| give(absent(self.id, seq)));
            }
        };
        for (from, _) in self.places() {
            let seq = self.versions[from].seq;
            fill(seq, &mut give);
            let v = self.versions.get(picks.get(&from).copied().unwrap_or(from));
            give(v.map_or_else(|| absent(self.id, seq), |v| v.leaf));
        }
        fill(u64::MAX, &mut give);
    }

    /// The tree with the places, chosen so.
    pub fn grown(&self, tree: &Tree, picks: &Picks, mut at: impl FnMut(&Tree)) -> Tree {
        let mut tree = tree.clone();
        self.leaves(picks, |leaf| {
            tree.push(leaf);
            at(&tree);
        });
        tree
    }

    /// The choice that gives this root, if any; `effort` is how many hashes may still be spent on other ways than the first.
    pub fn choose(&self, tree: &Tree, root: &Hash, effort: &mut u64) -> Option<(Picks, Tree)> {
        if self.blanks() > limits::VERIFY_WINDOW as u64 {
            return None;
        }
        let contested: Vec<(usize, usize)> = self.places().filter(|(a, b)| b - a > 1).collect();
        let first = self.first_choice(&contested);
        let attempt = |picks: Picks| {
            let grown = self.grown(tree, &picks, |_| ());
            (grown.root() == *root).then_some((picks, grown))
        };
        if let Some(done) = attempt(first.clone()) {
            return Some(done);
        }
        let cost = 2 * (self.versions.len() as u64 + self.blanks()) + 64;
        for picks in self.other_choices(&contested, &first) {
            *effort = effort.checked_sub(cost)?;
            if let Some(done) = attempt(picks) {
                return Some(done);
            }
        }
        // Where nothing is said of some, the root may be out of reach, and nobody is blamed.
        if !self.unknown.is_empty() {
            return None;
        }
        let unlisted = |(a, b): &(usize, usize)| self.versions[*a..*b].iter().all(|v| v.listed.is_none());
        let some: Vec<usize> = self.places().filter(unlisted).map(|(from, _)| from).collect();
        // A list may have been told before they went, and the one that is told again after a death has been dropped.
        let all: Vec<usize> = self.places().map(|(from, _)| from).collect();
        let again = (some.len() < all.len()).then_some(all);
        let mut ways = std::iter::once(some).chain(again);
        attempt(ways.find_map(|open| self.gone(tree, root, &first, &open, effort))?)
    }

    /// What was delivered and then went before it was sealed is told by a list, and that may have been dropped. What goes so lies
    /// side by side, and a root that fits proves it. `open`: where that may be.
    fn gone(&self, tree: &Tree, root: &Hash, first: &Picks, open: &[usize], effort: &mut u64) -> Option<Picks> {
        if open.is_empty() {
            return None;
        }
        let mut picks = first.clone();
        picks.extend(open.iter().map(|&from| (from, GONE)));
        let (algorithm, from) = (self.id.algorithm(), tree.size());
        let forest = |picks: &Picks| {
            let mut leaves = Vec::with_capacity(self.versions.len());
            self.leaves(picks, |leaf| leaves.push(leaf));
            Forest::new(algorithm, from, leaves)
        };
        *effort = effort.checked_sub(4 * self.versions.len() as u64)?;
        let places: Vec<u64> = open.iter().map(|&from| self.versions[from].seq - 1).collect();
        let found = forest(first).search(&forest(&picks), &places, tree, root, effort)?;
        let is_gone = |i: usize| found.iter().any(|(a, b)| (*a..*b).contains(&i));
        let mut picks = first.clone();
        picks.extend(open.iter().enumerate().filter(|(i, _)| is_gone(*i)).map(|(_, &from)| (from, GONE)));
        Some(picks)
    }

    /// What lists say, of several lists the one that most events agree with.
    pub fn first(&self) -> Picks {
        let contested: Vec<(usize, usize)> = self.places().filter(|(a, b)| b - a > 1).collect();
        self.first_choice(&contested)
    }

    fn first_choice(&self, contested: &[(usize, usize)]) -> Picks {
        if contested.is_empty() {
            return Picks::new();
        }
        let mut agree: BTreeMap<u32, u64> = BTreeMap::new();
        for v in self.versions.iter().filter(|v| v.is_there()) {
            if let Some((_, list)) = v.listed {
                *agree.entry(list).or_default() += 1;
            }
        }
        let value = |i: usize| {
            let v = &self.versions[i];
            let list = v.listed.map(|(_, list)| 1 + agree.get(&list).copied().unwrap_or(0));
            (list.unwrap_or(0), v.events[0])
        };
        contested.iter().map(|&(a, b)| (a, (a..b).rev().max_by_key(|&i| value(i)).unwrap_or(a))).collect()
    }

    fn other_choices<'a>(
        &'a self,
        contested: &'a [(usize, usize)],
        first: &'a Picks,
    ) -> impl Iterator<Item = Picks> + 'a {
        let v = |i: usize| &self.versions[i];
        let by_events = contested.iter().map(move |&(a, b)| {
            let good = (a..b).find(|&i| v(i).events[0] > 0);
            (a, good.unwrap_or(first[&a]))
        });
        let mut lists: Vec<u32> = contested
            .iter()
            .flat_map(|&(a, b)| (a..b).filter_map(move |i| v(i).listed))
            .map(|(_, list)| list)
            .collect();
        lists.sort_unstable();
        lists.dedup();
        lists.truncate(limits::VERIFY_LISTS);
        let without = lists.into_iter().map(move |list| {
            let other = |&(a, b): &(usize, usize)| {
                let others = |i: &usize| v(*i).listed.is_none_or(|(_, l)| l != list);
                (a, Some(first[&a]).filter(others).or((a..b).find(others)).unwrap_or(a))
            };
            contested.iter().map(other).collect::<Picks>()
        });
        let ways = contested.iter().try_fold(1usize, |n, (a, b)| n.checked_mul(b - a));
        let ways = ways.filter(|n| *n <= limits::VERIFY_TRIES).unwrap_or(0);
        let every = (0..ways).map(move |mut way| {
            let mut pick = |&(a, b): &(usize, usize)| {
                let picked = a + way % (b - a);
                way /= b - a;
                (a, picked)
            };
            contested.iter().map(&mut pick).collect::<Picks>()
        });
        std::iter::once(by_events.collect::<Picks>()).filter(|_| !contested.is_empty()).chain(without).chain(every)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::seal::{Algorithm, List};

    const ID: StreamId = StreamId([1; 16]);

    fn leaf(seq: u64) -> Hash {
        Algorithm::Sha256.hash(&[&seq.to_be_bytes()])
    }

    fn open(number: u32, from: u64, leaves: Vec<Hash>) -> Open {
        let places = leaves.into_iter().map(Place::Leaf).collect();
        Open::new(number, List { stream: ID, from, places, passes: Vec::new() }, true, |_| 0)
    }

    fn signed(leaves: impl Iterator<Item = Hash>) -> (Tree, Hash) {
        let mut tree = Tree::new(Algorithm::Sha256);
        let empty = tree.clone();
        leaves.for_each(|l| tree.push(l));
        (empty, tree.root())
    }

    #[test]
    fn the_root_tells_which_list_and_which_event_is_true() {
        let (empty, root) = signed((1..=20).map(leaf));
        let mut bad: Vec<Hash> = (1..=20).map(leaf).collect();
        bad[3] = [9; 32];
        bad[17] = [9; 32];
        for order in [[0u32, 1], [1, 0]] {
            let mut lists: Vec<Open> = Vec::new();
            for n in order {
                lists.push(open(n, 1, if n == 0 { (1..=20).map(leaf).collect() } else { bad.clone() }));
            }
            let mut w = Window::new(ID);
            for seq in 1..=20 {
                w.place(seq, &lists);
                // One event is missing where the lists disagree, one is altered elsewhere.
                if seq != 4 {
                    let wrong = if seq == 9 { [7; 32] } else { leaf(seq) };
                    w.event(seq, wrong, false, Fault::None, Spot::default());
                }
            }
            let (picks, _) = w.choose(&empty, &root, &mut u64::MAX.clone()).unwrap();
            for (from, to) in w.places() {
                let v = &w.versions[picks.get(&from).copied().unwrap_or(from)];
                assert_eq!(v.leaf, leaf(v.seq), "{from} {to}");
            }
            assert!(w.choose(&empty, &[0; 32], &mut 1_000_000).is_none());
        }
    }

    #[test]
    fn what_nothing_is_said_of_may_have_been_lost() {
        let of = |seq: u64| if seq == 2 || seq > 8 { absent(ID, seq) } else { leaf(seq) };
        let (empty, root) = signed((1..=10).map(of));
        let mut w = Window::new(ID);
        for seq in [1, 3, 4, 5, 6, 7, 8] {
            w.place(seq, &[]);
            w.event(seq, leaf(seq), false, Fault::None, Spot::default());
        }
        w.unknown = vec![(2, 2), (9, 10)];
        assert!(w.choose(&empty, &root, &mut 0).is_some());
        w.unknown = vec![(2, 2), (9, u64::MAX)];
        assert!(w.choose(&empty, &root, &mut 0).is_none());
    }

    #[test]
    fn many_versions_of_a_place_are_counted_and_not_held() {
        let mut w = Window::new(ID);
        w.place(1, &[]);
        (0..1_000u64).for_each(|n| w.event(1, leaf(n), false, Fault::None, Spot::default()));
        assert_eq!((w.versions.len(), w.more.len()), (limits::VERIFY_VERSIONS, limits::TOOL_FINDINGS));
    }
}
