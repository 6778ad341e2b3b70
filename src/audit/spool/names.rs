//! ○ The names of the files of a spool that are not named after a receiver. Refuses: to look whether there is such a file.

use crate::limits;

/// The file of the lock.
pub const LOCK: &str = "lock";
/// The file of the state.
pub const STATE: &str = "state";
/// The end of the names of files that are being written anew.
pub const UNBORN: &str = ".new";
/// The file that says how far sealing is.
pub const SEAL: &str = "seal";
/// The file that says: remove me when I am drained. A line `only NAME` in it: what is here is for that receiver alone.
pub const EPHEMERAL: &str = "ephemeral";

/// Where memory keeps how much of a segment's file counts, when the rest of it could not be cut off.
pub fn cut_name(segment: &str) -> String {
    format!("{segment}.cut")
}

/// The number in a segment's name.
pub fn number_of(name: &str) -> Option<u64> {
    let stem = name.strip_suffix(".seg")?;
    let number = stem.get(..20).filter(|n| n.bytes().all(|b| b.is_ascii_digit()))?.parse().ok();
    number.filter(|n| (1..=limits::SPOOL_NUMBER_MAX).contains(n))
}

/// Which of the files that begin with the same record: the later one was written anew, and synced before it had its name.
pub fn edition_of(name: &str) -> u32 {
    name.strip_suffix(".seg").and_then(|n| n.get(21..)).and_then(|n| n.parse().ok()).unwrap_or(0)
}
