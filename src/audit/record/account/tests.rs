//! What the account takes in, tells, forgets and saves.

use super::*;
use crate::audit::record::read;

fn raw(count: u64, title: &str) -> Vec<u8> {
    format!(r#"{{"id":"1.0.{count}","severity":"low","title":"{title}"}}"#).into_bytes()
}

fn take(a: &mut Account, seq: u64, raw: &[u8]) {
    let mut facts = read(raw, false);
    if raw.starts_with(b"{\"from\"") {
        facts.kind = Kind::Own;
    }
    a.take(seq, &facts, raw, 0, 0, 0);
}

#[test]
fn counts_and_comes_back() {
    let mut a = Account::default();
    take(&mut a, 1, &raw(1, "dml"));
    take(&mut a, 2, &raw(4, "dml"));
    take(&mut a, 3, &raw(4, "auth_fail"));
    take(&mut a, 4, b"nonsense");
    let f = read(&raw(5, "dml"), false);
    a.drop_new(&f, &raw(5, "dml"), 0, 0, 0);
    let c = &a.counters;
    assert_eq!((c.read, c.gaps, c.repeats, c.unparsed, c.dropped), (5, 1, 1, 1, 1));
    assert_eq!(a.titles.get(&("dml".to_string(), Severity::Low)), Some(&3));
    assert_eq!(a.titles.get(&("unparsed".to_string(), Severity::Medium)), Some(&1));
    assert_eq!(Account::load(&a.save()).unwrap(), a);
    // Telling the gap, also by replay, is telling it once.
    let m = a.gaps.due(0, true)[0];
    let e =
        GapEvent { from: Some(m.from), to: Some(m.last()), missing: 2, reason: Reason::Lost, spool: None, skip: None };
    take(&mut a, 5, &e.write(0, 1));
    assert_eq!((a.counters.own, a.gaps.untold()), (1, 0));
    let d = a.dropped[0];
    let e =
        GapEvent { from: Some(d.from), to: Some(d.to), missing: 1, reason: Reason::Dropped, spool: None, skip: None };
    take(&mut a, 6, &e.write(0, 1));
    assert!(a.dropped.is_empty());
    let e = GapEvent { from: None, to: None, missing: 3, reason: Reason::Damaged, spool: Some((7, 9)), skip: None };
    take(&mut a, 7, &e.write(0, 1));
    assert_eq!((a.counters.damaged, a.damages.as_slice()), (3, &[(7, 9)][..]));
}

#[test]
fn numbers_that_cannot_be_are_not_counted_with() {
    assert_eq!(Account::load(br#"{"seq":18446744073709551615,"titles":[]}"#), None);
    let odd = br#"{"titles":[["a",1,18446744073709551615]],"damages":[[9,1]],"untold":[[1,0,9,3,1]]}"#;
    let mut a = Account::load(odd).unwrap();
    assert!(a.damages.is_empty() && a.dropped.is_empty());
    take(&mut a, 1, &raw(1, "a"));
    // An event in our own name that tells nonsense.
    for (from, to) in [(9, 1), (0, u64::MAX)] {
        let told =
            GapEvent { from: None, to: None, missing: 1, reason: Reason::Damaged, spool: Some((from, to)), skip: None };
        let mut f = read(&told.write(0, 2), false);
        f.kind = Kind::Own;
        a.take(2, &f, &told.write(0, 2), 0, 0, 0);
    }
    assert_eq!(a.counters.damaged, 0);
}

#[test]
fn what_came_through_all_the_same_is_not_told_as_dropped() {
    let id = |count| EventId { raft_id: 1, gen: 0, count };
    let ranges = |a: &Account| -> Vec<_> { a.dropped.iter().map(|d| (d.from.count, d.to.count, d.count)).collect() };
    let mut a = Account::default();
    (1..=300).for_each(|n| a.note_dropped(Some(id(n))));
    // A batch of a hundred in the middle was under way.
    (101..=200).for_each(|n| a.not_dropped(Some(id(n))));
    assert_eq!(ranges(&a), [(1, 100, 100), (201, 300, 100)]);
    (301..=310).for_each(|n| a.note_dropped(Some(id(n))));
    (201..=210).for_each(|n| a.not_dropped(Some(id(n))));
    assert_eq!(ranges(&a), [(1, 100, 100), (211, 310, 100)]);
    a.not_dropped(Some(id(500)));
    assert_eq!(ranges(&a).len(), 2);
    // The telling of one is no telling of the other, and one that was dropped itself is told again.
    let told = a.dropped[0];
    let e = GapEvent {
        from: Some(told.from),
        to: Some(told.to),
        missing: 100,
        reason: Reason::Dropped,
        spool: None,
        skip: None,
    };
    take(&mut a, 1, &e.write(0, 1));
    assert_eq!(ranges(&a), [(211, 310, 100)]);
    assert_eq!(a.untold(&e.write(0, 1)), None);
    assert_eq!((ranges(&a), a.all_told()), (vec![(1, 100, 100), (211, 310, 100)], false));
}

#[test]
fn what_was_told_and_dropped_is_told_again() {
    let id = |count| EventId { raft_id: 1, gen: 0, count };
    let mut a = Account::default();
    take(&mut a, 1, &raw(1, "t"));
    take(&mut a, 2, &raw(4, "t"));
    let lost =
        GapEvent { from: Some(id(2)), to: Some(id(3)), missing: 2, reason: Reason::Lost, spool: None, skip: None };
    take(&mut a, 3, &lost.write(0, 3));
    a.untold(&lost.write(0, 3));
    assert_eq!((a.gaps.untold(), a.dropped.len()), (1, 0));
    let dropped =
        GapEvent { from: Some(id(1)), to: Some(id(4)), missing: 2, reason: Reason::Dropped, spool: None, skip: None };
    a.note_dropped(Some(id(5)));
    a.untold(&dropped.write(0, 4));
    let range = |from, to, count| Dropped { from: id(from), to: id(to), count };
    assert_eq!(a.dropped, [range(1, 4, 2), range(5, 5, 1)]);
    let damaged =
        GapEvent { from: None, to: None, missing: 3, reason: Reason::Damaged, spool: Some((7, 9)), skip: None };
    take(&mut a, 5, &damaged.write(0, 5));
    assert_eq!(a.untold(&damaged.write(0, 5)), Some((7, 9)));
    assert!(a.damages.is_empty() && a.counters.damaged == 0);
    // Those that came through all the same are taken back, one by one.
    a.not_dropped(Some(id(1)));
    // Which one was meant nobody knows: what it covers stays told.
    assert_eq!(a.dropped, [range(1, 4, 1), range(5, 5, 1)]);
    (2..=5).for_each(|n| a.not_dropped(Some(id(n))));
    a.not_dropped(None);
    assert!(a.dropped.is_empty() && a.dropped_unknown == 0);
}

#[test]
fn a_telling_that_was_dropped_and_came_through_is_told_once() {
    let id = |count| EventId { raft_id: 1, gen: 0, count };
    let told = |from, to, missing| {
        let (from, to) = (Some(id(from)), Some(id(to)));
        GapEvent { from, to, missing, reason: Reason::Dropped, spool: None, skip: None }.write(0, 1)
    };
    let mut a = Account::default();
    assert_eq!(a.untold(&told(1, 118, 118)), None);
    // Those behind it are dropped as well: they grow together, and yet only what was told is taken out.
    (119..=300).for_each(|n| a.note_dropped(Some(id(n))));
    a.came_through(&told(1, 118, 118));
    assert_eq!(a.dropped, [Dropped { from: id(119), to: id(300), count: 182 }]);
    a.came_through(&told(1, 118, 118));
    assert_eq!(a.dropped.len(), 1);
}

#[test]
fn titles_are_bounded() {
    let mut a = Account::default();
    for i in 0..1000 {
        take(&mut a, i + 1, &raw(i + 1, &format!("t{i}")));
    }
    take(&mut a, 1001, &raw(1001, &"x".repeat(65)));
    assert!(a.titles.len() <= limits::TITLES + 4);
    assert_eq!(a.titles.values().sum::<u64>(), 1001);
    assert!(a.save().len() < limits::STATE_SLOT_BYTES as usize / 2);
}

#[test]
fn what_nobody_could_read_is_told_by_its_number() {
    let mut a = Account::default();
    a.note_unseen(5, 15);
    assert_eq!(a.dropped_unknown, 10);
    // What is told as damaged, or is to be, is not told again.
    (a.dropped_unknown, a.damages) = (0, vec![(7, 8), (1, 5), (14, 20)]);
    a.losses = vec![Loss { from: 10, to: 10, before: None, after: None }];
    a.note_unseen(5, 15);
    assert_eq!(a.dropped_unknown, 5);
    a.note_unseen(15, 15);
    a.note_unseen(30, 31);
    assert_eq!(a.dropped_unknown, 6);
}

#[test]
fn what_the_spool_has_had_is_not_called_lost() {
    let mut a = Account::default();
    take(&mut a, 1, &raw(1, "t"));
    // Records 2 to 5 were delivered from memory, and the power went before the state was saved.
    a.unread = 4;
    take(&mut a, 6, &raw(6, "t"));
    assert!(a.all_told() && a.counters.gaps == 0);
    // Late ones among them are still late ones.
    take(&mut a, 7, &raw(3, "t"));
    assert_eq!(a.counters.late, 1);
    // Where some are gone that may have told of a gap, it is told all the same.
    a.unread = 2;
    take(&mut a, 8, &raw(9, "t"));
    assert!(a.all_told());
    a.doubt(0);
    assert_eq!((a.counters.gaps, a.gaps.untold()), (2, 3));
    // What damage has cost is told as damaged by who reads there, and not once more; but no more than that.
    let mut a = Account::default();
    take(&mut a, 1, &raw(1, "t"));
    a.doubt(2);
    take(&mut a, 4, &raw(4, "t"));
    assert!(a.all_told() && a.counters.gaps == 0);
    a.doubt(2);
    take(&mut a, 7, &raw(8, "t"));
    assert_eq!((a.counters.gaps, a.gaps.untold()), (1, 1));
    let mut a = Account { unread: 4, ..Account::default() };
    take(&mut a, 1, &raw(6, "t"));
    assert_eq!((a.counters.gaps, a.gaps.untold()), (1, 1));
    // Where it is known what was read last, a gap behind that is seen, and none before.
    let mut a = Account::default();
    take(&mut a, 1, &raw(1, "t"));
    let last = EventId::parse(b"1.0.5").unwrap();
    a.resume_behind(last);
    take(&mut a, 6, &raw(7, "t"));
    assert_eq!((a.counters.gaps, a.gaps.untold(), a.last.map(|l| l.count)), (1, 1, Some(7)));
    // More than there were, and what comes later, was lost.
    let mut a = Account::default();
    take(&mut a, 1, &raw(7, "t"));
    a.unread = 3;
    take(&mut a, 8, &raw(11, "t"));
    take(&mut a, 9, &raw(13, "t"));
    assert_eq!((a.counters.gaps, a.gaps.untold()), (2, 2));
}

#[test]
fn ranges_of_any_order_are_told_from_the_first_to_the_last() {
    let id = |count| EventId { raft_id: 1, gen: 0, count };
    let mut a = Account::default();
    // Far apart, until they grow together; then one before all of them, and those that follow on one in the middle.
    (1..=limits::GAP_RANGES as u64).for_each(|n| a.note_dropped(Some(id(1000 + 3 * n))));
    a.note_dropped(Some(id(5)));
    a.note_dropped(Some(id(1004)));
    let told = a.dropped_to_tell();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].from, told[0].count), (id(5), limits::GAP_RANGES as u64 + 2));
    assert_eq!(told[0].to, id(1000 + 3 * limits::GAP_RANGES as u64));
    assert!(a.dropped.iter().any(|d| (d.from, d.to, d.count) == (id(1003), id(1004), 2)));
}

