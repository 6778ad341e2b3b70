//! An adversary who knows how the verifier excuses what is missing, and makes a removal look like that. He has the export, and
//! nothing that is signed.

use super::super::findings::Grade;
use super::super::said::What;
use super::trail::{line, Record, Sealer, Sort};
use super::{export, first_key, over, read, told, Reader, Said, RECEIVERS};
use crate::audit::seal::checkpoint::Why;
use crate::audit::seal::{Algorithm, List, Place, StreamId};

fn events(s: &mut Sealer, n: usize) {
    (0..n).for_each(|_| s.event());
}

/// The first trail made so in which siem was given everything.
fn whole(make: impl Fn(&mut Sealer)) -> Sealer {
    let made = (1..200).map(|seed| {
        let mut s = Sealer::new(seed, Algorithm::Sha256);
        make(&mut s);
        s
    });
    made.into_iter().find(|s| s.records.iter().all(|r| r.to[0])).expect("there is one")
}

/// The verdict over what a receiver has, without what is taken away, and with what is put before it.
fn grade(s: &Sealer, receiver: usize, more: &[Vec<u8>], gone: impl Fn(&Record) -> bool) -> (Grade, String) {
    grade_with(s, &[], receiver, more, gone)
}

/// The same beside the file of checkpoints.
fn grade_with(
    s: &Sealer,
    notes: &[String],
    receiver: usize,
    more: &[Vec<u8>],
    gone: impl Fn(&Record) -> bool,
) -> (Grade, String) {
    let left = export(s, receiver).into_iter().filter(|r| !gone(r)).map(|r| r.line);
    let lines: Vec<Result<Said, Vec<u8>>> = more.iter().cloned().chain(left).map(|l| read(&l)).collect();
    let v = over(&lines, notes, &first_key(), Some(RECEIVERS[receiver]));
    (v.findings.grade(), told(&v))
}

fn is_event(r: &Record) -> bool {
    r.sort == Sort::Event
}

/// Pruned is what is before the beginning, and a stream between two others is not that, whatever is signed of the receiver.
#[test]
fn a_stream_between_two_others_is_not_taken_for_pruned() {
    for (behind, wanted) in [(true, Grade::Unclear), (false, Grade::Tampered)] {
        let s = whole(|s| {
            s.checkpoint(Why::Start);
            events(s, 20);
            s.checkpoint(Why::Closed);
            events(s, 20);
            s.behind = behind;
            s.checkpoint(Why::Closed);
            s.behind = true;
            s.checkpoint(Why::Start);
        });
        let middle = s.records.iter().map(|r| r.stream).find(|id| *id != s.records[0].stream).unwrap();
        assert_ne!(middle, s.stream);
        let (grade, said) = grade_with(&s, &s.notes, 0, &[], |r| r.stream == middle);
        assert_eq!(grade, wanted, "{said}");
        let (grade, said) = grade_with(&s, &[], 0, &[], |r| r.stream == middle);
        assert_ne!(grade, Grade::Fine, "{said}");
    }
}

/// The checkpoint that closes a stream says how far the receiver is in it, and stands in the next one.
#[test]
fn the_end_of_a_stream_that_was_passed_is_not_taken_for_the_end_of_the_export() {
    let s = whole(|s| {
        s.checkpoint(Why::Start);
        events(s, 20);
        s.checkpoint(Why::Closed);
    });
    let first = s.records[0].stream;
    let last = s.records.iter().rfind(|r| r.stream == first).unwrap().seq;
    let (grade, said) = grade(&s, 0, &[], |r| r.stream == first && r.seq > last - 3);
    assert_eq!(grade, Grade::Tampered, "{said}");
}

