//! Named places in the work at which a test kills the process: all state changes that must survive a death.
//!
//! ```text
//! GOSTECH_CRASH_AT=append.written:3,open.cursors   dies at the third passing of the first one; the worker after that one
//!                                                  (this is the recovery) at the first passing of the second; then no more
//! GOSTECH_POISON=TEXT                              aborts at a record that holds TEXT, as one that kills the parser does
//! GOSTECH_POISON_SENDER=TEXT                       the same in a sender that writes it as more than mere bytes
//! GOSTECH_POISON_ANSWER=TEXT                       the same in a sender that sends a body with it
//! ```
//!
//! Only in builds with debug assertions: the programs that are shipped hold neither the names nor the code (a test looks).
//! To add one: a row in `POINTS`, `crash::point("its.name")` at the place, the name in a scenario of `tests/it/lab/crash`.
//! Refuses: to do anything but die; a name that is not in the table.

use std::ffi::OsString;
use std::sync::atomic::AtomicU64;
use std::sync::Arc;

/// Where it is counted, for all processes of a family, how many deaths have been died.
pub trait StepsDone: Send + Sync {
    /// The count.
    fn count(&self) -> &AtomicU64;
}

/// Whether this build has them.
pub const HERE: bool = cfg!(debug_assertions);

/// Every name, and what has been done there and what not. «torn»: all but the last bytes of a write are in the file.
pub const POINTS: &[(&str, &str)] = &[
    ("keeper.forked", "the keeper has started a worker"),
    ("keeper.reaped", "the worker is dead, and no other one started"),
    ("succession.before", "the keeper is dead, and the worker about to end for its stand-in"),
    ("succession.after", "the stand-in has become the keeper, and started no worker"),
    ("ring.spliced", "bytes are in the relay that were in standard input"),
    ("ring.noted", "it is noted how much the relay holds, nothing is read of it"),
    ("ring.read", "bytes are in the ring, its head says nothing of them"),
    ("ring.moved", "the head has moved, the note still stands"),
    ("ring.resumed", "a new worker has moved the head by the note, which still stands"),
    ("source.skipped", "what a source has skipped is counted, it has not gone on"),
    ("skip.appended", "what was skipped is told in the spool, that is not noted"),
    ("socket.noted", "a message is looked at and noted, its line is not in the ring"),
    ("socket.moved", "its line is in the ring, the message still stands in the socket"),
    ("socket.taken", "the message is taken, the note still stands"),
    ("ring.consumed", "what is in the spool has left the ring"),
    ("home.locked", "the sub-directory is locked, nothing is read"),
    ("open.listed", "the segments are listed, none is walked"),
    ("open.cut", "the torn tail of the newest segment is cut"),
    ("open.replayed", "what the saved state has not seen is taken in"),
    ("open.cursors", "the cursors are read"),
    ("owner.written", "whose spool it is stands in a file that has not its name yet"),
    ("open.done", "the spool is open"),
    ("worker.caught-up", "what an earlier worker has spooled has left the ring"),
    ("worker.ready", "the worker is about to begin"),
    ("append.begun", "a segment has a name, and no byte"),
    ("append.torn", "torn: records"),
    ("append.written", "records are in the segment, the ledger does not know them"),
    ("append.entered", "the ledger knows them, the account does not"),
    ("append.accounted", "the account knows them, they are still in the ring"),
    ("gap.appended", "the event that tells of a gap is in the segment, the account does not know it"),
    ("drop-newest.accounted", "new records are counted as dropped, in memory alone"),
    ("drop-newest.saved", "and in the saved state; they are still in the ring"),
    ("drop-oldest.noted", "the account knows which events the oldest segment held, in memory alone"),
    ("drop-oldest.saved", "and so does the saved state, the cursors have not moved"),
    ("drop-oldest.passed", "cursors have passed the segment, in memory alone"),
    ("drop-optional.passed", "the optional receiver's cursor has passed the segment, in memory alone"),
    ("sync.done", "a segment is synced, the ledger does not know"),
    ("sync.names", "and the directory"),
    ("renew.marked", "a sync has failed, the segment is marked"),
    ("renew.copied", "its unsynced records are copied, the ledger still reads the old file"),
    ("renew.placed", "the ledger reads the copy, the old file is as it was"),
    ("whole.written", "a file that appears whole is on the platter under its unborn name"),
    ("whole.renamed", "and has its name; the directory is not synced"),
    ("cursor.torn", "torn: a cursor"),
    ("cursor.written", "a cursor is in its file"),
    ("state.torn", "torn: the state"),
    ("state.written", "the state is in its file, not synced"),
    ("state.synced", "and synced, the ledger does not know"),
    ("state.behind", "the version that was there is told of a dropped segment, and synced"),
    ("remove.chosen", "segments that everybody has are chosen, state and cursors are saved"),
    ("remove.listed", "the ledger does not know them any more, the files are there"),
    ("remove.removed", "one file is removed"),
    ("pack.written", "a packed segment is in its file under the unborn name, not synced"),
    ("pack.synced", "and synced, not read again"),
    ("pack.renamed", "it has its name; the directory is not synced, the ledger reads the plain one"),
    ("pack.entered", "the ledger reads the packed one, the plain one is there"),
    ("pack.removed", "the plain one is removed"),
    ("aside.unborn", "damaged bytes are copied, under the unborn name"),
    ("aside.copied", "damaged bytes are in their file, nothing is counted"),
    ("back.probed", "the disk works again, all is still in memory"),
    ("back.written", "a segment from memory is on the disk, the ledger still reads memory"),
    ("back.entered", "the ledger reads the disk, memory still has it"),
    ("send.answered", "a receiver has taken events, the cursor has not moved"),
    ("send.committed", "the cursor has moved, in memory alone"),
    ("file.made", "a file of events is made, its directory is not synced"),
    ("file.torn", "torn: lines of a file of events"),
    ("file.written", "lines are in the file, not synced"),
    ("file.synced", "and synced, nobody knows"),
    ("file.renamed", "the file is put aside, its directory is not synced"),
    ("file.aside", "and is, there is no new file"),
    ("file.removed", "an old file is removed, the others are there"),
    ("exec.begun", "a handler is started, and has nothing"),
    ("exec.torn", "torn: lines in the pipe of a handler"),
    ("exec.given", "the handler has lines, no answer is heard"),
    ("exec.heard", "answers are taken out of its pipe, none is counted"),
    ("quarantine.torn", "torn: a line of the quarantine"),
    ("quarantine.written", "the line is in the file, not synced"),
    ("quarantine.synced", "the line is on the platter, the cursor has not moved"),
    ("quarantine.passed", "the cursor has passed the event"),
    ("forget.listed", "a receiver is out of the ledger, its cursor's file is there"),
    ("forget.removed", "its file is removed, the request is there"),
    ("adopt.locked", "an orphan is locked"),
    ("adopt.opened", "and open, nobody delivers"),
    ("adopt.drained", "everything of it is delivered"),
    ("adopt.hidden", "it has its hidden name, nothing is removed"),
    ("seal.appended", "lists or a checkpoint are in the segment, the account does not know them"),
    ("seal.listed", "and it does; nobody has kept how far sealing is"),
    ("seal.told", "its event is in the spool; nobody has kept how far sealing is"),
    ("seal.kept", "how far sealing is, is kept in memory"),
    ("seal.torn", "torn: how far sealing is"),
    ("seal.written", "how far sealing is, is in its file"),
    ("checkpoint.torn", "torn: a checkpoint in the directory of the seal"),
    ("checkpoint.written", "a checkpoint is in the file, not synced"),
    ("checkpoint.synced", "and synced, its event is not in the spool"),
    ("checkpoints.begun", "the next file of checkpoints is on the platter, the old one has its name"),
    ("checkpoints.aside", "the old one is put aside, there is none of that name"),
    ("checkpoints.renamed", "and there is; the checkpoint is not in it"),
    ("seal-key.made", "the next key is on the platter, no checkpoint names it"),
    ("seal-key.named", "a checkpoint names it, the old key is there"),
    ("seal-key.erased", "the old key is written over, the next one has not its name"),
    ("seal-key.renamed", "and has; the directory is not synced"),
    ("end.read", "the input has ended, all of it is in the spool"),
    ("end.synced", "and all is synced"),
    ("end.saved", "cursors and state are saved"),
    ("build.begun", "a command has made a hidden sub-directory"),
    ("build.written", "the records are written"),
    ("build.synced", "everything is on the platter, under the hidden name"),
    ("build.renamed", "it has its name"),
    ("retry.taken", "the quarantine is taken away from the helper"),
    ("retry.queued", "its events are queued, its name says that they are not"),
    ("repair.kept", "a copy is in the backup, nothing is changed"),
    ("repair.aside", "damaged bytes are in a file of their own, the segment is as it was"),
    ("repair.written", "the new file is on the platter beside the old one"),
    ("repair.renamed", "and in its place; the directory is not synced"),
    ("repair.done", "one task is done, the others are not"),
    ("tool-forget.removed", "`spool forget` has removed a cursor, the directory is not synced"),
    ("tool-forget.asked", "`spool forget` has asked the helper"),
];

