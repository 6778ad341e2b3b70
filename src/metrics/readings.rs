//! What the poll thread and those who ask for numbers share: the last reading, and the wish for a newer one.
//!
//! One poll serves all: whoever finds the reading too old wishes for a new one and waits for it, at most as long as they may;
//! a slow database costs one request, never a pile. Refuses: to hand out a reading that is older than the floor as if it
//! were new.

use super::rules::Tally;
use super::snapshot::{Part, Snapshot};
use super::source::{Grade, Page};
use crate::iproto::{Reason, Trouble};
use crate::limits;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// What one poll came to.
#[derive(Debug)]
pub struct Reading {
    /// The numbers and the grade that gave them, or why there are none.
    pub result: Result<(Page, Grade), Trouble>,
    /// The grades that were tried, and whether they gave their numbers.
    pub sources: Vec<(Grade, bool)>,
    /// When it ended.
    pub at: Instant,
    /// The same by the wall clock, milliseconds since the epoch.
    pub wall_ms: i64,
    /// How long it took.
    pub took: Duration,
}

/// What happened since the start.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Polls that brought numbers.
    pub good: u64,
    /// Polls that did not.
    pub failed: u64,
    /// What was left out or failed, by reason.
    pub errors: Tally,
    /// Since when it is as it is now.
    pub since: Option<SystemTime>,
    /// The last trouble, in words, and when it was.
    pub last: Option<(SystemTime, String)>,
    /// Version and identity of the database.
    pub database: Option<(String, String)>,
    /// Requests a second between the last two readings, where the database counts them.
    pub load: Option<f64>,
    /// The configuration was read again, had a fault and was refused.
    pub refused_configuration: bool,
}

#[derive(Default)]
struct State {
    wanted: bool,
    /// The poll thread is to look up, whether a poll is wanted or not.
    stirred: bool,
    generation: u64,
    /// When the poll that runs now began.
    began: Option<Instant>,
    reading: Option<Arc<Reading>>,
    counts: Counts,
}

/// The readings.
#[derive(Default)]
pub struct Readings {
    state: Mutex<State>,
    news: Condvar,
    wish: Condvar,
}

/// A reading, or that there was none in time; and the counts with it.
pub struct View {
    /// The reading; none: not in time.
    pub reading: Option<Arc<Reading>>,
    /// The counts.
    pub counts: Counts,
    /// It is one of before: there was none in time.
    pub late: bool,
}

/// An instance on a page.
pub struct Seen {
    /// Its labels; of the only one none.
    pub labels: Vec<(String, String)>,
    /// What is known of it.
    pub view: View,
}

/// A wish that may be waited for.
pub struct Ticket {
    /// The reading that is too old; none: the one that is there will do.
    before: Option<u64>,
    /// It answered the last time, and does not take long now.
    pub well: bool,
}

/// What two readings say of the requests between them.
enum Load {
    /// Nothing: one of them failed, or the database began anew.
    New,
    /// They are too close.
    Soon,
    /// So many a second.
    Of(f64),
}

/// Requests of all kinds so far, where the database counts them.
fn requests(page: &Snapshot) -> Option<f64> {
    let family = page.family("tnt_net_requests_total")?;
    Some(family.samples().iter().filter(|s| s.part == Part::Plain).map(|s| s.value).sum())
}

fn load(before: &Reading, now: &Reading) -> Load {
    let total = |r: &Reading| requests(&r.result.as_ref().ok()?.0.snapshot);
    let seconds = now.at.saturating_duration_since(before.at).as_secs_f64();
    match (total(before), total(now)) {
        (Some(a), Some(b)) if b >= a && seconds < limits::METRICS_LOAD_SECONDS => Load::Soon,
        (Some(a), Some(b)) if b >= a => Load::Of((b - a) / seconds),
        _ => Load::New,
    }
}

impl View {
    /// Why there are no numbers.
    pub fn down(&self) -> Option<Reason> {
        match &self.reading {
            None => Some(Reason::Timeout),
            Some(reading) => reading.result.as_ref().err().map(|t| t.reason),
        }
    }
}

impl Readings {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reading not older than `floor`, waited for until `patience` is over.
    pub fn read(&self, floor: Duration, patience: Duration) -> View {
        let end = Instant::now() + patience;
        self.wait(&Ticket { well: true, ..self.wish(floor) }, end)
    }

    /// Wishes for a reading not older than `floor`.
    pub fn wish(&self, floor: Duration) -> Ticket {
        let mut state = self.lock();
        let fresh = state.reading.as_ref().is_some_and(|r| r.at.elapsed() < floor);
        let long = Duration::from_millis(limits::METRICS_LONG_MILLIS);
        let quick = state.began.is_none_or(|began| began.elapsed() < long);
        let well = quick && state.reading.as_ref().is_none_or(|r| r.result.is_ok());
        if !fresh {
            state.wanted = true;
            self.wish.notify_all();
        }
        Ticket { before: (!fresh).then_some(state.generation), well }
    }

