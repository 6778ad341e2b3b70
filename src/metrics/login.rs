//! Logging in without locking the account: which method, which password, and when not to try.
//!
//! Four wrong tries lock a user, and a wrong method is a wrong try; nothing that a server says before a login tells the
//! method of a user. So: the method that was named; else the one that worked before; else the likely one, and the other one
//! once. The try that would lock the account if it failed is made only when somebody says that the password is right (SIGHUP).
//! How many tries a password has had is kept for all runs together (`ledger`, `tries`), one run logs in at a time, and
//! what has had its tries waits until the password is another one, or for that word. A locked
//! account is asked from time to time, which does not count while it is locked. `pico_service` is never locked, and is tried
//! again after minutes. Refuses: to show a password to a network in clear (`ldap`), unless insisted on.

use super::ledger::{Held, Ledger};
use super::tries::{Mark, May};
use crate::iproto::auth::Method;
use crate::iproto::protocol::{code, Greeting, Refusal};
use crate::iproto::{Client, Reason, Trouble};
use crate::limits;
use crate::log;
use crate::net::secret::{Secret, Wiped};
use crate::net::target::Place;
use crate::sys::process;
use std::time::{Duration, Instant};

/// As whom, and how.
pub struct Login {
    /// As whom.
    pub user: String,
    secret: Secret,
    /// The method that was named; none: `auto`.
    named: Option<Method>,
    /// `ldap` also where others can read along.
    pub insist: bool,
    /// Whom our client certificate names, where one is shown: `USER@HOST` lets in as that user, with any password.
    pub certified: Option<String>,
    /// A run that ends after one login: it may be made again and again.
    pub one_shot: bool,
    /// Where the tries of all runs are counted.
    pub ledger: Ledger,
    /// The last mark, which takes a moment to make, and its password.
    mark: Option<(Wiped, Mark)>,
    /// Somebody said that it is worth another try.
    forgiving: bool,
    rest: Option<Rest>,
}

/// A password that is not tried now, and why.
struct Rest {
    password: Wiped,
    until: Instant,
    times: u32,
    trouble: Trouble,
}

/// What came of one try.
enum Came {
    In,
    Refused(Refusal),
    /// The database does not even look at the password.
    Locked(Refusal),
    /// Not now, and it did not count.
    NotYet(Refusal),
    /// No answer: it may have counted.
    Nothing(Trouble),
}

impl Login {
    /// As whom, and how; nothing is read yet.
    pub fn new(user: &str, secret: Secret, named: Option<Method>) -> Login {
        let (insist, one_shot, forgiving) = (false, false, false);
        let (ledger, certified, mark, rest) = (Ledger::default(), None, None, None);
        Login { user: user.into(), secret, named, insist, certified, one_shot, ledger, mark, forgiving, rest }
    }

    /// The same user, for another instance.
    pub fn beside(&self) -> Login {
        let ledger = self.ledger.beside();
        let own = Login::new(&self.user, self.secret.clone(), self.named);
        Login { insist: self.insist, one_shot: self.one_shot, ledger, ..own }
    }

    /// Whether a login makes sense now: looked at before anything is connected.
    pub fn ready(&mut self, now: Instant) -> Result<(), Trouble> {
        let password = self.secret.read()?;
        match &self.rest {
            Some(r) if r.password.bytes() == password && now < r.until => Err(r.trouble.clone()),
            _ => Ok(()),
        }
    }

    /// What is wrong with the place of the password, if something is.
    pub fn look(&self) -> Result<(), String> {
        self.secret.clone().read().map(drop).map_err(|f| f.text)
    }

    /// What was refused may be right now: the next login tries it again.
    pub fn forgive(&mut self) {
        (self.forgiving, self.rest) = (true, None);
        self.secret.forget();
    }

    /// Logs in on a fresh connection.
    pub fn run(&mut self, client: &mut Client, place: &Place, patience: Duration) -> Result<(), Trouble> {
        let password = Wiped::new(self.secret.read()?.to_vec());
        let text = std::str::from_utf8(password.bytes())
            .map_err(|_| Trouble::new(Reason::Auth, "the password is no UTF-8 text"))?;
        if self.user == "guest" && text.is_empty() {
            return Ok(());
        }
        let by_certificate = self.is_certified(text.is_empty())?;
        let mut ledger = std::mem::take(&mut self.ledger);
        let came = self.with(&mut ledger, &password, client, place, patience);
        self.ledger = ledger;
        if came.is_ok() && text.is_empty() && !by_certificate {
            log::warn("password", format!("`{}` is let in with an empty password, by anyone: set one", self.user));
        }
        came
    }

