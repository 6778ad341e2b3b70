//! `status`: a short page for people, or `--json`: what waits, for whom, since when, and what was answered last.
//!
//! Read-only, also while the helper works; so what it holds in memory is not counted. Refuses: secrets (the spool has none).

use super::look::{self, Look, Use};
use super::{quarantine, words, Call, Result};
use crate::audit::account::{Account, Counters};
use crate::audit::options::Options;
use crate::audit::spool::cursor::Cursor;
use crate::audit::spool::walk::{Found, Walk};
use crate::audit::worker;
use crate::error::Exit;
use crate::{limits, stamp};
use serde_json::{json, Value};
use std::collections::BTreeMap;

/// The oldest event that waits for somebody.
#[derive(Clone, Debug)]
struct Oldest {
    id: String,
    read_ms: i64,
}

/// One receiver.
struct Line {
    name: String,
    /// None: its cursor cannot be read.
    cursor: Option<Cursor>,
    waiting: u64,
    oldest: Option<Oldest>,
    /// Events in its quarantine's file, and lines that cannot be read.
    held: (u64, u64),
    /// It is among the receivers of this call's options, if there are any.
    known: Option<bool>,
}

/// One sub-directory.
struct Sheet {
    look: Look,
    account: Account,
    end: u64,
    lines: Vec<Line>,
    live: u64,
    retained: u64,
    max: u64,
    aside: (u64, u64),
}

/// The command.
pub fn run(call: &mut Call<'_>) -> Result<Exit> {
    let root = look::root(call.options)?;
    let mut sheets = Vec::new();
    for look in look::all(&look::targets(call.options, Some(&root.display().to_string()))?)? {
        sheets.push(sheet(look, call.options)?);
    }
    if call.is_on("json") {
        let spools: Vec<Value> = sheets.iter().map(|s| as_json(s, call.now_ms)).collect();
        let now = stamp::rfc3339_text(call.now_ms);
        let page = json!({"version": 1, "spool_dir": root.display().to_string(), "now": now, "spools": spools});
        writeln!(call.out, "{page:#}")?;
        return Ok(Exit::Clean);
    }
    writeln!(call.out, "spool directory {}", root.display())?;
    for s in &sheets {
        page(call, s)?;
    }
    Ok(Exit::Clean)
}

fn sheet(look: Look, options: &Options) -> Result<Sheet> {
    let (account, end) = (look.account(), look.end());
    let quarantines = look.files.iter().filter_map(|f| quarantine::receiver_of(&f.name).map(String::from));
    let mut names: Vec<String> = look.cursors.iter().map(|(n, _)| n.clone()).chain(quarantines).collect();
    names.sort();
    names.dedup();
    let mut oldest: BTreeMap<u64, Option<Oldest>> = BTreeMap::new();
    let mut lines = Vec::new();
    for name in names {
        let cursor = look.cursors.iter().find(|(n, _)| *n == name).and_then(|(_, c)| c.value.clone());
        let next = cursor.as_ref().map(|c| c.next);
        let waiting = next.map_or(0, |n| end.saturating_sub(n));
        let first = next.filter(|_| waiting > 0);
        let file = look.dir.join(crate::audit::quarantine::file_name(&name));
        lines.push(Line {
            waiting,
            oldest: first.and_then(|n| oldest.entry(n).or_insert_with(|| oldest_from(&look, n)).clone()),
            held: quarantine::count_lines(&file)?,
            known: (!options.receivers.is_empty()).then(|| options.receivers.iter().any(|r| r.name == name)),
            cursor,
            name,
        });
    }
    // A segment is retained when every receiver is past it: then the next one begins before the slowest.
    let slowest = look.cursors.iter().filter_map(|(_, c)| c.value.as_ref().map(|c| c.next)).min().unwrap_or(0);
    let ends = look.segments.iter().skip(1).map(|s| s.head.first_seq).chain([end]);
    let retained = look.segments.iter().zip(ends).filter(|(_, end)| *end <= slowest).map(|(s, _)| s.bytes).sum();
    let bad = look.files.iter().filter(|f| f.name.ends_with(".bad"));
    Ok(Sheet {
        live: look.bytes() - retained,
        retained,
        max: worker::settings(options, 0, Some(&look.dir)).max,
        aside: bad.fold((0, 0), |(n, bytes), f| (n + 1, bytes + f.bytes)),
        account,
        end,
        lines,
        look,
    })
}

/// The first record from `seq` on.
fn oldest_from(look: &Look, seq: u64) -> Option<Oldest> {
    let at = look.segments.partition_point(|s| s.head.first_seq <= seq).saturating_sub(1);
    for s in look.segments.iter().skip(at) {
        let mut walk = Walk::start();
        loop {
            match walk.next(&look.disk, &s.name, &s.head, s.bytes) {
                Ok(Found::Record(m)) if m.seq >= seq => {
                    let id = String::from_utf8_lossy(m.id.of(walk.record(m).raw)).into_owned();
                    let id = if id.is_empty() { "without id".into() } else { id };
                    return Some(Oldest { id, read_ms: m.read_ms });
                }
                Ok(Found::Record(_) | Found::Damage(..)) => {}
                Ok(Found::Torn(_) | Found::End) | Err(_) => break,
            }
        }
    }
    None
}

