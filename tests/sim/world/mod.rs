//! One seed's world: input, cushion, clock, disk, receivers, and a worker that is killed again and again. The oracle's
//! second half stands here: after each step and at the end of each epoch.
//!
//! What is promised: a record is kept from the tender's round that synced it while the disk was well. A worker's death
//! alone costs nothing at all; a power cut costs at most what was not promised yet; a flipped bit costs at most one record.

mod counts;
mod gone;
mod input;
mod log;
mod names;
mod oracle;
mod plan;
mod seals;
mod verify;
mod words;
mod work;

pub use plan::{Figures, Plan, FOLLOWED, GONE, MORE, PACKED, PARTS, SEALED, WALLS};

use counts::Counts;
use gone::Gone;
use log::Log;
use names::Name;

use crate::canary::Canary;
use crate::chance::Chance;
use crate::disk::{Death, Faults, SimDisk, WELL};
use crate::late::Flight;
use crate::receiver::{Mood, Outside, Receiver};
use crate::vault::Vault;
use gostech::audit::delivery::sender::{Sender, Wait};
use gostech::audit::intake::writer::Writer;
use gostech::audit::process::sealer::Sealer;
use gostech::audit::process::tender::Tender;
use gostech::audit::record::mark::Mark;
use gostech::audit::record::Ending;
use gostech::audit::seal::StreamId;
use gostech::audit::spool::memory_disk::MemoryDisk;
use gostech::audit::spool::packed::{Job, Packing};
use gostech::audit::spool::{Full, Spool};
use gostech::sys::ring::Ring;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The cushion's size.
const RING_BYTES: usize = 48 * 1024;
/// A drain that takes more steps than this hangs.
const DRAIN_STEPS: u64 = 30_000;

struct Worker {
    sealer: Option<Sealer>,
    spool: Arc<Spool>,
    writer: Writer,
    tender: Tender,
    /// None: not there, or its step waits for an answer.
    senders: Vec<Option<Box<Sender>>>,
    flights: Vec<Option<Flight>>,
    /// A segment that is being packed, and what came of it.
    packing: Option<(Job, Option<io::Result<Packing>>)>,
}

/// The world.
pub struct World {
    pub plan: Plan,
    pub figures: Figures,
    chance: Chance,
    /// For what came later than the seeds that are known.
    more: Chance,
    canary: Canary,
    disk: Arc<SimDisk>,
    memory_disk: File,
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
    /// Where the input is a log.
    log: Option<Log>,
    fed_to: u64,
    count: u64,
    worker: Option<Worker>,
    promised: u64,
    dead: Option<Death>,
    /// The spool is an orphan, and another helper drains it.
    adopting: bool,
    damaged: bool,
    /// What was counted when somebody last looked, what of it is known to be on the platter, and what a power cut has made
    /// forgotten, since it was not there.
    seen: Counts,
    floor: Option<Counts>,
    /// How far cursors were known to be on the platter by those who wrote them: a write that failed may be there as well, and
    /// go again.
    synced: BTreeMap<String, u64>,
    forgotten: Counts,
    /// Who had no cursor on the platter when memory went: it is new afterwards, and begins with what is there.
    unborn: BTreeSet<String>,
    /// A worker died, or the cache forgot, before what a failed sync had dropped was written anew.
    unsecured: bool,
    /// What was taken away under it.
    gone: Gone,
    /// How each receiver stands, in the order of the plan.
    names: Vec<Name>,
    vault: Arc<Mutex<Vault>>,
    /// Places that the sealer has told of as lost, whoever was given that list.
    told_lost: BTreeSet<(StreamId, u64)>,
}

type Verdict = Result<(), String>;

/// A ring for its notes alone, or, where the input is a log, for all that is read.
fn new_ring(plan: &Plan, number: u64) -> Arc<Ring> {
    Arc::new(Ring::create(if plan.followed { RING_BYTES } else { 4096 }, number).expect("memory"))
}

