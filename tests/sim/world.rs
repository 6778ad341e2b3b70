//! One seed's world: input, cushion, clock, disk, receivers, and a worker that is killed again and again. The oracle's
//! second half stands here: after each step and at the end of each epoch.
//!
//! What is promised: a record is kept from the tender's round that synced it while the disk was well. A worker's death
//! alone costs nothing at all; a power cut costs at most what was not promised yet; a flipped bit costs at most one record.

use crate::chance::Chance;
use crate::disk::{Canary, Death, Faults, Injected, SimArk, SimDisk, WELL};
use crate::receiver::{Fed, Mood, Outside, Receiver, SimSink};
use gostech::audit::format;
use gostech::audit::quarantine;
use gostech::audit::record::Ending;
use gostech::audit::sender::{Now, Portion, Sender, Wait};
use gostech::audit::sink::Sink;
use gostech::audit::spool::ark::Ark;
use gostech::audit::spool::record::Identity;
use gostech::audit::spool::{Full, Settings, Spool};
use gostech::audit::tender::Tender;
use gostech::audit::writer::{Done, Writer};
use gostech::hash::xxh64;
use gostech::limits;
use gostech::sys::ring::Ring;
use std::collections::BTreeSet;
use std::fs::File;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The cushion's size.
const RING_BYTES: usize = 48 * 1024;
/// A drain that takes more steps than this hangs.
const DRAIN_STEPS: u64 = 30_000;

/// How one seed's world is made.
#[derive(Clone, Debug)]
pub struct Plan {
    pub full: Full,
    pub max: u64,
    pub ark_max: u64,
    pub receivers: Vec<(String, bool)>,
    pub formats: Vec<&'static str>,
    pub portion: Portion,
    pub event_max: usize,
    pub sync_each: bool,
    pub deaths: bool,
    pub disk_faults: bool,
    pub power: bool,
    pub flips: bool,
    pub retain_ms: u64,
    pub steps: u64,
    pub ways: u64,
}

impl Plan {
    /// By a seed: what goes wrong, and how the spool is kept.
    pub fn of(seed: u64, chance: &mut Chance) -> Plan {
        let class = seed % 5;
        let mut receivers = Vec::new();
        for i in 0..chance.between(1, 3) {
            receivers.push((format!("r{i}"), i > 0 && chance.once_in(3)));
        }
        let formats = receivers.iter().map(|_| chance.pick(&["json", "ndjson", "ndjson", "single"])).collect();
        let millis = chance.pick(&[0, 0, 50, 1000]);
        Plan {
            full: chance.pick(&[Full::Block, Full::Block, Full::DropNewest, Full::DropOldest]),
            max: chance.pick(&[256 << 10, 384 << 10, 2 << 20]),
            ark_max: chance.pick(&[32 << 10, 256 << 10, 1 << 20]),
            receivers,
            formats,
            portion: Portion {
                events: chance.pick(&[1, 7, 100, 1000]),
                bytes: chance.pick(&[2_000, 20_000, 200_000]),
                linger: Duration::from_millis(millis),
            },
            event_max: chance.pick(&[1_001, 5_003, 1 << 20]),
            sync_each: chance.once_in(4),
            deaths: true,
            disk_faults: class == 1 || class >= 3,
            power: class == 2 || class >= 3,
            flips: class == 4,
            retain_ms: chance.pick(&[0, 0, 3_000]),
            steps: chance.pick(&[300, 1_500, 4_000]),
            ways: chance.pick(&[1, 1, 2]),
        }
    }

