//! The memory disk of the simulation: the real one, in which a worker may die.

use crate::disk::SimDisk;
use gostech::audit::spool::disk::{Disk, Entry};
use gostech::audit::spool::memory_disk::MemoryDisk;
use std::io;
use std::sync::Arc;

/// The real memory disk, whose every call may be a worker's last one.
pub struct SimMemoryDisk {
    pub memory_disk: MemoryDisk,
    pub disk: Arc<SimDisk>,
}

impl Disk for SimMemoryDisk {
    fn list(&self) -> io::Result<Vec<Entry>> {
        self.memory_disk.list()
    }
    fn read_at(&self, name: &str, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.memory_disk.read_at(name, at, buf)
    }
    fn write_at(&self, name: &str, at: u64, data: &[u8]) -> io::Result<()> {
        self.disk.tick();
        self.memory_disk.write_at(name, at, data)?;
        self.disk.tick();
        Ok(())
    }
    fn sync(&self, name: &str) -> io::Result<()> {
        self.memory_disk.sync(name)
    }
    fn sync_names(&self) -> io::Result<()> {
        self.memory_disk.sync_names()
    }
    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.disk.tick();
        self.memory_disk.truncate(name, bytes)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.memory_disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.tick();
        self.memory_disk.remove(name)
    }
    fn place(&self) -> String {
        self.memory_disk.place()
    }
}
