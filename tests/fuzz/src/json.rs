//! JSON as spans: what is called a whole object is one to serde too, field by field; what is cut shows only what is text;
//! escaping and base64 come back.
//!
//! Refuses: to be stricter than the limits (depth, length of a number) that the room declares.

use gostech::json::{from_base64, key_is, object, push_base64, push_text, text_of, Kind};
use gostech::limits::{JSON_DEPTH, JSON_NUMBER_BYTES};
use serde_json::{Map, Value};

/// Seeds: recorded events, nesting, escapes, halves.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = super::events(10);
    let texts = [
        r#" {"id":"1.0.2" , "n":12345678901234567890.5e-3,"o":{"a":[1,{"b":[]},"x"]},"t":true,"":null} "#,
        r#"{"a":"\ud83d\ude00\u00e9\n","b":-0.0E+5,"c":[[[[]]]],"\u0040timestamp":1}"#,
        r#"{"id":"1.0.7","message":"he \ud83d"#,
        r#"{"a":1e999,"a":2}"#,
    ];
    seeds.extend(texts.iter().map(|t| t.as_bytes().to_vec()));
    seeds
}

/// Whether serde refuses what we let pass, or the other way round, for a reason that is written down.
fn excused(text: &[u8], error: Option<&serde_json::Error>) -> bool {
    match error {
        // A number too large for f64 is the one thing that they refuse and we let pass.
        Some(e) => e.to_string().contains("out of range") || std::str::from_utf8(text).is_err(),
        None => {
            let deep = text.iter().filter(|b| matches!(b, b'{' | b'[')).count() > JSON_DEPTH as usize;
            deep || text.len() > JSON_NUMBER_BYTES
        }
    }
}

fn agrees(text: &[u8]) {
    let mut fields = Vec::new();
    let whole = object(text, false, |f| fields.push(f));
    let theirs = serde_json::from_slice::<Map<String, Value>>(text);
    match (&theirs, whole) {
        (Err(e), true) => assert!(excused(text, Some(e)), "serde: {e}"),
        (Ok(_), false) => assert!(excused(text, None), "serde takes it"),
        (Ok(map), true) => {
            for f in &fields {
                let key = text_of(f.key.of(text)).expect("a key is text");
                assert!(key_is(f.key.of(text), &key));
                let last = fields.iter().rev().find(|g| text_of(g.key.of(text)).as_ref() == Some(&key));
                if last.is_some_and(|l| l.whole != f.whole) {
                    continue;
                }
                let value = f.value.of(text);
                match f.kind {
                    Kind::Text => assert_eq!(map[&key], Value::from(text_of(value).expect("a text"))),
                    _ => assert_eq!(map[&key], serde_json::from_slice::<Value>(value).expect("a value")),
                }
            }
            assert!(fields.iter().all(|f| !f.cut) && fields.len() >= map.len());
        }
        (Err(_), false) => {}
    }
}

/// What is shown of a beginning: texts that are whole, or cut where they are readable.
fn cut(text: &[u8]) {
    object(text, true, |f| {
        assert!(f.key.from <= f.key.to && f.value.from <= f.value.to && f.value.to <= text.len());
        assert!(f.whole.from < f.key.from && f.whole.to <= text.len());
        if f.cut {
            assert_eq!(f.kind, Kind::Text);
            let value = f.value.of(text);
            assert!(text_of(value).is_some(), "{:?} is no text", String::from_utf8_lossy(value));
        }
    });
}

/// The target.
pub fn check(input: &[u8]) {
    agrees(input);
    cut(input);
    let mut escaped = Vec::new();
    push_text(&mut escaped, input);
    assert_eq!(text_of(&escaped).as_deref(), Some(&*String::from_utf8_lossy(input)));
    let mut coded = Vec::new();
    push_base64(&mut coded, input);
    let coded = String::from_utf8(coded).expect("letters");
    assert_eq!(from_base64(&coded).as_deref(), Some(input));
    if let Some(bytes) = std::str::from_utf8(input).ok().and_then(from_base64) {
        let mut again = Vec::new();
        push_base64(&mut again, &bytes);
        assert_eq!(again, input, "two texts for one value");
    }
}
