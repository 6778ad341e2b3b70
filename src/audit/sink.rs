//! Where bodies go: a trait with one call, what its answers mean, and the row for HTTP.
//!
//! A transport is one row here; which of its answers condemn an event and which only a configuration is decided in one
//! place, by the table of the documents. Refuses: to retry, to wait, to know how many events a body holds.

use crate::net::failure::{Failure, FailureKind};
use crate::net::http::Client;
use std::time::{Duration, SystemTime};

/// What became of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Taken(Said),
    /// Its content is at fault: 400, 413, 422.
    Content(Said),
    /// The configuration is at fault: 401, 403, 404 and their like; a redirect.
    Configuration(Said),
    /// Not now: 408, 425, 429, 5xx; with the wait the receiver asks for.
    NotNow(Said, Option<Duration>),
    /// There was no answer.
    Failed(Failure),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its status.
    pub status: u16,
    /// The beginning of its body, in one line.
    pub text: String,
}

impl Said {
    /// For people.
    pub fn words(&self) -> String {
        let said = self.text.trim();
        if said.is_empty() {
            format!("answered {}", self.status)
        } else {
            format!("answered {}: {said}", self.status)
        }
    }
}

/// What a status means.
pub fn judge(said: Said, retry_after: Option<Duration>) -> Outcome {
    match said.status {
        200..=299 => Outcome::Taken(said),
        400 | 413 | 422 => Outcome::Content(said),
        408 | 425 | 429 | 500..=599 => Outcome::NotNow(said, retry_after),
        _ => Outcome::Configuration(said),
    }
}

/// The reason of a failure, as the metrics name it.
pub fn reason(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Dns => "dns",
        FailureKind::Connect => "connect",
        FailureKind::Tls => "tls",
        FailureKind::Timeout => "timeout",
        FailureKind::Secret => "secret",
        FailureKind::Closed | FailureKind::Protocol => "closed",
    }
}

/// What goes with a body.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// What it is.
    pub content_type: &'a str,
    /// The same for the same events, so that a receiver can tell a repeat.
    pub key: &'a str,
    /// The node, for formats that name it.
    pub node: Option<u64>,
    /// The time, for answers that name a date.
    pub wall: SystemTime,
}

/// A transport to one receiver.
pub trait Sink: Send {
    /// Delivers one body.
    fn send(&mut self, body: &[u8], about: &About<'_>) -> Outcome;
    /// Reads certificates and secrets again.
    fn reload(&mut self);
    /// Gives back what it can do without for a while.
    fn rest(&mut self);
    /// Where it goes, for people, without secrets.
    fn place(&self) -> String;
}

impl Sink for Client {
    fn send(&mut self, body: &[u8], about: &About<'_>) -> Outcome {
        let node = about.node.map(|n| n.to_string());
        let mut headers = vec![("content-type", about.content_type), ("idempotency-key", about.key)];
        headers.extend(node.as_deref().map(|n| ("x-node-id", n)));
        match self.post(body, &headers, about.wall) {
            Ok(a) => judge(Said { status: a.status, text: a.excerpt }, a.retry_after),
            Err(f) => Outcome::Failed(f),
        }
    }

    fn reload(&mut self) {
        Client::reload(self);
    }

    fn rest(&mut self) {
        Client::rest(self);
    }

    fn place(&self) -> String {
        self.target().display()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean_what_the_table_says() {
        let name = |status| match judge(Said { status, text: String::new() }, None) {
            Outcome::Taken(_) => "taken",
            Outcome::Content(_) => "content",
            Outcome::Configuration(_) => "configuration",
            Outcome::NotNow(..) => "not now",
            Outcome::Failed(_) => "failed",
        };
        let all = |list: &[u16], what: &str| list.iter().for_each(|s| assert_eq!(name(*s), what, "{s}"));
        all(&[200, 201, 202, 204, 299], "taken");
        all(&[400, 413, 422], "content");
        all(&[401, 403, 404, 405, 407, 410, 301, 302, 308, 411, 415, 431, 451], "configuration");
        all(&[408, 425, 429, 500, 502, 503, 504, 599], "not now");
    }
}
