//! ○ The leaves of a stream as they come: the tree, the list at hand, what filters say, and the last ids. Pure. Refuses: to
//! allocate for a record.

use crate::audit::delivery::filter::{Filter, Sieve};
use crate::audit::record::usual::Usual;
use crate::audit::record::{body_of, EventId, Kind};
use crate::audit::seal::{absent, form, leaf, List, Place, Stream, Tree};
use crate::audit::spool::record::Stored;
use crate::limits;
use memchr::memmem::Finder;

/// The filter of a receiver at work.
#[derive(Debug)]
pub struct Rule {
    name: String,
    sieve: Sieve,
    /// What it says of the places of the list at hand.
    passes: Vec<bool>,
    /// The record that it has judged last.
    seen: u64,
}

impl Rule {
    /// At its beginning.
    pub fn new(name: &str, filter: &Filter) -> Rule {
        let passes = Vec::with_capacity(limits::SEAL_LIST);
        Rule { name: name.into(), sieve: Sieve::new(filter.clone()), passes, seen: 0 }
    }

    fn judge(&mut self, r: &Stored<'_>) {
        // Whether a later piece went with the first nobody knows who has not seen that: what is left out may be there.
        let knows = r.part <= 1 || self.seen + 1 == r.seq;
        self.passes.push(self.sieve.passes(r) && knows);
        self.seen = r.seq;
    }
}

/// The leaves.
#[derive(Debug)]
pub struct Leaves {
    stream: Stream,
    /// The tree of all that has come.
    pub tree: Tree,
    places: Vec<Place>,
    rules: Vec<Rule>,
    /// How many records that are no evidence have come since somebody set this to 0.
    pub fresh: u64,
    /// The same, in the list at hand.
    fresh_here: u64,
    /// The database has begun another log.
    pub rotated: bool,
    rotation: Finder<'static>,
    usual: Usual,
    /// The last event of the start that events come of now, not told yet.
    last: Option<EventId>,
    seen: Vec<EventId>,
}

impl Leaves {
    /// Behind those of this tree.
    pub fn new(stream: Stream, tree: Tree, rules: Vec<Rule>) -> Leaves {
        Leaves {
            stream,
            tree,
            places: Vec::with_capacity(limits::SEAL_LIST),
            rules,
            fresh: 0,
            fresh_here: 0,
            rotated: false,
            rotation: Finder::new(b"\"title\":\"audit_rotate\""),
            usual: Usual::default(),
            last: None,
            seen: Vec::new(),
        }
    }

    /// The filters, where another stream begins.
    pub fn set_rules(&mut self, rules: Vec<Rule>) {
        self.rules = rules;
    }

    /// The rules, for the leaves of another stream.
    pub fn into_rules(self) -> Vec<Rule> {
        let again = |r: Rule| Rule { passes: Vec::with_capacity(limits::SEAL_LIST), seen: 0, ..r };
        self.rules.into_iter().map(again).collect()
    }

    /// Goes on behind this tree; the list at hand is forgotten.
    pub fn jump(&mut self, tree: Tree) {
        self.tree = tree;
        self.places.clear();
        self.rules.iter_mut().for_each(|rule| rule.passes.clear());
        (self.fresh, self.fresh_here) = (0, 0);
    }

    /// The record that comes next in the stream. True: the list is full.
    #[inline]
    pub fn take(&mut self, r: &Stored<'_>) -> bool {
        let (id, seq) = (self.stream.id, self.tree.size() + 1);
        self.rules.iter_mut().for_each(|rule| rule.judge(r));
        let body = body_of(r.kind, r.part, r.raw);
        let hash = r.written_leaf().map_or_else(|| leaf(id, seq, form(body), body), |(_, hash)| hash);
        self.tree.push(hash);
        self.places.push(Place::Leaf(hash));
        // Evidence is evidence of what is not: it asks for no more of it.
        if r.kind != Kind::Own || !r.is_evidence() {
            self.fresh += 1;
            self.fresh_here += 1;
            if r.kind != Kind::Own {
                self.see(r.id.of(r.raw));
                // Whoever writes it into another field has to escape it.
                self.rotated |= self.rotation.find(body).is_some();
            }
        }
        self.is_full()
    }

    /// A record that is gone comes next. True: the list is full.
    pub fn miss(&mut self) -> bool {
        self.tree.push(absent(self.stream.id, self.tree.size() + 1));
        self.places.push(Place::Lost);
        self.rules.iter_mut().for_each(|rule| rule.passes.push(false));
        self.fresh += 1;
        self.fresh_here += 1;
        self.is_full()
    }

    fn is_full(&self) -> bool {
        self.tree.size() % limits::SEAL_LIST as u64 == 0
    }

    #[inline]
    fn see(&mut self, id: &[u8]) {
        let Some(id) = self.usual.id(id) else { return };
        match &mut self.last {
            Some(last) if (last.raft_id, last.gen) == (id.raft_id, id.gen) => last.count = last.count.max(id.count),
            last => self.seen.extend(last.replace(id)),
        }
    }

    /// The last event of each start that has come, for whoever keeps them.
    pub fn take_seen(&mut self) -> impl Iterator<Item = EventId> + '_ {
        self.seen.drain(..).chain(self.last)
    }

    /// Whether the list at hand has anything.
    pub fn is_open(&self) -> bool {
        !self.places.is_empty()
    }

    /// Whether it has anything but evidence.
    pub fn has_fresh(&self) -> bool {
        self.fresh_here > 0
    }

    /// The list at hand as an event, into `out`; the next one begins.
    pub fn close(&mut self, out: &mut Vec<u8>, now_ms: i64) {
        let from = self.tree.size() + 1 - self.places.len() as u64;
        let passes = self.rules.iter_mut().map(|r| (r.name.clone(), std::mem::take(&mut r.passes))).collect();
        let list = List { stream: self.stream.id, from, places: std::mem::take(&mut self.places), passes };
        list.write_to(out, now_ms);
        // Their room is used again.
        (self.places, self.fresh_here) = (list.places, 0);
        self.places.clear();
        for (rule, (_, mut passes)) in self.rules.iter_mut().zip(list.passes) {
            passes.clear();
            rule.passes = passes;
        }
    }
}
