//! The oracle: what must be true after each step, and at the end of each epoch, where everything has a fate.

use super::counts::Counts;
use super::{Verdict, World};
use crate::receiver;
use gostech::audit::delivery::quarantine;
use gostech::audit::spool::record::HEADER_BYTES;
use gostech::audit::spool::{Full, Receiver as Kept, Spool};
use gostech::limits;
use std::collections::BTreeSet;

impl World {
    /// After each step.
    pub(super) fn look(&mut self) -> Verdict {
        if let Some(text) = &self.outside().wrong {
            return Err(text.clone());
        }
        self.look_at_the_lock()?;
        self.look_who_is_forgotten();
        let Some(w) = &self.worker else { return Ok(()) };
        let spool = w.spool.clone();
        let (account, receivers, _) = spool.snapshot();
        let c = &account.counters;
        let next = spool.next_seq();
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
            let name = self.plan.receivers.iter().position(|(n, _)| *n == r.name);
            let before = name.map_or(0, |i| self.names[i].filtered);
            // What went with the power and came again was not meant for it under its first number.
            let again = self.log.is_some() && self.plan.power;
            if k.filtered > before && !self.damaged && !self.unborn.contains(&r.name) && !again {
                return Err(format!("{}: {} records count as before its time", r.name, k.filtered));
            }
        }
        self.nothing_ahead(&receivers)?;
        let now = Counts::of(&account, &receivers);
        let s = spool.sizes();
        self.nothing_below_the_platter(&now)?;
        self.seen = now;
        let chunk = (limits::CHUNK_BYTES as u64).min(spool.settings.segment_bytes());
        // What was copied to memory after a failed sync still stands on the disk that failed, until that can cut it off. A
        // directory that is taken away is a disk that fails: what comes then is in memory, beside what stays open.
        let memory = self.plan.memory_max * if self.plan.disk_faults { 2 } else { u64::from(self.plan.gone) };
        // Where nothing but evidence is in the way, one post goes beyond: half a segment, and a list more.
        let post = if self.plan.seals { chunk } else { 0 };
        let bound = self.plan.max + memory + post + 2 * chunk;
        if s.live + s.retained > bound {
            let text = format!("the spool holds {} bytes, more than {bound}; in memory", s.live + s.retained);
            return Err(format!("{text} {} of {}", s.in_memory, self.plan.memory_max));
        }
        Ok(())
    }

    /// No cursor counts more as delivered than its receiver was ever given.
    fn nothing_ahead(&self, receivers: &[Kept]) -> Verdict {
        let o = self.outside();
        for r in &o.receivers {
            // What was read again comes again.
            let again = if self.log.is_some() { r.repeats } else { 0 };
            let given = r.has.len() as u64 + again + r.own;
            let Some(k) = receivers.iter().find(|k| k.name == r.name) else { continue };
            if k.cursor.delivered > given {
                return Err(format!("{} counts {} as delivered, and {given} came", r.name, k.cursor.delivered));
            }
        }
        Ok(())
    }

    /// At a clean stop with all well.
    pub(super) fn keep_all(&self, spool: &Spool) -> Verdict {
        spool.sync(self.wall);
        if !spool.recover_disk() {
            return Err("all is well, and yet the disk does not recover".into());
        }
        spool.save_cursors();
        spool.save_state(true);
        Ok(())
    }

    /// Everything has a fate.
    pub(super) fn settle(&mut self) -> Verdict {
        self.disk.douse();
        let Some(w) = self.worker.take() else { return Err("no worker".into()) };
        self.keep_all(&w.spool)?;
        let (account, receivers, _) = w.spool.snapshot();
        let c = &account.counters;
        let mut all_quarantined = BTreeSet::new();
        for (i, (name, optional)) in self.plan.receivers.clone().iter().enumerate() {
            let quarantined = self.quarantine_of(name)?;
            all_quarantined.extend(&quarantined);
            if !self.names[i].stand.is_live() {
                continue;
            }
            let cursor = receivers.iter().find(|r| r.name == *name).ok_or("no cursor")?.cursor.clone();
            let o = self.outside();
            let due = |n: &usize| !o.fed[*n].excused && !self.names[i].spared.contains(n);
            let lost = |n: &usize| !o.receivers[i].has.contains(n) && !quarantined.contains(n) && due(n);
            let missing: Vec<usize> = (0..o.fed.len()).filter(lost).collect();
            let may_lose = *optional || self.plan.full != Full::Block;
            let forgotten = self.forgotten.dropped + self.forgotten.dropped_for(name);
            let counted = cursor.dropped + c.dropped + forgotten;
            let flips = self.flips_cost();
            let allowed = match (may_lose, self.damaged) {
                (true, true) if self.plan.power => u64::MAX,
                (true, _) => counted,
                // A cursor whose copies are both torn begins to count anew.
                (false, true) if self.plan.power => flips,
                (false, true) => counted.min(flips),
                (false, false) if self.gone.any => counted,
                (false, false) => 0,
            };
            if missing.len() as u64 > allowed.saturating_add(self.dropped_before(i)) {
                let n = missing[0];
                gostech::log::debug("sim", format!("missing: {missing:?}, flips {flips}"));
                return Err(format!(
                    "{name} never got {} records, the first is {n} ({:?}); dropped {} and {}, quarantined {}",
                    missing.len(),
                    o.fed[n],
                    cursor.dropped,
                    c.dropped,
                    cursor.quarantined
                ));
            }
            drop(o);
            if !self.plan.power && !self.damaged && !self.unsecured && !may_lose {
                self.none_is_counted_for_nothing(i, counted, missing.len() as u64, c.own)?;
            }
            self.figures.quarantined += quarantined.len() as u64;
            self.figures.dropped += counted;
        }
        self.nothing_came_twice(c.repeats)?;
        self.words_are_true(&account, &all_quarantined)?;
        drop(w);
        self.judge_trails()?;
        self.plan.deaths = true;
        self.new_life();
        self.change_names();
        Ok(())
    }

    /// How many records flipped bits have cost at most: a bit costs a record; where segments are packed a block.
    fn flips_cost(&self) -> u64 {
        let block = if self.plan.packs { (limits::PACKED_BLOCK_BYTES.0 / HEADER_BYTES) as u64 } else { 1 };
        self.disk.injected().0.flips * block
    }

    /// The records in a receiver's quarantine; every line must be whole.
    pub(super) fn quarantine_of(&self, name: &str) -> Result<BTreeSet<usize>, String> {
        let bytes = self.disk.contents(&quarantine::file_name(name));
        let mut all = BTreeSet::new();
        let mut o = self.outside();
        for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            if let Some(held) = quarantine::parse(line) {
                if let Some(&n) = o.by_doc.get(&held.id) {
                    let given = o.receivers.iter().any(|r| r.name == name && r.ever_had(n));
                    if !matches!(held.status, Some(400 | 413 | 422)) && !o.fed[n].bad && !given {
                        let status = held.status;
                        return Err(format!(
                            "{name}: `{}` is set aside for {status:?}, and its text is liked",
                            held.id
                        ));
                    }
                    all.insert(n);
                } else if !receiver::is_evidence(&held.id) {
                    // What is told there is told to whoever looks after it. Evidence that a receiver refuses tells of no gap.
                    o.hears(&held.id, &String::from_utf8_lossy(&held.raw));
                }
            }
        }
        all.extend(self.gone.aside.iter().filter(|(who, _)| who == name).map(|(_, n)| *n));
        Ok(all)
    }
}
