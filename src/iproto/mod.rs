//! A client of the database: one socket, a deadline on every phase, answers bounded.
//!
//! After any trouble the connection is of no use and must be dropped: what is still on its way belongs to a question nobody
//! asks any more. Refuses: requests that change data, to reconnect (the caller's rhythm), to send a password in clear where others
//! can read along, to try a password twice.

pub mod auth;
mod md5;
pub mod protocol;

use crate::limits;
use crate::net::dial::{Dial, Patience};
use crate::net::failure::{Failure, FailureKind};
use crate::net::stream::Stream;
use auth::Method;
use protocol::{Answer, Greeting, Refusal, Request, GREETING_BYTES};
use std::fmt;
use std::time::{Duration, Instant};

/// Why the database could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// No connection.
    Connect,
    /// No address for the name.
    Dns,
    /// No TLS.
    Tls,
    /// A deadline passed.
    Timeout,
    /// The password, or the account.
    Auth,
    /// Logged in, and may see nothing.
    Denied,
    /// What came was not iproto.
    Protocol,
    /// The database closed the connection.
    Closed,
    /// More than this program may hold.
    TooLarge,
}

impl Reason {
    /// The word on the page.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Connect => "connect",
            Reason::Dns => "dns",
            Reason::Tls => "tls",
            Reason::Timeout => "timeout",
            Reason::Auth => "auth",
            Reason::Denied => "denied",
            Reason::Protocol => "protocol",
            Reason::Closed => "closed",
            Reason::TooLarge => "too_large",
        }
    }
}

/// A reason and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// For the page.
    pub reason: Reason,
    /// For people.
    pub text: String,
}

impl Trouble {
    /// A reason and a sentence.
    pub fn new(reason: Reason, text: impl Into<String>) -> Trouble {
        Trouble { reason, text: text.into() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        let reason = match failure.kind {
            FailureKind::Dns => Reason::Dns,
            FailureKind::Connect | FailureKind::File => Reason::Connect,
            FailureKind::Tls => Reason::Tls,
            FailureKind::Timeout => Reason::Timeout,
            FailureKind::Closed => Reason::Closed,
            FailureKind::Secret => Reason::Auth,
            FailureKind::Protocol => Reason::Protocol,
        };
        Trouble { reason, text: failure.text }
    }
}

/// A connection.
pub struct Client {
    stream: Stream,
    /// When what is under way must be over.
    deadline: Instant,
    /// Where the database listens, for sentences.
    place: String,
    /// What came and is not taken yet.
    buffer: Vec<u8>,
    sync: u64,
    greeting: Greeting,
}

impl Client {
    /// Connects, shakes hands, reads the greeting; each phase has `patience`.
    pub fn connect(dial: &Dial, patience: Duration) -> Result<Client, Trouble> {
        let place = dial.place.to_string();
        let stream = dial.open(Patience::Each(patience)).map_err(|f| match f.kind {
            // A file of TLS that is missing is no matter of the password, whatever else such a file is.
            FailureKind::Secret => Trouble::new(Reason::Tls, f.text),
            _ => f.into(),
        })?;
        let nobody = Greeting { version: String::new(), uuid: String::new(), salt: [0; 20] };
        let (buffer, deadline) = (Vec::new(), Instant::now() + patience);
        let mut client = Client { stream, deadline, place, buffer, sync: 0, greeting: nobody };
        client.greet().map_err(|trouble| hint(trouble, dial))?;
        Ok(client)
    }

    /// What the server said first.
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Whether no one can read along.
    pub fn private(&self) -> bool {
        self.stream.is_private()
    }

    fn greet(&mut self) -> Result<(), Trouble> {
        while self.buffer.len() < GREETING_BYTES {
            self.more(GREETING_BYTES - self.buffer.len(), "its greeting")?;
        }
        let mut bytes = [0; GREETING_BYTES];
        bytes.copy_from_slice(&self.buffer[..GREETING_BYTES]);
        self.buffer.drain(..GREETING_BYTES);
        self.greeting = Greeting::parse(&bytes).map_err(|why| self.protocol(&why))?;
        Ok(())
    }

    /// Logs in; a refusal leaves the connection open, as guest. `Ok(Err(…))` is the database's no.
    pub fn login(
        &mut self,
        method: Method,
        user: &str,
        password: &str,
        patience: Duration,
    ) -> Result<Result<(), Refusal>, Trouble> {
        self.deadline = Instant::now() + patience;
        let sync = self.next_sync();
        let mut out = Vec::with_capacity(256);
        protocol::put_auth(&mut out, sync, method, user, password, &self.greeting.salt);
        let sent = self.send(&out, "the login");
        // An LDAP password stands in it in clear.
        out.fill(0);
        std::hint::black_box(&mut out);
        sent?;
        let most = limits::IPROTO_ANSWER_BYTES;
        let answer = self.answer("the login", most, most)?;
        if answer.sync().map_err(|why| self.protocol(&why))? != sync {
            return Err(self.protocol(UNASKED));
        }
        let said = answer.data().map_err(|why| self.protocol(&why))?;
        Ok(said.map(|_| ()))
    }

