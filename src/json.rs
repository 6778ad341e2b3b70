//! ○ JSON as bytes: checking that a line is one whole object, finding its top-level fields, writing strings.
//!
//! What passes here is spliced into bodies unchanged, so that numbers and everything else stay exact. So it is as strict
//! as the strictest receiver: RFC 8259, valid UTF-8, whole surrogate pairs, bounded depth and numbers. Refuses: to build
//! a tree, to allocate, to recurse.

mod eights;
mod write;

use crate::limits;
use eights::{controls, hits, plain_bytes, word, HIGHS, PLAIN, PLAIN_OR_QUOTE};
pub use write::{from_base64, push_base64, push_number, push_parts, push_text, stands_as_it_is};

/// A stretch of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub from: usize,
    /// The byte after it.
    pub to: usize,
}

impl Span {
    /// The bytes it covers.
    pub fn of(self, text: &[u8]) -> &[u8] {
        &text[self.from..self.to]
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string; its span is between the quotes, escapes untouched.
    Text,
    /// A number, `true`, `false`, `null`.
    Scalar,
    /// An object or array.
    Nested,
}

/// A field of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Between the quotes, escapes untouched.
    pub key: Span,
    /// What it holds.
    pub kind: Kind,
    /// Strings without their quotes, the rest as it stands.
    pub value: Span,
    /// From the first quote of the key to the end of the value.
    pub whole: Span,
    /// The text ended inside this value, which is a string: `value` is its readable start.
    pub cut: bool,
}

/// Reads the object that `text` is, giving each top-level field to `see`. False when it is no whole object (what came
/// before the fault has been seen then). With `cut`, the start of a last string that the text ends in is seen too.
#[inline]
pub fn object(text: &[u8], cut: bool, see: impl FnMut(Field)) -> bool {
    object_of(text, cut, is_plain(text), see)
}

/// The same, where the caller has asked `is_plain` already.
#[inline]
pub fn object_of(text: &[u8], cut: bool, plain: bool, mut see: impl FnMut(Field)) -> bool {
    let mut r = Reader { text, at: 0, plain };
    r.blank();
    if !r.take(b'{') {
        return false;
    }
    r.blank();
    if r.take(b'}') {
        return r.ends();
    }
    loop {
        let start = r.at;
        let Some(key) = r.string() else { return false };
        r.blank();
        if !r.take(b':') {
            return false;
        }
        r.blank();
        let from = r.at;
        let Some((kind, value)) = r.value() else {
            if cut && text.get(from) == Some(&b'"') {
                let value = Span { from: from + 1, to: readable_end(text, from + 1) };
                see(Field { key, kind: Kind::Text, value, whole: Span { from: start, to: text.len() }, cut: true });
            }
            return false;
        };
        see(Field { key, kind, value, whole: Span { from: start, to: r.at }, cut: false });
        r.blank();
        if r.take(b'}') {
            return r.ends();
        }
        if !r.take(b',') {
            return false;
        }
        r.blank();
    }
}

