//! The spool from outside: what happens when it is full, locked, orphaned, damaged, missing or without room, and the
//! commands that look into it.

use crate::harness::receiver::Doc;
use crate::harness::setup::{files_below, text, wait_spooled};
use crate::harness::{free_port, wait, Den, Events, Ledger, Page, Picodata, Receiver, Setup};
use crate::lab::real::on_tmpfs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

/// The smallest cushion, and a spool that a second of a flood fills.
// Full soon, whatever packs well.
const TINY: [&str; 8] = ["--spool-max", "1M", "--spool-pack", "never", "--memory-max", "1M", "--event-max", "64K"];

/// Writes `n` events without pause.
fn flood(picodata: &mut Picodata, n: usize) {
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, n, 10_000_000);
}

fn missing_by_gaps(docs: &[Doc]) -> u64 {
    let gaps = docs.iter().filter(|d| d.value["title"] == "audit_gap");
    gaps.map(|d| d.value["missing"].as_u64().or_else(|| d.value["missing"].as_str()?.parse().ok()).unwrap_or(0)).sum()
}

#[test]
fn block_makes_the_database_wait_and_loses_nothing() {
    let den = Den::new("block");
    let receiver = Receiver::start();
    receiver.down();
    let setup = Setup::new(&den).url(&receiver.url()).args(&TINY).args(&["--spool-full", "block", "--drain", "60s"]);
    let mut picodata = setup.picodata();
    let written = AtomicUsize::new(0);
    let total = 20_000;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut events = Events::new(1, 1);
            for _ in 0..total {
                picodata.write(&events.event()).expect("the pipe never breaks");
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut last = usize::MAX;
        wait("the writer stands still", LIMIT, || {
            std::thread::sleep(Duration::from_secs(1));
            std::mem::replace(&mut last, written.load(Ordering::Relaxed)) == last
        });
        assert!(!writer.is_finished() && last < total, "{last} of {total} events in a spool of 1 MiB");
        receiver.up();
    });
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
}

/// Twenty thousand events into a full spool with a dropping policy: the writer, what arrived, the exit code.
fn dropping(policy: &str) -> (Ledger, Vec<Doc>, i32, String) {
    let den = Den::new(policy);
    let receiver = Receiver::start();
    receiver.down();
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let setup = Setup::new(&den).url(&receiver.url()).args(&TINY).args(&["--spool-full", policy, "--drain", "60s"]);
    let mut picodata = setup.args(&["--metrics-addr", &address]).picodata();
    flood(&mut picodata, 20_000);
    wait("everything read", LIMIT, || Page::scrape(port).must("gostech_audit_read_total", &[]) >= 20_000.0);
    Page::scrape(port).assert_identity("r1");
    receiver.up();
    wait("nothing left", LIMIT, || Page::scrape(port).must("gostech_audit_spool_events", &["receiver=\"r1\""]) == 0.0);
    let page = Page::scrape(port);
    page.assert_identity("r1");
    let code = picodata.finish(LIMIT);
    let docs = receiver.docs();
    let real = docs.iter().filter(|d| d.value["title"] != "audit_gap").count();
    let dropped = page.must("gostech_audit_events_total", &["receiver=\"r1\"", "state=\"dropped\""]);
    assert_eq!(dropped as usize, 20_000 - real, "every dropped event is counted");
    assert_eq!(missing_by_gaps(&docs) as usize, 20_000 - real, "and told in gaps: {}", page.text);
    (picodata.ledger.clone(), docs, code, picodata.err())
}

#[test]
fn drop_newest_keeps_the_oldest_and_counts_the_rest() {
    let (ledger, docs, code, err) = dropping("drop-newest");
    let missing = ledger.missing(&docs);
    assert!(!missing.is_empty() && missing.len() < 20_000);
    assert_eq!(docs[0].value["id"], "1.1.1");
    assert_eq!(code, 1, "something was lost, counted and said\n{err}");
    assert!(docs.iter().any(|d| d.value["title"] == "audit_gap" && d.value["reason"] == "dropped"));
    let first_low_lost = ledger
        .records()
        .iter()
        .map(|r| serde_json::from_str::<serde_json::Value>(r).expect("JSON"))
        .position(|v| v["severity"] == "low" && missing.contains(&v["id"].as_str().unwrap_or("").to_owned()))
        .expect("a low one was dropped");
    let later_high = docs.iter().any(|d| {
        let count = d.value["gostech"]["count"].as_u64().unwrap_or(0) as usize;
        d.value["severity"] == "high" && d.value["title"] != "audit_gap" && count > first_low_lost + 1
    });
    assert!(later_high, "the last tenth is for severity high");
}

