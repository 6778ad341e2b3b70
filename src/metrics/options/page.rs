//! Where the page is, who may see it, and how old its numbers may be.

use crate::error::Result;
use crate::flags::{value, Item, Parsed};
use crate::limits;
use crate::net::address::Address;
use crate::net::target::host_and_port;
use crate::net::tls;
use std::path::PathBuf;
use std::time::Duration;

/// How old a reading may be.
pub fn floor(parsed: &Parsed) -> Result<Duration> {
    value::duration_within(&parsed.need("min-interval"), Duration::ZERO..=Duration::from_secs(3600))
}

/// How often to poll unasked, if at all: never more often than polls may be.
pub fn interval(parsed: &Parsed) -> Result<Option<Duration>> {
    let item = parsed.need("poll-interval");
    let interval = value::duration_within(&item, Duration::ZERO..=Duration::from_secs(86_400))?;
    if !interval.is_zero() && interval < floor(parsed)? {
        let floor = parsed.need("min-interval");
        return Err(item.error(format!("shorter than {} (`{}`)", floor.at(), floor.value)));
    }
    Ok(Some(interval).filter(|i| !i.is_zero()))
}

/// What of the scraper's patience is kept for the way back.
pub fn offset(parsed: &Parsed) -> Result<Duration> {
    value::duration_within(&parsed.need("scrape-timeout-offset"), Duration::ZERO..=Duration::from_secs(60))
}

/// Where to listen.
pub fn addresses(parsed: &Parsed) -> Result<Vec<Address>> {
    let mut all: Vec<Item> = parsed.all("addr").into_iter().cloned().collect();
    all.extend(parsed.get("unix-socket").map(|item| item.saying(format!("unix:{}", item.value))));
    if all.is_empty() {
        all.push(parsed.need("addr"));
    }
    if let Some(item) = all.get(limits::METRICS_ADDRESSES) {
        return Err(item.error(format!("more than {} addresses", limits::METRICS_ADDRESSES)));
    }
    all.iter().map(|item| Address::parse(&item.value).map_err(|e| item.error(e))).collect()
}

/// Who may be probed: places, and `discovered`.
pub fn probes(parsed: &Parsed) -> Result<Vec<String>> {
    let all = parsed.all("probe");
    if let Some(item) = all.get(limits::METRICS_PROBES) {
        return Err(item.error(format!("more than {} places", limits::METRICS_PROBES)));
    }
    for item in &all {
        let place = host_and_port(&item.value).is_ok_and(|(_, port)| port.is_some());
        match item.value.as_str() {
            "discovered" if !parsed.is_on("discover") => return Err(item.error("`discovered` needs --discover")),
            "discovered" => {}
            _ if !place => return Err(item.error("write HOST:PORT, or `discovered`")),
            _ => {}
        }
    }
    Ok(all.into_iter().map(|item| item.value.clone()).collect())
}

/// HTTPS, if it is wanted.
pub fn web_tls(parsed: &Parsed) -> Result<Option<tls::ServerOptions>> {
    let (key, client_ca) = (path(parsed, "web-tls-key")?, path(parsed, "web-client-ca")?);
    match path(parsed, "web-tls-cert")? {
        Some(certificate) => Ok(Some(tls::ServerOptions { certificate, key, client_ca })),
        None => match parsed.get("web-tls-key").or(parsed.get("web-client-ca")) {
            Some(alone) => Err(alone.error("needs `--web-tls-cert`: pages without TLS have no use for it")),
            None => Ok(None),
        },
    }
}

/// The file that an option names.
pub fn path(parsed: &Parsed, name: &str) -> Result<Option<PathBuf>> {
    parsed.get(name).map(value::path).transpose()
}
