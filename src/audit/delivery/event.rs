//! ○ An event as formats see it: made in one place from a stored record, with its document id, times and origin.
//!
//! What a record is called that does not say so itself, and which fields of a cut one can be read, is decided here for all
//! formats. Refuses: to change a byte of a record, to know what a receiver wants.

use crate::audit::record::usual::Usual;
use crate::audit::record::{frame_around, EventId, Kind};
use crate::audit::seal::{self, Form, Hash, Stream, StreamId};
use crate::audit::spool::record::{Head, Identity, Stored};
use crate::json::{self, Kind as Value};
use crate::stamp::{self, Written};
use std::borrow::Cow;

/// What a receiver is to be given of one record.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Its document id, the same for ever: `CLUSTER/INSTANCE/EVENT-ID/HASH`.
    pub id: &'a [u8],
    /// Its time as the database wrote it, and what that means; none where it has no time.
    pub written: Option<(&'a [u8], Written)>,
    /// When it was read, milliseconds since the epoch.
    pub read_ms: i64,
    /// Its number in the spool.
    pub seq: u64,
    /// Its id as the database counts.
    pub number: Option<EventId>,
    /// Where it comes from.
    pub origin: &'a Identity,
    /// Which piece of an oversize line it is, of how many; 0: it is no piece, or nobody knows.
    pub part: (u32, u32),
    /// What it is.
    pub kind: Kind,
    /// Its bytes, without their frame.
    pub raw: &'a [u8],
    /// What the frame says: from which machine, and when it was sent where the record has no time; empty where it does not.
    pub host: &'a [u8],
    /// When it was sent.
    pub sent: &'a [u8],
    /// The stream in which evidence counts it; none: it is in none.
    pub stream: Option<Stream>,
    /// Its leaf, where that was made when it was written.
    pub leaf: Option<(Form, Hash)>,
}

/// What evidence says of an event.
#[derive(Clone, Copy, Debug)]
pub struct Sealed {
    /// The stream.
    pub stream: StreamId,
    /// Its number there.
    pub seq: u64,
    /// Its leaf, and what that is made of.
    pub leaf: (Form, Hash),
}

impl<'a> Event<'a> {
    /// When it happened, by its own word, else when it was read; milliseconds since the epoch.
    pub fn time_ms(&self) -> i64 {
        self.written.map_or(self.read_ms, |(_, w)| w.millis)
    }

    /// What its frame says, as every format that has a place for it writes it: under `gostech`, by these names.
    pub fn framed(&self) -> impl Iterator<Item = (&'static str, Cow<'a, str>)> {
        let all = [("host", self.host), ("sent", self.sent)].into_iter();
        all.filter(|(_, said)| !said.is_empty()).map(|(name, said)| {
            let text = String::from_utf8_lossy(said);
            // The journal counts microseconds.
            let micros = text.parse::<i64>().ok().filter(|_| name == "sent");
            (name, micros.map_or(text, |micros| stamp::rfc3339_text(micros / 1000).into()))
        })
    }

    /// What evidence says of it: the same as the sealer has hashed.
    pub fn sealed(&self) -> Option<Sealed> {
        let stream = self.stream?;
        let seq = stream.seq(self.seq)?;
        let made = || {
            let form = seal::form(self.raw);
            (form, seal::leaf(stream.id, seq, form, self.raw))
        };
        Some(Sealed { stream: stream.id, seq, leaf: self.leaf.unwrap_or_else(made) })
    }

    /// Whether its bytes are a whole JSON object, to be delivered with its fields untouched.
    pub fn is_whole(&self) -> bool {
        matches!(self.kind, Kind::Object | Kind::Own)
    }

    /// Calls `see` with key, kind and value of each field that can be read, in order; texts stay escaped. Bytes that are no
    /// object have none.
    pub fn fields(&self, mut see: impl FnMut(&'a [u8], Value, &'a [u8])) {
        if self.kind == Kind::Unparsed {
            return;
        }
        let raw = self.raw;
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
        json::object(raw, true, |f| {
            let (key, value) = (f.key.of(raw), f.value.of(raw));
            if text(key) && text(value) {
                see(key, f.kind, value);
            }
        });
    }
}

/// Makes events of records, and keeps what is the same from one to the next.
#[derive(Debug, Default)]
pub struct Maker {
    origin: Identity,
    /// What stands before the event id in a document id; empty: of nobody yet.
    namespace: Vec<u8>,
    id: Vec<u8>,
    usual: Usual,
}

impl Maker {
    /// The event of a record of this segment.
    pub fn make<'a>(&'a mut self, r: &Stored<'a>, head: &'a Head) -> Event<'a> {
        if self.namespace.is_empty() || self.origin != head.identity {
            self.origin = head.identity.clone();
            self.namespace = namespace(&self.origin).into_bytes();
        }
        let id = r.id.of(r.raw);
        self.id.clear();
        self.id.extend_from_slice(&self.namespace);
        self.id.extend_from_slice(if id.is_empty() { b"-" } else { id });
        if r.part > 0 {
            self.id.push(b'.');
            json::push_number(&mut self.id, r.part.into());
        }
        self.id.push(b'/');
        let frame = frame_around(r.kind, r.part, r.raw);
        let body = frame.map_or(r.raw, |f| f.body.of(r.raw));
        // By whichever way it comes, it is the same one.
        let hash = if frame.is_some() { crate::hash::xxh64(body, 0) } else { id_hash(r, head) };
        let digits: [u8; 16] = std::array::from_fn(|i| b"0123456789abcdef"[(hash >> (60 - 4 * i) & 15) as usize]);
        self.id.extend_from_slice(&digits);
        let time = r.time.of(r.raw);
        Event {
            id: &self.id,
            written: self.usual.clock.read(time).map(|w| (time, w)),
            read_ms: r.read_ms,
            seq: r.seq,
            number: self.usual.id(id),
            origin: &head.identity,
            part: (r.part, r.parts),
            kind: r.kind,
            raw: body,
            host: frame.map_or(b"", |f| f.host.of(r.raw)),
            sent: frame.filter(|_| time.is_empty()).map_or(b"", |f| f.time.of(r.raw)),
            stream: head.seal,
            leaf: r.written_leaf(),
        }
    }

    /// The document id of a record alone, for people and tools.
    pub fn document_id(&mut self, r: &Stored<'_>, head: &Head) -> String {
        String::from_utf8_lossy(self.make(r, head).id).into_owned()
    }
}

