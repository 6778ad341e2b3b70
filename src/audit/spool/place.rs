//! Where the spool is: which directory, which sub-directory of it is ours, and what to do when there is none.
//!
//! One sub-directory for each instance, locked by its worker. A locked or foreign one is left alone and the next name
//! taken: `NAME`, `NAME.2`, `NAME.3`… Refuses: to wait
//! for the lock of one who lives.

use super::lock::{self, Lock};
use crate::limits;
use crate::log;
use crate::sys::crash;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A locked sub-directory.
#[derive(Debug)]
pub struct Home {
    /// The whole path.
    pub dir: PathBuf,
    /// The last part of it.
    pub name: String,
    /// Held as long as this lives.
    pub lock: Arc<Lock>,
    /// It is the one that a worker of this family had before.
    pub inherited: bool,
}

/// The name of a sub-directory for an instance.
pub fn directory_name(instance: &str) -> String {
    if super::cursor::is_name(instance) && !instance.ends_with(".bad") {
        return instance.to_string();
    }
    let plain: String =
        instance.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect();
    let plain: String = plain.chars().take(limits::LABEL_BYTES / 2).collect();
    format!("{plain}-{:08x}", crate::hash::fold(crate::hash::xxh64(instance.as_bytes(), 0)))
}

/// The directories to try, in order: `--spool-dir`, else `$STATE_DIRECTORY`, else the usual one, else here.
pub fn candidates(given: Option<&Path>, state_directory: Option<&str>) -> Vec<PathBuf> {
    if let Some(dir) = given {
        return vec![dir.to_path_buf()];
    }
    if let Some(first) = state_directory.and_then(|s| s.split(':').next()).filter(|s| !s.is_empty()) {
        return vec![PathBuf::from(first)];
    }
    vec![PathBuf::from("/var/lib/gostech-audit-log"), PathBuf::from("./gostech-audit-log.spool")]
}

/// Whether something can be created in a directory (made if it is not there). The usual directory is not made: a
/// package does that, with its owner.
fn writable(dir: &Path, may_make: bool) -> io::Result<()> {
    if may_make {
        lock::make(dir)?;
    }
    let probe = dir.join(format!(".probe-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe);
    let _ = std::fs::remove_file(&probe);
    match made {
        // A full disk is a place all the same.
        Err(e) if e.raw_os_error() == Some(libc::ENOSPC) => Ok(()),
        other => other.map(|_| ()),
    }
}

/// The first directory that can be written to; else why not.
pub fn choose(candidates: &[PathBuf]) -> Result<PathBuf, String> {
    let mut why = Vec::new();
    let explicit = candidates.len() == 1;
    for dir in candidates {
        match writable(dir, explicit || dir.is_relative()) {
            Ok(()) => return Ok(std::fs::canonicalize(dir).unwrap_or_else(|_| dir.clone())),
            Err(e) => why.push(format!("`{}`: {}", dir.display(), crate::net::failure::words(&e))),
        }
    }
    Err(why.join(", "))
}

/// The names to try for an instance: that of the worker before first, then `BASE`, `BASE.2`…
fn names(base: &str, before: &str) -> Vec<String> {
    let mut all: Vec<String> = vec![before.to_string()];
    all.push(base.to_string());
    all.extend((2..=limits::SPOOL_DIRECTORIES).map(|n| format!("{base}.{n}")));
    all.retain(|n| !n.is_empty());
    all.dedup();
    all
}

/// Locks the first free sub-directory. `open` says whether it can be used; one that cannot is left. `patience`: how long it
/// waits in all for locks of those who are gone.
pub fn settle(
    root: &Path,
    base: &str,
    before: &str,
    patience: Duration,
    open: &mut dyn FnMut(&Home) -> Result<(), String>,
) -> Result<Home, String> {
    let mut why = String::new();
    let end = Instant::now() + patience;
    for name in names(base, before) {
        let dir = root.join(&name);
        match lock::take_home(&dir, end) {
            Ok((Some(lock), inherited)) => {
                let home = Home { dir, name, lock: Arc::new(lock), inherited };
                crash::point("home.locked");
                match open(&home) {
                    Ok(()) => {
                        home.lock.sign();
                        return Ok(home);
                    }
                    Err(e) => {
                        why = format!("`{}`: {e}", home.dir.display());
                        log::error("spool", format!("cannot use {why}; taking the next sub-directory"));
                    }
                }
            }
            Ok((None, _)) => why = format!("`{}` is locked by another helper", dir.display()),
            Err(e) => {
                why = format!("cannot lock `{}`: {}", dir.display(), crate::net::failure::words(&e));
                log::warn("spool", &why);
                if matches!(e.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::StorageFull) {
                    break;
                }
            }
        }
    }
    // An earlier home that cannot be used is nobody's: it may be adopted.
    lock::disown();
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::super::names::LOCK;
    use super::*;
    use crate::sys::process;

    fn temp(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("gostech-place-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn the_next_name_when_one_is_locked_or_foreign() {
        let root = temp("names");
        let one = settle(&root, "x", "", Duration::ZERO, &mut |_| Ok(())).unwrap();
        let two = settle(&root, "x", "", Duration::ZERO, &mut |_| Ok(())).unwrap();
        assert_eq!((one.name.as_str(), two.name.as_str()), ("x", "x.2"));
        let refused = |h: &Home| if h.name == "x.3" { Err("foreign".into()) } else { Ok(()) };
        let four = settle(&root, "x", "", Duration::ZERO, &mut { refused }).unwrap();
        assert_eq!(four.name, "x.4");
        drop(one);
        assert_eq!(settle(&root, "x", "x.9", Duration::ZERO, &mut |_| Ok(())).unwrap().name, "x.9");
        assert_eq!(settle(&root, "x", "", Duration::ZERO, &mut |_| Ok(())).unwrap().name, "x");
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn the_lock_of_one_who_is_gone_is_waited_for() {
        let root = temp("soon");
        let one = settle(&root, "x", "", Duration::ZERO, &mut |_| Ok(())).unwrap();
        let holder = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(one);
        });
        let same = settle(&root, "x", "", Duration::from_secs(20), &mut |_| Ok(())).unwrap();
        assert_eq!(same.name, "x");
        holder.join().unwrap();
        // Who lives is not waited for.
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = other.id() as i32;
        std::fs::write(same.dir.join(LOCK), format!("{pid} {}\n", process::born(pid).unwrap())).unwrap();
        let begin = Instant::now();
        let next = settle(&root, "x", "", Duration::from_secs(20), &mut |_| Ok(())).unwrap();
        assert!(next.name == "x.2" && begin.elapsed() < Duration::from_secs(10));
        other.kill().unwrap();
        other.wait().unwrap();
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn instance_names_become_directory_names() {
        assert_eq!(directory_name("default_1_1"), "default_1_1");
        let odd = directory_name("../я b");
        assert!(super::super::cursor::is_name(&odd) && odd != directory_name("../я c"), "{odd}");
    }
}
