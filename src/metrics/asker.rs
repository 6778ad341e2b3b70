//! One connection to the database, kept: connects, logs in, learns what may be asked, asks; on trouble waits longer each time.
//!
//! A poll ends in numbers or in a `Trouble`, within bounded time: each phase has the patience that was given, and a
//! connection that proves dead is replaced once. Refuses: to serve what it knew before.

use super::login::Login;
use super::source::members::Listed;
use super::source::{self, Memory, Page, Plan, Wishes};
use crate::backoff::Backoff;
use crate::iproto::protocol::{Answer, Request};
use crate::iproto::{Client, Reason, Trouble};
use crate::limits;
use crate::net::dial::Dial;
use crate::net::target::Place;
use crate::sys::process;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the database is and how long to wait for it.
#[derive(Clone)]
pub struct Address {
    /// Where it listens, and how TLS is spoken, if it is.
    pub dial: Dial,
    /// For each phase: name and connection, handshake, greeting, login, each answer.
    pub patience: Duration,
}

/// Asks.
pub struct Asker {
    address: Address,
    login: Login,
    /// What is wanted.
    pub wishes: Wishes,
    line: Option<Line>,
    memory: Memory,
    /// The identity of the last instance: another one may have other rights.
    instance: String,
    backoff: Backoff,
    rest: Option<(Instant, Trouble)>,
    /// Who belongs to the cluster, and when that was asked.
    list: Option<(Instant, Option<Arc<Vec<Listed>>>)>,
    /// Labels that were given.
    constants: Vec<(String, String)>,
}

/// A connection and how it is asked.
struct Line {
    client: Client,
    plan: Option<Plan>,
}

/// What is done with a line.
type Act<'a> = dyn FnMut(&mut Asker, &mut Line) -> Result<(), Trouble> + 'a;

/// What a poll brought, and from whom.
pub struct Found {
    /// The numbers.
    pub page: Page,
    /// The grade that gave them.
    pub grade: source::Grade,
    /// The version in the greeting.
    pub version: String,
    /// The instance's identity.
    pub instance: String,
}

impl Asker {
    /// Nothing is connected yet.
    pub fn new(address: Address, login: Login, wishes: Wishes) -> Asker {
        let first = Duration::from_millis(limits::METRICS_RETRY_FIRST_MILLIS);
        let backoff = Backoff::new(first, Duration::from_secs(limits::METRICS_RETRY_MOST_SECONDS));
        let (memory, instance) = (Memory::default(), String::new());
        let constants = wishes.rules.constants.clone();
        Asker { address, login, wishes, line: None, memory, instance, backoff, rest: None, list: None, constants }
    }

    /// Where the database is.
    pub fn place(&self) -> &Place {
        &self.address.dial.place
    }

    /// Goes on in place of another one: with its connection, if that may be kept, and what it counts of logins.
    pub fn succeed(&mut self, old: Asker, reconnect: bool) {
        self.login.ledger = old.login.ledger;
        if !reconnect {
            self.line = old.line.map(|line| Line { plan: None, ..line });
            (self.memory, self.instance) = (old.memory, old.instance);
        }
    }

    /// What was refused may be right now: nothing that was refused or failed is waited for.
    pub fn forgive(&mut self) {
        self.login.forgive();
        self.rest = None;
    }

    /// The version of Picodata, asked on the connection that is there; none: this is no Picodata, or it does not say.
    pub fn picodata_version(&mut self) -> Option<String> {
        let patience = self.address.patience;
        let answers = self.line.as_mut()?.client.ask(&[Request::Call(".proc_version_info")], patience).ok()?;
        let values = answers.first()?.data().ok()?.ok()?;
        values.items().first()?.get("picodata_version")?.text().map(|t| t.into_owned())
    }

    /// What was refused of a grade, in the database's words.
    pub fn refused(&self, grade: source::Grade) -> Option<&str> {
        self.memory.barred(grade, Instant::now())
    }

    /// One poll.
    pub fn poll(&mut self) -> Result<Found, Trouble> {
        let mut found = None;
        self.with(&mut |asker, line| {
            found = Some(asker.ask(line)?);
            Ok(())
        })?;
        Ok(found.expect("what was asked has its answer"))
    }

    /// The answer to a statement of SQL.
    pub fn select(&mut self, sql: &str, patience: Duration) -> Result<Answer, Trouble> {
        let (mut answers, mut reached) = (Vec::new(), false);
        let came = self.with(&mut |_, line| {
            reached = true;
            answers = line.client.ask_within(&[Request::Execute(sql)], patience, limits::QUERY_ANSWER_BYTES)?;
            Ok(())
        });
        if reached && came.is_err() {
            // It is this statement that takes too long or brings too much: the next one is not to suffer for it.
            self.rest = None;
        }
        // A database that is not there says nothing of the statement.
        let unreached = |t: Trouble| match t.reason {
            Reason::Timeout | Reason::Closed if !reached => Trouble { reason: Reason::Connect, ..t },
            _ => t,
        };
        came.map_err(unreached).map(|()| answers.remove(0))
    }

