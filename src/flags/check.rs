//! ○ What a table must be: the list of complaints that a test of every program wants empty.
//!
//! Refuses to do: anything at run time; a bad table is a fault found by `cargo test`.

use super::row::{Row, Scope, Takes, Text};
use super::table::Program;
use std::collections::BTreeSet;

/// A sentence of `--help` in three lines of a terminal.
const FLAGS_HELP_CHARS: usize = 150;

/// Everything that is wrong with a program's table.
pub fn complaints(program: &Program) -> Vec<String> {
    let mut out = Vec::new();
    unique(program, &mut out);
    for row in program.all_rows() {
        let mut say = |what: &str| out.push(format!("row `{}`: {what}", row.name));
        names(row, &mut say);
        sentence(row.about(), &mut say);
        sense(program, row, &mut say);
    }
    for command in program.commands {
        let mut say = |what: &str| out.push(format!("command `{}`: {what}", command.full_name()));
        sentence(Text { en: command.help, ru: command.help_ru }, &mut say);
        if command.name.is_empty() || !command.name.iter().all(|word| plain(word)) {
            say("words of small letters");
        }
        for word in super::placeholder::unknown(command.operands) {
            say(&format!("`{word}` has no Russian in `placeholder`"));
        }
    }
    frame(program, &mut out);
    out
}

fn unique(program: &Program, out: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    let names = program.all_rows().flat_map(Row::names).map(str::to_owned);
    let letters = program.all_rows().filter_map(|row| row.short).map(|letter| format!("-{letter}"));
    let commands = program.commands.iter().map(|command| format!("command {}", command.full_name()));
    let others = program.all_rows().flat_map(|row| row.env_also).map(|name| format!("variable {name}"));
    for name in names.chain(letters).chain(commands).chain(others) {
        if !seen.insert(name.clone()) {
            out.push(format!("`{name}` is there twice"));
        }
    }
}

fn names(row: &Row, say: &mut impl FnMut(&str)) {
    // Other programs' names are written as these write them.
    if !plain(row.name) || !row.aliases.iter().all(|alias| plain(&alias.replace('_', "-"))) {
        say("names are small letters, digits and dashes, beginning with a letter");
    }
    if row.short.is_some_and(|letter| !letter.is_ascii_alphabetic()) {
        say("the short name is a letter");
    }
    let capital = |word: &str| word.chars().all(|c| c.is_ascii_uppercase() || "-:=. ".contains(c));
    for word in super::placeholder::unknown(row.metavar().unwrap_or_default()) {
        say(&format!("`{word}` has no Russian in `placeholder`"));
    }
    match row.metavar() {
        None => {}
        Some("") => say("the value has no name"),
        Some(metavar) if row.choices().is_empty() && !capital(metavar) => say("the value's name is in capitals"),
        Some(_) if row.choices().iter().any(|word| word.is_empty() || word.contains(char::is_whitespace)) => {
            say("choices are words")
        }
        Some(_) => {}
    }
}

fn plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn sentence(both: Text, say: &mut impl FnMut(&str)) {
    for (language, words) in [("English", both.en), ("Russian", both.ru)] {
        let length = words.chars().count();
        if length == 0 || length > FLAGS_HELP_CHARS {
            say(&format!("the {language} help has {length} characters, from 1 to {FLAGS_HELP_CHARS} are right"));
        }
        if words.ends_with('.') || words.trim() != words || words.contains(char::is_control) {
            say(&format!("the {language} help ends with a dot, or has odd blanks"));
        }
        if words.matches('`').count() % 2 != 0 {
            say(&format!("the {language} help has an open backtick"));
        }
    }
    if cyrillic(both.en) || !cyrillic(both.ru) {
        say("the help is not in its language");
    }
}

fn cyrillic(words: &str) -> bool {
    words.chars().any(|c| matches!(c, '\u{400}'..='\u{4ff}'))
}

fn sense(program: &Program, row: &Row, say: &mut impl FnMut(&str)) {
    let known_group = program.groups.iter().any(|group| group.en == row.group) || row.group == super::builtin::GROUP.en;
    if !known_group {
        say("the group is not in `groups`");
    }
    if row.takes == Takes::Nothing && (row.secret || row.repeat || row.opens || !row.default.is_empty()) {
        say("a switch is no secret, list, opener, and has no default");
    }
    if row.opens && (row.scope != Scope::Receiver || !row.repeat) {
        say("an opener is a receiver's row and may be given several times");
    }
    if row.scope == Scope::Receiver && !program.rows.iter().any(|row| row.opens) {
        say("a receiver's row without any opener");
    }
    if (row.own && row.scope != Scope::Receiver) || (row.only_flag && !row.env_also.is_empty()) {
        say("contradicts itself");
    }
    if !row.default.is_empty() && !row.choices().is_empty() && !row.choices().contains(&row.default) {
        say("the default is none of the choices");
    }
    let exists = |own: &str| program.commands.iter().any(|c| c.full_name() == own || c.name.first() == Some(&own));
    if !row.commands.iter().all(|own| exists(own)) {
        say("belongs to a command that is not there");
    }
}

fn frame(program: &Program, out: &mut Vec<String>) {
    let mut say = |what: &str| out.push(format!("program: {what}"));
    sentence(program.about, &mut say);
    if !program.env_prefix.ends_with('_') || program.env_prefix.to_uppercase() != program.env_prefix {
        say("the prefix of the environment is capitals and ends with `_`");
    }
    if !program.config.starts_with('/') {
        say("the configuration file has a whole path");
    }
    if program.usage.is_empty() || program.examples.is_empty() || program.exit_status.is_empty() {
        say("usage, examples and exit status are wanted");
    }
    let titled = program
        .environment
        .iter()
        .chain(program.files)
        .chain(program.signals)
        .chain(program.exit_status)
        .chain(program.examples);
    for both in titled.map(|(_, both)| both).chain(program.description).chain(program.groups) {
        if both.en.is_empty() || cyrillic(both.en) || !cyrillic(both.ru) {
            say(&format!("`{}` wants both languages", both.en));
        }
        if both.en.contains('\n') || both.ru.contains('\n') || both.en.matches('`').count() % 2 != 0 {
            say(&format!("`{}` is one paragraph with closed backticks", both.en));
        }
    }
}
