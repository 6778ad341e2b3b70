//! The commands of the documents word for word, and the ways to say the same: options, file, environment. What is wrong
//! on any day ends with 2 before the input is touched; what is wrong with the world ends nothing.

use crate::harness::setup::{binary, text};
use crate::harness::{tls::Certs, Den, Events, Receiver, Setup};
use std::io::Seek;
use std::process::Stdio;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// The directory of the binary on the PATH, the state in the den, so that the bare command can be written as it is.
fn word_for_word(den: &Den, command: &str) -> Setup {
    let dir = den.file("bin");
    std::fs::create_dir_all(&dir).expect("a directory");
    let program = format!("{dir}/gostech-audit-log");
    let _ = std::os::unix::fs::symlink(binary(), &program);
    let mut setup = Setup::bare(den);
    setup.env.push(("PATH".into(), format!("{dir}:/usr/bin:/bin")));
    setup.env.push(("STATE_DIRECTORY".into(), den.file("state")));
    std::fs::create_dir_all(den.file("state")).expect("a state directory");
    setup.literal = Some(command.to_owned());
    setup
}

#[test]
fn the_command_of_the_documents_works_word_for_word() {
    let den = Den::new("word");
    let certs = Certs::new();
    let [ca, ..] = certs.put(&den, "a");
    let proxy = Receiver::start_proxy(certs.server_config());
    let mut setup = word_for_word(&den, "gostech-audit-log --url https://example.com");
    setup.env.push(("HTTPS_PROXY".into(), format!("http://127.0.0.1:{}", proxy.port())));
    setup.env.push(("GOSTECH_AUDIT_CA_CERTIFICATE".into(), ca));
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 100, 1000);
    proxy.wait_count(100, LIMIT);
    assert_eq!(picodata.finish(LIMIT), 0, "stderr:\n{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&proxy.docs()), Ok(()));
    let visits = proxy.visits();
    assert!(visits.iter().any(|v| v.request.method == "CONNECT" && v.request.path.starts_with("example.com:443")));
    assert!(visits.iter().any(|v| v.request.method == "POST" && v.request.header("host") == Some("example.com")));
    assert!(std::fs::read_dir(den.file("state")).is_ok_and(|d| d.count() > 0), "the spool is in $STATE_DIRECTORY");
}

#[test]
fn the_old_flags_are_known() {
    let den = Den::new("old");
    let certs = Certs::new();
    let [ca, _, _, client, key] = certs.put(&den, "a");
    let receiver = Receiver::start_tls(certs.server_config());
    let old = ["--type", "pipe", "--debug", "--certificate", &client, "--private-key", &key];
    let setup = Setup::new(&den).url(&receiver.url()).args(&old).args(&["--ca-certificate", &ca]);
    let mut picodata = setup.picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    assert_eq!(picodata.finish(LIMIT), 0, "stderr:\n{}", picodata.err());
    assert_eq!(receiver.count(), 1);
}

#[test]
fn what_could_not_be_right_on_any_day_ends_with_2_and_leaves_the_input_alone() {
    let den = Den::new("usage");
    let broken = den.put("broken.conf", "url http://127.0.0.1:1/\nno-such-option 5\n");
    let url = "http://127.0.0.1:1/";
    let cases: &[&[&str]] = &[
        &[],
        &["--url"],
        &["--url", url, "--no-such-option"],
        &["--url", "not a url"],
        &["--url", "gopher://example.com/"],
        &["--url", "http://"],
        &["--url", url, "--batch-events", "many"],
        &["--url", url, "--batch-events", "0"],
        &["--url", url, "--linger", "soon"],
        &["--url", url, "--spool-max", "-1"],
        &["--url", url, "--spool-full", "perhaps"],
        &["--url", url, "--sync", "5parsecs"],
        &["--url", url, "--format", "xml"],
        &["--url", url, "--log-level", "loud"],
        &["--url", url, "--metrics-addr", "nowhere"],
        &["--url", url, "--header", "no colon"],
        &["--url", url, "--name", "a", "--url", url, "--name", "a"],
        &["--optional", "--url", url],
        &["--failover", "--url", url],
        &["--url", url, "--config", "/no/such/file.conf"],
        &["--config", &broken],
        &["stray", "--url", url],
    ];
    for case in cases {
        refused(&den, case);
    }
}

/// Exit 2, one sentence, nothing on stdout, no spool, and not a byte of the input read.
fn refused(den: &Den, case: &[&str]) {
    let mut setup = Setup::bare(den).args(case);
    if !case.contains(&"--config") {
        setup = setup.args(&["--no-config"]);
    }
    setup = setup.args(&["--spool-dir", &den.file("spool")]);
    let path = den.put("in", "a line\n");
    let mut input = std::fs::File::open(path).expect("an input");
    let out = setup.run_on(Stdio::from(input.try_clone().expect("a copy")));
    let err = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{case:?}: {err}");
    assert_eq!(input.stream_position().expect("a place"), 0, "{case:?}: the input was read");
    assert_eq!(err.trim_end().lines().count(), 1, "{case:?}: one clear sentence: {err}");
    assert!(out.stdout.is_empty(), "{case:?}: {}", text(&out.stdout));
    assert!(!den.path().join("spool").exists(), "{case:?}: a spool was made");
}

