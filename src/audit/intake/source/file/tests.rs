//! What becomes of a log: renamed, packed, truncated, cut back, not there yet; and what is read of it.

use super::*;
use crate::hash::xxh64;
use crate::sys::pipe;
use crate::sys::ring::{Ring, Taker};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

const CHOICE: Choice = Choice {
    row: &ROW,
    filename: None,
    old_dir: None,
    from_end: false,
    once: false,
    matches: Vec::new(),
    stream: false,
    mode: 0o660,
};

pub struct Den(PathBuf);

impl Drop for Den {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Den {
    pub fn new(name: &str) -> Den {
        crate::log::mute();
        let dir = std::env::temp_dir().join(format!("gostech-follow-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Den(dir)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Adds to a file, at its own time.
    pub fn add(&self, name: &str, text: &str, second: u64) {
        let mut file = File::options().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(second)).unwrap();
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub fn pack(&self, name: &str) {
        let modified = fs::metadata(self.path(name)).unwrap().modified().unwrap();
        let packed = File::create(self.path(&format!("{name}.gz"))).unwrap();
        let mut gz = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        gz.write_all(&fs::read(self.path(name)).unwrap()).unwrap();
        gz.finish().unwrap().set_modified(modified).unwrap();
        fs::remove_file(self.path(name)).unwrap();
    }

    pub fn reader(&self, from_end: bool, kept: Kept) -> Reader {
        self.open(from_end, false, kept)
    }

    pub fn open(&self, from_end: bool, once: bool, kept: Kept) -> Reader {
        let ring = Arc::new(Ring::create(1 << 16, 1).unwrap());
        let mut filler = Filler::resume(ring.clone(), Arc::new(pipe::pair().unwrap())).unwrap();
        let place = Place { path: self.path("log"), old_dir: Some(self.path("old")) };
        let mut source = Follow::new(place, from_end, once);
        source.resume(kept, &mut filler);
        Reader { source, filler, taker: Taker::new(ring), skipped: Vec::new() }
    }
}

pub struct Reader {
    pub source: Follow,
    pub filler: Filler,
    pub taker: Taker,
    pub skipped: Vec<Word>,
}

impl Reader {
    /// What comes now; a bar where another stream begins.
    pub fn more(&mut self) -> String {
        while !matches!(self.source.fill(&mut self.filler).unwrap(), Fill::Nothing | Fill::End) {
            self.skipped.extend(self.source.skipped().into_iter().map(|(what, _)| what));
        }
        let mut text = String::new();
        loop {
            let ends = self.taker.ends_here();
            let bytes = self.taker.peek().to_vec();
            text.push_str(std::str::from_utf8(&bytes).unwrap());
            self.taker.consume(bytes.len());
            if !ends {
                return text;
            }
            text.push('|');
        }
    }

    /// As the spool has it when all of that is in it, and `last` was the last record.
    pub fn kept(&self, last: &str) -> Kept {
        let mark = self.taker.place().into();
        Kept {
            mark,
            last: Some((last.len() as u64, xxh64(last.as_bytes(), 0))),
            streams: self.source.done.clone(),
            event: None,
        }
    }
}

#[test]
fn a_renamed_file_is_read_on_until_the_new_one_has_begun() {
    let den = Den::new("renamed");
    let mut reader = den.reader(false, Kept::default());
    assert_eq!(reader.more(), "", "it is not there yet");
    den.add("log", "one\ntw", 10);
    assert_eq!(reader.more(), "one\ntw");
    den.rename("log", "log.1");
    den.add("log", "", 11);
    den.add("log.1", "o\nthree\n", 12);
    assert_eq!(reader.more(), "o\nthree\n");
    den.add("log", "four\n", 13);
    den.add("log.1", "late\n", 13);
    assert_eq!(reader.more(), "late\n|four\n");
    assert_eq!(reader.more(), "");
}

#[test]
fn what_was_rotated_while_nobody_read_is_read_oldest_first() {
    let den = Den::new("away");
    den.add("log", "one\ntwo\n", 10);
    let mut reader = den.reader(false, Kept::default());
    assert_eq!(reader.more(), "one\ntwo\n");
    let kept = reader.kept("two");
    den.add("log", "three\n", 11);
    den.rename("log", "log-20261128");
    den.pack("log-20261128");
    den.add("log-20261129", "four\n", 20);
    den.add("log.1", "five\n", 30);
    den.add("log.bak", "not ours\n", 31);
    den.add("log", "six\n", 40);
    assert_eq!(den.reader(false, kept).more(), "three\n|four\n|five\n|six\n");
}

#[test]
fn the_rest_of_a_truncated_file_is_read_from_its_copy() {
    let den = Den::new("copied");
    den.add("log", "one\n", 10);
    let mut reader = den.reader(false, Kept::default());
    assert_eq!(reader.more(), "one\n");
    den.add("log", "two\n", 11);
    for (copy, text) in [("log.2", "three\n"), ("log.1", "four\n")] {
        fs::copy(den.path("log"), den.path(copy)).unwrap();
        den.add(copy, "", 12);
        File::options().write(true).open(den.path("log")).unwrap().set_len(0).unwrap();
        den.add("log", text, 13);
    }
    den.add("log.1", "", 14);
    assert_eq!(reader.more(), "two\n|three\n|four\n");
}

#[test]
fn of_a_file_that_is_truncated_without_a_copy_the_next_is_read() {
    let den = Den::new("truncated");
    den.add("log", "one\n", 10);
    let mut reader = den.reader(false, Kept::default());
    assert_eq!(reader.more(), "one\n");
    File::options().write(true).open(den.path("log")).unwrap().set_len(0).unwrap();
    den.add("log", "another that is longer\n", 13);
    assert_eq!(reader.more(), "another that is longer\n");
    fs::remove_file(den.path("log")).unwrap();
    assert_eq!(reader.more(), "");
    den.add("log", "third\n", 14);
    assert_eq!(reader.more(), "third\n");
}

#[test]
fn what_was_truncated_written_and_renamed_before_anybody_looked_is_read() {
    let den = Den::new("quick");
    den.add("log", "one\n", 10);
    let mut reader = den.reader(false, Kept::default());
    assert_eq!(reader.more(), "one\n");
    File::options().write(true).open(den.path("log")).unwrap().set_len(0).unwrap();
    den.add("log", "two\n", 11);
    den.rename("log", "log.1");
    assert_eq!(reader.more(), "two\n");
    den.add("log", "three\n", 12);
    assert_eq!(reader.more(), "three\n");
}

/// A power cut takes the end of a log that was not on the platter, and what was read of it is in the spool.
#[test]
fn a_log_that_is_not_what_was_read_is_read_again_as_another_stream() {
    let den = Den::new("cut");
    den.add("log", "one\ntwo\n", 10);
    let mut reader = den.reader(false, Kept::default());
    assert_eq!(reader.more(), "one\ntwo\n");
    let kept = reader.kept("two");
    let same = den.reader(false, kept.clone()).more();
    assert_eq!(same, "", "nothing is new");
    File::options().write(true).open(den.path("log")).unwrap().set_len(4).unwrap();
    let shorter = den.reader(false, kept.clone()).more();
    assert_eq!(shorter, "one\n");
    den.add("log", "new\n", 11);
    let mut reader = den.reader(false, kept.clone());
    assert_eq!(reader.more(), "one\nnew\n");
    let again: Mark = reader.taker.place().into();
    assert!(again.is_of(kept.mark.epoch) && again.epoch != kept.mark.epoch && again.rereads());
}

#[test]
fn only_what_comes_where_that_is_wanted() {
    let den = Den::new("end");
    den.add("log", "one\nhalf", 10);
    let mut reader = den.reader(true, Kept::default());
    assert_eq!(reader.more(), "half");
    den.add("log", " of it\n", 10);
    assert_eq!(reader.more(), " of it\n");
    let kept = reader.kept("half of it");
    den.add("log", "two\n", 10);
    assert_eq!(den.reader(true, kept).more(), "two\n");
}

#[test]
fn what_cannot_be_read_is_tried_again() {
    let den = Den::new("unreadable");
    fs::create_dir(den.path("log")).unwrap();
    let mut reader = den.reader(false, Kept::default());
    assert_eq!(reader.more(), "");
    assert!(!reader.source.wait(Some(Duration::ZERO)).unwrap());
    fs::remove_dir(den.path("log")).unwrap();
    den.add("log", "one\n", 10);
    assert_eq!(reader.more(), "one\n");
    den.add("log", "two\n", 11);
    assert!(reader.source.wait(None).unwrap());
    assert_eq!(
        path_of(&Choice { row: &ROW, filename: None, from_end: false, once: false, ..CHOICE }),
        Path::new("audit.log")
    );
}

/// All of it, and whether that was told to be all.
pub fn once(den: &Den, kept: Kept) -> (String, bool) {
    let mut reader = den.open(false, true, kept);
    let text = reader.more();
    (text, reader.source.fill(&mut reader.filler).unwrap() == Fill::End)
}

#[test]
fn once_reads_all_that_is_there_oldest_first_and_ends() {
    let den = Den::new("once");
    den.add("log.2", "one\n", 10);
    den.pack("log.2");
    den.add("log.1", "two\n", 20);
    den.add("log", "three\n", 30);
    assert_eq!(once(&den, Kept::default()), ("one\n|two\n|three\n".into(), true));
    let mut reader = den.open(false, true, Kept::default());
    reader.more();
    den.add("log", "four\n", 31);
    assert_eq!(once(&den, reader.kept("three")), ("four\n".into(), true), "what was read is not read again");
    // Half a line may be one that is being written: a second later it is one.
    den.add("log", "half", 32);
    let mut reader = den.open(false, true, Kept::default());
    assert!(reader.more().ends_with("four\nhalf"));
    assert_eq!(reader.source.fill(&mut reader.filler).unwrap(), Fill::Nothing);
    std::thread::sleep(Duration::from_millis(limits::CUT_SILENCE_MILLIS + 10));
    assert_eq!(reader.source.fill(&mut reader.filler).unwrap(), Fill::End);
    // A packed one alone.
    let path = den.path("log.2.gz");
    let choice = Choice { row: &ROW, filename: Some(path.clone()), from_end: false, once: true, ..CHOICE };
    assert!(
        prepare(&choice, None).is_ok()
            && prepare(&Choice { filename: Some(den.path("other")), ..choice }, None).is_err()
    );
    let mut reader = den.open(false, true, Kept::default());
    reader.source = Follow::new(Place { path, old_dir: None }, false, true);
    assert_eq!(reader.more(), "one\n");
}

#[test]
fn behind_the_damage_of_a_packed_file_reading_goes_on() {
    let den = Den::new("damaged");
    let text: String = (0..2_000).map(|n| format!("line {n} {}\n", xxh64(&[n as u8], n))).collect();
    den.add("log.2", &text, 10);
    den.pack("log.2");
    // What is in the making is as old as its last byte.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    den.add("log.1", "next\n", now + 100);
    den.add("log", "last\n", now + 200);
    let whole = fs::read(den.path("log.2.gz")).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() - 8] ^= 1;
    for bytes in [&whole[..whole.len() / 2], &flipped] {
        let damage = |reader: &Reader| reader.skipped.len();
        fs::write(den.path("log.2.gz"), bytes).unwrap();
        // It may be in the making.
        let mut reader = den.open(false, true, Kept::default());
        let begin = reader.more();
        let same = text.bytes().zip(begin.bytes()).take_while(|(a, b)| a == b).count();
        assert!(
            same == begin.len() && same > 1_000,
            "{same} of {} bytes: {:?}",
            begin.len(),
            begin.get(same..same + 90)
        );
        assert_eq!((reader.source.fill(&mut reader.filler).unwrap(), damage(&reader)), (Fill::Nothing, 0));
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(10);
        File::options().append(true).open(den.path("log.2.gz")).unwrap().set_modified(then).unwrap();
        assert_eq!((reader.more().as_str(), damage(&reader)), ("next\n|last\n", 1));
        assert_eq!(reader.source.fill(&mut reader.filler).unwrap(), Fill::End);
        // What it was made of is there still.
        den.add("log.3", &text, 9);
        assert_eq!(once(&den, Kept::default()), (format!("{text}|next\n|last\n"), true));
        fs::remove_file(den.path("log.3")).unwrap();
    }
}

#[test]
fn where_it_stands_is_told() {
    let den = Den::new("standing");
    let mut reader = den.reader(false, Kept::default());
    assert_eq!(reader.source.standing().map(|i| (i.behind, i.wrong)), Some((0, None)), "not there yet");
    let line = |second: u32| format!("{{\"id\":\"1.1.{second}\",\"time\":\"1970-01-01T00:00:{second}.000+0000\"}}\n");
    den.add("log", &line(10), 10);
    reader.more();
    let at = |reader: &mut Reader| reader.source.standing().map(|i| (i.offset, i.behind, i.oldest_ms)).unwrap();
    let one = line(10).len() as u64;
    assert_eq!(at(&mut reader), (one, 0, None));
    den.add("log", &line(11), 50);
    den.add("log", &line(12), 50);
    assert_eq!(at(&mut reader), (one, 2 * one, Some(11_000)));
    den.rename("log", "log.1");
    den.add("log", &line(13), 60);
    assert_eq!(at(&mut reader), (one, 3 * one, Some(11_000)));
    assert!(reader.source.standing().unwrap().at.ends_with("log.1"));
    reader.more();
    File::options().write(true).open(den.path("log")).unwrap().set_len(0).unwrap();
    den.add("log", &line(14), 70);
    reader.more();
    let count = |word| reader.filler.ring().word(word).load(Ordering::Relaxed);
    assert_eq!((count(Word::Rotations), count(Word::Truncations)), (1, 1));
    let choice =
        |name: &str| Choice { row: &ROW, filename: Some(den.path(name)), from_end: false, once: false, ..CHOICE };
    assert!(check(&choice("log")).unwrap().contains("1 older file"));
    assert!(check(&choice("other")).unwrap().contains("waited for") && check(&choice("none/log")).is_err());
    // Not one that is passed over, and the cure is the right one.
    fs::write(den.path("old"), b"").unwrap();
    let wrong = reader.source.standing().unwrap().wrong.unwrap();
    assert!(wrong.contains("older files cannot be seen: `") && wrong.contains("old`: Not a directory"), "{wrong}");
    (0..=limits::FOLLOWED_FILES).for_each(|n| drop(File::create(den.path(&format!("log.{n}"))).unwrap()));
    let wrong = check(&choice("log")).unwrap_err();
    assert!(wrong.contains("move some away") && !wrong.contains("rights"), "{wrong}");
}
