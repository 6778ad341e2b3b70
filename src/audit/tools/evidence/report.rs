//! ○ The verdict in words and in JSON. Refuses: to let foreign text move anything on a terminal.

use super::claim::{Line, Spot};
use super::findings::{Finding, Grade, Kind};
use super::trial::{StreamRow, Verdict};
use crate::limits;
use crate::stamp;
use crate::words;
use serde_json::{json, Value};
use std::fmt::Write;

/// What is wrong with an export that has none, and the cure.
const NO_EVENTS: &str =
    "there is no event that was delivered with a seal: an export has one event, or one hit, in each line; \
                         of others `jq -c .`, `jq -c '.[]'` or `jq -c '.hits.hits[]'` makes such lines";

/// The verdict as one word.
pub fn word(verdict: &Verdict) -> &'static str {
    match verdict.findings.grade() {
        Grade::Fine => "clean",
        Grade::Unclear => "cannot tell",
        Grade::Tampered => "tampered",
    }
}

/// For people. `files`: the names of the exports, in their order.
pub fn page(verdict: &Verdict, files: &[String], now_ms: i64) -> String {
    let mut out = String::new();
    let f = &verdict.findings;
    let mut line = |text: String| {
        let _ = writeln!(out, "{}", words::line(&words::line_escaped(&text), 600));
    };
    let (authentic, events) = (words::count(verdict.tally.authentic, "event"), words::count(verdict.events, "line"));
    line(format!(
        "{}: {authentic} authentic, of {events} with events in {}",
        word(verdict),
        words::count(verdict.lines, "line")
    ));
    for (grade, title) in [(Grade::Tampered, "tampered"), (Grade::Unclear, "cannot tell")] {
        for finding in f.all.iter().filter(|f| f.kind.grade() == grade) {
            line(format!("  {title}: {}", words_of(finding, files)));
        }
        if f.unlisted(grade) > 0 {
            line(format!("  {title}: and {} more", f.unlisted(grade)));
        }
    }
    // Of these one by one there may be thousands; `--json` has them.
    for kind in Kind::ALL.into_iter().filter(|k| k.grade() == Grade::Fine && f.count(*k) > 0) {
        match f.all.iter().find(|f| f.kind == kind).filter(|one| one.count == f.count(kind)) {
            Some(one) => line(format!("  explained: {}", words_of(one, files))),
            None => line(format!("  explained: {} {}: {}", f.count(kind), kind.name(), kind.words())),
        }
    }
    if verdict.events == 0 && verdict.lines > 0 {
        line(format!("  note: {NO_EVENTS}"));
    }
    for s in verdict.streams.iter().take(limits::TOOL_LIST_LINES) {
        line(format!("  stream {}", stream_words(s)));
    }
    if verdict.streams.len() > limits::TOOL_LIST_LINES {
        line(format!("  and {} more streams", verdict.streams.len() - limits::TOOL_LIST_LINES));
    }
    if verdict.ecs > 0 {
        let events = words::count(verdict.ecs, "event");
        line(format!("  note: of {events} in the common schema only `event.original` was looked at"));
    }
    for (name, number) in &verdict.others {
        let bear = if *number == 1 { "bears" } else { "bear" };
        let checkpoints = words::count(*number, "checkpoint");
        line(format!(
            "  note: {checkpoints} {bear} a signature of `{name}` too, which is not checked here: check it with the tool and \
             the key of that signer, as docs/evidence.md shows"
        ));
    }
    if let Some((number, time_ms, _)) = verdict.newest {
        let ago = words::ago(now_ms, time_ms);
        line(format!("  last checkpoint: number {number}, {} ({ago}); what came later may be cut off", when(time_ms)));
    }
    out
}

fn when(ms: i64) -> String {
    stamp::rfc3339_text(ms)
}

fn stream_words(s: &StreamRow) -> String {
    let signed = match s.last {
        Some((number, time_ms)) => {
            let checkpoints = words::count(s.checkpoints, "checkpoint");
            format!(
                "{} signed by {checkpoints}, the last is {number} of {}",
                words::count(s.size, "place"),
                when(time_ms)
            )
        }
        None => "nothing signed".into(),
    };
    let closed = if s.closed { ", closed" } else { "" };
    let events = words::count(s.tally.authentic, "event");
    let evidence = match s.tally.evidence {
        1 => "1 list or checkpoint".into(),
        n => format!("{n} lists and checkpoints"),
    };
    format!("{}: {events} authentic, {}, {evidence}; {signed}{closed}", s.id, words::count(s.tally.repeats, "repeat"))
}