#[test]
fn help_and_version_answer_on_stdout() {
    let den = Den::new("help");
    let help = Setup::bare(&den).args(&["--help"]).run(b"");
    assert_eq!(help.status.code(), Some(0));
    for option in
        ["--url", "--spool-dir", "--spool-full", "--drain", "--ca-certificate", "--metrics-addr", "--failover"]
    {
        assert!(text(&help.stdout).contains(option), "--help without {option}");
    }
    let version = Setup::bare(&den).args(&["--version"]).run(b"");
    assert_eq!(version.status.code(), Some(0));
    assert!(text(&version.stdout).contains(env!("CARGO_PKG_VERSION")), "{}", text(&version.stdout));
}

/// Runs a setup on three events; the receiver has them in the end.
fn delivers(setup: Setup, receiver: &Receiver, n: usize) -> String {
    let mut events = Events::new(1, 1);
    let before = receiver.count();
    let input: String = (0..n).map(|_| events.event() + "\n").collect();
    let out = setup.run(input.as_bytes());
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert_eq!(receiver.count() - before, n, "{}", text(&out.stderr));
    text(&out.stderr)
}

#[test]
fn a_file_the_environment_and_flags_say_the_same_in_that_order_of_weight() {
    let den = Den::new("config");
    let (by_file, by_env, by_flag) = (Receiver::start(), Receiver::start(), Receiver::start());
    let conf =
        format!("# a comment\nurl {}\n\nlinger 10ms # another\ngzip\nspool-dir {}\n", by_file.url(), den.file("spool"));
    let conf = den.put("audit.conf", conf);
    let setup = Setup::bare(&den).args(&["--config", &conf, "--instance", "a"]);
    delivers(setup.clone(), &by_file, 3);
    assert!(by_file.visits().iter().all(|v| v.request.header("content-encoding") == Some("gzip")), "gzip by the file");
    let setup = setup.env("GOSTECH_AUDIT_URL", &by_env.url());
    delivers(
        Setup { args: [&setup.args[..2], &["--instance".into(), "b".into()]].concat(), ..setup.clone() },
        &by_env,
        3,
    );
    delivers(
        Setup { args: [&setup.args[..2], &["--instance".into(), "c".into()]].concat(), ..setup }.url(&by_flag.url()),
        &by_flag,
        3,
    );
    assert_eq!((by_file.count(), by_env.count(), by_flag.count()), (3, 3, 3));
}

#[test]
fn the_smallest_limits_need_no_further_option() {
    for limit in [["--memory-max", "1M"], ["--spool-max", "256K"], ["--event-max", "1K"]] {
        let den = Den::new("limit");
        let receiver = Receiver::start();
        delivers(Setup::new(&den).url(&receiver.url()).args(&limit), &receiver, 3);
    }
}

#[test]
fn lists_in_the_environment_have_one_value_a_line() {
    let den = Den::new("env-list");
    let (a, b) = (Receiver::start(), Receiver::start());
    let setup = Setup::new(&den).env("GOSTECH_AUDIT_URL", &format!("{}\n{}", a.url(), b.url()));
    delivers(setup, &a, 3);
    assert_eq!(b.count(), 3, "every receiver gets everything");
}

#[test]
fn what_is_wrong_with_the_world_ends_nothing() {
    let den = Den::new("world");
    let port = crate::harness::free_port();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    let closed = format!("http://127.0.0.1:{port}/");
    let https = format!("https://127.0.0.1:{port}/");
    let garbage = den.put("garbage.pem", "no certificate at all");
    let cases: &[&[&str]] = &[
        &["--url", &closed],
        &["--url", "http://no-such-host.invalid/"],
        &["--url", &https, "--ca-certificate", "/no/such/ca.pem"],
        &["--url", &https, "--ca-certificate", &garbage],
        &["--url", &https, "--certificate", &garbage, "--private-key", "/no/such/key.pem"],
        &["--url", &closed, "--user", "u", "--password-file", "/no/such/password"],
        &["--url", &closed, "--token-file", "/no/such/token"],
        &["--url", &closed, "--metrics-addr", &taken],
    ];
    for (i, case) in cases.iter().enumerate() {
        let spool = den.file(&format!("spool{i}"));
        let setup = Setup::bare(&den).args(case).args(&["--no-config", "--spool-dir", &spool, "--drain", "200ms"]);
        let mut picodata = setup.picodata();
        let mut events = Events::new(1, 1);
        picodata.stream((0..20).map(|_| events.event()), 100).expect("the pipe holds");
        picodata.write(&events.event_saying("the last one of this case")).expect("the pipe holds");
        assert_eq!(picodata.finish(LIMIT), 0, "{case:?}: {}", picodata.err());
        assert!(
            crate::harness::setup::holds(spool.as_ref(), "the last one of this case"),
            "{case:?}: not in the spool"
        );
        assert!(!picodata.err().trim().is_empty(), "{case:?}: nothing was said");
    }
}

#[test]
fn localhost_works_without_etc_hosts() {
    let den = Den::new("localhost");
    let receiver = Receiver::start();
    let mut setup = Setup::new(&den).url(&format!("http://localhost:{}/", receiver.port()));
    setup.before = r#"unshare -m /bin/sh -c 'mount --bind /dev/null /etc/hosts && exec "$0" "$@"' "#.into();
    let probe = std::process::Command::new("unshare").args(["-m", "true"]).status();
    if !probe.is_ok_and(|s| s.success()) {
        return eprintln!("skipped: no right to a mount namespace here");
    }
    let mut picodata = setup.picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    receiver.wait_count(1, LIMIT);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}
