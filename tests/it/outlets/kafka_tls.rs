//! `kafka+tls://`: brokers that are reached by TLS alone, in which logins of all kinds happen. The stand-in speaks in clear;
//! before it stands stunnel, so the TLS at the other end is OpenSSL's and not ours.

use super::broker::Broker;
use super::{assert_all, check, docs_of, pour, wait_said, LIMIT, MANY};
use crate::harness::peer::{Peer, Plan};
use crate::harness::tls::Certs;
use crate::harness::{free_port, peer, Den, Setup};
use std::net::TcpStream;

/// The way to the broker: TLS at this address and port; `more`: lines of its configuration.
struct Front {
    stunnel: Peer,
    url: String,
}

impl Front {
    fn start(den: &Den, certs: &Certs, broker: &Broker, address: &str, more: &str) -> Option<Front> {
        let (program, port) = (peer("stunnel-proxy")?, free_port());
        let [_, cert, key, ..] = certs.put(den, "front");
        let conf = format!(
            "foreground = yes\npid =\n[kafka]\naccept = {address}:{port}\nconnect = 127.0.0.1:{}\ncert = {cert}\nkey = {key}\n{more}",
            broker.port
        );
        let args = vec![den.put("stunnel.conf", conf)];
        let place = format!("{address}:{port}");
        let ready = Box::new({
            let place = place.clone();
            move || TcpStream::connect(&place).is_ok()
        });
        let stunnel = Peer::start(den, Plan { program, args, ready, decode: Box::new(Vec::new) });
        broker.is_behind(port);
        Some(Front { stunnel, url: format!("kafka+tls://{place}/audit") })
    }
}

#[test]
fn everything_comes_once_through_tls_with_each_login_while_the_way_breaks() {
    for (mechanism, count) in [("SCRAM-SHA-512", MANY), ("SCRAM-SHA-256", 500), ("PLAIN", 500)] {
        let (den, certs) = (Den::new(&format!("kafka-tls-{mechanism}")), Certs::new());
        let broker = Broker::start(Some((mechanism, "ivan", "p=ss,wörd")), 2, usize::MAX);
        let Some(mut front) = Front::start(&den, &certs, &broker, "127.0.0.1", "") else { return };
        let (password, ca) = (den.put("password", "p=ss,wörd\n"), den.file("front-ca.pem"));
        let sasl = mechanism.to_lowercase();
        let login = ["--user", "ivan", "--password-file", &password, "--sasl", &sasl, "--ca-certificate", &ca];
        let mut picodata = Setup::new(&den).url(&front.url).args(&login).args(&["--drain", "60s"]).picodata();
        let cut = pour(&mut picodata, count, count == MANY);
        // (Processes of its connections end with it.)
        front.stunnel.kill9();
        front.stunnel.start_again();
        assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
        let (values, again, faults) = broker.seen();
        let (docs, repeats) = docs_of(values.iter().map(String::as_str));
        assert_all(&picodata, &cut, &docs);
        assert_eq!(faults, Vec::<String>::new());
        assert!(
            count == MANY || repeats == 0,
            "{mechanism}: {repeats} came twice, {again} batches were told as repeats"
        );
        assert!(!picodata.err().contains("wörd") && !picodata.err().contains("in clear"), "{}", picodata.err());
        eprintln!("kafka+tls {mechanism}: {} events, {repeats} came again, lost 0", docs.len());
    }
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_with_its_cure() {
    let (den, certs, strange) = (Den::new("kafka-tls-wrong"), Certs::new(), Certs::new());
    let broker = Broker::start(None, 0, usize::MAX);
    let Some(front) = Front::start(&den, &certs, &broker, "127.0.0.1", "") else { return };
    let [other_ca, ..] = strange.put(&den, "strange");
    let ca = den.file("front-ca.pem");
    let said = |url: &str, args: &[&str], words: &str| {
        let (well, said) = check(&Setup::new(&den), &[&["--url", url, "--send"], args].concat());
        assert!(!well && said.contains(words), "{url} {args:?}: no «{words}» in:\n{said}");
    };
    said(&front.url, &["--ca-certificate", &other_ca], "--ca-certificate");
    said(&front.url, &[], "--ca-certificate");
    said(&front.url, &["--ca-certificate", &ca, "--tls-server-name", "other.example.org"], "other.example.org");
    said(&front.url.replace("kafka+tls", "kafka"), &["--first-byte-timeout", "2s"], "kafka+tls://");
    said(&broker.url().replace("kafka", "kafka+tls"), &["--ca-certificate", &ca, "--connect-timeout", "2s"], "TLS");
    let (well, text) = check(&Setup::new(&den), &["--url", &front.url, "--send", "--ca-certificate", &ca]);
    assert!(well && text.contains("took the test event"), "{text}");
}

#[test]
fn a_broker_that_wants_a_certificate_gets_it_and_says_so_when_it_does_not() {
    let (den, certs) = (Den::new("kafka-tls-mutual"), Certs::new());
    let broker = Broker::start(None, 0, usize::MAX);
    let [ca, _, _, client, client_key] = certs.put(&den, "front");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&client_key, private).expect("a mode");
    let more = format!("verifyChain = yes\nCAfile = {ca}\n");
    let Some(front) = Front::start(&den, &certs, &broker, "127.0.0.1", &more) else { return };
    let without = ["--url", &front.url, "--send", "--ca-certificate", &ca];
    let (well, said) = check(&Setup::new(&den), &without);
    assert!(!well && said.contains("--certificate"), "{said}");
    let with = [&without[..], &["--certificate", &client, "--private-key", &client_key]].concat();
    let (well, said) = check(&Setup::new(&den), &with);
    assert!(well && said.contains("took the test event"), "{said}");
    // And while it runs: nothing counts as taken before.
    let mut picodata = Setup::new(&den).url(&front.url).args(&["--ca-certificate", &ca, "--drain", "1s"]).picodata();
    picodata.events(&mut crate::harness::Events::new(1, 1), 20, 1000);
    wait_said(&picodata, "--certificate");
    picodata.finish(LIMIT);
    assert_eq!(broker.seen().0.len(), 1, "the test event alone\n{}", picodata.err());
}
