//! A wall before the receiver that does not like the text of some events and says so in words that blame nobody; and
//! receivers that are out of order in ways that look like one.

use super::tests::spool;
use super::*;
use crate::audit::alarm::AlarmKind;
use crate::audit::delivery::format::FORMATS;
use crate::audit::delivery::parcel::Parcel;
use crate::audit::delivery::transport::http;
use crate::audit::intake::writer::Writer;
use crate::audit::record::Ending;
use crate::net::failure::{Failure, FailureKind};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// How a request ends that is not taken.
type Ends = fn(&Parcel<'_>) -> Delivery;

const SAYS: [Ends; 8] = [
    |p| judged(p, 403),
    |p| judged(p, 404),
    |p| judged(p, 415),
    |p| judged(p, 500),
    |p| judged(p, 502),
    |p| judged(p, 302),
    |_| Delivery::failed(Failure::new(FailureKind::Closed, "connection broke: Connection reset by peer"), true),
    |_| Delivery::failed(Failure::new(FailureKind::Timeout, "no answer within --first-byte-timeout"), true),
];

fn judged(parcel: &Parcel<'_>, status: u16) -> Delivery {
    http::answered(parcel, status, String::new(), None)
}

/// What came, in order, and how many requests there were.
#[derive(Default)]
struct Book {
    took: Vec<u64>,
    asked: usize,
}

/// Takes a request by its events, its number and what came before.
struct Walled<F> {
    likes: F,
    ends: Ends,
    book: Arc<Mutex<Book>>,
}

impl<F: FnMut(&[u64], usize, &[u64]) -> bool + Send> Sink for Walled<F> {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        let all: Vec<serde_json::Value> = serde_json::from_slice(parcel.bytes).expect("an array");
        let counts: Vec<u64> = all.iter().map(|e| e["gostech"]["count"].as_u64().expect("a count")).collect();
        let mut book = self.book.lock().expect("one thread");
        book.asked += 1;
        if !(self.likes)(&counts, book.asked, &book.took) {
            return (self.ends)(parcel);
        }
        book.took.extend(counts);
        judged(parcel, 200)
    }
    fn reload(&mut self) {}
    fn rest(&mut self) {}
    fn place(&self) -> String {
        "http://walled".into()
    }
}

/// What became of events 1 to `n` in so many virtual seconds: first arrivals, how many are in quarantine, requests, alarms.
struct Fate {
    first: Vec<u64>,
    quarantined: u64,
    asked: usize,
    alarms: BTreeSet<AlarmKind>,
}

fn live<F>(n: u64, seconds: u64, ends: Ends, likes: F) -> Fate
where
    F: FnMut(&[u64], usize, &[u64]) -> bool + Send + 'static,
{
    crate::log::mute();
    let spool = spool();
    let book = Arc::new(Mutex::new(Book::default()));
    let sink = Walled { likes, ends, book: book.clone() };
    let portion = Portion { events: 64, bytes: 1 << 20, linger: Duration::ZERO };
    let mut sender = Sender::new("r1", spool.clone(), vec![Box::new(sink)], FORMATS[0].form(None), portion, 1 << 20);
    let text: String = (1..=n).map(|i| format!("{{\"id\":\"1.0.{i}\"}}\n")).collect();
    Writer::new(spool.clone(), 1 << 20, false).step(text.as_bytes(), (1, 0).into(), Ending::Open, 0);
    let mut now = Now { mono: Duration::from_secs(1), wall_ms: 0, chance: 7 };
    let mut alarms = BTreeSet::new();
    while now.mono < Duration::from_secs(seconds) && spool.position("r1") <= n {
        now.chance = now.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 3;
        now.mono += match sender.step(now, false) {
            Wait::Sleep(time) => time,
            // A request takes its time.
            _ => Duration::from_millis(5),
        };
        spool.troubles.hand_on(|alarm| {
            alarms.insert(alarm.kind);
            true
        });
    }
    let book = book.lock().expect("one thread");
    let mut seen = BTreeSet::new();
    let first = book.took.iter().copied().filter(|n| seen.insert(*n)).collect();
    let quarantined = spool.cursor("r1").expect("a cursor").quarantined;
    Fate { first, quarantined, asked: book.asked, alarms }
}

#[test]
fn one_bad_text_does_not_stop_delivery_whatever_the_wall_says() {
    for (i, ends) in SAYS.into_iter().enumerate() {
        let bad = |n: &u64| *n == 42 || *n == 77;
        let fate = live(100, 1_000, ends, move |counts, _, _| !counts.iter().any(bad));
        assert_eq!(fate.quarantined, 2, "answer {i}");
        // What came before the bad one that it waited for is in order; a witness from behind it may come before the next.
        let ordered: Vec<u64> = (1..=100).filter(|n| !bad(n)).collect();
        assert_eq!(fate.first, ordered, "answer {i}");
        assert!(fate.alarms.contains(&AlarmKind::EventSetAside), "answer {i}: {:?}", fate.alarms);
        assert!(fate.asked < 200, "answer {i}: {} requests", fate.asked);
    }
}

