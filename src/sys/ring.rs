//! The cushion's memory: a ring of bytes in a memory file that outlives the worker, with one filler and one taker.
//!
//! The keeper holds the file; a worker maps it. The data area is mapped twice in a row, so that any stretch of it is one
//! slice. Positions are those of the input stream: they only grow. Nothing is lost when the process is killed between any
//! two instructions:
//!
//! ```text
//! stdin ──splice──▶ relay pipe (ours, held by the keeper) ──read──▶ ring ──▶ head moves
//! ```
//!
//! `splice` moves bytes inside the kernel: each is in one pipe or the other. Before a `read` the filler notes how many
//! bytes the relay holds and where they go; nobody else fills or drains the relay, so after a death the difference
//! between that note and what it still holds is exactly what lies in the ring already.
//!
//! Refuses: to know what the bytes mean, to wait.

use super::{crash, file};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

const MAGIC: u64 = u64::from_le_bytes(*b"GOSTRNG1");
const PAGE: usize = 4096;
/// The control words, notes and marks stand in the first pages, the data after them.
pub(super) const CONTROL: usize = 7 * PAGE;
/// What the status page remembers stands in the last of these pages.
const HISTORY_AT: usize = 6 * PAGE;
/// Words of that page.
pub const HISTORY_WORDS: usize = PAGE / 8;
const WORDS_AT: usize = 64;
const NOTE_AT: usize = PAGE;
/// The longest note.
pub const NOTE_BYTES: usize = 1024;
/// Where evidence keeps in which stream the records are counted, behind the note.
const STREAM_AT: usize = NOTE_AT + PAGE / 2;
/// Words of that.
pub const STREAM_WORDS: usize = 3;
const _: () = assert!(WORDS_AT + 64 * (Word::LAST as usize + 1) <= TAKEN_AT);
const _: () = assert!(NOTE_AT + 8 + NOTE_BYTES <= STREAM_AT && STREAM_AT + 8 * STREAM_WORDS <= TABLE_AT);
const TABLE_AT: usize = 2 * PAGE;
/// Pairs that the table holds.
pub const TABLE_PAIRS: usize = 64;
const MARKS_AT: usize = 4 * PAGE;
/// What was taken is noted twice, in turn, behind the shared numbers.
const TAKEN_AT: usize = PAGE / 2;
/// Numbers that such a note has room for, beside the place that it is of.
pub const TAKEN_WORDS: usize = 7;
const TAKEN_VOID: u64 = u64::MAX;
/// Where turns stand (`turns`), behind what was taken.
pub(super) const TURNS_AT: usize = 3 * PAGE / 4;
/// Marks that there is room for (`marks`), each in a cache line of its own.
pub(super) const MARKS: usize = 2 * PAGE / 64;

/// A number that keeper and worker share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Where the filler is.
    Head = 0,
    /// Where the taker is.
    Tail = 1,
    /// How many bytes the relay held before the read that is under way; 0: none is.
    Pending = 2,
    /// Where that read began to write.
    PendingAt = 3,
    /// 1 when the input has ended.
    Ended = 4,
    /// 1 + exit code when the worker ended as it wanted.
    Finished = 5,
    /// 1 when this worker has recovered and works.
    Ready = 6,
    /// How often a worker was started again.
    Restarts = 7,
    /// Microseconds in which the reader could not take more.
    Waited = 8,
    /// Where the taker stood when a worker died by its own fault, and how often in a row.
    FaultAt = 9,
    /// How often in a row.
    Faults = 10,
    /// 1 while the taker works off what stands at Tail.
    Working = 12,
    /// 1 + what was lost before this keeper's first worker.
    LostBefore = 11,
    /// Forbidden system calls that workers tried.
    Refused = 14,
    /// Events of orphans that were found lost, and told.
    OrphansLost = 15,
    /// The process of a worker that waits for its turn; 0: none does.
    Waiting = 20,
    /// 1 when the worker is to make room for one with other options.
    Renew = 21,
    /// How many files of a log could not be read to their end.
    SourceDamaged = 22,
    /// How many files of a log were followed by another one.
    Rotations = 23,
    /// How many were cut off while they were read.
    Truncations = 24,
    /// How many were cut off while they were read, with no copy of the rest.
    TruncatedUnread = 16,
    /// How often what was read last of a log was gone.
    SourceGone = 17,
    /// How often the journal did not hold the entry any more that was read last.
    Vacuumed = 18,
    /// How many of these were told, 16 bits each.
    SkipsTold = 19,
    /// The hash of the place in the journal of which that was counted last.
    VacuumedAt = 30,
    /// Up to here no whole record is left in the ring.
    Looked = 28,
    /// 1 + the hash of what was looked at and is going into the ring; 0: nothing is.
    Peeked = 25,
    /// How many bytes that is where it comes from.
    PeekedBytes = 26,
    /// Where in the ring it goes.
    PeekedAt = 27,
    /// How often a directory was found for the next worker since one had a directory.
    HomesFound = 29,
    /// How many crash points of a test have done their work.
    Crashes = 13,
}

