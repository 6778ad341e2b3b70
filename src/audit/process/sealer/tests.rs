//! The sealer over a spool in memory, step by step; what must hold through deaths is the simulation's.

use super::signer::Signer;
use super::*;
use crate::audit::delivery::event::Maker;
use crate::audit::delivery::filter::Condition;
use crate::audit::intake::writer::Writer;
use crate::audit::record::Ending;
use crate::audit::seal::checkpoint::{After, Excuse};
use crate::audit::seal::{Algorithm, Checkpoint, Form, List, Note, Place, SigningKey, Tree};
use crate::audit::spool::cursor::Excused;
use crate::audit::spool::memory_disk::MemoryDisk;
use crate::audit::spool::no_disk::NoDisk;
use crate::audit::spool::read::{Next, Reader};
use crate::audit::spool::record::Identity;
use crate::audit::spool::seals::Sealing;
use crate::audit::spool::{Full, Settings};
use crate::sys::ring::Ring;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

/// Signs with one key, when it may.
#[derive(Clone, Default)]
struct Pencil {
    notes: Arc<Mutex<Vec<String>>>,
    broken: Arc<Mutex<bool>>,
}

impl Signer for Pencil {
    fn key_ms(&self) -> i64 {
        0
    }

    fn ready(&mut self) -> Result<(), String> {
        if *self.broken.lock().unwrap() {
            return Err("it is broken".into());
        }
        Ok(())
    }
    fn last(&self) -> Option<String> {
        self.notes.lock().unwrap().last().cloned()
    }
    fn sign(&mut self, body: &str, _why: Why) -> Result<String, String> {
        self.ready()?;
        let note = Note::sign(body, &SigningKey::of_seed(&[1; 32]).unwrap());
        self.notes.lock().unwrap().push(note.clone());
        Ok(note)
    }
    fn next_key(&mut self, _now_ms: i64) -> Result<Option<VerifierKey>, String> {
        Ok(None)
    }
    fn change_key(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// A family of workers, one after the other.
struct Stage {
    memory: File,
    ring: Arc<Ring>,
    pencil: Pencil,
    filters: Vec<(String, Filter)>,
    spool: Arc<Spool>,
    writer: Writer,
    sealer: Sealer,
    at: u64,
    mono: Duration,
}

fn open(memory: &File, ring: &Arc<Ring>) -> Arc<Spool> {
    let settings = Settings {
        max: 8 << 20,
        full: Full::Block,
        retain_ms: 0,
        memory_max: 8 << 20,
        identity: Identity::default(),
        receivers: vec![("r1".into(), false), ("r2".into(), false)],
        owner: None,
        sealing: Some(Sealing { algorithm: Algorithm::Sha256, chance: [ring.epoch() as u8; 9], unsynced: false }),
    };
    let memory = Arc::new(MemoryDisk::open(memory.try_clone().unwrap()).unwrap());
    let spool = Spool::open(Arc::new(NoDisk), memory, settings, Some(ring.clone()), 7).unwrap();
    spool.no_directory("there is none");
    Arc::new(spool)
}

/// A spool in memory.
pub(super) fn spool() -> Arc<Spool> {
    open(&MemoryDisk::create().unwrap(), &Arc::new(Ring::create(4096, 5).unwrap()))
}

impl Stage {
    fn new(filters: Vec<(String, Filter)>) -> Stage {
        crate::log::mute();
        let (memory, ring) = (MemoryDisk::create().unwrap(), Arc::new(Ring::create(4096, 5).unwrap()));
        let (spool, pencil) = (open(&memory, &ring), Pencil::default());
        let sealer = Sealer::new(spool.clone(), Box::new(pencil.clone()), &filters).unwrap();
        let writer = Writer::new(spool.clone(), 1 << 20, false);
        Stage { memory, ring, pencil, filters, spool, writer, sealer, at: 0, mono: Duration::ZERO }
    }

    fn write(&mut self, text: &str) {
        self.writer.step(text.as_bytes(), (5, self.at).into(), Ending::Open, 7);
        self.at += text.len() as u64;
    }

    fn events(&mut self, from: u64, to: u64) {
        let text: String = (from..=to)
            .map(|n| format!("{{\"id\":\"1.0.{n}\",\"title\":\"{}\"}}\n", if n % 3 == 0 { "dml" } else { "auth_ok" }))
            .collect();
        self.write(&text);
    }

    /// Steps until there is nothing to do; the writer takes what is posted.
    fn seal(&mut self) {
        for _ in 0..1_000 {
            let rest = self.sealer.step(Now { mono: self.mono, wall_ms: 7 });
            match rest {
                Rest::Not => {}
                Rest::Post => self.writer.tell(7, (5, self.at).into(), false),
                Rest::News(..) | Rest::Sleep(_) => return,
            }
        }
        panic!("it does not come to rest");
    }

    /// Another worker of the same family.
    fn die(&mut self) {
        self.spool = open(&self.memory, &self.ring);
        self.writer = Writer::new(self.spool.clone(), 1 << 20, false);
        self.sealer = Sealer::new(self.spool.clone(), Box::new(self.pencil.clone()), &self.filters).unwrap();
    }

    /// All that is in the spool: lists, checkpoints, and the leaves of the rest by their number.
    fn trail(&self) -> (Vec<List>, Vec<Checkpoint>, Vec<(u64, Hash)>) {
        let (mut lists, mut notes, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
        let (mut reader, mut maker) = (Reader::new(1), Maker::default());
        while let Next::Record(r, head) = reader.next(&self.spool) {
            let e = maker.make(&r, head);
            let sealed = e.sealed().expect("it is of a stream");
            assert_eq!(sealed.stream, self.spool.stream().unwrap().id);
            leaves.push((sealed.seq, sealed.leaf.1));
            if r.is_evidence() {
                assert_eq!(sealed.leaf.0, Form::Canonical, "its bytes need not travel");
                let fields: Map<String, Value> = serde_json::from_slice(e.raw).unwrap();
                let text = |name: &str| fields.get(name).and_then(Value::as_str).map(Cow::from);
                match text("checkpoint") {
                    Some(note) => notes.push(Checkpoint::read(&Note::parse(&note).unwrap().body).unwrap()),
                    None => lists.push(List::read(text).expect("a list")),
                }
            }
        }
        (lists, notes, leaves)
    }

    /// Lists follow one another and give what was signed; events have the leaves of their places.
    fn check(&self) -> (Vec<List>, Vec<Checkpoint>) {
        let (lists, notes, leaves) = self.trail();
        let mut tree = Tree::new(Algorithm::Sha256);
        let mut roots = vec![tree.root()];
        let mut places = Vec::new();
        for list in &lists {
            assert_eq!(list.from, places.len() as u64 + 1);
            for place in &list.places {
                let seq = places.len() as u64 + 1;
                tree.push(match place {
                    Place::Leaf(hash) => *hash,
                    _ => crate::audit::seal::absent(list.stream, seq),
                });
                roots.push(tree.root());
                places.push(*place);
            }
        }
        for (seq, hash) in leaves.iter().filter(|l| l.0 <= places.len() as u64) {
            assert_eq!(places[*seq as usize - 1], Place::Leaf(*hash), "{seq}");
        }
        for (n, c) in notes.iter().enumerate() {
            assert_eq!((c.number, c.root), (n as u64 + 1, roots[c.size as usize]));
        }
        (lists, notes)
    }
}

#[test]
fn lists_have_their_place_and_checkpoints_their_time() {
    let mut stage = Stage::new(Vec::new());
    stage.seal();
    assert_eq!(stage.check().1.iter().map(|c| (c.why, c.size)).collect::<Vec<_>>(), [(Why::Start, 0)]);
    stage.events(1, 300);
    stage.seal();
    let (lists, _) = stage.check();
    assert_eq!(lists.iter().map(|l| (l.from, l.places.len())).collect::<Vec<_>>(), [(1, 128), (129, 128)]);
    assert!(matches!(lists[0].places[0], Place::Leaf(_)), "the checkpoint of the start");
    // A worker that dies goes on where it was.
    stage.die();
    stage.mono += Duration::from_secs(61);
    stage.sealer.last_at = Duration::ZERO;
    stage.sealer.begun = Some(Duration::ZERO);
    stage.seal();
    let (lists, notes) = stage.check();
    assert_eq!((lists.len(), notes[1].why, notes[1].size), (3, Why::Time, 303), "what is there, and the lists of it");
    assert_eq!(notes[1].ids.iter().map(|i| i.count).collect::<Vec<_>>(), [300]);
    stage.events(301, 5_000);
    stage.mono += Duration::from_secs(1);
    stage.seal();
    let (_, notes) = stage.check();
    assert_eq!((notes.len(), notes[2].why), (3, Why::Records));
    assert!(notes[2].size >= 4_399, "{}", notes[2].size);
    stage.write("{\"id\":\"1.0.5001\",\"title\":\"audit_rotate\"}\n");
    stage.mono += Duration::from_secs(1);
    stage.seal();
    stage.mono += Duration::from_secs(1);
    stage.seal();
    assert!(stage.check().1.iter().any(|c| c.why == Why::Rotation));
}

#[test]
fn at_the_end_all_is_sealed_with_or_without_a_signature() {
    for broken in [false, true] {
        let mut stage = Stage::new(Vec::new());
        *stage.pencil.broken.lock().unwrap() = broken;
        stage.events(1, 200);
        stage.seal();
        stage.spool.close();
        for _ in 0..3 {
            stage.seal();
        }
        assert!(stage.spool.is_sealed(), "{broken}");
        let (lists, notes) = stage.check();
        let sealed: usize = lists.iter().map(|l| l.places.len()).sum();
        assert!(sealed >= 200, "{broken}: {sealed}");
        assert_eq!(notes.last().map(|c| c.why), (!broken).then_some(Why::Stop));
        // It can be used again: what has come since is signed as well.
        *stage.pencil.broken.lock().unwrap() = false;
        stage.mono += Duration::from_secs(2);
        stage.events(201, 210);
        stage.seal();
        stage.seal();
        assert_eq!(stage.check().1.last().map(|c| (c.why, c.size >= 210)), Some((Why::Stop, true)), "{broken}");
    }
}

/// However long receivers take for what is there: what else is said would have to be delivered as well.
#[test]
fn the_end_is_said_once() {
    let mut stage = Stage::new(Vec::new());
    stage.events(1, 20);
    stage.seal();
    stage.spool.close();
    stage.seal();
    let said = |stage: &Stage| stage.check().1.iter().map(|c| c.why).collect::<Vec<_>>();
    assert_eq!(said(&stage), [Why::Start, Why::Stop]);
    for _ in 0..5 {
        stage.mono += Duration::from_secs(61);
        stage.seal();
        assert!(stage.spool.is_sealed());
    }
    assert_eq!(said(&stage), [Why::Start, Why::Stop]);
    // What a cursor has no room for any more would not be told at all.
    for seq in (1..20).step_by(2) {
        stage.spool.quarantined("r2", seq);
        stage.spool.delivered("r2", seq + 2);
    }
    stage.mono += Duration::from_secs(1);
    stage.seal();
    stage.mono += Duration::from_secs(61);
    stage.seal();
    let (_, notes) = stage.check();
    assert_eq!(notes.iter().map(|c| c.why).collect::<Vec<_>>(), [Why::Start, Why::Stop, Why::Stop]);
    assert!(!notes[2].excused.is_empty() && stage.spool.is_sealed());
}

#[test]
fn what_filters_leave_out_and_receivers_lack_is_said() {
    let filter = Filter { only: Vec::new(), skip: vec![Condition::parse("title=dml").unwrap()] };
    let mut stage = Stage::new(vec![("r1".into(), filter), ("r2".into(), Filter::default())]);
    stage.events(1, 130);
    stage.seal();
    let (lists, notes) = stage.check();
    let dml = (0..128).map(|i| (i + 1) % 3 != 0).collect::<Vec<bool>>();
    assert_eq!(lists[0].passes, [("r1".to_string(), dml)]);
    assert_eq!(notes[0].rules, [("r1".to_string(), "skip title=dml".to_string())]);
    stage.spool.delivered("r2", 5);
    stage.spool.quarantined("r2", 5);
    stage.spool.gone("r2", 9);
    stage.spool.delivered("r2", 11);
    stage.mono += Duration::from_secs(61);
    stage.seal();
    let said = |c: &Checkpoint| {
        c.excused
            .iter()
            .map(|e| match e {
                crate::audit::seal::checkpoint::Excused::Ranges(name, why, ranges) => {
                    (name.clone(), *why, ranges.clone())
                }
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    let (_, notes) = stage.check();
    let all =
        [("r2".to_string(), Excuse::Quarantined, vec![(5, 5)]), ("r2".to_string(), Excuse::Dropped, vec![(6, 8)])];
    assert_eq!(said(&notes[1]), all);
    let r2 = notes[1].receivers.iter().find(|r| r.name == "r2").unwrap();
    assert_eq!((r2.at, r2.delivered, r2.quarantined, r2.dropped), (11, 6, 1, 3));
    // Once is enough.
    stage.mono += Duration::from_secs(61);
    stage.seal();
    assert_eq!(said(&stage.check().1[2]), []);
}

#[test]
fn another_family_closes_what_the_one_before_has_begun() {
    let mut stage = Stage::new(Vec::new());
    stage.events(1, 50);
    stage.seal();
    let old = stage.spool.stream().unwrap();
    stage.ring = Arc::new(Ring::create(4096, 6).unwrap());
    stage.spool.quarantined("r1", 1);
    stage.spool.save_cursors();
    stage.die();
    let new = stage.spool.stream().unwrap();
    assert_eq!((old.first, new.first), (1, stage.spool.next_seq()));
    stage.seal();
    let bodies = stage.pencil.notes.lock().unwrap().clone();
    let all: Vec<Checkpoint> =
        bodies.iter().map(|n| Checkpoint::read(&Note::parse(n).unwrap().body).unwrap()).collect();
    assert_eq!(all.iter().map(|c| c.why).collect::<Vec<_>>(), [Why::Start, Why::Closed, Why::Start]);
    assert_eq!((all[1].stream, all[1].size), (old.id, new.first - 1));
    assert_eq!((all[2].stream, all[2].after), (new.id, After::Stream(old.id, all[1].size, all[1].root)));
    assert_eq!(all[1].excused.len() + all[2].earlier.len(), 1, "{:?}", all[1].excused);
}

/// The ones that had room are said already, and the rest began long ago.
#[test]
fn excuses_without_room_are_said_of_each_stream_since_the_first_of_them() {
    let mut stage = Stage::new(Vec::new());
    stage.events(1, 50);
    stage.seal();
    let old = stage.spool.stream().unwrap();
    stage.ring = Arc::new(Ring::create(4096, 6).unwrap());
    stage.die();
    let new = stage.spool.stream().unwrap();
    let of = |since: u64| {
        let excused = Excused { more: [1, 2], since, ..Excused::default() };
        let said = stage.sealer.excuses("r2", &excused, new.first + 5);
        said.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!(of(new.first), [new.id]);
    assert_eq!(of(20), [new.id, old.id]);
    assert_eq!(of(0), [new.id, old.id], "nobody knows since when");
}

/// What a power cut leaves may be older than what was signed, and nothing may be left of the stream that was signed last.
#[test]
fn a_stream_that_was_closed_is_not_closed_again() {
    let mut stage = Stage::new(Vec::new());
    stage.events(1, 50);
    stage.seal();
    let old = stage.spool.stream().unwrap();
    let mut bytes = vec![0; stage.memory.metadata().unwrap().len() as usize];
    stage.memory.read_exact_at(&mut bytes, 0).unwrap();
    stage.ring = Arc::new(Ring::create(4096, 6).unwrap());
    stage.die();
    let gone = stage.spool.stream().unwrap();
    stage.seal();
    stage.memory = MemoryDisk::create().unwrap();
    stage.memory.set_len(bytes.len() as u64).unwrap();
    stage.memory.write_all_at(&bytes, 0).unwrap();
    stage.ring = Arc::new(Ring::create(4096, 7).unwrap());
    stage.die();
    stage.seal();
    let bodies = stage.pencil.notes.lock().unwrap().clone();
    let all: Vec<Checkpoint> =
        bodies.iter().map(|n| Checkpoint::read(&Note::parse(n).unwrap().body).unwrap()).collect();
    let said: Vec<_> = all.iter().map(|c| (c.stream, c.why)).collect();
    let new = stage.spool.stream().unwrap();
    assert_eq!(said, [(old.id, Why::Start), (old.id, Why::Closed), (gone.id, Why::Start), (new.id, Why::Start)]);
    assert_eq!(all[3].after, After::Stream(gone.id, all[2].size, all[2].root));
}
