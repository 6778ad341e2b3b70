//! Files that are parked: they lie in a socket pair, sent and never received. A lock on such a file lasts as long as any process
//! that has the pair, whoever took it, and whether or not that one lives; and a directory in it keeps its number.
//!
//! What a process inherits by `fork` it need not be told of, so a worker can put into its keeper's hands what its keeper
//! never opens. Refuses: to wait.

use super::descriptors;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// Holds a few files that belong together, or none.
#[derive(Debug)]
pub struct ParkedFiles {
    hand: OwnedFd,
    bottom: OwnedFd,
}

impl ParkedFiles {
    /// An empty one, close-on-exec.
    pub fn make() -> io::Result<ParkedFiles> {
        let (hand, bottom) = descriptors::pair()?;
        Ok(ParkedFiles { hand, bottom })
    }

    /// Puts these files in, and then takes out what was there before.
    pub fn put(&self, files: &[&File]) -> io::Result<()> {
        if is(&self.look()?, files) {
            return Ok(());
        }
        self.send(files)?;
        while !is(&self.look()?, files) {
            self.receive(false)?;
        }
        Ok(())
    }

    /// What is in it, and stays there.
    pub fn look(&self) -> io::Result<Vec<File>> {
        self.receive(true)
    }

    /// Takes all out.
    pub fn clear(&self) -> io::Result<()> {
        while !self.receive(false)?.is_empty() {}
        Ok(())
    }

    fn send(&self, files: &[&File]) -> io::Result<()> {
        let fds: Vec<_> = files.iter().map(|f| f.as_fd()).collect();
        descriptors::send(self.hand.as_fd(), &[0], &fds)
    }

    /// The oldest.
    fn receive(&self, stays: bool) -> io::Result<Vec<File>> {
        let take = if stays { descriptors::peek } else { descriptors::receive };
        match take(self.bottom.as_fd(), &mut [0]) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(Vec::new()),
            Ok((_, fds)) if fds.is_empty() => Err(io::Error::other("no descriptor could be taken")),
            other => Ok(other?.1.into_iter().map(File::from).collect()),
        }
    }
}

fn is(there: &[File], files: &[&File]) -> bool {
    there.len() == files.len() && there.iter().zip(files).all(|(a, b)| same(a, b))
}

/// Whether both are one file.
pub fn same(a: &File, b: &File) -> bool {
    let place = |f: &File| f.metadata().map(|m| (m.dev(), m.ino()));
    matches!((place(a), place(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::file::lock;

    #[test]
    fn a_lock_in_it_outlives_who_took_it() {
        let path = std::env::temp_dir().join(format!("gostech-parked-{}", std::process::id()));
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        let parked = ParkedFiles::make().unwrap();
        assert!(parked.look().unwrap().is_empty());
        let file = open();
        assert!(lock(&file).unwrap());
        parked.put(&[&file]).unwrap();
        drop(file);
        assert!(!lock(&open()).unwrap());
        // Looked at, it is the very one, and stays.
        let seen = parked.look().unwrap().remove(0);
        assert!(same(&seen, &open()) && lock(&seen).unwrap());
        drop(seen);
        parked.put(&[&open()]).unwrap();
        assert!(!lock(&open()).unwrap(), "what is there already is not exchanged");
        // Other files drive it out.
        let (other, dir) = (File::open("/dev/null").unwrap(), File::open("/").unwrap());
        parked.put(&[&other, &dir]).unwrap();
        assert!(is(&parked.look().unwrap(), &[&other, &dir]) && lock(&open()).unwrap());
        let file = open();
        assert!(lock(&file).unwrap());
        parked.put(&[&file]).unwrap();
        drop(file);
        parked.clear().unwrap();
        assert!(parked.look().unwrap().is_empty() && lock(&open()).unwrap());
        std::fs::remove_file(&path).unwrap();
    }
}
