//! The metrics helper: draws the threads.
//!
//! ```text
//! poll thread ─ asker ─ iproto ─ source ─▶ snapshot ─▶ readings ◀─ pages ◀─ porch
//!                                                          ◀─ push ─▶ outlets
//! ```
//!
//! Refuses: to end because of the world; only a wrong option does that (exit code 2), and the jobs that end anyway.

pub mod asker;
pub mod assemble;
pub mod catalog;
mod check;
mod check_outlets;
mod check_page;
mod check_queries;
pub mod cluster;
mod faults;
pub mod ledger;
pub mod login;
pub mod numbers;
pub mod options;
pub mod overview;
pub mod own;
pub mod pages;
pub mod poll;
pub mod push;
pub mod queries;
pub mod readings;
mod reload;
pub mod render;
pub mod rules;
mod serve;
pub mod snapshot;
pub mod source;
pub mod text;
pub mod tries;
mod watching;

use crate::error::{Error, Exit, Result};
use crate::flags::call::Call;
use crate::limits;
use crate::log;
use crate::sys::{activation, process, signal};
use asker::Asker;
use cluster::Cluster;
use ledger::Ledger;
use numbers::Numbers;
use options::{Job, Options};
use queries::run::Desk;
use reload::Again;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Runs the program.
pub fn main() -> ExitCode {
    signal::hold();
    let end = run().unwrap_or_else(|error| {
        log::error("usage", &error);
        error.exit()
    });
    ExitCode::from(end as u8)
}

fn run() -> Result<Exit> {
    let started = SystemTime::now();
    let mut call = Call { args: process::arguments(), env: process::environment() };
    process::close_from_3(&activation::numbers());
    process::private_umask();
    harden();
    log::init("gostech-metrics", log::Level::Info, log::sink(&call.env));
    let read = reload::read(&mut call);
    // Whatever came of it: a password must not stay where `ps` shows it.
    wipe(&call.args);
    process::wipe_environment();
    let (mut options, prints) = match read? {
        reload::Read::Print(text) => return print(text.as_bytes()).map(|()| Exit::Clean),
        reload::Read::Run(options, prints) => (*options, prints),
    };
    let sink = if matches!(options.job, Job::Serve) { log::sink(&call.env) } else { log::Sink::Plain };
    // The screen is not to be written over.
    let level = if matches!(options.job, Job::Watch) { log::Level::Error } else { options.level };
    log::init("gostech-metrics", level, sink);
    options.login.one_shot = !matches!(options.job, Job::Serve | Job::Watch);
    options.login.ledger = Ledger::open(&ledger::places(&call.env));
    options.warnings.iter().for_each(|w| log::warn("options", w));
    if !matches!(options.job, Job::Serve) {
        // Who has started it may end it.
        signal::defaults();
        signal::ignore_broken_pipes();
    }
    match options.job {
        Job::Serve => serve::run(options, Again { call, prints, sink }, started),
        Job::Once(format) => print_once(options, format, started),
        Job::Check => print_check(options, started),
        Job::Watch => watching::run(options, started),
    }
}

/// Best effort: an old kernel that lacks one of these is no reason not to serve.
fn harden() {
    if let Err(e) = process::not_dumpable() {
        log::warn("hygiene", format!("cannot forbid core dumps: {e}"));
    }
    if let Err(e) = process::no_new_privileges() {
        log::warn("hygiene", format!("cannot forbid new privileges: {e}"));
    }
}

/// Overwrites every value behind `--password` in the visible arguments, and behind `--push` one with a user or a query, also
/// when the line is wrong elsewhere.
fn wipe(args: &[OsString]) {
    let is_secret = |name: &[u8], value: &[u8]| {
        name == b"--password" || name == b"--push" && value.iter().any(|b| matches!(b, b'@' | b'?'))
    };
    let mut before: &[u8] = b"";
    for arg in args {
        let bytes = arg.as_bytes();
        if !before.is_empty() {
            if is_secret(std::mem::take(&mut before), bytes) {
                process::wipe_argument(arg);
            }
        } else if matches!(bytes, b"--password" | b"--push") {
            before = bytes;
        } else if let Some(at) = bytes.iter().position(|b| *b == b'=') {
            if is_secret(&bytes[..at], &bytes[at + 1..]) {
                process::wipe_argument(OsStr::from_bytes(&bytes[at + 1..]));
            }
        }
    }
}

fn print(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|e| Error::failed(format!("cannot print: {e}")))
}

fn print_once(options: Options, format: &render::Render, started: SystemTime) -> Result<Exit> {
    let readings = Arc::new(readings::Readings::default());
    let queries = Arc::<Desk>::default();
    let numbers = Numbers::new(&options, started, Arc::default(), queries.clone());
    let cluster = Cluster::new(readings.clone(), options.maker());
    let mut beside = options.another_asker();
    let mut asker = Asker::new(options.database, options.login, options.wishes);
    let (reading, database) = poll::once(&mut asker);
    let end = if reading.result.is_ok() { Exit::Clean } else { Exit::Failed };
    if let Err(trouble) = &reading.result {
        log::error("database", &trouble.text);
    }
    // One that is down has been asked enough.
    let ask = if end == Exit::Clean { options.queries } else { Vec::new() };
    queries.once(&mut beside, ask).into_iter().flatten().for_each(|wrong| log::error("query", wrong));
    readings.publish(reading, database);
    // What was read just now will do; the others are asked here.
    let seen = cluster.read(Duration::MAX, Duration::from_secs(limits::METRICS_WAIT_SECONDS));
    print(&numbers.page(&seen, format, &[]))?;
    Ok(end)
}

fn print_check(options: Options, started: SystemTime) -> Result<Exit> {
    let (page, sound) = check_page::report(&options);
    let readings = readings::Readings::default();
    let queries = Arc::<Desk>::default();
    let numbers = Numbers::new(&options, started, Arc::default(), queries.clone());
    let mut beside = options.another_asker();
    let mut asker = Asker::new(options.database, options.login, options.wishes);
    let (reading, database) = poll::once(&mut asker);
    readings.publish(reading, database.clone());
    let asked = check_queries::report(&queries, &mut beside, options.queries);
    let view = readings.glance();
    let seen = [readings::Seen { labels: Vec::new(), view }];
    let printed = numbers.page(&seen, &render::PROMETHEUS, &[]);
    let (outlets, taken) = check_outlets::report(&options.push, &numbers.shot(&seen));
    let [readings::Seen { view, .. }] = &seen;
    let Some(reading) = &view.reading else { return Err(Error::failed("the database was not asked")) };
    let (words, good) = check::report(&mut asker, reading, database.as_ref(), &printed);
    print(format!("{page}{outlets}{}{words}", asked.0).as_bytes())?;
    Ok(if good && sound && taken && asked.1 { Exit::Clean } else { Exit::Failed })
}
