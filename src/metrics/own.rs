//! The program's own families ○: whether the database answers, what was polled, and the program itself.

use super::catalog;
use super::push::counts::Counts;
use super::queries::Told;
use super::readings::Seen;
use super::rules::Rules;
use super::snapshot::{Builder, Part, Snapshot};
use crate::guard::Parts;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the program knows of itself.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// When it was started.
    pub started: SystemTime,
    /// Resident memory, in bytes.
    pub memory: Option<u64>,
    /// What protects it, and whether that is in force.
    pub protection: Parts,
    /// Forbidden system calls that it tried.
    pub refused: u64,
    /// Files with certificates, and when these end.
    pub certificates: &'a [(String, i64)],
    /// The outlets, and what is told of them.
    pub outlets: &'a [(String, Counts)],
    /// The own queries.
    pub queries: &'a [Told],
}

/// The families for what is seen of each instance.
pub fn families(all: &[Seen], program: Program<'_>, rules: &Rules) -> Snapshot {
    let rules = rules.unfiltered();
    let mut out = Builder::new(&rules);
    let mut put = |name: &str, labels: &[(&str, &str)], value: f64| {
        let row = catalog::find(name).expect("our own families are in the catalog");
        out.family(name, row.kind, row.help);
        out.sample(name, Part::Plain, &mut labels.to_vec(), value);
    };
    all.iter().for_each(|seen| instance(&mut put, seen));
    let refused = all.iter().any(|seen| seen.view.counts.refused_configuration);
    let configured = f64::from(u8::from(!refused));
    put("gostech_metrics_config_last_reload_successful", &[], configured);
    put("gostech_metrics_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let started = program.started.duration_since(UNIX_EPOCH).unwrap_or_default();
    put("gostech_metrics_process_start_time_seconds", &[], seconds(started));
    if let Some(memory) = program.memory {
        put("gostech_metrics_process_resident_memory_bytes", &[], memory as f64);
    }
    for (kind, on) in program.protection {
        put("gostech_metrics_protection", &[("kind", kind)], f64::from(u8::from(on)));
    }
    for (file, end) in program.certificates {
        put("gostech_metrics_certificate_not_after_timestamp_seconds", &[("file", file)], *end as f64);
    }
    put("gostech_metrics_refused_calls_total", &[], program.refused as f64);
    program.outlets.iter().for_each(|(name, counts)| outlet(&mut put, name, counts));
    program.queries.iter().for_each(|told| query(&mut put, told));
    out.finish().0
}

/// What is told of one instance.
fn instance(put: &mut impl FnMut(&str, &[(&str, &str)], f64), Seen { labels, view }: &Seen) {
    let mut put = |name: &str, own: &[(&str, &str)], value: f64| {
        let all: Vec<_> = labels.iter().map(|(n, t)| (n.as_str(), t.as_str())).chain(own.iter().copied()).collect();
        put(name, &all, value);
    };
    put("picodata_up", &[], f64::from(u8::from(view.down().is_none())));
    if let Some(reason) = view.down() {
        put("gostech_metrics_down", &[("reason", reason.name())], 1.0);
    }
    if let Some(reading) = &view.reading {
        put("gostech_metrics_poll_age_seconds", &[], seconds(reading.at.elapsed()));
        put("gostech_metrics_poll_duration_seconds", &[], seconds(reading.took));
        for (grade, good) in &reading.sources {
            put("gostech_metrics_source_success", &[("source", grade.name())], f64::from(u8::from(*good)));
        }
        let series = reading.result.as_ref().map_or(0, |(page, _)| page.snapshot.series());
        put("gostech_metrics_series", &[], series as f64);
    }
    put("gostech_metrics_polls_total", &[("result", "success")], view.counts.good as f64);
    put("gostech_metrics_polls_total", &[("result", "failure")], view.counts.failed as f64);
    for (reason, count) in view.counts.errors.iter() {
        put("gostech_metrics_errors_total", &[("reason", reason)], count as f64);
    }
}

/// What is told of one outlet.
fn outlet(put: &mut impl FnMut(&str, &[(&str, &str)], f64), name: &str, counts: &Counts) {
    let own = ("outlet", name);
    put("gostech_metrics_push_total", &[own], counts.taken as f64);
    put("gostech_metrics_push_samples_total", &[own], counts.samples as f64);
    put("gostech_metrics_push_waiting", &[own], counts.waiting as f64);
    if let Some(last) = counts.last {
        put("gostech_metrics_push_last_success_timestamp_seconds", &[own], last);
    }
    let by_reason = [
        ("gostech_metrics_push_failures_total", &counts.failures),
        ("gostech_metrics_push_samples_left_out_total", &counts.left_out),
        ("gostech_metrics_push_dropped_total", &counts.dropped),
    ];
    for (family, tally) in by_reason {
        for (reason, count) in tally.iter() {
            put(family, &[own, ("reason", reason)], count as f64);
        }
    }
}

/// What is told of one query.
fn query(put: &mut impl FnMut(&str, &[(&str, &str)], f64), told: &Told) {
    let own = ("query", told.name.as_str());
    put("gostech_metrics_query_success", &[own], f64::from(u8::from(told.brought.is_some())));
    put("gostech_metrics_query_rows", &[own], told.rows as f64);
    put("gostech_metrics_query_duration_seconds", &[own], told.took);
    if let Some(last) = told.last {
        put("gostech_metrics_query_last_success_timestamp_seconds", &[own], last);
    }
    for (reason, count) in told.failures.iter() {
        put("gostech_metrics_query_failures_total", &[own, ("reason", reason)], count as f64);
    }
}

/// To the microsecond: what is below is noise.
fn seconds(d: Duration) -> f64 {
    (d.as_secs_f64() * 1e6).round() / 1e6
}
