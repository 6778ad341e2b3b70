//! A disk in memory for when the disk fails: a few files in one sparse memory file that the keeper holds.
//!
//! A worker that dies leaves it as it was. The table stands in the first pages: for each file its name and length, the
//! length written last. How much may be in it is the spool's to decide; here every file has its own stretch of addresses.
//! Cursors and state have places of their own: a disk that fails in turns makes many little segments, and what counts them
//! must find room beside them.

use super::disk::{Disk, Entry};
use crate::audit::locks::{Rank, Ranked};
use crate::limits::{MEMORY_DISK_FILES, MEMORY_DISK_FILE_BYTES, MEMORY_DISK_SMALL_BYTES, MEMORY_DISK_SMALL_FILES};
use crate::sys::file;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

const ENTRY_BYTES: u64 = 128;
const NAME_BYTES: usize = 119;
const ENTRIES: usize = MEMORY_DISK_FILES + MEMORY_DISK_SMALL_FILES;
const DATA_AT: u64 = 64 * 1024;
const SMALL_AT: u64 = DATA_AT + MEMORY_DISK_FILES as u64 * MEMORY_DISK_FILE_BYTES;
const _: () = assert!(ENTRIES as u64 * ENTRY_BYTES <= DATA_AT);

/// The memory file as a disk.
#[derive(Debug)]
pub struct MemoryDisk {
    file: File,
    table: Ranked<Vec<Option<Entry>>>,
}

impl MemoryDisk {
    /// An empty one.
    pub fn create() -> io::Result<File> {
        file::memory("gostech-memory-disk", SMALL_AT + MEMORY_DISK_SMALL_FILES as u64 * MEMORY_DISK_SMALL_BYTES)
    }

    /// The disk behind such a file, with what an earlier worker left in it.
    pub fn open(file: File) -> io::Result<MemoryDisk> {
        let mut bytes = vec![0; ENTRIES * ENTRY_BYTES as usize];
        file.read_exact_at(&mut bytes, 0)?;
        let entry = |(at, e): (usize, &[u8])| {
            let len = usize::from(e[0]).min(NAME_BYTES);
            let name = String::from_utf8(e[1..1 + len].to_vec()).ok().filter(|n| !n.is_empty())?;
            let mut word = [0; 8];
            word.copy_from_slice(&e[120..128]);
            Some(Entry { name, bytes: u64::from_le_bytes(word).min(stretch(at)) })
        };
        let table = bytes.chunks_exact(ENTRY_BYTES as usize).enumerate().map(entry).collect();
        Ok(MemoryDisk { file, table: Ranked::new(Rank::Memory, table) })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Vec<Option<Entry>>) -> io::Result<T>) -> io::Result<T> {
        f(&mut self.table.lock())
    }

    fn save(&self, at: usize, entry: Option<&Entry>) -> io::Result<()> {
        let mut bytes = [0u8; ENTRY_BYTES as usize];
        if let Some(e) = entry {
            bytes[0] = e.name.len() as u8;
            bytes[1..1 + e.name.len()].copy_from_slice(e.name.as_bytes());
            bytes[120..].copy_from_slice(&e.bytes.to_le_bytes());
        }
        self.file.write_all_at(&bytes, at as u64 * ENTRY_BYTES)
    }
}

/// Where a file's bytes begin.
fn base(at: usize) -> u64 {
    match at.checked_sub(MEMORY_DISK_FILES) {
        Some(small) => SMALL_AT + small as u64 * MEMORY_DISK_SMALL_BYTES,
        None => DATA_AT + at as u64 * MEMORY_DISK_FILE_BYTES,
    }
}

/// The most bytes that a file can have.
fn stretch(at: usize) -> u64 {
    if at < MEMORY_DISK_FILES {
        MEMORY_DISK_FILE_BYTES
    } else {
        MEMORY_DISK_SMALL_BYTES
    }
}

/// Where a file of this name may stand in the table.
fn places(name: &str) -> Range<usize> {
    if name.ends_with(".seg") {
        0..MEMORY_DISK_FILES
    } else {
        MEMORY_DISK_FILES..ENTRIES
    }
}

