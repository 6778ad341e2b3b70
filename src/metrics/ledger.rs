//! Where the record of a login is kept, so that all runs on this machine count together: one small file a login, locked
//! while somebody logs in.
//!
//! The directory is the service's own (`$STATE_DIRECTORY`, or `/var/lib/gostech-metrics` when it may be written), else one of
//! the user, else one below the directory for temporary files. An administrator's `--check` as root works in the service's
//! directory too: it follows no link there, touches only plain files of that directory's owner, and gives him what it makes.
//! Refuses: a directory that others may write to, a file with a second name, more than a page of text.

use super::tries::Record;
use crate::hash;
use crate::iproto::{Reason, Trouble};
use crate::limits;
use crate::log;
use crate::sys::{file, process, seccomp};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The directory of the service, as its unit has it made.
const SERVICE: &str = "/var/lib/gostech-metrics";
const OURS: &str = "gostech-metrics";

/// Where a record may be kept, best place first, by the environment of this run.
pub fn places(env: &[(OsString, OsString)]) -> Vec<PathBuf> {
    let get = |name: &str| env.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| PathBuf::from(v));
    let state = get("STATE_DIRECTORY").and_then(|v| v.to_str()?.split(':').next().map(PathBuf::from));
    let home = get("HOME").map(|home| home.join(".local/state"));
    // Root may have been handed the home of a user, who could lead it elsewhere.
    let own = process::user() != 0;
    let user = get("XDG_STATE_HOME").or(home).filter(|_| own).map(|dir| dir.join(OURS));
    let runtime = get("XDG_RUNTIME_DIR").filter(|_| own).map(|dir| dir.join(OURS));
    let temporary = get("TMPDIR").unwrap_or("/tmp".into()).join(format!("{OURS}-{}", process::user()));
    let all = [state, Some(SERVICE.into()), user, runtime, Some(temporary)];
    all.into_iter().flatten().filter(|dir| dir.is_absolute()).collect()
}

/// The place of the records.
#[derive(Debug, Default)]
pub struct Ledger {
    dir: Option<PathBuf>,
    /// What this run knows by itself, newest last.
    own: Vec<Record>,
}

/// A record that nobody else works with; given back when it is dropped.
pub struct Held<'l> {
    /// The record.
    pub record: Record,
    /// Its file, where there is one.
    pub path: Option<PathBuf>,
    file: Option<File>,
    ledger: &'l mut Ledger,
}

impl Ledger {
    /// In the first of these places that can be worked in; in none of them: in memory, and this process alone counts.
    pub fn open(places: &[PathBuf]) -> Ledger {
        for dir in places {
            match make(dir).and_then(|owner| try_out(dir, owner)) {
                Ok(()) => return Ledger { dir: Some(dir.clone()), own: Vec::new() },
                Err(e) => log::debug("logins", format!("`{}` cannot keep what is known of logins: {e}", dir.display())),
            }
        }
        Ledger::default()
    }

    /// Another one that keeps its records in the same place.
    pub fn beside(&self) -> Ledger {
        Ledger { dir: self.dir.clone(), own: Vec::new() }
    }

    /// The directory: what a confined process must keep.
    pub fn directory(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// The record of `who` for this process alone, waited for until then. A file that cannot be opened any more leaves what
    /// this run knows by itself.
    pub fn hold(&mut self, who: &str, until: Instant) -> Result<Held<'_>, Trouble> {
        let Some(dir) = self.dir.clone() else { return Ok(self.held(who, None)) };
        let path = dir.join(format!("login-{:016x}", hash::xxh64(who.as_bytes(), 0)));
        loop {
            let file = match fs::metadata(&dir).and_then(|m| open(&path, m.uid())) {
                Ok(file) => file,
                Err(e) => {
                    log::warn("logins", format!("`{}`: {e}; tries are counted in this process alone", path.display()));
                    return Ok(self.held(who, None));
                }
            };
            // One that was removed between opening and locking is no common ground.
            if file::lock(&file).unwrap_or(true) && same(&file, &path) {
                return Ok(self.held(who, Some((file, path))));
            }
            if Instant::now() >= until {
                let text = format!("another run is logging in as {who}, and does not get on");
                return Err(Trouble::new(Reason::Timeout, text));
            }
            std::thread::sleep(Duration::from_millis(limits::METRICS_LOGIN_TURN_MILLIS));
        }
    }

