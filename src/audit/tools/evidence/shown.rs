//! ○ Whether the fields that an export shows are those of the exact bytes beside them.
//!
//! What should be shown is written by the format itself, and compared: texts and numbers by what they say, nested values by
//! their structure. Refuses: to trust a field because the bytes beside it are sealed.

use super::claim::Fault;
use crate::audit::delivery::event::Event;
use crate::audit::delivery::format::{json as format, Pen};
use crate::audit::record::Kind;
use crate::audit::spool::record::Identity;
use crate::json::{self, text_of, Field, Kind as Value};
use serde_json::Value as Tree;

/// What is wrong with these fields of `line`, when the event's bytes are `raw`. `passed` tells which keys do not count.
pub fn fault(line: &[u8], fields: &[Field], raw: &[u8], passed: &dyn Fn(&str) -> bool) -> Fault {
    let shown = named(line, fields.iter().copied());
    let as_kind = |kind: Kind| {
        let origin = Identity::default();
        let mut out = Vec::with_capacity(2 * raw.len() + 256);
        let event = Event {
            id: b"",
            written: None,
            read_ms: 0,
            seq: 0,
            number: None,
            origin: &origin,
            part: (0, 0),
            kind,
            raw,
            host: b"",
            sent: b"",
            stream: None,
            leaf: None,
        };
        format::write(&mut Pen::default(), &mut out, &event);
        let mut all = Vec::new();
        let whole = json::object(&out, false, |f| all.push(f));
        let wanted = named(&out, all.into_iter().filter(|f| !key_of(&out, f).is_some_and(|key| passed(&key))));
        whole && agree(line, &shown, &out, &wanted)
    };
    let whole = is_whole(raw);
    match () {
        () if whole && as_kind(Kind::Object) => Fault::None,
        () if as_kind(Kind::Unparsed) || as_kind(Kind::Cut) => {
            if whole {
                Fault::Odd
            } else {
                Fault::None
            }
        }
        () => Fault::Altered,
    }
}

/// Whether it is delivered with its fields untouched.
fn is_whole(raw: &[u8]) -> bool {
    let mut ours = false;
    std::str::from_utf8(raw).is_ok()
        && json::object(raw, false, |f| {
            let key = f.key.of(raw);
            ours |= json::key_is(key, "gostech") || json::key_is(key, "@timestamp");
        })
        && !ours
}

/// What a key says.
pub fn key_of(text: &[u8], field: &Field) -> Option<String> {
    text_of(field.key.of(text))
}

/// Fields by their keys, in the order of these.
fn named(text: &[u8], fields: impl Iterator<Item = Field>) -> Vec<(String, Field)> {
    let mut all: Vec<(String, Field)> = fields.filter_map(|f| Some((key_of(text, &f)?, f))).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// Whether each field that is shown is one that should be, and all of those are there. Where a key comes twice, a pipeline
/// keeps either.
fn agree(line: &[u8], shown: &[(String, Field)], text: &[u8], wanted: &[(String, Field)]) -> bool {
    fn of<'a>(all: &'a [(String, Field)], key: &str) -> &'a [(String, Field)] {
        let from = all.partition_point(|(k, _)| k.as_str() < key);
        let to = all.partition_point(|(k, _)| k.as_str() <= key);
        &all[from..to]
    }
    let twice = shown.windows(2).any(|two| two[0].0 == two[1].0 && of(wanted, &two[0].0).len() < 2);
    !twice
        && wanted.iter().all(|(key, _)| !of(shown, key).is_empty())
        && shown.iter().all(|(key, a)| {
            let all = of(wanted, key);
            all.iter().take(8).any(|(_, b)| a.kind == b.kind && same(a.value.of(line), b.value.of(text), a.kind))
        })
}

/// Whether two values say the same.
fn same(a: &[u8], b: &[u8], kind: Value) -> bool {
    match kind {
        _ if a == b => true,
        Value::Text => text_of(a).is_some_and(|a| text_of(b) == Some(a)),
        Value::Scalar | Value::Nested => match (serde_json::from_slice(a), serde_json::from_slice(b)) {
            (Ok(a), Ok(b)) => equal(&a, &b),
            _ => false,
        },
    }
}

