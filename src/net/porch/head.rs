//! ○ The head of a visitor's request: checked whole and strictly before anything else sees it.
//!
//! GET and HEAD, HTTP/1.0 and 1.1, no body, nothing folded, no control characters. The pages see only what was understood;
//! `Authorization` and what frames the message is never passed on to them. And the head of the answer.

use crate::limits;
use crate::net::page::{reason, Page, PageRequest};
use crate::net::reply::{is_name, may_be_value};
use crate::stamp;

/// Why a visitor is sent away; the words are for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// One line.
    pub words: &'static str,
}

impl Refusal {
    /// A refusal.
    pub const fn new(status: u16, words: &'static str) -> Self {
        Refusal { status, words }
    }

    /// The whole answer.
    pub fn answer(&self, head_only: bool) -> Vec<u8> {
        let more = match self.status {
            401 => "WWW-Authenticate: Basic realm=\"gostech\", charset=\"UTF-8\"\r\n",
            405 => "Allow: GET, HEAD\r\n",
            503 => "Retry-After: 1\r\n",
            _ => "",
        };
        let (status, reason) = (self.status, reason(self.status));
        let (length, words) = (self.words.len() + 1, if head_only { "" } else { self.words });
        let end = if head_only { "" } else { "\n" };
        format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\
             {more}Connection: close\r\n\r\n{words}{end}"
        )
        .into_bytes()
    }
}

/// A request that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// HEAD, not GET.
    pub head_only: bool,
    /// The value of `Authorization`.
    pub authorization: Option<String>,
    /// The rest.
    pub request: PageRequest,
}

/// Where the head ends in what came so far, if it does.
pub fn end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// Whether these first bytes can be the beginning of a request; a TLS hello on a plain port, for example, cannot.
pub fn may_begin(bytes: &[u8]) -> bool {
    bytes.iter().take(8).take_while(|b| **b != b' ').all(|b| b.is_ascii_uppercase())
}

/// Understands a whole head, its empty line included.
pub fn parse(bytes: &[u8], visitor: &str) -> Result<Head, Refusal> {
    let bad = |words| Refusal::new(400, words);
    if bytes.iter().any(|&b| (b < b' ' && !matches!(b, b'\r' | b'\n' | b'\t')) || b == 0x7f) {
        return Err(bad("a control character in the request"));
    }
    // Values may be Latin-1 by the letter of the standard; no page looks at such.
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.strip_suffix("\r\n\r\n").ok_or(bad("a head without its end"))?.split("\r\n");
    let (head_only, target) = request_line(lines.next().unwrap_or_default())?;
    let http_1_1 = text.lines().next().is_some_and(|l| l.ends_with("1.1"));
    let mut headers = Vec::new();
    for line in lines {
        headers.push(header(line)?);
        if headers.len() > limits::PORCH_HEADERS {
            return Err(Refusal::new(431, "too many headers"));
        }
    }
    no_body(&headers)?;
    match headers.iter().filter(|(n, _)| n == "host").count() {
        0 if http_1_1 => return Err(bad("no Host header")),
        0 | 1 => {}
        _ => return Err(bad("more than one Host header")),
    }
    let authorization = headers.iter().find(|(n, _)| n == "authorization").map(|(_, v)| v.clone());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_string(), query.to_string());
    headers.retain(|(n, v)| !kept_back(n) && v.is_ascii() && !v.is_empty());
    Ok(Head { head_only, authorization, request: PageRequest { path, query, headers, visitor: visitor.to_string() } })
}

