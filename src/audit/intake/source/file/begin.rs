//! Where reading of a log begins: where the spool stands, or behind what was read last when that is gone, or anew.
//!
//! Refuses: to pass over what may hold an event that was not read.

use super::found::Found;
use super::reading::Reading;
use super::Follow;
use crate::audit::record::mark::Mark;
use crate::audit::record::EventId;
use crate::sys::ring::Word;
use std::io;

impl Follow {
    /// Where reading begins; none: there is nothing yet.
    pub(super) fn begin(&mut self) -> io::Result<Option<Reading>> {
        let Some(kept) = &self.kept else { return self.begin_new() };
        let (mut all, wrong) = self.all()?;
        // One that is packed beside its packed one is whole.
        let (plain, packed): (Vec<usize>, Vec<usize>) = (0..all.len()).rev().partition(|i| !all[*i].is_packed());
        for i in plain.into_iter().chain(packed) {
            if kept.mark.is_of(all[i].stream) && all[i].holds(kept)? {
                let mark = kept.mark;
                (self.kept, self.held) = (None, None);
                return Ok(Reading::at(all.swap_remove(i), mark));
            }
        }
        let half = kept.mark;
        if let Some(e) = wrong {
            // It may be the one.
            return Err(e);
        }
        if let Some(held) = self.held.take_if(|r| r.found.is_whole(r.mark.position).is_ok_and(|whole| whole)) {
            self.kept = None;
            return Ok(Some(held));
        }
        let Some(first) = self.behind_what_is_gone(&mut all, half) else { return Ok(None) };
        let found = all.swap_remove(first);
        let (log, name) = (self.place.path.display(), found.path.display());
        let text = "what was read last is gone, or is not what it was: reading goes on at the beginning of";
        self.skip(Word::SourceGone, format!("`{log}`: {text} `{name}`"));
        (self.kept, self.held) = (None, None);
        let epoch = if half.is_of(found.stream) { half.anew().epoch } else { found.stream };
        let position = found.base;
        Ok(Reading::at(found, Mark { epoch, position }))
    }

    /// Which one is read when what was read last is gone. None: nothing that is there is behind it.
    fn behind_what_is_gone(&self, all: &mut [Found], half: Mark) -> Option<usize> {
        // Files behind those that were read; first the one that was read in part.
        let read = all.iter().rposition(|f| self.is_done(f) && !half.is_of(f.stream)).map(|n| n + 1);
        let known = all.iter().position(|f| half.is_of(f.stream)).or(read);
        let first = known.or_else(|| first_behind(all, self.event?));
        let is_newest = |f: &Found| Some(f.id) == self.place.id();
        if first.is_none() && self.event.is_some() && self.once.is_none() && !all.last().is_some_and(is_newest) {
            // An archive that was never wanted, as it seems: what begins the new one says it.
            return None;
        }
        Some(first.unwrap_or(0)).filter(|n| *n < all.len())
    }

    fn begin_new(&mut self) -> io::Result<Option<Reading>> {
        if self.once.is_some() && !self.from_end {
            return self.begin_oldest();
        }
        let found = self.newest()?;
        let from_end = std::mem::take(&mut self.from_end);
        let Some(mut found) = found else { return Ok(None) };
        let position = if from_end { found.last_line()? } else { found.base };
        let epoch = found.stream;
        Ok(Reading::at(found, Mark { epoch, position }))
    }

    fn begin_oldest(&mut self) -> io::Result<Option<Reading>> {
        let (found, waits) = self.steadily(|all| {
            for c in all {
                match self.open(c)? {
                    None if self.is_to_come(c) => return Ok((None, true)),
                    None => {}
                    found => return Ok((found, false)),
                }
            }
            Ok((None, false))
        })?;
        self.once.iter_mut().for_each(|o| o.waits = waits);
        Ok(found.and_then(Reading::start))
    }
}

/// The first of these that may hold an event behind the last one, by their numbers; none: none does.
fn first_behind(all: &mut [Found], last: EventId) -> Option<usize> {
    let behind = |f: &Found| f.first_event().is_some_and(|first| last.is_below(first));
    let mut first = all.iter().position(behind).unwrap_or(all.len());
    // One that begins before it may reach behind it.
    while first > 0 && all[first - 1].last_event().is_none_or(|e| e.raft_id != last.raft_id || last.is_below(e)) {
        first -= 1;
    }
    (first < all.len()).then_some(first)
}

#[cfg(test)]
mod tests {
    use crate::audit::intake::source::file::tests::Den;
    use crate::audit::intake::source::Kept;
    use crate::audit::record::EventId;
    use crate::sys::ring::Word;
    use std::fs;

    fn record(count: u64) -> String {
        format!("{{\"id\":\"1.7.{count}\",\"message\":\"x\"}}\n")
    }

    /// The log as it is left: `count` was read of it, and it is gone.
    fn left(name: &str, count: u64) -> (Den, Kept) {
        let den = Den::new(&format!("behind-{name}"));
        fs::create_dir(den.path("old")).unwrap();
        den.add("log", &record(count), 1000);
        let mut reader = den.reader(false, Kept::default());
        assert_eq!(reader.more(), record(count));
        let event = Some(EventId { raft_id: 1, gen: 7, count });
        let kept = Kept { event, ..reader.kept(record(count).trim_end()) };
        fs::remove_file(den.path("log")).unwrap();
        (den, kept)
    }

    #[test]
    fn an_archive_that_was_never_wanted_is_not_read_when_the_log_is_gone() {
        let (den, kept) = left("archive", 9);
        for (name, count) in [("old/log-20261101", 1), ("old/log-20261102", 3), ("old/log-20261103", 5)] {
            den.add(name, &format!("{}{}", record(count), record(count + 1)), count);
        }
        den.pack("old/log-20261103");
        let mut reader = den.reader(false, kept.clone());
        assert_eq!(reader.more(), "", "the new one is waited for");
        den.add("log", &record(11), 2000);
        assert_eq!((reader.more(), reader.skipped), (record(11), vec![Word::SourceGone]));
        // Which of them is wanted nobody can say without numbers.
        fs::remove_file(den.path("log")).unwrap();
        let all = [[1, 2], [3, 4], [5, 6]].map(|two| two.map(record).concat()).join("|");
        assert_eq!(den.reader(false, Kept { event: None, ..kept }).more(), all);
    }

    #[test]
    fn nothing_that_came_behind_what_is_gone_is_passed_over() {
        let (den, kept) = left("new", 9);
        den.add("old/log.5", &record(1), 900);
        den.add("log.3", &format!("{}{}", record(2), record(10)), 1100);
        den.pack("log.3");
        den.add("log.2", "garbage\n", 1200);
        den.add("log.1", &record(11), 1300);
        den.add("log", &record(12), 1400);
        let all = format!("{}{}|garbage\n|{}|{}", record(2), record(10), record(11), record(12));
        let mut reader = den.reader(false, kept.clone());
        assert_eq!((reader.more(), reader.skipped), (all, vec![Word::SourceGone]));
        // An instance that was made anew counts from the beginning: nobody knows since when.
        let (den, kept) = left("anew", 9);
        den.add("log.1", &record(1), 1300);
        den.add("log", &record(2), 1400);
        assert_eq!(den.reader(false, kept).more(), format!("{}|{}", record(1), record(2)));
    }
}
