//! A record that kills whoever parses it: after three deaths at its place it is delivered as mere bytes, and only it.

use super::after::LIMIT;
use crate::harness::{procs, Den, Events, Receiver, Setup};
use crate::lab::Row;
use std::time::Instant;

#[test]
fn a_record_that_kills_workers_is_delivered_as_bytes_and_no_other() {
    if !gostech::sys::crash::HERE {
        return crate::lab::left_out("a poisoned record: this is a build without debug assertions");
    }
    let begin = Instant::now();
    let den = Den::new("poison");
    let receiver = Receiver::start();
    let setup = Setup::new(&den).debug().exec().url(&receiver.url()).env("GOSTECH_POISON", "it is poisoned");
    let mut picodata = setup.args(&["--drain", "30s"]).picodata();
    let mut events = Events::new(1, 1);
    let mut poisoned = Vec::new();
    // The first one comes alone, the second in the middle of others that wait for the same worker.
    for burst in [0, 200] {
        picodata.stream((0..100 + burst).map(|_| events.event()), 100_000).expect("the pipe never breaks");
        let record = events.event_saying("it is poisoned");
        picodata.write_raw(format!("{record}\n").as_bytes()).expect("the pipe never breaks");
        poisoned.push(record);
        picodata.stream((0..50).map(|_| events.event()), 100_000).expect("the pipe never breaks");
        receiver.wait_count(picodata.ledger.len() + poisoned.len(), LIMIT);
    }
    // A worker that finds it in the spool does not parse it there either.
    assert!(procs::kill9(picodata.wait_debug_worker()));
    picodata.stream((0..50).map(|_| events.event()), 100_000).expect("the pipe never breaks");
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let (own, docs): (Vec<_>, Vec<_>) =
        receiver.docs().into_iter().partition(|d| ["audit_gap", "unparsed"].iter().any(|t| d.value["title"] == *t));
    assert_eq!(picodata.ledger.compare(&docs), Ok(()), "{}", picodata.err());
    let raw: Vec<&str> = own.iter().filter_map(|d| d.value["gostech"]["raw"].as_str()).collect();
    assert_eq!(raw, poisoned, "{}", picodata.err());
    // Nobody could read their ids: for the count they never came.
    let told: u64 = own.iter().filter_map(|d| d.value["missing"].as_u64()).sum();
    assert_eq!(told, 2, "{own:?}");
    let deaths = picodata.err().matches("was ended by signal 6").count() as u64;
    assert!((4..=8).contains(&deaths), "{deaths} deaths\n{}", picodata.err());
    Row {
        class: "a record that kills the parser",
        injected: deaths,
        survived: deaths,
        records: receiver.count() as u64,
        lost: 0,
        repeated: receiver.repeats(),
        begin,
    }
    .say();
}
