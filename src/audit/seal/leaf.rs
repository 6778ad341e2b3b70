//! ○ The hash of one record, and the one form of a record that can be written again from its fields.
//!
//! Sealer, senders and verifier come through here with every record, so `form` is one pass and nothing is allocated.
//! Refuses: to judge whether a record is whole; a piece of a line or a cut record is `Form::Raw`, whatever it looks like.

use super::stream::{Algorithm, Hash, StreamId};
use super::text::of_base64;
use crate::audit::record::marks::Marks;
use crate::audit::record::order::{is_claimed, Order};
use crate::json;

/// What a leaf is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Bytes that `canonical` writes again from the fields: they need not travel.
    Canonical,
    /// Any bytes; they travel beside the fields.
    Raw,
}

impl Form {
    /// Its byte in a leaf.
    pub fn byte(self) -> u8 {
        match self {
            Form::Canonical => b'c',
            Form::Raw => b'r',
        }
    }

    /// The one of this byte.
    pub fn of(byte: u8) -> Option<Form> {
        [Form::Canonical, Form::Raw].into_iter().find(|form| form.byte() == byte)
    }
}

/// Its byte where there is no record.
const ABSENT: u8 = b'a';

/// The leaf of a record.
#[inline]
pub fn leaf(id: StreamId, seq: u64, form: Form, body: &[u8]) -> Hash {
    id.algorithm().hash(&[&head(id, seq, form.byte()), body])
}

/// The leaf of a place whose record was gone before it was sealed.
pub fn absent(id: StreamId, seq: u64) -> Hash {
    id.algorithm().hash(&[&head(id, seq, ABSENT)])
}

/// What stands before the body: so no leaf is the leaf of another place.
#[inline(always)]
fn head(id: StreamId, seq: u64, form: u8) -> [u8; 26] {
    let mut head = [0; 26];
    head[1..17].copy_from_slice(&id.0);
    head[17..25].copy_from_slice(&seq.to_be_bytes());
    head[25] = form;
    head
}

/// The form of a whole record without its frame: canonical where it is exactly what `canonical` writes of fields that no
/// pipeline claims, and no key has an escape.
#[inline]
pub fn form(body: &[u8]) -> Form {
    if body == b"{}" || is_canonical(body).is_some() {
        Form::Canonical
    } else {
        Form::Raw
    }
}

/// One flat object of strings, keys ascending, no blanks, escapes only where they must be.
fn is_canonical(body: &[u8]) -> Option<()> {
    let mut marks = Marks::new(body, 0);
    if !body.starts_with(b"{\"") || marks.pass() != 1 {
        return None;
    }
    marks.foreign = marks.seen.foreign;
    let (mut at, mut order) = (2, Order::default());
    loop {
        // A key with an escape ends here and has no quote.
        let to = marks.pass();
        let key = body.get(at..to)?;
        if body.get(to..to + 3)? != b"\":\"" || !order.takes(key, &body[at..]) {
            return None;
        }
        marks.pass();
        let end = marks.string_end(is_canonical_escape)?;
        match body.get(end + 1..end + 3) {
            Some(b",\"") => drop(marks.pass()),
            None if body.len() == end + 2 && body[end + 1] == b'}' => break,
            _ => return None,
        }
        at = end + 3;
    }
    (!marks.foreign || std::str::from_utf8(body).is_ok()).then_some(())
}

/// Escapes as `canonical` writes them.
#[inline(always)]
fn is_canonical_escape(escape: &[u8]) -> bool {
    match escape {
        [b'b' | b'f' | b'n' | b'r' | b't', ..] => true,
        [b'u', digits @ ..] => digits.get(..4).is_some_and(is_shortest),
        _ => false,
    }
}

/// Whether these four digits are a control character that has no shorter escape.
fn is_shortest(digits: &[u8]) -> bool {
    match digits {
        [b'0', b'0', b'0', low] => matches!(low, b'0'..=b'7' | b'b' | b'e' | b'f'),
        [b'0', b'0', b'1', low] => matches!(low, b'0'..=b'9' | b'a'..=b'f'),
        _ => false,
    }
}

/// Whether pipelines on the way to an index add a field of this name: it says nothing of the record.
pub fn is_foreign(name: &str) -> bool {
    is_claimed(name.as_bytes())
}

