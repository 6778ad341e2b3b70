//! Crash points: the real program is killed with SIGKILL at every place that has a name (`src/sys/crash.rs`), and again
//! while it recovers; then everything written to the pipe is delivered, the counters agree and the spool is clean.
//!
//! The program is the debug build of these tests even where `GOSTECH_AUDIT_BIN` names the static one: what is shipped has
//! no crash points, and a test here looks. `GOSTECH_CRASH_ONLY=append,renew` runs those alone. Refuses: a name without a scenario, a name that is not reached.

mod after;
mod poison;
mod seals;
mod sinks;
mod stage;
pub mod tools;
#[path = "../../../sim/trail.rs"]
mod trail;

use super::Row;
use gostech::sys::crash::{HERE, POINTS};
use stage::Stage;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::Instant;

/// How a name is reached: the scenario, and the orders before it.
pub struct Plan {
    pub run: fn(&Stage) -> After,
    pub names: &'static [(&'static str, &'static str)],
}

/// What a scenario came to, when all that had to hold held.
#[derive(Default)]
pub struct After {
    pub kills: u64,
    pub records: u64,
    pub repeated: u64,
    /// Runs that were left out for want of a peer (which was said).
    pub left_out: u64,
}

/// The second death: places that every worker passes while it recovers.
const RECOVERY: [&str; 7] =
    ["home.locked", "open.listed", "open.replayed", "open.cursors", "open.done", "worker.caught-up", "worker.ready"];

