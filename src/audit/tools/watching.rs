//! `status --watch` and `top`: the status page of each running helper in the terminal, drawn anew each second.
//!
//! Where none answers, what `status` reads from the files. Refuses: to lock or to write anything.

use super::call::{Call, Result, Stop};
use super::{look, status};
use crate::audit::process::overview;
use crate::error::{Error, Exit};
use crate::page::{term, Cell, Lang, Tone};
use crate::sys::clock::wall_ms;
use crate::watch;

/// The command.
pub fn run(call: &mut Call<'_>) -> Result<Exit> {
    Ok(watch::run(&watch::prepare()?, |columns, colour| frame(call, columns, colour))?)
}

fn frame(call: &Call<'_>, columns: usize, colour: bool) -> crate::error::Result<Vec<String>> {
    let stopped = |stop| match stop {
        Stop::Error(e) => e,
        Stop::Output(e) => Error::failed(e.to_string()),
    };
    let mut lines = Vec::new();
    for mut look in look::targets(call.options, None).and_then(|t| look::all(&t)).map_err(stopped)? {
        let Some(moment) = status::asked(&mut look) else { continue };
        let mut sheet = overview::sheet(&moment, Lang::En);
        sheet.about = format!("{} · {}", sheet.about, look.name);
        lines.extend(term::draw(&sheet, columns, colour));
        lines.push(String::new());
    }
    if lines.is_empty() {
        let mut out = Vec::new();
        let mut files = Call { parsed: call.parsed, options: call.options, now_ms: wall_ms(), out: &mut out };
        status::run(&mut files).map_err(stopped)?;
        let words = Cell::text("no running helper answers; this is what its files say").tone(Tone::Warn);
        let text = String::from_utf8_lossy(&out).into_owned();
        lines = term::lines(std::iter::once(words).chain(text.lines().map(Cell::text)), columns, colour);
    }
    Ok(lines)
}
