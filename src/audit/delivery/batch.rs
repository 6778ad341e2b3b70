//! ○ Events of one request: their bytes, and which stretch is whose, so that any part of them can be sent alone.

use crate::audit::delivery::event::Maker;
use crate::audit::delivery::format::{Form, Pen};
use crate::audit::delivery::parcel::Parcel;
use crate::audit::record::{EventId, Kind};
use crate::audit::spool::record::{Head, Stored};
use crate::limits;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

/// Where one event stands.
#[derive(Clone, Debug)]
struct Place {
    seq: u64,
    /// In the body.
    at: Range<usize>,
    /// Its document id, in `ids`.
    id: Range<usize>,
    event: Option<EventId>,
    /// The bytes of one of ours, which is never counted as dropped: what it tells is needed when it comes through. Evidence, which
    /// is large, tells nothing.
    own: Option<Box<[u8]>>,
    /// A later piece of a line: without an id of its own.
    piece: bool,
    /// So many records right behind it are left out by a filter.
    left_out: u64,
}

/// Events, formatted.
#[derive(Debug)]
pub struct Batch {
    form: Form,
    body: Vec<u8>,
    ids: Vec<u8>,
    places: Vec<Place>,
    maker: Maker,
    pen: Pen,
    part: Vec<u8>,
    stretches: Vec<Range<usize>>,
    names: Vec<Range<usize>>,
    key: String,
}

