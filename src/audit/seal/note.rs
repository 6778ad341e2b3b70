//! ○ Signed notes (C2SP signed-note): a text, and under it lines with signatures by named Ed25519 keys.
//!
//! Signatures of keys that nobody asks about are passed over. Refuses: control characters, a note without signatures, to
//! take a key that was not given for it.

use super::stream::Algorithm;
use crate::json;
use crate::limits;
use ring::signature::{Ed25519KeyPair, KeyPair, UnparsedPublicKey, ED25519};
use std::fmt;

/// The name that our keys and checkpoints bear.
pub const NAME: &str = "gostech-audit-log";
/// What a signature line begins with.
const DASH: &str = "— ";
/// The kind of key and signature: Ed25519.
const KIND: u8 = 1;

/// The first bytes of the hash of a key: which one a signature is by.
pub type KeyId = [u8; 4];

/// The public half of a key, with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    /// Its name, without blanks and `+`.
    pub name: String,
    /// The public key.
    pub public: [u8; 32],
}

impl VerifierKey {
    /// Which key a signature names.
    pub fn id(&self) -> KeyId {
        let hash = Algorithm::Sha256.hash(&[self.name.as_bytes(), b"\n", &[KIND], &self.public]);
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Reads `NAME+ID+BASE64`.
    pub fn parse(text: &str) -> Option<VerifierKey> {
        let mut parts = text.splitn(3, '+');
        let (name, _, key) = (parts.next()?, parts.next()?, parts.next()?);
        let key: [u8; 33] = json::from_base64(key)?.try_into().ok()?;
        let (kind, public) = key.split_first()?;
        let key = VerifierKey { name: name.into(), public: public.try_into().ok()? };
        (*kind == KIND && is_name(name) && key.to_string() == text).then_some(key)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = Vec::with_capacity(44);
        json::push_base64(&mut key, &[&[KIND], &self.public[..]].concat());
        let id = u32::from_be_bytes(self.id());
        write!(f, "{}+{id:08x}+{}", self.name, String::from_utf8_lossy(&key))
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control())
}

/// The secret half, wiped when it is dropped, and never printed.
pub struct SigningKey {
    // In one place, where it can be written over.
    pair: Box<Ed25519KeyPair>,
    verifier: VerifierKey,
}

impl SigningKey {
    /// The one that is made of this seed.
    pub fn of_seed(seed: &[u8; 32]) -> Option<SigningKey> {
        let pair = Box::new(Ed25519KeyPair::from_seed_unchecked(seed).ok()?);
        let public = pair.public_key().as_ref().try_into().ok()?;
        Some(SigningKey { pair, verifier: VerifierKey { name: NAME.into(), public } })
    }

    /// Its public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }
}

impl Drop for SigningKey {
    fn drop(&mut self) {
        // ring wipes nothing, and gives no way to its bytes: another key is put over them.
        if let Ok(nothing) = Ed25519KeyPair::from_seed_unchecked(&[0; 32]) {
            *self.pair = nothing;
            std::hint::black_box(&mut self.pair);
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A line with a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name of the key.
    pub name: String,
    /// Its id.
    pub id: KeyId,
    /// The signature; 64 bytes where it is of our kind.
    pub bytes: Vec<u8>,
}

/// A text with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What is signed, with its last newline.
    pub body: String,
    /// By whom.
    pub signatures: Vec<Signature>,
}

impl Note {
    /// Reads a note; nothing is said of its signatures yet.
    pub fn parse(text: &str) -> Option<Note> {
        if text.len() > limits::NOTE_BYTES || text.bytes().any(|b| b < b' ' && b != b'\n' || b == 0x7f) {
            return None;
        }
        let at = text.rfind("\n\n")?;
        let (body, lines) = (&text[..=at], text[at + 2..].strip_suffix('\n')?);
        let lines = lines.split('\n').take(limits::NOTE_SIGNATURES);
        let signatures = lines.map(Signature::parse).collect::<Option<Vec<_>>>()?;
        Some(Note { body: body.into(), signatures })
    }

    /// Whether it bears this key's signature, and no false one that claims to be.
    pub fn is_signed_by(&self, key: &VerifierKey) -> bool {
        let (id, public) = (key.id(), UnparsedPublicKey::new(&ED25519, key.public));
        let mut claims = self.signatures.iter().filter(|s| s.name == key.name && s.id == id).peekable();
        claims.peek().is_some() && claims.all(|s| public.verify(self.body.as_bytes(), &s.bytes).is_ok())
    }

