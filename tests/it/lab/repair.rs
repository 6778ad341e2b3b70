//! `spool verify` and `spool repair` on a spool that was damaged by hand: what they say, change, keep and leave alone.

use super::crash::tools::{damage_a_spool, files};
use super::real::{status, Real, LIMIT};
use crate::harness::setup::{contains, files_below, text};
use crate::harness::{Events, Setup};
use std::path::Path;

fn tool(setup: &Setup, args: &[&str], spool: &str) -> (Option<i32>, String) {
    let out = setup.tool(&[args, &["--no-config", "--spool-dir", spool]].concat());
    (out.status.code(), format!("{}{}", text(&out.stdout), text(&out.stderr)))
}

/// Every byte that the damaged files held is somewhere: in the backup, as it was.
fn assert_backed_up(dir: &Path, damaged: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>) {
    let now = files_below(dir);
    for (path, bytes) in damaged {
        let name = path.file_name();
        assert!(now.iter().any(|(p, b)| p.file_name() == name && b == bytes), "the bytes of {path:?} are gone");
    }
}

#[test]
fn repair_says_first_keeps_all_and_makes_it_clean() {
    let real = Real::new("lab-repair");
    real.receiver.down();
    let base = real.setup().args(&["--spool-max", "256K"]);
    let setup = short_drain(base.clone());
    let mut first = setup.picodata();
    let mut events = Events::new(1, 1);
    first.events(&mut events, 600, 10_000);
    assert_eq!(first.finish(LIMIT), 0, "{}", first.err());
    let (dir, spool) = (real.den.path().join("spool/default"), real.den.file("spool"));
    assert_eq!(tool(&setup, &["spool", "verify"], &spool).0, Some(0));
    let damaged = damage_a_spool(&dir);
    let (code, said) = tool(&setup, &["spool", "verify"], &spool);
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = tool(&setup, &["spool", "repair"], &spool);
    assert!(code == Some(1) && said.contains("--apply"), "{code:?} {said}");
    assert_eq!(files(&dir), damaged, "without --apply nothing is changed");
    let (code, said) = tool(&setup, &["spool", "repair", "--apply"], &spool);
    assert_eq!(code, Some(0), "{said}");
    assert_backed_up(&dir, &damaged);
    let aside =
        files(&dir).into_iter().any(|(p, b)| p.extension().is_some_and(|e| e == "bad") && contains(&b, &[0xab; 64]));
    assert!(aside, "the damaged bytes are in no .bad file");
    let (code, said) = tool(&setup, &["spool", "repair"], &spool);
    assert!(code == Some(0) && said.contains("nothing to repair"), "{code:?} {said}");
    real.receiver.up();
    let mut second = base.picodata();
    crate::harness::wait("the rest is delivered", LIMIT, || real.receiver.count() >= 599);
    assert_eq!(second.finish(LIMIT), 1, "something was lost, counted and said\n{}", second.err());
    let docs = real.receiver.docs();
    let missing = first.ledger.missing(&docs).len() as u64;
    let told: u64 = docs.iter().filter_map(|d| d.value["missing"].as_u64()).sum();
    assert!((1..=2).contains(&missing) && told == missing, "{missing} missing, {told} told");
    let (code, said) = tool(&setup, &["spool", "verify"], &spool);
    assert_eq!(code, Some(0), "{said}");
    let (counters, receiver) = status(&setup, &real.den);
    assert_eq!(counters["damaged"], told, "{counters} {receiver}");
    real.say("repair: damage in 2 segments, a cursor", 3, first.ledger.len());
}

/// The same setup that gives up on the receiver at once.
fn short_drain(mut setup: Setup) -> Setup {
    let at = setup.args.iter().position(|a| a == "--drain").expect("the option");
    setup.args[at + 1] = "200ms".to_owned();
    setup
}
