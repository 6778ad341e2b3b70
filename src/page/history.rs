//! ○ What was some minutes and hours ago: one series of numbers in a fixed row of words, for the curves of the status page.
//!
//! ```text
//! word   24 bits: which stretch of time, 40 bits: the value      60 words of 15 s, then 96 words of 15 min
//! ```
//!
//! Each word says itself of which stretch it is, so nothing has to be cleared or moved, what is old is known as old, and
//! whoever takes over goes on. A counter is kept as it stood last in a stretch, and read as a rate. Refuses: a clock.

use crate::limits::{PAGE_LONG, PAGE_SHORT};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Words of a series.
pub const WORDS: usize = PAGE_SHORT.1 + PAGE_LONG.1;
const VALUE_BITS: u32 = 40;
const VALUE: u64 = (1 << VALUE_BITS) - 1;
/// Stretches of the last minute.
const LATELY: i64 = 4;

/// Over which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// 15 minutes.
    Short,
    /// 24 hours.
    Long,
}

impl Span {
    /// Where its words begin, how many there are, how long a stretch is.
    fn plan(self) -> (usize, usize, i64) {
        match self {
            Span::Short => (0, PAGE_SHORT.1, PAGE_SHORT.0),
            Span::Long => (PAGE_SHORT.1, PAGE_LONG.1, PAGE_LONG.0),
        }
    }
}

fn tag(stretch: i64) -> u64 {
    (stretch as u64) << VALUE_BITS
}

/// A clock that was set back: what was noted behind now is forgotten, and the minute before now with it. Its counters are those
/// of an earlier moment, and beside what is noted now they would be a burst that never was.
fn forget_what_comes(words: &[AtomicU64], stretch: i64) {
    let behind = |word: &AtomicU64| match word.load(Relaxed) {
        0 => 0,
        kept => (kept & !VALUE).wrapping_sub(tag(stretch)) as i64 >> VALUE_BITS,
    };
    if words.iter().any(|word| behind(word) > 0) {
        words.iter().filter(|word| behind(word) >= -LATELY).for_each(|word| word.store(0, Relaxed));
    }
}

/// How a series is now. `most`: of a stretch the largest value counts, not the last one.
pub fn note(words: &[AtomicU64], now_ms: i64, value: u64, most: bool) {
    for span in [Span::Short, Span::Long] {
        let (from, count, step) = span.plan();
        let stretch = now_ms.div_euclid(step);
        forget_what_comes(words.get(from..from + count).unwrap_or_default(), stretch);
        let Some(word) = words.get(from + stretch.rem_euclid(count as i64) as usize) else { continue };
        let before = word.load(Relaxed);
        let kept = if most && before & !VALUE == tag(stretch) { before & VALUE } else { 0 };
        word.store(tag(stretch) | value.min(VALUE).max(kept), Relaxed);
    }
}

/// The values up to this stretch, the oldest first.
pub fn points(words: &[u64], span: Span, now_ms: i64) -> Vec<Option<f64>> {
    values(words, span, now_ms).into_iter().map(|p| p.map(|n| n as f64)).collect()
}

fn values(words: &[u64], span: Span, now_ms: i64) -> Vec<Option<u64>> {
    let (from, count, step) = span.plan();
    let last = now_ms.div_euclid(step);
    let at = |stretch: i64| {
        let word = *words.get(from + stretch.rem_euclid(count as i64) as usize)?;
        (word & !VALUE == tag(stretch) && word != 0).then_some(word & VALUE)
    };
    (last + 1 - count as i64..=last).map(at).collect()
}

/// A counter as so many a second; of this stretch, which is not over, nothing.
pub fn rates(words: &[u64], span: Span, now_ms: i64) -> Vec<Option<f64>> {
    let seconds = span.plan().2 as f64 / 1000.0;
    let points = values(words, span, now_ms);
    let whole = &points[..points.len().saturating_sub(1)];
    whole.windows(2).map(|w| Some(w[1]?.checked_sub(w[0]?)? as f64 / seconds)).collect()
}

