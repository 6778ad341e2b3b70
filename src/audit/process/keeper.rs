//! The keeper: holds standard input open and runs the worker. It does nothing else but start the command of an alarm.
//!
//! ```text
//! database ──pipe──▶ stdin, held by all three alike; the ring, the relay pipe and the memory disk outlive the worker
//! keeper ──fork──▶ worker: reads, spools, delivers       worker ──alarm pipe──▶ keeper ──▶ --on-alarm CMD
//!        ──fork──▶ stand-in: waits                       keeper dies ──▶ the stand-in is the keeper (`succession`)
//! ```
//!
//! The worker lives in a cage that it and all its children keep for ever, so it can be nobody's keeper: that is what the
//! stand-in is for. It is a sleeping copy of the keeper, made before the worker, and shares its memory.
//!
//! It has one thread, so that a fork is a whole copy; the worker needs no program file on disk. Refuses: to read stdin,
//! to touch the spool, to give up.

use crate::audit::alarm::command::Alarms;
use crate::audit::alarm::AlarmKind;
use crate::audit::delivery::transport::exec::starter;
use crate::audit::options::Options;
use crate::audit::process::cage;
use crate::audit::process::feeder::Feeder;
use crate::audit::process::handlers::{self, Handlers};
use crate::audit::process::heirlooms::Heirlooms;
use crate::audit::process::reload::{self, Call, Renewal};
use crate::audit::process::stopped::Stopped;
use crate::audit::process::succession::{self, End, Lives};
use crate::audit::process::worker::{self, Given};
use crate::error::{Error, Exit, Result};
use crate::net::address::Address;
use crate::net::porch;
use crate::sys::clock::wall_ms;
use crate::sys::marks;
use crate::sys::process::{self, Ended, Forked};
use crate::sys::ring::Word;
use crate::sys::signal::{self, Signals};
use crate::sys::{crash, pipe};
use crate::{limits, log};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

struct Keeper<'a> {
    options: Options,
    heirlooms: &'a Heirlooms,
    caged: bool,
    /// Shared by all three: each reads its own from it.
    signals: Signals,
    worker: Option<i32>,
    stand_in: Option<i32>,
    /// When the next stand-in may be made.
    stand_in_at: Instant,
    born: Instant,
    quick_deaths: u32,
    start_at: Option<Instant>,
    alarms: Alarms,
    lives: Lives,
    /// The future that the worker of a keeper before was promised: held, so that it waits for ours.
    promise: End,
    alarm_pipe: (OwnedFd, OwnedFd),
    /// Worker and stand-in write into it when they are sent SIGHUP.
    knocks: (OwnedFd, OwnedFd),
    renewal: Renewal,
    /// Who writes into standard input, where we start it.
    feeder: Feeder,
    /// The worker was told to make room for one with other options.
    renewing: bool,
    /// The worker, or for a stand-in the keeper, that was stopped.
    stopped: Stopped,
    /// Where pages of its were before: a worker cannot remove its socket from within its cage.
    old_page: Option<Address>,
    handlers: Handlers,
}

/// Runs workers until one has ended as it wanted; gives its exit code.
pub fn run(options: Options, heirlooms: &Heirlooms, call: Call) -> Result<Exit> {
    process::lead();
    let wanted = [signal::SIGTERM, signal::SIGINT, signal::SIGHUP, signal::SIGCHLD];
    let made = succession::insist("begin", false, || {
        Ok((Signals::take(&wanted)?, Lives::make()?, pipe::pair()?, pipe::pair()?))
    });
    let (signals, lives, alarm_pipe, knocks) = made.map_err(|e| Error::failed(format!("cannot begin: {e}")))?;
    let mut keeper = Keeper {
        heirlooms,
        caged: cage::wanted(&options),
        signals,
        worker: None,
        stand_in: None,
        stand_in_at: Instant::now(),
        born: Instant::now(),
        quick_deaths: 0,
        start_at: Some(Instant::now()),
        alarms: Alarms::new(options.on_alarm.clone(), options.alarm_repeat).noting(&heirlooms.ring),
        options,
        lives,
        promise: None,
        alarm_pipe,
        knocks,
        renewal: Renewal::of(call),
        feeder: Feeder::default(),
        renewing: false,
        stopped: Stopped::default(),
        old_page: None,
        handlers: Handlers::default(),
    };
    handlers::prepare(&keeper.options);
    Ok(keeper.watch())
}

