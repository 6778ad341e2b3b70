//! From standard input into the cushion: the one thread that reads. It never waits for disk or network.
//!
//! When bytes come in small portions at a high rate it naps for half a millisecond between them: the pipe holds a
//! thousand times more, and each event costs fewer calls.

use crate::audit::intake::bell::Bell;
use crate::sys::pipe;
use crate::sys::ring::{Fill, Filler, Ring, Word};
use crate::{limits, log};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What reader and writer share.
#[derive(Debug)]
pub struct Cushion {
    /// The memory.
    pub ring: Arc<Ring>,
    /// Rung when there is more to write.
    pub filled: Bell,
    /// Rung when there is more room.
    pub emptied: Bell,
    /// Milliseconds since `born` at which bytes came last.
    last_input: AtomicU64,
    born: Instant,
    /// `--sync always`: nothing is read before all is synced.
    pub one_by_one: AtomicBool,
    /// Up to here the writer has found all whole records; what the ring holds before it is half of one.
    looked_to: AtomicU64,
}

impl Cushion {
    /// Over a ring.
    pub fn new(ring: Arc<Ring>, one_by_one: bool) -> Cushion {
        let one_by_one = AtomicBool::new(one_by_one);
        let (filled, emptied) = (Bell::default(), Bell::default());
        let (last_input, looked_to) = (AtomicU64::new(0), AtomicU64::new(0));
        Cushion { ring, filled, emptied, last_input, born: Instant::now(), one_by_one, looked_to }
    }

    /// How long nothing has come.
    pub fn silence(&self) -> Duration {
        let last = Duration::from_millis(self.last_input.load(Ordering::Relaxed));
        self.born.elapsed().saturating_sub(last)
    }

    /// Whether the input has ended.
    pub fn ended(&self) -> bool {
        self.ring.word(Word::Ended).load(Ordering::Acquire) == 1
    }

    /// The writer has found no whole record up to this place.
    pub fn looked(&self, to: u64) {
        self.looked_to.store(to, Ordering::Release);
        self.emptied.ring();
    }

    /// Whether all whole records that were read are in the spool: only what comes can make the rest one.
    fn is_worked_off(&self) -> bool {
        self.held() == 0 || self.looked_to.load(Ordering::Acquire) >= self.ring.word(Word::Head).load(Ordering::Acquire)
    }

    /// How many bytes wait to be written.
    pub fn held(&self) -> u64 {
        let head = self.ring.word(Word::Head).load(Ordering::Acquire);
        head.saturating_sub(self.ring.word(Word::Tail).load(Ordering::Acquire))
    }
}

/// Reads until the end of the input.
pub fn run(cushion: &Cushion, filler: &mut Filler, input: BorrowedFd<'_>) {
    let mut last = Instant::now();
    let mut idle = Duration::ZERO;
    loop {
        if cushion.one_by_one.load(Ordering::Relaxed) && !cushion.is_worked_off() {
            wait_for_room(cushion, input, || cushion.is_worked_off());
            continue;
        }
        match filler.fill(input) {
            Ok(Fill::Bytes(n)) => {
                cushion.last_input.store(cushion.born.elapsed().as_millis() as u64, Ordering::Relaxed);
                cushion.filled.ring();
                idle = Duration::ZERO;
                let busy =
                    n < limits::READ_SMALL_BYTES && last.elapsed() < Duration::from_micros(limits::READ_BUSY_MICROS);
                if busy {
                    std::thread::sleep(Duration::from_micros(limits::READ_NAP_MICROS));
                }
                last = Instant::now();
            }
            Ok(Fill::Nothing) => {
                let nap = Duration::from_millis(limits::READ_REST_MILLIS);
                // Idle: the second look gives the memory back, after that there is nothing to do but wait.
                let patience = (idle <= nap).then_some(nap);
                match pipe::wait([input], patience) {
                    Ok([ready]) if !ready.readable => {
                        idle += nap;
                        filler.release_memory();
                    }
                    Ok(_) => {}
                    Err(e) => log::warn("input", format!("cannot wait for standard input: {e}")),
                }
            }
            Ok(Fill::Full) => wait_for_room(cushion, input, || filler.free() > 0),
            Ok(Fill::End) => break,
            Err(e) => {
                log::error("input", format!("cannot read standard input: {e}; taken as its end"));
                break;
            }
        }
    }
    cushion.ring.word(Word::Ended).store(1, Ordering::Release);
    cushion.filled.ring();
}

/// The reader does not read: counted as long as there is something to read.
fn wait_for_room(cushion: &Cushion, input: BorrowedFd<'_>, room: impl Fn() -> bool) {
    let begin = Instant::now();
    cushion.emptied.sleep(Duration::from_millis(limits::TEND_MILLIS), room);
    let waiting = pipe::wait([input], Some(Duration::ZERO)).is_ok_and(|[r]| r.readable);
    if waiting {
        let micros = begin.elapsed().as_micros() as u64;
        cushion.ring.word(Word::Waited).fetch_add(micros, Ordering::Relaxed);
    }
}
