//! What is wrong now: the register of a worker, which senders, writer and tender keep, and `status`, the page and the keeper
//! read.
//!
//! Whoever sees a matter says so each time (`fires`), and that it is well again each time as well (`over`): nothing depends on
//! the one moment of a change, so what a worker before has left is ended by the next one as soon as it sees that all is
//! well. Refuses: to hand anything on by itself, to hold more than a bounded number of matters.

use crate::audit::alarm::{Alarm, AlarmKind, State};
use crate::audit::locks::{Held, Rank, Ranked};
use crate::limits;
use crate::sorted::Map;
use crate::sys::clock::wall_ms;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
struct Trouble {
    alarm: Alarm,
    /// It is shown, but nobody is called for it yet.
    quiet: bool,
    /// The keeper does not know it as it is.
    pending: bool,
    /// The keeper knows that it fires.
    known: bool,
    /// How often it has happened since the keeper was told.
    times: u64,
    /// A worker before has left it, until when it must be seen again.
    inherited_until: Option<i64>,
}

/// The register.
#[derive(Debug)]
pub struct Troubles {
    all: Ranked<Map<(AlarmKind, String), Trouble>>,
    /// How many there are: who has nothing to end does not wait for the lock.
    count: AtomicUsize,
}

impl Default for Troubles {
    fn default() -> Troubles {
        Troubles { all: Ranked::new(Rank::Troubles, Map::new()), count: AtomicUsize::new(0) }
    }
}

