//! The keeper: holds standard input open and runs the worker. It does nothing else but start the command of an alarm.
//!
//! ```text
//! database ──pipe──▶ stdin, held by keeper and worker alike; the ring, the relay pipe and the ark outlive the worker
//! keeper ──fork──▶ worker: reads, spools, delivers       worker ──alarm pipe──▶ keeper ──▶ --on-alarm CMD
//! keeper dies ──life pipe hangs up──▶ the worker becomes the keeper (the same program again) and starts a new worker
//! ```
//!
//! It has one thread, so that a fork is a whole copy; the worker needs no program file on disk. Refuses: to read stdin,
//! to touch the spool, to give up.

use super::options::Options;
use super::spool::ark::Ark;
use super::worker::{self, Given};
use crate::error::{Error, Exit, Result};
use crate::sys::process::{self, Ended, Forked};
use crate::sys::ring::{Ring, Word};
use crate::sys::signal::{self, Signals};
use crate::sys::{crash, file, pipe};
use crate::{limits, log};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What outlives every worker.
#[derive(Debug)]
pub struct Heirlooms {
    /// The cushion.
    pub ring: Arc<Ring>,
    /// The pipe between stdin and the ring.
    pub relay: Arc<(OwnedFd, OwnedFd)>,
    /// The memory for when the disk fails.
    pub ark: File,
    /// Arguments and environment as they were given: the process's own are wiped.
    pub call: File,
    /// This program.
    pub exe: OwnedFd,
}

/// The argument that a worker hands its heirlooms on with, when it becomes the keeper.
pub const RESUME: &str = "--resume-as-keeper";

impl Heirlooms {
    /// New ones, for the first keeper.
    pub fn make(memory: u64, args: &[OsString], env: &[(OsString, OsString)]) -> Result<Heirlooms> {
        let cannot = |what: &str, e: std::io::Error| Error::failed(format!("cannot {what}: {e}"));
        let ring = Ring::create(memory as usize, process::chance()).map_err(|e| cannot("make the cushion", e))?;
        let relay = pipe::pair().map_err(|e| cannot("make a pipe", e))?;
        let _ = pipe::widen(relay.0.as_fd(), limits::PIPE_BYTES);
        let ark = Ark::create().map_err(|e| cannot("make a memory file", e))?;
        let mut call = file::memory("gostech-call", 0).map_err(|e| cannot("make a memory file", e))?;
        let flat: Vec<OsString> = env.iter().flat_map(|(k, v)| [k.clone(), v.clone()]).collect();
        let (args, packed) = (process::pack(args), process::pack(&flat));
        let mut bytes = (args.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(&args);
        bytes.extend_from_slice(&packed);
        call.write_all(&bytes).map_err(|e| cannot("keep the arguments", e))?;
        // Without /proc nobody can take the keeper's place; that is no reason not to keep. The memory file stands in for
        // the program: to become it fails, and is said.
        let exe = match process::own_program() {
            Ok(exe) => exe,
            Err(e) => {
                log::warn(
                    "keeper",
                    format!("cannot open /proc/self/exe: {e}; a worker cannot take the keeper's place"),
                );
                call.try_clone().map_err(|e| cannot("keep the arguments", e))?.into()
            }
        };
        let ring = Arc::new(ring);
        crash::arm(env, Some(&ring));
        Ok(Heirlooms { ring, relay: Arc::new(relay), ark, call, exe })
    }

    fn fds(&self) -> [RawFd; 6] {
        let ring = self.ring.file().as_raw_fd();
        let (r, w) = (self.relay.0.as_raw_fd(), self.relay.1.as_raw_fd());
        [ring, r, w, self.ark.as_raw_fd(), self.call.as_raw_fd(), self.exe.as_raw_fd()]
    }

    /// What stands behind `RESUME`.
    fn as_argument(&self) -> String {
        self.fds().map(|fd| fd.to_string()).join(",")
    }

    /// The heirlooms of a worker that became this keeper, with the call as it was given.
    #[allow(clippy::type_complexity)]
    pub fn resume(argument: &str) -> Option<(Heirlooms, Vec<OsString>, Vec<(OsString, OsString)>)> {
        let fds: Vec<RawFd> = argument.split(',').map(|n| n.parse().ok()).collect::<Option<_>>()?;
        if fds.len() != 6 || fds.iter().any(|&fd| fd < 3) {
            return None;
        }
        process::close_from_3(&fds);
        let mut owned = fds.iter().map(|&fd| own(fd));
        let ring = Ring::open(owned.next()??).ok()?;
        let relay = (owned.next()??, owned.next()??);
        let ark = File::from(owned.next()??);
        let mut call = File::from(owned.next()??);
        let exe = owned.next()??;
        let mut bytes = Vec::new();
        call.rewind().ok()?;
        call.read_to_end(&mut bytes).ok()?;
        let count = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?) as usize;
        let args = process::unpack(bytes.get(8..8 + count)?);
        let flat = process::unpack(bytes.get(8 + count..)?);
        let env: Vec<_> = flat.chunks_exact(2).map(|p| (p[0].clone(), p[1].clone())).collect();
        let ring = Arc::new(ring);
        crash::arm(&env, Some(&ring));
        Some((Heirlooms { ring, relay: Arc::new(relay), ark, call, exe }, args, env))
    }

