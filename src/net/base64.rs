//! ○ Base64 (RFC 4648, with padding) → bytes, for basic authentication; the other way is in `json`.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Decodes; nothing when it is not exactly base64 with its padding.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if bytes.len() % 4 != 0 {
        return None;
    }
    let body = text.trim_end_matches('=');
    let padding = bytes.len() - body.len();
    if padding > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3);
    let (mut group, mut bits) = (0u32, 0);
    for b in body.bytes() {
        let sextet = ALPHABET.iter().position(|&a| a == b)? as u32;
        group = group << 6 | sextet;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((group >> bits) as u8);
            group &= (1 << bits) - 1;
        }
    }
    // Bits that belong to no byte must be zero: one text for one value.
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
            assert_eq!(decode(coded).as_deref(), Some(plain.as_bytes()));
        }
        let all: Vec<u8> = (0..=255).collect();
        let mut coded = Vec::new();
        crate::json::push_base64(&mut coded, &all);
        assert_eq!(decode(std::str::from_utf8(&coded).unwrap()), Some(all));
        for bad in ["Zg=", "Zg", "Z===", "Zh==", "Zm9v!Zm9", "====", "Zm=v"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
