//! ○ Which proxy, if any: `--proxy URL`, or the environment's `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`.
//!
//! The environment comes in as a function. Never for Unix sockets; for this machine only when the option says so.
//! Refuses SOCKS and proxies that are spoken to over TLS, with a sentence.

use crate::error::{Error, Result};
use crate::json;
use crate::net::secret::Wiped;
use crate::net::target::{is_loopback, Place, Target, HTTP};
use std::fmt;
use std::net::IpAddr;

/// An HTTP proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// Port; 80 where the URL has none.
    pub port: u16,
    authorization: Option<Wiped>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.display())
    }
}

impl Proxy {
    /// Parses the URL of a proxy; a scheme may be missing, as in `proxy:3128`.
    pub fn parse(url: &str) -> Result<Proxy> {
        let lower = url.to_ascii_lowercase();
        if lower.starts_with("socks") || lower.starts_with("https://") {
            let what = "is not supported: give an HTTP proxy, as in http://proxy:3128";
            return Err(Error::usage(format!("this kind of proxy URL (socks, https) {what}")));
        }
        let whole = if url.contains("://") { url.to_string() } else { format!("http://{url}") };
        let target = Target::parse(&whole, &[&HTTP]).map_err(|e| Error::usage(format!("proxy: {e}")))?;
        let Place::Net { host, port } = target.place().clone() else {
            return Err(Error::usage(format!("proxy URL `{target}` is not like http://proxy:3128")));
        };
        let authorization = target.user().map(|user| {
            let pair = format!("{}:{}", user.name, user.password.as_deref().unwrap_or_default());
            let mut value = b"Basic ".to_vec();
            json::push_base64(&mut value, pair.as_bytes());
            Wiped::new(value)
        });
        Ok(Proxy { host, port, authorization })
    }

    /// The proxy that the environment names for this target. A proxy URL that cannot be used is an error: going around
    /// a proxy that was asked for would be worse.
    pub fn from_env(get: impl Fn(&str) -> Option<String>, target: &Target) -> Result<Option<Proxy>> {
        let Place::Net { host, port } = target.place() else { return Ok(None) };
        let get = |name: &str| {
            let value = get(&name.to_ascii_lowercase()).filter(|v| !v.is_empty());
            value.or_else(|| get(name).filter(|v| !v.is_empty()))
        };
        if is_loopback(host) || get("NO_PROXY").is_some_and(|list| excepted(&list, host, *port)) {
            return Ok(None);
        }
        let own = if target.is_tls() { "HTTPS_PROXY" } else { "HTTP_PROXY" };
        let Some((name, url)) = [own, "ALL_PROXY"].iter().find_map(|name| get(name).map(|value| (*name, value))) else {
            return Ok(None);
        };
        Proxy::parse(url.trim()).map(Some).map_err(|e| Error::usage(format!("environment {name}: {e}")))
    }

    /// The value of `Proxy-Authorization`, where the URL had userinfo.
    pub fn authorization(&self) -> Option<&[u8]> {
        self.authorization.as_ref().map(Wiped::bytes)
    }

    /// For people and logs.
    pub fn display(&self) -> String {
        format!("{}:{}", crate::net::target::bracketed(&self.host), self.port)
    }
}

/// `NO_PROXY`: `*`, names with everything below them (`.example.com`, `example.com`), addresses, networks
/// (`10.0.0.0/8`), each perhaps with a port.
fn excepted(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    list.split([',', ' ']).map(str::trim).filter(|e| !e.is_empty()).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        if entry == "*" {
            return true;
        }
        if let Ok(ip) = host.parse::<IpAddr>() {
            return address_matches(&entry, ip, port);
        }
        let (name, of_port) = match entry.rsplit_once(':') {
            Some((name, p)) => (name, p.parse::<u16>().ok() == Some(port)),
            None => (entry.as_str(), true),
        };
        let name = name.trim_start_matches("*.").trim_matches('.');
        of_port && !name.is_empty() && (host == name || host.strip_suffix(name).is_some_and(|h| h.ends_with('.')))
    })
}