fn words_of(f: &Finding, files: &[String]) -> String {
    let mut out = f.kind.name().to_string();
    if let Some(id) = f.stream {
        let _ = write!(out, ", stream {id}");
    }
    match f.places {
        (0, 0) => {}
        (a, b) if a == b => drop(write!(out, ", place {a}")),
        (a, b) => drop(write!(out, ", places {a} to {b}")),
    }
    let missing = is_missing(f.kind);
    // What is missing has one neighbour, however much it is.
    let spots = [f.first, f.last.filter(|_| !missing)];
    let spots: Vec<String> = spots.iter().flatten().map(|s| spot_words(s, files)).filter(|s| !s.is_empty()).collect();
    if !spots.is_empty() {
        let _ = write!(out, " ({}{})", if missing { "behind " } else { "" }, spots.join(" to "));
    }
    let _ = write!(out, ": {}", f.kind.words());
    if !f.text.is_empty() {
        let _ = write!(out, ": {}", f.text);
    }
    out
}

/// Whether a spot is that of a neighbour.
fn is_missing(kind: Kind) -> bool {
    use Kind::{Excused, Filtered, FilteredUnsigned, Lost, Missing, Pruned, Removed, Tail};
    matches!(kind, Excused | Filtered | FilteredUnsigned | Lost | Missing | Pruned | Removed | Tail)
}

fn spot_words(spot: &Spot, files: &[String]) -> String {
    let mut parts = Vec::new();
    parts.extend(spot.id.map(|id| format!("id {id}")));
    parts.extend(spot.time_ms.map(when));
    parts.extend(line_words(&spot.line, files));
    parts.join(", ")
}

fn line_words(line: &Line, files: &[String]) -> Option<String> {
    let name = files.get(usize::from(line.file)).filter(|_| line.number > 0)?;
    Some(format!("line {} of `{name}`", line.number))
}

/// For programs.
pub fn as_json(verdict: &Verdict, files: &[String]) -> Value {
    let f = &verdict.findings;
    let counts: serde_json::Map<String, Value> =
        Kind::ALL.iter().map(|k| (k.name().to_string(), f.count(*k).into())).collect();
    let grade = |g: Grade| ["explained", "cannot tell", "tampered"][g as usize];
    let findings = f.all.iter().map(|f| {
        let spot = |s: Option<Spot>| {
            s.map(|s| {
                json!({
                    "id": s.id.map(|id| id.to_string()),
                    "time": s.time_ms.map(when),
                    "file": files.get(usize::from(s.line.file)).filter(|_| s.line.number > 0),
                    "line": Some(s.line.number).filter(|n| *n > 0),
                })
            })
        };
        json!({
            "verdict": f.kind.name(), "grade": grade(f.kind.grade()), "stream": f.stream.map(|id| id.to_string()),
            "from": Some(f.places.0).filter(|n| *n > 0), "to": Some(f.places.1).filter(|n| *n > 0), "count": f.count,
            "first": spot(f.first), "last": spot(f.last), "spots_are_neighbours": is_missing(f.kind), "text": f.text,
        })
    });
    let streams = verdict.streams.iter().map(|s| {
        json!({
            "stream": s.id.to_string(), "signed": s.size, "checkpoints": s.checkpoints, "closed": s.closed,
            "last_checkpoint": s.last.map(|(number, ms)| json!({"number": number, "time": when(ms)})),
            "authentic": s.tally.authentic, "repeats": s.tally.repeats, "evidence": s.tally.evidence,
        })
    });
    json!({
        "version": 1, "verdict": word(verdict), "lines": verdict.lines, "events": verdict.events,
        "authentic": verdict.tally.authentic, "repeats": verdict.tally.repeats, "evidence": verdict.tally.evidence,
        "only_original_looked_at": verdict.ecs, "counts": counts, "findings": findings.collect::<Vec<_>>(),
        "unlisted": f.unlisted(Grade::Tampered) + f.unlisted(Grade::Unclear) + f.unlisted(Grade::Fine),
        "streams": streams.collect::<Vec<_>>(),
        "other_signatures": verdict.others,
        "last_checkpoint": verdict.newest.map(|(number, ms, id)| {
            json!({"number": number, "time": when(ms), "stream": id.to_string()})
        }),
    })
}