/// The canonical form of these fields, in any order.
pub fn canonical<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut fields: Vec<(&str, &str)> = fields.into_iter().collect();
    fields.sort_unstable();
    let mut out = Vec::with_capacity(2 + fields.iter().map(|(k, v)| k.len() + v.len() + 6).sum::<usize>());
    for (i, (key, value)) in fields.into_iter().enumerate() {
        out.push(if i == 0 { b'{' } else { b',' });
        push_string(&mut out, key);
        out.push(b':');
        push_string(&mut out, value);
    }
    if out.is_empty() {
        out.push(b'{');
    }
    out.push(b'}');
    out
}

/// serde_json escapes just so, as the database does, which writes with it.
fn push_string(out: &mut Vec<u8>, text: &str) {
    if json::stands_as_it_is(text) {
        json::push_parts(out, &[b"\"", text.as_bytes(), b"\""]);
    } else {
        // Writing a string into memory does not fail.
        let _ = serde_json::to_writer(out, text);
    }
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How long `text` is.
pub const TEXT_BYTES: usize = 43;

/// A hash as it travels in an event: base64url without padding.
pub fn text(hash: &Hash) -> [u8; TEXT_BYTES] {
    // Whole groups, and no loop over letters: this is done for every event that is delivered.
    let mut out = [0; TEXT_BYTES];
    let letter = |n: u32, at: u32| LETTERS[(n >> at & 63) as usize];
    for (four, three) in out.chunks_exact_mut(4).zip(hash.chunks_exact(3)) {
        let n = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        four.copy_from_slice(&[letter(n, 18), letter(n, 12), letter(n, 6), letter(n, 0)]);
    }
    let n = u32::from_be_bytes([0, hash[30], hash[31], 0]);
    out[40..].copy_from_slice(&[letter(n, 18), letter(n, 12), letter(n, 6)]);
    out
}

/// Reads what `text` writes, and nothing else.
pub fn of_text(text: &str) -> Option<Hash> {
    let standard = |b: u8| match b {
        b'-' => Some('+'),
        b'_' => Some('/'),
        b'+' | b'/' => None,
        _ => Some(char::from(b)),
    };
    let text = text.bytes().map(standard).collect::<Option<String>>()?;
    of_base64(&text)?.try_into().ok()
}

/// What an algorithm says of nothing: the root of an empty tree.
pub(super) fn empty(algorithm: Algorithm) -> Hash {
    algorithm.hash(&[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::{Ending, Splitter};
    use serde_json::{Map, Value};

    const RECORD: &str = r#"{"id":"1.0.2","initiator":"admin","message":"say \"hi\" \\ 100%\n\u001f","severity":"low","time":"2026-11-21T01:27:57.349+0000","title":"dml","user":"пользователь"}"#;

    /// The same by the letter: read, and written again.
    fn slow(body: &[u8]) -> Form {
        let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(body) else { return Form::Raw };
        let pairs: Option<Vec<(&str, &str)>> =
            fields.iter().map(|(k, v)| v.as_str().map(|v| (k.as_str(), v))).collect();
        let Some(pairs) = pairs else { return Form::Raw };
        let escape = |key: &str| key.bytes().any(|b| b < b' ' || b == b'"' || b == b'\\');
        match pairs.iter().any(|(key, _)| is_foreign(key) || escape(key)) || canonical(pairs) != body {
            true => Form::Raw,
            false => Form::Canonical,
        }
    }

    #[test]
    fn what_the_database_writes_is_canonical_and_hardly_anything_else() {
        for canonical in [RECORD, "{}", r#"{"":""}"#, r#"{"a":"b","aa":"\b\f\n\r\t\u0000\u0019\u007f"}"#] {
            let wanted = slow(canonical.as_bytes());
            assert_eq!(form(canonical.as_bytes()), wanted, "{canonical}");
            assert_eq!(wanted == Form::Raw, canonical.contains("u007f"), "{canonical}");
        }
        for (from, to) in [
            ("id\":", "id\": "),
            ("{", " {"),
            ("}", "} "),
            ("}", "}}"),
            ("}", ""),
            ("}", "\n"),
            ("initiator", "id"),
            ("initiator", "ic"),
            ("initiator", "log"),
            ("title", "type"),
            ("title", "_id"),
            ("title", "u\\n"),
            ("\"dml\"", "1"),
            ("\"dml\"", "{}"),
            ("\"dml\"", "null"),
            ("dml", "\\/"),
            ("dml", "\\u0041"),
            ("dml", "\\u000a"),
            ("dml", "\\u001F"),
            ("dml", "\\u00"),
            ("dml", "\\ud83d\\ude00"),
            ("dml", "\u{1}"),
            ("dml", "\\"),
            ("low\",", "low\""),
        ] {
            let other = RECORD.replacen(from, to, 1);
            assert_ne!(other, RECORD);
            assert_eq!((form(other.as_bytes()), slow(other.as_bytes())), (Form::Raw, Form::Raw), "{other}");
        }
        assert_eq!(form(b"{\"a\":\"\xff\"}"), Form::Raw);
        for nothing in ["", "{", "[]", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":\"", "{\"a\":\"\\", "1"] {
            assert_eq!(form(nothing.as_bytes()), Form::Raw, "{nothing}");
        }
    }

    #[test]
    fn whatever_comes_is_judged_as_by_the_letter() {
        let alphabet = b"{}[]\",:\\u0nabz/\n\r .\xd1\x8f\x01\xff9";
        let mut seed = 11u64;
        let mut next = |n: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % n
        };
        let (mut canonical, mut at_a_stride) = (0, 0);
        for _ in 0..40_000 {
            let user = ["пользователь", "user"][next(2)];
            let data = RECORD.replace("admin", &"x".repeat(next(80))).replace("пользователь", user);
            let data = data.replace("\\u001f", ["\\u001f", ""][next(2)]);
            let mut data = data.into_bytes();
            for _ in 0..next(3) {
                let at = next(data.len());
                match next(4) {
                    0 => data[at] = alphabet[next(alphabet.len())],
                    1 if data.len() > 1 => drop(data.remove(at)),
                    2 => data.insert(at, alphabet[next(alphabet.len())]),
                    _ => data.truncate(at + 1),
                }
            }
            assert_eq!(form(&data), slow(&data), "{}", String::from_utf8_lossy(&data));
            canonical += usize::from(form(&data) == Form::Canonical);
            // Whoever separates records may have seen it already.
            let mut items = Vec::new();
            data.push(b'\n');
            Splitter::new(1 << 20, 0).for_leaves(true).split(&data, Ending::Ended, 10, &mut items);
            for item in items.iter().filter(|i| i.canonical) {
                assert_eq!(form(item.raw.of(&data)), Form::Canonical, "{}", String::from_utf8_lossy(&data));
                at_a_stride += 1;
            }
        }
        assert!(canonical > 10_000 && at_a_stride > 5_000, "{canonical} {at_a_stride}");
    }

    #[test]
    fn fields_in_any_order_give_the_same_bytes() {
        let fields: Map<String, Value> = serde_json::from_str(RECORD).unwrap();
        let pairs: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap())).collect();
        assert_eq!(canonical(pairs.iter().rev().copied()), RECORD.as_bytes());
        assert_eq!(canonical([]), b"{}");
    }

    #[test]
    fn a_leaf_depends_on_all_that_it_is_made_of() {
        let id = |algorithm| StreamId::new(1, [2; 9], algorithm);
        let all = Algorithm::ALL.map(id).map(|id| {
            let body = RECORD.as_bytes();
            [
                leaf(id, 7, Form::Canonical, body),
                leaf(id, 7, Form::Raw, body),
                leaf(id, 8, Form::Canonical, body),
                leaf(StreamId::new(2, [2; 9], id.algorithm()), 7, Form::Canonical, body),
                leaf(id, 7, Form::Canonical, &body[1..]),
                absent(id, 7),
                absent(id, 8),
            ]
        });
        let mut all = all.concat();
        let by_hand = [b"\0", &id(Algorithm::Sha256).0[..], &[0, 0, 0, 0, 0, 0, 0, 7], b"a"].concat();
        assert_eq!(absent(id(Algorithm::Sha256), 7), Algorithm::Sha256.hash(&[&by_hand]));
        for hash in &all {
            let text = String::from_utf8(text(hash).to_vec()).unwrap();
            assert_eq!(of_text(&text), Some(*hash));
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 14);
        assert_eq!(&text(&[0xff; 32]), b"__________________________________________8");
        let good = "__________________________________________8";
        for bad in [&good[1..], &good.replace('8', "9"), &good.replacen('_', "/", 1), &format!("{good}="), "", "я"] {
            assert_eq!(of_text(bad), None, "{bad}");
        }
    }
}
