//! The oracle: what must be true after each step, and at the end of each epoch, where everything has a fate.

use super::{Verdict, World};
use crate::receiver::Fed;
use gostech::audit::quarantine;
use gostech::audit::spool::Full;
use gostech::limits;
use std::collections::BTreeSet;

impl World {
    /// After each step.
    pub(super) fn look(&mut self) -> Verdict {
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

    /// Everything has a fate.
    pub(super) fn settle(&mut self) -> Verdict {
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
                // A cursor whose copies are both torn begins to count anew.
                (false, true) if self.plan.power => injected.flips,
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
        self.words_are_true(&account)?;
        drop(w);
        self.plan.deaths = true;
        self.new_life();
        Ok(())
    }

    /// What is counted and told of what was put in is so.
    fn words_are_true(&self, account: &gostech::audit::account::Account) -> Verdict {
        let o = self.outside();
        if !self.plan.power && !self.damaged && !self.unsecured && account.counters.read != o.fed.len() as u64 {
            return Err(format!(
                "{} records were put in, and {} are counted as read",
                o.fed.len(),
                account.counters.read
            ));
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
