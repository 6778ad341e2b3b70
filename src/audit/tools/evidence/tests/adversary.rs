//! An adversary who does one thing to an export, at a place by chance: what is said of it must be its name.
//!
//! `GOSTECH_ADVERSARY=n` does n things instead of the usual ten thousand.

use super::super::findings::Grade;
use super::super::findings::Kind::{self, *};
use super::trail::{key, life, line, Chance, Record, Sealer, Sort, RECEIVERS};
use super::{export, first_key, over, read, told};
use crate::audit::seal::{checkpoint, Algorithm, Checkpoint, Note, StreamId};
use crate::audit::tools::evidence::said::{Said, What};
use serde_json::Value;

/// A trail as one receiver has it, read.
struct Trail {
    sealer: Sealer,
    receiver: usize,
    records: Vec<Record>,
    said: Vec<Result<Said, Vec<u8>>>,
    /// Which of them are signed, and not where the receiver's filter was changed: there what is missing is excused.
    signed: Vec<bool>,
}

impl Trail {
    fn new(seed: u64) -> Trail {
        let sealer = life(seed, Algorithm::ALL[seed as usize % 2], 30);
        let receiver = seed as usize / 2 % 2;
        let records = export(&sealer, receiver);
        let said = records.iter().map(|r| read(&r.line)).collect();
        let all: Vec<Checkpoint> =
            sealer.notes.iter().filter_map(|n| Checkpoint::read(&Note::parse(n)?.body).ok()).collect();
        let changed = |r: &Record| {
            let mut two = all.windows(2).filter(|two| two[0].rules != two[1].rules);
            two.any(|two| {
                let from = two[0].receivers[1].at;
                let after = two[0].stream != r.stream || from <= r.seq;
                let before = two[1].stream != r.stream || r.seq <= two[1].size;
                receiver == 1 && (two[0].stream == r.stream || two[1].stream == r.stream) && after && before
            })
        };
        let is_signed = |r: &Record| all.iter().any(|c| c.stream == r.stream && c.size >= r.seq) && !changed(r);
        let signed = records.iter().map(is_signed).collect();
        Trail { sealer, receiver, records, said, signed }
    }

    /// One of a sort that is sealed for good: a later checkpoint of its stream was delivered, and the receiver is past it.
    fn sealed(&self, chance: &mut Chance, sort: Sort) -> usize {
        loop {
            let at = chance.below(self.records.len());
            if self.records[at].sort == sort && self.is_signed(at) {
                return at;
            }
        }
    }

    fn is_signed(&self, at: usize) -> bool {
        self.signed[at]
    }
}

/// What was done, where, and what may be said of it.
struct Deed {
    name: &'static str,
    /// Lines that are there instead of those at these places; and those that are gone.
    lines: Vec<(usize, Vec<u8>)>,
    more: Vec<Vec<u8>>,
    gone: Vec<usize>,
    /// One of these must be said, and about this place, where there is one.
    says: Vec<Kind>,
    place: Option<(StreamId, u64)>,
    /// Whether it is proven.
    grade: Grade,
}

impl Deed {
    fn new(name: &'static str, says: &[Kind], grade: Grade) -> Deed {
        Deed { name, lines: Vec::new(), more: Vec::new(), gone: Vec::new(), says: says.to_vec(), place: None, grade }
    }

    fn at(mut self, r: &Record) -> Deed {
        self.place = Some((r.stream, r.seq));
        self
    }

    fn line(mut self, at: usize, line: Vec<u8>) -> Deed {
        self.lines.push((at, line));
        self
    }

    fn more(mut self, line: Vec<u8>) -> Deed {
        self.more.push(line);
        self
    }

    fn gone(mut self, at: impl IntoIterator<Item = usize>) -> Deed {
        self.gone.extend(at);
        self
    }
}

