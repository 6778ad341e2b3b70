//! Trails as a sealer makes them: streams, lists, checkpoints, keys, filters; with small lists, so that there are many edges.

use crate::audit::record::EventId;
use crate::audit::seal::checkpoint::{self, body_hash, After, Excuse, Excused, Receiver, Why};
use crate::audit::seal::{
    absent, form, leaf, Algorithm, Checkpoint, Hash, List, Note, Place, SigningKey, StreamId, Tree,
};
use crate::json;

/// Numbers by chance, the same for the same seed.
#[derive(Clone)]
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Event,
    List,
    Checkpoint,
}

/// A record, as it was delivered.
#[derive(Clone, Debug)]
pub struct Record {
    pub stream: StreamId,
    pub seq: u64,
    pub sort: Sort,
    pub body: Vec<u8>,
    /// The receivers that have it: siem, soc.
    pub to: [bool; 2],
    pub line: Vec<u8>,
}

pub const RECEIVERS: [&str; 2] = ["siem", "soc"];

pub fn key(n: u8) -> SigningKey {
    SigningKey::of_seed(&[n; 32]).unwrap()
}

/// The line that a receiver is given.
pub fn line(stream: StreamId, seq: u64, body: &[u8]) -> Vec<u8> {
    let hash = leaf(stream, seq, form(body), body);
    let text = String::from_utf8(crate::audit::seal::leaf::text(&hash).to_vec()).unwrap();
    let seal = format!("\"seal\":{{\"stream\":\"{stream}\",\"seq\":{seq},\"leaf\":\"{text}\"}}");
    let mut out =
        format!("{{\"@timestamp\":\"2026-11-21T01:27:57.349+00:00\",\"gostech\":{{\"id\":\"c/i/{seq}\",{seal}")
            .into_bytes();
    if form(body) != crate::audit::seal::Form::Canonical {
        out.push(b',');
        match std::str::from_utf8(body) {
            Ok(_) => out.extend_from_slice(b"\"raw\":\""),
            Err(_) => out.extend_from_slice(b"\"raw_base64\":\""),
        }
        match std::str::from_utf8(body) {
            Ok(_) => json::push_text(&mut out, body),
            Err(_) => json::push_base64(&mut out, body),
        }
        out.push(b'"');
    }
    out.push(b'}');
    let (whole, cut) = (json::object(body, false, |_| ()), body.starts_with(b"{"));
    match () {
        () if whole && body == b"{}" => out.push(b'}'),
        () if whole => {
            out.push(b',');
            out.extend_from_slice(&body[1..]);
        }
        () if cut => {
            json::object(body, true, |f| {
                out.extend_from_slice(b",\"");
                out.extend_from_slice(f.key.of(body));
                out.extend_from_slice(b"\":\"");
                out.extend_from_slice(f.value.of(body));
                out.push(b'"');
            });
            out.extend_from_slice(b",\"title\":\"truncated\",\"severity\":\"high\"}");
        }
        () => {
            out.extend_from_slice(b",\"title\":\"unparsed\",\"severity\":\"medium\",\"message\":\"");
            json::push_text(&mut out, body);
            out.extend_from_slice(b"\"}");
        }
    }
    out
}

pub struct Sealer {
    pub chance: Chance,
    pub records: Vec<Record>,
    /// As `DIR/checkpoints` has them.
    pub notes: Vec<String>,
    pub stream: StreamId,
    first: usize,
    /// The stream that is sealed, and where it begins and ends: the one before while it is closed.
    sealing: (StreamId, usize, usize),
    tree: Tree,
    places: Vec<Place>,
    bits: Vec<bool>,
    from: u64,
    number: u64,
    previous: Option<Hash>,
    after: After,
    pub key: u8,
    /// The least severity that soc gets, by what the sealer and by what the sender knows.
    pub rule: [usize; 2],
    counts: [[u64; 3]; 2],
    excused: Vec<(usize, StreamId, u64)>,
    /// What of streams before a receiver was not given, which the next checkpoint says.
    pub earlier: Vec<(usize, StreamId, u64)>,
    pub now: i64,
    streams: u8,
    gone: Vec<u64>,
    /// Lists and checkpoints are set aside as well.
    strict: bool,
    /// The receivers are still at streams before this one.
    pub behind: bool,
    /// So many receivers are there.
    pub receivers: usize,
}

