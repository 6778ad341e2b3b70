//! The commands of the audit helper: what it does besides its main job, each in a file of its own.
//!
//! Commands that only look never lock and never write, so they can be used while the helper works. Answers go to stdout,
//! troubles to stderr. Refuses: secrets in any output.

pub mod acting;
pub mod build;
pub mod call;
pub mod check;
pub mod evidence;
pub mod export;
pub mod forget;
pub mod look;
pub mod progress;
pub mod quarantine;
pub mod range;
pub mod repair;
pub mod replay;
pub mod rights;
pub mod scan;
pub mod seal_init;
pub mod seals;
pub mod status;
pub mod verify;
pub mod watching;

#[cfg(test)]
mod tests;

use crate::audit::options::Options;
use crate::error::{Error, Exit};
use crate::flags::Parsed;
use crate::sys::clock::wall_ms;
use crate::sys::user;
use call::{Call, Result, Stop};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

/// Runs a command to its end.
pub fn run(parsed: &Parsed, options: &Options) -> crate::error::Result<Exit> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut call = Call { parsed, options, now_ms: wall_ms(), out: &mut out };
    let done = give_up_rights(&call).and_then(|()| dispatch(&mut call));
    match done.and_then(|exit| out.flush().map(|()| exit).map_err(Stop::Output)) {
        Ok(exit) => Ok(exit),
        Err(Stop::Error(e)) => {
            // What was found before belongs before the sentence.
            let _ = out.flush();
            Err(e)
        }
        // A reader that has seen enough, as `head` does.
        Err(Stop::Output(e)) if e.kind() == ErrorKind::BrokenPipe => Ok(Exit::Clean),
        Err(Stop::Output(e)) => Err(Error::failed(format!("cannot write to standard output: {e}"))),
    }
}

/// Before a command opens anything in a spool. `check` opens what the helper opens, not what lies there.
fn give_up_rights(call: &Call<'_>) -> Result<()> {
    let name = call.parsed.command_name();
    let takes_dir = ["spool verify", "spool export", "spool repair", "spool replay"].contains(&name.as_str());
    if name == "check" || name == "seal verify" || !user::is_root() {
        return Ok(());
    }
    if name == "seal init" {
        return rights::give_up_above(seal_init::dir(call)?);
    }
    match call.operand().filter(|_| takes_dir) {
        Some(text) if text.is_empty() => Err(Error::usage("the directory is empty").into()),
        Some(text) => rights::give_up(Path::new(text)),
        None => rights::give_up(&look::root(call.options)?),
    }
}

fn dispatch(call: &mut Call<'_>) -> Result<Exit> {
    match call.parsed.command_name().as_str() {
        "status" if !call.is_on("watch") => status::run(call),
        "status" | "top" => watching::run(call),
        "check" => check::run(call),
        "spool verify" => verify::run(call),
        "spool export" => export::run(call),
        "spool repair" => repair::run(call),
        "spool replay" => replay::run(call),
        "spool forget" => forget::run(call),
        "seal init" => seal_init::run(call),
        "seal verify" => evidence::run(call),
        "quarantine list" => quarantine::list(call),
        "quarantine retry" => quarantine::retry(call),
        other => Err(Error::failed(format!("command `{other}` is not known")).into()),
    }
}
