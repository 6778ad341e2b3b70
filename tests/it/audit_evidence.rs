//! Sealing from end to end: what the real program has delivered is verified, through deaths and filters, and each change that is
//! made to the export is found, by `seal verify` and by the independent `docs/verify.py`.

use crate::harness::setup::{binary, text};
use crate::harness::{events::Chance, long, procs, wait, Den, Events, Setup};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// An export of the real program, and the key that it is verified with.
struct Real {
    den: Den,
    key: String,
    lines: Vec<String>,
}

/// Three starts of the program, one of them with deaths of its worker; receivers with a filter and without.
fn real(name: &str) -> Real {
    let den = Den::new(name);
    let seal = den.file("seal");
    let key = Command::new(binary()).args(["seal", "init", "--seal", &seal]).output().expect("it starts");
    assert!(key.status.success(), "{}", text(&key.stderr));
    let key = text(&key.stdout).trim().to_owned();
    let setup = Setup::new(&den).args(&["--seal", &seal, "--drain", "60s"]);
    let setup = setup.url(&format!("file://{}", den.file("all.jsonl"))).args(&["--name", "all"]);
    let setup =
        setup.url(&format!("file://{}", den.file("high.jsonl"))).args(&["--name", "high", "--only", "severity=high"]);
    let mut events = Events::new(1, 1);
    for start in 0..3 {
        let mut picodata = setup.picodata();
        let mut worker = picodata.wait_worker(None);
        for round in 0..4 {
            picodata.events(&mut events, 40, 4_000);
            picodata.write("no JSON \u{1} at all").expect("the pipe never breaks");
            picodata
                .write(r#"{"id":"1.1.1000000","title":"nested","severity":"high","n":[1,{"a":1.50}]}"#)
                .expect("a pipe");
            if start == 1 {
                std::thread::sleep(Duration::from_millis(60 * round));
                procs::kill9(worker);
                worker = picodata.wait_worker(Some(worker));
            }
        }
        assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    }
    let export = std::fs::read_to_string(den.file("all.jsonl")).expect("an export");
    Real { key, lines: export.lines().map(String::from).collect(), den }
}

impl Real {
    fn verify(&self, lines: &[String], more: &[&str]) -> Output {
        let file = self.den.put("export.jsonl", lines.join("\n") + "\n");
        let mut call = Command::new(binary());
        call.args(["seal", "verify", "--json", "--key", &self.key, "--export", &file, "--receiver", "all"]).args(more);
        call.output().expect("it starts")
    }

    fn python(&self, lines: &[String]) -> Output {
        let file = self.den.put("export-python.jsonl", lines.join("\n") + "\n");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify.py");
        let mut call = Command::new("/usr/bin/python3");
        call.arg(script).args(["--key", &self.key, "--receiver", "all", &file]).output().expect("python3")
    }

    /// The lines with an event of the database in a stream that has ended.
    fn targets(&self) -> Vec<usize> {
        let parsed: Vec<Value> = self.lines.iter().map(|l| serde_json::from_str(l).expect("JSON")).collect();
        let stream = |v: &Value| v["gostech"]["seal"]["stream"].as_str().expect("sealed").to_owned();
        let newest = parsed.iter().map(stream).max().expect("events");
        let is_target = |v: &Value| v["gostech"]["seal"]["leaf"].is_string() && stream(v) != newest;
        (0..parsed.len()).filter(|&i| is_target(&parsed[i])).collect()
    }
}

/// Whether it is found that this place was tampered with in this way.
fn is_named(out: &Output, verdict: &str, (stream, seq): &(String, u64)) -> bool {
    let page: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let number = |v: &Value| v.as_u64().unwrap_or(0);
    page["findings"].as_array().expect("findings").iter().any(|f| {
        f["verdict"] == verdict
            && f["stream"] == stream.as_str()
            && (number(&f["from"])..=number(&f["to"])).contains(seq)
    })
}

fn place(line: &str) -> (String, u64) {
    let v: Value = serde_json::from_str(line).expect("JSON");
    let seal = &v["gostech"]["seal"];
    (seal["stream"].as_str().expect("a stream").to_owned(), seal["seq"].as_u64().expect("a place"))
}

/// The seal of a line, as it stands there.
fn seal(line: &str) -> &str {
    let from = line.find("\"seal\":{").expect("a seal");
    &line[from..from + line[from..].find('}').expect("its end") + 1]
}

#[test]
fn what_was_delivered_is_authentic_in_whatever_order_and_number() {
    let real = real("evidence-clean");
    let mut chance = Chance::new(5);
    for round in 0..6 {
        let mut lines = real.lines.clone();
        if round > 0 {
            for i in (1..lines.len()).rev() {
                lines.swap(i, chance.within(0, i as u64) as usize);
            }
            let again: Vec<String> =
                (0..50).map(|_| lines[chance.within(0, lines.len() as u64 - 1) as usize].clone()).collect();
            lines.extend(again);
        }
        if round > 3 {
            // As an index gives them.
            lines = lines
                .iter()
                .map(|l| {
                    format!(
                        r#"{{"_index":"a","_id":"1","_source":{}}}"#,
                        l.replacen('{', r#"{"@version":"1","host":{"name":"h"},"tags":["a"],"#, 1)
                    )
                })
                .collect();
        }
        let out = real.verify(&lines, &[]);
        assert_eq!(out.status.code(), Some(0), "round {round}: {}", text(&out.stdout));
        assert_eq!(real.python(&lines).status.code(), Some(0), "round {round}: {}", text(&real.python(&lines).stdout));
    }
    // With a filter what is not of severity high is kept back, and signed as such.
    let high = std::fs::read_to_string(real.den.file("high.jsonl")).expect("an export");
    assert!(high.lines().count() < real.lines.len());
    let file = real.den.file("high.jsonl");
    let mut call = Command::new(binary());
    let out = call
        .args(["seal", "verify", "--key", &real.key, "--export", &file, "--receiver", "high"])
        .output()
        .expect("starts");
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stdout));
    // And the same said of one that has no filter is a removal of nearly everything.
    let mut call = Command::new(binary());
    let out = call
        .args(["seal", "verify", "--key", &real.key, "--export", &file, "--receiver", "all"])
        .output()
        .expect("starts");
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stdout));
}

