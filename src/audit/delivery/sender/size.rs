//! ○ How much goes into one request to one URL: as much as was acknowledged in time.
//!
//! Halved when no answer came in time or the receiver said that it was too much, grown a little by each full request that
//! was taken with time to spare. Refuses: to go above what the options say, or below one event.

use crate::limits;

/// What a request may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Events.
    pub events: usize,
    /// Bytes.
    pub bytes: usize,
}

impl Size {
    /// Twice of this was too much, or came too late.
    pub fn halve(&mut self, sent: Size) {
        self.events = (sent.events / 2).clamp(1, self.events.max(1));
        self.bytes = (sent.bytes / 2).clamp(1, self.bytes.max(1));
    }

    /// The body was too large, however many events it held.
    pub fn halve_bytes(&mut self, sent: usize) {
        self.bytes = (sent / 2).clamp(1, self.bytes.max(1));
    }

    /// This was taken, by so many percent of the time that it had.
    pub fn took(&mut self, sent: Size, spent: u32, most: Size) {
        // What was smaller than it might have been says nothing of larger ones.
        let full = sent.events * 2 >= self.events || sent.bytes * 2 >= self.bytes;
        if full && spent <= limits::SPARE_PERCENT {
            let more = |n: usize, most: usize| n.saturating_add((n / limits::GROWTH_PART).max(1)).min(most);
            *self = Size { events: more(self.events, most.events), bytes: more(self.bytes, most.bytes) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Size = Size { events: 1000, bytes: 1 << 20 };

    #[test]
    fn it_is_halved_down_to_one_and_grows_back_by_what_is_taken_quickly() {
        let mut size = MOST;
        for events in [500, 250, 125, 62, 31, 15, 7, 3, 1, 1] {
            let sent = Size { events: size.events, bytes: size.events * 400 };
            size.halve(sent);
            assert_eq!(size.events, events);
        }
        size.took(size, limits::SPARE_PERCENT + 1, MOST);
        assert_eq!(size.events, 1, "there was no time to spare");
        size.took(Size { events: 0, bytes: 0 }, 0, MOST);
        assert_eq!(size.events, 1, "there was next to nothing in it");
        let mut requests = 0;
        while size != MOST {
            size.took(size, 0, MOST);
            requests += 1;
        }
        assert!((300..2_000).contains(&requests), "{requests}");
    }

    #[test]
    fn what_is_too_large_is_a_matter_of_bytes() {
        let mut size = MOST;
        size.halve_bytes(300_000);
        assert_eq!(size, Size { events: 1000, bytes: 150_000 });
        size.halve_bytes(900_000);
        assert_eq!(size.bytes, 150_000, "an older answer makes it no larger");
    }
}
