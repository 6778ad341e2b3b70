//! ○ Free words → the command and its operands.
//!
//! Refuses to do: take a word that no command asked for.

use super::item::Item;
use super::line::{check_value, Word};
use super::merge;
use super::near::hint;
use super::table::{Command, Program};
use crate::error::{Error, Result};

/// The command that the first words name, and the words behind it.
pub(super) fn pick(program: &'static Program, words: &[Word]) -> Result<(Option<&'static Command>, Vec<String>)> {
    let Some(first) = words.first() else {
        return Ok((None, Vec::new()));
    };
    if program.commands.is_empty() || first.behind_secret.is_some() {
        return Err(Error::usage(format!("stray word {}; see `--help`", first.shown())));
    }
    let said = |command: &&Command| {
        command.name.len() <= words.len() && command.name.iter().zip(words).all(|(name, word)| **name == *word.text)
    };
    let Some(command) = program.commands.iter().filter(said).max_by_key(|command| command.name.len()) else {
        return Err(unknown(program, words));
    };
    let operands = &words[command.name.len()..];
    count(command, operands)?;
    Ok((Some(command), operands.iter().map(|word| word.text.clone()).collect()))
}

fn count(command: &Command, operands: &[Word]) -> Result<()> {
    let (least, most) = command.operand_range();
    let name = command.full_name();
    if operands.len() < least {
        return Err(Error::usage(format!("`{name}` needs {0}: `{name} {0}`", command.operands)));
    }
    match operands.get(most) {
        Some(word) => Err(Error::usage(format!("stray word {} after `{name}`; see `--help`", word.shown()))),
        None => Ok(()),
    }
}

fn unknown(program: &'static Program, words: &[Word]) -> Error {
    let first = words[0].text.as_str();
    let below: Vec<_> = program.commands.iter().filter(|c| c.name.len() > 1 && c.name[0] == first).collect();
    if below.is_empty() {
        let known = program.commands.iter().map(|command| command.name[0]);
        return Error::usage(format!("unknown command {}{}; see `--help`", words[0].shown(), hint(first, "", known)));
    }
    let Some(second) = words.get(1) else {
        let list: Vec<_> = below.iter().map(|command| format!("`{}`", command.name[1])).collect();
        return Error::usage(format!("`{first}` needs one of {}", list.join(", ")));
    };
    let known = below.iter().map(|command| command.name[1]);
    let near = hint(&second.text, &format!("{first} "), known);
    Error::usage(format!("unknown command {} of `{first}`{near}; see `--help`", second.shown()))
}

/// In the main job some names are short for others.
pub(super) fn renamed(program: &'static Program, items: Vec<Item>) -> Result<Vec<Item>> {
    let rename = |item: Item| match program.row(item.spec.elsewhere) {
        Some(row) => check_value(Item::new(row, item.value, item.place)),
        None => Ok(item),
    };
    merge::refuse_doubles(items.into_iter().map(rename).collect::<Result<_>>()?)
}

/// An option of one command on the line of another is a mistake; in environment and file it waits for its command.
pub(super) fn refuse_foreign(command: Option<&'static Command>, flags: &[Item]) -> Result<()> {
    let name = command.map(Command::full_name).unwrap_or_default();
    match flags.iter().find(|item| !item.spec.goes_with(&name)) {
        None => Ok(()),
        Some(item) => {
            let own: Vec<_> = item.spec.commands.iter().map(|own| format!("`{own}`")).collect();
            Err(item.error(format!("goes with {} alone", own.join(", "))))
        }
    }
}
