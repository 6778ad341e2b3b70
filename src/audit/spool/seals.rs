//! What a spool keeps for evidence: how it counts, the events of the sealer on their way to the writer, and how far sealing is.
//! Refuses: to do anything with it (`sealing` does).

use super::moment::Sealed;
use super::slots;
use crate::audit::locks::{Rank, Ranked};
use crate::audit::seal::{Algorithm, Stream};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::Condvar;

/// How the records of a spool are counted for evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// What hashes are made with.
    pub algorithm: Algorithm,
    /// For the name of a stream that begins.
    pub chance: [u8; 9],
    /// Records are never synced: then none is waited for.
    pub unsynced: bool,
}

/// What a spool keeps for evidence beside its ledger.
#[derive(Debug, Default)]
pub(super) struct Seals {
    /// In which stream it counts what is written now.
    pub(super) stream: Option<Stream>,
    pub(super) outbox: Outbox,
    /// There are records of a stream: what receivers are not given of them is to be explained.
    pub(super) excuses: bool,
}

/// Events of the sealer for the writer. One post is under way at a time.
#[derive(Debug)]
pub(super) struct Outbox {
    /// There is something in it: asked without a lock with each step of the writer.
    pub(super) full: AtomicBool,
    pub(super) inner: Ranked<Post>,
    pub(super) appended: Condvar,
    /// All before this record is sealed.
    pub(super) sealed: AtomicU64,
    /// What the sealer has said of itself last.
    pub(super) said: Ranked<Sealed>,
}

#[derive(Debug, Default)]
pub(super) struct Post {
    pub(super) events: Vec<Vec<u8>>,
    /// The number behind the last event of the last post that is in the spool.
    pub(super) behind: Option<u64>,
    /// Events that are in the spool: the sealer writes the next ones into their room.
    pub(super) spare: Vec<Vec<u8>>,
}

/// How far sealing is, as it is kept for the next worker and for after a power cut.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) place: slots::Place,
    pub(super) payload: Vec<u8>,
    /// Records before this one have to be on the platter before it may say so.
    pub(super) needs: u64,
    /// The first record that is not sealed; 0: this worker has told nothing yet.
    pub(super) next: u64,
    /// The record that this worker's sealer begins with.
    pub(super) from: u64,
    pub(super) dirty: bool,
    /// Which record its file says is the next one, and at least that on the platter.
    pub(super) saved: u64,
    pub(super) synced: u64,
}

impl Default for Outbox {
    fn default() -> Outbox {
        let inner = Ranked::new(Rank::Outbox, Post::default());
        let said = Ranked::new(Rank::Outbox, Sealed::default());
        Outbox { full: AtomicBool::new(false), inner, appended: Condvar::new(), sealed: AtomicU64::new(0), said }
    }
}
