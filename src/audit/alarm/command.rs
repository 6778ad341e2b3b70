//! Alarms in the keeper: what fires now, and the command of `--on-alarm`, which is told of it.
//!
//! The gravest waits least. What is over before anybody was told is not told; what was told is told as resolved. What lasts is
//! told again after `--alarm-repeat`. The table lives as long as the keeper, so it outlives workers, and each new one is
//! given it. Refuses: to run two commands at once, to wait for one, to hand on a variable that may hold a secret.

use crate::audit::alarm::diary;
use crate::audit::alarm::{Alarm, AlarmKind, State, OF_KEEPER};
use crate::sorted::Map;
use crate::sys::clock::wall_ms;
use crate::sys::process::{self, Ended};
use crate::sys::ring::Ring;
use crate::sys::{pipe, signal};
use crate::{limits, log, stamp};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the command is still to be told of a matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Nothing,
    Firing,
    Resolved,
}

/// A matter.
#[derive(Debug)]
struct Entry {
    alarm: Alarm,
    owed: Owed,
    /// The command knows that it fires.
    told: bool,
    /// When the command was last told that it fires.
    last: Option<Instant>,
    /// How often it has happened again since then.
    more: u64,
}

/// All of them.
#[derive(Debug)]
pub struct Alarms {
    command: Vec<String>,
    repeat: Option<Duration>,
    all: Map<(AlarmKind, String), Entry>,
    /// Half a line of the pipe.
    rest: Vec<u8>,
    started: Option<Instant>,
    running: Option<(Child, Instant)>,
    /// Where the page finds what was the matter.
    diary: Option<Arc<Ring>>,
}

impl Alarms {
    /// For this command, if there is one; `repeat`: what lasts is told again after this.
    pub fn new(command: Vec<String>, repeat: Option<Duration>) -> Alarms {
        Alarms { command, repeat, all: Map::new(), rest: Vec::new(), started: None, running: None, diary: None }
    }

    /// And what is the matter is noted here.
    pub fn noting(self, ring: &Arc<Ring>) -> Alarms {
        Alarms { diary: Some(ring.clone()), ..self }
    }

    /// From now on this command is told, and what lasts is told again after this.
    pub fn tell(&mut self, command: Vec<String>, repeat: Option<Duration>) {
        (self.command, self.repeat) = (command, repeat);
    }

    /// What lasts now, for the next worker.
    pub fn standing(&self) -> Vec<Alarm> {
        let lasts = |e: &&Entry| {
            e.alarm.state == State::Firing && e.alarm.kind.row().lasts && !OF_KEEPER.contains(&e.alarm.kind)
        };
        self.all.values().filter(lasts).map(|e| e.alarm.clone()).collect()
    }

    /// A matter of the keeper's own.
    pub fn fires(&mut self, kind: AlarmKind, about: &str, text: &str, now_ms: i64) {
        let (about, text) = (about.to_string(), text.to_string());
        self.enter(Alarm { kind, about, state: State::Firing, since_ms: now_ms, text });
    }

    /// It is over.
    pub fn over(&mut self, kind: AlarmKind, about: &str, text: &str, now_ms: i64) {
        let (about, text) = (about.to_string(), text.to_string());
        self.enter(Alarm { kind, about, state: State::Resolved, since_ms: now_ms, text });
    }

    /// Takes what a worker has written into the pipe.
    pub fn take(&mut self, from: &OwnedFd) {
        let Ok(copy) = from.try_clone() else { return };
        let mut bytes = vec![0; limits::ALARM_PIPE_BYTES];
        let Ok(n) = File::from(copy).read(&mut bytes) else { return };
        self.rest.extend_from_slice(&bytes[..n]);
        let Some(end) = memchr::memrchr(b'\n', &self.rest) else {
            // Not ours: a worker writes whole lines.
            self.rest.truncate(limits::PIPE_ATOM_BYTES);
            return;
        };
        let lines: Vec<u8> = self.rest.drain(..=end).collect();
        String::from_utf8_lossy(&lines).lines().filter_map(Alarm::parse).for_each(|a| self.enter(a));
    }