impl Word {
    /// None has a greater number: what was taken stands right behind it.
    const LAST: Word = Word::VacuumedAt;
}

/// The mapped memory.
#[derive(Debug)]
pub struct Ring {
    file: File,
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: the control area is only touched through atomics or by one owner at a time (notes: before threads start and by
// the tender alone); the data area is divided between one `Filler` and one `Taker` by Head and Tail.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Ring {
    /// A new ring of at least `bytes`, rounded up to whole pages, with a number that tells it from all others.
    pub fn create(bytes: usize, epoch: u64) -> io::Result<Ring> {
        let size = bytes.max(PAGE).next_multiple_of(PAGE);
        let file = file::memory("gostech-ring", (CONTROL + size) as u64)?;
        if file.metadata()?.len() < (CONTROL + size) as u64 {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        let ring = Ring::map(file, size)?;
        ring.raw(8).store(epoch, Ordering::Relaxed);
        ring.raw(16).store(size as u64, Ordering::Relaxed);
        ring.raw(0).store(MAGIC, Ordering::Release);
        Ok(ring)
    }

    /// The ring behind a descriptor that another process image made; an error when it is none.
    #[cfg(test)]
    pub fn open(fd: std::os::fd::OwnedFd) -> io::Result<Ring> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "not a ring");
        let file = File::from(fd);
        let len = file.metadata()?.len() as usize;
        let size = len.checked_sub(CONTROL).filter(|s| *s > 0 && s % PAGE == 0).ok_or_else(bad)?;
        let ring = Ring::map(file, size)?;
        if ring.raw(0).load(Ordering::Acquire) != MAGIC || ring.raw(16).load(Ordering::Relaxed) != size as u64 {
            return Err(bad());
        }
        Ok(ring)
    }

