//! ○ A checkpoint: the size and root of a stream at one moment, and all that explains what is not in an index.
//!
//! What is signed is the text that `write` makes, a line for each matter; a reader passes over lines that it does not know.
//! Refuses: an edge that does not give the root, a body whose second hash is another one.

use super::leaf::canonical;
use super::note::{VerifierKey, NAME};
use super::stream::{Algorithm, Hash, StreamId};
use super::text::{escaped, hashes, number, of_base64, push_ranges, ranges, to_base64, unescaped};
use super::tree::Tree;
use crate::audit::record::EventId;
use crate::{json, limits, stamp, words};

/// The title of its event.
pub const TITLE: &str = "audit_checkpoint";

/// What it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The program has begun to work.
    Start,
    /// Enough records have come.
    Records,
    /// It was time.
    Time,
    /// The input has ended.
    Stop,
    /// The database has begun another log.
    Rotation,
    /// The stream has ended, and another one begins.
    Closed,
    /// The next one is signed by another key.
    Key,
}

impl Why {
    const ALL: [Why; 7] = [Why::Start, Why::Records, Why::Time, Why::Stop, Why::Rotation, Why::Closed, Why::Key];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Why::Start => "start",
            Why::Records => "records",
            Why::Time => "time",
            Why::Stop => "stop",
            Why::Rotation => "rotation",
            Why::Closed => "closed",
            Why::Key => "key",
        }
    }
}

/// What a stream follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing: it is the first.
    None,
    /// Nobody knows.
    Unknown,
    /// This stream, which ended with this size and root.
    Stream(StreamId, u64, Hash),
}

/// What became of the records for one receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// The first record of the stream that it has not passed; 0: it has not come to the stream.
    pub at: u64,
    /// How many were delivered, of all streams.
    pub delivered: u64,
    /// How many wait.
    pub waiting: u64,
    /// How many were set aside.
    pub quarantined: u64,
    /// How many were dropped.
    pub dropped: u64,
    /// How many its filter has kept back.
    pub filtered: u64,
}

/// Why a receiver does not have some records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// It refused them.
    Quarantined,
    /// There was no room for them.
    Dropped,
}

impl Excuse {
    const ALL: [Excuse; 2] = [Excuse::Quarantined, Excuse::Dropped];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Excuse::Quarantined => "quarantined",
            Excuse::Dropped => "dropped",
        }
    }
}

/// Which records a receiver does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excused {
    /// These.
    Ranges(String, Excuse, Vec<(u64, u64)>),
    /// So many more.
    More(String, u64),
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The stream.
    pub stream: StreamId,
    /// How many leaves it has.
    pub size: u64,
    /// Their root.
    pub root: Hash,
    /// The how-manieth checkpoint of its directory, from 1.
    pub number: u64,
    /// The hash of the body of the one before.
    pub previous: Option<Hash>,
    /// When it was made, milliseconds since the epoch.
    pub time_ms: i64,
    /// Why.
    pub why: Why,
    /// What the stream follows.
    pub after: After,
    /// The edge of its tree.
    pub edge: Vec<Hash>,
    /// The last event of each start of the database, sorted.
    pub ids: Vec<EventId>,
    /// What became of the records, for each receiver.
    pub receivers: Vec<Receiver>,
    /// The filters: whose, and its text.
    pub rules: Vec<(String, String)>,
    /// What receivers do not have, since the checkpoint before.
    pub excused: Vec<Excused>,
    /// The same of records of streams before.
    pub earlier: Vec<(StreamId, Excused)>,
    /// Sealed records that nobody has any more.
    pub lost: Vec<(u64, u64)>,
    /// The key that the next one is signed by.
    pub next_key: Option<VerifierKey>,
    /// Why the other signer has not signed.
    pub sign_failed: Option<String>,
}

