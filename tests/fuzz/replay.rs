//! The properties of the fuzz targets without a fuzzer: over every seed, over everything that was ever found
//! (`found/TARGET/`), and over some thousands of changed seeds, the same ones each time.
//!
//! Refuses: to search. `tests/fuzz/run` does.

#[path = "src/lib.rs"]
#[allow(missing_docs)]
mod props;

use props::{Target, TARGETS};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|t| t.name == name).expect("a target of the table")
}

/// What was ever found, by target and file.
fn found(name: &str) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(here().join("found").join(name)).into_iter().flatten().flatten();
    let read = |path: PathBuf| Some((path.display().to_string(), std::fs::read(path).ok()?));
    files.filter_map(|f| read(f.path())).collect()
}

/// Tries the seeds of a target, what was found, and seeds that chance has changed.
fn holds(name: &str, changed: usize) {
    props::begin(name);
    let target = target(name);
    let seeds = (target.seeds)();
    assert!(seeds.len() > 2 && seeds.iter().all(|s| !s.is_empty()), "{name} begins with nothing");
    for (i, seed) in seeds.iter().enumerate() {
        attempt(target, &format!("seed {i}"), seed);
    }
    for (file, bytes) in found(name) {
        attempt(target, &file, &bytes);
    }
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |n: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % n.max(1)
    };
    for round in 0..changed {
        let mut bytes = seeds[next(seeds.len())].clone();
        for _ in 0..1 + next(4) {
            let at = next(bytes.len());
            match next(5) {
                _ if bytes.is_empty() => bytes.push(next(256) as u8),
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, next(256) as u8),
                2 => bytes[at] ^= 1 << next(8),
                3 => bytes.truncate(at),
                _ => bytes[at] = b"\0\xff\n\"\\{}=: "[next(10)],
            }
        }
        attempt(target, &format!("round {round}"), &bytes);
    }
}

/// An input that breaks a property is shown, so that it can be kept.
fn attempt(target: &Target, what: &str, bytes: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.check)(bytes))).is_err() {
        panic!("{}: {what} breaks a property: {}", target.name, bytes.escape_ascii());
    }
}

macro_rules! targets {
    ($($name:ident $changed:literal)*) => {
        const TRIED: &[&str] = &[$(stringify!($name)),*];
        $(#[test]
        fn $name() {
            holds(stringify!($name), $changed);
        })*
    };
}

// Fewer of those that cost more.
targets! {
    records 300 strides 2000 recovery 1000 blocks 300 slots 200 msgpack 5000 iproto 1000 page 1000 url 3000 head 3000 answer 5000 options 300
    quarantine 3000 status 50 json 5000 formats 1000 bulk 5000 relp 5000 kafka 5000 handler 5000 pushed 5000
    leaves 1000 lists 3000 notes 1000 checkpoints 1000 exports 2000
}

/// A target that one list has and another has not, is one that nobody runs.
#[test]
fn every_target_is_everywhere() {
    let names: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
    assert_eq!(TRIED, names);
    let manifest = std::fs::read_to_string(here().join("Cargo.toml")).expect("a manifest");
    for name in &names {
        let program = format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&program), "tests/fuzz/Cargo.toml has no program `{name}`");
        let text = std::fs::read_to_string(here().join(format!("fuzz_targets/{name}.rs"))).expect("a program");
        assert!(text.contains(&format!("gostech_fuzz::{name}::check")) && text.contains(&format!("begin(\"{name}\")")));
    }
    assert_eq!(manifest.matches("[[bin]]").count(), names.len());
}

/// The fuzzer tries what ships: the same versions of the same crates.
#[test]
fn both_locks_name_the_same_versions() {
    let text = |path: &str| std::fs::read_to_string(here().join(path)).expect("a file of the repository");
    let (ours, theirs, manifest) = (text("../../Cargo.lock"), text("Cargo.lock"), text("../../Cargo.toml"));
    let versions = |lock: &str, name: &str| -> Vec<String> {
        let begin = format!("\nname = \"{name}\"\n");
        lock.split("[[package]]")
            .filter(|p| p.starts_with(&begin))
            .map(|p| p.lines().nth(2).unwrap_or_default().to_owned())
            .collect()
    };
    let listed =
        manifest.split("[dependencies]").nth(1).and_then(|rest| rest.split("\n[").next()).expect("dependencies");
    let names: Vec<&str> = listed.lines().filter_map(|l| l.split_once(" = ").map(|(name, _)| name)).collect();
    assert!(names.len() > 5, "these are not the dependencies: {names:?}");
    for name in names {
        let (a, b) = (versions(&ours, name), versions(&theirs, name));
        assert!(
            !a.is_empty() && a == b,
            "`{name}`: {a:?} ships, {b:?} is fuzzed: cargo update -p {name} in tests/fuzz"
        );
    }
}
