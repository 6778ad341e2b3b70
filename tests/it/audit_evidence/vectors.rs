//! Exports that stand in the repository, for whoever writes a verifier: what ours and the independent one say of each.
//!
//! `GOSTECH_WRITE_VECTORS=1` makes them anew by the real program. Refuses: a vector of which the two say different things.

use super::{excusing, life, place, rewritten, Life};
use crate::harness::setup::{binary, text};
use crate::harness::{peer, Den, Setup};
use gostech::audit::seal::Place;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const HEAD: &str =
    "# What a verifier says of each export beside this file: its exit code, whose export it is, and whether \
                    it is given `checkpoints` too.\n";

fn dir(set: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/evidence").join(set)
}

/// Exports and their verdicts: a name, the lines, an exit code, and whose it is.
#[derive(Default)]
struct Vectors(Vec<(&'static str, Vec<String>, u8, &'static str)>);

/// Of an export with this at the end of its name a verifier is given `checkpoints` too.
const WITH_CHECKPOINTS: &str = "-and-checkpoints";

impl Vectors {
    fn add(&mut self, name: &'static str, lines: &[String], exit: u8, receiver: &'static str) {
        self.0.push((name, lines.to_vec(), exit, receiver));
    }

    /// With one line as this makes it.
    fn with(&mut self, name: &'static str, lines: &[String], at: usize, change: impl FnOnce(&str) -> String) {
        let mut lines = lines.to_vec();
        lines[at] = change(&lines[at]);
        self.add(name, &lines, 1, "all");
    }

    fn without(&mut self, name: &'static str, lines: &[String], at: usize) {
        self.add(name, &[&lines[..at], &lines[at + 1..]].concat(), 1, "all");
    }
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).expect("JSON")
}

/// The lines with this in them, in the order of the export.
fn having(lines: &[String], what: &str) -> Vec<usize> {
    (0..lines.len()).filter(|&i| lines[i].contains(what)).collect()
}

/// What is done to the events.
fn of_events(v: &mut Vectors, all: &[String]) {
    let plain = having(all, "\"title\":\"auth_").into_iter().chain(having(all, "\"title\":\"dml"));
    let plain: Vec<usize> = plain.filter(|i| !all[*i].contains("\"raw\"")).collect();
    let (one, other) = (plain[0], plain[1]);
    let nested = having(all, "\"title\":\"nested\"")[0];
    v.with("altered-value", all, one, |l| l.replacen("\"title\":\"", "\"title\":\"~", 1));
    v.with("altered-added", all, one, |l| l.replacen(",\"id\":\"1.", ",\"comment\":\"x\",\"id\":\"1.", 1));
    v.with("altered-taken", all, one, |l| {
        let mut event = json(l);
        event.as_object_mut().expect("an object").remove("severity").expect("it has one");
        event.to_string()
    });
    v.with("altered-beside-its-bytes", all, nested, |l| {
        let mut event = json(l);
        event["severity"] = "low".into();
        event.to_string()
    });
    v.without("removed", all, one);
    let mut more = all.to_vec();
    let mut bare = json(&all[one]);
    bare["gostech"].as_object_mut().expect("ours").remove("seal");
    more.push(bare.to_string());
    v.add("inserted-without-seal", &more, 1, "all");
    more.pop();
    more.push(all[one].replacen("\"title\":\"", "\"title\":\"~", 1));
    v.add("inserted-copy", &more, 1, "all");
    let (mut a, mut b) = (json(&all[one]), json(&all[other]));
    let seal = std::mem::replace(&mut a["gostech"]["seal"], b["gostech"]["seal"].clone());
    b["gostech"]["seal"] = seal;
    let mut swapped = all.to_vec();
    (swapped[one], swapped[other]) = (a.to_string(), b.to_string());
    v.add("swapped-seals", &swapped, 1, "all");
}

