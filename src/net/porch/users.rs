//! Who may see the pages: `--web-users`, lines of `name:bcrypt` as `htpasswd -B` writes them.
//!
//! Read again when the file changes. A file that is missing or bad lets nobody in. What was verified is remembered as a
//! salted SHA-256, so that a scrape does not cost 100 ms each time; few passwords are checked at once. An unknown name
//! costs as much as a known one.

use crate::json::from_base64;
use crate::limits;
use crate::log;
use crate::net::crypto;
use crate::net::failure::{Failure, FailureKind};
use crate::net::porch::head::Refusal;
use crate::net::secret::Wiped;
use crate::net::watch::{self, FileStamp};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The users of a porch.
pub struct Users {
    path: PathBuf,
    state: Mutex<State>,
    turns: Mutex<usize>,
    turn_over: Condvar,
}

#[derive(Default)]
struct State {
    stamp: Option<FileStamp>,
    users: Vec<User>,
    salt: [u8; 32],
    known: VecDeque<[u8; 32]>,
}

#[derive(Clone)]
struct User {
    name: String,
    hash: Hash,
}

/// A bcrypt hash, taken apart.
#[derive(Clone, Copy)]
struct Hash {
    cost: u32,
    salt: [u8; 16],
    sum: [u8; 23],
}

/// What an unknown name is checked against.
const NOBODY: Hash = Hash { cost: 10, salt: [0x5a; 16], sum: [0; 23] };

const WHO: Refusal = Refusal::new(401, "a user and a password, please");
const BUSY: Refusal = Refusal::new(503, "too many passwords to check; come again");
const BROKEN: Refusal = Refusal::new(503, "the file of users cannot be used; the log says why");

impl Users {
    /// Nothing is read yet.
    pub fn new(path: PathBuf) -> Self {
        Users { path, state: Mutex::default(), turns: Mutex::new(0), turn_over: Condvar::new() }
    }

    /// Whether the visitor with this `Authorization` may come in.
    pub fn check(&self, authorization: Option<&str>) -> Result<(), Refusal> {
        let (name, password) = authorization.and_then(credentials).ok_or(WHO)?;
        let (key, hash) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            self.refresh(&mut state)?;
            let key = state.key(&name, password.bytes());
            if state.known.iter().any(|k| same(k, &key)) {
                return Ok(());
            }
            let known = state.users.iter().find(|u| u.name == name).map(|u| u.hash);
            // As dear as the others, so that the time does not tell which names there are.
            let cost = state.users.first().map_or(NOBODY.cost, |u| u.hash.cost);
            (key, known.ok_or(Hash { cost, ..NOBODY }))
        };
        self.take_turn()?;
        let right = match hash {
            Ok(known) => known.is_of(password.bytes()),
            Err(nobody) => {
                std::hint::black_box(nobody.is_of(password.bytes()));
                false
            }
        };
        self.give_turn();
        if !right {
            return Err(WHO);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // The file may have changed meanwhile; with it the salt, so that the key fits nothing then.
        if state.known.len() >= limits::USERS_CACHE {
            state.known.pop_front();
        }
        state.known.push_back(key);
        Ok(())
    }

