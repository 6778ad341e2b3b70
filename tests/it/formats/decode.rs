//! Decoders that are not the writers: small readers of CEF and LEEF, and JSON by serde_json. What went in comes out.

use super::samples::{format, samples, written, Sample};
use gostech::audit::record::Kind;
use gostech::json::from_base64;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

type Pairs = BTreeMap<String, String>;

/// Splits at a character that no backslash stands before.
fn split_plain(text: &str, at: char, most: usize) -> Vec<String> {
    let (mut parts, mut escaped) = (vec![String::new()], false);
    for c in text.chars() {
        if c == at && !escaped && parts.len() < most {
            parts.push(String::new());
        } else {
            parts.last_mut().expect("one").push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    parts
}

fn unescaped(text: &str) -> String {
    let (mut out, mut escaped) = (String::new(), false);
    for c in text.chars() {
        match (escaped, c) {
            (false, '\\') => escaped = true,
            (false, c) => out.push(c),
            (true, c) => {
                out.push(match c {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    c => c,
                });
                escaped = false;
            }
        }
    }
    out
}

/// The keys and values of a CEF extension: a key is the word before a `=` that is not escaped.
fn cef_pairs(text: &str) -> Pairs {
    let parts = split_plain(text, '=', usize::MAX);
    let mut pairs = Pairs::new();
    let mut key = parts[0].clone();
    for (i, part) in parts.iter().enumerate().skip(1) {
        let (value, next) = match i + 1 < parts.len() {
            true => part.rsplit_once(' ').expect("a key behind a blank"),
            false => (part.as_str(), ""),
        };
        assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "key `{key}`");
        assert!(pairs.insert(key.clone(), unescaped(value)).is_none(), "`{key}` twice in {text}");
        key = next.to_string();
    }
    pairs
}

fn leef_pairs(text: &str) -> Pairs {
    let mut pairs = Pairs::new();
    for pair in text.split('\t') {
        let (key, value) = pair.split_once('=').expect("a value");
        assert!(!key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "key `{key}`");
        assert!(pairs.insert(key.to_string(), unescaped(value)).is_none(), "`{key}` twice in {text}");
    }
    pairs
}

/// Control characters have pictures in lines.
fn pictured(text: &str, but: &[char]) -> String {
    let picture = |c: char| match c {
        c if but.contains(&c) => c,
        '\0'..='\x1f' => char::from_u32(0x2400 + c as u32).expect("a picture"),
        '\x7f' => '\u{2421}',
        c => c,
    };
    text.chars().map(picture).collect()
}

/// The fields of a whole record with all their values; of a repeated name the last, as serde_json has it.
fn fields(sample: &Sample) -> Map<String, Value> {
    match sample.kind {
        Kind::Object | Kind::Own => serde_json::from_slice(&sample.raw).expect("a whole object"),
        Kind::Cut | Kind::Unparsed => Map::new(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), String::from)
}

/// Every value of the record is there; a time that is one may be said in another way.
fn nothing_is_missing(sample: &Sample, pairs: &Pairs, but: &[char]) {
    let all = fields(sample);
    let is_time = |k: &str, v: &Value| k == "time" && v.as_str().is_some_and(|t| t.contains('T'));
    // Numbers are compared as they were written, not as a float has them.
    for (key, value) in all.iter().filter(|(k, v)| !is_time(k, v) && !v.is_number()) {
        let value = pictured(&plain(value), but);
        let there = pairs.values().any(|v| *v == value) || (key == "message" && value.trim().is_empty());
        assert!(there, "`{key}` is not in {pairs:?}");
    }
}

fn exact_bytes(sample: &Sample, text: Option<&String>, coded: Option<&String>, but: &[char]) {
    if matches!(sample.kind, Kind::Object | Kind::Own) {
        return assert!(text.is_none() && coded.is_none());
    }
    match std::str::from_utf8(&sample.raw) {
        Ok(raw) => assert_eq!(text, Some(&pictured(raw, but))),
        Err(_) => assert_eq!(coded.and_then(|c| from_base64(c)), Some(sample.raw.clone())),
    }
}

#[test]
fn a_reader_of_cef_finds_everything() {
    for sample in samples() {
        let (out, id) = written(format("cef"), &sample);
        let text = String::from_utf8(out).expect("UTF-8");
        let header = split_plain(&text, '|', 8);
        assert_eq!((header.len(), header[0].as_str(), header[1].as_str()), (8, "CEF:0", "Picodata"), "{text}");
        let pairs = cef_pairs(&header[7]);
        assert!(header[6].parse::<u8>().is_ok_and(|n| n <= 10) && !header[5].is_empty(), "{text}");
        assert_eq!((unescaped(&header[4]), &id), (pairs["act"].clone(), &pairs["externalId"]));
        for n in 1..=6 {
            assert_eq!(pairs.contains_key(&format!("cs{n}")), pairs.contains_key(&format!("cs{n}Label")), "{text}");
        }
        nothing_is_missing(&sample, &pairs, &['\n', '\r']);
        exact_bytes(&sample, pairs.get("rawEvent"), pairs.get("picodataRawBase64"), &['\n', '\r']);
        assert_eq!(
            pairs.get("cn1").map(String::as_str),
            (sample.part.0 > 0).then(|| ["1", "2"][sample.part.0 as usize - 1])
        );
    }
}

#[test]
fn a_reader_of_leef_finds_everything() {
    for sample in samples() {
        let (out, id) = written(format("leef"), &sample);
        let text = String::from_utf8(out).expect("UTF-8");
        let header = split_plain(&text, '|', 7);
        assert_eq!((header.len(), header[0].as_str(), header[5].as_str()), (7, "LEEF:2.0", "x09"), "{text}");
        let pairs = leef_pairs(&header[6]);
        assert!(pairs["sev"].parse::<u8>().is_ok_and(|n| (1..=10).contains(&n)) && pairs["documentId"] == id);
        let mut all = pairs.clone();
        all.insert("EventID".into(), unescaped(&header[4]));
        nothing_is_missing(&sample, &all, &['\n', '\r', '\t']);
        exact_bytes(&sample, pairs.get("raw"), pairs.get("rawBase64"), &['\n', '\r', '\t']);
    }
}

fn parsed(name: &str, sample: &Sample) -> (Value, String) {
    let (out, id) = written(format(name), sample);
    let value: Value =
        serde_json::from_slice(&out).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out)));
    (value, id)
}

