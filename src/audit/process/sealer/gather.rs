//! From records to leaves and lists: reads what is on the platter in batches.
//!
//! Refuses: to read what a power cut could still take.

use super::leaves::{Leaves, Rule};
use super::progress::Progress;
use crate::audit::seal::checkpoint::After;
use crate::audit::seal::leaf::TEXT_BYTES;
use crate::audit::seal::{Hash, Stream, Tree};
use crate::audit::spool::read::{Next, Reader};
use crate::audit::spool::Spool;
use crate::{limits, log};
use std::time::Duration;

/// What is signed, and not all in lists that the spool keeps for sure: a power cut came between.
#[derive(Debug)]
pub(super) struct Redo {
    pub(super) size: u64,
    pub(super) root: Hash,
    pub(super) edge: Vec<Hash>,
}

/// What is gathered.
#[derive(Debug)]
pub(super) struct Gather {
    /// The stream whose records these are, and the record at which it ends, if it does.
    stream: Stream,
    end: Option<u64>,
    reader: Reader,
    /// The record that comes next.
    pub(super) next: u64,
    pub(super) leaves: Leaves,
    /// Lists that are full, and how many bytes they are.
    lists: Vec<Vec<u8>>,
    bytes: usize,
    /// The room of lists that are in the spool, for those that come.
    spare: Vec<Vec<u8>>,
    /// The tree at the end of the last one of them.
    settled: (u64, Vec<Hash>),
    /// What is signed already cannot be read again.
    pub(super) torn: bool,
    /// Nothing of the stream is behind `next`.
    pub(super) over: bool,
    /// Records before this one are gone.
    gone: u64,
    /// Since when the disk does not give what comes next.
    unread: Option<Duration>,
}

/// Where the last worker has left it, else the beginning of `stream`; and the streams that come then, this one last. What is
/// known of the oldest may be older than what the spool holds: a power cut has taken the rest.
pub(super) fn last_left(spool: &Spool, stream: Stream) -> (Progress, Vec<Stream>) {
    let (bytes, before) = (spool.progress(), spool.streams_before());
    let mut progress = match Progress::load(&bytes) {
        Some(progress) => progress,
        None if bytes.is_empty() && before.is_empty() => Progress::of(stream, After::None),
        None => {
            log::warn("seal", "nobody knows how far the last stream was sealed: another one begins");
            Progress::of(stream, After::Unknown)
        }
    };
    let at = progress.stream;
    let known = |s: &&Stream| s.first < at.first && !progress.past.contains(s);
    let older: Vec<Stream> = before.iter().filter(known).copied().collect();
    older.into_iter().for_each(|s| progress.add_past(s));
    let mut then: Vec<Stream> = before.into_iter().filter(|s| s.first > at.first && s.first < stream.first).collect();
    if at != stream {
        then.push(stream);
    }
    (progress, then)
}

impl Gather {
    /// From where `progress` stands. `end`: the record at which the stream ends, if it does.
    pub(super) fn new(progress: &Progress, end: Option<u64>, rules: Vec<Rule>) -> Option<Gather> {
        let stream = progress.stream;
        let next = stream.first + progress.size;
        Some(Gather {
            stream,
            end,
            reader: Reader::beside(next),
            next,
            leaves: Leaves::new(stream, progress.tree()?, rules),
            lists: Vec::new(),
            bytes: 0,
            spare: Vec::new(),
            settled: (progress.size, progress.edge.clone()),
            torn: false,
            over: false,
            gone: 0,
            unread: None,
        })
    }

    /// What to do with the same rules for another stream.
    pub(super) fn into_rules(self) -> Vec<Rule> {
        self.leaves.into_rules()
    }

