//! The head of a visitor's request: understood strictly or refused; what the pages see of it is understood as the same
//! request, and holds neither a secret nor a line end of the visitor's making.
//!
//! Refuses: sockets and seconds (the porch's own tests have them).

use gostech::limits::PORCH_HEADERS;
use gostech::net::porch::head::{end, may_begin, parse};

/// Seeds: what scrapers, browsers and attackers send.
pub fn seeds() -> Vec<Vec<u8>> {
    let heads = [
        "GET /metrics HTTP/1.1\r\nHost: h\r\nAccept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\nAccept-Encoding: gzip\r\nUser-Agent: Prometheus/2.42\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n",
        "HEAD /-/ready?name[]=pico HTTP/1.0\r\nAuthorization: Basic bW9uOng=\r\nCookie: a=b\r\n\r\n",
        "GET http://h:1/x?y HTTP/1.1\r\nhost:h\r\ncontent-length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX-Gostech-Visitor: me\r\nx: a\rb\r\n\r\n",
        "GET /\u{e9} HTTP/2.0\r\n\r\n",
    ];
    heads.iter().map(|h| h.as_bytes().to_vec()).collect()
}

/// The target.
pub fn check(input: &[u8]) {
    let whole = end(input);
    assert_eq!(whole, (4..=input.len()).find(|n| input[n - 4..*n] == *b"\r\n\r\n"));
    let bytes = whole.map_or(input, |n| &input[..n]);
    let head = match parse(bytes, "192.0.2.1") {
        Ok(head) => head,
        Err(refusal) => {
            assert!((400..=599).contains(&refusal.status));
            for head_only in [false, true] {
                let answer = String::from_utf8(refusal.answer(head_only)).expect("text");
                let (top, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
                let length = format!("Content-Length: {}", refusal.words.len() + 1);
                assert!(top.contains(&length) && (head_only || body.len() == refusal.words.len() + 1), "{answer}");
            }
            return;
        }
    };
    assert!(whole.is_some() && may_begin(bytes), "understood, and yet it cannot begin so");
    let a = &head.request;
    assert!(a.headers.len() <= PORCH_HEADERS);
    for text in a.headers.iter().flat_map(|(n, v)| [n, v]).chain([&a.path, &a.query]) {
        assert!(text.is_ascii() && text.bytes().all(|b| b >= b' ' || b == b'\t'), "{text:?}");
    }
    for kept in ["authorization", "cookie", "content-length", "transfer-encoding", "connection"] {
        assert!(a.headers.iter().all(|(n, _)| n != kept), "{kept} is passed on");
    }
    let mark = if a.query.is_empty() { "" } else { "?" };
    let mut text = format!("{} {}{mark}{} HTTP/1.0\r\n", if head.head_only { "HEAD" } else { "GET" }, a.path, a.query);
    a.headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    text.push_str("\r\n");
    assert_eq!(end(text.as_bytes()), Some(text.len()), "more than one request");
    let again = parse(text.as_bytes(), "192.0.2.1").expect("what the pages see is understood");
    assert_eq!((head.head_only, a, None), (again.head_only, &again.request, again.authorization));
}
