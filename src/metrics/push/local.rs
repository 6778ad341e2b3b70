//! This machine: a page in a file, as node-exporter's textfile collector reads it, and standard output, as Telegraf's `execd`
//! does.
//!
//! The file is written beside its place and renamed, so nobody reads half a page; it is not synced, as an old page is worth
//! nothing after a crash. Refuses: to wait beyond the deadline for whoever reads standard output, to leave half a line there.

use super::row::{Outlet, Push, Trouble};
use crate::flags::text;
use crate::limits;
use crate::metrics::assemble::Assembled;
use crate::metrics::render::lines::Written;
use crate::metrics::render::{prometheus, Render};
use crate::net::failure::{words, Failure, FailureKind};
use crate::net::target::{Scheme, Shape};
use crate::sys::pipe;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// `file:///path`
pub const FILE: Outlet = Outlet {
    scheme: &Scheme { name: "file", shape: Shape::File, tls: false },
    url: "file:///PATH/FILE.prom",
    about: text(
        "the page in a file, replaced each time: for node-exporter's textfile collector",
        "страница в файле, каждый раз заменяется: для textfile collector из node-exporter",
    ),
    timed: false,
    settings: &[],
    options: &[],
    open: |route| {
        route.without_prefix()?;
        let path = route.to.target.path().map(PathBuf::from).unwrap_or_default();
        Ok(Box::new(Textfile { path, page: Vec::new() }))
    },
};

/// `stdout:`
pub const STDOUT: Outlet = Outlet {
    scheme: &Scheme { name: "stdout:", shape: Shape::Word, tls: false },
    url: "stdout:",
    about: text(
        "pages to standard output, in the format of --format: for Telegraf's `execd`",
        "страницы в стандартный вывод, в формате --format: для `execd` из Telegraf",
    ),
    open: |route| {
        route.without_prefix()?;
        Ok(Box::new(Stdout { format: route.format, page: Vec::new(), at: 0 }))
    },
    ..FILE
};

struct Textfile {
    path: PathBuf,
    page: Vec<u8>,
}

impl Push for Textfile {
    fn push(&mut self, page: &Assembled<'_>, _: Instant) -> Result<Written, Trouble> {
        self.page.clear();
        prometheus::write(page, &mut self.page);
        replace(&self.path, &self.page).map_err(|e| {
            let cure = match e.kind() {
                io::ErrorKind::PermissionDenied => {
                    "; its directory must be writable for this user, and one that a reload has named needs a restart"
                }
                _ => "",
            };
            let text = format!("cannot write `{}`: {}{cure}", self.path.display(), words(&e));
            Failure::new(FailureKind::File, text)
        })?;
        Ok(Written::whole(page))
    }
}

/// Puts these bytes in the place of a file.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Whoever reads all `*.prom` there does not take it for one.
    let name = format!(".{}.new", path.file_name().unwrap_or_default().to_string_lossy());
    let beside = path.with_file_name(name);
    // Of a run that died.
    let _ = fs::remove_file(&beside);
    let mut file = File::create_new(&beside)?;
    let written = file.write_all(bytes).and_then(|()| {
        // Who reads it is somebody else.
        file.set_permissions(Permissions::from_mode(limits::PUSH_FILE_MODE))?;
        fs::rename(&beside, path)
    });
    written.inspect_err(|_| drop(fs::remove_file(&beside)))
}

struct Stdout {
    format: &'static Render,
    page: Vec<u8>,
    /// So much of it is written: the rest of a page that nobody had time for goes first.
    at: usize,
}

impl Push for Stdout {
    fn push(&mut self, page: &Assembled<'_>, deadline: Instant) -> Result<Written, Trouble> {
        self.flush(deadline)?;
        (self.format.write)(page, &mut self.page);
        match self.flush(deadline) {
            // The rest goes with the next one.
            Err(f) if f.kind != FailureKind::Timeout => Err(f.into()),
            _ => Ok(Written::whole(page)),
        }
    }
}

impl Stdout {
    fn flush(&mut self, deadline: Instant) -> Result<(), Failure> {
        let failed = |kind, why: &str| Failure::new(kind, format!("cannot write to standard output: {why}"));
        let out = io::stdout().as_fd().try_clone_to_owned().map_err(|e| failed(FailureKind::File, &words(&e)))?;
        let mut out = File::from(out);
        while self.at < self.page.len() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !pipe::takes(out.as_fd(), left) {
                return Err(failed(FailureKind::Timeout, "whoever reads it takes nothing"));
            }
            // A pipe that takes anything takes so much without waiting.
            let end = self.page.len().min(self.at + limits::PIPE_ATOM_BYTES);
            match out.write(&self.page[self.at..end]) {
                Ok(n) => self.at += n,
                Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                Err(e) => {
                    (self.at, _) = (0, self.page.clear());
                    return Err(failed(FailureKind::Closed, &words(&e)));
                }
            }
        }
        (self.at, _) = (0, self.page.clear());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::Scratch;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_stays_beside_it() {
        let dir = Scratch::new("textfile");
        let path = dir.path("x.prom");
        dir.write(".x.prom.new", "what a dead run has left");
        for bytes in [&b"a 1\n"[..], b"b 2\n"] {
            replace(&path, bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, limits::PUSH_FILE_MODE);
        }
        let beside = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1);
        assert!(replace(&dir.path("gone/x.prom"), b"").is_err());
    }
}