impl World {
    /// Of a seed.
    pub fn new(seed: u64, canary: Canary) -> World {
        let mut chance = Chance::new(seed);
        let mut more = Chance::new(!seed);
        let plan = Plan::of(seed, &mut chance, &mut more);
        let log = plan.followed.then(Log::new);
        let mut receivers: Vec<Receiver> = plan.receivers.iter().map(|(n, _)| Receiver::new(n)).collect();
        receivers.iter_mut().zip(&plan.walls).for_each(|(r, wall)| r.wall = *wall);
        let outside = Outside { receivers, follows_log: plan.followed, seals: plan.seals, ..Outside::default() };
        World {
            names: (0..plan.receivers.len()).map(|i| Name::of(i < plan.first)).collect(),
            disk: SimDisk::new(chance.next(), canary),
            memory_disk: MemoryDisk::create().expect("memory"),
            ring: new_ring(&plan, 1),
            outside: Arc::new(Mutex::new(outside)),
            figures: Figures::default(),
            plan,
            chance,
            more,
            canary,
            mono: Duration::ZERO,
            wall: 1_795_224_477_000,
            life: 1,
            cushion: Vec::new(),
            tail: 0,
            pipe: Vec::new(),
            log,
            fed_to: 0,
            count: 0,
            worker: None,
            promised: 0,
            dead: None,
            adopting: false,
            damaged: false,
            seen: Counts::default(),
            floor: None,
            synced: BTreeMap::new(),
            forgotten: Counts::default(),
            unborn: BTreeSet::new(),
            unsecured: false,
            gone: Gone::default(),
            vault: Arc::default(),
            told_lost: BTreeSet::new(),
        }
    }

