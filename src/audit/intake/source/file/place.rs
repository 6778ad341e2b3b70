//! Where a log is: its newest file, and the older ones that rotations have left beside it, by their names.
//!
//! Refuses: to look into a file.

use super::text;
use crate::limits;
use crate::sorted;
use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Device and number.
pub type Id = (u64, u64);

/// Of a file.
pub fn id_of(meta: &Metadata) -> Id {
    (meta.dev(), meta.ino())
}

/// Where a log is, with the names that its older files have.
pub struct Place {
    /// The newest one.
    pub path: PathBuf,
    /// Where older ones are put, besides the directory of the newest.
    pub old_dir: Option<PathBuf>,
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

    /// The newest one.
    pub fn newest(&self) -> io::Result<Option<Candidate>> {
        Candidate::of(&self.path)
    }

    /// What stands in its place and is no file.
    pub fn refuse(&self) -> io::Result<()> {
        match std::fs::metadata(&self.path) {
            Ok(meta) if !meta.is_file() => Err(text::no_file(&meta)),
            _ => Ok(()),
        }
    }

    /// What it leads to, where it is a link: whoever rotates leaves the older ones beside that.
    fn target(&self) -> Option<PathBuf> {
        std::fs::read_link(&self.path).ok().map(|to| dir_of(&self.path).join(to))
    }

    /// The directory in which it is written to.
    pub fn dir(&self) -> PathBuf {
        dir_of(&self.target().unwrap_or_else(|| self.path.clone())).into()
    }

    /// All of them, oldest first, the newest one last. Whoever rotates renames one after the other, and a look meanwhile may
    /// miss one: only what two looks agree on counts.
    pub fn list(&self) -> io::Result<Vec<Candidate>> {
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
        let mut all = Vec::new();
        for path in [Some(self.path.clone()), self.target()].into_iter().flatten() {
            let name = path.file_name().unwrap_or_default();
            older_in(dir_of(&path), |other| is_older(name, other), &mut all)?;
            // Whoever moves one there by hand lets it keep its name.
            let moved = |other: &OsStr| is_older(name, other) || plain(other) == name.as_encoded_bytes();
            match self.old_dir.as_ref().map_or(Ok(()), |dir| older_in(dir, moved, &mut all)) {
                // It may be made by the first rotation.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                done => done?,
            }
        }
        // Packed ones keep their times. Of two of one moment that with the greater number is older, or that of the earlier date.
        sorted::by_key(&mut all, |c| (c.modified, Reverse(number_of(&c.path)), c.path.clone()));
        let newest = Candidate::of(&self.path)?;
        // By a link, or where a directory was named twice.
        all.dedup_by_key(|c| c.id);
        all.retain(|c| newest.as_ref().is_none_or(|newest| newest.id != c.id));
        all.extend(newest);
        Ok(all)
    }
}

fn older_in(dir: &Path, is_one: impl Fn(&OsStr) -> bool, all: &mut Vec<Candidate>) -> io::Result<()> {
    let failed = |e: io::Error| io::Error::new(e.kind(), format!("`{}`: {e}", dir.display()));
    // Nobody is passed over in silence: what is beyond the bounds is told, and waits for who makes room.
    let many =
        || failed(io::Error::other("more entries, or more older files of the log, than are looked at: move some away"));
    for (n, entry) in std::fs::read_dir(dir).map_err(failed)?.enumerate() {
        let entry = entry?;
        if is_one(&entry.file_name()) {
            all.extend(Candidate::of(&entry.path())?);
        }
        if n >= limits::FOLLOWED_ENTRIES || all.len() > limits::FOLLOWED_FILES {
            return Err(many());
        }
    }
    Ok(())
}

/// Which file has which name.
pub fn names(all: &[Candidate]) -> Vec<(&Path, Id)> {
    all.iter().map(|c| (c.path.as_path(), c.id)).collect()
}

fn dir_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `audit.log.1`, `audit.log-20261129`, `audit.log.2.gz`, `audit-20261129.log`: what rotations make of a name. A copy that
/// somebody has made for himself (`audit.log.bak`) is none.
fn is_older(name: &OsStr, other: &OsStr) -> bool {
    let (name, other) = (name.as_encoded_bytes(), plain(other));
    let behind = other.strip_prefix(name);
    // A rotation may leave the extension where it was.
    let dot = memchr::memrchr(b'.', name).filter(|dot| *dot > 0).unwrap_or(name.len());
    let (stem, extension) = name.split_at(dot);
    let within = other.strip_prefix(stem).and_then(|rest| rest.strip_suffix(extension));
    behind.into_iter().chain(within).any(is_of_rotation)
}

/// Without what packing adds.
fn plain(name: &OsStr) -> &[u8] {
    let name = name.as_encoded_bytes();
    name.strip_suffix(b".gz").unwrap_or(name)
}

/// A number, a date, a time.
fn is_of_rotation(text: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_' | b':' | b'+' | b'T' | b'Z');
    matches!(text.first(), Some(b'.' | b'-' | b'_')) && text.iter().all(plain) && text.iter().any(u8::is_ascii_digit)
}

/// The number that a rotation has given it, and gives another one the next time; none of a date.
pub fn number_of(path: &Path) -> Option<u32> {
    let name = path.to_str()?;
    // In front of an extension too.
    let digits = name.strip_suffix(".gz").unwrap_or(name).rsplit('.').take(2).find_map(|part| {
        let short = part.len() < 6 && part.bytes().all(|b| b.is_ascii_digit());
        part.parse().ok().filter(|_| short)
    });
    digits
}

impl Candidate {
    /// None: it is gone, or no file. What cannot be looked at may be one that is to be read.
    fn of(path: &Path) -> io::Result<Option<Candidate>> {
        match std::fs::metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io::Error::new(e.kind(), format!("`{}`: {e}", path.display()))),
            Ok(meta) if !meta.is_file() => Ok(None),
            Ok(meta) => {
                let (id, modified) = (id_of(&meta), meta.modified()?);
                Ok(Some(Candidate { path: path.into(), id, modified, bytes: meta.len() }))
            }
        }
    }

    /// When it was written to, milliseconds.
    pub fn modified_ms(&self) -> Option<i64> {
        self.modified.duration_since(SystemTime::UNIX_EPOCH).ok().map(|d| d.as_millis() as i64)
    }

    /// Whether nobody writes to it any more, as it seems.
    pub fn is_silent(&self) -> bool {
        let pause = match self.path.extension().is_some_and(|e| e == "gz") {
            true => Duration::from_secs(limits::PACKING_SECONDS),
            false => Duration::from_millis(limits::CUT_SILENCE_MILLIS),
        };
        self.modified.elapsed().map_or(true, |age| age >= pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn of_one_moment_the_greater_number_and_the_earlier_date_are_older() {
        let dir = std::env::temp_dir().join(format!("gostech-found-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let names = ["log.12", "log.9.gz", "log.1", "log-20261128", "log-20261129"];
        for name in names.iter().rev().chain(&["log"]) {
            let file = File::create(dir.join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        let all = Place { path: dir.join("log"), old_dir: None }.list().unwrap();
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
            let place = Place { path: dir.join("log"), old_dir: None };
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
            "audit.log_2026-11-29T10:00:00Z",
            "audit.1.log",
            "audit-20261129.log",
            "audit-20261129.log.gz",
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
            "audit-old.log",
            "audit2.log",
            "audit.1.txt",
            "audit.log.1.zst",
        ] {
            assert!(!is(name), "{name}");
        }
    }
}
