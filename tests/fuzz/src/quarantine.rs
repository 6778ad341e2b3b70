//! Quarantine lines: what was set aside comes back in its bytes; of any other line what is understood is what it says.
//!
//! Refuses: files (`status` has them).

use super::{stretch, Dice};
use gostech::audit::delivery::parcel::Said;
use gostech::audit::delivery::quarantine::{line, parse};
use gostech::audit::record::Kind;
use gostech::audit::spool::record::{decode, encode, Head, Identity, New};
use gostech::json::Span;
use std::sync::Arc;

const NOW: i64 = 1_795_224_477_000;

/// A line as the program writes it.
pub fn written(kind: Kind, status: Option<u16>, answer: &str, part: (u32, u32), raw: &[u8]) -> Vec<u8> {
    let identity = Identity { cluster: "c".into(), instance: "i".into(), node: "n".into() };
    let head = Arc::new(Head { first_seq: 1, created_ms: NOW, identity, ..Head::default() });
    let none = Span::default();
    let new = New { kind, raw, id: none, time: none, part: part.0, parts: part.1, stream: 0, read_ms: NOW, form: None };
    let mut bytes = Vec::new();
    encode(&mut bytes, &head, 9, &new);
    let stored = decode(&head, &bytes).expect("written a moment ago");
    line(&stored, &head, "c/i/-/00", &Said { status, text: answer.into() }, NOW)
}

/// Seeds: written lines, zeros before them, lines that lie.
pub fn seeds() -> Vec<Vec<u8>> {
    let whole = written(Kind::Unparsed, Some(400), "no\n\"good\"", (1, 2), b"\xff\n");
    let event = super::events(1).concat();
    let input = |answer: &str, raw: &[u8], rest: &[u8]| {
        [&[144, 1, 3, 0, 0][..], &stretch(answer.as_bytes()), &stretch(raw), rest].concat()
    };
    vec![
        input("no", &event, &whole),
        input("", b"\xff", &[&[0; 9][..], &whole].concat()),
        input("x", b"", br#"{"quarantined_at":"","status":65736,"answer":"","id":"","cluster":"","instance":"","node":"","kind":257,"part":4294967296,"parts":0,"read_ms":1,"raw":""}"#),
        input("x", b"{}", &whole[..whole.len() / 2]),
    ]
}

/// The target.
pub fn check(input: &[u8]) {
    let mut dice = Dice(input);
    let (status, kind, part, parts) = (dice.short(), dice.byte(), dice.byte(), dice.byte());
    let (answer, raw) = (dice.text(), dice.stretch());
    let status = Some(status).filter(|s| *s > 0);
    let kind = Kind::of(kind % 4 + 1).expect("one of four");
    let whole = written(kind, status, &answer, (part.into(), parts.into()), raw);
    assert_eq!(whole.iter().filter(|b| **b == b'\n').count(), 1, "a line is one line");
    let held = parse(&whole[..whole.len() - 1]).expect("written a moment ago");
    assert!(held.raw == raw && held.kind == kind && held.status == status && held.answer == answer);
    assert_eq!((held.part, held.read_ms), ((part.into(), parts.into()), NOW));
    assert!(parse(&[&[0; 3][..], &whole].concat()) == Some(held), "zeros before it change it");
    let Some(held) = parse(dice.0) else { return };
    let line = &dice.0[dice.0.iter().position(|b| *b != 0).unwrap_or(0)..];
    let said: serde_json::Value = serde_json::from_slice(line).expect("it was understood");
    let number = |name: &str| said[name].as_u64();
    assert_eq!(number("status"), held.status.map(u64::from));
    assert_eq!(number("kind"), Some(held.kind as u64));
    assert_eq!((number("part"), number("parts")), (Some(held.part.0.into()), Some(held.part.1.into())));
}
