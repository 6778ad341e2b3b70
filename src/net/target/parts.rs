//! ○ The parts of a URL: hosts and ports, paths, escapes; each read, and written so that it is read again.
//!
//! Refuses: what has no use there (a query behind a path, a user before brokers), with a sentence's end that says the cure.

use crate::limits;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// An address as it stands in a URL: IPv6 in brackets.
pub fn bracketed(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_string(),
    }
}

/// `host`, `host:port`, `1.2.3.4:port`, `[v6]:port`.
pub(crate) fn host_and_port(text: &str) -> std::result::Result<(String, Option<u16>), &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or("has a `[` without its `]`")?;
            let address: Ipv6Addr = address.parse().map_err(|_| "has no IPv6 address between its brackets")?;
            match after.strip_prefix(':') {
                Some(port) => (address.to_string(), Some(port)),
                None if after.is_empty() => (address.to_string(), None),
                None => return Err("has something other than `:port` after its `]`"),
            }
        }
        None if text.matches(':').count() > 1 => return Err("has more than one `:` in its host (IPv6 needs brackets)"),
        None => match text.split_once(':') {
            Some((host, port)) => (plain_host(host)?, Some(port)),
            None => (plain_host(text)?, None),
        },
    };
    let port = port.map(port_number).transpose()?;
    Ok((host, port))
}

fn port_number(text: &str) -> std::result::Result<u16, &'static str> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port != 0 => Ok(port),
        _ => Err("has a port that is not a number from 1 to 65535"),
    }
}

fn plain_host(host: &str) -> std::result::Result<String, &'static str> {
    if host.is_empty() {
        return Err("has no host");
    }
    if host.len() > limits::HOST_BYTES || host.split('.').any(|label| label.len() > 63) {
        return Err("has a host name that is longer than DNS allows");
    }
    if !host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
        return Err("has a host with characters that no host name has");
    }
    if host.starts_with(['.', '-']) || host.contains("..") {
        return Err("has an empty label in its host name");
    }
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    if !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()) && host.parse::<Ipv4Addr>().is_err() {
        return Err("has no valid IPv4 address as its host");
    }
    Ok(host.to_ascii_lowercase())
}

pub(super) fn path_and_query(text: &str) -> std::result::Result<String, &'static str> {
    if text.bytes().any(|b| matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')) {
        return Err("has a character in its path or query that must be percent-encoded");
    }
    if !escapes_are_whole(text) {
        return Err("has a `%` in its path or query that is not followed by two hexadecimal digits");
    }
    Ok(match text {
        "" => "/".to_string(),
        query if query.starts_with('?') => format!("/{query}"),
        other => other.to_string(),
    })
}

fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let after = after.as_bytes();
        after.len() >= 2 && after[0].is_ascii_hexdigit() && after[1].is_ascii_hexdigit()
    })
}

/// A socket's path as it stands in a URL, and harmless in a log.
pub(super) fn encoded(path: &Path) -> String {
    let mut out = String::new();
    for b in path.as_os_str().as_encoded_bytes() {
        match b {
            0..=b' ' | 0x7f.. | b'%' | b':' | b'?' | b'#' => out.push_str(&format!("%{b:02X}")),
            _ => out.push(char::from(*b)),
        }
    }
    out
}

/// Percent-decoding; nothing when an escape is cut or the result is no UTF-8.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b != b'%' {
            out.push(b);
            continue;
        }
        let high = (bytes.next()? as char).to_digit(16)?;
        let low = (bytes.next()? as char).to_digit(16)?;
        out.push((high * 16 + low) as u8);
    }
    String::from_utf8(out).ok()
}

/// `/path/to/file`
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if !text.starts_with('/') {
        return Err("needs an absolute path: three slashes, as in file:///var/log/x".into());
    }
    if text.contains('?') {
        return Err("has a query, which nobody here reads: write %3F where the path has a `?`".into());
    }
    let path = decoded(text).ok_or("has a bad %-escape in its path")?;
    if path.contains('\0') || path.len() > limits::PATH_BYTES {
        return Err(format!("has a path that is longer than {} bytes or holds a zero byte", limits::PATH_BYTES));
    }
    if path.ends_with('/') || path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err("names a directory, or goes through `.` or `..`: write the plain path".into());
    }
    Ok(PathBuf::from(path))
}

