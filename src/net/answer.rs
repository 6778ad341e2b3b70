//! ○ What a receiver answered: the status, when to come again, and the beginning of its words for people.

use crate::limits;
use crate::stamp;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, as a wait from now on.
    pub retry_after: Option<Duration>,
    /// The beginning of the body: printable, one line.
    pub excerpt: String,
    /// The body itself, as far as the client keeps it; a secret of ours may be said back in it.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether the request was taken.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// `Retry-After`: seconds, or a date in any of the three forms of HTTP. A date gone by is no wait at all.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a u64 holds is a wait as long as there is.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(http_date(value)?))?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994` → Unix seconds.
fn http_date(text: &str) -> Option<u64> {
    let words: Vec<&str> = text.split([' ', ',']).filter(|w| !w.is_empty()).collect();
    let (day, month, year, time) = match words.as_slice() {
        [_, date, time, "GMT"] => {
            let mut parts = date.splitn(3, '-');
            (parts.next()?, parts.next()?, parts.next()?, *time)
        }
        [_, day, month, year, time, "GMT"] => (*day, *month, *year, *time),
        [_, month, day, time, year] => (*day, *month, *year, *time),
        _ => return None,
    };
    let month = stamp::MONTHS.iter().position(|m| *m == month)? as u64 + 1;
    let (day, mut year) = (number(day)?, number(year)?);
    if year < 100 {
        year += if year < 70 { 2000 } else { 1900 };
    }
    let clock: Vec<u64> = time.split(':').map(number).collect::<Option<_>>()?;
    let [hour, minute, second] = clock[..] else { return None };
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = u64::try_from(stamp::days_of(year as i64, month as u32, day as u32)).ok()?;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

fn number(text: &str) -> Option<u64> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// The beginning of a body as one printable line.
pub fn excerpt(body: &[u8]) -> String {
    let cut = &body[..body.len().min(limits::HTTP_EXCERPT_BYTES)];
    let mut out = String::new();
    for c in String::from_utf8_lossy(cut).chars() {
        if c.is_whitespace() || c.is_control() {
            if !out.is_empty() && !out.ends_with(' ') {
                out.push(' ');
            }
        } else if is_invisible(c) {
            out.push('\u{fffd}');
        } else {
            out.push(c);
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// What turns text around or hides it in a terminal: bidirectional marks, zero-width characters, the BOM.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_dates_of_http() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(http_date(text), Some(784_111_777), "{text}");
        }
        assert_eq!(http_date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        assert_eq!(http_date("Fri, 01 Mar 2024 00:00:00 GMT"), Some(1_709_251_200));
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        for bad in ["", "tomorrow", "Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Now 1994 08:49:37 GMT", "-1", "1e3"] {
            assert_eq!(http_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn seconds_and_dates_become_waits() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_767);
        assert_eq!(retry_after(" 120 ", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("0", now), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999999999999999999", now), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(retry_after("Sun, 06 Nov 1993 08:49:37 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("", now), None);
    }

    #[test]
    fn an_excerpt_is_one_printable_line() {
        assert_eq!(excerpt(b"  <html>\r\n\t<b>no</b>\n\n"), "<html> <b>no</b>");
        assert_eq!(excerpt("a\u{1b}[31mb\u{202e}c".as_bytes()), "a [31mb\u{fffd}c");
        assert_eq!(excerpt(&[0xff, 0xfe]), "\u{fffd}\u{fffd}");
        assert_eq!(excerpt(&[b'x'; 5000]).len(), limits::HTTP_EXCERPT_BYTES);
    }
}
