//! What the worker before this one had put into the spool. It stands in the ring, so it is known also where the spool itself
//! is not there any more: then what is missing is told to the record, whoever died, and whatever became of the directory.
//!
//! Refuses: to take for lost what another directory holds, and what is in memory.

use super::{Ledger, Spool};
use crate::audit::alarm::AlarmKind;
use crate::audit::record::loss::Loss;
use crate::audit::record::EventId;
use crate::log;
use crate::sys::ring::Ring;

/// That.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// The number of the record after the last one.
    pub next: u64,
    /// The last event, and the rest of `Account` that says which records hold which events.
    pub last: Option<EventId>,
    run: u64,
    pieces: u32,
}

/// What became of the place where the worker before had its spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is the one that was opened.
    Here,
    /// It is gone, or nobody can come to it any more.
    Gone,
    /// It is another one, which stays as it is and will be adopted.
    Elsewhere(String),
}

impl Past {
    /// As the worker before has noted it; none when there was none.
    pub fn of(ring: &Ring) -> Option<Past> {
        let [next, raft_id, gen, count, run, pieces, known] = ring.taken()?;
        let last = (known == 1).then_some(EventId { raft_id, gen, count });
        Some(Past { next, last, run, pieces: pieces as u32 })
    }
}

impl Ledger {
    /// Records from `from` on that are in no segment: first and last of each stretch.
    pub(super) fn holes(&self, from: u64) -> Vec<(u64, u64)> {
        let (mut at, mut holes) = (from, Vec::new());
        for s in self.segments.iter().filter(|s| s.next > from) {
            if s.first > at {
                holes.push((at, s.first - 1));
            }
            at = at.max(s.next);
        }
        if at < self.next_seq {
            holes.push((at, self.next_seq - 1));
        }
        holes
    }

    /// The first record that a receiver lacks which is configured.
    fn first_wanted(&self) -> u64 {
        self.receivers.iter().filter(|r| r.live).map(|r| r.cursor.next).min().unwrap_or(self.next_seq)
    }
}

impl Spool {
    /// Notes for the next worker what is in the spool of the input up to `tail`.
    pub fn note_taken(&self, tail: u64) {
        let Some(ring) = &self.memory else { return };
        let (last, run, pieces) = {
            let account = self.account();
            (account.last, account.run, account.pieces)
        };
        let id = last.unwrap_or(EventId { raft_id: 0, gen: 0, count: 0 });
        let known = u64::from(last.is_some());
        ring.note_taken(tail, [self.next_seq(), id.raft_id, id.gen, id.count, run, u64::from(pieces), known]);
    }

    /// Numbers and events go on behind those of the worker before, whatever of its records is here. True when there are any
    /// that the account has not seen.
    pub(super) fn go_on_behind(&self, past: &Past) -> bool {
        let mut account = self.account();
        if past.next <= account.seq + 1 {
            return false;
        }
        if let Some(last) = past.last {
            account.resume_behind(last);
        }
        (account.run, account.pieces) = (past.run, past.pieces);
        true
    }

    /// What is read from now on does not go on where the last record ends: the rest of that line went with its input.
    pub fn begin_another_input(&self) {
        self.account().pieces = 0;
    }

    /// Says what became of the records of the worker before that are not here, and passes them. For the time before there is
    /// anybody who delivers. Gives how many are missing.
    pub fn take_over(&self, fate: &Fate) -> u64 {
        let (holes, tail) = {
            let ledger = self.lock();
            (ledger.holes(ledger.first_wanted()), ledger.next_seq - 1)
        };
        let place = self.place();
        match fate {
            // Where a file is missing among others its reader finds that, and what stood before and behind it.
            Fate::Here => {
                let gone: Vec<_> = holes.into_iter().filter(|hole| hole.1 == tail).collect();
                let lost = count(&gone);
                if lost > 0 {
                    self.alarm(
                        AlarmKind::Damage,
                        "spool",
                        format!("{lost} events that were in `{place}` are not there any more"),
                    );
                    self.lose(&gone);
                }
                lost
            }
            Fate::Gone => {
                let lost = count(&holes);
                if lost > 0 {
                    let text = format!("the directory of the spool is gone, and {lost} undelivered events with it");
                    self.alarm(AlarmKind::Damage, "spool", format!("{text}; going on in `{place}`"));
                    self.lose(&holes);
                } else {
                    // What was undelivered is in memory: the worker before has told of it.
                    log::warn("spool", format!("the directory of the spool is gone; going on in `{place}`"));
                }
                lost
            }
            Fate::Elsewhere(dir) => {
                let left = count(&holes);
                if left > 0 {
                    let text =
                        format!("`{dir}` cannot be used now, and {left} undelivered events stay in it until it can be");
                    self.alarm(AlarmKind::Damage, "spool", format!("{text}; going on in `{place}`"));
                }
                self.leave(&holes);
                0
            }
        }
    }

