//! `spool export`: the events of a spool as JSON lines, as `--format json` delivers them, in order.
//!
//! Read-only, also while the helper works. Damage is told on stderr and passed over; then the exit code is 1. So it is when
//! nothing of the range that was asked for is there.

use super::call::{say, Call, Result};
use super::look::{self, Seen};
use super::progress::Progress;
use super::range::Range;
use crate::audit::delivery::event::Maker;
use crate::audit::delivery::format::{self, Pen};
use crate::audit::spool::survey::Look;
use crate::error::{Error, Exit};
use crate::words;

/// The command.
pub fn run(call: &mut Call<'_>) -> Result<Exit> {
    let mut range = Range::read(call.parsed)?;
    let dirs = look::targets(call.options, call.operand())?;
    let looks = look::all(&dirs)?;
    let rounds = if range.is_all() { 1 } else { 2 };
    let mut progress = Progress::new(looks.iter().map(|l| l.bytes() * rounds).sum());
    let (mut damaged, mut written) = (0u64, 0u64);
    for look in &looks {
        find(look, &mut range, &mut progress)?;
        let (mut maker, mut pen, mut line) = (Maker::default(), Pen::default(), Vec::new());
        let mut tell = Vec::new();
        look::walk(look, &mut progress, |seen| {
            if let Seen::Record(r, head) = &seen {
                if range.holds(r.seq, r.number()) {
                    line.clear();
                    (format::FORMATS[0].write)(&mut pen, &mut line, &maker.make(r, head));
                    line.push(b'\n');
                    call.out.write_all(&line)?;
                    written += 1;
                }
            }
            tell.extend(seen.words());
            damaged += tell.len() as u64;
            tell.drain(..).for_each(|t| say(&format!("{}: {t}", words::shown(&look.dir))));
            Ok(())
        })?;
    }
    drop(progress);
    if damaged > 0 {
        let left = words::count(damaged, "damaged place");
        say(&format!("{} printed; {left} passed over", words::count(written, "event")));
        return Ok(Exit::Failed);
    }
    if written == 0 && !range.is_all() {
        return Err(none_held(&looks).into());
    }
    Ok(Exit::Clean)
}

/// Nothing of what was asked for is there.
pub fn none_held(looks: &[Look]) -> Error {
    let held = looks.iter().any(|l| !l.segments.is_empty());
    let why = if held { "events are kept for --retain after they were delivered" } else { "the spool is empty" };
    Error::failed(format!("no event in that range is held ({why})"))
}

/// The first round: where the range stands in this spool.
pub fn find(look: &Look, range: &mut Range, progress: &mut Progress) -> Result<()> {
    range.begin();
    if range.is_all() {
        return Ok(());
    }
    let mut maker = Maker::default();
    look::walk(look, progress, |seen| {
        if let Seen::Record(r, head) = &seen {
            let document = if range.wants_documents() { maker.document_id(r, head) } else { String::new() };
            range.see(r.seq, r.number(), r.part, &document);
        }
        Ok(())
    })
}
