//! The file of a log that is at hand, and whether all there is was read. Refuses: to look for a file.

use super::found::Found;
use crate::audit::record::mark::Mark;
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
}

impl Reading {
    /// From this place on.
    pub fn at(found: Found, mark: Mark) -> Option<Reading> {
        Some(Reading { written: found.modified(), found, mark, turned: false, damaged: false })
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
