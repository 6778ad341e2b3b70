//! The writer's thread: from the cushion into the spool, to the end of the input, or until another worker is to go on.
//!
//! Refuses: to leave a write half done when it is asked to halt.

use crate::audit::intake::prefetch::Prefetch;
use crate::audit::intake::reader::Cushion;
use crate::audit::intake::writer::{Done, Writer};
use crate::audit::record::Ending;
use crate::audit::spool::Spool;
use crate::limits;
use crate::sys::clock::wall_ms;
use crate::sys::crash;
use crate::sys::ring::{Ring, Taker, Word};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the writer is told from outside, and what it leaves behind.
#[derive(Debug, Default)]
pub struct Orders {
    /// Nothing more is to be written: another worker will.
    pub halt: AtomicBool,
    /// The end has come: what cannot be written now never is.
    pub last_call: AtomicBool,
    /// Bytes of input that could be put nowhere.
    pub left: AtomicU64,
}

/// What the writer's thread works with.
pub struct Writing {
    /// It.
    pub writer: Writer,
    /// Takes from the ring.
    pub taker: Taker,
    /// What it shares with the reader.
    pub cushion: Arc<Cushion>,
    /// Where it writes.
    pub spool: Arc<Spool>,
    /// What it is told, and what it leaves.
    pub orders: Arc<Orders>,
    /// Up to this place of the ring records are taken one by one.
    pub careful_until: u64,
    /// What is half a line at the end can be read again: it waits for its rest, in its file.
    pub half_waits: bool,
}

impl Writing {
    /// From the cushion into the spool, to the end of the input.
    pub fn run(mut self) {
        let mut prefetch = Prefetch::default();
        while !self.orders.halt.load(Ordering::Acquire) {
            let ended = self.cushion.ended();
            let final_try = ended && self.orders.last_call.load(Ordering::Acquire);
            self.writer.last_call = final_try;
            self.writer.careful = self.taker.position() < self.careful_until;
            // What follows a turn is no continuation of what stands before it.
            let whole = ended && !self.half_waits || self.taker.ends_here();
            begin(&mut self.writer, &mut self.taker);
            let held = self.taker.peek().len();
            let ending = if whole { Ending::Ended } else { ending_of(held, &self.cushion) };
            let working = self.cushion.ring.word(Word::Working);
            working.store(1, Ordering::Release);
            let done = step(&mut self.writer, &mut prefetch, &mut self.taker, ending);
            working.store(0, Ordering::Release);
            self.note_post();
            match done {
                Done::Bytes(0) if ended && (held == 0 || self.half_waits) => return self.tell_to_the_end(),
                Done::Bytes(0) => self.wait_for_more(&mut prefetch, held, ended),
                Done::Bytes(n) => {
                    self.spool.note_taken(self.taker.position() + n as u64);
                    self.taker.consume(n);
                    crash::point("ring.consumed");
                    self.cushion.emptied.ring();
                }
                Done::Blocked if final_try => {
                    self.orders.left.store(self.cushion.held(), Ordering::Release);
                    return self.tell_to_the_end();
                }
                Done::Blocked => self.spool.wait_room(Duration::from_millis(limits::TEND_MILLIS)),
            }
        }
    }

    /// The numbers of evidence and of what is told are used, whatever becomes of the directory: the next worker must know.
    fn note_post(&mut self) {
        if std::mem::take(&mut self.writer.posted) {
            self.spool.note_taken(self.taker.position());
        }
    }

    fn wait_for_more(&mut self, prefetch: &mut Prefetch, held: usize, ended: bool) {
        let cushion = &self.cushion;
        cushion.looked(self.taker.position() + held as u64);
        let patience = if held > 0 || self.spool.account().gaps.untold() > 0 { 100 } else { 1_000 };
        cushion.filled.sleep(Duration::from_millis(patience), || {
            cushion.held() as usize != held
                || cushion.ended() != ended
                || self.spool.has_post() && !self.writer.post_waits
        });
        if held == 0 && cushion.held() == 0 {
            self.writer.rest();
            prefetch.rest();
        }
    }

    /// What is missing is told before the end, also what senders find now; where the spool is full that waits for them, as
    /// long as they may take.
    fn tell_to_the_end(&mut self) {
        let spool = self.spool.clone();
        spool.close();
        let mut last_call: Option<Instant> = None;
        while !self.orders.halt.load(Ordering::Acquire) {
            self.writer.last_call = self.orders.last_call.load(Ordering::Acquire);
            if self.writer.last_call {
                spool.report_holes();
            }
            self.writer.tell(wall_ms(), self.taker.place().into(), true);
            self.note_post();
            let last = self.writer.last_call.then(|| *last_call.get_or_insert_with(Instant::now));
            let told = last.is_some() || spool.all_delivered() && spool.no_losses() && spool.account().all_told();
            // The last list and checkpoint, which are to be delivered as well.
            let late = last.is_some_and(|since| since.elapsed() >= Duration::from_millis(limits::SEAL_END_MILLIS));
            if told && (spool.is_sealed() || late) {
                break;
            }
            spool.wait_room(Duration::from_millis(limits::TEND_MILLIS));
        }
    }
}

/// What an earlier worker of this keeper has put into the spool already leaves the ring.
pub fn catch_up(spool: &Spool, ring: &Ring, taker: &mut Taker) {
    let mark = spool.account().mark;
    let to = ring.find(mark.into());
    // What can be read again may go on in the middle of a line: that is seen when it does (`begin`).
    if to.is_none() && ring.taken().is_none() && !mark.rereads() {
        spool.begin_another_input();
    }
    let known = to.unwrap_or(0).saturating_sub(taker.position());
    spool.note_taken(taker.position() + known);
    taker.consume(known as usize);
}

/// What is read first in a ring goes on where the last record ends, and so does the line that this is a piece of; or it is
/// something else, and the rest of that line is gone.
pub fn begin(writer: &mut Writer, taker: &mut Taker) {
    if taker.position() == 0 && !taker.peek().is_empty() {
        writer.begin(taker.place().into());
    }
}

/// Whether more is to be waited for before what is there is worked off.
fn ending_of(held: usize, cushion: &Cushion) -> Ending {
    if held >= cushion.ring.size() {
        Ending::Crowded
    } else if held > 0 && cushion.silence() >= Duration::from_millis(limits::CUT_SILENCE_MILLIS) {
        Ending::Silent
    } else {
        Ending::Open
    }
}

/// One step of the writer; under a flood with the next stretch being separated at the same time.
fn step(writer: &mut Writer, prefetch: &mut Prefetch, taker: &mut Taker, ending: Ending) -> Done {
    let used = match prefetch.take(taker.position(), writer.splitter()) {
        Some(found) => {
            let (used, spare) = writer.take_found(found);
            prefetch.give_back(spare);
            used
        }
        None => writer.separate(taker.peek(), ending),
    };
    let chunk = writer.prefetch_bytes();
    if used > 0 && chunk > 0 {
        prefetch.ask(taker, used, chunk, writer.splitter());
    }
    writer.settle(used, taker.peek(), taker.place().into(), wall_ms())
}
