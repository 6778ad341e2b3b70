//! Bounds of the system that are too tight, at the start and while it works; processes that stand still; two helpers on
//! one spool; a clock that jumps.
//!
//! Limits are those of the helper alone (`prlimit`). Refuses: to set the machine's clock; what that means is said where a
//! test would need it.

use super::left_out;
use super::real::{Real, LIMIT};
use crate::harness::setup::wait_spooled;
use crate::harness::{long, peer, procs, wait, Events, Picodata, Setup};
use std::process::Command;
use std::time::Duration;

/// Sets a limit of a running process.
pub fn limit(pid: u32, what: &str) {
    limit_as("", pid, what);
}

/// The same as another user: that of the process, for whom the limit counts.
pub fn limit_as(user: &str, pid: u32, what: &str) {
    let script = format!("{user}prlimit --pid {pid} {what}");
    let out = Command::new("/bin/sh").args(["-c", &script]).output().expect("a shell");
    assert!(out.status.success(), "{what}: {}", String::from_utf8_lossy(&out.stderr));
}

/// A helper that starts under a limit, and works under it.
fn starts_under(name: &str, class: &'static str, before: &str) {
    let real = Real::new(name);
    let mut setup = real.setup();
    setup.before = before.to_owned();
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 1000, 2000);
    real.whole(&mut picodata);
    real.say(class, 1, picodata.ledger.len());
}

/// A worker without a page holds 16 before it works, the connection to its receiver, and files of the spool, which a backlog
/// opens: as many as leave the others theirs; and a directory for a moment.
#[test]
fn few_descriptors_at_the_start() {
    let real = Real::new("lab-nofile");
    real.receiver.down();
    let mut setup = real.without_page().args(&["--spool-max", "1M", "--retain", "0s"]);
    setup.before = "prlimit --nofile=24:24 ".to_owned();
    let mut picodata = setup.picodata();
    let worker = picodata.wait_worker(None);
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 2600, 10_000);
    real.receiver.up();
    let mut most = 0;
    wait("everything delivered", LIMIT, || {
        most = most.max(procs::descriptors(worker).len());
        real.receiver.count() >= picodata.ledger.len()
    });
    println!("{most} descriptors at the most");
    real.whole_without_page(&setup, &mut picodata);
    real.say("bounds: 24 descriptors", 1, picodata.ledger.len());
}

/// The page adds 18, and one for each visitor.
#[test]
fn few_descriptors_and_a_page() {
    starts_under("lab-nofile-page", "bounds: 64 descriptors, with a page", "prlimit --nofile=64:64 ");
}

#[test]
fn little_address_space_at_the_start() {
    // Stacks, the two views of the ring and the windows of the readers take most of it.
    starts_under("lab-as", "bounds: 64 MiB of addresses", "prlimit --as=67108864:67108864 ");
}

/// The memory for when the disk fails is a sparse file, longer than a file may be here.
#[test]
fn small_files_at_the_start() {
    starts_under("lab-fsize-start", "bounds: files of 32 MiB at most", "prlimit --fsize=33554432:33554432 ");
}

/// The cushion is a file too, of memory: what cannot be had is said, and the helper works with less.
#[test]
fn a_cushion_larger_than_a_file_may_be() {
    let real = Real::new("lab-fsize-cushion");
    let mut setup = real.setup();
    let at = setup.args.iter().position(|a| a == "1M").expect("--memory-max");
    setup.args[at] = "64M".to_owned();
    setup.before = "prlimit --fsize=6291456:6291456 ".to_owned();
    let mut picodata = setup.args(&["--spool-max", "32M"]).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 1000, 2000);
    let said = "--memory-max: 67108864 bytes cannot be had here, only 4194304";
    assert!(picodata.err().contains(said), "{}", picodata.err());
    real.whole(&mut picodata);
    real.say("bounds: a cushion larger than a file", 1, picodata.ledger.len());
}

/// While it works it may open nothing more, for a while: no new segment, no new connection.
#[test]
fn no_descriptor_left_while_it_works() {
    let real = Real::new("lab-nofile-late");
    let setup = real.setup().args(&["--spool-max", "256K", "--retain", "0s"]);
    let mut picodata = setup.picodata();
    let worker = picodata.wait_worker(None);
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 500, 2000);
    limit(worker, "--nofile=3:1024");
    real.receiver.down();
    picodata.events(&mut events, 1500, 1000);
    wait("it was felt", LIMIT, || picodata.err().contains("(os error 24)"));
    limit(worker, "--nofile=1024:1024");
    real.receiver.up();
    picodata.events(&mut events, 500, 2000);
    real.whole(&mut picodata);
    real.say("bounds: no descriptor left", 1, picodata.ledger.len());
}

