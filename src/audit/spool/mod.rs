//! The spool: every record that was read, on disk, until every receiver has it.
//!
//! One appender (the writer thread) writes; readers (one for each receiver) read; the tender syncs, saves and removes.
//! From writer to readers data goes through the disk alone: the lock guards a ledger of segments and cursors, never
//! bytes. A segment goes when every cursor is past it and its retention is over; nothing unread is ever deleted, unless
//! `--spool-full` says so, and then it is counted.
//!
//! ```text
//! SPOOL-DIR/INSTANCE/  lock  owner  state  cursor-NAME  quarantine-NAME.jsonl  00000000000000000042.seg  ….bad (set aside)
//! ```
//!
//! Segments are named by the number of their first record: the directory listing is the ledger. When the disk fails, new
//! segments go to the memory disk (memory held by the keeper) and come back to the disk when it recovers.
//!
//! Refuses: to know formats and receivers, to wait for the network, to retry a failed fsync on the same data.

pub mod append;
pub mod blocks;
pub mod cursor;
pub mod disk;
pub mod ephemeral;
mod files;
mod forget;
mod home;
mod ledger;
pub mod lock;
pub mod memory_disk;
pub mod moment;
pub mod moves;
pub mod names;
pub mod no_disk;
pub mod orphans;
pub mod owner;
pub mod pack;
pub mod packed;
mod packing;
pub mod past;
pub mod place;
pub mod read;
pub mod record;
pub mod recover;
mod sealing;
pub mod seals;
pub mod slots;
mod small;
pub mod survey;
pub mod telling;
pub mod tend;
pub mod walk;

#[cfg(test)]
mod tests;

use crate::audit::alarm::troubles::Troubles;
use crate::audit::locks::{Held, Ranked};
use crate::audit::record::account::{within, Account};
use crate::audit::record::loss::Loss;
use crate::hash::xxh64;
use crate::limits;
use crate::sys::ring::Ring;
use cursor::{Cursor, Fate};
use disk::Disk;
use owner::Owner;
use record::{Head, Identity};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Condvar};
use std::time::Duration;

/// What happens to new records when the spool is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Full {
    /// Reading stops: nothing is lost, the database waits.
    #[default]
    Block,
    /// New records are dropped and counted; the last tenth is kept for severity high.
    DropNewest,
    /// The oldest segment is dropped and counted.
    DropOldest,
}

/// How it is to be kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `--spool-max` in bytes.
    pub max: u64,
    /// `--spool-full`.
    pub full: Full,
    /// `--retain` in milliseconds.
    pub retain_ms: u64,
    /// What may lie in memory when the disk fails, in bytes.
    pub memory_max: u64,
    /// Where new records come from.
    pub identity: Identity,
    /// `--url … --name … --optional`: the receivers by name.
    pub receivers: Vec<(String, bool)>,
    /// To whom it belongs, to be written there; none: whoever opens it does not live there.
    pub owner: Option<Owner>,
    /// How what is written is counted for evidence; none: it is not.
    pub sealing: Option<seals::Sealing>,
}

impl Settings {
    /// How large a segment becomes.
    pub fn segment_bytes(&self) -> u64 {
        (self.max / limits::SEGMENTS).clamp(limits::SEGMENT_BYTES.0, limits::SEGMENT_BYTES.1)
    }
}

/// Where a segment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// On disk.
    Disk,
    /// In memory.
    Memory,
}

/// A segment as the ledger knows it.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its file.
    pub name: String,
    /// Where it lies.
    pub store: Store,
    /// Its first record.
    pub first: u64,
    /// The record after its last.
    pub next: u64,
    /// How many of its bytes are records; of one that is packed: how many were before.
    pub bytes: u64,
    /// How long the file of one is that is packed.
    pub packed: Option<u64>,
    /// Packing it would make nothing better.
    pub stays_plain: bool,
    /// How many of them are known to be synced.
    pub synced: u64,
    /// Records before this one are on the platter, and so is the name of the file.
    pub durable: u64,
    /// A sync failed, and what it may have dropped is not written anew yet: it must not be synced, but copied.
    pub renew: bool,
    /// Files whose records these are too, and how much of each is to stay: they are cut when this one is on the platter.
    pub replaces: Vec<(String, u64)>,
    /// When every receiver had it, milliseconds since the epoch.
    pub acked_ms: Option<i64>,
    /// Its head.
    pub head: Arc<Head>,
}

impl Segment {
    /// What it takes where it lies.
    pub fn size(&self) -> u64 {
        self.packed.unwrap_or(self.bytes)
    }
}

