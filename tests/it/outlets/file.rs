//! `file://`, `fifo://` and `-`: what a reader finds there after deaths, rotations, full disks; mtail counts what was written.

use super::{assert_all, check, docs_of, pour, wait_said, LIMIT, MANY};
use crate::harness::den::wait_for;
use crate::harness::setup::text;
use crate::harness::{free_port, peer, wait, Den, Events, Setup};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

fn file_setup(den: &Den, name: &str) -> (Setup, String) {
    let path = den.file(name);
    (Setup::new(den).url(&format!("file://{path}")).args(&["--drain", "60s"]), path)
}

/// The old ones first, then the one that is written.
pub fn lines_of(den: &Den, name: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(den.path())
        .expect("a directory")
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|n| n.starts_with(&format!("{name}.")))
        .collect();
    names.sort();
    names.push(name.to_owned());
    let all: String = names.iter().map(|n| std::fs::read_to_string(den.file(n)).unwrap_or_default()).collect();
    all.lines().map(str::to_owned).collect()
}

#[test]
fn a_file_holds_everything_after_deaths_and_its_own_rotation() {
    let den = Den::new("file-kill");
    let (setup, path) = file_setup(&den, "audit.jsonl");
    let mut picodata = setup.args(&["--file-max", "1M"]).picodata();
    let cut = pour(&mut picodata, MANY, true);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let lines = lines_of(&den, "audit.jsonl");
    let (docs, repeats) = docs_of(lines.iter().map(String::as_str));
    assert_all(&picodata, &cut, &docs);
    let files = std::fs::read_dir(den.path()).expect("a directory").count();
    eprintln!("file: {} events, {repeats} came again after 10 deaths, lost 0", docs.len());
    assert!(files > 4, "it was rotated");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&path).expect("the file").permissions().mode() & 0o7777, 0o640);
}

