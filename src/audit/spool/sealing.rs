//! What evidence needs of a spool: in which stream records are counted, which of them no power cut takes any more, the events of
//! the sealer on their way to the writer, and how far sealing is, in a file of three copies.
//!
//! Refuses: to know what a leaf is, to have the writer wait for the sealer.

use super::cursor::{Excused, Fate};
use super::moment::Sealed;
use super::names::SEAL;
use super::record;
use super::seals::Progress;
use super::small::{newest_copies, Small};
use super::walk::{Found, Walk};
use super::{Full, Ledger, Segment, Spool, Store};
use crate::audit::seal::{Algorithm, Hash, Stream, StreamId};
use crate::hash::xxh64;
use crate::limits;
use crate::log;
use crate::sorted;
use crate::sys::ring::{Ring, STREAM_WORDS};
use serde_json::Value;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The stream of this family, if it has one.
fn stream_in(ring: &Ring) -> Option<Stream> {
    let words: [[u8; 8]; STREAM_WORDS] = std::array::from_fn(|i| ring.stream(i).load(Ordering::Acquire).to_le_bytes());
    Stream::decode(words.as_flattened().first_chunk()?).filter(|s| s.first > 0)
}

/// Notes it. The last word, the number of the first record, makes it valid.
fn note_stream(ring: &Ring, stream: Option<Stream>) {
    ring.stream(STREAM_WORDS - 1).store(0, Ordering::Release);
    let words = stream.map(|s| s.encode()).unwrap_or_default();
    for (i, word) in words.chunks_exact(8).enumerate() {
        ring.stream(i).store(super::record::word(word, 0), Ordering::Release);
    }
}

impl Ledger {
    /// The record before which all are on the platter, or in memory, which goes with the power whatever anybody does.
    fn durable_before(&self) -> u64 {
        let fades = |s: &&Segment| s.store == Store::Disk && s.durable < s.next;
        self.segments.iter().find(fades).map_or(self.next_seq, |s| s.durable.max(s.first))
    }

    /// Up to where a sync has come: of each file, to the record before this one.
    pub(super) fn note_durable(&mut self, files: &[(String, u64)]) {
        for s in self.segments.iter_mut().filter(|s| s.store == Store::Disk) {
            if s.synced >= s.bytes && !s.renew {
                s.durable = s.next;
            } else if let Some((_, next)) = files.iter().find(|f| f.0 == s.name) {
                s.durable = s.durable.max((*next).min(s.next));
            }
        }
    }

    /// Records from this one on stay for the sealer; of a spool that is half full of such, the newest half.
    fn kept_for_evidence(&self, disk: u64, memory: u64) -> u64 {
        let (mut on_disk, mut in_memory) = (0, 0);
        // What the worker before has told of them must be told the same way: its sealer comes to them first.
        if self.progress.next == 0 {
            return self.progress.from;
        }
        for s in self.segments.iter().rev() {
            let sum = if s.store == Store::Disk { &mut on_disk } else { &mut in_memory };
            *sum += s.size();
            if on_disk > disk / 2 || in_memory > memory / 2 {
                return self.progress.next.max(s.next);
            }
        }
        self.progress.next
    }
}

impl Spool {
    /// The stream that the records written now belong to.
    pub fn stream(&self) -> Option<Stream> {
        self.seals.stream
    }

    /// How many bytes of a segment records take whose own bytes are so many.
    pub fn need_of(&self, lengths: impl Iterator<Item = usize>) -> u64 {
        let front = record::front(self.seals.stream);
        lengths.map(|own| (front + own) as u64).sum()
    }

    /// The stream of the worker before is gone on with; else a new one begins with the next record.
    pub(super) fn begin_stream(&mut self, now_ms: i64) -> io::Result<()> {
        self.load_progress()?;
        let memory = self.memory.clone();
        let before = memory.as_ref().and_then(|ring| stream_in(ring));
        let first = self.next_seq();
        let stream = self.settings.sealing.map(|s| {
            let same = |b: &Stream| b.id.algorithm() == s.algorithm && b.first <= first;
            before.filter(same).unwrap_or_else(|| Stream { id: StreamId::new(now_ms, s.chance, s.algorithm), first })
        });
        if let Some(ring) = memory.filter(|_| stream != before) {
            note_stream(&ring, stream);
        }
        self.seals.stream = stream;
        self.mend_heads();
        let ledger = self.lock();
        let sealed = stream.is_some()
            || !ledger.progress.payload.is_empty()
            || ledger.segments.iter().any(|s| s.head.seal.is_some());
        drop(ledger);
        self.seals.excuses = sealed;
        Ok(())
    }

