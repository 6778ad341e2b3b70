//! Receivers come and go with the options: from one life to the next one is added, taken away, renamed, or comes back; and
//! `spool forget` is asked for one that is gone.
//!
//! What is promised: a new one begins with the oldest record that somebody still needs; one that is away pins its records
//! until it is forgotten; one that comes back goes on where it was. Refuses: to leave nobody.

use super::{Verdict, World};
use crate::canary::Canary;
use crate::disk::WELL;
use gostech::audit::record::Ending;
use gostech::audit::spool::{cursor, Full, Receiver as Kept};
use gostech::limits;
use std::collections::BTreeSet;

/// How many rounds a helper has to come to a clean stop in the middle of trouble.
const STOP_ROUNDS: u64 = 60;

/// How a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// There is no cursor of it.
    Unknown,
    /// Configured for the first time, or anew: it gets its cursor at the next start.
    New,
    /// Configured.
    Live,
    /// Not configured, and there is a cursor.
    Away,
    /// Not configured, and asked to be forgotten.
    Leaving,
}

impl Stand {
    /// Whether it is configured.
    pub fn is_live(self) -> bool {
        matches!(self, Stand::New | Stand::Live)
    }
}

/// What the oracle knows of a name.
#[derive(Clone, Debug)]
pub struct Name {
    pub stand: Stand,
    /// It was there from the beginning, and always.
    pub steady: bool,
    /// Records that were before its time: everybody else had them when it came.
    pub spared: BTreeSet<usize>,
    /// What its cursor said of them.
    pub filtered: u64,
    /// It came before, and the power took its cursor: the state may know it still, and then it is given everything again.
    pub again: bool,
    /// A death came between the cursor that it got and our look: those of others may have gone back since.
    pub begun: bool,
    /// How many were dropped for others before it came.
    pub dropped_before: u64,
}

impl Name {
    /// Of the first hour, or of one that may come later.
    pub fn of(first: bool) -> Name {
        let stand = if first { Stand::Live } else { Stand::Unknown };
        Name {
            stand,
            steady: first,
            spared: BTreeSet::new(),
            filtered: 0,
            again: false,
            begun: false,
            dropped_before: 0,
        }
    }
}

impl World {
    /// The options are others now. Only between two families: a keeper's workers all have the same.
    pub(super) fn change_names(&mut self) {
        if !self.plan.changes || self.more.once_in(2) {
            return;
        }
        for _ in 0..self.more.between(1, 2) {
            let first = u64::from(self.plan.anchored);
            let i = self.more.between(first, self.names.len() as u64 - 1) as usize;
            let to = match self.names[i].stand {
                Stand::Live => Stand::Away,
                Stand::Away => Stand::Live,
                Stand::Unknown => Stand::New,
                // It may have a cursor already, and may not be gone for good yet.
                Stand::New | Stand::Leaving => continue,
            };
            self.stands(i, to);
        }
        if !self.names.iter().any(|n| n.stand.is_live()) {
            let free = self.names.iter().position(|n| n.stand != Stand::Leaving).unwrap_or(0);
            let to = if self.names[free].stand == Stand::Away { Stand::Live } else { Stand::New };
            self.stands(free, to);
        }
    }

    fn stands(&mut self, i: usize, to: Stand) {
        let (name, step) = (&self.plan.receivers[i].0, self.figures.steps);
        gostech::log::debug("sim", format!("step {step}: {name} was {:?}, and is {to:?}", self.names[i].stand));
        self.figures.changes += 1;
        (self.names[i].stand, self.names[i].steady) = (to, false);
    }

