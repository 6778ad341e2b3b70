//! Orphaned sub-directories: spools whose helper is gone, with events that were never delivered. They are adopted,
//! drained to the same receivers, and left.
//!
//! A sub-directory made for a replay is removed when it is drained. Refuses: to touch a locked one.

use super::options::Options;
use super::spool::ark::Ark;
use super::spool::disk::RealDisk;
use super::spool::{place, Spool};
use super::worker::{settings, start_sender, wall_ms, Course};
use crate::sys::{crash, file};
use crate::{limits, log};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The file that says: remove me when I am drained. A line `only NAME` in it: what is here is for that receiver alone.
pub const EPHEMERAL: &str = "ephemeral";

/// The receiver that a sub-directory is for, if it is not for all.
pub fn only(dir: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(dir.join(EPHEMERAL)).ok()?.take(4 * limits::LABEL_BYTES as u64).read_to_string(&mut text).ok()?;
    text.lines().find_map(|l| l.strip_prefix("only ")).map(String::from)
}

/// One that is being drained.
struct Adopted {
    dir: PathBuf,
    spool: Arc<Spool>,
    course: Arc<Course>,
    /// Held until it is drained.
    _lock: File,
}

/// Looks for orphans from time to time, until the end.
pub fn run(root: &Path, own: &str, options: &Options, course: &Course) {
    let mut adopted: Vec<Adopted> = Vec::new();
    let mut drained: BTreeMap<PathBuf, SystemTime> = BTreeMap::new();
    let mut next = std::time::Instant::now();
    while !course.stop.load(Ordering::Acquire) {
        if next <= std::time::Instant::now() {
            next = std::time::Instant::now() + Duration::from_secs(limits::ADOPT_SECONDS);
            clean(root);
            look(root, own, options, course, &mut adopted, &mut drained);
        }
        adopted.retain(|a| {
            a.course.reloads.store(course.reloads.load(Ordering::Acquire), Ordering::Release);
            !a.tend(&mut drained)
        });
        course.sleep(Duration::from_millis(if adopted.is_empty() { 1_000 } else { 100 }));
    }
    for a in &adopted {
        a.spool.save_cursors();
    }
}

fn look(
    root: &Path,
    own: &str,
    options: &Options,
    course: &Course,
    adopted: &mut Vec<Adopted>,
    drained: &mut BTreeMap<PathBuf, SystemTime>,
) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for entry in entries.flatten().take(limits::SPOOL_FILES) {
        let dir = entry.path();
        // A name with a dot in front: one that is being made.
        let is_own = entry.file_name() == own || entry.file_name().as_encoded_bytes().starts_with(b".");
        if adopted.len() >= limits::ADOPT_AT_ONCE || is_own || adopted.iter().any(|a| a.dir == dir) {
            continue;
        }
        // Only what is a spool: a directory with segments; one that was drained is looked at again when it has changed.
        let Some(changed) = newest_segment(&dir) else { continue };
        if drained.get(&dir).is_some_and(|t| *t >= changed) {
            continue;
        }
        if let Ok(Some(lock)) = place::lock(&dir) {
            crash::point("adopt.locked");
            match adopt(&dir, lock, options, course) {
                Some(a) => adopted.push(a),
                None => drop(drained.insert(dir, changed)),
            }
        }
    }
}

fn newest_segment(dir: &Path) -> Option<SystemTime> {
    let files = std::fs::read_dir(dir).ok()?.flatten().take(limits::SPOOL_FILES);
    let segments = files.filter(|f| f.file_name().to_str().is_some_and(|n| n.ends_with(".seg")));
    segments.filter_map(|f| f.metadata().ok()?.modified().ok()).max()
}

