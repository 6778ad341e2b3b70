//! Two helpers for Picodata in one library: `gostech-audit-log` and `gostech-metrics`.
//!
//! The front door: a map of the rooms, and one rule, «imports go down». A room may use what stands above it in this
//! list and nothing below; `audit` and `metrics` never use each other. `tests/it/tidy.rs` holds it.
//!
//! ```text
//! limits  → backoff, stamp, hash, json, msgpack, sorted → error, words → flags, sys → log → guard → net → iproto, page → watch → audit | metrics
//! ```

pub mod limits;

pub mod backoff;
pub mod hash;
pub mod json;
pub mod msgpack;
pub mod sorted;
pub mod stamp;

pub mod error;
pub mod words;

pub mod flags;
pub mod sys;

pub mod log;

pub mod guard;

pub mod net;

pub mod iproto;
pub mod page;

pub mod watch;

pub mod audit;
pub mod metrics;
