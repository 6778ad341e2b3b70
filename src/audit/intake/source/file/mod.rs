//! `--type file`: a log that the database writes to and others rotate, read on from where reading stopped.
//!
//! ```text
//! audit.log.2.gz  audit.log.1  audit.log     oldest first; the mark says which one, and where in it
//! ```
//!
//! A file is known by its beginning (`found`), so it is found again under whatever name, packed as well. One that is renamed
//! is read on until the new one has begun, for until then the database may write to it; of one that is truncated the rest is
//! read from its copy, where there is one. Half a line waits for its rest, unless another file follows. What stands still or
//! cannot be read now is looked at again and again. Of a packed file that is damaged its name and place are told, and reading
//! goes on with the next one: what can be read matters more than where the damage is. With `--once` reading begins with the
//! oldest file and ends behind the newest, with half a line as a record of its own.
//! Refuses: to write, to lock, to end because of what becomes of the file, to read a file again that was read to its end.

mod found;
#[cfg(test)]
mod tests;

use crate::audit::intake::source::{Choice, Kept, Row, Shown, Source};
use crate::audit::record::mark::Mark;
use crate::audit::spool::moment::Input;
use crate::error::{Error, Result};
use crate::flags::text;
use crate::guard::files::Wish;
use crate::sys::filler::{Fill, Filler};
use crate::sys::ring::Word;
use crate::sys::watch::Watch;
use crate::{limits, log, words};
use found::{Candidate, Found, Place};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

/// What is followed where nothing is said, as the withdrawn program did.
const DEFAULT: &str = "audit.log";

/// The row.
pub const ROW: Row = Row {
    name: "file",
    what: text("the log file of --filename", "файл журнала из --filename"),
    rereads: true,
    term_ends: true,
    ends: true,
    is_held: false,
    feed: None,
    prepare,
    wishes: |choice| vec![Wish::Follow(path_of(choice))],
    open: |choice| Box::new(Follow::new(path_of(choice), choice.from_end, choice.once)),
    check,
    is_pressed: |_| false,
};

fn path_of(choice: &Choice) -> PathBuf {
    choice.filename.clone().unwrap_or_else(|| DEFAULT.into())
}

/// What is to be read once has to be there, and to be readable.
fn prepare(choice: &Choice, _: Option<OwnedFd>) -> Result<Shown> {
    let path = path_of(choice);
    if choice.once {
        let failed = |e: &io::Error, path: &Path| Error::failed(format!("cannot read `{}`: {e}", path.display()));
        let all = Place { path: path.clone() }.list().map_err(|e| failed(&e, &path))?;
        if all.is_empty() {
            return Err(failed(&io::ErrorKind::NotFound.into(), &path));
        }
        all.iter().try_for_each(|c| found::readable(&c.path).map_err(|e| failed(&e, &c.path)))?;
    }
    Ok(Shown { what: format!("the file `{}`", path.display()), holds: None })
}

/// Whether it can be read now, or may come.
fn check(choice: &Choice) -> std::result::Result<String, String> {
    let place = Place { path: path_of(choice) };
    let shown = place.path.display();
    let of_dir =
        |e: io::Error| format!("the directory of the log `{shown}` cannot be read: {e}; mend the path or its rights");
    let older = place.list().map_err(of_dir)?.iter().filter(|c| c.path != place.path).count() as u64;
    match found::readable(&place.path) {
        Ok(()) => Ok(format!("the log `{shown}` can be read; {} beside it", words::count(older, "older file"))),
        Err(e) if e.kind() == io::ErrorKind::NotFound && !choice.once => {
            Ok(format!("the log `{shown}` is not there yet: it is waited for"))
        }
        Err(e) => {
            Err(format!("the log `{shown}` cannot be read: {e}; give this user the right, by its group for instance"))
        }
    }
}

/// A log that is followed.
struct Follow {
    place: Place,
    /// Nothing of it was ever kept, and what is there now is not wanted.
    from_end: bool,
    /// It ends behind the newest file; none: it is followed.
    once: Option<Once>,
    /// Where the spool stands; none when that place is found, or there was none.
    kept: Option<Kept>,
    /// Streams that were read to their ends.
    done: Vec<u64>,
    at: Option<Reading>,
    /// The file behind the one at hand: it has begun.
    next: Option<Found>,
    /// Tells of changes, where the kernel can.
    watch: Option<Watch>,
    /// What has happened, to be counted.
    happened: Vec<Word>,
    /// Why it cannot be read.
    wrong: Option<String>,
}

/// Whether all there is was read.
#[derive(Default)]
struct Once {
    /// The last byte that was read ends no line, and since when nothing has followed.
    half: Option<Instant>,
    /// Something may come of a file that is being packed.
    waits: bool,
}

