//! Events that the filter of the receiver leaves out: the cursor passes them when all before them is done with, and they count
//! as filtered, not as delivered. Refuses: to send one of them, also as a witness.

use super::between::Between;
use super::Sender;
use crate::audit::delivery::filter::{Filter, Sieve};
use crate::audit::spool::read::{Next, Reader};

impl Sender {
    /// With a filter.
    pub fn sifted(mut self, filter: Filter) -> Sender {
        self.sieve = Sieve::new(filter);
        self
    }

    /// The same for one that may bear witness; a piece of a long record, which may be anybody's, bears none.
    pub(super) fn is_left_out(&self, seq: u64) -> bool {
        if self.sieve.is_open() {
            return false;
        }
        match Reader::new(seq).next(&self.spool) {
            Next::Record(r, _) => r.seq == seq && (r.part > 1 || !self.sieve.clone().passes(&r)),
            // Whoever sends it sees that.
            Next::Lost(_) | Next::Wait | Next::Trouble(_) => false,
        }
    }

    /// The cursor goes behind records that are left out; all before them is done with.
    pub(super) fn pass_left_out(&self, to: u64) {
        self.spool.update(&self.name, |c| {
            c.filtered += to.saturating_sub(c.next);
            c.next = c.next.max(to);
        });
    }

    /// Passes what stands between events, up to the record `seq`.
    pub(super) fn pass_between(&mut self, seq: u64) {
        while self.passed.first().is_some_and(|b| b.from() <= seq) {
            match self.passed.remove(0) {
                Between::Lost(loss) => self.pass(loss),
                Between::LeftOut(_, to) => self.pass_left_out(to + 1),
            }
        }
    }
}
