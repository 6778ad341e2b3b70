//! The audit helper: draws the processes and threads.

/// Runs the program.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(0)
}
