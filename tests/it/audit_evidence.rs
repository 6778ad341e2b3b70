//! Sealing from end to end: what the real program has delivered is verified, through deaths and filters, and each change that is
//! made to the export is found, by `seal verify` and by the independent `docs/verify.py`.

mod vectors;

use crate::harness::setup::{binary, text};
use crate::harness::{events::Chance, long, procs, wait, Den, Events, Setup};
use gostech::audit::seal::{self, form, is_foreign, leaf, List, StreamId};
use gostech::stamp;
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

/// How the program lives.
struct Life<'a> {
    hash: &'a str,
    /// So many times so many events, and what is no flat object, in each of three starts.
    rounds: u64,
    events: usize,
    /// The worker of the second start dies.
    deaths: bool,
    key_life: &'a str,
}

/// Three starts of the program with receivers that have a filter and none. Gives the key.
fn life(den: &Den, how: &Life<'_>) -> String {
    let seal = den.file("seal");
    let key = Command::new(binary()).args(["seal", "init", "--seal", &seal]).output().expect("it starts");
    assert!(key.status.success(), "{}", text(&key.stderr));
    let setup = Setup::new(den).args(&["--seal", &seal, "--drain", "60s"]);
    let setup = setup.args(&["--seal-hash", how.hash, "--seal-key-life", how.key_life]);
    let setup = setup.url(&format!("file://{}", den.file("all.jsonl"))).args(&["--name", "all"]);
    let setup =
        setup.url(&format!("file://{}", den.file("high.jsonl"))).args(&["--name", "high", "--only", "severity=high"]);
    let mut events = Events::new(1, 1);
    for start in 0..3 {
        let mut picodata = setup.picodata();
        let mut worker = picodata.wait_worker(None);
        for round in 0..how.rounds {
            picodata.events(&mut events, how.events, 4_000);
            // No two are the same: to exchange the seals of those would change nothing that is sealed.
            for line in [
                "no JSON \u{1} at all, START.ROUND",
                r#"{"id":"1.1.1000000","title":"nested","severity":"high","n":[1,{"a":1.50}],"of":"START.ROUND"}"#,
                r#"{"id":"1.1.1000001","message":"привет \"q\" \\ \n\u0001 START.ROUND","severity":"high","title":"escapes"}"#,
            ] {
                let line = line.replace("START.ROUND", &format!("{start}.{round}"));
                picodata.write(&line).expect("the pipe never breaks");
            }
            if how.deaths && start == 1 {
                std::thread::sleep(Duration::from_millis(60 * round));
                procs::kill9(worker);
                worker = picodata.wait_worker(Some(worker));
            }
        }
        if !how.deaths {
            // The next key comes, and what is delivered is sealed by both.
            let all = || std::fs::read_to_string(den.file("all.jsonl")).unwrap_or_default();
            wait("a change of the key", LIMIT, || all().matches("\\nwhy key").count() > start);
        }
        assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    }
    text(&key.stdout).trim().to_owned()
}

