//! ○ A block of a packed segment: whole records without what the one before them says already, deflated. Pure.
//!
//! A packed segment is its head (`record`, another version), twice, and then blocks without padding, in order:
//!
//! ```text
//! magic(4) check(4) from(4) plain(4) slim(4) packed(4) sum(8), then `packed` bytes of raw deflate
//! ```
//!
//! `from` is where in the plain segment the block's first record stands, `plain` how many bytes of it the block holds, `sum`
//! their XXH64, `check` the folded XXH64 of the header after it. The deflated bytes are `slim` long: of which stream of evidence
//! the records are (16) and the place there of the segment's first (8), so that a block is read without the head; the lengths of
//! the columns (4 bytes each), the columns, and then the records' raw bytes without ids and times, one after the other. A column
//! holds one field of all records: a number of the header as its distance from what the record before lets expect, or of an id
//! or time the part that differs from the one before. Magic, checksum and leaf of a record are made again.
//!
//! Refuses: to trust a length before its checksum; a block that is not, to the byte, what was packed.

use super::record::{half, kind_of, leaf_bytes, leaf_of, leaf_room, word, Head, HEADER_BYTES, RECORD};
use crate::audit::seal::StreamId;
use crate::hash::{fold, xxh64};
use crate::limits;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

const BLOCK: [u8; 4] = [0x9e, b'B', 0xe1, 0x02];
/// What stands before the deflated bytes of a block.
pub const BLOCK_HEADER: usize = 32;
/// Numbers of a record's header.
const NUMBERS: usize = 9;
/// One for each of these, and three for the id and the time each: how much of the one before it begins with, how much of that
/// it ends with, and what stands between.
const COLUMNS: usize = NUMBERS + 6;

/// What the header of a block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it stands in the plain segment.
    pub from: u64,
    /// How much of that it holds.
    pub plain: usize,
    slim: usize,
    /// How many bytes follow the header.
    pub packed: usize,
    sum: u64,
}

impl Block {
    /// The block that `bytes` begin with; none: there is none, or its header is damaged.
    pub fn of(bytes: &[u8]) -> Option<Block> {
        let h = bytes.get(..BLOCK_HEADER).filter(|h| h[..4] == BLOCK)?;
        let [from, plain, slim, packed] = [8, 12, 16, 20].map(|at| half(h, at));
        let sane = [plain, slim, packed].iter().all(|n| *n as usize <= limits::PACKED_BLOCK_BYTES.1);
        let block = Block {
            from: u64::from(from),
            plain: plain as usize,
            slim: slim as usize,
            packed: packed as usize,
            sum: word(h, 24),
        };
        (half(h, 4) == fold(xxh64(&h[8..], 0)) && sane && plain > 0).then_some(block)
    }

    /// Where in the plain segment the next one stands.
    pub fn to(&self) -> u64 {
        self.from + self.plain as u64
    }

    /// Its records, as they stood in the plain segment.
    pub fn unpack(&self, packed: &[u8]) -> Option<Vec<u8>> {
        let mut slim = vec![0; self.slim];
        let mut inflate = Decompress::new(false);
        let end = inflate.decompress(packed, &mut slim, FlushDecompress::Finish).ok()?;
        if end != Status::StreamEnd || inflate.total_out() != self.slim as u64 {
            return None;
        }
        fatten(&slim, self.plain).filter(|plain| xxh64(plain, 0) == self.sum)
    }
}

/// Where the next place that may be a block begins, from `from` on; the end of `bytes` when there is none.
pub fn next_candidate(bytes: &[u8], from: usize) -> usize {
    memchr::memmem::find(&bytes[from.min(bytes.len())..], &BLOCK).map_or(bytes.len(), |n| from + n)
}

/// Packs blocks: its tables are 300 KB, and are used again.
#[derive(Debug)]
pub struct Packer {
    deflate: Compress,
}

impl Default for Packer {
    fn default() -> Packer {
        // Level 1 leaves nearly twice as much of a log in which much differs, and this one is as fast as it has to be.
        Packer { deflate: Compress::new(Compression::new(4), false) }
    }
}

