//! Many bytes at one look: which of 64 may end a text of JSON, by the vector unit where every machine has one.
//!
//! Here because such instructions are `unsafe` to the oldest Rust that we are built with; nothing is asked of the system.
//! Refuses: to know what a text is, to read outside its block.

/// How many bytes are looked at.
pub const BLOCK: usize = 64;

/// What is seen of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// A bit for each byte, the first one lowest: it is a quote, a backslash or a control character.
    pub marks: u64,
    /// One of them is not ASCII.
    pub foreign: bool,
}

/// Looks at a block.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn look(block: &[u8; BLOCK]) -> Seen {
    // One after the other and no loop: a compiler that is to write little would leave it one.
    let (a, b, c, d) = (sixteen(block, 0), sixteen(block, 16), sixteen(block, 32), sixteen(block, 48));
    let marks = u64::from(a.0) | u64::from(b.0) << 16 | u64::from(c.0) << 32 | u64::from(d.0) << 48;
    Seen { marks, foreign: a.1 | b.1 | c.1 | d.1 != 0 }
}

/// The marks of sixteen bytes of a block, and which of them are not ASCII.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn sixteen(block: &[u8; BLOCK], at: usize) -> (u32, u32) {
    use core::arch::x86_64::*;
    debug_assert!(at + 16 <= BLOCK);
    // SAFETY: 16 bytes from `at` on are within the block, as the callers' numbers say; SSE2 is part of every x86_64.
    unsafe {
        let v = _mm_loadu_si128(block.as_ptr().add(at).cast());
        let quote = _mm_cmpeq_epi8(v, _mm_set1_epi8(b'"' as i8));
        let slash = _mm_cmpeq_epi8(v, _mm_set1_epi8(b'\\' as i8));
        let control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
        let marks = _mm_or_si128(_mm_or_si128(quote, slash), control);
        (_mm_movemask_epi8(marks) as u32, _mm_movemask_epi8(v) as u32)
    }
}

/// Looks at a block.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn look(block: &[u8; BLOCK]) -> Seen {
    by_words(block)
}

/// The same by eight bytes, for machines without.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline(always)]
fn by_words(block: &[u8; BLOCK]) -> Seen {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let (mut marks, mut foreign) = (0, 0);
    for (i, eight) in block.chunks_exact(8).enumerate() {
        let w = eight.first_chunk().map_or(0, |w| u64::from_le_bytes(*w));
        // Seven bits a byte: nothing is carried from one to the next, so every bit is exact.
        let low = w & !HIGHS;
        let not = |b: u8| low ^ (ONES * u64::from(b));
        let odd = (HIGHS - not(b'"')) | (HIGHS - not(b'\\')) | !(low + ONES * 0x60);
        let odd = (odd & !w & HIGHS) >> 7;
        // The lowest bits of eight bytes, side by side in the uppermost one.
        marks |= (odd.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
        foreign |= w & HIGHS;
    }
    Seen { marks, foreign: foreign != 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_by_one(block: &[u8; BLOCK]) -> Seen {
        let is_mark = |b: u8| b < 0x20 || b == b'"' || b == b'\\';
        let marks = block.iter().enumerate().map(|(i, &b)| u64::from(is_mark(b)) << i).sum();
        Seen { marks, foreign: !block.is_ascii() }
    }

    #[test]
    fn every_byte_at_every_place_is_seen_as_what_it_is() {
        for filler in [b'a', b'"', 0xff, 0, 0x7f] {
            for at in 0..BLOCK {
                for b in 0..=255 {
                    let mut block = [filler; BLOCK];
                    block[at] = b;
                    let expect = one_by_one(&block);
                    assert_eq!((look(&block), by_words(&block)), (expect, expect), "{b} at {at} among {filler}");
                }
            }
        }
    }

    #[test]
    fn neighbours_do_not_disturb_one_another() {
        let mut seed = 5u64;
        for _ in 0..20_000 {
            let block = std::array::from_fn(|_| {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (seed >> 40) as u8 & [0xff, 0x7f, 0x2f][(seed >> 61) as usize % 3]
            });
            let expect = one_by_one(&block);
            assert_eq!((look(&block), by_words(&block)), (expect, expect));
        }
    }
}
