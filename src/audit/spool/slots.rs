//! ○ A small file that is always whole: three copies, each with its number and checksum. Pure.
//!
//! One copy is known to be on the platter: it is never written over until a sync has put another one there. The other two
//! are written in turn, so that a worker that dies in the middle of one finds the version before it in the page cache.
//! Whatever is torn, lost or forgotten, the last synced version stands. Cursors and the state live in such files.

use crate::hash::xxh64;
use crate::limits;

const MAGIC: [u8; 8] = *b"GOSTSLT\x02";
const HEADER: usize = 40;
/// How many copies a file has room for.
pub const COPIES: u64 = 3;

/// One copy: where to write it, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Where in the file.
    pub at: u64,
    /// What.
    pub bytes: Vec<u8>,
}

/// Where the versions of a file on disk stand.
///
/// A worker that takes over does not know whether the newest copy it finds was synced, and each copy says only which one
/// was on the platter before it. So the first thing it writes is that newest version once more, into the third copy
/// (`again`), and that is synced before anything else is written. Should it die at that, its follower writes the very
/// same bytes to the very same place: that can tear nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The number of the last version, wherever it was written; 0: there is none.
    pub turn: u64,
    /// What has to be written and synced before anything else.
    pub again: Option<Copy>,
    /// Which copy is the newest whole one.
    last: Option<u64>,
    /// Which copy is on the platter; neither this nor `last` is written over.
    kept: Option<u64>,
    /// `last` was written since the last sync, and no sync failed since: the next success puts it on the platter.
    written: bool,
    /// How many bytes of each copy's room are written.
    used: [u64; COPIES as usize],
    /// All of them have their room on the disk.
    pub roomy: bool,
}

impl Place {
    /// Of a file as an earlier worker has left it.
    pub fn of(file: &[u8], room: u64) -> Place {
        let mut used = [0; COPIES as usize];
        for (used, copy) in used.iter_mut().zip(file.chunks(room as usize)) {
            *used = decode_copy(0, copy, room).map_or(0, |c| (HEADER + c.payload.len()) as u64);
        }
        // They are given their room in turn, the last one last.
        let roomy = file.len() as u64 >= (COPIES - 1) * room + made(room);
        let place = Place { used, roomy, ..Place::default() };
        let Some(found) = newest(file, room) else { return place };
        let place = Place { turn: found.turn, last: Some(found.slot), kept: found.kept, ..place };
        // Already the same again: with the same number.
        let (turn, slot) = if found.again { (found.turn, found.slot) } else { (found.turn + 1, place.slot()) };
        let mark = Mark { turn, kept: found.kept, again: true };
        Place { turn, again: encode(mark, slot, found.payload, room), ..place }
    }

    /// The same place when its file is gone: numbers go on.
    pub fn without_file(&self) -> Place {
        Place { turn: self.turn, ..Place::default() }
    }

    /// Whether there is no copy yet.
    pub fn is_new(&self) -> bool {
        self.last.is_none()
    }

    /// Which copy is the next to be written: neither the newest nor the one on the platter.
    fn slot(&self) -> u64 {
        (0..COPIES).find(|&s| self.last != Some(s) && self.kept != Some(s)).unwrap_or(0)
    }

    /// The copy that holds `payload` as the next version; none when it does not fit its room. Counts the turn.
    pub fn next(&mut self, payload: &[u8], room: u64) -> Option<Copy> {
        let mark = Mark { turn: self.turn + 1, kept: self.kept, again: false };
        let copy = encode(mark, self.slot(), payload, room)?;
        self.turn += 1;
        Some(copy)
    }

    /// The same for a place that forgets nothing but as a whole (memory): in turn.
    pub fn next_in_memory(&mut self, payload: &[u8], room: u64) -> Option<Copy> {
        self.turn += 1;
        encode(Mark { turn: self.turn, kept: None, again: false }, self.turn % COPIES, payload, room)
    }

    /// That copy was written whole.
    pub fn wrote(&mut self, copy: &Copy, room: u64) {
        let slot = copy.at / room;
        self.used[slot as usize] = copy.bytes.len() as u64;
        self.last = Some(slot);
        self.written = true;
    }

    /// What is still to be written for all copies to have their room: where, and how many bytes. Pages in which a copy
    /// stands have theirs, and are left alone.
    pub fn roomless(&self, room: u64) -> impl Iterator<Item = (u64, u64)> {
        let stretch = move |(slot, used): (usize, u64)| {
            let from = used.next_multiple_of(limits::PAGE_BYTES);
            (slot as u64 * room + from, made(room).saturating_sub(from))
        };
        self.used.into_iter().enumerate().map(stretch).filter(|(_, bytes)| *bytes > 0)
    }

