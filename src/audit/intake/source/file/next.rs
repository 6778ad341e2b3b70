//! Which file of a log is the next one: by times and names, and where these mislead by the numbers of the records.
//!
//! Refuses: to look into files that are older, as long as the next one goes on where the last one ends.

use super::found::Found;
use super::place::Candidate;
use super::reading::Reading;
use super::Follow;
use crate::limits;
use std::io;

impl Follow {
    /// The file behind this one, by two looks that agree: between a look at the directory and that at a file there may be a
    /// rotation, or the copy of a file may have begun.
    pub(super) fn behind(&self, at: &Reading, whole: bool) -> io::Result<Option<Found>> {
        let mut before = self.look_behind(at, whole)?;
        for _ in 0..limits::FOLLOWED_LOOKS {
            let now = self.look_behind(at, whole)?;
            if now.as_ref().map(|f| f.stream) == before.map(|f| f.stream) {
                return Ok(now);
            }
            before = now;
        }
        Ok(None)
    }

    /// The file behind this one, if it has begun. `whole`: it is what it was, so that its place says which are newer.
    fn look_behind(&self, at: &Reading, whole: bool) -> io::Result<Option<Found>> {
        self.steadily(|all| {
            // Truncated, it may be another one by now, under whatever name: those are newer that were written after it was read.
            let here = all.iter().rposition(|c| c.id == at.found.id).filter(|_| whole);
            let is_later = |i: usize, c: &Candidate| match here {
                Some(here) => i > here,
                None => c.path == self.place.path || c.modified >= at.written,
            };
            let mut next = None;
            for (_, c) in all.iter().enumerate().filter(|(i, c)| is_later(*i, c)) {
                match self.open(c)? {
                    Some(f) if self.is_unread(&f, at) => {
                        next = Some(f);
                        break;
                    }
                    None if self.is_to_come(c) => return Ok(None),
                    _ => {}
                }
            }
            let astray = match &next {
                Some(next) => !at.is_followed_by(next),
                None => self.once.is_some(),
            };
            let hidden = if astray { self.hidden(all, at) } else { None };
            Ok(hidden.or(next))
        })
    }

    fn is_unread(&self, found: &Found, at: &Reading) -> bool {
        !at.mark.is_of(found.stream) && !self.is_done(found)
    }

    /// A clock that was set back gives a newer file an older time, and a name with an older date: it is known by its first
    /// record, which has the number behind the last one of the file at hand.
    fn hidden(&self, all: &[Candidate], at: &Reading) -> Option<Found> {
        let files = all.iter().filter_map(|c| self.open(c).ok().flatten());
        files.filter(|f| self.is_unread(f, at)).find(|f| at.is_followed_by(f))
    }
}
