//! Packing over a disk in memory: what is read stays the same, whatever happens around it.

use super::super::append::Appender;
use super::super::disk::Disk;
use super::super::packed::{Job, Packing};
use super::super::read::Reader;
use super::super::tests::{all, open, put, settings, Moody};
use super::super::*;
use crate::limits;
use std::sync::atomic::Ordering;

const MAX: u64 = 1 << 20;
const RECORDS: u64 = 500;

struct Stage {
    disk: Arc<Moody>,
    memory: Arc<Moody>,
    spool: Spool,
    appender: Appender,
}

fn one(name: &str) -> Settings {
    settings(MAX, &[(name, false)])
}

impl Stage {
    /// Several sealed segments and one that is being written, all synced.
    fn new() -> Stage {
        let (disk, memory) = (Moody::new(), Moody::new());
        let spool = open(&disk, &memory, one("r1"));
        let mut appender = Appender::default();
        (1..=RECORDS).for_each(|n| assert!(put(&spool, &mut appender, n).is_ok()));
        spool.sync(1000);
        assert!(spool.lock().segments.len() > 2);
        Stage { disk, memory, spool, appender }
    }

    /// Packs all that is to be packed; how many that were.
    fn pack(&self, now_ms: i64) -> usize {
        let one = || {
            let job = self.spool.to_pack(now_ms)?;
            self.spool.take_packed(&job, job.pack(&*self.disk)).unwrap();
            Some(())
        };
        std::iter::from_fn(one).take(100).count()
    }

    fn again(&mut self) {
        self.spool.save_cursors();
        self.spool.save_state(true);
        self.spool = open(&self.disk, &self.memory, one("r1"));
        self.appender = Appender::default();
    }

    fn job(&self) -> Job {
        self.spool.to_pack(late()).expect("something to pack")
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = self.disk.list().unwrap().into_iter().map(|f| f.name).collect();
        names.retain(|n| n.contains(".seg"));
        names.sort();
        names
    }

    fn size(&self) -> u64 {
        let files = self.disk.list().unwrap();
        files.iter().filter(|f| f.name.ends_with(".seg")).map(|f| f.bytes).sum()
    }
}

/// Somebody has waited for long.
fn late() -> i64 {
    1000 + limits::PACK_AFTER_MILLIS
}

fn whole() -> (Vec<u64>, Vec<Loss>) {
    ((1..=RECORDS).collect(), Vec::new())
}

#[test]
fn the_same_is_read_from_a_tenth_of_the_bytes_also_after_a_restart() {
    let mut stage = Stage::new();
    let (sealed, before) = (stage.spool.lock().segments.len() - 1, stage.size());
    // One reader stands in the middle of a segment that is packed under it.
    let mut reader = Reader::new(1);
    for n in 1..=30 {
        assert!(matches!(reader.next(&stage.spool), read::Next::Record(r, _) if r.seq == n));
    }
    assert_eq!(stage.pack(late()), sealed);
    let sizes = stage.spool.sizes();
    assert_eq!(sizes.packed.0, sealed as u64);
    assert_eq!((sizes.live, sizes.packed.2 - sizes.packed.1), (stage.size(), before - stage.size()));
    let active = stage.spool.lock().segments.back().unwrap().bytes;
    assert!(stage.size() < active + (before - active) / 8 + 2 * sealed as u64 * RECORDS_BEGIN, "{}", stage.size());
    assert_eq!(all(&stage.spool, &mut reader).0, (31..=RECORDS).collect::<Vec<_>>());
    assert_eq!(all(&stage.spool, &mut Reader::new(1)), whole());
    stage.spool.delivered("r1", 77);
    stage.again();
    assert_eq!((stage.spool.sizes().packed.0, stage.spool.next_seq()), (sealed as u64, RECORDS + 1));
    assert_eq!(all(&stage.spool, &mut Reader::new(77)).0, (77..=RECORDS).collect::<Vec<_>>());
    assert_eq!(put(&stage.spool, &mut stage.appender, RECORDS + 1), Ok(RECORDS + 1));
    // What everybody has goes, packed or not.
    stage.spool.delivered("r1", RECORDS + 2);
    stage.spool.tidy(2000);
    stage.spool.tidy(2001);
    assert_eq!(stage.files().len(), 1);
}

