//! What the worker's threads do, one step at a time: opening, writing, sending, tending.

use super::{Verdict, Worker, World, RING_BYTES};
use crate::canary::Canary;
use crate::chance::Chance;
use crate::disk::{Death, WELL};
use crate::late::{Came, Flight};
use crate::memory_disk::SimMemoryDisk;
use crate::receiver::{Receiver, SimSink};
use gostech::audit::delivery::format;
use gostech::audit::delivery::parcel::Sink;
use gostech::audit::delivery::sender::{Now, Sender, Wait};
use gostech::audit::intake::writer::{Done, Writer};
use gostech::audit::process::tender::Tender;
use gostech::audit::record::Ending;
use gostech::audit::spool::disk::Disk;
use gostech::audit::spool::memory_disk::MemoryDisk;
use gostech::audit::spool::record::Identity;
use gostech::audit::spool::{cursor, Full, Settings, Spool};
use gostech::limits;
use std::panic::resume_unwind;
use std::sync::Arc;

impl World {
    fn settings(&mut self) -> Settings {
        let max = if self.canary == Canary::BoundIgnored { 4 * self.plan.max } else { self.plan.max };
        Settings {
            max,
            full: self.plan.full,
            retain_ms: self.plan.retain_ms,
            memory_max: self.plan.memory_max,
            identity: Identity { cluster: "c".into(), instance: "i".into(), node: "n".into() },
            receivers: self.configured(),
            owner: None,
            sealing: self.sealing(),
        }
    }

    /// The receivers of the options.
    fn configured(&self) -> Vec<(String, bool)> {
        let all = self.plan.receivers.iter().zip(&self.names);
        all.filter(|(_, n)| n.stand.is_live()).map(|(r, _)| r.clone()).collect()
    }

