//! Damage: a spool of three segments and two cursors, each of its files cut at every byte, every byte of it flipped, missing,
//! doubled, swapped, empty, foreign. Never a panic, never a loop; every undamaged record is delivered; what is damaged is
//! counted and kept aside.

use crate::canary::Canary;
use crate::chance::Chance;
use crate::disk::SimDisk;
use crate::receiver::{Fed, Mood, Outside, Receiver, SimSink};
use crate::report::lab_since;
use gostech::audit::delivery::format;
use gostech::audit::delivery::parcel::Sink;
use gostech::audit::delivery::sender::{Now, Portion, Sender, Wait};
use gostech::audit::intake::writer::{Done, Writer};
use gostech::audit::record::Ending;
use gostech::audit::spool::disk::Disk;
use gostech::audit::spool::memory_disk::MemoryDisk;
use gostech::audit::spool::pack::{Block, BLOCK_HEADER};
use gostech::audit::spool::packed::{Job, Packing};
use gostech::audit::spool::record::{Head, Identity, HEADER_BYTES, RECORDS_AT};
use gostech::audit::spool::recover::Refusal;
use gostech::audit::spool::{Full, Settings, Spool};
use gostech::hash::xxh64;
use gostech::limits;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const IN_SEGMENT: usize = 5;
const SEGMENTS: usize = 3;
/// What the second receiver had before.
const HAD: usize = 7;

type Files = BTreeMap<String, Vec<u8>>;

fn settings() -> Settings {
    Settings {
        max: 1 << 20,
        full: Full::Block,
        retain_ms: 1 << 40,
        memory_max: 1 << 20,
        identity: Identity { cluster: "c".into(), instance: "i".into(), node: "n".into() },
        receivers: vec![("r1".into(), false), ("r2".into(), false)],
        owner: None,
        sealing: None,
    }
}

