//! What is known of one login ○: the method that worked, and the tries since then that may have counted as wrong ones.
//!
//! The database locks an account after four wrong tries in a row, and a wrong method is one. So a password costs at most two
//! tries in its whole life, however many runs there are; a method that is known costs one. And the fourth try in a row is made
//! only when somebody says so, whatever the passwords were. The text below is kept on disk
//! and is read with mistrust: what is not exactly this is nothing.
//!
//! ```text
//! gostech-metrics login 1
//! who mon at 127.0.0.1:3301
//! worked md5
//! mark 8c1e…(salt) 5f02        proven no        tried md5 chap-sha1?        row 2        check 0123456789abcdef
//! ```
//!
//! The mark recognises a password and cannot give it away: 16 bits of a slow, salted digest fit one of 65,536 guesses, so
//! they tell another password and confirm none. Refuses: to hold a password or a digest that one could be found with.

use crate::hash;
use crate::iproto::auth::Method;
use crate::limits;
use ring::pbkdf2;
use std::num::NonZeroU32;

const TITLE: &str = "gostech-metrics login 1";

/// Recognises a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Makes the same password look different in each record.
    pub salt: [u8; 16],
    /// What is kept of the digest.
    pub bits: u16,
}

impl Mark {
    /// The mark of a password under a salt. Slow only where it is `kept`: in memory the password itself stands beside it.
    pub fn of(password: &[u8], salt: [u8; 16], kept: bool) -> Mark {
        let mut digest = [0; 2];
        let rounds = NonZeroU32::new(limits::METRICS_MARK_ROUNDS).filter(|_| kept).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password, &mut digest);
        Mark { salt, bits: u16::from_be_bytes(digest) }
    }
}

/// A try that may have counted as a wrong one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Try {
    /// How.
    pub method: Method,
    /// The database said no; otherwise it said nothing.
    pub answered: bool,
}

/// What is known of one login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who and where, for people and against a mix-up.
    pub who: String,
    /// The method that the database took last.
    pub worked: Option<Method>,
    /// The password that the rest is about.
    pub mark: Option<Mark>,
    /// It was let in.
    pub proven: bool,
    /// Its tries since then.
    pub tried: Vec<Try>,
    /// Tries in a row that may have counted, with whatever password.
    pub row: u32,
}

/// What may be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    /// Try this method.
    Try(Method),
    /// This password has had its tries.
    Spent,
    /// One more could lock the account.
    Brink,
}

impl Record {
    /// Nothing is known yet.
    pub fn new(who: &str) -> Record {
        Record { who: who.into(), worked: None, mark: None, proven: false, tried: Vec::new(), row: 0 }
    }

    /// Another password than that of this mark is another start.
    pub fn meet(&mut self, mark: Mark) {
        if self.mark != Some(mark) {
            (self.mark, self.proven) = (Some(mark), false);
            self.tried.clear();
        }
    }

    /// Which of these methods, in this order, may be tried with this password. The try that could lock the account is made
    /// only when somebody has `told` that the password is right.
    pub fn may(&self, order: &[Method], told: bool) -> May {
        if self.proven {
            return order.first().map_or(May::Spent, |m| May::Try(*m));
        }
        let refused = |m: &Method| self.tried.iter().any(|t| t.answered && t.method == *m);
        let next = order.iter().copied().find(|m| !refused(m));
        let could_lock = self.row + 1 == limits::METRICS_LOCKING_TRIES;
        match next.filter(|_| self.tried.len() < limits::METRICS_TRIES) {
            None => May::Spent,
            Some(_) if could_lock && !told => May::Brink,
            Some(method) => May::Try(method),
        }
    }

    /// To be written down before the try goes out: whoever dies in between has made it all the same.
    pub fn begin(&mut self, method: Method) {
        if !self.proven {
            self.count(method);
        }
    }

    /// Behind the try that locks, the database counts from the beginning: while it is locked nothing counts.
    fn count(&mut self, method: Method) {
        self.tried.push(Try { method, answered: false });
        self.row = if self.row >= limits::METRICS_LOCKING_TRIES { 1 } else { self.row + 1 };
    }

    /// The database said no, and counted.
    pub fn refused(&mut self, method: Method) {
        if std::mem::take(&mut self.proven) {
            self.count(method);
        }
        self.tried.last_mut().into_iter().for_each(|t| t.answered = true);
    }

