//! ○ What a line of an export says: an event and its leaf, made anew of its fields; a list; a checkpoint; or nothing sealed.
//!
//! Nearly every event is a flat object of strings: that is written again in one pass, without a tree. Refuses: to believe
//! the leaf that an event bears; to look at more fields than any event has.

use super::claim::{Fault, Spot};
use super::shown::{self, key_of};
use crate::audit::record::usual::Usual;
use crate::audit::seal::{self, checkpoint, leaf, list, Checkpoint, Form, Hash, List, Note, StreamId};
use crate::hash::xxh64;
use crate::json::{self, text_of, Field, Kind, Span};
use crate::limits;
use std::borrow::Cow;

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An event.
    Event,
    /// A list.
    List(List),
    /// A checkpoint: the note.
    Note(String),
    /// It has a seal that cannot be read.
    Broken,
    /// Nothing with a seal.
    Bare,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What it is.
    pub what: What,
    /// Where its seal places it.
    pub place: Option<(StreamId, u64)>,
    /// The leaf that its bytes have there.
    pub leaf: Hash,
    /// What is wrong with it by itself.
    pub fault: Fault,
    /// Its id and time; the line is for the caller to know.
    pub spot: Spot,
    /// It is of the common schema: only its exact bytes were looked at.
    pub ecs: bool,
    /// From which instance it says it comes, as a hash; none: no helper of ours has written it.
    pub origin: Option<u64>,
    /// When it says it was read.
    pub read_ms: Option<i64>,
}

/// Reads lines, and keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub struct Reader {
    ignore: Vec<String>,
    fields: Vec<Field>,
    body: Vec<u8>,
    usual: Usual,
}

/// The object that is ours, as far as it counts here.
#[derive(Default)]
struct Ours {
    seal: Option<Span>,
    raw: Option<Vec<u8>>,
    origin: Option<u64>,
    read_at: Span,
}

/// What a seal says.
struct Seal {
    stream: StreamId,
    seq: u64,
    leaf: Option<Hash>,
}

impl Reader {
    /// One that passes over these fields too.
    pub fn new(ignore: Vec<String>) -> Reader {
        Reader { ignore, ..Reader::default() }
    }

    /// What a line says; none: it is no JSON object, or one too large.
    pub fn read(&mut self, line: &[u8]) -> Option<Said> {
        let plain = json::is_plain(line);
        if !plain && std::str::from_utf8(line).is_err() {
            return None;
        }
        self.fields.clear();
        let (fields, mut many) = (&mut self.fields, false);
        let whole = json::object_of(line, false, plain, |f| {
            many |= fields.len() == limits::VERIFY_FIELDS;
            if !many {
                fields.push(f);
            }
        });
        if !whole || many {
            return None;
        }
        // As an index gives its hits.
        let nested =
            |name: &str| self.fields.iter().find(|f| f.kind == Kind::Nested && f.key.of(line) == name.as_bytes());
        if let Some(source) = nested("_source") {
            return self.read(&line[source.value.from..source.value.to]);
        }
        let ours = nested("gostech").map(|f| f.value);
        let original = nested("ecs").and(nested("event")).and_then(|f| text_in(f.value.of(line), "original"));
        let mut said = self.of_fields(line, ours, original.map(String::into_bytes), plain);
        said.spot = self.spot(line, said.spot);
        Some(said)
    }

