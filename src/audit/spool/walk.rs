//! Walking the records of a segment through a small window: used by senders, recovery and the offline tools alike.

use super::blocks::Blocks;
use super::disk::{read_by_pages, Disk};
use super::record::{self, Fault, Head, Meta, Stored, RECORDS_AT};
use crate::limits;
use std::io;

/// What stands next.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    /// A whole record; it is passed, `Walk::record` gives it.
    Record(Meta),
    /// Bytes from here to there are no record, and one follows; they are passed.
    Damage(u64, u64),
    /// From here to the end there is no whole record.
    Torn(u64),
    /// The end, for now.
    End,
}

/// A place in a segment, and a window of its bytes.
#[derive(Debug)]
pub struct Walk {
    buf: Vec<u8>,
    /// How much is read at once.
    reach: usize,
    /// How much of the window's memory holds bytes of the file: it is not wiped each time.
    filled: usize,
    /// Where in the file the window begins.
    base: u64,
    /// Where in the window we stand.
    at: usize,
    /// What the disk does not give is taken for zeros: damage that a record may stand behind.
    holes: bool,
    /// Where a packed segment is read on.
    blocks: Blocks,
}

impl Default for Walk {
    fn default() -> Walk {
        let (base, at, holes, blocks) = (0, 0, false, Blocks::default());
        Walk { buf: Vec::new(), reach: limits::READ_BYTES, filled: 0, base, at, holes, blocks }
    }
}

impl Walk {
    /// At the first record.
    pub fn start() -> Walk {
        Walk { base: RECORDS_AT, ..Walk::default() }
    }

    /// With a window of so many bytes, or of a record that is longer.
    pub fn reaching(self, bytes: usize) -> Walk {
        Walk { reach: bytes, ..self }
    }

    /// From here on pages that the disk refuses to read are damage, and no reason to stop. Refuses to be the default: a disk
    /// that fails now may be well in a minute.
    pub fn accept_holes(&mut self) {
        self.holes = true;
    }

    /// The file may be another one from now on, which holds the same segment.
    pub fn look_again(&mut self) {
        self.blocks = Blocks::default();
    }

    /// Goes to a place in the segment, keeping the window's memory.
    pub fn seek(&mut self, at: u64) {
        (self.base, self.at, self.filled) = (at, 0, 0);
    }

    /// Gives back the window's memory when all of it is passed; the place stays.
    pub fn rest(&mut self) {
        if self.at == self.filled {
            (self.base, self.at, self.filled, self.buf) = (self.position(), 0, 0, Vec::new());
        }
    }

    /// Where in the segment we stand; of one that is packed, where that would be if it was not.
    pub fn position(&self) -> u64 {
        self.base + self.at as u64
    }

