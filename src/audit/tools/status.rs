//! `status`: a short page for people, or `--json`: what is wrong, what waits, for whom, since when, and what was answered last.
//!
//! A running helper is asked (`speaker`), so that all figures are of one moment and what is in memory counts. Where none
//! answers the files are read, and how old they are is said. Read-only. Refuses: secrets (the spool has none).

use super::call::{Call, Result};
use super::{look, quarantine};
use crate::audit::options::{keeping, Options};
use crate::audit::process::{claim, speaker, stranded};
use crate::audit::record::account::{Account, Counters};
use crate::audit::spool::cursor::Cursor;
use crate::audit::spool::moment::Moment;
use crate::audit::spool::survey::{Look, Small, Use};
use crate::audit::spool::walk::{Found, Walk};
use crate::error::Exit;
use crate::sorted::{self, Map};
use crate::sys::clock::wall_ms;
use crate::words;
use crate::{limits, stamp};
use serde_json::{json, Value};
use std::io::ErrorKind;
use std::time::Duration;

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
    /// Segments that are packed, what they take, and what they took before.
    packed: (u64, u64, u64),
    aside: (u64, u64),
    /// What the running helper says; else the files are read.
    now: Option<Moment>,
    /// When the files were written, as far as that is known.
    as_of: Option<i64>,
    /// It holds undelivered events, and no helper that runs beside it may deliver them.
    stranded: bool,
}

/// The command.
pub fn run(call: &mut Call<'_>) -> Result<Exit> {
    let root = look::root(call.options)?;
    let mut sheets = Vec::new();
    for mut look in look::all(&look::targets(call.options, None)?)? {
        let now = asked(&mut look);
        sheets.push(sheet(look, now, call.options)?);
    }
    if call.is_on("json") {
        let spools: Vec<Value> = sheets.iter().map(|s| as_json(s, call.now_ms)).collect();
        let now = stamp::rfc3339_text(call.now_ms);
        let page = json!({"version": 1, "spool_dir": root.display().to_string(), "now": now, "spools": spools});
        writeln!(call.out, "{page:#}")?;
        return Ok(Exit::Clean);
    }
    let answered = |s: &Sheet| s.now.is_some().then_some(s.look.in_use);
    let answering: Vec<Use> = sheets.iter().filter_map(answered).collect();
    for s in &sheets {
        for sentence in wrong(s, &answering, call.now_ms) {
            let sentence = words::line(&sentence, 2 * limits::ALARM_CHARS);
            writeln!(call.out, "{}: {sentence}", words::line_escaped(&s.look.name))?;
        }
    }
    writeln!(call.out, "spool directory {}", words::shown(&root))?;
    for s in &sheets {
        page(call, s)?;
    }
    Ok(Exit::Clean)
}

/// What the helper that works there says of itself now.
pub(super) fn asked(look: &mut Look) -> Option<Moment> {
    if !look.in_use.may_change() {
        return None;
    }
    let mut tries = 0;
    let answer = loop {
        match speaker::ask(&look.dir) {
            Ok(answer) => break answer,
            // Between two workers there is nobody for a moment.
            Err(e) if tries < limits::STATUS_TRIES && e.kind() != ErrorKind::TimedOut => tries += 1,
            Err(_) => return None,
        }
        std::thread::sleep(Duration::from_millis(limits::STATUS_RETRY_MILLIS));
    };
    let moment = Moment::load(&answer)?;
    let small = |c: &Cursor| Small { value: Some(c.clone()), half: false };
    look.cursors = moment.receivers.iter().map(|r| (r.name.clone(), small(&r.cursor))).collect();
    Some(moment)
}

/// The account as the files have it, with the records that came after it was saved: so that what is read and what waits are
/// of one moment.
fn from_files(look: &Look) -> (Account, u64) {
    let (mut account, end) = (look.account(), look.end());
    let (read, own, last) = look.newer_than(account.seq);
    (account.counters.read, account.counters.own) = (account.counters.read + read, account.counters.own + own);
    account.seq = last;
    (account, end)
}