#[test]
fn drop_oldest_keeps_the_newest_and_counts_the_rest() {
    let (ledger, docs, code, err) = dropping("drop-oldest");
    let missing = ledger.missing(&docs);
    let counts: Vec<u64> = missing.iter().filter_map(|id| id.rsplit('.').next()?.parse().ok()).collect();
    let (first, last) = (counts[0], counts[counts.len() - 1]);
    assert!(first <= 1001, "the oldest go first, but for a batch that is under way: {first}");
    assert_eq!(last - first + 1, counts.len() as u64, "one piece is missing, not a sieve");
    assert!(docs.iter().any(|d| d.value["id"] == "1.1.20000"), "the newest stays");
    assert_eq!(code, 1, "{err}");
}

fn subdirectories(spool: &Path) -> Vec<PathBuf> {
    let Ok(dir) = std::fs::read_dir(spool) else { return Vec::new() };
    let mut found: Vec<PathBuf> = dir.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect();
    found.sort();
    found
}

#[test]
fn a_locked_spool_makes_the_second_take_the_next_and_both_deliver() {
    let den = Den::new("locked");
    let receiver = Receiver::start();
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--instance", "i1"]);
    let mut first = setup.picodata();
    let mut e1 = Events::new(1, 1);
    first.write(&e1.event()).expect("a reader");
    receiver.wait_count(1, LIMIT);
    let mut second = setup.picodata();
    let mut e2 = Events::new(1, 2);
    second.write(&e2.event()).expect("a reader");
    receiver.wait_count(2, LIMIT);
    let names: Vec<String> = subdirectories(&den.path().join("spool"))
        .iter()
        .map(|p| p.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    assert!(names.contains(&"i1".to_owned()) && names.contains(&"i1.2".to_owned()), "{names:?}");
    assert_eq!((first.finish(LIMIT), second.finish(LIMIT)), (0, 0), "{}", second.err());
}

#[test]
fn an_orphan_is_adopted_and_drained() {
    let den = Den::new("orphan");
    let receiver = Receiver::start();
    receiver.down();
    let named = |name: &str| Setup::new(&den).url(&receiver.url()).args(&["--instance", name]);
    let mut first = named("old").args(&["--drain", "200ms"]).picodata();
    let mut events = Events::new(1, 1);
    first.events(&mut events, 50, 10_000);
    assert_eq!(first.finish(LIMIT), 0);
    receiver.up();
    let mut second = named("new").picodata();
    receiver.wait_count(50, LIMIT);
    assert_eq!(second.finish(LIMIT), 0, "{}", second.err());
    assert_eq!(first.ledger.compare(&receiver.docs()), Ok(()), "under the ids that the records got first");
    assert!(receiver.docs().iter().all(|d| d.value["gostech"]["instance"] == "old"));
}

/// Fifty events in the spool of a helper `old` that is gone; the events, and the directory of its spool.
fn orphan(den: &Den, receiver: &Receiver) -> (Picodata, PathBuf) {
    let setup = Setup::new(den).url(&receiver.url()).args(&["--instance", "old", "--drain", "0s"]);
    let mut first = setup.picodata();
    let mut events = Events::new(1, 1);
    first.stream((0..50).map(|_| events.event()), 10_000).expect("a reader");
    assert_eq!(first.finish(LIMIT), 0);
    (first, den.path().join("spool").join("old"))
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    files_below(dir).into_iter().map(|(p, _)| p).filter(|p| p.extension().is_some_and(|e| e == "seg")).collect()
}

#[test]
fn what_an_orphan_has_lost_is_told_and_what_it_kept_goes() {
    let den = Den::new("orphan-damage");
    let receiver = Receiver::start();
    receiver.down();
    let (first, dir) = orphan(&den, &receiver);
    let segment = &segments(&dir)[0];
    let mut bytes = std::fs::read(segment).expect("a segment");
    let at = bytes.windows(8).position(|w| w == b"\"1.1.25\"").expect("the event");
    bytes[at] ^= 0xff;
    std::fs::write(segment, bytes).expect("a damaged segment");
    receiver.up();
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--instance", "new", "--retain", "1s"]);
    let mut second = setup.picodata();
    receiver.wait_count(50, LIMIT);
    let (gaps, docs): (Vec<_>, Vec<_>) = receiver.docs().into_iter().partition(|d| d.value["title"] == "audit_gap");
    assert_eq!((gaps.len(), docs.len()), (1, 49));
    let told = |name: &str| gaps[0].value[name].clone();
    assert_eq!((told("reason"), told("from"), told("to")), ("damaged".into(), "1.1.25".into(), "1.1.25".into()));
    assert_eq!(first.ledger.missing(&docs), ["1.1.25"]);
    wait("what was kept for replay is gone", LIMIT, || segments(&dir).is_empty());
    assert_eq!(second.finish(LIMIT), 1, "something was lost\n{}", second.err());
}

#[test]
fn an_orphan_that_cannot_be_opened_now_is_adopted_later() {
    let den = Den::new("orphan-later");
    let receiver = Receiver::start();
    receiver.down();
    let (first, dir) = orphan(&den, &receiver);
    receiver.up();
    // A disk that does not give the state.
    let (state, away) = (dir.join("state"), dir.join("away"));
    std::fs::rename(&state, &away).and_then(|()| std::fs::create_dir(&state)).expect("no state");
    let mut second = Setup::new(&den).url(&receiver.url()).args(&["--instance", "new"]).picodata();
    wait("it was tried", LIMIT, || second.err().contains("cannot adopt"));
    assert!(!second.err().contains("kind:"), "words for people\n{}", second.err());
    std::fs::remove_dir(&state).and_then(|()| std::fs::rename(&away, &state)).expect("the state");
    receiver.wait_count(50, LIMIT);
    assert_eq!(second.finish(LIMIT), 0, "{}", second.err());
    assert_eq!(first.ledger.compare(&receiver.docs()), Ok(()));
}

#[test]
fn an_orphan_does_not_wait_for_the_receivers_of_others() {
    let den = Den::new("orphans");
    let (dead, well) = (Receiver::start(), Receiver::start());
    dead.down();
    well.down();
    let named = |name: &str| {
        let setup = Setup::new(&den).args(&["--instance", name]).url(&dead.url()).args(&["--name", "dead"]);
        setup.url(&well.url()).args(&["--name", "well", "--drain", "200ms"])
    };
    let told = |p: &Picodata| p.err().matches("is orphaned with").count();
    let mut before = 0;
    for i in 1..=6 {
        let mut old = named(&format!("old{i}")).picodata();
        old.events(&mut Events::new(1, i), 10, 10_000);
        assert_eq!(old.finish(LIMIT), 0);
        before = told(&old);
    }
    well.up();
    let mut new = named("new").picodata();
    well.wait_count(60, LIMIT);
    // And those that gave way have their turn again.
    dead.up();
    dead.wait_count(60, LIMIT);
    assert_eq!(new.finish(LIMIT), 0, "{}", new.err());
    assert_eq!(told(&new) - before, 6, "each is told once\n{}", new.err());
}

#[test]
fn a_state_that_is_damaged_is_told_when_it_alone_knew() {
    let den = Den::new("state-damage");
    let receiver = Receiver::start();
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--retain", "0s", "--drain", "200ms"]);
    let mut events = Events::new(1, 1);
    let mut run = || {
        let mut picodata = setup.picodata();
        picodata.stream((0..50).map(|_| events.event()), 10_000).expect("a reader");
        assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
        picodata.err().contains("`state` is damaged or gone")
    };
    assert!(!run());
    receiver.down();
    assert!(!run());
    let state = den.path().join("spool").join("default").join("state");
    let bytes = std::fs::metadata(&state).expect("a state").len();
    std::fs::write(&state, vec![0; bytes as usize]).expect("no state");
    receiver.up();
    assert!(run(), "the first fifty are in no segment any more");
    assert_eq!(receiver.count(), 150);
}

#[test]
fn what_an_orphan_still_holds_is_told_at_the_end() {
    let den = Den::new("orphan-told");
    let receiver = Receiver::start();
    receiver.down();
    drop(orphan(&den, &receiver));
    let mut second = Setup::new(&den).url(&receiver.url()).args(&["--instance", "new", "--drain", "0s"]).picodata();
    wait("it is adopted", LIMIT, || second.err().contains("is orphaned with 50"));
    assert_eq!(second.finish(LIMIT), 0, "{}", second.err());
    assert!(second.err().contains("50 events of adopted spools are left for the next start"), "{}", second.err());
    assert!(!second.err().contains("everything is delivered"), "{}", second.err());
}

#[test]
fn the_second_adopts_the_first_when_it_is_free() {
    let den = Den::new("adopt");
    let receiver = Receiver::start();
    receiver.down();
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--instance", "i1"]).exec();
    let mut first = setup.picodata();
    let mut e1 = Events::new(1, 1);
    first.events(&mut e1, 50, 10_000);
    first.write(&e1.event_saying("the last of the first")).expect("a reader");
    wait_spooled(&den.path().join("spool"), "the last of the first");
    let mut second = setup.picodata();
    let mut e2 = Events::new(1, 2);
    second.events(&mut e2, 50, 10_000);
    second.write(&e2.event_saying("the last of the second")).expect("a reader");
    wait_spooled(&den.path().join("spool"), "the last of the second");
    first.kill9_all();
    receiver.up();
    receiver.wait_count(102, LIMIT);
    assert_eq!(second.finish(LIMIT), 0, "{}", second.err());
    for ledger in [&first.ledger, &second.ledger] {
        assert_eq!(ledger.missing(&receiver.docs()), Vec::<String>::new());
    }
}

#[test]
fn without_any_writable_directory_the_cushion_alone_delivers() {
    let den = Den::new("nowhere");
    let receiver = Receiver::start();
    let blocked = den.put("a-file", "no directory");
    let setup =
        Setup::bare(&den).url(&receiver.url()).args(&["--no-config", "--spool-dir", &format!("{blocked}/spool")]);
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 500, 5000);
    receiver.wait_count(500, LIMIT);
    let code = picodata.finish(LIMIT);
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
    assert_eq!(code, 0, "nothing was lost\n{}", picodata.err());
    // Its last words may still be on their way to the one who reads them here.
    wait("an alarm says that nothing is durable", LIMIT, || picodata.err().contains("no writable spool directory"));
}

