//! The harness proved before it proves: the stand-ins do what they claim, and the comparison fails when it should.

use crate::harness::picodata::{on_the_pipe, RECORD_BYTES};
use crate::harness::receiver::Doc;
use crate::harness::{counter::Counter, http, procs, tls::Certs, wait, Den, Events, Ledger, Mode, Picodata, Receiver};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn post(port: u16, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.write_all(format!("POST / HTTP/1.1\r\n{head}\r\n").as_bytes()).expect("a head");
    stream.write_all(body).expect("a body");
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let mut answer = vec![0; 500];
    let n = stream.read(&mut answer).unwrap_or(0);
    String::from_utf8_lossy(&answer[..n]).into_owned()
}

#[test]
fn picodata_writes_as_the_real_one() {
    let den = Den::new("picodata");
    let cmd = "ls -l /proc/self/fd > fds; exec cat > got";
    let mut picodata = Picodata::start(cmd, den.path(), &[]);
    let mut events = Events::new(1, 1);
    let short = events.event();
    let long = events.event_long(20_000);
    let exact = events.event_of(RECORD_BYTES);
    for record in [&short, &long, &exact, &short] {
        picodata.write(record).expect("a reader");
    }
    assert_eq!(picodata.finish(Duration::from_secs(10)), 0);
    let got = std::fs::read(den.file("got")).expect("what cat got");
    let expected = format!("{short}\n{}{exact}{short}\n", &long[..RECORD_BYTES]);
    assert_eq!(String::from_utf8_lossy(&got), expected);
    let fds = std::fs::read_to_string(den.file("fds")).expect("what ls saw");
    assert!(fds.contains(" 7 -> pipe:") && fds.contains("wal.leak"), "{fds}");
    assert_eq!(on_the_pipe(b"x"), b"x\n");
}

#[test]
fn picodata_stands_still_when_nobody_reads() {
    let den = Den::new("blocked");
    let mut picodata = Picodata::start("sleep 1; exec cat > /dev/null", den.path(), &[]);
    let mut events = Events::new(1, 1);
    picodata.stream((0..500).map(|_| events.event()), 1_000_000).expect("a reader in the end");
    assert!(picodata.longest > Duration::from_millis(500), "blocked only {:?}", picodata.longest);
    assert_eq!(picodata.finish(Duration::from_secs(10)), 0);
    let mut dead = Picodata::start("exec true", den.path(), &[]);
    wait("EPIPE", Duration::from_secs(10), || dead.write("x").is_err());
}

#[test]
fn events_look_like_the_real_ones() {
    let mut events = Events::new(3, 7);
    for i in 1..=2000 {
        let event = events.event();
        assert!((200..=380).contains(&event.len()), "{} bytes: {event}", event.len());
        let value: serde_json::Value = serde_json::from_str(&event).expect("JSON");
        assert_eq!(value["id"], format!("3.7.{i}"));
    }
    assert_eq!(events.event_227().len(), 227);
    assert_eq!(events.event_of(16_383).len(), 16_383);
}

/// Documents as a receiver would have them.
fn docs(records: &[String]) -> Vec<Doc> {
    let with = |r: &String| {
        let mut value: serde_json::Value = serde_json::from_str(r).expect("JSON");
        value["@timestamp"] = "2026-11-21T01:27:28.815+00:00".into();
        value["gostech"] = serde_json::json!({ "id": format!("d-{}", value["id"]) });
        Doc { id: value["gostech"]["id"].to_string(), raw: value.to_string(), value, at: Instant::now() }
    };
    records.iter().map(with).collect()
}

#[test]
fn the_ledger_sees_loss_order_change_and_strangers() {
    let mut events = Events::new(1, 1);
    let mut ledger = Ledger::default();
    for _ in 0..10 {
        ledger.note(&events.event());
    }
    let good = docs(ledger.records());
    assert_eq!(ledger.compare(&good), Ok(()));
    let mut lost = good.clone();
    lost.remove(4);
    assert!(ledger.compare(&lost).is_err_and(|e| e.contains("1 of 10 missing")));
    let mut swapped = good.clone();
    swapped.swap(2, 3);
    assert!(ledger.compare(&swapped).is_err_and(|e| e.contains("after a later")));
    let mut changed = good.clone();
    changed[1].value["severity"] = "none".into();
    assert!(ledger.compare(&changed).is_err_and(|e| e.contains("fields changed")));
    let mut twice = good.clone();
    twice.push(good[9].clone());
    assert!(ledger.compare(&twice).is_err_and(|e| e.contains("two document ids")));
    let mut stranger = good.clone();
    stranger.extend(docs(&[events.event()]));
    assert!(ledger.compare(&stranger).is_err_and(|e| e.contains("nobody wrote")));
}

