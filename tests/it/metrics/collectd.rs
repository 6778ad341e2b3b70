//! Numbers that Debian's collectd takes: over its Unix socket, and by its network protocol, plain, signed and encrypted.

use super::helper::{free_port, peer, wait, Scratch};
use super::push::{database, pushing, steady, Server, LIMIT};
use super::stand::{picodata, recorded_page, Reply};
use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A collectd of the test's own, which keeps what it gets in files of `csv`.
pub struct Collectd {
    _process: Server,
    socket: PathBuf,
}

/// Its ports by what they want: nothing, a signature, encryption.
type Ports = [u16; 3];

fn start(dir: &Scratch, types: &str, ports: Option<Ports>) -> Option<Collectd> {
    let at = dir.0.display();
    dir.file("auth", "pico: s3cret word\n");
    let levels = ["None", "Sign", "Encrypt"].iter().zip(ports.iter().flatten());
    let listens: String = levels
        .map(|(level, port)| {
            format!("<Listen \"127.0.0.1\" \"{port}\">\nSecurityLevel \"{level}\"\nAuthFile \"{at}/auth\"\n</Listen>\n")
        })
        .collect();
    let network = if ports.is_some() {
        format!("LoadPlugin network\n<Plugin network>\n{listens}</Plugin>\n")
    } else {
        String::new()
    };
    start_with(dir, types, &network)
}

/// One with these lines in its configuration.
pub fn start_with(dir: &Scratch, types: &str, more: &str) -> Option<Collectd> {
    let program = peer("collectd")?;
    let at = dir.0.display();
    let config = dir.file(
        "collectd.conf",
        &format!(
            "Hostname \"receiver\"\nFQDNLookup false\nBaseDir \"{at}\"\nPIDFile \"{at}/pid\"\nTypesDB \"{types}\"\n{more}LoadPlugin \
             csv\n<Plugin csv>\nDataDir \"{at}/csv\"\nStoreRates false\n</Plugin>\nLoadPlugin unixsock\n<Plugin \
             unixsock>\nSocketFile \"{at}/sock\"\nDeleteSocket true\n</Plugin>\n"
        ),
    );
    let mut command = Command::new(program);
    command.args(["-f", "-C", &config]);
    let socket = dir.0.join("sock");
    let collectd = Collectd { _process: Server::start(command), socket };
    wait("collectd listens", LIMIT, || UnixStream::connect(&collectd.socket).is_ok());
    Some(collectd)
}

pub const TYPES: &str = "/usr/share/collectd/types.db";

/// What it keeps of a host: type and name → all values.
fn kept(dir: &Path, host: &str) -> BTreeMap<String, Vec<f64>> {
    let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for entry in std::fs::read_dir(dir.join("csv").join(host).join("picodata")).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().expect("a name");
        // The day stands behind it, in ten characters.
        let name = name[..name.len() - 11].split_once('-').expect("a type").1.to_string();
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let values = text.lines().skip(1).filter_map(|line| line.split_once(',')?.1.parse::<f64>().ok());
        all.entry(name).or_default().extend(values);
    }
    all
}

/// What a series is called there, told once more here.
fn called(series: &str) -> String {
    super::push::path_of(series).replace('/', ".")
}

