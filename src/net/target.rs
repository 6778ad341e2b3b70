//! ○ The URL of a receiver → a [`Target`]: which transport, where, and what to ask for.
//!
//! Which schemes there are the program says that asks: `graphite://` is no receiver of audit events. Strict: what is not plainly right is refused with a sentence that says what
//! is wrong. No sentence, `Display` or `Debug` ever shows userinfo or a query: passwords and tokens stand there. So
//! pieces of a URL that did not parse are not shown either (a `/` in a password moves all the borders).

mod parts;

use crate::error::{Error, Result};
use crate::limits;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

pub use parts::bracketed;
pub(crate) use parts::{decoded, host_and_port};
use parts::{encoded, path_and_query};

/// What follows `://`.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// `[user[:password]@]host[:port][/path][?query]`.
    Host {
        /// Where the URL has none.
        port: u16,
    },
    /// `/path/to.sock[:/uri]`.
    Socket,
    /// `host[:port][?query]`: a stream or datagrams, which carry no path and no user.
    Port {
        /// Where the URL has none; 0: it has to have one.
        port: u16,
    },
    /// `/path/to.sock[?query]`.
    Path,
    /// `/path`, of a file, a FIFO or a program.
    File,
    /// `host[:port],host[:port],…/name`.
    Hosts {
        /// Of a host that has none.
        port: u16,
    },
    /// Nothing, or `/path` of another one than this.
    Usual {
        /// Its path.
        path: &'static str,
    },
    /// The name of the scheme is the whole URL.
    Word,
}

/// How the URLs of one transport look.
#[derive(Clone, Copy, Debug)]
pub struct Scheme {
    /// What stands before `://`.
    pub name: &'static str,
    /// What stands behind it.
    pub shape: Shape,
    /// It is spoken over TLS.
    pub tls: bool,
}

impl Scheme {
    /// Whether its name is the whole URL.
    pub const fn is_word(&self) -> bool {
        matches!(self.shape, Shape::Word)
    }
}

/// HTTP/1.1 over TCP.
pub const HTTP: Scheme = Scheme { name: "http", shape: Shape::Host { port: 80 }, tls: false };
/// HTTP/1.1 over TLS.
pub const HTTPS: Scheme = Scheme { name: "https", shape: Shape::Host { port: 443 }, tls: true };
/// HTTP/1.1 over a Unix socket, to a local (GOST) TLS terminator for example.
pub const HTTP_UNIX: Scheme = Scheme { name: "http+unix", shape: Shape::Socket, tls: false };

/// The ways of HTTP.
pub const OF_HTTP: &[&Scheme] = &[&HTTP, &HTTPS, &HTTP_UNIX];

/// Where the receiver is.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A name or an address (IPv6 without its brackets), and a port.
    Net {
        /// Name or address.
        host: String,
        /// Port, the scheme's own where the URL has none.
        port: u16,
    },
    /// A socket in the file system.
    Unix {
        /// Its absolute path.
        path: PathBuf,
    },
    /// Something else in the file system.
    Path {
        /// Its absolute path.
        path: PathBuf,
    },
    /// What needs no place.
    Nowhere,
}