/// Where the readable part of a string that was cut ends: no half escape, no half character, no quote.
fn readable_end(text: &[u8], from: usize) -> usize {
    let mut r = Reader { text, at: from, plain: false };
    let mut good = from;
    while r.at < text.len() && r.character().is_some() {
        good = r.at;
    }
    match std::str::from_utf8(&text[from..good]) {
        Ok(_) => good,
        Err(e) => from + e.valid_up_to(),
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// Nothing in the text needs a second look: a string ends at the next quote.
    plain: bool,
}

/// Whether all of a text is ASCII without escapes and control characters, as nearly every event is: then it is UTF-8, and
/// its strings end at the next quote. One look over everything is cheaper than a close look at each string.
#[inline]
pub fn is_plain(text: &[u8]) -> bool {
    let mut eights = text.chunks_exact(8);
    let mut odd = 0;
    for e in &mut eights {
        let w = word(e);
        odd |= w & HIGHS | hits(w, b'\\') | controls(w);
    }
    odd == 0 && eights.remainder().iter().all(|&b| b.is_ascii() && PLAIN_OR_QUOTE[usize::from(b)])
}

/// Where the next quote is.
#[inline(always)]
fn quote_at(text: &[u8]) -> Option<usize> {
    let mut eights = text.chunks_exact(8);
    let mut at = 0;
    for e in &mut eights {
        let hit = hits(word(e), b'"');
        if hit != 0 {
            return Some(at + hit.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    eights.remainder().iter().position(|&b| b == b'"').map(|n| at + n)
}

// What is called for each byte or string is always inline: the programs are built for size, and would call it.
impl Reader<'_> {
    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline(always)]
    fn take(&mut self, b: u8) -> bool {
        let is = self.peek() == Some(b);
        self.at += usize::from(is);
        is
    }

    #[inline(always)]
    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn ends(&mut self) -> bool {
        self.blank();
        self.at == self.text.len()
    }

    /// A whole string; the span is between the quotes.
    #[inline(always)]
    fn string(&mut self) -> Option<Span> {
        if !self.take(b'"') {
            return None;
        }
        let from = self.at;
        if self.plain {
            let to = from + quote_at(&self.text[from..])?;
            self.at = to + 1;
            return Some(Span { from, to });
        }
        self.careful(from)
    }

    /// The rest of a string that may hold anything.
    fn careful(&mut self, from: usize) -> Option<Span> {
        loop {
            self.at += plain_bytes(&self.text[self.at..]);
            match self.peek()? {
                b'"' => {
                    let span = Span { from, to: self.at };
                    self.at += 1;
                    return Some(span);
                }
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    /// One character or escape of a string.
    fn character(&mut self) -> Option<()> {
        match self.peek()? {
            b'\\' => self.escape(),
            b if PLAIN[usize::from(b)] => {
                self.at += 1;
                Some(())
            }
            _ => None,
        }
    }

    /// `at` stands on the backslash; it moves only over a whole escape (both halves of a surrogate pair).
    fn escape(&mut self) -> Option<()> {
        match self.text.get(self.at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => match self.unit(self.at)? {
                0xD800..=0xDBFF => {
                    (0xDC00..=0xDFFF).contains(&self.unit(self.at + 6)?).then_some(())?;
                    self.at += 12;
                }
                0xDC00..=0xDFFF => return None,
                _ => self.at += 6,
            },
            _ => return None,
        }
        Some(())
    }

    /// The number of the four hexadecimal digits behind the `\u` that begins at `at`.
    fn unit(&self, at: usize) -> Option<u32> {
        let s = self.text.get(at..at + 6)?;
        if s[0] != b'\\' || s[1] != b'u' {
            return None;
        }
        s[2..].iter().try_fold(0, |n, &b| Some(n * 16 + char::from(b).to_digit(16)?))
    }

    #[inline(always)]
    fn value(&mut self) -> Option<(Kind, Span)> {
        match self.peek()? {
            b'"' => Some((Kind::Text, self.string()?)),
            b'{' | b'[' => {
                let from = self.at;
                self.nested()?;
                Some((Kind::Nested, Span { from, to: self.at }))
            }
            _ => {
                let from = self.at;
                self.scalar()?;
                Some((Kind::Scalar, Span { from, to: self.at }))
            }
        }
    }

    fn scalar(&mut self) -> Option<()> {
        for word in [&b"true"[..], b"false", b"null"] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Some(());
            }
        }
        self.number()
    }

    fn digits(&mut self) -> usize {
        let from = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - from
    }

    fn number(&mut self) -> Option<()> {
        let from = self.at;
        self.take(b'-');
        let zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (zero && whole > 1) {
            return None;
        }
        if self.take(b'.') && self.digits() == 0 {
            return None;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if !self.take(b'-') {
                self.take(b'+');
            }
            if self.digits() == 0 {
                return None;
            }
        }
        (self.at - from <= limits::JSON_NUMBER_BYTES).then_some(())
    }

    /// An object or array, without recursion: what is open is one bit a level.
    fn nested(&mut self) -> Option<()> {
        let mut objects = 0u128;
        let mut depth = 0u32;
        loop {
            // A value begins here.
            self.blank();
            match self.peek()? {
                open @ (b'{' | b'[') => {
                    if depth == limits::JSON_DEPTH {
                        return None;
                    }
                    self.at += 1;
                    depth += 1;
                    objects = objects << 1 | u128::from(open == b'{');
                    self.blank();
                    let close = if open == b'{' { b'}' } else { b']' };
                    if !self.take(close) {
                        if open == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                    depth -= 1;
                    objects >>= 1;
                }
                b'"' => drop(self.string()?),
                _ => self.scalar()?,
            }
            // A value has ended: what follows belongs to what is open.
            loop {
                if depth == 0 {
                    return Some(());
                }
                self.blank();
                let in_object = objects & 1 == 1;
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        if in_object {
                            self.blank();
                            self.key()?;
                        }
                        break;
                    }
                    b'}' if in_object => self.at += 1,
                    b']' if !in_object => self.at += 1,
                    _ => return None,
                }
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    fn key(&mut self) -> Option<()> {
        self.string()?;
        self.blank();
        self.take(b':').then_some(())
    }
}

/// Whether a key (between its quotes) is this name, escapes considered.
pub fn key_is(key: &[u8], name: &str) -> bool {
    if !key.contains(&b'\\') {
        return key == name.as_bytes();
    }
    text_of(key).is_some_and(|k| k == name)
}

/// What a string (between its quotes, already checked) says.
pub fn text_of(inner: &[u8]) -> Option<String> {
    let inner = std::str::from_utf8(inner).ok()?;
    if !inner.contains('\\') {
        return Some(inner.to_string());
    }
    serde_json::from_str(&format!("\"{inner}\"")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Option<Vec<(String, String)>> {
        let mut all = Vec::new();
        let take = |s: Span| String::from_utf8_lossy(s.of(text.as_bytes())).into_owned();
        object(text.as_bytes(), false, |f| all.push((take(f.key), take(f.value)))).then_some(all)
    }

    #[test]
    fn finds_the_fields_of_an_object() {
        let got =
            fields(r#" {"id":"1.0.2" , "n":12345678901234567890.5e-3,"o":{"a":[1,{"b":[]},"x"]},"t":true} "#).unwrap();
        let keys: Vec<&str> = got.iter().map(|(k, _)| k.as_str()).collect();
        assert_eq!(keys, ["id", "n", "o", "t"]);
        assert_eq!((got[0].1.as_str(), got[1].1.as_str()), ("1.0.2", "12345678901234567890.5e-3"));
        assert_eq!(got[2].1, r#"{"a":[1,{"b":[]},"x"]}"#);
        assert_eq!(fields("{}"), Some(vec![]));
    }

    #[test]
    fn agrees_with_serde_json_on_a_list_of_cases() {
        let cases = [
            "{}",
            "{ }",
            "[]",
            "1",
            "",
            " ",
            "{",
            "}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{"a":01}"#,
            r#"{"a":-0}"#,
            r#"{"a":-}"#,
            r#"{"a":1.}"#,
            r#"{"a":.5}"#,
            r#"{"a":1e}"#,
            r#"{"a":1E+5}"#,
            r#"{"a":tru}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12"}"#,
            r#"{"a":"\u00e9"}"#,
            r#"{"a":"\ud83d\ude00"}"#,
            r#"{"a":"\ud83d"}"#,
            r#"{"a":"\ude00"}"#,
            r#"{"a":[1,2,]}"#,
            r#"{"a":[}"#,
            r#"{"a":{"b":1]}"#,
            r#"{"a":{"b":{}}}"#,
            r#"{"a":[[],{}]}"#,
            "{\"a\":\"\t\"}",
            "{\"a\":\"\u{44f}\"}",
            r#"{"a":1} x"#,
            r#"{"a":1}{"b":2}"#,
            r#"{"a":nul}"#,
            r#"{"a" : null}"#,
        ];
        for c in cases {
            let theirs = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(c).is_ok();
            assert_eq!(fields(c).is_some(), theirs, "{c}");
        }
    }

    #[test]
    fn random_changes_never_make_it_disagree_or_panic() {
        let escaped = br#"{"id":"1.0.2","x":[1,2.5e3,{"y":"\u00e9\n"}],"t":"2026","z":{"a":null,"b":[true,false]}}"#;
        let plain = br#"{"id":"1.0.2","message":"user logged in","x":[1,{"y":"z"}],"t":"2026-11-21T01:27:57"}"#;
        let alphabet = b"{}[]\",:\\u0eE+-.19 ntf\xd1\x8f\x01";
        let mut seed = 1u64;
        let mut next = |n: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % n
        };
        for _ in 0..50_000 {
            let mut text = [&escaped[..], &plain[..]][next(2)].to_vec();
            for _ in 0..1 + next(3) {
                let at = next(text.len());
                match next(3) {
                    0 => text[at] = alphabet[next(alphabet.len())],
                    1 => drop(text.remove(at)),
                    _ => text.insert(at, alphabet[next(alphabet.len())]),
                }
            }
            // The short way from quote to quote sees what the careful way sees.
            let (mut short, mut careful) = (Vec::new(), Vec::new());
            let ours = object(&text, true, |f| short.push(f));
            assert_eq!(ours, object_of(&text, true, false, |f| careful.push(f)), "{}", String::from_utf8_lossy(&text));
            assert_eq!(short, careful, "{}", String::from_utf8_lossy(&text));
            if std::str::from_utf8(&text).is_err() {
                continue;
            }
            let theirs = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&text);
            // A number too large for f64 is the one thing that they refuse and we let pass.
            let theirs = theirs.map_or_else(|e| e.to_string().contains("out of range"), |_| true);
            assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn depth_and_numbers_are_bounded() {
        let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(fields(&deep(100)).is_some());
        assert!(fields(&deep(limits::JSON_DEPTH as usize)).is_some());
        assert!(fields(&deep(limits::JSON_DEPTH as usize + 1)).is_none());
        assert!(fields(&format!("{{\"a\":{}}}", "1".repeat(limits::JSON_NUMBER_BYTES + 1))).is_none());
    }

    #[test]
    fn a_cut_object_shows_what_is_readable() {
        let whole = r#"{"id":"1.0.2","initiator":"admin","message":"caf\u00e9 \ud83d\ude00 я end","n":1}"#.as_bytes();
        for cut in 0..whole.len() {
            let text = &whole[..cut];
            let mut seen = Vec::new();
            assert!(!object(text, true, |f| seen.push((f.key.of(text).to_vec(), f.value.of(text).to_vec(), f.cut))));
            for (_, value, _) in &seen {
                assert!(text_of(value).is_some(), "{cut}: {}", String::from_utf8_lossy(value));
            }
            if cut > 20 {
                assert_eq!(seen[0].1, b"1.0.2");
            }
        }
    }

    #[test]
    fn writes_strings_numbers_and_base64() {
        let mut out = Vec::new();
        push_text(&mut out, b"a\"\\\n\x01\xff\xd1\x8f");
        assert_eq!(String::from_utf8(out).unwrap(), "a\\\"\\\\\\n\\u0001\u{fffd}\u{44f}");
        for (n, expect) in [(0, "0"), (7, "7"), (u64::MAX, "18446744073709551615")] {
            let mut out = Vec::new();
            push_number(&mut out, n);
            assert_eq!(out, expect.as_bytes());
        }
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            let mut out = Vec::new();
            push_base64(&mut out, plain.as_bytes());
            assert_eq!(out, coded.as_bytes());
            assert_eq!(from_base64(coded).unwrap(), plain.as_bytes());
        }
        assert!(from_base64("Zg=").is_none() && from_base64("Z!==").is_none() && from_base64("====").is_none());
        assert!(key_is(br"\u0040timestamp", "@timestamp") && key_is(b"gostech", "gostech") && !key_is(b"x", "y"));
    }
}
