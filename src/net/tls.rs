//! The one rustls configuration of the project: ring, TLS 1.2 and 1.3, for clients and for the porch.
//!
//! A configuration is built at the first connection that needs it and again when one of its files changed or `reload`
//! was called; nothing is held before that, and no PEM text after it. **When a CA file is given, it alone is trusted**,
//! unless `system_too` is set: whoever names a CA wants exactly that one. A missing or bad file is a `Failure` that
//! names it, so that it can be mended while the program runs. Refuses: encrypted keys, and any way to switch the
//! checking of certificates off.

use crate::net::crypto::{provider, sha256};
use crate::net::failure::{Failure, FailureKind};
use crate::net::pem;
use crate::net::trust::{Fingerprint, Trust};
use crate::net::verdict::{self, Names};
use crate::net::watch::Watch;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Where distributions keep the authorities they trust: Debian and Astra, RED OS and other RPM (two places), ALT, SUSE.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/usr/share/ca-certificates/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whom a client trusts and who it is.
#[derive(Clone, Debug, Default)]
pub struct ClientOptions {
    /// Whose options an error names.
    pub names: Names,
    /// `--ca-certificate`: PEM bundle or one DER certificate.
    pub ca: Option<PathBuf>,
    /// Trust the system's authorities besides `ca`; without `ca` they are trusted anyway.
    pub system_too: bool,
    /// `--certificate`: PEM, the own certificate first.
    pub certificate: Option<PathBuf>,
    /// `--private-key`; without it the key is looked for in the file of the certificate.
    pub key: Option<PathBuf>,
    /// `--tls-server-name`: asked for and checked instead of the host of the URL.
    pub server_name: Option<String>,
}

/// Who a server is and whom it lets in.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// `--web-tls-cert`.
    pub certificate: PathBuf,
    /// `--web-tls-key`; without it the key is looked for in the file of the certificate.
    pub key: Option<PathBuf>,
    /// `--web-client-ca`: only visitors with a certificate from it.
    pub client_ca: Option<PathBuf>,
}

/// A configuration and the files it was made from.
struct Built<C> {
    config: Arc<C>,
    watch: Watch,
}

type Slot<C> = Mutex<Option<Built<C>>>;

/// TLS for connections that we open.
pub struct Client {
    options: ClientOptions,
    built: Slot<ClientConfig>,
}

/// TLS for connections that we accept.
pub struct Server {
    options: ServerOptions,
    built: Slot<ServerConfig>,
}

impl Client {
    /// Nothing is read yet.
    pub fn new(options: ClientOptions) -> Self {
        Client { options, built: Mutex::new(None) }
    }

    /// What it was made of.
    pub fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// The configuration as the files are now.
    pub fn config(&self) -> Result<Arc<ClientConfig>, Failure> {
        current(&self.built, |watch| client_config(&self.options, watch))
    }

    /// A session with the server of this host, not begun yet.
    pub fn session(&self, host: &str) -> Result<ClientConnection, Failure> {
        let name = self.name_for(host)?;
        ClientConnection::new(self.config()?, name)
            .map_err(|e| Failure::new(FailureKind::Tls, format!("TLS with `{host}`: {e}")))
    }

    /// Whom our certificate names; none: we show none, or it names nobody.
    pub fn own_name(&self) -> Option<String> {
        self.options.certificate.as_deref().and_then(pem::common_name)
    }

    /// The name to ask for and to check, for a host.
    pub fn name_for(&self, host: &str) -> Result<ServerName<'static>, Failure> {
        let name = self.options.server_name.as_deref().unwrap_or(host).trim_end_matches('.');
        ServerName::try_from(name.to_string())
            .map_err(|_| Failure::new(FailureKind::Tls, format!("`{name}` is not a name that a certificate can have")))
    }

    /// The next connection reads all files again.
    pub fn reload(&self) {
        *self.built.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Server {
    /// Nothing is read yet.
    pub fn new(options: ServerOptions) -> Self {
        Server { options, built: Mutex::new(None) }
    }

    /// The configuration as the files are now.
    pub fn config(&self) -> Result<Arc<ServerConfig>, Failure> {
        current(&self.built, |watch| server_config(&self.options, watch))
    }
}

/// What was built, or built anew where a file is another one now.
fn current<C>(slot: &Slot<C>, build: impl FnOnce(&mut Watch) -> Result<C, Failure>) -> Result<Arc<C>, Failure> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(built) = slot.as_ref().filter(|b| !b.watch.changed()) {
        return Ok(Arc::clone(&built.config));
    }
    // First the old one goes: both at once would be the peak of the program's memory.
    *slot = None;
    let mut watch = Watch::default();
    let config = Arc::new(build(&mut watch)?);
    *slot = Some(Built { config: Arc::clone(&config), watch });
    Ok(config)
}