impl Troubles {
    fn open(&self) -> Held<'_, Map<(AlarmKind, String), Trouble>> {
        self.all.lock()
    }

    /// What a worker before has left: it stands until it is seen to be over, or nobody sees it any more.
    pub fn inherit(&self, alarms: Vec<Alarm>) {
        let until = wall_ms() + limits::ALARM_INHERITED_MILLIS;
        let mut all = self.open();
        for alarm in alarms.into_iter().take(limits::ALARMS) {
            let trouble = Trouble {
                alarm: alarm.clone(),
                quiet: false,
                pending: false,
                known: true,
                times: 0,
                inherited_until: Some(until),
            };
            all.insert((alarm.kind, alarm.about), trouble);
        }
        self.count.store(all.len(), Ordering::Release);
    }

    /// This is the matter, or has happened. True when that is news.
    pub fn fires(&self, kind: AlarmKind, about: &str, text: &str) -> bool {
        self.enter(kind, about, text, false)
    }

    /// This is the matter, but not for long enough that somebody is to be called.
    pub fn shows(&self, kind: AlarmKind, about: &str, text: &str) -> bool {
        self.enter(kind, about, text, true)
    }

    fn enter(&self, kind: AlarmKind, about: &str, text: &str, quiet: bool) -> bool {
        let mut all = self.open();
        let key = (kind, about.to_string());
        let now = wall_ms();
        if !all.contains_key(&key) && all.len() >= limits::ALARMS {
            return false;
        }
        let news = all.get(&key).is_none_or(|t| t.alarm.state == State::Resolved);
        let trouble = all.at(key, || Trouble {
            alarm: Alarm { kind, about: about.to_string(), state: State::Firing, since_ms: now, text: String::new() },
            quiet,
            pending: false,
            known: false,
            times: 0,
            inherited_until: None,
        });
        if trouble.alarm.state == State::Resolved {
            trouble.alarm.since_ms = now;
            trouble.quiet = quiet;
        }
        trouble.alarm.state = State::Firing;
        trouble.alarm.text = text.chars().take(limits::ALARM_CHARS).collect();
        trouble.inherited_until = None;
        trouble.quiet &= quiet;
        trouble.times += 1;
        trouble.pending = !trouble.quiet && (!trouble.known || !kind.row().lasts || trouble.pending || news);
        self.count.store(all.len(), Ordering::Release);
        news
    }

    /// That is well, if it was not. Since when it had been the matter.
    pub fn over(&self, kind: AlarmKind, about: &str) -> Option<i64> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut all = self.open();
        let key = (kind, about.to_string());
        let trouble = all.get_mut(&key).filter(|t| t.alarm.state == State::Firing)?;
        let since = trouble.alarm.since_ms;
        if trouble.known {
            trouble.alarm.state = State::Resolved;
            trouble.pending = true;
        } else {
            all.remove(&key);
        }
        self.count.store(all.len(), Ordering::Release);
        Some(since)
    }

    /// All of these are over.
    pub fn over_where(&self, which: impl Fn(AlarmKind, &str) -> bool) {
        let keys: Vec<_> = self.open().keys().filter(|(kind, about)| which(*kind, about)).cloned().collect();
        for (kind, about) in &keys {
            self.over(*kind, about);
        }
    }

    /// Whether this is the matter now.
    pub fn is_on(&self, kind: AlarmKind) -> bool {
        let firing = |t: &&Trouble| t.alarm.kind == kind && t.alarm.state == State::Firing;
        self.count.load(Ordering::Acquire) > 0 && self.open().values().any(|t| firing(&t))
    }

    /// What lasts now, the gravest first.
    pub fn standing(&self) -> Vec<Alarm> {
        let all = self.open();
        let lasts = |t: &&Trouble| t.alarm.state == State::Firing && t.alarm.kind.row().lasts;
        all.values().filter(lasts).map(|t| t.alarm.clone()).collect()
    }

    /// Hands on what the keeper does not know, the gravest first, as long as `take` takes it; the rest is kept.
    pub fn hand_on(&self, mut take: impl FnMut(&Alarm) -> bool) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let now = wall_ms();
        let mut all = self.open();
        for t in all.values_mut().filter(|t| t.inherited_until.is_some_and(|until| until <= now)) {
            t.inherited_until = None;
            if t.alarm.state == State::Firing {
                (t.alarm.state, t.pending) = (State::Resolved, true);
            }
        }
        for t in all.values_mut().filter(|t| t.pending) {
            let mut alarm = t.alarm.clone();
            if t.times > 1 && !alarm.kind.row().lasts {
                alarm.text = format!("{} (and {} more)", alarm.text, t.times - 1);
            }
            if !take(&alarm) {
                break;
            }
            (t.pending, t.known, t.times) = (false, t.alarm.state == State::Firing, 0);
        }
        // What is over, and what has happened, need not be remembered once it is told.
        all.retain(|(kind, _), t| t.pending || kind.row().lasts && t.alarm.state == State::Firing);
        self.count.store(all.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(t: &Troubles) -> Vec<String> {
        let mut out = Vec::new();
        t.hand_on(|a| {
            out.push(format!("{} {} {}", a.state.name(), a.kind.row().id, a.text));
            true
        });
        out
    }

    #[test]
    fn each_change_is_told_once_the_gravest_first() {
        let t = Troubles::default();
        assert!(
            t.fires(AlarmKind::SpoolFilling, "spool", "80 %") && !t.fires(AlarmKind::SpoolFilling, "spool", "81 %")
        );
        assert!(t.fires(AlarmKind::DatabaseWaits, "input", "stands"));
        assert_eq!(told(&t), ["firing database-waits stands", "firing spool-filling 81 %"]);
        t.fires(AlarmKind::SpoolFilling, "spool", "82 %");
        assert_eq!(told(&t), Vec::<String>::new(), "the keeper knows that");
        assert!(
            t.over(AlarmKind::DatabaseWaits, "input").is_some() && t.over(AlarmKind::DatabaseWaits, "input").is_none()
        );
        assert_eq!(told(&t), ["resolved database-waits stands"]);
        assert_eq!(t.standing().len(), 1);
    }

    #[test]
    fn what_is_over_before_it_was_told_is_not_told() {
        let t = Troubles::default();
        t.fires(AlarmKind::DiskFull, "spool", "no room");
        t.over(AlarmKind::DiskFull, "spool");
        assert_eq!(told(&t), Vec::<String>::new());
    }

    #[test]
    fn what_only_shows_is_told_when_it_lasts() {
        let t = Troubles::default();
        t.shows(AlarmKind::ReceiverDown, "receiver r1", "no answer");
        assert_eq!((told(&t).len(), t.standing().len()), (0, 1));
        let since = t.standing()[0].since_ms;
        t.fires(AlarmKind::ReceiverDown, "receiver r1", "no answer");
        assert_eq!((told(&t), t.standing()[0].since_ms), (vec!["firing receiver-down no answer".to_string()], since));
    }

    #[test]
    fn a_full_pipe_costs_nothing_but_time_and_many_of_one_kind_are_one() {
        let t = Troubles::default();
        for i in 0..5 {
            t.fires(AlarmKind::Damage, "spool", &format!("file {i}"));
        }
        t.hand_on(|_| false);
        assert_eq!(told(&t), ["firing damage file 4 (and 4 more)"]);
        assert_eq!((told(&t).len(), t.standing().len()), (0, 0), "it has happened, and does not last");
    }

    #[test]
    fn what_a_worker_before_has_left_is_not_told_again_and_ended_by_who_sees_that_it_is_well() {
        let left = Alarm {
            kind: AlarmKind::ReceiverRefuses,
            about: "receiver r1".into(),
            state: State::Firing,
            since_ms: 5,
            text: "401".into(),
        };
        let t = Troubles::default();
        t.inherit(vec![left]);
        assert!(!t.fires(AlarmKind::ReceiverRefuses, "receiver r1", "answered 401"));
        assert_eq!((told(&t).len(), t.standing()[0].since_ms), (0, 5));
        assert_eq!(t.over(AlarmKind::ReceiverRefuses, "receiver r1"), Some(5));
        assert_eq!(told(&t), ["resolved receiver-refuses answered 401"]);
    }

    #[test]
    fn the_register_is_bounded() {
        let t = Troubles::default();
        for i in 0..10 * limits::ALARMS {
            t.fires(AlarmKind::ReceiverDown, &format!("receiver r{i}"), "x");
        }
        assert_eq!(t.standing().len(), limits::ALARMS);
    }
}
