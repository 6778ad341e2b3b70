//! Which answer means what, and the quarantine: a bad event is condemned alone, a sick or misconfigured receiver never.

use crate::harness::setup::{files_below, text};
use crate::harness::{wait, Den, Events, Mode, Picodata, Receiver, Setup};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// The lines of a quarantine below the den.
fn quarantined(den: &Den, name: &str) -> Vec<String> {
    let file = format!("quarantine-{name}.jsonl");
    let files = files_below(den.path()).into_iter().filter(|(p, _)| p.file_name().is_some_and(|n| n == file.as_str()));
    files.flat_map(|(_, bytes)| text(&bytes).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn write_all(picodata: &mut Picodata, records: &[String]) {
    for record in records {
        picodata.write(record).expect("a reader");
    }
}

#[test]
fn no_answer_of_a_sick_receiver_loses_or_condemns_anything() {
    let den = Den::new("answers");
    let receiver = Receiver::start();
    let mut picodata = Setup::new(&den).url(&receiver.url()).picodata();
    let mut events = Events::new(1, 1);
    for status in [401, 403, 404, 405, 407, 410, 408, 425, 429, 500, 502, 503, 504, 301, 302, 307] {
        receiver.set(Mode::Refusing(status, None));
        let records: Vec<String> = (0..20).map(|_| events.event()).collect();
        write_all(&mut picodata, &records);
        receiver.wait_status(status, LIMIT);
        receiver.set(Mode::Healthy);
        receiver.wait_count(picodata.ledger.len(), LIMIT);
    }
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()));
    assert_eq!(quarantined(&den, "r1"), Vec::<String>::new());
}

#[test]
fn any_2xx_is_taken() {
    let den = Den::new("2xx");
    let receiver = Receiver::start();
    let mut picodata = Setup::new(&den).url(&receiver.url()).picodata();
    let mut events = Events::new(1, 1);
    for (i, status) in [200, 201, 202, 204].into_iter().enumerate() {
        receiver.set(Mode::Taking(status));
        picodata.write(&events.event()).expect("a reader");
        receiver.wait_count(i + 1, LIMIT);
    }
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(receiver.repeats(), 0, "what was taken is not sent again");
}

#[test]
fn the_one_bad_event_goes_to_the_quarantine_and_the_rest_is_delivered() {
    for status in [400, 413, 422] {
        let den = Den::new("poison");
        let receiver = Receiver::start();
        receiver.set(Mode::Marker(status, "poison".into()));
        let mut picodata = Setup::new(&den).url(&receiver.url()).args(&["--linger", "300ms"]).picodata();
        let mut events = Events::new(1, 1);
        for i in 0..100 {
            let poison = i == 41 || i == 77;
            let record = if poison { events.event_saying("poison") } else { events.event() };
            if poison {
                picodata.write_raw(format!("{record}\n").as_bytes()).expect("a reader");
            } else {
                picodata.write(&record).expect("a reader");
            }
        }
        receiver.wait_count(98, LIMIT);
        assert_eq!(picodata.finish(LIMIT), 0, "quarantined is not lost\n{}", picodata.err());
        assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{status}");
        let lines = quarantined(&den, "r1");
        assert_eq!(lines.len(), 2, "{status}: {lines:?}");
        for (line, id) in lines.iter().zip(["1.1.42", "1.1.78"]) {
            let value: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            let whole = value.to_string();
            assert!(whole.contains(id) && whole.contains(&status.to_string()), "the event and the answer: {line}");
        }
    }
}

#[test]
fn a_first_event_that_is_bad_waits_for_a_good_one() {
    let den = Den::new("first-bad");
    let receiver = Receiver::start();
    receiver.set(Mode::Marker(400, "poison".into()));
    let mut picodata = Setup::new(&den).url(&receiver.url()).picodata();
    let mut events = Events::new(1, 1);
    let bad = events.event_saying("poison");
    picodata.write_raw(format!("{bad}\n").as_bytes()).expect("a reader");
    receiver.wait_status(400, LIMIT);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(
        quarantined(&den, "r1"),
        Vec::<String>::new(),
        "nothing else was taken yet: perhaps the receiver is sick"
    );
    picodata.write(&events.event()).expect("a reader");
    receiver.wait_count(1, LIMIT);
    wait("the bad one in the quarantine", LIMIT, || quarantined(&den, "r1").len() == 1);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}

