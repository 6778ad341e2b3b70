//! A connection to one broker: what it speaks is asked first, then one question at a time.
//!
//! Refuses: to speak to what is no Kafka (said with what it seems to be), an answer that is longer than any of ours can be, to
//! wait without a deadline.

use super::errors;
use super::wire::{self, Answer, Api, Malformed, Request};
use crate::audit::delivery::parcel::{Said, Why};
use crate::limits;
use crate::net::dial::{Dial, Patience};
use crate::net::failure::{Failure, FailureKind};
use crate::net::foreign;
use crate::net::http::Timeouts;
use crate::net::secret::Wiped;
use crate::net::stream::Stream;
use std::time::{Duration, Instant};

/// Why something was not done.
#[derive(Debug)]
pub struct Trouble {
    /// For the sender.
    pub why: Why,
    /// For people.
    pub said: Said,
    /// At once it may go better.
    pub again: bool,
}

impl Trouble {
    /// An error that a broker has answered.
    pub fn answered(place: &str, code: i16, said: &str) -> Trouble {
        Trouble::new(errors::find(code).sense.why(), errors::words(code, said, &format!("at `{place}`")))
    }

    /// It is not as it has to be, and somebody has to mend that.
    pub fn configuration(text: String) -> Trouble {
        Trouble::new(Why::Configuration, text)
    }

    /// Somebody says so.
    pub fn new(why: Why, text: String) -> Trouble {
        Trouble { why, said: Said { status: None, text }, again: false }
    }
}

impl From<Failure> for Trouble {
    fn from(f: Failure) -> Trouble {
        Trouble::new(Why::NotSent(f.kind), f.text)
    }
}

/// A result of talking.
pub type Done<T> = Result<T, Trouble>;

/// The connection.
pub struct Link {
    stream: Stream,
    place: String,
    correlation: i32,
    /// Each API with the versions that the broker has.
    versions: wire::Versions,
    times: Timeouts,
    /// When all must be over.
    pub end: Instant,
    /// When the login must be renewed.
    login_ends: Option<Instant>,
}

impl Link {
    /// Connects, and asks what is spoken there.
    pub fn open(dial: &Dial, times: Timeouts, end: Instant) -> Done<Link> {
        let stream = dial.open(Patience::Until(end.min(Instant::now() + times.connect))).map_err(|f| match f.kind {
            FailureKind::Closed | FailureKind::Timeout if dial.tls.is_some() => {
                Failure::new(f.kind, format!("{}; does it speak TLS on this port (kafka:// is without)?", f.text))
            }
            _ => f,
        })?;
        let place = dial.place.to_string();
        let mut link = Link { stream, place, correlation: 0, versions: Vec::new(), times, end, login_ends: None };
        let known = link.ask(wire::API_VERSIONS, 0, Request::done).and_then(|bytes| {
            let (error, versions) = link.read(&bytes, Answer::api_versions)?;
            link.well(error, "")?;
            Ok(versions)
        });
        link.versions = known.map_err(|t| link.no_kafka(t))?;
        Ok(link)
    }

    /// The login is good for so long.
    pub fn logged_in(&mut self, lifetime: Option<Duration>) {
        // Before its end, so that no batch is under way then.
        self.login_ends = lifetime.map(|l| Instant::now() + l.mul_f64(limits::KAFKA_LOGIN_SHARE));
    }

    /// Who is at the other end.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whether a question may be asked on it.
    pub fn is_good(&mut self) -> bool {
        self.login_ends.is_none_or(|end| Instant::now() < end) && self.stream.is_idle()
    }

    /// Whether nobody between both ends can read along.
    pub fn is_private(&self) -> bool {
        self.stream.is_private()
    }

