//! Reads exports and files of checkpoints, a line at a time, and keeps of each what has to be judged: a claim for a place, a
//! mark for a checkpoint.
//!
//! Refuses: to hold a line longer than the longest event, more streams or checkpoints than there can be.

use super::chain::{Mark, Trust};
use super::claim::{Claim, Fault, Line, Spot, What};
use super::findings::{Findings, Kind};
use super::listing;
use super::said::{Reader, Said, What as Saying};
use super::sort::{Pool, Sorter};
use crate::audit::seal::{checkpoint, Algorithm, Checkpoint, Hash, Note, StreamId};
use crate::limits;
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

/// A stream, and which of its places are there.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name.
    pub id: StreamId,
    /// The first place that has something; 0: none has.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

/// An event without a seal.
#[derive(Clone, Copy, Debug)]
pub struct Bare {
    /// Where it stands.
    pub spot: Spot,
    /// From which instance it says it comes.
    pub origin: Option<u64>,
    /// When it says it was read.
    pub read_ms: Option<i64>,
}

/// All that was read.
#[derive(Debug)]
pub struct Gathered {
    reader: Reader,
    streams: HashMap<StreamId, u32>,
    /// The streams, by their numbers in claims.
    pub rows: Vec<Row>,
    /// What is said of places.
    pub sorter: Sorter,
    /// Lists and notes.
    pub pool: Pool,
    notes: HashMap<Hash, usize>,
    /// The checkpoints.
    pub marks: Vec<Mark>,
    /// Names of receivers that checkpoints tell of, a few.
    pub receivers: Vec<String>,
    /// What was found while reading.
    pub findings: Findings,
    /// Lines that were read.
    pub lines: u64,
    /// Lines with an event.
    pub events: u64,
    /// Events of the common schema.
    pub ecs: u64,
    /// Events without a seal, as many as are judged by their times.
    pub bare: Vec<Bare>,
    /// From which instances sealed events come.
    pub origins: Vec<u64>,
    /// Something of the exports could not be read: what is missing may have stood there.
    pub torn: bool,
}

impl Gathered {
    /// Nothing yet; what does not fit memory goes to this directory.
    pub fn new(ignore: Vec<String>, dir: &Path, held: usize) -> Gathered {
        Gathered {
            reader: Reader::new(ignore),
            streams: HashMap::new(),
            rows: Vec::new(),
            sorter: Sorter::new(dir, held),
            pool: Pool::new(dir, held),
            notes: HashMap::new(),
            marks: Vec::new(),
            receivers: Vec::new(),
            findings: Findings::default(),
            lines: 0,
            events: 0,
            ecs: 0,
            bare: Vec::new(),
            origins: Vec::new(),
            torn: false,
        }
    }

    fn stream(&mut self, id: StreamId) -> Option<u32> {
        if let Some(n) = self.streams.get(&id) {
            return Some(*n);
        }
        if self.rows.len() == limits::VERIFY_STREAMS {
            if self.findings.count(Kind::TooMuch) == 0 {
                self.findings.say(Kind::TooMuch, None, None, "too many streams: give the exports one by one");
            }
            return None;
        }
        let n = self.rows.len() as u32;
        self.rows.push(Row { id, first: 0, last: 0 });
        self.streams.insert(id, n);
        Some(n)
    }

    /// One line of an export; `ended`: by a newline.
    pub fn line(&mut self, text: &[u8], line: Line, ended: bool) -> io::Result<()> {
        // Some editors and shells begin a file with this.
        let text = text.strip_prefix(b"\xef\xbb\xbf").filter(|_| line.number == 1).unwrap_or(text);
        if text.trim_ascii().is_empty() {
            return Ok(());
        }
        self.lines += 1;
        let Some(said) = self.reader.read(text) else {
            let spot = Spot { line, ..Spot::default() };
            self.torn |= !ended;
            let what = if ended { "no JSON object" } else { "no JSON object: the export seems to be cut off here" };
            self.findings.say(Kind::Unread, None, Some(spot), what);
            return Ok(());
        };
        self.said(said, line)
    }

