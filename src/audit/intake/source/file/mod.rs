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

#[cfg(test)]
mod attacks;
mod begin;
mod found;
mod next;
mod place;
mod reading;
#[cfg(test)]
mod tests;
mod text;

use crate::audit::intake::source::{Choice, Kept, Row, Shown, Source};
use crate::audit::record::mark::Mark;
use crate::audit::record::EventId;
use crate::audit::spool::moment::Input;
use crate::error::{Error, Result};
use crate::flags;
use crate::guard::files::Wish;
use crate::sys::filler::{Fill, Filler};
use crate::sys::ring::Word;
use crate::sys::watch::Watch;
use crate::{limits, log, words};
use found::Found;
use place::{Candidate, Place};
use reading::{Once, Reading};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What is followed where nothing is said, as the withdrawn program did.
const DEFAULT: &str = "audit.log";

/// What is to be done about one that cannot be read.
const CURE: &str = "give this user the right to read it, or move it away if nothing of it is wanted";

/// The row.
pub const ROW: Row = Row {
    name: "file",
    what: flags::text("the log file of --filename", "файл журнала из --filename"),
    rereads: true,
    term_ends: true,
    options: &["filename", "old-dir", "read-from", "once"],
    is_held: false,
    feed: None,
    prepare,
    wishes: |choice| {
        [Wish::Follow(path_of(choice))].into_iter().chain(choice.old_dir.clone().map(Wish::List)).collect()
    },
    open: |choice| Box::new(Follow::new(place_of(choice), choice.from_end, choice.once)),
    check,
    is_pressed: |_| false,
};

fn path_of(choice: &Choice) -> PathBuf {
    choice.filename.clone().unwrap_or_else(|| DEFAULT.into())
}

fn place_of(choice: &Choice) -> Place {
    Place { path: path_of(choice), old_dir: choice.old_dir.clone() }
}

/// What is to be read once has to be there, and to be readable.
fn prepare(choice: &Choice, _: Option<OwnedFd>) -> Result<Shown> {
    let path = path_of(choice);
    if choice.once {
        let failed = |e: &io::Error, path: &Path| Error::failed(format!("cannot read `{}`: {e}", path.display()));
        let all = place_of(choice).list().map_err(|e| failed(&e, &path))?;
        if all.is_empty() {
            text::readable(&path).map_err(|e| failed(&e, &path))?;
        }
        all.iter().try_for_each(|c| text::readable(&c.path).map_err(|e| failed(&e, &c.path)))?;
    }
    Ok(Shown { what: format!("the file `{}`{}", path.display(), old_dir_of(choice)), holds: None })
}

/// What is to be said of the other directory.
fn old_dir_of(choice: &Choice) -> String {
    choice.old_dir.as_ref().map_or_else(String::new, |dir| match std::fs::read_dir(dir) {
        Ok(_) => format!(", older ones in `{}` too", dir.display()),
        Err(e) => format!(", older ones in `{}` too, which cannot be read yet: {e}", dir.display()),
    })
}

