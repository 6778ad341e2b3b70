//! ○ Which checkpoints are to be believed: by a key that is given, by one that a believed checkpoint names, or by the hash
//! in a believed one that follows.
//!
//! A key signs from the checkpoint behind the one that names it to the one that names the next: whoever has today's key
//! cannot write yesterday's. Refuses: to count what a stranger signs as anything but unknown.

use super::claim::Spot;
use super::findings::{Findings, Kind};
use crate::audit::seal::checkpoint::Why;
use crate::audit::seal::note::{KeyId, NAME};
use crate::audit::seal::{Checkpoint, Hash, Note, StreamId, VerifierKey};
use crate::limits;
use std::collections::{BTreeMap, HashMap};
use std::io;

/// Whether a checkpoint is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// By nobody.
    Unknown,
    /// It bears a signature that its key did not make, or could not make then.
    False,
    /// It is as it was signed.
    Signed,
}

/// What of a checkpoint is kept at hand.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Its stream.
    pub id: StreamId,
    /// Its number.
    pub number: u64,
    /// How many places it signs.
    pub size: u64,
    /// Their root.
    pub root: Hash,
    /// The hash of its body.
    pub hash: Hash,
    /// The hash of the body before.
    pub previous: Option<Hash>,
    /// When.
    pub time_ms: i64,
    /// Why.
    pub why: Why,
    /// Where its note lies in the pool.
    pub text: (u64, u32),
    /// Where it stands in an export, and its place in the stream there; none: it is of a file of checkpoints.
    pub exported: Option<(Spot, Option<(StreamId, u64)>)>,
    /// Whether it is believed.
    pub trust: Trust,
    /// Which chain it belongs to.
    pub chain: usize,
}

impl Mark {
    /// How people call it.
    pub fn words(&self) -> String {
        format!("checkpoint {} of stream {}", self.number, self.id)
    }

    fn spot(&self) -> Option<Spot> {
        self.exported.map(|(spot, _)| spot)
    }
}

/// Gives the note of a mark.
pub type Load<'a> = &'a dyn Fn(&Mark) -> io::Result<(Note, Checkpoint)>;

struct Key {
    key: VerifierKey,
    /// It signs what is behind this number, to that one.
    numbers: (u64, u64),
    chain: usize,
}

/// Believes what can be believed, and tells what is false. Gives the chains: believed marks in the order of their numbers.
pub fn judge(
    marks: &mut [Mark],
    keys: &[VerifierKey],
    load: Load<'_>,
    f: &mut Findings,
) -> io::Result<Vec<Vec<usize>>> {
    let mut order: Vec<usize> = (0..marks.len()).collect();
    order.sort_by_key(|&i| (marks[i].number, marks[i].hash));
    let mut ring = Ring::new(keys);
    if keys.is_empty() {
        f.say(
            Kind::Unknown,
            None,
            None,
            "no key is given: nothing is proven; what is said holds if all of it is the sealer's",
        );
        take_all(marks, &order, load)?;
    } else {
        loop {
            let forward = ring.forward(marks, &order, load)?;
            let backward = ring.backward(marks, &order, load)?;
            if !forward && !backward {
                break;
            }
        }
    }
    for &i in &order {
        let m = &marks[i];
        if m.trust == Trust::False {
            f.say(Kind::Forged, Some(m.id), m.spot(), format!("{}: its signature is false", m.words()));
        }
    }
    strangers(marks, &order, load, f)?;
    let chains = ring.chains(marks, &order);
    chains.iter().for_each(|chain| forks(marks, chain, f));
    Ok(chains.into_iter().map(|chain| once(marks, chain)).collect())
}

