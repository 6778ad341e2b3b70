//! ○ The shape that the database writes, taken at a stride: lines that are one flat object of strings, without blanks.
//!
//! One look at 64 bytes tells where strings may end; what stands between two strings is a few bytes to compare. Whatever
//! else comes is left to `read`, which says the same of the lines that are taken here. Refuses: to judge what it does not
//! know.

use super::facts::{Facts, Item};
use super::marks::Marks;
use super::order::Order;
use super::usual::Usual;
use crate::json::Span;
use crate::limits::PIPE_RECORD_BYTES;
use std::cell::Cell;

/// Finds records at the beginning of `data[from..]` until about `most` are out, or a line comes that is not of this shape, or
/// is longer than `longest`; gives where that one begins. `leaves`: see whether they are canonical.
#[inline(never)]
pub fn records(data: &[u8], from: usize, longest: usize, most: usize, leaves: bool, out: &mut Vec<Item>) -> usize {
    let longest = longest.min(PIPE_RECORD_BYTES);
    let (mut marks, mut usual, mut at) = (Marks::new(data, from), Usual::default(), from);
    while out.len() < most {
        let Some((facts, to, canonical)) = record(&mut marks, &mut usual, leaves, at) else { break };
        if to - at > longest {
            break;
        }
        out.push(Item { raw: Span { from: at, to }, end: to + 1, facts, part: 0, parts: 0, canonical });
        at = to + 1;
    }
    at
}

/// The record that begins here, where its newline stands, and whether it is known to be canonical.
#[inline(always)]
fn record(marks: &mut Marks<'_>, usual: &mut Usual, leaves: bool, start: usize) -> Option<(Facts, usize, bool)> {
    let rest = marks.data.get(start..)?;
    let mut facts = Facts::none();
    if !rest.starts_with(b"{\"") || marks.pass() != start + 1 {
        return None;
    }
    let (mut at, mut order, canonical) = (2, Order::default(), Cell::new(leaves));
    let is_fine = |escape: &[u8]| {
        // A slash needs none.
        canonical.set(canonical.get() && !escape.starts_with(b"/"));
        is_short(escape)
    };
    loop {
        // Whatever is foreign from here on is of this field, or of the block it begins in.
        marks.foreign = marks.seen.foreign;
        // A key with an escape means another one: it ends no string here.
        let to = marks.pass() - start;
        let key = rest.get(at..to)?;
        if rest.get(to..to + 3)? != b"\":\"" {
            return None;
        }
        if leaves && !order.takes(key, &rest[at..]) {
            canonical.set(false);
        }
        marks.pass();
        let value = Span { from: to + 3, to: marks.string_end(is_fine)? - start };
        if marks.foreign && std::str::from_utf8(&rest[at..value.to]).is_err() {
            return None;
        }
        if !facts.note(key, Some(value), rest, true) {
            return None;
        }
        at = value.to + 3;
        let ends = rest.get(at - 2..at)?;
        marks.pass();
        if ends == b"}\n" {
            break;
        }
        if ends != b",\"" {
            return None;
        }
    }
    Some((facts.settled(&rest[..at - 1], usual), start + at - 1, canonical.get()))
}

/// Escapes that say one byte; what else there may be `read` must judge.
#[inline(always)]
fn is_short(escape: &[u8]) -> bool {
    matches!(escape, [b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..])
}

#[cfg(test)]
mod tests {
    use super::super::{Ending, Item, Splitter};
    use super::records;

    const SHAPE: &str = r#"{"id":"1.0.2","initiator":"admin","message":"say \"hi\" \\ 100%","severity":"low","time":"2026-11-21T01:27:57.349+0000","title":"dml","user":"пользователь"}"#;

    fn both(data: &[u8], event_max: usize) -> [(Vec<Item>, usize); 2] {
        [Splitter::new(event_max, 0).for_leaves(true), Splitter::new(event_max, 0).by_the_letter()].map(
            |mut splitter| {
                let mut out = Vec::new();
                let used = splitter.split(data, Ending::Open, 1_000, &mut out);
                // What is canonical is only seen at a stride.
                out.iter_mut().for_each(|i: &mut Item| i.canonical = false);
                (out, used)
            },
        )
    }

    #[test]
    fn the_shape_of_the_database_is_taken_and_nothing_else() {
        let taken = |line: &str| {
            let (mut out, text) = (Vec::new(), format!("{line}\n"));
            records(text.as_bytes(), 0, 1 << 20, 10, true, &mut out) == text.len()
        };
        assert!(taken(SHAPE) && taken(r#"{"":""}"#));
        let nested = SHAPE.replace(r#""dml""#, "[1]");
        let blank = SHAPE.replace(r#"":""#, r#"": ""#);
        let ours = SHAPE.replace("initiator", "gostech");
        let long = SHAPE.replace("admin", &"x".repeat(20_000));
        for other in
            ["{}", "", "[]", r#"{"a":1}"#, r#"{"a":"b"} "#, r#"{"a":"b",}"#, r#"{"a":"\u0041"}"#, r#"{"a\\":"b"}"#]
        {
            assert!(!taken(other), "{other}");
        }
        assert!(!taken(&nested) && !taken(&blank) && !taken(&ours) && !taken(&long));
    }

    #[test]
    fn whatever_comes_is_found_as_by_the_letter() {
        let alphabet = b"{}[]\",:\\u0n\n\r .\xd1\x8f\x01\xff9";
        let mut seed = 11u64;
        let mut next = |n: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % n
        };
        let mut taken = 0;
        for round in 0..20_000 {
            let mut data = Vec::new();
            for n in 0..1 + next(4) {
                data.extend_from_slice(SHAPE.replace("1.0.2", &format!("1.0.{}", round + n)).as_bytes());
                data.push(b'\n');
            }
            for _ in 0..next(4) {
                let at = next(data.len());
                match next(4) {
                    0 => data[at] = alphabet[next(alphabet.len())],
                    1 if data.len() > 1 => drop(data.remove(at)),
                    2 => data.insert(at, alphabet[next(alphabet.len())]),
                    _ => data.truncate(at + 1),
                }
            }
            let [short, letter] = both(&data, [1 << 20, 150, 200][next(3)]);
            assert_eq!(short, letter, "{}", String::from_utf8_lossy(&data));
            taken += usize::from(records(&data, 0, 1 << 20, 10, true, &mut Vec::new()) > 0);
        }
        assert!(taken > 5_000, "most of these begin with a record of that shape: {taken}");
    }
}
