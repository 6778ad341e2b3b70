//! Self-protection: the worker's cage bites, nothing that the worker needs is outside it, and whoever is outside it for a
//! reason (the keeper, its stand-in, the command of an alarm) is.
//!
//! A forbidden call inside the real worker is made by strace, which exchanges the number of a call before the kernel
//! looks at it.

use super::Row;
use crate::harness::setup::text;
use crate::harness::{free_port, peer, procs, wait, Den, Events, Mode, Page, Picodata, Receiver, Setup};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

/// What the machine has, by the program's own word.
fn machine() -> (bool, bool) {
    let out = Command::new(crate::harness::setup::binary()).arg("--version").output().expect("a version");
    let version = text(&out.stdout);
    assert!(version.contains("\nprotection: "), "{version}");
    assert!(version.contains("no-new-privs, not dumpable\n") && !version.contains("no no-new-privs"), "{version}");
    (version.contains("landlock ABI "), version.contains(" seccomp,") && !version.contains("no seccomp"))
}

/// Both, or «skipped» said.
fn confined_here() -> bool {
    let here = machine() == (true, true);
    let required = std::env::var_os("GOSTECH_PEERS").is_some_and(|v| v == "required");
    assert!(here || !required, "this machine has not both landlock and seccomp: {:?}", machine());
    if !here {
        eprintln!("skipped: no landlock or no seccomp here: {:?}", machine());
    }
    here
}

fn root_here() -> bool {
    let root = std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    if !root {
        eprintln!("skipped: only root may trace what is not dumpable");
    }
    root
}

/// A command for `--on-alarm` that writes what it was told into a file.
fn alarm(den: &Den) -> (String, String) {
    let script =
        den.put("alarm.sh", "#!/bin/sh\nprintf '%s' \"$GOSTECH_ALARM\" > \"$1.new\" && mv \"$1.new\" \"$1\"\n");
    Command::new("chmod").args(["+x", &script]).status().expect("chmod");
    let seen = den.file("seen");
    (format!("{script} {seen}"), seen)
}

fn status(pid: u32, key: &str) -> String {
    let status = procs::text(pid, "status");
    let line = status.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'));
    line.map(str::trim).unwrap_or_else(|| panic!("no {key} of {pid} in\n{status}")).to_owned()
}

#[test]
fn the_worker_is_confined_and_those_who_start_programs_are_not() {
    if !confined_here() {
        return;
    }
    let den = Den::new("confined");
    let receiver = Receiver::start();
    let port = free_port();
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--metrics-addr", &format!("127.0.0.1:{port}")]);
    let mut picodata = setup.picodata();
    let worker = picodata.wait_worker(None);
    picodata.events(&mut Events::new(1, 1), 100, 5000);
    receiver.wait_count(100, LIMIT);
    let family = picodata.family();
    let (keeper, stand_in) = (family.keeper.expect("a keeper"), family.stand_in.expect("a stand-in"));
    for (pid, seccomp) in [(worker, "2"), (keeper, "0"), (stand_in, "0")] {
        assert_eq!((status(pid, "NoNewPrivs"), status(pid, "Seccomp")), ("1".to_owned(), seccomp.to_owned()), "{pid}");
        assert_eq!(status(pid, "Umask"), "0077", "{pid}");
    }
    // Every thread of it.
    for task in std::fs::read_dir(format!("/proc/{worker}/task")).expect("threads").flatten() {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        assert!(status.is_empty() || status.contains("Seccomp:\t2"), "{status}");
    }
    let page = Page::scrape(port);
    for kind in ["landlock", "seccomp", "no_new_privs", "not_dumpable"] {
        assert_eq!(page.must("gostech_audit_protection", &[&format!("kind=\"{kind}\"")]), 1.0, "{kind}");
    }
    assert_eq!(page.must("gostech_audit_refused_calls_total", &[]), 0.0, "{}", picodata.err());
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}

