//! ○ The command line: arguments → items and free words, through lexopt.
//!
//! Refuses to do: echo anything that may be a secret. Of an unknown option only the name is shown; a free word right
//! behind a secret's value is not shown at all, for it may be the rest of one that holds blanks.

use super::item::{Item, Place};
use super::merge;
use super::near::{hint, shown};
use super::row::{Row, Takes};
use super::table::Program;
use super::value;
use super::{builtin, print};
use crate::error::{Error, Result};
use crate::limits::{FLAGS_ARGS, FLAGS_VALUE_BYTES};
use lexopt::{Arg, Parser};
use std::ffi::OsString;

/// What a command line comes to.
pub(super) enum Line {
    Print(String),
    Run(Flags),
}

/// Options and free words of a command line.
pub(super) struct Flags {
    pub(super) items: Vec<Item>,
    pub(super) words: Vec<Word>,
}

/// A free word, and the option it may belong to when that one holds a secret.
pub(super) struct Word {
    pub(super) text: String,
    pub(super) behind_secret: Option<String>,
}

impl Word {
    /// The word as an error may show it.
    pub(super) fn shown(&self) -> String {
        match &self.behind_secret {
            None => shown(&without_userinfo(&self.text)),
            Some(option) => format!("behind `{option}` (not shown; quote a value that holds blanks)"),
        }
    }
}

/// A URL whose `--url` was forgotten may hold a password.
fn without_userinfo(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}…{}", &text[..scheme + 3], &text[at..]),
        _ => text.to_string(),
    }
}

pub(super) fn read(program: &'static Program, args: &[OsString]) -> Result<Line> {
    refuse_foreign_bytes(args)?;
    let mut parser = Parser::from_args(args.iter().cloned());
    let mut flags = Flags { items: Vec::new(), words: Vec::new() };
    let mut behind_secret = None;
    loop {
        let (row, written) = match parser.next() {
            Ok(None) => break,
            Ok(Some(Arg::Value(word))) => {
                let text = word.to_string_lossy().into_owned();
                flags.words.push(Word { text, behind_secret: behind_secret.clone() });
                continue;
            }
            Ok(Some(Arg::Long(name))) => (program.row(name), format!("--{name}")),
            Ok(Some(Arg::Short(letter))) => (program.row_of_letter(letter), format!("-{letter}")),
            Err(error) => return Err(refused(error)),
        };
        let row = row.ok_or_else(|| unknown(program, &written))?;
        let value = take_value(program, row, &written, &mut parser)?;
        if builtin::prints(row) {
            return print::row(program, row, &value).map(Line::Print);
        }
        behind_secret = row.secret.then(|| written.clone());
        flags.items.push(check_value(Item::new(row, value, Place::Flag(written)))?);
    }
    flags.items = merge::refuse_doubles(merge::bind(flags.items)?)?;
    Ok(Line::Run(flags))
}

fn refuse_foreign_bytes(args: &[OsString]) -> Result<()> {
    if args.len() > FLAGS_ARGS {
        return Err(Error::usage(format!("{} arguments: at most {FLAGS_ARGS} are taken", args.len())));
    }
    match args.iter().position(|arg| arg.to_str().is_none()) {
        Some(at) => Err(Error::usage(format!("argument {} is not UTF-8; write it in UTF-8", at + 1))),
        None => Ok(()),
    }
}

/// The value of an option; of a switch `true`, or what `--switch=no` says; empty for a switch that prints.
fn take_value(program: &'static Program, row: &Row, written: &str, parser: &mut Parser) -> Result<String> {
    match row.takes {
        // A cluster of letters must not be eaten as a value, so `-x=no` is left to lexopt, which refuses it.
        Takes::Nothing if !written.starts_with("--") => Ok("true".to_owned()),
        Takes::Nothing => match parser.optional_value() {
            None => Ok("true".to_owned()),
            Some(value) => switch_value(row, written, &value.to_string_lossy()),
        },
        Takes::Value(metavar) => match parser.optional_value() {
            Some(value) => Ok(value.to_string_lossy().into_owned()),
            None => separate_value(program, row, written, metavar, parser),
        },
    }
}

fn switch_value(row: &Row, written: &str, value: &str) -> Result<String> {
    match value::boolean(value) {
        Some(on) if !row.only_flag => Ok(on.to_string()),
        None if !row.only_flag => {
            Err(Error::usage(format!("`{written}` is a switch: write `{written}` or `{written}=no`, no other value")))
        }
        _ => Err(Error::usage(format!("`{written}` is a switch and takes no value"))),
    }
}

/// The value in the next argument. An option of ours there means that the value was forgotten.
fn separate_value(
    program: &'static Program,
    row: &Row,
    written: &str,
    metavar: &str,
    parser: &mut Parser,
) -> Result<String> {
    let missing = |found: String| Error::usage(format!("`{written}` needs a value: `{written} {metavar}`{found}"));
    let next = parser.try_raw_args().and_then(|rest| rest.peek().map(|arg| arg.to_string_lossy().into_owned()));
    let Some(next) = next else {
        return if builtin::prints(row) && !row.default.is_empty() {
            Ok(row.default.to_owned())
        } else {
            Err(missing(String::new()))
        };
    };
    let name = next.strip_prefix("--").map(|rest| rest.split('=').next().unwrap_or_default());
    if let Some(option) = name.and_then(|name| program.row(name).map(|_| name)) {
        return Err(missing(format!("; found the option `--{option}` (if it is the value, write `{written}=…`)")));
    }
    parser.value().map(|value| value.to_string_lossy().into_owned()).map_err(|_| missing(String::new()))
}

/// What no value may be, wherever it came from.
pub(super) fn check_value(item: Item) -> Result<Item> {
    if item.value.len() > FLAGS_VALUE_BYTES {
        return Err(item.error(format!("the value has {} bytes; at most {FLAGS_VALUE_BYTES}", item.value.len())));
    }
    if item.value.chars().any(char::is_control) {
        return Err(item.error("the value holds a control character; leave it out"));
    }
    Ok(item)
}

fn unknown(program: &'static Program, written: &str) -> Error {
    match written.strip_prefix("--") {
        Some(name) => {
            let known = program.all_rows().filter(|row| !row.hidden).flat_map(Row::names);
            Error::usage(format!("unknown option {}{}; see `--help`", shown(written), hint(name, "--", known)))
        }
        None => Error::usage(format!("unknown option {}; see `--help`", shown(written))),
    }
}

/// lexopt's own errors hold values, so they are said anew.
fn refused(error: lexopt::Error) -> Error {
    match error {
        lexopt::Error::UnexpectedValue { option, .. } => {
            Error::usage(format!("{} is a switch and takes no value", shown(&option)))
        }
        _ => Error::usage("the command line cannot be read; see `--help`"),
    }
}
