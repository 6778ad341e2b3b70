//! From all that was read to all that is to be said: chains first, then each stream, then the end.
//!
//! Refuses: to know where lines came from, and where the answer goes.

use super::chain::{self, Mark, Trust};
use super::claim::Claim;
use super::excuse::{self, Excuses, Reach, Whose};
use super::findings::{Findings, Kind};
use super::gather::{Bare, Gathered, Row};
use super::judge::{self, Case, Court, Named, Out, Source, Tally};
use super::listing::{self, Names};
use super::sort::{Pool, Sorted};
use crate::audit::seal::{Checkpoint, List, Note, StreamId, VerifierKey};
use crate::limits;
use std::collections::{BTreeMap, HashMap};
use std::io;

/// What is said of one stream.
#[derive(Clone, Debug)]
pub struct StreamRow {
    /// The stream.
    pub id: StreamId,
    /// How many places its last believed checkpoint signs.
    pub size: u64,
    /// That checkpoint's number and time; none: nothing signed reaches the stream.
    pub last: Option<(u64, i64)>,
    /// How many believed checkpoints it has.
    pub checkpoints: u64,
    /// It has ended.
    pub closed: bool,
    /// What is counted.
    pub tally: Tally,
}

/// All that is to be said.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What is found.
    pub findings: Findings,
    /// The streams.
    pub streams: Vec<StreamRow>,
    /// What is counted in all of them.
    pub tally: Tally,
    /// The newest believed checkpoint: number, time, stream.
    pub newest: Option<(u64, i64, StreamId)>,
    /// Lines that were read.
    pub lines: u64,
    /// Lines with an event.
    pub events: u64,
    /// Events of the common schema.
    pub ecs: u64,
    /// Who has signed believed checkpoints besides, and how many: that is not checked.
    pub others: BTreeMap<String, u64>,
}

fn broken(what: &str) -> io::Error {
    io::Error::other(format!("what was put aside cannot be read again: {what}"))
}

fn load(pool: &Pool, mark: &Mark) -> io::Result<(Note, Checkpoint)> {
    let text = pool.get(mark.text.0, mark.text.1 as usize)?;
    let note = std::str::from_utf8(&text).ok().and_then(Note::parse).ok_or_else(|| broken("a note"))?;
    let checkpoint = Checkpoint::read(&note.body).map_err(|why| broken(&why))?;
    Ok((note, checkpoint))
}

/// Claims of one stream after the other.
struct Feed<'a> {
    sorted: Sorted,
    next: Option<Claim>,
    stream: u32,
    pool: &'a Pool,
    passed: &'a mut dyn FnMut(),
}

impl Source for Feed<'_> {
    fn peek(&mut self) -> io::Result<Option<Claim>> {
        if self.next.is_none() {
            self.next = self.sorted.next()?.map(|packed| Claim::unpack(&packed));
        }
        Ok(self.next.filter(|c| c.stream == self.stream))
    }

    fn pass(&mut self) {
        self.next = None;
        (self.passed)();
    }

    fn list(&self, at: u64, bytes: u32) -> io::Result<Option<(List, (StreamId, u64))>> {
        Ok(listing::unpack(&self.pool.get(at, bytes as usize)?))
    }

    fn load(&self, mark: &Mark) -> io::Result<Checkpoint> {
        load(self.pool, mark).map(|(_, checkpoint)| checkpoint)
    }
}

