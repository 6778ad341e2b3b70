//! Serving: the poll thread, the porch, systemd's word, and the end by a signal.

use super::asker::Asker;
use super::cluster::Cluster;
use super::numbers::Numbers;
use super::options::Options;
use super::pages::{self, Curves, Pages, Zip};
use super::poll::{self, Inbox, Orders};
use super::push::counts::Register;
use super::push::work::Outlets;
use super::queries::{self, run::Desk};
use super::readings::Readings;
use super::reload::{Again, Changed};
use crate::error::{Error, Exit, Result};
use crate::guard::calls::Extra;
use crate::guard::files::Wish;
use crate::guard::{self, Needs};
use crate::limits;
use crate::log;
use crate::net::address::Address;
use crate::net::porch::{self, Listener, Porch, PorchOptions, Prepared};
use crate::sys::activation;
use crate::sys::clock::wall_ms;
use crate::sys::notify::Notify;
use crate::sys::pipe;
use crate::sys::signal::{Signals, SIGHUP, SIGINT, SIGTERM};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// The pages of these options.
fn pages(
    options: &Options,
    readings: Arc<Readings>,
    cluster: Arc<Cluster>,
    started: SystemTime,
    outlets: Arc<Register>,
    queries: Arc<Desk>,
    curves: Curves,
) -> Pages {
    Pages {
        readings,
        cluster,
        floor: options.floor,
        offset: options.offset,
        numbers: Arc::new(Numbers::new(options, started, outlets, queries)),
        place: options.database.dial.place.to_string(),
        user: options.wishes.user.clone(),
        curves,
        zip: Zip::default(),
    }
}

/// The parts of a running program that a reload reaches.
struct Service {
    again: Again,
    readings: Arc<Readings>,
    cluster: Arc<Cluster>,
    inbox: Arc<Inbox>,
    pages: Arc<Mutex<Arc<Pages>>>,
    outlets: Arc<Outlets>,
    register: Arc<Register>,
    queries: Arc<Desk>,
    porch: Porch,
    /// Where the pages have been since the start; none: the listeners were given.
    open: Option<Vec<Address>>,
    started: SystemTime,
}

/// Tells of certificates that end or have ended, each once a day.
fn look_at_certificates(pages: &Mutex<Arc<Pages>>) {
    let expiry = pages.lock().unwrap_or_else(PoisonError::into_inner).numbers.certificates.clone();
    let now = wall_ms() / 1000;
    for seen in expiry.look(now).into_iter().filter(|s| s.news) {
        log::calm(&seen.about);
        let text = seen.wrong.unwrap_or_default();
        match seen.invalid {
            true => log::error(&seen.about, text),
            false => log::warn(&seen.about, text),
        }
    }
}

/// Serves until a signal ends it.
pub fn run(options: Options, again: Again, started: SystemTime) -> Result<Exit> {
    let failed = |what: &str, e: std::io::Error| Error::failed(format!("{what}: {e}"));
    let notify = Notify::from_environment();
    // Before any thread: all of them inherit the mask.
    let signals = Signals::take(&[SIGTERM, SIGINT, SIGHUP]).map_err(|e| failed("cannot take signals", e))?;
    // systemd's sockets stand in place of --addr.
    let listeners = given();
    let open = listeners.is_empty().then(|| options.addresses.clone());
    let prepared = Prepared::open(open.as_deref().unwrap_or_default());
    confine(&options, open.as_deref().unwrap_or_default(), &prepared);
    let readings = Arc::new(Readings::default());
    let register = Arc::new(Register::default());
    let cluster = Arc::new(Cluster::new(readings.clone(), options.maker()));
    let queries = Arc::<Desk>::default();
    let first =
        pages(&options, readings.clone(), cluster.clone(), started, register.clone(), queries.clone(), pages::curves());
    let first = Arc::new(first);
    let orders = queries::run::Orders::of(&options, false);
    let outlets = Arc::new(Outlets::new(register.clone()));
    outlets.change(options.push, first.numbers.clone(), options.floor);
    let pages = Arc::new(Mutex::new(first));
    look_at_certificates(&pages);
    let interval = options.interval;
    let asker = Asker::new(options.database, options.login, options.wishes);
    let inbox = Arc::new(Inbox::default());
    poll::start(readings.clone(), inbox.clone(), asker, interval)
        .map_err(|e| failed("cannot start the poll thread", e))?;
    queries.change(orders);
    outlets.start(cluster.clone()).map_err(|e| failed("cannot start the clock of the pushes", e))?;
    let addresses = open.clone().unwrap_or_default();
    let (tls, users) = (options.web_tls, options.web_users);
    let wanted = PorchOptions { addresses, listeners, tls, users, prepared };
    let now = pages.clone();
    let current = move || now.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let porch = porch::start(wanted, Arc::new(move |request| current().answer(request)));
    notify.say("READY=1\nSTATUS=serving /metrics");
    let mut service =
        Service { again, readings, cluster, inbox, pages, outlets, register, queries, porch, open, started };
    service.until_a_signal_ends_it(&signals, &notify);
    notify.say("STOPPING=1");
    log::info("end", "ended by a signal");
    drop(service);
    Ok(Exit::Clean)
}

