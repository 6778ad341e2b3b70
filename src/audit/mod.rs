//! The audit helper: draws the processes.
//!
//! Events travel one way: stdin, cushion, spool, receiver. What travels back is one number for each receiver, its cursor.

pub mod alarm;
pub mod delivery;
pub mod intake;
pub mod locks;
pub mod options;
pub mod process;
pub mod record;
pub mod seal;
pub mod spool;
pub mod tools;

use crate::error::{Error, Exit, Result};
use crate::flags::{self, Outcome, Parsed};
use crate::log;
use crate::sys::{self, crash, signal};

use options::{table, Options};
use process::heirlooms::Heirlooms;
use process::reload::{self, Call};
use process::sealer::vault;
use process::{keeper, start};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Runs the program.
pub fn main() -> ExitCode {
    signal::hold();
    match run() {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(e) => {
            // The log may not be there yet, and a usage error is for the one who types.
            let _ = writeln!(std::io::stderr(), "gostech-audit-log: {e}");
            ExitCode::from(e.exit() as u8)
        }
    }
}

/// What was called: a command, or the main job.
fn run() -> Result<Exit> {
    let args = sys::process::arguments();
    // Only what systemd has opened for this very process.
    let given = if std::env::var_os("LISTEN_PID").is_some() { sys::activation::numbers() } else { Vec::new() };
    sys::process::close_from_3(&given);
    harden();
    let env = sys::process::environment();
    match parse(&args, &env)? {
        Outcome::Print(text) => {
            print(&text);
            Ok(Exit::Clean)
        }
        Outcome::Run(parsed) if parsed.command.is_some() => command(&parsed, &env),
        Outcome::Run(parsed) => keep(&args, &env, &parsed),
    }
}

/// The main job.
fn keep(args: &[OsString], env: &[(OsString, OsString)], parsed: &Parsed) -> Result<Exit> {
    let mut options = Options::read(parsed, env, true)?;
    options.secrets.iter().for_each(|s| sys::process::wipe_argument(s));
    if let Some(seal) = options.seal.as_ref().filter(|seal| vault::was_never_made(&seal.dir)) {
        return Err(Error::usage(vault::without_key(&seal.dir)));
    }
    start_log(&options, env);
    let given = if options.source.row.is_held { sys::activation::take() } else { Vec::new() };
    let heirlooms = Heirlooms::make(options.memory_max, env)?;
    sys::process::wipe_environment();
    options.fit_memory(heirlooms.ring.size() as u64);
    let source = (options.source.row.prepare)(&options.source, given.into_iter().next())?;
    log::info("start", start::words(&options, parsed.config.as_deref(), &source));
    keeper::run(options, &heirlooms, Call::new(args, env))
}

/// No new rights, no core, nothing for others to read; what fails is an error, not a death.
fn harden() {
    for (what, done) in
        [("no_new_privs", sys::process::no_new_privileges()), ("dumpable", sys::process::not_dumpable())]
    {
        if let Err(e) = done {
            log::warn("start", format!("cannot set {what}: {e}"));
        }
    }
    sys::process::private_umask();
}

fn start_log(options: &Options, env: &[(OsString, OsString)]) {
    log::init("gostech-audit-log", options.log_level, log::sink(env));
    log::tell_of_panics();
    for w in &options.warnings {
        log::warn("options", w);
    }
}

fn parse(args: &[OsString], env: &[(OsString, OsString)]) -> Result<Outcome> {
    flags::parse(&table::PROGRAM, args, env, &reload::read_file)
}

/// Text for stdout; a reader that has gone away is no error.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Any of the commands.
fn command(parsed: &Parsed, env: &[(OsString, OsString)]) -> Result<Exit> {
    // Who has started it may end it.
    signal::defaults();
    signal::ignore_broken_pipes();
    crash::arm(env, None);
    let options = Options::read(parsed, env, false)?;
    options.secrets.iter().for_each(|s| sys::process::wipe_argument(s));
    // What a command finds it says itself, in its own words.
    let level = if options.log_level == log::Level::Debug { log::Level::Debug } else { log::Level::Error };
    log::init("gostech-audit-log", level, log::Sink::Plain);
    tools::run(parsed, &options)
}
