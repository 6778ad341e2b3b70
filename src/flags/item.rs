//! ○ What was found: one value, where it stood, whom it speaks of; and all of them together.
//!
//! Refuses to do: show a secret, also in `{:?}`.

use super::near::shown;
use super::row::{Row, Takes};
use super::table::{Command, Program};
use crate::error::Error;
use std::fmt;
use std::path::PathBuf;

/// Where a value stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the command line, as it was written there: `--url`, `-u`.
    Flag(String),
    /// In this variable of the environment.
    Env(String),
    /// In this file, on this line, counted from 1.
    File(PathBuf, usize),
    /// Nowhere: the default of this option.
    Default(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Flag(name) | Place::Env(name) => f.write_str(name),
            Place::File(path, line) => write!(f, "{} line {line}", path.display()),
            Place::Default(name) => write!(f, "the default of --{name}"),
        }
    }
}

/// One value that was found.
#[derive(Clone)]
pub struct Item {
    /// The name of its row.
    pub row: &'static str,
    /// The value; of a switch `true` or `false`.
    pub value: String,
    /// Where it stood.
    pub place: Place,
    /// The number of the opener it is bound to, from 0; openers are bound to themselves.
    pub receiver: Option<usize>,
    pub(super) spec: &'static Row,
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({}, {:?})", self.row, self.shown(), self.place, self.receiver)
    }
}

impl Item {
    /// A value found at a place.
    pub fn new(spec: &'static Row, value: impl Into<String>, place: Place) -> Item {
        Item { row: spec.name, value: value.into(), place, receiver: None, spec }
    }

    pub(super) fn bound_to(self, receiver: usize) -> Item {
        Item { receiver: Some(receiver), ..self }
    }

    /// The same with another value: what this one stands for.
    pub fn saying(&self, value: String) -> Item {
        Item { value, ..self.clone() }
    }

    /// The value as an error may show it.
    pub fn shown(&self) -> String {
        if self.spec.secret {
            "(not shown)".to_owned()
        } else {
            shown(&self.value)
        }
    }

    /// Name and place as an error begins: `` `--drain` ``, `` `drain` in `/etc/x.conf` line 3 ``.
    pub fn at(&self) -> String {
        match &self.place {
            Place::Flag(name) | Place::Env(name) => format!("`{name}`"),
            Place::File(path, line) => format!("`{}` in `{}` line {line}", self.row, path.display()),
            Place::Default(name) => format!("the default of `--{name}`"),
        }
    }

    /// A usage error about this value; `what` says what is wrong and how to write it.
    pub fn error(&self, what: impl fmt::Display) -> Error {
        Error::usage(format!("{}: {what}", self.at()))
    }

    /// Whether a switch is on.
    pub fn is_on(&self) -> bool {
        self.value == "true"
    }
}

/// All that a call said.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The command; none: the main job.
    pub command: Option<&'static Command>,
    /// What stood behind the command.
    pub operands: Vec<String>,
    /// What was found, precedence already applied.
    pub items: Vec<Item>,
    /// To be logged: variables that look like ours and are not.
    pub warnings: Vec<String>,
    /// The configuration file that was read.
    pub config: Option<PathBuf>,
    pub(super) program: &'static Program,
}

impl Parsed {
    /// The words of the command, or nothing.
    pub fn command_name(&self) -> String {
        self.command.map(Command::full_name).unwrap_or_default()
    }

    /// The options that there are.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> {
        self.program.all_rows()
    }

    /// The last value of an option, whomever it speaks of; for one receiver ask `of`.
    pub fn get(&self, name: &str) -> Option<&Item> {
        self.all(name).pop()
    }

    /// All values of an option; of a receiver's option, of all receivers.
    pub fn all(&self, name: &str) -> Vec<&Item> {
        debug_assert!(self.program.row(name).is_some(), "no row `{name}`");
        self.items.iter().filter(|item| item.row == name).collect()
    }

    /// Whether an option was given anywhere.
    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// Whether a switch of the program is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(Item::is_on)
    }

    /// The value of an option of the program, or its default from the table.
    pub fn need(&self, name: &str) -> Item {
        self.get(name).cloned().unwrap_or_else(|| self.default_item(name))
    }

    /// How many receivers were opened.
    pub fn receivers(&self) -> usize {
        self.items.iter().filter(|item| item.spec.opens).count()
    }

    /// The opener of a receiver.
    pub fn opener(&self, receiver: usize) -> Option<&Item> {
        self.items.iter().find(|item| item.spec.opens && item.receiver == Some(receiver))
    }

    /// The value of a receiver's option: its own, else the default for all.
    pub fn of(&self, name: &str, receiver: usize) -> Option<&Item> {
        self.all_of(name, receiver).pop()
    }

    /// All values of a receiver's option: its own if it has any, else the defaults for all.
    pub fn all_of(&self, name: &str, receiver: usize) -> Vec<&Item> {
        let all = self.all(name);
        let bound = |to: Option<usize>| all.iter().copied().filter(move |item| item.receiver == to).collect::<Vec<_>>();
        let own = bound(Some(receiver));
        if own.is_empty() {
            bound(None)
        } else {
            own
        }
    }

    /// Whether a receiver's switch is on.
    pub fn is_on_of(&self, name: &str, receiver: usize) -> bool {
        self.of(name, receiver).is_some_and(Item::is_on)
    }

    /// The value of a receiver's option, or its default from the table.
    pub fn need_of(&self, name: &str, receiver: usize) -> Item {
        self.of(name, receiver).cloned().unwrap_or_else(|| self.default_item(name))
    }

    /// A row without a default has no business here: that is a fault of the program, found by its first test.
    fn default_item(&self, name: &str) -> Item {
        let row = self.program.row(name).unwrap_or_else(|| panic!("no row `{name}`"));
        assert!(row.takes != Takes::Nothing && !row.default.is_empty(), "row `{name}` has no default");
        Item::new(row, row.default, Place::Default(row.name))
    }
}
