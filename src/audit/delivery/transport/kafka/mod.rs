//! Events as records of one topic of Kafka, kept by all replicas in sync before they count.
//!
//! ```text
//! ask who leads what (Metadata) ─▶ a number for us (InitProducerId) ─▶ a batch to the leader of the partition (Produce, acks=all)
//! ```
//!
//! All events of an instance go to one partition, so their order holds. Batches carry our number and a count, by which a
//! broker tells a repeat: a batch whose answer was lost goes once more as it was, before all else, and stands there once. The
//! number ends with this process; then a repeat is told by the document id, which is the key and a header. The time of a record is when it was
//! sent, since brokers keep records by it; when the event happened stands in the event. Refuses: to make a topic, to count what
//! only the leader has, more than one batch under way.

mod count;
mod crc32c;
pub mod errors;
mod link;
mod login;
pub mod records;
mod topic;
pub mod wire;

use super::route::Route;
use super::row::{Promise, Transport, OF_TLS};
use crate::audit::delivery::frame::Frame;
use crate::audit::delivery::parcel::{About, Delivery, Parcel, Said, Sink, Why};
use crate::error::{Error, Result};
use crate::flags::text;
use crate::net::dial;
use crate::net::failure::Failure;
use crate::net::http::Auth;
use crate::net::target::{Scheme, Shape};
use crate::net::tls;
use crate::{limits, log};
use count::Count;
use errors::Sense;
use link::{Done, Trouble};
use login::{Login, Mechanism};
use records::{partition_of, Packer, Record};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use topic::{place_of, Topic};

const OPTIONS: &[&str] = &["gzip", "user", "password-file", "sasl", "send-timeout", "first-byte-timeout"];

/// `kafka://`
pub const PLAIN: Transport = Transport {
    scheme: &Scheme { name: "kafka", shape: Shape::Hosts { port: 9092 }, tls: false },
    url: "kafka://BROKER[:PORT][,BROKER…]/TOPIC",
    about: text(
        "records of a topic of Kafka, kept by all replicas in sync (acks=all, idempotent producer)",
        "записи топика Kafka, сохранённые всеми синхронными репликами (acks=all, идемпотентный продюсер)",
    ),
    formats: super::file::LINES,
    frame: Some(Frame::Lines),
    options: &[OPTIONS],
    promise: Promise::Acknowledged,
    open,
    wishes: Route::files,
};

/// `kafka+tls://`
pub const TLS: Transport = Transport {
    scheme: &Scheme { name: "kafka+tls", shape: Shape::Hosts { port: 9093 }, tls: true },
    url: "kafka+tls://BROKER[:PORT][,BROKER…]/TOPIC",
    about: text("the same over TLS", "то же поверх TLS"),
    options: &[OPTIONS, OF_TLS],
    ..PLAIN
};

fn open(route: &Route) -> Result<Box<dyn Sink>> {
    let name = route.to.target.uri().trim_start_matches('/').to_string();
    let clean = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if !clean || name.is_empty() || name.len() > limits::KAFKA_TOPIC_BYTES || matches!(&*name, "." | "..") {
        return Err(Error::usage("a topic is named behind the brokers, by letters, digits, `.`, `_` and `-`"));
    }
    let sasl = route.option("sasl");
    let mechanism = match sasl {
        Some(item) => Mechanism::parse(&item.value)
            .ok_or_else(|| item.error("is none of scram-sha-512, scram-sha-256 and plain"))?,
        None => Mechanism::USUAL,
    };
    let login = match (&route.to.auth, sasl) {
        (Auth::Basic { user, password }, _) => {
            Some(Login { mechanism, user: user.clone(), password: password.clone() })
        }
        (_, Some(item)) if item.receiver.is_some() => {
            return Err(item.error("a login needs --user and --password-file"))
        }
        _ => None,
    };
    let tls = route.to.target.is_tls().then(|| Arc::new(tls::Client::new(route.to.tls.clone())));
    let place = route.to.target.display();
    let topic = Topic::new(name, route.to.target.hosts().to_vec(), login, tls, route.to.timeouts);
    let packer = Packer::new(route.to.gzip);
    Ok(Box::new(Kafka { place, topic, packer, count: Count::default(), total: route.to.timeouts.total, spent: 0 }))
}

/// The sink.
struct Kafka {
    place: String,
    topic: Topic,
    packer: Packer,
    count: Count,
    total: Duration,
    spent: u32,
}