impl Once {
    fn see(&mut self, last: u8) {
        self.half = (last != b'\n').then(Instant::now);
    }

    /// Nothing more is there now: whether that is the end. Who writes a line at this moment has a second for its rest.
    fn is_over(&self) -> bool {
        let silence = Duration::from_millis(limits::CUT_SILENCE_MILLIS);
        !self.waits && self.half.is_none_or(|since| since.elapsed() >= silence)
    }
}

/// The file at hand.
struct Reading {
    found: Found,
    mark: Mark,
    /// The ring knows of it.
    turned: bool,
    /// When it was written to, as was seen when it was read last.
    written: SystemTime,
    /// The rest of it cannot be unpacked, and that was told.
    damaged: bool,
}

impl Reading {
    fn at(found: Found, mark: Mark) -> Option<Reading> {
        Some(Reading { written: found.modified(), found, mark, turned: false, damaged: false })
    }

    /// The same place in another file with the same beginning.
    fn of_copy(found: Found, mark: Mark) -> Option<Reading> {
        Reading::at(found, mark).map(|r| Reading { turned: true, ..r })
    }

    fn start(found: Found) -> Option<Reading> {
        let epoch = found.stream;
        Reading::at(found, Mark { epoch, position: 0 })
    }
}

impl Follow {
    fn new(path: PathBuf, from_end: bool, once: bool) -> Follow {
        let once = once.then(Once::default);
        Follow {
            place: Place { path },
            from_end,
            once,
            kept: None,
            done: Vec::new(),
            at: None,
            next: None,
            watch: None,
            happened: Vec::new(),
            wrong: None,
        }
    }

    fn say(&self, text: &str) {
        log::warn("input", format!("`{}`: {text}", self.place.path.display()));
    }

    /// Where reading begins; none: there is nothing yet.
    fn begin(&mut self) -> io::Result<Option<Reading>> {
        let Some(kept) = &self.kept else { return self.begin_new() };
        let mut all: Vec<Found> = self.place.list()?.iter().filter_map(|c| c.open()).collect();
        // One that is packed beside its packed one is whole.
        let (plain, packed): (Vec<usize>, Vec<usize>) = (0..all.len()).rev().partition(|i| !all[*i].is_packed());
        for i in plain.into_iter().chain(packed) {
            if kept.mark.is_of(all[i].stream) && all[i].holds(kept)? {
                let mark = kept.mark;
                self.kept = None;
                return Ok(Reading::at(all.swap_remove(i), mark));
            }
        }
        let half = kept.mark;
        // Files behind those that were read; first the one that was read in part.
        let read = all.iter().rposition(|f| self.is_done(f) && !half.is_of(f.stream));
        let first = all.iter().position(|f| half.is_of(f.stream)).or(read.map(|n| n + 1)).unwrap_or(0);
        if first >= all.len() {
            return Ok(None);
        }
        let found = all.swap_remove(first);
        let name = found.path.display();
        self.say(&format!(
            "what was read last is gone, or is not what it was: reading goes on at the beginning of `{name}`"
        ));
        self.kept = None;
        let epoch = if half.is_of(found.stream) { half.anew().epoch } else { found.stream };
        Ok(Reading::at(found, Mark { epoch, position: 0 }))
    }

    fn begin_new(&mut self) -> io::Result<Option<Reading>> {
        let from_end = std::mem::take(&mut self.from_end);
        if self.once.is_some() && !from_end {
            return Ok(self.place.list()?.iter().find_map(Candidate::open).and_then(Reading::start));
        }
        let Some(mut found) = self.place.newest() else { return Ok(None) };
        let position = if from_end { found.last_line()? } else { 0 };
        let epoch = found.stream;
        Ok(Reading::at(found, Mark { epoch, position }))
    }

    fn is_done(&self, found: &Found) -> bool {
        self.done.iter().any(|epoch| Mark::from((*epoch, 0)).is_of(found.stream))
    }

    /// That stream is read to its end.
    fn pass(&mut self, epoch: u64) {
        if self.done.len() >= limits::STREAMS_KNOWN {
            self.done.remove(0);
        }
        self.done.push(epoch);
    }

    /// There is no more of the file at hand: what is read then. None: nothing yet. What is still to be read before it changes
    /// is read at the next call.
    fn go_on(&mut self) -> io::Result<Option<Reading>> {
        let Some(at) = &self.at else { return Ok(None) };
        if !at.found.is_whole(at.mark.position)? {
            return self.shortened();
        }
        if self.place.id() == Some(at.found.id) {
            return Ok(None);
        }
        match self.next.take() {
            // It had begun before the last look at the file at hand.
            // By another look, which finds what a rotation may have hidden from the first one.
            Some(_) => {
                let Some(next) = self.behind(at, true)? else { return Ok(None) };
                let epoch = at.mark.epoch;
                self.pass(epoch);
                self.happened.push(Word::Rotations);
                Ok(Reading::start(next))
            }
            None => {
                self.next = self.behind(at, true)?;
                Ok(None)
            }
        }
    }