    /// Whether the certificate lets this user in. One for another user does not, and without a password a try would be lost.
    fn is_certified(&self, no_password: bool) -> Result<bool, Trouble> {
        let Some((name, user)) = self.certified.as_ref().map(|n| (n, n.split('@').next().unwrap_or_default())) else {
            return Ok(false);
        };
        if user == self.user {
            return Ok(true);
        }
        // `pico_service` may have no password, whatever a certificate without a user in it says.
        if no_password && name.contains('@') && !self.exempt() {
            let text = format!(
                "our certificate is for `{}`, which does not let `{}` in, and no password is given: log in as the one it \
                 names, or give --password-file",
                name.escape_debug(),
                self.user
            );
            return Err(Trouble::new(Reason::Auth, text));
        }
        Ok(false)
    }

    fn with(
        &mut self,
        ledger: &mut Ledger,
        password: &Wiped,
        client: &mut Client,
        place: &Place,
        patience: Duration,
    ) -> Result<(), Trouble> {
        let who = self.who(place, client.greeting());
        let mut held = ledger.hold(&who, Instant::now() + limits::METRICS_LOGIN_TURNS * patience)?;
        held.record.meet(self.mark(password, held.record.mark, held.path.is_some()));
        let forgiven = std::mem::take(&mut self.forgiving);
        let order = self.methods(client.greeting(), held.record.worked, held.path.is_some());
        if self.exempt() {
            held.record.row = 0;
        }
        // The rest of an account that cannot be locked is over when it comes here.
        if forgiven || self.exempt() {
            held.record.forgive(&order);
        }
        let result = self.tries(&mut held, (&order, forgiven), password, client, patience);
        held.keep();
        result
    }

    /// The tries of this login, one or two.
    fn tries(
        &mut self,
        held: &mut Held<'_>,
        (order, mut told): (&[Method], bool),
        password: &Wiped,
        client: &mut Client,
        patience: Duration,
    ) -> Result<(), Trouble> {
        let mut said = None;
        loop {
            let method = match held.record.may(order, told) {
                May::Try(method) => method,
                stop => return Err(self.stopped(held, stop, said, password)),
            };
            // What somebody has said is good for one try.
            told = false;
            if method == Method::Ldap && !client.private() && !self.insist {
                return Err(Trouble::new(Reason::Auth, NOT_IN_CLEAR));
            }
            self.warn_of_a_lock(held);
            held.record.begin(method);
            held.keep();
            match self.attempt(client, method, password, patience) {
                Came::In => {
                    held.record.let_in(method);
                    self.rest = None;
                    return Ok(());
                }
                Came::Refused(refusal) => {
                    held.record.refused(method);
                    said = Some(refusal.text);
                }
                Came::NotYet(refusal) => {
                    held.record.uncounted();
                    let text = format!("the database does not let `{}` in yet: {}", self.user, refusal.text);
                    return Err(Trouble::new(Reason::Auth, text));
                }
                Came::Locked(refusal) => {
                    held.record.locked();
                    return Err(self.locked(password, &refusal.text, method));
                }
                Came::Nothing(trouble) => return Err(self.no_answer(held, order, password, trouble)),
            }
        }
    }

    fn attempt(&self, client: &mut Client, method: Method, password: &Wiped, patience: Duration) -> Came {
        let text = std::str::from_utf8(password.bytes()).unwrap_or_default();
        match client.login(method, &self.user, text, patience) {
            Ok(Ok(())) => Came::In,
            Ok(Err(refusal)) => match refusal.code {
                code::LOCKED if !self.exempt() => Came::Locked(refusal),
                code::LOADING | code::UNKNOWN_METHOD => Came::NotYet(refusal),
                _ => Came::Refused(refusal),
            },
            Err(trouble) => Came::Nothing(trouble),
        }
    }

    fn exempt(&self) -> bool {
        self.user == "pico_service"
    }

    /// Each instance counts by itself.
    fn who(&self, place: &Place, greeting: &Greeting) -> String {
        let uuid: String = greeting.uuid.chars().take(36).collect();
        format!("{} at {place} {uuid}", self.user).escape_debug().collect()
    }

