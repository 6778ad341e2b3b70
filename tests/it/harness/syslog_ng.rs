//! A real syslog-ng in the foreground, which writes each message with its head into a file.
//!
//! What it has read it keeps in memory for a moment: a kill loses that as well. Refuses: the machine's own configuration.

use super::den::{free_port, peer, Den};
use super::peer::{Peer, Plan};
use super::rsyslog::{decode, listens};

/// How it listens: a source, `$PORT` for the port, `$HOME` for the directory.
pub fn start(den: &Den, source: &str) -> Option<(Peer, u16)> {
    let program = peer("syslog-ng")?;
    let (port, home, out) = (free_port(), den.file(""), den.file("arrived"));
    let conf = format!(
        "@version: 3.38\n\
         options {{ stats-freq(0); keep-hostname(yes); chain-hostnames(no); log-msg-size(2097152); use-dns(no); }};\n\
         source s {{ {}; }};\n\
         destination d {{ file(\"{out}\" template(\"$PRI\\t$HOST\\t$PROGRAM\\t$PID\\t$MSGID\\t$SDATA\\t$MSG\\n\")); }};\n\
         log {{ source(s); destination(d); flags(flow-control); }};\n",
        source.replace("$PORT", &port.to_string()).replace("$HOME/", &home)
    );
    let conf = den.put("syslog-ng.conf", conf);
    let file = |name: &str| den.file(name);
    let args = ["-F", "--no-caps", "-f", &conf, "-R", &file("persist"), "-c", &file("ctl"), "-p", &file("pid")];
    let ready = listens(source, port, &file("log.sock"));
    let plan = Plan { program, args: args.map(str::to_owned).to_vec(), ready, decode: Box::new(move || decode(&out)) };
    Some((Peer::start(den, plan), port))
}
