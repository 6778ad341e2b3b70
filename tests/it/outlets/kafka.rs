//! `kafka://` against librdkafka's mock cluster (three brokers, leaders that change, errors on demand), read by kcat; and against
//! strangers.

use super::broker::Broker;
use super::{assert_all, check, docs_of, event, pour, wait_said, LIMIT, MANY};
use crate::harness::den::free_listener;
use crate::harness::nginx::Nginx;
use crate::harness::setup::text;
use crate::harness::{peer, wait, Den, Events, Setup};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The cluster.
struct Cluster {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    brokers: String,
}

impl Cluster {
    fn start() -> Option<Cluster> {
        peer("kcat")?;
        let mut command = Command::new(peer("kafka-mock")?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the cluster starts");
        let orders = child.stdin.take().expect("its input");
        let mut answers = BufReader::new(child.stdout.take().expect("its output"));
        let mut brokers = String::new();
        answers.read_line(&mut brokers).expect("its brokers");
        Some(Cluster { child, orders, answers, brokers: brokers.trim().to_owned() })
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("it listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        assert_eq!(answer.trim(), "done", "{order}");
    }

    fn url(&self, topic: &str) -> String {
        format!("kafka://{}/{topic}", self.brokers)
    }

    /// How many records there are.
    fn count(&self, topic: &str) -> usize {
        let program = peer("kcat").expect("it was there");
        let parts: Vec<String> = (0..4).flat_map(|p| ["-t".into(), format!("{topic}:{p}:-1")]).collect();
        let out = Command::new(program).args(["-Q", "-b", &self.brokers]).args(parts).output().expect("kcat");
        // `audit [0] offset 7`
        text(&out.stdout).lines().filter_map(|l| l.rsplit(' ').next()?.parse::<usize>().ok()).sum()
    }

    /// Partition, key, headers and value of all records, in order within a partition.
    fn read(&self, topic: &str) -> Vec<[String; 4]> {
        let program = peer("kcat").expect("it was there");
        let format = "%p\t%k\t%h\t%s\n";
        let args = ["-C", "-b", &self.brokers, "-t", topic, "-o", "beginning", "-e", "-q", "-f", format];
        let out = Command::new(program).args(args).output().expect("kcat");
        assert!(out.status.success(), "{}", text(&out.stderr));
        let parts = |l: &str| {
            let mut parts = l.splitn(4, '\t').map(str::to_owned);
            std::array::from_fn(|_| parts.next().expect("four parts"))
        };
        text(&out.stdout).lines().map(parts).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_event_is_there_once_and_in_order_while_leaders_change_and_brokers_fail() {
    let Some(mut cluster) = Cluster::start() else { return };
    let den = Den::new("kafka-leaders");
    cluster.order("topic audit 4");
    let setup =
        Setup::new(&den).url(&cluster.url("audit")).args(&["--gzip", "--drain", "60s", "--batch-events", "100"]);
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    // NOT_LEADER, NOT_ENOUGH_REPLICAS, COORDINATOR_LOAD_IN_PROGRESS, REQUEST_TIMED_OUT; OUT_OF_ORDER, UNKNOWN_PRODUCER_ID and
    // INVALID_PRODUCER_EPOCH; an error that nobody knows.
    for (n, code) in [6, 19, 14, 7, 45, 59, 47, -1, 1234].into_iter().enumerate() {
        (0..4).for_each(|partition| cluster.order(&format!("leader audit {partition} {}", 1 + n % 3)));
        cluster.order(&format!("fail 0 2 {code}"));
        for _ in 0..200 {
            picodata.write(&event(&mut events, n)).expect("the pipe never breaks");
        }
        // By progress: a hundred errors before the first batch would be one long wait.
        wait("they are there", LIMIT, || cluster.count("audit") == 200 * (n + 1));
    }
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let records = cluster.read("audit");
    let partitions: std::collections::HashSet<&String> = records.iter().map(|r| &r[0]).collect();
    assert_eq!(partitions.len(), 1, "the order of an instance is that of a partition");
    let (docs, repeats) = docs_of(records.iter().map(|r| r[3].as_str()));
    assert_eq!((picodata.ledger.compare(&docs), repeats), (Ok(()), 0), "{}", picodata.err());
    for (record, doc) in records.iter().zip(&docs) {
        assert_eq!((&record[1], record[2].as_str()), (&doc.id, format!("id={}", doc.id).as_str()));
    }
}

#[test]
fn deaths_lose_nothing_and_repeats_bear_their_key() {
    let Some(mut cluster) = Cluster::start() else { return };
    let den = Den::new("kafka-kill");
    cluster.order("topic audit 1");
    let mut picodata = Setup::new(&den).url(&cluster.url("audit")).args(&["--gzip", "--drain", "60s"]).picodata();
    let cut = pour(&mut picodata, MANY, true);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let records = cluster.read("audit");
    let (docs, repeats) = docs_of(records.iter().map(|r| r[3].as_str()));
    assert_all(&picodata, &cut, &docs);
    eprintln!("kafka: {} events, {repeats} came again after 10 deaths, lost 0", docs.len());
}

#[test]
fn a_broker_that_goes_and_comes_and_one_that_is_late_lose_nothing() {
    let Some(mut cluster) = Cluster::start() else { return };
    let den = Den::new("kafka-down");
    cluster.order("topic audit 1");
    let mut picodata = Setup::new(&den).url(&cluster.url("audit")).args(&["--drain", "60s"]).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 500, 20_000);
    (1..=3).for_each(|b| cluster.order(&format!("down {b}")));
    picodata.events(&mut events, 500, 20_000);
    wait_said(&picodata, "receiver r1: ");
    (1..=3).for_each(|b| cluster.order(&format!("up {b}")));
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let records = cluster.read("audit");
    let (docs, _) = docs_of(records.iter().map(|r| r[3].as_str()));
    assert_eq!(picodata.ledger.compare(&docs), Ok(()), "{}", picodata.err());
}

#[test]
fn a_leader_that_is_gone_for_good_is_found_elsewhere_by_whoever_was_told_of_it_alone() {
    let Some(mut cluster) = Cluster::start() else { return };
    let den = Den::new("kafka-moved");
    cluster.order("topic audit 1");
    cluster.order("leader audit 0 1");
    let first = cluster.brokers.split(',').next().expect("a broker").to_owned();
    let mut picodata = Setup::new(&den).url(&format!("kafka://{first}/audit")).args(&["--drain", "60s"]).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 100, 20_000);
    wait("they are there", LIMIT, || cluster.count("audit") == 100);
    cluster.order("leader audit 0 2");
    cluster.order("down 1");
    picodata.events(&mut events, 100, 20_000);
    // (kcat asks all three, of which one is gone.)
    wait("the others say who leads now", LIMIT, || cluster.count("audit") == 200);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}

#[test]
fn a_leader_that_was_gone_before_the_first_batch_holds_nothing_up() {
    let Some(mut cluster) = Cluster::start() else { return };
    let den = Den::new("kafka-gone");
    cluster.order("topic audit 1");
    cluster.order("leader audit 0 1");
    cluster.order("down 1");
    let mut picodata = Setup::new(&den).url(&cluster.url("audit")).args(&["--drain", "60s"]).picodata();
    picodata.events(&mut Events::new(1, 1), 100, 20_000);
    wait_said(&picodata, "receiver r1: ");
    cluster.order("leader audit 0 2");
    wait("they are there", LIMIT, || cluster.count("audit") == 100);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}

#[test]
fn a_topic_that_moves_or_shrinks_is_looked_for() {
    let den = Den::new("kafka-moves");
    let (old, new) = (Broker::start(None, 0, usize::MAX), Broker::start(None, 0, usize::MAX));
    // (Of an instance of this name all events go to the last of five partitions.)
    let args = ["--instance", "default", "--drain", "30s"];
    let mut picodata = Setup::new(&den).url(&old.url()).args(&args).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 100, 20_000);
    wait("they are there", LIMIT, || old.seen().0.len() == 100);
    // It answers UNKNOWN_TOPIC_OR_PARTITION now; of what the other one gets, nobody knows whether it is there.
    old.has(5, 0);
    new.has(5, u32::MAX);
    old.moves_to(new.port);
    picodata.events(&mut events, 100, 20_000);
    wait("they are elsewhere", LIMIT, || new.partitions().last() == Some(&4));
    wait_said(&picodata, "closed the connection without an answer");
    // And its partition is no more.
    new.has(1, 0);
    picodata.events(&mut events, 100, 20_000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let all: Vec<String> = old.seen().0.into_iter().chain(new.seen().0).collect();
    let (docs, _) = docs_of(all.iter().map(String::as_str));
    assert_eq!(picodata.ledger.compare(&docs), Ok(()), "{}", picodata.err());
    assert_eq!(new.partitions().last(), Some(&0));
    assert!(!picodata.err().contains("kafka-topics.sh"), "the topic was there all the time: {}", picodata.err());
}

#[test]
fn a_place_that_only_the_cluster_knows_is_told_as_such() {
    let den = Den::new("kafka-advertised");
    let broker = Broker::start(None, 0, usize::MAX);
    broker.is_behind(free_listener().local_addr().expect("an address").port());
    let (well, said) = check(&Setup::new(&den), &["--url", &broker.url(), "--send", "--connect-timeout", "2s"]);
    assert!(!well && said.contains("advertised.listeners"), "{said}");
}

#[test]
fn what_is_wrong_is_told_with_its_cure_and_events_are_kept() {
    let Some(mut cluster) = Cluster::start() else { return };
    let den = Den::new("kafka-wrong");
    cluster.order("topic audit 1");
    let said = |url: &str, args: &[&str], words: &str| {
        let (well, said) = check(&Setup::new(&den), &[&["--url", url, "--send"], args].concat());
        assert!(!well && said.contains(words), "{url}: no «{words}» in:\n{said}");
    };
    cluster.order("topic-error audit 29");
    said(&cluster.url("audit"), &[], "kafka-acls.sh");
    cluster.order("topic-error audit 3");
    said(&cluster.url("audit"), &[], "kafka-topics.sh --create");
    cluster.order("topic-error audit 0");
    let (well, text) = check(&Setup::new(&den), &["--url", &cluster.url("audit"), "--send"]);
    assert!(well && text.contains("took the test event"), "{text}");
    if let Some(nginx) = Nginx::start(&den, "listen 127.0.0.1:$PORT; return 200;") {
        said(&format!("kafka://127.0.0.1:{}/audit", nginx.port()), &["--first-byte-timeout", "9s"], "speaks HTTP");
    }
    let closed = free_listener().local_addr().expect("an address");
    said(&format!("kafka://{closed}/audit"), &["--connect-timeout", "2s"], "refused");
    let http = crate::harness::Receiver::start();
    said(&format!("kafka://127.0.0.1:{}/audit", http.port()), &["--first-byte-timeout", "2s"], "is it a Kafka broker");
    let certs = crate::harness::tls::Certs::new();
    let tls = crate::harness::Receiver::start_tls(certs.server_config());
    said(&format!("kafka://127.0.0.1:{}/audit", tls.port()), &["--first-byte-timeout", "2s"], "speaks TLS");
    said(&cluster.url("audit").replace("kafka://", "kafka+tls://"), &["--connect-timeout", "2s"], "TLS");
    said(&cluster.url("bad/topic"), &[], "letters, digits");
    cluster.order("fail 0 20 10");
    let mut picodata = Setup::new(&den).url(&cluster.url("audit")).args(&["--drain", "30s"]).picodata();
    picodata.events(&mut Events::new(1, 1), 20, 1000);
    wait("they come when it takes them", LIMIT, || cluster.read("audit").len() >= 21);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}

#[test]
fn logins_by_plain_and_scram_and_a_lost_answer_makes_no_repeat() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let den = Den::new(mechanism);
        let broker = Broker::start(Some((mechanism, "au,dit", "p=ss,wörd")), 3, usize::MAX);
        let password = den.put("password", "p=ss,wörd\n");
        let sasl = mechanism.to_lowercase();
        let login = ["--user", "au,dit", "--password-file", &password, "--sasl", &sasl];
        let mut picodata = Setup::new(&den).url(&broker.url()).args(&login).args(&["--drain", "30s"]).picodata();
        picodata.events(&mut Events::new(1, 1), 500, 20_000);
        assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
        let (values, repeats, faults) = broker.seen();
        let (docs, again) = docs_of(values.iter().map(String::as_str));
        assert_eq!((picodata.ledger.compare(&docs), again, faults), (Ok(()), 0, vec![]), "{}", picodata.err());
        assert_eq!(repeats, 3, "three answers were lost, and the batches went once more as they were");
        assert!(!picodata.err().contains("wörd"), "{}", picodata.err());
        let wrong = den.put("wrong", "wr0ng-w0rd\n");
        for (args, words) in [
            (&["--user", "au,dit", "--password-file", &wrong, "--sasl", &sasl][..], "--password-file and --sasl"),
            (&[], "does it want a login"),
        ] {
            let (well, said) = check(&Setup::new(&den), &[&["--url", &broker.url(), "--send"], args].concat());
            assert!(!well && said.contains(words) && !said.contains("wr0ng-w0rd"), "{mechanism}: {said}");
        }
        let other = if sasl == "plain" { "scram-sha-256" } else { "plain" };
        let args = ["--url", &broker.url(), "--send", "--user", "u", "--password-file", &wrong, "--sasl", other];
        let (_, said) = check(&Setup::new(&den), &args);
        assert!(said.contains("UNSUPPORTED_SASL_MECHANISM") && said.contains(mechanism), "{said}");
    }
}

#[test]
fn what_a_broker_finds_too_large_is_set_aside_whole_and_the_rest_comes() {
    let den = Den::new("kafka-large");
    let broker = Broker::start(None, 2, 100_000);
    let setup = Setup::new(&den).url(&broker.url()).args(&["--drain", "30s", "--linger", "200ms"]);
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 300, 100_000);
    let long = events.event().replace(r#""message":""#, &format!(r#""message":"{}"#, "x".repeat(150_000)));
    picodata.write_raw(format!("{long}\n").as_bytes()).expect("the pipe never breaks");
    picodata.events(&mut events, 300, 100_000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let (values, _, faults) = broker.seen();
    let (docs, _) = docs_of(values.iter().map(String::as_str));
    assert_eq!((picodata.ledger.compare(&docs), faults), (Ok(()), vec![]), "{}", picodata.err());
    let spool = den.file("spool");
    let of = |what: &[&str]| {
        let out = Setup::new(&den).tool(&[&["quarantine"], what, &["--no-config", "--spool-dir", &spool]].concat());
        text(&out.stdout)
    };
    assert!(of(&["list"]).contains("MESSAGE_TOO_LARGE"), "{}", of(&["list"]));
}
