//! A packed segment with some of its bytes changed: what lies in blocks that are whole is read, in its bytes and in order, nothing
//! is read that was not there, and the numbers of the rest are told as lost.
//!
//! An input is flags, a length to cut at, and changes (place, what to turn over there). With the right flag the checksum of each
//! header is put right, so that lengths and places that are wrong are believed. Refuses: a sum that is put right as well; that
//! would be another record, not a damaged one.

use super::memory::{Files, Memory};
use super::recovery::{again, open, read, records, settings};
use super::Dice;
use gostech::audit::seal::{Algorithm, Stream, StreamId};
use gostech::audit::spool::pack::{Block, Packer, BLOCK_HEADER};
use gostech::audit::spool::record::{self, Head, Packed, RECORDS_AT};
use gostech::hash::{fold, xxh64};
use std::ops::Range;

const NAME: &str = "00000000000000000001-1.seg";
const MEND: u8 = 1;
const EVENTS: usize = 9;
const IN_A_BLOCK: usize = 3;

/// A packed segment, its records, and where the block of each stands.
struct Whole {
    file: Vec<u8>,
    events: Vec<Vec<u8>>,
    blocks: Vec<Range<usize>>,
}

fn whole() -> Whole {
    // Leaves are left out of a block, and made again.
    let seal = Some(Stream { id: StreamId::new(1, [2; 9], Algorithm::Sha256), first: 1 });
    let head = Head { first_seq: 1, epoch: 1, created_ms: 7, identity: settings().identity, seal, ..Head::default() };
    let plain = records(&head, EVENTS);
    let (mut ends, mut events) = (vec![0], Vec::new());
    while let Ok(r) = record::decode(&head, &plain[ends[ends.len() - 1]..]) {
        ends.push(ends[ends.len() - 1] + r.bytes());
        events.push(r.raw.to_vec());
    }
    let packed = Packed { plain: RECORDS_AT + plain.len() as u64, next: events.len() as u64 + 1 };
    let mut file = Head { packed: Some(packed), ..head.clone() }.encode();
    let (mut packer, mut blocks) = (Packer::default(), Vec::new());
    for first in (0..events.len()).step_by(IN_A_BLOCK) {
        let (from, to, at) = (ends[first], ends[(first + IN_A_BLOCK).min(events.len())], file.len());
        assert!(packer.pack(&plain[from..to], RECORDS_AT + from as u64, &head, &mut file), "events pack well");
        blocks.push(at..file.len());
    }
    Whole { file, events, blocks }
}

/// Seeds: nothing changed, a head, a block's header, its bytes, its lengths that are believed, an end that is missing.
pub fn seeds() -> Vec<Vec<u8>> {
    let w = whole();
    let (first, second) = (w.blocks[0].start as u16, w.blocks[1].start as u16);
    let input = |flags: u8, cut: u16, changes: &[(u16, u8)]| {
        let changes = changes.iter().flat_map(|(at, by)| [&at.to_le_bytes()[..], &[*by]].concat());
        [flags].into_iter().chain(cut.to_le_bytes()).chain(changes).collect()
    };
    vec![
        input(0, 0, &[]),
        input(0, 0, &[(9, 1), (1033, 1)]),
        input(0, 0, &[(first, 1)]),
        input(0, 0, &[(first + 40, 8)]),
        input(MEND, 0, &[(second + 9, 1)]),
        input(MEND, 0, &[(second + 12, 1)]),
        input(MEND, 0, &[(second + 16, 255), (second + 18, 3)]),
        input(MEND, 0, &[(first + 20, 4), (second + 20, 4)]),
        input(0, second + 20, &[]),
        input(0, 12, &[]),
    ]
}

/// Puts right the checksum of each header.
fn mend(file: &mut [u8], blocks: &[Range<usize>]) {
    for at in blocks.iter().map(|b| b.start) {
        let Some(header) = file.get_mut(at..at + BLOCK_HEADER) else { continue };
        let check = fold(xxh64(&header[8..], 0));
        header[4..8].copy_from_slice(&check.to_le_bytes());
    }
}

/// A header that is believed gives what was packed or nothing, and never more than it says.
fn unpacked(file: &[u8], w: &Whole) {
    for at in w.blocks.iter().map(|b| b.start) {
        let bytes = file.get(at..).unwrap_or_default();
        let Some(block) = Block::of(bytes) else { continue };
        let body = &bytes[BLOCK_HEADER..];
        let Some(plain) = block.unpack(&body[..block.packed.min(body.len())]) else { continue };
        assert_eq!((plain.len() as u64, block.to()), (block.plain as u64, block.from + plain.len() as u64));
    }
}

/// The target.
pub fn check(input: &[u8]) {
    let (w, mut dice) = (whole(), Dice(input));
    let (flags, cut) = (dice.byte(), usize::from(dice.short()));
    let mut file = w.file.clone();
    while !dice.0.is_empty() {
        let (at, by) = (usize::from(dice.short()), dice.byte());
        if let Some(b) = file.get_mut(at) {
            *b ^= by;
        }
    }
    let mends = flags & MEND != 0;
    if mends {
        mend(&mut file, &w.blocks);
    }
    if cut > 0 {
        file.truncate(cut);
    }
    unpacked(&file, &w);
    let disk = Memory::of(Files::from([(NAME.to_string(), file.clone())]));
    let Some(spool) = open(&disk) else { return };
    let (got, lost) = read(&spool, 1);
    for (seq, raw) in &got {
        let was = w.events.get(*seq as usize - 1);
        assert_eq!(Some(raw), was, "record {seq} is none that was there");
    }
    assert!(got.windows(2).all(|pair| pair[0].0 < pair[1].0), "not in order");
    assert_eq!(spool.next_seq() - 1, lost + got.len() as u64, "numbers that are neither read nor lost");
    // A header that lies may hide what is behind it.
    let is_whole = |b: &&Range<usize>| file.get((*b).clone()) == w.file.get((*b).clone());
    let all_whole = w.blocks.iter().filter(is_whole).count();
    if (!mends || all_whole == w.blocks.len()) && file.len() as u64 >= RECORDS_AT {
        for (n, block) in w.blocks.iter().enumerate().filter(|(_, b)| is_whole(b)) {
            for seq in n * IN_A_BLOCK + 1..=(n * IN_A_BLOCK + IN_A_BLOCK).min(w.events.len()) {
                assert!(
                    got.iter().any(|(s, _)| *s == seq as u64),
                    "record {seq} of the whole block at {} is not read",
                    block.start
                );
            }
        }
    }
    again(spool, &disk, &got);
}