    /// Waits for what was wished. One that was down and says nothing yet is still down, for the same reason.
    pub fn wait(&self, ticket: &Ticket, end: Instant) -> View {
        let mut state = self.lock();
        while ticket.before == Some(state.generation) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let down = state.reading.clone().filter(|r| !ticket.well && r.result.is_err());
                return View { reading: down, counts: state.counts.clone(), late: false };
            }
            state = self.news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        View { reading: state.reading.clone(), counts: state.counts.clone(), late: false }
    }

    /// What is there now, however old.
    pub fn glance(&self) -> View {
        let state = self.lock();
        View { reading: state.reading.clone(), counts: state.counts.clone(), late: false }
    }

    /// Waits until someone wishes for a reading, or the time is over; the poll begins with that. False: there is no wish, but
    /// the thread is to look up.
    pub fn await_wish(&self, most: Option<Duration>) -> bool {
        let end = most.map(|most| Instant::now() + most);
        let mut state = self.lock();
        while !state.wanted {
            if std::mem::take(&mut state.stirred) {
                return false;
            }
            // Without an interval of its own the thread sleeps until it is asked.
            let left = end.map_or(Duration::from_secs(3600), |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            state = self.wish.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.stirred = false;
        state.began = Some(Instant::now());
        true
    }

    /// The poll thread looks up.
    pub fn stir(&self) {
        self.lock().stirred = true;
        self.wish.notify_all();
    }

    /// Says whether the last reading of the configuration was taken.
    pub fn configured(&self, good: bool) {
        self.lock().counts.refused_configuration = !good;
    }

    /// Hands a reading to everyone who waits. What is wanted from now on is a newer one.
    pub fn publish(&self, reading: Reading, database: Option<(String, String)>) {
        let mut state = self.lock();
        let was = state.reading.as_ref().map(|r| r.result.is_ok());
        let load = state.reading.as_ref().map_or(Load::New, |before| load(before, &reading));
        let counts = &mut state.counts;
        match load {
            Load::New => counts.load = None,
            Load::Soon => {}
            Load::Of(rate) => counts.load = Some(rate),
        }
        if was != Some(reading.result.is_ok()) {
            counts.since = Some(SystemTime::now());
        }
        match &reading.result {
            Ok((page, _)) => {
                counts.good += 1;
                counts.errors.merge(&page.tally);
                counts.database = database;
            }
            Err(trouble) => {
                counts.failed += 1;
                counts.errors.add(trouble.reason.name());
                counts.last = Some((SystemTime::now(), trouble.text.clone()));
            }
        }
        state.reading = Some(Arc::new(reading));
        state.generation += 1;
        (state.wanted, state.began) = (false, None);
        self.news.notify_all();
    }

    /// How long the poll of now has been running.
    pub fn running(&self) -> Option<Duration> {
        self.lock().began.map(|began| began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading() -> Reading {
        let trouble = Trouble::new(Reason::Connect, "no");
        Reading { result: Err(trouble), sources: Vec::new(), at: Instant::now(), wall_ms: 0, took: Duration::ZERO }
    }

    #[test]
    fn one_poll_serves_all_and_a_fresh_reading_needs_none() {
        let readings = Arc::new(Readings::default());
        let long = Duration::from_secs(20);
        let readers: Vec<_> = (0..20)
            .map(|_| {
                let readings = readings.clone();
                std::thread::spawn(move || readings.read(Duration::from_secs(60), long).counts.failed)
            })
            .collect();
        readings.await_wish(None);
        // All are asked for before the one poll ends, however slow it is.
        std::thread::sleep(Duration::from_millis(100));
        readings.publish(reading(), None);
        assert!(readers.into_iter().all(|r| r.join().unwrap() == 1));
        assert_eq!(readings.read(Duration::from_secs(60), Duration::ZERO).counts.failed, 1);
    }

    #[test]
    fn who_may_not_wait_longer_learns_that_it_was_too_slow() {
        let readings = Readings::default();
        let view = readings.read(Duration::from_secs(1), Duration::from_millis(20));
        assert!(view.reading.is_none());
        assert_eq!(view.down(), Some(Reason::Timeout));
        // The wish stays: the poll comes, and brings what the next one finds.
        readings.await_wish(None);
        assert!(readings.running().is_some());
        readings.publish(reading(), None);
        assert_eq!(readings.glance().down(), Some(Reason::Connect));
        // An old reading is not handed out as a new one.
        assert!(readings.read(Duration::ZERO, Duration::from_millis(20)).reading.is_none());
    }
}
