//! Opening the spool that a worker lives in: in a directory where there is one, in memory where there is none.
//!
//! Refuses: a home of another helper, one that workers have died of opening, one whose records have the numbers of ours.

use crate::audit::options::keeping::{base_name, roots, settings};
use crate::audit::options::Options;
use crate::audit::process::claim;
use crate::audit::process::heirlooms::Heirlooms;
use crate::audit::process::whereabouts::Before;
use crate::audit::spool::disk::{Disk, RealDisk};
use crate::audit::spool::late::LateDisk;
use crate::audit::spool::memory_disk::MemoryDisk;
use crate::audit::spool::place::{self, Home};
use crate::audit::spool::recover::Refusal;
use crate::audit::spool::{Settings, Spool};
use crate::hash::xxh64;
use crate::limits;
use crate::sys::clock::wall_ms;
use crate::sys::marks::Mark;
use crate::sys::ring::Ring;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The mark of whoever opens the spool in a directory.
pub fn opening(ring: Option<&Arc<Ring>>, dir: &Path) -> Mark {
    let key = xxh64(dir.as_os_str().as_encoded_bytes(), 3);
    ring.map(|ring| Mark::of(ring, key)).unwrap_or_default()
}

/// Why a spool cannot be opened, for people.
pub fn why(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Foreign(what) => what.clone(),
        Refusal::Disk(e) => crate::net::failure::words(e),
    }
}

/// How the one is to be kept that we live in.
fn lived_in(options: &Options, dir: Option<&Path>) -> Settings {
    Settings { owner: Some(claim::owner_of(options)), ..settings(options, dir) }
}

/// The spool: in a directory where there is one, in memory where there is none.
pub fn open_spool(options: &Options, heirlooms: &Heirlooms) -> (Spool, Option<Home>) {
    let ring = heirlooms.ring.clone();
    let memory_file = heirlooms.memory_disk.try_clone().expect("the memory file can be shared");
    let memory_disk: Arc<dyn Disk> = Arc::new(MemoryDisk::open(memory_file).expect("the memory file can be read"));
    let before = Before::of(&ring);
    let roots = roots(options);
    let why = match place::choose(&roots) {
        Ok(root) => {
            let owner = claim::owner_of(options);
            let open = |home: &Home| {
                if let Some(why) = before.objection(home) {
                    return Err(why.to_string());
                }
                if let Some(whose) = claim::home_of_another(&home.dir, &owner) {
                    return Err(format!("it belongs to another helper ({whose})"));
                }
                let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&home.dir).locked(&home.lock));
                let settings = lived_in(options, Some(&home.dir));
                claim::tell_of_a_move(&home.dir, &owner);
                let mark = opening(Some(&ring), &home.dir);
                let deaths = mark.deaths().there;
                if deaths >= limits::WORKER_FAULTS {
                    return Err(format!("{deaths} workers have died of opening it"));
                }
                mark.at(1);
                let opened = Spool::open(disk, memory_disk.clone(), settings, Some(ring.clone()), wall_ms());
                mark.at(0);
                mark.well();
                opened.map_err(|e| why(&e))
            };
            let name = Some(before.name.clone()).filter(|n| !n.is_empty());
            let name = name.or_else(|| claim::known_home(&root, options)).unwrap_or_default();
            let patience = Duration::from_millis(limits::SETTLE_MILLIS);
            match place::settle(&root, &base_name(options), &name, patience, open) {
                Ok((home, spool)) => {
                    ring.set_note(&home.name);
                    spool.take_over(&before.fate(Some(&home), &roots));
                    return (spool, Some(home));
                }
                Err(e) => e,
            }
        }
        Err(e) => e,
    };
    let disk: Arc<dyn Disk> = Arc::new(LateDisk::new(roots.clone(), base_name(options)));
    let spool = Spool::open(disk, memory_disk, lived_in(options, None), Some(ring.clone()), wall_ms());
    let spool = spool.unwrap_or_else(|e| panic!("cannot open a spool in memory: {e:?}"));
    spool.no_directory(&why);
    spool.take_over(&before.fate(None, &roots));
    // Records go on under other numbers than there: it is nobody's home any more.
    before.leave(&ring);
    (spool, None)
}
