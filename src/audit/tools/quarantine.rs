//! `quarantine list` and `quarantine retry`: events that a receiver refused for their content.
//!
//! A retry takes the file away first (the helper begins a new one), puts its events into a sub-directory for that receiver
//! alone, and only when this is durable renames the file to `….retried-TIME`. Refuses: to drop a line that it cannot read.

use super::build::Builder;
use super::call::{say, Call, Result, Stop};
use super::look;
use super::replay::when;
use crate::audit::delivery::event::Maker;
use crate::audit::delivery::parcel::Said;
use crate::audit::delivery::quarantine::{self as held, Held};
use crate::audit::record::{self, Kind};
use crate::audit::seal::Stream;
use crate::audit::spool::cursor;
use crate::audit::spool::record::{decode, encode, Head, New};
use crate::audit::spool::survey::Look;
use crate::error::{Error, Exit};
use crate::json::Span;
use crate::limits;
use crate::net::failure::words as io_words;
use crate::sorted;
use crate::sys::{crash, file};
use crate::words;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The receiver of a quarantine's file.
pub fn receiver_of(file: &str) -> Option<&str> {
    file.strip_prefix("quarantine-")?.strip_suffix(".jsonl").filter(|n| cursor::is_name(n))
}

/// Calls `f` with each line of a file, its newline taken off, and its number from 1. A file that is gone has none.
fn each_line(path: &Path, mut f: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
    let cannot = |e: std::io::Error| Error::failed(format!("cannot read `{}`: {}", words::shown(path), io_words(&e)));
    let mut file = match file::read_regular(path) {
        Ok(file) => BufReader::new(file),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(cannot(e).into()),
    };
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        let got = (&mut file).take(limits::QUARANTINE_LINE_BYTES).read_until(b'\n', &mut line).map_err(cannot)?;
        if got == 0 {
            return Ok(());
        }
        number += 1;
        let end = line.len() - usize::from(line.ends_with(b"\n"));
        if end > 0 {
            f(number, &line[..end])?;
        }
    }
}

/// How many lines of a file are whole, how many are not.
pub fn count_lines(path: &Path) -> Result<(u64, u64)> {
    let (mut whole, mut bad) = (0, 0);
    each_line(path, |_, line| {
        *if held::parse(line).is_some() { &mut whole } else { &mut bad } += 1;
        Ok(())
    })?;
    Ok((whole, bad))
}

/// How many lines of a file cannot be read. The last one may be on its way while the helper works.
pub fn damaged_lines(look: &Look, file: &str) -> Result<u64> {
    let path = look.dir.join(file);
    let (mut bad, mut last_bad) = (0, false);
    each_line(&path, |_, line| {
        last_bad = held::parse(line).is_none();
        bad += u64::from(last_bad);
        Ok(())
    })?;
    Ok(bad - u64::from(last_bad && look.in_use.may_change()))
}

/// The quarantines of a sub-directory, of one receiver or of all.
fn files(look: &Look, name: Option<&String>) -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = look
        .files
        .iter()
        .filter_map(|f| receiver_of(&f.name).map(|r| (r.to_string(), look.dir.join(&f.name))))
        .filter(|(r, _)| name.is_none_or(|n| n == r))
        .collect();
    sorted::sort(&mut found);
    found
}

/// `quarantine list [NAME]`.
pub fn list(call: &mut Call<'_>) -> Result<Exit> {
    let name = call.operand().cloned();
    let (as_json, mut total, mut first) = (call.is_on("json"), 0u64, true);
    if as_json {
        write!(call.out, "{{\"version\": 1, \"quarantines\": [")?;
    }
    for look in look::everywhere(call.options)? {
        for (receiver, path) in files(&look, name.as_ref()) {
            if as_json {
                list_json(call, &look, &receiver, &path, std::mem::replace(&mut first, false))?;
            } else {
                total += list_page(call, &look, &receiver, &path)?;
            }
        }
    }
    if as_json {
        writeln!(call.out, "]}}")?;
    } else if total == 0 {
        match name {
            Some(name) => writeln!(call.out, "no event of `{name}` is in quarantine")?,
            None => writeln!(call.out, "the quarantine is empty")?,
        }
    }
    Ok(Exit::Clean)
}

/// The lines of the file are JSON objects themselves: they stand in the document as they are.
fn list_json(call: &mut Call<'_>, look: &Look, receiver: &str, path: &Path, first: bool) -> Result<()> {
    let text = |t: &str| serde_json::Value::from(t).to_string();
    let comma = if first { "" } else { "," };
    let (spool, file) = (text(&look.name), text(&path.display().to_string()));
    write!(
        call.out,
        "{comma}\n{{\"spool\": {spool}, \"receiver\": {}, \"file\": {file}, \"events\": [",
        text(receiver)
    )?;
    let (mut comma, mut bad) = ("", 0);
    each_line(path, |_, line| {
        if held::parse(line).is_none() {
            bad += 1;
            return Ok(());
        }
        writeln!(call.out, "{comma}")?;
        call.out.write_all(held::without_zeros(line))?;
        comma = ",";
        Ok(())
    })?;
    write!(call.out, "], \"unreadable_lines\": {bad}}}")?;
    Ok(())
}

