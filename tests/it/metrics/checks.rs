//! What `--check` says beside the database, logins by certificate, and the links of the landing page.

use super::helper::{command, samples, Helper, Scratch};
use super::stand::{picodata, recorded_page, Stand};
use super::ways::{tls_stand_for, Authority};
use gostech::iproto::auth::Method::{ChapSha1, Md5};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

fn run(args: &[&str], password: &str) -> (Option<i32>, String) {
    let output = command().args(["--no-config"]).args(args).env("GOSTECH_METRICS_PASSWORD", password).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn check_looks_at_the_page_too() {
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(Some(recorded_page("metrics-http.txt"))));
    let (port, scratch) = (stand.port.to_string(), Scratch::new("check-page"));
    let check = |more: &[&str]| run(&[&["--port", &port, "--check"][..], more].concat(), "x");
    let (code, words) = check(&["--addr", "127.0.0.1:4401"]);
    assert!(code == Some(0) && words.contains("http at 127.0.0.1:4401") && !words.contains("warning "), "{words}");
    let (code, words) = check(&["--addr", "0.0.0.0:4401"]);
    assert!(code == Some(0) && words.contains("without TLS and without users"), "{words}");
    // A certificate that has ended, one that ends soon, a key of another one, a file of users that is none.
    let dated = |year: i32| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let ((old, old_key), (good, good_key)) = (dated(2020), dated(2099));
    let (old, old_key) = (scratch.file("old.pem", &old), scratch.file("old.key", &old_key));
    let (good, good_key) = (scratch.file("good.pem", &good), scratch.file("good.key", &good_key));
    let users = scratch.file("users", "nonsense\n");
    for (args, fault) in [
        (vec!["--web-tls-cert", &old, "--web-tls-key", &old_key], "has ended on"),
        (vec!["--web-tls-cert", &good, "--web-tls-key", &old_key], "do not belong together"),
        (vec!["--web-tls-cert", "/nowhere.pem"], "/nowhere.pem"),
        (vec!["--web-users", &users], "line 1"),
    ] {
        let (code, words) = check(&args);
        let told = words.lines().any(|l| l.starts_with("fault ") && l.contains(fault));
        assert!(code == Some(1) && told, "{args:?}: {words}");
    }
    let (code, words) = check(&["--web-tls-cert", &good, "--web-tls-key", &good_key]);
    assert!(code == Some(0) && words.contains("validity  certificate"), "{words}");
}

#[test]
fn check_shows_the_version_and_counts_as_once_does() {
    let stand = Stand::start(&[("mon", Md5, "x"), ("guest", Md5, "y")], picodata(None));
    let port = stand.port.to_string();
    let (_, once) = run(&["--port", &port, "--username", "mon", "--once"], "x");
    let (_, words) = run(&["--port", &port, "--username", "mon", "--check"], "x");
    assert!(words.contains("version   Picodata 25.5.7"), "{words}");
    let page: String = once.lines().filter(|l| !l.contains("gostech-metrics:")).map(|l| format!("{l}\n")).collect();
    let families = page.lines().filter(|l| l.starts_with("# TYPE ")).count();
    let printed = format!("printed   {families} families, {} series", samples(&page).len());
    assert!(words.contains(&printed), "{printed}\n{words}");
    let (_, words) = run(&["--port", &port, "--username", "guest", "--check"], "");
    assert!(words.contains("guest is everyone") && !words.contains("for `guest`"), "{words}");
    let admin = Stand::start(&[("admin", Md5, "x")], picodata(None));
    let (_, words) = run(&["--port", &admin.port.to_string(), "--username", "admin", "--check"], "x");
    assert!(words.contains("set instance.http_listen to have them"), "{words}");
}

#[test]
fn a_certificate_lets_its_user_in_and_costs_no_other_one_a_try() {
    let (authority, scratch) = (Authority::new(), Scratch::new("by-certificate"));
    let stand = tls_stand_for(&authority, &[("mon", Md5, ""), ("other", Md5, "z")]);
    let (certificate, key) = authority.issue("client", "mon@here");
    let ca = scratch.file("ca.pem", &authority.pem());
    let (cert, key) = (scratch.file("cert.pem", &certificate.pem()), scratch.file("key.pem", &key.serialize_pem()));
    let port = stand.port.to_string();
    let tls =
        ["--port", &port, "--min-interval", "0", "--tls-auth", "--tls-ca", &ca, "--tls-cert", &cert, "--tls-key", &key];
    let helper = Helper::start(&[&tls[..], &["--username", "mon"]].concat());
    helper.until("up", LIMIT, |p| p["picodata_up"] == 1.0);
    assert!(!helper.log().contains("empty") && !helper.log().contains("no password"), "{}", helper.log());
    stand.asked();
    let helper = Helper::start(&[&tls[..], &["--username", "other"]].concat());
    helper.until("down", LIMIT, |p| p["picodata_up"] == 0.0);
    helper.tells("our certificate is for `mon@here`");
    assert_eq!(stand.asked(), [], "no try");
    // With a password it is an ordinary login.
    let env = [("GOSTECH_METRICS_PASSWORD", "z")];
    Helper::start_with(&[&tls[..], &["--username", "other"]].concat(), &env)
        .until("up", LIMIT, |p| p["picodata_up"] == 1.0);
}

#[test]
fn the_links_of_the_landing_page_hold_behind_a_path_prefix() {
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(None));
    let helper = Helper::start_with(&["--port", &stand.port.to_string()], &[("GOSTECH_METRICS_PASSWORD", "x")]);
    let page = helper.get("/").text();
    assert!(
        page.contains("href=\"metrics\"") && page.contains("href=\"-/ready\"") && !page.contains("href=\"/"),
        "{page}"
    );
}

#[test]
fn check_tries_each_outlet() {
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(None));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let here = format!("graphite://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a visitor");
        std::io::copy(&mut socket, &mut std::io::sink())
    });
    let nobody = format!("influx+http://127.0.0.1:{}/?db=p", super::helper::free_port());
    let port = stand.port.to_string();
    let run = |more: &[&str]| {
        let mut command = super::helper::command();
        command.args(["--no-config", "--port", &port, "--check", "--push", &here]).args(more);
        let out = command.env("GOSTECH_METRICS_PASSWORD", "x").output().expect("the program");
        (out.status.code(), String::from_utf8(out.stdout).expect("text"))
    };
    let (code, words) = run(&["--push", &nobody, "--push", "stdout:"]);
    assert!(words.contains(&format!("outlet    {here}/: ")) && words.contains(" numbers have gone, "), "{words}");
    let fault = format!("fault     outlet {}", nobody.replace("?db=p", "?…"));
    assert!(words.contains(&fault) && words.contains("refused"), "{words}");
    assert!(words.contains("outlet    stdout:: not tried") && !words.contains("# TYPE"), "{words}");
    assert_eq!(code, Some(1));
}
