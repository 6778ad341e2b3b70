//! As whom a command works in a spool. Root would follow whatever the database's user has put there (a link in the place of
//! a lock, of a file that is being made), and make, change or give away any file of the system. So root becomes the owner
//! of the spool first, for good, before anything in it is opened.
//!
//! Who it becomes: the first one on the way to the directory who is not root. He could lead the rest of the way wherever he
//! likes, so nothing is done there that he could not do himself. Refuses: a way on which everybody may put something.

use super::call::Result;
use crate::error::Error;
use crate::limits;
use crate::net::failure::words as io_words;
use crate::sys::{process, user};
use crate::words;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

/// Someone who is not root, and what belongs to him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// His number.
    pub uid: u32,
    /// His first group.
    pub group: u32,
    place: PathBuf,
}

static ACTING_AS: OnceLock<Other> = OnceLock::new();

/// Whom root has become, for sentences about what that one may not do.
pub fn acting_as() -> Option<String> {
    ACTING_AS.get().map(|o| format!("the user {}, to whom `{}` belongs", o.uid, words::shown(&o.place)))
}

/// Root becomes whoever owns the spools in this directory. Anybody else stays who he is.
pub fn give_up(dir: &Path) -> Result<()> {
    match owner(dir)? {
        None => Ok(()),
        Some(other) => assume(other),
    }
}

/// The same for a directory that may not be there yet: root becomes the first one on the way who is not root.
pub fn give_up_above(dir: &Path) -> Result<()> {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
    let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    match first_other(there).map_err(|e| {
        let text = format!("cannot use `{}`: {}", words::shown(there), io_words(&e));
        Error::failed(text)
    })? {
        None => Ok(()),
        Some(other) => assume(other),
    }
}

/// Whose the spools in a directory are, or one of them; none: root's own.
pub fn owner(dir: &Path) -> Result<Option<Other>> {
    let cannot =
        |dir: &Path, e: io::Error| Error::failed(format!("cannot use `{}`: {}", words::shown(dir), io_words(&e)));
    if let Some(other) = first_other(dir).map_err(|e| cannot(dir, e))? {
        return Ok(Some(other));
    }
    let mut found: Option<Other> = None;
    for sub in std::fs::read_dir(dir).map_err(|e| cannot(dir, e))?.flatten().take(limits::SPOOL_FILES) {
        let sub = sub.path();
        if !sub.is_dir() {
            continue;
        }
        let other = first_other(&sub).map_err(|e| cannot(&sub, e))?;
        match (&found, other) {
            (Some(one), Some(two)) if one.uid != two.uid => {
                let (dir, a, b) = (words::shown(dir), one.uid, two.uid);
                let text = format!("the spools in `{dir}` belong to several users ({a}, {b}): run this as one of them");
                return Err(Error::failed(text).into());
            }
            (None, Some(other)) => found = Some(other),
            _ => {}
        }
    }
    Ok(found)
}

fn assume(other: Other) -> Result<()> {
    user::become_for_good(other.uid, other.group).map_err(|e| {
        let (place, uid, why) = (words::shown(&other.place), other.uid, io_words(&e));
        Error::failed(format!(
            "`{place}` belongs to the user {uid}, and this process cannot become that one: {why}; run it as that user"
        ))
    })?;
    // The change of users has made it readable for others again, where the system is set up so.
    let _ = process::not_dumpable();
    let _ = ACTING_AS.set(other);
    Ok(())
}