    /// These records are gone: it is told, and who stands before one of them goes past it.
    fn lose(&self, holes: &[(u64, u64)]) {
        for &(from, to) in holes {
            self.report(Loss { from, to, before: None, after: None });
            for r in self.receivers().iter().filter(|r| (from..=to).contains(&r.cursor.next)) {
                self.gone(&r.name, to + 1);
            }
        }
    }

    /// These records are in another spool: here they count as before the receivers' time.
    fn leave(&self, holes: &[(u64, u64)]) {
        for &(from, to) in holes {
            for r in self.receivers().iter().filter(|r| (from..=to).contains(&r.cursor.next)) {
                self.update(&r.name, |c| {
                    c.filtered += to + 1 - c.next;
                    c.next = to + 1;
                });
            }
        }
    }

    /// At the end: tells of records that are in no file, and that nobody has come to yet.
    pub fn report_holes(&self) {
        let holes = {
            let ledger = self.lock();
            ledger.holes(ledger.first_wanted())
        };
        holes.into_iter().for_each(|(from, to)| self.report(Loss { from, to, before: None, after: None }));
    }

    /// Who stands before records that are in no file goes past them. For the end, when nobody delivers any more.
    pub fn pass_holes(&self) {
        let holes = {
            let ledger = self.lock();
            ledger.holes(ledger.first_wanted())
        };
        self.lose(&holes);
    }

    /// How many records that a receiver may not lack are in no file, and not counted as lost yet.
    pub fn holes_ahead(&self) -> u64 {
        let ledger = self.lock();
        let kept = ledger.receivers.iter().filter(|r| r.live && !r.optional);
        kept.map(|r| count(&ledger.holes(r.cursor.next))).max().unwrap_or(0)
    }

    /// How many records a receiver lacks that it can still be given.
    pub fn waiting(&self) -> u64 {
        let ledger = self.lock();
        let lacks = |next: u64| (ledger.next_seq - next) - count(&ledger.holes(next));
        ledger.receivers.iter().map(|r| lacks(r.cursor.next)).max().unwrap_or(0)
    }
}

fn count(holes: &[(u64, u64)]) -> u64 {
    holes.iter().map(|(from, to)| to - from + 1).sum()
}

#[cfg(test)]
mod tests {
    use super::super::append::Appender;
    use super::super::disk::Disk;
    use super::super::read::{Next, Reader};
    use super::super::record::New;
    use super::super::tests::{put, settings, Moody};
    use super::*;
    use crate::audit::record::{read as facts_of, Kind};
    use std::sync::Arc;

    fn put_own(spool: &Spool, a: &mut Appender) {
        let raw = br#"{"title":"t"}"#;
        let f = facts_of(raw, false);
        let new = New {
            kind: Kind::Own,
            raw,
            id: f.id,
            time: f.time,
            part: 0,
            parts: 0,
            stream: 0,
            read_ms: 1000,
            form: None,
        };
        let seq = spool.append(a, 1, &[new], 1000, false).unwrap();
        let facts = crate::audit::record::Facts { kind: Kind::Own, ..f };
        spool.account().take(seq, &facts, raw, 0, 0, 1000);
    }

    /// A segment goes, and the worker dies before it has looked: of what was in it somebody has a part, and nobody knows which
    /// events that were. None of them is told as missing by its id, and none of them never came.
    #[test]
    fn what_somebody_has_of_a_segment_that_is_gone_is_told_as_missing_by_nobody() {
        crate::log::mute();
        let (disk, memory_disk) = (Moody::new(), Moody::new());
        let ring = Arc::new(Ring::create(4096, 1).unwrap());
        let open = || {
            let s = settings(256 << 10, &[("r1", false)]);
            Spool::open(disk.clone(), memory_disk.clone(), s, Some(ring.clone()), 1000).unwrap()
        };
        let spool = open();
        let (mut a, mut n) = (Appender::default(), 0);
        while spool.lock().segments.len() < 3 {
            n += 1;
            assert!(put(&spool, &mut a, n).is_ok());
            if n % 5 == 0 {
                put_own(&spool, &mut a);
            }
            if spool.lock().segments.len() == 1 {
                spool.save_state(true);
            }
        }
        let gone = spool.lock().segments[1].clone();
        spool.delivered("r1", gone.first + 3);
        spool.save_cursors();
        spool.note_taken(0);
        drop(spool);
        disk.remove(&gone.name).unwrap();
        let spool = open();
        assert_eq!(spool.take_over(&Fate::Here), 0, "its reader finds it");
        assert_eq!(spool.account().gaps.due(1000, true), []);
        let mut reader = Reader::new(gone.first + 3);
        let Next::Lost(loss) = reader.next(&spool) else { panic!("it is gone") };
        assert_eq!((loss.from, loss.to, loss.before), (gone.first + 3, gone.next - 1, None));
        assert!(loss.after.is_some());
        // Who has all that was before it knows which event was the last one there.
        let Next::Lost(loss) = Reader::new(gone.first).next(&spool) else { panic!("it is gone") };
        assert_eq!((loss.from, loss.before.is_some()), (gone.first, true));
    }
}
