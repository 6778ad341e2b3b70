//! ○ CEF, as ArcSight, KUMA and MaxPatrol read it without set-up: one line an event.
//!
//! Header: `|` and `\` are escaped; extension: `=` and `\`; line ends are `\n` and `\r`. Other control characters, which no
//! escape is known for, become the pictures of them (`␀`). A field without a key of its own in CEF gets one of the six
//! custom strings with its name as the label, or a key of ours, `picodataNAME`. Refuses: to leave a field out.

use super::fields::{plain, Field, Names, Told};
use super::pen::Pen;
use crate::audit::delivery::event::Event;
use crate::audit::record::Kind;
use crate::json;

/// Fields that have one of the custom strings for themselves, so that rules find them there.
const CUSTOM: [&str; 6] = ["object", "object_type", "privilege", "role", "instance_name", "new_state"];

/// Fields that CEF has keys for.
const KEYS: &[(&str, &str)] = &[("initiator", "suser"), ("error", "reason"), ("filename", "filePath")];

/// Writes one event.
pub fn write(_pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>) {
    let told = Told::of(e);
    out.extend_from_slice(concat!("CEF:0|Picodata|Picodata|", env!("CARGO_PKG_VERSION"), "|").as_bytes());
    header(out, &plain(told.title));
    out.push(b'|');
    header(out, &told.name());
    out.extend_from_slice(format!("|{}|", told.meaning.grade(told.severity)).as_bytes());
    out.extend_from_slice(format!("rt={}", e.time_ms()).as_bytes());
    if let Some((time, written)) = e.written {
        let mut text = Vec::new();
        crate::stamp::push_rfc3339(&mut text, time, written);
        let zone = text.iter().rposition(|b| matches!(b, b'+' | b'-' | b'Z')).unwrap_or(text.len());
        pair(out, "dtz", &String::from_utf8_lossy(&text[zone..]));
    }
    pair(out, "externalId", &String::from_utf8_lossy(e.id));
    pair(out, "act", &plain(told.title));
    pair(out, "cat", told.meaning.category);
    pair(out, "outcome", told.meaning.outcome.name());
    for (key, value) in
        [("dvchost", &e.origin.node), ("deviceExternalId", &e.origin.instance), ("picodataCluster", &e.origin.cluster)]
    {
        if !value.is_empty() {
            pair(out, key, value);
        }
    }
    for (name, said) in e.framed() {
        let (first, rest) = name.split_at(1);
        pair(out, &format!("gostech{}{rest}", first.to_uppercase()), &said);
    }
    push_fields(out, &told);
    if !told.message.is_empty() {
        pair(out, "msg", &plain(&told.message));
    }
    push_lacking(out, e);
}

fn push_fields(out: &mut Vec<u8>, told: &Told<'_>) {
    let mut names = Names::without(&["picodataCluster", "picodataRawBase64"]);
    let (mut given, mut target) = (Vec::new(), told.target());
    for f in &told.rest {
        let key = plain(f.key);
        let of_key = |name: &str| key.as_ref() == name;
        let own = KEYS.iter().find(|(name, _)| of_key(name)).map(|(_, own)| *own);
        if target.is_some_and(|(name, value)| of_key(name) && std::ptr::eq(value, f.value)) {
            target = None;
            pair(out, "duser", &f.text());
        } else if let Some(own) = own.filter(|own| !given.contains(own)) {
            given.push(own);
            pair(out, own, &f.text());
        } else if let Some(i) = CUSTOM.iter().position(|name| of_key(name)).filter(|i| !given.contains(&CUSTOM[*i])) {
            given.push(CUSTOM[i]);
            pair(out, &format!("cs{}", i + 1), &f.text());
            pair(out, &format!("cs{}Label", i + 1), CUSTOM[i]);
        } else {
            pair(out, &name_of(&mut names, f), &f.text());
        }
    }
}

/// `auth_type` → `picodataAuthType`.
fn name_of(names: &mut Names, f: &Field<'_>) -> String {
    let mut name = String::new();
    let mut up = true;
    for c in plain(f.key).chars() {
        match c.is_ascii_alphanumeric() {
            true if up => name.push(c.to_ascii_uppercase()),
            true => name.push(c),
            false => {}
        }
        up = !c.is_ascii_alphanumeric();
    }
    names.of("picodata", name.as_bytes(), |_| true)
}

/// Of what is no whole event: which part it is, and its bytes.
fn push_lacking(out: &mut Vec<u8>, e: &Event<'_>) {
    for (i, label, n) in [(1, "EventPart", e.part.0), (2, "TotalEventParts", e.part.1)] {
        if n > 0 {
            pair(out, &format!("cn{i}"), &n.to_string());
            pair(out, &format!("cn{i}Label"), label);
        }
    }
    if e.kind == Kind::Cut {
        pair(out, "picodataTruncated", "true");
    }
    if e.is_whole() {
        return;
    }
    match std::str::from_utf8(e.raw) {
        Ok(text) => pair(out, "rawEvent", text),
        Err(_) => {
            let mut coded = Vec::new();
            json::push_base64(&mut coded, e.raw);
            pair(out, "picodataRawBase64", &String::from_utf8_lossy(&coded));
        }
    }
}

/// ` key=value`
fn pair(out: &mut Vec<u8>, key: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(key.as_bytes());
    out.push(b'=');
    escaped(out, value, &['=', '\\']);
}

fn header(out: &mut Vec<u8>, text: &str) {
    escaped(out, text, &['|', '\\']);
}

/// A text in one line, with these characters escaped.
pub fn escaped(out: &mut Vec<u8>, text: &str, special: &[char]) {
    let mut utf8 = [0; 4];
    for c in text.chars() {
        match c {
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            c => {
                if special.contains(&c) {
                    out.push(b'\\');
                }
                out.extend_from_slice(picture(c).encode_utf8(&mut utf8).as_bytes());
            }
        }
    }
}

/// A control character as its picture.
fn picture(c: char) -> char {
    match c {
        '\0'..='\x1f' => char::from_u32(0x2400 + c as u32).unwrap_or(c),
        '\x7f' => '\u{2421}',
        c => c,
    }
}
