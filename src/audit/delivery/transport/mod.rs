//! The ways to a receiver: one row for each scheme, one file for each protocol.
//!
//! What `--url` knows, which formats and options go with it, what it promises, how it is opened and what it needs of the
//! cage stands in its row, and nowhere else is a transport asked for by name. Help, man page and READMEs are made of the
//! rows. Refuses: to know what an event is.

pub mod bulk;
pub mod exec;
pub mod file;
pub mod gelf;
pub mod http;
pub mod journald;
pub mod kafka;
pub mod loki;
pub mod otlp;
pub mod pipe;
pub mod relp;
pub mod route;
pub mod row;
pub mod stream;
pub mod syslog;
#[cfg(test)]
mod testing;

use crate::audit::delivery::parcel::Sink;
use crate::error::Result;
use crate::flags::{text, Entry};
use crate::guard::files::Wish;
use crate::net::target::{Scheme, Target};
pub use route::Route;
pub use row::{Promise, Transport, OF_EVERY_RECEIVER};

/// All transports.
pub const TRANSPORTS: &[Transport] = &[
    http::PLAIN,
    http::TLS,
    http::UNIX,
    stream::TCP,
    stream::TLS,
    stream::UNIX,
    syslog::UDP,
    syslog::TCP,
    syslog::TLS,
    syslog::UNIX,
    relp::PLAIN,
    relp::TLS,
    file::FILE,
    pipe::FIFO,
    pipe::STDOUT,
    bulk::PLAIN,
    bulk::TLS,
    loki::PLAIN,
    loki::TLS,
    otlp::PLAIN,
    otlp::TLS,
    gelf::HTTP,
    gelf::HTTPS,
    gelf::TCP,
    gelf::TLS,
    gelf::UDP,
    journald::JOURNALD,
    kafka::PLAIN,
    kafka::TLS,
    exec::EXEC,
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
pub fn open(route: &Route) -> Result<Box<dyn Sink>> {
    (of(&route.to.target).open)(route)
}

/// The files that a receiver needs.
pub fn wishes(route: &Route) -> Vec<Wish> {
    (of(&route.to.target).wishes)(route)
}

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
