//! What the worker has open, and what somebody takes away under it: files, the folder, the lock's file.
//!
//! An open file can be read and written whatever becomes of its name; the names, and the folder, are those that anybody sees.
//! Refuses: to tell the worker.

use super::{NameOp, SimDisk, State};
use std::collections::BTreeMap;
use std::io;

impl SimDisk {
    /// A new worker has nothing open yet, and works in the folder that has the name; made where there is none. Whether it is
    /// the one that the worker before had.
    pub fn begin(&self) -> bool {
        self.lock().open.clear();
        self.settle()
    }

    pub(super) fn settle(&self) -> bool {
        let mut s = self.lock();
        if s.folder == 0 {
            s.new_folder();
        }
        s.lock = true;
        let folder = s.folder;
        std::mem::replace(&mut s.home, folder) == folder
    }

    /// Somebody takes away what stands there: the folder, or files of it. What, in a word.
    pub fn take_away(&self) -> String {
        let mut s = self.lock();
        s.injected.gone += 1;
        let all: Vec<String> = s.names.keys().cloned().collect();
        let segments: Vec<String> = all.iter().filter(|n| n.ends_with(".seg")).cloned().collect();
        let newest: Vec<String> = segments.iter().max().cloned().into_iter().collect();
        let (what, files) = match s.chance.below(8) {
            0 | 1 => {
                (s.names, s.folder) = (BTreeMap::new(), 0);
                ("the folder", Vec::new())
            }
            2 => {
                s.names = BTreeMap::new();
                s.new_folder();
                ("the folder, for another", Vec::new())
            }
            3 => {
                s.lock = false;
                ("the lock", Vec::new())
            }
            4 => ("all files", all),
            5 => ("all segments", segments),
            6 => ("the newest segment", newest),
            _ if all.is_empty() => ("nothing", Vec::new()),
            _ => ("a file", vec![all[s.chance.below(all.len() as u64) as usize].clone()]),
        };
        files.iter().for_each(|f| s.name(NameOp::Unlink(f.clone())));
        format!("{what} {files:?}")
    }

    /// Whether the lock's file is where it belongs.
    pub fn is_locked(&self) -> bool {
        self.lock().lock
    }
}

impl State {
    /// A file as the worker has it: open, or by its name now, and open from then on.
    pub(super) fn find(&mut self, name: &str) -> io::Result<u64> {
        if let Some(i) = self.open.get(name) {
            return Ok(*i);
        }
        let found = self.names.get(name).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        self.open.insert(name.to_string(), found);
        Ok(found)
    }

    /// The same for a write, which makes one where there is none.
    pub(super) fn find_to_write(&mut self, name: &str) -> io::Result<u64> {
        if self.folder == 0 && !self.open.contains_key(name) {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        if !self.open.contains_key(name) {
            self.find_or_make(name);
        }
        self.find(name)
    }

    /// How many bytes of a file are there for the worker.
    pub(super) fn length(&self, name: &str) -> u64 {
        let inode = self.open.get(name).or_else(|| self.names.get(name));
        inode.map_or(0, |i| self.inodes[i].cache.len() as u64)
    }

    fn new_folder(&mut self) {
        self.made += 1;
        (self.folder, self.lock) = (self.made, true);
        self.name_ops.clear();
        self.platter_names.clear();
    }
}
