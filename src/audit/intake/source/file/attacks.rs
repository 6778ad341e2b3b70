//! What a log may come to that is no ordinary rotation: whatever happens is read, or told as skipped.

use super::tests::{Den, Reader};
use super::*;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{symlink, FileExt};

fn cut(den: &Den, name: &str, bytes: u64) {
    File::options().write(true).open(den.path(name)).unwrap().set_len(bytes).unwrap();
}

fn read(den: &Den) -> Reader {
    den.reader(false, Kept::default())
}

/// Two files alike in their first line; the same, put back; the same, made anew by an editor that goes on in it.
#[test]
fn a_file_that_begins_as_one_before_is_read() {
    let den = Den::new("alike");
    den.add("log", "# log\none\n", 10);
    let mut reader = read(&den);
    assert_eq!(reader.more(), "# log\none\n");
    den.rename("log", "log.1");
    den.add("log", "# log\n", 11);
    den.add("log.1", "late\n", 11);
    assert_eq!(reader.more(), "late\n|# log\n");
    den.add("log", "two\n", 12);
    assert_eq!(reader.more(), "two\n");
    let kept = reader.kept("two");
    fs::copy(den.path("log"), den.path("new")).unwrap();
    den.rename("new", "log");
    assert_eq!(reader.more(), "");
    den.add("log", "three\n", 13);
    assert_eq!(reader.more(), "three\n", "it is the same one under another number");
    // Whoever starts now finds by the last record where it was.
    assert_eq!(den.reader(false, kept).more(), "three\n");
    den.rename("log", "log.2");
    den.rename("log.1", "log");
    den.add("log", "four\n", 14);
    assert!(reader.more().ends_with("four\n"), "an old one that was put back");
    assert_eq!(reader.skipped, []);
}

#[test]
fn behind_a_hole_that_a_truncation_left_the_text_is_read() {
    let den = Den::new("hole");
    let open = File::create(den.path("log")).unwrap();
    let write = |text: &str, at: u64| open.write_all_at(text.as_bytes(), at).unwrap();
    write("one\n", 0);
    let mut reader = read(&den);
    assert_eq!(reader.more(), "one\n");
    // The writer goes on at his old place, three times, and the last time he is far.
    for (n, text) in [(1, "two\n"), (2, "three\n"), (3, "four\n")] {
        let at = fs::metadata(den.path("log")).unwrap().len();
        write("rest\n", at);
        fs::copy(den.path("log"), den.path("copy")).unwrap();
        let copy = format!("log.{}", 4 - n);
        den.rename("copy", &copy);
        den.add(&copy, "", 10 + n);
        open.set_len(0).unwrap();
        write(text, if n == 3 { 5 << 30 } else { at + 5 });
        assert_eq!(reader.more(), format!("rest\n|{text}"));
    }
    den.pack("log.1");
    let kept = reader.kept("four");
    let mut again = den.reader(false, kept);
    write("five\n", (5 << 30) + 5);
    assert_eq!((again.more().as_str(), again.taker.place().1), ("five\n", (5 << 30) + 10));
    assert_eq!(den.open(false, true, Kept::default()).more(), "one\nrest\n|two\nrest\n|three\nrest\n|four\nfive\n");
}

#[test]
fn what_is_written_in_the_place_of_what_was_read_is_read() {
    let den = Den::new("rewritten");
    den.add("log", "one\ntwo\n", 10);
    let mut reader = read(&den);
    assert_eq!(reader.more(), "one\ntwo\n");
    fs::write(den.path("log"), "one\nother\nthird\n").unwrap();
    assert_eq!(reader.more(), "one\nother\nthird\n");
    // Shorter than it was: behind that nothing was read.
    cut(&den, "log", 4);
    den.add("log", "x\n", 11);
    cut(&den, "log", 4);
    assert_eq!(reader.more(), "");
    den.add("log", "fourth\n", 11);
    assert_eq!(reader.more(), "fourth\n");
    // With what an older one held, by the same file.
    fs::copy(den.path("log"), den.path("saved")).unwrap();
    den.rename("log", "log.1");
    den.add("log", "new\n", 12);
    assert_eq!(reader.more(), "new\n");
    fs::write(den.path("log"), [fs::read(den.path("saved")).unwrap(), b"fifth\n".to_vec()].concat()).unwrap();
    assert!(reader.more().ends_with("fifth\n"));
    assert_eq!(reader.skipped, [Word::TruncatedUnread; 3]);
}

