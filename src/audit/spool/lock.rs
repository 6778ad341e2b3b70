//! The lock of a sub-directory, which its worker has, and its family as long as one of them lives.
//!
//! The lock is on the directory itself, so it goes only with that; the file `lock` in it is locked beside it, says whose
//! the directory is, and is made anew when somebody removes it. Refuses: to wait for it.

use super::names::LOCK;
use crate::audit::locks::{Held, Rank, Ranked};
use crate::limits;
use crate::log;
use crate::sys::parked::{self, ParkedFiles};
use crate::sys::{file, process};
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A sub-directory that is ours as long as this lives, or the family has it parked.
#[derive(Debug)]
pub struct Lock {
    /// It also keeps the directory's number from being given to another one.
    dir: File,
    file: Ranked<File>,
}

/// Where a family keeps the lock of its home: it is locked as long as keeper, worker or stand-in lives, so that nobody takes
/// it for an orphan while one worker is dead and the next not there.
static KEPT: OnceLock<ParkedFiles> = OnceLock::new();

/// From now on the lock of this process's home, and of those that it forks, outlives who took it. For the first keeper.
pub fn keep_locks() -> io::Result<()> {
    if KEPT.get().is_none() {
        let _ = KEPT.set(ParkedFiles::make()?);
    }
    Ok(())
}

/// Locks a sub-directory; none when somebody has it, be it our own family.
pub fn take(dir: &Path) -> io::Result<Option<Lock>> {
    Lock::open(dir)?.take()
}

/// Makes a directory for the owner alone, and what is above it.
pub fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Locks it for a home: what our family has is ours. And whether it had it.
fn lock_home(dir: &Path, kept: Option<&ParkedFiles>) -> io::Result<(Option<Lock>, bool)> {
    let new = Lock::open(dir)?;
    let mut ours = kept.and_then(|k| k.look().ok()).unwrap_or_default().into_iter();
    match (ours.next(), ours.next()) {
        (Some(file), Some(dir)) if parked::same(&dir, &new.dir) => {
            let lock = Lock { dir, file: Ranked::new(Rank::Home, file) }.take()?;
            Ok((lock, true))
        }
        _ => Ok((new.take()?, false)),
    }
}

/// The same, after a while if need be: the lock of a family that was ended a moment ago goes with its last process, and an
/// adopter looks at each one for a moment. That of a keeper who lives is not waited for.
pub fn take_home(dir: &Path, end: Instant) -> io::Result<(Option<Lock>, bool)> {
    loop {
        let found = lock_home(dir, KEPT.get())?;
        let lives = || File::open(dir.join(LOCK)).ok().and_then(|f| keeper_of(&f)).is_some();
        if found.0.is_some() || Instant::now() >= end || lives() {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(limits::SETTLE_LOOK_MILLIS));
    }
}

/// The directory that the worker before has left parked.
pub fn inherited() -> Option<File> {
    KEPT.get()?.look().ok()?.into_iter().nth(1)
}

/// The directory of the worker before is none of ours any more: whoever finds it may adopt it.
pub fn disown() {
    drop(KEPT.get().map(ParkedFiles::clear));
}

fn open_file(dir: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    file::open_regular(&dir.join(LOCK), options.read(true).write(true).create(true).truncate(false).mode(0o600))
}

impl Lock {
    fn open(dir: &Path) -> io::Result<Lock> {
        make(dir)?;
        let open = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NONBLOCK).open(dir)?;
        Ok(Lock { dir: open, file: Ranked::new(Rank::Home, open_file(dir)?) })
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

    /// Gives the lock of a home to the family, and writes down whose it is. That either fails is no reason not to work.
    pub(super) fn sign(&self) {
        let file = self.file();
        if let Some(Err(e)) = KEPT.get().map(|kept| kept.put(&[&file, &self.dir])) {
            log::debug("spool", format!("cannot give the lock to the keeper: {e}"));
        }
        let (keeper, born) = process::leader();
        let written = file.set_len(0).and_then(|()| file.write_all_at(format!("{keeper} {born}\n").as_bytes(), 0));
        if let Err(e) = written {
            log::debug("spool", format!("cannot write who works here: {e}"));
        }
    }

    fn file(&self) -> Held<'_, File> {
        self.file.lock()
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
                self.sign();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn temp(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("gostech-lock-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn a_home_whose_keeper_lives_is_left_to_its_next_worker() {
        let dir = temp("kept").join("x");
        let kept = ParkedFiles::make().unwrap();
        let put = |lock: &Lock| kept.put(&[&lock.file(), &lock.dir]).unwrap();
        let (home, before) = lock_home(&dir, Some(&kept)).unwrap();
        assert!(!before);
        put(&home.unwrap());
        let is_taken = || take(&dir).unwrap().is_none() && lock_home(&dir, None).unwrap().0.is_none();
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
        assert!(take(&dir).unwrap().is_some());
        // One of those.
        assert!(file::lock(&other).unwrap() && take(&dir).unwrap().is_none());
        std::fs::remove_dir_all(dir.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_lock_says_whose_it_is_while_that_one_lives() {
        let root = temp("says");
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = other.id() as i32;
        let dir = root.join("x");
        let lock = take(&dir).unwrap().unwrap();
        assert_eq!(keeper_of(&lock.file()), None, "a test has no keeper");
        std::fs::write(dir.join(LOCK), format!("{pid} {}\n", process::born(pid).unwrap())).unwrap();
        assert_eq!(keeper_of(&lock.file()), Some(pid));
        std::fs::write(dir.join(LOCK), format!("{pid} {}\n", process::born(pid).unwrap() + 1)).unwrap();
        assert_eq!(keeper_of(&lock.file()), None, "a later process has its number");
        other.kill().unwrap();
        other.wait().unwrap();
        std::fs::write(dir.join(LOCK), "\u{0}x\n").unwrap();
        assert_eq!(keeper_of(&lock.file()), None);
        std::fs::remove_dir_all(&root).unwrap();
    }
}
