//! Where a receiver is, and how it wants to be spoken to: what the options behind one `--url` say.
//!
//! What every transport can have use for stands in fields of its own; an option that only some have is asked for by its name
//! by the transport that has it. Refuses: to open anything.

use crate::flags::Item;
use crate::guard::files::Wish;
use crate::net::http::{Auth, HttpOptions};
use crate::net::tls;
use std::path::{Path, PathBuf};

/// What the options of one URL say.
#[derive(Clone)]
pub struct Route {
    /// Where, through what, with which certificates, as whom, how long it may take.
    pub to: HttpOptions,
    /// The options of its transport as they were written.
    own: Vec<Item>,
}

impl Route {
    /// With the options of its transport.
    pub fn new(to: HttpOptions, own: Vec<Item>) -> Route {
        Route { to, own }
    }

    /// An option of its transport, where it was given: its value, and how to complain about it.
    pub fn option(&self, name: &str) -> Option<&Item> {
        self.own.iter().find(|item| item.row == name)
    }

    /// The files that it names: certificates, keys, secrets; those of the system's authorities where they are trusted.
    pub fn files(&self) -> Vec<Wish> {
        let t = &self.to.tls;
        let secret = match &self.to.auth {
            Auth::None => None,
            Auth::Basic { password, .. } => password.path(),
            Auth::Bearer(token) => token.path(),
        };
        let named = [t.ca.as_deref(), t.certificate.as_deref(), t.key.as_deref(), secret].into_iter().flatten();
        let named = named.chain(self.to.headers.iter().filter_map(|(_, value)| value.path()));
        let mut all: Vec<Wish> = named.map(|f| Wish::Read(f.to_path_buf())).collect();
        if self.to.target.is_tls() && (t.ca.is_none() || t.system_too) {
            all.extend(tls::system_bundles().into_iter().map(authorities));
        }
        all
    }
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Route").field("to", &self.to).finish_non_exhaustive()
    }
}

/// Beside some of them lie the system's private keys.
fn authorities(file: PathBuf) -> Wish {
    match file.parent() == Some(Path::new("/etc/ssl")) {
        true => Wish::ReadAlone(file),
        false => Wish::Read(file),
    }
}