#[test]
fn empty_lines_behind_the_last_record_are_no_other_record() {
    let den = Den::new("blank");
    den.add("log", "one\ntwo\r\n\n\n\n", 10);
    let mut reader = read(&den);
    reader.more();
    let kept = reader.kept("two\r");
    den.add("log", "three\n", 11);
    let mut again = den.reader(false, kept);
    assert_eq!((again.more().as_str(), again.skipped), ("three\n", vec![]));
}

#[test]
fn a_file_without_one_whole_line_is_read_when_nothing_more_comes() {
    let den = Den::new("lineless");
    den.add("log.1", "alone", 10);
    den.add("log", "also alone", 11);
    assert_eq!(den.open(false, true, Kept::default()).more(), "alone|also alone");
    let mut reader = read(&den);
    assert_eq!(reader.more(), "", "the newest one may go on");
    den.add("log", " no more\n", 12);
    assert_eq!(reader.more(), "also alone no more\n");
    den.rename("log", "log.2");
    den.add("log.3", "half", 20);
    den.add("log", "next\n", 30);
    assert_eq!(reader.more(), "half|next\n");
}

#[test]
fn a_packed_file_that_is_damaged_from_its_beginning_is_told() {
    let den = Den::new("torn");
    den.add("log", "one\n", 10);
    let mut reader = read(&den);
    assert_eq!(reader.more(), "one\n");
    den.rename("log", "log.3");
    den.add("log.2.gz", "this was never packed", 20);
    // A plain one beside its packed one has all of it.
    den.add("log.1.gz", "", 30);
    den.add("log.1", "two\n", 30);
    den.add("log", "three\n", 40);
    assert_eq!(
        (reader.more().as_str(), reader.skipped.as_slice()),
        ("two\n|three\n", [Word::SourceDamaged].as_slice())
    );
    assert_eq!(reader.more(), "");
}

#[test]
fn what_was_read_last_and_is_gone_is_told() {
    let den = Den::new("gone");
    den.add("log", "one\n", 10);
    let mut reader = read(&den);
    reader.more();
    let kept = reader.kept("one");
    fs::remove_file(den.path("log")).unwrap();
    den.add("log", "two\n", 20);
    let mut again = den.reader(false, kept);
    assert_eq!((again.more().as_str(), again.skipped), ("two\n", vec![Word::SourceGone]));
}

#[test]
fn what_is_no_file_is_told_and_waited_for() {
    let den = Den::new("no-file");
    fs::create_dir(den.path("log")).unwrap();
    let mut reader = read(&den);
    assert_eq!(reader.more(), "");
    assert!(reader.source.wrong.as_ref().is_some_and(|w| w.contains("it is a directory: name the file in it")));
    fs::remove_dir(den.path("log")).unwrap();
    // With what an editor puts before UTF-8.
    den.add("log", "\u{feff}one\n", 10);
    assert_eq!((reader.more().as_str(), reader.source.wrong.is_none()), ("one\n", true));
    // The file at hand is read on, whatever stands in its place.
    den.rename("log", "log.1");
    fs::create_dir(den.path("log")).unwrap();
    den.add("log.1", "two\n", 11);
    assert_eq!((reader.more().as_str(), reader.source.wrong.is_none()), ("two\n", true));
}