/// Judges all. `only`: whose export it is; `exports`: there were some; `passed` is called for each claim.
pub fn judge(
    gathered: Gathered,
    keys: &[VerifierKey],
    only: Option<String>,
    exports: bool,
    passed: &mut dyn FnMut(),
) -> io::Result<Verdict> {
    let Gathered {
        rows,
        sorter,
        pool,
        mut marks,
        mut receivers,
        findings,
        lines,
        events,
        ecs,
        torn,
        bare,
        origins,
        ..
    } = gathered;
    let mut out = Out { findings, tally: Tally::default() };
    let mut verdict = Verdict { lines, events, ecs, ..Verdict::default() };
    let give = |mark: &Mark| load(&pool, mark);
    let chains = chain::judge(&mut marks, keys, &give, &mut out.findings)?;
    if let Some(name) = only.as_ref().filter(|name| !receivers.is_empty() && !receivers.contains(name)) {
        let text = format!("no checkpoint tells of a receiver `{name}`: {}", receivers.join(", "));
        out.findings.say(Kind::Unproven, None, None, text);
    }
    let unsure = only.is_none() && receivers.len() > 1;
    let whose = Whose { only: only.or_else(|| receivers.pop().filter(|_| !unsure)) };
    let excuses = excuse::gather(&marks, &chains, &whose, torn, &give, &mut out.findings)?;
    let present = rows.iter().map(|r| (r.id, *r)).collect();
    let (by_stream, named) = split(&marks, &chains, &excuses);
    let size = |own: &Vec<usize>| own.iter().map(|&i| marks[i].size).max().unwrap_or(0);
    let sizes = by_stream.iter().map(|(id, own)| (*id, size(own))).collect();
    let hall = Hall { marks: &marks, by_stream, named, excuses, sizes, present, whose, unsure, exports };
    let mut feed = Feed { sorted: sorter.finish()?, next: None, stream: 0, pool: &pool, passed };
    let mut court = Court { names: Names::default(), effort: limits::VERIFY_TRY_HASHES, lists: 0 };
    for (stream, row) in rows.iter().enumerate() {
        feed.stream = stream as u32;
        let row = hall.one(row, &mut court, &mut feed, &mut out)?;
        verdict.tally.add(&row.tally);
        verdict.streams.push(row);
    }
    unsealed(&bare, &origins, &marks, &mut out.findings);
    // Of each chain the last one, whatever its clock said.
    let last = chains.iter().filter_map(|chain| chain.last()).map(|&i| &marks[i]);
    verdict.newest = last.max_by_key(|m| (m.time_ms, m.number)).map(|m| (m.number, m.time_ms, m.id));
    verdict.others = chain::others(&marks, &give)?;
    if verdict.newest.is_none() {
        out.findings.say(Kind::Unproven, None, None, "there is no checkpoint that can be believed");
    }
    verdict.findings = out.findings;
    Ok(verdict)
}

/// Events without a seal. What an instance delivers while it seals has one; what it delivered before, or another one does that
/// seals nothing, has none.
fn unsealed(bare: &[Bare], origins: &[u64], marks: &[Mark], f: &mut Findings) {
    let mut spans: HashMap<StreamId, (i64, i64)> = HashMap::new();
    for m in marks.iter().filter(|m| m.trust == Trust::Signed) {
        let span = spans.entry(m.id).or_insert((m.id.begun_ms(), m.time_ms));
        span.1 = span.1.max(m.time_ms);
    }
    for b in bare {
        // What no helper has written is taken for an event of the database where it has the number and the time of one.
        let ours = b.origin.map_or(b.spot.id.is_some(), |origin| origins.contains(&origin));
        let when = b.read_ms.or(b.spot.time_ms);
        let sealed = when.is_some_and(|t| spans.values().any(|(from, to)| (*from..*to).contains(&t)));
        match ours && sealed {
            true => f.say(Kind::Inserted, None, Some(b.spot), "it bears no seal, and all that was read then has one"),
            false => f.say(Kind::Bare, None, Some(b.spot), ""),
        }
    }
}

type ByStream<T> = HashMap<StreamId, Vec<T>>;

/// What is known before the first stream is judged.
struct Hall<'a> {
    marks: &'a [Mark],
    by_stream: ByStream<usize>,
    named: ByStream<Named>,
    excuses: HashMap<StreamId, Excuses>,
    sizes: HashMap<StreamId, u64>,
    present: HashMap<StreamId, Row>,
    whose: Whose,
    unsure: bool,
    exports: bool,
}