/// The same with deaths.
fn real(name: &str) -> Real {
    let den = Den::new(name);
    let key = life(&den, &Life { hash: "sha256", rounds: 4, events: 40, deaths: true, key_life: "1d" });
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

    /// The lines of streams that have ended: with an event of the database, and lists.
    fn targets(&self) -> [Vec<usize>; 2] {
        let parsed: Vec<Value> = self.lines.iter().map(|l| serde_json::from_str(l).expect("JSON")).collect();
        let stream = |v: &Value| v["gostech"]["seal"]["stream"].as_str().expect("sealed").to_owned();
        let newest = parsed.iter().map(stream).max().expect("events");
        let is_list = |v: &Value| v["title"] == "audit_leaves";
        let is_event = |v: &Value| !is_list(v) && v["title"] != "audit_checkpoint";
        let those = |is: &dyn Fn(&Value) -> bool| {
            (0..parsed.len()).filter(|&i| is(&parsed[i]) && stream(&parsed[i]) != newest).collect()
        };
        [those(&is_event), those(&is_list)]
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

/// The list in this line, changed, with the leaf of what it says then.
fn rewritten(line: &str, change: impl FnOnce(&mut List)) -> String {
    let mut v: Value = serde_json::from_str(line).expect("JSON");
    let mut list = List::read(|name| v[name].as_str().map(Into::into)).expect("a list");
    change(&mut list);
    let time = v["time"].as_str().and_then(|t| stamp::parse_written(t.as_bytes())).expect("a time");
    let body = list.write(time.millis);
    let (stream, seq) = place(line);
    let hash = leaf(StreamId::parse(&stream).expect("a stream"), seq, form(&body), &body);
    v["gostech"]["seal"]["leaf"] = text(&seal::leaf::text(&hash)).into();
    let own: Value = serde_json::from_slice(&body).expect("an object");
    let fields = v.as_object_mut().expect("an object");
    fields.retain(|name, _| is_foreign(name));
    fields.extend(own.as_object().expect("an object").clone());
    v.to_string()
}

/// The list that tells of a place says that a filter has kept it back from a receiver. Where it stands, and its line.
fn excusing(lines: &[String], (stream, seq): &(String, u64), receiver: &str) -> Option<(usize, String)> {
    let tells = |line: &String| {
        let v: Value = serde_json::from_str(line).ok()?;
        let list = List::read(|name| v[name].as_str().map(Into::into)).filter(|_| v["title"] == "audit_leaves")?;
        Some(list.stream.to_string() == *stream && (list.from..list.end()).contains(seq))
    };
    let at = lines.iter().position(|l| tells(l) == Some(true))?;
    let told = rewritten(&lines[at], |list| {
        if !list.passes.iter().any(|(name, _)| name == receiver) {
            list.passes.insert(0, (receiver.into(), vec![true; list.places.len()]));
        }
        let (_, bits) = list.passes.iter_mut().find(|(name, _)| name == receiver).expect("its filter");
        bits[(seq - list.from) as usize] = false;
    });
    Some((at, told))
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

/// What is done to the line i, and sometimes to the line j.
fn change(lines: &mut Vec<String>, kind: u64, i: usize, j: usize) {
    let seals = [seal(&lines[i]).to_owned(), seal(&lines[j]).to_owned()];
    match kind {
        // One character of one field of the database's.
        0 => {
            let at = lines[i].rfind("\"title\":\"").expect("a title") + 9;
            lines[i].replace_range(at..at + 1, "~");
        }
        1 => remove(lines, i),
        2 => lines.insert(j, lines[i].replace(&seals[0], "\"other\":{}")),
        3 => {
            lines[i] = lines[i].replace(&seals[0], &seals[1]);
            lines[j] = lines[j].replace(&seals[1], &seals[0]);
        }
        4 => lines[i] = lines[j].replace(&seals[1], &seals[0]),
        // A list, whatever it told of; and an event that a list is to excuse.
        6 => remove(lines, i),
        7 => {
            let (list, told) = excusing(lines, &place(&lines[i]), "all").expect("a list of it");
            lines[list] = told;
            remove(lines, i);
        }
        _ => lines[i] = lines[i].replacen(",\"id\":", ",\"more\":\"x\",\"id\":", 1),
    }
}

/// A death may have had it delivered twice: it is gone when no copy is left.
fn remove(lines: &mut Vec<String>, i: usize) {
    let gone = lines[i].clone();
    lines.retain(|line| seal(line) != seal(&gone));
}

#[test]
fn each_change_of_a_real_export_is_found_and_named() {
    let real = real("evidence-tampered");
    let [targets, lists] = real.targets();
    assert!(targets.len() > 200 && lists.len() > 3, "{} of {}", targets.len(), real.lines.len());
    let rounds = if long() { 10_000 } else { 400 };
    let mut chance = Chance::new(11);
    // An index may have been pruned up to behind its oldest record: that alone cannot be told from the removal of it.
    let oldest = real.lines.iter().map(|l| place(l)).min().expect("events");
    for round in 0..rounds {
        let mut pick = || targets[chance.within(0, targets.len() as u64 - 1) as usize];
        let (i, mut j) = (pick(), pick());
        while seal(&real.lines[j]) == seal(&real.lines[i]) {
            j = pick();
        }
        let mut lines = real.lines.clone();
        let kind = round % 8;
        let i = if kind == 6 { lists[i % lists.len()] } else { i };
        let (stream, seq) = place(&lines[i]);
        change(&mut lines, kind, i, j);
        if lines == real.lines {
            continue;
        }
        let wanted = ["altered", "removed", "inserted", "altered", "altered", "altered", "removed", "removed"];
        let wanted = wanted[kind as usize];
        let out = real.verify(&lines, &[]);
        let said = || format!("round {round}, kind {kind}, {stream} {seq}: {}", text(&out.stdout));
        if matches!(kind, 1 | 6) && (&stream, seq) == (&oldest.0, oldest.1) {
            assert_eq!(out.status.code(), Some(0), "{}", said());
            assert!(is_named(&out, "pruned", &oldest), "{}", said());
            assert_eq!(real.python(&lines).status.code(), Some(0), "{}", said());
            continue;
        }
        assert_eq!(out.status.code(), Some(1), "{}", said());
        match kind {
            // It has no place.
            2 => assert!(text(&out.stdout).contains("\"inserted\""), "{}", said()),
            // The list is: what it says of the place is believed until then.
            7 => assert!(text(&out.stdout).contains("\"verdict\": \"altered\""), "{}", said()),
            _ => {
                // What stands at a place and was never sealed there is called either way.
                let other = if wanted == "altered" { "inserted" } else { wanted };
                let at = (stream.clone(), seq);
                assert!(is_named(&out, wanted, &at) || is_named(&out, other, &at), "{}", said());
            }
        }
        if round % 40 < 8 {
            let python = real.python(&lines);
            assert_eq!(python.status.code(), Some(1), "{}\n{}", said(), text(&python.stdout));
        }
    }
}

#[test]
fn the_oldest_record_alone_is_said_to_be_pruned_and_the_next_one_is_missed() {
    // Under load the first checkpoint may come before the first event.
    let mut lives = (0..9).map(|n| real(&format!("evidence-oldest-{n}")));
    let first = |real: &Real| real.lines.iter().map(|l| place(l)).min();
    let is_first = |real: &Real| real.targets()[0].iter().any(|&i| Some(place(&real.lines[i])) == first(real));
    let real = lives.find(is_first).expect("an event is first");
    let mut events = real.targets()[0].clone();
    events.sort_by_key(|&i| place(&real.lines[i]));
    for (at, exit, verdict) in [(0, 0, "pruned"), (1, 1, "removed")] {
        let mut lines = real.lines.clone();
        let gone = place(&lines[events[at]]);
        remove(&mut lines, events[at]);
        let out = real.verify(&lines, &[]);
        assert_eq!(out.status.code(), Some(exit), "{gone:?}: {}", text(&out.stdout));
        assert!(is_named(&out, verdict, &gone), "{gone:?}: {}", text(&out.stdout));
        assert_eq!(real.python(&lines).status.code(), Some(exit), "{gone:?}: {}", text(&real.python(&lines).stdout));
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