    /// A line that was longer than any may be.
    pub fn too_long(&mut self, line: Line) {
        self.lines += 1;
        self.torn = true;
        self.findings.say(Kind::Unread, None, Some(Spot { line, ..Spot::default() }), "longer than any event can be");
    }

    /// What a line says.
    pub fn said(&mut self, said: Said, line: Line) -> io::Result<()> {
        let spot = Spot { line, ..said.spot };
        let what = match said.what {
            Saying::Bare => {
                self.bare(Bare { spot, origin: said.origin, read_ms: said.read_ms });
                return Ok(());
            }
            Saying::Broken => {
                self.findings.say(Kind::Altered, None, Some(spot), "its seal cannot be read");
                return Ok(());
            }
            Saying::Event => {
                self.events += 1;
                self.ecs += u64::from(said.ecs);
                What::Event(said.leaf)
            }
            Saying::List(list) => {
                let packed = listing::pack(&list, said.place);
                let at = self.pool.put(&packed)?;
                if let Some(stream) = self.stream(list.stream) {
                    let what = What::List(at, packed.len() as u32);
                    let claim = Claim { stream, seq: list.from, what, fault: Fault::None, spot };
                    self.sorter.push(claim.pack())?;
                }
                What::Evidence(said.leaf)
            }
            Saying::Note(text) => {
                self.note(&text, Some((spot, said.place)))?;
                What::Evidence(said.leaf)
            }
        };
        let Some((id, seq)) = said.place else { return Ok(()) };
        if let Some(origin) = said.origin.filter(|o| self.origins.last() != Some(o) && !self.origins.contains(o)) {
            if self.origins.len() < limits::VERIFY_ORIGINS {
                self.origins.push(origin);
            }
        }
        let Some(stream) = self.stream(id) else { return Ok(()) };
        let row = &mut self.rows[stream as usize];
        row.first = if row.first == 0 { seq } else { row.first.min(seq) };
        row.last = row.last.max(seq);
        self.sorter.push(Claim { stream, seq, what, fault: said.fault, spot }.pack())
    }

    /// An event without a seal: what it is is told by its time, when all is read.
    fn bare(&mut self, bare: Bare) {
        if self.bare.len() < limits::VERIFY_BARE {
            self.bare.push(bare);
        } else {
            self.findings.say(Kind::Bare, None, Some(bare.spot), "");
        }
    }

    /// A checkpoint. One that comes again counts once.
    fn note(&mut self, text: &str, exported: Option<(Spot, Option<(StreamId, u64)>)>) -> io::Result<()> {
        let hash = Algorithm::Sha256.hash(&[text.as_bytes()]);
        if let Some(&known) = self.notes.get(&hash) {
            let mark = &mut self.marks[known];
            mark.exported = mark.exported.or(exported);
            return Ok(());
        }
        let Some(note) = Note::parse(text) else { return Ok(()) };
        let Ok(c) = Checkpoint::read(&note.body) else { return Ok(()) };
        let body = checkpoint::body_hash(&note.body);
        if self.marks.len() == limits::VERIFY_CHECKPOINTS {
            if self.findings.count(Kind::TooMuch) == 0 {
                self.findings.say(Kind::TooMuch, None, None, "too many checkpoints: give the exports one by one");
            }
            return Ok(());
        }
        for r in &c.receivers {
            if self.receivers.len() < limits::VERIFY_RECEIVERS && !self.receivers.contains(&r.name) {
                self.receivers.push(r.name.clone());
            }
        }
        let _ = self.stream(c.stream);
        let at = self.pool.put(text.as_bytes())?;
        self.notes.insert(hash, self.marks.len());
        self.marks.push(Mark {
            id: c.stream,
            number: c.number,
            size: c.size,
            root: c.root,
            hash: body,
            previous: c.previous,
            time_ms: c.time_ms,
            why: c.why,
            text: (at, text.len() as u32),
            exported,
            trust: Trust::Unknown,
            chain: 0,
        });
        Ok(())
    }

