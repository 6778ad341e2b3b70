//! ○ What stands between events that are sent: records that are not there, and those that a filter leaves out. Refuses: to move a
//! cursor.

use crate::audit::delivery::batch::Batch;
use crate::audit::delivery::filter::Sieve;
use crate::audit::record::loss::Loss;
use crate::audit::spool::record::Stored;

/// What is not sent, between events that are.
#[derive(Clone, Debug)]
pub enum Between {
    /// Records that are not there.
    Lost(Loss),
    /// Records that are left out, from the first to the last.
    LeftOut(u64, u64),
}

impl Between {
    /// The number of the first.
    pub fn from(&self) -> u64 {
        match self {
            Between::Lost(loss) => loss.from,
            Between::LeftOut(from, _) => *from,
        }
    }
}

/// Whether the filter leaves this record out; then it is noted, and passed when all before it is.
pub fn leaves_out(sieve: &mut Sieve, batch: &mut Batch, passed: &mut Vec<Between>, r: &Stored<'_>) -> bool {
    if sieve.passes(r) {
        return false;
    }
    match passed.last_mut() {
        _ if batch.joins(r.seq) => batch.leave_out(),
        Some(Between::LeftOut(_, to)) if *to + 1 == r.seq => *to = r.seq,
        _ => passed.push(Between::LeftOut(r.seq, r.seq)),
    }
    true
}
