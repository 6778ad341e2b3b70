//! `gostech-metrics`: calls `metrics::main`, nothing else.

fn main() -> std::process::ExitCode {
    gostech::metrics::main()
}
