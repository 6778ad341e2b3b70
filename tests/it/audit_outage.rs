//! «Losing nothing» of the issue, 2: whatever the receiver does in the middle of a stream, every event arrives, once by
//! document id, in order, and the helper ends with 0.
//!
//! 10,000 events at 1,000/s for the outages, 4,000 for the other faults; `GOSTECH_LONG=1` makes all of them 10,000 and
//! adds the outage of a minute.

use crate::harness::tls::Certs;
use crate::harness::{long, wait, Den, Events, Mode, Receiver, Setup};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// Longer than a busy machine needs for one request.
const LIMIT: Duration = Duration::from_secs(30);

/// A stream of `n` events at 1,000/s; a second into it the fault begins, and ends by itself.
fn stream_through(name: &str, receiver: &Receiver, setup: Setup, n: usize, fault: impl FnOnce(&Receiver) + Send) {
    let mut picodata = setup.args(&["--drain", "90s"]).picodata();
    let mut events = Events::new(1, 1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(SECOND);
            fault(receiver);
        });
        picodata.events(&mut events, n, 1000);
    });
    assert!(picodata.longest < SECOND * 2, "{name}: a write of the database was blocked for {:?}", picodata.longest);
    let code = picodata.finish(Duration::from_secs(120));
    let verdict = picodata.ledger.compare(&receiver.docs());
    assert_eq!(verdict, Ok(()), "{name}; stderr:\n{}", picodata.err());
    assert_eq!(code, 0, "{name}; stderr:\n{}", picodata.err());
    assert_eq!(picodata.out(), "", "nothing belongs on stdout");
    assert_eq!(receiver.errors(), Vec::<String>::new());
}

fn count() -> usize {
    if long() {
        10_000
    } else {
        4000
    }
}

/// A mode for a second and a half, then health; at least one request met it.
fn spell(mode: Mode, met: impl Fn(&Receiver) -> bool + Send) -> impl FnOnce(&Receiver) + Send {
    move |receiver: &Receiver| {
        receiver.set(mode);
        std::thread::sleep(SECOND * 3 / 2);
        wait("a request that meets the fault", LIMIT, || met(receiver));
        receiver.set(Mode::Healthy);
    }
}

fn answered(status: u16) -> impl Fn(&Receiver) -> bool + Send {
    move |receiver: &Receiver| receiver.visits().iter().any(|v| v.status == status)
}

fn fault(name: &str, mode: Mode, status: u16, args: &[&str]) -> Receiver {
    let den = Den::new(name);
    let receiver = Receiver::start();
    let setup = Setup::new(&den).url(&receiver.url()).args(args);
    stream_through(name, &receiver, setup, count(), spell(mode, answered(status)));
    receiver
}

fn outage(name: &str, length: Duration) {
    let den = Den::new(name);
    let receiver = Receiver::start();
    let setup = Setup::new(&den).url(&receiver.url());
    stream_through(name, &receiver, setup, 10_000, |receiver| {
        receiver.down();
        std::thread::sleep(length);
        receiver.up();
    });
}

#[test]
fn an_outage_of_a_third_of_a_second_loses_nothing() {
    outage("outage-0.3", Duration::from_millis(300));
}

#[test]
fn an_outage_of_five_seconds_loses_nothing() {
    outage("outage-5", SECOND * 5);
}

#[test]
fn an_outage_of_a_minute_loses_nothing() {
    if long() {
        outage("outage-60", SECOND * 60);
    }
}

#[test]
fn answers_500_lose_nothing() {
    fault("500", Mode::Refusing(500, None), 500, &[]);
}

#[test]
fn answers_429_without_retry_after_lose_nothing() {
    fault("429", Mode::Refusing(429, None), 429, &[]);
}

#[test]
fn answers_429_with_retry_after_lose_nothing() {
    let receiver = fault("429-after", Mode::Refusing(429, Some("1".into())), 429, &[]);
    let refused = receiver.visits().iter().filter(|v| v.status == 429).count();
    assert!(refused <= 4, "{refused} requests in a second and a half against a Retry-After of 1 s");
}

#[test]
fn a_hang_without_an_answer_loses_nothing() {
    fault("hang", Mode::Hanging, 0, &["--first-byte-timeout", "1s"]);
}

#[test]
fn a_close_in_the_head_of_an_answer_loses_nothing() {
    let receiver = fault("cut-head", Mode::CutHead, 200, &[]);
    assert!(receiver.repeats() > 0, "a batch without a whole answer has to come again");
}

#[test]
fn a_close_in_the_body_of_an_answer_loses_nothing() {
    fault("cut-body", Mode::CutBody, 200, &[]);
}

#[test]
fn a_close_without_an_answer_loses_nothing() {
    fault("closing", Mode::Closing, 0, &[]);
}

#[test]
fn a_200_and_then_a_close_loses_nothing() {
    fault("200-close", Mode::TakeAndClose, 200, &[]);
}

#[test]
fn half_of_an_array_taken_and_then_500_loses_nothing() {
    let receiver = fault("half", Mode::Half, 500, &[]);
    assert!(receiver.repeats() > 0, "the half that was taken comes again, under the same ids");
}

#[test]
fn a_receiver_that_answers_400_to_everything_condemns_nothing() {
    let den = Den::new("400");
    let receiver = Receiver::start();
    let setup = Setup::new(&den).url(&receiver.url());
    stream_through("400", &receiver, setup, count(), spell(Mode::Refusing(400, None), answered(400)));
    let quarantined: Vec<_> = crate::harness::setup::files_below(den.path())
        .into_iter()
        .filter(|(path, bytes)| path.to_string_lossy().contains("quarantine-") && !bytes.is_empty())
        .collect();
    assert!(quarantined.is_empty(), "misconfiguration fills the spool, never empties it: {quarantined:?}");
}

#[test]
fn a_tls_failure_loses_nothing() {
    let den = Den::new("tls");
    let (right, wrong) = (Certs::new(), Certs::new());
    let [ca, ..] = right.put(&den, "right");
    let receiver = Receiver::start_tls(right.server_config());
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--ca-certificate", &ca]);
    stream_through("tls", &receiver, setup, count(), |receiver| {
        receiver.set_tls(wrong.server_config());
        std::thread::sleep(SECOND * 3 / 2);
        receiver.set_tls(right.server_config());
    });
}
