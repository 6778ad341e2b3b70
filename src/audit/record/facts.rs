//! ○ What a record says of itself: kind, id, time, title, severity. Refuses: to change a byte, to judge unknown titles.

use super::event_id::EventId;
use super::frame;
use super::usual::Usual;
use crate::json::{self, Kind as Value, Span};
use crate::limits;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A whole JSON object: delivered with its fields untouched.
    Object = 1,
    /// The beginning of an object that the database (or `--event-max`) cut.
    Cut = 2,
    /// No object, or one with a field of ours: delivered wrapped.
    Unparsed = 3,
    /// Written by this program (`audit_gap`).
    Own = 4,
}

/// Whether a record of ours is evidence itself, a list of leaves or a checkpoint: that tells of no gap.
pub fn is_evidence(kind: Kind, id: &[u8]) -> bool {
    kind == Kind::Own && (id.starts_with(b"leaves-") || id.starts_with(b"checkpoint-"))
}

/// The frame around a record of this kind: a later piece of a line has none, and what we write ourselves neither.
#[inline]
pub fn frame_around(kind: Kind, part: u32, raw: &[u8]) -> Option<frame::Frame> {
    frame::of(raw).filter(|_| part <= 1 && kind != Kind::Own)
}

/// The bytes of a record as an event has them: without their frame.
#[inline]
pub fn body_of(kind: Kind, part: u32, raw: &[u8]) -> &[u8] {
    frame_around(kind, part, raw).map_or(raw, |f| f.body.of(raw))
}

impl Kind {
    /// The kind behind its number.
    pub fn of(n: u8) -> Option<Kind> {
        [Kind::Object, Kind::Cut, Kind::Unparsed, Kind::Own].into_iter().find(|k| *k as u8 == n)
    }

    /// The title and severity of a record that does not say its own; none of a whole one, which is taken at its word. This
    /// is the one place where they are decided: for counting, for filters and for every format.
    pub fn stand_in(self) -> Option<(&'static str, Severity)> {
        match self {
            Kind::Object | Kind::Own => None,
            Kind::Cut => Some(("truncated", Severity::High)),
            Kind::Unparsed => Some(("unparsed", Severity::Medium)),
        }
    }
}

/// The severities, and what is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Severity {
    /// `low`
    Low = 0,
    /// `medium`
    Medium = 1,
    /// `high`
    High = 2,
    /// Anything else.
    #[default]
    Other = 3,
}

impl Severity {
    /// The label of a metric.
    pub fn name(self) -> &'static str {
        ["low", "medium", "high", "other"][self as usize]
    }

    /// By its name.
    #[inline(always)]
    pub fn of(text: &[u8]) -> Severity {
        match text {
            b"low" => Severity::Low,
            b"medium" => Severity::Medium,
            b"high" => Severity::High,
            _ => Severity::Other,
        }
    }
}

/// What a record says of itself; spans are within its raw bytes, and empty where it does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: Kind,
    /// Its `id`, when it can be part of a document id.
    pub id: Span,
    /// The same as numbers.
    pub event: Option<EventId>,
    /// Its `time`, when it is one.
    pub time: Span,
    /// Its `title`.
    pub title: Span,
    /// Its `severity`.
    pub severity: Severity,
}

/// Reads one record. With `cut`, a beginning that says anything is told from bytes that never were an object. One in a frame
/// may have been cut by whoever has framed it or passed it on.
pub fn read(raw: &[u8], cut: bool) -> Facts {
    match frame::of(raw) {
        None => read_bare(raw, cut),
        Some(frame) => read_bare(frame.body.of(raw), true).moved(frame.body.from),
    }
}

fn read_bare(raw: &[u8], cut: bool) -> Facts {
    let (mut f, mut ours) = (Facts::none(), false);
    let plain = json::is_plain(raw);
    let utf8 = plain || std::str::from_utf8(raw).is_ok();
    let whole = json::object_of(raw, cut, plain, |field| {
        let text = field.kind == Value::Text && !field.cut;
        ours |= !f.note(field.key.of(raw), text.then_some(field.value), raw, plain);
    });
    let starts = raw.first() == Some(&b'{') && f_has_any(&f);
    f.kind = match (whole && utf8, ours) {
        (true, false) => Kind::Object,
        (false, false) if cut && !whole && starts => Kind::Cut,
        _ => Kind::Unparsed,
    };
    f.settled(raw, &mut Usual::default())
}

