//! What each format makes of each kind of record.

use super::*;
use crate::audit::delivery::event::Maker;
use crate::audit::record::{read, Kind};
use crate::audit::spool::record::{decode, encode, Head, Identity, New};
use serde_json::Value;

/// What a format makes of one raw record.
fn written(format: &Format, raw: &[u8], kind: Option<Kind>, part: (u32, u32)) -> String {
    let identity = Identity { cluster: "c\"1".into(), instance: "i1".into(), node: "n1".into() };
    let head = Head { first_seq: 1, created_ms: 1_795_224_477_000, identity, ..Head::default() };
    let mut facts = read(raw, kind == Some(Kind::Cut));
    facts.kind = kind.unwrap_or(facts.kind);
    let mut bytes = Vec::new();
    let (id, time, (part, parts)) = (facts.id, facts.time, part);
    let new = New { kind: facts.kind, raw, id, time, part, parts, stream: 0, read_ms: 1_795_224_477_349, form: None };
    encode(&mut bytes, &head, 1, &new);
    let stored = decode(&head, &bytes).unwrap();
    let mut out = Vec::new();
    (format.write)(&mut Pen::default(), &mut out, &Maker::default().make(&stored, &head));
    String::from_utf8(out).unwrap()
}

#[test]
fn an_object_keeps_its_bytes() {
    let raw = r#"{"id":"1.0.26","n":12345678901234567890123.50,"time":"2026-11-21T04:27:57.349+0300","title":"x"}"#;
    let out = written(&FORMATS[0], raw.as_bytes(), None, (0, 0));
    assert!(out.ends_with(&raw[1..]), "{out}");
    let v: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(v["@timestamp"], "2026-11-21T04:27:57.349+03:00");
    let g = &v["gostech"];
    assert_eq!((&g["raft_id"], &g["gen"], &g["count"]), (&1.into(), &0.into(), &26.into()));
    assert_eq!((&g["node"], &g["cluster"], &g["instance"]), (&"n1".into(), &"c\"1".into(), &"i1".into()));
    assert_eq!(g["read_at"], "2026-11-21T01:27:57.349+00:00");
    let hash = crate::hash::xxh64(raw.as_bytes(), 0);
    assert_eq!(g["id"], format!("c\"1/i1/1.0.26/{hash:016x}"));
    let v: Value = serde_json::from_str(&written(&FORMATS[0], b"{}", None, (0, 0))).unwrap();
    assert_eq!(v["@timestamp"], "2026-11-21T01:27:57.349+00:00");
    assert!(v["gostech"].get("raft_id").is_none() && v.as_object().unwrap().len() == 2);
}

#[test]
fn what_is_no_object_is_wrapped_and_recoverable() {
    for raw in [&b"plain \"text\"\t"[..], br#"{"gostech":1}"#, "я".as_bytes(), br#"["a"]"#] {
        let v: Value = serde_json::from_str(&written(&FORMATS[0], raw, None, (0, 0))).unwrap();
        assert_eq!((&v["title"], &v["severity"]), (&"unparsed".into(), &"medium".into()));
        assert_eq!(v["gostech"]["raw"].as_str().unwrap().as_bytes(), raw);
        assert_eq!(v["message"].as_str().unwrap().as_bytes(), raw);
    }
    let v: Value = serde_json::from_str(&written(&FORMATS[0], b"\xff\x00x", None, (2, 3))).unwrap();
    assert_eq!(v["gostech"]["raw_base64"], "/wB4");
    assert_eq!((&v["gostech"]["part"], &v["gostech"]["parts"]), (&2.into(), &3.into()));
}

#[test]
fn a_cut_record_carries_what_is_readable() {
    let raw = br#"{"id":"1.0.7","initiator":"admin","n":[1,2],"gostech":1,"message":"INSERT \u00e9 caf\"#;
    let v: Value = serde_json::from_str(&written(&FORMATS[0], raw, Some(Kind::Cut), (0, 0))).unwrap();
    assert_eq!((&v["id"], &v["initiator"], &v["n"]), (&"1.0.7".into(), &"admin".into(), &serde_json::json!([1, 2])));
    assert_eq!(
        (&v["message"], &v["title"], &v["severity"]),
        (&"INSERT é caf".into(), &"truncated".into(), &"high".into())
    );
    assert_eq!((&v["gostech"]["truncated"], &v["gostech"]["count"]), (&true.into(), &7.into()));
    assert_eq!(v["gostech"]["raw"].as_str().unwrap().as_bytes(), raw);
    let raw = br#"{"id":"1.0.7","severity":"low","title":"dml","message":"x"#;
    let v: Value = serde_json::from_str(&written(&FORMATS[0], raw, Some(Kind::Cut), (0, 0))).unwrap();
    assert_eq!((&v["title"], &v["severity"], &v["message"]), (&"dml".into(), &"low".into(), &"x".into()));
}

#[test]
fn the_withdrawn_programs_body() {
    let raw = br#"{"id":"1.0.9","initiator":"admin","n":1,"severity":"high","time":"2026-11-21T01:27:57.349+0000","title":"create_user","user":"PEPPA"}"#;
    let v: Value = serde_json::from_str(&written(find("gostech").unwrap(), raw, None, (0, 0))).unwrap();
    assert_eq!((&v["tags"], &v["createdAt"]), (&serde_json::json!(["high"]), &1_795_224_477_349i64.into()));
    assert_eq!(
        (&v["name"], &v["userLogin"], &v["module"]),
        (&"create_user".into(), &"PEPPA".into(), &"picodata".into())
    );
    assert_eq!(v["params"][2], serde_json::json!({"name": "n", "value": "1"}));
    let v: Value = serde_json::from_str(&written(find("gostech").unwrap(), b"junk", None, (0, 0))).unwrap();
    assert_eq!((&v["name"], &v["tags"][0], &v["userLogin"]), (&"unparsed".into(), &"medium".into(), &Value::Null));
}
