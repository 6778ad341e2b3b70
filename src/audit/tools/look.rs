//! Which sub-directories a command looks at, and everything that stands in the segments of one, in order.
//!
//! Refuses: to write, to lock; a directory that may not be read, without the cure.

use super::call::{say, Result, Stop};
use super::progress::Progress;
use super::rights;
use crate::audit::options::keeping;
use crate::audit::options::Options;
use crate::audit::spool::record::{Head, Stored, RECORDS_AT};
use crate::audit::spool::survey::{holds_spool, is_spool, Look, Seg, Unreadable};
use crate::audit::spool::walk::{Found, Walk};
use crate::error::Error;
use crate::limits;
use crate::net::failure::words;
use crate::sorted;
use crate::words::shown;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The sub-directories of a root that are spools, by name. Those that are being made are left out.
pub fn below(root: &Path) -> std::io::Result<Vec<PathBuf>> {
    Ok(sought(root)?.0)
}

/// The same, and the first sub-directory that this user may not look into.
fn sought(root: &Path) -> std::io::Result<(Vec<PathBuf>, Option<PathBuf>)> {
    let (mut found, mut closed) = (Vec::new(), None);
    for entry in std::fs::read_dir(root)?.take(limits::SPOOL_FILES) {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|n| n.as_encoded_bytes().starts_with(b"."));
        if hidden || !path.is_dir() {
            continue;
        }
        match holds_spool(&path) {
            Ok(true) => found.push(path),
            Err(e) if e.kind() == ErrorKind::PermissionDenied => closed = closed.or(Some(path)),
            Ok(false) | Err(_) => {}
        }
    }
    sorted::sort(&mut found);
    Ok((found, closed))
}

/// The spools of a directory; none is an error that says why. What could not be looked at is told to `say`.
fn some_below(dir: &Path, say: &mut dyn FnMut(&str)) -> Result<Vec<PathBuf>> {
    match sought(dir) {
        Ok((found, closed)) if !found.is_empty() => {
            // Else what could not be looked at would count as well; the one that each file system has is no spool.
            if let Some(closed) = closed.filter(|c| !c.ends_with("lost+found")) {
                let whom = rights::acting_as().map_or_else(String::new, |whom| format!(" by {whom}"));
                say(&format!("`{}` may not be read{whom}: it is left out", shown(&closed)));
            }
            Ok(found)
        }
        Ok((_, Some(closed))) => Err(denied(&closed)),
        Ok(_) => {
            let text = format!("there is no spool in `{}`; say where it is: --spool-dir DIR", shown(dir));
            Err(Error::failed(text).into())
        }
        Err(why) => Err(Unreadable { path: dir.to_path_buf(), why }.into()),
    }
}

/// The spool directory by the options: the first that has a spool in it, else the first that is there.
pub fn root(options: &Options) -> Result<PathBuf> {
    let candidates = keeping::roots(options);
    let mut why = Vec::new();
    let mut empty = None;
    for dir in &candidates {
        match below(dir) {
            Ok(found) if !found.is_empty() => return Ok(dir.clone()),
            Ok(_) => empty = empty.or(Some(dir.clone())),
            Err(e) if e.kind() == ErrorKind::PermissionDenied => return Err(denied(dir)),
            Err(e) => why.push(format!("`{}`: {}", shown(dir), words(&e))),
        }
    }
    let none = || Error::failed(format!("there is no spool ({}); say where it is: --spool-dir DIR", why.join(", ")));
    empty.ok_or_else(|| none().into())
}

fn denied(dir: &Path) -> Stop {
    let cure = match rights::acting_as() {
        Some(whom) => format!("root acts here as {whom}: give all of it to one user (chown)"),
        None => "run this as the user the helper runs as, or as root".into(),
    };
    Error::failed(format!("cannot read `{}`: Permission denied; {cure}", shown(dir))).into()
}

impl From<Unreadable> for Stop {
    fn from(e: Unreadable) -> Stop {
        match e.why.kind() {
            ErrorKind::PermissionDenied => denied(&e.path),
            _ => Error::failed(format!("cannot read `{}`: {}", shown(&e.path), words(&e.why))).into(),
        }
    }
}

/// The sub-directories that a command is to look at: those of the directory given (a spool itself, or the root of some),
/// else those of the options' one.
pub fn targets(options: &Options, given: Option<&String>) -> Result<Vec<PathBuf>> {
    let dir = match given {
        Some(text) if text.is_empty() => return Err(Error::usage("the directory is empty").into()),
        Some(text) => PathBuf::from(text),
        None => root(options)?,
    };
    spools_of(dir, &mut say)
}

