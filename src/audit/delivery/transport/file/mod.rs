//! Events as lines of a file: each is on the platter before it counts.
//!
//! ```text
//! lock ─▶ (rotate) ─▶ (a torn line is mended) ─▶ append ─▶ fdatasync ─▶ taken
//! ```
//!
//! It is always the file that has the name now: one that was renamed or removed (logrotate) is noticed before each write.
//! The lock is between senders of ours, who may write into one file: that of an adopted spool beside our own, `check --send`.
//! A line that a death has torn is completed, where it is one of those that are written now, else ended: never is anything
//! glued to it. Refuses: to follow a link, to write into what is no file, to remove an
//! old file unasked, to wait without end for another writer.

pub mod rotation;
#[cfg(test)]
mod tests;

use super::route::Route;
use super::row::{Promise, Transport};
use crate::audit::delivery::frame::Frame;
use crate::audit::delivery::parcel::{Delivery, Parcel, Said, Sink};
use crate::error::Result;
use crate::flags::{text, value, Item};
use crate::guard::files::Wish;
use crate::net::failure::{words, Failure, FailureKind};
use crate::net::target::{Scheme, Shape};
use crate::sys::file;
use crate::{limits, log};
use rotation::{Keep, Limits};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// `file:///path`
pub const FILE: Transport = Transport {
    scheme: &Scheme { name: "file", shape: Shape::File, tls: false },
    url: "file:///PATH/FILE",
    about: text(
        "lines of a file, each synced before it counts; rotated by itself (--file-max) or by logrotate",
        "строки файла, каждая на диске прежде, чем засчитана; ротация своя (--file-max) или logrotate",
    ),
    formats: LINES,
    frame: Some(Frame::Lines),
    options: &[&["file-max", "file-keep"]],
    promise: Promise::Acknowledged,
    open,
    wishes,
};

/// It is put aside by us only where that was asked for.
fn wishes(route: &Route) -> Vec<Wish> {
    let wish = if route.option("file-max").is_some() { Wish::Rotate } else { Wish::Log };
    route.to.target.path().map(|path| wish(path.to_path_buf())).into_iter().collect()
}

/// Formats that are a line each.
pub const LINES: &[&str] = &["json", "gostech", "ecs", "cef", "leef"];

fn open(route: &Route) -> Result<Box<dyn Sink>> {
    let path = route.to.target.path().unwrap_or(Path::new("/")).to_path_buf();
    let limits = route.option("file-max").map_or(Ok(Limits::default()), limits_of)?;
    let keep = route.option("file-keep").map_or(Ok(Keep::All), keep_of)?;
    Ok(Box::new(LogFile { path, limits, keep, patience: route.to.timeouts.total, open: None }))
}

/// `64M`, `1d`, `64M,1d`.
fn limits_of(item: &Item) -> Result<Limits> {
    let mut limits = Limits::default();
    for part in item.value.split(',') {
        let mut one = item.clone();
        one.value = part.trim().to_string();
        match value::duration(&one) {
            Ok(age) if !age.is_zero() => limits.age = Some(age),
            _ => limits.bytes = Some(value::size_within(&one, limits::FILE_MAX_BYTES.0..=limits::FILE_MAX_BYTES.1)?),
        }
    }
    Ok(limits)
}

/// `10`, `90d`.
fn keep_of(item: &Item) -> Result<Keep> {
    match item.value.bytes().all(|b| b.is_ascii_digit()) {
        true => Ok(Keep::Count(value::count(item, 1..=limits::FILES_KEPT)? as usize)),
        false => Ok(Keep::Younger(value::duration(item)?)),
    }
}

/// The file that has the name, as it was opened.
#[derive(Debug)]
struct Opened {
    file: File,
    /// Device and number.
    place: (u64, u64),
    born: SystemTime,
    /// Where a whole line of ours ended when we last looked; anything else is looked at.
    end: Option<u64>,
}

/// The sink.
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    limits: Limits,
    keep: Keep,
    patience: Duration,
    open: Option<Opened>,
}

