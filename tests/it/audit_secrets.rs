//! Item 7 of the issue: nothing of a password, token or key in any output, log, status page or spool of ours, nor in our
//! own processes' arguments and environment.

use crate::harness::http::base64;
use crate::harness::setup::{contains, files_below, text};
use crate::harness::{free_port, page, procs, tls::Certs, wait, Den, Events, Mode, Receiver, Setup};
use std::time::Duration;

const PASSWORD: &str = "Pa55word-of-the-file";
const TOKEN: &str = "t0ken-of-the-file";
const HEADER: &str = "s3cret-of-the-header";
const USERINFO: &str = "Userinf0-secret";
const QUERY: &str = "qu3ry-secret";
const ADMIN: &str = "T0p-admin-secret";

struct Case {
    den: Den,
    receivers: Vec<Receiver>,
    setup: Setup,
    port: u16,
    secrets: Vec<Vec<u8>>,
}

/// Every way to give a secret at once, and receivers that refuse, so that everything worth a log line happens.
fn case() -> Case {
    let den = Den::new("secrets");
    let certs = Certs::new();
    let [ca, _, _, client, key] = certs.put(&den, "pki");
    let receivers: Vec<Receiver> = (0..3).map(|_| Receiver::start()).collect();
    for (receiver, status) in receivers.iter().zip([401, 400, 503]) {
        receiver.set(Mode::Refusing(status, None));
    }
    let port = free_port();
    let header = format!("X-Secret: @{}", den.put("header", format!("{HEADER}\n")));
    let userinfo = format!("http://bob:{USERINFO}@127.0.0.1:{}/?key={QUERY}", receivers[2].port());
    let setup = Setup::new(&den)
        .args(&["--debug", "--metrics-addr", &format!("127.0.0.1:{port}"), "--drain", "300ms"])
        .args(&["--url", &receivers[0].url(), "--user", "bob"])
        .args(&["--password-file", &den.put("password", format!("{PASSWORD}\n"))])
        .args(&["--url", &receivers[1].url(), "--token-file", &den.put("token", TOKEN), "--header", &header])
        .args(&["--ca-certificate", &ca, "--certificate", &client, "--private-key", &key])
        .args(&["--url", &userinfo])
        .env("PICODATA_ADMIN_PASSWORD", ADMIN)
        .exec();
    let key_line = certs.client_key.lines().nth(1).unwrap_or("").to_owned();
    let pairs = [base64(format!("bob:{PASSWORD}").as_bytes()), base64(format!("bob:{USERINFO}").as_bytes())];
    let plain = [PASSWORD, TOKEN, HEADER, USERINFO, QUERY, ADMIN, &key_line, &pairs[0], &pairs[1]];
    let secrets = plain.iter().map(|s| s.as_bytes().to_vec()).collect();
    Case { den, receivers, setup, port, secrets }
}

impl Case {
    fn assert_clean(&self, place: &str, bytes: &[u8]) {
        for secret in &self.secrets {
            assert!(!contains(bytes, secret), "{} stands in {place}:\n{}", text(secret), text(bytes));
        }
    }
}

#[test]
fn no_secret_leaves_the_files_it_was_given_in() {
    let case = case();
    let mut picodata = case.setup.picodata();
    let worker = picodata.wait_worker(None);
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 50, 1000);
    for (receiver, status) in case.receivers.iter().zip([401, 400, 503]) {
        receiver.wait_status(status, Duration::from_secs(30));
    }
    let keeper = picodata.family().keeper.expect("a keeper");
    for (pid, who) in [(keeper, "keeper"), (worker, "worker")] {
        for name in ["cmdline", "environ"] {
            case.assert_clean(&format!("/proc of the {who}: {name}"), procs::text(pid, name).as_bytes());
        }
    }
    let (head, body) = page::get(case.port, "/metrics").expect("a page");
    case.assert_clean("the metrics page", format!("{head}{body}").as_bytes());
    for extra in [&["status"][..], &["status", "--json"]] {
        let spool = case.den.file("spool");
        let args = [extra, &["--spool-dir", &spool, "--no-config"]].concat();
        let out = case.setup.tool(&args);
        assert_eq!(out.status.code(), Some(0), "{extra:?}: {}", text(&out.stderr));
        assert!(!out.stdout.is_empty());
        case.assert_clean(&format!("{extra:?}"), &[out.stdout, out.stderr].concat());
    }
    assert_eq!(picodata.finish(Duration::from_secs(60)), 0, "{}", picodata.err());
    case.assert_clean("stderr", picodata.err().as_bytes());
    assert_eq!(picodata.out(), "");
    let spool = files_below(&case.den.path().join("spool"));
    assert!(!spool.is_empty());
    for (path, bytes) in spool {
        case.assert_clean(&path.display().to_string(), &bytes);
    }
}