impl Checkpoint {
    /// One of this tree, with all else empty.
    pub fn of(stream: StreamId, tree: &Tree, why: Why, time_ms: i64) -> Checkpoint {
        Checkpoint {
            stream,
            size: tree.size(),
            root: tree.root(),
            number: 1,
            previous: None,
            time_ms,
            why,
            after: After::None,
            edge: tree.edge().to_vec(),
            ids: Vec::new(),
            receivers: Vec::new(),
            rules: Vec::new(),
            excused: Vec::new(),
            earlier: Vec::new(),
            lost: Vec::new(),
            next_key: None,
            sign_failed: None,
        }
    }

    /// In words.
    pub fn message(&self) -> String {
        format!("checkpoint {}: {} records of stream {}", self.number, self.size, self.stream)
    }

    /// The body of the note.
    pub fn write(&self) -> String {
        let mut out = format!("{NAME}/{}\n{}\n{}\nversion 1\n", self.stream, self.size, base64(&self.root));
        let mut line = |name: &str, value: &str| out.push_str(&format!("{name} {value}\n"));
        line("number", &self.number.to_string());
        line("previous", &self.previous.map_or("none".into(), |hash| base64(&hash)));
        line("time", &time(self.time_ms));
        line("why", self.why.name());
        line("algorithm", self.stream.algorithm().name());
        line(
            "after",
            &match &self.after {
                After::None => "none".into(),
                After::Unknown => "unknown".into(),
                After::Stream(id, size, root) => format!("{id} {size} {}", base64(root)),
            },
        );
        line("edge", &if self.edge.is_empty() { "none".into() } else { to_base64(self.edge.as_flattened()) });
        self.ids.iter().for_each(|id| line("id", &format!("{}.{} {}", id.raft_id, id.gen, id.count)));
        self.receivers.iter().for_each(|receiver| line("receiver", &receiver.write()));
        self.rules.iter().for_each(|(name, text)| line("rule", &format!("{} {}", escaped(name), escaped(text))));
        self.excused.iter().for_each(|excused| line("excused", &excused.write()));
        self.earlier.iter().for_each(|(of, excused)| line("excused-of", &format!("{of} {}", excused.write())));
        if !self.lost.is_empty() {
            line("lost", &written(&self.lost));
        }
        if let Some(key) = &self.next_key {
            line("next-key", &key.to_string());
        }
        if let Some(text) = &self.sign_failed {
            line("sign-failed", &escaped(text));
        }
        let second = second(&out);
        out.push_str(&format!("{SECOND}{second}\n"));
        out
    }

    /// Reads the body of a note; else what is wrong with it.
    pub fn read(body: &str) -> Result<Checkpoint, String> {
        let mut lines = body.strip_suffix('\n').ok_or("its last line has no end")?.split('\n');
        let mut head = |name: &str| lines.next().ok_or_else(|| format!("it has no {name}"));
        let stream = head("origin")?.strip_prefix(NAME).and_then(|rest| rest.strip_prefix('/'));
        let stream = stream.and_then(StreamId::parse).ok_or("it is of no stream")?;
        let size = number(head("size")?).ok_or("its size is no number")?;
        let root = head("root")?;
        let root = hash(root).ok_or_else(|| bad(root))?;
        let mut found =
            Checkpoint { size, root, ..Checkpoint::of(stream, &Tree::new(stream.algorithm()), Why::Start, 0) };
        let mut seen = Seen::default();
        for line in lines {
            found.read_line(line, &mut seen).ok_or_else(|| bad(line))?;
        }
        if let Some(n) = seen.0[..NEEDED].iter().position(|seen| !seen) {
            return Err(format!("it has no line `{}`", ONCE[n]));
        }
        let at = body.rfind(&format!("\n{SECOND}")).ok_or("it has no second hash")? + 1;
        if body[at..].lines().next() != Some(&format!("{SECOND}{}", second(&body[..at]))) {
            return Err("its second hash is another one".into());
        }
        let tree = Tree::resume(stream.algorithm(), size, &found.edge).filter(|tree| tree.root() == found.root);
        tree.map(|_| found).ok_or_else(|| "its edge does not give its root".into())
    }

