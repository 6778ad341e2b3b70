//! The benches of `gostech-audit-log`: each figure beside a peer's in the same run, and the ratio.
//!
//! `cargo bench --bench audit -- [a] [b] [c] [d] [e] [p] [s] [t] [blocked]` (none: all).
//!
//! - `a` stdin to spool with the receiver down, 1 GB of real-like events, against `cat > file` on the same disk;
//! - `b` stdin to a receiver that only counts, and a backlog of a million events, against syslog-ng 3.38 and rsyslog;
//! - `c` memory at idle; the peaks of `a` and `b` are printed with them;
//! - `d` latency from a record's write to its arrival;
//! - `e` a log in a file followed to its end, against `tail -F | cat`, syslog-ng's `file()`, rsyslog's `imfile` and Fluent Bit's
//!   `tail`; how long a line takes; memory for a small log and for a large one;
//! - `p` packing of the spool's segments, against `gzip -1` and `zstd -1` of the same bytes;
//! - `s` `b` with sealing, by each hash, against `b` without; how fast an export is verified;
//! - `t` stdin to each kind of receiver, beside rsyslog's `omfwd`, `omrelp`, `omfile` and syslog-ng's `network()`;
//! - `blocked` the producer's longest blocked write, also with a disk that stalls half a second at each fsync.
//!
//! Settings by environment: `GOSTECH_AUDIT_BIN` another binary, `GOSTECH_BENCH_SCALE` a factor on the amounts (0.1 for a
//! quick look), `GOSTECH_BENCH_ROUNDS` rounds of each measure (3; the median is printed), `GOSTECH_SYSLOG_NG` another
//! syslog-ng, `TMPDIR` the disk. Nothing here fails when a goal is missed: it prints.
#![allow(clippy::print_stdout)] // printing is what a bench is for
// The oldest Rust is a promise about the programs; tests are built by today's.
#![allow(clippy::incompatible_msrv)]

#[path = "../../tests/it/harness/mod.rs"]
mod harness;

mod blocked;
mod come;
mod deliver;
mod fluent_bit;
mod follow;
mod latency;
mod measure;
mod pack;
mod producer;
mod rsyslog;
mod seal;
mod spool;
mod syslog_ng;
mod transports;

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|a| a == name);
    println!("binary {}", harness::setup::binary().display());
    let all: [(&str, fn()); 9] = [
        ("a", spool::run),
        ("b", deliver::run),
        ("c", measure::idle),
        ("d", latency::run),
        ("e", follow::run),
        ("p", pack::run),
        ("s", seal::run),
        ("t", transports::run),
        ("blocked", blocked::run),
    ];
    for (name, bench) in all {
        if wanted(name) {
            bench();
        }
    }
}
