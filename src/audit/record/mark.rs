//! ○ Where reading stands, as it is kept: of which stream, and how far in it. Every append to the spool carries the mark of its
//! records in the same write, so that after any death reading goes on behind the last record that is kept.
//!
//! A stream is what is read from its beginning to its end: all that comes through one pipe, one file. Pure. Refuses: to know
//! how a stream is found again (`intake/source`).

/// A place in a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The stream's number, which no other one has; 0: none.
    pub epoch: u64,
    /// How many bytes of it stand before this place.
    pub position: u64,
}

impl Mark {
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
