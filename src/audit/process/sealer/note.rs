//! A checkpoint of ours: what stands in it, and how it is signed and told. Refuses: to wait for a vault that cannot be used.

use super::{Now, Rest, Sealer, Sent};
use crate::audit::seal::checkpoint::{self, body_hash, Excuse, Excused as Said, Receiver as Line, Why};
use crate::audit::seal::{Checkpoint, Stream, StreamId};
use crate::audit::spool::cursor::{Excused, Fate};
use crate::audit::spool::Receiver;
use crate::limits;
use crate::sorted;

impl Sealer {
    /// Signs a checkpoint of all that is gathered, whose lists are in the spool, and posts its event.
    pub(super) fn sign(&mut self, why: Why, now: Now) -> Rest {
        let receivers = self.spool.receivers();
        let c = self.checkpoint(why, &receivers, now.wall_ms);
        let body = c.write();
        let note = match self.signer.sign(&body, why) {
            Ok(note) => note,
            Err(why) => {
                self.failed(&why, now);
                return Rest::Not;
            }
        };
        if c.next_key.is_some() {
            if let Err(why) = self.signer.change_key() {
                self.failed(&why, now);
            }
        }
        let hash = body_hash(&body);
        self.signed = Some((c.number, hash));
        (self.last_at, self.last_size, self.gather.leaves.fresh) = (now.mono, c.size, 0);
        (self.stopped, self.closed) = (why == Why::Stop, why == Why::Closed);
        self.next_key = None;
        let key_ms = self.signer.key_ms();
        self.spool.say_sealed(|said| (said.number, said.signed_ms, said.key_ms) = (c.number, now.wall_ms, key_ms));
        self.spool.post(vec![checkpoint::event(&note, &c)]);
        let said = receivers.into_iter().map(|r| (r.name, r.cursor.excused)).filter(|r| r.1 != Excused::default());
        self.sent = Some(Sent::Note(c.number, hash, said.collect()));
        Rest::Post
    }

    fn checkpoint(&mut self, why: Why, receivers: &[Receiver], now_ms: i64) -> Checkpoint {
        let stream = self.progress.stream;
        let mut c = Checkpoint::of(stream.id, &self.gather.leaves.tree, why, now_ms);
        self.note_ids();
        let before = self.signed.max(self.progress.last);
        (c.number, c.previous) = (before.map_or(1, |b| b.0 + 1), before.map(|b| b.1));
        c.after = self.progress.after;
        c.ids = self.progress.ids.clone();
        sorted::sort(&mut c.ids);
        let next_seq = self.spool.next_seq();
        let end = self.then.first().map_or(u64::MAX, |s| s.first);
        c.receivers = receivers.iter().map(|r| line(r, stream, end, next_seq)).collect();
        c.rules.clone_from(&self.rules);
        c.next_key = self.next_key.clone();
        c.sign_failed = self.signer.sign_failed();
        if self.is_closing() {
            // What was in memory when the power went was signed, and its numbers are those of other records now.
            let (signed, end) = (stream.first + c.size, end.min(stream.first + c.size));
            let mut gone = self.spool.gone_undelivered(end, limits::EXCUSED_RANGES);
            gone.iter_mut().for_each(|hole| hole.1 = hole.1.min(end.saturating_sub(1)));
            gone.push((end, signed.saturating_sub(1)));
            let seqs =
                gone.into_iter().filter_map(|(from, to)| Some((stream.seq(from.max(stream.first))?, stream.seq(to)?)));
            c.lost = seqs.filter(|(from, to)| from <= to).collect();
        }
        for r in receivers {
            for (of, said) in self.excuses(&r.name, &r.cursor.excused, r.cursor.next) {
                if of == stream.id {
                    c.excused.push(said);
                } else {
                    c.earlier.push((of, said));
                }
            }
        }
        c
    }

    /// What a receiver was not given before the record `next`, by stream and reason, in order.
    pub(super) fn excuses(&self, name: &str, excused: &Excused, next: u64) -> Vec<(StreamId, Said)> {
        let mut all: Vec<(StreamId, Excuse, u64, u64)> = Vec::new();
        let mut more = 0;
        for &(fate, from, to) in &excused.ranges {
            let excuse = if fate == Fate::Quarantined { Excuse::Quarantined } else { Excuse::Dropped };
            let mut to = to;
            // From the end on: each stream begins where the one before has ended.
            loop {
                // Of a stream whose name nobody knows any more.
                let Some(s) = self.stream_of(to) else {
                    more += to + 1 - from;
                    break;
                };
                let first = from.max(s.first);
                all.extend(s.seq(first).zip(s.seq(to)).map(|(a, b)| (s.id, excuse, a, b)));
                if first == from {
                    break;
                }
                to = first - 1;
            }
        }
        sorted::by_key(&mut all, |a| (a.0, a.1 == Excuse::Dropped, a.2));
        let mut said: Vec<(StreamId, Said)> = Vec::new();
        for run in all.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let mut ranges: Vec<(u64, u64)> = Vec::new();
            for &(_, _, from, to) in run {
                match ranges.last_mut() {
                    Some(last) if from <= last.1 + 1 => last.1 = last.1.max(to),
                    _ => ranges.push((from, to)),
                }
            }
            said.push((run[0].0, Said::Ranges(name.into(), run[0].1, ranges)));
        }
        if more > 0 {
            said.push((self.progress.stream.id, Said::More(name.into(), more)));
        }
        let unnamed: u64 = excused.more.iter().sum();
        if unnamed > 0 {
            // Nobody knows of which stream each is: of any from that of the first to where the receiver is.
            let mut at = next.saturating_sub(1);
            while let Some(s) = self.stream_of(at) {
                said.push((s.id, Said::More(name.into(), unnamed)));
                if s.first <= excused.since || s.first <= 1 {
                    break;
                }
                at = s.first - 1;
            }
        }
        said
    }

    /// Of which stream a record of this spool is.
    fn stream_of(&self, number: u64) -> Option<Stream> {
        let later = self.then.iter().rev().find(|s| s.first <= number);
        later.copied().or_else(|| self.progress.stream_of(number))
    }

    /// The ids of what is gathered go where they are kept.
    pub(super) fn note_ids(&mut self) {
        let progress = &mut self.progress;
        self.gather.leaves.take_seen().for_each(|id| progress.see(id));
    }

    /// Whether a receiver has nearly as many excuses as its cursor has room for.
    pub(super) fn excuses_are_many(&self) -> bool {
        self.spool.most_excuses() * 2 >= limits::EXCUSED_KEPT
    }
}

/// `end`: the record at which the stream ends.
fn line(r: &Receiver, stream: Stream, end: u64, next_seq: u64) -> Line {
    let c = &r.cursor;
    Line {
        name: r.name.clone(),
        at: stream.seq(c.next.min(end)).unwrap_or(0),
        delivered: c.delivered,
        waiting: next_seq.saturating_sub(c.next),
        quarantined: c.quarantined,
        dropped: c.dropped,
        filtered: c.filtered,
    }
}
