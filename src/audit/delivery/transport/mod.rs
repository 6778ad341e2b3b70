//! The ways to a receiver: one row for each scheme, one file for each protocol.
//!
//! What `--url` knows, which formats and options go with it, what it promises, how it is opened and what it needs of the
//! cage stands in its row, and nowhere else is a transport asked for by name. Help, man page and READMEs are made of the
//! rows. Refuses: to know what an event is.

pub mod http;

use crate::audit::delivery::frame::Frame;
use crate::audit::delivery::parcel::Sink;
use crate::error::Result;
use crate::flags::{text, Entry, Text};
use crate::guard::files::Wish;
use crate::joined;
use crate::net::http::{Auth, HttpOptions};
use crate::net::target::{self, Scheme, Target};
use crate::net::tls;
use std::path::{Path, PathBuf};

/// When events count as taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The receiver has said so.
    Acknowledged,
    /// The other machine's kernel has them; what runs there may still lose them when it dies.
    ReachedPeer,
    /// They were sent.
    Sent,
}

impl Promise {
    /// Whether a receiver that dies may lose what counts as taken.
    pub const fn may_lose(self) -> bool {
        !matches!(self, Promise::Acknowledged)
    }
}

/// A row of the table.
#[derive(Debug)]
pub struct Transport {
    /// How its URLs look.
    pub scheme: &'static Scheme,
    /// How its URLs look, for people.
    pub url: &'static str,
    /// What it is, in a few words.
    pub about: Text,
    /// The formats that it takes; the first is the usual one.
    pub formats: &'static [&'static str],
    /// How events are put together; none: as the format says.
    pub frame: Option<Frame>,
    /// Options of a receiver that it takes, besides those of every receiver.
    pub options: &'static [&'static str],
    /// When events count as taken.
    pub promise: Promise,
    /// Makes its sink. What could not be right on any day is an error; nothing is connected or read yet.
    pub open: fn(&HttpOptions) -> Result<Box<dyn Sink>>,
    /// The files that it needs.
    pub wishes: fn(&HttpOptions) -> Vec<Wish>,
}

const FORMATS_OF_HTTP: &[&str] = &["json", "ndjson", "single", "gostech"];

const OVER_TCP: &[&str] = &[
    "gzip",
    "header",
    "proxy",
    "user",
    "password-file",
    "token-file",
    "ca-certificate",
    "system-ca",
    "certificate",
    "private-key",
    "tls-server-name",
    "send-timeout",
    "first-byte-timeout",
];

/// To a terminator on this machine: no name, no proxy and no TLS of ours.
const OVER_A_SOCKET: &[&str] =
    &["gzip", "header", "user", "password-file", "token-file", "send-timeout", "first-byte-timeout"];

/// What the rows of HTTP share.
const HTTP_POST: Transport = Transport {
    scheme: &target::HTTP,
    url: "http://HOST[:PORT][/URI]",
    about: text("HTTP POST", "HTTP POST"),
    formats: FORMATS_OF_HTTP,
    frame: None,
    // Those of TLS are of no use to `http`, and yet no fault: `check` says so. The day the URL is `https` they have to be right.
    options: OVER_TCP,
    promise: Promise::Acknowledged,
    open: http::open,
    wishes: files,
};

/// All transports.
pub const TRANSPORTS: &[Transport] = &[
    HTTP_POST,
    Transport {
        scheme: &target::HTTPS,
        url: "https://HOST[:PORT][/URI]",
        about: text("HTTP POST over TLS", "HTTP POST поверх TLS"),
        ..HTTP_POST
    },
    Transport {
        scheme: &target::HTTP_UNIX,
        url: "http+unix:///PATH/TO.SOCK[:/URI]",
        about: text(
            "HTTP POST to a Unix socket of this machine, as of a TLS terminator",
            "HTTP POST в сокет Unix этой машины, например терминатора TLS",
        ),
        options: OVER_A_SOCKET,
        ..HTTP_POST
    },
];

/// The files that options name: certificates, keys, secrets; those of the system's authorities where they are trusted.
fn files(options: &HttpOptions) -> Vec<Wish> {
    let t = &options.tls;
    let secret = match &options.auth {
        Auth::None => None,
        Auth::Basic { password, .. } => password.path(),
        Auth::Bearer(token) => token.path(),
    };
    let named = [t.ca.as_deref(), t.certificate.as_deref(), t.key.as_deref(), secret].into_iter().flatten();
    let named = named.chain(options.headers.iter().filter_map(|(_, value)| value.path()));
    let mut all: Vec<Wish> = named.map(|f| Wish::Read(f.to_path_buf())).collect();
    if options.target.is_tls() && (t.ca.is_none() || t.system_too) {
        all.extend(tls::system_bundles().into_iter().map(authorities));
    }
    all
}

/// Beside some of them lie the system's private keys.
fn authorities(file: PathBuf) -> Wish {
    match file.parent() == Some(Path::new("/etc/ssl")) {
        true => Wish::ReadAlone(file),
        false => Wish::Read(file),
    }
}

/// Options that every receiver has.
pub const OF_EVERY_RECEIVER: &[&str] = &[
    "url",
    "name",
    "optional",
    "failover",
    "format",
    "batch-events",
    "batch-bytes",
    "linger",
    "quarantine-max",
    "connect-timeout",
    "total-timeout",
];

/// The schemes that a URL may have.
pub fn schemes() -> Vec<&'static Scheme> {
    TRANSPORTS.iter().map(|t| t.scheme).collect()
}

/// The row by which a URL was read.
pub fn of(target: &Target) -> &'static Transport {
    let row = TRANSPORTS.iter().find(|t| t.scheme.name == target.scheme().name);
    row.expect("a receiver's URL is read by the schemes of this table")
}

/// Makes the sink to a receiver.
pub fn open(to: &HttpOptions) -> Result<Box<dyn Sink>> {
    (of(&to.target).open)(to)
}

/// The files that a receiver needs.
pub fn wishes(to: &HttpOptions) -> Vec<Wish> {
    (of(&to.target).wishes)(to)
}

/// `http://, https://, http+unix://`.
pub const SCHEMES: &str = joined!(&{
    let mut parts = [""; 3 * TRANSPORTS.len()];
    let mut i = 0;
    while i < TRANSPORTS.len() {
        parts[3 * i] = TRANSPORTS[i].scheme.name;
        parts[3 * i + 1] = "://";
        parts[3 * i + 2] = if i + 1 < TRANSPORTS.len() { ", " } else { "" };
        i += 1;
    }
    parts
});

/// The table for the documents.
pub static FOR_DOCUMENTS: [Entry; TRANSPORTS.len()] = {
    let mut all = [Entry { term: "", marked: false, meaning: text("", "") }; TRANSPORTS.len()];
    let mut i = 0;
    while i < all.len() {
        all[i] =
            Entry { term: TRANSPORTS[i].url, marked: TRANSPORTS[i].promise.may_lose(), meaning: TRANSPORTS[i].about };
        i += 1;
    }
    all
};
