//! Which file of a log is the next one: by times and names, and where these mislead by the numbers of the records.
//!
//! Refuses: to look into files that are older, as long as the next one goes on where the last one ends.

use super::found::Found;
use super::place::{number_of, Candidate};
use super::reading::Reading;
use super::Follow;
use crate::audit::record::EventId;
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
            for (i, c) in all.iter().enumerate().filter(|(i, c)| is_later(*i, c)) {
                match self.open(c)? {
                    Some(f) if self.is_unread(&f, at) => {
                        next = Some((i, f));
                        break;
                    }
                    None if self.is_to_come(c) => return Ok(None),
                    _ => {}
                }
            }
            let astray = match &next {
                Some((_, next)) => !at.is_followed_by(next),
                None => self.once.is_some(),
            };
            match at.last_event().filter(|_| astray) {
                Some(last) => self.by_number(all, (at, last), next),
                None => Ok(next.map(|(_, f)| f)),
            }
        })
    }

    fn is_unread(&self, found: &Found, at: &Reading) -> bool {
        !at.mark.is_of(found.stream) && !self.is_done(found)
    }

    /// A clock that was set back gives a newer file an older time, and a name with an older date: it is known by the number of
    /// its first record, the least one behind the last of the file at hand. What stands behind `next` comes after it anyway,
    /// so where `next` has no number to be compared, that file goes before it only which would else stay behind.
    fn by_number(
        &self,
        all: &[Candidate],
        (at, last): (&Reading, EventId),
        next: Option<(usize, Found)>,
    ) -> io::Result<Option<Found>> {
        let first = next.as_ref().and_then(|(_, f)| f.first_event()).filter(|first| first.raft_id == last.raft_id);
        let next_at = next.as_ref().map_or(all.len(), |(i, _)| *i);
        let mut least = first.filter(|first| last.is_below(*first));
        let anywhere = least.is_some();
        let (mut found, mut wrong, mut waits) = (next.map(|(_, f)| f), None, false);
        for (i, c) in all.iter().enumerate() {
            match self.open(c) {
                Ok(Some(f)) if self.is_unread(&f, at) => {
                    let Some(number) = f.first_event().filter(|n| last.is_below(*n)) else { continue };
                    if last.is_before(number) && (first.is_some() || i < next_at) {
                        return Ok(Some(f));
                    }
                    if (anywhere || i < next_at) && least.is_none_or(|least| number < least) {
                        (least, found) = (Some(number), Some(f));
                    }
                }
                Ok(None) => waits |= self.is_to_come(c),
                Ok(_) => {}
                Err(e) if wrong.is_none() && may_be_newer(c, all, at) => wrong = Some(e),
                Err(_) => {}
            }
        }
        match wrong {
            // It may be the one.
            Some(e) => Err(e),
            None => Ok(found.filter(|_| !waits)),
        }
    }
}

/// Whether it may have been rotated after the file at hand. No clock changes the numbers that a rotation gives.
fn may_be_newer(c: &Candidate, all: &[Candidate], at: &Reading) -> bool {
    let here = all.iter().find(|c| c.id == at.found.id).filter(|here| here.path.parent() == c.path.parent());
    let numbers = here.and_then(|here| number_of(&here.path)).zip(number_of(&c.path));
    c.bytes > 0 && numbers.is_none_or(|(here, other)| other < here)
}

#[cfg(test)]
mod tests {
    use crate::audit::intake::source::file::tests::Den;
    use crate::audit::intake::source::Kept;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// Long after this test runs.
    const LATE: u64 = 4_000_000_000;

    fn record(number: &str) -> String {
        match number.contains('.') {
            true => format!("{{\"id\":\"{number}\",\"message\":\"x\"}}\n"),
            false => format!("{number}\n"),
        }
    }

    /// The file at hand ends with `last`; while nobody reads these come: name, first line, time.
    fn read(name: &str, last: &str, files: &[(&str, &str, u64)]) -> String {
        let den = Den::new(&format!("order-{name}"));
        den.add("log", &record(last), 1000);
        let mut reader = den.reader(false, Kept::default());
        assert_eq!(reader.more(), record(last));
        let kept = reader.kept(record(last).trim_end());
        den.rename("log", "log.9");
        files.iter().for_each(|(name, first, second)| den.add(name, &record(first), *second));
        let while_it_runs = reader.more();
        assert_eq!(den.reader(false, kept).more(), while_it_runs, "{name}: while it was away");
        while_it_runs.replace("{\"id\":\"", "").replace("\",\"message\":\"x\"}", "").replace('\n', "")
    }

