//! The one error both programs end with: a sentence, and the exit code that goes with it.
//!
//! The sentence names what was attempted and on what, in lower case and without a final dot:
//! ``cannot open `/etc/x.conf`: Permission denied``. It never holds a secret: whoever writes one into it has a bug.

use std::fmt;

/// How a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Nothing was lost; what remains is on disk.
    Clean = 0,
    /// Something was lost, counted and said; or a one-shot command met a world that failed.
    Failed = 1,
    /// Usage: what could not be right on any day.
    Usage = 2,
    /// A verifier cannot tell from what it was given.
    CannotTell = 3,
}

/// A sentence and an exit code.
#[derive(Clone, Debug)]
pub struct Error {
    exit: Exit,
    text: String,
}

impl Error {
    /// What could not be right on any day: unknown option, unparsable value, unreadable `--config`.
    pub fn usage(text: impl Into<String>) -> Self {
        Error { exit: Exit::Usage, text: text.into() }
    }

    /// The world failed a one-shot command, or something was lost.
    pub fn failed(text: impl Into<String>) -> Self {
        Error { exit: Exit::Failed, text: text.into() }
    }

    /// The same sentence, where it means that a verifier cannot tell.
    pub fn cannot_tell(self) -> Self {
        Error { exit: Exit::CannotTell, ..self }
    }

    /// The exit code that goes with the sentence.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The sentence.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// The result of anything that may end a program.
pub type Result<T> = std::result::Result<T, Error>;