/// What its files say where no helper answers: what is wrong with that, whether events wait, and the page.
pub(super) fn unanswered(call: &Call<'_>, look: Look, answering: &[Use]) -> Result<(Vec<String>, bool, String)> {
    let s = sheet(look, None, call.options)?;
    let waits = s.look.in_use == Use::Free && s.lines.iter().any(|l| l.waiting > 0);
    let mut out = Vec::new();
    let now_ms = wall_ms();
    page(&mut Call { parsed: call.parsed, options: call.options, now_ms, out: &mut out }, &s)?;
    Ok((wrong(&s, answering, now_ms), waits, String::from_utf8_lossy(&out).into_owned()))
}

fn sheet(look: Look, now: Option<Moment>, options: &Options) -> Result<Sheet> {
    let (account, end) = match &now {
        Some(moment) => (moment.account.clone(), moment.next),
        None => from_files(&look),
    };
    let lines = lines_of(&look, now.as_ref(), end, options)?;
    // A segment is retained when every receiver is past it: then the next one begins before the slowest.
    let slowest = look.cursors.iter().filter_map(|(_, c)| c.value.as_ref().map(|c| c.next)).min().unwrap_or(0);
    let ends = look.segments.iter().skip(1).map(|s| s.head.first_seq).chain([end]);
    let retained = look.segments.iter().zip(ends).filter(|(_, end)| *end <= slowest).map(|(s, _)| s.size).sum();
    let bad = look.files.iter().filter(|f| f.name.ends_with(".bad"));
    let files = (look.size() - retained, retained, keeping::settings(options, Some(&look.dir)).max);
    let (live, retained, max) = now.as_ref().map_or(files, |m| (m.bytes.live, m.bytes.retained, m.bytes.max));
    let waits = lines.iter().any(|l| l.waiting > 0 || l.cursor.is_none());
    Ok(Sheet {
        stranded: waits && stranded::is_stranded(&look),
        live,
        retained,
        max,
        packed: now.as_ref().map_or_else(|| look.packed(), |m| m.bytes.packed),
        aside: bad.fold((0, 0), |(n, bytes), f| (n + 1, bytes + f.bytes)),
        as_of: look.written_ms(),
        account,
        end,
        lines,
        now,
        look,
    })
}

/// Each receiver that has a cursor or a quarantine there.
fn lines_of(look: &Look, now: Option<&Moment>, end: u64, options: &Options) -> Result<Vec<Line>> {
    let quarantines = look.files.iter().filter_map(|f| quarantine::receiver_of(&f.name).map(String::from));
    let mut names: Vec<String> = look.cursors.iter().map(|(n, _)| n.clone()).chain(quarantines).collect();
    sorted::sort(&mut names);
    names.dedup();
    let mut oldest: Map<u64, Option<Oldest>> = Map::new();
    let mut lines = Vec::new();
    for name in names {
        let cursor = look.cursors.iter().find(|(n, _)| *n == name).and_then(|(_, c)| c.value.clone());
        let next = cursor.as_ref().map(|c| c.next);
        let waiting = next.map_or(0, |n| end.saturating_sub(n));
        let first = next.filter(|_| waiting > 0);
        let file = crate::audit::delivery::quarantine::file_name(&name);
        let there = look.files.iter().any(|f| f.name == file);
        let said = now.and_then(|m| m.receivers.iter().find(|r| r.name == name));
        let given = (!options.receivers.is_empty()).then(|| options.receivers.iter().any(|r| r.name == name));
        lines.push(Line {
            waiting,
            oldest: first.and_then(|n| oldest.at(n, || oldest_from(look, n)).clone()),
            held: if there { quarantine::count_lines(&look.dir.join(&file))? } else { (0, 0) },
            known: said.map(|r| r.live).or(given),
            cursor,
            name,
        });
    }
    Ok(lines)
}

