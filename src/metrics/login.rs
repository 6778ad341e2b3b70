//! Logging in without locking the account: which method, which password, and when not to try.
//!
//! Four wrong tries lock a user, and a wrong method is a wrong try. So: the method that was named; else the likely one, and
//! the other one once, at the first start only; what worked is remembered. A refused password is not tried again for
//! minutes, unless it changed; nor is one that was never let in and got no answer some times, since each may have counted
//! (an LDAP server that is slow is asked all the same). Refuses: to show a password to a network in clear (`ldap`), unless insisted on.

use crate::iproto::auth::Method;
use crate::iproto::protocol::{code, Greeting};
use crate::iproto::{Client, Reason, Trouble};
use crate::limits;
use crate::log;
use crate::net::secret::{Secret, Wiped};
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
    worked: Option<Method>,
    /// The password that was let in last.
    proven: Option<Wiped>,
    /// How often this password got no answer since the last one.
    unanswered: Option<(Wiped, u32)>,
    /// Methods that were refused, in the order they were tried.
    tried: Vec<Method>,
    refused: Option<Refused>,
}

/// A password that was refused, or might have been.
struct Refused {
    password: Wiped,
    until: Instant,
    times: u32,
    trouble: Trouble,
}

impl Login {
    /// As whom, and how; nothing is read yet.
    pub fn new(user: &str, secret: Secret, named: Option<Method>) -> Login {
        let (user, tried) = (user.into(), Vec::new());
        let (worked, proven, unanswered, refused) = (None, None, None, None);
        Login { user, secret, named, insist: false, worked, proven, unanswered, tried, refused }
    }

    /// Whether a login makes sense now: looked at before anything is connected.
    pub fn ready(&mut self, now: Instant) -> Result<(), Trouble> {
        let password = self.secret.read()?;
        match &self.refused {
            Some(r) if r.password.bytes() == password && now < r.until => Err(r.trouble.clone()),
            _ => Ok(()),
        }
    }

    /// Logs in on a fresh connection.
    pub fn run(&mut self, client: &mut Client, patience: Duration) -> Result<(), Trouble> {
        let password = Wiped::new(self.secret.read()?.to_vec());
        let text = std::str::from_utf8(password.bytes())
            .map_err(|_| Trouble::new(Reason::Auth, "the password is no UTF-8 text"))?;
        if self.user == "guest" && text.is_empty() {
            return Ok(());
        }
        if self.refused.as_ref().is_some_and(|r| r.password != password) {
            // Another password is another start.
            self.tried.clear();
        }
        let (mut words, mut names) = (String::new(), Vec::new());
        for method in self.methods(client.greeting()) {
            if method == Method::Ldap && !client.private() && !self.insist {
                return Err(Trouble::new(Reason::Auth, NOT_IN_CLEAR));
            }
            let said = match client.login(method, &self.user, text, patience) {
                Ok(said) => said,
                Err(trouble) => return Err(self.no_answer(password, trouble)),
            };
            self.unanswered = None;
            match said {
                Ok(()) => {
                    (self.worked, self.refused, self.proven) = (Some(method), None, Some(password.clone()));
                    if text.is_empty() {
                        log::warn(
                            "password",
                            format!("`{}` is let in with an empty password, by anyone: set one", self.user),
                        );
                    }
                    return Ok(());
                }
                Err(refusal) => {
                    // All of them: each was a try that counts.
                    names.push(method.name());
                    words = format!("{} ({})", refusal.text, names.join(", "));
                    self.tried.push(method);
                    if refusal.code == code::LOCKED {
                        words.push_str("; an administrator unlocks it with ALTER USER … WITH LOGIN");
                        break;
                    }
                }
            }
        }
        Err(self.refuse(password, &words))
    }