    /// In a line.
    pub fn words(&self) -> String {
        let injected = [(self.disk_faults, "disk faults"), (self.power, "power cuts"), (self.flips, "flipped bits")];
        let injected: Vec<&str> = injected.iter().filter(|i| i.0).map(|i| i.1).collect();
        format!(
            "{:?}, {} bytes, {} receivers, deaths {}",
            self.full,
            self.max,
            self.receivers.len(),
            injected.join(" ")
        )
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub steps: u64,
    pub records: u64,
    pub delivered: u64,
    pub repeats: u64,
    pub quarantined: u64,
    pub dropped: u64,
    pub deaths: u64,
    pub power_cuts: u64,
    pub calls: u64,
    pub unsecured: u64,
    pub injected: Injected,
}

struct Worker {
    spool: Arc<Spool>,
    writer: Writer,
    tender: Tender,
    senders: Vec<Sender>,
}

/// The world.
pub struct World {
    pub plan: Plan,
    pub figures: Figures,
    chance: Chance,
    canary: Canary,
    disk: Arc<SimDisk>,
    ark: File,
    ring: Arc<Ring>,
    outside: Arc<Mutex<Outside>>,
    mono: Duration,
    wall: i64,
    /// Which cushion this is.
    life: u64,
    cushion: Vec<u8>,
    tail: u64,
    /// Lines on their way into the cushion, and where in the stream they end.
    pipe: Vec<u8>,
    fed_to: u64,
    count: u64,
    worker: Option<Worker>,
    promised: u64,
    dead: Option<Death>,
    damaged: bool,
    /// A worker died, or the cache forgot, before what a failed sync had dropped was written anew.
    unsecured: bool,
}

type Verdict = Result<(), String>;

impl World {
    /// Of a seed.
    pub fn new(seed: u64, canary: Canary) -> World {
        let mut chance = Chance::new(seed);
        let plan = Plan::of(seed, &mut chance);
        let receivers = plan.receivers.iter().map(|(n, _)| Receiver::new(n)).collect();
        let outside = Outside { receivers, ..Outside::default() };
        World {
            disk: SimDisk::new(chance.next(), canary),
            ark: Ark::create().expect("memory"),
            ring: Arc::new(Ring::create(4096, 1).expect("memory")),
            outside: Arc::new(Mutex::new(outside)),
            figures: Figures::default(),
            plan,
            chance,
            canary,
            mono: Duration::ZERO,
            wall: 1_795_224_477_000,
            life: 1,
            cushion: Vec::new(),
            tail: 0,
            pipe: Vec::new(),
            fed_to: 0,
            count: 0,
            worker: None,
            promised: 0,
            dead: None,
            damaged: false,
            unsecured: false,
        }
    }

    fn outside(&self) -> MutexGuard<'_, Outside> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lives it: epochs of trouble, each ended by a clean stop at which everything must be accounted for.
    pub fn live(&mut self, beat: &dyn Fn(u64)) -> Verdict {
        for _ in 0..self.chance.between(1, 3) {
            for _ in 0..self.plan.steps {
                self.figures.steps += 1;
                beat(self.figures.steps);
                self.trouble();
                self.one_step()?;
            }
            self.drain(beat)?;
        }
        let outside = self.outside();
        let mut f = self.figures;
        f.unsecured = u64::from(self.unsecured);
        f.records = outside.fed.len() as u64;
        f.delivered = outside.receivers.iter().map(|r| r.got).sum();
        f.repeats = outside.receivers.iter().map(|r| r.repeats).sum();
        (f.injected, f.calls) = self.disk.injected();
        drop(outside);
        self.figures = f;
        Ok(())
    }

    // ---- the input ----

