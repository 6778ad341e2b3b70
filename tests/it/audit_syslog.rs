//! Syslog and streams against the real rsyslog and syslog-ng, each killed in the middle of ten thousand rough events.
//!
//! Lost where the protocol can promise it: none. Where it cannot, the number is printed, and stands in the documents.

use crate::harness::nginx::Nginx;
use crate::harness::peer::{killed_in_the_middle, Death, Outcome, Peer};
use crate::harness::rsyslog::head_of;
use crate::harness::setup::{files_below, text};
use crate::harness::{rsyslog, syslog_ng, tls::Certs, Den, Events, Setup};
use std::time::Duration;

const EVENTS: usize = 10_000;
const LIMIT: Duration = Duration::from_secs(60);

/// A receiver's input, and our URL and options for it.
struct Case {
    name: &'static str,
    input: String,
    url: &'static str,
    args: Vec<String>,
}

type Start = fn(&Den, &str) -> Option<(Peer, u16)>;

fn case(name: &'static str, input: &str, url: &'static str) -> Case {
    Case { name, input: input.to_owned(), url, args: Vec::new() }
}

fn setup(den: &Den, case: &Case, port: u16) -> Setup {
    let url = case.url.replace("$PORT", &port.to_string()).replace("$HOME/", &den.file(""));
    let args: Vec<&str> = case.args.iter().map(String::as_str).collect();
    Setup::new(den).url(&url).args(&args)
}

fn killed(start: Start, of: impl FnOnce(&Den) -> Case) -> Option<Outcome> {
    dies(start, of, Death::Sudden)
}

fn dies(start: Start, of: impl FnOnce(&Den) -> Case, death: Death) -> Option<Outcome> {
    let den = Den::new("syslog");
    let case = of(&den);
    let (mut peer, port) = start(&den, &case.input)?;
    let outcome = killed_in_the_middle(&den, &setup(&den, &case, port), &mut peer, EVENTS, death);
    eprintln!("{}: {outcome:?} with a receiver that was killed in the middle", case.name);
    Some(outcome)
}

const PTCP: &str = "module(load=\"imptcp\") input(type=\"imptcp\" port=\"$PORT\" address=\"127.0.0.1\" ruleset=\"r\" maxFrameSize=\"2000000\")";
const UDP: &str = "module(load=\"imudp\") input(type=\"imudp\" port=\"$PORT\" address=\"127.0.0.1\" ruleset=\"r\")";
const UXSOCK: &str = "module(load=\"imuxsock\" SysSock.Use=\"off\") input(type=\"imuxsock\" Socket=\"$HOME/log.sock\" CreatePath=\"on\" ruleset=\"r\" RateLimit.Interval=\"0\")";

/// imtcp over TLS, by one of its libraries, which lets in who has a certificate of the name `picodata`.
fn tls_case(den: &Den, name: &'static str, driver: &str) -> Case {
    let [ca, cert, key, client, client_key] = Certs::new().put(den, "t");
    let input = format!(
        "global(DefaultNetstreamDriver=\"{driver}\" DefaultNetstreamDriverCAFile=\"{ca}\" DefaultNetstreamDriverCertFile=\"{cert}\" DefaultNetstreamDriverKeyFile=\"{key}\")\n\
         module(load=\"imtcp\" StreamDriver.Name=\"{driver}\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"x509/name\" PermittedPeer=[\"picodata\"] MaxFrameSize=\"2000000\")\n\
         input(type=\"imtcp\" port=\"$PORT\" address=\"127.0.0.1\" ruleset=\"r\")"
    );
    let args = ["--ca-certificate", &ca, "--certificate", &client, "--private-key", &client_key];
    Case { name, input, url: "syslog+tls://localhost:$PORT", args: args.map(str::to_owned).to_vec() }
}

#[test]
fn rsyslog_over_tcp_with_both_framings() {
    for url in ["syslog+tcp://127.0.0.1:$PORT", "syslog+tcp://127.0.0.1:$PORT?framing=lf"] {
        let Some(outcome) = killed(rsyslog::start, |_| case("rsyslog imptcp", PTCP, url)) else { return };
        assert!(outcome.lost < EVENTS / 2, "{outcome:?}");
    }
}