fn request_line(line: &str) -> Result<(bool, &str), Refusal> {
    let bad = |words| Err(Refusal::new(400, words));
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return bad("a request line that is not `METHOD /path HTTP/1.1`");
    };
    if !is_name(method.as_bytes()) {
        return bad("a method that is none");
    }
    match version {
        "HTTP/1.1" | "HTTP/1.0" => {}
        v if v.starts_with("HTTP/") => return Err(Refusal::new(505, "only HTTP/1.0 and HTTP/1.1")),
        _ => return bad("a request line that is not `METHOD /path HTTP/1.1`"),
    }
    let head_only = match method {
        "GET" => false,
        "HEAD" => true,
        _ => return Err(Refusal::new(405, "only GET and HEAD")),
    };
    // A proxy's form, `http://host/path`, is the same request.
    let target = match target.strip_prefix("http://").or_else(|| target.strip_prefix("https://")) {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    if !target.starts_with('/') || !target.bytes().all(|b| b.is_ascii_graphic()) || target.contains('#') {
        return bad("a path that is none");
    }
    Ok((head_only, target))
}

fn header(line: &str) -> Result<(String, String), Refusal> {
    let bad = |words| Err(Refusal::new(400, words));
    if line.starts_with([' ', '\t']) {
        return bad("a header folded over two lines");
    }
    let Some((name, value)) = line.split_once(':') else { return bad("a header without its colon") };
    if !is_name(name.as_bytes()) {
        return bad("a header with a name that is none");
    }
    if value.contains(['\r', '\n']) {
        return bad("a line end that is not CR LF");
    }
    Ok((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_string()))
}

fn no_body(headers: &[(String, String)]) -> Result<(), Refusal> {
    for (name, value) in headers {
        match (name.as_str(), value.as_str()) {
            ("content-length", v) if v.bytes().all(|b| b == b'0') && !v.is_empty() => {}
            ("content-length", v) if v.bytes().all(|b| b.is_ascii_digit()) && !v.is_empty() => {
                return Err(Refusal::new(413, "no request here has a body"));
            }
            ("content-length", _) => return Err(Refusal::new(400, "a Content-Length that is no number")),
            ("transfer-encoding", _) => return Err(Refusal::new(413, "no request here has a body")),
            _ => {}
        }
    }
    Ok(())
}

/// Headers that end here: secrets, and what belongs to this connection and not to the request.
fn kept_back(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "authorization",
        "proxy-authorization",
        "cookie",
        "connection",
        "proxy-connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "content-length",
        "upgrade",
        "expect",
    ];
    NAMES.contains(&name)
}

