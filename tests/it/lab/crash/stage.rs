//! The scenarios in which a helper dies: each leads it to the places of one kind, and says what must be there afterwards.

use super::super::real::on_tmpfs;
use super::after::{counters, delivered, status, verify, whole, BATCH, LIMIT};
use super::After;
use crate::harness::den::wait_for;
use crate::harness::{procs, wait, Den, Events, Ledger, Mode, Picodata, Receiver, Setup};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// One run: where, and the orders.
pub struct Stage {
    pub title: String,
    pub den: Den,
    /// The names at which a process dies, in order.
    pub deaths: Vec<String>,
    pub orders: String,
    /// The order of the second death, for scenarios that give it to another process.
    pub second: String,
}

impl Stage {
    pub fn new(name: &str, orders: &str, second: &str) -> Stage {
        let deaths = orders.split(',').map(|o| o.split(':').next().unwrap_or(o).to_owned()).collect();
        let den = Den::new(&format!("crash-{name}"));
        Stage { title: format!("{orders}, then {second}"), den, deaths, orders: orders.into(), second: second.into() }
    }

    /// How often a process is killed.
    pub fn kills(&self) -> u64 {
        self.deaths.len() as u64 + 1
    }

    /// A helper with a small spool: segments of 16 KiB, removed as soon as everybody has them.
    pub fn setup(&self, receiver: &Receiver) -> Setup {
        self.keeping(receiver, "0s", "30s")
    }

    /// The same with another `--retain` and `--drain`.
    pub fn keeping(&self, receiver: &Receiver, retain: &str, drain: &str) -> Setup {
        self.bounded(&receiver.url(), "256K", retain, drain)
    }

    /// The usual one to another kind of receiver.
    pub fn to(&self, url: &str) -> Setup {
        self.bounded(url, "256K", "0s", "30s")
    }

    /// The same with room for all: of what is not sealed yet a spool keeps no more than its half for the sealer, and how far that
    /// is behind is a matter of the machine.
    pub fn roomy(&self, url: &str) -> Setup {
        self.bounded(url, "2M", "0s", "30s")
    }

    fn bounded(&self, url: &str, max: &str, retain: &str, drain: &str) -> Setup {
        let batch = BATCH.to_string();
        let args = ["--spool-max", max, "--memory-max", "1M", "--event-max", "64K", "--batch-events", &batch];
        let setup = Setup::new(&self.den).debug().exec().args(&args).args(&["--retain", retain, "--drain", drain]);
        setup.url(url)
    }

    /// All orders, the second death with them.
    pub fn armed(&self, setup: Setup) -> Setup {
        setup.env("GOSTECH_CRASH_AT", &format!("{},{}", self.orders, self.second))
    }

    /// The same without any order.
    pub fn plain(&self, setup: &Setup) -> Setup {
        let mut setup = setup.clone();
        setup.env.retain(|(k, _)| k != "GOSTECH_CRASH_AT");
        setup
    }

    /// How many of the deaths have happened, by what the dying said; and that they were those.
    pub fn died(&self, err: &str) -> usize {
        let said: Vec<&str> = err.lines().filter_map(|l| l.strip_prefix("crash point ")).collect();
        let expected: Vec<&str> = self.deaths.iter().map(String::as_str).chain([self.second.as_str()]).collect();
        assert!(expected.starts_with(&said), "{}: died at {said:?}", self.title);
        said.len()
    }

    pub fn all_dead(&self, picodata: &Picodata) -> bool {
        self.died(&picodata.err()) == self.kills() as usize
    }

    pub fn after(&self, records: usize, receiver: &Receiver) -> After {
        After { kills: self.kills(), records: records as u64, repeated: receiver.repeats(), left_out: 0 }
    }

    /// Writes a stream until every death but those of the end has happened; `least` records at least.
    pub fn write_until_dead(&self, picodata: &mut Picodata, events: &mut Events, least: usize, rate: u32) {
        let at_the_end = self.deaths.iter().any(|d| d.starts_with("end."));
        self.write_until(picodata, events, rate, |p| p.ledger.len() >= least && (at_the_end || self.all_dead(p)));
    }