fn namespace(origin: &Identity) -> String {
    let named = |text: &str| if text.is_empty() { "-".to_string() } else { text.to_string() };
    format!("{}/{}/", named(&origin.cluster), named(&origin.instance))
}

/// The hash in a document id: of the raw line; of an event of ours, of its id, so that telling it twice is telling it once. Where
/// evidence counts, each of these is a document: it has its own leaf, and an index that kept one of two would look robbed of the
/// other.
fn id_hash(r: &Stored<'_>, head: &Head) -> u64 {
    match r.kind {
        Kind::Own => crate::hash::xxh64(r.id.of(r.raw), head.seal.and_then(|s| s.seq(r.seq)).unwrap_or(0)),
        _ => r.hash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::read;
    use crate::audit::spool::record::{decode, encode, New};

    fn stored<'a>(bytes: &'a mut Vec<u8>, head: &Head, raw: &[u8], kind: Option<Kind>, part: (u32, u32)) -> Stored<'a> {
        let facts = read(raw, kind == Some(Kind::Cut));
        let (kind, id, time, (part, parts)) = (kind.unwrap_or(facts.kind), facts.id, facts.time, part);
        encode(bytes, head, 1, &New { kind, raw, id, time, part, parts, stream: 0, read_ms: 77, form: None });
        decode(head, bytes).expect("a whole record")
    }

    #[test]
    fn an_event_says_what_its_record_says() {
        let identity = Identity { cluster: "c\"1".into(), instance: String::new(), node: "n".into() };
        let head = Head { first_seq: 1, identity, ..Head::default() };
        let raw = br#"{"id":"1.0.26","time":"2026-11-21T04:27:57.349+0300","title":"x"}"#;
        let (mut bytes, mut maker) = (Vec::new(), Maker::default());
        let r = stored(&mut bytes, &head, raw, None, (0, 0));
        let e = maker.make(&r, &head);
        let hash = crate::hash::xxh64(raw, 0);
        assert_eq!(String::from_utf8_lossy(e.id), format!("c\"1/-/1.0.26/{hash:016x}"));
        assert_eq!((e.time_ms(), e.number), (1_795_224_477_349, Some(EventId { raft_id: 1, gen: 0, count: 26 })));
        // Another segment of another place, a piece, and no time of its own.
        let head = Head { first_seq: 1, ..Head::default() };
        let mut bytes = Vec::new();
        let r = stored(&mut bytes, &head, b"junk", None, (2, 3));
        let e = maker.make(&r, &head);
        assert!(e.id.starts_with(b"-/-/-.2/") && e.time_ms() == 77 && e.number.is_none() && !e.is_whole());
    }

    #[test]
    fn what_is_told_twice_is_one_document_but_where_evidence_counts() {
        let stream = Stream { id: StreamId::new(1, [2; 9], seal::Algorithm::Sha256), first: 1 };
        let id = |raw: &[u8], seal: Option<Stream>, seq: u64| {
            let head = Head { first_seq: 1, seal, ..Head::default() };
            let (mut bytes, facts) = (Vec::new(), read(raw, false));
            let (kind, id, time) = (Kind::Own, facts.id, facts.time);
            encode(
                &mut bytes,
                &head,
                seq,
                &New { kind, raw, id, time, part: 0, parts: 0, stream: 0, read_ms: 77, form: None },
            );
            Maker::default().document_id(&decode(&head, &bytes).expect("a whole record"), &head)
        };
        let (gap, list) = (br#"{"id":"gap-1","title":"audit_gap"}"#, br#"{"id":"leaves-00-1","title":"audit_leaves"}"#);
        assert_eq!(id(gap, None, 5), id(gap, None, 6));
        for raw in [&gap[..], &list[..]] {
            assert_eq!(id(raw, Some(stream), 5), id(raw, Some(stream), 5));
            assert_ne!(id(raw, Some(stream), 5), id(raw, Some(stream), 6));
        }
    }

    #[test]
    fn the_fields_of_a_cut_event_are_those_that_are_text() {
        let head = Head { first_seq: 1, ..Head::default() };
        let raw = b"{\"id\":\"1.0.7\",\"n\":[1],\"bad\":\"\xff\",\"message\":\"caf\xc3";
        let (mut bytes, mut maker) = (Vec::new(), Maker::default());
        let r = stored(&mut bytes, &head, raw, Some(Kind::Cut), (0, 0));
        let mut seen = Vec::new();
        maker.make(&r, &head).fields(|k, _, v| seen.push((k.to_vec(), v.to_vec())));
        let text = |s: &str| s.as_bytes().to_vec();
        assert_eq!(seen, [(text("id"), text("1.0.7")), (text("n"), text("[1]")), (text("message"), text("caf"))]);
    }
}
