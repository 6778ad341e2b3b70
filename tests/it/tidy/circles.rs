//! Which files of `src` use which, and the circles among them. A file that is in none can be read, moved and tested alone.
//!
//! Reads paths as `code` finds them; a name that is no file is its parent's. Test modules are left out. Refuses to judge.

use super::code::File;
use std::collections::{BTreeMap, BTreeSet};

type Graph = BTreeMap<String, BTreeSet<String>>;

/// `src/audit/spool/mod.rs` is `audit::spool`; none for what does not ship and for the doors.
fn module(file: &File) -> Option<String> {
    let inside = file.path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let doors = inside == "lib" || inside.starts_with("bin/");
    let name = inside.strip_suffix("/mod").unwrap_or(inside).replace('/', "::");
    (!doors && !file.is_test()).then_some(name)
}

/// The module that a path leads to, seen from another one: the longest beginning of it that is a file.
fn target<'a>(path: &str, from: &str, files: &'a Graph) -> Option<&'a String> {
    let mut here: Vec<&str> = from.split("::").collect();
    let mut rest: Vec<&str> = path.split("::").filter(|part| !part.is_empty()).collect();
    match rest.first().copied() {
        Some("crate") => here.clear(),
        Some("super") => {
            while rest.first() == Some(&"super") {
                here.pop();
                rest.remove(0);
            }
        }
        _ => {}
    }
    let whole: Vec<&str> = here.into_iter().chain(rest.into_iter().filter(|p| *p != "crate" && *p != "self")).collect();
    (1..=whole.len()).rev().find_map(|n| files.get_key_value(&whole[..n].join("::"))).map(|(name, _)| name)
}

/// Who uses whom.
fn uses(files: &[File]) -> Graph {
    let known: Vec<(String, &File)> = files.iter().filter_map(|f| Some((module(f)?, f))).collect();
    let mut graph: Graph = known.iter().map(|(name, _)| (name.clone(), BTreeSet::new())).collect();
    for (name, file) in known {
        let used: BTreeSet<String> = file
            .paths()
            .iter()
            .filter_map(|(_, path)| target(path, &name, &graph).cloned())
            .filter(|t| *t != name)
            .collect();
        graph.insert(name, used);
    }
    graph
}

fn reached(graph: &Graph, from: &str) -> BTreeSet<String> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_string()]);
    while let Some(name) = open.pop() {
        for next in graph.get(&name).into_iter().flatten() {
            if seen.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    seen
}

/// The circles, each as its files in order.
pub fn circles(files: &[File]) -> Vec<Vec<String>> {
    let graph = uses(files);
    let all: BTreeMap<&String, BTreeSet<String>> = graph.keys().map(|name| (name, reached(&graph, name))).collect();
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for (name, reach) in &all {
        let circle: Vec<String> = reach.iter().filter(|other| all[other].contains(*name)).cloned().collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}