impl Hall<'_> {
    /// Judges one stream.
    fn one(&self, row: &Row, court: &mut Court, feed: &mut Feed<'_>, out: &mut Out) -> io::Result<StreamRow> {
        let none = Excuses::default();
        let excuses = self.excuses.get(&row.id).unwrap_or(&none);
        let own = self.by_stream.get(&row.id).map(Vec::as_slice).unwrap_or_default();
        let own: Vec<&Mark> = own.iter().map(|&i| &self.marks[i]).collect();
        let named = self.named.get(&row.id).map(Vec::as_slice).unwrap_or_default();
        let reach = reach(row, &own, &self.excuses, &self.present);
        let (whose, unsure) = (&self.whose, self.unsure);
        let sizes = &self.sizes;
        let case = Case { id: row.id, marks: &own, named, excuses, sizes, reach, whose, unsure };
        out.tally = Tally::default();
        if self.exports {
            judge::stream(&case, court, feed, out)?;
        }
        while feed.peek()?.is_some() {
            feed.pass();
        }
        Ok(StreamRow {
            id: row.id,
            size: own.last().map_or(0, |m| m.size),
            last: own.iter().max_by_key(|m| m.number).map(|m| (m.number, m.time_ms)),
            checkpoints: own.len() as u64,
            closed: excuses.closed,
            tally: std::mem::take(&mut out.tally),
        })
    }
}

/// Believed checkpoints of each stream by size, and the roots that others name.
fn split(
    marks: &[Mark],
    chains: &[Vec<usize>],
    excuses: &HashMap<StreamId, Excuses>,
) -> (ByStream<usize>, ByStream<Named>) {
    let (mut own, mut named): (ByStream<usize>, ByStream<Named>) = (HashMap::new(), HashMap::new());
    for &i in chains.iter().flatten() {
        own.entry(marks[i].id).or_default().push(i);
    }
    own.values_mut().for_each(|all| all.sort_by_key(|&i| (marks[i].size, marks[i].number)));
    for m in marks.iter().filter(|m| m.trust != Trust::Signed) {
        named.entry(m.id).or_default().push(Named { size: m.size, root: m.root, who: m.words() });
    }
    for (id, e) in excuses {
        let roots = e.roots.iter().map(|&(size, root)| Named { size, root, who: "a later stream".into() });
        named.entry(*id).or_default().extend(roots);
    }
    named.values_mut().for_each(|all| all.sort_by_key(|n| n.size));
    (own, named)
}

/// Where a stream begins and ends in the exports.
fn reach(row: &Row, marks: &[&Mark], excuses: &HashMap<StreamId, Excuses>, present: &HashMap<StreamId, Row>) -> Reach {
    let e = excuses.get(&row.id);
    let is_there = |id: &StreamId| present.get(id).is_some_and(|r| r.first > 0);
    let linked = e.and_then(|e| e.follows).is_some_and(|id| is_there(&id));
    let in_chain = |before: bool| {
        let own = e.map(|e| e.chain);
        excuses.iter().any(|(id, other)| {
            let same = own.is_some_and(|own| own.0 == other.chain.0 && (other.chain.1 < own.1) == before);
            same && *id != row.id && is_there(id)
        })
    };
    if row.first == 0 {
        let all = e.is_some_and(|e| e.passed == u64::MAX);
        return match () {
            () if in_chain(true) && (all || in_chain(false)) => {
                Reach { first: 1, before: Kind::Pruned, ragged: 0, last: 0 }
            }
            () if in_chain(false) => Reach { first: u64::MAX, before: Kind::Pruned, ragged: 0, last: 0 },
            () => Reach { first: u64::MAX, before: Kind::Tail, ragged: 0, last: 0 },
        };
    }
    if linked || row.first == 1 {
        return Reach { first: 1, before: Kind::Pruned, ragged: 0, last: row.last };
    }
    let enough = row.first.saturating_add(limits::VERIFY_RAGGED);
    let ragged = marks.iter().find(|m| m.size >= enough).map_or(u64::MAX, |m| m.size);
    let before = if in_chain(true) { Kind::Missing } else { Kind::Pruned };
    Reach { first: row.first, before, ragged, last: row.last }
}
