//! Separates the next stretch of input while the writer writes the one before: under a flood these two are the work, and
//! one thread for both would take half as long again.
//!
//! Begins its thread with the first flood and never before: an idle helper has none of it. What it finds is what the
//! writer itself would find, or nothing. Refuses: to write, to count, to look at input that is not there yet.

use crate::audit::record::{Ending, Item, Splitter};
use crate::limits;
use crate::sys::crash::{self, Victim};
use crate::sys::ring::{Stretch, Taker};
use crate::sys::thread;
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};

struct Job {
    stretch: Stretch,
    splitter: Splitter,
    items: Vec<Item>,
}

/// A stretch whose records were found.
pub struct Found {
    /// The records, counted from the beginning of the stretch.
    pub items: Vec<Item>,
    /// How many bytes they are.
    pub used: usize,
    /// The splitter after them.
    pub splitter: Splitter,
}

/// The thread that separates before the writer, when there is one.
#[derive(Default)]
pub struct Prefetch {
    threads_ends: Option<(SyncSender<Job>, Receiver<Found>)>,
    /// Where the stretch begins that is being looked at, and in which piece of a line.
    asked: Option<(u64, u32)>,
    spare: Vec<Item>,
}

impl Prefetch {
    /// Has the stretch looked at that begins `skip` bytes behind the taker, when a whole one is there.
    pub fn ask(&mut self, taker: &mut Taker, skip: usize, chunk: usize, splitter: &Splitter) {
        let begin = (taker.position() + skip as u64, splitter.pieces());
        if self.asked == Some(begin) {
            return;
        }
        self.take_back();
        let Some(stretch) = taker.lend(skip, chunk) else { return };
        let items = std::mem::take(&mut self.spare);
        let job = Job { stretch, splitter: splitter.clone(), items };
        let Some((jobs, _)) = self.ends() else { return };
        if jobs.send(job).is_ok() {
            self.asked = Some(begin);
        }
    }

    /// What was found in the stretch that begins here, if that was asked.
    pub fn take(&mut self, position: u64, splitter: &Splitter) -> Option<Found> {
        if self.asked != Some((position, splitter.pieces())) {
            return None;
        }
        // Nothing used: a line that is longer than the stretch, which the writer sees better.
        self.take_back().filter(|f| f.used > 0)
    }

    /// The thread ends, and its memory is given back; the next flood begins another.
    pub fn rest(&mut self) {
        self.take_back();
        self.threads_ends = None;
        self.spare = Vec::new();
    }

    /// A list to be used again.
    pub fn give_back(&mut self, items: Vec<Item>) {
        self.spare = items;
    }

    fn take_back(&mut self) -> Option<Found> {
        self.asked.take()?;
        let got = self.threads_ends.as_ref().and_then(|(_, found)| found.recv().ok());
        if got.is_none() {
            self.threads_ends = None;
        }
        got
    }

    fn ends(&mut self) -> Option<&(SyncSender<Job>, Receiver<Found>)> {
        if self.threads_ends.is_none() {
            let (jobs, to_do) = sync_channel(1);
            let (results, found) = sync_channel(1);
            let work = move || run(&to_do, &results);
            // Without a thread the writer does all by itself.
            thread::start("prefetch", work).ok()?;
            self.threads_ends = Some((jobs, found));
        }
        self.threads_ends.as_ref()
    }
}

fn run(jobs: &Receiver<Job>, results: &SyncSender<Found>) {
    while let Ok(Job { stretch, mut splitter, mut items }) = jobs.recv() {
        items.clear();
        let used = splitter.split(stretch.bytes(), Ending::Open, limits::CHUNK_RECORDS, &mut items);
        crash::poison(Victim::Parser, items.iter().map(|i| i.raw.of(stretch.bytes())));
        // Given back before the writer learns of it: it goes on at once.
        drop(stretch);
        if results.send(Found { items, used, splitter }).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{filler, pipe, ring};
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::sync::Arc;

    #[test]
    fn finds_what_the_writer_would_find_and_only_when_asked_for_that_place() {
        let ring = Arc::new(ring::Ring::create(1 << 16, 1).unwrap());
        let relay = Arc::new(pipe::pair().unwrap());
        let (input, mut end) = pipe::pair().map(|(r, w)| (r, std::fs::File::from(w))).unwrap();
        let lines: String = (0..900).map(|n| format!("{{\"id\":\"1.0.{n}\"}}\n")).collect();
        end.write_all(lines.as_bytes()).unwrap();
        let mut filler = filler::Filler::resume(ring.clone(), relay).unwrap();
        filler.fill(input.as_fd()).unwrap();
        let mut taker = Taker::new(ring);
        let (mut prefetch, mut splitter) = (Prefetch::default(), Splitter::new(1 << 20, 0));
        let mut counts = Vec::new();
        loop {
            let mut items = Vec::new();
            let used = match prefetch.take(taker.position(), &splitter) {
                Some(f) => {
                    assert!(prefetch.take(taker.position(), &splitter).is_none(), "given once");
                    splitter = f.splitter;
                    items = f.items;
                    f.used
                }
                None => splitter.split(taker.peek(), Ending::Ended, 50, &mut items),
            };
            // A place that is never come to is forgotten; a stretch that is not there cannot be asked for.
            prefetch.ask(&mut taker, used + 1, 64, &splitter);
            prefetch.ask(&mut taker, used, 1 << 16, &splitter);
            prefetch.ask(&mut taker, used, 4096, &splitter);
            prefetch.ask(&mut taker, used, 4096, &splitter);
            counts.extend(items.iter().filter_map(|i| i.facts.event).map(|e| e.count));
            taker.consume(used);
            if used == 0 {
                break;
            }
        }
        assert_eq!(counts, (0..900).collect::<Vec<u64>>());
    }
}
