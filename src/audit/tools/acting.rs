//! As whom `check` looks: root may read everything, the user of the database may not, so root becomes that one first.
//!
//! It is the user of `--as`, or else the owner of the spool. His groups count too, by `/etc/group`. Refuses: to guess a user
//! where there is no spool.

use super::call::{Call, Result};
use super::rights;
use crate::audit::options::keeping;
use crate::error::Error;
use crate::limits;
use crate::net::failure::words as io_words;
use crate::sys::{process, user};
use std::io::Read;

/// As whom it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acting {
    /// As who has called it.
    Oneself,
    /// As this one.
    As(String),
    /// As root, for want of anybody else.
    Root,
}

/// An account of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

/// Root becomes the user of the database, for good.
pub fn become_user(call: &Call<'_>) -> Result<Acting> {
    let named = call.parsed.get("as");
    if !user::is_root() {
        return match named {
            Some(item) => Err(item.error("only root can check as another user").into()),
            None => Ok(Acting::Oneself),
        };
    }
    let passwd = text("/etc/passwd");
    let (account, why) = match named {
        Some(item) => match account(&passwd, |a| a.name == item.value || a.uid.to_string() == item.value) {
            Some(account) => (account, String::new()),
            None => return Err(item.error(format!("there is no user {} here", item.shown())).into()),
        },
        None => match owner(call, &passwd)? {
            Some(found) => found,
            None => return Ok(Acting::Root),
        },
    };
    if account.uid == 0 {
        return Ok(Acting::Root);
    }
    let groups = groups(&text("/etc/group"), &account);
    user::become_with(account.uid, account.gid, &groups)
        .map_err(|e| Error::failed(format!("cannot become the user `{}`: {}", account.name, io_words(&e))))?;
    // The change of users has made it readable for others again, where the system is set up so.
    let _ = process::not_dumpable();
    Ok(Acting::As(format!("`{}`{why}", account.name)))
}

/// Whose the spool is, if there is one.
fn owner(call: &Call<'_>, passwd: &str) -> Result<Option<(Account, String)>> {
    let Some(dir) = keeping::roots(call.options).into_iter().find(|d| d.is_dir()) else { return Ok(None) };
    let Some(other) = rights::owner(&dir)? else { return Ok(None) };
    let nameless = Account { name: other.uid.to_string(), uid: other.uid, gid: other.group };
    let account = account(passwd, |a| a.uid == other.uid).unwrap_or(nameless);
    Ok(Some((account, format!(", to whom `{}` belongs", dir.display()))))
}

fn text(file: &str) -> String {
    let mut text = String::new();
    let most = limits::FLAGS_FILE_BYTES as u64;
    let read = std::fs::File::open(file).and_then(|f| f.take(most).read_to_string(&mut text));
    read.map_or_else(|_| String::new(), |_| text)
}

/// The first line of `/etc/passwd` that fits.
fn account(passwd: &str, fits: impl Fn(&Account) -> bool) -> Option<Account> {
    let accounts = passwd.lines().filter_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?.to_string();
        let (uid, gid) = (parts.nth(1)?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Account { name, uid, gid })
    });
    accounts.into_iter().find(|a| fits(a))
}

/// His groups by `/etc/group`, his first one at the beginning.
fn groups(group: &str, of: &Account) -> Vec<u32> {
    let others = group.lines().filter_map(|line| {
        let mut parts = line.split(':');
        let gid: u32 = parts.nth(2)?.parse().ok()?;
        parts.next()?.split(',').any(|m| m.trim() == of.name).then_some(gid)
    });
    std::iter::once(of.gid).chain(others.filter(|g| *g != of.gid)).take(limits::CHECK_GROUPS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_and_their_groups_are_read() {
        let passwd = "root:x:0:0::/root:/bin/sh\nbroken\npico:x:104:110:Pico:/var:/bin/false\n";
        let pico = account(passwd, |a| a.name == "pico").expect("an account");
        assert_eq!((pico.uid, pico.gid), (104, 110));
        assert_eq!(account(passwd, |a| a.uid == 7), None);
        let group = "ssl-cert:x:111:www,pico\npico:x:110:pico\nadm:x:4:picola\nodd\n";
        assert_eq!(groups(group, &pico), [110, 111]);
    }
}
