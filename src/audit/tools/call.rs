//! What a command is given, and how it ends. Refuses: to know any of them.

use crate::audit::options::Options;
use crate::error::Error;
use crate::flags::Parsed;
use crate::words;
use std::io::{self, Write};

/// Why a command ended early.
#[derive(Debug)]
pub enum Stop {
    /// With a sentence.
    Error(Error),
    /// Its output could not be written.
    Output(io::Error),
}

impl From<Error> for Stop {
    fn from(e: Error) -> Stop {
        Stop::Error(e)
    }
}

impl From<io::Error> for Stop {
    fn from(e: io::Error) -> Stop {
        Stop::Output(e)
    }
}

/// The result of what a command does. Only failures of the output become `io::Error`s with `?`; others are put in words.
pub type Result<T> = std::result::Result<T, Stop>;

/// What a command is given.
pub struct Call<'a> {
    /// The call.
    pub parsed: &'a Parsed,
    /// Its options, read.
    pub options: &'a Options,
    /// The time, milliseconds since the epoch.
    pub now_ms: i64,
    /// Where answers go.
    pub out: &'a mut dyn Write,
}

impl Call<'_> {
    /// The first operand.
    pub fn operand(&self) -> Option<&String> {
        self.parsed.operands.first()
    }

    /// Whether a switch is given.
    pub fn is_on(&self, name: &str) -> bool {
        self.parsed.is_on(name)
    }
}

/// A line on stderr, for people.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "gostech-audit-log: {}", words::line(text, 2000));
}
