//! The rows every program has, and what those that only print print.
//!
//! Refuses to do: read the configuration or the environment before printing. `--help` works on a broken system.

use super::table::{text, Language, Program, Row, Text};
use super::{complete, help, man, markdown};
use crate::error::{Error, Result};

pub(super) const CONFIG: &str = "config";
pub(super) const NO_CONFIG: &str = "no-config";

pub(super) const GROUP: Text = text("General", "Общее");

const HELP: &str = "help";
const VERSION: &str = "version";
const HELP_MAN: &str = "help-man";
const HELP_COMPLETION: &str = "help-completion";
const HELP_MARKDOWN: &str = "help-markdown";

pub(super) const ROWS: &[Row] = &[
    Row::value(
        GROUP.en,
        CONFIG,
        "FILE",
        "read options from this file, one a line; the default one is read only if it is there",
        "читать параметры из этого файла, по одному в строке; файл по умолчанию читается, только если он есть",
    )
    .only_flag(),
    Row::switch(GROUP.en, NO_CONFIG, "read no configuration file", "не читать файл конфигурации").only_flag(),
    Row::switch(GROUP.en, HELP, "print this help", "напечатать справку").short('h').only_flag(),
    Row::switch(GROUP.en, VERSION, "print the version", "напечатать версию").short('V').only_flag(),
    Row::value(GROUP.en, HELP_MAN, "en|ru", "print the man page", "напечатать страницу руководства")
        .default("en")
        .only_flag()
        .hidden(),
    Row::value(GROUP.en, HELP_COMPLETION, "bash|zsh|fish", "print completions", "напечатать автодополнение")
        .only_flag()
        .hidden(),
    Row::value(GROUP.en, HELP_MARKDOWN, "en|ru", "print the table of options", "напечатать таблицу параметров")
        .default("en")
        .only_flag()
        .hidden(),
];

/// Whether a row only prints something, so that the rest of the call does not matter.
pub(super) fn prints(row: &Row) -> bool {
    [HELP, VERSION, HELP_MAN, HELP_COMPLETION, HELP_MARKDOWN].contains(&row.name)
}

/// The text of a row that only prints; `value` is empty for switches.
pub(super) fn print(program: &Program, row: &Row, value: &str) -> Result<String> {
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