    /// The file was synced. True when what was last written is on the platter now.
    pub fn synced(&mut self) -> bool {
        let good = std::mem::take(&mut self.written);
        if good {
            self.kept = self.last;
        }
        good
    }

    /// Whether a sync would put something on the platter.
    pub fn is_written(&self) -> bool {
        self.written
    }

    /// A sync of the file failed: what was written since the last one may be dropped, and the next success says nothing.
    pub fn sync_failed(&mut self) {
        self.written = false;
    }
}

/// How much room each copy is given at once.
fn made(room: u64) -> u64 {
    limits::SLOT_MADE_BYTES.min(room)
}

/// A file that holds nothing but `payload` as its first version; none when it does not fit its room.
pub fn first(payload: &[u8], room: u64) -> Option<Vec<u8>> {
    encode(Mark { turn: 1, kept: None, again: false }, 0, payload, room).map(|copy| copy.bytes)
}

/// What a copy says beside what it holds.
#[derive(Clone, Copy)]
struct Mark {
    turn: u64,
    kept: Option<u64>,
    again: bool,
}

impl Mark {
    fn word(self) -> u64 {
        self.kept.unwrap_or(COPIES) | u64::from(self.again) << 8
    }
}

fn encode(mark: Mark, slot: u64, payload: &[u8], room: u64) -> Option<Copy> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&mark.turn.to_le_bytes());
    bytes.extend_from_slice(&mark.word().to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&sum(mark.turn, mark.word(), payload).to_le_bytes());
    bytes.extend_from_slice(payload);
    (bytes.len() as u64 <= room).then_some(Copy { at: slot * room, bytes })
}

fn sum(turn: u64, word: u64, payload: &[u8]) -> u64 {
    xxh64(payload, turn ^ payload.len() as u64 ^ word << 48)
}

/// The newest whole copy of a file: its turn and what it holds.
pub fn decode(file: &[u8], room: u64) -> Option<(u64, &[u8])> {
    newest(file, room).map(|c| (c.turn, c.payload))
}

/// Whether one of the copies is there and no whole one.
pub fn is_torn(file: &[u8], room: u64) -> bool {
    file.chunks(room as usize).any(|c| c.iter().any(|&b| b != 0) && decode_copy(0, c, room).is_none())
}

struct Found<'a> {
    turn: u64,
    slot: u64,
    kept: Option<u64>,
    again: bool,
    payload: &'a [u8],
}

fn newest(file: &[u8], room: u64) -> Option<Found<'_>> {
    let copies = file.chunks(room as usize).take(COPIES as usize).enumerate();
    copies.filter_map(|(slot, c)| decode_copy(slot as u64, c, room)).max_by_key(|c| c.turn)
}

