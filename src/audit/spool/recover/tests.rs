//! What a worker after a power cut takes what is missing for.

use super::*;
use crate::audit::record::account::Dropped;
use crate::audit::record::gap::Missing;
use crate::audit::record::read as facts_of;
use crate::audit::spool::append::Appender;
use crate::audit::spool::read::{Next, Reader};
use crate::audit::spool::record::New;
use crate::audit::spool::tests::{open, put, settings, Moody};
use crate::audit::spool::Full;

const FIRST: &[u8] = br#"{"id":"1.0.1","message":"a"}"#;

/// Events by their counts, and where in the input each of them ends.
fn after_a_power_cut(full: Full, events: &[(u64, u64)]) -> (Vec<Missing>, Vec<Dropped>, Spool) {
    crate::log::mute();
    let settings = || Settings { full, ..settings(1 << 20, &[("r1", false)]) };
    let disk = Moody::new();
    let spool = open(&disk, &Moody::new(), settings());
    let mut appender = Appender::default();
    for &(n, stream) in events {
        let raw = event(n);
        let f = facts_of(&raw, false);
        let (id, time) = (f.id, f.time);
        let new = New { kind: f.kind, raw: &raw, id, time, part: 0, parts: 0, stream, read_ms: 1000, form: None };
        assert!(spool.append(&mut appender, 1, &[new], 1000, false).is_ok());
    }
    drop(spool);
    let spool = open(&disk, &Moody::new(), settings());
    let lost = spool.account().gaps.due(1000, true);
    let dropped = spool.account().dropped_to_tell();
    (lost, dropped, spool)
}

fn event(n: u64) -> Vec<u8> {
    String::from_utf8_lossy(FIRST).replace("0.1", &format!("0.{n}")).into_bytes()
}

fn id(count: u64) -> EventId {
    EventId { raft_id: 1, gen: 0, count }
}

/// Who has dropped events knows it in memory alone. After a power cut their bytes in the input are what tells that they came.
#[test]
fn what_was_read_and_dropped_before_a_power_cut_is_not_told_as_what_never_came() {
    let line = FIRST.len() as u64 + 1;
    let three_between = [(1, line), (5, 5 * line), (6, 6 * line)];
    let dropped = Dropped { from: id(2), to: id(4), count: 3 };
    let (lost, told, spool) = after_a_power_cut(Full::DropNewest, &three_between);
    assert_eq!((lost, told), (vec![], vec![dropped]));
    let counters = spool.account().counters.clone();
    assert_eq!((counters.read, counters.dropped, counters.gaps), (6, 3, 0));
    // It is read once more, and comes through this time.
    let raw = event(3);
    spool.account().take(9, &facts_of(&raw, false), &raw, 0, 0, 1000);
    let left = |n| Dropped { from: id(n), to: id(n), count: 1 };
    assert_eq!(spool.account().dropped, [left(2), left(4)]);
    // In a range with holes nobody knows which ones were dropped: their count stays.
    let holes = Dropped { from: id(2), to: id(4), count: 2 };
    spool.account().dropped = vec![holes];
    let raw = event(4);
    spool.account().take(10, &facts_of(&raw, false), &raw, 0, 0, 1000);
    let account = spool.account();
    assert_eq!((account.counters.late, &account.dropped), (2, &vec![holes]));
}

#[test]
fn what_has_left_no_room_in_the_input_never_came() {
    let line = FIRST.len() as u64 + 1;
    let lost = vec![Missing { from: id(2), to: 4 }];
    let nothing_between = [(1, line), (5, 2 * line), (6, 3 * line)];
    let (due, told, _spool) = after_a_power_cut(Full::DropNewest, &nothing_between);
    assert_eq!((due, told), (lost.clone(), vec![]));
    // Who drops nothing that is new has not dropped it.
    let (due, told, _spool) = after_a_power_cut(Full::Block, &[(1, line), (5, 5 * line), (6, 6 * line)]);
    assert_eq!((due, told), (lost, vec![]));
}

/// The only segment has lost its head and some of its records: nobody knows of which stream they were, and a log is read from its
/// beginning. They are told, but not by the ids of events that may come.
#[test]
fn what_of_no_known_stream_is_gone_is_told_by_its_numbers_where_its_events_may_come_again() {
    crate::log::mute();
    let log = Mark { epoch: Mark::stream_known_by(7), position: 9 };
    let pipe = Mark { epoch: Mark::stream_once(7), position: 9 };
    for (reads, named) in [(Mark::default(), false), (log, false), (pipe, true)] {
        let disk = Moody::new();
        let spool = open(&disk, &Moody::new(), settings(1 << 20, &[("r1", false)]));
        let (mut appender, mut ends) = (Appender::default(), Vec::new());
        for n in 1..=5 {
            assert!(put(&spool, &mut appender, n).is_ok());
            ends.push(spool.lock().segments[0].bytes);
        }
        let name = spool.lock().segments[0].name.clone();
        drop(spool);
        disk.write_at(&name, 0, &vec![0; RECORDS_AT as usize]).unwrap();
        disk.write_at(&name, ends[1], &vec![0; (ends[3] - ends[1]) as usize]).unwrap();
        let spool = open(&disk, &Moody::new(), settings(1 << 20, &[("r1", false)]));
        spool.account().stand(reads, None);
        let Next::Lost(loss) = Reader::new(3).next(&spool) else { panic!("they are damaged") };
        spool.report(loss);
        let told = spool.take_losses();
        assert_eq!(told.iter().map(|l| (l.from, l.to, l.after.is_some())).collect::<Vec<_>>(), [(3, 4, named)]);
    }
}
