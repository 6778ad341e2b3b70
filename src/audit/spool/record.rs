//! ○ The bytes of a segment: its head, its records, and finding the next whole one after damage. Pure.
//!
//! All numbers are little-endian. A segment:
//!
//! ```text
//! 0     head, 1024 bytes: magic(8) first_seq(8) epoch(8) stream(8) created_ms(8) identity: cluster, instance, node
//!       (each a length of two bytes and the text); the last eight bytes are the XXH64 of all before
//!       from 976 on: stream(24), in which evidence counts the records (`seal`); zeros where it does not
//! 1024  the head again: one flipped byte does not cost what it says
//! 2048  records, without padding:
//!       magic(4) check(4) length(4) seq(4) stream(4) read_ms(4) id_at(4) time_at(4) id_len(2) time_len(1) kind(1) part(4)
//!       parts(4), then the raw bytes
//! ```
//!
//! The head of a packed segment (`pack` says what stands behind it) has another version, and in its last bytes before the
//! sum: plain(8), how long the segment is when it is not packed, and next(8), the number after its last record.
//!
//! `seq`, `stream` and `read_ms` count from the segment's own; `check` is the folded XXH64 of the header after it, seeded
//! with the XXH64 of the raw bytes, which is also the hash in the document id. The version is the last byte of the magic.
//!
//! Refuses: to trust a length before the checksum, to skip a whole record.

use crate::audit::record::{is_evidence, EventId, Kind};
use crate::audit::seal::Stream;
use crate::hash::{fold, xxh64};
use crate::json::Span;
use crate::limits;

const MAGIC: [u8; 8] = *b"GOSTSEG\x01";
/// A program that does not know packed segments refuses this version, and passes nothing over.
const PACKED: [u8; 8] = *b"GOSTSEG\x02";
/// What a record begins with.
pub const RECORD: [u8; 4] = [0x9e, b'R', 0xe1, 0x01];
/// One copy of the head.
pub const HEAD_BYTES: usize = 1024;
/// Where in a head the stream stands: all names are as long as they can be before it.
const SEAL_AT: usize = HEAD_BYTES - 24 - Stream::BYTES;
const _: () = assert!(40 + 3 * (2 + 2 * limits::NAME_BYTES) + 25 <= SEAL_AT);
/// Where records begin.
pub const RECORDS_AT: u64 = 2 * HEAD_BYTES as u64;
/// What stands before the raw bytes of a record.
pub const HEADER_BYTES: usize = 44;

/// Where events come from: part of their document ids, fixed when they are spooled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `--cluster`.
    pub cluster: String,
    /// `--instance`.
    pub instance: String,
    /// The host name.
    pub node: String,
}

/// The head of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The number of its first record.
    pub first_seq: u64,
    /// Which ring its stream positions are of.
    pub epoch: u64,
    /// Where in that stream it begins.
    pub stream: u64,
    /// When it was made, milliseconds since the epoch.
    pub created_ms: i64,
    /// Where its events come from.
    pub identity: Identity,
    /// The event that was read last before it, where that is known: what is missing at its beginning is seen by this, also
    /// when the segments before it are gone.
    pub last: Option<EventId>,
    /// What is said of the plain segment where this one is packed.
    pub packed: Option<Packed>,
    /// In which stream evidence counts its records.
    pub seal: Option<Stream>,
}

/// What a packed segment says of the plain one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// How long that is.
    pub plain: u64,
    /// The number after its last record.
    pub next: u64,
}

