//! The same for the commands: they are killed in the middle, called again, and the helper that comes then is killed too.

use super::after::{counters, status, verify, whole, LIMIT};
use super::stage::Stage;
use super::After;
use crate::harness::setup::{files_below, text};
use crate::harness::{wait, Events, Mode, Picodata, Receiver, Setup};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

/// Calls a command that dies at the stage's point, and says that it did.
fn dies(stage: &Stage, args: &[&str]) {
    let spool = stage.den.file("spool");
    let all = [args, &["--no-config", "--spool-dir", &spool]].concat();
    let tool = Setup::bare(&stage.den).debug().env("GOSTECH_CRASH_AT", &stage.orders).tool(&all);
    assert_eq!(tool.status.signal(), Some(9), "{}: {}{}", stage.title, text(&tool.stdout), text(&tool.stderr));
    assert_eq!(stage.died(&text(&tool.stderr)), 1, "{}", stage.title);
}

/// Calls it again, unharmed; gives the exit code and what it said.
fn again(stage: &Stage, args: &[&str]) -> (Option<i32>, String) {
    let spool = stage.den.file("spool");
    let all = [args, &["--no-config", "--spool-dir", &spool]].concat();
    let tool = Setup::bare(&stage.den).debug().tool(&all);
    (tool.status.code(), format!("{}{}", text(&tool.stdout), text(&tool.stderr)))
}

/// A helper that has delivered so many events, and keeps them.
fn delivered(stage: &Stage, receiver: &Receiver, count: usize) -> Picodata {
    let mut first = stage.keeping(receiver, "1h", "1s").picodata();
    let mut events = Events::new(1, 1);
    first.events(&mut events, count, 10_000);
    first.close();
    first.wait_end(LIMIT);
    first
}

/// The helper after the command: it dies in its recovery, and goes on.
fn follows(stage: &Stage, setup: Setup) -> Picodata {
    let mut second = setup.env("GOSTECH_CRASH_AT", &stage.second).picodata();
    let mut events = Events::new(1, 2);
    second.events(&mut events, 100, 2000);
    wait("the second death", LIMIT, || second.err().contains(&format!("crash point {}", stage.second)));
    second
}

/// Ends it; what it wrote and what was there is delivered, and all spools are clean.
fn ended(stage: &Stage, setup: &Setup, first: &Picodata, second: &mut Picodata, receiver: &Receiver) -> After {
    second.close();
    second.wait_end(LIMIT);
    let mut ledger = first.ledger.clone();
    ledger.join(&second.ledger);
    assert_eq!(ledger.missing(&receiver.docs()), Vec::<String>::new(), "{}\n{}", stage.title, second.err());
    assert_eq!(receiver.count(), ledger.len(), "{}: by document id", stage.title);
    let page = status(setup, stage);
    assert_eq!(counters(&page, "default", &stage.title), ledger.len() as u64, "{page:#}");
    verify(setup, stage);
    let left: Vec<_> = std::fs::read_dir(stage.den.file("spool")).expect("a directory").flatten().collect();
    assert_eq!(left.len(), 1, "{}: a command left something behind: {left:?}", stage.title);
    stage.after(ledger.len(), receiver)
}

/// `spool replay` of fifty events: they come once more, under the same document ids, and nothing is left behind.
pub fn replaying(stage: &Stage) -> After {
    let receiver = Receiver::start();
    let first = delivered(stage, &receiver, 200);
    let args = ["spool", "replay", "--from", "1.1.101", "--to", "1.1.150"];
    dies(stage, &args);
    let (code, said) = again(stage, &args);
    assert_eq!(code, Some(0), "{}: {said}", stage.title);
    let before = receiver.repeats();
    let setup = stage.keeping(&receiver, "1h", "30s");
    let mut second = follows(stage, setup.clone());
    wait("the fifty events once more", LIMIT, || receiver.repeats() >= before + 50);
    wait_alone(stage);
    ended(stage, &setup, &first, &mut second, &receiver)
}

