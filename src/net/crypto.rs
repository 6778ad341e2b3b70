//! The cryptography of the project: ring, by way of rustls, which has it anyway.
//!
//! Refuses: anything that needs a key. Keys are the matter of `tls`.

use rustls::crypto::CryptoProvider;
use std::sync::Arc;

/// What TLS is made of.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Random bytes, from the same cryptography.
pub fn random(out: &mut [u8]) {
    if !unguessable(out) {
        // The system has no randomness (never seen after boot): the time of day is better than zeroes.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
        out.iter_mut().zip(now.to_le_bytes().iter().cycle()).for_each(|(o, n)| *o = *n);
    }
}

/// Random bytes that a key may be made of; false where the system has none.
pub fn unguessable(out: &mut [u8]) -> bool {
    rustls::crypto::ring::default_provider().secure_random.fill(out).is_ok()
}

/// SHA-256, from the same cryptography: rustls has it anyway, inside each of its cipher suites.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    if let rustls::SupportedCipherSuite::Tls13(suite) = suite {
        out.copy_from_slice(suite.common.hash_provider.hash(bytes).as_ref());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha_256() {
        let hex: String = sha256(b"abc").iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let (mut a, mut b) = ([0; 32], [0; 32]);
        random(&mut a);
        random(&mut b);
        assert!(a != b);
    }
}