    /// A line, and the records that it has to become.
    fn feed(&mut self, may_be_bad: bool) {
        self.count += 1;
        if self.chance.once_in(60) {
            // The database has lost some before they reached the pipe.
            self.count += self.chance.between(1, 5);
        }
        let n = self.count;
        let bad = may_be_bad && self.chance.once_in(50);
        let size = match self.chance.below(40) {
            0 => self.chance.between(5_000, 14_000),
            1..=4 => self.chance.between(600, 3_000),
            _ => self.chance.between(10, 300),
        };
        let plain = self.chance.once_in(30);
        let mut line = if plain {
            format!("plain {n} ")
        } else {
            let severity = self.chance.pick(&["low", "medium", "high"]);
            format!(r#"{{"id":"1.0.{n}","severity":"{severity}","title":"t","message":""#)
        };
        let mut i = 0;
        while (line.len() as u64) < size {
            line.push_str(&format!("{n}-{i} "));
            i += 1;
        }
        if !plain {
            line.push_str("\"}");
        }
        if line.len() == self.plan.event_max {
            line.push(' ');
        }
        self.expect(line.as_bytes(), n, plain, bad);
        self.pipe.extend_from_slice(line.as_bytes());
        self.pipe.push(b'\n');
    }

    fn expect(&mut self, line: &[u8], n: u64, plain: bool, bad: bool) {
        let pieces = line.chunks(self.plan.event_max).count();
        let base = self.fed_to;
        let mut end = base;
        for (i, piece) in line.chunks(self.plan.event_max).enumerate() {
            end += piece.len() as u64;
            let last = i + 1 == pieces;
            let first = i == 0 && !plain;
            let name = if first { format!("1.0.{n}") } else { "-".into() };
            let part = if pieces > 1 { format!(".{}", i + 1) } else { String::new() };
            let doc = format!("c/i/{name}{part}/{:016x}", xxh64(piece, 0));
            let tail = if pieces == 1 && !plain { piece[1..].to_vec() } else { Vec::new() };
            let fed = Fed {
                doc: doc.clone(),
                life: self.life,
                end: end + u64::from(last),
                count: first.then_some(n),
                tail,
                excused: false,
                bad,
            };
            let mut o = self.outside();
            let at = o.fed.len();
            o.fed.push(fed);
            o.by_doc.insert(doc, at);
        }
        self.fed_to = end + 1;
    }

    fn pour(&mut self) {
        let room = RING_BYTES - self.cushion.len();
        let most = self.pipe.len().min(room);
        let n = if self.chance.once_in(3) { self.chance.below(most as u64 + 1) as usize } else { most };
        self.cushion.extend(self.pipe.drain(..n));
    }

    // ---- trouble ----

    fn trouble(&mut self) {
        if self.chance.once_in(25) {
            let i = self.chance.below(self.plan.receivers.len() as u64) as usize;
            let small = self.chance.between(500, 5_000) as usize;
            let mood = match self.chance.below(20) {
                0 => Mood::Refuses,
                1 => Mood::Times,
                2 => Mood::Says500,
                3 => Mood::Says429,
                4 | 5 => Mood::TakesAndCloses,
                6 | 7 => Mood::TakesHalf,
                8 => Mood::Says400,
                9 => Mood::Small(small),
                10 => Mood::Says401,
                _ => Mood::Takes,
            };
            self.outside().receivers[i].mood = mood;
        }
        if self.plan.disk_faults && self.chance.once_in(40) {
            let c = &mut self.chance;
            let used = self.disk.used();
            let faults = match c.below(9) {
                0 => Faults { capacity: used + c.below(30_000), ..WELL },
                1 => Faults { write: c.between(1, 20), ..WELL },
                2 => Faults { sync: c.between(1, 5), ..WELL },
                3 => Faults { read: c.between(2, 20), ..WELL },
                4 => Faults { names: c.between(1, 5), ..WELL },
                5 => Faults { capacity: used + c.below(30_000), write: 9, sync: 3, read: 9, names: 3 },
                _ => WELL,
            };
            gostech::log::debug("sim", format!("step {}: {faults:?}", self.figures.steps));
            self.disk.set_faults(faults);
        }
        if self.plan.disk_faults && self.chance.once_in(100) {
            gostech::log::debug("sim", format!("step {}: cache squeezed", self.figures.steps));
            if self.disk.squeeze_cache() {
                self.excuse_unsecured();
            }
        }
        if self.plan.flips && self.chance.once_in(300) {
            if let Some(text) = self.disk.flip() {
                gostech::log::debug("sim", format!("step {}: flipped {text}", self.figures.steps));
                self.damaged = true;
            }
        }
        if self.chance.once_in(150) {
            let hours = self.chance.below(1_000) as i64 - 500;
            self.wall += hours * 3_600_000;
        }
        match self.chance.below(120) {
            0 if self.plan.deaths => self.disk.light_fuse(self.chance.below(40), Death::Worker),
            1 if self.plan.deaths => self.dead = Some(Death::Worker),
            2 if self.plan.power && self.chance.once_in(2) => self.disk.light_fuse(self.chance.below(40), Death::Power),
            3 if self.plan.power && self.chance.once_in(4) => self.dead = Some(Death::Power),
            _ => {}
        }
    }

    /// Something may die within `f`.
    fn mortal<T>(&mut self, f: impl FnOnce(&mut World) -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| f(self))) {
            Ok(t) => Some(t),
            Err(e) => match e.downcast_ref::<Death>() {
                Some(d) => {
                    self.dead = Some(*d);
                    None
                }
                None => resume_unwind(e),
            },
        }
    }

