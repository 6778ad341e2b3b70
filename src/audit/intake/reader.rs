//! From the source into the cushion: the one thread that reads. It never waits for disk or network.
//!
//! When bytes come in small portions at a high rate it naps for half a millisecond between them: the pipe holds a
//! thousand times more, and each event costs fewer calls.

use crate::audit::intake::bell::Bell;
use crate::audit::intake::skips::Skips;
use crate::audit::intake::source::{Choice, Kept, Source};
use crate::audit::locks::{Rank, Ranked};
use crate::audit::spool::moment::Input;
use crate::sys::crash;
use crate::sys::filler::{Fill, Filler};
use crate::sys::ring::{Ring, Word};
use crate::{limits, log};
use std::io;
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
    /// No more is to be waited for: what is there now is all.
    pub stop: AtomicBool,
    /// Up to here the writer has found all whole records; what the ring holds before it is half of one.
    looked_to: AtomicU64,
    /// Where the source stands.
    input: Ranked<Option<Input>>,
    /// What it knows to be lost.
    pub skips: Arc<Skips>,
}

impl Cushion {
    /// Over a ring.
    pub fn new(ring: Arc<Ring>, one_by_one: bool) -> Cushion {
        let one_by_one = AtomicBool::new(one_by_one);
        let (filled, emptied) = (Bell::default(), Bell::default());
        let (last_input, looked_to) = (AtomicU64::new(0), AtomicU64::new(0));
        let stop = AtomicBool::new(false);
        let input = Ranked::new(Rank::Input, None);
        let skips = Arc::new(Skips::new(ring.clone()));
        Cushion { ring, filled, emptied, last_input, born: Instant::now(), one_by_one, stop, looked_to, input, skips }
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
        self.ring.word(Word::Looked).store(to, Ordering::Release);
        self.emptied.ring();
    }

    /// Whether all whole records that were read are in the spool: only what comes can make the rest one.
    fn is_worked_off(&self) -> bool {
        self.held() == 0 || self.looked_to.load(Ordering::Acquire) >= self.ring.word(Word::Head).load(Ordering::Acquire)
    }

    /// Where the source stood a moment ago, if it can tell.
    pub fn input(&self) -> Option<Input> {
        self.input.lock().clone()
    }

    /// How many bytes wait to be written.
    pub fn held(&self) -> u64 {
        let head = self.ring.word(Word::Head).load(Ordering::Acquire);
        head.saturating_sub(self.ring.word(Word::Tail).load(Ordering::Acquire))
    }
}

/// A source that is open, and who fills the ring from it.
pub struct Reader {
    cushion: Arc<Cushion>,
    filler: Filler,
    source: Box<dyn Source>,
    /// What it is, for people.
    what: &'static str,
    /// It ends when it is told to stop, and there is nothing more.
    stoppable: bool,
}

impl Reader {
    /// Of the source that is asked for.
    pub fn new(cushion: Arc<Cushion>, filler: Filler, choice: &Choice) -> Reader {
        Reader {
            cushion,
            filler,
            source: (choice.row.open)(choice),
            what: choice.row.what.en,
            stoppable: choice.row.term_ends,
        }
    }

    /// Goes on where the ring says that reading stands, or, in a new ring, behind the last record that is kept.
    pub fn resume(&mut self, kept: Kept) {
        let kept = match self.filler.place() {
            Some(place) => kept.read_to(place.into(), self.filler.streams()),
            None => kept,
        };
        self.source.resume(kept, &mut self.filler);
    }

    /// Reads until the end of the input.
    pub fn run(mut self) {
        self.read();
        self.cushion.ring.word(Word::Ended).store(1, Ordering::Release);
        self.cushion.filled.ring();
    }

    /// Takes what the source has now. What it has skipped is counted before it goes on.
    pub fn fill(&mut self) -> io::Result<Fill> {
        let got = self.source.fill(&mut self.filler);
        for (what, text) in self.source.skipped() {
            self.cushion.skips.note(what, text);
            crash::point("source.skipped");
        }
        got
    }

