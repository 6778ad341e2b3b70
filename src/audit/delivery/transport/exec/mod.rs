//! Events to a handler: a program of the administrator's that reads JSON lines on its standard input and answers each on its
//! standard output: `ok ID`, `no ID why`, `later ID why`, in any order.
//!
//! It runs as long as it likes, and is started anew when the next event comes. It is given a few events ahead of its answers;
//! one that answers nothing new for `--first-byte-timeout` is ended. What it says on standard error goes into our log. The
//! worker starts nothing (`starter`). Refuses: to take silence for an answer, an answer to what was not given, to wait without
//! end, to tear an event that a pipe holds.

pub mod starter;
mod talk;
pub mod words;

use super::file::LINES;
use super::route::Route;
use super::row::{Promise, Transport};
use crate::audit::delivery::frame::Frame;
use crate::audit::delivery::parcel::{About, Blame, Delivery, Parcel, Said, Sink, Verdict, Why};
use crate::error::Result;
use crate::flags::text;
use crate::limits;
use crate::net::dial;
use crate::net::failure::{words as io_words, Failure, FailureKind};
use crate::net::target::{Scheme, Shape};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use talk::Talk;
use words::{Line, Word};

/// `exec:///path`
pub const EXEC: Transport = Transport {
    scheme: &Scheme { name: "exec", shape: Shape::File, tls: false },
    url: "exec:///PATH/PROGRAM",
    about: text(
        "a program that reads JSON lines and answers each: `ok ID`, `no ID why`, `later ID`",
        "программа, которая читает строки JSON и на каждую отвечает: `ok ID`, `no ID почему`, `later ID`",
    ),
    formats: LINES,
    frame: Some(Frame::Lines),
    options: &[&["first-byte-timeout"]],
    promise: Promise::Acknowledged,
    open,
    wishes: |_| Vec::new(),
};

/// The program of a receiver, where it is one of this kind.
pub fn program(route: &Route) -> Option<&Path> {
    let target = &route.to.target;
    target.path().filter(|_| target.scheme().name == EXEC.scheme.name)
}

fn open(route: &Route) -> Result<Box<dyn Sink>> {
    let times = route.to.timeouts;
    let program = program(route).unwrap_or(Path::new("/")).to_path_buf();
    let place = route.to.target.display();
    Ok(Box::new(Exec { program, place, patience: times.first_byte, total: times.total, spent: 0, talk: None }))
}

/// The sink.
struct Exec {
    program: PathBuf,
    place: String,
    patience: Duration,
    total: Duration,
    spent: u32,
    talk: Option<Talk>,
}

type Done<T> = std::result::Result<T, Failure>;

/// How a conversation about a parcel goes.
struct Course {
    answers: Vec<Option<Line>>,
    /// So many events from the front were given, or begun; so many of them have an answer.
    given: usize,
    answered: usize,
    written: usize,
    /// When the last answer came, and what it said since then that is none.
    heard: Instant,
    noise: usize,
}

impl Sink for Exec {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        let begun = Instant::now();
        let mut talk = match self.running() {
            Ok(talk) => talk,
            Err(f) => return Delivery::failed(f, false),
        };
        talk.last = None;
        let mut course = Course::new(parcel.len());
        let stop = match self.converse(&mut talk, parcel, &mut course, begun + self.total) {
            Ok(()) => {
                self.talk = Some(talk);
                (course.given < parcel.len()).then(|| self.slow(course.given, parcel.len()))
            }
            Err(f) => {
                talk.end();
                Some(f)
            }
        };
        self.spent = dial::spent(begun, self.total);
        course.delivery(parcel, stop)
    }

    fn check(&mut self) -> Done<()> {
        match std::fs::metadata(&self.program) {
            Ok(m) if m.is_file() && m.permissions().mode() & 0o111 != 0 => Ok(()),
            Ok(m) if m.is_file() => Err(self.not_run("nobody may run it: `chmod +x`")),
            Ok(_) => Err(self.not_run("it is no file")),
            Err(e) => Err(self.not_run(&format!("{}; mend the path", io_words(&e)))),
        }
    }

    fn spent(&self) -> u32 {
        self.spent
    }

    /// Another program may stand there now.
    fn reload(&mut self) {
        self.rest();
    }

    fn rest(&mut self) {
        self.talk.take().into_iter().for_each(Talk::finish);
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}

