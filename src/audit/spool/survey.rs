//! Looking at a spool from outside: its files as they are now, without its lock, without a write, also while a helper
//! works in it. Files may vanish and grow meanwhile; that is no damage.
//!
//! Refuses: to write, to lock, to trust anything that it reads.

use super::blocks::without_head;
use super::cursor::{self, Cursor};
use super::disk::{read_all, Disk, Entry, RealDisk};
use super::names::{edition_of, number_of, EPHEMERAL, LOCK, STATE};
use super::owner::OWNER;
use super::record::{Front, Head, Identity, RECORDS_AT};
use super::recover::whole_records;
use super::walk::{Found, Walk};
use super::{lock, slots};
use crate::audit::record::account::Account;
use crate::audit::record::Kind;
use crate::sorted;
use crate::sys::file;
use crate::{limits, stamp};
use std::cmp::Reverse;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What could not be read.
#[derive(Debug)]
pub struct Unreadable {
    /// The sub-directory, or a file of it.
    pub path: PathBuf,
    /// Why.
    pub why: io::Error,
}

type Result<T> = std::result::Result<T, Unreadable>;

/// Whether somebody has the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Nobody.
    Free,
    /// This process.
    By(i32),
    /// The system does not say.
    Unknown,
}

/// How much is left of a segment's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heads {
    /// Both copies.
    Both,
    /// One.
    One,
    /// None: what it says was put together from its name and neighbours.
    Lost,
}

/// A segment's file.
#[derive(Clone, Debug)]
pub struct Seg {
    /// Its name.
    pub name: String,
    /// Its length when it was listed; of one that is packed: the length of the plain one, by which it is read.
    pub bytes: u64,
    /// What it takes on the disk.
    pub size: u64,
    /// Its head.
    pub head: Arc<Head>,
    /// How much of that was there.
    pub heads: Heads,
}

impl Seg {
    fn of(f: Entry, head: Head, heads: Heads) -> Seg {
        let bytes = head.packed.map_or(f.bytes, |p| p.plain);
        Seg { name: f.name, bytes, size: f.bytes, head: Arc::new(head), heads }
    }
}

/// A small file of three copies.
#[derive(Clone, Debug)]
pub struct Small<T> {
    /// What it holds; none: no copy is whole.
    pub value: Option<T>,
    /// A copy was written and is not whole now.
    pub half: bool,
}

