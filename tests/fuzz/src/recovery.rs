//! The spool's recovery, over any bytes: it comes to an end, every whole record that can be found is read back in its bytes
//! and in order, what is none is set aside byte for byte, and a second opening finds what the first one left.
//!
//! An input is flags, the fields of a head, and what follows the head; with the right flag, checksums are put right, so
//! that the search gets behind them. Refuses: the simulation's work (faults of the disk, several lives).

use super::memory::{Files, Memory};
use super::Dice;
use gostech::audit::spool::read::{Next, Reader};
use gostech::audit::spool::record::{self, Head, Identity, New, HEADER_BYTES, RECORDS_AT};
use gostech::audit::spool::recover::Refusal;
use gostech::audit::spool::walk::{Found, Walk};
use gostech::audit::spool::{Full, Settings, Spool};
use gostech::hash::{fold, xxh64};
use std::sync::Arc;

/// The hour of these openings.
const NOW: i64 = 1_795_224_477_000;
const NAME: &str = "00000000000000000042.seg";
const MAGIC: [u8; 4] = [0x9e, b'R', 0xe1, 0x01];

const MEND: u8 = 1;
const RAW: u8 = 2;
const DOUBLED: u8 = 4;
const LARGE: u8 = 8;

/// How the spool is kept.
pub fn settings() -> Settings {
    Settings {
        max: 1 << 24,
        full: Full::Block,
        retain_ms: 1 << 40,
        memory_max: 1 << 20,
        identity: Identity { cluster: "c".into(), instance: "i".into(), node: "n".into() },
        receivers: vec![("r1".into(), false)],
        owner: None,
        sealing: None,
    }
}

/// A segment's records as the spool writes them.
pub fn records(head: &Head, most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, raw) in super::events(most).iter().enumerate() {
        let facts = gostech::audit::record::read(raw, false);
        let (kind, id, time) = (facts.kind, facts.id, facts.time);
        let stream = head.stream + i as u64 * 100;
        let new = New { kind, raw, id, time, part: 0, parts: 0, stream, read_ms: head.created_ms, form: None };
        record::encode(&mut out, head, head.first_seq + i as u64, &new);
    }
    out
}

fn head() -> Head {
    Head {
        first_seq: 42,
        epoch: 1,
        stream: 1000,
        created_ms: NOW,
        identity: settings().identity,
        last: None,
        packed: None,
        seal: None,
    }
}

/// Seeds: whole segments, torn and damaged ones, heads alone.
pub fn seeds() -> Vec<Vec<u8>> {
    let fields = [42u64, 1, 1000, NOW as u64].map(u64::to_le_bytes).concat();
    let records = records(&head(), 6);
    let input = |flags: u8, body: &[u8]| [&[flags, 3][..], &fields, body].concat();
    let mut damaged = records.clone();
    let at = damaged.len() / 2;
    damaged[at] ^= 1;
    let raw = [&[RAW, 9][..], &head().encode(), &records].concat();
    let far = [&[MEND, 3][..], &[u64::MAX; 4].map(u64::to_le_bytes).concat(), &records].concat();
    vec![
        input(0, &records),
        input(MEND, &records[..records.len() - 5]),
        input(MEND, &damaged),
        input(0, &damaged),
        input(DOUBLED, &damaged),
        input(LARGE, &records[at..]),
        input(0, &[]),
        raw,
        far,
    ]
}

/// Puts right the checksum of everything that begins like a record.
fn mend(bytes: &mut [u8]) {
    let mut at = 0;
    while at + HEADER_BYTES <= bytes.len() {
        if bytes[at..].starts_with(&MAGIC) {
            let len = u32::from_le_bytes(std::array::from_fn(|i| bytes[at + 8 + i])) as usize;
            let (header, rest) = (at + 8..at + HEADER_BYTES, at + HEADER_BYTES);
            if len <= bytes.len() - rest {
                let check = fold(xxh64(&bytes[header], xxh64(&bytes[rest..rest + len], 0)));
                bytes[at + 4..at + 8].copy_from_slice(&check.to_le_bytes());
                at = rest + len;
                continue;
            }
        }
        at += 1;
    }
}

/// The segment that an input stands for.
fn segment(input: &[u8]) -> (u8, u8, Vec<u8>) {
    let mut dice = Dice(input);
    let (flags, share) = (dice.byte(), dice.byte());
    if flags & RAW != 0 {
        return (flags, share, dice.0.to_vec());
    }
    let identity = settings().identity;
    let (first_seq, epoch, stream) = (dice.long(), dice.long(), dice.long());
    let mut bytes = Head {
        first_seq,
        epoch,
        stream,
        created_ms: dice.long() as i64,
        identity,
        last: None,
        packed: None,
        seal: None,
    }
    .encode();
    let mut body = dice.0.to_vec();
    if flags & MEND != 0 {
        mend(&mut body);
    }
    bytes.extend_from_slice(&body);
    (flags, share, bytes)
}

fn files(flags: u8, share: u8, segment: &[u8]) -> Files {
    let mut files = Files::from([(NAME.to_string(), segment.to_vec())]);
    if flags & DOUBLED != 0 {
        let part = segment.len() * usize::from(share) / 255;
        files.insert("00000000000000000042-7.seg".into(), segment[..part].to_vec());
    }
    if flags & LARGE != 0 {
        files.insert("18446744073709551615.seg".into(), segment.to_vec());
    }
    files
}

/// Where records stand, and where bytes that are none.
type Places = (Vec<(usize, usize)>, Vec<(usize, usize)>);