#[test]
fn a_body_that_is_too_big_is_halved() {
    let den = Den::new("413");
    let receiver = Receiver::start();
    receiver.set(Mode::AtMost(20_000));
    let mut picodata = Setup::new(&den).url(&receiver.url()).args(&["--linger", "300ms"]).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 500, 100_000);
    receiver.wait_count(500, LIMIT);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()));
    assert_eq!(quarantined(&den, "r1"), Vec::<String>::new());
}

#[test]
fn quarantine_retry_brings_back_what_the_receiver_takes_now() {
    let den = Den::new("retry");
    let receiver = Receiver::start();
    receiver.set(Mode::Marker(422, "poison".into()));
    let setup = Setup::new(&den).url(&receiver.url());
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    let records: Vec<String> =
        (0..10).map(|i| if i == 4 { events.event_saying("poison") } else { events.event() }).collect();
    write_all(&mut picodata, &records);
    receiver.wait_count(9, LIMIT);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let list = setup.tool(&["quarantine", "list", "--spool-dir", &den.file("spool"), "--no-config"]);
    assert_eq!(list.status.code(), Some(0), "{}", text(&list.stderr));
    assert!(text(&list.stdout).contains("1.1.5"), "{}", text(&list.stdout));
    receiver.set(Mode::Healthy);
    let again = ["quarantine", "retry", "--spool-dir", &den.file("spool"), "--no-config"];
    let retry = setup.tool(&again);
    assert_eq!(retry.status.code(), Some(0), "{}{}", text(&retry.stdout), text(&retry.stderr));
    let mut next = setup.picodata();
    receiver.wait_count(10, LIMIT);
    assert_eq!(next.finish(LIMIT), 0, "{}", next.err());
    assert_eq!(picodata.ledger.missing(&receiver.docs()), Vec::<String>::new());
}

#[test]
fn retry_after_is_honoured() {
    let den = Den::new("retry-after");
    let receiver = Receiver::start();
    receiver.set(Mode::Refusing(503, Some("3".into())));
    let mut picodata = Setup::new(&den).url(&receiver.url()).picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    wait("two refusals", LIMIT, || receiver.visits().len() >= 2);
    let visits = receiver.visits();
    let pause = visits[1].at - visits[0].at;
    assert!(pause >= Duration::from_millis(2500), "came again after {pause:?}");
    receiver.set(Mode::Healthy);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}

/// The client certificate is lost just when a batch is being halved for one bad event: that condemns no other.
#[test]
fn a_receiver_that_turns_bad_within_a_halving_condemns_no_innocent() {
    for status in [400, 422] {
        let den = Den::new("turning");
        let receiver = Receiver::start();
        receiver.set(Mode::Turning(status, "poison".into()));
        let mut picodata = Setup::new(&den).url(&receiver.url()).args(&["--linger", "300ms"]).picodata();
        let mut events = Events::new(1, 1);
        let records: Vec<String> =
            (0..100).map(|i| if i == 41 { events.event_saying("poison") } else { events.event() }).collect();
        write_all(&mut picodata, &records);
        wait("it turned", LIMIT, || receiver.count() > 0);
        std::thread::sleep(Duration::from_secs(2));
        receiver.set(Mode::Healthy);
        wait("each delivered or condemned", LIMIT, || receiver.count() + quarantined(&den, "r1").len() >= 100);
        assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
        let missing = picodata.ledger.missing(&receiver.docs());
        assert!(missing.iter().all(|id| id == "1.1.42"), "{} innocents condemned: {missing:?}", missing.len());
    }
}
