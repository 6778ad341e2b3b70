//! What a receiver says: an answer of HTTP, which is the same in one piece and byte by byte, `Retry-After` in any bytes, an excerpt that is one harmless line, times as the database writes them.
//!
//! Refuses: to judge an answer (the sender's tests do).

use super::is_one_line;
use gostech::limits::HTTP_EXCERPT_BYTES;
use gostech::net::answer::{excerpt, retry_after};
use gostech::net::reply::{self, Head};
use gostech::stamp;
use std::time::{Duration, UNIX_EPOCH};

/// Seeds: the three dates of HTTP, numbers, bodies.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "120",
        "99999999999999999999999",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Thu, 29 Feb 2024 23:59:60 GMT",
        "<html>\r\n\t<b>no</b>\u{1b}[31m\u{202e}",
        "2026-11-21T01:27:57.349+0300",
        "9999-12-31 23:59:60.999999999-23:59",
        "0000-02-29T00:00:00Z",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok and more",
        "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n!",
        "HTTP/1.0 503\n\nuntil the end",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ];
    texts.iter().map(|t| t.as_bytes().to_vec()).collect()
}

/// The body behind a head in pieces of this size: what it is, how much was not taken, whether it is whole.
fn body(mut head: Head, mut rest: &[u8], piece: usize) -> Result<(Vec<u8>, usize, bool), &'static str> {
    let mut body = Vec::new();
    while !rest.is_empty() && !head.body.is_whole() {
        let (taken, own) = head.body.take(&rest[..piece.min(rest.len())])?;
        assert!(taken > 0 && own.len() <= taken);
        body.extend_from_slice(own);
        rest = &rest[taken..];
    }
    Ok((body, rest.len(), head.body.is_whole()))
}

fn an_answer_is_the_same_in_any_pieces(input: &[u8]) {
    let Ok(Some((head, length))) = reply::head(input) else { return };
    assert!((100..=999).contains(&head.status) && length <= input.len());
    // Nothing less is a head, and what stands behind it does not change it.
    assert!(matches!(reply::head(&input[..length - 1]), Ok(None)));
    let again = || reply::head(&input[..length]).expect("a head").expect("a whole one").0;
    assert_eq!(again(), head);
    assert_eq!(body(head, &input[length..], usize::MAX), body(again(), &input[length..], 1));
}

/// The target.
pub fn check(input: &[u8]) {
    an_answer_is_the_same_in_any_pieces(input);
    let text = String::from_utf8_lossy(input);
    let now = UNIX_EPOCH + Duration::from_secs(784_111_767);
    if let Some(wait) = retry_after(&text, now) {
        assert!(wait == Duration::ZERO || text.bytes().any(|b| b.is_ascii_digit()));
    }
    let shown = excerpt(input);
    assert!(is_one_line(&shown) && shown.len() <= 3 * HTTP_EXCERPT_BYTES, "{shown:?}");
    assert!(!shown.starts_with(' ') && !shown.ends_with(' ') && !shown.contains("  "), "{shown:?}");
    if let Some(written) = stamp::parse_written(input) {
        assert!(written.offset_at < input.len());
        let mut out = Vec::new();
        stamp::push_rfc3339(&mut out, input, written);
        let again = stamp::parse_written(&out).unwrap_or_else(|| panic!("{:?}", String::from_utf8_lossy(&out)));
        assert_eq!(again.millis, written.millis, "{:?}", String::from_utf8_lossy(&out));
        let text = stamp::rfc3339(written.millis);
        let year = &text[..4];
        if (b"0001"..=b"9998").contains(&<&[u8; 4]>::try_from(year).expect("four digits")) {
            assert_eq!(stamp::parse_written(&text).map(|w| w.millis), Some(written.millis));
        }
    }
}
