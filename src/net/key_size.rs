//! ○ How long the RSA key of a certificate is (RFC 8017), and whether signatures by it can be checked.
//!
//! The library calls a signature by a key that it cannot use a bad one, as if somebody else had made it.

use crate::net::der::{take, INTEGER, SEQUENCE};
use std::fmt;

const BIT_STRING: u8 = 0x03;
/// `rsaEncryption`, with its kind and length.
const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// The lengths of RSA keys whose signatures the library can check.
pub const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The length of a key in bits, if it is one of RSA.
pub fn rsa_bits(key: &[u8]) -> Option<usize> {
    let mut rest = key;
    let algorithm = take(&mut rest, SEQUENCE)?;
    if !algorithm.starts_with(RSA) {
        return None;
    }
    let mut bits = take(&mut rest, BIT_STRING)?.strip_prefix(&[0])?;
    let mut numbers = take(&mut bits, SEQUENCE)?;
    let modulus = take(&mut numbers, INTEGER)?;
    let zeros = modulus.iter().take_while(|b| **b == 0).count();
    let first = modulus.get(zeros)?;
    Some((modulus.len() - zeros) * 8 - first.leading_zeros() as usize)
}

/// An RSA key that is too short, or too long, to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongSize {
    /// Its length.
    pub bits: usize,
    /// It is that of an authority, and not the server's own.
    pub of_authority: bool,
}

impl WrongSize {
    /// Of a key, where its length is none that can be used.
    pub fn of_key(key: &[u8], of_authority: bool) -> Option<WrongSize> {
        rsa_bits(key).filter(|bits| !RSA_BITS.contains(bits)).map(|bits| WrongSize { bits, of_authority })
    }
}

impl fmt::Display for WrongSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = RSA_BITS.into_inner();
        let bits = self.bits;
        match self.of_authority {
            true => write!(f, "is signed by an authority whose RSA key has {bits} bits")?,
            false => write!(f, "has an RSA key of {bits} bits")?,
        }
        write!(f, ", and it must have {least} to {most}: issue it anew with another key")
    }
}

impl std::error::Error for WrongSize {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::der::Fields;
    use crate::net::testing::fixture;

    #[test]
    fn the_length_of_a_key_is_read() {
        for (name, bits) in [("rsa-1024", Some(1024)), ("rsa-2048", Some(2048)), ("signed-by-rsa-1024", None)] {
            assert_eq!(rsa_bits(Fields::of(&fixture(name)).unwrap().key), bits, "{name}");
        }
        let size = WrongSize::of_key(Fields::of(&fixture("rsa-1024")).unwrap().key, false).unwrap();
        assert!(size.to_string().contains("1024 bits"));
        assert_eq!(WrongSize::of_key(Fields::of(&fixture("rsa-2048")).unwrap().key, false), None);
    }
}
