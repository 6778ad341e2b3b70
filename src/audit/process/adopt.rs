//! Orphaned sub-directories: spools whose helper is gone, with events that were never delivered. They are adopted,
//! drained to the same receivers, and left; what they keep for replay goes when its time is over.
//!
//! A sub-directory made for a replay is removed when it is drained. Refuses: to touch a locked one, to deliver what is of
//! another cluster or for other receivers (`claim`), to be a receiver of a spool that does not know it.

use crate::audit::options::keeping::settings;
use crate::audit::options::Options;
use crate::audit::process::claim::{self, Claim, Ours};
use crate::audit::process::crew::Crew;
use crate::audit::process::opening;
use crate::audit::process::run_state::RunState;
use crate::audit::process::stranded::Stranded;
use crate::audit::record::loss::Loss;
use crate::audit::spool::disk::RealDisk;
use crate::audit::spool::ephemeral;
use crate::audit::spool::lock::{self, Lock};
use crate::audit::spool::memory_disk::MemoryDisk;
use crate::audit::spool::names::EPHEMERAL;
use crate::audit::spool::recover::Refusal;
use crate::audit::spool::{Settings, Spool};
use crate::sorted::{self, Map};
use crate::sys::clock::wall_ms;
use crate::sys::crash;
use crate::sys::ring::Word;
use crate::{limits, log};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// One that is being drained.
struct Adopted {
    dir: PathBuf,
    spool: Arc<Spool>,
    run_state: Arc<RunState>,
    crew: Crew,
    /// Losses that are on their way to the writer.
    given: Vec<Loss>,
    /// How far its receivers are, and since when.
    at: u64,
    since: Instant,
    /// It gives way to another one, when its senders have stopped.
    leaving: bool,
    /// Held until it is drained.
    _lock: Lock,
}

/// One in which there is nothing to do: its newest segment then, since when, and whether what it kept for replay is gone.
struct Done {
    changed: SystemTime,
    at: Instant,
    swept: bool,
}

/// The one who looks for orphans.
struct Adopter<'a> {
    root: &'a Path,
    own: &'a str,
    options: &'a Options,
    run_state: &'a RunState,
    ours: Ours,
    begun: Instant,
    adopted: Vec<Adopted>,
    done: Map<PathBuf, Done>,
    /// Those that gave way undrained, when, and with how many events.
    left: Map<PathBuf, (Instant, u64)>,
    stranded: Stranded,
}

/// What a look at an adopted one has shown.
enum Seen {
    Busy,
    Drained,
    Left,
}

/// Looks for orphans from time to time, until the end.
pub fn run(root: &Path, own: &str, options: &Options, run_state: &RunState) {
    let (adopted, done, left, stranded) = (Vec::new(), Map::new(), Map::new(), Stranded::default());
    let ours = Ours { owner: claim::owner_of(options), identity: settings(options, None).identity };
    let begun = Instant::now();
    let mut adopter = Adopter { root, own, options, run_state, ours, begun, adopted, done, left, stranded };
    let mut next = Instant::now();
    while !run_state.stop.load(Ordering::Acquire) {
        if next <= Instant::now() {
            next = Instant::now() + Duration::from_secs(limits::ADOPT_SECONDS);
            ephemeral::clean(root);
            adopter.look();
        }
        adopter.tend();
        run_state.sleep(Duration::from_millis(if adopter.adopted.is_empty() { 1_000 } else { 100 }));
    }
    for a in &adopter.adopted {
        a.spool.save_cursors();
    }
}