/// The facts of a record that was read before, as they were then: what was no object is not read again, since a record
/// may have been called that because workers died of reading it.
pub fn read_again(kind: Kind, raw: &[u8], id: Span, time: Span, part: u32) -> Facts {
    let mut f = if kind == Kind::Unparsed {
        let (event, title) = (EventId::parse(id.of(raw)), Span::default());
        Facts { kind, id, event, time, title, severity: Severity::Other }
    } else {
        read(raw, kind == Kind::Cut)
    };
    f.kind = kind;
    f.event = f.event.filter(|_| part <= 1);
    f
}

/// Whether an id can be part of a document id.
fn is_clean_id(id: &[u8]) -> bool {
    let clean = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
    id.len() <= limits::EVENT_ID_BYTES && id.iter().all(clean)
}

pub(super) fn f_has_any(f: &Facts) -> bool {
    f.id.to > 0 || f.time.to > 0 || f.title.to > 0
}

/// Whether a field would collide with what is added.
#[inline(always)]
fn is_ours(key: &[u8], plain: bool) -> bool {
    key == b"@timestamp"
        || key == b"gostech"
        || (!plain && key.contains(&b'\\') && (json::key_is(key, "@timestamp") || json::key_is(key, "gostech")))
}

impl Facts {
    /// Of an object that says nothing.
    pub(super) fn none() -> Facts {
        let none = Span::default();
        Facts { kind: Kind::Object, id: none, event: None, time: none, title: none, severity: Severity::Other }
    }

    /// The same, where its record begins so much later.
    fn moved(self, by: usize) -> Facts {
        let moved = |s: Span| if s.to > 0 { Span { from: s.from + by, to: s.to + by } } else { s };
        Facts { id: moved(self.id), time: moved(self.time), title: moved(self.title), ..self }
    }

    /// Of bytes that nobody looks into: workers have died of it.
    pub fn opaque() -> Facts {
        Facts { kind: Kind::Unparsed, ..Facts::none() }
    }

    /// Takes note of a field; `value`: where it stands, if it is a text. False: its name is one of ours.
    #[inline(always)]
    pub(super) fn note(&mut self, key: &[u8], value: Option<Span>, raw: &[u8], plain: bool) -> bool {
        match key {
            b"id" => self.id = value.unwrap_or_default(),
            b"time" => self.time = value.unwrap_or_default(),
            b"title" => self.title = value.unwrap_or_default(),
            b"severity" => match value {
                Some(v) => self.severity = Severity::of(v.of(raw)),
                None => self.severity = Severity::Other,
            },
            _ => return !is_ours(key, plain),
        }
        true
    }

    /// With only an id and a time that are ones. By value: what is looked at by reference goes through memory.
    #[inline(always)]
    pub(super) fn settled(self, raw: &[u8], usual: &mut Usual) -> Facts {
        let id = self.id.of(raw);
        let event = usual.id(id);
        let id = if event.is_some() || is_clean_id(id) { self.id } else { Span::default() };
        let time = if usual.clock.read(self.time.of(raw)).is_some() { self.time } else { Span::default() };
        Facts { id, event, time, ..self }
    }

    /// The title for counting.
    pub fn title_of<'a>(&self, raw: &'a [u8]) -> &'a [u8] {
        match self.kind.stand_in() {
            Some((title, _)) if self.title.to == 0 || self.kind == Kind::Unparsed => title.as_bytes(),
            _ => self.title.of(raw),
        }
    }

    /// The severity it is delivered and counted with.
    pub fn severity_as_delivered(&self) -> Severity {
        match self.kind.stand_in() {
            Some((_, severity)) if self.severity == Severity::Other || self.kind == Kind::Unparsed => severity,
            _ => self.severity,
        }
    }
}

/// A record found in a stretch of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its raw bytes within the stretch.
    pub raw: Span,
    /// What is used up of the stretch when this record is done.
    pub end: usize,
    /// What it says of itself.
    pub facts: Facts,
    /// Which piece of an oversize line it is, from 1; 0: it is no piece.
    pub part: u32,
    /// How many pieces there are; 0: no piece, or not known yet.
    pub parts: u32,
    /// Its bytes are what would be written of its fields (`seal`); false: nobody has looked yet.
    pub canonical: bool,
}
