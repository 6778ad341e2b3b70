//! A member of the family that was stopped (SIGSTOP, a debugger that forgot it): after a while it is sent on, because the
//! database waits for it and it cannot say so itself.
//!
//! Refuses: to touch one that is traced, to end anybody.

use crate::sys::{process, signal};
use crate::{limits, log};
use std::time::{Duration, Instant};

/// Since when somebody has been standing still.
#[derive(Debug, Default)]
pub struct Stopped {
    since: Option<Instant>,
}

impl Stopped {
    /// Looks at one whom the database waits for, and sends it on when it has stood still for so long.
    pub fn look(&mut self, who: &str, pid: Option<i32>) {
        let Some(pid) = pid.filter(|pid| process::is_stopped(*pid)) else {
            self.since = None;
            return;
        };
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() < Duration::from_secs(limits::STOPPED_SECONDS) {
            return;
        }
        self.since = None;
        let seconds = limits::STOPPED_SECONDS;
        let text =
            format!("the {who} (process {pid}) was stopped, and the database waits for it: sent on after {seconds} s");
        log::error("keeper", text);
        signal::send(pid, signal::SIGCONT);
    }

    /// When to look again.
    pub fn patience(&self) -> Option<Duration> {
        self.since.map(|t| Duration::from_secs(limits::STOPPED_SECONDS).saturating_sub(t.elapsed()))
    }
}
