//! The alarms of the last day, for the status page: kept in the memory that outlives a worker, written by the keeper alone.
//!
//! Refuses: texts, which stand in the log; more than a bounded number of alarms: the oldest of the kind that is there most often
//! gives way, so that what flaps hides nothing else.

use crate::audit::alarm::{AlarmKind, ROWS};
use crate::limits;
use crate::sys::ring::{Ring, HISTORY_WORDS};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Words: how many there are, then two for each, the oldest first: its kind and since when, and when it was over.
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
fn at(number: usize) -> usize {
    1 + 2 * number
}

fn read(ring: &Ring, number: usize) -> Option<Entry> {
    let first = word(ring, at(number)).load(Relaxed);
    let kind = ROWS.get((first >> TIME_BITS) as usize)?.kind;
    let over_ms = word(ring, at(number) + 1).load(Relaxed) as i64;
    Some(Entry { kind, since_ms: (first & ((1 << TIME_BITS) - 1)) as i64, over_ms })
}

fn write(ring: &Ring, number: usize, e: Entry) {
    word(ring, at(number)).store((e.kind as u64) << TIME_BITS | e.since_ms.max(0) as u64, Relaxed);
    word(ring, at(number) + 1).store(e.over_ms as u64, Relaxed);
}

/// This has begun, or happened.
pub fn began(ring: &Ring, kind: AlarmKind, since_ms: i64) {
    let lasts = kind.row().lasts;
    let again = |e: &Entry| e.kind == kind && (0..SAME_MILLIS).contains(&(since_ms - e.since_ms));
    let mut list = all(ring);
    if !lasts && list.iter().any(again) {
        return;
    }
    list.reverse();
    if list.len() >= limits::PAGE_ALARMS {
        let often = |e: &Entry| list.iter().filter(|other| other.kind == e.kind).count();
        let most = list.iter().map(often).max();
        let goes = list.iter().position(|e| Some(often(e)) == most).unwrap_or(0);
        list.remove(goes);
    }
    list.push(Entry { kind, since_ms, over_ms: if lasts { 0 } else { since_ms } });
    list.iter().enumerate().for_each(|(number, e)| write(ring, number, *e));
    word(ring, 0).store(list.len() as u64, Relaxed);
}

/// What began then is over.
pub fn over(ring: &Ring, kind: AlarmKind, since_ms: i64, now_ms: i64) {
    let open = Entry { kind, since_ms, over_ms: 0 };
    if let Some(number) = numbers(ring).rev().find(|n| read(ring, *n) == Some(open)) {
        write(ring, number, Entry { over_ms: now_ms, ..open });
    }
}

fn numbers(ring: &Ring) -> std::ops::Range<usize> {
    0..(word(ring, 0).load(Relaxed) as usize).min(limits::PAGE_ALARMS)
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
        // A receiver that goes and comes every minute costs itself.
        for i in 0..100 {
            let since = 1_795_224_700_000 + i * 60_000;
            began(&ring, AlarmKind::ReceiverDown, since);
            over(&ring, AlarmKind::ReceiverDown, since, since + 30_000);
        }
        let seen = all(&ring);
        assert_eq!(seen.len(), limits::PAGE_ALARMS);
        let last = 1_795_224_700_000 + 99 * 60_000;
        assert_eq!((seen[0].since_ms, seen[0].over_ms), (last, last + 30_000));
        assert_eq!(seen[seen.len() - 3].since_ms, last - 18 * 60_000, "the newest of them");
        let others: Vec<_> = seen[seen.len() - 2..].iter().map(|e| (e.kind, e.over_ms)).collect();
        let (died, full) = (1_795_224_500_000, 1_795_224_600_000);
        assert_eq!(others, [(AlarmKind::WorkerDied, died), (AlarmKind::DiskFull, full)]);
    }
}
