//! What the spool needs of a disk: a trait of few calls, by file name, and the real one. Names have no directories.
//!
//! Everything goes through this trait, so that the simulation can tear, fill and forget. Refuses: to retry, to judge.

use super::lock::{self, Lock};
use crate::audit::locks::{Rank, Ranked};
use crate::limits;
use crate::sys::process;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file and its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// A flat folder of files.
pub trait Disk: Send + Sync {
    /// All files.
    fn list(&self) -> io::Result<Vec<Entry>>;
    /// Reads into `buf`; less than asked only at the end of the file.
    fn read_at(&self, name: &str, at: u64, buf: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `data`, making the file when there is none.
    fn write_at(&self, name: &str, at: u64, data: &[u8]) -> io::Result<()>;
    /// What was written to the file is on the platter when this comes back.
    fn sync(&self, name: &str) -> io::Result<()>;
    /// The same for the names.
    fn sync_names(&self) -> io::Result<()>;
    /// Cuts a file.
    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()>;
    /// Renames a file, over another one if there is.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Where it is, for people.
    fn place(&self) -> String;
    /// The file is looked up anew at its next use: somebody else may have renamed it.
    fn look_again(&self, _name: &str) {}
    /// Whether the file that is read and written under this name is still the one that has it.
    fn is_named(&self, _name: &str) -> bool {
        true
    }
    /// The same folder for somebody who shares no lock with those who use this one.
    fn another(&self) -> Option<Box<dyn Disk>> {
        None
    }
    /// What says whose the folder is is there still, or made anew.
    fn look_at_lock(&self) {}
    /// Whether the folder is another one than that in which the files are open: removed, or under a mount.
    fn moved(&self) -> bool {
        false
    }
    /// Goes on in the folder that is in its place now, made and locked when there is none. Open files but
    /// segments are forgotten.
    fn revive(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A whole small file; none when there is none.
pub fn read_all(disk: &dyn Disk, name: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; most as usize];
    match disk.read_at(name, 0, &mut bytes) {
        Ok(n) => {
            bytes.truncate(n);
            Ok(Some(bytes))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Page by page, and zeros for those that the disk does not give.
pub fn read_by_pages(disk: &dyn Disk, name: &str, from: u64, buf: &mut [u8]) -> usize {
    let mut at = 0;
    while at < buf.len() {
        // To the end of the page: the next one may be well.
        let page = limits::PAGE_BYTES - (from + at as u64) % limits::PAGE_BYTES;
        let to = buf.len().min(at + page as usize);
        match disk.read_at(name, from + at as u64, &mut buf[at..to]) {
            Ok(0) => break,
            Ok(n) => at += n,
            Err(_) => {
                buf[at..to].fill(0);
                at = to;
            }
        }
    }
    at
}

type OpenFiles = Vec<(String, bool, Arc<File>)>;

/// A real directory.
#[derive(Debug)]
pub struct RealDisk {
    dir: PathBuf,
    open: Ranked<OpenFiles>,
    /// How many of them.
    most: usize,
    /// The folders that are ours, the one in use last, with the locks that were taken here.
    homes: Ranked<Vec<(Inode, Option<Arc<Lock>>)>>,
}

/// Device and number: what a folder is, whatever its name.
type Inode = (u64, u64);

fn inode(dir: &Path) -> io::Result<Inode> {
    std::fs::metadata(dir).map(|m| (m.dev(), m.ino()))
}

impl RealDisk {
    /// The disk of a directory that exists.
    pub fn new(dir: &Path) -> RealDisk {
        let (least, most) = limits::OPEN_FILES;
        let most = (process::descriptor_limit() / 8).clamp(least, most) as usize;
        let homes = inode(dir).map(|i| vec![(i, None)]).unwrap_or_default();
        RealDisk {
            dir: dir.to_path_buf(),
            open: Ranked::new(Rank::Open, Vec::new()),
            most,
            homes: Ranked::new(Rank::Homes, homes),
        }
    }

    /// The same, with the lock that was taken for it.
    pub fn locked(self, lock: &Arc<Lock>) -> RealDisk {
        if let Some(home) = self.homes.lock().last_mut() {
            home.1 = Some(lock.clone());
        }
        self
    }

    /// An open file. Only a write makes one: a sync of what somebody has just removed must not bring it back.
    fn handle(&self, name: &str, write: bool, create: bool) -> io::Result<Arc<File>> {
        let mut open = self.open.lock();
        if let Some((_, _, f)) = open.iter().find(|(n, w, _)| n == name && (*w || !write)) {
            return Ok(f.clone());
        }
        let mut options = OpenOptions::new();
        // Whoever opens a FIFO waits for its other end, for ever.
        let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
        options.read(true).write(write).create(create).mode(0o600).custom_flags(flags);
        let file = Arc::new(options.open(self.dir.join(name))?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other(format!("`{name}` is no regular file")));
        }
        if open.len() >= self.most {
            open.remove(0);
        }
        open.push((name.to_string(), write, file.clone()));
        Ok(file)
    }

    fn forget(&self, name: &str) {
        self.open.lock().retain(|(n, _, _)| n != name);
    }
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<Entry>> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            if let (Ok(meta), Ok(name)) = (entry.metadata(), entry.file_name().into_string()) {
                if meta.is_file() {
                    all.push(Entry { name, bytes: meta.len() });
                }
            }
            if all.len() >= crate::limits::SPOOL_FILES {
                return Err(io::Error::other("there are too many files"));
            }
        }
        Ok(all)
    }

    fn read_at(&self, name: &str, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let file = self.handle(name, false, false)?;
        let mut done = 0;
        while done < buf.len() {
            match file.read_at(&mut buf[done..], at + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn write_at(&self, name: &str, at: u64, data: &[u8]) -> io::Result<()> {
        self.handle(name, true, true)?.write_all_at(data, at)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.handle(name, true, false)?.sync_data()
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.handle(name, true, false)?.set_len(bytes)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.dir.join(from), self.dir.join(to))?;
        self.forget(from);
        self.forget(to);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.forget(name);
        std::fs::remove_file(self.dir.join(name))
    }

    fn place(&self) -> String {
        self.dir.display().to_string()
    }

    fn look_again(&self, name: &str) {
        self.forget(name);
    }

    fn is_named(&self, name: &str) -> bool {
        let number = |m: &Metadata| (m.dev(), m.ino());
        let open = {
            let open = self.open.lock();
            open.iter().find(|(n, _, _)| n == name).map(|(_, _, f)| f.clone())
        };
        match std::fs::symlink_metadata(self.dir.join(name)) {
            Ok(there) => open.is_none_or(|f| f.metadata().is_ok_and(|ours| number(&ours) == number(&there))),
            Err(e) => e.kind() != io::ErrorKind::NotFound,
        }
    }

    fn another(&self) -> Option<Box<dyn Disk>> {
        Some(Box::new(RealDisk::new(&self.dir)))
    }

    fn look_at_lock(&self) {
        let homes = self.homes.lock();
        if let Some((_, Some(lock))) = homes.last() {
            lock.look(&self.dir);
        }
    }

    fn moved(&self) -> bool {
        let homes = self.homes.lock();
        homes.last().is_some_and(|(home, _)| inode(&self.dir).ok() != Some(*home))
    }

    fn revive(&self) -> io::Result<()> {
        let mut homes = self.homes.lock();
        let now = inode(&self.dir).ok();
        // One that we have locked before (its mount has come back) is ours still.
        let known = homes.iter().position(|(home, _)| Some(*home) == now);
        let home = match known {
            Some(i) => homes.remove(i),
            None => {
                let lock = lock::take(&self.dir)?.ok_or_else(|| io::Error::other("another helper works there"))?;
                (inode(&self.dir)?, Some(Arc::new(lock)))
            }
        };
        if let Some(lock) = &home.1 {
            lock.sign();
        }
        homes.push(home);
        // Segments that are open are to be read from where they were.
        self.open.lock().retain(|(name, _, _)| name.ends_with(".seg"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_directory_does_what_the_trait_says() {
        let dir = std::env::temp_dir().join(format!("gostech-disk-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let d = RealDisk::new(&dir);
        assert_eq!(d.read_at("a", 0, &mut [0; 4]).unwrap_err().kind(), io::ErrorKind::NotFound);
        d.write_at("a", 0, b"hello").unwrap();
        d.write_at("a", 5, b" you").unwrap();
        d.sync("a").unwrap();
        d.sync_names().unwrap();
        let mut buf = [0; 20];
        assert_eq!((d.read_at("a", 6, &mut buf).unwrap(), &buf[..3]), (3, &b"you"[..]));
        d.truncate("a", 5).unwrap();
        d.rename("a", "b").unwrap();
        assert_eq!(d.list().unwrap(), [Entry { name: "b".into(), bytes: 5 }]);
        assert_eq!(read_all(&d, "b", 100).unwrap().unwrap(), b"hello");
        assert_eq!(read_all(&d, "a", 100).unwrap(), None);
        for gone in [d.sync("a"), d.truncate("a", 0)] {
            assert_eq!(gone.unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        assert_eq!(d.list().unwrap().len(), 1);
        d.remove("b").unwrap();
        assert!(d.list().unwrap().is_empty());
        assert!(std::process::Command::new("mkfifo").arg(dir.join("f")).status().unwrap().success());
        assert!(d.read_at("f", 0, &mut buf).is_err() && d.write_at("f", 0, b"x").is_err());
        d.remove("f").unwrap();
        // Removed under it: what is open can still be read, until it goes on in a new one, locked.
        d.write_at("c", 0, b"open").unwrap();
        assert!(!d.moved());
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(d.moved() && d.read_at("c", 0, &mut buf).unwrap() == 4);
        d.revive().unwrap();
        assert!(!d.moved() && d.read_at("c", 0, &mut buf).is_err());
        assert!(lock::take(&dir).unwrap().is_none());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
