//! Sub-directories that a command makes, and that go when they are drained. Refuses: to remove one that somebody works at.

use super::names::{EPHEMERAL, LOCK};
use crate::limits;
use crate::sys::file;
use std::io::{self, Read};
use std::path::Path;

/// The receiver that a sub-directory is for, if it is not for all.
pub fn only(dir: &Path) -> Option<String> {
    let mut text = String::new();
    file::read_regular(&dir.join(EPHEMERAL))
        .ok()?
        .take(4 * limits::LABEL_BYTES as u64)
        .read_to_string(&mut text)
        .ok()?;
    text.lines().find_map(|l| l.strip_prefix("only ")).map(String::from)
}

/// Removes what was being made or removed by somebody who was killed.
pub fn clean(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    let left = |n: &str| n.starts_with('.') && (n.contains(".replay-") || n.contains(".retry-"));
    for entry in entries.flatten().take(limits::SPOOL_FILES) {
        if !entry.file_name().to_str().is_some_and(left) {
            continue;
        }
        // A link in its place is not followed.
        if !entry.file_type().is_ok_and(|t| t.is_dir()) {
            continue;
        }
        let free = match file::read_regular(&entry.path().join(LOCK)) {
            Ok(f) => file::lock(&f).unwrap_or(false),
            // Without a lock it is one that was being removed, or one that is begun at this moment.
            Err(e) if e.kind() == io::ErrorKind::NotFound => is_old(&entry.path()),
            Err(_) => false,
        };
        if free {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn is_old(dir: &Path) -> bool {
    let age = std::fs::metadata(dir).and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
    age.is_some_and(|a| a.as_secs() > limits::TOOL_LEFTOVER_SECONDS)
}
