//! Against real nginx, item 6 of the issue: TLS of both versions, a client certificate, gzip, basic auth, 413, a unix
//! socket. nginx passes the bodies on to a recording receiver.

use crate::harness::nginx::Nginx;
use crate::harness::setup::{files_below, text};
use crate::harness::{tls::Certs, Den, Events, Receiver, Setup};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// A `server` block: listen, further lines, everything passed on to the receiver.
fn server(listen: &str, lines: &str, receiver: &Receiver) -> String {
    let pass = format!("proxy_pass http://127.0.0.1:{}; proxy_http_version 1.1;", receiver.port());
    format!("listen {listen}; {lines} location / {{ {pass} }}")
}

/// Two hundred events through it to the end; all of them arrive.
fn all_arrive(setup: &Setup, receiver: &Receiver) {
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 200, 5000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
}

#[test]
fn tls_of_both_versions() {
    for version in ["TLSv1.2", "TLSv1.3"] {
        let den = Den::new("nginx-tls");
        let receiver = Receiver::start();
        let [ca, cert, key, ..] = Certs::new().put(&den, "a");
        let lines = format!("ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols {version};");
        let Some(nginx) = Nginx::start(&den, &server("127.0.0.1:$PORT ssl", &lines, &receiver)) else { return };
        let url = format!("https://localhost:{}/", nginx.port());
        all_arrive(&Setup::new(&den).url(&url).args(&["--ca-certificate", &ca]), &receiver);
    }
}

#[test]
fn a_required_client_certificate_missing_fills_the_spool_and_given_empties_it() {
    for version in ["TLSv1.2", "TLSv1.3"] {
        let den = Den::new("nginx-client");
        let receiver = Receiver::start();
        let [ca, cert, key, client, client_key] = Certs::new().put(&den, "a");
        let lines = format!(
            "ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols {version}; \
             ssl_verify_client on; ssl_client_certificate {ca};"
        );
        let Some(nginx) = Nginx::start(&den, &server("127.0.0.1:$PORT ssl", &lines, &receiver)) else { return };
        let url = format!("https://127.0.0.1:{}/", nginx.port());
        let without = Setup::new(&den).url(&url).args(&["--ca-certificate", &ca, "--drain", "2s"]);
        let mut first = without.picodata();
        let mut events = Events::new(1, 1);
        first.events(&mut events, 100, 1000);
        assert_eq!(first.finish(LIMIT), 0, "{}", first.err());
        assert_eq!(receiver.count(), 0);
        assert!(first.err().contains("400"), "the answer is said: {}", first.err());
        let condemned = files_below(den.path())
            .into_iter()
            .any(|(p, b)| p.to_string_lossy().contains("quarantine-") && !b.is_empty());
        assert!(!condemned, "nginx answers 400 to everything: that condemns nothing");
        let mut second = without.args(&["--certificate", &client, "--private-key", &client_key]).picodata();
        receiver.wait_count(100, LIMIT);
        assert_eq!(second.finish(LIMIT), 0, "{}", second.err());
        assert_eq!(first.ledger.compare(&receiver.docs()), Ok(()));
    }
}

#[test]
fn http_sent_to_an_https_port_condemns_nothing() {
    let den = Den::new("nginx-plain");
    let receiver = Receiver::start();
    let [ca, cert, key, ..] = Certs::new().put(&den, "a");
    let lines = format!("ssl_certificate {cert}; ssl_certificate_key {key};");
    let Some(nginx) = Nginx::start(&den, &server("127.0.0.1:$PORT ssl", &lines, &receiver)) else { return };
    let mut first =
        Setup::new(&den).url(&format!("http://127.0.0.1:{}/", nginx.port())).args(&["--drain", "1s"]).picodata();
    let mut events = Events::new(1, 1);
    first.events(&mut events, 50, 1000);
    assert_eq!(first.finish(LIMIT), 0, "{}", first.err());
    let right = format!("https://127.0.0.1:{}/", nginx.port());
    let mut second = Setup::new(&den).url(&right).args(&["--ca-certificate", &ca]).picodata();
    receiver.wait_count(50, LIMIT);
    assert_eq!(second.finish(LIMIT), 0, "{}", second.err());
    assert_eq!(first.ledger.compare(&receiver.docs()), Ok(()));
}

