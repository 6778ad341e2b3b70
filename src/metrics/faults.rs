//! What is wrong with the files that a configuration names: those that the program could not work with, in words.

use super::options::Options;
use crate::net::porch;
use crate::net::tls;

/// The faults of a configuration's files; none when all can be used.
pub fn of_files(options: &Options) -> Option<Vec<String>> {
    let mut faults = Vec::new();
    let mut note = |result: Result<(), String>| faults.extend(result.err());
    note(options.login.look());
    if let Some(tls) = &options.database.dial.tls {
        note(tls.config().map(drop).map_err(|f| f.text));
    }
    if let Some(web) = &options.web_tls {
        note(tls::Server::new(web.clone()).config().map(drop).map_err(|f| f.text));
    }
    if let Some(path) = &options.web_users {
        note(porch::check_users(path).map(drop).map_err(|f| f.text));
    }
    Some(faults).filter(|f| !f.is_empty())
}
