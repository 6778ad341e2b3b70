//! The pages that wait for one outlet: bounded in number and in bytes. The oldest go first when there is no room.
//!
//! Where a protocol has no times only the newest waits. Refuses: to hold up whoever puts a page in.

use super::counts::Register;
use crate::limits;
use crate::metrics::numbers::Shot;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What an outlet's thread is told.
pub enum Turn {
    /// Push this one.
    Push(Arc<Shot>),
    /// Read certificates and secrets again.
    Reload,
    /// End.
    End,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Arc<Shot>, usize)>,
    bytes: usize,
    reload: bool,
    end: bool,
}

/// The queue.
pub struct Queue {
    name: String,
    most: usize,
    register: Arc<Register>,
    state: Mutex<State>,
    news: Condvar,
}

impl Queue {
    /// For the outlet of this name; so many pages wait at most.
    pub fn new(name: String, most: usize, register: Arc<Register>) -> Queue {
        Queue { name, most, register, state: Mutex::default(), news: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more page; `bytes` is what it takes.
    pub fn put(&self, shot: Arc<Shot>, bytes: usize) {
        let mut state = self.lock();
        state.waiting.push_back((shot, bytes));
        state.bytes += bytes;
        let mut dropped = 0;
        while state.waiting.len() > self.most || (state.bytes > limits::PUSH_WAITING_BYTES && state.waiting.len() > 1) {
            state.bytes -= state.waiting.pop_front().map_or(0, |(_, bytes)| bytes);
            dropped += 1;
        }
        let reason = if self.most == 1 { "superseded" } else { "full" };
        self.tell(&state, reason, dropped);
        self.news.notify_all();
    }

    /// What is to be done next; waits for it, and where something failed at least until `not_before`.
    pub fn next(&self, not_before: Option<Instant>) -> Turn {
        let mut state = self.lock();
        loop {
            if state.end {
                return Turn::End;
            }
            if std::mem::take(&mut state.reload) {
                return Turn::Reload;
            }
            let left = not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
            match state.waiting.front() {
                Some((shot, _)) if left.is_zero() => return Turn::Push(shot.clone()),
                Some(_) => {
                    state = self.news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                }
                None => state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// This page is done with: taken, or (with a reason) given up. It may have been dropped meanwhile.
    pub fn done(&self, shot: &Arc<Shot>, given_up: Option<&'static str>) {
        let mut state = self.lock();
        if state.waiting.front().is_some_and(|(front, _)| Arc::ptr_eq(front, shot)) {
            state.bytes -= state.waiting.pop_front().map_or(0, |(_, bytes)| bytes);
        }
        self.tell(&state, given_up.unwrap_or_default(), u64::from(given_up.is_some()));
    }

    fn tell(&self, state: &State, reason: &'static str, dropped: u64) {
        self.register.of(&self.name, |counts| {
            counts.waiting = state.waiting.len();
            counts.dropped.add_many(reason, dropped);
        });
    }

    /// Its thread is to read certificates and secrets again, and to try at once.
    pub fn reload(&self) {
        self.lock().reload = true;
        self.news.notify_all();
    }

    /// Its thread is to end; what waits is dropped.
    pub fn end(&self) {
        let mut state = self.lock();
        state.end = true;
        let dropped = state.waiting.len() as u64;
        state.waiting.clear();
        self.tell(&state, "reconfigured", dropped);
        self.news.notify_all();
    }
}