#[test]
fn the_secrets_do_arrive_where_they_belong() {
    let case = case();
    for receiver in &case.receivers {
        receiver.set(Mode::Healthy);
    }
    let mut picodata = case.setup.picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    for receiver in &case.receivers {
        receiver.wait_count(1, Duration::from_secs(60));
    }
    let header = |i: usize, name: &str| case.receivers[i].visits()[0].request.header(name).map(str::to_owned);
    let basic = |secret: &str| Some(format!("Basic {}", base64(format!("bob:{secret}").as_bytes())));
    assert_eq!(header(0, "authorization"), basic(PASSWORD));
    assert_eq!(header(1, "authorization"), Some(format!("Bearer {TOKEN}")));
    assert_eq!(header(1, "x-secret").as_deref(), Some(HEADER));
    assert_eq!(header(2, "authorization"), basic(USERINFO));
    assert_eq!(picodata.finish(Duration::from_secs(60)), 0, "{}", picodata.err());
}

#[test]
fn check_and_usage_errors_print_no_secret() {
    let case = case();
    let mut check = case.setup.clone();
    check.args.insert(0, "check".into());
    let out = check.run(b"");
    case.assert_clean("check", &[out.stdout, out.stderr].concat());
    let url = format!("http://bob:{USERINFO}@/");
    let wrong = Setup::new(&case.den).url(&url).args(&["--batch-events", "no"]).run(b"");
    assert_eq!(wrong.status.code(), Some(2));
    case.assert_clean("a usage error", &wrong.stderr);
}

#[test]
fn the_alarm_command_inherits_no_password() {
    let case = case();
    let script = case.den.put("alarm.sh", "#!/bin/sh\nenv > \"$1.new\" && mv \"$1.new\" \"$1\"\n");
    std::process::Command::new("chmod").args(["+x", &script]).status().expect("chmod");
    let seen = case.den.file("alarm.env");
    let mut picodata = case.setup.clone().args(&["--on-alarm", &format!("{script} {seen}")]).picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    wait("an alarm", Duration::from_secs(60), || std::path::Path::new(&seen).exists());
    let environment = std::fs::read(&seen).expect("what the alarm saw");
    assert!(contains(&environment, b"GOSTECH_ALARM="), "{}", text(&environment));
    case.assert_clean("the environment of the alarm", &environment);
    assert_eq!(picodata.finish(Duration::from_secs(60)), 0, "{}", picodata.err());
}

/// Events are nobody else's business: neither what the helper makes nor what a command does.
#[test]
fn what_lies_in_the_spool_is_for_its_user_alone() {
    let (den, receiver) = (Den::new("modes"), Receiver::start());
    receiver.set(Mode::Marker(400, "condemned".into()));
    let setup = Setup::new(&den);
    let mut picodata = setup.clone().url(&receiver.url()).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 50, 5000);
    picodata.write(&events.event_saying("condemned")).expect("a reader");
    picodata.events(&mut events, 50, 5000);
    receiver.wait_count(100, Duration::from_secs(60));
    assert_eq!(picodata.finish(Duration::from_secs(60)), 0, "{}", picodata.err());
    let spool = den.file("spool");
    let replay = ["spool", "replay", "--from", "1.1.1", "--to", "1.1.9", "--no-config", "--spool-dir", &spool];
    assert_eq!(setup.tool(&replay).status.code(), Some(0));
    let made = files_below(std::path::Path::new(&spool));
    assert!(made.len() >= 7 && made.iter().any(|(p, _)| p.ends_with("quarantine-r1.jsonl")), "{made:?}");
    let open = std::process::Command::new("find").args([&spool, "-perm", "/077"]).output().expect("find");
    assert!(open.status.success() && open.stdout.is_empty(), "open to others:\n{}", text(&open.stdout));
}

/// The receiver's 400 is not what one has to learn it from.
#[test]
fn an_expired_client_certificate_is_told_before_anybody_refuses_it() {
    let den = Den::new("expired-client");
    let [ca, ..] = Certs::new().put(&den, "c");
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec!["picodata".into()]).expect("names");
    params.not_after = rcgen::date_time_ymd(2021, 2, 3);
    let cert = den.put("old.pem", params.self_signed(&key).expect("a signature").pem());
    let key = den.put("old.key", key.serialize_pem());
    let port = crate::harness::free_port();
    let page = format!("127.0.0.1:{port}");
    let args = ["--ca-certificate", &ca, "--certificate", &cert, "--private-key", &key, "--metrics-addr", &page];
    let mut picodata = Setup::new(&den).url("https://localhost:1/").args(&args).args(&["--drain", "0s"]).picodata();
    let so = format!("certificate `{cert}`: has ended on 2021-02-03: have a new one issued");
    crate::harness::wait("the word of it", Duration::from_secs(60), || picodata.err().contains(&so));
    let page = crate::harness::Page::scrape(port);
    let file = format!("file=\"{cert}\"");
    assert_eq!(page.must("gostech_audit_certificate_not_after_timestamp_seconds", &[&file]), 1_612_310_400.0);
    assert_eq!(picodata.finish(Duration::from_secs(60)), 0, "{}", picodata.err());
}
