//! ○ The id of an event as the database counts: node, start of the node, event within that start.
//!
//! Refuses: every other text.

/// The id of an event as the database counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    /// The node.
    pub raft_id: u64,
    /// Its start.
    pub gen: u64,
    /// The event within that start, from 1.
    pub count: u64,
}

impl EventId {
    /// Whether `next` is the one that comes after it.
    pub fn is_before(self, next: EventId) -> bool {
        (self.raft_id, self.gen, self.count.checked_add(1)) == (next.raft_id, next.gen, Some(next.count))
    }

    /// Whether `later` comes after it, of the same node.
    pub fn is_below(self, later: EventId) -> bool {
        self.raft_id == later.raft_id && self < later
    }

    /// Reads `1.0.26`; nothing else.
    pub fn parse(text: &[u8]) -> Option<EventId> {
        let (mut numbers, mut which, mut digits, mut n) = ([0u64; 3], 0, 0, 0u64);
        for &b in text {
            let digit = u64::from(b.wrapping_sub(b'0'));
            if digit < 10 && digits < 19 {
                // Nineteen digits are less than 2^64.
                n = n * 10 + digit;
            } else if digit < 10 && digits == 19 {
                n = n.checked_mul(10)?.checked_add(digit)?;
            } else if b == b'.' && digits > 0 && which < 2 {
                numbers[which] = n;
                (which, digits, n) = (which + 1, 0, 0);
                continue;
            } else {
                return None;
            }
            digits += 1;
        }
        let [raft_id, gen, _] = numbers;
        (which == 2 && digits > 0).then_some(EventId { raft_id, gen, count: n })
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.raft_id, self.gen, self.count)
    }
}