    /// The try that was begun did not count.
    pub fn uncounted(&mut self) {
        if !self.proven && self.tried.pop().is_some() {
            self.row = self.row.saturating_sub(1);
        }
    }

    /// The try that was begun did not count: the account is locked. Whoever unlocks it makes the database count anew.
    pub fn locked(&mut self) {
        self.uncounted();
        self.row = 0;
    }

    /// The database let it in, and counts from the beginning again.
    pub fn let_in(&mut self, method: Method) {
        (self.worked, self.proven, self.row) = (Some(method), true, 0);
        self.tried.clear();
    }

    /// Somebody who knows says that it is worth another try: one, with the method that was tried longest ago.
    pub fn forgive(&mut self, order: &[Method]) {
        while self.may(order, true) == May::Spent && !self.tried.is_empty() {
            self.tried.remove(0);
        }
    }

    /// As it is kept.
    pub fn text(&self) -> String {
        let mark = self.mark.map_or("-".into(), |m| format!("{} {:04x}", hex(&m.salt), m.bits));
        let sign = |t: &Try| format!(" {}{}", t.method.name(), if t.answered { "" } else { "?" });
        let tried: String = self.tried.iter().map(sign).collect();
        let worked = self.worked.map_or("-", Method::name);
        let proven = if self.proven { "yes" } else { "no" };
        let text = format!(
            "{TITLE}\nwho {}\nworked {worked}\nmark {mark}\nproven {proven}\ntried{tried}\nrow {}\n",
            self.who, self.row
        );
        format!("{text}check {:016x}\n", hash::xxh64(text.as_bytes(), 0))
    }

