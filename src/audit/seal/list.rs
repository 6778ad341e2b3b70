//! ○ A list: an event of our own with the leaves of some records, one behind the other, and which filter lets each pass.
//!
//! It has a leaf as any record has, which stands in a later list: so what it says of filters is signed too. Refuses: gaps, leaves
//! beyond `SEAL_LIST`, a second way to write the same.

use super::leaf;
use super::stream::{Hash, StreamId};
use super::text::{escaped, hashes, number, of_base64, push_ranges, range, to_base64, unescaped};
use crate::limits::SEAL_LIST;
use crate::{json, stamp};
use std::borrow::Cow;
use std::fmt;
use std::io::Write;

/// What stands at one place of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A record with this leaf.
    Leaf(Hash),
    /// A record that was gone before it could be sealed.
    Lost,
}

/// The places of a stream from one on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Which stream.
    pub stream: StreamId,
    /// The number in the stream of the first place.
    pub from: u64,
    /// From one to `SEAL_LIST` of them.
    pub places: Vec<Place>,
    /// For each receiver that has a filter: its name, and for each place whether it is let pass.
    pub passes: Vec<(String, Vec<bool>)>,
}

/// The title of a list.
pub const TITLE: &str = "audit_leaves";
/// What is written around the leaves, and some room for long numbers.
const FRAME_BYTES: usize = 512;

impl List {
    /// The place behind the last one.
    pub fn end(&self) -> u64 {
        self.from + self.places.len() as u64
    }

    /// The event.
    pub fn write(&self, now_ms: i64) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_to(&mut out, now_ms);
        out
    }

    /// The same, behind what `out` holds. It is a large one for each so many records: so it is written in one go, and the fields
    /// stand here in the order of the canonical form.
    pub fn write_to(&self, out: &mut Vec<u8>, now_ms: i64) {
        let (stream, from, to, count) = (self.stream.to_string(), self.from, self.end() - 1, self.places.len());
        let (absent, passes, time) = (self.absent(), self.written_passes(), stamp::rfc3339_text(now_ms));
        out.reserve(FRAME_BYTES + absent.len() + 2 * passes.len() + leaf::TEXT_BYTES * count);
        // Writing into memory does not fail.
        let put = |out: &mut Vec<u8>, text: fmt::Arguments<'_>| drop(out.write_fmt(text));
        put(out, format_args!("{{"));
        if !absent.is_empty() {
            put(out, format_args!("\"absent\":\"{absent}\","));
        }
        put(
            out,
            format_args!("\"count\":\"{count}\",\"from\":\"{from}\",\"id\":\"leaves-{stream}-{from}\",\"leaves\":\""),
        );
        self.push_leaves(out);
        put(out, format_args!("\",\"message\":\"leaves {from} to {to} of stream {stream}\","));
        if !passes.is_empty() {
            put(out, format_args!("\"passes\":\""));
            json::push_text(out, passes.as_bytes());
            put(out, format_args!("\","));
        }
        put(out, format_args!("\"severity\":\"low\",\"stream_id\":\"{stream}\",\"time\":\"{time}\","));
        put(out, format_args!("\"title\":\"{TITLE}\"}}"));
    }

    /// All leaves as one text of base64 without padding.
    fn push_leaves(&self, out: &mut Vec<u8>) {
        // Three of them are whole groups of letters.
        let (mut some, mut n) = ([[0; 32]; 3], 0);
        for hash in self.places.iter().filter_map(Place::leaf) {
            some[n] = hash;
            n = (n + 1) % some.len();
            if n == 0 {
                json::push_base64(out, some.as_flattened());
            }
        }
        json::push_base64(out, some[..n].as_flattened());
        while out.last() == Some(&b'=') {
            out.pop();
        }
    }

    /// Runs of places without a leaf, as `l17,l20-25`.
    fn absent(&self) -> String {
        let mut out = String::new();
        let mut at = self.from;
        for run in self.places.chunk_by(|a, b| a.is_lost() == b.is_lost()) {
            let to = at + run.len() as u64 - 1;
            if run[0].is_lost() {
                out.push_str(if out.is_empty() { "l" } else { ",l" });
                push_ranges(&mut out, &[(at, to)]);
            }
            at = to + 1;
        }
        out
    }

    fn written_passes(&self) -> String {
        let bitmap = |bits: &Vec<bool>| {
            let byte = |eight: &[bool]| eight.iter().enumerate().fold(0, |byte, (i, bit)| byte | u8::from(*bit) << i);
            to_base64(&bits.chunks(8).map(byte).collect::<Vec<u8>>())
        };
        let words = self.passes.iter().map(|(name, bits)| format!("{}={}", escaped(name), bitmap(bits)));
        words.collect::<Vec<_>>().join(" ")
    }

    /// Reads the fields of an event; `get` gives the text of one.
    pub fn read<'a>(get: impl Fn(&str) -> Option<Cow<'a, str>>) -> Option<List> {
        let stream = StreamId::parse(&get("stream_id")?)?;
        let (from, count) = (number(&get("from")?)?, number(&get("count")?)?);
        let count = usize::try_from(count).ok().filter(|n| (1..=SEAL_LIST).contains(n))?;
        if from == 0 || from.checked_add(count as u64).is_none() {
            return None;
        }
        let mut places = read_absent(get("absent").as_deref().unwrap_or_default(), from, count)?;
        let leaves = hashes(&of_base64(&get("leaves")?)?)?;
        if leaves.len() != places.iter().filter(|p| p.is_none()).count() {
            return None;
        }
        let mut leaves = leaves.iter();
        let places = places.iter_mut().map(|p| p.take().or_else(|| leaves.next().copied().map(Place::Leaf)));
        let places = places.collect::<Option<Vec<Place>>>()?;
        let passes = read_passes(get("passes").as_deref().unwrap_or_default(), count)?;
        let list = List { stream, from, places, passes };
        // Runs that go together were not written apart.
        (list.absent() == get("absent").unwrap_or_default()).then_some(list)
    }
}