    fn of_fields(&mut self, line: &[u8], span: Option<Span>, original: Option<Vec<u8>>, plain: bool) -> Said {
        let ecs = original.is_some();
        let gostech = span.map(|span| span.of(line)).unwrap_or_default();
        let ours = self.ours(gostech);
        let read_ms = self.usual.clock.read(ours.read_at.of(gostech)).map(|w| w.millis);
        let mut said = Said {
            what: What::Bare,
            place: None,
            leaf: Hash::default(),
            fault: Fault::None,
            spot: Spot::default(),
            ecs,
            origin: ours.origin,
            read_ms,
        };
        let raw = ours.raw.or(original);
        let title = match &raw {
            Some(raw) if ecs => text_in(raw, "title"),
            _ => self.text(line, "title").map(Cow::into_owned),
        };
        let evidence = [list::TITLE, checkpoint::TITLE].into_iter().find(|t| title.as_deref() == Some(t));
        let content = evidence.and_then(|title| content(raw.as_deref().unwrap_or(line), title));
        let Some(seal) = ours.seal.map(|span| read_seal(span.of(gostech))) else {
            // A checkpoint proves itself wherever it stands.
            said.what = content.filter(|c| matches!(c, What::Note(_))).unwrap_or(What::Bare);
            return said;
        };
        let Some(seal) = seal else {
            said.what = What::Broken;
            return said;
        };
        said.place = Some((seal.stream, seal.seq));
        let twice = self.fields.iter().filter(|f| json::key_is(f.key.of(line), "gostech")).count() > 1;
        let (hash, fault) = self.event(line, raw.as_deref(), ecs, plain, (seal.stream, seal.seq), seal.leaf);
        let own = if seal.leaf != Some(hash) || twice { Fault::Altered } else { Fault::None };
        (said.what, said.leaf, said.fault) = (content.unwrap_or(What::Event), hash, fault.max(own));
        said
    }

    /// The leaf of an event, and what is wrong with what it shows.
    fn event(
        &mut self,
        line: &[u8],
        raw: Option<&[u8]>,
        ecs: bool,
        plain: bool,
        (stream, seq): (StreamId, u64),
        claimed: Option<Hash>,
    ) -> (Hash, Fault) {
        let Some(raw) = raw else {
            let fault = if self.rebuild(line, plain) { Fault::None } else { Fault::Altered };
            return (seal::leaf(stream, seq, Form::Canonical, &self.body), fault);
        };
        // A piece of a line counts as raw whatever it looks like: which it was is told by the leaf.
        let mut hash = seal::leaf(stream, seq, Form::Raw, raw);
        if claimed != Some(hash) && seal::form(raw) == Form::Canonical {
            let other = seal::leaf(stream, seq, Form::Canonical, raw);
            hash = if claimed == Some(other) || ecs { other } else { hash };
        }
        if ecs {
            return (hash, Fault::None);
        }
        let ignore = &self.ignore;
        let passed = |key: &str| seal::is_foreign(key) || ignore.iter().any(|i| i == key);
        let own: Vec<Field> =
            self.fields.iter().copied().filter(|f| !key_of(line, f).is_some_and(|key| passed(&key))).collect();
        (hash, shown::fault(line, &own, raw, &passed))
    }

    /// The canonical record that the fields make, into `body`; false: they make none.
    fn rebuild(&mut self, line: &[u8], plain: bool) -> bool {
        self.body.clear();
        let ignore = &self.ignore;
        let counts = |f: &Field| match std::str::from_utf8(f.key.of(line)) {
            Ok(key) => !seal::is_foreign(key) && !ignore.iter().any(|i| i == key),
            Err(_) => true,
        };
        self.fields.retain(counts);
        let good = |f: &Field| f.kind == Kind::Text && (plain || !f.key.of(line).contains(&b'\\'));
        if !self.fields.iter().all(good) {
            return false;
        }
        let key = |f: &Field| f.key.of(line);
        if !self.fields.is_sorted_by(|a, b| key(a) < key(b)) {
            self.fields.sort_unstable_by(|a, b| key(a).cmp(key(b)));
            if !self.fields.is_sorted_by(|a, b| key(a) < key(b)) {
                return false;
            }
        }
        self.body.push(b'{');
        for (i, f) in self.fields.iter().enumerate() {
            self.body.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
            self.body.extend_from_slice(key(f));
            self.body.extend_from_slice(b"\":");
            let value = f.value.of(line);
            if plain || !value.contains(&b'\\') {
                self.body.push(b'"');
                self.body.extend_from_slice(value);
                self.body.push(b'"');
            } else if let Some(text) = text_of(value) {
                // A pipeline may escape in its own way; a string goes into memory without fail.
                let _ = serde_json::to_writer(&mut self.body, &text);
            }
        }
        self.body.push(b'}');
        true
    }