/// A database made anew counts from one again, under the same name.
#[test]
fn a_repeat_is_only_what_has_the_same_bytes() {
    let mut a = Account::default();
    (1..=40).for_each(|n| take(&mut a, n, &raw(n, "first")));
    // Some of them once more.
    (30..=36).for_each(|n| take(&mut a, 11 + n, &raw(n, "first")));
    assert_eq!((a.counters.repeats, a.all_told(), a.anew), (7, true, None));
    let again = Account::load(&a.save()).unwrap();
    let whole = a.clone();
    for (mut a, first) in [(whole, 1), (again, 5)] {
        (first..=30).filter(|n| !(10..15).contains(n)).for_each(|n| take(&mut a, 50 + n, &raw(n, "second")));
        assert!(a.anew.is_some());
        let due = a.gaps.due(0, true);
        let missing: Vec<(u64, u64)> = due.iter().map(|m| (m.from.count, m.to)).collect();
        let before = (first > 1).then_some((1, first - 1));
        assert_eq!(missing, before.into_iter().chain([(10, 14)]).collect::<Vec<_>>());
        due.into_iter().for_each(|m| a.gaps.told(m));
        // And goes on as its own.
        take(&mut a, 90, &raw(31, "second"));
        take(&mut a, 91, &raw(12, "second"));
        assert_eq!((a.counters.late, a.all_told()), (1, true));
    }
}

