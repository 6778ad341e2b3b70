//! `status`, the page, the metrics and the log when it matters: the same words and figures, of one moment, and first what is
//! wrong. The helper that runs is asked; where none answers that is said, and how old the figures are.

use crate::harness::page::get;
use crate::harness::setup::text;
use crate::harness::{free_port, procs, wait, Den, Events, Picodata, Receiver, Setup};
use crate::lab::real::on_tmpfs;
use serde_json::Value;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);
// Full soon, whatever packs well.
const TINY: [&str; 8] = ["--spool-max", "1M", "--spool-pack", "never", "--memory-max", "1M", "--event-max", "64K"];

fn of_spool<'a>(setup: &'a Setup, words: &[&'a str]) -> Vec<&'a str> {
    let at = setup.args.iter().position(|a| a == "--spool-dir").expect("a spool") + 1;
    [words, &["--no-config", "--spool-dir", &setup.args[at]]].concat()
}

fn status(setup: &Setup) -> String {
    text(&setup.tool(&of_spool(setup, &["status"])).stdout)
}

fn status_json(setup: &Setup) -> Value {
    let out = setup.tool(&of_spool(setup, &["status", "--json"])).stdout;
    if out.is_empty() {
        // There is no spool yet.
        return Value::Null;
    }
    let all: Value = serde_json::from_slice(&out).unwrap_or_else(|e| panic!("{e}: {}", text(&out)));
    all["spools"][0].clone()
}

/// For each receiver read + own is the sum of its parts.
fn assert_of_one_moment(s: &Value) {
    let n = |v: &Value| v.as_u64().unwrap_or_else(|| panic!("{v} in {s}"));
    for r in s["receivers"].as_array().expect("receivers") {
        let parts = ["delivered", "quarantined", "dropped", "filtered", "waiting"].map(|p| n(&r[p]));
        assert_eq!(n(&s["counters"]["read"]) + n(&s["counters"]["own"]), parts.iter().sum::<u64>(), "{s:#}");
    }
}

fn socket(den: &Den) -> PathBuf {
    den.path().join("spool/default/status.sock")
}

#[test]
fn a_standstill_stands_first_in_status_page_metrics_and_log() {
    let den = Den::new("status-block");
    let receiver = Receiver::start();
    receiver.down();
    let port = free_port();
    let setup =
        Setup::new(&den).url(&receiver.url()).args(&TINY).args(&["--metrics-addr", &format!("127.0.0.1:{port}")]);
    let mut picodata = setup.picodata();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut events = Events::new(1, 1);
            (0..20_000).for_each(|_| picodata.write(&events.event()).expect("the pipe never breaks"));
        });
        wait("status says so", LIMIT, || status(&setup).starts_with("default: THE DATABASE WAITS since "));
        assert!(!writer.is_finished());
        let said = status(&setup);
        let of_receiver = said.lines().find(|l| l.contains("r1 HAS NOT TAKEN EVENTS since "));
        assert!(of_receiver.is_some_and(|l| l.contains(&receiver.port().to_string())), "{said}");
        let json = status_json(&setup);
        assert_eq!((&json["answered"], &json["wrong"][0]["id"]), (&true.into(), &"database-waits".into()), "{json:#}");
        assert_of_one_moment(&json);
        let (head, ready) = get(port, "/-/ready").expect("a page");
        assert!(
            head.contains(" 503 ") && ready.starts_with("THE DATABASE WAITS since ") && ready.contains("SPOOL IS FULL"),
            "{ready}"
        );
        let (_, metrics) = get(port, "/metrics").expect("a page");
        for line in [
            "alarms{id=\"database-waits\",gravity=\"critical\"} 1",
            "database_waits 1",
            "alarms{id=\"disk-full\",gravity=\"critical\"} 0",
        ] {
            assert!(metrics.contains(&format!("gostech_audit_{line}\n")), "{line}\n{metrics}");
        }
        let (_, html) = get(port, "/").expect("a page");
        let verdict =
            "<p class=\"verdict bad\">nothing is read any more and the pipe is full: the database stands still";
        assert!(html.find(verdict).is_some_and(|at| at < html.find("<main>").expect("the rest")), "{html}");
        receiver.up();
        wait("all is well again", LIMIT, || get(port, "/-/ready").is_some_and(|(head, _)| head.contains(" 200 ")));
    });
    assert!(!status(&setup).contains("THE DATABASE WAITS"));
    let err = picodata.finish_and_err();
    assert!(err.contains("the database waits: the spool is full and a receiver does not take events"), "{err}");
}

#[test]
fn figures_are_of_one_moment_under_load() {
    let den = Den::new("status-load");
    let receiver = Receiver::start();
    let setup = Setup::new(&den).url(&receiver.url());
    let mut picodata = setup.picodata();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| picodata.events(&mut Events::new(1, 1), 60_000, 10_000_000));
        let mut answered = 0;
        while !writer.is_finished() || answered < 3 {
            let s = status_json(&setup);
            if s["answered"] == true {
                assert_of_one_moment(&s);
                answered += 1;
            }
        }
    });
    picodata.finish_and_err();
}

