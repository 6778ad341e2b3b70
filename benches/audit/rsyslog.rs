//! The peer: rsyslog as it is run beside Picodata's file: `imfile`, a disk-assisted queue, `omfwd` over TCP.
//!
//! It has no input from a pipe, so `cat` writes the file and is counted with it. `omfwd` knows no acknowledgement: what the
//! kernel took when the receiver died is lost, and for that reason the table calls it not durable on its way.

use crate::harness::{peer, Den, Picodata};
use std::path::{Path, PathBuf};

/// What it is called in the table.
pub const NAME: &str = "rsyslog imfile, omfwd";

/// The program; said when there is none.
pub fn program() -> Option<PathBuf> {
    peer("rsyslogd")
}

/// Starts it as the consumer of the pipe, sending lines to a port.
pub fn start(program: &Path, den: &Den, port: u16) -> Picodata {
    let command = format!("{} >/dev/null 2>&1 & exec cat >{}", command(program, den, port), den.file("audit.log"));
    Picodata::start(&command, den.path(), &[])
}

/// Starts it as the one who follows the log that is there.
pub fn follow(program: &Path, den: &Den, port: u16) -> Picodata {
    Picodata::start(&format!("exec {}", command(program, den, port)), den.path(), &[])
}

fn command(program: &Path, den: &Den, port: u16) -> String {
    let (home, program) = (den.path().display(), program.display());
    let conf = format!(
        "global(workDirectory=\"{home}\" maxMessageSize=\"64k\")\n\
         module(load=\"imfile\")\n\
         template(name=\"raw\" type=\"string\" string=\"%msg%\\n\")\n\
         input(type=\"imfile\" file=\"{home}/audit.log\" tag=\"audit\" ruleset=\"out\")\n\
         ruleset(name=\"out\" queue.type=\"LinkedList\" queue.filename=\"queue\" queue.size=\"100000\"\n\
         queue.maxdiskspace=\"4g\" queue.saveonshutdown=\"on\" queue.dequeuebatchsize=\"1024\") {{\n\
         action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{port}\" protocol=\"tcp\" template=\"raw\"\n\
         action.resumeretrycount=\"-1\" action.resumeinterval=\"1\") }}\n"
    );
    let path = den.put("rsyslog.conf", conf);
    format!("{program} -n -f {path} -i {home}/rsyslog.pid")
}
