//! ○ What syslog and journald put around a record: recognised, so that the record counts as what it is, and kept with it.
//!
//! ```text
//! <14>Nov 29 08:47:45 [host] picodata[6171]: {…}                       RFC 3164, also with an RFC 3339 time
//! <14>1 2026-11-29T08:47:45.1Z host picodata 6171 - - {…}              RFC 5424
//! __CURSOR=…⏎ KEY=value⏎ MESSAGE={…}⏎ ⏎                                 journalctl -o export: an entry, to its blank line
//! ```
//!
//! A record keeps its frame in the spool; facts, document id and delivery see what stands inside, so that an event is the same
//! one by whichever way it comes. Refuses: to take a line for a frame that is not quite one.

use crate::json::Span;
use crate::limits;
use crate::stamp::parse_written;

/// How an entry of journald begins.
const ENTRY: &[u8] = b"__CURSOR=";
/// What is written where an entry may have been broken off: it comes again, and what is there of it is none.
pub const TORN: &[u8] = b"__TORN=1\n\n";

/// A record inside of its frame; spans are within the whole, and empty where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// What was framed.
    pub body: Span,
    /// When it was sent: as it was written there; of journald in microseconds.
    pub time: Span,
    /// From which machine.
    pub host: Span,
    /// Where in the journal it stands.
    pub cursor: Span,
}

/// The frame around a record, if there is one.
#[inline]
pub fn of(raw: &[u8]) -> Option<Frame> {
    match raw.first()? {
        b'<' => syslog(raw),
        b'_' if is_entry(raw) => entry(raw).map(|(frame, _)| frame),
        _ => None,
    }
}

/// Whether an entry of journald begins here.
#[inline]
pub fn is_entry(data: &[u8]) -> bool {
    data.starts_with(ENTRY) || data.starts_with(TORN)
}

/// How long the entry is that begins here, with its blank line, and whether it is whole; none: it is not all there yet.
pub fn entry_bytes(data: &[u8]) -> Option<(usize, bool)> {
    let whole = entry(data).and_then(|(_, bytes)| bytes);
    // Where one was broken off, its last field has swallowed what follows.
    let torn = memchr::memmem::find(&data[..whole.unwrap_or(data.len())], TORN).map(|n| n + TORN.len());
    torn.map(|bytes| (bytes, false)).or(whole.map(|bytes| (bytes, true)))
}

fn span(from: usize, to: usize) -> Span {
    Span { from, to }
}

/// Goes from word to word.
struct Words<'a> {
    raw: &'a [u8],
    at: usize,
}

impl Words<'_> {
    /// The next one, with the blank behind it.
    fn next(&mut self) -> Option<Span> {
        let rest = self.raw.get(self.at..)?;
        let to = self.at + memchr::memchr(b' ', &rest[..rest.len().min(limits::FRAME_BYTES)])?;
        let word = span(self.at, to);
        self.at = to + 1;
        Some(word)
    }
}

/// A text of `-` says nothing.
fn said(word: Span, raw: &[u8]) -> Span {
    if word.of(raw) == b"-" {
        Span::default()
    } else {
        word
    }
}

fn syslog(raw: &[u8]) -> Option<Frame> {
    let close = memchr::memchr(b'>', &raw[..raw.len().min(5)])?;
    let number = &raw[1..close];
    if number.is_empty() || !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut words = Words { raw, at: close + 1 };
    if raw[words.at..].starts_with(b"1 ") {
        words.at += 2;
        return new_syslog(words);
    }
    let time = match old_time(&raw[words.at..]) {
        true => {
            words.at += 16;
            span(words.at - 16, words.at - 1)
        }
        false => words.next().filter(|w| parse_written(w.of(raw)).is_some())?,
    };
    let begins = |at: usize| raw.get(at) == Some(&b'{');
    let (mut host, mut tag) = (Span::default(), words.next()?);
    if !tag.of(raw).ends_with(b":") && !begins(words.at) {
        (host, tag) = (tag, words.next()?);
    }
    (tag.of(raw).ends_with(b":") || begins(words.at)).then_some(())?;
    Some(Frame { body: span(words.at, raw.len()), time, host: said(host, raw), cursor: Span::default() })
}

/// `Nov 29 08:47:45 `
fn old_time(text: &[u8]) -> bool {
    let shape = |(b, s): (&u8, &u8)| match s {
        b'a' => b.is_ascii_alphabetic(),
        b'9' => b.is_ascii_digit(),
        b'8' => b.is_ascii_digit() || *b == b' ',
        s => b == s,
    };
    text.len() >= 16 && text.iter().zip(b"aaa 89 99:99:99 ").all(shape)
}

/// Behind the version.
fn new_syslog(mut words: Words<'_>) -> Option<Frame> {
    let raw = words.raw;
    let (time, host) = (words.next()?, words.next()?);
    for _ in 0..3 {
        words.next()?;
    }
    let mut at = words.at;
    if raw.get(at) == Some(&b'-') {
        at += 1;
    }
    while raw.get(at) == Some(&b'[') {
        at = data_end(raw, at)?;
    }
    // The message may be missing; before it stands a blank, and sometimes the sign of its encoding.
    let rest = raw.get(at..)?;
    at += usize::from(rest.first() == Some(&b' '));
    at += if raw[at..].starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    Some(Frame { body: span(at, raw.len()), time: said(time, raw), host: said(host, raw), cursor: Span::default() })
}

