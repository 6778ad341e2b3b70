//! Pages that are too large: the program says so and lives, within the memory that its unit gives it.

use super::helper::{Helper, Scratch};
use super::sink::sink;
use super::stand::{data, picodata, Asked, Stand};
use gostech::iproto::auth::Method::ChapSha1;
use serde_json::json;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// `MemoryMax=` of the unit.
const UNIT_KIB: u64 = 256 * 1024;

fn families(count: usize, head: &str, line: &str) -> String {
    (0..count)
        .map(|i| format!("{}{}\n", head.replace('#', &format!("{i:06}")), line.replace('@', &format!("{i:06}"))))
        .collect()
}

fn page(page: String) -> impl Fn(&str, &Asked) -> super::stand::Reply + Send + Sync + 'static {
    move |user, asked| match asked {
        Asked::Eval(_) => data(json!([{"page": page, "via": "route"}])),
        other => picodata(None)(user, other),
    }
}

#[test]
fn a_page_that_is_too_large_is_told_and_the_memory_of_the_unit_is_enough() {
    let small = page("# TYPE good gauge\ngood 1\n".into());
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], small);
    let port = stand.port.to_string();
    let args = ["--port", &port, "--username", "pico_service", "--min-interval", "0", "--timeout", "20s"];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "x")]);
    helper.until("up", LIMIT, |p| p["picodata_up"] == 1.0);
    let long = "x".repeat(20 << 20);
    let pages = [
        ("families", families(500_000, "", "family_with_a_name_@ 1"), "too_large"),
        ("typed families", families(300_000, "", "# TYPE f@ gauge\nf@ 1"), "too_large"),
        ("one line", format!("one{{a=\"{long}\"}} 1\n"), "too_large"),
        ("one comment", format!("# HELP one {long}\none 1\n"), "too_large"),
        ("a HELP without end", families(200_000, "", "# HELP one words\n and more of them that are no sample @"), ""),
        ("more text", "a 1\n".repeat(7 << 20), "too_large"),
        ("one line of 57 MiB", format!("one{{a=\"{}\"}} 1\n", "x".repeat(57 << 20)), "too_large"),
        ("an answer beyond all", format!("one{{a=\"{}\"}} 1\n", "x".repeat(70 << 20)), "protocol"),
        ("series that fit", families(100_000, "", "series{number=\"@\",table=\"warehouse\",engine=\"memtx\"} 1"), ""),
    ];
    for (what, text, reason) in pages {
        stand.becomes(page(text));
        let right = |p: &super::helper::Samples| match reason {
            "" => p["picodata_up"] == 1.0 && !p.contains_key("good"),
            _ => p.contains_key(&format!("gostech_metrics_down{{reason=\"{reason}\"}}")),
        };
        let got = helper.until(what, LIMIT, right);
        assert!(
            reason.is_empty() || got.keys().all(|k| k.starts_with("gostech_") || k.starts_with("picodata_")),
            "{what}"
        );
        let peak = helper.figure("VmHWM");
        eprintln!("{what}: {} KiB resident, {peak} KiB at most", helper.figure("VmRSS"));
        assert!(peak < UNIT_KIB * 9 / 10, "{what}: {peak} KiB");
        stand.becomes(page("# TYPE good gauge\ngood 1\n".into()));
        helper.until("up again", LIMIT, |p| p.get("good") == Some(&1.0));
    }
    helper.tells("too large");
    helper.tells("--without");
}

#[test]
fn a_hundred_thousand_series_are_pushed_within_the_memory_of_the_unit() {
    const SERIES: usize = 100_000;
    let text = families(SERIES / 10, "# TYPE family_# gauge\n", &line_of_ten());
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], page(text));
    let scratch = Scratch::new("push-many");
    let plain = sink(false, Arc::default());
    let posted: Vec<_> = (0..4).map(|_| sink(true, Arc::default())).collect();
    // Nobody is there, for a minute and more: what waits for it is bounded as well.
    let gone = super::helper::free_port();
    let urls = [
        format!("graphite://127.0.0.1:{}", plain.port),
        format!("influx+http://127.0.0.1:{}/?db=p", posted[0].port),
        format!("prometheus+http://127.0.0.1:{}/api/v1/write", posted[1].port),
        format!("victoria+http://127.0.0.1:{}", posted[2].port),
        format!("otlp+http://127.0.0.1:{}/v1/metrics", posted[3].port),
        format!("file://{}/p.prom", scratch.0.display()),
        format!("graphite://127.0.0.1:{gone}"),
    ];
    let port = stand.port.to_string();
    let mut args = vec!["--port", &port, "--min-interval", "0", "--timeout", "20s", "--push-interval", "500ms"];
    args.extend(["--push-deadline", "30s"]);
    urls.iter().for_each(|url| args.extend(["--push", url]));
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "x")]);
    let wanted = 2.0 * SERIES as f64;
    helper.until("each has it twice", LIMIT, |p| {
        let of = |name: &str| p.iter().filter(|(s, _)| s.starts_with(name)).map(|(_, v)| *v).collect::<Vec<_>>();
        let enough = of("gostech_metrics_push_samples_total").iter().filter(|n| **n >= wanted).count();
        enough == urls.len() - 1 && of("gostech_metrics_push_waiting").iter().any(|n| *n >= 2.0)
    });
    for (what, sink) in urls.iter().zip(std::iter::once(&plain).chain(&posted)) {
        let bytes = sink.bytes.load(Ordering::Relaxed);
        eprintln!("{}: {bytes} bytes", what.split("://").next().unwrap());
        assert!(bytes > 1 << 20, "{what}: {bytes}");
    }
    let peak = helper.figure("VmHWM");
    eprintln!("{} KiB resident, {peak} KiB at most", helper.figure("VmRSS"));
    assert!(peak < UNIT_KIB * 9 / 10, "{peak} KiB");
}

/// Ten series of a family.
fn line_of_ten() -> String {
    (0..10).map(|i| format!("family_@{{table=\"table_{i}\",engine=\"memtx\"}} {i}.5\n")).collect()
}
