//! The judge of a sealed trail, as strict as the simulation allows: it has all that a receiver was ever given, and all that was
//! signed. An auditor's verifier knows less and must alarm less.

use gostech::audit::seal::checkpoint::{body_hash, Excused};
use gostech::audit::seal::leaf::of_text;
use gostech::audit::seal::{
    absent, canonical, form, is_foreign, leaf, Checkpoint, Hash, List, Note, Place, StreamId, Tree, VerifierKey,
};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// What is to hold beyond what always does.
#[derive(Clone, Copy, Debug)]
pub struct Demands {
    /// Nothing was dropped or damaged: every list came, and none has a hole.
    pub whole: bool,
    /// Every event that is missing must have an excuse.
    pub complete: bool,
    /// Bits were flipped: of a segment without a head nobody may know the stream.
    pub damaged: bool,
}

/// A place in a stream.
type At = (StreamId, u64);

#[derive(Default)]
struct Trail {
    events: BTreeMap<At, Hash>,
    places: BTreeMap<At, Place>,
    /// Of which one list says that it was lost, and another one not: it went between the two.
    unsure: BTreeSet<At>,
    lists: BTreeMap<StreamId, BTreeSet<(u64, u64)>>,
    notes: BTreeMap<u64, (Note, Checkpoint)>,
}

/// What is wrong with what a receiver of this name was given. `told_lost`: of these a list has said that they were lost.
pub fn judge(
    name: &str,
    lines: &[String],
    signed: &[String],
    first: &VerifierKey,
    told_lost: &BTreeSet<At>,
    demands: Demands,
) -> Result<(), String> {
    let mut trail = Trail::default();
    for note in signed {
        trail.take_note(note)?;
    }
    for line in lines {
        if !demands.damaged || line.contains("\"seal\":{") {
            trail.take(line)?;
        }
    }
    // The list that was told anew may have been dropped for this one: it has the first alone, and the root is of the other.
    let listed = |at: &&At| matches!(trail.places.get(at), Some(Place::Leaf(_)));
    trail.unsure.extend(told_lost.iter().filter(listed).copied().collect::<Vec<_>>());
    trail.look_at_notes(first)?;
    trail.look_at_lists(demands)?;
    trail.look_at_events()?;
    if demands.complete {
        trail.look_for_missing(name)?;
    }
    Ok(())
}

impl Trail {
    fn take(&mut self, line: &str) -> Result<(), String> {
        let event: Map<String, Value> = serde_json::from_str(line).map_err(|e| format!("{e}: {line}"))?;
        let ours = &event["gostech"];
        let seal = ours.get("seal").ok_or_else(|| format!("an event without a seal: {line}"))?;
        let stream = seal["stream"].as_str().and_then(StreamId::parse).ok_or_else(|| format!("no stream: {line}"))?;
        let at = (stream, seq(&seal["seq"]).ok_or_else(|| format!("no number: {line}"))?);
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        match text("title") {
            Some("audit_leaves") => self.take_list(List::read(|name| text(name).map(Cow::from)), line)?,
            Some("audit_checkpoint") => self.take_note(text("checkpoint").unwrap_or(""))?,
            _ => {}
        }
        let own = event.iter().filter(|(name, _)| !is_foreign(name));
        let body = match (ours.get("raw"), ours.get("raw_base64")) {
            (Some(raw), _) => raw.as_str().unwrap_or("").as_bytes().to_vec(),
            (None, Some(_)) => return Err(format!("bytes that are no text: {line}")),
            (None, None) => canonical(own.map(|(k, v)| (k.as_str(), v.as_str().unwrap_or("?")))),
        };
        let hash = leaf(stream, at.1, form(&body), &body);
        if seal["leaf"].as_str().and_then(of_text) != Some(hash) {
            return Err(format!("the leaf of an event is another one: {line}"));
        }
        match self.events.insert(at, hash) {
            Some(before) if before != hash => Err(format!("two events at one place: {line}")),
            _ => Ok(()),
        }
    }

    fn take_list(&mut self, list: Option<List>, line: &str) -> Result<(), String> {
        let list = list.ok_or_else(|| format!("this is no list: {line}"))?;
        self.lists.entry(list.stream).or_default().insert((list.from, list.end()));
        for (n, place) in (list.from..).zip(&list.places) {
            let at = (list.stream, n);
            match self.places.insert(at, *place) {
                // A list may be told anew after a death; what of it was still unsealed may have gone with the disk meanwhile.
                Some(before) if before != *place && [before, *place].contains(&Place::Lost) => {
                    self.unsure.insert(at);
                }
                Some(before) if before != *place => return Err(format!("two lists contradict at {n}: {line}")),
                _ => {}
            }
        }
        Ok(())
    }

    fn take_note(&mut self, text: &str) -> Result<(), String> {
        let note = Note::parse(text).ok_or_else(|| format!("this is no note: {text}"))?;
        let checkpoint = Checkpoint::read(&note.body)?;
        match self.notes.get(&checkpoint.number) {
            Some((before, _)) if before.body != note.body => {
                Err(format!("two checkpoints of one number:\n{}\n{text}", before.body))
            }
            Some(_) => Ok(()),
            None => {
                self.notes.insert(checkpoint.number, (note, checkpoint));
                Ok(())
            }
        }
    }

