//! Files that are torn, moved, full, not there or of the wrong kind.

use super::*;
use crate::audit::delivery::transport::testing::Lines;
use crate::net::testing::Scratch;

fn log(path: PathBuf) -> LogFile {
    LogFile {
        path,
        limits: Limits::default(),
        keep: Keep::All,
        patience: Duration::from_secs(20),
        open: None,
        full: None,
        aside: None,
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn took(d: &Delivery, n: usize) -> bool {
    d.taken == n && d.stop.is_none()
}

fn said(d: Delivery) -> String {
    let stop = d.stop.expect("it was not taken");
    assert!(matches!(stop.why, crate::audit::delivery::parcel::Why::NotSent(_)), "{stop:?}");
    stop.said.text
}

#[test]
fn lines_are_appended_to_the_file_that_has_the_name_now() {
    let dir = Scratch::new("file-moved");
    let path = dir.path("a.jsonl");
    let mut log = log(path.clone());
    let (one, two, three) = (Lines::of(0..2, 5), Lines::of(2..3, 5), Lines::of(3..4, 5));
    assert!(took(&log.deliver(&one.parcel()), 2));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
    fs::rename(&path, dir.path("old")).unwrap();
    assert!(took(&log.deliver(&two.parcel()), 1));
    fs::remove_file(&path).unwrap();
    assert!(took(&log.deliver(&three.parcel()), 1));
    assert_eq!((read(&dir.path("old")), read(&path)), (one.text(), three.text()));
    // As logrotate does with `copytruncate`.
    fs::write(&path, "").unwrap();
    assert!(took(&log.deliver(&two.parcel()), 1));
    assert_eq!(read(&path), two.text());
}

#[test]
fn a_torn_line_is_completed_where_it_is_one_of_these() {
    let dir = Scratch::new("file-torn");
    let (path, lines) = (dir.path("a.jsonl"), Lines::of(0..4, 30));
    let text = lines.text();
    for cut in 1..text.len() {
        fs::write(&path, &text.as_bytes()[..cut]).unwrap();
        assert!(took(&log(path.clone()).deliver(&lines.parcel()), 4));
        let got = read(&path);
        // Never a broken or a glued line; each of them, in order; and once, where it is certain which one was torn.
        assert!(got.lines().all(|l| text.lines().any(|t| t == l)), "{cut}: {got}");
        let mut seen: Vec<&str> = Vec::new();
        got.lines().for_each(|l| seen.extend(Some(l).filter(|l| !seen.contains(l))));
        assert_eq!(seen, text.lines().collect::<Vec<_>>(), "{cut}");
        // Whole lines alone may not be on the platter: they come again. Behind a torn one nothing does.
        assert!(got == text || text[..cut].ends_with('\n'), "{cut}: {got}");
    }
}

#[test]
fn a_stranger_s_torn_line_is_ended_and_kept() {
    let dir = Scratch::new("file-stranger");
    let (path, lines) = (dir.path("a.jsonl"), Lines::of(7..9, 3));
    for begun in ["half a line", "{\"@timestamp\":\"2026\",\"id\":\"c/i/1.0.9"] {
        fs::write(&path, format!("whole\n{begun}")).unwrap();
        assert!(took(&log(path.clone()).deliver(&lines.parcel()), 2));
        assert_eq!(read(&path), format!("whole\n{begun}\n{}", lines.text()));
    }
    // Longer than any of ours is looked for.
    fs::write(&path, vec![0; limits::FILE_TORN_BYTES + 1]).unwrap();
    assert!(took(&log(path.clone()).deliver(&lines.parcel()), 2));
    assert!(fs::read(&path).unwrap().ends_with(format!("\0\n{}", lines.text()).as_bytes()));
}

#[test]
fn two_writers_never_mix_their_lines() {
    let dir = Scratch::new("file-two");
    let path = dir.path("a.jsonl");
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let path = path.clone();
            scope.spawn(move || {
                let mut log = LogFile { limits: Limits { bytes: Some(20_000), age: None }, ..log(path) };
                for n in 0..30 {
                    let at = (writer * 30 + n) * 10;
                    assert!(took(&log.deliver(&Lines::of(at..at + 10, 40).parcel()), 10));
                }
            });
        }
    });
    let all: String = fs::read_dir(dir.path("")).unwrap().map(|e| read(&e.unwrap().path())).collect();
    let mut lines: Vec<&str> = all.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!((lines.len(), all.lines().count()), (900, 900));
    assert!(fs::read_dir(dir.path("")).unwrap().count() > 2);
}