fn client_config(options: &ClientOptions, watch: &mut Watch) -> Result<ClientConfig, Failure> {
    let (roots, named) = trusted(options, watch)?;
    let trust = Trust::new(roots, named).map_err(|e| bad("TLS", &e))?;
    // «Dangerous» is what may judge a server; this one asks the library's own judge.
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| bad("TLS", &e))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust));
    let mut config = match &options.certificate {
        None if options.key.is_some() => {
            let (key, certificate) = (options.names.key(), options.names.certificate());
            let text = format!("a private key was given ({key}) without its certificate ({certificate})");
            return Err(Failure::new(FailureKind::Secret, text));
        }
        None => builder.with_no_client_auth(),
        Some(file) => {
            let (chain, key) = pem::identity(file, options.key.as_deref(), watch)?;
            builder.with_client_auth_cert(chain, key).map_err(|e| unfit(file, options.key.as_deref(), &e))?
        }
    };
    config.resumption = Resumption::in_memory_sessions(crate::limits::TLS_SESSIONS);
    Ok(config)
}

fn server_config(options: &ServerOptions, watch: &mut Watch) -> Result<ServerConfig, Failure> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| bad("TLS", &e))?;
    let builder = match &options.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            pem::add_authorities(file, &mut roots, watch, |_| ())?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
                .build()
                .map_err(|e| bad(&format!("client CA file `{}`", file.display()), &e))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (chain, key) = pem::identity(&options.certificate, options.key.as_deref(), watch)?;
    let mut config =
        builder.with_single_cert(chain, key).map_err(|e| unfit(&options.certificate, options.key.as_deref(), &e))?;
    // Scrapers keep nothing between visits that would pay for a cache of 256 sessions.
    config.session_storage = rustls::server::ServerSessionMemoryCache::new(crate::limits::TLS_SESSIONS);
    Ok(config)
}

/// The authorities, and what the certificates that the user has named are known by.
fn trusted(options: &ClientOptions, watch: &mut Watch) -> Result<(RootCertStore, Vec<Fingerprint>), Failure> {
    let (mut roots, mut named) = (RootCertStore::empty(), Vec::new());
    if let Some(file) = &options.ca {
        pem::add_authorities(file, &mut roots, watch, |c| named.push(sha256(c)))?;
    }
    if options.ca.is_none() || options.system_too {
        let file = system_bundle().ok_or_else(|| {
            let cure = format!("install ca-certificates or give {}", options.names.ca());
            Failure::new(FailureKind::Secret, format!("this system has no file of trusted authorities: {cure}"))
        })?;
        pem::add_authorities(&file, &mut roots, watch, |_| ())?;
    }
    roots.roots.shrink_to_fit();
    Ok((roots, named))
}

/// The files that may be the system's authorities: `SSL_CERT_FILE`, as everywhere, or the known ones, in order.
pub fn system_bundles() -> Vec<PathBuf> {
    match std::env::var_os("SSL_CERT_FILE").filter(|f| !f.is_empty()) {
        Some(file) => vec![PathBuf::from(file)],
        None => SYSTEM_BUNDLES.iter().map(PathBuf::from).collect(),
    }
}

/// The first of them that exists; one that was named is taken at its word.
fn system_bundle() -> Option<PathBuf> {
    let mut all = system_bundles();
    match all.len() {
        1 => all.pop(),
        _ => all.into_iter().find(|f| f.is_file()),
    }
}

fn bad(what: &str, e: &dyn std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Secret, format!("{what}: {e}"))
}

