//! The metrics helper on a rough road: `/metrics` answers within its bound whatever the network does between it and the
//! database, says `picodata_up 0` with the reason that is right, shows no number of before, and recovers.

use super::Row;
use crate::harness::events::Chance;
use crate::harness::road::{seed, Fault, Road, Way};
use crate::harness::tls::Certs;
use crate::harness::{long, Den};
use crate::metrics::helper::{get, samples, Helper, Samples};
use crate::metrics::stand::{data, Asked, Line, Reply, Stand};
use crate::metrics::tarantool::Tarantool;
use gostech::iproto::auth::Method::ChapSha1;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);
/// What the scraper says it waits; the helper answers half a second before.
const PATIENCE: [(&str, &str); 1] = [("X-Prometheus-Scrape-Timeout-Seconds", "3")];
const USER: [(&str, gostech::iproto::auth::Method, &str); 1] = [("pico_service", ChapSha1, "x")];

/// A database whose page counts how often it was made: no two polls bring the same number.
fn counting() -> impl Fn(&str, &Asked) -> Reply + Send + Sync + 'static {
    let polls = AtomicU64::new(0);
    move |_, asked| match asked {
        Asked::Eval(_) => {
            let n = polls.fetch_add(1, Ordering::SeqCst) + 1;
            // Long enough to be cut anywhere.
            let many: String = (0..300).map(|i| format!("filler{{n=\"{i}\"}} {i}\n")).collect();
            let page = format!("# TYPE made_total counter\nmade_total {n}\n# TYPE filler gauge\n{many}");
            data(serde_json::json!([{"page": page, "via": "route"}]))
        }
        _ => data(serde_json::json!([[280, 1, "_space"]])),
    }
}

/// One scrape, in time and well formed; the reasons it names.
pub fn scrape(helper: &Helper) -> (Samples, Vec<String>) {
    let begun = Instant::now();
    let answer = get(helper.port, "/metrics", &PATIENCE).expect("the page always answers");
    // Three seconds were asked for; the rest is for a machine that does much else.
    assert!(begun.elapsed() < SECOND * 6, "an answer after {:?}", begun.elapsed());
    assert_eq!(answer.status, 200);
    let page = samples(&answer.text());
    let reasons: Vec<String> = page
        .keys()
        .filter_map(|k| k.strip_prefix("gostech_metrics_down{reason=\""))
        .map(|k| k.trim_end_matches("\"}").to_string())
        .collect();
    assert_eq!(reasons.len(), usize::from(page["picodata_up"] == 0.0), "{reasons:?}");
    (page, reasons)
}

/// Every fault alone, and the words that are right for it.
fn catalogue() -> Vec<(Fault, &'static [&'static str])> {
    use Fault::{Cut, Delay, Half, Refuse, Reset, Slow, Swallow};
    use Way::{Back, To};
    let closed: &[&str] = &["closed"];
    let timeout: &[&str] = &["timeout"];
    vec![
        // Whether a reset is met when connecting or a moment later, the system decides.
        (Refuse, &["closed", "connect"]),
        (Cut(Back, 0), closed),
        (Cut(Back, 100), closed),
        (Cut(Back, 2000), closed),
        (Cut(To, 3), closed),
        (Reset(Back, 60), closed),
        (Reset(Back, 1500), closed),
        (Half(Back, 128), closed),
        (Half(Back, 700), closed),
        (Half(To, 2), closed),
        (Swallow(Back, 0), timeout),
        (Swallow(Back, 1000), timeout),
        (Swallow(To, 30), timeout),
        (Slow(Back, 0, 40), timeout),
        (Slow(Back, 200, 100), timeout),
        (Delay(Duration::from_millis(1500)), timeout),
    ]
}

#[test]
fn each_fault_of_the_network_has_its_reason_and_leaves_no_number_behind() {
    let begin = Instant::now();
    let stand = Stand::start(&USER, counting());
    let road = Road::to(stand.port, seed(1));
    let port = road.port().to_string();
    let args = ["--port", &port, "--min-interval", "0", "--timeout", "700ms"];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "x")]);
    let (mut last, mut scrapes) = (0.0, 0);
    let faults = catalogue();
    for (fault, right) in &faults {
        let page = helper.until("up before a fault", SECOND * 30, |p| p["picodata_up"] == 1.0);
        assert!(page["made_total"] > last, "a number that was shown before: {page:?}");
        last = page["made_total"];
        let fault = *fault;
        road.foul(move |_| fault, 100);
        road.clear();
        // The last connection may live for a moment yet.
        helper.until("down", SECOND * 30, |p| p["picodata_up"] == 0.0);
        for _ in 0..4 {
            let (page, reasons) = scrape(&helper);
            assert!(right.contains(&reasons[0].as_str()), "{fault:?}: {reasons:?}\n{}", helper.log());
            assert!(!page.contains_key("made_total") && !page.contains_key("filler{n=\"1\"}"), "frozen numbers");
            scrapes += 1;
        }
        road.fair();
        road.clear();
    }
    helper.until("up in the end", SECOND * 30, |p| p["picodata_up"] == 1.0);
    let n = faults.len() as u64;
    assert_eq!(road.bitten().iter().collect::<std::collections::HashSet<_>>().len(), faults.len());
    Row {
        class: "network: metrics, each fault alone",
        injected: n,
        survived: n,
        records: scrapes,
        lost: 0,
        repeated: 0,
        begin,
    }
    .say();
}

