//! Own queries: SELECTs of a file as families, each at its own interval, over a connection and by a thread of their own.
//!
//! What a query brought stands on every page until its next turn; what failed is not shown, and told: nothing old is shown as
//! new. One that takes too long is asked less and less often, one that is denied only after minutes, since each denial is an
//! event in the audit log. Refuses: statements that do not read (`statement`), and to hold up a poll.

pub mod file;
pub mod run;
mod statement;
pub mod table;

use super::rules::Tally;
use super::snapshot::Snapshot;
use std::sync::Arc;

/// What is told of a query.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Its family.
    pub name: String,
    /// What it brought; none: its last run failed.
    pub brought: Option<Arc<Snapshot>>,
    /// Rows of the last run.
    pub rows: usize,
    /// How long it took, in seconds.
    pub took: f64,
    /// When it last brought something, in seconds since 1970.
    pub last: Option<f64>,
    /// Runs that failed, by reason.
    pub failures: Tally,
}
