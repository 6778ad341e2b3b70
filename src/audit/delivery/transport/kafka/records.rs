//! ○ Kafka's record batches (version 2): events with their ids to the bytes that a log keeps.
//!
//! ```text
//! offset(8) length(4) leader epoch(4) magic(1) crc32c(4) attributes(2) last offset(4) first time(8) last time(8)
//! producer(8) epoch(2) sequence(4) count(4), then each record: length, attributes, time, offset, key, value, headers
//! ```
//!
//! The checksum begins behind itself; numbers of a record are varints. Refuses: to know what an event is.

use super::crc32c::crc32c;
use crate::net::gzip::Gzip;

/// Who sends, so that a repeat is told from a new batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Producer {
    /// Its number.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its document id: the key, and a header.
    pub id: &'a [u8],
    /// Its bytes.
    pub value: &'a [u8],
}

/// The name of the header with the document id.
pub const ID_HEADER: &[u8] = b"id";

/// Writes batches, and keeps its memory from one to the next.
#[derive(Default)]
pub struct Packer {
    gzip: Option<Gzip>,
    plain: Vec<u8>,
    packed: Vec<u8>,
    record: Vec<u8>,
}

impl Packer {
    /// With or without gzip.
    pub fn new(gzip: bool) -> Packer {
        Packer { gzip: gzip.then(Gzip::fast), ..Packer::default() }
    }

    /// Gives its memory back.
    pub fn rest(&mut self) {
        *self = Packer::new(self.gzip.is_some());
    }

    /// One batch: all of it was sent at `now_ms`; `sequence` is the number of its first record.
    pub fn pack<'a>(
        &mut self,
        records: impl Iterator<Item = Record<'a>>,
        producer: Producer,
        sequence: i32,
        now_ms: i64,
    ) -> Vec<u8> {
        self.plain.clear();
        let mut count = 0i32;
        for r in records {
            self.push(&r, count);
            count += 1;
        }
        let packed = self.gzip.is_some();
        if let Some(gzip) = &mut self.gzip {
            gzip.pack(&self.plain, &mut self.packed);
        }
        let body = if packed { &self.packed } else { &self.plain };
        let mut out = Vec::with_capacity(body.len() + 61);
        out.extend_from_slice(&0i64.to_be_bytes());
        out.extend_from_slice(&((body.len() + 49) as i32).to_be_bytes());
        out.extend_from_slice(&(-1i32).to_be_bytes());
        out.push(2);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&i16::from(packed).to_be_bytes());
        out.extend_from_slice(&(count - 1).to_be_bytes());
        out.extend_from_slice(&now_ms.to_be_bytes());
        out.extend_from_slice(&now_ms.to_be_bytes());
        out.extend_from_slice(&numbers(producer, sequence));
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(body);
        sum(&mut out);
        out
    }

    fn push(&mut self, r: &Record<'_>, offset: i32) {
        self.record.clear();
        // No attributes, and the time of the batch.
        self.record.extend_from_slice(&[0, 0]);
        varint(&mut self.record, offset.into());
        counted(&mut self.record, r.id);
        counted(&mut self.record, r.value);
        varint(&mut self.record, 1);
        counted(&mut self.record, ID_HEADER);
        counted(&mut self.record, r.id);
        varint(&mut self.plain, self.record.len() as i64);
        self.plain.extend_from_slice(&self.record);
    }
}

fn numbers(producer: Producer, sequence: i32) -> [u8; 14] {
    let mut all = [0; 14];
    all[..8].copy_from_slice(&producer.id.to_be_bytes());
    all[8..10].copy_from_slice(&producer.epoch.to_be_bytes());
    all[10..].copy_from_slice(&sequence.to_be_bytes());
    all
}

fn sum(batch: &mut [u8]) {
    let sum = crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&sum.to_be_bytes());
}

/// The same batch by another producer, its first record under this number.
pub fn renumber(batch: &mut [u8], producer: Producer, sequence: i32) {
    batch[43..57].copy_from_slice(&numbers(producer, sequence));
    sum(batch);
}

fn counted(out: &mut Vec<u8>, bytes: &[u8]) {
    varint(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

/// A number in zigzag and seven bits a byte.
fn varint(out: &mut Vec<u8>, n: i64) {
    let mut n = (n << 1 ^ n >> 63) as u64;
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// The partition of a key, as Kafka's own clients choose it: murmur2.
pub fn partition_of(key: &[u8], partitions: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % partitions.max(1)
}

fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h = 0x9747_b28c ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for w in &mut words {
        let mut k = u32::from_le_bytes([w[0], w[1], w[2], w[3]]).wrapping_mul(M);
        k = (k ^ k >> 24).wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (i, &b) in rest.iter().enumerate() {
            h ^= u32::from(b) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h = (h ^ h >> 13).wrapping_mul(M);
    h ^ h >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_what_the_protocol_says() {
        let records = [Record { id: b"k", value: b"v" }, Record { id: b"k2", value: b"" }];
        let bytes = Packer::new(false).pack(records.into_iter(), Producer { id: 1, epoch: 2 }, 3, 4);
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let head = "0000000000000000".to_string() + "0000004e" + "ffffffff" + "02";
        assert!(hex.starts_with(&head), "{hex}");
        let rest = "0000".to_string()
            + "00000001"
            + "0000000000000004"
            + "0000000000000004"
            + "0000000000000001"
            + "0002"
            + "00000003"
            + "00000002"
            + "1a"
            + "0000"
            + "00"
            + "026b"
            + "0276"
            + "02"
            + "046964"
            + "026b"
            + "1c"
            + "0000"
            + "02"
            + "046b32"
            + "00"
            + "02"
            + "046964"
            + "046b32";
        assert!(hex.ends_with(&rest), "{hex}\n{rest}");
        assert_eq!(bytes[17..21], crc32c(&bytes[21..]).to_be_bytes());
        let mut again = bytes;
        renumber(&mut again, Producer { id: 8, epoch: 9 }, 0);
        let other = Packer::new(false).pack(records.into_iter(), Producer { id: 8, epoch: 9 }, 0, 4);
        assert_eq!(again, other);
    }

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        let of = |n| {
            let mut out = Vec::new();
            varint(&mut out, n);
            out
        };
        assert_eq!((of(0), of(-1), of(1), of(63), of(64)), (vec![0], vec![1], vec![2], vec![126], vec![128, 1]));
        assert_eq!(of(i64::MIN).len(), 10);
    }

    /// The values that Kafka's own tests have.
    #[test]
    fn keys_go_where_kafka_s_own_clients_put_them() {
        for (key, hash) in [
            ("21", -973_932_308i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
        assert_eq!(partition_of(b"foobar", 1), 0);
        assert_eq!(partition_of(b"21", 7), ((-973_932_308i32) as u32 & 0x7fff_ffff) as usize % 7);
    }
}