    fn one_step(&mut self) -> Verdict {
        if let Some(death) = self.dead.take() {
            self.die(death);
        }
        if self.worker.is_none() {
            let opened = self.mortal(World::open);
            return match opened {
                Some(verdict) => verdict,
                None => Ok(()),
            };
        }
        let verdict = match self.chance.below(12) {
            0..=2 => {
                for _ in 0..self.chance.below(6) {
                    if self.pipe.len() < 2 * RING_BYTES {
                        self.feed(true);
                    }
                }
                self.pour();
                Some(Ok(()))
            }
            3..=5 => self.mortal(|w| w.write(Ending::Open).map(|_| ())),
            6..=9 => {
                let i = self.chance.below(self.plan.receivers.len() as u64) as usize;
                self.mortal(|w| w.send(i, false).map(|_| ()))
            }
            10 => self.mortal(|w| {
                w.tend();
                Ok(())
            }),
            _ => {
                let millis = self.chance.between(1, 700);
                self.pass(Duration::from_millis(millis));
                Some(Ok(()))
            }
        };
        verdict.unwrap_or(Ok(()))?;
        // What a death has cut in two is looked at when the next worker has opened it.
        if self.dead.is_some() {
            return Ok(());
        }
        self.look()
    }

    fn pass(&mut self, time: Duration) {
        self.mono += time;
        self.wall += time.as_millis() as i64;
    }

    fn die(&mut self, death: Death) {
        gostech::log::debug("sim", format!("step {}: {death:?}", self.figures.steps));
        if self.disk.unsecured() {
            self.excuse_unsecured();
        }
        self.worker = None;
        self.disk.douse();
        match death {
            Death::Worker => self.figures.deaths += 1,
            Death::Power => {
                self.figures.power_cuts += 1;
                self.disk.cut_power();
                self.excuse();
                let may_drop = self.plan.full == Full::DropOldest;
                let plan = self.plan.receivers.clone();
                for (r, (_, optional)) in self.outside().receivers.iter_mut().zip(plan) {
                    if may_drop || optional {
                        // What was dropped may be there again, as if it never had been: better late than never.
                        r.last = None;
                    }
                }
                self.new_life();
            }
        }
    }

    /// What is not promised yet may be lost now.
    fn excuse(&mut self) {
        let (life, promised) = (self.life, self.promised);
        let fed = &mut self.outside().fed;
        fed.iter_mut().filter(|f| f.life == life && f.end > promised).for_each(|f| f.excused = true);
    }

    /// What a failed sync has dropped is only in the cache, and there no more, or nobody knows.
    fn excuse_unsecured(&mut self) {
        self.unsecured = true;
        self.excuse();
    }

    /// A new keeper, a new cushion.
    fn new_life(&mut self) {
        self.life += 1;
        self.ring = Arc::new(Ring::create(4096, self.life).expect("memory"));
        self.ark = Ark::create().expect("memory");
        self.cushion.clear();
        self.pipe.clear();
        (self.tail, self.fed_to, self.promised) = (0, 0, 0);
        self.worker = None;
    }

    // ---- the worker ----

    fn settings(&self) -> Settings {
        Settings {
            max: self.plan.max,
            full: self.plan.full,
            retain_ms: self.plan.retain_ms,
            ark_max: self.plan.ark_max,
            identity: Identity { cluster: "c".into(), instance: "i".into(), node: "n".into() },
            epoch: self.ring.epoch(),
            receivers: self.plan.receivers.clone(),
        }
    }

