//! The commands that look into a spool from outside (verify, export, replay, forget), and a spool that was damaged.

use crate::harness::setup::{files_below, text};
use crate::harness::{wait, Den, Events, Ledger, Mode, Receiver, Setup};
use std::process::Output;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

fn spooled(den: &Den, n: usize) -> (Ledger, Receiver, Setup) {
    let receiver = Receiver::start();
    receiver.down();
    let setup = Setup::new(den).url(&receiver.url()).args(&["--instance", "i1"]);
    let mut picodata = setup.clone().args(&["--drain", "100ms"]).picodata();
    let mut events = Events::new(1, 1);
    for _ in 0..n {
        picodata.write(&events.event()).expect("a reader");
    }
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    (picodata.ledger.clone(), receiver, setup)
}

fn spool_tool(den: &Den, setup: &Setup, args: &[&str]) -> Output {
    setup.tool(&[args, &["--spool-dir", &den.file("spool"), "--no-config"]].concat())
}

/// Turns one byte of the record that holds the text.
fn damage(den: &Den, needle: &str) {
    for (path, mut bytes) in files_below(&den.path().join("spool")) {
        if let Some(at) = bytes.windows(needle.len()).position(|w| w == needle.as_bytes()) {
            bytes[at] ^= 0x40;
            std::fs::write(&path, bytes).expect("the segment");
            return;
        }
    }
    panic!("no file of the spool holds {needle}");
}