#[test]
fn a_foreign_or_damaged_directory_is_left_alone_and_another_taken() {
    let den = Den::new("foreign");
    let receiver = Receiver::start();
    let home = den.path().join("spool").join("i1");
    std::fs::create_dir_all(&home).expect("a directory");
    std::fs::write(home.join("00000000000000000001.seg"), b"this is no segment of ours at all").expect("a file");
    let mut picodata = Setup::new(&den).url(&receiver.url()).args(&["--instance", "i1"]).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 100, 5000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
    let kept = files_below(den.path()).iter().any(|(_, bytes)| text(bytes).contains("this is no segment of ours"));
    assert!(kept, "foreign bytes are never deleted");
}

/// Six megabytes of events onto a disk of one, the receiver down for the first four seconds.
fn on_a_small_disk(name: &str, args: &[&str]) {
    let den = Den::new(name);
    let receiver = Receiver::start();
    receiver.down();
    let Some(before) = on_tmpfs(&den, 1) else { return };
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--memory-max", "1M", "--event-max", "64K"]);
    let mut setup = setup.args(&["--drain", "60s"]).args(args);
    setup.before = before;
    let mut picodata = setup.picodata();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(4));
            receiver.up();
        });
        flood(&mut picodata, 20_000);
    });
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
}

#[test]
fn a_full_disk_loses_nothing_and_recovers_by_itself() {
    on_a_small_disk("enospc", &["--spool-max", "64M"]);
}