/// `host:port,host:port/name`: the hosts, and what stands behind them.
pub(super) fn hosts(text: &str, usual: u16) -> Result<(Vec<(String, u16)>, String), String> {
    let (list, uri) = text.split_at(text.find(['/', '?']).unwrap_or(text.len()));
    if list.contains('@') {
        return Err("has a user in it, for everyone to see: write --user and --password-file".into());
    }
    if uri.contains('?') {
        return Err("has a query, which nobody here reads".into());
    }
    let one = |text| host_and_port(text).map(|(host, port)| (host, port.unwrap_or(usual)));
    let hosts = list.split(',').map(one).collect::<Result<Vec<_>, _>>()?;
    match hosts.len() > limits::URL_HOSTS {
        true => Err(format!("names more than {} hosts: a few of them are enough", limits::URL_HOSTS)),
        false => Ok((hosts, if uri.is_empty() { "/".into() } else { uri.into() })),
    }
}

/// The hosts as they stand in a URL.
pub(super) fn listed(hosts: &[(String, u16)], usual: u16) -> String {
    let one = |(host, port): &(String, u16)| match *port == usual {
        true => bracketed(host),
        false => format!("{}:{port}", bracketed(host)),
    };
    hosts.iter().map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::super::{Scheme, Shape, Target};
    use super::*;
    use crate::error::Result;
    use std::path::Path;

    const FILE: Scheme = Scheme { name: "file", shape: Shape::File, tls: false };
    const KAFKA: Scheme = Scheme { name: "kafka", shape: Shape::Hosts { port: 9092 }, tls: false };
    const JOURNAL: Scheme = Scheme { name: "journald", shape: Shape::Usual { path: "/run/j.sock" }, tls: false };
    const OUT: Scheme = Scheme { name: "-", shape: Shape::Word, tls: false };

    fn parse(url: &str) -> Result<Target> {
        Target::parse(url, &[&FILE, &KAFKA, &JOURNAL, &OUT])
    }

    #[test]
    fn what_is_shown_is_read_again() {
        for (url, shown) in [
            ("file:///var/log/a%20b/x.jsonl", "file:///var/log/a%20b/x.jsonl"),
            ("FILE:///x%3Fy", "file:///x%3Fy"),
            ("kafka://B1,b2:9093,[::1]:1/audit.log", "kafka://b1,b2:9093,[::1]:1/audit.log"),
            ("kafka://b1:9092/t", "kafka://b1/t"),
            ("journald://", "journald://"),
            ("journald:///run/j.sock", "journald://"),
            ("journald:///run/other", "journald:///run/other"),
            ("-", "-"),
        ] {
            let target = parse(url).unwrap();
            assert_eq!(target.display(), shown);
            assert!(parse(shown).unwrap() == target, "{url}");
        }
        let t = parse("kafka://b1,b2:9093/t").unwrap();
        assert_eq!((t.hosts(), t.uri(), t.path()), (&[("b1".into(), 9092), ("b2".into(), 9093)][..], "/t", None));
        assert_eq!(parse("file:///a%3Ab").unwrap().path(), Some(Path::new("/a:b")));
        assert_eq!(parse("journald://").unwrap().path(), Some(Path::new("/run/j.sock")));
    }

    #[test]
    fn what_has_no_use_there_is_refused_with_its_cure() {
        for (url, word) in [
            ("file://var/log/x", "absolute"),
            ("file://", "absolute"),
            ("file:///var/log/", "directory"),
            ("file:///var/../x", "`..`"),
            ("file:///x?y", "%3F"),
            ("file:///%zz", "%-escape"),
            ("file:///%00", "zero byte"),
            ("kafka://u:s3cret@b1/t", "--password-file"),
            ("kafka://b1,/t", "no host"),
            ("kafka:///t", "no host"),
            ("kafka://b1:0/t", "port"),
            ("kafka://b1/t?x=s3cret", "query"),
            ("journald://x", "absolute"),
            ("-x", "no scheme"),
            ("-://", "unknown"),
        ] {
            let e = parse(url).unwrap_err();
            assert!(e.text().contains(word) && !e.text().contains("s3cret"), "{url}: {e}");
        }
        let many = vec!["b"; limits::URL_HOSTS + 1].join(",");
        assert!(parse(&format!("kafka://{many}/t")).is_err());
    }
}