impl Sink for LogFile {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        match self.write(parcel) {
            Ok(()) => Delivery::whole(parcel, Said::default()),
            Err(f) => {
                // What was not synced is written anew, through a descriptor that knows of no failure.
                self.open = None;
                Delivery::failed(f, false)
            }
        }
    }

    fn check(&mut self) -> std::result::Result<(), Failure> {
        let dir = parent(&self.path);
        match file::open_regular(&self.path, OpenOptions::new().append(true)) {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !dir.is_dir() => Err(self.failed("open", &e)),
            Err(e) if e.kind() == io::ErrorKind::NotFound && file::is_writable(dir) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(self.failed("make", &io::ErrorKind::PermissionDenied.into()))
            }
            Err(e) => Err(self.failed("open", &e)),
        }
    }

    fn reload(&mut self) {
        self.open = None;
    }

    fn rest(&mut self) {
        self.open = None;
    }

    fn place(&self) -> String {
        format!("file://{}", self.path.display())
    }
}

type Done<T> = std::result::Result<T, Failure>;

impl LogFile {
    fn write(&mut self, parcel: &Parcel<'_>) -> Done<()> {
        let deadline = Instant::now() + self.patience;
        let mut opened = self.locked(deadline)?;
        let wanted = parcel.bytes.len() as u64;
        // A file is put aside whole: a line that a death or a full disk has torn is completed first.
        let mut from = self.mend(&mut opened, parcel)?;
        if let Some(old) = (from == 0).then(|| self.rotated(&opened, wanted, parcel.wall)).flatten() {
            log::info("file", format!("`{}` is put aside as `{}`", self.path.display(), old.display()));
            drop(opened);
            opened = self.locked(deadline)?;
            self.tidy(parcel.wall);
            from = self.mend(&mut opened, parcel)?;
        }
        let written = append(&opened.file, &parcel.bytes[from..]).and_then(|()| opened.file.sync_data());
        written.map_err(|e| self.failed("write", &e))?;
        opened.end = opened.file.metadata().ok().map(|m| m.len());
        file::unlock(&opened.file);
        self.open = Some(opened);
        Ok(())
    }

    /// The file that has the name, for us alone.
    fn locked(&mut self, deadline: Instant) -> Done<Opened> {
        loop {
            let opened = match self.open.take().filter(|o| self.has_name(o)) {
                Some(opened) => opened,
                None => self.opened().map_err(|e| self.failed("open", &e))?,
            };
            let ours = file::lock(&opened.file).map_err(|e| self.failed("lock", &e))?;
            if ours && self.has_name(&opened) {
                return Ok(opened);
            }
            if Instant::now() >= deadline {
                let text = format!("`{}` was locked by another writer all the time", self.path.display());
                return Err(Failure::new(FailureKind::Timeout, text));
            }
            std::thread::sleep(Duration::from_millis(if ours { 0 } else { limits::FILE_LOCK_MILLIS }));
        }
    }

