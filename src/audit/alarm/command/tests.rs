//! What the command of `--on-alarm` is told, and in which order.

use super::*;

const REPEAT: Duration = Duration::from_secs(3600);

/// Alarms with a command that is never really run: what would be told is looked at in the table.
fn table() -> Alarms {
    log::mute();
    Alarms::new(vec!["/bin/true".into()], Some(REPEAT))
}

fn line(alarms: &mut Alarms, state: State, kind: AlarmKind, about: &str, text: &str) {
    alarms.enter(Alarm { kind, about: about.into(), state, since_ms: 0, text: text.into() });
}

/// Starts the next command, waits for it; the id and state that it was told.
fn next(alarms: &mut Alarms) -> Option<(AlarmKind, String)> {
    let before: Vec<_> = alarms.all.iter().map(|(k, e)| (k.clone(), e.owed, e.last)).collect();
    alarms.started = None;
    alarms.start_next();
    let (child, _) = alarms.running.take()?;
    process::wait_for(child.id() as i32);
    let told = before
        .into_iter()
        .find(|(k, owed, last)| alarms.all.get(k).is_some_and(|e| (e.owed, e.last) != (*owed, *last)));
    told.map(|((kind, _), owed, _)| (kind, if owed == Owed::Resolved { "resolved" } else { "firing" }.to_string()))
}

fn ago(seconds: u64) -> Option<Instant> {
    Some(Instant::now().checked_sub(Duration::from_secs(seconds)).expect("the machine is up for a while"))
}

#[test]
fn the_gravest_is_told_first_and_what_is_over_is_not_told() {
    let mut a = table();
    line(&mut a, State::Firing, AlarmKind::SpoolNearlyFull, "spool", "98 % full");
    line(&mut a, State::Firing, AlarmKind::ReceiverRefuses, "receiver r1", "answered 401");
    line(&mut a, State::Firing, AlarmKind::DatabaseWaits, "input", "stands");
    line(&mut a, State::Resolved, AlarmKind::ReceiverRefuses, "receiver r1", "answered 401");
    assert_eq!(next(&mut a), Some((AlarmKind::DatabaseWaits, "firing".into())));
    assert_eq!(next(&mut a), Some((AlarmKind::SpoolNearlyFull, "firing".into())));
    assert_eq!(next(&mut a), None, "the refusal was over before anybody was told");
}

#[test]
fn what_was_told_is_told_as_resolved_and_what_lasts_is_told_again() {
    let mut a = table();
    line(&mut a, State::Firing, AlarmKind::DiskFull, "spool", "no room");
    assert_eq!(next(&mut a), Some((AlarmKind::DiskFull, "firing".into())));
    assert_eq!((next(&mut a), a.standing().len()), (None, 1));
    assert!(a.patience().is_some_and(|p| p > REPEAT - Duration::from_secs(60)), "{:?}", a.patience());
    a.all.values_mut().for_each(|e| e.last = ago(2));
    a.repeat = Some(Duration::from_secs(1));
    assert_eq!(next(&mut a), Some((AlarmKind::DiskFull, "firing".into())), "it lasts");
    line(&mut a, State::Resolved, AlarmKind::DiskFull, "spool", "no room");
    assert_eq!(next(&mut a), Some((AlarmKind::DiskFull, "resolved".into())));
    assert_eq!((next(&mut a), a.standing().len()), (None, 0));
}

#[test]
fn what_the_keeper_alone_can_end_is_given_to_no_worker() {
    let mut a = table();
    line(&mut a, State::Firing, AlarmKind::ConfigurationRefused, "configuration", "line 3");
    line(&mut a, State::Firing, AlarmKind::DiskFull, "spool", "no room");
    let kinds: Vec<AlarmKind> = a.standing().iter().map(|s| s.kind).collect();
    assert_eq!(kinds, [AlarmKind::DiskFull], "a worker would end it when nobody sees it any more");
}

#[test]
fn what_comes_and_goes_all_the_time_is_told_once_a_minute() {
    let mut a = table();
    let mut told = 0;
    for _ in 0..100 {
        line(&mut a, State::Firing, AlarmKind::DatabaseWaits, "input", "stands");
        told += u32::from(next(&mut a).is_some());
        line(&mut a, State::Resolved, AlarmKind::DatabaseWaits, "input", "stands");
        told += u32::from(next(&mut a).is_some());
    }
    assert_eq!(told, 2, "it began and ended");
    a.all.values_mut().for_each(|e| e.last = ago(limits::ALARM_SECONDS + 1));
    line(&mut a, State::Firing, AlarmKind::DatabaseWaits, "input", "stands");
    assert_eq!(next(&mut a), Some((AlarmKind::DatabaseWaits, "firing".into())));
}

#[test]
fn many_deaths_are_one_call_with_a_count() {
    let mut a = table();
    for i in 0..4 {
        a.fires(AlarmKind::WorkerDied, "worker", &format!("died {i}"), i);
    }
    let e = a.all.values().next().expect("one");
    assert_eq!((a.all.len(), e.more, e.alarm.text.as_str()), (1, 3, "died 3"));
    let told = Telling { again: false, more: e.more };
    assert_eq!(told.words(&e.alarm), "died 3 (and 3 more)");
    assert!(a.standing().is_empty(), "it does not last");
}

#[test]
fn lines_of_the_pipe_that_come_in_halves_are_put_together() {
    let mut a = table();
    let (read, write) = pipe::pair().expect("a pipe");
    let alarm = |i: u32| Alarm {
        kind: AlarmKind::ReceiverDown,
        about: format!("receiver r{i}"),
        state: State::Firing,
        since_ms: 7,
        text: "x".repeat(limits::ALARM_CHARS),
    };
    let all: String = (0..100).map(|i| alarm(i).line()).collect();
    for part in all.as_bytes().chunks(1000) {
        std::io::Write::write_all(&mut File::from(write.try_clone().expect("a copy")), part).expect("written");
        a.take(&read);
    }
    assert_eq!(a.standing().len(), 100);
    assert!(a.rest.is_empty());
}

#[test]
fn an_alarm_command_that_hangs_is_ended_with_all_it_has_started() {
    log::mute();
    let mut alarms = Alarms::new(["/bin/sh", "-c", "sleep 300 & wait"].map(String::from).to_vec(), None);
    alarms.fires(AlarmKind::Damage, "spool", "it burns", 0);
    alarms.tick();
    let group = alarms.running.as_ref().expect("a command").0.id() as i32;
    let members = || {
        let stat = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let all =
            std::fs::read_dir("/proc").expect("processes").flatten().filter_map(|e| e.file_name().into_string().ok());
        let fields = |s: String| s.rsplit_once(')').map(|(_, f)| f.split_whitespace().map(String::from).collect());
        let lives = |f: &Vec<String>| f.get(2) == Some(&group.to_string()) && f[0] != "Z";
        all.filter_map(|pid| fields(stat(&pid))).filter(lives).count()
    };
    let soon = |n: usize| {
        (0..500).any(|_| {
            members() == n || {
                std::thread::sleep(Duration::from_millis(10));
                false
            }
        })
    };
    assert!(soon(2), "the shell and what it waits for");
    alarms.tick();
    assert_eq!(members(), 2, "it has its time");
    alarms.running.as_mut().expect("a command").1 = ago(limits::ALARM_COMMAND_SECONDS).expect("a time");
    alarms.tick();
    process::wait_for(group);
    assert!(soon(0) && alarms.running.is_none());
}
