//! The spool over a disk in memory that can be told to fail.

use super::append::{Appender, NoRoom};
use super::disk::{read_all, Disk, Entry};
use super::memory_disk::MemoryDisk;
use super::read::{Next, Reader};
use super::record::{Identity, New, RECORDS_AT};
use super::*;
use crate::audit::record::mark::Mark;
use crate::audit::record::{read as facts_of, EventId, Kind};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// A disk that fails on demand.
pub(super) struct Moody {
    memory_disk: MemoryDisk,
    no_write: AtomicBool,
    pub(super) no_sync: AtomicBool,
    pub(super) no_names: AtomicBool,
    no_remove: AtomicBool,
    /// A write, the sync of the state does not come back while this is so.
    slow_write: AtomicBool,
    slow_state: AtomicBool,
    /// Segments have lost their names.
    pub(super) nameless: AtomicBool,
}

impl Moody {
    pub(super) fn new() -> Arc<Moody> {
        let memory_disk = MemoryDisk::open(MemoryDisk::create().unwrap()).unwrap();
        let no = || AtomicBool::new(false);
        let (no_write, no_sync, no_names, no_remove) = (no(), no(), no(), no());
        let (slow_write, slow_state, nameless) = (no(), no(), no());
        Arc::new(Moody { memory_disk, no_write, no_sync, no_names, no_remove, slow_write, slow_state, nameless })
    }

    fn state(&self) -> Option<Vec<u8>> {
        read_all(self, names::STATE, slots::COPIES * crate::limits::STATE_SLOT_BYTES).unwrap()
    }
}

impl Disk for Moody {
    fn list(&self) -> io::Result<Vec<Entry>> {
        self.memory_disk.list()
    }
    fn read_at(&self, name: &str, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.memory_disk.read_at(name, at, buf)
    }
    fn write_at(&self, name: &str, at: u64, data: &[u8]) -> io::Result<()> {
        if self.no_write.load(Ordering::Relaxed) {
            // A full disk takes half.
            let _ = self.memory_disk.write_at(name, at, &data[..data.len() / 2]);
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        while self.slow_write.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.memory_disk.write_at(name, at, data)
    }
    fn sync(&self, name: &str) -> io::Result<()> {
        if self.no_sync.swap(false, Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        while name == names::STATE && self.slow_state.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.memory_disk.sync(name)
    }
    fn sync_names(&self) -> io::Result<()> {
        if self.no_names.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        Ok(())
    }
    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.memory_disk.truncate(name, bytes)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.memory_disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        if self.no_remove.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        self.memory_disk.remove(name)
    }
    fn place(&self) -> String {
        "test".into()
    }
    fn is_named(&self, name: &str) -> bool {
        !(self.nameless.load(Ordering::Relaxed) && name.ends_with(".seg"))
    }
}

pub(super) fn settings(max: u64, receivers: &[(&str, bool)]) -> Settings {
    Settings {
        max,
        full: Full::Block,
        retain_ms: 0,
        memory_max: 1 << 20,
        identity: Identity { cluster: "c".into(), instance: "i".into(), node: "n".into() },
        receivers: receivers.iter().map(|(n, o)| (n.to_string(), *o)).collect(),
        owner: None,
        sealing: None,
    }
}

pub(super) fn open(disk: &Arc<Moody>, memory_disk: &Arc<Moody>, s: Settings) -> Spool {
    Spool::open(disk.clone(), memory_disk.clone(), s, None, 1000).unwrap()
}

fn raw(n: u64) -> Vec<u8> {
    format!(r#"{{"id":"1.0.{n}","message":"{}","severity":"low","title":"t"}}"#, "x".repeat(300)).into_bytes()
}

pub(super) fn put(spool: &Spool, a: &mut Appender, n: u64) -> Result<u64, NoRoom> {
    let raw = raw(n);
    let f = facts_of(&raw, false);
    let new = New {
        kind: Kind::Object,
        raw: &raw,
        id: f.id,
        time: f.time,
        part: 0,
        parts: 0,
        stream: n * 100,
        read_ms: 1000,
        form: None,
    };
    let seq = spool.append(a, 1, &[new], 1000, false)?;
    spool.account().take(seq, &f, &raw, 0, 0, 1000);
    Ok(seq)
}

pub(super) fn all(spool: &Spool, reader: &mut Reader) -> (Vec<u64>, Vec<Loss>) {
    let (mut seqs, mut losses) = (Vec::new(), Vec::new());
    loop {
        match reader.next(spool) {
            Next::Record(r, _) => {
                assert_eq!(r.raw, raw(r.seq).as_slice());
                seqs.push(r.seq);
            }
            Next::Lost(l) => losses.push(l),
            Next::Wait => return (seqs, losses),
            Next::Trouble(t) => panic!("{t}"),
        }
    }
}

#[test]
fn what_is_written_is_read_also_after_a_restart() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    let (mut a, mut r) = (Appender::default(), Reader::new(1));
    for n in 1..=500 {
        assert_eq!(put(&spool, &mut a, n), Ok(n));
        if n == 250 {
            assert_eq!(all(&spool, &mut r).0.len(), 250);
        }
    }
    assert_eq!(all(&spool, &mut r).0, (251..=500).collect::<Vec<_>>());
    assert!(spool.lock().segments.len() > 2);
    spool.delivered("r1", 301);
    spool.save_cursors();
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false), ("r2", false)]));
    assert_eq!((spool.next_seq(), spool.cursor("r1").unwrap().next), (501, 301));
    let two = spool.cursor("r2").unwrap();
    assert_eq!((two.next, two.filtered), (301, 300));
    assert_eq!(spool.account().counters.read, 500);
    assert_eq!(all(&spool, &mut Reader::new(301)).0, (301..=500).collect::<Vec<_>>());
    assert_eq!(put(&spool, &mut Appender::default(), 501), Ok(501));
}