/// What is done to lists and checkpoints; lists bear the leaf of what they say then.
fn of_evidence(v: &mut Vectors, all: &[String], high: &[String]) {
    let list = having(all, "\"title\":\"audit_leaves\"")[0];
    let checkpoint = having(all, "why time").first().or(having(all, "why key").first()).copied().expect("one");
    v.with("altered-list", all, list, |l| l.replacen("leaves 1 to", "leaves 2 to", 1));
    v.with("altered-leaves", all, list, |l| rewritten(l, |list| list.places[0] = Place::Leaf([7; 32])));
    v.with("altered-absent", all, list, |l| rewritten(l, |list| list.places[0] = Place::Lost));
    v.with("altered-passes", all, list, |l| rewritten(l, |list| list.passes.iter_mut().for_each(|p| p.1.fill(false))));
    v.with("altered-count", all, list, |l| {
        rewritten(l, |list| {
            list.places.pop();
            list.passes.iter_mut().for_each(|(_, bits)| bits.truncate(list.places.len()));
        })
    });
    v.with("altered-checkpoint", all, checkpoint, |l| l.replacen("\\nnumber ", "\\nnumber 1", 1));
    v.without("removed-list", all, list);
    for (name, lines, receiver) in [("excused-by-bitmap", all, "all"), ("excused-by-bitmap-filtered", high, "high")] {
        let gone = having(lines, "\"title\":\"nested\"")[0];
        let (at, told) = excusing(lines, &place(&lines[gone]), receiver).expect("a list of it");
        let mut lines = lines.to_vec();
        lines[at] = told;
        lines.remove(gone);
        v.add(name, &lines, 1, receiver);
    }
}

