//! ○ The configuration file: bytes → items.
//!
//! One option a line, as on the command line, with or without its dashes: `name value`, `name = value`, `name=value`; a
//! switch may stand alone or with yes or no. `#` begins a comment at the start of a line and after a blank, outside
//! double quotes. A value that begins with a double quote ends with one; in between `\"` and `\\` are a quote and a
//! backslash. Receivers' options follow the option that opens their receiver, or stand in its section, in any order:
//! `[receiver NAME]`, which ends with the next section or the file.
//!
//! Refuses to do: skip a line it does not understand, echo a line that does not begin with a name.

use super::builtin::{CONFIG, NO_CONFIG};
use super::item::{Item, Place};
use super::line::check_value;
use super::merge::{bind, names_outside, refuse_doubles, row_outside, switch_outside, Refused};
use super::near::hint;
use super::row::{Scope, Takes};
use super::table::Program;
use crate::error::{Error, Result};
use crate::limits::{FLAGS_FILE_BYTES, FLAGS_FILE_LINES, FLAGS_FILE_LINE_BYTES};
use std::io;
use std::path::{Path, PathBuf};

/// What the file says, and which it was.
#[derive(Default)]
pub(super) struct File {
    pub(super) items: Vec<Item>,
    pub(super) path: Option<PathBuf>,
}