    /// A segment whose head is damaged is of the stream that began before it and goes on behind it, else of one that began before
    /// it, as its leaves say: the power may have taken all that is known of the true one. Where they are of none of these it has a
    /// name that nobody has signed.
    fn mend_heads(&self) {
        let mut ledger = self.lock();
        let known = streams_of(&ledger.progress.payload);
        let mut newer = self.seals.stream;
        for s in ledger.segments.iter_mut().rev() {
            let is_damaged = s.head.seal.is_none() && s.head.is_lost();
            if let Some(stream) = newer.filter(|n| is_damaged && n.first <= s.first) {
                std::sync::Arc::make_mut(&mut s.head).seal = Some(stream);
            }
            newer = s.head.seal.or(newer);
        }
        let segments: Vec<Segment> = ledger.segments.iter().cloned().collect();
        drop(ledger);
        let mut older: Option<Stream> = None;
        for (i, s) in segments.into_iter().enumerate() {
            let mut stream = s.head.seal;
            if stream.is_none() && s.head.is_lost() {
                let mut before: Vec<Stream> =
                    known.iter().copied().filter(|k| k.first <= s.first).chain(older).collect();
                sorted::by_key(&mut before, |k| std::cmp::Reverse(k.first));
                let told = self.first_leaf(&s, &before);
                // No leaf is of one that a worker before has made for such a segment: that begins with it.
                let begins = || before.iter().find(|k| k.first == s.first);
                let last = || before.first().filter(|_| told.is_none());
                stream = told.and_then(|t| t.1).or_else(|| begins().or_else(last).copied());
                if stream.is_none() {
                    let named = self.seals.stream.or(before.first().copied());
                    stream = named.map(|named| unknown_before(named, s.first, told.map(|(leaf, _)| leaf)));
                    self.excuse_passed(&s);
                }
                std::sync::Arc::make_mut(&mut self.lock().segments[i].head).seal = stream;
            }
            older = stream;
        }
    }

    /// The leaf that was made of its first record when that was written, and of which of these streams it is; none: none was made.
    fn first_leaf(&self, s: &Segment, of: &[Stream]) -> Option<(Hash, Option<Stream>)> {
        let mut walk = Walk::start();
        loop {
            match walk.next(self.store(s.store), &s.name, &s.head, s.bytes) {
                Ok(Found::Record(m)) => {
                    let r = walk.record(m);
                    let leaf = r.written_leaf()?;
                    let is_it = |k: &&Stream| {
                        k.seq(m.seq).is_some_and(|seq| record::leaf_of(k.id, seq, m.kind, m.part, r.raw) == leaf)
                    };
                    return Some((leaf.1, of.iter().find(is_it).copied()));
                }
                Ok(Found::Damage(..)) => {}
                Ok(Found::Torn(_) | Found::End) | Err(_) => return None,
            }
        }
    }

    /// Who is past records of a segment that has a new name was given them under the one that is lost, and never by this.
    fn excuse_passed(&self, s: &Segment) {
        for r in &mut self.lock().receivers {
            let to = r.cursor.next.min(s.next) - 1;
            let is_said = |e: &(Fate, u64, u64)| e.0 == Fate::Dropped && e.1 <= s.first && to <= e.2;
            if to >= s.first && !r.cursor.excused.ranges.iter().any(is_said) {
                r.cursor.excused.add(Fate::Dropped, s.first, to);
                r.dirty = true;
            }
        }
    }

    /// The record before which no power cut takes any; with `--sync never` nobody is promised that.
    pub fn durable_before(&self) -> u64 {
        let ledger = self.lock();
        match self.settings.sealing {
            Some(s) if s.unsynced => ledger.next_seq,
            _ => ledger.durable_before(),
        }
    }

