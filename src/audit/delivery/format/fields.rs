//! ○ An event taken apart, for formats that give its fields places of their own: title, severity, message, and the rest.
//!
//! What is read twice, and names that a receiver does not allow, lose nothing: each field keeps a name of its own. Refuses: to
//! know what a receiver calls them.

use super::json::shown;
use super::titles::{self, Meaning};
use crate::audit::delivery::event::Event;
use crate::audit::record::{Kind, Severity};
use crate::json::{self, Kind as Value};
use crate::limits;
use crate::sorted::Map;
use std::borrow::Cow;

/// A field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The inside of a JSON string.
    pub key: &'a [u8],
    /// What it holds.
    pub kind: Value,
    /// Of a text the inside of a JSON string; of anything else its JSON.
    pub value: &'a [u8],
}

impl<'a> Field<'a> {
    /// What it says, as plain text.
    pub fn text(&self) -> Cow<'a, str> {
        match self.kind {
            Value::Text => plain(self.value),
            _ => String::from_utf8_lossy(self.value),
        }
    }

    /// Whether it is a text of this name.
    pub fn is_text(&self, name: &str) -> bool {
        self.kind == Value::Text && json::key_is(self.key, name)
    }
}

/// What the inside of a JSON string says.
pub fn plain(inner: &[u8]) -> Cow<'_, str> {
    match inner.contains(&b'\\') {
        false => String::from_utf8_lossy(inner),
        true => json::text_of(inner).map_or_else(|| String::from_utf8_lossy(inner), Cow::Owned),
    }
}

/// What an event tells. Texts are the insides of JSON strings.
#[derive(Debug)]
pub struct Told<'a> {
    /// Its title, never empty.
    pub title: &'a [u8],
    /// What that means.
    pub meaning: &'static Meaning,
    /// How grave it is.
    pub severity: Severity,
    /// Its message; empty: it has none.
    pub message: Cow<'a, [u8]>,
    /// All its other fields, in order; `time` only where it is none.
    pub rest: Vec<Field<'a>>,
}

impl<'a> Told<'a> {
    /// Takes an event apart.
    pub fn of(e: &Event<'a>) -> Told<'a> {
        let mut named: [Option<Field<'a>>; 3] = [None; 3];
        let (mut severity, mut rest) = (Severity::Other, Vec::with_capacity(limits::FIELDS_USUAL));
        e.fields(|key, kind, value| {
            let field = Field { key, kind, value };
            let place = match key {
                b"title" if !value.is_empty() => Some(0),
                b"message" => Some(1),
                b"time" if e.written.is_some() => Some(2),
                _ => None,
            };
            match place.filter(|_| kind == Value::Text) {
                // Of two the last counts, as everywhere; the first is kept all the same.
                Some(i) => rest.extend(named[i].replace(field)),
                None => rest.push(field),
            }
            if key == b"severity" {
                severity = if kind == Value::Text { Severity::of(value) } else { Severity::Other };
            }
        });
        let (stand_in, at_least) = e.kind.stand_in().unwrap_or(("untitled", Severity::Other));
        if severity == Severity::Other {
            severity = at_least;
        }
        let title = named[0].map_or(stand_in.as_bytes(), |f| f.value);
        let message = match (e.kind, named[1]) {
            (Kind::Unparsed, _) => Cow::Owned(escaped(shown(e.raw))),
            (_, message) => Cow::Borrowed(message.map_or(&b""[..], |f| f.value)),
        };
        Told { title, meaning: titles::of(title), severity, message, rest }
    }

    /// The text of a field.
    pub fn text(&self, name: &str) -> Option<&'a [u8]> {
        self.rest.iter().rev().find(|f| f.is_text(name)).map(|f| f.value)
    }

    /// Whom somebody did something to: the field that says so, and its text.
    pub fn target(&self) -> Option<(&'static str, &'a [u8])> {
        let renamed = (self.title == b"rename_user").then_some("old_name");
        let of = |name| Some((name, self.text(name)?));
        ["user", "grantee"].into_iter().chain(renamed).find_map(of)
    }

    /// What the event is called for people.
    pub fn name(&self) -> Cow<'a, str> {
        match self.meaning.name {
            "" => plain(self.title),
            name => Cow::Borrowed(name),
        }
    }

    /// The message, or the title where it says nothing: some receivers drop what has none.
    pub fn said(&self) -> &[u8] {
        match self.message.iter().all(|b| b.is_ascii_whitespace()) {
            true => self.title,
            false => &self.message,
        }
    }
}

fn escaped(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    json::push_text(&mut out, raw);
    out
}

/// Names that a receiver allows, each given once.
#[derive(Debug, Default)]
pub struct Names {
    /// Those that a format gives to fields of its own.
    taken: &'static [&'static str],
    /// Each with how many have asked for it.
    given: Map<String, u32>,
}

impl Names {
    /// Some that are given already.
    pub fn without(taken: &'static [&'static str]) -> Names {
        Names { taken, given: Map::default() }
    }

    /// The name of a field; `allowed` says which characters one may have.
    pub fn of(&mut self, prefix: &str, key: &[u8], allowed: fn(char) -> bool) -> String {
        let key = plain(key);
        let mut name = String::with_capacity(prefix.len() + key.len());
        name.push_str(prefix);
        name.extend(key.chars().take(limits::FIELD_NAME_CHARS).map(|c| if allowed(c) { c } else { '_' }));
        if name.is_empty() {
            name.push('_');
        }
        loop {
            let times = match self.given.get_mut(&name) {
                None if !self.taken.contains(&name.as_str()) => break,
                None => self.given.at(name.clone(), || 1),
                Some(times) => times,
            };
            *times += 1;
            name = format!("{name}_{times}");
        }
        self.given.insert(name.clone(), 1);
        name
    }
}
