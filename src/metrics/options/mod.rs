//! The options of `gostech-metrics`: what a call comes to.
//!
//! A file a subject: the `table`, `password`, `database`, `source`, `page`, `push`. Refuses: two passwords, a source that needs what was
//! not given; reads no file but through `Secret` later on.

mod database;
mod page;
mod password;
mod push;
mod source;
mod table;

use super::asker::{self, Asker};
use super::cluster::Maker;
use super::login::Login;
use super::push::row::Plan;
use super::queries::file::{self, Query};
use super::render::{self, Render};
use super::source::Wishes;
use crate::error::Result;
use crate::flags::{self, value, Outcome, Parsed};
use crate::iproto::auth::Method;
use crate::log::Level;
use crate::net::address::Address;
use crate::net::expiry::Named;
use crate::net::tls;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
pub use table::PROGRAM;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub enum Job {
    /// Serve the page.
    Serve,
    /// Print the page.
    Once(&'static Render),
    /// Say what can be seen.
    Check,
    /// Show the status page in the terminal.
    Watch,
}

/// What a call comes to.
pub struct Options {
    /// What is to be done.
    pub job: Job,
    /// The database.
    pub database: asker::Address,
    /// As whom.
    pub login: Login,
    /// What is asked for.
    pub wishes: Wishes,
    /// Where the page is served.
    pub addresses: Vec<Address>,
    /// How old a reading may be.
    pub floor: Duration,
    /// Polls unasked.
    pub interval: Option<Duration>,
    /// Kept of the scraper's patience.
    pub offset: Duration,
    /// HTTPS.
    pub web_tls: Option<tls::ServerOptions>,
    /// Basic auth.
    pub web_users: Option<PathBuf>,
    /// Who may be probed.
    pub probes: Vec<String>,
    /// Own queries.
    pub queries: Vec<Query>,
    /// What is pushed where.
    pub push: Plan,
    /// `--no-confinement`
    pub unconfined: bool,
    /// What is logged.
    pub level: Level,
    /// To be logged.
    pub warnings: Vec<String>,
}

impl Options {
    /// Another one who asks the same instance, for the own queries.
    pub fn another_asker(&self) -> Asker {
        Asker::new(self.database.clone(), self.login.beside(), self.wishes.clone())
    }

    /// How the other instances of the cluster are asked.
    pub fn maker(&self) -> Maker {
        Maker {
            address: self.database.clone(),
            login: self.login.beside(),
            wishes: self.wishes.clone(),
            interval: self.interval,
            probes: self.probes.clone(),
        }
    }

    /// The files with certificates that these options name: of the pages and of the way to the database.
    pub fn certificates(&self) -> Vec<Named> {
        let mut all = Vec::new();
        if let Some(web) = &self.web_tls {
            all.push(Named::certificate(&web.certificate));
            all.extend(web.client_ca.as_deref().map(Named::authority));
        }
        if let Some(tls) = &self.database.dial.tls {
            all.extend(tls.options().certificate.as_deref().map(Named::certificate));
            all.extend(tls.options().ca.as_deref().map(Named::authority));
        }
        for (_, route) in &self.push.routes {
            all.extend(route.to.tls.certificate.as_deref().map(Named::certificate));
            all.extend(route.to.tls.ca.as_deref().map(Named::authority));
        }
        all
    }
}

/// Reads a call. `PICODATA_SERVICE_PASSWORD_FILE` may be inherited from the database's surroundings: it does not stand in the
/// way of a password that was meant for this program, nor is it tried for another user, whose account that could lock.
pub fn read(
    args: &[OsString],
    env: &mut Vec<(OsString, OsString)>,
    read_file: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<Outcome> {
    match flags::parse(&PROGRAM, args, env, read_file)? {
        Outcome::Run(parsed) if password::is_for_another(&parsed) => {
            flags::call::blank(parsed.items.into_iter().map(|item| item.value.into_bytes()));
            env.retain(|(name, _)| name != table::SERVICE_FILE);
            flags::parse(&PROGRAM, args, env, read_file)
        }
        outcome => Ok(outcome),
    }
}

/// Makes sense of what was found. `credentials` is the file `password` of `$CREDENTIALS_DIRECTORY`, if it is there.
pub fn understand(parsed: &Parsed, credentials: Option<&Path>) -> Result<Options> {
    let mut warnings = parsed.warnings.clone();
    let named = Method::parse(value::listed(&parsed.need("auth-method"))?);
    let user = parsed.need("username");
    let user = value::nonempty(&user)?;
    let mut login = Login::new(user, password::find(parsed, credentials, &mut warnings)?, named);
    login.insist = parsed.is_on("ldap-in-clear");
    Ok(Options {
        job: job(parsed)?,
        database: database::find(parsed, &mut warnings)?,
        login,
        wishes: source::find(parsed, user)?,
        addresses: page::addresses(parsed)?,
        floor: page::floor(parsed)?,
        interval: page::interval(parsed)?,
        offset: page::offset(parsed)?,
        web_tls: page::web_tls(parsed)?,
        web_users: page::path(parsed, "web-users")?,
        probes: page::probes(parsed)?,
        queries: Vec::new(),
        push: push::find(parsed, format(parsed)?)?,
        unconfined: parsed.is_on("no-confinement"),
        level: Level::parse(value::listed(&parsed.need("log-level"))?).unwrap_or(Level::Info),
        warnings,
    })
}

/// The own queries, from their files.
pub fn queries(parsed: &Parsed, read_file: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> Result<Vec<Query>> {
    let mut all = Vec::new();
    for item in parsed.all("query-file") {
        let path = value::path(item)?;
        let bytes = read_file(&path).map_err(|e| item.error(format!("cannot read `{}`: {e}", path.display())))?;
        file::read(&path, &bytes, &mut all)?;
    }
    Ok(all)
}

fn format(parsed: &Parsed) -> Result<&'static Render> {
    Ok(render::find(value::listed(&parsed.need("format"))?).unwrap_or(&render::PROMETHEUS))
}

fn job(parsed: &Parsed) -> Result<Job> {
    let asked: Vec<&str> = ["once", "check", "watch"].into_iter().filter(|name| parsed.is_on(name)).collect();
    match asked[..] {
        [] => Ok(Job::Serve),
        ["once"] => Ok(Job::Once(format(parsed)?)),
        ["check"] => Ok(Job::Check),
        [_] => Ok(Job::Watch),
        [first, second, ..] => {
            Err(parsed.need(second).error(format!("`--{first}` and `--{second}` are two jobs: name one")))
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
