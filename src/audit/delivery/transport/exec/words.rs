//! ○ What a handler answers, a line for each event: `ok ID`, `no ID why`, `later ID why`.
//!
//! The id may stand as in the event's JSON, with its escapes, or plain. Refuses: an answer to what nobody asked.

use crate::json;
use crate::limits::EXEC_WHY_CHARS;
use crate::words::line_escaped;

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is done.
    Ok,
    /// Its content is at fault.
    No,
    /// Not now.
    Later,
}

/// A line, read: the word, which of the events it is about, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The word.
    pub word: Word,
    /// By its place among the ids.
    pub event: usize,
    /// In words.
    pub why: String,
}

/// Reads a line, which is about one of `ids`; it is most likely about the one at `next`.
pub fn read<'a>(line: &[u8], next: usize, count: usize, id: impl Fn(usize) -> &'a str) -> Option<Line> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (word, rest) = [(&b"ok "[..], Word::Ok), (b"no ", Word::No), (b"later ", Word::Later)]
        .into_iter()
        .find_map(|(name, word)| Some((word, line.strip_prefix(name)?)))?;
    let about = |i: usize| {
        let mut escaped = Vec::new();
        json::push_text(&mut escaped, id(i).as_bytes());
        let behind = |id: &[u8]| match rest.strip_prefix(id)? {
            [] => Some(&[][..]),
            [b' ', why @ ..] => Some(why),
            _ => None,
        };
        behind(id(i).as_bytes()).or_else(|| behind(&escaped))
    };
    let (event, why) = (next..count).chain(0..next.min(count)).find_map(|i| Some((i, about(i)?)))?;
    let why = line_escaped(String::from_utf8_lossy(why).trim()).chars().take(EXEC_WHY_CHARS).collect();
    Some(Line { word, event, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_about_events_that_were_given() {
        let ids = ["c/i/1.0.1/ab", "c/i/1.0.12/cd", "c d\"/i/1.0.2/ef"];
        let read = |line: &str| read(line.as_bytes(), 1, ids.len(), |i| ids[i]).map(|l| (l.word, l.event, l.why));
        assert_eq!(read("ok c/i/1.0.1/ab"), Some((Word::Ok, 0, String::new())));
        assert_eq!(read("no c/i/1.0.12/cd it has no user \r"), Some((Word::No, 1, "it has no user".into())));
        assert_eq!(read("later c d\"/i/1.0.2/ef"), Some((Word::Later, 2, String::new())));
        assert_eq!(read("later c d\\\"/i/1.0.2/ef full"), Some((Word::Later, 2, "full".into())));
        for stranger in
            ["", "ok", "ok ", "ok c/i/1.0.1", "ok c/i/1.0.1/abc", "OK c/i/1.0.1/ab", "maybe c/i/1.0.1/ab", "\u{fffd}"]
        {
            assert_eq!(read(stranger), None, "{stranger}");
        }
        assert_eq!(read(&format!("no c/i/1.0.1/ab {}", "x".repeat(9_999))).map(|l| l.2.len()), Some(EXEC_WHY_CHARS));
    }
}
