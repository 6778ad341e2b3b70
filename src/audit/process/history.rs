//! How much was read, delivered and waiting in the last minutes and hours, for the curves of the status page: kept in the
//! memory that outlives a worker. Refuses: to be on anyone's path; who looks after the worker notes it.

use crate::audit::alarm::diary;
use crate::page::history::{self, WORDS};
use crate::sys::ring::{Ring, HISTORY_WORDS};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// Records read.
    Read,
    /// Events that receivers have taken.
    Taken,
    /// Events that wait for the slowest receiver.
    Waiting,
}

/// How many series there are.
const COUNT: usize = 3;
const _: () = assert!(COUNT * WORDS + diary::WORDS <= HISTORY_WORDS);

/// The words of all series, as they are now.
pub fn words(ring: &Ring) -> Vec<u64> {
    ring.history()[..COUNT * WORDS].iter().map(|w: &AtomicU64| w.load(Relaxed)).collect()
}

/// Those of one of them.
pub fn of(words: &[u64], series: Series) -> &[u64] {
    words.get(series as usize * WORDS..(series as usize + 1) * WORDS).unwrap_or_default()
}

/// It stands so now.
pub fn note(ring: &Ring, now_ms: i64, read: u64, taken: u64, waiting: u64) {
    for (series, value) in [(Series::Read, read), (Series::Taken, taken), (Series::Waiting, waiting)] {
        let at = series as usize * WORDS;
        history::note(&ring.history()[at..at + WORDS], now_ms, value, series == Series::Waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::history::{points, Span};

    #[test]
    fn the_next_worker_finds_what_was_noted_and_no_series_touches_another() {
        let ring = Ring::create(1, 1).unwrap();
        diary::began(&ring, crate::audit::alarm::AlarmKind::DiskFull, 7);
        note(&ring, 1_795_224_477_349, 1, 2, 3);
        let again = Ring::open(ring.file().try_clone().unwrap().into()).unwrap();
        let words = words(&again);
        let last = |s| points(of(&words, s), Span::Short, 1_795_224_477_349).last().copied().flatten();
        assert_eq!([Series::Read, Series::Taken, Series::Waiting].map(last), [Some(1.0), Some(2.0), Some(3.0)]);
        assert_eq!(diary::all(&again).len(), 1);
        assert!(of(&[], Series::Taken).is_empty(), "a worker of a version before tells none");
    }
}
