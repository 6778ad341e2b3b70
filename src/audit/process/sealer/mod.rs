//! The sealer: hashes what is on the platter, hands lists and checkpoints to the writer, and keeps how far it has come.
//!
//! ```text
//! list in the spool → checkpoint signed and on the platter → its event in the spool → progress kept
//! ```
//!
//! A machine of steps, so that a simulation can drive it: what a step has posted is awaited by the next one. A death anywhere
//! costs repeats, never a contradiction: the same records give the same leaves, and a checkpoint that was signed is told again
//! as it is. Refuses: to seal what a power cut could still take, to hold up writer or senders.

mod begin;
pub mod copies;
mod gather;
pub mod leaves;
mod note;
pub mod other;
pub mod progress;
pub mod run;
pub mod signer;
#[cfg(test)]
mod tests;
pub mod vault;

use crate::audit::alarm::AlarmKind;
use crate::audit::delivery::filter::Filter;
use crate::audit::seal::checkpoint::Why;
use crate::audit::seal::{Hash, Stream, VerifierKey};
use crate::audit::spool::cursor::Excused;
use crate::audit::spool::Spool;
use crate::limits;
use crate::log;
use crate::sys::crash;
use gather::{Gather, Redo};
use leaves::Rule;
use progress::Progress;
use signer::Signer;
use std::sync::Arc;
use std::time::Duration;

/// The time, from outside.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Since some beginning; it never goes back.
    pub mono: Duration,
    /// Milliseconds since the epoch.
    pub wall_ms: i64,
}

/// What to do before the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    Not,
    /// Until the writer has taken the post.
    Post,
    /// Until there are records from here on, at most so long.
    News(u64, Duration),
    /// So long: what is there is not on the platter yet.
    Sleep(Duration),
}

/// What is on its way to the writer.
#[derive(Debug)]
enum Sent {
    /// Lists that end with this size and edge.
    Lists(u64, Vec<Hash>),
    /// The event of a checkpoint: its number, the hash of its body, and what it says of each receiver.
    Note(u64, Hash, Vec<(String, Excused)>),
}

/// That.
pub struct Sealer {
    spool: Arc<Spool>,
    signer: Box<dyn Signer>,
    /// The filters, as they stand in a checkpoint.
    rules: Vec<(String, String)>,
    /// How far it is: in the stream of this family, or in one before, which is closed first.
    progress: Progress,
    /// The streams that come then, that of this family last.
    then: Vec<Stream>,
    gather: Gather,
    /// What is signed already and comes again after a power cut.
    redo: Option<Redo>,
    /// The event of a checkpoint that may not be in the spool: its number, and the hash of its body.
    again: Option<(Vec<u8>, u64, Hash)>,
    /// The last checkpoint that is signed.
    signed: Option<(u64, Hash)>,
    next_key: Option<VerifierKey>,
    sent: Option<Sent>,
    /// A checkpoint is to be signed as soon as the lists before it are in the spool.
    due: Option<Why>,
    /// One is to be made whatever was made before.
    wanted: Option<Why>,
    /// The vault is asked again then; none: it can be used.
    retry: Option<Duration>,
    begun: Option<Duration>,
    /// When the last checkpoint was made, and how large the tree was then.
    last_at: Duration,
    last_size: u64,
    /// It said that the input has ended; that a stream has.
    stopped: bool,
    closed: bool,
}

impl Sealer {
    /// For a spool that was opened for sealing, with the filters of the receivers.
    pub fn new(spool: Arc<Spool>, signer: Box<dyn Signer>, filters: &[(String, Filter)]) -> Option<Sealer> {
        let stream = spool.stream()?;
        let filters = || filters.iter().filter(|f| !f.1.is_open());
        let (progress, then) = gather::last_left(&spool, stream);
        spool.seals_from(progress.stream.first + progress.size);
        let end = then.first().map(|s| s.first);
        let gather = Gather::new(&progress, end, filters().map(|(n, f)| Rule::new(n, f)).collect())?;
        Some(Sealer {
            rules: filters().map(|(name, filter)| (name.clone(), filter.text())).collect(),
            wanted: (then.is_empty() && progress.size == 0).then_some(Why::Start),
            last_size: progress.size,
            spool,
            signer,
            progress,
            then,
            gather,
            redo: None,
            again: None,
            signed: None,
            next_key: None,
            sent: None,
            due: None,
            retry: Some(Duration::ZERO),
            begun: None,
            last_at: Duration::ZERO,
            stopped: false,
            closed: false,
        })
    }

    /// One thing, and what to wait for before the next.
    pub fn step(&mut self, now: Now) -> Rest {
        if self.begun.is_none() {
            (self.begun, self.last_at) = (Some(now.mono), now.mono);
        }
        if let Some(sent) = self.sent.take() {
            let Some(behind) = self.spool.behind_post() else {
                self.sent = Some(sent);
                return Rest::Post;
            };
            self.gather.reuse(self.spool.take_spare());
            self.arrived(sent, behind);
        }
        self.look_at_signer(now);
        if self.tell_again() {
            return Rest::Post;
        }
        if self.waits_for_signer(now) {
            return Rest::Sleep(Duration::from_millis(limits::TEND_MILLIS));
        }
        let more = self.due.is_none() && self.gather.work(&self.spool, self.redo.as_ref(), now.mono, now.wall_ms);
        self.follow_redo(now);
        self.due = self.due.take().or_else(|| self.why(now, more));
        if self.due.is_some() || self.leaves_it_unsigned(more) {
            self.gather.close_list(now.wall_ms);
        }
        if let Some((lists, size, edge)) = self.gather.take_lists() {
            self.sent = Some(Sent::Lists(size, edge));
            self.spool.post(lists);
            return Rest::Post;
        }
        match self.due.take() {
            Some(why) => self.sign(why, now),
            None if more => Rest::Not,
            None => self.rest(now),
        }
    }