    /// Writes a stream until the deaths of the first orders have happened, those that the keeper's death is one of.
    fn write_until_keeper_dead(&self, picodata: &mut Picodata, events: &mut Events) {
        self.write_until(picodata, events, 1000, |p| self.died(&p.err()) == self.deaths.len());
    }

    fn write_until(&self, picodata: &mut Picodata, events: &mut Events, rate: u32, so: impl Fn(&Picodata) -> bool) {
        let end = std::time::Instant::now() + LIMIT;
        loop {
            picodata.events(events, 25, rate);
            if so(picodata) {
                break;
            }
            assert!(std::time::Instant::now() < end, "{}: not reached\n{}", self.title, picodata.err());
        }
    }
}

/// A stream with a gap of three events, the receiver well.
pub fn stream(stage: &Stage) -> After {
    let receiver = Receiver::start();
    let setup = stage.armed(stage.setup(&receiver));
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 20, 1000);
    events.skip(3);
    stage.write_until_dead(&mut picodata, &mut events, 600, 1000);
    whole(&mut picodata, &receiver, &setup, stage, 3);
    assert!(stage.all_dead(&picodata), "{}: died {} times only", stage.title, stage.died(&picodata.err()));
    stage.after(picodata.ledger.len(), &receiver)
}

/// Datagrams at a Unix socket.
pub fn socket(stage: &Stage) -> After {
    let (receiver, place) = (Receiver::start(), stage.den.file("input"));
    let setup = stage.armed(stage.setup(&receiver)).args(&["--type", "unix", "--filename", &place]);
    let mut picodata = setup.picodata();
    let socket = UnixDatagram::unbound().expect("a socket");
    wait("a place to write to", LIMIT, || socket.connect(&place).is_ok());
    let (mut events, mut ledger) = (Events::new(1, 1), Ledger::default());
    while ledger.len() < 300 || !stage.all_dead(&picodata) && ledger.len() < 10_000 {
        let record = events.event();
        socket.send(format!("<14>Nov 29 08:47:45 picodata[7]: {record}\n").as_bytes()).expect("it is held");
        ledger.note(&record);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(procs::signal("TERM", i64::from(picodata.family().keeper.expect("a keeper"))));
    picodata.wait_end(LIMIT);
    delivered(&ledger, &receiver, stage, 0, &picodata.err());
    assert_eq!(counters(&status(&setup, stage), "default", &stage.title), ledger.len() as u64, "{}", stage.title);
    verify(&setup, stage);
    assert!(stage.all_dead(&picodata), "{}: died {} times only", stage.title, stage.died(&picodata.err()));
    stage.after(ledger.len(), &receiver)
}

/// A log in a file that is truncated unread.
pub fn truncated(stage: &Stage) -> After {
    let (receiver, place) = (Receiver::start(), stage.den.file("audit.log"));
    let (mut events, mut ledger) = (Events::new(1, 1), Ledger::default());
    let mut write = |ledger: &mut Ledger| {
        let records: Vec<String> = (0..150).map(|_| events.event()).collect();
        records.iter().for_each(|record| ledger.note(record));
        std::fs::write(&place, records.join("\n") + "\n").expect("a log");
    };
    write(&mut ledger);
    let setup = stage.armed(stage.setup(&receiver)).args(&["--type", "file", "--filename", &place]);
    let mut picodata = setup.picodata();
    receiver.wait_count(ledger.len(), LIMIT);
    write(&mut ledger);
    let skips = || receiver.docs().iter().filter(|d| d.value["reason"] == "skipped").count();
    wait("what is told", LIMIT, || skips() > 0 && stage.all_dead(&picodata));
    assert!(procs::signal("TERM", i64::from(picodata.family().keeper.expect("a keeper"))));
    picodata.wait_end(LIMIT);
    delivered(&ledger, &receiver, stage, 0, &picodata.err());
    assert_eq!(counters(&status(&setup, stage), "default", &stage.title), ledger.len() as u64, "{}", stage.title);
    stage.after(ledger.len(), &receiver)
}

/// The keeper dies; its stand-in takes its place, and the worker of that one is killed by hand.
pub fn keeper_dies(stage: &Stage) -> After {
    let receiver = Receiver::start();
    let setup = stage.setup(&receiver).env("GOSTECH_CRASH_AT", &stage.orders);
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    wait("a keeper", LIMIT, || picodata.family().keeper.is_some());
    let first = picodata.family().keeper;
    stage.write_until_keeper_dead(&mut picodata, &mut events);
    let mut worker = None;
    wait("the stand-in in the keeper's place, with a worker of its own", LIMIT, || {
        let now = picodata.family();
        worker = now.worker.filter(|_| now.keeper.is_some() && now.keeper != first);
        worker.is_some()
    });
    picodata.events(&mut events, 100, 1000);
    assert!(procs::kill9(worker.unwrap_or(0)), "{}: the worker was gone by itself", stage.title);
    picodata.events(&mut events, 300, 1000);
    whole(&mut picodata, &receiver, &setup, stage, 0);
    stage.after(picodata.ledger.len(), &receiver)
}

/// Keeper and worker die together, in either order; the stand-in takes over, and the pipe never breaks.
pub fn keeper_is_replaced(stage: &Stage) -> After {
    let receiver = Receiver::start();
    let setup = stage.setup(&receiver).env("GOSTECH_CRASH_AT", &stage.orders);
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    let mut first = picodata.family();
    wait("all three", LIMIT, || {
        first = picodata.family();
        first.keeper.is_some() && first.worker.is_some() && first.stand_in.is_some()
    });
    picodata.events(&mut events, 300, 10_000);
    let victim = if stage.deaths[0] == "keeper.reaped" { first.worker } else { first.keeper };
    assert!(procs::kill9(victim.expect("a process to kill")));
    stage.write_until_keeper_dead(&mut picodata, &mut events);
    wait("the stand-in in the keeper's place", LIMIT, || {
        let now = picodata.family();
        now.keeper.is_some() && now.keeper == first.stand_in && now.worker.is_some()
    });
    picodata.events(&mut events, 300, 1000);
    whole(&mut picodata, &receiver, &setup, stage, 0);
    stage.after(picodata.ledger.len(), &receiver)
}

/// The keeper dies, and then its stand-in before it has done anything: the worker goes on without them.
pub fn successor_dies(stage: &Stage) -> After {
    let receiver = Receiver::start();
    let setup = stage.setup(&receiver).env("GOSTECH_CRASH_AT", &stage.orders);
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 300, 10_000);
    wait("a stand-in", LIMIT, || picodata.family().stand_in.is_some());
    assert!(procs::kill9(picodata.family().keeper.expect("a process to kill")));
    wait("it is said", LIMIT, || picodata.err().contains("going on without them"));
    assert_eq!(stage.died(&picodata.err()), 1, "{}\n{}", stage.title, picodata.err());
    picodata.events(&mut events, 300, 1000);
    whole(&mut picodata, &receiver, &setup, stage, 0);
    stage.after(picodata.ledger.len(), &receiver)
}

