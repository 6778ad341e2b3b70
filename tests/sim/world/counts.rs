//! What is counted, and what of it is on the platter: counters survive a power cut as far as they were synced.

use super::{Verdict, World};
use gostech::audit::record::account::Account;
use gostech::audit::spool::cursor::{self, Cursor};
use gostech::audit::spool::{names, slots, Receiver};
use gostech::limits;
use std::collections::BTreeMap;

/// The counters that the oracle follows.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub read: u64,
    /// Dropped before they came into the spool.
    pub dropped: u64,
    /// By receiver: where it stands, and what was dropped for it.
    pub receivers: BTreeMap<String, (u64, u64)>,
}

impl Counts {
    /// Of a spool that is open.
    pub fn of(account: &Account, receivers: &[Receiver]) -> Counts {
        let c = &account.counters;
        let receivers = receivers.iter().map(|r| (r.name.clone(), (r.cursor.next, r.cursor.dropped))).collect();
        Counts { read: c.read, dropped: c.dropped, receivers }
    }

    /// What was dropped for a receiver.
    pub fn dropped_for(&self, name: &str) -> u64 {
        self.receivers.get(name).map_or(0, |r| r.1)
    }

    /// Adds what `before` had more than `after`.
    pub fn add_lost(&mut self, before: &Counts, after: &Counts) {
        self.read += before.read.saturating_sub(after.read);
        self.dropped += before.dropped.saturating_sub(after.dropped);
        for (name, (_, dropped)) in &before.receivers {
            let lost = dropped.saturating_sub(after.dropped_for(name));
            self.receivers.entry(name.clone()).or_default().1 += lost;
        }
    }
}

impl World {
    /// What the platter says, whatever becomes of the page cache.
    pub(super) fn on_platter(&self) -> Counts {
        let state = self.disk.platter(names::STATE);
        let account = slots::decode(&state, limits::STATE_SLOT_BYTES).and_then(|(_, bytes)| Account::load(bytes));
        let mut counts = Counts::of(&account.unwrap_or_default(), &[]);
        for (name, _) in &self.plan.receivers {
            let file = self.disk.platter(&cursor::file_name(name));
            let kept = slots::decode(&file, limits::CURSOR_SLOT_BYTES).and_then(|(_, bytes)| Cursor::load(bytes));
            counts.receivers.extend(kept.map(|c| (name.clone(), (c.next, c.dropped))));
        }
        counts
    }

    /// After a power cut nothing stands behind what the platter said.
    pub(super) fn nothing_below_the_platter(&mut self, now: &Counts) -> Verdict {
        let Some(floor) = self.floor.take() else { return Ok(()) };
        // Less may be dropped than was: what a write that failed has left on the disk came back, and is in the spool.
        let kept = |c: &Counts| c.read - c.dropped.min(c.read);
        if now.read < floor.read || kept(now) < kept(&floor) {
            return Err(format!("after a power cut {now:?}, and {floor:?} was on the platter"));
        }
        for (name, (next, _)) in &floor.receivers {
            let next = next.min(self.synced.get(name).unwrap_or(&0));
            if now.receivers.get(name).is_some_and(|(now, _)| now < next) {
                return Err(format!("after a power cut {name} goes back to {now:?}, and {floor:?} was on the platter"));
            }
        }
        self.forgotten.add_lost(&self.seen, now);
        Ok(())
    }
}