#[test]
fn what_everybody_has_goes_and_the_state_stays() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    let mut a = Appender::default();
    (1..=500).for_each(|n| assert!(put(&spool, &mut a, n).is_ok()));
    spool.delivered("r1", 501);
    spool.tidy(2000);
    spool.tidy(2001);
    assert_eq!(spool.lock().segments.len(), 1);
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    assert_eq!((spool.next_seq(), spool.account().counters.read), (501, 500));
    assert!(spool.drained());
}

#[test]
fn a_torn_tail_is_cut_and_damage_is_set_aside() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    let mut a = Appender::default();
    (1..=10).for_each(|n| assert!(put(&spool, &mut a, n).is_ok()));
    let name = spool.lock().segments[0].name.clone();
    let bytes = spool.lock().segments[0].bytes;
    drop(spool);
    disk.write_at(&name, RECORDS_AT + 3 * (bytes - RECORDS_AT) / 10 + 60, b"\0").unwrap();
    disk.truncate(&name, bytes - 5).unwrap();
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    assert_eq!(spool.next_seq(), 10);
    let (seqs, losses) = all(&spool, &mut Reader::new(1));
    assert_eq!(seqs, [1, 2, 3, 5, 6, 7, 8, 9]);
    let id = |n| EventId::parse(format!("1.0.{n}").as_bytes());
    assert_eq!(losses, [Loss { from: 4, to: 4, before: id(3), after: id(5) }]);
    assert_eq!(disk.list().unwrap().iter().filter(|f| f.name.ends_with(".bad")).count(), 2);
}

#[test]
fn a_missing_segment_is_a_loss_and_not_the_end() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(256 << 10, &[("r1", false)]));
    let mut a = Appender::default();
    (1..=200).for_each(|n| assert!(put(&spool, &mut a, n).is_ok()));
    let second = spool.lock().segments[1].clone();
    disk.remove(&second.name).unwrap();
    // Both while it runs and after a restart.
    let (seqs, losses) = all(&spool, &mut Reader::new(1));
    assert_eq!((losses.len(), losses[0].from, losses[0].to), (1, second.first, second.next - 1));
    assert_eq!(seqs.len() as u64, 200 - (second.next - second.first));
    let spool = open(&disk, &memory_disk, settings(256 << 10, &[("r1", false)]));
    assert_eq!(all(&spool, &mut Reader::new(1)).0, seqs);
}

