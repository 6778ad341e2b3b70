//! ○ From when to when a certificate is valid (RFC 5280, 4.1.2.5).
//!
//! Refuses: times that are not allowed there (without seconds, with an offset).

use crate::net::der::{element, Fields};
use crate::stamp;

/// Seconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub from: i64,
    /// The last second.
    pub to: i64,
}

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The validity of a certificate; none where these bytes are none, or its times are not as they must be.
pub fn of(certificate: &[u8]) -> Option<Validity> {
    let mut validity = Fields::of(certificate)?.validity;
    let found = Validity { from: time(&mut validity)?, to: time(&mut validity)? };
    validity.is_empty().then_some(found)
}

/// `YYMMDDHHMMSSZ` (50 and above is the last century) or `YYYYMMDDHHMMSSZ`.
fn time(rest: &mut &[u8]) -> Option<i64> {
    let (kind, text) = element(rest)?;
    let (year, text) = match (kind, text.len()) {
        (UTC_TIME, 13) => {
            let year = number(&text[..2])?;
            (if year < 50 { 2000 + year } else { 1900 + year }, &text[2..])
        }
        (GENERALIZED_TIME, 15) => (number(&text[..4])?, &text[4..]),
        _ => return None,
    };
    let part = |at: usize| number(text.get(at..at + 2)?);
    let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
    let right = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !right || text.get(10) != Some(&b'Z') {
        return None;
    }
    let day = stamp::days_of(i64::from(year), month, day);
    Some(day * 86_400 + i64::from(hour * 3600 + minute * 60 + second))
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::mangled;

    fn certificate(from: (i32, u8, u8), to: (i32, u8, u8)) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn both_kinds_of_time_are_read() {
        // Before 2050 a certificate has UTCTime, from then on GeneralizedTime.
        let found = of(&certificate((1999, 12, 31), (2026, 11, 21)));
        assert_eq!(found, Some(Validity { from: 946_598_400, to: 1_795_219_200 }));
        let found = of(&certificate((2049, 12, 31), (2124, 2, 29)));
        assert_eq!(found, Some(Validity { from: 2_524_521_600, to: 4_864_838_400 }));
    }

    #[test]
    fn whatever_is_no_certificate_has_no_validity_and_does_no_harm() {
        let whole = certificate((2026, 1, 1), (2027, 1, 1));
        assert!(of(&whole).is_some());
        mangled(&whole, |bytes| assert!(of(bytes).is_none() || bytes.len() == whole.len(), "{} bytes", bytes.len()));
        for nothing in
            [&b""[..], b"0", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80\0\0", b"\x30\x85\0\0\0\0\0", b"-----BEGIN"]
        {
            assert_eq!(of(nothing), None);
        }
    }

    #[test]
    fn a_time_that_the_standard_forbids_is_none() {
        let read = |kind: u8, text: &str| {
            let mut bytes = vec![kind, text.len() as u8];
            bytes.extend(text.as_bytes());
            time(&mut &bytes[..])
        };
        assert_eq!(read(UTC_TIME, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(read(UTC_TIME, "500101000000Z"), Some(-631_152_000));
        assert_eq!(read(GENERALIZED_TIME, "99991231235959Z"), Some(253_402_300_799));
        for wrong in
            ["4912312359Z", "491331235959Z", "491231245959Z", "49123123595 Z", "491231235959+", "4912312359590"]
        {
            assert_eq!(read(UTC_TIME, wrong), None, "{wrong}");
        }
        assert_eq!(read(GENERALIZED_TIME, "491231235959Z"), None);
        assert_eq!(read(0x04, "491231235959Z"), None);
    }
}