/// A sub-directory as it was found.
#[derive(Debug)]
pub struct Look {
    /// Where it is.
    pub dir: PathBuf,
    /// The last part of that.
    pub name: String,
    /// Its files.
    pub disk: RealDisk,
    /// What there was.
    pub files: Vec<Entry>,
    /// Who works in it.
    pub in_use: Use,
    /// The segments, in order.
    pub segments: Vec<Seg>,
    /// Files named like segments that cannot be any, and why.
    pub odd: Vec<(String, &'static str)>,
    /// It is of a version that this program does not know.
    pub foreign: Option<String>,
    /// The cursors by receiver.
    pub cursors: Vec<(String, Small<Cursor>)>,
    /// The state; none: there is no such file.
    pub state: Option<Small<Account>>,
    /// It was made for a replay or a retry.
    pub ephemeral: bool,
    /// What has the name of a file of the spool and is none, and what it is.
    pub strange: Vec<(String, &'static str)>,
}

/// Whether a directory is a spool's sub-directory.
pub fn is_spool(dir: &Path) -> bool {
    holds_spool(dir).unwrap_or(false)
}

/// Whether a file of this name is one of a spool.
fn is_ours(name: &str) -> bool {
    let begins = ["cursor-", "quarantine-", "forget-"].iter().any(|p| name.starts_with(p));
    begins || [LOCK, STATE, OWNER, EPHEMERAL].contains(&name) || name.ends_with(".seg")
}

/// What stands in the place of such a file, and is none.
fn strangers(dir: &Path) -> Vec<(String, &'static str)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().take(limits::SPOOL_FILES);
    let strange = entries.filter_map(|e| {
        let (kind, name) = (e.file_type().ok()?, e.file_name().into_string().ok()?);
        let what = match kind {
            _ if kind.is_file() || !is_ours(&name) => return None,
            _ if kind.is_symlink() => "is a symbolic link",
            _ if kind.is_dir() => "is a directory",
            _ => "is a FIFO, a socket or a device",
        };
        Some((name, what))
    });
    strange.take(limits::TOOL_FINDINGS).collect()
}

/// The same, and whether one may look.
pub fn holds_spool(dir: &Path) -> io::Result<bool> {
    let entries = std::fs::read_dir(dir)?;
    let ours = |n: &str| {
        n == LOCK || n == STATE || n.ends_with(".seg") || n.starts_with("cursor-") || n.starts_with("quarantine-")
    };
    let mut names = entries.flatten().take(limits::SPOOL_FILES).filter(|e| e.path().is_file());
    Ok(names.any(|e| e.file_name().to_str().is_some_and(ours)))
}

/// Who holds the lock of a sub-directory. It is not asked for: a helper that starts now would find it taken.
pub fn holder(dir: &Path) -> Use {
    let held = |f: &std::fs::File| file::lock_holder(f).map_or(Use::Unknown, |held| held.map_or(Use::Free, Use::By));
    match file::read_regular(&dir.join(LOCK)) {
        Ok(lock) => match lock::keeper_of(&lock) {
            Some(keeper) => Use::By(keeper),
            None => held(&lock),
        },
        // Somebody has removed it; the directory is locked all the same.
        Err(e) if e.kind() == ErrorKind::NotFound => std::fs::File::open(dir).map_or(Use::Free, |d| held(&d)),
        Err(_) => Use::Unknown,
    }
}

impl Use {
    /// Whether files may change under our eyes.
    pub fn may_change(self) -> bool {
        self != Use::Free
    }

    /// In words.
    pub fn words(self) -> String {
        match self {
            Use::Free => "no helper runs".into(),
            Use::By(pid) => format!("in use by process {pid}"),
            Use::Unknown => "perhaps in use (the system does not say)".into(),
        }
    }
}

impl Look {
    /// Looks at a sub-directory. The list comes first, then who is there, then cursors: so a cursor is never older than
    /// the segments that were removed because of it.
    pub fn at(dir: &Path) -> Result<Look> {
        Look::with(dir, holder)
    }

    /// The same for one whose lock we hold ourselves: nothing changes under our eyes.
    pub fn owned(dir: &Path) -> Result<Look> {
        Look::with(dir, |_| Use::Free)
    }

    fn with(dir: &Path, holder: impl Fn(&Path) -> Use) -> Result<Look> {
        let disk = RealDisk::new(dir);
        let files = disk.list().map_err(|why| Unreadable { path: dir.to_path_buf(), why })?;
        let mut look = Look {
            dir: dir.to_path_buf(),
            name: dir.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
            disk,
            files,
            in_use: holder(dir),
            segments: Vec::new(),
            odd: Vec::new(),
            foreign: None,
            cursors: Vec::new(),
            state: None,
            ephemeral: dir.join(EPHEMERAL).exists(),
            strange: strangers(dir),
        };
        look.read_heads()?;
        look.read_small()?;
        Ok(look)
    }

    fn unreadable(&self, name: &str, why: io::Error) -> Unreadable {
        Unreadable { path: self.dir.join(name), why }
    }

    fn read_heads(&mut self) -> Result<()> {
        let files: Vec<Entry> = self.files.iter().filter(|f| f.name.ends_with(".seg")).cloned().collect();
        let newest = files.iter().filter_map(|f| number_of(&f.name)).max();
        let mut lost = Vec::new();
        for f in files {
            let mut bytes = [0; RECORDS_AT as usize];
            let got = match self.disk.read_at(&f.name, 0, &mut bytes) {
                Ok(got) => &bytes[..got],
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    let anew = number_of(&f.name).and_then(|first| self.packed_meanwhile(&f.name, first));
                    self.segments.extend(anew);
                    continue;
                }
                Err(e) => return Err(self.unreadable(&f.name, e)),
            };
            match (Front::of(got), number_of(&f.name)) {
                (Front::Whole(head, both), _) => self.push(f, head, if both { Heads::Both } else { Heads::One }),
                (Front::Foreign, _) => self.foreign = Some(f.name),
                // It is being made.
                (Front::Short, number) if self.in_use.may_change() && number == newest => {}
                (Front::Short, _) if got.is_empty() => self.odd.push((f.name, "is empty")),
                (Front::Short, _) => self.odd.push((f.name, "ends within its head")),
                (Front::Damaged, Some(first_seq)) => lost.push((f, first_seq)),
                (Front::Damaged, None) => self.odd.push((f.name, "has no readable head")),
            }
        }
        let identity = self.segments.first().map_or_else(Identity::default, |s| s.head.identity.clone());
        for (f, first_seq) in lost {
            let head = self.guess_head(&f, first_seq, &identity);
            self.push(f, head, Heads::Lost);
        }
        sorted::by_key(&mut self.segments, |s| s.head.first_seq);
        // Of those that begin with the same record the better one comes first, as the helper judges it: by whole records.
        let (disk, mut same) = (&self.disk, self.segments.as_mut_slice());
        while let Some(first) = same.first().map(|s| s.head.first_seq) {
            let (group, rest) = same.split_at_mut(same.partition_point(|s| s.head.first_seq == first));
            if group.len() > 1 {
                let rank = |s: &Seg| (whole_records(disk, &s.name, &s.head, s.bytes), edition_of(&s.name));
                sorted::by_key(group, |s| Reverse(rank(s)));
            }
            same = rest;
        }
        Ok(())
    }

    fn push(&mut self, f: Entry, head: Head, heads: Heads) {
        self.segments.push(Seg::of(f, head, heads));
    }

    /// What a helper has made of a plain segment since the files were listed, where it has packed it.
    pub fn packed_meanwhile(&self, plain: &str, first: u64) -> Option<Seg> {
        let mut files = self.disk.list().ok()?.into_iter();
        files.find_map(|f| {
            let mut bytes = [0; RECORDS_AT as usize];
            if f.name == plain || number_of(&f.name) != Some(first) {
                return None;
            }
            let got = self.disk.read_at(&f.name, 0, &mut bytes).ok()?;
            match Front::of(&bytes[..got]) {
                Front::Whole(head, both) if head.packed.is_some() => {
                    Some(Seg::of(f, head, if both { Heads::Both } else { Heads::One }))
                }
                _ => None,
            }
        })
    }

    /// A head for a segment that has none: the records count from its name; times from what the first record says.
    fn guess_head(&self, f: &Entry, first_seq: u64, identity: &Identity) -> Head {
        let packed = without_head(&self.disk, &f.name);
        let mut head = Head { first_seq, identity: identity.clone(), packed, ..Head::default() };
        let (mut walk, end) = (Walk::start(), packed.map_or(f.bytes, |p| p.plain));
        loop {
            match walk.next(&self.disk, &f.name, &head, end) {
                Ok(Found::Record(m)) => {
                    if let Some(written) = stamp::parse_written(m.time.of(walk.record(m).raw)) {
                        head.created_ms = written.millis - m.read_ms;
                        return head;
                    }
                }
                Ok(Found::Damage(..)) => {}
                Ok(Found::Torn(_) | Found::End) | Err(_) => return head,
            }
        }
    }

    fn read_small(&mut self) -> Result<()> {
        let names: Vec<String> =
            self.files.iter().filter_map(|f| cursor::receiver_of(&f.name)).map(String::from).collect();
        for name in names {
            let room = limits::CURSOR_SLOT_BYTES;
            // One of another receiver, copied or renamed, is none: the helper thinks so too.
            let load = |bytes: &[u8]| Cursor::load(bytes).filter(|c| c.is_of(&name));
            if let Some(small) = self.small(&cursor::file_name(&name), room, load)? {
                self.cursors.push((name, small));
            }
        }
        sorted::by(&mut self.cursors, |a, b| a.0 < b.0);
        self.state = self.small(STATE, limits::STATE_SLOT_BYTES, Account::load)?;
        Ok(())
    }

    fn small<T>(&self, name: &str, room: u64, load: impl Fn(&[u8]) -> Option<T>) -> Result<Option<Small<T>>> {
        if self.strange.iter().any(|(n, _)| n == name) {
            return Ok(None);
        }
        let bytes = match read_all(&self.disk, name, slots::COPIES * room) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            Err(e) => return Err(self.unreadable(name, e)),
        };
        let half = slots::is_torn(&bytes, room);
        Ok(Some(match slots::decode(&bytes, room) {
            Some((_, payload)) => Small { value: load(payload), half },
            None => Small { value: None, half },
        }))
    }

