//! Whether the database waits for us: nothing is read, although something is there and the pipe is full.
//!
//! Reading stops where the cushion is full: the spool has no room and `--spool-full block` says to wait, or the disk stands
//! still. The database waits only when the pipe is full too, and that may be hours later. Refuses: to change anything.

use crate::audit::alarm::troubles::Troubles;
use crate::audit::alarm::AlarmKind;
use crate::audit::intake::source::Choice;
use crate::audit::spool::Spool;
use crate::sys::ring::{Ring, Word};
use crate::{limits, log};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What was seen at the last look.
#[derive(Debug, Default)]
pub struct Standstill {
    head: u64,
    waited: u64,
    /// Since when every look has found that nothing was read.
    since: Option<Instant>,
    /// When a look last found it so.
    last: Option<Instant>,
    told: bool,
}

impl Standstill {
    /// One look, some times a second.
    pub fn look(&mut self, ring: &Ring, input: &Choice, spool: &Spool) {
        let head = ring.word(Word::Head).load(Ordering::Acquire);
        let waited = ring.word(Word::Waited).load(Ordering::Relaxed);
        let still = head == std::mem::replace(&mut self.head, head)
            && waited != std::mem::replace(&mut self.waited, waited)
            && (input.row.is_pressed)(input);
        self.see(still, Instant::now(), &spool.troubles, || why(spool));
    }

    fn see(&mut self, still: bool, now: Instant, troubles: &Troubles, why: impl FnOnce() -> String) {
        if still {
            self.last = Some(now);
            let since = *self.since.get_or_insert(now);
            if now.duration_since(since) >= Duration::from_millis(limits::STANDSTILL_MILLIS) {
                self.tell(troubles, &why());
            }
            return;
        }
        self.since = None;
        let over = Duration::from_millis(limits::STANDSTILL_OVER_MILLIS);
        if self.last.is_none_or(|t| now.duration_since(t) >= over) {
            let ended = troubles.over(AlarmKind::DatabaseWaits, "input").is_some();
            if std::mem::take(&mut self.told) && ended {
                log::info("input", "events are read again: the database does not wait any more");
                log::calm("input");
            }
        }
    }

    fn tell(&mut self, troubles: &Troubles, why: &str) {
        let text = format!("the database waits: {why}; nothing is read and its pipe is full");
        troubles.fires(AlarmKind::DatabaseWaits, "input", &text);
        if !std::mem::replace(&mut self.told, true) {
            log::error("input", text);
        }
    }
}

/// Why nothing is read.
fn why(spool: &Spool) -> String {
    match spool.sizes().disk_bad {
        _ if spool.troubles.is_on(AlarmKind::SpoolFull) => {
            "the spool is full and a receiver does not take events".into()
        }
        Some(why) => format!("the spool's disk fails ({why}) and memory is full"),
        None => "the spool's disk is slow or stands still".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_is_told_after_a_while_and_over_after_a_while() {
        log::mute();
        let troubles = Troubles::default();
        let (mut s, begin) = (Standstill::default(), Instant::now());
        let on = |s: &mut Standstill, millis: u64, still: bool| {
            s.see(still, begin + Duration::from_millis(millis), &troubles, || "test".into());
            troubles.is_on(AlarmKind::DatabaseWaits)
        };
        assert!(!on(&mut s, 0, true) && !on(&mut s, 1_000, false), "a hiccup");
        assert!(!on(&mut s, 2_000, true) && !on(&mut s, 3_900, true) && on(&mut s, 4_000, true));
        assert!(on(&mut s, 5_000, false) && on(&mut s, 6_000, true), "a segment was freed, and filled");
        assert!(on(&mut s, 8_000, false) && on(&mut s, 10_900, false) && !on(&mut s, 11_000, false));
    }
}