/// What the documents say of TCP: a receiver that stood still and was killed had so much in its buffers.
#[test]
fn what_stood_in_the_buffers_of_a_receiver_that_was_killed_is_lost_and_counted() {
    // Small parcels: one that its buffer cannot hold is not acknowledged, and comes again.
    let args = ["--batch-events", "20"].map(str::to_owned).to_vec();
    let plain = case("rsyslog imptcp, stopped and killed", PTCP, "syslog+tcp://127.0.0.1:$PORT");
    let tcp = |_: &Den| Case { args, ..plain };
    let Some(outcome) = dies(rsyslog::start, tcp, Death::Stopped) else { return };
    assert!(outcome.lost < EVENTS, "{outcome:?}");
}

/// RELP promises that nothing is lost: whatever is killed, everything arrives.
#[test]
fn rsyslog_over_relp_loses_nothing() {
    for death in [Death::Sudden, Death::Stopped] {
        let plain = |_: &Den| case("rsyslog imrelp", RELP, "relp://127.0.0.1:$PORT");
        let Some(outcome) = dies(rsyslog::start, plain, death) else { return };
        assert_eq!(outcome.lost, 0, "{outcome:?}");
    }
    let Some(outcome) = killed(rsyslog::start, relp_tls) else { return };
    assert_eq!(outcome.lost, 0, "{outcome:?}");
}

const RELP: &str = "module(load=\"imrelp\") input(type=\"imrelp\" port=\"$PORT\" address=\"127.0.0.1\" ruleset=\"r\" maxDataSize=\"2m\")";

fn relp_tls(den: &Den) -> Case {
    let [ca, cert, key, client, client_key] = Certs::new().put(den, "t");
    let input = format!(
        "module(load=\"imrelp\" tls.tlslib=\"openssl\") input(type=\"imrelp\" port=\"$PORT\" address=\"127.0.0.1\" ruleset=\"r\" maxDataSize=\"2m\" \
         tls=\"on\" tls.caCert=\"{ca}\" tls.myCert=\"{cert}\" tls.myPrivKey=\"{key}\" tls.authMode=\"name\" tls.permittedPeer=[\"picodata\"])"
    );
    let args = ["--ca-certificate", &ca, "--certificate", &client, "--private-key", &client_key];
    let args = args.map(str::to_owned).to_vec();
    Case { name: "rsyslog imrelp, TLS", input, url: "relp+tls://localhost:$PORT", args }
}

#[test]
fn rsyslog_over_tls_with_a_certificate_of_ours() {
    for driver in ["gtls", "ossl"] {
        let Some(outcome) = killed(rsyslog::start, |den| tls_case(den, "rsyslog imtcp, TLS", driver)) else { return };
        assert!(outcome.lost < EVENTS / 2, "{outcome:?}");
    }
}

#[test]
fn rsyslog_over_udp() {
    let Some(outcome) = killed(rsyslog::start, |_| case("rsyslog imudp", UDP, "syslog+udp://127.0.0.1:$PORT")) else {
        return;
    };
    assert!(outcome.lost < EVENTS * 3 / 4, "{outcome:?}");
}

#[test]
fn rsyslog_on_a_unix_socket() {
    let url = "syslog+unix://$HOME/log.sock";
    let Some(outcome) = killed(rsyslog::start, |_| case("rsyslog imuxsock", UXSOCK, url)) else { return };
    assert!(outcome.lost < EVENTS / 2, "{outcome:?}");
}