    /// The file behind this one, by two looks that agree: between a look at the directory and that at a file there may be a
    /// rotation, or the copy of a file may have begun.
    fn behind(&self, at: &Reading, whole: bool) -> io::Result<Option<Found>> {
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
        let all = self.place.list()?;
        // Truncated, it may be another one by now, under whatever name: those are newer that were written after it was read.
        let here = all.iter().rposition(|c| c.id == at.found.id).filter(|_| whole);
        let is_later = |i: usize, c: &found::Candidate| match here {
            Some(here) => i > here,
            None => c.path == self.place.path || c.modified >= at.written,
        };
        let later = all.iter().enumerate().filter(|(i, c)| is_later(*i, c)).filter_map(|(_, c)| c.open());
        Ok(later.into_iter().find(|f| !at.mark.is_of(f.stream) && !self.is_done(f)))
    }

    /// Another file with the same beginning that reaches as far.
    fn copy_of(&self, path: &Path, mark: Mark) -> io::Result<Option<Found>> {
        // One that was renamed between the look at the directory and that at the file is found by the next.
        match self.look_for_copy(path, mark)? {
            None => self.look_for_copy(path, mark),
            found => Ok(found),
        }
    }

    fn look_for_copy(&self, path: &Path, mark: Mark) -> io::Result<Option<Found>> {
        let all = self.place.list()?;
        let copies = all.iter().rev().filter(|c| c.path != path).filter_map(Candidate::open);
        Ok(copies.filter(|f| mark.is_of(f.stream)).find(|f| f.is_whole(mark.position).unwrap_or(false)))
    }

    /// The packed file at hand cannot be unpacked any further: what it was made of is there still, it is being written at this
    /// moment, or it is damaged.
    fn cut_off(&mut self, e: &io::Error) -> io::Result<bool> {
        let Some(at) = &mut self.at else { return Ok(false) };
        let (mark, path) = (at.mark, at.found.path.clone());
        if at.found.is_being_written()? {
            at.found.again();
            self.once.iter_mut().for_each(|o| o.waits = true);
            return Ok(false);
        }
        at.damaged = true;
        self.once.iter_mut().for_each(|o| o.waits = false);
        if let Some(found) = self.copy_of(&path, mark)?.filter(|f| !f.is_packed()) {
            self.at = Reading::of_copy(found, mark);
            return Ok(true);
        }
        let name = path.display();
        let text = format!("`{name}` is damaged behind byte {} of its text ({e}): the rest is lost", mark.position);
        self.happened.push(Word::SourceDamaged);
        log::error("input", format!("{text}; reading goes on with the file behind it"));
        Ok(true)
    }

    /// The file at hand has lost what it had: its copy has the rest, or there is none.
    fn shortened(&mut self) -> io::Result<Option<Reading>> {
        let Some(at) = &self.at else { return Ok(None) };
        let mark = at.mark;
        if let Some(found) = self.copy_of(&self.place.path, mark)? {
            self.say(&format!("it was truncated: the rest is read from `{}`", found.path.display()));
            self.happened.push(Word::Truncations);
            return Ok(Reading::of_copy(found, mark));
        }
        let lost = "it was truncated, and there is no copy: what was not read before is lost";
        if let Some(next) = self.behind(at, false)? {
            self.say(lost);
            self.happened.push(Word::Truncations);
            self.pass(mark.epoch);
            return Ok(Reading::start(next));
        }
        // It may begin as it did: then what is behind its end now was cut off.
        let Some(found) = self.place.newest().filter(|f| mark.is_of(f.stream)) else { return Ok(None) };
        self.say(lost);
        self.happened.push(Word::Truncations);
        let position = found.bytes()?.unwrap_or(0).min(mark.position);
        Ok(Reading::at(found, Mark { position, ..mark.anew() }))
    }