#[test]
fn collectd_has_every_number_by_each_way() {
    let (dir, ports) = (Scratch::new("collectd"), [free_port(), free_port(), free_port()]);
    let Some(collectd) = start(&dir, TYPES, Some(ports)) else { return };
    let stand = database(&recorded_page("metrics-http-cluster-i1.txt"));
    let unix = format!("collectd+unix://{}?host=u", collectd.socket.display());
    let network = ["p", "s", "e"].map(|host| match host {
        "p" => format!("collectd://127.0.0.1:{}?host=p", ports[0]),
        "s" => format!("collectd://127.0.0.1:{}?host=s&security=sign", ports[1]),
        _ => format!("collectd://127.0.0.1:{}?host=e", ports[2]),
    });
    let file = dir.file("password", "s3cret word\n");
    let user = ["--push-user", "pico", "--push-password-file", &file];
    let urls = ["--push", &unix, "--push", &network[0], "--push", &network[1]];
    let args = [&urls[..], &user[..], &["--push", &network[2]], &user[..]].concat();
    let helper = pushing(&stand, "500ms", &args);
    let page = helper.until("pushed", LIMIT, |p| {
        let taken = p.iter().filter(|(s, n)| s.starts_with("gostech_metrics_push_total") && **n >= 2.0);
        taken.count() == 4
    });
    for host in ["u", "p", "s", "e"] {
        let wanted = || steady(&page).map(|(s, v)| (called(s), v)).filter(|(name, _)| name.len() <= 127);
        wait(&format!("{host} is kept"), LIMIT, || {
            let got = kept(&dir.0, host);
            wanted().all(|(name, _)| got.contains_key(&name))
        });
        let got = kept(&dir.0, host);
        for (name, value) in wanted() {
            // Its files have six digits behind the point. A push that came before the first answer of the database said 0 of it.
            let close = |v: &f64| (v - value).abs() <= 1e-6 + value.abs() * 1e-12;
            assert!(got[&name].iter().any(close), "{host}: {name} {value} {:?}", got[&name]);
        }
        // Those with longer names are there as well.
        assert!(got.len() >= steady(&page).count(), "{host}: {} {}", got.len(), steady(&page).count());
    }
    assert!(!helper.log().contains("s3cret"), "{}", helper.log());
    // Away, and back: what waited comes with its times, and the database that went meanwhile shows.
    let pushes = format!("gostech_metrics_push_total{{outlet=\"{}\"}}", unix.replace("?host=u", "?…"));
    let waiting = pushes.replace("_total", "_waiting");
    drop(collectd);
    stand.becomes(|_, _| Reply::Silence(Duration::from_millis(10)));
    let before = helper.until("the database is gone", LIMIT, |p| p["picodata_up"] == 0.0)[&waiting];
    helper.until("pages wait that say so", LIMIT, |p| p[&waiting] >= before + 4.0);
    let _collectd = start(&dir, TYPES, Some(ports)).expect("it was here");
    stand.becomes(picodata(Some(recorded_page("metrics-http-cluster-i1.txt"))));
    let taken = helper.until("none waits", LIMIT, |p| p[&waiting] <= 1.0 && p["picodata_up"] == 1.0)[&pushes];
    wait("all are kept", LIMIT, || kept(&dir.0, "u")["picodata_up"].len() as f64 >= taken - 1.0);
    assert!(kept(&dir.0, "u")["picodata_up"].contains(&0.0));
}

#[test]
fn what_collectd_refuses_is_counted_and_told() {
    let dir = Scratch::new("collectd-refuses");
    let types = dir.file("types.db", "gauge value:GAUGE:U:U\n");
    let Some(collectd) = start(&dir, &types, None) else { return };
    let stand = database("# TYPE n_total counter\nn_total 7\n# TYPE g gauge\ng -3.5\n");
    let url = format!("collectd+unix://{}?host=u", collectd.socket.display());
    let helper = pushing(&stand, "100ms", &["--push", &url, "--push-prefix", "x."]);
    let outlet = url.replace("?host=u", "?…");
    let refused = format!("gostech_metrics_push_samples_left_out_total{{outlet=\"{outlet}\",reason=\"refused\"}}");
    helper.until("counted", LIMIT, |p| p.get(&refused).is_some_and(|n| *n >= 1.0));
    helper.tells("Type `derive");
    wait("the rest is kept", LIMIT, || kept(&dir.0, "u").get("x.g").is_some_and(|v| v[0] == -3.5));
}

#[test]
fn a_password_without_its_user_and_security_without_both_are_told() {
    let file = Scratch::new("collectd-options");
    let secret = file.file("password", "x");
    for (args, words) in [
        (&["--push", "collectd://127.0.0.1?security=sign"][..], "`security` needs a --push-user"),
        (&["--push", "collectd://127.0.0.1?security=none"], "`security` needs a --push-user"),
        (&["--push", "collectd://127.0.0.1?host=a/b"], "`host` is a name of letters"),
        (&["--push", "collectd://127.0.0.1", "--push-password-file", &secret], "needs a --push-user"),
        (&["--push", "collectd+unix:///run/x", "--push-user", "a"], "has no use for it"),
    ] {
        let out = super::helper::command().args(["--no-config", "--once"]).args(args).output().expect("the program");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(2) && said.contains(words), "{args:?}: {said}");
    }
}
