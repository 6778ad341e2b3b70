//! Where bytes come from: what every source can do, and what its row in the table says.
//!
//! ```text
//! source ─fill─▶ ring ─▶ writer: records, each with its mark ─▶ spool ─▶ (after a death) resume behind the last mark
//! ```
//!
//! The pipe is read once: what came out of it lives in the ring, and the mark says how much of the ring is in the spool. A
//! source that `rereads` is asked to go on behind the last mark that the spool has, also when the ring died with the keeper.
//!
//! A new source is a file here and a row in `table`. Refuses: to know records, to wait for disk or network.

pub mod fifo;
pub mod file;
pub mod journal;
pub mod pipe;
pub mod table;
#[cfg(test)]
mod tests;
pub mod unix;

use crate::audit::record::account::Account;
use crate::audit::record::mark::Mark;
use crate::audit::record::EventId;
use crate::audit::spool::moment::Input;
use crate::error::{Error, Result};
use crate::flags::Text;
use crate::guard::files::Wish;
use crate::sys::filler::{Fill, Filler};
use crate::sys::ring::{Ring, Word};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A source that is open.
pub trait Source: Send {
    /// Goes on behind this place, where that is one of its streams; else at its beginning. It tells the filler of the stream
    /// that it begins with (`Filler::turn`).
    fn resume(&mut self, kept: Kept, to: &mut Filler) {
        let _ = (kept, to);
    }

    /// Takes what there is now, as far as it fits. A source that goes over to another stream says so by a turn, and takes
    /// nothing (`Fill::Full`) while there is no room for one.
    fn fill(&mut self, to: &mut Filler) -> io::Result<Fill>;

    /// Whether small portions may be left to gather for a moment.
    fn naps(&self) -> bool {
        true
    }

    /// What it knows to be lost since it was asked last: by which count, and in words. It goes on behind that only when it was
    /// asked.
    fn skipped(&mut self) -> Vec<(Word, String)> {
        Vec::new()
    }

    /// Where it stands, for people; asked for about once a second.
    fn standing(&mut self) -> Option<Input> {
        None
    }

    /// Waits until there may be more, at most `patience`. False: there is nothing.
    fn wait(&mut self, patience: Option<Duration>) -> io::Result<bool>;
}

/// What is kept of a source that can be read again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Where reading goes on; of no stream: nothing was ever kept.
    pub mark: Mark,
    /// How long the record is that ends there, and its hash, where that is known.
    pub last: Option<(u64, u64)>,
    /// The streams before that one, the newest last.
    pub streams: Vec<u64>,
    /// The number of the last event, or of one before it, where that is known.
    pub event: Option<EventId>,
}

impl Kept {
    /// By what is in the spool.
    pub fn of(account: &Account) -> Kept {
        let (mark, last) = (account.mark, account.at_mark);
        Kept { mark, last, streams: account.streams.clone(), event: account.last }
    }

    /// The reading stands here in a ring that outlived its worker: as far as that, all is kept. `passed`: the streams in it.
    pub fn read_to(self, mark: Mark, passed: Vec<u64>) -> Kept {
        let all = self.streams.into_iter().chain([self.mark.epoch]).chain(passed);
        let streams = all.filter(|epoch| *epoch > 0 && *epoch != mark.epoch).collect();
        Kept { mark, last: None, streams, event: self.event }
    }
}

/// What is counted of a source over all workers: the number, its name, what it is.
pub const COUNTS: [(Word, &str, &str); 6] = [
    (Word::Rotations, "rotations", "Files of a log that were followed by another one."),
    (Word::Truncations, "truncations", "Files of a log that were cut off while they were read."),
    (Word::TruncatedUnread, "truncated_unread", "Files of a log that were cut off, with no copy of what was not read."),
    (Word::SourceDamaged, "damaged", "Files of a log that could not be read to their end."),
    (Word::SourceGone, "gone", "How often what was read last was not there any more when reading was to go on."),
    (Word::Vacuumed, "vacuumed", "How often the journal did not hold the entry any more that was read last."),
];

/// Of these, what is told as `audit_gap`, for records may be lost: what that is, in words. As many as one number has lanes.
pub const SKIPS: [(Word, &str); 4] = [
    (Word::TruncatedUnread, "the log was truncated, and there is no copy of what was not read"),
    (Word::SourceDamaged, "a file of the log could not be read to its end"),
    (Word::SourceGone, "what was read last of the log was gone when reading was to go on"),
    (Word::Vacuumed, VACUUMED),
];

/// What is told of a journal.
pub const VACUUMED: &str =
    "the journal does not hold the entry any more that was read last: what was vacuumed unread is lost";

/// Which source it is to be, by the options.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Its row.
    pub row: &'static Row,
    /// `--filename`, for those that have one.
    pub filename: Option<PathBuf>,
    /// `--old-dir`: where its older files are put, besides its own directory.
    pub old_dir: Option<PathBuf>,
    /// `--read-from end`: what is there at the very first start is not wanted.
    pub from_end: bool,
    /// `--once`: what is there is read, with what is older, and that is all.
    pub once: bool,
    /// `--journal-match`
    pub matches: Vec<String>,
    /// `--socket stream`
    pub stream: bool,
    /// `--socket-mode`: of what is made for others to write to.
    pub mode: u32,
}

impl Choice {
    /// `--filename`, where there must be one.
    pub fn place(&self) -> Result<&Path> {
        let none = || Error::usage(format!("--type {0} needs --filename PATH: which {0} is it?", self.row.name));
        self.filename.as_deref().ok_or_else(none)
    }
}

/// How a source shows itself in the line at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What it is.
    pub what: String,
    /// How many bytes it holds for us, where it holds any.
    pub holds: Option<usize>,
}

/// A source as the table has it.
#[derive(Debug)]
pub struct Row {
    /// The value of `--type`.
    pub name: &'static str,
    /// What that is, in a few words.
    pub what: Text,
    /// What was read can be read again.
    pub rereads: bool,
    /// SIGTERM and SIGINT end the reading, after what is there; else only the source itself does.
    pub term_ends: bool,
    /// The options of sources that it takes; all others are a usage error.
    pub options: &'static [&'static str],
    /// The keeper holds it open, under the name of --filename; or systemd does, and hands it over.
    pub is_held: bool,
    /// Becomes a program that writes into standard input, behind this place of what it reads; the keeper starts it.
    /// What it finds skipped it counts in the ring.
    pub feed: Option<fn(&Choice, &str, &Ring) -> io::Error>,
    /// Makes it fit to be read, once, before the first worker, and shows it. With what systemd has opened.
    pub prepare: fn(&Choice, Option<OwnedFd>) -> Result<Shown>,
    /// The files that a caged worker needs for it.
    pub wishes: fn(&Choice) -> Vec<Wish>,
    /// Opens it. What is not there yet is looked for again by `fill`.
    pub open: fn(&Choice) -> Box<dyn Source>,
    /// Looks, before anything runs, whether it can be read: what is well, or what is not, with its cure.
    pub check: fn(&Choice) -> std::result::Result<String, String>,
    /// Whether those who write to it stand still, or are about to, when nothing is read.
    pub is_pressed: fn(&Choice) -> bool,
}