fn list_page(call: &mut Call<'_>, look: &Look, receiver: &str, path: &Path) -> Result<u64> {
    let (whole, bad) = count_lines(path)?;
    if whole + bad == 0 {
        return Ok(0);
    }
    writeln!(
        call.out,
        "{} refused by {receiver} (spool {}):",
        words::count(whole, "event"),
        words::line_escaped(&look.name)
    )?;
    let mut shown = 0;
    each_line(path, |_, line| {
        let Some(h) = held::parse(line) else { return Ok(()) };
        shown += 1;
        if shown <= limits::TOOL_LIST_LINES {
            let facts = record::read(&h.raw, h.kind == Kind::Cut);
            let title = String::from_utf8_lossy(facts.title_of(&h.raw)).into_owned();
            let said = Said { status: h.status, text: h.answer.clone() };
            let answer = words::line(&said.words(), 120);
            let (id, title) = (words::line(&h.id, 200), words::line(&title, limits::TITLE_BYTES));
            writeln!(call.out, "  {}  {id}  {title}  {answer}", words::line(&h.at, 40))?;
        }
        Ok(())
    })?;
    if shown > limits::TOOL_LIST_LINES {
        writeln!(call.out, "  and {} more; all of them: --json", shown - limits::TOOL_LIST_LINES)?;
    }
    if bad > 0 {
        writeln!(call.out, "  {} in `{}` cannot be read", words::count(bad, "line"), words::shown(path))?;
    }
    Ok(whole + bad)
}

/// `quarantine retry [NAME]`.
pub fn retry(call: &mut Call<'_>) -> Result<Exit> {
    let name = call.operand().cloned();
    let root = look::root(call.options)?;
    let _alone = alone(&root)?;
    let mut queued = 0;
    let mut exit = Exit::Clean;
    for look in look::everywhere(call.options)? {
        for (receiver, path) in taken(&look, name.as_ref())? {
            let (count, bad) = retry_one(call, &look, &receiver, &path)?;
            queued += count;
            if bad > 0 {
                exit = Exit::Failed;
            }
        }
    }
    if queued == 0 && exit == Exit::Clean {
        let of = name.map_or_else(String::new, |n| format!(" of `{n}`"));
        return Err(Error::failed(format!("no event{of} is in quarantine below `{}`", words::shown(&root))).into());
    }
    Ok(exit)
}

/// Two retries at once would queue the same files twice. None where the file system knows no locks.
fn alone(root: &Path) -> Result<Option<File>> {
    let Ok(dir) = File::open(root) else { return Ok(None) };
    match file::lock(&dir) {
        Ok(true) => Ok(Some(dir)),
        Ok(false) => {
            let text =
                format!("another `quarantine retry` is at work below `{}`: wait for its end", words::shown(root));
            Err(Error::failed(text).into())
        }
        Err(_) => Ok(None),
    }
}

/// Takes the files away from the helper, under a name that an interrupted call before us may have left.
fn taken(look: &Look, name: Option<&String>) -> Result<Vec<(String, PathBuf)>> {
    let mut all = Vec::new();
    let mark = ".jsonl.retrying";
    for f in look.files.iter().filter(|f| f.name.contains(mark)) {
        let stem = f.name.split(mark).next().unwrap_or_default();
        let receiver = stem.strip_prefix("quarantine-").unwrap_or_default().to_string();
        if name.is_none_or(|n| *n == receiver) && cursor::is_name(&receiver) {
            all.push((receiver, look.dir.join(&f.name)));
        }
    }
    let mut renamed = false;
    for (receiver, path) in files(look, name) {
        let free = (0..1000)
            .map(|n| look.dir.join(format!("quarantine-{receiver}{mark}-{n}")))
            .find(|p| std::fs::symlink_metadata(p).is_err());
        let Some(away) = free else { continue };
        match std::fs::rename(&path, &away) {
            Ok(()) => all.push((receiver, away)),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(cannot_rename(&path, &e)),
        }
        renamed = true;
        crash::point("retry.taken");
    }
    if renamed && look.in_use.may_change() {
        std::thread::sleep(Duration::from_millis(limits::RETRY_SETTLE_MILLIS));
    }
    Ok(all)
}

fn cannot_rename(path: &Path, e: &std::io::Error) -> Stop {
    Error::failed(format!("cannot rename `{}`: {}", words::shown(path), io_words(e))).into()
}

