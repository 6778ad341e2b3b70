//! ○ From bytes of the pipe to records: where one ends, whether it is whole, and what it says of itself.
//!
//! The database writes one JSON object a line, but cuts a record at 16,383 bytes without a newline, so that the next
//! one is glued to it; other programs may write anything. Every byte of the input ends in exactly one record (newlines
//! and empty lines excepted). Pure: bytes in, items out. Refuses: to change a byte, to judge unknown titles.

pub mod account;
mod event_id;
mod facts;
pub mod frame;
pub mod gap;
pub mod gap_event;
pub mod loss;
pub mod mark;
pub mod marks;
pub mod order;
mod plain;
pub mod usual;

use crate::json::{self, Span};
use crate::limits::PIPE_RECORD_BYTES;
pub use event_id::EventId;
use facts::f_has_any;
pub use facts::{body_of, frame_around, is_evidence, read, read_again, Facts, Item, Kind, Severity};

/// Why no more bytes are to be waited for, if so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// More may come.
    Open,
    /// Nothing has come for a second.
    Silent,
    /// There is no room for more: what is there must be worked off.
    Crowded,
    /// The input has ended.
    Ended,
}

/// Separates records. Its only memory is how many pieces of the line at hand are out already.
#[derive(Clone, Debug)]
pub struct Splitter {
    event_max: usize,
    pieces: u32,
    strides: bool,
    entries: bool,
    leaves: bool,
}

impl Splitter {
    /// Records longer than `event_max` become pieces; `pieces` of the line that the input begins in are out already.
    pub fn new(event_max: usize, pieces: u32) -> Self {
        Splitter { event_max: event_max.max(1), pieces, strides: true, entries: false, leaves: false }
    }

    /// The same, for an input of journald's entries. From anybody else a line that looks like one is a line.
    pub fn with_entries(self, entries: bool) -> Self {
        Splitter { entries, ..self }
    }

    /// The same, where each record gets a leaf: whether its bytes are canonical is seen on the way.
    pub fn for_leaves(self, leaves: bool) -> Self {
        Splitter { leaves, ..self }
    }

    /// The same at another place: `pieces` of the line there are out already.
    pub fn at(&self, pieces: u32) -> Self {
        Splitter { pieces, ..self.clone() }
    }

    /// The same, which takes no line at a stride: what it finds is what must be found.
    pub fn by_the_letter(self) -> Self {
        Splitter { strides: false, ..self }
    }

    /// How many pieces of the line at hand are out; 0 at the beginning of a line.
    pub fn pieces(&self) -> u32 {
        self.pieces
    }

    /// The longest record.
    pub fn event_max(&self) -> usize {
        self.event_max
    }

    /// Finds the records of `data` until about `most` are out; gives how many bytes are used up.
    pub fn split(&mut self, data: &[u8], ending: Ending, most: usize, out: &mut Vec<Item>) -> usize {
        let mut at = 0;
        while at < data.len() && out.len() < most {
            if self.strides && self.pieces == 0 {
                at = plain::records(data, at, self.event_max, most, self.leaves, out);
                if at == data.len() || out.len() >= most {
                    break;
                }
            }
            if self.entries && self.pieces == 0 && frame::is_entry(&data[at..]) {
                let Some((bytes, whole)) = frame::entry_bytes(&data[at..]) else {
                    return self.rest(data, at, ending, most, out);
                };
                if whole {
                    self.one(data, at, at + bytes - 1, false, out);
                }
                at += bytes;
                if let Some(last) = out.last_mut() {
                    last.end = at;
                }
                continue;
            }
            let Some(length) = memchr::memchr(b'\n', &data[at..]) else {
                return self.rest(data, at, ending, most, out);
            };
            let end = at + length;
            at = self.holes(data, at, end, most, out);
            if out.len() >= most {
                break;
            }
            self.line(data, at, end, true, out);
            at = end + 1;
            // The newline belongs to the last record of its line.
            if let Some(last) = out.last_mut() {
                if last.end + 1 == at {
                    last.end = at;
                }
            }
        }
        at
    }

