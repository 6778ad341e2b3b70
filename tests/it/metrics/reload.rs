//! SIGHUP reads the whole configuration again: what changes at once, what stays until the next start, what is refused whole.

use super::helper::{command, free_port, get, samples, signal, wait, Samples, Scratch};
use super::stand::{picodata, recorded_page, Asked, Stand};
use gostech::iproto::auth::Method::{ChapSha1, Md5};
use std::fs::File;
use std::process::{Child, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

struct Service {
    child: Child,
    scratch: Scratch,
}

impl Service {
    fn start(name: &str, conf: &str) -> Service {
        let scratch = Scratch::new(name);
        let file = scratch.file("metrics.conf", conf);
        let log = File::create(scratch.0.join("log")).unwrap();
        let mut command = command();
        command.args(["--config", &file]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Service { child: command.spawn().unwrap(), scratch }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.0.join("log")).unwrap_or_default()
    }

    /// Another configuration, and SIGHUP; until it was read or refused.
    fn becomes(&self, conf: &str) {
        let before = self.log().matches(": reload:").count();
        self.scratch.file("metrics.conf", conf);
        signal(self.child.id(), "HUP");
        wait("a word of the reload", LIMIT, || self.log().matches(": reload:").count() > before);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        assert!(!self.log().contains("forbidden system calls") || std::thread::panicking(), "{}", self.log());
    }
}

fn page(port: u16) -> Option<Samples> {
    get(port, "/metrics", &[]).filter(|a| a.status == 200).map(|a| samples(&a.text()))
}

#[test]
fn everything_that_can_change_does_and_the_rest_is_named() {
    let first = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(Some(recorded_page("metrics-http.txt"))));
    let second = Stand::start(&[("mon", Md5, "y")], picodata(None));
    let (here, there) = (free_port(), free_port());
    let conf = |addr: u16, rest: &str| format!("addr 127.0.0.1:{addr}\nmin-interval 0\n{rest}");
    let of_first = format!("port {}\npassword x\n", first.port);
    let service = Service::start("reload", &conf(here, &of_first));
    let has = |port: u16, begin: &str| page(port).is_some_and(|p| p.keys().any(|k| k.starts_with(begin)));
    wait("up", LIMIT, || has(here, "tnt_") && has(here, "lj_"));
    first.asked();
    // Filters and labels, on the same connection.
    service.becomes(&conf(here, &format!("{of_first}only tnt_\nlabel dc=east\n")));
    wait("filtered", LIMIT, || has(here, "tnt_") && !has(here, "lj_"));
    assert!(page(here).unwrap().keys().filter(|k| k.starts_with("tnt_")).all(|k| k.contains("dc=\"east\"")));
    assert!(!first.asked().iter().any(|a| matches!(a, Asked::Auth(..))), "no new login for a filter");
    assert!(service.log().contains("read again: only, label"), "{}", service.log());
    // Another address: the old one is closed, the new one open.
    service.becomes(&conf(there, &of_first));
    wait("moved", LIMIT, || has(there, "lj_") && get(here, "/metrics", &[]).is_none());
    // Polls unasked, and what is logged.
    service.becomes(&conf(there, &format!("{of_first}poll-interval 100ms\n")));
    let mut polls = 0;
    wait("polls unasked", LIMIT, || {
        polls += first.asked().len();
        polls > 5
    });
    // Another database, as another user.
    let of_second = format!("port {}\nusername mon\npassword y\nauth-method md5\n", second.port);
    service.becomes(&conf(there, &of_second));
    wait("the other database", LIMIT, || {
        second.asked().contains(&Asked::Auth("mon".into(), "md5".into())) || has(there, "picodata_loop")
    });
    wait("its numbers", LIMIT, || has(there, "picodata_loop_status"));
    // Faults: refused whole, and told.
    let broken =
        ["min-interval never\nonly lj_\n", "nonsense 1\n", "web-tls-cert /nowhere.pem\n", "web-users /nowhere\n"];
    for fault in broken {
        service.becomes(&conf(here, &format!("{of_second}{fault}")));
        assert!(service.log().contains("is refused, the one from before goes on"), "{}", service.log());
        let page = page(there).expect("the page where it was");
        assert_eq!(page["gostech_metrics_config_last_reload_successful"], 0.0);
        assert!(page.keys().any(|k| k.starts_with("picodata_loop_status")) && get(here, "/", &[]).is_none());
    }
    // What cannot change is named, the rest does.
    let socket = service.scratch.0.join("new.sock");
    let more = format!("{of_second}addr unix:{}\nno-confinement yes\nlabel a=b\n", socket.display());
    service.becomes(&conf(there, &more));
    wait("changed", LIMIT, || page(there).is_some_and(|p| p.keys().any(|k| k.contains("a=\"b\""))));
    let log = service.log();
    assert!(log.contains("--no-confinement stays as it is until the next start"), "{log}");
    assert!(socket.exists() || log.contains("new.sock stays as it is until the next start"), "{log}");
    assert_eq!(page(there).unwrap()["gostech_metrics_config_last_reload_successful{a=\"b\"}"], 1.0);
    assert!(!log.contains("\"y\"") && !log.contains("password y"));
}

#[test]
fn users_and_certificates_of_the_page_change_too() {
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(None));
    let port = free_port();
    let base = format!("addr 127.0.0.1:{port}\nport {}\npassword x\n", stand.port);
    let service = Service::start("reload-users", &base);
    let status = |headers: &[(&str, &str)]| get(port, "/-/healthy", headers).map(|a| a.status);
    wait("open to all", LIMIT, || status(&[]) == Some(200));
    let users = service.scratch.file("users", "prom:$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i\n");
    service.becomes(&format!("{base}web-users {users}\n"));
    assert_eq!(status(&[]), Some(401));
    service.becomes(&base);
    assert_eq!(status(&[]), Some(200));
}
