//! What was written is read, and damage costs no more than it hits.

use super::*;
use crate::audit::seal::{Algorithm, StreamId};

/// What stands at a place of a segment that is wholly in memory.
#[derive(Debug)]
enum Step<'a> {
    /// A record, and where the next thing begins.
    Record(Stored<'a>, usize),
    /// Bytes up to there are no record, but one follows.
    Damage(usize),
    /// From here to the end there is no whole record.
    Torn,
    /// The end.
    End,
}

/// Walks a segment: `bytes` is all of it, `at` where to look.
fn step<'a>(head: &Head, bytes: &'a [u8], at: usize) -> Step<'a> {
    if at >= bytes.len() {
        return Step::End;
    }
    match decode(head, &bytes[at..]) {
        Ok(r) => Step::Record(r, at + r.bytes()),
        Err(_) => {
            let mut next = next_candidate(bytes, at + 1);
            while next < bytes.len() {
                if decode(head, &bytes[next..]).is_ok() {
                    return Step::Damage(next);
                }
                next = next_candidate(bytes, next + 1);
            }
            Step::Torn
        }
    }
}

fn head() -> Head {
    let identity = Identity { cluster: "c".into(), instance: "i".into(), node: "n\u{44f}".into() };
    Head {
        first_seq: 42,
        epoch: 7,
        stream: 1000,
        created_ms: 1_795_224_477_000,
        identity,
        last: Some(EventId { raft_id: 1, gen: 2, count: 3 }),
        packed: None,
        seal: None,
    }
}

/// A segment whose records carry leaves.
fn sealed() -> Head {
    let id = StreamId::new(1, [2; 9], Algorithm::Sha256);
    Head { seal: Some(Stream { id, first: 42 }), ..head() }
}

fn segment() -> (Vec<u8>, Vec<Vec<u8>>) {
    segment_of(head())
}

fn segment_of(head: Head) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut out = head.encode();
    let raws: Vec<Vec<u8>> = (0..5).map(|i| format!("{{\"id\":\"1.0.{i}\",\"n\":\"\u{9e}R\"}}").into_bytes()).collect();
    for (i, raw) in raws.iter().enumerate() {
        let stream = 1000 + 10 * i as u64;
        let (id, time) = (Span { from: 7, to: 12 }, Span::default());
        let new = New {
            kind: Kind::Object,
            raw,
            id,
            time,
            part: 0,
            parts: 0,
            stream,
            read_ms: head.created_ms - 5,
            form: None,
        };
        encode(&mut out, &head, 42 + i as u64, &new);
    }
    (out, raws)
}

fn walk(head: &Head, bytes: &[u8]) -> (Vec<Vec<u8>>, usize, bool) {
    let (mut at, mut found, mut damage) = (RECORDS_AT as usize, Vec::new(), 0);
    loop {
        match step(head, bytes, at) {
            Step::Record(r, next) => {
                found.push(r.raw.to_vec());
                at = next;
            }
            Step::Damage(next) => {
                damage += next - at;
                at = next;
            }
            Step::Torn => return (found, damage, true),
            Step::End => return (found, damage, false),
        }
    }
}

#[test]
fn a_head_with_numbers_that_cannot_be_is_none() {
    assert!(Head::decode(&head().encode()).is_some());
    let far = limits::SPOOL_NUMBER_MAX + 1;
    let back = -(far as i64);
    for bad in [
        Head { first_seq: far, ..head() },
        Head { first_seq: 0, ..head() },
        Head { stream: u64::MAX, ..head() },
        Head { created_ms: back, ..head() },
        Head { created_ms: i64::MIN, ..head() },
    ] {
        assert_eq!(Head::decode(&bad.encode()), None);
    }
    assert!(!head().reaches(42, 1000, i64::MIN) && head().reaches(42, 1000, head().created_ms));
}