    /// Sends all requests in one go and waits for all answers, which come back in the order of the requests.
    pub fn ask(&mut self, requests: &[Request<'_>], patience: Duration) -> Result<Vec<Answer>, Trouble> {
        self.ask_within(requests, patience, limits::IPROTO_ANSWER_BYTES)
    }

    /// The same; all answers together have at most so many bytes.
    pub fn ask_within(
        &mut self,
        requests: &[Request<'_>],
        patience: Duration,
        most: usize,
    ) -> Result<Vec<Answer>, Trouble> {
        assert!(requests.len() <= limits::IPROTO_PIPELINE);
        self.deadline = Instant::now() + patience;
        let what = requests.first().map(Request::name).unwrap_or_default();
        let before = self.sync % 127;
        let mut out = Vec::with_capacity(256);
        for request in requests {
            let sync = self.next_sync();
            request.put(&mut out, sync);
        }
        self.send(&out, &what)?;
        let mut answers: Vec<Option<Answer>> = vec![None; requests.len()];
        let mut room = most;
        for _ in requests {
            let answer = self.answer(&what, room, most)?;
            room -= answer.0.len();
            let sync = answer.sync().map_err(|why| self.protocol(&why))?;
            // 1..=127 and round again: counted from the first of this batch.
            let at = (1..=127).contains(&sync).then(|| (sync + 126 - before) as usize % 127);
            match at.and_then(|at| answers.get_mut(at)) {
                Some(slot @ None) => *slot = Some(answer),
                _ => return Err(self.protocol(UNASKED)),
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    fn next_sync(&mut self) -> u64 {
        // Below 128: Picodata writes larger ones wrongly in some answers.
        self.sync = self.sync % 127 + 1;
        self.sync
    }

    fn send(&mut self, bytes: &[u8], what: &str) -> Result<(), Trouble> {
        self.stream.write_all(bytes, self.deadline).map_err(|f| self.broken(f, what))
    }

    /// One answer, which may take the room that is left of the most.
    fn answer(&mut self, what: &str, room: usize, most: usize) -> Result<Answer, Trouble> {
        let (prefix, size) = loop {
            match protocol::length(&self.buffer).map_err(|why| self.protocol(&why))? {
                Some(found) => break found,
                None => self.more(limits::IPROTO_READ_BYTES, what)?,
            }
        };
        if size > room {
            return Err(self.protocol(&format!("answers of more than {most} bytes together")));
        }
        while self.buffer.len() < prefix + size {
            let missing = prefix + size - self.buffer.len();
            self.more(missing.min(limits::IPROTO_READ_BYTES), what)?;
        }
        let rest = self.buffer.split_off(prefix + size);
        let mut frame = std::mem::replace(&mut self.buffer, rest);
        frame.drain(..prefix);
        Ok(Answer(frame))
    }

    /// Waits for more bytes, at most so many. A server that sends one a moment is cut off as surely as one that sends none.
    fn more(&mut self, most: usize, what: &str) -> Result<(), Trouble> {
        let before = self.buffer.len();
        self.buffer.resize(before + most, 0);
        let read = match Instant::now() < self.deadline {
            true => self.stream.read(&mut self.buffer[before..], self.deadline),
            false => Err(Failure::new(FailureKind::Timeout, "")),
        };
        self.buffer.truncate(before + read.as_ref().map_or(0, |n| *n));
        match read.map_err(|f| self.broken(f, what))? {
            0 => Err(self.closed(what, "")),
            _ => Ok(()),
        }
    }

    fn protocol(&self, why: &str) -> Trouble {
        Trouble::new(Reason::Protocol, format!("cannot understand `{}`: {why}", self.place))
    }

    fn broken(&self, f: Failure, what: &str) -> Trouble {
        match f.kind {
            FailureKind::Timeout => {
                Trouble::new(Reason::Timeout, format!("`{}` did not answer in time: {what}", self.place))
            }
            FailureKind::Closed => self.closed(what, f.text.rsplit(": ").next().unwrap_or_default()),
            _ => f.into(),
        }
    }

    fn closed(&self, what: &str, how: &str) -> Trouble {
        let how = if how.is_empty() { String::new() } else { format!(" ({how})") };
        Trouble::new(Reason::Closed, format!("`{}` closed the connection before {what}{how}", self.place))
    }
}

const UNASKED: &str = "an answer to a question that was not asked";

/// A server that waits for a TLS handshake says nothing to us, or hangs up.
fn hint(mut trouble: Trouble, dial: &Dial) -> Trouble {
    let text = match &dial.tls {
        None if matches!(trouble.reason, Reason::Closed | Reason::Timeout) => {
            "; if it speaks TLS, use --tls-auth with --tls-ca, --tls-cert and --tls-key"
        }
        // It sends no alert: the handshake is over for us before it has looked at our certificate.
        Some(tls) if trouble.reason == Reason::Closed => match tls.options().certificate.is_some() {
            true => "; it hangs up so on a client certificate of an authority that it does not know: see --tls-cert",
            false => "; it hangs up so on who shows no client certificate: give --tls-cert and --tls-key",
        },
        _ => "",
    };
    trouble.text.push_str(text);
    trouble
}
