//! Whole verdicts over trails that the core has made: honest ones in every disorder, and each with one thing done to it.

mod adversary;
mod attacks;
mod trail;

use super::claim::Line;
use super::findings::Grade;
use super::gather::{Gathered, Notes};
use super::said::{Reader, Said};
use super::trial::{judge, Verdict};
use crate::audit::seal::{Algorithm, Checkpoint, Note, VerifierKey};
use crate::error::Exit;
use crate::limits;
use trail::{key, life, strict_life, Chance, Record, Sealer, RECEIVERS};

/// A verdict over lines, of which some are read already.
fn over(said: &[Result<Said, Vec<u8>>], notes: &[String], keys: &[VerifierKey], only: Option<&str>) -> Verdict {
    let mut g = Gathered::new(Vec::new(), &std::env::temp_dir(), limits::VERIFY_HELD_BYTES);
    for (n, said) in said.iter().enumerate() {
        let line = Line { file: 0, number: n as u64 + 1 };
        match said {
            Ok(said) => g.said(said.clone(), line).unwrap(),
            Err(text) => g.line(text, line, true).unwrap(),
        }
    }
    let mut so_far = Notes::default();
    for note in notes {
        note.lines().chain([""]).for_each(|l| g.checkpoints(l.as_bytes(), Line::default(), true, &mut so_far).unwrap());
    }
    g.checkpoints(b"", Line::default(), true, &mut so_far).unwrap();
    judge(g, keys, only.map(String::from), true, &mut || ()).unwrap()
}

fn first_key() -> Vec<VerifierKey> {
    vec![key(1).verifier().clone()]
}

fn export(s: &Sealer, receiver: usize) -> Vec<Record> {
    s.records.iter().filter(|r| r.to[receiver]).cloned().collect()
}

fn read(line: &[u8]) -> Result<Said, Vec<u8>> {
    Reader::default().read(line).ok_or_else(|| line.to_vec())
}

fn told(v: &Verdict) -> String {
    let findings: Vec<String> =
        v.findings.all.iter().map(|f| format!("{:?} {:?} x{} {}", f.kind, f.places, f.count, f.text)).collect();
    findings.join("\n")
}

#[test]
fn an_honest_trail_is_clean_in_every_order_and_with_repeats() {
    for seed in 0..14u64 {
        let algorithm = Algorithm::ALL[seed as usize % 2];
        let s = life(seed, algorithm, 60);
        for (receiver, name) in RECEIVERS.iter().enumerate() {
            let mut chance = Chance(seed);
            let mut lines: Vec<Result<Said, Vec<u8>>> = export(&s, receiver).iter().map(|r| read(&r.line)).collect();
            for n in (1..lines.len()).rev() {
                lines.swap(n, chance.below(n + 1));
            }
            for _ in 0..lines.len() / 3 {
                let again = lines[chance.below(lines.len())].clone();
                let at = chance.below(lines.len());
                lines.insert(at, again);
            }
            let v = over(&lines, &[], &first_key(), Some(name));
            assert_eq!(v.findings.grade(), Grade::Fine, "{seed} {name}\n{}", told(&v));
            assert!(v.tally.authentic > 60 && v.tally.repeats > 20, "{:?}", v.tally);
            // With the file of checkpoints as well; and nobody says whose it is.
            let v = over(&lines, &s.notes, &first_key(), Some(name));
            assert_eq!(v.findings.grade(), Grade::Fine, "{seed} {name}\n{}", told(&v));
            let v = over(&lines, &[], &first_key(), Some("misspelt"));
            assert_eq!(v.findings.grade(), Grade::Unclear, "{seed} {name}\n{}", told(&v));
            let v = over(&lines, &[], &first_key(), None);
            assert_ne!(v.findings.grade(), Grade::Tampered, "{seed} {name}\n{}", told(&v));
        }
    }
}

