//! The directory of `--seal`: the key, the next one while a change is under way, and every checkpoint there was.
//!
//! ```text
//! key               gostech-seal-key 1 CREATED_MS SEED
//! key.next          the same, from the moment that it is made until it has the name `key`
//! checkpoints       signed notes, an empty line behind each
//! checkpoints-7     older ones, from number 7 on
//! checkpoints.next  what is to be `checkpoints`
//! lock              locked by the one who writes here
//! ```
//!
//! A file of checkpoints that has become long is put aside under the number of its first one. The new one begins with a copy
//! of the last one, so that number and hash of that are still found; who reads all the files takes it for a repeat. Nothing of
//! this is ever removed here: how long checkpoints are kept is the administrator's to say.
//!
//! `checkpoints.next` is on the platter, then the old file gets its number, then the new one its name. Where a death has left
//! no `checkpoints`, the new one is finished; where both are there, the old one is written on.
//!
//! A change of keys: `key.next` is on the platter, then a checkpoint that names it, then the old key is written over and the
//! next one gets its name. Whoever opens this after a death finds out by the last checkpoint how far that came.
//! Refuses: to give a key away, to go on behind a failed sync (it is opened anew), a second writer.

use crate::audit::seal::{checkpoint, Checkpoint, Hash, Note, SigningKey, VerifierKey};
use crate::json;
use crate::limits;
use crate::log;
use crate::net::crypto;
use crate::net::failure::words as io_words;
use crate::net::secret::Wiped;
use crate::sys::{crash, file};
use crate::words;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const KEY: &str = "key";
const NEXT: &str = "key.next";
const CHECKPOINTS: &str = "checkpoints";
/// What is to be that.
const NEW: &str = "checkpoints.next";
const LOCK: &str = "lock";
/// What the file of a key begins with: what it is, and the version of it.
const KIND: &str = "gostech-seal-key 1";

/// The last checkpoint of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// As it is signed.
    pub note: String,
    /// What it says.
    pub checkpoint: Checkpoint,
    /// What the next one names.
    pub hash: Hash,
}

/// The directory, open and locked.
#[derive(Debug)]
pub struct Vault {
    dir: PathBuf,
    /// Locked as long as this lives.
    _lock: file::Locked,
    checkpoints: File,
    /// Where the next one goes.
    end: u64,
    /// A longer file is put aside.
    most: u64,
    last: Option<Last>,
    key: Key,
}

/// A key, and when it was made.
#[derive(Debug)]
struct Key {
    signing: SigningKey,
    created_ms: i64,
}

/// A sentence with the cure, for the log and the alarm.
pub type Result<T> = std::result::Result<T, String>;

impl Vault {
    /// Opens it for the one who writes there, and ends what a death has interrupted.
    pub fn open(dir: &Path) -> Result<Vault> {
        let lock = open(dir, LOCK).map_err(|e| cannot(dir, LOCK, "open", &e))?;
        let Some(lock) = file::Locked::take(lock).map_err(|e| cannot(dir, LOCK, "lock", &e))? else {
            return Err(format!("another helper writes to `{}`: give each its own --seal", words::shown(dir)));
        };
        finish_file(dir)?;
        let checkpoints = open(dir, CHECKPOINTS).map_err(|e| cannot(dir, CHECKPOINTS, "open", &e))?;
        let (last, end) = recover(dir, &checkpoints)?;
        finish_change(dir, last.as_ref())?;
        let key = read_key(dir, KEY).map_err(|e| no_key(dir, &e))?;
        if last.as_ref().and_then(|l| l.checkpoint.next_key.as_ref()).is_some_and(|next| next != key.signing.verifier())
        {
            return Err(format!(
                "the key that the last checkpoint in `{0}` names is not there: move `{0}` away and make another one with \
                 `gostech-audit-log seal init --seal {0}`",
                words::shown(dir)
            ));
        }
        Ok(Vault { dir: dir.into(), _lock: lock, checkpoints, end, most: limits::SEAL_CHECKPOINTS_BYTES, last, key })
    }

    /// The last checkpoint.
    pub fn last(&self) -> Option<&Last> {
        self.last.as_ref()
    }

    /// When the key was made, milliseconds since the epoch.
    pub fn key_created_ms(&self) -> i64 {
        self.key.created_ms
    }

    /// The note of this body.
    pub fn sign(&self, body: &str) -> String {
        Note::sign(body, &self.key.signing)
    }