    /// A file of checkpoints: signed notes, each followed by an empty line.
    pub fn checkpoints(&mut self, text: &[u8], line: Line, ended: bool, so_far: &mut Notes) -> io::Result<()> {
        let text = String::from_utf8_lossy(text);
        if so_far.signed && !text.starts_with('—') {
            let note = std::mem::take(so_far);
            so_far.any = true;
            let good = Note::parse(&note.text).is_some_and(|n| Checkpoint::read(&n.body).is_ok());
            if good {
                self.note(&note.text, None)?;
            } else {
                let spot = Spot { line, ..Spot::default() };
                self.findings.say(
                    Kind::Altered,
                    None,
                    Some(spot),
                    "a checkpoint that cannot be read ends before this line",
                );
            }
        }
        let between = so_far.text.is_empty() && text.is_empty();
        if ended && !between && so_far.text.len() <= limits::NOTE_BYTES {
            so_far.signed |= text.starts_with('—');
            so_far.text.push_str(&text);
            so_far.text.push('\n');
        }
        Ok(())
    }
}

/// A note of a file of checkpoints as far as it has come.
#[derive(Debug, Default)]
pub struct Notes {
    text: String,
    signed: bool,
    /// There was one before it.
    any: bool,
}

impl Notes {
    /// Whether the file has had none: another one was meant.
    pub fn is_none(&self) -> bool {
        !self.any
    }
}

/// Sees a line: its text, none where it is too long; its number; whether it ended by a newline.
pub type See<'a> = &'a mut dyn FnMut(Option<&[u8]>, u64, bool) -> io::Result<()>;

/// Calls `see` with each line, its number and whether it ended by a newline; with nothing for one that is too long.
pub fn lines(reader: &mut dyn Read, read: &mut dyn FnMut(u64), see: See<'_>) -> io::Result<()> {
    let mut buffer = vec![0; limits::VERIFY_READ_BYTES];
    // What is filled, what of it holds no newline, and whether the line at hand is passed over.
    let (mut filled, mut looked, mut skip, mut number) = (0, 0, false, 1);
    loop {
        if filled == buffer.len() {
            if buffer.len() >= limits::VERIFY_LINE_BYTES {
                (filled, looked, skip) = (0, 0, true);
            } else {
                buffer.resize(2 * buffer.len(), 0);
            }
        }
        let got = match reader.read(&mut buffer[filled..]) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            got => got?,
        };
        read(got as u64);
        if got == 0 {
            break;
        }
        filled += got;
        let mut from = 0;
        while let Some(at) = memchr::memchr(b'\n', &buffer[looked..filled]) {
            let line = &buffer[from..looked + at];
            see(Some(line).filter(|_| !skip), number, true)?;
            (from, looked, skip, number) = (looked + at + 1, looked + at + 1, false, number + 1);
        }
        buffer.copy_within(from..filled, 0);
        filled -= from;
        looked = filled;
    }
    if filled > 0 || skip {
        see(Some(&buffer[..filled]).filter(|_| !skip), number, false)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_read() {
        struct Bits<'a>(&'a [u8], usize);
        impl Read for Bits<'_> {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let n = self.1.min(out.len()).min(self.0.len());
                out[..n].copy_from_slice(&self.0[..n]);
                self.0 = &self.0[n..];
                Ok(n)
            }
        }
        let long = "x".repeat(3 * limits::VERIFY_READ_BYTES);
        let text = format!("a\n\n{long}\nbc\nlast");
        for step in [1000, 7919, limits::VERIFY_READ_BYTES, usize::MAX] {
            let (mut all, mut bytes) = (Vec::new(), 0);
            let mut see = |line: Option<&[u8]>, number: u64, ended: bool| {
                all.push((line.map_or(0, <[u8]>::len), number, ended));
                Ok(())
            };
            lines(&mut Bits(text.as_bytes(), step), &mut |n| bytes += n, &mut see).unwrap();
            assert_eq!(all, [(1, 1, true), (0, 2, true), (long.len(), 3, true), (2, 4, true), (4, 5, false)]);
            assert_eq!(bytes, text.len() as u64);
        }
    }
}
