//! A disk for when there is no directory: it fails until one can be had, and then is an empty sub-directory of it.
//!
//! Refuses: to take a directory in which something is; what lies there is adopted.

use super::disk::{Disk, Entry, RealDisk};
use super::names::LOCK;
use super::place::{choose, settle, Home};
use crate::audit::locks::{Rank, Ranked};
use crate::limits;
use crate::log;
use std::io;
use std::path::PathBuf;

use std::time::{Duration, Instant};

/// What was found, and when it was last looked for.
type Found = (Option<(RealDisk, Home)>, Option<Instant>);

/// A disk for when there is no directory: it fails until one can be had, and then is an empty sub-directory of it.
pub struct LateDisk {
    candidates: Vec<PathBuf>,
    base: String,
    found: Ranked<Found>,
}

impl LateDisk {
    /// Looks in these directories from time to time.
    pub fn new(candidates: Vec<PathBuf>, base: String) -> LateDisk {
        LateDisk { candidates, base, found: Ranked::new(Rank::Late, (None, Some(Instant::now()))) }
    }

    fn with<T>(&self, look: bool, f: impl FnOnce(&RealDisk) -> io::Result<T>) -> io::Result<T> {
        let mut found = self.found.lock();
        let due = found.1.is_none_or(|t| t.elapsed() > Duration::from_secs(limits::LATE_DISK_SECONDS));
        if found.0.is_none() && look && due {
            found.1 = Some(Instant::now());
            found.0 = self.look();
        }
        match &found.0 {
            Some((disk, _)) => f(disk),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "there is no writable spool directory")),
        }
    }

    fn look(&self) -> Option<(RealDisk, Home)> {
        let root = choose(&self.candidates).ok()?;
        let empty = |home: &Home| -> Result<(), String> {
            let used =
                std::fs::read_dir(&home.dir).map_err(|e| e.to_string())?.flatten().any(|e| e.file_name() != LOCK);
            // What is there belongs to an earlier life: it will be adopted.
            if used {
                Err("it is in use".into())
            } else {
                Ok(())
            }
        };
        let (home, ()) = settle(&root, &self.base, "", Duration::ZERO, empty).ok()?;
        log::info("spool", format!("found a directory: `{}`", home.dir.display()));
        Some((RealDisk::new(&home.dir).locked(&home.lock), home))
    }
}

impl Disk for LateDisk {
    fn list(&self) -> io::Result<Vec<Entry>> {
        self.with(false, |d| d.list()).or_else(|_| Ok(Vec::new()))
    }
    fn read_at(&self, name: &str, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.with(false, |d| d.read_at(name, at, buf))
    }
    fn write_at(&self, name: &str, at: u64, data: &[u8]) -> io::Result<()> {
        self.with(true, |d| d.write_at(name, at, data))
    }
    fn sync(&self, name: &str) -> io::Result<()> {
        self.with(false, |d| d.sync(name))
    }
    fn sync_names(&self) -> io::Result<()> {
        self.with(false, |d| d.sync_names())
    }
    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.with(false, |d| d.truncate(name, bytes))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.with(false, |d| d.rename(from, to))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(false, |d| d.remove(name))
    }
    fn place(&self) -> String {
        self.with(false, |d| Ok(d.place())).unwrap_or_else(|_| "memory (no directory)".into())
    }
    fn look_again(&self, name: &str) {
        let _ = self.with(false, |d| {
            d.look_again(name);
            Ok(())
        });
    }
    fn moved(&self) -> bool {
        self.with(false, |d| Ok(d.moved())).unwrap_or(false)
    }
    fn has_folder(&self) -> bool {
        self.with(false, |_| Ok(())).is_ok()
    }
    fn is_named(&self, name: &str) -> bool {
        self.with(false, |d| Ok(d.is_named(name))).unwrap_or(true)
    }
    fn look_at_lock(&self) {
        let _ = self.with(false, |d| {
            d.look_at_lock();
            Ok(())
        });
    }
    fn revive(&self) -> io::Result<()> {
        // Without a directory there is nothing to go on in; the next write looks for one.
        let _ = self.with(false, |d| d.revive());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::candidates;
    use super::*;

    #[test]
    fn a_directory_is_found_late() {
        let root = std::env::temp_dir().join(format!("gostech-late-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        std::fs::write(&root, "a file, no directory").unwrap();
        assert!(choose(&candidates(Some(&root), None)).is_err());
        let late =
            LateDisk { candidates: vec![root.clone()], base: "x".into(), found: Ranked::new(Rank::Late, (None, None)) };
        assert!(late.write_at("a", 0, b"x").is_err() && late.list().unwrap().is_empty());
        std::fs::remove_file(&root).unwrap();
        late.found.lock().1 = None;
        late.write_at("a", 0, b"x").unwrap();
        assert!(late.place().ends_with("/x"));
        drop(late);
        std::fs::remove_dir_all(&root).unwrap();
    }
}
