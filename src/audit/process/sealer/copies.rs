//! Copies of signed checkpoints (`--seal-copy`): behind those that are in a file, or as entries of the journal.
//!
//! Each has a thread of its own, so that a mount or a journald that stands still holds nobody up. What one could not take
//! waits for it, within bounds; what a death has torn in a file is cut off. The last checkpoint comes again whenever the
//! directory of the seal is opened, in case a death has kept it from a copy: who reads them takes it for the repeat it is.
//! Refuses: to write behind what is no checkpoint, to follow a link, to wait for the other end of a FIFO.

use super::vault;
use crate::audit::alarm::AlarmKind;
use crate::audit::delivery::format::journal;
use crate::audit::delivery::transport::file::{self as append, cannot, open_to_append};
use crate::audit::delivery::transport::journald::{self, Entries};
use crate::audit::options::sealing::CopyTo;
use crate::audit::seal::{checkpoint, note, Checkpoint};
use crate::audit::spool::Spool;
use crate::limits;
use crate::log;
use crate::sys::{file, thread};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All of them.
#[derive(Debug, Default)]
pub struct Copies(Vec<Copy>);

/// A checkpoint, as it is signed and in words.
#[derive(Debug)]
struct Signed {
    note: String,
    message: String,
}

#[derive(Debug)]
struct Copy {
    matter: String,
    queue: SyncSender<Arc<Signed>>,
    /// The bytes of those that wait.
    held: Arc<AtomicUsize>,
}

impl Copies {
    /// Starts their threads.
    pub fn start(to: &[CopyTo], spool: &Arc<Spool>) -> io::Result<Copies> {
        let mut all = Vec::new();
        for to in to {
            let matter = match to {
                CopyTo::File(path) => format!("seal-copy {}", path.display()),
                CopyTo::Journal(_) => "seal-copy journald:".to_string(),
            };
            let (queue, come) = sync_channel(limits::SEAL_COPY_NOTES);
            let held = Arc::new(AtomicUsize::new(0));
            let (work, spool) = ((matter.clone(), held.clone()), spool.clone());
            let mut place = Place::of(to);
            thread::start("seal-copy", move || run(&mut place, &come, &work.0, &work.1, &spool))?;
            all.push(Copy { matter, queue, held });
        }
        Ok(Copies(all))
    }

    /// Hands a signed checkpoint on.
    pub fn give(&self, note: &str, checkpoint: &Checkpoint) {
        if self.0.is_empty() {
            return;
        }
        let signed = Arc::new(Signed { note: note.into(), message: checkpoint.message() });
        for copy in &self.0 {
            let held = copy.held.fetch_add(note.len(), Ordering::AcqRel);
            let fits = held == 0 || held + note.len() <= limits::SEAL_COPY_BYTES;
            if !fits || copy.queue.try_send(signed.clone()).is_err() {
                copy.held.fetch_sub(note.len(), Ordering::AcqRel);
                log::error(&copy.matter, "too many checkpoints wait: this one is not copied, take it from --seal");
            }
        }
    }

    /// Waits a moment until all are written: this may have been the last one.
    pub fn settle(&self) {
        let end = Instant::now() + Duration::from_millis(limits::SEAL_COPY_END_MILLIS);
        while self.0.iter().any(|copy| copy.held.load(Ordering::Acquire) > 0) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(limits::FILE_LOCK_MILLIS));
        }
    }
}

/// Writes one after the other, each until it is written, as long as somebody may hand over more.
fn run(place: &mut Place, come: &Receiver<Arc<Signed>>, matter: &str, held: &AtomicUsize, spool: &Spool) {
    let pause = Duration::from_millis(limits::SEAL_RETRY_MILLIS);
    let mut at_hand: Option<Arc<Signed>> = None;
    loop {
        let signed = match at_hand.take() {
            Some(signed) => signed,
            None => match come.recv() {
                Ok(signed) => signed,
                Err(_) => return,
            },
        };
        match place.write(&signed) {
            Ok(()) => {
                held.fetch_sub(signed.note.len(), Ordering::AcqRel);
                spool.troubles.over(AlarmKind::SealFailing, matter);
            }
            Err(why) => {
                spool.alarm(AlarmKind::SealFailing, matter, format!("checkpoints are not copied: {why}"));
                at_hand = Some(signed);
                std::thread::sleep(pause);
            }
        }
    }
}

/// Where a copy goes.
enum Place {
    File(CopyFile),
    Journal(Entries),
}

impl Place {
    fn of(to: &CopyTo) -> Place {
        match to {
            CopyTo::File(path) => Place::File(CopyFile { path: path.clone(), known: None }),
            CopyTo::Journal(socket) => Place::Journal(Entries::new(socket.clone())),
        }
    }