impl Exec {
    /// The one that runs, or a new one.
    fn running(&mut self) -> Done<Talk> {
        match self.talk.take() {
            Some(talk) if talk.lives() => return Ok(talk),
            gone => gone.into_iter().for_each(Talk::end),
        }
        self.check()?;
        Talk::begin(&self.program).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => self.not_run("the interpreter that its first line names is not here"),
            _ => self.not_run(&io_words(&e)),
        })
    }

    fn not_run(&self, why: &str) -> Failure {
        Failure::new(FailureKind::File, format!("cannot run `{}`: {why}", self.program.display()))
    }

    /// Gives events and hears answers, until there is one to each that was given. Behind `end` nothing more is given.
    fn converse(&self, talk: &mut Talk, parcel: &Parcel<'_>, course: &mut Course, end: Instant) -> Done<()> {
        loop {
            let most = if Instant::now() < end { course.answered + limits::EXEC_AHEAD } else { course.given };
            let most = most.clamp(course.given, parcel.len());
            let until = most.checked_sub(1).map_or(0, |last| parcel.events[last].end + 1);
            if course.answered == course.given && course.written >= until {
                return Ok(());
            }
            let left = self.patience.saturating_sub(course.heard.elapsed());
            if left.is_zero() {
                let for_people = crate::stamp::for_people(self.patience.as_secs_f64());
                return Err(self.ends(FailureKind::Timeout, &format!("answered nothing for {for_people}"), talk));
            }
            let next = course.portion(parcel, until);
            let ready = talk.wait(next.len(), left);
            let ready = ready.map_err(|e| self.ends(FailureKind::Closed, &io_words(&e), talk))?;
            if ready.complains {
                talk.complaints(&self.program);
            }
            if ready.says {
                self.hear(talk, parcel, course)?;
            } else if ready.takes && !next.is_empty() {
                // One that reads no more may still answer what it has.
                course.written += talk.give(next).unwrap_or(next.len());
                course.given += parcel.events[course.given..].iter().take_while(|e| e.start < course.written).count();
            }
        }
    }

    fn hear(&self, talk: &mut Talk, parcel: &Parcel<'_>, course: &mut Course) -> Done<()> {
        let lines = talk.hear().map_err(|why| self.ends(FailureKind::Closed, &why, talk))?;
        for line in lines {
            let answer = words::read(&line, course.answered, course.given, |i| parcel.id(i));
            match answer.filter(|a| course.answers[a.event].is_none()) {
                Some(answer) => course.note(answer),
                None => {
                    course.noise += line.len() + 1;
                    talk.strange(&self.program, &line);
                }
            }
        }
        match course.noise > limits::EXEC_NOISE_BYTES {
            true => Err(self.ends(FailureKind::Protocol, "says very much, and answers nothing", talk)),
            false => Ok(()),
        }
    }

    /// Why it is over, with the last that was heard of it.
    fn ends(&self, kind: FailureKind, why: &str, talk: &Talk) -> Failure {
        let last = match &talk.last {
            Some(last) => format!("; it said `{last}`"),
            None => String::new(),
        };
        Failure::new(kind, format!("handler `{}` {why}{last}", self.program.display()))
    }

    fn slow(&self, given: usize, of: usize) -> Failure {
        let name = self.program.display();
        let text = format!("handler `{name}` did {given} of {of} events within --total-timeout: the next get fewer");
        Failure::new(FailureKind::Timeout, text)
    }
}

impl Course {
    fn new(events: usize) -> Course {
        let heard = Instant::now();
        Course { answers: vec![None; events], given: 0, answered: 0, written: 0, heard, noise: 0 }
    }

    fn note(&mut self, answer: Line) {
        let place = answer.event;
        self.answers[place] = Some(answer);
        self.answered += 1;
        (self.heard, self.noise) = (Instant::now(), 0);
    }

    /// What is to be written next in one go: whole lines, as many as a pipe takes at once or not at all; one that is longer alone.
    fn portion<'a>(&self, parcel: &Parcel<'a>, until: usize) -> &'a [u8] {
        let from = self.written;
        // The last of those that were begun may not be written yet.
        let open = &parcel.events[self.given.saturating_sub(1)..];
        let ends = open.iter().map(|e| e.end + 1).filter(|end| (from + 1..=until).contains(end));
        let fits = |(n, end): &(usize, usize)| *n == 0 || end - from <= limits::PIPE_ATOM_BYTES;
        let end = ends.enumerate().take_while(fits).last().map_or(from, |(_, end)| end);
        &parcel.bytes[from..end]
    }

    /// What that means for the events.
    fn delivery(&self, parcel: &Parcel<'_>, stop: Option<Failure>) -> Delivery {
        let word = |i: usize| self.answers[i].as_ref().map(|a| a.word);
        let taken = (0..parcel.len()).take_while(|i| word(*i) == Some(Word::Ok)).count();
        let Some(first) = self.answers.get(taken) else { return Delivery::whole(parcel, Said::default()) };
        let (why, about, said) = match (first, stop) {
            (Some(line), _) if line.word == Word::No => {
                (Why::Content(Blame::NeedsWitness), About::Next, saying("refuses it", line))
            }
            (Some(line), _) => (Why::NotNow(None), About::Next, saying("puts it off", line)),
            (None, Some(f)) => (Why::Unanswered(f.kind), About::Rest, f.into()),
            (None, None) => (Why::NotNow(None), About::Rest, Said::default()),
        };
        let takes_some = (0..parcel.len()).any(|i| word(i) == Some(Word::Ok));
        let also = (taken + 1..parcel.len()).filter_map(|i| match self.answers[i].as_ref()? {
            line if line.word == Word::Ok => Some((i, Verdict::Taken)),
            line if line.word == Word::No && takes_some => Some((i, Verdict::Refused(saying("refuses it", line)))),
            _ => None,
        });
        Delivery { also: also.collect(), ..Delivery::up_to(taken, why, about, said) }
    }
}

fn saying(what: &str, line: &Line) -> Said {
    let colon = if line.why.is_empty() { "" } else { ": " };
    Said { status: None, text: format!("{what}{colon}{}", line.why) }
}

#[cfg(test)]
mod tests;