/// What is no alteration, and what cannot be told.
fn of_exports(v: &mut Vectors, all: &[String]) {
    let mut twice: Vec<String> = all.iter().rev().chain(all).cloned().collect();
    twice.rotate_left(all.len() / 3);
    v.add("shuffled-twice", &twice, 0, "all");
    let hit = |l: &String| {
        let added = l.replacen('{', r#"{"@version":"1","host":{"name":"h"},"tags":["a"],"#, 1);
        format!(r#"{{"_index":"audit","_id":"1","_source":{added}}}"#)
    };
    v.add("as-hits", &all.iter().map(hit).collect::<Vec<_>>(), 0, "all");
    let newest = all.iter().map(|l| place(l).0).max().expect("streams");
    let older: Vec<String> = all.iter().filter(|l| place(l).0 != newest).cloned().collect();
    v.add("older", &older, 0, "all");
    v.add("end-cut-off-and-checkpoints", &older, 3, "all");
    let bare: Vec<String> = all.iter().filter(|l| !l.contains("\"title\":\"audit_checkpoint\"")).cloned().collect();
    v.add("no-checkpoints", &bare, 3, "all");
}

/// One life of the program, and all that is done to what it has delivered.
fn of_life(hash: &str, den: &Den, v: &mut Vectors) -> String {
    let key = life(den, &Life { hash, rounds: 1, events: 9, deaths: false, key_life: "1s" });
    let (all, high) = (lines_of(den, "all.jsonl"), lines_of(den, "high.jsonl"));
    v.add("clean", &all, 0, "all");
    v.add("filtered", &high, 0, "high");
    // What has nothing to do with the hash stands in one set.
    if hash == "sha256" {
        of_exports(v, &all);
        of_events(v, &all);
    }
    of_evidence(v, &all, &high);
    key
}

/// A receiver that is forgotten and begins anew, in the fourth start: what it lacked stood in two streams, of which the second is
/// closed later than the checkpoint that first tells of it.
fn of_one_who_began_anew(den: &Den, v: &mut Vectors) -> String {
    let (seal, away) = (den.file("seal"), den.file("seal.away"));
    let key = Command::new(binary()).args(["seal", "init", "--seal", &seal]).output().expect("it starts");
    assert!(key.status.success(), "{}", text(&key.stderr));
    let (its, aside) = (den.file("its"), den.file("its.aside"));
    let setup = Setup::new(den).args(&["--seal", &seal, "--drain", "1s", "--instance", "i1"]);
    let setup = setup.url(&format!("file://{}", den.file("all.jsonl"))).args(&["--name", "all"]);
    let setup = setup.url(&format!("file://{its}/late.jsonl")).args(&["--name", "late"]);
    let mv = |from: &str, to: &str| std::fs::rename(from, to).expect("it is renamed");
    std::fs::create_dir(&its).expect("a directory");
    for start in 0..4 {
        match start {
            // A file stands where its directory was.
            1 => {
                mv(&its, &aside);
                den.put("its", String::new());
            }
            2 => mv(&seal, &away),
            3 => {
                let forgot = setup.tool(&["spool", "forget", "late", "--no-config", "--spool-dir", &den.file("spool")]);
                assert!(forgot.status.success(), "{}", text(&forgot.stderr));
                mv(&away, &seal);
                std::fs::remove_file(&its).expect("a file");
                mv(&aside, &its);
            }
            _ => {}
        }
        let event = |n: usize| {
            format!(
                r#"{{"id":"1.0.{n}","message":"m {n}","severity":"low","time":"2026-11-21T01:27:28.815+0000","title":"t"}}"#
            )
        };
        let input: Vec<String> = (1..=9).map(|n| event(9 * start + n)).collect();
        let out = setup.run((input.join("\n") + "\n").as_bytes());
        assert!(out.status.success(), "{}", text(&out.stderr));
    }
    let (all, late) = (lines_of(den, "all.jsonl"), lines_of(den, "its/late.jsonl"));
    let at = having(&late, "\"m 5\"")[0];
    let without = [&late[..at], &late[at + 1..]].concat();
    v.add("clean", &all, 0, "all");
    v.add("began-anew", &late, 3, "late");
    v.add("began-anew-and-checkpoints", &late, 3, "late");
    // What it was given before that is missed all the same.
    v.add("removed-before", &without, 1, "late");
    v.add("removed-before-and-checkpoints", &without, 1, "late");
    text(&key.stdout).trim().to_owned()
}

fn lines_of(den: &Den, name: &str) -> Vec<String> {
    std::fs::read_to_string(den.file(name)).expect("an export").lines().map(String::from).collect()
}

/// Lives, what is done to the exports, and what is to be said of them.
fn write(set: &str) {
    let (den, mut v) = (Den::new(&format!("vectors-{set}")), Vectors::default());
    let made = match set {
        "began-anew" => of_one_who_began_anew(&den, &mut v),
        hash => of_life(hash, &den, &mut v),
    };
    let (dir, mut verdicts) = (dir(set), HEAD.to_owned());
    std::fs::create_dir_all(&dir).expect("a directory");
    let put = |name: &str, text: &str| std::fs::write(dir.join(name), text).expect("a file of the repository");
    put("key", &format!("{made}\n"));
    put("checkpoints", &std::fs::read_to_string(den.file("seal/checkpoints")).expect("checkpoints"));
    for (name, lines, exit, receiver) in &v.0 {
        put(&format!("{name}.jsonl"), &(lines.join("\n") + "\n"));
        let more = if name.ends_with(WITH_CHECKPOINTS) { "checkpoints" } else { "-" };
        verdicts.push_str(&format!("{name} {exit} {receiver} {more}\n"));
    }
    put("verdicts.txt", &verdicts);
}

/// Ours and the independent one say of each what is said there. `python`: what runs the latter, if anything.
fn agree(set: &str, python: Option<PathBuf>) {
    if std::env::var_os("GOSTECH_WRITE_VECTORS").is_some() {
        write(set);
    }
    let dir = dir(set);
    let file = |name: &str| dir.join(name).display().to_string();
    let verdicts = std::fs::read_to_string(file("verdicts.txt")).expect("verdicts");
    let mut judged = 0;
    for line in verdicts.lines().filter(|l| !l.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, exit, receiver, more] = words[..] else { panic!("{line}") };
        let (key, checkpoints, export) = (file("key"), file("checkpoints"), file(&format!("{name}.jsonl")));
        let mut common = vec!["--key", &key, "--receiver", receiver];
        if more == "checkpoints" {
            common.extend(["--checkpoints", &checkpoints]);
        }
        let said = |out: Output| {
            let code = out.status.code().map_or_else(String::new, |c| c.to_string());
            (code, text(&out.stdout) + &text(&out.stderr))
        };
        let ours = Command::new(binary()).args(["seal", "verify", "--export", &export]).args(&common).output();
        let (code, ours) = said(ours.expect("ours"));
        assert_eq!(code, exit, "{set} {name}\n{ours}");
        if let Some(python) = &python {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify.py");
            let theirs = Command::new(python).arg(script).args(&common).arg(&export).output();
            let (code, theirs) = said(theirs.expect("it starts"));
            assert_eq!(code, exit, "{set} {name}\n{ours}\n{theirs}");
        }
        judged += 1;
    }
    let is_export =
        |f: std::io::Result<std::fs::DirEntry>| f.is_ok_and(|f| f.path().extension() == Some("jsonl".as_ref()));
    let exports = std::fs::read_dir(&dir).expect("vectors").filter_map(|f| is_export(f).then_some(())).count();
    assert!(judged == exports && judged > 4, "{judged} of {exports}");
}

#[test]
fn both_verifiers_agree_on_all_vectors() {
    agree("sha256", Some("/usr/bin/python3".into()));
}

#[test]
fn both_verifiers_agree_on_a_receiver_that_began_anew() {
    agree("began-anew", Some("/usr/bin/python3".into()));
}

/// Python knows this hash by a package alone; ours always does.
#[test]
fn both_verifiers_agree_on_all_vectors_of_the_other_hash() {
    agree("streebog256", peer("gost-python"));
}
