//! Seeing into it: the metrics page and its identity, status, check, the log during an outage, alarms.

use crate::harness::den::wait_for;
use crate::harness::setup::text;
use crate::harness::{free_port, procs, wait, Den, Events, Mode, Page, Receiver, Setup};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn the_page_adds_up_and_counters_survive_restarts() {
    let den = Den::new("page");
    let receiver = Receiver::start();
    receiver.set(Mode::Marker(422, "poison".into()));
    let port = free_port();
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--metrics-addr", &format!("127.0.0.1:{port}")]);
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    for i in 0..100 {
        let record = if i == 50 { events.event_saying("poison") } else { events.event() };
        picodata.write(&record).expect("a reader");
    }
    picodata.write_raw(b"no event\n").expect("a reader");
    picodata.write_raw(&crate::harness::picodata::on_the_pipe(events.event_long(20_000).as_bytes())).expect("a reader");
    events.skip(3);
    picodata.write_raw(format!("{}\n", events.event()).as_bytes()).expect("a reader");
    let delivered = ["receiver=\"r1\"", "state=\"delivered\""];
    wait("all delivered", LIMIT, || Page::scrape(port).sum("gostech_audit_events_total", &delivered) == Some(103.0));
    assert_all_families(&Page::scrape(port));
    assert!(procs::kill9(picodata.wait_worker(None)));
    wait("a counted restart", LIMIT, || Page::scrape(port).must("gostech_audit_worker_restarts_total", &[]) >= 1.0);
    wait("the counters are back", LIMIT, || Page::scrape(port).must("gostech_audit_read_total", &[]) == 103.0);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let mut again = setup.picodata();
    wait("the counters of the last start", LIMIT, || {
        let page = Page::scrape(port);
        page.assert_identity("r1");
        page.must("gostech_audit_read_total", &[]) == 103.0
            && page.sum("gostech_audit_events_total", &delivered) == Some(103.0)
    });
    assert_eq!(again.finish(LIMIT), 0, "{}", again.err());
}

/// Every family of the issue after the events of the test above.
fn assert_all_families(page: &Page) {
    page.assert_identity("r1");
    assert_eq!(page.must("gostech_audit_read_total", &[]), 103.0, "{}", page.text);
    assert_eq!(page.must("gostech_audit_own_total", &[]), 1.0, "the gap is our own event");
    assert_eq!(page.must("gostech_audit_events_total", &["receiver=\"r1\"", "state=\"quarantined\""]), 1.0);
    assert_eq!(page.must("gostech_audit_gaps_total", &[]), 1.0);
    assert_eq!(page.must("gostech_audit_truncated_total", &[]), 1.0);
    assert_eq!(page.must("gostech_audit_unparsed_total", &[]), 1.0);
    assert!(page.must("gostech_audit_title_total", &["title=\"auth_fail\"", "severity=\"high\""]) > 5.0);
    for family in ["spool_bytes", "retained_bytes", "worker_restarts_total", "stdin_wait_seconds_total", "build_info"] {
        page.must(&format!("gostech_audit_{family}"), &[]);
    }
    for family in ["oldest_undelivered_seconds", "last_delivery_timestamp_seconds"] {
        page.must(&format!("gostech_audit_{family}"), &["receiver=\"r1\""]);
    }
}

#[test]
fn titles_beyond_two_hundred_are_other() {
    let den = Den::new("titles");
    let receiver = Receiver::start();
    let port = free_port();
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--metrics-addr", &format!("127.0.0.1:{port}")]);
    let mut picodata = setup.picodata();
    for i in 1..=300 {
        let record = format!("{{\"id\":\"1.1.{i}\",\"severity\":\"low\",\"title\":\"title_{i}\"}}\n");
        picodata.write_raw(record.as_bytes()).expect("a reader");
    }
    receiver.wait_count(300, LIMIT);
    let mut page = Page::scrape(port);
    wait("all titles counted", LIMIT, || {
        page = Page::scrape(port);
        page.sum("gostech_audit_title_total", &[]) == Some(300.0)
    });
    let titles = page.text.lines().filter(|l| l.starts_with("gostech_audit_title_total{")).count();
    assert!(titles <= 201, "{titles} titles");
    assert!(page.must("gostech_audit_title_total", &["title=\"other\""]) >= 99.0, "{}", page.text);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}

