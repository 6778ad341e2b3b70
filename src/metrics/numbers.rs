//! All there is to show at one moment, written by whichever render: for the pages, for `--once`, for whoever pushes.
//!
//! Puts together what the database said, what this program says of itself, the filters, and the time of the reading. Refuses:
//! to ask the database (that is the matter of `readings`).

use super::assemble::Assembled;
use super::options::Options;
use super::overview;
use super::own::{self, Program};
use super::push::counts::Register;
use super::queries::run::Desk;
use super::queries::Told;
use super::readings::{Reading, Seen};
use super::render::Render;
use super::rules::Rules;
use super::snapshot::Snapshot;
use crate::guard::{self, Parts};
use crate::log;
use crate::net::expiry::Expiry;
use crate::page::{Lang, Sheet};
use crate::sys::clock::wall_ms;
use std::sync::Arc;
use std::time::SystemTime;

/// What does not change from reading to reading.
pub struct Numbers {
    /// Labels of every sample.
    pub rules: Rules,
    /// When the program was started.
    pub started: SystemTime,
    /// Resident memory, in bytes.
    pub memory: fn() -> Option<u64>,
    /// What protects this process, and how many forbidden calls it tried.
    pub protection: fn() -> (Parts, u64),
    /// When certificates end.
    pub certificates: Arc<Expiry>,
    /// What is told of the outlets.
    pub outlets: Arc<Register>,
    /// What the own queries brought.
    pub queries: Arc<Desk>,
}

impl Numbers {
    /// Of a program with these options.
    pub fn new(options: &Options, started: SystemTime, outlets: Arc<Register>, queries: Arc<Desk>) -> Numbers {
        let certificates = Arc::new(Expiry::new(options.certificates()));
        let rules = options.wishes.rules.clone();
        Numbers { rules, started, memory: resident, protection, certificates, outlets, queries }
    }

    /// The status page of what is seen.
    pub fn sheet(&self, seen: &[Seen], lang: Lang, of: overview::About<'_>) -> Sheet {
        let facts = overview::Facts {
            now_ms: wall_ms(),
            of,
            seen,
            outlets: &self.outlets.all(),
            queries: &self.queries.told(),
            started: self.started,
            memory: (self.memory)(),
            protection: (self.protection)().0,
        };
        overview::sheet(&facts, lang)
    }

    /// All there is to show of what is seen.
    pub fn shot(&self, all: &[Seen]) -> Shot {
        let (protection, refused) = (self.protection)();
        let certificates = &self.certificates.ends()[..];
        let outlets = &self.outlets.all()[..];
        let (started, memory) = (self.started, (self.memory)());
        let readings: Vec<_> = all.iter().filter_map(|seen| seen.view.reading.clone()).collect();
        let mut queries = self.queries.told();
        hide(&mut queries, &readings);
        let program = Program { started, memory, protection, refused, certificates, outlets, queries: &queries };
        let own = own::families(all, program, &self.rules);
        let at_ms = readings.iter().map(|r| r.wall_ms).max().unwrap_or_else(wall_ms);
        Shot { own, queries, readings, at_ms }
    }

    /// The page of a view; with prefixes, only families that begin with one of them.
    pub fn page(&self, all: &[Seen], render: &Render, prefixes: &[String]) -> Vec<u8> {
        let shot = self.shot(all);
        let page = shot.page(prefixes);
        // Names, values and punctuation are about as much again as the labels.
        let mut body = Vec::with_capacity(2 * page.bytes() + 64);
        (render.write)(&page, &mut body);
        body.shrink_to_fit();
        body
    }
}

/// All there is to show at one moment.
pub struct Shot {
    own: Snapshot,
    queries: Vec<Told>,
    readings: Vec<Arc<Reading>>,
    at_ms: i64,
}

impl Shot {
    /// As one page; with prefixes, only families that begin with one of them.
    pub fn page(&self, prefixes: &[String]) -> Assembled<'_> {
        let theirs = self.readings.iter().filter_map(|r| r.result.as_ref().ok());
        let queries = self.queries.iter().filter_map(|told| told.brought.as_deref());
        let all = std::iter::once(&self.own).chain(queries).chain(theirs.map(|(page, _)| &page.snapshot));
        Assembled::of(all, prefixes, self.at_ms)
    }

    /// Bytes it takes, about.
    pub fn bytes(&self) -> usize {
        self.page(&[]).bytes()
    }
}

/// Nothing old beside a database that is gone, and no family that the database has itself.
fn hide(queries: &mut [Told], readings: &[Arc<Reading>]) {
    let pages: Vec<_> = readings.iter().filter_map(|r| r.result.as_ref().ok()).collect();
    for told in queries.iter_mut().filter(|told| told.brought.is_some()) {
        let taken = pages.iter().any(|(page, _)| page.snapshot.family(&told.name).is_some());
        if taken {
            let text = format!("the database has a family `{}` itself: give the query another name", told.name);
            log::warn(&format!("query {}", told.name), text);
        }
        if taken || pages.is_empty() {
            told.brought = None;
        }
    }
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

/// Resident memory, by the kernel's word.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