impl Sink for Kafka {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        let begun = Instant::now();
        self.topic.end = begun + self.total;
        let (mut taken, mut turn) = (self.count.known(parcel, 0), 0);
        let mut stop = None;
        while stop.is_none() && taken < parcel.len() {
            match self.attempt(parcel, taken) {
                Ok(()) => (taken, turn) = (taken + self.count.known(parcel, taken), 0),
                Err(t) if t.again && self.pauses(turn) => turn += 1,
                Err(t) => stop = Some(t),
            }
        }
        self.spent = dial::spent(begun, self.total);
        match stop {
            Some(t) => Delivery::up_to(taken, t.why, About::Rest, t.said),
            None => Delivery::whole(parcel, Said::default()),
        }
    }

    fn check(&mut self) -> std::result::Result<(), Failure> {
        self.topic.check()
    }

    fn spent(&self) -> u32 {
        self.spent
    }

    fn reload(&mut self) {
        self.topic.reload();
    }

    fn rest(&mut self) {
        self.topic.rest();
        self.packer.rest();
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}

impl Kafka {
    /// Waits before the next turn; false: there is no time for one.
    fn pauses(&self, turn: u32) -> bool {
        let pause = Duration::from_millis(limits::KAFKA_TURN_MILLIS << turn);
        let goes = turn < limits::KAFKA_TURNS && Instant::now() + pause < self.topic.end;
        if goes {
            std::thread::sleep(pause);
        }
        goes
    }

    /// Sends the batch that is under way, or one of the events from `from` on, until it is there.
    fn attempt(&mut self, parcel: &Parcel<'_>, from: usize) -> Done<()> {
        if self.count.producer.is_none() {
            let producer = self.topic.new_producer()?;
            self.count.begin_anew(producer);
        }
        let partitions = self.topic.partitions()?;
        // A topic that was made anew, with fewer of them, has nothing of what was sent before.
        if self.count.open.as_ref().is_some_and(|open| open.partition >= partitions) {
            self.count.never_kept();
        }
        if self.count.open.is_none() {
            self.pack(parcel, from, partitions);
        }
        let Some(open) = &self.count.open else { return Ok(()) };
        let leader = self.topic.leader(open.partition)?;
        let answer = self.topic.produce(&leader, open.partition, &open.batch);
        let produced = match answer {
            Ok(produced) => produced,
            Err(t) => {
                match t.why {
                    Why::Unanswered(_) => self.unknown(),
                    _ => self.count.refused(),
                }
                return Err(t);
            }
        };
        let sense = errors::find(produced.error).sense;
        if produced.error == 0 || sense == Sense::Repeat {
            self.count.kept();
            return Ok(());
        }
        // Whoever has the partition no more may know nothing of the topic, or has no disk for it: is it still the leader?
        self.topic.forget_leaders();
        match sense {
            Sense::Recount => self.count.producer = None,
            Sense::Content | Sense::TooLarge => self.count.never_kept(),
            Sense::Unknown => self.unknown(),
            _ => self.count.refused(),
        }
        let again = matches!(sense, Sense::Moved | Sense::Recount) || produced.error == errors::UNKNOWN_TOPIC;
        Err(Trouble { again, ..Trouble::answered(&place_of(&leader), produced.error, &produced.words()) })
    }

    /// Begins a batch, of events of one partition.
    fn pack(&mut self, parcel: &Parcel<'_>, from: usize, partitions: usize) {
        let at = |i: usize| partition_of(instance_of(parcel.id(i)).as_bytes(), partitions);
        let partition = at(from);
        let most = (from..parcel.len()).take_while(|i| at(*i) == partition).count();
        let part = Count::extent(parcel, from..from + most);
        let events = part.clone().map(|i| Record { id: parcel.id(i).as_bytes(), value: parcel.event(i) });
        let (producer, sequence) = (self.count.producer.unwrap_or_default(), self.count.sequence(partition));
        let batch = self.packer.pack(events, producer, sequence, millis(parcel.wall));
        self.count.begins(partition, batch, parcel, part);
    }

    /// Nobody knows whether the batch is there.
    fn unknown(&mut self) {
        if !self.count.unknown() {
            let text = "a batch was sent many times, and no answer says whether it is there: its events may stand there twice, under the same keys";
            log::warn(&self.place, text);
        }
    }
}

/// `CLUSTER/INSTANCE` of a document id: what has an order.
fn instance_of(id: &str) -> &str {
    id.rsplitn(3, '/').nth(2).unwrap_or(id)
}

fn millis(t: SystemTime) -> i64 {
    t.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}