const SEVERITIES: [&str; 3] = ["low", "medium", "high"];
pub const LIST: usize = 16;

impl Sealer {
    pub fn new(seed: u64, algorithm: Algorithm) -> Sealer {
        let now = 1_795_224_477_349;
        let stream = StreamId::new(now, [1; 9], algorithm);
        Sealer {
            chance: Chance(seed),
            records: Vec::new(),
            notes: Vec::new(),
            stream,
            first: 0,
            sealing: (stream, 0, usize::MAX),
            tree: Tree::new(algorithm),
            places: Vec::new(),
            bits: Vec::new(),
            from: 1,
            number: 0,
            previous: None,
            after: After::None,
            key: 1,
            rule: [1, 1],
            counts: [[0; 3]; 2],
            excused: Vec::new(),
            earlier: Vec::new(),
            now,
            streams: 1,
            gone: Vec::new(),
            strict: false,
            behind: false,
            receivers: RECEIVERS.len(),
        }
    }

    fn next_seq(&self) -> u64 {
        (self.records.len() - self.first) as u64 + 1
    }

    pub fn event(&mut self) {
        let n = self.records.len();
        self.now += 10;
        let severity = self.chance.below(3);
        let (s, time) = (SEVERITIES[severity], crate::stamp::rfc3339_text(self.now));
        let text = ["plain", "say \\\"hi\\\"", "я\\n\\u0001", "tab\\tx"][self.chance.below(4)];
        let body = match self.chance.below(12) {
            0 => format!(
                r#"{{"id":"1.0.{n}","n":{n},"o":{{"a":[1,2.50]}},"severity":"{s}","time":"{time}","title":"x"}}"#
            ),
            1 => format!(r#"{{"severity":"{s}","id":"1.0.{n}","time":"{time}","title":"x","message":"{text}"}}"#),
            2 => format!(r#"{{"id":"1.0.{n}","time":"{time}","message":"{text}"#),
            3 => format!("junk {n} {text}"),
            _ => format!(r#"{{"id":"1.0.{n}","message":"{text} {n}","severity":"{s}","time":"{time}","title":"dml"}}"#),
        };
        let mut body = body.into_bytes();
        if body.starts_with(b"junk") && self.chance.one_in(2) {
            body.push(0xff);
        }
        // What does not say passes.
        let says = body.ends_with(b"}");
        self.add(body, Sort::Event, !says || severity >= self.rule[1]);
        if self.chance.one_in(25) {
            self.set_aside();
        }
        if self.chance.one_in(60) {
            // Gone before it was sealed.
            self.records.last_mut().unwrap().to = [false; 2];
            let seq = self.next_seq() - 1;
            self.gone.push(seq);
            self.excused.retain(|e| e.1 != self.stream || e.2 != seq);
        }
    }

    /// A receiver has refused the newest one.
    fn set_aside(&mut self) {
        let (of, seq) = (self.chance.below(2), self.next_seq() - 1);
        let last = self.records.last_mut().unwrap();
        if std::mem::replace(&mut last.to[of], false) {
            self.counts[of][1] += 1;
            self.excused.push((of, self.stream, seq));
        }
    }

    /// What has been delivered already goes before it is sealed.
    pub fn lose(&mut self, seqs: &[u64]) {
        self.gone.extend(seqs);
    }

    /// Of the lists so far a receiver gets none, and that will be signed.
    pub fn drop_lists(&mut self, of: usize) {
        for r in self.records.iter_mut().filter(|r| r.sort == Sort::List && r.to[of]) {
            r.to[of] = false;
            self.counts[of][1] += 1;
            self.excused.push((of, r.stream, r.seq));
        }
    }

    /// The sealer tells what is there and dies; whatever becomes of it then, the next one tells it anew. The list that he has told.
    pub fn list_early(&mut self) -> Vec<u8> {
        let (stream, first, _) = self.sealing;
        let all = self.records[first..].iter().zip(1..).skip(self.from as usize - 1);
        let places = all.map(|(r, seq)| Place::Leaf(leaf(stream, seq, form(&r.body), &r.body)));
        let list = List { stream, from: self.from, places: places.collect(), passes: Vec::new() };
        self.add(list.write(self.now), Sort::List, true);
        self.records.last().unwrap().line.clone()
    }

    fn add(&mut self, body: Vec<u8>, sort: Sort, to_soc: bool) {
        let (stream, seq) = (self.stream, self.next_seq());
        let line = line(stream, seq, &body);
        self.counts[1][2] += u64::from(!to_soc);
        self.records.push(Record { stream, seq, sort, body, to: [true, to_soc], line });
        if self.strict && sort != Sort::Event && self.chance.one_in(5) {
            self.set_aside();
        }
    }

    /// A receiver is forgotten and comes again: all until now counts as before its time.
    pub fn forget(&mut self, receiver: usize) {
        self.counts[receiver][2] = self.next_seq() - 1;
    }

    /// Seals all but the newest few.
    pub fn seal(&mut self, but: u64) {
        let (stream, first, end) = self.sealing;
        let to = ((self.records.len().min(end) - first) as u64).saturating_sub(but);
        while self.tree.size() < to {
            let seq = self.tree.size() + 1;
            let r = &self.records[first + seq as usize - 1];
            let place = match self.gone.contains(&seq) {
                true => Place::Lost,
                false => Place::Leaf(leaf(stream, seq, form(&r.body), &r.body)),
            };
            let says = r.sort == Sort::Event && r.body.ends_with(b"}");
            let severity = SEVERITIES
                .iter()
                .position(|s| String::from_utf8_lossy(&r.body).contains(&format!("\"severity\":\"{s}\"")));
            self.bits.push(!says || severity.is_none_or(|s| s >= self.rule[0]));
            self.places.push(place);
            self.tree.push(match place {
                Place::Leaf(leaf) => leaf,
                _ => absent(stream, seq),
            });
            if self.places.len() == LIST {
                self.list();
            }
        }
    }

    fn list(&mut self) {
        if self.places.is_empty() {
            return;
        }
        let (places, bits) = (std::mem::take(&mut self.places), std::mem::take(&mut self.bits));
        let list = |n: usize| List {
            stream: self.sealing.0,
            from: self.from,
            places: places[..n].to_vec(),
            passes: vec![("soc".into(), bits[..n].to_vec())],
        };
        let (some, all) = (list(places.len().div_ceil(2)), list(places.len()));
        self.from = all.end();
        // Deaths: it comes again, and longer.
        for again in [&some, &all] {
            if self.chance.one_in(12) {
                self.add(again.write(self.now), Sort::List, true);
            }
        }
        self.add(all.write(self.now + 1), Sort::List, true);
    }

    pub fn checkpoint(&mut self, why: Why) {
        if why == Why::Closed {
            // By the next family, which writes into a stream of its own.
            self.streams += 1;
            self.sealing.2 = self.records.len();
            self.stream = StreamId::new(self.now, [self.streams; 9], self.stream.algorithm());
            self.first = self.records.len();
        }
        self.seal(0);
        self.list();
        let note = self.note(why);
        self.number += 1;
        let c = Checkpoint::read(&Note::parse(&note).unwrap().body).unwrap();
        self.previous = Some(body_hash(&Note::parse(&note).unwrap().body));
        self.notes.push(note.clone());
        self.now += 1000;
        if why == Why::Key {
            self.key += 1;
        }
        if why == Why::Closed {
            self.after = After::Stream(self.sealing.0, self.tree.size(), self.tree.root());
            self.sealing = (self.stream, self.first, usize::MAX);
            (self.tree, self.from) = (Tree::new(self.stream.algorithm()), 1);
            self.gone.clear();
        }
        self.add(checkpoint::event(&note, &c), Sort::Checkpoint, true);
    }

    fn note(&mut self, why: Why) -> String {
        let mut c = Checkpoint::of(self.sealing.0, &self.tree, why, self.now);
        let here = |e: &&(usize, StreamId, u64)| e.1 == self.sealing.0;
        (c.number, c.previous, c.after) = (self.number + 1, self.previous, self.after);
        c.ids = vec![EventId { raft_id: 1, gen: 0, count: self.records.len() as u64 }];
        for (i, name) in RECEIVERS.iter().enumerate().skip(RECEIVERS.len() - self.receivers) {
            let [dropped, quarantined, filtered] = self.counts[i];
            let at = (self.records.len().min(self.sealing.2) - self.sealing.1) as u64 + 1;
            let at = if self.behind { 0 } else { at };
            c.receivers.push(Receiver {
                name: (*name).into(),
                at,
                dropped,
                quarantined,
                filtered,
                ..Receiver::default()
            });
            let mine: Vec<(u64, u64)> =
                self.excused.iter().filter(here).filter(|e| e.0 == i).map(|e| (e.2, e.2)).collect();
            if !mine.is_empty() {
                c.excused.push(Excused::Ranges((*name).into(), Excuse::Quarantined, mine));
            }
        }
        self.excused.retain(|e| e.1 != self.sealing.0);
        for (i, stream, seq) in std::mem::take(&mut self.earlier) {
            let excused = Excused::Ranges(RECEIVERS[i].into(), Excuse::Dropped, vec![(seq, seq)]);
            c.earlier.push((stream, excused));
        }
        c.rules = vec![("soc".into(), format!("severity>={}", SEVERITIES[self.rule[0]]))];
        if why == Why::Key {
            c.next_key = Some(key(self.key + 1).verifier().clone());
        }
        Note::sign(&c.write(), &key(self.key))
    }
}

/// A whole life: two or three streams, key changes, a change of rules, an end that is not sealed yet.
pub fn life(seed: u64, algorithm: Algorithm, events: usize) -> Sealer {
    live(Sealer::new(seed, algorithm), events)
}

/// The same, where receivers refuse lists and checkpoints as well.
pub fn strict_life(seed: u64, algorithm: Algorithm, events: usize) -> Sealer {
    live(Sealer { strict: true, ..Sealer::new(seed, algorithm) }, events)
}

fn live(mut s: Sealer, events: usize) -> Sealer {
    s.checkpoint(Why::Start);
    let streams = 2 + s.chance.below(2);
    for n in 0..streams {
        for i in 0..events {
            s.event();
            if s.chance.one_in(8) {
                let but = s.chance.below(3) as u64;
                s.seal(but);
            }
            // A worker with other rules is a new one, and signs with them from the beginning.
            if s.chance.one_in(40) && s.rule[0] == s.rule[1] {
                s.checkpoint(Why::Time);
            }
            if n == 0 && i == events / 2 {
                s.checkpoint(Why::Key);
            }
            if n == 1 && i == events / 2 {
                // The sender has the new rule at once, the sealer a little later.
                s.rule[1] = 2;
            }
            if n == 1 && i == events / 2 + 3 {
                s.rule[0] = 2;
            }
        }
        if n + 1 < streams {
            s.checkpoint(Why::Closed);
        }
    }
    s.checkpoint(Why::Stop);
    (0..3).for_each(|_| s.event());
    s
}
