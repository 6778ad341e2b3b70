//! Signals: whoever signals a whole unit means the database. Every signal that there is, to the whole group, at moments of
//! all kinds, and the trail goes on.
//!
//! Refuses: SIGKILL and SIGSTOP, which nobody can bear; those are the matter of `audit_kill` and `bounds`.

use super::real::{Real, LIMIT};
use crate::harness::{procs, wait, Events, Picodata};
use crate::metrics::helper::Helper;
use std::time::Duration;

/// SIGKILL and SIGSTOP.
const NOBODY_BEARS: [u32; 2] = [9, 19];

/// All of them, one after the other, to a process or (`-PGRP`) a group.
fn send_all(target: i64) {
    for number in (1..=64).filter(|n| !NOBODY_BEARS.contains(n)) {
        assert!(procs::signal(&number.to_string(), target), "before signal {number} everybody was gone");
    }
}

/// The first act of the program is done: it ignores SIGUSR1, number 10.
fn holds(pid: u32) -> bool {
    let status = procs::text(pid, "status");
    let line = status.lines().find_map(|l| l.strip_prefix("SigIgn:"));
    line.and_then(|l| u64::from_str_radix(l.trim(), 16).ok()).is_some_and(|m| m & (1 << 9) != 0)
}

fn all_three(picodata: &Picodata) -> bool {
    let f = picodata.family();
    f.keeper.is_some() && f.worker.is_some() && f.stand_in.is_some()
}

#[test]
fn no_signal_to_the_whole_group_ends_the_trail() {
    let real = Real::new("lab-signals");
    let mut picodata = real.setup().picodata();
    let group = -i64::from(picodata.group());
    let mut events = Events::new(1, 1);
    // At once after the start: no worker is there yet.
    wait("the first act of the program", LIMIT, || holds(picodata.group()));
    send_all(group);
    wait("all three", LIMIT, || all_three(&picodata));
    let family = picodata.family();
    for _ in 0..3 {
        picodata.events(&mut events, 200, 2000);
        send_all(group);
    }
    assert_eq!(picodata.family(), family, "nobody has ended: {}", picodata.err());
    // While a worker is started again, and while the stand-in becomes the keeper.
    procs::kill9(family.worker.expect("a worker"));
    for _ in 0..5 {
        send_all(group);
    }
    picodata.events(&mut events, 200, 2000);
    wait("all three again", LIMIT, || all_three(&picodata));
    procs::kill9(picodata.family().keeper.expect("a keeper"));
    for _ in 0..5 {
        send_all(group);
    }
    picodata.events(&mut events, 200, 2000);
    wait("the stand-in in its place", LIMIT, || all_three(&picodata) && picodata.family().keeper == family.stand_in);
    send_all(group);
    picodata.events(&mut events, 200, 2000);
    picodata.close();
    picodata.wait_end(LIMIT);
    assert_eq!(picodata.ledger.compare(&real.receiver.docs()), Ok(()), "{}", picodata.err());
    assert!(!picodata.err().contains("was ended by signal 1 "), "{}", picodata.err());
    real.say("signals: all 62 to the whole group", 15, picodata.ledger.len());
}

/// A fault of memory that somebody only says there was, as often as he likes; a real one still ends a worker.
#[test]
fn a_fault_that_is_sent_ends_nobody() {
    let real = Real::new("lab-faults");
    let mut picodata = real.setup().picodata();
    wait("all three", LIMIT, || all_three(&picodata));
    let family = picodata.family();
    for pid in [family.keeper, family.worker, family.stand_in].into_iter().flatten() {
        for number in [11, 7, 4, 8, 6, 31, 5].repeat(3) {
            procs::signal(&number.to_string(), i64::from(pid));
        }
    }
    picodata.events(&mut Events::new(1, 1), 200, 2000);
    assert_eq!(picodata.family(), family, "{}", picodata.err());
    real.whole(&mut picodata);
    real.say("signals: faults that are only sent", 63, picodata.ledger.len());
}

/// Whoever ignores SIGCHLD hands that on to what it starts: nobody would learn that a worker has died.
#[test]
fn what_was_inherited_of_signals_does_not_count() {
    let real = Real::new("lab-inherited");
    let mut setup = real.setup();
    setup.before = "env --ignore-signal=CHLD --block-signal=SEGV --block-signal=ABRT ".to_owned();
    let mut picodata = setup.picodata();
    let first = picodata.wait_worker(None);
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 100, 2000);
    std::thread::sleep(Duration::from_millis(300));
    procs::kill9(first);
    picodata.wait_worker(Some(first));
    picodata.events(&mut events, 100, 2000);
    real.whole(&mut picodata);
    real.say("signals: SIGCHLD ignored by inheritance", 1, picodata.ledger.len());
}

#[test]
fn no_signal_ends_the_metrics_but_those_that_mean_it() {
    let helper = Helper::start(&["--port", "1"]);
    let pid = helper.child.id();
    for number in (1..=64).filter(|n| !NOBODY_BEARS.contains(n) && ![2, 15].contains(n)) {
        procs::signal(&number.to_string(), i64::from(pid));
    }
    assert!(procs::alive(pid), "{}", helper.log());
    assert!(helper.get("/metrics").status == 200 && holds(pid));
    assert!(helper.end().success());
}
