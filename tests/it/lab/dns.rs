//! Names that cannot be found, change, or are asked for in vain: both programs keep everything, say `dns`, and find the
//! right address again by themselves.
//!
//! Runs in namespaces of its own (see `harness::dns`) with a name server of the tests' own; the machine's files are not
//! touched and nothing leaves it.

use super::Row;
use crate::harness::dns::{etc, inside, no_etc, Dns, Zone};
use crate::harness::{free_port, procs, wait, Den, Events, Page, Picodata, Receiver, Road, Setup};
use crate::metrics::helper::Helper;
use crate::metrics::stand::{picodata, recorded_page, Stand};
use gostech::iproto::auth::Method::ChapSha1;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);
const ONE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const TWO: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const NOBODY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// Impatient, so that a server that says nothing costs a second or two and not ten.
const RESOLV: &str = "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n";

fn sick() -> Vec<Zone> {
    use Zone::{Garbage, Loop, NoAddress, NoName, Refused, ServFail, Short, Silence, Stranger};
    vec![NoName, NoAddress, ServFail, Refused, Garbage, Stranger, Loop, Short, Silence]
}

/// The helper with its page, the receivers and what was asked of the name server.
struct Audit {
    picodata: Picodata,
    page: u16,
    events: Events,
}

impl Audit {
    fn write(&mut self, n: usize) {
        for _ in 0..n {
            let event = self.events.event();
            self.picodata.write(&event).expect("the pipe never breaks");
        }
    }

    fn failed(&self) -> f64 {
        Page::scrape(self.page).sum("gostech_audit_retries_total", &["reason=\"dns\""]).unwrap_or(0.0)
    }

    /// Waits until the receiver has these, and the helper its answers: what is cut off before comes again.
    fn until_taken(&self, receiver: &Receiver, count: usize) {
        receiver.wait_count(count, LIMIT);
        let waiting = || Page::scrape(self.page).sum("gostech_audit_spool_events", &["receiver=\"r1\""]);
        wait("the answers are read", LIMIT, || waiting() == Some(0.0));
    }

    fn threads(&self) -> u64 {
        procs::status_kib(self.picodata.wait_worker(None), "Threads")
    }

    /// Waits for one more failure that is called `dns`, with all that was written kept.
    fn until_failed(&self, what: &Zone, receiver: &Receiver) {
        let (before, delivered) = (self.failed(), receiver.count());
        wait(&format!("a failure called dns, {what:?}: {}", self.picodata.err()), LIMIT, || self.failed() > before);
        assert_eq!(receiver.count(), delivered, "{what:?}");
        let page = Page::scrape(self.page);
        page.assert_identity("r1");
        assert!(page.must("gostech_audit_spool_events", &["receiver=\"r1\""]) >= 20.0, "{what:?}");
    }
}

fn audit(den: &Den, host: &str, port: u16) -> Audit {
    let page = free_port();
    let (url, addr) = (format!("http://{host}:{port}/"), format!("127.0.0.1:{page}"));
    let args = ["--metrics-addr", &addr, "--connect-timeout", "1s", "--drain", "60s"];
    let picodata = Setup::new(den).url(&url).args(&args).picodata();
    Audit { picodata, page, events: Events::new(1, 1) }
}

#[test]
fn a_receiver_whose_name_cannot_be_found_costs_no_event() {
    if !inside("lab::dns::a_receiver_whose_name_cannot_be_found_costs_no_event") {
        return;
    }
    let begin = Instant::now();
    etc("resolv.conf", RESOLV);
    let dns = Dns::at([127, 0, 0, 1], Zone::NoName);
    let den = Den::new("dns-audit");
    let old = Receiver::start();
    let new = Receiver::start_on(TcpListener::bind((TWO, old.port())).expect("a second address"));
    let mut a = audit(&den, "receiver.lab", old.port());
    let mut faults = 0;
    // The name appears only later; then it cannot be found in every way there is, each time with the connection gone.
    for zone in sick() {
        dns.becomes(zone.clone());
        old.down();
        old.up();
        a.write(20);
        a.until_failed(&zone, &old);
        if zone == Zone::Silence {
            let before = a.failed();
            wait("failures go on while lookups hang", LIMIT, || a.failed() >= before + 6.0);
            // Reader, writer, tender, sender, adopter, the page and its lanes, and at most a few lookups.
            assert!(a.threads() < 25, "{} threads while the name server says nothing", a.threads());
        }
        dns.becomes(Zone::Is(vec![ONE]));
        a.until_taken(&old, a.picodata.ledger.len());
        faults += 1;
    }
    faults += moved(&mut a, &dns, &old, &new);
    let written = a.picodata.ledger.len();
    assert_eq!(a.picodata.finish(LIMIT), 0, "{}", a.picodata.err());
    let docs = [old.docs(), new.docs()].concat();
    assert_eq!(a.picodata.ledger.compare(&docs), Ok(()));
    assert_eq!((old.repeats(), new.repeats()), (0, 0), "nothing was taken without an answer");
    let lines = a.picodata.err().lines().count();
    assert!(lines < 120, "{lines} lines of log for {faults} outages:\n{}", a.picodata.err());
    Row {
        class: "names: audit log",
        injected: faults,
        survived: faults,
        records: written as u64,
        lost: 0,
        repeated: 0,
        begin,
    }
    .say();
}

