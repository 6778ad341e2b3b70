//! Whom a client believes: a server with a certificate from an authority it trusts, or with the very certificate that it was
//! given as one.
//!
//! `openssl req -x509` makes a server's first certificate, signed by itself, an authority's (CA:TRUE), and the library takes
//! no authority for a server. Where the file that was named holds exactly this certificate, it is the one that was meant:
//! its name and its times are checked as ever. Refuses: to take any other authority for a server, the system's among them.

use crate::net::crypto::{provider, sha256};
use crate::net::der::Fields;
use crate::net::key_size::WrongSize;
use crate::net::validity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_name, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::{ParsedCertificate, VerifierBuilderError};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// What a named certificate is known by.
pub type Fingerprint = [u8; 32];

/// The judge of servers.
#[derive(Debug)]
pub struct Trust {
    authorities: Arc<WebPkiServerVerifier>,
    named: Vec<Fingerprint>,
    /// The names of authorities whose keys cannot be used, and why.
    unusable: Vec<(Vec<u8>, WrongSize)>,
}

impl Trust {
    /// Of these authorities; `named` are those that the user has given.
    pub fn new(roots: RootCertStore, named: Vec<Fingerprint>) -> Result<Trust, VerifierBuilderError> {
        let size =
            |a: &TrustAnchor<'_>| Some((a.subject.to_vec(), WrongSize::of_key(&a.subject_public_key_info, true)?));
        let unusable = roots.roots.iter().filter_map(size).collect();
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
        Ok(Trust { authorities, named, unusable })
    }

    /// A key among these certificates, or of who has signed one of them, that cannot be used.
    fn wrong_size(&self, chain: &[CertificateDer<'_>]) -> Option<WrongSize> {
        chain.iter().filter_map(|c| Fields::of(c)).find_map(|facts| {
            let signer = self.unusable.iter().find(|u| u.0 == facts.issuer).map(|u| u.1);
            WrongSize::of_key(facts.key, true).or(signer)
        })
    }
}

/// Whether the library refuses it as an authority in the place of a server.
pub fn is_authority(e: &CertificateError) -> bool {
    matches!(e, CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity"))
}

/// The times and the name of a certificate that was named itself.
fn verify_named(certificate: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
    let times = validity::of(certificate).ok_or(CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < times.from {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > times.to {
        return Err(CertificateError::Expired.into());
    }
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Its signature in the handshake would be called a bad one.
        if let Some(size) = Fields::of(certificate).and_then(|f| WrongSize::of_key(f.key, false)) {
            return Err(CertificateError::Other(OtherError(Arc::new(size))).into());
        }
        match self.authorities.verify_server_cert(certificate, between, name, ocsp, now) {
            Err(Error::InvalidCertificate(e)) if is_authority(&e) && self.named.contains(&sha256(certificate)) => {
                verify_named(certificate, name, now).map(|()| ServerCertVerified::assertion())
            }
            Err(Error::InvalidCertificate(e @ (CertificateError::BadSignature | CertificateError::UnknownIssuer))) => {
                let chain: Vec<_> = std::iter::once(certificate).chain(between).cloned().collect();
                let size = self.wrong_size(&chain);
                Err(size.map_or(e, |size| CertificateError::Other(OtherError(Arc::new(size)))).into())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::failure::FailureKind;
    use crate::net::testing::fixture;
    use crate::net::verdict::{self, Names};

    #[test]
    fn a_key_that_is_too_short_is_told_as_that() {
        let said = |trusted: &str, shown: &str| {
            let mut roots = RootCertStore::empty();
            roots.add(fixture(trusted)).unwrap();
            let trust = Trust::new(roots, Vec::new()).unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let judged = trust.verify_server_cert(&fixture(shown), &[], &name, &[], UnixTime::now());
            let f = verdict::failure(&judged.unwrap_err(), "db:1", true, Names::Receiver);
            assert_eq!(f.kind, FailureKind::Tls);
            f.text
        };
        let own = said("rsa-2048", "rsa-1024");
        assert!(own.contains("its certificate has an RSA key of 1024 bits"), "{own}");
        let by = said("rsa-1024-authority", "signed-by-rsa-1024");
        assert!(by.contains("is signed by an authority whose RSA key has 1024 bits"), "{by}");
        let unknown = said("rsa-2048", "signed-by-rsa-1024");
        assert!(unknown.contains("from nobody we trust"), "{unknown}");
    }
}
