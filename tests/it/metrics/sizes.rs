//! Pages that are too large: the program says so and lives, within the memory that its unit gives it.

use super::helper::Helper;
use super::stand::{data, picodata, Asked, Stand};
use gostech::iproto::auth::Method::ChapSha1;
use serde_json::json;
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
