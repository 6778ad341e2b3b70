//! ○ Records that are not where they should be. Refuses: to say why.

use super::EventId;

/// A stretch of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The first, by its number in the spool.
    pub from: u64,
    /// The last.
    pub to: u64,
    /// The event before them.
    pub before: Option<EventId>,
    /// The event after them.
    pub after: Option<EventId>,
}