/// What an event of ours has told goes with its record, where nobody can read that any more: it is told again.
#[test]
fn what_goes_with_an_event_of_ours_is_told_again() {
    let mut a = Account::default();
    let damaged =
        GapEvent { from: None, to: None, missing: 27, reason: Reason::Damaged, spool: Some((1, 27)), skip: None };
    let id = |count| EventId { raft_id: 1, gen: 0, count };
    let lost =
        GapEvent { from: Some(id(5)), to: Some(id(7)), missing: 3, reason: Reason::Lost, spool: None, skip: None };
    for (seq, event) in [(28, &damaged), (40, &lost)] {
        let raw = event.write(0, seq);
        let mut facts = read(&raw, false);
        facts.kind = Kind::Own;
        a.take(seq, &facts, &raw, 0, 0, 0);
    }
    assert_eq!(a.counters.damaged, 27);
    let mut a = Account::load(&a.save()).expect("a state");
    assert_eq!(a.untold_by(29, 39), []);
    assert_eq!((a.untold_by(28, 50), a.counters.damaged), (vec![(1, 27)], 0));
    assert!(!a.all_told(), "the gap that the other one told of");
    assert_eq!(a.untold_by(1, 100), [], "once");
}

/// More events of ours have told of gaps than are kept: the gaps know which records these were.
#[test]
fn all_gaps_are_told_again_when_the_records_that_told_of_them_go() {
    let mut a = Account::default();
    let gaps = limits::TELLINGS as u64 + 20;
    for n in 0..gaps {
        let seq = a.seq + 1;
        take(&mut a, seq, &raw(1 + 10 * n, "t"));
        for m in a.gaps.due(0, true) {
            let (from, to) = (Some(m.from), Some(m.last()));
            let lost = GapEvent { from, to, missing: m.count(), reason: Reason::Lost, spool: None, skip: None };
            let raw = lost.write(0, seq + 1);
            let facts = Facts { kind: Kind::Own, ..read(&raw, false) };
            a.take(seq + 1, &facts, &raw, 0, 0, 0);
        }
    }
    let last = a.seq;
    let mut a = Account::load(&a.save()).expect("a state");
    assert_eq!((a.gaps.untold(), a.untold_by(last, last), a.gaps.untold()), (0, vec![], 1), "the last one alone");
    assert_eq!((a.untold_by(1, last), a.gaps.untold() as u64), (vec![], gaps - 1));
}

