//! What a transport says of itself, for all places that ask: a row of the table. Refuses: to know any transport.

use super::route::Route;
use crate::audit::delivery::frame::Frame;
use crate::audit::delivery::parcel::Sink;
use crate::error::Result;
use crate::flags::Text;
use crate::guard::files::Wish;
use crate::net::target::{Scheme, Target};

/// When events count as taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The receiver has said so.
    Acknowledged,
    /// The other machine's kernel has them; what runs there may still lose them when it dies.
    ReachedPeer,
    /// They were sent.
    Sent,
}

impl Promise {
    /// Whether a receiver that dies may lose what counts as taken.
    pub const fn may_lose(self) -> bool {
        !matches!(self, Promise::Acknowledged)
    }
}

/// A row of the table.
#[derive(Debug)]
pub struct Transport {
    /// How its URLs look.
    pub scheme: &'static Scheme,
    /// How its URLs look, for people.
    pub url: &'static str,
    /// What it is, in a few words.
    pub about: Text,
    /// The formats that it takes; the first is the usual one.
    pub formats: &'static [&'static str],
    /// How events are put together; none: as the format says.
    pub frame: Option<Frame>,
    /// Options of a receiver that it takes, besides those of every receiver; in groups that rows share.
    pub options: &'static [&'static [&'static str]],
    /// When events count as taken.
    pub promise: Promise,
    /// Makes its sink. What could not be right on any day is an error; nothing is connected or read yet.
    pub open: fn(&Route) -> Result<Box<dyn Sink>>,
    /// The files that it needs.
    pub wishes: fn(&Route) -> Vec<Wish>,
}

impl Transport {
    /// How events are put together for a place: its URL may ask one that counts octets for lines (RFC 6587).
    pub fn frame_at(&self, target: &Target) -> Option<Frame> {
        match self.frame {
            Some(Frame::Octets) if target.query("framing") == Some("lf") => Some(Frame::Lines),
            frame => frame,
        }
    }

    /// Whether a receiver of this kind takes an option.
    pub fn takes(&self, option: &str) -> bool {
        OF_EVERY_RECEIVER.contains(&option) || self.options.iter().any(|group| group.contains(&option))
    }
}

/// Options of those that speak TLS.
pub const OF_TLS: &[&str] = &["ca-certificate", "system-ca", "certificate", "private-key", "tls-server-name"];

/// Options that every receiver has.
pub const OF_EVERY_RECEIVER: &[&str] = &[
    "url",
    "name",
    "optional",
    "failover",
    "format",
    "only",
    "skip",
    "batch-events",
    "batch-bytes",
    "linger",
    "quarantine-max",
    "connect-timeout",
    "total-timeout",
];