    fn fill_now(&mut self, to: &mut Filler) -> io::Result<Fill> {
        for _ in 0..limits::FOLLOWED_ROUNDS {
            if self.at.is_none() {
                self.at = self.begin()?;
            }
            let Some(at) = &mut self.at else { return Ok(Fill::Nothing) };
            let place = at.mark.into();
            at.turned = at.turned || to.place() == Some(place) || to.turn(place);
            if !at.turned {
                return Ok(Fill::Full);
            }
            let mut last = b'\n';
            let got = to.read_with(|room| match at.damaged {
                true => Ok(0),
                false => {
                    at.found.read(at.mark.position, room).inspect(|n| last = room[..*n].last().copied().unwrap_or(last))
                }
            });
            match got {
                Err(e) if at.found.is_packed() && found::is_damage(&e) => {
                    if !self.cut_off(&e)? {
                        return Ok(Fill::Nothing);
                    }
                    continue;
                }
                Err(e) => return Err(e),
                Ok(Fill::Bytes(n)) => {
                    self.once.iter_mut().for_each(|o| o.see(last));
                    at.mark = at.mark.behind(n);
                    at.written = at.found.modified();
                    return Ok(Fill::Bytes(n));
                }
                Ok(Fill::Full) => return Ok(Fill::Full),
                Ok(Fill::Nothing | Fill::End) => {}
            }
            match self.go_on()? {
                Some(reading) => self.at = Some(reading),
                None if self.next.is_some() => {}
                None => return Ok(Fill::Nothing),
            }
        }
        Ok(Fill::Nothing)
    }
}

impl Source for Follow {
    fn resume(&mut self, kept: Kept, _: &mut Filler) {
        self.done.clone_from(&kept.streams);
        self.kept = Some(kept).filter(|k| k.mark.rereads());
    }

    fn fill(&mut self, to: &mut Filler) -> io::Result<Fill> {
        let got = self.fill_now(to);
        if self.once.is_some() && got.is_err() {
            self.happened.push(Word::SourceDamaged);
        }
        for what in self.happened.drain(..) {
            to.ring().word(what).fetch_add(1, Ordering::Relaxed);
        }
        self.wrong = got.as_ref().err().map(|e| format!("`{}`: cannot be read: {e}", self.place.path.display()));
        if matches!(got, Ok(Fill::Nothing)) && self.once.as_ref().is_some_and(Once::is_over) {
            return Ok(Fill::End);
        }
        if self.once.is_some() && got.is_err() {
            // Nobody waits for what cannot be read.
            return got;
        }
        Ok(got.unwrap_or_else(|e| {
            self.say(&format!("cannot be read: {e}; trying again"));
            // It may be another one that has the name: on a file server files come back under new handles.
            if let Some(at) = self.at.take() {
                self.kept = Some(Kept { mark: at.mark, ..Kept::default() });
            }
            self.next = None;
            Fill::Nothing
        }))
    }

    fn standing(&mut self) -> Option<Input> {
        let all = self.place.look().unwrap_or_default();
        let bytes = |all: &[Candidate]| all.iter().map(|c| c.bytes).sum();
        let Some(at) = &mut self.at else {
            let wrong = found::readable(&self.place.path).err().filter(|e| e.kind() != io::ErrorKind::NotFound);
            let wrong = wrong.map(|e| format!("`{}` cannot be read: {e}", self.place.path.display()));
            let behind = all.last().filter(|c| c.path == self.place.path).map_or(0, |c| c.bytes);
            let at = self.place.path.display().to_string();
            return Some(Input { at, behind, wrong: self.wrong.clone().or(wrong), ..Input::default() });
        };
        let here = all.iter().rposition(|c| c.id == at.found.id);
        let rest = at.found.bytes().ok().flatten().map_or(0, |n| n.saturating_sub(at.mark.position));
        let behind = rest + here.map_or(0, |here| bytes(&all[here + 1..]));
        let oldest_ms = if rest > 0 { at.found.time_behind(at.mark.position) } else { None };
        let next = here.and_then(|here| all.get(here + 1)).filter(|_| behind > 0).and_then(Candidate::modified_ms);
        let name = here.map_or(&at.found.path, |here| &all[here].path).display().to_string();
        let (offset, wrong) = (at.mark.position, self.wrong.clone());
        Some(Input { at: name, offset, behind, oldest_ms: oldest_ms.or(next), wrong })
    }

    fn wait(&mut self, patience: Option<Duration>) -> io::Result<bool> {
        if self.watch.is_none() {
            self.watch = Watch::of(found::dir_of(&self.place.path)).ok();
        }
        let look = match self.watch {
            Some(_) => Duration::from_millis(limits::FOLLOWED_WATCHED_MILLIS),
            None => Duration::from_millis(limits::FOLLOWED_LOOK_MILLIS),
        };
        let until = Instant::now() + patience.unwrap_or(look);
        loop {
            if self.at.as_ref().is_some_and(|at| at.found.bytes().is_ok_and(|n| n > Some(at.mark.position))) {
                return Ok(true);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            match &self.watch {
                // Whatever happens there may be one of its older files, or none of its; what lasts is seen at the next look.
                Some(watch) if watch.wait(left.min(look))? => {
                    std::thread::sleep(Duration::from_millis(limits::FOLLOWED_PAUSE_MILLIS));
                    return Ok(true);
                }
                Some(_) => {}
                None => std::thread::sleep(left.min(look)),
            }
        }
    }
}
