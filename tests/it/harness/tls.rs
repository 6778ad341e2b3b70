//! Certificates for one test: an authority, a server's and a client's, and the server side of TLS.
//!
//! Made anew for each test by rcgen, valid for `localhost`, `127.0.0.1`, `receiver.test` and `example.com`; refuses to keep any key.

use super::den::Den;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// An authority and what it signed, as PEM.
pub struct Certs {
    pub ca: String,
    pub server: String,
    pub server_key: String,
    pub client: String,
    pub client_key: String,
}

impl Certs {
    pub fn new() -> Certs {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "gostech test authority");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let names = ["localhost", "127.0.0.1", "receiver.test", "example.com"].map(str::to_owned).to_vec();
        let (server, server_key) = signed(names, ExtendedKeyUsagePurpose::ServerAuth, &ca);
        let (client, client_key) = signed(vec!["picodata".into()], ExtendedKeyUsagePurpose::ClientAuth, &ca);
        Certs { ca: ca.pem(), server, server_key, client, client_key }
    }

    /// Writes all five files and returns the paths: ca, server, server key, client, client key.
    pub fn put(&self, den: &Den, prefix: &str) -> [String; 5] {
        [
            den.put(&format!("{prefix}-ca.pem"), &self.ca),
            den.put(&format!("{prefix}-server.pem"), &self.server),
            den.put(&format!("{prefix}-server.key"), &self.server_key),
            den.put(&format!("{prefix}-client.pem"), &self.client),
            den.put(&format!("{prefix}-client.key"), &self.client_key),
        ]
    }

    /// The server's side, asking for no client certificate.
    pub fn server_config(&self) -> Arc<rustls::ServerConfig> {
        let chain = vec![CertificateDer::from_pem_slice(self.server.as_bytes()).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_slice(self.server_key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a pair");
        Arc::new(config)
    }
}

fn signed(names: Vec<String>, usage: ExtendedKeyUsagePurpose, ca: &CertifiedIssuer<'_, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(names).expect("names");
    params.extended_key_usages.push(usage);
    params.distinguished_name.push(rcgen::DnType::CommonName, "gostech test");
    let certificate = params.signed_by(&key, ca).expect("a signature");
    (certificate.pem(), key.serialize_pem())
}
