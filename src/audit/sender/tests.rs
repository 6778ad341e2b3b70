//! The sender before a receiver whose every answer is decided here: what arrives first, and in which order.

use super::*;
use crate::audit::format::FORMATS;
use crate::audit::record::Ending;
use crate::audit::spool::ark::Ark;
use crate::audit::spool::disk::Disk;
use crate::audit::spool::record::Identity;
use crate::audit::spool::{Full, Settings};
use crate::audit::writer::Writer;
use std::sync::Mutex;

/// Refuses the requests from `from` to `to` (not included) for their content; keeps the ids of what it took.
struct Strange {
    asked: usize,
    from: usize,
    to: usize,
    took: Arc<Mutex<Vec<u64>>>,
}

impl Sink for Strange {
    fn send(&mut self, body: &[u8], _: &About<'_>) -> Outcome {
        self.asked += 1;
        if (self.from..self.to).contains(&self.asked) {
            return Outcome::Content(Said { status: 400, text: String::new() });
        }
        let all: Vec<serde_json::Value> = serde_json::from_slice(body).expect("an array");
        let counts = all.iter().map(|e| e["gostech"]["count"].as_u64().expect("a count"));
        self.took.lock().expect("one thread").extend(counts);
        Outcome::Taken(Said { status: 200, text: String::new() })
    }
    fn reload(&mut self) {}
    fn rest(&mut self) {}
    fn place(&self) -> String {
        "http://strange".into()
    }
}

fn spool() -> Arc<Spool> {
    let disk = || -> Arc<dyn Disk> { Arc::new(Ark::open(Ark::create().expect("memory")).expect("memory")) };
    let settings = Settings {
        max: 1 << 20,
        full: Full::Block,
        retain_ms: 3_600_000,
        ark_max: 1 << 20,
        identity: Identity::default(),
        epoch: 1,
        receivers: vec![("r1".into(), false)],
    };
    Arc::new(Spool::open(disk(), disk(), settings, None, 0).unwrap_or_else(|e| panic!("{e:?}")))
}

#[test]
fn the_order_is_kept_whenever_a_receiver_that_refused_everything_recovers() {
    crate::log::mute();
    // In these halvings no later event is asked; from request 26 on the fourth one does (`RECALLS_BEFORE_LATER`).
    for to in 3..26 {
        let spool = spool();
        let mut writer = Writer::new(spool.clone(), 1 << 20, false);
        let took = Arc::new(Mutex::new(Vec::new()));
        let sink = Strange { asked: 0, from: 2, to, took: took.clone() };
        let portion = Portion { events: 16, bytes: 1 << 20, linger: Duration::ZERO };
        let mut sender = Sender::new("r1", spool.clone(), vec![Box::new(sink)], &FORMATS[0], portion, 1 << 20);
        let (mut at, mut now) = (0, Now { mono: Duration::ZERO, wall_ms: 0, chance: 7 });
        let mut feed = |counts: std::ops::RangeInclusive<u64>| {
            let text: String = counts.map(|n| format!("{{\"id\":\"1.0.{n}\"}}\n")).collect();
            writer.step(text.as_bytes(), at, Ending::Open, 0);
            at += text.len() as u64;
        };
        // One that it takes, and then a batch that meets the trouble.
        feed(1..=1);
        for _ in 0..5 {
            sender.step(now, true);
        }
        feed(2..=17);
        for _ in 0..400 {
            sender.step(now, true);
            now.mono += Duration::from_secs(40);
        }
        let mut seen = Vec::new();
        took.lock().expect("one thread").iter().for_each(|n| {
            if !seen.contains(n) {
                seen.push(*n);
            }
        });
        assert_eq!(seen, (1..=17).collect::<Vec<u64>>(), "health came back with request {to}");
        let cursor = spool.cursor("r1").expect("a cursor");
        assert_eq!((cursor.delivered, cursor.quarantined), (17, 0), "health came back with request {to}");
    }
}