    /// One line behind the root. None: it is not as it is written.
    fn read_line(&mut self, line: &str, seen: &mut Seen) -> Option<()> {
        let (name, value) = line.split_once(' ')?;
        seen.once(name)?;
        match name {
            "version" => (value == "1").then_some(())?,
            "number" => self.number = number(value).filter(|n| *n > 0)?,
            "previous" if value == "none" => self.previous = None,
            "previous" => self.previous = Some(hash(value)?),
            "time" => self.time_ms = read_time(value)?,
            "why" => self.why = Why::ALL.into_iter().find(|why| why.name() == value)?,
            "algorithm" => (value == self.stream.algorithm().name()).then_some(())?,
            "after" => self.after = After::read(value)?,
            "edge" if value == "none" => {}
            "edge" => self.edge = hashes(&of_base64(value)?)?,
            "id" => self.ids.push(read_id(value)?),
            "receiver" => self.receivers.push(Receiver::read(value)?),
            "rule" => {
                let (name, text) = value.split_once(' ')?;
                self.rules.push((unescaped(name)?, unescaped(text)?));
            }
            "excused" => self.excused.push(Excused::read(value)?),
            "excused-of" => {
                let (of, rest) = value.split_once(' ')?;
                self.earlier.push((StreamId::parse(of)?, Excused::read(rest)?));
            }
            "lost" => self.lost = ranges(value)?,
            "next-key" => self.next_key = Some(VerifierKey::parse(value)?),
            "sign-failed" => self.sign_failed = Some(unescaped(value)?),
            _ => {}
        }
        Some(())
    }
}

/// The hash of the body of a checkpoint, which the next one names.
pub fn body_hash(body: &str) -> Hash {
    Algorithm::Sha256.hash(&[body.as_bytes()])
}

/// The event of our own that carries a checkpoint, as the note it is.
pub fn event(note: &str, checkpoint: &Checkpoint) -> Vec<u8> {
    let id = format!("checkpoint-{}-{}", checkpoint.stream, checkpoint.number);
    canonical([
        ("id", id.as_str()),
        ("title", TITLE),
        ("severity", "low"),
        ("time", stamp::rfc3339_text(checkpoint.time_ms).as_str()),
        ("message", checkpoint.message().as_str()),
        ("checkpoint", note),
    ])
}

/// What the last line of a body of ours begins with.
const SECOND: &str = "streebog256 ";
/// The lines that there must be once; of the later ones, that there may be.
const ONCE: [&str; 12] = [
    "version",
    "number",
    "previous",
    "time",
    "why",
    "algorithm",
    "after",
    "edge",
    "streebog256",
    "lost",
    "next-key",
    "sign-failed",
];
/// How many of them there must be.
const NEEDED: usize = 9;

/// Which of them have come.
#[derive(Default)]
struct Seen([bool; ONCE.len()]);

impl Seen {
    fn once(&mut self, name: &str) -> Option<()> {
        let Some(n) = ONCE.iter().position(|once| *once == name) else { return Some(()) };
        (!std::mem::replace(&mut self.0[n], true)).then_some(())
    }
}

impl Receiver {
    fn write(&self) -> String {
        let Receiver { name, at, delivered, waiting, quarantined, dropped, filtered } = self;
        format!(
            "{} at={at} delivered={delivered} waiting={waiting} quarantined={quarantined} dropped={dropped} \
             filtered={filtered}",
            escaped(name)
        )
    }

    fn read(line: &str) -> Option<Receiver> {
        let mut words = line.split(' ');
        let name = unescaped(words.next()?)?;
        let mut next = |name: &str| number(words.next()?.strip_prefix(name)?.strip_prefix('=')?);
        Some(Receiver {
            name,
            at: next("at")?,
            delivered: next("delivered")?,
            waiting: next("waiting")?,
            quarantined: next("quarantined")?,
            dropped: next("dropped")?,
            filtered: next("filtered")?,
        })
    }
}

impl Excused {
    fn write(&self) -> String {
        match self {
            Excused::Ranges(name, excuse, ranges) => format!("{} {} {}", escaped(name), excuse.name(), written(ranges)),
            Excused::More(name, count) => format!("{} more {count}", escaped(name)),
        }
    }

