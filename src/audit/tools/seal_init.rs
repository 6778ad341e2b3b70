//! `seal init`: the directory of `--seal` with its first key. Refuses: a directory where there was a key before.

use super::call::{say, Call, Result};
use crate::audit::process::sealer::vault;
use crate::error::{Error, Exit};
use crate::sys::user;
use crate::words;
use std::path::Path;

/// Where it is to be.
pub fn dir<'a>(call: &Call<'a>) -> Result<&'a Path> {
    let seal = call.options.seal.as_ref();
    let usage = || Error::usage("`seal init` needs to know where: `seal init --seal DIR`");
    Ok(seal.map(|seal| seal.dir.as_path()).ok_or_else(usage)?)
}

/// Makes it, and prints the public key.
pub fn run(call: &mut Call<'_>) -> Result<Exit> {
    let dir = dir(call)?;
    if let Some(path) = vault::in_the_way(dir) {
        let (path, dir) = (words::shown(&path), words::shown(dir));
        let text =
            format!("`{path}` is there already: what it has signed goes on only with its keys; use `{dir}` as it is");
        return Err(
            Error::usage(format!("{text}, or move it away whole and give the auditor the new public key")).into()
        );
    }
    let key = vault::init(dir, call.now_ms).map_err(Error::failed)?;
    writeln!(call.out, "{key}")?;
    if user::is_root() {
        say(&format!(
            "`{}` belongs to root: give it to the user of the helper if that is another one",
            words::shown(dir)
        ));
    }
    Ok(Exit::Clean)
}
