//! ○ Values of the evidence as text, and back: base64, names, numbers, ranges.
//!
//! Refuses: a second text for the same value.

use super::stream::Hash;
use crate::json;
use crate::net::target::decoded;

/// Base64 without padding.
pub fn to_base64(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    json::push_base64(&mut out, bytes);
    let text = String::from_utf8(out).unwrap_or_default();
    text.trim_end_matches('=').to_string()
}

/// Reads base64 without padding; nothing where it is not exactly that.
pub fn of_base64(text: &str) -> Option<Vec<u8>> {
    match text.len() % 4 {
        _ if text.ends_with('=') => None,
        0 => json::from_base64(text),
        n => json::from_base64(&format!("{text}{}", &"=="[n.saturating_sub(2)..])),
    }
}

/// These bytes as hashes; none where they are no whole ones.
pub fn hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let whole = bytes.chunks_exact(32);
    whole.remainder().is_empty().then(|| whole.filter_map(|hash| hash.try_into().ok()).collect())
}

/// A name or a text as one word of a line: what would end it is percent-escaped.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'%' | b'=' | 0..=b' ' | 0x7f.. => out.push_str(&format!("%{b:02X}")),
            _ => out.push(char::from(b)),
        }
    }
    out
}

/// Reads what `escaped` has written.
pub fn unescaped(word: &str) -> Option<String> {
    decoded(word).filter(|text| escaped(text) == word)
}

/// Ranges as `5,7-9`.
pub(super) fn push_ranges(out: &mut String, ranges: &[(u64, u64)]) {
    for (i, (from, to)) in ranges.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        out.push_str(&match from == to {
            true => format!("{comma}{from}"),
            false => format!("{comma}{from}-{to}"),
        });
    }
}

/// Reads one of them.
pub(super) fn range(text: &str) -> Option<(u64, u64)> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (number(from)?, number(to)?);
    (from <= to).then_some((from, to))
}

/// Reads all of them, ascending.
pub(super) fn ranges(text: &str) -> Option<Vec<(u64, u64)>> {
    let all = text.split(',').map(range).collect::<Option<Vec<_>>>()?;
    all.windows(2).all(|two| two[0].1 < two[1].0).then_some(all)
}

/// A number as it is written, one text for one value.
pub(super) fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_one_text_for_one_value() {
        for n in 0..40 {
            let bytes: Vec<u8> = (0..n).map(|i: u8| i.wrapping_mul(37)).collect();
            let text = to_base64(&bytes);
            assert!(!text.contains('='));
            assert_eq!(of_base64(&text), Some(bytes));
        }
        for bad in ["A", "AAAAA", "Zg==", "Zh", "Zm9=", "*A", "=", "яA"] {
            assert_eq!(of_base64(bad), None, "{bad}");
        }
        assert_eq!(escaped("a b=%я\n"), "a%20b%3D%25%D1%8F%0A");
        assert_eq!(unescaped("a%20b%3D%25%D1%8F%0A").as_deref(), Some("a b=%я\n"));
        for bad in ["%41", "%zz", "%2", "a b", "%d1%8f", "%FF"] {
            assert_eq!(unescaped(bad), None, "{bad}");
        }
    }
}