    /// Becomes the keeper: the same program, in the place of this process. Comes back only when that failed.
    pub fn become_keeper(&self) -> std::io::Error {
        let argument = self.as_argument();
        let keep =
            [self.ring.file().as_fd(), self.relay.0.as_fd(), self.relay.1.as_fd(), self.ark.as_fd(), self.call.as_fd()];
        process::become_again(self.exe.as_fd(), &["gostech-audit-log", RESUME, &argument], &keep)
    }
}

/// Takes a descriptor that another image of this program left open.
fn own(fd: RawFd) -> Option<OwnedFd> {
    process::adopt(fd).ok()
}

struct Keeper<'a> {
    options: &'a Options,
    heirlooms: Heirlooms,
    signals: Signals,
    worker: Option<i32>,
    born: Instant,
    quick_deaths: u32,
    start_at: Option<Instant>,
    alarms: Alarms,
    /// The write end lives in this process alone: when it dies, workers see the other end hang up.
    life: (OwnedFd, OwnedFd),
    alarm_pipe: (OwnedFd, OwnedFd),
}

/// Runs workers until one has ended as it wanted; gives its exit code.
pub fn run(options: &Options, heirlooms: Heirlooms) -> Result<Exit> {
    let cannot = |what: &str, e: std::io::Error| Error::failed(format!("cannot {what}: {e}"));
    process::lead();
    let wanted = [signal::SIGTERM, signal::SIGINT, signal::SIGHUP, signal::SIGCHLD];
    let signals = Signals::take(&wanted).map_err(|e| cannot("take signals", e))?;
    let life = pipe::pair().map_err(|e| cannot("make a pipe", e))?;
    let alarm_pipe = pipe::pair().map_err(|e| cannot("make a pipe", e))?;
    let mut keeper = Keeper {
        options,
        heirlooms,
        signals,
        worker: None,
        born: Instant::now(),
        quick_deaths: 0,
        start_at: Some(Instant::now()),
        alarms: Alarms::new(options.on_alarm.clone()),
        life,
        alarm_pipe,
    };
    keeper.watch()
}

