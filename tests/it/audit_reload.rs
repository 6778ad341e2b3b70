//! SIGHUP: the whole configuration is read again, put in force by a new worker, or refused whole; nothing is lost or sent twice.

use crate::harness::{free_port, long, procs, wait, Den, Events, Picodata, Receiver, Setup};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// A helper with a configuration file.
struct Stand {
    den: Den,
    events: Events,
}

impl Stand {
    fn new(name: &str) -> Stand {
        Stand { den: Den::new(name), events: Events::new(1, 1) }
    }

    fn write(&self, lines: &[String]) {
        let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
        self.den.put("audit.conf", &text);
    }

    fn start(&self) -> Picodata {
        let (config, spool) = (self.den.file("audit.conf"), self.den.file("spool"));
        let args = ["--config", &config, "--spool-dir", &spool, "--drain", "60s"];
        let picodata = Setup::bare(&self.den).exec().args(&args).picodata();
        wait("all three", LIMIT, || {
            let f = picodata.family();
            f.worker.is_some() && f.stand_in.is_some()
        });
        std::thread::sleep(Duration::from_millis(300));
        picodata
    }

    /// Writes the file, sends SIGHUP, and waits until this is said once more.
    fn reload(&self, picodata: &Picodata, to: u32, lines: &[String], said: &str) {
        self.write(lines);
        self.again(picodata, to, said);
    }

    fn again(&self, picodata: &Picodata, to: u32, said: &str) {
        let before = picodata.err().matches(said).count();
        assert!(procs::signal("HUP", i64::from(to)));
        wait(said, LIMIT, || picodata.err().matches(said).count() > before);
    }
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|l| (*l).to_owned()).collect()
}

fn pids(picodata: &Picodata) -> [u32; 3] {
    let mut all = [None; 3];
    wait("all three", LIMIT, || {
        let f = picodata.family();
        all = [f.keeper, f.worker, f.stand_in];
        all.iter().all(Option::is_some)
    });
    all.map(|p| p.expect("all three are there"))
}

#[test]
fn receivers_come_change_and_go_without_a_loss_or_a_repeat() {
    let mut stand = Stand::new("reload");
    let (a, b) = (Receiver::start(), Receiver::start());
    let (url_a, url_b) = (format!("url {}", a.url()), format!("url {}", b.url()));
    stand.write(&lines(&["linger 20ms", &url_a, "name a"]));
    let mut picodata = stand.start();
    picodata.events(&mut stand.events, 300, 2000);
    // One more, asked of the keeper.
    let [keeper, first, _] = pids(&picodata);
    let both = lines(&["linger 10ms", "retain 2h", &url_a, "name a", "gzip", &url_b, "name b"]);
    stand.reload(&picodata, keeper, &both, "read again, in force now");
    assert!(picodata.err().contains("retain: `2h` instead of `1h`"), "{}", picodata.err());
    picodata.wait_worker(Some(first));
    let before = picodata.ledger.len();
    picodata.events(&mut stand.events, 300, 2000);
    wait("events at the new receiver", LIMIT, || b.count() >= 300);
    // The keeper dies: its stand-in has the new options too.
    procs::kill9(keeper);
    picodata.events(&mut stand.events, 300, 2000);
    wait("another keeper", LIMIT, || picodata.family().keeper.is_some_and(|k| k != keeper));
    wait("events at the new receiver", LIMIT, || b.count() >= 600);
    a.wait_count(before + 600, LIMIT);
    // Asked of the worker, then of the stand-in.
    let [_, worker, _] = pids(&picodata);
    let one = lines(&["linger 10ms", "retain 2h", &url_a, "name a", "gzip"]);
    stand.reload(&picodata, worker, &one, "read again, in force now");
    wait("it is said", LIMIT, || picodata.err().contains("receiver b: is not configured any more"));
    picodata.wait_worker(Some(worker));
    picodata.events(&mut stand.events, 300, 2000);
    let [_, worker, stand_in] = pids(&picodata);
    let packed = lines(&["linger 10ms", "retain 2h", &url_a, "name a", "format ndjson"]);
    stand.reload(&picodata, stand_in, &packed, "read again, in force now");
    picodata.wait_worker(Some(worker));
    picodata.events(&mut stand.events, 300, 2000);
    a.wait_count(picodata.ledger.len(), LIMIT);
    picodata.close();
    picodata.wait_end(LIMIT);
    assert_eq!(picodata.ledger.compare(&a.docs()), Ok(()), "{}", picodata.err());
    assert!(b.count() < picodata.ledger.len() - 300, "it got what came after it was taken out");
}