/// No deeper than `json::object` lets pass.
fn equal(a: &Tree, b: &Tree) -> bool {
    match (a, b) {
        (Tree::Number(a), Tree::Number(b)) => a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64(),
        (Tree::Array(a), Tree::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Tree::Object(a), Tree::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::seal::is_foreign;

    fn judged(line: &str, raw: &[u8]) -> Fault {
        let mut fields = Vec::new();
        assert!(json::object(line.as_bytes(), false, |f| fields.push(f)), "{line}");
        fields.retain(|f| !key_of(line.as_bytes(), f).is_some_and(|k| is_foreign(&k)));
        fault(line.as_bytes(), &fields, raw, &is_foreign)
    }

    #[test]
    fn fields_of_whole_objects_are_compared_by_what_they_say() {
        let raw = br#"{"n":1.50,"id":"1.0.2","o":{"a":[1,{"b":null}],"c":"\u00e9"},"log":1}"#;
        for good in [
            r#"{"n":1.50,"id":"1.0.2","o":{"a":[1,{"b":null}],"c":"\u00e9"},"log":1}"#,
            r#"{"o":{"c":"é","a":[1.0,{"b":null}]},"n":1.5,"id":"1.0\u002e2","log":{},"host":7}"#,
        ] {
            assert_eq!(judged(good, raw), Fault::None, "{good}");
        }
        for bad in [
            r#"{"n":1.51,"id":"1.0.2","o":{"a":[1,{"b":null}],"c":"\u00e9"}}"#,
            r#"{"n":"1.50","id":"1.0.2","o":{"a":[1,{"b":null}],"c":"\u00e9"}}"#,
            r#"{"n":1.5,"id":"1.0.2","o":{"a":[1,{"b":0}],"c":"\u00e9"}}"#,
            r#"{"n":1.5,"id":"1.0.2","o":{"a":[1,{"b":null}]}}"#,
            r#"{"n":1.5,"id":"1.0.2"}"#,
            r#"{"n":1.5,"id":"1.0.2","o":{"a":[1,{"b":null}],"c":"é"},"more":1}"#,
            r#"{"n":1.5,"id":"1.0.2","id":"1.0.2","o":{"a":[1,{"b":null}],"c":"é"}}"#,
        ] {
            assert_eq!(judged(bad, raw), Fault::Altered, "{bad}");
        }
        let shown = format!(
            r#"{{"title":"unparsed","severity":"medium","message":{}}}"#,
            serde_json::to_string(std::str::from_utf8(raw).unwrap()).unwrap()
        );
        assert_eq!(judged(&shown, raw), Fault::Odd);
    }

    #[test]
    fn what_is_cut_or_no_object_is_shown_as_the_format_shows_it() {
        let cut = br#"{"id":"1.0.2","title":"dml","message":"abc"#;
        let shown = r#"{"id":"1.0.2","title":"dml","message":"abc","severity":"high"}"#;
        assert_eq!(judged(shown, cut), Fault::None);
        assert_eq!(judged(&shown.replace("high", "low"), cut), Fault::Altered);
        assert_eq!(judged(&shown.replace("abc", "abd"), cut), Fault::Altered);
        let shown = r#"{"title":"unparsed","severity":"medium","message":"junk \ufffd"}"#;
        assert_eq!(judged(shown, b"junk \xff"), Fault::None);
        assert_eq!(judged(&shown.replace("junk", "punk"), b"junk \xff"), Fault::Altered);
        // The last of two that are the same is what most keep.
        assert_eq!(judged(r#"{"a":2}"#, br#"{"a":1,"a":2}"#), Fault::None);
        assert_eq!(judged(r#"{"a":3}"#, br#"{"a":1,"a":2}"#), Fault::Altered);
    }
}