#[test]
fn the_page_satisfies_promtool() {
    let Some(promtool) = crate::harness::peer("promtool") else { return };
    let den = Den::new("promtool");
    let receiver = Receiver::start();
    let port = free_port();
    let mut picodata =
        Setup::new(&den).url(&receiver.url()).args(&["--metrics-addr", &format!("127.0.0.1:{port}")]).picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    receiver.wait_count(1, LIMIT);
    let page = den.put("page", &Page::scrape(port).text);
    let out = std::process::Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(std::fs::File::open(page).expect("the page"))
        .output()
        .expect("promtool runs");
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    assert_eq!(picodata.finish(LIMIT), 0);
}

#[test]
fn status_tells_the_backlog_and_the_last_answer() {
    let den = Den::new("status");
    let receiver = Receiver::start();
    receiver.set(Mode::Refusing(403, None));
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--name", "siem", "--drain", "200ms"]);
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 77, 10_000);
    receiver.wait_status(403, LIMIT);
    let ask = |extra: &[&str]| {
        let out = setup.tool(&[&["status"], extra, &["--spool-dir", &den.file("spool"), "--no-config"]].concat());
        assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
        text(&out.stdout)
    };
    wait("status of a running helper", LIMIT, || {
        let page = ask(&[]);
        page.contains("siem") && page.contains("77") && page.contains("403")
    });
    let page = ask(&[]);
    assert!(page.lines().count() < 40, "a short page for people:\n{page}");
    let json: serde_json::Value = serde_json::from_str(&ask(&["--json"])).expect("JSON");
    let whole = json.to_string();
    assert!(whole.contains("siem") && whole.contains("77") && whole.contains("403"), "{whole}");
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let after = ask(&[]);
    assert!(after.contains("siem") && after.contains("77"), "status of a helper that has ended:\n{after}");
}

#[test]
fn check_validates_and_sends_a_test_event() {
    let den = Den::new("check");
    let receiver = Receiver::start();
    let checked = |args: &[&str]| {
        let mut setup = Setup::new(&den).url(&receiver.url()).args(args);
        setup.args.insert(0, "check".into());
        setup.run(b"")
    };
    let clean = checked(&[]);
    assert_eq!(clean.status.code(), Some(0), "{}{}", text(&clean.stdout), text(&clean.stderr));
    assert_eq!(receiver.count(), 0, "without --send nothing is sent");
    let sent = checked(&["--send"]);
    assert_eq!(sent.status.code(), Some(0), "{}{}", text(&sent.stdout), text(&sent.stderr));
    assert_eq!(receiver.visits().len(), 1);
    let missing = checked(&["--ca-certificate", "/no/such/ca.pem"]);
    assert_eq!(missing.status.code(), Some(1), "{}{}", text(&missing.stdout), text(&missing.stderr));
    assert!(format!("{}{}", text(&missing.stdout), text(&missing.stderr)).contains("/no/such/ca.pem"));
    assert_eq!(checked(&["--no-such-option"]).status.code(), Some(2));
    receiver.set(Mode::Refusing(401, None));
    let refused = checked(&["--send"]);
    assert_eq!(refused.status.code(), Some(1), "{}{}", text(&refused.stdout), text(&refused.stderr));
    // Another protocol on that port: one sentence, with one cure.
    let ssh = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("tcp://{}", ssh.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut guest, _) = ssh.accept().expect("a guest");
        let _ = guest.write_all(b"SSH-2.0-x\r\n").and_then(|()| guest.read(&mut [0; 4096]));
    });
    let foreign = text(&checked(&["--send", "--url", &url]).stdout);
    let want = format!("refused the test event: what answers at `{url}` speaks SSH (`SSH-2.0-x`): look at the port\n");
    assert!(foreign.contains(&want), "{foreign}");
}

