//! `memcpy`, `memmove`, `memcmp` for the static binaries: musl's are written to be small, and an event is made of forty
//! short copies. With musl's `rep movsq` two thirds of the time of a delivery went into starting copies.
//!
//! Straight lines up to 256 bytes (load everything, then store: overlapping ends make every length fit, and it does not
//! matter whether source and target overlap), the processor's own `rep movsb` above. No loops over memory here: the
//! compiler would recognise them and call the function that it is compiling.
//!
//! Refuses: other targets than x86_64 with musl; there libc's own are good.

use core::arch::asm;
use core::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_storeu_si128};

macro_rules! ends {
    ($dst:ident, $src:ident, $n:ident, $ty:ty) => {{
        let size = core::mem::size_of::<$ty>();
        let first = $src.cast::<$ty>().read_unaligned();
        let last = $src.add($n - size).cast::<$ty>().read_unaligned();
        $dst.cast::<$ty>().write_unaligned(first);
        $dst.add($n - size).cast::<$ty>().write_unaligned(last);
    }};
}

/// The first and the last `N` blocks of 16 bytes, all loaded before one is stored.
///
/// # Safety
/// `n` bytes are readable at `src` and writable at `dst`, and `n` is between 16·N and 32·N.
#[inline(always)]
unsafe fn blocks<const N: usize>(dst: *mut u8, src: *const u8, n: usize) {
    // SAFETY: the caller's word; block i of the first half ends at 16·(i+1) ≤ n, of the second it begins at n − 16·N + 16·i.
    unsafe {
        let first: [__m128i; N] = core::array::from_fn(|i| _mm_loadu_si128(src.add(16 * i).cast()));
        let last: [__m128i; N] = core::array::from_fn(|i| _mm_loadu_si128(src.add(n - 16 * N + 16 * i).cast()));
        let mut i = 0;
        while i < N {
            _mm_storeu_si128(dst.add(16 * i).cast(), first[i]);
            _mm_storeu_si128(dst.add(n - 16 * N + 16 * i).cast(), last[i]);
            i += 1;
        }
    }
}

/// Up to 256 bytes, in any overlap.
///
/// # Safety
/// `n` bytes are readable at `src` and writable at `dst`; `n` is at most 256.
#[inline(always)]
unsafe fn short(dst: *mut u8, src: *const u8, n: usize) {
    // SAFETY: each arm reads and writes the first and last bytes of a length it was chosen by.
    unsafe {
        match n {
            0 => {}
            1 => *dst = *src,
            2..=3 => ends!(dst, src, n, u16),
            4..=7 => ends!(dst, src, n, u32),
            8..=15 => ends!(dst, src, n, u64),
            16..=32 => blocks::<1>(dst, src, n),
            33..=64 => blocks::<2>(dst, src, n),
            65..=128 => blocks::<4>(dst, src, n),
            _ => blocks::<8>(dst, src, n),
        }
    }
}

/// C's memcpy.
///
/// # Safety
/// As in C: `n` bytes readable at `src`, writable at `dst`, not overlapping.
#[cfg_attr(not(test), no_mangle)]
pub unsafe extern "C" fn memcpy(dst: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller's word; `rep movsb` copies rcx bytes from rsi to rdi, the direction flag is clear by the ABI.
    unsafe {
        if n <= 256 {
            short(dst, src, n);
        } else {
            asm!("rep movsb", inout("rcx") n => _, inout("rdi") dst => _, inout("rsi") src => _, options(nostack, preserves_flags));
        }
    }
    dst
}

/// C's memmove.
///
/// # Safety
/// As in C: `n` bytes readable at `src`, writable at `dst`, in any overlap.
#[cfg_attr(not(test), no_mangle)]
pub unsafe extern "C" fn memmove(dst: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller's word. Forward is right when the target begins before the source or behind its end; otherwise
    // backward, from the last byte, and the direction flag is cleared again as the ABI wants it.
    unsafe {
        if n <= 256 {
            short(dst, src, n);
        } else if (dst as usize).wrapping_sub(src as usize) >= n {
            asm!("rep movsb", inout("rcx") n => _, inout("rdi") dst => _, inout("rsi") src => _, options(nostack, preserves_flags));
        } else {
            let (to, from) = (dst.add(n - 1), src.add(n - 1));
            asm!("std", "rep movsb", "cld", inout("rcx") n => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack));
        }
    }
    dst
}

/// C's memcmp.
///
/// # Safety
/// As in C: `n` bytes readable at both.
#[cfg_attr(not(test), no_mangle)]
pub unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    let mut at = 0;
    // SAFETY: the caller's word; eight bytes are read only where at least eight are left.
    unsafe {
        while at + 8 <= n {
            let (x, y) = (a.add(at).cast::<u64>().read_unaligned(), b.add(at).cast::<u64>().read_unaligned());
            if x != y {
                return if x.swap_bytes() < y.swap_bytes() { -1 } else { 1 };
            }
            at += 8;
        }
        while at < n {
            let (x, y) = (*a.add(at), *b.add(at));
            if x != y {
                return i32::from(x) - i32::from(y);
            }
            at += 1;
        }
    }
    0
}

/// C's bcmp.
///
/// # Safety
/// As in C: `n` bytes readable at both.
#[cfg_attr(not(test), no_mangle)]
pub unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: the caller's word.
    unsafe { memcmp(a, b, n) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_at_every_distance() {
        let fresh: Vec<u8> = (0..2048).map(|i| (i * 7 % 251) as u8).collect();
        for n in (0..600).chain([1000]) {
            for (from, to) in
                [(0, 1024), (3, 1027), (512, 511), (512, 513), (512, 500), (512, 600), (512, 512), (100, 356)]
            {
                let mut expect = fresh.clone();
                expect.copy_within(from..from + n, to);
                let mut got = fresh.clone();
                let base = got.as_mut_ptr();
                // SAFETY: all lengths and places are within the 2048 bytes.
                unsafe { memmove(base.add(to), base.add(from), n) };
                assert!(got == expect, "memmove {n} {from} {to}");
                if to >= from + n {
                    let mut got = fresh.clone();
                    let base = got.as_mut_ptr();
                    // SAFETY: as above, and they do not overlap.
                    unsafe { memcpy(base.add(to), base.add(from), n) };
                    assert!(got == expect, "memcpy {n} {from} {to}");
                }
            }
        }
    }

    #[test]
    fn comparing() {
        for n in 0..100usize {
            let a: Vec<u8> = (0..n).map(|i| i as u8).collect();
            // SAFETY: both are `n` bytes long.
            assert_eq!(unsafe { memcmp(a.as_ptr(), a.clone().as_ptr(), n) }, 0);
            for i in 0..n {
                let mut b = a.clone();
                b[i] = b[i].wrapping_add(128);
                // SAFETY: both are `n` bytes long.
                let got = unsafe { memcmp(a.as_ptr(), b.as_ptr(), n) };
                assert_eq!(got.signum(), if a < b { -1 } else { 1 }, "{n} {i}");
                // SAFETY: both are `n` bytes long.
                assert_ne!(unsafe { bcmp(a.as_ptr(), b.as_ptr(), n) }, 0);
            }
        }
    }
}