#[test]
fn verify_says_clean_and_not_clean() {
    let den = Den::new("verify");
    let (_, _, setup) = spooled(&den, 200);
    let clean = spool_tool(&den, &setup, &["spool", "verify"]);
    assert_eq!(clean.status.code(), Some(0), "{}{}", text(&clean.stdout), text(&clean.stderr));
    damage(&den, "1.1.100\"");
    let broken = spool_tool(&den, &setup, &["spool", "verify"]);
    assert_eq!(broken.status.code(), Some(1), "{}{}", text(&broken.stdout), text(&broken.stderr));
    let usage = spool_tool(&den, &setup, &["spool", "verify", "--no-such-option"]);
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn damage_is_set_aside_told_and_skipped() {
    let den = Den::new("damage");
    let (ledger, receiver, setup) = spooled(&den, 200);
    damage(&den, "1.1.100\"");
    receiver.up();
    let mut picodata = setup.picodata();
    receiver.wait_count(199, LIMIT);
    let code = picodata.finish(LIMIT);
    let missing = ledger.missing(&receiver.docs());
    assert_eq!(missing, ["1.1.100"], "{}", picodata.err());
    let gap = receiver.docs().into_iter().find(|d| d.value["title"] == "audit_gap");
    assert_eq!(gap.expect("a gap").value["reason"], "damaged");
    assert_eq!(code, 1, "something was lost: {}", picodata.err());
    let aside = files_below(den.path()).into_iter().any(|(p, _)| p.to_string_lossy().contains(".bad"));
    assert!(aside, "the bytes are set aside");
}

#[test]
fn a_torn_tail_is_cut_and_the_rest_delivered() {
    let den = Den::new("torn");
    let (ledger, receiver, setup) = spooled(&den, 100);
    let segment = files_below(&den.path().join("spool"))
        .into_iter()
        .find(|(_, bytes)| text(bytes).contains("1.1.100\""))
        .expect("a segment")
        .0;
    let file = std::fs::OpenOptions::new().append(true).open(segment).expect("the segment");
    std::io::Write::write_all(&mut &file, &[0x17; 37]).expect("garbage at the tail");
    receiver.up();
    let mut picodata = setup.picodata();
    picodata
        .write(&{
            let mut later = Events::new(1, 2);
            later.event()
        })
        .expect("a reader");
    receiver.wait_count(101, LIMIT);
    picodata.finish(LIMIT);
    assert_eq!(ledger.missing(&receiver.docs()), Vec::<String>::new());
}

#[test]
fn export_gives_every_record_back() {
    let den = Den::new("export");
    let (ledger, _, setup) = spooled(&den, 100);
    let out = spool_tool(&den, &setup, &["spool", "export"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let exported = text(&out.stdout);
    for record in ledger.records() {
        let value: serde_json::Value = serde_json::from_str(record).expect("JSON");
        let id = format!("\"id\":\"{}\"", value["id"].as_str().unwrap_or(""));
        assert!(exported.contains(&id), "{id} is not exported");
    }
    assert!(exported.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()), "a line a record, JSON");
}

#[test]
fn replay_sends_again_what_was_acknowledged() {
    let den = Den::new("replay");
    let receiver = Receiver::start();
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--instance", "i1"]);
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 100, 10_000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(receiver.repeats(), 0);
    let out = spool_tool(&den, &setup, &["spool", "replay", "--from", "1.1.20", "--to", "1.1.29"]);
    assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
    let mut next = setup.picodata();
    wait("ten repeats under the same ids", LIMIT, || receiver.repeats() >= 10);
    assert_eq!(next.finish(LIMIT), 0, "{}", next.err());
    assert_eq!((receiver.count(), receiver.repeats()), (100, 10));
}

#[test]
fn forget_unpins_what_nobody_will_take() {
    let den = Den::new("forget");
    let (a, b) = (Receiver::start(), Receiver::start());
    b.down();
    let both =
        Setup::new(&den).url(&a.url()).url(&b.url()).args(&["--name", "gone", "--drain", "200ms", "--retain", "0s"]);
    let mut first = both.picodata();
    let mut events = Events::new(1, 1);
    first.events(&mut events, 50, 10_000);
    a.wait_count(50, LIMIT);
    assert_eq!(first.finish(LIMIT), 0);
    let mut second = Setup::new(&den).url(&a.url()).args(&["--retain", "0s"]).picodata();
    let mut later = Events::new(1, 2);
    second.write(&later.event()).expect("a reader");
    a.wait_count(51, LIMIT);
    assert_eq!(second.finish(LIMIT), 0);
    let warned = second.err();
    assert!(warned.contains("gone"), "a cursor without a receiver is warned about: {warned}");
    let out = spool_tool(&den, &both, &["spool", "forget", "gone"]);
    assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
    let mut third = Setup::new(&den).url(&a.url()).args(&["--retain", "0s"]).picodata();
    third.write(&later.event()).expect("a reader");
    a.wait_count(52, LIMIT);
    assert_eq!(third.finish(LIMIT), 0);
    let news = third.err().split_off(warned.len());
    assert!(!news.contains("gone"), "what is forgotten is not warned about: {news}");
}

#[test]
fn looking_at_a_running_helper_changes_nothing_and_a_repair_is_refused() {
    let den = Den::new("looking");
    let receiver = Receiver::start();
    receiver.down();
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--instance", "i1"]);
    let mut picodata = setup.clone().args(&["--drain", "100ms"]).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 200, 10_000);
    let verified = || spool_tool(&den, &setup, &["spool", "verify"]);
    wait("all records in the spool", LIMIT, || text(&verified().stdout).contains("clean (200 records"));
    // Both are first saved a moment after the first record.
    let house = den.path().join("spool/i1");
    wait("a state and a cursor", LIMIT, || house.join("state").exists() && house.join("cursor-r1").exists());
    // Cursors and state still move; records and names do not.
    let still = || -> Vec<_> {
        let all = files_below(&den.path().join("spool"));
        let small = |p: &std::path::Path| p.ends_with("state") || p.to_string_lossy().contains("cursor-");
        all.into_iter().map(|(p, bytes)| if small(&p) { (p, Vec::new()) } else { (p, bytes) }).collect()
    };
    let before = still();
    let page = spool_tool(&den, &setup, &["status"]);
    assert_eq!(page.status.code(), Some(0));
    assert!(text(&page.stdout).contains("i1: in use by process"), "{}", text(&page.stdout));
    assert_eq!(text(&spool_tool(&den, &setup, &["spool", "export"]).stdout).lines().count(), 200);
    let repair = spool_tool(&den, &setup, &["spool", "repair", "--apply"]);
    assert_eq!(repair.status.code(), Some(1));
    assert!(text(&repair.stdout).contains("needs the helper stopped"), "{}", text(&repair.stdout));
    assert_eq!(still(), before);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert!(text(&spool_tool(&den, &setup, &["status"]).stdout).contains("i1: no helper runs"));
}

#[test]
fn a_running_helper_takes_up_a_replay_and_removes_it_when_it_is_drained() {
    let den = Den::new("replay-live");
    let (a, b) = (Receiver::start(), Receiver::start());
    let setup = Setup::new(&den).url(&a.url()).url(&b.url()).args(&["--instance", "i1"]);
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 50, 10_000);
    a.wait_count(50, LIMIT);
    b.wait_count(50, LIMIT);
    let out = spool_tool(&den, &setup, &["spool", "replay", "--from", "1.1.11", "--to", "1.1.15"]);
    assert!(text(&out.stdout).starts_with("5 events queued"), "{}{}", text(&out.stdout), text(&out.stderr));
    wait("five repeats to each", LIMIT, || a.repeats() == 5 && b.repeats() == 5);
    let gone = || std::fs::read_dir(den.path().join("spool")).expect("the spool").count() == 1;
    wait("the replay is gone", LIMIT, gone);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&a.docs()), Ok(()));
}

