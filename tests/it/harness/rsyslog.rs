//! A real rsyslog in the foreground, which writes each message with its head into a file.
//!
//! Its queue is direct: what it has answered or read is in the file, so that a kill shows what was lost on the way, and not
//! what it kept in memory. Refuses: the machine's own configuration.

use super::den::{free_port, peer, Den};
use super::peer::{json, Peer, Plan};
use super::receiver::Doc;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;

/// What rsyslog makes of a message: priority, host, application, process, title, structured data, and the message.
pub const HEAD: usize = 7;

/// How it listens: modules and inputs, `$PORT` for the port, `$HOME` for the directory.
pub fn start(den: &Den, input: &str) -> Option<(Peer, u16)> {
    let program = peer("rsyslogd")?;
    let (port, home, out) = (free_port(), den.file(""), den.file("arrived"));
    let conf = format!(
        "global(workDirectory=\"{home}\" maxMessageSize=\"2m\" parser.escapeControlCharactersOnReceive=\"off\")\n\
         template(name=\"t\" type=\"string\" string=\"%pri%\\t%hostname%\\t%app-name%\\t%procid%\\t%msgid%\\t%structured-data%\\t%msg%\\n\")\n\
         {}\n\
         ruleset(name=\"r\" queue.type=\"Direct\") {{ action(type=\"omfile\" file=\"{out}\" template=\"t\") }}\n",
        input.replace("$PORT", &port.to_string()).replace("$HOME/", &home)
    );
    let conf = den.put("rsyslog.conf", conf);
    let args = ["-n", "-f", &conf, "-i", &den.file("rsyslog.pid")].map(str::to_owned).to_vec();
    let ready = listens(input, port, &den.file("log.sock"));
    let plan = Plan { program, args, ready, decode: Box::new(move || decode(&out)) };
    Some((Peer::start(den, plan), port))
}

/// Whether somebody is there, for the kind of input.
pub fn listens(input: &str, port: u16, socket: &str) -> Box<dyn Fn() -> bool> {
    let socket = socket.to_owned();
    match input {
        i if i.contains("udp") => Box::new(move || UdpSocket::bind(("127.0.0.1", port)).is_err()),
        i if i.contains("$PORT") => Box::new(move || TcpStream::connect(("127.0.0.1", port)).is_ok()),
        // One that was killed has left its file: only who listens takes it.
        _ => Box::new(move || {
            let takes = std::os::unix::net::UnixDatagram::unbound().and_then(|s| s.connect(&socket));
            takes.is_ok() || takes.is_err_and(|e| e.raw_os_error() == Some(91))
        }),
    }
}

/// The messages of a file whose lines have the fields of `HEAD`.
pub fn decode(file: impl AsRef<Path>) -> Vec<Doc> {
    let bytes = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.lines().filter_map(|line| json(line.splitn(HEAD, '\t').last()?.trim_start())).collect()
}

/// The head of the first message that holds this text.
pub fn head_of(den: &Den, holding: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(&std::fs::read(den.file("arrived")).unwrap_or_default()).into_owned();
    let line = text.lines().find(|l| l.contains(holding)).unwrap_or_default();
    line.splitn(HEAD, '\t').map(str::to_owned).collect()
}
