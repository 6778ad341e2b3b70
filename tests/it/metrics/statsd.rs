//! StatsD as a real server adds it up: the one within Debian's collectd, which keeps what it has in files.

use super::collectd::{start_with, TYPES};
use super::helper::{free_port, samples, wait, Samples, Scratch};
use super::push::{database, path_of, pushing, steady, LIMIT};
use super::stand::{picodata, recorded_page};
use std::collections::BTreeMap;
use std::path::Path;

/// So much is added to every number of the page.
const MORE: f64 = 7.0;

/// The page with so much more in every sample.
fn grown(page: &str) -> String {
    let grown = page.lines().map(|line| match line.rsplit_once(' ') {
        Some((series, value)) if !line.starts_with('#') => match value.parse::<f64>() {
            Ok(value) if value.is_finite() => format!("{series} {}\n", value + MORE),
            _ => format!("{line}\n"),
        },
        _ => format!("{line}\n"),
    });
    grown.collect()
}

/// What it keeps: `gauge` or `derive` (a counter there), and name → the last value.
fn kept(dir: &Path) -> BTreeMap<(String, String), f64> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir.join("csv/receiver/statsd")).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().expect("a name");
        // The day stands behind it, in ten characters.
        let (kind, name) = name[..name.len() - 11].split_once('-').expect("a type");
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let last = text.lines().rev().find_map(|line| line.split_once(',')?.1.parse::<f64>().ok());
        all.extend(last.map(|last| ((kind.to_string(), name.to_string()), last)));
    }
    all
}

fn called(series: &str) -> String {
    path_of(series).replace('/', ".")
}

#[test]
fn a_real_statsd_adds_up_every_number() {
    let (dir, port) = (Scratch::new("statsd"), free_port());
    let statsd = format!(
        "Interval 1\nLoadPlugin statsd\n<Plugin statsd>\nHost \"127.0.0.1\"\nPort \"{port}\"\nCounterSum false\n</Plugin>\n"
    );
    let Some(_collectd) = start_with(&dir, TYPES, &statsd) else { return };
    let text = recorded_page("metrics-http-cluster-i1.txt");
    let stand = database(&text);
    let helper = pushing(&stand, "500ms", &["--push", &format!("statsd://127.0.0.1:{port}")]);
    helper.until("up", LIMIT, |p| p["picodata_up"] == 1.0);
    let of_instance = |name: &str| format!("{name}{{instance_name=\"default_1_1\"}}");
    let gauges_are = |page: &Samples, more: f64| {
        let got = kept(&dir.0);
        ["tnt_slab_quota_size", "tnt_info_uptime", "tnt_fiber_amount"].iter().all(|name| {
            let series = of_instance(name);
            got.get(&("gauge".into(), called(&series))) == Some(&(page[&series] + more))
        })
    };
    let before = samples(&text);
    wait("its gauges are there", LIMIT, || gauges_are(&before, 0.0));
    stand.becomes(picodata(Some(grown(&text))));
    wait("all have grown", LIMIT, || gauges_are(&before, MORE));
    // As after a restart: what there is has come since.
    stand.becomes(picodata(Some(text.clone())));
    let page = helper.until("they begin anew", LIMIT, |p| {
        let uptime = of_instance("tnt_info_uptime");
        p[&uptime] == before[&uptime]
    });
    let wrong = || {
        let got = kept(&dir.0);
        let (mut wrong, mut counters) = (Vec::new(), 0);
        for (series, value) in steady(&page).filter(|(series, _)| !series.starts_with("picodata_")) {
            let name = called(series);
            // Its names end there.
            if name.len() > 110 {
                continue;
            }
            let of = |kind: &str| got.get(&(kind.into(), name.clone())).copied();
            // A counter there has whole numbers.
            let close = |got: f64, wanted: f64, by: f64| (got - wanted).abs() <= by + wanted.abs() * 1e-9;
            counters += usize::from(of("derive").is_some());
            let right = match (of("gauge"), of("derive")) {
                (Some(gauge), None) => close(gauge, value, 1e-6),
                (None, Some(sum)) => close(sum, MORE + value, 1.0),
                _ => false,
            };
            if !right {
                wrong.push(format!("{series} {value}: {:?} {:?}", of("gauge"), of("derive")));
            }
        }
        (wrong, counters)
    };
    let end = std::time::Instant::now() + LIMIT;
    while !wrong().0.is_empty() {
        assert!(std::time::Instant::now() < end, "{:#?}", wrong().0);
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert!(wrong().1 > 50, "{} counters", wrong().1);
}