    /// The methods to try now, in order.
    fn methods(&self, greeting: &Greeting) -> Vec<Method> {
        if let Some(method) = self.named.or(self.worked) {
            return vec![method];
        }
        // Before 2.11 there was nothing else.
        if greeting.older_than(2, 11) {
            return vec![Method::ChapSha1];
        }
        let pair = match self.user.as_str() {
            "pico_service" => [Method::ChapSha1, Method::Md5],
            _ => [Method::Md5, Method::ChapSha1],
        };
        match self.tried.last() {
            None => pair.to_vec(),
            // One try at a time from now on, each with the other method: the password may have been set anew with either.
            Some(last) => pair.into_iter().filter(|m| m != last).take(1).collect(),
        }
    }

    fn refuse(&mut self, password: Wiped, words: &str) -> Trouble {
        let text = format!("the database does not let `{}` in: {words}", self.user);
        self.rest(password, Trouble::new(Reason::Auth, text))
    }

    /// A login without an answer may have counted as a wrong one. One that was let in before may be tried as ever.
    fn no_answer(&mut self, password: Wiped, trouble: Trouble) -> Trouble {
        if self.proven.as_ref() == Some(&password) {
            return trouble;
        }
        let before = self.unanswered.take().filter(|(p, _)| *p == password).map_or(0, |(_, times)| times);
        self.unanswered = Some((password.clone(), before + 1));
        if before + 1 < limits::METRICS_UNANSWERED_LOGINS {
            return trouble;
        }
        let text = format!("{}; it may have counted as a wrong try", trouble.text);
        self.rest(password, Trouble::new(trouble.reason, text))
    }

    /// Not this password, for minutes: longer each time.
    fn rest(&mut self, password: Wiped, trouble: Trouble) -> Trouble {
        let times = self.refused.as_ref().map_or(0, |r| if r.password == password { r.times + 1 } else { 0 });
        let seconds = limits::METRICS_REFUSED_FIRST_SECONDS << times.min(8);
        let pause = Duration::from_secs(seconds.min(limits::METRICS_REFUSED_MOST_SECONDS));
        let text = format!("{}; not tried again for {pause:?}", trouble.text);
        let trouble = Trouble::new(trouble.reason, text);
        self.refused = Some(Refused { password, until: Instant::now() + pause, times, trouble: trouble.clone() });
        trouble
    }
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
        assert_eq!(login("pico_service", None).methods(&greeting("2.11.5")), [ChapSha1, Md5]);
        let mut mon = login("mon", None);
        assert_eq!(mon.methods(&greeting("2.11.5")), [Md5, ChapSha1]);
        assert_eq!(mon.methods(&greeting("2.6.0")), [ChapSha1]);
        mon.tried = vec![Md5, ChapSha1];
        assert_eq!(mon.methods(&greeting("2.11.5")), [Md5]);
        mon.worked = Some(ChapSha1);
        assert_eq!(mon.methods(&greeting("2.11.5")), [ChapSha1]);
        assert_eq!(login("mon", Some(Ldap)).methods(&greeting("2.11.5")), [Ldap]);
    }

    #[test]
    fn a_refused_password_rests_until_it_changes() {
        let path = std::env::temp_dir().join(format!("gostech-login-{}", std::process::id()));
        std::fs::write(&path, "wrong\n").unwrap();
        let mut login = Login::new("mon", Secret::file(&path), None);
        let now = Instant::now();
        assert_eq!(login.ready(now), Ok(()));
        let trouble = login.refuse(Wiped::new(b"wrong".to_vec()), "no");
        assert!(trouble.reason == Reason::Auth && !trouble.text.contains("wrong"));
        assert_eq!(login.ready(now).map_err(|t| t.reason), Err(Reason::Auth));
        assert_eq!(login.ready(now + Duration::from_secs(301)), Ok(()));
        login.refuse(Wiped::new(b"wrong".to_vec()), "no");
        assert!(login.ready(now + Duration::from_secs(301)).is_err(), "twice as long");
        std::fs::write(&path, "right\n").unwrap();
        assert_eq!(login.ready(now), Ok(()));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(login.ready(now).map_err(|t| t.reason), Err(Reason::Auth));
    }
}