/// What a process that was taken over would do, done from within: by gdb, which makes the worker call its C library.
#[test]
fn with_a_page_the_real_worker_cannot_change_what_is_not_its_own() {
    let (Some(gdb), true, true) = (peer("gdb"), confined_here(), root_here()) else { return };
    let den = Den::new("page-acts");
    let receiver = Receiver::start();
    let page = den.file("page.sock");
    for address in [format!("127.0.0.1:{}", free_port()), format!("unix:{page},mode=0666")] {
        let victim = den.put("victim", "of somebody else");
        std::fs::set_permissions(&victim, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a mode");
        let dir = den.file("dir");
        std::fs::create_dir(&dir).expect("a directory");
        // By the build that has a C library of its own, whose functions gdb finds by name; the cage is the same.
        let setup = Setup::new(&den).debug().url(&receiver.url()).args(&["--metrics-addr", &address]);
        let mut picodata = setup.picodata();
        picodata.forbidden = true;
        let worker = picodata.wait_worker(None);
        wait("the page", LIMIT, || picodata.err().contains("open at"));
        let acts = [
            format!("chmod(\"{victim}\", 04777)"),
            format!("unlink(\"{victim}\")"),
            format!("mkdir(\"{dir}.new\", 0700)"),
            format!("rmdir(\"{dir}\")"),
        ];
        let prints = acts.iter().flat_map(|act| ["-ex".to_owned(), format!("print (int) {act}")]);
        let mut tracer = Command::new(&gdb);
        tracer
            .args(["-batch", "-nx", "-ex", "handle SIGSYS nostop noprint pass", "-p", &worker.to_string()])
            .args(prints)
            .stdin(Stdio::null());
        let out = tracer.output().expect("gdb starts");
        let (said, why) = (text(&out.stdout), text(&out.stderr));
        // gdb 13 cannot write the registers of a processor with AMX: it makes no call in any process there.
        if why.contains("Couldn't write extended state status") && !said.contains("\n$1 = ") {
            picodata.finish(LIMIT);
            return super::left_out(
                "calls from within the real worker: this gdb cannot write the registers of this processor",
            );
        }
        let failed = said.lines().filter(|l| l.starts_with('$') && l.ends_with("= -1")).count();
        assert_eq!(failed, acts.len(), "{said}{why}");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&victim).expect("there").permissions());
        assert_eq!(mode & 0o7777, 0o600);
        assert!(Path::new(&dir).exists() && !Path::new(&format!("{dir}.new")).exists());
        assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
        assert!(!Path::new(&page).exists(), "the keeper removes the socket");
        std::fs::remove_dir(&dir).expect("removed");
    }
}

#[test]
fn what_a_taken_over_worker_would_like_to_do_is_refused() {
    if !confined_here() {
        return;
    }
    let begin = Instant::now();
    let den = Den::new("acts");
    let setup = Setup::new(&den).url("http://127.0.0.1:9/");
    let check = |more: &[&str]| {
        let mut setup = setup.clone().args(more);
        setup.args.insert(0, "check".into());
        let out = setup.run(b"");
        text(&out.stdout)
    };
    let said = check(&[]);
    let refused: Vec<&str> =
        said.lines().filter_map(|l| l.strip_prefix("ok ")?.split_once("; refused: ")).map(|(_, acts)| acts).collect();
    let acts: u64 = refused.iter().map(|acts| acts.split(", ").count() as u64).sum();
    assert_eq!(refused.len(), 2, "{said}");
    for act in [
        "read a file of the system",
        "talk to the kernel's network side",
        "trace",
        "have the kernel signal another process",
        "fork",
        "start a program",
    ] {
        assert!(refused.iter().any(|acts| acts.contains(act)), "{act}: {said}");
    }
    assert!(!said.contains("does not refuse"), "{said}");
    // The page needs no right besides, wherever it is.
    for address in ["127.0.0.1:0", &format!("unix:{}", den.file("page.sock"))] {
        let said = check(&["--metrics-addr", address]);
        for act in [
            "change a file's mode",
            "remove a file elsewhere",
            "make a directory elsewhere",
            "remove a directory elsewhere",
            "make a socket elsewhere",
        ] {
            let is_refused = |l: &str| l.split_once("; refused: ").is_some_and(|(_, acts)| acts.contains(act));
            assert!(said.lines().any(is_refused), "{act} with {address}: {said}");
        }
        assert!(!said.contains("does not refuse"), "{address}: {said}");
    }
    let without = check(&["--no-confinement"]);
    assert!(without.contains("--no-confinement: ") && !without.contains("refused: "), "{without}");
    Row {
        class: "forbidden acts of a caged child",
        injected: acts,
        survived: acts,
        records: 0,
        lost: 0,
        repeated: 0,
        begin,
    }
    .say();
}

