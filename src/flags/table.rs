//! ○ The table of a program: its rows, commands and texts. Everything else in this room reads it.
//!
//! Refuses to do: anything. It holds text and finds rows by name.

use super::builtin;
use super::row::{Row, Text};

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Its words: `["spool", "replay"]`.
    pub name: &'static [&'static str],
    /// What stands behind it: `NAME`, `[NAME]` where it may be left out, `NAME...` for one or more; empty: nothing.
    pub operands: &'static str,
    /// One sentence without a final dot.
    pub help: &'static str,
    /// The same in Russian.
    pub help_ru: &'static str,
}

impl Command {
    /// Its words in one string: `spool replay`.
    pub fn full_name(&self) -> String {
        self.name.join(" ")
    }

    /// How many operands it needs, and how many it takes at most.
    pub fn operand_range(&self) -> (usize, usize) {
        let words: Vec<&str> = self.operands.split_whitespace().collect();
        let least = words.iter().filter(|word| !word.starts_with('[')).count();
        let most = if self.operands.contains("...") { usize::MAX } else { words.len() };
        (least, most)
    }
}

/// One line of a section: a word for programs, and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The word.
    pub term: &'static str,
    /// A star stands beside it; the section says what that means.
    pub marked: bool,
    /// One sentence without a final dot.
    pub meaning: Text,
}

/// A section of the man page and a table of the README beside those of the options.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Its title, in capitals as those of man pages are.
    pub title: Text,
    /// What has to be known of all its lines.
    pub intro: Text,
    /// Its lines.
    pub rows: &'static [Entry],
}

/// One program: all that its parser, help, man pages, completions and README blocks are made of.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The name of the binary.
    pub name: &'static str,
    /// The version that `--version` and the man page show.
    pub version: &'static str,
    /// The day of the man page, `2025-11-21`: given, so that a build is the same on any day.
    pub date: &'static str,
    /// What it is, as `--help` and NAME show it.
    pub about: Text,
    /// Ways to call it, each a line without the program's name.
    pub usage: &'static [&'static str],
    /// Its commands; a call without one is the main job.
    pub commands: &'static [Command],
    /// The groups in the order in which they are shown; `en` is the name that rows use.
    pub groups: &'static [Text],
    /// Its options.
    pub rows: &'static [Row],
    /// `GOSTECH_AUDIT_`.
    pub env_prefix: &'static str,
    /// The default configuration file.
    pub config: &'static str,
    /// Paragraphs of DESCRIPTION.
    pub description: &'static [Text],
    /// Variables beside those of the options. Those that have our prefix are not warned about.
    pub environment: &'static [(&'static str, Text)],
    /// Sections of its own, behind the exit codes.
    pub sections: &'static [Section],
    /// Files beside the configuration file.
    pub files: &'static [(&'static str, Text)],
    /// What it does on signals: their names, and what happens.
    pub signals: &'static [super::signals::Row],
    /// Exit codes.
    pub exit_status: &'static [(&'static str, Text)],
    /// Commands to copy, each with what it does; the first ones also end `--help`.
    pub examples: &'static [(&'static str, Text)],
    /// `gostech-metrics(1)`.
    pub see_also: &'static [&'static str],
    /// Lines of `--version` below the first: what this machine protects us with.
    pub version_lines: fn() -> Vec<String>,
}

impl Program {
    /// All rows: the program's, then those every program has.
    pub fn all_rows(&self) -> impl Iterator<Item = &'static Row> {
        self.rows.iter().chain(builtin::ROWS)
    }

    /// The row of a long name or alias.
    pub fn row(&self, name: &str) -> Option<&'static Row> {
        self.all_rows().find(|row| row.names().any(|known| known == name))
    }

    /// The row of a letter.
    pub fn row_of_letter(&self, letter: char) -> Option<&'static Row> {
        self.all_rows().find(|row| row.short == Some(letter))
    }

    /// The variable of an option's name.
    pub fn variable(&self, name: &str) -> String {
        format!("{}{}", self.env_prefix, name.to_uppercase().replace('-', "_"))
    }

    /// The default of a row, where the one of `--config` is the program's.
    pub fn default_of(&self, row: &Row) -> &'static str {
        if row.name == builtin::CONFIG {
            self.config
        } else {
            row.default
        }
    }

    /// The groups with their visible rows, in order; the last is the one every program has.
    pub fn grouped(&self) -> Vec<(Text, Vec<&'static Row>)> {
        let groups = self.groups.iter().chain(std::iter::once(&builtin::GROUP));
        let rows = |group: &Text| self.all_rows().filter(|r| !r.hidden && r.group == group.en).collect::<Vec<_>>();
        groups.map(|group| (*group, rows(group))).filter(|(_, rows)| !rows.is_empty()).collect()
    }
}
