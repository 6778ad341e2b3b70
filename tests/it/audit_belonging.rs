//! Several helpers with one spool directory: to whom a spool belongs, who may deliver it, and what is told of one that
//! nobody who runs may deliver.

use crate::harness::setup::text;
use crate::harness::{free_port, wait, Den, Events, Page, Picodata, Receiver, Setup};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

fn helper(den: &Den, receiver: &Receiver, name: &str, more: &[&str]) -> Setup {
    Setup::new(den).url(&receiver.url()).args(&["--name", name]).args(more)
}

fn tool(den: &Den, setup: &Setup, args: &[&str]) -> String {
    let out = setup.clone().tool(&[args, &["--spool-dir", &den.file("spool"), "--no-config"]].concat());
    assert_eq!(out.status.code(), Some(0), "{args:?}: {}{}", text(&out.stdout), text(&out.stderr));
    text(&out.stdout)
}

/// Runs a helper that cannot deliver, and lets it end with so many events.
fn leaves(setup: &Setup, source: u32, events: usize) -> Picodata {
    let mut picodata = setup.clone().args(&["--drain", "200ms"]).picodata();
    picodata.events(&mut Events::new(1, source), events, 10_000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    picodata
}

fn names(dir: &Path) -> Vec<String> {
    let all = std::fs::read_dir(dir).expect("a directory").flatten();
    all.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

/// Gives prod's events to nobody but prod's receiver, whatever both are called.
fn prod_and_test(name_of_prod: &str, name_of_test: &str) {
    let den = Den::new("prod-and-test");
    let (siem, other) = (Receiver::start(), Receiver::start());
    siem.down();
    let port = free_port();
    let prod = helper(&den, &siem, name_of_prod, &["--instance", "prod1"]);
    let address = format!("127.0.0.1:{port}");
    let test = helper(&den, &other, name_of_test, &["--instance", "test1", "--metrics-addr", &address]);
    let mut testing = test.picodata();
    let mut events = Events::new(1, 2);
    testing.events(&mut events, 5, 1000);
    other.wait_count(5, LIMIT);
    let first = leaves(&prod, 1, 500);
    let home: PathBuf = den.path().join("spool/prod1");
    let waits = || Page::scrape(port).sum("gostech_audit_stranded_events", &[r#"spool="prod1""#]);
    wait("it is told in the metrics", LIMIT, || waits() == Some(500.0));
    let said = testing.err();
    let at = said.find("prod1` holds 500 undelivered events").unwrap_or_else(|| panic!("{said}"));
    assert!(said[at..].contains(&siem.url()), "whose it is\n{said}");
    assert!(said[at..].contains(&format!("spool replay {} --by test1", home.display())), "the cure\n{said}");
    let page = tool(&den, &test, &["status"]);
    assert!(page.contains("STRANDED") && page.contains(&siem.url()), "{page}");
    let json: serde_json::Value = serde_json::from_str(&tool(&den, &test, &["status", "--json"])).expect("JSON");
    let stranded: Vec<bool> =
        json["spools"].as_array().expect("spools").iter().map(|s| s["stranded"] == true).collect();
    assert_eq!(stranded, [true, false], "{json:#}");
    // Ten more looks would be a hundred seconds: one more must have been enough for the old fault, and it is told once.
    std::thread::sleep(Duration::from_secs(12));
    assert_eq!(testing.err().matches("prod1` holds 500").count(), 1, "told once");
    assert_eq!(other.count(), 5, "none of prod's events");
    let cursors: Vec<String> = names(&home).into_iter().filter(|n| n.starts_with("cursor-")).collect();
    assert_eq!(cursors, [format!("cursor-{name_of_prod}")], "nobody else holds what is there");
    siem.up();
    let mut second = prod.picodata();
    siem.wait_count(500, LIMIT);
    wait("it is stranded no more", LIMIT, || waits().is_none());
    assert!(!second.err().contains("no such receiver"), "{}", second.err());
    assert_eq!((second.finish(LIMIT), testing.finish(LIMIT)), (0, 0), "{}", second.err());
    assert_eq!(first.ledger.compare(&siem.docs()), Ok(()));
    assert_eq!(testing.ledger.compare(&other.docs()), Ok(()));
}

#[test]
fn a_spool_of_other_receivers_is_not_adopted_under_equal_names() {
    prod_and_test("r1", "r1");
}

#[test]
fn a_spool_of_other_receivers_is_not_adopted_under_other_names() {
    prod_and_test("siem", "test");
}

/// What a helper has left that will never run again is delivered by another one, when an administrator says so.
#[test]
fn a_stranded_spool_is_delivered_by_whom_an_administrator_names() {
    let den = Den::new("stranded-cure");
    let (siem, other) = (Receiver::start(), Receiver::start());
    siem.down();
    let first = leaves(&helper(&den, &siem, "siem", &["--cluster", "prod", "--instance", "prod1"]), 1, 50);
    let test = helper(&den, &other, "r1", &["--cluster", "test", "--instance", "test1"]);
    let mut testing = test.picodata();
    wait("it is told", LIMIT, || testing.err().contains("prod1` holds 50 undelivered"));
    assert!(testing.err().contains("cluster prod, instance prod1"), "{}", testing.err());
    let home = den.file("spool/prod1");
    let said = tool(&den, &test, &["spool", "replay", &home, "--by", "test1"]);
    assert!(said.contains("50 events queued") && said.contains("within some ten seconds"), "{said}");
    other.wait_count(50, LIMIT);
    assert_eq!(first.ledger.compare(&other.docs()), Ok(()), "under their own ids");
    assert!(testing.err().contains("is an ordered replay of 50 events"), "{}", testing.err());
    assert!(!testing.err().contains("orphaned"), "{}", testing.err());
    assert_eq!(testing.finish(LIMIT), 0, "{}", testing.err());
    let refused = |args: &[&str]| {
        let out = test.clone().tool(&[args, &["--spool-dir", &den.file("spool"), "--no-config"]].concat());
        assert_ne!(out.status.code(), Some(0), "{}", text(&out.stdout));
        text(&out.stderr)
    };
    assert!(refused(&["spool", "replay", &home, "--by", "nobody"]).contains("`nobody` is no spool"));
    assert!(refused(&["spool", "replay", "--by", "test1"]).contains("spool replay DIR --by NAME"));
}

/// A replay is for the receivers of the spool from which it comes, whoever looks first.
#[test]
fn a_replay_is_taken_by_its_own_helper_alone() {
    let den = Den::new("replay-own");
    let (siem, other) = (Receiver::start(), Receiver::start());
    let prod = helper(&den, &siem, "r1", &["--instance", "prod1"]);
    let mut picodata = prod.picodata();
    picodata.events(&mut Events::new(1, 1), 50, 10_000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let home = den.file("spool/prod1");
    let said = tool(&den, &prod, &["spool", "replay", &home, "--from", "1.1.1", "--to", "1.1.50"]);
    assert!(said.contains("at its next start"), "{said}");
    let mut testing = helper(&den, &other, "r1", &["--instance", "test1"]).picodata();
    wait("it is told", LIMIT, || testing.err().contains("holds 50 undelivered events"));
    assert!(testing.err().contains("prod1.replay-"), "{}", testing.err());
    let mut again = prod.picodata();
    wait("each came twice", LIMIT, || siem.repeats() == 50);
    assert_eq!((again.finish(LIMIT), testing.finish(LIMIT)), (0, 0), "{}", again.err());
    assert_eq!(other.count(), 0);
}

/// The same instance name in two clusters: the second does not move into the home of the first.
#[test]
fn a_home_of_another_cluster_is_not_taken() {
    let den = Den::new("clusters");
    let (siem, other) = (Receiver::start(), Receiver::start());
    siem.down();
    let prod = helper(&den, &siem, "r1", &["--cluster", "prod", "--instance", "i1"]);
    let first = leaves(&prod, 1, 50);
    let mut testing = helper(&den, &other, "r1", &["--cluster", "test", "--instance", "i1"]).picodata();
    testing.events(&mut Events::new(1, 2), 5, 1000);
    other.wait_count(5, LIMIT);
    assert!(testing.err().contains("belongs to another helper (cluster prod, instance i1"), "{}", testing.err());
    assert!(names(&den.path().join("spool")).contains(&"i1.2".to_owned()));
    siem.up();
    let mut second = prod.picodata();
    siem.wait_count(50, LIMIT);
    assert_eq!((second.finish(LIMIT), testing.finish(LIMIT)), (0, 0), "{}", second.err());
    assert_eq!(first.ledger.compare(&siem.docs()), Ok(()));
    assert_eq!(other.count(), 5);
}

/// Without `--instance` several helpers have the same names to choose from: whoever starts first finds his own.
#[test]
fn a_helper_without_a_name_finds_its_own_home_again() {
    let den = Den::new("nameless");
    let (siem, other) = (Receiver::start(), Receiver::start());
    siem.down();
    let (prod, test) = (helper(&den, &siem, "r1", &[]), helper(&den, &other, "r1", &[]));
    let mut first = prod.clone().args(&["--drain", "200ms"]).picodata();
    first.events(&mut Events::new(1, 1), 50, 10_000);
    first.wait_worker(None);
    wait("it has its home", LIMIT, || den.path().join("spool/default/owner").exists());
    let mut testing = test.picodata();
    wait("the second has its home", LIMIT, || den.path().join("spool/default.2/owner").exists());
    assert_eq!((first.finish(LIMIT), testing.finish(LIMIT)), (0, 0));
    let mut testing = test.picodata();
    testing.events(&mut Events::new(1, 2), 5, 1000);
    other.wait_count(5, LIMIT);
    siem.up();
    let mut second = prod.picodata();
    siem.wait_count(50, LIMIT);
    assert_eq!((second.finish(LIMIT), testing.finish(LIMIT)), (0, 0), "{}", second.err());
    assert_eq!(other.count(), 5);
}

/// A receiver that has moved: the helper's own events go to its new place, and that is said.
#[test]
fn what_waits_goes_to_the_new_place_of_a_receiver() {
    let den = Den::new("moved");
    let (old, new) = (Receiver::start(), Receiver::start());
    old.down();
    let first = leaves(&helper(&den, &old, "r1", &["--instance", "i1"]), 1, 50);
    let mut second = helper(&den, &new, "r1", &["--instance", "i1"]).picodata();
    new.wait_count(50, LIMIT);
    assert_eq!(second.finish(LIMIT), 0, "{}", second.err());
    assert_eq!(first.ledger.compare(&new.docs()), Ok(()));
    assert!(
        second.err().contains(&format!("was meant for instance i1, receiver r1 ({}", old.url())),
        "{}",
        second.err()
    );
}

/// The same when the home was still held while the next helper started: what it left there is the instance's own.
#[test]
fn what_an_instance_has_left_in_another_home_goes_to_the_new_place_of_a_receiver() {
    let den = Den::new("moved-beside");
    let (old, new) = (Receiver::start(), Receiver::start());
    old.down();
    let first = leaves(&helper(&den, &old, "r1", &["--instance", "i1"]), 1, 50);
    let lock = std::fs::File::open(den.path().join("spool/i1/lock")).expect("a lock");
    assert!(gostech::sys::file::lock(&lock).expect("an answer"));
    let mut second = helper(&den, &new, "r1", &["--instance", "i1"]).picodata();
    wait("it has another home", LIMIT, || den.path().join("spool/i1.2/owner").exists());
    drop(lock);
    new.wait_count(50, LIMIT);
    assert_eq!(second.finish(LIMIT), 0, "{}", second.err());
    assert_eq!(first.ledger.compare(&new.docs()), Ok(()));
}

/// What stands in the file of the owner holds no secret.
#[test]
fn no_secret_stands_in_the_owner() {
    let den = Den::new("owner-secret");
    let receiver = Receiver::start();
    let url = receiver.url().replace("http://", "http://user:pa55word@") + "?token=t0ken";
    let mut picodata = Setup::new(&den).url(&url).args(&["--instance", "i1"]).picodata();
    picodata.events(&mut Events::new(1, 1), 5, 1000);
    receiver.wait_count(5, LIMIT);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let owner = std::fs::read_to_string(den.path().join("spool/i1/owner")).expect("an owner");
    assert!(owner.contains("receiver r1\nplace http://127.0.0.1:"), "{owner}");
    assert!(!owner.contains("pa55word") && !owner.contains("t0ken") && !owner.contains("user"), "{owner}");
}
