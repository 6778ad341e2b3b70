//! The commands that look into a spool from outside (verify, export, replay, forget), and a spool that was damaged.

use crate::harness::setup::{files_below, text};
use crate::harness::{wait, Den, Events, Ledger, Receiver, Setup};
use std::process::Output;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

fn spooled(den: &Den, n: usize) -> (Ledger, Receiver, Setup) {
    let receiver = Receiver::start();
    receiver.down();
    let setup = Setup::new(den).url(&receiver.url()).args(&["--instance", "i1"]);
    let mut picodata = setup.clone().args(&["--drain", "100ms"]).picodata();
    let mut events = Events::new(1, 1);
    for _ in 0..n {
        picodata.write(&events.event()).expect("a reader");
    }
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    (picodata.ledger.clone(), receiver, setup)
}

fn spool_tool(den: &Den, setup: &Setup, args: &[&str]) -> Output {
    setup.tool(&[args, &["--spool-dir", &den.file("spool"), "--no-config"]].concat())
}

/// Turns one byte of the record that holds the text.
fn damage(den: &Den, needle: &str) {
    for (path, mut bytes) in files_below(&den.path().join("spool")) {
        if let Some(at) = bytes.windows(needle.len()).position(|w| w == needle.as_bytes()) {
            bytes[at] ^= 0x40;
            std::fs::write(&path, bytes).expect("the segment");
            return;
        }
    }
    panic!("no file of the spool holds {needle}");
}

#[test]
fn verify_says_clean_and_not_clean() {
    let den = Den::new("verify");
    let (_, _, setup) = spooled(&den, 200);
    let clean = spool_tool(&den, &setup, &["spool", "verify"]);
    assert_eq!(clean.status.code(), Some(0), "{}{}", text(&clean.stdout), text(&clean.stderr));
    damage(&den, "1.1.100\"");
    let broken = spool_tool(&den, &setup, &["spool", "verify"]);
    assert_eq!(broken.status.code(), Some(1), "{}{}", text(&broken.stdout), text(&broken.stderr));
    let usage = spool_tool(&den, &setup, &["spool", "verify", "--no-such-option"]);
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn damage_is_set_aside_told_and_skipped() {
    let den = Den::new("damage");
    let (ledger, receiver, setup) = spooled(&den, 200);
    damage(&den, "1.1.100\"");
    receiver.up();
    let mut picodata = setup.picodata();
    receiver.wait_count(199, LIMIT);
    let code = picodata.finish(LIMIT);
    let missing = ledger.missing(&receiver.docs());
    assert_eq!(missing, ["1.1.100"], "{}", picodata.err());
    let gap = receiver.docs().into_iter().find(|d| d.value["title"] == "audit_gap");
    assert_eq!(gap.expect("a gap").value["reason"], "damaged");
    assert_eq!(code, 1, "something was lost: {}", picodata.err());
    let aside = files_below(den.path()).into_iter().any(|(p, _)| p.to_string_lossy().contains(".bad"));
    assert!(aside, "the bytes are set aside");
}

#[test]
fn a_torn_tail_is_cut_and_the_rest_delivered() {
    let den = Den::new("torn");
    let (ledger, receiver, setup) = spooled(&den, 100);
    let segment = files_below(&den.path().join("spool"))
        .into_iter()
        .find(|(_, bytes)| text(bytes).contains("1.1.100\""))
        .expect("a segment")
        .0;
    let file = std::fs::OpenOptions::new().append(true).open(segment).expect("the segment");
    std::io::Write::write_all(&mut &file, &[0x17; 37]).expect("garbage at the tail");
    receiver.up();
    let mut picodata = setup.picodata();
    picodata
        .write(&{
            let mut later = Events::new(1, 2);
            later.event()
        })
        .expect("a reader");
    receiver.wait_count(101, LIMIT);
    picodata.finish(LIMIT);
    assert_eq!(ledger.missing(&receiver.docs()), Vec::<String>::new());
}

#[test]
fn export_gives_every_record_back() {
    let den = Den::new("export");
    let (ledger, _, setup) = spooled(&den, 100);
    let out = spool_tool(&den, &setup, &["spool", "export"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let exported = text(&out.stdout);
    for record in ledger.records() {
        let value: serde_json::Value = serde_json::from_str(record).expect("JSON");
        let id = format!("\"id\":\"{}\"", value["id"].as_str().unwrap_or(""));
        assert!(exported.contains(&id), "{id} is not exported");
    }
    assert!(exported.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()), "a line a record, JSON");
}

#[test]
fn replay_sends_again_what_was_acknowledged() {
    let den = Den::new("replay");
    let receiver = Receiver::start();
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--instance", "i1"]);
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.stream((0..100).map(|_| events.event()), 10_000).expect("a reader");
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(receiver.repeats(), 0);
    let out = spool_tool(&den, &setup, &["spool", "replay", "--from", "1.1.20", "--to", "1.1.29"]);
    assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
    let mut next = setup.picodata();
    wait("ten repeats under the same ids", LIMIT, || receiver.repeats() >= 10);
    assert_eq!(next.finish(LIMIT), 0, "{}", next.err());
    assert_eq!((receiver.count(), receiver.repeats()), (100, 10));
}

#[test]
fn forget_unpins_what_nobody_will_take() {
    let den = Den::new("forget");
    let (a, b) = (Receiver::start(), Receiver::start());
    b.down();
    let both =
        Setup::new(&den).url(&a.url()).url(&b.url()).args(&["--name", "gone", "--drain", "200ms", "--retain", "0s"]);
    let mut first = both.picodata();
    let mut events = Events::new(1, 1);
    first.stream((0..50).map(|_| events.event()), 10_000).expect("a reader");
    a.wait_count(50, LIMIT);
    assert_eq!(first.finish(LIMIT), 0);
    let mut second = Setup::new(&den).url(&a.url()).args(&["--retain", "0s"]).picodata();
    let mut later = Events::new(1, 2);
    second.write(&later.event()).expect("a reader");
    a.wait_count(51, LIMIT);
    assert_eq!(second.finish(LIMIT), 0);
    let warned = second.err();
    assert!(warned.contains("gone"), "a cursor without a receiver is warned about: {warned}");
    let out = spool_tool(&den, &both, &["spool", "forget", "gone"]);
    assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
    let mut third = Setup::new(&den).url(&a.url()).args(&["--retain", "0s"]).picodata();
    third.write(&later.event()).expect("a reader");
    a.wait_count(52, LIMIT);
    assert_eq!(third.finish(LIMIT), 0);
    let news = third.err().split_off(warned.len());
    assert!(!news.contains("gone"), "what is forgotten is not warned about: {news}");
}
