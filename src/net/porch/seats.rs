//! Who is in: at most so many visitors, and who has to leave when one more comes.
//!
//! When all seats are taken, the visitor who has been sending a head for the longest time without finishing it makes
//! room; one whose request is being answered never does. So slow visitors cost themselves, not the others.

use crate::limits;
use crate::net::stream::Socket;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

struct Seat {
    number: u64,
    still_asking: bool,
    socket: Arc<Socket>,
}

#[derive(Default)]
struct Room {
    next: u64,
    /// In the order of coming.
    seats: Vec<Seat>,
    /// Of visitors with a seat, and of those on their way out.
    threads: usize,
}

/// The seats of a porch.
#[derive(Default)]
pub struct Seats {
    room: Mutex<Room>,
    gone: Condvar,
}

/// A visitor's seat, and his thread's place among those that may run; both end with it.
pub struct Ticket {
    seats: Arc<Seats>,
    number: u64,
}

impl Seats {
    /// Lets a visitor in, if need be by sending another one out; nothing when everybody is being answered.
    pub fn enter(self: &Arc<Self>, socket: &Arc<Socket>) -> Option<Ticket> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        // In a crowd those who were sent out are still on their way: the door waits for them, it is a matter of
        // milliseconds, instead of turning away somebody who may be in earnest.
        let end = Instant::now() + Duration::from_millis(limits::PORCH_CROWD_MILLIS);
        while room.threads >= limits::PORCH_THREADS {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            room = self.gone.wait_timeout(room, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if room.seats.len() >= limits::PORCH_VISITORS {
            let longest = room.seats.iter().position(|s| s.still_asking)?;
            // His thread sees the end of the stream and goes.
            room.seats.remove(longest).socket.shutdown();
        }
        let number = room.next;
        room.next += 1;
        room.seats.push(Seat { number, still_asking: true, socket: Arc::clone(socket) });
        room.threads += 1;
        Some(Ticket { seats: Arc::clone(self), number })
    }

    /// Sends everybody out.
    pub fn close(&self) {
        let room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.seats.iter().for_each(|s| s.socket.shutdown());
    }

    /// How many threads of visitors run.
    pub fn threads(&self) -> usize {
        self.room.lock().unwrap_or_else(PoisonError::into_inner).threads
    }
}

impl Ticket {
    /// The request is whole: from now on nobody sends him out. False when somebody has already.
    pub fn asked(&self) -> bool {
        let mut room = self.seats.room.lock().unwrap_or_else(PoisonError::into_inner);
        let seat = room.seats.iter_mut().find(|s| s.number == self.number);
        seat.map(|s| s.still_asking = false).is_some()
    }

    /// Leaves the seat; the thread has still something to clear away.
    pub fn leave(&self) {
        let mut room = self.seats.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.seats.retain(|s| s.number != self.number);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut room = self.seats.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.seats.retain(|s| s.number != self.number);
        room.threads -= 1;
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
}