    /// What stands after the last newline.
    fn rest(&mut self, data: &[u8], from: usize, ending: Ending, most: usize, out: &mut Vec<Item>) -> usize {
        let at = match ending {
            Ending::Ended | Ending::Crowded => self.holes(data, from, data.len(), most, out),
            Ending::Open | Ending::Silent => from,
        };
        let rest = &data[at..];
        match ending {
            Ending::Open => at,
            // The next call goes on there.
            _ if out.len() >= most => at,
            Ending::Ended => {
                self.line(data, at, data.len(), true, out);
                data.len()
            }
            Ending::Silent if self.pieces == 0 && ends_in_cut(rest) && hole(rest).is_none() => {
                self.line(data, at, data.len(), true, out);
                data.len()
            }
            Ending::Silent => at,
            Ending::Crowded if at > from => at,
            Ending::Crowded => {
                let glued = glued_bytes(rest);
                if self.pieces == 0 && glued > 0 {
                    self.line(data, at, at + glued, true, out);
                    return at + glued;
                }
                let whole = rest.len() / self.event_max * self.event_max;
                self.line(data, at, at + whole, false, out);
                at + whole
            }
        }
    }

    /// Of a line that ends at `to` what stands before its holes, and these, until about `most` are out; gives where the rest
    /// begins. A line may be nothing but holes: three bytes for each.
    fn holes(&mut self, data: &[u8], from: usize, to: usize, most: usize, out: &mut Vec<Item>) -> usize {
        let mut at = from;
        while out.len() < most {
            let Some((zeros, behind)) = hole(&data[at..to]) else { break };
            match self.pieces {
                0 => {
                    self.one(data, at, at + zeros, true, out);
                    self.one(data, at + zeros, at + behind, false, out);
                }
                _ => self.cut_in_pieces(data, at, at + behind, true, out),
            }
            at += behind;
        }
        at
    }

    /// A line without its newline and without holes (`ends`), or whole pieces of one that goes on.
    fn line(&mut self, data: &[u8], from: usize, to: usize, ends: bool, out: &mut Vec<Item>) {
        let mut at = from;
        if self.pieces > 0 || !ends {
            return self.cut_in_pieces(data, at, to, ends, out);
        }
        if to - at > PIPE_RECORD_BYTES {
            let whole = to - at <= self.event_max && json::object(&data[at..to], false, |_| ());
            while !whole && to - at > PIPE_RECORD_BYTES && data[at + PIPE_RECORD_BYTES..to].starts_with(b"{\"") {
                self.one(data, at, at + PIPE_RECORD_BYTES, true, out);
                at += PIPE_RECORD_BYTES;
            }
        }
        self.one(data, at, to, to == data.len() || to - at == PIPE_RECORD_BYTES, out);
    }

    /// One record, or its pieces when it is too long. An empty line is nothing.
    fn one(&mut self, data: &[u8], from: usize, to: usize, cut: bool, out: &mut Vec<Item>) {
        // A carriage return alone is an empty line where the line ends with it, and a record before zeros.
        if from == to || &data[from..to] == b"\r" && data.get(to).is_none_or(|b| *b == b'\n') {
            return;
        }
        if to - from > self.event_max {
            return self.cut_in_pieces(data, from, to, true, out);
        }
        let facts = read(&data[from..to], cut);
        out.push(Item { raw: Span { from, to }, end: to, facts, part: 0, parts: 0, canonical: false });
    }

    fn cut_in_pieces(&mut self, data: &[u8], from: usize, to: usize, ends: bool, out: &mut Vec<Item>) {
        // A line whose pieces are out up to its newline is at its end with nothing left: the last piece stays unmarked.
        let count = (to - from).div_ceil(self.event_max) as u32;
        let parts = if ends { self.pieces + count } else { 0 };
        for piece in 0..count as usize {
            let start = from + piece * self.event_max;
            let end = (start + self.event_max).min(to);
            self.pieces += 1;
            let mut facts = read(&data[start..end], true);
            // A piece is no whole event even when it parses: only the first can begin like one.
            let begins = self.pieces == 1 && data[start..end].starts_with(b"{\"") && f_has_any(&facts);
            facts.kind = if begins { Kind::Cut } else { Kind::Unparsed };
            if !begins {
                facts.event = None;
                facts.id = Span::default();
                facts.time = Span::default();
            }
            out.push(Item {
                raw: Span { from: start, to: end },
                end,
                facts,
                part: self.pieces,
                parts,
                canonical: false,
            });
        }
        if ends {
            self.pieces = 0;
        }
    }
}

