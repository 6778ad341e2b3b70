//! Events to bytes: one pure file for each format, one row in the table. ○
//!
//! A format is how one event is written, how events are put together where the transport leaves it to the format, and what
//! the whole is called. It sees an `Event` and nothing else.

pub mod gostech;
pub mod json;
pub mod pen;
#[cfg(test)]
mod tests;

use crate::audit::delivery::event::Event;
use crate::audit::delivery::frame::Frame;
pub use pen::Pen;

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