    fn enter(&mut self, alarm: Alarm) {
        let key = (alarm.kind, alarm.about.clone());
        if alarm.state == State::Resolved {
            if let Some(e) = self.all.get_mut(&key) {
                if let Some(ring) = self.diary.as_ref().filter(|_| e.alarm.state == State::Firing) {
                    diary::over(ring, e.alarm.kind, e.alarm.since_ms, wall_ms());
                }
                e.alarm.state = State::Resolved;
                e.alarm.text = alarm.text;
                e.owed = if e.told { Owed::Resolved } else { Owed::Nothing };
            }
            return;
        }
        if !self.all.contains_key(&key) && self.all.len() >= limits::ALARMS {
            return;
        }
        let lasts = alarm.kind.row().lasts;
        let known = self.all.get(&key).is_some_and(|e| e.alarm.state == State::Firing);
        if let Some(ring) = self.diary.as_ref().filter(|_| !known || !lasts) {
            diary::began(ring, alarm.kind, alarm.since_ms);
        }
        let e =
            self.all.at(key, || Entry { alarm: alarm.clone(), owed: Owed::Firing, told: false, last: None, more: 0 });
        if !lasts {
            e.more += u64::from(e.owed == Owed::Firing && e.alarm != alarm);
            e.owed = Owed::Firing;
        } else if e.alarm.state == State::Resolved {
            // It begins anew: where its end was not told, nobody has to be told of either.
            e.owed = if e.told { Owed::Nothing } else { Owed::Firing };
        }
        let since_ms = if e.alarm.state == State::Firing && lasts { e.alarm.since_ms } else { alarm.since_ms };
        e.alarm = Alarm { since_ms, ..alarm };
    }

    /// When the command is to be told of this.
    fn due_in(&self, e: &Entry) -> Option<Duration> {
        let after = |wait: Duration| e.last.map_or(Duration::ZERO, |t| wait.saturating_sub(t.elapsed()));
        match e.owed {
            Owed::Firing => Some(after(Duration::from_secs(limits::ALARM_SECONDS))),
            Owed::Resolved => Some(Duration::ZERO),
            Owed::Nothing if e.told && e.alarm.state == State::Firing && e.alarm.kind.row().lasts => {
                self.repeat.map(after)
            }
            Owed::Nothing => None,
        }
    }

    /// How long nothing has to be done here.
    pub fn patience(&self) -> Option<Duration> {
        if let Some((_, since)) = &self.running {
            let most = Duration::from_secs(limits::ALARM_COMMAND_SECONDS);
            return Some(most.saturating_sub(since.elapsed()));
        }
        if self.command.is_empty() {
            return None;
        }
        let due = self.all.values().filter_map(|e| self.due_in(e)).min()?;
        Some(due.max(self.pause()))
    }

    fn pause(&self) -> Duration {
        let pause = Duration::from_millis(limits::ALARM_PAUSE_MILLIS);
        self.started.map_or(Duration::ZERO, |t| pause.saturating_sub(t.elapsed()))
    }

    /// Ends a command that takes too long, starts the next one.
    pub fn tick(&mut self) {
        if let Some((child, since)) = &self.running {
            if since.elapsed() >= Duration::from_secs(limits::ALARM_COMMAND_SECONDS) {
                // Also what it has started: a script that is ended alone leaves what it waits for behind, each minute.
                signal::send_group(child.id() as i32, signal::SIGKILL);
                log::warn("alarm", format!("`{}` took too long and was ended", self.name()));
                self.running = None;
            }
        }
        let minute = Duration::from_secs(limits::ALARM_SECONDS);
        self.all.retain(|(kind, _), e| {
            let over = e.alarm.state == State::Resolved || !kind.row().lasts;
            !over || e.owed != Owed::Nothing || e.last.is_some_and(|t| t.elapsed() < minute)
        });
        if self.command.is_empty() {
            self.all.values_mut().for_each(|e| (e.owed, e.told) = (Owed::Nothing, true));
        } else if self.running.is_none() && self.pause().is_zero() {
            self.start_next();
        }
    }

    /// The program that is told; it may be no option any more.
    fn name(&self) -> &str {
        self.command.first().map_or("the command of an alarm", String::as_str)
    }

