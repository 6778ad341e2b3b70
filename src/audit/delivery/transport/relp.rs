//! RELP: syslog with an answer for each message, which is what makes rsyslog a receiver that loses nothing.
//!
//! A session begins with `open` and what both can do. Then up to 128 messages are on their way at once, each in a frame with
//! a number, and the answer bears it: 200 is taken. Answers come in order as a rule; those from the front move the cursor,
//! others are remembered. What has no answer is sent again in the next session: the same message twice, never none.
//!
//! Refuses: to count a message that was not answered with 200, to go on in a session that the server has closed.

pub mod frame;

use super::route::Route;
use super::row::{Promise, Transport, OF_TLS};
use super::stream::OF_STREAM;
use super::syslog::{self, OF_SYSLOG};
use crate::audit::delivery::parcel::{About, Delivery, Parcel, Said, Sink, Verdict, Why};
use crate::error::Result;
use crate::flags::text;
use crate::net::dial;
use crate::net::failure::{Failure, FailureKind};
use crate::net::foreign;
use crate::net::http::Timeouts;
use crate::net::kept::{Conn, Kept};
use crate::net::target::{Scheme, Shape};
use crate::{limits, words};
use frame::{after, Frame, Read};
use std::time::Instant;

/// `relp://`
pub const PLAIN: Transport = Transport {
    scheme: &Scheme { name: "relp", shape: Shape::Port { port: 2514 }, tls: false },
    url: "relp://HOST[:PORT]",
    about: text(
        "syslog with acknowledgement by the application, as rsyslog's imrelp takes it",
        "syslog с подтверждением от приложения, как принимает imrelp из rsyslog",
    ),
    options: &[OF_SYSLOG, OF_STREAM, &["first-byte-timeout"]],
    promise: Promise::Acknowledged,
    open,
    ..syslog::UDP
};

/// `relp+tls://`
pub const TLS: Transport = Transport {
    scheme: &Scheme { name: "relp+tls", shape: Shape::Port { port: 2514 }, tls: true },
    url: "relp+tls://HOST[:PORT]",
    about: text("the same over TLS", "то же поверх TLS"),
    options: &[OF_SYSLOG, OF_STREAM, &["first-byte-timeout"], OF_TLS],
    ..PLAIN
};

fn open(route: &Route) -> Result<Box<dyn Sink>> {
    route.to.target.only_queries(&[])?;
    let (kept, times) = (route.to.straight(), route.to.timeouts);
    Ok(Box::new(Relp { kept, times, number: 0, spent: 0, out: Vec::new(), heard: Vec::new() }))
}

struct Relp {
    kept: Kept,
    times: Timeouts,
    /// Of the last frame that was sent in this session.
    number: u32,
    spent: u32,
    out: Vec<u8>,
    /// What was read and is no whole frame yet.
    heard: Vec<u8>,
}

/// Why it goes no further.
enum Halt {
    /// Before a message was on its way.
    Before(Failure),
    Failed(Failure),
    /// In these words of the server.
    Said(Why, Said),
}

/// What has become of the messages of a parcel.
#[derive(Default)]
struct Answers {
    /// The number of the first; the others follow it.
    first: u32,
    sent: usize,
    /// Which of those that were sent were taken, and how many from the front, and of all.
    which: Vec<bool>,
    taken: usize,
    all: usize,
    /// The first refusal, and of which message.
    refused: Option<(usize, Why, Said)>,
}

impl Answers {
    /// Notes an answer; false: nobody has asked for it.
    fn note(&mut self, frame: &Frame) -> bool {
        let place = frame::between(self.first, frame.number);
        match (frame.answer(), self.which.get(place)) {
            (None, _) | (_, None | Some(true)) => return false,
            (Some((200..=299, _)), _) => (self.which[place], self.all) = (true, self.all + 1),
            (Some((code, said)), _) if self.refused.as_ref().is_none_or(|r| r.0 > place) => {
                self.refused = Some((place, meaning(code), said_of(code, &said)));
            }
            _ => {}
        }
        self.taken += self.which[self.taken..].iter().take_while(|t| **t).count();
        true
    }

    /// How many have no answer yet.
    fn open(&self) -> usize {
        self.sent - self.all
    }
}

