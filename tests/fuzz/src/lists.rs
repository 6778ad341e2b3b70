//! Lists of leaves: what is read is written again as it was, and there is one text for one list.
//!
//! An input is a JSON object of texts. Refuses: to judge leaves.

use gostech::audit::seal::{Algorithm, List, Place, StreamId};
use gostech::limits::SEAL_LIST;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Seeds: lists with leaves alone, with places of every kind, with filters, a whole one.
pub fn seeds() -> Vec<Vec<u8>> {
    let places = |count: usize, with: fn(usize) -> Place| (0..count).map(with).collect::<Vec<Place>>();
    let mixed = |n: usize| match n % 5 {
        1..=3 => Place::Lost,
        _ => Place::Leaf([n as u8; 32]),
    };
    let bits = |count: usize| (0..count).map(|n| n % 3 == 0).collect::<Vec<bool>>();
    let list = |from: u64, places: Vec<Place>, names: &[&str]| {
        let passes = names.iter().map(|name| (name.to_string(), bits(places.len()))).collect();
        List { stream: StreamId::new(9, [3; 9], Algorithm::Sha256), from, places, passes }.write(5)
    };
    vec![
        list(1, places(1, |_| Place::Leaf([1; 32])), &[]),
        list(129, places(9, mixed), &["siem", "a b=%"]),
        list(u64::MAX - SEAL_LIST as u64, places(SEAL_LIST, mixed), &["я"]),
        list(5, places(3, |_| Place::Lost), &[]),
    ]
}

/// The target.
pub fn check(input: &[u8]) {
    let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(input) else { return };
    let text = |fields: &Map<String, Value>, name: &str| fields.get(name).and_then(Value::as_str).map(String::from);
    let read = |fields: &Map<String, Value>| List::read(|name| text(fields, name).map(Cow::Owned));
    let Some(list) = read(&fields) else { return };
    assert!((1..=SEAL_LIST).contains(&list.places.len()) && list.end() > list.from);
    assert!(list.passes.iter().all(|(_, bits)| bits.len() == list.places.len()));
    let again: Map<String, Value> = serde_json::from_slice(&list.write(5)).expect("an object");
    assert_eq!(read(&again), Some(list));
    for name in ["stream_id", "from", "count", "leaves", "absent", "passes"] {
        let (a, b) = (text(&fields, name).unwrap_or_default(), text(&again, name).unwrap_or_default());
        assert_eq!(a, b, "{name}");
    }
}
