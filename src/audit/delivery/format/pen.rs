//! ○ What a writer of events keeps from one to the next, so that it is written once. Refuses: to know a format.

use super::manner::Manner;
use crate::audit::seal::StreamId;
use crate::audit::spool::record::Identity;
use std::sync::Arc;

/// What a writer of events keeps from one to the next: texts that are the same for all events of one origin.
#[derive(Debug, Default)]
pub struct Pen {
    origin: Identity,
    /// `,"node":"…","cluster":"…","instance":"…","read_at":"`; empty: of nobody yet.
    place: Vec<u8>,
    /// The stream that was written last, and what is written of it.
    stream: Option<(StreamId, String)>,
    second: Option<i64>,
    stamp: [u8; crate::stamp::RFC3339_BYTES],
    manner: Arc<Manner>,
}

impl Pen {
    /// One that writes as options say.
    pub fn new(manner: &Arc<Manner>) -> Pen {
        Pen { manner: Arc::clone(manner), ..Pen::default() }
    }

    /// What options say of how events are written.
    pub fn manner(&self) -> &Manner {
        &self.manner
    }

    /// What is the same in all JSON events of an origin.
    pub fn place(&mut self, origin: &Identity) -> &[u8] {
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

    /// What is the same in all JSON events of a stream of evidence: `,"seal":{"stream":"…","seq":`.
    pub fn sealed(&mut self, id: StreamId) -> &[u8] {
        if self.stream.as_ref().is_none_or(|known| known.0 != id) {
            self.stream = Some((id, format!(",\"seal\":{{\"stream\":\"{id}\",\"seq\":")));
        }
        self.stream.as_ref().map_or(b"", |known| known.1.as_bytes())
    }

    /// A time as RFC 3339; the second is written once.
    pub fn stamp(&mut self, ms: i64) -> &[u8] {
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
