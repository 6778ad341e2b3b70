//! `journald://` against systemd's own journald, in a mount namespace of its own, read by `journalctl`.

use super::{check, pour, wait_said, Cut, LIMIT, MANY};
use crate::harness::den::wait_for;
use crate::harness::setup::text;
use crate::harness::{peer, procs, wait, Den, Events, Ledger, Picodata, Receiver, Setup};
use serde_json::Value;
use std::collections::HashSet;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running journald.
struct Journald {
    child: Child,
    journalctl: PathBuf,
}

impl Journald {
    fn start(den: &Den) -> Option<Journald> {
        let (unshare, journalctl) = (peer("unshare")?, peer("journalctl")?);
        let alone = Command::new(&unshare).args(["-m", "true"]).status();
        if !alone.is_ok_and(|s| s.success()) {
            eprintln!("skipped: no right to a mount namespace here");
            return None;
        }
        let script = "mount -t tmpfs none /run && mkdir -p /run/log /run/systemd/journald.conf.d && \
            printf '[Journal]\\nStorage=volatile\\nRateLimitIntervalSec=0\\nRuntimeMaxUse=1G\\n' > /run/systemd/journald.conf.d/x.conf && \
            exec /lib/systemd/systemd-journald";
        let log = std::fs::File::create(den.file("journald.out")).expect("a file");
        let mut command = Command::new(unshare);
        command.args(["-m", "/bin/sh", "-c", script]).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a copy")).stderr(log);
        let journald = Journald { child: command.spawn().expect("unshare starts"), journalctl };
        wait("journald listens", LIMIT, || journald.inside(&["test", "-S", "/run/systemd/journal/socket"]).0);
        Some(journald)
    }

    /// What stands before a command that is to run where it is.
    fn before(&self) -> String {
        format!("nsenter -t {} -m -- ", self.child.id())
    }

    fn inside(&self, command: &[&str]) -> (bool, String) {
        let mut all = Command::new("nsenter");
        all.args(["-t", &self.child.id().to_string(), "-m", "--"]).args(command);
        let out = all.output().expect("nsenter");
        (out.status.success(), text(&out.stdout))
    }

    /// What it has of this program, a line each.
    fn entries_of(&self, identifier: &str) -> String {
        let matching = format!("SYSLOG_IDENTIFIER={identifier}");
        self.inside(&["journalctl", "-D", "/run/log/journal", "-o", "cat", "-q", "--no-pager", &matching]).1
    }

    /// The entries that match, in order, each once by its document id.
    fn entries(&self, matching: &[&str]) -> (Vec<Value>, usize) {
        let program = self.journalctl.to_str().expect("a path");
        let args =
            ["-D", "/run/log/journal", "-o", "json", "--all", "--no-pager", "-q", "SYSLOG_IDENTIFIER=picodata-audit"];
        let (_, out) = self.inside(&[&[program][..], &args, matching].concat());
        let (mut seen, mut repeats) = (HashSet::new(), 0);
        let mut all = Vec::new();
        for line in out.lines() {
            let entry: Value = serde_json::from_str(line).expect("JSON");
            match seen.insert(field(&entry, "GOSTECH_ID")) {
                true => all.push(entry),
                false => repeats += 1,
            }
        }
        (all, repeats)
    }
}

impl Journald {
    /// Nothing of what it holds stays.
    fn vacuum(&self) {
        assert!(procs::signal("USR2", i64::from(self.child.id())));
        let vacuum = ["journalctl", "-D", "/run/log/journal", "--vacuum-files=1"];
        wait("the entry is vacuumed", LIMIT, || {
            self.inside(&vacuum);
            self.entries_of("picodata").is_empty()
        });
    }
}