    /// The newest version of an API that both have.
    pub fn version(&self, api: Api) -> Done<i16> {
        let theirs = self.versions.iter().find(|(key, ..)| *key == api.key);
        let common = theirs.map(|(_, oldest, newest)| (api.versions.0.max(*oldest), api.versions.1.min(*newest)));
        match common {
            Some((oldest, newest)) if oldest <= newest => Ok(newest),
            _ => Err(Trouble::answered(&self.place, errors::UNSUPPORTED_VERSION, "")),
        }
    }

    /// Asks one question, and gives the answer without its number.
    pub fn ask(&mut self, api: Api, version: i16, body: impl FnOnce(Request) -> Vec<u8>) -> Done<Vec<u8>> {
        self.correlation = self.correlation.wrapping_add(1);
        // It may hold a password.
        let bytes = Wiped::new(body(Request::new(api, version, self.correlation)));
        let until = self.end.min(Instant::now() + self.times.send);
        self.stream.write_all(bytes.bytes(), until)?;
        self.stream.flush(until)?;
        Ok(self.answer()?)
    }

    /// Reads an answer to the last question.
    pub fn read<'a, T>(&self, bytes: &'a [u8], how: impl FnOnce(Answer<'a>) -> wire::Read<T>) -> Done<T> {
        Answer::to(self.correlation, bytes).and_then(how).map_err(|Malformed| {
            let text = format!("`{}`: its answer cannot be read", self.place);
            Failure::new(FailureKind::Protocol, text).into()
        })
    }

    /// An error that is none.
    pub fn well(&self, code: i16, said: &str) -> Done<()> {
        match code {
            0 => Ok(()),
            code => Err(Trouble::answered(&self.place, code, said)),
        }
    }

    fn answer(&mut self) -> Result<Vec<u8>, Failure> {
        let deadline = self.end.min(Instant::now() + self.times.first_byte);
        let mut head = [0; 4];
        self.fill(&mut head, deadline)?;
        let length = i32::from_be_bytes(head);
        if !(4..=limits::KAFKA_ANSWER_BYTES).contains(&length) {
            // No Kafka: as much of its words as there is.
            let mut said = [0; limits::FOREIGN_SHOWN_CHARS];
            said[..4].copy_from_slice(&head);
            let until = deadline.min(Instant::now() + Duration::from_millis(limits::KAFKA_TURN_MILLIS));
            let n = 4 + self.stream.read(&mut said[4..], until).unwrap_or_default();
            let text = foreign::sentence(&self.place, &said[..n], "a Kafka broker would answer");
            return Err(Failure::new(FailureKind::Protocol, text));
        }
        // Room for what has come, and not for what is promised.
        let (mut bytes, length) = (Vec::new(), length as usize);
        while bytes.len() < length {
            let at = bytes.len();
            bytes.resize(length.min(at + limits::KAFKA_READ_BYTES), 0);
            self.fill(&mut bytes[at..], deadline)?;
        }
        Ok(bytes)
    }

    fn fill(&mut self, to: &mut [u8], deadline: Instant) -> Result<(), Failure> {
        let mut at = 0;
        while at < to.len() {
            let read = self.stream.read(&mut to[at..], deadline).map_err(|f| match f.kind {
                FailureKind::Timeout => {
                    Failure::new(f.kind, format!("`{}`: no answer within --first-byte-timeout", self.place))
                }
                _ => f,
            })?;
            match read {
                0 => {
                    let text = format!("`{}` closed the connection without an answer", self.place);
                    return Err(Failure::new(FailureKind::Closed, text));
                }
                n => at += n,
            }
        }
        Ok(())
    }

    /// The first question of all was not answered: what may be the matter.
    fn no_kafka(&self, t: Trouble) -> Trouble {
        let closed = matches!(t.why, Why::NotSent(FailureKind::Closed | FailureKind::Timeout));
        if !closed || self.stream.is_tls() {
            return t;
        }
        let text = format!("{}: is it a Kafka broker, and does it want TLS (kafka+tls://)?", t.said.text);
        Trouble::new(t.why, text)
    }
}
