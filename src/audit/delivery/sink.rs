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
    /// No request was made.
    Failed(Failure),
    /// The request was on its way, and no whole answer came.
    Unanswered(Failure),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its status; 0: there was none, and the words say what there was instead.
    pub status: u16,
    /// The beginning of its body, in one line.
    pub text: String,
}

impl Said {
    /// Whether it says itself that the content is at fault.
    pub fn blames_the_content(&self) -> bool {
        matches!(self.status, 400 | 413 | 422)
    }

    /// For people.
    pub fn words(&self) -> String {
        let said = self.text.trim();
        if self.status == 0 {
            return said.to_string();
        }
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
        _ if said.blames_the_content() => Outcome::Content(said),
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

/// Whether a request may have met this on its way (TLS speaks of us, a secret was never sent).
fn is_unanswered(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Timeout | FailureKind::Closed | FailureKind::Protocol)
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
    /// How much of the time that it had the last delivery took, in percent.
    fn spent(&self) -> u32 {
        0
    }
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
            Err(f) if self.was_sending() && is_unanswered(f.kind) => Outcome::Unanswered(f),
            Err(f) => Outcome::Failed(f),
        }
    }

    fn spent(&self) -> u32 {
        Client::spent(self)
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
            Outcome::Failed(_) | Outcome::Unanswered(_) => "failed",
        };
        let all = |list: &[u16], what: &str| list.iter().for_each(|s| assert_eq!(name(*s), what, "{s}"));
        all(&[200, 201, 202, 204, 299], "taken");
        all(&[400, 413, 422], "content");
        all(&[401, 403, 404, 405, 407, 410, 301, 302, 308, 411, 415, 431, 451], "configuration");
        all(&[408, 425, 429, 500, 502, 503, 504, 599], "not now");
    }
}