fn raw(n: usize) -> String {
    format!(r#"{{"id":"1.0.{n}","severity":"low","title":"t","message":"{}"}}"#, "m".repeat(n * 3 % 40))
}

fn doc(n: usize) -> String {
    format!("c/i/1.0.{n}/{:016x}", xxh64(raw(n).as_bytes(), 0))
}

fn open(files: &Files, memory_disk: &Arc<MemoryDisk>) -> (Arc<SimDisk>, Result<Spool, Refusal>) {
    let disk = SimDisk::new(1, Canary::None);
    files.iter().for_each(|(name, bytes)| disk.put(name, bytes));
    let spool = Spool::open(disk.clone(), memory_disk.clone(), settings(), None, 1_795_224_477_000);
    (disk, spool)
}

/// The spool before anything happens to it.
fn whole(memory_disk: &Arc<MemoryDisk>) -> Files {
    let mut files = Files::new();
    let mut stream = 0;
    for segment in 0..SEGMENTS {
        let (disk, spool) = open(&files, memory_disk);
        let spool = Arc::new(spool.expect("a whole spool opens"));
        let mut writer = Writer::new(spool.clone(), 1 << 20, false);
        let lines: String = (1..=IN_SEGMENT).map(|n| raw(segment * IN_SEGMENT + n) + "\n").collect();
        assert_eq!(
            writer.step(lines.as_bytes(), (1, stream).into(), Ending::Open, 1_795_224_477_000),
            Done::Bytes(lines.len())
        );
        stream += lines.len() as u64;
        if segment + 1 == SEGMENTS {
            spool.delivered("r2", 1 + HAD as u64);
        }
        spool.sync(0);
        spool.save_cursors();
        spool.save_state(true);
        files = disk.list().unwrap().into_iter().map(|f| (f.name.clone(), disk.contents(&f.name))).collect();
    }
    assert_eq!(files.keys().filter(|n| n.ends_with(".seg")).count(), SEGMENTS);
    files
}

/// What came of a damaged spool.
struct After {
    /// Which records each receiver was given.
    got: [Vec<usize>; 2],
    /// How many records each receiver's cursor counts as lost.
    lost: [u64; 2],
    aside: u64,
    told: u64,
}

fn outside() -> Outside {
    let fed = |n: usize| Fed {
        doc: doc(n),
        life: 1,
        end: 0,
        count: Some(n as u64),
        tail: raw(n).as_bytes()[1..].to_vec(),
        excused: false,
        bad: false,
    };
    let fed: Vec<Fed> = (1..=SEGMENTS * IN_SEGMENT).map(fed).collect();
    let by_doc = fed.iter().enumerate().map(|(i, f)| (f.doc.clone(), i)).collect();
    Outside { fed, by_doc, receivers: vec![Receiver::new("r1"), Receiver::new("r2")], ..Outside::default() }
}

/// Opens it and delivers to the end; none: it is refused as foreign.
fn deliver(files: &Files, memory_disk: &Arc<MemoryDisk>, what: &str) -> Option<After> {
    let (_disk, spool) = open(files, memory_disk);
    let spool = match spool {
        Ok(spool) => Arc::new(spool),
        Err(Refusal::Foreign(_)) => return None,
        Err(e) => panic!("{what}: {e:?}"),
    };
    let outside = Arc::new(Mutex::new(outside()));
    let portion = Portion { events: 4, bytes: 1 << 20, linger: Duration::ZERO };
    for who in 0..2 {
        let name = format!("r{}", who + 1);
        let (canary, chance) = (Canary::None, Chance::new(1));
        let sink = SimSink { who, outside: outside.clone(), chance, canary, spool: spool.clone() };
        let sinks: Vec<Box<dyn Sink>> = vec![Box::new(sink)];
        let form = format::find("ndjson").unwrap().form(None);
        let mut sender = Sender::new(&name, spool.clone(), sinks, form, portion, 1 << 20);
        spool.end();
        let done = (0..500).any(|i| {
            let now = Now { mono: Duration::from_secs(i), wall_ms: 1_795_224_477_000, chance: 1 };
            sender.step(now, true) == Wait::Done
        });
        assert!(done, "{what}: {name} does not come to an end");
    }
    let mut writer = Writer::new(spool.clone(), 1 << 20, false);
    writer.tell(1_795_224_477_000, (1, 0).into(), true);
    let (told, cursors) = (spool.account().counters.damaged, spool.receivers());
    let o = outside.lock().unwrap();
    assert_eq!(o.wrong, None, "{what}");
    assert_eq!(o.receivers[0].mood, Mood::Takes);
    let got = |i: usize| o.receivers[i].has.iter().map(|n| n + 1).collect();
    let lost = |i: usize| cursors[i].cursor.dropped;
    Some(After { got: [got(0), got(1)], lost: [lost(0), lost(1)], aside: spool.sizes().set_aside, told })
}

/// Where the records of a segment stand in its file.
fn places(file: &[u8], segment: usize) -> Vec<(usize, usize, usize)> {
    let mut at = RECORDS_AT as usize;
    let places: Vec<_> = (1..=IN_SEGMENT)
        .map(|n| {
            let n = segment * IN_SEGMENT + n;
            let from = at;
            at += HEADER_BYTES + raw(n).len();
            (n, from, at)
        })
        .collect();
    assert_eq!(at, file.len());
    places
}

/// Every record but these is delivered, these are counted.
fn check(after: &After, gone: &[usize], what: &str) {
    for (who, from) in [(0, 1), (1, 1 + HAD)] {
        let want: Vec<usize> = (from..=SEGMENTS * IN_SEGMENT).filter(|n| !gone.contains(n)).collect();
        let got: Vec<usize> = after.got[who].iter().copied().filter(|n| *n >= from).collect();
        assert_eq!(got, want, "{what}: receiver {who}");
        let lost = gone.iter().filter(|n| **n >= from).count() as u64;
        assert_eq!(after.lost[who], lost, "{what}: receiver {who} counts");
    }
    assert_eq!(after.told, gone.len() as u64, "{what}: told as damaged");
}

fn segments(files: &Files) -> Vec<String> {
    files.keys().filter(|n| n.ends_with(".seg")).cloned().collect()
}

#[test]
fn segments_flipped_and_cut_at_every_byte() {
    crate::quiet();
    let begin = Instant::now();
    let memory_disk = Arc::new(MemoryDisk::open(MemoryDisk::create().unwrap()).unwrap());
    let files = whole(&memory_disk);
    check(&deliver(&files, &memory_disk, "whole").unwrap(), &[], "whole");
    let (mut flips, mut cuts) = (0u64, 0u64);
    for (segment, name) in segments(&files).iter().enumerate() {
        let bytes = &files[name];
        let places = places(bytes, segment);
        for at in 0..bytes.len() {
            let bits: Vec<u8> = if at % 41 == 0 { (0..8).collect() } else { vec![(at % 8) as u8] };
            for bit in bits {
                let what = format!("bit {bit} of byte {at} of {name}");
                let mut bad = files.clone();
                bad.get_mut(name).unwrap()[at] ^= 1 << bit;
                let after = deliver(&bad, &memory_disk, &what).expect("not foreign");
                let gone: Vec<usize> = places.iter().filter(|p| (p.1..p.2).contains(&at)).map(|p| p.0).collect();
                check(&after, &gone, &what);
                assert_eq!(after.aside, gone.len() as u64, "{what}: set aside");
                flips += 1;
            }
            let what = format!("{name} cut at {at}");
            let mut bad = files.clone();
            bad.get_mut(name).unwrap().truncate(at);
            let after = deliver(&bad, &memory_disk, &what).expect("not foreign");
            let gone: Vec<usize> = places.iter().filter(|p| p.2 > at).map(|p| p.0).collect();
            check(&after, &gone, &what);
            cuts += 1;
        }
    }
    let records = (flips + cuts) * (SEGMENTS * IN_SEGMENT) as u64;
    lab_since("damage: bits of segments flipped, segments cut", flips + cuts, records, begin);
}

/// The same spool with one segment packed.
fn packed(files: &Files, name: &str) -> (Files, String) {
    let disk = SimDisk::new(1, Canary::None);
    disk.put(name, &files[name]);
    let head = Head::decode(&files[name]).expect("a whole head");
    let (bytes, next) = (files[name].len() as u64, head.first_seq + IN_SEGMENT as u64);
    let to = name.replace(".seg", "-1.seg");
    let job = Job { name: name.into(), head: Arc::new(head), bytes, next, to };
    assert!(matches!(job.pack(&*disk), Ok(Packing::Done(_))));
    let mut files = files.clone();
    files.remove(name);
    files.insert(job.to.clone(), disk.contents(&job.unborn()));
    (files, job.to)
}

/// Whether its one block can still be read.
fn is_whole(file: &[u8]) -> bool {
    let block = file.get(RECORDS_AT as usize..).unwrap_or_default();
    let unpacked = Block::of(block).and_then(|b| b.unpack(block.get(BLOCK_HEADER..BLOCK_HEADER + b.packed)?));
    unpacked.is_some()
}

#[test]
fn a_packed_segment_flipped_and_cut_at_every_byte() {
    crate::quiet();
    let begin = Instant::now();
    let memory_disk = Arc::new(MemoryDisk::open(MemoryDisk::create().unwrap()).unwrap());
    let files = whole(&memory_disk);
    let mut tried = 0;
    // In the middle, and the newest one.
    for segment in [1, SEGMENTS - 1] {
        let (files, name) = packed(&files, &segments(&files)[segment]);
        check(&deliver(&files, &memory_disk, "packed").unwrap(), &[], "packed");
        let all: Vec<usize> = (1..=IN_SEGMENT).map(|n| segment * IN_SEGMENT + n).collect();
        let mut spoil = |at: usize, what: &str, spoil: &dyn Fn(&mut Vec<u8>)| {
            let what = format!("{what} {at} of {name}");
            let mut bad = files.clone();
            let file = bad.get_mut(&name).unwrap();
            spoil(file);
            let heads = file.len() as u64 >= RECORDS_AT;
            let gone = if heads && is_whole(file) { &[][..] } else { &all };
            let after = deliver(&bad, &memory_disk, &what).expect("not foreign");
            check(&after, gone, &what);
            tried += 1;
        };
        // The two heads stand for each other: a part of their bytes shows it.
        for at in (0..files[&name].len()).filter(|at| *at as u64 >= RECORDS_AT || at % 9 == 0) {
            spoil(at, "a bit of byte", &|file| file[at] ^= 1 << (at % 8));
            spoil(at, "cut at byte", &|file| file.truncate(at));
        }
        // Both heads at once: its records are found all the same.
        spoil(9, "both heads at byte", &|file| (file[9], file[1024 + 9]) = (9, 9));
    }
    lab_since("damage: a packed segment flipped, cut", tried, tried * (SEGMENTS * IN_SEGMENT) as u64, begin);
}

#[test]
fn cursors_and_state_flipped_and_cut() {
    crate::quiet();
    let begin = Instant::now();
    let memory_disk = Arc::new(MemoryDisk::open(MemoryDisk::create().unwrap()).unwrap());
    let files = whole(&memory_disk);
    let mut tried = 0u64;
    for name in ["cursor-r1", "cursor-r2", "state"] {
        let bytes = &files[name];
        let interesting = |at: &usize| bytes[*at] != 0 || at % 4099 == 0;
        for at in (0..bytes.len()).filter(interesting) {
            let bits = if at % 41 == 0 { 0..8 } else { at % 8..at % 8 + 1 };
            for bit in bits.map(Some).chain([None]) {
                let what = format!("{name} {bit:?} at {at}");
                let mut bad = files.clone();
                let file = bad.get_mut(name).unwrap();
                match bit {
                    Some(bit) => file[at] ^= 1 << bit,
                    None => file.truncate(at),
                }
                // Perhaps more than once, never less.
                let after = deliver(&bad, &memory_disk, &what).expect("not foreign");
                check(&after, &[], &what);
                tried += 1;
            }
        }
    }
    lab_since("damage: cursors and state flipped and cut", tried, tried * (SEGMENTS * IN_SEGMENT) as u64, begin);
}

#[test]
fn files_missing_doubled_swapped_empty_and_foreign() {
    crate::quiet();
    let begin = Instant::now();
    let memory_disk = Arc::new(MemoryDisk::open(MemoryDisk::create().unwrap()).unwrap());
    let files = whole(&memory_disk);
    let of = |segment: usize| -> Vec<usize> { (1..=IN_SEGMENT).map(|n| segment * IN_SEGMENT + n).collect() };
    let names = segments(&files);
    let mut tried = small_files_exchanged(&files, &memory_disk);
    for name in files.keys() {
        let segment = names.iter().position(|n| n == name);
        let gone = segment.map(of).unwrap_or_default();
        for (what, bytes) in
            [("missing", None), ("empty", Some(Vec::new())), ("zeros", Some(vec![0; files[name].len()]))]
        {
            let mut bad = files.clone();
            match bytes {
                Some(bytes) => drop(bad.insert(name.clone(), bytes)),
                None => drop(bad.remove(name)),
            }
            let what = format!("{name} {what}");
            let after = deliver(&bad, &memory_disk, &what).expect("not foreign");
            check(&after, &gone, &what);
            tried += 1;
        }
    }
    for a in &names {
        for b in &names {
            let mut bad = files.clone();
            bad.insert(a.clone(), files[b].clone());
            bad.insert(b.clone(), files[a].clone());
            check(&deliver(&bad, &memory_disk, "swapped").unwrap(), &[], &format!("{a} and {b} swapped"));
            let mut bad = files.clone();
            bad.insert("00000000000000009999.seg".into(), files[a].clone());
            bad.insert(format!("{}-7.seg", &b[..20]), files[b][..files[b].len() - 3].to_vec());
            check(&deliver(&bad, &memory_disk, "doubled").unwrap(), &[], &format!("{a} and half of {b} doubled"));
            let mut foreign = files.clone();
            let file = foreign.get_mut(a).unwrap();
            (file[7], file[1024 + 7]) = (9, 9);
            assert!(deliver(&foreign, &memory_disk, "foreign").is_none());
            tried += 3;
        }
    }
    let records = tried * (SEGMENTS * IN_SEGMENT) as u64;
    lab_since("damage: files missing, doubled, swapped, foreign", tried, records, begin);
}

/// Cursors and state in each other's place, doubled, and of another version: perhaps more than once, never less.
fn small_files_exchanged(files: &Files, memory_disk: &Arc<MemoryDisk>) -> u64 {
    let names = ["cursor-r1", "cursor-r2", "state"];
    let mut tried = 0;
    for a in names {
        for b in names.iter().filter(|b| **b != a) {
            let what = format!("{a} and {b} swapped");
            let mut bad = files.clone();
            bad.insert(a.into(), files[*b].clone());
            bad.insert(b.to_string(), files[a].clone());
            let after = deliver(&bad, memory_disk, &what).expect("not foreign");
            // A state that is none counts anew, and so says nothing of what a missing cursor would have been.
            check(&after, &[], &what);
            tried += 1;
        }
        let mut bad = files.clone();
        bad.insert("cursor-r3".into(), files[a].clone());
        check(&deliver(&bad, memory_disk, a).expect("not foreign"), &[], &format!("{a} doubled"));
        let mut bad = files.clone();
        let file = bad.get_mut(a).unwrap();
        for copy in
            file.chunks_mut(if a == "state" { limits::STATE_SLOT_BYTES } else { limits::CURSOR_SLOT_BYTES } as usize)
        {
            copy[7] = 9;
        }
        check(&deliver(&bad, memory_disk, a).expect("not foreign"), &[], &format!("{a} of another version"));
        tried += 2;
    }
    tried
}