/// Queues the events of one file; gives how many, and how many lines could not be read.
fn retry_one(call: &mut Call<'_>, look: &Look, receiver: &str, path: &Path) -> Result<(u64, u64)> {
    let size = |p: &Path| std::fs::metadata(p).map(|m| m.len()).unwrap_or(0);
    let before = size(path);
    let mut builder = Builder::begin(&look.dir, "retry", call.now_ms)?;
    let mut bad = 0;
    each_line(path, |number, line| match held::parse(line).map(|h| (spans(&h), h)) {
        Some((Some((id, time)), h)) => {
            let (kind, raw, (part, parts)) = (h.kind, h.raw.as_slice(), h.part);
            builder.push(
                &h.identity,
                h.sealed,
                &New { kind, raw, id, time, part, parts, stream: 0, read_ms: h.read_ms, form: None },
            )
        }
        _ => {
            bad += 1;
            say(&format!("`{}` line {number} cannot be read: passed over", words::shown(path)));
            Ok(())
        }
    })?;
    let count = builder.count();
    if count > 0 {
        let place = builder.publish(Some(receiver), None)?;
        crash::point("retry.queued");
        let events = words::count(count, "event");
        writeln!(call.out, "{events} queued for {receiver} in {}: {}", words::shown(&place), when(&place))?;
    }
    if size(path) != before {
        // Rather twice than never: document ids tell the repeat.
        let text = format!("`{}` grew meanwhile: run this again for the rest", words::shown(path));
        return Err(Error::failed(text).into());
    }
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let stem = name.split(".jsonl.retrying").next().unwrap_or(name);
    let done = (0..1000u32)
        .map(|n| if n == 0 { String::new() } else { format!("-{n}") })
        .map(|n| look.dir.join(format!("{stem}.jsonl.retried-{}{n}", words::file_time(call.now_ms))))
        .find(|p| std::fs::symlink_metadata(p).is_err());
    if let Some(done) = done {
        std::fs::rename(path, &done).map_err(|e| cannot_rename(path, &e))?;
        if bad > 0 {
            say(&format!("what could not be read is kept in `{}`", words::shown(&done)));
        }
    }
    Ok((count, bad))
}

/// Where id and time stand in the bytes, so that the document id is the one that was refused; none when that cannot be.
fn spans(h: &Held) -> Option<(Span, Span)> {
    let facts = record::read(&h.raw, h.kind == Kind::Cut);
    let none = Span::default();
    // A piece that is not the first has neither.
    let candidates = [(facts.id, facts.time), (none, facts.time), (none, none)];
    let plain = if h.part.0 > 1 { &candidates[2..] } else { &candidates[..] };
    plain.iter().find(|(id, time)| document_id(h, *id, *time) == h.id).copied()
}

fn document_id(h: &Held, id: Span, time: Span) -> String {
    let seal = h.sealed.map(|(id, seq)| Stream::of_record(id, seq, 1));
    let head = Head { first_seq: 1, created_ms: h.read_ms, identity: h.identity.clone(), seal, ..Head::default() };
    let (kind, raw, (part, parts)) = (h.kind, h.raw.as_slice(), h.part);
    let mut bytes = Vec::new();
    encode(&mut bytes, &head, 1, &New { kind, raw, id, time, part, parts, stream: 0, read_ms: h.read_ms, form: None });
    decode(&head, &bytes).map_or_else(|_| String::new(), |r| Maker::default().document_id(&r, &head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::seal::{Algorithm, StreamId};
    use std::sync::Arc;

    #[test]
    fn what_is_sealed_comes_back_under_the_id_that_was_refused() {
        let id = StreamId::new(1, [2; 9], Algorithm::Sha256);
        let events: [(&[u8], Kind); 4] = [
            (br#"{"id":"1.0.7","time":"2026-11-21T01:27:57.349+0000"}"#, Kind::Object),
            (br#"{"id":"gap-lost-1.0.5-1.0.6","title":"audit_gap"}"#, Kind::Own),
            (br#"{"count":"1","id":"leaves-1-2","title":"audit_leaves"}"#, Kind::Own),
            (b"mere bytes", Kind::Unparsed),
        ];
        for seal in [None, Some(Stream { id, first: 5 })] {
            let head = Arc::new(Head { first_seq: 7, seal, ..Head::default() });
            for (raw, kind) in events {
                let (facts, mut bytes) = (record::read(raw, false), Vec::new());
                let (id, time, part, parts) = (facts.id, facts.time, 0, 0);
                let new = New { kind, raw, id, time, part, parts, stream: 0, read_ms: 9, form: None };
                encode(&mut bytes, &head, 9, &new);
                let r = decode(&head, &bytes).unwrap();
                let id = Maker::default().document_id(&r, &head);
                let said = Said { status: None, text: "no".into() };
                let h = held::parse(&held::line(&r, &head, &id, &said, 9)).unwrap();
                assert_eq!(spans(&h), Some((r.id, r.time)), "{id}");
            }
        }
    }
}
