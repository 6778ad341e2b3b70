//! ○ Where reading stands, as it is kept: of which stream, and how far in it. Every append to the spool carries the mark of its
//! records in the same write, so that after any death reading goes on behind the last record that is kept.
//!
//! A stream is what is read from its beginning to its end: all that comes through one pipe, one file. Pure. Refuses: to know
//! how a stream is found again (`intake/source`).

/// In a stream's number: it can be read again, as a file can.
const REREADS: u64 = 1 << 63;
/// In a stream's number: how often it was begun again, because it was not any more what had been read of it. So a place before
/// another one of the same number is never one that was read later.
const TIMES: u64 = 0xf;

/// A place in a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The stream's number, which no other one has; 0: none.
    pub epoch: u64,
    /// How many bytes of it stand before this place.
    pub position: u64,
}

impl Mark {
    /// The number of a stream that is read once, made of chance.
    pub fn stream_once(chance: u64) -> u64 {
        chance & !REREADS | 1
    }

    /// The number of a stream that can be read again, made of what it is known by.
    pub fn stream_known_by(hash: u64) -> u64 {
        (hash | REREADS) & !TIMES
    }

    /// Whether what stands here can be read again.
    pub fn rereads(self) -> bool {
        self.epoch & REREADS != 0
    }

    /// Whether it is in that stream, however often that was begun again.
    pub fn is_of(self, stream: u64) -> bool {
        (self.epoch ^ stream) & !TIMES == 0
    }

    /// The same place in the stream when it is begun again.
    pub fn anew(self) -> Mark {
        if self.epoch == 0 {
            return self;
        }
        Mark { epoch: self.epoch & !TIMES | (self.epoch + 1) & TIMES, ..self }
    }

    /// The place so many bytes further.
    pub fn behind(self, bytes: usize) -> Mark {
        Mark { position: self.position + bytes as u64, ..self }
    }
}

impl From<(u64, u64)> for Mark {
    fn from((epoch, position): (u64, u64)) -> Mark {
        Mark { epoch, position }
    }
}

impl From<Mark> for (u64, u64) {
    fn from(mark: Mark) -> (u64, u64) {
        (mark.epoch, mark.position)
    }
}