/// Takes the orders from the environment. With a ring they are of all processes that share it, one after the other.
pub fn arm(env: &[(OsString, OsString)], steps_done: Option<Arc<dyn StepsDone>>) {
    #[cfg(debug_assertions)]
    armed::arm(env, steps_done);
    #[cfg(not(debug_assertions))]
    let _ = (env, steps_done);
}

/// The place of that name.
#[inline(always)]
pub fn point(name: &'static str) {
    #[cfg(debug_assertions)]
    if armed::due(name) {
        armed::die(name)
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// A place in the middle of a write: dies when all but the last bytes are written.
#[inline(always)]
pub fn torn(name: &'static str, bytes: &[u8], write: impl FnOnce(&[u8])) {
    #[cfg(debug_assertions)]
    if armed::due(name) {
        write(&bytes[..bytes.len().saturating_sub(7)]);
        armed::die(name)
    }
    #[cfg(not(debug_assertions))]
    let _ = (name, bytes, write);
}

/// Who takes poison.
#[derive(Clone, Copy, Debug)]
pub enum Victim {
    /// Who reads a record.
    Parser = 0,
    /// Who writes it into a body.
    Sender = 1,
    /// Who sends the body.
    Answer = 2,
}

/// Aborts when one of the records holds the poison.
#[inline(always)]
pub fn poison<'a>(victim: Victim, records: impl Iterator<Item = &'a [u8]>) {
    #[cfg(debug_assertions)]
    armed::poison(victim, records);
    #[cfg(not(debug_assertions))]
    let _ = (victim, records);
}

#[cfg(debug_assertions)]
mod armed {
    use super::super::signal;
    use super::StepsDone;
    use std::ffi::OsString;
    use std::io::Write;
    use std::os::unix::ffi::OsStrExt;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, OnceLock};

    struct Orders {
        steps: Vec<(String, u64)>,
        poisons: [Option<Vec<u8>>; 3],
        steps_done: Option<Arc<dyn StepsDone>>,
    }

    static ORDERS: OnceLock<Orders> = OnceLock::new();
    /// How often the point of the step that is due was passed by this process.
    static PASSED: AtomicU64 = AtomicU64::new(0);
    /// The steps done, where no family counts them.
    static DONE: AtomicU64 = AtomicU64::new(0);

    impl Orders {
        fn done(&self) -> &AtomicU64 {
            self.steps_done.as_ref().map_or(&DONE, |s| s.count())
        }
    }

    pub fn arm(env: &[(OsString, OsString)], steps_done: Option<Arc<dyn StepsDone>>) {
        let of = |name: &str| env.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let text = of("GOSTECH_CRASH_AT").unwrap_or_default();
        let step = |s: &str| {
            let (name, n) = s.split_once(':').unwrap_or((s, "1"));
            assert!(super::POINTS.iter().any(|p| p.0 == name), "there is no crash point `{name}`");
            (name.to_string(), n.parse().expect("a number of passings"))
        };
        let steps = text.to_string_lossy().split(',').filter(|s| !s.is_empty()).map(step).collect();
        let poisons = ["GOSTECH_POISON", "GOSTECH_POISON_SENDER", "GOSTECH_POISON_ANSWER"];
        let poisons = poisons.map(|name| of(name).map(|p| p.as_bytes().to_vec()));
        let _ = ORDERS.set(Orders { steps, poisons, steps_done });
    }

    /// Whether this passing is the one to die at. The step is done then: the next process has the next one.
    pub fn due(name: &'static str) -> bool {
        debug_assert!(super::POINTS.iter().any(|p| p.0 == name), "`{name}` is not in the table");
        let Some(orders) = ORDERS.get() else { return false };
        let done = orders.done().load(Ordering::Acquire);
        let Some((wanted, n)) = orders.steps.get(done as usize) else { return false };
        if wanted != name || PASSED.fetch_add(1, Ordering::AcqRel) + 1 != *n {
            return false;
        }
        orders.done().compare_exchange(done, done + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    pub fn die(name: &str) -> ! {
        let _ = std::io::stderr().write_all(format!("crash point {name}\n").as_bytes());
        loop {
            signal::send_self(signal::SIGKILL);
        }
    }

    pub fn poison<'a>(victim: super::Victim, mut records: impl Iterator<Item = &'a [u8]>) {
        let Some(poison) = ORDERS.get().and_then(|o| o.poisons[victim as usize].as_ref()) else { return };
        if records.any(|r| memchr::memmem::find(r, poison).is_some()) {
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_different_and_say_what_they_are() {
        for (i, (name, what)) in POINTS.iter().enumerate() {
            assert!(name.contains('.') && what.len() > 10, "{name}");
            assert!(POINTS[i + 1..].iter().all(|p| p.0 != *name), "{name} stands twice");
        }
    }
}
