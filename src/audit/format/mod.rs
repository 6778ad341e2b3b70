//! Events to bytes: one pure file for each format, one row in the table. ○
//!
//! A format is how one event is written, what stands around and between events, and what the body is called.

pub mod gostech;
pub mod json;

use super::record::EventId;
use super::spool::record::{Head, Stored};
use std::sync::Arc;

/// A row of the table.
#[derive(Debug)]
pub struct Format {
    /// The name that `--format` takes.
    pub name: &'static str,
    /// What the body is.
    pub content_type: &'static str,
    /// Before the first event.
    pub open: &'static str,
    /// Between two.
    pub between: &'static str,
    /// After the last.
    pub close: &'static str,
    /// One event a request.
    pub alone: bool,
    /// The event's node in `X-Node-ID`.
    pub node_header: bool,
    /// Writes one event.
    pub write: fn(&mut Pen, &mut Vec<u8>, &Stored<'_>, &Arc<Head>),
}

/// All formats.
pub const FORMATS: &[Format] = &[
    Format {
        name: "json",
        content_type: "application/json",
        open: "[",
        between: ",\n",
        close: "]\n",
        alone: false,
        node_header: false,
        write: json::write,
    },
    Format {
        name: "ndjson",
        content_type: "application/x-ndjson",
        open: "",
        between: "\n",
        close: "\n",
        alone: false,
        node_header: false,
        write: json::write,
    },
    Format {
        name: "single",
        content_type: "application/json",
        open: "",
        between: "",
        close: "",
        alone: true,
        node_header: false,
        write: json::write,
    },
    Format {
        name: "gostech",
        content_type: "application/json",
        open: "",
        between: "",
        close: "",
        alone: true,
        node_header: true,
        write: gostech::write,
    },
];

/// The row of a name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|f| f.name == name)
}

/// What a writer of events keeps from one to the next: texts that are the same for a whole segment.
#[derive(Debug, Default)]
pub struct Pen {
    head: Option<Arc<Head>>,
    /// `CLUSTER/INSTANCE/`, escaped.
    space: Vec<u8>,
    /// `,"node":"…","cluster":"…","instance":"…","read_at":"`
    place: Vec<u8>,
    second: i64,
    stamp: [u8; crate::stamp::RFC3339_BYTES],
}

impl Pen {
    /// Makes sure that the texts are those of this segment.
    fn dip(&mut self, head: &Arc<Head>) {
        if self.head.as_ref().is_some_and(|h| Arc::ptr_eq(h, head)) {
            return;
        }
        let i = &head.identity;
        self.space.clear();
        crate::json::push_text(&mut self.space, namespace(head).as_bytes());
        self.place.clear();
        for (name, text) in [("node", &i.node), ("cluster", &i.cluster), ("instance", &i.instance)] {
            self.place.extend_from_slice(format!(",\"{name}\":\"").as_bytes());
            crate::json::push_text(&mut self.place, text.as_bytes());
            self.place.push(b'"');
        }
        self.place.extend_from_slice(b",\"read_at\":\"");
        self.head = Some(head.clone());
        self.second = i64::MIN;
    }

    /// Writes the document id of a record, as the inside of a JSON string: namespace, event id, hash. The same for ever.
    pub fn push_id(&mut self, out: &mut Vec<u8>, r: &Stored<'_>, head: &Arc<Head>) {
        self.dip(head);
        out.extend_from_slice(&self.space);
        let id = r.id.of(r.raw);
        out.extend_from_slice(if id.is_empty() { b"-" } else { id });
        if r.part > 0 {
            out.push(b'.');
            crate::json::push_number(out, r.part.into());
        }
        out.push(b'/');
        let hash = id_hash(r);
        for i in (0..16).rev() {
            out.push(b"0123456789abcdef"[(hash >> (4 * i) & 15) as usize]);
        }
    }

    /// A time as RFC 3339; the second is written once.
    fn stamp(&mut self, ms: i64) -> &[u8] {
        let second = ms.div_euclid(1000);
        if second != self.second {
            self.stamp = crate::stamp::rfc3339(ms);
            self.second = second;
        }
        let milli = ms.rem_euclid(1000) as u32;
        for (i, unit) in [100, 10, 1].into_iter().enumerate() {
            self.stamp[20 + i] = b'0' + (milli / unit % 10) as u8;
        }
        &self.stamp
    }
}

/// What stands before the event id in a document id.
fn namespace(head: &Head) -> String {
    let named = |text: &str| if text.is_empty() { "-".to_string() } else { text.to_string() };
    format!("{}/{}/", named(&head.identity.cluster), named(&head.identity.instance))
}

/// The hash in a document id: of the raw line; of an event of ours, of its id, so that telling it twice is telling it once.
fn id_hash(r: &Stored<'_>) -> u64 {
    match r.kind {
        super::record::Kind::Own => crate::hash::xxh64(r.id.of(r.raw), 0),
        _ => r.hash,
    }
}

/// The event id as numbers, where it is one.
fn event_of(r: &Stored<'_>) -> Option<EventId> {
    EventId::parse(r.id.of(r.raw))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::{read, Kind};
    use crate::audit::spool::record::{decode, encode, Identity, New};
    use serde_json::Value;

    /// What a format makes of one raw record.
    fn written(format: &Format, raw: &[u8], kind: Option<Kind>, part: (u32, u32)) -> String {
        let identity = Identity { cluster: "c\"1".into(), instance: "i1".into(), node: "n1".into() };
        let head = Head { first_seq: 1, created_ms: 1_795_224_477_000, identity, ..Head::default() };
        let mut facts = read(raw, kind == Some(Kind::Cut));
        facts.kind = kind.unwrap_or(facts.kind);
        let mut bytes = Vec::new();
        let (id, time, (part, parts)) = (facts.id, facts.time, part);
        let new = New { kind: facts.kind, raw, id, time, part, parts, stream: 0, read_ms: 1_795_224_477_349 };
        encode(&mut bytes, &head, 1, &new);
        let stored = decode(&head, &bytes).unwrap();
        let mut out = Vec::new();
        (format.write)(&mut Pen::default(), &mut out, &stored, &Arc::new(head));
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
        assert_eq!(
            (&v["id"], &v["initiator"], &v["n"]),
            (&"1.0.7".into(), &"admin".into(), &serde_json::json!([1, 2]))
        );
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
}
