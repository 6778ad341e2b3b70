//! ○ Why something on the network did not succeed: a kind to count by, and a sentence for people.
//!
//! The sentence names the thing, the place and the cure, in lower case without a final dot, and never holds a secret.

use std::fmt;
use std::io;

/// The class of a failure, as the metrics count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureKind {
    /// The name has no address, or nobody could be asked.
    Dns,
    /// No connection: refused, unreachable, no such socket, the proxy said no.
    Connect,
    /// A handshake, a certificate, an alert; or plain HTTP where TLS was expected.
    Tls,
    /// A deadline passed.
    Timeout,
    /// The other side ended the connection before a whole answer.
    Closed,
    /// A file with a password, token, key or certificate is missing, unreadable or not what it should be.
    Secret,
    /// What came was not the protocol.
    Protocol,
    /// A file, a pipe or a program of this machine cannot be used: it is missing, its disk is full.
    File,
}

impl FailureKind {
    /// The word for it, as a metric label.
    pub fn word(self) -> &'static str {
        match self {
            FailureKind::Dns => "dns",
            FailureKind::Connect => "connect",
            FailureKind::Tls => "tls",
            FailureKind::Timeout => "timeout",
            FailureKind::Closed => "closed",
            FailureKind::Secret => "secret",
            FailureKind::Protocol => "protocol",
            FailureKind::File => "file",
        }
    }
}

/// A kind and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The class, for the metrics.
    pub kind: FailureKind,
    /// The sentence, for people.
    pub text: String,
}

impl Failure {
    /// A failure of this kind with this sentence.
    pub fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Failure { kind, text: text.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// The system's words for an error without the number that std appends: the sentence is for people.
pub fn words(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let Some(at) = text.rfind(" (os error ") {
        text.truncate(at);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_come_without_the_number() {
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(words(&refused), "Connection refused");
        assert_eq!(words(&io::Error::other("plain words")), "plain words");
    }
}