    /// Records before this one are not kept for the sealer.
    pub(super) fn kept_for_evidence(&self, ledger: &Ledger) -> u64 {
        let takes = ledger.disk_takes.map_or(self.settings.max, |(takes, _)| takes.min(self.settings.max));
        self.seals.stream.map_or(u64::MAX, |_| ledger.kept_for_evidence(takes, self.settings.memory_max))
    }

    /// The sealer of this worker begins with this record: those before it need not wait for him.
    pub fn seals_from(&self, number: u64) {
        self.lock().progress.from = number;
    }

    /// Whether the oldest records stay for the sealer alone, and this worker has told nothing of evidence yet. Until then all that
    /// is not sealed stays, be it more than half of the spool: the first post must not wait for room that only it makes.
    pub fn waits_for_evidence(&self) -> bool {
        let ledger = self.lock();
        let oldest = ledger.segments.front().map_or(0, |s| s.next);
        let may_go = self.settings.full == Full::DropOldest || oldest <= ledger.acked_before(true);
        ledger.progress.next == 0 && oldest > ledger.progress.from && may_go
    }

    // ---- the outbox ----

    /// Hands events to the writer, who writes them together. Those before are in the spool.
    pub fn post(&self, events: Vec<Vec<u8>>) {
        let mut post = self.seals.outbox.inner.lock();
        (post.events, post.behind) = (events, None);
        self.seals.outbox.full.store(true, Ordering::Release);
        drop(post);
        self.room.notify_all();
    }

    /// Whether events wait for the writer.
    pub fn has_post(&self) -> bool {
        self.seals.outbox.full.load(Ordering::Acquire)
    }

    /// The events that wait for the writer.
    pub fn take_post(&self) -> Vec<Vec<u8>> {
        if !self.has_post() {
            return Vec::new();
        }
        let mut post = self.seals.outbox.inner.lock();
        self.seals.outbox.full.store(false, Ordering::Release);
        std::mem::take(&mut post.events)
    }

    /// There was no room for them.
    pub fn give_post_back(&self, events: Vec<Vec<u8>>) {
        let mut post = self.seals.outbox.inner.lock();
        post.events = events;
        self.seals.outbox.full.store(true, Ordering::Release);
    }

    /// They are in the spool, before the record `behind`.
    pub fn post_is_there(&self, behind: u64, events: Vec<Vec<u8>>) {
        let mut post = self.seals.outbox.inner.lock();
        (post.behind, post.spare) = (Some(behind), events);
        drop(post);
        self.seals.outbox.appended.notify_all();
    }

    /// The record behind the last post; none: it is on its way.
    pub fn behind_post(&self) -> Option<u64> {
        self.seals.outbox.inner.lock().behind
    }

