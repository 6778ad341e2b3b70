//! ○ The URL of a receiver → a [`Target`]: which transport, where, and what to ask for.
//!
//! Which schemes there are the program says that asks: `graphite://` is no receiver of audit events. Strict: what is not plainly right is refused with a sentence that says what
//! is wrong. No sentence, `Display` or `Debug` ever shows userinfo or a query: passwords and tokens stand there. So
//! pieces of a URL that did not parse are not shown either (a `/` in a password moves all the borders).

use crate::error::{Error, Result};
use crate::limits;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

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
}

impl Place {
    /// The name for TLS and for `Host`, without brackets.
    pub fn host(&self) -> &str {
        match self {
            Place::Net { host, .. } => host,
            Place::Unix { .. } => "localhost",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Net { host, port } => write!(f, "{}:{port}", bracketed(host)),
            Place::Unix { path } => write!(f, "unix:{}", path.display()),
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
        let Some((name, rest)) = url.split_once("://") else { return Err(no_scheme(url, known)) };
        let Some(scheme) = known.iter().copied().find(|s| s.name.eq_ignore_ascii_case(name)) else {
            return Err(wrong(url, &format!("has an unknown scheme; known are {}", names(known))));
        };
        if rest.contains('#') {
            return Err(wrong(url, "has a fragment (#…), which no receiver ever sees: remove it or write %23"));
        }
        match scheme.shape {
            Shape::Host { port } => with_host(url, scheme, port, rest),
            Shape::Socket => with_socket(url, scheme, rest),
        }
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

    /// The host without brackets; `localhost` for a Unix socket, as that is what the `Host` header says there.
    pub fn host(&self) -> &str {
        self.place.host()
    }

    /// The path of the Unix socket, if it is one.
    pub fn socket(&self) -> Option<&Path> {
        match &self.place {
            Place::Net { .. } => None,
            Place::Unix { path } => Some(path),
        }
    }

    /// What to ask for: path and query, never empty.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The userinfo; to be used, never printed.
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// `host:port` as it stands in a URL (IPv6 in brackets); the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        let Place::Net { host, port } = &self.place else { return "localhost".to_string() };
        let own = matches!(self.scheme.shape, Shape::Host { port: usual } if usual == *port);
        match own {
            true => bracketed(host),
            false => format!("{}:{port}", bracketed(host)),
        }
    }

    /// The URL for people and logs: without userinfo and without the query.
    pub fn display(&self) -> String {
        let (path, mark) = match self.uri.split_once('?') {
            Some((path, _)) => (path, "?…"),
            None => (self.uri.as_str(), ""),
        };
        match &self.place {
            Place::Net { .. } => format!("{}://{}{path}{mark}", self.scheme.name, self.authority()),
            Place::Unix { path: socket } => format!("{}://{}:{path}{mark}", self.scheme.name, encoded(socket)),
        }
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Target) -> bool {
        let same = self.scheme.name == other.scheme.name && self.place == other.place;
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

/// An address as it stands in a URL: IPv6 in brackets.
pub fn bracketed(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_string(),
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
    known.iter().map(|s| format!("{}://", s.name)).collect::<Vec<_>>().join(", ")
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
    Ok(Target { scheme, place, uri, user })
}

fn with_socket(url: &str, scheme: &'static Scheme, rest: &str) -> Result<Target> {
    if !rest.starts_with('/') {
        return Err(wrong(url, "needs the absolute path of a socket, as in http+unix:///run/tls.sock:/uri"));
    }
    let (path, uri) = rest.split_once(':').unwrap_or((rest, ""));
    let path = decoded(path).ok_or_else(|| wrong(url, "has a bad %-escape in the socket's path"))?;
    if path.contains('\0') || path.len() > limits::UNIX_PATH_BYTES {
        let most = limits::UNIX_PATH_BYTES;
        return Err(wrong(url, &format!("has a socket path that is longer than {most} bytes or holds a zero byte")));
    }
    if path.ends_with('/') {
        return Err(wrong(url, "names a directory where a socket's path should be"));
    }
    if !uri.is_empty() && !uri.starts_with('/') {
        return Err(wrong(url, "has something other than a URI beginning with `/` after the socket's `:`"));
    }
    let uri = path_and_query(uri).map_err(|what| wrong(url, what))?;
    Ok(Target { scheme, place: Place::Unix { path: PathBuf::from(path) }, uri, user: None })
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

/// `host`, `host:port`, `1.2.3.4:port`, `[v6]:port`.
pub(crate) fn host_and_port(text: &str) -> std::result::Result<(String, Option<u16>), &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or("has a `[` without its `]`")?;
            let address: Ipv6Addr = address.parse().map_err(|_| "has no IPv6 address between its brackets")?;
            match after.strip_prefix(':') {
                Some(port) => (address.to_string(), Some(port)),
                None if after.is_empty() => (address.to_string(), None),
                None => return Err("has something other than `:port` after its `]`"),
            }
        }
        None if text.matches(':').count() > 1 => return Err("has more than one `:` in its host (IPv6 needs brackets)"),
        None => match text.split_once(':') {
            Some((host, port)) => (plain_host(host)?, Some(port)),
            None => (plain_host(text)?, None),
        },
    };
    let port = port.map(port_number).transpose()?;
    Ok((host, port))
}

fn port_number(text: &str) -> std::result::Result<u16, &'static str> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port != 0 => Ok(port),
        _ => Err("has a port that is not a number from 1 to 65535"),
    }
}

