//! The rules of the house as one table: what each holds, where, and a sample that it bites and one that it passes.
//!
//! To add a rule: write its `check`, add a row. A row without a sample that bites does not compile.

use super::code::File;

/// One rule.
pub struct Rule {
    pub name: &'static str,
    /// The faults of a file, as «line: what is wrong and what to do»; line 0 is the file itself.
    pub check: fn(&File) -> Vec<(usize, String)>,
    /// Path and text that the rule must refuse.
    pub bites: &'static [(&'static str, &'static str)],
    /// Path and text that the rule must leave alone.
    pub passes: &'static [(&'static str, &'static str)],
}

/// The floors of `src/lib.rs`, the highest first: a room uses rooms of higher floors, none of its own and none below.
pub const FLOORS: &[&[&str]] = &[
    &["limits"],
    &["backoff", "stamp", "hash", "json", "msgpack", "sorted"],
    &["error", "words"],
    &["flags", "sys"],
    &["log"],
    &["guard"],
    &["net"],
    &["iproto", "page"],
    &["watch"],
    &["audit", "metrics"],
];

/// The floors within a room, in the same order. What stands in the room itself (its `mod.rs`) draws them all together.
pub const INNER_FLOORS: &[(&str, &[&[&str]])] = &[(
    "audit",
    &[
        &["locks"],
        &["record", "alarm"],
        &["seal"],
        &["spool"],
        &["intake", "delivery"],
        &["options"],
        &["process"],
        &["tools"],
    ],
)];

/// Rooms that see no socket, file, thread, environment or clock (○ in the plan): a path, or a directory with its slash.
pub const PURE: &[&str] = &[
    "src/limits.rs",
    "src/limits/",
    "src/backoff.rs",
    "src/stamp.rs",
    "src/hash.rs",
    "src/json.rs",
    "src/msgpack.rs",
    "src/sorted.rs",
    "src/words.rs",
    "src/flags/",
    "src/log/gate.rs",
    "src/net/address.rs",
    "src/net/answer.rs",
    "src/net/der.rs",
    "src/net/failure.rs",
    "src/net/foreign.rs",
    "src/net/gzip.rs",
    "src/net/key_size.rs",
    "src/net/page.rs",
    "src/net/porch/head.rs",
    "src/net/proxy.rs",
    "src/net/reply.rs",
    "src/net/aes.rs",
    "src/net/scram.rs",
    "src/net/subject.rs",
    "src/net/target.rs",
    "src/net/target/",
    "src/net/validity.rs",
    "src/net/verdict.rs",
    "src/iproto/auth.rs",
    "src/iproto/md5.rs",
    "src/iproto/protocol.rs",
    "src/page/",
    "src/audit/alarm/mod.rs",
    "src/audit/delivery/batch.rs",
    "src/audit/delivery/event.rs",
    "src/audit/delivery/filter.rs",
    "src/audit/delivery/frame.rs",
    "src/audit/delivery/parcel.rs",
    "src/audit/delivery/transport/exec/words.rs",
    "src/audit/delivery/transport/file/rotation.rs",
    "src/audit/delivery/transport/kafka/count.rs",
    "src/audit/delivery/transport/kafka/crc32c.rs",
    "src/audit/delivery/transport/kafka/errors.rs",
    "src/audit/delivery/transport/kafka/records.rs",
    "src/audit/delivery/transport/kafka/wire.rs",
    "src/audit/spool/record.rs",
    "src/audit/spool/cursor.rs",
    "src/audit/delivery/format/",
    "src/audit/delivery/transport/relp/frame.rs",
    "src/audit/delivery/sender/between.rs",
    "src/audit/delivery/sender/proof.rs",
    "src/audit/delivery/sender/size.rs",
    "src/audit/options/in_force.rs",
    "src/audit/process/overview.rs",
    "src/audit/process/sealer/leaves.rs",
    "src/audit/process/sealer/progress.rs",
    "src/audit/record/",
    "src/audit/seal/",
    "src/audit/spool/ledger.rs",
    "src/audit/spool/moment.rs",
    "src/audit/spool/names.rs",
    "src/audit/spool/pack.rs",
    "src/audit/spool/slots.rs",
    "src/audit/tools/evidence/chain.rs",
    "src/audit/tools/evidence/claim.rs",
    "src/audit/tools/evidence/excuse.rs",
    "src/audit/tools/evidence/findings.rs",
    "src/audit/tools/evidence/judge.rs",
    "src/audit/tools/evidence/listing.rs",
    "src/audit/tools/evidence/report.rs",
    "src/audit/tools/evidence/said.rs",
    "src/audit/tools/evidence/shown.rs",
    "src/audit/tools/evidence/stretch.rs",
    "src/audit/tools/evidence/window.rs",
    "src/audit/tools/range.rs",
    "src/audit/tools/seals.rs",
    "src/metrics/assemble.rs",
    "src/metrics/queries/file.rs",
    "src/metrics/queries/statement.rs",
    "src/metrics/queries/table.rs",
    "src/metrics/catalog.rs",
    "src/metrics/options/table.rs",
    "src/metrics/own.rs",
    "src/metrics/overview.rs",
    "src/metrics/render/",
    "src/metrics/rules.rs",
    "src/metrics/snapshot.rs",
    "src/metrics/source/boxed.rs",
    "src/metrics/source/members.rs",
    "src/metrics/source/pico.rs",
    "src/metrics/source/sheet.rs",
    "src/metrics/text.rs",
    "src/metrics/tries.rs",
];

