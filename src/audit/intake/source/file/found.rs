//! A file of a log, whatever it is called now: what it is known by, and what is read of it.
//!
//! It is known by its beginning: the first line, or as much of a longer one as is looked at. That of an audit log has an id and
//! a time, so no other file begins like it. What has no whole line yet has not begun. Refuses: to write, to wait.

use super::place::{id_of, Candidate, Id};
use super::text::{is_damage, Text};
use crate::audit::intake::source::Kept;
use crate::audit::record::{self, mark::Mark, EventId};
use crate::hash::xxh64;
use crate::limits;
use crate::stamp::parse_written;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A file that has begun.
pub struct Found {
    /// Its name when it was found.
    pub path: PathBuf,
    /// What it is.
    pub id: Id,
    /// The stream that it is.
    pub stream: u64,
    /// Where its first line begins.
    pub base: u64,
    modified: SystemTime,
    begin: Vec<u8>,
    /// Where reading stands, and what is before that.
    trace: (u64, Vec<u8>),
    text: Text,
}

impl Found {
    /// This file; none where it is gone, or has not begun. `ends`: nothing more comes, so half a line is one.
    pub fn of(c: &Candidate, ends: bool) -> io::Result<Option<Found>> {
        let (mut text, meta) = match Text::open(&c.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let Some((base, mut begin)) = beginning(&mut text, ends)? else { return Ok(None) };
        let line = memchr::memchr(b'\n', &begin).map(|n| n + 1);
        match line.or((begin.len() == limits::BEGINNING_BYTES || ends).then_some(begin.len())) {
            Some(n) if n > 0 => begin.truncate(n),
            _ => return Ok(None),
        }
        let stream = Mark::stream_known_by(xxh64(&begin, 0));
        let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Some(Found {
            path: c.path.clone(),
            id: id_of(&meta),
            stream,
            base,
            modified,
            begin,
            trace: (0, Vec::new()),
            text,
        }))
    }

    /// What stands there now from a place on; none when the file is not any more what it was.
    pub fn read(&mut self, at: u64, room: &mut [u8]) -> io::Result<usize> {
        let got = self.text.read(at, room)?;
        // Behind the reading: what was put into its place before that is not of this stream.
        if got == 0 || !self.is_what_it_was()? {
            return Ok(0);
        }
        let from = got.saturating_sub(limits::FOLLOWED_TRACE_BYTES);
        self.trace.0 = at + got as u64;
        self.trace.1.clear();
        self.trace.1.extend_from_slice(&room[from..got]);
        Ok(got)
    }

    /// Whether it begins as it did, and reaches to this place.
    pub fn is_whole(&self, to: u64) -> io::Result<bool> {
        match &self.text {
            Text::Plain(file) => Ok(file.metadata()?.len() >= to && self.is_what_it_was()?),
            Text::Packed(..) => Ok(true),
        }
    }

    /// Whether it is packed.
    pub fn is_packed(&self) -> bool {
        matches!(self.text, Text::Packed(..))
    }

    /// Whether somebody may be packing it at this moment.
    pub fn is_being_written(&self) -> io::Result<bool> {
        let age = self.text.file().metadata()?.modified()?.elapsed();
        Ok(self.is_packed() && age.is_ok_and(|age| age < Duration::from_secs(limits::PACKING_SECONDS)))
    }

    /// It is read again to the place at hand: more may have come into it.
    pub fn again(&mut self) {
        self.text.again();
    }

    /// How long it is; none: it is packed.
    pub fn bytes(&self) -> io::Result<Option<u64>> {
        match &self.text {
            Text::Plain(file) => file.metadata().map(|m| Some(m.len())),
            Text::Packed(..) => Ok(None),
        }
    }

    /// Whether it begins as it did, and has before the place of reading what was read there.
    fn is_what_it_was(&self) -> io::Result<bool> {
        let Text::Plain(file) = &self.text else { return Ok(true) };
        let (end, trace) = &self.trace;
        Ok(stands(file, self.base, &self.begin)? && stands(file, end - trace.len() as u64, trace)?)
    }

    /// Whether the other one has the same before this place.
    pub fn agrees(&mut self, other: &mut Found, to: u64) -> io::Result<bool> {
        let from = to.saturating_sub(limits::FOLLOWED_TAIL_BYTES);
        let mut both = [&mut self.text, &mut other.text].map(|text| (text, vec![0; (to - from) as usize]));
        for (text, there) in &mut both {
            let got = text.read(from, there)?;
            there.truncate(got);
        }
        Ok(both[0].1 == both[1].1 && both[0].1.len() as u64 == to - from)
    }

