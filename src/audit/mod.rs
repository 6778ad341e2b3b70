//! The audit helper: draws the processes and threads.

pub mod account;
pub mod gap;
pub mod record;
pub mod spool;

/// Runs the program.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(0)
}
