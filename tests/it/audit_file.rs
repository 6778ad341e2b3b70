//! A log in files, followed through the rotations of the real logrotate, whoever dies: every record once.

use crate::harness::den::free_port;
use crate::harness::den::peer;
use crate::harness::page::Page;
use crate::harness::{events::Chance, long, procs, wait, Den, Events, Picodata, Receiver, Setup};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// Who writes the log, as the database does.
struct Log<'a> {
    den: &'a Den,
    open: File,
    events: Events,
    written: crate::harness::ledger::Ledger,
}

impl Log<'_> {
    fn new(den: &Den) -> Log<'_> {
        let open = append(&den.path().join("audit.log"));
        Log { den, open, events: Events::new(1, 1), written: Default::default() }
    }

    fn write(&mut self, count: u64) {
        for _ in 0..count {
            let record = self.events.event();
            self.written.note(&record);
            self.open.write_all(format!("{record}\n").as_bytes()).unwrap();
        }
    }

    /// What SIGHUP does.
    fn reopen(&mut self) {
        self.open = append(&self.den.path().join("audit.log"));
    }

    fn follower(&self, receiver: &Receiver) -> Picodata {
        let (log, old) = (self.den.file("audit.log"), self.den.file("old"));
        let more: &[&str] = if Path::new(&old).exists() { &["--old-dir", &old] } else { &[] };
        let args = ["--type", "file", "--filename", &log];
        Setup::new(self.den).url(&receiver.url()).args(&args).args(more).exec().picodata()
    }
}

fn append(path: &Path) -> File {
    File::options().create(true).append(true).open(path).unwrap()
}

/// SIGTERM ends it when all that is there was read and delivered.
fn stop(program: &mut Picodata) {
    assert!(procs::signal("TERM", i64::from(program.family().keeper.expect("a keeper"))));
    assert_eq!(program.wait_end(LIMIT).code(), Some(0), "stderr:\n{}", program.err());
}

/// What the database does after a rotation.
enum Then {
    /// It goes on writing to the old file, until it is told.
    WritesOn,
    /// It is told before anything else happens.
    Reopens,
    /// Nothing: it has the same file.
    Stays,
}