    /// The events of the last post, whose room is free.
    pub fn take_spare(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.seals.outbox.inner.lock().spare)
    }

    /// Waits until the post is in the spool, at most `patience`.
    pub fn wait_post(&self, patience: Duration) {
        let post = self.seals.outbox.inner.lock();
        if post.behind.is_none() {
            post.wait(&self.seals.outbox.appended, patience);
        }
    }

    /// Whether all before this record is sealed, but for evidence itself: said when no more input comes.
    pub fn note_sealed(&self, next: u64) {
        self.seals.outbox.sealed.store(next, Ordering::Release);
        self.room.notify_all();
    }

    /// Whether nothing is left for the sealer.
    pub fn is_sealed(&self) -> bool {
        self.seals.stream.is_none() || self.seals.outbox.sealed.load(Ordering::Acquire) >= self.next_seq()
    }

    /// How far evidence is, in the words of the sealer; none: nothing is sealed.
    pub fn sealed(&self) -> Option<Sealed> {
        let stream = self.stream()?;
        let said = self.seals.outbox.said.lock().clone();
        let next = self.lock().progress.next.max(stream.first);
        let (size, open) = (next - stream.first, self.next_seq().saturating_sub(next));
        Some(Sealed { stream: stream.id.to_string(), size, open, ..said })
    }

    /// The sealer says how it stands.
    pub fn say_sealed(&self, say: impl FnOnce(&mut Sealed)) {
        say(&mut self.seals.outbox.said.lock());
    }

    // ---- what explains what is missing ----

    /// The streams that there are records of, but for the one that is written now, the oldest first.
    pub fn streams_before(&self) -> Vec<Stream> {
        let mut all: Vec<Stream> = self.lock().segments.iter().filter_map(|s| s.head.seal).collect();
        all.dedup();
        all.retain(|s| Some(*s) != self.seals.stream);
        all
    }

    /// Records before `end` that somebody still lacks and that are in no file; of more than `most` stretches the last ones are one.
    pub fn gone_undelivered(&self, end: u64, most: usize) -> Vec<(u64, u64)> {
        let ledger = self.lock();
        let wanted = ledger.acked_before(false);
        let mut gone: Vec<(u64, u64)> = Vec::new();
        for (from, to) in ledger.holes(wanted).into_iter().filter(|hole| hole.0 < end) {
            let full = gone.len() >= most;
            match gone.last_mut().filter(|_| full) {
                Some(last) => last.1 = to,
                None => gone.push((from, to.min(end - 1))),
            }
        }
        gone
    }

    /// How many stretches of records the receiver with most of them was not given since a checkpoint said so.
    pub fn most_excuses(&self) -> usize {
        self.lock().receivers.iter().map(|r| r.cursor.excused.ranges.len()).max().unwrap_or(0)
    }

    /// A checkpoint that says so is in the spool.
    pub fn excused_are_said(&self, receiver: &str, these: &Excused) {
        if let Some(r) = self.lock().receivers.iter_mut().find(|r| r.name == receiver) {
            r.cursor.excused.said(these);
            r.dirty = true;
        }
    }

    // ---- how far it is ----

    /// What was kept of it last.
    pub fn progress(&self) -> Vec<u8> {
        self.lock().progress.payload.clone()
    }

    fn load_progress(&mut self) -> io::Result<()> {
        let (place, copies) = newest_copies(&*self.disk, &*self.memory_disk, SEAL, limits::SEAL_SLOT_BYTES)?;
        let newest = copies.into_iter().flatten().max_by_key(|(turn, _)| *turn);
        let payload = newest.map(|(_, payload)| payload).unwrap_or_default();
        self.lock().progress = Progress { place, payload, ..Progress::default() };
        Ok(())
    }

    /// Sealing has come so far: the next worker knows at once. The disk learns it when the records before `needs` are on the
    /// platter. Records before `next` are not kept for the sealer any more.
    pub fn keep_progress(&self, payload: Vec<u8>, needs: u64, next: u64) {
        let _alone = self.cursors.lock();
        let mut place = self.lock().progress.place.clone();
        if let Err(e) = self.small_to_memory(&small(), &mut place, &payload) {
            log::debug("spool", format!("how far sealing is, is not kept in memory: {e}"));
        }
        let mut ledger = self.lock();
        let p = &mut ledger.progress;
        (p.place, p.payload, p.needs, p.next, p.dirty) = (place, payload, needs, next, true);
    }

    /// To the disk, if it may say so now. For who holds the cursors.
    pub(super) fn write_progress(&self, though_bad: bool) {
        let (payload, next, mut place) = {
            let ledger = self.lock();
            let p = &ledger.progress;
            let unsynced = self.settings.sealing.is_some_and(|s| s.unsynced);
            let early = !unsynced && ledger.durable_before() < p.needs;
            if !p.dirty || early || ledger.disk_bad.is_some() && !though_bad {
                return;
            }
            (p.payload.clone(), p.next, p.place.clone())
        };
        let written = self.small_to_disk(&small(), &mut place, &payload).is_ok();
        let mut ledger = self.lock();
        let p = &mut ledger.progress;
        p.place = place;
        if written {
            (p.saved, p.dirty) = (next, false);
        }
    }

    /// What is on the platter of it says that records before `seq` are sealed, as far as they are. For who holds the cursors.
    /// False: it may not say so yet, since what it speaks of is on no platter; that is no fault of the disk.
    pub(super) fn sync_progress(&self, seq: u64) -> io::Result<bool> {
        if self.seals.stream.is_none() {
            return Ok(true);
        }
        let want = {
            let mut ledger = self.lock();
            let p = &mut ledger.progress;
            let want = seq.min(p.next);
            if p.synced >= want {
                return Ok(true);
            }
            p.dirty |= p.saved < want || !p.place.is_written();
            want
        };
        self.write_progress(true);
        let done = self.disk.sync(SEAL);
        let mut ledger = self.lock();
        let early =
            !self.settings.sealing.is_some_and(|s| s.unsynced) && ledger.durable_before() < ledger.progress.needs;
        let p = &mut ledger.progress;
        if done.is_err() {
            p.place.sync_failed();
            p.dirty = true;
        } else if p.place.synced() {
            p.synced = p.saved;
        }
        if p.synced < want && early {
            return Ok(false);
        }
        if p.synced < want {
            return Err(done.err().unwrap_or_else(|| io::Error::other("how far sealing is could not be written")));
        }
        Ok(true)
    }

    /// Its file has lost its name: it is written anew.
    pub(super) fn look_at_progress(&self) {
        let _alone = self.cursors.lock();
        if self.seals.stream.is_none() || self.lock().progress.place.is_new() || self.disk.is_named(SEAL) {
            return;
        }
        self.disk.look_again(SEAL);
        let mut ledger = self.lock();
        let p = &mut ledger.progress;
        p.place = p.place.without_file();
        (p.dirty, p.saved, p.synced) = (!p.payload.is_empty(), 0, 0);
    }
}