impl Place {
    /// The name for TLS and for `Host`, without brackets.
    pub fn host(&self) -> &str {
        match self {
            Place::Net { host, .. } => host,
            Place::Unix { .. } | Place::Path { .. } | Place::Nowhere => "localhost",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Net { host, port } => write!(f, "{}:{port}", bracketed(host)),
            Place::Unix { path } => write!(f, "unix:{}", path.display()),
            Place::Path { path } => write!(f, "{}", path.display()),
            Place::Nowhere => f.write_str("-"),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The userinfo of a URL, decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password, if there was one; empty is not none.
    pub password: Option<String>,
}

/// A parsed URL.
#[derive(Clone)]
pub struct Target {
    scheme: &'static Scheme,
    place: Place,
    /// All of them, where there are several.
    hosts: Vec<(String, u16)>,
    uri: String,
    user: Option<User>,
}

impl Target {
    /// Parses a URL of one of these schemes; an error is one of usage.
    pub fn parse(url: &str, known: &[&'static Scheme]) -> Result<Target> {
        if url.len() > limits::URL_BYTES {
            return Err(wrong(url, &format!("is longer than {} bytes", limits::URL_BYTES)));
        }
        if url.is_empty() {
            return Err(Error::usage(format!("the URL is empty; known are {}", names(known))));
        }
        if url.bytes().any(|b| b <= b' ' || b >= 0x7f) {
            return Err(wrong(url, "holds a blank, a control or a non-ASCII character: percent-encode it"));
        }
        if let Some(scheme) = known.iter().copied().find(|s| s.is_word() && s.name == url) {
            return Ok(Target::of(scheme, Place::Nowhere));
        }
        let Some((name, rest)) = url.split_once("://") else { return Err(no_scheme(url, known)) };
        let Some(scheme) = known.iter().copied().find(|s| !s.is_word() && s.name.eq_ignore_ascii_case(name)) else {
            return Err(wrong(url, &format!("has an unknown scheme; known are {}", names(known))));
        };
        if rest.contains('#') {
            return Err(wrong(url, "has a fragment (#…), which no receiver ever sees: remove it or write %23"));
        }
        match scheme.shape {
            Shape::Host { port } => with_host(url, scheme, port, rest),
            Shape::Socket => with_socket(url, scheme, rest),
            Shape::Port { port } => with_port(url, scheme, port, rest),
            Shape::Path => {
                let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
                with_path(url, scheme, path, query)
            }
            Shape::Hosts { port } => with_hosts(url, scheme, port, rest),
            Shape::Usual { path } if rest.is_empty() => Ok(Target::of(scheme, Place::Path { path: path.into() })),
            Shape::File | Shape::Usual { .. } => match parts::path(rest) {
                Ok(path) => Ok(Target::of(scheme, Place::Path { path })),
                Err(what) => Err(wrong(url, &what)),
            },
            Shape::Word => Ok(Target::of(scheme, Place::Nowhere)),
        }
    }

    fn of(scheme: &'static Scheme, place: Place) -> Target {
        Target { scheme, place, hosts: Vec::new(), uri: "/".into(), user: None }
    }

    /// The scheme.
    pub fn scheme(&self) -> &'static Scheme {
        self.scheme
    }

    /// Whether it is spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        self.scheme.tls
    }

    /// Where the receiver is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The path of the Unix socket, if it is one.
    pub fn socket(&self) -> Option<&Path> {
        match &self.place {
            Place::Unix { path } => Some(path),
            _ => None,
        }
    }

    /// The path of what is no socket, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Path { path } => Some(path),
            _ => None,
        }
    }

    /// All hosts with their ports, where a URL may name several.
    pub fn hosts(&self) -> &[(String, u16)] {
        &self.hosts
    }

    /// What to ask for: path and query, never empty.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// What the query says of a name: `lf` of `?framing=lf`.
    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.uri.split_once('?')?;
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Refuses a query of a transport that knows only these names and values.
    pub fn only_queries(&self, known: &[(&str, &[&str])]) -> Result<()> {
        let Some((_, query)) = self.uri.split_once('?') else { return Ok(()) };
        let is_known = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            known.iter().any(|(n, values)| *n == name && values.contains(&value))
        };
        if query.split('&').all(is_known) {
            return Ok(());
        }
        let all: Vec<String> =
            known.iter().flat_map(|(n, values)| values.iter().map(move |v| format!("?{n}={v}"))).collect();
        let what = if all.is_empty() { "nothing".to_string() } else { all.join(", ") };
        Err(Error::usage(format!("URL `{self}`: behind the `?` of {}:// may stand: {what}", self.scheme.name)))
    }

    /// The userinfo; to be used, never printed.
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// `host:port` as it stands in a URL (IPv6 in brackets); the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        let Place::Net { host, port } = &self.place else { return "localhost".to_string() };
        let own =
            matches!(self.scheme.shape, Shape::Host { port: usual } | Shape::Port { port: usual } if usual == *port);
        match own {
            true => bracketed(host),
            false => format!("{}:{port}", bracketed(host)),
        }
    }

    /// The same place as HTTP asks it for this path and query: with the port in its name, where that is not HTTP's own.
    pub fn over_http(&self, uri: String) -> Target {
        let scheme = match &self.place {
            Place::Unix { .. } => &HTTP_UNIX,
            _ if self.scheme.tls => &HTTPS,
            _ => &HTTP,
        };
        Target { scheme, uri, ..self.clone() }
    }

    /// The URL for people and logs: without userinfo and without the query.
    pub fn display(&self) -> String {
        let (path, mark) = match self.uri.split_once('?') {
            Some((path, _)) => (path, "?…"),
            None => (self.uri.as_str(), ""),
        };
        let has_path = matches!(self.scheme.shape, Shape::Host { .. } | Shape::Socket);
        let name = self.scheme.name;
        match (&self.place, self.scheme.shape) {
            (Place::Net { .. }, Shape::Hosts { port }) => {
                format!("{name}://{}{path}", parts::listed(&self.hosts, port))
            }
            (Place::Net { .. }, _) if !has_path => format!("{name}://{}{mark}", self.authority()),
            (Place::Unix { path: socket }, _) if !has_path => format!("{name}://{}{mark}", encoded(socket)),
            (Place::Net { .. }, _) => format!("{name}://{}{path}{mark}", self.authority()),
            (Place::Unix { path: socket }, _) => format!("{name}://{}:{path}{mark}", encoded(socket)),
            (Place::Path { path }, Shape::Usual { path: usual }) if path == Path::new(usual) => format!("{name}://"),
            (Place::Path { path }, _) => format!("{name}://{}", encoded(path)),
            (Place::Nowhere, _) => name.to_string(),
        }
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Target) -> bool {
        let same = self.scheme.name == other.scheme.name && self.place == other.place && self.hosts == other.hosts;
        same && self.uri == other.uri && self.user == other.user
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display())
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whether the host is this machine by its very spelling.
pub fn is_loopback(host: &str) -> bool {
    is_localhost(host) || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether the host is the name that means this machine without anyone being asked (RFC 6761).
pub fn is_localhost(host: &str) -> bool {
    host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case("localhost")
}

fn names(known: &[&Scheme]) -> String {
    let shown = |s: &&Scheme| if s.is_word() { s.name.to_string() } else { format!("{}://", s.name) };
    known.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// The URL as an error may show it: nothing before the last `@`, nothing after the first `?`, and not without end.
fn shown(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('@') => (format!("{scheme}://"), rest),
        _ => (String::new(), url),
    };
    let rest = match rest.rfind('@') {
        Some(at) => format!("…@{}", &rest[at + 1..]),
        None => rest.to_string(),
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let mut text: String = format!("{scheme}{rest}").chars().flat_map(char::escape_debug).take(200).collect();
    text.retain(|c| c != '`');
    text
}

fn wrong(url: &str, what: &str) -> Error {
    Error::usage(format!("URL `{}` {what}", shown(url)))
}

fn no_scheme(url: &str, known: &[&Scheme]) -> Error {
    let plain = shown(url);
    let host = plain.trim_start_matches("https:").trim_start_matches("http:").trim_start_matches(['/', ':']);
    Error::usage(format!("URL `{plain}` has no scheme; did you mean https://{host} (known are {})", names(known)))
}

fn with_host(url: &str, scheme: &'static Scheme, default_port: u16, rest: &str) -> Result<Target> {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, uri) = rest.split_at(end);
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(userinfo(url, user)?), place),
        None => (None, authority),
    };
    let (host, port) = host_and_port(place).map_err(|what| wrong(url, what))?;
    let uri = path_and_query(uri).map_err(|what| wrong(url, what))?;
    let place = Place::Net { host, port: port.unwrap_or(default_port) };
    Ok(Target { uri, user, ..Target::of(scheme, place) })
}