    fn open(&mut self) -> Verdict {
        let ark = Ark::open(self.ark.try_clone().map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
        let ark = Arc::new(SimArk { ark, disk: self.disk.clone() });
        self.disk.opening(true);
        let opened = Spool::open(self.disk.clone(), ark, self.settings(), Some(self.ring.clone()), self.wall);
        self.disk.opening(false);
        let spool = match opened {
            Ok(spool) => Arc::new(spool),
            Err(e) if self.plan.disk_faults => {
                // The real worker takes another directory; here the disk comes to its senses.
                let _ = e;
                self.disk.set_faults(WELL);
                return Ok(());
            }
            Err(e) => return Err(format!("the spool cannot be opened: {e:?}")),
        };
        let account = spool.account().clone();
        if account.epoch == self.ring.epoch() && self.canary != Canary::NoCatchUp {
            let head = self.tail + self.cushion.len() as u64;
            let mut to = account.stream.max(self.tail);
            if self.canary == Canary::StreamOffByOne && account.stream > self.tail {
                to = (to + 1).min(head);
            }
            if to > head {
                return Err(format!("the spool stands at {to} of an input that ends at {head}"));
            }
            self.cushion.drain(..(to - self.tail) as usize);
            self.tail = to;
        }
        let writer = Writer::new(spool.clone(), self.plan.event_max, self.plan.sync_each);
        let mut senders = Vec::new();
        for (i, (name, _)) in self.plan.receivers.clone().iter().enumerate() {
            let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
            // A stand-in is another way to the same receiver.
            for _ in 0..self.plan.ways {
                sinks.push(Box::new(SimSink {
                    who: i,
                    outside: self.outside.clone(),
                    chance: Chance::new(self.chance.next()),
                    canary: self.canary,
                    spool: spool.clone(),
                }));
            }
            let format = format::find(self.plan.formats[i]).ok_or("no such format")?;
            senders.push(Sender::new(name, spool.clone(), sinks, format, self.plan.portion, limits::QUARANTINE_BYTES));
        }
        self.worker = Some(Worker { spool, writer, tender: Tender::default(), senders });
        self.look()
    }

    /// One step of the writer, as the worker's thread does it. True when nothing is left to be written.
    fn write(&mut self, ending: Ending) -> Result<bool, String> {
        let ending = match ending {
            Ending::Open if self.cushion.len() >= RING_BYTES => Ending::Crowded,
            other => other,
        };
        let data = self.cushion.clone();
        let (tail, wall) = (self.tail, self.wall);
        let Some(w) = self.worker.as_mut() else { return Ok(false) };
        match w.writer.step(&data, tail, ending, wall) {
            Done::Bytes(n) if n > data.len() => Err("the writer used more than there was".into()),
            Done::Bytes(n) => {
                if self.plan.deaths && self.chance.once_in(200) {
                    // Dies before the bytes leave the cushion.
                    resume_unwind(Box::new(Death::Worker));
                }
                self.cushion.drain(..n);
                self.tail += n as u64;
                Ok(n == 0 && data.is_empty())
            }
            Done::Blocked if self.plan.full != Full::Block => Err("blocked, and was not to".into()),
            Done::Blocked => Ok(false),
        }
    }

    fn tell(&mut self) {
        let (wall, tail) = (self.wall, self.tail);
        if let Some(w) = self.worker.as_mut() {
            w.writer.tell(wall, tail, true);
        }
    }

    fn send(&mut self, i: usize, hurry: bool) -> Result<Wait, String> {
        let now = Now { mono: self.mono, wall_ms: self.wall, chance: self.chance.next() };
        let name = self.plan.receivers[i].0.clone();
        let Some(w) = self.worker.as_mut() else { return Ok(Wait::Not) };
        let before = w.spool.cursor(&name).ok_or("no cursor")?;
        let wait = w.senders[i].step(now, hurry);
        let after = w.spool.cursor(&name).ok_or("no cursor")?;
        // What is taken may be counted later, when what stands before it is judged; with nothing in memory all is.
        let counted = after.delivered.saturating_sub(before.delivered);
        let held = w.spool.receivers().iter().any(|r| r.name == name && r.held != (0, 0));
        let mut outside = self.outside();
        let taken = outside.receivers[i].taken;
        outside.receivers[i].taken = if held { taken.saturating_sub(counted) } else { 0 };
        drop(outside);
        if after.dropped != before.dropped {
            let (lost, step) = (after.dropped - before.dropped.min(after.dropped), self.figures.steps);
            gostech::log::debug("sim", format!("step {step}: {name}: {lost} lost before {}", after.next));
        }
        if after.next < before.next {
            return Err(format!("{name}: the cursor went back from {} to {}", before.next, after.next));
        }
        if after.delivered > before.delivered + taken {
            return Err(format!(
                "{name}: the cursor says {} delivered, and {taken} were taken since it said {}",
                after.delivered, before.delivered
            ));
        }
        Ok(wait)
    }

    fn tend(&mut self) {
        let (wall, mono) = (self.wall, self.mono);
        let Some(w) = self.worker.as_mut() else { return };
        let well = |s: &Spool| {
            let sizes = s.sizes();
            sizes.disk_bad.is_none() && sizes.in_memory == 0 && sizes.to_renew == 0
        };
        let before = well(&w.spool);
        w.tender.round(&w.spool, true, wall, mono);
        let account = w.spool.account();
        let step = self.figures.steps;
        gostech::log::debug("sim", format!("step {step}: {} promised {before} {}", account.seq, well(&w.spool)));
        if before && well(&w.spool) && account.epoch == self.ring.epoch() {
            self.promised = self.promised.max(account.stream);
        }
    }

    // ---- the oracle ----

    /// After each step.
    fn look(&mut self) -> Verdict {
        if let Some(text) = &self.outside().wrong {
            return Err(text.clone());
        }
        let Some(w) = &self.worker else { return Ok(()) };
        let (account, receivers) = w.spool.snapshot();
        let c = &account.counters;
        let next = w.spool.next_seq();
        if c.read + c.own - c.dropped.min(c.read) != next - 1 {
            return Err(format!(
                "read {} + own {} - dropped {} is not the {} records numbered",
                c.read,
                c.own,
                c.dropped,
                next - 1
            ));
        }
        for r in &receivers {
            let k = &r.cursor;
            let sum = k.delivered + k.quarantined + k.dropped + k.filtered;
            if sum != k.next - 1 || k.next > next {
                return Err(format!("{}: the parts of {k:?} are not its sum, of {next}", r.name));
            }
            // After a power cut both copies of a cursor may be torn: then all that is held is delivered once more.
            if k.filtered > 0 && !self.damaged && !self.plan.power {
                return Err(format!("{}: {} records count as before its time", r.name, k.filtered));
            }
        }
        let s = w.spool.sizes();
        let chunk = (limits::CHUNK_BYTES as u64).min(w.spool.settings.segment_bytes());
        let bound = s.max + if self.plan.disk_faults { self.plan.ark_max } else { 0 } + 2 * chunk;
        if s.live + s.retained > bound {
            return Err(format!("the spool holds {} bytes, more than {bound}", s.live + s.retained));
        }
        Ok(())
    }

    /// The end of the input with all well: everything is delivered or accounted for.
    fn drain(&mut self, beat: &dyn Fn(u64)) -> Verdict {
        self.disk.set_faults(WELL);
        self.outside().receivers.iter_mut().for_each(|r| r.mood = Mood::Takes);
        self.plan.deaths = false;
        let mut written = false;
        for step in 0..DRAIN_STEPS {
            beat(self.figures.steps + step);
            if let Some(death) = self.dead.take() {
                self.die(death);
                written = false;
            }
            if self.worker.is_none() {
                if let Some(v) = self.mortal(World::open) {
                    v?;
                }
                self.disk.douse();
                continue;
            }
            if step % 3_000 == 10 {
                // Someone to bear witness that refused events are refused for their content.
                written = false;
                self.feed(false);
            }
            self.pour();
            let whole = self.pipe.is_empty();
            if !written {
                let ending = if whole { Ending::Ended } else { Ending::Open };
                let done = self.mortal(|w| w.write(ending));
                match done {
                    Some(d) => written = d? && whole && self.pipe.is_empty(),
                    None => continue,
                }
            }
            if written && self.mortal(World::tell).is_none() {
                continue;
            }
            let mut done = 0;
            for i in 0..self.plan.receivers.len() {
                match self.mortal(|w| w.send(i, written)) {
                    Some(Ok(Wait::Done)) => done += 1,
                    Some(Ok(_)) => {}
                    Some(Err(e)) => return Err(e),
                    None => break,
                }
            }
            if self.dead.is_some() {
                continue;
            }
            if self.mortal(World::tend).is_none() {
                continue;
            }
            self.pass(Duration::from_millis(200));
            self.look()?;
            let Some(w) = &self.worker else { continue };
            if written {
                w.spool.end();
            }
            if done == self.plan.receivers.len() && w.spool.all_delivered() {
                let losses = w.spool.take_losses();
                if losses.is_empty() {
                    return self.settle();
                }
                losses.into_iter().for_each(|l| w.spool.report(l));
            }
        }
        let states: Vec<String> =
            self.worker.iter().flat_map(|w| w.spool.receivers()).map(|r| format!("{r:?}")).collect();
        Err(format!("it does not come to an end: {} {states:?}", self.worker.is_some()))
    }

    /// Everything has a fate.
    fn settle(&mut self) -> Verdict {
        self.disk.douse();
        let Some(w) = self.worker.take() else { return Err("no worker".into()) };
        w.spool.sync(self.wall);
        if !w.spool.recover_disk() {
            return Err("all is well, and yet the disk does not recover".into());
        }
        w.spool.save_cursors();
        w.spool.save_state(true);
        let (account, receivers) = w.spool.snapshot();
        let c = &account.counters;
        for (i, (name, optional)) in self.plan.receivers.clone().iter().enumerate() {
            let cursor = receivers.iter().find(|r| r.name == *name).ok_or("no cursor")?.cursor.clone();
            let quarantined = self.quarantine_of(name)?;
            let o = self.outside();
            let lost = |n: &usize| !o.receivers[i].has.contains(n) && !quarantined.contains(n) && !o.fed[*n].excused;
            let missing: Vec<usize> = (0..o.fed.len()).filter(lost).collect();
            let may_lose = *optional || self.plan.full != Full::Block;
            let counted = cursor.dropped + c.dropped;
            let (injected, _) = self.disk.injected();
            let allowed = match (may_lose, self.damaged) {
                (true, _) if self.plan.power => u64::MAX,
                (true, _) => counted,
                (false, true) => counted.min(injected.flips),
                (false, false) => 0,
            };
            if missing.len() as u64 > allowed {
                let n = missing[0];
                gostech::log::debug("sim", format!("missing: {missing:?}, flips {}", injected.flips));
                return Err(format!(
                    "{name} never got {} records, the first is {n} ({:?}); dropped {} and {}, quarantined {}",
                    missing.len(),
                    o.fed[n],
                    cursor.dropped,
                    c.dropped,
                    cursor.quarantined
                ));
            }
            if !self.plan.power && !self.damaged && !self.unsecured && !may_lose && counted > 0 {
                return Err(format!("{name}: {counted} are counted as dropped, and nothing may be"));
            }
            drop(o);
            self.figures.quarantined += quarantined.len() as u64;
            self.figures.dropped += counted;
        }
        let o = self.outside();
        if !self.plan.power && !self.damaged && !self.unsecured && c.read != o.fed.len() as u64 {
            return Err(format!("{} records were put in, and {} are counted as read", o.fed.len(), c.read));
        }
        let false_gap = |(reason, a, b): &&(String, u64, u64)| {
            let in_it = |f: &Fed| f.count.is_some_and(|n| (*a..=*b).contains(&n)) && !f.excused;
            reason == "lost" && o.fed.iter().any(in_it)
        };
        // A power cut on a disk that fails, or while records are dropped before they are written, may cost the state.
        let state_holds = !self.plan.power || !(self.plan.disk_faults || self.plan.full == Full::DropNewest);
        if let Some(g) = o.gaps.iter().find(false_gap).filter(|_| !self.damaged && !self.unsecured && state_holds) {
            return Err(format!("an audit_gap tells {g:?} as lost, and they came"));
        }
        // What is told as damaged was damaged, or lost with the power before it was promised.
        let damaged: BTreeSet<&(String, u64, u64)> = o.gaps.iter().filter(|g| g.0 == "damaged").collect();
        let false_damage = |g: &&&(String, u64, u64)| {
            let in_it = |f: &&Fed| f.count.is_some_and(|n| (g.1..=g.2).contains(&n));
            o.fed.iter().any(|f| in_it(&f)) && o.fed.iter().filter(in_it).all(|f| !f.excused)
        };
        // An event of our own that went with the power, between two records whose ids have a dropped one between them,
        // cannot be told from that one.
        let ambiguous = self.plan.power && self.plan.full != Full::Block;
        if let Some(g) = damaged.iter().find(false_damage).filter(|_| !self.damaged && !self.unsecured && !ambiguous) {
            return Err(format!("an audit_gap tells {g:?}, and nothing of it was damaged"));
        }
        if account.gaps.untold() > 0 || !account.dropped.is_empty() || account.dropped_unknown > 0 {
            return Err(format!("gaps are not told: {account:?}"));
        }
        drop(o);
        drop(w);
        self.plan.deaths = true;
        self.new_life();
        Ok(())
    }

    /// The records in a receiver's quarantine; every line must be whole.
    fn quarantine_of(&self, name: &str) -> Result<BTreeSet<usize>, String> {
        let bytes = self.disk.contents(&quarantine::file_name(name));
        let mut all = BTreeSet::new();
        let o = self.outside();
        for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            if let Some(held) = quarantine::parse(line) {
                if let Some(&n) = o.by_doc.get(&held.id) {
                    all.insert(n);
                }
            }
        }
        Ok(all)
    }
}
