//! ○ What an account counts. Pure. Refuses: to count.

/// Plain numbers, each a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records read from the input.
    pub read: u64,
    /// Records of our own.
    pub own: u64,
    /// Records that never came into the spool: `drop-newest`.
    pub dropped: u64,
    /// Gaps found in the input.
    pub gaps: u64,
    /// Records that came twice.
    pub repeats: u64,
    /// Records that came out of order.
    pub late: u64,
    /// Records that came cut.
    pub truncated: u64,
    /// Records that were no objects.
    pub unparsed: u64,
    /// Records that damage of the disk has cost.
    pub damaged: u64,
}

/// As they are saved.
pub(super) fn of(n: impl Fn(&str) -> u64) -> Counters {
    Counters {
        read: n("read"),
        own: n("own"),
        dropped: n("dropped"),
        gaps: n("gaps"),
        repeats: n("repeats"),
        late: n("late"),
        truncated: n("truncated"),
        unparsed: n("unparsed"),
        damaged: n("damaged"),
    }
}