impl Keeper<'_> {
    fn watch(&mut self) -> Result<Exit> {
        loop {
            if self.worker.is_none() && self.start_at.is_some_and(|t| t <= Instant::now()) {
                self.start();
            }
            let patience = self.patience();
            let ready = pipe::wait([self.signals.as_fd(), self.alarm_pipe.0.as_fd()], patience);
            if let Ok([_, alarm]) = ready {
                if alarm.readable {
                    self.alarms.take(&self.alarm_pipe.0);
                }
            }
            while let Some(s) = self.signals.next() {
                match (s, self.worker) {
                    (signal::SIGCHLD, _) | (_, None) => {}
                    // The worker reads on to the end of input; the keeper holds the pipe as long.
                    (s, Some(pid)) => signal::send(pid, s),
                }
            }
            self.alarms.tick();
            while let Some((pid, ended)) = process::reap() {
                if Some(pid) == self.worker {
                    if let Some(exit) = self.worker_ended(ended) {
                        self.alarms.last_words(&self.alarm_pipe.0);
                        return Ok(exit);
                    }
                } else {
                    self.alarms.reaped(pid);
                }
            }
        }
    }

    fn patience(&self) -> Option<Duration> {
        let restart = self.start_at.map(|t| t.saturating_duration_since(Instant::now()));
        [restart, self.alarms.patience()].into_iter().flatten().min()
    }

    fn start(&mut self) {
        self.start_at = None;
        let ring = &self.heirlooms.ring;
        ring.word(Word::Ready).store(0, Ordering::Release);
        ring.word(Word::Finished).store(0, Ordering::Release);
        match process::fork_single_threaded() {
            Ok(Forked::Parent(pid)) => {
                self.worker = Some(pid);
                self.born = Instant::now();
                crash::point("keeper.forked");
            }
            Ok(Forked::Child) => {
                // The life pipe's write end is the keeper's alone.
                process::close(self.life.1.as_raw_fd());
                process::close(self.alarm_pipe.0.as_raw_fd());
                let given = Given {
                    options: self.options,
                    heirlooms: &self.heirlooms,
                    life: self.life.0.as_fd(),
                    alarms: self.alarm_pipe.1.as_fd(),
                };
                let code = worker::run(given) as u64;
                self.heirlooms.ring.word(Word::Finished).store(1 + code, Ordering::Release);
                process::exit_now(code as i32)
            }
            Err(e) => {
                log::error("keeper", format!("cannot start a worker: {e}; trying again"));
                self.start_at = Some(Instant::now() + Duration::from_secs(1));
            }
        }
    }

    /// What to do when the worker is gone: its exit code if it wanted to go.
    fn worker_ended(&mut self, ended: Ended) -> Option<Exit> {
        self.worker = None;
        let ring = &self.heirlooms.ring;
        let finished = ring.word(Word::Finished).load(Ordering::Acquire);
        if finished > 0 && ended == Ended::Code(finished as i32 - 1) {
            return Some(if finished == 1 { Exit::Clean } else { Exit::Failed });
        }
        ring.word(Word::Restarts).fetch_add(1, Ordering::Relaxed);
        crash::point("keeper.reaped");
        self.note_fault(ended);
        let short = self.born.elapsed() < Duration::from_millis(limits::WORKER_SHORT_LIFE_MILLIS);
        let ready = self.heirlooms.ring.word(Word::Ready).load(Ordering::Acquire) == 1;
        self.quick_deaths = if short { self.quick_deaths + 1 } else { 0 };
        let how = match ended {
            Ended::Code(c) => format!("ended with code {c}"),
            Ended::Signal(s) => format!("was ended by signal {s}"),
        };
        let (first, most) = limits::WORKER_RESTART_MILLIS;
        // One that had come to work is started again at once, unless it keeps dying; one that had not waits longer.
        let patient =
            if ready { self.quick_deaths.saturating_sub(limits::WORKER_QUICK_DEATHS * 3) } else { self.quick_deaths };
        let wait = Duration::from_millis((first << patient.min(20)).min(most));
        log::error("worker", format!("the worker {how}; a new one goes on where it was"));
        self.start_at = Some(Instant::now() + wait);
        None
    }

    /// A worker that dies of its own fault at one place of the input again and again dies of what stands there.
    fn note_fault(&self, ended: Ended) {
        let own = [signal::SIGABRT, signal::SIGSEGV, signal::SIGBUS, signal::SIGILL];
        let ring = &self.heirlooms.ring;
        let (at, count) = (ring.word(Word::FaultAt), ring.word(Word::Faults));
        // One that had nothing of the input in its hands has died of something else.
        let working = ring.word(Word::Working).load(Ordering::Acquire) == 1;
        if !matches!(ended, Ended::Signal(s) if own.contains(&s)) || !working {
            return;
        }
        let here = 1 + ring.word(Word::Tail).load(Ordering::Acquire);
        if at.swap(here, Ordering::Relaxed) == here {
            count.fetch_add(1, Ordering::Relaxed);
        } else {
            count.store(1, Ordering::Relaxed);
        }
    }
}

