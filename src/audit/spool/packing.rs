//! Which sealed segment is packed next, and the change from the plain file to the packed one: all that needs the ledger.
//!
//! The work in between (`packed::Job`) holds no lock, so that whoever does it may be slower than all others. Refuses: to
//! remove a plain segment before the packed one is on the platter under its name, was read again, and is in the ledger.

use super::packed::{Job, Packing};
use super::{Ledger, Segment, Spool, Store};
use crate::limits;
use crate::log;
use crate::sys::crash;
use std::io;
use std::sync::Arc;

impl Ledger {
    /// The newest plain one that is worth it: where there is too little room the oldest goes first, delivered or dropped.
    /// One for which somebody has waited for long; any where the spool is over a quarter of its bound.
    fn to_pack(&self, max: u64, now_ms: i64) -> Option<&Segment> {
        let (acked, much) = (self.acked_before(false), self.segments.iter().map(Segment::size).sum::<u64>() > max / 4);
        let newer = self.segments.iter().skip(1);
        let mut pairs = self.segments.iter().zip(newer).rev();
        let found = pairs.find(|(s, newer)| {
            let long = now_ms.saturating_sub(newer.head.created_ms) >= limits::PACK_AFTER_MILLIS;
            let is_still = self.active.as_ref() != Some(&s.name) && !self.obsolete.iter().any(|o| o.0 == s.name);
            s.is_packable() && is_still && (much || long && s.next > acked)
        });
        found.map(|(s, _)| s).filter(|_| self.disk_bad.is_none())
    }
}

impl Segment {
    fn is_packable(&self) -> bool {
        let is_kept = self.store == Store::Disk && !self.renew && self.replaces.is_empty();
        let fits = (limits::PACK_MIN_BYTES..=limits::PACKED_PLAIN_BYTES).contains(&self.bytes);
        is_kept && fits && !self.stays_plain && self.packed.is_none()
    }
}

impl Job {
    /// Whether it is of this segment, and that is as it was.
    fn is_of(&self, s: &Segment) -> bool {
        s.name == self.name && s.store == Store::Disk && s.bytes == self.bytes && s.next == self.next
    }
}

impl Spool {
    /// The segment that is to be packed now.
    pub fn to_pack(&self, now_ms: i64) -> Option<Job> {
        let s = self.lock().to_pack(self.settings.max, now_ms).cloned()?;
        Some(Job { to: self.free_name(s.first, true), name: s.name, head: s.head, bytes: s.bytes, next: s.next })
    }

    /// Takes over what has become of it.
    pub fn take_packed(&self, job: &Job, done: io::Result<Packing>) -> io::Result<()> {
        match done? {
            Packing::Done(size) => self.put_packed(job, size).inspect_err(|_| {
                // The plain one is there and in the ledger.
                let _ = (self.disk.remove(&job.unborn()), self.disk.remove(&job.to));
            }),
            Packing::NotWorthIt => {
                if let Some(s) = self.lock().segments.iter_mut().find(|s| job.is_of(s)) {
                    s.stays_plain = true;
                }
                Ok(())
            }
        }
    }

    fn put_packed(&self, job: &Job, size: u64) -> io::Result<()> {
        if self.disk.moved() {
            return Err(io::Error::other("the directory has changed"));
        }
        self.disk.rename(&job.unborn(), &job.to)?;
        crash::point("pack.renamed");
        self.disk.sync_names()?;
        // Opened now: it can be read, whatever becomes of its name.
        let opened = self.disk.read_at(&job.to, 0, &mut [0; 1]);
        let taken = {
            // Nobody writes it anew meanwhile.
            let _alone = self.syncing.lock();
            let mut ledger = self.lock();
            let plain = ledger.segments.iter_mut().find(|s| job.is_of(s) && s.is_packable());
            let plain = plain.filter(|_| opened.is_ok());
            plain
                .map(|s| {
                    (s.name, s.head, s.packed) = (job.to.clone(), Arc::new(job.packed_head()), Some(size));
                    s.synced = s.bytes;
                })
                .is_some()
        };
        crash::point("pack.entered");
        let rest = if taken { &job.name } else { &job.to };
        match self.disk.remove(rest) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => log::warn("spool", format!("cannot remove `{rest}`: {e}")),
            _ => {}
        }
        crash::point("pack.removed");
        self.room.notify_all();
        Ok(())
    }

    /// The same segment as `s` is in another file now; false: it is not.
    pub(super) fn packed_meanwhile(&self, s: &mut Segment) -> bool {
        let ledger = self.lock();
        let is_it = |x: &&Segment| x.packed.is_some() && x.first == s.first && x.name != s.name && x.bytes == s.bytes;
        let Some(now) = ledger.segments.iter().find(is_it) else { return false };
        (s.name, s.head, s.packed) = (now.name.clone(), now.head.clone(), now.packed);
        true
    }
}

#[cfg(test)]
mod tests;