/// A receiver as the ledger knows it.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// How far it is.
    pub cursor: Cursor,
    /// It never blocks and never pins.
    pub optional: bool,
    /// It is configured; a cursor without a receiver pins its records.
    pub live: bool,
    /// Where the versions of its file stand, and whether a new one must be written.
    place: slots::Place,
    dirty: bool,
    /// How far its file says it is.
    saved: u64,
    /// How far that on the platter says it is, at least.
    pub synced: u64,
    /// It is past records that nobody was given, and the note of the account (`Ledger::notes`) that tells of them is not on
    /// the disk: which one that is, and where the cursor was before, which is all that its file may say.
    waits: Option<(u64, Cursor)>,
    /// What its file says of records that were not delivered: while that is not what the cursor says, a place beyond the
    /// file would be counted as delivered by the next worker.
    saved_others: Option<(u64, u64, u64)>,
    /// It loses events now: for telling that once.
    dropping: bool,
    /// The records that its sender holds in memory: from, to (not included).
    pub held: (u64, u64),
    /// When the record it is at was read; none: there is none, or nobody has looked.
    pub oldest_ms: Option<i64>,
}

#[derive(Debug, Default)]
struct Ledger {
    segments: VecDeque<Segment>,
    next_seq: u64,
    receivers: Vec<Receiver>,
    /// The name of the segment being written.
    active: Option<String>,
    /// The writer shall begin a new segment.
    begin_anew: bool,
    /// The writer writes to the active segment at this moment.
    writing: bool,
    /// Why the disk is not written to, if so.
    disk_bad: Option<String>,
    /// The directory is gone, and what could be kept of it is.
    homeless: bool,
    /// The disk was full: the tender removes what nobody needs.
    disk_full: bool,
    /// The disk was full with less than the bound: what it takes, and when that was seen. With `drop-oldest` that is the
    /// bound for a while.
    disk_takes: Option<(u64, i64)>,
    /// Room was made on a full disk: it is tried again at once.
    try_disk: bool,
    /// No more input will come: what is there is to be delivered without waiting for more.
    closing: bool,
    /// No more records will come.
    ended: bool,
    /// Names changed since the directory was synced.
    names_dirty: bool,
    /// What segments in memory replaced that went without ever coming to the disk: files, and how much of each is to stay.
    obsolete: Vec<(String, u64)>,
    /// The account's last record that is in a synced state file.
    saved_seq: u64,
    /// How many notes of records that are gone the account was given (dropped, found missing), and how many of them are in
    /// the state file. A cursor on the disk that is past such records without the note makes a power cut forget them.
    notes: u64,
    notes_saved: u64,
    /// Losses seen by readers, to be told by the writer.
    losses: Vec<Loss>,
    files_set_aside: u64,
    progress: seals::Progress,
}

/// Sizes for pages and warnings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes that somebody still needs.
    pub live: u64,
    /// Bytes kept for replay.
    pub retained: u64,
    /// Bytes of these that lie in memory.
    pub in_memory: u64,
    /// Bytes of these on disk that a failed sync may have dropped, and that could not be written anew yet.
    pub to_renew: u64,
    /// Segments that are packed, what they take, and what they took before.
    pub packed: (u64, u64, u64),
    /// The bound.
    pub max: u64,
    /// The number of the next record.
    pub next_seq: u64,
    /// Why the disk is not written to.
    pub disk_bad: Option<String>,
    /// Files set aside.
    pub set_aside: u64,
}

/// The state's file, and what it says on the disk: that may be less than the account, which has taken in records that are in
/// memory alone. What is dropped while these wait is noted in it all the same.
#[derive(Debug)]
struct StateFile {
    place: slots::Place,
    there: Account,
    /// How many of the account's notes are in it.
    notes: u64,
}

/// The spool of one instance.
pub struct Spool {
    disk: Arc<dyn Disk>,
    memory_disk: Arc<dyn Disk>,
    /// How it is kept.
    pub settings: Settings,
    ledger: Ranked<Ledger>,
    news: Condvar,
    room: Condvar,
    /// What has been taken in.
    pub account: Ranked<Account>,
    state: Ranked<StateFile>,
    /// Held while the copy of the state in memory is written, which waits for no disk.
    remembered: Ranked<slots::Place>,
    /// Held while cursor files are written and synced: one version after another.
    cursors: Ranked<()>,
    /// Held while segments are synced: what a failed sync has dropped is written anew once.
    syncing: Ranked<()>,
    /// The time as the last caller had it.
    clock: AtomicI64,
    /// What evidence needs.
    seals: seals::Seals,
    /// It stands in the directory to whom it belongs.
    owned: AtomicBool,
    memory: Option<Arc<Ring>>,
    /// While it is opened: the account before records that come again.
    goes_back: Option<Account>,
    /// What is wrong now.
    pub troubles: Arc<Troubles>,
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool").field("place", &self.disk.place()).finish_non_exhaustive()
    }
}

