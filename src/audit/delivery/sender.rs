//! From the spool to one receiver: read, batch, send, and only then move the cursor.
//!
//! A machine of steps: `step` does one thing and says what to wait for, so that a simulation can drive it. Order is kept.
//! An event is condemned (quarantined) only when it was refused alone, the receiver then took another one (a later one,
//! or once more one that it had taken before), and the event is refused alone again: a receiver that refuses everything, or
//! turns bad within a halving, is misconfigured, and that fills the spool, never empties it. What a retry
//! has brought has no other one beside it: there it may be of another spool (`tally`).
//!
//! Refuses: to skip, to give up, to move the cursor before the answer.

mod between;
mod examine;
mod left_out;
#[cfg(test)]
mod locks;
#[cfg(test)]
mod parts;
pub mod proof;
#[cfg(test)]
mod sieved;
pub mod size;
pub mod tally;
#[cfg(test)]
mod tests;
mod verdict;
#[cfg(test)]
mod walls;

use crate::audit::alarm::AlarmKind;
use crate::audit::delivery::batch::Batch;
use crate::audit::delivery::filter::Sieve;
use crate::audit::delivery::format::Form;
use crate::audit::delivery::frame::Frame;
use crate::audit::delivery::parcel::{Delivery, Said, Sink};
use crate::audit::delivery::quarantine::Quarantine;
use crate::audit::record::loss::Loss;
use crate::audit::record::Kind;
use crate::audit::spool::read::{Next, Reader};
use crate::audit::spool::record::{Head, Stored};
use crate::audit::spool::Spool;
use crate::backoff::Backoff;
use crate::limits;
use crate::sorted::Map;
use crate::sys::crash::{self, Victim};
use crate::sys::marks::Mark;
use between::{leaves_out, Between};
use proof::{Cause, Proof};
use size::Size;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tally::Tally;

/// The time and some chance, from outside.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Since some beginning; only differences count.
    pub mono: Duration,
    /// Milliseconds since the epoch.
    pub wall_ms: i64,
    /// For jitter.
    pub chance: u64,
}

/// What to do before the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Nothing.
    Not,
    /// Until there are records from here on, at most so long.
    News(u64, Duration),
    /// So long.
    Sleep(Duration),
    /// Everything is delivered, and no more will come.
    Done,
}

/// How much goes into a request, and when.
#[derive(Clone, Copy, Debug)]
pub struct Portion {
    /// `--batch-events`
    pub events: usize,
    /// `--batch-bytes`
    pub bytes: usize,
    /// `--linger`
    pub linger: Duration,
}

/// Something to send.
#[derive(Clone, Debug)]
enum Task {
    /// These events.
    Send(Range<usize>),
    /// An event that was taken before: does the receiver still take anything?
    Probe(usize),
    /// The last event that was taken before this batch, for the same question: the order is kept while it is asked.
    Recall,
    /// An event that was refused alone, after another one was taken.
    Again(usize),
    /// One that was taken before, right after another one was refused in words that do not blame it (`examine`).
    Witness,
    /// For the same a later one, by its number.
    Ahead(u64),
}

/// What became of an event of the batch.
#[derive(Clone, Debug)]
enum Fate {
    Open,
    Taken,
    /// To the quarantine, and on what ground.
    Condemned(Said, Ground),
}

/// Why an event is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    /// The receiver has blamed its content, and takes others.
    Blamed,
    /// It can never be sent there.
    Impossible,
    /// It alone was refused for minutes, in words that do not blame it.
    Proven,
}