/// The first one on the way to a directory who is not root: the owner of a directory above it, of a symbolic link on the
/// way, or its own.
pub fn first_other(dir: &Path) -> io::Result<Option<Other>> {
    let start = if dir.is_absolute() { PathBuf::new() } else { std::env::current_dir()? };
    let mut ahead: VecDeque<OsString> = parts(&start.join(dir)).collect();
    let (mut at, mut links) = (PathBuf::from("/"), 0);
    while let Some(part) = ahead.pop_front() {
        if part == ".." {
            at.pop();
            continue;
        }
        let next = at.join(part);
        let meta = std::fs::symlink_metadata(&next)?;
        if meta.uid() != 0 {
            return Ok(Some(Other { uid: meta.uid(), group: group(meta.uid(), meta.gid()), place: next }));
        }
        if meta.is_symlink() {
            links += 1;
            if links > limits::PATH_LINKS {
                return Err(io::Error::from_raw_os_error(libc::ELOOP));
            }
            let target = std::fs::read_link(&next)?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            parts(&target).rev().for_each(|p| ahead.push_front(p));
            continue;
        }
        // Not where everybody may only add, as in /tmp: what is there already has its owner.
        if meta.is_dir() && meta.mode() & 0o002 != 0 && meta.mode() & 0o1000 == 0 {
            let text = format!("everybody may write to `{}`: root does not work there", words::shown(&next));
            return Err(io::Error::other(text));
        }
        at = next;
    }
    Ok(None)
}

/// The parts of a path that lead somewhere.
fn parts(path: &Path) -> std::vec::IntoIter<OsString> {
    let all = path.components().filter_map(|c| match c {
        Component::Normal(name) => Some(name.to_os_string()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    all.collect::<Vec<_>>().into_iter()
}

/// The group of a user: his own where the system knows it. Never root's: that one may read more than he.
fn group(uid: u32, of_place: u32) -> u32 {
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let own = known.lines().find_map(|l| {
        let fields: Vec<&str> = l.split(':').collect();
        let same = fields.get(2).is_some_and(|n| n.parse() == Ok(uid));
        fields.get(3).filter(|_| same)?.parse().ok()
    });
    own.or(Some(of_place)).filter(|gid| *gid != 0).unwrap_or(limits::NOBODYS_GROUP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{chown, lchown, symlink, PermissionsExt};

    fn temp(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("gostech-rights-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        dir
    }

    #[test]
    fn the_first_who_is_not_root_counts_wherever_he_stands() {
        if !user::is_root() {
            return;
        }
        let dir = temp("way");
        let uid = |path: &Path| first_other(path).unwrap().map(|o| (o.uid, o.place));
        let (own, deep, link) = (dir.join("own"), dir.join("own/deep/spool"), dir.join("link"));
        std::fs::create_dir_all(&deep).unwrap();
        assert_eq!(uid(&deep), None, "all of it is root's");
        symlink("own/deep/../deep", &link).unwrap();
        assert_eq!(uid(&link.join("spool")), None);
        chown(&deep, Some(61_234), Some(0)).unwrap();
        assert_eq!(uid(&link.join("spool")), Some((61_234, deep.clone())));
        assert_eq!(first_other(&deep).unwrap().unwrap().group, limits::NOBODYS_GROUP, "never root's group");
        // Whoever owns the link leads wherever he likes, also to what is root's.
        lchown(&link, Some(61_235), None).unwrap();
        assert_eq!(uid(&link.join("spool")), Some((61_235, link.clone())));
        chown(&own, Some(61_236), None).unwrap();
        assert_eq!(uid(&deep), Some((61_236, own.clone())));
        // Nobody works where everybody may swap things; a loop has an end; what is not there is nobody's.
        let open = dir.join("open");
        std::fs::create_dir_all(open.join("spool")).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(first_other(&open.join("spool")).unwrap_err().to_string().contains("everybody may write"));
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(uid(&open.join("spool")), None);
        symlink("loop", dir.join("loop")).unwrap();
        assert_eq!(first_other(&dir.join("loop")).unwrap_err().raw_os_error(), Some(libc::ELOOP));
        assert_eq!(first_other(&dir.join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_group_is_never_roots() {
        assert_eq!((group(61_234, 5), group(61_234, 0)), (5, limits::NOBODYS_GROUP));
    }
}
