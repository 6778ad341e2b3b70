//! Numbers to those who wait for them: the table of outlets, and a thread for each that is configured.
//!
//! ```text
//! clock ─ readings ─▶ shot ─▶ queue ─▶ push-NAME: render ─▶ wire ─▶ outlet
//! ```
//!
//! The database is asked once for all. An outlet that hangs holds up nobody: it has a thread and a queue of its own. Refuses:
//! to push old numbers as new ones when the database is down; `picodata_up 0` goes then.

pub mod collectd;
pub mod counts;
pub mod graphite;
pub mod influx;
pub mod local;
pub mod otlp;
pub mod posted;
pub mod prometheus;
pub mod queue;
pub mod row;
pub mod statsd;
pub mod wire;
pub mod work;

use crate::flags::{text, Entry};
use crate::net::target::{Scheme, Target};
pub use row::{Outlet, Route};

/// All outlets.
pub const OUTLETS: &[Outlet] = &[
    graphite::TCP,
    graphite::TLS,
    graphite::UDP,
    statsd::UDP,
    statsd::TCP,
    collectd::UNIX,
    collectd::NETWORK,
    influx::HTTP,
    influx::HTTPS,
    influx::UDP,
    otlp::HTTP,
    otlp::HTTPS,
    prometheus::REMOTE_WRITE,
    prometheus::REMOTE_WRITE_TLS,
    prometheus::VICTORIA,
    prometheus::VICTORIA_TLS,
    prometheus::PUSHGATEWAY,
    prometheus::PUSHGATEWAY_TLS,
    local::FILE,
    local::STDOUT,
];

/// The schemes that a URL may have.
pub fn schemes() -> Vec<&'static Scheme> {
    OUTLETS.iter().map(|o| o.scheme).collect()
}

/// The row by which a URL was read.
pub fn of(target: &Target) -> &'static Outlet {
    let row = OUTLETS.iter().find(|o| o.scheme.name == target.scheme().name);
    row.expect("an outlet's URL is read by the schemes of this table")
}

/// The table for the documents.
pub static FOR_DOCUMENTS: [Entry; OUTLETS.len()] = {
    let mut all = [Entry { term: "", marked: false, meaning: text("", "") }; OUTLETS.len()];
    let mut i = 0;
    while i < all.len() {
        all[i] = Entry { term: OUTLETS[i].url, marked: OUTLETS[i].timed, meaning: OUTLETS[i].about };
        i += 1;
    }
    all
};
