//! Numbers that are pushed, and what the real receivers made of them.

use super::helper::{free_port, get, peer, samples, wait, Helper, Samples, Scratch};
use super::stand::{picodata, recorded_page, Stand};
use gostech::iproto::auth::Method::ChapSha1;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub const LIMIT: Duration = Duration::from_secs(30);

pub fn pushing(stand: &Stand, interval: &str, more: &[&str]) -> Helper {
    let port = stand.port.to_string();
    let args = ["--port", &port, "--push-interval", interval, "--min-interval", "0", "--timeout", "2s"];
    Helper::start_with(&[&args[..], more].concat(), &[("GOSTECH_METRICS_PASSWORD", "T0psecret")])
}

pub fn database(page: &str) -> Stand {
    Stand::start(&[("pico_service", ChapSha1, "T0psecret")], picodata(Some(page.into())))
}

/// Finite numbers of the database's own page: what changes from push to push is left out.
pub fn steady(page: &Samples) -> impl Iterator<Item = (&String, f64)> {
    page.iter().filter(|(s, v)| !s.starts_with("gostech_") && v.is_finite()).map(|(s, v)| (s, *v))
}

/// A server that ends with its owner, without a word of goodbye.
pub struct Server(Child);

impl Server {
    pub fn start(mut command: Command) -> Server {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Server(command.spawn().expect("a server"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An influxd of the test's own, with a database `p`.
struct Influx {
    _process: Server,
    port: u16,
    dir: Scratch,
}

impl Influx {
    fn start(dir: Scratch, port: u16) -> Option<Influx> {
        let program = peer("influxd")?;
        let at = dir.0.display();
        let (rpc, udp) = (free_port(), port);
        let config = format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc}\"\n[meta]\ndir = \"{at}/meta\"\n[data]\ndir = \
             \"{at}/data\"\nwal-dir = \"{at}/wal\"\n[http]\nbind-address = \"127.0.0.1:{port}\"\n[[udp]]\nenabled = \
             true\nbind-address = \"127.0.0.1:{udp}\"\ndatabase = \"u\"\nbatch-timeout = \"50ms\"\n"
        );
        let config = dir.file("influx.conf", &config);
        let mut command = Command::new(program);
        command.args(["-config", &config]);
        let influx = Influx { _process: Server::start(command), port, dir };
        wait("influxd answers", LIMIT, || get(port, "/ping", &[]).is_some_and(|a| a.status == 204));
        influx.query("", "CREATE DATABASE p");
        influx.query("", "CREATE DATABASE u");
        Some(influx)
    }

    fn query(&self, db: &str, text: &str) -> serde_json::Value {
        let encoded: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).expect("influxd");
        let head = "HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        write!(socket, "POST /query?db={db}&q={encoded} {head}").expect("a request");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        let body = answer.find('{').zip(answer.rfind('}')).expect("JSON");
        serde_json::from_str(&answer[body.0..=body.1]).expect("JSON")
    }

    /// The last value of each series, named as on a page.
    fn last(&self, db: &str) -> BTreeMap<String, f64> {
        let all = self.query(db, "SELECT last(value) FROM /.*/ GROUP BY *");
        let series = all["results"][0]["series"].as_array().cloned().unwrap_or_default();
        let named = series.iter().map(|s| {
            // A series of another measurement has empty tags by the names of this one's.
            let tags = s["tags"].as_object().into_iter().flatten().filter(|(_, v)| *v != "");
            let labels: Vec<String> = tags.map(|(k, v)| format!("{k}=\"{}\"", v.as_str().unwrap())).collect();
            let name = s["name"].as_str().unwrap();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            (format!("{name}{labels}"), s["values"][0][1].as_f64().unwrap())
        });
        named.collect()
    }
}

#[test]
fn influx_has_every_number_of_the_page_and_those_of_an_outage_with_their_times() {
    let dir = Scratch::new("influx");
    let port = free_port();
    let Some(influx) = Influx::start(dir, port) else { return };
    let stand = database(&recorded_page("metrics-http-cluster-i1.txt"));
    let (http, udp) = (format!("influx+http://127.0.0.1:{port}/?db=p"), format!("influx+udp://127.0.0.1:{port}"));
    let helper = pushing(&stand, "500ms", &["--push", &http, "--push", &udp]);
    let pushes = format!("gostech_metrics_push_total{{outlet=\"influx+http://127.0.0.1:{port}/?…\"}}");
    let page = helper.until("pushed", LIMIT, |p| p.get(&pushes).is_some_and(|n| *n >= 2.0));
    for db in ["p", "u"] {
        wait("influxd has it", LIMIT, || influx.last(db).len() >= steady(&page).count());
        let got = influx.last(db);
        for (series, value) in steady(&page) {
            assert_eq!(got.get(series), Some(&value), "{db}: {series}");
        }
    }
    // Away for some pushes, and back.
    let Influx { _process, dir, .. } = influx;
    drop(_process);
    let waiting = format!("gostech_metrics_push_waiting{{outlet=\"influx+http://127.0.0.1:{port}/?…\"}}");
    helper.until("pages wait", LIMIT, |p| p[&waiting] >= 4.0);
    helper.tells("push influx+http://127.0.0.1");
    // A reload that changes nothing there takes nothing away.
    helper.signal("HUP");
    wait("it has read its configuration again", LIMIT, || helper.log().contains("the configuration was read again"));
    assert!(helper.scrape()[&waiting] >= 4.0, "{}", helper.log());
    let influx = Influx::start(dir, port).expect("it was here");
    helper.until("none waits", LIMIT, |p| p[&waiting] <= 1.0 && p[&pushes] >= 8.0);
    let times = influx.query("p", "SELECT value FROM picodata_up");
    let rows = times["results"][0]["series"][0]["values"].as_array().cloned().unwrap_or_default();
    let taken = helper.scrape()[&pushes];
    // Each page has its own time: none is lost in the outage, none overwrites another.
    assert!(rows.len() as f64 >= taken - 1.0 && rows.len() >= 8, "{} of {taken}", rows.len());
}

#[test]
fn carbon_has_every_number_under_the_name_of_its_labels() {
    // `whisper-fetch` comes with it.
    let Some(carbon) = peer("carbon-cache") else { return };
    let dir = Scratch::new("carbon");
    let (lines, pickle, query) = (free_port(), free_port(), free_port());
    let at = dir.0.display();
    let config = dir.file(
        "carbon.conf",
        &format!(
            "[cache]\nSTORAGE_DIR = {at}\nLOCAL_DATA_DIR = {at}/whisper\nCONF_DIR = {at}\nLOG_DIR = {at}\nPID_DIR = \
             {at}\nLINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = {lines}\nENABLE_UDP_LISTENER = \
             True\nUDP_RECEIVER_INTERFACE = 127.0.0.1\nUDP_RECEIVER_PORT = {lines}\nPICKLE_RECEIVER_INTERFACE = \
             127.0.0.1\nPICKLE_RECEIVER_PORT = {pickle}\nCACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = \
             {query}\nMAX_CREATES_PER_MINUTE = inf\nMAX_UPDATES_PER_SECOND = inf\nENABLE_TAGS = \
             False\nMAX_CACHE_SIZE = inf\n"
        ),
    );
    dir.file("storage-schemas.conf", "[all]\npattern = .*\nretentions = 1s:1h\n");
    dir.file("storage-aggregation.conf", "");
    let mut command = Command::new(carbon);
    command.args([&format!("--config={config}"), "--nodaemon", "start"]);
    let _carbon = Server::start(command);
    wait("carbon listens", LIMIT, || TcpStream::connect(("127.0.0.1", lines)).is_ok());
    let stand = database(&recorded_page("metrics-http-cluster-i1.txt"));
    let tcp = format!("graphite://127.0.0.1:{lines}");
    let udp = format!("graphite+udp://127.0.0.1:{lines}");
    let helper =
        pushing(&stand, "500ms", &["--push", &tcp, "--push-prefix", "t.", "--push", &udp, "--push-prefix", "u."]);
    let pushes = format!("gostech_metrics_push_total{{outlet=\"{tcp}/\"}}");
    let page = helper.until("pushed", LIMIT, |p| p.get(&pushes).is_some_and(|n| *n >= 2.0));
    for prefix in ["t", "u"] {
        for (series, value) in steady(&page) {
            let file = dir.0.join("whisper").join(prefix).join(format!("{}.wsp", path_of(series)));
            let stored = || {
                let from = "--from=0";
                let out = Command::new("whisper-fetch")
                    .args([from, "--drop=nulls"])
                    .arg(&file)
                    .output()
                    .expect("whisper-fetch");
                let text = String::from_utf8_lossy(&out.stdout).into_owned();
                text.lines().last().and_then(|l| l.split_whitespace().nth(1)?.parse::<f64>().ok())
            };
            wait(&format!("{} is stored", file.display()), LIMIT, || file.exists());
            // One program a number is slow: some of them are read back, all are there.
            if series.len() % 7 == 0 {
                wait(&format!("{series} is {value}"), LIMIT, || {
                    stored().is_some_and(|v| (v - value).abs() <= value.abs() * 1e-9)
                });
            }
        }
    }
}

/// The path of a series, told once more here.
pub fn path_of(series: &str) -> String {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let mut path = name.to_string();
    let mut pairs: Vec<&str> = labels.trim_end_matches('}').split("\",").filter(|l| !l.is_empty()).collect();
    // The edge of a bucket is always last.
    pairs.sort_by_key(|pair| pair.starts_with("le="));
    for pair in pairs {
        let (label, value) = pair.trim_end_matches('"').split_once("=\"").expect("a label");
        let plain: String =
            value.chars().map(|c| if c.is_alphanumeric() || "_-".contains(c) { c } else { '_' }).collect();
        let plain = if plain.is_empty() { "_".into() } else { plain };
        path = format!("{path}/{label}/{plain}");
    }
    path
}

#[test]
fn increments_are_right_to_the_unit_through_resets_and_a_database_that_was_away() {
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    udp.set_read_timeout(Some(Duration::from_millis(200))).expect("a time-out");
    let port = udp.local_addr().expect("an address").port();
    let page = |n: u64| format!("# TYPE n_total counter\nn_total{{who=\"a\"}} {n}\n# TYPE g gauge\ng -3\n");
    let stand = database(&page(1000));
    let helper = pushing(&stand, "100ms", &["--push", &format!("statsd://127.0.0.1:{port}")]);
    // Nothing of the thousand that was there before.
    let (mut total, mut gauge) = (0.0, f64::NAN);
    let mut gather = |until: f64| {
        let mut bytes = [0; 2000];
        wait(&format!("{until} came"), LIMIT, || {
            while let Ok(n) = udp.recv(&mut bytes) {
                for line in String::from_utf8_lossy(&bytes[..n]).lines() {
                    let (name, rest) = line.split_once(':').expect("a line of statsd");
                    match (name, rest.split_once('|').expect("a kind")) {
                        ("n_total.who.a", (value, "c")) => total += value.parse::<f64>().expect("a number"),
                        ("g", (value, "g")) => gauge = value.parse::<f64>().expect("a number"),
                        _ => {}
                    }
                }
                if total >= until && !gauge.is_nan() {
                    break;
                }
            }
            total >= until && !gauge.is_nan()
        });
        assert_eq!((total, gauge), (until, -3.0));
    };
    gather(0.0);
    stand.becomes(picodata(Some(page(1007))));
    gather(7.0);
    // The counter begins anew, as after a restart.
    stand.becomes(picodata(Some(page(5))));
    gather(12.0);
    // Away, and what came meanwhile is counted.
    stand.becomes(|_, _| super::stand::Reply::Silence(Duration::from_millis(10)));
    helper.until("down", LIMIT, |p| p["picodata_up"] == 0.0);
    stand.becomes(picodata(Some(page(25))));
    gather(32.0);
}

/// A series of a JSON answer, named as on a page, without the labels of the way.
fn series_of(metric: &serde_json::Value) -> String {
    let labels = metric.as_object().expect("labels");
    let own = labels.iter().filter(|(name, v)| !matches!(name.as_str(), "__name__" | "job") && *v != "i1");
    let own: Vec<String> = own.map(|(name, value)| format!("{name}=\"{}\"", value.as_str().unwrap())).collect();
    let name = metric["__name__"].as_str().unwrap();
    if own.is_empty() {
        name.to_string()
    } else {
        format!("{name}{{{}}}", own.join(","))
    }
}

#[test]
fn prometheus_takes_remote_write_and_what_is_gone_is_stale_at_once() {
    let Some(prometheus) = peer("prometheus") else { return };
    let (dir, port) = (Scratch::new("remote-write"), free_port());
    let config = dir.file("prometheus.yml", "global: {}\n");
    let mut command = Command::new(prometheus);
    command.arg(format!("--config.file={config}")).arg("--web.enable-remote-write-receiver");
    command.arg(format!("--storage.tsdb.path={}", dir.0.join("tsdb").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _prometheus = Server::start(command);
    wait("prometheus answers", LIMIT, || get(port, "/-/ready", &[]).is_some_and(|a| a.status == 200));
    let stand = database(&recorded_page("metrics-http-cluster-i1.txt"));
    let url = format!("prometheus+http://127.0.0.1:{port}/?job=pico&instance=i1");
    let helper = pushing(&stand, "500ms", &["--push", &url]);
    let stored = || {
        let text = get(port, "/api/v1/query?query=%7Bjob=%22pico%22%7D", &[]).unwrap().text();
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let all = json["data"]["result"].as_array().cloned().unwrap_or_default();
        let read = |v: &serde_json::Value| v["value"][1].as_str().unwrap().parse::<f64>().unwrap();
        all.iter().map(|v| (series_of(&v["metric"]), read(v))).collect::<BTreeMap<_, _>>()
    };
    let page = helper.until("pushed", LIMIT, |p| p["picodata_up"] == 1.0);
    wait("prometheus has it", LIMIT, || stored().len() > steady(&page).count());
    let got = stored();
    for (series, value) in steady(&page) {
        assert_eq!(got.get(series), Some(&value), "{series}");
    }
    // Not after five minutes, as with series that just stay away.
    stand.becomes(|_, _| super::stand::Reply::Silence(Duration::from_millis(10)));
    wait("its series end", LIMIT, || {
        let left = stored();
        left.get("picodata_up") == Some(&0.0) && !left.keys().any(|s| s.starts_with("tnt_") || s.starts_with("pico_"))
    });
}

#[test]
fn victoria_metrics_and_the_pushgateway_have_every_number() {
    let (Some(victoria), Some(gateway)) = (peer("victoria-metrics"), peer("prometheus-pushgateway")) else { return };
    let (dir, v, g) = (Scratch::new("victoria"), free_port(), free_port());
    let mut command = Command::new(victoria);
    command.arg(format!("-storageDataPath={}", dir.0.display())).arg(format!("-httpListenAddr=127.0.0.1:{v}"));
    let _victoria = Server::start(command);
    let mut command = Command::new(gateway);
    command.arg(format!("--web.listen-address=127.0.0.1:{g}"));
    let _gateway = Server::start(command);
    wait("both answer", LIMIT, || {
        [(v, "/health"), (g, "/-/ready")].iter().all(|(p, path)| get(*p, path, &[]).is_some_and(|a| a.status == 200))
    });
    let stand = database(&recorded_page("metrics-http-cluster-i1.txt"));
    let urls = [format!("victoria+http://127.0.0.1:{v}"), format!("pushgateway+http://127.0.0.1:{g}/metrics/job/pico")];
    let helper = pushing(&stand, "500ms", &["--push", &urls[0], "--push", &urls[1]]);
    let page = helper.until("pushed", LIMIT, |p| {
        let of = |url: &str| p.get(&format!("gostech_metrics_push_total{{outlet=\"{url}\"}}")).copied().unwrap_or(0.0);
        of(&format!("{}/", urls[0])) >= 2.0 && of(&urls[1]) >= 2.0
    });
    let stored = || {
        get(v, "/internal/force_flush", &[]);
        let text = get(v, "/api/v1/export?match%5B%5D=%7B__name__!=%22%22%7D", &[]).expect("an export").text();
        let lines = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).expect("JSON"));
        let last = |l: &serde_json::Value| l["values"].as_array().unwrap().last().unwrap().as_f64();
        lines.map(|l| (series_of(&l["metric"]), last(&l))).collect::<BTreeMap<String, Option<f64>>>()
    };
    wait("victoria-metrics has it", LIMIT, || stored().len() > steady(&page).count());
    let got = stored();
    for (series, value) in steady(&page) {
        // It keeps some fifteen digits.
        let close = |v: f64| (v - value).abs() <= value.abs() * 1e-12;
        assert!(got.get(series).copied().flatten().is_some_and(close), "{series}: {value}, {:?}", got.get(series));
    }
    let text = get(g, "/metrics", &[]).expect("its page").text();
    // The group's labels come on top, and an empty instance.
    let bare = |series: &str| {
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.trim_end_matches('}').split("\",").map(|l| l.trim_end_matches('"'));
        let own: Vec<String> = labels
            .filter(|l| !l.is_empty() && !l.starts_with("job=") && *l != "instance=")
            .map(|l| format!("{l}\""))
            .collect();
        if own.is_empty() {
            name.to_string()
        } else {
            format!("{name}{{{}}}", own.join(","))
        }
    };
    let got: BTreeMap<String, f64> = samples(&text).into_iter().map(|(s, v)| (bare(&s), v)).collect();
    for (series, value) in steady(&page) {
        assert_eq!(got.get(series), Some(&value), "{series}");
    }
}

#[test]
fn victoria_metrics_has_every_number_by_otlp() {
    let Some(victoria) = peer("victoria-metrics-otlp") else { return };
    let (dir, port) = (Scratch::new("otlp"), free_port());
    let mut command = Command::new(victoria);
    command.arg(format!("-storageDataPath={}", dir.0.display())).arg(format!("-httpListenAddr=127.0.0.1:{port}"));
    let _victoria = Server::start(command);
    wait("it answers", LIMIT, || get(port, "/health", &[]).is_some_and(|a| a.status == 200));
    let summary = "# TYPE s summary\ns{quantile=\"0.5\",a=\"b\"} 1.5\ns_sum{a=\"b\"} 4.5\ns_count{a=\"b\"} 3\n";
    let stand = database(&(recorded_page("metrics-http-cluster-i1.txt") + summary));
    let url = format!("otlp+http://127.0.0.1:{port}/opentelemetry/v1/metrics");
    let helper = pushing(&stand, "500ms", &["--push", &url]);
    let pushes = format!("gostech_metrics_push_total{{outlet=\"{url}\"}}");
    let page = helper.until("pushed", LIMIT, |p| p.get(&pushes).is_some_and(|n| *n >= 2.0));
    // The edges of buckets are numbers there: told apart by what they are, not by how they are written.
    let plain = |series: &str| {
        let Some((head, le)) = series.split_once("le=\"") else { return series.to_string() };
        let (le, rest) = le.split_once('"').expect("an edge");
        format!("{head}le={:?}{rest}", le.parse::<f64>().expect("a number"))
    };
    let stored = || {
        get(port, "/internal/force_flush", &[]);
        let text = get(port, "/api/v1/export?match%5B%5D=%7B__name__!=%22%22%7D", &[]).expect("an export").text();
        let lines = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).expect("JSON"));
        let last = |l: &serde_json::Value| l["values"].as_array().unwrap().last().unwrap().as_f64();
        let named = |l: &serde_json::Value| {
            let mut metric = l["metric"].clone();
            for of_the_way in ["service.name", "scope.name", "scope.version"] {
                metric.as_object_mut().expect("labels").remove(of_the_way);
            }
            plain(&series_of(&metric))
        };
        lines.map(|l| (named(&l), last(&l))).collect::<BTreeMap<String, Option<f64>>>()
    };
    wait("victoria-metrics has it", LIMIT, || stored().len() >= steady(&page).count());
    let got = stored();
    for (series, value) in steady(&page) {
        let close = |v: f64| (v - value).abs() <= value.abs() * 1e-12;
        let at = got.get(&plain(series));
        assert!(
            at.copied().flatten().is_some_and(close),
            "{series}: {value}, {at:?}\n{:?}",
            got.keys().collect::<Vec<_>>()
        );
    }
}