impl Head {
    /// Both copies.
    pub fn encode(&self) -> Vec<u8> {
        let mut one = Vec::with_capacity(2 * HEAD_BYTES);
        one.extend_from_slice(self.packed.map_or(&MAGIC, |_| &PACKED));
        for n in [self.first_seq, self.epoch, self.stream, self.created_ms as u64] {
            one.extend_from_slice(&n.to_le_bytes());
        }
        for text in [&self.identity.cluster, &self.identity.instance, &self.identity.node] {
            let text = &text.as_bytes()[..text.len().min(2 * limits::NAME_BYTES)];
            one.extend_from_slice(&(text.len() as u16).to_le_bytes());
            one.extend_from_slice(text);
        }
        if let Some(last) = self.last {
            one.push(1);
            [last.raft_id, last.gen, last.count].iter().for_each(|n| one.extend_from_slice(&n.to_le_bytes()));
        }
        one.resize(SEAL_AT, 0);
        one.extend_from_slice(&self.seal.map_or([0; Stream::BYTES], |s| s.encode()));
        let Packed { plain, next } = self.packed.unwrap_or_default();
        [plain, next].iter().for_each(|n| one.extend_from_slice(&n.to_le_bytes()));
        let sum = xxh64(&one, 0);
        one.extend_from_slice(&sum.to_le_bytes());
        one.extend_from_within(..);
        one
    }

    /// From the first bytes of a segment: either copy will do.
    pub fn decode(bytes: &[u8]) -> Option<Head> {
        bytes.chunks_exact(HEAD_BYTES).take(2).find_map(Head::decode_copy)
    }

    fn decode_copy(copy: &[u8]) -> Option<Head> {
        let (body, sum) = copy.split_at(HEAD_BYTES - 8);
        let is_packed = body[..8] == PACKED;
        if xxh64(body, 0) != word(sum, 0) || body[..8] != MAGIC && !is_packed {
            return None;
        }
        let mut at = 40;
        let mut text = || {
            let len = usize::from(u16::from_le_bytes([*body.get(at)?, *body.get(at + 1)?]));
            let bytes = body.get(at + 2..at + 2 + len)?;
            at += 2 + len;
            String::from_utf8(bytes.to_vec()).ok()
        };
        let identity = Identity { cluster: text()?, instance: text()?, node: text()? };
        let last = body.get(at..at + 25).filter(|b| b[0] == 1);
        let last = last.map(|b| EventId { raft_id: word(b, 1), gen: word(b, 9), count: word(b, 17) });
        let (first_seq, stream, created_ms) = (word(body, 8), word(body, 24), word(body, 32) as i64);
        let packed =
            is_packed.then(|| Packed { plain: word(body, HEAD_BYTES - 24), next: word(body, HEAD_BYTES - 16) });
        if packed.is_some_and(|p| !p.is_sane(first_seq)) {
            return None;
        }
        // The numbers of its records are counted from these, and the first record there can be is 1.
        let sane = [first_seq, stream, created_ms.unsigned_abs()].iter().all(|n| *n <= limits::SPOOL_NUMBER_MAX);
        (sane && first_seq > 0).then_some(Head {
            first_seq,
            epoch: word(body, 16),
            stream,
            created_ms,
            identity,
            last,
            packed,
            seal: body[SEAL_AT..].first_chunk().and_then(Stream::decode),
        })
    }

    /// The same of the plain segment.
    pub fn plain(&self) -> Head {
        Head { packed: None, ..self.clone() }
    }

    /// Whether a record can be counted from this head: its distances must fit the header's fields.
    pub fn reaches(&self, seq: u64, stream: u64, read_ms: i64) -> bool {
        let near = |a: u64, b: u64| a.checked_sub(b).is_some_and(|d| d < 1 << 31);
        near(seq, self.first_seq) && near(stream, self.stream) && read_ms.abs_diff(self.created_ms) < 1 << 30
    }
}

impl Packed {
    fn is_sane(&self, first_seq: u64) -> bool {
        (RECORDS_AT..=limits::PACKED_PLAIN_BYTES).contains(&self.plain)
            && (first_seq..=limits::SPOOL_NUMBER_MAX).contains(&self.next)
    }
}

/// What stands where a segment's file should have its head.
#[derive(Debug)]
pub enum Front {
    /// A head; whether both copies of it are whole.
    Whole(Head, bool),
    /// One of a version that is not ours.
    Foreign,
    /// The file ends before there can be a record.
    Short,
    /// Neither copy is whole; the records behind them may be.
    Damaged,
}

