//! OTLP metrics ○, protobuf: counters as monotonic sums, gauges, histograms and summaries, all cumulative, with their start.
//!
//! ```text
//! request  1: { resource 1: { attributes 1 }  scope 2: { scope 1: { name 1 version 2 }  metrics 2 } }
//! metric   name 1  description 2   one of: gauge 5  sum 7 { temporality 2  monotonic 3 }  histogram 9 { temporality 2 }  summary 11
//!          each with its points 1
//! point    start 2  time 3   number: value 4, attributes 7   histogram: count 4, sum 5, buckets 6, edges 7, attributes 9
//!          summary: count 4, sum 5, quantiles 6 { 1 2 }, attributes 7
//! ```
//!
//! When the counters began nobody says; the database's uptime on the page does. It is kept as it was read first, as long as it
//! says the same within two seconds: a start that moves is a reset. Refuses: a body without a bound.

use super::lines::Written;
use super::remote_write::{put_head, put_text};
use crate::limits;
use crate::metrics::assemble::Assembled;
use crate::metrics::snapshot::{self, Family, Kind, Part, Sample};

/// When the counters of the database began, milliseconds since the epoch.
pub type Start = Option<i64>;

/// Since when the database counts, by this page; the first answer stays while it is about the same.
pub fn start(page: &Assembled<'_>, before: Start) -> Start {
    let family = page.families.iter().find(|f| matches!(&*f.name, "pico_info_uptime" | "tnt_info_uptime"))?;
    let now = page.at_ms.saturating_sub((family.samples().first()?.value * 1000.0) as i64);
    before.filter(|b| b.abs_diff(now) <= 2000).or(Some(now))
}