impl Spool {
    fn lock(&self) -> Held<'_, Ledger> {
        self.ledger.lock()
    }

    /// The account, locked.
    pub fn account(&self) -> Held<'_, Account> {
        self.account.lock()
    }

    fn store(&self, store: Store) -> &dyn Disk {
        match store {
            Store::Disk => &*self.disk,
            Store::Memory => &*self.memory_disk,
        }
    }

    /// The disk, for what lies beside the segments (quarantine files).
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        self.disk.place()
    }

    /// No more records will come: readers that are at the end are done.
    pub fn end(&self) {
        self.lock().ended = true;
        self.news.notify_all();
    }

    /// No more input will come; what senders find missing may still be told.
    pub fn close(&self) {
        self.lock().closing = true;
        self.news.notify_all();
    }

    /// Whether no more input will come.
    pub fn closing(&self) -> bool {
        let ledger = self.lock();
        ledger.closing || ledger.ended
    }

    /// Whether nothing that a sender has found missing waits to be told.
    pub fn no_losses(&self) -> bool {
        self.lock().losses.is_empty()
    }

    /// Wakes who waits for records, without the ledger: whoever looks at this moment comes again by himself.
    pub fn nudge(&self) {
        self.news.notify_all();
    }

    /// Wakes everybody who waits.
    pub fn wake(&self) {
        // The lock makes sure that nobody is between looking and waiting.
        drop(self.lock());
        self.news.notify_all();
        self.room.notify_all();
    }

    /// Waits until there are records from `seq` on, the end was said, or patience is over.
    pub fn wait_news(&self, seq: u64, patience: Duration) {
        let ledger = self.lock();
        if ledger.next_seq > seq || ledger.ended {
            return;
        }
        ledger.wait(&self.news, patience);
    }

    /// Waits until a receiver got on, so that there may be room; at most `patience`.
    pub fn wait_room(&self, patience: Duration) {
        self.lock().wait(&self.room, patience);
    }

    /// Whether the end was said.
    pub fn ended(&self) -> bool {
        self.lock().ended
    }

    /// The number of the next record to be written.
    pub fn next_seq(&self) -> u64 {
        self.lock().next_seq
    }

    /// Where a receiver stands.
    pub fn cursor(&self, receiver: &str) -> Option<Cursor> {
        self.lock().receivers.iter().find(|r| r.name == receiver).map(|r| r.cursor.clone())
    }

    /// The record that a receiver is at.
    pub fn position(&self, receiver: &str) -> u64 {
        self.lock().receivers.iter().find(|r| r.name == receiver).map_or(1, |r| r.cursor.next)
    }

    /// All receivers, also those whose options are gone.
    pub fn receivers(&self) -> Vec<Receiver> {
        self.lock().receivers.clone()
    }

    /// Records keep their numbers as long as the ring lives, in whatever directory.
    fn memory_key(&self, receiver: &str) -> u64 {
        xxh64(receiver.as_bytes(), 1)
    }

    /// Which records a sender holds in memory: from, to (not included).
    pub fn hold(&self, receiver: &str, held: (u64, u64)) {
        if let Some(r) = self.lock().receivers.iter_mut().find(|r| r.name == receiver) {
            r.held = held;
        }
    }

    /// Whether records that were dropped are still on their way to somebody: then it is not known yet what was lost.
    pub fn dropped_on_the_way(&self) -> bool {
        let ledger = self.lock();
        ledger.receivers.iter().any(|r| r.live && r.held.0 < r.cursor.next.min(r.held.1))
    }

    /// When the oldest record that a receiver has not taken was read.
    pub fn set_oldest(&self, receiver: &str, read_ms: Option<i64>) {
        if let Some(r) = self.lock().receivers.iter_mut().find(|r| r.name == receiver) {
            r.oldest_ms = read_ms;
        }
    }

    /// Records up to `to` (not included) are delivered.
    pub fn delivered(&self, receiver: &str, to: u64) {
        self.update(receiver, |c| {
            c.delivered += to.saturating_sub(c.next);
            c.next = c.next.max(to);
        });
    }

    /// Whether there is one receiver: then what it has is not told as dropped.
    pub fn has_one_receiver(&self) -> bool {
        self.lock().receivers.iter().filter(|r| r.live).count() == 1
    }

    /// Records up to `to` (not included) are gone for this receiver.
    pub fn gone(&self, receiver: &str, to: u64) {
        {
            let mut ledger = self.lock();
            let (notes, saved) = (ledger.notes, ledger.notes_saved);
            if let Some(r) = ledger.receivers.iter_mut().find(|r| r.name == receiver) {
                r.waits_for(notes, saved);
            }
        }
        let again = self.account().again.clone();
        let seals = self.seals.excuses;
        self.update(receiver, |c| {
            // What comes again was not meant for it under this number.
            let again = within(&again, c.next, to.max(c.next) - 1);
            c.filtered += again;
            c.dropped += to.saturating_sub(c.next + again);
            if seals && to > c.next {
                c.excused.add(Fate::Dropped, c.next, to - 1);
            }
            c.next = c.next.max(to);
        });
    }

    /// The record `seq` is in the quarantine, and on disk there.
    pub fn quarantined(&self, receiver: &str, seq: u64) {
        let seals = self.seals.excuses;
        self.update(receiver, |c| {
            if c.next == seq {
                if seals {
                    c.excused.add(Fate::Quarantined, seq, seq);
                }
                c.quarantined += 1;
                c.next = seq + 1;
            }
        });
    }

    /// A reader found records missing: told once, whoever finds them.
    pub fn report(&self, mut loss: Loss) {
        let unplaced = self.is_unplaced(&loss);
        let untold = {
            let mut account = self.account();
            if unplaced && (account.mark.epoch == 0 || account.mark.rereads()) {
                // Reading may have begun anew before them: then the same events come under other numbers.
                (loss.before, loss.after) = (None, None);
            } else if let Some((before, after)) = account.around(loss.from, loss.to) {
                (loss.before, loss.after) = (loss.before.or(Some(before)), loss.after.or(Some(after)));
            }
            let known = account.damages.iter().any(|&(a, b)| a <= loss.from && loss.to <= b);
            let again = within(&account.again, loss.from, loss.to) == loss.to + 1 - loss.from;
            if known || again || account.losses.iter().any(|l| l.from <= loss.from && loss.to <= l.to) {
                return;
            }
            if account.losses.len() >= limits::LOSSES {
                account.losses.remove(0);
            }
            account.losses.push(loss);
            account.untold_by(loss.from, loss.to)
        };
        {
            let mut ledger = self.lock();
            ledger.losses.push(loss);
            ledger.notes += 1;
        }
        // What events of ours have told that are among them is told again. Bounded: each is taken out of the account.
        untold.into_iter().for_each(|(from, to)| self.report(Loss { from, to, before: None, after: None }));
        // Before a cursor goes past them: should we die now, the next worker tells of them.
        self.save_state(true);
    }

    /// Whether a segment among these has lost its head: nobody knows of which stream its records were.
    fn is_unplaced(&self, loss: &Loss) -> bool {
        self.lock().segments.iter().any(|s| s.head.is_lost() && s.first <= loss.to && loss.from < s.next)
    }

    /// Losses that were taken, and could not be told.
    pub fn give_back(&self, losses: Vec<Loss>) {
        self.lock().losses.extend(losses);
    }

    /// The losses that were reported since the last call.
    pub fn take_losses(&self) -> Vec<Loss> {
        std::mem::take(&mut self.lock().losses)
    }

    /// Whether every receiver that is configured has everything.
    pub fn all_delivered(&self) -> bool {
        let ledger = self.lock();
        ledger.receivers.iter().filter(|r| r.live).all(|r| r.cursor.next >= ledger.next_seq)
    }

    /// Whether nobody at all needs anything of it.
    pub fn drained(&self) -> bool {
        let ledger = self.lock();
        ledger.receivers.iter().all(|r| r.cursor.next >= ledger.next_seq)
    }

    /// How many records lie in memory and not on disk, and somebody still needs them.
    pub fn undelivered_in_memory(&self) -> u64 {
        let ledger = self.lock();
        let acked = ledger.acked_before(true);
        let in_memory = ledger.segments.iter().filter(|s| s.store == Store::Memory);
        in_memory.map(|s| s.next.saturating_sub(s.first.max(acked))).sum()
    }
}

/// Whether a disk has refused for lack of room.
fn is_full(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}