fn plain_host(host: &str) -> std::result::Result<String, &'static str> {
    if host.is_empty() {
        return Err("has no host");
    }
    if host.len() > limits::HOST_BYTES || host.split('.').any(|label| label.len() > 63) {
        return Err("has a host name that is longer than DNS allows");
    }
    if !host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
        return Err("has a host with characters that no host name has");
    }
    if host.starts_with(['.', '-']) || host.contains("..") {
        return Err("has an empty label in its host name");
    }
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    if !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()) && host.parse::<Ipv4Addr>().is_err() {
        return Err("has no valid IPv4 address as its host");
    }
    Ok(host.to_ascii_lowercase())
}

fn path_and_query(text: &str) -> std::result::Result<String, &'static str> {
    if text.bytes().any(|b| matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')) {
        return Err("has a character in its path or query that must be percent-encoded");
    }
    if !escapes_are_whole(text) {
        return Err("has a `%` in its path or query that is not followed by two hexadecimal digits");
    }
    Ok(match text {
        "" => "/".to_string(),
        query if query.starts_with('?') => format!("/{query}"),
        other => other.to_string(),
    })
}

fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let after = after.as_bytes();
        after.len() >= 2 && after[0].is_ascii_hexdigit() && after[1].is_ascii_hexdigit()
    })
}

/// A socket's path as it stands in a URL, and harmless in a log.
fn encoded(path: &Path) -> String {
    let mut out = String::new();
    for b in path.as_os_str().as_encoded_bytes() {
        match b {
            0..=b' ' | 0x7f.. | b'%' | b':' | b'?' | b'#' => out.push_str(&format!("%{b:02X}")),
            _ => out.push(char::from(*b)),
        }
    }
    out
}