#[test]
fn what_is_written_anew_while_it_is_packed_is_no_file_of_the_packer() {
    for packed_first in [true, false] {
        let stage = Stage::new();
        let job = stage.job();
        let mut done = packed_first.then(|| job.pack(&*stage.disk));
        // A sync has failed.
        let s = stage.spool.lock().segments.iter().find(|s| s.name == job.name).cloned().unwrap();
        let copy = stage.spool.copy_records(&s, record::RECORDS_AT, Store::Disk, 1000).unwrap().unwrap();
        if !packed_first {
            done = Some(job.pack(&*stage.disk));
        }
        stage.spool.put_in_place(&s, record::RECORDS_AT, copy);
        let _ = stage.spool.take_packed(&job, done.unwrap());
        assert_eq!(all(&stage.spool, &mut Reader::new(1)), whole());
    }
}

const RECORDS_BEGIN: u64 = record::RECORDS_AT;

#[test]
fn packed_is_what_waits_or_what_there_is_too_much_of_and_the_newest_first() {
    let stage = Stage::new();
    // Nobody has waited for a minute, and the bound is far.
    assert!(stage.spool.to_pack(1000).is_none() && stage.spool.to_pack(late() - 1).is_none());
    let (sealed, last) = {
        let ledger = stage.spool.lock();
        let of = |i: usize| ledger.segments[ledger.segments.len() - i].name.clone();
        (of(2), of(1))
    };
    assert_eq!(stage.job().name, sealed, "not the one that is written");
    // What everybody has takes no work, where there is room.
    stage.spool.delivered("r1", RECORDS + 1);
    assert!(stage.spool.to_pack(late()).is_none());
    // Over a quarter: at once, and all of it.
    let mut appender = Appender::default();
    (RECORDS + 1..=2 * RECORDS).for_each(|n| assert!(put(&stage.spool, &mut appender, n).is_ok()));
    assert!(stage.spool.to_pack(1000).is_some_and(|j| j.name > last));
    // With `--sync never` as well; what is packed is on the platter.
    assert!(stage.pack(1000) > 0);
    assert!(stage.spool.lock().segments.iter().all(|s| s.packed.is_none() || s.synced == s.bytes));
    stage.spool.lock().disk_bad = Some("full".into());
    assert!(stage.spool.to_pack(1000).is_none());
}

#[test]
fn a_full_spool_gets_room_by_packing() {
    let mut stage = Stage::new();
    let mut n = RECORDS;
    while put(&stage.spool, &mut stage.appender, n + 1).is_ok() {
        n += 1;
    }
    stage.spool.sync(1000);
    assert!(stage.pack(1000) > 10);
    assert!((1..=RECORDS).all(|i| put(&stage.spool, &mut stage.appender, n + i).is_ok()));
    assert_eq!(all(&stage.spool, &mut Reader::new(1)).0, (1..=n + RECORDS).collect::<Vec<_>>());
    assert!(stage.size() <= MAX);
}

#[test]
fn what_goes_while_it_is_packed_comes_back_in_no_form() {
    let stage = Stage::new();
    let job = stage.job();
    let done = job.pack(&*stage.disk);
    assert!(matches!(done, Ok(Packing::Done(_))));
    stage.spool.delivered("r1", RECORDS + 1);
    stage.spool.tidy(2000);
    stage.spool.tidy(2001);
    stage.spool.take_packed(&job, done).unwrap();
    assert_eq!((stage.files().len(), stage.spool.sizes().packed.0), (1, 0), "{:?}", stage.files());
    // And one whose file is gone when its turn comes is none.
    let stage = Stage::new();
    let job = stage.job();
    stage.disk.remove(&job.name).unwrap();
    assert_eq!(job.pack(&*stage.disk).unwrap(), Packing::NotWorthIt);
}