/// Every scenario with its names; what stands behind a name are the orders that lead to it (`{}` is the name).
const PLANS: &[Plan] = &[
    Plan { run: stage::truncated, names: &[("source.skipped", "{}"), ("skip.appended", "{}")] },
    Plan { run: stage::socket, names: &[("socket.noted", "{}:4"), ("socket.moved", "{}:4"), ("socket.taken", "{}:4")] },
    Plan {
        run: stage::stream,
        names: &[
            ("ring.spliced", "{}:4"),
            ("ring.noted", "{}:4"),
            ("ring.read", "{}:4"),
            ("ring.moved", "{}:4"),
            ("ring.consumed", "{}:4"),
            ("ring.resumed", "ring.read:5,{}"),
            ("home.locked", "append.accounted:3,{}"),
            ("open.listed", "append.written:3,{}"),
            ("open.cut", "append.torn:4,{}"),
            ("aside.unborn", "append.torn:4,{}"),
            ("aside.copied", "append.torn:4,{}"),
            ("open.replayed", "state.written:2,{}"),
            ("open.cursors", "cursor.torn:2,{}"),
            ("owner.written", "{}"),
            ("open.done", "state.torn:2,{}"),
            ("worker.caught-up", "append.entered:3,{}"),
            ("worker.ready", "append.written:3,{}"),
            ("append.begun", "{}:2"),
            ("append.torn", "{}:5"),
            ("append.written", "{}:5"),
            ("append.entered", "{}:5"),
            ("append.accounted", "{}:5"),
            ("gap.appended", "{}"),
            ("sync.done", "{}:2"),
            ("sync.names", "{}:2"),
            ("cursor.torn", "{}:3"),
            ("cursor.written", "{}:3"),
            ("state.torn", "{}:2"),
            ("state.written", "{}:2"),
            ("state.synced", "{}:2"),
            ("remove.chosen", "{}"),
            ("remove.listed", "{}"),
            ("remove.removed", "{}"),
            ("send.answered", "{}:3"),
            ("send.committed", "{}:3"),
            ("end.read", "{}"),
            ("end.synced", "{}"),
            ("end.saved", "{}"),
        ],
    },
    Plan { run: stage::keeper_dies, names: &[("keeper.forked", "append.written:3,{}")] },
    Plan { run: stage::keeper_is_replaced, names: &[("keeper.reaped", "{}"), ("succession.before", "{}")] },
    Plan { run: stage::successor_dies, names: &[("succession.after", "{}")] },
    Plan {
        run: stage::late_disk,
        names: &[("back.written", "{}"), ("back.entered", "{}"), ("whole.written", "{}"), ("whole.renamed", "{}")],
    },
    Plan {
        run: stage::packing,
        names: &[
            ("pack.written", "{}:2"),
            ("pack.synced", "{}"),
            ("pack.renamed", "{}:2"),
            ("pack.entered", "{}"),
            ("pack.removed", "{}:2"),
        ],
    },
    Plan { run: stage::removed, names: &[("back.probed", "{}")] },
    Plan { run: stage::failing_sync, names: &[("renew.marked", "{}"), ("renew.copied", "{}"), ("renew.placed", "{}")] },
    Plan {
        run: stage::refusing,
        names: &[
            ("quarantine.torn", "{}:2"),
            ("quarantine.written", "{}:2"),
            ("quarantine.synced", "{}:2"),
            ("quarantine.passed", "{}:2"),
        ],
    },
    Plan {
        run: sinks::file,
        names: &[
            ("file.made", "{}:2"),
            ("file.torn", "{}:4"),
            ("file.written", "{}:4"),
            ("file.synced", "{}:4"),
            ("file.renamed", "{}"),
            ("file.aside", "{}"),
            ("file.removed", "{}"),
        ],
    },
    Plan {
        run: sinks::exec,
        names: &[("exec.begun", "{}"), ("exec.torn", "{}:9"), ("exec.given", "{}:9"), ("exec.heard", "{}:9")],
    },
    Plan {
        run: seals::sealed,
        names: &[
            ("seal.appended", "{}:3"),
            ("seal.listed", "{}:2"),
            ("seal.told", "{}:2"),
            ("seal.kept", "{}:3"),
            ("seal.torn", "{}:2"),
            ("seal.written", "{}:2"),
            ("checkpoint.torn", "{}:2"),
            ("checkpoint.written", "{}:2"),
            ("checkpoint.synced", "{}:2"),
            ("seal-key.made", "{}"),
            ("seal-key.named", "{}"),
            ("seal-key.erased", "{}"),
            ("seal-key.renamed", "{}"),
        ],
    },
    Plan {
        run: seals::long,
        names: &[("checkpoints.begun", "{}"), ("checkpoints.aside", "{}"), ("checkpoints.renamed", "{}")],
    },
    Plan { run: stage::drop_newest, names: &[("drop-newest.accounted", "{}:3"), ("drop-newest.saved", "{}:3")] },
    Plan {
        run: stage::drop_oldest,
        names: &[("drop-oldest.noted", "{}:2"), ("drop-oldest.saved", "{}:2"), ("drop-oldest.passed", "{}:2")],
    },
    Plan { run: stage::full_disk, names: &[("state.behind", "{}")] },
    Plan { run: stage::drop_optional, names: &[("drop-optional.passed", "{}:2")] },
    Plan {
        run: stage::adopting,
        names: &[("adopt.locked", "{}"), ("adopt.opened", "{}"), ("adopt.drained", "{}"), ("adopt.hidden", "{}")],
    },
    Plan {
        run: tools::forgetting,
        names: &[("forget.listed", "{}"), ("forget.removed", "{}"), ("tool-forget.asked", "{}")],
    },
    Plan { run: tools::forgetting_offline, names: &[("tool-forget.removed", "{}")] },
    Plan {
        run: tools::replaying,
        names: &[("build.begun", "{}"), ("build.written", "{}"), ("build.synced", "{}"), ("build.renamed", "{}")],
    },
    Plan { run: tools::retrying, names: &[("retry.taken", "{}"), ("retry.queued", "{}")] },
    Plan {
        run: tools::repairing,
        names: &[
            ("repair.kept", "{}:2"),
            ("repair.aside", "{}"),
            ("repair.written", "{}:2"),
            ("repair.renamed", "{}:2"),
            ("repair.done", "{}:2"),
        ],
    },
];

/// As many at once: they wait for the program's own rhythm most of the time.
const AT_ONCE: usize = 6;

type Job = (&'static Plan, &'static str, &'static str, &'static str);

