//! The oracle's ear: what is counted and told of what was put in is so, and what is truly missing is told.
//!
//! Refuses: to believe a gap that nobody can see, to miss one that everybody can.

use super::{Verdict, World};
use crate::receiver::{Fed, Gap};
use gostech::audit::record::account::Account;
use gostech::audit::spool::Full;
use std::collections::{BTreeMap, BTreeSet};

impl World {
    /// At the end of an epoch, when everything is delivered. `aside`: what any receiver has in quarantine.
    pub(super) fn words_are_true(&mut self, account: &Account, aside: &BTreeSet<usize>) -> Verdict {
        let gaps = self.outside().gaps.len() as u64;
        self.figures.gaps = gaps;
        if account.gaps.untold() > 0 || !account.dropped.is_empty() || account.dropped_unknown > 0 {
            return Err(format!("gaps are not told: {account:?}"));
        }
        // A flipped bit, or a failed sync whose worker died of it, may have cost what the words were of.
        if self.damaged || self.unsecured {
            return Ok(());
        }
        self.read_is_counted(account)?;
        self.drops_are_true()?;
        self.no_drop_is_false()?;
        self.no_gap_is_false(aside)?;
        self.every_gap_is_told(aside)
    }

    fn read_is_counted(&self, account: &Account) -> Verdict {
        let o = self.outside();
        let (all, read) = (o.fed.len() as u64, account.counters.read);
        let least = if self.plan.power || self.plan.followed {
            o.fed.iter().filter(|f| !f.excused).count() as u64
        } else {
            all
        };
        // An event of ours that went with the state that counted it counts as one that was read.
        let half = o.halves;
        let most = all + half + if self.gone.any { account.counters.damaged } else { 0 };
        if read + self.forgotten.read < least || !self.plan.power && read > most {
            return Err(format!("{all} records were put in, {least} of them for good, and {read} are counted as read"));
        }
        Ok(())
    }

    /// Nothing is told as dropped where nothing may be.
    fn drops_are_true(&self) -> Verdict {
        let o = self.outside();
        match o.gaps.iter().find(|g| g.reason == "dropped") {
            Some(g) if self.plan.full == Full::Block => {
                Err(format!("an audit_gap is false, nothing was dropped: {g:?}"))
            }
            _ => Ok(()),
        }
    }

    /// With one receiver nothing is told as dropped whose taking was counted: a late answer takes it back.
    fn no_drop_is_false(&self) -> Verdict {
        let o = self.outside();
        let [r] = o.receivers.as_slice() else { return Ok(()) };
        if self.plan.power || self.plan.disk_faults {
            // Counters may go back to what the disk has.
            return Ok(());
        }
        // Of a range with holes nobody knows which of its events are meant.
        let is_whole = |g: &&Gap| g.range.is_some_and(|(from, to)| g.missing == to - from + 1);
        for g in o.gaps.iter().filter(|g| g.reason == "dropped").filter(is_whole) {
            let told = |f: &&Fed| f.count.is_some_and(|n| g.tells(n)) && r.answered.contains(&f.doc);
            if let Some(f) = o.fed.iter().find(told) {
                return Err(format!("an audit_gap is false: {g:?}; the taking of {f:?} was answered and counted"));
            }
        }
        Ok(())
    }

    /// What is told as missing did not come.
    fn no_gap_is_false(&self, aside: &BTreeSet<usize>) -> Verdict {
        let o = self.outside();
        let came = |n: usize| aside.contains(&n) || o.receivers.iter().any(|r| r.ever_had(n));
        let held = |g: &Gap, f: &Fed| f.count.is_some_and(|n| g.tells(n)) && !f.excused;
        for g in &o.gaps {
            let mut inside = o.fed.iter().enumerate().filter(|(_, f)| held(g, f));
            // What is gone from the disk was missing for one of them, or its taking was never heard of.
            let heard = |f: &Fed| o.receivers.iter().all(|r| r.answered.contains(&f.doc));
            let went = self.gone.any && g.reason == "damaged";
            // What came, and went with the power, and no record says so any more, is rather told than not.
            let had = |n: usize| self.plan.followed && self.plan.power && g.had.contains(&n);
            let false_of = |n: usize, f: &Fed| if went { heard(f) } else { came(n) && !had(n) };
            let kept = inside.clone().find(|(n, f)| false_of(*n, f)).map(|(n, _)| n);
            // What was dropped came from the database, and yet it is gone; after a power cut nobody may remember why.
            // So where the state went with the records: of a stretch with fewer records than ids nobody knows which were which.
            let sure = !self.plan.power && !self.gone.any;
            let lost = sure && g.reason == "lost" && inside.next().is_some();
            if g.reason != "dropped" && (kept.is_some() || lost) {
                return Err(format!("an audit_gap is false: {g:?}; record {kept:?} came"));
            }
        }
        Ok(())
    }

