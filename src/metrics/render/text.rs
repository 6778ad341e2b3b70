//! What the text formats have in common ○: how numbers and help texts are written.

use std::io::Write;

/// Writes a number as every reader of these formats reads it: the shortest text that is this number.
pub fn put_number(out: &mut Vec<u8>, n: f64) {
    let size = n.abs();
    // Writing to memory cannot fail.
    let _ = match () {
        () if n.is_nan() => out.write_all(b"NaN"),
        () if n.is_infinite() => out.write_all(if n > 0.0 { b"+Inf" } else { b"-Inf" }),
        () if size < 1e15 && n.trunc() == n => write!(out, "{}", n as i64),
        () if !(1e-5..1e21).contains(&size) => write!(out, "{n:e}"),
        () => write!(out, "{n}"),
    };
}

/// Writes the escaped help text; OpenMetrics escapes the quote too.
pub(super) fn put_help(out: &mut Vec<u8>, help: &str, quote: bool) {
    for b in help.bytes() {
        match b {
            b'\\' => out.extend(b"\\\\"),
            b'\n' => out.extend(b"\\n"),
            b'"' if quote => out.extend(b"\\\""),
            b => out.push(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_back_as_the_same_number() {
        let mut bits = 1u64;
        let mut numbers = vec![0.0, 1.0, -1.0, 0.1, 1e15, 1e21, 1e-5, f64::MAX, f64::MIN_POSITIVE, 4398046510080.0];
        for _ in 0..5000 {
            bits = bits.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            numbers.push(f64::from_bits(bits));
        }
        for n in numbers.into_iter().filter(|n| n.is_finite()) {
            let mut out = Vec::new();
            put_number(&mut out, n);
            let text = String::from_utf8(out).expect("text");
            assert_eq!(text.parse::<f64>().ok(), Some(n), "{text}");
            assert!(text.len() < 30, "{text}");
        }
    }
}
