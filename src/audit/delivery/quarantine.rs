//! Events that a receiver refuses for their content: one JSON line each, with the answer, beside the spool.
//!
//! A line is on the platter before the cursor passes the event. Refuses: to grow beyond its bound (then the event is kept
//! in the spool), to lose what came before a torn line.

use crate::audit::delivery::parcel::Said;
use crate::audit::record::Kind;
use crate::audit::seal::StreamId;
use crate::audit::spool::disk::Disk;
use crate::audit::spool::record::{Head, Stored};
use crate::json;
use crate::limits;
use crate::stamp;
use crate::sys::crash;
use serde_json::Value;
use std::io;
use std::sync::Arc;

/// The file of a receiver.
pub fn file_name(receiver: &str) -> String {
    format!("quarantine-{receiver}.jsonl")
}

/// A line for an event that was refused.
pub fn line(r: &Stored<'_>, head: &Arc<Head>, id: &str, said: &Said, now_ms: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(r.raw.len() + 512);
    let status = said.status.map_or_else(|| "null".into(), |s| s.to_string());
    out.extend_from_slice(
        format!("{{\"quarantined_at\":\"{}\",\"status\":{status}", stamp::rfc3339_text(now_ms)).as_bytes(),
    );
    let i = &head.identity;
    let texts = [
        ("answer", said.text.as_str()),
        ("id", id),
        ("cluster", &i.cluster),
        ("instance", &i.instance),
        ("node", &i.node),
    ];
    for (name, text) in texts {
        out.extend_from_slice(format!(",\"{name}\":\"").as_bytes());
        json::push_text(&mut out, text.as_bytes());
        out.push(b'"');
    }
    let (kind, part, parts) = (r.kind as u8, r.part, r.parts);
    out.extend_from_slice(
        format!(",\"seq\":{},\"read_ms\":{},\"kind\":{kind},\"part\":{part},\"parts\":{parts}", r.seq, r.read_ms)
            .as_bytes(),
    );
    if let Some((stream, seq)) = head.seal.and_then(|s| Some((s.id, s.seq(r.seq)?))) {
        out.extend_from_slice(format!(",\"seal\":[\"{stream}\",{seq}]").as_bytes());
    }
    crate::audit::delivery::format::json::push_raw(&mut out, r.raw);
    out.extend_from_slice(b"}\n");
    out
}

/// An event in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// When it was refused.
    pub at: String,
    /// With which number, where the protocol has one.
    pub status: Option<u16>,
    /// In which words.
    pub answer: String,
    /// Its document id.
    pub id: String,
    /// Where it came from.
    pub identity: crate::audit::spool::record::Identity,
    /// What it is.
    pub kind: Kind,
    /// When it was read.
    pub read_ms: i64,
    /// Which piece of an oversize line, of how many.
    pub part: (u32, u32),
    /// Its stream of evidence, and its number there.
    pub sealed: Option<(StreamId, u64)>,
    /// Its bytes.
    pub raw: Vec<u8>,
}

/// A line without the zeros before it: those are what a failed sync or a power cut has left of another.
pub fn without_zeros(line: &[u8]) -> &[u8] {
    &line[line.iter().position(|b| *b != 0).unwrap_or(line.len())..]
}

/// Reads a line; none when it is no whole one.
pub fn parse(line: &[u8]) -> Option<Held> {
    let v: Value = serde_json::from_slice(without_zeros(line)).ok()?;
    let text = |name: &str| v[name].as_str().map(String::from);
    let raw = match v["raw"].as_str() {
        Some(raw) => raw.as_bytes().to_vec(),
        None => json::from_base64(v["raw_base64"].as_str()?)?,
    };
    // A number that does not fit its place was not written by us: cut down, it would be another one.
    let small = |name: &str| u32::try_from(v[name].as_u64()?).ok();
    Some(Held {
        at: text("quarantined_at")?,
        status: match &v["status"] {
            Value::Null => None,
            _ => Some(u16::try_from(small("status")?).ok()?),
        },
        answer: text("answer")?,
        id: text("id")?,
        identity: crate::audit::spool::record::Identity {
            cluster: text("cluster")?,
            instance: text("instance")?,
            node: text("node")?,
        },
        kind: Kind::of(u8::try_from(small("kind")?).ok()?)?,
        read_ms: v["read_ms"].as_i64().filter(|ms| ms.unsigned_abs() <= limits::SPOOL_NUMBER_MAX)?,
        part: (small("part")?, small("parts")?),
        sealed: v["seal"][0].as_str().and_then(StreamId::parse).zip(v["seal"][1].as_u64()),
        raw,
    })
}

/// The quarantine of one receiver, for its sender.
#[derive(Debug)]
pub struct Quarantine {
    file: String,
    max: u64,
    /// The last line was put in order: a disk that failed may have kept none, some or other bytes of it. Of a line that an
    /// earlier worker has put nobody knows.
    sound: bool,
    /// The file's name is on the platter. That its bytes are there says nothing of that: the sync may have failed.
    named: bool,
}

impl Quarantine {
    /// Of a receiver, bounded to `max` bytes.
    pub fn new(receiver: &str, max: u64) -> Quarantine {
        Quarantine { file: file_name(receiver), max, sound: false, named: false }
    }