#[test]
fn gzip_passes() {
    let den = Den::new("nginx-gzip");
    let receiver = Receiver::start();
    let Some(nginx) = Nginx::start(&den, &server("127.0.0.1:$PORT", "", &receiver)) else { return };
    all_arrive(&Setup::new(&den).url(&format!("http://127.0.0.1:{}/", nginx.port())).args(&["--gzip"]), &receiver);
    assert!(receiver.visits().iter().all(|v| v.request.header("content-encoding") == Some("gzip")));
}

#[test]
fn basic_auth_is_asked_for_and_given() {
    let den = Den::new("nginx-basic");
    let receiver = Receiver::start();
    let users = den.put("users", "auditor:{PLAIN}horse staple\n");
    let lines = format!("auth_basic audit; auth_basic_user_file {users};");
    let Some(nginx) = Nginx::start(&den, &server("127.0.0.1:$PORT", &lines, &receiver)) else { return };
    let url = format!("http://127.0.0.1:{}/", nginx.port());
    let wrong = den.put("wrong", "donkey\n");
    let right = den.put("right", "horse staple\n");
    let setup = |file: &str| Setup::new(&den).url(&url).args(&["--user", "auditor", "--password-file", file]);
    let mut first = setup(&wrong).args(&["--drain", "1s"]).picodata();
    let mut events = Events::new(1, 1);
    first.events(&mut events, 50, 1000);
    assert_eq!(first.finish(LIMIT), 0, "{}", first.err());
    assert!(receiver.count() == 0 && first.err().contains("401"), "{}", first.err());
    let mut second = setup(&right).picodata();
    receiver.wait_count(50, LIMIT);
    assert_eq!(second.finish(LIMIT), 0, "{}", second.err());
    assert_eq!(first.ledger.compare(&receiver.docs()), Ok(()));
}

#[test]
fn a_413_halves_the_batch_down_to_the_one_event_that_is_too_big() {
    let den = Den::new("nginx-413");
    let receiver = Receiver::start();
    let Some(nginx) = Nginx::start(&den, &server("127.0.0.1:$PORT", "client_max_body_size 8k;", &receiver)) else {
        return;
    };
    let url = format!("http://127.0.0.1:{}/", nginx.port());
    let mut picodata = Setup::new(&den).url(&url).args(&["--linger", "300ms"]).picodata();
    let mut events = Events::new(1, 1);
    for i in 0..150 {
        if i == 70 {
            let big = events.event_long(12_000);
            picodata.write_raw(format!("{big}\n").as_bytes()).expect("a reader");
        } else {
            picodata.write(&events.event()).expect("a reader");
        }
    }
    receiver.wait_count(149, LIMIT);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
    let files = files_below(den.path());
    let quarantine: Vec<String> = files
        .iter()
        .filter(|(p, _)| p.ends_with("quarantine-r1.jsonl"))
        .flat_map(|(_, b)| text(b).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(quarantine.len() == 1 && quarantine[0].contains("1.1.71"), "{} lines", quarantine.len());
}

#[test]
fn over_a_unix_socket() {
    let den = Den::new("nginx-unix");
    let receiver = Receiver::start();
    let socket = den.file("gost.sock");
    let Some(_nginx) = Nginx::start(&den, &server(&format!("unix:{socket}"), "", &receiver)) else { return };
    all_arrive(&Setup::new(&den).url(&format!("http+unix://{socket}:/audit?x=1")), &receiver);
    assert!(
        receiver.visits().iter().all(|v| v.request.path == "/audit?x=1"),
        "{:?}",
        receiver.visits()[0].request.path
    );
}
