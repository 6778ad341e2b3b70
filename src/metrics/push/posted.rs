//! Pages over HTTP: one request each, judged by its status alone.
//!
//! What a status means is the same for all: 2xx taken; 401, 403, 404, 407, 429 and 5xx come again; any other refuses these
//! very numbers. Refuses: to follow another place.

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
            200..=299 => return Ok(answer.body),
            401 | 403 | 404 | 407 | 408 | 425 | 429 | 500..=599 => false,
            _ => true,
        };
        let text = format!("answered {}: {}", answer.status, answer.excerpt);
        Err(Trouble { reason: "answer", text, forever })
    }

    /// Reads certificates and secrets again.
    pub fn reload(&mut self) {
        self.0.reload();
    }
}