/// 5xx is the server's own trouble, and may be about this message: such a one is found in time. 4xx refuses the message.
fn meaning(code: u16) -> Why {
    match code {
        500..=599 => Why::NotNow(None),
        _ => Why::Configuration,
    }
}

fn said_of(code: u16, words_of: &str) -> Said {
    Said { status: Some(code), text: words::line(words_of, limits::HTTP_EXCERPT_BYTES) }
}

impl Relp {
    /// A session, opened where there is none.
    fn session(&mut self, end: Instant) -> std::result::Result<Conn, Halt> {
        let mut conn = self.kept.take(end).map_err(Halt::Before)?;
        if conn.is_new().is_none() {
            return Ok(conn);
        }
        self.heard.clear();
        self.number = 1;
        let offers = format!("relp_version=0\nrelp_software=gostech,{}\ncommands=syslog", env!("CARGO_PKG_VERSION"));
        self.out.clear();
        frame::push(&mut self.out, 1, "open", offers.as_bytes());
        let until = end.min(Instant::now() + self.times.connect);
        let plain = !conn.stream.is_tls();
        let before = |f: Failure| match f.kind {
            FailureKind::Closed if plain => {
                Halt::Before(Failure::new(f.kind, format!("{}; does it want TLS (relp+tls://)?", f.text)))
            }
            _ => Halt::Before(f),
        };
        conn.stream.write_all(&self.out, until).map_err(before)?;
        let answer = self.hear(
            &mut conn,
            until,
            "no answer to `open` within --connect-timeout; does it speak RELP on this port?",
        );
        let answer = answer.map_err(|h| if let Halt::Failed(f) = h { before(f) } else { h })?;
        let place = self.kept.place();
        let other = |text: String| Halt::Said(Why::Configuration, Said { status: None, text });
        match answer.answer() {
            Some((200..=299, _)) if offers_syslog(&answer) => Ok(conn),
            Some((200..=299, _)) => Err(other(format!("`{place}` takes no syslog by RELP: look at its configuration"))),
            Some((code, said)) => Err(Halt::Said(Why::Configuration, said_of(code, &said))),
            None => Err(other(format!("`{place}` does not answer `open` as RELP does: look at the port"))),
        }
    }

    /// The next frame. The time that it may take is that of an answer.
    fn hear(&mut self, conn: &mut Conn, until: Instant, late: &str) -> std::result::Result<Frame, Halt> {
        loop {
            match frame::read(&self.heard) {
                Read::Whole(frame, n) => {
                    self.heard.drain(..n);
                    return match frame.command.as_str() {
                        "rsp" => Ok(frame),
                        "serverclose" => Err(self.closed("the server closed the session")),
                        _ => Err(self.foreign()),
                    };
                }
                Read::Not => return Err(self.foreign()),
                Read::Part => {}
            }
            let mut chunk = [0; 4096];
            match conn.stream.read(&mut chunk, until) {
                Ok(0) if self.heard.is_empty() => return Err(self.closed("the other side closed it")),
                Ok(0) => return Err(self.foreign()),
                Ok(n) => self.heard.extend_from_slice(&chunk[..n]),
                Err(f) if f.kind == FailureKind::Timeout => {
                    let text = format!("`{}`: {late}", self.kept.place());
                    return Err(Halt::Failed(Failure::new(FailureKind::Timeout, text)));
                }
                Err(f) => return Err(Halt::Failed(f)),
            }
        }
    }

    fn closed(&self, how: &str) -> Halt {
        let text = format!("connection to `{}` ended: {how}", self.kept.place());
        Halt::Failed(Failure::new(FailureKind::Closed, text))
    }

    fn foreign(&self) -> Halt {
        let text = foreign::sentence(self.kept.place(), &self.heard, "RELP would answer");
        Halt::Said(Why::Configuration, Said { status: None, text })
    }

    /// Sends all messages, never more at once than the window holds, and notes the answers.
    fn exchange(
        &mut self,
        conn: &mut Conn,
        parcel: &Parcel<'_>,
        answers: &mut Answers,
        end: Instant,
    ) -> std::result::Result<(), Halt> {
        answers.first = after(self.number);
        while answers.refused.is_none() && answers.taken < parcel.len() {
            // Some at a time, each time that half of the window is free.
            if answers.open() <= limits::RELP_WINDOW / 2 && answers.sent < parcel.len() {
                self.put(parcel, answers);
                let until = end.min(Instant::now() + self.times.send);
                conn.stream.write_all(&self.out, until).map_err(|f| self.not_written(f))?;
            }
            let until = end.min(Instant::now() + self.times.first_byte);
            let answer = self.hear(conn, until, "no answer within --first-byte-timeout")?;
            if !answers.note(&answer) {
                return Err(self.disorder(&answer));
            }
        }
        Ok(())
    }

