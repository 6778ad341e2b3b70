//! ○ The body of the withdrawn program of this name, for receivers that were built for it.
//!
//! Values that are no strings are written as their JSON text: the old program dropped such records in silence.

use super::Pen;
use crate::audit::record::{Kind, Severity};
use crate::audit::spool::record::{Head, Stored};
use crate::json::{self, Kind as Value};
use crate::stamp;
use std::sync::Arc;

/// Writes one event.
pub fn write(_pen: &mut Pen, out: &mut Vec<u8>, r: &Stored<'_>, _head: &Arc<Head>) {
    let mut p = Params::default();
    match r.kind {
        Kind::Object | Kind::Own | Kind::Cut => {
            json::object(r.raw, true, |f| p.take(f.key.of(r.raw), f.kind, f.value.of(r.raw)));
        }
        Kind::Unparsed => p.take(b"message", Value::Text, &escaped(r.raw)),
    }
    let (title, severity): (&[u8], &[u8]) = match r.kind {
        Kind::Unparsed => (b"unparsed", Severity::Medium.name().as_bytes()),
        Kind::Cut => (p.title.as_deref().unwrap_or(b"truncated"), p.severity.as_deref().unwrap_or(b"high")),
        _ => (p.title.as_deref().unwrap_or(b""), p.severity.as_deref().unwrap_or(b"")),
    };
    let created = stamp::parse_written(r.time.of(r.raw)).map_or(r.read_ms, |w| w.millis);
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
        if std::str::from_utf8(key).is_err() || std::str::from_utf8(value).is_err() {
            return;
        }
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