    fn map(file: File, size: usize) -> io::Result<Ring> {
        let all = CONTROL + 2 * size;
        let fd = file.as_raw_fd();
        let (rw, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: reserves address space of our own choosing (null hint); nothing is backed yet.
        let base = unsafe {
            libc::mmap(std::ptr::null_mut(), all, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let Some(start) = NonNull::new(base.cast::<u8>()) else { return Err(io::Error::other("mapped at zero")) };
        let ring = Ring { file, base: start, size };
        for (at, len, from) in [(0, CONTROL + size, 0), (CONTROL + size, size, CONTROL)] {
            // SAFETY: MAP_FIXED inside the address range reserved just above; the file is long enough for both views.
            let got = unsafe {
                libc::mmap(base.cast::<u8>().add(at).cast(), len, rw, shared | libc::MAP_FIXED, fd, from as libc::off_t)
            };
            if got == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(ring)
    }

    pub(super) fn raw(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at + 8 <= CONTROL && at % 8 == 0);
        // SAFETY: inside the control area, aligned, and only ever accessed as atomics.
        unsafe { &*self.base.as_ptr().add(at).cast::<AtomicU64>() }
    }

    /// A shared number. Each stands in a cache line of its own.
    pub fn word(&self, word: Word) -> &AtomicU64 {
        self.raw(WORDS_AT + 64 * word as usize)
    }

    /// One of the words by which evidence keeps its stream.
    pub fn stream(&self, word: usize) -> &AtomicU64 {
        debug_assert!(word < STREAM_WORDS);
        self.raw(STREAM_AT + 8 * word)
    }

    /// One of the words of a mark.
    pub(super) fn mark(&self, slot: usize, word: usize) -> &AtomicU64 {
        debug_assert!(slot < MARKS && word < 8);
        self.raw(MARKS_AT + 64 * slot + 8 * word)
    }

    /// What the status page remembers: nothing else depends on it.
    pub fn history(&self) -> &[AtomicU64] {
        // SAFETY: a page of the control area, aligned, and only ever accessed as atomics.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(HISTORY_AT).cast::<AtomicU64>(), HISTORY_WORDS) }
    }

    /// The number that tells this ring from all others.
    pub fn epoch(&self) -> u64 {
        self.raw(8).load(Ordering::Relaxed)
    }

    /// How many bytes fit.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The memory file, to hand on.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Makes this process the one that works on it; false as long as another one does.
    pub fn claim(&self) -> io::Result<bool> {
        file::claim(&self.file)
    }

    /// Which other process works on it.
    pub fn claimed_by(&self) -> Option<i32> {
        file::claimed_by(&self.file)
    }

    /// Keeps a short text for the next worker (one writer at a time; the length is written last).
    pub fn set_note(&self, text: &str) {
        let bytes = &text.as_bytes()[..text.len().min(NOTE_BYTES)];
        for (i, part) in bytes.chunks(8).enumerate() {
            let mut word = [0u8; 8];
            word[..part.len()].copy_from_slice(part);
            self.raw(NOTE_AT + 8 + 8 * i).store(u64::from_le_bytes(word), Ordering::Relaxed);
        }
        self.raw(NOTE_AT).store(bytes.len() as u64, Ordering::Release);
    }

    /// The text kept by a worker before.
    pub fn note(&self) -> String {
        let len = (self.raw(NOTE_AT).load(Ordering::Acquire) as usize).min(NOTE_BYTES);
        let words = (0..len.div_ceil(8)).map(|i| self.raw(NOTE_AT + 8 + 8 * i).load(Ordering::Relaxed).to_le_bytes());
        let bytes: Vec<u8> = words.flatten().take(len).collect();
        String::from_utf8(bytes).unwrap_or_default()
    }

    /// Remembers a number under a key for the next worker, when there is room in the table.
    pub fn remember(&self, key: u64, value: u64) {
        let key = key.max(1);
        for i in 0..TABLE_PAIRS {
            let slot = self.raw(TABLE_AT + 16 * i);
            let held = slot.load(Ordering::Relaxed);
            if held == key || (held == 0 && slot.compare_exchange(0, key, Ordering::AcqRel, Ordering::Relaxed).is_ok())
            {
                self.raw(TABLE_AT + 16 * i + 8).store(value, Ordering::Release);
                return;
            }
        }
    }

    /// The number that a worker remembered under a key.
    pub fn remembered(&self, key: u64) -> Option<u64> {
        let key = key.max(1);
        (0..TABLE_PAIRS)
            .find(|i| self.raw(TABLE_AT + 16 * i).load(Ordering::Acquire) == key)
            .map(|i| self.raw(TABLE_AT + 16 * i + 8).load(Ordering::Acquire))
    }

    /// Notes what has become of the input up to `tail`, a moment before Tail is moved there (or again, where it stands). The
    /// note that agrees with Tail counts: whoever dies between the two leaves the one before.
    pub fn note_taken(&self, tail: u64, words: [u64; TAKEN_WORDS]) {
        let now = self.word(Word::Tail).load(Ordering::Relaxed);
        let place = |slot: usize| self.raw(TAKEN_AT + 64 * slot);
        let at_tail = |slot: usize| place(slot).load(Ordering::Relaxed) == now;
        let first = |slot: usize| self.raw(TAKEN_AT + 64 * slot + 8).load(Ordering::Relaxed);
        // Not the one that counts now; with both at Tail, the lesser one.
        let slot = usize::from(at_tail(0) && (!at_tail(1) || first(1) < first(0)));
        place(slot).store(TAKEN_VOID, Ordering::Release);
        for (i, word) in words.into_iter().enumerate() {
            self.raw(TAKEN_AT + 64 * slot + 8 * (1 + i)).store(word, Ordering::Release);
        }
        place(slot).store(tail, Ordering::Release);
    }

    /// That note; of two for the same place the one with the greater first number. None: nobody has left one.
    pub fn taken(&self) -> Option<[u64; TAKEN_WORDS]> {
        let now = self.word(Word::Tail).load(Ordering::Acquire);
        let valid = (0..2).filter(|slot| self.raw(TAKEN_AT + 64 * slot).load(Ordering::Acquire) == now);
        let words = valid
            .map(|slot| std::array::from_fn(|i| self.raw(TAKEN_AT + 64 * slot + 8 * (1 + i)).load(Ordering::Acquire)));
        words.filter(|w: &[u64; TAKEN_WORDS]| w[0] > 0).max_by_key(|w| w[0])
    }

    pub(super) fn at(&self, position: u64) -> *mut u8 {
        // SAFETY: CONTROL + an offset below `size` is inside the mapping.
        unsafe { self.base.as_ptr().add(CONTROL + (position % self.size as u64) as usize) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the range that `map` reserved; no slice of it outlives the Ring (they borrow a Taker that holds it).
        unsafe { libc::munmap(self.base.as_ptr().cast(), CONTROL + 2 * self.size) };
    }
}

/// The one who takes from the ring.
#[derive(Debug)]
pub struct Taker {
    ring: Arc<Ring>,
    /// Where a stretch begins that another thread looks at; `u64::MAX`: there is none.
    lent: Arc<AtomicU64>,
}

/// Bytes that the taker has not come to yet, for another thread to look at. They stay as they are: the taker does not go
/// past them while this lives.
#[derive(Debug)]
pub struct Stretch {
    ring: Arc<Ring>,
    lent: Arc<AtomicU64>,
    from: u64,
    len: usize,
}

impl Stretch {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: they lay between Tail and Head when this was made; the filler writes only behind Head and before Tail, and
        // `consume` waits for this to be dropped before Tail goes past `from`. The double mapping makes them contiguous.
        unsafe { std::slice::from_raw_parts(self.ring.at(self.from), self.len) }
    }
}

impl Drop for Stretch {
    fn drop(&mut self) {
        self.lent.store(u64::MAX, Ordering::Release);
    }
}

impl Taker {
    /// The one taker of a ring.
    pub fn new(ring: Arc<Ring>) -> Taker {
        Taker { ring, lent: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// `len` bytes behind the first `skip` ones of what `peek` shows, for another thread; one stretch at a time, and only
    /// of what is there.
    pub fn lend(&mut self, skip: usize, len: usize) -> Option<Stretch> {
        if self.lent.load(Ordering::Acquire) != u64::MAX || self.peek().len() < skip.checked_add(len)? {
            return None;
        }
        let from = self.position() + skip as u64;
        self.lent.store(from, Ordering::Release);
        Some(Stretch { ring: self.ring.clone(), lent: self.lent.clone(), from, len })
    }

    /// All that the ring holds of the stream at hand, in one slice.
    pub fn peek(&self) -> &[u8] {
        let tail = self.ring.word(Word::Tail).load(Ordering::Relaxed);
        let head = self.ring.word(Word::Head).load(Ordering::Acquire);
        let head = self.ring.next_turn(tail).map_or(head, |turn| head.min(turn));
        let len = (head.saturating_sub(tail) as usize).min(self.ring.size);
        // SAFETY: bytes between Tail and Head were written before Head moved (Acquire) and are not written again before
        // Tail moves, which takes `&mut self`; the double mapping makes them contiguous.
        unsafe { std::slice::from_raw_parts(self.ring.at(tail), len) }
    }

    /// Whether what `peek` shows is the end of its stream: what follows is of another one.
    pub fn ends_here(&self) -> bool {
        self.ring.next_turn(self.position()).is_some()
    }

    /// Where the taker stands, by the stream's own count: which stream, and where in it.
    pub fn place(&self) -> (u64, u64) {
        self.ring.place_of(self.position())
    }

    /// Where the taker stands in all that was ever read.
    pub fn position(&self) -> u64 {
        self.ring.word(Word::Tail).load(Ordering::Relaxed)
    }

    /// Frees the first `bytes` of what `peek` shows.
    pub fn consume(&mut self, bytes: usize) {
        let tail = self.position();
        let head = self.ring.word(Word::Head).load(Ordering::Acquire);
        let to = (tail + bytes as u64).min(head);
        // Does not happen to a writer that takes back what it has lent; and would last as long as one look at a stretch.
        while self.lent.load(Ordering::Acquire) < to {
            std::thread::yield_now();
        }
        self.ring.word(Word::Tail).store(to, Ordering::Release);
    }
}

impl crash::StepsDone for Ring {
    fn count(&self) -> &AtomicU64 {
        self.word(Word::Crashes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(size: usize) -> Arc<Ring> {
        Arc::new(Ring::create(size, 42).unwrap())
    }

    #[test]
    fn what_is_kept_side_by_side_does_not_touch() {
        let ring = new(PAGE);
        let note = "n".repeat(NOTE_BYTES);
        ring.word(Word::Tail).store(9, Ordering::Release);
        ring.set_note(&note);
        ring.note_taken(9, [1; TAKEN_WORDS]);
        (0..STREAM_WORDS).for_each(|i| ring.stream(i).store(7, Ordering::Release));
        ring.word(Word::LAST).store(8, Ordering::Release);
        ring.remember(3, 4);
        assert_eq!((ring.note(), ring.taken(), ring.remembered(3)), (note, Some([1; TAKEN_WORDS]), Some(4)));
        assert!((0..STREAM_WORDS).all(|i| ring.stream(i).load(Ordering::Acquire) == 7));
    }

    #[test]
    fn notes_words_and_pairs_outlive_the_mapping() {
        let ring = new(PAGE);
        ring.set_note("default.2");
        ring.remember(7, 99);
        ring.remember(7, 100);
        ring.word(Word::Restarts).store(3, Ordering::Relaxed);
        let again = Ring::open(ring.file.try_clone().unwrap().into()).unwrap();
        assert_eq!((again.note().as_str(), again.remembered(7), again.remembered(8)), ("default.2", Some(100), None));
        assert_eq!((again.epoch(), again.word(Word::Restarts).load(Ordering::Relaxed)), (42, 3));
        assert!(Ring::open(File::open("/dev/null").unwrap().into()).is_err());
    }

    #[test]
    fn what_was_taken_is_that_of_tail() {
        let ring = new(PAGE);
        let note = |tail, first| ring.note_taken(tail, [first, 0, 0, 0, 0, 0, 7]);
        let first = || ring.taken().map(|w| (w[0], w[6]));
        assert_eq!(first(), None);
        note(0, 5);
        note(0, 6);
        assert_eq!(first(), Some((6, 7)));
        // Noted, and dead before Tail was moved; then moved.
        note(10, 9);
        assert_eq!(first(), Some((6, 7)));
        ring.word(Word::Tail).store(10, Ordering::Relaxed);
        assert_eq!(first(), Some((9, 7)));
        note(20, 12);
        note(20, 13);
        assert_eq!(first(), Some((9, 7)));
        ring.word(Word::Tail).store(20, Ordering::Relaxed);
        assert_eq!(first(), Some((13, 7)));
    }
}