#[test]
fn a_tiny_disk_makes_a_tiny_spool_that_works() {
    on_a_small_disk("tiny", &[]);
}

#[test]
fn an_event_larger_than_a_tiny_spool_is_delivered_in_pieces() {
    let den = Den::new("tiny-event");
    let receiver = Receiver::start();
    let Some(before) = on_tmpfs(&den, 1) else { return };
    let mut setup = Setup::new(&den).url(&receiver.url());
    setup.before = before;
    let mut picodata = setup.picodata();
    let line = format!("{}\n", "x".repeat(300_000));
    picodata.write_raw(line.as_bytes()).expect("the pipe never breaks");
    picodata.write(&Events::new(1, 1).event()).expect("the pipe never breaks");
    wait("it is delivered, and what comes behind it", LIMIT, || {
        receiver.docs().iter().any(|d| d.value["id"] == "1.1.1")
    });
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let docs = receiver.docs();
    let raw: String = docs.iter().filter_map(|d| d.value["gostech"]["raw"].as_str()).collect();
    assert_eq!(raw, line.trim_end(), "all of its pieces");
    let parts: Vec<u64> = docs.iter().filter_map(|d| d.value["gostech"]["parts"].as_u64()).collect();
    assert_eq!(parts, [docs.len() as u64 - 1; 5], "each knows how many there are");
}

#[test]
fn every_sync_policy_delivers() {
    for policy in ["100ms", "always", "never"] {
        let den = Den::new("sync");
        let receiver = Receiver::start();
        let mut picodata = Setup::new(&den).url(&receiver.url()).args(&["--sync", policy]).picodata();
        let mut events = Events::new(1, 1);
        picodata.events(&mut events, 300, 3000);
        // As it comes through a pipe that is nearly full: half of a record, and the rest when there is room.
        let record = format!("{}\n", events.event());
        let (half, rest) = record.split_at(60);
        picodata.write_raw(half.as_bytes()).expect("a reader");
        std::thread::sleep(Duration::from_millis(300));
        picodata.write_raw(rest.as_bytes()).expect("a reader");
        picodata.ledger.note(record.trim_end());
        picodata.write(&events.event_saying("the last under this policy")).expect("a reader");
        wait_spooled(&den.path().join("spool"), "the last under this policy");
        assert_eq!(picodata.finish(LIMIT), 0, "{policy}: {}", picodata.err());
        assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{policy}");
    }
}