    pub(super) fn open(&mut self) -> Verdict {
        if self.canary == Canary::AwayOverlooked {
            let away = self.plan.receivers.iter().zip(&self.names).filter(|(_, n)| !n.stand.is_live());
            self.disk.overlook(away.map(|(r, _)| cursor::file_name(&r.0)).collect());
        }
        let memory_disk =
            MemoryDisk::open(self.memory_disk.try_clone().map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
        let memory_disk = Arc::new(SimMemoryDisk { memory_disk, disk: self.disk.clone() });
        let is_same = self.disk.begin();
        self.disk.opening(true);
        let ring = (!self.adopting).then(|| self.ring.clone());
        let settings = self.settings();
        let opened = Spool::open(self.disk.clone(), memory_disk, settings, ring, self.wall);
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
        self.take_over(&spool, is_same)?;
        // The tender's first act.
        spool.save_new_state();
        self.catch_up(&spool)?;
        let writer = Writer::new(spool.clone(), self.plan.event_max, self.plan.sync_each);
        let mut senders = Vec::new();
        for (i, (name, _)) in self.plan.receivers.clone().iter().enumerate() {
            if !self.names[i].stand.is_live() {
                senders.push(None);
                continue;
            }
            senders.push(Some(self.sender(i, name, &spool)?));
        }
        if self.adopting {
            spool.end();
        }
        self.outside().receivers.iter_mut().for_each(Receiver::counts_no_more);
        let flights = senders.iter().map(|_| None).collect();
        let sealer = self.sealer(&spool);
        self.worker =
            Some(Worker { sealer, spool, writer, tender: Tender::default(), senders, flights, packing: None });
        self.see_newborns()?;
        self.look()
    }

    /// What the worker before has put into the spool leaves the cushion.
    fn catch_up(&mut self, spool: &Arc<Spool>) -> Verdict {
        if self.log.is_some() {
            return self.resume_log(spool);
        }
        let account = spool.account().clone();
        if account.mark.epoch != self.mark().epoch {
            spool.begin_another_input();
        } else if self.canary != Canary::NoCatchUp {
            let head = self.tail + self.cushion.len() as u64;
            let mut to = account.mark.position.max(self.tail);
            if self.canary == Canary::StreamOffByOne && account.mark.position > self.tail {
                to = (to + 1).min(head);
            }
            if to > head {
                return Err(format!("the spool stands at {to} of an input that ends at {head}"));
            }
            self.cushion.drain(..(to - self.tail) as usize);
            self.tail = to;
        }
        self.note_taken(spool, self.tail);
        self.move_tail();
        Ok(())
    }

    fn sender(&mut self, i: usize, name: &str, spool: &Arc<Spool>) -> Result<Box<Sender>, String> {
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
        let (portion, most) = (self.plan.portion, limits::QUARANTINE_BYTES);
        Ok(Box::new(Sender::new(name, spool.clone(), sinks, format.form(None), portion, most)))
    }

    /// One step of the writer, as the worker's thread does it. True when nothing is left to be written.
    pub(super) fn write(&mut self, ending: Ending) -> Result<bool, String> {
        if self.log.is_some() {
            return self.write_read(ending);
        }
        let ending = match ending {
            Ending::Open if self.cushion.len() >= RING_BYTES => Ending::Crowded,
            other => other,
        };
        let data = self.cushion.clone();
        let (mark, wall) = (self.mark(), self.wall);
        let Some(w) = self.worker.as_mut() else { return Ok(false) };
        let done = w.writer.step(&data, mark, ending, wall);
        self.note_own();
        match done {
            Done::Bytes(n) if n > data.len() => Err("the writer used more than there was".into()),
            Done::Bytes(n) => {
                if let Some(spool) = self.worker.as_ref().map(|w| w.spool.clone()) {
                    self.note_taken(&spool, self.tail + n as u64);
                }
                if self.plan.deaths && self.chance.once_in(200) {
                    // Dies before the bytes leave the cushion.
                    resume_unwind(Box::new(Death::Worker));
                }
                self.cushion.drain(..n);
                self.tail += n as u64;
                self.move_tail();
                Ok(n == 0 && data.is_empty())
            }
            Done::Blocked if self.plan.full != Full::Block => Err("blocked, and was not to".into()),
            Done::Blocked => Ok(false),
        }
    }

    pub(super) fn tell(&mut self) {
        let (wall, mark) = (self.wall, self.mark());
        if let Some(w) = self.worker.as_mut() {
            w.writer.tell(wall, mark, true);
        }
        self.note_own();
    }

    pub(super) fn send(&mut self, i: usize, hurry: bool) -> Result<Wait, String> {
        let now = Now { mono: self.mono, wall_ms: self.wall, chance: self.chance.next() };
        if !self.names[i].stand.is_live() {
            return Ok(Wait::Done);
        }
        let name = self.plan.receivers[i].0.clone();
        let Some(w) = &self.worker else { return Ok(Wait::Not) };
        let before = w.spool.cursor(&name).ok_or("no cursor")?;
        let wait = self.turn(i, now, hurry);
        let Some(w) = &self.worker else { return Ok(Wait::Not) };
        let after = w.spool.cursor(&name).ok_or("no cursor")?;
        // What is taken may be counted later, when what stands before it is judged; with nothing in memory all is.
        let counted = after.delivered.saturating_sub(before.delivered);
        let held = w.spool.receivers().iter().any(|r| r.name == name && r.held != (0, 0));
        let mut outside = self.outside();
        let taken = outside.receivers[i].taken;
        outside.receivers[i].taken = if held { taken.saturating_sub(counted) } else { 0 };
        outside.receivers[i].counts(counted, held);
        drop(outside);
        if after.next != before.next {
            let (last, step) = (self.outside().receivers[i].last, self.figures.steps);
            let text = format!("step {step}: {name}: from {} to {}, up to record {last:?}", before.next, after.next);
            gostech::log::debug("sim", text);
        }
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

    /// A sender has the turn: it begins a step, or its answer comes, or it goes on waiting for that.
    fn turn(&mut self, i: usize, now: Now, hurry: bool) -> Wait {
        let Some(w) = self.worker.as_mut() else { return Wait::Not };
        let came = match w.flights[i].take() {
            Some(mut flight) if flight.patience > 0 => {
                flight.patience -= 1;
                Came::UnderWay(flight)
            }
            Some(flight) => flight.arrive(),
            None => {
                let Some(mut sender) = w.senders[i].take() else { return Wait::Not };
                if self.plan.late && self.more.once_in(5) {
                    self.figures.late += 1;
                    let most = self.more.pick(&[2, 10, 10, 100]);
                    Flight::begin(sender, now, hurry, self.more.below(most))
                } else {
                    let wait = sender.step(now, hurry);
                    Came::Back(sender, wait)
                }
            }
        };
        match came {
            Came::Back(sender, wait) => {
                w.senders[i] = Some(sender);
                wait
            }
            Came::UnderWay(flight) => {
                w.flights[i] = Some(flight);
                Wait::Not
            }
        }
    }

    /// One step of who packs: chooses a segment, packs it, has it put in place; anything may come in between.
    pub(super) fn pack(&mut self) {
        if !self.plan.packs || self.dead.is_some() || !self.more.once_in(4) {
            return;
        }
        let now = self.wall + self.more.pick(&[0, limits::PACK_AFTER_MILLIS]);
        self.mortal(|world| {
            let disk = world.disk.clone();
            let Some(w) = world.worker.as_mut() else { return };
            w.packing = match w.packing.take() {
                None => w.spool.to_pack(now).map(|job| (job, None)),
                Some((job, None)) => {
                    let done = job.pack(&*disk);
                    if world.canary == Canary::PlainRemovedFirst {
                        let _ = disk.remove(&job.name);
                    }
                    Some((job, Some(done)))
                }
                Some((job, Some(done))) => {
                    world.figures.packed += u64::from(done.is_ok());
                    let _ = w.spool.take_packed(&job, done);
                    None
                }
            };
        });
    }

    pub(super) fn tend(&mut self) {
        let (wall, mono) = (self.wall, self.mono);
        let Some(w) = self.worker.as_mut() else { return };
        let well = |s: &Spool| {
            let sizes = s.sizes();
            sizes.disk_bad.is_none() && sizes.in_memory == 0 && sizes.to_renew == 0
        };
        if self.adopting {
            // As the adopter does it.
            w.spool.save_cursors();
            w.spool.tidy(wall);
            drop(w.spool.take_losses());
            return;
        }
        if self.canary == Canary::DropInvented && self.chance.once_in(100) {
            w.spool.account().dropped_unknown += 1;
        }
        if self.canary == Canary::GapNotTold {
            let mut account = w.spool.account();
            account.gaps.due(0, true).into_iter().for_each(|m| account.gaps.told(m));
        }
        let before = well(&w.spool);
        w.tender.round(&w.spool, true, wall, mono);
        let is_well = well(&w.spool);
        let account = w.spool.account();
        let step = self.figures.steps;
        gostech::log::debug("sim", format!("step {step}: {} promised {before} {}", account.seq, well(&w.spool)));
        if before && well(&w.spool) && account.mark.epoch == self.ring.epoch() {
            self.promised = self.promised.max(account.mark.position);
        }
        drop(account);
        self.gone.looked(mono, is_well);
    }
}
