//! What the spool says of itself: what is wrong with it, and what it is at one moment.
//!
//! Refuses: to hand anything on; the worker does that.

use super::{is_full, Full, Ledger, Receiver, Segment, Sizes, Spool, Store};
use crate::audit::alarm::{AlarmKind, OF_RECEIVERS};
use crate::audit::record::account::Account;
use crate::audit::spool::moment::{Around, Bytes, Moment, Standing};
use crate::log;
use std::sync::atomic::Ordering;

impl Spool {
    /// This is the matter, or has happened: logged now, handed on to the keeper by whoever does that.
    pub fn alarm(&self, kind: AlarmKind, matter: &str, text: impl AsRef<str>) {
        log::error(matter, text.as_ref());
        self.troubles.fires(kind, matter, text.as_ref());
    }

    /// A receiver has taken events: whatever was wrong with it is over.
    pub fn well(&self, matter: &str) {
        for kind in OF_RECEIVERS {
            self.troubles.over(kind, matter);
        }
    }

    /// Sizes for warnings.
    pub fn sizes(&self) -> Sizes {
        self.sizes_of(&self.lock())
    }

    fn sizes_of(&self, ledger: &Ledger) -> Sizes {
        let acked = ledger.acked_before(false);
        let packed = ledger.segments.iter().filter_map(|s| s.packed.map(|size| (size, s.bytes)));
        let sum = |f: &dyn Fn(&&Segment) -> bool| ledger.segments.iter().filter(f).map(Segment::size).sum();
        Sizes {
            live: sum(&|s| s.next > acked),
            retained: sum(&|s| s.next <= acked),
            in_memory: sum(&|s| s.store == Store::Memory),
            to_renew: sum(&|s| s.renew),
            packed: packed.fold((0, 0, 0), |(n, size, bytes), p| (n + 1, size + p.0, bytes + p.1)),
            max: self.settings.max,
            next_seq: ledger.next_seq,
            disk_bad: ledger.disk_bad.clone(),
            set_aside: ledger.files_set_aside,
        }
    }

    /// The account, the receivers and the sizes at one moment, under both locks, so that for each receiver read + own is the
    /// sum of its parts.
    pub fn snapshot(&self) -> (Account, Vec<Receiver>, Sizes) {
        self.seen(&self.account(), &self.lock())
    }

    /// The same for who may wait for nobody: whoever holds one of the two locks may be reading a disk that stands still.
    pub fn glance(&self) -> Option<(Account, Vec<Receiver>, Sizes)> {
        Some(self.seen(&*self.account.try_lock()?, &*self.ledger.try_lock()?))
    }

    fn seen(&self, account: &Account, ledger: &Ledger) -> (Account, Vec<Receiver>, Sizes) {
        let mut receivers = ledger.receivers.clone();
        for c in receivers.iter_mut().map(|r| &mut r.cursor) {
            // Delivered before it was accounted for: not yet read, in the eyes of this snapshot.
            let ahead = c.next.saturating_sub(account.seq + 1).min(c.delivered);
            c.delivered -= ahead;
            c.next -= ahead;
        }
        (account.clone(), receivers, self.sizes_of(ledger))
    }

    /// The same for people and programs. `cushion`: what is read and not here yet.
    pub fn moment(&self, now_ms: i64, cushion: u64) -> Moment {
        let (account, receivers, sizes) = self.snapshot();
        let of = |r: Receiver| Standing { name: r.name, live: r.live, cursor: r.cursor, oldest_ms: r.oldest_ms };
        let Sizes { live, retained, in_memory, max, packed, disk_bad, set_aside, .. } = sizes;
        Moment {
            now_ms,
            next: account.seq + 1,
            receivers: receivers.into_iter().map(of).collect(),
            account,
            bytes: Bytes { live, retained, in_memory, max, cushion, packed },
            disk_bad,
            set_aside,
            wrong: self.troubles.standing(),
            in_force: Vec::new(),
            input: None,
            sealed: self.sealed(),
            happened: Vec::new(),
            around: Around::default(),
        }
    }

    /// There is no directory: memory alone, until there is one.
    pub fn no_directory(&self, why: &str) {
        self.lock().disk_bad = Some(why.to_string());
        self.alarm(
            AlarmKind::SpoolGone,
            "spool",
            format!("there is no writable spool directory ({why}): events are kept in memory alone"),
        );
    }

    /// The disk does not do what it should: new records go to memory until it does.
    pub(super) fn disk_failed(&self, what: &str, error: &std::io::Error) {
        let full = is_full(error);
        let news = {
            let mut ledger = self.lock();
            ledger.begin_anew = true;
            // What is kept for replay gives way first; not from here, where a file may be half written and its lock held.
            ledger.disk_full |= full;
            if full && self.settings.full == Full::DropOldest && ledger.disk_bad.is_none() {
                let there: u64 = ledger.segments.iter().filter(|s| s.store == Store::Disk).map(Segment::size).sum();
                // Room for a segment on its way from memory, and for what is beside the segments. Where we hold so little, it is
                // others who fill the disk, and nothing of ours would help.
                let segment = self.settings.segment_bytes();
                let takes = there.saturating_sub(2 * segment);
                let known = (takes, self.clock.load(Ordering::Relaxed));
                ledger.disk_takes = (takes >= segment).then_some(known);
            }
            ledger.disk_bad.replace(error.to_string()).is_none_or(|before| before != error.to_string())
        };
        if news {
            let text = format!("cannot {what} in `{}`: {error}; new events are kept in memory", self.place());
            self.alarm(if full { AlarmKind::DiskFull } else { AlarmKind::DiskFailing }, "spool", text);
            self.troubles.over(if full { AlarmKind::DiskFailing } else { AlarmKind::DiskFull }, "spool");
        }
    }
}