    /// A reboot sets the clock back and begins another life of the instance at once.
    #[test]
    fn a_file_of_another_life_is_read_in_its_turn_whatever_the_clock_says() {
        let read = |name: &str, files: &[(&str, &str, u64)]| read(name, "1.7.9", files);
        assert_eq!(read("reboot", &[("log.1", "1.8.1", 100), ("log", "1.8.2", 2000)]), "1.8.1|1.8.2");
        let lives = [("log.2", "1.9.1", 100), ("log.1", "1.11.4", 200), ("log", "1.12.1", 2000)];
        assert_eq!(read("lives", &lives), "1.9.1|1.11.4|1.12.1", "lives that left nothing, and a gap");
        // The first record of another life does not follow as long as there are more of this one.
        let more = [("log.2", "1.7.10", 100), ("log.1", "1.8.1", 1100), ("log", "1.8.2", 1200)];
        assert_eq!(read("more", &more), "1.7.10|1.8.1|1.8.2");
        let swapped = [("log.2", "1.8.1", 1100), ("log.1", "1.7.12", 1200), ("log", "1.9.1", 1300)];
        assert_eq!(read("swapped", &swapped), "1.7.12|1.8.1|1.9.1");
    }

    #[test]
    fn what_has_no_number_to_be_compared_is_read_where_it_stands() {
        let garbage = [("log.2", "garbage", 1100), ("log.1", "1.7.50", 1200), ("log", "1.7.60", 1300)];
        assert_eq!(read("garbage", "1.7.9", &garbage), "garbage|1.7.50|1.7.60");
        let at_once = [("log.2", "garbage", 1100), ("log.1", "1.7.10", 1200), ("log", "1.7.11", 1300)];
        assert_eq!(read("at-once", "1.7.9", &at_once), "garbage|1.7.10|1.7.11");
        let hidden = [("log.2", "1.7.50", 100), ("log.1", "garbage", 1200), ("log", "1.7.60", 1300)];
        assert_eq!(read("hidden", "1.7.9", &hidden), "1.7.50|garbage|1.7.60");
        // The instance was made anew, and that of another node.
        assert_eq!(read("anew", "1.9.9", &[("log.1", "1.0.1", 1100), ("log", "1.10.1", 1200)]), "1.0.1|1.10.1");
        assert_eq!(read("node", "1.9.9", &[("log.1", "2.0.1", 1100), ("log", "2.0.2", 1200)]), "2.0.1|2.0.2");
    }

    /// A file of the system that nobody may open for reading, not even root, stands for one that has no rights yet.
    #[test]
    fn one_that_cannot_be_read_and_may_be_the_next_one_is_waited_for() {
        let shut = "/sys/bus/platform/drivers_probe";
        assert!(fs::metadata(shut).is_ok_and(|m| m.len() > 0) && fs::File::open(shut).is_err());
        let den = Den::new("shut");
        den.add("log", &record("1.7.1"), LATE);
        let mut reader = den.reader(false, Kept::default());
        assert_eq!(reader.more(), record("1.7.1"));
        let kept = reader.kept(record("1.7.1").trim_end());
        den.rename("log", "log.2");
        symlink(shut, den.path("log.1")).unwrap();
        den.add("log", &record("1.8.5"), LATE + 1);
        for mut reader in [reader, den.reader(false, kept.clone())] {
            assert_eq!(reader.more(), "");
            let wrong = reader.source.wrong.unwrap();
            assert!(wrong.contains("log.1`: ") && wrong.contains("or move it away"), "{wrong}");
        }
        let mut reader = den.reader(false, kept.clone());
        assert_eq!(reader.more(), "");
        fs::remove_file(den.path("log.1")).unwrap();
        den.add("log.1", &record("1.8.1"), 100);
        assert_eq!(reader.more(), format!("{}|{}", record("1.8.1"), record("1.8.5")));
        // Where the next one goes on it is not asked for, nor is one that is older by its number.
        fs::remove_file(den.path("log.1")).unwrap();
        symlink(shut, den.path("log.3")).unwrap();
        assert_eq!(den.reader(false, kept.clone()).more(), record("1.8.5"));
        symlink(shut, den.path("log.1")).unwrap();
        den.add("log.0", &record("1.7.2"), LATE + 1);
        assert_eq!(den.reader(false, kept).more(), format!("{}|{}", record("1.7.2"), record("1.8.5")));
    }
}
