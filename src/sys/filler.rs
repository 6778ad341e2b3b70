//! The one who fills the ring, from what is read once (a pipe) or from what can be read again (a file).
//!
//! What is read once is gone from there when it is read, so it goes through the relay, under a note that makes it safe to
//! die at any point (`ring`). What can be read again is read into the ring, and then Head moves: whoever dies between the
//! two has read nothing. Refuses: to wait, to know what the bytes mean.

use super::ring::{Ring, Word, CONTROL};
use super::{check_size, crash, file, pipe};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// What one look at the input gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// So many bytes came into the ring.
    Bytes(usize),
    /// There is nothing now.
    Nothing,
    /// The ring is full.
    Full,
    /// The input has ended.
    End,
}

/// The one who fills the ring.
#[derive(Debug)]
pub struct Filler {
    ring: Arc<Ring>,
    relay: Arc<(OwnedFd, OwnedFd)>,
    spliceable: bool,
    /// A turn was refused.
    turning: bool,
    /// So many bytes were refused, which must be taken at once.
    wanted: usize,
}

impl Filler {
    /// Takes over from a filler that may have died at any point.
    pub fn resume(ring: Arc<Ring>, relay: Arc<(OwnedFd, OwnedFd)>) -> io::Result<Filler> {
        let noted = ring.word(Word::Pending).load(Ordering::Acquire);
        if noted > 0 {
            let left = pipe::held(relay.0.as_fd())? as u64;
            let at = ring.word(Word::PendingAt).load(Ordering::Relaxed);
            ring.word(Word::Head).store(at + noted.saturating_sub(left), Ordering::Release);
            crash::point("ring.resumed");
            ring.word(Word::Pending).store(0, Ordering::Release);
        }
        Ok(Filler { ring, relay, spliceable: true, turning: false, wanted: 1 })
    }

    /// What it fills, with its counts.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// How many bytes may be taken now.
    pub fn free(&self) -> usize {
        let head = self.ring.word(Word::Head).load(Ordering::Relaxed);
        let tail = self.ring.word(Word::Tail).load(Ordering::Acquire);
        self.ring.size() - (head - tail) as usize
    }

