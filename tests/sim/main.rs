//! The simulation: the real spool, writer, tender and senders, one step at a time, over a simulated disk, receivers and
//! clock.
//!
//! `SEED=n cargo test --test sim` replays one seed exactly (`SIM_LIVES=n`: so many from there on), `SIM_SECONDS=n` says how long fresh seeds are tried (20;
//! `tests/run` takes 120; with `GOSTECH_LONG`, that is `tests/long`, at least until 10,000,000 steps are done),
//! `SIM_CLASS=n` tries one class alone (0: deaths; 1: and disk faults; 2: power cuts; 3: all that; 4: flipped bits too),
//! `SIM_LOG=1` lets the program's own log through, `SIM_CANARY=Name` looks for one canary alone. In seeds from
//! 300,000,000,000,000 on (where fresh ones begin) answers may come late, and receivers come and go; from
//! 600,000,000,000,000 on something stands before receivers that does not like the text of some records; from
//! 1,200,000,000,000,000 on (no fresh ones) somebody takes files, the folder or its lock away under the worker; from
//! 2,100,000,000,000,000 on records are sealed, and what each receiver was given has to prove itself. A failing seed
//! is printed with the command that replays it, kept in the target directory and tried again by the next run; mended, it
//! becomes a line of `tests/data/sim-seeds.txt`.

mod canary;
mod chance;
mod damage;
mod disk;
mod hunt;
mod late;
mod memory_disk;
mod receiver;
mod report;
mod trail;
mod vault;
mod world;

use canary::Canary;
use report::say;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::Instant;
use world::{Figures, World, FOLLOWED, GONE, MORE, PACKED, PARTS, SEALED, WALLS};

fn quiet() {
    match std::env::var_os("SIM_LOG") {
        Some(_) => gostech::log::init("sim", gostech::log::Level::Debug, gostech::log::Sink::Plain),
        None => gostech::log::mute(),
    }
}

/// One seed; what went wrong, if anything.
fn run(seed: u64, canary: Canary, beat: &dyn Fn(u64)) -> (Figures, Result<(), String>) {
    let mut world = World::new(seed, canary);
    let lived = catch_unwind(AssertUnwindSafe(|| world.live(beat)));
    let verdict = match lived {
        Ok(v) => v,
        Err(e) => {
            let text = e.downcast_ref::<String>().cloned();
            let text = text.or_else(|| e.downcast_ref::<&str>().map(|s| s.to_string()));
            Err(format!("panic: {}", text.unwrap_or_else(|| "?".into())))
        }
    };
    (world.figures, verdict.map_err(|e| format!("{e} [{}; step {}]", world.plan.words(), world.figures.steps)))
}

#[test]
fn nothing_promised_is_lost() {
    quiet();
    let failed = hunt::hunt();
    assert!(failed.is_empty(), "failed seeds: {failed:?}");
}

/// The suite has to find what is wrong on purpose; else it finds nothing.
#[test]
fn every_canary_is_found() {
    quiet();
    let only = std::env::var("SIM_CANARY");
    let all = Canary::ALL.into_iter().filter(|c| only.as_ref().map_or(true, |only| *only == format!("{c:?}")));
    let all: Vec<Canary> = all.collect();
    assert!(!all.is_empty(), "there is no canary {only:?}");
    for canary in all {
        let begin = Instant::now();
        let mut found = None;
        let first = match canary {
            Canary::WallUnseen => WALLS,
            Canary::FrontForWhole => PARTS,
            Canary::MarkEarly | Canary::MarkLate => FOLLOWED,
            _ if canary.is_of_seals() => SEALED,
            _ if canary.is_of_packing() => PACKED,
            _ if canary.is_of_what_goes() => GONE,
            _ if canary.is_of_names() => MORE,
            _ => 0,
        };
        for seed in first..first + 200 {
            if let (_, Err(e)) = run(seed, canary, &|_| ()) {
                found = Some((seed, e));
                break;
            }
        }
        let Some((seed, e)) = found else { panic!("{canary:?} is not found by 200 seeds") };
        let text: String = e.chars().take(90).collect();
        say(&format!("canary | {canary:?} | found by seed {seed} | {:.1} s | {text}…", begin.elapsed().as_secs_f64()));
    }
}