    fn held(&mut self, who: &str, kept: Option<(File, PathBuf)>) -> Held<'_> {
        let own = self.own.iter().find(|r| r.who == who).cloned().unwrap_or_else(|| Record::new(who));
        let Some((file, path)) = kept else { return Held { record: own, path: None, file: None, ledger: self } };
        let record = read(&file, who).unwrap_or_else(|why| {
            log::warn("logins", format!("`{}` {why}; counting anew", path.display()));
            own
        });
        Held { record, path: Some(path), file: Some(file), ledger: self }
    }

    fn remember(&mut self, record: &Record) {
        self.own.retain(|r| r.who != record.who);
        self.own.push(record.clone());
        if self.own.len() > limits::METRICS_LOGINS {
            self.own.remove(0);
        }
    }
}

impl Held<'_> {
    /// Writes the record down; whether it can be read by the next run.
    pub fn keep(&mut self) -> bool {
        self.ledger.remember(&self.record);
        let Some(file) = &self.file else { return false };
        let size = limits::METRICS_LOGIN_BYTES as usize;
        // Always as long: it is written over its own blocks, which a full disk cannot refuse.
        let text = format!("{:<width$}\n", self.record.text(), width = size - 1);
        let done = file.write_all_at(text.as_bytes(), 0).and_then(|()| file.sync_data());
        if let Err(e) = &done {
            log::warn("logins", format!("cannot write down the tries of {}: {e}", self.record.who));
        }
        done.is_ok()
    }
}

/// The directory, made where it may be; its owner.
fn make(dir: &Path) -> io::Result<u32> {
    if fs::symlink_metadata(dir).is_err() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let meta = fs::symlink_metadata(dir)?;
    let strangers = meta.mode() & 0o022 != 0;
    // The service's directory cannot be swapped for another one by the service: it lies in one of root's.
    let services = process::user() == 0 && dir == Path::new(SERVICE);
    if !meta.is_dir() || strangers || (!services && meta.uid() != process::user()) {
        return Err(io::Error::other("no directory that belongs to this user alone"));
    }
    Ok(meta.uid())
}

/// Whether a record could be written there.
fn try_out(dir: &Path, owner: u32) -> io::Result<()> {
    let file = open(&dir.join("logins"), owner)?;
    file.write_all_at(&[b'\n'; limits::METRICS_LOGIN_BYTES as usize], 0)
}

/// Opens the file, or makes it for the directory's owner.
fn open(path: &Path, owner: u32) -> io::Result<File> {
    let file = match options().open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => create(path, owner)?,
        other => other?,
    };
    let meta = file.metadata()?;
    if !meta.is_file() || meta.nlink() != 1 || meta.uid() != owner {
        return Err(io::Error::other("no plain file of its directory's owner"));
    }
    Ok(file)
}

/// No link is followed, and a FIFO is not waited for.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).mode(0o600);
    options
}

fn create(path: &Path, owner: u32) -> io::Result<File> {
    let foreign = owner != process::user();
    if foreign && seccomp::in_force() {
        return Err(io::Error::other("a confined process makes no file for another user"));
    }
    make_room(path.parent().unwrap_or(path));
    let file = match options().create_new(true).open(path) {
        // Somebody else was quicker.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return options().open(path),
        other => other?,
    };
    if foreign {
        std::os::unix::fs::fchown(&file, Some(owner), None)?;
    }
    Ok(file)
}

/// Of the records of instances that are no more the oldest goes.
fn make_room(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let ours = entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with("login-"));
    let dated = |e: fs::DirEntry| Some((e.metadata().ok()?.modified().ok()?, e.path()));
    let files: Vec<_> = ours.filter_map(dated).take(2 * limits::METRICS_LOGINS).collect();
    if files.len() >= limits::METRICS_LOGINS {
        files.iter().min().into_iter().for_each(|(_, path)| drop(fs::remove_file(path)));
    }
}

fn same(file: &File, path: &Path) -> bool {
    let numbers = |m: &fs::Metadata| (m.dev(), m.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(a), Ok(b)) => numbers(&a) == numbers(&b),
        _ => false,
    }
}

/// What the file holds; an empty one holds nothing yet.
fn read(file: &File, who: &str) -> Result<Record, &'static str> {
    let mut bytes = Vec::new();
    let taken = file.take(limits::METRICS_LOGIN_BYTES + 1).read_to_end(&mut bytes);
    if taken.is_err() || bytes.len() as u64 > limits::METRICS_LOGIN_BYTES {
        return Err("cannot be read, or is too long");
    }
    if bytes.is_empty() {
        return Ok(Record::new(who));
    }
    let text = std::str::from_utf8(&bytes).ok();
    text.and_then(|text| Record::parse(text.trim_end(), who)).ok_or("is damaged")
}
