//! A log that the database writes and others rotate, in real files, read by the real source: rotations of all kinds,
//! truncations, half lines, files packed and deleted, and power cuts that take the end of it.
//!
//! What is promised: a mark moves with the record that it is of. So whoever dies, and whatever the power takes, nothing is lost
//! but what was taken away unread, and nothing comes twice but where the log itself was cut back.

use super::{Verdict, World};
use crate::canary::Canary;
use crate::disk::Death;
use gostech::audit::intake::reader::{Cushion, Reader};
use gostech::audit::intake::source::{table, Choice, Kept};
use gostech::audit::intake::writer::Done;
use gostech::audit::intake::writing::{begin, catch_up};
use gostech::audit::record::account::Account;
use gostech::audit::record::mark::Mark;
use gostech::audit::record::Ending;
use gostech::audit::spool::past::Fate;
use gostech::audit::spool::{names, slots, Full, Spool};
use gostech::limits;
use gostech::sys::filler::{Fill, Filler};
use gostech::sys::pipe;
use gostech::sys::ring::{Taker, Word};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Older files than so many are deleted.
const KEPT: usize = 4;

/// The log, and who reads it.
pub struct Log {
    dir: PathBuf,
    /// What the database has open, and which of all files that is; it may have another name by now.
    open: File,
    pub number: u64,
    /// How much of it is on the platter.
    synced: u64,
    /// The numbers of the files, the newest first; the first is `audit.log`, when there is one.
    older: Vec<u64>,
    moved: bool,
    /// Any of it was read.
    begun: bool,
    moment: u64,
    /// Reading may have to begin again: records may come twice.
    pub cut_back: bool,
    reading: Option<(Reader, Taker)>,
    /// For canaries: how far the worker before had read, and where the one before it began.
    read_to: Option<Mark>,
    kept_before: Option<Mark>,
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A place for files of this process.
pub fn scratch() -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let shm = PathBuf::from("/dev/shm");
    let root = if shm.is_dir() { shm } else { std::env::temp_dir() };
    root.join(format!("gostech-sim-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
}

impl Log {
    /// An empty one.
    pub fn new() -> Log {
        let dir = scratch();
        fs::create_dir_all(&dir).expect("a directory");
        let open = append(&dir.join("audit.log"));
        Log {
            dir,
            open,
            number: 1,
            synced: 0,
            older: Vec::new(),
            moved: false,
            begun: false,
            moment: 0,
            cut_back: false,
            reading: None,
            read_to: None,
            kept_before: None,
        }
    }

    /// Where the writer stands.
    pub fn place(&self) -> Option<Mark> {
        self.reading.as_ref().map(|(_, taker)| taker.place().into())
    }

    /// The same, in the ring.
    pub fn position(&self) -> Option<u64> {
        self.reading.as_ref().map(|(_, taker)| taker.position())
    }

    fn path(&self) -> PathBuf {
        self.dir.join("audit.log")
    }

    /// The names of older files: with a number, packed or not.
    fn old(&self, n: usize) -> PathBuf {
        let plain = self.dir.join(format!("audit.log.{n}"));
        if plain.exists() {
            plain
        } else {
            self.dir.join(format!("audit.log.{n}.gz"))
        }
    }

    fn bytes(&self) -> u64 {
        self.open.metadata().map_or(0, |m| m.len())
    }

    /// Every file has its own time, as files have that are written for hours.
    fn stamp(&mut self, file: &File) {
        self.moment += 1;
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + self.moment)).expect("a time");
    }

    /// All older files get the next number; the numbers of those that are deleted.
    fn shift(&mut self) -> Vec<u64> {
        for n in (1..=self.older.len()).rev() {
            let from = self.old(n);
            let packed = if from.extension().is_some_and(|e| e == "gz") { ".gz" } else { "" };
            fs::rename(from, self.dir.join(format!("audit.log.{}{packed}", n + 1))).expect("renamed");
        }
        self.older.insert(0, self.number);
        let gone = self.older.split_off(KEPT.min(self.older.len()));
        for n in 0..gone.len() {
            fs::remove_file(self.old(KEPT + 1 + n)).expect("removed");
        }
        gone
    }

    fn pack(&mut self, n: usize) {
        let plain = self.dir.join(format!("audit.log.{n}"));
        // Whoever packs waits for the database to let go of it.
        if n == 1 && self.moved {
            return;
        }
        let Ok(text) = fs::read(&plain) else { return };
        let modified = fs::metadata(&plain).and_then(|m| m.modified()).expect("a time");
        let packed = File::create(self.dir.join(format!("audit.log.{n}.gz"))).expect("made");
        let mut gz = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        gz.write_all(&text).expect("written");
        gz.finish().expect("written").set_modified(modified).expect("a time");
        fs::remove_file(plain).expect("removed");
    }
}

