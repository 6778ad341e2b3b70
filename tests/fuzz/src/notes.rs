//! Signed notes: read and written again they are the same, and no input bears a signature of ours under another text.
//!
//! An input is the text of a note or of a public key. Refuses: to know what a note says.

use gostech::audit::seal::{Note, SigningKey, VerifierKey};

/// What our key has signed.
const BODIES: [&str; 3] = ["a\n", "gostech-audit-log/x\n1\n", "— a b\n\nтекст\n"];

fn key() -> SigningKey {
    SigningKey::of_seed(&[1; 32]).expect("a key")
}

/// Seeds: notes, one with a stranger's signature, keys.
pub fn seeds() -> Vec<Vec<u8>> {
    let key = key();
    let mut seeds: Vec<Vec<u8>> = BODIES.iter().map(|body| Note::sign(body, &key).into_bytes()).collect();
    seeds.push(format!("{}— witness AAAAAAAA\n", Note::sign(BODIES[0], &key)).into_bytes());
    seeds.push(key.verifier().to_string().into_bytes());
    seeds.push(b"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".to_vec());
    seeds
}

/// The target.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some(key) = VerifierKey::parse(text) {
        assert_eq!(key.to_string(), text);
        assert!(super::is_one_line(&key.name) && !key.name.contains([' ', '+']));
    }
    let Some(note) = Note::parse(text) else { return };
    assert!(note.body.ends_with('\n') && text.starts_with(&note.body) && !note.signatures.is_empty());
    let key = key();
    if note.is_signed_by(key.verifier()) {
        assert!(BODIES.contains(&note.body.as_str()), "forged");
    }
    let signed = Note::parse(&Note::sign(&note.body, &key)).expect("what was parsed is signed");
    assert!(signed.body == note.body && signed.is_signed_by(key.verifier()));
}
