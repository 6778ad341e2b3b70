//! ○ An event as Loki takes it: the line is the event as `--format json` writes it, under few labels.
//!
//! Labels are what there are few values of: cluster, instance, severity. Everything else is found in the line. Refuses: labels
//! of what events say, which would make a stream of each.

use super::fields::Told;
use super::json as line;
use super::pen::Pen;
use crate::audit::delivery::event::Event;
use crate::json;

/// Writes one event: a stream of one line.
pub fn write(pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>) {
    let severity = Told::of(e).severity.name();
    out.extend_from_slice(format!("{{\"stream\":{{\"job\":\"picodata\",\"severity\":\"{severity}\"").as_bytes());
    for (label, value) in [("cluster", &e.origin.cluster), ("instance", &e.origin.instance)] {
        if !value.is_empty() {
            out.extend_from_slice(format!(",\"{label}\":\"").as_bytes());
            json::push_text(out, value.as_bytes());
            out.push(b'"');
        }
    }
    let nanos = i128::from(e.time_ms().max(0)) * 1_000_000;
    out.extend_from_slice(format!("}},\"values\":[[\"{nanos}\",\"").as_bytes());
    let mut inner = Vec::with_capacity(e.raw.len() * 2);
    line::write(pen, &mut inner, e);
    json::push_text(out, &inner);
    out.extend_from_slice(b"\"]]}");
}
