//! The audit helper: draws the processes and threads.

pub mod account;
pub mod batch;
pub mod format;
pub mod gap;
pub mod options;
pub mod quarantine;
pub mod record;
pub mod sender;
pub mod sink;
pub mod spool;
pub mod table;

/// Runs the program.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(0)
}
