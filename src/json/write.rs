//! The writing half: strings, numbers and base64 into a buffer. Refuses: to write what a reader of JSON would not take.

use super::eights::plain_bytes;

/// Writes `text` as the inside of a JSON string; bytes that are no UTF-8 become U+FFFD.
pub fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    // Nearly all of them are, and that is asked quickly.
    if let Ok(text) = std::str::from_utf8(text) {
        return push_str(out, text);
    }
    for chunk in text.utf8_chunks() {
        push_str(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Whether a text stands in a JSON string as it is.
pub fn stands_as_it_is(text: &str) -> bool {
    plain_bytes(text.as_bytes()) == text.len()
}

/// Appends pieces of JSON, or of whatever else, one behind the other.
pub fn push_parts(out: &mut Vec<u8>, parts: &[&[u8]]) {
    out.reserve(parts.iter().map(|p| p.len()).sum());
    parts.iter().for_each(|p| out.extend_from_slice(p));
}

fn push_str(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    loop {
        let plain = plain_bytes(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some(&b) = rest.get(plain) else { return };
        rest = &rest[plain + 1..];
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.extend_from_slice(format!("\\u{b:04x}").as_bytes()),
        }
    }
}

/// Writes a number.
pub fn push_number(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What each letter stands for; 255: it is none.
const VALUES: [u8; 256] = {
    let (mut values, mut i) = ([255; 256], 0);
    while i < LETTERS.len() {
        values[LETTERS[i] as usize] = i as u8;
        i += 1;
    }
    values
};

/// Writes bytes in base64 (RFC 4648, padded).
pub fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let letter = |n: u32, i: u32| LETTERS[(n >> (18 - 6 * i) & 63) as usize];
    out.reserve(bytes.len().div_ceil(3) * 4);
    // By way of a few bytes: room in the vector would have to be wiped first.
    for piece in bytes.chunks(48) {
        let (whole, mut letters) = (piece.chunks_exact(3), [0; 64]);
        let rest = whole.remainder();
        for (four, three) in letters.chunks_exact_mut(4).zip(whole) {
            let n = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            four.copy_from_slice(&[letter(n, 0), letter(n, 1), letter(n, 2), letter(n, 3)]);
        }
        out.extend_from_slice(&letters[..piece.len() / 3 * 4]);
        if !rest.is_empty() {
            let n = u32::from_be_bytes([0, rest[0], *rest.get(1).unwrap_or(&0), 0]);
            let third = if rest.len() == 2 { letter(n, 2) } else { b'=' };
            out.extend_from_slice(&[letter(n, 0), letter(n, 1), third, b'=']);
        }
    }
}

/// Reads base64; nothing where it is not exactly that, with its padding: one text for one value.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    if text.len() % 4 != 0 || text.len() - body.len() > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut group, mut bits) = (0u32, 0);
    for b in body.bytes() {
        let value = VALUES[usize::from(b)];
        if value == 255 {
            return None;
        }
        group = group << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((group >> bits) as u8);
            group &= (1 << bits) - 1;
        }
    }
    // Bits that belong to no byte.
    (group == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_rfc() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in vectors {
            assert_eq!(from_base64(coded).as_deref(), Some(plain.as_bytes()));
        }
        let all: Vec<u8> = (0..=255).collect();
        let mut coded = Vec::new();
        push_base64(&mut coded, &all);
        assert_eq!(from_base64(std::str::from_utf8(&coded).unwrap()), Some(all));
        for bad in ["Zg=", "Zg", "Z===", "Zh==", "Zm9v!Zm9", "====", "Zm=v"] {
            assert_eq!(from_base64(bad), None, "{bad}");
        }
    }
}