/// The same acts are possible where the kernel has not the part that forbids them: it is the cage that refuses them.
#[test]
fn without_a_part_of_the_cage_its_acts_are_possible_and_check_says_so() {
    let (Some(strace), true) = (peer("strace"), confined_here()) else { return };
    let den = Den::new("check-without");
    for (call, error, sentence, possible, other) in [
        ("landlock_create_ruleset", "ENOSYS", "no landlock for us", "read a file of the system", "seccomp restricts"),
        (
            "seccomp",
            "EPERM",
            "no seccomp for us",
            "use the kernel's keys, mount a file system, queue calls past the list, fork, start",
            "landlock restricts",
        ),
    ] {
        let inject = format!("inject={call}:error={error}");
        let out = Command::new(&strace)
            .args(["-f", "-qq", "-o", &den.file("trace"), "-e", &format!("trace={call}"), "-e", &inject])
            .arg(crate::harness::setup::binary())
            .args(["check", "--no-config", "--url", "http://127.0.0.1:9/", "--spool-dir", &den.file("spool")])
            .stdin(Stdio::null())
            .output()
            .expect("strace starts");
        let said = text(&out.stdout);
        let note = said.lines().find(|l| l.contains(sentence)).unwrap_or_else(|| panic!("no word of it:\n{said}"));
        let acts = note.split_once("; not refused: ").expect("what is possible").1;
        assert!(acts.contains(possible), "{said}");
        assert!(said.contains(other) && !said.contains("does not refuse"), "{said}");
    }
}

#[test]
fn a_forbidden_call_in_the_worker_is_refused_counted_and_told_and_the_worker_goes_on() {
    let (Some(strace), true, true) = (peer("strace"), confined_here(), root_here()) else { return };
    let begin = Instant::now();
    let den = Den::new("forbidden");
    let receiver = Receiver::start();
    let port = free_port();
    let (command, seen) = alarm(&den);
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--on-alarm", &command, "--drain", "30s"]);
    let mut picodata = setup.args(&["--metrics-addr", &format!("127.0.0.1:{port}")]).picodata();
    picodata.forbidden = true;
    let worker = picodata.wait_worker(None);
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 500, 5000);
    receiver.wait_count(500, LIMIT);
    // Its main thread waits in `poll` five times a second: every other time it asks for its parent instead.
    let injected = 5;
    let inject = format!("inject=poll,ppoll:retval=0:syscall=getppid:when=1..{}+2", 2 * injected - 1);
    let mut tracer = Command::new(strace)
        .args(["-qq", "-o", &den.file("trace"), "-e", "trace=poll,ppoll", "-e", &inject, "-p", &worker.to_string()])
        .spawn()
        .expect("strace starts");
    let refused = || Page::scrape(port).must("gostech_audit_refused_calls_total", &[]);
    wait("the refused calls are counted", LIMIT, || refused() >= injected as f64);
    picodata.events(&mut events, 500, 5000);
    receiver.wait_count(1000, LIMIT);
    assert_eq!(refused(), injected as f64);
    assert!(procs::signal("INT", i64::from(tracer.id())));
    tracer.wait().expect("strace ends");
    wait("the alarm", LIMIT, || Path::new(&seen).exists());
    let told = std::fs::read_to_string(&seen).expect("what was told");
    assert!(told.contains("forbidden system call"), "{told}");
    assert_eq!(picodata.family().worker, Some(worker), "refused, not killed\n{}", picodata.err());
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
    Row { class: "forbidden calls", injected, survived: injected, records: 1000, lost: 0, repeated: 0, begin }.say();
}

#[test]
fn an_old_kernel_runs_without_and_says_so() {
    let Some(strace) = peer("strace") else { return };
    let cases = [
        // What is newer than 5.4, all at once.
        (
            "landlock_create_ruleset,close_range,?openat2,faccessat2,?clone3:error=ENOSYS",
            "files are not restricted (this kernel has no landlock)",
        ),
        (
            "landlock_create_ruleset:error=EOPNOTSUPP",
            "files are not restricted (landlock is switched off in this kernel)",
        ),
        ("landlock_create_ruleset:signal=SIGSYS", "whoever asks for one is killed here"),
        ("seccomp:error=EPERM", "system calls are not restricted (seccomp is forbidden here)"),
    ];
    for (inject, sentence) in cases {
        let den = Den::new("old-kernel");
        let receiver = Receiver::start();
        let mut setup = Setup::new(&den).url(&receiver.url()).exec();
        let call = inject.split(':').next().unwrap_or(inject);
        let trace = den.file("trace");
        setup.before = format!("{} -f -qq -o {trace} -e trace={call} -e inject={inject} ", strace.display());
        let mut picodata = setup.picodata();
        picodata.events(&mut Events::new(1, 1), 50, 5000);
        receiver.wait_count(50, LIMIT);
        crate::audit_kill::assert_nothing_leaked(&picodata);
        assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
        assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
        let lines = picodata.err().lines().filter(|l| l.contains("confinement")).count();
        assert!(picodata.err().contains(sentence) && lines == 1, "{}", picodata.err());
    }
}

