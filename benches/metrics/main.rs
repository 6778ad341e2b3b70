//! The metrics helper beside others: what a page costs, what a scrape costs, how much memory it takes, what a push costs.
//!
//! `cargo bench --bench metrics`. Prints a table with ratios; asserts nothing, since times depend on the machine.
//! `GOSTECH_BENCH_SCALE` is a factor on the amounts (0.01 for a quick look).

// The table is what it is for.
#![allow(clippy::print_stdout)]
// The oldest Rust is a promise about the programs; tests are built by today's.
#![allow(clippy::incompatible_msrv)]

#[path = "../../tests/it/harness/mod.rs"]
mod harness;
#[path = "../../tests/it/metrics/helper.rs"]
#[allow(dead_code)]
mod helper;
mod pushes;
#[path = "../../tests/it/metrics/sink.rs"]
mod sink;
#[path = "../../tests/it/metrics/stand.rs"]
#[allow(dead_code)]
mod stand;

use gostech::iproto::auth::Method::ChapSha1;
use gostech::iproto::protocol::Request;
use gostech::iproto::Client;
use gostech::metrics::assemble::Assembled;
use gostech::metrics::render::{Render, OPENMETRICS, PROMETHEUS};
use gostech::metrics::rules::Rules;
use gostech::metrics::snapshot::{Builder, Snapshot};
use gostech::metrics::text;
use gostech::net::dial::Dial;
use gostech::net::gzip::Gzip;
use gostech::net::target::Place;
use helper::{free_port, get, peer, wait, Helper, Scratch};
use stand::{picodata, recorded_page, Asked, Stand};
use std::fmt::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn main() {
    // `cargo test` runs benches too, once and briefly; there is nothing to learn from that.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    pages();
    scrapes();
    memory();
    pushes::table();
}

/// A factor on all amounts.
fn scaled(amount: usize) -> usize {
    let factor: f64 = std::env::var("GOSTECH_BENCH_SCALE").ok().and_then(|v| v.parse().ok()).unwrap_or(1.0);
    ((amount as f64 * factor) as usize).max(10)
}

/// A page of so many series: gauges of ten labelled samples, shaped as Picodata's are.
fn page_of(series: usize) -> String {
    let mut page = String::new();
    for i in 0..series {
        let family = i / 10;
        if i % 10 == 0 {
            let _ =
                write!(page, "# HELP tnt_family_{family} Family number {family}\n# TYPE tnt_family_{family} gauge\n");
        }
        let value = i as f64 * 1.25;
        let _ = writeln!(
            page,
            "tnt_family_{family}{{instance_name=\"default_1_1\",name=\"table_{}\",engine=\"memtx\"}} {value}",
            i % 10
        );
    }
    page
}

fn read(page: &str) -> Snapshot {
    let rules = Rules::default();
    let mut builder = Builder::new(&rules);
    text::read(page, &mut builder);
    builder.finish().0
}

/// The middle of several runs.
fn median(mut run: impl FnMut()) -> Duration {
    let mut all: Vec<Duration> = (0..9)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
        .collect();
    all.sort();
    all[4]
}

fn pages() {
    println!("| page | bytes | read | write 0.0.4 | write OpenMetrics | gzip | ns a series (read + write) |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (name, page) in [("recorded", recorded_page("metrics-http.txt")), ("large", page_of(scaled(100_000)))] {
        let snapshot = read(&page);
        let assembled = Assembled::of([&snapshot], &[], 0);
        let reading = median(|| drop(read(&page)));
        let mut out = Vec::new();
        let mut write = |render: &Render| {
            median(|| {
                out.clear();
                (render.write)(&assembled, &mut out);
            })
        };
        let (plain, open) = (write(&PROMETHEUS), write(&OPENMETRICS));
        let (mut gzip, mut packed) = (Gzip::fast(), Vec::new());
        let zipping = median(|| gzip.pack(&out, &mut packed));
        let series = snapshot.series();
        let each = (reading + plain).as_nanos() / series as u128;
        println!(
            "| {name} ({series} series) | {} | {reading:.0?} | {plain:.0?} | {open:.0?} | {zipping:.0?} | {each} |",
            page.len()
        );
        println!("|   snapshot: {} bytes, {} a series | | | | | | |", snapshot.bytes(), snapshot.bytes() / series);
    }
}

/// p50 and p99 of so many runs.
fn quantiles(count: usize, mut run: impl FnMut()) -> (Duration, Duration) {
    let mut all: Vec<Duration> = (0..count)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
        .collect();
    all.sort();
    (all[count / 2], all[count * 99 / 100])
}

struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn scrapes() {
    let count = scaled(500);
    println!("\n| scrape, {count} times | bytes | p50 | p99 | p50 beside node_exporter |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    let mut base = None;
    let mut row = |name: &str, bytes: usize, (p50, p99): (Duration, Duration)| {
        let ratio = p50.as_secs_f64() / base.get_or_insert(p50).as_secs_f64();
        println!("| {name} | {bytes} | {p50:.0?} | {p99:.0?} | {ratio:.2} |");
    };
    let page = |port: u16| get(port, "/metrics", &[]).map_or(0, |a| a.body.len());
    if let Some(exporter) = peer("prometheus-node-exporter") {
        let port = free_port();
        let mut command = Command::new(exporter);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let _peer = Peer(command.spawn().expect("node_exporter"));
        wait("node_exporter", Duration::from_secs(20), || page(port) > 0);
        row("node_exporter", page(port), quantiles(count, || assert!(page(port) > 0)));
    }
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(Some(recorded_page("metrics-http.txt"))));
    let port = stand.port.to_string();
    let env = [("GOSTECH_METRICS_PASSWORD", "x")];
    let helper = Helper::start_with(&["--port", &port, "--min-interval", "0"], &env);
    page(helper.port);
    stand.asked();
    row(
        "gostech-metrics, recorded Picodata page, a poll each",
        page(helper.port),
        quantiles(count, || {
            assert!(page(helper.port) > 0);
        }),
    );
    let evals = stand.asked().iter().filter(|a| matches!(a, Asked::Eval(_))).count();
    println!("|   requests to the database per scrape: {:.2} | | | | |", evals as f64 / (count + 1) as f64);
    let helper = Helper::start_with(&["--port", &port, "--min-interval", "1h"], &env);
    page(helper.port);
    row(
        "gostech-metrics, the same from the last reading",
        page(helper.port),
        quantiles(count, || {
            assert!(page(helper.port) > 0);
        }),
    );
    real(&mut row, page);
}

/// Debian's tarantool: asked through the helper, and asked for the same numbers by hand.
fn real(row: &mut impl FnMut(&str, usize, (Duration, Duration)), page: impl Fn(u16) -> usize) {
    let Some(tarantool) = peer("tarantool") else { return };
    let (scratch, port) = (Scratch::new("bench"), free_port());
    let dir = scratch.0.display();
    let init = scratch.file(
        "init.lua",
        &format!(
            "box.cfg{{listen='127.0.0.1:{port}', work_dir='{dir}', feedback_enabled=false, log='{dir}/log'}}\n\
             box.schema.user.create('mon', {{password='x'}}) box.schema.user.grant('mon', 'read,execute', 'universe')\n"
        ),
    );
    let mut command = Command::new(tarantool);
    command.arg(init).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _peer = Peer(command.spawn().expect("tarantool"));
    let dial = Dial::new(Place::Net { host: "127.0.0.1".into(), port });
    let patience = Duration::from_secs(5);
    let mut client = None;
    wait("tarantool", Duration::from_secs(20), || {
        client = Client::connect(&dial, patience).ok().filter(|_| true);
        let login = client.as_mut().map(|c| c.login(ChapSha1, "mon", "x", patience));
        matches!(login, Some(Ok(Ok(()))))
    });
    let mut client = client.expect("a connection");
    let number = port.to_string();
    let args = ["--port", &number, "--username", "mon", "--min-interval", "0"];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "x")]);
    row(
        "gostech-metrics, Debian's tarantool, a poll each",
        page(helper.port),
        quantiles(scaled(500), || {
            assert!(page(helper.port) > 0);
        }),
    );
    let by_hand = "return {box.info(), box.stat(), box.stat.net(), box.slab.info(), box.runtime.info(), box.stat.vinyl(), require('fiber').info()}";
    row(
        "that tarantool itself, one EVAL of box.* over an open connection",
        0,
        quantiles(scaled(500), || {
            client.ask(&[Request::Eval(by_hand)], patience).expect("an answer");
        }),
    );
}

fn memory() {
    println!("\n| memory | resident KiB | peak KiB |");
    println!("| --- | ---: | ---: |");
    let figures = |h: &Helper| (h.figure("VmRSS"), h.figure("VmHWM"));
    let large = scaled(100_000);
    for (name, series) in [
        ("idle, never asked", 0),
        ("after 20 scrapes of the recorded page", 1),
        (&format!("after 5 scrapes of {large} series"), large),
    ] {
        let page = if series > 1 { page_of(series) } else { recorded_page("metrics-http.txt") };
        let bytes = page.len();
        let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(Some(page)));
        let port = stand.port.to_string();
        let helper =
            Helper::start_with(&["--port", &port, "--min-interval", "0"], &[("GOSTECH_METRICS_PASSWORD", "x")]);
        let scrapes = [0, 20, 5][usize::from(series > 0) + usize::from(series > 1)];
        for _ in 0..scrapes {
            assert!(get(helper.port, "/metrics", &[]).is_some_and(|a| a.body.len() >= bytes / 2));
        }
        std::thread::sleep(Duration::from_millis(500));
        let (now, peak) = figures(&helper);
        println!("| {name} | {now} | {peak} |");
        if series > 1 {
            println!(
                "|   {} bytes a series at rest, {} at the peak | | |",
                now * 1024 / series as u64,
                peak * 1024 / series as u64
            );
        }
    }
}
