//! The vault of the simulation: keys and notes that outlive workers and power cuts, and a sealer that may die at any moment
//! between them.

use crate::canary::Canary;
use crate::chance::Chance;
use crate::disk::Death;
use gostech::audit::process::sealer::signer::Signer;
use gostech::audit::seal::checkpoint::Why;
use gostech::audit::seal::{Checkpoint, Note, SigningKey, VerifierKey};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is in it.
#[derive(Debug, Default)]
pub struct Vault {
    /// Every note that was signed.
    pub notes: Vec<String>,
    /// How often the key was changed.
    pub keys: u32,
    /// It cannot be used now.
    pub bad: bool,
}

/// The key of a number.
fn key(number: u32) -> SigningKey {
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&number.to_le_bytes());
    SigningKey::of_seed(&seed).expect("any seed is one")
}

/// What an auditor was given at the beginning.
pub fn first_key() -> VerifierKey {
    key(0).verifier().clone()
}

/// Who signs with it.
pub struct SimSigner {
    pub vault: Arc<Mutex<Vault>>,
    pub chance: Chance,
    pub canary: Canary,
    pub deaths: bool,
    pub power: bool,
}

impl SimSigner {
    fn vault(&self) -> MutexGuard<'_, Vault> {
        self.vault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_die(&mut self) {
        if self.deaths && self.chance.once_in(12) {
            let power = self.power && self.chance.once_in(3);
            resume_unwind(Box::new(if power { Death::Power } else { Death::Worker }));
        }
    }

    /// The key that the last note names has its name.
    fn settle(&mut self) {
        if self.canary == Canary::KeyKept {
            return;
        }
        let mut vault = self.vault();
        let note = vault.notes.last().and_then(|n| Note::parse(n));
        let named = note.and_then(|n| Checkpoint::read(&n.body).ok()).and_then(|c| c.next_key);
        if named.as_ref() == Some(key(vault.keys + 1).verifier()) {
            vault.keys += 1;
        }
    }
}

impl Signer for SimSigner {
    fn ready(&mut self) -> Result<(), String> {
        if self.vault().bad {
            return Err("simulated".into());
        }
        self.settle();
        Ok(())
    }

    fn key_ms(&self) -> i64 {
        0
    }

    fn last(&self) -> Option<String> {
        self.vault().notes.last().cloned()
    }

    fn sign(&mut self, body: &str, _why: Why) -> Result<String, String> {
        self.may_die();
        let note = {
            let mut vault = self.vault();
            if vault.bad {
                return Err("simulated".into());
            }
            let note = Note::sign(body, &key(vault.keys));
            vault.notes.push(note.clone());
            note
        };
        self.may_die();
        Ok(note)
    }

    fn next_key(&mut self, _now_ms: i64) -> Result<Option<VerifierKey>, String> {
        let due = self.chance.once_in(20);
        let next = self.vault().keys + 1;
        Ok(due.then(|| key(next).verifier().clone()))
    }

    fn change_key(&mut self) -> Result<(), String> {
        self.may_die();
        self.settle();
        Ok(())
    }
}
