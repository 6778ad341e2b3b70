//! What of an answer is a secret of ours said back: a receiver that repeats the request, or names the token it refuses,
//! must not bring it into a log, a status page or the spool.
//!
//! Refuses: to look for what is shorter than any secret should be; half of the everyday words would go with it.

use super::secret::Wiped;
use super::target::decoded;
use crate::limits;

/// The secrets to look for, the longest first.
#[derive(Debug, Default)]
pub struct Mask {
    secrets: Vec<Wiped>,
}

impl Mask {
    /// One more.
    pub fn add(&mut self, secret: &[u8]) {
        if secret.len() >= limits::MASK_BYTES {
            let at = self.secrets.partition_point(|s| s.bytes().len() >= secret.len());
            self.secrets.insert(at, Wiped::new(secret.to_vec()));
        }
    }

    /// The query of a URI, and each value in it, also as it is meant: that is where tokens stand.
    pub fn add_query(&mut self, uri: &str) {
        let Some((_, query)) = uri.split_once('?') else { return };
        self.add(query.as_bytes());
        for pair in query.split('&').take(limits::MASK_PAIRS) {
            let value = pair.split_once('=').map_or(pair, |(_, value)| value);
            self.add(value.as_bytes());
            if let Some(meant) = decoded(value).filter(|meant| meant != value) {
                self.add(meant.as_bytes());
            }
        }
    }

    /// So many more bytes have to be there that none is cut.
    pub fn longest(&self) -> usize {
        self.secrets.first().map_or(0, |s| s.bytes().len())
    }

    /// The text without them, as they are or as JSON escapes them, and without the beginning of one at its end.
    pub fn apply(&self, mut text: Vec<u8>) -> Vec<u8> {
        for secret in self.secrets.iter().map(Wiped::bytes) {
            let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
            while at < text.len() {
                match said_back(&text[at..], secret) {
                    Some(n) => {
                        out.extend_from_slice(b"***");
                        at += n;
                    }
                    None => {
                        out.push(text[at]);
                        at += 1;
                    }
                }
            }
            text = out;
        }
        text
    }
}

/// How much of the text, from its beginning, is this secret; or as much of it as the text has before it ends.
fn said_back(text: &[u8], secret: &[u8]) -> Option<usize> {
    let mut at = 0;
    for (same, byte) in secret.iter().enumerate() {
        at += match &text[at..] {
            [is, ..] if is == byte => 1,
            [b'\\', is, ..] if is == byte => 2,
            [b'\\', b'u', a, b, c, d, ..] => {
                let code = [*a, *b, *c, *d];
                let code = u8::from_str_radix(std::str::from_utf8(&code).ok()?, 16).ok()?;
                (code == *byte).then_some(6)?
            }
            [] | [b'\\'] | [b'\\', b'u', ..] => return (same >= limits::MASK_BYTES).then_some(text.len()),
            _ => return None,
        };
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secrets: &[&str], text: &str) -> String {
        let mut mask = Mask::default();
        secrets.iter().for_each(|s| mask.add(s.as_bytes()));
        String::from_utf8(mask.apply(text.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn what_is_said_back_is_masked() {
        assert_eq!(masked(&["hush-hush"], "no `hush-hush`, hush-hush!"), "no `***`, ***!");
        assert_eq!(masked(&["t0ken", "Bearer t0ken"], "Bearer t0ken t0ken"), "*** ***");
        assert_eq!(masked(&["hush-hush"], "cut: hush-hus"), "cut: ***");
        assert_eq!(masked(&["hush-hush"], "hus"), "hus");
        assert_eq!(masked(&["abc", ""], "abc"), "abc");
        assert_eq!(masked(&["aaaa"], "aaaaaaaaa"), "******a");
        for text in [r"x: a+b\/c\u003d\u003D.", r"x: a\u002bb/c==.", "x: a+b/c==."] {
            assert_eq!(masked(&["a+b/c=="], text), "x: ***.", "{text}");
        }
        for text in [r"x: a+b\/c\u003", r"x: a+b/c\", "x: a+b/"] {
            assert_eq!(masked(&["a+b/c=="], text), "x: ***", "{text}");
        }
        for text in [r"x: a+b\/d", r"x: a+b/c\u003x=", r"a\u", r"\u12d4\u\"] {
            assert_eq!(masked(&["a+b/c=="], text), text);
        }
    }

    #[test]
    fn a_query_is_a_secret_and_so_are_its_values() {
        let mut mask = Mask::default();
        mask.add_query("/in?k=t0ken&x=1&hooked");
        let text = mask.apply(b"/in?k=t0ken&x=1&hooked; t0ken; x=1; hooked".to_vec());
        assert_eq!(text, b"/in?***; ***; x=1; ***");
        assert_eq!(mask.longest(), 18);
        mask.add_query("/in?token=s%2Fcr%3Dt");
        assert_eq!(mask.apply(b"of s%2Fcr%3Dt, s/cr=t".to_vec()), b"of ***, ***");
        Mask::default().add_query("/in");
    }
}
