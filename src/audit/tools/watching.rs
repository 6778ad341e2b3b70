//! `status --watch` and `top`: the status page of each running helper in the terminal, drawn anew each second.
//!
//! Of a spool whose helper does not answer, or that has none, stands there what `status` reads from its files; what is wrong
//! there comes first. Refuses: to lock or to write anything.

use super::call::{Call, Result, Stop};
use super::{look, status};
use crate::audit::process::overview;
use crate::error::{Error, Exit};
use crate::page::{term, Cell, Lang, Tone};
use crate::watch;

/// The command.
pub fn run(call: &mut Call<'_>) -> Result<Exit> {
    if call.is_on("json") {
        return Err(Error::usage("--watch draws for people, --json is for programs: give one of them").into());
    }
    Ok(watch::run(&watch::prepare()?, |columns, colour| frame(call, columns, colour))?)
}

fn frame(call: &Call<'_>, columns: usize, colour: bool) -> crate::error::Result<Vec<String>> {
    drawn(call, columns, colour).map_err(|stop| match stop {
        Stop::Error(e) => e,
        Stop::Output(e) => Error::failed(e.to_string()),
    })
}

fn drawn(call: &Call<'_>, columns: usize, colour: bool) -> Result<Vec<String>> {
    let (mut first, mut rest, mut pictures) = (Vec::new(), Vec::new(), Vec::new());
    let (mut answering, mut silent) = (Vec::new(), Vec::new());
    for mut look in look::watched(call.options, &mut |text| first.push(Cell::text(text).tone(Tone::Warn)))? {
        let Some(moment) = status::asked(&mut look) else {
            silent.push(look);
            continue;
        };
        answering.push(look.in_use);
        let mut sheet = overview::sheet(&moment, Lang::En);
        sheet.about = format!("{} · {}", sheet.about, look.name);
        pictures.extend(term::draw(&sheet, columns, colour));
        pictures.push(String::new());
    }
    for look in silent {
        let name = look.name.clone();
        let (wrong, waits, page) = status::unanswered(call, look, &answering)?;
        let to = if waits || !wrong.is_empty() { &mut first } else { &mut rest };
        to.extend(wrong.iter().map(|text| Cell::text(format!("{name}: {text}")).tone(Tone::Bad)));
        if waits {
            to.push(Cell::text(format!("{name}: events wait, and no helper runs")).tone(Tone::Warn));
        }
        to.extend(page.lines().skip(1).map(Cell::text));
    }
    if answering.is_empty() {
        first.insert(0, Cell::text("no running helper answers; this is what the files say").tone(Tone::Warn));
    }
    let mut lines = term::lines(first, columns, colour);
    if !lines.is_empty() && !pictures.is_empty() {
        lines.push(String::new());
    }
    lines.extend(pictures);
    lines.extend(term::lines(rest, columns, colour));
    Ok(lines)
}