/// There is no directory for a while: everything is in memory, and then comes to the disk.
pub fn late_disk(stage: &Stage) -> After {
    let receiver = Receiver::start();
    receiver.down();
    let blocked = stage.den.put("spool", "a file, no directory");
    let setup = stage.armed(stage.setup(&receiver));
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 300, 5000);
    wait("the alarm", LIMIT, || picodata.err().contains("no writable spool directory"));
    std::fs::remove_file(&blocked).expect("the file goes");
    stage.write_until_dead(&mut picodata, &mut events, 500, 100);
    receiver.up();
    whole(&mut picodata, &receiver, &setup, stage, 0);
    stage.after(picodata.ledger.len(), &receiver)
}

/// The receiver is away for so long that the spool is packed.
pub fn packing(stage: &Stage) -> After {
    let receiver = Receiver::start();
    receiver.down();
    let setup = stage.armed(stage.setup(&receiver));
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    stage.write_until_dead(&mut picodata, &mut events, 800, 1000);
    receiver.up();
    whole(&mut picodata, &receiver, &setup, stage, 0);
    assert!(stage.all_dead(&picodata), "{}: died {} times only", stage.title, stage.died(&picodata.err()));
    stage.after(picodata.ledger.len(), &receiver)
}

/// The directory goes, and is made anew by the same worker, which no cage keeps from that: what it held is in memory, and then
/// comes to the disk.
pub fn removed(stage: &Stage) -> After {
    let receiver = Receiver::start();
    receiver.down();
    let setup = stage.armed(stage.setup(&receiver).args(&["--no-confinement"]));
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 300, 5000);
    let (spool, away) = (stage.den.path().join("spool"), stage.den.path().join("away"));
    wait("there is a state", LIMIT, || spool.join("default/state").exists());
    // In one step: while it is emptied the helper makes new files there.
    std::fs::rename(&spool, &away).and_then(|()| std::fs::remove_dir_all(&away)).expect("the directory goes");
    stage.write_until_dead(&mut picodata, &mut events, 500, 100);
    receiver.up();
    whole(&mut picodata, &receiver, &setup, stage, 0);
    stage.after(picodata.ledger.len(), &receiver)
}

