//! The peer: Fluent Bit, `tail` with its database and chunks on the disk, `http`; lines are parsed as JSON, so that events arrive
//! as such. `tests/run --bench-peers` builds it; without it its rows are left out, and that is said.

use crate::harness::den::peer_here;
use crate::harness::{Den, Picodata};
use std::path::{Path, PathBuf};

/// What it is called in the table.
pub const NAME: &str = "Fluent Bit tail, http";

/// The program; said when there is none.
pub fn program() -> Option<PathBuf> {
    let found = peer_here("fluent-bit");
    if found.is_none() {
        println!("  left out: no fluent-bit here; `tests/run --bench-peers` builds it");
    }
    found
}

/// Starts it as the one who follows the log that is there. `flush`: seconds between two deliveries.
pub fn follow(program: &Path, den: &Den, port: u16, flush: &str) -> Picodata {
    let home = den.path().display();
    let parsers = den.put("parsers.conf", "[PARSER]\n    Name json\n    Format json\n");
    let conf = format!(
        "[SERVICE]\n    Flush {flush}\n    Log_Level error\n    Parsers_File {parsers}\n    storage.path {home}/chunks\n    \
         storage.sync normal\n    storage.backlog.mem_limit 16M\n\
         [INPUT]\n    Name tail\n    Path {home}/audit.log\n    Read_from_Head true\n    Parser json\n    \
         DB {home}/tail.db\n    storage.type filesystem\n\
         [OUTPUT]\n    Name http\n    Match *\n    Host 127.0.0.1\n    Port {port}\n    URI /\n    Format json_lines\n    \
         Retry_Limit False\n"
    );
    let path = den.put("fluent-bit.conf", conf);
    Picodata::start(&format!("exec {} -c {path}", program.display()), den.path(), &[])
}
