//! How the work is handed on: from a keeper that died to its stand-in, and from one worker to the next.
//!
//! ```text
//! keeper dies ──▶ the stand-in is the keeper ──▶ its worker waits for its turn ──▶ the worker at work sees that, and ends
//! ```
//!
//! Nobody leaves before the next one is there: a stand-in that lacks descriptors, memory or processes, or that stands
//! still, costs nothing as long as the old worker lives. And there is one worker at a time, by a lock on the ring that ends
//! with the process that holds it, whoever believes what of whom. Refuses: to give up.

use crate::net::failure::words;
use crate::sys::ring::{Ring, Word};
use crate::sys::{pipe, process, signal};
use crate::{limits, log};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The exit code of a worker that wants another one to go on where it was.
pub const AGAIN: i32 = 75;

/// One end of a pipe, as long as it is held.
pub type End = Option<OwnedFd>;

/// Pipes in which nothing is ever written: each hangs up when all who hold its write end are gone.
#[derive(Debug)]
pub struct Lives {
    /// Read and write end of the pipe whose write end the keeper holds: when it hangs up, the keeper is gone.
    pub keeper: (End, End),
    /// Of the one that keeper and stand-in hold: when it hangs up, nobody will start another worker.
    pub future: (End, End),
}

impl Lives {
    /// New ones.
    pub fn make() -> io::Result<Lives> {
        let pair = || pipe::pair().map(|(r, w)| (Some(r), Some(w)));
        Ok(Lives { keeper: pair()?, future: pair()? })
    }
}

/// New ones for a stand-in that is to be the keeper, when there is room for what its worker opens as well: under its limits
/// the next worker would have to live, and the one at work may have better ones.
pub fn prepared() -> io::Result<Lives> {
    let lives = Lives::make()?;
    let room: io::Result<Vec<_>> = (0..limits::SUCCESSION_DESCRIPTORS / 2).map(|_| pipe::pair()).collect();
    room.map(|_| lives)
}

/// Tries until it can. `forever`: whatever the error is, else only where something has run out.
pub fn insist<T>(what: &str, forever: bool, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let (mut wait, longest) = limits::SUCCESSION_RETRY_MILLIS;
    loop {
        match attempt() {
            Err(e) if forever || has_run_out(&e) => {
                log::warn("keeper", format!("cannot {what}: {}; trying again until it can be done", words(&e)));
                std::thread::sleep(Duration::from_millis(wait));
                wait = (2 * wait).min(longest);
            }
            other => return other,
        }
    }
}

