//! ○ The body of the withdrawn program of this name, for receivers that were built for it.
//!
//! Values that are no strings are written as their JSON text: the old program dropped such records in silence.

use super::pen::Pen;
use crate::audit::delivery::event::Event;
use crate::audit::record::Kind;
use crate::json::{self, Kind as Value};

/// Writes one event.
pub fn write(_pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>) {
    let mut p = Params::default();
    e.fields(|key, kind, value| p.take(key, kind, value));
    if e.kind == Kind::Unparsed {
        p.take(b"message", Value::Text, &escaped(e.raw));
    }
    let (title, severity) = e.kind.stand_in().map_or(("", ""), |(title, severity)| (title, severity.name()));
    let title = p.title.as_deref().unwrap_or(title.as_bytes());
    let severity = p.severity.as_deref().unwrap_or(severity.as_bytes());
    let created = e.time_ms();
    out.extend_from_slice(b"{\"tags\":[\"");
    out.extend_from_slice(severity);
    out.extend_from_slice(format!("\"],\"createdAt\":{created},\"module\":\"picodata\",").as_bytes());
    out.extend_from_slice(b"\"metamodelVersion\":\"0.1.0\",\"name\":\"");
    out.extend_from_slice(title);
    out.extend_from_slice(b"\",\"params\":[");
    out.extend_from_slice(&p.list);
    out.extend_from_slice(b"],\"session\":null,\"userLogin\":");
    match p.user.or(p.initiator) {
        Some(user) => {
            out.push(b'"');
            out.extend_from_slice(&user);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"userName\":null,\"userNode\":\"default\"}");
}

fn escaped(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    json::push_text(&mut out, raw);
    out
}

/// The list of parameters, and the fields that have a place of their own; texts stay escaped.
#[derive(Default)]
struct Params {
    list: Vec<u8>,
    title: Option<Vec<u8>>,
    severity: Option<Vec<u8>>,
    user: Option<Vec<u8>>,
    initiator: Option<Vec<u8>>,
}

impl Params {
    fn take(&mut self, key: &[u8], kind: Value, value: &[u8]) {
        let value = if kind == Value::Text { value.to_vec() } else { escaped(value) };
        if !self.list.is_empty() {
            self.list.push(b',');
        }
        self.list.extend_from_slice(b"{\"name\":\"");
        self.list.extend_from_slice(key);
        self.list.extend_from_slice(b"\",\"value\":\"");
        self.list.extend_from_slice(&value);
        self.list.extend_from_slice(b"\"}");
        match key {
            b"title" => self.title = Some(value),
            b"severity" => self.severity = Some(value),
            b"user" => self.user = Some(value),
            b"initiator" => self.initiator = Some(value),
            _ => {}
        }
    }
}
