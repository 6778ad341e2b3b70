//! ○ The event as a JSON object: its own fields untouched, `@timestamp` and `gostech` before them.
//!
//! A whole object is spliced byte for byte. A cut one carries its readable fields, anything else is wrapped; both carry
//! their exact bytes. Nothing of ours stands under `host`, `headers`, `url`, `http` or `user_agent`.

use super::{event_of, Pen};
use crate::audit::record::Kind;
use crate::audit::spool::record::{Head, Stored};
use crate::json::{self, Kind as Value};
use crate::{limits, stamp};
use std::sync::Arc;

/// Writes one event.
pub fn write(pen: &mut Pen, out: &mut Vec<u8>, r: &Stored<'_>, head: &Arc<Head>) {
    pen.dip(head);
    out.extend_from_slice(b"{\"@timestamp\":\"");
    let time = r.time.of(r.raw);
    match stamp::parse_written(time) {
        Some(written) => stamp::push_rfc3339(out, time, written),
        None => out.extend_from_slice(pen.stamp(r.read_ms)),
    }
    out.extend_from_slice(b"\",");
    push_gostech(pen, out, r, head);
    match r.kind {
        Kind::Object | Kind::Own => splice(out, r.raw),
        Kind::Cut => push_readable(out, r.raw),
        Kind::Unparsed => push_wrapped(out, r.raw),
    }
}

/// The object that is ours.
fn push_gostech(pen: &mut Pen, out: &mut Vec<u8>, r: &Stored<'_>, head: &Arc<Head>) {
    out.extend_from_slice(b"\"gostech\":{\"id\":\"");
    pen.push_id(out, r, head);
    out.push(b'"');
    if let Some(e) = event_of(r) {
        for (name, n) in [(&b",\"raft_id\":"[..], e.raft_id), (b",\"gen\":", e.gen), (b",\"count\":", e.count)] {
            out.extend_from_slice(name);
            json::push_number(out, n);
        }
    }
    out.extend_from_slice(&pen.place);
    out.extend_from_slice(pen.stamp(r.read_ms));
    out.push(b'"');
    if r.kind == Kind::Cut {
        out.extend_from_slice(b",\"truncated\":true");
    }
    for (name, n) in [(&b",\"part\":"[..], r.part), (b",\"parts\":", r.parts)] {
        if n > 0 {
            out.extend_from_slice(name);
            json::push_number(out, n.into());
        }
    }
    if matches!(r.kind, Kind::Cut | Kind::Unparsed) {
        push_raw(out, r.raw);
    }
    out.push(b'}');
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

/// The readable fields of a cut object.
fn push_readable(out: &mut Vec<u8>, raw: &[u8]) {
    let (mut title, mut severity) = (false, false);
    json::object(raw, true, |f| {
        let key = f.key.of(raw);
        if json::key_is(key, "@timestamp") || json::key_is(key, "gostech") {
            return;
        }
        title |= key == b"title";
        severity |= key == b"severity";
        // A cut value was shortened to what is text; the rest has to be.
        let checked = if f.cut { key } else { f.whole.of(raw) };
        if std::str::from_utf8(checked).is_err() {
            return;
        }
        out.extend_from_slice(b",\"");
        out.extend_from_slice(key);
        out.extend_from_slice(b"\":");
        let quote: &[u8] = if f.kind == Value::Text { b"\"" } else { b"" };
        out.extend_from_slice(quote);
        out.extend_from_slice(f.value.of(raw));
        out.extend_from_slice(quote);
    });
    if !title {
        out.extend_from_slice(b",\"title\":\"truncated\"");
    }
    if !severity {
        out.extend_from_slice(b",\"severity\":\"high\"");
    }
    out.push(b'}');
}

/// What is no object.
fn push_wrapped(out: &mut Vec<u8>, raw: &[u8]) {
    out.extend_from_slice(b",\"title\":\"unparsed\",\"severity\":\"medium\",\"message\":\"");
    json::push_text(out, shown(raw));
    out.extend_from_slice(b"\"}");
}

/// What of the bytes is shown in `message`: not half a character.
fn shown(raw: &[u8]) -> &[u8] {
    let cut = &raw[..raw.len().min(limits::MESSAGE_SHOWN_BYTES)];
    let half = (1..4.min(cut.len())).find(|&n| cut[cut.len() - n] >= 0xc0);
    match half {
        Some(n) if cut.len() < raw.len() => &cut[..cut.len() - n],
        _ => cut,
    }
}