/// Checkpoints that nobody is known to have signed: those of one stream by one key together.
fn strangers(marks: &[Mark], order: &[usize], load: Load<'_>, f: &mut Findings) -> io::Result<()> {
    let mut all: Vec<(StreamId, Option<KeyId>, Vec<&Mark>)> = Vec::new();
    for m in order.iter().map(|&i| &marks[i]).filter(|m| m.trust == Trust::Unknown) {
        let (note, _) = load(m)?;
        let key = note.signatures.iter().find(|s| s.name == NAME).map(|s| s.id);
        match all.last_mut().filter(|(id, known, _)| (*id, *known) == (m.id, key)) {
            Some((.., those)) => those.push(m),
            None => all.push((m.id, key, vec![m])),
        }
    }
    for (id, key, those) in &all {
        let (Some(first), Some(last)) = (those.first(), those.last()) else { continue };
        let which = match those.len() {
            1 => format!("checkpoint {}", first.number),
            _ => format!("checkpoints {} to {}", first.number, last.number),
        };
        let by = key.map_or_else(String::new, |key| format!(", by the key {:08x}", u32::from_be_bytes(key)));
        let spots = [first.spot(), last.spot().filter(|_| those.len() > 1)];
        f.many(Kind::Unknown, Some(*id), those.len() as u64, spots, which + &by);
    }
    Ok(())
}

/// Who else has signed what is believed, and how many of these checkpoints: nobody here has their keys.
pub fn others(marks: &[Mark], load: Load<'_>) -> io::Result<BTreeMap<String, u64>> {
    let mut all = BTreeMap::new();
    for m in marks.iter().filter(|m| m.trust == Trust::Signed) {
        let mut names: Vec<String> = load(m)?.0.signatures.into_iter().map(|s| s.name).collect();
        names.sort_unstable();
        names.dedup();
        for name in names.into_iter().filter(|name| name != NAME) {
            if all.len() < limits::VERIFY_RECEIVERS || all.contains_key(&name) {
                *all.entry(name).or_default() += 1;
            }
        }
    }
    Ok(all)
}

/// Without a key a chain is what names one key, as far as can be seen.
fn take_all(marks: &mut [Mark], order: &[usize], load: Load<'_>) -> io::Result<()> {
    let mut known: HashMap<[u8; 4], usize> = HashMap::new();
    for &i in order {
        let (note, checkpoint) = load(&marks[i])?;
        let next = known.len();
        let chain = note.signatures.first().map_or(next, |s| *known.entry(s.id).or_insert(next));
        if let Some(key) = checkpoint.next_key {
            known.insert(key.id(), chain);
        }
        (marks[i].trust, marks[i].chain) = (Trust::Signed, chain);
    }
    Ok(())
}

struct Ring {
    keys: Vec<Key>,
    /// Chains that turned out to be one.
    same: Vec<usize>,
}

impl Ring {
    fn new(keys: &[VerifierKey]) -> Ring {
        let key = |(chain, key): (usize, &VerifierKey)| Key { key: key.clone(), numbers: (0, u64::MAX), chain };
        Ring { keys: keys.iter().enumerate().map(key).collect(), same: (0..keys.len()).collect() }
    }

    fn chain(&self, mut chain: usize) -> usize {
        while self.same.get(chain).is_some_and(|c| *c != chain) {
            chain = self.same[chain];
        }
        chain
    }

    /// What a believed checkpoint says of the key behind it.
    fn hand_over(&mut self, number: u64, chain: usize, checkpoint: &Checkpoint, note: &Note) {
        let Some(next) = &checkpoint.next_key else { return };
        for key in &mut self.keys {
            let signs = note.signatures.iter().any(|s| s.id == key.key.id() && s.name == key.key.name);
            if signs && key.key != *next {
                key.numbers.1 = key.numbers.1.min(number);
            }
        }
        let known = self.keys.iter().position(|key| key.key == *next);
        match known {
            Some(known) => {
                self.keys[known].numbers.0 = number;
                let other = self.chain(self.keys[known].chain);
                self.same[other] = chain;
            }
            None if self.keys.len() < limits::VERIFY_KEYS => {
                self.keys.push(Key { key: next.clone(), numbers: (number, u64::MAX), chain })
            }
            None => {}
        }
    }