impl Service {
    fn current(&self) -> Arc<Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks after everything, and reloads, until a signal ends it.
    fn until_a_signal_ends_it(&mut self, signals: &Signals, notify: &Notify) {
        let look = Duration::from_secs(limits::CERTIFICATE_LOOK_SECONDS);
        let tick = notify.watchdog().map_or(look, |w| look.min(w / 2));
        loop {
            let woken = pipe::wait([signals.as_fd()], Some(tick));
            look_at_certificates(&self.pages);
            self.current().note();
            let hung = self.readings.running().is_some_and(|r| r > Duration::from_secs(limits::METRICS_HUNG_SECONDS));
            if !hung {
                notify.say("WATCHDOG=1");
            }
            if woken.is_err() {
                continue;
            }
            match signals.next() {
                Some(SIGHUP) => self.reload(),
                Some(_) => break,
                None => {}
            }
        }
    }

    /// Reads the whole configuration again; what was refused of the database is asked again.
    fn reload(&mut self) {
        let changed = self.again.read(self.open.as_deref());
        self.readings.configured(changed.is_some());
        if let Some(Changed { options, reconnect, push }) = changed {
            self.cluster.change(options.maker(), reconnect);
            let new = Arc::new(pages(
                &options,
                self.readings.clone(),
                self.cluster.clone(),
                self.started,
                self.register.clone(),
                self.queries.clone(),
                self.current().curves.clone(),
            ));
            self.queries.change(queries::run::Orders::of(&options, reconnect));
            match push {
                true => self.outlets.change(options.push, new.numbers.clone(), options.floor),
                false => self.outlets.keep(new.numbers.clone(), options.floor),
            }
            *self.pages.lock().unwrap_or_else(PoisonError::into_inner) = new;
            let addresses = if self.open.is_some() { options.addresses } else { Vec::new() };
            // A socket that is closed now could not be made again.
            self.open.iter_mut().for_each(|open| open.retain(|a| addresses.contains(a)));
            let (tls, users) = (options.web_tls, options.web_users);
            self.porch.change(PorchOptions { addresses, tls, users, ..PorchOptions::default() });
            let asker = Asker::new(options.database, options.login, options.wishes);
            self.inbox.put(Orders { asker, reconnect, interval: options.interval });
        }
        self.inbox.forgive();
        self.readings.stir();
    }
}

/// It writes to no file but the record of its logins and the pages of `file:///`, and starts nothing, so it gives both up. Reading stays free: certificates
/// and passwords are read again wherever they have moved, and nobody would start this program again.
fn confine(options: &Options, addresses: &[Address], prepared: &Prepared) {
    if options.unconfined {
        return log::info("confinement", guard::SWITCHED_OFF);
    }
    if !guard::tolerated() {
        return;
    }
    let mut files = vec![Wish::Device("/dev/null".into())];
    // The record of logins, which all runs share.
    files.extend(options.login.ledger.directory().map(|dir| Wish::Work(dir.into())));
    let mut calls = Extra::default();
    for path in options.push.routes.iter().filter_map(|(_, route)| route.to.target.path()) {
        files.push(Wish::Rotate(path.into()));
        calls.pages = true;
    }
    for address in addresses {
        match address {
            // Nobody outlives this process who could remove it.
            Address::Unix { path, .. } if prepared.has(address) => files.push(Wish::Unbind(path.clone())),
            // To be made as soon as it can be: nobody would start this program again.
            Address::Unix { path, .. } => {
                files.push(Wish::Bind(path.clone()));
                calls.modes = true;
            }
            Address::Tcp { .. } => {}
        }
    }
    guard::confine(Needs { files, reads_anywhere: true, calls }, log::Level::Info);
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
