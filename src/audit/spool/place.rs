//! Where the spool is: which directory, which sub-directory of it is ours, and what to do when there is none.
//!
//! One sub-directory for each instance, locked by its worker. A locked or foreign one is left alone and the next name
//! taken: `NAME`, `NAME.2`, `NAME.3`… Refuses: to fail; with no directory at all it gives a disk that finds one later.
//!
//! The lock is on the directory itself, so it goes only with that; the file `lock` in it is locked beside it, says whose
//! the directory is, and is made anew when somebody removes it.

use super::disk::{Disk, Entry, RealDisk};
use crate::limits;
use crate::log;
use crate::sys::pocket::{self, Pocket};
use crate::sys::{crash, file, process};
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The lock's file.
pub const LOCK: &str = "lock";

/// A sub-directory that is ours as long as this lives, or the family has it in its pocket.
#[derive(Debug)]
pub struct Lock {
    /// It also keeps the directory's number from being given to another one.
    dir: File,
    file: Mutex<File>,
}

/// A locked sub-directory.
#[derive(Debug)]
pub struct Home {
    /// The whole path.
    pub dir: PathBuf,
    /// The last part of it.
    pub name: String,
    /// Held as long as this lives.
    pub lock: Arc<Lock>,
    /// It is the one that a worker of this family had before.
    pub inherited: bool,
}

/// The name of a sub-directory for an instance.
pub fn directory_name(instance: &str) -> String {
    if super::cursor::is_name(instance) && !instance.ends_with(".bad") {
        return instance.to_string();
    }
    let plain: String =
        instance.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect();
    let plain: String = plain.chars().take(limits::LABEL_BYTES / 2).collect();
    format!("{plain}-{:08x}", crate::hash::fold(crate::hash::xxh64(instance.as_bytes(), 0)))
}

/// The directories to try, in order: `--spool-dir`, else `$STATE_DIRECTORY`, else the usual one, else here.
pub fn candidates(given: Option<&Path>, state_directory: Option<&str>) -> Vec<PathBuf> {
    if let Some(dir) = given {
        return vec![dir.to_path_buf()];
    }
    if let Some(first) = state_directory.and_then(|s| s.split(':').next()).filter(|s| !s.is_empty()) {
        return vec![PathBuf::from(first)];
    }
    vec![PathBuf::from("/var/lib/gostech-audit-log"), PathBuf::from("./gostech-audit-log.spool")]
}

