//! Spools beside ours that hold undelivered events and that no helper which runs here may deliver: they are of another
//! cluster or for other receivers, and whoever lived there is gone. They are told by name, once, with the cure; `/metrics`
//! shows them as long as that is so.
//!
//! Refuses: to write or to read more than it needs there, to tell of a spool whose helper lives or has a twin that lives.

use crate::audit::process::claim::{self, Claim};
use crate::audit::spool::lock;
use crate::audit::spool::owner::OWNER;
use crate::audit::spool::survey::{holder, is_spool, Look};
use crate::sorted::Map;
use crate::words;
use crate::{limits, log};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What was seen of one.
#[derive(Debug, Default)]
struct Sight {
    /// The newest change of any of its files when its events were counted.
    changed: Option<SystemTime>,
    events: u64,
    told: bool,
}

/// Those that were seen.
#[derive(Debug, Default)]
pub struct Stranded(Map<PathBuf, Sight>);

impl Stranded {
    /// Looks at one that is `whose`, and not ours; `own`: the name of our home.
    pub fn look(&mut self, dir: &Path, whose: &str, own: &str) {
        // A helper that lives there has the lock. It is not kept: one may be about to start.
        let free = matches!(lock::take(dir), Ok(Some(_)));
        if !free || has_living_twin(dir) {
            self.end(dir);
            return;
        }
        let changed = newest_change(dir);
        let sight = self.0.at(dir.to_path_buf(), Default::default);
        if sight.changed.is_none() || sight.changed != changed {
            sight.events = Look::owned(dir).map_or(0, |look| waiting(&look));
            sight.changed = changed;
        }
        if sight.events > 0 && !std::mem::replace(&mut sight.told, true) {
            let (shown, quoted, own) = (words::shown(dir), words::quoted(dir), words::quoted(Path::new(own)));
            let text = format!(
                "`{shown}` holds {} undelivered events and belongs to another helper, which does not run ({whose}): this one may not deliver them. \
                 They wait for it; to deliver them by this one all the same: gostech-audit-log spool replay {quoted} --by {own}",
                sight.events
            );
            log::warn(&format!("spool {}", words::shown(dir.file_name().map_or(dir, Path::new))), text);
        }
    }

    /// It is not stranded any more, or was never.
    fn end(&mut self, dir: &Path) {
        if self.0.remove(dir).is_some_and(|s| s.told) {
            log::info("adopter", format!("`{}` has a helper again", words::shown(dir)));
        }
    }

    /// Forgets those that are gone, or are ours now.
    pub fn keep(&mut self, seen: impl Fn(&Path) -> bool) {
        self.0.retain(|dir, _| seen(dir));
    }

    /// The spools by name, and how many events they hold.
    pub fn list(&self) -> Vec<(String, u64)> {
        let held = self.0.iter().filter(|(_, s)| s.events > 0);
        held.map(|(dir, s)| (words::shown(dir.file_name().map_or(dir, Path::new)), s.events)).collect()
    }
}

/// Events that somebody there has not got yet.
fn waiting(look: &Look) -> u64 {
    let end = look.end();
    let behind = look.cursors.iter().map(|(_, c)| c.value.as_ref().map_or(look.first(), |c| c.next));
    end.saturating_sub(behind.min().unwrap_or_else(|| look.first()))
}

/// The newest change of a spool's files: while nothing changes, its events need not be counted again.
fn newest_change(dir: &Path) -> Option<SystemTime> {
    let files = std::fs::read_dir(dir).ok()?.flatten().take(limits::SPOOL_FILES);
    files.filter_map(|f| f.metadata().ok()?.modified().ok()).max()
}

/// The spools beside a directory, those that are being made left out.
pub fn beside(dir: &Path) -> Vec<PathBuf> {
    let Some(entries) = dir.parent().and_then(|root| std::fs::read_dir(root).ok()) else { return Vec::new() };
    let hidden = |p: &PathBuf| p.file_name().is_none_or(|n| n.as_encoded_bytes().starts_with(b"."));
    let others = entries.flatten().take(limits::SPOOL_FILES).map(|e| e.path());
    others.filter(|p| p != dir && !hidden(p) && is_spool(p)).collect()
}

/// Those beside it whose helpers may deliver what is here.
pub fn twins(dir: &Path) -> Vec<PathBuf> {
    let may = |p: &PathBuf| match claim::living_in(p) {
        Some(ours) => matches!(claim::decide(dir, &ours), Ok(Claim::May(names)) if !names.is_empty()),
        // One of an older version asks nobody.
        None => !p.join(OWNER).exists(),
    };
    beside(dir).into_iter().filter(may).collect()
}

/// Whether a helper that runs beside a sub-directory may deliver what is in it.
pub fn is_helped(dir: &Path) -> bool {
    twins(dir).iter().any(|twin| holder(twin).may_change())
}

/// Whether helpers run beside a sub-directory that nobody works in, and none of them may deliver what is in it.
pub fn is_stranded(look: &Look) -> bool {
    let runs = |dir: &PathBuf| holder(dir).may_change();
    !look.in_use.may_change() && !is_helped(&look.dir) && beside(&look.dir).iter().any(runs)
}

fn has_living_twin(dir: &Path) -> bool {
    twins(dir).iter().any(|twin| matches!(lock::take(twin), Ok(None)))
}
