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
use crate::sys::{crash, file};
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
    Ok(Box::new(LogFile { path, limits, keep, patience: route.to.timeouts.total, open: None, full: None, aside: None }))
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
    /// Which file the disk had no room for, and where that ended then.
    full: Option<((u64, u64), u64)>,
    /// Under which name the last one was put aside.
    aside: Option<(i64, u32)>,
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
        look(&self.path).map_err(|(what, e)| self.failed(what, &e))
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
        let lines = &parcel.bytes[from..];
        crash::torn("file.torn", lines, |part| drop(append(&opened.file, part)));
        let size = || opened.file.metadata().ok().map(|m| m.len());
        if let Err(e) = append(&opened.file, lines) {
            self.full = size().map(|size| (opened.place, size));
            return Err(self.failed("write", &e));
        }
        self.full = None;
        crash::point("file.written");
        opened.file.sync_data().map_err(|e| self.failed("write", &e))?;
        crash::point("file.synced");
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
        let file = open_to_append(&self.path)?;
        let meta = file.metadata()?;
        // Where the file system does not know, a file is as young as our look at it.
        let born = meta.created().unwrap_or_else(|_| SystemTime::now());
        Ok(Opened { file, place: (meta.dev(), meta.ino()), born, end: None })
    }

    // ---- rotation ----

    /// Puts the file aside when it is time, and says how it is called then. One that cannot be is written on.
    fn rotated(&mut self, opened: &Opened, more: u64, now: SystemTime) -> Option<PathBuf> {
        let size = opened.file.metadata().ok()?.len();
        let age = now.duration_since(opened.born).unwrap_or_default();
        if !self.limits.reached(size, more, age) {
            return None;
        }
        let (base, second) = (self.path.file_name()?.to_str()?, millis(now) / 1000);
        // A name that an archive has made free again would not sort behind the last one.
        let first = self.aside.filter(|last| last.0 == second).map_or(0, |last| last.1 + 1);
        let named = |n| self.path.with_file_name(rotation::aside(base, millis(now), n));
        let n = (first..limits::FILES_A_SECOND).find(|n| fs::symlink_metadata(named(*n)).is_err())?;
        let old = named(n);
        let renamed = fs::rename(&self.path, &old).inspect(|()| crash::point("file.renamed"));
        let done = renamed.and_then(|()| sync_directory(&self.path)).inspect(|()| crash::point("file.aside"));
        match done {
            Ok(()) => {
                self.aside = Some((second, n));
                Some(old)
            }
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
                Ok(()) => {
                    crash::point("file.removed");
                    log::info("file", format!("`{}` is removed, as --file-keep asks for", old.display()));
                }
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
        let Some(tail) = Tail::of(&opened.file, size).map_err(|e| self.failed("read", &e))? else {
            return self.ended(opened);
        };
        let (n, full) = (tail.torn().len(), self.full == Some((opened.place, size)));
        match tail.begins(parcel) {
            // What was written whole and not synced is not relied upon, but where we saw the disk refuse what came after it.
            _ if n == 0 && !full => Ok(0),
            // Those before it are in the file.
            Some((i, true)) => Ok(parcel.events.get(i).map_or(parcel.bytes.len(), |e| e.start + n)),
            _ if n == 0 => Ok(0),
            Some((i, false)) => {
                let rest = parcel.events[i].start + n..=parcel.events[i].end;
                append(&opened.file, &parcel.bytes[rest]).map_err(|e| self.failed("write", &e))?;
                Ok(0)
            }
            None => self.ended(opened),
        }
    }

    fn ended(&self, opened: &Opened) -> Done<usize> {
        log::warn("file", format!("`{}` ended in the middle of a line: that is ended", self.path.display()));
        append(&opened.file, b"\n").map_err(|e| self.failed("write", &e))?;
        Ok(0)
    }

    fn failed(&self, what: &str, e: &io::Error) -> Failure {
        Failure::new(FailureKind::File, cannot(&self.path, what, e))
    }
}

