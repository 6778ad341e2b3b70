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
//!       parts(4), then the leaf where `kind` has its highest bit: form(1) hash(32); then the raw bytes
//! ```
//!
//! The head of a packed segment (`pack` says what stands behind it) has another version, and in its last bytes before the
//! sum: plain(8), how long the segment is when it is not packed, and next(8), the number after its last record.
//!
//! `seq`, `stream` and `read_ms` count from the segment's own; `check` is the folded XXH64 of what stands between it and the
//! raw bytes, seeded with the XXH64 of these, which is also the hash in the document id. The leaf (`seal`) is made once, when
//! the record is written: the sealer and every sender need it. The version is the last byte of the magic.
//!
//! Refuses: to trust a length before the checksum, to skip a whole record.

use crate::audit::record::{body_of, is_evidence, EventId, Kind};
use crate::audit::seal::{self, Form, Hash, Stream, StreamId};
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
/// What a record begins with: numbers, most of them relative to the head's.
pub const HEADER_BYTES: usize = 44;
/// What a leaf takes between header and raw bytes.
pub const LEAF_BYTES: usize = 33;
/// In the byte of the kind: a leaf follows the header.
const HAS_LEAF: u8 = 0x80;

/// Where events come from: part of their document ids, fixed when they are spooled.
#[derive(Clone, Debug, Default, Eq)]
pub struct Identity {
    /// `--cluster`.
    pub cluster: String,
    /// `--instance`.
    pub instance: String,
    /// The host name.
    pub node: String,
}

/// Two are compared for every event: eight bytes at a time, for the C library would be called for each name, and that of static
/// programs goes byte by byte.
impl PartialEq for Identity {
    #[inline]
    fn eq(&self, other: &Identity) -> bool {
        fn same(a: &str, b: &str) -> bool {
            let (a, b) = (a.as_bytes().chunks_exact(8), b.as_bytes().chunks_exact(8));
            let bytes = |(a, b): (&[u8], &[u8])| a.iter().zip(b).all(|(a, b)| a == b);
            bytes((a.remainder(), b.remainder())) && a.zip(b).all(|(a, b)| word(a, 0) == word(b, 0))
        }
        let all = [(&self.cluster, &other.cluster), (&self.instance, &other.instance), (&self.node, &other.node)];
        all.into_iter().all(|(a, b)| a.len() == b.len() && same(a, b))
    }
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

    /// It was damaged: this stands for it, and says what is known without it.
    pub fn is_lost(&self) -> bool {
        self.created_ms == 0 && self.epoch == 0
    }

    /// The leaf of a record of this segment; none: it is of no stream.
    pub fn leaf(&self, seq: u64, kind: Kind, part: u32, raw: &[u8]) -> Option<(Form, Hash)> {
        let stream = self.seal?;
        Some(leaf_of(stream.id, stream.seq(seq)?, kind, part, raw))
    }
}

/// The leaf of a record at this place of a stream.
pub(super) fn leaf_of(id: StreamId, seq: u64, kind: Kind, part: u32, raw: &[u8]) -> (Form, Hash) {
    let body = body_of(kind, part, raw);
    let form = seal::form(body);
    (form, seal::leaf(id, seq, form, body))
}

/// What stands before the raw bytes of a record that is written where evidence counts in `stream`. A leaf that is slow to make
/// is left to those who need it: here the database would wait for it.
pub fn front(stream: Option<Stream>) -> usize {
    HEADER_BYTES + if stream.is_some_and(|s| s.id.algorithm().is_quick()) { LEAF_BYTES } else { 0 }
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
    /// The form of its leaf, where somebody has looked at it already.
    pub form: Option<Form>,
}

impl New<'_> {
    fn leaf(&self, head: &Head, seq: u64) -> Option<(Form, Hash)> {
        // What has a form that is known has no frame.
        let Some(form) = self.form else { return head.leaf(seq, self.kind, self.part, self.raw) };
        let stream = head.seal?;
        Some((form, seal::leaf(stream.id, stream.seq(seq)?, form, self.raw)))
    }
}

