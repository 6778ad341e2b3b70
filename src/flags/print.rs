//! ○ What the rows print that only print something: help, version, man page, completions, README block.
//!
//! Refuses to do: read the configuration or the environment before printing. `--help` works on a broken system.

use super::builtin::{HELP_COMPLETION, HELP_MAN, HELP_MARKDOWN, VERSION};
use super::row::{Language, Row};
use super::table::Program;
use super::{complete, help, man, markdown};
use crate::error::{Error, Result};

/// The text of a row that only prints; `value` is empty for switches.
pub(super) fn row(program: &Program, row: &Row, value: &str) -> Result<String> {
    let wrong = || Error::usage(format!("`--{}` takes one of {}", row.name, row.metavar().unwrap_or_default()));
    let language = || match value {
        "en" => Ok(Language::En),
        "ru" => Ok(Language::Ru),
        _ => Err(wrong()),
    };
    match row.name {
        VERSION => Ok(version(program)),
        HELP_MAN => language().map(|language| man::page(program, language)),
        HELP_MARKDOWN => language().map(|language| markdown::block(program, language)),
        HELP_COMPLETION => complete::script(program, value).ok_or_else(wrong),
        _ => Ok(help::page(program)),
    }
}

fn version(program: &Program) -> String {
    let mut out = format!("{} {}\n", program.name, program.version);
    for line in (program.version_lines)() {
        out.push_str(&line);
        out.push('\n');
    }
    out
}
