//! The metrics helper: draws the threads.

/// Runs the program.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(0)
}