    /// Reads the file if it must be, and says what is wrong with it.
    pub fn look(&self) {
        let _ = self.refresh(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn refresh(&self, state: &mut State) -> Result<(), Refusal> {
        let now = FileStamp::of(&self.path);
        if state.stamp.as_ref() == Some(&now) {
            return Ok(());
        }
        *state = State::default();
        match read(&self.path) {
            Ok(users) => {
                // A new salt with each reading: what was remembered before is worth nothing.
                crypto::random(&mut state.salt);
                state.users = users;
                state.stamp = Some(now);
                log::calm("page users");
                Ok(())
            }
            Err(f) => {
                log::warn("page users", f);
                Err(BROKEN)
            }
        }
    }

    fn take_turn(&self) -> Result<(), Refusal> {
        let end = Instant::now() + Duration::from_secs(limits::BCRYPT_WAIT_SECONDS);
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        while *turns >= limits::BCRYPT_AT_ONCE {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(BUSY);
            }
            turns = self.turn_over.wait_timeout(turns, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *turns += 1;
        Ok(())
    }

    fn give_turn(&self) {
        *self.turns.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.turn_over.notify_one();
    }
}

/// Whether this file could be used, and how many users it has.
pub fn check_file(path: &Path) -> Result<usize, Failure> {
    read(path).map(|users| users.len())
}

impl State {
    /// What is remembered of a verified pair; the lengths keep `a`+`bc` and `ab`+`c` apart.
    fn key(&self, name: &str, password: &[u8]) -> [u8; 32] {
        let mut all = Vec::with_capacity(48 + name.len() + password.len());
        all.extend_from_slice(&self.salt);
        all.extend_from_slice(&(name.len() as u64).to_le_bytes());
        all.extend_from_slice(name.as_bytes());
        all.extend_from_slice(password);
        crypto::sha256(Wiped::new(all).bytes())
    }
}

fn credentials(value: &str) -> Option<(String, Wiped)> {
    let (scheme, coded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = Wiped::new(from_base64(coded.trim())?);
    let at = pair.bytes().iter().position(|&b| b == b':')?;
    let name = String::from_utf8(pair.bytes()[..at].to_vec()).ok()?;
    Some((name, Wiped::new(pair.bytes()[at + 1..].to_vec())))
}

fn read(path: &Path) -> Result<Vec<User>, Failure> {
    let what = "file of users";
    let (bytes, _) = watch::read(path, what, limits::USERS_FILE_BYTES, "")?;
    let text = String::from_utf8_lossy(&bytes);
    let mut users = Vec::new();
    for (n, line) in text.lines().enumerate().map(|(n, l)| (n + 1, l.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fail =
            |why: &str| Failure::new(FailureKind::Secret, format!("{what} `{}`, line {n}: {why}", path.display()));
        let (name, hash) = line.split_once(':').ok_or_else(|| fail("not like name:bcrypt"))?;
        let hash = Hash::parse(hash).map_err(fail)?;
        users.push(User { name: name.to_string(), hash });
        if users.len() > limits::USERS {
            return Err(fail(&format!("more than {} users", limits::USERS)));
        }
    }
    Ok(users)
}

impl Hash {
    /// `$2y$10$` (or `2a`, `2b`), 22 characters of salt, 31 of hash.
    fn parse(text: &str) -> Result<Hash, &'static str> {
        let bad = "not a bcrypt hash ($2y$…); make one with htpasswd -B";
        let rest = ["$2y$", "$2a$", "$2b$"].iter().find_map(|p| text.strip_prefix(p)).ok_or(bad)?;
        let (cost, coded) = rest.split_once('$').ok_or(bad)?;
        let cost = cost.parse().ok().filter(|_| cost.len() == 2).ok_or(bad)?;
        if !(4..=limits::BCRYPT_COST_MAX).contains(&cost) {
            return Err("a bcrypt cost that is not from 4 to 14");
        }
        if coded.len() != 53 || !coded.is_ascii() {
            return Err(bad);
        }
        let (mut salt, mut sum) = ([0; 16], [0; 23]);
        own_base64(&coded[..22], &mut salt).ok_or(bad)?;
        own_base64(&coded[22..], &mut sum).ok_or(bad)?;
        Ok(Hash { cost, salt, sum })
    }

    fn is_of(&self, password: &[u8]) -> bool {
        // The zero at the end belongs to it; what is longer than 72 bytes is cut, as everywhere.
        let mut whole = Vec::with_capacity(password.len() + 1);
        whole.extend_from_slice(password);
        whole.push(0);
        let whole = Wiped::new(whole);
        let sum = bcrypt::bcrypt(self.cost, self.salt, &whole.bytes()[..whole.bytes().len().min(72)]);
        same(&sum[..23], &self.sum)
    }
}

/// bcrypt's own base64: another order of the alphabet, no padding, loose last bits.
fn own_base64(text: &str, out: &mut [u8]) -> Option<()> {
    const ALPHABET: &[u8] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let (mut group, mut bits, mut at) = (0u32, 0, 0);
    for b in text.bytes() {
        group = group << 6 | ALPHABET.iter().position(|&a| a == b)? as u32;
        bits += 6;
        if bits >= 8 && at < out.len() {
            bits -= 8;
            out[at] = (group >> bits) as u8;
            at += 1;
        }
    }
    (at == out.len()).then_some(())
}

/// Whether two byte strings are the same, in a time that says nothing about where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::net::testing::Scratch;

    /// Of «T0psecret», made by `htpasswd -nbB -C 5`.
    pub const LINE: &str = "prom:$2y$05$KFIdx.QJNDch54ziOXZJl.LDspLfpq9oyLtPsKAkw7WB.spjmgYm2";

    fn header(pair: &str) -> String {
        let mut out = b"Basic ".to_vec();
        json::push_base64(&mut out, pair.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_public_vectors_of_bcrypt() {
        // From the jBCrypt tests: the empty password, and one with letters, under `2a`.
        let empty = Hash::parse("$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.").unwrap();
        assert!(empty.is_of(b"") && !empty.is_of(b"x"));
        let abc = Hash::parse("$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i").unwrap();
        assert!(abc.is_of(b"abc") && !abc.is_of(b"abd"));
    }

    #[test]
    fn the_right_ones_come_in_and_are_remembered_until_the_file_changes() {
        let dir = Scratch::new("users");
        let users = Users::new(dir.write("users", &format!("# people\n{LINE}\n")));
        assert_eq!(users.check(None), Err(WHO));
        for wrong in ["prom:t0psecret", "nobody:T0psecret", "prom", ":", "prom:"] {
            assert_eq!(users.check(Some(&header(wrong))), Err(WHO), "{wrong}");
        }
        assert_eq!(users.check(Some("Basic %%%")), Err(WHO));
        assert_eq!(users.check(Some("Bearer x")), Err(WHO));
        let right = header("prom:T0psecret");
        assert_eq!(users.check(Some(&right)), Ok(()));
        assert_eq!(users.state.lock().unwrap().known.len(), 1);
        // Remembered: no turn is needed any more.
        *users.turns.lock().unwrap() = limits::BCRYPT_AT_ONCE;
        assert_eq!(users.check(Some(&right)), Ok(()));
        assert_eq!(users.check(Some(&header("prom:other"))), Err(BUSY));
        *users.turns.lock().unwrap() = 0;
        dir.write("users", "someone:$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.\n");
        assert_eq!(users.check(Some(&right)), Err(WHO));
        assert_eq!(users.check(Some(&header("someone:"))), Ok(()));
        std::fs::remove_file(dir.path("users")).unwrap();
        assert_eq!(users.check(Some(&header("someone:"))), Err(BROKEN));
    }

    #[test]
    fn bad_lines_are_told_by_their_number_and_let_nobody_in() {
        let dir = Scratch::new("users-bad");
        for (bad, word) in [
            ("plain", "name:bcrypt"),
            ("a:$apr1$x$y", "htpasswd -B"),
            ("a:$2y$31$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.", "cost"),
            ("a:$2y$06$short", "htpasswd -B"),
        ] {
            let f = read(&dir.write("u", &format!("{LINE}\n{bad}\n"))).map(|_| ()).unwrap_err();
            assert!(f.text.contains("line 2") && f.text.contains(word), "{f}");
        }
    }
}
