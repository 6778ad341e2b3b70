//! Leaves: a record has the form that a slow reading of it finds, and whatever is altered gives another leaf.
//!
//! An input is the bytes of a record. Refuses: to know which hash there should be.

use gostech::audit::seal::{canonical, form, is_foreign, leaf, Algorithm, Form, StreamId, Tree};
use serde_json::{Map, Value};

/// Seeds: recorded lines, escapes of every kind, names that pipelines claim, what is only nearly of the form.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = super::events(40);
    for text in [
        r#"{"a":"\"\\\b\f\n\r\t\u0000\u001f","b":"пользователь"}"#,
        r#"{"a":"\u0041\/","b":"\ud83d\ude00"}"#,
        r#"{"_id":"1","host":"h","id":"1.0.1","type":"x"}"#,
        r#"{"b":"1","a":"2"}"#,
        r#"{"a":"1","a":"2"}"#,
        r#"{"a":1,"b":{"c":[]},"d":null}"#,
        r#"{"a": "b"}"#,
        "{}",
    ] {
        seeds.push(text.as_bytes().to_vec());
    }
    seeds
}

/// By the letter: read, and written again.
fn slow(body: &[u8]) -> Form {
    let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(body) else { return Form::Raw };
    let escaped = |key: &str| key.bytes().any(|b| b < b' ' || b == b'"' || b == b'\\');
    let pairs: Option<Vec<(&str, &str)>> = fields.iter().map(|(k, v)| Some((k.as_str(), v.as_str()?))).collect();
    match pairs {
        Some(pairs)
            if !pairs.iter().any(|(k, _)| is_foreign(k) || escaped(k)) && canonical(pairs.iter().copied()) == body =>
        {
            Form::Canonical
        }
        _ => Form::Raw,
    }
}

/// The target.
pub fn check(input: &[u8]) {
    let form = form(input);
    assert_eq!(form, slow(input));
    for algorithm in Algorithm::ALL {
        let id = StreamId::new(1, [2; 9], algorithm);
        let one = leaf(id, 7, form, input);
        assert_eq!(one, leaf(id, 7, form, input));
        let longer = [input, b"\0"].concat();
        let altered: Vec<u8> = input.iter().map(|b| b ^ 1).collect();
        let others = [leaf(id, 8, form, input), leaf(id, 7, form, &longer), leaf(id, 7, form, &altered)];
        assert!(input.is_empty() || others.iter().all(|other| *other != one));
        let mut tree = Tree::new(algorithm);
        input.iter().take(70).for_each(|byte| tree.push([*byte; 32]));
        let again = Tree::resume(algorithm, tree.size(), tree.edge()).expect("its own edge");
        assert_eq!(again.root(), tree.root());
    }
}