    /// Tells where the source stands, about once a second.
    fn tell(&mut self, told: &mut Option<Instant>) {
        let pause = Duration::from_millis(limits::SOURCE_TELL_MILLIS);
        if told.is_none_or(|t| t.elapsed() >= pause) {
            *told = Some(Instant::now());
            let input = self.source.standing();
            *self.cushion.input.lock() = input;
        }
    }

    fn read(&mut self) {
        let mut told = None;
        let mut last = Instant::now();
        let mut idle = Duration::ZERO;
        loop {
            self.tell(&mut told);
            let cushion = &*self.cushion;
            if cushion.one_by_one.load(Ordering::Relaxed) && !cushion.is_worked_off() {
                wait_for_room(cushion, &mut *self.source, || cushion.is_worked_off());
                continue;
            }
            let got = self.fill();
            let cushion = &*self.cushion;
            match got {
                Ok(Fill::Bytes(n)) => {
                    cushion.last_input.store(cushion.born.elapsed().as_millis() as u64, Ordering::Relaxed);
                    cushion.filled.ring();
                    idle = Duration::ZERO;
                    let busy = self.source.naps()
                        && n < limits::READ_SMALL_BYTES
                        && last.elapsed() < Duration::from_micros(limits::READ_BUSY_MICROS);
                    if busy {
                        std::thread::sleep(Duration::from_micros(limits::READ_NAP_MICROS));
                    }
                    last = Instant::now();
                }
                Ok(Fill::Nothing) if cushion.stop.load(Ordering::Acquire) => break,
                Ok(Fill::Nothing) => idle = self.rest(idle),
                Ok(Fill::Full) => wait_for_room(cushion, &mut *self.source, || self.filler.has_room()),
                Ok(Fill::End) => break,
                Err(e) => {
                    log::error("input", format!("cannot read {}: {e}; taken as its end", self.what));
                    break;
                }
            }
        }
    }

    /// There is nothing now, and was none for `idle`; gives how long that is then.
    fn rest(&mut self, idle: Duration) -> Duration {
        let nap = Duration::from_millis(limits::READ_REST_MILLIS);
        // Idle: the second look gives the memory back, after that there is nothing to do but wait.
        let patience = match self.stoppable {
            true => Some(Duration::from_millis(limits::READ_STOP_MILLIS)),
            false => (idle <= nap).then_some(nap),
        };
        match self.source.wait(patience) {
            Ok(false) => {
                self.filler.release_memory();
                return idle + nap;
            }
            Ok(true) => {}
            Err(e) => {
                log::warn("input", format!("cannot wait for {}: {e}; looking again and again", self.what));
                // Who cannot wait for it must not look without end either.
                std::thread::sleep(Duration::from_millis(limits::READ_RETRY_MILLIS));
            }
        }
        idle
    }
}

/// The reader does not read: counted as long as there is something to read.
fn wait_for_room(cushion: &Cushion, source: &mut dyn Source, room: impl Fn() -> bool) {
    let begin = Instant::now();
    cushion.emptied.sleep(Duration::from_millis(limits::TEND_MILLIS), room);
    if source.wait(Some(Duration::ZERO)).is_ok_and(|more| more) {
        let micros = begin.elapsed().as_micros() as u64;
        cushion.ring.word(Word::Waited).fetch_add(micros, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::pipe;

    /// Has nothing, and cannot be waited for.
    struct Deaf;

    impl Source for Deaf {
        fn fill(&mut self, _: &mut Filler) -> io::Result<Fill> {
            Ok(Fill::Nothing)
        }
        fn wait(&mut self, _: Option<Duration>) -> io::Result<bool> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    #[test]
    fn what_cannot_be_waited_for_is_not_looked_at_without_end() {
        log::mute();
        let ring = Arc::new(Ring::create(4096, 42).unwrap());
        let filler = Filler::resume(ring.clone(), Arc::new(pipe::pair().unwrap())).unwrap();
        let cushion = Arc::new(Cushion::new(ring, false));
        let mut reader = Reader { cushion, filler, source: Box::new(Deaf), what: "a test", stoppable: false };
        let begin = Instant::now();
        for _ in 0..3 {
            let _ = reader.rest(Duration::ZERO);
        }
        assert!(begin.elapsed() >= Duration::from_millis(3 * limits::READ_RETRY_MILLIS));
    }
}
