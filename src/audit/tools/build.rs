//! Making a sub-directory for a replay or a retry: new segments with the identity that the records came with, so that
//! their document ids stay the same, and the file that says that it may go when it is drained.
//!
//! It is made under a name that the helper does not look at, synced, and appears whole. Refuses: to leave anything behind
//! when it fails, to take the last room from a helper.

use super::call::Result;
use crate::audit::seal::{Stream, StreamId};
use crate::audit::spool::cursor::{self, Cursor};
use crate::audit::spool::disk::{Disk, RealDisk};
use crate::audit::spool::lock::{self, Lock};
use crate::audit::spool::names::EPHEMERAL;
use crate::audit::spool::owner::{Owner, Stated, OWNER};
use crate::audit::spool::record::{self, Head, Identity, New};
use crate::audit::spool::{ephemeral, slots};
use crate::error::Error;
use crate::net::failure::words as io_words;
use crate::sys::{crash, file};
use crate::{limits, words};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// One that is being made.
pub struct Builder {
    root: PathBuf,
    name: String,
    /// The source's file of its owner, as it is.
    source: Option<Vec<u8>>,
    dir: PathBuf,
    disk: RealDisk,
    head: Head,
    /// The segment's file and how much of it is written; empty: there is none yet.
    file: String,
    at: u64,
    written: u64,
    out: Vec<u8>,
    files: Vec<String>,
    next: u64,
    published: bool,
    _lock: Option<Lock>,
}

/// The name without what earlier replays put behind it.
fn plain(name: &str) -> &str {
    [".replay-", ".retry-"].iter().filter_map(|mark| name.find(mark)).min().map_or(name, |at| &name[..at])
}

impl Builder {
    /// Begins one beside the sub-directory `source`; `what`: `replay` or `retry`.
    pub fn begin(source: &Path, what: &str, now_ms: i64) -> Result<Builder> {
        let root = source.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        ephemeral::clean(&root);
        let base = source.file_name().and_then(|n| n.to_str()).unwrap_or("spool");
        let stem = format!("{}.{what}-{}", plain(base), words::file_time(now_ms));
        // Also a link that leads nowhere takes a name.
        let there = |n: &str| std::fs::symlink_metadata(root.join(n)).is_ok();
        let free = |n: &String| !there(n) && !there(&format!(".{n}"));
        let mut names = std::iter::once(stem.clone()).chain((2..1000).map(|n| format!("{stem}-{n}")));
        let name =
            names.find(free).ok_or_else(|| Error::failed(format!("`{stem}` is there already: wait a second")))?;
        let dir = root.join(format!(".{name}"));
        let cannot = |e: io::Error| Error::failed(format!("cannot make `{}`: {}", words::shown(&dir), io_words(&e)));
        let of_source = match Owner::read(&RealDisk::new(source)).map_err(cannot)? {
            Stated::Owner(o) => o.encode(),
            // Nobody knows for whom it is: the order is for whoever works there.
            Stated::Nothing | Stated::Damaged => None,
        };
        // Not made where somebody else makes it at this moment.
        DirBuilder::new().mode(0o700).create(&dir).map_err(cannot)?;
        let lock = lock::take(&dir).map_err(cannot)?;
        crash::point("build.begun");
        let disk = RealDisk::new(&dir);
        Ok(Builder {
            root,
            name,
            source: of_source,
            disk,
            head: Head::default(),
            file: String::new(),
            at: 0,
            written: 0,
            out: Vec::new(),
            files: Vec::new(),
            next: 1,
            published: false,
            _lock: lock,
            dir,
        })
    }

    fn failed(&self, e: &io::Error) -> Error {
        Error::failed(format!("cannot write to `{}`: {}; nothing was queued", words::shown(&self.dir), io_words(e)))
    }

    /// How many events are in it.
    pub fn count(&self) -> u64 {
        self.next - 1
    }

