//! ○ Texts of tables that are made of other tables, while the program is compiled: a list of schemes in a sentence of help.
//!
//! Refuses: anything at run time.

/// How long all of them are together.
pub const fn len(parts: &[&str]) -> usize {
    let (mut bytes, mut i) = (0, 0);
    while i < parts.len() {
        bytes += parts[i].len();
        i += 1;
    }
    bytes
}

/// All of them in a row.
pub const fn bytes<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut out = [0; N];
    let (mut at, mut i) = (0, 0);
    while i < parts.len() {
        let part = parts[i].as_bytes();
        let mut j = 0;
        while j < part.len() {
            out[at] = part[j];
            at += 1;
            j += 1;
        }
        i += 1;
    }
    out
}

/// Pieces in a row as one constant text.
#[macro_export]
macro_rules! joined {
    ($parts:expr) => {{
        const PARTS: &[&str] = $parts;
        const BYTES: [u8; $crate::flags::joined::len(PARTS)] = $crate::flags::joined::bytes(PARTS);
        match std::str::from_utf8(&BYTES) {
            Ok(text) => text,
            Err(_) => panic!("pieces of text are text"),
        }
    }};
}

#[cfg(test)]
mod tests {
    #[test]
    fn pieces_are_one_text() {
        const BOTH: &str = joined!(&["раз ", "", "two"]);
        assert_eq!(BOTH, "раз two");
    }
}
