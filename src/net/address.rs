//! ○ Where a page listens: `host:port`, `[::]:port`, `:port`, `unix:/path[,mode=0660]`.

use crate::error::{Error, Result};
use crate::limits;
use crate::net::target::{bracketed, host_and_port};
use std::fmt;
use std::path::PathBuf;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A name (both families of `localhost`) or an address, and a port.
    Tcp {
        /// Name or address, IPv6 without brackets.
        host: String,
        /// Port; 0 lets the system choose.
        port: u16,
    },
    /// A Unix socket.
    Unix {
        /// Its path.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

impl Address {
    /// Parses what `--addr` takes.
    pub fn parse(text: &str) -> Result<Address> {
        let wrong = |what: &str| {
            let forms = "host:port, [::]:port or unix:/path[,mode=0660]";
            Error::usage(format!("address `{}` {what}; it should be like {forms}", text.escape_debug()))
        };
        if let Some(rest) = text.strip_prefix("unix:") {
            let (path, mode) = rest.split_once(",mode=").unwrap_or((rest, "0660"));
            let mode = u32::from_str_radix(mode, 8).ok().filter(|m| *m <= 0o777 && mode.len() <= 4);
            let mode = mode.ok_or_else(|| wrong("has a mode that is not three octal digits"))?;
            if !path.starts_with('/')
                || path.ends_with('/')
                || path.len() > limits::UNIX_PATH_BYTES
                || path.contains(char::is_control)
            {
                return Err(wrong("has no absolute path that a socket can have"));
            }
            return Ok(Address::Unix { path: PathBuf::from(path), mode });
        }
        if let Some(port) = text.strip_prefix(':') {
            let port = port.parse().map_err(|_| wrong("has a port that is not a number from 0 to 65535"))?;
            return Ok(Address::Tcp { host: "::".to_string(), port });
        }
        // Port 0 means «any» here, while in a URL it means nothing.
        let (place, any) = match text.strip_suffix(":0") {
            Some(host) => (host, true),
            None => (text, false),
        };
        let (host, port) = host_and_port(place).map_err(wrong)?;
        match (port, any) {
            (None, true) => Ok(Address::Tcp { host, port: 0 }),
            (Some(port), false) => Ok(Address::Tcp { host, port }),
            _ => Err(wrong("has no port")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } => write!(f, "{}:{port}", bracketed(host)),
            Address::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms() {
        let tcp = |text: &str, host: &str, port| {
            assert_eq!(Address::parse(text).unwrap(), Address::Tcp { host: host.into(), port }, "{text}");
        };
        tcp("localhost:4401", "localhost", 4401);
        tcp("0.0.0.0:9464", "0.0.0.0", 9464);
        tcp("[::]:9464", "::", 9464);
        tcp(":9464", "::", 9464);
        tcp("127.0.0.1:0", "127.0.0.1", 0);
        let unix = Address::parse("unix:/run/x.sock,mode=666").unwrap();
        assert_eq!(unix, Address::Unix { path: "/run/x.sock".into(), mode: 0o666 });
        assert_eq!(Address::parse("unix:/a").unwrap(), Address::Unix { path: "/a".into(), mode: 0o660 });
        assert_eq!(Address::parse("[::1]:1").unwrap().to_string(), "[::1]:1");
        for bad in [
            "",
            "localhost",
            "localhost:",
            "x:99999",
            "::1:80",
            "unix:x",
            "unix:/",
            "unix:/x,mode=9",
            "a b:1",
            ":x",
            "unix:/a\nb",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