    fn read(line: &str) -> Option<Excused> {
        let mut words = line.splitn(3, ' ');
        let (name, what, rest) = (unescaped(words.next()?)?, words.next()?, words.next()?);
        if what == "more" {
            return Some(Excused::More(name, number(rest)?));
        }
        let excuse = Excuse::ALL.into_iter().find(|excuse| excuse.name() == what)?;
        Some(Excused::Ranges(name, excuse, ranges(rest)?))
    }
}

impl After {
    fn read(value: &str) -> Option<After> {
        match value {
            "none" => return Some(After::None),
            "unknown" => return Some(After::Unknown),
            _ => {}
        }
        let mut words = value.splitn(3, ' ');
        Some(After::Stream(StreamId::parse(words.next()?)?, number(words.next()?)?, hash(words.next()?)?))
    }
}

fn written(ranges: &[(u64, u64)]) -> String {
    let mut out = String::new();
    push_ranges(&mut out, ranges);
    out
}

fn base64(hash: &Hash) -> String {
    let mut out = Vec::with_capacity(44);
    json::push_base64(&mut out, hash);
    String::from_utf8(out).unwrap_or_default()
}

fn hash(text: &str) -> Option<Hash> {
    json::from_base64(text)?.try_into().ok()
}

fn second(before: &str) -> String {
    base64(&Algorithm::Streebog256.hash(&[before.as_bytes()]))
}

/// `2026-11-21T01:27:57.349Z`
fn time(millis: i64) -> String {
    format!("{}Z", stamp::rfc3339_text(millis).trim_end_matches("+00:00"))
}

fn read_time(text: &str) -> Option<i64> {
    let written = stamp::parse_written(text.as_bytes())?;
    (time(written.millis) == text).then_some(written.millis)
}

/// `1.0 26`
fn read_id(value: &str) -> Option<EventId> {
    let (start, count) = value.split_once(' ')?;
    let (raft_id, gen) = start.split_once('.')?;
    Some(EventId { raft_id: number(raft_id)?, gen: number(gen)?, count: number(count)? })
}