#[test]
fn logrotate_moves_the_file_and_nothing_is_lost() {
    let Some(logrotate) = peer("logrotate") else { return };
    let den = Den::new("file-logrotate");
    let (setup, path) = file_setup(&den, "audit.jsonl");
    let mut picodata = setup.exec().picodata();
    let conf = format!(
        "{path} {{\n rotate 9\n size 1\n dateext\n dateformat .%s\n create 0640\n missingok\n\
         postrotate\n kill -HUP {}\n endscript\n}}\n",
        picodata.group()
    );
    let conf = den.put("logrotate.conf", conf);
    let mut events = Events::new(1, 1);
    for round in 1..=3 {
        picodata.events(&mut events, 300, 20_000);
        let lines = || std::fs::read_to_string(&path).unwrap_or_default().lines().count();
        wait("they are in the file", LIMIT, || lines() >= 300);
        let run = Command::new(&logrotate).args(["-f", "-s", &den.file("state"), &conf]).output().expect("logrotate");
        assert!(run.status.success(), "round {round}: {}", text(&run.stderr));
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    picodata.events(&mut events, 10, 1000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let lines = lines_of(&den, "audit.jsonl");
    let (docs, repeats) = docs_of(lines.iter().map(String::as_str));
    assert_eq!((picodata.ledger.compare(&docs), repeats), (Ok(()), 0));
}

#[test]
fn no_directory_no_right_and_no_room_are_told_and_waited_for() {
    let den = Den::new("file-wrong");
    let (setup, path) = file_setup(&den, "later/audit.jsonl");
    let mut picodata = setup.picodata();
    picodata.events(&mut Events::new(1, 1), 50, 5000);
    wait_said(&picodata, "make the directory");
    let (well, said) = check(&Setup::new(&den), &["--url", &format!("file://{path}")]);
    assert!(!well && said.contains("make the directory"), "{said}");
    std::fs::create_dir(den.file("later")).expect("a directory");
    // The cage was made for a directory that was not there: it is made anew.
    wait("it comes", LIMIT, || std::fs::read_to_string(&path).is_ok_and(|t| t.lines().count() == 50));
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let (well, said) = check(&Setup::new(&den), &["--url", &format!("file://{path}"), "--send"]);
    assert!(well && said.contains("took the test event"), "{said}");
    let full = Setup::new(&den).url("file:///dev/full").args(&["--drain", "1s"]);
    let out = full.run(b"{\"id\":\"1.1.1\",\"title\":\"t\"}\n");
    let err = text(&out.stderr);
    assert!(
        out.status.success() && err.contains("where a file should be") && err.contains("left in the spool"),
        "{err}"
    );
}

#[test]
fn standard_output_has_a_line_for_each_event() {
    let den = Den::new("stdout");
    let mut picodata = Setup::new(&den).url("-").args(&["--drain", "60s"]).picodata();
    let cut = pour(&mut picodata, 1_000, false);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let out = picodata.out();
    let (docs, repeats) = docs_of(out.lines());
    assert_all(&picodata, &cut, &docs);
    assert_eq!(repeats, 0);
}

#[test]
fn a_fifo_waits_for_its_reader_and_outlives_deaths() {
    let den = Den::new("fifo-kill");
    let path = den.file("audit.fifo");
    let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo");
    assert!(made.success());
    let mut picodata = Setup::new(&den).url(&format!("fifo://{path}")).args(&["--drain", "60s"]).picodata();
    let mut events = Events::new(9, 1);
    picodata.write(&events.event()).expect("the pipe never breaks");
    wait_said(&picodata, "nobody reads");
    let reader = std::thread::spawn({
        let path = path.clone();
        move || {
            // Both ends, so that a death of the writer is no end of the file.
            let mut file = std::fs::File::options().read(true).write(true).open(path).expect("the FIFO");
            let (mut all, mut block) = (Vec::new(), vec![0; 1 << 16]);
            while !all.ends_with(b"the end\n") {
                let n = file.read(&mut block).expect("bytes");
                all.extend_from_slice(&block[..n]);
            }
            String::from_utf8(all).expect("text")
        }
    });
    let cut = pour(&mut picodata, MANY, true);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    std::fs::File::options().write(true).open(&path).expect("the FIFO").write_all(b"the end\n").expect("room");
    let all = reader.join().expect("a reader");
    let (docs, repeats) = docs_of(all.lines().filter(|l| *l != "the end"));
    assert_all(&picodata, &cut, &docs);
    eprintln!("fifo: {} events, {repeats} came again after 10 deaths, lost 0", docs.len());
}

/// A running mtail, stopped by its pid.
struct Mtail(Child, u16);

impl Mtail {
    fn start(den: &Den, log: &str) -> Option<Mtail> {
        let program = peer("mtail")?;
        let port = free_port();
        let progs = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/receivers/mtail");
        let out = std::fs::File::create(den.file("mtail.out")).expect("a file");
        let mut command = Command::new(program);
        command.args(["--progs", progs, "--logs", log, "--address", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--poll_interval", "50ms", "--log_dir", &den.file("")]);
        command.stdin(Stdio::null()).stderr(out.try_clone().expect("a copy")).stdout(out);
        let mtail = Mtail(command.spawn().expect("mtail starts"), port);
        wait("mtail answers", LIMIT, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(mtail)
    }

    /// Its counters by title.
    fn titles(&self) -> BTreeMap<String, u64> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.1)).expect("mtail");
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("a request");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("a page");
        let line = |l: &str| {
            let rest = l.strip_prefix("picodata_audit_events_total{")?;
            let title = rest.split("title=\"").nth(1)?.split('"').next()?.to_owned();
            Some((title, rest.rsplit(' ').next()?.parse::<f64>().ok()? as u64))
        };
        let mut all = BTreeMap::new();
        page.lines().filter_map(line).for_each(|(title, n)| *all.entry(title).or_default() += n);
        all
    }
}

impl Drop for Mtail {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn mtail_counts_our_lines_by_title() {
    for scheme in ["file", "fifo"] {
        let den = Den::new(&format!("mtail-{scheme}"));
        let path = den.file("audit.log");
        match scheme {
            "fifo" => drop(Command::new("mkfifo").arg(&path).status().expect("mkfifo")),
            _ => drop(den.put("audit.log", "")),
        }
        let mut picodata = Setup::new(&den).url(&format!("{scheme}://{path}")).args(&["--drain", "60s"]).picodata();
        if scheme == "fifo" {
            picodata.write(&Events::new(2, 1).event()).expect("the pipe never breaks");
            // One that finds no writer leaves, and drops what it has read of one that comes meanwhile.
            wait_said(&picodata, "nobody reads");
        }
        let Some(mtail) = Mtail::start(&den, &path) else { return };
        match scheme {
            // mtail reads a FIFO in blocks of 4 KiB, and loses a line where a letter of two bytes stands across their border.
            "fifo" => {
                let mut events = Events::new(1, 1);
                let plain =
                    (0..2_000).map(|_| events.event().replace("пользователь", "user").replace("остатки", "rest"));
                picodata.stream(plain, 100_000).expect("the pipe never breaks");
            }
            _ => drop(pour(&mut picodata, 2_000, false)),
        }
        let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
        for record in picodata.ledger.records() {
            let value: serde_json::Value = serde_json::from_str(record).expect("JSON");
            *wanted.entry(value["title"].as_str().expect("a title").to_owned()).or_default() += 1;
        }
        if scheme == "file" {
            wanted.insert("truncated".into(), 4);
        }
        // Before our end: what mtail has in its hands when a FIFO ends, it drops.
        let mut got = BTreeMap::new();
        let so = wait_for(std::time::Duration::from_secs(60), || {
            got = mtail.titles();
            got == wanted
        });
        assert!(so, "{scheme}: mtail counted {got:?}, written {wanted:?}");
        assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    }
}