impl Batch {
    /// An empty one.
    pub fn new(form: Form) -> Batch {
        let (maker, pen) = (Maker::default(), Pen::new(&form.manner));
        let (body, ids, places, part) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (stretches, names, key) = (Vec::new(), Vec::new(), String::new());
        Batch { form, body, ids, places, maker, pen, part, stretches, names, key }
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

    /// The number of the first event in the spool.
    pub fn first(&self) -> Option<u64> {
        self.places.first().map(|p| p.seq)
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
    fn node(&self, i: usize) -> Option<u64> {
        self.event(i).map(|e| e.raft_id).filter(|_| self.form.format.node_header)
    }

    /// Its id as the database counts.
    pub fn event(&self, i: usize) -> Option<EventId> {
        self.places[i].event
    }

    /// The bytes of one of ours.
    pub fn own(&self, i: usize) -> Option<&[u8]> {
        self.places[i].own.as_deref()
    }

    /// The number of the record behind an event and behind what is left out there.
    pub fn end(&self, i: usize) -> u64 {
        self.places[i].seq + 1 + self.places[i].left_out
    }

    /// How many records are left out behind these events.
    pub fn left_out(&self, part: Range<usize>) -> u64 {
        self.places[part].iter().map(|p| p.left_out).sum()
    }

    /// Whether a record comes right behind the last event, and what is left out there.
    pub fn joins(&self, seq: u64) -> bool {
        !self.is_empty() && self.end(self.len() - 1) == seq
    }

    /// One more record behind the last event is left out.
    pub fn leave_out(&mut self) {
        if let Some(last) = self.places.last_mut() {
            last.left_out += 1;
        }
    }

    /// By which id a dropped one is noted, if it has one.
    pub fn noted(&self, i: usize) -> Option<EventId> {
        let p = &self.places[i];
        p.event.filter(|_| !p.piece)
    }

    /// Adds an event.
    pub fn push(&mut self, r: &Stored<'_>, head: &Arc<Head>) {
        let frame = self.form.frame;
        self.reopen();
        self.body.extend_from_slice(if self.places.is_empty() { frame.open() } else { frame.between() });
        let (from, id) = (self.body.len(), self.ids.len());
        let event = self.maker.make(r, head);
        (self.form.format.write)(&mut self.pen, &mut self.body, &event);
        frame.settle(&mut self.body, from);
        self.ids.extend_from_slice(event.id);
        let (own, piece) =
            ((r.kind == Kind::Own).then(|| if r.is_evidence() { Box::default() } else { r.raw.into() }), r.part > 1);
        let (at, id, event) = (from..self.body.len(), id..self.ids.len(), event.number);
        self.places.push(Place { seq: r.seq, at, id, event, own, piece, left_out: 0 });
    }

    /// Some of the events, to be sent. The bytes of all are not copied.
    pub fn parcel(&mut self, part: Range<usize>, wall: SystemTime) -> Parcel<'_> {
        let (node, frame) = (self.node(part.start), self.form.frame);
        self.key = self.key_of(part.clone());
        self.close();
        let from = self.places[part.start].at.start;
        let whole = part == (0..self.places.len());
        let moved = if whole { 0 } else { from - frame.open().len() };
        self.stretches.clear();
        self.stretches.extend(self.places[part.clone()].iter().map(|p| p.at.start - moved..p.at.end - moved));
        self.names.clear();
        self.names.extend(self.places[part.clone()].iter().map(|p| p.id.clone()));
        if !whole {
            let to = self.places[part.end - 1].at.end;
            self.part.clear();
            self.part.extend_from_slice(frame.open());
            self.part.extend_from_slice(&self.body[from..to]);
            self.part.extend_from_slice(frame.close());
        }
        let bytes = if whole { &self.body } else { &self.part };
        let content_type = self.form.format.content_type;
        Parcel {
            bytes,
            events: &self.stretches,
            ids: (&self.ids, &self.names),
            content_type,
            key: &self.key,
            node,
            wall,
        }
    }

    /// Puts behind the last event what ends a parcel; the next event takes that away again.
    fn close(&mut self) {
        self.reopen();
        self.body.extend_from_slice(self.form.frame.close());
    }

    fn reopen(&mut self) {
        let end = self.places.last().map_or(0, |p| p.at.end);
        self.body.truncate(end);
    }

    /// The key of a part: from its first and last document id, in characters a header can have.
    fn key_of(&self, part: Range<usize>) -> String {
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
        *self = Batch::new(self.form.clone());
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
    use crate::audit::delivery::format::find;
    use crate::audit::record::{read, Kind};
    use crate::audit::spool::record::{decode, encode, New};
    use serde_json::Value;

    #[test]
    fn any_part_is_a_body() {
        let head = Arc::new(Head { first_seq: 1, ..Head::default() });
        // Those whose events are the JSON of the database in a body that is nothing else; others are decoded elsewhere.
        for format in ["json", "ndjson"].into_iter().filter_map(find) {
            let mut b = Batch::new(format.form(None));
            for n in 1..=5u64 {
                let raw = format!("{{\"id\":\"1.0.{n}\"}}");
                let f = read(raw.as_bytes(), false);
                let (raw, id, time) = (raw.as_bytes(), f.id, f.time);
                let mut bytes = Vec::new();
                let new =
                    New { kind: Kind::Object, raw, id, time, part: 0, parts: 0, stream: 0, read_ms: 0, form: None };
                encode(&mut bytes, &head, n, &new);
                b.push(&decode(&head, &bytes).unwrap(), &head);
            }
            for part in [0..5, 0..1, 4..5, 1..4, 0..5] {
                let count = part.len();
                let parcel = b.parcel(part.clone(), SystemTime::UNIX_EPOCH);
                let body = String::from_utf8(parcel.bytes.to_vec()).unwrap();
                assert_eq!(parcel.len(), count);
                let alone: Vec<Value> =
                    parcel.events.iter().map(|at| serde_json::from_slice(&parcel.bytes[at.clone()]).unwrap()).collect();
                let events: Vec<Value> = match format.name {
                    "json" => serde_json::from_str(&body).unwrap(),
                    _ => body.lines().map(|l| serde_json::from_str(l).unwrap()).collect(),
                };
                assert_eq!(events, alone, "each event stands where the parcel says");
                assert_eq!(events[0]["id"], format!("1.0.{}", part.start + 1));
                assert_eq!(events[0]["gostech"]["id"], b.id(part.start));
            }
            let key = b.key_of(0..5);
            assert!(key.starts_with("-/-/1.0.1/") && key.contains("..-/-/1.0.5/"));
        }
    }
}
