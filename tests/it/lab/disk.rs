//! Disks that are full, frozen, gone or read-only under a running helper: it goes on with the cushion, raises an alarm,
//! recovers by itself, and loses nothing.
//!
//! Needs root and mounts; where the system refuses these it is said. Refuses: any mount outside a namespace of its own.

use super::real::{in_namespace, inside, may_mount, on_ext4, on_tmpfs, Real, LIMIT};
use crate::harness::{wait, Den, Events, Picodata, Setup};
use crate::outlets::docs_of;
use std::time::Duration;

/// Streams so many events at a rate while `faults` happens beside it, and slowly on until it is done: on a busy machine it
/// takes longer than the stream, and a disk that nobody writes to is not seen to be full.
fn beside(picodata: &mut Picodata, count: usize, rate: u32, faults: impl FnOnce() + Send) {
    let mut events = Events::new(1, 1);
    std::thread::scope(|scope| {
        let done = scope.spawn(faults);
        picodata.events(&mut events, count, rate);
        while !done.is_finished() {
            picodata.events(&mut events, 10, 100);
        }
        done.join().expect("the fault was done");
    });
    // It works as before: what comes now lies on the disk again.
    picodata.events(&mut events, 200, 2000);
}

/// A helper on a loop-mounted ext4 of its own, with more options; none where this machine has no such thing, and it is said.
fn on_a_disk(name: &str, what: &str, options: &[&str]) -> Option<(Real, Setup)> {
    if !may_mount(what) {
        return None;
    }
    let real = Real::new(name);
    let mut setup = real.setup().args(options);
    setup.before = on_ext4(&real.den, 16)?;
    Some((real, setup))
}

const LARGE: &[&str] = &["--spool-max", "64M"];
/// Segments begin anew every sixty events.
const SMALL: &[&str] = &["--spool-max", "256K", "--retain", "0s"];

fn err(setup: &Setup) -> String {
    String::from_utf8_lossy(&std::fs::read(setup.dir.join("err")).unwrap_or_default()).into_owned()
}

