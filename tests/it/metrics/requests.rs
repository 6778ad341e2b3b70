//! What a scrape costs the database, counted at the database: requests, and the writes they come in. Requests that go out
//! in one write cost one round trip; nothing is asked twice on a connection that cannot change on it. A function can: it
//! may be made anew as one that must not be called, so it is looked at before each call.

use super::helper::Helper;
use super::stand::{picodata, recorded_page, Asked, Line, Reply, Stand};
use gostech::iproto::auth::Method::ChapSha1;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// A connection that counts how often something came: requests of one write come at once.
struct Counting {
    socket: TcpStream,
    ahead: Vec<u8>,
    came: Arc<AtomicU64>,
}

impl Read for Counting {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.ahead.is_empty() {
            let mut piece = vec![0; 64 << 10];
            let n = self.socket.read(&mut piece)?;
            self.came.fetch_add(1, Ordering::SeqCst);
            self.ahead.extend(&piece[..n]);
        }
        let n = buf.len().min(self.ahead.len());
        buf[..n].copy_from_slice(&self.ahead[..n]);
        self.ahead.drain(..n);
        Ok(n)
    }
}

impl Write for Counting {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.socket.write(buf)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What twenty scrapes ask, and in how many writes.
fn cost(args: &[&str], without: &'static [&'static str]) -> (Vec<Asked>, u64) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let came = Arc::new(AtomicU64::new(0));
    let count = came.clone();
    let users = [("pico_service", ChapSha1, "x"), ("mon", ChapSha1, "x")];
    let script = picodata(Some(recorded_page("metrics-http.txt")));
    let owned = serde_json::json!([[70, 1, "mon", 1, "LUA"]]);
    let script = move |user: &str, asked: &Asked| match asked {
        Asked::Call(name) if without.contains(&name.as_str()) => Reply::No(33, "no such procedure"),
        Asked::Select(297) => super::stand::data(owned.clone()),
        _ => script(user, asked),
    };
    let stand = Stand::at(port, &users, script, move || {
        let (socket, _) = listener.accept().ok()?;
        Some(Box::new(Counting { socket, ahead: Vec::new(), came: count.clone() }) as Box<dyn Line>)
    });
    let port = port.to_string();
    let args = [&["--port", &port, "--min-interval", "0", "--auth-method", "chap-sha1"][..], args].concat();
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "x")]);
    helper.until("up", Duration::from_secs(20), |p| p["picodata_up"] == 1.0);
    helper.scrape();
    stand.asked();
    let before = came.load(Ordering::SeqCst);
    for _ in 0..20 {
        assert_eq!(helper.scrape()["picodata_up"], 1.0);
    }
    (stand.asked(), came.load(Ordering::SeqCst) - before)
}

#[test]
fn what_a_scrape_asks_of_the_database() {
    let call = |name: &str| Asked::Call(name.into());
    let (instances, addresses, look) = (Asked::Select(515), Asked::Select(514), Asked::Select(297));
    let v2 = [call(".proc_runtime_info_v2"), instances.clone(), addresses.clone()];
    let old = [call(".proc_raft_info"), instances, addresses];
    let newer: &[&str] = &[".proc_runtime_info_v2", ".proc_runtime_info"];
    let mon: &[&str] = &["--username", "mon", "--function", "mon.metrics"];
    let both: &[&str] = &["--username", "mon", "--function", "mon.metrics,mon.pico"];
    let spare: &[&str] = &["--username", "mon", "--without", "instances", "--without", "addresses"];
    let one = [look.clone(), call("mon.metrics")];
    let two = [look.clone(), look, call("mon.metrics"), call("mon.pico")];
    for (what, args, without, trips, wanted) in [
        ("full", &["--username", "pico_service"][..], &[][..], 1, None),
        ("tarantool", &["--username", "pico_service", "--source", "tarantool"], &[], 1, None),
        ("function, one", mon, &[], 2, Some(&one[..])),
        ("function, two", both, &[], 2, Some(&two)),
        ("least", &["--username", "mon"], &[], 1, Some(&v2)),
        ("least, without tables", spare, &[], 1, Some(&v2[..1])),
        ("least, Picodata of old", &["--username", "mon"], newer, 1, Some(&old)),
    ] {
        let (asked, writes) = cost(args, without);
        let each = asked.len() / 20;
        eprintln!("requests a scrape: {what}: {each}, writes and round trips: {}", writes as f64 / 20.0);
        assert_eq!(writes, 20 * trips, "{what}: {asked:?}");
        match wanted {
            Some(wanted) => assert_eq!(asked, vec![wanted; 20].concat(), "{what}"),
            None => {
                assert!(asked.len() == 20 && asked.iter().all(|a| matches!(a, Asked::Eval(_))), "{what}: {asked:?}")
            }
        }
    }
}
