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
use crate::sys::ring::{Taker, Word};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

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

/// The writer's thread: from the cushion into the spool, to the end of the input.
pub fn write_all(writer: &mut Writer, mut taker: Taker, cushion: &Cushion, spool: &Spool, orders: &Orders) {
    let mut prefetch = Prefetch::default();
    loop {
        if orders.halt.load(Ordering::Acquire) {
            return;
        }
        let ended = cushion.ended();
        let final_try = ended && orders.last_call.load(Ordering::Acquire);
        writer.last_call = final_try;
        let held = taker.peek().len();
        let ending = if ended { Ending::Ended } else { ending_of(held, cushion) };
        let working = cushion.ring.word(Word::Working);
        working.store(1, Ordering::Release);
        let done = step(writer, &mut prefetch, &mut taker, ending);
        working.store(0, Ordering::Release);
        match done {
            Done::Bytes(0) if ended && held == 0 => break,
            Done::Bytes(0) => {
                cushion.looked(taker.position() + held as u64);
                let patience = if held > 0 || spool.account().gaps.untold() > 0 { 100 } else { 1_000 };
                cushion.filled.sleep(Duration::from_millis(patience), || {
                    cushion.held() as usize != held || cushion.ended() != ended
                });
                if held == 0 && cushion.held() == 0 {
                    writer.rest();
                    prefetch.rest();
                }
            }
            Done::Bytes(n) => {
                spool.note_taken(taker.position() + n as u64);
                taker.consume(n);
                crash::point("ring.consumed");
                cushion.emptied.ring();
            }
            Done::Blocked if final_try => {
                orders.left.store(held as u64, Ordering::Release);
                break;
            }
            Done::Blocked => spool.wait_room(Duration::from_millis(limits::TEND_MILLIS)),
        }
    }
    tell_to_the_end(writer, taker.position(), spool, orders);
}

/// What is missing is told before the end, also what senders find now; where the spool is full that waits for them, as long
/// as they may take.
fn tell_to_the_end(writer: &mut Writer, at: u64, spool: &Spool, orders: &Orders) {
    spool.close();
    while !orders.halt.load(Ordering::Acquire) {
        writer.last_call = orders.last_call.load(Ordering::Acquire);
        if writer.last_call {
            spool.report_holes();
        }
        writer.tell(wall_ms(), at, true);
        if writer.last_call || spool.all_delivered() && spool.no_losses() && spool.account().all_told() {
            break;
        }
        spool.wait_room(Duration::from_millis(limits::TEND_MILLIS));
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
    let base = taker.position();
    let used = match prefetch.take(base, writer.splitter()) {
        Some(found) => {
            let (used, spare) = writer.take_found(found);
            prefetch.give_back(spare);
            used
        }
        None => writer.separate(taker.peek(), base, ending),
    };
    let chunk = writer.prefetch_bytes(base);
    if used > 0 && chunk > 0 {
        prefetch.ask(taker, used, chunk, writer.splitter());
    }
    writer.settle(used, taker.peek(), base, wall_ms())
}
