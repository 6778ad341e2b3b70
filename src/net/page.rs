//! ○ A request as a page sees it, and the page that answers it.

use crate::net::target::decoded;

/// A request for a page: always GET or HEAD (the body is left out further down), without a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// The path, as it was sent.
    pub path: String,
    /// The query without its `?`, as it was sent; empty where there is none.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Who asks: address and port, or `unix`.
    pub visitor: String,
}

impl PageRequest {
    /// The first value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// All values of a query argument (`name[]=a&name[]=b`), decoded; what cannot be decoded is left out.
    pub fn arguments(&self, name: &str) -> Vec<String> {
        let plain = |text: &str| decoded(&text.replace('+', " "));
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.filter(|(n, _)| plain(n).as_deref() == Some(name)).filter_map(|(_, v)| plain(v)).collect()
    }
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: String,
    /// Other headers; what frames the message (length, connection) is added further down and ignored here.
    pub headers: Vec<(String, String)>,
    /// The body, for HEAD too: its length is told.
    pub body: Vec<u8>,
}

impl Page {
    /// A page of plain text.
    pub fn text(status: u16, text: impl Into<String>) -> Page {
        let mut text = text.into();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let content_type = "text/plain; charset=utf-8".to_string();
        Page { status, content_type, headers: Vec::new(), body: text.into_bytes() }
    }

    /// A page of HTML.
    pub fn html(status: u16, text: impl Into<String>) -> Page {
        let content_type = "text/html; charset=utf-8".to_string();
        Page { status, content_type, headers: Vec::new(), body: text.into().into_bytes() }
    }

    /// The same with a header more.
    pub fn with(mut self, name: &str, value: &str) -> Page {
        self.headers.push((name.to_string(), value.to_string()));
        self
    }
}

/// Words of the statuses that this program answers with.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_decoded_and_repeatable() {
        let request =
            PageRequest { query: "name[]=a%5F&x=1&name%5B%5D=b+c&name[]=%zz&name[]".into(), ..Default::default() };
        assert_eq!(request.arguments("name[]"), ["a_", "b c", ""]);
        assert_eq!(request.arguments("x"), ["1"]);
        assert!(request.arguments("y").is_empty());
    }
}
