//! What a run comes to: one line of figures, and the rows of the laboratory's table.
//!
//! Refuses: a row without a check behind it (rows are printed when no seed has failed).

use crate::world::Figures;
use std::io::Write;
use std::time::Instant;

/// Past the capture of the test harness: figures are for whoever runs it.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// One row of the table that `tests/run` gathers: everything injected was survived, and nothing was lost.
pub fn lab(class: &str, injected: u64, records: u64, repeated: u64, seconds: f64) {
    say(&format!("lab | {class} | {injected} | {injected} | {records} | 0 | {repeated} | {seconds:.1}"));
}

/// The same for a test that knows when it began.
pub fn lab_since(class: &str, injected: u64, records: u64, begin: Instant) {
    lab(class, injected, records, 0, begin.elapsed().as_secs_f64());
}

/// Kinds of faults, from the mildest on.
const FAULTS: [&str; 7] = [
    "simulated: worker dies",
    "simulated: disk full",
    "simulated: EIO",
    "simulated: fsync fails",
    "simulated: power cut, writes torn",
    "simulated: bits flipped",
    "simulated: files, directory or lock taken away",
];

/// What the worlds of one row came to.
#[derive(Clone, Copy, Default)]
struct Share {
    injected: u64,
    records: u64,
    repeats: u64,
    seconds: f64,
}

/// All worlds together.
#[derive(Default)]
pub struct Sum {
    pub seeds: u64,
    pub by_class: [(u64, u64); 5],
    pub all: Figures,
    shares: [Share; FAULTS.len()],
}

impl Sum {
    /// One more world, which took so long.
    pub fn add(&mut self, seed: u64, f: &Figures, seconds: f64) {
        self.seeds += 1;
        let class = &mut self.by_class[(seed % 5) as usize];
        *class = (class.0 + 1, class.1 + f.steps);
        let a = &mut self.all;
        for (to, from) in [
            (&mut a.steps, f.steps),
            (&mut a.records, f.records),
            (&mut a.delivered, f.delivered),
            (&mut a.repeats, f.repeats),
            (&mut a.quarantined, f.quarantined),
            (&mut a.dropped, f.dropped),
            (&mut a.deaths, f.deaths),
            (&mut a.power_cuts, f.power_cuts),
            (&mut a.calls, f.calls),
            (&mut a.unsecured, f.unsecured),
            (&mut a.gaps, f.gaps),
            (&mut a.packed, f.packed),
            (&mut a.trails, f.trails),
            (&mut a.checkpoints, f.checkpoints),
            (&mut a.clean, f.clean),
            (&mut a.unclear, f.unclear),
            (&mut a.changes, f.changes),
            (&mut a.late, f.late),
            (&mut a.injected.full, f.injected.full),
            (&mut a.injected.errors, f.injected.errors),
            (&mut a.injected.failed_syncs, f.injected.failed_syncs),
            (&mut a.injected.dropped_syncs, f.injected.dropped_syncs),
            (&mut a.injected.torn, f.injected.torn),
            (&mut a.injected.flips, f.injected.flips),
            (&mut a.injected.gone, f.injected.gone),
        ] {
            *to += from;
        }
        let i = &f.injected;
        let injected = [f.deaths, i.full, i.errors, i.failed_syncs, f.power_cuts, i.flips, i.gone];
        for (share, n) in self.shares.iter_mut().zip(injected) {
            share.injected += n;
        }
        // A world's records stand in the row of one of the faults that befell it: so the rows can be added up.
        let struck: Vec<usize> = (0..FAULTS.len()).filter(|i| injected[*i] > 0).collect();
        if let Some(&one) = struck.get(seed as usize / 5 % struck.len().max(1)) {
            let share = &mut self.shares[one];
            share.records += f.records;
            share.repeats += f.repeats;
            share.seconds += seconds;
        }
    }

    /// All of it in a line.
    pub fn line(&self, failed: usize, seconds: f64) -> String {
        let (a, i) = (&self.all, &self.all.injected);
        let classes: Vec<String> = self.by_class.iter().map(|(seeds, steps)| format!("{seeds}/{steps}")).collect();
        format!(
            "sim | seeds {} | steps {} | by class (seeds/steps) {} | disk calls {} | deaths {} | power cuts {} | full {} \
             | EIO {} | failed fsyncs {} (dropped data {}, unseen in {} seeds) | torn files {} | flipped bits {} | taken away {} | records {} \
             | delivered {} | repeated {} | quarantined {} | dropped as told {} | gaps told {} | late answers {} \
             | receivers changed {} | segments packed {} | trails judged {} (checkpoints {}; verified as clean {}, unclear {}) | failed seeds {failed} | {seconds:.1} s",
            self.seeds,
            a.steps,
            classes.join(" "),
            a.calls,
            a.deaths,
            a.power_cuts,
            i.full,
            i.errors,
            i.failed_syncs,
            i.dropped_syncs,
            a.unsecured,
            i.torn,
            i.flips,
            i.gone,
            a.records,
            a.delivered,
            a.repeats,
            a.quarantined,
            a.dropped,
            a.gaps,
            a.late,
            a.changes,
            a.packed,
            a.trails,
            a.checkpoints,
            a.clean,
            a.unclear,
        )
    }

    /// The rows of the table: no seed has failed.
    pub fn rows(&self) {
        for (name, s) in FAULTS.iter().zip(&self.shares).filter(|(_, s)| s.injected > 0) {
            lab(name, s.injected, s.records, s.repeats, s.seconds);
        }
    }
}
