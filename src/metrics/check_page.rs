//! `--check` of what does not need the database: the page, its certificates and users, and the limits of this process.

use super::faults;
use super::options::Options;
use crate::limits;
use crate::net::address::Address;
use crate::net::pem;
use crate::net::porch;
use crate::net::target::is_localhost;
use crate::sys::process;
use std::net::IpAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The report on the page, and whether nothing is wrong.
pub fn report(options: &Options) -> (String, bool) {
    let mut out = String::new();
    let tls = options.web_tls.is_some();
    let closed = options.web_users.is_some() || options.web_tls.as_ref().is_some_and(|t| t.client_ca.is_some());
    for address in &options.addresses {
        let scheme = if tls { "https" } else { "http" };
        let who = if closed { "for those who are let in" } else { "for everyone who reaches it" };
        out.push_str(&format!("page      {scheme} at {address}, {who}\n"));
        if is_public(address) && !(tls && closed) {
            let lacks = match (tls, closed) {
                (false, false) => "without TLS and without users: give --web-tls-cert and --web-users",
                (false, true) => "without TLS, so passwords go in clear: give --web-tls-cert",
                _ => "without users: give --web-users or --web-client-ca",
            };
            out.push_str(&format!("warning   {address} can be reached from other machines, {lacks}\n"));
        }
    }
    if let Some(path) = &options.web_users {
        if let Ok(count) = porch::check_users(path) {
            out.push_str(&format!("users     {count} in `{}`\n", path.display()));
        }
    }
    let mut good = certificates(options, &mut out);
    for fault in faults::of_files(options).unwrap_or_default() {
        out.push_str(&format!("fault     {fault}\n"));
        good = false;
    }
    limits_of_this_process(&mut out);
    (out, good)
}

fn is_public(address: &Address) -> bool {
    match address {
        Address::Unix { .. } => false,
        Address::Tcp { host, .. } => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            !is_localhost(bare) && !bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
    }
}

/// Says until when each certificate is valid; false: one is not valid now.
fn certificates(options: &Options, out: &mut String) -> bool {
    let web = options.web_tls.iter().flat_map(|t| [Some(&t.certificate), t.client_ca.as_ref()]).flatten();
    let database = options.database.dial.tls.iter().flat_map(|tls| tls.files());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
    let mut good = true;
    for path in web.map(|p| p.as_path()).chain(database) {
        let (words, valid) = validity(path, now);
        out.push_str(&words);
        good &= valid;
    }
    good
}

fn validity(path: &Path, now: i64) -> (String, bool) {
    // What cannot be read is told as a fault.
    let Ok(all) = pem::validities(path, "certificate file") else { return (String::new(), true) };
    let Some(first) = all.first().copied().flatten() else { return (String::new(), true) };
    let days = (first.to - now) / 86_400;
    let path = path.display();
    match () {
        () if first.to < now => (format!("fault     certificate `{path}` has expired {} days ago\n", -days), false),
        () if first.from > now => (format!("fault     certificate `{path}` is not valid yet\n"), false),
        () if days < limits::CHECK_EXPIRY_DAYS => {
            (format!("warning   certificate `{path}` ends in {days} days\n"), true)
        }
        () => (format!("validity  certificate `{path}`: {days} days\n"), true),
    }
}

/// What the unit gives; by hand, what this session has.
fn limits_of_this_process(out: &mut String) {
    let descriptors = process::descriptor_limit();
    if descriptors < limits::METRICS_DESCRIPTORS {
        let least = limits::METRICS_DESCRIPTORS;
        out.push_str(&format!(
            "warning   {descriptors} descriptors here, {least} are needed: LimitNOFILE= or ulimit -n\n"
        ));
    }
    if let Some(bytes) = memory_limit().filter(|bytes| *bytes < limits::METRICS_MEMORY_BYTES) {
        let (has, wants) = (bytes >> 20, limits::METRICS_MEMORY_BYTES >> 20);
        out.push_str(&format!(
            "warning   {has} MiB of memory here, the largest page takes up to {wants}: MemoryMax=\n"
        ));
    }
}

/// The memory that this control group may have.
fn memory_limit() -> Option<u64> {
    let group = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = group.lines().find_map(|l| l.strip_prefix("0::"))?;
    std::fs::read_to_string(format!("/sys/fs/cgroup{path}/memory.max")).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_machines_reach_is_told_from_what_they_do_not() {
        let public = |text: &str| is_public(&Address::parse(text).unwrap());
        for text in ["127.0.0.1:1", "localhost:1", "[::1]:1", "127.8.0.1:1", "unix:/x"] {
            assert!(!public(text), "{text}");
        }
        for text in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "db.example:1"] {
            assert!(public(text), "{text}");
        }
    }
}
