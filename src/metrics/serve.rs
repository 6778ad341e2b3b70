//! Serving: the poll thread, the porch, systemd's word, and the end by a signal.

use super::asker::Asker;
use super::board::Board;
use super::options::Options;
use super::pages::{Pages, Zip};
use super::poll;
use crate::error::{Error, Exit, Result};
use crate::guard::calls::Extra;
use crate::guard::files::Wish;
use crate::guard::{self, Needs, Parts};
use crate::limits;
use crate::log;
use crate::net::address::Address;
use crate::net::porch::{self, Listener, PorchOptions};
use crate::sys::activation;
use crate::sys::notify::Notify;
use crate::sys::pipe;
use crate::sys::signal::{Signals, SIGHUP, SIGINT, SIGTERM};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The pages of these options.
pub fn pages(options: &Options, board: Arc<Board>, started: SystemTime) -> Pages {
    Pages {
        board,
        floor: options.floor,
        offset: options.offset,
        rules: options.wishes.rules.clone(),
        place: options.database.place.to_string(),
        user: options.wishes.user.clone(),
        started,
        memory: resident,
        protection,
        zip: Zip::default(),
    }
}

/// Serves until a signal ends it.
pub fn run(options: Options, started: SystemTime) -> Result<Exit> {
    let failed = |what: &str, e: std::io::Error| Error::failed(format!("{what}: {e}"));
    let notify = Notify::from_environment();
    // Before any thread: all of them inherit the mask.
    let signals = Signals::take(&[SIGTERM, SIGINT, SIGHUP]).map_err(|e| failed("cannot take signals", e))?;
    confine(&options);
    let board = Arc::new(Board::default());
    let pages = pages(&options, board.clone(), started);
    let listeners = given();
    // systemd's sockets stand in place of --addr.
    let addresses = if listeners.is_empty() { options.addresses } else { Vec::new() };
    let interval = options.interval;
    let asker = Asker::new(options.database, options.login, options.wishes);
    let desk = Arc::new(poll::Desk::default());
    poll::start(board.clone(), desk.clone(), asker, interval).map_err(|e| failed("cannot start the poll thread", e))?;
    let (tls, users) = (options.web_tls, options.web_users);
    let street = PorchOptions { addresses, listeners, tls, users };
    let porch = porch::start(street, Arc::new(move |request| pages.answer(request)));
    notify.say("READY=1\nSTATUS=serving /metrics");
    let tick = notify.watchdog().map(|w| w / 2);
    loop {
        let woken = pipe::wait([signals.as_fd()], tick);
        let hung = board.running().is_some_and(|r| r > Duration::from_secs(limits::METRICS_HUNG_SECONDS));
        if !hung {
            notify.say("WATCHDOG=1");
        }
        if woken.is_err() {
            continue;
        }
        match signals.next() {
            Some(SIGHUP) => {
                porch.reload();
                desk.forgive();
            }
            Some(_) => break,
            None => {}
        }
    }
    notify.say("STOPPING=1");
    log::info("end", "ended by a signal");
    drop(porch);
    Ok(Exit::Clean)
}

/// It writes to no file but the record of its logins and starts nothing, so it gives both up. Reading stays free: certificates and passwords are read
/// again wherever they have moved, and nobody would start this program again.
fn confine(options: &Options) {
    if options.unconfined {
        return log::info("confinement", guard::SWITCHED_OFF);
    }
    if !guard::tolerated() {
        return;
    }
    let mut files = vec![Wish::Device("/dev/null".into())];
    files.extend(porch::places_for_good().into_iter().map(Wish::Nest));
    // The record of logins, which all runs share.
    files.extend(options.login.ledger.directory().map(|dir| Wish::Work(dir.into())));
    let mut calls = Extra::default();
    for address in &options.addresses {
        if let Address::Unix { path, .. } = address {
            files.push(Wish::Bind(path.clone()));
            calls.modes = true;
        }
    }
    guard::confine(Needs { files, reads_anywhere: true, calls }, log::Level::Info);
}

/// What protects this process; a forbidden call is told as long as anyone asks.
fn protection() -> (Parts, u64) {
    let (refused, last) = guard::refused_calls();
    if refused > 0 {
        let text = format!("this program tried {refused} forbidden system calls (the last: number {last}); refused");
        log::error("confinement", text);
    }
    (guard::in_force(), refused)
}

/// Sockets that systemd opened. Whether one is TCP shows in its address.
fn given() -> Vec<Listener> {
    let listener = |fd: OwnedFd| {
        let tcp = TcpListener::from(fd);
        match tcp.local_addr() {
            Ok(_) => Listener::Tcp(tcp),
            Err(_) => Listener::Unix(UnixListener::from(OwnedFd::from(tcp))),
        }
    };
    activation::take().into_iter().map(listener).collect()
}

/// Resident memory, by the kernel's word.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