/// What a pure room may not name, by prefix of the path.
const IMPURE: &[&str] = &[
    "std::net",
    "std::fs",
    "std::thread",
    "std::env",
    "std::process",
    "std::os",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::sync::mpsc",
    "Instant::now",
    "SystemTime::now",
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "TcpStream::connect",
    "UdpSocket::bind",
    "crate::sys",
    "crate::log",
];

/// Addresses are values: these of `std::net` open nothing. And a look at many bytes at once asks nothing of the system.
const PURE_ALL_THE_SAME: &[&str] = &[
    "crate::sys::lanes",
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::SocketAddr",
    "std::net::SocketAddrV4",
    "std::net::SocketAddrV6",
    "std::process::ExitCode",
];

/// Lines of a function: what does not fit a screen is two things.
pub const FUNCTION_LINES: usize = 60;
/// Lines of a file, its tests included.
pub const FILE_LINES: usize = 600;
/// A sign is a sentence, not a label.
const SIGN_CHARS: usize = 25;

/// What no tracked file may hold, in two halves, so that this file does not. Directories of the machines it was
/// written on help nobody else.
const NOT_OURS: &[(&str, &str)] =
    &[("/tmp", "/wt"), ("/tmp", "/w/"), ("/work", "/main"), ("/work", "/shared"), ("/ro", "ot/"), ("arti", "factory")];

/// Unfinished work, in two halves for the same reason.
const UNFINISHED: &[(&str, &str)] =
    &[("todo", "!("), ("unimplemented", "!("), ("dbg", "!("), ("FIX", "ME"), ("XX", "X:"), ("TO", "DO")];

