//! Receivers that take a part of a parcel and say which: nothing twice, nothing lost, nobody condemned for another one.

use super::tests::spool;
use super::*;
use crate::audit::delivery::format::FORMATS;
use crate::audit::delivery::parcel::{About, Blame, Parcel, Verdict, Why};
use crate::audit::intake::writer::Writer;
use crate::audit::record::Ending;
use std::sync::Mutex;

/// What becomes of a parcel with these events, by the number of the request.
type Answer = fn(&Parcel<'_>, &[u64], usize) -> Delivery;

struct Partly {
    answer: Answer,
    asked: usize,
    took: Arc<Mutex<Vec<u64>>>,
}

impl Sink for Partly {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        self.asked += 1;
        let event = |at: &Range<usize>| {
            let event: serde_json::Value = serde_json::from_slice(&parcel.bytes[at.clone()]).expect("an event");
            event["gostech"]["count"].as_u64().expect("a count")
        };
        let counts: Vec<u64> = parcel.events.iter().map(event).collect();
        let delivery = (self.answer)(parcel, &counts, self.asked);
        let also = delivery.also.iter().filter(|a| a.1 == Verdict::Taken).map(|a| a.0);
        let taken = (0..delivery.taken).chain(also);
        self.took.lock().expect("one thread").extend(taken.map(|i| counts[i]));
        delivery
    }
    fn reload(&mut self) {}
    fn rest(&mut self) {}
    fn place(&self) -> String {
        "http://partly".into()
    }
}

fn said(text: &str) -> Said {
    Said { status: None, text: text.into() }
}

/// What came of events 1 to `n`, in its order; how many were delivered and quarantined; requests.
fn live(n: u64, answer: Answer) -> (Vec<u64>, u64, u64, usize) {
    crate::log::mute();
    let spool = spool();
    let took = Arc::new(Mutex::new(Vec::new()));
    let sink = Partly { answer, asked: 0, took: took.clone() };
    let portion = Portion { events: 64, bytes: 1 << 20, linger: Duration::ZERO };
    let mut sender = Sender::new("r1", spool.clone(), vec![Box::new(sink)], FORMATS[0].form(None), portion, 1 << 20);
    let text: String = (1..=n).map(|i| format!("{{\"id\":\"1.0.{i}\"}}\n")).collect();
    Writer::new(spool.clone(), 1 << 20, false).step(text.as_bytes(), (1, 0).into(), Ending::Open, 0);
    let mut now = Now { mono: Duration::from_secs(1), wall_ms: 0, chance: 7 };
    let mut steps = 0;
    while spool.position("r1") <= n && steps < 10_000 {
        steps += 1;
        now.mono += match sender.step(now, false) {
            Wait::Sleep(time) => time,
            _ => Duration::from_millis(1),
        };
    }
    let cursor = spool.cursor("r1").expect("a cursor");
    let took = took.lock().expect("one thread").clone();
    (took, cursor.delivered, cursor.quarantined, steps)
}

#[test]
fn what_was_taken_from_the_front_is_not_sent_again() {
    let (took, delivered, quarantined, _) = live(200, |parcel, _, asked| match parcel.len() {
        n if n > 1 && asked % 2 == 1 => {
            let failure = crate::net::failure::FailureKind::Closed;
            Delivery::up_to(n / 3, Why::Unanswered(failure), About::Rest, said("connection broke"))
        }
        _ => Delivery::whole(parcel, said("")),
    });
    assert_eq!((took, delivered, quarantined), ((1..=200).collect(), 200, 0));
}

/// An index takes the good ones of a request and says of each bad one what is wrong with it.
#[test]
fn who_judges_each_event_by_itself_is_believed() {
    let bad = |n: &u64| n % 10 == 3;
    let (mut took, delivered, quarantined, steps) = live(200, |parcel, counts, _| {
        let bad: Vec<usize> = (0..counts.len()).filter(|i| counts[*i] % 10 == 3).collect();
        let Some(&first) = bad.first() else { return Delivery::whole(parcel, said("")) };
        let verdict = |i| if bad.contains(&i) { Verdict::Refused(said("no such field")) } else { Verdict::Taken };
        let also: Vec<(usize, Verdict)> = (first + 1..counts.len()).map(|i| (i, verdict(i))).collect();
        let blame =
            if first > 0 || also.iter().any(|a| a.1 == Verdict::Taken) { Blame::Certain } else { Blame::NeedsWitness };
        Delivery { also, ..Delivery::up_to(first, Why::Content(blame), About::Next, said("no such field")) }
    });
    took.sort_unstable();
    assert_eq!(took, (1..=200).filter(|n| !bad(n)).collect::<Vec<u64>>(), "each of them, and once");
    assert_eq!((delivered, quarantined), (180, 20));
    assert!(steps < 300, "{steps}");
}

/// A datagram that would be too many pieces: nobody has to be asked whether others are taken.
#[test]
fn what_can_never_be_sent_needs_no_witness() {
    let (took, delivered, quarantined, _) = live(3, |parcel, counts, _| {
        let fits = counts.iter().take_while(|n| **n != 2).count();
        if fits == counts.len() {
            return Delivery::whole(parcel, said(""));
        }
        Delivery::up_to(fits, Why::Content(Blame::Certain), About::Next, said("more than 128 pieces"))
    });
    assert_eq!((took, delivered, quarantined), (vec![1, 3], 2, 1));
    let (_, delivered, quarantined, _) =
        live(2, |_, _, _| Delivery::up_to(0, Why::Content(Blame::Certain), About::Next, said("more than 128 pieces")));
    assert_eq!((delivered, quarantined), (0, 2), "also where nothing was ever taken");
}

/// One that blames event 5 in words alone, and takes what stands before it in the same answer.
#[test]
fn who_refuses_the_next_one_is_asked_for_a_witness() {
    let (took, delivered, quarantined, _) = live(20, |parcel, counts, _| match counts.iter().position(|n| *n == 5) {
        Some(at) => Delivery::up_to(at, Why::Content(Blame::NeedsWitness), About::Next, said("bad")),
        None => Delivery::whole(parcel, said("")),
    });
    assert_eq!((delivered, quarantined), (19, 1));
    let mut first: Vec<u64> = Vec::new();
    took.into_iter().for_each(|n| {
        if !first.contains(&n) {
            first.push(n)
        }
    });
    assert_eq!(first, (1..=20).filter(|n| *n != 5).collect::<Vec<u64>>());
    let (took, _, quarantined, _) =
        live(20, |_, _, _| Delivery::up_to(0, Why::Content(Blame::NeedsWitness), About::Next, said("bad")));
    assert_eq!((took.len(), quarantined), (0, 0), "who refuses everything condemns nothing");
}
