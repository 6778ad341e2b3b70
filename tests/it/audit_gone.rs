//! A spool that goes while the helper works: its directory removed, swapped, unmounted or unreadable, single files removed,
//! with a reload, a death or the end at that very moment. What can be read is kept; what cannot is told, to the event.

use crate::harness::receiver::Doc;
use crate::harness::setup::wait_spooled;
use crate::harness::{procs, wait, Den, Events, Picodata, Receiver, Setup};
use crate::lab::real::{inside, on_tmpfs};
use std::path::PathBuf;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

/// A helper with a hundred events in its spool that its receiver has not taken.
struct Stage {
    den: Den,
    receiver: Receiver,
    setup: Setup,
    picodata: Picodata,
    events: Events,
    is_up: bool,
}

impl Stage {
    fn new(name: &str, args: &[&str]) -> Stage {
        let den = Den::new(name);
        Stage::on(den, args, String::new())
    }

    fn on(den: Den, args: &[&str], before: String) -> Stage {
        let receiver = Receiver::start();
        receiver.down();
        let mut setup = Setup::new(&den).exec().url(&receiver.url()).args(args);
        setup.before = before;
        let mut picodata = setup.picodata();
        let worker = picodata.wait_worker(None);
        let mut events = Events::new(1, 1);
        picodata.events(&mut events, 99, 10_000);
        picodata.write(&events.event_saying("the hundredth")).expect("a reader");
        // In the helper's own namespace, where it has one.
        let spool = den.file("spool");
        let lies = || inside_out(worker, &format!("grep -rlq 'the hundredth' {spool}"));
        wait("they are spooled", LIMIT, lies);
        Stage { den, receiver, setup, picodata, events, is_up: false }
    }

    fn spool(&self) -> PathBuf {
        self.den.path().join("spool")
    }

    fn err(&self) -> String {
        self.picodata.err()
    }

    fn says(&self, what: &str) {
        wait(what, LIMIT, || self.err().contains(what));
    }

    /// The worker sees nothing of what `happens`, and is dead.
    fn dies(&self, happens: impl FnOnce(&Stage)) {
        let worker = self.picodata.wait_worker(None);
        procs::signal("STOP", i64::from(worker));
        happens(self);
        procs::kill9(worker);
        self.picodata.wait_worker(Some(worker));
    }

    fn remove(&self) {
        // In one step: while it is emptied the helper may make new files there.
        let away = self.den.path().join("away");
        std::fs::rename(self.spool(), &away).and_then(|()| std::fs::remove_dir_all(&away)).expect("the directory goes");
    }

    fn swap(&self) {
        let (spool, old) = (self.spool(), self.den.path().join("old"));
        std::fs::rename(&spool, old).and_then(|()| std::fs::create_dir(&spool)).expect("a swap");
    }

    fn reload(&self) {
        procs::signal("HUP", i64::from(self.picodata.family().keeper.expect("a keeper")));
        self.says("was removed or replaced");
    }

    /// The receiver is well again.
    fn up(&mut self) {
        if !std::mem::replace(&mut self.is_up, true) {
            self.receiver.up();
        }
    }

    /// Fifty more, the receiver well again: what came, and the exit code.
    fn end(mut self) -> (Vec<String>, Vec<Doc>, i32, String) {
        self.picodata.events(&mut self.events, 50, 10_000);
        self.up();
        let code = self.picodata.finish(LIMIT);
        let (gaps, docs): (Vec<_>, Vec<_>) =
            self.receiver.docs().into_iter().partition(|d| d.value["title"] == "audit_gap");
        (self.picodata.ledger.missing(&docs), gaps, code, self.err())
    }

    /// Nothing is lost, and nothing told as lost.
    fn whole(self) {
        let (missing, gaps, code, err) = self.end();
        assert_eq!((missing.len(), gaps.len(), code), (0, 0, 0), "{gaps:?}\n{err}");
    }

    /// The first hundred are told as gone, in one event, and that is a failure.
    fn told(self) {
        let (missing, gaps, code, err) = self.end();
        assert_eq!((missing.len(), gaps.len(), code), (100, 1, 1), "{gaps:?}\n{err}");
        let told = |name: &str| gaps[0].value[name].clone();
        assert_eq!(told("missing").to_string().trim_matches('"'), "100");
        assert_eq!((told("reason"), told("from"), told("to")), ("damaged".into(), "1.1.1".into(), "1.1.100".into()));
        assert!(err.contains("100 undelivered events with it") || err.contains("not there any more"), "{err}");
    }
}

fn inside_out(pid: u32, script: &str) -> bool {
    let target = pid.to_string();
    let args = ["-m", "-t", &target, "/bin/sh", "-c", script];
    std::process::Command::new("nsenter").args(args).status().is_ok_and(|s| s.success())
}

#[test]
fn removed_before_a_reload_it_costs_nothing() {
    let stage = Stage::new("gone-reload", &[]);
    stage.remove();
    stage.reload();
    stage.whole();
}

#[test]
fn swapped_for_another_before_a_reload_it_costs_nothing() {
    let stage = Stage::new("gone-swap", &[]);
    stage.swap();
    stage.reload();
    stage.whole();
}