/// Only the helper's own sub-directory is left: what was drained is removed.
fn wait_alone(stage: &Stage) {
    let spool = stage.den.file("spool");
    wait("what was drained is removed", LIMIT, || std::fs::read_dir(&spool).is_ok_and(|d| d.count() == 1));
}

/// `quarantine retry` of five events that are taken then.
pub fn retrying(stage: &Stage) -> After {
    let receiver = Receiver::start();
    receiver.set(Mode::Marker(400, "condemned".into()));
    let mut first = stage.keeping(&receiver, "1h", "10s").picodata();
    let mut events = Events::new(1, 1);
    for _ in 0..5 {
        first.write(&events.event_saying("condemned")).expect("the pipe never breaks");
        first.events(&mut events, 20, 10_000);
    }
    first.close();
    first.wait_end(LIMIT);
    assert_eq!(first.ledger.missing(&receiver.docs()).len(), 5, "{}", first.err());
    receiver.set(Mode::Healthy);
    dies(stage, &["quarantine", "retry"]);
    let (code, said) = again(stage, &["quarantine", "retry"]);
    assert_eq!(code, Some(0), "{}: {said}", stage.title);
    let setup = stage.setup(&receiver);
    let mut second = follows(stage, setup.clone());
    receiver.wait_count(first.ledger.len() + second.ledger.len(), LIMIT);
    wait_alone(stage);
    ended(stage, &setup, &first, &mut second, &receiver)
}

/// Events of two receivers, the second one configured no more.
fn with_a_cursor_too_many(stage: &Stage, receiver: &Receiver) -> Picodata {
    let away = Receiver::start();
    away.down();
    let setup = stage.keeping(receiver, "0s", "1s").args(&["--name", "r1"]).url(&away.url()).args(&["--name", "gone"]);
    let mut first = setup.picodata();
    let mut events = Events::new(1, 1);
    first.events(&mut events, 200, 10_000);
    receiver.wait_count(200, LIMIT);
    first.close();
    first.wait_end(LIMIT);
    first
}

/// A helper is asked to forget a receiver, and dies while it does (or the command while it asks).
pub fn forgetting(stage: &Stage) -> After {
    let receiver = Receiver::start();
    let first = with_a_cursor_too_many(stage, &receiver);
    let tool_dies = stage.deaths[0] == "tool-forget.asked";
    let setup = stage.setup(&receiver);
    let orders = if tool_dies { stage.second.clone() } else { format!("{},{}", stage.orders, stage.second) };
    let mut second = setup.clone().env("GOSTECH_CRASH_AT", &orders).picodata();
    let mut events = Events::new(1, 2);
    second.events(&mut events, 100, 2000);
    receiver.wait_count(300, LIMIT);
    if tool_dies {
        dies(stage, &["spool", "forget", "gone"]);
    } else {
        let (code, said) = again(stage, &["spool", "forget", "gone"]);
        assert_eq!(code, Some(0), "{}: {said}", stage.title);
    }
    let dir = stage.den.path().join("spool/default");
    wait("the cursor and the request are gone", LIMIT, || {
        !dir.join("cursor-gone").exists() && !dir.join("forget-gone").exists()
    });
    second.events(&mut events, 100, 2000);
    wait("the last death", LIMIT, || second.err().contains(&format!("crash point {}", stage.second)));
    second.ledger = joined(&first, &second);
    whole(&mut second, &receiver, &setup, stage, 0);
    assert!(!status(&setup, stage).to_string().contains("gone"), "{}", stage.title);
    stage.after(second.ledger.len(), &receiver)
}

fn joined(first: &Picodata, second: &Picodata) -> crate::harness::Ledger {
    let mut ledger = first.ledger.clone();
    ledger.join(&second.ledger);
    ledger
}

/// The same without a helper: the command is killed when the cursor is gone.
pub fn forgetting_offline(stage: &Stage) -> After {
    let receiver = Receiver::start();
    let first = with_a_cursor_too_many(stage, &receiver);
    dies(stage, &["spool", "forget", "gone"]);
    let (code, said) = again(stage, &["spool", "forget", "gone"]);
    assert!(code == Some(1) && said.contains("no cursor of `gone`"), "{}: {code:?} {said}", stage.title);
    let setup = stage.setup(&receiver);
    let mut second = follows(stage, setup.clone());
    second.ledger = joined(&first, &second);
    whole(&mut second, &receiver, &setup, stage, 0);
    stage.after(second.ledger.len(), &receiver)
}

