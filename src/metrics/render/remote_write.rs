//! Prometheus' remote write 1.0 ○: protobuf, packed by snappy's block format.
//!
//! ```text
//! WriteRequest  1: TimeSeries…
//! TimeSeries    1: Label… (sorted by name, `__name__` among them)   2: Sample
//! Label         1: name   2: value            Sample  1: double   2: milliseconds
//! ```
//!
//! A series that was there before and is gone ends with a staleness marker, so that no graph goes on where nothing is.
//! Nothing is left out: every number has a place here, also one that is none. Refuses: to compress; literals are valid snappy,
//! and what is pushed in ten seconds is small.

use super::lines::Written;
use crate::hash::xxh64;
use crate::limits;
use crate::metrics::assemble::Assembled;
use crate::metrics::snapshot::{Family, Sample};
use crate::sorted;
use std::collections::HashMap;

/// The value that says: nothing more of this series.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// The series of the last push: their labels as they were sent, by hash.
#[derive(Clone, Debug, Default)]
pub struct Carry(HashMap<u64, Box<[u8]>>);

/// Labels that a series gets when it has none of that name.
pub type Extra = [(String, String)];

/// Writes a page as bodies of requests; what is to be carried to the next push counts once all of them are taken.
pub fn put(page: &Assembled<'_>, prefix: &str, extra: &Extra, carry: &Carry) -> (Written, Vec<Vec<u8>>, Carry) {
    let (mut out, mut next, mut written) = (Bodies::default(), Carry::default(), Written::default());
    let mut labels = Vec::new();
    for f in &page.families {
        for s in f.samples() {
            labels.clear();
            put_labels(&mut labels, prefix, f, s, extra);
            if next.0.insert(xxh64(&labels, 0), labels.as_slice().into()).is_some() {
                written.collisions += 1;
                continue;
            }
            out.add(&labels, s.value.to_bits(), page.at_ms);
            written.samples += 1;
        }
    }
    for (_, gone) in carry.0.iter().filter(|(key, _)| !next.0.contains_key(*key)) {
        out.add(gone, STALE, page.at_ms);
    }
    (written, out.finish(), next)
}

fn put_labels(out: &mut Vec<u8>, prefix: &str, f: &Family, s: &Sample, extra: &Extra) {
    let name = format!("{prefix}{}{}", f.name, s.part.suffix());
    let mut all: Vec<(&str, std::borrow::Cow<'_, str>)> = f.pairs(s).filter(|(_, value)| !value.is_empty()).collect();
    all.push(("__name__", name.as_str().into()));
    for (name, value) in extra {
        if !all.iter().any(|(n, _)| n == name) {
            all.push((name, value.as_str().into()));
        }
    }
    sorted::by(&mut all, |a, b| a.0 < b.0);
    for (name, value) in all {
        let size = text_size(name) + text_size(&value);
        put_head(out, 1, size);
        put_text(out, 1, name);
        put_text(out, 2, &value);
    }
}

/// Bodies of bounded size.
#[derive(Default)]
struct Bodies {
    done: Vec<Vec<u8>>,
    open: Vec<u8>,
    series: usize,
}

impl Bodies {
    fn add(&mut self, labels: &[u8], bits: u64, at_ms: i64) {
        let mut sample = vec![1 << 3 | 1];
        sample.extend_from_slice(&bits.to_le_bytes());
        sample.push(2 << 3);
        put_varint(&mut sample, at_ms as u64);
        let size = labels.len() + 2 + sample.len();
        put_head(&mut self.open, 1, size);
        self.open.extend_from_slice(labels);
        put_head(&mut self.open, 2, sample.len());
        self.open.extend_from_slice(&sample);
        self.series += 1;
        if self.series == limits::REMOTE_WRITE_SERIES {
            self.close();
        }
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(snappy(&std::mem::take(&mut self.open)));
            self.series = 0;
        }
    }

    fn finish(mut self) -> Vec<Vec<u8>> {
        self.close();
        self.done
    }
}

/// The block format with literals alone: the length, then pieces of at most 64 KiB.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 65536 * 3 + 16);
    put_varint(&mut out, bytes.len() as u64);
    for piece in bytes.chunks(65536) {
        // A literal whose length minus one follows in two bytes.
        out.push(61 << 2);
        out.extend_from_slice(&((piece.len() - 1) as u16).to_le_bytes());
        out.extend_from_slice(piece);
    }
    out
}

/// A part of a message of protobuf.
pub(super) fn put_head(out: &mut Vec<u8>, field: u8, size: usize) {
    out.push(field << 3 | 2);
    put_varint(out, size as u64);
}

/// A part of a message of protobuf.
pub(super) fn put_text(out: &mut Vec<u8>, field: u8, text: &str) {
    put_head(out, field, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn text_size(text: &str) -> usize {
    1 + varint_size(text.len() as u64) + text.len()
}

fn varint_size(n: u64) -> usize {
    (64 - (n | 1).leading_zeros() as usize).div_ceil(7)
}

/// A part of a message of protobuf.
pub(super) fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

#[cfg(test)]
mod tests {
    use super::super::sample::{page, sample};
    use super::*;
    use crate::metrics::snapshot::Snapshot;

    #[test]
    fn a_size_is_as_long_as_it_is_written() {
        for n in [0, 1, 127, 128, 16383, 16384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, n);
            assert_eq!(out.len(), varint_size(n), "{n}");
        }
    }

    #[test]
    fn a_series_that_is_gone_ends_with_a_marker() {
        let (snapshot, none) = (sample(), Snapshot::default());
        let (written, bodies, carry) = put(&page(&snapshot), "", &[], &Carry::default());
        assert_eq!((written.samples, bodies.len(), carry.0.len()), (9, 1, 9));
        let (_, bodies, carry) = put(&page(&none), "", &[], &carry);
        let stale = bodies[0].windows(8).filter(|w| *w == STALE.to_le_bytes()).count();
        assert_eq!((stale, carry.0.len()), (9, 0));
        // Once.
        assert!(put(&page(&none), "", &[], &carry).1.is_empty());
    }

    #[test]
    fn labels_are_sorted_and_an_extra_one_gives_way() {
        let snapshot = sample();
        let f = snapshot.family("b").unwrap();
        let mut out = Vec::new();
        let extra = [("who".to_string(), "x".to_string()), ("job".to_string(), "pico".to_string())];
        put_labels(&mut out, "", f, &f.samples()[0], &extra);
        let text = String::from_utf8_lossy(&out).into_owned();
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} in {text}"));
        assert!(at("__name__") < at("job") && at("job") < at("who") && at("who") < at("a b.c"));
        assert_eq!(text.matches("who").count(), 1);
    }

    #[test]
    fn literals_are_cut_where_the_format_says() {
        let bytes: Vec<u8> = (0..150_000u32).map(|i| i as u8).collect();
        let packed = snappy(&bytes);
        assert_eq!(&packed[..6], [0xf0, 0x93, 0x09, 61 << 2, 0xff, 0xff]);
        assert_eq!(packed.len(), 3 + 3 * 3 + bytes.len());
    }
}
