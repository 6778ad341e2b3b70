//! ○ The README's tables of commands, options and what else a program lists, in English or Russian.
//!
//! Refuses to do: write the markers around itself; where the block stands is the README's matter.

use super::placeholder::shown;
use super::row::{text, Language, Row};
use super::table::Program;

/// Commands, then a table for each group.
pub(super) fn block(program: &Program, language: Language) -> String {
    let mut out = String::new();
    if !program.commands.is_empty() {
        let title = language.of(text("Command | What it does", "Команда | Что делает"));
        out.push_str(&format!("| {title} |\n| --- | --- |\n"));
        for command in program.commands {
            let name = format!("{} {}", command.full_name(), shown(command.operands, language));
            let help = language.of(text(command.help, command.help_ru));
            out.push_str(&format!("| {} | {} |\n", code(name.trim_end()), prose(help)));
        }
    }
    for (group, rows) in program.grouped() {
        let between = if out.is_empty() { "" } else { "\n" };
        let title = language.of(text("What it does | Default", "Что делает | По умолчанию"));
        out.push_str(&format!("{between}| {} | {title} |\n| --- | --- | --- |\n", prose(language.of(group))));
        for row in rows {
            out.push_str(&line(program, row, language));
        }
    }
    for own in program.sections {
        let title = text("What it means", "Что это значит");
        let name = capital(language.of(own.title));
        out.push_str(&format!(
            "\n{}\n\n| {name} | {} |\n| --- | --- |\n",
            prose(language.of(own.intro)),
            language.of(title)
        ));
        for row in own.rows {
            let mark = if row.marked { " \\*" } else { "" };
            out.push_str(&format!("| {}{mark} | {} |\n", code(row.term), prose(language.of(row.meaning))));
        }
    }
    out
}

/// `ALARMS` as a word in a table.
fn capital(title: &str) -> String {
    let mut chars = title.chars();
    let first: String = chars.next().into_iter().collect();
    first + &chars.as_str().to_lowercase()
}

fn line(program: &Program, row: &Row, language: Language) -> String {
    let short = row.short.map(|letter| format!("{}, ", code(&format!("-{letter}")))).unwrap_or_default();
    let metavar = row.metavar().map(|metavar| format!(" {}", shown(metavar, language))).unwrap_or_default();
    let name = code(&format!("--{}{metavar}", row.name));
    let default = program.default_of(row);
    let default = if default.is_empty() { String::new() } else { code(default) };
    let cells = format!("| {short}{name} | {} | {default}", prose(language.of(row.about())));
    format!("{} |\n", cells.trim_end())
}

/// A bar would end the cell, in code too.
fn code(words: &str) -> String {
    format!("`{}`", words.replace('|', "\\|"))
}

/// Text with `` `code` ``, everything else as it stands.
fn prose(words: &str) -> String {
    let mut out = String::new();
    for (at, part) in words.split('`').enumerate() {
        if at % 2 == 1 {
            out.push_str(&code(part));
        } else {
            let plain = part.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;");
            out.push_str(&plain.replace('*', "\\*").replace('_', "\\_"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_cells() {
        assert_eq!(code("--sync always|never"), "`--sync always\\|never`");
        assert_eq!(prose("a|b `c_d|e` <x> f_g*"), "a\\|b `c_d\\|e` &lt;x> f\\_g\\*");
    }
}
