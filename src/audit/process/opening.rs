//! Opening the spool that a worker lives in: in a directory where there is one, in memory where there is none.
//!
//! Refuses: a home of another helper, one that workers have died of opening, one whose records have the numbers of ours.

use crate::audit::options::keeping::{base_name, roots, settings};
use crate::audit::options::{Options, Sync};
use crate::audit::process::claim;
use crate::audit::process::heirlooms::Heirlooms;
use crate::audit::process::whereabouts::Before;
use crate::audit::spool::disk::{Disk, RealDisk};
use crate::audit::spool::memory_disk::MemoryDisk;
use crate::audit::spool::no_disk::NoDisk;
use crate::audit::spool::owner::Owner;
use crate::audit::spool::place::{self, Home};
use crate::audit::spool::recover::Refusal;
use crate::audit::spool::seals::Sealing;
use crate::audit::spool::{Settings, Spool};
use crate::hash::xxh64;
use crate::limits;
use crate::log;
use crate::net::crypto;
use crate::sys::clock::wall_ms;
use crate::sys::marks::Mark;
use crate::sys::ring::{Ring, Word};
use std::path::Path;
use std::sync::atomic::Ordering;
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
    Settings { owner: Some(claim::owner_of(options)), sealing: sealing(options), ..settings(options, dir) }
}

/// How its records are counted for evidence.
fn sealing(options: &Options) -> Option<Sealing> {
    options.seal.as_ref().map(|seal| {
        let mut chance = [0; 9];
        crypto::random(&mut chance);
        Sealing { algorithm: seal.algorithm, chance, unsynced: options.sync == Sync::Never }
    })
}

/// Whether we may live there.
fn may_live(home: &Home, before: &Before, owner: &Owner) -> Result<(), String> {
    if let Some(why) = before.objection(home) {
        return Err(why.to_string());
    }
    match claim::home_of_another(&home.dir, owner) {
        Some(whose) => Err(format!("it belongs to another helper ({whose})")),
        None => Ok(()),
    }
}

/// Looks for a directory when there was none, and takes it for the family: the next worker lives in it.
pub fn find_home(options: &Options, ring: &Ring) -> bool {
    let (before, owner) = (Before::of(ring), claim::owner_of(options));
    let Ok(root) = place::choose(&roots(options)) else { return false };
    let mut fits = |home: &Home| may_live(home, &before, &owner);
    let found = place::settle(&root, &base_name(options), "", Duration::ZERO, &mut fits);
    if let Ok(home) = &found {
        ring.word(Word::HomesFound).fetch_add(1, Ordering::Relaxed);
        log::info("spool", format!("found a directory: `{}`; a new worker lives in it", home.dir.display()));
    }
    found.is_ok()
}

/// The spool: in a directory where there is one, in memory where there is none.
pub fn open_spool(options: &Options, heirlooms: &Heirlooms) -> (Spool, Option<Home>) {
    let ring = heirlooms.ring.clone();
    let memory_file = heirlooms.memory_disk.try_clone().expect("the memory file can be shared");
    let memory_disk: Arc<dyn Disk> = Arc::new(MemoryDisk::open(memory_file).expect("the memory file can be read"));
    let before = Before::of(&ring);
    let why = match try_home(options, &before, &memory_disk, &ring) {
        Ok((home, spool)) => {
            ring.word(Word::HomesFound).store(0, Ordering::Relaxed);
            ring.set_note(&home.name);
            spool.take_over(&before.fate(Some(&home), &roots(options)));
            return (spool, Some(home));
        }
        Err(why) => why,
    };
    let spool = Spool::open(Arc::new(NoDisk), memory_disk, lived_in(options, None), Some(ring.clone()), wall_ms());
    let spool = spool.unwrap_or_else(|e| panic!("cannot open a spool in memory: {e:?}"));
    spool.no_directory(&why);
    spool.take_over(&before.fate(None, &roots(options)));
    // Records go on under other numbers than there: it is nobody's home any more.
    before.leave(&ring);
    (spool, None)
}

/// The same as `open_home`, by several tries.
fn try_home(
    options: &Options,
    before: &Before,
    memory_disk: &Arc<dyn Disk>,
    ring: &Arc<Ring>,
) -> Result<(Home, Spool), String> {
    let mut opened = open_home(options, before, memory_disk, ring);
    for _ in 1..limits::HOME_TRIES {
        if opened.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(limits::HOME_TRY_MILLIS));
        opened = open_home(options, before, memory_disk, ring);
    }
    opened
}

/// The spool in the first directory that can be ours; else why there is none.
fn open_home(
    options: &Options,
    before: &Before,
    memory_disk: &Arc<dyn Disk>,
    ring: &Arc<Ring>,
) -> Result<(Home, Spool), String> {
    let (root, owner) = (place::choose(&roots(options))?, claim::owner_of(options));
    let mut spool = None;
    let mut open = |home: &Home| {
        may_live(home, before, &owner)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&home.dir).locked(&home.lock));
        let settings = lived_in(options, Some(&home.dir));
        claim::tell_of_a_move(&home.dir, &owner);
        let mark = opening(Some(ring), &home.dir);
        let deaths = mark.deaths().there;
        if deaths >= limits::WORKER_FAULTS {
            return Err(format!("{deaths} workers have died of opening it"));
        }
        mark.at(1);
        let opened = Spool::open(disk, memory_disk.clone(), settings, Some(ring.clone()), wall_ms());
        mark.at(0);
        mark.well();
        spool = Some(opened.map_err(|e| why(&e))?);
        Ok(())
    };
    let name = Some(before.name.clone()).filter(|n| !n.is_empty());
    let name = name.or_else(|| claim::known_home(&root, options)).unwrap_or_default();
    let patience = Duration::from_millis(limits::SETTLE_MILLIS);
    let home = place::settle(&root, &base_name(options), &name, patience, &mut open)?;
    Ok((home, spool.expect("it was opened in its home")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::options::table::PROGRAM;
    use crate::flags::{self, Outcome};
    use crate::net::testing::Scratch;
    use std::ffi::OsString;

    #[test]
    fn a_directory_that_comes_late_is_found_and_one_with_events_is_left_for_adoption() {
        let dir = Scratch::new("late-home");
        let root = dir.path("spool");
        let root_text = root.display().to_string();
        let args = ["--url", "http://a", "--no-config", "--instance", "x", "--spool-dir", &root_text];
        let options = match flags::parse(&PROGRAM, &args.map(OsString::from), &[], &|_| unreachable!()) {
            Ok(Outcome::Run(parsed)) => Options::read(&parsed, &[], true).unwrap(),
            other => panic!("{other:?}"),
        };
        let ring = Ring::create(4096, 1).unwrap();
        ring.note_taken(0, [5, 1, 1, 4, 1, 0, 1]);
        std::fs::write(&root, "a file, no directory").unwrap();
        assert!(!find_home(&options, &ring));
        std::fs::remove_file(&root).unwrap();
        std::fs::create_dir_all(root.join("x")).unwrap();
        std::fs::write(root.join("x/1.seg"), "").unwrap();
        assert!(find_home(&options, &ring));
        assert_eq!(ring.word(Word::HomesFound).load(Ordering::Relaxed), 1);
        let made = |name: &str| root.join(name).join("lock").exists();
        let signed = |name: &str| std::fs::read(root.join(name).join("lock")).is_ok_and(|text| !text.is_empty());
        assert!(made("x") && !signed("x") && signed("x.2"));
    }
}
