//! The directory of a seal: what a death leaves at every step, and what is in the way.

use super::*;
use crate::audit::seal::checkpoint::Why;
use crate::audit::seal::{Algorithm, StreamId, Tree};

fn temp(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("gostech-vault-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

/// The body that goes on behind the last one.
fn body(vault: &Vault, next_key: Option<VerifierKey>) -> String {
    let stream = StreamId::new(1, [2; 9], Algorithm::Sha256);
    let checkpoint = Checkpoint {
        number: vault.last().map_or(1, |l| l.checkpoint.number + 1),
        previous: vault.last().map(|l| l.hash),
        next_key,
        ..Checkpoint::of(stream, &Tree::new(Algorithm::Sha256), Why::Time, 5)
    };
    checkpoint.write()
}

fn append(vault: &mut Vault) -> String {
    let note = vault.sign(&body(vault, None));
    vault.append(&note).expect("appended");
    note
}

fn number(dir: &Path) -> Option<u64> {
    Vault::open(dir).expect("open").last().map(|l| l.checkpoint.number)
}

#[test]
fn checkpoints_are_found_again() {
    let dir = temp("again");
    let public = init(&dir, 7).unwrap();
    assert_eq!(std::fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    assert_eq!(std::fs::metadata(dir.join(KEY)).unwrap().mode() & 0o777, 0o600);
    assert!(in_the_way(&dir).is_some() && !was_never_made(&dir));
    let mut vault = Vault::open(&dir).unwrap();
    assert!(vault.last().is_none() && vault.key_created_ms() == 7);
    assert!(Vault::open(&dir).unwrap_err().contains("another helper"));
    let notes: Vec<String> = (0..3).map(|_| append(&mut vault)).collect();
    assert!(notes.iter().all(|note| Note::parse(note).unwrap().is_signed_by(&public)));
    assert!(vault.append("x").is_err());
    let last = vault.last().cloned();
    drop(vault);
    assert_eq!(std::fs::read_to_string(dir.join(CHECKPOINTS)).unwrap(), notes.join("\n") + "\n");
    let vault = Vault::open(&dir).unwrap();
    assert_eq!((vault.last().cloned(), vault.last().map(|l| l.note.clone())), (last, notes.last().cloned()));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_torn_checkpoint_is_cut_off_wherever_it_was_torn() {
    let dir = temp("torn");
    init(&dir, 7).unwrap();
    let mut vault = Vault::open(&dir).unwrap();
    append(&mut vault);
    let one = vault.end;
    append(&mut vault);
    drop(vault);
    let whole = std::fs::read(dir.join(CHECKPOINTS)).unwrap();
    for length in 0..whole.len() {
        // Some file systems leave zeros where bytes were to come.
        for tail in [&[][..], &[0; 9]] {
            std::fs::write(dir.join(CHECKPOINTS), [&whole[..length], tail].concat()).unwrap();
            let wanted = if (length as u64) < one { None } else { Some(1) };
            assert_eq!(number(&dir), wanted, "{length}");
            assert_eq!(std::fs::metadata(dir.join(CHECKPOINTS)).unwrap().len(), wanted.map_or(0, |_| one));
        }
    }
    std::fs::write(dir.join(CHECKPOINTS), [&whole[..], &[0; 99]].concat()).unwrap();
    assert_eq!(number(&dir), Some(2));
    for damage in [vec![b'x'; limits::NOTE_BYTES + 1], String::from_utf8(whole).unwrap().replace("why", "wh").into()] {
        std::fs::write(dir.join(CHECKPOINTS), damage).unwrap();
        assert!(Vault::open(&dir).unwrap_err().contains("move it away"));
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_change_of_keys_goes_on_from_every_step() {
    let dir = temp("change");
    let first = init(&dir, 7).unwrap();
    let mut vault = Vault::open(&dir).unwrap();
    let next = vault.next_key(8).unwrap();
    let old = std::fs::read(dir.join(KEY)).unwrap();
    let new = std::fs::read(dir.join(NEXT)).unwrap();
    // A death here: the key is still the old one, and the next one is used later.
    drop(vault);
    let mut vault = Vault::open(&dir).unwrap();
    assert_eq!((vault.next_key(9), vault.key_created_ms()), (Ok(next.clone()), 7));
    let note = vault.sign(&body(&vault, Some(next.clone())));
    assert!(Note::parse(&note).unwrap().is_signed_by(&first));
    vault.append(&note).unwrap();
    drop(vault);
    let signed_by_next = |vault: &Vault| Note::parse(&vault.sign("a\n")).unwrap().is_signed_by(&next);
    // Deaths behind the checkpoint: as it was, with the old key written over, and half written over.
    for left in [&old[..], &vec![0; old.len()], &[&[0; 9], &old[9..]].concat(), b""] {
        std::fs::write(dir.join(KEY), left).unwrap();
        std::fs::write(dir.join(NEXT), &new).unwrap();
        let vault = Vault::open(&dir).unwrap();
        assert!(signed_by_next(&vault) && vault.key_created_ms() == 8);
        assert!(is_missing(&dir.join(NEXT)) && std::fs::read(dir.join(KEY)).unwrap() == new);
    }
    // Without a death, and once more without one to follow.
    std::fs::write(dir.join(KEY), &new).unwrap();
    let mut vault = Vault::open(&dir).unwrap();
    let third = vault.next_key(10).unwrap();
    vault.append(&vault.sign(&body(&vault, Some(third.clone())))).unwrap();
    vault.change().unwrap();
    append(&mut vault);
    assert!(Note::parse(&vault.last().unwrap().note).unwrap().is_signed_by(&third) && vault.key_created_ms() == 10);
    drop(vault);
    assert_eq!(number(&dir), Some(3));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_is_in_the_way_is_said_with_its_cure() {
    let dir = temp("way");
    assert!(Vault::open(&dir).unwrap_err().contains("seal init") && !was_never_made(&dir));
    std::fs::create_dir(&dir).unwrap();
    assert!(was_never_made(&dir) && in_the_way(&dir).is_none());
    assert!(Vault::open(&dir).unwrap_err().contains("there is no key"));
    std::fs::remove_file(dir.join(CHECKPOINTS)).unwrap();
    init(&dir, 7).unwrap();
    let mut vault = Vault::open(&dir).unwrap();
    let next = vault.next_key(8).unwrap();
    vault.append(&vault.sign(&body(&vault, Some(next)))).unwrap();
    drop(vault);
    std::fs::remove_file(dir.join(NEXT)).unwrap();
    assert!(Vault::open(&dir).unwrap_err().contains("names is not there"));
    for text in ["", "x", "gostech-seal-key 2 7 AAAA\n", "gostech-seal-key 1 7 AAAA\n"] {
        std::fs::write(dir.join(KEY), text).unwrap();
        assert!(Vault::open(&dir).unwrap_err().contains("no key of"), "{text}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_was_put_aside_is_not_written_to() {
    let dir = temp("aside");
    init(&dir, 7).unwrap();
    let mut vault = Vault::open(&dir).unwrap();
    append(&mut vault);
    let whole = std::fs::read(dir.join(CHECKPOINTS)).unwrap();
    std::fs::rename(dir.join(CHECKPOINTS), dir.join("old")).unwrap();
    let note = vault.sign(&body(&vault, None));
    assert!(vault.append(&note).unwrap_err().contains("moved away"));
    drop(vault);
    let mut vault = Vault::open(&dir).unwrap();
    assert!(vault.last().is_none());
    append(&mut vault);
    assert_eq!(std::fs::read(dir.join("old")).unwrap(), whole);
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(vault.append(&note).is_err());
}

fn names(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(CHECKPOINTS)).collect();
    names.sort();
    names
}

#[test]
fn a_long_file_is_put_aside_and_the_next_one_begins_with_its_last() {
    let dir = temp("aside-long");
    init(&dir, 7).unwrap();
    let mut vault = Vault::open(&dir).unwrap();
    let mut notes = vec![append(&mut vault), append(&mut vault)];
    vault.most = 2 * vault.end - 1;
    notes.extend((0..5).map(|_| append(&mut vault)));
    drop(vault);
    assert_eq!(names(&dir), ["checkpoints", "checkpoints-1", "checkpoints-3"]);
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    for (name, from, to) in [("checkpoints-1", 0, 3), ("checkpoints-3", 2, 5), (CHECKPOINTS, 4, 7)] {
        assert_eq!(read(name), notes[from..to].join("\n") + "\n", "{name}");
    }
    // What is in the way of an old one does not hold up the new ones.
    std::fs::write(dir.join("checkpoints-5"), "x").unwrap();
    let mut vault = Vault::open(&dir).unwrap();
    vault.most = 0;
    append(&mut vault);
    append(&mut vault);
    assert_eq!((read("checkpoints-5").as_str(), names(&dir).len()), ("x", 4));
    drop(vault);
    assert_eq!(number(&dir), Some(9));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn another_file_is_begun_from_every_step() {
    let dir = temp("aside-steps");
    init(&dir, 7).unwrap();
    let mut vault = Vault::open(&dir).unwrap();
    append(&mut vault);
    let last = append(&mut vault) + "\n";
    drop(vault);
    let whole = std::fs::read_to_string(dir.join(CHECKPOINTS)).unwrap();
    // The new one is torn, or whole: the old one has its name, and is written on.
    for length in [0, 9, last.len()] {
        std::fs::write(dir.join(NEW), &last[..length]).unwrap();
        assert_eq!((number(&dir), names(&dir)), (Some(2), vec![CHECKPOINTS.to_string()]));
        assert_eq!(std::fs::read_to_string(dir.join(CHECKPOINTS)).unwrap(), whole);
    }
    // The old one has its number.
    std::fs::rename(dir.join(CHECKPOINTS), dir.join("checkpoints-1")).unwrap();
    std::fs::write(dir.join(NEW), &last).unwrap();
    let mut vault = Vault::open(&dir).unwrap();
    assert_eq!((vault.last().map(|l| l.checkpoint.number), names(&dir).len()), (Some(2), 2));
    let third = append(&mut vault);
    assert_eq!(std::fs::read_to_string(dir.join(CHECKPOINTS)).unwrap(), format!("{last}{third}\n"));
    std::fs::remove_dir_all(&dir).unwrap();
}
