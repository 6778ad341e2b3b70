//! The ark of the simulation: the real one, in which a worker may die.

use crate::disk::SimDisk;
use gostech::audit::spool::ark::Ark;
use gostech::audit::spool::disk::{Disk, Entry};
use std::io;
use std::sync::Arc;

/// The real ark, whose every call may be a worker's last one.
pub struct SimArk {
    pub ark: Ark,
    pub disk: Arc<SimDisk>,
}

impl Disk for SimArk {
    fn list(&self) -> io::Result<Vec<Entry>> {
        self.ark.list()
    }
    fn read_at(&self, name: &str, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.ark.read_at(name, at, buf)
    }
    fn write_at(&self, name: &str, at: u64, data: &[u8]) -> io::Result<()> {
        self.disk.tick();
        self.ark.write_at(name, at, data)?;
        self.disk.tick();
        Ok(())
    }
    fn sync(&self, name: &str) -> io::Result<()> {
        self.ark.sync(name)
    }
    fn sync_names(&self) -> io::Result<()> {
        self.ark.sync_names()
    }
    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.disk.tick();
        self.ark.truncate(name, bytes)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.ark.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.tick();
        self.ark.remove(name)
    }
    fn place(&self) -> String {
        self.ark.place()
    }
}