    fn has_name(&self, opened: &Opened) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == opened.place)
    }

    fn opened(&self) -> io::Result<Opened> {
        let options = || {
            let mut options = OpenOptions::new();
            options.read(true).append(true).mode(limits::FILE_MODE);
            options
        };
        let file = match file::open_regular(&self.path, &mut options()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let file = file::open_regular(&self.path, options().create(true))?;
                // What is ours is for nobody else by the mask of this process; whoever reads logs reads these too.
                file.set_permissions(Permissions::from_mode(limits::FILE_MODE))?;
                sync_directory(&self.path)?;
                file
            }
            other => other?,
        };
        let meta = file.metadata()?;
        // Where the file system does not know, a file is as young as our look at it.
        let born = meta.created().unwrap_or_else(|_| SystemTime::now());
        Ok(Opened { file, place: (meta.dev(), meta.ino()), born, end: None })
    }

    // ---- rotation ----

    /// Puts the file aside when it is time, and says how it is called then. One that cannot be is written on.
    fn rotated(&self, opened: &Opened, more: u64, now: SystemTime) -> Option<PathBuf> {
        let size = opened.file.metadata().ok()?.len();
        let age = now.duration_since(opened.born).unwrap_or_default();
        if !self.limits.reached(size, more, age) {
            return None;
        }
        let base = self.path.file_name()?.to_str()?;
        let free =
            |n: &u32| fs::symlink_metadata(self.path.with_file_name(rotation::aside(base, millis(now), *n))).is_err();
        let name = (0..limits::FILES_A_SECOND).find(free).map(|n| rotation::aside(base, millis(now), n))?;
        let old = self.path.with_file_name(name);
        let done = fs::rename(&self.path, &old).and_then(|()| sync_directory(&self.path));
        match done {
            Ok(()) => Some(old),
            Err(e) => {
                let text = format!("`{}` cannot be put aside, and is written on: {}", self.path.display(), words(&e));
                log::warn("file", text);
                None
            }
        }
    }

    /// Removes old ones, as far as that was asked for.
    fn tidy(&self, now: SystemTime) {
        let base = self.path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if self.keep == Keep::All {
            return;
        }
        let entries = fs::read_dir(parent(&self.path)).into_iter().flatten().flatten();
        let names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
        for name in rotation::outdated(base, &names, self.keep, millis(now)) {
            let old = self.path.with_file_name(name);
            match fs::remove_file(&old) {
                Ok(()) => log::info("file", format!("`{}` is removed, as --file-keep asks for", old.display())),
                Err(e) => log::warn("file", format!("`{}` cannot be removed: {}", old.display(), words(&e))),
            }
        }
    }

    // ---- a torn line ----

    /// Sees to the end of the file; from which byte of the parcel on it is to be written.
    fn mend(&self, opened: &mut Opened, parcel: &Parcel<'_>) -> Done<usize> {
        let size = opened.file.metadata().map_err(|e| self.failed("look at", &e))?.len();
        if size == 0 || opened.end == Some(size) {
            return Ok(0);
        }
        let torn = torn_end(&opened.file, size).map_err(|e| self.failed("read", &e))?;
        if torn.as_ref().is_some_and(Vec::is_empty) {
            return Ok(0);
        }
        match torn.as_deref().and_then(|torn| Some((beginning(parcel, torn)?, torn.len()))) {
            // Those before it are in the file.
            Some((i, n)) if is_certain(parcel, i, n) => Ok(parcel.events[i].start + n),
            Some((i, n)) => {
                let rest = parcel.events[i].start + n..=parcel.events[i].end;
                append(&opened.file, &parcel.bytes[rest]).map_err(|e| self.failed("write", &e))?;
                Ok(0)
            }
            None => {
                log::warn("file", format!("`{}` ended in the middle of a line: that is ended", self.path.display()));
                append(&opened.file, b"\n").map_err(|e| self.failed("write", &e))?;
                Ok(0)
            }
        }
    }

    fn failed(&self, what: &str, e: &io::Error) -> Failure {
        let dir = parent(&self.path);
        let cure = match e.kind() {
            io::ErrorKind::NotFound if !dir.is_dir() => format!("; make the directory `{}`", dir.display()),
            io::ErrorKind::PermissionDenied => "; let this user write there, or name another file".to_string(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room".to_string(),
            io::ErrorKind::ReadOnlyFilesystem => "; mount it for writing, or name another file".to_string(),
            _ => String::new(),
        };
        Failure::new(FailureKind::File, format!("cannot {what} `{}`: {}{cure}", self.path.display(), words(e)))
    }
}

fn millis(t: SystemTime) -> i64 {
    t.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

fn append(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)
}

/// The name of a file is on the platter when its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

/// What stands behind the last newline; none: more than a line of ours can be.
fn torn_end(file: &File, size: u64) -> io::Result<Option<Vec<u8>>> {
    let mut tail = Vec::new();
    let mut from = size;
    while from > 0 && tail.len() < limits::FILE_TORN_BYTES {
        let step = from.min(limits::FILE_LOOK_BYTES);
        let mut block = vec![0; step as usize];
        from -= step;
        file.read_exact_at(&mut block, from)?;
        if let Some(at) = memchr::memrchr(b'\n', &block) {
            block.drain(..=at);
            block.extend_from_slice(&tail);
            return Ok(Some(block));
        }
        block.extend_from_slice(&tail);
        tail = block;
    }
    Ok((from == 0).then_some(tail))
}

/// Which event of the parcel a torn line is the beginning of: one whose id it holds, else the first one.
fn beginning(parcel: &Parcel<'_>, torn: &[u8]) -> Option<usize> {
    let mut all = (0..parcel.len()).filter(|i| parcel.event(*i).starts_with(torn));
    let first = all.next()?;
    Some(all.find(|i| is_certain(parcel, *i, torn.len())).unwrap_or(first))
}

/// Whether so many bytes of an event are those of no other one.
fn is_certain(parcel: &Parcel<'_>, i: usize, n: usize) -> bool {
    i == 0 || memchr::memmem::find(&parcel.event(i)[..n], parcel.id(i).as_bytes()).is_some()
}
