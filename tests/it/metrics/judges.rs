//! Those who read the page: promtool, a strict OpenMetrics parser, Prometheus itself.

use super::helper::{ask, free_port, get, peer, samples, wait, Helper, Scratch};
use super::stand::{picodata, recorded_page, Stand};
use gostech::iproto::auth::Method::ChapSha1;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const OPEN: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";

fn serving(page: &str) -> (Stand, Helper) {
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(Some(recorded_page(page))));
    let port = stand.port.to_string();
    let helper = Helper::start_with(&["--port", &port, "--min-interval", "0"], &[("GOSTECH_METRICS_PASSWORD", "x")]);
    helper.until("up", LIMIT, |p| p["picodata_up"] == 1.0);
    (stand, helper)
}

#[test]
fn promtool_finds_nothing() {
    let Some(promtool) = peer("promtool") else { return };
    for page in ["metrics-http.txt", "metrics-http-cluster-i1.txt"] {
        let (_stand, helper) = serving(page);
        let text = helper.get("/metrics").text();
        let mut tool = Command::new(&promtool)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool");
        tool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let said = tool.wait_with_output().unwrap();
        assert!(said.status.code().is_some_and(|c| c == 0), "{}", String::from_utf8_lossy(&said.stderr));
    }
}

#[test]
fn the_formats_are_negotiated_and_packed() {
    let (_stand, helper) = serving("metrics-http.txt");
    let plain = helper.get("/metrics");
    assert_eq!(plain.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let open = get(helper.port, "/metrics", &[("Accept", OPEN)]).unwrap();
    assert_eq!(open.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let zipped = get(helper.port, "/metrics", &[("Accept-Encoding", "gzip")]).unwrap();
    assert_eq!(zipped.headers["content-encoding"], "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&zipped.body[..]).read_to_string(&mut text).expect("gzip");
    assert_eq!(samples(&text).len(), samples(&plain.text()).len());
    assert!(zipped.body.len() * 5 < text.len());
    let head = ask(helper.port, "HEAD", "/metrics", &[]).unwrap();
    assert!(head.status == 200 && head.body.is_empty());
    assert_eq!(ask(helper.port, "POST", "/metrics", &[]).unwrap().status, 405);
    assert_eq!(helper.get("/else").status, 404);
    let some = samples(&helper.get("/metrics?name[]=pico_raft&name[]=picodata_up").text());
    assert!(some.len() == 6 && some.keys().all(|k| k.starts_with("pico_raft_") || k == "picodata_up"), "{some:?}");
    assert!(helper.get("/").text().contains("<h1>gostech-metrics</h1>"));
}

#[test]
fn openmetrics_passes_a_strict_check_of_our_own() {
    for page in ["metrics-http.txt", "metrics-http-cluster-i1.txt"] {
        let (_stand, helper) = serving(page);
        let text = get(helper.port, "/metrics", &[("Accept", OPEN)]).unwrap().text();
        check_openmetrics(&text);
        let values =
            |text: &str| samples(text).into_iter().filter(|(k, _)| !k.starts_with("gostech_")).collect::<Vec<_>>();
        let plain = values(&recorded_page(page));
        let open = samples(&text);
        for (series, value) in plain {
            // The canonical number in `le` has a point.
            let canonical = ["1", "5", "10"]
                .iter()
                .fold(series, |s, n| s.replace(&format!("le=\"{n}\""), &format!("le=\"{n}.0\"")));
            assert_eq!(open.get(&canonical), Some(&value), "{canonical}");
        }
    }
}

/// The rules of OpenMetrics 1.0 that its pages break most often.
fn check_openmetrics(text: &str) {
    assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1);
    let mut families = BTreeSet::new();
    let (mut family, mut kind) = (String::new(), String::new());
    for line in text.trim_end_matches("# EOF\n").lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "TYPE", name, of] => {
                assert!(families.insert(name.to_string()), "a second block of {name}");
                (family, kind) = (name.to_string(), of.to_string());
                assert!(["counter", "gauge", "histogram", "summary", "unknown"].contains(&of), "{line}");
            }
            ["#", "HELP", name, help] => assert!(name == family && !help.contains('"'), "{line}"),
            _ => {
                let name = line.split(['{', ' ']).next().unwrap_or_default();
                let suffix = name.strip_prefix(&family).unwrap_or_else(|| panic!("{line} is not of {family}"));
                let fits: &[&str] = match kind.as_str() {
                    "counter" => &["_total"],
                    "histogram" => &["_bucket", "_sum", "_count"],
                    _ => &[""],
                };
                assert!(fits.contains(&suffix), "{line} in a {kind}");
                assert!(line.split(' ').count() >= 2 && !line.ends_with(' '), "{line}");
                let le = line.split("{le=\"").nth(1).or_else(|| line.split(",le=\"").nth(1));
                if let Some(le) = le.and_then(|l| l.split('"').next()) {
                    assert!(le == "+Inf" || le.contains('.'), "{line}");
                }
            }
        }
    }
    assert!(families.len() > 100);
}

