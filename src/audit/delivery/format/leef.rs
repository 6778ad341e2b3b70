//! ○ LEEF 2.0, as QRadar reads it: one line an event, attributes separated by tabs.
//!
//! The format knows no escapes: in values `\` is `\\`, and a tab or a line end is `\t`, `\n`, `\r`; in the header `|` is `\|`.
//! Other control characters become the pictures of them (`␀`). Refuses: to leave a field out.

use super::cef::escaped;
use super::fields::{plain, Names, Told};
use super::pen::Pen;
use crate::audit::delivery::event::Event;
use crate::audit::record::Kind;
use crate::json;

/// The attributes that are ours: a field of such a name gets another one.
const TAKEN: &[&str] = &[
    "devTime",
    "devTimeFormat",
    "cat",
    "sev",
    "usrName",
    "accountName",
    "identHostName",
    "msg",
    "outcome",
    "documentId",
    "gostech_host",
    "gostech_sent",
    "cluster",
    "instance",
    "part",
    "parts",
    "truncated",
    "raw",
    "rawBase64",
];

/// Fields that LEEF has names for.
const NAMES: &[(&str, &str)] = &[("initiator", "usrName")];

/// Writes one event.
pub fn write(_pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>) {
    let told = Told::of(e);
    out.extend_from_slice(concat!("LEEF:2.0|Picodata|Picodata|", env!("CARGO_PKG_VERSION"), "|").as_bytes());
    line(out, &plain(told.title), &['|', '\\']);
    out.extend_from_slice(b"|x09|devTime=");
    out.extend_from_slice(&crate::stamp::rfc3339(e.time_ms()));
    // In the letters of Java's SimpleDateFormat, as QRadar reads it: the last three are a zone like +00:00.
    pair(out, "devTimeFormat", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX");
    pair(out, "cat", told.meaning.category);
    pair(out, "sev", &told.meaning.grade(told.severity).max(1).to_string());
    pair(out, "outcome", told.meaning.outcome.name());
    pair(out, "documentId", &String::from_utf8_lossy(e.id));
    for (name, value) in
        [("identHostName", &e.origin.node), ("instance", &e.origin.instance), ("cluster", &e.origin.cluster)]
    {
        if !value.is_empty() {
            pair(out, name, value);
        }
    }
    for (name, said) in e.framed() {
        pair(out, &format!("gostech_{name}"), &said);
    }
    push_fields(out, &told);
    if !told.message.is_empty() {
        pair(out, "msg", &plain(&told.message));
    }
    push_lacking(out, e);
}

fn push_fields(out: &mut Vec<u8>, told: &Told<'_>) {
    let mut names = Names::without(TAKEN);
    let (mut given, mut target) = (Vec::new(), told.target());
    for f in &told.rest {
        let key = plain(f.key);
        let own = NAMES.iter().find(|(name, own)| key == *name && !given.contains(own)).map(|(_, own)| *own);
        if target.is_some_and(|(name, value)| key == name && std::ptr::eq(value, f.value)) {
            target = None;
            pair(out, "accountName", &f.text());
        } else if let Some(own) = own {
            given.push(own);
            pair(out, own, &f.text());
        } else {
            pair(out, &names.of("", f.key, |c| c.is_ascii_alphanumeric() || c == '_'), &f.text());
        }
    }
}

/// Of what is no whole event: which part it is, and its bytes.
fn push_lacking(out: &mut Vec<u8>, e: &Event<'_>) {
    for (name, n) in [("part", e.part.0), ("parts", e.part.1)] {
        if n > 0 {
            pair(out, name, &n.to_string());
        }
    }
    if e.kind == Kind::Cut {
        pair(out, "truncated", "true");
    }
    if e.is_whole() {
        return;
    }
    match std::str::from_utf8(e.raw) {
        Ok(text) => pair(out, "raw", text),
        Err(_) => {
            let mut coded = Vec::new();
            json::push_base64(&mut coded, e.raw);
            pair(out, "rawBase64", &String::from_utf8_lossy(&coded));
        }
    }
}

/// A tab, and `name=value`.
fn pair(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b'\t');
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    line(out, value, &['\\']);
}

/// A text without a tab or a line end.
fn line(out: &mut Vec<u8>, text: &str, special: &[char]) {
    for (i, piece) in text.split('\t').enumerate() {
        out.extend_from_slice(if i > 0 { b"\\t" } else { b"" });
        escaped(out, piece, special);
    }
}