fn adopt(dir: &Path, lock: File, options: &Options, parent: &Course) -> Option<Adopted> {
    let ark = Arc::new(Ark::open(Ark::create().ok()?).ok()?);
    let mut settings = settings(options, 0, Some(dir));
    if let Some(name) = only(dir) {
        settings.receivers.retain(|(n, _)| *n == name);
        if settings.receivers.is_empty() {
            // With nobody to deliver to it would count as drained.
            log::warn(
                "adopter",
                format!("`{}` waits for the receiver `{name}`, which is not configured", dir.display()),
            );
            return None;
        }
    }
    let wanted = settings.receivers.clone();
    let spool = match Spool::open(Arc::new(RealDisk::new(dir)), ark, settings, None, wall_ms()) {
        Ok(spool) => Arc::new(spool),
        Err(e) => {
            log::warn("adopter", format!("cannot adopt `{}`: {e:?}", dir.display()));
            return None;
        }
    };
    spool.end();
    crash::point("adopt.opened");
    if spool.all_delivered() {
        finish(dir, &spool);
        return None;
    }
    let waiting =
        spool.receivers().iter().filter(|r| r.live).map(|r| spool.next_seq() - r.cursor.next).max().unwrap_or(0);
    log::info("adopter", format!("`{}` is orphaned with {waiting} undelivered events: delivering them", dir.display()));
    log::calm("adopter");
    let course = Arc::new(Course::of(parent.ring.clone()));
    for r in options.receivers.iter().filter(|r| wanted.iter().any(|(n, _)| *n == r.name)) {
        start_sender(spool.clone(), r, course.clone());
    }
    Some(Adopted { dir: dir.to_path_buf(), spool, course, _lock: lock })
}

impl Adopted {
    /// One look; true when it is drained.
    fn tend(&self, drained: &mut BTreeMap<PathBuf, SystemTime>) -> bool {
        self.spool.save_cursors();
        self.spool.tidy(wall_ms());
        // Damage that senders found is logged and counted as theirs; an adopted spool takes no new events.
        drop(self.spool.take_losses());
        if self.course.senders.load(Ordering::Acquire) > 0 {
            return false;
        }
        self.spool.save_state(true);
        crash::point("adopt.drained");
        finish(&self.dir, &self.spool);
        log::info("adopter", format!("`{}` is drained", self.dir.display()));
        log::calm("adopter");
        if let Some(changed) = newest_segment(&self.dir) {
            drained.insert(self.dir.clone(), changed);
        }
        true
    }
}

/// A drained one that was made for the purpose goes.
fn finish(dir: &Path, spool: &Spool) {
    let quarantine = std::fs::read_dir(dir).is_ok_and(|d| {
        let kept = |n: &str| n.starts_with("quarantine-") && !n.contains(".jsonl.retried-") || n.ends_with(".bad");
        d.flatten().any(|f| f.file_name().to_str().is_some_and(kept))
    });
    if spool.drained() && !quarantine && dir.join(EPHEMERAL).exists() {
        // First out of sight: half of it must not be taken for an orphan should we be killed now.
        let hidden = dir.with_file_name(format!(".{}", dir.file_name().unwrap_or_default().to_string_lossy()));
        let gone = std::fs::rename(dir, &hidden).and_then(|()| {
            crash::point("adopt.hidden");
            std::fs::remove_dir_all(&hidden)
        });
        if let Err(e) = gone {
            log::warn("adopter", format!("cannot remove `{}`: {e}", dir.display()));
        }
    }
}

/// Removes what was being made or removed by somebody who was killed.
pub fn clean(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    let left = |n: &str| n.starts_with('.') && (n.contains(".replay-") || n.contains(".retry-"));
    for entry in entries.flatten().take(limits::SPOOL_FILES) {
        if !entry.file_name().to_str().is_some_and(left) {
            continue;
        }
        let free = match File::open(entry.path().join(place::LOCK)) {
            Ok(f) => file::lock(&f).unwrap_or(false),
            // Without a lock it is one that was being removed, or one that is begun at this moment.
            Err(e) if e.kind() == io::ErrorKind::NotFound => is_old(&entry.path()),
            Err(_) => false,
        };
        if free {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn is_old(dir: &Path) -> bool {
    let age = std::fs::metadata(dir).and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
    age.is_some_and(|a| a.as_secs() > limits::TOOL_LEFTOVER_SECONDS)
}