#[test]
fn a_full_spool_blocks_or_drops_and_counts() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(256 << 10, &[("r1", false)]));
    let mut a = Appender::default();
    let full = (1..10_000).find(|&n| put(&spool, &mut a, n).is_err()).unwrap();
    assert!(full > 500);
    assert!(put(&spool, &mut a, full).is_err());
    let total: u64 = disk.list().unwrap().iter().filter(|f| f.name.ends_with(".seg")).map(|f| f.bytes).sum();
    assert!(total <= 256 << 10);
    assert!(spool.drop_oldest());
    let gone = spool.cursor("r1").unwrap();
    assert_eq!(gone.dropped, gone.next - 1);
    let noted = spool.account().dropped[0];
    assert_eq!((noted.from.count, noted.to.count, noted.count), (1, gone.dropped, gone.dropped));
    assert_eq!(put(&spool, &mut a, full), Ok(full));
    let (seqs, losses) = all(&spool, &mut Reader::new(gone.next));
    assert_eq!((seqs[0], losses.len()), (gone.next, 0));
}

#[test]
fn an_optional_receiver_never_pins() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(256 << 10, &[("must", false), ("may", true)]));
    let mut a = Appender::default();
    for n in 1..=5_000 {
        assert_eq!(put(&spool, &mut a, n), Ok(n));
        spool.delivered("must", n + 1);
    }
    let may = spool.cursor("may").unwrap();
    assert!(may.dropped > 3_000 && may.dropped == may.next - 1);
    assert_eq!(all(&spool, &mut Reader::new(may.next)).0.len() as u64, 5_001 - may.next);
}

#[test]
fn a_full_disk_costs_nothing_and_heals() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    let (mut a, mut r) = (Appender::default(), Reader::new(1));
    (1..=50).for_each(|n| assert!(put(&spool, &mut a, n).is_ok()));
    disk.no_write.store(true, Ordering::Relaxed);
    (51..=100).for_each(|n| assert_eq!(put(&spool, &mut a, n), Ok(n)));
    assert_eq!(all(&spool, &mut r).0.len(), 100);
    assert!(!spool.recover_disk() && spool.sizes().in_memory > 0);
    // A worker that dies now leaves them to the next one.
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    assert_eq!(all(&spool, &mut Reader::new(1)).0.len(), 100);
    let mut a = Appender::default();
    (101..=120).for_each(|n| assert_eq!(put(&spool, &mut a, n), Ok(n)));
    disk.no_write.store(false, Ordering::Relaxed);
    spool.recover_disk();
    (121..=130).for_each(|n| assert_eq!(put(&spool, &mut a, n), Ok(n)));
    assert!(spool.recover_disk());
    assert_eq!((spool.sizes().in_memory, spool.sizes().disk_bad), (0, None));
    assert_eq!(all(&spool, &mut Reader::new(1)).0.len(), 130);
    assert_eq!(all(&open(&disk, &Moody::new(), settings(1 << 20, &[("r1", false)])), &mut Reader::new(1)).0.len(), 130);
}

#[test]
fn a_failed_sync_is_written_anew() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    let (mut a, mut r) = (Appender::default(), Reader::new(1));
    (1..=20).for_each(|n| assert!(put(&spool, &mut a, n).is_ok()));
    spool.sync(1000);
    (21..=40).for_each(|n| assert!(put(&spool, &mut a, n).is_ok()));
    assert_eq!(all(&spool, &mut r).0.len(), 40);
    disk.no_sync.store(true, Ordering::Relaxed);
    spool.sync(1000);
    let places: Vec<Store> = spool.lock().segments.iter().map(|s| s.store).collect();
    assert_eq!(places, [Store::Disk, Store::Memory]);
    (41..=60).for_each(|n| assert!(put(&spool, &mut a, n).is_ok()));
    assert_eq!(all(&spool, &mut r).0, (41..=60).collect::<Vec<_>>());
    assert_eq!(all(&spool, &mut Reader::new(1)), ((1..=60).collect(), vec![]));
    spool.recover_disk();
    (61..=70).for_each(|n| assert!(put(&spool, &mut a, n).is_ok()));
    assert!(spool.recover_disk());
    spool.sync(1000);
    assert_eq!(all(&spool, &mut Reader::new(1)), ((1..=70).collect(), vec![]));
    let spool = open(&disk, &Moody::new(), settings(1 << 20, &[("r1", false)]));
    assert_eq!(all(&spool, &mut Reader::new(1)), ((1..=70).collect(), vec![]));
}