impl Place {
    fn leaf(&self) -> Option<Hash> {
        match self {
            Place::Leaf(hash) => Some(*hash),
            _ => None,
        }
    }

    fn is_lost(&self) -> bool {
        *self == Place::Lost
    }
}

/// The places that have no leaf, among those that are to have one.
fn read_absent(text: &str, from: u64, count: usize) -> Option<Vec<Option<Place>>> {
    let (mut places, mut at) = (vec![None; count], from);
    for word in text.split(',').filter(|_| !text.is_empty()) {
        let (first, last) = range(word.strip_prefix('l')?)?;
        let from = (first.checked_sub(from)? as usize, last.checked_sub(from)? as usize);
        if first < at {
            return None;
        }
        places.get_mut(from.0..=from.1)?.fill(Some(Place::Lost));
        at = last.checked_add(1)?;
    }
    Some(places)
}

fn read_passes(text: &str, count: usize) -> Option<Vec<(String, Vec<bool>)>> {
    let mut all = Vec::new();
    for word in text.split(' ').filter(|_| !text.is_empty()) {
        let (name, bitmap) = word.split_once('=')?;
        let bytes = of_base64(bitmap)?;
        let bit = |i: usize| bytes[i / 8] >> (i % 8) & 1 == 1;
        // Bits behind the last place say nothing, and so are none.
        if bytes.len() != count.div_ceil(8) || (count..8 * bytes.len()).any(bit) {
            return None;
        }
        all.push((unescaped(name)?, (0..count).map(bit).collect()));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::seal::{form, Algorithm, Form};
    use serde_json::{Map, Value};

    fn list(places: Vec<Place>, passes: Vec<(String, Vec<bool>)>) -> List {
        List { stream: StreamId::new(5, [6; 9], Algorithm::Sha256), from: 129, places, passes }
    }

    fn read(fields: &Map<String, Value>) -> Option<List> {
        List::read(|name| fields.get(name).and_then(Value::as_str).map(Cow::from))
    }

    fn fields(list: &List) -> Map<String, Value> {
        let event = list.write(1_795_224_477_349);
        serde_json::from_slice(&event).expect("an object")
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let leaf = |n: usize| Place::Leaf([n as u8; 32]);
        let all: Vec<Place> = (0..SEAL_LIST)
            .map(|n| match n % 16 {
                3 | 7..=9 => Place::Lost,
                _ => leaf(n),
            })
            .collect();
        let bits = |n: usize| (0..n).map(|i| i % 3 == 0).collect::<Vec<bool>>();
        let named = |n: usize| vec![("siem".to_string(), bits(n)), ("a b=%\"\\".to_string(), vec![false; n])];
        for n in 1..=SEAL_LIST {
            let list = list(all[..n].to_vec(), if n % 2 == 0 { named(n) } else { Vec::new() });
            let (event, fields) = (list.write(7), fields(&list));
            assert_eq!(form(&event), Form::Canonical, "{}", String::from_utf8_lossy(&event));
            assert_eq!(read(&fields), Some(list));
        }
        let event = fields(&list(vec![Place::Lost, leaf(1), Place::Lost, Place::Lost], named(4)));
        assert_eq!(event["absent"], "l129,l131-132");
        assert_eq!(event["passes"], "siem=CQ a%20b%3D%25\"\\=AA");
        assert_eq!(event["id"], "leaves-00000000000506060606060606060601-129");
    }

    #[test]
    fn what_it_would_not_write_is_not_read() {
        let good = fields(&list(vec![Place::Lost, Place::Leaf([1; 32]), Place::Lost, Place::Lost], Vec::new()));
        assert!(read(&good).is_some());
        for (name, value) in [
            ("stream_id", "x"),
            ("from", "0"),
            ("from", "0129"),
            ("from", "18446744073709551615"),
            ("count", "0"),
            ("count", "3"),
            ("count", "5"),
            ("count", "99999999"),
            ("leaves", ""),
            ("leaves", "AA"),
            ("absent", ""),
            ("absent", "l129,l131-133"),
            ("absent", "l129,l129-132"),
            ("absent", "l131-132,l129"),
            ("absent", "l1,l129,l131-132"),
            ("absent", "o129,l131-132"),
            ("absent", "l129,l131-18446744073709551615"),
            ("absent", "l129,,l131-132"),
            ("absent", "l129,l131,l132"),
            ("absent", "l129-129,l131-132"),
            ("absent", "я129,l131-132"),
            ("passes", "a"),
            ("passes", "a="),
            ("passes", "a=/w"),
            ("passes", "a=DwA"),
            ("passes", "a=Dw  b=Dw"),
            ("passes", "%zz=Dw"),
        ] {
            let mut bad = good.clone();
            bad.insert(name.into(), value.into());
            assert_eq!(read(&bad), None, "{name} {value}");
        }
        for name in ["stream_id", "from", "count", "leaves"] {
            let mut bad = good.clone();
            bad.remove(name);
            assert_eq!(read(&bad), None, "{name}");
        }
    }
}
