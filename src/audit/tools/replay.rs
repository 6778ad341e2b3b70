//! `spool replay`: events that were delivered, or wait, are delivered once more, with the same document ids.
//!
//! They are copied into a sub-directory of their own, which the running helper (or the next one) drains. Refuses: to
//! touch the spool they come from.

use super::build::Builder;
use super::export::find;
use super::look::{self, Look, Seen};
use super::progress::Progress;
use super::range::Range;
use super::{say, words, Call, Result};
use crate::audit::spool::record::{New, Stored};
use crate::error::{Error, Exit};

/// The command.
pub fn run(call: &mut Call<'_>) -> Result<Exit> {
    let mut range = Range::read(call.parsed)?;
    if range.is_all() {
        return Err(Error::usage("say which events: --from ID --to ID, both ends included").into());
    }
    let mut looks = look::all(&look::targets(call.options, call.operand())?)?;
    // What an earlier replay has not delivered yet is no new source, unless it is named.
    if looks.len() > 1 {
        looks.retain(|l| !l.ephemeral);
    }
    let mut progress = Progress::new(looks.iter().map(|l| l.bytes() * 2).sum());
    let mut queued = 0;
    for look in &looks {
        find(look, &mut range, &mut progress)?;
        let Some((count, place)) = copy(look, &range, &mut progress, call.now_ms)? else { continue };
        queued += count;
        progress.clear();
        let events = words::count(count, "event");
        writeln!(call.out, "{events} queued in {place}: {}", when(look))?;
    }
    drop(progress);
    if queued == 0 {
        let held = looks.iter().map(|l| l.segments.len()).sum::<usize>() > 0;
        let why = if held { "events are kept for --retain after they were delivered" } else { "the spool is empty" };
        return Err(Error::failed(format!("no event in that range is held ({why}); see `spool export`")).into());
    }
    Ok(Exit::Clean)
}

/// When a new sub-directory is taken up.
pub fn when(look: &Look) -> &'static str {
    if look::is_helped(look) {
        "the helper takes them up within some ten seconds"
    } else {
        "the helper takes them up at its next start"
    }
}

/// What a record was made of.
pub fn new_of<'a>(r: &Stored<'a>) -> New<'a> {
    let m = r.meta;
    let (kind, id, time, part, parts) = (m.kind, m.id, m.time, m.part, m.parts);
    New { kind, raw: r.raw, id, time, part, parts, stream: 0, read_ms: m.read_ms }
}

fn copy(look: &Look, range: &Range, progress: &mut Progress, now_ms: i64) -> Result<Option<(u64, String)>> {
    let mut builder: Option<Builder> = None;
    look.walk(progress, |seen| {
        if let Some(text) = seen.words() {
            say(&format!("{}: {text}; passed over", look.dir.display()));
        }
        let Seen::Record(r, head) = &seen else { return Ok(()) };
        if !range.holds(r.seq, r.number()) {
            return Ok(());
        }
        let b = match &mut builder {
            Some(b) => b,
            None => builder.insert(Builder::begin(&look.dir, "replay", now_ms)?),
        };
        b.push(&head.identity, &new_of(r))
    })?;
    let Some(b) = builder else { return Ok(None) };
    let count = b.count();
    let place = b.publish(None)?;
    Ok(Some((count, place.display().to_string())))
}