/// The sender of one receiver (and its stand-ins).
pub struct Sender {
    name: String,
    spool: Arc<Spool>,
    reader: Reader,
    sinks: Vec<Box<dyn Sink>>,
    which: usize,
    /// How many sinks have failed since the last success.
    failed: usize,
    /// Since when a stand-in is used.
    away: Option<Duration>,
    form: Form,
    portion: Portion,
    /// What a request may hold now, for each sink: less than the portion after a 413 or a time-out.
    sizes: Vec<Size>,
    batch: Batch,
    begun: Duration,
    /// What of the batch is still to be sent, the next at the end.
    plan: Vec<Task>,
    /// What became of its events, and how many of them the cursor is past.
    fates: Vec<Fate>,
    committed: usize,
    /// Events that were refused alone and are not judged yet, and the last answer to one.
    suspects: Vec<usize>,
    refusal: Option<Said>,
    /// An event of the batch that was taken.
    witness: Option<usize>,
    /// The last event that was taken at all, and in how many halvings in a row it was refused.
    last_taken: Option<u64>,
    recalls_refused: u32,
    /// It was asked in this halving already.
    recalled: bool,
    /// Whether it is the text of one event that is refused, where the answers do not say so; the batch is being halved for
    /// that; the last refusal of one event alone.
    proof: Proof,
    examining: bool,
    doubted: Option<(Cause, Duration)>,
    /// The next later event that may bear witness, how many are asked in a row now, and how many at most.
    ahead: u64,
    ahead_of: u64,
    ahead_left: usize,
    ahead_most: usize,
    /// Later events that were taken so.
    given: Map<u64, ()>,
    bound: usize,
    tally: Tally,
    loss: Option<Loss>,
    /// Which events it gets.
    sieve: Sieve,
    /// What stands between suspects and their witness, or before the batch: passed when the events before are.
    passed: Vec<Between>,
    backoff: Backoff,
    until: Option<Duration>,
    quarantine: Quarantine,
    busy: Duration,
    matter: String,
    /// Retries since the last success, for the line that says it is over.
    since: Option<Duration>,
    /// It was told that the input has ended.
    hurried: bool,
    /// Since when the disk does not give what is to be read next, and how often it was asked for it.
    unread: Option<(Duration, u32)>,
    watch: Watch,
}

/// How a receiver is called in logs and alarms.
pub fn matter_of(name: &str) -> String {
    format!("receiver {name}")
}

/// What a sender knows of the deaths of workers before it.
#[derive(Debug, Default)]
struct Watch {
    mark: Mark,
    /// The record that they have died of: it is delivered as mere bytes, and no other one behind it in its batch.
    bare: Option<u64>,
    /// The sender does nothing before this.
    late: Option<Duration>,
}

/// The mark of a sender at any work but the writing of a record, whose mark is its number.
const AT_WORK: u64 = u64::MAX;

impl Watch {
    /// Writes a record into a batch, so that a worker that dies of it tells of which.
    fn push(&self, batch: &mut Batch, r: Stored<'_>, head: &Arc<Head>) {
        self.mark.at(r.seq);
        let r = if self.bare == Some(r.seq) { r.bare() } else { r };
        crash::poison(Victim::Sender, std::iter::once(r.raw).filter(|_| r.kind != Kind::Unparsed));
        batch.push(&r, head);
        self.mark.at(AT_WORK);
    }
}

impl Sender {
    /// A sender from where the receiver's cursor stands. `sinks`: the receiver, then its stand-ins.
    pub fn new(
        name: &str,
        spool: Arc<Spool>,
        sinks: Vec<Box<dyn Sink>>,
        form: Form,
        portion: Portion,
        quarantine_max: u64,
    ) -> Sender {
        let next = spool.cursor(name).map_or(1, |c| c.next);
        let first = Duration::from_millis(limits::BACKOFF_FIRST_MILLIS);
        Sender {
            reader: Reader::new(next),
            batch: Batch::new(form.clone()),
            quarantine: Quarantine::new(name, quarantine_max),
            matter: matter_of(name),
            name: name.to_string(),
            backoff: Backoff::new(first, Duration::from_secs(limits::BACKOFF_MOST_SECONDS)),
            sizes: vec![Size { events: portion.events, bytes: portion.bytes }; sinks.len()],
            bound: limits::SUSPECTS_FIRST,
            spool,
            sinks,
            form,
            portion,
            which: 0,
            failed: 0,
            away: None,
            begun: Duration::ZERO,
            plan: Vec::new(),
            fates: Vec::new(),
            committed: 0,
            suspects: Vec::new(),
            refusal: None,
            witness: None,
            last_taken: None,
            recalls_refused: 0,
            recalled: false,
            proof: Proof::default(),
            examining: false,
            doubted: None,
            ahead: 0,
            ahead_of: 0,
            ahead_left: 0,
            ahead_most: limits::SUSPECTS_FIRST,
            given: Map::new(),
            tally: Tally::default(),
            loss: None,
            sieve: Sieve::default(),
            passed: Vec::new(),
            until: None,
            busy: Duration::ZERO,
            since: None,
            hurried: false,
            unread: None,
            watch: Watch::default(),
        }
    }

