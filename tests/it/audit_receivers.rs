//! What the receivers see: several of them, stand-ins, secrets and certificates that change, bodies, headers, proxies.

use crate::harness::http::base64;
use crate::harness::receiver::Doc;
use crate::harness::setup::text;
use crate::harness::{free_port, wait, Den, Events, Mode, Page, Picodata, Receiver, Setup};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

fn write_all(picodata: &mut Picodata, records: &[String]) {
    for record in records {
        picodata.write(record).expect("a reader");
    }
}

#[test]
fn every_receiver_gets_everything_and_none_waits_for_another() {
    let den = Den::new("several");
    let (a, b) = (Receiver::start(), Receiver::start());
    b.down();
    let mut picodata = Setup::new(&den).url(&a.url()).url(&b.url()).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 1000, 5000);
    a.wait_count(1000, Duration::from_secs(20));
    b.up();
    b.wait_count(1000, LIMIT);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    for receiver in [&a, &b] {
        assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()));
        assert_eq!(receiver.repeats(), 0);
    }
}

#[test]
fn a_changed_url_under_the_same_name_keeps_the_backlog() {
    let den = Den::new("name");
    let (old, new) = (Receiver::start(), Receiver::start());
    old.down();
    let named = |url: &str| Setup::new(&den).url(url).args(&["--name", "siem", "--drain", "200ms"]);
    let mut first = named(&old.url()).picodata();
    let mut events = Events::new(1, 1);
    first.events(&mut events, 50, 10_000);
    assert_eq!(first.finish(LIMIT), 0, "{}", first.err());
    let mut second = named(&new.url()).picodata();
    new.wait_count(50, LIMIT);
    assert_eq!(second.finish(LIMIT), 0, "{}", second.err());
    assert_eq!(first.ledger.compare(&new.docs()), Ok(()));
}

#[test]
fn an_optional_receiver_never_blocks_and_its_oldest_records_go() {
    let den = Den::new("optional");
    let (a, b) = (Receiver::start(), Receiver::start());
    b.down();
    let port = free_port();
    let tiny = ["--spool-max", "2M", "--spool-pack", "never", "--memory-max", "1M", "--event-max", "64K"];
    let options = ["--optional", "--retain", "0s", "--metrics-addr"];
    let setup =
        Setup::new(&den).args(&tiny).url(&a.url()).url(&b.url()).args(&options).args(&[&format!("127.0.0.1:{port}")]);
    let mut picodata = setup.args(&["--drain", "500ms"]).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 30_000, 10_000);
    a.wait_count(30_000, LIMIT);
    wait("dropped for the optional one alone", LIMIT, || {
        let page = Page::scrape(port);
        let dropped = |r: &str| page.sum("gostech_audit_events_total", &[r, "state=\"dropped\""]).unwrap_or(0.0);
        dropped("receiver=\"r2\"") > 0.0 && dropped("receiver=\"r1\"") == 0.0
    });
    let page = Page::scrape(port);
    page.assert_identity("r1");
    page.assert_identity("r2");
    picodata.finish(LIMIT);
    assert_eq!(picodata.ledger.missing(&a.docs()), Vec::<String>::new());
}

#[test]
fn a_stand_in_takes_over_and_gives_back() {
    let den = Den::new("failover");
    let (first, second) = (Receiver::start(), Receiver::start());
    let mut picodata =
        Setup::new(&den).url(&first.url()).url(&second.url()).args(&["--failover", "--drain", "60s"]).picodata();
    let mut events = Events::new(1, 1);
    write_all(&mut picodata, &(0..50).map(|_| events.event()).collect::<Vec<_>>());
    first.wait_count(50, LIMIT);
    assert_eq!(second.count(), 0, "the stand-in stands by");
    first.down();
    write_all(&mut picodata, &(0..50).map(|_| events.event()).collect::<Vec<_>>());
    second.wait_count(50, LIMIT);
    first.up();
    let end = Instant::now() + LIMIT;
    while first.count() < 51 && Instant::now() < end {
        picodata.write(&events.event()).expect("a reader");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(first.count() > 50, "the first one is well again and gets nothing\n{}", picodata.err());
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let both: Vec<Doc> = first.docs().into_iter().chain(second.docs()).collect();
    assert_eq!(picodata.ledger.missing(&both), Vec::<String>::new());
}

#[test]
fn batches_keep_their_limits_and_say_who_they_are() {
    let den = Den::new("batches");
    let receiver = Receiver::start();
    receiver.down();
    let args = ["--batch-events", "40", "--batch-bytes", "8K", "--header", "X-One: 1", "--header", "x-two: b: c"];
    let mut picodata = Setup::new(&den).url(&receiver.url()).args(&args).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 500, 100_000);
    receiver.up();
    receiver.set(Mode::Refusing(503, None));
    receiver.wait_status(503, LIMIT);
    receiver.set(Mode::Healthy);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()));
    let visits = receiver.visits();
    for visit in &visits {
        assert!(visit.request.body.len() <= 9000, "{} bytes", visit.request.body.len());
        assert_eq!((visit.request.header("x-one"), visit.request.header("x-two")), (Some("1"), Some("b: c")));
        assert_eq!(visit.request.method, "POST");
        assert!(visit.request.header("content-type").is_some_and(|t| t.starts_with("application/json")));
    }
    let key = |i: usize| visits[i].request.header("idempotency-key").map(str::to_owned);
    let refused = visits.iter().position(|v| v.status == 503).expect("a refusal");
    let same = visits.iter().skip(refused + 1).any(|v| v.request.header("idempotency-key") == key(refused).as_deref());
    assert!(key(refused).is_some() && same, "the same batch comes again under the same key");
}

