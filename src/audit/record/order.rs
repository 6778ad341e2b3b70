//! ○ Whether the fields of a record come in the one order, and under the names, in which it can be written again from them.
//!
//! Refuses: to look at values.

/// The key before, of a record whose keys have come in order so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Order<'a>(Option<(u64, &'a [u8])>);

impl<'a> Order<'a> {
    /// Whether this key comes behind all that came, and no pipeline claims it. `rest`: the text from the key on.
    #[inline(always)]
    pub fn takes(&mut self, key: &'a [u8], rest: &[u8]) -> bool {
        // Most keys differ in what they begin with.
        let key = (beginning(key, rest), key);
        let behind = self.0.is_none_or(|last| last < key);
        self.0 = Some(key);
        behind && !is_claimed(key.1)
    }
}

/// The first eight bytes as a number, which orders as they do.
#[inline(always)]
fn beginning(key: &[u8], rest: &[u8]) -> u64 {
    match (rest.first_chunk(), key.len()) {
        (Some(eight), 8..) => u64::from_be_bytes(*eight),
        (Some(eight), n @ 1..) => u64::from_be_bytes(*eight) & !(u64::MAX >> (8 * n)),
        _ => (0..8).zip(key).fold(0, |n, (i, b)| n | u64::from(*b) << (56 - 8 * i)),
    }
}

/// Whether pipelines on the way to an index add a field of this name: it says nothing of the record. By length first, so that a
/// name is compared as a number: every key of every record comes by here.
#[inline(always)]
pub fn is_claimed(name: &[u8]) -> bool {
    fn is<const N: usize>(name: &[u8], all: &[&[u8; N]]) -> bool {
        name.first_chunk::<N>().is_some_and(|name| all.contains(&name))
    }
    name.first() == Some(&b'_')
        || match name.len() {
            3 => is(name, &[b"url", b"ecs", b"log"]),
            4 => is(name, &[b"host", b"tags", b"http", b"type", b"path", b"port"]),
            5 => is(name, &[b"event", b"agent", b"input", b"cloud"]),
            6 => is(name, &[b"docker", b"stream", b"offset"]),
            7 => is(name, &[b"gostech", b"headers", b"process"]),
            8 => name == b"@version",
            9 => name == b"container",
            10 => is(name, &[b"@timestamp", b"user_agent", b"kubernetes"]),
            11 => name == b"source_type",
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_as_their_bytes_are() {
        let keys = ["", "\0", "a", "a\0", "aa", "abcdefgh", "abcdefgh\0", "abcdefghi", "abcdefgi", "b", "\u{e9}", "я"];
        for first in keys {
            for second in keys {
                let mut answers = Vec::new();
                for tail in ["", "\":\"value\"", "\u{ff}\u{ff}\u{ff}\u{ff}"] {
                    let [a, b] = [first, second].map(|key| format!("{key}{tail}"));
                    let mut order = Order::default();
                    assert!(order.takes(first.as_bytes(), a.as_bytes()));
                    answers.push(order.takes(second.as_bytes(), b.as_bytes()));
                }
                assert_eq!(answers, [first.as_bytes() < second.as_bytes(); 3], "{first:?} {second:?}");
            }
        }
        assert!(!Order::default().takes(b"host", b"host\":") && !Order::default().takes(b"_id", b"_id"));
    }
}