fn find(table: &[Option<Entry>], name: &str) -> io::Result<usize> {
    let is = |e: &Option<Entry>| e.as_ref().is_some_and(|e| e.name == name);
    table.iter().position(is).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<Entry>> {
        self.with(|t| Ok(t.iter().flatten().cloned().collect()))
    }

    fn read_at(&self, name: &str, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let (slot, bytes) = self.with(|t| find(t, name).map(|i| (i, t[i].as_ref().map_or(0, |e| e.bytes))))?;
        let most = (bytes.saturating_sub(at) as usize).min(buf.len());
        self.file.read_exact_at(&mut buf[..most], base(slot) + at)?;
        Ok(most)
    }

    fn write_at(&self, name: &str, at: u64, data: &[u8]) -> io::Result<()> {
        let end = at + data.len() as u64;
        self.with(|t| {
            let slot = match find(t, name) {
                Ok(slot) => slot,
                Err(_) => places(name).find(|i| t[*i].is_none()).ok_or(io::ErrorKind::StorageFull)?,
            };
            if end > stretch(slot) || name.len() > NAME_BYTES {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
            self.file.write_all_at(data, base(slot) + at)?;
            let bytes = t[slot].as_ref().map_or(0, |e| e.bytes).max(end);
            let entry = Entry { name: name.to_string(), bytes };
            self.save(slot, Some(&entry))?;
            t[slot] = Some(entry);
            Ok(())
        })
    }

    fn sync(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.with(|t| {
            let slot = find(t, name)?;
            let entry = Entry { name: name.to_string(), bytes: bytes.min(stretch(slot)) };
            self.save(slot, Some(&entry))?;
            t[slot] = Some(entry);
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let _ = self.remove(to);
        self.with(|t| {
            let slot = find(t, from)?;
            let entry = Entry { name: to.to_string(), bytes: t[slot].as_ref().map_or(0, |e| e.bytes) };
            self.save(slot, Some(&entry))?;
            t[slot] = Some(entry);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(|t| {
            let slot = find(t, name)?;
            self.save(slot, None)?;
            t[slot] = None;
            file::punch(&self.file, base(slot), stretch(slot))
        })
    }

    fn place(&self) -> String {
        "memory".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlives_the_one_who_wrote_it() {
        let file = MemoryDisk::create().unwrap();
        let memory_disk = MemoryDisk::open(file.try_clone().unwrap()).unwrap();
        memory_disk.write_at("a.seg", 0, b"hello").unwrap();
        memory_disk.write_at("a.seg", 5, b" you").unwrap();
        memory_disk.write_at("b.seg", 0, b"x").unwrap();
        memory_disk.remove("b.seg").unwrap();
        memory_disk.rename("a.seg", "c.seg").unwrap();
        drop(memory_disk);
        let memory_disk = MemoryDisk::open(file).unwrap();
        assert_eq!(memory_disk.list().unwrap(), [Entry { name: "c.seg".into(), bytes: 9 }]);
        let mut buf = [0; 20];
        assert_eq!((memory_disk.read_at("c.seg", 6, &mut buf).unwrap(), &buf[..3]), (3, &b"you"[..]));
        memory_disk.truncate("c.seg", 2).unwrap();
        assert_eq!(memory_disk.read_at("c.seg", 0, &mut buf).unwrap(), 2);
        assert_eq!(memory_disk.read_at("gone", 0, &mut buf).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(memory_disk.write_at("c.seg", MEMORY_DISK_FILE_BYTES, b"x").is_err());
        for i in 0..MEMORY_DISK_FILES - 1 {
            memory_disk.write_at(&format!("f{i}.seg"), 0, b"x").unwrap();
        }
        assert_eq!(memory_disk.write_at("one more.seg", 0, b"x").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn small_files_have_room_beside_any_number_of_segments() {
        let memory_disk = MemoryDisk::open(MemoryDisk::create().unwrap()).unwrap();
        (0..MEMORY_DISK_FILES).for_each(|i| memory_disk.write_at(&format!("{i}.seg"), 0, b"x").unwrap());
        (0..MEMORY_DISK_SMALL_FILES)
            .for_each(|i| memory_disk.write_at(&format!("cursor-{i}"), MEMORY_DISK_SMALL_BYTES - 1, b"x").unwrap());
        assert_eq!(memory_disk.write_at("one more", 0, b"x").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(
            memory_disk.write_at("cursor-1", MEMORY_DISK_SMALL_BYTES, b"x").unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
        let mut all = memory_disk.list().unwrap();
        all.retain(|f| f.bytes == MEMORY_DISK_SMALL_BYTES);
        assert_eq!(all.len(), MEMORY_DISK_SMALL_FILES);
        memory_disk.remove("cursor-0").unwrap();
        let mut buf = [0; 2];
        assert_eq!((memory_disk.read_at("0.seg", 0, &mut buf).unwrap(), buf[0]), (1, b'x'));
    }
}
