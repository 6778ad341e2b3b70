//! `spool verify`, `export` and `repair` on spools that were damaged in every way.

use super::super::progress::Progress;
use super::super::scan::{scan, Findings};
use super::*;
use crate::audit::spool::read::{Next, Reader};
use std::fs;
use std::time::{Duration, Instant};

/// A test that forks beside this one hands the locks that are open here on to its child, for a moment: what is looked at
/// then would be «in use».
fn released(dir: &Path) {
    let end = Instant::now() + Duration::from_secs(10);
    while Look::at(dir).is_ok_and(|look| look.in_use.may_change()) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The command, when nobody has the spools it is for.
fn tool(args: &[&str]) -> (Exit, String) {
    let dirs = args.iter().map(Path::new).filter(|p| p.is_absolute() && p.is_dir());
    for dir in dirs {
        released(dir);
        let below = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
        below.filter(|p| p.is_dir()).for_each(|p| released(&p));
    }
    super::tool(args)
}

fn scanned(dir: &Path) -> Findings {
    released(dir);
    scan(&Look::at(dir).unwrap(), &mut Progress::new(0)).unwrap()
}

/// The only segment of a spool.
fn segment(dir: &Path) -> PathBuf {
    let mut all: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    all.retain(|p| p.extension().is_some_and(|e| e == "seg"));
    all.sort();
    all.swap_remove(0)
}

/// What a helper would deliver of it from the beginning.
fn delivered(dir: &Path) -> Vec<u64> {
    let spool = open(dir, &["r1"]);
    let mut reader = Reader::new(1);
    let mut seqs = Vec::new();
    loop {
        match reader.next(&spool) {
            Next::Record(r, _) => seqs.push(r.seq),
            Next::Lost(_) => {}
            Next::Wait => return seqs,
            Next::Trouble(t) => panic!("{t}"),
        }
    }
}

#[test]
fn a_clean_spool_is_clean_and_all_of_it_is_exported() {
    let den = Den::new();
    made(&den.path("a"), 50, 5, &["r1"]);
    let before = den.names();
    let (exit, text) = tool(&["spool", "verify", &den.text("a")]);
    assert_eq!(exit, Exit::Clean, "{text}");
    assert!(text.contains("clean (50 records") && text.contains("5 segments") && text.contains("1 cursor;"), "{text}");
    let (exit, json) = tool(&["spool", "verify", "--json", &den.text("")]);
    let v: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((exit, &v["clean"], &v["spools"][0]["records"]), (Exit::Clean, &true.into(), &50.into()));
    let (exit, text) = tool(&["spool", "export", &den.text("")]);
    assert_eq!((exit, text.lines().count()), (Exit::Clean, 50));
    for (i, line) in text.lines().enumerate() {
        let v: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(v["id"], format!("1.0.{}", i + 1));
    }
    let document = serde_json::from_str::<serde_json::Value>(text.lines().nth(9).unwrap()).unwrap();
    let id = document["gostech"]["id"].as_str().unwrap();
    let (_, some) = tool(&["spool", "export", &den.text("a"), "--from", id, "--to", "1.0.12"]);
    assert_eq!(some.lines().count(), 3);
    assert_eq!(den.names(), before);
}

#[test]
fn every_flipped_byte_is_found_and_repaired() {
    let den = Den::new();
    let (good, dir) = (den.path("good"), den.path("bad"));
    made(&good, 4, 1, &["r1"]);
    let whole = fs::read(segment(&good)).unwrap();
    // Each byte of the records, and a sample of the two heads.
    let heads = (0..2048).step_by(61);
    for at in heads.chain(2048..whole.len()) {
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        for entry in fs::read_dir(&good).unwrap().map(|e| e.unwrap()) {
            fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
        }
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(segment(&dir), &bytes).unwrap();
        let f = scanned(&dir);
        assert!(!f.clean(), "byte {at}");
        let (exit, text) = tool(&["spool", "repair", &dir.display().to_string()]);
        assert_eq!(exit, Exit::Failed, "{text}");
        assert_eq!(fs::read(segment(&dir)).unwrap(), bytes, "without --apply nothing is changed");
        let (exit, text) = tool(&["spool", "repair", "--apply", &dir.display().to_string()]);
        assert_eq!(exit, Exit::Clean, "{text}");
        let f = scanned(&dir);
        let lost = u64::from(at >= 2048);
        assert_eq!(
            (f.damages, f.wrong.len(), f.records, f.untold),
            (0, 0, 4 - lost, lost),
            "byte {at}: {:?}",
            f.lines()
        );
        let backup = dir.join("backup-20261121T012757").join(segment(&dir).file_name().unwrap());
        assert_eq!(fs::read(backup).unwrap(), bytes);
        assert_eq!(delivered(&dir).len() as u64, 4 - lost);
    }
}

#[test]
fn every_truncation_is_found_and_what_is_whole_is_kept() {
    let den = Den::new();
    let dir = den.path("a");
    made(&dir, 3, 1, &["r1"]);
    let whole = fs::read(segment(&dir)).unwrap();
    let file = segment(&dir);
    for cut in (0..2048).step_by(97).chain(2048..whole.len()) {
        fs::write(&file, &whole[..cut]).unwrap();
        let f = scanned(&dir);
        assert!(!f.clean() && f.records < 3, "cut at {cut}");
        let (_, text) = tool(&["spool", "export", &dir.display().to_string()]);
        assert_eq!(text.lines().count() as u64, f.records);
    }
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(tool(&["spool", "repair", "--apply", &den.text("a")]).0, Exit::Clean);
    assert!(whole.starts_with(&fs::read(&file).unwrap()) && scanned(&dir).records == 2);
    let aside =
        fs::read_dir(&dir).unwrap().filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "bad"));
    assert_eq!(aside.count(), 1);
}

