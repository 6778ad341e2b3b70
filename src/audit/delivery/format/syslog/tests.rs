//! The corners of the heads; what is plain stands in the golden files.

use super::*;
use crate::audit::delivery::event::Maker;
use crate::audit::delivery::format::{json, Manner};
use crate::audit::record::{read, Kind};
use crate::audit::spool::record::{decode, encode, Head, Identity, New};
use std::sync::Arc;

type Write = fn(&mut Pen, &mut Vec<u8>, &Event<'_>, Body);

/// What a writer makes of a record of this number.
fn message(write: Write, manner: Manner, node: &str, raw: &[u8], seq: u64) -> String {
    let identity = Identity { cluster: "demo".into(), instance: "i1".into(), node: node.into() };
    let head = Head { first_seq: seq, created_ms: 1_795_224_477_000, identity, ..Head::default() };
    let facts = read(raw, false);
    let (mut bytes, mut out) = (Vec::new(), Vec::new());
    let (kind, id, time) = (facts.kind, facts.id, facts.time);
    encode(
        &mut bytes,
        &head,
        seq,
        &New { kind, raw, id, time, part: 0, parts: 0, stream: 0, read_ms: 1_795_224_477_349, form: None },
    );
    let stored = decode(&head, &bytes).unwrap();
    write(&mut Pen::new(&Arc::new(manner)), &mut out, &Maker::default().make(&stored, &head), json::write);
    String::from_utf8(out).unwrap()
}

fn plain(write: Write, raw: &str) -> String {
    message(write, Manner::default(), "db1.example", raw.as_bytes(), 1)
}

#[test]
fn the_head_says_what_options_and_events_say() {
    let raw = r#"{"id":"1.0.26","initiator":"a]\"\\b","severity":"high","time":"2026-11-21T04:27:57.349+0300","title":"create_user"}"#;
    let manner = Manner { facility: 16, app: "audit".into(), element: "x@1".into() };
    let m = message(rfc5424, manner, "db1.example", raw.as_bytes(), 0x8000_0001);
    let begin = r#"<130>1 2026-11-21T04:27:57.349+03:00 db1.example audit i1 create_user [x@1 id="1.0.26" title="create_user" severity="high" initiator="a\]\"\\b" cluster="demo" instance="i1"][meta sequenceId="2"] {"@timestamp":"#;
    assert!(m.starts_with(begin), "{m}");
    assert!(m.ends_with(&raw[1..]), "the message is the event, and no byte order mark stands before it: {m}");
    let old = plain(rfc3164, raw);
    assert!(old.starts_with("<106>Nov 21 04:27:57 picodata: {\"@timestamp\""), "{old}");
}

#[test]
fn what_a_head_cannot_hold_is_shortened_there_and_whole_in_the_message() {
    let long = "я".repeat(9_000);
    let raw = format!(
        r#"{{"id":"1.0.1","initiator":"{long}\n\u0007","title":"a b{long}","time":"2026-11-21T04:27:60.123456789Z"}}"#
    );
    let m = plain(rfc5424, &raw);
    let head = &m[..m.find("] {").unwrap()];
    assert!(head.starts_with("<109>1 2026-11-21T04:28:00.123+00:00 db1.example picodata i1 a_b_"), "{head}");
    assert!(head.len() < 3_000 && head.chars().all(|c| !c.is_control()), "{}", head.len());
    assert!(m.ends_with(&raw[1..]));
    // Nine digits of a fraction become six.
    let m = plain(rfc5424, r#"{"time":"2026-11-21T04:27:57.123456789+0300"}"#);
    assert!(m.starts_with("<109>1 2026-11-21T04:27:57.123456+03:00 "), "{m}");
    // Without a host name, a title or a time.
    let m = message(rfc5424, Manner::default(), "", b"{}", 7);
    assert!(m.starts_with("<109>1 2026-11-21T01:27:57.349+00:00 - picodata i1 untitled [picodata@32473 title="), "{m}");
    let m = message(rfc5424, Manner::default(), "b c", b"junk", 7);
    assert!(m.contains(" b_c picodata i1 unparsed [") && m.contains("severity=\"medium\""), "{m}");
    assert_eq!(read(b"junk", false).kind, Kind::Unparsed);
}

#[test]
fn a_message_is_one_line() {
    // What the database never writes: a line feed between tokens.
    for write in [rfc5424 as Write, rfc3164] {
        let m = plain(write, "{\"id\":\"1.0.1\",\n\"message\":\"a\\nb\"\r\n}");
        assert!(!m.contains('\n') && m.contains(r#""message":"a\nb""#), "{m}");
    }
}
