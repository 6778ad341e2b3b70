//! `--type pipe`: standard input, as Picodata opens it for a program that it starts.
//!
//! It can be read once, and its end is held by keeper, worker and stand-in alike. SIGTERM does not end it: the database writes
//! its last events after the signal, and its end of the pipe says when that is all. Refuses: to set `O_NONBLOCK`, which the
//! database would share.

use crate::audit::intake::source::{Choice, Row, Shown, Source};
use crate::error::Result;
use crate::flags::text;
use crate::limits;
use crate::sys::filler::{Fill, Filler};
use crate::sys::pipe;
use std::io::{self, Stdin};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The row.
pub const ROW: Row = Row {
    name: "pipe",
    what: text("standard input", "стандартный ввод"),
    rereads: false,
    term_ends: false,
    options: &[],
    is_held: false,
    feed: None,
    prepare,
    wishes: |_| Vec::new(),
    open: |_| Box::new(Pipe(io::stdin())),
    check: |_| Ok("events come from standard input".into()),
    is_pressed: |_| is_full(io::stdin().as_fd()),
};

/// Wider is better: the pipe is all that the database has while a worker is replaced.
fn prepare(_: &Choice, _: Option<OwnedFd>) -> Result<Shown> {
    let holds = widened();
    let what = if holds.is_some() { "standard input, a pipe" } else { "standard input, no pipe" };
    Ok(Shown { what: what.into(), holds })
}

/// How much standard input holds, as wide as may be; none: it is no pipe.
pub fn widened() -> Option<usize> {
    pipe::widen(io::stdin().as_fd(), limits::PIPE_BYTES).ok()
}

struct Pipe(Stdin);

impl Source for Pipe {
    fn fill(&mut self, to: &mut Filler) -> io::Result<Fill> {
        to.fill(self.0.as_fd())
    }

    fn wait(&mut self, patience: Option<Duration>) -> io::Result<bool> {
        pipe::wait([self.0.as_fd()], patience).map(|[ready]| ready.readable)
    }
}

/// Whether a pipe is as good as full: it counts pages, and a page may be little more than half full. What is no pipe, of
/// which nobody can tell, counts as full.
fn is_full(input: BorrowedFd<'_>) -> bool {
    match (pipe::held(input), pipe::size(input)) {
        (Ok(held), Ok(size)) => 2 * held as u64 >= size as u64,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_counts_as_full_when_its_pages_may_be() {
        let (read, write) = pipe::pair().expect("a pipe");
        assert!(!is_full(read.as_fd()));
        let mut to = std::fs::File::from(write);
        std::io::Write::write_all(&mut to, &[0; 40_000]).expect("room");
        assert!(is_full(read.as_fd()));
    }
}