fn json(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap()
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// A field of the event itself.
fn own_field(chance: &mut Chance, value: &Value) -> String {
    let own: Vec<&String> = value.as_object().unwrap().keys().filter(|k| !crate::audit::seal::is_foreign(k)).collect();
    own[chance.below(own.len())].clone()
}

/// Things that are done to one event.
fn to_an_event(t: &Trail, chance: &mut Chance) -> Deed {
    let at = t.sealed(chance, Sort::Event);
    let other = t.sealed(chance, Sort::Event);
    let (r, o) = (&t.records[at], &t.records[other]);
    let (mut v, w) = (json(&r.line), json(&o.line));
    let field = own_field(chance, &v);
    match chance.below(11) {
        0 => {
            v[&field] = "another".into();
            Deed::new("a field is altered", &[Altered], Grade::Tampered).at(r).line(at, text(&v))
        }
        1 => {
            v["comment"] = "nothing to see".into();
            Deed::new("a field is added", &[Altered], Grade::Tampered).at(r).line(at, text(&v))
        }
        2 => {
            v.as_object_mut().unwrap().remove(&field);
            Deed::new("a field is removed", &[Altered], Grade::Tampered).at(r).line(at, text(&v))
        }
        3 => Deed::new("it is removed", &[Removed], Grade::Tampered).at(r).gone([at]),
        4 => {
            let mut hash = v["gostech"]["seal"]["leaf"].as_str().unwrap().to_string();
            hash.replace_range(3..4, if &hash[3..4] == "A" { "B" } else { "A" });
            v["gostech"]["seal"]["leaf"] = hash.into();
            Deed::new("its leaf is altered", &[Altered], Grade::Tampered).at(r).line(at, text(&v))
        }
        5 => {
            v["gostech"]["seal"]["seq"] = [0u64, u64::MAX, 1 << 40][chance.below(3)].into();
            Deed::new("it says that it stands elsewhere", &[Removed], Grade::Tampered).at(r).line(at, text(&v))
        }
        6 if at != other => {
            v["gostech"]["seal"] = w["gostech"]["seal"].clone();
            Deed::new("it bears the seal of another one", &[Removed], Grade::Tampered).at(r).line(at, text(&v))
        }
        7 if at != other => {
            let mut w = w;
            let seal = v["gostech"]["seal"].take();
            v["gostech"]["seal"] = w["gostech"]["seal"].take();
            w["gostech"]["seal"] = seal;
            let deed = Deed::new("two change their seals", &[Altered], Grade::Tampered).at(r);
            deed.line(at, text(&v)).line(other, text(&w))
        }
        8 => {
            v["gostech"].as_object_mut().unwrap().remove("seal");
            Deed::new("its seal is removed", &[Bare, Inserted], Grade::Tampered).line(at, text(&v))
        }
        9 => {
            let body = format!("{{\"id\":\"1.0.{}\",\"title\":\"forged\"}}", chance.below(100));
            Deed::new("another one in its place", &[Altered], Grade::Tampered)
                .at(r)
                .line(at, line(r.stream, r.seq, body.as_bytes()))
        }
        _ => {
            let cut = chance.below(r.line.len() - 1);
            Deed::new("its line is cut", &[Removed], Grade::Tampered).at(r).line(at, r.line[..cut.max(1)].to_vec())
        }
    }
}

/// Things that are added or are done to many.
fn to_the_export(t: &Trail, chance: &mut Chance) -> Deed {
    let at = t.sealed(chance, Sort::Event);
    let r = &t.records[at];
    let body = format!("{{\"id\":\"1.0.{}\",\"title\":\"forged\"}}", chance.below(100));
    match chance.below(8) {
        0 => {
            Deed::new("one beside it", &[Inserted], Grade::Tampered).at(r).more(line(r.stream, r.seq, body.as_bytes()))
        }
        1 => Deed::new("one without a seal", &[Bare], Grade::Unclear).more(body.into_bytes()),
        2 => {
            let mut v = json(&r.line);
            v["message"] = "altered".into();
            Deed::new("an altered copy", &[Inserted, Altered], Grade::Tampered).at(r).more(text(&v))
        }
        3 => {
            let ids: Vec<StreamId> = t
                .sealer
                .notes
                .iter()
                .map(|n| Checkpoint::read(&Note::parse(n).unwrap().body).unwrap().stream)
                .collect();
            let id = ids.into_iter().find(|id| *id != r.stream).unwrap();
            let mut v = json(&r.line);
            v["gostech"]["seal"]["stream"] = id.to_string().into();
            Deed::new("it is put into another stream", &[Removed], Grade::Tampered).at(r).line(at, text(&v))
        }
        4 => Deed::new("no JSON", &[Unread], Grade::Unclear).more(b"{\"a\":".to_vec()),
        5 => {
            let id = StreamId::new(1, [9; 9], Algorithm::Sha256);
            Deed::new("a stream that is made up", &[Unproven], Grade::Unclear).more(line(
                id,
                1 + chance.below(9) as u64,
                body.as_bytes(),
            ))
        }
        6 => {
            let to = (at + 1 + chance.below(30)).min(t.records.len());
            let gone: Vec<usize> = (at..to).filter(|&i| t.records[i].stream == r.stream && t.is_signed(i)).collect();
            // Also the lists and checkpoints among them, and what tells of those.
            Deed::new("some in a row are removed", &[Removed, Missing, Unproven, Unknown, Gap], Grade::Unclear)
                .gone(gone)
        }
        _ => Deed::new("the end is cut off", &[], Grade::Fine).gone(at..t.records.len()),
    }
}

/// Things that are done to lists.
fn to_a_list(t: &Trail, chance: &mut Chance) -> Deed {
    let at = t.sealed(chance, Sort::List);
    let mut v = json(&t.records[at].line);
    match chance.below(6) {
        0 => {
            let mut leaves = v["leaves"].as_str().unwrap().to_string();
            if leaves.len() < 40 {
                return Deed::new("nothing", &[], Grade::Fine);
            }
            leaves.replace_range(3..4, if &leaves[3..4] == "A" { "B" } else { "A" });
            v["leaves"] = leaves.into();
            Deed::new("a list is altered", &[Forged, Altered], Grade::Tampered).at(&t.records[at]).line(at, text(&v))
        }
        1 => {
            v["from"] = (v["from"].as_str().unwrap().parse::<u64>().unwrap() + 1).to_string().into();
            Deed::new("a list is moved", &[Altered], Grade::Tampered).at(&t.records[at]).line(at, text(&v))
        }
        2 => {
            let field = own_field(chance, &v);
            v[&field] = "x".into();
            Deed::new("a field of a list is altered", &[Altered], Grade::Tampered).at(&t.records[at]).line(at, text(&v))
        }
        3 => excusing(t, at, chance),
        _ => Deed::new("a list is removed", &[Removed], Grade::Tampered).at(&t.records[at]).gone([at]),
    }
}

/// An event is removed, and the list of it says that the filter has kept it back; its leaf fits what it says.
fn excusing(t: &Trail, at: usize, chance: &mut Chance) -> Deed {
    let r = &t.records[at];
    let Some(Said { what: What::List(mut list), .. }) = t.said[at].clone().ok() else { panic!("a list") };
    let of = |e: &Record| e.sort == Sort::Event && e.stream == list.stream && (list.from..list.end()).contains(&e.seq);
    let here: Vec<usize> = (0..t.records.len()).filter(|&i| of(&t.records[i]) && t.is_signed(i)).collect();
    let name = "the bitmap is rewritten to excuse a removal";
    let mut deed = Deed::new(name, &[Altered], Grade::Tampered).at(r);
    list.passes = RECEIVERS.map(|name| (name.into(), vec![true; list.places.len()])).into();
    for _ in 0..1 + chance.below(3.min(here.len())) {
        let Some(&gone) = here.get(chance.below(here.len())) else { break };
        let bit = (t.records[gone].seq - list.from) as usize;
        list.passes.iter_mut().for_each(|(_, bits)| bits[bit] = false);
        deed = deed.gone([gone]);
    }
    deed.line(at, line(r.stream, r.seq, &list.write(1_795_224_477_349)))
}

/// The event with another note.
fn with(v: &mut Value, note: &str) -> Vec<u8> {
    let c = Checkpoint::read(&Note::parse(note).unwrap().body).unwrap();
    let own = json(&checkpoint::event(note, &c));
    own.as_object().unwrap().iter().for_each(|(k, x)| v[k] = x.clone());
    text(v)
}

/// Things that are done to checkpoints.
fn to_a_checkpoint(t: &Trail, chance: &mut Chance) -> Deed {
    let at = t.sealed(chance, Sort::Checkpoint);
    let mut v = json(&t.records[at].line);
    let note = v["checkpoint"].as_str().unwrap_or_default().to_string();
    let body = Note::parse(&note).map(|n| n.body).unwrap_or_default();
    let mut c = Checkpoint::read(&body).unwrap();
    match chance.below(8) {
        0 => {
            let field = own_field(chance, &v);
            v[&field] = "x".into();
            Deed::new("a field of a checkpoint is altered", &[Altered], Grade::Tampered)
                .at(&t.records[at])
                .line(at, text(&v))
        }
        1 => {
            let mut bytes = body.clone().into_bytes();
            let place = chance.below(bytes.len() - 1);
            bytes[place] = if bytes[place] == b'1' { b'2' } else { b'1' };
            v["checkpoint"] = note.replace(&body, &String::from_utf8_lossy(&bytes)).into();
            Deed::new("a checkpoint is altered", &[Altered], Grade::Tampered).at(&t.records[at]).line(at, text(&v))
        }
        2 => {
            // With our key's name and id under another body.
            c.time_ms += 1;
            let forged = with(&mut v, &format!("{}{}", c.write(), &note[body.len()..]));
            Deed::new("under a signature that is not its own", &[Forged], Grade::Tampered).line(at, forged)
        }
        3 => {
            let line = with(&mut v, &Note::sign(&body, &key(77)));
            Deed::new("a checkpoint by another key", &[Altered], Grade::Tampered).at(&t.records[at]).line(at, line)
        }
        4 => {
            c.number = 500;
            let line = with(&mut v, &Note::sign(&c.write(), &key(77)));
            Deed::new("one more by another key", &[Unknown], Grade::Unclear).more(line)
        }
        5 => {
            // Whoever has today's key writes yesterday's.
            c.time_ms += 1;
            let line = with(&mut v, &Note::sign(&c.write(), &key(if c.number > 3 { 1 } else { 2 })));
            Deed::new("a version by a key of another day", &[Forged, Forked], Grade::Tampered).more(line)
        }
        6 => {
            // As if it were the newest.
            let seq = t.records[t.records.len() - 1].seq + 1;
            let again = line(t.sealer.stream, seq, &t.records[at].body);
            Deed::new("an old one comes again as the newest", &[], Grade::Fine).more(again)
        }
        // Nothing leads to the keys behind one that names the next.
        _ if c.next_key.is_some() => Deed::new("a key is removed", &[Unknown], Grade::Unclear).gone([at]),
        _ if at == 0 => Deed::new("the beginning is removed", &[Pruned], Grade::Fine).gone([at]),
        // It may be what has excused others.
        _ => Deed::new("a checkpoint is removed", &[Removed, Gap], Grade::Unclear).gone([at]),
    }
}

/// All of one kind.
fn to_all(t: &Trail, chance: &mut Chance) -> Deed {
    let all = |sort: Sort| (0..t.records.len()).filter(move |&i| t.records[i].sort == sort);
    match chance.below(3) {
        0 => Deed::new("all lists are removed", &[Removed, Missing, Unproven], Grade::Unclear).gone(all(Sort::List)),
        1 => Deed::new("all checkpoints are removed", &[Unproven], Grade::Unclear).gone(all(Sort::Checkpoint)),
        _ => {
            // Whoever has written the trail anew has to sign it with a key of his own.
            let mut deed = Deed::new("all is signed by another key", &[Unknown], Grade::Unclear);
            for i in all(Sort::Checkpoint) {
                let mut v = json(&t.records[i].line);
                let note = Note::parse(v["checkpoint"].as_str().unwrap()).unwrap();
                let line = with(&mut v, &Note::sign(&note.body, &key(77)));
                deed = deed.line(i, line);
            }
            deed
        }
    }
}

fn do_to(t: &Trail, deed: &Deed) -> Vec<Result<Said, Vec<u8>>> {
    let mut said = t.said.clone();
    deed.lines.iter().for_each(|(at, line)| said[*at] = read(line));
    let mut at = 0;
    said.retain(|_| {
        at += 1;
        !deed.gone.contains(&(at - 1))
    });
    said.extend(deed.more.iter().map(|line| read(line)));
    said
}

fn hunt(from: u64, count: usize) -> Vec<(String, usize)> {
    let mut chance = Chance(from);
    let mut deeds: std::collections::BTreeMap<String, usize> = Default::default();
    let mut wrong: std::collections::BTreeMap<&str, String> = Default::default();
    let mut done = 0;
    let mut seed = from;
    while done < count {
        let t = Trail::new(seed);
        seed += 1;
        let lines = &t.said;
        let v = over(lines, &[], &first_key(), Some(RECEIVERS[t.receiver]));
        assert_eq!(v.findings.grade(), Grade::Fine, "{seed}\n{}", told(&v));
        for n in 0..250.min(count - done) {
            let deed = match chance.below(40) {
                0..=14 => to_an_event(&t, &mut chance),
                15..=26 => to_the_export(&t, &mut chance),
                27..=30 => to_a_list(&t, &mut chance),
                31..=38 => to_a_checkpoint(&t, &mut chance),
                _ => to_all(&t, &mut chance),
            };
            let v = over(&do_to(&t, &deed), &[], &first_key(), Some(RECEIVERS[t.receiver]));
            let grave = v.findings.grade() as usize >= deed.grade as usize;
            let named = deed.says.is_empty()
                || v.findings.all.iter().any(|f| {
                    let here = deed
                        .place
                        .is_none_or(|(id, seq)| f.stream == Some(id) && f.places.0 <= seq && seq <= f.places.1);
                    deed.says.contains(&f.kind) && here
                });
            let calm = deed.says.is_empty() && v.findings.grade() == Grade::Tampered;
            if !(grave && named && !calm) {
                let (of, name, place) = (RECEIVERS[t.receiver], deed.name, deed.place);
                let text = format!("{} {n} of {of}: {name} at {place:?}, gone {:?}\n{}", seed - 1, deed.gone, told(&v));
                wrong.entry(name).or_insert(text);
            }
            *deeds.entry(deed.name.into()).or_default() += 1;
        }
        done += 250;
    }
    assert!(wrong.is_empty(), "{}", wrong.into_values().collect::<Vec<_>>().join("\n\n"));
    deeds.into_iter().collect()
}

#[test]
fn ten_thousand_deeds_are_named_rightly() {
    let count = std::env::var("GOSTECH_ADVERSARY").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let halves: Vec<_> = (0..2u64).map(|half| std::thread::spawn(move || hunt(1_000 * half, count / 2))).collect();
    for half in halves {
        let deeds = half.join().unwrap();
        assert!(count < 5_000 || deeds.len() > 25, "{deeds:?}");
    }
}
