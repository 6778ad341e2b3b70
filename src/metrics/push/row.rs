//! What an outlet says of itself, for all places that ask: a row of the table, and what a push came to. Refuses: to know any
//! protocol.

use crate::error::{Error, Result};
use crate::flags::Text;
use crate::metrics::assemble::Assembled;
use crate::metrics::render::lines::Written;
use crate::metrics::render::Render;
use crate::net::failure::Failure;
use crate::net::http::HttpOptions;
use crate::net::target::{decoded, Scheme};
use std::time::{Duration, Instant};

/// A row of the table.
#[derive(Debug)]
pub struct Outlet {
    /// How its URLs look.
    pub scheme: &'static Scheme,
    /// How its URLs look, for people.
    pub url: &'static str,
    /// What it is, in a few words.
    pub about: Text,
    /// Its numbers carry their time: what waited while it was down is sent in order. Else only the newest goes.
    pub timed: bool,
    /// What may stand in the query of its URL.
    pub settings: &'static [&'static str],
    /// Options of an outlet that it takes, besides those of every outlet.
    pub options: &'static [&'static str],
    /// Makes its sender. What could not be right on any day is an error; nothing is connected yet.
    pub open: fn(&Route) -> Result<Box<dyn Push>>,
}

/// Where an outlet is, and how it wants to be spoken to.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where, with which certificates, as whom.
    pub to: HttpOptions,
    /// What stands before every name.
    pub prefix: String,
    /// How often a page goes.
    pub interval: Duration,
    /// `--format`
    pub format: &'static Render,
}

impl Route {
    /// A setting of the URL's query.
    pub fn setting(&self, name: &str) -> Option<String> {
        self.query().find(|(n, _)| *n == name).and_then(|(_, value)| decoded(value))
    }

    /// One of these words, the first where none is named.
    pub fn choice(&self, name: &str, words: &[&'static str]) -> Result<&'static str> {
        let Some(value) = self.setting(name) else { return Ok(words[0]) };
        let known = words.iter().find(|w| **w == value);
        known.copied().ok_or_else(|| Error::usage(format!("`{name}` is one of {}", words.join(", "))))
    }

    /// Refuses a prefix where the page goes as it is.
    pub fn without_prefix(&self) -> Result<()> {
        match self.prefix.is_empty() {
            true => Ok(()),
            false => Err(Error::usage("--push-prefix is of no use here: the page goes as it is")),
        }
    }

    /// The path of the URL, or this one where it has none.
    pub fn path(&self, usual: &str) -> String {
        match self.to.target.uri().split('?').next() {
            None | Some("/") => usual.to_string(),
            Some(path) => path.to_string(),
        }
    }

    /// What stands in the query, as it was written.
    pub fn query(&self) -> impl Iterator<Item = (&str, &str)> {
        let query = self.to.target.uri().split_once('?').map_or("", |(_, query)| query);
        query.split('&').filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, "")))
    }
}

/// What is to be pushed where.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The outlets, each with its name.
    pub routes: Vec<(String, Route)>,
    /// How often.
    pub interval: Duration,
    /// How long one push may take.
    pub deadline: Duration,
    /// How many pages may wait for an outlet.
    pub buffer: usize,
}

/// Why a push did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What is counted.
    pub reason: &'static str,
    /// The words.
    pub text: String,
    /// The same numbers would be refused again: they are given up.
    pub forever: bool,
}

impl From<Failure> for Trouble {
    fn from(f: Failure) -> Trouble {
        Trouble { reason: f.kind.word(), text: f.text, forever: false }
    }
}

/// Sends pages to one outlet.
pub trait Push: Send {
    /// Sends one, until the deadline.
    fn push(&mut self, page: &Assembled<'_>, deadline: Instant) -> std::result::Result<Written, Trouble>;
    /// Reads certificates and secrets again, where it has any.
    fn reload(&mut self) {}
}

/// Options of those that speak TLS.
pub const OF_TLS: &[&str] = &["push-tls-ca", "push-tls-cert", "push-tls-key"];

/// Options of those that speak HTTP.
pub const OF_HTTP: &[&str] = &["push-user", "push-password-file", "push-token-file"];

/// Options of those that speak HTTP over TLS.
pub const OF_HTTPS: &[&str] =
    &["push-user", "push-password-file", "push-token-file", "push-tls-ca", "push-tls-cert", "push-tls-key"];
