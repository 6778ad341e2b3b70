//! A disk in memory: files by name, nothing that fails. Refuses: to be slow, to be shared between processes.

use gostech::audit::spool::disk::{Disk, Entry};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The files.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The disk.
#[derive(Default)]
pub struct Memory(Mutex<Files>);

impl Memory {
    /// A disk with these files.
    pub fn of(files: Files) -> Arc<Memory> {
        Arc::new(Memory(Mutex::new(files)))
    }

    /// What is there now.
    pub fn files(&self) -> Files {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, name: &str, f: impl FnOnce(&mut Vec<u8>) -> T) -> io::Result<T> {
        self.lock().get_mut(name).map(f).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for Memory {
    fn list(&self) -> io::Result<Vec<Entry>> {
        Ok(self.lock().iter().map(|(name, b)| Entry { name: name.clone(), bytes: b.len() as u64 }).collect())
    }

    fn read_at(&self, name: &str, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.with(name, |b| {
            let from = usize::try_from(at).unwrap_or(usize::MAX).min(b.len());
            let most = buf.len().min(b.len() - from);
            buf[..most].copy_from_slice(&b[from..from + most]);
            most
        })
    }

    fn write_at(&self, name: &str, at: u64, data: &[u8]) -> io::Result<()> {
        let mut all = self.lock();
        let file = all.entry(name.to_string()).or_default();
        let (from, to) = (at as usize, at as usize + data.len());
        file.resize(file.len().max(to), 0);
        file[from..to].copy_from_slice(data);
        Ok(())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.with(name, |_| ())
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.with(name, |b| b.resize(bytes as usize, 0))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let bytes = self.lock().remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.lock().insert(to.to_string(), bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.lock().remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn place(&self) -> String {
        "memory".into()
    }
}
