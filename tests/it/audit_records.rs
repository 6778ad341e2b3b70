//! The rules for records: what is whole passes untouched; what is cut, glued, no JSON or too long arrives marked and byte
//! for byte recoverable; gaps are told exactly.

use crate::harness::http::unbase64;
use crate::harness::picodata::RECORD_BYTES;
use crate::harness::receiver::Doc;
use crate::harness::{free_port, wait, Den, Events, Page, Picodata, Receiver, Setup};
use serde_json::Value;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// Writes raw bytes to a helper with these options, to the end; what arrived.
fn through(args: &[&str], bytes: &[u8]) -> Vec<Doc> {
    let den = Den::new("records");
    let receiver = Receiver::start();
    let mut picodata = Setup::new(&den).url(&receiver.url()).args(args).picodata();
    picodata.write_raw(bytes).expect("a reader");
    assert_eq!(picodata.finish(LIMIT), 0, "stderr:\n{}", picodata.err());
    assert_eq!(receiver.errors(), Vec::<String>::new());
    receiver.docs()
}

/// The exact bytes of a record that was not delivered as it is.
fn raw(doc: &Doc) -> Vec<u8> {
    let ours = &doc.value["gostech"];
    match (ours["raw"].as_str(), ours["raw_base64"].as_str()) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(text)) => unbase64(text),
        _ => panic!("not exactly one of raw and raw_base64: {}", doc.raw),
    }
}

