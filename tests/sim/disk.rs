//! A disk that does what disks do on bad days. What is written stands in the page cache; only a sync brings it to the
//! platter, and only a sync of the names brings them there.
//!
//! A power cut keeps the platter, and of what was not synced whatever chance leaves: nothing, all, the beginning with the
//! last write torn at any byte, or single sectors in any order. Names survive in the order they were made, up to a point.
//! A failed sync may drop what it could not write and calls the next one a success, as Linux does.
//!
//! What the program has open it has open whatever becomes of names: files and the whole folder may be taken away under it
//! (`gone`), and then only who looks can know.

mod gone;

use crate::canary::Canary;
use crate::chance::Chance;
use gostech::audit::spool::disk::{Disk, Entry};
use gostech::audit::spool::names;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SECTOR: usize = 512;

/// Thrown through the program when the worker dies in the middle of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// SIGKILL: the page cache stays.
    Worker,
    /// The keeper with it: the page cache stays, and what lay in memory goes.
    Keeper,
    /// The power is gone.
    Power,
}

#[derive(Clone, Debug)]
enum Op {
    Write(u64, Vec<u8>),
    Cut(u64),
}

#[derive(Clone, Debug)]
enum NameOp {
    Link(String, u64),
    Unlink(String),
    Rename(String, String),
}

#[derive(Clone, Debug, Default)]
struct Inode {
    cache: Vec<u8>,
    platter: Vec<u8>,
    ops: Vec<Op>,
    /// A failed sync has dropped writes: the cache may forget them too.
    forgetful: bool,
}

/// What goes wrong now.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// No more than so many bytes fit.
    pub capacity: u64,
    /// A write fails once in so many; 0: never.
    pub write: u64,
    /// A sync fails once in so many; 0: never.
    pub sync: u64,
    /// A read fails once in so many; 0: never.
    pub read: u64,
    /// Renames, removals and syncs of names fail once in so many; 0: never.
    pub names: u64,
}

/// All is well.
pub const WELL: Faults = Faults { capacity: u64::MAX, write: 0, sync: 0, read: 0, names: 0 };

/// What was injected.
#[derive(Clone, Copy, Debug, Default)]
pub struct Injected {
    pub full: u64,
    pub errors: u64,
    pub failed_syncs: u64,
    pub dropped_syncs: u64,
    pub torn: u64,
    pub flips: u64,
    pub gone: u64,
}

struct State {
    inodes: BTreeMap<u64, Inode>,
    /// What stands in the folder that has the name now.
    names: BTreeMap<String, u64>,
    /// Which folder that is (0: there is none), and which one the helper works in.
    folder: u64,
    home: u64,
    /// What the worker has open, by the name that it opened.
    open: BTreeMap<String, u64>,
    /// The lock's file is there.
    lock: bool,
    platter_names: BTreeMap<String, u64>,
    name_ops: Vec<NameOp>,
    made: u64,
    chance: Chance,
    faults: Faults,
    fuse: Option<(u64, Death)>,
    canary: Canary,
    opening: bool,
    overlooked: BTreeSet<String>,
    ops: u64,
    injected: Injected,
}

/// The disk.
pub struct SimDisk(Mutex<State>);

