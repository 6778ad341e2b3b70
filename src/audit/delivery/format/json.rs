//! ○ The event as a JSON object: its own fields untouched, `@timestamp` and `gostech` before them.
//!
//! A whole object is spliced byte for byte. A cut one carries its readable fields, anything else is wrapped; both carry
//! their exact bytes. Nothing of ours stands under `host`, `headers`, `url`, `http` or `user_agent`.

use super::pen::Pen;
use crate::audit::delivery::event::{Event, Sealed};
use crate::audit::record::Kind;
use crate::audit::seal::{self, Form};
use crate::json::{self, Kind as Value};
use crate::{limits, stamp};

/// Writes one event.
pub fn write(pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>) {
    out.extend_from_slice(b"{\"@timestamp\":\"");
    push_time(pen, out, e);
    out.extend_from_slice(b"\",");
    push_gostech(pen, out, e);
    match e.kind {
        Kind::Object | Kind::Own => splice(out, e.raw),
        Kind::Cut => push_readable(out, e),
        Kind::Unparsed => push_wrapped(out, e),
    }
}

/// When it happened, as the database wrote it; else when it was read.
pub(super) fn push_time(pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>) {
    match e.written {
        Some((time, written)) => stamp::push_rfc3339(out, time, written),
        None => out.extend_from_slice(pen.stamp(e.read_ms)),
    }
}

/// The object that is ours.
fn push_gostech(pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>) {
    out.extend_from_slice(b"\"gostech\":{\"id\":\"");
    json::push_text(out, e.id);
    out.push(b'"');
    if let Some(n) = e.number {
        for (name, n) in [(&b",\"raft_id\":"[..], n.raft_id), (b",\"gen\":", n.gen), (b",\"count\":", n.count)] {
            out.extend_from_slice(name);
            json::push_number(out, n);
        }
    }
    out.extend_from_slice(pen.place(e.origin));
    out.extend_from_slice(pen.stamp(e.read_ms));
    out.push(b'"');
    push_framed(out, e);
    if e.kind == Kind::Cut {
        out.extend_from_slice(b",\"truncated\":true");
    }
    for (name, n) in [(&b",\"part\":"[..], e.part.0), (b",\"parts\":", e.part.1)] {
        if n > 0 {
            out.extend_from_slice(name);
            json::push_number(out, n.into());
        }
    }
    let sealed = e.sealed();
    if let Some(sealed) = &sealed {
        push_sealed(pen, out, sealed);
    }
    // What cannot be written again from its fields travels beside them.
    if !e.is_whole() || sealed.is_some_and(|s| s.leaf.0 == Form::Raw) {
        push_raw(out, e.raw);
    }
    out.push(b'}');
}

/// What evidence says of it, behind other pairs.
pub(super) fn push_sealed(pen: &mut Pen, out: &mut Vec<u8>, sealed: &Sealed) {
    out.extend_from_slice(pen.sealed(sealed.stream));
    json::push_number(out, sealed.seq);
    let mut told = *b",\"leaf\":\"-------------------------------------------\"}";
    told[9..9 + seal::leaf::TEXT_BYTES].copy_from_slice(&seal::leaf::text(&sealed.leaf.1));
    out.extend_from_slice(&told);
}

/// What its frame says, behind other pairs.
pub fn push_framed(out: &mut Vec<u8>, e: &Event<'_>) {
    for (name, said) in e.framed() {
        out.extend_from_slice(format!(",\"{name}\":\"").as_bytes());
        json::push_text(out, said.as_bytes());
        out.push(b'"');
    }
}

/// The exact bytes: as text where they are text.
pub fn push_raw(out: &mut Vec<u8>, raw: &[u8]) {
    match std::str::from_utf8(raw) {
        Ok(_) => {
            out.extend_from_slice(b",\"raw\":\"");
            json::push_text(out, raw);
        }
        Err(_) => {
            out.extend_from_slice(b",\"raw_base64\":\"");
            json::push_base64(out, raw);
        }
    }
    out.push(b'"');
}

/// The fields of a whole object, from behind its brace to the end.
fn splice(out: &mut Vec<u8>, raw: &[u8]) {
    let open = raw.iter().position(|&b| b == b'{').map_or(0, |i| i + 1);
    let fields = &raw[open..];
    if fields.trim_ascii_start().first() != Some(&b'}') {
        out.push(b',');
    }
    out.extend_from_slice(fields);
}

/// The readable fields of a cut object, and what stands in for those that it lacks.
fn push_readable(out: &mut Vec<u8>, e: &Event<'_>) {
    let (mut title, mut severity) = (false, false);
    e.fields(|key, kind, value| {
        if json::key_is(key, "@timestamp") || json::key_is(key, "gostech") {
            return;
        }
        title |= key == b"title";
        severity |= key == b"severity";
        out.extend_from_slice(b",\"");
        out.extend_from_slice(key);
        out.extend_from_slice(b"\":");
        let quote: &[u8] = if kind == Value::Text { b"\"" } else { b"" };
        out.extend_from_slice(quote);
        out.extend_from_slice(value);
        out.extend_from_slice(quote);
    });
    push_stand_in(out, e.kind, title, severity);
    out.push(b'}');
}

fn push_stand_in(out: &mut Vec<u8>, kind: Kind, has_title: bool, has_severity: bool) {
    let Some((title, severity)) = kind.stand_in() else { return };
    if !has_title {
        out.extend_from_slice(format!(",\"title\":\"{title}\"").as_bytes());
    }
    if !has_severity {
        out.extend_from_slice(format!(",\"severity\":\"{}\"", severity.name()).as_bytes());
    }
}

/// What is no object.
fn push_wrapped(out: &mut Vec<u8>, e: &Event<'_>) {
    push_stand_in(out, e.kind, false, false);
    out.extend_from_slice(b",\"message\":\"");
    json::push_text(out, shown(e.raw));
    out.extend_from_slice(b"\"}");
}

/// What of the bytes is shown in `message`: not half a character.
pub(super) fn shown(raw: &[u8]) -> &[u8] {
    let cut = &raw[..raw.len().min(limits::MESSAGE_SHOWN_BYTES)];
    let half = (1..4.min(cut.len())).find(|&n| cut[cut.len() - n] >= 0xc0);
    match half {
        Some(n) if cut.len() < raw.len() => &cut[..cut.len() - n],
        _ => cut,
    }
}
