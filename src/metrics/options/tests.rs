//! Calls, and what they come to.

use super::*;
use crate::flags::check;
use crate::net::secret::Secret;
use crate::net::target::Place;

fn parsed(args: &[&str], env: &[(&str, &str)], file: &str) -> Result<Parsed> {
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    let mut env: Vec<_> = env.iter().map(|(n, v)| (OsString::from(n), OsString::from(v))).collect();
    let read = |_: &Path| {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        if file.is_empty() {
            Err(missing)
        } else {
            Ok(file.as_bytes().to_vec())
        }
    };
    match super::read(&args, &mut env, &read)? {
        Outcome::Run(parsed) => Ok(parsed),
        Outcome::Print(_) => panic!("printed"),
    }
}

pub fn options(args: &[&str]) -> Result<Options> {
    understand(&parsed(args, &[], "")?, None)
}

#[test]
fn the_table_is_sound() {
    assert_eq!(check::complaints(&PROGRAM), Vec::<String>::new());
}

#[test]
fn the_documented_command_and_the_defaults() {
    let o = options(&[
        "--host",
        "localhost",
        "--port",
        "3301",
        "--username",
        "pico_service",
        "--password",
        "T0psecret",
        "--addr",
        "localhost:4401",
    ])
    .unwrap();
    assert_eq!(o.database.dial.place, Place::Net { host: "localhost".into(), port: 3301 });
    assert_eq!((o.login.user.as_str(), o.addresses[0].to_string().as_str()), ("pico_service", "localhost:4401"));
    assert!(o.warnings.iter().any(|w| w.contains("--password-file")) && matches!(o.job, Job::Serve));
    let o = options(&[]).unwrap();
    assert_eq!(
        (o.database.dial.place, o.addresses[0].to_string().as_str()),
        (Place::Net { host: "localhost".into(), port: 3301 }, "127.0.0.1:4401")
    );
    assert_eq!((o.floor, o.interval, o.wishes.grade), (Duration::from_secs(1), None, None));
    assert!(o.warnings.iter().any(|w| w.contains("empty")));
}

#[test]
fn passwords_by_nearness() {
    let secret = |args: &[&str], env: &[(&str, &str)], file: &str, cred: Option<&str>| {
        let mut warnings = Vec::new();
        password::find(&parsed(args, env, file).unwrap(), cred.map(Path::new), &mut warnings)
    };
    let file = |s: Result<Secret>| s.unwrap().path().map(|p| p.display().to_string());
    let pico = [("PICODATA_SERVICE_PASSWORD_FILE", "/pico")];
    assert_eq!(file(secret(&["--password-file", "/a"], &pico, "password = x", Some("/cred"))).as_deref(), Some("/a"));
    assert_eq!(file(secret(&["--service-password-file", "/b"], &[], "", None)).as_deref(), Some("/b"));
    assert_eq!(file(secret(&[], &pico, "", Some("/cred"))).as_deref(), Some("/pico"));
    assert_eq!(file(secret(&[], &[], "password-file = /conf", Some("/cred"))).as_deref(), Some("/cred"));
    assert_eq!(file(secret(&[], &[], "password-file = /conf", None)).as_deref(), Some("/conf"));
    assert_eq!(secret(&[], &[("GOSTECH_METRICS_PASSWORD", "x")], "", None).unwrap().read().unwrap(), b"x");
    assert!(secret(&["--password", "x", "--password-file", "/a"], &[], "", None).is_err());
    // What the database's surroundings hand on is for `pico_service`, and only when nothing else was meant.
    let mon = ["--username", "mon"];
    assert_eq!(file(secret(&mon, &pico, "password-file = /conf", None)).as_deref(), Some("/conf"));
    assert_eq!(secret(&mon, &pico, "", None).unwrap().read().unwrap(), b"");
    let both = [pico[0], ("GOSTECH_METRICS_PASSWORD", "x")];
    assert_eq!(secret(&[], &both, "", None).unwrap().read().unwrap(), b"x");
    let named = ["--username", "mon", "--service-password-file", "/b"];
    assert_eq!(file(secret(&named, &pico, "", None)).as_deref(), Some("/b"));
}