#[test]
fn the_receiver_records_and_misbehaves() {
    let receiver = Receiver::start();
    let body = br#"[{"gostech":{"id":"a"},"n":1.000000000000000000001},{"gostech":{"id":"b"},"s":"]},{\""}]"#;
    let head = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    let port = receiver.port();
    assert!(post(port, &head, body).starts_with("HTTP/1.1 200"));
    assert_eq!((receiver.count(), receiver.repeats()), (2, 0));
    assert_eq!(receiver.docs()[0].raw, r#"{"gostech":{"id":"a"},"n":1.000000000000000000001}"#);
    post(port, &head, body);
    assert_eq!((receiver.count(), receiver.repeats()), (2, 2));
    let fresh = br#"[{"gostech":{"id":"c"}},{"gostech":{"id":"d"}}]"#;
    let head = format!("content-length: {}\r\n", fresh.len());
    receiver.set(Mode::Refusing(429, Some("1".into())));
    assert!(post(port, &head, fresh).contains("retry-after: 1"));
    receiver.set(Mode::CutHead);
    assert_eq!(post(port, &head, b"[{\"gostech\":{\"id\":\"e\"}},           ]             "), "HTTP/1.1 20");
    receiver.set(Mode::Half);
    assert!(post(port, &head, fresh).starts_with("HTTP/1.1 500"));
    let ids: Vec<String> = receiver.docs().into_iter().map(|d| d.id).collect();
    assert_eq!(ids, ["a", "b", "e", "c"], "a cut answer comes after the taking, half of an array before the 500");
    receiver.set(Mode::Hanging);
    assert_eq!(post(port, &head, fresh), "");
    receiver.down();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    receiver.up();
    receiver.set(Mode::Healthy);
    assert!(post(port, "transfer-encoding: chunked\r\n", b"14\r\n{\"gostech\":{\"id\":\"x\"\r\n2\r\n}}\r\n0\r\n\r\n")
        .contains("200"));
    assert_eq!(receiver.docs().last().map(|d| d.id.clone()), Some("x".into()));
}

#[test]
fn the_counter_counts() {
    let counter = Counter::start();
    for n in [3, 7] {
        let body = format!("[{}]", vec![r#"{"a":{"b":1}}"#; n].join(","));
        post(counter.port(), &format!("Content-Length: {}\r\n", body.len()), body.as_bytes());
    }
    assert_eq!((counter.events(), counter.requests()), (10, 2));
}

#[test]
fn certificates_work_with_openssl() {
    let den = Den::new("certs");
    let [ca, server, _, client, _] = Certs::new().put(&den, "a");
    for certificate in [server, client] {
        let out = std::process::Command::new("openssl").args(["verify", "-CAfile", &ca, &certificate]).output();
        let Ok(out) = out else { return eprintln!("skipped: no openssl here") };
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
fn processes_are_seen() {
    let den = Den::new("procs");
    let picodata = Picodata::start("sleep 30; true", den.path(), &[]);
    wait("shell and sleep", Duration::from_secs(5), || procs::group(picodata.group()).len() == 2);
    let sleep = procs::group(picodata.group())[1];
    assert_eq!(procs::parent(sleep), Some(picodata.group()));
    assert!(procs::status_kib(sleep, "VmHWM") > 100);
    assert!(procs::kill9(sleep));
    wait("the sleep is dead", Duration::from_secs(5), || !procs::alive(sleep));
}

#[test]
fn base64_goes_both_ways() {
    for text in ["", "a", "ab", "abc", "user:pass"] {
        assert_eq!(http::unbase64(&http::base64(text.as_bytes())), text.as_bytes());
    }
    assert_eq!(http::base64(b"user:pass"), "dXNlcjpwYXNz");
}

#[test]
fn a_peer_is_found_where_it_may_be_and_only_there() {
    use crate::harness::den::find_peer;
    use std::os::unix::fs::PermissionsExt;
    let den = Den::new("peers");
    let program = |dir: &str, mode: u32| {
        let path = den.path().join(dir).join("gostech-peer");
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(&path, "#!/bin/sh\n").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
        path
    };
    let path = std::env::join_paths([den.path().join("none"), den.path().join("plain"), den.path().join("path")]);
    let path = path.expect("a PATH");
    let find = || find_peer("gostech-peer", &path, &den.path().join("own"));
    assert_eq!(find(), None);
    program("plain", 0o644);
    assert_eq!(find(), None, "a file that cannot be run is no program");
    let (in_path, own) = (program("path", 0o755), den.path().join("own/gostech-peer"));
    assert_eq!(find(), Some(in_path));
    assert_eq!(program("own", 0o755), own);
    assert_eq!(find(), Some(own), "what tests/run has put there comes first");
}

#[test]
fn nginx_asks_for_a_client_certificate_and_passes_bodies_on() {
    use crate::harness::nginx::Nginx;
    let (Some(curl), den, receiver) = (crate::harness::peer("curl"), Den::new("nginx"), Receiver::start()) else {
        return;
    };
    let [ca, cert, key, client, client_key] = Certs::new().put(&den, "a");
    let lines = format!(
        "listen 127.0.0.1:$PORT ssl; listen unix:{}; ssl_certificate {cert}; ssl_certificate_key {key}; ssl_verify_client on; \
         ssl_client_certificate {ca}; client_max_body_size 1k; location / {{ proxy_http_version 1.1; proxy_pass http://127.0.0.1:{}; }}",
        den.file("sock"),
        receiver.port()
    );
    let Some(nginx) = Nginx::start(&den, &lines) else { return };
    let url = format!("https://localhost:{}/", nginx.port());
    let post = |args: &[&str]| {
        let common = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", &ca];
        let out = std::process::Command::new(&curl).args(common).args(args).output().expect("curl runs");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let with = ["--cert", &client, "--key", &client_key, &url];
    assert_eq!(post(&["-d", "{\"gostech\":{\"id\":\"a\"}}", &url]), "400");
    assert_eq!(post(&[&["-d", "{\"gostech\":{\"id\":\"a\"}}"][..], &with].concat()), "200");
    assert_eq!(post(&[&["-d", &"x".repeat(2000)][..], &with].concat()), "413");
    assert_eq!(
        post(&["-d", "{\"gostech\":{\"id\":\"b\"}}", "--unix-socket", &den.file("sock"), "http://localhost/x"]),
        "200"
    );
    assert_eq!(receiver.docs().into_iter().map(|d| d.id).collect::<Vec<_>>(), ["a", "b"]);
}
