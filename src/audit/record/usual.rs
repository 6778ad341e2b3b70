//! ○ What mostly comes next: ids are counted, and the times of many records are of one second. So most are known by a glance.
//!
//! Says of every text what `EventId::parse` and `stamp::parse_written` say of it. Refuses: to guess.

use super::event_id::EventId;
use crate::stamp::Clock;

/// The longest id that is known before it is read, and the shortest.
const KNOWN_BYTES: (usize, usize) = (8, 16);

/// The id that would follow the last one, and the time of the last one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usual {
    /// As text, of which `length` bytes count; 0: there is none.
    text: [u8; KNOWN_BYTES.1],
    length: usize,
    id: EventId,
    /// Reads times.
    pub clock: Clock,
}

impl Usual {
    /// Reads an id.
    #[inline(always)]
    pub fn id(&mut self, text: &[u8]) -> Option<EventId> {
        let ends = |t: &[u8]| t.first_chunk::<8>().copied().zip(t.last_chunk::<8>().copied());
        let known = &self.text[..self.length];
        let id = if text.len() == known.len() && ends(text).is_some_and(|e| ends(known) == Some(e)) {
            self.id
        } else {
            EventId::parse(text)?
        };
        self.expect(text, id);
        Some(id)
    }

    /// What follows this one is known, unless it has a digit more.
    #[inline(always)]
    fn expect(&mut self, text: &[u8], id: EventId) {
        let (least, most) = KNOWN_BYTES;
        self.length = 0;
        if !(least..=most).contains(&text.len()) {
            return;
        }
        let Some(next) = id.count.checked_add(1) else { return };
        self.text[..text.len()].copy_from_slice(text);
        for digit in self.text[..text.len()].iter_mut().rev() {
            match digit {
                b'0'..=b'8' => {
                    *digit += 1;
                    (self.length, self.id) = (text.len(), EventId { count: next, ..id });
                    return;
                }
                b'9' => *digit = b'0',
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_parser_says_in_whatever_order_they_come() {
        let numbers = ["1.1.8", "1.1.9", "1.1.10", "1.1.0999999", "1.1.9999999", "1.1.10000000", "1.1.10000001"];
        let more =
            ["1.19.99", "1.1.10000002", "1.1.10000003", "10.1.10000003", "1.0.18446744073709551615", "1.1.999999x"];
        let odd = ["", "1.1", "1.1.1.1", "..1", "1.1.10000004", "1.1.1000000.", "aaaaaaaa", "1.1.199999999999999"];
        let all: Vec<&str> = numbers.iter().chain(&more).chain(&odd).copied().collect();
        for first in &all {
            for second in &all {
                let mut usual = Usual::default();
                for text in [first, second, first, second] {
                    assert_eq!(usual.id(text.as_bytes()), EventId::parse(text.as_bytes()), "{first} {second}");
                }
            }
        }
        let mut usual = Usual::default();
        for n in (1..3_000).chain(99_990..100_020).chain(9_999_990..10_000_020) {
            let text = format!("12.345.{n}");
            assert_eq!(usual.id(text.as_bytes()), Some(EventId { raft_id: 12, gen: 345, count: n }));
        }
    }
}
