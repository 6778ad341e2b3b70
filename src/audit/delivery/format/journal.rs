//! ○ The event as an entry of systemd's journal, by its native protocol: a field each.
//!
//! ```text
//! NAME=value LF                                  where the value has no newline
//! NAME LF length(8, little-endian) value LF      where it has one
//! ```
//!
//! `MESSAGE`, `PRIORITY`, `SYSLOG_IDENTIFIER`, `SYSLOG_FACILITY` and `MESSAGE_ID` are what journald knows; each other field of
//! the event is `PICODATA_NAME`, what is ours `GOSTECH_NAME`. Refuses: names that journald does not take (they are made such
//! that it does), more fields than it takes.

use super::fields::{plain, Told};
use super::pen::Pen;
use super::titles;
use crate::audit::delivery::event::Event;
use crate::audit::record::Kind;
use crate::limits;
use ring::digest::{digest, SHA1_FOR_LEGACY_USE_ONLY};

/// The namespace of our message ids: `uuidgen --sha1 --namespace c7c2ebe0-6e4f-4b0c-9f0e-6b1d0a2c4d15 --name TITLE` gives the
/// same. It must never change.
const NAMESPACE: [u8; 16] =
    [0xc7, 0xc2, 0xeb, 0xe0, 0x6e, 0x4f, 0x4b, 0x0c, 0x9f, 0x0e, 0x6b, 0x1d, 0x0a, 0x2c, 0x4d, 0x15];

/// Writes one event.
pub fn write(pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>) {
    let told = Told::of(e);
    let title = plain(told.title);
    field(out, b"MESSAGE", plain(told.said()).as_bytes());
    field(out, b"PRIORITY", titles::syslog_level(told.severity).to_string().as_bytes());
    field(out, b"SYSLOG_FACILITY", b"13");
    field(out, b"SYSLOG_IDENTIFIER", b"picodata-audit");
    field(out, b"MESSAGE_ID", message_id(title.as_bytes()).as_bytes());
    field(out, b"PICODATA_TITLE", title.as_bytes());
    if let Some((time, _)) = e.written {
        field(out, b"PICODATA_TIME", time);
    }
    let mut name = Vec::new();
    for f in told.rest.iter().take(limits::JOURNAL_FIELDS) {
        field_name(&mut name, f.key);
        field(out, &name, f.text().as_bytes());
    }
    if !told.rest.iter().any(|f| f.is_text("severity")) {
        field(out, b"PICODATA_SEVERITY", told.severity.name().as_bytes());
    }
    let all = told.rest.len() <= limits::JOURNAL_FIELDS;
    push_ours(pen, out, e, all);
}

fn push_ours(pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>, all: bool) {
    field(out, b"GOSTECH_ID", e.id);
    for (name, text) in [
        (&b"GOSTECH_CLUSTER"[..], &e.origin.cluster),
        (b"GOSTECH_INSTANCE", &e.origin.instance),
        (b"GOSTECH_NODE", &e.origin.node),
    ] {
        if !text.is_empty() {
            field(out, name, text.as_bytes());
        }
    }
    field(out, b"GOSTECH_READ_AT", pen.stamp(e.read_ms));
    for (name, said) in e.framed() {
        field(out, format!("GOSTECH_{}", name.to_uppercase()).as_bytes(), said.as_bytes());
    }
    if e.kind == Kind::Cut {
        field(out, b"GOSTECH_TRUNCATED", b"1");
    }
    for (name, n) in [(&b"GOSTECH_PART"[..], e.part.0), (b"GOSTECH_PARTS", e.part.1)] {
        if n > 0 {
            field(out, name, n.to_string().as_bytes());
        }
    }
    if !e.is_whole() || !all {
        field(out, b"GOSTECH_RAW", e.raw);
    }
}

/// What is the same for all events of a title, in any version: a UUID by name (version 5), as journald writes them.
pub fn message_id(title: &[u8]) -> String {
    let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[&NAMESPACE[..], title].concat());
    let mut id = [0u8; 16];
    id.copy_from_slice(&sum.as_ref()[..16]);
    id[6] = id[6] & 0x0f | 0x50;
    id[8] = id[8] & 0x3f | 0x80;
    id.iter().map(|b| format!("{b:02x}")).collect()
}

/// A name that journald takes: capital letters, digits and `_`, no longer than it lets it be.
fn field_name(out: &mut Vec<u8>, key: &[u8]) {
    out.clear();
    out.extend_from_slice(b"PICODATA_");
    let key = plain(key);
    out.extend(key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() as u8 } else { b'_' }));
    out.truncate(limits::JOURNAL_NAME_BYTES);
}

/// Writes one field of an entry.
pub fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    if memchr::memchr(b'\n', value).is_none() {
        out.push(b'=');
    } else {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID_OF_CREATE_USER: &str = "5ca729147a7c59299f0744abae6687c1";

    #[test]
    fn a_title_has_the_id_that_uuidgen_gives_it() {
        assert_eq!(message_id(b"create_user"), ID_OF_CREATE_USER);
        assert_ne!(message_id(b"drop_user"), ID_OF_CREATE_USER);
    }

    #[test]
    fn names_are_such_as_journald_takes_and_newlines_go_by_length() {
        let mut name = Vec::new();
        for (key, wanted) in [(&b"auth_type"[..], "PICODATA_AUTH_TYPE"), (b"a-b.\\u0441", "PICODATA_A_B__")] {
            field_name(&mut name, key);
            assert_eq!(String::from_utf8_lossy(&name), wanted);
        }
        field_name(&mut name, &[b'x'; 200]);
        assert_eq!(name.len(), limits::JOURNAL_NAME_BYTES);
        let mut out = Vec::new();
        field(&mut out, b"A", b"one");
        field(&mut out, b"B", b"x\ny");
        assert_eq!(out, b"A=one\nB\n\x03\0\0\0\0\0\0\0x\ny\n");
    }
}
