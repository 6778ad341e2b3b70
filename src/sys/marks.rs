//! Marks: what each thread of a worker is at, kept in the ring, so that it is known of what the worker has died.
//!
//! A thread that does what may kill it (formats a record, opens a spool) marks it, and takes the mark away behind it. When a
//! worker dies by its own fault the keeper counts the death for every mark that stands: the innocent are among them for once,
//! the guilty one each time. Whoever meets his own deaths again does the thing otherwise, or later.
//!
//! Refuses: to know what the numbers mean; to work without a mark less than with one, when there is no room for more.

use super::ring::{Ring, MARKS};
use crate::limits;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

/// The words of a mark: whose it is, what he is at (0: nothing), at what he was when workers died last, how often in a row
/// at just that, and how often in all since he was well.
const KEY: usize = 0;
const AT: usize = 1;
const LAST: usize = 2;
const THERE: usize = 3;
const ALL: usize = 4;

/// How often workers have died while somebody was at something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deaths {
    /// At what he was the last time; 0: there was no death.
    pub at: u64,
    /// How often in a row at just that.
    pub there: u64,
    /// How often in all since he was well.
    pub all: u64,
}

impl Deaths {
    /// How long after the beginning of a worker that is tried again of which so many have died; not at once, when they are
    /// more than a few: everything else goes on in the meantime.
    pub fn late(&self) -> Duration {
        let (first, most) = limits::LATE_SECONDS;
        let late = |beyond: u64| (first << (beyond - 1).min(20)).min(most);
        Duration::from_secs(self.all.checked_sub(limits::WORKER_FAULTS).filter(|n| *n > 0).map_or(0, late))
    }
}

/// The mark of one thread's work. The default one marks nothing.
#[derive(Debug, Default)]
pub struct Mark {
    place: Option<(Arc<Ring>, usize)>,
}

impl Mark {
    /// The mark of that key, as workers before this one have left it.
    pub fn of(ring: &Arc<Ring>, key: u64) -> Mark {
        let key = key.max(1);
        let held = |slot: &usize| ring.mark(*slot, KEY).load(Ordering::Acquire) == key;
        let free =
            |slot: &usize| ring.mark(*slot, KEY).compare_exchange(0, key, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let slot = (0..MARKS).find(held).or_else(|| (0..MARKS).find(free));
        Mark { place: slot.map(|slot| (ring.clone(), slot)) }
    }

    /// From now on this is what is being done; 0: nothing.
    #[inline]
    pub fn at(&self, what: u64) {
        if let Some((ring, slot)) = &self.place {
            ring.mark(*slot, AT).store(what, Ordering::Release);
        }
    }

    /// The deaths since he was well.
    pub fn deaths(&self) -> Deaths {
        let Some((ring, slot)) = &self.place else { return Deaths::default() };
        let word = |word| ring.mark(*slot, word).load(Ordering::Acquire);
        Deaths { at: word(LAST), there: word(THERE), all: word(ALL) }
    }

    /// It went well: the deaths are forgotten.
    pub fn well(&self) {
        if let Some((ring, slot)) = &self.place {
            if ring.mark(*slot, ALL).load(Ordering::Relaxed) > 0 {
                [LAST, THERE, ALL].into_iter().for_each(|w| ring.mark(*slot, w).store(0, Ordering::Release));
            }
        }
    }
}

impl Drop for Mark {
    /// The work is over: its place is free for another's, unless it remembers deaths.
    fn drop(&mut self) {
        if let Some((ring, slot)) = &self.place {
            ring.mark(*slot, AT).store(0, Ordering::Release);
            if ring.mark(*slot, ALL).load(Ordering::Acquire) == 0 {
                ring.mark(*slot, KEY).store(0, Ordering::Release);
            }
        }
    }
}

/// For the keeper: a worker has died by its own fault, and these were its threads at.
pub fn count_deaths(ring: &Ring) {
    for slot in 0..MARKS {
        let word = |word| ring.mark(slot, word);
        let at = word(AT).swap(0, Ordering::AcqRel);
        if at == 0 {
            continue;
        }
        let again = word(LAST).swap(at, Ordering::AcqRel) == at;
        word(THERE).store(if again { word(THERE).load(Ordering::Relaxed) + 1 } else { 1 }, Ordering::Release);
        word(ALL).fetch_add(1, Ordering::AcqRel);
    }
}

/// For a new worker, before it has threads: nobody is at anything, and places that remember no death are free again.
pub fn begin(ring: &Ring) {
    for slot in 0..MARKS {
        ring.mark(slot, AT).store(0, Ordering::Relaxed);
        if ring.mark(slot, ALL).load(Ordering::Acquire) == 0 {
            ring.mark(slot, KEY).store(0, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guilty_one_is_there_each_time() {
        let ring = Arc::new(Ring::create(4096, 1).unwrap());
        let (one, two) = (Mark::of(&ring, 7), Mark::of(&ring, 8));
        for life in 1..=3u64 {
            one.at(500);
            two.at(life);
            count_deaths(&ring);
        }
        two.at(4);
        two.at(0);
        one.at(500);
        count_deaths(&ring);
        begin(&ring);
        // The next worker finds them; who was well is well.
        let (one, two) = (Mark::of(&ring, 7), Mark::of(&ring, 8));
        assert_eq!(one.deaths(), Deaths { at: 500, there: 4, all: 4 });
        assert_eq!(two.deaths(), Deaths { at: 3, there: 1, all: 3 });
        one.at(501);
        count_deaths(&ring);
        assert_eq!(one.deaths(), Deaths { at: 501, there: 1, all: 5 });
        let late = |all| Deaths { all, ..Deaths::default() }.late().as_secs();
        assert_eq!([0, 3, 4, 5, 6, 12, 13, u64::MAX].map(late), [0, 0, 1, 2, 4, 256, 300, 300]);
        one.well();
        assert_eq!(one.deaths(), Deaths::default());
        count_deaths(&ring);
        assert_eq!(one.deaths(), Deaths::default(), "at nothing when it died");
    }

    #[test]
    fn there_is_room_for_some_and_the_rest_goes_unmarked() {
        let ring = Arc::new(Ring::create(4096, 1).unwrap());
        let all: Vec<Mark> = (1..=MARKS as u64 + 1).map(|key| Mark::of(&ring, key)).collect();
        all.iter().for_each(|m| m.at(1));
        count_deaths(&ring);
        assert_eq!(all.iter().filter(|m| m.deaths().all == 1).count(), MARKS);
        all[0].well();
        begin(&ring);
        for key in 9_000..9_999 {
            let next = Mark::of(&ring, key);
            assert!(next.place.is_some(), "one that is over has made room");
        }
        assert_eq!(Mark::default().deaths().all, 0);
    }
}