/// As root everything can be read: what is no file stands for what cannot.
#[test]
fn what_cannot_be_read_now_is_not_passed_over() {
    let den = Den::new("locked");
    den.add("log", "one\n", 10);
    let mut reader = read(&den);
    assert_eq!(reader.more(), "one\n");
    let kept = reader.kept("one");
    den.add("log", "two\n", 11);
    den.rename("log", "log.1");
    den.add("log", "three\n", 20);
    let hide = |name: &str| {
        den.rename(name, "hidden");
        symlink(den.path(name), den.path(name)).unwrap();
    };
    let show = |name: &str| {
        fs::remove_file(den.path(name)).unwrap();
        den.rename("hidden", name);
    };
    // A name that leads round in a circle: it is there, and cannot be opened.
    hide("log.1");
    let mut again = den.reader(false, kept);
    assert_eq!((again.more().as_str(), again.source.wrong.is_some()), ("", true));
    show("log.1");
    assert_eq!((again.more().as_str(), again.skipped.len(), again.source.wrong.is_some()), ("two\n|three\n", 0, false));
    // The directory cannot be looked at: the file at hand is read on, though its name is gone.
    den.rename("log", "log.0");
    den.add("log.0", "late\n", 21);
    let dir = den.path("log").parent().unwrap().to_path_buf();
    fs::rename(&dir, dir.with_extension("away")).unwrap();
    File::create(&dir).unwrap();
    again.more();
    fs::remove_file(&dir).unwrap();
    fs::rename(dir.with_extension("away"), &dir).unwrap();
    den.add("log.0", "later\n", 21);
    fs::remove_file(den.path("log.0")).unwrap();
    den.add("log", "four\n", 30);
    assert!(again.more().ends_with("|four\n"));
    assert_eq!(again.skipped, []);
}

#[test]
fn of_a_log_behind_a_link_the_older_files_lie_beside_its_target() {
    let den = Den::new("link");
    den.add("real.log", "one\n", 10);
    symlink("real.log", den.path("log")).unwrap();
    let mut reader = read(&den);
    assert_eq!(reader.more(), "one\n");
    let kept = reader.kept("one");
    den.add("real.log", "two\n", 11);
    den.rename("real.log", "real.log.1");
    den.pack("real.log.1");
    den.add("real.log", "three\n", 12);
    assert_eq!(reader.more(), "two\n|three\n");
    assert_eq!(den.reader(false, kept).more(), "two\n|three\n");
}

#[test]
fn rotations_that_leave_the_extension_are_followed() {
    let den = Den::new("extension");
    let line = |n: u32| format!("{n}\n");
    den.add("audit.log", &line(1), 10);
    let mut reader = read(&den);
    reader.source = Follow::new(Place { path: den.path("audit.log"), old_dir: None }, false, false);
    assert_eq!(reader.more(), "1\n");
    let kept = reader.kept("1");
    for (name, n) in [("audit.2.log", 2), ("audit-20261129.log", 3), ("audit.1.log", 4), ("audit.log", 5)] {
        if n == 2 {
            den.rename("audit.log", "audit.3.log");
            den.pack("audit.3.log");
        }
        den.add(name, &line(n), 10 + u64::from(n));
    }
    let mut again = read(&den);
    again.source = Follow::new(Place { path: den.path("audit.log"), old_dir: None }, false, false);
    again.source.resume(kept, &mut again.filler);
    assert_eq!(again.more(), "2\n|3\n|4\n|5\n");
    let mut text = String::new();
    writeln!(File::options().append(true).open(den.path("audit.log")).unwrap(), "6").unwrap();
    text.push_str(&again.more());
    assert_eq!(text, "6\n");
}