    /// Appends a note and has it on the platter. Behind a failure this vault is of no use any more: what the disk has is not
    /// known, so it is to be opened anew.
    pub fn append(&mut self, note: &str) -> Result<()> {
        let parsed = Note::parse(note).ok_or("this is no note")?;
        let checkpoint = Checkpoint::read(&parsed.body)?;
        if !self.is_in_place() {
            return Err(format!("`{}` was moved away", words::shown(&self.dir.join(CHECKPOINTS))));
        }
        let bytes = format!("{note}\n");
        if self.end + bytes.len() as u64 > self.most {
            self.begin_another()?;
        }
        let at = self.end;
        crash::torn("checkpoint.torn", bytes.as_bytes(), |part| drop(self.checkpoints.write_all_at(part, at)));
        let written = self.checkpoints.write_all_at(bytes.as_bytes(), at);
        crash::point("checkpoint.written");
        if let Err(e) = written.and_then(|()| self.checkpoints.sync_all()) {
            // The next one is to stand in its place.
            let _ = self.checkpoints.set_len(at);
            return Err(cannot(&self.dir, CHECKPOINTS, "write", &e));
        }
        crash::point("checkpoint.synced");
        self.end += bytes.len() as u64;
        self.last = Some(Last { note: note.into(), hash: checkpoint::body_hash(&parsed.body), checkpoint });
        Ok(())
    }

    /// Puts the file aside and begins another one with its last checkpoint. Where the old one cannot get another name it is
    /// written on.
    fn begin_another(&mut self) -> Result<()> {
        let Some(last) = &self.last else { return Ok(()) };
        let bytes = format!("{}\n", last.note);
        let aside = || {
            let old = self.dir.join(format!("{CHECKPOINTS}-{}", first_number(&self.checkpoints)?));
            if !is_missing(&old) {
                return Err(io::Error::other(format!("`{}` is there already: move it away", words::shown(&old))));
            }
            remove(&self.dir.join(NEW))?;
            let new = open(&self.dir, NEW)?;
            new.write_all_at(bytes.as_bytes(), 0).and_then(|()| new.sync_all())?;
            crash::point("checkpoints.begun");
            std::fs::rename(self.dir.join(CHECKPOINTS), old).map(|()| new)
        };
        let new = match aside() {
            Ok(new) => new,
            Err(e) => {
                log::warn(
                    "seal",
                    format!("checkpoints are written on, since no other file can be begun: {}", io_words(&e)),
                );
                return Ok(());
            }
        };
        let failed = |e: io::Error| cannot(&self.dir, CHECKPOINTS, "begin", &e);
        // One after the other, or a power cut could leave the new one in the place of the old one.
        sync_names(&self.dir).map_err(failed)?;
        crash::point("checkpoints.aside");
        finish_file(&self.dir)?;
        crash::point("checkpoints.renamed");
        (self.checkpoints, self.end) = (new, bytes.len() as u64);
        Ok(())
    }

    /// Whether what is open still has its name: the directory may be gone, or somebody has put the file aside.
    fn is_in_place(&self) -> bool {
        let number = |m: Metadata| (m.dev(), m.ino());
        let there = self.dir.join(CHECKPOINTS).symlink_metadata().map(number);
        there.is_ok_and(|there| self.checkpoints.metadata().is_ok_and(|ours| number(ours) == there))
    }

    /// The key that a checkpoint is to name before `change`; it is on the platter.
    pub fn next_key(&mut self, now_ms: i64) -> Result<VerifierKey> {
        // One that is there may be named by a checkpoint that only the platter has: it is kept.
        let next = match read_key(&self.dir, NEXT) {
            Ok(next) => next,
            Err(_) => make_key(&self.dir, NEXT, now_ms).map_err(|e| cannot(&self.dir, NEXT, "make", &e))?,
        };
        crash::point("seal-key.made");
        Ok(next.signing.verifier().clone())
    }

    /// From now on the next key signs: the last checkpoint names it. The old one is gone.
    pub fn change(&mut self) -> Result<()> {
        finish_change(&self.dir, self.last.as_ref())?;
        self.key = read_key(&self.dir, KEY).map_err(|e| no_key(&self.dir, &e))?;
        Ok(())
    }
}

/// Makes the directory and its first key; its public half is for the auditor.
pub fn init(dir: &Path, now_ms: i64) -> Result<VerifierKey> {
    let shown = words::shown(dir);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| format!("cannot make `{shown}`: {}", io_words(&e)))?;
    make_key(dir, KEY, now_ms).map(|key| key.signing.verifier().clone()).map_err(|e| cannot(dir, KEY, "make", &e))
}

/// The public half of the key that signs there, and when it was made; nothing is opened for writing.
pub fn look(dir: &Path) -> Result<(VerifierKey, i64)> {
    let key = read_key(dir, KEY).map_err(|e| no_key(dir, &e))?;
    Ok((key.signing.verifier().clone(), key.created_ms))
}