#[test]
fn a_large_or_an_old_file_is_put_aside_and_the_oldest_go() {
    let dir = Scratch::new("file-rotated");
    let path = dir.path("a.jsonl");
    let limits = Limits { bytes: Some(1000), age: Some(Duration::from_secs(3600)) };
    let mut log = LogFile { limits, keep: Keep::Count(2), ..log(path.clone()) };
    let lines = Lines::of(0..5, 100);
    // Its age counts from when it was made, by the same clock.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    for n in 0..5 {
        assert!(took(&log.deliver(&lines.parcel_at(now + n)), 5));
    }
    let names = || {
        let mut all: Vec<_> =
            fs::read_dir(dir.path("")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    };
    let all = names();
    assert!(all.len() == 3 && all[0] == "a.jsonl" && all[1] < all[2], "{all:?}");
    assert!(all.iter().all(|n| read(&dir.path(n)) == lines.text()));
    let small = Lines::of(0..1, 1);
    log.limits.bytes = None;
    assert!(took(&log.deliver(&small.parcel_at(now + 7200)), 1));
    assert!(read(&path) == small.text() && names().len() == 3, "it was old");
    log.limits.bytes = Some(1);
    (0..3).for_each(|_| assert!(took(&log.deliver(&small.parcel_at(now + 9000)), 1)));
    // The first has gone, as was asked for: its name is not given again, or the newest would go as the oldest.
    let ends = |all: Vec<String>| all[1..].iter().map(|n| n[n.len() - 3..].to_string()).collect::<Vec<_>>();
    assert_eq!(ends(names()), ["-01", "-02"]);
    assert!(took(&log.deliver(&small.parcel_at(now + 9000)), 1));
    assert_eq!(ends(names()), ["-02", "-03"]);
}

#[test]
fn what_cannot_be_written_is_told_with_its_cure_and_comes_later() {
    let dir = Scratch::new("file-wrong");
    let lines = Lines::of(0..2, 5);
    let mut late = log(dir.path("later/a.jsonl"));
    assert!(late.check().is_err());
    assert!(said(late.deliver(&lines.parcel())).contains("make the directory"));
    fs::create_dir(dir.path("later")).unwrap();
    assert!(late.check().is_ok() && took(&late.deliver(&lines.parcel()), 2));
    std::os::unix::fs::symlink("later/a.jsonl", dir.path("link")).unwrap();
    for (name, word) in [("link", "symbolic link"), ("later", "irectory")] {
        let mut wrong = log(dir.path(name));
        assert!(wrong.check().unwrap_err().text.contains(word));
        assert!(said(wrong.deliver(&lines.parcel())).contains(word));
    }
    assert_eq!(read(&dir.path("later/a.jsonl")), lines.text());
    let mut locked = LogFile { patience: Duration::from_millis(20), ..log(dir.path("later/a.jsonl")) };
    let other = File::open(dir.path("later/a.jsonl")).unwrap();
    assert!(file::lock(&other).unwrap());
    assert!(said(locked.deliver(&lines.parcel())).contains("locked"));
    drop(other);
    assert!(took(&locked.deliver(&lines.parcel()), 2));
}

#[test]
fn a_file_is_put_aside_whole() {
    let dir = Scratch::new("file-torn-aside");
    let path = dir.path("a.jsonl");
    let lines = Lines::of(0..3, 50);
    fs::write(&path, &lines.text()[..30]).unwrap();
    let mut log = LogFile { limits: Limits { bytes: Some(20), age: None }, ..log(path.clone()) };
    assert!(took(&log.deliver(&lines.parcel()), 3));
    assert!(took(&log.deliver(&Lines::of(3..4, 50).parcel()), 1));
    let names = fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().path());
    let aside: Vec<PathBuf> = names.filter(|p| *p != path).collect();
    assert_eq!(aside.len(), 1);
    assert_eq!(read(&aside[0]), lines.text());
}

#[test]
fn what_a_full_disk_let_in_is_not_written_again() {
    let dir = Scratch::new("file-full");
    let (path, lines) = (dir.path("a.jsonl"), Lines::of(0..4, 30));
    let text = lines.text();
    for (cut, _) in text.match_indices('\n') {
        let half = &text[..=cut];
        fs::write(&path, half).unwrap();
        let meta = fs::metadata(&path).unwrap();
        let full = Some(((meta.dev(), meta.ino()), meta.len()));
        assert!(took(&LogFile { full, ..log(path.clone()) }.deliver(&lines.parcel()), 4));
        assert_eq!(read(&path), text, "as far as the disk had room");
        // Where the same lines are there for another reason they may not be on the platter.
        fs::write(&path, half).unwrap();
        assert!(took(&log(path.clone()).deliver(&lines.parcel()), 4));
        assert_eq!(read(&path), format!("{half}{text}"));
    }
}