#[test]
fn what_could_not_be_right_on_any_day() {
    for args in [
        &["--port", "0"][..],
        &["--port", "x"],
        &["--host", "localhost:3301/x"],
        &["--host", ""],
        &["--username", ""],
        &["--source", "all"],
        &["--source", "function"],
        &["--without", "everything"],
        &["--label", "x"],
        &["--label", "1x=y"],
        &["--label", "le=1"],
        &["--label", "a=1", "--label", "a=2"],
        &["--only", "a,,b"],
        &["--once", "--check"],
        &["--timeout", "0"],
        &["--poll-interval", "500ms"],
        &["--poll-interval", "5s", "--min-interval", "10s"],
        &["--web-tls-key", "k"],
        &["--web-client-ca", "k"],
        &["--tls-auth", "--tls-key", "k"],
        &["--auth-method", "scram-sha256"],
        &["--function", "a,b,c,d,e,f,g,h,i"],
        &["--addr", "localhost"],
        &["--addr", "unix:x"],
        &["extra"],
    ] {
        let code = options(args).err().map(|e| e.exit());
        assert_eq!(code, Some(crate::error::Exit::Usage), "{args:?}");
    }
}

#[test]
fn what_two_lines_say_together_is_told_by_its_place() {
    for (file, words) in [
        ("password = x\npassword-file /a", "`password-file` in `/etc/gostech/gostech-metrics.conf` line 2"),
        ("\nweb-client-ca /a", "`web-client-ca` in `/etc/gostech/gostech-metrics.conf` line 2"),
        ("tls-key /a", "`tls-key` in `/etc/gostech/gostech-metrics.conf` line 1"),
        ("once yes\ncheck yes", "`check` in `/etc/gostech/gostech-metrics.conf` line 2"),
    ] {
        let error = understand(&parsed(&[], &[], file).unwrap(), None).err().expect("an error");
        assert!(error.text().contains(words), "{}", error.text());
    }
}

#[test]
fn lists_and_places() {
    let o = options(&[
        "--host",
        "[::1]",
        "--only",
        "a,b",
        "--only",
        "c",
        "--function",
        "mon.metrics,mon.pico",
        "--label",
        "dc=x=y",
    ])
    .unwrap();
    assert_eq!(o.database.dial.place.to_string(), "[::1]:3301");
    assert_eq!(o.wishes.rules.only, ["a", "b", "c"]);
    assert_eq!(o.wishes.functions, ["mon.metrics", "mon.pico"]);
    assert_eq!(o.wishes.rules.constants, [("dc".to_string(), "x=y".to_string())]);
    let o = options(&["--socket", "/run/db.sock", "--tls-ca", "/ca"]).unwrap();
    assert_eq!(o.database.dial.place, Place::Unix { path: "/run/db.sock".into() });
    assert!(o.warnings.iter().any(|w| w.contains("--tls-auth")));
}

#[test]
fn the_words_of_mtail_are_those_of_this_program() {
    let o = options(&[
        "--graphite_host_port",
        "127.0.0.1:2003",
        "--graphite_prefix",
        "g.",
        "--statsd_hostport=[::1]:8125",
        "--collectd_socketpath",
        "/run/collectd-unixsock",
        "--metric_push_interval",
        "1m",
        "--metric_push_write_deadline",
        "5s",
        "--unix_socket",
        "/run/m.sock",
    ])
    .unwrap();
    let shown: Vec<_> = o.push.routes.iter().map(|(name, route)| (name.as_str(), route.prefix.as_str())).collect();
    let want =
        [("graphite://127.0.0.1/", "g."), ("statsd://[::1]/", ""), ("collectd+unix:///run/collectd-unixsock", "")];
    assert_eq!(shown, want);
    assert_eq!((o.push.interval, o.push.deadline), (Duration::from_secs(60), Duration::from_secs(5)));
    assert_eq!(o.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), ["unix:/run/m.sock"]);
    // In a file and in the environment the same words count, once.
    let env = [("GOSTECH_METRICS_GRAPHITE_HOST_PORT", "localhost:1")];
    let o = understand(&parsed(&[], &env, "statsd_hostport = localhost:2\n").unwrap(), None).unwrap();
    assert_eq!(o.push.routes.len(), 2);
    assert!(options(&["--graphite_host_port", "a b"]).is_err_and(|e| e.text().contains("graphite")));
}
