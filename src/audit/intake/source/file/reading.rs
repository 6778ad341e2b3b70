//! The file of a log that is at hand, and whether all there is was read. Refuses: to look for a file.

use super::found::Found;
use crate::audit::record::mark::Mark;
use crate::audit::record::EventId;
use crate::limits;
use std::time::{Duration, Instant, SystemTime};

/// Whether all there is was read.
#[derive(Default)]
pub struct Once {
    /// The last byte that was read ends no line, and since when nothing has followed.
    pub half: Option<Instant>,
    /// Something may come of a file that is being packed.
    pub waits: bool,
}

impl Once {
    /// What was read last.
    pub fn see(&mut self, last: u8) {
        self.half = (last != b'\n').then(Instant::now);
    }

    /// Nothing more is there now: whether that is the end. Who writes a line at this moment has a second for its rest.
    pub fn is_over(&self) -> bool {
        let silence = Duration::from_millis(limits::CUT_SILENCE_MILLIS);
        !self.waits && self.half.is_none_or(|since| since.elapsed() >= silence)
    }
}

/// The file at hand.
pub struct Reading {
    /// It.
    pub found: Found,
    /// Where in it reading stands.
    pub mark: Mark,
    /// The ring knows of it.
    pub turned: bool,
    /// When it was written to, as was seen when it was read last.
    pub written: SystemTime,
    /// The rest of it cannot be unpacked, and that was told.
    pub damaged: bool,
    /// The number of the last record, and behind which place.
    last: (u64, Option<EventId>),
}

impl Reading {
    /// From this place on.
    pub fn at(found: Found, mark: Mark) -> Option<Reading> {
        Some(Reading { written: found.modified(), found, mark, turned: false, damaged: false, last: (0, None) })
    }

    /// Looks at the last record that was read, once.
    pub fn see_last(&mut self) {
        if self.last.0 != self.mark.position {
            self.last = (self.mark.position, self.found.event_before(self.mark.position));
        }
    }

    /// The number of that record.
    pub fn last_event(&self) -> Option<EventId> {
        self.last.1
    }

    /// Whether that file begins with the record behind the last one of this.
    pub fn is_followed_by(&self, next: &Found) -> bool {
        let numbers = self.last.1.zip(next.first_event());
        numbers.is_some_and(|(last, first)| last.is_before(first))
    }

    /// The same place in another file with the same beginning.
    pub fn of_copy(found: Found, mark: Mark) -> Option<Reading> {
        Reading::at(found, mark).map(|r| Reading { turned: true, ..r })
    }

    /// From its beginning on.
    pub fn start(found: Found) -> Option<Reading> {
        let (epoch, position) = (found.stream, found.base);
        Reading::at(found, Mark { epoch, position })
    }
}