#[test]
fn syslog_ng_by_all_ways() {
    let address = "ip(\"127.0.0.1\") port($PORT)";
    for (name, source, url) in [
        ("syslog-ng tcp", format!("syslog({address} transport(\"tcp\"))"), "syslog+tcp://127.0.0.1:$PORT"),
        (
            "syslog-ng tcp, lines",
            format!("network({address} transport(\"tcp\") flags(syslog-protocol))"),
            "syslog+tcp://127.0.0.1:$PORT?framing=lf",
        ),
        ("syslog-ng udp", format!("syslog({address} transport(\"udp\"))"), "syslog+udp://127.0.0.1:$PORT"),
        ("syslog-ng unix-dgram", "unix-dgram(\"$HOME/log.sock\")".into(), "syslog+unix://$HOME/log.sock"),
        ("syslog-ng unix-stream", "unix-stream(\"$HOME/log.sock\")".into(), "syslog+unix://$HOME/log.sock"),
        ("JSON lines, tcp", format!("network({address} flags(no-parse))"), "tcp://127.0.0.1:$PORT"),
        ("JSON lines, unix", "unix-stream(\"$HOME/log.sock\" flags(no-parse))".into(), "unix://$HOME/log.sock"),
    ] {
        let Some(outcome) = killed(syslog_ng::start, |_| case(name, &source, url)) else { return };
        assert!(outcome.lost < EVENTS * 3 / 4, "{name}: {outcome:?}");
    }
}

#[test]
fn syslog_ng_over_tls_with_a_certificate_of_ours() {
    let of = |den: &Den| {
        let [ca, cert, key, client, client_key] = Certs::new().put(den, "t");
        let tls = format!("key-file(\"{key}\") cert-file(\"{cert}\") ca-file(\"{ca}\") peer-verify(required-trusted)");
        let input = format!("syslog(ip(\"127.0.0.1\") port($PORT) transport(\"tls\") tls({tls}))");
        let args = ["--ca-certificate", &ca, "--certificate", &client, "--private-key", &client_key];
        let args = args.map(str::to_owned).to_vec();
        Case { name: "syslog-ng tls", input, url: "syslog+tls://localhost:$PORT", args }
    };
    let Some(outcome) = killed(syslog_ng::start, of) else { return };
    assert!(outcome.lost < EVENTS / 2, "{outcome:?}");
}

/// Records of a megabyte arrive whole, or are set aside with a reason; the head says what the event says.
#[test]
fn a_megabyte_arrives_whole_or_is_set_aside() {
    for (input, url, fits) in
        [(PTCP, "syslog+tcp://127.0.0.1:$PORT", true), (UDP, "syslog+udp://127.0.0.1:$PORT", false)]
    {
        let den = Den::new("syslog-long");
        let Some((peer, port)) = rsyslog::start(&den, input) else { return };
        let args = ["--event-max", "2M", "--batch-bytes", "4M", "--facility", "local3", "--app-name", "audit"];
        let case = Case { name: "", input: String::new(), url, args: args.map(str::to_owned).to_vec() };
        let mut picodata = setup(&den, &case, port).picodata();
        let mut events = Events::new(1, 1);
        picodata.write(&events.event_saying("short")).expect("a reader");
        let long = events.event_long(1 << 20);
        picodata.write_raw(format!("{long}\n").as_bytes()).expect("a reader");
        picodata.write(&events.event_saying("behind")).expect("a reader");
        assert!(peer.wait_docs(if fits { 3 } else { 2 }, LIMIT), "{}\n{}", picodata.err(), peer.words());
        assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
        let docs = peer.docs();
        assert_eq!(docs.iter().filter(|d| d.raw.len() > 1 << 20).count(), usize::from(fits));
        let head = head_of(&den, "\"short\"");
        assert_eq!(head[..5], ["158", &host(), "audit", &host(), "dml"], "{head:?}");
        assert!(head[5].contains("title=\"dml\"") && head[5].contains("[meta sequenceId=\"1\"]"), "{head:?}");
        let set_aside: Vec<String> = files_below(den.path())
            .iter()
            .filter(|(p, _)| p.ends_with("quarantine-r1.jsonl"))
            .map(|(_, bytes)| text(bytes))
            .collect();
        match set_aside.first() {
            Some(lines) => assert!(!fits && lines.contains("fits no datagram"), "{}", &lines[..lines.len().min(300)]),
            None => assert!(fits),
        }
    }
}

fn host() -> String {
    text(&std::fs::read("/proc/sys/kernel/hostname").expect("a name")).trim().to_owned()
}