    /// By signatures, from the first number on. Whether any was found.
    fn forward(&mut self, marks: &mut [Mark], order: &[usize], load: Load<'_>) -> io::Result<bool> {
        let mut any = false;
        for &i in order {
            if marks[i].trust != Trust::Unknown {
                continue;
            }
            let (note, checkpoint) = load(&marks[i])?;
            let number = marks[i].number;
            let mut claimed = None;
            for key in &self.keys {
                let id = key.key.id();
                if note.signatures.iter().any(|s| s.id == id && s.name == key.key.name) {
                    let (from, to) = key.numbers;
                    let good = note.is_signed_by(&key.key) && number > from && number <= to;
                    claimed = Some((good, key.chain));
                    if !good {
                        break;
                    }
                }
            }
            match claimed {
                Some((true, chain)) => {
                    let chain = self.chain(chain);
                    (marks[i].trust, marks[i].chain) = (Trust::Signed, chain);
                    self.hand_over(number, chain, &checkpoint, &note);
                    any = true;
                }
                Some((false, _)) => marks[i].trust = Trust::False,
                None => {}
            }
        }
        Ok(any)
    }

    /// By the hash that the next one has of it. Whether any was found.
    fn backward(&mut self, marks: &mut [Mark], order: &[usize], load: Load<'_>) -> io::Result<bool> {
        let by_hash: HashMap<Hash, usize> =
            order.iter().filter(|&&i| marks[i].trust == Trust::Unknown).map(|&i| (marks[i].hash, i)).collect();
        let mut any = false;
        for &i in order.iter().rev().filter(|_| !by_hash.is_empty()) {
            let before = marks[i].previous.filter(|_| marks[i].trust == Trust::Signed).and_then(|h| by_hash.get(&h));
            let Some(&before) = before.filter(|&&b| marks[b].trust == Trust::Unknown) else { continue };
            let chain = self.chain(marks[i].chain);
            (marks[before].trust, marks[before].chain) = (Trust::Signed, chain);
            let (note, checkpoint) = load(&marks[before])?;
            self.hand_over(marks[before].number, chain, &checkpoint, &note);
            any = true;
        }
        Ok(any)
    }

    fn chains(&self, marks: &mut [Mark], order: &[usize]) -> Vec<Vec<usize>> {
        let mut chains: Vec<Vec<usize>> = Vec::new();
        let mut known: HashMap<usize, usize> = HashMap::new();
        for &i in order {
            if marks[i].trust != Trust::Signed {
                continue;
            }
            let next = chains.len();
            let chain = *known.entry(self.chain(marks[i].chain)).or_insert(next);
            if chain == next {
                chains.push(Vec::new());
            }
            marks[i].chain = chain;
            chains[chain].push(i);
        }
        chains
    }
}

/// Two with one number, and one that does not follow on the one before.
fn forks(marks: &[Mark], chain: &[usize], f: &mut Findings) {
    for (at, &i) in chain.iter().enumerate() {
        let b = &marks[i];
        let before = chain[..at].iter().rev().map(|&i| &marks[i]).take(limits::VERIFY_VERSIONS);
        let mut before = before.take_while(|a| a.number + 1 >= b.number).filter(|a| a.hash != b.hash);
        let Some(a) = before.next() else { continue };
        if a.number == b.number {
            f.say(Kind::Forked, Some(b.id), b.spot(), format!("checkpoint {} is there in two versions", b.number));
        } else if b.previous != Some(a.hash) && !before.any(|a| b.previous == Some(a.hash)) {
            f.say(Kind::Forked, Some(b.id), b.spot(), format!("{} does not follow on {}", b.words(), a.number));
        }
    }
}

/// The same body under other signatures is one.
fn once(marks: &[Mark], mut chain: Vec<usize>) -> Vec<usize> {
    chain.dedup_by(|b, a| {
        marks[*a].hash == marks[*b].hash && (marks[*a].exported.is_some() || marks[*b].exported.is_none())
    });
    chain
}
