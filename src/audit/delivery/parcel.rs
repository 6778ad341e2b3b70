//! ○ What is sent in one go, and what became of it: how many events from the front were taken, and why it stopped there.
//!
//! Every transport answers in these words, so the sender knows no protocol. Refuses: numbers that only one protocol has a
//! meaning for; they are shown to people and decide nothing here.

use crate::net::failure::{Failure, FailureKind};
use std::ops::Range;
use std::time::{Duration, SystemTime};

/// Some events, ready to be sent.
#[derive(Clone, Debug)]
pub struct Parcel<'a> {
    /// All of it, put together as the frame says.
    pub bytes: &'a [u8],
    /// Where each event stands in it.
    pub events: &'a [Range<usize>],
    /// Their document ids, and where each stands there.
    pub ids: (&'a [u8], &'a [Range<usize>]),
    /// What it is, for transports that say so.
    pub content_type: &'static str,
    /// The same for the same events, so that a receiver can tell a repeat.
    pub key: &'a str,
    /// The node of its events, for formats that name it beside them.
    pub node: Option<u64>,
    /// The time, for answers that name a date.
    pub wall: SystemTime,
}

impl Parcel<'_> {
    /// How many events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The bytes of an event, as its format wrote them.
    pub fn event(&self, i: usize) -> &[u8] {
        &self.bytes[self.events[i].clone()]
    }

    /// The document id of an event: `CLUSTER/INSTANCE/EVENT-ID/HASH`.
    pub fn id(&self, i: usize) -> &str {
        std::str::from_utf8(&self.ids.0[self.ids.1[i].clone()]).unwrap_or("-")
    }
}

/// What a receiver said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Its number, where the protocol has one.
    pub status: Option<u16>,
    /// The beginning of its words, in one line; or what there was instead of an answer.
    pub text: String,
}

impl Said {
    /// For people.
    pub fn words(&self) -> String {
        let said = self.text.trim();
        match self.status {
            None => said.to_string(),
            Some(status) if said.is_empty() => format!("answered {status}"),
            Some(status) => format!("answered {status}: {said}"),
        }
    }
}

impl From<Failure> for Said {
    fn from(f: Failure) -> Said {
        Said { status: None, text: f.text }
    }
}

/// What it takes to believe that an event's content is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// That the receiver takes another event and refuses this one again: one that refuses everything is misconfigured.
    NeedsWitness,
    /// Nothing: the transport knows that this event can never be sent, whatever the receiver says.
    Certain,
}

/// Why events were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Their content is at fault.
    Content(Blame),
    /// There is too much of it at once.
    TooLarge,
    /// It does not know or admit us: no text of an event does that.
    Identity,
    /// Somebody has to mend something; it may be the text of an event all the same.
    Configuration,
    /// We ask too often: no text of an event does that either. With the wait that the receiver asks for.
    TooOften(Option<Duration>),
    /// Not now; with the wait that the receiver asks for. It may be the text of an event all the same.
    NotNow(Option<Duration>),
    /// Nothing was sent.
    NotSent(FailureKind),
    /// Something was on its way, and no whole answer came.
    Unanswered(FailureKind),
}

/// Whom a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The first event that was not taken, alone.
    Next,
    /// All that were not taken.
    Rest,
}

/// Where a delivery stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Why.
    pub why: Why,
    /// Which events that is said of.
    pub about: About,
    /// In which words.
    pub said: Said,
}

/// What became of one event of many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Taken,
    /// Its content is at fault: certain, since others were taken in the same answer.
    Refused(Said),
}

/// What became of a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// So many events from the front were taken.
    pub taken: usize,
    /// What became of events behind the stop (by their place in the parcel), where a receiver judges each by itself.
    pub also: Vec<(usize, Verdict)>,
    /// What was said to those that were taken.
    pub said: Said,
    /// Why not all of them.
    pub stop: Option<Stop>,
}

impl Delivery {
    /// All of it was taken.
    pub fn whole(parcel: &Parcel<'_>, said: Said) -> Delivery {
        Delivery { taken: parcel.len(), also: Vec::new(), said, stop: None }
    }

    /// Nothing was taken.
    pub fn none(why: Why, said: Said) -> Delivery {
        Delivery::up_to(0, why, About::Rest, said)
    }

    /// So many were taken.
    pub fn up_to(taken: usize, why: Why, about: About, said: Said) -> Delivery {
        Delivery { taken, also: Vec::new(), said: Said::default(), stop: Some(Stop { why, about, said }) }
    }

    /// Nothing was taken, and nobody has said anything. `sent`: something was on its way.
    pub fn failed(f: Failure, sent: bool) -> Delivery {
        // TLS speaks of us, a secret was never sent, and without a connection nothing was.
        let on_its_way = matches!(f.kind, FailureKind::Timeout | FailureKind::Closed | FailureKind::Protocol);
        let why = if sent && on_its_way { Why::Unanswered(f.kind) } else { Why::NotSent(f.kind) };
        Delivery::none(why, f.into())
    }
}

/// A transport to one receiver.
pub trait Sink: Send {
    /// Delivers one parcel.
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery;
    /// Reads every file that it needs without connecting: the first trouble, if any.
    fn check(&mut self) -> Result<(), Failure> {
        Ok(())
    }
    /// How much of the time that it had the last delivery took, in percent.
    fn spent(&self) -> u32 {
        0
    }
    /// Reads certificates and secrets again.
    fn reload(&mut self);
    /// Gives back what it can do without for a while.
    fn rest(&mut self);
    /// Where it goes, for people, without secrets.
    fn place(&self) -> String;
}