    /// The note of this body, signed.
    pub fn sign(body: &str, key: &SigningKey) -> String {
        let mut signature = Vec::with_capacity(92);
        let bytes = key.pair.sign(body.as_bytes());
        json::push_base64(&mut signature, &[&key.verifier.id()[..], bytes.as_ref()].concat());
        format!("{body}\n{DASH}{} {}\n", key.verifier.name, String::from_utf8_lossy(&signature))
    }
}

/// A note with one more line, which another signer gives. None: it is no signature, or claims to be ours.
pub fn with_signature(note: &str, line: &str) -> Option<String> {
    let both = format!("{note}{line}\n");
    let (before, parsed) = (Note::parse(note)?, Note::parse(&both)?);
    let one_more = parsed.body == before.body && parsed.signatures.len() == before.signatures.len() + 1;
    (one_more && parsed.signatures.last()?.name != NAME).then_some(both)
}

impl Signature {
    fn parse(line: &str) -> Option<Signature> {
        let (name, bytes) = line.strip_prefix(DASH)?.split_once(' ')?;
        let bytes = json::from_base64(bytes)?;
        let (id, bytes) = bytes.split_first_chunk()?;
        (is_name(name) && !bytes.is_empty()).then(|| Signature { name: name.into(), id: *id, bytes: bytes.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    const EXAMPLE: &str = "This is an example message.\n\n— example.com/foo Gtfx91G8fnfyydx5JKDLeJMG42LVJqfGnJY4XP0QEsUEaiqGNHaqr52wuEPxVy2R3R7JmXtWGFwiARlhSYZuxI+nJQk=\n";

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let (one, other) = (SigningKey::of_seed(&[1; 32]).unwrap(), SigningKey::of_seed(&[2; 32]).unwrap());
        let text = Note::sign("a\nb — c\n", &one);
        let note = Note::parse(&text).unwrap();
        assert_eq!((note.body.as_str(), note.signatures.len()), ("a\nb — c\n", 1));
        assert!(note.is_signed_by(one.verifier()) && !note.is_signed_by(other.verifier()));
        let changed = Note { body: "a\nb - c\n".into(), ..note.clone() };
        assert!(!changed.is_signed_by(one.verifier()));
        // A stranger's signature beside it does no harm; a false one of its own does.
        let with = |line: &str| Note::parse(&format!("{text}{line}\n")).unwrap();
        let stranger = with("— witness AAAAAAAA").is_signed_by(one.verifier());
        let own = text.lines().last().unwrap();
        let forged = own.replace(&own[own.len() - 12..], "AAAAAAAAAAA=");
        assert!(stranger && with(own).is_signed_by(one.verifier()) && !with(&forged).is_signed_by(one.verifier()));
        assert_eq!(format!("{one:?}"), "***");
    }

    #[test]
    fn another_signer_adds_a_line_and_nothing_else() {
        let key = SigningKey::of_seed(&[1; 32]).unwrap();
        let text = Note::sign("a\n", &key);
        let both = with_signature(&text, "— gost.example AAAAAAAA").unwrap();
        let note = Note::parse(&both).unwrap();
        assert!(note.is_signed_by(key.verifier()) && note.signatures[1].name == "gost.example");
        let ours = text.lines().last().unwrap();
        for bad in [
            "",
            "x",
            "— a",
            "— a b",
            "— a AAAA",
            "— a AAAAAAAA\n— b AAAAAAAA",
            "\n— a AAAAAAAA",
            "— a AAAAAAAA\r",
            ours,
        ] {
            assert_eq!(with_signature(&text, bad), None, "{bad}");
        }
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let key = SigningKey::of_seed(&[7; 32]).unwrap().verifier().clone();
        let text = key.to_string();
        assert_eq!(VerifierKey::parse(&text), Some(key));
        assert!(text.starts_with("gostech-audit-log+") && text.len() == 18 + 9 + 44, "{text}");
        // Of the Go implementation's documentation.
        let peter = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        assert_eq!(VerifierKey::parse(peter).map(|k| k.to_string()).as_deref(), Some(peter));
        let other = peter.replace("c74f20a3", "c74f20a4");
        for bad in ["", "a+b+c", &other, &peter.replace("+AR", "+AA"), &peter.replace('P', " "), &format!("{peter} ")] {
            assert_eq!(VerifierKey::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_note_is_not_read() {
        assert_eq!(Note::parse(EXAMPLE).map(|n| n.signatures[0].name.clone()).as_deref(), Some("example.com/foo"));
        let good = Note::sign("a\n", &SigningKey::of_seed(&[1; 32]).unwrap());
        for bad in [
            "",
            "\n\n",
            "a\n",
            "a\n\n",
            "a\n\n\n",
            good.trim_end(),
            &good[1..],
            &good.replace("\n\n", "\n"),
            &good.replace("a\n", "a\r\n"),
            &good.replace("a\n", "\u{7f}\n"),
            &good.replace("— ", "- "),
            &good.replace("— ", "—  "),
            &format!("{good}\n"),
            &format!("{good}x\n"),
            &format!("{}{good}", "a".repeat(limits::NOTE_BYTES)),
        ] {
            assert_eq!(Note::parse(bad).filter(|n| n.body != "\n"), None, "{bad}");
        }
    }
}
