//! A record that kills whoever parses it, or writes it into a body: after three deaths at its place it is delivered as mere
//! bytes, and only it. A receiver that is death to its sender holds up nobody else.

use super::after::LIMIT;

use crate::harness::setup::{holds, wait_spooled};
use crate::harness::{free_port, procs, Den, Events, Page, Receiver, Setup};
use crate::lab::Row;
use std::time::{Duration, Instant};

/// The line of the table.
fn say(class: &'static str, deaths: u64, receiver: &Receiver, begin: Instant) {
    let (injected, survived, records) = (deaths, deaths, receiver.count() as u64);
    Row { class, injected, survived, records, lost: 0, repeated: receiver.repeats(), begin }.say();
}

/// How many workers have died, by the page: the log tells a cause once.
fn deaths_told(port: u16) -> u64 {
    Page::scrape(port).must("gostech_audit_worker_restarts_total", &[]) as u64
}

#[test]
fn a_record_that_kills_workers_is_delivered_as_bytes_and_no_other() {
    if !gostech::sys::crash::HERE {
        return crate::lab::left_out("a poisoned record: this is a build without debug assertions");
    }
    let begin = Instant::now();
    let den = Den::new("poison");
    let receiver = Receiver::start();
    let setup = Setup::new(&den).debug().exec().url(&receiver.url()).env("GOSTECH_POISON", "it is poisoned");
    let port = free_port();
    let page = format!("127.0.0.1:{port}");
    let mut picodata = setup.args(&["--drain", "30s", "--metrics-addr", &page]).picodata();
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
    let deaths = deaths_told(port);
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
    assert!(picodata.err().contains("was ended by signal 6"), "{}", picodata.err());
    assert!((4..=8).contains(&deaths), "{deaths} deaths\n{}", picodata.err());
    say("a record that kills the parser", deaths, &receiver, begin);
}

#[test]
fn a_record_that_kills_senders_is_delivered_as_bytes_and_no_other() {
    if !gostech::sys::crash::HERE {
        return crate::lab::left_out("a record that kills senders: this is a build without debug assertions");
    }
    let begin = Instant::now();
    let den = Den::new("poison-sender");
    let receiver = Receiver::start();
    let setup = Setup::new(&den).debug().exec().url(&receiver.url()).env("GOSTECH_POISON_SENDER", "it is poisoned");
    let port = free_port();
    let page = format!("127.0.0.1:{port}");
    let mut picodata = setup.args(&["--drain", "30s", "--metrics-addr", &page]).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 100, 100_000);
    // Two in one batch: who has passed the first one does not forget it over the second.
    let poisoned: Vec<String> = (0..2).map(|_| events.event_saying("it is poisoned")).collect();
    picodata.stream(poisoned.iter().cloned(), 100_000).expect("the pipe never breaks");
    picodata.events(&mut events, 100, 100_000);
    receiver.wait_count(picodata.ledger.len(), LIMIT);
    let deaths = deaths_told(port);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let (bare, docs): (Vec<_>, Vec<_>) = receiver.docs().into_iter().partition(|d| d.value["title"] == "unparsed");
    let raw: Vec<&str> = bare.iter().filter_map(|d| d.value["gostech"]["raw"].as_str()).collect();
    assert_eq!(raw, poisoned, "{}", picodata.err());
    // Read it was: its id is known, nothing is told as missing.
    assert!(bare.iter().all(|d| d.value["gostech"]["count"].is_u64()), "{bare:?}");
    assert_eq!((docs.len(), picodata.ledger.len()), (200, 202), "{}", picodata.err());
    // The log tells a cause once: both records are told by what was delivered.
    assert!(picodata.err().contains("workers have died of writing record"), "{}", picodata.err());
    assert!(picodata.err().contains("was ended by signal 6"), "{}", picodata.err());
    assert!((5..=8).contains(&deaths), "{deaths} deaths\n{}", picodata.err());
    say("a record that kills senders", deaths, &receiver, begin);
}

#[test]
fn a_receiver_that_is_death_to_its_sender_holds_up_nobody_else() {
    if !gostech::sys::crash::HERE {
        return crate::lab::left_out("a deadly receiver: this is a build without debug assertions");
    }
    let den = Den::new("poison-answer");
    let (deadly, well) = (Receiver::start(), Receiver::start());
    // What it sends holds the poison; the other one, by another format, does not hold this text.
    let setup = Setup::new(&den).debug().exec().env("GOSTECH_POISON_ANSWER", "\"module\":\"picodata\"");
    let setup = setup.url(&deadly.url()).args(&["--format", "gostech"]).url(&well.url()).args(&["--drain", "2s"]);
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 3000, 1000);
    well.wait_count(3000, LIMIT);
    assert!(
        picodata.longest < Duration::from_secs(1),
        "the database waited {:?}\n{}",
        picodata.longest,
        picodata.err()
    );
    assert_eq!(deadly.count(), 0);
    assert_eq!(picodata.finish(LIMIT), 0, "all of it is kept for the first\n{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&well.docs()), Ok(()), "{}", picodata.err());
    let err = picodata.err();
    assert!(err.contains("workers have died in the delivery to it") && err.contains("events are left"), "{err}");
}

#[test]
fn a_spool_that_kills_who_opens_it_is_left_for_another() {
    if !gostech::sys::crash::HERE {
        return crate::lab::left_out("a deadly spool: this is a build without debug assertions");
    }
    let den = Den::new("poison-spool");
    let receiver = Receiver::start();
    receiver.down();
    let setup = Setup::new(&den).debug().exec().url(&receiver.url()).args(&["--instance", "i1"]);
    let mut first = setup.clone().picodata();
    let mut events = Events::new(1, 1);
    first.stream((0..20).map(|_| events.event()), 10_000).expect("a reader");
    first.write(&events.event_saying("it is poisoned")).expect("a reader");
    wait_spooled(&den.path().join("spool"), "it is poisoned");
    first.kill9_all();
    // Recovery reads all of it again.
    let home = den.path().join("spool").join("i1");
    let _ = std::fs::remove_file(home.join("state"));
    receiver.up();
    let mut second = setup.env("GOSTECH_POISON", "it is poisoned").picodata();
    let mut later = Events::new(1, 2);
    second.stream((0..3000).map(|_| later.event()), 1000).expect("the pipe never breaks");
    receiver.wait_count(3000, LIMIT);
    assert!(second.longest < Duration::from_secs(1), "the database waited {:?}\n{}", second.longest, second.err());
    assert_eq!(second.ledger.missing(&receiver.docs()), Vec::<String>::new());
    assert!(holds(&home, "it is poisoned"), "what is there stays there");
    let err = second.err();
    assert!(err.contains("workers have died of opening it"), "{err}");
    assert!(err.matches("was ended by signal 6").count() < 8, "{err}");
}