    /// What did not come is told: lost before it was read, dropped, or gone with the power.
    fn every_gap_is_told(&self, aside: &BTreeSet<usize>) -> Verdict {
        let o = self.outside();
        let by_count: BTreeMap<u64, usize> =
            o.fed.iter().enumerate().filter_map(|(n, f)| Some((f.count?, n))).collect();
        // By the eyes of one who was always there, if there is one.
        let steady = self.names.iter().zip(&self.plan.receivers).position(|(n, (_, optional))| n.steady && !optional);
        let came = |n: &usize| match steady {
            _ if aside.contains(n) => true,
            Some(i) => o.receivers[i].has.contains(n),
            None => o.receivers.iter().any(|r| r.ever_had(*n)),
        };
        // Behind the last one that came nobody knows yet what is missing; nor before one that came and then went with the
        // power, until the next one comes.
        let known = |n: &usize| came(n) && !o.fed[*n].excused;
        let last = by_count.iter().rev().find(|(_, n)| known(n)).map_or(0, |(count, _)| *count);
        let told = |count: u64| o.gaps.iter().any(|g| g.tells(count)) || o.half_counts.contains(&count);
        // What never was put in shows by the next one; where that was not promised when memory went, so was this.
        let seen = |count: u64| by_count.range(count..).next().is_some_and(|(_, n)| !o.fed[*n].excused);
        let expected = |count: &u64| by_count.contains_key(count) || seen(*count);
        // Nobody has promised anything of what only one lacked who was forgotten; nor that anybody else is told of it.
        let let_go = |count: &u64| {
            steady.is_none() && by_count.get(count).map_or(*count <= o.let_go_to, |n| o.let_go.contains(n))
        };
        let missing =
            |count: &u64| !by_count.get(count).is_some_and(came) && !told(*count) && expected(count) && !let_go(count);
        let untold: Vec<u64> = (1..last).filter(missing).collect();
        // Whose id nobody knows is told as a number.
        let numbered: u64 = o.gaps.iter().filter(|g| g.range.is_none()).map(|g| g.missing).sum();
        // What is dropped for one that may not pin is counted, and no audit_gap tells of it: where nobody else was there.
        let optional = self.plan.receivers.iter().filter(|(_, optional)| *optional && steady.is_none());
        let given_up: u64 = optional.map(|(n, _)| self.dropped_for(n, self.seen.dropped_for(n))).sum();
        if untold.len() as u64 > numbered + given_up {
            let first = by_count.get(&untold[0]).map(|n| &o.fed[*n]);
            return Err(format!(
                "{} events never came, and {numbered} are told as a number; the first are {:?}: {first:?}",
                untold.len(),
                &untold[..untold.len().min(20)]
            ));
        }
        let is_told = |g: &&Gap| g.reason == "dropped" || self.gone.any && g.reason == "damaged";
        let dropped: u64 = o.gaps.iter().filter(is_told).map(|g| g.missing).sum();
        let due = |n: &usize| steady.is_some() || !o.let_go.contains(n);
        let gone = o.fed.iter().enumerate().filter(|(n, f)| !came(n) && !f.excused && due(n)).count() as u64;
        if !self.plan.power && (self.plan.full != Full::Block || self.gone.any) && dropped < gone {
            return Err(format!("{gone} records were dropped, and {dropped} are told"));
        }
        Ok(())
    }
}
