//! Exports for the verifier: whatever the lines are it says something, and an event that says something else than the sealed
//! one is never authentic.
//!
//! An input is the lines of an export; it begins with one that our own formats wrote. Refuses: keys but one.

use gostech::audit::delivery::event::Maker;
use gostech::audit::delivery::format::{Pen, FORMATS};
use gostech::audit::record::{read, Kind};
use gostech::audit::seal::checkpoint::{self, body_hash, Receiver, Why};
use gostech::audit::seal::{
    form, is_foreign, leaf, Algorithm, Checkpoint, Hash, List, Note, Place, SigningKey, Stream, StreamId, Tree,
};
use gostech::audit::spool::record::{decode, encode, Head, New};
use gostech::audit::tools::evidence::claim::{Fault, Line};
use gostech::audit::tools::evidence::findings::Grade;
use gostech::audit::tools::evidence::gather::Gathered;
use gostech::audit::tools::evidence::said::Reader;
use gostech::audit::tools::evidence::trial;
use gostech::limits::VERIFY_HELD_BYTES;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::OnceLock;

const NOW: i64 = 1_795_224_477_349;

/// One sealed record: what it says, and its line in an export.
struct Sealed {
    leaf: Hash,
    says: Map<String, Value>,
    line: Vec<u8>,
}

/// A stream as it was sealed and delivered: its record n is that of the place n + 1.
struct Trail {
    stream: Stream,
    all: Vec<Sealed>,
    tree: Tree,
    listed: usize,
    number: u64,
    previous: Option<Hash>,
}

fn key() -> SigningKey {
    SigningKey::of_seed(&[1; 32]).expect("a key")
}

impl Trail {
    fn record(&mut self, raw: &[u8], kind: Option<Kind>) {
        let seq = self.all.len() as u64 + 1;
        let head = Head { first_seq: 1, created_ms: NOW, seal: Some(self.stream), ..Head::default() };
        let facts = read(raw, kind == Some(Kind::Cut));
        let kind = kind.unwrap_or(facts.kind);
        let new =
            New { kind, raw, id: facts.id, time: facts.time, part: 0, parts: 0, stream: 0, read_ms: NOW, form: None };
        let mut bytes = Vec::new();
        encode(&mut bytes, &head, seq, &new);
        let stored = decode(&head, &bytes).expect("written a moment ago");
        let (mut maker, mut line) = (Maker::default(), Vec::new());
        let format = FORMATS.iter().find(|f| f.name == "ndjson").expect("a format");
        (format.write)(&mut Pen::default(), &mut line, &maker.make(&stored, &head));
        let leaf = leaf(self.stream.id, seq, form(raw), raw);
        let says = meaning(&line).expect("an object");
        self.all.push(Sealed { leaf, says, line: line.trim_ascii().to_vec() });
    }

    /// A list of what no list tells of, and a checkpoint.
    fn seal(&mut self, why: Why) {
        let fresh: Vec<Hash> = self.all[self.listed..].iter().map(|r| r.leaf).collect();
        fresh.iter().for_each(|hash| self.tree.push(*hash));
        let passes = vec![("soc".to_string(), fresh.iter().map(|hash| hash[0] > 99).collect())];
        let places = fresh.into_iter().map(Place::Leaf).collect();
        let list = List { stream: self.stream.id, from: self.listed as u64 + 1, places, passes };
        self.listed = self.all.len();
        self.record(&list.write(NOW), Some(Kind::Own));
        self.number += 1;
        let at = self.tree.size() + 1;
        let c = Checkpoint {
            number: self.number,
            previous: self.previous,
            receivers: ["r1", "soc"].map(|name| Receiver { name: name.into(), at, ..Receiver::default() }).into(),
            rules: vec![("soc".into(), "only severity=high".into())],
            ..Checkpoint::of(self.stream.id, &self.tree, why, NOW)
        };
        let body = c.write();
        self.previous = Some(body_hash(&body));
        self.record(&checkpoint::event(&Note::sign(&body, &key()), &c), Some(Kind::Own));
    }