fn page(call: &mut Call<'_>, s: &Sheet) -> Result<()> {
    let kind = if s.look.ephemeral { ", made by a replay or retry" } else { "" };
    writeln!(call.out, "\n{}: {}{kind}", s.look.name, s.look.in_use.words())?;
    if let Some(name) = &s.look.foreign {
        writeln!(call.out, "  of another version of this program: `{name}`")?;
    }
    let (live, retained, max) = (words::size(s.live), words::size(s.retained), words::size(s.max));
    writeln!(call.out, "  spool     {live} waiting, {retained} kept for replay; at most {max} by these options")?;
    let c = &s.account.counters;
    writeln!(
        call.out,
        "  records   {} read, {} own; {} dropped, {} damaged; {}, {}, {} out of order, {} cut, {} unparsed",
        c.read,
        c.own,
        c.dropped,
        c.damaged,
        words::count(c.gaps, "gap"),
        words::count(c.repeats, "repeat"),
        c.late,
        c.truncated,
        c.unparsed
    )?;
    for l in &s.lines {
        receiver(call, l)?;
    }
    if s.aside.0 > 0 {
        let (files, bytes) = (words::count(s.aside.0, "file"), words::size(s.aside.1));
        writeln!(call.out, "  damage    {files} of {bytes} set aside (*.bad); see `spool verify`")?;
    }
    Ok(())
}

fn receiver(call: &mut Call<'_>, l: &Line) -> Result<()> {
    let now = call.now_ms;
    let foreign = if l.known == Some(false) { " (not among these options' receivers)" } else { "" };
    let Some(c) = &l.cursor else {
        writeln!(call.out, "  {:<9} its cursor cannot be read; see `spool verify`{foreign}", l.name)?;
        return Ok(());
    };
    let mut first = words::count(l.waiting, "event") + " waiting";
    if let Some(o) = &l.oldest {
        let id = words::line(&o.id, limits::EVENT_ID_BYTES);
        first.push_str(&format!(", the oldest {id}, read {}", words::ago(now, o.read_ms)));
    }
    writeln!(call.out, "  {:<9} {first}{foreign}", l.name)?;
    let mut states = format!("{} delivered, {} refused, {} dropped", c.delivered, c.quarantined, c.dropped);
    if c.filtered > 0 {
        states.push_str(&format!(", {} before its time", c.filtered));
    }
    if l.held.0 > 0 {
        states.push_str(&format!("; {} in quarantine", words::count(l.held.0, "event")));
    }
    writeln!(call.out, "            {states}")?;
    let answer = match c.last_answer_ms {
        0 => "no answer yet".to_string(),
        ms => format!("last answer {}: {}", words::ago(now, ms), words::line(&c.last_answer, 200)),
    };
    writeln!(call.out, "            {answer}")?;
    if !c.retries.is_empty() {
        let list: Vec<String> = c.retries.iter().map(|(why, n)| format!("{n} {}", words::line(why, 20))).collect();
        let last = match c.last_ok_ms {
            0 => "never took anything".into(),
            ms => format!("last took events {}", words::ago(now, ms)),
        };
        writeln!(call.out, "            {last}; failed attempts: {}", list.join(", "))?;
    }
    Ok(())
}

fn time(ms: i64) -> Value {
    if ms == 0 {
        Value::Null
    } else {
        stamp::rfc3339_text(ms).into()
    }
}

fn as_json(s: &Sheet, now: i64) -> Value {
    let Counters { read, own, dropped, gaps, repeats, late, truncated, unparsed, damaged } = &s.account.counters;
    let receivers: Vec<Value> = s.lines.iter().map(|l| line_json(l, now)).collect();
    let pid = match s.look.in_use {
        Use::By(pid) => Value::from(pid),
        _ => Value::Null,
    };
    let in_use = match s.look.in_use {
        Use::Free => Value::from(false),
        Use::By(_) => Value::from(true),
        Use::Unknown => Value::Null,
    };
    json!({
        "name": s.look.name, "dir": s.look.dir.display().to_string(), "in_use": in_use, "pid": pid,
        "ephemeral": s.look.ephemeral, "foreign_version": s.look.foreign, "next": s.end, "segments": s.look.segments.len(),
        "live_bytes": s.live, "retained_bytes": s.retained, "max_bytes": s.max,
        "set_aside": {"files": s.aside.0, "bytes": s.aside.1},
        "counters": {
            "read": read, "own": own, "dropped": dropped, "gaps": gaps, "repeats": repeats, "late": late,
            "truncated": truncated, "unparsed": unparsed, "damaged": damaged,
        },
        "receivers": receivers,
    })
}

fn line_json(l: &Line, now: i64) -> Value {
    let oldest = l.oldest.as_ref().map(|o| {
        let age = (now - o.read_ms).max(0) as f64 / 1000.0;
        json!({"id": o.id, "read_at": time(o.read_ms), "age_seconds": age})
    });
    let mut value = json!({
        "name": l.name, "readable": l.cursor.is_some(), "waiting": l.waiting, "oldest": oldest, "configured": l.known,
        "quarantine": {"events": l.held.0, "unreadable_lines": l.held.1},
    });
    if let Some(c) = &l.cursor {
        value["next"] = c.next.into();
        value["delivered"] = c.delivered.into();
        value["quarantined"] = c.quarantined.into();
        value["dropped"] = c.dropped.into();
        value["filtered"] = c.filtered.into();
        value["failed_attempts"] = json!(c.retries);
        value["last_delivery_at"] = time(c.last_ok_ms);
        value["last_answer"] = if c.last_answer_ms == 0 { Value::Null } else { c.last_answer.as_str().into() };
        value["last_answer_at"] = time(c.last_answer_ms);
    }
    value
}
