//! collectd: lines over its Unix socket, each answered; or packets of its network protocol, plain, signed or encrypted.
//!
//! What it refuses is counted as left out, and told once. Nobody answers packets. Refuses: a password that goes in clear.

use super::row::{Outlet, Push, Route, Trouble};
use crate::error::{Error, Result};
use crate::flags::text;
use crate::limits;
use crate::log;
use crate::metrics::assemble::Assembled;
use crate::metrics::render::collectd::{self, Answers, Origin};
use crate::metrics::render::lines::Written;
use crate::net::crypto;
use crate::net::datagram::Datagrams;
use crate::net::failure::{Failure, FailureKind};
use crate::net::http::Auth;
use crate::net::kept::{Conn, Kept};
use crate::net::secret::Secret;
use crate::net::target::{Scheme, Shape};
use crate::sys::process;
use std::time::Instant;

/// `collectd+unix://`
pub const UNIX: Outlet = Outlet {
    scheme: &Scheme { name: "collectd+unix", shape: Shape::Path, tls: false },
    url: "collectd+unix:///PATH/SOCKET[?host=NAME]",
    about: text(
        "collectd's unixsock plugin; what it refuses is counted",
        "плагин unixsock из collectd; отвергнутое им считается",
    ),
    timed: true,
    settings: &["host"],
    options: &[],
    open: |route| {
        let (origin, kept) = (origin(route)?, route.to.straight());
        Ok(Box::new(Unix { kept, origin, lines: Vec::new() }))
    },
};

/// `collectd://`
pub const NETWORK: Outlet = Outlet {
    scheme: &Scheme { name: "collectd", shape: Shape::Port { port: 25826 }, tls: false },
    url: "collectd://HOST[:PORT][?host=NAME&security=encrypt|sign]",
    about: text(
        "collectd's network protocol over UDP; with a user encrypted, or signed alone",
        "сетевой протокол collectd по UDP; с пользователем — шифрованный или только подписанный",
    ),
    settings: &["host", "security"],
    options: &["push-user", "push-password-file"],
    open: |route| Ok(Box::new(network(route)?)),
    ..UNIX
};

fn origin(route: &Route) -> Result<Origin> {
    let host = route.setting("host").unwrap_or_else(process::host_name);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    if host.is_empty() || host.len() > limits::COLLECTD_NAME_BYTES || !host.chars().all(plain) {
        return Err(Error::usage("`host` is a name of letters, digits, `-`, `_`, `.` and `:`"));
    }
    Ok(Origin { host, prefix: route.prefix.clone(), interval_ms: route.interval.as_millis() as u64 })
}

struct Unix {
    kept: Kept,
    origin: Origin,
    lines: Vec<u8>,
}

impl Push for Unix {
    fn push(&mut self, page: &Assembled<'_>, deadline: Instant) -> std::result::Result<Written, Trouble> {
        self.lines.clear();
        let mut written = collectd::lines(page, &self.origin, &mut self.lines);
        let (mut conn, mut answers) = (self.kept.take(deadline)?, Answers::default());
        // Neither side waits for room while the other does.
        let mut rest = &self.lines[..];
        while !rest.is_empty() {
            let ends = rest.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1);
            let end = ends.take(limits::COLLECTD_LINES).last().unwrap_or(rest.len());
            conn.stream.write_all(&rest[..end], deadline)?;
            let asked = rest[..end].iter().filter(|b| **b == b'\n').count() as u64;
            hear(&mut conn, &mut answers, asked, deadline)?;
            rest = &rest[end..];
        }
        self.kept.put(conn);
        written.samples = written.samples.saturating_sub(answers.refused);
        written.refused = answers.refused;
        if let Some(why) = &answers.why {
            log::warn("collectd", format!("it refuses {} values, the first: {why}", answers.refused));
        }
        Ok(written)
    }

    fn reload(&mut self) {
        self.kept.reload();
    }
}

/// Reads so many answers more.
fn hear(conn: &mut Conn, answers: &mut Answers, count: u64, deadline: Instant) -> std::result::Result<(), Failure> {
    let until = answers.taken + answers.refused + count;
    let mut bytes = [0; 4096];
    while answers.taken + answers.refused < until {
        let n = conn.stream.read(&mut bytes, deadline)?;
        let peer = conn.stream.peer();
        if n == 0 {
            return Err(Failure::new(FailureKind::Closed, format!("`{peer}` closed the connection without an answer")));
        }
        let read = answers.read(&bytes[..n]);
        read.map_err(|what| Failure::new(FailureKind::Protocol, format!("`{peer}`: {what}")))?;
    }
    Ok(())
}

struct Network {
    out: Datagrams,
    origin: Origin,
    user: String,
    password: Option<Secret>,
    encrypts: bool,
    packets: Vec<Vec<u8>>,
}

fn network(route: &Route) -> Result<Network> {
    let (user, password) = match &route.to.auth {
        Auth::Basic { user, password } => (user.clone(), Some(password.clone())),
        _ => (String::new(), None),
    };
    if user.len() > limits::COLLECTD_NAME_BYTES {
        return Err(Error::usage(format!("a user's name has at most {} bytes", limits::COLLECTD_NAME_BYTES)));
    }
    if password.is_none() && route.setting("security").is_some() {
        return Err(Error::usage("`security` needs a --push-user and its --push-password-file"));
    }
    let encrypts = route.choice("security", &["encrypt", "sign"])? == "encrypt";
    let (out, packets) = (Datagrams::new(route.to.target.place().clone()), Vec::new());
    Ok(Network { out, origin: origin(route)?, user, password, encrypts, packets })
}

impl Push for Network {
    fn push(&mut self, page: &Assembled<'_>, deadline: Instant) -> std::result::Result<Written, Trouble> {
        self.packets.clear();
        // What security puts before it: 42 bytes and the user at most.
        let most = limits::PUSH_PACKET_BYTES - 42 - self.user.len();
        let written = collectd::packets(page, &self.origin, most, &mut self.packets);
        let password = self.password.as_mut().map(Secret::read).transpose()?;
        for packet in &self.packets {
            let secured = password.map(|password| match self.encrypts {
                false => collectd::signed(packet, &self.user, password),
                true => {
                    let mut start = [0; 16];
                    crypto::random(&mut start);
                    collectd::encrypted(packet, &self.user, password, start)
                }
            });
            self.out.send_paced(secured.as_deref().unwrap_or(packet), deadline)?;
        }
        self.out.settled()?;
        Ok(written)
    }

    fn reload(&mut self) {
        self.out.rest();
    }
}