/// Events are read again under new numbers: which event a number before them was is not counted from these.
#[test]
fn what_comes_again_says_nothing_of_the_numbers_before_it() {
    let id = |count| EventId { raft_id: 1, gen: 0, count };
    let mut a = Account::default();
    (1..=3).for_each(|n| take(&mut a, n, &raw(n, "t")));
    let to = a.clone();
    (4..=6).for_each(|n| take(&mut a, n, &raw(n, "t")));
    assert_eq!(a.around(5, 5), Some((id(4), id(6))));
    let mut a = a.going_back(to);
    assert_eq!((a.seq, a.around(5, 5)), (6, None));
    take(&mut a, 7, &raw(4, "t"));
    take(&mut a, 8, &raw(5, "t"));
    assert_eq!((a.around(5, 5), a.around(7, 7)), (None, Some((id(3), id(5)))));
}

/// What is told is forgotten after many others: what it was of is told again as what it was.
#[test]
fn a_gap_that_was_forgotten_is_told_again_as_lost() {
    let mut a = Account::default();
    for n in 0..100 {
        take(&mut a, n + 1, &raw(1 + 10 * n, "t"));
        a.gaps.due(0, true).into_iter().for_each(|m| a.gaps.told(m));
    }
    let id = |count| EventId { raft_id: 1, gen: 0, count };
    let lost =
        GapEvent { from: Some(id(2)), to: Some(id(10)), missing: 9, reason: Reason::Lost, spool: None, skip: None };
    assert_eq!((a.untold(&lost.write(0, 3)), a.dropped.len()), (None, 0));
    let due = a.gaps.due(u64::MAX, true);
    assert_eq!(due, [Missing { from: id(2), to: 10 }]);
    assert!(a.gaps.save().iter().map(|line| line.len()).sum::<usize>() <= 4 + 4 * limits::GAP_RANGES);
}