/// What `check --send` says of each mistake that people make.
#[test]
fn check_names_the_cure_of_wrong_ports_protocols_and_certificates() {
    let den = Den::new("syslog-check");
    let case = tls_case(&den, "", "gtls");
    let Some((_tls, tls)) = rsyslog::start(&den, &case.input) else { return };
    let plain_den = Den::new("syslog-check-plain");
    let Some((_plain, plain)) = rsyslog::start(&plain_den, PTCP) else { return };
    let Some(web) = Nginx::start(&den, "listen 127.0.0.1:$PORT;") else { return };
    let ca = ["--ca-certificate", &case.args[1]];
    let check = |url: String, args: &[&str]| {
        let base = ["check", "--send", "--no-config", "--connect-timeout", "1s", "--url"];
        let args: Vec<&str> = base.into_iter().chain([url.as_str()]).chain(args.iter().copied()).collect();
        let out = Setup::new(&den).tool(&args);
        (text(&out.stdout), out.status.code())
    };
    let ours: Vec<&str> = case.args.iter().map(String::as_str).collect();
    let (said, _) = check(format!("syslog+tls://localhost:{tls}"), &ours);
    assert!(said.contains("took the test event"), "{said}");
    let closed = crate::harness::free_port();
    for (url, args, word) in [
        (format!("syslog+tls://localhost:{tls}"), &ca[..], "--certificate"),
        (format!("syslog+tls://localhost:{tls}"), &[], "--ca-certificate"),
        (format!("syslog+tcp://localhost:{tls}"), &[], "TLS"),
        (format!("syslog+tls://localhost:{plain}"), &ca[..], "does it speak TLS"),
        (format!("syslog+tcp://127.0.0.1:{}", web.port()), &[], "HTTP"),
        (format!("tcp://127.0.0.1:{}", web.port()), &[], "HTTP"),
        (format!("relp://127.0.0.1:{}", web.port()), &[], "HTTP"),
        (format!("relp://127.0.0.1:{plain}"), &[], "does it speak RELP"),
        (format!("relp+tls://localhost:{tls}"), &ours[..], "does it speak RELP"),
        (format!("syslog+tcp://127.0.0.1:{closed}"), &[], "refused"),
        (format!("syslog+udp://127.0.0.1:{closed}"), &[], "is a syslog receiver with UDP listening"),
        (format!("syslog+unix://{}", den.file("none")), &[], "start what listens there"),
    ] {
        let (said, code) = check(url.clone(), args);
        assert!(said.contains(word) && code == Some(1), "{url}: no «{word}» in\n{said}");
    }
}

/// The configurations that we ship: each is loaded by the program that it is for.
#[test]
fn the_configurations_for_receivers_can_be_loaded() {
    let den = Den::new("syslog-shipped");
    let [ca, cert, key, ..] = Certs::new().put(&den, "t");
    for (file, place) in [
        ("rsyslog-relp.conf", "/etc/rsyslog-tls/"),
        ("rsyslog-tcp.conf", "/etc/rsyslog-tls/"),
        ("rsyslog-tls.conf", "/etc/rsyslog-tls/"),
        ("syslog-ng.conf", "/etc/syslog-ng/tls/"),
    ] {
        let path = format!("{}/packaging/receivers/{file}", env!("CARGO_MANIFEST_DIR"));
        let mut conf = std::fs::read_to_string(path).expect("a file of ours");
        // Also what stands there as a proposal.
        conf = conf
            .replace("\n# input(", "\ninput(")
            .replace("\n#       tls", "\n       tls")
            .replace("\n# module(", "\nmodule(");
        for (name, real) in [("ca.pem", &ca), ("server.pem", &cert), ("server.key", &key)] {
            conf = conf.replace(&format!("{place}{name}"), real);
        }
        let is_ng = file == "syslog-ng.conf";
        let conf = if is_ng { format!("@version: 3.38\n{conf}") } else { conf };
        let conf = den.put(file, conf);
        let Some(program) = crate::harness::peer(if is_ng { "syslog-ng" } else { "rsyslogd" }) else { return };
        let check = if is_ng { "--syntax-only" } else { "-N1" };
        let home = if is_ng { vec!["-R".to_owned(), den.file("persist")] } else { Vec::new() };
        let out =
            std::process::Command::new(program).args([check, "-f", &conf]).args(home).output().expect("an answer");
        let said = text(&out.stderr);
        assert!(out.status.success() && !said.contains("error"), "{file}: {said}");
    }
}
