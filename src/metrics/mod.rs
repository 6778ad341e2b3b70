//! The metrics helper: draws the threads.

pub mod asker;
pub mod catalog;
pub mod login;
pub mod render;
pub mod rules;
pub mod snapshot;
pub mod source;
pub mod text;

/// Runs the program.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(0)
}