    /// The record that was just passed.
    pub fn record(&self, meta: Meta) -> Stored<'_> {
        meta.with(&self.buf[self.at - meta.bytes()..])
    }

    /// The bytes of the record that was just passed, with its header.
    pub fn passed(&self, meta: Meta) -> &[u8] {
        &self.buf[self.at - meta.bytes()..self.at]
    }

    /// Stands before the record that was just passed.
    pub fn back(&mut self, meta: Meta) {
        self.at -= meta.bytes();
    }

    /// The next thing before `end`, the length of the segment as it is known (of one that is packed, its length before).
    pub fn next(&mut self, disk: &dyn Disk, name: &str, head: &Head, end: u64) -> io::Result<Found> {
        let mut need = record::HEADER_BYTES;
        loop {
            let position = self.position();
            if position >= end {
                return Ok(Found::End);
            }
            let have = self.filled - self.at;
            let left = (end - position) as usize;
            if have < need.min(left) {
                self.fill(disk, name, head, need, end)?;
                if self.filled - self.at < need.min(left) {
                    // The file is shorter than it should be: there is nothing whole up to its end.
                    return Ok(Found::Torn(position));
                }
            }
            match record::check(head, &self.buf[self.at..self.filled]) {
                Ok(meta) => {
                    self.at += meta.bytes();
                    return Ok(Found::Record(meta));
                }
                Err(Fault::Short(n)) if n <= left => need = n,
                Err(_) => return self.resync(disk, name, head, end),
            }
        }
    }

    /// Reads on until the window holds `need` bytes from here, or all there are.
    fn fill(&mut self, disk: &dyn Disk, name: &str, head: &Head, need: usize, end: u64) -> io::Result<()> {
        self.buf.copy_within(self.at..self.filled, 0);
        self.filled -= self.at;
        self.base += self.at as u64;
        self.at = 0;
        if head.packed.is_some() {
            self.buf.truncate(self.filled);
            while self.buf.len() < need && self.base + (self.buf.len() as u64) < end {
                let from = self.base + self.buf.len() as u64;
                let read = self.blocks.read(disk, name, from, end, self.holes, &mut self.buf);
                self.filled = self.buf.len();
                read?;
            }
            self.shrink();
            return Ok(());
        }
        let have = self.filled;
        let from = self.base + have as u64;
        let most = (end.saturating_sub(from) as usize).min(self.reach.max(need - have.min(need)));
        if self.buf.len() < have + most {
            self.buf.resize(have + most, 0);
        }
        let room = have..have + most;
        let mut got = disk.read_at(name, from, &mut self.buf[room.clone()]);
        if self.holes && got.as_ref().is_err_and(|e| e.kind() != io::ErrorKind::NotFound) {
            got = Ok(read_by_pages(disk, name, from, &mut self.buf[room]));
        }
        self.filled = have + *got.as_ref().unwrap_or(&0);
        self.shrink();
        got.map(|_| ())
    }

    fn shrink(&mut self) {
        // A record much larger than the rest is not worth its memory for ever.
        if self.buf.capacity() > 8 * limits::READ_BYTES && self.filled <= limits::READ_BYTES {
            self.buf.truncate(self.filled);
            self.buf.shrink_to(2 * limits::READ_BYTES);
        }
    }

    /// From a place that holds no record: the next one that does.
    fn resync(&mut self, disk: &dyn Disk, name: &str, head: &Head, end: u64) -> io::Result<Found> {
        let from = self.position();
        let mut look = Walk { base: from + 1, holes: self.holes, blocks: self.blocks, ..Walk::default() };
        loop {
            let left = end.saturating_sub(look.position()) as usize;
            if left < record::HEADER_BYTES {
                return Ok(Found::Torn(from));
            }
            if look.filled - look.at < record::HEADER_BYTES {
                look.fill(disk, name, head, record::HEADER_BYTES, end)?;
                if look.filled < record::HEADER_BYTES {
                    return Ok(Found::Torn(from));
                }
            }
            let next = record::next_candidate(&look.buf[..look.filled], look.at);
            look.at = next;
            if next == look.filled {
                continue;
            }
            match record::decode(head, &look.buf[look.at..look.filled]) {
                Ok(_) => {
                    let to = look.position();
                    *self = look;
                    return Ok(Found::Damage(from, to));
                }
                Err(Fault::Short(n)) if n <= end.saturating_sub(look.position()) as usize => {
                    let before = look.filled - look.at;
                    look.fill(disk, name, head, n, end)?;
                    // No more bytes than before: the file is shorter than it should be.
                    look.at += usize::from(look.filled - look.at <= before);
                }
                Err(_) => look.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory_disk::MemoryDisk;
    use super::super::record::New;
    use super::*;
    use crate::audit::record::Kind;
    use crate::json::Span;

    fn segment(sizes: &[usize]) -> (Head, Vec<u8>) {
        let head = Head { first_seq: 1, ..Head::default() };
        let mut out = head.encode();
        for (i, &n) in sizes.iter().enumerate() {
            let raw = vec![b'a' + (i % 26) as u8; n];
            let none = Span::default();
            let new = New {
                kind: Kind::Unparsed,
                raw: &raw,
                id: none,
                time: none,
                part: 0,
                parts: 0,
                stream: 0,
                read_ms: 0,
                form: None,
            };
            record::encode(&mut out, &head, 1 + i as u64, &new);
        }
        (head, out)
    }

    fn walk(head: &Head, bytes: &[u8]) -> (Vec<u64>, u64, Option<u64>) {
        let memory_disk = MemoryDisk::open(MemoryDisk::create().unwrap()).unwrap();
        memory_disk.write_at("x", 0, bytes).unwrap();
        let (mut w, mut seqs, mut damaged) = (Walk::start(), Vec::new(), 0);
        loop {
            match w.next(&memory_disk, "x", head, bytes.len() as u64).unwrap() {
                Found::Record(r) => seqs.push(r.seq),
                Found::Damage(a, b) => damaged += b - a,
                Found::Torn(at) => return (seqs, damaged, Some(at)),
                Found::End => return (seqs, damaged, None),
            }
        }
    }

    #[test]
    fn walks_records_small_and_larger_than_the_window() {
        let (head, bytes) = segment(&[10, 300_000, 0, 5, 200_000, 131_072, 7]);
        assert_eq!(walk(&head, &bytes), ((1..=7).collect(), 0, None));
    }

    #[test]
    fn finds_its_way_after_damage() {
        let (head, bytes) = segment(&[10, 300_000, 400, 5]);
        for at in [2048, 2052, 2056, 2060, 2100, 2110, 2114, 150_000, 302_150, bytes.len() - 3] {
            let mut bad = bytes.clone();
            bad[at] ^= 0xff;
            let (seqs, damaged, torn) = walk(&head, &bad);
            assert_eq!(seqs.len(), 3, "{at}: {seqs:?} {damaged} {torn:?}");
        }
        assert_eq!(walk(&head, &bytes[..bytes.len() - 1]).2, Some(bytes.len() as u64 - 49));
    }
}