impl Packer {
    /// Appends the block of these whole records, which stand at `from` in the segment of this head. False: they pack too badly.
    pub fn pack(&mut self, plain: &[u8], from: u64, head: &Head, out: &mut Vec<u8>) -> bool {
        let Some(slim) = slim(plain, head) else { return false };
        let at = out.len();
        out.resize(at + BLOCK_HEADER, 0);
        out.reserve(slim.len() + 64);
        self.deflate.reset();
        let done = self.deflate.compress_vec(&slim, out, FlushCompress::Finish);
        let packed = out.len() - at - BLOCK_HEADER;
        if !matches!(done, Ok(Status::StreamEnd))
            || slim.len() > limits::PACKED_BLOCK_BYTES.1
            || packed > plain.len() / 2
        {
            return false;
        }
        let h = &mut out[at..at + BLOCK_HEADER];
        h[..4].copy_from_slice(&BLOCK);
        for (i, n) in [from as usize, plain.len(), slim.len(), packed].into_iter().enumerate() {
            h[8 + 4 * i..][..4].copy_from_slice(&(n as u32).to_le_bytes());
        }
        h[24..].copy_from_slice(&xxh64(plain, 0).to_le_bytes());
        let check = fold(xxh64(&h[8..], 0));
        h[4..8].copy_from_slice(&check.to_le_bytes());
        true
    }
}

/// What a record lets expect of the next one.
#[derive(Default)]
struct Before<'a> {
    numbers: [u32; NUMBERS],
    texts: [&'a [u8]; 2],
}

/// The numbers of a header, each as the distance from what the one before lets expect; and back.
fn distances(before: &[u32; NUMBERS], n: [u32; NUMBERS], back: bool) -> [u32; NUMBERS] {
    let mut to = n;
    // Length, number, place in the stream, when it was read, where id and time stand, how long these are, pieces.
    for i in [1, 2, 3, 6] {
        to[i] = if back { n[i].wrapping_add(before[i]) } else { n[i].wrapping_sub(before[i]) };
    }
    // A line and its end lie between two places in the stream; what stands behind the time has mostly one length.
    to[2] = if back { to[2].wrapping_add(n[0]) } else { to[2].wrapping_sub(n[0]) };
    to[5] = n[0].wrapping_sub(n[5]);
    to
}

/// The byte of the kind among the numbers of a header.
fn kind_byte(n: &[u32; NUMBERS]) -> u8 {
    (n[6] >> 24) as u8
}

/// Id and time in the raw bytes, in the order in which they stand; the time is none where they overlap.
fn cuts(n: &[u32; NUMBERS]) -> Option<[(usize, usize, usize); 2]> {
    let span = |from: u32, len: u32| (from as usize, from as usize + len as usize);
    let (id, mut time) = (span(n[4], n[6] & 0xffff), span(n[5], n[6] >> 16 & 0xff));
    if id.1 > time.0 && time.1 > id.0 {
        time = (id.1, id.1);
    }
    let ordered = if time.1 <= id.0 { [(1, time), (0, id)] } else { [(0, id), (1, time)] };
    let cuts = ordered.map(|(which, (from, to))| (which, from, to));
    (cuts[0].2 <= cuts[1].1 && cuts[1].2 <= n[0] as usize).then_some(cuts)
}

/// The records without what can be told from those before them; none: they are not whole records, or their leaves cannot be
/// made again.
fn slim(plain: &[u8], head: &Head) -> Option<Vec<u8>> {
    let mut columns: [Vec<u8>; COLUMNS] = Default::default();
    let mut text = Vec::with_capacity(plain.len());
    let (mut before, mut at) = (Before::default(), 0);
    while let Some(h) = plain.get(at..at + HEADER_BYTES) {
        let numbers: [u32; NUMBERS] = std::array::from_fn(|i| half(h, 8 + 4 * i));
        let begin = at + HEADER_BYTES + leaf_room(kind_byte(&numbers));
        let raw = plain.get(begin..begin + numbers[0] as usize)?;
        if begin > at + HEADER_BYTES && head.seal.is_none() {
            return None;
        }
        for (column, n) in columns.iter_mut().zip(distances(&before.numbers, numbers, false)) {
            put(column, n);
        }
        let mut end = 0;
        for (which, from, to) in cuts(&numbers).unwrap_or_default() {
            text.extend_from_slice(&raw[end..from]);
            let (old, new) = (before.texts[which], &raw[from..to]);
            let (front, back) = shared(old, new);
            let of = &mut columns[NUMBERS + 3 * which..][..3];
            of[0].push(front as u8);
            of[1].push(back as u8);
            of[2].extend_from_slice(&new[front..new.len() - back]);
            (before.texts[which], end) = (new, to);
        }
        text.extend_from_slice(&raw[end..]);
        before.numbers = numbers;
        at = begin + raw.len();
    }
    let mut out = Vec::with_capacity(plain.len());
    let (stream, first) =
        head.seal.map_or(([0; 16], 0), |s| (s.id.0, head.first_seq.wrapping_sub(s.first).wrapping_add(1)));
    out.extend_from_slice(&stream);
    out.extend_from_slice(&first.to_le_bytes());
    columns.iter().for_each(|c| out.extend_from_slice(&(c.len() as u32).to_le_bytes()));
    columns.iter().for_each(|c| out.extend_from_slice(c));
    out.extend_from_slice(&text);
    (at == plain.len()).then_some(out)
}

