//! What all formats of a line a number share ○: which numbers go, which do not, and why.
//!
//! Nothing is left out without being counted.

use super::names::Seen;
use crate::metrics::assemble::Assembled;
use crate::metrics::snapshot::{Family, Sample};

/// What became of the numbers of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Went.
    pub samples: u64,
    /// Are no numbers, or infinite: the protocol has no word for them.
    pub not_finite: u64,
    /// Would have had the name of another.
    pub collisions: u64,
    /// The other side refused.
    pub refused: u64,
}

impl Written {
    /// Every number of the page.
    pub fn whole(page: &Assembled<'_>) -> Written {
        Written { samples: page.families.iter().map(|f| f.samples().len() as u64).sum(), ..Written::default() }
    }
}

/// Writes a line for each finite number: `name` writes how it is called, which must be unique, and `rest` what stands behind.
pub fn each(
    page: &Assembled<'_>,
    out: &mut Vec<u8>,
    name: impl Fn(&mut Vec<u8>, &Family, &Sample),
    mut rest: impl FnMut(&mut Vec<u8>, &Family, &Sample, usize),
) -> Written {
    let (mut written, mut seen) = (Written::default(), Seen::default());
    for f in &page.families {
        for s in f.samples() {
            if !s.value.is_finite() {
                written.not_finite += 1;
                continue;
            }
            let from = out.len();
            name(out, f, s);
            if !seen.is_new(&out[from..]) {
                written.collisions += 1;
                out.truncate(from);
                continue;
            }
            rest(out, f, s, from);
            written.samples += 1;
        }
    }
    written
}
