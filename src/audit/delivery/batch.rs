//! ○ Events of one request: their bytes, and which stretch is whose, so that any part of them can be sent alone.

use crate::audit::delivery::event::Maker;
use crate::audit::delivery::format::{Format, Pen};
use crate::audit::record::{EventId, Kind};
use crate::audit::spool::record::{Head, Stored};
use crate::limits;
use std::ops::Range;
use std::sync::Arc;

/// Where one event stands.
#[derive(Clone, Debug)]
struct Place {
    seq: u64,
    /// In the body.
    at: Range<usize>,
    /// Its document id, in `ids`.
    id: Range<usize>,
    event: Option<EventId>,
    /// The bytes of one of ours, which is never counted as dropped: what it tells is needed when it comes through.
    own: Option<Box<[u8]>>,
    /// A later piece of a line: without an id of its own.
    piece: bool,
}

/// Events, formatted.
#[derive(Debug)]
pub struct Batch {
    format: &'static Format,
    body: Vec<u8>,
    ids: Vec<u8>,
    places: Vec<Place>,
    maker: Maker,
    pen: Pen,
    part: Vec<u8>,
}

impl Batch {
    /// An empty one.
    pub fn new(format: &'static Format) -> Batch {
        let (body, ids, places) = (Vec::new(), Vec::new(), Vec::new());
        Batch { format, body, ids, places, maker: Maker::default(), pen: Pen::default(), part: Vec::new() }
    }

    /// How many events.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many bytes.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// How many bytes some of them are.
    pub fn bytes_of(&self, part: Range<usize>) -> usize {
        self.places[part].iter().map(|p| p.at.len()).sum()
    }

    /// The number of an event in the spool.
    pub fn seq(&self, i: usize) -> u64 {
        self.places[i].seq
    }

    /// Its document id.
    pub fn id(&self, i: usize) -> &str {
        std::str::from_utf8(&self.ids[self.places[i].id.clone()]).unwrap_or("-")
    }

    /// The node it is of, for formats that name it in a header.
    pub fn node(&self, i: usize) -> Option<u64> {
        self.event(i).map(|e| e.raft_id).filter(|_| self.format.node_header)
    }

    /// Its id as the database counts.
    pub fn event(&self, i: usize) -> Option<EventId> {
        self.places[i].event
    }

    /// The bytes of one of ours.
    pub fn own(&self, i: usize) -> Option<&[u8]> {
        self.places[i].own.as_deref()
    }

    /// By which id a dropped one is noted, if it has one.
    pub fn noted(&self, i: usize) -> Option<EventId> {
        let p = &self.places[i];
        p.event.filter(|_| !p.piece)
    }

    /// Adds an event.
    pub fn push(&mut self, r: &Stored<'_>, head: &Arc<Head>) {
        let frame = self.format.frame;
        self.body.extend_from_slice(if self.places.is_empty() { frame.open() } else { frame.between() });
        let (from, id) = (self.body.len(), self.ids.len());
        let event = self.maker.make(r, head);
        (self.format.write)(&mut self.pen, &mut self.body, &event);
        frame.settle(&mut self.body, from);
        self.ids.extend_from_slice(event.id);
        let (own, piece) = ((r.kind == Kind::Own).then(|| r.raw.into()), r.part > 1);
        let (at, id, event) = (from..self.body.len(), id..self.ids.len(), event.number);
        self.places.push(Place { seq: r.seq, at, id, event, own, piece });
    }

    /// The body for some of the events. That for all is not copied.
    pub fn body(&mut self, part: Range<usize>) -> &[u8] {
        let close = self.format.frame.close();
        if part == (0..self.places.len()) {
            self.body.extend_from_slice(close);
            // The next event would stand behind it: the length that counts is that of the last event.
            return &self.body;
        }
        self.part.clear();
        self.part.extend_from_slice(self.format.frame.open());
        let (from, to) = (self.places[part.start].at.start, self.places[part.end - 1].at.end);
        self.part.extend_from_slice(&self.body[from..to]);
        self.part.extend_from_slice(close);
        &self.part
    }

    /// Takes off what `body` put behind the last event.
    pub fn reopen(&mut self) {
        let end = self.places.last().map_or(0, |p| p.at.end);
        self.body.truncate(end);
    }

    /// The key of a part: from its first and last document id, in characters a header can have.
    pub fn key(&self, part: Range<usize>) -> String {
        let both = format!("{}..{}", self.id(part.start), self.id(part.end - 1));
        let clean = |c: char| if c.is_ascii_graphic() && c != '"' { c } else { '_' };
        both.chars().map(clean).collect()
    }

    /// Forgets all events, and memory that only a large one needed.
    pub fn clear(&mut self) {
        self.body.clear();
        self.ids.clear();
        self.places.clear();
        self.body.shrink_to(limits::BATCH_KEPT_BYTES);
        self.part.clear();
        self.part.shrink_to(limits::BATCH_KEPT_BYTES / 2);
    }

    /// Forgets the bytes of all its events, not which they are: those that wait for a judgement may be many.
    pub fn let_go(&mut self) {
        self.body.clear();
        self.places.iter_mut().for_each(|p| p.at = 0..0);
    }

    /// Gives its memory back.
    pub fn rest(&mut self) {
        *self = Batch::new(self.format);
    }
}

#[cfg(test)]
impl Batch {
    /// How much memory it holds for bodies.
    pub fn room(&self) -> usize {
        self.body.capacity()
    }

    /// As after a delivery.
    pub fn reserve_for_test(&mut self) {
        self.body.reserve(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::delivery::format::FORMATS;
    use crate::audit::delivery::frame::Frame;
    use crate::audit::record::{read, Kind};
    use crate::audit::spool::record::{decode, encode, New};
    use serde_json::Value;

    #[test]
    fn any_part_is_a_body() {
        let head = Arc::new(Head { first_seq: 1, ..Head::default() });
        for format in FORMATS.iter().filter(|f| f.frame != Frame::Alone) {
            let mut b = Batch::new(format);
            for n in 1..=5u64 {
                let raw = format!("{{\"id\":\"1.0.{n}\"}}");
                let f = read(raw.as_bytes(), false);
                let (raw, id, time) = (raw.as_bytes(), f.id, f.time);
                let mut bytes = Vec::new();
                let new = New { kind: Kind::Object, raw, id, time, part: 0, parts: 0, stream: 0, read_ms: 0 };
                encode(&mut bytes, &head, n, &new);
                b.push(&decode(&head, &bytes).unwrap(), &head);
            }
            for part in [0..5, 0..1, 4..5, 1..4, 0..5] {
                let count = part.len();
                let body = String::from_utf8(b.body(part.clone()).to_vec()).unwrap();
                b.reopen();
                let events: Vec<Value> = match format.name {
                    "json" => serde_json::from_str(&body).unwrap(),
                    _ => body.lines().map(|l| serde_json::from_str(l).unwrap()).collect(),
                };
                assert_eq!(events.len(), count);
                assert_eq!(events[0]["id"], format!("1.0.{}", part.start + 1));
                assert_eq!(events[0]["gostech"]["id"], b.id(part.start));
            }
            assert!(b.key(0..5).starts_with("-/-/1.0.1/") && b.key(0..5).contains("..-/-/1.0.5/"));
        }
    }
}
