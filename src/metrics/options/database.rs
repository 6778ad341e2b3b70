//! Where the database is, and how it is spoken to.

use super::page::path;
use crate::error::Result;
use crate::flags::{value, Parsed};
use crate::limits;
use crate::metrics::asker;
use crate::net::dial::Dial;
use crate::net::target::Place;
use crate::net::tls;
use crate::net::verdict::Names;
use std::sync::Arc;
use std::time::Duration;

/// The way to the database.
pub fn find(parsed: &Parsed, warnings: &mut Vec<String>) -> Result<asker::Address> {
    let place = match parsed.get("socket") {
        Some(item) => Place::Unix { path: value::path(item)? },
        None => tcp(parsed)?,
    };
    let options = tls::ClientOptions {
        names: Names::Database,
        ca: path(parsed, "tls-ca")?,
        system_too: false,
        certificate: path(parsed, "tls-cert")?,
        key: path(parsed, "tls-key")?,
        server_name: parsed.get("tls-server-name").map(value::nonempty).transpose()?.map(str::to_string),
    };
    if let (None, Some(key)) = (&options.certificate, parsed.get("tls-key")) {
        return Err(key.error("a private key needs its certificate: name it with --tls-cert"));
    }
    let on = parsed.is_on("tls-auth");
    if !on && (options.ca.is_some() || options.certificate.is_some() || options.key.is_some()) {
        warnings.push(
            "--tls-ca, --tls-cert and --tls-key are of no use without --tls-auth: the connection is in clear".into(),
        );
    }
    let second = Duration::from_secs(1);
    let patience = value::duration_within(&parsed.need("timeout"), second / 10..=60 * second)?;
    let tls = on.then(|| Arc::new(tls::Client::new(options)));
    Ok(asker::Address { dial: Dial { place, proxy: None, tls }, patience })
}

fn tcp(parsed: &Parsed) -> Result<Place> {
    let (host, port) = (parsed.need("host"), parsed.need("port"));
    let name = value::nonempty(&host)?;
    let name = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.:%".contains(c);
    if !name.chars().all(known) || name.len() > limits::HOST_BYTES {
        return Err(host.error("this is no host name and no address; the port goes into --port"));
    }
    Ok(Place::Net { host: name.to_string(), port: value::count(&port, 1..=65535)? as u16 })
}
