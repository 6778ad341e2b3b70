//! The bodies of events: of any bytes, in every format, one JSON document that holds the event's own fields untouched, or
//! its exact bytes.
//!
//! Refuses: to know receivers.

use super::{stretch, Dice};
use gostech::audit::delivery::event::Maker;
use gostech::audit::delivery::format::{Pen, FORMATS};
use gostech::audit::delivery::frame::Frame;
use gostech::audit::record::{read, Kind};
use gostech::audit::spool::record::{decode, encode, Head, Identity, New};
use gostech::json::{from_base64, Span};
use serde_json::{Map, Value};
use std::sync::Arc;

const NOW: i64 = 1_795_224_477_000;

/// Seeds: recorded events whole and cut, garbage, names that need escapes.
pub fn seeds() -> Vec<Vec<u8>> {
    let names = [stretch(b"c"), stretch("i\"\\\n\u{44f}".as_bytes()), stretch(b"n")].concat();
    let input = |flags: &[u8; 4], raw: &[u8]| [&flags[..], &names, raw].concat();
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for raw in super::events(6) {
        seeds.push(input(&[0, 0, 0, 1], &raw));
        seeds.push(input(&[1, 0, 0, 1], &raw[..raw.len() * 2 / 3]));
    }
    seeds.push(input(&[0, 0, 0, 9], b"\xff\xfe plain"));
    seeds.push(input(&[1, 2, 3, 9], b"{\"time\":\"2026-11-21T01:27:57+0300\",\"gostech\":{},\"title\":\"\\ud83d"));
    seeds.push(input(&[2, 0, 0, 9], b"{}"));
    seeds
}

/// What a receiver makes of a body.
fn parsed(body: &[u8]) -> Option<Value> {
    match serde_json::from_slice(body) {
        Ok(value) => Some(value),
        // A number too large for a float is passed on as it was written.
        Err(e) if e.to_string().contains("out of range") => None,
        Err(e) => panic!("{e}: {}", String::from_utf8_lossy(body)),
    }
}

fn untouched(event: &Value, kind: Kind, raw: &[u8]) {
    let ours = &event["gostech"];
    assert!(ours["id"].is_string() && event["@timestamp"].is_string(), "{event}");
    if matches!(kind, Kind::Object | Kind::Own) {
        let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(raw) else { panic!("a whole object") };
        assert!(fields.iter().all(|(k, v)| event[k] == *v), "{event}");
        assert_eq!(event.as_object().map(Map::len), Some(fields.len() + 2));
        return;
    }
    let exact = match (&ours["raw"], &ours["raw_base64"]) {
        (Value::String(text), Value::Null) => Some(text.clone().into_bytes()),
        (Value::Null, Value::String(coded)) => from_base64(coded),
        _ => None,
    };
    assert_eq!(exact.as_deref(), Some(raw), "{event}");
    assert!(event["title"].is_string() || kind == Kind::Cut, "{event}");
}

/// Names and values that Graylog takes, and none twice.
fn gelf(event: Option<Value>) {
    let Some(Value::Object(fields)) = event else { return };
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    assert!(fields.keys().all(|k| k.chars().all(word) && k != "_id"), "{fields:?}");
    assert!(fields.values().all(|v| v.is_string() || v.is_number()), "{fields:?}");
}

/// Entries of the journal: names that journald takes, and each value as long as it says.
fn entries(mut body: &[u8], count: usize) {
    let mut messages = 0;
    while !body.is_empty() {
        let end = body.iter().position(|b| matches!(b, b'=' | b'\n')).expect("a name has an end");
        let (name, rest) = (&body[..end], &body[end + 1..]);
        let clean = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_';
        assert!(
            !name.is_empty() && name.len() <= 64 && name[0] != b'_' && name.iter().all(clean),
            "{}",
            name.escape_ascii()
        );
        let (from, length) = match body[end] {
            b'=' => (0, rest.iter().position(|b| *b == b'\n').expect("a line")),
            _ => (8, u64::from_le_bytes(rest[..8].try_into().expect("a length")) as usize),
        };
        assert_eq!(rest[from + length], b'\n');
        body = &rest[from + length + 1..];
        messages += usize::from(name == b"MESSAGE");
    }
    assert_eq!(messages, count);
}

/// The target.
pub fn check(input: &[u8]) {
    let mut dice = Dice(input);
    let (flags, part, parts, ago) = (dice.byte(), dice.byte(), dice.byte(), dice.byte());
    let name = |text: String| text.chars().take(40).collect::<String>();
    let identity = Identity { cluster: name(dice.text()), instance: name(dice.text()), node: name(dice.text()) };
    let raw = dice.0;
    let facts = read(raw, flags & 1 != 0);
    let (mut kind, mut id, mut time) = (facts.kind, facts.id, facts.time);
    if flags & 2 != 0 {
        // A piece of something longer is never an object.
        kind = if kind == Kind::Cut { Kind::Cut } else { Kind::Unparsed };
        if kind == Kind::Unparsed {
            (id, time) = (Span::default(), Span::default());
        }
    }
    let head = Arc::new(Head { first_seq: 1, created_ms: NOW, identity, ..Head::default() });
    let read_ms = NOW - i64::from(ago) * 1000;
    let new = New { kind, raw, id, time, part: part.into(), parts: parts.into(), stream: 0, read_ms, form: None };
    let mut bytes = Vec::new();
    encode(&mut bytes, &head, 1, &new);
    let stored = decode(&head, &bytes).expect("written a moment ago");
    assert!(stored.raw == raw && stored.kind == kind && stored.id == id && stored.time == time);
    for format in FORMATS {
        let (mut maker, mut pen, mut body) = (Maker::default(), Pen::default(), format.frame.open().to_vec());
        let event = maker.make(&stored, &head);
        (format.write)(&mut pen, &mut body, &event);
        if format.frame != Frame::Alone {
            body.extend_from_slice(format.frame.between());
            (format.write)(&mut pen, &mut body, &event);
        }
        body.extend_from_slice(format.frame.close());
        match format.name {
            "json" => {
                let Some(list) = parsed(&body) else { continue };
                assert_eq!(list.as_array().map(Vec::len), Some(2));
                assert!(list[0] == list[1]);
                untouched(&list[0], kind, raw);
            }
            "ndjson" => {
                // An event that was written over lines came in one: JSON knows no line end within a value.
                let lines = body.split(|b| *b == b'\n').filter(|l| !l.is_empty()).count();
                assert!(lines == 2 || raw.contains(&b'\n'), "{lines} lines");
            }
            "single" => parsed(&body).iter().for_each(|event| untouched(event, kind, raw)),
            // One line an event, whatever the database has written.
            "cef" | "leef" | "rfc5424" | "rfc3164" | "rfc5424-cef" | "rfc5424-leef" | "rfc3164-cef" => {
                assert_eq!(std::str::from_utf8(&body).expect("UTF-8").matches('\n').count(), 2)
            }
            "journal" => entries(&body, 2),
            "gelf-lines" => body.split(|b| *b == b'\n').filter(|l| !l.is_empty()).for_each(|l| gelf(parsed(l))),
            _ => drop(parsed(&body)),
        }
    }
}
