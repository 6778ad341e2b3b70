//! The sender before a receiver whose every answer is decided here: what arrives first, and in which order.

use super::*;
use crate::audit::delivery::format::FORMATS;
use crate::audit::delivery::parcel::Parcel;
use crate::audit::delivery::transport::http;
use crate::audit::intake::writer::{Done, Writer};
use crate::audit::record::Ending;
use crate::audit::spool::disk::{Disk, Entry};
use crate::audit::spool::memory_disk::MemoryDisk;
use crate::audit::spool::record::Identity;
use crate::audit::spool::{Full, Settings};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;

/// Refuses the requests from `from` to `to` (not included) for their content; keeps the ids of what it took.
pub(super) struct Strange {
    pub asked: usize,
    pub from: usize,
    pub to: usize,
    pub took: Arc<Mutex<Vec<u64>>>,
}

impl Sink for Strange {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        self.asked += 1;
        if (self.from..self.to).contains(&self.asked) {
            return http::answered(parcel, 400, String::new(), None);
        }
        let all: Vec<serde_json::Value> = serde_json::from_slice(parcel.bytes).expect("an array");
        let counts = all.iter().map(|e| e["gostech"]["count"].as_u64().expect("a count"));
        self.took.lock().expect("one thread").extend(counts);
        http::answered(parcel, 200, String::new(), None)
    }
    fn reload(&mut self) {}
    fn rest(&mut self) {}
    fn place(&self) -> String {
        "http://strange".into()
    }
}

pub(super) fn memory_disk() -> MemoryDisk {
    MemoryDisk::open(MemoryDisk::create().expect("memory")).expect("memory")
}

pub(super) fn spool() -> Arc<Spool> {
    spool_on(Arc::new(memory_disk()))
}

pub(super) fn spool_on(disk: Arc<dyn Disk>) -> Arc<Spool> {
    let settings = Settings {
        max: 1 << 20,
        full: Full::Block,
        retain_ms: 3_600_000,
        memory_max: 1 << 20,
        identity: Identity::default(),
        receivers: vec![("r1".into(), false)],
        owner: None,
        sealing: None,
    };
    Arc::new(Spool::open(disk, Arc::new(memory_disk()), settings, None, 0).unwrap_or_else(|e| panic!("{e:?}")))
}

/// A sender of requests of up to 16 events.
pub(super) fn sender_of(spool: &Arc<Spool>, sink: impl Sink + 'static) -> Sender {
    let portion = Portion { events: 16, bytes: 1 << 20, linger: Duration::ZERO };
    Sender::new("r1", spool.clone(), vec![Box::new(sink)], FORMATS[0].form(None), portion, 1 << 20)
}

/// What is asked of a disk.
pub(super) enum Ask<'a> {
    Read(&'a str, Range<u64>),
    Sync(&'a str),
}

/// A disk in memory that answers with the error of `ask`, where that has one.
pub(super) struct Asked<F> {
    pub memory_disk: MemoryDisk,
    pub ask: F,
}

impl<F: Fn(Ask<'_>) -> io::Result<()> + Send + Sync> Disk for Asked<F> {
    fn list(&self) -> io::Result<Vec<Entry>> {
        self.memory_disk.list()
    }
    fn read_at(&self, name: &str, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        (self.ask)(Ask::Read(name, at..at + buf.len() as u64))?;
        self.memory_disk.read_at(name, at, buf)
    }
    fn write_at(&self, name: &str, at: u64, data: &[u8]) -> io::Result<()> {
        self.memory_disk.write_at(name, at, data)
    }
    fn sync(&self, name: &str) -> io::Result<()> {
        (self.ask)(Ask::Sync(name))?;
        self.memory_disk.sync(name)
    }
    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }
    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.memory_disk.truncate(name, bytes)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.memory_disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.memory_disk.remove(name)
    }
    fn place(&self) -> String {
        "asked".into()
    }
}

/// One page of each segment that cannot be read.
const SCRATCH: Range<u64> = 8192..12_288;

