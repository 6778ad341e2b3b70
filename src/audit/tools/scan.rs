//! Every segment, record, cursor and the state of one sub-directory, judged: for `spool verify` and `spool repair`.
//!
//! Damage is bytes that are no record where one should be, a missing range is numbers without a record. A range that the
//! helper has told the receivers of, or that everybody was past, is no fault that remains. Refuses: to change anything.

use super::call::Result;
use super::look::{self, Seen};
use super::progress::Progress;
use super::quarantine;
use super::seals::Seals;
use crate::audit::spool::survey::{Heads, Look, Seg};
use crate::limits;
use crate::words;
use serde_json::{json, Value};

/// Numbers without a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
    /// The receivers were told of it.
    pub told: bool,
    /// Some receiver has not come that far yet.
    pub needed: bool,
}

/// A stretch of a file that holds no whole record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// Where it begins.
    pub from: u64,
    /// Where it ends.
    pub to: u64,
    /// Nothing whole follows.
    pub torn: bool,
}

/// What a scan found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Whole records.
    pub records: u64,
    /// Bytes looked at.
    pub bytes: u64,
    /// Places that are damaged.
    pub damage: Vec<Damage>,
    /// How many there are, also those that are not listed.
    pub damages: u64,
    /// Ranges that are missing.
    pub missing: Vec<Missing>,
    /// How many records are missing in all ranges, also those that are not listed, and have to be told yet.
    pub untold: u64,
    /// Other faults, in words.
    pub wrong: Vec<String>,
    /// What is odd and does no harm.
    pub notes: Vec<String>,
}

impl Findings {
    /// Whether there is nothing to complain of.
    pub fn clean(&self) -> bool {
        self.damages == 0 && self.untold == 0 && self.wrong.is_empty()
    }

    fn fault(&mut self, text: String) {
        if self.wrong.len() < limits::TOOL_FINDINGS {
            self.wrong.push(text);
        }
    }

    fn damaged(&mut self, file: &str, from: u64, to: u64, torn: bool) {
        self.damages += 1;
        if self.damage.len() < limits::TOOL_FINDINGS {
            self.damage.push(Damage { file: file.to_string(), from, to, torn });
        }
    }
}

/// Looks at all of a sub-directory.
pub fn scan(look: &Look, progress: &mut Progress) -> Result<Findings> {
    let mut f = Findings { bytes: look.bytes(), ..Findings::default() };
    if let Some(name) = &look.foreign {
        f.fault(format!("`{name}` is of another version of this program; use that one"));
    }
    heads(look, &mut f);
    segments(look, progress, &mut f)?;
    small_files(look, &mut f);
    for file in look.files.iter().filter(|e| quarantine::receiver_of(&e.name).is_some()) {
        let bad = quarantine::damaged_lines(look, &file.name)?;
        if bad > 0 {
            f.fault(format!("`{}`: {} cannot be read", file.name, words::count(bad, "line")));
        }
    }
    set_aside(look, &mut f);
    Ok(f)
}

/// Damage that was set aside is no fault that remains: whoever was sent here by `status` is told what it is.
fn set_aside(look: &Look, f: &mut Findings) {
    let bad = || look.files.iter().filter(|e| e.name.ends_with(".bad"));
    for e in bad().take(limits::TOOL_ASIDE_LINES) {
        let size = words::size(e.bytes);
        f.notes
            .push(format!("`{}`: {size} of damage, set aside as it was: nothing reads it; keep or remove it", e.name));
    }
    let more = bad().skip(limits::TOOL_ASIDE_LINES).count();
    if more > 0 {
        f.notes.push(format!("and {more} more files of damage (*.bad)"));
    }
}

fn heads(look: &Look, f: &mut Findings) {
    for (name, why) in &look.odd {
        f.fault(format!("`{name}` {why}: it holds no record"));
    }
    for s in &look.segments {
        match s.heads {
            Heads::Both => {}
            Heads::One => {
                f.fault(format!("`{}`: one of the two copies of its head is damaged; nothing is lost", s.name))
            }
            Heads::Lost => {
                f.fault(format!("`{}`: both copies of its head are damaged; its name and neighbours stand in", s.name));
            }
        }
    }
    let packs = |p: &[Seg]| look.in_use.may_change() && p.iter().any(|s| s.head.packed.is_some());
    for pair in look.segments.windows(2).filter(|p| p[0].head.first_seq == p[1].head.first_seq && !packs(p)) {
        f.fault(format!("`{}` begins with the same record as `{}`", pair[1].name, pair[0].name));
    }
}

/// What a missing range means is judged by these.
struct Judge {
    told: Vec<(u64, u64)>,
    slowest: u64,
}

impl Judge {
    /// What everybody was past is one thing, what somebody waits for another.
    fn missing(&self, f: &mut Findings, from: u64, to: u64) {
        if from < self.slowest && self.slowest <= to {
            self.range(f, from, self.slowest - 1);
            self.range(f, self.slowest, to);
        } else {
            self.range(f, from, to);
        }
    }

    fn range(&self, f: &mut Findings, from: u64, to: u64) {
        let told = self.told.iter().any(|&(a, b)| a <= from && to <= b);
        let needed = to >= self.slowest;
        if needed && !told {
            f.untold += to - from + 1;
        }
        if f.missing.len() < limits::TOOL_FINDINGS {
            f.missing.push(Missing { from, to, told, needed });
        }
    }
}

