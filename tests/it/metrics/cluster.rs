//! A cluster from the one instance that is named: who belongs to it, what their samples are called, and that nobody waits for one
//! that hangs.

use super::helper::{get, samples, wait, Helper};
use super::push::LIMIT;
use super::stand::{data, format_of_instance, Asked, Reply, Stand};
use gostech::iproto::auth::Method::ChapSha1;
use serde_json::{json, Value};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What `_pico_instance` and `_pico_peer_address` say, for all alike.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Vec<(Value, Value)>>>);

impl World {
    /// One more, or another state of it.
    fn put(&self, n: u64, name: &str, uuid: &str, port: u16, state: &str) {
        let tier = if n % 2 == 0 { "storage" } else { "default" };
        let row =
            json!([name, uuid, n, format!("{tier}_{}", n / 2), "r", [state, 1], ["Online", 1], {}, tier, "25.5.7"]);
        let mut all = self.0.lock().unwrap();
        all.retain(|(row, _)| row[2] != n);
        all.push((row, json!([n, format!("127.0.0.1:{port}"), "iproto"])));
    }

    fn gone(&self, n: u64) {
        self.0.lock().unwrap().retain(|(row, _)| row[2] != n);
    }

    /// An instance that answers with this page.
    fn instance(&self, uuid: &str, page: &str) -> Stand {
        Stand::start_as(uuid, &[("pico_service", ChapSha1, "T0psecret")], self.script(page.to_string()))
    }

    fn script(&self, page: String) -> impl Fn(&str, &Asked) -> Reply + Send + Sync + 'static {
        let world = self.clone();
        move |_, asked| {
            let all = world.0.lock().unwrap().clone();
            match asked {
                Asked::Eval(_) => data(json!([{"page": page, "via": "route"}])),
                Asked::Select(280) => data(json!([[280, 1, "_space"]])),
                Asked::Select(281) => data(json!([[515, 1, "_pico_instance", "memtx", 0, {}, format_of_instance()]])),
                Asked::Select(515) => data(all.iter().map(|(row, _)| row.clone()).collect()),
                Asked::Select(514) => {
                    let pg = all.iter().map(|(row, _)| json!([row[2], "127.0.0.1:1", "pgproto"]));
                    data(pg.chain(all.iter().map(|(_, address)| address.clone())).collect())
                }
                _ => Reply::No(42, "denied"),
            }
        }
    }
}

fn discovering(seed: &Stand, more: &[&str]) -> Helper {
    let port = seed.port.to_string();
    let args = ["--port", &port, "--min-interval", "0", "--timeout", "3s", "--discover"];
    Helper::start_with(&[&args[..], more].concat(), &[("GOSTECH_METRICS_PASSWORD", "T0psecret")])
}

const PAGE: &str = "# HELP n_total of it\n# TYPE n_total counter\nn_total{k=\"v\"} 7\n# TYPE n gauge\nn 1\n";

fn up(name: &str, replicaset: &str, tier: &str) -> String {
    format!("picodata_up{{instance_name=\"{name}\",replicaset=\"{replicaset}\",tier=\"{tier}\"}}")
}

#[test]
fn every_instance_is_on_the_page_with_its_labels_and_who_comes_and_goes_is_followed() {
    let world = World::default();
    let stands: Vec<Stand> = (1..=4).map(|n| world.instance(&format!("u{n}"), PAGE)).collect();
    for (n, stand) in (1..=3).zip(&stands) {
        world.put(n, &format!("i{n}"), &format!("u{n}"), stand.port, "Online");
    }
    let fourth = stands[3].port.to_string();
    let helper = discovering(&stands[0], &["--probe", "discovered", "--probe", &format!("127.0.0.1:{fourth}")]);
    let page = helper.scrape();
    for (n, replicaset, tier) in [(1, "default_0", "default"), (2, "storage_1", "storage"), (3, "default_1", "default")]
    {
        assert_eq!(page.get(&up(&format!("i{n}"), replicaset, tier)), Some(&1.0), "{page:#?}");
        let own = format!("n_total{{instance_name=\"i{n}\",k=\"v\",replicaset=\"{replicaset}\",tier=\"{tier}\"}}");
        assert_eq!(page.get(&own), Some(&7.0), "{page:#?}");
    }
    let text = helper.get("/metrics").text();
    assert_eq!(text.matches("# TYPE n_total counter").count(), 1);
    let open = get(helper.port, "/metrics", &[("Accept", "application/openmetrics-text")]).unwrap().text();
    assert_eq!(open.matches("# TYPE n_total unknown").count() + open.matches("# TYPE n counter").count(), 1, "{open}");
    // For Prometheus' own discovery, and one alone.
    let sd: Value = serde_json::from_str(&helper.get("/sd").text()).expect("JSON");
    assert_eq!(sd.as_array().unwrap().len(), 3);
    assert_eq!(
        sd[1]["labels"],
        json!({"uuid": "u2", "instance_name": "i2", "replicaset": "storage_1", "tier": "storage"})
    );
    assert_eq!(sd[1]["targets"][0], format!("127.0.0.1:{}", stands[1].port));
    let probed = helper.get(&format!("/probe?target=127.0.0.1:{}", stands[1].port));
    let probed = samples(&probed.text());
    assert!(probed.contains_key(&up("i2", "storage_1", "storage")) && !probed.keys().any(|s| s.contains("i1")));
    assert_eq!(samples(&helper.get(&format!("/probe?target=127.0.0.1:{fourth}")).text())["picodata_up"], 1.0);
    let first = samples(&helper.get(&format!("/probe?target=127.0.0.1:{}", stands[0].port)).text());
    assert!(first.contains_key(&up("i1", "default_0", "default")) && !first.keys().any(|s| s.contains("i2")));
    assert_eq!((helper.get("/probe?target=127.0.0.1:1").status, helper.get("/probe").status), (403, 400));
    // One login each.
    let logins = stands[1].asked().iter().filter(|a| matches!(a, Asked::Auth(..))).count();
    assert_eq!(logins, 1);
    // One is expelled, its name is used again by another, and a third goes without a word.
    world.put(2, "i2", "u2", stands[1].port, "Expelled");
    world.put(4, "i2", "u4", stands[3].port, "Online");
    world.gone(3);
    wait("it is followed", Duration::from_secs(60), || {
        let page = helper.scrape();
        let ups: Vec<_> = page.iter().filter(|(s, _)| s.starts_with("picodata_up{")).collect();
        ups.len() == 2 && page.get(&up("i2", "storage_2", "storage")) == Some(&1.0)
    });
}