    /// With what other senders to the same receiver know.
    pub fn tallied(mut self, tally: &Tally) -> Sender {
        self.tally = tally.shared();
        self
    }

    /// With the mark of this sender, as workers before have left it. A record that they have died of again and again is
    /// delivered as mere bytes; when they die of something else, or even so, the sender begins later each time.
    pub fn marked(mut self, mark: Mark) -> Sender {
        let deaths = mark.deaths();
        self.watch.mark = mark;
        if deaths.there >= limits::WORKER_FAULTS && deaths.at != AT_WORK {
            self.watch.bare = Some(deaths.at);
            let text = format!(
                "{} workers have died of writing record {}: it is delivered as mere bytes (`unparsed`)",
                deaths.there, deaths.at
            );
            self.spool.alarm(AlarmKind::DeliveryFault, &self.matter, text);
        }
        let late = deaths.late();
        if !late.is_zero() {
            self.watch.late = Some(late);
            let text = format!(
                "{} workers have died in the delivery to it, and none delivered anything: the next attempt is in {} s, its events are kept; look at the lines above, and report this",
                deaths.all,
                late.as_secs()
            );
            self.spool.alarm(AlarmKind::DeliveryFault, &self.matter, text);
        }
        self
    }

    /// Certificates and secrets are read again, and what waited for them is tried at once.
    pub fn reload(&mut self) {
        self.sinks.iter_mut().for_each(|s| s.reload());
        self.until = None;
        self.watch.late = None;
    }

    /// One thing, and what to wait for before the next. `hurry`: the input has ended, nothing more is to be waited for.
    pub fn step(&mut self, now: Now, hurry: bool) -> Wait {
        self.watch.mark.at(AT_WORK);
        let wait = self.work(now, hurry);
        self.watch.mark.at(0);
        wait
    }

    fn work(&mut self, now: Now, hurry: bool) -> Wait {
        if hurry && !std::mem::replace(&mut self.hurried, true) {
            // There is little time left: it is not slept away.
            self.until = None;
            self.backoff.reset();
        }
        if let Some(until) = self.until.max(self.watch.late) {
            if now.mono < until {
                return Wait::Sleep((until - now.mono).min(Duration::from_millis(limits::SENDER_NAP_MILLIS)));
            }
            (self.until, self.watch.late) = (None, None);
        }
        if self.plan.is_empty() {
            if let Some(wait) = self.gather(now, hurry) {
                return wait;
            }
        }
        let Some(task) = self.plan.last().cloned() else { return Wait::Not };
        self.busy = now.mono;
        let delivery = match &task {
            Task::Send(part) => self.send(part.clone(), now),
            Task::Probe(i) => self.send(*i..*i + 1, now),
            Task::Again(i) => match self.send_anew(self.batch.seq(*i), now) {
                Ok(delivery) => delivery,
                Err(trouble) => {
                    self.not_again(*i, trouble, now);
                    return Wait::Not;
                }
            },
            Task::Witness | Task::Ahead(_) => match self.ask_witness(&task, now) {
                Some(delivery) => delivery,
                None => return Wait::Not,
            },
            Task::Recall => match self.last_taken.map(|seq| self.send_anew(seq, now)) {
                Some(Ok(delivery)) => delivery,
                Some(Err(_)) | None => {
                    self.plan.pop();
                    return Wait::Not;
                }
            },
        };
        self.judge(task, delivery, now);
        Wait::Not
    }

