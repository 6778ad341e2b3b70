//! Who signs checkpoints, as the sealer sees him: the vault with its key, or a stand-in in the simulation.
//!
//! Refuses: to go on with a vault that has failed; it is opened anew.

use super::copies::Copies;
use super::other::Other;
use super::vault::Vault;
use crate::audit::options::sealing::Seal;
use crate::audit::seal::checkpoint::Why;
use crate::audit::seal::VerifierKey;
use crate::audit::spool::Spool;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// That. What is wrong is said with what is to be done about it.
pub trait Signer: Send {
    /// Ready to sign, now or still. Asked again each second.
    fn ready(&mut self) -> Result<(), String>;

    /// When the key was made, milliseconds since the epoch; 0: it cannot be read.
    fn key_ms(&self) -> i64;

    /// The note that was signed last, whoever had it signed.
    fn last(&self) -> Option<String>;

    /// The note of this body, signed, and on the platter.
    fn sign(&mut self, body: &str, why: Why) -> Result<String, String>;

    /// Why another signer, who was asked for a signature as well, has not given one.
    fn sign_failed(&self) -> Option<String> {
        None
    }

    /// The public half of the next key, where it is time for it: the body that is signed next names it.
    fn next_key(&mut self, now_ms: i64) -> Result<Option<VerifierKey>, String>;

    /// The note that names the next key is on the platter: the old one goes.
    fn change_key(&mut self) -> Result<(), String>;
}

/// The vault in a directory, opened when it can be.
#[derive(Debug)]
pub struct VaultSigner {
    dir: PathBuf,
    life: Duration,
    vault: Option<Vault>,
    copies: Copies,
    other: Other,
}

impl VaultSigner {
    /// As these options want it. What is wrong with copies is told as the spool's other troubles are.
    pub fn new(seal: &Seal, spool: &Arc<Spool>) -> io::Result<VaultSigner> {
        let copies = Copies::start(&seal.copies, spool)?;
        let other = Other::new(&seal.sign, spool);
        Ok(VaultSigner { dir: seal.dir.clone(), life: seal.key_life, vault: None, copies, other })
    }

    /// What came of it; where it failed nobody knows what is there.
    fn with<T>(&mut self, f: impl FnOnce(&mut Vault) -> Result<T, String>) -> Result<T, String> {
        let Some(vault) = &mut self.vault else { return Err(format!("`{}` is not open", self.dir.display())) };
        let done = f(vault);
        if done.is_err() {
            self.vault = None;
        }
        done
    }
}

impl Signer for VaultSigner {
    fn ready(&mut self) -> Result<(), String> {
        if self.vault.is_none() {
            let vault = Vault::open(&self.dir)?;
            vault.last().into_iter().for_each(|last| self.copies.give(&last.note, &last.checkpoint));
            self.vault = Some(vault);
        }
        Ok(())
    }

    fn key_ms(&self) -> i64 {
        self.vault.as_ref().map_or(0, Vault::key_created_ms)
    }

    fn last(&self) -> Option<String> {
        self.vault.as_ref().and_then(Vault::last).map(|last| last.note.clone())
    }

    fn sign_failed(&self) -> Option<String> {
        self.other.failed()
    }

    fn sign(&mut self, body: &str, why: Why) -> Result<String, String> {
        let note = self.with(|vault| Ok(vault.sign(body)))?;
        let note = self.other.add(note, body, why);
        let last = self.with(|vault| {
            vault.append(&note)?;
            vault.last().cloned().ok_or_else(|| "it is not there".to_string())
        })?;
        self.copies.give(&last.note, &last.checkpoint);
        if matches!(why, Why::Stop | Why::Closed) {
            self.copies.settle();
        }
        Ok(last.note)
    }

    fn next_key(&mut self, now_ms: i64) -> Result<Option<VerifierKey>, String> {
        let life = self.life;
        self.with(|vault| match has_lived(vault.key_created_ms(), now_ms, life) {
            true => vault.next_key(now_ms).map(Some),
            false => Ok(None),
        })
    }

    fn change_key(&mut self) -> Result<(), String> {
        self.with(Vault::change)
    }
}

/// Whether a key has signed long enough; also one that a clock has dated so far ahead, which would sign until that day.
fn has_lived(created_ms: i64, now_ms: i64, life: Duration) -> bool {
    u128::from(now_ms.abs_diff(created_ms)) >= life.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lives_its_time_whatever_the_clock_does() {
        let lived = |now: i64| has_lived(10_000, now, Duration::from_secs(5));
        let all = [5_000, 5_001, 10_000, 14_999, 15_000, i64::MAX].map(lived);
        assert_eq!(all, [true, false, false, false, true, true]);
    }
}
