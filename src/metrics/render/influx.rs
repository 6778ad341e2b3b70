//! InfluxDB's line protocol ○: `family,label=value value=1.5 nanoseconds`.
//!
//! Each family is a measurement with one field, `value`, always a float: a field that is once an integer can never be
//! anything else. Labels are tags. Refuses: an empty tag, which the protocol has no word for.

use super::lines::{self, Written};
use super::text::put_number;
use crate::metrics::assemble::Assembled;
use std::io::Write;

/// Writes a page.
pub fn put(page: &Assembled<'_>, prefix: &str, out: &mut Vec<u8>) -> Written {
    lines::each(
        page,
        out,
        |out, f, s| {
            escaped(out, prefix);
            escaped(out, &f.name);
            out.extend_from_slice(s.part.suffix().as_bytes());
            for (name, value) in f.pairs(s).filter(|(_, value)| !value.is_empty()) {
                out.push(b',');
                escaped(out, name);
                out.push(b'=');
                escaped(out, &value);
            }
        },
        |out, _, s, _| {
            out.extend_from_slice(b" value=");
            put_number(out, s.value);
            let _ = writeln!(out, " {}000000", page.at_ms);
        },
    )
}

/// For `--once`.
pub fn write(page: &Assembled<'_>, out: &mut Vec<u8>) {
    put(page, "", out);
}

/// A backslash at the end would escape what follows; a control character has no escape.
fn escaped(out: &mut Vec<u8>, text: &str) {
    let last = text.len().wrapping_sub(1);
    for (i, b) in text.bytes().enumerate() {
        match b {
            b',' | b'=' | b' ' => out.extend_from_slice(&[b'\\', b]),
            b'\\' if i == last => out.push(b'_'),
            0..=31 | 127 => out.push(b'_'),
            b => out.push(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{page, sample};
    use super::*;

    #[test]
    fn what_the_protocol_means_something_by_is_escaped() {
        let (snapshot, mut out) = (sample(), Vec::new());
        let written = put(&page(&snapshot), "", &mut out);
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "a_total value=3 1795224477349000000");
        assert_eq!(lines[1], r#"b,who=a\ b.c,x=~;\=\,\"_ value=-1.5 1795224477349000000"#);
        assert_eq!(lines[3], "h_bucket,le=0.1 value=1 1795224477349000000");
        assert_eq!(written, Written { samples: 7, not_finite: 2, collisions: 0, refused: 0 });
    }

    #[test]
    fn a_backslash_escapes_nothing_that_follows() {
        let mut out = Vec::new();
        escaped(&mut out, "a\\");
        assert_eq!(out, b"a_");
    }
}
