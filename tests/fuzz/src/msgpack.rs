//! MessagePack: any bytes are a value or an error; a value written and read again is the same.
//!
//! Refuses: to count memory itself; the fuzzer's bound of resident bytes does.

use gostech::msgpack::{put, Reader, Value};

/// Seeds: each kind of value, nesting, lengths that lie.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = vec![
        vec![0x93, 0x01, 0xc0, 0xc3],
        vec![0x82, 0xa1, b'a', 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0, 0xa1, b'b', 0xd3, 0xff, 0, 0, 0, 0, 0, 0, 0],
        vec![0xdd, 0xff, 0xff, 0xff, 0xff, 1],
        vec![0xdf, 0x00, 0x10, 0x00, 0x00, 1],
        vec![0xc9, 0, 0, 0, 3, 1, 1, 0x12, 0x3c],
        vec![0xd8, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
        vec![0xc7, 4, 1, 0xd0, 0x80, 0x99, 0x9d],
        vec![0x91; 80],
        vec![0xc1],
        vec![0xdb, 0, 0, 0, 2, 0xd1, 0x8f],
    ];
    for file in ["proc_runtime_info_v2", "box.info", "proc_instance_info"] {
        let json = super::data(&format!("picodata-25.5.7/iproto-call-{file}.json"));
        if let Ok(value) = serde_json::from_slice::<serde_json::Value>(&json) {
            let mut out = Vec::new();
            write(&mut out, &value);
            seeds.push(out);
        }
    }
    seeds
}

/// Recorded JSON as MessagePack.
pub fn write(out: &mut Vec<u8>, value: &serde_json::Value) {
    use serde_json::Value as Json;
    match value {
        Json::Null => put(out, &Value::Nil),
        Json::Bool(b) => put(out, &Value::Bool(*b)),
        Json::Number(n) => match (n.as_u64(), n.as_i64()) {
            (Some(n), _) => put(out, &Value::Uint(n)),
            (None, Some(n)) => put(out, &Value::Int(n)),
            _ => put(out, &Value::Float(n.as_f64().unwrap_or(0.0))),
        },
        Json::String(s) => put(out, &Value::Str(s.as_bytes())),
        Json::Array(items) => {
            gostech::msgpack::put_array(out, items.len());
            items.iter().for_each(|v| write(out, v));
        }
        Json::Object(pairs) => {
            gostech::msgpack::put_map(out, pairs.len());
            pairs.iter().for_each(|(k, v)| {
                put(out, &Value::Str(k.as_bytes()));
                write(out, v);
            });
        }
    }
}

/// Everything that may be asked of a value.
fn ask(value: &Value<'_>) {
    let _ = (value.text(), value.number(), value.uint(), value.at(0), value.find(&["a", "b"]));
    value.items().iter().for_each(ask);
    for (k, v) in value.pairs() {
        ask(k);
        ask(v);
    }
}

/// The target.
pub fn check(input: &[u8]) {
    let mut reader = Reader::new(input);
    while !reader.rest().is_empty() {
        let before = reader.rest().len();
        let Ok(value) = reader.value() else { break };
        assert!(reader.rest().len() < before && input.ends_with(reader.rest()));
        ask(&value);
        let mut once = Vec::new();
        put(&mut once, &value);
        let mut back = Reader::new(&once);
        let again = back.value().expect("written a moment ago");
        assert!(back.rest().is_empty(), "more was written than a value");
        // Bytes, for a number that is none is not equal to itself.
        let mut twice = Vec::new();
        put(&mut twice, &again);
        assert_eq!(once, twice);
        assert!(value == again || once.windows(2).any(|w| w[0] == 0xcb && w[1] & 0x7f == 0x7f), "{value:?}");
    }
    let _ = Reader::new(input).uint();
}