    /// Does something with the line, which is made where there is none.
    fn with(&mut self, act: &mut Act<'_>) -> Result<(), Trouble> {
        if let Some((until, trouble)) = self.rest.as_ref().filter(|_| self.line.is_none()) {
            if Instant::now() < *until {
                return Err(trouble.clone());
            }
        }
        let mut result = self.attempt(act);
        // A kept connection may have died in its sleep: that says nothing about the database.
        for _ in 1..limits::METRICS_CONNECTS {
            match &result {
                Err((trouble, true)) if trouble.reason == Reason::Closed => result = self.attempt(act),
                _ => break,
            }
        }
        match result {
            Ok(()) => {
                self.backoff.reset();
                self.rest = None;
                Ok(())
            }
            Err((trouble, _)) => {
                if !leaves_the_line(&trouble) {
                    self.line = None;
                    let pause = self.backoff.next(process::chance());
                    self.rest = Some((Instant::now() + pause, trouble.clone()));
                }
                Err(trouble)
            }
        }
    }

    /// One try; with the trouble comes whether the connection was an old one.
    fn attempt(&mut self, act: &mut Act<'_>) -> Result<(), (Trouble, bool)> {
        let old = self.line.is_some();
        let mut line = match self.line.take() {
            Some(line) => line,
            None => self.connect().map_err(|t| (t, false))?,
        };
        match act(self, &mut line) {
            Err(trouble) if !leaves_the_line(&trouble) => Err((trouble, old)),
            other => {
                self.line = Some(line);
                other.map_err(|t| (t, old))
            }
        }
    }

    fn connect(&mut self) -> Result<Line, Trouble> {
        self.login.ready(Instant::now())?;
        let Address { dial, patience } = &self.address;
        let mut client = Client::connect(dial, *patience)?;
        self.login.certified = dial.tls.as_ref().and_then(|tls| tls.own_name());
        self.login.run(&mut client, &dial.place, *patience)?;
        if self.instance != client.greeting().uuid {
            self.instance.clone_from(&client.greeting().uuid);
            self.memory.forget();
        }
        Ok(Line { client, plan: None })
    }

    fn ask(&mut self, line: &mut Line) -> Result<Found, Trouble> {
        let patience = self.address.patience;
        if self.wishes.discover {
            self.look_around(&mut line.client)?;
        }
        if self.memory.worth_another_try(Instant::now()) {
            // What was given up for a lesser grade; if it is refused again, it is barred again.
            self.memory.forget();
            line.plan = None;
        }
        // Each round bars one grade more, or ends.
        for _ in source::Grade::ALL {
            let plan = match &mut line.plan {
                Some(plan) => plan,
                none => match source::learn(&mut line.client, &self.wishes, &mut self.memory, patience) {
                    Ok(plan) => none.insert(plan),
                    Err(trouble) => {
                        // Whether it is there at all, when there is nothing to ask. After any other trouble the connection is
                        // of no use, and a second failure would hide the first.
                        if trouble.reason == Reason::Denied {
                            line.client.ask(&[Request::Ping], patience)?;
                        }
                        return Err(trouble);
                    }
                },
            };
            let grade = plan.grade();
            match source::ask(&mut line.client, plan, &self.wishes, patience)? {
                Ok(mut page) => {
                    page.list = self.list.as_ref().and_then(|(_, list)| list.clone());
                    let greeting = line.client.greeting();
                    let (version, instance) = (greeting.version.clone(), greeting.uuid.clone());
                    return Ok(Found { page, grade, version, instance });
                }
                Err(no) => {
                    self.memory.bar(grade, Instant::now() + no.pause, no.why);
                    line.plan = None;
                }
            }
        }
        Err(Trouble::new(Reason::Denied, format!("user `{}` may see nothing here", self.wishes.user)))
    }

    /// Asks now and then who belongs to the cluster; from that come the labels of this instance as well.
    fn look_around(&mut self, client: &mut Client) -> Result<(), Trouble> {
        let often = Duration::from_secs(limits::METRICS_LIST_SECONDS);
        let own = &client.greeting().uuid;
        if self.list.as_ref().is_some_and(|(at, _)| at.elapsed() < often) && self.instance == *own {
            return Ok(());
        }
        let own = own.clone();
        let list = source::list(client, self.address.patience)?.map(Arc::new);
        let list = list.or(self.list.take().and_then(|(_, before)| before));
        let here = list.iter().flat_map(|all| all.iter()).find(|l| l.uuid == own);
        let mut constants = self.constants.clone();
        for (name, text) in here.map(Listed::labels).unwrap_or_default() {
            if !constants.iter().any(|(n, _)| *n == name) {
                constants.push((name, text));
            }
        }
        self.wishes.rules.constants = constants;
        self.list = Some((Instant::now(), list));
        Ok(())
    }
}

/// What the database answered whole: the connection is as good as before, and a new login would be an event in the audit log.
fn leaves_the_line(trouble: &Trouble) -> bool {
    matches!(trouble.reason, Reason::Denied | Reason::TooLarge)
}
