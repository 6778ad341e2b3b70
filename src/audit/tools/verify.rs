//! `spool verify`: reads everything and says what is not as it should be. Exit code 0: clean.
//!
//! Read-only, also while the helper works. Refuses: to mend anything, that is `spool repair`.

use super::call::{Call, Result};
use super::look;
use super::progress::Progress;
use super::scan::{scan, Findings};
use crate::audit::spool::survey::Look;
use crate::error::Exit;
use crate::words;
use serde_json::{json, Value};

/// The command.
pub fn run(call: &mut Call<'_>) -> Result<Exit> {
    let dirs = look::targets(call.options, call.operand())?;
    let looks = look::all(&dirs)?;
    let mut progress = Progress::new(looks.iter().map(Look::bytes).sum());
    let mut clean = true;
    let mut all = Vec::new();
    for look in &looks {
        let findings = scan(look, &mut progress)?;
        clean &= findings.clean();
        if call.is_on("json") {
            all.push(as_json(look, &findings));
        } else {
            progress.clear();
            page(call, look, &findings)?;
        }
    }
    drop(progress);
    if call.is_on("json") {
        writeln!(call.out, "{:#}", json!({"version": 1, "clean": clean, "spools": all}))?;
    }
    Ok(if clean { Exit::Clean } else { Exit::Failed })
}

fn page(call: &mut Call<'_>, look: &Look, f: &Findings) -> Result<()> {
    let verdict = if f.clean() { "clean" } else { "not clean" };
    writeln!(
        call.out,
        "{}: {verdict} ({}, {} in {}, {}; {})",
        words::shown(&look.dir),
        words::count(f.records, "record"),
        words::size(f.bytes),
        words::count(look.segments.len() as u64, "segment"),
        words::count(look.cursors.len() as u64, "cursor"),
        look.in_use.words(),
    )?;
    for line in f.lines() {
        writeln!(call.out, "  wrong: {}", words::line(&line, 400))?;
    }
    for line in f.remarks() {
        writeln!(call.out, "  note:  {}", words::line(&line, 400))?;
    }
    if !f.clean() && look.foreign.is_none() && f.damages + f.wrong.len() as u64 > 0 {
        let dir = words::quoted(&look.dir);
        writeln!(
            call.out,
            "  cure:  the helper passes over damage by itself and tells of it; to clean up, stop it and"
        )?;
        writeln!(call.out, "         run: gostech-audit-log spool repair {dir} --apply")?;
    }
    Ok(())
}

fn as_json(look: &Look, f: &Findings) -> Value {
    let mut value = f.json();
    value["name"] = look.name.as_str().into();
    value["dir"] = look.dir.display().to_string().into();
    value["in_use"] = look.in_use.may_change().into();
    value["segments"] = look.segments.len().into();
    value
}
