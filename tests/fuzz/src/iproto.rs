//! Frames of iproto: greeting, lengths, answers of any bytes; a length does not depend on how much of the frame is there;
//! our own requests are whole frames; what an answer brings can be written to a page.
//!
//! Refuses: sockets and deadlines (the tests with hostile servers have them).

use super::{stretch, Dice};
use gostech::iproto::auth::Method;
use gostech::iproto::protocol::{length, put_auth, Answer, Greeting, Request, GREETING_BYTES};
use gostech::limits::{IPROTO_ANSWER_BYTES, IPROTO_REFUSAL_CHARS};
use gostech::metrics::rules::Rules;
use gostech::metrics::snapshot::Builder;
use gostech::metrics::source::sheet::Sheet;
use gostech::metrics::source::{boxed, pico};
use gostech::msgpack::{Reader, Value};

/// Seeds: a greeting, a recorded answer, a refusal.
pub fn seeds() -> Vec<Vec<u8>> {
    let first = format!("{:<63}\n", "Tarantool 2.11.5 (Binary) 3cd6b7a8-5e28-46eb-9113-acbac4e868f8");
    let greeting = format!("{first}{:<63}\n", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let refused = [&[0x82, 0, 0xcd, 0x80, 42, 1, 9, 0x81, 0x31, 0xa2][..], b"no"].concat();
    let mut seeds = vec![
        [stretch(greeting.as_bytes()), refused].concat(),
        [stretch(b"mon"), vec![0x82, 0, 0, 1, 9, 0x81, 0x30, 0x91, 42]].concat(),
        [stretch(b"\xce\x00\x00\x00"), vec![0xcf, 255, 255, 255, 255, 0, 0, 0, 0]].concat(),
    ];
    let info: serde_json::Value =
        serde_json::from_slice(&super::data("picodata-25.5.7/iproto-call-box.info.json")).unwrap_or_default();
    let spaces = serde_json::json!([["s\"\n", "memtx", 9, 1, [["pk", 3]]], ["v", "vinyl", 0, -1, []], 7]);
    let found = serde_json::json!([{"info": info.get(0).unwrap_or(&info), "spaces": spaces, "time": 1.5,
        "stat": {"INSERT": {"total": 1, "rps": 0}}, "net": {"SENT": {"total": 1}}, "fibers": {"amount": 1}}]);
    let mut body = vec![0x82, 0, 0, 1, 9, 0x81, 0x30];
    super::msgpack::write(&mut body, &found);
    seeds.push([stretch(b"x"), body].concat());
    for call in ["proc_runtime_info_v2", "proc_raft_info", "proc_version_info", "proc_instance_info"] {
        let json = super::data(&format!("picodata-25.5.7/iproto-call-{call}.json"));
        if let Ok(value) = serde_json::from_slice::<serde_json::Value>(&json) {
            let mut body = vec![0x82, 0, 0, 1, 9, 0x81, 0x30];
            super::msgpack::write(&mut body, &value);
            seeds.push([stretch(b"x"), body].concat());
        }
    }
    seeds
}

/// A frame's length: the same as soon as it is known.
fn lengths(bytes: &[u8]) {
    let whole = length(bytes);
    let mut known = false;
    for n in 0..=bytes.len().min(10) {
        let part = length(&bytes[..n]);
        if part != Ok(None) {
            assert_eq!(part, whole, "{n} bytes of {bytes:?}");
            known = true;
        } else {
            assert!(!known, "known, and unknown again");
        }
    }
    if let Ok(Some((prefix, size))) = whole {
        assert!((1..=9).contains(&prefix) && (1..=IPROTO_ANSWER_BYTES).contains(&size));
    }
}

fn greeting(bytes: &[u8]) {
    let mut all = [b' '; GREETING_BYTES];
    let n = bytes.len().min(GREETING_BYTES);
    all[..n].copy_from_slice(&bytes[..n]);
    match Greeting::parse(&all) {
        Ok(g) => {
            let _ = g.older_than(2, 11);
        }
        Err(words) => assert!(super::is_one_line(&words)),
    }
}

/// An answer's data, and what the sources make of it.
fn answer(bytes: &[u8]) {
    let answer = Answer(bytes.to_vec());
    let sync = answer.sync();
    match answer.data() {
        Err(words) => assert!(super::is_one_line(&words)),
        Ok(Err(refusal)) => {
            assert!(sync.is_ok() && refusal.code < 0x8000 && refusal.text.chars().count() <= IPROTO_REFUSAL_CHARS)
        }
        Ok(Ok(value)) => sources(&value),
    }
}

fn sources(value: &Value<'_>) {
    let rules = Rules::default();
    let mut out = Builder::new(&rules);
    let first = value.items().first().unwrap_or(value);
    pico::derived(first, &mut out);
    boxed::write(first, &mut out);
    let mut sheet = Sheet::new(&mut out, Some("i1"));
    pico::runtime(first, &mut sheet);
    pico::raft(first, &mut sheet);
    pico::version(first, &mut sheet);
    pico::addresses(value.items(), &mut sheet);
    let columns = pico::Columns::of_format(first).unwrap_or_default();
    let rows: Vec<_> = value.items().iter().filter_map(|row| columns.read(row)).collect();
    pico::instances(&rows, &mut sheet);
    super::page::is_strict(out.finish().0);
}

/// Our requests are what the other side can read, whatever stands in them.
fn requests(text: &str) {
    let key = Some(Value::Str(text.as_bytes()));
    let select = Request::Select { space: 1, index: 2, limit: 3, key };
    let mut frames: Vec<Vec<u8>> = Vec::new();
    for request in [Request::Ping, Request::Call(text), Request::Eval(text), select] {
        let mut out = Vec::new();
        request.put(&mut out, 100);
        frames.push(out);
    }
    for method in [Method::ChapSha1, Method::Md5, Method::Ldap] {
        let mut out = Vec::new();
        put_auth(&mut out, 100, method, text, text, &[7; 20]);
        frames.push(out);
    }
    for frame in frames {
        assert_eq!(length(&frame), Ok(Some((5, frame.len() - 5))));
        let mut r = Reader::new(&frame[5..]);
        assert_eq!(r.value().expect("a header").at(1).and_then(Value::uint), Some(100));
        assert!(matches!(r.value(), Ok(Value::Map(_))) && r.rest().is_empty());
    }
}

/// The target.
pub fn check(input: &[u8]) {
    let mut dice = Dice(input);
    let first = dice.stretch();
    lengths(first);
    greeting(first);
    requests(&String::from_utf8_lossy(first));
    lengths(dice.0);
    answer(dice.0);
}
