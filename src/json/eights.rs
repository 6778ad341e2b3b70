//! Bytes of a text looked at eight at a time, in one number. Refuses: to know where a text ends.

pub(super) const PLAIN: [bool; 256] = {
    let mut t = [true; 256];
    let mut i = 0;
    while i < 0x20 {
        t[i] = false;
        i += 1;
    }
    t[b'"' as usize] = false;
    t[b'\\' as usize] = false;
    t
};

const ONES: u64 = u64::from_ne_bytes([1; 8]);
pub(super) const HIGHS: u64 = ONES << 7;

#[inline(always)]
pub(super) fn word(eight: &[u8]) -> u64 {
    eight.first_chunk().map_or(0, |w| u64::from_le_bytes(*w))
}

/// A high bit where a byte of `w` is `b`; exact up to the lowest one, which is all that is used.
#[inline(always)]
pub(super) fn hits(w: u64, b: u8) -> u64 {
    let x = w ^ (ONES * b as u64);
    x.wrapping_sub(ONES) & !x & HIGHS
}

/// A high bit where a byte of `w` is a control character; exact as above.
#[inline(always)]
pub(super) fn controls(w: u64) -> u64 {
    w.wrapping_sub(ONES * 0x20) & !w & HIGHS
}

pub(super) const PLAIN_OR_QUOTE: [bool; 256] = {
    let mut t = PLAIN;
    t[b'"' as usize] = true;
    t
};

/// How many bytes of a string can be passed without a look at each: eight at a time.
#[inline]
pub(super) fn plain_bytes(text: &[u8]) -> usize {
    let mut eights = text.chunks_exact(8);
    let mut at = 0;
    for e in &mut eights {
        let w = word(e);
        let special = hits(w, b'"') | hits(w, b'\\') | controls(w);
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + eights.remainder().iter().take_while(|b| PLAIN[usize::from(**b)]).count()
}
