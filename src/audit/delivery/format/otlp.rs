//! ○ OTLP logs in JSON: one log record an event, with the resource that it comes from.
//!
//! Every field of the event is an attribute `picodata.NAME`. Whole numbers are numbers, all others texts, since a float would
//! change them. The record's exact bytes, where they are no whole object, stand in `log.record.original`, or in
//! `picodata.raw_base64` where they are no UTF-8. Refuses: to leave a field out.

use super::fields::{plain, Names, Told};
use super::pen::Pen;
use super::titles;
use crate::audit::delivery::event::Event;
use crate::audit::record::{Kind, Severity};
use crate::json::{self, Kind as Value};

/// Attributes that are ours.
const TAKEN: &[&str] = &["picodata.truncated", "picodata.part", "picodata.parts", "picodata.raw_base64"];

/// Writes one event: its `resourceLogs` entry.
pub fn write(_pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>) {
    let told = Told::of(e);
    out.extend_from_slice(b"{\"resource\":{\"attributes\":[");
    let mut list = List::default();
    for (key, value) in [
        ("service.name", "picodata"),
        ("service.namespace", &e.origin.cluster),
        ("service.instance.id", &e.origin.instance),
        ("host.name", &e.origin.node),
    ] {
        if !value.is_empty() {
            list.text(out, key, value);
        }
    }
    out.extend_from_slice(b"]},\"scopeLogs\":[{\"scope\":{\"name\":\"gostech-audit-log\",\"version\":\"");
    out.extend_from_slice(concat!(env!("CARGO_PKG_VERSION"), "\"},\"logRecords\":[{").as_bytes());
    push_record(out, e, &told);
    out.extend_from_slice(b"}]}]}");
}

fn push_record(out: &mut Vec<u8>, e: &Event<'_>, told: &Told<'_>) {
    let nanos = |ms: i64| i128::from(ms.max(0)) * 1_000_000;
    let (at, seen, number) = (nanos(e.time_ms()), nanos(e.read_ms), number(told.severity));
    out.extend_from_slice(format!("\"timeUnixNano\":\"{at}\",\"observedTimeUnixNano\":\"{seen}\",").as_bytes());
    out.extend_from_slice(format!("\"severityNumber\":{number},\"severityText\":\"").as_bytes());
    out.extend_from_slice(told.text("severity").unwrap_or(told.severity.name().as_bytes()));
    out.extend_from_slice(b"\",\"eventName\":\"");
    out.extend_from_slice(told.title);
    out.extend_from_slice(b"\",\"body\":{\"stringValue\":\"");
    out.extend_from_slice(told.said());
    out.extend_from_slice(b"\"},\"attributes\":[");
    let mut list = List::default();
    list.text(out, "log.record.uid", &String::from_utf8_lossy(e.id));
    list.text(out, "picodata.title", &plain(told.title));
    for (name, said) in e.framed() {
        list.text(out, &format!("gostech.{name}"), &said);
    }
    let mut names = Names::without(TAKEN);
    names.of("picodata.", b"title", |_| true);
    for f in &told.rest {
        list.value(out, &names.of("picodata.", f.key, |c| !c.is_control()), f.kind, f.value);
    }
    push_lacking(out, &mut list, e);
    out.push(b']');
}

/// As OpenTelemetry counts what syslog calls info, notice and critical.
fn number(severity: Severity) -> u8 {
    match titles::syslog_level(severity) {
        2 => 18,
        5 => 10,
        _ => 9,
    }
}

/// Of what is no whole event: what it is, and its bytes.
fn push_lacking(out: &mut Vec<u8>, list: &mut List, e: &Event<'_>) {
    for (key, n) in [("picodata.part", e.part.0), ("picodata.parts", e.part.1)] {
        if n > 0 {
            list.value(out, key, Value::Scalar, n.to_string().as_bytes());
        }
    }
    if e.kind == Kind::Cut {
        list.value(out, "picodata.truncated", Value::Scalar, b"true");
    }
    if e.is_whole() {
        return;
    }
    match std::str::from_utf8(e.raw) {
        Ok(text) => list.text(out, "log.record.original", text),
        Err(_) => {
            let mut coded = Vec::new();
            json::push_base64(&mut coded, e.raw);
            list.value(out, "picodata.raw_base64", Value::Text, &coded);
        }
    }
}

/// A list of attributes.
#[derive(Default)]
struct List {
    begun: bool,
}

impl List {
    fn open(&mut self, out: &mut Vec<u8>, key: &str) {
        out.extend_from_slice(if std::mem::replace(&mut self.begun, true) { b"," } else { b"" });
        out.extend_from_slice(b"{\"key\":\"");
        json::push_text(out, key.as_bytes());
        out.extend_from_slice(b"\",\"value\":{");
    }

    fn text(&mut self, out: &mut Vec<u8>, key: &str, value: &str) {
        self.open(out, key);
        out.extend_from_slice(b"\"stringValue\":\"");
        json::push_text(out, value.as_bytes());
        out.extend_from_slice(b"\"}}");
    }

    /// A value as it stands in the event.
    fn value(&mut self, out: &mut Vec<u8>, key: &str, kind: Value, value: &[u8]) {
        let whole = || std::str::from_utf8(value).is_ok_and(|v| v.parse::<i64>().is_ok());
        match (kind, value) {
            (Value::Scalar, b"null") => {
                self.open(out, key);
                out.extend_from_slice(b"}}");
            }
            (Value::Scalar, b"true" | b"false") => {
                self.open(out, key);
                out.extend_from_slice(b"\"boolValue\":");
                out.extend_from_slice(value);
                out.extend_from_slice(b"}}");
            }
            (Value::Scalar, _) if whole() => {
                self.open(out, key);
                out.extend_from_slice(b"\"intValue\":\"");
                out.extend_from_slice(value);
                out.extend_from_slice(b"\"}}");
            }
            (Value::Text, _) => {
                self.open(out, key);
                out.extend_from_slice(b"\"stringValue\":\"");
                out.extend_from_slice(value);
                out.extend_from_slice(b"\"}}");
            }
            _ => self.text(out, key, &String::from_utf8_lossy(value)),
        }
    }
}