/// Alarms on their way to the command.
struct Alarms {
    command: Vec<String>,
    waiting: Option<String>,
    left_out: u64,
    last: Option<Instant>,
    running: Option<(Child, Instant)>,
}

impl Alarms {
    fn new(command: Vec<String>) -> Alarms {
        Alarms { command, waiting: None, left_out: 0, last: None, running: None }
    }

    fn take(&mut self, from: &OwnedFd) {
        let Ok(copy) = from.try_clone() else { return };
        let mut bytes = vec![0; 4 * limits::ALARM_BYTES];
        let Ok(n) = File::from(copy).read(&mut bytes) else { return };
        for text in String::from_utf8_lossy(&bytes[..n]).lines().filter(|l| !l.is_empty()) {
            self.left_out += u64::from(self.waiting.is_some());
            self.waiting = Some(text.to_string());
        }
    }

    fn due(&self) -> Option<Duration> {
        self.waiting.as_ref()?;
        let pause = Duration::from_secs(limits::ALARM_SECONDS);
        Some(self.last.map_or(Duration::ZERO, |t| pause.saturating_sub(t.elapsed())))
    }

    fn patience(&self) -> Option<Duration> {
        let most = Duration::from_secs(limits::ALARM_COMMAND_SECONDS);
        let end = self.running.as_ref().map(|(_, t)| most.saturating_sub(t.elapsed()));
        let due = self.due().filter(|_| !self.command.is_empty());
        [due, end].into_iter().flatten().min()
    }

    fn tick(&mut self) {
        if let Some((child, since)) = &mut self.running {
            if since.elapsed() >= Duration::from_secs(limits::ALARM_COMMAND_SECONDS) {
                let _ = child.kill();
                log::warn("alarm", format!("`{}` took too long and was ended", self.command[0]));
                self.running = None;
            }
        }
        if self.command.is_empty() {
            self.waiting = None;
        } else if self.running.is_none() && self.due() == Some(Duration::ZERO) {
            self.start();
        }
    }

    fn start(&mut self) {
        let Some(mut text) = self.waiting.take() else { return };
        if self.left_out > 0 {
            text = format!("{text} (and {} more)", std::mem::take(&mut self.left_out));
        }
        self.last = Some(Instant::now());
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).env_clear().env("GOSTECH_ALARM", &text);
        for name in ["PATH", "HOME", "LANG", "TZ"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // Its stdin is not the database's pipe: it could read from it, and it would hold it.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        process::before_exec(&mut command, signal::defaults);
        match command.process_group(0).spawn() {
            Ok(child) => self.running = Some((child, Instant::now())),
            Err(e) => log::error("alarm", format!("cannot run `{}`: {e}", self.command[0])),
        }
    }

    fn reaped(&mut self, pid: i32) {
        if self.running.as_ref().is_some_and(|(c, _)| c.id() as i32 == pid) {
            self.running = None;
        }
    }

    /// The worker has ended: what it said last is still handed on.
    fn last_words(&mut self, from: &OwnedFd) {
        if pipe::held(from.as_fd()).is_ok_and(|n| n > 0) {
            self.take(from);
        }
        self.tick();
    }
}

/// A descriptor of another image, for tests of `resume`.
#[cfg(test)]
fn borrowed(fd: RawFd) -> OwnedFd {
    process::adopt(fd).expect("open")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;

    #[test]
    fn what_is_handed_on_is_found_again() {
        let mut call = file::memory("x", 0).unwrap();
        call.write_all(b"hello").unwrap();
        let fd = call.into_raw_fd();
        let mut again = File::from(borrowed(fd));
        again.rewind().unwrap();
        let mut text = String::new();
        again.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        assert!(Heirlooms::resume("1,2,3").is_none());
        assert!(Heirlooms::resume("").is_none());
    }
}