/// Opens a file that others read, to append to it, and makes it where it is not there.
pub fn open_to_append(path: &Path) -> io::Result<File> {
    let options = || {
        let mut options = OpenOptions::new();
        options.read(true).append(true).mode(limits::FILE_MODE);
        options
    };
    match file::open_regular(path, &mut options()) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let file = file::open_regular(path, options().create(true))?;
            // What is ours is for nobody else by the mask of this process; whoever reads logs reads these too.
            file.set_permissions(Permissions::from_mode(limits::FILE_MODE))?;
            crash::point("file.made");
            sync_directory(path)?;
            Ok(file)
        }
        other => other,
    }
}

/// Whether that could be done, without doing it; else what cannot be done.
pub fn look(path: &Path) -> std::result::Result<(), (&'static str, io::Error)> {
    let dir = parent(path);
    match file::open_regular(path, OpenOptions::new().append(true)) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound && !dir.is_dir() => Err(("open", e)),
        Err(e) if e.kind() == io::ErrorKind::NotFound && file::is_writable(dir) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(("make", io::ErrorKind::PermissionDenied.into())),
        Err(e) => Err(("open", e)),
    }
}

/// What went wrong with such a file, and what is to be done about it.
pub fn cannot(path: &Path, what: &str, e: &io::Error) -> String {
    let dir = parent(path);
    let cure = match e.kind() {
        io::ErrorKind::NotFound if !dir.is_dir() => format!("; make the directory `{}`", dir.display()),
        io::ErrorKind::PermissionDenied => "; let this user write there, or name another file".to_string(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room".to_string(),
        io::ErrorKind::ReadOnlyFilesystem => "; mount it for writing, or name another file".to_string(),
        _ => String::new(),
    };
    format!("cannot {what} `{}`: {}{cure}", path.display(), words(e))
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

/// The end of a file: its last whole line, and what stands behind it.
struct Tail {
    bytes: Vec<u8>,
    /// Behind the last newline.
    torn: usize,
}

impl Tail {
    /// None: more stands behind the last newline than a line of ours can have.
    fn of(file: &File, size: u64) -> io::Result<Option<Tail>> {
        let (mut bytes, mut from) = (Vec::new(), size);
        loop {
            let torn = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
            let whole = torn > 0 && memchr::memrchr(b'\n', &bytes[..torn - 1]).is_some();
            if from == 0 || whole || bytes.len() >= limits::FILE_TORN_BYTES {
                return Ok((from == 0 || torn > 0).then_some(Tail { bytes, torn }));
            }
            let step = from.min(limits::FILE_LOOK_BYTES);
            from -= step;
            let mut block = vec![0; step as usize];
            file.read_exact_at(&mut block, from)?;
            block.append(&mut bytes);
            bytes = block;
        }
    }

    fn torn(&self) -> &[u8] {
        &self.bytes[self.torn..]
    }

    /// Which event of the parcel the torn line is the beginning of, and whether that is certain: by its id, or because the line
    /// before it is the event before it. Else the first that fits.
    fn begins(&self, parcel: &Parcel<'_>) -> Option<(usize, bool)> {
        let (before, torn) = (self.bytes[..self.torn].strip_suffix(b"\n").unwrap_or_default(), self.torn());
        let follows = |i: usize| {
            let event = parcel.event(i);
            let line = before.strip_suffix(event).is_some_and(|rest| rest.is_empty() || rest.ends_with(b"\n"));
            line && memchr::memmem::find(event, parcel.id(i).as_bytes()).is_some()
        };
        let named = |i: usize| memchr::memmem::find(&parcel.event(i)[..torn.len()], parcel.id(i).as_bytes()).is_some();
        let fits =
            |i: usize| i == parcel.len() && torn.is_empty() || i < parcel.len() && parcel.event(i).starts_with(torn);
        let certain = |i: usize| i > 0 && follows(i - 1) || i < parcel.len() && named(i);
        let mut all = (0..=parcel.len()).filter(|i| fits(*i));
        let first = all.next()?;
        let sure = std::iter::once(first).chain(all).find(|i| certain(*i));
        Some((sure.unwrap_or(first), sure.is_some() || first == 0))
    }
}
