//! The whole configuration, read at the start and again on SIGHUP: what is different now, and what cannot be while it runs.
//!
//! A configuration with a fault, also one that only its files have (a certificate, a password), is refused whole, and the one
//! from before goes on. Refuses: another job than the one it was started for.

use super::faults;
use super::options::{self, Options, PROGRAM};
use super::queries::file::Query;
use crate::error::Result;
use crate::flags::call::{blank, Call};
use crate::flags::{Outcome, Parsed};
use crate::guard;
use crate::hash;
use crate::limits;
use crate::log;
use crate::net::address::Address;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// What a call comes to.
pub enum Read {
    /// Text for stdout.
    Print(String),
    /// Work, and the prints of what it was read from.
    Run(Box<Options>, Prints),
}

/// What was given for each option, so that another reading can be compared with it; no value can be read from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prints(Vec<(&'static str, u64)>);

impl Prints {
    fn of(parsed: &Parsed, queries: &[Query]) -> Prints {
        let print = |row: &crate::flags::Row| {
            let values = parsed.all(row.name).into_iter().map(|item| item.value.as_bytes());
            (row.name, values.fold(0u64, |sum, value| hash::xxh64(value, sum.wrapping_add(1))))
        };
        // What stands in the files, and not only their names.
        let queries = hash::xxh64(format!("{queries:?}").as_bytes(), 0);
        Prints(PROGRAM.rows.iter().map(print).chain([("queries", queries)]).collect())
    }

    /// The options that are different there.
    pub fn changed(&self, other: &Prints) -> Vec<&'static str> {
        self.0.iter().zip(&other.0).filter(|(a, b)| a != b).map(|((name, _), _)| *name).collect()
    }
}

/// Reads everything that the call leads to.
pub fn read(call: &mut Call) -> Result<Read> {
    let parsed = match options::read(&call.args, &mut call.env, &read_file)? {
        Outcome::Print(text) => return Ok(Read::Print(text)),
        Outcome::Run(parsed) => parsed,
    };
    let directory = call.variable("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let credentials = directory.map(|d| d.join("password")).filter(|p| p.is_file());
    let options = options::understand(&parsed, credentials.as_deref()).and_then(|options| {
        let queries = options::queries(&parsed, &read_file)?;
        Ok(Options { queries, ..options })
    });
    let prints = Prints::of(&parsed, options.as_ref().map_or(&[], |options| &options.queries));
    // What remains of a password is in the options, and in the call.
    blank(parsed.items.into_iter().map(|item| item.value.into_bytes()));
    Ok(Read::Run(Box::new(options?), prints))
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limits::FLAGS_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What it takes to read everything again.
pub struct Again {
    /// What the program was called with.
    pub call: Call,
    /// Of the configuration that is in force.
    pub prints: Prints,
    /// How lines of the log are written.
    pub sink: log::Sink,
}

/// Options whose change wants a new connection.
const CONNECTION: &[&str] = &[
    "host",
    "port",
    "socket",
    "username",
    "auth-method",
    "tls-auth",
    "tls-ca",
    "tls-cert",
    "tls-key",
    "tls-server-name",
];

/// A new configuration.
pub struct Changed {
    /// What is to be from now on.
    pub options: Options,
    /// The database is another one, or is asked as somebody else.
    pub reconnect: bool,
    /// Something else is to be pushed, or elsewhere.
    pub push: bool,
}

impl Again {
    /// The new configuration, or none: it has a fault, which was told. `open` is where the pages may be without a word; none:
    /// the listeners were given.
    pub fn read(&mut self, open: Option<&[Address]>) -> Option<Changed> {
        // Whoever sends a signal wants its answer, however many there were before.
        log::calm("reload");
        let found = read(&mut self.call).map_err(|e| vec![e.to_string()]).and_then(|read| match read {
            Read::Run(options, prints) => faults::of_files(&options).map_or(Ok((*options, prints)), Err),
            Read::Print(_) => Err(vec!["it asks for a text".into()]),
        });
        let (mut options, prints) = match found {
            Ok(found) => found,
            Err(faults) => {
                let text =
                    format!("{}; the whole configuration is refused, the one from before goes on", faults.join("; "));
                log::error("reload", text);
                return None;
            }
        };
        log::init(PROGRAM.name, options.level, self.sink);
        options.warnings.iter().for_each(|w| log::warn("options", w));
        let changed = self.prints.changed(&prints);
        self.prints = prints;
        keep_what_must_stay(&mut options, &changed, open);
        let words = if changed.is_empty() { "nothing is different".into() } else { changed.join(", ") };
        log::info("reload", format!("the configuration was read again: {words}"));
        let reconnect = changed.iter().any(|name| CONNECTION.contains(name));
        let push =
            changed.iter().any(|name| PROGRAM.row(name).is_some_and(|row| row.group == "Push") || *name == "format");
        Some(Changed { options, reconnect, push })
    }
}

/// Names what stays as it is until the next start.
fn keep_what_must_stay(options: &mut Options, changed: &[&str], open: Option<&[Address]>) {
    let later =
        |what: &str, why: &str| log::warn("reload", format!("{what} stays as it is until the next start: {why}"));
    for name in ["no-confinement", "once", "check", "format"] {
        if changed.contains(&name) {
            later(&format!("--{name}"), "it is a matter of the start");
        }
    }
    let Some(open) = open else {
        if changed.contains(&"addr") {
            later("--addr", "systemd opened the sockets");
        }
        return;
    };
    let confined = guard::in_force().iter().any(|(name, on)| *name == "landlock" && *on);
    options.addresses.retain(|address| {
        let possible = !confined || matches!(address, Address::Tcp { .. }) || open.contains(address);
        if !possible {
            later(&format!("--addr {address}"), "this process has given up making sockets anywhere else");
        }
        possible
    });
}