/// What is wrong there, as the running helper says; or that it does not say anything.
/// `answering`: who has answered for one; others that they work in they have adopted, and answer for there.
fn wrong(s: &Sheet, answering: &[Use], now_ms: i64) -> Vec<String> {
    match (&s.now, s.look.in_use) {
        (Some(moment), _) => moment.sentences(),
        (None, who) if answering.contains(&who) => Vec::new(),
        (None, Use::By(pid)) => {
            let since = s.as_of.map_or_else(String::new, |ms| format!(", written {}", words::ago(now_ms, ms)));
            vec![format!("THE HELPER DOES NOT ANSWER (process {pid}): what follows is from its files{since}")]
        }
        _ => Vec::new(),
    }
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
    let old = match (&s.now, s.as_of) {
        (None, Some(ms)) => format!("; figures as of {}", words::ago(call.now_ms, ms)),
        _ => String::new(),
    };
    writeln!(call.out, "\n{}: {}{kind}{old}", words::line_escaped(&s.look.name), s.look.in_use.words())?;
    if let Some(name) = &s.look.foreign {
        writeln!(call.out, "  of another version of this program: `{}`", words::line_escaped(name))?;
    }
    if s.stranded {
        stranded(call, s)?;
    }
    let (live, retained, max) = (words::size(s.live), words::size(s.retained), words::size(s.max));
    let by = if s.now.is_some() { "" } else { " by these options" };
    writeln!(call.out, "  spool     {live} waiting, {retained} kept for replay; at most {max}{by}")?;
    let (segments, size, before) = s.packed;
    if segments > 0 {
        let (n, size, before) = (words::count(segments, "segment"), words::size(size), words::size(before));
        writeln!(call.out, "  packed    {n} of it: {before} in {size}")?;
    }
    if let Some(b) = s.now.as_ref().map(|m| &m.bytes).filter(|b| b.in_memory + b.cushion > 0) {
        let (memory, cushion) = (words::size(b.in_memory), words::size(b.cushion));
        writeln!(call.out, "  memory    {memory} of the spool, {cushion} read and not in it yet")?;
    }
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
    source(call, s.now.as_ref())?;
    sealed(call, s.now.as_ref())?;
    for l in &s.lines {
        receiver(call, l, c.dropped)?;
    }
    for (i, row) in s.now.iter().flat_map(|m| &m.in_force).filter(|r| r.given).enumerate() {
        let (name, value) = (words::line(&row.name, 80), words::line(&row.value, 200));
        writeln!(call.out, "  {:<9} {name} = {value}", if i == 0 { "in force" } else { "" })?;
    }
    for (name, what) in &s.look.strange {
        let name = words::line_escaped(name);
        writeln!(call.out, "  strange   `{name}` {what}, where a file should be; see `spool verify`")?;
    }
    if s.aside.0 > 0 {
        let (files, bytes) = (words::count(s.aside.0, "file"), words::size(s.aside.1));
        writeln!(call.out, "  damage    {files} of {bytes} set aside (*.bad); see `spool verify`")?;
    }
    Ok(())
}

/// Where the source stands, as the running helper says.
fn source(call: &mut Call<'_>, now: Option<&Moment>) -> Result<()> {
    let Some(now) = now else { return Ok(()) };
    let mut parts = Vec::new();
    if let Some(input) = &now.input {
        let mut text = format!("`{}`, {} read", words::line(&input.at, 400), words::size(input.offset));
        if input.behind > 0 {
            text.push_str(&format!(", {} not yet", words::size(input.behind)));
        }
        if let Some(ms) = input.oldest_ms {
            text.push_str(&format!(", the oldest written {}", words::ago(call.now_ms, ms)));
        }
        parts.push(text);
    }
    let happened = now.happened.iter().filter(|(_, n)| *n > 0);
    parts.extend(happened.map(|(name, n)| format!("{n} {}", words::line(name, 40).replace('_', " "))));
    if !parts.is_empty() {
        writeln!(call.out, "  source    {}", parts.join("; "))?;
    }
    Ok(())
}

/// How far evidence is, as the running helper says.
fn sealed(call: &mut Call<'_>, now: Option<&Moment>) -> Result<()> {
    let Some(s) = now.and_then(|m| m.sealed.as_ref()) else { return Ok(()) };
    let ago = |ms| words::ago(call.now_ms, ms);
    let last = match s.signed_ms {
        0 => "no checkpoint yet".into(),
        ms => format!("checkpoint {} signed {}", s.number, ago(ms)),
    };
    let key = if s.key_ms == 0 { "; the key cannot be read".into() } else { format!("; key made {}", ago(s.key_ms)) };
    let (size, stream) = (words::count(s.size, "record"), words::line(&s.stream, 40));
    writeln!(call.out, "  sealed    {size} of stream {stream}, {} not yet; {last}{key}", s.open)?;
    Ok(())
}

