//! Records of every kind, and what a format makes of one. Refuses: to judge.

use gostech::audit::delivery::event::Maker;
use gostech::audit::delivery::format::{Format, Pen, FORMATS};
use gostech::audit::record::gap_event::{GapEvent, Reason};
use gostech::audit::record::{read, EventId, Kind};
use gostech::audit::spool::record::{decode, encode, Head, Identity, New};
use std::sync::Arc;

/// A record.
pub struct Sample {
    pub raw: Vec<u8>,
    pub kind: Kind,
    pub part: (u32, u32),
}

const ODD: &[&str] = &[
    r#"{"id":"1.0.301","initiator":"we\\ird \"|=\n","message":"a \"b\"\r\n\tc|d=e ^ f=\\n \u0000\u0001\u007f Пётр 😀 ","severity":"high","time":"2026-11-21T01:28:48.001+0000","title":"dml"}"#,
    r#"{"id":"1.0.302","title":"create_backup","severity":"medium","time":"2026-11-21T04:28:48.000+0300","flag":true,"none":null,"big":12345678901234567890123.50,"count":42,"minus":-1.5,"power":1e5,"nested":{"a":[1,"x"]},"a b":"1","a_b":"2","a.b":"3","a_b":"4","":"5","document_id":"6","source":"7","_id":"8","имя":"9","raw":"10","host":"11","message":""}"#,
    r#"{"id":"1.0.303","title":5,"severity":"grave","time":"yesterday","message":"  "}"#,
    r#"{"id":"1.0.304","title":"we|ird\\ti=tle\n\t","severity":"low","object":"a","object":"b","user":"u","grantee":"g"}"#,
    r#"{"x":1}"#,
    "{}",
];

/// All of them: every title, then what is odd, cut, broken, ours.
pub fn samples() -> Vec<Sample> {
    let titles = include_str!("../../data/formats/titles.jsonl");
    let whole = |raw: &str, kind| Sample { raw: raw.as_bytes().to_vec(), kind, part: (0, 0) };
    let mut all: Vec<Sample> = titles.lines().chain(ODD.iter().copied()).map(|l| whole(l, Kind::Object)).collect();
    let id = |count| Some(EventId { raft_id: 1, gen: 0, count });
    let gap = GapEvent { from: id(5), to: id(7), missing: 3, reason: Reason::Lost, spool: None, skip: None };
    let ours = gap.write(1_795_224_477_349, 8);
    all.push(whole(&String::from_utf8_lossy(&ours), Kind::Own));
    all.push(whole(r#"{"id":"test-1","title":"audit_test","severity":"low","message":"nothing"}"#, Kind::Object));
    let cut = ODD[0].find("Пётр").expect("there") + 1;
    all.push(Sample { raw: ODD[0].as_bytes()[..cut].to_vec(), kind: Kind::Cut, part: (0, 0) });
    all.push(Sample { raw: ODD[0].as_bytes()[..cut - 2].to_vec(), kind: Kind::Cut, part: (1, 3) });
    all.push(Sample { raw: ODD[0].as_bytes()[cut - 2..cut + 5].to_vec(), kind: Kind::Unparsed, part: (2, 3) });
    all.push(Sample { raw: b"plain \"text\"\t|=\\".to_vec(), kind: Kind::Unparsed, part: (0, 0) });
    all.push(Sample { raw: b"\xff\x00x".to_vec(), kind: Kind::Unparsed, part: (0, 0) });
    all
}

/// One of the formats.
pub fn format(name: &str) -> &'static Format {
    FORMATS.iter().find(|f| f.name == name).expect("a format")
}

/// What a format makes of a record, and its document id.
pub fn written(format: &Format, sample: &Sample) -> (Vec<u8>, String) {
    let identity = Identity { cluster: "prod|1".into(), instance: "i\"1".into(), node: "db1".into() };
    let head = Arc::new(Head { first_seq: 1, created_ms: 1_795_224_477_000, identity, ..Head::default() });
    let facts = read(&sample.raw, sample.kind == Kind::Cut);
    let spans = if sample.part.0 > 1 { Default::default() } else { (facts.id, facts.time) };
    let (kind, raw, (id, time), (part, parts)) = (sample.kind, &sample.raw[..], spans, sample.part);
    let mut bytes = Vec::new();
    let new = New { kind, raw, id, time, part, parts, stream: 0, read_ms: 1_795_224_477_349, form: None };
    encode(&mut bytes, &head, 1, &new);
    let stored = decode(&head, &bytes).expect("written a moment ago");
    let (mut maker, mut out) = (Maker::default(), Vec::new());
    let event = maker.make(&stored, &head);
    (format.write)(&mut Pen::default(), &mut out, &event);
    (out, String::from_utf8_lossy(event.id).into_owned())
}