/// All rules.
pub const RULES: &[Rule] = &[
    Rule {
        name: "imports go down",
        check: imports_go_down,
        bites: &[
            ("src/json.rs", "use crate::log;\n"),
            ("src/audit/delivery/sender.rs", "fn f() { crate::metrics::main(); }\n"),
            ("src/metrics/mod.rs", "use crate::{error::Error, audit::spool};\n"),
            ("src/net/tls.rs", "use super::super::iproto::Client;\n"),
            ("src/hash.rs", "use crate::stamp;\n"),
            ("src/cellar.rs", "use crate::limits;\n"),
            ("src/audit/spool/a.rs", "use crate::audit::process::cage;\n"),
            ("src/audit/intake/a.rs", "use super::super::delivery::sender;\n"),
            ("src/audit/process/a.rs", "use crate::audit;\nfn f() { crate::audit::main(); }\n"),
        ],
        passes: &[
            (
                "src/audit/spool/mod.rs",
                "use crate::{limits, net::http, audit::record};\nuse super::super::audit::spool::disk;\n",
            ),
            ("src/audit/mod.rs", "use crate::audit::tools;\nuse process::keeper;\n"),
            (
                "src/json.rs",
                "//! see [`crate::audit`]\nuse crate::limits;\n#[cfg(test)]\nmod tests {\n use crate::log;\n}\n",
            ),
        ],
    },
    Rule {
        name: "pure rooms stay pure",
        check: pure_rooms,
        bites: &[
            ("src/backoff.rs", "use std::time::Instant;\nfn f() { Instant::now(); }\n"),
            ("src/net/target.rs", "use std::{net::{IpAddr, TcpStream}, fmt};\n"),
            ("src/audit/delivery/format/json.rs", "fn f() { std::fs::read(\"x\"); }\n"),
            ("src/flags/file.rs", "use std::env::var;\n"),
            ("src/json.rs", "use std::thread;\n"),
            ("src/stamp.rs", "fn f() { std::time::SystemTime::now(); }\n"),
        ],
        passes: &[
            ("src/net/target.rs", "use std::{net::{IpAddr, SocketAddr}, fmt, time::{Duration, Instant}};\n"),
            ("src/audit/delivery/sender.rs", "use std::thread;\n"),
            ("src/flags/file.rs", "fn f() { let s = \"std::fs::read\"; } // std::env\n"),
        ],
    },
    Rule {
        name: "what is pure says so",
        check: pure_signs,
        bites: &[
            ("src/json.rs", "//! JSON as bytes, and nothing else at all.\n"),
            ("src/audit/delivery/sender.rs", "//! ○ From the spool to a receiver, forever.\n"),
        ],
        passes: &[
            ("src/json.rs", "//! ○ JSON as bytes, and nothing else at all.\n"),
            ("src/json.rs", "//! JSON as bytes ○, and nothing else at all.\n"),
            ("src/audit/delivery/sender.rs", "//! From the spool to a receiver, forever.\n"),
            ("src/flags/tests/soup.rs", "//! Options in any order and form.\n"),
        ],
    },
    Rule {
        name: "a sign on every file",
        check: sign,
        bites: &[
            ("src/a.rs", "use std::fmt;\n"),
            ("src/a.rs", "//! (room)\n"),
            ("benches/a.rs", "// A comment, not a sign.\n"),
        ],
        passes: &[("src/a.rs", "//! What the room is for, and what it refuses to do.\n"), ("docs/a.md", "# a\n")],
    },
    Rule {
        name: "a function fits a screen",
        check: function_length,
        bites: &[("src/a.rs", LONG_FUNCTION)],
        passes: &[("src/a.rs", "trait T { fn a(&self) -> [u8; 4]; }\nfn b() { c(\"{\", '{', r#\"}\"#) }\n")],
    },
    Rule {
        name: "a file is one thing",
        check: file_length,
        bites: &[("src/a.rs", NEWLINES)],
        passes: &[("tests/data/a.txt", NEWLINES)],
    },
    Rule {
        name: "unsafe lives in sys, with its reason",
        check: unsafe_in_sys,
        bites: &[
            ("src/audit/mod.rs", "fn f() { unsafe { g() } }\n"),
            ("src/sys/a.rs", "\n\n\n\n\n\nfn f() {\n    let a = 1;\n    unsafe { g(a) }\n}\n"),
            ("tests/it/a.rs", "#![allow(unsafe_code)]\n"),
        ],
        passes: &[
            ("src/sys/a.rs", "fn f() {\n    // g reads nothing.\n    unsafe { g() }\n}\n"),
            ("src/audit/mod.rs", "// unsafe\nfn f() { let unsafely = \"unsafe\"; }\n"),
        ],
    },
    Rule {
        name: "nothing unfinished",
        check: unfinished,
        bites: &[
            ("src/a.rs", concat!("fn f() { todo", "!() }\n")),
            ("tests/a.rs", concat!("fn f() { dbg", "!(1) }\n")),
            ("docs/a.md", concat!("FIX", "ME: write this\n")),
        ],
        passes: &[("src/a.rs", "fn f() { done() }\n")],
    },
    Rule {
        name: "no path of a machine",
        check: machine_paths,
        bites: &[("docs/a.md", concat!("run it in /work", "/main\n")), ("tests/run", concat!("cd /tmp", "/wt/x\n"))],
        passes: &[("docs/a.md", concat!("run it in /var/lib/gostech-audit-log, see /proc/1/ro", "ot/run\n"))],
    },
];