fn append(path: &std::path::Path) -> File {
    OpenOptions::new().create(true).read(true).append(true).open(path).expect("a file")
}

impl World {
    /// Which stream the database writes to, and how far it is.
    pub(super) fn stream(&self) -> u64 {
        self.log.as_ref().map_or(self.life, |log| log.number)
    }

    /// Records of that file that end behind this place may be lost: nobody may have read them.
    fn excuse_file(&mut self, number: u64, behind: u64) {
        let fed = &mut self.outside().fed;
        let lost = fed.iter_mut().filter(|f| f.life == number && f.end > behind);
        let lost = lost.map(|f| f.excused = true).count();
        gostech::log::debug("sim", format!("file {number} is taken away behind {behind}: {lost} records may be lost"));
    }

    /// The database writes what it has, or a part of a line; now and then somebody rotates.
    pub(super) fn write_log(&mut self) {
        let all = self.pipe.len() as u64;
        let n = if self.more.once_in(4) { self.more.below(all + 1) } else { all };
        let Some(log) = &mut self.log else { return };
        let bytes: Vec<u8> = self.pipe.drain(..n as usize).collect();
        log.open.write_all(&bytes).expect("written");
        let file = log.open.try_clone().expect("a file");
        log.stamp(&file);
        if self.more.once_in(3) {
            log.synced = log.bytes();
        }
        if !self.pipe.is_empty() {
            return;
        }
        if log.moved && self.more.once_in(2) {
            self.reopen();
        }
        match self.more.below(40) {
            0 | 1 => self.rotate(),
            2 => self.truncate(),
            3 | 4 => {
                let n = self.more.between(1, KEPT as u64) as usize;
                self.log.iter_mut().for_each(|log| log.pack(n));
            }
            _ => {}
        }
    }

    /// The database is told that its file was renamed.
    fn reopen(&mut self) {
        let Some(log) = &mut self.log else { return };
        let old = log.open.try_clone().expect("a file");
        log.stamp(&old);
        log.open = append(&log.path());
        log.moved = false;
        (log.number, log.synced) = (log.number + 1, 0);
        self.fed_to = 0;
    }

    fn rotate(&mut self) {
        let Some(log) = &mut self.log else { return };
        // One that nobody has written to is not rotated.
        if log.moved || log.bytes() == 0 {
            return;
        }
        let gone = log.shift();
        let file = log.open.try_clone().expect("a file");
        log.stamp(&file);
        fs::rename(log.path(), log.dir.join("audit.log.1")).expect("renamed");
        log.moved = true;
        if self.more.once_in(2) {
            drop(append(&log.path()));
        }
        gone.into_iter().for_each(|number| self.excuse_file(number, 0));
    }

    /// Copied and truncated, or only truncated.
    fn truncate(&mut self) {
        let Some(log) = &mut self.log else { return };
        if log.moved || log.bytes() == 0 {
            return;
        }
        let (number, bytes) = (log.number, log.bytes());
        let copied = if self.more.once_in(4) { 0 } else { bytes };
        let mut gone = Vec::new();
        if copied > 0 {
            gone = log.shift();
            fs::copy(log.path(), log.dir.join("audit.log.1")).expect("copied");
            let copy = File::options().write(true).open(log.dir.join("audit.log.1")).expect("a file");
            log.stamp(&copy);
            if self.more.once_in(2) {
                self.feed(true);
                let Some(log) = &mut self.log else { return };
                log.open.write_all(&std::mem::take(&mut self.pipe)).expect("written");
                let file = log.open.try_clone().expect("a file");
                log.stamp(&file);
            }
        }
        self.excuse_file(number, copied);
        let Some(log) = &mut self.log else { return };
        log.open.set_len(0).expect("truncated");
        (log.number, log.synced) = (number + 1, 0);
        self.fed_to = 0;
        gone.into_iter().for_each(|number| self.excuse_file(number, 0));
    }

    /// The power takes the end of the file, up to a line, and what the database had not written.
    pub(super) fn cut_log(&mut self) {
        self.pipe.clear();
        let kept = slots::decode(&self.disk.platter(names::STATE), limits::STATE_SLOT_BYTES)
            .and_then(|(_, s)| Account::load(s));
        let begun = kept.is_some_and(|account| account.mark.epoch > 0);
        let Some(log) = &mut self.log else { return };
        let (number, bytes) = (log.number, log.bytes());
        let older = if begun { 0 } else { number + u64::from(log.moved) };
        let mut text = vec![0; self.more.between(log.synced, bytes) as usize];
        log.open.read_exact_at(&mut text, 0).expect("read");
        let to = text.iter().rposition(|b| *b == b'\n').map_or(0, |n| n as u64 + 1);
        log.open.set_len(to).expect("cut");
        log.synced = log.synced.min(to);
        log.cut_back |= to < bytes;
        self.fed_to = to;
        // Nothing of it was kept for certain: what was rotated before that is nobody's.
        (1..older).for_each(|n| self.excuse_file(n, 0));
        // What was cut off may have been read, and need not.
        self.excuse_file(number, to);
        if self.log.as_ref().is_some_and(|log| log.moved) {
            self.reopen();
        }
    }