/// With `GOSTECH_LONG` the worker dies 100 times and all 20 times.
fn rotations(name: &str, ways: &str, then: &Then) {
    let Some(logrotate) = peer("logrotate") else { return };
    let den = Den::new(name);
    let ways = ways.replace("$HOME", &den.path().display().to_string());
    let config = format!("\"{}\" {{\n rotate 500\n missingok\n{ways}\n}}\n", den.file("audit.log"));
    let config = den.put("rotate.conf", config);
    let rotate = || {
        let mut command = Command::new(&logrotate);
        let done = command.args(["-f", "-s", &den.file("rotate.state"), &config]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let (receiver, mut chance) = (Receiver::start(), Chance::new(12));
    if ways.contains("olddir") {
        fs::create_dir(den.path().join("old")).unwrap();
    }
    let mut log = Log::new(&den);
    log.write(100);
    let mut program = log.follower(&receiver);
    program.wait_worker(None);
    // The first record is kept: from here on it is known what was read.
    receiver.wait_count(100, LIMIT);
    let (rounds, period) = if long() { (120, 6) } else { (12, 4) };
    for round in 0..rounds {
        log.write(chance.within(1, 400));
        rotate();
        if matches!(then, Then::WritesOn) {
            log.write(chance.within(0, 40));
        }
        if !matches!(then, Then::Stays) {
            log.reopen();
        }
        log.write(chance.within(1, 40));
        let last = round % period == period - 1;
        if last {
            program.kill9_all();
        } else if long() || round % period == 1 {
            assert!(procs::kill9(program.wait_worker(None)));
        }
        if last {
            log.write(chance.within(1, 200));
            rotate();
            log.reopen();
            log.write(chance.within(1, 200));
            program = log.follower(&receiver);
            program.wait_worker(None);
        }
    }
    let all = log.written.len();
    wait("everything", LIMIT, || log.written.missing(&receiver.docs()).is_empty());
    assert_eq!(log.written.compare(&receiver.docs()), Ok(()), "stderr:\n{}", program.err());
    assert!(all > 1000, "{all} records are no stream");
    stop(&mut program);
}

#[test]
fn a_log_that_is_renamed_is_followed() {
    rotations("file-renamed", " create", &Then::WritesOn);
}

#[test]
fn a_log_that_is_renamed_and_packed_later_is_followed() {
    rotations("file-packed", " create\n compress\n delaycompress", &Then::WritesOn);
}

#[test]
fn a_log_that_is_renamed_and_packed_at_once_is_followed() {
    rotations("file-compressed", " create\n compress", &Then::Reopens);
}

#[test]
fn a_log_that_is_moved_to_another_directory_is_followed() {
    rotations("file-moved", " create\n olddir $HOME/old", &Then::WritesOn);
}

#[test]
fn a_log_that_is_moved_to_another_directory_and_packed_is_followed() {
    rotations("file-moved-packed", " create\n olddir $HOME/old\n compress\n delaycompress", &Then::WritesOn);
    rotations("file-moved-compressed", " create\n olddir $HOME/old\n compress", &Then::Reopens);
}

#[test]
fn a_log_that_is_copied_and_truncated_is_followed() {
    rotations("file-copied", " copytruncate", &Then::Stays);
}

/// As on a file server that is away now and then: handles are stale, reads fail, names cannot be opened.
#[test]
fn a_log_that_cannot_be_read_now_and_then_is_read_all_the_same() {
    let Some(strace) = peer("strace") else { return };
    let (den, receiver) = (Den::new("file-stale"), Receiver::start());
    let (log, trace, mut chance) = (den.file("audit.log"), den.file("trace"), Chance::new(7));
    let names = (1..=8).map(|n| format!("-P {log}.{n} ")).collect::<String>();
    let inject = "-e inject=pread64:error=ESTALE:when=9+151 -e inject=?open,openat:error=EIO:when=9+47";
    let mut setup = Setup::new(&den).url(&receiver.url()).args(&["--type", "file", "--filename", &log]).exec();
    setup.before = format!(
        "{} -f -qq --seccomp-bpf -o {trace} -P {log} {names} -e trace=pread64,?open,openat {inject} ",
        strace.display()
    );
    let mut writer = Log::new(&den);
    writer.write(50);
    let program = setup.picodata();
    receiver.wait_count(50, LIMIT);
    for n in (1..=8).rev() {
        for _ in 0..5 {
            writer.write(chance.within(1, 60));
            std::thread::sleep(Duration::from_millis(chance.within(0, 30)));
        }
        fs::rename(&log, format!("{log}.{n}")).unwrap();
        writer.write(chance.within(0, 20));
        writer.reopen();
        writer.write(chance.within(1, 20));
    }
    wait("everything", LIMIT, || writer.written.missing(&receiver.docs()).is_empty());
    assert_eq!(writer.written.compare(&receiver.docs()), Ok(()), "stderr:\n{}", program.err());
    assert_eq!(receiver.repeats(), 0, "stderr:\n{}", program.err());
    let trace = fs::read_to_string(trace).unwrap();
    let bit = |error: &str| trace.lines().filter(|l| l.contains("(INJECTED)") && l.contains(error)).count();
    assert!(bit("ESTALE") > 2 && bit("EIO") > 0, "{} and {}", bit("ESTALE"), bit("EIO"));
    assert!(program.err().contains("cannot be read"), "{}", program.err());
}

#[test]
fn half_a_line_waits_for_its_rest_also_over_a_restart() {
    let den = Den::new("file-half");
    let receiver = Receiver::start();
    let mut log = Log::new(&den);
    let mut program = log.follower(&receiver);
    program.wait_worker(None);
    log.write(3);
    receiver.wait_count(3, LIMIT);
    let record = log.events.event();
    let (begin, rest) = record.split_at(40);
    log.open.write_all(begin.as_bytes()).unwrap();
    stop(&mut program);
    log.open.write_all(format!("{rest}\n").as_bytes()).unwrap();
    log.written.note(&record);
    let mut program = log.follower(&receiver);
    receiver.wait_count(4, LIMIT);
    log.write(2);
    receiver.wait_count(6, LIMIT);
    assert_eq!(log.written.compare(&receiver.docs()), Ok(()), "stderr:\n{}", program.err());
    assert_eq!(receiver.repeats(), 0);
    stop(&mut program);
}

#[test]
fn a_log_that_is_not_there_yet_is_waited_for_and_its_place_is_told() {
    let den = Den::new("file-late");
    let receiver = Receiver::start();
    let dir = den.path().join("later");
    fs::create_dir(&dir).unwrap();
    let path = dir.join("audit.log");
    let args = ["--type", "file", "--filename", path.to_str().unwrap()];
    let mut program = Setup::new(&den).url(&receiver.url()).args(&args).exec().picodata();
    program.wait_worker(None);
    let record = Events::new(1, 1).event();
    append(&path).write_all(format!("{record}\n").as_bytes()).unwrap();
    receiver.wait_count(1, LIMIT);
    assert!(program.err().contains(&format!("from the file `{}`", path.display())), "{}", program.err());
    stop(&mut program);
}

/// Runs to its end by itself.
fn once(log: &Log<'_>, url: &str, more: &[&str]) -> (Option<i32>, String) {
    let path = log.den.file("audit.log");
    let setup = Setup::new(log.den).url(url).args(&["--type", "file", "--filename", &path, "--once"]);
    let mut program = setup.args(more).exec().picodata();
    let code = program.wait_end(LIMIT).code();
    (code, program.err())
}

#[test]
fn a_log_is_imported_once_with_its_older_files_and_the_exit_code_says_how() {
    let den = Den::new("file-once");
    let receiver = Receiver::start();
    let mut log = Log::new(&den);
    for older in ["audit.log.2", "audit.log.1"] {
        log.write(50);
        fs::rename(den.path().join("audit.log"), den.path().join(older)).unwrap();
        log.reopen();
    }
    assert!(Command::new("gzip").arg(den.path().join("audit.log.2")).status().unwrap().success());
    log.write(50);
    // What nobody takes now is kept, and the exit code tells.
    let (code, err) = once(&log, "http://127.0.0.1:9", &["--drain", "1s"]);
    assert!(code == Some(1) && err.contains("150 events are left in the spool"), "{code:?}\n{err}");
    let (code, err) = once(&log, &receiver.url(), &[]);
    assert_eq!((code, log.written.compare(&receiver.docs())), (Some(0), Ok(())), "{err}");
    log.write(7);
    assert_eq!(once(&log, &receiver.url(), &[]).0, Some(0));
    assert_eq!((log.written.compare(&receiver.docs()), receiver.repeats()), (Ok(()), 0));
    // A damaged one is told by its name, and does not keep the others.
    let packed = den.path().join("audit.log.0.gz");
    let good = fs::read(den.path().join("audit.log.2.gz")).unwrap();
    fs::write(&packed, &good[..good.len() / 2]).unwrap();
    fs::remove_dir_all(den.path().join("spool")).unwrap();
    let then = std::time::SystemTime::UNIX_EPOCH;
    File::options().append(true).open(&packed).unwrap().set_modified(then).unwrap();
    fs::remove_file(den.path().join("audit.log.2.gz")).unwrap();
    let (code, err) = once(&log, &receiver.url(), &[]);
    assert!(code == Some(1) && err.contains("audit.log.0.gz` is damaged"), "{code:?}\n{err}");
    assert!(err.contains("1 file could not be read to the end"), "{err}");
}

#[test]
fn what_is_to_be_imported_has_to_be_there() {
    let den = Den::new("file-none");
    let log = Log::new(&den);
    fs::remove_file(den.path().join("audit.log")).unwrap();
    let (code, err) = once(&log, "http://127.0.0.1:9", &[]);
    assert!(code == Some(1) && err.contains("cannot read") && err.contains("audit.log`"), "{code:?}\n{err}");
    let (code, err) = once(&log, "http://127.0.0.1:9", &["--from", "nowhere"]);
    assert!(code == Some(2) && err.contains("start"), "{code:?}\n{err}");
}

#[test]
fn where_the_source_stands_is_told_and_that_it_cannot_be_read() {
    let den = Den::new("file-told");
    let (receiver, port) = (Receiver::start(), free_port());
    let path = den.file("audit.log");
    fs::create_dir(&path).unwrap();
    let args = ["--type", "file", "--filename", &path, "--metrics-addr", &format!("127.0.0.1:{port}")];
    let setup = Setup::new(&den).url(&receiver.url()).args(&args).exec();
    let mut program = setup.picodata();
    let status =
        || String::from_utf8(setup.tool(&["status", "--no-config", "--spool-dir", &den.file("spool")]).stdout).unwrap();
    wait("the alarm", LIMIT, || status().contains("THE SOURCE CANNOT BE READ"));
    assert!(Page::scrape(port).must("gostech_audit_source_readable", &[]) == 0.0);
    fs::remove_dir(&path).unwrap();
    let mut log = Log::new(&den);
    log.write(10);
    receiver.wait_count(10, LIMIT);
    fs::rename(&path, den.path().join("audit.log.1")).unwrap();
    log.reopen();
    log.write(5);
    receiver.wait_count(15, LIMIT);
    assert!(procs::kill9(program.wait_worker(None)));
    let bytes = fs::metadata(&path).unwrap().len() as f64;
    wait("what is told", LIMIT, || {
        let page = Page::scrape(port);
        let value = |name: &str| page.sum(&format!("gostech_audit_source_{name}"), &[]);
        value("offset_bytes") == Some(bytes)
            && value("behind_bytes") == Some(0.0)
            && value("rotations_total") == Some(1.0)
    });
    let text = status();
    assert!(
        !text.contains("CANNOT BE READ") && text.contains("  source    `") && text.contains("1 rotations"),
        "{text}"
    );
    stop(&mut program);
}
