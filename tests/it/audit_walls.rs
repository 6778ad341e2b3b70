//! What a stranger writes must not stop delivery: a wall before the receiver that refuses the text of one event in words
//! that blame nobody. And a receiver that refuses everything in the same words condemns nothing.
//!
//! One test for all answers at once, each a receiver of one helper: the proof takes three minutes by design.

use crate::harness::setup::{files_below, text};
use crate::harness::{wait, Den, Events, Mode, Receiver, Road, Setup};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(420);

/// The lines of a quarantine below the den.
fn quarantined(den: &Den, name: &str) -> Vec<String> {
    let file = format!("quarantine-{name}.jsonl");
    let files = files_below(den.path()).into_iter().filter(|(p, _)| p.file_name().is_some_and(|n| n == file.as_str()));
    files.flat_map(|(_, bytes)| text(&bytes).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn a_text_that_a_wall_refuses_is_set_aside_and_one_that_refuses_everything_keeps_all() {
    let den = Den::new("walls");
    let marker = || "<script>".to_string();
    let modes = [
        Mode::Marker(403, marker()),
        Mode::Marker(404, marker()),
        Mode::Marker(415, marker()),
        Mode::Marker(500, marker()),
        Mode::Marker(502, marker()),
        Mode::Cutting(marker()),
    ];
    let walled: Vec<Receiver> = modes.iter().map(|_| Receiver::start()).collect();
    walled.iter().zip(&modes).for_each(|(r, mode)| r.set(mode.clone()));
    let wrong = Receiver::start();
    wrong.set(Mode::Refusing(403, None));
    let mut setup = Setup::new(&den).url(&walled[0].url());
    for receiver in walled[1..].iter().chain([&wrong]) {
        setup = setup.url(&receiver.url());
    }
    let mut picodata = setup.args(&["--linger", "300ms", "--drain", "2s"]).picodata();
    let mut events = Events::new(1, 1);
    for i in 0..100 {
        if i == 41 {
            let record = events.event_saying("<script>");
            picodata.write_raw(format!("{record}\n").as_bytes()).expect("a reader");
        } else {
            picodata.write(&events.event()).expect("a reader");
        }
    }
    let begin = Instant::now();
    for (receiver, mode) in walled.iter().zip(&modes) {
        let so = crate::harness::den::wait_for(LIMIT.saturating_sub(begin.elapsed()), || receiver.count() >= 99);
        let seen = (receiver.count(), receiver.visits().len());
        assert!(so, "{mode:?}: {seen:?} documents and requests\n{}", picodata.err());
    }
    for i in 0..walled.len() {
        let name = format!("r{}", i + 1);
        wait("the bad one in the quarantine", Duration::from_secs(60), || quarantined(&den, &name).len() == 1);
        assert_eq!(picodata.ledger.compare(&walled[i].docs()), Ok(()), "{:?}", modes[i]);
    }
    println!("walls: 99 of 100 delivered and one set aside by {} receivers in {:?}", walled.len(), begin.elapsed());
    assert_eq!(quarantined(&den, "r7"), Vec::<String>::new(), "it refuses everything");
    assert!(picodata.err().contains("and delivery goes on"), "{}", picodata.err());
    wrong.set(Mode::Healthy);
    wait("the misconfigured one to get all when it is mended", Duration::from_secs(90), || wrong.count() == 100);
    assert_eq!(picodata.finish(Duration::from_secs(60)), 0, "{}", picodata.err());
}

/// 12 KB a second, and a backlog of 3,000: default options.
#[test]
fn a_slow_road_makes_progress_and_nothing_comes_again_and_again() {
    let receiver = Receiver::start();
    let road = Road::to(receiver.port(), 7);
    road.foul(|_| crate::harness::road::Fault::Slow(crate::harness::road::Way::To, 0, 12_000), 100);
    let den = Den::new("slow-road");
    let url = format!("http://127.0.0.1:{}/", road.port());
    let mut picodata = Setup::new(&den).url(&url).args(&["--drain", "1s"]).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 3_000, 100_000);
    let begin = Instant::now();
    receiver.wait_count(600, Duration::from_secs(240));
    let (took, count, repeats) = (begin.elapsed(), receiver.count(), receiver.repeats());
    println!("slow road: {count} documents and {repeats} repeats in {took:?}");
    assert!(repeats <= 1_000, "{repeats} repeats for {count} documents");
    road.fair();
    drop(road);
    drop(picodata);
}

/// Five milliseconds an event, one request after the other, and too little time for a whole batch.
#[test]
fn a_slow_receiver_gets_smaller_requests_until_they_are_in_time() {
    let receiver = Receiver::start();
    receiver.set(Mode::Slow(Duration::from_millis(5)));
    let den = Den::new("slow-receiver");
    let args = ["--first-byte-timeout", "2s", "--total-timeout", "4s", "--send-timeout", "1s"];
    let mut picodata = Setup::new(&den).url(&receiver.url()).args(&args).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 3_000, 100_000);
    let begin = Instant::now();
    receiver.wait_count(3_000, Duration::from_secs(150));
    println!("slow receiver: 3000 documents, {} repeats in {:?}", receiver.repeats(), begin.elapsed());
    assert!(receiver.repeats() < 3_000, "{} repeats", receiver.repeats());
    assert_eq!(picodata.finish(Duration::from_secs(60)), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()));
}
