//! The keeper dies, and its stand-in cannot take its place: it stands still, or has no descriptor or process left. The worker
//! reads on until somebody can.
//!
//! Refuses: to be patient with the database's writes: none may wait for longer than a moment.

use super::bounds::{limit, limit_as, open_to_all};
use super::left_out;
use super::real::{Real, LIMIT};
use crate::harness::procs::Family;
use crate::harness::{procs, wait, Events, Picodata};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

/// The longest write that is borne: reading has not ceased.
const MOMENT: Duration = Duration::from_secs(3);

fn all_three(picodata: &Picodata) -> (u32, u32, u32) {
    let mut family = Family::default();
    wait("all three", LIMIT, || {
        family = picodata.family();
        family.keeper.is_some() && family.worker.is_some() && family.stand_in.is_some()
    });
    let pid = |p: Option<u32>| p.expect("all three are there");
    (pid(family.keeper), pid(family.worker), pid(family.stand_in))
}

/// A member of the helper's group that is a child of ours: a group whose last parent outside has gone is sent SIGHUP and
/// SIGCONT by the kernel when one of it stands still.
struct Anchor(Child);

impl Anchor {
    fn in_group(group: u32) -> Anchor {
        let group = i32::try_from(group).expect("a group");
        Anchor(Command::new("sleep").arg("300").process_group(group).spawn().expect("sleep"))
    }
}

impl Drop for Anchor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Hinders the stand-in, kills the keeper, waits until it is said, helps the stand-in, and goes on to the end.
fn hindered(real: &Real, mut picodata: Picodata, said: &str, hinder: impl Fn(u32), help: impl Fn(u32)) {
    let mut events = Events::new(1, 1);
    let (keeper, worker, stand_in) = all_three(&picodata);
    let anchor = Anchor::in_group(picodata.group());
    picodata.events(&mut events, 300, 2000);
    hinder(stand_in);
    procs::kill9(keeper);
    for _ in 0..60 {
        picodata.events(&mut events, 60, 300);
        if picodata.err().contains(said) {
            break;
        }
    }
    assert!(picodata.err().contains(said), "{}", picodata.err());
    picodata.events(&mut events, 300, 2000);
    assert!(procs::alive(worker), "the worker has left, and nobody has come: {}", picodata.err());
    help(stand_in);
    wait("the stand-in in the keeper's place", LIMIT, || {
        let now = picodata.family();
        now.keeper == Some(stand_in) && now.worker.is_some_and(|w| w != worker)
    });
    picodata.events(&mut events, 300, 2000);
    wait("the end of the first worker", LIMIT, || !procs::alive(worker));
    let (_, second, _) = all_three(&picodata);
    procs::kill9(second);
    picodata.events(&mut events, 300, 2000);
    picodata.close();
    drop(anchor);
    picodata.wait_end(LIMIT);
    assert_eq!(picodata.ledger.compare(&real.receiver.docs()), Ok(()), "{}", picodata.err());
    assert!(picodata.longest < MOMENT, "a write was blocked for {:?}", picodata.longest);
}

#[test]
fn a_stand_in_that_stands_still() {
    let real = Real::new("lab-stop-stand-in");
    let picodata = real.setup().picodata();
    let signal = |name: &'static str| move |pid: u32| assert!(procs::signal(name, i64::from(pid)));
    hindered(&real, picodata, "its stand-in has not taken its place", signal("STOP"), signal("CONT"));
    real.say("succession: the stand-in stands still", 2, real.receiver.count());
}

#[test]
fn a_stand_in_without_descriptors() {
    let real = Real::new("lab-succession-nofile");
    let picodata = real.setup().picodata();
    let allow = |n: &'static str| move |pid: u32| limit(pid, &format!("--nofile={n}:1024"));
    hindered(&real, picodata, "cannot take the keeper's place", allow("6"), allow("1024"));
    real.say("succession: no descriptors", 2, real.receiver.count());
}

