//! The house rules, held by `cargo test`: floors, purity, signs, sizes, `unsafe`, unfinished work, machine paths.
//!
//! Reads the sources as text and refuses to guess: each rule of the table shows on a bad sample that it bites.

mod code;
mod rules;

use code::File;
use rules::{FLOORS, PURE, RULES};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Text files of the repository: what git tracks or would track; where git is not, what lies in the known directories.
fn files() -> Vec<File> {
    let git = std::process::Command::new("git")
        .args(["ls-files", "-z", "-co", "--exclude-standard"])
        .current_dir(root())
        .output();
    let paths: Vec<String> = match git {
        Ok(out) if out.status.success() => {
            String::from_utf8_lossy(&out.stdout).split('\0').filter(|p| !p.is_empty()).map(str::to_owned).collect()
        }
        _ => walk(),
    };
    let read = |path: &String| Some(File::new(path, &std::fs::read_to_string(root().join(path)).ok()?));
    paths.iter().filter_map(read).collect()
}

fn walk() -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> =
        ["src", "tests", "benches", "examples", "docs", "packaging", ".ci"].map(|dir| root().join(dir)).into();
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => open.push(path),
                path => found.extend(path.strip_prefix(root()).ok().and_then(Path::to_str).map(str::to_owned)),
            }
        }
    }
    found
}

#[test]
fn the_house_is_tidy() {
    let files = files();
    assert!(files.iter().filter(|f| f.rust()).count() > 10, "the sources are not where they should be");
    let mut faults = Vec::new();
    for file in &files {
        for rule in RULES {
            let found = (rule.check)(file).into_iter();
            faults.extend(found.map(|(line, what)| format!("{}:{line}: {}: {what}", file.path, rule.name)));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_rule_bites_its_bad_samples_and_passes_its_good_ones() {
    for rule in RULES {
        assert!(!rule.bites.is_empty() && !rule.passes.is_empty(), "«{}» has no samples", rule.name);
        for (path, text) in rule.bites {
            assert!(!(rule.check)(&File::new(path, text)).is_empty(), "«{}» does not bite {path}:\n{text}", rule.name);
        }
        for (path, text) in rule.passes {
            let found = (rule.check)(&File::new(path, text));
            assert!(found.is_empty(), "«{}» bites {path}: {found:?}\n{text}", rule.name);
        }
    }
}

/// The tables of the rules must not outlive what they speak of.
#[test]
fn the_tables_know_the_rooms_there_are() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    let rooms = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for room in rooms {
        assert!(FLOORS.iter().any(|floor| floor.contains(&room)), "room `{room}` is on no floor");
    }
    for path in PURE {
        let room = path.trim_start_matches("src/").split(['/', '.']).next().unwrap_or("");
        assert!(FLOORS.iter().any(|floor| floor.contains(&room)), "`{path}` is in no room");
    }
}

/// Not a test of anything: the list to look at now and then (`cargo test --test it longest -- --nocapture`).
#[test]
fn longest_functions_are_reported() {
    let files = files();
    let mut all: Vec<_> =
        files.iter().flat_map(|f| f.functions().into_iter().map(|x| (x.lines, &f.path, x.name, x.line))).collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    let within = all.iter().filter(|f| f.0 <= 35).count();
    eprintln!("{} functions, {within} of at most 35 lines; the longest:", all.len());
    for (lines, path, name, line) in all.iter().take(15) {
        eprintln!("{lines:4}  {path}:{line} {name}");
    }
    assert!(within * 10 >= all.len() * 9, "more than one function in ten has over 35 lines: the house drifts");
}