#[test]
fn a_lone_event_does_not_wait_for_a_batch() {
    let den = Den::new("linger");
    let receiver = Receiver::start();
    let mut picodata = Setup::new(&den).url(&receiver.url()).picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    receiver.wait_count(1, Duration::from_secs(10));
    assert_eq!(picodata.finish(LIMIT), 0);
}

#[test]
fn formats_are_what_they_promise() {
    let mut e = Events::new(7, 1);
    let input = format!("{}\n{}\n{}\n", e.event(), e.event(), e.event());
    for format in ["json", "ndjson", "single", "gostech"] {
        let den = Den::new(format);
        let receiver = Receiver::start();
        let out = Setup::new(&den).url(&receiver.url()).args(&["--format", format, "--gzip"]).run(input.as_bytes());
        assert_eq!(out.status.code(), Some(0), "{format}: {}", text(&out.stderr));
        let visits = receiver.visits();
        let first = text(&visits[0].request.body);
        assert!(visits.iter().all(|v| v.request.header("content-encoding") == Some("gzip")), "{format}");
        match format {
            "json" => assert!(first.trim_start().starts_with('[')),
            "ndjson" => {
                assert!(visits[0].request.header("content-type").is_some_and(|t| t.contains("ndjson")));
                assert!(first.ends_with('\n') && first.starts_with('{'), "{first}");
            }
            _ => assert!(visits.len() == 3 && first.starts_with('{'), "{format}: one request an event: {first}"),
        }
        if format == "gostech" {
            assert_eq!(visits[0].request.header("x-node-id"), Some("7"));
            old_body(&first, input.lines().next().expect("a line"));
        } else {
            assert_eq!(receiver.count(), 3, "{format}");
        }
    }
}

/// The withdrawn program's body, field by field.
fn old_body(body: &str, record: &str) {
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let record: serde_json::Value = serde_json::from_str(record).expect("JSON");
    assert_eq!(body["tags"], serde_json::json!([record["severity"]]));
    assert_eq!((&body["module"], &body["metamodelVersion"]), (&"picodata".into(), &"0.1.0".into()));
    assert_eq!(body["name"], record["title"]);
    assert!(body["createdAt"].is_i64() && body["session"].is_null() && body["userName"].is_null(), "{body}");
    assert_eq!(body["userNode"], "default");
    let user = if record["user"].is_string() { &record["user"] } else { &record["initiator"] };
    assert_eq!(&body["userLogin"], user);
    let params = body["params"].as_array().expect("params");
    for (name, value) in record.as_object().expect("an object") {
        assert!(params.contains(&serde_json::json!({ "name": name, "value": value })), "{name} in {body}");
    }
}

#[test]
fn secret_files_are_read_again_when_they_change() {
    let den = Den::new("token");
    let token = den.put("token", "old-token\n");
    let receiver = Receiver::start();
    receiver.set(Mode::Wanting(401, "authorization".into(), "Bearer new-token".into()));
    let mut picodata = Setup::new(&den).url(&receiver.url()).args(&["--token-file", &token]).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 20, 1000);
    receiver.wait_status(401, LIMIT);
    assert_eq!(receiver.visits()[0].request.header("authorization"), Some("Bearer old-token"));
    std::thread::sleep(Duration::from_millis(1100));
    den.put("token", "new-token\n");
    receiver.wait_count(20, LIMIT);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()));
}

#[test]
fn certificates_that_come_late_are_read_on_sighup_or_by_themselves() {
    for hup in [true, false] {
        let den = Den::new("late-ca");
        let certs = crate::harness::tls::Certs::new();
        let receiver = Receiver::start_tls(certs.server_config());
        let ca = den.file("late.pem");
        let mut picodata = Setup::new(&den).url(&receiver.url()).args(&["--ca-certificate", &ca]).exec().picodata();
        let mut events = Events::new(1, 1);
        picodata.wait_worker(None);
        picodata.events(&mut events, 20, 1000);
        std::thread::sleep(Duration::from_secs(1));
        assert!(receiver.count() == 0 && picodata.err().contains("late.pem"), "{}", picodata.err());
        den.put("late.pem", &certs.ca);
        if hup {
            picodata.signal_group("HUP");
        }
        receiver.wait_count(20, LIMIT);
        assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    }
}

