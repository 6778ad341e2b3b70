//! The Prometheus text format 0.0.4 ○, strictly: one HELP and TYPE a family, families in one block, no timestamps but
//! where the reader of the page is no scraper and asks for them.

use super::text::{put_help, put_number};
use crate::metrics::assemble::Assembled;
use crate::metrics::snapshot::{Family, Kind};

/// Writes a page.
pub fn write(page: &Assembled<'_>, out: &mut Vec<u8>) {
    page.families.iter().for_each(|f| family(f, b"\n", out));
}

/// The same with the time of the reading behind each number.
pub fn write_timed(page: &Assembled<'_>, out: &mut Vec<u8>) {
    let end = format!(" {}\n", page.at_ms);
    page.families.iter().for_each(|f| family(f, end.as_bytes(), out));
}

fn family(f: &Family, end: &[u8], out: &mut Vec<u8>) {
    if !f.help.is_empty() {
        out.extend(b"# HELP ");
        out.extend(f.name.bytes());
        out.push(b' ');
        put_help(out, &f.help, false);
        out.push(b'\n');
    }
    out.extend(b"# TYPE ");
    out.extend(f.name.bytes());
    out.extend(match f.kind {
        Kind::Counter => &b" counter\n"[..],
        Kind::Gauge => b" gauge\n",
        Kind::Histogram => b" histogram\n",
        Kind::Summary => b" summary\n",
        Kind::Unknown => b" untyped\n",
    });
    for s in f.samples() {
        out.extend_from_slice(f.name.as_bytes());
        out.extend_from_slice(s.part.suffix().as_bytes());
        let labels = f.labels(s);
        if !labels.is_empty() {
            out.push(b'{');
            out.extend_from_slice(labels.as_bytes());
            out.push(b'}');
        }
        out.push(b' ');
        put_number(out, s.value);
        out.extend_from_slice(end);
    }
}