fn segments(look: &Look, progress: &mut Progress, f: &mut Findings) -> Result<()> {
    let account = look.account();
    let cursors = look.cursors.iter().filter_map(|(_, c)| c.value.as_ref().map(|c| c.next));
    // Where there is no cursor everything is needed.
    let slowest = cursors.min().unwrap_or(1).max(1);
    let judge = Judge { told: account.damages, slowest };
    // Records that somebody still needs must begin where he stands.
    let mut want = slowest.min(look.first()).max(1);
    let mut unknown = false;
    let mut seals = Seals::default();
    look::walk(look, progress, |seen| {
        match &seen {
            Seen::Record(r, head) => {
                seals.take(r, head);
                let excused = std::mem::take(&mut unknown);
                if r.seq > want && !excused {
                    judge.missing(f, want, r.seq - 1);
                }
                want = r.seq + 1;
                f.records += 1;
            }
            Seen::Damage(name, from, to) => f.damaged(name, *from, *to, false),
            Seen::Torn(name, from, to) => f.damaged(name, *from, *to, true),
            // A helper removed it: everybody had it.
            Seen::Gone => unknown = true,
            Seen::Unreadable(..) => {
                unknown = true;
                f.fault(seen.words().unwrap_or_default());
            }
        }
        Ok(())
    })?;
    f.notes.extend(seals.note());
    let named = seals.named.len() as u64;
    seals.named.into_iter().for_each(|text| f.fault(text));
    if seals.differ > named {
        f.fault(format!("and {} more records that are not those that were sealed", seals.differ - named));
    }
    // The helper counts up to here; what it holds in memory or has just written is no loss.
    if account.seq >= want && !look.in_use.may_change() {
        judge.missing(f, want, account.seq);
    }
    Ok(())
}

fn small_files(look: &Look, f: &mut Findings) {
    for (name, what) in &look.strange {
        f.fault(format!("`{name}` {what}, where a file should be: nobody follows or reads it; remove it"));
    }
    let end = look.end();
    for (name, small) in &look.cursors {
        let Some(c) = &small.value else {
            f.fault(format!("`cursor-{name}`: none of its copies is whole"));
            continue;
        };
        if small.half {
            f.notes.push(format!("`cursor-{name}`: one of its copies is not whole; the next write mends it"));
        }
        if c.next > end && !look.in_use.may_change() {
            f.notes.push(format!("`cursor-{name}` is ahead of the records; numbers go on from there"));
        }
        let known = c.delivered + c.quarantined + c.dropped + c.filtered;
        if known != c.next.saturating_sub(1) {
            f.notes.push(format!(
                "`cursor-{name}`: its counts do not add up to its place; the next start sets them right"
            ));
        }
    }
    match &look.state {
        None if !look.segments.is_empty() && !look.ephemeral && !look.in_use.may_change() => {
            f.notes.push("there is no `state`: the next start counts anew from the records held".into());
        }
        Some(s) if s.value.is_none() => f.fault("`state`: none of its copies is whole".into()),
        Some(s) if s.half => f.notes.push("`state`: one of its copies is not whole; the next write mends it".into()),
        _ => {}
    }
}

impl Findings {
    /// As lines for people.
    pub fn lines(&self) -> Vec<String> {
        let mut out = self.wrong.clone();
        for d in &self.damage {
            let seen = match d.torn {
                true => Seen::Torn(&d.file, d.from, d.to),
                false => Seen::Damage(&d.file, d.from, d.to),
            };
            out.extend(seen.words());
        }
        if self.damages > self.damage.len() as u64 {
            out.push(format!("and {} more damaged places", self.damages - self.damage.len() as u64));
        }
        for m in self.missing.iter().filter(|m| m.needed && !m.told) {
            let (n, range) = (words::count(m.to - m.from + 1, "record"), range(m));
            out.push(format!("{n} missing ({range}): an audit_gap will tell the receivers"));
        }
        out
    }

    /// What is no fault, as lines for people.
    pub fn remarks(&self) -> Vec<String> {
        let mut out = self.notes.clone();
        for m in self.missing.iter().filter(|m| m.told || !m.needed) {
            let why = if m.told { "the receivers were told" } else { "every receiver is past them" };
            out.push(format!("{} missing ({}): {why}", words::count(m.to - m.from + 1, "record"), range(m)));
        }
        out
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let damage: Vec<Value> = self
            .damage
            .iter()
            .map(|d| json!({"file": d.file, "from": d.from, "to": d.to, "torn_tail": d.torn}))
            .collect();
        let missing: Vec<Value> = self
            .missing
            .iter()
            .map(|m| json!({"from": m.from, "to": m.to, "told": m.told, "needed": m.needed}))
            .collect();
        json!({
            "clean": self.clean(), "records": self.records, "bytes": self.bytes, "damaged_places": self.damages,
            "damage": damage, "missing": missing, "faults": self.wrong, "notes": self.notes,
        })
    }
}

fn range(m: &Missing) -> String {
    if m.from == m.to {
        format!("number {}", m.from)
    } else {
        format!("numbers {} to {}", m.from, m.to)
    }
}