/// What stands in a segment by the letter: a record is wherever one can be read; the first place counts.
fn by_the_letter(head: &Head, bytes: &[u8]) -> Places {
    let (mut at, mut hole) = (RECORDS_AT as usize, None);
    let (mut records, mut holes) = (Vec::new(), Vec::new());
    while at < bytes.len() {
        match record::decode(head, &bytes[at..]) {
            Ok(r) => {
                holes.extend(hole.take().map(|from| (from, at)));
                records.push((at, at + r.bytes()));
                at += r.bytes();
            }
            Err(_) => {
                hole.get_or_insert(at);
                at += 1;
            }
        }
    }
    holes.extend(hole.map(|from| (from, bytes.len())));
    (records, holes)
}

/// The walk finds what there is by the letter.
fn walked(head: &Head, bytes: &[u8]) -> Places {
    let disk = Memory::of(Files::from([("x".to_string(), bytes.to_vec())]));
    let (mut walk, mut records, mut holes) = (Walk::start(), Vec::new(), Vec::new());
    loop {
        match walk.next(&*disk, "x", head, bytes.len() as u64).expect("memory does not fail") {
            Found::Record(m) => records.push((walk.position() as usize - m.bytes(), walk.position() as usize)),
            Found::Damage(from, to) => holes.push((from as usize, to as usize)),
            Found::Torn(from) => {
                holes.push((from as usize, bytes.len()));
                return (records, holes);
            }
            Found::End => return (records, holes),
        }
    }
}

/// Opens what lies there; none: it is another helper's.
pub(super) fn open(disk: &Arc<Memory>) -> Option<Spool> {
    match Spool::open(disk.clone(), Memory::of(Files::new()), settings(), None, NOW) {
        Ok(spool) => Some(spool),
        Err(Refusal::Foreign(_)) => None,
        Err(e) => panic!("memory does not fail: {e:?}"),
    }
}

/// Reads a spool to its end: the records, and how many numbers were said to be lost.
pub(super) fn read(spool: &Spool, first: u64) -> (Vec<(u64, Vec<u8>)>, u64) {
    let (mut reader, mut all, mut lost) = (Reader::new(first), Vec::new(), 0u64);
    loop {
        match reader.next(spool) {
            Next::Record(r, _) => all.push((r.seq, r.raw.to_vec())),
            Next::Lost(l) => {
                assert!(l.from <= l.to, "{l:?}");
                lost = lost.saturating_add(l.to - l.from + 1);
            }
            Next::Wait => return (all, lost),
            Next::Trouble(text) => panic!("memory does not fail: {text}"),
        }
    }
}

/// Nothing of the input is gone: every hole lies beside the segments, in its bytes.
fn set_aside(before: &Files, after: &Files, holes: &[(usize, usize)], segment: &[u8], none: bool) {
    for (from, to) in holes {
        let kept = after.iter().any(|(n, b)| n.ends_with(".bad") && *b == segment[*from..*to]);
        assert!(kept, "bytes {from} to {to} are not set aside: {:?}", after.keys());
    }
    for (name, bytes) in before {
        let now = after.get(name).or_else(|| after.get(&format!("{name}.bad")));
        // A segment without a whole record holds nothing but what is set aside, and may go.
        let kept = now.map_or(none, |now| bytes.starts_with(now)) || bytes.len() < RECORDS_AT as usize;
        assert!(kept, "`{name}` is not what it was: {:?}", after.keys());
    }
}

/// The target.
pub fn check(input: &[u8]) {
    let (flags, share, segment) = segment(input);
    let files = files(flags, share, &segment);
    let alone = files.len() == 1;
    let disk = Memory::of(files.clone());
    let Some(spool) = open(&disk) else { return };
    let whole = segment.len() as u64 >= RECORDS_AT;
    let bytes = segment.get(..RECORDS_AT as usize).unwrap_or_default();
    let fallback = Head { first_seq: 42, identity: settings().identity, ..Head::default() };
    let head = Head::decode(bytes).unwrap_or(fallback);
    let (records, holes) = if whole { by_the_letter(&head, &segment) } else { Default::default() };
    if whole {
        assert_eq!(walked(&head, &segment), (records.clone(), holes.clone()), "the walk sees other places");
    }
    let (got, lost) = read(&spool, 1);
    let mut want: Vec<(u64, Vec<u8>)> = Vec::new();
    for (from, _) in &records {
        let r = record::decode(&head, &segment[*from..]).expect("read a moment ago");
        if want.last().is_none_or(|(seq, _)| *seq < r.seq) {
            want.push((r.seq, r.raw.to_vec()));
        }
    }
    assert!(got.windows(2).all(|w| w[0].0 < w[1].0), "not in order");
    if alone {
        assert_eq!(got, want, "what can be read is not what is there");
        let next = spool.next_seq();
        assert!(got.last().is_none_or(|(seq, _)| *seq < next));
        assert_eq!(next - 1, lost.saturating_add(got.len() as u64), "numbers that are neither read nor lost");
        set_aside(&files, &disk.files(), &holes, &segment, records.is_empty());
    }
    again(spool, &disk, &got);
}

/// The next start finds what this one has left: nothing is read differently, nothing new is set aside.
pub(super) fn again(spool: Spool, disk: &Arc<Memory>, got: &[(u64, Vec<u8>)]) {
    let next = spool.next_seq();
    spool.save_cursors();
    spool.save_state(true);
    drop(spool);
    let before = disk.files();
    let spool = open(disk).expect("not foreign a moment ago");
    assert_eq!(spool.next_seq(), next, "numbers are given twice");
    let (second, _) = read(&spool, 1);
    assert_eq!(second.len(), got.len());
    assert!(second == got, "the second reading differs");
    let bad = |files: &Files| files.keys().filter(|n| n.ends_with(".bad")).count();
    assert_eq!(bad(&before), bad(&disk.files()), "more is set aside");
}
