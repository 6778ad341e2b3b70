//! Graphite's lines ○: `path value seconds`. Histograms stay cumulative, as everywhere else.

use super::lines::{self, Written};
use super::names::{self, Style};
use super::text::put_number;
use crate::metrics::assemble::Assembled;
use std::io::Write;

/// Writes a page.
pub fn put(page: &Assembled<'_>, prefix: &str, style: Style, out: &mut Vec<u8>) -> Written {
    let seconds = page.at_ms.div_euclid(1000);
    lines::each(
        page,
        out,
        |out, f, s| names::put(out, prefix, f, s, style),
        |out, _, s, _| {
            out.push(b' ');
            put_number(out, s.value);
            // Writing to memory cannot fail.
            let _ = writeln!(out, " {seconds}");
        },
    )
}

/// For `--once`.
pub fn write(page: &Assembled<'_>, out: &mut Vec<u8>) {
    put(page, "", Style::Dots, out);
}

#[cfg(test)]
mod tests {
    use super::super::sample::{page, sample};
    use super::*;

    #[test]
    fn a_line_has_path_value_and_second() {
        let (snapshot, mut out) = (sample(), Vec::new());
        let written = put(&page(&snapshot), "pico.", Style::Dots, &mut out);
        let text = String::from_utf8(out).unwrap();
        let want = [
            "pico.a_total 3 1795224477",
            "pico.b.who.a_b_c.x._______ -1.5 1795224477",
            "pico.h_bucket.le.0_1 1 1795224477",
            "pico.h_bucket.le._Inf 4 1795224477",
            "pico.h_sum 2.5 1795224477",
            "pico.h_count 4 1795224477",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), want);
        assert_eq!(written, Written { samples: 6, not_finite: 2, collisions: 1, refused: 0 });
    }
}
