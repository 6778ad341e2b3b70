//! A topic as its cluster has it: which brokers there are, who leads which partition, and a connection to each that is needed.
//!
//! Refuses: to make a topic, connections that nobody needs.

use super::errors;
use super::link::{Done, Link, Trouble};
use super::login::Login;
use super::records::Producer;
use super::wire::{self, Answer, Metadata, Produced, Request};
use crate::audit::delivery::parcel::{Said, Why};
use crate::limits;
use crate::net::dial::Dial;
use crate::net::failure::{Failure, FailureKind};
use crate::net::http::Timeouts;
use crate::net::target::{bracketed, Place};
use crate::net::tls;
use crate::sorted::Map;
use std::sync::Arc;
use std::time::Instant;

/// Host and port of a broker.
pub type Broker = (String, u16);

/// For sentences.
pub fn place_of((host, port): &Broker) -> String {
    format!("{}:{port}", bracketed(host))
}

/// The topic.
pub struct Topic {
    name: String,
    /// Those that were named to us.
    named: Vec<Broker>,
    /// Those that the cluster had when we last asked: they are there when the named ones are gone.
    known: Vec<Broker>,
    login: Option<Login>,
    tls: Option<Arc<tls::Client>>,
    times: Timeouts,
    /// When the delivery must be over.
    pub end: Instant,
    links: Map<Broker, Link>,
    /// Who leads each partition; nobody knows when it is none.
    leaders: Option<Vec<Option<Broker>>>,
}

impl Topic {
    /// Nobody is asked yet.
    pub fn new(
        name: String,
        named: Vec<Broker>,
        login: Option<Login>,
        tls: Option<Arc<tls::Client>>,
        times: Timeouts,
    ) -> Topic {
        let (end, known) = (Instant::now(), Vec::new());
        Topic { name, named, known, login, tls, times, end, links: Map::new(), leaders: None }
    }

    /// Its files can be read.
    pub fn check(&mut self) -> Result<(), Failure> {
        if let Some(login) = &mut self.login {
            login.password.read()?;
        }
        self.tls.as_ref().map_or(Ok(()), |tls| tls.config().map(drop))
    }

    /// Files are read again.
    pub fn reload(&mut self) {
        self.rest();
        self.tls.iter().for_each(|tls| tls.reload());
        self.login.iter_mut().for_each(|login| login.password.forget());
    }

    /// The connections are given back.
    pub fn rest(&mut self) {
        self.links = Map::new();
        self.leaders = None;
    }

    /// They are asked for again.
    pub fn forget_leaders(&mut self) {
        self.leaders = None;
    }

    /// How many partitions there are.
    pub fn partitions(&mut self) -> Done<usize> {
        Ok(self.leaders()?.len())
    }

    /// Who leads a partition now.
    pub fn leader(&mut self, partition: usize) -> Done<Broker> {
        let name = self.name.clone();
        match self.leaders()?.get(partition).cloned().flatten() {
            Some(leader) => Ok(leader),
            None => {
                self.leaders = None;
                let text = format!("has no leader for partition {partition} of the topic `{name}` now");
                Err(Trouble { again: true, ..Trouble::new(Why::NotNow(None), text) })
            }
        }
    }

    /// A number for us; any broker gives it.
    pub fn new_producer(&mut self) -> Done<Producer> {
        self.leaders()?;
        self.any(Topic::producer_of)
    }

    fn producer_of(&mut self, broker: &Broker) -> Done<Producer> {
        let link = self.link(broker)?;
        let version = link.version(wire::INIT_PRODUCER_ID)?;
        let bytes = link.ask(wire::INIT_PRODUCER_ID, version, Request::init_producer_id)?;
        let (error, id, epoch) = link.read(&bytes, Answer::init_producer_id)?;
        link.well(error, "")?;
        Ok(Producer { id, epoch })
    }

    /// Sends a batch.
    pub fn produce(&mut self, leader: &Broker, partition: usize, batch: &[u8]) -> Done<Produced> {
        let name = self.name.clone();
        // Half of our own patience: so that the broker is the first to say that it was too long.
        let patience = (self.times.first_byte.as_millis() / 2).clamp(1, i32::MAX as u128) as i32;
        let link = match self.link(leader) {
            Ok(link) => link,
            Err(t) => {
                // Nobody is there: perhaps somebody else leads it now.
                self.leaders = None;
                return Err(t);
            }
        };
        let version = link.version(wire::PRODUCE)?;
        let answer = link
            .ask(wire::PRODUCE, version, |r| r.produce(&name, partition as i32, patience, batch))
            .and_then(|bytes| link.read(&bytes, |a| a.produce(version)?.of(partition as i32)));
        answer.map_err(|t| {
            self.links.remove(leader);
            self.leaders = None;
            match t.why {
                Why::NotSent(kind) => Trouble { why: Why::Unanswered(kind), ..t },
                _ => t,
            }
        })
    }

