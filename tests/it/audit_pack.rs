//! Packed segments from outside: a small spool holds a long outage, and everything that reads a spool reads both kinds.

use crate::harness::setup::{files_below, text};
use crate::harness::{free_port, procs, wait, Den, Events, Page, Receiver, Setup};
use serde_json::Value;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);
const SMALL: [&str; 6] = ["--spool-max", "1M", "--memory-max", "1M", "--event-max", "64K"];

#[test]
fn what_waits_is_packed_and_read_by_all_as_before() {
    let den = Den::new("pack");
    let receiver = Receiver::start();
    receiver.down();
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let setup =
        Setup::new(&den).url(&receiver.url()).args(&SMALL).args(&["--drain", "60s", "--metrics-addr", &address]);
    let mut picodata = setup.picodata();
    // Six times as much as the bound lets be, and nobody takes any of it: all of it is read.
    let (mut events, total) = (Events::new(1, 1), 20_000);
    picodata.events(&mut events, total, 1_000_000);
    wait("everything read", LIMIT, || Page::scrape(port).must("gostech_audit_read_total", &[]) >= total as f64);
    wait("most of it packed", LIMIT, || Page::scrape(port).must("gostech_audit_packed_segments", &[]) > 50.0);
    let page = Page::scrape(port);
    let of = |name: &str| page.must(name, &[]);
    assert!(of("gostech_audit_spool_bytes") <= 1_048_576.0 + 65_536.0, "{}", page.text);
    assert!(of("gostech_audit_packed_plain_bytes") > 6.0 * of("gostech_audit_packed_bytes"), "{}", page.text);
    let status = setup.tool(&["status", "--spool-dir", &den.file("spool"), "--no-config"]);
    let packed = |l: &str| l.trim_start().starts_with("packed ") && l.contains(" segments of it: ");
    let (said, complaint) = (text(&status.stdout), text(&status.stderr));
    assert!(said.lines().any(packed), "{:?}: {said}{complaint}", status.status);
    // A worker that takes over reads what the one before has packed; so do the commands, while it runs.
    let before = picodata.family().worker;
    assert!(procs::kill9(before.expect("a worker")), "it was gone by itself");
    picodata.wait_worker(before);
    let tool = |command: &str| setup.tool(&["spool", command, "--spool-dir", &den.file("spool"), "--no-config"]);
    let (verified, exported) = (tool("verify"), tool("export"));
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified.stdout));
    let lines: Vec<Value> = text(&exported.stdout).lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let numbers: Vec<String> = lines.iter().filter_map(|v| v["id"].as_str().map(String::from)).collect();
    assert_eq!(numbers, (1..=total).map(|n| format!("1.1.{n}")).collect::<Vec<_>>());
    receiver.up();
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
}

#[test]
fn damage_in_a_packed_segment_is_found_told_and_repaired() {
    let den = Den::new("pack-damage");
    let receiver = Receiver::start();
    receiver.down();
    let setup = Setup::new(&den).url(&receiver.url()).args(&SMALL).args(&["--drain", "1ms"]);
    let mut picodata = setup.picodata();
    picodata.events(&mut Events::new(1, 1), 3000, 1_000_000);
    let segments =
        || files_below(&den.path().join("spool")).into_iter().filter(|(p, _)| p.to_string_lossy().ends_with("-1.seg"));
    wait("packed segments", LIMIT, || segments().count() > 3);
    picodata.finish(LIMIT);
    let (path, mut bytes) = segments().next().expect("one of them");
    let middle = 2048 + (bytes.len() - 2048) / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("the segment");
    let tool = |args: &[&str]| setup.tool(&[args, &["--spool-dir", &den.file("spool"), "--no-config"]].concat());
    assert_eq!(tool(&["spool", "verify"]).status.code(), Some(1));
    let repaired = tool(&["spool", "repair", "--apply"]);
    assert_eq!(repaired.status.code(), Some(0), "{}", text(&repaired.stdout));
    let verified = text(&tool(&["spool", "verify"]).stdout);
    receiver.up();
    let mut again = setup.picodata();
    wait("the gap told", LIMIT, || receiver.docs().iter().any(|d| d.value["title"] == "audit_gap"));
    again.finish(LIMIT);
    let docs = receiver.docs();
    let gap = docs.iter().find(|d| d.value["title"] == "audit_gap").expect("told");
    let missing = picodata.ledger.missing(&docs);
    assert!(!missing.is_empty() && missing.len() < 3000, "{verified}");
    assert_eq!(gap.value["missing"].as_u64(), Some(missing.len() as u64), "{gap:?}");
}

#[test]
fn never_packs_nothing() {
    let den = Den::new("pack-never");
    let receiver = Receiver::start();
    receiver.down();
    let setup = Setup::new(&den).url(&receiver.url()).args(&SMALL).args(&["--spool-pack", "never", "--drain", "60s"]);
    let mut picodata = setup.picodata();
    picodata.events(&mut Events::new(1, 1), 2000, 1_000_000);
    let status = || -> Value {
        let out = setup.tool(&["status", "--json", "--spool-dir", &den.file("spool"), "--no-config"]).stdout;
        serde_json::from_str(&text(&out)).unwrap_or_default()
    };
    wait("all of it there", LIMIT, || status()["spools"][0]["counters"]["read"] == 2000);
    std::thread::sleep(Duration::from_millis(500));
    let status = status();
    assert_eq!(status["spools"][0]["packed"]["segments"], 0, "{status}");
    receiver.up();
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}
