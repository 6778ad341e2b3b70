//! A bell between two threads: ringing costs a look at a number when nobody sleeps.

use std::sync::atomic::{fence, AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The bell.
#[derive(Debug, Default)]
pub struct Bell {
    sleeping: AtomicBool,
    lock: Mutex<()>,
    rung: Condvar,
}

impl Bell {
    /// Wakes the one who sleeps. What it is woken for has to be visible before.
    pub fn ring(&self) {
        // Pairs with the fence of `sleep`: either we see that it sleeps, or it sees what we have done.
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.rung.notify_all();
        }
    }

    /// Sleeps until the bell rings, at most `patience`, unless there is no need to.
    pub fn sleep(&self, patience: Duration, no_need: impl Fn() -> bool) {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !no_need() {
            drop(self.rung.wait_timeout(guard, patience));
        }
        self.sleeping.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;
    use std::sync::Arc;

    #[test]
    fn no_ring_is_missed() {
        let shared = Arc::new((Bell::default(), AtomicU32::new(0), Bell::default()));
        let other = shared.clone();
        let t = std::thread::spawn(move || {
            for n in 1..=2_000u32 {
                while other.1.load(Ordering::SeqCst) < n {
                    other.0.sleep(Duration::from_secs(20), || other.1.load(Ordering::SeqCst) >= n);
                }
                other.2.ring();
            }
        });
        let begin = std::time::Instant::now();
        for n in 1..=2_000 {
            shared.1.store(n, Ordering::SeqCst);
            shared.0.ring();
        }
        t.join().unwrap();
        assert!(begin.elapsed() < Duration::from_secs(15), "a ring was missed");
    }
}
