//! Who has segments packed that wait: one at a time, in a thread that steps back behind the others.
//!
//! That thread takes no lock of the spool and none of its disk: as it steps back, whoever waited for it would wait for long.
//! What it has made is put in place by the tender. Refuses: to keep a thread where nothing is to be packed.

use crate::audit::spool::packed::{Job, Packing};
use crate::audit::spool::Spool;
use crate::sys::thread;
use crate::{limits, log};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where the thread leaves what came of it.
type Slot = Arc<Mutex<Option<io::Result<Packing>>>>;

/// That.
#[derive(Debug)]
pub struct Packer {
    spool: Arc<Spool>,
    /// The segment that is being packed.
    at: Option<(Job, Slot)>,
    /// Nothing is begun before this.
    not_before: Duration,
}

impl Packer {
    /// Nothing is packed yet.
    pub fn new(spool: Arc<Spool>) -> Packer {
        Packer { spool, at: None, not_before: Duration::ZERO }
    }

    /// Puts in place what is packed, and has the next one packed.
    pub fn round(&mut self, now_ms: i64, mono: Duration) {
        if let Some((job, slot)) = self.at.take() {
            let done = slot.try_lock().ok().and_then(|mut done| done.take());
            let Some(done) = done else {
                self.at = Some((job, slot));
                return;
            };
            if let Err(e) = self.spool.take_packed(&job, done) {
                self.failed(&job.name, &e, mono);
            }
        }
        let due = mono >= self.not_before;
        let Some(job) = due.then(|| self.spool.to_pack(now_ms)).flatten() else { return };
        match self.begin(&job) {
            Ok(slot) => self.at = Some((job, slot)),
            Err(e) => self.failed(&job.name, &e, mono),
        }
    }

    fn begin(&self, job: &Job) -> io::Result<Slot> {
        let disk = self.spool.disk().another().ok_or_else(|| io::Error::other("there is no directory"))?;
        let (slot, job, spool) = (Slot::default(), job.clone(), self.spool.clone());
        let told = slot.clone();
        thread::start("packer", move || {
            thread::give_way();
            let done = job.pack(&*disk);
            if let Ok(mut slot) = told.lock() {
                *slot = Some(done);
            }
            spool.nudge();
        })?;
        Ok(slot)
    }

    fn failed(&mut self, name: &str, e: &io::Error, mono: Duration) {
        self.not_before = mono + Duration::from_millis(limits::PACK_RETRY_MILLIS);
        log::warn("packing", format!("cannot pack `{name}`, which stays as it is: {e}; trying again in a minute"));
    }

    /// The worker ends: what is half done is not left for people to wonder about.
    pub fn stop(&mut self) {
        if let Some((job, _)) = self.at.take() {
            let _ = self.spool.disk().remove(&job.unborn());
        }
    }
}