/// Where an element of structured data ends: at its bracket, not at one in a value.
fn data_end(raw: &[u8], from: usize) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (i, b) in raw.iter().enumerate().skip(from).take(limits::FRAME_BYTES) {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => return Some(i + 1),
            _ => {}
        }
    }
    None
}

/// An entry: a field a line, `KEY=value`; one with bytes that are no text has `KEY`, then its length in eight bytes, then the
/// bytes. And how long it is with its blank line, if that is there.
fn entry(data: &[u8]) -> Option<(Frame, Option<usize>)> {
    let (mut frame, mut at) = (Frame::default(), 0);
    loop {
        let Some(line) = memchr::memchr(b'\n', &data[at..]).map(|n| at + n) else {
            // A record has its entry without the last newline.
            return (at == data.len()).then_some((frame, None));
        };
        if line == at {
            return Some((frame, Some(at + 1)));
        }
        let (key, value) = match memchr::memchr(b'=', &data[at..line]) {
            Some(n) => (span(at, at + n), span(at + n + 1, line)),
            None => {
                let length = data.get(line + 1..line + 9)?;
                let length = u64::from_le_bytes(length.try_into().ok()?);
                let from = line + 9;
                let to =
                    usize::try_from(length).ok().and_then(|n| from.checked_add(n)).filter(|to| *to < data.len())?;
                (span(at, line), span(from, to))
            }
        };
        match key.of(data) {
            b"__CURSOR" => frame.cursor = value,
            b"__REALTIME_TIMESTAMP" => frame.time = value,
            b"_HOSTNAME" => frame.host = value,
            b"MESSAGE" => frame.body = value,
            _ => {}
        }
        at = value.to + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(raw: &str) -> Option<(&str, &str, &str)> {
        let text = |s: Span| std::str::from_utf8(s.of(raw.as_bytes())).unwrap();
        of(raw.as_bytes()).map(|f| (text(f.time), text(f.host), text(f.body)))
    }

    #[test]
    fn frames_of_syslog() {
        for (raw, time, host, body) in [
            ("<14>Nov 29 08:47:45 picodata[6171]: {\"id\":1}", "Nov 29 08:47:45", "", "{\"id\":1}"),
            ("<182>Nov  9 08:47:45 db1 picodata[6171]: {}", "Nov  9 08:47:45", "db1", "{}"),
            ("<14>2026-11-29T08:47:45.5+03:00 db1 picodata: {}", "2026-11-29T08:47:45.5+03:00", "db1", "{}"),
            ("<14>Nov 29 08:47:45 db1 picodata {}", "Nov 29 08:47:45", "db1", "{}"),
            ("<14>Nov 29 08:47:45 db1 tag: plain text", "Nov 29 08:47:45", "db1", "plain text"),
            ("<14>1 2026-11-29T08:47:45Z db1 pico 61 - - {}", "2026-11-29T08:47:45Z", "db1", "{}"),
            ("<14>1 - - pico - - [a@1 k=\"]\\\"x\"][b] \u{feff}{}", "", "", "{}"),
            ("<14>1 - h a p m -", "", "h", ""),
        ] {
            assert_eq!(parts(raw), Some((time, host, body)), "{raw}");
        }
        for raw in [
            "",
            "<",
            "<>",
            "<14",
            "<14>",
            "<14>hello",
            "<14>Nov 29 08:47:45 ",
            "<x>Nov 29 08:47:45 a: {}",
            "<14>Nov 29 08:47:45 a b c d",
            "<14>1 a b c",
        ] {
            assert_eq!(parts(raw), None, "{raw}");
        }
    }

    #[test]
    fn entries_of_journald() {
        let text = "__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=17\n_HOSTNAME=db1\nMESSAGE={\"id\":\"1\"}\n\n";
        let next = format!("{text}__CURSOR=x\n");
        assert_eq!(
            (entry_bytes(next.as_bytes()), entry_bytes(text.as_bytes())),
            (Some((text.len(), true)), Some((text.len(), true)))
        );
        // Broken off anywhere, and begun again.
        for cut in 9..text.len() {
            let torn = [&text.as_bytes()[..cut], TORN, text.as_bytes()].concat();
            let (bytes, whole) = entry_bytes(&torn).unwrap();
            assert!(&torn[bytes..] == text.as_bytes() && !whole, "{cut}");
        }
        // As a record has it, without its last newline.
        let raw = &text[..text.len() - 1];
        assert_eq!(parts(raw), Some(("17", "db1", "{\"id\":\"1\"}")));
        assert_eq!(of(raw.as_bytes()).unwrap().cursor.of(raw.as_bytes()), b"s=1;i=2");
        let whole = text.as_bytes();
        assert!((0..whole.len()).all(|n| entry_bytes(&whole[..n]).is_none()), "half of one is none");
        // Bytes that are no text may hold what looks like an end.
        let bytes = b"{\n\n\xff__CURSOR=";
        let mut binary = b"__CURSOR=c\nMESSAGE\n".to_vec();
        binary.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        binary.extend_from_slice(bytes);
        binary.extend_from_slice(b"\n_HOSTNAME=h\n\n");
        assert_eq!(entry_bytes(&binary), Some((binary.len(), true)));
        assert_eq!(of(&binary).unwrap().body.of(&binary), bytes);
        binary[19..27].fill(0xff);
        assert_eq!((of(&binary), entry_bytes(&binary)), (None, None), "a length beyond all bounds");
    }
}
