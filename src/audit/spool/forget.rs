//! Forgetting a receiver that is configured no more: asked for from outside by a file, done here by the one owner.
//!
//! `spool forget` cannot remove a cursor under a running helper, and the helper cannot be stopped without the database.
//! Refuses: to forget a receiver that is configured.

use super::{cursor, Spool};
use crate::log;
use crate::sys::crash;
use std::io;
use std::sync::PoisonError;

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
            // First from the ledger, so that nobody writes the file again. After a crash the request is still there.
            let _alone = self.small.lock().unwrap_or_else(PoisonError::into_inner);
            self.lock().receivers.retain(|r| r.name != name);
            crash::point("forget.listed");
            match self.remove_cursor(&name) {
                Ok(()) => log::info("spool", format!("the cursor of `{name}` is forgotten, as `spool forget` asked")),
                Err(e) => log::warn("spool", format!("cannot remove the cursor of `{name}`: {e}")),
            }
            self.room.notify_all();
        }
    }

    fn remove_cursor(&self, name: &str) -> io::Result<()> {
        let file = cursor::file_name(name);
        let _ = self.ark.remove(&file);
        match self.disk.remove(&file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        crash::point("forget.removed");
        self.disk.remove(&cursor::request_name(name))?;
        self.disk.sync_names()
    }

    /// Requests that speak of no cursor, or of one that is in use: they would hit a later receiver of that name.
    pub(super) fn refuse_requests(&self) {
        let Ok(files) = self.disk.list() else { return };
        let idle: Vec<String> = self.lock().receivers.iter().filter(|r| !r.live).map(|r| r.name.clone()).collect();
        for name in files.iter().filter_map(|f| f.name.strip_prefix("forget-")) {
            if !idle.iter().any(|i| i == name) {
                let _ = self.disk.remove(&cursor::request_name(name));
            }
        }
    }
}
