//! A file of a log, whatever it is called now: what it is known by, and its text, unpacked where it was packed.
//!
//! It is known by its beginning: the first line, or as much of a longer one as is looked at. That of an audit log has an id and
//! a time, so no other file begins like it. What has no whole line yet has not begun. Refuses: to write, to wait.

use crate::audit::intake::source::Kept;
use crate::audit::record::{self, mark::Mark};
use crate::hash::xxh64;
use crate::sorted;
use crate::stamp::parse_written;
use crate::{limits, log};
use flate2::read::MultiGzDecoder;
use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Device and number.
pub type Id = (u64, u64);

fn id_of(meta: &Metadata) -> Id {
    (meta.dev(), meta.ino())
}

/// Where a log is, with the names that its older files have beside it.
pub struct Place {
    /// The newest one.
    pub path: PathBuf,
}

/// A file that may be one of the log's.
#[derive(Debug)]
pub struct Candidate {
    /// Its name now.
    pub path: PathBuf,
    /// What it is.
    pub id: Id,
    /// When it was written to.
    pub modified: SystemTime,
    /// How long it is.
    pub bytes: u64,
}

impl Place {
    /// What the newest one is; none: there is none.
    pub fn id(&self) -> Option<Id> {
        std::fs::metadata(&self.path).ok().map(|m| id_of(&m))
    }

    /// The newest one, when it has begun.
    pub fn newest(&self) -> Option<Found> {
        Found::open(&self.path)
    }

    /// All of them, oldest first, the newest one last. Whoever rotates renames one after the other, and a look meanwhile may
    /// miss one: only what two looks agree on counts.
    pub fn list(&self) -> io::Result<Vec<Candidate>> {
        let names = |all: &[Candidate]| -> Vec<(PathBuf, Id)> { all.iter().map(|c| (c.path.clone(), c.id)).collect() };
        let mut before = self.look()?;
        for _ in 0..limits::FOLLOWED_LOOKS {
            let now = self.look()?;
            if names(&now) == names(&before) {
                return Ok(now);
            }
            before = now;
        }
        Ok(before)
    }

    /// The same by one look.
    pub fn look(&self) -> io::Result<Vec<Candidate>> {
        let (dir, name) = (dir_of(&self.path), self.path.file_name().unwrap_or_default());
        let mut all = Vec::new();
        for entry in std::fs::read_dir(dir)?.take(limits::FOLLOWED_ENTRIES) {
            let entry = entry?;
            if !is_older(name, &entry.file_name()) {
                continue;
            }
            all.extend(Candidate::of(&entry.path()));
        }
        // Packed ones keep their times. Of two of one moment that with the greater number is older, or that of the earlier date.
        sorted::by_key(&mut all, |c| (c.modified, Reverse(number_of(&c.path)), c.path.clone()));
        all.extend(Candidate::of(&self.path));
        Ok(all)
    }
}

/// The directory that it is in.
pub fn dir_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `audit.log.1`, `audit.log-20261129`, `audit.log.2.gz`: what rotations make of a name. A copy that somebody has made for
/// himself (`audit.log.bak`) is none.
fn is_older(name: &OsStr, other: &OsStr) -> bool {
    let (name, other) = (name.as_encoded_bytes(), other.as_encoded_bytes());
    let Some(rest) = other.strip_prefix(name) else { return false };
    let rest = rest.strip_suffix(b".gz").unwrap_or(rest);
    let plain = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_' | b':' | b'T');
    matches!(rest.first(), Some(b'.' | b'-')) && rest.iter().all(plain) && rest.iter().any(u8::is_ascii_digit)
}

/// The number that a rotation has given it, and gives another one the next time; none of a date.
fn number_of(path: &Path) -> Option<u32> {
    let name = path.to_str()?;
    let digits = name.strip_suffix(".gz").unwrap_or(name).rsplit_once('.')?.1;
    digits.parse().ok().filter(|_| digits.len() < 6)
}

impl Candidate {
    fn of(path: &Path) -> Option<Candidate> {
        let meta = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
        Some(Candidate { path: path.into(), id: id_of(&meta), modified: meta.modified().ok()?, bytes: meta.len() })
    }

