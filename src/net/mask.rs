//! What of an answer is a secret of ours said back: a receiver that repeats the request, or names the token it refuses,
//! must not bring it into a log, a status page or the spool.
//!
//! Refuses: to look for what is shorter than any secret should be; half of the everyday words would go with it.

use super::secret::Wiped;
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

    /// The query of a URI, and each value in it: that is where tokens stand.
    pub fn add_query(&mut self, uri: &str) {
        let Some((_, query)) = uri.split_once('?') else { return };
        self.add(query.as_bytes());
        for pair in query.split('&').take(limits::MASK_PAIRS) {
            self.add(pair.split_once('=').map_or(pair, |(_, value)| value).as_bytes());
        }
    }

    /// So many more bytes have to be there that none is cut.
    pub fn longest(&self) -> usize {
        self.secrets.first().map_or(0, |s| s.bytes().len())
    }

    /// The text without them, and without the beginning of one at its end.
    pub fn apply(&self, mut text: Vec<u8>) -> Vec<u8> {
        for secret in self.secrets.iter().map(Wiped::bytes) {
            let whole = memchr::memmem::find_iter(&text, secret).collect::<Vec<_>>();
            for at in whole.into_iter().rev() {
                text.splice(at..at + secret.len(), *b"***");
            }
            let most = text.len().min(secret.len() - 1);
            let begun = (limits::MASK_BYTES..=most).rev().find(|n| text.ends_with(&secret[..*n]));
            if let Some(n) = begun {
                text.truncate(text.len() - n);
                text.extend_from_slice(b"***");
            }
        }
        text
    }
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
    }

    #[test]
    fn a_query_is_a_secret_and_so_are_its_values() {
        let mut mask = Mask::default();
        mask.add_query("/in?k=t0ken&x=1&hooked");
        let text = mask.apply(b"/in?k=t0ken&x=1&hooked; t0ken; x=1; hooked".to_vec());
        assert_eq!(text, b"/in?***; ***; x=1; ***");
        assert_eq!(mask.longest(), 18);
        Mask::default().add_query("/in");
    }
}
