//! Millions of claims in order, and what is too long for a claim: in memory, and where that is not enough in files that
//! have no name any more.
//!
//! Memory is bounded whatever comes. Refuses: to know what the bytes mean.

use super::claim::{Packed, CLAIM_BYTES};
use crate::limits;
use crate::sys::file::open_regular;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A file that nobody else can open, and that is gone with this process.
fn nameless(dir: &Path) -> io::Result<File> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = dir.join(format!(".gostech-verify-{}-{number}", std::process::id()));
    let file = open_regular(&path, OpenOptions::new().read(true).write(true).create_new(true).mode(0o600))?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// Puts claims in order.
#[derive(Debug)]
pub struct Sorter {
    dir: PathBuf,
    most: usize,
    held: Vec<Packed>,
    file: Option<File>,
    /// Where each run ends.
    runs: Vec<u64>,
}

impl Sorter {
    /// One that holds so many bytes, and writes the rest to this directory.
    pub fn new(dir: &Path, bytes: usize) -> Sorter {
        let most = (bytes / CLAIM_BYTES).max(1);
        Sorter { dir: dir.into(), most, held: Vec::new(), file: None, runs: Vec::new() }
    }

    /// One more.
    pub fn push(&mut self, claim: Packed) -> io::Result<()> {
        if self.held.len() == self.most {
            self.spill()?;
        }
        self.held.push(claim);
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => nameless(&self.dir)?,
        };
        self.held.sort_unstable();
        let from = self.runs.last().copied().unwrap_or(0);
        let bytes = self.held.as_flattened();
        file.write_all_at(bytes, from)?;
        self.runs.push(from + bytes.len() as u64);
        self.held.clear();
        self.file = Some(file);
        Ok(())
    }

    /// All of them, the least first.
    pub fn finish(mut self) -> io::Result<Sorted> {
        if self.file.is_some() && !self.held.is_empty() {
            self.spill()?;
        }
        self.held.sort_unstable();
        let (total, least) = limits::VERIFY_MERGE_BYTES;
        let claims = (total / self.runs.len().max(1)).max(least) / CLAIM_BYTES;
        let mut sorted =
            Sorted { file: self.file, runs: Vec::new(), heap: BinaryHeap::new(), claims, held: self.held, at: 0 };
        let mut from = 0;
        for to in self.runs {
            sorted.runs.push(Run { next: from, to, buffer: Vec::new(), at: 0 });
            from = to;
        }
        if sorted.file.is_some() {
            sorted.held = Vec::new();
        }
        for run in 0..sorted.runs.len() {
            sorted.advance(run)?;
        }
        Ok(sorted)
    }
}

#[derive(Debug)]
struct Run {
    next: u64,
    to: u64,
    buffer: Vec<Packed>,
    at: usize,
}

/// Claims in order.
#[derive(Debug)]
pub struct Sorted {
    file: Option<File>,
    runs: Vec<Run>,
    heap: BinaryHeap<Reverse<(Packed, usize)>>,
    /// How many of a run are read at once.
    claims: usize,
    held: Vec<Packed>,
    at: usize,
}

impl Sorted {
    /// The next one.
    pub fn next(&mut self) -> io::Result<Option<Packed>> {
        if self.file.is_none() {
            self.at += 1;
            return Ok(self.held.get(self.at - 1).copied());
        }
        let Some(Reverse((claim, run))) = self.heap.pop() else { return Ok(None) };
        self.advance(run)?;
        Ok(Some(claim))
    }

    /// The next claim of a run goes into the heap.
    fn advance(&mut self, which: usize) -> io::Result<()> {
        let run = &mut self.runs[which];
        if run.at == run.buffer.len() {
            let left = (run.to - run.next) / CLAIM_BYTES as u64;
            run.buffer.resize(self.claims.min(left as usize), [0; CLAIM_BYTES]);
            run.at = 0;
            if let Some(file) = self.file.as_ref().filter(|_| left > 0) {
                file.read_exact_at(run.buffer.as_flattened_mut(), run.next)?;
                run.next += run.buffer.as_flattened().len() as u64;
            }
        }
        if let Some(claim) = run.buffer.get(run.at) {
            self.heap.push(Reverse((*claim, which)));
            run.at += 1;
        }
        Ok(())
    }
}

