//! ○ The event as Elastic's common schema (ECS) has it; what that has no place for stands under `picodata`, untouched.
//!
//! `event.original` holds the exact record. Where that is no UTF-8, `gostech.raw_base64` does. What is ours stands under
//! `gostech`. Refuses: names that Elasticsearch would take for a path.

use super::fields::{Names, Told};
use super::json::push_time;
use super::pen::Pen;
use super::titles;
use crate::audit::delivery::event::{Event, Sealed};
use crate::audit::record::Kind;
use crate::audit::seal;
use crate::json::{self, Kind as Value};

/// The version of the schema.
const VERSION: &str = "9.0.0";

/// Writes one event.
pub fn write(pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>) {
    let (told, sealed) = (Told::of(e), e.sealed());
    out.extend_from_slice(b"{\"@timestamp\":\"");
    push_time(pen, out, e);
    out.extend_from_slice(format!("\",\"ecs\":{{\"version\":\"{VERSION}\"}},\"message\":\"").as_bytes());
    out.extend_from_slice(told.said());
    out.extend_from_slice(b"\",");
    push_event(pen, out, e, &told, sealed.as_ref());
    out.extend_from_slice(format!(",\"log\":{{\"level\":\"{}\"}}", titles::level_word(told.severity)).as_bytes());
    push_user(out, &told);
    push_service(out, e);
    push_gostech(pen, out, e, sealed.as_ref());
    push_rest(out, &told);
    out.push(b'}');
}

/// `"name":"value"`, the value as the inside of a JSON string.
fn pair(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(format!("\"{name}\":\"").as_bytes());
    out.extend_from_slice(value);
    out.push(b'"');
}

fn push_event(pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>, told: &Told<'_>, sealed: Option<&Sealed>) {
    let m = told.meaning;
    let types: Vec<String> = m.types.iter().map(|t| format!("\"{t}\"")).collect();
    let (kind, category, types, outcome) = (m.kind(), m.category, types.join(","), m.outcome.name());
    let grade = m.grade(told.severity);
    out.extend_from_slice(
        format!(
            "\"event\":{{\"kind\":\"{kind}\",\"category\":[\"{category}\"],\"type\":[{types}],\"outcome\":\"{outcome}\",\
             \"severity\":{grade},\"module\":\"picodata\",\"dataset\":\"picodata.audit\","
        )
        .as_bytes(),
    );
    pair(out, "action", told.title);
    out.extend_from_slice(b",\"id\":\"");
    json::push_text(out, e.id);
    out.push(b'"');
    if let Some(n) = sealed.map(|s| s.seq).or(e.number.map(|n| n.count)) {
        out.extend_from_slice(format!(",\"sequence\":{n}").as_bytes());
    }
    out.extend_from_slice(b",\"created\":\"");
    out.extend_from_slice(pen.stamp(e.read_ms));
    out.extend_from_slice(b"\",");
    match sealed {
        Some(sealed) => pair(out, "hash", &seal::leaf::text(&sealed.leaf.1)),
        None => pair(out, "hash", &e.id[e.id.len().saturating_sub(16)..]),
    }
    if std::str::from_utf8(e.raw).is_ok() {
        out.extend_from_slice(b",\"original\":\"");
        json::push_text(out, e.raw);
        out.push(b'"');
    }
    out.push(b'}');
}

fn push_user(out: &mut Vec<u8>, told: &Told<'_>) {
    let changed = (told.title == b"rename_user").then(|| told.text("new_name")).flatten();
    let all = [
        told.text("initiator").map(|name| ("", name)),
        told.target().map(|(_, name)| ("target", name)),
        changed.map(|name| ("changes", name)),
    ];
    let all: Vec<(&str, &[u8])> = all.into_iter().flatten().collect();
    if all.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"user\":{");
    for (i, (of, name)) in all.iter().enumerate() {
        out.extend_from_slice(if i > 0 { b"," } else { b"" });
        match *of {
            "" => pair(out, "name", name),
            of => {
                out.extend_from_slice(format!("\"{of}\":{{").as_bytes());
                pair(out, "name", name);
                out.push(b'}');
            }
        }
    }
    out.push(b'}');
}

fn push_service(out: &mut Vec<u8>, e: &Event<'_>) {
    let cluster = if e.origin.cluster.is_empty() { "picodata" } else { &e.origin.cluster };
    out.extend_from_slice(b",\"service\":{\"type\":\"picodata\",\"name\":\"");
    json::push_text(out, cluster.as_bytes());
    if !e.origin.instance.is_empty() {
        out.extend_from_slice(b"\",\"node\":{\"name\":\"");
        json::push_text(out, e.origin.instance.as_bytes());
        out.extend_from_slice(b"\"}}");
    } else {
        out.extend_from_slice(b"\"}");
    }
}

/// What is ours, and what the record lacks.
fn push_gostech(pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>, sealed: Option<&Sealed>) {
    out.extend_from_slice(b",\"gostech\":{\"id\":\"");
    json::push_text(out, e.id);
    out.extend_from_slice(b"\",\"node\":\"");
    json::push_text(out, e.origin.node.as_bytes());
    out.push(b'"');
    super::json::push_framed(out, e);
    if e.kind == Kind::Cut {
        out.extend_from_slice(b",\"truncated\":true");
    }
    for (name, n) in [("part", e.part.0), ("parts", e.part.1)] {
        if n > 0 {
            out.extend_from_slice(format!(",\"{name}\":{n}").as_bytes());
        }
    }
    if let Some(sealed) = sealed {
        super::json::push_sealed(pen, out, sealed);
    }
    if std::str::from_utf8(e.raw).is_err() {
        super::json::push_raw(out, e.raw);
    }
    out.push(b'}');
}

/// All fields that have no place of their own in the schema, and those whose words it does not keep.
fn push_rest(out: &mut Vec<u8>, told: &Told<'_>) {
    out.extend_from_slice(b",\"picodata\":{");
    let mut names = Names::default();
    for (i, f) in told.rest.iter().enumerate() {
        out.extend_from_slice(if i > 0 { b",\"" } else { b"\"" });
        json::push_text(out, names.of("", f.key, |c| c != '.').as_bytes());
        out.extend_from_slice(b"\":");
        let quote: &[u8] = if f.kind == Value::Text { b"\"" } else { b"" };
        out.extend_from_slice(quote);
        out.extend_from_slice(f.value);
        out.extend_from_slice(quote);
    }
    out.push(b'}');
}
