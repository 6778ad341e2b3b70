//! The scenarios in which a helper dies in the middle of what a receiver of this machine asks for: a file, a handler.

use super::after::{counters, status, verify, BATCH, LIMIT};
use super::stage::Stage;
use super::After;
use crate::harness::{Events, Picodata, Setup};
use crate::outlets::docs_of;

/// A file that is rotated; an old one is due to be removed.
pub fn file(stage: &Stage) -> After {
    let path = stage.den.file("audit.jsonl");
    let old = stage.den.put("audit.jsonl.20200101T000000", "");
    let setup = stage.to(&format!("file://{path}")).args(&["--file-max", "64K", "--file-keep", "900d"]);
    let (picodata, setup) = outlived(stage, setup);
    assert!(!std::path::Path::new(&old).exists(), "{}: it was to go\n{}", stage.title, picodata.err());
    let lines = crate::outlets::file::lines_of(&stage.den, "audit.jsonl");
    told(stage, &picodata, &setup, &lines)
}

/// A handler that keeps each line, and answers it.
pub fn exec(stage: &Stage) -> After {
    if crate::harness::peer("python3").is_none() {
        return After { left_out: 1, ..After::default() };
    }
    let program = crate::outlets::exec::keeping(&stage.den, "keep");
    let (picodata, setup) = outlived(stage, stage.to(&format!("exec://{program}")));
    let lines = crate::outlets::exec::got(&stage.den);
    told(stage, &picodata, &setup, &lines)
}

/// Dies every death under a stream, and ends in order.
fn outlived(stage: &Stage, setup: Setup) -> (Picodata, Setup) {
    let setup = stage.armed(setup);
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    stage.write_until_dead(&mut picodata, &mut events, 600, 1000);
    picodata.close();
    picodata.wait_end(LIMIT);
    assert!(stage.all_dead(&picodata), "{}: died {} times only", stage.title, stage.died(&picodata.err()));
    (picodata, setup)
}

/// Every line is a whole event, all are there in order, and few came twice.
fn told(stage: &Stage, picodata: &Picodata, setup: &Setup, lines: &[String]) -> After {
    let (docs, repeats) = docs_of(lines.iter().map(String::as_str));
    assert_eq!(picodata.ledger.compare(&docs), Ok(()), "{}\n{}", stage.title, picodata.err());
    let (repeated, bound) = (repeats as u64, BATCH * stage.kills());
    assert!(repeated <= bound, "{}: {repeated} repeats, more than {bound}", stage.title);
    let records = picodata.ledger.len() as u64;
    assert_eq!(counters(&status(setup, stage), "default", &stage.title), records, "{}", stage.title);
    verify(setup, stage);
    After { kills: stage.kills(), records, repeated, left_out: 0 }
}