    // ---- reading ----

    /// Fills the batch. What to wait for, unless there is something to send.
    fn gather(&mut self, now: Now, hurry: bool) -> Option<Wait> {
        if !self.fates.is_empty() {
            // All of the batch has been tried: what is refused waits for its judgement, or the quarantine for room.
            if self.suspects.is_empty() {
                self.commit(now);
                return Some(Wait::Not);
            }
            return self.look_for_a_witness(now);
        }
        if self.batch.is_empty() {
            // Records that were dropped meanwhile are behind the cursor already.
            let next = self.spool.cursor(&self.name).map_or(1, |c| c.next);
            if next > self.reader.want() {
                self.reader.seek(next);
            }
        }
        let more = self.read_on(now);
        self.pass_between(self.batch.first().unwrap_or(u64::MAX));
        if self.batch.is_empty() {
            return self.at_the_end(now, more, hurry);
        }
        // Said before it is looked whether any of them was dropped: whoever drops later knows that they are on their way.
        self.hold();
        if self.spool.position(&self.name) > self.batch.seq(0) {
            self.forget_batch();
            return Some(Wait::Not);
        }
        let full = self.is_full() || self.loss.is_some();
        let waited = now.mono.saturating_sub(self.begun);
        if !full && !hurry && waited < self.portion.linger {
            return Some(Wait::News(self.reader.want(), self.portion.linger - waited));
        }
        // Not within a halving: who judges an event must be who took the other one.
        self.choose(now);
        self.plan_from(0);
        None
    }

    /// The events from `from` on are to be sent.
    fn plan_from(&mut self, from: usize) {
        self.plan.push(Task::Send(from..self.batch.len()));
        self.fates.resize(self.batch.len(), Fate::Open);
    }

    fn is_full(&self) -> bool {
        let last = self.batch.len().checked_sub(1).map(|i| self.batch.seq(i));
        last.is_some() && (self.form.frame == Frame::Alone || last == self.watch.bare)
            || self.batch.len() >= self.sizes[self.which].events
            || self.batch.bytes() >= self.sizes[self.which].bytes
    }

    /// Takes records into the batch until it is full or there are no more.
    fn read_on(&mut self, now: Now) -> Option<Wait> {
        let mut left_out = 0;
        while !self.is_full() && self.loss.is_none() {
            match self.reader.next(&self.spool) {
                Next::Record(r, head) => {
                    self.unread = None;
                    self.spool.troubles.over(AlarmKind::SpoolUnreadable, &self.matter);
                    if leaves_out(&mut self.sieve, &mut self.batch, &mut self.passed, &r) {
                        left_out += 1;
                        if left_out >= limits::LEFT_OUT_AT_ONCE {
                            return Some(Wait::Not);
                        }
                        continue;
                    }
                    let read_ms = r.read_ms;
                    let first = self.batch.is_empty();
                    self.watch.push(&mut self.batch, r, head);
                    if first {
                        self.begun = now.mono;
                        self.spool.set_oldest(&self.name, Some(read_ms));
                    }
                }
                Next::Lost(loss) => self.loss = Some(loss),
                Next::Wait => return None,
                Next::Trouble(text) => {
                    self.unreadable(text, now);
                    return Some(Wait::Sleep(Duration::from_millis(limits::SENDER_NAP_MILLIS)));
                }
            }
        }
        None
    }

