//! `seal verify`: whether an export of an index is what was sealed, event by event. Exit code 0: clean, 1: tampered,
//! 3: cannot tell.
//!
//! Reads exports of any size in bounded memory, in any order, with repeats. Trusts nothing but the keys that are given.
//! Refuses: to call tampering what has another explanation.

mod chain;
pub mod claim;
mod excuse;
pub mod findings;
pub mod gather;
mod judge;
mod listing;
mod report;
pub mod said;
mod shown;
mod sort;
mod stretch;
#[cfg(test)]
mod tests;
pub mod trial;
mod window;

use super::call::{Call, Result};
use super::progress::Progress;
use crate::audit::seal::VerifierKey;
use crate::error::{Error, Exit};
use crate::flags::{value, Item};
use crate::limits;
use crate::net::failure::words as io_words;
use crate::words;
use claim::Line;
use findings::{Grade, Kind};
use gather::{lines, Gathered, Notes};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The command.
pub fn run(call: &mut Call<'_>) -> Result<Exit> {
    let parsed = call.parsed;
    let (exports, checkpoints) = (parsed.all("export"), parsed.all("checkpoints"));
    if exports.is_empty() && checkpoints.is_empty() {
        let text = "nothing to verify: give `--export FILE` (`-`: standard input), `--checkpoints FILE`, or both";
        return Err(Error::usage(text).into());
    }
    let mut keys = Vec::new();
    for item in parsed.all("key") {
        keys.extend(keys_of(item)?);
    }
    let dir = match parsed.get("temp") {
        Some(item) => value::path(item)?,
        None => std::env::temp_dir(),
    };
    let ignore = parsed.all("ignore").into_iter().map(|i| i.value.clone()).collect();
    let only = parsed.get("receiver").map(|i| value::nonempty(i).map(String::from)).transpose()?;
    let inputs: Vec<(&Item, bool)> =
        exports.iter().map(|i| (*i, true)).chain(checkpoints.iter().map(|i| (*i, false))).collect();
    let total = inputs.iter().map(|(item, _)| std::fs::metadata(&item.value).map_or(0, |m| m.len())).sum::<u64>();
    let mut progress = Progress::new(total + total / limits::VERIFY_JUDGING_PART);
    let mut gathered = Gathered::new(ignore, &dir, limits::VERIFY_HELD_BYTES);
    for (file, (item, is_export)) in inputs.iter().enumerate() {
        read(item, *is_export, file as u16, &mut gathered, &mut progress, &dir)?;
    }
    let step = (total / limits::VERIFY_JUDGING_PART).checked_div(gathered.events).unwrap_or(0);
    let mut passed = || progress.advance(step);
    let verdict =
        trial::judge(gathered, &keys, only, !exports.is_empty(), &mut passed).map_err(|e| temp_error(&dir, &e))?;
    drop(progress);
    let files: Vec<String> = inputs.iter().map(|(item, _)| item.value.clone()).collect();
    if call.is_on("json") {
        writeln!(call.out, "{:#}", report::as_json(&verdict, &files))?;
    } else {
        write!(call.out, "{}", report::page(&verdict, &files, call.now_ms))?;
    }
    Ok(match verdict.findings.grade() {
        Grade::Fine => Exit::Clean,
        Grade::Unclear => Exit::CannotTell,
        Grade::Tampered => Exit::Failed,
    })
}

/// A key, or a file with one a line.
fn keys_of(item: &Item) -> crate::error::Result<Vec<VerifierKey>> {
    if let Some(key) = VerifierKey::parse(&item.value) {
        return Ok(vec![key]);
    }
    let path = value::path(item)?;
    let mut text = String::new();
    let read = File::open(&path).and_then(|f| f.take(limits::VERIFY_KEY_FILE_BYTES).read_to_string(&mut text));
    read.map_err(|e| item.error(format!("cannot read `{}`: {}", words::shown(&path), io_words(&e))))?;
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let keys = lines.map(|line| {
        let wrong = || format!("`{}` holds a line that is no public key as `seal init` prints it", words::shown(&path));
        VerifierKey::parse(line).ok_or_else(|| item.error(wrong()))
    });
    let keys = keys.collect::<crate::error::Result<Vec<_>>>()?;
    match keys.len() {
        0 => Err(item.error(format!("`{}` holds no key", words::shown(&path)))),
        1..=limits::VERIFY_KEYS => Ok(keys),
        _ => Err(item.error(format!("`{}` holds more keys than there can be", words::shown(&path)))),
    }
}

fn temp_error(dir: &Path, e: &io::Error) -> Error {
    Error::failed(format!("cannot put claims in order in `{}`: {}; see --temp", words::shown(dir), io_words(e)))
        .cannot_tell()
}

fn read(
    item: &Item,
    is_export: bool,
    file: u16,
    gathered: &mut Gathered,
    progress: &mut Progress,
    dir: &Path,
) -> crate::error::Result<()> {
    let mut reader: Box<dyn Read> = match item.value.as_str() {
        "-" => Box::new(io::stdin().lock()),
        _ => {
            let path = value::path(item)?;
            let opened = File::open(&path).and_then(|f| match f.metadata()?.is_dir() {
                true => Err(io::ErrorKind::IsADirectory.into()),
                false => Ok(f),
            });
            Box::new(
                opened.map_err(|e| item.error(format!("cannot open `{}`: {}", words::shown(&path), io_words(&e))))?,
            )
        }
    };
    let mut notes = Notes::default();
    let mut kept = None;
    let mut see = |text: Option<&[u8]>, number: u64, ended: bool| {
        let line = Line { file, number };
        let done = match text {
            Some(text) if is_export => gathered.line(text, line, ended),
            Some(text) => gathered.checkpoints(text, line, ended, &mut notes),
            None => {
                gathered.too_long(line);
                Ok(())
            }
        };
        // What cannot be put aside is another matter than what cannot be read.
        done.inspect_err(|e| kept = Some(temp_error(dir, e)))
    };
    let done = lines(&mut reader, &mut |bytes| progress.advance(bytes), &mut see);
    if let Some(e) = kept {
        return Err(e);
    }
    let unread = |e: io::Error| Error::failed(format!("cannot read {}: {}", item.shown(), io_words(&e))).cannot_tell();
    done.map_err(unread)?;
    // The last note may have nothing behind it.
    gathered.checkpoints(b"", Line { file, number: 0 }, true, &mut notes).map_err(|e| temp_error(dir, &e))?;
    if !is_export && notes.is_none() {
        let what = format!("there is no checkpoint in `{}`", words::shown(Path::new(&item.value)));
        gathered.findings.say(Kind::Unread, None, None, what);
    }
    Ok(())
}