    /// Where the cushion begins, as the spool notes it.
    fn mark(&self) -> Mark {
        self.log.as_ref().and_then(Log::place).unwrap_or(Mark { epoch: self.ring.epoch(), position: self.tail })
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
                self.trouble_with_names()?;
                self.take_away()?;
                self.pack();
                self.trouble_with_the_vault();
                self.seal();
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

    // ---- trouble ----

    fn trouble(&mut self) {
        if self.chance.once_in(25) {
            self.change_a_mood();
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
        if self.chance.once_in(500) {
            // Stopped for a while, or a laptop's lid.
            let seconds = self.chance.below(36_000);
            self.pass(Duration::from_secs(seconds));
        }
        match self.chance.below(120) {
            0 if self.plan.deaths => self.disk.light_fuse(self.chance.below(40), Death::Worker),
            1 if self.plan.deaths => self.dead = Some(Death::Worker),
            2 if self.plan.power && self.chance.once_in(2) => self.disk.light_fuse(self.chance.below(40), Death::Power),
            3 if self.plan.power && self.chance.once_in(4) => self.dead = Some(Death::Power),
            4 if self.plan.power && self.chance.once_in(4) => self.dead = Some(Death::Keeper),
            _ => {}
        }
    }

    /// Receivers come and go.
    fn trouble_with_names(&mut self) -> Verdict {
        if !self.plan.changes {
            return Ok(());
        }
        if self.more.once_in(250) {
            self.restart()?;
        }
        if self.more.once_in(60) {
            let i = self.more.below(self.names.len() as u64) as usize;
            self.ask_to_forget(i)?;
        }
        Ok(())
    }

    /// A receiver becomes kind or unkind.
    fn change_a_mood(&mut self) {
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
        let mood = match mood {
            Mood::TakesAndCloses if self.plan.late && self.more.once_in(2) => Mood::TakesAndTimes,
            Mood::Takes if self.plan.late && self.more.once_in(5) => Mood::TakesTwice,
            Mood::Says500 if !self.plan.walls.is_empty() && self.more.once_in(2) => Mood::OnlyRepeats,
            Mood::Takes | Mood::TakesHalf if self.plan.parts && self.more.once_in(2) => {
                self.more.pick(&[Mood::TakesFront, Mood::JudgesEach, Mood::DiesForgetting])
            }
            mood => mood,
        };
        self.outside().receivers[i].mood = mood;
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
        let what = self.chance.below(12);
        if self.adopting && self.chance.once_in(40) {
            // Its turn is over: a helper takes it for its own again.
            self.worker = None;
            self.adopting = false;
            self.change_names();
            return Ok(());
        }
        let verdict = match if self.adopting { what.max(6) } else { what } {
            0..=2 => {
                for _ in 0..self.chance.below(6) {
                    if self.pipe.len() < 2 * RING_BYTES {
                        self.feed(true);
                    }
                }
                self.pour().map(|_| Some(Ok(())))?
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
        if let Some(w) = self.worker.take() {
            self.leave_log();
            // What was counted in the step that it died of.
            let (account, receivers, _) = w.spool.snapshot();
            for r in &receivers {
                let known = self.synced.entry(r.name.clone()).or_default();
                *known = r.synced.max(*known);
            }
            self.seen = Counts::of(&account, &receivers);
            self.note_holes(&w.spool);
        }
        self.disk.douse();
        if death != Death::Worker {
            self.adopting = death == Death::Keeper && self.chance.once_in(2);
        }
        match death {
            Death::Worker => self.figures.deaths += 1,
            Death::Power | Death::Keeper => {
                let floor = self.on_platter();
                let names = self.plan.receivers.iter().map(|(name, _)| name);
                self.unborn.extend(names.filter(|n| !floor.receivers.contains_key(*n)).cloned());
                self.floor = Some(floor);
                if death == Death::Power {
                    self.figures.power_cuts += 1;
                    self.disk.cut_power();
                    self.cut_log();
                    self.outside().unordered = self.log.is_some();
                } else {
                    self.figures.deaths += 1;
                }
                self.excuse();
                self.new_life();
                self.lose_newborns();
                self.change_names();
            }
        }
        let may_drop = self.plan.full == Full::DropOldest;
        let plan = self.plan.receivers.clone();
        for (r, (_, optional)) in self.outside().receivers.iter_mut().zip(plan) {
            if may_drop || optional {
                // What was dropped may be there again, as if it never had been, where the cursor could be kept nowhere:
                // better late than never.
                r.last = None;
            }
        }
    }

    /// What is not promised yet may be lost now; but what can be read again never is.
    fn excuse(&mut self) {
        if self.log.is_some() {
            return;
        }
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
        self.leave_log();
        self.worker = None;
        self.ring = new_ring(&self.plan, self.life);
        self.memory_disk = MemoryDisk::create().expect("memory");
        if self.log.is_some() {
            return;
        }
        self.cushion.clear();
        self.pipe.clear();
        (self.tail, self.fed_to, self.promised) = (0, 0, 0);
    }

    // ---- the end of an epoch ----

    /// A step of every sender, until one kills the worker; how many are done.
    fn send_all(&mut self, written: bool) -> Result<usize, String> {
        let mut done = 0;
        for i in 0..self.plan.receivers.len() {
            match self.mortal(|w| w.send(i, written)) {
                Some(sent) => done += usize::from(sent? == Wait::Done),
                None => break,
            }
        }
        Ok(done)
    }

    /// As the writer's thread does it: it goes on telling until all is told.
    fn is_at_the_end(&self) -> bool {
        let Some(w) = self.worker.as_ref().filter(|w| w.spool.all_delivered() && w.spool.account().all_told()) else {
            return false;
        };
        let losses = w.spool.take_losses();
        let none = losses.is_empty();
        w.spool.give_back(losses);
        none
    }

    /// The end of the input with all well: everything is delivered or accounted for.
    fn drain(&mut self, beat: &dyn Fn(u64)) -> Verdict {
        self.disk.set_faults(WELL);
        self.outside().receivers.iter_mut().for_each(|r| r.mood = Mood::Takes);
        (self.plan.deaths, self.vault().bad) = (false, false);
        if std::mem::take(&mut self.adopting) {
            self.worker = None;
        }
        self.gather_names()?;
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
            let whole = self.pour()?;
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
            self.seal();
            let done = self.send_all(written)?;
            if self.dead.is_some() || self.mortal(World::tend).is_none() {
                continue;
            }
            self.pass(Duration::from_millis(200));
            self.look()?;
            let Some(w) = &self.worker else { continue };
            if written {
                w.spool.end();
            }
            if !self.forget_who_is_away()
                && done == self.plan.receivers.len()
                && self.is_at_the_end()
                && self.is_sealed()
            {
                return self.settle();
            }
        }
        Err(format!("it does not come to an end: {:?}", self.worker.as_ref().map(|w| w.spool.receivers())))
    }
}
