//! The poll thread: owns the connection, asks when someone wishes for a reading, says once what changed.

use super::asker::{Asker, Found};
use super::readings::{Reading, Readings};
use super::source::Grade;
use crate::iproto::{Reason, Trouble};
use crate::limits;
use crate::log;
use crate::sys::clock::wall_ms;
use crate::sys::{process, thread};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the poll thread is to be from now on.
pub struct Orders {
    /// Asks.
    pub asker: Asker,
    /// Whether the connection of the one before is of no use.
    pub reconnect: bool,
    /// Polls unasked.
    pub interval: Option<Duration>,
}

/// What the poll thread is told between two polls.
#[derive(Default)]
pub struct Inbox {
    forgive: Mutex<bool>,
    orders: Mutex<Option<Orders>>,
    ended: AtomicBool,
}

impl Inbox {
    /// What was refused may be right now.
    pub fn forgive(&self) {
        *self.forgive.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// The thread is to end.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// From now on so.
    pub fn put(&self, mut orders: Orders) {
        let mut place = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        // Orders that nobody has taken yet are not lost on the way.
        orders.reconnect |= place.as_ref().is_some_and(|before| before.reconnect);
        *place = Some(orders);
    }

    fn obey(&self, asker: &mut Asker, interval: &mut Option<Duration>) {
        if let Some(orders) = self.orders.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let old = std::mem::replace(asker, orders.asker);
            asker.succeed(old, orders.reconnect);
            *interval = orders.interval;
        }
        if std::mem::take(&mut *self.forgive.lock().unwrap_or_else(PoisonError::into_inner)) {
            asker.forgive();
        }
    }
}

/// Starts the thread. It lives as long as the program, or until it is told to end.
pub fn start(
    readings: Arc<Readings>,
    inbox: Arc<Inbox>,
    mut asker: Asker,
    mut interval: Option<Duration>,
) -> std::io::Result<()> {
    let body = move || {
        let mut said = Said::default();
        loop {
            let wanted = readings.await_wish(interval);
            if inbox.ended.load(Ordering::Relaxed) {
                return;
            }
            inbox.obey(&mut asker, &mut interval);
            if !wanted {
                continue;
            }
            let (reading, database) = once(&mut asker);
            said.say(&reading, &asker);
            let large = match &reading.result {
                Ok((page, _)) => page.snapshot.bytes() > limits::METRICS_LARGE_BYTES,
                Err(trouble) => trouble.reason == Reason::TooLarge,
            };
            readings.publish(reading, database);
            if large {
                // What the answer and the last page took goes back to the system: it is several times the snapshot.
                process::trim_memory();
            }
        }
    };
    thread::with_stack("poll", limits::METRICS_POLL_STACK_BYTES, body).map(drop)
}

/// One poll.
pub fn once(asker: &mut Asker) -> (Reading, Option<(String, String)>) {
    let began = Instant::now();
    let found = asker.poll();
    let sources = sources(asker, &found);
    let database = found.as_ref().ok().map(|f| (f.version.clone(), f.instance.clone()));
    let result = found.map(|f| (f.page, f.grade));
    let at = Instant::now();
    (Reading { result, sources, at, wall_ms: wall_ms(), took: at - began }, database)
}

/// The grades in the order they are tried, up to the one that gave its numbers. That a Tarantool is no Picodata is no
/// failure of `least`: it shows only when it was the last resort.
fn sources(asker: &Asker, found: &Result<Found, Trouble>) -> Vec<(Grade, bool)> {
    let mut sources = Vec::new();
    for grade in asker.wishes.candidates() {
        let good = found.as_ref().is_ok_and(|f| f.grade == *grade);
        if *grade == Grade::Least && !good && found.is_ok() {
            continue;
        }
        if good || found.is_err() || asker.refused(*grade).is_some() {
            sources.push((*grade, good));
        }
        if good {
            break;
        }
    }
    sources
}

/// What was said last, so that it is not said again.
#[derive(Default)]
struct Said {
    up: Option<String>,
    down: Option<String>,
}

impl Said {
    fn say(&mut self, reading: &Reading, asker: &Asker) {
        match &reading.result {
            Ok((page, grade)) => {
                let words = format!("{} answers: source {}, by {}", asker.place(), grade.name(), page.via);
                self.down = None;
                log::calm("database");
                if self.up.as_ref() != Some(&words) {
                    log::info("source", &words);
                    for (grade, _) in reading.sources.iter().filter(|(_, good)| !good) {
                        let why = asker.refused(*grade).unwrap_or_default();
                        log::warn("source", format!("source {} is refused: {why}", grade.name()));
                    }
                    self.up = Some(words);
                }
            }
            Err(trouble) => {
                self.up = None;
                // The words and not the reason alone: a password that is refused and an account that is locked are two matters.
                if self.down.as_ref() != Some(&trouble.text) {
                    log::warn("database", &trouble.text);
                    self.down = Some(trouble.text.clone());
                }
            }
        }
    }
}