fn spools_of(dir: PathBuf, say: &mut dyn FnMut(&str)) -> Result<Vec<PathBuf>> {
    if is_spool(&dir) {
        return Ok(vec![std::fs::canonicalize(&dir).unwrap_or(dir)]);
    }
    some_below(&dir, say)
}

/// Looks at each. A replay's sub-directory may be drained and gone meanwhile: it is left out.
pub fn all(dirs: &[PathBuf]) -> Result<Vec<Look>> {
    let mut looks = Vec::new();
    for dir in dirs {
        match Look::at(dir) {
            Ok(look) => looks.push(look),
            Err(_) if !dir.exists() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(looks)
}

/// Looks at all sub-directories of the options' spool directory.
pub fn everywhere(options: &Options) -> Result<Vec<Look>> {
    watched(options, &mut say)
}

/// The same for who looks again and again: what could not be looked at is told to `say`.
pub fn watched(options: &Options, say: &mut dyn FnMut(&str)) -> Result<Vec<Look>> {
    all(&spools_of(root(options)?, say)?)
}

/// Calls `f` for everything that stands in the segments, in order; a record that was seen already is passed over.
pub fn walk(look: &Look, progress: &mut Progress, mut f: impl FnMut(Seen<'_>) -> Result<()>) -> Result<()> {
    let mut want = 0;
    for (i, s) in look.segments.iter().enumerate() {
        let newest = i + 1 == look.segments.len();
        walk_segment(look, s, newest, &mut want, progress, &mut f)?;
    }
    Ok(())
}

fn walk_segment(
    look: &Look,
    s: &Seg,
    newest: bool,
    want: &mut u64,
    progress: &mut Progress,
    f: &mut impl FnMut(Seen<'_>) -> Result<()>,
) -> Result<()> {
    let (mut walk, mut end, mut growths, mut last) = (Walk::start(), s.bytes, 0, RECORDS_AT);
    let mut s = s.clone();
    loop {
        let found = walk.next(&look.disk, &s.name, &s.head, end);
        progress.advance(walk.position().saturating_sub(last));
        last = last.max(walk.position());
        match found {
            Ok(Found::Record(m)) if m.seq < *want => {}
            Ok(Found::Record(m)) => {
                *want = m.seq + 1;
                f(Seen::Record(walk.record(m), &s.head))?;
            }
            Ok(Found::Damage(from, to)) => f(Seen::Damage(&s.name, from, to))?,
            Ok(Found::Torn(from)) => {
                let now = look.size_now(&s.name);
                let changes = look.in_use.may_change() && s.head.packed.is_none();
                if changes && growths < limits::TOOL_GROWTHS && now.is_some_and(|n| n > end) {
                    growths += 1;
                    end = now.unwrap_or(end);
                    walk.seek(from);
                    continue;
                }
                // Half a record at the end of what is being written will be whole in a moment; a file that became
                // shorter was cut by its owner.
                let shrunk = now.is_none_or(|n| n <= from);
                if !(changes && (newest || shrunk)) {
                    f(Seen::Torn(&s.name, from, end))?;
                }
                return Ok(());
            }
            Ok(Found::End) => return Ok(()),
            Err(e) if e.kind() == ErrorKind::NotFound => match look.packed_meanwhile(&s.name, s.head.first_seq) {
                Some(packed) => {
                    walk.look_again();
                    (end, s) = (packed.bytes, packed);
                }
                None => return f(Seen::Gone),
            },
            Err(e) => return f(Seen::Unreadable(&s.name, &words(&e))),
        }
    }
}

/// What stands in a segment.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A record.
    Record(Stored<'a>, &'a Arc<Head>),
    /// In this file, from here to there, there is no record; one follows.
    Damage(&'a str, u64, u64),
    /// In this file there is no whole record from here to its end.
    Torn(&'a str, u64, u64),
    /// The file was removed meanwhile.
    Gone,
    /// The disk does not give it.
    Unreadable(&'a str, &'a str),
}

impl Seen<'_> {
    /// The sentence about damage; none for a record.
    pub fn words(&self) -> Option<String> {
        match self {
            Seen::Record(..) | Seen::Gone => None,
            Seen::Damage(name, from, to) => Some(format!("`{name}`: bytes {from} to {to} are no record")),
            Seen::Torn(name, from, to) => {
                Some(format!("`{name}`: ends in the middle of a record (bytes {from} to {to})"))
            }
            Seen::Unreadable(name, why) => Some(format!("`{name}`: cannot be read: {why}")),
        }
    }
}
