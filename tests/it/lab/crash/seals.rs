//! The scenario in which a helper dies in the middle of sealing: what was delivered proves itself all the same.

use super::after::{counters, status, verify, BATCH, LIMIT};
use super::stage::Stage;
use super::trail::{judge, Demands};
use super::After;
use crate::harness::setup::text;
use crate::harness::Events;
use crate::outlets::docs_of;
use gostech::audit::seal::checkpoint::Why;
use gostech::audit::seal::{Algorithm, Checkpoint, Note, SigningKey, StreamId, Tree, VerifierKey};
use gostech::{json, limits};
use std::collections::BTreeSet;

/// A file receiver, a stream of events, and a key that lives for a second.
pub fn sealed(stage: &Stage) -> After {
    run(stage, &|_| ())
}

/// The same with a file of checkpoints that is as long as they become.
pub fn long(stage: &Stage) -> After {
    let after = run(stage, &|dir| {
        let seed = std::fs::read_to_string(format!("{dir}/key")).expect("a key");
        let seed =
            json::from_base64(seed.split_whitespace().last().unwrap_or_default()).and_then(|s| s.try_into().ok());
        let key = SigningKey::of_seed(&seed.expect("a seed")).expect("a key");
        let stream = StreamId::new(1, [2; 9], Algorithm::Sha256);
        let c = Checkpoint::of(stream, &Tree::new(Algorithm::Sha256), Why::Closed, 1);
        let note = Note::sign(&c.write(), &key) + "\n";
        let all = note.repeat(limits::SEAL_CHECKPOINTS_BYTES as usize / note.len());
        std::fs::write(format!("{dir}/checkpoints"), all).expect("written");
    });
    let old = std::fs::metadata(stage.den.file("seal/checkpoints-1")).expect("it is put aside");
    assert!(old.len() + 4096 > limits::SEAL_CHECKPOINTS_BYTES, "{}", stage.title);
    after
}

fn run(stage: &Stage, prepare: &dyn Fn(&str)) -> After {
    let (path, dir) = (stage.den.file("audit.jsonl"), stage.den.file("seal"));
    let setup = stage.roomy(&format!("file://{path}"));
    let out = stage.plain(&setup).tool(&["seal", "init", "--seal", &dir]);
    let key = VerifierKey::parse(text(&out.stdout).trim()).unwrap_or_else(|| panic!("no key: {out:?}"));
    prepare(&dir);
    let setup = stage.armed(setup.args(&["--seal", &dir, "--seal-key-life", "1s"]));
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    stage.write_until_dead(&mut picodata, &mut events, 600, 1000);
    picodata.close();
    picodata.wait_end(LIMIT);
    let (title, err) = (&stage.title, picodata.err());
    assert!(stage.all_dead(&picodata), "{title}: died {} times only\n{err}", stage.died(&err));
    let lines = crate::outlets::file::lines_of(&stage.den, "audit.jsonl");
    let is_evidence =
        |l: &&String| l.contains("\"title\":\"audit_leaves\"") || l.contains("\"title\":\"audit_checkpoint\"");
    let (docs, repeats) = docs_of(lines.iter().filter(|l| !is_evidence(l)).map(String::as_str));
    assert_eq!(picodata.ledger.compare(&docs), Ok(()), "{title}\n{err}");
    let (repeated, bound) = (repeats as u64, BATCH * stage.kills());
    assert!(repeated <= bound, "{title}: {repeated} repeats, more than {bound}");
    let demands = Demands { whole: true, complete: true, damaged: false };
    let told = judge("r1", &lines, &[], &key, &BTreeSet::new(), demands);
    assert_eq!(told, Ok(()), "{title}\n{err}");
    let read = |name: &str| std::fs::read_to_string(stage.den.file(name));
    let there = read("seal/checkpoints-1").unwrap_or_default() + &read("seal/checkpoints").expect("checkpoints");
    let signed: Vec<String> =
        there.split_inclusive("\n\n").collect::<Vec<_>>().chunks(2).map(|two| two.concat()).collect();
    let mut signed: Vec<String> = signed.iter().map(|note| note.strip_suffix('\n').unwrap_or(note).into()).collect();
    signed.dedup();
    assert_eq!(
        judge("r1", &lines, &signed, &key, &BTreeSet::new(), demands),
        Ok(()),
        "{title}: with what is in the directory"
    );
    let records = picodata.ledger.len() as u64;
    assert_eq!(counters(&status(&setup, stage), "default", title), records, "{title}");
    verify(&setup, stage);
    After { kills: stage.kills(), records, repeated, left_out: 0 }
}
