//! mtail's `/varz` ○: `name{label=value,label=value} number`, nothing quoted.

use super::lines;
use super::names::put_plain;
use super::text::put_number;
use crate::metrics::assemble::Assembled;
use crate::metrics::snapshot::{Family, Sample};

/// Writes a page.
pub fn write(page: &Assembled<'_>, out: &mut Vec<u8>) {
    let free = |c: char| !(c.is_control() || matches!(c, ',' | '=' | '{' | '}'));
    let name = |out: &mut Vec<u8>, f: &Family, s: &Sample| {
        out.extend_from_slice(f.name.as_bytes());
        out.extend_from_slice(s.part.suffix().as_bytes());
        for (i, (label, value)) in f.pairs(s).enumerate() {
            out.push(if i == 0 { b'{' } else { b',' });
            put_plain(out, label, free);
            out.push(b'=');
            put_plain(out, &value, free);
        }
        out.extend_from_slice(if f.labels(s).is_empty() { b"{}" } else { b"}" });
    };
    lines::each(page, out, name, |out, _, s, _| {
        out.push(b' ');
        put_number(out, s.value);
        out.push(b'\n');
    });
}

#[cfg(test)]
mod tests {
    use super::super::sample::{page, sample};
    use super::*;

    #[test]
    fn a_line_is_as_mtail_writes_it() {
        let (snapshot, mut out) = (sample(), Vec::new());
        write(&page(&snapshot), &mut out);
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..2], ["a_total{} 3", "b{who=a b.c,x=~;__\\\"_} -1.5"]);
        assert_eq!(lines[3], "h_bucket{le=0.1} 1");
    }
}