    /// Whether the last record that is kept stands where the mark says: a power cut may have taken the end of a log of which we
    /// have kept more, and what is written behind that is not what we have read.
    pub fn holds(&mut self, kept: &Kept) -> io::Result<bool> {
        // Read to there by a worker that is dead: what it lacks now was shortened, or packed before its end was written.
        let Some((bytes, hash)) = kept.last else { return Ok(true) };
        let from = kept.mark.position.saturating_sub(bytes + limits::FOLLOWED_BLANK_BYTES);
        let mut there = vec![0; (kept.mark.position - from) as usize];
        match self.text.read(from, &mut there) {
            Ok(n) if n == there.len() => {}
            Err(e) if !is_damage(&e) => return Err(e),
            Ok(_) | Err(_) => return Ok(false),
        }
        // Behind it stand its newline, if it was not cut before one, and empty lines.
        let end = there.iter().rposition(|b| *b != b'\n').map_or(0, |n| n + 1);
        Ok(there[..end].len() as u64 >= bytes && xxh64(&there[end - bytes as usize..end], 0) == hash)
    }

    /// The number of its first record.
    pub fn first_event(&self) -> Option<EventId> {
        record::read(self.begin.strip_suffix(b"\n").unwrap_or(&self.begin), true).event
    }

    /// The number of the last record before this place.
    pub fn event_before(&mut self, to: u64) -> Option<EventId> {
        let from = to.saturating_sub(limits::FOLLOWED_TAIL_BYTES);
        let mut there = vec![0; (to - from) as usize];
        let got = self.text.read(from, &mut there).ok()?;
        let last = there[..got].rsplit(|b| *b == b'\n').find(|line| !line.is_empty())?;
        record::read(last, true).event
    }

    /// The number of the last record in it.
    pub fn last_event(&mut self) -> Option<EventId> {
        let end = self.text.end().ok()?;
        self.event_before(end)
    }

    /// When it was last written to, as far as is known.
    pub fn modified(&self) -> SystemTime {
        match &self.text {
            Text::Plain(file) => file.metadata().and_then(|m| m.modified()).unwrap_or(self.modified),
            Text::Packed(..) => self.modified,
        }
    }

    /// When the first whole line behind this place was written, by its own word, else when the file was; milliseconds.
    pub fn time_behind(&mut self, at: u64) -> Option<i64> {
        let own = |text: &mut Text| {
            let mut there = vec![0; limits::SOURCE_TIME_BYTES];
            let got = text.read(at.saturating_sub(1), &mut there).ok()?;
            // The byte before the place ends a line, or the place is inside of one.
            let line = there[..got].split(|b| *b == b'\n').nth(usize::from(at > 0))?;
            let facts = record::read(line, true);
            parse_written(facts.time.of(line)).map(|w| w.millis)
        };
        let written = self.modified().duration_since(SystemTime::UNIX_EPOCH).ok().map(|d| d.as_millis() as i64);
        match &mut self.text {
            text @ Text::Plain(_) => own(text),
            Text::Packed(..) => None,
        }
        .or(written)
    }

    /// Where the last line ends.
    pub fn last_line(&mut self) -> io::Result<u64> {
        let bytes = self.bytes()?.unwrap_or(0);
        let from = bytes.saturating_sub(limits::FOLLOWED_TAIL_BYTES);
        let mut tail = vec![0; (bytes - from) as usize];
        let got = self.text.read(from, &mut tail)?;
        Ok(memchr::memrchr(b'\n', &tail[..got]).map_or(bytes, |n| from + n as u64 + 1))
    }
}

/// Where the text begins, and how; none: it has none yet. What is packed and damaged there is known by its packed bytes.
fn beginning(text: &mut Text, ends: bool) -> io::Result<Option<(u64, Vec<u8>)>> {
    let mut begin = vec![0; limits::BEGINNING_BYTES];
    let got = match text.first() {
        Ok(None) => return Ok(None),
        Ok(Some(base)) => text.read(base, &mut begin).map(|n| (base, n)),
        Err(e) => Err(e),
    };
    let (base, got) = match got {
        Err(e) if is_damage(&e) && !ends => return Ok(None),
        Err(e) if is_damage(&e) => {
            // Whoever unpacks tells of damage once.
            text.again();
            (0, text.file().read_at(&mut begin, 0)?)
        }
        got => got?,
    };
    begin.truncate(got);
    Ok(Some((base, begin)))
}

fn stands(file: &File, at: u64, bytes: &[u8]) -> io::Result<bool> {
    let mut now = [0; limits::BEGINNING_BYTES];
    let now = &mut now[..bytes.len()];
    match file.read_exact_at(now, at) {
        Ok(()) => Ok(now == bytes),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}