#[test]
fn a_tail_lost_with_the_power_is_not_numbered_twice() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false), ("r2", false)]));
    let mut a = Appender::default();
    (1..=20).for_each(|n| assert!(put(&spool, &mut a, n).is_ok()));
    spool.delivered("r1", 21);
    spool.save_cursors();
    let s = spool.lock().segments[0].clone();
    disk.truncate(&s.name, RECORDS_AT + (s.bytes - RECORDS_AT) / 2).unwrap();
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false), ("r2", false)]));
    assert_eq!((spool.next_seq(), spool.account().counters.read), (21, 20));
    let (seqs, losses) = all(&spool, &mut Reader::new(1));
    assert_eq!((seqs.len(), losses.len(), losses[0].to), (10, 1, 20));
    assert_eq!(put(&spool, &mut Appender::default(), 21), Ok(21));
    assert!(all(&spool, &mut Reader::new(21)).0 == [21]);
}

#[test]
fn doubled_swapped_empty_and_foreign_files() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(256 << 10, &[("r1", false)]));
    let mut a = Appender::default();
    (1..=200).for_each(|n| assert!(put(&spool, &mut a, n).is_ok()));
    let names: Vec<String> = spool.lock().segments.iter().map(|s| s.name.clone()).collect();
    drop(spool);
    let bytes = disk::read_all(&*disk, &names[1], 1 << 20).unwrap().unwrap();
    disk.write_at("00000000000000009999.seg", 0, &bytes).unwrap();
    disk.write_at("00000000000000009998.seg", 0, b"").unwrap();
    disk.write_at("00000000000000009997.seg", 0, b"garbage").unwrap();
    disk.rename(&names[0], "x.seg").unwrap();
    disk.rename(&names[2], &names[0]).unwrap();
    disk.rename("x.seg", &names[2]).unwrap();
    let spool = open(&disk, &memory_disk, settings(256 << 10, &[("r1", false)]));
    assert_eq!(all(&spool, &mut Reader::new(1)), ((1..=200).collect(), vec![]));
    drop(spool);
    let mut foreign = bytes;
    foreign[7] = 9;
    foreign[record::HEAD_BYTES + 7] = 9;
    disk.write_at("00000000000000009996.seg", 0, &foreign).unwrap();
    let refused = Spool::open(disk.clone(), memory_disk.clone(), settings(256 << 10, &[]), None, 0);
    assert!(matches!(refused, Err(recover::Refusal::Foreign(_))));
}

#[test]
fn a_disk_that_fills_while_the_state_is_saved_stops_nobody() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, Settings { retain_ms: 1 << 40, ..settings(1 << 20, &[("r1", false)]) });
    let mut a = Appender::default();
    (1..=200).for_each(|n| assert!(put(&spool, &mut a, n).is_ok()));
    spool.delivered("r1", 201);
    disk.no_write.store(true, Ordering::Relaxed);
    // What is kept for replay gives way, and its removal saves the state: which is being saved.
    spool.save_state(true);
    spool.tidy(1000);
    assert_eq!(spool.sizes().retained, spool.lock().segments.back().unwrap().bytes);
    assert!(spool.sizes().disk_bad.is_some());
}

#[test]
fn the_state_knows_of_no_records_in_files_that_may_have_no_name() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    assert!(spool.save_state(true));
    (1..=5).for_each(|n| assert!(put(&spool, &mut Appender::default(), n).is_ok()));
    let before = disk.state();
    disk.no_names.store(true, Ordering::Relaxed);
    assert!(!spool.save_state(true));
    assert_eq!(disk.state(), before);
    disk.no_names.store(false, Ordering::Relaxed);
    assert!(spool.recover_disk() && spool.save_state(true));
    assert_ne!(disk.state(), before);
}

