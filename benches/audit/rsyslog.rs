//! The peer: rsyslog as it is run beside Picodata's file: `imfile`, a disk-assisted queue, `omfwd` over TCP.
//!
//! It has no input from a pipe, so `cat` writes the file and is counted with it. `omfwd` knows no acknowledgement: what the
//! kernel took when the receiver died is lost, and for that reason the table calls it not durable on its way.

use crate::harness::{peer, Den, Picodata};
use std::path::{Path, PathBuf};

/// What it is called in the table.
pub const NAME: &str = "rsyslog imfile, omfwd";

/// What it does with the lines: `$PORT` for the port, `$HOME` for the directory.
pub const OMFWD: &str = "type=\"omfwd\" target=\"127.0.0.1\" port=\"$PORT\" protocol=\"tcp\" template=\"raw\"";
/// As messages of RFC 5424.
pub const SYSLOG: &str =
    "type=\"omfwd\" target=\"127.0.0.1\" port=\"$PORT\" protocol=\"tcp\" template=\"RSYSLOG_SyslogProtocol23Format\"";
/// With answers; by its usual window of 128 it sends 680 events a second here.
pub const OMRELP: &str = "type=\"omrelp\" target=\"127.0.0.1\" port=\"$PORT\" windowsize=\"1024\" template=\"raw\"";
/// A file, synced after each batch.
pub const OMFILE: &str = "type=\"omfile\" file=\"$HOME/out.jsonl\" sync=\"on\" template=\"raw\"";

/// The program; said when there is none.
pub fn program() -> Option<PathBuf> {
    peer("rsyslogd")
}

/// Starts it as the consumer of the pipe.
pub fn start(program: &Path, den: &Den, port: u16, action: &str) -> Picodata {
    let command = command(program, den, port, action);
    let command = format!("{command} >/dev/null 2>&1 & exec cat >{}", den.file("audit.log"));
    Picodata::start(&command, den.path(), &[])
}

/// Starts it as the one who follows the log that is there.
pub fn follow(program: &Path, den: &Den, port: u16) -> Picodata {
    Picodata::start(&format!("exec {}", command(program, den, port, OMFWD)), den.path(), &[])
}

fn command(program: &Path, den: &Den, port: u16, action: &str) -> String {
    let (home, program) = (den.path().display(), program.display());
    let action = action.replace("$PORT", &port.to_string()).replace("$HOME", &home.to_string());
    let conf = format!(
        "global(workDirectory=\"{home}\" maxMessageSize=\"64k\")\n\
         module(load=\"imfile\")\nmodule(load=\"omrelp\")\n\
         template(name=\"raw\" type=\"string\" string=\"%msg%\\n\")\n\
         input(type=\"imfile\" file=\"{home}/audit.log\" tag=\"audit\" ruleset=\"out\")\n\
         ruleset(name=\"out\" queue.type=\"LinkedList\" queue.filename=\"queue\" queue.size=\"100000\"\n\
         queue.maxdiskspace=\"4g\" queue.saveonshutdown=\"on\" queue.dequeuebatchsize=\"1024\") {{\n\
         action({action}\n\
         action.resumeretrycount=\"-1\" action.resumeinterval=\"1\") }}\n"
    );
    let path = den.put("rsyslog.conf", conf);
    format!("{program} -n -f {path} -i {home}/rsyslog.pid")
}
