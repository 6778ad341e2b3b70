//! The program that writes into our standard input, for a source that is one: the keeper starts it, and again when it has ended.
//!
//! It begins behind the last record in the spool, so everything that came before must be there: the pipe, the relay and the
//! ring are empty, or hold half a record. It ends with its keeper, so there is never a second one.
//! Refuses: to look into the spool in the keeper's own process.

use crate::audit::options::keeping::roots;
use crate::audit::options::Options;
use crate::audit::process::heirlooms::Heirlooms;
use crate::audit::spool::survey::Look;
use crate::sys::process::{self, Ended, Forked};
use crate::sys::ring::Word;
use crate::sys::{pipe, signal};
use crate::{limits, log};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The one that runs, if one does.
#[derive(Debug, Default)]
pub struct Feeder {
    child: Option<(i32, Instant)>,
    /// Not before this time the next one.
    next: Option<Instant>,
}

impl Feeder {
    /// Starts one where there is to be one, and none is. `forget`: what the child lets go of first.
    pub fn tick(&mut self, options: &Options, heirlooms: &Heirlooms, forget: impl FnOnce()) {
        let Some(feed) = options.source.row.feed else { return };
        if self.child.is_some() || self.next.is_some_and(|t| t > Instant::now()) || !is_drained(heirlooms) {
            return;
        }
        match process::fork_single_threaded() {
            Ok(Forked::Parent(pid)) => self.child = Some((pid, Instant::now())),
            Ok(Forked::Child) => {
                forget();
                process::set_name(c"gostech-audit-f");
                process::end_with_parent(signal::SIGKILL);
                let e = feed(&options.source, &cursor(options, &heirlooms.ring.note()), &heirlooms.ring);
                log::error("input", format!("cannot be fed: {e}"));
                process::exit_now(1)
            }
            Err(e) => log::error("keeper", format!("cannot start a process: {e}; trying again")),
        }
        self.next = Some(Instant::now() + Duration::from_millis(limits::FEEDER_RETRY_MILLIS));
    }

    /// How long until it may be started, where it is to be.
    pub fn patience(&self, options: &Options) -> Option<Duration> {
        let wanted = options.source.row.feed.is_some() && self.child.is_none();
        wanted.then_some(Duration::from_millis(limits::FEEDER_LOOK_MILLIS))
    }

    /// A process has ended: whether it was this one.
    pub fn reaped(&mut self, pid: i32, ended: Ended) -> bool {
        let ours = self.child.take_if(|(child, _)| *child == pid);
        if ours.is_some() {
            log::warn("input", format!("the program that feeds us has ended ({ended:?}); it is started again"));
        }
        ours.is_some()
    }

    /// There is no use for it any more.
    pub fn end(&mut self) {
        if let Some((pid, _)) = self.child.take() {
            signal::send(pid, signal::SIGKILL);
            process::wait_for(pid);
        }
    }
}

/// Whether all that came is in the spool of a worker that works.
fn is_drained(heirlooms: &Heirlooms) -> bool {
    let ring = &heirlooms.ring;
    let word = |word| ring.word(word).load(Ordering::Acquire);
    let empty = |fd: BorrowedFd<'_>| pipe::held(fd).is_ok_and(|n| n == 0);
    let head = word(Word::Head);
    let pipes = empty(io::stdin().as_fd()) && empty(heirlooms.relay.0.as_fd());
    word(Word::Ready) == 1 && pipes && (word(Word::Tail) == head || word(Word::Looked) >= head)
}

/// Where the spool of this name stands in the journal; empty: nowhere yet.
fn cursor(options: &Options, name: &str) -> String {
    let homes = roots(options).into_iter().map(|root| root.join(name));
    let look = homes.filter(|dir| !name.is_empty() && dir.is_dir()).find_map(|dir| Look::at(&dir).ok());
    look.map(|look| look.cursor_of_journal()).unwrap_or_default()
}