/// How much of a text the next one begins and ends with.
fn shared(old: &[u8], new: &[u8]) -> (usize, usize) {
    let most = old.len().min(new.len()).min(255);
    let front = old.iter().zip(new).take(most).take_while(|(a, b)| a == b).count();
    let back = old.iter().rev().zip(new.iter().rev()).take(most - front).take_while(|(a, b)| a == b).count();
    (front, back)
}

/// A number in as few bytes as it needs; small ones below zero are small as well.
fn put(column: &mut Vec<u8>, n: u32) {
    let mut n = n << 1 ^ (n as i32 >> 31) as u32;
    while n > 0x7f {
        column.push(n as u8 | 0x80);
        n >>= 7;
    }
    column.push(n as u8);
}

/// What is left of a column.
#[derive(Clone, Copy, Default)]
struct Column<'a>(&'a [u8]);

impl<'a> Column<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<usize> {
        self.take(1).map(|b| usize::from(b[0]))
    }

    fn number(&mut self) -> Option<u32> {
        let mut n = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()? as u32;
            n |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(n >> 1 ^ (n & 1).wrapping_neg());
            }
        }
        None
    }
}

/// The records again, `plain` bytes of them.
fn fatten(slim: &[u8], plain: usize) -> Option<Vec<u8>> {
    let (mut rest, mut columns) = (Column(slim), [Column::default(); COLUMNS]);
    let stream = StreamId(*rest.take(16)?.first_chunk()?);
    let first = word(rest.take(8)?, 0);
    let lengths = rest.take(4 * COLUMNS)?;
    for (i, column) in columns.iter_mut().enumerate() {
        column.0 = rest.take(half(lengths, 4 * i) as usize)?;
    }
    let mut out: Vec<u8> = Vec::with_capacity(plain);
    let (mut before, mut texts) = ([0; NUMBERS], [(0, 0); 2]);
    while out.len() < plain {
        let mut numbers = [0; NUMBERS];
        for (n, column) in numbers.iter_mut().zip(&mut columns) {
            *n = column.number()?;
        }
        let numbers = distances(&before, numbers, true);
        let (at, len, leaf) = (out.len(), numbers[0] as usize, leaf_room(kind_byte(&numbers)));
        if len > plain - at {
            return None;
        }
        out.extend_from_slice(&RECORD);
        out.extend_from_slice(&[0; 4]);
        numbers.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        out.resize(out.len() + leaf, 0);
        let begin = out.len();
        for (which, from, to) in cuts(&numbers).unwrap_or_default() {
            out.extend_from_slice(rest.take((begin + from).checked_sub(out.len())?)?);
            let of = &mut columns[NUMBERS + 3 * which..][..3];
            let (front, back) = (of[0].byte()?, of[1].byte()?);
            let middle = of[2].take((to - from).checked_sub(front + back)?)?;
            let (old, old_to): (usize, usize) = texts[which];
            if front.max(back) > old_to - old {
                return None;
            }
            texts[which] = (out.len(), out.len() + to - from);
            out.extend_from_within(old..old + front);
            out.extend_from_slice(middle);
            out.extend_from_within(old_to - back..old_to);
        }
        out.extend_from_slice(rest.take((begin + len).checked_sub(out.len())?)?);
        if leaf > 0 {
            let (seq, kind) = (first.wrapping_add(numbers[1].into()), kind_of(kind_byte(&numbers))?);
            let leaf = leaf_bytes(leaf_of(stream, seq, kind, numbers[7], &out[begin..]));
            out[begin - leaf.len()..begin].copy_from_slice(&leaf);
        }
        let check = fold(xxh64(&out[at + 8..begin], xxh64(&out[begin..], 0)));
        out[at + 4..at + 8].copy_from_slice(&check.to_le_bytes());
        before = numbers;
    }
    (out.len() == plain).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::super::record::{encode, New};
    use super::*;
    use crate::audit::record::{read, Kind};
    use crate::audit::seal::{Algorithm, Stream};

    /// Of a segment that evidence does not count, of one whose records carry leaves, and of one that they are too slow for.
    fn heads() -> [Head; 3] {
        [None, Some(Algorithm::Sha256), Some(Algorithm::Streebog256)].map(|algorithm| {
            let seal = algorithm.map(|a| Stream { id: StreamId::new(1, [2; 9], a), first: 9 });
            Head { first_seq: 7, created_ms: 1000, seal, ..Head::default() }
        })
    }

    /// Records like those of the database, pieces without ids, mere bytes, and what has its time before its id.
    fn plain(head: &Head, count: u64) -> Vec<u8> {
        let (mut out, mut stream) = (Vec::new(), 0);
        for i in 0..count {
            let raw = match i % 7 {
                3 => format!(r#"{{"time":"2026-11-21T01:27:28.{:03}+0000","id":"1.0.{i}","t":"late"}}"#, i % 1000),
                4 => "\u{9e}R\u{1}".repeat(i as usize % 40),
                5 => String::new(),
                _ => format!(
                    r#"{{"id":"1.0.{}","initiator":"u{}","severity":"low","time":"2026-11-21T01:27:{:02}.{:03}+0000","title":"t"}}"#,
                    95 + i * i,
                    i % 5,
                    i / 10,
                    i * 7 % 1000
                ),
            };
            let raw = raw.as_bytes();
            stream += raw.len() as u64 + 1 + i % 3;
            let f = read(raw, false);
            let (part, parts) = if i % 50 == 9 { (i as u32, 400) } else { (0, 0) };
            let kind = if raw.is_empty() { Kind::Unparsed } else { f.kind };
            let new = New {
                kind,
                raw,
                id: f.id,
                time: f.time,
                part,
                parts,
                stream,
                read_ms: 900 + (i * i % 300) as i64,
                form: None,
            };
            encode(&mut out, head, 7 + i, &new);
        }
        out
    }

    fn packed(head: &Head, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(Packer::default().pack(plain, 2048, head, &mut out));
        out
    }

    #[test]
    fn what_was_packed_is_unpacked_to_the_byte() {
        let mut lengths = Vec::new();
        for head in &heads() {
            let plain = plain(head, 300);
            let block = packed(head, &plain);
            let found = Block::of(&block).unwrap();
            assert_eq!((found.from, found.plain, found.packed), (2048, plain.len(), block.len() - BLOCK_HEADER));
            assert!(found.unpack(&block[BLOCK_HEADER..]).is_some_and(|back| back == plain));
            assert!(block.len() * 4 < plain.len(), "{} of {}", block.len(), plain.len());
            // Two blocks by one packer are as by two.
            let (mut packer, mut twice) = (Packer::default(), Vec::new());
            assert!(packer.pack(&plain, 2048, head, &mut twice) && packer.pack(&plain, 2048, head, &mut twice));
            assert_eq!(twice, packed(head, &plain).repeat(2));
            // Noise is not worth it.
            let noise: Vec<u8> = (0..90_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            assert!(!packer.pack(&noise, 2048, head, &mut twice));
            lengths.push(block.len());
        }
        // Leaves are not kept: they would not pack.
        assert!(lengths[1].abs_diff(lengths[0]) < 16, "{lengths:?}");
    }

    #[test]
    fn leaves_that_cannot_be_made_again_are_not_left_out() {
        let [without, head, _] = heads();
        let plain = plain(&head, 60);
        assert!(!Packer::default().pack(&plain, 2048, &without, &mut Vec::new()));
    }

    #[test]
    fn no_damaged_byte_is_taken_for_whole() {
        let head = &heads()[1];
        let plain = plain(head, 60);
        let packed = packed(head, &plain);
        for at in 0..packed.len() {
            let mut bad = packed.clone();
            bad[at] ^= 1 << (at % 8);
            let read = |bytes: &[u8]| {
                Block::of(bytes).and_then(|b| b.unpack(bytes.get(BLOCK_HEADER..BLOCK_HEADER + b.packed)?))
            };
            // What follows the end of the deflated bytes does not count.
            assert!(read(&bad).is_none_or(|found| found == plain), "byte {at}");
            assert_eq!(read(&packed[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn columns_of_any_bytes_are_refused_without_a_panic() {
        let head = &heads()[1];
        let plain = plain(head, 40);
        let (slim, len) = (slim(&plain, head).unwrap(), plain.len());
        for at in 0..slim.len() {
            for by in [1, 0x80, 0xff] {
                let mut bad = slim.clone();
                bad[at] ^= by;
                let _ = fatten(&bad, len);
            }
            let _ = fatten(&slim[..at], len);
        }
    }
}