#[test]
fn each_change_of_a_real_export_is_found_and_named() {
    let real = real("evidence-tampered");
    let targets = real.targets();
    assert!(targets.len() > 200, "{} of {}", targets.len(), real.lines.len());
    let rounds = if long() { 10_000 } else { 400 };
    let mut chance = Chance::new(11);
    for round in 0..rounds {
        let mut pick = || targets[chance.within(0, targets.len() as u64 - 1) as usize];
        let (i, mut j) = (pick(), pick());
        while seal(&real.lines[j]) == seal(&real.lines[i]) {
            j = pick();
        }
        let mut lines = real.lines.clone();
        let (stream, seq) = place(&lines[i]);
        let seals = [seal(&lines[i]).to_owned(), seal(&lines[j]).to_owned()];
        let kind = round % 6;
        match kind {
            // One character of one field of the database's.
            0 => {
                let at = lines[i].rfind("\"title\":\"").expect("a title") + 9;
                lines[i].replace_range(at..at + 1, "~");
            }
            1 => drop(lines.remove(i)),
            2 => lines.insert(j, lines[i].replace(&seals[0], "\"other\":{}")),
            3 => {
                lines[i] = lines[i].replace(&seals[0], &seals[1]);
                lines[j] = real.lines[j].replace(&seals[1], &seals[0]);
            }
            4 => lines[i] = lines[j].replace(&seals[1], &seals[0]),
            _ => lines[i] = lines[i].replacen(",\"id\":", ",\"more\":\"x\",\"id\":", 1),
        }
        if lines == real.lines {
            continue;
        }
        let wanted = ["altered", "removed", "inserted", "altered", "altered", "altered"][kind as usize];
        let out = real.verify(&lines, &[]);
        let said = || format!("round {round}, kind {kind}, {stream} {seq}: {}", text(&out.stdout));
        assert_eq!(out.status.code(), Some(1), "{}", said());
        match kind {
            // It has no place.
            2 => assert!(text(&out.stdout).contains("\"inserted\""), "{}", said()),
            _ => {
                // What stands at a place and was never sealed there is called either way.
                let other = if wanted == "altered" { "inserted" } else { wanted };
                let at = (stream.clone(), seq);
                assert!(is_named(&out, wanted, &at) || is_named(&out, other, &at), "{}", said());
            }
        }
        if round % 40 < 6 {
            let python = real.python(&lines);
            assert_eq!(python.status.code(), Some(1), "{}\n{}", said(), text(&python.stdout));
        }
    }
}

