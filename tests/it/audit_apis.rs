//! Receivers that are APIs: Elasticsearch, Loki, OTLP and Graylog. No such server is in Debian: strict stand-ins, named as such,
//! written from their contracts (golden files and decoders of the formats stand in `formats`).

use crate::harness::den::{free_listener, peer};
use crate::harness::http::{Conn, Request};
use crate::harness::rough::ODD;
use crate::harness::setup::text;
use crate::harness::tls::Certs;
use crate::harness::{Den, Events, Receiver, Setup};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Answer = fn(&Request, &mut Vec<Value>) -> (u16, String);

/// A server of one API that keeps what it took.
struct StandIn {
    port: u16,
    took: Arc<Mutex<Vec<Value>>>,
}

impl StandIn {
    fn start(answer: Answer) -> StandIn {
        let listener = free_listener();
        let port = listener.local_addr().expect("an address").port();
        let took: Arc<Mutex<Vec<Value>>> = Arc::default();
        let shared = took.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || {
                    stream.set_nonblocking(false).expect("a stream");
                    let mut conn = Conn::new(Box::new(stream));
                    while let Ok(Some(request)) = conn.request() {
                        let (status, body) = answer(&request, &mut shared.lock().expect("one at a time"));
                        let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n", body.len());
                        if conn.stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        StandIn { port, took }
    }

    fn took(&self) -> Vec<Value> {
        self.took.lock().expect("one at a time").clone()
    }
}

/// A stand-in for Elasticsearch: an index whose mapping wants `picodata.count` to be a number, which is asked for too much at
/// times, and whose answers are lost at times.
fn elasticsearch(request: &Request, took: &mut Vec<Value>) -> (u16, String) {
    assert_eq!((request.method.as_str(), request.header("content-type")), ("POST", Some("application/x-ndjson")));
    let (path, query) = request.path.split_once('?').expect("a query");
    assert!(query.starts_with("pipeline=p&filter_path=errors,items.*.status"), "{query}");
    if path != "/audit/_bulk" {
        return (404, "{\"error\":{\"type\":\"index_not_found_exception\"}}".into());
    }
    let body = std::str::from_utf8(&request.body).expect("UTF-8");
    assert!(body.ends_with('\n'), "a bulk body ends with a line end");
    let lines: Vec<Value> = body.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let (mut items, before) = (Vec::new(), took.len());
    for (n, pair) in lines.chunks(2).enumerate() {
        let [action, document] = pair else { panic!("an action and a document") };
        let id = action["create"]["_id"].as_str().expect("only `create`, with an id");
        assert!(id.len() <= 512 && document["@timestamp"].is_string() && document["event"]["id"] == id);
        let status = match () {
            () if took.iter().any(|d| d["event"]["id"] == id) => 409,
            () if document["picodata"]["count"] == "many" => 400,
            () if n % 7 == 5 && lines.len() > 20 => 429,
            () => 201,
        };
        if status == 201 {
            took.push(document.clone());
        }
        items.push(match status {
            201 => serde_json::json!({"create": {"status": 201}}),
            s => serde_json::json!({"create": {"status": s, "error": {"type": "some_exception", "reason": "said so"}}}),
        });
    }
    if took.len() > before && took.len() % 3 == 1 {
        return (503, "the answer was lost".into());
    }
    (200, serde_json::json!({"errors": true, "items": items}).to_string())
}

#[test]
fn an_index_gets_each_event_once_and_its_refusals_are_set_aside() {
    let den = Den::new("bulk");
    let index = StandIn::start(elasticsearch);
    let mut events = Events::new(1, 1);
    let mut input: Vec<String> = (0..200).map(|_| events.event()).collect();
    for i in [0, 57, 58, 150] {
        input[i] = input[i].replacen('{', "{\"count\":\"many\",", 1);
    }
    let url = format!("elasticsearch+http://127.0.0.1:{}/audit?pipeline=p", index.port);
    let setup = Setup::new(&den).args(&["--url", &url, "--batch-events", "40", "--drain", "60s"]);
    let out = setup.run((input.join("\n") + "\n").as_bytes());
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let mut got: Vec<u64> = index.took().iter().map(|d| d["event"]["sequence"].as_u64().expect("a number")).collect();
    got.sort_unstable();
    assert_eq!(got, (1..=200).filter(|n| ![1, 58, 59, 151].contains(n)).collect::<Vec<u64>>());
    let list = text(&setup.tool(&["quarantine", "list", "--spool-dir", &den.file("spool"), "--no-config"]).stdout);
    assert!(list.contains("some_exception said so"), "{list}");
}

#[test]
fn a_url_without_an_index_is_a_usage_error_and_a_wrong_one_is_told_with_its_cure() {
    let den = Den::new("bulk-usage");
    let out = Setup::new(&den).args(&["--url", "elasticsearch+http://h:9200/"]).run(b"");
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("has to name one index or data stream, as in"), "{}", text(&out.stderr));
    let index = StandIn::start(elasticsearch);
    let url = format!("elasticsearch+http://127.0.0.1:{}/audti?pipeline=p", index.port);
    let check = ["check", "--send", "--no-config", "--spool-dir", &den.file("spool"), "--url", &url];
    let said = text(&Setup::bare(&den).tool(&check).stdout);
    assert!(said.contains("answered 404") && said.contains("look at the path of the URL"), "{said}");
}

/// A stand-in for Loki.
fn loki(request: &Request, took: &mut Vec<Value>) -> (u16, String) {
    assert_eq!(
        (request.path.as_str(), request.header("content-type")),
        ("/loki/api/v1/push", Some("application/json"))
    );
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    for stream in body["streams"].as_array().expect("streams") {
        for entry in stream["values"].as_array().expect("values") {
            assert!(entry[0].as_str().is_some_and(|n| n.parse::<u64>().is_ok()));
            took.push(serde_json::from_str(entry[1].as_str().expect("a line")).expect("JSON"));
        }
    }
    (204, String::new())
}

/// A stand-in for a collector that refuses records of `grant_role`, and does not say which they are.
fn collector(request: &Request, took: &mut Vec<Value>) -> (u16, String) {
    assert_eq!((request.path.as_str(), request.header("content-type")), ("/v1/logs", Some("application/json")));
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    let mut refused = 0;
    for resource in body["resourceLogs"].as_array().expect("resources") {
        let record = &resource["scopeLogs"][0]["logRecords"][0];
        match record["eventName"] == "grant_role" {
            true => refused += 1,
            false => took.push(record.clone()),
        }
    }
    (
        200,
        serde_json::json!({"partialSuccess": {"rejectedLogRecords": refused.to_string(), "errorMessage": "no"}})
            .to_string(),
    )
}

#[test]
fn loki_and_a_collector_get_every_event_in_order() {
    let mut events = Events::new(1, 1);
    let mut input: Vec<String> = (0..120).map(|_| events.event()).collect();
    for (scheme, answer) in [("loki+http", loki as Answer), ("otlp+http", collector)] {
        let den = Den::new(scheme);
        let server = StandIn::start(answer);
        let bad = scheme == "otlp+http";
        if bad {
            input[60] = r#"{"id":"1.1.61","severity":"high","title":"grant_role"}"#.into();
        }
        let url = format!("{scheme}://127.0.0.1:{}", server.port);
        let out = Setup::new(&den)
            .args(&["--url", &url, "--gzip", "--drain", "60s"])
            .run((input.join("\n") + "\n").as_bytes());
        assert_eq!(out.status.code(), Some(0), "{scheme}: {}", text(&out.stderr));
        let id = |v: &Value| match bad {
            true => v["attributes"]
                .as_array()
                .expect("attributes")
                .iter()
                .find(|a| a["key"] == "picodata.id")
                .expect("an id")["value"]["stringValue"]
                .clone(),
            false => v["id"].clone(),
        };
        let mut first: Vec<String> = Vec::new();
        for id in server.took().iter().map(id) {
            let id = id.as_str().expect("a text").to_string();
            if !first.contains(&id) {
                first.push(id);
            }
        }
        let wanted: Vec<String> = (1..=120).filter(|n| !bad || *n != 61).map(|n| format!("1.1.{n}")).collect();
        assert_eq!(first, wanted, "{scheme}");
    }
}

/// A collector that keeps whole bodies.
fn bodies(request: &Request, took: &mut Vec<Value>) -> (u16, String) {
    took.push(Value::String(String::from_utf8(request.body.clone()).expect("UTF-8")));
    (200, "{}".into())
}

/// Events that have broken somebody's log pipeline, all kinds of values, and what is no event at all.
fn odd_input() -> Vec<String> {
    let mut events = Events::new(1, 1);
    let mut input: Vec<String> = ODD.iter().map(|odd| events.event_saying(odd)).collect();
    input.push(events.event_of(16_000));
    input.push(r#"{"id":"1.1.10","a":null,"b":true,"c":-7,"d":1.5,"f":[1,"x",{"y":null}],"g":{"h":{}},"i":9007199254740993,"title":"dml"}"#.into());
    input.push(r#"{"id":"1.1.11","message":"half \ud83d a pair","\u0000":"no name","":"empty","title":"auth_ok","title":"auth_fail"}"#.into());
    input.push("no record at all".into());
    input
}

/// What a program that is not ours makes of it: one value a line.
fn understood(den: &Den, reader: &Path, args: &[&str], input: &[u8]) -> Vec<Value> {
    std::fs::write(den.file("input"), input).expect("a file");
    let input = std::fs::File::open(den.file("input")).expect("a file");
    let out = Command::new(reader).args(args).stdin(input).output().expect("it runs");
    assert!(out.status.success(), "{}", text(&out.stderr));
    text(&out.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_body_for_a_collector_is_what_its_own_definition_says() {
    let Some(decoder) = peer("otlp-decode") else { return };
    let (den, server, input) = (Den::new("otlp-decode"), StandIn::start(bodies), odd_input());
    let url = format!("otlp+http://127.0.0.1:{}", server.port);
    let out = Setup::new(&den).args(&["--url", &url, "--drain", "60s"]).run((input.join("\n") + "\n").as_bytes());
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let all: Vec<String> = server.took().iter().filter_map(|b| b.as_str().map(str::to_string)).collect();
    let records = understood(&den, &decoder, &[], all.join("\0").as_bytes());
    assert_eq!(records.len(), input.len());
    for (record, line) in records.iter().zip(&input) {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            assert_eq!(record["attributes"]["log.record.original"], line.as_str());
            continue;
        };
        // A whole number stays one, what is no text and no number that OTLP has is its JSON.
        let shown = |value: &Value| match value {
            Value::String(_) | Value::Bool(_) | Value::Null => value.clone(),
            Value::Number(n) if n.is_i64() => value.clone(),
            other => Value::String(other.to_string()),
        };
        for (name, value) in event.as_object().expect("an object") {
            let got = match name.as_str() {
                "message" => &record["body"],
                "time" => continue,
                "title" => &record["event_name"],
                _ => &record["attributes"][format!("picodata.{name}")],
            };
            assert_eq!(got, &shown(value), "{name} of {record}");
        }
        // (Midnight of 21 November 2026 in Moscow; the generator's clock goes on by milliseconds.)
        let time = record["time"].as_str().expect("nanoseconds");
        assert!(event.get("time").is_none() || time.starts_with("17952084000"), "{record}");
    }
}

fn graylog(request: &Request, took: &mut Vec<Value>) -> (u16, String) {
    assert_eq!(request.path, "/gelf");
    let message: Value = serde_json::from_slice(&request.body).expect("one message");
    took.push(message);
    (202, String::new())
}

/// What a receiver makes of datagrams: whole, packed, in chunks.
fn gelf_of(udp: &UdpSocket, n: usize) -> Vec<Value> {
    let (mut bytes, mut parts, mut all) =
        (vec![0; 65_536], BTreeMap::<Vec<u8>, BTreeMap<u8, Vec<u8>>>::new(), Vec::new());
    while all.len() < n {
        let size = udp.recv(&mut bytes).expect("a datagram");
        let mut message = bytes[..size].to_vec();
        if message.starts_with(&[0x1e, 0x0f]) {
            let chunks = parts.entry(message[2..10].to_vec()).or_default();
            chunks.insert(message[10], message[12..].to_vec());
            if chunks.len() < usize::from(message[11]) {
                continue;
            }
            message = chunks.values().flatten().copied().collect();
        }
        if message.starts_with(&[0x1f, 0x8b]) {
            let mut out = Vec::new();
            flate2::read::GzDecoder::new(&message[..]).read_to_end(&mut out).expect("gzip");
            message = out;
        }
        all.push(serde_json::from_slice(&message).expect("JSON"));
    }
    all
}

#[test]
fn graylog_gets_its_messages_over_http_tcp_and_udp() {
    let mut events = Events::new(1, 1);
    let mut input: Vec<String> = (0..20).map(|_| events.event()).collect();
    input.push(events.event_of(9_000));
    // (Noise does not pack: more than 128 chunks, and nobody has to be asked.)
    let mut seed = 7u64;
    let mut letter = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + (seed >> 40) as u8 % 26)
    };
    let noise: String = (0..2_500_000).map(|_| letter()).collect();
    let ids =
        |all: &[Value]| all.iter().map(|m| m["_event_id"].as_str().expect("an id").to_string()).collect::<Vec<_>>();
    let wanted: Vec<String> = (1..=21).map(|n| format!("1.1.{n}")).collect();
    let run = |name: &str, url: &str, input: &[String]| {
        let den = Den::new(name);
        let args = ["--url", url, "--drain", "20s", "--event-max", "4M", "--memory-max", "16M"];
        let out = Setup::new(&den).args(&args).run((input.join("\n") + "\n").as_bytes());
        assert_eq!(out.status.code(), Some(0), "{name}: {}", text(&out.stderr));
        text(&out.stderr)
    };
    let server = StandIn::start(graylog);
    run("gelf-http", &format!("gelf+http://127.0.0.1:{}", server.port), &input);
    assert_eq!(ids(&server.took()), wanted);

    let listener = free_listener();
    let port = listener.local_addr().expect("an address").port();
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        listener.accept().expect("a connection").0.read_to_end(&mut all).expect("messages");
        all
    });
    run("gelf-tcp", &format!("gelf+tcp://127.0.0.1:{port}"), &input);
    let all = reader.join().expect("a reader");
    let messages: Vec<Value> =
        all.split(|b| *b == 0).filter(|m| !m.is_empty()).map(|m| serde_json::from_slice(m).expect("JSON")).collect();
    assert_eq!(ids(&messages), wanted);

    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    udp.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let url = format!("gelf+udp://127.0.0.1:{}", udp.local_addr().expect("an address").port());
    let long = input[..3]
        .iter()
        .cloned()
        .chain([format!("{{\"id\":\"1.1.4\",\"message\":\"{noise}\",\"title\":\"dml\"}}"), input[4].clone()]);
    let said = run("gelf-udp", &url, &long.collect::<Vec<_>>());
    assert_eq!(ids(&gelf_of(&udp, 4)), ["1.1.1", "1.1.2", "1.1.3", "1.1.5"]);
    assert!(said.contains("are more than 128 chunks") && said.contains("it is in quarantine"), "{said}");
    let den = run("gelf-udp-chunks", &url, &input[18..]);
    assert_eq!(ids(&gelf_of(&udp, 3)), wanted[18..], "{den}");
}