/// The command over files: what it says, and its exit code.
#[test]
fn the_command_reads_files_and_says_its_verdict() {
    let dir = std::env::temp_dir().join(format!("gostech-verify-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.join(name), bytes).unwrap();
        dir.join(name).display().to_string()
    };
    let s = life(5, Algorithm::Sha256, 40);
    let all: Vec<Vec<u8>> = export(&s, 0).into_iter().map(|r| r.line).collect();
    let hits: Vec<Vec<u8>> =
        all.iter().map(|l| [&br#"{"_index":"a","_id":"1","_source":"#[..], l, b"}"].concat()).collect();
    let lines = |all: &[Vec<u8>]| [all.join(&b'\n'), b"\n".to_vec()].concat();
    let (good, wrapped) = (file("good", &lines(&all)), file("hits", &lines(&hits)));
    let less = file("less", &lines(&[&all[..40], &all[41..]].concat()));
    let cut = file("cut", &lines(&all)[..lines(&all).len() / 2]);
    let notes = file("checkpoints", s.notes.iter().map(|n| format!("{n}\n")).collect::<String>().as_bytes());
    let key = file("key", format!("# of ours\n{}\n", key(1).verifier()).as_bytes());
    let other = file("other", format!("{}\n", trail::key(99).verifier()).as_bytes());
    let tool = |args: &[&str]| super::super::tests::tool(&[&["seal", "verify"], args].concat());
    for args in [
        &["--export", &good, "--receiver", "siem", "--key", &key][..],
        &["--export", &wrapped, "--receiver", "siem", "--key", &key, "--export", &good],
        &[
            "--export",
            &good,
            "--receiver",
            "siem",
            "--key",
            &trail::key(1).verifier().to_string(),
            "--checkpoints",
            &notes,
        ],
        &["--checkpoints", &notes, "--key", &key],
    ] {
        let (exit, text) = tool(args);
        assert_eq!(exit, Exit::Clean, "{text}");
        assert!(text.contains("last checkpoint: number"), "{text}");
    }
    let (exit, text) = tool(&["--export", &less, "--receiver", "siem", "--key", &key, "--json"]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((exit, &value["verdict"]), (Exit::Failed, &"tampered".into()), "{text}");
    assert!(value["counts"]["removed"] == 1, "{text}");
    for (args, says) in [
        (
            &["--export", &good, "--receiver", "siem", "--key", &other][..],
            "believed checkpoint names: checkpoints 1 to",
        ),
        (&["--export", &good, "--receiver", "siem"], "no key is given"),
        (&["--export", &cut, "--receiver", "siem", "--key", &key, "--checkpoints", &notes], "cut off here"),
        (&["--export", &key, "--key", &key], "no checkpoint that can be believed"),
    ] {
        let (exit, text) = tool(args);
        assert_eq!(exit, Exit::CannotTell, "{text}");
        assert!(text.contains(says), "{text}");
    }
    for args in [&["--key", &key][..], &["--export", "/nowhere"], &["--export", &good, "--key", &good]] {
        assert_eq!(tool(args).0, Exit::Usage, "{args:?}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// A clock that went back makes no older checkpoint the last one.
#[test]
fn the_last_checkpoint_is_the_one_with_the_highest_number() {
    use crate::audit::seal::checkpoint::Why;
    let mut s = Sealer::new(3, Algorithm::Sha256);
    for why in [Why::Start, Why::Time, Why::Stop] {
        (0..5).for_each(|_| s.event());
        s.checkpoint(why);
        s.now -= 86_400_000;
    }
    let lines: Vec<Result<Said, Vec<u8>>> = export(&s, 0).iter().map(|r| read(&r.line)).collect();
    let v = over(&lines, &[], &first_key(), Some("siem"));
    assert_eq!((v.findings.grade(), v.newest.map(|n| n.0)), (Grade::Fine, Some(3)), "{}", told(&v));
}

/// As other tools write it.
#[test]
fn an_export_may_begin_with_a_mark_and_one_of_another_shape_has_its_cure_told() {
    let dir = std::env::temp_dir().join(format!("gostech-verify-shape-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let s = life(5, Algorithm::Sha256, 40);
    let all = export(&s, 0).into_iter().map(|r| r.line).collect::<Vec<_>>();
    let verify = |bytes: &[u8]| {
        let file = dir.join("export").display().to_string();
        std::fs::write(&file, bytes).unwrap();
        let key = key(1).verifier().to_string();
        super::super::tests::tool(&["seal", "verify", "--export", &file, "--receiver", "siem", "--key", &key])
    };
    let (exit, text) = verify(&[b"\xef\xbb\xbf", all.join(&b'\n').as_slice(), b"\n"].concat());
    assert_eq!(exit, Exit::Clean, "{text}");
    let (exit, text) = verify(&[b"[", all.join(&b","[..]).as_slice(), b"]\n"].concat());
    assert!(exit == Exit::CannotTell && text.contains("jq -c '.[]'"), "{text}");
    let (nothing, key) = (dir.join("nothing").display().to_string(), key(1).verifier().to_string());
    for content in ["", "no checkpoint\n\nat all\n"] {
        std::fs::write(&nothing, content).unwrap();
        let (exit, text) = super::super::tests::tool(&["seal", "verify", "--checkpoints", &nothing, "--key", &key]);
        assert!(exit == Exit::CannotTell && text.contains("there is no checkpoint in `"), "{text}");
    }
    let (exit, text) = verify(&b"one\n".repeat(50));
    let once = "unreadable (line 1 of `";
    assert!(exit == Exit::CannotTell && text.matches("unreadable").count() == 1 && text.contains(once), "{text}");
    std::fs::remove_dir_all(&dir).unwrap();
}

/// What strangers may write: nothing of it takes long, much memory, or a panic.
#[test]
fn absurd_claims_cost_nothing() {
    let s = life(3, Algorithm::Sha256, 20);
    let r = export(&s, 0);
    let honest: Vec<Result<Said, Vec<u8>>> = r.iter().map(|r| read(&r.line)).collect();
    let first = r.iter().find(|r| r.sort == trail::Sort::Event).unwrap();
    let text = String::from_utf8(first.line.clone()).unwrap();
    let seq = format!("\"seq\":{}", first.seq);
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let odd = [
        text.replace(&seq, "\"seq\":18446744073709551615"),
        text.replace(&seq, "\"seq\":18446744073709551614"),
        text.replace(&seq, "\"seq\":9223372036854775808"),
        text.replace(&seq, "\"seq\":0"),
        text.replace(&seq, "\"seq\":18446744073709551616"),
        text.replace(&seq, "\"seq\":1e400"),
        text.replace(&seq, "\"seq\":null"),
        text.replace("\"gostech\":{", "\"gostech\":[{"),
        deep,
        format!("{{\"_source\":{}{}", "{\"_source\":".repeat(90), "}".repeat(90)),
        format!("{{{}\"a\":1}}", "\"a\":1,".repeat(200_000)),
    ];
    for odd in &odd {
        let mut lines = honest.clone();
        lines.extend((0..50).map(|_| read(odd.as_bytes())));
        let v = over(&lines, &[], &first_key(), Some("siem"));
        assert_ne!(v.findings.grade(), Grade::Fine, "{}", &odd[..100.min(odd.len())]);
    }
    // Lists of places that are not there, at the end of all numbers, in thousands.
    let mut lines = honest.clone();
    for n in 0..2_000u64 {
        let places = vec![crate::audit::seal::Place::Leaf([n as u8; 32]); 100];
        let from = if n % 2 == 0 { u64::MAX - 100 } else { 1 };
        let list =
            crate::audit::seal::List { stream: s.stream, from, places, passes: vec![(n.to_string(), vec![true; 100])] };
        lines.push(read(&trail::line(s.stream, 1 << 50, &list.write(0))));
    }
    let begun = std::time::Instant::now();
    let v = over(&lines, &[], &first_key(), Some("siem"));
    assert_eq!(v.findings.grade(), Grade::Tampered);
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

/// A stream longer than a window, and claims that do not fit memory: the same verdict.
#[test]
fn long_ways_and_little_memory_give_the_same_verdict() {
    let s = life(8, Algorithm::Sha256, 300);
    let mut g = Gathered::new(Vec::new(), &std::env::temp_dir(), 2_000);
    let mut records = export(&s, 1);
    records.reverse();
    let gone = records.iter().position(|r| r.sort == trail::Sort::Event && r.seq == 30 && r.stream != s.stream);
    for (n, r) in records.iter().enumerate().filter(|(n, _)| Some(*n) != gone) {
        g.line(&r.line, Line { file: 0, number: n as u64 + 1 }, true).unwrap();
    }
    let v = judge(g, &first_key(), Some("soc".into()), true, &mut || ()).unwrap();
    let wanted = if gone.is_some() { Grade::Tampered } else { Grade::Fine };
    assert_eq!(v.findings.grade(), wanted, "{}", told(&v));
}

/// Receivers refuse lists and checkpoints as well, which is signed; with what the directory holds nothing else is missing.
#[test]
fn evidence_that_was_set_aside_is_explained() {
    let mut fine = 0;
    for seed in 0..20 {
        let s = strict_life(seed, Algorithm::Sha256, 60);
        for (receiver, name) in RECEIVERS.iter().enumerate() {
            let lines: Vec<Result<Said, Vec<u8>>> = export(&s, receiver).iter().map(|r| read(&r.line)).collect();
            for notes in [&[][..], &s.notes] {
                let v = over(&lines, notes, &first_key(), Some(name));
                assert_ne!(v.findings.grade(), Grade::Tampered, "{seed} {name}\n{}", told(&v));
                fine += usize::from(v.findings.grade() == Grade::Fine);
            }
        }
    }
    assert!(fine > 10, "{fine}");
}

/// An index that was pruned from its beginning on, to any record.
#[test]
fn a_pruned_index_is_never_called_tampered() {
    for seed in 0..6 {
        let s = life(seed, Algorithm::Sha256, 40);
        for receiver in [0, 1] {
            let lines: Vec<Result<Said, Vec<u8>>> = export(&s, receiver).iter().map(|r| read(&r.line)).collect();
            for from in (1..lines.len()).step_by(7) {
                for notes in [&[][..], &s.notes] {
                    let v = over(&lines[from..], notes, &first_key(), Some(RECEIVERS[receiver]));
                    assert_ne!(v.findings.grade(), Grade::Tampered, "{seed} {receiver} {from}\n{}", told(&v));
                }
            }
        }
    }
}

/// An older export beside a newer file of checkpoints, cut at any record.
#[test]
fn an_older_export_is_never_called_tampered() {
    for seed in 0..6 {
        let s = life(seed, Algorithm::Sha256, 40);
        for receiver in [0, 1] {
            let lines: Vec<Result<Said, Vec<u8>>> = export(&s, receiver).iter().map(|r| read(&r.line)).collect();
            for to in (1..lines.len()).step_by(7) {
                let v = over(&lines[..to], &s.notes, &first_key(), Some(RECEIVERS[receiver]));
                assert_ne!(v.findings.grade(), Grade::Tampered, "{seed} {receiver} {to}\n{}", told(&v));
            }
        }
    }
}

/// Delivery does not wait for the sealer, so what is signed as lost may have been delivered: nobody can tell whether it was that.
#[test]
fn an_event_in_the_place_of_a_lost_one_is_nobodys_proof() {
    let mut tried = 0;
    for seed in 0..20 {
        let s = life(seed, Algorithm::Sha256, 60);
        let sealed = |r: &&Record| r.sort == trail::Sort::Event && r.to == [false; 2] && r.stream != s.stream;
        let mut lines: Vec<Result<Said, Vec<u8>>> = export(&s, 0).iter().map(|r| read(&r.line)).collect();
        let lost: Vec<&Record> = s.records.iter().filter(sealed).collect();
        lines.extend(lost.iter().map(|r| read(&r.line)));
        let v = over(&lines, &[], &first_key(), Some("siem"));
        assert_ne!(v.findings.grade(), Grade::Tampered, "{seed}\n{}", told(&v));
        tried += usize::from(v.findings.grade() == Grade::Unclear);
    }
    assert!(tried > 5, "{tried}");
}

/// A receiver that is forgotten and configured anew never gets what it lacked, and nobody is told: by its counts that is seen.
#[test]
fn what_a_receiver_lacked_when_it_was_forgotten_was_not_removed() {
    for (forgotten, wanted) in [(true, Grade::Unclear), (false, Grade::Tampered)] {
        let mut s = Sealer::new(3, Algorithm::Sha256);
        s.checkpoint(crate::audit::seal::checkpoint::Why::Start);
        (0..20).for_each(|_| s.event());
        s.checkpoint(crate::audit::seal::checkpoint::Why::Time);
        let from = s.records.len();
        (0..20).for_each(|_| s.event());
        s.records[from..].iter_mut().for_each(|r| r.to[0] = false);
        if forgotten {
            s.forget(0);
        }
        s.checkpoint(crate::audit::seal::checkpoint::Why::Time);
        (0..20).for_each(|_| s.event());
        s.checkpoint(crate::audit::seal::checkpoint::Why::Stop);
        let lines: Vec<Result<Said, Vec<u8>>> = export(&s, 0).iter().map(|r| read(&r.line)).collect();
        let v = over(&lines, &[], &first_key(), Some("siem"));
        assert_eq!(v.findings.grade(), wanted, "{}", told(&v));
    }
}

/// It stood in a stream that is closed later than the one in which that is seen first.
#[test]
fn what_a_receiver_lacked_in_a_stream_that_is_closed_later_was_not_removed() {
    use crate::audit::seal::checkpoint::Why;
    for (forgotten, wanted) in [(true, Grade::Unclear), (false, Grade::Tampered)] {
        let mut s = Sealer::new(3, Algorithm::Sha256);
        s.checkpoint(Why::Start);
        (0..20).for_each(|_| s.event());
        s.checkpoint(Why::Time);
        let from = s.records.len();
        if forgotten {
            s.forget(0);
        }
        s.checkpoint(Why::Closed);
        (0..20).for_each(|_| s.event());
        s.records[from..].iter_mut().for_each(|r| r.to[0] = false);
        s.checkpoint(Why::Time);
        (0..20).for_each(|_| s.event());
        s.checkpoint(Why::Stop);
        let lines: Vec<Result<Said, Vec<u8>>> = export(&s, 0).iter().map(|r| read(&r.line)).collect();
        let v = over(&lines, &s.notes.clone(), &first_key(), Some("siem"));
        assert_eq!(v.findings.grade(), wanted, "{}", told(&v));
    }
}

/// It came, was forgotten and came again, and no checkpoint has told of it before.
#[test]
fn what_a_receiver_lacked_before_anybody_told_of_it_was_not_removed() {
    use crate::audit::seal::checkpoint::Why;
    for (told_of, wanted) in [(1, Grade::Unclear), (2, Grade::Tampered)] {
        let mut s = Sealer::new(3, Algorithm::Sha256);
        s.receivers = told_of;
        s.checkpoint(Why::Start);
        (0..30).for_each(|_| s.event());
        s.checkpoint(Why::Time);
        (0..5).for_each(|_| s.event());
        if told_of == 1 {
            s.forget(0);
        }
        s.receivers = 2;
        s.records[20..25].iter_mut().for_each(|r| r.to[0] = false);
        s.checkpoint(Why::Time);
        (0..20).for_each(|_| s.event());
        s.checkpoint(Why::Stop);
        let lines: Vec<Result<Said, Vec<u8>>> = export(&s, 0).iter().map(|r| read(&r.line)).collect();
        let v = over(&lines, &[], &first_key(), Some("siem"));
        assert_eq!(v.findings.grade(), wanted, "{}", told(&v));
    }
}

/// Whoever removes an event and clears its bit in the list has altered what is signed, and where it is not signed yet has one more
/// than the filter has counted.
#[test]
fn a_filter_does_not_cover_what_it_has_not_kept_back() {
    let (mut tried, mut caught) = (0, 0);
    for seed in 0..8 {
        let s = life(seed, Algorithm::Sha256, 60);
        let records = export(&s, 1);
        for (at, r) in records.iter().enumerate().filter(|(_, r)| r.sort == trail::Sort::Event).step_by(9) {
            let list = records.iter().position(|l| {
                let said = Reader::default().read(&l.line);
                let list =
                    said.and_then(|s| if let super::said::What::List(list) = s.what { Some(list) } else { None });
                list.is_some_and(|list| list.stream == r.stream && list.from <= r.seq && r.seq < list.end())
            });
            let Some(list) = list else { continue };
            let Some(Said { what: super::said::What::List(mut content), .. }) =
                Reader::default().read(&records[list].line)
            else {
                continue;
            };
            content.passes[0].1[(r.seq - content.from) as usize] = false;
            let mut lines: Vec<Result<Said, Vec<u8>>> = records.iter().map(|r| read(&r.line)).collect();
            let l = &records[list];
            lines[list] = read(&trail::line(l.stream, l.seq, &content.write(1_795_224_477_349)));
            drop(lines.remove(at));
            let v = over(&lines, &[], &first_key(), Some("soc"));
            tried += 1;
            let found = v.findings.grade() == Grade::Tampered;
            caught += usize::from(found);
            let signs = |note: &String| {
                let c = Checkpoint::read(&Note::parse(note).unwrap().body).unwrap();
                c.stream == l.stream && c.size >= l.seq
            };
            assert!(found || !s.notes.iter().any(signs), "{seed} {}\n{}", r.seq, told(&v));
        }
    }
    // Of the rest not where the filter was changed, nor in places that no two checkpoints enclose.
    assert!(tried > 60 && caught * 10 > tried * 6, "{caught} of {tried}");
}