#[test]
fn what_is_damaged_or_does_not_pack_stays_as_it_is() {
    let stage = Stage::new();
    let job = stage.job();
    stage.disk.write_at(&job.name, record::RECORDS_AT + 100, b"\0").unwrap();
    assert_eq!(job.pack(&*stage.disk).unwrap(), Packing::NotWorthIt);
    stage.spool.take_packed(&job, Ok(Packing::NotWorthIt)).unwrap();
    assert!(stage.job().name != job.name && !stage.files().iter().any(|f| f.ends_with(".new")));
    let (seqs, losses) = all(&stage.spool, &mut Reader::new(1));
    assert_eq!((seqs.len() as u64, losses.len()), (RECORDS - 1, 1), "told as it is without packing");
    // A disk that refuses something leaves nothing behind, and costs nothing.
    let job = stage.job();
    stage.disk.no_sync.store(true, Ordering::Relaxed);
    assert!(stage.spool.take_packed(&job, job.pack(&*stage.disk)).is_err());
    let done = job.pack(&*stage.disk);
    stage.disk.no_names.store(true, Ordering::Relaxed);
    assert!(stage.spool.take_packed(&job, done).is_err());
    assert!(!stage.files().iter().any(|f| f.contains(&job.to)), "{:?}", stage.files());
    assert_eq!(all(&stage.spool, &mut Reader::new(1)).0.len() as u64, RECORDS - 1);
}

#[test]
fn of_two_files_of_one_segment_the_better_one_is_taken() {
    for cut in [0, 20] {
        let mut stage = Stage::new();
        let job = stage.job();
        let Packing::Done(size) = job.pack(&*stage.disk).unwrap() else { panic!("not packed") };
        // The worker dies here: both are there, and the ledger has gone with it.
        stage.disk.rename(&job.unborn(), &job.to).unwrap();
        stage.disk.truncate(&job.to, size - cut).unwrap();
        stage.disk.write_at("00000000000000000001-9.seg.new", 0, b"half").unwrap();
        stage.again();
        assert_eq!(all(&stage.spool, &mut Reader::new(1)), whole());
        assert_eq!(stage.spool.sizes().packed.0, u64::from(cut == 0));
        let files = stage.files();
        assert!(!files.iter().any(|f| f.ends_with(".new")), "{files:?}");
        // The plain one goes; a packed one that is worse is kept for people.
        assert_eq!(files.contains(&job.name), cut > 0, "{files:?}");
        assert_eq!(files.contains(&format!("{}.bad", job.to)), cut > 0, "{files:?}");
    }
}

#[test]
fn what_is_dropped_is_told_event_by_event_though_it_is_packed_at_that_moment() {
    let stage = Stage::new();
    let plain = stage.spool.lock().segments[0].clone();
    while stage.pack(late()) > 0 {}
    // Chosen before it was packed, read after that.
    let mut account = stage.spool.account();
    stage.spool.note_ids(&mut account, &plain, 1);
    assert_eq!((account.dropped_unknown, account.dropped_to), (0, plain.next));
}

#[test]
fn packed_files_that_lose_their_names_are_written_anew() {
    let mut stage = Stage::new();
    let sealed = stage.pack(late());
    stage.disk.nameless.store(true, Ordering::Relaxed);
    stage.spool.look_at_files(3000);
    stage.disk.nameless.store(false, Ordering::Relaxed);
    assert!(sealed > 1 && stage.spool.sizes().packed.0 == sealed as u64, "it takes no more room than before");
    assert_eq!(all(&stage.spool, &mut Reader::new(1)), whole());
    stage.again();
    assert_eq!(all(&stage.spool, &mut Reader::new(1)), whole());
}

#[test]
fn a_damaged_byte_costs_a_block_and_two_heads_cost_nothing() {
    let mut stage = Stage::new();
    while stage.pack(late()) > 0 {}
    let s = stage.spool.lock().segments[1].clone();
    stage.spool.save_state(true);
    // Both copies of the head.
    stage.disk.write_at(&s.name, 9, b"xx").unwrap();
    stage.disk.write_at(&s.name, record::HEAD_BYTES as u64 + 9, b"xx").unwrap();
    stage.again();
    assert_eq!(all(&stage.spool, &mut Reader::new(1)), whole());
    // Its only block as well.
    stage.disk.write_at(&s.name, record::RECORDS_AT + 60, b"xx").unwrap();
    let (seqs, losses) = all(&stage.spool, &mut Reader::new(1));
    assert_eq!(seqs.len() as u64, RECORDS - (s.next - s.first));
    assert_eq!(losses.iter().map(|l| (l.from, l.to)).collect::<Vec<_>>(), [(s.first, s.next - 1)]);
    let bad = stage.disk.list().unwrap().into_iter().find(|f| f.name.ends_with(".bad")).expect("set aside");
    assert_eq!(bad.bytes, s.packed.unwrap() - record::RECORDS_AT, "byte for byte");
}
