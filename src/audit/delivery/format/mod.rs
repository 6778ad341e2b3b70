//! Events to bytes: one pure file for each format, one row in the table. ○
//!
//! A format is how one event is written, how events are put together where the transport leaves it to the format, and what
//! the whole is called. It sees an `Event` and nothing else.

pub mod cef;
pub mod ecs;
pub mod fields;
pub mod gelf;
pub mod gostech;
pub mod journal;
pub mod json;
pub mod leef;
pub mod loki;
pub mod manner;
pub mod otlp;
pub mod pen;
pub mod syslog;
#[cfg(test)]
mod tests;
pub mod titles;

use crate::audit::delivery::event::Event;
use crate::audit::delivery::frame::Frame;
use crate::joined;
pub use manner::Manner;
pub use pen::Pen;
use std::sync::Arc;

/// A row of the table.
#[derive(Debug)]
pub struct Format {
    /// The name that `--format` takes.
    pub name: &'static str,
    /// What the body is.
    pub content_type: &'static str,
    /// How events are put together where the transport leaves it to the format.
    pub frame: Frame,
    /// The event's node in `X-Node-ID`.
    pub node_header: bool,
    /// Writes one event.
    pub write: fn(&mut Pen, &mut Vec<u8>, &Event<'_>),
}

/// How events become a parcel.
#[derive(Clone, Debug)]
pub struct Form {
    /// How one event is written.
    pub format: &'static Format,
    /// How they are put together.
    pub frame: Frame,
    /// What options say of how they are written.
    pub manner: Arc<Manner>,
}

impl Format {
    /// With the frame of the transport, where that has one.
    pub fn form(&'static self, frame: Option<Frame>) -> Form {
        Form { format: self, frame: frame.unwrap_or(self.frame), manner: Arc::default() }
    }
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
    Format {
        name: "ecs",
        content_type: "application/json",
        frame: Frame::Array,
        node_header: false,
        write: ecs::write,
    },
    Format { name: "cef", content_type: "text/plain", frame: Frame::Lines, node_header: false, write: cef::write },
    Format { name: "leef", content_type: "text/plain", frame: Frame::Lines, node_header: false, write: leef::write },
    Format {
        name: "gelf",
        content_type: "application/json",
        frame: Frame::Alone,
        node_header: false,
        write: gelf::write,
    },
    Format {
        name: "gelf-lines",
        content_type: "application/json",
        frame: Frame::Lines,
        node_header: false,
        write: gelf::write,
    },
    Format {
        name: "loki",
        content_type: "application/json",
        frame: Frame::Within(["{\"streams\":[", ",\n", "]}\n"]),
        node_header: false,
        write: loki::write,
    },
    Format {
        name: "otlp",
        content_type: "application/json",
        frame: Frame::Within(["{\"resourceLogs\":[", ",\n", "]}\n"]),
        node_header: false,
        write: otlp::write,
    },
    Format {
        name: "rfc5424",
        content_type: "text/plain",
        frame: Frame::Lines,
        node_header: false,
        write: |pen, out, e| syslog::rfc5424(pen, out, e, json::write),
    },
    Format {
        name: "rfc5424-cef",
        content_type: "text/plain",
        frame: Frame::Lines,
        node_header: false,
        write: |pen, out, e| syslog::rfc5424(pen, out, e, cef::write),
    },
    Format {
        name: "rfc5424-leef",
        content_type: "text/plain",
        frame: Frame::Lines,
        node_header: false,
        write: |pen, out, e| syslog::rfc5424(pen, out, e, leef::write),
    },
    Format {
        name: "rfc3164",
        content_type: "text/plain",
        frame: Frame::Lines,
        node_header: false,
        write: |pen, out, e| syslog::rfc3164(pen, out, e, json::write),
    },
    Format {
        name: "rfc3164-cef",
        content_type: "text/plain",
        frame: Frame::Lines,
        node_header: false,
        write: |pen, out, e| syslog::rfc3164(pen, out, e, cef::write),
    },
    Format {
        name: "journal",
        content_type: "application/octet-stream",
        frame: Frame::Bare,
        node_header: false,
        write: journal::write,
    },
];

/// The row of a name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|f| f.name == name)
}

/// `json|ndjson|…`: what `--format` takes.
pub const CHOICES: &str = joined!(&{
    let mut parts = [""; 2 * FORMATS.len()];
    let mut i = 0;
    while i < FORMATS.len() {
        parts[2 * i] = FORMATS[i].name;
        parts[2 * i + 1] = if i + 1 < FORMATS.len() { "|" } else { "" };
        i += 1;
    }
    parts
});