    /// When it was written to, milliseconds.
    pub fn modified_ms(&self) -> Option<i64> {
        self.modified.duration_since(SystemTime::UNIX_EPOCH).ok().map(|d| d.as_millis() as i64)
    }

    /// It, when it has begun.
    pub fn open(&self) -> Option<Found> {
        Found::open(&self.path)
    }
}

/// A file that has begun.
pub struct Found {
    /// Its name when it was found.
    pub path: PathBuf,
    /// What it is.
    pub id: Id,
    /// The stream that it is.
    pub stream: u64,
    modified: SystemTime,
    begin: Vec<u8>,
    text: Text,
}

enum Text {
    Plain(File),
    /// Packed, and how far it is unpacked.
    Packed(Box<MultiGzDecoder<FromStart>>, u64),
}

/// Whether an error is one of what is packed, not of the disk.
pub fn is_damage(e: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(e.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

/// A file from its beginning on, whoever else reads it; under whatever name it is by now.
struct FromStart(Arc<File>, u64);

impl Read for FromStart {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(room, self.1).inspect(|n| self.1 += *n as u64)
    }
}

impl Text {
    fn open(path: &Path) -> io::Result<(Text, Metadata)> {
        // Whoever opens a FIFO waits for its other end, for ever.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let packed = path.extension().is_some_and(|e| e == "gz");
        let text = if packed {
            Text::Packed(Box::new(MultiGzDecoder::new(FromStart(Arc::new(file), 0))), 0)
        } else {
            Text::Plain(file)
        };
        Ok((text, meta))
    }

    /// From its beginning on.
    fn again(&mut self) {
        if let Text::Packed(packed, passed) = self {
            let file = packed.get_ref().0.clone();
            (**packed, *passed) = (MultiGzDecoder::new(FromStart(file, 0)), 0);
        }
    }

    /// Reads from a place on, as much as there is.
    fn read(&mut self, at: u64, room: &mut [u8]) -> io::Result<usize> {
        if matches!(self, Text::Packed(_, passed) if *passed > at) {
            self.again();
        }
        let mut done = 0;
        while done < room.len() {
            let got = match self {
                Text::Plain(file) => file.read_at(&mut room[done..], at + done as u64),
                Text::Packed(packed, passed) => {
                    let skip = at - (*passed).min(at);
                    *passed += io::copy(&mut packed.by_ref().take(skip), &mut io::sink())?;
                    if *passed < at {
                        break;
                    }
                    packed.read(&mut room[done..]).inspect(|n| *passed += *n as u64)
                }
            };
            match got {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // What was unpacked before is good; the damage is met again behind it.
                Err(e) if is_damage(&e) && done > 0 => {
                    self.again();
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }
}

/// Whether the file of this name can be read, begun or not.
pub fn readable(path: &Path) -> io::Result<()> {
    Text::open(path).map(drop)
}

impl Found {
    /// The file of this name; none where there is none that has begun. What else keeps it from being read is told.
    fn open(path: &Path) -> Option<Found> {
        let opened = Text::open(path).and_then(|(mut text, meta)| {
            let mut begin = vec![0; limits::BEGINNING_BYTES];
            let got = text.read(0, &mut begin)?;
            begin.truncate(got);
            Ok((text, meta, begin))
        });
        match opened {
            Ok((text, meta, mut begin)) => {
                let line = memchr::memchr(b'\n', &begin).map(|n| n + 1);
                begin.truncate(line.or((begin.len() == limits::BEGINNING_BYTES).then_some(begin.len()))?);
                let stream = Mark::stream_known_by(xxh64(&begin, 0));
                let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                Some(Found { path: path.into(), id: id_of(&meta), stream, modified, begin, text })
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => {
                log::warn("input", format!("cannot read `{}`: {e}", path.display()));
                None
            }
        }
    }

    /// What stands there now from a place on; none when the file is not any more what it was.
    pub fn read(&mut self, at: u64, room: &mut [u8]) -> io::Result<usize> {
        let got = self.text.read(at, room)?;
        // Behind the reading: what was put into its place before that is not of this stream.
        Ok(if got > 0 && !self.begins_so()? { 0 } else { got })
    }

    /// Whether it begins as it did, and reaches to this place.
    pub fn is_whole(&self, to: u64) -> io::Result<bool> {
        match &self.text {
            Text::Plain(file) => Ok(file.metadata()?.len() >= to && self.begins_so()?),
            Text::Packed(..) => Ok(true),
        }
    }

    /// Whether it is packed.
    pub fn is_packed(&self) -> bool {
        matches!(self.text, Text::Packed(..))
    }

    /// Whether somebody may be packing it at this moment.
    pub fn is_being_written(&self) -> io::Result<bool> {
        let Text::Packed(packed, _) = &self.text else { return Ok(false) };
        let age = packed.get_ref().0.metadata()?.modified()?.elapsed();
        Ok(age.is_ok_and(|age| age < Duration::from_secs(limits::PACKING_SECONDS)))
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

    fn begins_so(&self) -> io::Result<bool> {
        let Text::Plain(file) = &self.text else { return Ok(true) };
        let mut now = vec![0; self.begin.len()];
        match file.read_exact_at(&mut now, 0) {
            Ok(()) => Ok(now == self.begin),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Whether the last record that is kept stands where the mark says: a power cut may have taken the end of a log of which we
    /// have kept more, and what is written behind that is not what we have read.
    pub fn holds(&mut self, kept: &Kept) -> io::Result<bool> {
        // Read to there by a worker that is dead: what it lacks now was shortened, or packed before its end was written.
        let Some((bytes, hash)) = kept.last else { return Ok(true) };
        let from = kept.mark.position.saturating_sub(bytes + 1);
        let mut there = vec![0; (kept.mark.position - from) as usize];
        match self.text.read(from, &mut there) {
            Ok(n) if n == there.len() => {}
            Err(e) if !is_damage(&e) => return Err(e),
            Ok(_) | Err(_) => return Ok(false),
        }
        let ends_at = |end: usize| {
            let begin = end.checked_sub(bytes as usize);
            begin.and_then(|begin| there.get(begin..end)).is_some_and(|raw| xxh64(raw, 0) == hash)
        };
        // With its newline, or cut before one.
        Ok(ends_at(there.len()) || ends_at(there.len().saturating_sub(1)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_moment_the_greater_number_and_the_earlier_date_are_older() {
        let dir = std::env::temp_dir().join(format!("gostech-found-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let names = ["log.12", "log.9.gz", "log.1", "log-20261128", "log-20261129"];
        for name in names.iter().rev().chain(&["log"]) {
            let file = File::create(dir.join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        let all = Place { path: dir.join("log") }.list().unwrap();
        let found: Vec<&str> = all.iter().filter_map(|c| c.path.file_name()?.to_str()).collect();
        assert_eq!(found[..3], ["log.12", "log.9.gz", "log.1"]);
        assert_eq!(found[3..], ["log-20261128", "log-20261129", "log"]);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    /// A rotation gives thirty files the names of their elders, one after the other.
    #[test]
    fn a_look_in_the_middle_of_a_rotation_misses_none() {
        let dir = std::env::temp_dir().join(format!("gostech-shifted-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = |n: u32| dir.join(format!("log.{n}"));
        (1..=30).for_each(|n| drop(File::create(path(n)).unwrap()));
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    (1..=30).rev().for_each(|n| std::fs::rename(path(n), path(n + 1)).unwrap());
                    std::thread::sleep(Duration::from_millis(5));
                    (1..=30).for_each(|n| std::fs::rename(path(n + 1), path(n)).unwrap());
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            let place = Place { path: dir.join("log") };
            let least = (0..300).map(|_| place.list().unwrap().len()).min();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(least, Some(30));
        });
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn only_what_rotations_make_of_a_name_is_an_older_file() {
        let is = |other: &str| is_older(OsStr::new("audit.log"), OsStr::new(other));
        for name in [
            "audit.log.1",
            "audit.log.12.gz",
            "audit.log-20261129",
            "audit.log-20261129.gz",
            "audit.log.2026-11-29T10:00",
        ] {
            assert!(is(name), "{name}");
        }
        for name in [
            "audit.log",
            "audit.log.bak",
            "audit.log.gz",
            "audit.log1",
            "audit.logs.1",
            "other.log.1",
            "audit.log-old",
            "audit.log.1.zst",
        ] {
            assert!(!is(name), "{name}");
        }
    }
}
