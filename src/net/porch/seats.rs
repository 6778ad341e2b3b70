//! Who is in: at most so many visitors, and who has to leave when one more comes.
//!
//! When all seats are taken, the visitor who has been sending a head for the longest time without finishing it makes
//! room; where there is none, one who does not take his answer, or takes too long over it. One who waits for his
//! answer never does. So slow visitors cost themselves, not the others.

use crate::limits;
use crate::net::stream::Socket;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

struct Visit {
    number: u64,
    stage: Stage,
    socket: Arc<Socket>,
}

/// How far a visit is.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// The request is not whole.
    Asking,
    /// The answer has not begun.
    Waiting,
    /// The answer is on its way.
    Taking {
        since: Instant,
        /// When some of it was taken last.
        moved: Instant,
        /// Whether it keeps its turn.
        turn: bool,
    },
}

impl State {
    /// The seat of the one who takes nothing, or has been taking for too long: the one who moved longest ago.
    fn slowest(&self, with_turn: bool) -> Option<usize> {
        let (grace, stall) = (limits::PORCH_TAKE_GRACE_MILLIS, limits::PORCH_STALL_MILLIS);
        let over = |since: Instant, millis| since.elapsed() >= Duration::from_millis(millis);
        let slow = |s: &Visit| match s.stage {
            Stage::Taking { since, moved, turn } if turn || !with_turn => {
                (over(since, grace) || over(moved, stall)).then_some(moved)
            }
            _ => None,
        };
        let all = self.seats.iter().enumerate().filter_map(|(at, s)| Some((slow(s)?, at)));
        all.min().map(|(_, at)| at)
    }
}

#[derive(Default)]
struct State {
    next: u64,
    /// In the order of coming.
    seats: Vec<Visit>,
    /// Of visitors with a seat, and of those on their way out.
    threads: usize,
}

/// The seats of a porch.
#[derive(Default)]
pub struct Seats {
    state: Mutex<State>,
    gone: Condvar,
}

/// A visitor's seat, and his thread's place among those that may run; both end with it.
pub struct Seat {
    seats: Arc<Seats>,
    number: u64,
}

impl Seats {
    /// Lets a visitor in, if need be by sending another one out; nothing when everybody is being answered in good order.
    pub fn enter(self: &Arc<Self>, socket: &Arc<Socket>) -> Option<Seat> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // In a crowd those who were sent out are still on their way: the door waits for them, it is a matter of
        // milliseconds, instead of turning away somebody who may be in earnest.
        let end = Instant::now() + Duration::from_millis(limits::PORCH_CROWD_MILLIS);
        while state.threads >= limits::PORCH_THREADS {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            state = self.gone.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.seats.len() >= limits::PORCH_VISITORS {
            let asking = state.seats.iter().position(|s| s.stage == Stage::Asking);
            let longest = asking.or_else(|| state.slowest(false))?;
            // His thread sees the end of the stream and goes.
            state.seats.remove(longest).socket.shutdown();
        }
        let number = state.next;
        state.next += 1;
        state.seats.push(Visit { number, stage: Stage::Asking, socket: Arc::clone(socket) });
        state.threads += 1;
        Some(Seat { seats: Arc::clone(self), number })
    }

    /// Sends everybody out.
    pub fn close(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.seats.iter().for_each(|s| s.socket.shutdown());
    }

    /// How many have not asked yet.
    #[cfg(test)]
    pub fn asking(&self) -> usize {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.seats.iter().filter(|s| s.stage == Stage::Asking).count()
    }

    /// How many threads of visitors run.
    #[cfg(test)]
    pub fn threads(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).threads
    }
}

impl Seat {
    /// The request is whole: while he waits nobody sends him out. False when somebody has already.
    pub fn asked(&self) -> bool {
        self.stage(Stage::Waiting)
    }

    /// The answer has begun, and has its turn yet.
    pub fn taking(&self) {
        let now = Instant::now();
        self.stage(Stage::Taking { since: now, moved: now, turn: true });
    }