pub(super) fn read(
    program: &'static Program,
    flags: &[Item],
    read_file: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<File> {
    let flag = |name: &str| flags.iter().find(|item| item.row == name);
    let explicit = flag(CONFIG);
    if flag(NO_CONFIG).is_some() {
        return match explicit {
            Some(item) => Err(item.error("contradicts `--no-config`; keep one")),
            None => Ok(File::default()),
        };
    }
    let path = Path::new(explicit.map_or(program.config, |item| &item.value));
    match read_file(path) {
        Ok(bytes) => Ok(File { items: items(program, path, &bytes)?, path: Some(path.to_owned()) }),
        Err(error) if explicit.is_none() && absent(&error) => Ok(File::default()),
        Err(error) => Err(unreadable(path, &error, explicit.is_none())),
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn unreadable(path: &Path, error: &io::Error, default: bool) -> Error {
    let cure = if default { "make it readable for this user, or say `--no-config`" } else { "see `--config`" };
    Error::usage(format!("cannot read the configuration `{}`: {error}; {cure}", path.display()))
}

fn items(program: &'static Program, path: &Path, bytes: &[u8]) -> Result<Vec<Item>> {
    let refuse = |what: String| Error::usage(format!("configuration `{}` {what}", path.display()));
    if bytes.len() > FLAGS_FILE_BYTES {
        return Err(refuse(format!("has more than {FLAGS_FILE_BYTES} bytes; is it the right file?")));
    }
    // Editors of other systems put this mark in front.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut items = Vec::new();
    let mut section: Option<Section> = None;
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if at >= FLAGS_FILE_LINES || line.len() > FLAGS_FILE_LINE_BYTES {
            let limit = format!("at most {FLAGS_FILE_LINES} lines of {FLAGS_FILE_LINE_BYTES} bytes");
            return Err(refuse(format!("line {}: too long; {limit}", at + 1)));
        }
        // People comment in the letters they have.
        if line.trim_ascii_start().starts_with(b"#") {
            continue;
        }
        let text = std::str::from_utf8(line).map_err(|_| refuse(format!("line {} is not UTF-8", at + 1)))?;
        let place = Place::File(path.to_owned(), at + 1);
        if text.trim_start_matches(blank).starts_with('[') {
            let refuse = |what: String| refuse(format!("line {}: {what}", at + 1));
            if let Some(before) = section.take() {
                before.close(&mut items)?;
            }
            section = Some(Section::open(program, text, place, items.len()).map_err(refuse)?);
            continue;
        }
        items.extend(one(program, text, place).map_err(|what| match what {
            Wrong::Line(what) => refuse(format!("line {}: {what}", at + 1)),
            Wrong::Value(error) => error,
        })?);
    }
    if let Some(last) = section {
        last.close(&mut items)?;
    }
    refuse_doubles(bind(items)?)
}

/// What stands under `[receiver NAME]`.
struct Section {
    /// Its name, as an option of the receiver.
    name: Item,
    /// Where its items begin.
    from: usize,
}

impl Section {
    fn open(program: &'static Program, line: &str, place: Place, from: usize) -> std::result::Result<Section, String> {
        let row = program.row("name").filter(|row| row.own).ok_or("there are no sections; a line is `name value`")?;
        let inside = uncommented(line).trim_matches(blank).strip_prefix('[').and_then(|l| l.strip_suffix(']'));
        let words: Vec<&str> = inside.unwrap_or_default().split_whitespace().collect();
        match words[..] {
            ["receiver", name] => Ok(Section { name: Item::new(row, name, place), from }),
            _ => Err("a section begins with `[receiver NAME]`".to_owned()),
        }
    }

    /// The option that opens the receiver goes before all others, and the name behind it.
    fn close(self, items: &mut Vec<Item>) -> Result<()> {
        let own = &mut items[self.from..];
        let header = format!("the section `[receiver {}]`", self.name.value);
        let refuse = |item: &Item, what: &str| Err(item.error(format!("{header} {what}")));
        if let Some(item) = own.iter().find(|item| item.spec.scope == Scope::Program) {
            return refuse(item, "is of one receiver: write what is of the program above the first section");
        }
        let openers: Vec<usize> = (0..own.len()).filter(|i| own[*i].spec.opens).collect();
        let Some(&first) = openers.first() else { return refuse(&self.name, "has no `url`: write where it is") };
        let stand_ins = own.iter().filter(|item| item.row == "failover" && item.is_on()).count();
        if openers.len() > 1 + stand_ins {
            return refuse(
                &own[openers[1]],
                "has a `url` already: write `failover` behind a stand-in, or another section",
            );
        }
        own[..=first].rotate_right(1);
        items.insert(self.from + 1, self.name);
        Ok(())
    }
}

/// What is wrong with a line: itself, or the value of an option that was recognised.
enum Wrong {
    Line(String),
    Value(Error),
}

fn one(program: &'static Program, line: &str, place: Place) -> std::result::Result<Option<Item>, Wrong> {
    let line = line.trim_matches(blank);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("--").unwrap_or(line);
    let end = line.find(|c| blank(c) || c == '=').unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let row = row_outside(program, name).map_err(|why| Wrong::Line(refused(program, name, &why)))?;
    let rest = rest.trim_start_matches(blank);
    let value = value(rest.strip_prefix('=').unwrap_or(rest).trim_start_matches(blank));
    let value = value.map_err(|what| Wrong::Line(format!("`{name}`: {what}")))?;
    let item = |value: String| check_value(Item::new(row, value, place)).map_err(Wrong::Value);
    match (row.takes, value) {
        (Takes::Nothing, value) => {
            let item = item(value.unwrap_or_default())?;
            switch_outside(item, true).map(Some).map_err(Wrong::Value)
        }
        (Takes::Value(_), Some(value)) => item(value).map(Some),
        (Takes::Value(metavar), None) => {
            Err(Wrong::Line(format!("`{name}` needs a value: `{name} {metavar}` (an empty one is written `\"\"`)")))
        }
    }
}

fn refused(program: &'static Program, name: &str, why: &Refused) -> String {
    let like_a_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    match why {
        Refused::OnlyFlag => format!("`{name}` goes on the command line only"),
        // It may be the rest of a secret that was broken in two lines.
        Refused::Unknown if !like_a_name => "not an option; a line is `name value` or `# comment`".to_owned(),
        Refused::Unknown => {
            let near = hint(&name.to_lowercase().replace('_', "-"), "", names_outside(program));
            format!("unknown option {}{near}", super::near::shown(name))
        }
    }
}

fn blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

/// The value in the rest of a line; `None` when there is nothing but a comment.
fn value(rest: &str) -> std::result::Result<Option<String>, &'static str> {
    match rest.strip_prefix('"') {
        Some(quoted) => quoted_value(quoted).map(Some),
        None => {
            let plain = uncommented(rest).trim_end_matches(blank);
            Ok((!plain.is_empty()).then(|| plain.to_owned()))
        }
    }
}

fn quoted_value(quoted: &str) -> std::result::Result<String, &'static str> {
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next() {
            None => return Err("the double quote is never closed"),
            Some('"') => break,
            Some('\\') => match chars.clone().next() {
                Some(c @ ('"' | '\\')) => {
                    value.push(c);
                    chars.next();
                }
                _ => value.push('\\'),
            },
            Some(c) => value.push(c),
        }
    }
    let rest = chars.as_str();
    let comment = rest.trim_start_matches(blank);
    if comment.is_empty() || (comment.starts_with('#') && comment.len() < rest.len()) {
        Ok(value)
    } else {
        Err("something stands behind the closing double quote")
    }
}

/// A plain value without the comment behind it.
fn uncommented(rest: &str) -> &str {
    let mut inside = false;
    let mut before = ' ';
    for (at, c) in rest.char_indices() {
        if c == '#' && blank(before) && !inside {
            return &rest[..at];
        }
        inside ^= c == '"';
        before = c;
    }
    rest
}