impl SimDisk {
    /// An empty one.
    pub fn new(seed: u64, canary: Canary) -> Arc<SimDisk> {
        Arc::new(SimDisk(Mutex::new(State {
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            folder: 1,
            home: 1,
            open: BTreeMap::new(),
            lock: true,
            platter_names: BTreeMap::new(),
            name_ops: Vec::new(),
            made: 0,
            chance: Chance::new(seed),
            faults: WELL,
            fuse: None,
            canary,
            opening: false,
            overlooked: BTreeSet::new(),
            ops: 0,
            injected: Injected::default(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what goes wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// The worker dies at the `n`-th call from now.
    pub fn light_fuse(&self, n: u64, death: Death) {
        self.lock().fuse = Some((n, death));
    }

    /// Puts the fuse out.
    pub fn douse(&self) {
        self.lock().fuse = None;
    }

    /// Whether the spool is being opened.
    pub fn opening(&self, yes: bool) {
        self.lock().opening = yes;
    }

    /// What was injected, and how many calls there were.
    pub fn injected(&self) -> (Injected, u64) {
        let s = self.lock();
        (s.injected, s.ops)
    }

    /// What all files hold together.
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// Puts a file there, on the platter.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut s = self.lock();
        let inode = s.find_or_make(name);
        let i = s.inodes.get_mut(&inode).expect("made");
        (i.cache, i.platter) = (bytes.to_vec(), bytes.to_vec());
        s.name_ops.clear();
        s.platter_names = s.names.clone();
    }

    /// Somebody else makes a file.
    pub fn touch(&self, name: &str) {
        self.lock().find_or_make(name);
    }

    /// Somebody else removes a file.
    pub fn erase(&self, name: &str) {
        self.lock().name(NameOp::Unlink(name.to_string()));
    }

    /// Somebody else syncs the directory.
    pub fn keep_names(&self) {
        let mut s = self.lock();
        s.name_ops.clear();
        s.platter_names = s.names.clone();
        s.forget_unnamed();
    }

    /// Whether there is such a file.
    pub fn is_there(&self, name: &str) -> bool {
        self.lock().names.contains_key(name)
    }

    /// Whether there is such a file, or may be one after a power cut.
    pub fn may_come_back(&self, name: &str) -> bool {
        let s = self.lock();
        s.names.contains_key(name) || s.platter_names.contains_key(name)
    }

    /// Files that one canary does not see when the spool is opened.
    pub fn overlook(&self, files: BTreeSet<String>) {
        self.lock().overlooked = files;
    }

    /// A file as the page cache has it.
    pub fn contents(&self, name: &str) -> Vec<u8> {
        let s = self.lock();
        s.names.get(name).map(|i| s.inodes[i].cache.clone()).unwrap_or_default()
    }

    /// A file as the platter has it, whatever becomes of the rest.
    pub fn platter(&self, name: &str) -> Vec<u8> {
        let s = self.lock();
        s.platter_names.get(name).and_then(|i| s.inodes.get(i)).map(|i| i.platter.clone()).unwrap_or_default()
    }

    /// The power is gone and back: all but the platter, and some of the rest, is lost.
    pub fn cut_power(&self) {
        let mut s = self.lock();
        let State { inodes, chance, injected, .. } = &mut *s;
        for inode in inodes.values_mut() {
            injected.torn += u64::from(!inode.ops.is_empty());
            inode.lose(chance);
        }
        let kept = match s.chance.below(3) {
            0 => 0,
            1 => s.name_ops.len(),
            _ => {
                let most = s.name_ops.len() as u64;
                s.chance.between(0, most) as usize
            }
        };
        let ops: Vec<NameOp> = s.name_ops.drain(..).take(kept).collect();
        let mut names = std::mem::take(&mut s.platter_names);
        ops.iter().for_each(|op| apply_name(&mut names, op));
        s.names = names.clone();
        s.platter_names = names;
        s.forget_unnamed();
    }

    /// A cache under pressure forgets what a failed sync has dropped. True when a segment still had some of that.
    pub fn squeeze_cache(&self) -> bool {
        let unsecured = self.unsecured();
        let mut s = self.lock();
        for inode in s.inodes.values_mut().filter(|i| i.forgetful && i.ops.is_empty()) {
            inode.cache = inode.platter.clone();
            inode.forgetful = false;
        }
        unsecured
    }

    /// Whether what a failed sync has dropped is still only in the cache of a segment: nobody after the one who saw the
    /// failure can know.
    pub fn unsecured(&self) -> bool {
        let s = self.lock();
        let held = |i: &Inode| i.forgetful && i.cache != i.platter;
        s.names.iter().any(|(n, i)| n.ends_with(".seg") && held(&s.inodes[i]))
    }

    /// Flips one bit of what was synced of a segment.
    pub fn flip(&self) -> Option<String> {
        let mut s = self.lock();
        let clean = |i: &u64| s.inodes[i].ops.is_empty() && !s.inodes[i].cache.is_empty();
        let files: Vec<u64> =
            s.names.iter().filter(|(n, i)| n.ends_with(".seg") && clean(i)).map(|(_, i)| *i).collect();
        if files.is_empty() {
            return None;
        }
        let file = s.chance.pick(&files);
        let len = s.inodes[&file].platter.len() as u64;
        let (at, bit) = (s.chance.below(len) as usize, s.chance.below(8));
        let inode = s.inodes.get_mut(&file).expect("picked");
        if at >= inode.cache.len() || at >= inode.platter.len() {
            return None;
        }
        inode.platter[at] ^= 1 << bit;
        inode.cache[at] = inode.platter[at];
        s.injected.flips += 1;
        let name = s.names.iter().find(|(_, i)| **i == file).map(|(n, _)| n.clone());
        name.map(|n| format!("bit {bit} of byte {at} of {n}"))
    }

    /// One call: perhaps the last one. The lock is given back before anything is thrown.
    fn enter(&self) -> MutexGuard<'_, State> {
        let mut s = self.lock();
        s.ops += 1;
        if let Some((n, death)) = s.fuse {
            if n == 0 {
                s.fuse = None;
                drop(s);
                resume_unwind(Box::new(death));
            }
            s.fuse = Some((n - 1, death));
        }
        s
    }

    /// A call to something else that may be the last one.
    pub fn tick(&self) {
        drop(self.enter());
    }
}

impl Inode {
    fn apply(bytes: &mut Vec<u8>, op: &Op) {
        match op {
            Op::Write(at, data) => {
                let end = *at as usize + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at as usize..end].copy_from_slice(data);
            }
            Op::Cut(len) => bytes.resize(*len as usize, 0),
        }
    }

    fn act(&mut self, op: Op) {
        Inode::apply(&mut self.cache, &op);
        self.ops.push(op);
    }

    fn sync(&mut self) {
        let ops = std::mem::take(&mut self.ops);
        ops.iter().for_each(|op| Inode::apply(&mut self.platter, op));
        // What was dropped by a sync that failed is not written; its length is, with zeros.
        self.platter.resize(self.cache.len(), 0);
    }

    fn lose(&mut self, chance: &mut Chance) {
        let ops = std::mem::take(&mut self.ops);
        match chance.below(4) {
            0 => {}
            1 => ops.iter().for_each(|op| Inode::apply(&mut self.platter, op)),
            2 => {
                let whole = chance.below(ops.len() as u64 + 1) as usize;
                ops[..whole].iter().for_each(|op| Inode::apply(&mut self.platter, op));
                if let Some(Op::Write(at, data)) = ops.get(whole) {
                    let part = chance.below(data.len() as u64 + 1) as usize;
                    Inode::apply(&mut self.platter, &Op::Write(*at, data[..part].to_vec()));
                }
            }
            _ => {
                for op in &ops {
                    match op {
                        Op::Write(at, data) => {
                            for (i, part) in data.chunks(SECTOR).enumerate() {
                                if chance.once_in(2) {
                                    let at = at + (i * SECTOR) as u64;
                                    Inode::apply(&mut self.platter, &Op::Write(at, part.to_vec()));
                                }
                            }
                        }
                        Op::Cut(_) if chance.once_in(2) => Inode::apply(&mut self.platter, op),
                        Op::Cut(_) => {}
                    }
                }
            }
        }
        self.cache = self.platter.clone();
        self.forgetful = false;
    }
}

fn apply_name(names: &mut BTreeMap<String, u64>, op: &NameOp) {
    match op {
        NameOp::Link(name, inode) => drop(names.insert(name.clone(), *inode)),
        NameOp::Unlink(name) => drop(names.remove(name)),
        NameOp::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
    }
}

impl State {
    fn used(&self) -> u64 {
        self.names.values().map(|i| self.inodes[i].cache.len() as u64).sum()
    }

    fn is_there(&self, name: &str) -> io::Result<()> {
        self.names.contains_key(name).then_some(()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn find_or_make(&mut self, name: &str) -> u64 {
        if let Some(i) = self.names.get(name) {
            return *i;
        }
        self.made += 1;
        self.inodes.insert(self.made, Inode::default());
        self.name(NameOp::Link(name.to_string(), self.made));
        self.made
    }

    fn name(&mut self, op: NameOp) {
        apply_name(&mut self.names, &op);
        self.name_ops.push(op);
    }

    fn forget_unnamed(&mut self) {
        let State { inodes, names, open, .. } = self;
        let used: BTreeSet<u64> = names.values().chain(open.values()).copied().collect();
        inodes.retain(|i, _| used.contains(i));
    }

    fn fails(&mut self, once_in: u64) -> io::Result<()> {
        if once_in > 0 && self.chance.once_in(once_in) {
            self.injected.errors += 1;
            return Err(io::Error::from_raw_os_error(libc_eio()));
        }
        Ok(())
    }
}

fn libc_eio() -> i32 {
    5
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<Entry>> {
        let mut s = self.enter();
        let read = s.faults.read;
        s.fails(read)?;
        if s.folder == 0 {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        let short = s.canary == Canary::ShortRecovery && s.opening;
        let entry = |(name, i): (&String, &u64)| {
            let bytes = s.inodes[i].cache.len() as u64;
            let less = u64::from(short && name.ends_with(".seg"));
            Entry { name: name.clone(), bytes: bytes.saturating_sub(less) }
        };
        let seen = |(name, _): &(&String, &u64)| !s.opening || !s.overlooked.contains(*name);
        Ok(s.names.iter().filter(seen).map(entry).collect())
    }

    fn read_at(&self, name: &str, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut s = self.enter();
        let inode = s.find(name)?;
        let read = s.faults.read;
        s.fails(read)?;
        let cache = &s.inodes[&inode].cache;
        let from = (at as usize).min(cache.len());
        let most = buf.len().min(cache.len() - from);
        buf[..most].copy_from_slice(&cache[from..from + most]);
        Ok(most)
    }

    fn write_at(&self, name: &str, at: u64, data: &[u8]) -> io::Result<()> {
        // A worker that dies here has written some of it.
        let dying = matches!(self.lock().fuse, Some((0, _)));
        if dying {
            let mut s = self.lock();
            let part = s.chance.below(data.len() as u64 + 1) as usize;
            if let Ok(inode) = s.find_to_write(name) {
                s.inodes.get_mut(&inode).expect("made").act(Op::Write(at, data[..part].to_vec()));
            }
        }
        let mut s = self.enter();
        if s.canary == Canary::CursorNotSaved && name.starts_with("cursor-") && s.names.contains_key(name) {
            return Ok(());
        }
        if s.canary == Canary::QuarantineDropped && name.starts_with("quarantine-") {
            return Ok(());
        }
        let small = name == names::STATE || name.starts_with("cursor-");
        let at = if s.canary == Canary::OneCopy && small { 0 } else { at };
        let write = s.faults.write;
        let failed = s.fails(write);
        let room = s.faults.capacity.saturating_sub(s.used());
        let need = (at + data.len() as u64).saturating_sub(s.length(name));
        let inode = s.find_to_write(name)?;
        let part = if failed.is_err() {
            s.chance.below(data.len() as u64 + 1) as usize
        } else if need > room {
            s.injected.full += 1;
            data.len().saturating_sub((need - room) as usize)
        } else {
            data.len()
        };
        s.inodes.get_mut(&inode).expect("made").act(Op::Write(at, data[..part].to_vec()));
        failed?;
        if part < data.len() || need > room {
            return Err(io::Error::from_raw_os_error(28));
        }
        Ok(())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut s = self.enter();
        let inode = s.find(name)?;
        let is_packed = s.canary == Canary::PackedNotSynced && name.ends_with(".seg.new");
        if s.canary == Canary::FsyncSkipped || is_packed {
            return Ok(());
        }
        let once_in = s.faults.sync;
        if once_in > 0 && s.chance.once_in(once_in) {
            s.injected.failed_syncs += 1;
            if s.chance.once_in(2) {
                let i = s.inodes.get_mut(&inode).expect("found");
                i.ops.clear();
                i.forgetful = true;
                s.injected.dropped_syncs += 1;
            }
            let ignored = s.canary == Canary::FsyncErrorIgnored;
            return if ignored { Ok(()) } else { Err(io::Error::from_raw_os_error(libc_eio())) };
        }
        s.inodes.get_mut(&inode).expect("found").sync();
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut s = self.enter();
        if s.canary == Canary::NamesNotSynced {
            return Ok(());
        }
        let names = s.faults.names;
        s.fails(names)?;
        if s.folder == 0 {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        drop(s);
        self.keep_names();
        Ok(())
    }

    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        let mut s = self.enter();
        let inode = s.find_to_write(name)?;
        let write = s.faults.write;
        s.fails(write)?;
        s.inodes.get_mut(&inode).expect("found").act(Op::Cut(bytes));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut s = self.enter();
        s.is_there(from)?;
        let names = s.faults.names;
        s.fails(names)?;
        s.name(NameOp::Rename(from.to_string(), to.to_string()));
        s.open.remove(from);
        s.open.remove(to);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut s = self.enter();
        s.open.remove(name);
        s.is_there(name)?;
        let names = s.faults.names;
        s.fails(names)?;
        s.name(NameOp::Unlink(name.to_string()));
        Ok(())
    }

    fn place(&self) -> String {
        "simulated".into()
    }

    fn look_again(&self, name: &str) {
        self.lock().open.remove(name);
    }

    fn is_named(&self, name: &str) -> bool {
        let s = self.lock();
        let there = s.names.get(name);
        s.canary == Canary::NamesUnseen || there.is_some_and(|i| s.open.get(name).is_none_or(|open| open == i))
    }

    fn look_at_lock(&self) {
        let mut s = self.lock();
        s.lock |= s.folder == s.home && s.canary != Canary::NamesUnseen;
    }

    fn moved(&self) -> bool {
        let s = self.lock();
        s.folder != s.home && s.canary != Canary::NamesUnseen
    }

    fn revive(&self) -> io::Result<()> {
        drop(self.enter());
        self.settle();
        self.lock().open.retain(|name, _| name.ends_with(".seg"));
        Ok(())
    }
}
