//! What a confined process may do with which files, as wishes; and from them, by a look at the disk, rules for landlock.
//!
//! A rule is bound to the directory that is there now, not to its name. So the rules are made anew from time to time and
//! compared: when there is one that was not there before (a directory that was made or replaced, another target of a
//! symbolic link), the confinement is outgrown, and whoever can starts the process again.
//! Refuses: to open a file, to make a directory.

use crate::limits;
use crate::sys::landlock::{self, Rights};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// To read one file, and whatever stands in its place later.
const READ: Rights = landlock::READ_FILE;
/// To work with files in a directory and its sub-directories, and to have a socket there that tells how the work stands.
const WORK: Rights = landlock::READ_FILE
    | landlock::WRITE_FILE
    | landlock::TRUNCATE
    | landlock::READ_DIR
    | landlock::MAKE_REG
    | landlock::MAKE_DIR
    | landlock::MAKE_SOCK
    | landlock::REMOVE_FILE
    | landlock::REMOVE_DIR;
/// To work with files in a directory that somebody else has made.
const KEEP: Rights = LOG | landlock::TRUNCATE | landlock::REMOVE_FILE;
/// To append to files in a directory and to make them, and to put the directory on the platter.
const LOG: Rights = landlock::READ_FILE | landlock::WRITE_FILE | landlock::READ_DIR | landlock::MAKE_REG;
/// To bind a Unix socket and to remove the one that is left over.
const BIND: Rights = landlock::MAKE_SOCK | landlock::REMOVE_FILE;

/// One thing that is to be possible.
#[derive(Clone, Debug)]
pub enum Wish {
    /// Everything that files are, in this directory; where it is not there yet, to make it.
    Work(PathBuf),
    /// Everything that files are, in this directory, and nothing where it is not there.
    Keep(PathBuf),
    /// Read this file, also when it is replaced.
    Read(PathBuf),
    /// Read this very file, not its neighbours.
    ReadAlone(PathBuf),
    /// Read whatever is below.
    ReadTree(PathBuf),
    /// Read and write this device.
    Device(PathBuf),
    /// Append to this file, also to one that stands in its place later, and make it.
    Log(PathBuf),
    /// The same, and cut off what a death has left torn.
    Copy(PathBuf),
    /// As a log, and give it another name and remove old ones.
    Rotate(PathBuf),
    /// Read this file and those that rotations make of it beside it, and look for them.
    Follow(PathBuf),
    /// Read all that is in this directory and below it, and look for files there. Of one at the root it would be too much.
    List(PathBuf),
    /// Bind a Unix socket here; where its directory is not there yet, below the nearest that is.
    Bind(PathBuf),
    /// Remove the Unix socket that was bound here.
    Unbind(PathBuf),
}

/// A rule for landlock, and which file or directory it is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRule {
    /// Where.
    pub path: PathBuf,
    /// What may be done there.
    pub rights: Rights,
    place: (u64, u64),
}

/// The rules that fulfil these wishes as the disk is now.
pub fn rules(wishes: &[Wish]) -> Vec<FileRule> {
    let mut rules: Vec<FileRule> = Vec::new();
    for wish in wishes {
        for (path, rights) in wish.places() {
            let Ok(meta) = std::fs::metadata(&path) else { continue };
            let rule = FileRule { path, rights, place: (meta.dev(), meta.ino()) };
            if rules.len() < limits::GUARD_RULES && !rules.contains(&rule) {
                rules.push(rule);
            }
        }
    }
    rules
}

/// Whether there is a rule now that there was not.
pub fn outgrown(then: &[FileRule], now: &[FileRule]) -> bool {
    now.iter().any(|n| !then.iter().any(|t| t.place == n.place && t.rights & n.rights == n.rights))
}

impl Wish {
    fn places(&self) -> Vec<(PathBuf, Rights)> {
        match self {
            Wish::Work(dir) if dir.is_dir() => vec![(dir.clone(), WORK)],
            Wish::Work(dir) => vec![(above(dir), landlock::MAKE_DIR)],
            Wish::Keep(dir) => vec![(dir.clone(), KEEP)],
            Wish::Read(file) => {
                let mut places = reading(file);
                // What a symbolic link leads to is replaced in its own directory.
                places.extend(
                    std::fs::canonicalize(file).ok().filter(|real| real != file).iter().flat_map(|r| reading(r)),
                );
                places
            }
            Wish::ReadAlone(file) => vec![(file.clone(), READ)],
            Wish::ReadTree(dir) => vec![(dir.clone(), READ)],
            Wish::Device(file) => vec![(file.clone(), READ | landlock::WRITE_FILE)],
            Wish::Log(file) => vec![(parent(file), LOG)],
            Wish::Copy(file) => vec![(parent(file), LOG | landlock::TRUNCATE)],
            Wish::Rotate(file) => vec![(parent(file), LOG | landlock::REMOVE_FILE)],
            // Nothing but the file where the directory holds too much that is none of ours.
            Wish::Follow(file) => {
                let places = Wish::Read(file.clone()).places();
                places.into_iter().map(|(p, r)| if p.is_dir() { (p, r | landlock::READ_DIR) } else { (p, r) }).collect()
            }
            Wish::List(dir) if is_shallow(dir) => vec![],
            Wish::List(dir) => vec![(dir.clone(), READ | landlock::READ_DIR)],
            Wish::Bind(socket) if parent(socket).is_dir() => vec![(parent(socket), BIND)],
            Wish::Bind(socket) => vec![(above(&parent(socket)), BIND)],
            Wish::Unbind(socket) => vec![(parent(socket), landlock::REMOVE_FILE)],
        }
    }
}

