//! `gostech-audit-log`: calls `audit::main`, nothing else.

fn main() -> std::process::ExitCode {
    gostech::audit::main()
}