/// A number that may be written as one, as a string, or as the end of an event id.
fn number(value: &Value) -> u64 {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.rsplit('.').next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn every_event_of_a_real_instance_passes_untouched() {
    let log = include_str!("../data/picodata-25.5.7/audit.jsonl");
    let docs = through(&[], log.as_bytes());
    let delivered: Vec<&Doc> = docs.iter().filter(|d| d.value["title"] != "audit_gap").collect();
    assert_eq!(delivered.len(), log.lines().count());
    for (line, doc) in log.lines().zip(delivered) {
        let written: Value = serde_json::from_str(line).expect("a recorded event");
        for (key, value) in written.as_object().expect("an object") {
            assert_eq!(doc.value[key], *value, "{line}");
        }
    }
}

#[test]
fn numbers_nesting_and_unknown_fields_stay_as_they_are() {
    let line = r#"{"big":123456789012345678901234567890,"exact":0.10000000000000000000000001,"exp":1E+300,"id":"1.1.1","list":[1,{"a":null}],"message":"x\u0000\ud83d\ude00","neg":-0,"severity":"low","time":"2026-11-21T01:27:57.349+0300","title":"never_seen_before"}"#;
    let docs = through(&[], format!("{line}\n").as_bytes());
    for piece in [
        "\"big\":123456789012345678901234567890",
        "\"exact\":0.10000000000000000000000001",
        "\"exp\":1E+300",
        "\"neg\":-0",
    ] {
        assert!(docs[0].raw.contains(piece), "{piece} is gone: {}", docs[0].raw);
    }
    assert_eq!(docs[0].value["title"], "never_seen_before");
    assert_eq!(docs[0].value["list"], serde_json::json!([1, { "a": null }]));
    assert_eq!(docs[0].value["message"], "x\u{0}😀");
    assert_eq!(docs[0].value["@timestamp"], "2026-11-21T01:27:57.349+03:00");
}

#[test]
fn our_object_says_where_the_event_comes_from() {
    let line = r#"{"host":"theirs","id":"3.14.159","message":"m","severity":"low","time":"2026-11-21T01:27:57.349+0000","title":"t","url":"theirs"}"#;
    let docs = through(&["--cluster", "demo", "--instance", "i7"], format!("{line}\n").as_bytes());
    let event = docs.iter().find(|d| d.value["title"] == "t").expect("the event");
    let ours = &event.value["gostech"];
    assert_eq!((&ours["raft_id"], &ours["gen"], &ours["count"]), (&3.into(), &14.into(), &159.into()), "{ours}");
    assert_eq!((&ours["cluster"], &ours["instance"]), (&"demo".into(), &"i7".into()));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a host name");
    assert_eq!(ours["node"], host.trim());
    assert!(ours["read_at"].as_str().is_some_and(|t| t.starts_with("20") && t.contains('T')), "{ours}");
    assert!(!ours["id"].as_str().unwrap_or("").is_empty());
    let top: Vec<&str> = event.value.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(top, ["@timestamp", "gostech", "host", "id", "message", "severity", "time", "title", "url"]);
}

#[test]
fn the_document_id_depends_on_cluster_instance_and_line_alone() {
    let a = "{\"id\":\"0.0.1\",\"message\":\"a\",\"severity\":\"high\",\"time\":\"2026-11-21T01:27:57.349+0000\",\"title\":\"t\"}\n";
    let b = a.replace("\"a\"", "\"b\"");
    let id = |args: &[&str], line: &str| through(args, line.as_bytes())[0].id.clone();
    let first = id(&["--cluster", "c", "--instance", "i"], a);
    assert_eq!(first, id(&["--cluster", "c", "--instance", "i"], a));
    assert_ne!(first, id(&["--cluster", "d", "--instance", "i"], a));
    assert_ne!(first, id(&["--cluster", "c", "--instance", "j"], a));
    assert_ne!(first, id(&["--cluster", "c", "--instance", "i"], &b));
}

#[test]
fn a_bad_or_missing_time_gives_the_time_of_reading() {
    let lines = "{\"id\":\"1.1.1\",\"message\":\"m\",\"severity\":\"low\",\"time\":\"yesterday\",\"title\":\"t\"}\n{\"id\":\"1.1.2\",\"title\":\"t\"}\n{\"id\":\"1.1.3\",\"time\":17,\"title\":\"t\"}\n";
    for doc in through(&[], lines.as_bytes()) {
        assert_eq!(doc.value["@timestamp"], doc.value["gostech"]["read_at"], "{}", doc.raw);
    }
}

#[test]
fn cut_and_glued_records_are_separated() {
    let mut e = Events::new(1, 1);
    let records = [
        e.event(),
        e.event_long(20_000),
        e.event(),
        e.event_long(17_000),
        e.event_long(40_000),
        e.event_of(RECORD_BYTES),
        e.event(),
        e.event_of(RECORD_BYTES - 1),
        e.event(),
    ];
    let stream: Vec<u8> = records.iter().flat_map(|r| crate::harness::picodata::on_the_pipe(r.as_bytes())).collect();
    let docs = through(&[], &stream);
    assert_eq!(docs.len(), records.len(), "{:?}", docs.iter().map(|d| &d.value["id"]).collect::<Vec<_>>());
    for (i, (record, doc)) in records.iter().zip(&docs).enumerate() {
        assert_eq!(doc.value["id"], format!("1.1.{}", i + 1));
        if record.len() <= RECORD_BYTES {
            let written: Value = serde_json::from_str(record).expect("JSON");
            assert_eq!(doc.value["message"], written["message"]);
            assert!(doc.value["gostech"]["truncated"].is_null(), "{i}: a whole record is not truncated");
        } else {
            assert_eq!(doc.value["gostech"]["truncated"], true, "{i}");
            assert_eq!(doc.value["title"], "truncated", "{i}: its own title stands after the cut");
            assert_eq!(doc.value["severity"], "high", "{i}");
            assert_eq!(doc.value["initiator"], "admin", "{i}: a readable field");
            assert_eq!(raw(doc), &record.as_bytes()[..RECORD_BYTES], "{i}");
        }
    }
}

#[test]
fn a_cut_record_with_a_readable_title_keeps_it() {
    let head = r#"{"id":"1.1.1","severity":"low","title":"dml","zzz":""#;
    let record = format!("{head}{}\"}}", "x".repeat(20_000));
    let docs = through(&[], &crate::harness::picodata::on_the_pipe(record.as_bytes()));
    assert_eq!(
        (&docs[0].value["title"], &docs[0].value["severity"]),
        (&"dml".into(), &"low".into()),
        "{}",
        &docs[0].raw[..300]
    );
    assert_eq!(docs[0].value["gostech"]["truncated"], true);
}

#[test]
fn a_cut_within_a_letter_is_recoverable_from_base64() {
    for shift in 0..2 {
        let record = format!(r#"{{"id":"1.1.1","message":"{}{}"}}"#, "x".repeat(shift), "ы".repeat(10_000));
        let bytes = crate::harness::picodata::on_the_pipe(record.as_bytes());
        let docs = through(&[], &bytes);
        assert_eq!(docs.len(), 1);
        assert_eq!(raw(&docs[0]), bytes, "shift {shift}");
        assert_eq!(docs[0].value["gostech"]["raw_base64"].is_string(), std::str::from_utf8(&bytes).is_err());
        assert_eq!(docs[0].value["id"], "1.1.1");
    }
}

#[test]
fn a_cut_record_before_a_silence_does_not_wait_for_the_next() {
    let den = Den::new("silence");
    let receiver = Receiver::start();
    let mut picodata = Setup::new(&den).url(&receiver.url()).picodata();
    let mut events = Events::new(1, 1);
    picodata.write_raw(&crate::harness::picodata::on_the_pipe(events.event_long(30_000).as_bytes())).expect("a reader");
    receiver.wait_count(1, Duration::from_secs(15));
    assert_eq!(receiver.docs()[0].value["gostech"]["truncated"], true);
    let next = events.event();
    picodata.write_raw(format!("{next}\n").as_bytes()).expect("a reader");
    assert_eq!(picodata.finish(LIMIT), 0);
    assert_eq!(receiver.docs()[1].value["id"], "1.1.2");
}

/// Bytes written in small pieces with pauses: the end of a write is not the end of a record.
#[test]
fn a_record_may_come_in_pieces() {
    let den = Den::new("pieces");
    let receiver = Receiver::start();
    let mut picodata = Setup::new(&den).url(&receiver.url()).picodata();
    let record = Events::new(1, 1).event();
    let bytes = format!("{record}\n");
    for piece in bytes.as_bytes().chunks(60) {
        picodata.write_raw(piece).expect("a reader");
        std::thread::sleep(Duration::from_millis(400));
    }
    picodata.ledger.note(&record);
    assert_eq!(picodata.finish(LIMIT), 0);
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()));
}