impl Front {
    /// Of a file that begins with these bytes.
    pub fn of(bytes: &[u8]) -> Front {
        let foreign = |c: &[u8]| c.starts_with(&MAGIC[..7]) && ![MAGIC[7], PACKED[7]].contains(&c[7]);
        let is_whole = |c: &[u8]| Head::decode(c).is_some();
        match Head::decode(bytes) {
            Some(head) => {
                Front::Whole(head, bytes.chunks_exact(HEAD_BYTES).take(2).filter(|c| is_whole(c)).count() == 2)
            }
            None if bytes.len() >= HEAD_BYTES + 8 && foreign(bytes) && foreign(&bytes[HEAD_BYTES..]) => Front::Foreign,
            None if bytes.len() < RECORDS_AT as usize => Front::Short,
            None => Front::Damaged,
        }
    }
}

pub(super) fn word(bytes: &[u8], at: usize) -> u64 {
    let mut w = [0; 8];
    w.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(w)
}

pub(super) fn half(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// A record to be written.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its bytes.
    pub raw: &'a [u8],
    /// Where the event id stands in them.
    pub id: Span,
    /// Where the time stands in them.
    pub time: Span,
    /// Which piece of an oversize line.
    pub part: u32,
    /// Of how many.
    pub parts: u32,
    /// Where in the input stream it ends.
    pub stream: u64,
    /// When it was read.
    pub read_ms: i64,
}

/// Writes a record behind what `out` holds; the caller has asked `reaches`.
pub fn encode(out: &mut Vec<u8>, head: &Head, seq: u64, new: &New<'_>) {
    let mut h = [0; HEADER_BYTES];
    put(&mut h, 0, RECORD);
    let halves = [
        new.raw.len() as u32,
        (seq - head.first_seq) as u32,
        new.stream.saturating_sub(head.stream) as u32,
        (new.read_ms - head.created_ms) as u32,
        new.id.from as u32,
        new.time.from as u32,
    ];
    for (i, n) in halves.into_iter().enumerate() {
        put(&mut h, 8 + 4 * i, n.to_le_bytes());
    }
    put(&mut h, 32, ((new.id.to - new.id.from) as u16).to_le_bytes());
    (h[34], h[35]) = ((new.time.to - new.time.from) as u8, new.kind as u8);
    put(&mut h, 36, new.part.to_le_bytes());
    put(&mut h, 40, new.parts.to_le_bytes());
    let check = fold(xxh64(&h[8..], xxh64(new.raw, 0)));
    put(&mut h, 4, check.to_le_bytes());
    out.extend_from_slice(&h);
    out.extend_from_slice(new.raw);
}

// In line, so that it is one instruction: a call for each number costs more than the checksum.
#[inline(always)]
fn put<const N: usize>(h: &mut [u8; HEADER_BYTES], at: usize, bytes: [u8; N]) {
    if let Some(to) = h[at..].first_chunk_mut() {
        *to = bytes;
    }
}

/// What stands in the header of a record, without its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// Its number in the spool.
    pub seq: u64,
    /// Where in the input stream it ends.
    pub stream: u64,
    /// When it was read.
    pub read_ms: i64,
    /// The hash of its bytes.
    pub hash: u64,
    /// What it is.
    pub kind: Kind,
    /// Where the event id stands.
    pub id: Span,
    /// Where the time stands.
    pub time: Span,
    /// Which piece of an oversize line.
    pub part: u32,
    /// Of how many.
    pub parts: u32,
    /// How many bytes follow the header.
    pub len: usize,
}

impl Meta {
    /// What the record takes in the segment.
    pub fn bytes(&self) -> usize {
        HEADER_BYTES + self.len
    }

    /// The record that begins where `bytes` begin, which `check` has seen.
    pub fn with(self, bytes: &[u8]) -> Stored<'_> {
        Stored { meta: self, raw: &bytes[HEADER_BYTES..HEADER_BYTES + self.len] }
    }
}

/// A record that was read and checked.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// What its header says.
    pub meta: Meta,
    /// Its bytes.
    pub raw: &'a [u8],
}