/// So many a second in the last minute, as far as that is known, where the counter is at this value now.
pub fn lately(words: &[u64], now_ms: i64, value: u64) -> Option<f64> {
    let step = Span::Short.plan().2;
    let points = values(words, Span::Short, now_ms);
    let (back, before) =
        (2..=LATELY as usize).rev().find_map(|back| Some((back, (*points.iter().rev().nth(back)?)?)))?;
    // It was noted at the end of its stretch, or some seconds before: the last stretch alone would be too short for that.
    let end = (now_ms.div_euclid(step) + 1 - back as i64) * step;
    let seconds = (now_ms - end).max(1000) as f64 / 1000.0;
    Some((value & VALUE).checked_sub(before)? as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Vec<AtomicU64> {
        (0..WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    fn seen(words: &[AtomicU64]) -> Vec<u64> {
        words.iter().map(|w| w.load(Relaxed)).collect()
    }

    #[test]
    fn a_counter_is_a_rate_and_what_is_old_is_gone() {
        let (words, begin) = (series(), 1_795_224_480_000);
        assert!(points(&seen(&words), Span::Short, begin).iter().all(Option::is_none), "nothing yet");
        for i in 0..=300 {
            note(&words, begin + i * 1000, 50 * i as u64, false);
        }
        let now = begin + 300_000;
        let rates = rates(&seen(&words), Span::Short, now);
        assert_eq!(rates.len(), 58);
        assert_eq!(rates.iter().flatten().count(), 19);
        assert!(rates.iter().flatten().all(|r| (r - 50.0).abs() < 1e-9), "{rates:?}");
        let lately = lately(&seen(&words), now, 15_000).unwrap();
        assert!((49.0..52.0).contains(&lately), "{lately}");
        // An hour later all of the quarter is old, the day is not.
        let later = now + 3_600_000;
        assert!(points(&seen(&words), Span::Short, later).iter().all(Option::is_none));
        assert!(points(&seen(&words), Span::Long, later).iter().flatten().count() > 0);
        assert!(points(&seen(&words), Span::Long, now + 2 * 86_400_000).iter().all(Option::is_none));
    }

    #[test]
    fn a_clock_that_is_set_back_is_no_burst() {
        for back in [15_000, 300_000, 1_000_000, 40_000_000] {
            let (words, begin) = (series(), 1_795_224_480_000i64);
            let run = |from: i64, counted: i64| {
                for i in 0..=300 {
                    let (now, value) = (from + i * 1000, 50 * (counted + i) as u64);
                    note(&words, now, value, false);
                    let seen = seen(&words);
                    let all = [Span::Short, Span::Long].map(|span| rates(&seen, span, now)).concat();
                    let most = all.into_iter().flatten().chain(lately(&seen, now, value)).fold(0.0, f64::max);
                    assert!(most < 54.0, "{back}: {most} after {i} s");
                }
            };
            run(begin, 0);
            run(begin + 300_000 - back, 300);
            let rates = rates(&seen(&words), Span::Short, begin + 600_000 - back);
            assert!(rates.iter().flatten().count() >= 18, "what comes afterwards is a curve again");
        }
    }

    #[test]
    fn the_largest_of_a_stretch_stays_and_a_counter_that_began_anew_is_no_rate() {
        let (words, begin) = (series(), 1_795_224_480_000);
        for (at, value) in [(0, 7), (5_000, 9), (10_000, 2), (15_000, 1)] {
            note(&words, begin + at, value, true);
        }
        let seen = seen(&words);
        let last: Vec<_> = values(&seen, Span::Short, begin + 15_000).into_iter().rev().take(3).collect();
        assert_eq!(last, [Some(1), Some(9), None]);
        assert!(rates(&seen, Span::Short, begin + 45_000).iter().all(Option::is_none), "less than before");
        note(&words, begin, u64::MAX, false);
        assert_eq!(words[(begin / 15_000 % 60) as usize].load(Relaxed) & VALUE, VALUE);
    }
}