    /// Our own object.
    fn ours(&self, text: &[u8]) -> Ours {
        let mut ours = Ours::default();
        json::object(text, false, |f| match (f.key.of(text), f.kind) {
            (b"seal", Kind::Nested) => ours.seal = Some(f.value),
            (key @ (b"node" | b"cluster" | b"instance"), Kind::Text) => {
                // In whatever order an index gives them.
                let one = xxh64(f.value.of(text), u64::from(key[0]));
                ours.origin = Some(ours.origin.unwrap_or(0).wrapping_add(one));
            }
            (b"read_at", Kind::Text) => ours.read_at = f.value,
            (b"raw", Kind::Text) => ours.raw = text_of(f.value.of(text)).map(String::into_bytes),
            (b"raw_base64", Kind::Text) => ours.raw = text_of(f.value.of(text)).and_then(|t| json::from_base64(&t)),
            _ => {}
        });
        ours
    }

    fn text<'a>(&self, line: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
        let field = self.fields.iter().find(|f| f.kind == Kind::Text && f.key.of(line) == name.as_bytes())?;
        let value = field.value.of(line);
        match std::str::from_utf8(value) {
            Ok(text) if !text.contains('\\') => Some(Cow::from(text)),
            _ => text_of(value).map(Cow::from),
        }
    }

    fn spot(&mut self, line: &[u8], spot: Spot) -> Spot {
        let (id, time) = (self.text(line, "id"), self.text(line, "time").or_else(|| self.text(line, "@timestamp")));
        let id = id.and_then(|id| self.usual.id(id.as_bytes()));
        let time_ms = time.and_then(|time| self.usual.clock.read(time.as_bytes())).map(|w| w.millis);
        Spot { id, time_ms, ..spot }
    }
}

/// What a list or a checkpoint says; none: it is neither, whatever it calls itself.
fn content(body: &[u8], title: &str) -> Option<What> {
    let mut fields = Vec::new();
    json::object(body, false, |f| fields.push(f));
    let get = |name: &str| {
        let field = fields.iter().find(|f| f.kind == Kind::Text && f.key.of(body) == name.as_bytes())?;
        text_of(field.value.of(body))
    };
    if title == list::TITLE {
        return List::read(|name| get(name).map(Cow::from)).map(What::List);
    }
    let note = get("checkpoint")?;
    let is_one = Note::parse(&note).is_some_and(|n| Checkpoint::read(&n.body).is_ok());
    is_one.then_some(What::Note(note))
}

/// A text of an object.
fn text_in(object: &[u8], name: &str) -> Option<String> {
    let mut found = None;
    json::object(object, false, |f| {
        if f.kind == Kind::Text && f.key.of(object) == name.as_bytes() {
            found = text_of(f.value.of(object));
        }
    });
    found
}

/// A seal; none: it is not as it is written.
fn read_seal(text: &[u8]) -> Option<Seal> {
    let (mut stream, mut seq, mut hash) = (None, None, None);
    let whole = json::object(text, false, |f| {
        let value = std::str::from_utf8(f.value.of(text)).unwrap_or_default();
        match f.key.of(text) {
            b"stream" => stream = StreamId::parse(value),
            b"seq" => seq = value.parse::<u64>().ok().filter(|n| *n > 0),
            b"leaf" => hash = leaf::of_text(value),
            _ => {}
        }
    });
    Some(Seal { stream: stream?, seq: seq.filter(|_| whole)?, leaf: hash })
}
