//! The order in which locks are taken: whoever holds one takes only such as stand below it in the list. So no two threads can
//! wait for each other.
//!
//! In a debug build a lock that is taken out of order ends the thread with both names; a release has none of that. A `try`
//! waits for nobody and is free. Refuses: a lock that is not in the list. (The log's, a bell's and those of one thread's own
//! corner are held over nothing else, and stand in no list.)

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What there is, in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The file of the state is being written: one version after another.
    State,
    /// Segments are being synced or written anew.
    Syncing,
    /// Files of cursors are being written and synced. Held over a sync: neither the account nor the ledger may wait for it.
    Cursors,
    /// The copy of the state in memory is being written.
    Remembered,
    /// What has been taken in.
    Account,
    /// Segments, receivers, and what the disk does.
    Ledger,
    /// The directories that are ours.
    Homes,
    /// The file of a directory's lock.
    Home,
    /// The files that are open.
    Open,
    /// The table of the files in memory.
    Memory,
    /// Events of the sealer on their way to the writer.
    Outbox,
    /// What adopted spools leave to be told.
    Orphans,
    /// Where the source stands.
    Input,
    /// What the source has skipped.
    Skips,
    /// What is wrong now.
    Troubles,
}

/// A lock with its place in the order. Poison is passed over: a thread that panicked ends the process.
#[derive(Debug)]
pub struct Ranked<T> {
    lock: Mutex<T>,
    #[cfg(debug_assertions)]
    rank: Rank,
}

/// A lock that is held.
#[derive(Debug)]
pub struct Held<'a, T> {
    guard: MutexGuard<'a, T>,
    #[cfg(debug_assertions)]
    _mark: order::Mark,
}

impl<T> Ranked<T> {
    /// Nobody holds it.
    pub fn new(_rank: Rank, value: T) -> Ranked<T> {
        Ranked {
            lock: Mutex::new(value),
            #[cfg(debug_assertions)]
            rank: _rank,
        }
    }

    /// Waits for it.
    pub fn lock(&self) -> Held<'_, T> {
        // Before the waiting: two threads that wait for each other would say nothing any more.
        #[cfg(debug_assertions)]
        let mark = order::Mark::after_all(self.rank);
        Held {
            guard: self.lock.lock().unwrap_or_else(PoisonError::into_inner),
            #[cfg(debug_assertions)]
            _mark: mark,
        }
    }

    /// Takes it, if nobody has it.
    pub fn try_lock(&self) -> Option<Held<'_, T>> {
        let guard = self.lock.try_lock().ok()?;
        Some(Held {
            guard,
            #[cfg(debug_assertions)]
            _mark: order::Mark::anywhere(self.rank),
        })
    }
}

impl<T> Held<'_, T> {
    /// Lets go of it until somebody calls, at most so long.
    pub fn wait(self, call: &Condvar, patience: Duration) {
        drop(call.wait_timeout(self.guard, patience));
    }
}

impl<T> std::ops::Deref for Held<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> std::ops::DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// What this thread holds, for debug builds.
#[cfg(debug_assertions)]
mod order {
    use crate::audit::locks::Rank;
    use std::cell::RefCell;

    thread_local! {
        static HELD: RefCell<Vec<Rank>> = const { RefCell::new(Vec::new()) };
    }

    #[derive(Debug)]
    pub struct Mark(Rank);

    impl Mark {
        pub fn after_all(rank: Rank) -> Mark {
            let lowest = HELD.with_borrow(|held| held.iter().max().copied());
            if let Some(held) = lowest.filter(|held| *held >= rank) {
                panic!(
                    "the lock {rank:?} is taken while {held:?} is held, which stands behind it in the order of locks"
                );
            }
            Mark::anywhere(rank)
        }

        pub fn anywhere(rank: Rank) -> Mark {
            HELD.with_borrow_mut(|held| held.push(rank));
            Mark(rank)
        }
    }

    impl Drop for Mark {
        fn drop(&mut self) {
            HELD.with_borrow_mut(|held| {
                if let Some(i) = held.iter().rposition(|r| *r == self.0) {
                    held.remove(i);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panics(f: impl FnOnce() + Send + 'static) -> bool {
        std::thread::spawn(f).join().is_err()
    }

    #[test]
    fn only_what_stands_below_is_taken() {
        let of = |rank| Ranked::new(rank, 0);
        assert!(!panics(move || {
            let (account, ledger, troubles) = (of(Rank::Account), of(Rank::Ledger), of(Rank::Troubles));
            let a = account.lock();
            drop((ledger.lock(), troubles.lock()));
            let l = ledger.lock();
            drop(a);
            drop(troubles.lock());
            l.wait(&Condvar::new(), Duration::ZERO);
            // All are given back, in whatever order.
            drop(account.lock());
        }));
        let wrong = cfg!(debug_assertions);
        let taken_after = move |first: Rank, second: Rank| {
            panics(move || {
                let (first, second) = (of(first), of(second));
                let _held = first.lock();
                drop(second.lock());
            })
        };
        assert_eq!(taken_after(Rank::Ledger, Rank::Account), wrong, "the other way round");
        assert_eq!(taken_after(Rank::Account, Rank::Cursors), wrong, "a sync under the account");
        assert_eq!(taken_after(Rank::Troubles, Rank::Troubles), wrong, "two of a kind");
        assert!(!taken_after(Rank::State, Rank::Syncing));
        assert!(!panics(move || {
            let (ledger, state) = (of(Rank::Ledger), of(Rank::State));
            let _held = ledger.lock();
            assert!(state.try_lock().is_some(), "who only tries waits for nobody");
        }));
    }
}