/// Writes a record behind what `out` holds; the caller has asked `reaches`.
pub fn encode(out: &mut Vec<u8>, head: &Head, seq: u64, new: &New<'_>) {
    let mut h = [0; HEADER_BYTES + LEAF_BYTES];
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
    let mut front = HEADER_BYTES;
    if self::front(head.seal) > front {
        if let Some(leaf) = new.leaf(head, seq) {
            h[35] |= HAS_LEAF;
            put(&mut h, front, leaf_bytes(leaf));
            front += LEAF_BYTES;
        }
    }
    let check = fold(xxh64(&h[8..front], xxh64(new.raw, 0)));
    put(&mut h, 4, check.to_le_bytes());
    out.extend_from_slice(&h[..front]);
    out.extend_from_slice(new.raw);
}

/// A leaf as it stands in a record.
pub(super) fn leaf_bytes((form, hash): (Form, Hash)) -> [u8; LEAF_BYTES] {
    let mut bytes = [form.byte(); LEAF_BYTES];
    bytes[1..].copy_from_slice(&hash);
    bytes
}

/// How much of a leaf stands behind a header with this byte of the kind.
pub(super) fn leaf_room(kind: u8) -> usize {
    if kind & HAS_LEAF == 0 {
        0
    } else {
        LEAF_BYTES
    }
}

/// The kind that its byte says.
pub(super) fn kind_of(byte: u8) -> Option<Kind> {
    Kind::of(byte & !HAS_LEAF)
}

// In line, so that it is one instruction: a call for each number costs more than the checksum.
#[inline(always)]
fn put<const N: usize>(h: &mut [u8; HEADER_BYTES + LEAF_BYTES], at: usize, bytes: [u8; N]) {
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
    /// How many bytes stand before its own: the header, and the leaf where there is one.
    pub front: usize,
    /// How many those are.
    pub len: usize,
}

impl Meta {
    /// What the record takes in the segment.
    pub fn bytes(&self) -> usize {
        self.front + self.len
    }

    /// The record that begins where `bytes` begin, which `check` has seen.
    #[inline(always)]
    pub fn with(self, bytes: &[u8]) -> Stored<'_> {
        let (front, raw) = bytes[..self.bytes()].split_at(self.front);
        Stored { meta: self, raw, leaf: front[HEADER_BYTES..].first_chunk() }
    }
}

/// A record that was read and checked.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// What its header says.
    pub meta: Meta,
    /// Its bytes.
    pub raw: &'a [u8],
    /// The leaf that was made when it was written.
    leaf: Option<&'a [u8; LEAF_BYTES]>,
}

impl Stored<'_> {
    /// The leaf that was made when it was written.
    #[inline]
    pub fn written_leaf(&self) -> Option<(Form, Hash)> {
        self.leaf.and_then(|leaf| Some((Form::of(leaf[0])?, *leaf[1..].first_chunk()?)))
    }

    /// The same, and its leaf is to be made anew.
    pub fn without_leaf(self) -> Self {
        Stored { leaf: None, ..self }
    }

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
    let h = &bytes[..HEADER_BYTES];
    let len = half(h, 8) as usize;
    if h[..4] != RECORD || len as u64 > limits::EVENT_MAX_BYTES.1 {
        return Err(Fault::Bad);
    }
    let front = HEADER_BYTES + leaf_room(h[35]);
    let Some(raw) = bytes.get(front..front + len) else { return Err(Fault::Short(front + len)) };
    let hash = xxh64(raw, 0);
    if half(h, 4) != fold(xxh64(&bytes[8..front], hash)) {
        return Err(Fault::Bad);
    }
    let span = |from: u32, len: usize| Span { from: from as usize, to: from as usize + len };
    let id = span(half(h, 24), usize::from(u16::from_le_bytes([h[32], h[33]])));
    let time = span(half(h, 28), usize::from(h[34]));
    let kind = kind_of(h[35]).filter(|_| id.to <= len && time.to <= len).ok_or(Fault::Bad)?;
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
        front,
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
mod tests;
