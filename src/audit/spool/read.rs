//! Reading the spool in order: one reader for each receiver, never behind its cursor, never past what is written.

use super::record::{Head, Meta, Stored};
use super::walk::{Found, Walk};
use super::{Segment, Spool, Store};
use crate::audit::record::loss::Loss;
use crate::audit::record::usual::Usual;
use crate::audit::record::EventId;
use crate::{limits, log};
use std::sync::Arc;

/// What a reader finds.
#[derive(Debug)]
pub enum Next<'a> {
    /// A record, and where it comes from.
    Record(Stored<'a>, &'a Arc<Head>),
    /// Records that are not there: damaged, in a missing file, or dropped (then the cursor is past them). They are passed.
    Lost(Loss),
    /// Nothing more now.
    Wait,
    /// The disk does not give it now: try again later.
    Trouble(String),
}

/// A place in the spool.
#[derive(Debug)]
pub struct Reader {
    want: u64,
    /// How much is read at once.
    reach: usize,
    at: Option<(Segment, Walk)>,
    /// The last event before record `seen`, the one after the last that was walked over; none behind records that are gone.
    last: Option<EventId>,
    seen: u64,
    loss: Option<Loss>,
    /// Somebody wants to know between which events records are lost.
    tells: bool,
    usual: Usual,
}

enum Move {
    Record(Meta),
    Again,
    Wait,
    Trouble(String),
}

impl Reader {
    /// From record `seq` on.
    pub fn new(seq: u64) -> Reader {
        let (at, last, loss, usual) = (None, None, None, Usual::default());
        Reader { want: seq, reach: limits::READ_BYTES, at, last, seen: 0, loss, tells: true, usual }
    }

    /// The same, which reads less at once, and tells of a loss by number alone: for whoever reads beside those that deliver.
    pub fn beside(seq: u64) -> Reader {
        Reader { reach: limits::READ_BESIDE_BYTES, tells: false, ..Reader::new(seq) }
    }

    /// The number of the record that comes next.
    pub fn want(&self) -> u64 {
        self.want
    }

    /// Gives back the memory of the window; the place stays.
    pub fn rest(&mut self) {
        if let Some((_, walk)) = &mut self.at {
            walk.rest();
        }
    }

    /// What the disk has not given for so long is taken for damage, in this segment.
    pub fn accept_holes(&mut self) {
        if let Some((_, walk)) = &mut self.at {
            walk.accept_holes();
        }
    }

    /// Goes on from `seq`.
    pub fn seek(&mut self, seq: u64) {
        if seq != self.want {
            *self = Reader { reach: self.reach, tells: self.tells, ..Reader::new(seq) };
        }
    }

