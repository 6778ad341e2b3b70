//! The peer: syslog-ng 3.38 with its `stdin()` source on a pipe and its `http()` destination, batch-lines 1000.
//!
//! `tests/run --peers` brings it, as it brings the peers of the tests; `GOSTECH_SYSLOG_NG` names another one. Without either,
//! or when it does not start, the peer's columns are left out, and that is said.

use crate::harness::{Den, Picodata};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Its kinds of disk buffer.
#[derive(Clone, Copy, PartialEq)]
pub enum Buffer {
    Reliable,
    Plain,
}

impl Buffer {
    pub fn name(self) -> &'static str {
        match self {
            Buffer::Reliable => "syslog-ng reliable",
            Buffer::Plain => "syslog-ng plain buffer",
        }
    }
}

/// The program, when it has answered once; said when there is none.
pub fn program() -> Option<PathBuf> {
    let program = std::env::var_os("GOSTECH_SYSLOG_NG").map_or_else(brought, PathBuf::from);
    let answer = Command::new(&program).arg("--version").stdin(Stdio::null()).output();
    if answer.is_ok_and(|a| a.status.success()) {
        return Some(program);
    }
    println!("  skipped: no syslog-ng that starts at {}; `tests/run --peers` brings it", program.display());
    None
}

/// Where `tests/run --peers` puts it.
fn brought() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target")).join("peers/bin/syslog-ng")
}

/// Starts it as the consumer of the pipe, sending to a port; `timeout` is what it may wait for a batch to fill, such as `batch-timeout(200)`.
pub fn start(program: &Path, den: &Den, port: u16, buffer: Buffer, timeout: &str) -> Picodata {
    run(program, den, buffer, &http(port, timeout), "stdin(")
}

/// The same to a stream of lines, with the reliable buffer.
pub fn start_network(program: &Path, den: &Den, port: u16) -> Picodata {
    let to = format!("network(\"127.0.0.1\" port({port}) transport(\"tcp\") template(\"${{MESSAGE}}\\n\")");
    run(program, den, Buffer::Reliable, &to, "stdin(")
}

/// Starts it as the one who follows the log that is there.
pub fn follow(program: &Path, den: &Den, port: u16, timeout: &str) -> Picodata {
    let source = format!("file(\"{}\" follow-freq(0.1) ", den.file("audit.log"));
    run(program, den, Buffer::Reliable, &http(port, timeout), &source)
}

/// A destination without its buffer.
fn http(port: u16, timeout: &str) -> String {
    format!(
        "http(url(\"http://127.0.0.1:{port}/\") method(\"POST\") body(\"${{MESSAGE}}\")\n\
         batch-lines(1000) batch-bytes(1048576) {timeout} delimiter(\",\") body-prefix(\"[\") body-suffix(\"]\")\n\
         headers(\"Content-Type: application/json\")"
    )
}

fn run(program: &Path, den: &Den, buffer: Buffer, destination: &str, source: &str) -> Picodata {
    let (home, program) = (den.path().display(), program.display());
    let kind = match buffer {
        Buffer::Reliable => "reliable(yes) mem-buf-size(16777216)",
        Buffer::Plain => "reliable(no) mem-buf-length(10000)",
    };
    let conf = format!(
        "@version: 3.38\n@module affile\n@module afsocket\n@module http\n@module disk-buffer\n\
         options {{ stats-freq(0); chain-hostnames(no); keep-hostname(yes); time-reopen(1); }};\n\
         source s {{ {source}flags(no-parse) log-iw-size(10000) log-fetch-limit(1000)); }};\n\
         destination d {{ {destination} disk-buffer({kind} disk-buf-size(2147483648) dir(\"{home}\"))); }};\n\
         log {{ source(s); destination(d); flags(flow-control); }};\n"
    );
    let path = den.put("syslog-ng.conf", conf);
    let command = format!("exec {program} -F --no-caps -f {path} -R {home}/persist -c {home}/ctl -p {home}/pid");
    Picodata::start(&command, den.path(), &[])
}