    /// Puts a line on the platter. `StorageFull`: there is no room, nothing was written.
    pub fn put(&mut self, disk: &dyn Disk, line: &[u8]) -> io::Result<()> {
        // Looked at each time: `quarantine retry` takes the file away while we run.
        disk.look_again(&self.file);
        let bytes = disk.list()?.iter().find(|f| f.name == self.file).map_or(0, |f| f.bytes);
        if bytes + line.len() as u64 > self.max {
            let text = format!("`{}` has reached its --quarantine-max of {} bytes", self.file, self.max);
            return Err(io::Error::new(io::ErrorKind::StorageFull, text));
        }
        // A line that a death, a power cut or a failed disk has torn stays as it is, and ours is not glued to it.
        let torn = bytes > 0 && (self.ends_torn(disk, bytes)? || !self.sound);
        self.sound = false;
        let line = if torn { [b"\n", line].concat() } else { line.to_vec() };
        crash::torn("quarantine.torn", &line, |half| drop(disk.write_at(&self.file, bytes, half)));
        disk.write_at(&self.file, bytes, &line)?;
        crash::point("quarantine.written");
        disk.sync(&self.file)?;
        self.named &= bytes > 0;
        if !self.named {
            disk.sync_names()?;
            self.named = true;
        }
        self.sound = true;
        Ok(())
    }

    /// Whether the file ends in the middle of a line.
    fn ends_torn(&self, disk: &dyn Disk, bytes: u64) -> io::Result<bool> {
        let mut last = [b'\n'];
        if disk.read_at(&self.file, bytes - 1, &mut last)? == 0 {
            return Ok(true);
        }
        Ok(last != [b'\n'])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::spool::memory_disk::MemoryDisk;
    use crate::audit::spool::record::{decode, encode, Identity, New};

    #[test]
    fn a_torn_line_costs_no_other() {
        let disk = MemoryDisk::open(MemoryDisk::create().unwrap()).unwrap();
        disk.write_at("quarantine-r1.jsonl", 0, b"{\"quarantined_at\":\"20").unwrap();
        let mut q = Quarantine::new("r1", 1000);
        (0..2).for_each(|_| q.put(&disk, b"{}\n").unwrap());
        let all = crate::audit::spool::disk::read_all(&disk, "quarantine-r1.jsonl", 2000).unwrap().unwrap();
        assert!(all.ends_with(b"20\n{}\n{}\n"));
        // The next worker sees a whole line, and its sync may have failed all the same.
        Quarantine::new("r1", 1000).put(&disk, b"{}\n").unwrap();
        let all = crate::audit::spool::disk::read_all(&disk, "quarantine-r1.jsonl", 2000).unwrap().unwrap();
        assert!(all.ends_with(b"{}\n\n{}\n"));
    }

    fn l_of(all: &[u8]) -> Vec<u8> {
        all.split(|b| *b == b'\n').next().unwrap_or_default().to_vec()
    }

    #[test]
    fn what_is_put_comes_back_and_the_bound_holds() {
        let identity = Identity { cluster: "c".into(), instance: "i".into(), node: "n".into() };
        let head = Arc::new(Head { first_seq: 1, identity, ..Head::default() });
        let disk = MemoryDisk::open(MemoryDisk::create().unwrap()).unwrap();
        let mut q = Quarantine::new("r1", 1000);
        let mut put = 0;
        for raw in [&b"{\"a\":\"\xd1\x8f\"}"[..], b"\xff\n", b"x", b"y", b"z"] {
            let none = crate::json::Span::default();
            let mut bytes = Vec::new();
            let kind = Kind::Unparsed;
            encode(
                &mut bytes,
                &head,
                9,
                &New { kind, raw, id: none, time: none, part: 1, parts: 2, stream: 0, read_ms: 7, form: None },
            );
            let r = decode(&head, &bytes).unwrap();
            let said = Said { status: Some(400), text: "no\n\"good\"".into() };
            let l = line(&r, &head, "c/i/-/00", &said, 0);
            let h = parse(&l).unwrap();
            assert_eq!(
                (h.raw.as_slice(), h.status, h.answer.as_str(), h.part),
                (raw, Some(400), "no\n\"good\"", (1, 2))
            );
            assert_eq!((h.identity.node.as_str(), h.kind, h.read_ms), ("n", Kind::Unparsed, 7));
            match q.put(&disk, &l) {
                Ok(()) => put += 1,
                Err(e) => assert_eq!(e.kind(), io::ErrorKind::StorageFull),
            }
        }
        assert!(put > 1 && put < 5);
        let all = crate::audit::spool::disk::read_all(&disk, "quarantine-r1.jsonl", 2000).unwrap().unwrap();
        assert_eq!(all.split(|b| *b == b'\n').filter_map(parse).count(), put);
        assert!(parse(b"{}").is_none() && parse(&all[..20]).is_none());
        // A number that does not fit its place is no other number.
        let lies = String::from_utf8(l_of(&all)).unwrap();
        for (number, large) in [
            ("\"status\":400", "\"status\":65936"),
            ("\"kind\":3", "\"kind\":259"),
            ("\"part\":1", "\"part\":4294967297"),
        ] {
            assert!(lies.contains(number) && parse(lies.replace(number, large).as_bytes()).is_none(), "{large}");
        }
        // A torn line costs itself and not the next one; a file that was taken away is begun anew.
        disk.truncate("quarantine-r1.jsonl", 20).unwrap();
        let whole = all.split(|b| *b == b'\n').next().unwrap();
        q.put(&disk, &[whole, b"\n"].concat()).unwrap();
        let lines = crate::audit::spool::disk::read_all(&disk, "quarantine-r1.jsonl", 2000).unwrap().unwrap();
        assert_eq!(lines.split(|b| *b == b'\n').filter_map(parse).count(), 1);
        disk.rename("quarantine-r1.jsonl", "away").unwrap();
        q.put(&disk, &[whole, b"\n"].concat()).unwrap();
        let lines = crate::audit::spool::disk::read_all(&disk, "quarantine-r1.jsonl", 2000).unwrap().unwrap();
        assert_eq!(lines.len(), whole.len() + 1);
    }
}
