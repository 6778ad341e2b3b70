//! ○ `--help`: short, in groups, as wide as a terminal of old.
//!
//! Refuses to do: explain. That is for the man page.

use super::row::Row;
use super::table::Program;
use crate::limits::FLAGS_COLUMNS;

/// Where the sentences begin; a longer name pushes its sentence to the next line.
const INDENT: usize = 30;

/// The whole help.
pub(super) fn page(program: &Program) -> String {
    let mut out = format!("{} {}: {}\n\nUsage:\n", program.name, program.version, program.about.en);
    for usage in program.usage {
        out.push_str(&format!("  {} {usage}\n", program.name));
    }
    if !program.commands.is_empty() {
        out.push_str("\nCommands:\n");
        for command in program.commands {
            let name = format!("  {} {}", command.full_name(), command.operands);
            entry(&mut out, name.trim_end(), command.help);
        }
    }
    for (group, rows) in program.grouped() {
        out.push_str(&format!("\n{}:\n", group.en));
        for row in rows {
            entry(&mut out, &left(row), &right(program, row));
        }
    }
    out.push_str(&tail(program));
    out
}

fn left(row: &Row) -> String {
    let short = row.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
    let metavar = row.metavar().map(|metavar| format!(" {metavar}")).unwrap_or_default();
    format!("  {short}--{}{metavar}", row.name)
}

fn right(program: &Program, row: &Row) -> String {
    let default = program.default_of(row);
    let default = if default.is_empty() { String::new() } else { format!(" [{default}]") };
    format!("{}{default}", row.help)
}

fn tail(program: &Program) -> String {
    let mut out = String::from("\nExamples:\n");
    for (example, _) in program.examples.iter().take(3) {
        out.push_str(&format!("  {example}\n"));
    }
    out.push('\n');
    let say = format!(
        "Every option can also be set in the environment ({}NAME, lists one value a line) and in the \
         configuration file (name value). Defaults are in brackets. More: man {}",
        program.env_prefix, program.name
    );
    for line in wrap(&say, FLAGS_COLUMNS - 1) {
        out.push_str(&line);
        out.push('\n');
    }
    out
}

fn entry(out: &mut String, left: &str, right: &str) {
    let mut lines = wrap(right, FLAGS_COLUMNS - 1 - INDENT).into_iter();
    if left.chars().count() + 1 < INDENT {
        let first = lines.next().unwrap_or_default();
        out.push_str(&format!("{left:INDENT$}{first}\n"));
    } else {
        out.push_str(&format!("{left}\n"));
    }
    for line in lines {
        out.push_str(&format!("{:INDENT$}{line}\n", ""));
    }
}

/// Words in lines of at most so many characters; a longer word stands alone.
fn wrap(words: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split_whitespace() {
        let last = lines.len() - 1;
        let length = lines[last].chars().count();
        if length > 0 && length + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            let blank = if length > 0 { " " } else { "" };
            lines[last].push_str(blank);
            lines[last].push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_at_blanks() {
        assert_eq!(wrap("aa bb  cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrap("aaaaaaaa b", 3), ["aaaaaaaa", "b"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