    /// The next record.
    pub fn next(&mut self, spool: &Spool) -> Next<'_> {
        // Bounded: each round passes bytes, a segment or a damaged place.
        let meta = loop {
            match self.advance(spool) {
                Move::Record(meta) => break meta,
                Move::Again => {}
                Move::Trouble(text) => return Next::Trouble(text),
                Move::Wait => return self.loss.take().map_or(Next::Wait, Next::Lost),
            }
        };
        let Some((segment, walk)) = &mut self.at else { return Next::Wait };
        let record = walk.record(meta);
        let event = if self.tells { self.usual.id(record.id.of(record.raw)) } else { None };
        if let Some(loss) = self.loss.take() {
            walk.back(meta);
            return Next::Lost(Loss { after: event, ..loss });
        }
        self.want = meta.seq + 1;
        self.last = event.or(self.last.filter(|_| self.seen == meta.seq));
        self.seen = meta.seq + 1;
        let record = walk.record(meta);
        // Of what stream it was when it was written is not known for certain: its leaf is made of what is taken for that.
        let record = if segment.head.is_lost() { record.without_leaf() } else { record };
        Next::Record(record, &segment.head)
    }

    fn lose_to(&mut self, seq: u64) {
        if seq > self.want {
            // Behind records that the receiver has and that are gone nobody knows which event it had last.
            let before = self.last.filter(|_| self.seen == self.want);
            let (from, before) = self.loss.map_or((self.want, before), |l| (l.from, l.before));
            self.loss = Some(Loss { from, to: seq - 1, before, after: None });
            self.want = seq;
        }
    }

    /// One step within what is known of the segment; the ledger is asked only at its end.
    fn advance(&mut self, spool: &Spool) -> Move {
        // What stands in the file behind the segment's end was written anew elsewhere after a failed sync, and may fade here.
        if self.at.as_ref().is_some_and(|(s, _)| self.want >= s.next) && !self.refresh(spool) {
            return self.find_segment(spool);
        }
        let Some((s, walk)) = &mut self.at else { return self.find_segment(spool) };
        match walk.next(spool.store(s.store), &s.name, &s.head, s.bytes) {
            Ok(Found::Record(m)) if m.seq < self.want => {
                self.last = walk.record(m).number().or(self.last.filter(|_| self.seen == m.seq));
                self.seen = m.seq + 1;
                Move::Again
            }
            Ok(Found::Record(m)) if m.seq >= s.next => {
                // The segment ends before it: of what comes until then nothing is here.
                let next = s.next;
                if !self.refresh(spool) {
                    self.lose_to(next);
                    return self.find_segment(spool);
                }
                Move::Again
            }
            Ok(Found::Record(m)) => {
                self.lose_to(m.seq);
                Move::Record(m)
            }
            Ok(Found::Damage(from, to)) => {
                spool.set_aside(s, from, to);
                Move::Again
            }
            Ok(Found::Torn(from)) => {
                let old = s.clone();
                if !self.refresh(spool) {
                    spool.set_aside(&old, from, old.bytes);
                    self.lose_to(old.next);
                    self.at = None;
                }
                Move::Again
            }
            Ok(Found::End) => {
                let next = s.next;
                if !self.refresh(spool) {
                    self.lose_to(next);
                    return self.find_segment(spool);
                }
                Move::Again
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => match self.refresh(spool) {
                true => Move::Again,
                false => self.file_gone(spool),
            },
            Err(e) => Move::Trouble(format!("cannot read `{}` in `{}`: {e}", s.name, spool.store(s.store).place())),
        }
    }

    /// Takes over what the ledger knows of the segment now; false when that is nothing new.
    fn refresh(&mut self, spool: &Spool) -> bool {
        let Some((s, walk)) = &mut self.at else { return false };
        let at = walk.position();
        let ledger = spool.lock();
        let Some(now) =
            ledger.segments.iter().rev().find(|x| x.first == s.first && x.head.created_ms == s.head.created_ms)
        else {
            // Gone from the ledger: what stands where we want to read on will be found anew.
            drop(ledger);
            self.at = None;
            return true;
        };
        if now.name == s.name && now.store == s.store && now.bytes == s.bytes && now.next == s.next {
            return false;
        }
        let shrunk = now.bytes < at;
        // The same records may stand in another file now, which is packed.
        walk.look_again();
        *s = now.clone();
        if shrunk {
            drop(ledger);
            self.at = None;
        } else if walk.position() > s.bytes {
            walk.seek(s.bytes);
        }
        true
    }

    /// The segment that holds the record we want.
    fn find_segment(&mut self, spool: &Spool) -> Move {
        let ledger = spool.lock();
        if self.want >= ledger.next_seq {
            return Move::Wait;
        }
        let i = ledger.segments.partition_point(|s| s.next <= self.want);
        match ledger.segments.get(i).cloned() {
            Some(s) => {
                drop(ledger);
                self.lose_to(s.first);
                self.at = Some((s, Walk::start().reaching(self.reach)));
            }
            None => {
                // Behind the last segment, and yet not at the end: these were lost with its tail.
                let next = ledger.next_seq;
                drop(ledger);
                self.lose_to(next);
                self.at = None;
            }
        }
        Move::Again
    }

    /// The file is not there: moved (the ledger says where), removed as dropped (the cursor is past it), or lost.
    fn file_gone(&mut self, spool: &Spool) -> Move {
        let Some((s, _)) = self.at.take() else { return Move::Again };
        let mut ledger = spool.lock();
        let before = ledger.segments.len();
        ledger.segments.retain(|x| x.name != s.name || x.store != s.store);
        let missing = ledger.segments.len() < before;
        drop(ledger);
        if missing && s.store == Store::Disk {
            log::error("spool", format!("`{}` is missing in `{}`", s.name, spool.place()));
        }
        Move::Again
    }
}