    /// Adds a record as it was: same bytes, same kind, same time of reading, same place in its stream of evidence.
    pub fn push(&mut self, identity: &Identity, sealed: Option<(StreamId, u64)>, new: &New<'_>) -> Result<()> {
        let new = New { stream: 0, ..*new };
        let seal = sealed.map(|(id, seq)| Stream::of_record(id, seq, self.next));
        let fits = *identity == self.head.identity
            && seal == self.head.seal
            && self.head.reaches(self.next, 0, new.read_ms)
            && self.at + (self.out.len() as u64) < limits::SEGMENT_BYTES.1;
        if self.file.is_empty() || !fits {
            self.flush()?;
            let (first_seq, created_ms, identity) = (self.next, new.read_ms, identity.clone());
            self.head = Head { first_seq, created_ms, identity, seal, ..Head::default() };
            self.file = format!("{:020}.seg", self.next);
            self.files.push(self.file.clone());
            self.at = 0;
            self.out = self.head.encode();
        }
        record::encode(&mut self.out, &self.head, self.next, &new);
        self.next += 1;
        if self.out.len() >= limits::TOOL_WRITE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if !self.out.is_empty() {
            self.leave_room()?;
            self.disk.write_at(&self.file, self.at, &self.out).map_err(|e| self.failed(&e))?;
            self.at += self.out.len() as u64;
            self.written += self.out.len() as u64;
            self.out.clear();
        }
        Ok(())
    }

    /// At most half of the room that there was is taken: a helper writes there too.
    fn leave_room(&self) -> Result<()> {
        let free = file::space(&self.dir).map_err(|e| self.failed(&e))?.free;
        if self.out.len() as u64 + self.written <= free {
            return Ok(());
        }
        let (root, free) = (words::shown(&self.root), words::size(free));
        let text = format!("the file system of `{root}` has only {free} left: choose fewer events, or make room");
        Err(Error::failed(text).into())
    }

    /// Lets it appear, for all receivers or for one alone; gives its path. `by`: who is to deliver it; none: whose the spool is
    /// from which it comes.
    pub fn publish(mut self, only: Option<&str>, by: Option<&Owner>) -> Result<PathBuf> {
        self.flush()?;
        let mut mark = String::from("made by a command; removed when everything in it is delivered\n");
        if let Some(name) = only {
            mark.push_str(&format!("only {name}\n"));
            let cursor = Cursor { next: 1, ..Cursor::default() };
            if let Some(bytes) = slots::first(&cursor.save(), limits::CURSOR_SLOT_BYTES) {
                let file = cursor::file_name(name);
                self.disk.write_at(&file, 0, &bytes).map_err(|e| self.failed(&e))?;
                self.files.push(file);
            }
        }
        if let Some(bytes) = by.map_or_else(|| self.source.clone(), Owner::encode) {
            self.disk.write_at(OWNER, 0, &bytes).map_err(|e| self.failed(&e))?;
            self.files.push(OWNER.into());
        }
        self.disk.write_at(EPHEMERAL, 0, mark.as_bytes()).map_err(|e| self.failed(&e))?;
        self.files.push(EPHEMERAL.into());
        crash::point("build.written");
        self.settle().map_err(|e| self.failed(&e))?;
        self.published = true;
        Ok(self.root.join(&self.name))
    }

    fn settle(&self) -> io::Result<()> {
        for name in &self.files {
            self.disk.sync(name)?;
        }
        self.disk.sync_names()?;
        crash::point("build.synced");
        std::fs::rename(&self.dir, self.root.join(&self.name))?;
        crash::point("build.renamed");
        File::open(&self.root)?.sync_all()
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        if !self.published {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_pile_up() {
        assert_eq!(plain("default"), "default");
        assert_eq!(plain("default.2.retry-20261121T012757"), "default.2");
        assert_eq!(plain("a.replay-1.retry-2"), "a");
    }
}
