//! ○ Points in time as text: RFC 3339 and HTTP dates out, what the database writes in. Pure: `now` is an argument.
//!
//! Refuses: time zones by name, leap second tables, years outside 0–9999.

/// Days from 1970-01-01 to a civil date (Gregorian, also before 1970).
pub fn days_of(year: i64, month: u32, day: u32) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let shifted = i64::from((month + 9) % 12);
    let of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The civil date of a day since 1970-01-01.
pub fn civil_of(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = ((shifted + 2) % 12 + 1) as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// As HTTP and mail name the months.
pub const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sun, 06 Nov 1994 08:49:37 GMT` of Unix seconds.
pub fn http_date(seconds: i64) -> String {
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_of(days);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][days.rem_euclid(7) as usize];
    let month = MONTHS[month as usize - 1];
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

fn put2(out: &mut [u8], n: u32) {
    out[0] = b'0' + (n / 10 % 10) as u8;
    out[1] = b'0' + (n % 10) as u8;
}

/// How long `rfc3339` is.
pub const RFC3339_BYTES: usize = 29;

/// Milliseconds since the epoch as `2026-11-21T01:27:57.349+00:00`; years are held within 0–9999.
pub fn rfc3339(millis: i64) -> [u8; RFC3339_BYTES] {
    let mut out = *b"0000-00-00T00:00:00.000+00:00";
    let millis = millis.clamp(-62_167_219_200_000, 253_402_300_799_999);
    let (days, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000) as u32);
    let (year, month, day) = civil_of(days);
    put2(&mut out[0..], year as u32 / 100);
    put2(&mut out[2..], year as u32 % 100);
    put2(&mut out[5..], month);
    put2(&mut out[8..], day);
    put2(&mut out[11..], of_day / 3_600_000);
    put2(&mut out[14..], of_day / 60_000 % 60);
    put2(&mut out[17..], of_day / 1000 % 60);
    out[20] = b'0' + (of_day % 1000 / 100) as u8;
    put2(&mut out[21..], of_day % 100);
    out
}

/// The same as text.
pub fn rfc3339_text(millis: i64) -> String {
    String::from_utf8_lossy(&rfc3339(millis)).into_owned()
}

#[inline(always)]
fn digits(s: &[u8]) -> Option<u32> {
    s.iter().try_fold(0u32, |n, &b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

fn month_days(year: u32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A time as it was written: its parts lie in the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Milliseconds since the epoch.
    pub millis: i64,
    /// Where the offset begins in the text (the sign, or `Z`).
    pub offset_at: usize,
}

/// Reads `2026-11-21T01:27:57.349+0300`, with or without fraction and colon, or `Z`. Nothing else, and no impossible date.
pub fn parse_written(s: &[u8]) -> Option<Written> {
    // `T` or a blank between date and time, as RFC 3339 allows; at most nine digits of fraction.
    if s.len() < 20 || s.len() > 35 || s[4] != b'-' || s[7] != b'-' || s[13] != b':' || s[16] != b':' {
        return None;
    }
    if !matches!(s[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (digits(&s[0..4])?, digits(&s[5..7])?, digits(&s[8..10])?);
    let (hour, minute, second) = (digits(&s[11..13])?, digits(&s[14..16])?, digits(&s[17..19])?);
    if !(1..=12).contains(&month) || day < 1 || day > month_days(year, month) || hour > 23 || minute > 59 || second > 60
    {
        return None;
    }
    let (fraction, at) = fraction_of(s)?;
    let offset = offset_minutes(&s[at..])?;
    let days = days_of(i64::from(year), month, day);
    let seconds = days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second) - offset * 60;
    Some(Written { millis: seconds * 1000 + i64::from(fraction), offset_at: at })
}

/// Reads times as `parse_written` does, and knows the last one: of the same second only the milliseconds are read anew.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// As the database writes it.
    last: [u8; CLOCK_BYTES],
    /// When its second began, milliseconds since the epoch.
    second: i64,
}

/// How long it is as the database writes it: nothing else is known again.
const CLOCK_BYTES: usize = 28;

impl Default for Clock {
    fn default() -> Clock {
        Clock { last: *b"1970-01-01T00:00:00.000+0000", second: 0 }
    }
}

impl Clock {
    /// What a text means as a time, if it is one.
    #[inline(always)]
    pub fn read(&mut self, s: &[u8]) -> Option<Written> {
        let same = s.first_chunk().filter(|t: &&[u8; CLOCK_BYTES]| {
            s.len() == CLOCK_BYTES && t[..20] == self.last[..20] && t[23..] == self.last[23..]
        });
        match same.and_then(|t| digits(&t[20..23])) {
            Some(millis) => Some(Written { millis: self.second + i64::from(millis), offset_at: 23 }),
            None => self.read_anew(s),
        }
    }

    #[inline(never)]
    fn read_anew(&mut self, s: &[u8]) -> Option<Written> {
        let written = parse_written(s)?;
        let mut three = s.first_chunk().filter(|_| s.len() == CLOCK_BYTES && s[19] == b'.' && written.offset_at == 23);
        if let (Some(last), Some(millis)) = (three.take(), s.get(20..23).and_then(digits)) {
            (self.last, self.second) = (*last, written.millis - i64::from(millis));
        }
        Some(written)
    }
}

/// The milliseconds after the seconds, and where the offset begins.
fn fraction_of(s: &[u8]) -> Option<(u32, usize)> {
    if s[19] != b'.' && s[19] != b',' {
        return Some((0, 19));
    }
    let count = s[20..].iter().take_while(|b| b.is_ascii_digit()).count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let kept = count.min(3);
    Some((digits(&s[20..20 + kept])? * 10u32.pow(3 - kept as u32), 20 + count))
}

fn offset_minutes(s: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match s {
        [b'Z' | b'z'] => return Some(0),
        [sign, h1, h2, m1, m2] => (sign, digits(&[*h1, *h2])?, digits(&[*m1, *m2])?),
        [sign, h1, h2, b':', m1, m2] => (sign, digits(&[*h1, *h2])?, digits(&[*m1, *m2])?),
        [sign, h1, h2] => (sign, digits(&[*h1, *h2])?, 0),
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset = i64::from(hours * 60 + minutes);
    match sign {
        b'+' => Some(offset),
        b'-' => Some(-offset),
        _ => None,
    }
}

/// Writes a time that `parse_written` took as RFC 3339: `T` between date and time, a colon in the offset.
pub fn push_rfc3339(out: &mut Vec<u8>, s: &[u8], written: Written) {
    let from = out.len();
    out.extend_from_slice(&s[..written.offset_at]);
    out[from + 10] = b'T';
    if s[19] == b',' {
        out[from + 19] = b'.';
    }
    match &s[written.offset_at..] {
        [b'Z' | b'z'] => out.extend_from_slice(b"+00:00"),
        [sign, h1, h2] => out.extend_from_slice(&[*sign, *h1, *h2, b':', b'0', b'0']),
        [sign, h1, h2, m1, m2] => out.extend_from_slice(&[*sign, *h1, *h2, b':', *m1, *m2]),
        other => out.extend_from_slice(other),
    }
}

/// A duration for people: `0.3 s`, `42 s`, `5 min`, `3 h 20 min`, `2 d 4 h`.
pub fn for_people(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..=9 => format!("{:.1} s", seconds.max(0.0)),
        10..=119 => format!("{whole} s"),
        120..=7199 => format!("{} min", whole / 60),
        7200..=172_799 => format!("{} h {} min", whole / 3600, whole / 60 % 60),
        _ => format!("{} d {} h", whole / 86_400, whole / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse() {
        for day in (-800_000..3_000_000).step_by(97) {
            let (y, m, d) = civil_of(day);
            assert_eq!(days_of(y, m, d), day);
        }
        assert_eq!(civil_of(0), (1970, 1, 1));
        assert_eq!(days_of(2000, 3, 1), 11_017);
    }

    #[test]
    fn writes_rfc3339() {
        assert_eq!(rfc3339_text(0), "1970-01-01T00:00:00.000+00:00");
        assert_eq!(rfc3339_text(1_795_224_477_349), "2026-11-21T01:27:57.349+00:00");
        assert_eq!(rfc3339_text(-1), "1969-12-31T23:59:59.999+00:00");
        assert_eq!(rfc3339_text(i64::MAX).len(), RFC3339_BYTES);
        assert_eq!(rfc3339_text(i64::MIN).len(), RFC3339_BYTES);
    }

    fn again(s: &str) -> Option<(String, i64)> {
        let w = parse_written(s.as_bytes())?;
        let mut out = Vec::new();
        push_rfc3339(&mut out, s.as_bytes(), w);
        Some((String::from_utf8(out).unwrap(), w.millis))
    }

    #[test]
    fn reads_what_the_database_writes() {
        let at = 1_795_224_477_349;
        let expect = |s: &str| Some((s.to_string(), at));
        assert_eq!(again("2026-11-21T01:27:57.349+0000"), expect("2026-11-21T01:27:57.349+00:00"));
        assert_eq!(again("2026-11-21T04:27:57.349+0300"), expect("2026-11-21T04:27:57.349+03:00"));
        assert_eq!(again("2026-11-20 19:57:57,349123-05:30"), expect("2026-11-20T19:57:57.349123-05:30"));
        assert_eq!(again("2026-11-21T01:27:57.349Z"), expect("2026-11-21T01:27:57.349+00:00"));
        assert_eq!(again("2026-11-21T03:27:57.349+02"), expect("2026-11-21T03:27:57.349+02:00"));
        for bad in ["", "now", "2026-13-01T00:00:00.000+0000", "2026-02-29T00:00:00Z", "2026-11-21T24:00:00Z"] {
            assert_eq!(again(bad), None, "{bad}");
        }
        for bad in [
            "2026-11-21T01:27:57.349",
            "2026-11-21T01:27:57.+0000",
            "2026-11-21T01:27:57.349+03000",
            "99999999999999999999",
        ] {
            assert_eq!(again(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_clock_says_what_the_reader_says_whatever_it_saw_before() {
        let all = [
            "2026-11-21T01:27:57.349+0000",
            "2026-11-21T01:27:57.350+0000",
            "2026-11-21T01:27:57.350+0300",
            "2026-11-21T01:27:57.35x+0300",
            "2026-11-21T01:27:58.350+0300",
            "2026-11-21T01:27:58,350+0300",
            "2026-11-21T01:27:57.350+00:00",
            "2026-11-21T01:27:57.3500+000",
            "2026-11-21T01:27:57.35000000Z",
            "1970-01-01T00:00:00.999+0000",
            "1970-01-01T00:00:00.999+000",
            "2026-11-21 01:27:57Z",
            "",
        ];
        for first in all {
            for second in all {
                let mut clock = Clock::default();
                for text in [first, second, first] {
                    assert_eq!(clock.read(text.as_bytes()), parse_written(text.as_bytes()), "{first} {second}");
                }
            }
        }
    }

    #[test]
    fn speaks_of_durations() {
        let said: Vec<String> = [0.25, 42.0, 300.0, 12_000.0, 180_000.0].map(for_people).to_vec();
        assert_eq!(said, ["0.2 s", "42 s", "5 min", "3 h 20 min", "2 d 2 h"]);
    }
}
