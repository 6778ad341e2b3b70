//! All there is to show at one moment, written by whichever render: for the pages, for `--once`, for whoever pushes.
//!
//! Puts together what the database said, what this program says of itself, the filters, and the time of the reading. Refuses:
//! to ask the database (that is the matter of `readings`).

use super::assemble::Assembled;
use super::options::Options;
use super::own::{self, Program};
use super::readings::View;
use super::render::Render;
use super::rules::Rules;
use crate::guard::{self, Parts};
use crate::log;
use crate::net::expiry::Expiry;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

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
}

impl Numbers {
    /// Of a program with these options.
    pub fn new(options: &Options, started: SystemTime) -> Numbers {
        let certificates = Arc::new(Expiry::new(options.certificates()));
        Numbers { rules: options.wishes.rules.clone(), started, memory: resident, protection, certificates }
    }

    /// The page of a view; with prefixes, only families that begin with one of them.
    pub fn page(&self, view: &View, render: &Render, prefixes: &[String]) -> Vec<u8> {
        let age = view.reading.as_ref().map_or(Duration::ZERO, |r| r.at.elapsed());
        let (protection, refused) = (self.protection)();
        let certificates = &self.certificates.ends()[..];
        let program = Program { started: self.started, memory: (self.memory)(), protection, refused, certificates };
        let own = own::families(view, age, program, &self.rules);
        let theirs = view.reading.as_ref().and_then(|r| r.result.as_ref().ok());
        let at_ms = view.reading.as_ref().map_or(0, |r| r.wall_ms);
        let page = Assembled::of(std::iter::once(&own).chain(theirs.map(|(page, _)| &page.snapshot)), prefixes, at_ms);
        // Names, values and punctuation are about as much again as the labels.
        let mut body = Vec::with_capacity(2 * page.bytes() + 64);
        (render.write)(&page, &mut body);
        body.shrink_to_fit();
        body
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
