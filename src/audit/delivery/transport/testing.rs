//! Parcels for the unit tests of transports. Refuses: to be in a program.

use crate::audit::delivery::parcel::Parcel;
use std::ops::Range;
use std::time::{Duration, SystemTime};

/// Events with their ids, a line each.
pub struct Lines {
    bytes: Vec<u8>,
    events: Vec<Range<usize>>,
    ids: Vec<u8>,
    names: Vec<Range<usize>>,
}

impl Lines {
    /// Of these numbers: each event holds its id, and some filling.
    pub fn of(numbers: Range<usize>, filling: usize) -> Lines {
        let (mut bytes, mut events, mut ids, mut names) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for n in numbers {
            let (from, id) = (bytes.len(), format!("c/i/1.0.{n}/{n:016x}"));
            bytes.extend(
                format!("{{\"@timestamp\":\"2026\",\"id\":\"{id}\",\"x\":\"{}\"}}", "x".repeat(filling)).bytes(),
            );
            events.push(from..bytes.len());
            bytes.push(b'\n');
            let at = ids.len();
            ids.extend(id.bytes());
            names.push(at..ids.len());
        }
        Lines { bytes, events, ids, names }
    }

    /// All of them.
    pub fn parcel(&self) -> Parcel<'_> {
        self.parcel_at(1_795_224_477)
    }

    /// The same at another time.
    pub fn parcel_at(&self, seconds: u64) -> Parcel<'_> {
        Parcel {
            bytes: &self.bytes,
            events: &self.events,
            ids: (&self.ids, &self.names),
            content_type: "",
            key: "",
            node: None,
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        }
    }

    /// The text of all.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}