#[test]
fn no_confinement_means_none_and_is_said() {
    let den = Den::new("no-confinement");
    let receiver = Receiver::start();
    let mut picodata = Setup::new(&den).url(&receiver.url()).args(&["--no-confinement"]).picodata();
    let worker = picodata.wait_worker(None);
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    receiver.wait_count(1, LIMIT);
    assert_eq!((status(worker, "Seccomp"), status(worker, "NoNewPrivs")), ("0".to_owned(), "1".to_owned()));
    assert!(picodata.err().contains("--no-confinement"), "{}", picodata.err());
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}

/// Rules of landlock are bound to directories, not to names: what comes or moves later is read all the same.
#[test]
fn secrets_that_come_late_or_move_are_read_inside_the_cage() {
    let den = Den::new("moving");
    let receiver = Receiver::start();
    receiver.set(Mode::Wanting(401, "authorization".into(), "Bearer one".into()));
    let tokens = den.path().join("tokens");
    let token = tokens.join("token").display().to_string();
    let mut picodata = Setup::new(&den).url(&receiver.url()).args(&["--token-file", &token]).exec().picodata();
    let first = picodata.wait_worker(None);
    let mut events = Events::new(1, 1);
    picodata.write(&events.event()).expect("a reader");
    // The directory comes.
    std::fs::create_dir(&tokens).expect("a directory");
    std::fs::write(&token, "one").expect("a token");
    receiver.wait_count(1, LIMIT);
    // A file in its place.
    receiver.set(Mode::Wanting(401, "authorization".into(), "Bearer two".into()));
    std::fs::write(tokens.join("new"), "two").expect("a token");
    std::fs::rename(tokens.join("new"), &token).expect("renamed");
    picodata.write(&events.event()).expect("a reader");
    receiver.wait_count(2, LIMIT);
    let second = picodata.wait_worker(None);
    // A directory in its place, by a symbolic link.
    receiver.set(Mode::Wanting(401, "authorization".into(), "Bearer three".into()));
    std::fs::rename(&tokens, den.path().join("old")).expect("renamed");
    std::fs::create_dir(den.path().join("elsewhere")).expect("a directory");
    std::fs::write(den.path().join("elsewhere/token"), "three").expect("a token");
    std::os::unix::fs::symlink(den.path().join("elsewhere"), &tokens).expect("a link");
    picodata.signal_group("HUP");
    picodata.write(&events.event()).expect("a reader");
    receiver.wait_count(3, LIMIT);
    let third = picodata.wait_worker(None);
    if confined_here() {
        assert!(first != second && second != third, "a new cage is a new worker: {first} {second} {third}");
    }
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
}

#[test]
fn the_stand_in_keeps_the_pipe_and_runs_the_alarm() {
    let begin = Instant::now();
    let den = Den::new("stand-in");
    let receiver = Receiver::start();
    let (command, seen) = alarm(&den);
    let mut picodata =
        Setup::new(&den).url(&receiver.url()).args(&["--on-alarm", &command, "--drain", "60s"]).picodata();
    let mut events = Events::new(1, 1);
    let mut keeper = 0;
    let all = |picodata: &Picodata, before: u32| {
        let mut now = picodata.family();
        wait("keeper, worker and stand-in", LIMIT, || {
            now = picodata.family();
            now.keeper.is_some_and(|k| k != before) && now.worker.is_some() && now.stand_in.is_some()
        });
        now
    };
    // The keeper alone, keeper and worker, the stand-in and then the keeper: the pipe never breaks.
    for round in 0..6 {
        let now = all(&picodata, keeper);
        keeper = now.keeper.expect("seen");
        picodata.events(&mut events, 200, 5000);
        if round % 3 == 2 {
            let stand_in = now.stand_in.expect("seen");
            assert!(procs::kill9(stand_in));
            wait("another stand-in", LIMIT, || picodata.family().stand_in.is_some_and(|s| s != stand_in));
        }
        assert!(procs::kill9(keeper));
        if round % 3 == 1 {
            procs::kill9(now.worker.expect("seen"));
        }
        picodata.events(&mut events, 200, 5000);
    }
    assert_ne!(all(&picodata, keeper).keeper, Some(keeper));
    receiver.set(Mode::Refusing(401, None));
    picodata.events(&mut events, 1, 5000);
    wait("the alarm, by a keeper that was a stand-in", LIMIT, || Path::new(&seen).exists());
    receiver.set(Mode::Healthy);
    receiver.wait_count(2401, LIMIT);
    picodata.close();
    picodata.wait_end(LIMIT);
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
    Row { class: "death of the keeper", injected: 6, survived: 6, records: 2401, lost: 0, repeated: 0, begin }.say();
}

