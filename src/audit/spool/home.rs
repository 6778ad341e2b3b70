//! When the spool's directory is not there any more: somebody removed it, or the file system over it was unmounted.
//!
//! Files that are open can still be read. What receivers need of them goes to memory, and to the directory that is made in
//! its place; what was not open is gone, and is found missing, counted and told by its reader. Refuses: to look further.

use super::record::RECORDS_AT;
use super::{Segment, Spool, Store};
use crate::audit::alarm::AlarmKind;
use crate::limits;
use crate::log;
use std::io;
use std::time::Duration;

impl Spool {
    /// The disk has failed, so the writer goes elsewhere with its next chunk; the one at hand is still in the file that is to
    /// be copied. A write that hangs is not waited for.
    pub(super) fn let_the_writer_finish(&self) {
        for _ in 0..limits::WRITER_WAIT_MILLIS {
            if !self.lock().writing {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The directory is gone, and there is none in its place yet.
    pub fn is_homeless(&self) -> bool {
        self.lock().homeless
    }

    /// Looks whether the directory is the one whose files are open; if not, the disk has failed, and what can still be read
    /// of them is in memory when this comes back.
    pub fn look_at_home(&self, now_ms: i64) {
        if self.disk.moved() {
            let _alone = self.syncing.lock();
            self.leave_home(now_ms);
        }
    }

    /// The same, for one at a time (`syncing`).
    pub(super) fn leave_home(&self, now_ms: i64) {
        if !self.disk.moved() || std::mem::replace(&mut self.lock().homeless, true) {
            return;
        }
        let gone = io::Error::new(io::ErrorKind::NotFound, "it was removed or replaced");
        let text = format!("the directory `{}` was removed or replaced; what can still be read is kept", self.place());
        self.alarm(AlarmKind::SpoolGone, "spool", text);
        self.disk_failed("find the directory", &gone);
        self.let_the_writer_finish();
        let (mine, room) = {
            let mut ledger = self.lock();
            ledger.active = None;
            let acked = ledger.acked_before(false);
            let needed = |s: &&Segment| s.store == Store::Disk && s.next > acked;
            let mine = ledger.segments.iter().filter(needed).cloned().collect::<Vec<_>>();
            // For the next worker, who finds no file of them.
            ledger.receivers.iter_mut().for_each(|r| r.dirty = true);
            (mine, ledger.room_in_memory(self.settings.memory_max))
        };
        // The newest first: those are open for certain, and nobody may have read them yet.
        let mut room = room;
        for s in mine.iter().rev().filter(|s| s.bytes > RECORDS_AT) {
            if s.size() > room {
                break;
            }
            match self.copy_records(s, RECORDS_AT, Store::Memory, now_ms) {
                Ok(Some(copy)) => {
                    room -= copy.size().min(room);
                    self.put_in_place(s, RECORDS_AT, copy);
                }
                Ok(None) => {}
                Err(e) => log::warn("spool", format!("cannot keep `{}` in memory: {e}", s.name)),
            }
        }
        if let Err(e) = self.state_to_memory() {
            log::debug("spool", format!("the state is not kept in memory: {e}"));
        }
        self.save_cursors();
    }
}
