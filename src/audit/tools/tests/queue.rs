//! `spool replay`, `quarantine list|retry` and `spool forget`.

use super::super::forget;

use super::*;
use crate::audit::delivery::event::Maker;
use crate::audit::delivery::format::{Pen, FORMATS};
use crate::audit::delivery::parcel::Said;
use crate::audit::delivery::quarantine as held;
use crate::audit::spool::read::{Next, Reader};
use crate::audit::spool::{ephemeral, names};
use std::fs;
use std::time::Duration;

/// What is delivered of a spool: the whole bodies of its events.
fn bodies(dir: &Path) -> Vec<String> {
    let spool = open(dir, &["r1"]);
    let (mut reader, mut pen, mut all) = (Reader::new(1), Pen::default(), Vec::new());
    loop {
        match reader.next(&spool) {
            Next::Record(r, head) => {
                let mut out = Vec::new();
                (FORMATS[0].write)(&mut pen, &mut out, &Maker::default().make(&r, head));
                all.push(String::from_utf8(out).unwrap());
            }
            Next::Wait => return all,
            other => panic!("{other:?}"),
        }
    }
}

fn only_new(den: &Den, mark: &str) -> PathBuf {
    let names = den.names();
    assert!(!names.iter().any(|n| n.starts_with('.')), "{names:?}");
    let mut found: Vec<&String> = names.iter().filter(|n| n.contains(mark)).collect();
    assert_eq!(found.len(), 1, "{names:?}");
    den.path(found.remove(0))
}

#[test]
fn a_replay_holds_the_same_events_under_the_same_ids() {
    let den = Den::new();
    let spool = made(&den.path("a"), 30, 3, &["r1"]);
    spool.delivered("r1", 21);
    save(&spool, &den.path("a"));
    drop(spool);
    let before = bodies(&den.path("a"));
    let (exit, text) = tool(&["spool", "replay", "--spool-dir", &den.text(""), "--from", "1.0.5", "--to", "1.0.24"]);
    assert_eq!(exit, Exit::Clean, "{text}");
    assert!(text.starts_with("20 events queued"), "{text}");
    let made = only_new(&den, "a.replay-");
    assert!(made.join(names::EPHEMERAL).exists() && ephemeral::only(&made).is_none());
    assert_eq!(bodies(&made), before[4..24]);
    // Again, by document id, from the replay itself: its name does not pile up.
    let id =
        serde_json::from_str::<serde_json::Value>(&before[9]).unwrap()["gostech"]["id"].as_str().unwrap().to_string();
    let (exit, text) = tool(&["spool", "replay", &made.display().to_string(), "--from", &id, "--to", &id]);
    assert!(exit == Exit::Clean && text.starts_with("1 event queued in"), "{text}");
    assert!(den.names().contains(&"a.replay-20261121T012757-2".to_string()), "{:?}", den.names());
    let (exit, text) = tool(&["spool", "replay", "--spool-dir", &den.text(""), "--from", "1.1.1"]);
    assert!(exit == Exit::Failed && text.contains("no event in that range"), "{text}");
    assert_eq!(tool(&["spool", "replay", "--spool-dir", &den.text("")]).0, Exit::Usage);
    assert_eq!(tool(&["spool", "replay", "--spool-dir", &den.text(""), "--from", "soon"]).0, Exit::Usage);
}

#[test]
fn what_an_interrupted_call_left_behind_is_removed_by_the_next() {
    let den = Den::new();
    drop(made(&den.path("a"), 3, 1, &["r1"]));
    let left = den.path(".a.replay-20200101T000000");
    drop(lock::take(&left).unwrap());
    assert_eq!(tool(&["spool", "replay", &den.text("a"), "--from", "1.0.1", "--to", "1.0.1"]).0, Exit::Clean);
    assert!(!left.exists());
}

/// Refuses every event of a spool, as a sender would.
fn refuse_all(dir: &Path) -> Vec<String> {
    let spool = open(dir, &["r1"]);
    let (mut reader, mut q, mut ids) = (Reader::new(1), held::Quarantine::new("r1", 1 << 20), Vec::new());
    let said = Said { status: Some(422), text: "no \"good\"".into() };
    while let Next::Record(r, head) = reader.next(&spool) {
        ids.push(Maker::default().document_id(&r, head));
        let line = held::line(&r, head, ids.last().unwrap(), &said, NOW);
        q.put(&RealDisk::new(dir), &line).unwrap();
    }
    ids
}

