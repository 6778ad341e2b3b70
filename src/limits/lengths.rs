//! ○ Lengths by which others are measured: of names, lines and the copies of small files. Refuses: a bound without its reason.

/// Names of receivers and instances: they are file names, metric labels and short for people.
pub const LABEL_BYTES: usize = 64;
/// What a pipe takes whole or not at all (PIPE_BUF).
pub const PIPE_ATOM_BYTES: usize = 4096;
/// Receivers whose names stand in the state; a name is at most 64 bytes.
pub const STATE_RECEIVERS: usize = 64;
/// The room of one copy of the state (counters, gaps, titles).
pub const STATE_SLOT_BYTES: u64 = 256 * 1024;
/// The room of one copy of a cursor.
pub const CURSOR_SLOT_BYTES: u64 = 4 * 1024;
/// Each copy of how far sealing is: an edge of 64 hashes, the last ids, and the streams before.
pub const SEAL_SLOT_BYTES: u64 = 16 * 1024;