    /// Nothing is to be done now.
    fn rest(&mut self, now: Now) -> Rest {
        if self.is_closing() && self.gather.over && (self.closed || self.retry.is_some()) {
            self.begin_next();
            return Rest::Not;
        }
        let all = self.gather.has_all(&self.spool);
        if self.spool.closing()
            && all
            && !self.gather.leaves.has_fresh()
            && (self.retry.is_some() || self.has_stopped())
        {
            self.spool.note_sealed(self.gather.next);
        }
        self.gather.rest();
        let soon = Duration::from_millis(limits::TEND_MILLIS);
        let due = (self.last_at + Duration::from_secs(limits::CHECKPOINT_SECONDS)).saturating_sub(now.mono);
        match all && !self.spool.closing() {
            true => Rest::News(self.gather.next, due.clamp(soon, Duration::from_secs(1))),
            false => Rest::Sleep(soon),
        }
    }

    /// Whether the last checkpoint said that the input has ended, and nothing has come since.
    fn has_stopped(&self) -> bool {
        self.stopped && self.gather.leaves.fresh == 0
    }

    /// Nobody signs: the last leaves are told all the same.
    fn leaves_it_unsigned(&self, more: bool) -> bool {
        let ends = self.gather.over || self.spool.closing() && self.gather.has_all(&self.spool);
        self.retry.is_some() && !more && ends && self.gather.leaves.has_fresh()
    }

    /// The post is in the spool.
    fn arrived(&mut self, sent: Sent, behind: u64) {
        match sent {
            Sent::Lists(size, edge) => {
                crash::point("seal.listed");
                (self.progress.size, self.progress.edge) = (size, edge);
            }
            Sent::Note(number, hash, said) => {
                crash::point("seal.told");
                self.progress.last = Some((number, hash));
                said.iter().for_each(|(name, excused)| self.spool.excused_are_said(name, excused));
            }
        }
        self.note_ids();
        let next = self.progress.stream.first + self.progress.size;
        self.spool.keep_progress(self.progress.save(), behind, next);
        crash::point("seal.kept");
    }

    /// Asks the vault whether it can be used, from time to time.
    fn look_at_signer(&mut self, now: Now) {
        if self.retry.is_none_or(|at| now.mono < at) {
            return;
        }
        match self.signer.ready() {
            Ok(()) => {
                if self.retry.take().is_some_and(|at| !at.is_zero()) {
                    log::info("seal", "checkpoints are signed");
                }
                self.spool.troubles.over(AlarmKind::SealFailing, "seal");
                self.find_redo();
                let (key_ms, number) = (self.signer.key_ms(), self.signed.map_or(0, |s| s.0));
                self.spool.say_sealed(|said| (said.key_ms, said.number) = (key_ms, number));
            }
            Err(why) => self.failed(&why, now),
        }
    }

    /// The vault cannot be used: lists and delivery go on, and it is tried again.
    fn failed(&mut self, why: &str, now: Now) {
        self.retry = Some(now.mono + Duration::from_millis(limits::SEAL_RETRY_MILLIS));
        let text = format!("checkpoints cannot be signed, and nothing proves the events that come now: {why}");
        self.spool.alarm(AlarmKind::SealFailing, "seal", text);
        self.spool.say_sealed(|said| (said.key_ms, said.failures) = (0, said.failures + 1));
    }

    /// Why a checkpoint is to be made now, if so. `more`: there are records that are not gathered.
    fn why(&mut self, now: Now, more: bool) -> Option<Why> {
        if self.retry.is_some() || self.redo.is_some() {
            return None;
        }
        if self.is_closing() {
            return (self.gather.over && !self.closed).then_some(Why::Closed);
        }
        if let Some(why) = self.wanted.take() {
            return Some(why);
        }
        let since = now.mono.saturating_sub(self.last_at);
        if !more && self.spool.closing() && !self.has_stopped() && self.gather.has_all(&self.spool) {
            return Some(Why::Stop);
        }
        if since < Duration::from_millis(1_000 / limits::CHECKPOINTS_PER_SECOND) {
            return None;
        }
        if !more && self.spool.closing() && self.has_stopped() {
            // The end is said, and stands. A newer one each minute, or with each key, would have to be delivered as well: where
            // receivers are slower than that, it would never come.
            return self.excuses_are_many().then_some(Why::Stop);
        }
        match self.signer.next_key(now.wall_ms) {
            Ok(key) => self.next_key = key,
            Err(why) => self.failed(&why, now),
        }
        if self.next_key.is_some() {
            return Some(Why::Key);
        }
        if std::mem::take(&mut self.gather.leaves.rotated) {
            return Some(Why::Rotation);
        }
        if self.gather.leaves.tree.size() - self.last_size >= limits::CHECKPOINT_RECORDS || self.excuses_are_many() {
            return Some(Why::Records);
        }
        (since >= Duration::from_secs(limits::CHECKPOINT_SECONDS)).then_some(Why::Time)
    }
}