impl Drop for Journald {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A field as text: what cannot be printed comes as the numbers of its bytes.
fn field(entry: &Value, name: &str) -> Option<String> {
    match &entry[name] {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let bytes: Option<Vec<u8>> = bytes.iter().map(|b| Some(b.as_u64()? as u8)).collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        _ => None,
    }
}

fn assert_same(picodata: &Picodata, cut: &Cut, entries: &[Value]) {
    let (short, whole): (Vec<&Value>, Vec<&Value>) = entries.iter().partition(|e| e["GOSTECH_TRUNCATED"] == "1");
    assert_eq!(whole.len(), picodata.ledger.len(), "{}", picodata.err());
    for (record, entry) in picodata.ledger.records().iter().zip(&whole) {
        let written: Value = serde_json::from_str(record).expect("JSON");
        for (name, value) in written.as_object().expect("an object") {
            let name = match name.as_str() {
                "message" => "MESSAGE".to_owned(),
                other => format!("PICODATA_{}", other.to_uppercase()),
            };
            assert_eq!(field(entry, &name).as_deref(), value.as_str(), "{name} of {record}");
        }
        let priority = match written["severity"].as_str() {
            Some("high") => "2",
            Some("low") => "6",
            _ => "5",
        };
        assert_eq!(entry["PRIORITY"], priority);
    }
    let raw: Vec<String> = short.iter().filter_map(|e| field(e, "GOSTECH_RAW")).collect();
    assert!(
        raw.len() == cut.0.len() && raw.iter().zip(&cut.0).all(|(a, b)| a.as_bytes() == &b[..]),
        "{} cut",
        raw.len()
    );
}

#[test]
fn the_journal_has_each_field_of_each_event_after_deaths() {
    let den = Den::new("journald");
    let Some(journald) = Journald::start(&den) else { return };
    let mut setup = Setup::new(&den).url("journald://").args(&["--drain", "60s"]);
    setup.before = journald.before();
    let mut picodata = setup.picodata();
    let cut = pour(&mut picodata, MANY, true);
    // Longer than a datagram: by a sealed memory file.
    let mut events = Events::new(3, 1);
    for size in [100_000, 300_000, 900_000] {
        let (open, close) =
            (r#"{"id":""#, r#"","severity":"high","time":"2026-11-21T04:27:57.349+0300","title":"dml"}"#);
        let id = format!("{}.{}.{}", 3, 1, {
            events.event();
            events.count()
        });
        let record = format!("{open}{id}\",\"message\":\"{}{close}", "я x".repeat(size / 4));
        picodata.write_raw(format!("{record}\n").as_bytes()).expect("the pipe never breaks");
        picodata.ledger.note(&record);
    }
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let mut all = (Vec::new(), 0);
    wait("journald has worked all off", LIMIT, || {
        all = journald.entries(&[]);
        all.0.len() >= picodata.ledger.len() + cut.0.len()
    });
    assert_same(&picodata, &cut, &all.0);
    eprintln!("journald: {} entries, {} came again after 10 deaths, lost 0", all.0.len(), all.1);
    let by_title = journald.entries(&["PICODATA_TITLE=auth_fail"]).0.len();
    let written = picodata.ledger.records().iter().filter(|r| r.contains(r#""title":"auth_fail""#)).count();
    assert!(by_title == written && written > 100, "{by_title} of {written}");
    let id = all.0.iter().find(|e| e["PICODATA_TITLE"] == "dml").map(|e| e["MESSAGE_ID"].clone()).expect("one");
    assert_eq!(
        journald.entries(&[&format!("MESSAGE_ID={}", id.as_str().expect("an id"))]).0[0]["PICODATA_TITLE"],
        "dml"
    );
}

#[test]
fn without_journald_events_wait_and_it_is_told() {
    let den = Den::new("journald-none");
    let url = format!("journald://{}", den.file("no.sock"));
    let mut picodata = Setup::new(&den).url(&url).args(&["--drain", "200ms"]).picodata();
    picodata.events(&mut Events::new(1, 1), 5, 1000);
    wait_said(&picodata, "No such file");
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert!(picodata.err().contains("5 events are left in the spool"), "{}", picodata.err());
    let (well, said) = check(&Setup::new(&den), &["--url", &url]);
    assert!(!well && said.contains("is it running?"), "{said}");
    let den = Den::new("journald-send");
    let Some(journald) = Journald::start(&den) else { return };
    let mut setup = Setup::new(&den);
    setup.args.insert(0, "check".into());
    let (program, args) = (setup.program.display().to_string(), setup.args(&["--url", "journald://", "--send"]).args);
    let words: Vec<&str> = [program.as_str()].into_iter().chain(args.iter().map(String::as_str)).collect();
    let (well, said) = journald.inside(&words);
    assert!(well && said.contains("took the test event"), "{said}");
}

/// All that was written has arrived, and was read once.
fn all_there(den: &Den, receiver: &Receiver, written: &Ledger, program: &Picodata) {
    let missing = || written.missing(&receiver.docs());
    assert!(wait_for(LIMIT, || missing().is_empty()), "{} missing\n{}", missing().len(), program.err());
    let events = receiver.docs().iter().filter(|d| d.value["title"] != "audit_gap").count();
    assert_eq!(events, written.len(), "{}", program.err());
    let args = ["status", "--json", "--no-config", "--spool-dir", &den.file("spool")];
    let page: Value = serde_json::from_slice(&Setup::new(den).tool(&args).stdout).expect("JSON");
    let counters = &page["spools"][0]["counters"];
    assert_eq!((&counters["read"], &counters["repeats"]), (&written.len().into(), &0.into()), "{}", program.err());
}

/// The journal as a source: whoever dies, every entry comes once; what was vacuumed unread is told.
#[test]
fn the_journal_is_read_on_whoever_dies() {
    let den = Den::new("journal-source");
    let Some(journald) = Journald::start(&den) else { return };
    let receiver = Receiver::start();
    let matches = ["SYSLOG_IDENTIFIER=picodata", "--journal-match", "--directory=/run/log/journal"];
    let mut setup = Setup::new(&den).url(&receiver.url()).args(&["--type", "journal", "--journal-match"]);
    setup = setup.args(&matches).exec();
    setup.before = journald.before();
    let mut program = setup.picodata();
    let socket = UnixDatagram::unbound().expect("a socket");
    let place = format!("/proc/{}/{}/run/systemd/journal/socket", journald.child.id(), "root");
    let (mut events, mut written) = (Events::new(1, 1), Ledger::default());
    let mut write = |written: &mut Ledger, count: usize| {
        for _ in 0..count {
            let record = events.event();
            let entry = format!("SYSLOG_IDENTIFIER=picodata\nMESSAGE={record}\n");
            socket.send_to(entry.as_bytes(), &place).expect("journald takes it");
            written.note(&record);
        }
    };
    write(&mut written, 2_000);
    all_there(&den, &receiver, &written, &program);
    for round in 0..4 {
        write(&mut written, 1_500);
        assert!(procs::kill9(program.wait_worker(None)));
        write(&mut written, 500);
        if round == 1 {
            assert!(procs::signal("USR2", i64::from(journald.child.id())), "journald rotates");
        }
        if round == 2 {
            assert!(procs::kill9(program.family().keeper.expect("a keeper"))); // and `journalctl` with it
        }
        if round == 3 {
            program.kill9_all();
            write(&mut written, 100);
            program = setup.picodata();
        }
        all_there(&den, &receiver, &written, &program);
    }
    program.kill9_all();
    journald.vacuum();
    write(&mut written, 50);
    program = setup.picodata();
    all_there(&den, &receiver, &written, &program);
    wait_said(&program, "what was vacuumed unread is lost");
    let gaps = || receiver.docs().into_iter().filter(|d| d.value["reason"] == "skipped").count();
    wait("an event that tells of it", LIMIT, || gaps() == 1);
    assert!(procs::kill9(program.family().keeper.expect("a keeper")));
    write(&mut written, 50);
    all_there(&den, &receiver, &written, &program);
    assert_eq!(gaps(), 1, "{}", program.err());
    let page = setup.tool(&["status", "--no-config", "--spool-dir", &den.file("spool")]);
    assert!(text(&page.stdout).contains("1 vacuumed"), "{}", text(&page.stdout));
    program.kill9_all();
    program = setup.picodata();
    program.wait_worker(None);
    assert!(receiver.docs()[0].raw.contains(r#""host":""#), "{}", receiver.docs()[0].raw);
    assert!(procs::signal("TERM", i64::from(program.family().keeper.expect("a keeper"))));
    assert_eq!(program.wait_end(LIMIT).code(), Some(0), "{}", program.err());
}