    /// Takes what the input has now, as far as it fits.
    pub fn fill(&mut self, input: BorrowedFd<'_>) -> io::Result<Fill> {
        let mut taken = self.drain_relay()?;
        let free = self.free();
        if free == 0 {
            return Ok(if taken > 0 { Fill::Bytes(taken) } else { Fill::Full });
        }
        if !self.spliceable {
            return self.read_directly(input, taken);
        }
        match pipe::splice(input, self.relay.1.as_fd(), free) {
            Ok(0) if taken == 0 => Ok(Fill::End),
            Ok(_) => {
                crash::point("ring.spliced");
                taken += self.drain_relay()?;
                Ok(Fill::Bytes(taken))
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                Ok(if taken > 0 { Fill::Bytes(taken) } else { Fill::Nothing })
            }
            Err(e) if matches!(e.raw_os_error(), Some(libc::EINVAL) | Some(libc::ENOSYS)) => {
                // A terminal or another thing that cannot be spliced from: read plainly, as everyone does.
                self.spliceable = false;
                self.read_directly(input, taken)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(Fill::Bytes(taken)),
            Err(e) => Err(e),
        }
    }

    /// Gives the memory behind the ring back to the system when it is empty; only the filler can, since only it knows
    /// that nothing is being written there.
    pub fn release_memory(&mut self) {
        if self.free() == self.ring.size() {
            let _ = file::punch(self.ring.file(), CONTROL as u64, self.ring.size() as u64);
        }
    }

    /// The relay's bytes into the ring, under a note that makes it safe to die here.
    fn drain_relay(&mut self) -> io::Result<usize> {
        let mut taken = 0;
        loop {
            let held = pipe::held(self.relay.0.as_fd())?;
            let most = held.min(self.free());
            if most == 0 {
                return Ok(taken);
            }
            let head = self.ring.word(Word::Head).load(Ordering::Relaxed);
            self.ring.word(Word::PendingAt).store(head, Ordering::Relaxed);
            self.ring.word(Word::Pending).store(held as u64, Ordering::Release);
            crash::point("ring.noted");
            // SAFETY: `most` bytes from Head are free, so the taker does not look at them; the double mapping makes the
            // stretch contiguous; the relay holds them, so the read does not wait.
            let got = check_size(unsafe { libc::read(self.relay.0.as_raw_fd(), self.ring.at(head).cast(), most) });
            let got = match got {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
                Err(e) => return Err(e),
            };
            crash::point("ring.read");
            self.ring.word(Word::Head).store(head + got as u64, Ordering::Release);
            crash::point("ring.moved");
            self.ring.word(Word::Pending).store(0, Ordering::Release);
            taken += got;
        }
    }

    fn read_directly(&mut self, input: BorrowedFd<'_>, taken: usize) -> io::Result<Fill> {
        if taken > 0 {
            return Ok(Fill::Bytes(taken));
        }
        match self.read_with(|room| pipe::read(input, room)) {
            Ok(Fill::Nothing) => Ok(Fill::End),
            Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => Ok(Fill::Nothing),
            other => other,
        }
    }

    /// Takes what `read` puts at the beginning of the room that there is; it says how much. `Nothing`: that was none.
    pub fn read_with(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<Fill> {
        let free = self.free();
        if free == 0 {
            return Ok(Fill::Full);
        }
        let head = self.ring.word(Word::Head).load(Ordering::Relaxed);
        // SAFETY: `free` bytes from Head are free, so that nobody else looks at them while this borrows the one filler; the
        // double mapping makes them contiguous, and every byte of the memory file is a byte.
        let got = read(unsafe { std::slice::from_raw_parts_mut(self.ring.at(head), free) })?.min(free);
        crash::point("ring.read");
        self.ring.word(Word::Head).store(head + got as u64, Ordering::Release);
        Ok(if got == 0 { Fill::Nothing } else { Fill::Bytes(got) })
    }

    /// Puts lines into the ring that still stand, as so many bytes with this hash, where they come from. They are to be taken
    /// there next (`taken`): whoever dies before that finds them again, and knows them by the note (`noted`). False: there is no
    /// room for them now.
    pub fn put_noted(&mut self, (hash, bytes): (u64, usize), lines: &[u8]) -> bool {
        self.wanted = lines.len().clamp(1, self.ring.size());
        if self.free() < lines.len() {
            return false;
        }
        let head = self.ring.word(Word::Head).load(Ordering::Relaxed);
        let note = [(Word::PeekedAt, head), (Word::PeekedBytes, bytes as u64), (Word::Peeked, hash | 1)];
        note.into_iter().for_each(|(word, value)| self.ring.word(word).store(value, Ordering::Release));
        crash::point("socket.noted");
        // SAFETY: as many bytes from Head are free, so that nobody else looks at them while this borrows the one filler; the
        // double mapping makes them contiguous.
        unsafe { std::ptr::copy_nonoverlapping(lines.as_ptr(), self.ring.at(head), lines.len()) };
        self.ring.word(Word::Head).store(head + lines.len() as u64, Ordering::Release);
        self.wanted = 1;
        crash::point("socket.moved");
        true
    }

    /// What was put is taken where it came from.
    pub fn taken(&mut self) {
        self.ring.word(Word::Peeked).store(0, Ordering::Release);
    }

    /// The hash and length of what is in the ring, and perhaps was not taken where it comes from.
    pub fn noted(&self) -> Option<(u64, usize)> {
        let word = |word| self.ring.word(word).load(Ordering::Acquire);
        let hash = word(Word::Peeked);
        (hash > 0 && word(Word::Head) > word(Word::PeekedAt)).then(|| (hash, word(Word::PeekedBytes) as usize))
    }

    /// What is read from here on is of another stream: which one, and where in it. False: not yet, the writer has to come
    /// further first.
    pub fn turn(&mut self, place: (u64, u64)) -> bool {
        self.turning = !self.ring.turn(place);
        !self.turning
    }

    /// Whether what was refused last, bytes or a turn, may be taken now.
    pub fn has_room(&self) -> bool {
        self.free() >= self.wanted && (!self.turning || self.ring.has_room_for_turn())
    }

    /// The streams that were read into this ring, as far as it remembers them.
    pub fn streams(&self) -> Vec<u64> {
        self.ring.streams()
    }

    /// Where the reading stands: which stream, and where in it. None: this ring has never been told.
    pub fn place(&self) -> Option<(u64, u64)> {
        let head = self.ring.word(Word::Head).load(Ordering::Relaxed);
        self.ring.has_turns().then(|| self.ring.place_of(head))
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::Taker;
    use super::*;
    use std::fs::File;
    use std::io::Write;

    const PAGE: usize = 4096;

    fn parts(size: usize) -> (Arc<Ring>, Arc<(OwnedFd, OwnedFd)>) {
        (Arc::new(Ring::create(size, 42).unwrap()), Arc::new(pipe::pair().unwrap()))
    }

    #[test]
    fn bytes_go_round_and_stay_in_order() {
        let (ring, relay) = parts(PAGE);
        let (r, w) = pipe::pair().unwrap();
        let mut w = File::from(w);
        let mut filler = Filler::resume(ring.clone(), relay).unwrap();
        let mut taker = Taker::new(ring);
        let (mut sent, mut seen) = (0u32, 0u32);
        for round in 0..200 {
            let n = 100 + round * 7 % 900;
            let bytes: Vec<u8> = (0..n).map(|i| ((sent + i) % 251) as u8).collect();
            w.write_all(&bytes).unwrap();
            sent += n;
            while let Fill::Bytes(_) = filler.fill(r.as_fd()).unwrap() {}
            let got = taker.peek().to_vec();
            for b in &got {
                assert_eq!(*b, (seen % 251) as u8);
                seen += 1;
            }
            taker.consume(got.len());
        }
        assert_eq!(sent, seen);
        drop(w);
        // A child that another test is starting holds the pipe, too, until it runs its own program.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while filler.fill(r.as_fd()).unwrap() == Fill::Nothing && std::time::Instant::now() < end {
            std::thread::yield_now();
        }
        assert_eq!(filler.fill(r.as_fd()).unwrap(), Fill::End);
    }

    #[test]
    fn a_full_ring_says_so_and_loses_nothing() {
        let (ring, relay) = parts(PAGE);
        let (r, w) = pipe::pair().unwrap();
        let mut w = File::from(w);
        let mut filler = Filler::resume(ring.clone(), relay).unwrap();
        let mut taker = Taker::new(ring);
        w.write_all(&[b'x'; 10_000]).unwrap();
        while let Fill::Bytes(_) = filler.fill(r.as_fd()).unwrap() {}
        assert_eq!(filler.fill(r.as_fd()).unwrap(), Fill::Full);
        let mut total = 0;
        loop {
            let n = taker.peek().len();
            total += n;
            taker.consume(n);
            if filler.fill(r.as_fd()).unwrap() == Fill::Nothing {
                break;
            }
        }
        assert_eq!(total, 10_000);
    }

    #[test]
    fn a_filler_that_died_in_its_read_is_made_good() {
        // Both ways to die: before the read, and after it but before Head moved.
        for after in [false, true] {
            let (ring, relay) = parts(PAGE);
            File::from(relay.1.try_clone().unwrap()).write_all(b"0123456789").unwrap();
            ring.word(Word::PendingAt).store(0, Ordering::Relaxed);
            ring.word(Word::Pending).store(10, Ordering::Relaxed);
            if after {
                // SAFETY: a private ring; six of the ten bytes were read when the process died.
                let n = unsafe { libc::read(relay.0.as_raw_fd(), ring.at(0).cast(), 6) };
                assert_eq!(n, 6);
            }
            let (r, _w) = pipe::pair().unwrap();
            let mut filler = Filler::resume(ring.clone(), relay).unwrap();
            while let Fill::Bytes(_) = filler.fill(r.as_fd()).unwrap() {}
            assert_eq!(Taker::new(ring).peek(), b"0123456789");
        }
    }

    #[test]
    fn what_can_be_read_again_is_read_where_there_is_room() {
        let (ring, relay) = parts(PAGE);
        let mut filler = Filler::resume(ring.clone(), relay).unwrap();
        assert_eq!(filler.place(), None);
        assert!(filler.turn((7, 100)));
        let mut give = |most: usize| {
            filler.read_with(|room| {
                let n = room.len().min(most);
                room[..n].fill(b'x');
                Ok(n)
            })
        };
        assert_eq!(give(0).unwrap(), Fill::Nothing);
        assert_eq!((give(3000).unwrap(), give(3000).unwrap()), (Fill::Bytes(3000), Fill::Bytes(1096)));
        assert_eq!(give(1).unwrap(), Fill::Full);
        assert_eq!(filler.place(), Some((7, 100 + 4096)));
        let mut taker = Taker::new(ring);
        assert_eq!((taker.peek().len(), taker.place()), (4096, (7, 100)));
        taker.consume(4096);
        // Whoever dies in the middle of it has read nothing.
        assert!(filler.read_with(|_| Err(io::Error::other("dead"))).is_err());
        assert_eq!(filler.place(), Some((7, 100 + 4096)));
    }
}
