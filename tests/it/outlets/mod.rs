//! Receivers on this machine and Kafka, each by a reader that is not ours: files, FIFOs and standard output (mtail, logrotate),
//! systemd's journal, Kafka's brokers, handlers.

mod broker;
pub mod exec;
pub mod file;
mod journald;
mod kafka;
mod kafka_tls;

use crate::harness::picodata::on_the_pipe;
use crate::harness::receiver::Doc;
use crate::harness::setup::contains;
use crate::harness::{procs, wait, Events, Picodata, Setup};
use serde_json::Value;
use std::collections::HashSet;
use std::time::{Duration, Instant};

pub const LIMIT: Duration = Duration::from_secs(90);
/// Events of a run that is disturbed.
pub const MANY: usize = 10_000;
/// One of so many is cut by the database.
const CUT_EACH: usize = 500;

/// What real clusters write, and what hurts: quotes, newlines, other alphabets, emoji, control characters, 15 KB.
fn event(events: &mut Events, n: usize) -> String {
    match n % 10 {
        1 => events.event_saying(r#"a \"quoted\" C:\\path and\ta tab\r\nand a newline"#),
        3 => events.event_saying("создан пользователь «Ёжик», таблица остатки, 中文, \u{1f980}\u{1f600}"),
        5 => events.event_saying(r"control \u0000 \u0001 \u001b[31m \u007f \u2028 \ud83e\udd80 \/ end"),
        7 if n % 200 == 7 => events.event_long(15_000),
        _ => events.event(),
    }
}

/// Records that the database cut, as their bytes came through the pipe.
#[derive(Default)]
pub struct Cut(Vec<Vec<u8>>);

/// Writes so many events, and kills the worker now and then when `kills`.
pub fn pour(picodata: &mut Picodata, count: usize, kills: bool) -> Cut {
    let (mut events, mut cut, mut deaths) = (Events::new(1, 1), Cut::default(), 0);
    let mut worker = picodata.wait_worker(None);
    for n in 0..count {
        if n % CUT_EACH == CUT_EACH - 1 {
            let bytes = on_the_pipe(events.event_long(20_000).as_bytes());
            picodata.write_raw(&bytes).expect("the pipe never breaks");
            cut.0.push(bytes);
        } else {
            picodata.write(&event(&mut events, n)).expect("the pipe never breaks");
        }
        if kills && n % 1_000 == 999 {
            assert!(procs::kill9(worker), "the worker was gone by itself");
            deaths += 1;
            worker = picodata.wait_worker(Some(worker));
        }
    }
    assert_eq!(deaths, if kills { count / 1_000 } else { 0 });
    cut
}

/// JSON lines as documents, each once, and how many came again.
pub fn docs_of<'a>(lines: impl Iterator<Item = &'a str>) -> (Vec<Doc>, usize) {
    let (mut docs, mut seen, mut repeats) = (Vec::new(), HashSet::new(), 0);
    for raw in lines {
        let value: Value = serde_json::from_str(raw).unwrap_or_else(|e| panic!("{e}: {raw}"));
        let id = value["gostech"]["id"].as_str().expect("an id").to_owned();
        match seen.insert(id.clone()) {
            true => docs.push(Doc { id, value, raw: raw.to_owned(), at: Instant::now() }),
            false => repeats += 1,
        }
    }
    (docs, repeats)
}

/// Everything is there, field by field and in order, the cut ones too.
pub fn assert_all(picodata: &Picodata, cut: &Cut, docs: &[Doc]) {
    let (short, whole): (Vec<Doc>, Vec<Doc>) =
        docs.iter().cloned().partition(|d| d.value["gostech"]["truncated"] == true);
    assert_eq!(picodata.ledger.compare(&whole), Ok(()), "{}", picodata.err());
    let raw: Vec<&[u8]> =
        short.iter().map(|d| d.value["gostech"]["raw"].as_str().unwrap_or_default().as_bytes()).collect();
    assert!(raw.len() == cut.0.len() && raw.iter().zip(&cut.0).all(|(a, b)| *a == &b[..]), "{} cut ones", raw.len());
}

/// What `check` with these options says, and whether all is well.
pub fn check(setup: &Setup, args: &[&str]) -> (bool, String) {
    let mut setup = setup.clone();
    setup.args.insert(0, "check".into());
    let out = setup.args(args).run_on(std::process::Stdio::null());
    // (What cannot be right at all is told on standard error.)
    (out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
}

/// Waits until the program has said this.
pub fn wait_said(picodata: &Picodata, words: &str) {
    wait(&format!("«{words}» is said"), LIMIT, || contains(picodata.err().as_bytes(), words.as_bytes()));
}
