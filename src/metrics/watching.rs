//! `--watch`: the status page in the terminal, drawn anew each second; the database is asked by this very run, so of a service
//! that runs beside it nothing is known.
//!
//! Refuses: to serve, to push, to ask more often than `--min-interval` allows.

use super::asker::Asker;
use super::cluster::Cluster;
use super::numbers::Numbers;
use super::options::Options;
use super::overview::About;
use super::pages;
use super::poll::{self, Inbox};
use super::readings::Readings;
use crate::error::{Error, Exit, Result};
use crate::page::{term, Lang};
use crate::watch;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Until a signal ends it.
pub fn run(options: Options, started: SystemTime) -> Result<Exit> {
    let signals = watch::prepare()?;
    let readings = Arc::<Readings>::default();
    let cluster = Cluster::new(readings.clone(), options.maker());
    let numbers = Numbers::new(&options, started, Arc::default(), Arc::default());
    let (place, user) = (options.database.dial.place.to_string(), options.wishes.user.clone());
    let (floor, curves) = (options.floor, pages::curves());
    let asker = Asker::new(options.database, options.login, options.wishes);
    poll::start(readings, Arc::<Inbox>::default(), asker, None)
        .map_err(|e| Error::failed(format!("cannot start the poll thread: {e}")))?;
    watch::run(&signals, |columns, colour| {
        let seen = pages::soon(&cluster, floor);
        pages::note(&curves, cluster.read(Duration::MAX, Duration::ZERO));
        let history = &pages::seen(&curves);
        let of = About { place: &place, user: &user, discover: cluster.discovers(), history, service: false };
        Ok(term::draw(&numbers.sheet(&seen, Lang::En, of), columns, colour))
    })
}