/// Makes a directory for the owner alone, and what is above it.
pub fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Whether something can be created in a directory (made if it is not there). The usual directory is not made: a
/// package does that, with its owner.
fn writable(dir: &Path, may_make: bool) -> io::Result<()> {
    if may_make {
        make(dir)?;
    }
    let probe = dir.join(format!(".probe-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe);
    let _ = std::fs::remove_file(&probe);
    match made {
        // A full disk is a place all the same.
        Err(e) if e.raw_os_error() == Some(libc::ENOSPC) => Ok(()),
        other => other.map(|_| ()),
    }
}

/// The first directory that can be written to; else why not.
pub fn choose(candidates: &[PathBuf]) -> Result<PathBuf, String> {
    let mut why = Vec::new();
    let explicit = candidates.len() == 1;
    for dir in candidates {
        match writable(dir, explicit || dir.is_relative()) {
            Ok(()) => return Ok(std::fs::canonicalize(dir).unwrap_or_else(|_| dir.clone())),
            Err(e) => why.push(format!("`{}`: {}", dir.display(), crate::net::failure::words(&e))),
        }
    }
    Err(why.join(", "))
}

/// Where a family keeps the lock of its home: it is locked as long as keeper, worker or stand-in lives, so that nobody takes
/// it for an orphan while one worker is dead and the next not there.
static KEPT: OnceLock<Pocket> = OnceLock::new();

/// From now on the lock of this process's home, and of those that it forks, outlives who took it. For the first keeper.
pub fn keep_locks() -> io::Result<()> {
    if KEPT.get().is_none() {
        let _ = KEPT.set(Pocket::make()?);
    }
    Ok(())
}

/// Locks a sub-directory; none when somebody has it, be it our own family.
pub fn lock(dir: &Path) -> io::Result<Option<Lock>> {
    Lock::open(dir)?.take()
}

/// Locks it for a home: what our family has is ours. And whether it had it.
fn lock_home(dir: &Path, kept: Option<&Pocket>) -> io::Result<(Option<Lock>, bool)> {
    let new = Lock::open(dir)?;
    let mut ours = kept.and_then(|k| k.look().ok()).unwrap_or_default().into_iter();
    match (ours.next(), ours.next()) {
        (Some(file), Some(dir)) if pocket::same(&dir, &new.dir) => {
            let lock = Lock { dir, file: Mutex::new(file) }.take()?;
            Ok((lock, true))
        }
        _ => Ok((new.take()?, false)),
    }
}

/// The directory that the worker before has left in the pocket.
pub fn inherited() -> Option<File> {
    KEPT.get()?.look().ok()?.into_iter().nth(1)
}

/// The directory of the worker before is none of ours any more: whoever finds it may adopt it.
pub fn disown() {
    drop(KEPT.get().map(Pocket::clear));
}

fn open_file(dir: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    file::open_regular(&dir.join(LOCK), options.read(true).write(true).create(true).truncate(false).mode(0o600))
}

impl Lock {
    fn open(dir: &Path) -> io::Result<Lock> {
        make(dir)?;
        let open = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NONBLOCK).open(dir)?;
        Ok(Lock { dir: open, file: Mutex::new(open_file(dir)?) })
    }

    /// The directory first: who has that has the file.
    fn take(self) -> io::Result<Option<Lock>> {
        let dir = match file::lock(&self.dir) {
            Ok(free) => free,
            // NFS locks no directory: there the file has to do.
            Err(e) => {
                log::debug("spool", format!("the directory itself cannot be locked: {e}"));
                true
            }
        };
        let both = dir && file::lock(&self.file())?;
        Ok(both.then_some(self))
    }

    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks whether the file is still there; somebody may have removed it, and then it is made anew, and signed.
    pub fn look(&self, dir: &Path) {
        let mut file = self.file();
        let number = |m: Metadata| (m.dev(), m.ino());
        let gone = match std::fs::metadata(dir.join(LOCK)) {
            Ok(there) => file.metadata().is_ok_and(|ours| number(ours) != number(there)),
            Err(e) => e.kind() == io::ErrorKind::NotFound,
        };
        if !gone || !self.dir.metadata().is_ok_and(|d| std::fs::metadata(dir).is_ok_and(|m| number(m) == number(d))) {
            return;
        }
        match open_file(dir).and_then(|new| Ok(file::lock(&new)?.then_some(new))) {
            Ok(Some(new)) => {
                log::warn("spool", format!("`{}` was removed; it is made anew", dir.join(LOCK).display()));
                *file = new;
                drop(file);
                sign(self);
            }
            Ok(None) => log::error("spool", format!("another helper has locked `{}`", dir.join(LOCK).display())),
            Err(e) => log::debug("spool", format!("cannot make the lock's file anew: {e}")),
        }
    }
}

/// The keeper whose family has this lock, by the word of the worker that took it, if it lives. For tools: in a container the
/// system is silent about a lock whose taker is dead. A confined process learns nothing here.
pub fn keeper_of(lock: &File) -> Option<i32> {
    let mut bytes = [0; limits::LOCK_BYTES];
    let read = lock.read_at(&mut bytes, 0).ok()?;
    let (pid, born) = std::str::from_utf8(&bytes[..read]).ok()?.lines().next()?.split_once(' ')?;
    let (pid, born): (i32, u64) = (pid.parse().ok()?, born.parse().ok()?);
    (process::born(pid) == Some(born)).then_some(pid)
}

/// Gives the lock of a home to the family, and writes down whose it is. That either fails is no reason not to work.
pub(super) fn sign(lock: &Lock) {
    let file = lock.file();
    if let Some(Err(e)) = KEPT.get().map(|kept| kept.put(&[&file, &lock.dir])) {
        log::debug("spool", format!("cannot give the lock to the keeper: {e}"));
    }
    let (keeper, born) = process::leader();
    let written = file.set_len(0).and_then(|()| file.write_all_at(format!("{keeper} {born}\n").as_bytes(), 0));
    if let Err(e) = written {
        log::debug("spool", format!("cannot write who works here: {e}"));
    }
}

/// The names to try for an instance: that of the worker before first, then `BASE`, `BASE.2`…
fn names(base: &str, before: &str) -> Vec<String> {
    let mut all: Vec<String> = vec![before.to_string()];
    all.push(base.to_string());
    all.extend((2..=limits::SPOOL_DIRECTORIES).map(|n| format!("{base}.{n}")));
    all.retain(|n| !n.is_empty());
    all.dedup();
    all
}

/// The same, after a while if need be: the lock of a family that was ended a moment ago goes with its last process, and an
/// adopter looks at each one for a moment. That of a keeper who lives is not waited for.
fn lock_home_soon(dir: &Path, end: Instant) -> io::Result<(Option<Lock>, bool)> {
    loop {
        let found = lock_home(dir, KEPT.get())?;
        let lives = || File::open(dir.join(LOCK)).ok().and_then(|f| keeper_of(&f)).is_some();
        if found.0.is_some() || Instant::now() >= end || lives() {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(limits::SETTLE_LOOK_MILLIS));
    }
}

/// Locks the first free sub-directory. `open` says whether it can be used; one that cannot is left. `patience`: how long it
/// waits in all for locks of those who are gone.
pub fn settle<T>(
    root: &Path,
    base: &str,
    before: &str,
    patience: Duration,
    mut open: impl FnMut(&Home) -> Result<T, String>,
) -> Result<(Home, T), String> {
    let mut why = String::new();
    let end = Instant::now() + patience;
    for name in names(base, before) {
        let dir = root.join(&name);
        match lock_home_soon(&dir, end) {
            Ok((Some(lock), inherited)) => {
                let home = Home { dir, name, lock: Arc::new(lock), inherited };
                crash::point("home.locked");
                match open(&home) {
                    Ok(t) => {
                        sign(&home.lock);
                        return Ok((home, t));
                    }
                    Err(e) => {
                        why = format!("`{}`: {e}", home.dir.display());
                        log::error("spool", format!("cannot use {why}; taking the next sub-directory"));
                    }
                }
            }
            Ok((None, _)) => why = format!("`{}` is locked by another helper", dir.display()),
            Err(e) => {
                why = format!("cannot lock `{}`: {}", dir.display(), crate::net::failure::words(&e));
                log::warn("spool", &why);
                if matches!(e.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::StorageFull) {
                    break;
                }
            }
        }
    }
    // An earlier home that cannot be used is nobody's: it may be adopted.
    disown();
    Err(why)
}

/// What was found, and when it was last looked for.
type Found = (Option<(RealDisk, Home)>, Option<Instant>);

/// A disk for when there is no directory: it fails until one can be had, and then is an empty sub-directory of it.
pub struct LateDisk {
    candidates: Vec<PathBuf>,
    base: String,
    found: Mutex<Found>,
}

impl LateDisk {
    /// Looks in these directories from time to time.
    pub fn new(candidates: Vec<PathBuf>, base: String) -> LateDisk {
        LateDisk { candidates, base, found: Mutex::new((None, Some(Instant::now()))) }
    }

    fn with<T>(&self, look: bool, f: impl FnOnce(&RealDisk) -> io::Result<T>) -> io::Result<T> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
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
    use super::*;

    fn temp(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("gostech-place-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn the_next_name_when_one_is_locked_or_foreign() {
        let root = temp("names");
        let (one, _) = settle(&root, "x", "", Duration::ZERO, |_| Ok(())).unwrap();
        let (two, _) = settle(&root, "x", "", Duration::ZERO, |_| Ok(())).unwrap();
        assert_eq!((one.name.as_str(), two.name.as_str()), ("x", "x.2"));
        let refused = |h: &Home| if h.name == "x.3" { Err("foreign".into()) } else { Ok(()) };
        let (four, _) = settle(&root, "x", "", Duration::ZERO, refused).unwrap();
        assert_eq!(four.name, "x.4");
        drop(one);
        assert_eq!(settle(&root, "x", "x.9", Duration::ZERO, |_| Ok(())).unwrap().0.name, "x.9");
        assert_eq!(settle(&root, "x", "", Duration::ZERO, |_| Ok(())).unwrap().0.name, "x");
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_home_whose_keeper_lives_is_left_to_its_next_worker() {
        let dir = temp("kept").join("x");
        let kept = Pocket::make().unwrap();
        let put = |lock: &Lock| kept.put(&[&lock.file(), &lock.dir]).unwrap();
        let (home, before) = lock_home(&dir, Some(&kept)).unwrap();
        assert!(!before);
        put(&home.unwrap());
        let is_taken = || lock(&dir).unwrap().is_none() && lock_home(&dir, None).unwrap().0.is_none();
        assert!(is_taken());
        // The next worker of the family, with its keeper alive and without; also when somebody has removed the file.
        assert!(matches!(lock_home(&dir, Some(&kept)).unwrap(), (Some(_), true)));
        std::fs::remove_file(dir.join(LOCK)).unwrap();
        let (next, before) = lock_home(&dir, Some(&kept)).unwrap();
        assert!(before && is_taken());
        let next = next.unwrap();
        next.look(&dir);
        put(&next);
        drop(next);
        let other = File::options().read(true).write(true).open(dir.join(LOCK)).unwrap();
        assert!(!file::lock(&other).unwrap(), "made anew, it is locked for helpers that lock the file alone");
        drop(kept);
        assert!(lock(&dir).unwrap().is_some());
        // One of those.
        assert!(file::lock(&other).unwrap() && lock(&dir).unwrap().is_none());
        std::fs::remove_dir_all(dir.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_lock_says_whose_it_is_while_that_one_lives() {
        let root = temp("says");
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = other.id() as i32;
        let (home, ()) = settle(&root, "x", "", Duration::ZERO, |_| Ok(())).unwrap();
        assert_eq!(keeper_of(&home.lock.file()), None, "a test has no keeper");
        std::fs::write(home.dir.join(LOCK), format!("{pid} {}\n", process::born(pid).unwrap())).unwrap();
        assert_eq!(keeper_of(&home.lock.file()), Some(pid));
        std::fs::write(home.dir.join(LOCK), format!("{pid} {}\n", process::born(pid).unwrap() + 1)).unwrap();
        assert_eq!(keeper_of(&home.lock.file()), None, "a later process has its number");
        other.kill().unwrap();
        other.wait().unwrap();
        std::fs::write(home.dir.join(LOCK), "\u{0}x\n").unwrap();
        assert_eq!(keeper_of(&home.lock.file()), None);
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn the_lock_of_one_who_is_gone_is_waited_for() {
        let root = temp("soon");
        let (one, ()) = settle(&root, "x", "", Duration::ZERO, |_| Ok(())).unwrap();
        let holder = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(one);
        });
        let (same, ()) = settle(&root, "x", "", Duration::from_secs(20), |_| Ok(())).unwrap();
        assert_eq!(same.name, "x");
        holder.join().unwrap();
        // Who lives is not waited for.
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = other.id() as i32;
        std::fs::write(same.dir.join(LOCK), format!("{pid} {}\n", process::born(pid).unwrap())).unwrap();
        let begin = Instant::now();
        let (next, ()) = settle(&root, "x", "", Duration::from_secs(20), |_| Ok(())).unwrap();
        assert!(next.name == "x.2" && begin.elapsed() < Duration::from_secs(10));
        other.kill().unwrap();
        other.wait().unwrap();
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn instance_names_become_directory_names() {
        assert_eq!(directory_name("default_1_1"), "default_1_1");
        let odd = directory_name("../я b");
        assert!(super::super::cursor::is_name(&odd) && odd != directory_name("../я c"), "{odd}");
    }

    #[test]
    fn a_directory_is_found_late() {
        let root = temp("late");
        std::fs::write(&root, "a file, no directory").unwrap();
        assert!(choose(&candidates(Some(&root), None)).is_err());
        let late = LateDisk { candidates: vec![root.clone()], base: "x".into(), found: Mutex::new((None, None)) };
        assert!(late.write_at("a", 0, b"x").is_err() && late.list().unwrap().is_empty());
        std::fs::remove_file(&root).unwrap();
        late.found.lock().unwrap().1 = None;
        late.write_at("a", 0, b"x").unwrap();
        assert!(late.place().ends_with("/x"));
        drop(late);
        std::fs::remove_dir_all(&root).unwrap();
    }
}