impl Adopter<'_> {
    fn look(&mut self) {
        let Ok(entries) = std::fs::read_dir(self.root) else { return };
        self.left.retain(|dir, _| dir.exists());
        let (mut waiting, mut foreign) = (Vec::new(), Vec::new());
        for entry in entries.flatten().take(limits::SPOOL_FILES) {
            let dir = entry.path();
            // A name with a dot in front: one that is being made.
            let is_own = entry.file_name() == self.own || entry.file_name().as_encoded_bytes().starts_with(b".");
            if is_own || self.adopted.iter().any(|a| a.dir == dir) {
                continue;
            }
            // Only what is a spool: a directory with segments; one that was drained is looked at again when it has changed.
            let Some(changed) = newest_segment(&dir) else { continue };
            match self.done.get(&dir).filter(|d| d.changed >= changed) {
                Some(d) if d.swept || d.at.elapsed() < self.options.retain => continue,
                _ => {}
            }
            let names = match claim::decide(&dir, &self.ours) {
                Ok(Claim::May(names)) => names,
                Ok(Claim::Not(whose)) => {
                    self.stranded.look(&dir, &whose, self.own);
                    foreign.push(dir);
                    continue;
                }
                Err(e) => {
                    log::warn("adopter", format!("cannot adopt `{}`: {}", dir.display(), opening::why(&e.into())));
                    continue;
                }
            };
            match self.done.contains_key(&dir) && !self.has_changed(&dir, changed) {
                true => self.sweep(&dir, changed, &names),
                false => waiting.push((self.left.get(&dir).map(|(since, _)| *since), dir, changed, names)),
            }
        }
        self.stranded.keep(|dir| foreign.iter().any(|f| f == dir));
        self.run_state.orphans.set_stranded(self.stranded.list());
        // Those that were never tried come first, then those that gave way long ago.
        sorted::sort(&mut waiting);
        for (_, dir, changed, names) in waiting {
            if self.adopted.len() < limits::ADOPT_AT_ONCE {
                self.take(&dir, changed, &names);
            } else {
                return self.make_way();
            }
        }
    }

    /// The one that has stood still longest leaves its place: its receivers may be down, those of another one not.
    fn make_way(&mut self) {
        if self.adopted.iter().any(|a| a.leaving) {
            return;
        }
        // What a failing disk has sent to memory would go with it.
        let may = |a: &&mut Adopted| {
            a.since.elapsed().as_secs() >= limits::ADOPT_STALL_SECONDS && a.spool.sizes().in_memory == 0
        };
        if let Some(a) = self.adopted.iter_mut().filter(may).max_by_key(|a| a.since.elapsed()) {
            a.leaving = true;
            a.run_state.end();
            a.spool.wake();
        }
    }

    /// Whether one that was done has new segments.
    fn has_changed(&self, dir: &Path, changed: SystemTime) -> bool {
        self.done.get(dir).is_some_and(|d| d.changed < changed)
    }

    fn done(&mut self, dir: &Path, changed: SystemTime, swept: bool) {
        self.done.insert(dir.to_path_buf(), Done { changed, at: Instant::now(), swept });
    }

    fn take(&mut self, dir: &Path, changed: SystemTime, names: &[String]) {
        let Ok(Some(lock)) = lock::take(dir) else {
            // Whoever works in it tells of it.
            self.left.remove(dir);
            return;
        };
        crash::point("adopt.locked");
        if names.is_empty() {
            // With nobody to deliver to it would count as drained.
            let name = ephemeral::only(dir).unwrap_or_default();
            let text = format!("`{}` waits for the receiver `{name}`, which is not configured", dir.display());
            log::warn("adopter", text);
            return self.done(dir, changed, true);
        }
        match self.adopt(dir, names, lock) {
            Ok(Some(a)) => self.adopted.push(a),
            Ok(None) => {
                self.left.remove(dir);
                self.done(dir, changed, false);
            }
            Err(e) => {
                log::warn("adopter", format!("cannot adopt `{}`: {}", dir.display(), opening::why(&e)));
                // What the disk does not give now it may give later; a spool of another version stays one.
                if matches!(e, Refusal::Foreign(_)) {
                    self.done(dir, changed, true);
                }
            }
        }
    }

    /// How it is to be kept: for the receivers that it is for. Any other one of ours would have a cursor there that holds
    /// its events.
    fn settings(&self, dir: &Path, names: &[String]) -> Settings {
        let mut settings = settings(self.options, Some(dir));
        settings.receivers.retain(|(n, _)| names.contains(n));
        settings
    }

    /// Opens one, but not at once when workers have died of that.
    fn open(&self, dir: &Path, settings: Settings) -> Result<Spool, Refusal> {
        let mark = opening::opening(self.run_state.ring.as_ref(), dir);
        let deaths = mark.deaths();
        if self.begun.elapsed() < deaths.late() {
            let text = format!("{} workers have died of opening it; it is left alone for a while", deaths.all);
            return Err(io::Error::other(text).into());
        }
        let memory_disk = Arc::new(MemoryDisk::open(MemoryDisk::create()?)?);
        mark.at(1);
        let spool = Spool::open(Arc::new(RealDisk::new(dir)), memory_disk, settings, None, wall_ms())?;
        mark.at(0);
        mark.well();
        Ok(spool)
    }

    /// Adopts one; none when there is nothing to deliver.
    fn adopt(&self, dir: &Path, names: &[String], lock: Lock) -> Result<Option<Adopted>, Refusal> {
        let settings = self.settings(dir, names);
        let spool = Arc::new(self.open(dir, settings)?);
        spool.end();
        crash::point("adopt.opened");
        if spool.all_delivered() && spool.no_losses() {
            finish(dir, &spool);
            return Ok(None);
        }
        if !self.left.contains_key(dir) {
            let waiting = waiting(&spool);
            let text = match dir.join(EPHEMERAL).exists() {
                true => format!("`{}` is an ordered replay of {waiting} events: delivering them", dir.display()),
                false => format!("`{}` is orphaned with {waiting} undelivered events: delivering them", dir.display()),
            };
            log::info("adopter", text);
            log::calm("adopter");
        }
        let run_state = Arc::new(self.run_state.beside(ephemeral::only(dir).is_some()));
        let mut receivers = self.options.receivers.clone();
        receivers.retain(|r| names.contains(&r.name));
        let crew = Crew::new(spool.clone(), run_state.clone(), receivers.iter());
        let (dir, given, since) = (dir.to_path_buf(), Vec::new(), Instant::now());
        Ok(Some(Adopted { dir, spool, run_state, crew, given, at: 0, since, leaving: false, _lock: lock }))
    }

    /// What was kept for replay in one that has been drained for that long goes: nobody else would ever remove it.
    fn sweep(&mut self, dir: &Path, changed: SystemTime, names: &[String]) {
        let Ok(Some(_lock)) = lock::take(dir) else { return };
        match self.open(dir, self.settings(dir, names)) {
            Ok(spool) => {
                if spool.all_delivered() && spool.drained() {
                    spool.remove_acked(u64::MAX, i64::MAX);
                }
                self.done(dir, newest_segment(dir).unwrap_or(changed), true);
            }
            Err(e) => log::warn("adopter", format!("cannot tidy `{}`: {}", dir.display(), opening::why(&e))),
        }
    }

    fn tend(&mut self) {
        let reloads = self.run_state.reloads.load(Ordering::Acquire);
        for mut a in std::mem::take(&mut self.adopted) {
            a.run_state.reloads.store(reloads, Ordering::Release);
            match a.tend(self.run_state) {
                Seen::Busy => self.adopted.push(a),
                Seen::Left => {
                    self.left.insert(a.dir, (Instant::now(), waiting(&a.spool)));
                }
                Seen::Drained => {
                    self.left.remove(&a.dir);
                    if let Some(changed) = newest_segment(&a.dir) {
                        self.done(&a.dir, changed, false);
                    }
                }
            }
        }
        let here = self.adopted.iter().map(|a| (&a.dir, waiting(&a.spool)));
        let gave_way = self.left.iter().map(|(dir, (_, events))| (dir, *events));
        let all: Map<_, _> = gave_way.chain(here).collect();
        self.run_state.orphans.set_waiting(all.values().sum());
    }
}