#[test]
fn a_bad_text_at_the_very_beginning_is_got_over_by_those_behind_it() {
    let fate = live(100, 2_000, SAYS[0], |counts, _, _| counts.iter().all(|n| *n > 3));
    assert_eq!((fate.quarantined, fate.first.len()), (3, 97));
}

#[test]
fn a_last_one_without_anything_behind_it_is_kept() {
    let fate = live(50, 3_600, SAYS[0], |counts, _, _| counts.iter().all(|n| *n < 50));
    assert_eq!((fate.quarantined, fate.first.len()), (0, 49));
}

#[test]
fn many_bad_texts_take_no_minutes_each() {
    let bad = |n: u64| (100..600).contains(&n) && n % 7 != 0;
    let fate = live(1_000, 1_200, SAYS[0], move |counts, _, _| !counts.iter().any(|n| bad(*n)));
    let count = (1..=1_000).filter(|n| bad(*n)).count();
    assert_eq!((fate.quarantined as usize, fate.first.len()), (count, 1_000 - count));
    assert!(fate.asked < 30 * count, "{} requests for {count} events", fate.asked);
}

#[test]
fn who_refuses_everything_condemns_nothing() {
    for (i, ends) in SAYS.into_iter().enumerate() {
        let fate = live(200, 2_000, ends, |_, asked, _| asked < 3);
        assert_eq!(fate.quarantined, 0, "answer {i}");
        let lasting = [AlarmKind::ReceiverDown, AlarmKind::ReceiverRefuses];
        assert!(lasting.iter().any(|k| fate.alarms.contains(k)), "answer {i}: {:?}", fate.alarms);
    }
}

#[test]
fn who_takes_only_what_it_knows_condemns_nothing() {
    let fate = live(200, 3_000, SAYS[4], |counts, asked, took| asked < 3 || counts.iter().all(|n| took.contains(n)));
    assert_eq!(fate.quarantined, 0);
}

#[test]
fn a_broken_one_behind_a_balancer_condemns_nothing() {
    let fate = live(1_000, 40_000, SAYS[4], |_, asked, _| asked % 2 == 0);
    assert_eq!((fate.quarantined, fate.first.len()), (0, 1_000));
    let fate = live(1_000, 40_000, SAYS[4], |_, asked, _| asked % 3 == 0);
    assert_eq!((fate.quarantined, fate.first.len()), (0, 1_000));
}

#[test]
fn who_has_no_say_about_content_is_never_asked_for_it() {
    for status in [401, 407, 429] {
        let ends: Ends = match status {
            401 => |p| judged(p, 401),
            407 => |p| judged(p, 407),
            _ => |p| judged(p, 429),
        };
        let fate = live(100, 10_000, ends, |counts, _, _| !counts.contains(&42));
        assert_eq!(fate.quarantined, 0, "{status}");
    }
}

#[test]
fn what_is_refused_and_taken_by_turns_comes_in_order() {
    for period in 2..60 {
        let fate = live(300, 40_000, SAYS[4], move |_, asked, _| asked / period % 2 == 1);
        assert_eq!((fate.quarantined, fate.first.len()), (0, 300), "period {period}");
    }
}

/// First it blames the content, and then it does not: the event is not asked for in the same words for ever.
#[test]
fn one_that_changes_its_words_is_examined_anew() {
    let ends: Ends = |p| judged(p, 415);
    crate::log::mute();
    let spool = spool();
    let took = Arc::new(Mutex::new(Vec::new()));
    let sink = Fickle { took: took.clone(), ends, alone: 0 };
    let portion = Portion { events: 1, bytes: 1 << 20, linger: Duration::ZERO };
    let mut sender = Sender::new("r1", spool.clone(), vec![Box::new(sink)], FORMATS[0].form(None), portion, 1 << 20);
    let text: String = (1..=9).map(|i| format!("{{\"id\":\"1.0.{i}\"}}\n")).collect();
    Writer::new(spool.clone(), 1 << 20, false).step(text.as_bytes(), (1, 0).into(), Ending::Open, 0);
    let mut now = Now { mono: Duration::from_secs(1), wall_ms: 0, chance: 7 };
    for _ in 0..4_000 {
        now.chance = now.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 3;
        sender.step(now, false);
        now.mono += Duration::from_secs(1);
    }
    let cursor = spool.cursor("r1").expect("a cursor");
    assert_eq!((cursor.next, cursor.quarantined), (10, 1));
}

/// Refuses event 5: at first for its content, and from then on in other words.
struct Fickle {
    took: Arc<Mutex<Vec<u64>>>,
    ends: Ends,
    alone: u32,
}

impl Sink for Fickle {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        let all: Vec<serde_json::Value> = serde_json::from_slice(parcel.bytes).expect("an array");
        let counts = all.iter().map(|e| e["gostech"]["count"].as_u64().expect("a count"));
        if counts.clone().any(|n| n == 5) {
            self.alone += 1;
            return if self.alone == 1 { judged(parcel, 400) } else { (self.ends)(parcel) };
        }
        self.took.lock().expect("one thread").extend(counts);
        judged(parcel, 200)
    }
    fn reload(&mut self) {}
    fn rest(&mut self) {}
    fn place(&self) -> String {
        "http://fickle".into()
    }
}