#[test]
fn unmounted_before_a_reload_it_costs_nothing() {
    let den = Den::new("gone-umount");
    let Some(before) = on_tmpfs(&den, 8) else { return };
    let stage = Stage::on(den, &[], before);
    let worker = stage.picodata.family().worker.expect("a worker");
    inside(worker, &format!("umount -l {}", stage.den.file("spool")));
    stage.reload();
    stage.whole();
}

#[test]
fn removed_before_the_end_it_is_left_for_the_next_start() {
    let mut stage = Stage::new("gone-end", &["--drain", "1s"]);
    stage.remove();
    assert_eq!(stage.picodata.finish(LIMIT), 0, "{}", stage.err());
    assert!(stage.err().contains("100 events are left"), "{}", stage.err());
    stage.up();
    let mut next = stage.setup.picodata();
    stage.receiver.wait_count(100, LIMIT);
    assert_eq!(next.finish(LIMIT), 0, "{}", next.err());
    assert_eq!(stage.picodata.ledger.compare(&stage.receiver.docs()), Ok(()));
}

#[test]
fn removed_as_the_worker_dies_it_is_told_to_the_event() {
    let stage = Stage::new("gone-death", &[]);
    stage.dies(Stage::remove);
    stage.told();
}

#[test]
fn swapped_as_the_worker_dies_it_is_told_to_the_event() {
    let stage = Stage::new("gone-swap-death", &[]);
    stage.dies(Stage::swap);
    stage.told();
}

/// What an earlier helper has left is known to the next one's workers as well, though nothing of it has moved since.
#[test]
fn removed_as_the_worker_dies_what_an_earlier_helper_left_is_told() {
    let mut stage = Stage::new("gone-left", &["--drain", "1s"]);
    assert_eq!(stage.picodata.finish(LIMIT), 0, "{}", stage.err());
    stage.picodata = stage.setup.picodata();
    stage.picodata.wait_worker(None);
    stage.says("100 events for r1 waiting");
    stage.dies(Stage::remove);
    stage.says("100 undelivered events with it");
    stage.up();
    let code = stage.picodata.finish(LIMIT);
    let told: Vec<_> = stage.receiver.docs().iter().map(|d| d.value["missing"].clone()).collect();
    assert_eq!((told, code), (vec![100.into()], 1), "{}", stage.err());
}

/// All files in it, as a cleaner does it.
fn empty(stage: &Stage, end: &str) {
    for file in std::fs::read_dir(stage.spool().join("default")).expect("a directory").flatten() {
        if file.file_name().to_string_lossy().ends_with(end) {
            std::fs::remove_file(file.path()).expect("a file goes");
        }
    }
}

#[test]
fn emptied_as_the_worker_dies_it_is_told_to_the_event() {
    let stage = Stage::new("gone-empty-death", &[]);
    stage.dies(|stage| empty(stage, ""));
    stage.told();
}

/// What is written to a file without a name is in no spool.
#[test]
fn files_that_are_removed_under_it_are_written_anew() {
    for end in [".seg", ""] {
        let mut stage = Stage::new("gone-files", &["--drain", "1s"]);
        std::thread::sleep(Duration::from_millis(1_500));
        empty(&stage, end);
        stage.picodata.events(&mut stage.events, 500, 1_000);
        stage.says("written anew");
        assert_eq!(stage.picodata.finish(LIMIT), 0, "{}", stage.err());
        assert!(stage.err().contains("600 events are left"), "{}", stage.err());
        stage.up();
        let mut next = stage.setup.picodata();
        stage.receiver.wait_count(600, LIMIT);
        assert_eq!(next.finish(LIMIT), 0, "{}", next.err());
        assert_eq!(stage.picodata.ledger.compare(&stage.receiver.docs()), Ok(()), "{}", next.err());
    }
}

#[test]
fn a_lock_that_is_removed_lets_nobody_in() {
    let mut stage = Stage::new("gone-lock", &[]);
    let lock = stage.spool().join("default/lock");
    std::fs::remove_file(&lock).expect("the lock goes");
    let mut other = stage.setup.picodata();
    let mut events = Events::new(1, 2);
    other.write(&events.event_saying("of the other one")).expect("a reader");
    wait_spooled(&stage.spool().join("default.2"), "of the other one");
    wait("it is made anew", LIMIT, || lock.exists());
    stage.up();
    assert_eq!(other.finish(LIMIT), 0, "{}", other.err());
    let (missing, _, code, err) = stage.end();
    assert_eq!((missing.len(), code), (0, 0), "{err}");
}

/// The next worker cannot open it: its events are in another directory of the same instance, and not lost.
#[test]
fn one_that_cannot_be_opened_is_left_and_nothing_of_it_is_told_as_lost() {
    let mut stage = Stage::new("gone-unreadable", &[]);
    let (state, away) = (stage.spool().join("default/state"), stage.spool().join("away"));
    wait("there is a state", LIMIT, || state.exists());
    stage.dies(|_| std::fs::rename(&state, &away).and_then(|()| std::fs::create_dir(&state)).expect("no state"));
    stage.says("100 undelivered events stay in it");
    stage.picodata.events(&mut stage.events, 50, 10_000);
    wait_spooled(&stage.spool().join("default.2"), "1.1.150");
    std::fs::remove_dir(&state).and_then(|()| std::fs::rename(&away, &state)).expect("the state");
    stage.up();
    // It is adopted.
    stage.receiver.wait_count(150, LIMIT);
    stage.whole();
}