#[test]
fn a_configuration_with_a_fault_is_refused_whole() {
    let mut stand = Stand::new("reload-fault");
    let a = Receiver::start();
    let (url, told) = (format!("url {}", a.url()), stand.den.file("told"));
    let script = stand.den.put("alarm", format!("#!/bin/sh\nprintf '%s\\n' \"$GOSTECH_ALARM\" >> {told}\n"));
    executable(Path::new(&script));
    let alarm = format!("on-alarm {}", script);
    stand.write(&lines(&[&url, &alarm]));
    let mut picodata = stand.start();
    let [keeper, worker, _] = pids(&picodata);
    for (fault, place) in [
        ("retain soon", "line 3"),
        ("ulr http://x", "line 3"),
        ("spool-max 1K", "line 3"),
        ("filename audit.log", "line 3: --type pipe has no use for it"),
    ] {
        let said = "the configuration is refused, the old one stays in force";
        stand.reload(&picodata, keeper, &lines(&[&url, &alarm, fault]), said);
        let name = fault.split(' ').next().unwrap_or_default();
        let err = picodata.err();
        assert!(err.lines().any(|l| l.contains(said) && l.contains(place) && l.contains(name)), "{err}");
        std::thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(picodata.family().worker, Some(worker), "nobody has to make room for that");
    wait("the alarm", LIMIT, || std::fs::read_to_string(&told).unwrap_or_default().contains("is refused"));
    picodata.events(&mut stand.events, 300, 2000);
    // None at all is one as well.
    std::fs::remove_file(stand.den.file("audit.conf")).expect("it goes");
    stand.again(&picodata, keeper, "No such file");
    stand.reload(&picodata, keeper, &lines(&[&url, &alarm]), "read again: nothing else");
    picodata.events(&mut stand.events, 300, 2000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&a.docs()), Ok(()), "{}", picodata.err());
}

#[test]
fn what_cannot_change_is_named_and_the_rest_is_put_in_force() {
    let mut stand = Stand::new("reload-fixed");
    let a = Receiver::start();
    let url = format!("url {}", a.url());
    stand.write(&lines(&["cluster c1", "memory-max 4M", &url]));
    let mut picodata = stand.start();
    let [keeper, worker, _] = pids(&picodata);
    picodata.events(&mut stand.events, 100, 2000);
    let other = lines(&["cluster c2", "memory-max 8M", "log-level debug", &url]);
    stand.reload(&picodata, keeper, &other, "read again, in force now: log-level: `debug` instead of `info`");
    let err = picodata.err();
    for text in ["cluster: `c2` instead of `c1` needs a restart", "memory-max: `8M` instead of `4M` needs a restart"] {
        assert!(err.contains(text), "{text}: {err}");
    }
    picodata.wait_worker(Some(worker));
    picodata.events(&mut stand.events, 100, 2000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&a.docs()), Ok(()), "{}", picodata.err());
    assert!(a.docs().iter().all(|d| d.raw.contains("c1")), "one cluster");
}