    /// The disk does not give what comes next: it is asked again, until that is damage beyond doubt.
    fn unreadable(&mut self, text: String, now: Now) {
        // The disk as a whole is waited for.
        let (since, tries) = self.unread.take().filter(|_| self.spool.disk_is_well()).unwrap_or((now.mono, 0));
        let early = now.mono.saturating_sub(since).as_secs() < limits::UNREADABLE_SECONDS;
        if early || tries < limits::UNREADABLE_TRIES {
            self.unread = Some((since, tries.saturating_add(1)));
            return self.spool.alarm(AlarmKind::SpoolUnreadable, &self.matter, text);
        }
        self.reader.accept_holes();
        let so = "and the disk works otherwise: what cannot be read is taken for damage, counted and told";
        let minutes = limits::UNREADABLE_SECONDS / 60;
        self.spool.alarm(AlarmKind::Damage, &self.matter, format!("{text}, for {minutes} minutes, {so}"));
        self.spool.troubles.over(AlarmKind::SpoolUnreadable, &self.matter);
    }

    /// There is nothing in the batch.
    fn at_the_end(&mut self, now: Now, trouble: Option<Wait>, hurry: bool) -> Option<Wait> {
        if let Some(loss) = self.loss.take() {
            self.pass(loss);
            return Some(Wait::Not);
        }
        if trouble.is_some() {
            return trouble;
        }
        self.spool.set_oldest(&self.name, None);
        if hurry && self.spool.ended() && self.reader.want() >= self.spool.next_seq() {
            return Some(Wait::Done);
        }
        self.give_back(now);
        Some(Wait::News(self.reader.want(), Duration::from_millis(limits::SENDER_NAP_MILLIS)))
    }

    /// Nothing has come for a while: what is kept for the next batch is given back, the cheapest first.
    fn give_back(&mut self, now: Now) {
        let idle = now.mono.saturating_sub(self.busy);
        if idle >= Duration::from_millis(limits::SENDER_SPARE_MILLIS) {
            self.batch.rest();
            self.reader.rest();
        }
        if idle > Duration::from_secs(limits::SENDER_REST_SECONDS) {
            self.busy = now.mono;
            self.sinks.iter_mut().for_each(|s| s.rest());
        }
    }

    /// Records are not there, and all before them is done with: told, and the cursor goes behind them.
    fn pass(&self, loss: Loss) {
        let next = self.spool.cursor(&self.name).map_or(1, |c| c.next);
        if loss.to >= next {
            let before = loss.before.filter(|_| next <= loss.from);
            self.spool.report(Loss { from: loss.from.max(next), before, ..loss });
            self.spool.gone(&self.name, loss.to + 1);
        }
    }

    // ---- sending ----

    /// After a while on a stand-in the first choice is tried again.
    fn choose(&mut self, now: Now) {
        if self.away.is_some_and(|since| now.mono.saturating_sub(since) > Duration::from_secs(limits::FAILBACK_SECONDS))
        {
            self.away = None;
            self.which = 0;
            self.failed = 0;
        }
    }

    /// Sends one event that is not in the batch, or not any more. The error: it is not in the spool any more either, or the
    /// trouble with reading it.
    fn send_anew(&mut self, seq: u64, now: Now) -> Result<Delivery, Option<String>> {
        let mut reader = Reader::new(seq);
        let (r, head) = match reader.next(&self.spool) {
            Next::Record(r, head) if r.seq == seq => (r, head),
            Next::Trouble(text) => return Err(Some(text)),
            Next::Record(..) | Next::Lost(_) | Next::Wait => return Err(None),
        };
        let mut one = Batch::new(self.form.clone());
        self.watch.push(&mut one, r, head);
        std::mem::swap(&mut one, &mut self.batch);
        let delivery = self.send(0..1, now);
        std::mem::swap(&mut one, &mut self.batch);
        Ok(delivery)
    }

    fn send(&mut self, part: Range<usize>, now: Now) -> Delivery {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(now.wall_ms.max(0) as u64);
        let parcel = self.batch.parcel(part, wall);
        crash::poison(Victim::Answer, std::iter::once(parcel.bytes));
        self.sinks[self.which].deliver(&parcel)
    }
}
