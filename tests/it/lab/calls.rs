//! System calls that fail on the real binary, by `strace`: no room, errors of the disk, interruptions, slowness.
//!
//! Preload tools do not bite on a static binary; strace does. Each test looks into the trace for the faults it wanted.
//! What is injected is what the call would truly have done: no answer claims bytes that were not written. (Short writes
//! are made by a file-size limit and a nearly full disk in `bounds` and `disk`.)

use super::real::Real;
use crate::harness::{peer, Events};
use std::time::Duration;

/// A stream with these injections on the calls of the spool; how many faults bit.
fn with(name: &str, class: &'static str, injections: &[&str], faults: &[&str]) {
    let Some(strace) = peer("strace") else { return };
    let real = Real::new(name);
    let mut setup = real.setup().args(&["--spool-max", "256K", "--retain", "0s"]);
    let calls: Vec<&str> = injections.iter().filter_map(|i| i.split(':').next()).collect();
    let inject: String = injections.iter().map(|i| format!("-e inject={i} ")).collect();
    let (strace, trace) = (strace.display(), real.den.file("trace"));
    setup.before = format!("{strace} -f -qq --seccomp-bpf -y -o {trace} -e trace={} {inject}", calls.join(","));
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.stream((0..2400).map(|_| events.event()), 800).expect("the pipe never breaks");
    assert!(picodata.longest < Duration::from_secs(3), "the database waited {:?}", picodata.longest);
    real.whole(&mut picodata);
    let trace = std::fs::read_to_string(real.den.file("trace")).unwrap_or_default();
    let bit = trace.lines().filter(|l| l.contains("(INJECTED)") || l.contains("(DELAYED)")).count() as u64;
    for fault in faults {
        assert!(trace.lines().any(|l| l.contains(fault) && l.contains("spool")), "no {fault} on the spool");
    }
    real.say(class, bit, picodata.ledger.len());
}

#[test]
fn writes_that_find_no_room() {
    with("lab-enospc", "calls: ENOSPC on write", &["pwrite64:error=ENOSPC:when=20+60"], &["ENOSPC"]);
}

#[test]
fn writes_and_syncs_with_errors_of_the_disk() {
    let injections = ["pwrite64:error=EIO:when=20+60", "fdatasync,fsync:error=EIO:when=5+9"];
    with("lab-eio", "calls: EIO on write and sync", &injections, &["pwrite64", "EIO"]);
}

#[test]
fn calls_that_are_interrupted() {
    let injections =
        ["pwrite64,pread64,?open,openat:error=EINTR:when=3+7", "fdatasync,fsync,ftruncate:error=EINTR:when=3+7"];
    with("lab-eintr", "calls: EINTR everywhere", &injections, &["EINTR"]);
}

#[test]
fn syncs_that_take_a_third_of_a_second() {
    with("lab-slow", "calls: each sync takes 0.3 s", &["fdatasync,fsync:delay_exit=300000"], &["DELAYED"]);
}

#[test]
fn names_that_cannot_be_changed() {
    let injections = ["unlink:error=EIO:when=2+3", "rename:error=EIO:when=2+3", "?open,openat:error=EIO:when=120+50"];
    with("lab-names", "calls: EIO on open, unlink, rename", &injections, &["EIO"]);
}

#[test]
fn reads_of_the_spool_that_fail() {
    with("lab-reads", "calls: EIO on read", &["pread64:error=EIO:when=10+9"], &["EIO"]);
}
