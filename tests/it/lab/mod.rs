//! The fault laboratory, black box: the real programs with faults that are done to them on purpose. One file a kind of fault.
//!
//! Each test ends by saying what it injected and what became of the records; `tests/run` gathers these lines into one
//! table. Refuses: a row without a check behind it (the row is printed after the assertions).

mod bounds;
mod calls;
mod confinement;
mod crash;
mod disk;
mod dns;
mod input;
mod late;
mod net_audit;
mod net_metrics;
mod net_receivers;
pub mod real;
mod repair;
mod siege;
mod signals;
mod succession;

use std::time::Instant;

/// Says what a test does not do here and why; `tests/run` counts it.
pub fn left_out(what: &str) {
    eprintln!("left out: {what}");
}

/// What one class of faults came to.
pub struct Row {
    pub class: &'static str,
    /// How many faults were done.
    pub injected: u64,
    /// How many of them the program outlived without a loss it had not told.
    pub survived: u64,
    pub records: u64,
    /// Records gone without being counted and told: 0, or the test fails.
    pub lost: u64,
    /// Records that arrived more than once, under the same document id.
    pub repeated: u64,
    pub begin: Instant,
}

impl Row {
    /// The line that `tests/run` looks for.
    #[allow(clippy::print_stdout)]
    pub fn say(&self) {
        eprintln!(
            "lab | {} | {} | {} | {} | {} | {} | {:.1}",
            self.class,
            self.injected,
            self.survived,
            self.records,
            self.lost,
            self.repeated,
            self.begin.elapsed().as_secs_f64()
        );
        assert_eq!((self.survived, self.lost), (self.injected, 0), "{}", self.class);
    }
}
