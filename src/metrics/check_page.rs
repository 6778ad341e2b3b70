//! `--check` of what does not need the database: the page, its certificates and users, and the limits of this process.

use super::faults;
use super::options::Options;
use crate::limits;
use crate::net::address::Address;
use crate::net::expiry::{Expiry, Named};
use crate::net::porch;
use crate::net::target::is_localhost;
use crate::sys::clock::wall_ms;
use crate::sys::process;
use std::net::IpAddr;

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
    let now = wall_ms() / 1000;
    let mut good = certificates(options.certificates(), now, &mut out);
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

/// Says until when each certificate is valid; false: one is not valid now. What cannot be read is told as a fault.
fn certificates(files: Vec<Named>, now: i64, out: &mut String) -> bool {
    let expiry = Expiry::new(files);
    let mut good = true;
    for seen in expiry.look(now) {
        let (sign, text) = match (seen.wrong, seen.ends) {
            (Some(text), _) => (if seen.invalid { "fault    " } else { "warning  " }, text),
            (None, Some(end)) => ("validity ", format!("{}: {} days", seen.about, (end - now) / 86_400)),
            (None, None) => continue,
        };
        out.push_str(&format!("{sign} {text}\n"));
        good &= !seen.invalid;
    }
    good
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
    use crate::net::testing::{self_signed, Scratch};

    #[test]
    fn a_certificate_is_judged_as_the_running_program_judges_it() {
        let dir = Scratch::new("check-page");
        let both = dir.write("both.pem", &(self_signed(2026) + &self_signed(2036)));
        // 2027-01-15: of our own the first one counts, of authorities the last.
        let now = 1_800_000_000;
        let mut out = String::new();
        assert!(!certificates(vec![Named::certificate(&both)], now, &mut out));
        assert!(out.starts_with("fault     certificate `") && out.contains("has ended on 2026-11-21"), "{out}");
        out.clear();
        assert!(certificates(vec![Named::authority(&both)], now, &mut out));
        assert!(out.starts_with("validity  authority `") && out.ends_with("both.pem`: 3597 days\n"), "{out}");
        out.clear();
        let missing = Named::certificate(&dir.path("missing.pem"));
        assert!(certificates(vec![missing], now, &mut out) && out.is_empty(), "{out}");
    }

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