/// What is said of a line that cannot be read.
fn bad(line: &str) -> String {
    format!("it has a line that means nothing: `{}`", words::line(line, limits::FLAGS_SHOWN_CHARS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::seal::{Note, SigningKey};

    fn full(algorithm: Algorithm) -> Checkpoint {
        let mut tree = Tree::new(algorithm);
        (0..5).for_each(|n| tree.push([n; 32]));
        let stream = StreamId::new(9, [1; 9], algorithm);
        let receiver = |name: &str, n: u64| Receiver {
            name: name.into(),
            at: n,
            delivered: 5 + n,
            waiting: 4,
            quarantined: 3,
            dropped: 2,
            filtered: 1,
        };
        Checkpoint {
            number: 7,
            previous: Some([3; 32]),
            after: After::Stream(stream, 99, [4; 32]),
            ids: vec![EventId { raft_id: 1, gen: 0, count: 26 }, EventId { raft_id: 1, gen: 1, count: u64::MAX }],
            receivers: vec![receiver("siem", 0), receiver("a b=%я", 6)],
            rules: vec![("siem".into(), "severity>=high, title!=\"x y\"\n".into())],
            earlier: vec![(stream, Excused::More("b".into(), 2))],
            excused: vec![
                Excused::Ranges("siem".into(), Excuse::Quarantined, vec![(1, 1), (3, 4)]),
                Excused::Ranges("a b=%я".into(), Excuse::Dropped, vec![(2, 5)]),
                Excused::More("siem".into(), 8),
            ],
            lost: vec![(4, 5)],
            next_key: SigningKey::of_seed(&[5; 32]).map(|key| key.verifier().clone()),
            sign_failed: Some("it said: no\n".into()),
            ..Checkpoint::of(stream, &tree, Why::Key, 1_795_224_477_349)
        }
    }

    /// With another line, and the second hash over it.
    fn with(body: &str, from: &str, to: &str) -> String {
        let body = body[..body.rfind(SECOND).unwrap()].replacen(from, to, 1);
        format!("{body}{SECOND}{}\n", second(&body))
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        for algorithm in Algorithm::ALL {
            let stream = StreamId::new(9, [1; 9], algorithm);
            let empty = Checkpoint::of(stream, &Tree::new(algorithm), Why::Start, 0);
            let unknown = Checkpoint { after: After::Unknown, ..empty.clone() };
            for checkpoint in [empty, unknown, full(algorithm)] {
                let body = checkpoint.write();
                assert_eq!(Checkpoint::read(&body), Ok(checkpoint), "{body}");
                let note = Note::parse(&Note::sign(&body, &SigningKey::of_seed(&[5; 32]).unwrap())).unwrap();
                assert_eq!(note.body, body);
            }
        }
        let body = full(Algorithm::Sha256).write();
        for line in [
            "gostech-audit-log/00000000000901010101010101010101",
            "time 2026-11-21T01:27:57.349Z",
            "id 1.0 26",
            "receiver a%20b%3D%25%D1%8F at=6 delivered=11 waiting=4 quarantined=3 dropped=2 filtered=1",
            "rule siem severity>%3Dhigh,%20title!%3D\"x%20y\"%0A",
            "excused siem quarantined 1,3-4",
            "excused siem more 8",
            "lost 4-5",
        ] {
            assert!(body.lines().any(|l| l == line), "{line}\n{body}");
        }
        assert_eq!(body_hash("abc")[..2], [0xba, 0x78]);
    }

    #[test]
    fn a_line_that_is_not_known_is_passed_over() {
        let wanted = full(Algorithm::Sha256);
        let body = with(&wanted.write(), "lost ", "later and more\nlost ");
        assert_eq!(Checkpoint::read(&body), Ok(wanted));
    }

    #[test]
    fn what_it_would_not_write_is_not_read() {
        let good = full(Algorithm::Sha256).write();
        for (from, to) in [
            ("gostech-audit-log/", "gostech-audit-log"),
            ("\n5\n", "\n05\n"),
            ("\n5\n", "\n4\n"),
            ("version 1", "version 2"),
            ("version 1\n", ""),
            ("version 1\n", "version 1\nversion 1\n"),
            ("number 7", "number 0"),
            ("number 7\n", ""),
            ("previous ", "previous x"),
            ("time 2026", "time  2026"),
            ("349Z", "349+00:00"),
            ("why key", "why not"),
            ("sha256", "streebog256"),
            ("after 0", "after x0"),
            ("edge ", "edge A"),
            ("id 1.0 26", "id 1.0.26"),
            ("at=0", "at=x"),
            ("at=0 ", ""),
            ("more 8", "more"),
            ("3-4", "4-3"),
            ("1,3-4", "3-4,1"),
            ("lost 4-5", "lost 4-5\nlost 4-5"),
            ("next-key ", "next-key x"),
            ("sign-failed it%20", "sign-failed it "),
            ("lost 4-5\n", "lost 4-5\n\n"),
        ] {
            let bad = with(&good, from, to);
            assert_ne!(bad, good, "{from}");
            assert!(Checkpoint::read(&bad).is_err(), "{from} {to}");
        }
        for bad in
            ["", "\n", good.trim_end(), &good.replace("why key", "why time"), &good[..good.rfind(SECOND).unwrap()]]
        {
            assert!(Checkpoint::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn its_event_has_the_note_as_it_is() {
        let checkpoint = full(Algorithm::Streebog256);
        let note = Note::sign(&checkpoint.write(), &SigningKey::of_seed(&[5; 32]).unwrap());
        let event: serde_json::Value = serde_json::from_slice(&event(&note, &checkpoint)).unwrap();
        assert_eq!((event["checkpoint"].as_str(), event["title"].as_str()), (Some(note.as_str()), Some(TITLE)));
        assert_eq!(event["id"], format!("checkpoint-{}-7", checkpoint.stream));
    }
}