    /// A new worker goes on reading.
    pub(super) fn resume_log(&mut self, spool: &Arc<Spool>) -> Verdict {
        let Some(log) = &mut self.log else { return Ok(()) };
        spool.take_over(&Fate::Here);
        let relay = Arc::new(pipe::pair().map_err(|e| e.to_string())?);
        let filler = Filler::resume(self.ring.clone(), relay).map_err(|e| e.to_string())?;
        let choice = Choice {
            old_dir: None,
            row: table::find("file")?,
            filename: Some(log.path()),
            from_end: false,
            once: false,
            matches: Vec::new(),
            stream: false,
            mode: 0o660,
        };
        let mut reader = Reader::new(Arc::new(Cushion::new(self.ring.clone(), false)), filler, &choice);
        let mut kept = Kept::of(&spool.account());
        let other = match self.canary {
            Canary::MarkEarly => log.read_to,
            Canary::MarkLate => log.kept_before,
            _ => None,
        };
        if let Some(mark) = other {
            kept = Kept { mark, last: None, ..kept };
        }
        log.begun = kept.mark.epoch > 0;
        log.kept_before = Some(kept.mark).filter(|m| m.epoch > 0);
        reader.resume(kept);
        let mut taker = Taker::new(self.ring.clone());
        catch_up(spool, &self.ring, &mut taker);
        log.reading = Some((reader, taker));
        Ok(())
    }

    /// The worker is dead.
    pub(super) fn leave_log(&mut self) {
        if let Some(log) = &mut self.log {
            log.read_to = Some(self.ring.place_of(self.ring.word(Word::Head).load(Ordering::Relaxed)).into());
            log.reading = None;
        }
    }

    /// Takes what there is. True: that was nothing.
    pub(super) fn read_log(&mut self) -> Result<bool, String> {
        let Some(log) = self.log.as_mut().filter(|log| log.reading.is_some()) else { return Ok(false) };
        if !log.begun {
            // Nothing of it was ever kept: what is rotated before it is read is nobody's.
            let newest = log.number + u64::from(log.moved);
            (1..newest).for_each(|n| self.excuse_file(n, 0));
        }
        let Some((log, (reader, _))) = self.log.as_mut().and_then(|log| Some((&mut log.begun, log.reading.as_mut()?)))
        else {
            return Ok(false);
        };
        let fill = reader.fill().map_err(|e| e.to_string())?;
        *log |= matches!(fill, Fill::Bytes(_));
        Ok(fill == Fill::Nothing)
    }

    /// One step of the writer on what was read.
    pub(super) fn write_read(&mut self, ending: Ending) -> Result<bool, String> {
        let (wall, deaths) = (self.wall, self.plan.deaths);
        let (Some(w), Some(log)) = (self.worker.as_mut(), self.log.as_mut()) else { return Ok(false) };
        let Some((_, taker)) = &mut log.reading else { return Ok(false) };
        begin(&mut w.writer, taker);
        let ends = taker.ends_here();
        let held = taker.peek().len();
        let ending = match ending {
            _ if ends => Ending::Ended,
            Ending::Open if held >= self.ring.size() => Ending::Crowded,
            other => other,
        };
        let done = w.writer.step(taker.peek(), taker.place().into(), ending, wall);
        if std::mem::take(&mut w.writer.posted) {
            w.spool.note_taken(taker.position());
        }
        match done {
            Done::Bytes(n) => {
                w.spool.note_taken(taker.position() + n as u64);
                if deaths && self.chance.once_in(200) {
                    resume_unwind(Box::new(Death::Worker));
                }
                taker.consume(n);
                Ok(n == 0 && held == 0)
            }
            Done::Blocked if self.plan.full != Full::Block => Err("blocked, and was not to".into()),
            Done::Blocked => Ok(false),
        }
    }

    /// Nothing comes twice that reading had not to begin again for.
    pub(super) fn nothing_came_twice(&self, repeats: u64) -> Verdict {
        match &self.log {
            Some(log) if !log.cut_back && repeats > 0 => Err(format!("{repeats} records were read twice")),
            _ => Ok(()),
        }
    }
}