/// Every name with its second death; in a long run with each of them.
fn jobs() -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    for plan in PLANS {
        for (name, orders) in plan.names {
            let seconds = if crate::harness::long() { RECOVERY.len() } else { 1 };
            let at = jobs.len();
            jobs.extend((0..seconds).map(|i| (plan, *name, *orders, RECOVERY[(at + i) % RECOVERY.len()])));
        }
    }
    if let Ok(only) = std::env::var("GOSTECH_CRASH_ONLY") {
        jobs.retain(|j| only.split(',').any(|o| j.1.starts_with(o)));
    }
    jobs
}

/// Runs one; what failed is said with the directory that is kept for a look.
fn run((plan, name, orders, second): &Job, sum: &Mutex<After>, failed: &Mutex<Vec<String>>) {
    let stage = Stage::new(name, &orders.replace("{}", name), second);
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (plan.run)(&stage))) {
        Ok(after) => {
            let mut sum = sum.lock().expect("no panic holds it");
            sum.kills += after.kills;
            sum.records += after.records;
            sum.repeated += after.repeated;
            sum.left_out += after.left_out;
        }
        Err(_) => {
            let kept = stage.den.path().display().to_string();
            failed.lock().expect("no panic holds it").push(format!("{name}, then {second}: {kept}"));
            std::mem::forget(stage);
        }
    }
}

#[test]
fn every_crash_point_is_outlived_and_again_in_the_recovery() {
    if !HERE {
        return super::left_out("crash points: this is a build without debug assertions");
    }
    let begin = Instant::now();
    let planned: BTreeSet<&str> = PLANS.iter().flat_map(|p| p.names.iter().map(|n| n.0)).collect();
    let known: BTreeSet<&str> = POINTS.iter().map(|p| p.0).collect();
    assert_eq!(planned, known, "every crash point has its scenario, and no scenario another one");
    let jobs = jobs();
    let (next, sum, failed) = (AtomicUsize::new(0), Mutex::new(After::default()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run(job, &sum, &failed);
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic holds it");
    assert!(failed.is_empty(), "of {} runs these failed: {failed:#?}", jobs.len());
    let sum = sum.into_inner().expect("no panic holds it");
    let runs = jobs.len() as u64 - sum.left_out;
    assert!(sum.kills >= 2 * runs && runs > 0, "{} deaths in {runs} runs", sum.kills);
    Row {
        class: "crash points: SIGKILL, and in recovery",
        injected: sum.kills,
        survived: sum.kills,
        records: sum.records,
        lost: 0,
        repeated: sum.repeated,
        begin,
    }
    .say();
}

/// The names of the table stand in the sources, each, and no other one does.
#[test]
fn the_table_of_crash_points_is_that_of_the_sources() {
    let mut found = BTreeSet::new();
    for (path, bytes) in
        crate::harness::setup::files_below(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
    {
        if path.ends_with("sys/crash.rs") {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for call in ["crash::point(\"", "crash::torn(\""] {
            found.extend(text.split(call).skip(1).filter_map(|t| t.split('"').next()).map(str::to_owned));
        }
    }
    let known: BTreeSet<String> = POINTS.iter().map(|p| p.0.to_owned()).collect();
    assert_eq!(found, known);
}

/// What is shipped can neither be told to die nor knows where; the debug build shows that the look would see it.
#[test]
fn a_shipped_program_has_no_crash_points() {
    let has = |path: &std::path::Path| {
        let bytes = std::fs::read(path).expect("a program");
        let words = ["GOSTECH_CRASH_AT", "GOSTECH_POISON", "append.torn", "crash point "];
        words.iter().filter(|w| crate::harness::setup::contains(&bytes, w.as_bytes())).count()
    };
    if HERE {
        assert_eq!(has(&crate::harness::setup::debug_binary()), 4, "the debug build has them all");
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let mut shipped = vec![root.join("static/x86_64/gostech-audit-log"), root.join("release/gostech-audit-log")];
    shipped.extend(std::env::var_os("GOSTECH_AUDIT_BIN").map(std::path::PathBuf::from));
    shipped.retain(|p| p.is_file());
    if shipped.is_empty() {
        super::left_out(
            "a look for crash points in the shipped program: it is not built here (packaging/build looks too)",
        );
    }
    for path in shipped {
        assert_eq!(has(&path), 0, "{} holds crash points", path.display());
    }
}
