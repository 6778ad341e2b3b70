//! The login of a connection: SASL by PLAIN or SCRAM. Refuses: to say a password twice, a broker that does not prove itself.

use super::link::{Done, Link, Trouble};
use super::wire::{self, Answer};
use crate::log;
use crate::net::crypto;
use crate::net::mask::Mask;
use crate::net::scram::{Hash, Scram};
use crate::net::secret::{Secret, Wiped};
use std::time::Duration;

/// How it is proved who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The password itself.
    Plain,
    /// A proof of it.
    Scram(Hash),
}

impl Mechanism {
    /// Where nobody says which.
    pub const USUAL: Mechanism = Mechanism::Scram(Hash::Sha512);

    /// As `--sasl` calls it.
    pub fn parse(name: &str) -> Option<Mechanism> {
        match name {
            "plain" => Some(Mechanism::Plain),
            "scram-sha-256" => Some(Mechanism::Scram(Hash::Sha256)),
            "scram-sha-512" => Some(Mechanism::Scram(Hash::Sha512)),
            _ => None,
        }
    }

    /// As the protocol calls it.
    fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Scram(Hash::Sha256) => "SCRAM-SHA-256",
            Mechanism::Scram(Hash::Sha512) => "SCRAM-SHA-512",
        }
    }
}

/// Who we are.
#[derive(Debug)]
pub struct Login {
    /// By which way.
    pub mechanism: Mechanism,
    /// The user.
    pub user: String,
    /// The password, read again when its file changes.
    pub password: Secret,
}

impl Login {
    /// Logs in.
    pub fn run(&mut self, link: &mut Link) -> Done<()> {
        let password = Wiped::new(self.password.read()?.to_vec());
        self.choose(link)?;
        let lifetime_ms = match self.mechanism {
            Mechanism::Plain => {
                if !link.is_private() {
                    log::warn("sasl", format!("the password goes to `{}` in clear: write kafka+tls://", link.place()));
                }
                let step = Wiped::new([b"\0", self.user.as_bytes(), b"\0", password.bytes()].concat());
                self.step(link, step.bytes())?.lifetime_ms
            }
            Mechanism::Scram(hash) => {
                let mut chance = [0; 24];
                crypto::random(&mut chance);
                let scram = Scram::new(hash, &self.user, &chance);
                let challenge = self.step(link, scram.first().as_bytes())?.said;
                let proof = scram.proof(&challenge, password.bytes());
                let (proof, expected) = proof.map_err(|why| self.strange(link, why))?;
                let last = self.step(link, proof.as_bytes())?;
                if !expected.is(&last.said) {
                    return Err(self.strange(link, "it does not prove that it knows the password"));
                }
                last.lifetime_ms
            }
        };
        link.logged_in(u64::try_from(lifetime_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis));
        Ok(())
    }

    /// Says by which way it will be.
    fn choose(&self, link: &mut Link) -> Done<()> {
        let version = link.version(wire::SASL_HANDSHAKE)?;
        let bytes = link.ask(wire::SASL_HANDSHAKE, version, |r| r.handshake(self.mechanism.name()))?;
        let (error, theirs) = link.read(&bytes, Answer::handshake)?;
        let list = if theirs.is_empty() { String::new() } else { format!("it takes {}", theirs.join(", ")) };
        link.well(error, &list)
    }

    fn step(&self, link: &mut Link, step: &[u8]) -> Done<wire::Login> {
        let version = link.version(wire::SASL_AUTHENTICATE)?;
        let bytes = link.ask(wire::SASL_AUTHENTICATE, version, |r| r.authenticate(step))?;
        let login = link.read(&bytes, |a| a.authenticate(version))?;
        // It may say back what it was told.
        let mut mask = Mask::default();
        mask.add(self.password.last_read());
        let said = mask.apply(login.message.clone().into_bytes());
        link.well(login.error, &String::from_utf8_lossy(&said))?;
        Ok(login)
    }

    fn strange(&self, link: &Link, why: &str) -> Trouble {
        let (name, place) = (self.mechanism.name(), link.place());
        Trouble::configuration(format!("cannot log user `{}` in by {name} at `{place}`: {why}", self.user))
    }
}
