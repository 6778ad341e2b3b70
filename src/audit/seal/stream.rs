//! ○ Streams of numbered records, and the algorithm that the hashes of one are made with.
//!
//! Refuses: an algorithm that is not known, a second way to write an id.

use crate::limits;
use sha2::{Digest, Sha256};
use std::fmt;
use streebog::digest::consts::U32;
use streebog::Streebog256;

/// A hash of either algorithm.
pub type Hash = [u8; 32];

/// What the hashes of a stream are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// GOST R 34.11-2012, 256 bits.
    Streebog256,
}

impl Algorithm {
    /// Every one there is.
    pub const ALL: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Streebog256];

    /// Its byte in the id of a stream.
    pub fn byte(self) -> u8 {
        match self {
            Algorithm::Sha256 => 1,
            Algorithm::Streebog256 => 2,
        }
    }

    /// The one of this byte.
    pub fn of_byte(byte: u8) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|a| a.byte() == byte)
    }

    /// Its name in options and checkpoints.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Streebog256 => "streebog256",
        }
    }

    /// The one of this name.
    pub fn parse(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|a| a.name() == name)
    }

    /// Whether a hash of it costs less than the rest that is done for a record.
    pub fn is_quick(self) -> bool {
        self == Algorithm::Sha256
    }

    /// The hash of these parts, one behind the other. Nothing is allocated.
    pub fn hash(self, parts: &[&[u8]]) -> Hash {
        fn hash<D: Digest<OutputSize = U32>>(parts: &[&[u8]]) -> Hash {
            let mut digest = D::new();
            parts.iter().for_each(|part| digest.update(part));
            digest.finalize().into()
        }
        match self {
            Algorithm::Sha256 => hash::<Sha256>(parts),
            Algorithm::Streebog256 => hash::<Streebog256>(parts),
        }
    }
}

/// The name of a stream: when it was begun (6 bytes), chance (9 bytes), its algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub [u8; 16]);

impl StreamId {
    /// A new one.
    pub fn new(now_ms: i64, chance: [u8; 9], algorithm: Algorithm) -> StreamId {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&now_ms.max(0).to_be_bytes()[2..]);
        id[6..15].copy_from_slice(&chance);
        id[15] = algorithm.byte();
        StreamId(id)
    }

    /// When it was begun, milliseconds since the epoch.
    pub fn begun_ms(self) -> i64 {
        self.0[..6].iter().fold(0, |n, b| n << 8 | i64::from(*b))
    }

    /// What its hashes are made with; an id whose last byte names none is never read.
    pub fn algorithm(self) -> Algorithm {
        Algorithm::of_byte(self.0[15]).unwrap_or(Algorithm::Sha256)
    }

    /// Reads 32 hexadecimal digits, lower-case: one text for one id.
    pub fn parse(text: &str) -> Option<StreamId> {
        let mut id = [0; 16];
        let digits = text.as_bytes();
        if digits.len() != 2 * id.len() {
            return None;
        }
        for (byte, two) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_digit(two[0])? << 4 | hex_digit(two[1])?;
        }
        Algorithm::of_byte(id[15]).map(|_| StreamId(id))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn hex_digit(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    }
}

/// A stream in a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its name.
    pub id: StreamId,
    /// The number in the spool of its first record; where that would lie before the first there can be, it wraps around:
    /// records that are told again keep their numbers in the stream, in a spool that counts from 1.
    pub first: u64,
}

impl Stream {
    /// How many bytes it takes in the head of a segment.
    pub const BYTES: usize = 24;

    /// The number within the stream, from 1, of the record with this number in the spool.
    pub fn seq(&self, number: u64) -> Option<u64> {
        let seq = number.wrapping_sub(self.first).wrapping_add(1);
        (1..=limits::SPOOL_NUMBER_MAX).contains(&seq).then_some(seq)
    }

    /// The stream in which the record with this number in the spool has that one in the stream.
    pub fn of_record(id: StreamId, seq: u64, number: u64) -> Stream {
        Stream { id, first: number.wrapping_sub(seq).wrapping_add(1) }
    }

    /// As it stands in the head of a segment.
    pub fn encode(&self) -> [u8; Stream::BYTES] {
        let mut out = [0; Stream::BYTES];
        out[..16].copy_from_slice(&self.id.0);
        out[16..].copy_from_slice(&self.first.to_le_bytes());
        out
    }

    /// Reads it there; zeros are none.
    pub fn decode(bytes: &[u8; Stream::BYTES]) -> Option<Stream> {
        let (id, first) = (bytes.first_chunk::<16>()?, bytes.last_chunk::<8>()?);
        Algorithm::of_byte(id[15]).map(|_| Stream { id: StreamId(*id), first: u64::from_le_bytes(*first) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(hash: Hash) -> String {
        hash.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn the_hashes_are_those_of_the_standards() {
        let sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(Algorithm::Sha256.hash(&[b"a", b"", b"bc"])), sha);
        // The first example of GOST R 34.11-2012.
        let text = b"012345678901234567890123456789012345678901234567890123456789012";
        let streebog = "9d151eefd8590b89daa6ba6cb74af9275dd051026bb149a452fd84e5e57b5500";
        assert_eq!(hex(Algorithm::Streebog256.hash(&[&text[..5], &text[5..]])), streebog);
    }

    #[test]
    fn an_id_is_read_as_it_was_written() {
        for algorithm in Algorithm::ALL {
            let id = StreamId::new(0x0123_4567_89ab, [7; 9], algorithm);
            assert_eq!((StreamId::parse(&id.to_string()), id.algorithm()), (Some(id), algorithm));
            assert_eq!(id.begun_ms(), 0x0123_4567_89ab);
            assert_eq!(Algorithm::parse(algorithm.name()), Some(algorithm));
            assert!(id.to_string().starts_with("0123456789ab070707"));
            let stream = Stream { id, first: 9 };
            assert_eq!(Stream::decode(&stream.encode()), Some(stream));
            assert_eq!([8, 9, 11].map(|n| stream.seq(n)), [None, Some(1), Some(3)]);
            let again = Stream::of_record(id, 1_000, 1);
            assert_eq!(Stream::decode(&again.encode()).map(|s| [s.seq(1), s.seq(3)]), Some([Some(1_000), Some(1_002)]));
        }
        let good = "0123456789ab07070707070707070701";
        assert!(StreamId::parse(good).is_some());
        for bad in ["", &good.to_uppercase(), &good.replace("0701", "0703"), &good[1..], &format!("{good}0")] {
            assert_eq!(StreamId::parse(bad), None, "{bad}");
        }
        assert_eq!(Stream::decode(&[0; 24]), None);
    }
}
