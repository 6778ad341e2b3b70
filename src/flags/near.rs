//! ○ Foreign words in our sentences: the nearest known name, and how a foreign word is shown.
//!
//! Refuses to do: show control characters, or more than a terminal line, of anything it was given.

use crate::limits::{FLAGS_NEAR_CHARS, FLAGS_SHOWN_CHARS};

/// A foreign word in backticks, cut, with its control characters escaped.
pub fn shown(word: &str) -> String {
    let mut out = String::from("`");
    for (at, c) in word.chars().enumerate() {
        if at == FLAGS_SHOWN_CHARS {
            out.push('…');
            break;
        }
        if unprintable(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out.push('`');
    out
}

/// Control characters, and those that turn the direction of the text around them.
pub(super) fn unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The known name that a wrong one was probably meant to be.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().take(FLAGS_NEAR_CHARS + 1).count();
    if !(2..=FLAGS_NEAR_CHARS).contains(&length) {
        return None;
    }
    let allowed = (length / 3).max(1);
    let ranked = known.map(|name| (distance(word, name), name));
    ranked.filter(|(steps, _)| *steps <= allowed).min_by_key(|(steps, _)| *steps).map(|(_, name)| name)
}

/// « (did you mean `x`?)», or nothing.
pub(super) fn hint<'a>(word: &str, prefix: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(word, known).map(|name| format!(" (did you mean `{prefix}{name}`?)")).unwrap_or_default()
}

/// Insertions, deletions, changes and swaps of neighbours from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut this = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            this[j] = (last[j] + 1).min(this[j - 1] + 1).min(last[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                this[j] = this[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, this);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, steps) in
            [("", "", 0), ("", "ab", 2), ("ulr", "url", 1), ("kitten", "sitting", 3), ("имя", "имъя", 1)]
        {
            assert_eq!(distance(a, b), steps, "{a} {b}");
            assert_eq!(distance(b, a), steps, "{b} {a}");
        }
    }

    #[test]
    fn nearest_is_near_or_nothing() {
        let known = ["url", "user", "gzip", "spool-dir"];
        assert_eq!(nearest("ulr", known.into_iter()), Some("url"));
        assert_eq!(nearest("spooldir", known.into_iter()), Some("spool-dir"));
        assert_eq!(nearest("zzzz", known.into_iter()), None);
        assert_eq!(nearest("u", known.into_iter()), None);
        assert_eq!(nearest(&"u".repeat(1_000_000), known.into_iter()), None);
    }

    #[test]
    fn shown_is_harmless() {
        assert_eq!(shown("a\u{1b}[2Jb"), "`a\\u{1b}[2Jb`");
        assert_eq!(shown("a\u{202e}b"), "`a\\u{202e}b`");
        assert_eq!(shown(&"я".repeat(500)).chars().count(), FLAGS_SHOWN_CHARS + 3);
    }
}
