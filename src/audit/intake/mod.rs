//! From the database's pipe into the spool: read, separated, checked, numbered, written.
//!
//! Refuses: to know who the receivers are, to wait for one.

pub mod bell;
pub mod prefetch;
pub mod reader;
pub mod skips;
pub mod source;
pub mod writer;
pub mod writing;
