//! Receivers with moods, and the oracle's first half: what a receiver is given must have been read, be whole, keep its
//! document id, and come in order the first time.

use crate::canary::Canary;
use crate::chance::Chance;
use crate::late;
use gostech::audit::delivery::parcel::{About, Blame, Delivery, Parcel, Said, Sink, Verdict, Why};
use gostech::audit::delivery::transport::http;
use gostech::audit::spool::Spool;
use gostech::limits;
use gostech::net::failure::{Failure, FailureKind};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A record that was put into the input.
#[derive(Clone)]
pub struct Fed {
    /// Its document id.
    pub doc: String,
    /// The life of the cushion it was put into.
    pub life: u64,
    /// Where in that life's stream it ends.
    pub end: u64,
    /// Its number within its generation; none: it has no id.
    pub count: Option<u64>,
    /// What a body must end with; empty: only the id is looked at.
    pub tail: Vec<u8>,
    /// The power went before it was promised to be kept.
    pub excused: bool,
    /// Receivers refuse it for its content.
    pub bad: bool,
}

impl std::fmt::Debug for Fed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` of life {} to {}", self.doc, self.life, self.end)?;
        f.write_str(if self.bad { ", refused" } else { "" })
    }
}

/// How a receiver feels. One that says 200 and forgets is not among them: nobody but the receiver can know, so that is
/// outside of what a sender can promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Takes,
    Refuses,
    Times,
    Says500,
    Says429,
    /// Takes all, and then the connection closes: the answer is lost.
    TakesAndCloses,
    /// Takes all, and then its answer does not come in time.
    TakesAndTimes,
    /// Takes all, each twice: something between has sent the request again.
    TakesTwice,
    /// Takes half and says 500.
    TakesHalf,
    /// 400 to everything.
    Says400,
    /// 413 above so many bytes.
    Small(usize),
    Says401,
    /// Says 502 to whatever is new, and 200 to what it has: out of order behind something that knows repeats.
    OnlyRepeats,
    /// Takes some from the front, says so, and nothing of the rest.
    TakesFront,
    /// Judges each event by itself: refuses the bad ones and takes those behind them.
    JudgesEach,
    /// Says that it took some from the front, has taken more, and dies: it forgets what it has not said.
    DiesForgetting,
}

/// What stands before a receiver and does not like the text of bad records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wall {
    Says(u16),
    Closes,
    Swallows,
}

fn failed(kind: FailureKind, sent: bool) -> Delivery {
    Delivery::failed(Failure::new(kind, "simulated"), sent)
}

fn says(parcel: &Parcel<'_>, status: u16) -> Delivery {
    http::answered(parcel, status, "simulated".into(), None)
}

impl Wall {
    /// What it says to a text that it does not like; where there is no wall the receiver itself blames the content.
    fn answer(wall: Option<Wall>, parcel: &Parcel<'_>) -> Delivery {
        match wall {
            None => says(parcel, 400),
            Some(Wall::Says(status)) => says(parcel, status),
            Some(Wall::Closes) => failed(FailureKind::Closed, true),
            Some(Wall::Swallows) => failed(FailureKind::Timeout, true),
        }
    }
}

/// Everything that outlives workers and is no program: the input and the receivers.
#[derive(Debug, Default)]
pub struct Outside {
    pub fed: Vec<Fed>,
    pub by_doc: HashMap<String, usize>,
    pub receivers: Vec<Receiver>,
    /// Events that tell of missing ones, each once.
    pub gaps: Vec<Gap>,
    pub wrong: Option<String>,
    /// Records that a receiver lacked when it was forgotten, and the last event of the input then.
    pub let_go: BTreeSet<usize>,
    pub let_go_to: u64,
    /// The input is a log; and so many beginnings of lines have come whose rest was taken away unread.
    pub follows_log: bool,
    pub halves: u64,
    /// The counts of the events that they were of.
    pub half_counts: BTreeSet<u64>,
    /// The power has gone, and what can be read again comes in another order.
    pub unordered: bool,
    /// Records are sealed.
    pub seals: bool,
}

/// What an `audit_gap` says.
#[derive(Clone, Debug)]
pub struct Gap {
    pub doc: String,
    pub reason: String,
    /// The counts of the first and the last of them, where they are known.
    pub range: Option<(u64, u64)>,
    pub missing: u64,
    /// Records that any receiver had when it was heard of first.
    pub had: BTreeSet<usize>,
}

impl Gap {
    /// Whether it tells of this one.
    pub fn tells(&self, count: u64) -> bool {
        self.range.is_some_and(|(a, b)| (a..=b).contains(&count))
    }

    fn read(doc: &str, line: &str) -> Option<Gap> {
        let count = |f: &str| text_field(line, f)?.rsplit('.').next()?.parse::<u64>().ok();
        let (_, rest) = line.split_once("\"missing\":")?;
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        Some(Gap {
            doc: doc.to_string(),
            reason: text_field(line, "reason")?,
            range: count("from").zip(count("to")),
            missing: rest[..digits].parse().ok()?,
            had: BTreeSet::new(),
        })
    }
}

/// One receiver.
#[derive(Debug)]
pub struct Receiver {
    pub name: String,
    pub mood: Mood,
    pub has: BTreeSet<usize>,
    /// What it had when it was forgotten.
    pub earlier: BTreeSet<usize>,
    /// Events of ours that it was given, repeated ones too.
    pub own: u64,
    pub last: Option<usize>,
    pub got: u64,
    pub repeats: u64,
    /// How many documents were in the bodies that were taken and not counted by the cursor yet.
    pub taken: u64,
    /// Records that were refused alone: they may come late.
    pub pardoned: BTreeSet<usize>,
    /// Documents whose taking was answered and is not counted by the cursor yet, and those that are counted.
    pub answering: BTreeSet<String>,
    pub answered: BTreeSet<String>,
    pub wall: Option<Wall>,
    /// How many requests in a row it has not taken.
    pub row: u32,
    counting: u64,
    /// All lines that it was given, where they are to prove themselves.
    pub lines: Vec<String>,
}

impl Receiver {
    /// So many records more are counted as delivered; `held`: others wait for that still.
    pub fn counts(&mut self, delivered: u64, held: bool) {
        self.counting += delivered;
        if !held {
            let (mut docs, count) = (std::mem::take(&mut self.answering), std::mem::take(&mut self.counting));
            if docs.len() as u64 == count {
                self.answered.append(&mut docs);
            }
        }
    }

    /// The worker is dead: nobody counts what was answered.
    pub fn counts_no_more(&mut self) {
        self.answering.clear();
        self.counting = 0;
    }

    /// What is refused alone may come late: a later record bears witness against it, and should the worker die between the
    /// two, or this receiver change its mind, it is taken after that.
    fn pardon(&mut self, delivery: &Delivery, alone: Option<usize>) {
        self.row = if delivery.taken > 0 || delivery.stop.is_none() { 0 } else { self.row + 1 };
        let late = match delivery.stop.as_ref().map(|s| s.why) {
            Some(Why::Content(_) | Why::TooLarge) => true,
            None => false,
            // Whatever does not blame the content must have lasted.
            _ => self.wall.is_some() || self.row >= limits::STUCK_TRIES,
        };
        self.pardoned.extend(alone.filter(|_| late));
    }

    /// It has died: what it has not said to have taken is gone. `last`: what of the rest came last. Not the last of all that it
    /// has: where records may be dropped, those from before a death stand in the way of none that are there again.
    fn forgets(&mut self, records: &[usize], last: Option<usize>) {
        if !records.is_empty() {
            self.has.retain(|n| !records.contains(n));
            self.last = last;
        }
    }

    /// It was forgotten: what comes now comes for the first time.
    pub fn begin_anew(&mut self) {
        let new = Receiver::new(&self.name);
        let Receiver { has, earlier, mood, got, repeats, wall, lines, .. } = std::mem::replace(self, new);
        *self = Receiver { earlier: &earlier | &has, mood, got, repeats, wall, lines, ..Receiver::new(&self.name) };
    }

    /// Whether it was ever given a record.
    pub fn ever_had(&self, n: usize) -> bool {
        self.has.contains(&n) || self.earlier.contains(&n)
    }

    pub fn new(name: &str) -> Receiver {
        Receiver {
            name: name.to_string(),
            mood: Mood::Takes,
            has: BTreeSet::new(),
            earlier: BTreeSet::new(),
            own: 0,
            last: None,
            got: 0,
            repeats: 0,
            taken: 0,
            pardoned: BTreeSet::new(),
            answering: BTreeSet::new(),
            answered: BTreeSet::new(),
            wall: None,
            row: 0,
            counting: 0,
            lines: Vec::new(),
        }
    }
}

/// A transport to a simulated receiver.
pub struct SimSink {
    pub who: usize,
    pub outside: Arc<Mutex<Outside>>,
    pub chance: Chance,
    pub canary: Canary,
    pub spool: Arc<Spool>,
}

/// The document id in a body's line.
pub fn doc_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("\"gostech\":{\"id\":\"")?;
    rest.split_once('"').map(|(id, _)| id)
}

/// Whether that is a list or a checkpoint.
pub fn is_evidence(doc: &str) -> bool {
    doc.starts_with("c/i/leaves-") || doc.starts_with("c/i/checkpoint-")
}

fn text_field(line: &str, name: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!("\"{name}\":\""))?;
    rest.split_once('"').map(|(v, _)| v.to_string())
}

impl Outside {
    pub fn fail(&mut self, text: String) {
        if self.wrong.is_none() {
            self.wrong = Some(text);
        }
    }

    /// An event that tells of missing ones has arrived, or lies in a quarantine.
    pub fn hears(&mut self, doc: &str, line: &str) {
        let Some(mut gap) = Gap::read(doc, line) else {
            return self.fail(format!("an audit_gap without a sense: {line}"));
        };
        if !self.gaps.iter().any(|g| g.doc == doc) {
            if self.follows_log {
                gap.had = self.receivers.iter().flat_map(|r| r.has.iter().copied()).collect();
            }
            self.gaps.push(gap);
        }
    }

    /// Whether it can be the beginning of a line whose rest was taken away unread.
    fn is_half(&mut self, doc: &str) -> bool {
        let Some(name) = doc.strip_prefix("c/i/").and_then(|d| d.split('/').next()) else { return false };
        let count = name.strip_prefix("1.0.").and_then(|n| n.split('.').next()?.parse().ok());
        let may = |f: &Fed| f.excused && (name.starts_with('-') || count.is_some() && f.count == count);
        let is = self.follows_log && self.fed.iter().any(may);
        self.halves += u64::from(is);
        self.half_counts.extend(count.filter(|_| is));
        is
    }

    /// One document has arrived.
    fn arrives(&mut self, who: usize, line: &str) {
        let Some(doc) = doc_of(line) else { return self.fail(format!("a body without a document id: {line}")) };
        if self.seals {
            self.receivers[who].lines.push(line.into());
        }
        let name = self.receivers[who].name.clone();
        let Some(&n) = self.by_doc.get(doc) else {
            if self.is_half(doc) {
                self.receivers[who].own += 1;
                return;
            }
            if is_evidence(doc) {
                self.receivers[who].own += 1;
                return;
            }
            if !doc.starts_with("c/i/gap-") {
                return self.fail(format!("{name} was given `{doc}`, which was never read"));
            }
            self.receivers[who].own += 1;
            return self.hears(doc, line);
        };
        if !line.as_bytes().ends_with(&self.fed[n].tail) {
            return self.fail(format!("{name} was given `{doc}` with other bytes: {line}"));
        }
        let r = &mut self.receivers[who];
        r.got += 1;
        if !r.has.insert(n) {
            r.repeats += 1;
            return;
        }
        let excused = self.fed[n].excused;
        if r.last.is_some_and(|last| n < last) && !r.pardoned.contains(&n) && !self.unordered {
            let last = r.last.unwrap_or(0);
            return self.fail(format!(
                "{name} was given record {n} for the first time after record {last} (excused: {excused}; {:?})",
                self.fed[n]
            ));
        }
        r.last = r.last.max(Some(n));
    }

    /// So many lines of a parcel have come, whatever was said of them.
    fn comes(&mut self, who: usize, lines: &[&str], take: usize, delivery: &Delivery) {
        let mood = self.receivers[who].mood;
        let number = |l: &str| doc_of(l).and_then(|d| self.by_doc.get(d)).copied();
        // Who is refused alone: the only one, or the one that the receiver speaks of.
        let of_one = delivery.stop.as_ref().is_some_and(|s| s.about == About::Next);
        let alone = if of_one { Some(delivery.taken) } else { (lines.len() == 1).then_some(0) };
        let n = alone.and_then(|i| number(lines.get(i)?));
        let unsaid = lines.iter().take(take).skip(delivery.taken).filter(|_| mood == Mood::DiesForgetting);
        let has = |n: &usize| self.receivers[who].has.contains(n);
        let unsaid: Vec<usize> = unsaid.filter_map(|l| number(l)).filter(|n| !has(n)).collect();
        let said = lines.iter().take(delivery.taken).filter_map(|l| number(l)).filter(|n| !has(n));
        let last = self.receivers[who].last.max(said.max());
        self.receivers[who].pardon(delivery, n);
        for _ in 0..if mood == Mood::TakesTwice { 2 } else { 1 } {
            lines[..take].iter().for_each(|line| self.arrives(who, line));
        }
        for (i, _) in delivery.also.iter().filter(|a| a.1 == Verdict::Taken) {
            self.arrives(who, lines[*i]);
        }
        self.receivers[who].forgets(&unsaid, last);
    }
}

/// The documents of a body.
fn lines_of(text: &str) -> Vec<&str> {
    let open = text.strip_prefix('[').unwrap_or(text);
    open.split('\n').map(|l| l.trim_end_matches([',', ']'])).filter(|l| !l.is_empty()).collect()
}

impl SimSink {
    /// What the receiver does with a body, and says to it.
    fn answer(&mut self, lines: &[&str], parcel: &Parcel<'_>) -> Delivery {
        let mut outside = self.outside.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            outside.fail("an empty body".into());
        }
        if self.canary == Canary::CursorFirst {
            let name = outside.receivers[self.who].name.clone();
            let next = self.spool.cursor(&name).map_or(1, |c| c.next);
            outside.receivers[self.who].taken += lines.len() as u64;
            self.spool.delivered(&name, next + lines.len() as u64);
        }
        let bad = |l: &&&str| doc_of(l).and_then(|d| outside.by_doc.get(d)).is_some_and(|n| outside.fed[*n].bad);
        let unliked = |l: &&str| {
            let n = doc_of(l).and_then(|d| outside.by_doc.get(d)).copied();
            self.canary == Canary::WallUnseen && n.is_some_and(|n| n % 40 == 7)
        };
        let any_bad = lines.iter().any(|l| bad(&l) || unliked(l));
        let (mood, wall) = (outside.receivers[self.who].mood, outside.receivers[self.who].wall);
        let is_new = |l: &&str| {
            let n = doc_of(l).and_then(|d| outside.by_doc.get(d));
            n.is_none_or(|n| !outside.receivers[self.who].has.contains(n))
        };
        let any_new = mood == Mood::OnlyRepeats && lines.iter().any(is_new);
        let (take, delivery) = match mood {
            Mood::Refuses => (0, failed(FailureKind::Connect, false)),
            Mood::Times => (0, failed(FailureKind::Timeout, true)),
            Mood::OnlyRepeats if any_new => (0, says(parcel, 502)),
            Mood::Says500 => (0, says(parcel, 500)),
            Mood::Says401 => (0, says(parcel, 401)),
            Mood::Says429 => (0, {
                let after = Duration::from_secs(self.chance.below(5));
                http::answered(parcel, 429, "simulated".into(), Some(after))
            }),
            Mood::Small(most) if parcel.bytes.len() > most && lines.len() > 1 => (0, says(parcel, 413)),
            Mood::Says400 => (0, says(parcel, 400)),
            Mood::JudgesEach if wall.is_none() => each(parcel, &lines.iter().map(|l| bad(&l)).collect::<Vec<_>>()),
            _ if any_bad => (0, Wall::answer(wall, parcel)),
            Mood::TakesFront | Mood::DiesForgetting => front(&mut self.chance, mood, self.canary, parcel),
            Mood::TakesHalf if self.chance.once_in(2) => (lines.len() / 2, says(parcel, 500)),
            Mood::TakesAndCloses if self.chance.once_in(2) => (lines.len(), failed(FailureKind::Closed, true)),
            Mood::TakesAndTimes if self.chance.once_in(2) => (lines.len(), failed(FailureKind::Timeout, true)),
            _ => (lines.len(), says(parcel, 200)),
        };
        outside.comes(self.who, lines, take, &delivery);
        delivery
    }
}

/// Some from the front are taken, and perhaps more that nothing is said of; then the connection ends.
fn front(chance: &mut Chance, mood: Mood, canary: Canary, parcel: &Parcel<'_>) -> (usize, Delivery) {
    let taken = chance.below(parcel.len() as u64 + 1) as usize;
    if taken == parcel.len() {
        return (taken, says(parcel, 200));
    }
    let unsaid =
        if mood == Mood::DiesForgetting { chance.below((parcel.len() - taken) as u64 + 1) as usize } else { 0 };
    let failure = Failure::new(FailureKind::Closed, "simulated");
    let delivery = Delivery::up_to(taken, Why::Unanswered(failure.kind), About::Rest, failure.into());
    let whole = canary == Canary::FrontForWhole;
    (taken + unsaid, if whole { says(parcel, 200) } else { delivery })
}

/// Each event is judged by itself: the first bad one is spoken of, and good ones behind it are taken all the same.
fn each(parcel: &Parcel<'_>, bad: &[bool]) -> (usize, Delivery) {
    let Some(first) = bad.iter().position(|b| *b) else { return (bad.len(), says(parcel, 200)) };
    let said = Said { status: Some(400), text: "simulated".into() };
    // One that takes another one in the same breath does not refuse everything.
    if bad.iter().all(|b| *b) {
        return (0, Delivery::up_to(0, Why::Content(Blame::NeedsWitness), About::Next, said));
    }
    let verdict = |i: usize| if bad[i] { Verdict::Refused(said.clone()) } else { Verdict::Taken };
    let also = (first + 1..bad.len()).map(|i| (i, verdict(i))).collect();
    let blame = Blame::Certain;
    (first, Delivery { also, ..Delivery::up_to(first, Why::Content(blame), About::Next, said) })
}

impl Sink for SimSink {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        let text = String::from_utf8_lossy(parcel.bytes);
        let lines = lines_of(&text);
        // What takes its time is the way there, or the way of the answer.
        let delivery = if late::comes_later() && self.chance.once_in(2) {
            let delivery = self.answer(&lines, parcel);
            late::await_answer();
            delivery
        } else {
            late::await_answer();
            self.answer(&lines, parcel)
        };
        let also = delivery.also.iter().filter(|a| a.1 == Verdict::Taken).map(|a| a.0);
        let taken = (0..delivery.taken).chain(also);
        let taken: Vec<&str> = taken.map(|i| lines[i]).collect();
        let mut outside = self.outside.lock().unwrap_or_else(PoisonError::into_inner);
        let r = &mut outside.receivers[self.who];
        r.taken += taken.len() as u64;
        r.answering.extend(taken.iter().filter_map(|l| doc_of(l)).map(String::from));
        delivery
    }

    fn reload(&mut self) {}
    fn rest(&mut self) {}

    fn place(&self) -> String {
        "simulated".into()
    }
}

#[test]
fn what_comes_after_a_death_is_in_order_beside_what_is_forgotten() {
    let line = |n: usize| format!("{{\"gostech\":{{\"id\":\"c/i/1.0.{n}/0\"}}");
    let fed = |n: usize| Fed {
        doc: format!("c/i/1.0.{n}/0"),
        life: 1,
        end: 0,
        count: None,
        tail: Vec::new(),
        excused: false,
        bad: false,
    };
    let fed: Vec<Fed> = (0..5).map(fed).collect();
    let by_doc = fed.iter().enumerate().map(|(i, f)| (f.doc.clone(), i)).collect();
    let mut o = Outside { fed, by_doc, receivers: vec![Receiver::new("r1")], ..Outside::default() };
    let mut comes = |mood: Mood, records: &[usize], taken: usize| {
        o.receivers[0].mood = mood;
        let lines: Vec<String> = records.iter().map(|n| line(*n)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let failure = Failure::new(FailureKind::Closed, "simulated");
        let delivery = Delivery::up_to(taken, Why::Unanswered(failure.kind), About::Rest, failure.into());
        o.comes(0, &lines, lines.len(), &delivery);
        if mood == Mood::Takes {
            // A death: what was dropped may be there again.
            o.receivers[0].last = None;
        }
        (o.receivers[0].last, o.wrong.is_some())
    };
    comes(Mood::Takes, &[4], 1);
    assert_eq!(comes(Mood::DiesForgetting, &[1, 2], 1), (Some(1), false));
    assert_eq!(comes(Mood::DiesForgetting, &[2, 3], 2), (Some(3), false));
    assert!(comes(Mood::DiesForgetting, &[0], 1).1, "it comes behind a later one");
}
