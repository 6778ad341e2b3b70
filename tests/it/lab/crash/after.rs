//! What must hold after every death: the same questions for all scenarios.

use super::stage::Stage;
use crate::harness::setup::text;
use crate::harness::{Ledger, Picodata, Receiver, Setup};
use serde_json::Value;
use std::time::Duration;

pub const LIMIT: Duration = Duration::from_secs(60);

/// Events of a request in these scenarios: each death may repeat so many.
pub const BATCH: u64 = 100;

/// `spool verify` of everything below the spool directory says clean.
pub fn verify(setup: &Setup, stage: &Stage) {
    let out = stage.plain(setup).tool(&["spool", "verify", "--no-config", "--spool-dir", &stage.den.file("spool")]);
    assert_eq!(out.status.code(), Some(0), "{}: {}{}", stage.title, text(&out.stdout), text(&out.stderr));
}

/// The page of `status --json`.
pub fn status(setup: &Setup, stage: &Stage) -> Value {
    let args = ["status", "--json", "--no-config", "--spool-dir", &stage.den.file("spool")];
    let out = stage.plain(setup).tool(&args);
    assert_eq!(out.status.code(), Some(0), "{}: {}", stage.title, text(&out.stderr));
    serde_json::from_str(&text(&out.stdout)).expect("JSON")
}

fn number(v: &Value, name: &str) -> u64 {
    v[name].as_u64().unwrap_or_else(|| panic!("no number `{name}` in {v:#}"))
}

/// For each receiver of each sub-directory: read + own = delivered + quarantined + dropped + filtered + in spool. Gives what
/// the sub-directory `name` has read.
pub fn counters(page: &Value, name: &str, title: &str) -> u64 {
    let mut read = None;
    for spool in page["spools"].as_array().expect("spools") {
        let c = &spool["counters"];
        let come = number(c, "read") + number(c, "own");
        for r in spool["receivers"].as_array().expect("receivers") {
            let gone: u64 = ["delivered", "quarantined", "dropped", "filtered"].iter().map(|n| number(r, n)).sum();
            assert_eq!(come, gone + number(r, "waiting"), "{title}: {spool:#}");
        }
        if spool["name"] == name {
            read = Some(number(c, "read"));
        }
    }
    read.unwrap_or_else(|| panic!("{title}: no spool `{name}` in {page:#}"))
}

/// Ends the helper; all that was written is there, once by document id, in order; gaps are told once.
pub fn whole(picodata: &mut Picodata, receiver: &Receiver, setup: &Setup, stage: &Stage, missing: u64) {
    picodata.close();
    picodata.wait_end(LIMIT);
    delivered(&picodata.ledger, receiver, stage, missing, &picodata.err());
    let page = status(setup, stage);
    let read = counters(&page, "default", &stage.title);
    assert_eq!(read, picodata.ledger.len() as u64, "{}: records read\n{page:#}\n{}", stage.title, picodata.err());
    verify(setup, stage);
}

/// Everything of the ledger, once by document id, in order, and gaps of so many events.
pub fn delivered(ledger: &Ledger, receiver: &Receiver, stage: &Stage, missing: u64, err: &str) {
    let (gaps, docs): (Vec<_>, Vec<_>) = receiver.docs().into_iter().partition(|d| d.value["title"] == "audit_gap");
    assert_eq!(ledger.compare(&docs), Ok(()), "{}\n{err}", stage.title);
    let told: u64 = gaps.iter().filter_map(|g| g.value["missing"].as_u64()).sum();
    assert_eq!(told, missing, "{}: {gaps:#?}", stage.title);
    let bound = BATCH * stage.kills();
    assert!(receiver.repeats() <= bound, "{}: {} repeats, more than {bound}", stage.title, receiver.repeats());
}
