//! What the integration tests and the benches of `gostech-audit-log` stand on: a Picodata that writes as the real one
//! does, receivers that record, count or misbehave, a generator of events, and a look at processes through `/proc`.
//!
//! Black box: it knows the contract of the programs and nothing of their insides. Refuses: `unsafe`, any address but
//! loopback, signals to processes it did not start.
#![allow(dead_code, unused_imports)] // the tests and the benches each use their own part of it

pub mod browser;
pub mod counter;
pub mod den;
pub mod dns;
pub mod events;
pub mod http;
pub mod ledger;
pub mod nginx;
pub mod page;
pub mod peer;
pub mod picodata;
pub mod procs;
pub mod receiver;
pub mod road;
pub mod rough;
pub mod rsyslog;
pub mod setup;
pub mod syslog_ng;
pub mod tls;
pub mod watch;

pub use den::{free_port, long, peer, wait, Den};
pub use events::Events;
pub use ledger::Ledger;
pub use page::Page;
pub use peer::Peer;
pub use picodata::Picodata;
pub use receiver::{Mode, Receiver};
pub use road::Road;
pub use setup::Setup;
