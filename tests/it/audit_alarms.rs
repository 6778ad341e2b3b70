//! Alarms as the command of `--on-alarm` is told of them: which kind, gravest first, again while it lasts, and its end.

use crate::harness::receiver::Mode;
use crate::harness::{procs, wait, Den, Events, Receiver, Setup};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// A command that writes a line for each call.
struct Told {
    command: String,
    file: String,
}

impl Told {
    fn new(den: &Den) -> Told {
        let line = "printf '%s %s %s|%s\\n' \"$GOSTECH_ALARM_STATE\" \"$GOSTECH_ALARM_ID\" \"$GOSTECH_ALARM_GRAVITY\" \
                    \"$GOSTECH_ALARM\" >> \"$1\"\n";
        let script = den.put("told.sh", format!("#!/bin/sh\n{line}"));
        std::process::Command::new("chmod").args(["+x", &script]).status().expect("chmod");
        let file = den.file("told");
        Told { command: format!("{script} {file}"), file }
    }

    fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(&self.file).unwrap_or_default().lines().map(String::from).collect()
    }

    fn count(&self, begin: &str) -> usize {
        self.lines().iter().filter(|l| l.starts_with(begin)).count()
    }
}

#[test]
fn a_standstill_is_told_before_what_is_less_grave_again_while_it_lasts_and_at_its_end() {
    let den = Den::new("alarm-standstill");
    let receiver = Receiver::start();
    receiver.down();
    let told = Told::new(&den);
    let tiny = [
        "--spool-max",
        "1M",
        "--spool-pack",
        "never",
        "--memory-max",
        "1M",
        "--event-max",
        "64K",
        "--alarm-repeat",
        "3s",
    ];
    let setup =
        Setup::new(&den).url(&receiver.url()).args(&tiny).args(&["--on-alarm", &told.command, "--drain", "60s"]);
    let mut picodata = setup.picodata();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut events = Events::new(1, 1);
            (0..20_000).for_each(|_| picodata.write(&events.event()).expect("the pipe never breaks"));
        });
        wait("the standstill is told, and again", LIMIT, || told.count("firing database-waits critical|") >= 2);
        assert!(!writer.is_finished(), "the database waits");
        assert!(told.lines().iter().any(|l| l.contains("database-waits") && l.contains(" now)")), "{:?}", told.lines());
        receiver.up();
        wait("its end is told", LIMIT, || told.count("resolved database-waits critical|over after ") == 1);
        wait("all is over", LIMIT, || {
            told.count("resolved spool-full") == 1 && told.count("resolved spool-nearly-full") <= 1
        });
    });
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()));
}

#[test]
fn a_worker_that_is_killed_is_told_and_what_lasts_is_told_once_although_there_is_a_new_worker() {
    let den = Den::new("alarm-worker");
    let receiver = Receiver::start();
    receiver.set(Mode::Refusing(401, None));
    let told = Told::new(&den);
    let mut picodata = Setup::new(&den).url(&receiver.url()).args(&["--on-alarm", &told.command]).picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    wait("the refusal is told", LIMIT, || told.count("firing receiver-refuses warning|") == 1);
    for n in 0..2 {
        let worker = picodata.wait_worker(None);
        procs::signal("KILL", i64::from(worker));
        picodata.wait_worker(Some(worker));
        wait("the death is told", LIMIT, || {
            told.count("firing worker-died warning|the worker was ended by signal 9") == 1
        });
        let asked = receiver.visits().len();
        wait("the new one has asked as well", LIMIT, || receiver.visits().len() > asked + n);
    }
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(told.count("firing receiver-refuses"), 1, "{:?}", told.lines());
    assert_eq!(told.count("firing worker-died"), 1, "once a minute: {:?}", told.lines());
    receiver.set(Mode::Healthy);
    wait("the end of the refusal is told", LIMIT, || told.count("resolved receiver-refuses warning|over after ") == 1);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}

#[test]
fn the_death_of_the_keeper_is_told_by_the_next_one() {
    let den = Den::new("alarm-keeper");
    let receiver = Receiver::start();
    let told = Told::new(&den);
    let mut picodata = Setup::new(&den).url(&receiver.url()).args(&["--on-alarm", &told.command]).picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    receiver.wait_count(1, LIMIT);
    let keeper = picodata.family().keeper.expect("a keeper");
    procs::signal("KILL", i64::from(keeper));
    wait("the death is told", LIMIT, || told.count("firing keeper-died warning|") == 1);
    picodata.close();
}

#[test]
fn a_gap_and_damage_are_told() {
    let den = Den::new("alarm-gap");
    let receiver = Receiver::start();
    receiver.down();
    let told = Told::new(&den);
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--on-alarm", &told.command, "--drain", "300ms"]);
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.write(&events.event()).expect("a reader");
    events.skip(5);
    picodata.events(&mut events, 20, 1_000_000);
    wait("the gap is told", LIMIT, || told.count("firing event-lost critical|5 events lost") == 1);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    // A byte in the middle of the segment flips.
    let files = crate::harness::setup::files_below(&den.path().join("spool"));
    let (path, mut bytes) = files.into_iter().find(|(p, _)| p.to_string_lossy().ends_with(".seg")).expect("a segment");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(path, bytes).expect("written");
    receiver.up();
    let mut picodata = setup.picodata();
    wait("the damage is told", LIMIT, || told.count("firing damage critical|") >= 1);
    picodata.close();
    picodata.wait_end(LIMIT);
}

#[test]
fn a_command_that_fails_is_logged() {
    let den = Den::new("alarm-fails");
    let receiver = Receiver::start();
    receiver.set(Mode::Refusing(401, None));
    let script = den.put("fails.sh", "#!/bin/sh\nexit 7\n");
    std::process::Command::new("chmod").args(["+x", &script]).status().expect("chmod");
    let mut picodata =
        Setup::new(&den).url(&receiver.url()).args(&["--on-alarm", &script, "--drain", "200ms"]).picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    wait("it is logged", LIMIT, || picodata.err().contains("fails.sh` ended with code 7"));
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}

/// Nobody would see that they are well: the next worker has neither the file nor the receiver.
#[test]
fn what_is_about_a_file_or_a_receiver_that_is_configured_no_more_is_over_at_once() {
    let den = Den::new("alarm-gone");
    let (bad, good) = (Receiver::start(), Receiver::start());
    bad.set(Mode::Refusing(401, None));
    let told = Told::new(&den);
    let mut params = rcgen::CertificateParams::new(vec!["old".into()]).expect("names");
    params.not_after = rcgen::date_time_ymd(2021, 2, 3);
    let key = rcgen::KeyPair::generate().expect("a key");
    let old = den.put("old.pem", params.self_signed(&key).expect("a signature").pem());
    let common = format!("spool-dir {}\non-alarm {}\n", den.file("spool"), told.command);
    let config = den.put("audit.conf", format!("{common}url {}\nname bad\nca-certificate {old}\n", bad.url()));
    let mut picodata = Setup::bare(&den).exec().args(&["--config", &config]).picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    for id in ["receiver-refuses", "certificate-ends"] {
        wait(id, LIMIT, || told.count(&format!("firing {id} ")) == 1);
    }
    den.put("audit.conf", format!("{common}url {}\nname good\n", good.url()));
    picodata.signal_group("HUP");
    // Far sooner than what no worker has seen again is over by itself.
    for id in ["receiver-refuses", "certificate-ends"] {
        wait(id, LIMIT, || told.count(&format!("resolved {id} ")) == 1);
    }
    picodata.kill9_all();
}
