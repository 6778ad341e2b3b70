//! ○ Goes over a text of JSON at a stride: from one byte that may mean something to the next, by a look at 64 at once.
//!
//! Refuses: to judge an escape; who asks does.

use crate::sys::lanes::{self, Seen, BLOCK};

/// Goes from one byte that may mean something to the next.
pub struct Marks<'a> {
    /// The text.
    pub data: &'a [u8],
    /// Where the block at hand begins.
    base: usize,
    /// What of it is not passed yet.
    pub seen: Seen,
    /// Whether a block that was looked at since this was set has bytes that are not ASCII.
    pub foreign: bool,
}

impl<'a> Marks<'a> {
    /// From `base` on.
    pub fn new(data: &'a [u8], base: usize) -> Marks<'a> {
        Marks { data, base, seen: look(data, base), foreign: false }
    }

    /// Passes one, and says where it stands; behind the end of the data there are only such.
    #[inline(always)]
    pub fn pass(&mut self) -> usize {
        while self.seen.marks == 0 {
            self.advance();
        }
        let at = self.base + self.seen.marks.trailing_zeros() as usize;
        self.seen.marks &= self.seen.marks - 1;
        at
    }

    /// Where the string ends that we are in; none: it has a control character, or an escape that `is_fine` does not take, which is
    /// given what stands behind the backslash.
    #[inline(always)]
    pub fn string_end(&mut self, is_fine: impl Fn(&[u8]) -> bool) -> Option<usize> {
        loop {
            let at = self.pass();
            match self.data.get(at)? {
                b'"' => return Some(at),
                b'\\' => match self.data.get(at + 1)? {
                    b'"' | b'\\' => drop(self.pass()),
                    _ if is_fine(&self.data[at + 1..]) => {}
                    _ => return None,
                },
                _ => return None,
            }
        }
    }

    // Not in line: it would stand there at each of its callers, and push their numbers out of the registers.
    #[inline(never)]
    fn advance(&mut self) {
        self.base += BLOCK;
        self.seen = look(self.data, self.base);
        self.foreign |= self.seen.foreign;
    }
}

/// What is seen of the 64 bytes from `base` on; behind the end of the data stand zeros.
#[inline(always)]
fn look(data: &[u8], base: usize) -> Seen {
    match data.get(base..).and_then(|rest| rest.first_chunk()) {
        Some(block) => lanes::look(block),
        None => look_at_last(data, base),
    }
}

#[cold]
#[inline(never)]
fn look_at_last(data: &[u8], base: usize) -> Seen {
    let (rest, mut block) = (data.get(base..).unwrap_or_default(), [0; BLOCK]);
    block[..rest.len()].copy_from_slice(rest);
    lanes::look(&block)
}