    /// A signed list is signed by the checkpoint behind the next.
    fn make() -> Trail {
        let stream = Stream { id: StreamId::new(NOW, [2; 9], Algorithm::Sha256), first: 1 };
        let tree = Tree::new(Algorithm::Sha256);
        let mut trail = Trail { stream, all: Vec::new(), tree, listed: 0, number: 0, previous: None };
        trail.record(
            r#"{"id":"1.0.1","message":"привет \"q\" \\ \n\u0001","severity":"high","title":"x"}"#.as_bytes(),
            None,
        );
        trail.record(br#"{"id":"1.0.2","n":[1,{"a":1.50,"b":null}],"severity":"low","title":"nested"}"#, None);
        trail.record(br#"{"severity":"low","id":"1.0.3","title":"in another order"}"#, None);
        trail.record(b"{\"id\":\"1.0.4\",\"title\":\"cut\",\"message\":\"abc", Some(Kind::Cut));
        trail.record(b"no JSON \xff at all", None);
        trail.seal(Why::Start);
        trail.record(br#"{"id":"1.0.5","severity":"low","time":"2026-11-21T04:27:57.349+0300","title":"dml"}"#, None);
        trail.seal(Why::Time);
        trail.seal(Why::Stop);
        trail
    }

    /// All that was delivered.
    fn export(&self) -> Vec<u8> {
        self.all.iter().map(|r| &r.line[..]).collect::<Vec<_>>().join(&b'\n')
    }

    fn get() -> &'static Trail {
        static TRAIL: OnceLock<Trail> = OnceLock::new();
        TRAIL.get_or_init(Trail::make)
    }
}

/// What a line says, without what ways add.
fn meaning(line: &[u8]) -> Option<Map<String, Value>> {
    let mut fields: Map<String, Value> = serde_json::from_slice(line).ok()?;
    while let Some(Value::Object(inner)) = fields.get("_source") {
        fields = inner.clone();
    }
    fields.retain(|name, _| !is_foreign(name));
    Some(fields)
}

/// As JSON has it: 1.5 is 1.50.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// Seeds: the export, as an index gives it, without one of its lists, and each of its lines.
pub fn seeds() -> Vec<Vec<u8>> {
    let lines: Vec<&[u8]> = Trail::get().all.iter().map(|r| &r.line[..]).collect();
    let hits: Vec<Vec<u8>> = lines.iter().map(|l| [&br#"{"_index":"a","_source":"#[..], l, b"}"].concat()).collect();
    let mut seeds = vec![Trail::get().export(), hits.join(&b'\n'), [&lines[..5], &lines[6..]].concat().join(&b'\n')];
    seeds.extend(lines.iter().map(|l| l.to_vec()));
    seeds
}

/// The target.
pub fn check(input: &[u8]) {
    let trail = Trail::get();
    let (mut reader, mut good, mut bad) = (Reader::default(), BTreeSet::new(), BTreeSet::new());
    let mut gathered = Gathered::new(Vec::new(), &std::env::temp_dir(), VERIFY_HELD_BYTES);
    for (number, line) in input.split(|b| *b == b'\n').enumerate() {
        gathered.line(line, Line { file: 0, number: number as u64 + 1 }, true).expect("it fits memory");
        let Some(said) = reader.read(line) else { continue };
        let Some((_, seq)) = said.place.filter(|(id, _)| *id == trail.stream.id) else { continue };
        let sealed = seq.checked_sub(1).and_then(|n| trail.all.get(usize::try_from(n).ok()?));
        if said.fault != Fault::None || sealed.is_none_or(|s| s.leaf != said.leaf) {
            bad.insert(seq);
            continue;
        }
        good.insert(seq);
        if let (Some(sealed), false) = (sealed, said.ecs) {
            let says = meaning(line).expect("an object");
            let equal = same(&Value::Object(says), &Value::Object(sealed.says.clone()));
            assert!(equal, "it is called authentic at {seq}: {}", String::from_utf8_lossy(line));
        }
    }
    let keys = [key().verifier().clone()];
    let verdict = trial::judge(gathered, &keys, Some("r1".into()), true, &mut || ()).expect("it fits memory");
    assert!(verdict.findings.grade() == Grade::Fine || input != trail.export(), "the export itself");
    let Some(row) = verdict.streams.iter().find(|s| s.id == trail.stream.id) else { return };
    assert!(row.tally.authentic <= good.len() as u64);
    if verdict.findings.grade() != Grade::Fine {
        return;
    }
    // It is clean: from the first place on that is there all is there, and nothing else, as far as it is signed.
    let signed = || 1..=row.size;
    assert!(signed().all(|seq| !bad.contains(&seq)), "{bad:?} of {}", row.size);
    let first = good.first().copied().unwrap_or(1);
    assert!((first..=row.size).all(|seq| good.contains(&seq)), "{good:?} of {}", row.size);
}