/// Events that a receiver of ours has not got yet.
fn waiting(spool: &Spool) -> u64 {
    let live = spool.receivers().into_iter().filter(|r| r.live);
    live.map(|r| spool.next_seq() - r.cursor.next).max().unwrap_or(0)
}

fn newest_segment(dir: &Path) -> Option<SystemTime> {
    let files = std::fs::read_dir(dir).ok()?.flatten().take(limits::SPOOL_FILES);
    let segments = files.filter(|f| f.file_name().to_str().is_some_and(|n| n.ends_with(".seg")));
    segments.filter_map(|f| f.metadata().ok()?.modified().ok()).max()
}

impl Adopted {
    fn name(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// One look.
    fn tend(&mut self, family: &RunState) -> Seen {
        let orphans = &family.orphans;
        if !self.leaving {
            self.crew.complete();
        }
        let at = self.spool.receivers().iter().map(|r| r.cursor.next).sum();
        if std::mem::replace(&mut self.at, at) != at {
            self.since = Instant::now();
        }
        self.spool.save_cursors();
        self.spool.tidy(wall_ms());
        orphans.take_troubles(&self.name(), &self.spool.troubles, false);
        // Damage that senders have found: the spool takes no new events, so ours tells of it.
        let losses = self.spool.take_losses();
        orphans.give(&losses);
        self.given.extend(losses);
        if !self.given.is_empty() && orphans.all_told() {
            let mut account = self.spool.account();
            let mut lost = 0;
            for l in self.given.drain(..) {
                lost += l.to - l.from + 1;
                account.note_damage((l.from, l.to));
            }
            drop(account);
            if let Some(ring) = &family.ring {
                ring.word(Word::OrphansLost).fetch_add(lost, Ordering::Relaxed);
            }
            self.spool.save_state(true);
        }
        let senders = self.run_state.senders.load(Ordering::Acquire);
        if self.leaving && senders == 0 && self.given.is_empty() {
            // Its senders have stopped, perhaps in the middle.
            self.spool.save_cursors();
            self.spool.save_state(true);
            orphans.take_troubles(&self.name(), &self.spool.troubles, true);
            return Seen::Left;
        }
        if self.leaving || !self.crew.is_done() || !self.given.is_empty() {
            return Seen::Busy;
        }
        self.spool.save_state(true);
        orphans.take_troubles(&self.name(), &self.spool.troubles, true);
        crash::point("adopt.drained");
        finish(&self.dir, &self.spool);
        log::info("adopter", format!("`{}` is drained", self.dir.display()));
        log::calm("adopter");
        Seen::Drained
    }
}

/// A drained one that was made for the purpose goes.
fn finish(dir: &Path, spool: &Spool) {
    let quarantine = std::fs::read_dir(dir).is_ok_and(|d| {
        let kept = |n: &str| n.starts_with("quarantine-") && !n.contains(".jsonl.retried-") || n.ends_with(".bad");
        d.flatten().any(|f| f.file_name().to_str().is_some_and(kept))
    });
    if spool.drained() && !quarantine && dir.join(EPHEMERAL).exists() {
        // First out of sight: half of it must not be taken for an orphan should we be killed now.
        let hidden = dir.with_file_name(format!(".{}", dir.file_name().unwrap_or_default().to_string_lossy()));
        let gone = std::fs::rename(dir, &hidden).and_then(|()| {
            crash::point("adopt.hidden");
            std::fs::remove_dir_all(&hidden)
        });
        if let Err(e) = gone {
            log::warn("adopter", format!("cannot remove `{}`: {e}", dir.display()));
        }
    }
}