#[test]
fn what_is_no_event_is_wrapped_byte_for_byte() {
    let lines: Vec<&[u8]> = vec![
        b"plain words from the core",
        b"{\"broken\":",
        b"[1,2]",
        b"\"a string\"",
        b"42",
        b"{\"id\":\"1.1.1\",\"gostech\":\"theirs\"}",
        b"{\"@timestamp\":\"theirs\",\"id\":\"1.1.2\"}",
        b"{\"a\":1}{\"b\":2}",
        b"\xff\xfe not utf-8",
        b"nul \0 inside",
        b"  spaces around  ",
        b"carriage return\r",
        "русские слова".as_bytes(),
    ];
    let stream: Vec<u8> = lines.iter().flat_map(|l| [l, &b"\n"[..]].concat()).collect();
    let docs = through(&[], &stream);
    assert_eq!(docs.len(), lines.len(), "{:?}", docs.iter().map(|d| &d.raw).collect::<Vec<_>>());
    for (line, doc) in lines.iter().zip(&docs) {
        assert_eq!(
            (&doc.value["title"], &doc.value["severity"]),
            (&"unparsed".into(), &"medium".into()),
            "{}",
            doc.raw
        );
        assert!(doc.value["message"].is_string() && doc.value["@timestamp"].is_string(), "{}", doc.raw);
        assert_eq!(raw(doc), *line, "{}", doc.raw);
        assert_eq!(doc.value["gostech"]["raw_base64"].is_string(), std::str::from_utf8(line).is_err());
    }
    let ids: std::collections::HashSet<&str> = docs.iter().map(|d| d.id.as_str()).collect();
    assert_eq!(ids.len(), lines.len(), "each a document of its own");
}

#[test]
fn an_empty_line_is_nothing() {
    let docs = through(&[], b"\n\n{\"id\":\"1.1.1\",\"title\":\"t\"}\n\n\n{\"id\":\"1.1.2\",\"title\":\"t\"}\n\n");
    assert_eq!(docs.len(), 2);
}