    /// `spool forget` asks for one that is away, or takes its request back.
    pub(super) fn ask_to_forget(&mut self, i: usize) -> Verdict {
        let name = self.plan.receivers[i].0.clone();
        let request = cursor::request_name(&name);
        let Some(w) = &self.worker else { return Ok(()) };
        let held = w.spool.receivers().iter().any(|r| r.name == name);
        match self.names[i].stand {
            Stand::Away if held => {
                self.disk.touch(&request);
                self.stands(i, Stand::Leaving);
            }
            Stand::Leaving if self.disk.is_there(&request) && self.disk.is_there(&cursor::file_name(&name)) => {
                self.disk.erase(&request);
                self.disk.keep_names();
                self.stands(i, Stand::Away);
                if !held {
                    return Err(format!("{name} is not forgotten, as was said, and yet nothing is kept for it"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// At the end of an epoch: whoever is away still is asked to be forgotten, once more where the power took the request.
    /// False: nobody is.
    pub(super) fn forget_who_is_away(&mut self) -> bool {
        let mut any = false;
        for i in 0..self.names.len() {
            let name = &self.plan.receivers[i].0;
            let request = cursor::request_name(name);
            let gone = !self.disk.is_there(&request) && self.disk.is_there(&cursor::file_name(name));
            match self.names[i].stand {
                Stand::Away => self.stands(i, Stand::Leaving),
                Stand::Leaving if gone => {}
                Stand::Leaving => {
                    any = true;
                    continue;
                }
                _ => continue,
            }
            any = true;
            self.disk.touch(&request);
        }
        any
    }

    /// Whose cursor is nowhere any more, and cannot come back, is forgotten.
    pub(super) fn look_who_is_forgotten(&mut self) {
        for i in 0..self.names.len() {
            let name = self.plan.receivers[i].0.clone();
            let held = self.worker.as_ref().is_none_or(|w| w.spool.receivers().iter().any(|r| r.name == name));
            if self.names[i].stand != Stand::Leaving || held || self.disk.may_come_back(&cursor::file_name(&name)) {
                continue;
            }
            self.forgets(i);
        }
    }

    /// It is forgotten, and with it whatever only it still lacked: that may never come to anybody, and nobody is told.
    fn forgets(&mut self, i: usize) {
        self.stands(i, Stand::Unknown);
        self.names[i].again = false;
        let name = self.plan.receivers[i].0.clone();
        for counts in [Some(&mut self.seen), Some(&mut self.forgotten), self.floor.as_mut()].into_iter().flatten() {
            counts.receivers.remove(&name);
        }
        self.synced.remove(&name);
        self.unborn.remove(&name);
        let count = self.count;
        let mut o = self.outside();
        let lacked: Vec<usize> = (0..o.fed.len()).filter(|n| !o.receivers[i].has.contains(n)).collect();
        o.let_go.extend(lacked);
        o.let_go_to = count;
        o.receivers[i].begin_anew();
    }

    /// Whose cursor went with the memory is new afterwards, where it came in the middle of things; and one that was to be
    /// forgotten is.
    pub(super) fn lose_newborns(&mut self) {
        for i in 0..self.names.len() {
            let name = self.plan.receivers[i].0.clone();
            let there = self.disk.is_there(&cursor::file_name(&name));
            self.names[i].begun |= there && self.names[i].stand == Stand::New;
            if self.names[i].steady || there {
                continue;
            }
            match self.names[i].stand {
                Stand::Live => {
                    self.stands(i, Stand::New);
                    self.names[i].again = true;
                }
                Stand::Away | Stand::Leaving => self.forgets(i),
                Stand::Unknown | Stand::New => {}
            }
        }
    }

    /// Right after the spool was opened: the new ones begin where they have to.
    pub(super) fn see_newborns(&mut self) -> Verdict {
        let Some(spool) = self.worker.as_ref().map(|w| w.spool.clone()) else { return Ok(()) };
        let is_new = |w: &World, i: usize| w.names[i].stand == Stand::New;
        let new: Vec<usize> = (0..self.names.len()).filter(|i| is_new(self, *i)).collect();
        let names: BTreeSet<String> = new.iter().map(|i| self.plan.receivers[*i].0.clone()).collect();
        if self.canary == Canary::NewAtTheEnd {
            let end = spool.next_seq();
            names.iter().for_each(|n| spool.update(n, |c| (c.next, c.filtered) = (end, c.filtered + end - c.next)));
        }
        let all = spool.receivers();
        self.see_who_begins_again(&all);
        let others: Vec<_> = all.iter().filter(|r| !names.contains(&r.name)).collect();
        for i in new {
            let name = self.plan.receivers[i].0.clone();
            self.names[i].stand = Stand::Live;
            let mine = all.iter().find(|r| r.name == name).ok_or("a new receiver has no cursor")?;
            let oldest = others.iter().map(|r| r.cursor.next).min();
            let begun = std::mem::take(&mut self.names[i].begun);
            if !begun && oldest.is_some_and(|o| mine.cursor.next > o) {
                return Err(format!("{name} is new and begins with {}, and {oldest:?} is needed", mine.cursor.next));
            }
            let dropped_before = others.iter().map(|r| self.dropped_for(&r.name, r.cursor.dropped)).sum();
            let others: Vec<String> = others.iter().filter(|r| !r.optional).map(|r| r.name.clone()).collect();
            let spared = self.everybody_has(&others)?;
            let filtered = mine.cursor.filtered;
            // Everything again is what it may be given where the state knows one of that name whose cursor is missing: an
            // older state, whose name was forgotten since, may come back with a power cut or a disk that takes no newer one.
            let exact = !self.names[i].again && !self.plan.power && !self.plan.disk_faults;
            if exact && oldest.is_some_and(|o| mine.cursor.next < o) {
                return Err(format!(
                    "{name} is new and begins with {}, and only {oldest:?} is needed",
                    mine.cursor.next
                ));
            }
            // What was before its time may come now.
            self.outside().receivers[i].last = None;
            self.names[i] = Name {
                stand: Stand::Live,
                steady: false,
                spared,
                filtered,
                again: false,
                begun: false,
                dropped_before,
            };
        }
        Ok(())
    }

    /// Whose cursor says nothing any more is given everything again, and may get what was before its time.
    fn see_who_begins_again(&mut self, all: &[Kept]) {
        for (i, (name, _)) in self.plan.receivers.iter().enumerate() {
            let Some(r) = all.iter().find(|r| r.name == *name) else { continue };
            if self.names[i].stand != Stand::New && r.cursor.filtered < self.names[i].filtered {
                self.names[i].filtered = r.cursor.filtered;
                self.outside().receivers[i].last = None;
            }
        }
    }

    /// What all of these have, or had before their own time.
    fn everybody_has(&self, who: &[String]) -> Result<BTreeSet<usize>, String> {
        let mut all: BTreeSet<usize> = (0..self.outside().fed.len()).collect();
        for (i, (name, optional)) in self.plan.receivers.iter().enumerate() {
            // One that is away was optional as well.
            if !who.contains(name) || *optional {
                continue;
            }
            let aside = self.quarantine_of(name)?;
            let o = self.outside();
            let had =
                |n: &usize| o.receivers[i].has.contains(n) || aside.contains(n) || self.names[i].spared.contains(n);
            all.retain(had);
        }
        Ok(all)
    }

    /// How many records were dropped for one whose cursor says so many; before its time as well.
    pub(super) fn dropped_for(&self, name: &str, dropped: u64) -> u64 {
        let before =
            self.plan.receivers.iter().position(|(n, _)| n == name).map_or(0, |i| self.names[i].dropped_before);
        dropped + self.forgotten.dropped_for(name) + before
    }

    /// How many records a receiver may lack because they were dropped before its time.
    pub(super) fn dropped_before(&self, i: usize) -> u64 {
        if self.plan.full != Full::Block || self.damaged {
            self.names[i].dropped_before
        } else {
            0
        }
    }

    // ---- a clean stop ----

    /// The helper stops and another one begins, with other options. False: it did not come to that.
    pub(super) fn restart(&mut self) -> Result<bool, String> {
        if self.worker.is_none() || self.adopting || self.dead.is_some() {
            return Ok(false);
        }
        self.disk.set_faults(WELL);
        self.disk.douse();
        for round in 0..STOP_ROUNDS {
            self.pour()?;
            let whole = self.pipe.is_empty();
            let ending = if whole { Ending::Ended } else { Ending::Open };
            let Some(written) = self.mortal(|w| w.write(ending)) else { return Ok(false) };
            let written = written? && whole && self.cushion.is_empty();
            if self.mortal(World::tell).is_none() || self.send_all(false).is_err() || self.dead.is_some() {
                break;
            }
            if self.mortal(World::tend).is_none() {
                break;
            }
            self.pass(std::time::Duration::from_millis(limits::SENDER_NAP_MILLIS));
            self.look()?;
            if written && round > 0 {
                self.stop()?;
                return Ok(true);
            }
        }
        self.look()?;
        Ok(false)
    }

    fn stop(&mut self) -> Verdict {
        let Some(w) = self.worker.take() else { return Ok(()) };
        self.keep_all(&w.spool)?;
        drop(w);
        self.forget_at_rest();
        self.new_life();
        self.change_names();
        Ok(())
    }

    /// `spool forget` in a spool that nobody works in: it removes the cursor itself.
    fn forget_at_rest(&mut self) {
        for i in 0..self.names.len() {
            if self.names[i].stand == Stand::Away && self.more.once_in(4) {
                let name = self.plan.receivers[i].0.clone();
                self.disk.touch(&cursor::request_name(&name));
                self.disk.erase(&cursor::file_name(&name));
                self.disk.keep_names();
                self.forgets(i);
            }
        }
    }

    /// Before the end of an epoch nobody is away: they come back, or are forgotten.
    pub(super) fn gather_names(&mut self) -> Verdict {
        if !self.plan.changes {
            return Ok(());
        }
        let mut back: Vec<usize> = (0..self.names.len()).collect();
        back.retain(|i| self.names[*i].stand == Stand::Away && !self.more.once_in(3));
        if !back.is_empty() && self.restart()? {
            for i in back {
                if self.names[i].stand == Stand::Away {
                    self.stands(i, Stand::Live);
                }
            }
        }
        Ok(())
    }
}