fn with_socket(url: &str, scheme: &'static Scheme, rest: &str) -> Result<Target> {
    let (path, uri) = rest.split_once(':').unwrap_or((rest, ""));
    if !uri.is_empty() && !uri.starts_with('/') {
        return Err(wrong(url, "has something other than a URI beginning with `/` after the socket's `:`"));
    }
    with_path(url, scheme, path, uri)
}

fn with_path(url: &str, scheme: &'static Scheme, path: &str, uri: &str) -> Result<Target> {
    if !path.starts_with('/') {
        let example = format!("{}:///run/x.sock", scheme.name);
        return Err(wrong(url, &format!("needs the absolute path of a socket, as in {example}")));
    }
    let path = decoded(path).ok_or_else(|| wrong(url, "has a bad %-escape in the socket's path"))?;
    if path.contains('\0') || path.len() > limits::UNIX_PATH_BYTES {
        let most = limits::UNIX_PATH_BYTES;
        return Err(wrong(url, &format!("has a socket path that is longer than {most} bytes or holds a zero byte")));
    }
    if path.ends_with('/') {
        return Err(wrong(url, "names a directory where a socket's path should be"));
    }
    let uri = path_and_query(uri).map_err(|what| wrong(url, what))?;
    Ok(Target { uri, ..Target::of(scheme, Place::Unix { path: PathBuf::from(path) }) })
}

/// A host, its port, and perhaps a query.
fn with_port(url: &str, scheme: &'static Scheme, usual: u16, rest: &str) -> Result<Target> {
    let target = with_host(url, scheme, usual, rest)?;
    let name = scheme.name;
    if target.user.is_some() {
        return Err(wrong(url, &format!("has a user, whom {name}:// cannot tell")));
    }
    if target.uri.split('?').next() != Some("/") {
        return Err(wrong(url, &format!("has a path, for which {name}:// has no use: {name}://HOST:PORT")));
    }
    match target.place {
        Place::Net { port: 0, .. } => Err(wrong(url, &format!("has no port: write {name}://HOST:PORT"))),
        _ => Ok(target),
    }
}

fn with_hosts(url: &str, scheme: &'static Scheme, port: u16, rest: &str) -> Result<Target> {
    let (hosts, uri) = parts::hosts(rest, port).map_err(|what| wrong(url, &what))?;
    let (host, port) = hosts.first().cloned().unwrap_or_default();
    Ok(Target { hosts, uri, ..Target::of(scheme, Place::Net { host, port }) })
}

fn userinfo(url: &str, text: &str) -> Result<User> {
    let bad = || wrong(url, "has a bad %-escape or a control character in the user name or password");
    let (name, password) = match text.split_once(':') {
        Some((name, password)) => (name, Some(password)),
        None => (text, None),
    };
    let name = decoded(name).ok_or_else(bad)?;
    let password = password.map(|p| decoded(p).ok_or_else(bad)).transpose()?;
    if name.chars().chain(password.iter().flat_map(|p| p.chars())).any(char::is_control) {
        return Err(bad());
    }
    if name.is_empty() || name.contains(':') {
        return Err(wrong(url, "has an empty user name, or one with a `:`, which basic authentication cannot carry"));
    }
    Ok(User { name, password })
}

#[cfg(test)]
mod tests;