/// Between the look at the directory and that into the files a rotation gives another name to the one that is sought.
#[test]
fn files_that_are_renamed_while_they_are_looked_into_are_looked_into_again() {
    let den = Den::new("shifted");
    den.add("log.1", "one\n", 10);
    den.add("log", "two\n", 20);
    let source = Follow::new(Place { path: den.path("log"), old_dir: None }, false, false);
    let (number, rests_at) = (std::cell::Cell::new(1), std::cell::Cell::new(4));
    let found = |all: &[Candidate]| {
        let n: u32 = number.get();
        if n < rests_at.get() {
            den.rename(&format!("log.{n}"), &format!("log.{}", n + 1));
            number.set(n + 1);
        }
        Ok(all.iter().filter_map(|c| source.open(c).unwrap()).count())
    };
    assert_eq!(source.steadily(found).unwrap(), 2);
    // One that is never at rest is no file that is gone.
    rests_at.set(u32::MAX);
    assert!(source.steadily(found).is_err());
}

/// The newer one of two has an older time, by a number or by its date: a clock was set back between two rotations.
#[test]
fn a_file_that_a_clock_has_hidden_among_the_older_ones_is_read_in_its_turn() {
    let record = |n: u32| format!("{{\"id\":\"1.7.{n}\",\"message\":\"x\"}}\n");
    for (first, second, third) in [("log.3", "log.2", "log.1"), ("log-20261130", "log-20261128", "log-20261129")] {
        let den = Den::new(&format!("clock-{first}"));
        den.add("log-20251101", &record(1), 5);
        den.add("log", &record(2), 1000);
        let mut reader = read(&den);
        assert_eq!(reader.more(), record(2));
        let kept = reader.kept(record(2).trim_end());
        den.rename("log", first);
        den.add(second, &record(3), 100);
        den.add(third, &record(4), 200);
        den.add("log", &record(5), 300);
        let rest = format!("{}|{}|{}", record(3), record(4), record(5));
        assert_eq!(reader.more(), rest, "while it runs");
        assert_eq!(den.reader(false, kept.clone()).more(), rest, "while it was away");
        den.pack(first);
        den.pack(second);
        assert_eq!(den.reader(false, kept).more(), rest, "packed");
    }
}

/// As `olddir` of logrotate has it, or a hand that keeps the name.
#[test]
fn what_was_moved_to_another_directory_is_found_there() {
    let den = Den::new("old-dir");
    den.add("log", "one\n", 10);
    let mut reader = read(&den);
    assert_eq!(reader.more(), "one\n", "the directory is not there yet");
    let kept = reader.kept("one");
    fs::create_dir(den.path("old")).unwrap();
    den.add("log", "two\n", 11);
    den.rename("log", "old/log.2");
    den.pack("old/log.2");
    den.add("old/log-20261129", "three\n", 12);
    den.add("old/log", "four\n", 13);
    den.add("old/other.1", "not ours\n", 13);
    den.add("log", "five\n", 14);
    assert_eq!(den.reader(false, kept.clone()).more(), "two\n|three\n|four\n|five\n");
    let mut reader = den.reader(false, kept);
    reader.source.place.old_dir = Some(den.path("."));
    assert_eq!(reader.more(), "five\n", "its own directory by another name");
    assert_eq!(reader.skipped, [Word::SourceGone]);
    assert_eq!(reader.source.place.look().unwrap().len(), 1);
}

/// A directory where others keep their files too.
#[test]
fn older_files_are_found_among_more_than_ten_thousand_others() {
    let den = Den::new("crowd");
    for n in 0..30_000 {
        fs::write(den.path(&format!("other-{n}")), b"").unwrap();
    }
    den.add("log", "first\n", 10);
    let mut reader = read(&den);
    assert_eq!(reader.more(), "first\n");
    let kept = reader.kept("first");
    den.rename("log", "log.7");
    for n in 1..=6 {
        den.add(&format!("log.{n}"), &format!("{n}\n"), 1_000 - n);
    }
    den.add("log", "now\n", 2_000);
    let all: String = (1..=6).rev().map(|n| format!("{n}\n|")).collect();
    assert_eq!(den.reader(false, kept).more(), format!("{all}now\n"));
}