#[test]
fn a_line_over_the_limit_comes_in_pieces() {
    let object = Events::new(1, 1).event_long(10_000);
    let words = "no json at all, ".repeat(1000);
    let letters = "ы".repeat(5000);
    for line in [&object, &words, &letters] {
        let docs = through(&["--event-max", "4096"], format!("{line}\nshort\n").as_bytes());
        let pieces: Vec<&Doc> = docs.iter().filter(|d| !d.value["gostech"]["part"].is_null()).collect();
        assert!(
            pieces.len() >= 2 && pieces.len() == docs.len() - 1,
            "{} pieces of {} documents",
            pieces.len(),
            docs.len()
        );
        for (i, piece) in pieces.iter().enumerate() {
            assert_eq!(number(&piece.value["gostech"]["part"]), i as u64 + 1);
            assert_eq!(number(&piece.value["gostech"]["parts"]), pieces.len() as u64);
        }
        let whole: Vec<u8> = pieces.iter().flat_map(|p| raw(p)).collect();
        assert_eq!(String::from_utf8_lossy(&whole), **line);
    }
}

fn gaps(docs: &[Doc]) -> Vec<(u64, u64, u64, String)> {
    let of = |d: &Doc| {
        let v = &d.value;
        (number(&v["from"]), number(&v["to"]), number(&v["missing"]), v["reason"].as_str().unwrap_or("").to_owned())
    };
    docs.iter().filter(|d| d.value["title"] == "audit_gap").map(of).collect()
}

#[test]
fn gaps_are_delivered_as_events_of_their_own() {
    let mut e = Events::new(1, 1);
    let mut stream = String::new();
    for skip in [0, 0, 3, 0, 1] {
        e.skip(skip);
        stream += &format!("{}\n", e.event());
    }
    let mut late = Events::new(2, 5);
    late.skip(4);
    stream += &format!("{}\n", late.event());
    let docs = through(&[], stream.as_bytes());
    let lost = |from, to, missing| (from, to, missing, "lost".to_owned());
    assert_eq!(gaps(&docs), [lost(3, 5, 3), lost(8, 8, 1), lost(1, 4, 4)]);
    let gap = docs.iter().find(|d| d.value["title"] == "audit_gap").expect("a gap");
    assert_eq!(gap.value["severity"], "high");
    let again = through(&[], stream.as_bytes());
    assert_eq!(again.iter().map(|d| &d.id).collect::<Vec<_>>(), docs.iter().map(|d| &d.id).collect::<Vec<_>>());
}

#[test]
fn a_gap_across_a_restart_is_seen_and_a_continuation_is_none() {
    let den = Den::new("gap-restart");
    let receiver = Receiver::start();
    let setup = Setup::new(&den).url(&receiver.url());
    let mut e = Events::new(1, 1);
    let run = |e: &mut Events, n: usize| {
        let mut picodata: Picodata = setup.picodata();
        for _ in 0..n {
            picodata.write(&e.event()).expect("a reader");
        }
        assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    };
    run(&mut e, 5);
    run(&mut e, 5);
    assert_eq!(gaps(&receiver.docs()), []);
    e.skip(2);
    run(&mut e, 5);
    assert_eq!(gaps(&receiver.docs()), [(11, 12, 2, "lost".to_owned())]);
    assert_eq!(receiver.count(), 16);
}

#[test]
fn repeats_and_disorder_are_counted_and_lose_nothing() {
    let den = Den::new("repeats");
    let receiver = Receiver::start();
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut picodata = Setup::new(&den).url(&receiver.url()).args(&["--metrics-addr", &address]).picodata();
    let mut e = Events::new(1, 1);
    let records: Vec<String> = (0..6).map(|_| e.event()).collect();
    for at in [0, 1, 2, 2, 4, 3, 5] {
        picodata.write_raw(format!("{}\n", records[at]).as_bytes()).expect("a reader");
    }
    wait("six events", LIMIT, || (1..=6).all(|n| receiver.docs().iter().any(|d| d.value["id"] == format!("1.1.{n}"))));
    wait("a counted repeat", LIMIT, || Page::scrape(port).must("gostech_audit_repeats_total", &[]) >= 1.0);
    Page::scrape(port).assert_identity("r1");
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}