    /// Reads what was kept of `who`; anything else is nothing.
    pub fn parse(text: &str, who: &str) -> Option<Record> {
        let (body, check) = text.split_at(text.rfind("check ")?);
        let check = check.strip_prefix("check ")?.trim_end();
        if check != format!("{:016x}", hash::xxh64(body.as_bytes(), 0)) {
            return None;
        }
        let mut lines = body.lines();
        let mut line = |name: &str| lines.next()?.strip_prefix(name);
        line(TITLE).filter(|rest| rest.is_empty())?;
        line("who ").filter(|found| *found == who)?;
        let worked = match line("worked ")? {
            "-" => None,
            name => Some(Method::parse(name)?),
        };
        let mark = match line("mark ")? {
            "-" => None,
            both => Some(read_mark(both)?),
        };
        let proven = line("proven ")? == "yes";
        let tried: Option<Vec<Try>> = line("tried")?.split_whitespace().map(read_try).collect();
        let row = line("row ")?.parse().ok()?;
        let tried = tried.filter(|t| t.len() <= limits::METRICS_TRIES)?;
        Some(Record { who: who.into(), worked, mark, proven, tried, row })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn read_mark(both: &str) -> Option<Mark> {
    let (salt, bits) = both.split_once(' ')?;
    let salt = u128::from_str_radix(salt, 16).ok().filter(|_| salt.len() == 32)?;
    Some(Mark { salt: salt.to_be_bytes(), bits: u16::from_str_radix(bits, 16).ok()? })
}

fn read_try(word: &str) -> Option<Try> {
    let name = word.trim_end_matches('?');
    Some(Try { method: Method::parse(name)?, answered: name.len() == word.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Method::{ChapSha1, Md5};

    const BOTH: [Method; 2] = [Md5, ChapSha1];

    fn met(bits: u16) -> Record {
        let mut record = Record::new("mon at db:3301");
        record.meet(Mark { salt: [7; 16], bits });
        record
    }

    fn refuse(record: &mut Record, method: Method) {
        record.begin(method);
        record.refused(method);
    }

    #[test]
    fn a_password_has_two_tries_and_a_known_method_one() {
        let mut record = met(1);
        assert_eq!(record.may(&BOTH, false), May::Try(Md5));
        refuse(&mut record, Md5);
        assert_eq!(record.may(&[Md5], false), May::Spent);
        assert_eq!(record.may(&BOTH, false), May::Try(ChapSha1));
        refuse(&mut record, ChapSha1);
        assert_eq!((record.may(&BOTH, false), record.row), (May::Spent, 2));
        // Somebody says that it is right now: one try, each time with the other method.
        let mut again = record.clone();
        again.forgive(&BOTH);
        assert_eq!(again.may(&BOTH, false), May::Try(Md5));
        refuse(&mut again, Md5);
        assert_eq!(again.may(&BOTH, false), May::Spent);
        again.forgive(&BOTH);
        assert_eq!((again.may(&BOTH, false), again.may(&BOTH, true)), (May::Brink, May::Try(ChapSha1)));
        // Another password, and its method is not known: a second guess could lock the account, and nobody makes it unasked.
        record.meet(Mark { salt: [7; 16], bits: 2 });
        assert_eq!(record.may(&BOTH, false), May::Try(Md5));
        refuse(&mut record, Md5);
        assert_eq!((record.may(&BOTH, false), record.may(&BOTH, true)), (May::Brink, May::Try(ChapSha1)));
        // Nor does a third password make it unasked: its method may be the other one.
        record.meet(Mark { salt: [7; 16], bits: 3 });
        assert_eq!((record.may(&BOTH, false), record.may(&BOTH, true)), (May::Brink, May::Try(Md5)));
        record.let_in(Md5);
        assert_eq!((record.row, record.may(&[Md5], false)), (0, May::Try(Md5)));
    }

    #[test]
    fn what_was_let_in_may_go_unanswered_and_what_was_not_may_not() {
        let mut record = met(1);
        record.begin(Md5);
        assert_eq!(record.may(&BOTH, false), May::Try(Md5), "it may not even have arrived");
        record.begin(Md5);
        assert_eq!(record.may(&BOTH, false), May::Spent);
        record.uncounted();
        assert_eq!((record.row, record.tried.len()), (1, 1));
        record.let_in(Md5);
        for _ in 0..9 {
            record.begin(Md5);
            assert_eq!((record.may(&[Md5], false), record.row), (May::Try(Md5), 0));
        }
        // Refused at last: the password was changed in the database.
        record.refused(Md5);
        assert_eq!((record.may(&[Md5], false), record.row), (May::Spent, 1));
        record.forgive(&[Md5]);
        assert_eq!(record.may(&[Md5], false), May::Try(Md5));
    }

    #[test]
    fn a_lock_is_seen_to_end_and_the_count_begins_anew() {
        let mut record = met(1);
        record.row = 3;
        refuse(&mut record, Md5);
        assert_eq!((record.row, record.may(&[Md5], false)), (4, May::Spent));
        // Another password finds out that it is locked still, and that it is not any more: both cost nothing of the new count.
        record.meet(Mark { salt: [7; 16], bits: 2 });
        for _ in 0..9 {
            assert_eq!(record.may(&BOTH, false), May::Try(Md5));
            record.begin(Md5);
            record.locked();
            assert_eq!(record.row, 0);
        }
        refuse(&mut record, Md5);
        assert_eq!(record.row, 1);
    }

    #[test]
    fn what_is_kept_is_read_back_and_nothing_else_is() {
        let mut record = met(0xabc);
        let empty = Record::new("mon at db:3301");
        assert_eq!(Record::parse(&empty.text(), &empty.who), Some(empty.clone()));
        record.worked = Some(ChapSha1);
        refuse(&mut record, Md5);
        record.begin(ChapSha1);
        let text = record.text();
        assert_eq!(Record::parse(&text, &record.who), Some(record.clone()));
        assert_eq!(Record::parse(&format!("{text}\n   \n"), &record.who), Some(record.clone()), "padded");
        assert_eq!(Record::parse(&text, "mon at elsewhere:3301"), None);
        for at in 0..text.len() - 1 {
            assert_eq!(Record::parse(&text[..at], &record.who), None, "cut at {at}");
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let turned = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(Record::parse(&turned, &record.who), None, "byte {at}");
        }
    }

    #[test]
    fn a_mark_tells_passwords_apart_and_is_no_digest_of_one() {
        let of = |password: &[u8], salt| Mark::of(password, [salt; 16], true);
        let (a, b) = (of(b"T0psecret", 1), of(b"T0psecres", 1));
        assert!(a != b && a == of(b"T0psecret", 1) && a != of(b"T0psecret", 2));
        assert_ne!(a, Mark::of(b"T0psecret", [1; 16], false), "what is kept is the slow one");
        assert!(std::mem::size_of_val(&a.bits) == 2);
    }
}