const NEWLINES: &str = text(&[b'\n'; FILE_LINES + 1]);

const LONG_FUNCTION: &str = text(&LONG_FUNCTION_BYTES);
const LONG_FUNCTION_BYTES: [u8; FUNCTION_LINES + 12] = long_function();

const fn long_function() -> [u8; FUNCTION_LINES + 12] {
    let mut bytes = [b'\n'; FUNCTION_LINES + 12];
    let head = b"fn long() {";
    let mut at = 0;
    while at < head.len() {
        bytes[at] = head[at];
        at += 1;
    }
    bytes[FUNCTION_LINES + 11] = b'}';
    bytes
}

const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("a sample is text"),
    }
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn imports_go_down(file: &File) -> Vec<(usize, String)> {
    let Some(room) = file.room().filter(|_| !file.is_test()) else { return Vec::new() };
    let Some(own) = floor(room) else {
        return vec![(0, format!("room `{room}` is on no floor: add it to FLOORS and to src/lib.rs"))];
    };
    let mut faults = Vec::new();
    for (line, path) in file.paths() {
        let Some(used) = path.strip_prefix("crate::").and_then(|p| p.split("::").next()) else { continue };
        if used != room && floor(used).is_some_and(|theirs| theirs >= own) {
            faults.push((line, format!("`{room}` uses `{used}`, which is not above it")));
        }
    }
    faults.extend(inner_imports_go_down(file, room));
    faults
}

/// The same within a room.
fn inner_imports_go_down(file: &File, room: &str) -> Vec<(usize, String)> {
    let floors = INNER_FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floors)| *floors);
    let (Some(floors), Some(inner)) = (floors, file.inner_room()) else { return Vec::new() };
    let floor = |name: &str| floors.iter().position(|rooms| rooms.contains(&name));
    let mut faults = Vec::new();
    for (line, path) in file.paths() {
        let Some(used) = path.strip_prefix(&format!("crate::{room}::")).and_then(|p| p.split("::").next()) else {
            continue;
        };
        match (floor(used), floor(inner)) {
            _ if used == inner => {}
            (Some(theirs), Some(own)) if theirs < own => {}
            _ => faults.push((line, format!("`{room}::{inner}` uses `{used}`, which is not above it"))),
        }
    }
    faults
}

fn is_pure(path: &str) -> bool {
    PURE.iter().any(|pure| path == *pure || pure.ends_with('/') && path.starts_with(pure))
}