fn unfit(certificate: &Path, key: Option<&Path>, e: &rustls::Error) -> Failure {
    let (certificate, key) = (certificate.display(), key.unwrap_or(certificate).display());
    let why = match e {
        rustls::Error::InconsistentKeys(_) => "do not belong together".to_string(),
        rustls::Error::InvalidCertificate(e) if verdict::is_of_version_1(e) => {
            format!("cannot be used: the certificate {}", verdict::VERSION_1)
        }
        other => format!("cannot be used: {other}"),
    };
    Failure::new(FailureKind::Secret, format!("certificate `{certificate}` and private key `{key}` {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::{Authority, Scratch};

    fn client(options: ClientOptions) -> Result<Arc<ClientConfig>, Failure> {
        Client::new(options).config()
    }

    #[test]
    fn a_configuration_is_kept_until_a_file_changes() {
        let dir = Scratch::new("tls-change");
        let ca = dir.write("ca.pem", &Authority::new("one").pem());
        let tls = Client::new(ClientOptions { ca: Some(ca.clone()), ..Default::default() });
        let first = tls.config().unwrap();
        assert!(Arc::ptr_eq(&first, &tls.config().unwrap()));
        dir.write("ca.pem", &Authority::new("another").pem());
        let second = tls.config().unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        tls.reload();
        assert!(!Arc::ptr_eq(&second, &tls.config().unwrap()));
        std::fs::remove_file(&ca).unwrap();
        let f = tls.config().unwrap_err();
        assert!(f.kind == FailureKind::Secret && f.text.contains("ca.pem") && f.text.contains("No such file"), "{f}");
    }

    #[test]
    fn the_systems_authorities_can_be_read() {
        if system_bundle().is_some() {
            let (roots, named) = trusted(&ClientOptions::default(), &mut Watch::default()).unwrap();
            assert!(named.is_empty() && roots.len() > 50, "{} authorities", roots.len());
        }
    }

    /// What `openssl x509 -req` makes when no extensions are asked for.
    #[test]
    fn a_certificate_of_version_1_is_told_as_such() {
        let path = format!("{}/tests/data/certificates/version-1-with-key.pem", env!("CARGO_MANIFEST_DIR"));
        let f = client(ClientOptions { certificate: Some(path.into()), ..Default::default() }).unwrap_err();
        assert!(f.kind == FailureKind::Secret && f.text.contains("X.509 version 1, which TLS refuses"), "{f}");
    }

    #[test]
    fn bad_files_are_sentences() {
        let dir = Scratch::new("tls-bad");
        let ca = Authority::new("ca");
        let (chain, key) = ca.issue("localhost");
        let other = ca.issue("localhost").1;
        let (ca, cert) = (dir.write("ca.pem", &ca.pem()), dir.write("cert.pem", &chain));
        let (key, other) = (dir.write("key.pem", &key), dir.write("other.pem", &other));
        let garbage = dir.write("garbage.pem", "no certificate here");
        let locked = dir
            .write("locked.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIC\n-----END ENCRYPTED PRIVATE KEY-----\n");
        let with = |ca: &PathBuf, cert: &PathBuf, key: &PathBuf| {
            let options = ClientOptions {
                ca: Some(ca.clone()),
                certificate: Some(cert.clone()),
                key: Some(key.clone()),
                ..Default::default()
            };
            client(options).map(|_| String::new()).unwrap_or_else(|f| {
                assert_eq!(f.kind, FailureKind::Secret);
                f.text
            })
        };
        assert_eq!(with(&ca, &cert, &key), "");
        assert!(with(&garbage, &cert, &key).contains("no certificate"));
        assert!(with(&ca, &garbage, &key).contains("no certificate"));
        assert!(with(&ca, &cert, &garbage).contains("no private key"));
        assert!(with(&ca, &cert, &cert).contains("no private key"));
        assert!(with(&ca, &cert, &other).contains("do not belong together"));
        let said = with(&ca, &cert, &locked);
        assert!(said.contains("encrypted") && said.contains("openssl pkey"), "{said}");
        let only_key = ClientOptions { ca: Some(ca), key: Some(key), ..Default::default() };
        assert!(client(only_key).unwrap_err().text.contains("--certificate"));
    }
}
