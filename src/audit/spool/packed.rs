//! Making a packed segment of a plain one: written beside it, synced, read again.
//!
//! Refuses: to change or remove the plain one, to take a lock of the spool, to pack what is damaged.

use super::disk::Disk;
use super::names::UNBORN;
use super::pack::Packer;
use super::record::{Head, Packed, RECORDS_AT};
use super::walk::{Found, Walk};
use crate::hash::xxh64;
use crate::limits;
use crate::sys::crash;
use std::io;
use std::sync::Arc;

/// A plain segment that is to be packed, and the name of the file to be.
#[derive(Clone, Debug)]
pub struct Job {
    /// The plain one's file.
    pub name: String,
    /// Its head.
    pub head: Arc<Head>,
    /// Its length.
    pub bytes: u64,
    /// The number after its last record.
    pub next: u64,
    /// The packed one's file.
    pub to: String,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Its file is on the platter under the unborn name, was read again, and is so long.
    Done(u64),
    /// It is damaged or gone, or would hardly become smaller.
    NotWorthIt,
}

impl Job {
    /// The head of the packed one.
    pub fn packed_head(&self) -> Head {
        Head { packed: Some(Packed { plain: self.bytes, next: self.next }), ..(*self.head).clone() }
    }

    /// The name under which it is written.
    pub fn unborn(&self) -> String {
        format!("{}{UNBORN}", self.to)
    }

    /// Packs it. Holds no lock of the spool, and touches nothing but the file to be, which is gone where that failed.
    pub fn pack(&self, disk: &dyn Disk) -> io::Result<Packing> {
        // Nothing of an earlier try is to be under it.
        let _ = disk.remove(&self.unborn());
        let done = self.pack_and_look(disk);
        if !matches!(done, Ok(Packing::Done(_))) {
            let _ = disk.remove(&self.unborn());
        }
        match done {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Packing::NotWorthIt),
            done => done,
        }
    }

    fn pack_and_look(&self, disk: &dyn Disk) -> io::Result<Packing> {
        let Some((size, sum)) = self.write(disk)? else { return Ok(Packing::NotWorthIt) };
        crash::point("pack.written");
        disk.sync(&self.unborn())?;
        crash::point("pack.synced");
        // What is read again is what is kept; else the plain one stays.
        let mut again = 0;
        let whole = each_record(disk, &self.unborn(), &self.packed_head(), self.bytes, self.next, |record| {
            again = xxh64(record, again);
            Ok(true)
        })?;
        match whole && again == sum {
            true => Ok(Packing::Done(size)),
            false => Err(io::Error::other("what was packed is not read as it was written")),
        }
    }

    /// Its length, and the sum of its records.
    fn write(&self, disk: &dyn Disk) -> io::Result<Option<(u64, u64)>> {
        let (mut packer, mut block, mut out) = (Packer::default(), Vec::new(), self.packed_head().encode());
        let (mut from, mut at, mut sum) = (RECORDS_AT, 0, 0);
        let mut flush = |block: &mut Vec<u8>| {
            let packs = block.is_empty() || packer.pack(block, from, &self.head, &mut out);
            if packs {
                disk.write_at(&self.unborn(), at, &out)?;
                (from, at) = (from + block.len() as u64, at + out.len() as u64);
            }
            block.clear();
            out.clear();
            Ok::<_, io::Error>(packs)
        };
        let whole = each_record(disk, &self.name, &self.head, self.bytes, self.next, |record| {
            let is_full = !block.is_empty() && block.len() + record.len() > limits::PACKED_BLOCK_BYTES.0;
            let goes_on = !is_full || flush(&mut block)?;
            sum = xxh64(record, sum);
            block.extend_from_slice(record);
            Ok(goes_on && block.len() <= limits::PACKED_BLOCK_BYTES.1)
        })?;
        Ok((whole && flush(&mut block)?).then_some((at, sum)))
    }
}

/// Calls `f` with each record of a segment, until it says no; whether all of them are there and nothing else.
fn each_record(
    disk: &dyn Disk,
    name: &str,
    head: &Head,
    bytes: u64,
    next: u64,
    mut f: impl FnMut(&[u8]) -> io::Result<bool>,
) -> io::Result<bool> {
    let (mut walk, mut seq) = (Walk::start(), head.first_seq);
    loop {
        match walk.next(disk, name, head, bytes)? {
            Found::Record(m) if m.seq == seq && f(walk.passed(m))? => seq += 1,
            Found::End => return Ok(seq == next),
            _ => return Ok(false),
        }
    }
}
