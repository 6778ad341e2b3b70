//! The audit helper on a rough road: whatever the network does between it and its receiver, every event arrives, in order,
//! and comes again only where an answer may have been lost.
//!
//! What is not promised, and so not done here: a byte of a plain HTTP request that changes on the way (TCP's checksum
//! stands against chance, nothing against malice). The answers are corrupted in plain too; under TLS everything is.

use super::Row;
use crate::harness::events::Chance;
use crate::harness::road::{seed, Fault, Road, Way};
use crate::harness::tls::Certs;
use crate::harness::{free_port, long, wait, Den, Events, Page, Picodata, Receiver, Setup};
use std::time::{Duration, Instant};

/// Until when a fault may wait: requests are up to 40 KB here, answers 40 bytes, handshakes 2 KB.
fn place(chance: &mut Chance, way: Way, tls: bool) -> usize {
    let most = match (way, tls) {
        (Way::To, _) => 90_000,
        (Way::Back, false) => 130,
        (Way::Back, true) => 3000,
    };
    // Half of them at once: handshakes, heads and status lines are where it hurts.
    let most = if chance.within(0, 1) == 0 { most / 30 } else { most };
    chance.within(0, most) as usize
}

fn any(chance: &mut Chance, tls: bool) -> Fault {
    let way = if chance.within(0, 1) == 0 { Way::To } else { Way::Back };
    let at = place(chance, way, tls);
    let mask = 1 << chance.within(0, 7);
    match chance.within(0, 19) {
        0..=3 => Fault::Cut(way, at),
        4..=7 => Fault::Reset(way, at),
        8..=10 => Fault::Half(way, at),
        11 => Fault::Swallow(way, at),
        12 => Fault::Slow(way, at, chance.within(20, 2000) as usize),
        13..=14 => Fault::Delay(Duration::from_millis(chance.within(1, 60))),
        15 => Fault::Refuse,
        _ if tls => Fault::Corrupt(way, at, mask),
        _ => Fault::Corrupt(Way::Back, place(chance, Way::Back, tls), mask),
    }
}

fn plain(chance: &mut Chance) -> Fault {
    any(chance, false)
}

fn secret(chance: &mut Chance) -> Fault {
    any(chance, true)
}

/// Events and faults, at least so many of each, the weather changing all the time.
fn stream(picodata: &mut Picodata, road: &Road, menu: fn(&mut Chance) -> Fault, events: usize, faults: usize) {
    let mut source = Events::new(1, 1);
    let begin = Instant::now();
    for portion in 0.. {
        if picodata.ledger.len() >= events && road.bitten().len() >= faults {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(3600), "{} faults in an hour", road.bitten().len());
        match portion % 40 {
            0 => road.foul(menu, 60),
            32 => road.fair(),
            // Whoever got through has to set out again: the next one may meet something.
            n if n % 6 == 5 => road.clear(),
            _ => {}
        }
        // Enough is enough: from then on only so much that every connection has something to carry.
        for _ in 0..if picodata.ledger.len() < events { 25 } else { 2 } {
            picodata.write(&source.event()).expect("the pipe never breaks");
        }
        std::thread::sleep(Duration::from_millis(25));
    }
}

fn travel(class: &'static str, name: &str, receiver: &Receiver, menu: fn(&mut Chance) -> Fault, more: &[&str]) {
    let begin = Instant::now();
    let (events, faults) = if long() { (50_000, 1000) } else { (4000, 30) };
    let den = Den::new(name);
    let road = Road::to(receiver.port(), seed(1));
    let url = receiver.url().replace(&format!(":{}/", receiver.port()), &format!(":{}/", road.port()));
    let patience =
        ["--connect-timeout", "2s", "--send-timeout", "2s", "--first-byte-timeout", "2s", "--total-timeout", "4s"];
    let setup =
        Setup::new(&den).url(&url).args(&["--batch-events", "100", "--drain", "90s"]).args(&patience).args(more);
    let mut picodata = setup.picodata();
    stream(&mut picodata, &road, menu, events, faults);
    road.fair();
    let written = picodata.ledger.len();
    wait("all is delivered", Duration::from_secs(120), || receiver.count() >= written);
    assert_eq!(picodata.finish(Duration::from_secs(120)), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
    // Whoever was answered does not say it again. What a slow road still carries may arrive after what was said anew, so the
    // order of arrival tells nothing.
    for (id, from) in receiver.repeated() {
        let answered: Vec<u16> = from.iter().copied().filter(|port| !road.may_have_lost_an_answer(*port)).collect();
        let about: String = from.iter().map(|port| road.about(*port)).collect();
        assert!(answered.len() <= 1, "{id} came again without need, {about}");
    }
    assert!(
        picodata.longest < Duration::from_secs(5),
        "a write of the database was blocked for {:?}",
        picodata.longest
    );
    let done = road.bitten().len() as u64;
    let repeated = receiver.repeats();
    Row { class, injected: done, survived: done, records: written as u64, lost: 0, repeated, begin }.say();
}

#[test]
fn plain_http_on_a_rough_road_loses_nothing() {
    travel("network: audit log over HTTP", "road", &Receiver::start(), plain, &[]);
}

#[test]
fn https_on_a_rough_road_loses_nothing_and_nothing_changes() {
    let den = Den::new("road-tls-certs");
    let certs = Certs::new();
    let [ca, ..] = certs.put(&den, "road");
    let receiver = Receiver::start_tls(certs.server_config());
    travel("network: audit log over HTTPS", "road-tls", &receiver, secret, &["--ca-certificate", &ca]);
}

/// A server, or a box between, that ends an idle connection in the very moment in which the next request is sent: no failure
/// is counted, nothing waits, nothing comes twice.
#[test]
fn a_kept_connection_that_ends_under_a_request_costs_nothing() {
    let begin = Instant::now();
    let mut faults = 0;
    for fault in [Fault::Cut(Way::To, 1100), Fault::Reset(Way::To, 1100), Fault::Half(Way::To, 1100)] {
        let den = Den::new("road-idle");
        let receiver = Receiver::start();
        let road = Road::to(receiver.port(), seed(1));
        road.foul(move |_| fault, 100);
        let page = free_port();
        let (url, addr) = (format!("http://127.0.0.1:{}/", road.port()), format!("127.0.0.1:{page}"));
        let mut picodata = Setup::new(&den).url(&url).args(&["--metrics-addr", &addr]).picodata();
        let mut events = Events::new(1, 1);
        for n in 1..=40 {
            // Head and body are about 900 bytes: the first request of a connection passes, the second does not.
            picodata.write(&events.event_of(300)).expect("the pipe never breaks");
            receiver.wait_count(n, Duration::from_secs(20));
        }
        let first = receiver.visits()[0].request.clone();
        let bytes = first.body.len() + first.headers.iter().map(|(n, v)| n.len() + v.len() + 4).sum::<usize>() + 20;
        assert!((600..1100).contains(&bytes), "the first request has {bytes} bytes: the fault meets the wrong one");
        assert!(road.bitten().len() >= 38, "{:?}", road.bitten());
        faults += road.bitten().len() as u64;
        let failed = Page::scrape(page).sum("gostech_audit_retries_total", &[]).unwrap_or(0.0);
        assert_eq!((failed, receiver.repeats()), (0.0, 0), "{fault:?}: {}", picodata.err());
        road.fair();
        assert_eq!(picodata.finish(Duration::from_secs(60)), 0, "{}", picodata.err());
        assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()));
    }
    let class = "network: kept connections that end";
    Row { class, injected: faults, survived: faults, records: 120, lost: 0, repeated: 0, begin }.say();
}