/// The second sync of each thread fails, and each fifth from there; the receiver is away meanwhile. They may fall in with the
/// rounds in which a failing disk is tried, and never hit a sync of records then: so a worker of which nothing comes is
/// killed, and the next one has another rhythm.
pub fn failing_sync(stage: &Stage) -> After {
    let Some(strace) = crate::harness::peer("strace") else {
        return After { left_out: 1, ..After::default() };
    };
    let receiver = Receiver::start();
    receiver.down();
    let mut setup = stage.armed(stage.setup(&receiver));
    let inject = "-f -qq --seccomp-bpf -e trace=fdatasync -e inject=fdatasync:error=EIO:when=2+5";
    setup.before = format!("{} {inject} -o {} ", strace.display(), stage.den.file("trace"));
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 300, 1000);
    let end = std::time::Instant::now() + LIMIT;
    while !stage.all_dead(&picodata) {
        assert!(std::time::Instant::now() < end, "{}: not reached\n{}", stage.title, picodata.err());
        let worker = picodata.wait_worker(None);
        // Few of them: the spool must not be full before.
        let dead = (0..30).any(|_| {
            picodata.events(&mut events, 2, 20);
            stage.all_dead(&picodata)
        });
        if !dead {
            procs::kill9(worker);
        }
    }
    receiver.up();
    setup.before.clear();
    whole(&mut picodata, &receiver, &setup, stage, 0);
    stage.after(picodata.ledger.len(), &receiver)
}

/// A receiver that refuses some events for their content: they are in the quarantine, the rest is delivered.
pub fn refusing(stage: &Stage) -> After {
    let receiver = Receiver::start();
    receiver.set(Mode::Marker(400, "condemned".into()));
    let setup = stage.armed(stage.setup(&receiver));
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    for _ in 0..8 {
        picodata.events(&mut events, 40, 2000);
        picodata.write(&events.event_saying("condemned")).expect("the pipe never breaks");
    }
    stage.write_until_dead(&mut picodata, &mut events, 400, 1000);
    receiver.wait_count(picodata.ledger.len() - 8, LIMIT);
    picodata.close();
    picodata.wait_end(LIMIT);
    let condemned: Vec<String> = (1..=8).map(|n| format!("1.1.{}", n * 41)).collect();
    assert_eq!(picodata.ledger.missing(&receiver.docs()), condemned, "{}\n{}", stage.title, picodata.err());
    let page = status(&setup, stage);
    assert_eq!(counters(&page, "default", &stage.title), picodata.ledger.len() as u64);
    assert_eq!(page["spools"][0]["receivers"][0]["quarantined"], 8, "{}: {page:#}", stage.title);
    // Every one of them is held; a death between the line and the cursor writes its line twice, under the same id.
    let args = ["quarantine", "list", "--json", "--no-config", "--spool-dir", &stage.den.file("spool")];
    let list = stage.plain(&setup).tool(&args).stdout;
    let list: serde_json::Value = serde_json::from_slice(&list).expect("JSON");
    let held = list["quarantines"][0]["events"].as_array().expect("events").clone();
    let ids: std::collections::BTreeSet<&str> = held.iter().filter_map(|e| e["id"].as_str()).collect();
    assert!(ids.len() == 8 && held.len() <= 8 + stage.kills() as usize, "{}: {list:#}", stage.title);
    stage.after(picodata.ledger.len(), &receiver)
}

