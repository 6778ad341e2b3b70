//! The disk of a worker that has no directory: nothing lies there, and nothing can be put there.
//!
//! The worker looks for a directory from time to time (`process/opening`), and leaves it to the next one. Refuses: to become a
//! disk.

use super::disk::{Disk, Entry};
use std::io;

/// No disk.
pub struct NoDisk;

fn none<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::NotFound, "there is no writable spool directory"))
}

impl Disk for NoDisk {
    fn list(&self) -> io::Result<Vec<Entry>> {
        Ok(Vec::new())
    }
    fn read_at(&self, _: &str, _: u64, _: &mut [u8]) -> io::Result<usize> {
        none()
    }
    fn write_at(&self, _: &str, _: u64, _: &[u8]) -> io::Result<()> {
        none()
    }
    fn sync(&self, _: &str) -> io::Result<()> {
        none()
    }
    fn sync_names(&self) -> io::Result<()> {
        none()
    }
    fn truncate(&self, _: &str, _: u64) -> io::Result<()> {
        none()
    }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        none()
    }
    fn remove(&self, _: &str) -> io::Result<()> {
        none()
    }
    fn place(&self) -> String {
        "memory (no directory)".into()
    }
}
