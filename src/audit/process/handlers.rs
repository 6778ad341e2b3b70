//! Handlers of `exec://` in the keeper: it starts them for the worker, which starts nothing, and sees to it that they end. So
//! it does with the other signer of checkpoints (`--seal-sign`), which has a time limit.
//!
//! Only a program that the keeper's own options name is started. A handler has the pipes that the worker has made for it, so
//! it is not the keeper's to read or to write; it is ended when the worker asks for that, when the worker is gone, and with the
//! keeper itself. Refuses: to wait for one, to start more than a few.

use crate::audit::delivery::transport::exec;
use crate::audit::delivery::transport::exec::starter::{self, How, Request};
use crate::audit::options::Options;
use crate::sys::process::{self, Ended};
use crate::sys::signal;
use crate::{limits, log};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Those that run.
#[derive(Debug, Default)]
pub struct Handlers {
    all: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    number: u64,
    pid: i32,
    program: PathBuf,
    /// It is to end, and until then by itself.
    until: Option<Instant>,
}

/// Makes the way to the keeper, where these options have a handler. Before the worker that is to use it.
pub fn prepare(options: &Options) {
    if programs(options).next().is_some() || !signer(options).is_empty() {
        if let Err(e) = starter::make() {
            log::error("handler", format!("cannot make the way to the keeper: {e}"));
        }
    }
}

impl Handlers {
    /// Does what the worker asks for.
    pub fn take(&mut self, options: &Options) {
        for request in std::iter::from_fn(starter::next).take(limits::EXEC_HANDLERS) {
            match request {
                Request::Start(number, program, ends) => self.start(options, number, program, ends),
                Request::End(number, how) => {
                    let moment = Duration::from_millis(if how == How::Soon { limits::EXEC_END_MILLIS } else { 0 });
                    let until = Some(Instant::now() + moment);
                    self.all.iter_mut().filter(|r| r.number == number).for_each(|r| r.until = until);
                }
            }
        }
    }

    fn start(&mut self, options: &Options, number: u64, program: PathBuf, ends: starter::Ends) {
        // With its output open until the complaint is written: whoever sees that end looks no further.
        let (mut complaint, _output) = (ends[2].try_clone().map(File::from), ends[1].try_clone());
        let signs = program.as_os_str().is_empty();
        let words = if signs { signer(options) } else { &[] };
        let program = words.first().map_or(program, PathBuf::from);
        let started = if signs && words.is_empty() || !signs && !programs(options).any(|p| p == program) {
            Err("no option names it".to_string())
        } else if self.all.len() >= limits::EXEC_HANDLERS {
            Err(format!("{} handlers run already", self.all.len()))
        } else {
            starter::start(&program, words.get(1..).unwrap_or_default(), ends).map_err(|e| e.to_string())
        };
        match (started, &mut complaint) {
            (Ok(child), _) => {
                // It is ended by the worker, and here as well, whatever that does.
                let most = Duration::from_millis(limits::SEAL_SIGN_MILLIS + limits::EXEC_END_MILLIS);
                let until = signs.then(|| Instant::now() + most);
                self.all.push(Running { number, pid: child.id() as i32, program, until });
            }
            // The worker hears it, and sees that the other end is closed.
            (Err(why), Ok(complaint)) => drop(writeln!(complaint, "cannot be run: {why}")),
            (Err(why), Err(_)) => log::error("handler", format!("cannot run `{}`: {why}", program.display())),
        }
    }

    /// The worker is gone, and with it the other ends of their pipes: they have a moment to finish.
    pub fn orphaned(&mut self) {
        let until = Instant::now() + Duration::from_millis(limits::EXEC_END_MILLIS);
        self.all.iter_mut().for_each(|r| r.until = r.until.or(Some(until)));
    }

    /// How long nothing has to be done here.
    pub fn patience(&self) -> Option<Duration> {
        self.all.iter().filter_map(|r| r.until).min().map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Ends those whose time is over.
    pub fn tick(&mut self) {
        let now = Instant::now();
        for r in self.all.iter_mut().filter(|r| r.until.is_some_and(|until| until <= now)) {
            signal::send_group(r.pid, signal::SIGKILL);
            r.until = Some(now + Duration::from_millis(limits::EXEC_END_MILLIS));
        }
    }

    /// A process has ended: whether it was one of these.
    pub fn reaped(&mut self, pid: i32, ended: Ended) -> bool {
        let Some(at) = self.all.iter().position(|r| r.pid == pid) else { return false };
        let r = self.all.remove(at);
        match ended {
            Ended::Code(0) => {}
            Ended::Code(c) => log::warn("handler", format!("`{}` ended with code {c}", r.program.display())),
            Ended::Signal(s) => log::warn("handler", format!("`{}` was ended by signal {s}", r.program.display())),
        }
        true
    }

    /// The end is near: they have their moment, and no more. `other`: what else has ended meanwhile.
    pub fn last(&mut self, mut other: impl FnMut(i32, Ended)) {
        self.orphaned();
        let end = Instant::now() + 2 * Duration::from_millis(limits::EXEC_END_MILLIS);
        while !self.all.is_empty() && Instant::now() < end {
            self.tick();
            match process::reap() {
                Some((pid, ended)) if self.reaped(pid, ended) => {}
                Some((pid, ended)) => other(pid, ended),
                None => std::thread::sleep(Duration::from_millis(limits::EXEC_LOOK_MILLIS)),
            }
        }
    }
}

/// The words of the other signer.
fn signer(options: &Options) -> &[String] {
    options.seal.as_ref().map_or(&[], |seal| &seal.sign)
}

/// Those that the options name.
fn programs(options: &Options) -> impl Iterator<Item = &Path> {
    options.receivers.iter().flat_map(|r| &r.targets).filter_map(exec::program)
}
