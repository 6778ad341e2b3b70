//! The street: thousands of bad visitors, no descriptors left; the scrapes of the good ones go on.

use super::helper::{figure, get, long, samples, wait, Helper};
use super::stand::{picodata, recorded_page, Stand};
use gostech::iproto::auth::Method::ChapSha1;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

fn serving(more: &[&str]) -> (Stand, Helper) {
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(Some(recorded_page("metrics-http.txt"))));
    let port = stand.port.to_string();
    let helper = Helper::start_with(&[&["--port", &port][..], more].concat(), &[("GOSTECH_METRICS_PASSWORD", "x")]);
    helper.until("up", Duration::from_secs(20), |p| p["picodata_up"] == 1.0);
    (stand, helper)
}

/// `GOSTECH_LONG=1`: 60 seconds, else 8.
#[test]
fn a_thousand_visitors_that_send_a_byte_a_second() {
    let (_stand, helper) = serving(&[]);
    let seconds = if long() { 60 } else { 8 };
    let idle = (figure(helper.child.id(), "VmRSS"), figure(helper.child.id(), "Threads"));
    let (end, port) = (Instant::now() + Duration::from_secs(seconds), helper.port);
    let crowd = std::thread::spawn(move || {
        let connect = || TcpStream::connect(("127.0.0.1", port)).ok();
        let mut visitors: Vec<Option<(TcpStream, usize)>> = (0..1000).map(|_| connect().map(|s| (s, 0))).collect();
        let request = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX: {}", "y".repeat(1000));
        while Instant::now() < end {
            for visitor in &mut visitors {
                let sent = visitor.as_mut().is_some_and(|(socket, at)| {
                    *at += 1;
                    socket.write_all(&request.as_bytes()[*at - 1..*at]).is_ok()
                });
                // Whoever was sent away comes again.
                if !sent {
                    *visitor = connect().map(|s| (s, 0));
                }
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let (mut good, mut all, mut slowest, mut threads, mut memory) = (0, 0, Duration::ZERO, 0, 0);
    while Instant::now() < end {
        let one = Instant::now();
        all += 1;
        // Prometheus asks again at its next interval; three tries are one scrape here.
        if (0..3).any(|_| {
            get(port, "/metrics", &[]).is_some_and(|a| a.status == 200 && samples(&a.text())["picodata_up"] == 1.0)
        }) {
            good += 1;
        }
        slowest = slowest.max(one.elapsed());
        threads = threads.max(helper.figure("Threads"));
        memory = memory.max(helper.figure("VmRSS"));
        std::thread::sleep(Duration::from_millis(250));
    }
    crowd.join().unwrap();
    eprintln!(
        "1000 slow visitors, {seconds} s: {good} of {all} scrapes answered, slowest {slowest:?}, \
         threads {} to {threads}, memory {} to {memory} KiB",
        idle.1, idle.0
    );
    assert!(good * 100 >= all * 95, "{good} of {all}");
    assert!(threads < 200 && memory < idle.0 + 64 * 1024, "{threads} threads, {memory} KiB");
    assert!(helper.get("/-/healthy").status == 200);
}

#[test]
fn without_descriptors_the_server_survives() {
    let (_stand, helper) = serving(&[]);
    let pid = helper.child.id().to_string();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).map(|d| d.count()).unwrap_or(0);
    let limit = |n: usize| {
        let done =
            Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={n}:4096")]).status().expect("prlimit");
        assert!(done.success());
    };
    limit(open + 1);
    let crowd: Vec<_> = (0..50).filter_map(|_| TcpStream::connect(("127.0.0.1", helper.port)).ok()).collect();
    std::thread::sleep(Duration::from_secs(1));
    drop(crowd);
    limit(1024);
    wait("it serves again", Duration::from_secs(20), || {
        get(helper.port, "/metrics", &[]).is_some_and(|a| samples(&a.text()).get("picodata_up") == Some(&1.0))
    });
    assert!(helper.end().success());
}