fn address_matches(entry: &str, ip: IpAddr, port: u16) -> bool {
    if let Some((network, bits)) = entry.split_once('/') {
        let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
        return match (network, ip) {
            (IpAddr::V4(n), IpAddr::V4(a)) if bits <= 32 => {
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                n.to_bits() & mask == a.to_bits() & mask
            }
            (IpAddr::V6(n), IpAddr::V6(a)) if bits <= 128 => {
                let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
                n.to_bits() & mask == a.to_bits() & mask
            }
            _ => false,
        };
    }
    if let Ok(address) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
        return address == ip;
    }
    let Some((address, p)) = entry.rsplit_once(':') else { return false };
    address.trim_matches(['[', ']']).parse::<IpAddr>().ok() == Some(ip) && p.parse::<u16>().ok() == Some(port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::target::OF_HTTP;

    fn chosen(env: &[(&str, &str)], url: &str) -> Option<String> {
        let get = |name: &str| env.iter().find(|(k, _)| *k == name).map(|(_, v)| v.to_string());
        Proxy::from_env(get, &Target::parse(url, OF_HTTP).unwrap()).unwrap().map(|p| p.display())
    }

    #[test]
    fn the_environment_chooses_by_scheme() {
        let env = [("https_proxy", "http://s:1"), ("HTTP_PROXY", "h:2"), ("ALL_PROXY", "http://[::5]:3/")];
        assert_eq!(chosen(&env, "https://example.com").as_deref(), Some("s:1"));
        assert_eq!(chosen(&env, "http://example.com").as_deref(), Some("h:2"));
        assert_eq!(chosen(&env[2..], "http://example.com").as_deref(), Some("[::5]:3"));
        assert_eq!(chosen(&env, "http+unix:///x"), None);
        assert_eq!(chosen(&env, "https://localhost:99"), None);
        assert_eq!(chosen(&env, "https://[::1]:99"), None);
        assert_eq!(chosen(&[("https_proxy", ""), ("HTTPS_PROXY", "up:4")], "https://e.com").as_deref(), Some("up:4"));
    }

    #[test]
    fn exceptions_are_names_addresses_and_networks() {
        let no = |list: &str, url: &str| chosen(&[("ALL_PROXY", "p:1"), ("no_proxy", list)], url).is_none();
        assert!(no("*", "http://a.b"));
        assert!(no("x, example.com", "http://example.com"));
        assert!(no("example.com", "http://logs.example.com"));
        assert!(no(".example.com", "http://logs.example.com"));
        assert!(no("*.example.com:81", "http://logs.example.com:81"));
        assert!(!no("*.example.com:81", "http://logs.example.com"));
        assert!(!no("example.com", "http://badexample.com"));
        assert!(no("10.0.0.0/8", "http://10.200.3.4") && !no("10.0.0.0/8", "http://11.0.0.1"));
        assert!(no("0.0.0.0/0", "http://11.0.0.1") && no("fd00::/8", "http://[fd12::1]"));
        assert!(no("10.0.0.1:80", "http://10.0.0.1") && no("[fd00::1]", "http://[fd00::1]"));
        assert!(!no("10.0.0.1:81", "http://10.0.0.1") && !no("10.0.0.0/99", "http://10.0.0.1"));
    }

    #[test]
    fn what_it_cannot_use_it_says_without_secrets() {
        let p = Proxy::parse("http://me:hush@proxy:3128").unwrap();
        assert_eq!(p.authorization(), Some(&b"Basic bWU6aHVzaA=="[..]));
        assert!(!format!("{p:?}").contains("hush"));
        for bad in ["socks5://me:hush@p:1", "https://me:hush@p", "http+unix:///p", "http://me:hush@", ""] {
            let e = Proxy::parse(bad).unwrap_err();
            assert!(!e.text().contains("hush"), "{e}");
        }
    }
}