/// What a bad sector holds is damage, in the end; a disk that is gone is waited for.
#[test]
fn a_bad_sector_costs_its_events_and_no_others() {
    crate::log::mute();
    // And it may fail as a whole.
    let dead = Arc::new(AtomicBool::new(false));
    let fails = dead.clone();
    let ask = move |ask: Ask<'_>| {
        let dead = fails.load(Ordering::Relaxed);
        let bad = match ask {
            Ask::Read(name, at) => name.ends_with(".seg") && (dead || at.start < SCRATCH.end && at.end > SCRATCH.start),
            Ask::Sync(_) => dead,
        };
        if bad {
            Err(io::Error::from_raw_os_error(libc::EIO))
        } else {
            Ok(())
        }
    };
    let spool = spool_on(Arc::new(Asked { memory_disk: memory_disk(), ask }));
    dead.store(true, Ordering::Relaxed);
    let mut writer = Writer::new(spool.clone(), 1 << 20, false);
    let took = Arc::new(Mutex::new(Vec::new()));
    let sink = Strange { asked: 0, from: 0, to: 0, took: took.clone() };
    let mut sender = sender_of(&spool, sink);
    let line = |n: u64| format!("{{\"id\":\"1.0.{n}\",\"message\":\"{}\"}}\n", "x".repeat(300));
    let text: String = (1..=60).map(line).collect();
    writer.step(text.as_bytes(), (1, 0).into(), Ending::Open, 0);
    let mut now = Now { mono: Duration::ZERO, wall_ms: 0, chance: 7 };
    let mut steps = |count: u32| {
        for _ in 0..count {
            sender.step(now, true);
            now.mono += Duration::from_secs(1);
        }
    };
    steps(12 * limits::UNREADABLE_SECONDS as u32 + 5);
    assert!(took.lock().expect("one thread").is_empty() && spool.no_losses(), "a dead disk is waited for");
    dead.store(false, Ordering::Relaxed);
    steps(10);
    let before = took.lock().expect("one thread").len();
    assert!(before < 60 && spool.no_losses());
    steps(400);
    let took = took.lock().expect("one thread").clone();
    let lost: Vec<u64> = (1..=60).filter(|n| !took.contains(n)).collect();
    let losses = spool.take_losses();
    assert!((8..16).contains(&lost.len()), "{lost:?}");
    assert_eq!(losses.iter().map(|l| l.to - l.from + 1).sum::<u64>(), lost.len() as u64, "{losses:?}");
    let cursor = spool.cursor("r1").expect("a cursor");
    assert_eq!((cursor.next, cursor.dropped), (61, lost.len() as u64));
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
        let mut sender =
            Sender::new("r1", spool.clone(), vec![Box::new(sink)], FORMATS[0].form(None), portion, 1 << 20);
        let (mut at, mut now) = (0, Now { mono: Duration::ZERO, wall_ms: 0, chance: 7 });
        let mut feed = |counts: std::ops::RangeInclusive<u64>| {
            let text: String = counts.map(|n| format!("{{\"id\":\"1.0.{n}\"}}\n")).collect();
            writer.step(text.as_bytes(), (1, at).into(), Ending::Open, 0);
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

/// Out of order at its first request, misconfigured ever after: refuses everything.
struct Misled(usize);

impl Sink for Misled {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        self.0 += 1;
        http::answered(parcel, if self.0 == 1 { 503 } else { 400 }, String::new(), None)
    }
    fn reload(&mut self) {}
    fn rest(&mut self) {}
    fn place(&self) -> String {
        "http://misled".into()
    }
}

/// What a stand-in takes says nothing of the content that the first one refuses, whenever the first one has its turn again.
#[test]
fn nobody_condemns_for_what_another_one_took() {
    crate::log::mute();
    for millis in (1..=40).map(|n| n * 500) {
        let spool = spool();
        let took = Arc::new(Mutex::new(Vec::new()));
        // The whole batch is refused, its first half taken, its second refused: now that one is judged.
        let stand_in = Strange { asked: 0, from: 1, to: 2, took: took.clone() };
        let stand_in = Picky { sink: stand_in, refused: false };
        let sinks: Vec<Box<dyn Sink>> = vec![Box::new(Misled(0)), Box::new(stand_in)];
        let portion = Portion { events: 16, bytes: 1 << 20, linger: Duration::ZERO };
        let mut sender = Sender::new("r1", spool.clone(), sinks, FORMATS[0].form(None), portion, 1 << 20);
        Writer::new(spool.clone(), 1 << 20, false).step(
            b"{\"id\":\"1.0.1\"}\n{\"id\":\"1.0.2\"}\n",
            (1, 0).into(),
            Ending::Open,
            0,
        );
        let mut now = Now { mono: Duration::from_secs(1), wall_ms: 0, chance: 7 };
        for _ in 0..200 {
            sender.step(now, true);
            now.mono += Duration::from_millis(millis);
        }
        let cursor = spool.cursor("r1").expect("a cursor");
        assert_eq!((cursor.delivered, cursor.quarantined), (2, 0), "{millis} ms a step");
    }
}

