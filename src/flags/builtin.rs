//! ○ The rows every program has.
//!
//! Refuses to do: anything. It holds text.

use super::row::{text, Row, Text};

pub(super) const CONFIG: &str = "config";
pub(super) const NO_CONFIG: &str = "no-config";

pub(super) const GROUP: Text = text("General", "Общее");

const HELP: &str = "help";
pub(super) const VERSION: &str = "version";
pub(super) const HELP_MAN: &str = "help-man";
pub(super) const HELP_COMPLETION: &str = "help-completion";
pub(super) const HELP_MARKDOWN: &str = "help-markdown";

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
