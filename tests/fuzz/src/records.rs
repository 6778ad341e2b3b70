//! Record separation: every byte of the input is in exactly one record, however it comes; waiting changes nothing.
//!
//! An input is four bytes of settings and a text in which 0xFE n stands for n times 64 letters and 0xFD for letters up to
//! the length at which the database cuts. Refuses: to know which records there should be.

use super::Dice;
use gostech::audit::record::{Ending, Item, Kind, Splitter};
use gostech::limits::PIPE_RECORD_BYTES;

/// Seeds: recorded lines, cut and glued ones, long ones, garbage.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    let lines = super::events(12).join(&b"\n"[..]);
    seeds.push([&[0, 200, 1, 2][..], &lines].concat());
    seeds.push([&[3, 7, 1, 1][..], &lines[..700.min(lines.len())]].concat());
    seeds.push(
        b"\x00\x40\x03\x01{\"id\":\"1.0.1\",\"m\":\"\xfd{\"id\":\"1.0.2\",\"m\":\"\xfd{\"id\":\"1.0.3\"}\n".to_vec(),
    );
    seeds.push(b"\x05\x40\x03\x01{\"id\":\"1.0.1\",\"m\":\"\xfe\xff\xfe\xff\"}\n\n\r\nplain\r\n{}\n".to_vec());
    seeds.push(b"\x02\x01\x03\x01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\xff\xff\n{\"title\":\"x\"".to_vec());
    // What a power cut leaves, and a line of nothing else.
    seeds.push(
        [&b"\x02\x40\x03\x01{\"id\":\"1.0.1\"\0\0{\"id\":\"1.0.2\"}\n"[..], &b"\0{\"".repeat(40), b"\n{}"].concat(),
    );
    seeds
}

fn expand(text: &[u8], most: usize) -> Vec<u8> {
    let (mut out, mut from) = (Vec::with_capacity(text.len()), 0);
    let mut bytes = text.iter();
    while let Some(b) = bytes.next() {
        match b {
            0xfe => {
                let n = usize::from(*bytes.next().unwrap_or(&1)) * 64;
                out.extend(std::iter::repeat_n(b'x', n));
            }
            0xfd => {
                let missing = PIPE_RECORD_BYTES.saturating_sub(out.len() - from);
                out.extend(std::iter::repeat_n(b'x', missing));
                from = out.len();
            }
            _ => out.push(*b),
        }
        if *b == b'\n' {
            from = out.len();
        }
        if out.len() > most {
            break;
        }
    }
    out.truncate(most);
    out
}

/// What stays the same however the input comes.
#[derive(Debug, PartialEq)]
struct Out {
    at: (usize, usize),
    kind: Kind,
    id: Option<(u64, u64, u64)>,
    part: (u32, u32),
}

fn out(i: &Item, base: usize) -> Out {
    let id = i.facts.event.map(|e| (e.raft_id, e.gen, e.count));
    Out { at: (base + i.raw.from, base + i.raw.to), kind: i.facts.kind, id, part: (i.part, i.parts) }
}

/// Reads all of `data` in portions, each with the ending that `endings` gives.
fn read(data: &[u8], event_max: usize, mut portion: impl FnMut() -> (usize, usize, Ending)) -> Vec<Out> {
    let (mut from, mut to, mut pieces, mut all) = (0, 0, 0, Vec::new());
    while from < data.len() {
        let (more, most, ending) = portion();
        to = (to + more.max(1)).min(data.len());
        let ending = if to == data.len() { Ending::Ended } else { ending };
        // Anew each time: the pieces of the line at hand are all that a splitter remembers.
        let mut splitter = Splitter::new(event_max, pieces);
        let mut found = Vec::new();
        let used = splitter.split(&data[from..to], ending, most.max(1), &mut found);
        pieces = splitter.pieces();
        assert!(used <= to - from, "more was used up than there is");
        assert!(to < data.len() || used > 0, "at the end nothing moves any more");
        for i in &found {
            let len = i.raw.to - i.raw.from;
            assert!(len > 0 && len <= event_max && i.raw.to <= i.end && i.end <= used, "{i:?}");
            for span in [i.facts.id, i.facts.time, i.facts.title] {
                assert!(span.from <= span.to && span.to <= len, "{i:?}");
            }
        }
        all.extend(found.iter().map(|i| out(i, from)));
        from += used;
    }
    all
}

/// Between records there is nothing but line ends; pieces make their line again.
fn nothing_is_lost(data: &[u8], all: &[Out]) {
    let mut at = 0;
    for o in all {
        only_line_ends(data, at, o.at.0);
        at = o.at.1;
    }
    only_line_ends(data, at, data.len());
    for pair in all.windows(2) {
        let ((a, of), (b, _)) = (pair[0].part, pair[1].part);
        assert!(b == a + 1 || b <= 1, "pieces out of order: {pair:?}");
        assert!(b != a + 1 || a == 0 || of == 0 || of == pair[1].part.1, "pieces of two lines: {pair:?}");
        assert!(b != a + 1 || a == 0 || pair[0].at.1 == pair[1].at.0, "pieces with a hole: {pair:?}");
    }
}

/// Whether there are but whole lines without a byte, or with a carriage return alone.
fn only_line_ends(data: &[u8], from: usize, to: usize) {
    let begins = from == 0 || data[from - 1] == b'\n';
    let lines: Vec<&[u8]> = data[from..to].split(|b| *b == b'\n').collect();
    for (i, line) in lines.iter().enumerate() {
        let whole = (i > 0 || begins) && (i + 1 < lines.len() || to == data.len());
        let empty = line.is_empty() || (*line == b"\r" && whole);
        assert!(empty, "bytes in no record: {:?}", String::from_utf8_lossy(&line[..line.len().min(80)]));
    }
}

/// The target.
pub fn check(input: &[u8]) {
    let mut dice = Dice(input);
    let (max, step, most, way) = (dice.byte(), dice.byte(), dice.byte(), dice.byte());
    let event_max = [1 << 20, 20_000, 7, 1000, 16_383, 50_000, 1, 64][usize::from(max % 8)];
    // Enough for three records that the database cuts, and not a million pieces of a byte.
    let data = expand(dice.0, 60_000.min(event_max * 1000));
    let whole = read(&data, event_max, || (data.len(), usize::MAX, Ending::Ended));
    nothing_is_lost(&data, &whole);
    let mut state = u64::from(step) << 8 | 1;
    let mut chance = |n: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % n.max(1)
    };
    // At most some hundred portions: a line that does not end is looked through again with each.
    let sizes = [3, 100, 5_000, 40_000][usize::from(way % 4)].max(data.len() / 100);
    // One who waits for the end of the line finds the same, in whatever portions it comes.
    let patient = read(&data, event_max, || (chance(sizes), 1 + chance(usize::from(most)), Ending::Open));
    assert_eq!(patient, whole);
    // One who cannot wait cuts elsewhere, and loses nothing.
    let endings = [Ending::Open, Ending::Silent, Ending::Crowded];
    let hasty = read(&data, event_max, || (chance(sizes), 1 + chance(usize::from(most)), endings[chance(3)]));
    nothing_is_lost(&data, &hasty);
}
