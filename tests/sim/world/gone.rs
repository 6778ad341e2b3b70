//! Somebody takes away what the spool is made of: the folder, files, the lock; and perhaps the worker dies of the same hand.
//!
//! What is promised: what the worker has open is kept, once it has looked; what is missing when the next one begins is told,
//! counted, to the record. Refuses: to take anything while another helper drains the spool.

use super::log::Log;
use super::{Verdict, World};
use crate::canary::Canary;
use crate::disk::Death;
use gostech::audit::spool::past::{Fate, Past};
use gostech::audit::spool::Spool;
use gostech::limits;
use gostech::sys::ring::Word;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

/// What was taken away.
#[derive(Debug, Default)]
pub struct Gone {
    /// Anything at all.
    pub any: bool,
    /// When, until the worker must have looked: what is in the spool then may be lost, and is told.
    exposed: Option<Duration>,
    /// How many records were in no file when the last worker died, as it knew.
    holes: u64,
    /// What stood in a quarantine then, and whose: nobody writes that anew.
    pub aside: Vec<(String, usize)>,
}

impl Gone {
    /// A round of the tender is over: it looks every second, and all that it saves is on the disk again when that is well.
    pub fn looked(&mut self, now: Duration, is_well: bool) {
        let due = Duration::from_millis(limits::STATE_MILLIS);
        self.exposed = self.exposed.filter(|since| !is_well || now < *since + due);
    }
}

impl World {
    /// Once in a while.
    pub(super) fn take_away(&mut self) -> Verdict {
        if !self.plan.gone || self.worker.is_none() || !self.more.once_in(300) {
            return Ok(());
        }
        for (name, _) in self.plan.receivers.clone() {
            let aside = self.quarantine_of(&name)?;
            self.gone.aside.extend(aside.into_iter().map(|n| (name.clone(), n)));
        }
        let what = self.disk.take_away();
        gostech::log::debug("sim", format!("step {}: taken away: {what}", self.figures.steps));
        (self.gone.any, self.gone.exposed) = (true, Some(self.mono));
        if self.more.once_in(3) {
            self.dead = Some(Death::Worker);
        }
        Ok(())
    }

    /// The new worker says what became of the spool of the one before; `is_same`: it lives in the same folder.
    pub(super) fn take_over(&mut self, spool: &Spool, is_same: bool) -> Verdict {
        if !self.plan.gone || self.canary == Canary::PastForgotten {
            return Ok(());
        }
        let fate = if is_same || Past::of(&self.ring).is_none() { Fate::Here } else { Fate::Gone };
        let lost = spool.take_over(&fate);
        let exposed = self.gone.exposed.take();
        // What one that may not pin lacks is in nobody's count.
        let is_known = !self.plan.disk_faults && self.plan.receivers.iter().all(|r| !r.1);
        if lost > self.gone.holes && exposed.is_none() && is_known {
            return Err(format!("{lost} records are in no file, and the worker before had looked since any went"));
        }
        Ok(())
    }

    /// Nobody else may come in: the lock's file is made anew at the first look.
    pub(super) fn look_at_the_lock(&self) -> Verdict {
        match self.gone.exposed.is_some() || self.disk.is_locked() {
            true => Ok(()),
            false => Err("the lock was taken away, and is not made anew".into()),
        }
    }

    /// What is in the spool of the input up to `to` is noted in the cushion, and Tail moved there.
    pub(super) fn note_taken(&self, spool: &Arc<Spool>, to: u64) {
        if self.plan.gone && self.canary != Canary::PastForgotten {
            spool.note_taken(to);
        }
    }

    /// The numbers of what the writer has told are used.
    pub(super) fn note_own(&mut self) {
        let to = self.log.as_ref().and_then(Log::position).unwrap_or(self.tail);
        let Some(w) = self.worker.as_mut() else { return };
        if !std::mem::take(&mut w.writer.posted) {
            return;
        }
        let spool = w.spool.clone();
        match self.log {
            Some(_) => spool.note_taken(to),
            None => self.note_taken(&spool, to),
        }
    }

    /// The worker dies: what it knows to be missing is told by the next one.
    pub(super) fn note_holes(&mut self, spool: &Spool) {
        self.gone.holes = spool.holes_ahead();
    }

    pub(super) fn move_tail(&self) {
        self.ring.word(Word::Tail).store(self.tail, Ordering::Release);
    }

    /// Where nothing is dropped, no more is counted as that than went with what was taken away: what a receiver lacks, events
    /// of our own, and what it took and the worker never heard of.
    pub(super) fn none_is_counted_for_nothing(&self, i: usize, counted: u64, missing: u64, own: u64) -> Verdict {
        let o = self.outside();
        let r = &o.receivers[i];
        let unheard = r.has.iter().filter(|n| !r.answered.contains(&o.fed[**n].doc)).count() as u64;
        let most = if self.gone.any { missing + own + unheard } else { 0 };
        if counted > most {
            return Err(format!("{}: {counted} are counted as dropped, and no more than {most} may be", r.name));
        }
        Ok(())
    }
}