/// Refuses the first request for event 2 alone.
struct Picky {
    sink: Strange,
    refused: bool,
}

impl Sink for Picky {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        if parcel.key.matches("1.0.2/").count() == 2 && !std::mem::replace(&mut self.refused, true) {
            return http::answered(parcel, 400, String::new(), None);
        }
        self.sink.deliver(parcel)
    }
    fn reload(&mut self) {}
    fn rest(&mut self) {}
    fn place(&self) -> String {
        self.sink.place()
    }
}

/// What a retry brings has no other event beside it: that the receiver takes those of another spool condemns it once more.
#[test]
fn what_is_tried_again_is_condemned_when_the_receiver_takes_those_of_another_spool() {
    crate::log::mute();
    let portion = Portion { events: 16, bytes: 1 << 20, linger: Duration::ZERO };
    let feed = |spool: &Arc<Spool>, at: u64| {
        let line = b"{\"id\":\"1.0.1\"}\n";
        Writer::new(spool.clone(), 1 << 20, false).step(line, (1, at).into(), Ending::Open, 0);
    };
    let took = Arc::new(Mutex::new(Vec::new()));
    let tally = Tally::default();
    let make = |spool: &Arc<Spool>, refuses: usize, tally: &Tally| {
        let sink = Strange { asked: 0, from: 1, to: refuses, took: took.clone() };
        let sender = Sender::new("r1", spool.clone(), vec![Box::new(sink)], FORMATS[0].form(None), portion, 1 << 20);
        sender.tallied(tally)
    };
    let (retried, home) = (spool(), spool());
    let (mut bad, mut well) = (make(&retried, usize::MAX, &tally.of_retry()), make(&home, 0, &tally));
    feed(&retried, 0);
    let mut now = Now { mono: Duration::from_secs(1), wall_ms: 0, chance: 7 };
    let mut steps = |sender: &mut Sender| {
        for _ in 0..40 {
            sender.step(now, false);
            now.mono += Duration::from_secs(40);
        }
    };
    let quarantined = |spool: &Arc<Spool>| spool.cursor("r1").expect("a cursor").quarantined;
    steps(&mut bad);
    assert_eq!(quarantined(&retried), 0, "nobody knows that it takes anything");
    feed(&home, 0);
    steps(&mut well);
    steps(&mut bad);
    assert_eq!((took.lock().expect("one thread").len(), quarantined(&retried), quarantined(&home)), (1, 1, 0));
}

/// Does not answer; counts how often it was asked, and how often it gave its connection back.
struct Silent(Arc<Mutex<(usize, usize)>>);

impl Sink for Silent {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        self.0.lock().expect("one thread").0 += 1;
        http::answered(parcel, 503, String::new(), Some(Duration::from_secs(300)))
    }
    fn reload(&mut self) {}
    fn rest(&mut self) {
        self.0.lock().expect("one thread").1 += 1;
    }
    fn place(&self) -> String {
        "http://silent".into()
    }
}

#[test]
fn the_time_that_is_left_at_the_end_is_not_slept_away() {
    crate::log::mute();
    let spool = spool();
    let asked = Arc::new(Mutex::new((0, 0)));
    let mut sender = sender_of(&spool, Silent(asked.clone()));
    Writer::new(spool.clone(), 1 << 20, false).step(b"{\"id\":\"1.0.1\"}\n", (1, 0).into(), Ending::Open, 0);
    let mut now = Now { mono: Duration::from_secs(1), wall_ms: 0, chance: 7 };
    sender.step(now, false);
    now.mono += Duration::from_secs(9);
    assert!(matches!(sender.step(now, false), Wait::Sleep(_)));
    assert_eq!(asked.lock().expect("one thread").0, 1, "it is to come again in five minutes");
    sender.step(now, true);
    assert_eq!(asked.lock().expect("one thread").0, 2, "and is asked when the end has come");
    assert!(matches!(sender.step(now, true), Wait::Sleep(_)), "once, and then it waits as before");
}

