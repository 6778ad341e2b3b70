//! The house rules, held by `cargo test`: floors, purity, signs, sizes, `unsafe`, unfinished work, machine paths.
//!
//! Reads the sources as text and refuses to guess: each rule of the table shows on a bad sample that it bites.

mod circles;
mod code;
mod rules;

use code::File;
use rules::{FLOORS, INNER_FLOORS, PURE, RULES};
use std::collections::BTreeSet;
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
    let mut files: Vec<File> = paths.iter().filter_map(read).collect();
    File::mark_tests(&mut files);
    files
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

#[test]
fn no_files_stand_in_a_circle() {
    let sample = |list: &[(&str, &str)]| -> Vec<File> { list.iter().map(|(p, t)| File::new(p, t)).collect() };
    let one_way = [("src/a/mod.rs", "pub mod b;\nuse b::B;"), ("src/a/b.rs", "use crate::c::C;"), ("src/c.rs", "")];
    assert!(circles::circles(&sample(&one_way)).is_empty());
    let through_three = [
        ("src/a/mod.rs", "use b::{x::Y, B};"),
        ("src/a/b.rs", "fn f() { super::super::c::g() }"),
        ("src/c.rs", "use crate::a::{self, A};"),
    ];
    assert_eq!(circles::circles(&sample(&through_three)), [["a", "a::b", "c"]]);
    let circles = circles::circles(&files());
    assert!(circles.is_empty(), "files that use each other in a circle: {circles:#?}");
}

/// Who declares a module of tests in another file says that it is one.
#[test]
fn modules_of_tests_are_known() {
    let declares = "#[cfg(test)]\n#[path = \"a_tests.rs\"]\nmod tests;\n#[cfg(test)]\nmod locks;\nmod b;\n";
    let paths =
        ["src/x/a.rs", "src/x/a_tests.rs", "src/x/a/locks.rs", "src/x/a/b.rs", "src/x/locks.rs", "src/x/y/tests.rs"];
    let mut files: Vec<File> = paths.iter().map(|p| File::new(p, if *p == paths[0] { declares } else { "" })).collect();
    File::mark_tests(&mut files);
    let tests: Vec<&str> = files.iter().filter(|f| f.is_test()).map(|f| f.path.as_str()).collect();
    assert_eq!(tests, ["src/x/a_tests.rs", "src/x/a/locks.rs", "src/x/y/tests.rs"]);
}

/// The tables of the rules must not outlive what they speak of.
#[test]
fn the_tables_know_the_rooms_there_are() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    let rooms = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for room in rooms {
        assert!(FLOORS.iter().any(|floor| floor.contains(&room)), "room `{room}` is on no floor");
    }
    for (room, floors) in INNER_FLOORS {
        let there = std::fs::read_dir(root().join("src").join(room)).expect("a room");
        let names = there.flatten().map(|e| e.file_name().to_string_lossy().trim_end_matches(".rs").to_string());
        let names: BTreeSet<String> = names.filter(|name| name != "mod").collect();
        let known: BTreeSet<String> = floors.concat().into_iter().map(String::from).collect();
        assert_eq!(names, known, "the rooms of `{room}` and their floors");
    }
    for path in PURE {
        let room = path.trim_start_matches("src/").split(['/', '.']).next().unwrap_or("");
        assert!(FLOORS.iter().any(|floor| floor.contains(&room)), "`{path}` is in no room");
        assert!(root().join(path).exists(), "`{path}`, which is said to be pure, is not there");
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