fn pure_rooms(file: &File) -> Vec<(usize, String)> {
    if !is_pure(&file.path) || file.is_test() {
        return Vec::new();
    }
    let within = |path: &str, list: &[&str]| {
        list.iter().any(|p| path.strip_prefix(p).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
    };
    let impure = |path: &str| within(path, IMPURE) && !within(path, PURE_ALL_THE_SAME);
    let paths = file.paths().into_iter().filter(|(_, path)| impure(path));
    paths.map(|(line, path)| (line, format!("a pure room names `{path}`: take a value instead"))).collect()
}

/// The sign ○ in the first line of a file and its row in `PURE` are one.
fn pure_signs(file: &File) -> Vec<(usize, String)> {
    let says = file.text.lines().next().is_some_and(|line| line.starts_with("//!") && line.contains('○'));
    match (says, is_pure(&file.path)) {
        _ if !file.rust() || !file.path.starts_with("src/") || file.is_test() => Vec::new(),
        (true, false) => vec![(1, "says that it is pure (○): add it to PURE".into())],
        (false, true) => vec![(1, "is pure, and its first line does not say so (○)".into())],
        _ => Vec::new(),
    }
}

fn sign(file: &File) -> Vec<(usize, String)> {
    let first = file.text.lines().find(|line| !line.starts_with("#!")).unwrap_or("");
    match first.strip_prefix("//! ") {
        _ if !file.rust() => Vec::new(),
        Some(sign) if sign.chars().count() >= SIGN_CHARS => Vec::new(),
        _ => vec![(1, "begins with no `//!` that says what the file is for and what it refuses to do".into())],
    }
}

fn function_length(file: &File) -> Vec<(usize, String)> {
    let long = file.functions().into_iter().filter(|f| f.lines > FUNCTION_LINES);
    long.map(|f| (f.line, format!("`{}` has {} lines, at most {FUNCTION_LINES}: it is two things", f.name, f.lines)))
        .collect()
}

fn file_length(file: &File) -> Vec<(usize, String)> {
    let lines = file.text.lines().count();
    match file.rust() && lines > FILE_LINES {
        true => vec![(0, format!("has {lines} lines, at most {FILE_LINES}: it is two files"))],
        false => Vec::new(),
    }
}

fn unsafe_in_sys(file: &File) -> Vec<(usize, String)> {
    if !file.rust() {
        return Vec::new();
    }
    let in_sys = file.path.starts_with("src/sys/");
    let mut faults = Vec::new();
    for line in file.lines_with_word("unsafe") {
        if !in_sys {
            faults.push((line, "`unsafe` outside of src/sys".into()));
        } else if !has_reason(file, line) {
            faults.push((line, "`unsafe` without its reason in a comment above".into()));
        }
    }
    if !in_sys {
        faults.extend(
            file.lines_with_word("unsafe_code").map(|line| (line, "`unsafe` allowed outside of src/sys".into())),
        );
    }
    faults
}

/// A comment on the line itself or on one of the five before it.
fn has_reason(file: &File, line: usize) -> bool {
    file.text.lines().skip(line.saturating_sub(6)).take(line.min(6)).any(|l| l.contains("//"))
}

/// Every line that holds one of the words, given in halves.
fn lines_with(file: &File, text: &str, words: &[(&str, &str)], what: &str) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    for (a, b) in words {
        let word = format!("{a}{b}");
        // Inside of a longer path or word it is something else: `/proc/PID/…`.
        let stands = |line: &str| {
            let mut places = line.match_indices(&word);
            places.any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '.'))
        };
        let lines = text.lines().enumerate().filter(|(_, line)| stands(line));
        faults.extend(lines.map(|(i, _)| (i + 1, format!("{what}: `{word}`"))));
    }
    // The samples of the rules hold what the rules refuse.
    if file.path.starts_with("tests/it/tidy/") {
        faults.clear();
    }
    faults
}

fn unfinished(file: &File) -> Vec<(usize, String)> {
    let text = if file.path.starts_with("tests/data/") { "" } else { &file.text };
    lines_with(file, text, UNFINISHED, "unfinished")
}

fn machine_paths(file: &File) -> Vec<(usize, String)> {
    lines_with(file, &file.text, NOT_OURS, "a path or host of somebody's machine")
}