#[test]
fn an_idle_sender_gives_back_its_memory_first_and_its_connection_later() {
    let spool = spool();
    let asked = Arc::new(Mutex::new((0, 0)));
    let mut sender = sender_of(&spool, Silent(asked.clone()));
    let mut now = Now { mono: Duration::ZERO, wall_ms: 0, chance: 7 };
    let rests = |sender: &mut Sender, now: Now| {
        assert!(matches!(sender.step(now, false), Wait::News(1, _)));
        (sender.batch.room() == 0, asked.lock().expect("one thread").1)
    };
    sender.batch.reserve_for_test();
    assert_eq!(rests(&mut sender, now), (false, 0));
    now.mono = Duration::from_millis(limits::SENDER_SPARE_MILLIS);
    assert_eq!(rests(&mut sender, now), (true, 0));
    now.mono = Duration::from_secs(limits::SENDER_REST_SECONDS + 1);
    assert_eq!(rests(&mut sender, now), (true, 1));
    now.mono += Duration::from_secs(1);
    assert_eq!(rests(&mut sender, now), (true, 1), "once");
}

#[test]
fn many_suspects_take_little_memory_and_are_judged_all_the_same() {
    crate::log::mute();
    let spool = spool();
    let mut writer = Writer::new(spool.clone(), 1 << 20, false);
    let text: String = (1..=150).map(|n| format!("{{\"id\":\"1.0.{n}\",\"x\":\"{}\"}}\n", "y".repeat(4_000))).collect();
    let mut at = 0;
    while at < text.len() {
        let Done::Bytes(n) = writer.step(&text.as_bytes()[at..], (1, at as u64).into(), Ending::Ended, 0) else {
            panic!("no room")
        };
        at += n;
    }
    // Request by request: the first 1,200 are refused, whatever they hold; then it is well.
    let took = Arc::new(Mutex::new(Vec::new()));
    let sink = Strange { asked: 0, from: 1, to: 1_200, took: took.clone() };
    let portion = Portion { events: 4, bytes: 16 << 10, linger: Duration::ZERO };
    let mut sender = Sender::new("r1", spool.clone(), vec![Box::new(sink)], FORMATS[0].form(None), portion, 1 << 20);
    let mut now = Now { mono: Duration::ZERO, wall_ms: 0, chance: 7 };
    let (mut most, mut suspects) = (0, 0);
    for _ in 0..4_000 {
        sender.step(now, true);
        now.mono += Duration::from_secs(40);
        (most, suspects) = (most.max(sender.batch.room()), suspects.max(sender.suspects.len()));
    }
    assert!(suspects > 100 && most < 128 << 10, "{most} bytes for {suspects} suspects");
    let cursor = spool.cursor("r1").expect("a cursor");
    assert_eq!((cursor.delivered, cursor.quarantined), (150, 0));
    let mut seen = took.lock().expect("one thread").clone();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, (1..=150).collect::<Vec<u64>>());
}

#[test]
fn a_receiver_that_takes_nothing_shows_at_once_and_is_an_alarm_after_five_minutes() {
    crate::log::mute();
    let spool = spool();
    let asked = Arc::new(Mutex::new((0, 0)));
    let mut sender = sender_of(&spool, Silent(asked.clone()));
    Writer::new(spool.clone(), 1 << 20, false).step(b"{\"id\":\"1.0.1\"}\n", (1, 0).into(), Ending::Open, 0);
    let mut now = Now { mono: Duration::from_secs(1), wall_ms: 0, chance: 7 };
    sender.step(now, false);
    let handed_on = || {
        let mut all = Vec::new();
        spool.troubles.hand_on(|a| {
            all.push(a.headline());
            true
        });
        all
    };
    assert_eq!(spool.troubles.standing()[0].headline(), "r1 HAS NOT TAKEN EVENTS");
    assert!(handed_on().is_empty(), "a restart is no alarm");
    now.mono += Duration::from_secs(limits::RECEIVER_DOWN_SECONDS + 1);
    sender.step(now, false);
    assert_eq!(handed_on(), ["r1 HAS NOT TAKEN EVENTS"]);
    spool.well("receiver r1");
    assert_eq!((handed_on().len(), spool.troubles.standing().len()), (1, 0), "its end is told");
}
