//! When files are not there any more under their names: somebody removed them, or put others in their place.
//!
//! What is open can still be read, and is written anew. What is not is gone, and is found missing, counted and told by its
//! readers. Refuses: to touch the file that has the name now; it is set aside.

use super::cursor;
use super::names::STATE;
use super::record::RECORDS_AT;
use super::{Segment, Spool, Store};
use crate::audit::alarm::AlarmKind;
use crate::log;
use std::io;

/// What became of a segment without a name.
enum Came {
    /// Its records are in another file, or there were none.
    Anew,
    /// It can be read no more.
    Gone,
    /// It is tried again.
    Not(io::Error),
}

impl Spool {
    /// Looks whether the files that are needed have their names, and the lock its file.
    pub fn look_at_files(&self, now_ms: i64) {
        if self.disk.moved() {
            return;
        }
        self.disk.look_at_lock();
        let needed: Vec<String> = {
            let ledger = self.lock();
            let acked = ledger.acked_before(false);
            let on_disk = ledger.segments.iter().filter(|s| s.store == Store::Disk && s.next > acked);
            on_disk.map(|s| s.name.clone()).collect()
        };
        let lost: Vec<String> = needed.into_iter().filter(|name| !self.disk.is_named(name)).collect();
        if !lost.is_empty() {
            let _alone = self.syncing.lock();
            self.save_nameless(&lost, now_ms);
        }
        if self.lock().disk_bad.is_none() {
            self.look_at_small_files();
        }
    }

    /// Segments whose names are gone are written anew, as far as they can be read. For one at a time (`syncing`).
    pub(super) fn save_nameless(&self, names: &[String], now_ms: i64) {
        // First it is sent elsewhere: what it began to write there behind the wait would stand in no copy.
        self.lock().begin_anew = true;
        self.let_the_writer_finish();
        let (mut anew, mut gone) = (0, 0);
        for name in names {
            let found = {
                let mut ledger = self.lock();
                if ledger.active.as_ref() == Some(name) {
                    ledger.active = None;
                }
                ledger.segments.iter().find(|s| s.name == *name && s.store == Store::Disk).cloned()
            };
            let Some(s) = found else { continue };
            match self.save_one(&s, now_ms) {
                Came::Anew => anew += 1,
                Came::Gone => {
                    gone += s.next - s.first;
                    self.lock().segments.retain(|x| x.name != s.name || x.store != Store::Disk);
                }
                Came::Not(e) => log::error("spool", format!("`{name}` has lost its name, and cannot be kept: {e}")),
            }
        }
        if anew + gone > 0 {
            let what = format!("{} files were removed or replaced in `{}`", names.len(), self.place());
            let rest = if gone > 0 { format!(", {gone} events cannot be read any more") } else { String::new() };
            self.alarm(AlarmKind::Damage, "spool", format!("{what}: {anew} of them are written anew{rest}"));
        }
    }

    fn save_one(&self, s: &Segment, now_ms: i64) -> Came {
        let to_disk = || self.copy_records(s, RECORDS_AT, Store::Disk, now_ms);
        let fits = s.size() <= self.lock().room_in_memory(self.settings.memory_max);
        let to_memory = |e: io::Error| match fits && e.kind() != io::ErrorKind::NotFound {
            true => self.copy_records(s, RECORDS_AT, Store::Memory, now_ms),
            false => Err(e),
        };
        let copied = to_disk().or_else(to_memory);
        if matches!(&copied, Err(e) if e.kind() != io::ErrorKind::NotFound) {
            return copied.map_or_else(Came::Not, |_| Came::Anew);
        }
        // Whatever has the name now is not ours.
        self.disk.look_again(&s.name);
        if self.disk.read_at(&s.name, 0, &mut [0; 1]).is_ok() {
            let _ = self.disk.rename(&s.name, &format!("{}.bad", s.name));
        }
        match copied {
            Ok(Some(copy)) => {
                self.put_in_place(s, RECORDS_AT, copy);
                Came::Anew
            }
            _ => Came::Gone,
        }
    }

    /// Cursors and state that have lost their files get new ones.
    fn look_at_small_files(&self) {
        let lost = {
            let _alone = self.cursors.lock();
            let mut ledger = self.lock();
            let mut lost = 0;
            for r in ledger.receivers.iter_mut().filter(|r| !r.place.is_new()) {
                let file = cursor::file_name(&r.name);
                if !self.disk.is_named(&file) {
                    self.disk.look_again(&file);
                    r.place = r.place.without_file();
                    (r.dirty, r.saved, r.synced) = (true, 0, 0);
                    lost += 1;
                }
            }
            lost
        };
        if lost > 0 {
            log::warn("spool", format!("{lost} cursors have lost their files in `{}`: written anew", self.place()));
            self.save_cursors();
        }
        self.look_at_progress();
        let state = {
            let mut file = self.state.lock();
            let lost = !file.place.is_new() && !self.disk.is_named(STATE);
            if lost {
                self.disk.look_again(STATE);
                file.place = file.place.without_file();
            }
            lost
        };
        if state {
            log::warn("spool", format!("`{STATE}` has lost its file in `{}`: written anew", self.place()));
            self.save_state(true);
        }
    }
}
