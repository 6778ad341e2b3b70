//! Pages over HTTP: one request each, judged by its status alone.
//!
//! What a status means is the same for all: 2xx taken; 401, 403, 404, 407, 429 and 5xx come again; any other refuses these
//! very numbers. Refuses: to follow another place; to believe a web page, which none of these receivers has.

use super::row::{Route, Trouble};
use crate::error::Result;
use crate::limits;
use crate::net::http::Client;
use std::time::SystemTime;

/// Posts to one place.
pub struct Posted(Client);

impl Posted {
    /// To this URI of the outlet's host; a token goes behind this word.
    pub fn new(route: &Route, uri: String, token_word: &'static str) -> Result<Posted> {
        let mut to = route.to.clone();
        to.target = to.target.over_http(uri);
        to.token_word = token_word;
        Ok(Posted(Client::new(to)?.keeping(limits::HTTP_ANSWER_BYTES)))
    }

    /// By PUT: what was there before is replaced.
    pub fn by_put(self) -> Posted {
        Posted(self.0.by_put())
    }

    /// Sends one body; what is said to it comes back.
    pub fn send(&mut self, body: &[u8], headers: &[(&str, &str)]) -> std::result::Result<Vec<u8>, Trouble> {
        let answer = self.0.post(body, headers, SystemTime::now())?;
        let forever = match answer.status {
            200..=299 if answer.excerpt.starts_with('<') => false,
            200..=299 => return Ok(answer.body),
            401 | 403 | 404 | 407 | 408 | 425 | 429 | 500..=599 => false,
            _ => true,
        };
        let page = if answer.is_success() { " with a web page, so look at the URL" } else { "" };
        let text = format!("answered {}{page}: {}", answer.status, answer.excerpt);
        Err(Trouble { reason: "answer", text, forever })
    }

    /// Reads certificates and secrets again.
    pub fn reload(&mut self) {
        self.0.reload();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::HttpOptions;
    use crate::net::target::Target;
    use crate::net::testing::{read_request, serve};
    use std::io::Write;

    #[test]
    fn a_web_page_is_not_what_takes_numbers() {
        for (says, taken) in [("", true), ("ok", true), (" <!DOCTYPE html>Sign in", false)] {
            let port = serve(move |mut s, _| {
                read_request(&mut s);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", says.len());
                s.write_all((head + says).as_bytes()).unwrap();
            });
            let url = format!("otlp+http://127.0.0.1:{port}/");
            let to = HttpOptions::new(Target::parse(&url, &[super::super::otlp::HTTP.scheme]).unwrap());
            let (prefix, interval) = (String::new(), std::time::Duration::from_secs(1));
            let route = Route { to, prefix, interval, format: &crate::metrics::render::PROMETHEUS };
            let sent = Posted::new(&route, "/v1/metrics".into(), "Bearer").unwrap().send(b"x", &[]);
            let said = sent.map_err(|t| (t.forever, t.text.contains("a web page")));
            assert_eq!(said, if taken { Ok(says.into()) } else { Err((false, true)) }, "{says}");
        }
    }
}