#[test]
fn a_new_receiver_has_a_cursor_before_another_one_gets_on() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false), ("r2", false)]));
    (1..=20).for_each(|n| assert!(put(&spool, &mut Appender::default(), n).is_ok()));
    spool.delivered("r1", 21);
    // The worker dies when the first of two cursors is written.
    let cursor = spool.cursor("r1").unwrap().save();
    let room = crate::limits::CURSOR_SLOT_BYTES;
    let mut place = slots::Place::of(&read_all(&*disk, "cursor-r1", 3 * room).unwrap().unwrap(), room);
    let copy = place.next(&cursor, room).unwrap();
    disk.write_at("cursor-r1", copy.at, &copy.bytes).unwrap();
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false), ("r2", false)]));
    assert_eq!((spool.cursor("r1").unwrap().next, spool.cursor("r2").unwrap().next), (21, 1));
    // A cursor that is there and says nothing is no new one either.
    disk.truncate("cursor-r2", 0).unwrap();
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false), ("r2", false)]));
    assert_eq!(spool.cursor("r2").unwrap().next, 1);
    // And who takes the place of that one gets what it may have lacked.
    disk.truncate("cursor-r2", 0).unwrap();
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false), ("r3", false)]));
    assert_eq!((spool.position("r1"), spool.position("r2"), spool.position("r3")), (21, 1, 1));
}

#[test]
fn records_written_anew_beside_a_file_that_could_not_be_cut_count_once() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    let mut a = Appender::default();
    (1..=20).for_each(|n| assert!(put(&spool, &mut a, n).is_ok()));
    spool.sync(1000);
    (21..=40).for_each(|n| assert!(put(&spool, &mut a, n).is_ok()));
    disk.no_sync.store(true, Ordering::Relaxed);
    spool.sync(1000);
    let old = spool.lock().segments[0].clone();
    let whole = disk.list().unwrap().iter().find(|f| f.name == old.name).unwrap().bytes;
    assert!(whole > old.bytes, "the old file is cut while the new one is in memory alone");
    drop(spool);
    // The cache forgets what the failed sync has dropped.
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    assert_eq!(spool.account().counters.read, 40);
    disk.write_at(&old.name, old.bytes, &vec![0; (whole - old.bytes) as usize]).unwrap();
    assert_eq!(all(&spool, &mut Reader::new(1)), ((1..=40).collect(), vec![]));
    // And at the end the last segment comes back to the disk.
    spool.end();
    assert!(spool.recover_disk());
    let spool = open(&disk, &Moody::new(), settings(1 << 20, &[("r1", false)]));
    assert_eq!(all(&spool, &mut Reader::new(1)), ((1..=40).collect(), vec![]));
}

#[test]
fn what_a_dead_worker_left_is_synced() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    (1..=5).for_each(|n| assert!(put(&spool, &mut Appender::default(), n).is_ok()));
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    disk.no_sync.store(true, Ordering::Relaxed);
    spool.sync(1000);
    assert!(!disk.no_sync.load(Ordering::Relaxed), "nothing was synced");
    assert_eq!(all(&spool, &mut Reader::new(1)), ((1..=5).collect(), vec![]));
}

#[test]
fn the_pieces_of_a_line_end_with_its_input() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let opened = || open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    let put_part = |spool: &Spool, epoch, kind, part| {
        let raw: &[u8] = b"{\"from\":\"unknown\"}";
        let mut f = facts_of(raw, false);
        f.kind = kind;
        let (id, time) = (f.id, f.time);
        let new = New { kind, raw, id, time, part, parts: 0, stream: 100, read_ms: 1000, form: None };
        let seq = spool.append(&mut Appender::default(), epoch, &[new], 1000, false).unwrap();
        let mut account = spool.account();
        account.take(seq, &f, raw, part, 0, 1000);
        account.mark = Mark { epoch, position: 100 };
    };
    put_part(&opened(), 1, Kind::Object, 1);
    let spool = opened();
    assert_eq!(spool.account().pieces, 1);
    // A new input; the first that is written in its time is an event of our own.
    spool.begin_another_input();
    assert_eq!(spool.account().pieces, 0);
    put_part(&spool, 2, Kind::Own, 0);
    assert_eq!(opened().account().pieces, 0);
    // What can be read again goes on in the middle of a line, whatever we tell before it does.
    put_part(&spool, Mark::stream_known_by(77), Kind::Object, 1);
    put_part(&spool, 5, Kind::Own, 0);
    let account = opened().account().clone();
    assert_eq!((account.pieces, account.mark), (1, Mark { epoch: Mark::stream_known_by(77), position: 100 }));
}

