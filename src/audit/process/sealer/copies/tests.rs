//! Copies of checkpoints: what is in the way, what a death has torn, and that nobody waits for them.

use super::super::tests as sealer_tests;
use super::*;
use crate::audit::seal::checkpoint::Why;
use crate::audit::seal::{Algorithm, Note, SigningKey, StreamId, Tree};
use crate::net::testing::Scratch;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

fn checkpoint(number: u64) -> Checkpoint {
    let stream = StreamId::new(1, [2; 9], Algorithm::Sha256);
    Checkpoint { number, ..Checkpoint::of(stream, &Tree::new(Algorithm::Sha256), Why::Time, 5) }
}

fn signed(number: u64) -> Signed {
    let c = checkpoint(number);
    Signed { note: Note::sign(&c.write(), &SigningKey::of_seed(&[1; 32]).unwrap()), message: c.message() }
}

fn write(path: &Path, number: u64) -> Result<(), String> {
    Place::of(&CopyTo::File(path.into())).write(&signed(number))
}

fn text(numbers: &[u64]) -> String {
    numbers.iter().map(|n| signed(*n).note + "\n").collect()
}

#[test]
fn a_file_is_made_for_those_who_read_logs_and_goes_on_where_it_ended() {
    let dir = Scratch::new("copies");
    let path = dir.path("seal.copy");
    let mut place = Place::of(&CopyTo::File(path.clone()));
    place.write(&signed(1)).unwrap();
    place.write(&signed(2)).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text(&[1, 2]));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    // Rotated by somebody, and by another worker.
    std::fs::rename(&path, dir.path("old")).unwrap();
    place.write(&signed(3)).unwrap();
    write(&path, 4).unwrap();
    place.write(&signed(5)).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text(&[3, 4, 5]));
}

#[test]
fn what_a_death_has_torn_is_cut_off_and_what_is_no_checkpoint_is_left_alone() {
    let dir = Scratch::new("copies-torn");
    let path = dir.path("c");
    let (one, two) = (text(&[1]), text(&[1, 2]));
    for length in (0..two.len()).step_by(7) {
        for zeros in [0, 9] {
            std::fs::write(&path, [&two.as_bytes()[..length], &vec![0; zeros]].concat()).unwrap();
            write(&path, 7).unwrap();
            let wanted = if length < one.len() { text(&[7]) } else { text(&[1, 7]) };
            assert!(std::fs::read_to_string(&path).unwrap() == wanted, "{length} and {zeros} zeros");
        }
    }
    // More than is looked at first.
    let long = text(&vec![1; 200]);
    assert!(long.len() as u64 > limits::SEAL_COPY_LOOK_BYTES);
    std::fs::write(&path, format!("{long}{}", &one[..99])).unwrap();
    write(&path, 2).unwrap();
    assert!(std::fs::read_to_string(&path).unwrap() == format!("{long}{}", text(&[2])));
    let other = ["root:x:0:0\n", "{\"a\":1}\n\n", &format!("{two}x"), &"x".repeat(3 * limits::NOTE_BYTES)];
    for other in other {
        std::fs::write(&path, other).unwrap();
        assert!(write(&path, 1).unwrap_err().contains("name another file"), "{:.9}", other);
        assert!(std::fs::read_to_string(&path).unwrap() == *other);
    }
}

#[test]
fn a_look_tells_what_a_copy_would_and_changes_nothing() {
    let dir = Scratch::new("copies-look");
    let path = dir.path("c");
    let look = || look(&CopyTo::File(path.clone()));
    assert!(look().is_ok() && !path.exists());
    let torn = text(&[1, 2])[..text(&[1]).len() + 20].to_string();
    for (there, why) in [(text(&[1]), None), (torn, None), ("somebody's\n".into(), Some("something else"))] {
        std::fs::write(&path, &there).unwrap();
        match (look(), why) {
            (told, None) => assert!(told.is_ok(), "{told:?}"),
            (told, Some(why)) => assert!(told.unwrap_err().contains(why)),
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), there);
    }
    let gone = super::look(&CopyTo::Journal(dir.path("socket"))).unwrap_err();
    assert!(gone.contains("cannot reach journald"), "{gone}");
}