    /// Some of the answer was taken; whether it still keeps its turn.
    pub fn moved(&self, with_turn: bool) {
        let mut state = self.seats.state.lock().unwrap_or_else(PoisonError::into_inner);
        let seat = state.seats.iter_mut().find(|s| s.number == self.number);
        if let Some(Visit { stage: Stage::Taking { moved, turn, .. }, .. }) = seat {
            (*moved, *turn) = (Instant::now(), with_turn);
        }
    }

    /// Sends out one who keeps a turn and does not take, or not fast enough: somebody else waits for one.
    pub fn wants_a_turn(&self) {
        let mut state = self.seats.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = state.slowest(true) {
            state.seats.remove(at).socket.shutdown();
        }
    }

    fn stage(&self, stage: Stage) -> bool {
        let mut state = self.seats.state.lock().unwrap_or_else(PoisonError::into_inner);
        let seat = state.seats.iter_mut().find(|s| s.number == self.number);
        seat.map(|s| s.stage = stage).is_some()
    }

    /// Leaves the seat; the thread has still something to clear away.
    pub fn leave(&self) {
        let mut state = self.seats.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.seats.retain(|s| s.number != self.number);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.seats.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.seats.retain(|s| s.number != self.number);
        state.threads -= 1;
        self.seats.gone.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_longest_asking_makes_room_and_the_answered_never() {
        let seats = Arc::new(Seats::default());
        let come = || {
            let (a, b) = UnixStream::pair().unwrap();
            (seats.enter(&Arc::new(Socket::Unix(a))), b)
        };
        let mut first: Vec<_> = (0..limits::PORCH_VISITORS).map(|_| come()).collect();
        assert!(first[0].0.as_ref().unwrap().asked());
        let one_more = come();
        assert!(one_more.0.is_some());
        // The second one of all was sent out: the first is being answered.
        assert_eq!(first[1].1.read(&mut [0]).unwrap(), 0);
        assert!(!first[1].0.as_ref().unwrap().asked());
        assert!(first.iter().skip(2).all(|(t, _)| t.as_ref().unwrap().asked()) && one_more.0.as_ref().unwrap().asked());
        assert!(come().0.is_none());
        assert_eq!(seats.threads(), limits::PORCH_VISITORS + 1);
        drop(first);
        assert!(come().0.is_some());
        drop(one_more);
        assert_eq!(seats.threads(), 0);
    }

    #[test]
    fn who_takes_nothing_makes_room_and_who_takes_does_not() {
        let seats = Arc::new(Seats::default());
        let come = || {
            let (a, b) = UnixStream::pair().unwrap();
            (seats.enter(&Arc::new(Socket::Unix(a))).unwrap(), b)
        };
        let (waiting, mut taking, mut idle) = (come(), come(), come());
        [&waiting.0, &taking.0, &idle.0].iter().for_each(|t| assert!(t.asked()));
        taking.0.taking();
        idle.0.taking();
        waiting.0.wants_a_turn();
        let there = |visit: &mut (Seat, UnixStream)| {
            visit.1.set_nonblocking(true).unwrap();
            visit.1.read(&mut [0]).is_err()
        };
        assert!(there(&mut taking) && there(&mut idle), "somebody was sent out who had only begun");
        std::thread::sleep(Duration::from_millis(limits::PORCH_STALL_MILLIS + 20));
        taking.0.moved(true);
        waiting.0.wants_a_turn();
        assert!(there(&mut taking) && !there(&mut idle));
        // Too long is too long; but without a turn he is in nobody's way.
        std::thread::sleep(Duration::from_millis(limits::PORCH_TAKE_GRACE_MILLIS));
        taking.0.moved(false);
        waiting.0.wants_a_turn();
        assert!(there(&mut taking));
        taking.0.moved(true);
        waiting.0.wants_a_turn();
        assert!(!there(&mut taking));
    }
}
