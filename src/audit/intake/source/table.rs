//! The table of sources. `--type`, its help, the man pages and the READMEs' tables are made of it.
//!
//! Refuses: a source that the withdrawn program had and this one has not, with the reason and what to do instead.

use super::{pipe, Row};
use crate::flags::{text, Text};

/// All sources.
pub const TABLE: &[Row] = &[pipe::ROW];

/// Sources that the withdrawn program had and this one has not, with what to do instead.
pub(super) const NOT_YET: &[(&str, &str)] = &[(
    "file",
    "reading a file is not in this version; let Picodata write to the pipe, or use \
     `tail -n +1 -F FILE | gostech-audit-log …`, which loses records when the file is rotated",
)];

/// The row of this name; else why there is none.
pub fn find(name: &str) -> Result<&'static Row, &'static str> {
    let why = NOT_YET.iter().find(|(other, _)| *other == name).map_or("there is no such source", |(_, why)| why);
    TABLE.iter().find(|row| row.name == name).ok_or(why)
}

/// The values of `--type`.
pub const NAMES: &str = NAMES_LINE.text();
/// What `--type` is, for help, man pages and READMEs.
pub const HELP: Text = text(HELP_EN.text(), HELP_RU.text());

const NAMES_LINE: &Line = &Line::EMPTY.names("|");
const HELP_EN: &Line =
    &Line::EMPTY.add("where events come from: ").rows(false).add("; not in this version: ").not_yet(", ");
const HELP_RU: &Line =
    &Line::EMPTY.add("откуда приходят события: ").rows(true).add("; в этой версии ещё нет: ").not_yet(", ");

/// A line that the compiler puts together of the tables.
struct Line {
    bytes: [u8; Line::MOST],
    used: usize,
}

impl Line {
    /// A line of help is not longer.
    const MOST: usize = 1024;
    const EMPTY: Line = Line { bytes: [0; Line::MOST], used: 0 };

    const fn add(mut self, text: &str) -> Line {
        let mut i = 0;
        while i < text.len() {
            self.bytes[self.used] = text.as_bytes()[i];
            self.used += 1;
            i += 1;
        }
        self
    }

    const fn names(mut self, between: &str) -> Line {
        let mut i = 0;
        while i < TABLE.len() {
            self = self.add(TABLE[i].name).add(between);
            i += 1;
        }
        self.not_yet(between)
    }

    const fn rows(mut self, russian: bool) -> Line {
        let mut i = 0;
        while i < TABLE.len() {
            let what = if russian { TABLE[i].what.ru } else { TABLE[i].what.en };
            self = self.add(if i > 0 { ", " } else { "" }).add(TABLE[i].name).add(" (").add(what).add(")");
            i += 1;
        }
        self
    }

    const fn not_yet(mut self, between: &str) -> Line {
        let mut i = 0;
        while i < NOT_YET.len() {
            self = self.add(if i > 0 { between } else { "" }).add(NOT_YET[i].0);
            i += 1;
        }
        self
    }

    const fn text(&'static self) -> &'static str {
        match std::str::from_utf8(self.bytes.split_at(self.used).0) {
            Ok(text) => text,
            Err(_) => panic!("the tables hold text"),
        }
    }
}