/// Where zeros stand with a record glued to them, and where that one begins: a power cut leaves them in a file, in the place of
/// what was not on the disk yet. No record has one of its own.
fn hole(line: &[u8]) -> Option<(usize, usize)> {
    let first = memchr::memchr(0, line)?;
    let behind = first + memchr::memmem::find(&line[first..], b"\0{\"")? + 1;
    let zeros = line[..behind].iter().rposition(|b| *b != 0).map_or(0, |n| n + 1);
    Some((zeros, behind))
}

/// How many bytes of cut records, glued to one another, `rest` begins with; what follows the last is left.
fn glued_bytes(rest: &[u8]) -> usize {
    let mut at = 0;
    while rest.len() - at > PIPE_RECORD_BYTES && rest[at + PIPE_RECORD_BYTES..].starts_with(b"{\"") {
        at += PIPE_RECORD_BYTES;
    }
    at
}

/// Whether `rest` ends exactly where the database cuts.
fn ends_in_cut(rest: &[u8]) -> bool {
    rest.len() - glued_bytes(rest) == PIPE_RECORD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(data: &[u8], ending: Ending) -> (Vec<Item>, usize) {
        let mut out = Vec::new();
        let used = Splitter::new(1 << 20, 0).split(data, ending, 10_000, &mut out);
        (out, used)
    }

    fn record(count: u32, bytes: usize) -> Vec<u8> {
        let head = format!(r#"{{"id":"1.0.{count}","initiator":"admin","message":""#);
        let tail = r#"","severity":"low","time":"2026-11-21T01:27:57.349+0000","title":"dml"}"#;
        let fill = "x".repeat(bytes - head.len() - tail.len());
        format!("{head}{fill}{tail}").into_bytes()
    }

    #[test]
    fn reads_what_a_record_says() {
        let raw = record(26, 300);
        let f = read(&raw, false);
        assert_eq!((f.kind, f.severity, f.title.of(&raw)), (Kind::Object, Severity::Low, &b"dml"[..]));
        assert_eq!(f.event, Some(EventId { raft_id: 1, gen: 0, count: 26 }));
        assert_eq!(f.time.of(&raw), b"2026-11-21T01:27:57.349+0000");
        for (text, kind) in [
            (&b"{}"[..], Kind::Object),
            (br#"{"id":7,"title":["x"],"n":123456789012345678901234567890}"#, Kind::Object),
            (br#"{"@timestamp":1}"#, Kind::Unparsed),
            (br#"{"\u0040timestamp":1}"#, Kind::Unparsed),
            (br#"{"gostech":{}}"#, Kind::Unparsed),
            (b"[1]", Kind::Unparsed),
            (b"plain", Kind::Unparsed),
            (b"{\"a\":\"\xff\"}", Kind::Unparsed),
        ] {
            assert_eq!(read(text, false).kind, kind, "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(read(br#"{"id":"18446744073709551616.1.1"}"#, true).event, None);
    }

    #[test]
    fn lines_and_what_is_left() {
        let (items, used) = split(b"{\"id\":\"1.0.1\"}\n\n\r\nabc\r\npart", Ending::Open);
        assert_eq!(used, 23);
        assert_eq!(items.len(), 2);
        assert_eq!((items[0].end, items[1].end), (16, 23));
        let (items, used) = split(b"tail", Ending::Ended);
        assert_eq!((items.len(), used), (1, 4));
        // The input ended inside a record: what is readable of it is carried.
        let torn = br#"{"id":"1.0.7","message":"he"#;
        assert_eq!(split(torn, Ending::Ended).0[0].facts.kind, Kind::Cut);
        assert_eq!(split(b"{\"id\":\"1.0.7\",\"message\":\"he\n", Ending::Open).0[0].facts.kind, Kind::Unparsed);
    }

    #[test]
    fn eight_cut_records_and_a_short_one_come_as_one_line() {
        let mut line = Vec::new();
        for n in 1..=8 {
            line.extend_from_slice(&record(n, 20_000)[..PIPE_RECORD_BYTES]);
        }
        line.extend_from_slice(&record(9, 175));
        assert_eq!(line.len(), 131_239);
        line.push(b'\n');
        let (items, used) = split(&line, Ending::Open);
        assert_eq!((items.len(), used), (9, line.len()));
        for (i, item) in items.iter().enumerate() {
            assert_eq!(item.facts.event.unwrap().count, i as u64 + 1);
            assert_eq!(item.facts.kind, if i < 8 { Kind::Cut } else { Kind::Object });
        }
        assert_eq!(items[8].end, line.len());
    }

    #[test]
    fn a_whole_record_of_just_that_length_is_whole_but_glued() {
        let mut line = record(1, PIPE_RECORD_BYTES);
        line.extend_from_slice(&record(2, 200));
        line.push(b'\n');
        let (items, _) = split(&line, Ending::Open);
        assert_eq!(items.iter().map(|i| i.facts.kind).collect::<Vec<_>>(), [Kind::Object, Kind::Object]);
    }

    #[test]
    fn a_long_whole_line_stays_whole() {
        let mut line = record(1, 50_000);
        line.push(b'\n');
        let (items, _) = split(&line, Ending::Open);
        assert_eq!((items.len(), items[0].facts.kind), (1, Kind::Object));
    }

    #[test]
    fn silence_ends_a_cut_record_and_nothing_else() {
        let cut = &record(1, 20_000)[..PIPE_RECORD_BYTES];
        assert_eq!(split(cut, Ending::Open).1, 0);
        let (items, used) = split(cut, Ending::Silent);
        assert_eq!((items.len(), used, items[0].facts.kind), (1, PIPE_RECORD_BYTES, Kind::Cut));
        let two = [cut, cut].concat();
        assert_eq!(split(&two, Ending::Silent).0.len(), 2);
        assert_eq!(split(&two[..two.len() - 1], Ending::Silent).1, 0);
        assert_eq!(split(b"half a li", Ending::Silent).1, 0);
    }

    #[test]
    fn what_looks_like_an_entry_of_journald_is_a_line_where_none_come() {
        let input = b"{\"a\":1}\n__TORN=1\n\n__CURSOR=s=1\nMESSAGE={}\n\n";
        let found = |splitter: Splitter| {
            let (mut out, mut splitter) = (Vec::new(), splitter);
            assert_eq!(splitter.split(input, Ending::Open, 100, &mut out), input.len());
            out.iter().map(|i| String::from_utf8_lossy(i.raw.of(input)).into_owned()).collect::<Vec<_>>()
        };
        let lines = ["{\"a\":1}", "__TORN=1", "__CURSOR=s=1", "MESSAGE={}"];
        assert_eq!(found(Splitter::new(1 << 20, 0)), lines);
        assert_eq!(found(Splitter::new(1 << 20, 0).at(0).with_entries(true)).len(), 2);
    }

    #[test]
    fn an_oversize_line_becomes_pieces_that_make_it_again() {
        let line: Vec<u8> = (0..5_000).map(|i| b'a' + (i % 26) as u8).collect();
        let mut input = line.clone();
        input.extend_from_slice(b"\n{}\n");
        let mut out = Vec::new();
        let mut s = Splitter::new(2_000, 0);
        assert_eq!(s.split(&input, Ending::Open, 100, &mut out), input.len());
        let pieces: Vec<(u32, u32, usize)> = out.iter().map(|i| (i.part, i.parts, i.raw.to - i.raw.from)).collect();
        assert_eq!(pieces, [(1, 3, 2000), (2, 3, 2000), (3, 3, 1000), (0, 0, 2)]);
        let again: Vec<u8> = out[..3].iter().flat_map(|i| i.raw.of(&input).to_vec()).collect();
        assert_eq!(again, line);
        // The same when there is no room to wait for its end: the number of parts comes with the last.
        let mut out = Vec::new();
        let mut s = Splitter::new(2_000, 0);
        assert_eq!(s.split(&input[..4_500], Ending::Crowded, 100, &mut out), 4_000);
        assert_eq!(s.pieces(), 2);
        s.split(&input[4_000..], Ending::Open, 100, &mut out);
        let pieces: Vec<(u32, u32)> = out.iter().map(|i| (i.part, i.parts)).collect();
        assert_eq!(pieces, [(1, 0), (2, 0), (3, 3), (0, 0)]);
    }

    #[test]
    fn zeros_that_a_power_cut_left_are_records_of_their_own() {
        let (one, two, half) = (record(1, 200), record(2, 20_000), &record(3, 300)[..150]);
        let kinds = |items: &[Item]| items.iter().map(|i| i.facts.kind).collect::<Vec<_>>();
        let line = [&[0; 4096][..], &one, b"\n", half, &[0; 70], &two[..PIPE_RECORD_BYTES], &one, b"\n"].concat();
        let (items, used) = split(&line, Ending::Open);
        let wanted = [Kind::Unparsed, Kind::Object, Kind::Cut, Kind::Unparsed, Kind::Cut, Kind::Object];
        assert_eq!((kinds(&items), used), (wanted.to_vec(), line.len()));
        assert_eq!(items.iter().map(|i| i.facts.event.map_or(0, |e| e.count)).collect::<Vec<_>>(), [0, 1, 3, 0, 2, 1]);
        // Whoever goes on behind any of them finds the same.
        for (n, item) in items.iter().enumerate() {
            let (rest, _) = split(&line[item.end..], Ending::Open);
            assert_eq!(kinds(&rest), wanted[n + 1..], "behind record {n}");
        }
        // More zeros than there is room for.
        let mut splitter = Splitter::new(1000, 0);
        let (mut out, line) = (Vec::new(), [&[0; 2500][..], &one, b"\n"].concat());
        assert_eq!(splitter.split(&line[..2400], Ending::Crowded, 100, &mut out), 2000);
        assert_eq!(splitter.split(&line[2000..2600], Ending::Crowded, 100, &mut out), 500);
        assert_eq!(splitter.split(&line[2500..], Ending::Open, 100, &mut out), one.len() + 1);
        assert_eq!(out.iter().map(|i| (i.part, i.parts)).collect::<Vec<_>>(), [(1, 0), (2, 0), (3, 3), (0, 0)]);
        // Zeros in a text are no hole, nor are those of UTF-16.
        for line in [&b"\0{\0\"\0a\0\n"[..], b"a\0b\n"] {
            assert_eq!(split(line, Ending::Open).0.len(), 1, "{}", String::from_utf8_lossy(line));
        }
    }

    /// As many records as there are holes: whoever writes such a line must not make millions of them at once.
    #[test]
    fn a_line_of_nothing_but_holes_comes_in_portions() {
        let line = b"\0{\"".repeat(16_383);
        for (ending, newline) in [(Ending::Open, "\n"), (Ending::Ended, ""), (Ending::Crowded, "")] {
            let data = [&line[..], newline.as_bytes()].concat();
            let (mut s, mut at, mut got) = (Splitter::new(1 << 20, 0), 0, Vec::new());
            // The last record of a line that may go on waits for its rest.
            let end = if ending == Ending::Crowded { data.len() - 2 } else { data.len() };
            while at < end {
                let mut out = Vec::new();
                let used = s.split(&data[at..], ending, 100, &mut out);
                assert!(used > 0 && out.len() <= 101, "{ending:?}: {used} bytes, {} records", out.len());
                out.iter().for_each(|i| got.extend_from_slice(i.raw.of(&data[at..])));
                at += used;
            }
            assert!(got == line[..end.min(line.len())], "{ending:?}");
        }
        // As long as a cut record, and none.
        assert_eq!(split(&line[..PIPE_RECORD_BYTES], Ending::Silent).1, 0);
    }

    #[test]
    fn random_bytes_in_random_portions_come_out_whole() {
        let mut seed = 9u64;
        let mut next = |n: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % n
        };
        for _ in 0..300 {
            let mut input = Vec::new();
            for n in 0..next(30) {
                match next(6) {
                    0 => input.extend((0..next(50)).map(|_| next(256) as u8)),
                    1 => input.extend_from_slice(&record(n as u32, 20_000)[..PIPE_RECORD_BYTES]),
                    2 => input.extend(std::iter::repeat_n(b'z', next(9_000))),
                    _ => input.extend_from_slice(&record(n as u32, 200 + next(300))),
                }
                if next(4) > 0 {
                    input.push(b'\n');
                }
            }
            let mut s = Splitter::new(3_000, 0);
            let (mut from, mut to, mut got) = (0, 0, Vec::new());
            while from < input.len() {
                to = (to + 1 + next(30_000)).min(input.len());
                let ending = if to == input.len() { Ending::Ended } else { [Ending::Open, Ending::Crowded][next(2)] };
                let mut out = Vec::new();
                let used = s.split(&input[from..to], ending, 1 + next(5), &mut out);
                for i in &out {
                    got.extend_from_slice(i.raw.of(&input[from..to]));
                    assert!(i.end <= used);
                }
                from += used;
            }
            let keep = |b: &&u8| **b != b'\n' && **b != b'\r';
            assert!(got.iter().filter(keep).eq(input.iter().filter(keep)));
        }
    }
}