/// Percent-decoding; nothing when an escape is cut or the result is no UTF-8.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b != b'%' {
            out.push(b);
            continue;
        }
        let high = (bytes.next()? as char).to_digit(16)?;
        let low = (bytes.next()? as char).to_digit(16)?;
        out.push((high * 16 + low) as u8);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Target> {
        Target::parse(url, OF_HTTP)
    }

    fn place(url: &str) -> (String, u16, String) {
        let t = parse(url).unwrap();
        let Place::Net { host, port } = t.place().clone() else { panic!("{url} is no host") };
        (host, port, t.uri().to_string())
    }

    #[test]
    fn the_forms_of_a_host() {
        let is = |url: &str, host: &str, port: u16, uri: &str| {
            assert_eq!(place(url), (host.to_string(), port, uri.to_string()), "{url}");
        };
        is("https://example.com", "example.com", 443, "/");
        is("http://example.com", "example.com", 80, "/");
        is("HTTP://Example.COM:8080/a/b?c=d", "example.com", 8080, "/a/b?c=d");
        is("https://10.0.0.1:9200/_bulk", "10.0.0.1", 9200, "/_bulk");
        is("https://[2001:DB8::1]/", "2001:db8::1", 443, "/");
        is("http://[::1]:5044?q", "::1", 5044, "/?q");
        is("https://log_stash.example.", "log_stash.example.", 443, "/");
        is("https://u:p@h/@x", "h", 443, "/@x");
    }

    #[test]
    fn the_forms_of_a_socket() {
        let t = parse("http+unix:///run/tls.sock:/audit?x=1").unwrap();
        assert_eq!((t.socket(), t.uri()), (Some(Path::new("/run/tls.sock")), "/audit?x=1"));
        let t = parse("http+unix:///run/tls.sock").unwrap();
        assert_eq!((t.socket(), t.uri(), t.host()), (Some(Path::new("/run/tls.sock")), "/", "localhost"));
        let t = parse("http+unix:///run/a%3Ab.sock:").unwrap();
        assert_eq!((t.socket(), t.uri()), (Some(Path::new("/run/a:b.sock")), "/"));
        // What is shown is a URL again, and moves nothing in a log.
        assert_eq!(t.display(), "http+unix:///run/a%3Ab.sock:/");
        let t = parse("http+unix:///run/a%0a%1b%25%d1%8f.sock:/u").unwrap();
        assert_eq!(t.display(), "http+unix:///run/a%0A%1B%25%D1%8F.sock:/u");
        assert!(parse(&t.display()).unwrap() == t);
    }

    #[test]
    fn userinfo_is_decoded_and_never_shown() {
        let t = parse("https://us%65r:p%40s%3As@example.com:444/x?token=abc").unwrap();
        let user = t.user().unwrap();
        assert_eq!((user.name.as_str(), user.password.as_deref()), ("user", Some("p@s:s")));
        for text in [t.display(), format!("{t}"), format!("{t:?}"), format!("{user:?}")] {
            assert!(!text.contains("user") && !text.contains("p@s") && !text.contains("abc"), "{text}");
        }
        assert_eq!(t.display(), "https://example.com:444/x?…");
        let t = parse("https://only@example.com").unwrap();
        assert_eq!(t.user().unwrap().password, None);
    }

    #[test]
    fn errors_say_what_is_wrong_and_keep_secrets() {
        let said = |url: &str, word: &str| {
            let e = parse(url).unwrap_err();
            assert!(e.text().contains(word), "{url}: {e}");
            assert_eq!(e.exit(), crate::error::Exit::Usage);
            assert!(!e.text().contains("s3cret") && !e.text().ends_with('.'), "{url}: {e}");
        };
        said("", "empty");
        said("example.com", "did you mean https://example.com");
        said("localhost:8080/x", "did you mean https://localhost:8080/x");
        said("https:/example.com", "did you mean https://example.com");
        said("user:s3cret@example.com", "did you mean https://…@example.com");
        said("ftp://u:s3cret@example.com", "http://, https://, http+unix://");
        said("https://", "no host");
        said("https://:443", "no host");
        said("https://h:0", "port");
        said("https://h:65536", "port");
        said("https://h:+80", "port");
        said("https://u:s3cret/x@h", "port");
        said("https://u:s3cret?x@h", "port");
        said("https://u:%s3cret@h", "%-escape");
        said("https://:s3cret@h", "user name");
        said("https://[::1", "`]`");
        said("https://[nonsense]/", "IPv6");
        said("https://::1/", "brackets");
        said("https://1.2.3/", "IPv4");
        said("https://ex ample.com", "blank");
        said("https://пример.рф", "non-ASCII");
        said("https://a..b", "label");
        said("https://h/a|b?k=s3cret", "percent-encoded");
        said("https://h/%zz", "hexadecimal");
        said("https://h/#s3cret", "fragment");
        said("http+unix://run/x.sock", "absolute");
        said("http+unix:///run/x.sock:uri", "URI");
        said("http+unix:///run/", "directory");
        said(&format!("http+unix:///{}", "x".repeat(108)), "107");
        said(&format!("https://h/{}", "x".repeat(5000)), "longer");
    }

    #[test]
    fn this_machine_by_its_spelling() {
        assert!(is_loopback("127.9.9.9") && is_loopback("::1") && is_loopback("LOCALHOST."));
        assert!(!is_loopback("10.0.0.1") && !is_loopback("localhost.example.com"));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let seeds: &[&str] =
            &["https://u:p@h:1/x?y", "http+unix:///a.sock:/b", "http://[::1]:2/", "ftp://x", "h:1", "%41://@:[]#"];
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut parsed = 0;
        for _ in 0..40_000 {
            let mut bytes = seeds[next() as usize % seeds.len()].as_bytes().to_vec();
            for _ in 0..next() % 4 {
                let at = next() as usize % bytes.len().max(1);
                match next() % 3 {
                    0 if !bytes.is_empty() => drop(bytes.remove(at)),
                    1 => bytes.insert(at.min(bytes.len()), b":/@[]%?#.1x"[next() as usize % 11]),
                    _ if !bytes.is_empty() => bytes[at] = next() as u8,
                    _ => {}
                }
            }
            match parse(&String::from_utf8_lossy(&bytes)) {
                Ok(t) => {
                    parsed += 1;
                    assert!(t.uri().starts_with('/'), "{t}");
                }
                Err(e) => assert!(e.text().len() < 600, "{e}"),
            }
        }
        assert!(parsed > 1000, "only {parsed} of the mutations parsed: the test has lost its teeth");
    }
}