/// Files may not grow beyond 20 KiB, for a while: every write behind it is short or refused, as on a full disk.
#[test]
fn files_that_may_not_grow() {
    let real = Real::new("lab-fsize");
    let mut picodata = real.setup().picodata();
    let worker = picodata.wait_worker(None);
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 20, 2000);
    limit(worker, "--fsize=20480:unlimited");
    // The cushion of the disk lies in a file of memory, which is bounded too: only the ring is left, and it is full soon.
    picodata.events(&mut events, 1500, 1000);
    wait("it was felt", LIMIT, || picodata.err().contains("File too large"));
    limit(worker, "--fsize=unlimited:unlimited");
    picodata.events(&mut events, 500, 2000);
    real.whole(&mut picodata);
    real.say("bounds: short writes at 20 KiB", 1, picodata.ledger.len());
}

/// No more processes for the user when a worker dies and another one is wanted; then one more, and no thread: that worker
/// panics, and the keeper tells of the very signal by which a panic ends. Then there is room again.
#[test]
fn no_processes_and_no_threads_left_when_a_worker_dies() {
    let real = Real::new("lab-nproc");
    // Nobody's, not even `nobody`'s: every process of the user counts.
    let stranger = "setpriv --reuid=61217 --regid=61217 --clear-groups ";
    let mut setup = real.setup();
    let probe = format!("{stranger} {} --version", setup.program.display());
    let probe = Command::new("/bin/sh").args(["-c", &probe]).output();
    if !probe.is_ok_and(|o| o.status.success()) {
        return left_out("no processes left: root has no such limit, and another user cannot run the program here");
    }
    open_to_all(real.den.path());
    setup.before = format!("prlimit --nproc=1000:1000 {stranger}");
    let mut picodata = setup.picodata();
    let first = picodata.wait_worker(None);
    let keeper = picodata.family().keeper.expect("a keeper");
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 300, 2000);
    limit_as(stranger, keeper, "--nproc=1:1000");
    assert!(procs::kill9(first));
    picodata.events(&mut events, 1500, 1000);
    wait("no process: it is said", LIMIT, || picodata.err().contains("cannot start a worker"));
    // Keeper, stand-in, and one that has inherited the limit.
    limit_as(stranger, keeper, "--nproc=3:1000");
    wait("no thread: it is said", LIMIT, || {
        picodata.err().contains("the worker was ended by signal 6 (SIGABRT: it panicked")
    });
    assert!(picodata.err().contains("cannot start the thread"), "{}", picodata.err());
    limit_as(stranger, keeper, "--nproc=1000:1000");
    picodata.events(&mut events, 300, 2000);
    real.whole(&mut picodata);
    real.say("bounds: no process, no thread", 2, picodata.ledger.len());
}

/// Threads for reading and writing, and none for the delivery, from the beginning and for a while.
#[test]
fn no_thread_left_for_a_sender() {
    let real = Real::new("lab-nothread");
    // A user of its own: the limit counts all that a user has.
    let user = "setpriv --reuid=65533 --regid=65533 --clear-groups ";
    let mut setup = Setup::new(&real.den).exec().url(&real.receiver.url()).args(&["--drain", "60s"]);
    let probe = format!("{user} {} --version", setup.program.display());
    let probe = Command::new("/bin/sh").args(["-c", &probe]).output();
    if !probe.is_ok_and(|o| o.status.success()) {
        return left_out("no thread left: root has no such limit, and another user cannot run the program here");
    }
    open_to_all(real.den.path());
    setup.before = format!("prlimit --nproc=6:1000 {user}");
    let mut picodata = setup.picodata();
    let worker = picodata.wait_worker(None);
    let mut events = Events::new(1, 1);
    picodata.stream((0..1000).map(|_| events.event()), 1000).expect("the pipe never breaks");
    picodata.write(&events.event_saying("the last without a sender")).expect("the pipe never breaks");
    wait_spooled(&real.den.path().join("spool"), "the last without a sender");
    assert!(picodata.err().contains("cannot start its thread"), "it was not felt\n{}", picodata.err());
    assert_eq!(real.receiver.count(), 0);
    limit_as(user, worker, "--nproc=1000:1000");
    real.receiver.wait_count(picodata.ledger.len(), LIMIT);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&real.receiver.docs()), Ok(()), "{}", picodata.err());
    assert!(!picodata.err().contains("was ended by"), "nobody died of it\n{}", picodata.err());
    real.say("bounds: no thread for a sender", 1, picodata.ledger.len());
}

/// For a helper that is not root: the program is reached, the directory is writable.
pub fn open_to_all(dir: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777)).expect("permissions");
}

/// A process stands still under a stream: the worker, the keeper, the receiver's side.
fn stands_still(name: &str, class: &'static str, who: fn(&Picodata) -> u32) {
    let seconds = if long() { 60 } else { 3 };
    let real = Real::new(name);
    // What comes meanwhile fits the pipe and the ring: with a worker that stands still nobody can read on.
    let mut picodata = real.setup().picodata();
    picodata.wait_worker(None);
    let pid = who(&picodata);
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 300, 2000);
    assert!(procs::signal("STOP", i64::from(pid)));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(seconds));
            assert!(procs::signal("CONT", i64::from(pid)));
        });
        let count = seconds as usize * 300;
        picodata.events(&mut events, count, 300);
    });
    picodata.events(&mut events, 300, 2000);
    real.whole(&mut picodata);
    real.say(class, 1, picodata.ledger.len());
}