    /// The account, or an empty one.
    pub fn account(&self) -> Account {
        self.state.as_ref().and_then(|s| s.value.clone()).unwrap_or_default()
    }

    /// How many of them are packed, what they take, and what they took before.
    pub fn packed(&self) -> (u64, u64, u64) {
        let packed = self.segments.iter().filter(|s| s.head.packed.is_some());
        packed.fold((0, 0, 0), |(n, size, bytes), s| (n + 1, size + s.size, bytes + s.bytes))
    }

    /// What all segments take on the disk.
    pub fn size(&self) -> u64 {
        self.segments.iter().map(|s| s.size).sum()
    }

    /// How much there is to be read of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.bytes).sum()
    }

    /// The oldest record held; where there is none, the next to be written.
    pub fn first(&self) -> u64 {
        self.segments.first().map_or_else(|| self.known_end(), |s| s.head.first_seq)
    }

    /// The number after the last record by the small files.
    fn known_end(&self) -> u64 {
        let cursors = self.cursors.iter().filter_map(|(_, c)| c.value.as_ref().map(|c| c.next));
        cursors.max().unwrap_or(1).max(self.account().seq + 1)
    }

    /// The number after the last record: the newest segment is walked for it.
    pub fn end(&self) -> u64 {
        let mut end = self.known_end();
        let Some(newest) = self.segments.last() else { return end };
        end = end.max(newest.head.first_seq);
        let mut walk = Walk::start();
        let grows = newest.head.packed.is_none();
        let size = self.size_now(&newest.name).filter(|_| grows).unwrap_or(newest.bytes);
        loop {
            match walk.next(&self.disk, &newest.name, &newest.head, size) {
                Ok(Found::Record(m)) => end = end.max(m.seq + 1),
                Ok(Found::Damage(..)) => {}
                Ok(Found::Torn(_) | Found::End) | Err(_) => return end,
            }
        }
    }

    /// The records that came after this one: how many of the database's and of our own, and the last one.
    pub fn newer_than(&self, seq: u64) -> (u64, u64, u64) {
        let (mut read, mut own, mut last) = (0, 0, seq);
        let at = self.segments.partition_point(|s| s.head.first_seq <= seq + 1).saturating_sub(1);
        for s in self.segments.iter().skip(at) {
            let mut walk = Walk::start();
            loop {
                match walk.next(&self.disk, &s.name, &s.head, s.bytes) {
                    Ok(Found::Record(m)) if m.seq > last => {
                        let ours = u64::from(m.kind == Kind::Own);
                        (read, own, last) = (read + 1 - ours, own + ours, m.seq);
                    }
                    Ok(Found::Record(_) | Found::Damage(..)) => {}
                    Ok(Found::Torn(_) | Found::End) | Err(_) => break,
                }
            }
        }
        (read, own, last)
    }

    /// Where in the journal of systemd the last record stands that came from there; empty: none did.
    pub fn cursor_of_journal(&self) -> String {
        let mut account = self.account();
        let at = self.segments.partition_point(|s| s.head.first_seq <= account.seq + 1).saturating_sub(1);
        for s in self.segments.iter().skip(at) {
            let mut walk = Walk::start();
            loop {
                match walk.next(&self.disk, &s.name, &s.head, s.bytes) {
                    Ok(Found::Record(m)) if m.seq > account.seq => {
                        account.seq = m.seq;
                        account.follow(walk.record(m).raw);
                    }
                    Ok(Found::Record(_) | Found::Damage(..)) => {}
                    Ok(Found::Torn(_) | Found::End) | Err(_) => break,
                }
            }
        }
        account.cursor
    }

    /// When the newest of its files was written, milliseconds since the epoch.
    pub fn written_ms(&self) -> Option<i64> {
        let names = [STATE, LOCK].into_iter().chain(self.segments.last().map(|s| s.name.as_str()));
        let times = names.filter_map(|n| std::fs::metadata(self.dir.join(n)).ok()?.modified().ok());
        let newest = times.max()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(newest.as_millis() as i64)
    }

    /// The length of a file now.
    pub fn size_now(&self, name: &str) -> Option<u64> {
        std::fs::metadata(self.dir.join(name)).ok().map(|m| m.len())
    }
}
