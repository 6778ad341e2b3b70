//! `spool replay`: events that were delivered, or wait, are delivered once more, with the same document ids.
//!
//! They are copied into a sub-directory of their own, which the running helper (or the next one) of the spool they come
//! from drains; with `--by` another one, which an administrator names: so what a helper has left that is gone for ever is
//! delivered. Refuses: to touch the spool they come from.

use super::build::Builder;
use super::call::{say, Call, Result};
use super::export::{find, none_held};
use super::look::{self, Seen};
use super::progress::Progress;
use super::range::Range;
use crate::audit::process::stranded;
use crate::audit::spool::cursor;
use crate::audit::spool::disk::RealDisk;
use crate::audit::spool::owner::{Owner, Stated};
use crate::audit::spool::record::{New, Stored};
use crate::audit::spool::survey::{is_spool, Look};
use crate::error::{Error, Exit};
use crate::flags::value;
use crate::net::failure::words as io_words;
use crate::words;
use std::path::{Path, PathBuf};

/// The command.
pub fn run(call: &mut Call<'_>) -> Result<Exit> {
    let mut range = Range::read(call.parsed)?;
    let by = call.parsed.get("by").map(value::nonempty).transpose()?.map(String::from);
    if range.is_all() && by.is_none() {
        return Err(Error::usage("say which events: --from ID --to ID, both ends included").into());
    }
    let mut looks = look::all(&look::targets(call.options, call.operand())?)?;
    if by.is_some() && (call.operand().is_none() || looks.len() != 1) {
        return Err(Error::usage("--by needs the one sub-directory that is meant: spool replay DIR --by NAME").into());
    }
    // What an earlier replay has not delivered yet is no new source, unless it is named.
    if looks.len() > 1 {
        looks.retain(|l| !l.ephemeral);
    }
    let mut progress = Progress::new(looks.iter().map(|l| l.bytes() * 2).sum());
    let mut queued = 0;
    for look in &looks {
        let owner = match &by {
            Some(name) => Some(owner_beside(&look.dir, name)?),
            None => None,
        };
        find(look, &mut range, &mut progress)?;
        let Some((count, place)) = copy(look, &range, owner.as_ref(), &mut progress, call.now_ms)? else { continue };
        queued += count;
        progress.clear();
        let events = words::count(count, "event");
        writeln!(call.out, "{events} queued in {}: {}", words::shown(&place), when(&place))?;
        if by.is_some() && !look.in_use.may_change() {
            let dir = words::quoted(&look.dir);
            writeln!(call.out, "when they are delivered, and nobody is to work there again: rm -r {dir}")?;
        }
    }
    drop(progress);
    if queued == 0 {
        if range.is_all() {
            return Err(Error::failed("nothing waits there for anybody").into());
        }
        return Err(none_held(&looks).into());
    }
    Ok(Exit::Clean)
}

/// The owner of a sub-directory beside another one: whose helper is to deliver.
fn owner_beside(dir: &Path, name: &str) -> Result<Owner> {
    let its = dir.with_file_name(name);
    let wrong = |what: &str| {
        let (name, root) = (words::line(name, 80), words::shown(dir.parent().unwrap_or(dir)));
        Error::failed(format!("`{name}` {what} below `{root}`: --by takes the name of a helper's sub-directory"))
    };
    if !is_spool(&its) || !cursor::is_name(name) {
        return Err(wrong("is no spool").into());
    }
    match Owner::read(&RealDisk::new(&its)) {
        Ok(Stated::Owner(o)) => Ok(o),
        Ok(Stated::Nothing | Stated::Damaged) => Err(wrong("does not say for which receivers it is").into()),
        Err(e) => Err(wrong(&format!("cannot be read ({})", io_words(&e))).into()),
    }
}

/// When a new sub-directory is taken up.
pub fn when(place: &Path) -> &'static str {
    if stranded::is_helped(place) {
        "the helper takes them up within some ten seconds"
    } else {
        "the helper takes them up at its next start"
    }
}

/// What a record was made of.
pub fn new_of<'a>(r: &Stored<'a>) -> New<'a> {
    let m = r.meta;
    let (kind, id, time, part, parts) = (m.kind, m.id, m.time, m.part, m.parts);
    New { kind, raw: r.raw, id, time, part, parts, stream: 0, read_ms: m.read_ms, form: None }
}

/// `owner`: who is to deliver; none: whom the spool belongs to.
fn copy(
    look: &Look,
    range: &Range,
    owner: Option<&Owner>,
    progress: &mut Progress,
    now_ms: i64,
) -> Result<Option<(u64, PathBuf)>> {
    let mut builder: Option<Builder> = None;
    // Without a range: what somebody has not got yet.
    let cursors = look.cursors.iter().map(|(_, c)| c.value.as_ref().map_or(0, |c| c.next));
    let waits_from = if range.is_all() { cursors.min().unwrap_or(0) } else { 0 };
    look::walk(look, progress, |seen| {
        if let Some(text) = seen.words() {
            say(&format!("{}: {text}; passed over", words::shown(&look.dir)));
        }
        let Seen::Record(r, head) = &seen else { return Ok(()) };
        if r.seq < waits_from || !range.holds(r.seq, r.number()) {
            return Ok(());
        }
        let b = match &mut builder {
            Some(b) => b,
            None => builder.insert(Builder::begin(&look.dir, "replay", now_ms)?),
        };
        b.push(&head.identity, head.seal.and_then(|s| Some((s.id, s.seq(r.seq)?))), &new_of(r))
    })?;
    let Some(b) = builder else { return Ok(None) };
    let count = b.count();
    let place = b.publish(None, owner)?;
    Ok(Some((count, place)))
}
