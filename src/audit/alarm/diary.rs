//! The alarms of the last day, for the status page: kept in the memory that outlives a worker, written by the keeper alone.
//!
//! Refuses: texts, which stand in the log; more than a bounded number of alarms: the oldest is written over.

use crate::audit::alarm::{AlarmKind, ROWS};
use crate::limits;
use crate::sys::ring::{Ring, HISTORY_WORDS};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Words: how many there were, then two for each: its kind and since when, and when it was over.
pub const WORDS: usize = 1 + 2 * limits::PAGE_ALARMS;
/// Where they stand, behind the curves.
const AT: usize = HISTORY_WORDS - WORDS;
const TIME_BITS: u32 = 48;
/// So long after it the same thing is the same.
const SAME_MILLIS: i64 = 60_000;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its kind.
    pub kind: AlarmKind,
    /// When it began, milliseconds since the epoch.
    pub since_ms: i64,
    /// When it was over; 0: that is not known.
    pub over_ms: i64,
}

fn word(ring: &Ring, at: usize) -> &AtomicU64 {
    &ring.history()[AT + at]
}

/// Where the entry of this number is.
fn at(number: u64) -> usize {
    1 + 2 * (number % limits::PAGE_ALARMS as u64) as usize
}

fn read(ring: &Ring, number: u64) -> Option<Entry> {
    let first = word(ring, at(number)).load(Relaxed);
    let kind = ROWS.get((first >> TIME_BITS) as usize)?.kind;
    let over_ms = word(ring, at(number) + 1).load(Relaxed) as i64;
    Some(Entry { kind, since_ms: (first & ((1 << TIME_BITS) - 1)) as i64, over_ms })
}

fn numbers(ring: &Ring) -> std::ops::Range<u64> {
    let made = word(ring, 0).load(Relaxed);
    made.saturating_sub(limits::PAGE_ALARMS as u64)..made
}

/// This has begun, or happened.
pub fn began(ring: &Ring, kind: AlarmKind, since_ms: i64) {
    let again = |e: Entry| e.kind == kind && (0..SAME_MILLIS).contains(&(since_ms - e.since_ms));
    let range = numbers(ring);
    if !kind.row().lasts && range.clone().filter_map(|n| read(ring, n)).any(again) {
        return;
    }
    let over = if kind.row().lasts { 0 } else { since_ms };
    word(ring, at(range.end)).store((kind as u64) << TIME_BITS | since_ms.max(0) as u64, Relaxed);
    word(ring, at(range.end) + 1).store(over as u64, Relaxed);
    word(ring, 0).store(range.end + 1, Relaxed);
}

/// What began then is over.
pub fn over(ring: &Ring, kind: AlarmKind, since_ms: i64, now_ms: i64) {
    let mut all = numbers(ring).rev();
    let found =
        all.find(|n| read(ring, *n).is_some_and(|e| e.kind == kind && e.since_ms == since_ms && e.over_ms == 0));
    if let Some(number) = found {
        word(ring, at(number) + 1).store(now_ms as u64, Relaxed);
    }
}

/// All of them, the newest first.
pub fn all(ring: &Ring) -> Vec<Entry> {
    numbers(ring).rev().filter_map(|n| read(ring, n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_and_what_is_over_stays_for_the_next_worker_and_no_longer_than_there_is_room() {
        let ring = Ring::create(1, 1).unwrap();
        assert!(all(&ring).is_empty());
        began(&ring, AlarmKind::DiskFull, 1_795_224_477_349);
        began(&ring, AlarmKind::WorkerDied, 1_795_224_500_000);
        // Of a thing that happens again and again there is one a minute.
        began(&ring, AlarmKind::WorkerDied, 1_795_224_510_000);
        over(&ring, AlarmKind::DiskFull, 1_795_224_477_349, 1_795_224_600_000);
        over(&ring, AlarmKind::DiskFull, 5, 6);
        let again = Ring::open(ring.file().try_clone().unwrap().into()).unwrap();
        let seen: Vec<_> = all(&again).iter().map(|e| (e.kind, e.since_ms, e.over_ms)).collect();
        assert_eq!(
            seen,
            [
                (AlarmKind::WorkerDied, 1_795_224_500_000, 1_795_224_500_000),
                (AlarmKind::DiskFull, 1_795_224_477_349, 1_795_224_600_000)
            ]
        );
        for i in 0..100 {
            began(&ring, AlarmKind::SpoolFull, i);
        }
        let seen = all(&ring);
        assert_eq!((seen.len(), seen[0].since_ms, seen.last().unwrap().since_ms), (limits::PAGE_ALARMS, 99, 79));
    }
}