#[test]
fn basic_auth_comes_from_the_password_file_or_the_url() {
    let wanted = format!("Basic {}", base64("påul:p@ss:wörd".as_bytes()));
    let den = Den::new("basic");
    let password = den.put("password", "p@ss:wörd\n");
    let receiver = Receiver::start();
    receiver.set(Mode::Wanting(401, "authorization".into(), wanted.clone()));
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--user", "påul", "--password-file", &password]);
    let out = setup.run(b"{\"id\":\"1.1.1\",\"title\":\"t\"}\n");
    assert_eq!((out.status.code(), receiver.count()), (Some(0), 1), "{}", text(&out.stderr));
    let url = format!("http://p%C3%A5ul:p%40ss%3Aw%C3%B6rd@127.0.0.1:{}/", receiver.port());
    let out = Setup::new(&den).url(&url).run(b"{\"id\":\"1.1.2\",\"title\":\"t\"}\n");
    let err = text(&out.stderr);
    assert_eq!((out.status.code(), receiver.count()), (Some(0), 2), "{err}");
    assert!(!err.contains("p@ss") && !err.contains("p%40ss"), "{err}");
    assert!(err.contains("--password-file"), "the option to use instead is named: {err}");
    assert_eq!(err.matches("--password-file").count(), 1, "once: {err}");
}

#[test]
fn a_proxy_is_used_when_it_is_asked_for() {
    let den = Den::new("proxy");
    let certs = crate::harness::tls::Certs::new();
    let [ca, ..] = certs.put(&den, "a");
    let proxy = Receiver::start_proxy(certs.server_config());
    let at = format!("http://127.0.0.1:{}", proxy.port());
    let setup = Setup::new(&den).url("https://receiver.test/audit").args(&["--proxy", &at, "--ca-certificate", &ca]);
    let out = setup.run(b"{\"id\":\"1.1.1\",\"title\":\"t\"}\n");
    assert_eq!((out.status.code(), proxy.count()), (Some(0), 1), "{}", text(&out.stderr));
    assert!(proxy.visits().iter().any(|v| v.request.path == "receiver.test:443"));
    assert!(proxy.visits().iter().any(|v| v.request.path == "/audit"));
}

#[test]
fn failures_are_counted_by_their_reason() {
    let den = Den::new("reasons");
    let port = free_port();
    let (status, hang, refused) = (Receiver::start(), Receiver::start(), Receiver::start());
    status.set(Mode::Refusing(503, None));
    hang.set(Mode::Hanging);
    refused.down();
    let certs = crate::harness::tls::Certs::new();
    let tls = Receiver::start_tls(certs.server_config());
    let metrics = format!("127.0.0.1:{port}");
    let setup = Setup::new(&den).args(&["--first-byte-timeout", "500ms"]);
    let setup = setup.url(&status.url()).url(&hang.url()).url(&refused.url()).url(&tls.url());
    let setup = setup.args(&["--metrics-addr", &metrics, "--drain", "200ms"]);
    let mut picodata = setup.picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    for (receiver, reason) in [("r1", "status"), ("r2", "timeout"), ("r3", "connect"), ("r4", "tls")] {
        let labels = [format!("receiver=\"{receiver}\""), format!("reason=\"{reason}\"")];
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        wait(&format!("{labels:?}"), Duration::from_secs(20), || {
            Page::scrape(port).sum("gostech_audit_retries_total", &labels).unwrap_or(0.0) >= 1.0
        });
    }
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}

#[test]
fn a_filter_leaves_out_and_counts_what_it_leaves_out() {
    let den = Den::new("filter");
    let (all, some) = (Receiver::start(), Receiver::start());
    let titles = ["dml", "auth_fail", "local_startup", "auth_ok"];
    let severities = ["medium", "high", "low", "high"];
    let input: String = (0..400)
        .map(|i| {
            format!(
                "{{\"id\":\"1.0.{}\",\"severity\":\"{}\",\"title\":\"{}\"}}\n",
                i + 3,
                severities[i % 4],
                titles[i % 4]
            )
        })
        .collect();
    let setup = Setup::new(&den).url(&all.url()).url(&some.url());
    let filter = ["--only", "severity>=medium", "--skip", "title=dml", "--skip", "title=auth_oh"];
    let out = setup.clone().args(&filter).run(format!("{{\"id\":\"1.0.1\",\"title\":\"dml\"}}\n{input}").as_bytes());
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    // `1.0.2` never came: everybody is told, whatever he asks for.
    let count = |r: &Receiver, title: &str| r.docs().iter().filter(|d| d.value["title"] == title).count();
    assert_eq!((all.count(), count(&all, "dml"), count(&all, "audit_gap")), (402, 101, 1));
    assert_eq!((some.count(), count(&some, "auth_fail"), count(&some, "auth_ok")), (201, 100, 100));
    assert_eq!(count(&some, "audit_gap"), 1);
    let said = text(&out.stderr);
    assert!(said.contains("no title `auth_oh` is known of the database; is `auth_ok` meant?"), "{said}");
    let look = ["status", "--spool-dir", &den.file("spool"), "--no-config"];
    let status = text(&setup.tool(&look).stdout);
    assert!(status.contains("201 delivered, 0 refused, 0 dropped, 201 filtered"), "{status}");
}
