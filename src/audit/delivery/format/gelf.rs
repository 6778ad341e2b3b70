//! ○ GELF 1.1, as Graylog reads it: every field of the event as an additional one, under a name that GELF allows.
//!
//! `level` is always set: without it Graylog takes an alert. Values are texts and numbers; truth values, nested ones and
//! numbers that a float cannot carry become texts. The record's exact bytes, where they are no whole object, stand in
//! `full_message`, which has no bound of size. Refuses: `_id`, and names that Graylog keeps for itself.

use super::fields::{Names, Told};
use super::pen::Pen;
use super::titles;
use crate::audit::delivery::event::Event;
use crate::audit::record::Kind;
use crate::json::{self, Kind as Value};

/// Names of additional fields that are ours, or that Graylog passes over in silence.
const TAKEN: &[&str] = &[
    "_id",
    "_title",
    "_severity",
    "_document_id",
    "_gostech_host",
    "_gostech_sent",
    "_cluster",
    "_instance",
    "_truncated",
    "_part",
    "_parts",
    "_raw_encoding",
    "_message",
    "_full_message",
    "_source",
    "_timestamp",
    "_level",
    "_facility",
    "_file",
    "_line",
    "_streams",
    "_version",
    "_host",
    "_short_message",
];

/// How long a number is that a float carries without a loss.
const EXACT_DIGITS: usize = 15;

/// Writes one event.
pub fn write(_pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>) {
    let told = Told::of(e);
    let origin = e.origin;
    let host = [&origin.node, &origin.instance].into_iter().find(|name| !name.is_empty());
    out.extend_from_slice(b"{\"version\":\"1.1\"");
    text(out, "host", host.map_or(&b"picodata"[..], |name| name.as_bytes()));
    inner(out, "short_message", told.said());
    let (seconds, millis) = (e.time_ms().div_euclid(1000), e.time_ms().rem_euclid(1000));
    let level = titles::syslog_level(told.severity);
    out.extend_from_slice(format!(",\"timestamp\":{seconds}.{millis:03},\"level\":{level}").as_bytes());
    inner(out, "_title", told.title);
    text(out, "_document_id", e.id);
    for (name, value) in [("_cluster", &origin.cluster), ("_instance", &origin.instance)] {
        if !value.is_empty() {
            text(out, name, value.as_bytes());
        }
    }
    for (name, said) in e.framed() {
        text(out, &format!("_gostech_{name}"), said.as_bytes());
    }
    push_lacking(out, e);
    push_rest(out, &told);
    out.push(b'}');
}

fn inner(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    json::push_parts(out, &[b",\"", name.as_bytes(), b"\":\"", value, b"\""]);
}

fn text(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    json::push_parts(out, &[b",\"", name.as_bytes(), b"\":\""]);
    json::push_text(out, value);
    out.push(b'"');
}

/// Of what is no whole event: what it is, and its bytes.
fn push_lacking(out: &mut Vec<u8>, e: &Event<'_>) {
    for (name, n) in [("_part", e.part.0), ("_parts", e.part.1)] {
        if n > 0 {
            out.extend_from_slice(format!(",\"{name}\":{n}").as_bytes());
        }
    }
    if e.kind == Kind::Cut {
        inner(out, "_truncated", b"true");
    }
    if e.is_whole() {
        return;
    }
    match std::str::from_utf8(e.raw) {
        Ok(_) => text(out, "full_message", e.raw),
        Err(_) => {
            inner(out, "_raw_encoding", b"base64");
            out.extend_from_slice(b",\"full_message\":\"");
            json::push_base64(out, e.raw);
            out.push(b'"');
        }
    }
}

fn push_rest(out: &mut Vec<u8>, told: &Told<'_>) {
    let mut names = Names::without(TAKEN);
    let severity = told.text("severity");
    inner(out, "_severity", severity.unwrap_or(told.severity.name().as_bytes()));
    for f in &told.rest {
        let name = match f.key {
            b"severity" if severity.is_some_and(|s| std::ptr::eq(s, f.value)) => continue,
            b"id" => names.of("_", b"event_id", |_| true),
            key => names.of("_", key, is_allowed),
        };
        match f.kind {
            Value::Text => inner(out, &name, f.value),
            Value::Scalar if is_exact(f.value) => {
                json::push_parts(out, &[b",\"", name.as_bytes(), b"\":", f.value]);
            }
            _ => text(out, &name, f.value),
        }
    }
}

/// A character of `^[\w.\-]*$`.
fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

/// A number that comes out of a float as it went in.
fn is_exact(value: &[u8]) -> bool {
    value.len() <= EXACT_DIGITS && value.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'))
}