    /// Fills the window.
    fn put(&mut self, parcel: &Parcel<'_>, answers: &mut Answers) {
        self.out.clear();
        while answers.sent < parcel.len() && answers.open() < limits::RELP_WINDOW && self.has_room() {
            self.number = after(self.number);
            frame::push(&mut self.out, self.number, "syslog", parcel.event(answers.sent));
            answers.sent += 1;
            answers.which.push(false);
        }
    }

    fn has_room(&self) -> bool {
        self.out.len() < limits::RELP_OUTPUT_BYTES
    }

    fn not_written(&self, f: Failure) -> Halt {
        match f.kind {
            FailureKind::Timeout => {
                let text = format!("`{}`: it did not take the events within --send-timeout", self.kept.place());
                Halt::Failed(Failure::new(f.kind, text))
            }
            _ => Halt::Failed(f),
        }
    }

    fn disorder(&self, answer: &Frame) -> Halt {
        let text = format!(
            "`{}` answers what nobody has asked (`{} {}`): the session is begun anew",
            self.kept.place(),
            answer.number,
            words::line(&String::from_utf8_lossy(&answer.data), limits::FOREIGN_SHOWN_CHARS)
        );
        Halt::Failed(Failure::new(FailureKind::Protocol, text))
    }
}

/// Some name no commands at all.
fn offers_syslog(answer: &Frame) -> bool {
    frame::offer(&answer.data, "commands").is_none_or(|list| list.split(',').any(|c| c.trim() == "syslog"))
}

impl Sink for Relp {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        let begun = Instant::now();
        let end = begun + self.times.total;
        let mut answers = Answers::default();
        let halt = match self.session(end) {
            Ok(mut conn) => {
                let result = self.exchange(&mut conn, parcel, &mut answers, end);
                // A session with answers outstanding is no place for other messages.
                if result.is_ok() && answers.open() == 0 {
                    self.kept.put(conn);
                }
                result.err()
            }
            Err(halt) => Some(halt),
        };
        self.spent = dial::spent(begun, self.times.total);
        told(parcel, answers, halt)
    }

    fn check(&mut self) -> std::result::Result<(), Failure> {
        self.kept.check()
    }

    fn spent(&self) -> u32 {
        self.spent
    }

    fn reload(&mut self) {
        self.kept.reload();
    }

    fn rest(&mut self) {
        if let Some(mut conn) = self.kept.have() {
            let mut bye = Vec::new();
            frame::push(&mut bye, after(self.number), "close", b"");
            // As far as it goes without waiting: the server has answered all there is.
            let _ = conn.stream.write_now(&bye).and_then(|_| conn.stream.flush(Instant::now()));
        }
        (self.out, self.heard) = (Vec::new(), Vec::new());
    }

    fn place(&self) -> String {
        self.kept.place().to_string()
    }
}

/// What has become of a parcel, in the words of all transports.
fn told(parcel: &Parcel<'_>, answers: Answers, halt: Option<Halt>) -> Delivery {
    let taken = answers.taken;
    let mut delivery = match (answers.refused, halt) {
        (Some((place, why, said)), _) if place == taken => Delivery::up_to(taken, why, About::Next, said),
        (Some((_, why, said)), None) => Delivery::up_to(taken, why, About::Rest, said),
        (_, Some(Halt::Said(why, said))) => Delivery::up_to(taken, why, About::Rest, said),
        (_, Some(Halt::Before(f))) => Delivery::failed(f, false),
        (_, Some(Halt::Failed(f))) => Delivery { taken, ..Delivery::failed(f, true) },
        (None, None) => return Delivery::whole(parcel, Said { status: Some(200), text: String::new() }),
    };
    let behind = answers.which.iter().enumerate().skip(taken).filter(|(_, t)| **t);
    delivery.also = behind.map(|(i, _)| (i, Verdict::Taken)).collect();
    delivery
}

#[cfg(test)]
mod tests;
