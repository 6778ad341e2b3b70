//! Whom a client believes: a server with a certificate from an authority it trusts, or with the very certificate that it was
//! given as one.
//!
//! `openssl req -x509` makes a server's first certificate, signed by itself, an authority's (CA:TRUE), and the library takes
//! no authority for a server. Where the file that was named holds exactly this certificate, it is the one that was meant:
//! its name and its times are checked as ever. Refuses: to take any other authority for a server, the system's among them.

use crate::net::tls::{provider, sha256};
use crate::net::validity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_name, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, VerifierBuilderError};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// What a named certificate is known by.
pub type Fingerprint = [u8; 32];

/// The judge of servers.
#[derive(Debug)]
pub struct Trust {
    authorities: Arc<WebPkiServerVerifier>,
    named: Vec<Fingerprint>,
}

impl Trust {
    /// Of these authorities; `named` are those that the user has given.
    pub fn new(roots: RootCertStore, named: Vec<Fingerprint>) -> Result<Trust, VerifierBuilderError> {
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
        Ok(Trust { authorities, named })
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
        match self.authorities.verify_server_cert(certificate, between, name, ocsp, now) {
            Err(Error::InvalidCertificate(e)) if is_authority(&e) && self.named.contains(&sha256(certificate)) => {
                verify_named(certificate, name, now).map(|()| ServerCertVerified::assertion())
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