#[test]
fn what_is_in_the_way_is_said_and_not_waited_for() {
    let dir = Scratch::new("copies-way");
    let fifo = dir.path("fifo");
    crate::sys::pipe::make_fifo(&fifo, 0o600).unwrap();
    std::os::unix::fs::symlink(dir.path("elsewhere"), dir.path("link")).unwrap();
    for path in [fifo, dir.path("link"), "/dev/full".into(), "/dev".into()] {
        let begun = Instant::now();
        assert!(write(&path, 1).is_err(), "{}", path.display());
        assert!(begun.elapsed() < Duration::from_secs(2), "{}", path.display());
    }
    assert!(!dir.path("elsewhere").exists());
    assert!(write(&dir.path("a/b"), 1).unwrap_err().contains("make the directory"));
    let path = dir.path("locked");
    let other = File::create(&path).unwrap();
    assert!(file::lock(&other).unwrap());
    let mut copy = CopyFile { path, known: None };
    assert!(copy.write("x", Instant::now()).unwrap_err().contains("another writer"));
}

#[test]
fn the_journal_gets_an_entry_with_the_whole_note() {
    let dir = Scratch::new("copies-journal");
    let path = dir.path("socket");
    let mut place = Place::of(&CopyTo::Journal(path.clone()));
    assert!(place.write(&signed(1)).unwrap_err().contains("No such file"));
    let socket = UnixDatagram::bind(&path).unwrap();
    place.write(&signed(1)).unwrap();
    let mut bytes = vec![0; limits::DATAGRAM_BYTES];
    let n = socket.recv(&mut bytes).unwrap();
    let note = signed(1).note;
    let field = [b"PICODATA_CHECKPOINT\n", &(note.len() as u64).to_le_bytes()[..], note.as_bytes(), b"\n"].concat();
    assert!(bytes[..n].ends_with(&field));
    let head = String::from_utf8_lossy(&bytes[..n - field.len()]).into_owned();
    assert!(head.starts_with("MESSAGE=checkpoint 1: 0 records of stream "), "{head}");
    assert!(head.contains("\nPICODATA_TITLE=audit_checkpoint\n") && head.contains("\nPRIORITY=6\n"), "{head}");
}

#[test]
fn a_copy_that_fails_is_an_alarm_waits_within_bounds_and_is_made_when_it_can_be() {
    crate::log::mute();
    let dir = Scratch::new("copies-alarm");
    let (path, aside) = (dir.path("c"), dir.path("d"));
    std::fs::create_dir(&path).unwrap();
    let spool = sealer_tests::spool();
    let copies = Copies::start(&[CopyTo::File(path.clone())], &spool).unwrap();
    let matter = format!("seal-copy {}", path.display());
    let fires = || spool.troubles.standing().iter().any(|a| a.kind == AlarmKind::SealFailing && a.about == matter);
    let wait = |what: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(20);
        while !what() {
            assert!(Instant::now() < end, "it does not come");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    (1..=limits::SEAL_COPY_NOTES as u64 + 9).for_each(|n| copies.give(&signed(n).note, &checkpoint(n)));
    wait(&fires);
    assert!(copies.0[0].held.load(Ordering::Acquire) <= limits::SEAL_COPY_BYTES);
    std::fs::rename(&path, &aside).unwrap();
    wait(&|| !fires() && copies.0[0].held.load(Ordering::Acquire) == 0);
    let made = std::fs::read_to_string(&path).unwrap();
    assert!(made.starts_with(&text(&[1, 2, 3])) && made.ends_with("\n\n"));
    copies.give(&signed(999).note, &checkpoint(999));
    copies.settle();
    assert!(std::fs::read_to_string(&path).unwrap().ends_with(&text(&[999])));
}
