//! Which password: the nearest one that was given.

use super::table::SERVICE_FILE;
use crate::error::Result;
use crate::flags::{value, Item, Parsed, Place};
use crate::net::secret::Secret;
use std::path::Path;

/// Whether the password file was inherited from the surroundings of the database and is not for this call.
pub fn is_for_another(parsed: &Parsed) -> bool {
    let inherited = parsed.get("password-file").is_some_and(|i| matches!(&i.place, Place::Env(n) if n == SERVICE_FILE));
    let own = parsed.get("password").is_some_and(|i| rank(i) >= 2);
    inherited && (own || parsed.need("username").value != "pico_service")
}

/// How near to the call a value stands: flag, environment, file.
fn rank(item: &Item) -> u8 {
    match item.place {
        Place::Flag(_) => 3,
        Place::Env(_) => 2,
        Place::File(..) => 1,
        Place::Default(_) => 0,
    }
}

/// The nearest of `--password-file` and `--password`; systemd's credential goes before the configuration file.
pub fn find(parsed: &Parsed, credentials: Option<&Path>, warnings: &mut Vec<String>) -> Result<Secret> {
    let (file, literal) = (parsed.get("password-file"), parsed.get("password"));
    let near = |item: Option<&Item>| item.map_or(0, rank);
    if let (Some(file), Some(literal)) = (file, literal.filter(|_| near(file) == near(literal))) {
        return Err(file.error(format!("{} is given as well: leave one out", literal.at())));
    }
    let nearest = if near(file) > near(literal) { file } else { literal };
    if let Some(path) = credentials.filter(|_| near(nearest) < 2) {
        return Ok(Secret::file(path));
    }
    // A client certificate may let its user in with any password; whether it does is seen at the login.
    let certified = parsed.is_on("tls-auth") && parsed.get("tls-cert").is_some();
    let Some(item) = nearest else {
        if certified {
            return Ok(Secret::literal(""));
        }
        warnings.push("no password is given: trying an empty one; name it with --password-file".into());
        return Ok(Secret::literal(""));
    };
    if item.row == "password-file" {
        return Ok(Secret::file(value::path(item)?));
    }
    if item.value.is_empty() && !certified {
        warnings
            .push("the password is empty: without a password file pico_service is open to the whole network".into());
    }
    if near(Some(item)) == 3 {
        warnings.push("a password in the arguments can be seen by everyone for a moment: use --password-file".into());
    }
    Ok(Secret::literal(item.value.as_str()))
}
