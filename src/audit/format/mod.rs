//! Events to bytes: one pure file for each format, one row in the table. ○
//!
//! A format is how one event is written, how events are put together where the transport leaves it to the format, and what
//! the whole is called. It sees an `Event` and nothing else.

pub mod gostech;
pub mod json;
#[cfg(test)]
mod tests;

use super::event::Event;
use super::frame::Frame;
use super::spool::record::Identity;

/// A row of the table.
#[derive(Debug)]
pub struct Format {
    /// The name that `--format` takes.
    pub name: &'static str,
    /// What the body is.
    pub content_type: &'static str,
    /// How events are put together.
    pub frame: Frame,
    /// The event's node in `X-Node-ID`.
    pub node_header: bool,
    /// Writes one event.
    pub write: fn(&mut Pen, &mut Vec<u8>, &Event<'_>),
}

/// All formats.
pub const FORMATS: &[Format] = &[
    Format {
        name: "json",
        content_type: "application/json",
        frame: Frame::Array,
        node_header: false,
        write: json::write,
    },
    Format {
        name: "ndjson",
        content_type: "application/x-ndjson",
        frame: Frame::Lines,
        node_header: false,
        write: json::write,
    },
    Format {
        name: "single",
        content_type: "application/json",
        frame: Frame::Alone,
        node_header: false,
        write: json::write,
    },
    Format {
        name: "gostech",
        content_type: "application/json",
        frame: Frame::Alone,
        node_header: true,
        write: gostech::write,
    },
];

/// The row of a name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|f| f.name == name)
}

/// What a writer of events keeps from one to the next: texts that are the same for all events of one origin.
#[derive(Debug, Default)]
pub struct Pen {
    origin: Identity,
    /// `,"node":"…","cluster":"…","instance":"…","read_at":"`; empty: of nobody yet.
    place: Vec<u8>,
    second: Option<i64>,
    stamp: [u8; crate::stamp::RFC3339_BYTES],
}

impl Pen {
    /// What is the same in all JSON events of an origin.
    fn place(&mut self, origin: &Identity) -> &[u8] {
        if self.place.is_empty() || self.origin != *origin {
            self.origin = origin.clone();
            self.place.clear();
            for (name, text) in [("node", &origin.node), ("cluster", &origin.cluster), ("instance", &origin.instance)] {
                self.place.extend_from_slice(format!(",\"{name}\":\"").as_bytes());
                crate::json::push_text(&mut self.place, text.as_bytes());
                self.place.push(b'"');
            }
            self.place.extend_from_slice(b",\"read_at\":\"");
        }
        &self.place
    }

    /// A time as RFC 3339; the second is written once.
    fn stamp(&mut self, ms: i64) -> &[u8] {
        let second = ms.div_euclid(1000);
        if self.second != Some(second) {
            self.stamp = crate::stamp::rfc3339(ms);
            self.second = Some(second);
        }
        let milli = ms.rem_euclid(1000) as u32;
        for (i, unit) in [100, 10, 1].into_iter().enumerate() {
            self.stamp[20 + i] = b'0' + (milli / unit % 10) as u8;
        }
        &self.stamp
    }
}