/// A filter that was changed has kept back as many as are counted, and no more.
#[test]
fn a_change_of_the_filter_covers_no_more_than_it_has_kept_back() {
    let mut tried = 0;
    for seed in 0..60 {
        let mut s = Sealer::new(seed, Algorithm::Sha256);
        s.checkpoint(Why::Start);
        events(&mut s, 20);
        s.checkpoint(Why::Time);
        s.rule[1] = 2;
        events(&mut s, 3);
        s.rule[0] = 2;
        let from = s.records.len();
        events(&mut s, 20);
        s.checkpoint(Why::Time);
        events(&mut s, 20);
        s.checkpoint(Why::Stop);
        let (honest, said) = grade(&s, 1, &[], |_| false);
        assert_eq!(honest, Grade::Fine, "{seed}\n{said}");
        // What was lost may have been counted as kept back before.
        if s.records.iter().any(|r| r.to == [false; 2]) {
            continue;
        }
        for r in s.records[from..from + 20].iter().filter(|r| r.to[1]) {
            let (grade, said) = grade(&s, 1, &[], |o| o.seq == r.seq);
            assert_ne!(grade, Grade::Fine, "{seed} {}\n{said}", r.seq);
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried}");
}

/// The checkpoint that might have excused it goes as well.
#[test]
fn a_checkpoint_that_goes_with_an_event_covers_nothing() {
    let s = whole(|s| {
        s.checkpoint(Why::Start);
        for _ in 0..4 {
            events(s, 10);
            s.checkpoint(Why::Time);
        }
        s.checkpoint(Why::Stop);
    });
    let notes: Vec<u64> = s.records.iter().filter(|r| r.sort == Sort::Checkpoint).map(|r| r.seq).collect();
    for two in notes.windows(2).take(3) {
        let inside = s.records.iter().filter(|r| is_event(r) && two[0] < r.seq && r.seq < two[1]);
        for r in inside {
            let (grade, said) = grade(&s, 0, &[], |o| o.seq == r.seq || o.seq == two[1]);
            assert_eq!(grade, Grade::Tampered, "{}\n{said}", r.seq);
        }
    }
}

/// Each of many lists that were made up says that another event was lost: together they are more ways than are tried.
#[test]
fn lists_that_are_made_up_cover_nothing() {
    let s = whole(|s| {
        s.checkpoint(Why::Start);
        events(s, 20);
        s.checkpoint(Why::Time);
        events(s, 5);
        s.checkpoint(Why::Stop);
    });
    let lists = s.records.iter().filter(|r| r.sort == Sort::List);
    let lists = lists.filter_map(|r| match Reader::default().read(&r.line)?.what {
        What::List(list) => Some(list),
        _ => None,
    });
    let true_one: List = lists.max_by_key(|l| l.places.len()).unwrap();
    let gone: Vec<u64> = (true_one.from..true_one.end())
        .filter(|seq| s.records.iter().any(|r| r.seq == *seq && is_event(r)))
        .take(10)
        .collect();
    assert_eq!(gone.len(), 10);
    let elsewhere = StreamId::new(1, [9; 9], Algorithm::Sha256);
    let forged: Vec<Vec<u8>> = gone
        .iter()
        .enumerate()
        .map(|(n, seq)| {
            let mut list = true_one.clone();
            list.places[(seq - list.from) as usize] = Place::Lost;
            line(elsewhere, n as u64 + 1, &list.write(0))
        })
        .collect();
    let (grade, said) = grade(&s, 0, &forged, |r| is_event(r) && gone.contains(&r.seq));
    assert_eq!(grade, Grade::Tampered, "{said}");
}

/// Twenty events behind the first checkpoint, places 2 to 21, of which these were delivered and then went before they were sealed;
/// the lists are dropped for siem.
fn unlisted(lost: &[u64]) -> Sealer {
    listed_early(lost, |_| ()).0
}

/// The same, where something was done before they went.
fn listed_early<T>(lost: &[u64], early: impl Fn(&mut Sealer) -> T) -> (Sealer, T) {
    let made = (1..400).map(|seed| {
        let mut s = Sealer::new(seed, Algorithm::ALL[seed as usize % 2]);
        s.checkpoint(Why::Start);
        events(&mut s, 20);
        let early = early(&mut s);
        let all = s.records.iter().all(|r| r.to[0]);
        s.lose(lost);
        s.checkpoint(Why::Time);
        s.drop_lists(0);
        events(&mut s, 5);
        s.checkpoint(Why::Time);
        s.checkpoint(Why::Stop);
        (all, (s, early))
    });
    made.filter(|(all, _)| *all).map(|(_, made)| made).next().expect("there is one")
}

/// The event as if it had been another one, with the leaf of that.
fn another(r: &Record) -> Vec<u8> {
    line(r.stream, r.seq, br#"{"id":"1.0.9","message":"another","severity":"high","title":"dml"}"#)
}

/// What was delivered and then gone is nobody's deed, also where the list that says so was dropped.
#[test]
fn what_went_between_delivery_and_seal_is_no_alteration_without_its_list() {
    let all: Vec<u64> = (1..=21).collect();
    for lost in [&[1][..], &[5, 6, 7], &[19, 20, 21], &[2, 3, 4, 12], &[8, 10], &all] {
        let s = unlisted(lost);
        let (grade, said) = grade(&s, 0, &[], |_| false);
        assert_eq!(grade, Grade::Unclear, "{lost:?}\n{said}");
        assert!(said.contains("Unproven") || lost == [1], "{lost:?}\n{said}");
    }
}

/// The same where a list was told before they went, and the one that was told again after a death was dropped.
#[test]
fn what_went_between_two_tellings_of_a_list_is_no_alteration_without_the_second() {
    for lost in [&[1][..], &[5, 6, 7], &[19, 20, 21], &[8, 10], &(1..=21).collect::<Vec<u64>>()] {
        let (s, list) = listed_early(lost, Sealer::list_early);
        let (honest, said) = grade(&s, 0, std::slice::from_ref(&list), |_| false);
        assert_eq!(honest, Grade::Unclear, "{lost:?}\n{said}");
        // What is not of these is nobody's to alter, with that list or with another one that says so.
        for r in s.records.iter().filter(|r| is_event(r) && r.seq % 4 == 0 && r.seq <= 21 && !lost.contains(&r.seq)) {
            let (grade, said) = grade(&s, 0, &[list.clone(), another(r)], |o| o.line == r.line);
            assert_eq!(grade, Grade::Tampered, "{lost:?} {}\n{said}", r.seq);
        }
    }
}

/// An adversary alters an event, seals it himself, and takes the list of it away, or finds it dropped: the root is another one.
#[test]
fn an_alteration_is_found_without_its_list() {
    for lost in [&[][..], &[5, 6, 7], &[8, 10]] {
        let s = unlisted(lost);
        for r in s.records.iter().filter(|r| is_event(r) && r.seq % 4 == 0 && r.seq <= 21 && !lost.contains(&r.seq)) {
            let (grade, said) = grade(&s, 0, &[another(r)], |o| o.line == r.line);
            assert_eq!(grade, Grade::Tampered, "{lost:?} {}\n{said}", r.seq);
        }
    }
    // The receiver has passed nothing yet, so that a list that is not there is no removal.
    let s = whole(|s| {
        s.behind = true;
        s.checkpoint(Why::Start);
        events(s, 20);
        s.checkpoint(Why::Time);
        events(s, 5);
        s.checkpoint(Why::Stop);
    });
    let lists = |r: &Record| r.sort == Sort::List;
    let (honest, said) = grade(&s, 0, &[], lists);
    assert_eq!(honest, Grade::Unclear, "{said}");
    for r in s.records.iter().filter(|r| is_event(r) && r.seq % 4 == 0 && r.seq <= 21) {
        let (grade, said) = grade(&s, 0, &[another(r)], |o| lists(o) || o.line == r.line);
        assert_eq!(grade, Grade::Tampered, "{}\n{said}", r.seq);
    }
}

/// A receiver that began anew while it was at earlier streams lacked nothing of those that it had passed before.
#[test]
fn who_begins_anew_lacks_nothing_of_streams_that_it_had_passed() {
    let s = whole(|s| {
        s.checkpoint(Why::Start);
        events(s, 20);
        s.checkpoint(Why::Closed);
        events(s, 20);
        s.checkpoint(Why::Time);
        s.checkpoint(Why::Closed);
        s.behind = true;
        s.checkpoint(Why::Start);
        events(s, 20);
        s.forget(0);
        s.behind = false;
        s.checkpoint(Why::Time);
        events(s, 5);
        s.checkpoint(Why::Stop);
    });
    let first = s.records[0].stream;
    let (honest, said) = grade(&s, 0, &[], |_| false);
    assert_ne!(honest, Grade::Tampered, "{said}");
    for r in s.records.iter().filter(|r| r.stream == first && is_event(r)) {
        let (grade, said) = grade(&s, 0, &[], |o| o.stream == first && o.seq == r.seq);
        assert_eq!(grade, Grade::Tampered, "{}\n{said}", r.seq);
    }
}

/// Checkpoint 2 is not there. Where the receiver was forgotten after it, nobody gave it that; else somebody took it away.
#[test]
fn a_checkpoint_that_a_receiver_lacked_when_it_was_forgotten_was_not_removed() {
    for (forgotten, wanted) in [(true, Grade::Unclear), (false, Grade::Tampered)] {
        let s = whole(|s| {
            s.checkpoint(Why::Start);
            events(s, 20);
            s.checkpoint(Why::Time);
            events(s, 10);
            s.behind = true;
            s.checkpoint(Why::Time);
            s.behind = false;
            if forgotten {
                s.forget(0);
            }
            events(s, 10);
            s.checkpoint(Why::Time);
            events(s, 10);
            s.checkpoint(Why::Stop);
        });
        let (grade, said) = grade(&s, 0, &[], |r| is_second_checkpoint(r, &s));
        assert_eq!(grade, wanted, "{said}");
    }
}

/// A checkpoint stands in a stream that has ended: what became of it for a receiver that is behind is said by a later stream.
#[test]
fn a_later_stream_may_say_what_became_of_a_checkpoint() {
    let make = |excused: bool| {
        whole(move |s| {
            s.checkpoint(Why::Start);
            events(s, 20);
            s.checkpoint(Why::Time);
            let (stream, seq) = s.records.last().map(|r| (r.stream, r.seq)).unwrap();
            events(s, 10);
            s.behind = true;
            s.checkpoint(Why::Time);
            events(s, 10);
            s.checkpoint(Why::Closed);
            events(s, 10);
            s.behind = false;
            if excused {
                s.earlier.push((0, stream, seq));
            }
            s.checkpoint(Why::Time);
            events(s, 10);
            s.checkpoint(Why::Stop);
        })
    };
    for (excused, wanted) in [(true, Grade::Unclear), (false, Grade::Tampered)] {
        let s = make(excused);
        let (honest, said) = grade(&s, 0, &[], |r| is_second_checkpoint(r, &s));
        assert_eq!(honest, wanted, "{said}");
        // It covers nothing else.
        let event = s.records.iter().find(|r| is_event(r)).map(|r| r.seq).unwrap();
        let (altered, said) = grade(&s, 0, &[], |r| r.stream == s.records[0].stream && r.seq == event);
        assert_eq!(altered, Grade::Tampered, "{said}");
    }
}

fn is_second_checkpoint(r: &Record, s: &Sealer) -> bool {
    let second = s.records.iter().filter(|r| r.sort == Sort::Checkpoint).nth(1).unwrap();
    (r.stream, r.seq) == (second.stream, second.seq)
}

/// A receiver that was not there before: the first checkpoint that names it closes a stream, and the next one too.
#[test]
fn what_was_before_the_time_of_a_receiver_is_said_when_it_comes_to_a_stream() {
    for (new, wanted) in [(true, Grade::Unclear), (false, Grade::Tampered)] {
        let s = whole(|s| {
            s.receivers = if new { 0 } else { 2 };
            s.checkpoint(Why::Start);
            events(s, 20);
            if new {
                s.forget(0);
            }
            s.receivers = 2;
            s.checkpoint(Why::Closed);
            events(s, 20);
            s.checkpoint(Why::Closed);
            events(s, 20);
            s.checkpoint(Why::Time);
            events(s, 10);
            s.checkpoint(Why::Stop);
        });
        let mut streams: Vec<StreamId> = s.records.iter().map(|r| r.stream).collect();
        streams.dedup();
        let (first, second) = (streams[0], streams[1]);
        let (grade, said) =
            grade_with(&s, &s.notes, 0, &[], |r| r.stream == second || r.stream == first && is_event(r));
        assert_eq!(grade, wanted, "{said}");
    }
}