/// Whatever the event holds, a message has what Graylog wants of each, and nothing but texts and numbers.
fn is_gelf(message: &Value, line: &str) {
    assert_eq!((message["version"].as_str(), message["host"].is_string()), (Some("1.1"), true), "{message}");
    assert!(message["short_message"].as_str().is_some_and(|s| !s.is_empty()) && message["level"].is_u64(), "{message}");
    let fields = message.as_object().expect("an object");
    assert!(fields.values().all(|v| v.is_string() || v.is_number()), "{message}");
    let Ok(event) = serde_json::from_str::<Value>(line) else {
        return assert_eq!(message["full_message"], line);
    };
    assert!(event.get("message").is_none_or(|said| message["short_message"] == *said), "{message}");
    for (name, value) in event.as_object().expect("an object").iter().filter(|(name, _)| name.len() == 1) {
        // (Graylog knows texts and doubles: a whole number that no double has is a text.)
        let exact = value.as_f64().is_some_and(|n| n.abs() < 9e15);
        let shown = if exact || value.is_string() { value.clone() } else { Value::String(value.to_string()) };
        assert_eq!(message[format!("_{name}")], shown, "{message}");
    }
}

#[test]
fn graylogs_own_library_reads_what_we_send() {
    let Some(decoder) = peer("gelf-decode") else { return };
    let input = odd_input();
    let run = |den: &Den, url: &str| {
        let out = Setup::new(den).args(&["--url", url, "--drain", "20s"]).run((input.join("\n") + "\n").as_bytes());
        assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    };
    let den = Den::new("gelf-decode-udp");
    let mut udp = Command::new(&decoder);
    let mut udp = udp.args(["udp", &input.len().to_string()]).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(udp.stdout.take().expect("a pipe")).lines().map(|l| l.expect("a line"));
    run(&den, &format!("gelf+udp://{}", lines.next().expect("an address")));
    let by_udp: Vec<Value> = lines.map(|line| serde_json::from_str(&line).expect("JSON")).collect();
    assert!(udp.wait().expect("an end").success());

    let (den, listener) = (Den::new("gelf-decode-tcp"), free_listener());
    let port = listener.local_addr().expect("an address").port();
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        listener.accept().expect("a connection").0.read_to_end(&mut all).expect("messages");
        all
    });
    run(&den, &format!("gelf+tcp://127.0.0.1:{port}"));
    let by_tcp = understood(&den, &decoder, &["lines"], &reader.join().expect("a reader"));
    assert_eq!(by_udp.len(), input.len());
    for ((udp, tcp), line) in by_udp.iter().zip(&by_tcp).zip(&input) {
        is_gelf(udp, line);
        // What has no time of its own has that of its arrival.
        let timeless = |m: &Value| {
            Value::Object(
                m.as_object().expect("an object").clone().into_iter().filter(|(k, _)| k != "timestamp").collect(),
            )
        };
        assert_eq!(timeless(udp), timeless(tcp));
        assert!(udp["timestamp"] == tcp["timestamp"] || !line.contains("\"time\""), "{udp}");
    }
}

