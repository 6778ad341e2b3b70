//! Checkpoints: what is read is written again and read as the same, and its event carries the note as it is.
//!
//! An input is the body of a note. Its second hash, which no search would find, is put right first. Refuses: to judge roots.

use gostech::audit::record::EventId;
use gostech::audit::seal::checkpoint::{self, After, Checkpoint, Excuse, Excused, Receiver, Why};
use gostech::audit::seal::{to_base64, Algorithm, Note, SigningKey, StreamId, Tree};

/// What the line with the second hash begins with.
const SECOND: &str = "streebog256 ";

/// Seeds: an empty stream, and one with every line there is, of both algorithms.
pub fn seeds() -> Vec<Vec<u8>> {
    Algorithm::ALL.into_iter().flat_map(both).map(|c| c.write().into_bytes()).collect()
}

fn both(algorithm: Algorithm) -> [Checkpoint; 2] {
    let stream = StreamId::new(9, [1; 9], algorithm);
    let empty = Checkpoint::of(stream, &Tree::new(algorithm), Why::Start, 0);
    let mut tree = Tree::new(algorithm);
    (0..5).for_each(|n| tree.push([n; 32]));
    let full = Checkpoint {
        number: 7,
        previous: Some([3; 32]),
        after: After::Stream(stream, 99, [4; 32]),
        ids: vec![EventId { raft_id: 1, gen: 0, count: 26 }],
        receivers: vec![Receiver { name: "a b".into(), at: 5, delivered: 4, ..Receiver::default() }],
        rules: vec![("a b".into(), "severity>=high".into())],
        excused: vec![
            Excused::Ranges("a b".into(), Excuse::Quarantined, vec![(1, 1), (3, 4)]),
            Excused::More("a b".into(), 8),
        ],
        lost: vec![(4, 5)],
        next_key: SigningKey::of_seed(&[5; 32]).map(|key| key.verifier().clone()),
        sign_failed: Some("it said: no".into()),
        ..Checkpoint::of(stream, &tree, Why::Key, 1_795_224_477_349)
    };
    [empty, full]
}

/// With the second hash that belongs to it.
fn righted(body: &str) -> String {
    let Some(at) = body.find(&format!("\n{SECOND}")).map(|at| at + 1) else { return body.into() };
    let rest = body[at..].split_once('\n').map_or("", |(_, rest)| rest);
    let hash = to_base64(&Algorithm::Streebog256.hash(&[&body.as_bytes()[..at]]));
    format!("{}{SECOND}{hash}=\n{rest}", &body[..at])
}

/// The target.
pub fn check(input: &[u8]) {
    let Ok(body) = std::str::from_utf8(input) else { return };
    let body = righted(body);
    let checkpoint = match Checkpoint::read(&body) {
        Ok(checkpoint) => checkpoint,
        Err(why) => return assert!(super::is_one_line(&why), "{why}"),
    };
    let written = checkpoint.write();
    assert_eq!(Checkpoint::read(&written).as_ref(), Ok(&checkpoint));
    let note = Note::sign(&written, &SigningKey::of_seed(&[1; 32]).expect("a key"));
    assert_eq!(Note::parse(&note).map(|note| note.body), Some(written));
    let event: serde_json::Value = serde_json::from_slice(&checkpoint::event(&note, &checkpoint)).expect("an object");
    assert_eq!(event["checkpoint"].as_str(), Some(note.as_str()));
}