fn mixture(chance: &mut Chance, tls: bool) -> Fault {
    let way = if chance.within(0, 1) == 0 { Way::To } else { Way::Back };
    let at = chance.within(0, if way == Way::To { 4000 } else { 9000 }) as usize;
    match chance.within(0, 9) {
        0..=1 => Fault::Cut(way, at),
        2..=3 => Fault::Reset(way, at),
        4 => Fault::Half(way, at),
        5 => Fault::Swallow(way, at),
        6 => Fault::Slow(way, at, chance.within(50, 5000) as usize),
        7 => Fault::Delay(Duration::from_millis(chance.within(1, 300))),
        // A byte of plain iproto that changes is another number, or another password: no promise, so not done.
        8 if !tls => Fault::Refuse,
        _ if tls => Fault::Corrupt(way, at, 1 << chance.within(0, 7)),
        _ => Fault::Cut(way, at),
    }
}

/// A mixture of faults for a while, then fair weather. `grows` is a number that every poll finds larger.
fn wander(class: &'static str, helper: &Helper, road: &Road, tls: bool, grows: &str) {
    let begin = Instant::now();
    let seconds = if long() { 300 } else { 6 };
    helper.until("up", SECOND * 30, |p| p["picodata_up"] == 1.0);
    road.foul(move |chance| mixture(chance, tls), 60);
    let (mut up, mut down, mut last) = (0, 0, 0.0);
    for n in 0.. {
        if begin.elapsed() > SECOND * seconds && road.bitten().len() >= 5 {
            break;
        }
        if n % 5 == 4 {
            road.clear();
        }
        let (page, reasons) = scrape(helper);
        if page["picodata_up"] == 1.0 {
            up += 1;
            assert!(page[grows] > last, "{grows}: {} after {last}", page[grows]);
            last = page[grows];
        } else {
            down += 1;
            assert!(!page.contains_key(grows), "frozen numbers");
            let known = ["closed", "connect", "timeout", "tls", "protocol"];
            // The peer tells of a byte that changed by an alert or by hanging up.
            let known = if tls { &known[..] } else { &known[..3] };
            assert!(known.contains(&reasons[0].as_str()), "{reasons:?}\n{}", helper.log());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    road.fair();
    road.clear();
    helper.until("up in the end", SECOND * 30, |p| p["picodata_up"] == 1.0);
    eprintln!("{class}: {up} scrapes up, {down} down, {} faults", road.bitten().len());
    let injected = road.bitten().len() as u64;
    Row { class, injected, survived: injected, records: up + down, lost: 0, repeated: 0, begin }.say();
}

#[test]
fn metrics_over_tls_on_a_rough_road() {
    let den = Den::new("road-iproto");
    let certs = Certs::new();
    let [ca, ..] = certs.put(&den, "road");
    let config = certs.server_config();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let _stand = Stand::at(port, &USER, counting(), move || {
        let (socket, _) = listener.accept().ok()?;
        let session = rustls::ServerConnection::new(config.clone()).ok()?;
        Some(Box::new(rustls::StreamOwned::new(session, socket)) as Box<dyn Line>)
    });
    let road = Road::to(port, seed(1));
    let port = road.port().to_string();
    let args = ["--port", &port, "--min-interval", "0", "--timeout", "1s", "--tls-auth", "--tls-ca", &ca];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "x")]);
    wander("network: metrics over TLS", &helper, &road, true, "made_total");
}

#[test]
fn metrics_of_a_real_tarantool_on_a_rough_road() {
    let Some(database) = Tarantool::start("road-tarantool") else { return };
    let road = Road::to(database.port, seed(1));
    let port = road.port().to_string();
    let args =
        ["--port", &port, "--username", "full", "--min-interval", "0", "--timeout", "1s", "--source", "tarantool"];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "secret")]);
    wander("network: metrics of tarantool", &helper, &road, false, "tnt_stats_op_total{operation=\"eval\"}");
}
