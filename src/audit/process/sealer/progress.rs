//! ○ How far sealing is, as it is kept between workers and over a power cut. Pure. Refuses: what it would not write.

use crate::audit::record::EventId;
use crate::audit::seal::checkpoint::After;
use crate::audit::seal::text::hashes;
use crate::audit::seal::{of_base64, to_base64, Algorithm, Hash, Stream, StreamId, Tree};
use crate::{limits, sorted};
use serde_json::{json, Value};

/// That.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The stream.
    pub stream: Stream,
    /// What it follows.
    pub after: After,
    /// How many of its records are in lists that are in the spool.
    pub size: u64,
    /// The edge of the tree of these.
    pub edge: Vec<Hash>,
    /// The number of the last checkpoint that is in the spool, and the hash of its body.
    pub last: Option<(u64, Hash)>,
    /// The last event of each start of the database.
    pub ids: Vec<EventId>,
    /// The streams that this spool had before, the oldest first.
    pub past: Vec<Stream>,
}

impl Progress {
    /// A stream of which nothing is sealed.
    pub fn of(stream: Stream, after: After) -> Progress {
        Progress { stream, after, size: 0, edge: Vec::new(), last: None, ids: Vec::new(), past: Vec::new() }
    }

    /// The tree of what is sealed.
    pub fn tree(&self) -> Option<Tree> {
        Tree::resume(self.stream.id.algorithm(), self.size, &self.edge)
    }

    /// The stream that begins now, where this one has ended, with this tree: evidence alone at its end may be in no list.
    pub fn followed_by(&self, stream: Stream, tree: &Tree) -> Progress {
        let after = After::Stream(self.stream.id, tree.size(), tree.root());
        let (last, past, ids) = (self.last, self.past.clone(), self.ids.clone());
        let mut next = Progress { last, past, ids, ..Progress::of(stream, after) };
        next.add_past(self.stream);
        next
    }

    /// A stream that this spool had before.
    pub fn add_past(&mut self, stream: Stream) {
        if self.past.len() >= limits::SEAL_STREAMS {
            self.past.remove(0);
        }
        self.past.push(stream);
        sorted::by_key(&mut self.past, |s| s.first);
    }

    /// A later event of the database was sealed.
    pub fn see(&mut self, id: EventId) {
        match self.ids.iter_mut().rev().find(|i| (i.raft_id, i.gen) == (id.raft_id, id.gen)) {
            Some(known) => known.count = known.count.max(id.count),
            None => {
                if self.ids.len() >= limits::SEAL_IDS {
                    self.ids.remove(0);
                }
                self.ids.push(id);
            }
        }
    }

    /// Of which stream a record of this spool is.
    pub fn stream_of(&self, number: u64) -> Option<Stream> {
        std::iter::once(&self.stream).chain(self.past.iter().rev()).find(|s| s.first <= number).copied()
    }

    /// As bytes for its file.
    pub fn save(&self) -> Vec<u8> {
        let stream = |s: &Stream| json!([s.id.to_string(), s.first]);
        let after = match &self.after {
            After::None => json!(null),
            After::Unknown => json!("unknown"),
            After::Stream(id, size, root) => json!([id.to_string(), size, to_base64(root)]),
        };
        let ids: Vec<[u64; 3]> = self.ids.iter().map(|i| [i.raft_id, i.gen, i.count]).collect();
        json!({
            "stream": stream(&self.stream), "after": after, "size": self.size, "edge": to_base64(self.edge.as_flattened()),
            "last": self.last.map(|(number, hash)| json!([number, to_base64(&hash)])), "ids": ids,
            "past": self.past.iter().map(stream).collect::<Vec<_>>(),
        })
        .to_string()
        .into_bytes()
    }

    /// From such bytes.
    pub fn load(bytes: &[u8]) -> Option<Progress> {
        let v: Value = serde_json::from_slice(bytes).ok()?;
        let last = match &v["last"] {
            Value::Null => None,
            last => Some((last[0].as_u64()?, read_hash(&last[1])?)),
        };
        let after = match &v["after"] {
            Value::Null => After::None,
            Value::String(_) => After::Unknown,
            a => After::Stream(StreamId::parse(a[0].as_str()?)?, a[1].as_u64()?, read_hash(&a[2])?),
        };
        let id = |i: &Value| Some(EventId { raft_id: i[0].as_u64()?, gen: i[1].as_u64()?, count: i[2].as_u64()? });
        let found = Progress {
            stream: read_stream(&v["stream"])?,
            after,
            size: v["size"].as_u64().filter(|n| *n <= limits::SPOOL_NUMBER_MAX)?,
            edge: hashes(&of_base64(v["edge"].as_str()?)?)?,
            last,
            ids: v["ids"].as_array()?.iter().take(limits::SEAL_IDS).map(id).collect::<Option<_>>()?,
            past: v["past"].as_array()?.iter().take(limits::SEAL_STREAMS).map(read_stream).collect::<Option<_>>()?,
        };
        found.tree().map(|_| found)
    }
}

fn read_stream(v: &Value) -> Option<Stream> {
    let id = StreamId::parse(v[0].as_str()?)?;
    let first = v[1].as_u64().filter(|n| (1..=limits::SPOOL_NUMBER_MAX).contains(n))?;
    Algorithm::of_byte(id.0[15]).map(|_| Stream { id, first })
}

fn read_hash(v: &Value) -> Option<Hash> {
    of_base64(v.as_str()?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Progress {
        let stream = |n: u64| Stream { id: StreamId::new(n as i64, [7; 9], Algorithm::Sha256), first: n };
        let mut tree = Tree::new(Algorithm::Sha256);
        (0..300u64).for_each(|n| tree.push([n as u8; 32]));
        let mut p = Progress::of(stream(100), After::Unknown);
        (p.size, p.edge, p.last) = (tree.size(), tree.edge().to_vec(), Some((4, [1; 32])));
        (0..limits::SEAL_IDS as u64 + 3).for_each(|n| p.see(EventId { raft_id: n, gen: 1, count: u64::MAX }));
        p.past = (1..limits::SEAL_STREAMS as u64).map(stream).collect();
        p.followed_by(stream(1 << 59), &tree)
    }

    #[test]
    fn comes_back_and_fits() {
        let mut p = full();
        assert_eq!(Progress::load(&p.save()), Some(p.clone()));
        (p.size, p.edge) = ((1 << 60) - 1, vec![[0xff; 32]; 60]);
        assert!(p.save().len() < limits::SEAL_SLOT_BYTES as usize - 64, "{}", p.save().len());
        assert_eq!(Progress::load(&p.save()), Some(p.clone()));
        assert_eq!(
            (p.stream_of(1 << 59).map(|s| s.first), p.stream_of(120).map(|s| s.first)),
            (Some(1 << 59), Some(100))
        );
        assert_eq!(p.stream_of(12).map(|s| s.first), Some(12));
        assert_eq!(p.stream_of(0), None);
    }

    #[test]
    fn what_it_would_not_write_is_not_read() {
        let good = String::from_utf8(full().save()).unwrap();
        let tampered = ["\"size\":0", "\"edge\":\"\"", "\"stream\":", "\"ids\":", "\"past\":"];
        for (i, from) in tampered.iter().enumerate() {
            assert!(good.contains(from), "{good}");
            let bad = good.replacen(from, ["\"size\":7", "\"edge\":\"AA\"", "\"x\":", "\"y\":", "\"z\":"][i], 1);
            assert_eq!(Progress::load(bad.as_bytes()), None, "{from}");
        }
        assert_eq!(Progress::load(b""), None);
    }
}