/// What waits there waits for a helper that does not run; the cure.
fn stranded(call: &mut Call<'_>, s: &Sheet) -> Result<()> {
    let whose = claim::living_in(&s.look.dir).map_or_else(|| "nobody knows whose it is".into(), |o| o.owner.words());
    writeln!(call.out, "  STRANDED  no helper that runs here may deliver what waits ({})", words::line(&whose, 400))?;
    let dir = words::quoted(&s.look.dir);
    writeln!(call.out, "            its own does at its next start; by another one's receivers:")?;
    writeln!(call.out, "            gostech-audit-log spool replay {dir} --by NAME-OF-THAT-ONE'S-SUB-DIRECTORY")?;
    Ok(())
}

/// `dropped`: events that nobody was given.
fn receiver(call: &mut Call<'_>, l: &Line, dropped: u64) -> Result<()> {
    let now = call.now_ms;
    let foreign = if l.known == Some(false) { " (no such receiver is configured)" } else { "" };
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
    let mut states = format!("{} delivered, {} refused, {} dropped", c.delivered, c.quarantined, c.dropped + dropped);
    if c.filtered > 0 {
        states.push_str(&format!(", {} filtered or before its time", c.filtered));
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
    let receivers: Vec<Value> = s.lines.iter().map(|l| line_json(l, now, *dropped)).collect();
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
        "ephemeral": s.look.ephemeral, "stranded": s.stranded, "foreign_version": s.look.foreign, "next": s.end, "segments": s.look.segments.len(),
        "live_bytes": s.live, "retained_bytes": s.retained, "max_bytes": s.max,
        "packed": {"segments": s.packed.0, "bytes": s.packed.1, "plain_bytes": s.packed.2},
        "answered": s.now.is_some(), "as_of": s.now.as_ref().map(|m| m.now_ms).or(s.as_of).map(time), "wrong": wrong_json(s),
        "disk_failing": s.now.as_ref().and_then(|m| m.disk_bad.clone()),
        "memory_bytes": s.now.as_ref().map(|m| m.bytes.in_memory), "cushion_bytes": s.now.as_ref().map(|m| m.bytes.cushion),
        "set_aside": {"files": s.aside.0, "bytes": s.aside.1},
        "counters": {
            "read": read, "own": own, "dropped": dropped, "gaps": gaps, "repeats": repeats, "late": late,
            "truncated": truncated, "unparsed": unparsed, "damaged": damaged,
        },
        "receivers": receivers, "source": s.now.as_ref().and_then(source_json), "sealed": s.now.as_ref().and_then(sealed_json),
        "in_force": s.now.as_ref().map(|m| m.in_force.iter().map(|r| json!({"name": r.name, "value": r.value})).collect::<Vec<_>>()),
    })
}

fn source_json(m: &Moment) -> Option<Value> {
    if m.input.is_none() && m.happened.iter().all(|(_, n)| *n == 0) {
        return None;
    }
    let i = m.input.clone().unwrap_or_default();
    let happened: serde_json::Map<String, Value> = m.happened.iter().map(|(k, n)| (k.clone(), (*n).into())).collect();
    let oldest = i.oldest_ms.map(time);
    Some(
        json!({"at": i.at, "offset": i.offset, "behind": i.behind, "oldest_unread_at": oldest, "wrong": i.wrong, "counts": happened}),
    )
}

fn sealed_json(m: &Moment) -> Option<Value> {
    let s = m.sealed.as_ref()?;
    Some(json!({
        "stream": s.stream, "records": s.size, "open_records": s.open, "checkpoint": s.number,
        "checkpoint_at": time(s.signed_ms), "key_created_at": time(s.key_ms), "failures": s.failures,
    }))
}

/// What is wrong, in the words of `--on-alarm`.
fn wrong_json(s: &Sheet) -> Vec<Value> {
    let all = s.now.iter().flat_map(|m| &m.wrong);
    all.map(|a| {
        let row = a.kind.row();
        let (id, gravity, since) = (row.id, row.gravity.name(), time(a.since_ms));
        json!({"id": id, "gravity": gravity, "about": a.about, "since": since, "text": a.text})
    })
    .collect()
}

fn line_json(l: &Line, now: i64, dropped: u64) -> Value {
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
        value["dropped"] = (c.dropped + dropped).into();
        value["filtered"] = c.filtered.into();
        value["failed_attempts"] = c.retries_as_json();
        value["last_delivery_at"] = time(c.last_ok_ms);
        value["last_answer"] = if c.last_answer_ms == 0 { Value::Null } else { c.last_answer.as_str().into() };
        value["last_answer_at"] = time(c.last_answer_ms);
    }
    value
}