impl Keeper<'_> {
    fn watch(&mut self) -> Exit {
        loop {
            // First: its memory is the keeper's, and what the keeper touches later it does not share.
            if self.stand_in.is_none() && self.stand_in_at <= Instant::now() {
                self.make_stand_in();
            }
            if self.worker.is_none() && self.start_at.is_some_and(|t| t <= Instant::now()) {
                self.start();
            }
            self.listen();
            while let Some(s) = self.signals.next() {
                match (s, self.worker) {
                    (signal::SIGHUP, _) => self.renewal.ask(),
                    (signal::SIGCHLD, _) | (_, None) => {}
                    // The worker reads on to the end of input; the keeper holds the pipe as long.
                    (s, Some(pid)) => signal::send(pid, s),
                }
            }
            self.renew();
            self.feed();
            self.stopped.look("worker", self.worker);
            self.alarms.tick();
            self.handlers.tick();
            if let Some(exit) = self.bury() {
                return exit;
            }
        }
    }

    /// Looks who has died. A worker that nobody is to follow ends the program.
    fn bury(&mut self) -> Option<Exit> {
        while let Some((pid, ended)) = process::reap() {
            if self.handlers.reaped(pid, ended) {
                continue;
            }
            if Some(pid) == self.worker {
                self.handlers.orphaned();
                self.old_page.take().iter().for_each(porch::sweep);
                if let Some(exit) = self.worker_ended(ended) {
                    self.feeder.end();
                    self.options.metrics_addr.iter().for_each(porch::sweep);
                    self.dismiss_stand_in();
                    self.handlers.last(|pid, ended| self.alarms.reaped(pid, ended));
                    self.alarms.last_words(&self.alarm_pipe.0);
                    return Some(exit);
                }
            } else if Some(pid) == self.stand_in {
                log::warn("keeper", "the stand-in is gone; there will be another");
                self.stand_in = None;
            } else if !self.feeder.reaped(pid, ended) {
                self.alarms.reaped(pid, ended);
            }
        }
        None
    }

    /// Sleeps until something happens, and takes what is said to it.
    fn listen(&mut self) {
        let patience = self.patience();
        // It sleeps for weeks.
        process::let_go_of_program();
        let knocks = self.knocks.0.as_fd();
        let answer = self.renewal.as_fd().unwrap_or(knocks);
        let wanted = starter::keepers_side().unwrap_or(knocks);
        let ready = pipe::wait([self.signals.as_fd(), self.alarm_pipe.0.as_fd(), knocks, answer, wanted], patience);
        let Ok([_, alarm, knocked, _, wanted]) = ready else { return };
        if wanted.readable {
            self.handlers.take(&self.options);
        }
        if alarm.readable {
            self.alarms.take(&self.alarm_pipe.0);
        }
        if knocked.readable {
            reload::answer_knocks(&self.knocks.0);
            self.renewal.ask();
        }
    }

    fn patience(&self) -> Option<Duration> {
        let restart = self.start_at.map(|t| t.saturating_duration_since(Instant::now()));
        let stand_in = self.stand_in.is_none().then(|| self.stand_in_at.saturating_duration_since(Instant::now()));
        let children = [self.handlers.patience(), self.feeder.patience(&self.options)];
        [restart, stand_in, self.alarms.patience(), self.renewal.patience(), self.stopped.patience()]
            .into_iter()
            .chain(children)
            .flatten()
            .min()
    }

    fn make_stand_in(&mut self) {
        self.stand_in_at = Instant::now() + Duration::from_millis(limits::STAND_IN_MILLIS);
        match process::fork_single_threaded() {
            Ok(Forked::Parent(pid)) => self.stand_in = Some(pid),
            Ok(Forked::Child) => self.stand_in(),
            Err(e) => log::warn("keeper", format!("cannot make a stand-in: {e}; trying again")),
        }
    }

    /// The life of the stand-in: it waits until the keeper is gone, and is the keeper then. The worker at work is left to
    /// itself until another one can take its place.
    fn stand_in(&mut self) -> ! {
        process::set_name(c"gostech-audit-s");
        // What it held, nobody would see hang up.
        (self.lives.keeper.1, self.lives.future.0, self.promise) = (None, None, None);
        process::let_go_of_program();
        while !self.is_orphan() {}
        self.lives.keeper.0 = None;
        // The worker may have ended as it wanted just before the keeper died.
        let finished = self.heirlooms.ring.word(Word::Finished).load(Ordering::Acquire);
        if finished > 0 {
            self.options.metrics_addr.iter().for_each(porch::sweep);
            process::exit_now(finished as i32 - 1)
        }
        process::set_name(c"gostech-audit-l");
        let text = "the keeper is gone; its stand-in takes its place";
        log::error("keeper", text);
        process::lead();
        crash::point("succession.after");
        if let Ok(lives) = succession::insist("take the keeper's place", true, succession::prepared) {
            self.promise = std::mem::replace(&mut self.lives, lives).future.1;
        }
        (self.worker, self.stand_in, self.quick_deaths) = (None, None, 0);
        self.feeder = Feeder::default();
        (self.start_at, self.stand_in_at) = (Some(Instant::now()), Instant::now());
        self.alarms =
            Alarms::new(self.options.on_alarm.clone(), self.options.alarm_repeat).noting(&self.heirlooms.ring);
        self.alarms.fires(AlarmKind::KeeperDied, "keeper", text, wall_ms());
        self.renewal.forget();
        // Those of the keeper before have ended with it.
        self.handlers = Handlers::default();
        self.renewing = false;
        process::exit_now(self.watch() as i32)
    }

    /// Sleeps until something happens; whether the keeper is gone.
    fn is_orphan(&mut self) -> bool {
        let Some(keeper) = &self.lives.keeper.0 else { return true };
        let ready =
            pipe::wait([keeper.as_fd(), self.signals.as_fd()], Some(Duration::from_secs(limits::STOPPED_SECONDS)));
        // A keeper that was stopped does no harm as long as there is a worker.
        let worker_gone = self.heirlooms.ring.claimed_by().is_none();
        self.stopped.look("keeper", worker_gone.then(|| process::leader().0));
        // They are the keeper's to answer.
        while let Some(s) = self.signals.next() {
            if s == signal::SIGHUP {
                reload::knock(self.knocks.1.as_fd());
            }
        }
        match ready {
            Ok([keeper, _]) => keeper.hung_up,
            Err(_) => {
                std::thread::sleep(Duration::from_millis(limits::SUCCESSION_RETRY_MILLIS.0));
                false
            }
        }
    }

    /// The end is near: nothing is to be taken over.
    fn dismiss_stand_in(&mut self) {
        if let Some(pid) = self.stand_in.take() {
            signal::send(pid, signal::SIGKILL);
            process::wait_for(pid);
        }
    }

    /// What a child must not hold: nobody would see it hang up.
    fn ends(&self) -> Vec<i32> {
        let ends = [&self.lives.keeper.1, &self.lives.future.1, &self.promise];
        ends.into_iter().flatten().map(AsRawFd::as_raw_fd).collect()
    }

    fn feed(&mut self) {
        let ends = self.ends();
        self.feeder.tick(&self.options, self.heirlooms, || ends.into_iter().for_each(process::close));
    }

    /// The configuration, when somebody has asked for it to be read again.
    fn renew(&mut self) {
        let ends = self.ends();
        let forget = || {
            process::set_name(c"gostech-audit-r");
            ends.into_iter().for_each(process::close);
        };
        match self.renewal.tick(forget) {
            None => return,
            Some(Ok(new)) => {
                if self.take_over(new) {
                    return;
                }
            }
            Some(Err(e)) => {
                let text = format!("the configuration is refused, the old one stays in force: {}", e.text());
                log::calm("configuration");
                log::error("configuration", &text);
                self.alarms.fires(AlarmKind::ConfigurationRefused, "configuration", &text, wall_ms());
            }
        }
        // Certificates and secrets are read again in any case.
        self.worker.into_iter().for_each(|pid| signal::send(pid, signal::SIGHUP));
    }

    /// Takes new options; whether the worker makes room for one that has them.
    fn take_over(&mut self, mut new: Options) -> bool {
        let news = reload::compare(&self.options, &mut new);
        let well = "the configuration can be read again";
        self.alarms.over(AlarmKind::ConfigurationRefused, "configuration", well, wall_ms());
        news.refused.iter().for_each(|text| log::warn("configuration", text));
        if news.applied.is_empty() {
            log::info("configuration", "read again: nothing else is to be put in force");
            return false;
        }
        log::calm("configuration");
        let texts: Vec<&str> = news.applied.iter().map(|c| c.text.as_str()).collect();
        log::info("configuration", format!("read again, in force now: {}", texts.join("; ")));
        for name in news.gone {
            let text = "is not configured any more: what it has not taken stays in the spool until `spool forget`";
            log::warn(&format!("receiver {name}"), text);
        }
        new.warnings.iter().for_each(|text| log::warn("options", text));
        log::set_level(new.log_level);
        self.alarms.tell(new.on_alarm.clone(), new.alarm_repeat);
        if self.options.metrics_addr != new.metrics_addr {
            // The worker that there is has the oldest.
            self.old_page = self.old_page.take().or_else(|| self.options.metrics_addr.take());
        }
        self.options = new;
        handlers::prepare(&self.options);
        // The one that there is has the old options.
        self.dismiss_stand_in();
        self.make_stand_in();
        let Some(worker) = self.worker else { return true };
        self.renewing = true;
        self.heirlooms.ring.word(Word::Renew).store(1, Ordering::Release);
        signal::send(worker, signal::SIGHUP);
        true
    }

    fn start(&mut self) {
        self.start_at = None;
        self.renewing = false;
        self.heirlooms.ring.word(Word::Renew).store(0, Ordering::Release);
        self.heirlooms.ring.word(Word::Ready).store(0, Ordering::Release);
        match process::fork_single_threaded() {
            Ok(Forked::Parent(pid)) => {
                self.worker = Some(pid);
                self.born = Instant::now();
                crash::point("keeper.forked");
            }
            Ok(Forked::Child) => self.work(),
            Err(e) => {
                log::error("keeper", format!("cannot start a worker: {e}; trying again"));
                self.start_at = Some(Instant::now() + Duration::from_secs(1));
            }
        }
    }

    /// The life of a worker, as a child of this keeper.
    fn work(&mut self) -> ! {
        // These ends are not the worker's to hold.
        (self.lives.keeper.1, self.lives.future.1, self.promise) = (None, None, None);
        process::close(self.alarm_pipe.0.as_raw_fd());
        process::close(self.knocks.0.as_raw_fd());
        let ring = &self.heirlooms.ring;
        succession::take_turn(ring);
        let finished = ring.word(Word::Finished).load(Ordering::Acquire);
        if finished > 0 {
            // The one before has done everything, and the keeper it had was gone.
            process::exit_now(finished as i32 - 1)
        }
        let (Some(keeper), Some(future)) = (&self.lives.keeper.0, &self.lives.future.0) else {
            process::exit_now(succession::AGAIN)
        };
        let given = Given {
            options: &self.options,
            heirlooms: self.heirlooms,
            caged: self.caged,
            signals: &self.signals,
            keeper: keeper.as_fd(),
            future: future.as_fd(),
            alarms: self.alarm_pipe.1.as_fd(),
            standing: self.alarms.standing(),
            knocks: self.knocks.1.as_fd(),
        };
        let Some(exit) = worker::run(given) else { process::exit_now(succession::AGAIN) };
        ring.word(Word::Finished).store(1 + exit as u64, Ordering::Release);
        process::exit_now(exit as i32)
    }

    /// What to do when the worker is gone: its exit code if it wanted to go.
    fn worker_ended(&mut self, ended: Ended) -> Option<Exit> {
        self.worker = None;
        let ring = &self.heirlooms.ring;
        let finished = ring.word(Word::Finished).load(Ordering::Acquire);
        if finished > 0 && ended == Ended::Code(finished as i32 - 1) {
            return Some(if finished == 1 { Exit::Clean } else { Exit::Failed });
        }
        let short = self.born.elapsed() < Duration::from_millis(limits::WORKER_SHORT_LIFE_MILLIS);
        if ended == Ended::Code(succession::AGAIN) && (!short || self.renewing) {
            // It did not die: it wants another cage, or was asked to make room.
            self.start_at = Some(Instant::now());
            return None;
        }
        ring.word(Word::Restarts).fetch_add(1, Ordering::Relaxed);
        crash::point("keeper.reaped");
        self.note_fault(ended);
        let ready = self.heirlooms.ring.word(Word::Ready).load(Ordering::Acquire) == 1;
        self.quick_deaths = if short { self.quick_deaths + 1 } else { 0 };
        let how = match ended {
            Ended::Code(c) => format!("ended with code {c}"),
            Ended::Signal(s) => format!("was ended by signal {s}{}", cause(s)),
        };
        let (first, most) = limits::WORKER_RESTART_MILLIS;
        // One that had come to work is started again at once, unless it keeps dying; one that had not waits longer.
        let patient =
            if ready { self.quick_deaths.saturating_sub(limits::WORKER_QUICK_DEATHS * 3) } else { self.quick_deaths };
        let wait = Duration::from_millis((first << patient.min(20)).min(most));
        let text = format!("the worker {how}; a new one goes on where it was");
        log::error("worker", &text);
        self.alarms.fires(AlarmKind::WorkerDied, "worker", &text, wall_ms());
        self.start_at = Some(Instant::now() + wait);
        None
    }

    /// A worker that dies of its own fault at one place of the input again and again dies of what stands there.
    fn note_fault(&self, ended: Ended) {
        let own = [signal::SIGABRT, signal::SIGSEGV, signal::SIGBUS, signal::SIGILL, signal::SIGSYS];
        let ring = &self.heirlooms.ring;
        if !matches!(ended, Ended::Signal(s) if own.contains(&s)) {
            return;
        }
        marks::count_deaths(ring);
        let (at, count) = (ring.word(Word::FaultAt), ring.word(Word::Faults));
        // One that had nothing of the input in its hands has died of something else.
        let working = ring.word(Word::Working).load(Ordering::Acquire) == 1;
        if !working {
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

/// What a signal that ends a worker means, for those who do not know the numbers by heart.
fn cause(signal: i32) -> &'static str {
    match signal {
        signal::SIGABRT => " (SIGABRT: it panicked, or had no memory)",
        signal::SIGSEGV | signal::SIGBUS | signal::SIGILL => " (a fault of the program or the machine)",
        signal::SIGSYS => " (SIGSYS: a forbidden system call)",
        signal::SIGKILL => " (SIGKILL: by hand, or by the system for want of memory)",
        _ => "",
    }
}