#[test]
fn a_helper_that_does_not_answer_is_told_and_so_is_how_old_the_figures_are() {
    let den = Den::new("status-stopped");
    let receiver = Receiver::start();
    receiver.down();
    let setup = Setup::new(&den).url(&receiver.url());
    let mut picodata = setup.picodata();
    picodata.events(&mut Events::new(1, 1), 100, 1_000_000);
    wait("they are in the spool", LIMIT, || status_json(&setup)["counters"]["read"] == 100);
    let meta = std::fs::metadata(socket(&den)).expect("a socket");
    assert!(meta.file_type().is_socket() && meta.permissions().mode() & 0o777 == 0o600, "{meta:?}");
    assert!(status(&setup).contains("100 events waiting"));
    let worker = picodata.wait_worker(None);
    procs::signal("STOP", i64::from(worker));
    let begun = Instant::now();
    let said = status(&setup);
    assert!(begun.elapsed() < Duration::from_secs(20), "it waits within bounds");
    assert!(said.starts_with("default: THE HELPER DOES NOT ANSWER (process "), "{said}");
    assert!(said.contains("100 events waiting") && said.contains("figures as of "), "{said}");
    procs::signal("CONT", i64::from(worker));
    wait("it answers again", LIMIT, || status_json(&setup)["answered"] == true);
    // All are killed: the socket is left behind, and is nothing to anybody.
    picodata.kill9_all();
    assert!(socket(&den).exists());
    let json = status_json(&setup);
    assert_eq!((&json["answered"], &json["in_use"], json["as_of"].is_string()), (&false.into(), &false.into(), true));
    assert_of_one_moment(&json);
    assert!(status(&setup).contains("no helper runs; figures as of "), "{}", status(&setup));
    let verified = setup.tool(&of_spool(&setup, &["spool", "verify"]));
    assert!(verified.status.success(), "{}{}", text(&verified.stdout), text(&verified.stderr));
    receiver.up();
    let mut picodata = setup.picodata();
    receiver.wait_count(100, LIMIT);
    wait("the next one answers", LIMIT, || status_json(&setup)["answered"] == true);
    picodata.finish_and_err();
    assert!(!socket(&den).exists(), "it goes with its owner");
}

#[test]
fn a_directory_longer_than_an_address_is_no_hindrance() {
    let den = Den::new("status-long");
    let receiver = Receiver::start();
    let dir = den.path().join("d".repeat(120)).join("e".repeat(120));
    let setup =
        Setup::bare(&den).url(&receiver.url()).args(&["--no-config", "--spool-dir", &dir.display().to_string()]);
    let mut picodata = setup.picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    receiver.wait_count(1, LIMIT);
    wait("it answers", LIMIT, || status_json(&setup)["answered"] == true);
    picodata.finish_and_err();
}

#[test]
fn a_full_disk_stands_first_and_what_is_dropped_is_counted_alike() {
    let (den, receiver, port) = (Den::new("status-disk"), Receiver::start(), free_port());
    let Some(before) = on_tmpfs(&den, 4) else { return };
    receiver.down();
    let mut setup = Setup::new(&den).exec().url(&receiver.url()).args(&["--spool-max", "64M", "--memory-max", "1M"]);
    setup = setup.args(&["--event-max", "64K", "--spool-full", "drop-newest"]);
    setup = setup.args(&["--metrics-addr", &format!("127.0.0.1:{port}")]);
    setup.before = before;
    let mut picodata = setup.picodata();
    picodata.events(&mut Events::new(1, 1), 60_000, 10_000_000);
    // The mount is the helper's alone: it is looked at through its eyes.
    let keeper = picodata.family().keeper.expect("a keeper");
    let seen = |words: &[&str]| {
        let (pid, words) = (keeper.to_string(), of_spool(&setup, words));
        let out = Command::new("nsenter").args(["-m", "-t", &pid]).arg(&setup.program).args(words).output();
        text(&out.expect("nsenter starts").stdout)
    };
    let json =
        || serde_json::from_str::<Value>(&seen(&["status", "--json"])).map_or(Value::Null, |v| v["spools"][0].clone());
    wait("status says so", LIMIT, || seen(&["status"]).contains("default: DISK FULL since "));
    wait("all is worked off", LIMIT, || json()["counters"]["read"] == 60_000);
    let (json, metrics) = (json(), get(port, "/metrics").expect("a page").1);
    let dropped = json["receivers"][0]["dropped"].as_u64().expect("a number");
    assert!(dropped > 0 && metrics.contains(&format!("state=\"dropped\"}} {dropped}\n")), "{json:#}\n{metrics}");
    assert!(seen(&["status"]).contains(&format!("{dropped} dropped")), "{}", seen(&["status"]));
    assert!(json["disk_failing"].as_str().is_some_and(|w| w.contains("No space left")), "{json:#}");
    assert_of_one_moment(&json);
    let (head, ready) = get(port, "/-/ready").expect("a page");
    assert!(head.contains(" 503 ") && ready.contains("DISK FULL since ") && ready.contains("No space left"), "{ready}");
    receiver.up();
    picodata.finish_and_err();
}

/// The end of a database, and what its helper has said.
trait Finished {
    fn finish_and_err(&mut self) -> String;
}

impl Finished for Picodata {
    fn finish_and_err(&mut self) -> String {
        self.finish(LIMIT);
        self.err()
    }
}
