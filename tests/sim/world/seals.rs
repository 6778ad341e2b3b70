//! Sealing in the world: the sealer takes its steps between the others, and at a clean stop each receiver's trail is judged.

use super::verify::verify;
use super::{Verdict, World};
use crate::canary::Canary;
use crate::chance::Chance;
use crate::trail::{judge, Demands};
use crate::vault::{first_key, SimSigner, Vault};
use gostech::audit::process::sealer::progress::Progress;
use gostech::audit::process::sealer::{Now, Sealer};
use gostech::audit::seal::{absent, Algorithm, List, Place, StreamId, Tree};
use gostech::audit::spool::seals::Sealing;
use gostech::audit::spool::{Full, Spool};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::{Arc, MutexGuard, PoisonError};

fn read_list(raw: &[u8]) -> Option<List> {
    let fields: Map<String, Value> = serde_json::from_slice(raw).ok()?;
    List::read(|name| fields.get(name).and_then(Value::as_str).map(Cow::from))
}

impl World {
    pub(super) fn sealing(&mut self) -> Option<Sealing> {
        if !self.plan.seals || self.adopting {
            return None;
        }
        let mut chance = [0; 9];
        chance[..8].copy_from_slice(&self.more.next().to_le_bytes());
        let algorithm = if self.plan.streebog { Algorithm::Streebog256 } else { Algorithm::Sha256 };
        Some(Sealing { algorithm, chance, unsynced: false })
    }

    pub(super) fn sealer(&mut self, spool: &Arc<Spool>) -> Option<Sealer> {
        spool.stream()?;
        let signer = SimSigner {
            vault: self.vault.clone(),
            chance: Chance::new(self.more.next()),
            canary: self.canary,
            deaths: self.plan.deaths,
            power: self.plan.power,
        };
        Sealer::new(spool.clone(), Box::new(signer), &[])
    }

    pub(super) fn vault(&self) -> MutexGuard<'_, Vault> {
        self.vault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The vault comes and goes.
    pub(super) fn trouble_with_the_vault(&mut self) {
        if self.plan.seals && self.plan.disk_faults && self.more.once_in(150) {
            let bad = self.more.once_in(2);
            self.vault().bad = bad;
        }
    }

    /// A step of the sealer.
    pub(super) fn seal(&mut self) {
        if !self.plan.seals || self.dead.is_some() || self.plan.deaths && self.more.once_in(3) {
            return;
        }
        let now = Now { mono: self.mono, wall_ms: self.wall };
        self.mortal(|world| {
            let canary = world.canary;
            let Some(w) = world.worker.as_mut() else { return };
            let Some(sealer) = w.sealer.as_mut() else { return };
            let before = w.spool.has_post();
            sealer.step(now);
            if !before && w.spool.has_post() {
                meddle(&w.spool, canary);
                let lost = lost_in_post(&w.spool);
                world.told_lost.extend(lost);
            }
        });
    }

    /// Whether nothing is left for the sealer.
    pub(super) fn is_sealed(&self) -> bool {
        self.worker.as_ref().is_none_or(|w| w.sealer.is_none() || w.spool.is_sealed())
    }

    /// What every receiver was given must prove itself.
    pub(super) fn judge_trails(&mut self) -> Verdict {
        if !self.plan.seals {
            return Ok(());
        }
        let notes = self.vault().notes.clone();
        let steady = !self.plan.changes && !self.damaged && !self.unsecured;
        for (i, (name, optional)) in self.plan.receivers.clone().iter().enumerate() {
            let lossless = self.plan.full == Full::Block && !optional;
            let whole = steady && lossless && !self.plan.power && !self.plan.gone;
            let demands = Demands { whole, complete: steady, damaged: self.damaged };
            let lines = self.outside().receivers[i].lines.clone();
            judge(name, &lines, &notes, &first_key(), &self.told_lost, demands)
                .map_err(|e| format!("{name}: the trail does not prove itself: {e}"))?;
            // What is set aside after the last checkpoint is excused by the next one.
            let surely = demands.whole && demands.complete && self.quarantine_of(name)?.is_empty();
            let verdicts = verify(name, &lines, &notes, &first_key(), surely).map_err(|e| format!("{name}: {e}"))?;
            self.figures.clean += verdicts.clean;
            self.figures.unclear += verdicts.unclear;
        }
        self.figures.trails += self.plan.receivers.len() as u64;
        self.figures.checkpoints += notes.len() as u64;
        Ok(())
    }
}

/// The places that a list on its way says were lost.
fn lost_in_post(spool: &Spool) -> Vec<(StreamId, u64)> {
    let post = spool.take_post();
    let lists = post.iter().filter_map(|raw| read_list(raw));
    let lost = |l: List| {
        let all = (l.from..).zip(l.places).filter(|(_, place)| *place == Place::Lost);
        all.map(|(n, _)| (l.stream, n)).collect::<Vec<_>>()
    };
    let all = lists.flat_map(lost).collect();
    spool.give_post_back(post);
    all
}

/// Mistakes of a sealer.
fn meddle(spool: &Spool, canary: Canary) {
    if !matches!(canary, Canary::LeafSkipped | Canary::ProgressEarly) {
        return;
    }
    let mut post = spool.take_post();
    if canary == Canary::LeafSkipped {
        for raw in &mut post {
            if let Some(mut list) = read_list(raw).filter(|l| l.places.len() > 3) {
                list.places.remove(2);
                *raw = list.write(0);
            }
        }
    } else if let Some(mut p) = Progress::load(&spool.progress()) {
        let tree = Tree::resume(p.stream.id.algorithm(), p.size, &p.edge);
        if let (Some(mut tree), Some(lists)) = (tree, post.iter().map(|raw| read_list(raw)).collect::<Option<Vec<_>>>())
        {
            for place in lists.iter().filter(|l| l.stream == p.stream.id).flat_map(|l| &l.places) {
                tree.push(match place {
                    Place::Leaf(hash) => *hash,
                    _ => absent(p.stream.id, tree.size() + 1),
                });
            }
            (p.size, p.edge) = (tree.size(), tree.edge().to_vec());
            spool.keep_progress(p.save(), 0, p.stream.first + p.size);
        }
    }
    spool.give_post_back(post);
}