/// Writes bodies.
pub fn put(page: &Assembled<'_>, prefix: &str, start: Start, out: &mut Vec<Vec<u8>>) -> Written {
    let mut metrics = Vec::new();
    for f in &page.families {
        let one = metric(f, page.at_ms, prefix, start);
        put_bytes(&mut metrics, 2, &one);
        if metrics.len() > limits::OTLP_BODY_BYTES {
            out.push(body(&std::mem::take(&mut metrics)));
        }
    }
    if !metrics.is_empty() {
        out.push(body(&metrics));
    }
    Written::whole(page)
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    put_head(out, field, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_fixed(out: &mut Vec<u8>, field: u8, bits: u64) {
    out.push(field << 3 | 1);
    out.extend_from_slice(&bits.to_le_bytes());
}

fn body(metrics: &[u8]) -> Vec<u8> {
    let (mut attributes, mut resource, mut scope, mut all, mut out) = Default::default();
    put_attribute(&mut attributes, 1, "service.name", "picodata");
    put_bytes(&mut resource, 1, &attributes);
    put_text(&mut scope, 1, "gostech-metrics");
    put_text(&mut scope, 2, env!("CARGO_PKG_VERSION"));
    put_bytes(&mut all, 1, &scope);
    all.extend_from_slice(metrics);
    put_bytes(&mut resource, 2, &all);
    put_bytes(&mut out, 1, &resource);
    out
}

fn put_attribute(out: &mut Vec<u8>, field: u8, name: &str, value: &str) {
    let (mut text, mut pair) = (Vec::new(), Vec::new());
    put_text(&mut text, 1, value);
    put_text(&mut pair, 1, name);
    put_bytes(&mut pair, 2, &text);
    put_bytes(out, field, &pair);
}

fn metric(f: &Family, at_ms: i64, prefix: &str, start: Start) -> Vec<u8> {
    let (mut out, mut points) = (Vec::new(), Vec::new());
    put_text(&mut out, 1, &format!("{prefix}{}", f.name));
    put_text(&mut out, 2, &f.help);
    let start = start.filter(|_| !matches!(f.kind, Kind::Gauge | Kind::Unknown) && !f.name.starts_with("gostech_"));
    for group in f.samples().chunk_by(|a, b| f.base(a) == f.base(b)) {
        put_bytes(&mut points, 1, &point(f, group, at_ms, start));
    }
    // Cumulative is 2.
    let (field, more): (u8, &[u8]) = match f.kind {
        Kind::Counter => (7, &[2 << 3, 2, 3 << 3, 1]),
        Kind::Gauge | Kind::Unknown => (5, &[]),
        Kind::Histogram => (9, &[2 << 3, 2]),
        Kind::Summary => (11, &[]),
    };
    points.extend_from_slice(more);
    put_bytes(&mut out, field, &points);
    out
}

/// One point: a number, or all that belongs to a histogram or a summary.
fn point(f: &Family, group: &[Sample], at_ms: i64, start: Start) -> Vec<u8> {
    let nanos = |ms: i64| (ms.max(0) as u64).saturating_mul(1_000_000);
    let mut out = Vec::new();
    if let Some(start) = start {
        put_fixed(&mut out, 2, nanos(start));
    }
    put_fixed(&mut out, 3, nanos(at_ms));
    let (mut counts, mut edges, mut before) = (Vec::new(), Vec::new(), 0.0);
    for s in group {
        let edge = f.edge(s).and_then(snapshot::number);
        match (f.kind, s.part, edge) {
            (_, Part::Sum, _) => put_fixed(&mut out, 5, s.value.to_bits()),
            (_, Part::Count, _) => put_fixed(&mut out, 4, s.value as u64),
            // Each bucket's own count, where the page has sums of them.
            (_, Part::Bucket, edge) => {
                counts.extend_from_slice(&((s.value - before) as u64).to_le_bytes());
                before = s.value;
                let finite = edge.filter(|e| e.is_finite());
                edges.extend(finite.into_iter().flat_map(f64::to_le_bytes));
            }
            (Kind::Summary, Part::Plain, Some(edge)) => {
                let mut quantile = Vec::new();
                put_fixed(&mut quantile, 1, edge.to_bits());
                put_fixed(&mut quantile, 2, s.value.to_bits());
                put_bytes(&mut out, 6, &quantile);
            }
            (_, Part::Plain, _) => put_fixed(&mut out, 4, s.value.to_bits()),
        }
    }
    if f.kind == Kind::Histogram {
        put_bytes(&mut out, 6, &counts);
        put_bytes(&mut out, 7, &edges);
    }
    let field = if f.kind == Kind::Histogram { 9 } else { 7 };
    for (name, value) in group.first().into_iter().flat_map(|s| f.base_pairs(s)) {
        put_attribute(&mut out, field, name, &value);
    }
    out
}

/// How many points an answer says were rejected, 1: { 1: number, 2: why }; nothing: it is cut, and may have said so. What is no
/// protobuf from its first byte on, as from a receiver that says the same to all, says nothing of that.
pub fn rejected(answer: &[u8]) -> Option<u64> {
    let (mut outer, mut n) = (answer, 0);
    while !outer.is_empty() {
        let Some((key, _, mut inner)) = field(&mut outer) else { return (answer[0] != PARTIAL).then_some(0) };
        while key == u64::from(PARTIAL) && !inner.is_empty() {
            let (key, value, _) = field(&mut inner)?;
            if key == 1 << 3 {
                n = value;
            }
        }
    }
    Some(n)
}

/// The key of what an answer says of those that were rejected.
const PARTIAL: u8 = 1 << 3 | 2;

/// The next field of a message: its key, its number or length, and what it holds.
fn field<'b>(bytes: &mut &'b [u8]) -> Option<(u64, u64, &'b [u8])> {
    let key = take_varint(bytes)?;
    let (n, size) = match key & 7 {
        0 => (take_varint(bytes)?, 0),
        1 => (8, 8),
        2 => take_varint(bytes).map(|n| (n, n))?,
        5 => (4, 4),
        _ => return None,
    };
    let (content, rest) = bytes.split_at_checked(usize::try_from(size).ok()?)?;
    *bytes = rest;
    Some((key, n, content))
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let end = bytes.iter().take(10).position(|b| b & 0x80 == 0)? + 1;
    let (own, rest) = bytes.split_at(end);
    *bytes = rest;
    Some(own.iter().rev().fold(0, |n, b| n << 7 | u64::from(b & 0x7f)))
}

#[cfg(test)]
mod tests {
    use super::super::remote_write::put_varint;
    use super::super::sample::{page, sample};
    use super::*;
    use crate::metrics::rules::Rules;
    use crate::metrics::snapshot::Builder;

    fn varint(bytes: &[u8]) -> (usize, &[u8]) {
        let end = bytes.iter().position(|b| b & 0x80 == 0).unwrap() + 1;
        (bytes[..end].iter().rev().fold(0, |n, b| n << 7 | usize::from(b & 0x7f)), &bytes[end..])
    }

    /// Field, and its bytes; a number of eight bytes or of any.
    fn fields(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut all = Vec::new();
        while let [key, rest @ ..] = bytes {
            let (content, rest) = match key & 7 {
                0 => {
                    let (n, rest) = varint(rest);
                    (n.to_le_bytes().to_vec(), rest)
                }
                1 => (rest[..8].to_vec(), &rest[8..]),
                _ => {
                    let (size, rest) = varint(rest);
                    (rest[..size].to_vec(), &rest[size..])
                }
            };
            all.push((key >> 3, content));
            bytes = rest;
        }
        all
    }

    fn of(bytes: &[u8], field: u8) -> Vec<Vec<u8>> {
        fields(bytes).into_iter().filter(|(f, _)| *f == field).map(|(_, b)| b).collect()
    }

    fn metrics(bodies: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
        let scopes = bodies.iter().map(|b| of(&of(b, 1)[0], 2)[0].clone());
        let all = scopes.flat_map(|s| of(&s, 2));
        all.map(|m| (String::from_utf8(of(&m, 1)[0].clone()).unwrap(), m)).collect()
    }

    /// An answer that says so much was rejected.
    fn answer(n: u64) -> Vec<u8> {
        let mut inner = vec![0x08];
        put_varint(&mut inner, n);
        let mut out = Vec::new();
        put_bytes(&mut out, 1, &inner);
        out
    }

    fn double(bits: &[u8]) -> f64 {
        f64::from_le_bytes(bits.try_into().unwrap())
    }

    #[test]
    fn each_kind_means_what_it_meant() {
        let (snapshot, mut out) = (sample(), Vec::new());
        put(&page(&snapshot), "p.", Some(1_795_224_000_000), &mut out);
        let all = metrics(&out);
        let metric = |name: &str| all.iter().find(|(n, _)| n == name).unwrap().1.clone();
        let sum = of(&metric("p.a_total"), 7)[0].clone();
        assert_eq!((of(&sum, 2)[0][0], of(&sum, 3)[0][0]), (2, 1));
        let point = of(&sum, 1)[0].clone();
        assert_eq!(double(&of(&point, 4)[0]), 3.0);
        assert_eq!(of(&point, 2)[0], 1_795_224_000_000_000_000u64.to_le_bytes());
        assert_eq!(of(&point, 3)[0], 1_795_224_477_349_000_000u64.to_le_bytes());
        let h = of(&of(&metric("p.h"), 9)[0], 1)[0].clone();
        assert_eq!(of(&h, 6)[0], [1u64.to_le_bytes(), 3u64.to_le_bytes()].concat());
        assert_eq!((of(&h, 7)[0].clone(), double(&of(&h, 5)[0])), (0.1f64.to_le_bytes().to_vec(), 2.5));
        assert_eq!((of(&h, 4)[0].clone(), of(&h, 9).len()), (4u64.to_le_bytes().to_vec(), 0));
        let b = of(&of(&metric("p.b"), 5)[0], 1)[0].clone();
        let pair = of(&b, 7)[0].clone();
        assert_eq!((of(&pair, 1)[0].as_slice(), of(&of(&pair, 2)[0], 1)[0].as_slice()), (&b"who"[..], &b"a b.c"[..]));
        assert!(of(&b, 2).is_empty(), "a gauge has no start");
    }

    #[test]
    fn a_summary_keeps_its_quantiles_and_a_start_stays() {
        let rules = Rules::default();
        let mut b = Builder::new(&rules);
        let mut add = |name: &str, kind, part, labels: &[(&'static str, &'static str)], value| {
            b.family(name, kind, "");
            b.sample(name, part, &mut labels.to_vec(), value);
        };
        add("s", Kind::Summary, Part::Plain, &[("quantile", "0.5"), ("a", "b")], 1.5);
        add("s", Kind::Summary, Part::Count, &[("a", "b")], 3.0);
        add("tnt_info_uptime", Kind::Gauge, Part::Plain, &[], 100.0);
        let (snapshot, mut out) = (b.finish().0, Vec::new());
        put(&page(&snapshot), "", None, &mut out);
        let points = of(&of(&metrics(&out)[0].1, 11)[0], 1);
        let quantile = of(&points[0], 6)[0].clone();
        assert_eq!((points.len(), of(&points[0], 7).len()), (1, 1));
        assert_eq!((double(&of(&quantile, 1)[0]), double(&of(&quantile, 2)[0])), (0.5, 1.5));
        let began = 1_795_224_477_349 - 100_000;
        let odd = |uptime| {
            let mut b = Builder::new(&rules);
            b.family("pico_info_uptime", Kind::Gauge, "");
            b.sample("pico_info_uptime", Part::Plain, &mut Vec::new(), uptime);
            let snapshot = b.finish().0;
            let start = start(&page(&snapshot), None);
            put(&page(&snapshot), "", start, &mut Vec::new());
        };
        [1e300, -1e300, f64::NAN, f64::INFINITY].into_iter().for_each(odd);
        for (before, after) in [(None, began), (Some(began - 900), began - 900), (Some(began - 9000), began)] {
            assert_eq!(start(&page(&snapshot), before), Some(after));
        }
    }

    #[test]
    fn what_is_rejected_is_read() {
        let mut inner = Vec::new();
        put_text(&mut inner, 2, &"why ".repeat(50));
        inner.extend_from_slice(&[1 << 3, 7, 9 << 3 | 5, 0, 0, 0, 0]);
        for n in [0, 7, 300, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(rejected(&answer(n)), Some(n));
        }
        // The words first, and so many that their length is two bytes; and beside fields that nobody knows.
        let mut long = vec![3 << 3, 1];
        put_bytes(&mut long, 1, &inner);
        assert_eq!(rejected(&long), Some(7));
        for cut in 3..long.len() {
            let n = rejected(&long[2..cut]);
            assert_eq!(n, None, "{cut} of {}", long.len());
        }
        assert_eq!([rejected(b""), rejected(b"{}"), rejected(b"ok\n"), rejected(b"<html>")], [Some(0); 4]);
        assert_eq!(rejected(&[0x0a, 2, 0x08, 0xff]), None);
    }
}