/// The name leads elsewhere, by whatever means; the old receiver is gone.
fn moved(a: &mut Audit, dns: &Dns, old: &Receiver, new: &Receiver) -> u64 {
    let other = Dns::at([127, 0, 0, 5], Zone::Is(vec![TWO]));
    old.down();
    let gone = old.count();
    let mut n = 0;
    let mut then = |a: &mut Audit, what: &str| {
        a.write(20);
        a.until_taken(new, a.picodata.ledger.len() - gone);
        new.down();
        new.up();
        eprintln!("moved: {what}");
        n += 1;
    };
    dns.becomes(Zone::Is(vec![TWO]));
    then(a, "another address");
    dns.becomes(Zone::Is(vec![NOBODY, ONE, TWO]));
    then(a, "several addresses, the last one answers");
    dns.becomes(Zone::Silence);
    etc("resolv.conf", &RESOLV.replace("127.0.0.1", "127.0.0.5"));
    then(a, "another name server");
    assert!(other.asked() > 0);
    other.becomes(Zone::NoName);
    etc("hosts", "127.0.0.2 receiver.lab\n");
    then(a, "/etc/hosts");
    no_etc("hosts");
    no_etc("resolv.conf");
    dns.becomes(Zone::Is(vec![TWO]));
    then(a, "no resolv.conf: the name server of this machine");
    n
}

#[test]
fn localhost_needs_no_file_and_no_name_server() {
    if !inside("lab::dns::localhost_needs_no_file_and_no_name_server") {
        return;
    }
    let dns = Dns::at([127, 0, 0, 1], Zone::Silence);
    assert!(!std::path::Path::new("/etc/hosts").exists() && !std::path::Path::new("/etc/resolv.conf").exists());
    let den = Den::new("dns-localhost");
    let receiver = Receiver::start();
    let mut a = audit(&den, "localhost", receiver.port());
    a.write(20);
    receiver.wait_count(20, LIMIT);
    assert_eq!(a.picodata.finish(LIMIT), 0, "{}", a.picodata.err());
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(Some(recorded_page("metrics-http.txt"))));
    let port = stand.port.to_string();
    let args = ["--host", "localhost", "--port", &port, "--min-interval", "0"];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "x")]);
    helper.until("up", LIMIT, |p| p["picodata_up"] == 1.0);
    assert_eq!(dns.asked(), 0, "somebody was asked for the address of localhost");
}

/// One scrape: why the database is down, if it is.
fn scrape(helper: &Helper) -> Option<String> {
    super::net_metrics::scrape(helper).1.pop()
}

#[test]
fn a_database_whose_name_cannot_be_found_is_down_for_dns() {
    if !inside("lab::dns::a_database_whose_name_cannot_be_found_is_down_for_dns") {
        return;
    }
    let begin = Instant::now();
    etc("resolv.conf", RESOLV);
    let dns = Dns::at([127, 0, 0, 1], Zone::NoName);
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(Some(recorded_page("metrics-http.txt"))));
    // Roads, because they can end: one to each address, with the same port.
    let mut road = Road::to(stand.port, 1);
    let port = road.port().to_string();
    let args = ["--host", "db.lab", "--port", &port, "--min-interval", "0", "--timeout", "1s"];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "x")]);
    let (mut faults, mut scrapes) = (0, 0);
    for zone in sick() {
        dns.becomes(zone.clone());
        road.clear();
        // A road that is just ending is the last that one hears of as `closed`.
        wait(&format!("down for dns, {zone:?}: {}", helper.log()), LIMIT, || scrape(&helper).as_deref() == Some("dns"));
        let times = if zone == Zone::Silence { 8 } else { 3 };
        for _ in 0..times {
            assert_eq!(scrape(&helper).as_deref(), Some("dns"), "{zone:?}: {}", helper.log());
            scrapes += 1;
        }
        assert!(helper.figure("Threads") < 25, "{} threads, {zone:?}", helper.figure("Threads"));
        dns.becomes(Zone::Is(vec![ONE]));
        wait(&format!("up after {zone:?}: {}", helper.log()), LIMIT, || scrape(&helper).is_none());
        faults += 1;
    }
    // The instance moves: the old address refuses.
    let new = TcpListener::bind((TWO, road.port())).expect("a second address");
    let end = road.port();
    drop(road);
    wait("the old address is dead", LIMIT, || std::net::TcpStream::connect((ONE, end)).is_err());
    wait("down for connect", LIMIT, || scrape(&helper).as_deref() == Some("connect"));
    road = Road::on(new, stand.port, 1);
    dns.becomes(Zone::Is(vec![TWO]));
    wait("up at its new address", LIMIT, || scrape(&helper).is_none());
    assert!(road.count() > 0);
    faults += 1;
    Row { class: "names: metrics", injected: faults, survived: faults, records: scrapes, lost: 0, repeated: 0, begin }
        .say();
}