#[test]
fn a_retry_brings_every_kind_back_as_it_was_for_that_receiver_alone() {
    let den = Den::new();
    let dir = den.path("a");
    let spool = open(&dir, &["r1", "r2"]);
    let mut a = Appender::default();
    put(&spool, &mut a, &raw(1), None, (0, 0));
    put(&spool, &mut a, b"{\"id\":\"1.0.2\",\"message\":\"cu", Some(Kind::Cut), (0, 0));
    put(&spool, &mut a, b"plain \xff bytes", None, (0, 0));
    put(&spool, &mut a, br#"{"gostech":1,"id":"1.0.3"}"#, None, (0, 0));
    put(&spool, &mut a, b"{\"id\":\"1.0.4\",\"x\":\"", Some(Kind::Cut), (1, 2));
    put(&spool, &mut a, b"the rest of it", Some(Kind::Unparsed), (2, 2));
    put(&spool, &mut a, br#"{"id":"gap-lost-1.0.5-1.0.6","title":"audit_gap"}"#, Some(Kind::Own), (0, 0));
    save(&spool, &dir);
    drop(spool);
    let before = bodies(&dir);
    let ids = refuse_all(&dir);
    assert_eq!((before.len(), ids.len()), (7, 7));
    let (exit, text) = tool(&["quarantine", "list", "--spool-dir", &den.text("")]);
    assert!(exit == Exit::Clean && text.contains("7 events refused by r1") && text.contains("422: no"), "{text}");
    assert!(ids.iter().all(|id| text.contains(id.as_str())), "{text}");
    let (_, json) = tool(&["quarantine", "list", "r1", "--json", "--spool-dir", &den.text("")]);
    let v: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(v["quarantines"][0]["events"].as_array().map(Vec::len), Some(7));
    let none = tool(&["quarantine", "list", "r9", "--spool-dir", &den.text("")]).1;
    assert!(none.contains("no event of `r9`"), "the quarantine is not empty: {none}");
    // Another one is at work.
    let other = fs::File::open(den.path("")).unwrap();
    assert!(crate::sys::file::lock(&other).unwrap());
    let (exit, text) = tool(&["quarantine", "retry", "r1", "--spool-dir", &den.text("")]);
    assert!(exit == Exit::Failed && text.contains("is at work"), "{text}");
    drop(other);
    let (exit, text) = tool(&["quarantine", "retry", "r1", "--spool-dir", &den.text("")]);
    assert!(exit == Exit::Clean && text.starts_with("7 events queued for r1"), "{text}");
    let made = only_new(&den, "a.retry-");
    assert_eq!(ephemeral::only(&made).as_deref(), Some("r1"));
    assert_eq!(bodies(&made), before);
    let look = Look::at(&made).unwrap();
    assert_eq!(look.cursors.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["r1"]);
    let kept =
        fs::read_dir(&dir).unwrap().filter(|e| e.as_ref().unwrap().file_name().to_str().unwrap().contains(".retried-"));
    assert_eq!(kept.count(), 1);
    let (exit, text) = tool(&["quarantine", "retry", "--spool-dir", &den.text("")]);
    assert!(exit == Exit::Failed && text.contains("no event"), "{text}");
    assert!(tool(&["quarantine", "list", "--spool-dir", &den.text("")]).1.contains("is empty"));
}

#[test]
fn a_line_behind_zeros_is_listed_as_json() {
    let den = Den::new();
    let dir = den.path("a");
    drop(made(&dir, 2, 1, &["r1"]));
    refuse_all(&dir);
    let file = dir.join("quarantine-r1.jsonl");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, [&[0; 7][..], &whole].concat()).unwrap();
    let (exit, text) = tool(&["quarantine", "list", "--spool-dir", &den.text(""), "--json"]);
    let page: serde_json::Value = serde_json::from_str(&text).unwrap();
    let lines = whole.split(|b| *b == b'\n').filter(|l| !l.is_empty()).count();
    assert_eq!((exit, page["quarantines"][0]["events"].as_array().map(Vec::len)), (Exit::Clean, Some(lines)));
}

#[test]
fn a_retry_that_was_interrupted_is_taken_up_and_a_torn_line_costs_itself() {
    let den = Den::new();
    let dir = den.path("a");
    drop(made(&dir, 2, 1, &["r1"]));
    refuse_all(&dir);
    let file = dir.join("quarantine-r1.jsonl");
    let mut bytes = fs::read(&file).unwrap();
    bytes.extend_from_slice(b"{\"torn");
    fs::write(dir.join("quarantine-r1.jsonl.retrying-0"), &bytes).unwrap();
    fs::remove_file(&file).unwrap();
    // A helper that works beside it adopts what is queued.
    drop(made(&den.path("b"), 1, 1, &["r1"]));
    let _works = lock::take(&den.path("b")).unwrap().unwrap();
    let (exit, text) = tool(&["quarantine", "retry", "--spool-dir", &den.text("")]);
    assert!(exit == Exit::Failed && text.starts_with("2 events queued"), "{text}");
    assert!(text.contains("within some ten seconds"), "{text}");
    assert_eq!(bodies(&only_new(&den, "a.retry-")).len(), 2);
}

#[test]
fn forget_removes_the_cursor_of_a_spool_at_rest() {
    let den = Den::new();
    let dir = den.path("a");
    drop(made(&dir, 5, 1, &["r1", "old"]));
    let root = den.text("");
    let (exit, text) = tool(&["spool", "forget", "nobody", "--spool-dir", &root]);
    assert!(exit == Exit::Failed && text.contains("old, r1"), "{text}");
    let (exit, text) = tool(&["spool", "forget", "r1", "--spool-dir", &root, "--url", "http://127.0.0.1:1/"]);
    assert!(exit == Exit::Failed && text.contains("is configured"), "{text}");
    assert_eq!(tool(&["spool", "forget", "../x", "--spool-dir", &root]).0, Exit::Usage);
    let (exit, text) = tool(&["spool", "forget", "old", "--spool-dir", &root]);
    assert!(exit == Exit::Clean && text.contains("5 events were waiting"), "{text}");
    assert!(!dir.join("cursor-old").exists() && dir.join("cursor-r1").exists());
}

#[test]
fn one_that_was_forgotten_at_rest_is_new_when_it_comes_again() {
    let den = Den::new();
    let dir = den.path("a");
    let spool = made(&dir, 5, 1, &["r1", "old"]);
    spool.delivered("r1", 4);
    save(&spool, &dir);
    drop(spool);
    let (exit, text) = tool(&["spool", "forget", "old", "--spool-dir", &den.text("")]);
    assert_eq!(exit, Exit::Clean, "{text}");
    let spool = open(&dir, &["r1", "old"]);
    assert_eq!((spool.position("r1"), spool.position("old")), (4, 4), "not all that is held, as for a damaged cursor");
    assert!(!dir.join("forget-old").exists());
}

#[test]
fn a_running_helper_forgets_what_is_not_configured_and_nothing_else() {
    let den = Den::new();
    let dir = den.path("a");
    drop(made(&dir, 5, 1, &["r1", "old"]));
    let spool = open(&dir, &["r1"]);
    let lock = lock::take(&dir).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                spool.tidy(NOW);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let (exit, text) = tool(&["spool", "forget", "old", "--spool-dir", &den.text("")]);
        assert_eq!(exit, Exit::Clean, "{text}");
        let look = Look::at(&dir).unwrap();
        let refused = forget::ask(&look, "r1", Duration::from_millis(200)).unwrap_err().to_string();
        assert!(refused.contains("is configured there"), "{refused}");
        stop.store(true, Ordering::Relaxed);
    });
    assert!(!dir.join("cursor-old").exists() && dir.join("cursor-r1").exists());
    assert!(!dir.join("forget-old").exists() && !dir.join("forget-r1").exists());
    assert_eq!(spool.receivers().iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["r1"]);
    drop(lock);
    // A request that nobody obeyed does not hit a later receiver of that name.
    fs::write(dir.join("forget-r1"), "forget\n").unwrap();
    drop(open(&dir, &["r1"]));
    assert!(!dir.join("forget-r1").exists());
}