/// What did not come is what is told as missing, event by event: how many, and in how many events of ours.
fn told_is_missing(stage: &Stage, picodata: &Picodata, receiver: &Receiver) -> (u64, u64) {
    let docs = receiver.docs();
    let (gaps, real): (Vec<_>, Vec<_>) = docs.iter().partition(|d| d.value["title"] == "audit_gap");
    let missing = picodata.ledger.missing(&docs).len() as u64;
    let told: u64 = gaps.iter().filter_map(|g| g.value["missing"].as_u64()).sum();
    assert_eq!(real.len() as u64 + missing, picodata.ledger.len() as u64, "{}", stage.title);
    let ids: Vec<_> = gaps.iter().map(|g| (&g.value["from"], &g.value["to"], &g.value["missing"])).collect();
    assert_eq!(told, missing, "{}: told {ids:?}\n{}", stage.title, picodata.err());
    (missing, gaps.len() as u64)
}

/// A full spool that drops, with a second death; then everything that is not there is counted and told.
fn dropping(stage: &Stage, policy: &str, receiver: &Receiver, setup: Setup) -> (Picodata, Setup) {
    let setup = stage.armed(setup.args(&["--spool-full", policy, "--spool-pack", "never"]));
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 1500, 20_000);
    stage.write_until_dead(&mut picodata, &mut events, 1600, 1000);
    receiver.up();
    picodata.close();
    picodata.wait_end(LIMIT);
    let (missing, gaps) = told_is_missing(stage, &picodata, receiver);
    let page = status(&setup, stage);
    assert_eq!(counters(&page, "default", &stage.title), picodata.ledger.len() as u64, "{}: {page:#}", stage.title);
    let of = |v: &serde_json::Value| v.as_u64().unwrap_or(0);
    let spool = &page["spools"][0];
    let counted = of(&spool["receivers"][0]["dropped"]);
    // What told of a gap may have been dropped itself, and was told again under the same document id.
    let own = of(&spool["counters"]["own"]) - gaps;
    assert!((missing..=missing + own).contains(&counted), "{}: {page:#}", stage.title);
    verify(&setup, stage);
    (picodata, setup)
}

pub fn drop_newest(stage: &Stage) -> After {
    let receiver = Receiver::start();
    receiver.down();
    let setup = stage.setup(&receiver);
    let (picodata, _) = dropping(stage, "drop-newest", &receiver, setup);
    stage.after(picodata.ledger.len(), &receiver)
}

pub fn drop_oldest(stage: &Stage) -> After {
    let receiver = Receiver::start();
    receiver.down();
    let setup = stage.setup(&receiver);
    let (picodata, _) = dropping(stage, "drop-oldest", &receiver, setup);
    stage.after(picodata.ledger.len(), &receiver)
}

