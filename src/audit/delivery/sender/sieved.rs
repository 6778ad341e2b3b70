//! A receiver with a filter: what is left out is never sent, never stalls the cursor and counts as filtered, whatever becomes of
//! the others.

use super::tests::spool;
use super::*;
use crate::audit::delivery::filter::{Condition, Filter};
use crate::audit::delivery::format::FORMATS;
use crate::audit::delivery::parcel::Parcel;
use crate::audit::delivery::transport::http;
use crate::audit::intake::writer::Writer;
use crate::audit::record::Ending;
use std::sync::Mutex;

/// Takes a request by its events and its number.
struct Asked<F> {
    status: F,
    took: Arc<Mutex<Vec<u64>>>,
    asked: usize,
}

impl<F: FnMut(&[u64], usize) -> u16 + Send> Sink for Asked<F> {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        let all: Vec<serde_json::Value> = serde_json::from_slice(parcel.bytes).expect("an array");
        assert!(all.iter().all(|e| e["title"] != "dml"), "one that is left out was sent: {all:?}");
        let counts: Vec<u64> = all.iter().map(|e| e["gostech"]["count"].as_u64().expect("a count")).collect();
        self.asked += 1;
        let status = (self.status)(&counts, self.asked);
        if status == 200 {
            self.took.lock().expect("one thread").extend(counts);
        }
        http::answered(parcel, status, String::new(), None)
    }
    fn reload(&mut self) {}
    fn rest(&mut self) {}
    fn place(&self) -> String {
        "http://asked".into()
    }
}

/// Events 1 to `n`, those `is_dml` left out: what arrived for the first time in order, and delivered, quarantined, filtered.
fn live<F>(n: u64, is_dml: fn(u64) -> bool, status: F) -> (Vec<u64>, [u64; 3])
where
    F: FnMut(&[u64], usize) -> u16 + Send + 'static,
{
    crate::log::mute();
    let (spool, took) = (spool(), Arc::new(Mutex::new(Vec::new())));
    let sink = Asked { status, took: took.clone(), asked: 0 };
    let portion = Portion { events: 16, bytes: 1 << 20, linger: Duration::ZERO };
    let sender = Sender::new("r1", spool.clone(), vec![Box::new(sink)], FORMATS[0].form(None), portion, 1 << 20);
    let skip = vec![Condition::parse("title=dml").expect("a condition")];
    let mut sender = sender.sifted(Filter { only: Vec::new(), skip });
    let title = |i: u64| if is_dml(i) { "dml" } else { "auth_ok" };
    let text: String = (1..=n).map(|i| format!("{{\"id\":\"1.0.{i}\",\"title\":\"{}\"}}\n", title(i))).collect();
    Writer::new(spool.clone(), 1 << 20, false).step(text.as_bytes(), (1, 0).into(), Ending::Open, 0);
    let mut now = Now { mono: Duration::from_secs(1), wall_ms: 0, chance: 7 };
    let mut steps = 0;
    while spool.position("r1") <= n && steps < 60_000 {
        steps += 1;
        now.chance = now.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 3;
        now.mono += match sender.step(now, false) {
            Wait::Sleep(time) => time,
            _ => Duration::from_millis(5),
        };
    }
    let c = spool.cursor("r1").expect("a cursor");
    assert_eq!((c.next, c.dropped), (n + 1, 0), "the cursor stands still");
    assert_eq!(c.delivered + c.quarantined + c.filtered, n);
    let mut first: Vec<u64> = Vec::new();
    for n in took.lock().expect("one thread").iter() {
        if !first.contains(n) {
            first.push(*n);
        }
    }
    (first, [c.delivered, c.quarantined, c.filtered])
}

#[test]
fn what_is_left_out_counts_as_filtered_wherever_it_stands() {
    let patterns: [fn(u64) -> bool; 6] =
        [|i| i % 2 == 0, |i| i % 2 == 1, |i| i < 60, |i| i > 40, |i| i % 17 != 3, |i| (30..70).contains(&i)];
    for is_dml in patterns {
        let (first, [delivered, _, filtered]) = live(100, is_dml, |_, _| 200);
        let wanted: Vec<u64> = (1..=100).filter(|i| !is_dml(*i)).collect();
        assert_eq!((delivered, filtered), (wanted.len() as u64, 100 - wanted.len() as u64));
        assert_eq!(first, wanted);
    }
}

#[test]
fn when_nothing_is_left_nobody_is_asked() {
    let (first, counts) = live(2_000, |_| true, |_, _| panic!("asked"));
    assert_eq!((first, counts), (Vec::new(), [0, 0, 2_000]));
}

#[test]
fn a_receiver_that_is_down_for_a_while_gets_the_same() {
    let (first, counts) = live(200, |i| i % 3 == 0, |_, asked| if asked % 4 != 0 { 503 } else { 200 });
    assert_eq!((first, counts), ((1..=200).filter(|i| i % 3 != 0).collect(), [134, 0, 66]));
}

#[test]
fn the_bad_ones_among_the_others_are_found_and_no_more() {
    for status in [400, 403] {
        let bad = |n: &u64| *n == 1 || *n == 43 || *n == 44 || *n == 199;
        let (first, counts) =
            live(200, |i| i % 5 == 0, move |counts, _| if counts.iter().any(bad) { status } else { 200 });
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (1..=200).filter(|i| i % 5 != 0 && !bad(i)).collect::<Vec<u64>>(), "{status}");
        assert_eq!(counts, [156, 4, 40], "{status}");
    }
}
