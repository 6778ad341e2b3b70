//! ○ An event as a message of syslog: RFC 5424, and the older form (RFC 3164) that a local syslogd parses.
//!
//! The message is the event as JSON, whole, or as CEF or LEEF, so nothing is lost by the head before it; the head says what
//! receivers sort by. No byte order mark: rsyslog would keep it, and then it is no JSON. Refuses: a line feed in a message;
//! JSON has none but between its tokens, where a blank says the same.

use super::fields::{plain, Told};
use super::pen::Pen;
use super::titles::syslog_level;
use crate::audit::delivery::event::Event;
use crate::{json, limits, stamp};

/// What writes the message.
pub type Body = fn(&mut Pen, &mut Vec<u8>, &Event<'_>);

/// `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID [DATA][meta sequenceId="N"] MSG`
pub fn rfc5424(pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>, body: Body) {
    let told = Told::of(e);
    push_pri(pen, out, &told);
    out.extend_from_slice(b"1 ");
    push_time(pen, out, e);
    for (text, most) in [
        (e.origin.node.as_str(), limits::SYSLOG_HOST_BYTES),
        (pen.manner().app.as_str(), limits::SYSLOG_APP_BYTES),
        (e.origin.instance.as_str(), limits::SYSLOG_PROCID_BYTES),
        (&plain(told.title), limits::SYSLOG_ID_BYTES),
    ] {
        out.push(b' ');
        push_word(out, text, most);
    }
    push_data(pen, out, e, &told);
    out.push(b' ');
    push_message(pen, out, e, body);
}

/// `<PRI>Mmm dd hh:mm:ss TAG: MSG`: what stands on `/dev/log`. The host is known there.
pub fn rfc3164(pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>, body: Body) {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    push_pri(pen, out, &Told::of(e));
    // As the database wrote it, in its own zone: this form has none.
    let time = stamp::rfc3339(e.time_ms());
    let time = e.written.map_or(&time[..], |(written, _)| written);
    let digit = |i: usize| usize::from(time[i].saturating_sub(b'0'));
    let month = (digit(5) * 10 + digit(6)).clamp(1, 12) - 1;
    let day = digit(8) * 10 + digit(9);
    out.extend_from_slice(format!("{} {day:2} ", MONTHS[month]).as_bytes());
    out.extend_from_slice(&time[11..19]);
    out.push(b' ');
    push_word(out, &pen.manner().app, limits::SYSLOG_TAG_BYTES);
    out.extend_from_slice(b": ");
    push_message(pen, out, e, body);
}

fn push_pri(pen: &Pen, out: &mut Vec<u8>, told: &Told<'_>) {
    let pri = u32::from(pen.manner().facility) * 8 + u32::from(syslog_level(told.severity));
    out.push(b'<');
    json::push_number(out, pri.into());
    out.push(b'>');
}

/// RFC 5424 takes six digits of a fraction, and no leap second.
fn push_time(pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>) {
    match e.written {
        Some((time, written)) if &time[17..19] != b"60" => {
            let from = out.len();
            stamp::push_rfc3339(out, time, written);
            let digits = written.offset_at.saturating_sub(20);
            if digits > 6 {
                out.drain(from + 26..from + 20 + digits);
            }
        }
        _ => out.extend_from_slice(pen.stamp(e.time_ms())),
    }
}

/// A word of the head: visible ASCII, or `-` where there is nothing to say.
fn push_word(out: &mut Vec<u8>, text: &str, most: usize) {
    let visible = |b: u8| if b.is_ascii_graphic() { b } else { b'_' };
    match text {
        "" => out.push(b'-'),
        text => out.extend(text.bytes().take(most).map(visible)),
    }
}

fn push_data(pen: &Pen, out: &mut Vec<u8>, e: &Event<'_>, told: &Told<'_>) {
    out.extend_from_slice(b" [");
    out.extend_from_slice(pen.manner().element.as_bytes());
    for (name, value) in [
        ("id", plain(told.text("id").unwrap_or_default()).as_ref()),
        ("title", &plain(told.title)),
        ("severity", told.severity.name()),
        ("initiator", &plain(told.text("initiator").unwrap_or_default())),
        ("cluster", &e.origin.cluster),
        ("instance", &e.origin.instance),
    ] {
        if !value.is_empty() {
            push_pair(out, "", name, value);
        }
    }
    for (name, said) in e.framed() {
        push_pair(out, "gostech.", name, &said);
    }
    // From 1 to 2147483647, and then from 1 again.
    let number = (e.seq.max(1) - 1) % 0x7fff_ffff + 1;
    out.extend_from_slice(b"][meta sequenceId=\"");
    json::push_number(out, number);
    out.extend_from_slice(b"\"]");
}

fn push_pair(out: &mut Vec<u8>, prefix: &str, name: &str, value: &str) {
    json::push_parts(out, &[b" ", prefix.as_bytes(), name.as_bytes(), b"=\""]);
    push_value(out, value);
    out.push(b'"');
}

/// A value of structured data. All of it stands in the message: here it is for sorting, and is bounded.
fn push_value(out: &mut Vec<u8>, text: &str) {
    // Nearly all of them are, and that is asked quickly.
    let plain = |b: u8| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\' | b']');
    if text.len() <= limits::SYSLOG_VALUE_CHARS && text.bytes().all(plain) {
        return out.extend_from_slice(text.as_bytes());
    }
    let mut utf8 = [0; 4];
    for c in text.chars().take(limits::SYSLOG_VALUE_CHARS) {
        match c {
            '"' | '\\' | ']' => out.extend_from_slice(&[b'\\', c as u8]),
            c if c.is_control() => out.push(b' '),
            c => out.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes()),
        }
    }
}

fn push_message(pen: &mut Pen, out: &mut Vec<u8>, e: &Event<'_>, body: Body) {
    let mut from = out.len();
    body(pen, out, e);
    while let Some(n) = memchr::memchr(b'\n', &out[from..]) {
        out[from + n] = b' ';
        from += n + 1;
    }
}

#[cfg(test)]
mod tests;