    /// The mark of the password, under the record's salt when there is one.
    fn mark(&mut self, password: &Wiped, known: Option<Mark>, kept: bool) -> Mark {
        let salt = known.map_or_else(salt, |m| m.salt);
        match &self.mark {
            Some((known, mark)) if known == password && mark.salt == salt => *mark,
            _ => {
                let mark = Mark::of(password.bytes(), salt, kept);
                self.mark = Some((password.clone(), mark));
                mark
            }
        }
    }

    /// The methods to try, in order.
    fn methods(&self, greeting: &Greeting, worked: Option<Method>, counted: bool) -> Vec<Method> {
        if let Some(method) = self.named.or(worked) {
            return vec![method];
        }
        // Before 2.11 there was nothing else.
        if greeting.older_than(2, 11) {
            return vec![Method::ChapSha1];
        }
        match self.user.as_str() {
            "pico_service" => vec![Method::ChapSha1, Method::Md5],
            // Where no other run would know of it there is no second guess.
            _ if !counted => vec![Method::Md5],
            _ => vec![Method::Md5, Method::ChapSha1],
        }
    }

    fn warn_of_a_lock(&self, held: &Held<'_>) {
        let before = held.record.row;
        let counted = (limits::METRICS_TRIES as u32..limits::METRICS_LOCKING_TRIES).contains(&before);
        if !self.exempt() && !held.record.proven && counted {
            let next = before + 1;
            log::warn(
                "password",
                format!(
                    "{before} failed tries in a row are counted for `{}`, and the database locks an account at the {}th: \
                     this is try {next}",
                    self.user,
                    limits::METRICS_LOCKING_TRIES
                ),
            );
        }
    }

    /// Why no try is made, or no further one.
    fn stopped(&mut self, held: &Held<'_>, stop: May, said: Option<String>, password: &Wiped) -> Trouble {
        let user = &self.user;
        let names: Vec<&str> = held.record.tried.iter().map(|t| t.method.name()).collect();
        let names = names.join(", ");
        let silent = held.record.tried.last().is_some_and(|t| !t.answered);
        let mut text = match said {
            Some(words) => format!("the database does not let `{user}` in: {words} ({names})"),
            None if names.is_empty() => format!("`{user}` is not logged in"),
            None if silent => {
                format!("logins of `{user}` got no answer ({names}), and each may have counted as a failed one")
            }
            None => format!("the password of `{user}` was refused before ({names})"),
        };
        if self.exempt() {
            return self.rest_for_minutes(password, Trouble::new(Reason::Auth, text));
        }
        text.push_str(match (stop, self.named) {
            (May::Brink, Some(_)) => "; one more failed try could lock the account: make sure of the password",
            (May::Brink, None) => {
                "; one more failed try could lock the account: make sure of the password, name its method with --auth-method"
            }
            _ => "; not tried again until the password is another one",
        });
        if stop == May::Spent && held.path.is_none() && self.named.is_none() && held.record.worked.is_none() {
            text.push_str(" (no directory here keeps count of the tries of other runs, so the other method is not tried: name it with --auth-method)");
        }
        match &held.path {
            Some(path) if self.one_shot => {
                text.push_str(&format!(", or `{}` is removed, which lets it be tried all the same", path.display()));
            }
            _ => text.push_str(", or a SIGHUP (systemctl reload) says that it fits now"),
        }
        self.rest(password, Trouble::new(Reason::Auth, text))
    }

    fn locked(&mut self, password: &Wiped, words: &str, method: Method) -> Trouble {
        let (user, method) = (&self.user, method.name());
        let text = format!(
            "the database does not let `{user}` in: {words} ({method}); the account is locked by failed tries, or may not log \
             in: an administrator unlocks it with ALTER USER \"{}\" WITH LOGIN; looked at again every {} s",
            user.replace('"', "\"\""),
            limits::METRICS_LOCKED_SECONDS
        );
        self.rest(password, Trouble::new(Reason::Auth, text))
    }

    /// A login without an answer may have counted as a wrong one. One that was let in before may be tried as ever.
    fn no_answer(&mut self, held: &Held<'_>, order: &[Method], password: &Wiped, trouble: Trouble) -> Trouble {
        if matches!(held.record.may(order, false), May::Try(_)) {
            return trouble;
        }
        let text = format!("{}; it may have counted as a failed try", trouble.text);
        let trouble = Trouble::new(trouble.reason, text);
        if self.exempt() {
            return self.rest_for_minutes(password, trouble);
        }
        let text = format!(
            "{}, so it is not tried again until the password is another one, or a SIGHUP (systemctl reload)",
            trouble.text
        );
        self.rest(password, Trouble::new(trouble.reason, text))
    }