/// What stands where `init` would make a key, if something does.
pub fn in_the_way(dir: &Path) -> Option<PathBuf> {
    [KEY, NEXT, CHECKPOINTS].map(|name| dir.join(name)).into_iter().find(|path| path.symlink_metadata().is_ok())
}

/// Whether this is a directory that one can look into, and nobody has ever made a key there: that is right on no day. Where one
/// has signed and is gone, events are delivered all the same, under the alarm.
pub fn was_never_made(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok() && [KEY, NEXT].iter().all(|name| is_missing(&dir.join(name))) && !has_signed(dir)
}

fn has_signed(dir: &Path) -> bool {
    dir.join(CHECKPOINTS).symlink_metadata().is_ok_and(|m| m.len() > 0)
}

fn is_missing(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|e| e.kind() == ErrorKind::NotFound)
}

/// What is said where there is no key.
pub fn without_key(dir: &Path) -> String {
    let away = if has_signed(dir) { format!("move `{}` away and ", words::shown(dir)) } else { String::new() };
    format!("there is no key in `{0}`: {away}make one with `gostech-audit-log seal init --seal {0}`", words::shown(dir))
}

fn no_key(dir: &Path, e: &io::Error) -> String {
    match e.kind() {
        ErrorKind::NotFound => without_key(dir),
        ErrorKind::Other => format!(
            "{}: move `{1}` away and make another one with `gostech-audit-log seal init --seal {1}`",
            cannot(dir, KEY, "read", e),
            words::shown(dir)
        ),
        _ => cannot(dir, KEY, "read", e),
    }
}

fn cannot(dir: &Path, name: &str, what: &str, e: &io::Error) -> String {
    let cure = match e.kind() {
        ErrorKind::NotFound => ": make it with `gostech-audit-log seal init`",
        ErrorKind::PermissionDenied => ": give the directory to the user of this program",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ": make room there",
        ErrorKind::NotADirectory => ": --seal takes a directory",
        _ => "",
    };
    format!("cannot {what} `{}`: {}{cure}", words::shown(&dir.join(name)), io_words(e))
}