    fn look_at_notes(&self, first: &VerifierKey) -> Result<(), String> {
        let (mut key, mut before) = (first.clone(), None);
        for (number, (note, c)) in &self.notes {
            if before.map_or(1, |(n, _): (u64, Hash)| n + 1) != *number {
                return Err(format!("before checkpoint {number} one is missing"));
            }
            if c.previous != before.map(|b| b.1) {
                return Err(format!("checkpoint {number} follows another one"));
            }
            if !note.is_signed_by(&key) {
                return Err(format!("checkpoint {number} is signed by another key"));
            }
            key = c.next_key.clone().unwrap_or(key);
            before = Some((*number, body_hash(&note.body)));
        }
        Ok(())
    }

    /// What is signed of a stream: how far, at most.
    fn signed(&self) -> BTreeMap<StreamId, u64> {
        let mut all: BTreeMap<StreamId, u64> = BTreeMap::new();
        for (_, c) in self.notes.values() {
            let size = all.entry(c.stream).or_default();
            *size = c.size.max(*size);
        }
        all
    }

    fn look_at_lists(&self, demands: Demands) -> Result<(), String> {
        for (stream, size) in self.signed() {
            let mut end = 1;
            for &(from, to) in self.lists.get(&stream).into_iter().flatten() {
                if from > end && end <= size && demands.whole {
                    return Err(format!("the lists of {stream} have a hole from {end} to {from}"));
                }
                end = end.max(to);
            }
            if end <= size && demands.whole {
                return Err(format!("the lists of {stream} end before {end}, and {size} are signed"));
            }
            self.look_at_roots(stream, demands)?;
        }
        Ok(())
    }

    /// The tree of all leaves that are known, at each size that was signed.
    fn look_at_roots(&self, stream: StreamId, demands: Demands) -> Result<(), String> {
        let mut sizes: Vec<(u64, Hash, u64)> = Vec::new();
        let here = self.notes.values().filter(|(_, c)| c.stream == stream);
        sizes.extend(here.map(|(_, c)| (c.size, c.root, c.number)));
        sizes.sort_unstable();
        let mut tree = Tree::new(stream.algorithm());
        let mut guessed = false;
        for (size, root, number) in sizes {
            while tree.size() < size {
                let at = (stream, tree.size() + 1);
                let known = match self.places.get(&at) {
                    _ if self.unsure.contains(&at) => None,
                    Some(Place::Leaf(hash)) => Some(*hash),
                    Some(Place::Lost) => Some(absent(stream, at.1)),
                    None => {
                        guessed = true;
                        self.events.get(&at).copied()
                    }
                };
                match known {
                    Some(hash) => tree.push(hash),
                    None if demands.whole => return Err(format!("nobody knows the leaf {} of {stream}", at.1)),
                    None => return Ok(()),
                }
            }
            // An event may have been delivered before its record was lost, and sealed as lost: the list says so, and is not here.
            if tree.root() != root && guessed && !demands.whole {
                return Ok(());
            }
            if tree.root() != root {
                return Err(format!("checkpoint {number}: the root of {size} leaves of {stream} is another one"));
            }
        }
        Ok(())
    }

    fn look_at_events(&self) -> Result<(), String> {
        for (at, hash) in &self.events {
            match self.places.get(at) {
                Some(Place::Leaf(listed)) if listed != hash => {
                    return Err(format!("the event {} of {} was altered", at.1, at.0))
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn look_for_missing(&self, name: &str) -> Result<(), String> {
        let mut excused: BTreeSet<At> = BTreeSet::new();
        let mut more = 0;
        let mut passed: BTreeMap<StreamId, u64> = BTreeMap::new();
        for (_, c) in self.notes.values() {
            let here = c.excused.iter().map(|e| (c.stream, e)).chain(c.earlier.iter().map(|(of, e)| (*of, e)));
            for (stream, e) in here {
                match e {
                    Excused::Ranges(who, _, ranges) if who == name => {
                        excused.extend(ranges.iter().flat_map(|(a, b)| (*a..=*b).map(|n| (stream, n))))
                    }
                    Excused::More(who, n) if who == name => more += n,
                    _ => {}
                }
            }
            excused.extend(c.lost.iter().flat_map(|(a, b)| (*a..=*b).map(|n| (c.stream, n))));
            let at = c.receivers.iter().find(|r| r.name == name).map_or(0, |r| r.at);
            if at > 0 {
                passed.values_mut().for_each(|at| *at = u64::MAX);
            }
            passed.insert(c.stream, at);
        }
        let signed = self.signed();
        let known = |at: &At| matches!(self.places.get(at), Some(Place::Leaf(_))) && !self.unsure.contains(at);
        let due =
            |at: &At| signed.get(&at.0).is_some_and(|s| at.1 <= *s) && passed.get(&at.0).is_some_and(|p| at.1 < *p);
        let missing = |at: &&At| known(at) && due(at) && !self.events.contains_key(at) && !excused.contains(at);
        let all: Vec<&At> = self.places.keys().filter(missing).collect();
        match all.first() {
            Some(at) if all.len() as u64 > more => Err(format!(
                "{name}: {} events are missing without a word, the first is {} of {}",
                all.len(),
                at.1,
                at.0
            )),
            _ => Ok(()),
        }
    }
}

fn seq(v: &Value) -> Option<u64> {
    v.as_u64().filter(|n| *n > 0)
}