#[test]
fn an_outage_is_a_handful_of_lines_and_the_recovery_is_said() {
    let den = Den::new("lines");
    let receiver = Receiver::start();
    receiver.set(Mode::Refusing(503, None));
    let mut picodata = Setup::new(&den).url(&receiver.url()).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 2000, 500);
    let during = picodata.err();
    receiver.set(Mode::Healthy);
    receiver.wait_count(2000, LIMIT);
    assert_eq!(picodata.finish(LIMIT), 0);
    assert!(during.contains("503"), "{during}");
    assert!(picodata.err().lines().count() <= 20, "{}", picodata.err());
    assert!(picodata.err().len() > during.len(), "the recovery is said: {}", picodata.err());
}

#[test]
fn journald_gets_priorities_where_stderr_is_the_journal() {
    for ours in [true, false] {
        let den = Den::new("journal");
        let err = std::fs::metadata(den.put("err", "")).expect("the file that stderr goes to");
        let stream = format!("{}:{}", err.dev(), if ours { err.ino() } else { err.ino() + 1 });
        let setup = Setup::new(&den).url("http://127.0.0.1:1/").args(&["--drain", "200ms"]);
        let mut picodata = setup.env("JOURNAL_STREAM", &stream).picodata();
        picodata.write(&Events::new(1, 1).event()).expect("a reader");
        assert_eq!(picodata.finish(LIMIT), 0);
        let err = picodata.err();
        assert!(!err.is_empty() && err.lines().all(|l| l.starts_with('<') == ours), "{err}");
    }
}

#[test]
fn an_alarm_runs_the_command_without_a_shell() {
    let den = Den::new("alarm");
    let receiver = Receiver::start();
    receiver.set(Mode::Refusing(401, None));
    let script = den
        .put("alarm.sh", "#!/bin/sh\nprintf '%s|%s' \"$2\" \"$GOSTECH_ALARM\" > \"$1.new\" && mv \"$1.new\" \"$1\"\n");
    std::process::Command::new("chmod").args(["+x", &script]).status().expect("chmod");
    let seen = den.file("seen");
    let command = format!("{script} {seen} $(touch${{IFS}}x)");
    let mut picodata =
        Setup::new(&den).url(&receiver.url()).args(&["--on-alarm", &command, "--drain", "200ms"]).picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    wait("an alarm", LIMIT, || std::path::Path::new(&seen).exists());
    let told = std::fs::read_to_string(&seen).expect("what was told");
    let (argument, alarm) = told.split_once('|').expect("both");
    assert_eq!(argument, "$(touch${IFS}x)", "no shell between");
    assert!(alarm.contains("401"), "{alarm}");
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}

#[test]
fn our_processes_gain_no_privileges_and_their_files_are_closed_to_others() {
    let den = Den::new("hard");
    let receiver = Receiver::start();
    let mut picodata = Setup::new(&den).url(&receiver.url()).picodata();
    let worker = picodata.wait_worker(None);
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    receiver.wait_count(1, LIMIT);
    let keeper = picodata.family().keeper.expect("a keeper");
    for pid in [keeper, worker] {
        let status = procs::text(pid, "status");
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        assert!(status.contains("Umask:\t0077"), "{status}");
    }
    for (path, _) in crate::harness::setup::files_below(&den.path().join("spool")) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).expect("a file").permissions());
        assert_eq!(mode & 0o077, 0, "{} is open to others", path.display());
    }
    assert_eq!(picodata.finish(LIMIT), 0);
}