fn decode_copy(slot: u64, copy: &[u8], room: u64) -> Option<Found<'_>> {
    let word = |at: usize| Some(u64::from_le_bytes(copy.get(at..at + 8)?.try_into().ok()?));
    let (turn, says, len) = (word(8)?, word(16)?, word(24)?);
    let fits = copy.starts_with(&MAGIC) && turn <= limits::SPOOL_NUMBER_MAX && len <= room - HEADER as u64;
    let payload = fits.then(|| copy.get(HEADER..HEADER + len as usize)).flatten()?;
    let kept = Some(says & 0xff).filter(|&k| k < COPIES && k != slot);
    let again = says & 0x100 != 0;
    (sum(turn, says, payload) == word(32)?).then_some(Found { turn, slot, kept, again, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: u64 = 100;

    fn write(file: &mut [u8], copy: &Copy, cut: usize) {
        let at = copy.at as usize;
        file[at..at + cut].copy_from_slice(&copy.bytes[..cut]);
    }

    fn words(file: &[u8]) -> Option<(u64, &[u8])> {
        decode(file, ROOM)
    }

    #[test]
    fn the_newest_whole_copy_counts() {
        let mut file = vec![0; 300];
        assert_eq!(words(&file), None);
        let mut place = Place::of(&file, ROOM);
        for turn in 1..8u64 {
            let text = format!("version {turn}");
            let copy = place.next(text.as_bytes(), ROOM).unwrap();
            // Torn at any byte: the version before is there.
            for cut in 0..copy.bytes.len() {
                let mut torn = file.clone();
                write(&mut torn, &copy, cut);
                let got = words(&torn).map(|d| d.0);
                assert!(got == (turn > 1).then(|| turn - 1) || got == Some(turn));
            }
            write(&mut file, &copy, copy.bytes.len());
            place.wrote(&copy, ROOM);
            assert_eq!(words(&file), Some((turn, text.as_bytes())));
        }
        assert!(first(&[0; 61], ROOM).is_none());
        assert_eq!(words(&first(b"x", ROOM).unwrap()), Some((1, &b"x"[..])));
        for at in 0..file.len() {
            let mut bad = file.clone();
            bad[at] ^= 0x10;
            assert!(matches!(words(&bad), Some((6 | 7, _))), "{at}");
        }
    }

    #[test]
    fn whoever_finds_a_file_without_room_makes_it() {
        const ROOM: u64 = 32 * 1024;
        let stretches = |file: &[u8]| Place::of(file, ROOM).roomless(ROOM).collect::<Vec<_>>();
        assert_eq!(stretches(&[]), [(0, 16 << 10), (ROOM, 16 << 10), (2 * ROOM, 16 << 10)]);
        let mut place = Place::default();
        let mut file = vec![0; 3 * ROOM as usize];
        let copy = place.next(&[7; 5000], ROOM).unwrap();
        write(&mut file, &copy, copy.bytes.len());
        place.wrote(&copy, ROOM);
        // Its own pages are not touched again: a power cut could tear them.
        let rest = [(8 << 10, 8 << 10), (ROOM, 16 << 10), (2 * ROOM, 16 << 10)];
        assert_eq!(place.roomless(ROOM).collect::<Vec<_>>(), rest);
        let cut = 2 * ROOM as usize + (16 << 10);
        assert_eq!(stretches(&file[..cut - 1]), rest);
        assert!(!Place::of(&file[..cut - 1], ROOM).roomy && Place::of(&file[..cut], ROOM).roomy);
    }

    fn settle(unsynced: &mut Vec<u64>, cache: &[u8], platter: &mut [u8]) {
        for at in unsynced.drain(..).map(|at| at as usize) {
            platter[at..at + 100].copy_from_slice(&cache[at..at + 100]);
        }
    }

    /// Whatever is written, synced, refused and forgotten, in whatever order: the version that was synced last, or a newer
    /// one, is there after a power cut that tears every copy that is not known to be on the platter.
    #[test]
    fn the_last_synced_copy_is_never_written_over() {
        let mut state = 7u64;
        let mut chance = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        for _ in 0..3_000 {
            let (mut cache, mut platter) = (vec![0; 300], vec![0; 300]);
            let mut place = Place::of(&cache, ROOM);
            // Copies that are in the cache alone, and are clean there: a failed sync has dropped them.
            let mut unsynced: Vec<u64> = Vec::new();
            let mut promised = 0;
            for _ in 0..chance(30) {
                match chance(5) {
                    0 | 1 => {
                        let again = place.again.clone();
                        let copy = again.clone().unwrap_or_else(|| place.next(b"p", ROOM).unwrap());
                        // Bytes that are there already cannot be torn.
                        let same = cache[copy.at as usize..].starts_with(&copy.bytes);
                        let torn = chance(4) == 0;
                        let cut = if torn { chance(copy.bytes.len() as u64) as usize } else { copy.bytes.len() };
                        write(&mut cache, &copy, cut);
                        if !same || !torn {
                            unsynced.push(copy.at);
                        }
                        if torn {
                            // Killed at it.
                            place = Place::of(&cache, ROOM);
                            continue;
                        }
                        place.wrote(&copy, ROOM);
                        if again.is_none() {
                            continue;
                        }
                        // Nothing else is written before this is synced.
                        match chance(3) {
                            0 => place = Place::of(&cache, ROOM),
                            1 => {
                                unsynced.clear();
                                place.sync_failed();
                            }
                            _ => {
                                settle(&mut unsynced, &cache, &mut platter);
                                assert!(place.synced());
                                (place.again, promised) = (None, place.turn);
                            }
                        }
                    }
                    2 => {
                        settle(&mut unsynced, &cache, &mut platter);
                        if place.synced() {
                            promised = place.turn;
                        }
                    }
                    3 => {
                        unsynced.clear();
                        place.sync_failed();
                    }
                    // The worker dies; the next one knows only the file.
                    _ => place = Place::of(&cache, ROOM),
                }
            }
            for at in unsynced.iter().map(|&at| at as usize) {
                // Torn, unless what was written is what was there.
                if platter[at..at + 100] != cache[at..at + 100] {
                    platter[at..at + 100].fill(0xee);
                }
            }
            assert!(words(&platter).map_or(0, |c| c.0) >= promised, "{promised}");
        }
    }
}