fn sleep(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// All but 60 KiB of the disk is taken, twice, and given back.
fn full_and_room_again(real: &Real, setup: &Setup, class: &'static str) {
    let mut picodata = setup.picodata();
    let worker = picodata.wait_worker(None);
    let spool = real.den.file("spool");
    let fill =
        format!("dd if=/dev/zero of={spool}/junk bs=1024 status=none 2>/dev/null; truncate -s -61440 {spool}/junk");
    real.receiver.down();
    beside(&mut picodata, 6000, 1500, || {
        for round in 1..=2 {
            sleep(300);
            inside(worker, &fill);
            wait("an alarm", LIMIT, || err(setup).matches("No space left").count() >= round);
            sleep(500);
            inside(worker, &format!("rm {spool}/junk"));
            wait("the disk works again", LIMIT, || err(setup).matches("the disk works again").count() >= round);
        }
        real.receiver.up();
    });
    real.whole(&mut picodata);
    real.say(class, 2, picodata.ledger.len());
}

#[test]
fn a_full_tmpfs_with_room_again() {
    let real = Real::new("lab-tmpfs");
    let Some(before) = on_tmpfs(&real.den, 8) else { return };
    let mut setup = real.setup().args(LARGE);
    setup.before = before;
    full_and_room_again(&real, &setup, "disk: tmpfs full, room again");
}

/// Others fill the disk, and `drop-oldest` was chosen: nothing of ours would help, so nothing is dropped while memory lasts.
#[test]
fn a_tmpfs_that_others_fill_costs_nothing_of_ours() {
    let real = Real::new("lab-others");
    let Some(before) = on_tmpfs(&real.den, 8) else { return };
    // Memory for longer than a busy machine may take to make room again.
    let mut setup = real.remembering("8M").args(LARGE).args(&["--spool-full", "drop-oldest", "--spool-pack", "never"]);
    setup.before = before;
    full_and_room_again(&real, &setup, "disk: filled by others, drop-oldest");
}

/// The disk is smaller than the bound, and `drop-oldest` was chosen: the oldest give way there too, counted and told, and
/// the newest are delivered. New ones go only while the disk has no room for either, which lasts the longer the slower the
/// machine is; once there is room, what the disk takes is the bound, and each event that comes then is delivered.
#[test]
fn a_full_disk_whose_oldest_events_give_way() {
    let real = Real::new("lab-give-way");
    let Some(before) = on_tmpfs(&real.den, 8) else { return };
    let mut setup = real.setup().args(&["--spool-max", "16M", "--spool-pack", "never", "--spool-full", "drop-oldest"]);
    setup.before = before;
    let mut picodata = setup.picodata();
    real.receiver.down();
    let mut events = Events::new(1, 1);
    picodata.stream((0..36_000).map(|_| events.event()), 10_000).expect("the pipe never breaks");
    assert!(err(&setup).contains("No space left"), "the disk was not full\n{}", err(&setup));
    wait("the disk works again, and all is on it", LIMIT, || {
        let page = real.page();
        let none = |name: &str| page.sum(name, &[]) == Some(0.0);
        none("gostech_audit_disk_failing") && none("gostech_audit_memory_spool_bytes")
    });
    picodata.stream((0..12_000).map(|_| events.event()), 10_000).expect("the pipe never breaks");
    real.receiver.up();
    let code = picodata.finish(LIMIT);
    assert_eq!(code, 1, "events were lost, and it says so\n{}", err(&setup));
    let docs = real.receiver.docs();
    let missing = picodata.ledger.missing(&docs);
    let told: u64 =
        docs.iter().filter(|d| d.value["reason"] == "dropped").filter_map(|d| d.value["missing"].as_u64()).sum();
    assert_eq!(told, missing.len() as u64, "{}", err(&setup));
    let number = |id: &str| id.rsplit('.').next().and_then(|n| n.parse::<usize>().ok()).expect("an id");
    let newest = missing.iter().filter(|id| number(id) > 36_000).count();
    assert!(!missing.is_empty() && newest == 0, "{newest} of the newest 12,000 are missing\n{}", err(&setup));
    real.say("disk: full, and the oldest give way", 1, picodata.ledger.len());
}

#[test]
fn a_full_ext4_with_room_again() {
    let Some((real, setup)) = on_a_disk("lab-ext4", "a full ext4", LARGE) else { return };
    full_and_room_again(&real, &setup, "disk: ext4 full, room again");
}

/// Reads and writes of the disk stand still for three seconds; the database does not wait.
#[test]
fn a_frozen_disk_does_not_stop_the_database() {
    let Some((real, setup)) = on_a_disk("lab-frozen", "a frozen ext4", LARGE) else { return };
    let mut picodata = setup.picodata();
    let worker = picodata.wait_worker(None);
    let spool = real.den.file("spool");
    beside(&mut picodata, 3000, 600, || {
        sleep(500);
        inside(worker, &format!("fsfreeze -f {spool}; sleep 3; fsfreeze -u {spool}"));
    });
    assert!(picodata.longest < Duration::from_millis(2500), "a write was blocked for {:?}", picodata.longest);
    real.whole(&mut picodata);
    real.say("disk: ext4 frozen for 3 s", 1, picodata.ledger.len());
}

/// The directory refuses everything new (EROFS), as after a remount, and takes it again.
#[test]
fn a_disk_that_turns_read_only_and_back() {
    let Some((real, setup)) = on_a_disk("lab-readonly", "a read-only disk", SMALL) else { return };
    let mut picodata = setup.picodata();
    picodata.wait_worker(None);
    // Workers come and go with what is mounted.
    let keeper = picodata.family().keeper.expect("a keeper");
    let spool = real.den.file("spool");
    let view = real.den.file("view");
    inside(keeper, &format!("mkdir {view} && mount --bind {spool} {view} && mount -o remount,bind,ro {view}"));
    // The kernel remounts no file system on which files are open for writing, but for its own errors: so a read-only view
    // is laid over the directory. Small segments begin anew soon, so this bites at once.
    beside(&mut picodata, 4000, 800, || {
        for round in 1..=2 {
            sleep(300);
            inside(keeper, &format!("mount --bind {view} {spool}"));
            wait("an alarm", LIMIT, || err(&setup).matches("Read-only file system").count() >= round);
            sleep(500);
            inside(keeper, &format!("umount -l {spool}"));
            wait("the disk works again", LIMIT, || err(&setup).matches("the disk works again").count() >= round);
        }
    });
    real.whole(&mut picodata);
    real.say("disk: read-only and back", 2, picodata.ledger.len());
}

/// The file system is taken away under the helper (`umount -l`), and comes back.
#[test]
fn a_disk_that_is_unmounted_under_it() {
    let Some((real, setup)) = on_a_disk("lab-umount", "an unmounted disk", SMALL) else { return };
    let mut picodata = setup.picodata();
    picodata.wait_worker(None);
    // Workers come and go with what is mounted.
    let keeper = picodata.family().keeper.expect("a keeper");
    let (spool, image) = (real.den.file("spool"), real.den.file("disk"));
    beside(&mut picodata, 4000, 800, || {
        sleep(1000);
        inside(keeper, &format!("umount -l {spool}"));
        sleep(2000);
        inside(keeper, &format!("mount -o loop {image} {spool}"));
    });
    assert!(err(&setup).contains("was removed or replaced"), "it was not felt\n{}", err(&setup));
    real.whole(&mut picodata);
    real.say("disk: unmounted and mounted again", 1, picodata.ledger.len());
}

/// Somebody removes the spool's directory, the receiver well: an alarm, and nothing is lost.
#[test]
fn a_directory_that_is_deleted_under_it() {
    let real = Real::new("lab-deleted");
    let setup = real.setup().args(SMALL);
    let mut picodata = setup.picodata();
    picodata.wait_worker(None);
    let spool = real.den.path().join("spool");
    beside(&mut picodata, 4000, 800, || {
        sleep(1000);
        // Away in one step: while it is emptied the helper makes new files there.
        let away = spool.with_file_name("away");
        std::fs::rename(&spool, &away).and_then(|()| std::fs::remove_dir_all(&away)).expect("the directory goes");
        wait("an alarm", LIMIT, || err(&setup).contains("was removed or replaced"));
        wait("it is there again", LIMIT, || spool.join("default").is_dir());
    });
    real.whole(&mut picodata);
    real.say("disk: directory deleted", 1, picodata.ledger.len());
}

/// The receiver is a file, and its disk is full: events wait in the spool, and each line is whole and there once when an archive
/// has taken what was put aside.
#[test]
fn a_file_that_is_written_on_a_full_disk_goes_on_when_there_is_room() {
    if !may_mount("a file on tmpfs") {
        return;
    }
    let den = Den::new("lab-file-full");
    let (dir, kept) = (den.file("small"), den.file("kept"));
    std::fs::create_dir(&kept).expect("a directory");
    let url = format!("file://{dir}/audit.jsonl");
    let mut setup = Setup::new(&den).url(&url).args(&["--file-max", "400K", "--drain", "60s"]);
    setup.before = in_namespace(&format!("mkdir -p {dir} && mount -t tmpfs -o size=3m tmpfs {dir}"));
    let mut picodata = setup.picodata();
    let worker = picodata.wait_worker(None);
    picodata.events(&mut Events::new(1, 1), 10_000, 20_000);
    wait("it is told", LIMIT, || err(&setup).contains("No space left"));
    let lines = || {
        let mut names: Vec<_> =
            std::fs::read_dir(&kept).expect("a directory").map(|e| e.expect("one").path()).collect();
        // (The one that is written is named without a time, and is the newest.)
        names.sort_by_key(|p| (p.file_name().is_some_and(|n| n == "audit.jsonl"), p.clone()));
        let all: String = names.iter().map(|p| std::fs::read_to_string(p).expect("text")).collect();
        let whole = all.split_inclusive('\n').filter(|l| l.ends_with('\n'));
        whole.map(|l| l.trim_end().to_owned()).collect::<Vec<_>>()
    };
    // Each time under names of its own: one that is free again may be given a second time.
    let mut round = 1000;
    wait("all is there", LIMIT, || {
        round += 1;
        let take = format!("for f in audit.jsonl.*; do [ ! -e $f ] || mv $f {kept}/{round}.$f; done");
        // The copy of the round before goes: what it has may have been put aside since, and would be there twice.
        inside(
            worker,
            &format!("cd {dir} && rm -f {kept}/audit.jsonl; {take}; [ ! -e audit.jsonl ] || cp audit.jsonl {kept}/"),
        );
        lines().len() >= 10_000
    });
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let lines = lines();
    let (docs, repeats) = docs_of(lines.iter().map(String::as_str));
    assert_eq!((picodata.ledger.compare(&docs), repeats), (Ok(()), 0), "{}", picodata.err());
}