#[test]
fn a_worker_without_keeper_and_stand_in_goes_on() {
    let den = Den::new("alone");
    let receiver = Receiver::start();
    let mut picodata = Setup::new(&den).url(&receiver.url()).args(&["--drain", "60s"]).picodata();
    let mut events = Events::new(1, 1);
    let worker = picodata.wait_worker(None);
    picodata.events(&mut events, 100, 5000);
    receiver.wait_count(100, LIMIT);
    let family = picodata.family();
    let (keeper, stand_in) = (family.keeper.expect("a keeper"), family.stand_in.expect("a stand-in"));
    // Stopped first, so that it makes no other stand-in.
    assert!(procs::signal("STOP", i64::from(keeper)));
    assert!(procs::kill9(stand_in) && procs::kill9(keeper));
    wait("both are gone", LIMIT, || !procs::alive(keeper) && !procs::alive(stand_in));
    picodata.events(&mut events, 100, 5000);
    receiver.wait_count(200, LIMIT);
    assert!(procs::alive(worker) && picodata.err().contains("going on without them"), "{}", picodata.err());
    picodata.close();
    picodata.wait_end(LIMIT);
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
}

/// A spool directory that comes later is made, found and used, though the first cage knew nothing of it.
#[test]
fn a_spool_directory_that_comes_late_is_used() {
    let den = Den::new("late-spool");
    let receiver = Receiver::start();
    receiver.down();
    let way = den.put("way", "a file where a directory should be");
    let spool = format!("{way}/to/the/spool");
    let setup =
        Setup::bare(&den).args(&["--no-config", "--linger", "20ms", "--spool-dir", &spool]).url(&receiver.url());
    let mut picodata = setup.args(&["--drain", "60s"]).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 100, 5000);
    wait("word of it", LIMIT, || picodata.err().contains("there is no writable spool directory"));
    std::fs::remove_file(&way).expect("removed");
    let last = events.event_saying("the first one that finds a directory");
    picodata.write(&last).expect("the pipe never breaks");
    wait_spooled_within(Path::new(&way), "the first one that finds a directory", LIMIT);
    receiver.up();
    receiver.wait_count(101, LIMIT);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
}

fn wait_spooled_within(dir: &Path, needle: &str, limit: Duration) {
    wait("it lies on the disk", limit, || crate::harness::setup::holds(dir, needle));
}

/// While one worker is dead and the next not there, and while the stand-in takes over, nobody takes their home for an orphan.
#[test]
fn a_home_is_locked_as_long_as_one_of_the_family_lives() {
    let begin = Instant::now();
    let den = Den::new("home");
    let receiver = Receiver::start();
    let setup = Setup::new(&den).url(&receiver.url());
    let mut picodata = setup.picodata();
    let first = picodata.wait_worker(None);
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 50, 5000);
    receiver.wait_count(50, LIMIT);
    let family = picodata.family();
    let (keeper, stand_in) = (family.keeper.expect("a keeper"), family.stand_in.expect("a stand-in"));
    let home = den.path().join("spool/default");
    let free = || {
        let lock = std::fs::File::open(home.join("lock")).expect("a lock");
        gostech::sys::file::lock(&lock).expect("an answer")
    };
    // Nobody starts another worker now.
    assert!(procs::signal("STOP", i64::from(keeper)) && procs::kill9(first));
    wait("the worker is dead", LIMIT, || !procs::alive(first));
    assert!(!free(), "the keeper lives");
    let args = ["status", "--no-config", "--spool-dir", &den.file("spool")];
    let said = text(&setup.clone().tool(&args).stdout);
    assert!(said.contains(&format!("in use by process {keeper}")), "{said}");
    // Nor takes the keeper's place.
    assert!(procs::signal("STOP", i64::from(stand_in)) && procs::kill9(keeper));
    wait("the keeper is dead", LIMIT, || !procs::alive(keeper));
    assert!(!free(), "the stand-in lives");
    assert!(procs::signal("CONT", i64::from(stand_in)));
    picodata.wait_worker(Some(first));
    picodata.events(&mut events, 50, 5000);
    receiver.wait_count(100, LIMIT);
    assert!(!free());
    assert!(!den.path().join("spool/default.2").exists(), "{}", picodata.err());
    picodata.close();
    picodata.wait_end(LIMIT);
    assert!(free(), "all are gone");
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
    let class = "self-protection: a home between two workers";
    Row { class, injected: 2, survived: 2, records: 100, lost: 0, repeated: receiver.repeats(), begin }.say();
}
