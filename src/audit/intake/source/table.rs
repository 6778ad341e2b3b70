//! The table of sources. `--type`, its help, the man pages and the READMEs' tables are made of it.
//!
//! Refuses: a source that has no row.

use super::{fifo, file, journal, pipe, unix, Row};
use crate::flags::{text, Text};
use crate::joined;

/// All sources.
pub const TABLE: &[Row] = &[pipe::ROW, file::ROW, fifo::ROW, unix::ROW, journal::ROW];

/// The row of this name.
pub fn find(name: &str) -> Result<&'static Row, &'static str> {
    TABLE.iter().find(|row| row.name == name).ok_or("there is no such source")
}

/// Those that take this option; none: it speaks of no source.
pub fn takers(option: &str) -> Vec<&'static str> {
    TABLE.iter().filter(|row| row.options.contains(&option)).map(|row| row.name).collect()
}

/// The values of `--type`.
pub const NAMES: &str = joined!(&{
    let mut parts = [""; 2 * TABLE.len()];
    let mut i = 0;
    while i < TABLE.len() {
        (parts[2 * i], parts[2 * i + 1]) = (if i > 0 { "|" } else { "" }, TABLE[i].name);
        i += 1;
    }
    parts
});

/// What `--type` is, for help, man pages and READMEs.
pub const HELP: Text = text(
    joined!(&["where events come from: ", joined!(&rows(false))]),
    joined!(&["откуда приходят события: ", joined!(&rows(true))]),
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