#[test]
fn an_end_that_was_cut_off_is_seen_and_a_stranger_signs_nothing() {
    let real = real("evidence-end");
    let checkpoints = real.den.file("seal") + "/checkpoints";
    // Of the last stream nothing is left: with a copy of the checkpoints that is seen, and cannot be told from an older export.
    let newest = real.lines.iter().map(|l| place(l).0).max().expect("events");
    let cut: Vec<String> = real.lines.iter().filter(|l| place(l).0 != newest).cloned().collect();
    let out = real.verify(&cut, &["--checkpoints", &checkpoints]);
    assert_eq!(out.status.code(), Some(3), "{}", text(&out.stdout));
    assert!(text(&out.stdout).contains("missing-end"), "{}", text(&out.stdout));
    // A key of somebody else's believes nothing.
    let other = real.den.file("other");
    let key = Command::new(binary()).args(["seal", "init", "--seal", &other]).output().expect("it starts");
    let mut call = Command::new(binary());
    let file = real.den.put("whole.jsonl", real.lines.join("\n") + "\n");
    let out =
        call.args(["seal", "verify", "--key", text(&key.stdout).trim(), "--export", &file]).output().expect("starts");
    assert!(matches!(out.status.code(), Some(1 | 3)), "{}", text(&out.stdout));
    // A second key is never made over the first.
    let again = Command::new(binary()).args(["seal", "init", "--seal", &other]).output().expect("it starts");
    assert_eq!(again.status.code(), Some(2), "{}", text(&again.stderr));
}

#[test]
fn a_directory_that_cannot_be_used_is_told_and_signs_later() {
    let den = Den::new("evidence-late");
    let seal = den.file("seal");
    let out = den.file("out.jsonl");
    let setup = Setup::new(&den).args(&["--seal", &seal]).url(&format!("file://{out}"));
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 50, 4_000);
    wait("the alarm", LIMIT, || picodata.err().contains("checkpoints cannot be signed"));
    let there = || std::fs::read_to_string(&out).unwrap_or_default();
    wait("delivery all the same", LIMIT, || there().lines().count() >= 50);
    let key = Command::new(binary()).args(["seal", "init", "--seal", &seal]).output().expect("it starts");
    let key = text(&key.stdout).trim().to_owned();
    wait("a checkpoint", LIMIT, || there().contains("audit_checkpoint"));
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let mut call = Command::new(binary());
    let out = call.args(["seal", "verify", "--key", &key, "--export", &out]).output().expect("starts");
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stdout));
    assert!(text(&out.stdout).contains("50 events authentic"), "{}", text(&out.stdout));
}

/// Exports that stand in the repository, for whoever writes a verifier: ours and the independent one say of each what is said there.
#[test]
fn both_verifiers_agree_on_all_vectors() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/evidence");
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
        let ours =
            Command::new(binary()).args(["seal", "verify", "--export", &export]).args(&common).output().expect("ours");
        let script = dir.join("../../../docs/verify.py");
        let theirs = Command::new("/usr/bin/python3").arg(script).args(&common).arg(&export).output().expect("python3");
        let codes = [ours.status.code(), theirs.status.code()].map(|c| c.map_or_else(String::new, |c| c.to_string()));
        assert_eq!(codes, [exit, exit], "{name}\n{}\n{}", text(&ours.stdout), text(&theirs.stdout));
        judged += 1;
    }
    assert!(judged > 15, "{judged}");
}