    /// Not this password for a while; then it is looked whether something is different.
    fn rest(&mut self, password: &Wiped, trouble: Trouble) -> Trouble {
        let until = Instant::now() + Duration::from_secs(limits::METRICS_LOCKED_SECONDS);
        self.rest = Some(Rest { password: password.clone(), until, times: 0, trouble: trouble.clone() });
        trouble
    }

    /// Not this password, for minutes: longer each time.
    fn rest_for_minutes(&mut self, password: &Wiped, trouble: Trouble) -> Trouble {
        let times = self.rest.as_ref().filter(|r| r.password == *password).map_or(0, |r| r.times + 1);
        let seconds = limits::METRICS_REFUSED_FIRST_SECONDS << times.min(8);
        let pause = Duration::from_secs(seconds.min(limits::METRICS_REFUSED_MOST_SECONDS));
        let trouble = Trouble::new(trouble.reason, format!("{}; not tried again for {pause:?}", trouble.text));
        let until = Instant::now() + pause;
        self.rest = Some(Rest { password: password.clone(), until, times, trouble: trouble.clone() });
        trouble
    }
}

/// From the system's chance; it only has to differ from file to file.
fn salt() -> [u8; 16] {
    let (a, b) = (process::chance(), process::chance());
    (u128::from(a) << 64 | u128::from(b)).to_be_bytes()
}

const NOT_IN_CLEAR: &str =
    "`ldap` would send the password in clear: use TLS (--tls-auth), or insist with --ldap-in-clear";

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(version: &str) -> Greeting {
        Greeting { version: version.into(), uuid: String::new(), salt: [0; 20] }
    }

    #[test]
    fn methods_are_tried_sparingly() {
        let login = |user: &str, named| Login::new(user, Secret::literal("x"), named);
        use Method::{ChapSha1, Ldap, Md5};
        let new = greeting("2.11.5");
        assert_eq!(login("pico_service", None).methods(&new, None, false), [ChapSha1, Md5]);
        let mon = login("mon", None);
        assert_eq!(mon.methods(&new, None, true), [Md5, ChapSha1]);
        assert_eq!(mon.methods(&new, None, false), [Md5], "no second guess that nobody counts");
        assert_eq!(mon.methods(&greeting("2.6.0"), None, true), [ChapSha1]);
        assert_eq!(mon.methods(&new, Some(ChapSha1), true), [ChapSha1]);
        assert_eq!(login("mon", Some(Ldap)).methods(&new, Some(Md5), true), [Ldap]);
    }

    #[test]
    fn a_refused_password_rests_until_it_changes() {
        let path = std::env::temp_dir().join(format!("gostech-login-{}", std::process::id()));
        std::fs::write(&path, "wrong\n").unwrap();
        let mut login = Login::new("pico_service", Secret::file(&path), None);
        let now = Instant::now();
        assert_eq!(login.ready(now), Ok(()));
        let wrong = Wiped::new(b"wrong".to_vec());
        let trouble = login.rest_for_minutes(&wrong, Trouble::new(Reason::Auth, "no"));
        assert!(trouble.reason == Reason::Auth && !trouble.text.contains("wrong"));
        assert_eq!(login.ready(now).map_err(|t| t.reason), Err(Reason::Auth));
        assert_eq!(login.ready(now + Duration::from_secs(301)), Ok(()));
        login.rest_for_minutes(&wrong, Trouble::new(Reason::Auth, "no"));
        assert!(login.ready(now + Duration::from_secs(301)).is_err(), "twice as long");
        std::fs::write(&path, "right\n").unwrap();
        assert_eq!(login.ready(now), Ok(()));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(login.ready(now).map_err(|t| t.reason), Err(Reason::Auth));
        // Said by somebody who knows.
        let mut login = Login::new("mon", Secret::literal("x"), None);
        login.locked(&Wiped::new(b"x".to_vec()), "no", Method::Md5);
        assert!(login.ready(now).is_err_and(|t| t.text.contains("ALTER USER \"mon\" WITH LOGIN")));
        login.forgive();
        assert_eq!(login.ready(now), Ok(()));
    }
}
