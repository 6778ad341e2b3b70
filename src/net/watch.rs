//! Whether a file is still the one that was read: modification and change time, size, device and inode.

use crate::limits;
use crate::net::failure::{words, Failure, FailureKind};
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The state of a file at one moment; a missing file has one too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStamp(Option<[i64; 7]>);

impl FileStamp {
    /// The state of the file now.
    pub fn of(path: &Path) -> FileStamp {
        FileStamp(std::fs::metadata(path).ok().as_ref().map(numbers))
    }
}

fn numbers(m: &Metadata) -> [i64; 7] {
    // Change time too: a file that was replaced by one with a preserved modification time is another file.
    [m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec(), m.size() as i64, m.dev() as i64, m.ino() as i64]
}

/// Files that something was made from, and how they were then.
#[derive(Debug, Default)]
pub struct Watch(Vec<(PathBuf, FileStamp)>);

impl Watch {
    /// Notes the file as it is now, before it is read: a change while it is read is seen as one.
    pub fn note(&mut self, path: &Path) {
        self.0.push((path.to_path_buf(), FileStamp::of(path)));
    }

    /// Whether any of the files is another one now.
    pub fn changed(&self) -> bool {
        self.0.iter().any(|(path, stamp)| FileStamp::of(path) != *stamp)
    }
}

/// Opens a regular file of bounded size; `what` names it in the sentence («private key»), `cure` ends it.
pub fn open(path: &Path, what: &str, most: u64, cure: &str) -> Result<(File, Metadata), Failure> {
    let fail = |why: &str| Failure::new(FailureKind::Secret, format!("{what} `{}`: {why}{cure}", path.display()));
    // Looked at before it is opened: opening a FIFO would wait for its writer.
    let meta = std::fs::metadata(path).map_err(|e| fail(&words(&e)))?;
    if !meta.is_file() {
        return Err(fail("not a regular file"));
    }
    if meta.len() > most {
        return Err(fail(&format!("longer than {most} bytes")));
    }
    let file = File::open(path).map_err(|e| fail(&words(&e)))?;
    Ok((file, meta))
}

/// Reads such a file whole, with room for the end of file, so that no half-filled copies are left behind.
pub fn read(path: &Path, what: &str, most: u64, cure: &str) -> Result<(Vec<u8>, Metadata), Failure> {
    let (file, meta) = open(path, what, most, cure)?;
    let mut bytes = Vec::with_capacity(meta.len().min(limits::PEM_FILE_BYTES) as usize + 1);
    let fail = |why: &str| Failure::new(FailureKind::Secret, format!("{what} `{}`: {why}{cure}", path.display()));
    file.take(most + 1).read_to_end(&mut bytes).map_err(|e| fail(&words(&e)))?;
    if bytes.len() as u64 > most {
        return Err(fail(&format!("longer than {most} bytes")));
    }
    Ok((bytes, meta))
}