/// Whether it can be read now, or may come.
fn check(choice: &Choice) -> std::result::Result<String, String> {
    let place = place_of(choice);
    let shown = place.path.display();
    let of_dir = |e: io::Error| match e.kind() {
        // It has a cure of its own.
        io::ErrorKind::Other => format!("the older files of the log `{shown}` cannot be told apart: {e}"),
        _ => format!("the directory of the log `{shown}` cannot be read: {e}; mend the path or its rights"),
    };
    let older = place.list().map_err(of_dir)?.iter().filter(|c| c.path != place.path).count() as u64;
    match text::readable(&place.path) {
        Ok(()) => {
            let older = words::count(older, "older file");
            Ok(format!("the log `{shown}` can be read; {older} beside it{}", old_dir_of(choice)))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound && !choice.once => {
            Ok(format!("the log `{shown}` is not there yet: it is waited for"))
        }
        Err(e) if e.kind() == io::ErrorKind::Other => Err(format!("the log `{shown}` cannot be read: {e}")),
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
    /// The number of the last event that was read, or of one before it.
    event: Option<EventId>,
    at: Option<Reading>,
    /// It could not be read; found again under no name, it may be read on all the same.
    held: Option<Reading>,
    /// It has more than was read, which cannot be read now.
    stuck: bool,
    /// The file behind the one at hand: it has begun.
    next: Option<Found>,
    /// Tells of changes, where the kernel can.
    watch: Option<Watch>,
    /// What has happened, to be counted.
    happened: Vec<Word>,
    /// What was skipped, to be told.
    skipped: Vec<(Word, String)>,
    /// Why it cannot be read.
    wrong: Option<String>,
}

impl Follow {
    fn new(place: Place, from_end: bool, once: bool) -> Follow {
        let once = once.then(Once::default);
        Follow {
            place,
            from_end,
            once,
            kept: None,
            done: Vec::new(),
            event: None,
            at: None,
            held: None,
            stuck: false,
            next: None,
            watch: None,
            happened: Vec::new(),
            skipped: Vec::new(),
            wrong: None,
        }
    }

    fn say(&self, text: &str) {
        log::warn("input", format!("`{}`: {text}", self.place.path.display()));
    }

    /// What was there is not to be had any more: told, before anything else is read.
    fn skip(&mut self, what: Word, text: String) {
        log::warn("input", &text);
        self.skipped.push((what, text));
    }

    /// This file, when it has begun. Of what has nothing more to come half a line is a beginning.
    fn open(&self, c: &Candidate) -> io::Result<Option<Found>> {
        let ends = c.is_silent() && (self.once.is_some() || c.path != self.place.path);
        Found::of(c, ends).map_err(|e| io::Error::new(e.kind(), format!("`{}`: {e}; {CURE}", c.path.display())))
    }

    /// Whether it may begin yet.
    fn is_to_come(&self, c: &Candidate) -> bool {
        c.bytes > 0 && !c.is_silent() && (self.once.is_some() || c.path != self.place.path)
    }

    /// The newest one, when it has begun.
    fn newest(&self) -> io::Result<Option<Found>> {
        self.place.newest()?.map_or(Ok(None), |c| self.open(&c))
    }

    /// What comes of looking into the files, none of which was renamed meanwhile: else one that is sought would be missed.
    fn steadily<T>(&self, look: impl Fn(&[Candidate]) -> io::Result<T>) -> io::Result<T> {
        let mut before = self.place.list()?;
        for _ in 0..limits::FOLLOWED_LOOKS {
            let got = look(&before);
            let now = self.place.list()?;
            if place::names(&now) == place::names(&before) {
                return got;
            }
            before = now;
        }
        Err(io::Error::other("its older files are renamed all the time"))
    }

    /// All that have begun, and what keeps one from being read.
    fn all(&self) -> io::Result<(Vec<Found>, Option<io::Error>)> {
        self.steadily(|candidates| {
            let (mut all, mut wrong) = (Vec::new(), None);
            for c in candidates {
                match self.open(c) {
                    Ok(found) => all.extend(found),
                    Err(e) => wrong = Some(e),
                }
            }
            Ok((all, wrong))
        })
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
        let Some(at) = &mut self.at else { return Ok(None) };
        if !at.found.is_whole(at.mark.position)? {
            return self.shortened();
        }
        if self.place.id() == Some(at.found.id) {
            return Ok(None);
        }
        at.see_last();
        // It had begun before the last look at the file at hand.
        let had_begun = self.next.take().is_some();
        let Some(at) = &self.at else { return Ok(None) };
        let next = self.behind(at, true)?;
        match next {
            // By another look, which finds what a rotation may have hidden from the first one.
            Some(next) if had_begun => {
                let epoch = at.mark.epoch;
                self.pass(epoch);
                self.happened.push(Word::Rotations);
                return Ok(Reading::start(next));
            }
            Some(next) => self.next = Some(next),
            None if !had_begun => return self.begun_alike(),
            None => {}
        }
        Ok(None)
    }

    /// The newest file begins as the one at hand does, or one that was read: it is a copy, in which the log goes on, or another
    /// file with the same first line, or an old one that was put back.
    fn begun_alike(&mut self) -> io::Result<Option<Reading>> {
        let found = self.newest()?;
        let Some(at) = &mut self.at else { return Ok(None) };
        let Some(mut found) = found.filter(|f| f.id != at.found.id) else { return Ok(None) };
        let (mark, bytes) = (at.mark, found.bytes()?.unwrap_or(0));
        let same = mark.is_of(found.stream);
        if same && at.found.agrees(&mut found, mark.position)? {
            // Until there is more in it the other one may be written to.
            let at_end = at.found.bytes()?.is_none_or(|n| n <= mark.position);
            return Ok(if bytes > mark.position && at_end { Reading::of_copy(found, mark) } else { None });
        }
        if !same && !self.is_done(&found) {
            return Ok(None);
        }
        self.say("it begins as a file that was read before: it is read from its beginning, so records may come twice");
        self.happened.push(Word::Rotations);
        Ok(self.anew(found))
    }

    /// A file that begins as one did that was read before.
    fn anew(&mut self, found: Found) -> Option<Reading> {
        self.at.iter().map(|at| at.mark.epoch).collect::<Vec<u64>>().into_iter().for_each(|epoch| self.pass(epoch));
        let before = self.done.iter().rev().find(|epoch| Mark::from((**epoch, 0)).is_of(found.stream));
        let mark = Mark { epoch: before.copied().unwrap_or(found.stream), position: found.base };
        Reading::at(found, mark.anew())
    }

    /// Another file with the same beginning that reaches as far.
    fn copy_of(&self, path: &Path, mark: Mark) -> io::Result<Option<Found>> {
        let (all, wrong) = self.all()?;
        let mut copies = all.into_iter().rev().filter(|f| f.path != path && mark.is_of(f.stream));
        match (copies.find(|f| f.is_whole(mark.position).unwrap_or(false)), wrong) {
            // It may be the one.
            (None, Some(e)) => Err(e),
            (found, _) => Ok(found),
        }
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
        if path.with_extension("").exists() {
            // Whoever packed it did not come to its end, and left the plain one.
            return Ok(true);
        }
        let name = path.display();
        let text = format!("`{name}` is damaged behind byte {} of its text ({e}): the rest is lost", mark.position);
        self.skip(Word::SourceDamaged, text);
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
        let log = self.place.path.display();
        let lost = format!("`{log}`: it was truncated, and there is no copy: what was not read before is lost");
        if let Some(next) = self.behind(at, false)? {
            self.skip(Word::TruncatedUnread, lost);
            self.happened.push(Word::Truncations);
            self.pass(mark.epoch);
            return Ok(Reading::start(next));
        }
        // It may begin as it did: then what is behind its end now was cut off, or it was written anew.
        let Some(found) = self.newest()?.filter(|f| mark.is_of(f.stream) || self.is_done(f)) else { return Ok(None) };
        self.skip(Word::TruncatedUnread, lost);
        self.happened.push(Word::Truncations);
        let bytes = found.bytes()?.unwrap_or(0);
        Ok(match mark.is_of(found.stream) && bytes < mark.position {
            true => Reading::at(found, Mark { position: bytes, ..mark.anew() }),
            false => self.anew(found),
        })
    }

    /// There is more of the file at hand, as far as it can be read.
    fn has_grown(&self) -> bool {
        let more = |at: &Reading| at.found.bytes().is_ok_and(|n| n > Some(at.mark.position));
        !self.stuck && self.at.as_ref().is_some_and(more)
    }

    fn fill_now(&mut self, to: &mut Filler) -> io::Result<Fill> {
        for _ in 0..limits::FOLLOWED_ROUNDS {
            if self.at.is_none() {
                self.at = self.begin()?;
            }
            if self.at.is_none() && self.skipped.is_empty() {
                self.place.refuse()?;
            }
            if !self.skipped.is_empty() {
                return Ok(Fill::Bytes(0));
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
                Err(e) if at.found.is_packed() && text::is_damage(&e) => {
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
        (self.done, self.event) = (kept.streams.clone(), kept.event);
        self.kept = Some(kept).filter(|k| k.mark.rereads());
    }

    fn fill(&mut self, to: &mut Filler) -> io::Result<Fill> {
        let got = self.fill_now(to);
        if let (Some(_), Err(e)) = (&self.once, &got) {
            let text = format!("`{}`: cannot be read to its end: {e}", self.place.path.display());
            self.skip(Word::SourceDamaged, text);
        }
        for what in self.happened.drain(..) {
            to.ring().word(what).fetch_add(1, Ordering::Relaxed);
        }
        self.wrong = got.as_ref().err().map(|e| format!("`{}`: cannot be read: {e}", self.place.path.display()));
        if matches!(got, Ok(Fill::Nothing)) && self.once.as_ref().is_some_and(Once::is_over) {
            return Ok(Fill::End);
        }
        let more = |at: &Reading| at.found.bytes().is_ok_and(|n| n > Some(at.mark.position));
        self.stuck = matches!(got, Ok(Fill::Nothing)) && self.at.as_ref().is_some_and(more);
        if self.once.is_some() && got.is_err() {
            // Nobody waits for what cannot be read.
            return got;
        }
        Ok(got.unwrap_or_else(|e| {
            self.say(&format!("cannot be read: {e}; trying again"));
            // It may be another one that has the name: on a file server files come back under new handles.
            if let Some(mut at) = self.at.take() {
                at.see_last();
                self.event = at.last_event().or(self.event);
                self.kept = Some(Kept { mark: at.mark, ..Kept::default() });
                self.held = Some(at);
            }
            self.next = None;
            Fill::Nothing
        }))
    }

    fn skipped(&mut self) -> Vec<(Word, String)> {
        std::mem::take(&mut self.skipped)
    }

    fn standing(&mut self) -> Option<Input> {
        let (all, unseen) = match self.place.look() {
            Ok(all) => (all, None),
            Err(e) => {
                (Vec::new(), Some(format!("`{}`: its older files cannot be seen: {e}", self.place.path.display())))
            }
        };
        let wrong = self.wrong.clone().or(unseen);
        let bytes = |all: &[Candidate]| all.iter().map(|c| c.bytes).sum();
        let Some(at) = &mut self.at else {
            let unread = text::readable(&self.place.path).err().filter(|e| e.kind() != io::ErrorKind::NotFound);
            let unread = unread.map(|e| format!("`{}` cannot be read: {e}", self.place.path.display()));
            let behind = all.last().filter(|c| c.path == self.place.path).map_or(0, |c| c.bytes);
            let at = self.place.path.display().to_string();
            return Some(Input { at, behind, wrong: wrong.or(unread), ..Input::default() });
        };
        let here = all.iter().rposition(|c| c.id == at.found.id);
        let rest = at.found.bytes().ok().flatten().map_or(0, |n| n.saturating_sub(at.mark.position));
        let behind = rest + here.map_or(0, |here| bytes(&all[here + 1..]));
        let oldest_ms = if rest > 0 { at.found.time_behind(at.mark.position) } else { None };
        let next = here.and_then(|here| all.get(here + 1)).filter(|_| behind > 0).and_then(Candidate::modified_ms);
        let name = here.map_or(&at.found.path, |here| &all[here].path).display().to_string();
        let offset = at.mark.position;
        Some(Input { at: name, offset, behind, oldest_ms: oldest_ms.or(next), wrong })
    }

    fn wait(&mut self, patience: Option<Duration>) -> io::Result<bool> {
        if self.watch.is_none() {
            self.watch = Watch::of(&self.place.dir()).ok();
        }
        let look = match self.watch {
            Some(_) => Duration::from_millis(limits::FOLLOWED_WATCHED_MILLIS),
            None => Duration::from_millis(limits::FOLLOWED_LOOK_MILLIS),
        };
        let until = Instant::now() + patience.unwrap_or(look);
        loop {
            if self.has_grown() {
                return Ok(true);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            match &self.watch {
                // What is no line may be one of its older files, or none of its; what lasts is seen at the next look.
                Some(watch) if watch.wait(left.min(look))? => {
                    if !self.has_grown() {
                        std::thread::sleep(Duration::from_millis(limits::FOLLOWED_PAUSE_MILLIS));
                    }
                    return Ok(true);
                }
                Some(_) => {}
                None => std::thread::sleep(left.min(look)),
            }
        }
    }
}
