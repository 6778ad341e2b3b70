//! A password, token or header value: given as it is, or in a file that is read again whenever it changes.
//!
//! Trimmed of one line end, bounded, wiped when dropped, printed as `***`. A file that everyone may read is warned about
//! once. Refuses what is no secret: directories, FIFOs, devices, several lines. Whether it may be empty is the
//! caller's to judge.

use crate::limits;
use crate::log;
use crate::net::failure::{Failure, FailureKind};
use crate::net::watch::{self, FileStamp};
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes that are overwritten when they are dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Wiped(Vec<u8>);

impl Wiped {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Wiped(bytes)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to be filled in.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.fill(0);
        // An opaque use, so that the compiler may not leave the stores out as dead.
        std::hint::black_box(&mut self.0);
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret comes from, and what it was when it was last read.
#[derive(Clone, Debug)]
pub struct Secret {
    file: Option<PathBuf>,
    stamp: Option<FileStamp>,
    value: Wiped,
    warned: bool,
}

impl Secret {
    /// A secret that is known already.
    pub fn literal(value: impl Into<Vec<u8>>) -> Self {
        Secret { file: None, stamp: None, value: Wiped::new(value.into()), warned: false }
    }

    /// A secret in a file; nothing is read yet.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Secret { file: Some(path.into()), stamp: None, value: Wiped::default(), warned: false }
    }

    /// The file, if it is one.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The value as it was read last.
    pub fn last_read(&self) -> &[u8] {
        self.value.bytes()
    }

    /// The next `read` reads the file again, changed or not.
    pub fn forget(&mut self) {
        self.stamp = None;
    }

    /// The value as it is now; the file is read when it is another one than last time.
    pub fn read(&mut self) -> Result<&[u8], Failure> {
        if let Some(path) = self.file.clone() {
            let now = FileStamp::of(&path);
            if self.stamp.as_ref() != Some(&now) {
                self.stamp = None;
                self.value = self.fetch(&path)?;
                self.stamp = Some(now);
            }
        }
        Ok(self.value.bytes())
    }

    fn fetch(&mut self, path: &Path) -> Result<Wiped, Failure> {
        let (mut bytes, meta) = watch::read(path, "secret file", limits::SECRET_BYTES as u64, "")?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        let value = Wiped::new(bytes);
        if value.bytes().contains(&0) || value.bytes().contains(&b'\n') {
            let text = format!("secret file `{}`: more than one line, or a zero byte", path.display());
            return Err(Failure::new(FailureKind::Secret, text));
        }
        if meta.mode() & 0o004 != 0 && !self.warned {
            self.warned = true;
            log::warn("secret", format!("everyone may read `{}`: chmod o-r it", path.display()));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("gostech-secret-{}-{name}", std::process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    #[test]
    fn a_file_is_trimmed_and_read_again_when_it_changes() {
        let path = scratch("change");
        fs::write(&path, "first\r\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut s = Secret::file(&path);
        assert_eq!(s.read().unwrap(), b"first");
        assert!(s.warned);
        assert_eq!(s.read().unwrap(), b"first");
        fs::write(&path, " second ").unwrap();
        assert_eq!(s.read().unwrap(), b" second ");
        fs::remove_file(&path).unwrap();
        let f = s.read().unwrap_err();
        assert_eq!(f.kind, FailureKind::Secret);
        assert!(f.text.contains(&path.display().to_string()) && f.text.contains("No such file"), "{f}");
        fs::write(&path, "third\n").unwrap();
        assert_eq!(s.read().unwrap(), b"third");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn wrong_files_are_refused_without_showing_them() {
        let path = scratch("wrong");
        for bad in [&b"hush\nhush"[..], b"hu\0sh", &[b'x'; limits::SECRET_BYTES + 1]] {
            fs::write(&path, bad).unwrap();
            let f = Secret::file(&path).read().unwrap_err();
            assert!(f.kind == FailureKind::Secret && !f.text.contains("hush"), "{f}");
        }
        fs::remove_file(&path).unwrap();
        assert!(Secret::file(std::env::temp_dir()).read().unwrap_err().text.contains("regular"));
    }

    #[test]
    fn debug_never_shows_it() {
        let s = Secret::literal("hush");
        assert!(!format!("{s:?}").contains("hush"));
        assert_eq!(s.clone().read().unwrap(), b"hush");
    }
}
