//! Reading a packed segment where the plain one would be read.
//!
//! A reader sees the plain segment. A damaged block is zeros to it, as many as the block held: so what is behind it is found,
//! and what is missing is told, as it is where a plain segment is damaged. Refuses: to write.

use super::disk::{read_by_pages, Disk};
use super::pack::{next_candidate, Block, BLOCK_HEADER};
use super::record::{Packed, RECORDS_AT};
use crate::limits;
use std::io;

/// Where a packed segment is read on: a place in the plain one, and that of its block in the file.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    from: u64,
    at: u64,
}

impl Default for Blocks {
    fn default() -> Blocks {
        Blocks { from: RECORDS_AT, at: RECORDS_AT }
    }
}

impl Blocks {
    /// Appends what stands at `from` in the plain segment, which ends at `end`: the rest of its block, or zeros where that
    /// is damaged. At least one byte.
    pub fn read(
        &mut self,
        disk: &dyn Disk,
        name: &str,
        from: u64,
        end: u64,
        holes: bool,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let file = File { disk, name, holes };
        let block = self.find(&file, from)?;
        let Some(block) = block.filter(|b| b.from <= from) else {
            // To the next one that can be read; in steps, as anything is read.
            let to = block.map_or(end, |b| b.from).min(end).min(from + limits::READ_BYTES as u64);
            out.resize(out.len() + (to - from) as usize, 0);
            return Ok(());
        };
        let packed = file.read(self.at + BLOCK_HEADER as u64, block.packed)?;
        let plain = block.unpack(&packed).unwrap_or_else(|| vec![0; block.plain]);
        let most = block.to().min(end.max(from + 1)) - block.from;
        out.extend_from_slice(&plain[(from - block.from) as usize..most as usize]);
        self.pass(&block);
        Ok(())
    }

    fn pass(&mut self, block: &Block) {
        (self.from, self.at) = (block.to(), self.at + (BLOCK_HEADER + block.packed) as u64);
    }

    /// Stands at the block that holds what is at `from`, or the first one behind that; none: there is none up to the end.
    fn find(&mut self, file: &File<'_>, from: u64) -> io::Result<Option<Block>> {
        if from < self.from {
            *self = Blocks::default();
        }
        loop {
            let header = file.read(self.at, BLOCK_HEADER)?;
            let block = match Block::of(&header).filter(|b| b.from >= self.from) {
                Some(block) => block,
                None if header.len() < BLOCK_HEADER => return Ok(None),
                None => match self.next_whole(file)? {
                    Some((at, block)) => {
                        self.at = at;
                        block
                    }
                    None => return Ok(None),
                },
            };
            if block.to() > from {
                return Ok(Some(block));
            }
            self.pass(&block);
        }
    }

    /// The next block behind a damaged header, and where it stands.
    fn next_whole(&self, file: &File<'_>) -> io::Result<Option<(u64, Block)>> {
        let mut at = self.at + 1;
        loop {
            let bytes = file.read(at, limits::READ_BYTES)?;
            let mut i = next_candidate(&bytes, 0);
            while i + BLOCK_HEADER <= bytes.len() {
                if let Some(block) = Block::of(&bytes[i..]).filter(|b| b.from >= self.from) {
                    return Ok(Some((at + i as u64, block)));
                }
                i = next_candidate(&bytes, i + 1);
            }
            if bytes.len() < limits::READ_BYTES {
                return Ok(None);
            }
            // A header may begin in the last bytes.
            at += (bytes.len() - BLOCK_HEADER) as u64;
        }
    }
}

/// A packed segment's file.
struct File<'a> {
    disk: &'a dyn Disk,
    name: &'a str,
    holes: bool,
}

impl File<'_> {
    /// Less than asked only at its end.
    fn read(&self, at: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let mut got = self.disk.read_at(self.name, at, &mut bytes);
        if self.holes && got.as_ref().is_err_and(|e| e.kind() != io::ErrorKind::NotFound) {
            got = Ok(read_by_pages(self.disk, self.name, at, &mut bytes));
        }
        bytes.truncate(got?);
        Ok(bytes)
    }
}

/// What a file without a head says of the plain segment; none: it is no packed one, as far as can be seen.
pub fn without_head(disk: &dyn Disk, name: &str) -> Option<Packed> {
    let file = File { disk, name, holes: true };
    let mut blocks = Blocks::default();
    let mut plain = None;
    while let Ok(Some(block)) = blocks.find(&file, blocks.from) {
        plain = Some(block.to());
        blocks.pass(&block);
    }
    plain.map(|plain| Packed { plain, next: 0 })
}

/// Where in the file of a packed segment, `size` long, stands what stands between two places of the plain one: from the end
/// of the last whole block before to the next whole one behind.
pub fn stretch(disk: &dyn Disk, name: &str, from: u64, to: u64, size: u64) -> io::Result<(u64, u64)> {
    let file = File { disk, name, holes: true };
    let (mut blocks, mut begin) = (Blocks::default(), RECORDS_AT);
    while let Some(block) = blocks.find(&file, blocks.from)? {
        if block.from >= to {
            return Ok((begin, blocks.at));
        }
        let is_before = block.to() <= from;
        blocks.pass(&block);
        if is_before {
            begin = blocks.at;
        }
    }
    Ok((begin, size.max(begin)))
}