    fn write(&mut self, signed: &Signed) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_millis(limits::SEAL_COPY_MILLIS);
        match self {
            Place::File(file) => file.write(&signed.note, deadline),
            Place::Journal(entries) => entries.send(&entry(signed), deadline).map_err(|f| f.text),
        }
    }
}

/// `journalctl -o cat --output-fields=PICODATA_CHECKPOINT PICODATA_TITLE=audit_checkpoint` prints what a file would have.
fn entry(signed: &Signed) -> Vec<u8> {
    let mut out = Vec::with_capacity(signed.note.len() + signed.message.len() + 256);
    let title = checkpoint::TITLE.as_bytes();
    for (name, value) in [
        (&b"MESSAGE"[..], signed.message.as_bytes()),
        (b"PRIORITY", b"6"),
        (b"SYSLOG_FACILITY", b"13"),
        (b"SYSLOG_IDENTIFIER", note::NAME.as_bytes()),
        (b"MESSAGE_ID", journal::message_id(title).as_bytes()),
        (b"PICODATA_TITLE", title),
        (b"PICODATA_CHECKPOINT", signed.note.as_bytes()),
    ] {
        journal::field(&mut out, name, value);
    }
    out
}

/// A file of copies. It is opened for each: whoever rotates it need tell nobody.
struct CopyFile {
    path: PathBuf,
    /// Which file it was, and where our last one ended there.
    known: Option<((u64, u64), u64)>,
}

impl CopyFile {
    fn write(&mut self, note: &str, deadline: Instant) -> Result<(), String> {
        let path = &self.path;
        let file = open_to_append(path).map_err(|e| cannot(path, "open", &e))?;
        while !file::lock(&file).map_err(|e| cannot(path, "lock", &e))? {
            if Instant::now() >= deadline {
                return Err(format!("`{}` was locked by another writer all the time", path.display()));
            }
            std::thread::sleep(Duration::from_millis(limits::FILE_LOCK_MILLIS));
        }
        let meta = file.metadata().map_err(|e| cannot(path, "look at", &e))?;
        let (place, length) = ((meta.dev(), meta.ino()), meta.len());
        let end = if self.known == Some((place, length)) { length } else { end(path, &file, length)? };
        let bytes = format!("{note}\n");
        let written = (&file).write_all(bytes.as_bytes()).and_then(|()| file.sync_data());
        if let Err(e) = written {
            // It comes again as a whole.
            let _ = file.set_len(end);
            self.known = None;
            return Err(cannot(path, "write", &e));
        }
        self.known = Some((place, end + bytes.len() as u64));
        Ok(())
    }
}

/// Whether a copy could be written, in words; nothing is changed.
pub fn look(to: &CopyTo) -> Result<String, String> {
    match to {
        CopyTo::Journal(socket) => {
            journald::look(socket).map_err(|f| f.text)?;
            Ok("journald takes copies of checkpoints".into())
        }
        CopyTo::File(path) => {
            append::look(path).map_err(|(what, e)| cannot(path, what, &e))?;
            match file::open_regular(path, OpenOptions::new().read(true)) {
                Ok(file) => {
                    let length = file.metadata().map_err(|e| cannot(path, "look at", &e))?.len();
                    whole(path, &file, length)?;
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(cannot(path, "read", &e)),
            }
            Ok(format!("copies of checkpoints can be written to `{}`", path.display()))
        }
    }
}

/// Where the next one goes, behind what is there; what a death has torn is cut off.
fn end(path: &Path, file: &File, length: u64) -> Result<u64, String> {
    let end = whole(path, file, length)?;
    if end < length {
        file.set_len(end).map_err(|e| cannot(path, "cut", &e))?;
    }
    Ok(end)
}

/// Where the last whole one ends.
fn whole(path: &Path, file: &File, length: u64) -> Result<u64, String> {
    let mut most = limits::SEAL_COPY_LOOK_BYTES;
    loop {
        let mut tail = vec![0; length.min(most) as usize];
        let base = length - tail.len() as u64;
        file.read_exact_at(&mut tail, base).map_err(|e| cannot(path, "read", &e))?;
        let (_, to) = vault::last_note(&tail);
        let all = base == 0 || most > limits::NOTE_BYTES as u64;
        if to == 0 && !all {
            most = 2 * limits::NOTE_BYTES as u64;
            continue;
        }
        let end = base + to as u64;
        if end < length && (to == 0 && base > 0 || !is_torn(&tail[to..])) {
            return Err(format!("`{}` holds something else than checkpoints: name another file", path.display()));
        }
        return Ok(end);
    }
}

/// Whether this may be left of a checkpoint: some file systems have zeros where bytes were to come.
fn is_torn(rest: &[u8]) -> bool {
    let written = rest.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    let (origin, rest) = (format!("{}/", note::NAME).into_bytes(), &rest[..written]);
    rest.starts_with(&origin) || origin.starts_with(rest)
}

#[cfg(test)]
mod tests;
