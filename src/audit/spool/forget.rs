//! Forgetting a receiver that is configured no more: asked for from outside by a file, done here by the one owner.
//!
//! `spool forget` cannot remove a cursor under a running helper, and the helper cannot be stopped without the database.
//! Refuses: to forget a receiver that is configured.

use super::disk::Entry;
use super::{cursor, Spool};
use crate::log;
use crate::sys::crash;
use std::io;

impl Spool {
    /// Forgets the cursors that were asked to be forgotten, where no receiver of that name is configured. What they pinned
    /// may go at the next tidying.
    pub fn obey_requests(&self) {
        let idle: Vec<String> = self.lock().receivers.iter().filter(|r| !r.live).map(|r| r.name.clone()).collect();
        for name in idle {
            let request = cursor::request_name(&name);
            self.disk.look_again(&request);
            if self.disk.read_at(&request, 0, &mut [0; 1]).is_err() {
                continue;
            }
            match self.forget(&name) {
                Ok(()) => log::info("spool", format!("the cursor of `{name}` is forgotten, as `spool forget` asked")),
                Err(e) => log::warn("spool", format!("cannot remove the cursor of `{name}`: {e}")),
            }
            self.room.notify_all();
        }
    }

    fn forget(&self, name: &str) -> io::Result<()> {
        let file = cursor::file_name(name);
        {
            // Nobody writes the file again meanwhile.
            let _alone = self.cursors.lock();
            // First from the disk: a cursor that stays there keeps what it pins, or whoever comes back to it misses that.
            match self.disk.remove(&file) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => drop(self.memory_disk.remove(&file)),
            }
            crash::point("forget.removed");
            self.lock().receivers.retain(|r| r.name != name);
        }
        crash::point("forget.listed");
        // Should one of that name come again, it is new, and no cursor of it is missing.
        self.account().receivers.retain(|r| r != name);
        self.save_state(true);
        // After a crash the request is still there.
        self.disk.remove(&cursor::request_name(name))?;
        self.disk.sync_names()
    }

    /// Requests that speak of no cursor, or of one that is in use: they would hit a later receiver of that name.
    pub(super) fn refuse_requests(&self, files: &[Entry]) {
        let idle: Vec<String> = self.lock().receivers.iter().filter(|r| !r.live).map(|r| r.name.clone()).collect();
        for name in files.iter().filter_map(|f| f.name.strip_prefix("forget-")) {
            if !idle.iter().any(|i| i == name) {
                let _ = self.disk.remove(&cursor::request_name(name));
            }
        }
    }
}