#[test]
fn openmetrics_passes_the_parser_of_the_python_client() {
    let Some(check) = peer("openmetrics-check") else { return };
    let (_stand, helper) = serving("metrics-http-cluster-i1.txt");
    let text = get(helper.port, "/metrics", &[("Accept", OPEN)]).unwrap().text();
    let judge = |page: &str| {
        let mut child = Command::new(&check)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the judge runs");
        child.stdin.take().expect("its input").write_all(page.as_bytes()).expect("it reads");
        let said = child.wait_with_output().expect("it ends");
        let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (said.status.success(), words(&said.stdout), words(&said.stderr))
    };
    let (clean, count, why) = judge(&text);
    assert!(clean && count.ends_with(&format!(", {} samples\n", samples(&text).len())), "{count}{why}");
    // A judge that takes everything is none.
    let (clean, _, why) = judge(&text.replace("# EOF\n", ""));
    assert!(!clean && why.contains("not OpenMetrics"), "{why}");
}

/// A relay that takes one header away: Prometheus of Debian cannot be told which format to ask for.
fn without_accept(to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut visitor in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && visitor.read(&mut byte).is_ok_and(|n| n == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head);
            let kept = head.lines().filter(|l| {
                let l = l.to_lowercase();
                !l.starts_with("accept") && !l.starts_with("connection") && !l.is_empty()
            });
            let head: String = kept.map(|l| format!("{l}\r\n")).collect();
            let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let _ = server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes());
            let _ = std::io::copy(&mut server, &mut visitor);
        }
    });
    port
}

struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn prometheus_scrapes_both_formats_and_answers() {
    let Some(prometheus) = peer("prometheus") else { return };
    let (_stand, helper) = serving("metrics-http.txt");
    let scratch = Scratch::new("prometheus");
    let (port, relay) = (free_port(), without_accept(helper.port));
    // The documented section, with a shorter interval and a second job for the other format.
    let job = |name: &str, port: u16| {
        format!(
            "  - job_name: '{name}'\n    scrape_interval: 1s\n    scrape_timeout: 1s\n    metrics_path: /metrics\n    \
             static_configs:\n      - targets: ['localhost:{port}']\n"
        )
    };
    let config = format!("scrape_configs:\n{}{}", job("picodata", helper.port), job("plain", relay));
    let config = scratch.file("prometheus.yml", &config);
    let log = std::fs::File::create(scratch.0.join("log")).unwrap();
    let child = Command::new(prometheus)
        .arg(format!("--config.file={config}"))
        .arg(format!("--storage.tsdb.path={}", scratch.0.join("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("prometheus");
    let _prometheus = Prometheus(child);
    let query =
        |query: &str| get(port, &format!("/api/v1/query?query={query}"), &[]).map(|a| a.text()).unwrap_or_default();
    for job in ["picodata", "plain"] {
        for (family, value) in
            [("up", "1"), ("picodata_up", "1"), ("pico_raft_term", "2"), ("pico_cas_ops_duration_count", "8")]
        {
            let asked = format!("{family}%7Bjob=%22{job}%22%7D");
            wait(&format!("{family} of {job}"), LIMIT, || query(&asked).contains(&format!(",\"{value}\"]")));
        }
        let all =
            query(&format!("count(%7Bjob=%22{job}%22,__name__!~%22gostech.*%7Cup%7Cscrape.*%7Cpicodata_up%22%7D)"));
        let want = samples(&recorded_page("metrics-http.txt")).len();
        assert!(all.contains(&format!(",\"{want}\"]")), "{want} series, but {all}");
    }
    let targets = get(port, "/api/v1/targets", &[]).unwrap().text();
    assert!(!targets.contains("\"health\":\"down\""), "{targets}");
}