#[test]
fn a_stderr_that_nobody_reads_stops_nothing() {
    let den = Den::new("stuck-stderr");
    let receiver = Receiver::start();
    receiver.down();
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    let room = gostech::sys::pipe::size(writer.as_fd()).expect("a pipe");
    writer.write_all(&vec![b'.'; room]).expect("as much as it holds");
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--drain", "60s", "--debug"]);
    let (input, mut database) = std::io::pipe().expect("a pipe");
    let mut helper = Command::new(&setup.program)
        .args(&setup.args)
        .stdin(input)
        .stderr(writer)
        .process_group(0)
        .spawn()
        .expect("the program starts");
    let mut events = Events::new(1, 1);
    for _ in 0..100 {
        database.write_all(format!("{}\n", events.event()).as_bytes()).expect("a reader");
    }
    // It has something to say by now.
    std::thread::sleep(Duration::from_secs(1));
    receiver.up();
    let so = wait_for(LIMIT, || receiver.count() >= 100);
    // Somebody reads again, and learns what is missing.
    reader.read_exact(&mut vec![0; room]).expect("what was there");
    drop(database);
    let ended = so && wait_for(LIMIT, || helper.try_wait().expect("a child").is_some());
    procs::signal("KILL", -i64::from(helper.id()));
    let status = helper.wait().expect("an end");
    assert!(so && ended && status.code() == Some(0), "{} of 100 delivered, {status:?}", receiver.count());
    let mut said = String::new();
    reader.read_to_string(&mut said).expect("text");
    assert!(said.contains("lines before could not be written: nobody read stderr"), "{said}");
}

/// A file that may not grow any more, as under `LimitFSIZE=`: whoever writes to it is sent a signal that kills.
#[test]
fn a_log_file_beyond_its_limit_ends_nobody() {
    let den = Den::new("log-limit");
    let receiver = Receiver::start();
    let log = std::fs::File::options().create(true).append(true).open(den.file("log")).expect("a log");
    log.set_len(10 << 30).expect("a sparse file");
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--debug"]);
    std::fs::write(den.file("input"), Events::new(1, 1).event()).expect("an event");
    let status = Command::new("prlimit")
        .arg(format!("--fsize={}", 9u64 << 30))
        .arg(&setup.program)
        .args(&setup.args)
        .stdin(std::fs::File::open(den.file("input")).expect("the input"))
        .stderr(log)
        .status()
        .expect("the program starts");
    assert_eq!((status.code(), receiver.count()), (Some(0), 1), "{status:?}");
}

/// A cause is said once, another one at once, and both with the time; the first lines say what was in force.
#[test]
fn a_cause_is_logged_once_and_another_one_at_once() {
    let den = Den::new("causes");
    let receiver = Receiver::start();
    receiver.down();
    let mut setup = Setup::new(&den).args(&["--user", "u", "--password-file", &den.put("password", "s3cret-word")]);
    setup = setup.args(&["--url", &format!("{}/?token=t0ken-word", receiver.url()), "--spool-max", "9M"]);
    let mut picodata = setup.picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    wait("the first cause", LIMIT, || picodata.err().contains("refused"));
    std::thread::sleep(Duration::from_secs(4));
    receiver.set(Mode::Refusing(503, None));
    receiver.up();
    wait("the second cause", LIMIT, || picodata.err().contains("answered 503"));
    receiver.set(Mode::Refusing(401, None));
    wait("the third cause", LIMIT, || picodata.err().contains("answered 401"));
    receiver.set(Mode::Healthy);
    assert_eq!(picodata.finish(LIMIT), 0);
    let err = picodata.err();
    for cause in ["refused", "answered 503", "answered 401"] {
        assert_eq!(err.matches(cause).count(), 1, "{cause}\n{err}");
    }
    let timed = |l: &str| l.as_bytes().get(4) == Some(&b'-') && l.contains(" gostech-audit-log: ");
    assert!(err.lines().all(timed), "{err}");
    let first = err.lines().find(|l| l.contains(": start: ")).expect("a line of the start");
    for words in ["version ", "no configuration file", "a pipe of ", "r1 to `http://127.0.0.1:", "spool-full block"] {
        assert!(first.contains(words), "{words}: {first}");
    }
    assert!(err.contains("0 events for r1 waiting; 0 bytes of 9.0 MiB"), "{err}");
    assert!(!err.contains("s3cret-word") && !err.contains("t0ken-word"), "{err}");
}