#[test]
fn tellings_are_bounded_and_fit_the_state() {
    let mut a = Account::default();
    let id = |count| EventId { raft_id: u64::MAX, gen: u64::MAX, count };
    let event = GapEvent { from: Some(id(u64::MAX - 9)), to: Some(id(u64::MAX)), missing: u64::MAX, ..damaged() };
    let raw = event.write(0, 1);
    let mut facts = read(&raw, false);
    facts.kind = Kind::Own;
    let before = a.save().len();
    (1..=1_000).for_each(|seq| a.take(seq, &facts, &raw, 0, 0, 0));
    let tellings = a.save().len() - before;
    let most = limits::TELLINGS * limits::TELLING_BYTES + 1_000 * 64;
    assert!((limits::TELLINGS * raw.len()..most).contains(&tellings), "{tellings}");
}

/// A loss that is told, and then more gaps than are kept: should all of these events go, the loss is told again.
#[test]
fn what_tells_of_a_loss_outlives_what_tells_of_gaps() {
    let mut a = Account::default();
    let tell = |a: &mut Account, event: &GapEvent| take(a, a.seq + 1, &event.write(0, a.seq + 1));
    let went = GapEvent { missing: 795, spool: Some((222, 1016)), ..damaged() };
    tell(&mut a, &went);
    for n in 0..2 * limits::TELLINGS as u64 {
        let id = |count| EventId { raft_id: 1, gen: 0, count };
        let (from, to) = (Some(id(2 + 10 * n)), Some(id(4 + 10 * n)));
        let lost = GapEvent { from, to, missing: 3, reason: Reason::Lost, spool: None, skip: None };
        tell(&mut a, &lost);
    }
    // Where nothing but losses is kept, the newest of these are.
    let mut full = a.clone();
    for n in 0..limits::TELLINGS as u64 {
        tell(&mut full, &GapEvent { spool: Some((2_000 + n, 2_000 + n)), ..damaged() });
    }
    assert_eq!(a.untold_by(1, 1_000), [(222, 1016)]);
    let told: Vec<(u64, u64)> = (0..limits::TELLINGS as u64).map(|n| (2_000 + n, 2_000 + n)).collect();
    assert_eq!(full.untold_by(1, 1_000), told);
}

fn damaged() -> GapEvent {
    GapEvent {
        from: None,
        to: None,
        missing: 1,
        reason: Reason::Damaged,
        spool: Some((1 << 59, (1 << 59) + 1)),
        skip: None,
    }
}