#[test]
fn one_that_hangs_holds_up_nobody_and_shows() {
    let world = World::default();
    let stands: Vec<Stand> = (1..=3).map(|n| world.instance(&format!("u{n}"), PAGE)).collect();
    for (n, stand) in (1..=3).zip(&stands) {
        world.put(n, &format!("i{n}"), &format!("u{n}"), stand.port, "Online");
    }
    let helper = discovering(&stands[0], &[]);
    let hung = up("i2", "storage_1", "storage");
    helper.until("all are well", LIMIT, |p| p.get(&hung) == Some(&1.0));
    stands[1].becomes(|_, _| Reply::Silence(Duration::from_secs(600)));
    helper.until("it shows", LIMIT, |p| p[&hung] == 0.0 && p[&up("i1", "default_0", "default")] == 1.0);
    // From now on it costs a moment, and what it said before is not shown.
    let began = Instant::now();
    for _ in 0..10 {
        let page = helper.scrape();
        assert_eq!((page[&hung], page[&up("i3", "default_1", "default")]), (0.0, 1.0));
        assert!(!page.keys().any(|s| s.starts_with("n_total") && s.contains("i2")));
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // The one that was named is gone: the others are still asked.
    stands[1].becomes(world.script(PAGE.into()));
    stands[0].becomes(|_, _| Reply::Silence(Duration::from_millis(1)));
    helper.until("the second is back, the first is down", LIMIT, |p| {
        p.get(&hung) == Some(&1.0) && p.get(&up("i1", "default_0", "default")) == Some(&0.0)
    });
}

#[test]
fn two_hundred_instances_fit() {
    const COUNT: u64 = 200;
    let world = World::default();
    let page: String = (0..260).map(|n| format!("# TYPE m{n} gauge\nm{n} {n}\n")).collect();
    let stands: Vec<Stand> = (1..=COUNT).map(|n| world.instance(&format!("u{n}"), &page)).collect();
    for (n, stand) in (1..=COUNT).zip(&stands) {
        world.put(n, &format!("i{n:03}"), &format!("u{n}"), stand.port, "Online");
    }
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let url = format!("statsd://{}", udp.local_addr().expect("an address"));
    let helper = discovering(&stands[0], &["--push", &url, "--push-interval", "1s"]);
    // The first page may come too late for whoever asks: two hundred logins go before it.
    wait("all are well", Duration::from_secs(90), || {
        let answer = helper.get("/metrics");
        let ups = |text: &str| text.lines().filter(|l| l.starts_with("picodata_up{") && l.ends_with(" 1")).count();
        answer.status == 200 && ups(&answer.text()) as u64 == COUNT
    });
    let page = helper.scrape();
    let began = Instant::now();
    let bytes = helper.get("/metrics").body.len();
    let took = began.elapsed();
    println!(
        "{COUNT} instances, {} series, {} KiB: a page in {took:?}, {} threads, {} MiB resident",
        page.len(),
        bytes >> 10,
        helper.figure("Threads"),
        helper.figure("VmRSS") >> 10
    );
    assert!(helper.figure("Threads") <= COUNT + 32);
    helper.until("pushed", LIMIT, |p| p.iter().any(|(s, v)| s.starts_with("gostech_metrics_push_total") && *v >= 1.0));
    // The page fits the memory that the unit gives.
    assert!(helper.figure("VmHWM") < 256 << 10, "{} KiB", helper.figure("VmHWM"));
}
