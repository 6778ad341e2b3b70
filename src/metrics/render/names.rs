//! What a series is called where names are all there is ○: by its family, and by its labels in one of several styles.
//!
//! The same series has the same name for ever: labels stand in the order of their names, and what a protocol cannot carry
//! becomes `_`. Refuses: to give two series one name without a word; who writes names asks `Seen`.

use crate::hash::xxh64;
use crate::metrics::snapshot::{Family, Sample};
use std::collections::HashSet;

/// How labels become part of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `name.label.value`
    Dots,
    /// `name;label=value`, as graphite has it.
    Semicolons,
    /// Not at all: they stand elsewhere.
    Bare,
}

/// Writes the name of a series.
pub fn put(out: &mut Vec<u8>, prefix: &str, f: &Family, s: &Sample, style: Style) {
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(f.name.as_bytes());
    out.extend_from_slice(s.part.suffix().as_bytes());
    for (name, value) in f.pairs(s) {
        match style {
            Style::Bare => return,
            Style::Dots => {
                out.push(b'.');
                put_plain(out, name, dot_free);
                out.push(b'.');
                put_plain(out, &value, dot_free);
            }
            Style::Semicolons => {
                out.push(b';');
                put_plain(out, name, tag_free);
                out.push(b'=');
                // A tag's value does not begin so.
                if value.starts_with('~') {
                    out.push(b'_');
                }
                put_plain(out, &value, tag_free);
            }
        }
    }
}

/// A part of a path: letters, digits, `_`, `-`, and what is no ASCII.
fn dot_free(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || (!c.is_ascii() && !c.is_whitespace() && !c.is_control())
}

/// A tag of graphite.
fn tag_free(c: char) -> bool {
    !(c.is_whitespace() || c.is_control() || matches!(c, ';' | '!' | '^' | '='))
}

/// A text with `_` in place of what is not free; never empty.
pub fn put_plain(out: &mut Vec<u8>, text: &str, free: impl Fn(char) -> bool) {
    if text.is_empty() {
        out.push(b'_');
    }
    let mut bytes = [0; 4];
    for c in text.chars().map(|c| if free(c) { c } else { '_' }) {
        out.extend_from_slice(c.encode_utf8(&mut bytes).as_bytes());
    }
}

/// The names of one page: two series that would have the same one are found.
#[derive(Debug, Default)]
pub struct Seen(HashSet<u64>);

impl Seen {
    /// Whether nobody had this name yet.
    pub fn is_new(&mut self, name: &[u8]) -> bool {
        self.0.insert(xxh64(name, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;

    #[test]
    fn a_name_says_all_labels_in_each_style() {
        let snapshot = sample();
        let family = snapshot.family("b").unwrap();
        let name = |i: usize, style| {
            let mut out = Vec::new();
            put(&mut out, "p.", family, &family.samples()[i], style);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(name(0, Style::Dots), "p.b.who.a_b_c.x._______");
        assert_eq!(name(0, Style::Semicolons), "p.b;who=a_b.c;x=_~__,\\\"_");
        assert_eq!(name(0, Style::Bare), "p.b");
        let mut seen = Seen::default();
        assert!(seen.is_new(name(0, Style::Dots).as_bytes()));
        // Two series, one name: found.
        assert!(!seen.is_new(name(1, Style::Dots).as_bytes()));
        assert!(seen.is_new(name(1, Style::Semicolons).as_bytes()));
    }
}