#[test]
fn a_secret_that_changes_is_put_in_force_and_never_said() {
    let mut stand = Stand::new("reload-secret");
    let a = Receiver::start();
    let with = |password: &str| lines(&[&format!("url {}", a.url().replace("://", &format!("://u:{password}@")))]);
    stand.write(&with("hush1"));
    let mut picodata = stand.start();
    let [keeper, worker, _] = pids(&picodata);
    stand.reload(&picodata, keeper, &with("hush2"), "url of r1: another secret");
    picodata.wait_worker(Some(worker));
    picodata.events(&mut stand.events, 100, 2000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert!(!picodata.err().contains("hush"), "{}", picodata.err());
}

/// The pipe and the ring bear what comes while one worker goes and the next one begins.
#[test]
fn a_reload_under_load_makes_nobody_wait() {
    let mut stand = Stand::new("reload-load");
    let a = Receiver::start();
    let with = |n: u32| lines(&[&format!("linger {}ms", 10 + n), &format!("url {}", a.url())]);
    stand.write(&with(0));
    let mut picodata = stand.start();
    let [keeper, first, _] = pids(&picodata);
    // More than this build does beside other tests would measure the build.
    let rate = if long() { 20_000 } else { 4_000 };
    let group = i64::from(picodata.group());
    std::thread::scope(|scope| {
        let stand_den = &stand.den;
        scope.spawn(move || {
            for n in 1..=6 {
                let text: String = with(n).iter().map(|l| format!("{l}\n")).collect();
                stand_den.put("audit.conf", &text);
                // Alone and, as a storm, to all of them.
                let target = if n % 2 == 0 { -group } else { i64::from(keeper) };
                (0..20).for_each(|_| assert!(procs::signal("HUP", target)));
                std::thread::sleep(Duration::from_millis(1500));
            }
        });
        picodata.events(&mut stand.events, 10 * rate as usize, rate);
    });
    assert_ne!(picodata.family().worker, Some(first));
    // The log leaves out what it has said five times.
    let times = picodata.err().matches("in force now").count();
    assert!((3..=6).contains(&times), "{times} times: {}", picodata.err());
    assert!(!picodata.err().contains("damage"), "no write is left half done: {}", picodata.err());
    println!("the longest write: {:?}", picodata.longest);
    assert!(picodata.longest < Duration::from_millis(500), "a write was blocked for {:?}", picodata.longest);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&a.docs()), Ok(()), "{}", picodata.err());
    assert_eq!(a.repeats(), 0, "{}", picodata.err());
}

/// A file that is none hangs whoever opens it; not the keeper.
#[test]
fn a_configuration_that_hangs_holds_nobody() {
    let mut stand = Stand::new("reload-fifo");
    let a = Receiver::start();
    let url = format!("url {}", a.url());
    stand.write(&lines(&[&url]));
    let mut picodata = stand.start();
    let [keeper, worker, _] = pids(&picodata);
    std::fs::remove_file(stand.den.file("audit.conf")).expect("it goes");
    let made = std::process::Command::new("mkfifo").arg(stand.den.file("audit.conf")).status();
    assert!(made.is_ok_and(|s| s.success()));
    assert!(procs::signal("HUP", i64::from(keeper)));
    std::thread::sleep(Duration::from_millis(500));
    procs::kill9(worker);
    picodata.wait_worker(Some(worker));
    picodata.events(&mut stand.events, 300, 2000);
    wait("it is said", LIMIT, || picodata.err().contains("could not be read within 5 s"));
    std::fs::remove_file(stand.den.file("audit.conf")).expect("it goes");
    stand.reload(&picodata, keeper, &lines(&[&url, "linger 1ms"]), "in force now");
    picodata.events(&mut stand.events, 300, 2000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&a.docs()), Ok(()), "{}", picodata.err());
}

#[test]
fn the_page_moves_to_another_address() {
    let mut stand = Stand::new("reload-page");
    let a = Receiver::start();
    let with = |place: &str| lines(&[&format!("metrics-addr {place}"), &format!("url {}", a.url())]);
    let (one, two) = (free_port(), free_port());
    stand.write(&with(&format!("127.0.0.1:{one}")));
    let mut picodata = stand.start();
    let [keeper, ..] = pids(&picodata);
    picodata.events(&mut stand.events, 100, 2000);
    wait("the page", LIMIT, || page(one));
    stand.reload(&picodata, keeper, &with(&format!("127.0.0.1:{two}")), "in force now");
    wait("the page at its new place", LIMIT, || page(two));
    assert!(!page(one), "and not at the old one");
    let socket = stand.den.file("run/page.sock");
    stand.reload(&picodata, keeper, &with(&format!("unix:{socket}")), "in force now");
    std::fs::create_dir(stand.den.file("run")).expect("a directory");
    wait("the socket", LIMIT, || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    stand.reload(&picodata, keeper, &with(&format!("127.0.0.1:{one}")), "in force now");
    wait("the page at its old place", LIMIT, || page(one));
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&a.docs()), Ok(()), "{}", picodata.err());
}

fn page(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("permissions");
}
