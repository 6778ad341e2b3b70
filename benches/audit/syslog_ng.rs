//! The peer: syslog-ng 3.38 with its `stdin()` source on a pipe and its `http()` destination, batch-lines 1000.
//!
//! `GOSTECH_SYSLOG_NG` names the root of the unpacked packages; without it they are fetched by apt-get and unpacked
//! below `target/`, never installed (they conflict with rsyslog). Without either the peer's columns are left out.

use crate::harness::{Den, Picodata};
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGES: [&str; 6] = ["syslog-ng-core", "syslog-ng-mod-http", "libivykis0", "libnet1", "libjson-c5", "libwrap0"];

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

/// The root of the unpacked packages; said when there is none.
pub fn root() -> Option<PathBuf> {
    let root = match std::env::var_os("GOSTECH_SYSLOG_NG") {
        Some(path) => PathBuf::from(path),
        None => fetched(),
    };
    if root.join("usr/sbin/syslog-ng").is_file() {
        return Some(root);
    }
    println!("  skipped: no syslog-ng in {}", root.display());
    None
}

fn fetched() -> PathBuf {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/syslog-ng");
    let root = cache.join("root");
    if root.join("usr/sbin/syslog-ng").is_file() || std::fs::create_dir_all(&cache).is_err() {
        return root;
    }
    let _ = Command::new("apt-get").arg("download").args(PACKAGES).current_dir(&cache).output();
    let debs = std::fs::read_dir(&cache).into_iter().flatten().flatten().map(|e| e.path());
    for deb in debs.filter(|p| p.extension().is_some_and(|e| e == "deb")) {
        let _ = Command::new("dpkg").arg("-x").arg(deb).arg(&root).output();
    }
    root
}

/// Starts it as the consumer of the pipe, sending to a port; `timeout` is what it may wait for a batch to fill, such as `batch-timeout(200)`.
pub fn start(root: &Path, den: &Den, port: u16, buffer: Buffer, timeout: &str) -> Picodata {
    let (home, root) = (den.path().display(), root.display());
    let kind = match buffer {
        Buffer::Reliable => "reliable(yes) mem-buf-size(16777216)",
        Buffer::Plain => "reliable(no) mem-buf-length(10000)",
    };
    let conf = format!(
        "@version: 3.38\n@module affile\n@module http\n@module disk-buffer\n\
         options {{ stats-freq(0); chain-hostnames(no); keep-hostname(yes); time-reopen(1); }};\n\
         source s {{ stdin(flags(no-parse) log-iw-size(10000) log-fetch-limit(1000)); }};\n\
         destination d {{ http(url(\"http://127.0.0.1:{port}/\") method(\"POST\") body(\"${{MESSAGE}}\")\n\
         batch-lines(1000) batch-bytes(1048576) {timeout} delimiter(\",\") body-prefix(\"[\") body-suffix(\"]\")\n\
         headers(\"Content-Type: application/json\") disk-buffer({kind} disk-buf-size(2147483648) dir(\"{home}\"))); }};\n\
         log {{ source(s); destination(d); flags(flow-control); }};\n"
    );
    let path = den.put("syslog-ng.conf", conf);
    let command = format!(
        "exec env LD_LIBRARY_PATH={root}/usr/lib/x86_64-linux-gnu:{root}/usr/lib/syslog-ng {root}/usr/sbin/syslog-ng \
         -F --no-caps -f {path} -R {home}/persist -c {home}/ctl -p {home}/pid --module-path {root}/usr/lib/syslog-ng/3.38"
    );
    Picodata::start(&command, den.path(), &[])
}
