//! ○ XXH64: the 64-bit hash in document ids and, folded, the checksum of everything in the spool.
//!
//! Written from the published specification; not for secrets, and it must never change: ids and spools outlive versions.

const P1: u64 = 0x9E37_79B1_85EB_CA87;
const P2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const P3: u64 = 0x1656_67B1_9E37_79F9;
const P4: u64 = 0x85EB_CA77_C2B2_AE63;
const P5: u64 = 0x27D4_EB2F_1656_67C5;

// Always inline: the programs are built for size, where a call for each word would cost more than the hash itself.
#[inline(always)]
fn word(b: &[u8]) -> u64 {
    b.first_chunk().map_or(0, |w| u64::from_le_bytes(*w))
}

#[inline(always)]
fn round(acc: u64, lane: u64) -> u64 {
    acc.wrapping_add(lane.wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
}

#[inline(always)]
fn merge(acc: u64, lane: u64) -> u64 {
    (acc ^ round(0, lane)).wrapping_mul(P1).wrapping_add(P4)
}

/// The hash of `bytes` under `seed`.
pub fn xxh64(bytes: &[u8], seed: u64) -> u64 {
    let mut stripes = bytes.chunks_exact(32);
    let mut h = if bytes.len() >= 32 {
        let mut v = [seed.wrapping_add(P1).wrapping_add(P2), seed.wrapping_add(P2), seed, seed.wrapping_sub(P1)];
        for s in &mut stripes {
            v[0] = round(v[0], word(&s[0..8]));
            v[1] = round(v[1], word(&s[8..16]));
            v[2] = round(v[2], word(&s[16..24]));
            v[3] = round(v[3], word(&s[24..32]));
        }
        let sum = v[0].rotate_left(1).wrapping_add(v[1].rotate_left(7));
        let sum = sum.wrapping_add(v[2].rotate_left(12)).wrapping_add(v[3].rotate_left(18));
        merge(merge(merge(merge(sum, v[0]), v[1]), v[2]), v[3])
    } else {
        seed.wrapping_add(P5)
    };
    h = h.wrapping_add(bytes.len() as u64);
    finish(h, stripes.remainder())
}

#[inline(always)]
fn finish(mut h: u64, tail: &[u8]) -> u64 {
    let mut words = tail.chunks_exact(8);
    for w in &mut words {
        h = (h ^ round(0, word(w))).rotate_left(27).wrapping_mul(P1).wrapping_add(P4);
    }
    let mut rest = words.remainder();
    if rest.len() >= 4 {
        let half = u64::from(u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]));
        h = (h ^ half.wrapping_mul(P1)).rotate_left(23).wrapping_mul(P2).wrapping_add(P3);
        rest = &rest[4..];
    }
    for &b in rest {
        h = (h ^ u64::from(b).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
    }
    h = (h ^ (h >> 33)).wrapping_mul(P2);
    h = (h ^ (h >> 29)).wrapping_mul(P3);
    h ^ (h >> 32)
}

/// A hash folded to the 32 bits of a checksum.
pub fn fold(hash: u64) -> u32 {
    (hash ^ (hash >> 32)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_vectors() {
        assert_eq!(xxh64(b"", 0), 0xEF46_DB37_51D8_E999);
        assert_eq!(xxh64(b"a", 0), 0xD24E_C4F1_A98C_6E5B);
        assert_eq!(xxh64(b"abc", 0), 0x44BC_2CF5_AD77_0999);
        assert_eq!(xxh64(b"Nobody inspects the spammish repetition", 0), 0xFBCE_A83C_8A37_8BF1);
        assert_ne!(xxh64(b"abc", 1), xxh64(b"abc", 0));
    }

    #[test]
    fn every_length_and_every_byte_counts() {
        let mut bytes: Vec<u8> = (0..100u8).collect();
        let mut seen: Vec<u64> = (0..100).map(|n| xxh64(&bytes[..n], 7)).collect();
        for i in 0..100 {
            bytes[i] ^= 1;
            seen.push(xxh64(&bytes, 7));
            bytes[i] ^= 1;
        }
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all);
    }
}
