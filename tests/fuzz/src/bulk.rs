//! What Elasticsearch says to `_bulk`: of any bytes, no event counts as taken that the answer does not say was.
//!
//! Refuses: to know the sender.

use super::{is_one_line, Dice};
use gostech::audit::delivery::parcel::{Blame, Parcel, Verdict, Why};
use gostech::audit::delivery::transport::bulk::judged;
use std::time::SystemTime;

/// Seeds: answers as they are, cut, of others.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"errors":false,"items":[{"create":{"status":201}}]}"#,
        r#"{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":400,"error":{"type":"a","reason":"b"}}}]}"#,
        r#"{"errors":true,"items":[{"create":{"status":429}},{"create":{"status":409}},{"create":{"status":503}}]}"#,
        r#"{"items":[{"create":{"status":65737}}]}"#,
        "{\"items\":[{}",
    ];
    texts.iter().enumerate().map(|(n, t)| [&[(n % 4) as u8], t.as_bytes()].concat()).collect()
}

/// The target.
pub fn check(input: &[u8]) {
    let mut dice = Dice(input);
    let n = usize::from(dice.byte() % 8) + 1;
    let (events, ids) = (vec![0..2; n], vec![0..1; n]);
    let (bytes, key, wall) = (&b"{}"[..], "", SystemTime::UNIX_EPOCH);
    let parcel = Parcel { bytes, events: &events, ids: (b"i", &ids), content_type: "", key, node: None, wall };
    let d = judged(&parcel, dice.0, 200);
    let text = String::from_utf8_lossy(dice.0);
    let taken = d.taken + d.also.iter().filter(|(_, v)| *v == Verdict::Taken).count();
    assert!(taken <= n && d.also.iter().all(|(i, _)| *i > d.taken && *i < n), "{d:?}");
    assert!(taken <= text.matches('2').count() + text.matches("409").count(), "{d:?}");
    assert_eq!(d.stop.is_none(), d.taken == n, "{d:?}");
    let blamed = d.also.iter().any(|(_, v)| matches!(v, Verdict::Refused(_)));
    assert!(!blamed || taken > 0, "who takes nothing condemns nothing: {d:?}");
    if let Some(stop) = d.stop {
        assert!(stop.why != Why::Content(Blame::Certain) || taken > 0, "{stop:?}");
        assert!(is_one_line(&stop.said.words()), "{stop:?}");
    }
}
