//! The three-copy files of cursors and state: any bytes are read without a panic, what was saved comes back, a copy torn
//! at any byte leaves the version before it, and a spool opens over any of them with sums that are right.
//!
//! Refuses: to judge numbers that a cursor claims, but for what the spool must make of them.

use super::memory::{Files, Memory};
use super::recovery::{records, settings};
use super::{stretch, Dice};
use gostech::audit::record::account::Account;
use gostech::audit::spool::cursor::{self, Cursor};
use gostech::audit::spool::record::Head;
use gostech::audit::spool::{slots, Spool};
use gostech::limits::{CURSOR_SLOT_BYTES, STATE_SLOT_BYTES};

const NOW: i64 = 1_795_224_477_000;

fn account() -> Account {
    let mut account = Account::default();
    for (seq, raw) in super::events(8).iter().enumerate() {
        let facts = gostech::audit::record::read(raw, false);
        account.take(seq as u64 + 1, &facts, raw, 0, 0, NOW as u64);
    }
    account
}

/// Seeds: a real cursor, a real state, numbers at the edges.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut c = Cursor { next: 5, delivered: 4, last_answer: "200 ok".into(), ..Cursor::default() };
    c.retries.insert("status".into(), 3);
    let big = br#"{"next":18446744073709551615,"delivered":18446744073709551615,"quarantined":1,"dropped":2,"filtered":3,"retries":{}}"#;
    let mad = br#"{"seq":18446744073709551615,"read":18446744073709551615,"own":1,"titles":[["a",1,2]],"generations":[[1,0,9,0],[1,1,18446744073709551615]],"damages":[[9,1],[0,18446744073709551615]],"untold":[[1,0,9,3,1]],"receivers":["r1"]}"#;
    let input = |turn: u8, cut: u8, a: &[u8], b: &[u8]| [&[turn, cut][..], &stretch(a), b].concat();
    vec![
        input(1, 200, &c.save(), &account().save()),
        input(2, 10, big, &account().save()),
        input(3, 40, &c.save(), mad),
        input(0, 0, big, mad),
        input(0, 0, b"{}", b"{\"titles\":[]}"),
    ]
}

/// A file that holds one version of that number.
pub fn version(turn: u64, payload: &[u8], room: u64) -> Option<Vec<u8>> {
    let mut place = slots::Place::default();
    place.turn = turn;
    place.next(payload, room).map(|copy| [vec![0; copy.at as usize], copy.bytes].concat())
}

/// A version over whatever stands there: whole, it is found; torn, what was there before or it.
fn torn(old: &[u8], ours: bool, payload: &[u8], cut: usize) {
    const ROOM: u64 = 512;
    let payload = &payload[..payload.len().min(400)];
    let mut place = slots::Place::of(old, ROOM);
    let mut file = old.to_vec();
    let write = |file: &mut Vec<u8>, copy: &slots::Copy, end: usize| {
        let at = copy.at as usize;
        file.resize(file.len().max(at + end), 0);
        file[at..at + end].copy_from_slice(&copy.bytes[..end]);
    };
    let payload_of = |file: &[u8]| slots::decode(file, ROOM).map(|(_, p)| p.to_vec());
    let before = payload_of(old);
    if let Some(copy) = place.again.clone() {
        // The newest version once more, torn and then whole: it stands throughout.
        for end in [cut.min(copy.bytes.len()), copy.bytes.len()] {
            write(&mut file, &copy, end);
            assert_eq!(payload_of(&file), before, "the newest version does not outlive its own copy");
        }
        place.wrote(&copy, ROOM);
        assert!(place.synced());
        place.again = None;
    }
    let Some(copy) = place.next(payload, ROOM) else { panic!("{} bytes fit", payload.len()) };
    for end in [cut.min(copy.bytes.len()), copy.bytes.len()] {
        let mut file = file.clone();
        write(&mut file, &copy, end);
        let now = payload_of(&file);
        if end == copy.bytes.len() {
            assert_eq!(now.as_deref(), Some(payload), "the newest version is not found");
        }
        assert!(now == before || now.as_deref() == Some(payload), "neither the old version nor the new one");
        assert!(!ours || now.is_some(), "the old version is gone");
    }
}

/// What was loaded, saved and loaded again is the same.
fn comes_back(cursor: &[u8], state: &[u8]) {
    if let Some(c) = Cursor::load(cursor) {
        let bytes = c.save();
        assert!(slots::first(&bytes, CURSOR_SLOT_BYTES).is_some(), "a cursor of {} bytes has no room", bytes.len());
        let again = Cursor::load(&bytes).expect("saved a moment ago");
        assert!(c.last_answer.starts_with(&again.last_answer));
        assert_eq!(again, Cursor { last_answer: again.last_answer.clone(), ..c });
    }
    if let Some(a) = Account::load(state) {
        let bytes = a.save();
        assert!(slots::first(&bytes, STATE_SLOT_BYTES).is_some(), "a state of {} bytes has no room", bytes.len());
        let again = Account::load(&bytes).expect("saved a moment ago");
        assert_eq!(again.save(), bytes);
    }
}

/// A spool of four records with these small files: it opens, and its sums are right.
fn opens(turn: u8, cursor: &[u8], state: &[u8]) {
    let head = Head { first_seq: 1, epoch: 1, created_ms: NOW, identity: settings().identity, ..Head::default() };
    let mut files = Files::from([(format!("{:020}.seg", 1), [head.encode(), records(&head, 4)].concat())]);
    let mut put = |name: String, payload: &[u8], room: u64| {
        // As it stands, and as a whole version.
        let file = version(u64::from(turn / 2), payload, room).filter(|_| turn % 2 == 1).unwrap_or(payload.to_vec());
        files.insert(name, file);
    };
    put(cursor::file_name("r1"), cursor, CURSOR_SLOT_BYTES);
    put("state".into(), state, STATE_SLOT_BYTES);
    let disk = Memory::of(files);
    let spool = Spool::open(disk.clone(), Memory::of(Files::new()), settings(), None, NOW).expect("it opens");
    let next = spool.next_seq();
    for r in spool.receivers() {
        let c = &r.cursor;
        let sum = [c.delivered, c.quarantined, c.dropped, c.filtered].iter().map(|n| u128::from(*n)).sum::<u128>();
        assert_eq!(sum, u128::from(c.next - 1), "{c:?}");
        assert!(c.next <= next, "{} of {next}: {c:?}", r.name);
    }
    let c = spool.account().counters.clone();
    let read = u128::from(c.read) + u128::from(c.own);
    assert!(read >= u128::from(next - 1), "{read} were read, {next} is next");
    spool.save_cursors();
    spool.save_state(true);
    drop(spool);
    let again = Spool::open(disk, Memory::of(Files::new()), settings(), None, NOW).expect("it opens");
    assert_eq!(again.next_seq(), next);
}

/// The target.
pub fn check(input: &[u8]) {
    let mut dice = Dice(input);
    let (turn, cut) = (dice.byte(), dice.byte());
    let cursor = dice.stretch();
    let state = dice.0;
    torn(cursor, false, state, usize::from(cut) * 2);
    let old = version(u64::from(turn), &cursor[..cursor.len().min(400)], 512).expect("it fits");
    torn(&old, true, state, usize::from(cut) * 2);
    comes_back(cursor, state);
    opens(turn, cursor, state);
}