#[test]
fn a_receiver_is_forgotten_wholly_or_not_at_all() {
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false), ("old", false)]));
    (1..=20).for_each(|n| assert!(put(&spool, &mut Appender::default(), n).is_ok()));
    spool.delivered("r1", 15);
    spool.save_cursors();
    spool.sync(1000);
    spool.save_state(true);
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    disk.write_at("forget-old", 0, b"forget\n").unwrap();
    disk.no_remove.store(true, Ordering::Relaxed);
    spool.tidy(1000);
    assert_eq!(spool.position("old"), 1, "its cursor is on the disk, and nothing is kept for it");
    disk.no_remove.store(false, Ordering::Relaxed);
    spool.tidy(1000);
    assert!(spool.cursor("old").is_none() && disk.read_at("forget-old", 0, &mut [0; 1]).is_err());
    // One of that name that comes again is new.
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false), ("old", false)]));
    assert_eq!(spool.position("old"), 15);
}

/// What is written behind that wait would be in a file that nobody reads.
#[test]
fn the_writer_is_sent_elsewhere_before_a_file_without_a_name_is_copied() {
    crate::log::mute();
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    let mut a = Appender::default();
    assert!(put(&spool, &mut a, 1).is_ok());
    for flag in [&disk.slow_write, &disk.nameless] {
        flag.store(true, Ordering::Relaxed);
    }
    let sent = std::thread::scope(|threads| {
        let writer = threads.spawn(|| put(&spool, &mut a, 2));
        while !spool.lock().writing {
            std::thread::yield_now();
        }
        let tender = threads.spawn(|| spool.look_at_files(1000));
        let end = std::time::Instant::now() + Duration::from_millis(crate::limits::WRITER_WAIT_MILLIS / 2);
        while !spool.lock().begin_anew && std::time::Instant::now() < end {
            std::thread::yield_now();
        }
        let sent = spool.lock().begin_anew;
        for flag in [&disk.slow_write, &disk.nameless] {
            flag.store(false, Ordering::Relaxed);
        }
        assert!(writer.join().unwrap().is_ok());
        tender.join().unwrap();
        sent
    });
    assert!(sent, "while it is waited for it may begin another record there");
    assert!(put(&spool, &mut a, 3).is_ok());
    assert_eq!(all(&spool, &mut Reader::new(1)), ((1..=3).collect(), vec![]));
}

/// With `drop-newest` it does so for each chunk, and the database would wait with it.
#[test]
fn the_writer_does_not_wait_for_the_sync_of_a_state_and_what_it_remembers_counts() {
    crate::log::mute();
    let (disk, memory_disk) = (Moody::new(), Moody::new());
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    assert!(put(&spool, &mut Appender::default(), 1).is_ok());
    disk.slow_state.store(true, Ordering::Relaxed);
    let done = AtomicBool::new(false);
    let in_time = std::thread::scope(|threads| {
        let tender = threads.spawn(|| spool.save_state(true));
        while spool.state.try_lock().is_some() {
            std::thread::yield_now();
        }
        threads.spawn(|| {
            spool.account().counters.dropped += 7;
            spool.remember_state();
            done.store(true, Ordering::Relaxed);
        });
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while !done.load(Ordering::Relaxed) && std::time::Instant::now() < end {
            std::thread::yield_now();
        }
        let in_time = done.load(Ordering::Relaxed);
        disk.slow_state.store(false, Ordering::Relaxed);
        assert!(tender.join().unwrap());
        in_time
    });
    assert!(in_time, "it waited for the disk");
    // The state that was on its way comes to the disk later, and holds less.
    drop(spool);
    let spool = open(&disk, &memory_disk, settings(1 << 20, &[("r1", false)]));
    assert_eq!(spool.account().counters.dropped, 7);
}

#[test]
fn who_glances_waits_for_neither_lock() {
    let spool = open(&Moody::new(), &Moody::new(), settings(1 << 20, &[("r1", false)]));
    let glances = || std::thread::scope(|threads| threads.spawn(|| spool.glance().is_some()).join().unwrap());
    let account = spool.account();
    assert!(!glances());
    drop(account);
    let ledger = spool.lock();
    assert!(!glances());
    drop(ledger);
    assert!(glances());
}
