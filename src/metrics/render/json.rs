//! The page as JSON ○: an array of families, each with its kind, its help and its samples. What is no number is a text.

use crate::json::push_text;
use crate::metrics::assemble::Assembled;
use crate::metrics::render::text::put_number;
use crate::metrics::snapshot::{Family, Kind, Sample};

/// Writes a page.
pub fn write(page: &Assembled<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, f) in page.families.iter().enumerate() {
        out.extend_from_slice(if i == 0 { b"\n" } else { b",\n" });
        family(f, out);
    }
    out.extend_from_slice(b"\n]\n");
}

fn family(f: &Family, out: &mut Vec<u8>) {
    let kind = match f.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Summary => "summary",
        Kind::Unknown => "unknown",
    };
    out.extend_from_slice(b"{\"name\":");
    quoted(out, &f.name);
    out.extend_from_slice(b",\"type\":");
    quoted(out, kind);
    out.extend_from_slice(b",\"help\":");
    quoted(out, &f.help);
    out.extend_from_slice(b",\"samples\":[");
    for (i, s) in f.samples().iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        sample(f, s, out);
    }
    out.extend_from_slice(b"]}");
}

fn sample(f: &Family, s: &Sample, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"name\":\"");
    out.extend_from_slice(f.name.as_bytes());
    out.extend_from_slice(s.part.suffix().as_bytes());
    out.extend_from_slice(b"\",\"labels\":{");
    for (i, (name, value)) in f.pairs(s).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        quoted(out, name);
        out.push(b':');
        quoted(out, &value);
    }
    out.extend_from_slice(b"},\"value\":");
    let quote: &[u8] = if s.value.is_finite() { b"" } else { b"\"" };
    out.extend_from_slice(quote);
    put_number(out, s.value);
    out.extend_from_slice(quote);
    out.push(b'}');
}

fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_text(out, text.as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::super::sample::{page, sample};
    use super::*;

    #[test]
    fn the_page_is_read_back_by_another_reader() {
        let (snapshot, mut out) = (sample(), Vec::new());
        write(&page(&snapshot), &mut out);
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let b = read.as_array().unwrap().iter().find(|f| f["name"] == "b").unwrap();
        assert_eq!(b["samples"][0]["labels"]["x"], "~;=,\\\"\n");
        assert_eq!(b["samples"][0]["value"], -1.5);
        let c = read.as_array().unwrap().iter().find(|f| f["name"] == "c").unwrap();
        assert_eq!(c["samples"][0]["value"], "NaN");
    }
}
