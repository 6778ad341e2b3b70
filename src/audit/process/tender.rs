//! What has to be done from time to time, on no one's path: sync, save, tidy, warn, bring a failed disk back.

use crate::audit::alarm::AlarmKind;
use crate::audit::process::packer::Packer;
use crate::audit::record::mark::Mark;
use crate::audit::spool::Spool;
use crate::{limits, log};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How full the spool was when it was last said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Fullness {
    #[default]
    Fine,
    Warned,
    Alarmed,
}

/// The one who tends a spool.
#[derive(Debug, Default)]
pub struct Tender {
    fullness: Fullness,
    state_at: Option<Duration>,
    disk_at: Option<Duration>,
    /// The disk failed, and that it works again was not said yet.
    failing: bool,
    saved: (u64, Mark),
    seen: u64,
    packer: Option<Packer>,
}

impl Tender {
    /// One who has segments packed as well.
    pub fn packing(spool: &Arc<Spool>) -> Tender {
        Tender { packer: Some(Packer::new(spool.clone())), ..Tender::default() }
    }

    /// One round. `sync`: what was written has to be on the platter. `mono`: since some beginning; it never goes back.
    pub fn round(&mut self, spool: &Spool, sync: bool, now_ms: i64, mono: Duration) {
        if sync {
            spool.sync(now_ms);
        }
        spool.save_cursors();
        let due = |at: &mut Option<Duration>, millis: u64| {
            let due = at.is_none_or(|t| mono.saturating_sub(t) >= Duration::from_millis(millis));
            if due {
                *at = Some(mono);
            }
            due
        };
        if due(&mut self.state_at, limits::STATE_MILLIS) {
            let a = spool.account();
            // What is dropped moves the place in the stream alone.
            let now = (a.seq, a.mark);
            drop(a);
            if now != self.saved && spool.save_state(sync) {
                self.saved = now;
            }
            spool.look_at_home(now_ms);
            spool.save_owner();
            spool.look_at_files(now_ms);
            spool.tidy(now_ms);
            self.look_at_room(spool);
        }
        if let Some(packer) = &mut self.packer {
            packer.round(now_ms, mono);
        }
        let sizes = spool.sizes();
        if sizes.disk_bad.is_none() {
            for kind in [AlarmKind::DiskFailing, AlarmKind::DiskFull, AlarmKind::SpoolGone] {
                spool.troubles.over(kind, "spool");
            }
        }
        let again = spool.take_room_made() || due(&mut self.disk_at, limits::DISK_RETRY_MILLIS);
        if (sizes.disk_bad.is_some() || sizes.in_memory > 0) && again {
            // The segment in memory that is being written comes back a round later.
            self.failing |= sizes.disk_bad.is_some();
            if spool.recover_disk() && std::mem::take(&mut self.failing) {
                log::calm("spool");
                log::info("spool", "the disk works again; what was kept in memory is on it");
            }
        }
    }

    fn look_at_room(&mut self, spool: &Spool) {
        let s = spool.sizes();
        let percent = s.live * 100 / s.max.max(1);
        let now = match percent {
            95.. => Fullness::Alarmed,
            80.. => Fullness::Warned,
            // Not at once fine again: around a bound it would flap.
            75.. => self.fullness.min(Fullness::Warned),
            _ => Fullness::Fine,
        };
        let text = format!("the spool is {percent} % full ({} of {} bytes)", s.live, s.max);
        if now > self.fullness {
            match now {
                Fullness::Alarmed => spool.alarm(AlarmKind::SpoolNearlyFull, "spool", text),
                _ => {
                    log::warn("room", &text);
                    spool.troubles.fires(AlarmKind::SpoolFilling, "spool", &text);
                }
            }
        } else if now < self.fullness && now == Fullness::Fine {
            log::calm("room");
            log::info("room", format!("the spool is {percent} % full"));
            log::calm("room");
        }
        if now < Fullness::Alarmed {
            spool.troubles.over(AlarmKind::SpoolNearlyFull, "spool");
        }
        if now == Fullness::Fine {
            spool.troubles.over(AlarmKind::SpoolFilling, "spool");
        }
        self.fullness = now;
    }

    /// Rounds until `stop`, and a last one.
    pub fn run(&mut self, spool: &Spool, sync: bool, stop: &AtomicBool, now_ms: impl Fn() -> i64) {
        let begin = Instant::now();
        spool.save_new_state();
        while !stop.load(Ordering::Acquire) {
            // Nothing happens in an idle helper; the first record after a while starts the rhythm.
            spool.wait_news(self.seen, Duration::from_secs(1));
            self.seen = spool.next_seq();
            self.round(spool, sync, now_ms(), begin.elapsed());
            if !stop.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(limits::TEND_MILLIS));
            }
        }
        if let Some(packer) = &mut self.packer {
            packer.stop();
        }
    }
}