impl Stored<'_> {
    /// Its id as the database counts, where it has one.
    pub fn number(&self) -> Option<EventId> {
        EventId::parse(self.id.of(self.raw))
    }

    /// Whether it is evidence itself: a list of leaves or a checkpoint.
    pub fn is_evidence(&self) -> bool {
        is_evidence(self.kind, self.id.of(self.raw))
    }

    /// The same as mere bytes, for those who may not look into it; an event of our own stays what it is.
    pub fn bare(self) -> Self {
        let kind = if self.meta.kind == Kind::Own { Kind::Own } else { Kind::Unparsed };
        Stored { meta: Meta { kind, ..self.meta }, ..self }
    }
}

impl std::ops::Deref for Stored<'_> {
    type Target = Meta;
    fn deref(&self) -> &Meta {
        &self.meta
    }
}

/// Why there is no record at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// So many bytes from there on are needed to tell.
    Short(usize),
    /// What stands there is no whole record.
    Bad,
}

/// Reads the record that `bytes` begin with.
pub fn decode<'a>(head: &Head, bytes: &'a [u8]) -> Result<Stored<'a>, Fault> {
    check(head, bytes).map(|meta| meta.with(bytes))
}

/// The same without keeping hold of the bytes.
pub fn check(head: &Head, bytes: &[u8]) -> Result<Meta, Fault> {
    if bytes.len() < HEADER_BYTES {
        return if RECORD.starts_with(&bytes[..bytes.len().min(4)]) || bytes.starts_with(&RECORD) {
            Err(Fault::Short(HEADER_BYTES))
        } else {
            Err(Fault::Bad)
        };
    }
    let (h, rest) = bytes.split_at(HEADER_BYTES);
    let len = half(h, 8) as usize;
    if h[..4] != RECORD || len as u64 > limits::EVENT_MAX_BYTES.1 {
        return Err(Fault::Bad);
    }
    let Some(raw) = rest.get(..len) else { return Err(Fault::Short(HEADER_BYTES + len)) };
    let hash = xxh64(raw, 0);
    if half(h, 4) != fold(xxh64(&h[8..], hash)) {
        return Err(Fault::Bad);
    }
    let span = |from: u32, len: usize| Span { from: from as usize, to: from as usize + len };
    let id = span(half(h, 24), usize::from(u16::from_le_bytes([h[32], h[33]])));
    let time = span(half(h, 28), usize::from(h[34]));
    let kind = Kind::of(h[35]).filter(|_| id.to <= len && time.to <= len).ok_or(Fault::Bad)?;
    Ok(Meta {
        seq: head.first_seq + u64::from(half(h, 12)),
        stream: head.stream + u64::from(half(h, 16)),
        read_ms: head.created_ms + i64::from(half(h, 20) as i32),
        hash,
        kind,
        id,
        time,
        part: half(h, 36),
        parts: half(h, 40),
        len,
    })
}

/// Where the next place that may be a record begins, from `from` on; the end of `bytes` less three when there is none
/// (a magic may begin in the last three bytes).
pub fn next_candidate(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < bytes.len() {
        match memchr::memchr(RECORD[0], &bytes[at..]) {
            None => return bytes.len(),
            Some(n) => at += n,
        }
        let here = &bytes[at..bytes.len().min(at + 4)];
        if RECORD.starts_with(here) {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn segment() -> (Vec<u8>, Vec<Vec<u8>>) {
        let head = head();
        let mut out = head.encode();
        let raws: Vec<Vec<u8>> =
            (0..5).map(|i| format!("{{\"id\":\"1.0.{i}\",\"n\":\"\u{9e}R\"}}").into_bytes()).collect();
        for (i, raw) in raws.iter().enumerate() {
            let stream = 1000 + 10 * i as u64;
            let (id, time) = (Span { from: 7, to: 12 }, Span::default());
            let new =
                New { kind: Kind::Object, raw, id, time, part: 0, parts: 0, stream, read_ms: head.created_ms - 5 };
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
    fn every_flipped_byte_costs_at_most_one_record() {
        let (bytes, raws) = segment();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
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
}
