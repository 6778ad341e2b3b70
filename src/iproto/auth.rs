//! How a user proves a password over iproto ○: the scrambles of the three methods.
//!
//! The scramble of `chap-sha1` and `md5` is worth nothing without the salt of this connection; that of `ldap` is the
//! password itself, so the caller must have checked that no one listens. Refuses: `scram-sha256`, which exists for the
//! PostgreSQL port only.

use super::md5;
use crate::msgpack;
use ring::digest::{digest, SHA1_FOR_LEGACY_USE_ONLY};

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Tarantool's own; `pico_service` uses it.
    ChapSha1,
    /// Picodata's default for new users.
    Md5,
    /// The password in clear, which the database shows to an LDAP server.
    Ldap,
}

impl Method {
    /// The name in requests and options.
    pub fn name(self) -> &'static str {
        match self {
            Method::ChapSha1 => "chap-sha1",
            Method::Md5 => "md5",
            Method::Ldap => "ldap",
        }
    }

    /// The method of a name.
    pub fn parse(name: &str) -> Option<Method> {
        [Method::ChapSha1, Method::Md5, Method::Ldap].into_iter().find(|m| m.name() == name)
    }
}

/// Writes the value of the key 0x21 of an AUTH request: `[method, scramble]`.
pub fn put_proof(out: &mut Vec<u8>, method: Method, user: &str, password: &str, salt: &[u8; 20]) {
    msgpack::put_array(out, 2);
    msgpack::put_str(out, method.name());
    match method {
        Method::ChapSha1 => {
            // A text of 20 bytes: what Tarantool's own clients send, and old servers ask for.
            out.push(0xa0 | 20);
            out.extend(chap_sha1(password, salt));
        }
        Method::Md5 => msgpack::put_str(out, &md5_scramble(user, password, salt)),
        Method::Ldap => msgpack::put_str(out, password),
    }
}

fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let d = digest(&SHA1_FOR_LEGACY_USE_ONLY, &parts.concat());
    let mut out = [0; 20];
    out.copy_from_slice(d.as_ref());
    out
}

fn chap_sha1(password: &str, salt: &[u8; 20]) -> [u8; 20] {
    let mut once = sha1(&[password.as_bytes()]);
    let step = sha1(&[salt, &sha1(&[&once])]);
    once.iter_mut().zip(step).for_each(|(a, b)| *a ^= b);
    once
}

fn md5_scramble(user: &str, password: &str, salt: &[u8; 20]) -> String {
    let stored = md5::hex(&[password.as_bytes(), user.as_bytes()].concat());
    format!("md5{}", md5::hex(&[stored.as_bytes(), &salt[..4]].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; 20] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19];

    #[test]
    fn scrambles_as_another_implementation_makes_them() {
        let hex: String = chap_sha1("T0psecret", &SALT).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "c1d7e1b59c090eb4f3be62127758f4fe89b7963d");
        assert_eq!(md5_scramble("mon", "T0psecret", &SALT), "md5a46b53f655ca38b8fd206623ef43258d");
    }

    #[test]
    fn the_password_itself_goes_out_by_ldap_alone() {
        for (method, clear) in [(Method::ChapSha1, false), (Method::Md5, false), (Method::Ldap, true)] {
            let mut out = Vec::new();
            put_proof(&mut out, method, "mon", "T0psecret", &SALT);
            assert_eq!(out.windows(9).any(|w| w == b"T0psecret"), clear, "{}", method.name());
            assert_eq!(Method::parse(method.name()), Some(method));
            let shape = msgpack::Reader::new(&out).value();
            assert_eq!(shape.map(|v| v.items().len()), Ok(2));
        }
        assert_eq!(Method::parse("scram-sha256"), None);
    }
}
