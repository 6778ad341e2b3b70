//! Certificates and keys out of files: PEM or DER, one at a time, so that a bundle of 220 KB is never in memory whole.
//!
//! Keys: PKCS#8, PKCS#1, SEC1; they may stand in the file of the certificate. Refuses encrypted keys, with the cure.

use crate::limits;
use crate::net::failure::{Failure, FailureKind};
use crate::net::secret::Wiped;
use crate::net::subject;
use crate::net::validity::{self, Validity};
use crate::net::watch::{self, Watch};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::RootCertStore;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Adds the authorities of a file, and shows each to `see`. One that rustls cannot use is left out (the systems' bundles have
/// such); a file of which none can be used is an error.
pub fn add_authorities(
    path: &Path,
    roots: &mut RootCertStore,
    watch: &mut Watch,
    mut see: impl FnMut(&[u8]),
) -> Result<(), Failure> {
    let before = roots.len();
    let mut last = None;
    certificates(path, "CA file", watch, |certificate| {
        see(&certificate);
        if let Err(e) = roots.add(certificate) {
            last = Some(e);
        }
    })?;
    match last {
        Some(e) if roots.len() == before => Err(fail("CA file", path, &format!("holds no usable authority: {e}"))),
        _ => Ok(()),
    }
}

/// A certificate with its chain, and the key to it.
pub fn identity(
    certificate: &Path,
    key: Option<&Path>,
    watch: &mut Watch,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Failure> {
    let mut chain = Vec::new();
    certificates(certificate, "certificate file", watch, |c| chain.push(c))?;
    let key = private_key(key.unwrap_or(certificate), watch)?;
    Ok((chain, key))
}

/// From when to when each certificate of a file is valid; none where that cannot be read.
pub fn validities(path: &Path, what: &str) -> Result<Vec<Option<Validity>>, Failure> {
    let mut all = Vec::new();
    certificates(path, what, &mut Watch::default(), |c| all.push(validity::of(&c)))?;
    Ok(all)
}

/// The common name of the first certificate of a file.
pub fn common_name(path: &Path) -> Option<String> {
    let mut first = None;
    let seen = certificates(path, "certificate file", &mut Watch::default(), |c| {
        first.get_or_insert_with(|| subject::common_name(&c));
    });
    seen.ok().and(first).flatten()
}

fn certificates(
    path: &Path,
    what: &str,
    watch: &mut Watch,
    mut take: impl FnMut(CertificateDer<'static>),
) -> Result<(), Failure> {
    watch.note(path);
    let (file, _) = watch::open(path, what, limits::PEM_FILE_BYTES, "")?;
    let mut file = BufReader::new(file);
    let first = file.fill_buf().map_err(|e| fail(what, path, &e.to_string()))?.first().copied();
    // DER begins with a SEQUENCE; no PEM file begins with a zero digit.
    if first == Some(0x30) {
        let (bytes, _) = watch::read(path, what, limits::PEM_FILE_BYTES, "")?;
        take(CertificateDer::from(bytes));
        return Ok(());
    }
    let mut count = 0;
    for certificate in CertificateDer::pem_reader_iter(file) {
        take(
            certificate
                .map_err(|e| fail(what, path, &format!("is damaged after {count} certificates: {}", damage(&e))))?,
        );
        count += 1;
        if count > limits::PEM_CERTIFICATES {
            return Err(fail(what, path, &format!("holds more than {} certificates", limits::PEM_CERTIFICATES)));
        }
    }
    match count {
        0 => Err(fail(what, path, "holds no certificate (PEM: -----BEGIN CERTIFICATE-----)")),
        _ => Ok(()),
    }
}

/// What is wrong with a PEM file, for people: the library shows the bytes of a line as numbers.
fn damage(e: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error as PemError;
    match e {
        PemError::MissingSectionEnd { end_marker } => {
            format!("the line `-----END {}-----` is missing", String::from_utf8_lossy(end_marker))
        }
        PemError::IllegalSectionStart { .. } => "a line `-----BEGIN …-----` is broken".to_string(),
        other => other.to_string(),
    }
}

fn private_key(path: &Path, watch: &mut Watch) -> Result<PrivateKeyDer<'static>, Failure> {
    watch.note(path);
    let what = "private key file";
    let bytes = Wiped::new(watch::read(path, what, limits::PEM_FILE_BYTES, "")?.0);
    if bytes.bytes().first() == Some(&0x30) {
        return PrivateKeyDer::try_from(bytes.bytes())
            .map(|key| key.clone_key())
            .map_err(|_| fail(what, path, "holds no private key of a known kind (PKCS#8, PKCS#1, SEC1)"));
    }
    match PrivateKeyDer::from_pem_slice(bytes.bytes()) {
        Ok(key) => Ok(key),
        Err(_) if is_encrypted(bytes.bytes()) => {
            let cure = "make a plain one (openssl pkey -in FILE -out PLAIN) and protect it by its mode";
            Err(fail(what, path, &format!("the key is encrypted, and nobody is here to type its password: {cure}")))
        }
        Err(rustls::pki_types::pem::Error::NoItemsFound) => {
            Err(fail(what, path, "holds no private key (PEM: -----BEGIN PRIVATE KEY-----)"))
        }
        // The error's own words could quote the file.
        Err(_) => Err(fail(what, path, "is damaged: not the PEM of a private key")),
    }
}

fn is_encrypted(pem: &[u8]) -> bool {
    let holds = |mark: &[u8]| pem.windows(mark.len()).any(|w| w == mark);
    holds(b"BEGIN ENCRYPTED PRIVATE KEY") || holds(b"Proc-Type: 4,ENCRYPTED")
}

fn fail(what: &str, path: &Path, why: &str) -> Failure {
    Failure::new(FailureKind::Secret, format!("{what} `{}`: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::{Authority, Scratch};

    #[test]
    fn one_file_may_hold_both_and_der_is_known_by_its_first_byte() {
        let dir = Scratch::new("pem");
        let ca = Authority::new("ca");
        let (chain, key) = ca.issue("localhost");
        let both = dir.write("both.pem", &format!("some words\n{chain}{}{key}", ca.pem()));
        let (certificates, key) = identity(&both, None, &mut Watch::default()).unwrap();
        assert_eq!(certificates.len(), 2);
        std::fs::write(dir.path("ca.der"), certificates[1].as_ref()).unwrap();
        std::fs::write(dir.path("key.der"), key.secret_der()).unwrap();
        let mut roots = RootCertStore::empty();
        add_authorities(&dir.path("ca.der"), &mut roots, &mut Watch::default(), |_| ()).unwrap();
        assert_eq!(roots.len(), 1);
        let again = private_key(&dir.path("key.der"), &mut Watch::default()).unwrap();
        assert_eq!(again.secret_der(), key.secret_der());
    }

    #[test]
    fn old_encrypted_keys_are_known_too() {
        let dir = Scratch::new("pem-old");
        let text = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        let path = dir.write("old.pem", text);
        let f = private_key(&path, &mut Watch::default()).unwrap_err();
        assert!(f.text.contains("encrypted"), "{f}");
        let cut = dir.write("cut.pem", "-----BEGIN PRIVATE KEY-----\n!!!hush!!!\n-----END PRIVATE KEY-----\n");
        let f = private_key(&cut, &mut Watch::default()).unwrap_err();
        assert!(f.text.contains("damaged") && !f.text.contains("hush"), "{f}");
        let cut = dir.write("cut.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n");
        let f = validities(&cut, "CA file").unwrap_err();
        assert!(f.text.ends_with("the line `-----END CERTIFICATE-----` is missing"), "{f}");
    }
}
