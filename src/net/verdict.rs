//! What TLS says about the other side ○, as a sentence with its cure: the option that mends it, by the name that this
//! program has for it.

use crate::net::failure::{Failure, FailureKind};
use crate::net::key_size::WrongSize;
use crate::net::trust::is_authority;
use rustls::{AlertDescription, CertificateError};

/// Whose options a cure names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Those for receivers and pages.
    #[default]
    Receiver,
    /// Those for the database, as the database itself calls them.
    Database,
}

impl Names {
    /// The option for whom to trust.
    pub fn ca(self) -> &'static str {
        match self {
            Names::Receiver => "--ca-certificate",
            Names::Database => "--tls-ca",
        }
    }

    /// The option for our certificate.
    pub fn certificate(self) -> &'static str {
        match self {
            Names::Receiver => "--certificate",
            Names::Database => "--tls-cert",
        }
    }

    /// The option for its key.
    pub fn key(self) -> &'static str {
        match self {
            Names::Receiver => "--private-key",
            Names::Database => "--tls-key",
        }
    }
}

/// What TLS found, as a sentence with a cure.
pub fn failure(e: &rustls::Error, peer: &str, handshaking: bool, names: Names) -> Failure {
    let why = match e {
        rustls::Error::InvalidCertificate(c) => format!("its certificate {}", certificate_trouble(c, names)),
        rustls::Error::AlertReceived(alert) => alert_words(*alert, names),
        rustls::Error::InvalidMessage(_) if handshaking => {
            "what it answers is not TLS; is this a port for plain connections?".to_string()
        }
        rustls::Error::PeerIncompatible(_) => format!("no common version or cipher: {e}"),
        other => other.to_string(),
    };
    Failure::new(FailureKind::Tls, format!("TLS with `{peer}`: {why}"))
}

fn certificate_trouble(e: &CertificateError, names: Names) -> String {
    use CertificateError as C;
    match e {
        // A bad signature is that of an authority of the same name: one that was made anew.
        C::UnknownIssuer | C::BadSignature => {
            format!("is from nobody we trust: give its authority with {}", names.ca())
        }
        C::Expired | C::ExpiredContext { .. } => "has expired (or the clock here is wrong)".to_string(),
        C::NotValidYet | C::NotValidYetContext { .. } => "is not valid yet (or the clock here is wrong)".to_string(),
        C::NotValidForName => "is for another name: see --tls-server-name".to_string(),
        C::NotValidForNameContext { expected, presented } if presented.is_empty() => {
            let name = expected.to_str();
            format!("is for nobody (its common name counts no more): issue one with a subjectAltName for `{name}`")
        }
        C::NotValidForNameContext { expected, presented } => {
            // The library writes them as `DnsName("example.com")`.
            let bare = |name: &String| name.split('"').nth(1).unwrap_or(name).to_string();
            let names: String = presented.iter().map(bare).collect::<Vec<_>>().join(", ").chars().take(200).collect();
            format!("is not for `{}` but for {names}: see --tls-server-name", expected.to_str())
        }
        other if is_authority(other) => {
            format!(
                "is one of an authority (CA:TRUE): name this very one with {}, or issue one for the server",
                names.ca()
            )
        }
        old if is_of_version_1(old) => VERSION_1.to_string(),
        C::Other(other) if other.0.is::<WrongSize>() => other.0.to_string(),
        other => format!("is not acceptable: {other}"),
    }
}

/// What is to be said of a certificate that has no extensions.
pub const VERSION_1: &str = "is of X.509 version 1, which TLS refuses: have one of version 3 issued (with extensions)";

/// Whether it was refused for that. (The library has no name for it that others may use.)
pub fn is_of_version_1(e: &CertificateError) -> bool {
    matches!(e, CertificateError::Other(other) if other.0.to_string().contains("UnsupportedCertVersion"))
}

fn alert_words(alert: AlertDescription, names: Names) -> String {
    use AlertDescription as A;
    let cure = match alert {
        A::CertificateRequired | A::NoCertificate => {
            let (certificate, key) = (names.certificate(), names.key());
            return format!(
                "it refused us with the alert {alert:?}: it wants a client certificate ({certificate}, {key})"
            );
        }
        A::BadCertificate | A::UnknownCA | A::CertificateUnknown | A::AccessDenied | A::UnsupportedCertificate => {
            ": it does not accept our client certificate"
        }
        A::CertificateExpired | A::CertificateRevoked => ": our client certificate is not valid any more",
        A::HandshakeFailure => ": no common cipher, or it wants a client certificate",
        A::ProtocolVersion => ": it speaks neither TLS 1.2 nor 1.3",
        A::UnrecognisedName => ": it does not know the name we asked for (--tls-server-name)",
        _ => "",
    };
    format!("it refused us with the alert {alert:?}{cure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cure_names_the_options_of_the_program_that_says_it() {
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let required = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        for (names, ca, certificate) in
            [(Names::Receiver, "--ca-certificate", "--private-key"), (Names::Database, "--tls-ca", "--tls-key")]
        {
            let f = failure(&unknown, "db:1", true, names);
            assert!(f.kind == FailureKind::Tls && f.text.contains("db:1") && f.text.ends_with(ca), "{f}");
            let anew = rustls::Error::InvalidCertificate(CertificateError::BadSignature);
            assert!(failure(&anew, "db:1", true, names).text.ends_with(ca));
            let nobody = |presented: &[&str]| {
                let expected = rustls::pki_types::ServerName::try_from("db").unwrap();
                let presented = presented.iter().map(ToString::to_string).collect();
                let e = CertificateError::NotValidForNameContext { expected, presented };
                failure(&rustls::Error::InvalidCertificate(e), "db:1", true, names).text
            };
            assert!(nobody(&[]).ends_with("subjectAltName for `db`"));
            assert!(nobody(&["DnsName(\"a.b\")", "IpAddress(::1)"])
                .contains("not for `db` but for a.b, IpAddress(::1): see"));
            let f = failure(&required, "db:1", false, names);
            assert!(f.text.contains(names.certificate()) && f.text.contains(certificate), "{f}");
        }
    }
}