/// Whether it is a matter of the moment: descriptors, memory, processes.
pub fn has_run_out(e: &io::Error) -> bool {
    use libc::{EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    e.raw_os_error().is_some_and(|code| [EMFILE, ENFILE, ENOMEM, EAGAIN, ENOBUFS].contains(&code))
}

/// Waits until no other worker works on this ring. The one at work is shown that somebody waits, and leaves when it has no
/// keeper any more; one that stands still is ended after a while: whatever it was at, the next one goes on there.
pub fn take_turn(ring: &Ring) {
    let begin = Instant::now();
    let mut patience = Duration::from_secs(limits::SUCCESSION_PATIENCE_SECONDS);
    loop {
        match ring.claim() {
            Ok(true) => break,
            Ok(false) => {}
            Err(e) if has_run_out(&e) || e.raw_os_error() == Some(libc::ENOLCK) => {}
            // No locks here at all: then there is none that could be waited for.
            Err(e) => {
                log::warn("worker", format!("cannot see whether another worker lives: {}; going on", words(&e)));
                break;
            }
        }
        ring.word(Word::Waiting).store(process::pid() as u64, Ordering::Release);
        std::thread::sleep(Duration::from_millis(limits::SUCCESSION_LOOK_MILLIS));
        if begin.elapsed() >= patience {
            patience += Duration::from_secs(limits::SUCCESSION_PATIENCE_SECONDS);
            if let Some(pid) = ring.claimed_by() {
                let seconds = begin.elapsed().as_secs();
                log::error(
                    "worker",
                    format!("the worker before (process {pid}) has not made room for {seconds} s: it is ended"),
                );
                signal::send(pid, signal::SIGKILL);
            }
        }
    }
    ring.word(Word::Waiting).store(0, Ordering::Release);
}

/// What a worker knows of those who would start the next one.
#[derive(Debug, Default)]
pub struct Elders {
    /// Since when there is no keeper.
    gone: Option<Instant>,
    /// And no stand-in either.
    alone: bool,
    told: bool,
}

impl Elders {
    /// Whether there is a keeper, who would start another worker when this one ends.
    pub fn keep(&self) -> bool {
        self.gone.is_none()
    }

    /// Waits for a signal or a death, at most `patience`; whether the next worker waits for its turn. Gives what is to be told.
    pub fn look(
        &mut self,
        [signals, keeper, future]: [BorrowedFd<'_>; 3],
        ring: &Ring,
        patience: Duration,
    ) -> (bool, Option<String>) {
        let soon = Duration::from_millis(limits::SUCCESSION_LOOK_MILLIS);
        match (self.gone, self.alone) {
            (None, _) => {
                if !pipe::wait([signals, keeper], Some(patience)).is_ok_and(|[_, k]| k.hung_up) {
                    return (false, None);
                }
                self.gone = Some(Instant::now());
            }
            (Some(_), false) if !self.told => drop(pipe::wait([signals, future], Some(soon))),
            (Some(_), false) => drop(pipe::wait([signals, future], Some(patience))),
            // Both pipes have hung up for ever.
            (Some(_), true) => drop(pipe::wait([signals], Some(patience))),
        }
        if ring.word(Word::Waiting).load(Ordering::Acquire) != 0 {
            return (true, None);
        }
        (false, self.news(future))
    }

    fn news(&mut self, future: BorrowedFd<'_>) -> Option<String> {
        if !self.alone && pipe::wait([future], Some(Duration::ZERO)).is_ok_and(|[f]| f.hung_up) {
            self.alone = true;
            return Some("the keeper and its stand-in are gone; going on without them: when this worker ends, so does the audit trail, until the instance is restarted".into());
        }
        let since = self.gone.map_or(Duration::ZERO, |t| t.elapsed());
        if self.alone || self.told || since < Duration::from_secs(limits::SUCCESSION_TELL_SECONDS) {
            return None;
        }
        self.told = true;
        let why = "it stands still, or has too few descriptors or processes";
        Some(format!(
            "the keeper is gone, and for {} s its stand-in has not taken its place ({why}); going on without",
            since.as_secs()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn fd(end: &End) -> BorrowedFd<'_> {
        end.as_ref().expect("an end").as_fd()
    }

    #[test]
    fn a_worker_leaves_for_one_that_waits_and_for_nobody_else() {
        let ring = Ring::create(4096, 1).expect("a ring");
        let mut lives = Lives::make().expect("pipes");
        let (signals, _signals) = pipe::pair().expect("a pipe");
        let mut elders = Elders::default();
        let moment = Duration::from_millis(1);
        let mut look = |lives: &Lives, ring: &Ring| {
            let (keeper, future) = (fd(&lives.keeper.0), fd(&lives.future.0));
            elders.look([signals.as_fd(), keeper, future], ring, moment)
        };
        ring.word(Word::Waiting).store(7, Ordering::Relaxed);
        assert_eq!(look(&lives, &ring), (false, None), "there is a keeper");
        ring.word(Word::Waiting).store(0, Ordering::Relaxed);
        lives.keeper.1 = None;
        assert_eq!(look(&lives, &ring), (false, None), "nobody waits");
        lives.future.1 = None;
        let (leave, told) = look(&lives, &ring);
        assert!(!leave && told.is_some_and(|t| t.contains("going on without them")));
        assert_eq!(look(&lives, &ring), (false, None), "told once");
        ring.word(Word::Waiting).store(7, Ordering::Relaxed);
        assert_eq!(look(&lives, &ring), (true, None), "somebody has come after all");
    }

    #[test]
    fn who_insists_gets_it_when_there_is_some_again() {
        log::mute();
        let mut left = 3;
        let mut attempt = |code: i32| {
            left -= 1;
            if left > 0 {
                Err(io::Error::from_raw_os_error(code))
            } else {
                Ok(left)
            }
        };
        assert_eq!(insist("test", false, || attempt(libc::EMFILE)).expect("it is insisted"), 0);
        let refused = insist("test", false, || io::Result::<()>::Err(io::Error::from_raw_os_error(libc::EPERM)));
        assert!(refused.is_err(), "what could never be is an error");
    }
}