fn open(dir: &Path, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    file::open_regular(&dir.join(name), options.read(true).write(true).create(true).truncate(false).mode(0o600))
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Gives the new file of checkpoints its name where there is none; else it was begun too early.
fn finish_file(dir: &Path) -> Result<()> {
    let (new, there) = (dir.join(NEW), dir.join(CHECKPOINTS));
    if is_missing(&new) {
        return Ok(());
    }
    let done = if is_missing(&there) { std::fs::rename(&new, &there) } else { remove(&new) };
    done.and_then(|()| sync_names(dir)).map_err(|e| cannot(dir, NEW, "put in its place", &e))
}

/// The number of the first checkpoint in a file, which stands in one of its first lines.
fn first_number(file: &File) -> io::Result<u64> {
    let mut head = [0; limits::SEAL_HEAD_BYTES];
    let n = file.read_at(&mut head, 0)?;
    let text = String::from_utf8_lossy(&head[..n]);
    let number = text.lines().find_map(|line| line.strip_prefix("number ")?.parse().ok());
    number.ok_or_else(|| io::Error::other("it does not begin with a checkpoint"))
}

fn sync_names(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Finds the last checkpoint, cuts off what a death has left of another one, and has all of it on the platter.
fn recover(dir: &Path, file: &File) -> Result<(Option<Last>, u64)> {
    let failed = |e: io::Error| cannot(dir, CHECKPOINTS, "read", &e);
    let length = file.metadata().map_err(failed)?.len();
    // A torn one, and the whole one before it.
    let mut tail = vec![0; length.min(2 * limits::NOTE_BYTES as u64) as usize];
    let base = length - tail.len() as u64;
    file.read_exact_at(&mut tail, base).map_err(failed)?;
    let (from, to) = last_note(&tail);
    let damaged = || format!("`{}` is damaged: move it away", words::shown(&dir.join(CHECKPOINTS)));
    if to == 0 && length > limits::NOTE_BYTES as u64 {
        return Err(damaged());
    }
    let last = match &tail[from..to] {
        [] => None,
        note => Some(std::str::from_utf8(&note[..note.len() - 1]).ok().and_then(Last::of).ok_or_else(damaged)?),
    };
    let end = base + to as u64;
    if length > end {
        file.set_len(end).map_err(failed)?;
    }
    // Who wrote it may have died before the sync; written again, it is known to be there.
    let again = file.write_all_at(&tail[from..to], base + from as u64);
    again
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_names(dir))
        .map_err(|e| cannot(dir, CHECKPOINTS, "write", &e))?;
    Ok((last, end))
}

/// Where the last whole note stands, with the empty line behind it.
pub(super) fn last_note(tail: &[u8]) -> (usize, usize) {
    // A body and its signatures are parted by an empty line as well; signatures begin with a dash.
    let mut gaps = memchr::memmem::rfind_iter(tail, b"\n\n").map(|at| at + 2).peekable();
    while let Some(end) = gaps.next() {
        let before = gaps.peek().copied().unwrap_or(0);
        if tail[before..end].starts_with("— ".as_bytes()) && before > 0 {
            gaps.next();
            return (gaps.next().unwrap_or(0), end);
        }
    }
    (0, 0)
}

impl Last {
    fn of(note: &str) -> Option<Last> {
        let body = Note::parse(note)?.body;
        Some(Last { note: note.into(), checkpoint: Checkpoint::read(&body).ok()?, hash: checkpoint::body_hash(&body) })
    }
}

/// Gives the next key its name, where the last checkpoint names it.
fn finish_change(dir: &Path, last: Option<&Last>) -> Result<()> {
    let Some(named) = last.and_then(|l| l.checkpoint.next_key.as_ref()) else { return Ok(()) };
    match read_key(dir, NEXT) {
        Ok(next) if next.signing.verifier() == named => {}
        _ => return Ok(()),
    }
    crash::point("seal-key.named");
    // As far as that is possible: a file system may have copies.
    if let Err(e) = erase(&dir.join(KEY)) {
        log::debug("seal", format!("cannot write over the old key: {}", io_words(&e)));
    }
    crash::point("seal-key.erased");
    std::fs::rename(dir.join(NEXT), dir.join(KEY)).map_err(|e| cannot(dir, KEY, "replace", &e))?;
    crash::point("seal-key.renamed");
    sync_names(dir).map_err(|e| cannot(dir, KEY, "replace", &e))
}

fn erase(path: &Path) -> io::Result<()> {
    let file = file::open_regular(path, OpenOptions::new().write(true))?;
    let length = file.metadata()?.len().min(limits::SEAL_KEY_BYTES as u64);
    file.write_all_at(&vec![0; length as usize], 0)?;
    file.sync_all()
}

fn read_key(dir: &Path, name: &str) -> io::Result<Key> {
    let path = dir.join(name);
    let file = file::read_regular(&path)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        log::warn("seal", format!("others may use `{0}`: chmod 600 {0}", words::shown(&path)));
    }
    // Who may rename here puts a key of his own in its place.
    if std::fs::metadata(dir)?.mode() & 0o022 != 0 {
        log::warn("seal", format!("others may write to `{0}`: chmod 700 {0}", words::shown(dir)));
    }
    let mut text = Vec::with_capacity(limits::SEAL_KEY_BYTES);
    file.take(limits::SEAL_KEY_BYTES as u64).read_to_end(&mut text)?;
    let text = Wiped::new(text);
    parse_key(text.bytes()).ok_or_else(|| io::Error::other("it is no key of gostech-audit-log"))
}

fn parse_key(text: &[u8]) -> Option<Key> {
    let line = std::str::from_utf8(text).ok()?.strip_suffix('\n')?;
    let (created_ms, seed) = line.strip_prefix(KIND)?.strip_prefix(' ')?.split_once(' ')?;
    let seed = Wiped::new(json::from_base64(seed)?);
    Some(Key { signing: SigningKey::of_seed(seed.bytes().try_into().ok()?)?, created_ms: created_ms.parse().ok()? })
}

/// Makes a key under this name, and has it on the platter.
fn make_key(dir: &Path, name: &str, now_ms: i64) -> io::Result<Key> {
    let mut seed = Wiped::new(vec![0; 32]);
    if !crypto::unguessable(seed.bytes_mut()) {
        return Err(io::Error::other("the system gives no random numbers"));
    }
    let mut text = Vec::with_capacity(limits::SEAL_KEY_BYTES);
    text.extend_from_slice(format!("{KIND} {now_ms} ").as_bytes());
    json::push_base64(&mut text, seed.bytes());
    text.push(b'\n');
    let text = Wiped::new(text);
    let file = file::create_anew(&dir.join(name))?;
    let written = file.write_all_at(text.bytes(), 0).and_then(|()| file.sync_all()).and_then(|()| sync_names(dir));
    if let Err(e) = written {
        // Half a key would be in the way of a whole one.
        let _ = std::fs::remove_file(dir.join(name));
        return Err(e);
    }
    parse_key(text.bytes()).ok_or_else(|| io::Error::other("the key that was made is none"))
}

#[cfg(test)]
mod tests;
