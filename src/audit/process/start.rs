//! What a helper says when it begins: version, configuration, receivers, limits, source; and the spool as it was found.
//!
//! One line each, so that whoever reads the log later knows what was in force. Refuses: a secret (of a URL only the place).

use crate::audit::intake::source::Shown;
use crate::audit::options::{Options, Sync};
use crate::audit::spool::moment::Moment;
use crate::audit::spool::Full;
use crate::net::http::Auth;
use crate::words;
use std::path::Path;

/// The first line. `source`: what is read.
pub fn words(options: &Options, config: Option<&Path>, source: &Shown) -> String {
    let config = config.map_or_else(|| "no configuration file".into(), |f| format!("configuration `{}`", f.display()));
    let receivers: Vec<String> = options
        .receivers
        .iter()
        .map(|r| {
            let places: Vec<String> = r.targets.iter().map(|t| format!("`{}`", t.to.target.display())).collect();
            let login = match r.targets.first().map(|t| &t.to.auth) {
                Some(Auth::Basic { .. }) => ", with a password",
                Some(Auth::Bearer(_)) => ", with a token",
                _ => "",
            };
            let optional = if r.optional { ", optional" } else { "" };
            format!("{} to {} ({}{login}{optional})", r.name, places.join(" or "), r.form.format.name)
        })
        .collect();
    let full = match options.full {
        Full::Block => "block",
        Full::DropNewest => "drop-newest",
        Full::DropOldest => "drop-oldest",
    };
    let sync = match options.sync {
        Sync::Always => "always",
        Sync::Never => "never",
        Sync::Soon => "100ms",
    };
    let holds = source.holds.map(|bytes| format!(" of {}", words::size(bytes as u64))).unwrap_or_default();
    let source = format!("{}{holds}", source.what);
    let memory = words::size(options.memory_max);
    let version = env!("CARGO_PKG_VERSION");
    let to = receivers.join("; ");
    let seal =
        options.seal.as_ref().map(|seal| format!(", sealed in `{}`", words::shown(&seal.dir))).unwrap_or_default();
    format!(
        "version {version}, {config}; from {source}; {to}; spool-full {full}, memory-max {memory}, sync {sync}{seal}"
    )
}

/// The line about the spool.
pub fn spool_words(m: &Moment, place: &str) -> String {
    let waiting: Vec<String> = m
        .receivers
        .iter()
        .map(|r| {
            let whose = if r.live { "" } else { " (no such receiver is configured)" };
            format!("{} for {}{whose}", words::count(r.waiting(m.next), "event"), r.name)
        })
        .collect();
    let (live, max) = (words::size(m.bytes.live), words::size(m.bytes.max));
    let backlog = if waiting.is_empty() { "no events".to_string() } else { waiting.join(", ") };
    format!("`{place}`: {backlog} waiting; {live} of {max}")
}