#[test]
fn a_stand_in_without_processes() {
    let real = Real::new("lab-succession-nproc");
    let stranger = "setpriv --reuid=61218 --regid=61218 --clear-groups ";
    let mut setup = real.setup();
    let probe = format!("{stranger} {} --version", setup.program.display());
    if !Command::new("/bin/sh").args(["-c", &probe]).output().is_ok_and(|o| o.status.success()) {
        return left_out("no processes left: root has no such limit, and another user cannot run the program here");
    }
    open_to_all(real.den.path());
    setup.before = format!("prlimit --nproc=1000:1000 {stranger}");
    let picodata = setup.picodata();
    let allow = |n: &'static str| move |pid: u32| limit_as(stranger, pid, &format!("--nproc={n}:1000"));
    hindered(&real, picodata, "cannot start a worker", allow("1"), allow("1000"));
    real.say("succession: no processes", 2, real.receiver.count());
}

/// The worker stands still and the keeper is gone: the next one ends it. Nobody reads meanwhile, so little comes.
#[test]
fn a_worker_that_stands_still_and_has_no_keeper() {
    let real = Real::new("lab-stop-old-worker");
    let mut picodata = real.setup().picodata();
    let mut events = Events::new(1, 1);
    let (keeper, worker, _) = all_three(&picodata);
    let anchor = Anchor::in_group(picodata.group());
    picodata.events(&mut events, 300, 2000);
    assert!(procs::signal("STOP", i64::from(worker)));
    procs::kill9(keeper);
    picodata.events(&mut events, 300, 2000);
    wait("its end", LIMIT, || !procs::alive(worker));
    assert!(picodata.err().contains("has not made room"), "{}", picodata.err());
    all_three(&picodata);
    picodata.events(&mut events, 300, 2000);
    picodata.close();
    drop(anchor);
    picodata.wait_end(LIMIT);
    assert_eq!(picodata.ledger.compare(&real.receiver.docs()), Ok(()), "{}", picodata.err());
    real.say("succession: the worker stands still", 2, picodata.ledger.len());
}

/// Somebody stops one of the family and forgets it, where the other one cannot help: it is sent on.
fn forgotten(name: &'static str, said: &str, stop: fn((u32, u32, u32))) {
    let real = Real::new(name);
    let setup = real.setup();
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    let all = all_three(&picodata);
    let anchor = Anchor::in_group(picodata.group());
    picodata.events(&mut events, 300, 2000);
    stop(all);
    picodata.events(&mut events, 300, 2000);
    wait(said, LIMIT, || picodata.err().contains(said));
    wait("reading", LIMIT, || picodata.family().worker.is_some());
    picodata.events(&mut events, 300, 2000);
    picodata.close();
    drop(anchor);
    picodata.wait_end(LIMIT);
    assert_eq!(picodata.ledger.compare(&real.receiver.docs()), Ok(()), "{}", picodata.err());
    real.say(name, 1, picodata.ledger.len());
}

#[test]
fn a_worker_that_was_stopped_is_sent_on() {
    forgotten("lab-forgotten-worker", "the worker (process", |(_, worker, _)| {
        assert!(procs::signal("STOP", i64::from(worker)));
    });
}

#[test]
fn a_keeper_that_was_stopped_is_sent_on_when_its_worker_dies() {
    forgotten("lab-forgotten-keeper", "the keeper (process", |(keeper, worker, _)| {
        assert!(procs::signal("STOP", i64::from(keeper)));
        procs::kill9(worker);
    });
}

/// Fewer descriptors than it needs to begin: it waits for them, and what comes meanwhile waits in the pipe.
#[test]
fn too_few_descriptors_to_begin() {
    let real = Real::new("lab-nofile-begin");
    let mut setup = real.setup();
    setup.before = "prlimit --nofile=9:1024 ".to_owned();
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 100, 1000);
    wait("it is said", LIMIT, || picodata.err().contains("trying again until it can be done"));
    limit(picodata.group(), "--nofile=14:1024");
    std::thread::sleep(Duration::from_secs(2));
    limit(picodata.group(), "--nofile=1024:1024");
    picodata.events(&mut events, 300, 2000);
    real.whole(&mut picodata);
    real.say("succession: 9, then 14 descriptors at the start", 2, picodata.ledger.len());
}