/// Texts that are found again by where they lie.
#[derive(Debug)]
pub struct Pool {
    dir: PathBuf,
    most: usize,
    held: Vec<u8>,
    file: Option<File>,
    written: u64,
}

impl Pool {
    /// One that holds so many bytes, and writes the rest to this directory.
    pub fn new(dir: &Path, most: usize) -> Pool {
        Pool { dir: dir.into(), most, held: Vec::new(), file: None, written: 0 }
    }

    /// Keeps it; where it lies.
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<u64> {
        if !self.held.is_empty() && self.held.len() + bytes.len() > self.most {
            let file = match self.file.take() {
                Some(file) => file,
                None => nameless(&self.dir)?,
            };
            file.write_all_at(&self.held, self.written)?;
            self.written += self.held.len() as u64;
            self.held.clear();
            self.file = Some(file);
        }
        let at = self.written + self.held.len() as u64;
        self.held.extend_from_slice(bytes);
        Ok(at)
    }

    /// What lies there.
    pub fn get(&self, at: u64, bytes: usize) -> io::Result<Vec<u8>> {
        if let Some(at) = at.checked_sub(self.written) {
            let from = at as usize;
            return self.held.get(from..from + bytes).map(<[u8]>::to_vec).ok_or(io::ErrorKind::NotFound.into());
        }
        let mut out = vec![0; bytes];
        self.file.as_ref().ok_or(io::ErrorKind::NotFound)?.read_exact_at(&mut out, at)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(n: u64) -> Vec<Packed> {
        let claim = |i: u64| {
            let mut c = [0; CLAIM_BYTES];
            c[4..12].copy_from_slice(&(i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40).to_be_bytes());
            c[80..].copy_from_slice(&i.to_be_bytes());
            c
        };
        (0..n).map(claim).collect()
    }

    #[test]
    fn all_come_out_in_order_from_memory_and_from_runs() {
        let dir = std::env::temp_dir();
        for (n, held) in [(0, 100), (1, 100), (100, 100), (101, 100), (1000, 1), (5_000, 7), (5_000, 5_000)] {
            let mut wanted = claims(n);
            let mut sorter = Sorter::new(&dir, held * CLAIM_BYTES);
            wanted.iter().for_each(|c| sorter.push(*c).unwrap());
            let mut sorted = sorter.finish().unwrap();
            wanted.sort_unstable();
            for c in &wanted {
                assert_eq!(sorted.next().unwrap().as_ref(), Some(c), "{n} {held}");
            }
            assert!(sorted.next().unwrap().is_none());
        }
        let left = std::fs::read_dir(&dir).unwrap().flatten();
        let own = format!(".gostech-verify-{}-", std::process::id());
        assert!(!left.into_iter().any(|e| e.file_name().to_string_lossy().starts_with(&own)));
    }

    #[test]
    fn a_pool_gives_back_what_was_put() {
        let mut pool = Pool::new(&std::env::temp_dir(), 100);
        let all: Vec<(u64, Vec<u8>)> = (0..200usize)
            .map(|i| {
                let bytes = vec![i as u8; i * 7 % 130];
                (pool.put(&bytes).unwrap(), bytes)
            })
            .collect();
        for (at, bytes) in all.iter().rev() {
            assert_eq!(pool.get(*at, bytes.len()).unwrap(), *bytes);
        }
        assert!(pool.get(u64::MAX, 1).is_err() && pool.get(1 << 40, 9).is_err());
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let mut sorter = Sorter::new(Path::new("/nowhere/at/all"), CLAIM_BYTES);
        let all = claims(3);
        assert!(all.iter().any(|c| sorter.push(*c).is_err()));
    }
}
