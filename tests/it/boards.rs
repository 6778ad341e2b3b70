//! The dashboards of `packaging/grafana`: they are what their script writes, and every expression and variable of them is asked
//! of a real Prometheus, VictoriaMetrics or InfluxDB that has the pages of both programs under load.
//!
//! A panel says in its description what its families need; each grade of `--source` is asked, and brings exactly what it says.
//! Refuses: to judge how Grafana draws.

use crate::alerts;
use crate::harness::watch::{self, Watcher};
use crate::harness::{free_port, peer, tls::Certs, wait, Den, Picodata, Receiver, Setup};
use crate::metrics::helper::Helper;
use crate::metrics::stand::{data, picodata, Asked, Reply, Stand};
use gostech::iproto::auth::Method::ChapSha1;
use serde_json::{json, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const BOARDS: [&str; 4] = ["picodata-cluster", "picodata-audit", "gostech-helpers", "picodata-influxql"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn grafana(name: &str) -> PathBuf {
    root().join("packaging/grafana").join(name)
}

fn board(name: &str) -> Value {
    let text = std::fs::read_to_string(grafana(&format!("{name}.json"))).unwrap_or_else(|e| panic!("{name}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The panels of a dashboard that ask for something.
fn panels(board: &Value) -> Vec<&Value> {
    list(&board["panels"]).iter().filter(|p| p["type"] != "row").collect()
}

/// What a dashboard asks for, in its order.
fn queries(board: &Value) -> Vec<String> {
    let targets = panels(board).into_iter().flat_map(|p| list(&p["targets"]));
    targets.map(|t| words(if t["expr"].is_null() { &t["query"] } else { &t["expr"] }).to_owned()).collect()
}

#[test]
fn the_dashboards_are_what_their_script_writes() {
    if peer("python3").is_none() {
        return;
    }
    let den = Den::new("boards");
    let out = Command::new(grafana("make")).arg(den.path()).output().expect("the script runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    for name in BOARDS.iter().flat_map(|b| [format!("{b}.json"), format!("{b}.ru.json")]) {
        let made = std::fs::read(den.path().join(&name)).expect("it was written");
        assert!(made == std::fs::read(grafana(&name)).unwrap_or_default(), "{name}: run packaging/grafana/make");
    }
}

#[test]
fn grafana_can_lay_them_out_and_both_languages_ask_the_same() {
    let mut uids = BTreeSet::new();
    for name in BOARDS {
        let (english, russian) = (board(name), board(&format!("{name}.ru")));
        assert_eq!(queries(&english), queries(&russian), "{name}");
        for board in [&english, &russian] {
            assert!(uids.insert(words(&board["uid"]).to_owned()) && words(&board["uid"]).len() <= 40, "{name}");
            assert!(board["schemaVersion"].as_u64().is_some_and(|v| v >= 36), "{name}");
            let variables = list(&board["templating"]["list"]);
            assert!(variables[0]["type"] == "datasource" && variables[0]["name"] == "datasource", "{name}");
            let ids: BTreeSet<u64> = list(&board["panels"]).iter().filter_map(|p| p["id"].as_u64()).collect();
            assert_eq!(ids.len(), list(&board["panels"]).len(), "{name}");
            no_overlap(name, board);
        }
        let cyrillic = |c: char| ('а'..='я').contains(&c);
        let untranslated = panels(&russian).into_iter().filter(|p| !words(&p["description"]).contains(cyrillic));
        assert_eq!(untranslated.count(), 0, "{name}");
    }
}

/// No two panels lie on each other, and none beyond the 24 columns.
fn no_overlap(name: &str, board: &Value) {
    let mut taken = BTreeSet::new();
    for panel in list(&board["panels"]) {
        let at = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
        assert!(at("x") + at("w") <= 24, "{name}: {}", panel["title"]);
        for (x, y) in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
            assert!(taken.insert((x, y)), "{name}: {} lies on another one", panel["title"]);
        }
    }
}

/// The page with every counter further at each look, now more and now less.
fn lively(page: &str, n: u64) -> String {
    let counts =
        |name: &str| ["_total", "_count", "_bucket"].iter().any(|s| name.ends_with(s)) || name.starts_with("tnt_cpu_");
    let line = |line: &str| -> Option<String> {
        let (series, value) = line.rsplit_once(' ').filter(|_| !line.starts_with('#'))?;
        let name = series.split('{').next()?;
        let value: f64 = value.parse().ok()?;
        let more = if counts(name) {
            n as f64
        } else if name.ends_with("_sum") {
            n as f64 / 300.0
        } else {
            return None;
        };
        Some(format!("{series} {}", value + more))
    };
    page.lines().map(|l| line(l).unwrap_or_else(|| l.to_owned()) + "\n").collect()
}

/// A database whose built-in page is this one, and moves.
fn moving(page: &str) -> Stand {
    let (page, rest, looks) = (recorded(page), picodata(Some(String::new())), AtomicU64::new(0));
    Stand::start(&[("pico_service", ChapSha1, "x")], move |user, asked| -> Reply {
        match asked {
            Asked::Eval(_) => {
                let n = looks.fetch_add(1, Ordering::Relaxed);
                data(json!([{"page": lively(&page, n), "via": "route"}]))
            }
            other => rest(user, other),
        }
    })
}

fn recorded(page: &str) -> String {
    let path = root().join("tests/data").join(page);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// gostech-metrics before a database, with what else it shall do.
fn watched(stand: &Stand, user: &str, more: &[&str]) -> Helper {
    let port = stand.port.to_string();
    let args = ["--port", &port, "--username", user, "--min-interval", "0"];
    let helper = Helper::start_with(&[&args[..], more].concat(), &[("GOSTECH_METRICS_PASSWORD", "x")]);
    helper.until("it is up", LIMIT, |page| page.iter().any(|(s, v)| s.starts_with("picodata_up") && *v == 1.0));
    helper
}

/// Both programs under load, at every grade of the source, and those who have scraped them.
struct World {
    _stands: Vec<Stand>,
    _helpers: Vec<Helper>,
    audit: Picodata,
    _receiver: Receiver,
    watchers: Vec<Watcher>,
    den: Den,
}

/// The grades, and what is there at each of them: the keys of `NEEDS` in packaging/grafana/boards.py, by their first words.
const GRADES: [(&str, &[&str]); 4] = [
    ("least", &["For every user", "Needs --source least.", "Needs --source least, or"]),
    (
        "derived",
        &["For every user", "Needs pico_service", "Needs the rights of --source full or function, and Picodata 26.2"],
    ),
    (
        "recorded-25",
        &[
            "For every user",
            "Needs pico_service",
            "Needs the rights of --source full or function, and Picodata's",
            "Needs the rights of --source full or function, and a replicaset",
        ],
    ),
    (
        "recorded-26",
        &[
            "For every user",
            "Needs pico_service",
            "Needs the rights of --source full or function, and Picodata's",
            "Needs the rights of --source full or function and Picodata's",
        ],
    ),
];

impl World {
    fn start(name: &str) -> Option<World> {
        let (prometheus, victoria) = (peer("prometheus")?, peer("victoria-metrics")?);
        let den = Den::new(name);
        let users = [("pico_service", ChapSha1, "x"), ("mon", ChapSha1, "x")];
        let (still, old) =
            (Stand::start(&users, picodata(None)), moving("picodata-25.5.7/metrics-http-cluster-i1.txt"));
        let new = moving("picodata-26.1.6/metrics-http.txt");
        let outlet = format!("file://{}", den.file("picodata.prom"));
        let helpers = vec![
            watched(&still, "mon", &[]),
            watched(&still, "pico_service", &[]),
            watched(&old, "pico_service", &[]),
            watched(&new, "pico_service", &["--push", &outlet, "--push-interval", "300ms", "--push-deadline", "300ms"]),
        ];
        let (receiver, page) = (Receiver::start(), free_port());
        let [ca, ..] = Certs::new().put(&den, "a");
        let nobody = format!("https://127.0.0.1:{}", free_port());
        let more = [
            "--metrics-addr",
            &format!("127.0.0.1:{page}"),
            "--drain",
            "1s",
            "--url",
            &nobody,
            "--ca-certificate",
            &ca,
        ];
        let audit = Setup::new(&den).url(&receiver.url()).args(&more).picodata();
        let mut jobs: Vec<(&str, u16)> = GRADES.iter().zip(&helpers).map(|((grade, _), h)| (*grade, h.port)).collect();
        jobs.push(("picodata-audit", page));
        let config = scrapes(&jobs);
        let watchers = vec![watch::prometheus(&den, &prometheus, &config), watch::victoria(&den, &victoria, &config)];
        let stands = vec![still, old, new];
        Some(World { _stands: stands, _helpers: helpers, audit, _receiver: receiver, watchers, den })
    }

    /// Every title of the recorded log again and again, until all of them have seen the counters grow.
    fn load(&mut self) {
        let log = recorded("picodata-25.5.7/audit.jsonl");
        let patterns: Vec<Value> = log.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
        let (audit, watchers, mut count) = (&mut self.audit, &self.watchers, 0);
        let grown = |series: &str| {
            let more = |w: &Watcher| w.query(series).is_ok_and(|found| found.iter().any(|(_, v)| *v > 0.0));
            watchers.iter().all(more)
        };
        for series in [
            "rate(gostech_audit_title_total[10s]) > 0",
            "rate(pico_cas_records_total[10s]) > 0",
            "gostech_audit_last_delivery_timestamp_seconds{receiver=\"r1\"}",
        ] {
            wait(series, LIMIT, || {
                for pattern in &patterns {
                    count += 1;
                    let mut event = pattern.clone();
                    event["id"] = format!("1.1.{count}").into();
                    audit.write(&event.to_string()).expect("written");
                }
                std::thread::sleep(Duration::from_millis(300));
                grown(series)
            });
        }
    }
}

fn scrapes(jobs: &[(&str, u16)]) -> String {
    let job = |(name, port): &(&str, u16)| {
        format!("  - job_name: '{name}'\n    static_configs:\n      - targets: ['localhost:{port}']\n")
    };
    let jobs: String = jobs.iter().map(job).collect();
    format!("global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n{jobs}")
}

/// An expression as Grafana would send it.
fn filled(text: &str, job: &str) -> String {
    [("$__rate_interval", "10s"), ("$__range", "1m"), ("$job", job), ("$instance", ".*")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Asks every query of a panel of both; how many series came and a value of them for the table.
fn ask_panel(world: &World, panel: &Value, job: &str, rows: &mut Vec<String>) -> Result<bool, String> {
    let (mut all, mut none) = (true, true);
    for target in list(&panel["targets"]) {
        let text = filled(words(&target["expr"]), job);
        let mut found = Vec::new();
        for watcher in &world.watchers {
            found.push(watcher.query(&text).map_err(|e| format!("{}: {e}: {text}", panel["title"]))?);
        }
        if found[0].is_empty() != found[1].is_empty() {
            return Err(format!(
                "Prometheus has {} series, VictoriaMetrics {}: {text}",
                found[0].len(),
                found[1].len()
            ));
        }
        let value = found[0].iter().map(|(_, v)| *v).find(|v| !v.is_nan());
        rows.push(format!("{}\t{job}\t{}\t{value:?}\t{text}", words(&panel["title"]), found[0].len()));
        let there = value.is_some();
        all &= there;
        none &= !there;
    }
    if all == none {
        Err(format!("{} is there in parts at {job}", panel["title"]))
    } else {
        Ok(all)
    }
}

/// The variables of a dashboard are lists of something.
fn ask_variables(world: &World, board: &Value) {
    for variable in list(&board["templating"]["list"]).iter().filter(|v| v["type"] == "query") {
        let text = filled(words(&variable["definition"]), ".*");
        let inner = text.strip_prefix("label_values(").and_then(|t| t.strip_suffix(')')).expect("label_values");
        let (series, label) = inner.rsplit_once(", ").expect("a label");
        for watcher in &world.watchers {
            let path = format!("/api/v1/label/{label}/values?match%5B%5D={}", watch::encoded(series));
            let answer: Value =
                serde_json::from_str(&watch::get(watcher.port, &path).expect("an answer").1).expect("JSON");
            assert!(!list(&answer["data"]).is_empty(), "{text} lists nothing: {answer}");
        }
    }
}

#[test]
fn every_expression_and_variable_brings_what_its_panel_says() {
    let Some(mut world) = World::start("boards") else { return };
    world.load();
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for name in &BOARDS[..3] {
        let board = board(name);
        ask_variables(&world, &board);
        for panel in panels(&board) {
            let needs = words(&panel["description"]);
            let cluster = *name == "picodata-cluster";
            // What is no matter of the source is asked of all at once.
            let all = [(".*", &[needs][..])];
            for (job, there) in if cluster { &GRADES[..] } else { &all[..] } {
                match ask_panel(&world, panel, job, &mut rows) {
                    Ok(is) if is == there.iter().any(|n| needs.starts_with(n)) => {}
                    Ok(is) => wrong.push(format!("{name}: {} at {job}: data {is}, but: {needs}", panel["title"])),
                    Err(e) => wrong.push(format!("{name}: {e}")),
                }
            }
        }
    }
    let table = root().join("target/tmp/dashboards.tsv");
    let _ = std::fs::create_dir_all(root().join("target/tmp"));
    std::fs::write(&table, rows.join("\n") + "\n").expect("the table");
    eprintln!("{} queries asked, each of Prometheus and VictoriaMetrics: {}", rows.len(), table.display());
    assert!(wrong.is_empty(), "{}\n{wrong:#?}", wrong.len());
    assert!(rows.len() > 300);
    // A judge who finds data everywhere is none.
    assert!(world
        .watchers
        .iter()
        .all(|w| w.query("no_such_family").is_ok_and(|f| f.is_empty()) && w.query("sum(").is_err()));
    picodatas_own_dashboard(&world);
    alerts_on_live_pages(&world);
    sketches(&world);
    if std::env::var_os("GOSTECH_DRAW").is_some_and(|v| v == "1") {
        draw_for_the_readme(&mut world);
    }
    assert_eq!(world.audit.finish(LIMIT), 0, "{}", world.audit.err());
}

/// Each alert is asked of pages that have numbers, where a match that is ambiguous would show; and each of its families is there, but
/// for those whose occasion is not here.
fn alerts_on_live_pages(world: &World) {
    for (name, expression) in alerts::expressions() {
        for watcher in &world.watchers {
            let found = watcher.query(&expression);
            assert!(found.is_ok(), "{name}: {found:?}");
        }
    }
    let absent: Vec<String> = alerts::asked()
        .into_iter()
        .filter(|family| world.watchers[0].query(family).is_ok_and(|found| found.is_empty()))
        .collect();
    let occasions = [
        // Pages of an outlet that was down for longer than its queue is.
        "gostech_metrics_push_dropped_total",
        // With --type file.
        "gostech_audit_source_oldest_unread_seconds",
        "gostech_audit_source_readable",
        // With --seal.
        "gostech_audit_seal_last_checkpoint_timestamp_seconds",
        // With --query-file.
        "gostech_metrics_query_success",
        // A spool beside ours.
        "gostech_audit_stranded_events",
        // Picodata 26.2.
        "tnt_slab_system_arena_used",
        "tnt_slab_system_quota_size",
    ];
    assert!(absent.iter().all(|family| occasions.contains(&family.as_str())), "{absent:?}");
}

/// Of the families that Picodata's own dashboard asks for: all that the database has are there, and both of its variables.
fn picodatas_own_dashboard(world: &World) {
    let wanted = recorded("dashboard-metrics.txt");
    for (job, page) in
        [("recorded-25", "25.5.7/metrics-http-cluster-i1.txt"), ("recorded-26", "26.1.6/metrics-http.txt")]
    {
        let page = recorded(&format!("picodata-{page}"));
        let has = |family: &&str| page.lines().any(|l| l.starts_with(&format!("{family}{{")));
        let there: Vec<&str> = wanted.split_whitespace().filter(has).collect();
        assert!(there.len() > 90, "{job}: {}", there.len());
        for family in there.iter().chain(&["pico_info_uptime"]) {
            let found = world.watchers[0].query(&format!("{family}{{job=\"{job}\"}}"));
            assert!(found.is_ok_and(|f| !f.is_empty()), "{family} at {job}");
        }
    }
    let found = world.watchers[0].query("pico_sql_query_total{tier!=\"\",replicaset!=\"\"}");
    assert!(found.is_ok_and(|f| !f.is_empty()), "its second variable");
}

/// The pictures for the README are drawn from the same answers.
fn sketches(world: &World) {
    if peer("python3").is_none() {
        return;
    }
    for name in &BOARDS[..3] {
        let out = world.den.file(&format!("{name}.svg"));
        let url = format!("http://127.0.0.1:{}", world.watchers[0].port);
        let mut draw = Command::new(grafana("draw"));
        draw.arg(grafana(&format!("{name}.json"))).args([&url, &out]).args(["--minutes", "0.5", "--rows", "1"]);
        let said = draw.output().expect("python runs");
        assert!(said.status.success(), "{name}: {}", String::from_utf8_lossy(&said.stderr));
        let picture = std::fs::read_to_string(&out).expect("a picture");
        let drawn = picture.matches("<polyline").count();
        assert!(
            picture.starts_with("<svg ") && picture.ends_with("</svg>\n") && picture.contains("a sketch"),
            "{name}"
        );
        assert!(drawn > 10 && picture.len() < 200_000, "{name}: {drawn} lines, {} bytes", picture.len());
    }
}

/// After a change of the dashboards: `GOSTECH_DRAW=1 cargo test --test it boards::every_expression`.
fn draw_for_the_readme(world: &mut World) {
    let log = recorded("picodata-25.5.7/audit.jsonl");
    let patterns: Vec<Value> = log.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    for n in 0..2400_u64 {
        let mut event = patterns[(n * n % 97) as usize % patterns.len()].clone();
        event["id"] = format!("2.1.{}", n + 1).into();
        world.audit.write(&event.to_string()).expect("written");
        std::thread::sleep(Duration::from_millis(if n / 400 % 2 == 0 { 30 } else { 60 }));
    }
    let url = format!("http://127.0.0.1:{}", world.watchers[0].port);
    for (name, rows, job) in [("picodata-cluster", "1", "recorded-25"), ("picodata-audit", "2", ".+")] {
        for name in [name.to_owned(), format!("{name}.ru")] {
            let out = root().join(format!("docs/sketch-{name}.svg")).display().to_string();
            let mut draw = Command::new(grafana("draw"));
            draw.arg(grafana(&format!("{name}.json"))).args([&url, &out, "--minutes", "1.6"]);
            assert!(draw.args(["--rows", rows, "--job", job]).status().expect("python runs").success());
        }
    }
}

#[test]
fn every_query_of_influx_brings_what_its_panel_says() {
    let Some(influxd) = peer("influxd") else { return };
    let den = Den::new("boards-influx");
    let (port, at) = (free_port(), den.path().display().to_string());
    let config = format!(
        "reporting-disabled = true\nbind-address = \"127.0.0.1:{}\"\n[meta]\ndir = \"{at}/meta\"\n[data]\ndir = \"{at}/data\"\n\
         wal-dir = \"{at}/wal\"\n[http]\nbind-address = \"127.0.0.1:{port}\"\n",
        free_port()
    );
    let args = ["-config".to_owned(), den.put("influx.conf", config)];
    let influx = Watcher::start(&den, &influxd, &args, port, "/ping");
    let ask = |text: &str| -> Value {
        let path = format!("/query?db=p&epoch=ms&q={}", watch::encoded(text));
        serde_json::from_str(&watch::ask(influx.port, "POST", &path).expect("an answer").1).expect("JSON")
    };
    ask("CREATE DATABASE p");
    let stand = moving("picodata-25.5.7/metrics-http-cluster-i1.txt");
    let url = format!("influx+http://127.0.0.1:{port}/?db=p");
    let _helper =
        watched(&stand, "pico_service", &["--push", &url, "--push-interval", "300ms", "--push-deadline", "300ms"]);
    let grown = "SELECT non_negative_derivative(max(\"value\"), 1s) FROM \"pico_cas_records_total\" WHERE time > now() - 1h GROUP BY time(1s)";
    wait("it has numbers that grow", LIMIT, || !ask(grown)["results"][0]["series"].is_null());
    let board = board("picodata-influxql");
    let variable = words(&list(&board["templating"]["list"])[1]["query"]).to_owned();
    let all = queries(&board);
    assert!(all.len() > 20);
    for text in all.iter().chain([&variable]) {
        let text = [("$timeFilter", "time > now() - 1h"), ("$__interval", "1s"), ("$instance", ".*")]
            .iter()
            .fold(text.clone(), |text, (from, to)| text.replace(from, to));
        let answer = ask(&text);
        let series = list(&answer["results"][0]["series"]);
        let number = |row: &Value| !row[1].is_null();
        assert!(series.iter().any(|s| list(&s["values"]).iter().any(number)), "{text}\n{answer}");
    }
    assert!(ask("SELECT last(\"value\") FROM \"no_such\"")["results"][0]["series"].is_null());
}