#[test]
fn a_worker_that_stands_still() {
    stands_still("lab-stop-worker", "SIGSTOP of the worker", |p| p.family().worker.expect("a worker"));
}

#[test]
fn a_keeper_that_stands_still() {
    stands_still("lab-stop-keeper", "SIGSTOP of the keeper", |p| p.family().keeper.expect("a keeper"));
}

/// The receiver's system takes the connection and the bytes, and its program does nothing with them.
#[test]
fn a_receiver_that_stands_still() {
    let seconds = if long() { 60 } else { 3 };
    let real = Real::new("lab-stop-receiver");
    let mut picodata = real.setup().picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 300, 2000);
    real.receiver.set(crate::harness::Mode::Hanging);
    picodata.events(&mut events, seconds as usize * 300, 300);
    real.receiver.set(crate::harness::Mode::Healthy);
    picodata.events(&mut events, 300, 2000);
    real.whole(&mut picodata);
    real.say("a receiver that stands still", 1, picodata.ledger.len());
}

/// Two helpers with one directory and one instance: each has its own part of it, also when workers of both die at once.
#[test]
fn two_helpers_on_one_spool() {
    let real = Real::new("lab-two");
    let second_port = crate::harness::free_port();
    let mut first = real.setup().picodata();
    let mut setup = real.setup();
    let at = setup.args.iter().position(|a| a == "--metrics-addr").expect("an address") + 1;
    setup.args[at] = format!("127.0.0.1:{second_port}");
    first.wait_worker(None);
    let mut second = setup.picodata();
    let (mut e1, mut e2) = (Events::new(1, 1), Events::new(2, 1));
    for _ in 0..3 {
        for (p, e) in [(&mut first, &mut e1), (&mut second, &mut e2)] {
            p.events(e, 300, 3000);
        }
        let (a, b) = (first.wait_worker(None), second.wait_worker(None));
        assert!(procs::kill9(a) && procs::kill9(b));
    }
    let all = first.ledger.len() + second.ledger.len();
    wait("everything delivered", LIMIT, || real.receiver.count() >= all);
    assert_eq!((first.finish(LIMIT), second.finish(LIMIT)), (0, 0), "{}{}", first.err(), second.err());
    let docs = real.receiver.docs();
    let gaps: Vec<_> = docs.iter().filter(|d| d.value["title"] == "audit_gap").map(|d| &d.raw).collect();
    assert_eq!(
        docs.len(),
        all,
        "once by document id, and nothing told as missing: {gaps:?}\n{}{}",
        first.err(),
        second.err()
    );
    for ledger in [&first.ledger, &second.ledger] {
        assert_eq!(ledger.missing(&real.receiver.docs()), Vec::<String>::new());
    }
    real.say("two helpers on one spool, 6 deaths", 6, all);
}

/// Jumps of the wall clock cannot be made for one process: the program reads it through the vDSO, without a system call
/// that `strace` could change (shown here), and time namespaces shift the other clocks alone. So jumps both ways are in the
/// simulation, whose clock is its own; here is what a real system can do: the clocks since boot jump by hours at a start.
#[test]
fn clocks_that_jump_between_two_starts() {
    let Some(strace) = peer("strace") else { return };
    let real = Real::new("lab-clock");
    let mut setup = real.setup();
    let trace = real.den.file("trace");
    let calls = "clock_gettime,gettimeofday,time";
    setup.before = format!("{} -f -qq --seccomp-bpf -o {trace} -e trace={calls} ", strace.display());
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 300, 2000);
    real.whole(&mut picodata);
    let asked = std::fs::read_to_string(&trace).unwrap_or_default();
    let asked = asked.lines().filter(|l| l.contains("CLOCK_REALTIME")).count();
    println!("the wall clock was asked by {asked} system calls for 300 events: the others went past strace");
    assert!(asked < 300, "it can be injected after all: write the test");
    let mut records = 300;
    for (gen, hours) in [(2, 30), (3, 0)] {
        let seconds = hours * 3600;
        let before = format!("unshare --time --monotonic {seconds} --boottime {seconds} --fork --kill-child ");
        let probe = Command::new("/bin/sh").args(["-c", &format!("{before} true")]).status();
        if !probe.is_ok_and(|s| s.success()) {
            return left_out("clocks that jump: no right to a time namespace here");
        }
        setup.before = before;
        setup.exec = false;
        let mut picodata = setup.picodata();
        let mut events = Events::new(1, gen);
        picodata.events(&mut events, 300, 2000);
        records += 300;
        wait("everything delivered", LIMIT, || real.receiver.count() >= records);
        picodata.close();
        picodata.wait_end(LIMIT);
        assert_eq!(picodata.ledger.missing(&real.receiver.docs()), Vec::<String>::new());
    }
    real.say("clocks: 30 hours on, and back", 2, records);
}