/// A file is replaced by renaming another one to its name, which is another file to landlock: so its directory is what
/// may be read. But a directory at the root (`/etc`) holds too much that is none of ours: there the file alone, and when
/// it is replaced the confinement is outgrown.
fn reading(file: &Path) -> Vec<(PathBuf, Rights)> {
    let dir = parent(file);
    let shallow = std::path::absolute(&dir).is_ok_and(|d| d.components().count() < limits::GUARD_DEPTH);
    match shallow {
        true => vec![(file.to_path_buf(), READ)],
        false => vec![(dir, READ)],
    }
}

/// Whether this directory, wherever links lead, is the root or stands at it.
pub fn is_shallow(dir: &Path) -> bool {
    let real = std::fs::canonicalize(dir).or_else(|_| std::path::absolute(dir));
    real.is_ok_and(|d| d.components().count() < limits::GUARD_DEPTH)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// The nearest directory above that is there.
fn above(dir: &Path) -> PathBuf {
    let path = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
    path.ancestors().skip(1).find(|p| p.is_dir()).unwrap_or(Path::new("/")).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("gostech-guard-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn places(wish: &Wish) -> Vec<(PathBuf, Rights)> {
        rules(std::slice::from_ref(wish)).into_iter().map(|r| (r.path, r.rights)).collect()
    }

    #[test]
    fn files_at_the_root_are_ruled_alone_others_by_their_directory() {
        assert_eq!(places(&Wish::Read("/etc/passwd".into())), [("/etc/passwd".into(), READ)]);
        let dir = scratch("depth");
        fs::write(dir.join("ca.pem"), "x").unwrap();
        assert_eq!(places(&Wish::Read(dir.join("ca.pem"))), [(dir.clone(), READ)]);
        let target = scratch("depth-target");
        fs::write(target.join("real"), "x").unwrap();
        symlink(target.join("real"), dir.join("link")).unwrap();
        assert_eq!(places(&Wish::Read(dir.join("link"))), [(dir.clone(), READ), (target.clone(), READ)]);
        fs::remove_dir_all(dir).unwrap();
        fs::remove_dir_all(target).unwrap();
    }

    #[test]
    fn a_spool_that_is_not_there_may_be_made_and_nothing_else() {
        let dir = scratch("late");
        let wish = Wish::Work(dir.join("a/b/c"));
        assert_eq!(places(&wish), [(dir.clone(), landlock::MAKE_DIR)]);
        fs::create_dir_all(dir.join("a/b/c")).unwrap();
        assert_eq!(places(&wish), [(dir.join("a/b/c"), WORK)]);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_directory_of_keys_is_worked_in_and_not_made() {
        let dir = scratch("keep");
        assert_eq!(places(&Wish::Keep(dir.clone())), [(dir.clone(), KEEP)]);
        assert_eq!(places(&Wish::Keep(dir.join("not yet"))), []);
        assert_eq!(KEEP & (landlock::MAKE_DIR | landlock::MAKE_SOCK | landlock::REMOVE_DIR), 0);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_directory_that_is_listed_is_read_and_nothing_beside_it() {
        let dir = scratch("list");
        fs::create_dir(dir.join("old")).unwrap();
        assert_eq!(places(&Wish::List(dir.join("old"))), [(dir.join("old"), READ | landlock::READ_DIR)]);
        assert_eq!(places(&Wish::List(dir.join("not yet"))), []);
        symlink("/", dir.join("root")).unwrap();
        for shallow in ["/", "/usr", "/usr/lib/..", dir.join("root").to_str().unwrap()] {
            assert_eq!(places(&Wish::List(shallow.into())), [], "{shallow}");
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn outgrown_by_what_comes_and_by_what_is_replaced_not_by_what_goes() {
        let dir = scratch("grown");
        let wishes = [Wish::Read(dir.join("now/token")), Wish::Read(dir.join("later/token"))];
        fs::create_dir(dir.join("now")).unwrap();
        let then = rules(&wishes);
        assert!(!outgrown(&then, &rules(&wishes)));
        fs::write(dir.join("now/token"), "a file that comes is in a directory that was there").unwrap();
        assert!(!outgrown(&then, &rules(&wishes)));
        fs::create_dir(dir.join("later")).unwrap();
        assert!(outgrown(&then, &rules(&wishes)));
        fs::remove_dir(dir.join("later")).unwrap();
        assert!(!outgrown(&then, &rules(&wishes)));
        // The old one is kept, so that the new one cannot have its number.
        fs::rename(dir.join("now"), dir.join("old")).unwrap();
        assert!(!outgrown(&then, &rules(&wishes)));
        fs::create_dir(dir.join("now")).unwrap();
        assert!(outgrown(&then, &rules(&wishes)));
        fs::remove_dir_all(dir).unwrap();
    }
}
