//! ○ SCRAM (RFC 5802) as a client: proves that it knows a password without saying it, and that the server knows it too.
//!
//! Chance comes as an argument. Refuses: channel binding, a server that asks for less work than the standard or for so much
//! that it would stop us, one that does not prove itself.

use crate::json::{from_base64, push_base64};
use crate::limits;
use crate::net::secret::Wiped;
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;

/// The hash that it is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl Hash {
    fn hmac(self) -> hmac::Algorithm {
        match self {
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        self.hmac().digest_algorithm()
    }

    fn stretch(self) -> pbkdf2::Algorithm {
        match self {
            Hash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Hash::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

/// A conversation that has begun.
#[derive(Debug)]
pub struct Scram {
    hash: Hash,
    nonce: String,
    /// The first message without its header.
    bare: String,
}

/// What the server must still say.
#[derive(Debug)]
pub struct Expected(String);

impl Scram {
    /// For this user; `chance`: random bytes that were never used before.
    pub fn new(hash: Hash, user: &str, chance: &[u8]) -> Scram {
        let nonce = encoded(chance);
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={user},r={nonce}");
        Scram { hash, nonce, bare }
    }

    /// The first message.
    pub fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// The proof, as the answer to the server's first message; and what the server has to answer.
    pub fn proof(&self, server: &[u8], password: &[u8]) -> Result<(String, Expected), &'static str> {
        let server = std::str::from_utf8(server).map_err(|_| "its challenge is no text")?;
        let (nonce, salt, rounds) = challenge(server).ok_or("its challenge cannot be read")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("its challenge is not an answer to ours");
        }
        if !(limits::SCRAM_ROUNDS.0..=limits::SCRAM_ROUNDS.1).contains(&rounds) {
            return Err("it asks for fewer rounds than the standard lets it, or for far too many");
        }
        let rounds = NonZeroU32::new(rounds).ok_or("it asks for no rounds")?;
        let size = self.hash.digest().output_len();
        let mut salted = vec![0; size];
        pbkdf2::derive(self.hash.stretch(), rounds, &salt, password, &mut salted);
        let salted = Wiped::new(salted);
        let client = Wiped::new(self.signed(salted.bytes(), b"Client Key"));
        let stored = digest::digest(self.hash.digest(), client.bytes());
        // `biws` is `n,,`: no channel binding.
        let without = format!("c=biws,r={nonce}");
        let all = format!("{},{server},{without}", self.bare);
        let mut proof = self.signed(stored.as_ref(), all.as_bytes());
        proof.iter_mut().zip(client.bytes()).for_each(|(p, k)| *p ^= k);
        let theirs = Wiped::new(self.signed(salted.bytes(), b"Server Key"));
        let signature = self.signed(theirs.bytes(), all.as_bytes());
        Ok((format!("{without},p={}", encoded(&proof)), Expected(encoded(&signature))))
    }

    fn signed(&self, key: &[u8], text: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(self.hash.hmac(), key), text).as_ref().to_vec()
    }
}

impl Expected {
    /// Whether the server's last message proves that it knows the password.
    pub fn is(&self, server: &[u8]) -> bool {
        let text = std::str::from_utf8(server).unwrap_or_default();
        text.split(',').next().and_then(|t| t.strip_prefix("v=")).is_some_and(|v| v == self.0)
    }
}

/// Nonce, salt and rounds.
fn challenge(text: &str) -> Option<(&str, Vec<u8>, u32)> {
    let mut parts = text.split(',');
    let nonce = parts.next()?.strip_prefix("r=")?;
    let salt = from_base64(parts.next()?.strip_prefix("s=")?)?;
    let rounds = parts.next()?.strip_prefix("i=")?.parse().ok()?;
    Some((nonce, salt, rounds))
}

fn encoded(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    push_base64(&mut out, bytes);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A conversation whose nonce is the text that the standard prints.
    fn printed(hash: Hash, nonce: &str) -> Scram {
        Scram { hash, nonce: nonce.into(), bare: format!("n=user,r={nonce}") }
    }

    #[test]
    fn the_conversation_of_rfc_7677() {
        let scram = printed(Hash::Sha256, "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (proof, expected) = scram.proof(server, b"pencil").unwrap();
        let wanted = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(proof, wanted);
        assert!(expected.is(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(
            !expected.is(b"v=AAAA") && !expected.is(b"e=invalid-proof") && !expected.is(b"\xff") && !expected.is(b"")
        );
    }

    #[test]
    fn a_server_that_is_not_what_it_should_be_gets_no_proof() {
        let scram = printed(Hash::Sha512, "abc");
        for bad in [
            "r=abc,s=W22Z,i=4096",
            "r=xyz1,s=W22Z,i=4096",
            "r=abc1,s=W22Z,i=1",
            "r=abc1,s=W22Z,i=4000000000",
            "r=abc1,s=!,i=4096",
            "r=abc1,s=W22Z",
            "",
        ] {
            assert!(scram.proof(bad.as_bytes(), b"x").is_err(), "{bad}");
        }
        assert!(scram.proof(b"\xff", b"x").is_err() && scram.proof(b"r=abc1,s=W22Z,i=4096", b"x").is_ok());
        assert_eq!(Scram::new(Hash::Sha256, "a=b,c", b"xyz").first(), "n,,n=a=3Db=2Cc,r=eHl6");
    }
}