/// A stream for records of which nobody knows any more what stream they were of: without one they would look inserted. Each
/// worker of a family calls it the same; where a leaf of it is left, each worker of any family: what one keeper has signed of it
/// must have the same name for those that are given it by the next.
fn unknown_before(own: Stream, first: u64, leaf: Option<Hash>) -> Stream {
    let mut id = own.id;
    match leaf {
        Some(leaf) => {
            id.0.copy_from_slice(&leaf[..16]);
            id.0[15] = Algorithm::Sha256.byte();
        }
        None => {
            let chance = xxh64(&id.0, first).to_be_bytes();
            id.0[6..14].copy_from_slice(&chance);
        }
    }
    Stream { id, first }
}

/// The streams that the sealer has known.
fn streams_of(progress: &[u8]) -> Vec<Stream> {
    let v: Value = serde_json::from_slice(progress).unwrap_or_default();
    let stream = |v: &Value| Some(Stream { id: StreamId::parse(v[0].as_str()?)?, first: v[1].as_u64()? });
    v["past"].as_array().into_iter().flatten().chain([&v["stream"]]).filter_map(stream).collect()
}

fn small() -> Small {
    (SEAL.to_string(), limits::SEAL_SLOT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::super::append::Appender;
    use super::super::read::{Next, Reader};
    use super::super::record::RECORDS_AT;
    use super::super::tests::{open, put, settings, Moody};
    use super::super::Settings;
    use super::*;
    use crate::audit::spool::disk::Disk;
    use crate::audit::spool::seals::Sealing;

    #[test]
    fn a_segment_without_a_head_is_of_no_stream_that_its_records_are_not_of() {
        let (disk, memory_disk) = (Moody::new(), Moody::new());
        let opened = |n: u8| {
            let sealing = Some(Sealing { algorithm: Algorithm::Sha256, chance: [n; 9], unsynced: false });
            open(&disk, &memory_disk, Settings { sealing, ..settings(1 << 20, &[("r1", false), ("r2", false)]) })
        };
        let behead = |spool: Spool| {
            let name = spool.lock().segments.back().map(|s| s.name.clone()).unwrap();
            drop(spool);
            disk.write_at(&name, 0, &[0; RECORDS_AT as usize]).unwrap();
        };
        let seals = |spool: &Spool| spool.lock().segments.iter().map(|s| s.head.seal).collect::<Vec<_>>();
        let spool = opened(1);
        put(&spool, &mut Appender::default(), 1).unwrap();
        let first = spool.stream();
        drop(spool);
        // The next keeper, whose stream nobody else has heard of; who was given its first record has it by that name.
        let spool = opened(2);
        let mut appender = Appender::default();
        (2..4).for_each(|n| assert_eq!(put(&spool, &mut appender, n).unwrap(), n));
        let second = spool.stream();
        spool.lock().receivers[0].cursor.next = 3;
        spool.lock().receivers[0].dirty = true;
        spool.save_cursors();
        behead(spool);
        let spool = opened(3);
        let named = seals(&spool)[1];
        assert_eq!((seals(&spool)[0], named.map(|s| s.first)), (first, Some(2)));
        assert!(named != first && named != second && named != spool.stream());
        let excused = |i: usize| spool.lock().receivers[i].cursor.excused.ranges.clone();
        assert_eq!((excused(0), excused(1)), (vec![(Fate::Dropped, 2, 2)], vec![]));
        // What is signed of it has that name, whoever opens it.
        assert_eq!(seals(&opened(4))[1], named);
    }

    #[test]
    fn a_record_says_of_what_stream_it_is() {
        let sealing = Some(Sealing { algorithm: Algorithm::Sha256, chance: [1; 9], unsynced: false });
        let spool = open(&Moody::new(), &Moody::new(), Settings { sealing, ..settings(1 << 20, &[("r1", false)]) });
        put(&spool, &mut Appender::default(), 1).unwrap();
        let (segment, stream) = (spool.lock().segments[0].clone(), spool.stream().unwrap());
        let leaf = spool.first_leaf(&segment, &[stream]).filter(|told| told.1 == Some(stream)).map(|told| told.0);
        let unknown = unknown_before(stream, 1, leaf);
        assert_eq!(spool.first_leaf(&segment, &[unknown]), leaf.map(|leaf| (leaf, None)));
        assert!(leaf.is_some() && unknown_before(Stream { first: 7, ..unknown }, 1, leaf) == unknown);
    }

    #[test]
    fn a_leaf_is_of_the_stream_that_its_record_is_said_to_be_of() {
        let (disk, memory_disk) = (Moody::new(), Moody::new());
        let opened = |n: u8| {
            let sealing = Some(Sealing { algorithm: Algorithm::Sha256, chance: [n; 9], unsynced: false });
            open(&disk, &memory_disk, Settings { sealing, ..settings(1 << 20, &[("r1", false)]) })
        };
        let spool = opened(1);
        put(&spool, &mut Appender::default(), 1).unwrap();
        let mut reader = Reader::new(1);
        let Next::Record(r, head) = reader.next(&spool) else { panic!("no record") };
        assert!(r.written_leaf().is_some_and(|leaf| Some(leaf) == head.leaf(1, r.kind, 0, r.raw)));
        // The power has taken its head, and nobody knows any more what stream that was.
        let name = spool.lock().segments[0].name.clone();
        drop(spool);
        disk.write_at(&name, 0, &[0; RECORDS_AT as usize]).unwrap();
        let spool = opened(2);
        let mut reader = Reader::new(1);
        let Next::Record(r, head) = reader.next(&spool) else { panic!("no record") };
        assert!(head.is_lost());
        assert!(r.written_leaf().is_none_or(|leaf| Some(leaf) == head.leaf(1, r.kind, 0, r.raw)));
        // One that began before it is not its own, though no other one is known; the true one is known by its leaves, and one that
        // was made for it by where it begins.
        let own = Stream { id: StreamId::new(1000, [1; 9], Algorithm::Sha256), first: 1 };
        let before = Stream { id: StreamId::new(900, [3; 9], Algorithm::Sha256), first: 0 };
        let made = unknown_before(own, 1, None);
        let cases = [(vec![before], None), (vec![before, made], Some(made)), (vec![made, own, before], Some(own))];
        for (known, its) in cases {
            let rows: Vec<String> = known.iter().map(|s| format!("[\"{}\",{}]", s.id, s.first)).collect();
            let progress = format!("{{\"past\":[{}]}}", rows.join(","));
            spool.keep_progress(progress.into_bytes(), 1, 1);
            let spool = opened(4);
            let seal = spool.lock().segments[0].head.seal;
            assert_eq!(its.or(seal), seal);
            assert!(seal.is_some_and(|seal| known.contains(&seal) == its.is_some()));
        }
    }
}