    fn leaders(&mut self) -> Done<&[Option<Broker>]> {
        if self.leaders.is_none() {
            let metadata = self.any(Topic::metadata_of)?;
            match metadata.error {
                0 => {}
                code => return Err(self.wrong_topic(code)),
            }
            let place = |b: &wire::Broker| (b.host.clone(), b.port);
            self.known = metadata.brokers.iter().take(limits::KAFKA_BROKERS).map(place).collect();
            let leader = |id| metadata.brokers.iter().find(|b| b.id == id).map(place);
            let all: Vec<Option<Broker>> = metadata.partitions.iter().map(|p| leader(p.leader)).collect();
            if all.is_empty() {
                return Err(self.wrong_topic(errors::UNKNOWN_TOPIC));
            }
            self.links.retain(|b, _| all.iter().flatten().any(|l| l == b));
            self.leaders = Some(all);
        }
        Ok(self.leaders.as_deref().unwrap_or_default())
    }

    fn wrong_topic(&self, code: i16) -> Trouble {
        let row = errors::find(code);
        let text = errors::words(code, "", &format!("about the topic `{}`", self.name));
        Trouble { again: row.sense == errors::Sense::Moved, ..Trouble::new(row.sense.why(), text) }
    }

    /// Asks one broker after the other: those that we speak with, those that we shall, those that were named, those that the
    /// cluster had.
    fn any<T>(&mut self, ask: impl Fn(&mut Topic, &Broker) -> Done<T>) -> Done<T> {
        let mut all: Vec<Broker> = Vec::new();
        let leaders = self.leaders.iter().flatten().flatten();
        for broker in self.links.keys().chain(leaders).chain(&self.named).chain(&self.known) {
            if !all.contains(broker) {
                all.push(broker.clone());
            }
        }
        let mut failed: Vec<Trouble> = Vec::new();
        for broker in &all {
            match ask(self, broker) {
                Ok(answer) => return Ok(answer),
                Err(t) => {
                    self.links.remove(broker);
                    failed.push(t);
                }
            }
        }
        self.leaders = None;
        // One that knows us not, or cannot be spoken to so, says more than one that is away.
        let weighs = |t: &Trouble| !matches!(t.why, Why::NotSent(_));
        let at = failed.iter().position(weighs).unwrap_or_default();
        let words: Vec<String> = failed.iter().map(|t| t.said.text.clone()).collect();
        match failed.into_iter().nth(at) {
            Some(t) if matches!(t.why, Why::NotSent(_)) => Err(Trouble::new(t.why, deduplicated(words).join("; "))),
            Some(t) => Err(t),
            None => Err(Failure::new(FailureKind::Connect, "there is no broker").into()),
        }
    }

    fn metadata_of(&mut self, broker: &Broker) -> Done<Metadata> {
        let (name, anonymous) = (self.name.clone(), self.login.is_none());
        let link = self.link(broker)?;
        let version = link.version(wire::METADATA)?;
        let answer = link
            .ask(wire::METADATA, version, |r| r.metadata(version, &name))
            .and_then(|bytes| link.read(&bytes, |a| a.metadata(version)));
        answer.map_err(|t| match t.why {
            Why::NotSent(FailureKind::Closed) if anonymous => {
                Trouble::new(t.why, format!("{}: does it want a login (--user, --password-file, --sasl)?", t.said.text))
            }
            _ => t,
        })
    }

    /// Where a place comes from that stands in no option.
    fn named_by_cluster(&self, broker: &Broker, t: Trouble) -> Trouble {
        if self.named.contains(broker) {
            return t;
        }
        let text =
            format!("{}; the cluster says that a broker is there: look at its advertised.listeners", t.said.text);
        Trouble { said: Said { text, ..t.said }, ..t }
    }

    /// A connection to a broker that can be asked.
    fn link(&mut self, broker: &Broker) -> Done<&mut Link> {
        if !self.links.get_mut(broker).is_some_and(Link::is_good) {
            self.links.remove(broker);
            let place = Place::Net { host: broker.0.clone(), port: broker.1 };
            let dial = Dial { tls: self.tls.clone(), ..Dial::new(place) };
            let mut link = Link::open(&dial, self.times, self.end).map_err(|t| self.named_by_cluster(broker, t))?;
            if let Some(login) = &mut self.login {
                login.run(&mut link)?;
            }
            self.links.insert(broker.clone(), link);
        }
        let end = self.end;
        match self.links.get_mut(broker) {
            Some(link) => {
                link.end = end;
                Ok(link)
            }
            None => Err(Failure::new(FailureKind::Connect, "there is no connection").into()),
        }
    }
}

/// Brokers behind one name say the same.
fn deduplicated(mut words: Vec<String>) -> Vec<String> {
    words.dedup();
    words
}
