//! The table of sources. `--type`, its help, the man pages and the READMEs' tables are made of it.
//!
//! Refuses: a source that the withdrawn program had and this one has not, with the reason and what to do instead.

use super::{pipe, Row};
use crate::flags::{text, Text};
use crate::joined;

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
pub const NAMES: &str = joined!(&{
    let mut parts = [""; 2 * (TABLE.len() + NOT_YET.len())];
    let mut i = 0;
    while i < TABLE.len() + NOT_YET.len() {
        parts[2 * i] = if i > 0 { "|" } else { "" };
        parts[2 * i + 1] = if i < TABLE.len() { TABLE[i].name } else { NOT_YET[i - TABLE.len()].0 };
        i += 1;
    }
    parts
});

/// What `--type` is, for help, man pages and READMEs.
pub const HELP: Text = text(
    joined!(&["where events come from: ", joined!(&rows(false)), "; not in this version: ", joined!(&MISSING)]),
    joined!(&["откуда приходят события: ", joined!(&rows(true)), "; в этой версии ещё нет: ", joined!(&MISSING)]),
);

const fn rows(russian: bool) -> [&'static str; 5 * TABLE.len()] {
    let mut parts = [""; 5 * TABLE.len()];
    let mut i = 0;
    while i < TABLE.len() {
        let what = if russian { TABLE[i].what.ru } else { TABLE[i].what.en };
        let row = [if i > 0 { ", " } else { "" }, TABLE[i].name, " (", what, ")"];
        let mut part = 0;
        while part < row.len() {
            parts[5 * i + part] = row[part];
            part += 1;
        }
        i += 1;
    }
    parts
}

const MISSING: [&str; 2 * NOT_YET.len()] = {
    let mut parts = [""; 2 * NOT_YET.len()];
    let mut i = 0;
    while i < NOT_YET.len() {
        parts[2 * i] = if i > 0 { ", " } else { "" };
        parts[2 * i + 1] = NOT_YET[i].0;
        i += 1;
    }
    parts
};