    /// Takes records until the lists are as much as a post holds, or there are none that may be taken. True: there are more.
    pub(super) fn work(&mut self, spool: &Spool, redo: Option<&Redo>, mono: Duration, wall_ms: i64) -> bool {
        let stop = redo.map_or(u64::MAX, |r| self.stream.first + r.size);
        let limit = spool.durable_before().min(self.end.unwrap_or(u64::MAX)).min(stop);
        let most = limits::SEAL_POST_BYTES.min(spool.settings.segment_bytes() as usize / 2);
        while self.next < limit && self.bytes < most && !self.over && !self.torn {
            let full = if self.next < self.gone {
                if self.end.is_some() {
                    self.over = true;
                    break;
                }
                self.leaves.miss()
            } else {
                match self.reader.next(spool) {
                    Next::Record(r, head) if head.seal == Some(self.stream) => self.leaves.take(&r),
                    // Of a time when nothing was sealed: so is what stands behind it.
                    Next::Record(..) if self.end.is_some() => {
                        self.over = true;
                        break;
                    }
                    Next::Record(..) => self.leaves.miss(),
                    Next::Lost(loss) => {
                        self.lose(loss.to, redo.is_some());
                        continue;
                    }
                    Next::Wait => {
                        self.over |= self.end.is_some();
                        break;
                    }
                    Next::Trouble(_) => {
                        self.wait_for_the_disk(mono);
                        break;
                    }
                }
            };
            self.next += 1;
            self.unread = None;
            if full {
                self.close_list(wall_ms);
            }
        }
        self.over |= self.end.is_some_and(|end| self.next >= end);
        self.next < limit && self.unread.is_none() && !self.over && !self.torn
    }

    /// The records up to this one are gone. Where they were signed before, their leaves are known by what was signed. In the
    /// stream of an earlier keeper they may have been in memory when the power went, and lists of them may have been given to
    /// somebody: nothing is said of them, so it ends here, rather than with another tree than these lists give.
    fn lose(&mut self, to: u64, signed: bool) {
        self.torn |= signed;
        self.over |= self.end.is_some_and(|end| !signed || to + 1 >= end);
        self.gone = to + 1;
    }

    /// It is asked again, until that is damage beyond doubt.
    fn wait_for_the_disk(&mut self, mono: Duration) {
        let since = *self.unread.get_or_insert(mono);
        if mono.saturating_sub(since).as_secs() > limits::UNREADABLE_SECONDS {
            self.reader.accept_holes();
        }
    }

    /// Goes on behind what was signed, whatever of it can be read.
    pub(super) fn jump(&mut self, tree: Tree) {
        self.next = self.stream.first + tree.size();
        self.reader.seek(self.next);
        self.settled = (tree.size(), tree.edge().to_vec());
        self.leaves.jump(tree);
        self.torn = false;
    }

    /// What stands in the list at hand is told.
    pub(super) fn close_list(&mut self, now_ms: i64) {
        if self.leaves.is_open() {
            let mut list = self.spare.pop().unwrap_or_default();
            self.leaves.close(&mut list, now_ms);
            self.bytes += list.len();
            self.lists.push(list);
            self.settled.0 = self.leaves.tree.size();
            self.settled.1.clear();
            self.settled.1.extend_from_slice(self.leaves.tree.edge());
        }
    }

    /// The lists that are full, and how large the tree is that they end with, and its edge; none: there are none.
    pub(super) fn take_lists(&mut self) -> Option<(Vec<Vec<u8>>, u64, Vec<Hash>)> {
        self.bytes = 0;
        let lists = std::mem::take(&mut self.lists);
        (!lists.is_empty()).then(|| (lists, self.settled.0, self.settled.1.clone()))
    }

    /// These are in the spool: their room is used again.
    pub(super) fn reuse(&mut self, mut lists: Vec<Vec<u8>>) {
        lists.iter_mut().for_each(Vec::clear);
        self.spare.append(&mut lists);
        self.spare.truncate(limits::SEAL_POST_BYTES / (limits::SEAL_LIST * TEXT_BYTES));
    }

    /// Whether all there is was taken.
    pub(super) fn has_all(&self, spool: &Spool) -> bool {
        self.next >= spool.next_seq()
    }

    /// Nothing has come for a while.
    pub(super) fn rest(&mut self) {
        self.spare = Vec::new();
        self.reader.rest();
    }
}