#[test]
fn a_number_that_no_float_carries_and_a_field_that_comes_twice_are_there() {
    let hard = samples().into_iter().find(|s| String::from_utf8_lossy(&s.raw).contains("create_backup"));
    let hard = hard.expect("a sample");
    for name in ["json", "gostech", "ecs", "cef", "leef", "gelf", "otlp", "loki"] {
        let text = String::from_utf8(written(format(name), &hard).0).expect("UTF-8");
        assert!(text.contains("12345678901234567890123.50"), "{name}: {text}");
        // `a_b` is there twice, and what is mangled falls on it: no value is lost.
        assert!(["1", "2", "3", "4"]
            .iter()
            .all(|n| text.contains(&format!("\"{n}")) || text.contains(&format!("={n}"))));
    }
}

#[test]
fn what_the_frame_says_is_in_every_format_that_has_a_place_for_it() {
    let raw = br#"<14>1 2026-11-29T08:47:45.1Z front7 picodata 61 - - {"id":"1.0.9","title":"dml"}"#;
    let sample = Sample { raw: raw.to_vec(), kind: Kind::Object, part: (0, 0) };
    for format in gostech::audit::delivery::format::FORMATS {
        let text = written(format, &sample).0.escape_ascii().to_string();
        let has = text.contains("front7") && text.contains("2026-11-29T08:47:45.1Z");
        // That of the withdrawn program is as it was.
        assert_eq!(has, format.name != "gostech", "{}: {text}", format.name);
    }
    let entry = b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795942065100000\nMESSAGE={\"id\":\"1.0.9\"}\n";
    let entry = Sample { raw: entry.to_vec(), ..sample };
    let sample = Sample { raw: raw.to_vec(), ..entry };
    assert_eq!(parsed("json", &entry).0["gostech"]["sent"], "2026-11-29T08:47:45.100+00:00");
    let (gelf, _) = parsed("gelf", &sample);
    assert_eq!((&gelf["_gostech_host"], &gelf["host"]), (&"front7".into(), &"db1".into()));
    assert_eq!(parsed("ecs", &sample).0["gostech"]["sent"], "2026-11-29T08:47:45.1Z");
}

/// The values of a JSON object as text.
fn texts(object: &Value) -> Pairs {
    object.as_object().expect("an object").iter().map(|(k, v)| (k.clone(), plain(v))).collect()
}

#[test]
fn gelf_is_what_graylog_takes() {
    for sample in samples() {
        let (v, id) = parsed("gelf", &sample);
        let text = |name: &str| v[name].as_str().unwrap_or_default().to_string();
        assert_eq!((text("version"), text("host"), text("_document_id")), ("1.1".into(), "db1".into(), id));
        assert!(!text("short_message").trim().is_empty() && v["timestamp"].is_number(), "{v}");
        assert!(v["level"].as_u64().is_some_and(|n| n <= 7) && v.get("_id").is_none(), "{v}");
        let known = ["version", "host", "short_message", "full_message", "timestamp", "level"];
        for (name, value) in v.as_object().expect("an object") {
            let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            assert!(known.contains(&name.as_str()) || name.starts_with('_') && name.chars().all(word), "{name}");
            assert!(value.is_string() || value.is_number(), "{name}: {value}");
        }
        nothing_is_missing(&sample, &texts(&v), &('\0'..='\x7f').collect::<Vec<char>>());
        let (raw, coded) = match v.get("_raw_encoding") {
            None => (v.get("full_message").map(plain), None),
            Some(_) => (None, v.get("full_message").map(plain)),
        };
        exact_bytes(&sample, raw.as_ref(), coded.as_ref(), &('\0'..='\x7f').collect::<Vec<char>>());
    }
}

#[test]
fn ecs_has_its_fields_and_keeps_the_rest() {
    for sample in samples() {
        let (v, id) = parsed("ecs", &sample);
        assert_eq!((&v["ecs"]["version"], &v["event"]["id"]), (&"9.0.0".into(), &id.as_str().into()));
        assert_eq!(v["event"]["hash"], id[id.len() - 16..]);
        for list in ["category", "type"] {
            assert!(v["event"][list].as_array().is_some_and(|l| !l.is_empty()), "{v}");
        }
        assert!(["success", "failure", "unknown"].contains(&v["event"]["outcome"].as_str().expect("an outcome")));
        assert!(v["host"].is_null() && v["url"].is_null() && v["http"].is_null(), "an input of Logstash writes these");
        match std::str::from_utf8(&sample.raw) {
            Ok(raw) => assert_eq!(v["event"]["original"], raw),
            Err(_) => {
                let coded = v["gostech"]["raw_base64"].as_str().expect("the bytes");
                assert_eq!(from_base64(coded), Some(sample.raw.clone()));
            }
        }
        let rest = v["picodata"].as_object().expect("an object");
        assert!(rest.keys().all(|k| !k.is_empty() && !k.contains('.')), "{v}");
        let mut all = texts(&v["picodata"]);
        all.insert("said".into(), plain(&v["message"]));
        all.insert("action".into(), plain(&v["event"]["action"]));
        nothing_is_missing(&sample, &all, &('\0'..='\x7f').collect::<Vec<char>>());
    }
    let of = |title: &str| {
        let sample =
            samples().into_iter().find(|s| String::from_utf8_lossy(&s.raw).contains(&format!("\"title\":\"{title}\"")));
        parsed("ecs", &sample.expect("a sample")).0
    };
    let (renamed, granted, failed) = (of("rename_user"), of("grant_role"), of("auth_fail"));
    let name = |v: &Value, of: &str| v["user"][of]["name"].as_str().unwrap_or_default().to_string();
    assert_eq!((name(&renamed, "target"), name(&renamed, "changes")), ("alice".into(), "alisa".into()));
    assert_eq!((name(&granted, "target"), &granted["user"]["name"]), ("we\\ird \"\"quote".into(), &"admin".into()));
    assert_eq!(
        (&failed["event"]["outcome"], &failed["event"]["category"][0]),
        (&"failure".into(), &"authentication".into())
    );
    assert_eq!((&failed["log"]["level"], &failed["event"]["severity"]), (&"critical".into(), &7.into()));
}

#[test]
fn loki_has_few_labels_and_the_whole_line() {
    for sample in samples() {
        let (v, id) = parsed("loki", &sample);
        let labels: Vec<&String> = v["stream"].as_object().expect("labels").keys().collect();
        assert_eq!(labels, ["cluster", "instance", "job", "severity"]);
        let entry = v["values"][0].as_array().expect("a pair");
        assert!(entry.len() == 2 && entry[0].as_str().is_some_and(|n| n.len() == 19), "{v}");
        let line: Value = serde_json::from_str(entry[1].as_str().expect("a line")).expect("JSON");
        assert_eq!(line["gostech"]["id"], id.as_str());
        assert_eq!(line, parsed("json", &sample).0);
    }
}