#[test]
fn a_retry_under_a_running_helper_reaches_the_receiver_that_refused_and_no_other() {
    let den = Den::new("retry-live");
    let (a, b) = (Receiver::start(), Receiver::start());
    a.set(Mode::Marker(422, "poison".into()));
    let setup = Setup::new(&den).url(&a.url()).url(&b.url());
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    let mut say = |text: &str, picodata: &mut crate::harness::Picodata| {
        picodata.write(&events.event_saying(text)).expect("a reader");
    };
    say("good", &mut picodata);
    say("poison one", &mut picodata);
    say("good", &mut picodata);
    a.wait_count(2, LIMIT);
    b.wait_count(3, LIMIT);
    let held = || text(&spool_tool(&den, &setup, &["quarantine", "list"]).stdout);
    wait("one in quarantine", LIMIT, || held().contains("1 event refused by r1"));
    let out = spool_tool(&den, &setup, &["quarantine", "retry", "r1"]);
    assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
    // The helper, which had the file open, puts the next one into a new file.
    say("poison two", &mut picodata);
    say("good", &mut picodata);
    a.wait_count(3, LIMIT);
    wait("the next in quarantine", LIMIT, || held().contains("poison two") || held().contains("1.1.4/"));
    a.set(Mode::Healthy);
    a.wait_count(4, LIMIT);
    wait("the retry is gone", LIMIT, || std::fs::read_dir(den.path().join("spool")).expect("the spool").count() == 1);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.missing(&a.docs()), ["1.1.4"]);
    assert_eq!((b.count(), b.repeats()), (5, 0), "the other receiver has everything once");
}

#[test]
fn repair_makes_a_damaged_spool_clean_and_the_rest_is_delivered() {
    let den = Den::new("repair");
    let (ledger, receiver, setup) = spooled(&den, 200);
    damage(&den, "1.1.100\"");
    let plan = spool_tool(&den, &setup, &["spool", "repair"]);
    assert_eq!(plan.status.code(), Some(1), "{}", text(&plan.stdout));
    assert!(text(&plan.stdout).contains("would") && text(&plan.stdout).contains("rewrite"), "{}", text(&plan.stdout));
    let done = spool_tool(&den, &setup, &["spool", "repair", "--apply"]);
    assert_eq!(done.status.code(), Some(0), "{}{}", text(&done.stdout), text(&done.stderr));
    let out = spool_tool(&den, &setup, &["spool", "export"]);
    assert_eq!((out.status.code(), text(&out.stdout).lines().count()), (Some(0), 199));
    receiver.up();
    let mut picodata = setup.picodata();
    receiver.wait_count(200, LIMIT);
    picodata.finish(LIMIT);
    assert_eq!(ledger.missing(&receiver.docs()), ["1.1.100"], "{}", picodata.err());
    assert!(receiver.docs().iter().any(|d| d.value["title"] == "audit_gap"), "and it is told");
    let verified = spool_tool(&den, &setup, &["spool", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified.stdout));
    assert!(text(&verified.stdout).contains("the receivers were told"), "{}", text(&verified.stdout));
}

