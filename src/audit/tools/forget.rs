//! `spool forget NAME`: the cursor of a receiver that is configured no more, and what is kept for it.
//!
//! In a spool that no helper works in the cursor is removed here. A running helper cannot be stopped without the database,
//! so it is asked by a file, and obeys only when no receiver of that name is configured. Refuses: to forget one that is.

use super::call::{Call, Result};
use super::look;
use crate::audit::spool::survey::{Look, Use};
use crate::audit::spool::{cursor, lock};
use crate::error::{Error, Exit};
use crate::limits;
use crate::net::failure::words as io_words;
use crate::sorted;
use crate::sys::{crash, file};
use crate::words;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The command.
pub fn run(call: &mut Call<'_>) -> Result<Exit> {
    let name = call.operand().cloned().unwrap_or_default();
    if !cursor::is_name(&name) {
        return Err(Error::usage(format!("`{}` cannot be the name of a receiver", words::line(&name, 80))).into());
    }
    if call.options.receivers.iter().any(|r| r.name == name) {
        let text = format!("`{name}` is configured: take its --url out of the options first, then forget it");
        return Err(Error::failed(text).into());
    }
    let root = look::root(call.options)?;
    let (mut known, mut forgotten) = (Vec::new(), 0);
    for look in look::everywhere(call.options)? {
        if !look.cursors.iter().any(|(n, _)| *n == name) {
            known.extend(look.cursors.iter().map(|(n, _)| n.clone()));
            continue;
        }
        forget(call, &look, &name)?;
        forgotten += 1;
    }
    if forgotten == 0 {
        sorted::sort(&mut known);
        known.dedup();
        let known = if known.is_empty() { "there is none".into() } else { format!("there are: {}", known.join(", ")) };
        return Err(Error::failed(format!("no cursor of `{name}` below `{}`; {known}", words::shown(&root))).into());
    }
    Ok(Exit::Clean)
}

fn forget(call: &mut Call<'_>, look: &Look, name: &str) -> Result<()> {
    let end = look.end();
    let next = look.cursors.iter().find(|(n, _)| n == name).and_then(|(_, c)| c.value.as_ref().map(|c| c.next));
    let waiting = next.map_or(0, |next| end.saturating_sub(next));
    let cannot = |e: io::Error| {
        Error::failed(format!("cannot forget `{name}` in `{}`: {}", words::shown(&look.dir), io_words(&e)))
    };
    match lock::take(&look.dir).map_err(cannot)? {
        Some(_lock) => remove(look, name).map_err(cannot)?,
        None => ask(look, name, Duration::from_millis(limits::FORGET_WAIT_MILLIS)).map_err(cannot)?,
    }
    let events = words::count(waiting, "event");
    writeln!(call.out, "{}: `{name}` is forgotten ({events} were waiting for it)", words::shown(&look.dir))?;
    Ok(())
}

/// The state knows the name still: a request that stays says to the next helper that no cursor of it is missing.
fn remove(look: &Look, name: &str) -> io::Result<()> {
    request(look, name)?;
    std::fs::remove_file(look.dir.join(cursor::file_name(name)))?;
    crash::point("tool-forget.removed");
    File::open(&look.dir)?.sync_all()
}

fn request(look: &Look, name: &str) -> io::Result<PathBuf> {
    let request = look.dir.join(cursor::request_name(name));
    file::create_anew(&request)?.write_all(b"forget\n")?;
    Ok(request)
}

/// Asks the helper that works there, and waits until it has obeyed; takes the request back when it does not.
pub(super) fn ask(look: &Look, name: &str, patience: Duration) -> io::Result<()> {
    let request = request(look, name)?;
    crash::point("tool-forget.asked");
    let end = Instant::now() + patience;
    while std::fs::symlink_metadata(&request).is_ok() {
        if Instant::now() > end {
            match std::fs::remove_file(&request) {
                // At the last moment.
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
                // Nor does a power cut bring it back, after it was said that nothing is forgotten.
                _ => drop(File::open(&look.dir).and_then(|dir| dir.sync_all())),
            }
            let who = match look.in_use {
                Use::By(pid) => format!("the helper (process {pid})"),
                _ => "the helper".into(),
            };
            let why = format!("{who} did not do it: a receiver of that name is configured there, or it is stuck");
            return Err(io::Error::other(why));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