/// The head of the answer that brings this page.
pub fn answer(page: &Page, now: i64) -> Vec<u8> {
    let (status, reason) = (page.status, reason(page.status));
    let mut out = format!("HTTP/1.1 {status} {reason}\r\nServer: gostech\r\nDate: {}\r\n", stamp::http_date(now));
    let own = [("Content-Type", page.content_type.as_str())];
    let given = page.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    // A header that HTTP cannot carry is left out: a page with less is better than none.
    for (name, value) in own.into_iter().chain(given).filter(|(n, v)| may_stand(n, v)) {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    if !matches!(status, 204 | 304) {
        out.push_str(&format!("Content-Length: {}\r\n", page.body.len()));
    }
    out.push_str("Connection: close\r\n\r\n");
    out.into_bytes()
}

fn may_stand(name: &str, value: &str) -> bool {
    let framing = ["content-length", "transfer-encoding", "connection"];
    !framing.iter().any(|f| name.eq_ignore_ascii_case(f))
        && is_name(name.as_bytes())
        && value.is_ascii()
        && may_be_value(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> u16 {
        parse(text.as_bytes(), "v").map_or_else(|r| r.status, |_| 200)
    }

    #[test]
    fn of_what_is_understood_the_pages_see_what_is_theirs() {
        let text =
            "HEAD http://x:1/metrics?a=b HTTP/1.1\r\nHost: x\r\nACCEPT:  text/plain \r\nAuthorization: Basic eA==\r\n\
                    TE: chunked\r\nContent-Length: 0\r\nCookie: a\r\nX-None:\r\nX-Odd: é\r\n\r\n";
        let head = parse(text.as_bytes(), "1.2.3.4:5").unwrap();
        assert!(head.head_only && head.authorization.as_deref() == Some("Basic eA=="));
        assert_eq!((head.request.path.as_str(), head.request.query.as_str()), ("/metrics", "a=b"));
        let seen = [("host", "x"), ("accept", "text/plain")].map(|(n, v)| (n.to_string(), v.to_string()));
        assert_eq!((&head.request.headers[..], head.request.visitor.as_str()), (&seen[..], "1.2.3.4:5"));
        // HTTP/1.0 needs no Host.
        assert!(parse(b"GET / HTTP/1.0\r\n\r\n", "v").unwrap().request.headers.is_empty());
    }

    #[test]
    fn an_answer_says_its_length_and_nothing_that_http_cannot_carry() {
        let page = Page::text(200, "ok").with("X-More", "yes").with("X-Bad", "a\r\nb").with("Content-Length", "7");
        let want = "HTTP/1.1 200 OK\r\nServer: gostech\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                    Content-Type: text/plain; charset=utf-8\r\nX-More: yes\r\nContent-Length: 3\r\n\
                    Connection: close\r\n\r\n";
        assert_eq!(String::from_utf8(answer(&page, 784_111_777)).unwrap(), want);
        let none = String::from_utf8(answer(&Page::text(204, ""), 0)).unwrap();
        assert!(none.contains("Date: Thu, 01 Jan 1970 00:00:00 GMT") && !none.contains("Content-Length"), "{none}");
    }

    #[test]
    fn everything_else_is_sent_away() {
        assert_eq!(status("GET / HTTP/1.0\r\n\r\n"), 200);
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
        assert_eq!(status("get / HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
        assert_eq!(status("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
        assert_eq!(status("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("GET x HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("GET /é HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.0\r\nX: a\nY: b\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.0\r\nContent-Length: 5\r\n\r\n"), 413);
        assert_eq!(status("GET / HTTP/1.0\r\nContent-Length: +5\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 413);
        assert_eq!(status(&format!("GET / HTTP/1.0\r\n{}\r\n", "X: y\r\n".repeat(limits::PORCH_HEADERS + 1))), 431);
        assert!(!may_begin(&[0x16, 3, 1]) && may_begin(b"GET /") && may_begin(b"G") && !may_begin(b"get /"));
    }

    #[test]
    fn a_refusal_is_a_whole_answer() {
        let answer = String::from_utf8(Refusal::new(405, "only GET and HEAD").answer(false)).unwrap();
        let want =
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 18\r\n\
                    Allow: GET, HEAD\r\nConnection: close\r\n\r\nonly GET and HEAD\n";
        assert_eq!(answer, want);
        let head = String::from_utf8(Refusal::new(401, "who?").answer(true)).unwrap();
        assert!(head.contains("Basic realm=") && head.contains("Content-Length: 5\r\n") && head.ends_with("\r\n\r\n"));
    }

    #[test]
    fn no_bytes_make_it_panic_or_pass_a_line_end_on() {
        let seed = b"GET /metrics?x HTTP/1.1\r\nHost: a\r\nAccept: b\r\n\r\n";
        let mut state = 88_172_645_463_325_252u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize
        };
        let mut understood = 0;
        for _ in 0..40_000 {
            let mut bytes = seed.to_vec();
            for _ in 0..1 + next() % 3 {
                let at = next() % (bytes.len() - 4);
                bytes[at] = if next() % 2 == 0 { b"\r\n :/?\tG"[next() % 8] } else { next() as u8 };
            }
            if let Ok(head) = parse(&bytes, "v") {
                understood += 1;
                let r = &head.request;
                let seen = r.headers.iter().flat_map(|(n, v)| [n, v]).chain([&r.path, &r.query]);
                assert!(seen.into_iter().all(|t| t.is_ascii() && !t.contains(['\r', '\n'])), "{r:?}");
            }
        }
        assert!(understood > 1000, "only {understood} were understood: the test has lost its teeth");
    }
}