#[test]
fn forget_under_a_running_helper() {
    let den = Den::new("forget-live");
    let (a, b) = (Receiver::start(), Receiver::start());
    b.down();
    let both = Setup::new(&den).url(&a.url()).url(&b.url()).args(&["--name", "gone", "--drain", "200ms"]);
    let mut first = both.picodata();
    let mut events = Events::new(1, 1);
    first.events(&mut events, 50, 10_000);
    a.wait_count(50, LIMIT);
    assert_eq!(first.finish(LIMIT), 0);
    let mut second = Setup::new(&den).url(&a.url()).args(&["--retain", "0s"]).picodata();
    second.write(&events.event()).expect("a reader");
    a.wait_count(51, LIMIT);
    let out = spool_tool(&den, &both, &["spool", "forget", "gone"]);
    assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
    let refused = spool_tool(&den, &both, &["spool", "forget", "r1"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stdout));
    second.write(&events.event()).expect("a reader");
    a.wait_count(52, LIMIT);
    assert_eq!(second.finish(LIMIT), 0, "{}", second.err());
    let names: Vec<String> =
        files_below(&den.path().join("spool")).iter().map(|(p, _)| p.display().to_string()).collect();
    assert!(!names.iter().any(|n| n.ends_with("cursor-gone") || n.contains("/forget-")), "{names:?}");
}

/// A spool belongs to the user of the database; whoever else looks must not hear that there is none.
#[test]
fn a_spool_that_may_not_be_read_is_not_called_absent() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let den = Den::new("closed");
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
    };
    let closed = den.path().join("spool/i1");
    std::fs::create_dir_all(&closed).expect("a directory");
    std::fs::write(closed.join("lock"), "").expect("a file");
    mode(&closed, 0o000);
    let program = den.path().join("program");
    std::fs::copy(crate::harness::setup::binary(), &program).expect("a copy that anyone may run");
    mode(&program, 0o755);
    mode(den.path(), 0o755);
    for command in [&["status"][..], &["spool", "verify"], &["spool", "forget", "r1"], &["quarantine", "list"]] {
        let mut call = std::process::Command::new(&program);
        call.args(command).args(["--no-config", "--spool-dir", &den.file("spool")]);
        // Root may read everything: somebody else looks then.
        if std::fs::read_dir(&closed).is_ok() {
            call.uid(65534).gid(65534);
        }
        let out = call.output().expect("it runs");
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{command:?}: {said}");
        assert!(said.contains("/spool/i1`: Permission denied; run this as the user"), "{command:?}: {said}");
    }
    mode(&closed, 0o700);
}

/// Root may read everything; whoever runs the helper may not.
#[test]
fn check_as_root_looks_with_the_rights_of_the_spools_owner_at_every_file() {
    if !gostech::sys::user::is_root() {
        return;
    }
    let den = Den::new("check-as");
    let receiver = Receiver::start();
    let open = |path: &str, mode: u32| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("a mode");
    };
    open(&den.path().display().to_string(), 0o755);
    let spool = den.file("spool");
    std::fs::create_dir(&spool).expect("a directory");
    std::os::unix::fs::chown(&spool, Some(65_534), Some(65_534)).expect("an owner");
    let files = ["token", "header", "ca.pem", "key.pem", "certificate.pem"].map(|f| den.put(f, "s3cret"));
    files.iter().for_each(|f| open(f, 0o600));
    let header = format!("X-Key: @{}", files[1]);
    let options = ["--no-config", "--spool-dir", &spool, "--url", &receiver.url().replace("http:", "https:")];
    let secret = ["--token-file", &files[0], "--header", &header, "--ca-certificate", &files[2]];
    let tls = ["--private-key", &files[3], "--certificate", &files[4]];
    let setup = Setup::bare(&den);
    let check = |more: &[&str]| {
        let out = setup.tool(&[&["check"], &options[..], &secret, &tls, more].concat());
        (out.status.code(), format!("{}{}", text(&out.stdout), text(&out.stderr)))
    };
    for more in [&[][..], &["--as", "65534"]] {
        let (code, said) = check(more);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("with the rights of `nobody`"), "{said}");
        for file in &files {
            let told =
                said.lines().any(|l| l.starts_with("wrong") && l.contains(file) && l.contains("Permission denied"));
            assert!(told, "{file}\n{said}");
        }
        assert!(!said.contains("for its owner alone") && !said.contains("s3cret"), "{said}");
    }
    let (code, said) = check(&["--as", "no-such-user"]);
    assert!(code == Some(1) || code == Some(2), "{said}");
    assert!(said.contains("there is no user"), "{said}");
}
