//! Where the directory is in which the worker before had its spool: at its place, removed, moved away, under a mount.
//!
//! The family holds it open, so it is known by what it is, not by its name. Refuses: to change anything.

use crate::audit::spool::lock;
use crate::audit::spool::past::{Fate, Past};
use crate::audit::spool::place::Home;
use crate::limits;
use crate::sys::ring::Ring;
use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is known of the worker before.
#[derive(Debug, Default)]
pub struct Before {
    /// What it had put into its spool; none: there was no worker.
    pub past: Option<Past>,
    /// Its directory; none: it had none, or could not leave it to us.
    pub dir: Option<File>,
    /// The name of that.
    pub name: String,
}

impl Before {
    /// As it has left it.
    pub fn of(ring: &Ring) -> Before {
        Before { past: Past::of(ring), dir: lock::inherited(), name: ring.note() }
    }

    /// Its directory is nobody's home any more.
    pub fn leave(&self, ring: &Ring) {
        lock::disown();
        ring.set_note("");
    }

    /// Whether this home is the one that the worker before had.
    fn had(&self, home: &Home) -> bool {
        home.inherited || self.dir.is_none() && self.name == home.name
    }

    /// Why this home cannot be ours: our records have numbers already, and so have those that lie there.
    pub fn objection(&self, home: &Home) -> Option<&'static str> {
        let foreign = self.past.is_some() && !self.had(home) && holds_records(&home.dir);
        foreign.then_some("it holds events of an earlier helper, which will be adopted")
    }

    /// What became of its directory, now that we work in `home`, or in none. `roots`: where sub-directories are looked for.
    pub fn fate(&self, home: Option<&Home>, roots: &[PathBuf]) -> Fate {
        if self.past.is_none() || home.is_some_and(|h| self.had(h)) {
            return Fate::Here;
        }
        match &self.dir {
            Some(dir) => of_open(dir, roots),
            None if self.name.is_empty() => Fate::Here,
            None => roots.iter().map(|r| r.join(&self.name)).find(|d| holds_records(d)).map_or(Fate::Gone, at),
        }
    }
}

fn at(dir: PathBuf) -> Fate {
    Fate::Elsewhere(dir.display().to_string())
}

/// It will be adopted when it lies in a root, under whatever name, and can be come to; else nobody ever looks there.
fn of_open(dir: &File, roots: &[PathBuf]) -> Fate {
    let Ok(ours) = dir.metadata() else { return Fate::Gone };
    let path = std::fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    let Some(path) = path.ok().filter(|_| ours.nlink() > 0) else { return Fate::Gone };
    let is_root = |root: &PathBuf| {
        let real = std::fs::canonicalize(root).or_else(|_| std::path::absolute(root));
        real.is_ok_and(|r| path.parent() == Some(r.as_path()))
    };
    if !roots.iter().any(is_root) {
        return Fate::Gone;
    }
    let number = |m: &Metadata| (m.dev(), m.ino());
    match std::fs::symlink_metadata(&path) {
        Ok(there) if number(&there) == number(&ours) => at(path),
        Ok(_) => Fate::Gone,
        Err(e) if e.kind() == ErrorKind::NotFound => Fate::Gone,
        Err(_) => at(path),
    }
}

fn holds_records(dir: &Path) -> bool {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten().take(limits::SPOOL_FILES);
    files.into_iter().any(|f| f.file_name().as_encoded_bytes().ends_with(b".seg"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::spool::place;

    fn before(dir: &Path) -> Before {
        let ring = Ring::create(4096, 1).unwrap();
        ring.note_taken(0, [5, 1, 1, 4, 1, 0, 1]);
        Before { past: Past::of(&ring), dir: Some(File::open(dir).unwrap()), name: "x".into() }
    }

    #[test]
    fn removed_moved_hidden_and_still_there_are_told_apart() {
        let root = std::env::temp_dir().join(format!("gostech-whereabouts-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        let (spool, x) = (root.join("spool"), root.join("spool/x"));
        std::fs::create_dir_all(&x).unwrap();
        let (b, roots) = (before(&x), [spool.clone()]);
        assert_eq!(b.fate(None, &roots), at(x.clone()));
        let renamed = spool.join("y");
        std::fs::rename(&x, &renamed).unwrap();
        assert_eq!(b.fate(None, &roots), at(renamed.clone()));
        // Another one in its place.
        std::fs::write(renamed.join("1.seg"), "").unwrap();
        let home = place::settle(&spool, "x", "", std::time::Duration::ZERO, &mut |_| Ok(())).unwrap();
        assert_eq!(b.fate(Some(&home), &roots), at(renamed));
        assert_eq!(b.objection(&home), None);
        std::fs::write(home.dir.join("1.seg"), "").unwrap();
        assert!(b.objection(&home).is_some());
        assert_eq!(Before::default().objection(&home), None, "the first worker takes what is there");
        std::fs::rename(&spool, root.join("away")).unwrap();
        assert_eq!(b.fate(None, &roots), Fate::Gone);
        std::fs::rename(root.join("away"), &spool).unwrap();
        std::fs::remove_dir_all(&spool).unwrap();
        assert_eq!(b.fate(None, &roots), Fate::Gone);
        assert_eq!(Before { name: String::new(), dir: None, ..b }.fate(None, &roots), Fate::Here, "all is in memory");
        std::fs::remove_dir_all(&root).unwrap();
    }
}
