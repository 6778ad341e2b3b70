//! ○ How long the RSA key of a certificate is, and who has signed it, out of its DER (RFC 5280, 4.1; RFC 8017).
//!
//! The library calls a signature by a key that it cannot use a bad one, as if somebody else had made it. Reads no further
//! than the key and judges nothing else of a certificate.

use crate::net::validity::{take, EXPLICIT_0, INTEGER, SEQUENCE};
use std::fmt;

const BIT_STRING: u8 = 0x03;
/// `rsaEncryption`, with its kind and length.
const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// The lengths of RSA keys whose signatures the library can check.
pub const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// What a certificate says of keys and names.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who has signed it: the content of the name.
    pub issuer: &'a [u8],
    /// Its key: the content of SubjectPublicKeyInfo.
    pub key: &'a [u8],
}

/// What a certificate says; none where these bytes are none.
pub fn of(certificate: &[u8]) -> Option<Facts<'_>> {
    let mut rest = certificate;
    let mut whole = take(&mut rest, SEQUENCE)?;
    let mut signed = take(&mut whole, SEQUENCE)?;
    if signed.first() == Some(&EXPLICIT_0) {
        take(&mut signed, EXPLICIT_0)?;
    }
    take(&mut signed, INTEGER)?; // serial number
    take(&mut signed, SEQUENCE)?; // signature algorithm
    let issuer = take(&mut signed, SEQUENCE)?;
    take(&mut signed, SEQUENCE)?; // validity
    take(&mut signed, SEQUENCE)?; // subject
    Some(Facts { issuer, key: take(&mut signed, SEQUENCE)? })
}

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
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::CertificateDer;

    fn fixture(name: &str) -> CertificateDer<'static> {
        let path = format!("{}/tests/data/certificates/{name}.pem", env!("CARGO_MANIFEST_DIR"));
        CertificateDer::from_pem_file(path).unwrap()
    }

    #[test]
    fn the_length_of_a_key_is_read() {
        for (name, bits) in [("rsa-1024", Some(1024)), ("rsa-2048", Some(2048)), ("signed-by-rsa-1024", None)] {
            assert_eq!(rsa_bits(of(&fixture(name)).unwrap().key), bits, "{name}");
        }
        let size = WrongSize::of_key(of(&fixture("rsa-1024")).unwrap().key, false).unwrap();
        assert!(size.to_string().contains("1024 bits"));
        assert_eq!(WrongSize::of_key(of(&fixture("rsa-2048")).unwrap().key, false), None);
    }

    #[test]
    fn whatever_is_no_certificate_has_no_key_and_does_no_harm() {
        let whole = fixture("rsa-1024");
        let mut state = 26u64;
        for n in 0..20_000 {
            let mut bytes = whole.to_vec();
            bytes.truncate(if n < whole.len() { n } else { whole.len() });
            for _ in 0..if n < whole.len() { 0 } else { 3 } {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                bytes[(state >> 32) as usize % whole.len()] = state as u8;
            }
            let _ = of(&bytes).map(|f| rsa_bits(f.key));
        }
    }
}