/// The files of the sub-directory itself, by name.
pub fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let own = |p: &Path| p.parent() == Some(dir) && p.file_name().is_some_and(|n| n != "lock");
    files_below(dir).into_iter().filter(|(p, _)| own(p)).collect()
}

/// Changes bytes of a file in place.
pub fn damage(path: &Path, at: usize, bytes: &[u8]) {
    let mut all = std::fs::read(path).expect("a file to damage");
    all[at..at + bytes.len()].copy_from_slice(bytes);
    std::fs::write(path, all).expect("a file to damage");
}

/// Damages a segment in the middle, the head of the next one and the whole cursor; gives the files as they are then.
pub fn damage_a_spool(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = files(dir);
    let segments: Vec<(&PathBuf, usize)> =
        all.iter().filter(|(p, _)| p.extension().is_some_and(|e| e == "seg")).map(|(p, b)| (p, b.len())).collect();
    // How long each is depends on when its records came; the oldest and the newest are left alone.
    let long = segments.iter().skip(1).position(|(_, bytes)| *bytes > 8000).expect("a segment with a middle") + 1;
    assert!(long + 2 < segments.len(), "{segments:?}");
    damage(segments[long].0, 7000, &[0xab; 64]);
    damage(segments[long + 1].0, 0, &[0; 32]);
    let cursor = dir.join("cursor-r1");
    let bytes = std::fs::metadata(&cursor).expect("a cursor").len() as usize;
    damage(&cursor, 0, &vec![0x11; bytes]);
    files(dir)
}

/// `spool repair --apply` of a damaged spool: what it changes is in a backup byte for byte, whatever it dies of.
pub fn repairing(stage: &Stage) -> After {
    let receiver = Receiver::start();
    receiver.down();
    let mut first = delivered(stage, &receiver, 500);
    let dir = stage.den.path().join("spool/default");
    let damaged = damage_a_spool(&dir);
    dies(stage, &["spool", "repair", "--apply"]);
    let (code, said) = again(stage, &["spool", "repair", "--apply"]);
    assert_eq!(code, Some(0), "{}: {said}", stage.title);
    let (code, said) = again(stage, &["spool", "verify"]);
    // What is missing is told at the next start; until then it is not clean.
    assert!(code == Some(0) || said.contains("missing"), "{}: {said}", stage.title);
    let now = files_below(&dir);
    for (path, bytes) in &damaged {
        let name = path.file_name().expect("a name");
        let kept = now.iter().any(|(p, b)| p.file_name() == Some(name) && b == bytes);
        assert!(kept, "{}: the bytes of {path:?} are gone", stage.title);
    }
    receiver.up();
    let setup = stage.keeping(&receiver, "1h", "30s");
    let mut second = follows(stage, setup.clone());
    second.close();
    second.wait_end(LIMIT);
    first.ledger.join(&second.ledger);
    let docs = receiver.docs();
    let missing = first.ledger.missing(&docs).len() as u64;
    let gaps: Vec<_> = docs.iter().filter(|d| d.value["title"] == "audit_gap").collect();
    let told: u64 = gaps.iter().filter_map(|g| g.value["missing"].as_u64()).sum();
    assert!((1..=2).contains(&missing) && told == missing, "{}: {missing} missing, {gaps:?}", stage.title);
    let aside = files(&dir)
        .into_iter()
        .any(|(p, b)| p.extension().is_some_and(|e| e == "bad") && crate::harness::setup::contains(&b, &[0xab; 64]));
    assert!(aside, "{}: the damaged bytes are in no .bad file", stage.title);
    counters(&status(&setup, stage), "default", &stage.title);
    verify(&setup, stage);
    stage.after(first.ledger.len(), &receiver)
}
