//! OpenMetrics 1.0 ○, strictly: a counter's family goes without `_total`, `le` and `quantile` are canonical numbers, `# EOF`.
//!
//! What this format forbids and the source has all the same keeps its name and becomes `unknown`: a counter without
//! `_total`, one that is negative or no number, and one whose short name another family has.

use super::text::{put_help, put_number};
use crate::metrics::assemble::Assembled;
use crate::metrics::snapshot::{number, Family, Kind, Part};
use std::borrow::Cow;

/// Writes a page.
pub fn write(page: &Assembled<'_>, out: &mut Vec<u8>) {
    for f in &page.families {
        let short = short_name(f, &page.families);
        let kind = match f.kind {
            Kind::Counter if short.is_none() => "unknown",
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram if sane(f) => "histogram",
            Kind::Summary if sane(f) => "summary",
            Kind::Histogram | Kind::Summary => continue,
            Kind::Unknown => "unknown",
        };
        family(f, short.unwrap_or(&f.name), kind, out);
    }
    out.extend(b"# EOF\n");
}

/// The counter's name without `_total`, if it may be one here.
fn short_name<'f>(f: &'f Family, families: &[Cow<'_, Family>]) -> Option<&'f str> {
    let short = f.name.strip_suffix("_total").filter(|s| !s.is_empty() && f.kind == Kind::Counter)?;
    let taken = families.binary_search_by(|g| (*g.name).cmp(short)).is_ok();
    let good = f.samples().iter().all(|s| s.value >= 0.0);
    (good && !taken).then_some(short)
}

/// Sums and counts that this format takes: numbers from zero up.
fn sane(f: &Family) -> bool {
    f.samples().iter().all(|s| s.part == Part::Plain || s.value >= 0.0)
}

fn family(f: &Family, name: &str, kind: &str, out: &mut Vec<u8>) {
    let line = |out: &mut Vec<u8>, word: &str| {
        out.extend_from_slice(b"# ");
        out.extend_from_slice(word.as_bytes());
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        out.push(b' ');
    };
    line(out, "TYPE");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'\n');
    if !f.help.is_empty() {
        line(out, "HELP");
        put_help(out, &f.help, true);
        out.push(b'\n');
    }
    for s in f.samples() {
        out.extend_from_slice(f.name.as_bytes());
        out.extend_from_slice(s.part.suffix().as_bytes());
        match f.edge(s) {
            Some(edge) => edged(f.base(s), if s.part == Part::Bucket { "le" } else { "quantile" }, edge, out),
            None => plain(f.labels(s), out),
        }
        out.push(b' ');
        put_number(out, s.value);
        out.push(b'\n');
    }
}

fn plain(labels: &str, out: &mut Vec<u8>) {
    if !labels.is_empty() {
        out.push(b'{');
        out.extend_from_slice(labels.as_bytes());
        out.push(b'}');
    }
}

/// Labels and the canonical `le` or `quantile`: always with a point, as this format wants.
fn edged(base: &str, name: &str, edge: &str, out: &mut Vec<u8>) {
    out.push(b'{');
    out.extend_from_slice(base.as_bytes());
    if !base.is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    let from = out.len();
    put_number(out, number(edge).unwrap_or(f64::NAN));
    if out[from..].iter().all(|b| b.is_ascii_digit() || *b == b'-') {
        out.extend_from_slice(b".0");
    }
    out.extend_from_slice(b"\"}");
}

#[cfg(test)]
mod tests {
    use crate::metrics::assemble::Assembled;
    use crate::metrics::render::{Render, OPENMETRICS, PROMETHEUS};
    use crate::metrics::rules::Rules;
    use crate::metrics::snapshot::Builder;
    use crate::metrics::text;

    fn through(page: &str, render: &Render) -> String {
        let rules = Rules::default();
        let mut b = Builder::new(&rules);
        text::read(page, &mut b);
        let (s, tally) = b.finish();
        assert_eq!(tally.total(), 0, "{tally:?}");
        let mut out = Vec::new();
        (render.write)(&Assembled::of([&s], &[], 0), &mut out);
        String::from_utf8(out).expect("text")
    }

    const PAGE: &str = "# HELP x_total a \"x\"\\n\n# TYPE x_total counter\nx_total{a=\"1\"} 5\n\
        # TYPE y counter\ny 1\n# TYPE z_total counter\nz_total -1\n# TYPE w_total counter\nw_total 1\n# TYPE w gauge\nw NaN\n\
        # TYPE h histogram\nh_bucket{le=\"1\",a=\"b\"} 1\nh_bucket{le=\"+Inf\",a=\"b\"} 2\nh_bucket{a=\"b\",le=\"0.5\"} 1\n\
        h_sum{a=\"b\"} 3\nh_count{a=\"b\"} 2\n# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\n";

    #[test]
    fn the_same_page_in_both_formats() {
        let om = through(PAGE, &OPENMETRICS);
        assert_eq!(
            om,
            "# TYPE h histogram\nh_bucket{a=\"b\",le=\"0.5\"} 1\nh_bucket{a=\"b\",le=\"1.0\"} 1\n\
             h_bucket{a=\"b\",le=\"+Inf\"} 2\nh_sum{a=\"b\"} 3\nh_count{a=\"b\"} 2\n\
             # TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\n# TYPE w gauge\nw NaN\n\
             # TYPE w_total unknown\nw_total 1\n# TYPE x counter\n# HELP x a \\\"x\\\"\\n\nx_total{a=\"1\"} 5\n\
             # TYPE y unknown\ny 1\n# TYPE z_total unknown\nz_total -1\n# EOF\n"
        );
        let text = through(PAGE, &PROMETHEUS);
        assert!(
            text.starts_with("# TYPE h histogram\nh_bucket{a=\"b\",le=\"0.5\"} 1\nh_bucket{a=\"b\",le=\"1\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("# HELP x_total a \"x\"\\n\n# TYPE x_total counter\n"), "{text}");
        // What was written is what is read again.
        assert_eq!(through(&text, &PROMETHEUS), text);
    }
}