/// A disk that is full long before the bound, and slow to sync, so that records in memory keep the state from it: the oldest
/// go all the same.
pub fn full_disk(stage: &Stage) -> After {
    let mount = on_tmpfs(&stage.den, 3);
    let (Some(strace), Some(mount)) = (crate::harness::peer("strace"), mount) else {
        return After { left_out: 1, ..After::default() };
    };
    let receiver = Receiver::start();
    receiver.down();
    let setup = stage.bounded(&receiver.url(), "4M", "0s", "30s").args(&[
        "--spool-full",
        "drop-oldest",
        "--spool-pack",
        "never",
    ]);
    let mut setup = stage.armed(setup);
    let slow = "-f -qq --seccomp-bpf -e trace=fdatasync -e inject=fdatasync:delay_enter=100000";
    setup.before = format!("{mount} {} {slow} -o {} ", strace.display(), stage.den.file("trace"));
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 2000, 1000);
    stage.write_until_dead(&mut picodata, &mut events, 16_000, 20_000);
    receiver.up();
    picodata.close();
    picodata.wait_end(LIMIT);
    let (missing, _) = told_is_missing(stage, &picodata, &receiver);
    assert!(missing > 0, "{}: nothing gave way\n{}", stage.title, picodata.err());
    stage.after(picodata.ledger.len(), &receiver)
}

/// Two receivers, the optional one away: it loses its oldest events, the other one none.
pub fn drop_optional(stage: &Stage) -> After {
    let (receiver, away) = (Receiver::start(), Receiver::start());
    away.down();
    let setup = stage.keeping(&receiver, "0s", "1s").url(&away.url()).args(&["--name", "away", "--optional"]);
    let setup = stage.armed(setup.args(&["--spool-pack", "never"]));
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    stage.write_until_dead(&mut picodata, &mut events, 1500, 1000);
    receiver.wait_count(picodata.ledger.len(), LIMIT);
    whole(&mut picodata, &receiver, &setup, stage, 0);
    let page = status(&setup, stage);
    let lost = page["spools"][0]["receivers"].as_array().expect("receivers").iter().map(|r| r["dropped"].as_u64());
    assert!(lost.flatten().sum::<u64>() > 0, "{}: {page:#}", stage.title);
    stage.after(picodata.ledger.len(), &receiver)
}

/// The spool of a helper that is gone, and one that a command has made: both are drained, the second one is removed.
pub fn adopting(stage: &Stage) -> After {
    let receiver = Receiver::start();
    let keep = |name: &str, drain: &str| stage.keeping(&receiver, "1h", drain).args(&["--instance", name]);
    let mut first = keep("old", "300ms").picodata();
    let mut events = Events::new(1, 1);
    first.events(&mut events, 100, 10_000);
    receiver.wait_count(100, LIMIT);
    receiver.down();
    first.events(&mut events, 100, 10_000);
    assert_eq!(first.finish(LIMIT), 0, "{}", first.err());
    let spool = stage.den.file("spool");
    if stage.deaths[0] == "adopt.hidden" {
        let args = ["spool", "replay", "--from", "1.1.1", "--to", "1.1.50", "--no-config", "--spool-dir", &spool];
        let out = stage.plain(&keep("old", "1s")).tool(&args);
        assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    }
    receiver.up();
    let setup = stage.armed(keep("new", "10s"));
    let mut second = setup.picodata();
    let mut e2 = Events::new(1, 2);
    stage.write_until_dead(&mut second, &mut e2, 100, 1000);
    let all = first.ledger.len() + second.ledger.len();
    receiver.wait_count(all, LIMIT);
    let hidden = |n: &str| n.contains(".replay-");
    let gone = wait_for(Duration::from_secs(30), || {
        let names = std::fs::read_dir(&spool).expect("a directory").flatten();
        !names.map(|e| e.file_name().to_string_lossy().into_owned()).any(|n| hidden(&n))
    });
    assert!(gone, "{}: what was drained is still there", stage.title);
    second.close();
    second.wait_end(LIMIT);
    for ledger in [&first.ledger, &second.ledger] {
        assert_eq!(ledger.missing(&receiver.docs()), Vec::<String>::new(), "{}", stage.title);
    }
    assert_eq!(receiver.count(), all, "{}: by document id", stage.title);
    let page = status(&setup, stage);
    assert_eq!(counters(&page, "old", &stage.title), 200);
    assert_eq!(counters(&page, "new", &stage.title), second.ledger.len() as u64);
    verify(&setup, stage);
    stage.after(all, &receiver)
}