    /// The gravest that is due; what begins before what ends.
    fn start_next(&mut self) {
        let due = |e: &Entry| self.due_in(e).is_some_and(|d| d.is_zero());
        let firing = self.all.iter().find(|(_, e)| e.owed != Owed::Resolved && due(e));
        let next = firing.or_else(|| self.all.iter().find(|(_, e)| due(e))).map(|(k, _)| k.clone());
        let Some(entry) = next.and_then(|key| self.all.get_mut(&key)) else { return };
        let now = Instant::now();
        let (again, resolved) = (entry.told, entry.owed == Owed::Resolved);
        entry.owed = Owed::Nothing;
        entry.told = !resolved;
        if !resolved {
            entry.last = Some(now);
        }
        let told = Telling { again: again && entry.alarm.kind.row().lasts, more: std::mem::take(&mut entry.more) };
        let alarm = entry.alarm.clone();
        self.started = Some(now);
        match told.command(&self.command, &alarm).spawn() {
            Ok(child) => self.running = Some((child, now)),
            Err(e) => log::error("alarm", format!("cannot run `{}`: {e}; {}", self.command[0], told.words(&alarm))),
        }
    }

    /// A process has ended: was it the command?
    pub fn reaped(&mut self, pid: i32, ended: Ended) {
        if self.running.as_ref().is_none_or(|(c, _)| c.id() as i32 != pid) {
            return;
        }
        self.running = None;
        let how = match ended {
            Ended::Code(0) => return,
            Ended::Code(c) => format!("ended with code {c}"),
            Ended::Signal(s) => format!("was ended by signal {s}"),
        };
        log::error("alarm", format!("`{}` {how}: nobody may have been told", self.name()));
    }

    /// The worker has ended: what it said last is still handed on.
    pub fn last_words(&mut self, from: &OwnedFd) {
        if pipe::held(from.as_fd()).is_ok_and(|n| n > 0) {
            self.take(from);
        }
        let end = Instant::now() + Duration::from_millis(limits::ALARM_END_MILLIS);
        loop {
            self.tick();
            let owed = self.all.values().any(|e| e.owed == Owed::Firing);
            if !owed || self.command.is_empty() || Instant::now() >= end {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
            while let Some((pid, ended)) = process::reap() {
                self.reaped(pid, ended);
            }
        }
    }
}

/// How a matter is told.
struct Telling {
    /// It was told before, and lasts.
    again: bool,
    /// How often it has happened besides.
    more: u64,
}

impl Telling {
    fn words(&self, alarm: &Alarm) -> String {
        let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_ms = now_ms.map_or(alarm.since_ms, |d| d.as_millis() as i64);
        let lasted = stamp::for_people((now_ms - alarm.since_ms).max(0) as f64 / 1000.0);
        let name = alarm.about.strip_prefix("receiver ");
        let text = match name.filter(|n| !alarm.text.contains(*n)) {
            Some(name) => format!("{name}: {}", alarm.text),
            None => alarm.text.clone(),
        };
        match (alarm.state, self.again, self.more) {
            (State::Resolved, ..) => format!("over after {lasted}: {text}"),
            (State::Firing, true, _) => format!("{text} (for {lasted} now)"),
            (State::Firing, false, 0) => text,
            (State::Firing, false, more) => format!("{text} (and {more} more)"),
        }
    }

    fn command(&self, words: &[String], alarm: &Alarm) -> Command {
        let mut command = Command::new(&words[0]);
        let row = alarm.kind.row();
        command.args(&words[1..]).env_clear().env("GOSTECH_ALARM", self.words(alarm));
        command.env("GOSTECH_ALARM_ID", row.id).env("GOSTECH_ALARM_STATE", alarm.state.name());
        command.env("GOSTECH_ALARM_GRAVITY", row.gravity.name()).env("GOSTECH_ALARM_ABOUT", &alarm.about);
        command.env("GOSTECH_ALARM_SINCE", stamp::rfc3339_text(alarm.since_ms));
        for name in ["PATH", "HOME", "LANG", "TZ"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // Its stdin is not the database's pipe: it could read from it, and it would hold it.
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        process::before_exec(&mut command, signal::defaults);
        command
    }
}

#[cfg(test)]
mod tests;