#[test]
fn what_was_written_is_read() {
    let (bytes, raws) = segment();
    let head = Head::decode(&bytes).unwrap();
    assert_eq!(head, self::head());
    assert_eq!(walk(&head, &bytes), (raws, 0, false));
    let Step::Record(r, _) = step(&head, &bytes, RECORDS_AT as usize) else { panic!("no record") };
    assert_eq!((r.seq, r.stream, r.read_ms, r.id.of(r.raw)), (42, 1000, head.created_ms - 5, &b"1.0.0"[..]));
    assert!(!head.reaches(42 + 1000, 1000, 0) && head.reaches(43, 1000, head.created_ms));
}

#[test]
fn a_leaf_is_made_once_and_read_with_the_record() {
    let (bytes, raws) = segment_of(sealed());
    let head = Head::decode(&bytes).unwrap();
    assert_eq!(walk(&head, &bytes), (raws, 0, false));
    let Step::Record(r, _) = step(&head, &bytes, RECORDS_AT as usize) else { panic!("no record") };
    let stream = sealed().seal.unwrap();
    let form = seal::form(r.raw);
    assert_eq!(r.written_leaf(), Some((form, seal::leaf(stream.id, 1, form, r.raw))));
    assert_eq!((r.front, r.written_leaf()), (front(head.seal), head.leaf(42, r.kind, 0, r.raw)));
    // The head is lost: the records are not.
    assert_eq!(walk(&Head { seal: None, ..head.clone() }, &bytes).0.len(), 5);
    // One that is too slow for the database to wait is left to those who need it.
    let id = StreamId::new(1, [2; 9], Algorithm::Streebog256);
    let slow = Head { seal: Some(Stream { id, first: 42 }), ..head };
    let (bytes, _) = segment_of(slow.clone());
    let Step::Record(r, _) = step(&slow, &bytes, RECORDS_AT as usize) else { panic!("no record") };
    assert!(r.written_leaf().is_none() && r.front == HEADER_BYTES);
    assert!(slow.leaf(42, r.kind, 0, r.raw).is_some_and(|(_, hash)| hash == seal::leaf(id, 1, form, r.raw)));
}

#[test]
fn every_flipped_byte_costs_at_most_one_record() {
    for (bytes, raws) in [segment(), segment_of(sealed())] {
        one_record_at_most(&bytes, &raws);
    }
}

fn one_record_at_most(bytes: &[u8], raws: &[Vec<u8>]) {
    for at in 0..bytes.len() {
        let mut bad = bytes.to_vec();
        bad[at] ^= 1 << (at % 8);
        let head = Head::decode(&bad).expect("one copy of the head is whole");
        let (found, damage, torn) = walk(&head, &bad);
        if (at as u64) < RECORDS_AT {
            assert_eq!(found.len(), 5);
        } else {
            assert_eq!(found.len(), 4, "byte {at}");
            assert!(raws.iter().filter(|r| !found.contains(r)).count() == 1 && (damage > 0 || torn));
        }
    }
}

#[test]
fn every_truncation_keeps_the_whole_records() {
    let (bytes, raws) = segment();
    let head = head();
    for cut in RECORDS_AT as usize..bytes.len() {
        let (found, damage, _) = walk(&head, &bytes[..cut]);
        assert_eq!(damage, 0);
        assert!(raws.starts_with(&found));
    }
    assert!(Head::decode(&bytes[..HEAD_BYTES - 1]).is_none());
    let mut foreign = bytes.clone();
    foreign[7] = 3;
    foreign[HEAD_BYTES + 7] = 3;
    assert!(matches!(Front::of(&foreign), Front::Foreign) && Head::decode(&foreign).is_none());
    assert!(!matches!(Front::of(&bytes), Front::Foreign));
}

#[test]
fn random_bytes_are_no_records_and_no_panic() {
    let mut seed = 3u64;
    for _ in 0..200 {
        let bytes: Vec<u8> = (0..3000)
            .map(|_| {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                if seed >> 60 == 0 {
                    RECORD[(seed >> 50) as usize % 4]
                } else {
                    (seed >> 40) as u8
                }
            })
            .collect();
        assert!(walk(&head(), &bytes).0.is_empty());
    }
}