#[test]
fn both_copies_of_a_head_and_the_small_files() {
    let den = Den::new();
    let dir = den.path("a");
    let spool = made(&dir, 6, 2, &["r1", "r2"]);
    spool.delivered("r1", 3);
    save(&spool, &dir);
    drop(spool);
    let ids = |text: &str| -> Vec<String> {
        let values = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
        values.map(|v| v["gostech"]["id"].to_string()).collect()
    };
    let before = ids(&tool(&["spool", "export", &den.text("a")]).1);
    let first = segment(&dir);
    let mut bytes = fs::read(&first).unwrap();
    bytes[..2048].fill(0xee);
    fs::write(&first, bytes).unwrap();
    fs::write(dir.join("cursor-r1"), [0x5a; 9000]).unwrap();
    fs::write(dir.join("state"), b"").unwrap();
    fs::write(dir.join("00000000000000000099.seg"), b"").unwrap();
    fs::write(dir.join("quarantine-r1.jsonl"), b"{\"torn").unwrap();
    let (exit, text) = tool(&["spool", "verify", &den.text("a")]);
    assert_eq!(exit, Exit::Failed);
    for word in ["both copies of its head", "cursor-r1", "`state`", "is empty", "1 line cannot be read"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let (exit, text) = tool(&["spool", "repair", "--apply", &den.text("a")]);
    assert_eq!(exit, Exit::Clean, "{text}");
    let (exit, text) = tool(&["spool", "verify", &den.text("a")]);
    assert_eq!(exit, Exit::Clean, "{text}");
    // The neighbour's identity stands in, so document ids are the same.
    assert_eq!(ids(&tool(&["spool", "export", &den.text("a")]).1), before);
    let spool = open(&dir, &["r1", "r2"]);
    assert_eq!((spool.cursor("r1").unwrap().next, spool.cursor("r2").unwrap().next), (1, 1));
    assert_eq!(spool.account().counters.read, 6);
}

#[test]
fn the_cursor_of_another_receiver_is_none() {
    let den = Den::new();
    let dir = den.path("a");
    drop(made(&dir, 6, 2, &["r1", "r2"]));
    fs::copy(dir.join("cursor-r2"), dir.join("cursor-r1")).unwrap();
    let (exit, text) = tool(&["spool", "verify", &den.text("a")]);
    assert!(exit == Exit::Failed && text.contains("`cursor-r1`: none of its copies is whole"), "{text}");
    let (exit, text) = tool(&["spool", "repair", "--apply", &den.text("a")]);
    assert_eq!(exit, Exit::Clean, "{text}");
    assert_eq!(tool(&["spool", "verify", &den.text("a")]).0, Exit::Clean);
}

#[test]
fn what_is_missing_is_told_apart_from_what_nobody_needs() {
    let den = Den::new();
    let dir = den.path("a");
    let spool = made(&dir, 9, 3, &["r1"]);
    fs::remove_file(dir.join(format!("{:020}.seg", 4))).unwrap();
    let f = scanned(&dir);
    assert_eq!((f.records, f.untold, f.missing.len(), f.clean()), (6, 3, 1, false), "{:?}", f.lines());
    // Everybody is past it: it was delivered.
    spool.delivered("r1", 7);
    save(&spool, &dir);
    let f = scanned(&dir);
    assert!(f.clean() && !f.missing[0].needed, "{:?}", f.lines());
    // The newest records are counted in the state and are not there.
    fs::remove_file(dir.join(format!("{:020}.seg", 7))).unwrap();
    let f = scanned(&dir);
    assert_eq!((f.untold, f.missing.last().map(|m| (m.from, m.to))), (3, Some((7, 9))), "{:?}", f.missing);
}

#[test]
fn the_growing_tail_of_a_spool_in_use_is_no_damage() {
    let den = Den::new();
    let dir = den.path("a");
    let _spool = made(&dir, 5, 1, &["r1"]);
    let bytes = fs::read(segment(&dir)).unwrap();
    fs::write(segment(&dir), &bytes[..bytes.len() - 7]).unwrap();
    assert!(!scanned(&dir).clean());
    let lock = lock::take(&dir).unwrap();
    let (exit, text) = tool(&["spool", "verify", &den.text("a")]);
    assert_eq!(exit, Exit::Clean, "{text}");
    assert!(text.contains(&format!("in use by process {}", std::process::id())), "{text}");
    let (exit, text) = tool(&["spool", "repair", "--apply", &den.text("a")]);
    assert_eq!(exit, Exit::Failed);
    assert!(text.contains("needs the helper stopped"), "{text}");
    drop(lock);
}

#[test]
fn garbage_of_any_kind_never_makes_them_panic() {
    let den = Den::new();
    let dir = den.path("a");
    let names = [
        "00000000000000000000.seg",
        "00000000000000000001.seg",
        "00000000000000000004.seg",
        "18446744073709551615.seg",
        "x.seg",
        "state",
        "cursor-r1",
        "quarantine-r1.jsonl",
    ];
    let mut seed = 7u64;
    let mut next = |n: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % n
    };
    for round in 0..60 {
        let _ = fs::remove_dir_all(&dir);
        drop(made(&dir, 6, 2, &["r1"]));
        for name in names {
            let path = dir.join(name);
            let mut bytes = fs::read(&path).unwrap_or_default();
            match next(5) {
                0 => bytes = (0..next(5000)).map(|_| next(256) as u8).collect(),
                1 => bytes.truncate(next(bytes.len() + 1)),
                2 => bytes.extend_from_within(next(bytes.len() + 1)..),
                3 => continue,
                _ => (0..20).for_each(|_| {
                    let at = next(bytes.len().max(1));
                    if let Some(b) = bytes.get_mut(at) {
                        *b ^= 1 << (at % 8);
                    }
                }),
            }
            fs::write(&path, bytes).unwrap();
        }
        let root = den.text("");
        for args in [&["status", "--spool-dir", &root][..], &["status", "--json", "--spool-dir", &root]] {
            assert_eq!(tool(args).0, Exit::Clean, "round {round}");
        }
        tool(&["spool", "verify", &root]);
        tool(&["spool", "export", &root]);
        tool(&["quarantine", "list", "--json", "--spool-dir", &root]);
        tool(&["spool", "replay", &root, "--from", "1.0.2", "--to", "1.0.3"]);
        tool(&["spool", "repair", "--apply", &den.text("a")]);
        let f = scanned(&dir);
        assert_eq!((f.damages, f.wrong.as_slice()), (0, &[][..]), "round {round}");
        den.names().iter().filter(|n| *n != "a").for_each(|n| fs::remove_dir_all(den.path(n)).unwrap());
    }
}

#[test]
fn another_version_is_left_alone() {
    let den = Den::new();
    let dir = den.path("a");
    drop(made(&dir, 3, 1, &["r1"]));
    let mut bytes = fs::read(segment(&dir)).unwrap();
    (bytes[7], bytes[1024 + 7]) = (9, 9);
    fs::write(segment(&dir), &bytes).unwrap();
    let (exit, text) = tool(&["spool", "verify", &den.text("a")]);
    assert!(exit == Exit::Failed && text.contains("another version"), "{text}");
    let (exit, text) = tool(&["spool", "repair", "--apply", &den.text("a")]);
    assert!(exit == Exit::Failed && text.contains("nothing was changed"), "{text}");
    assert_eq!(fs::read(segment(&dir)).unwrap(), bytes);
}
