//! ○ Options of both programs: one table of rows, and everything that can be made from it: the parser (over lexopt), the
//! readers of environment and configuration file, `--help`, man pages, completions, README blocks.
//!
//! Precedence for each row: flag, environment, file. The highest that has any gives all values. Receivers are a group:
//! when the flags open any, those of environment and file are left out together with what was bound to them; what stands
//! there before the first receiver remains a default for all. A receiver's own value beats a default of the same or a
//! lower source, and replaces it; values of the two are never mixed.
//!
//! Pure: arguments, environment and the reading of a file come in as values. Refuses to do: show a secret, guess what an
//! option means from its beginning, start a program with a mistake in its configuration.

mod builtin;
pub mod call;
#[cfg(test)]
pub mod check;
mod command;
mod complete;
mod environment;
mod file;
mod help;
mod item;
pub mod joined;
mod line;
mod man;
mod markdown;
mod merge;
mod near;
mod placeholder;
mod print;
mod row;
pub mod signals;
mod table;
#[cfg(test)]
mod tests;
pub mod value;

pub use item::{Item, Parsed, Place};
pub use near::{nearest, shown};
pub use row::{text, Language, Row, Scope, Takes, Text};
pub use table::{Command, Entry, Program, Section};

use crate::error::Result;
use std::ffi::OsString;
use std::io;
use std::path::Path;

/// What a call comes to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Work.
    Run(Parsed),
    /// Text for stdout, exit code 0: `--help`, `--version`.
    Print(String),
}

/// Reads a whole call. `args` come without the program's own name; `read_file` gives the bytes of a file, at most
/// `limits::FLAGS_FILE_BYTES + 1` of them.
pub fn parse(
    program: &'static Program,
    args: &[OsString],
    env: &[(OsString, OsString)],
    read_file: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<Outcome> {
    let mut line = match line::read(program, args)? {
        line::Line::Print(text) => return Ok(Outcome::Print(text)),
        line::Line::Run(line) => line,
    };
    let (command, operands) = command::pick(program, &line.words)?;
    if command.is_none() {
        line.items = command::renamed(program, line.items)?;
    }
    command::refuse_foreign(command, &line.items)?;
    let opened = line.items.iter().any(|item| item.spec.opens);
    let environment = environment::read(program, env, opened)?;
    let file = file::read(program, &line.items, read_file)?;
    let items = merge::merge([line.items, environment.items, file.items]);
    let (warnings, config) = (environment.warnings, file.path);
    Ok(Outcome::Run(Parsed { command, operands, items, warnings, config, program }))
}