#[test]
fn graylog_gets_its_messages_over_tls_too_and_a_stranger_gets_none() {
    let certs = Certs::new();
    let mut events = Events::new(1, 1);
    let input: Vec<String> = (0..20).map(|_| events.event()).collect();
    let wanted: Vec<String> = (1..=20).map(|n| format!("1.1.{n}")).collect();
    let run = |name: &str, url: &str, known: bool| {
        let den = Den::new(name);
        let [ca, ..] = certs.put(&den, "tls");
        let trust = if known { vec!["--ca-certificate", &ca, "--drain", "20s"] } else { vec!["--drain", "300ms"] };
        let out = Setup::new(&den).url(url).args(&trust).run((input.join("\n") + "\n").as_bytes());
        assert_eq!(out.status.code(), Some(0), "{name}: {}", text(&out.stderr));
        text(&out.stderr)
    };
    let ids = |all: &[Value]| -> Vec<String> {
        all.iter().map(|m| m["_event_id"].as_str().expect("an id").to_string()).collect()
    };
    let graylog = Receiver::start_tls(certs.server_config());
    let url = format!("gelf+https://127.0.0.1:{}", graylog.port());
    let said = run("gelf-https-stranger", &url, false);
    assert!(said.contains("certificate") && said.contains("20 events are left"), "{said}");
    run("gelf-https", &url, true);
    let bodies: Vec<Value> =
        graylog.visits().iter().map(|v| serde_json::from_slice(&v.request.body).expect("one message")).collect();
    assert!(graylog.visits().iter().all(|v| v.request.path == "/gelf"));
    assert_eq!(ids(&bodies), wanted);

    let listener = free_listener();
    let url = format!("gelf+tls://127.0.0.1:{}", listener.local_addr().expect("an address").port());
    let config = certs.server_config();
    let reader = std::thread::spawn(move || {
        let session = rustls::ServerConnection::new(config).expect("a session");
        let mut stream = rustls::StreamOwned::new(session, listener.accept().expect("a connection").0);
        let mut all = Vec::new();
        // (Whether it says goodbye is another matter.)
        let _ = stream.read_to_end(&mut all);
        all
    });
    run("gelf-tls", &url, true);
    let all = reader.join().expect("a reader");
    let messages: Vec<Value> =
        all.split(|b| *b == 0).filter(|m| !m.is_empty()).map(|m| serde_json::from_slice(m).expect("JSON")).collect();
    assert_eq!(ids(&messages), wanted);
}
