//! A source that can be read again, for tests: what every such source can rely on, whoever dies, and what the table says.

use super::table::{find, HELP, NAMES, TABLE};
use super::*;
use crate::audit::intake::reader::{Cushion, Reader};
use crate::audit::intake::writer::{Done, Writer};
use crate::audit::intake::writing::{begin, catch_up, Orders, Writing};
use crate::audit::record::Ending;
use crate::audit::spool::memory_disk::MemoryDisk;
use crate::audit::spool::read::{self, Next};
use crate::audit::spool::record::Identity;
use crate::audit::spool::{Full, Settings, Spool};
use crate::flags::text;
use crate::sys::pipe;
use crate::sys::ring::{Ring, Taker};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// Files `1`, `2`… of a directory, each written to its end before the next one begins.
static FILES: Row = Row {
    name: "files",
    what: text("files of a test", "файлы теста"),
    rereads: true,
    term_ends: true,
    options: &[],
    is_held: false,
    feed: None,
    prepare: |_, _| Ok(Shown { what: "files".into(), holds: None }),
    wishes: |choice| choice.filename.iter().cloned().map(Wish::ReadTree).collect(),
    open: |choice| {
        Box::new(Files { dir: choice.filename.clone().unwrap_or_default(), at: Mark::default(), begun: false })
    },
    check: |_| Ok("files".into()),
    is_pressed: |_| false,
};

/// Where a file begins, and which one a mark is of.
fn beginning_of(number: u64) -> Mark {
    Mark { epoch: Mark::stream_known_by(number << 8), position: 0 }
}

fn number_of(mark: Mark) -> u64 {
    mark.epoch << 1 >> 9
}

struct Files {
    dir: PathBuf,
    at: Mark,
    /// The ring knows of the file at hand.
    begun: bool,
}

impl Source for Files {
    fn resume(&mut self, kept: Kept, to: &mut Filler) {
        self.at = Some(kept.mark).filter(|mark| mark.epoch > 0).unwrap_or(beginning_of(1));
        // As a log does it: the ring learns where reading begins when there is something.
        self.begun = to.place() == Some(self.at.into());
    }

    fn fill(&mut self, to: &mut Filler) -> io::Result<Fill> {
        loop {
            self.begun = self.begun || to.turn(self.at.into());
            let Ok(file) = File::open(self.dir.join(number_of(self.at).to_string())) else { return Ok(Fill::Nothing) };
            if !self.begun {
                return Ok(Fill::Nothing);
            }
            // Before the look at the file: what comes into it now is not its end.
            let next = self.dir.join((number_of(self.at) + 1).to_string()).exists();
            match to.read_with(|room| file.read_at(room, self.at.position))? {
                Fill::Nothing if next => {
                    (self.at, self.begun) = (beginning_of(number_of(self.at) + 1), false);
                }
                Fill::Bytes(n) => {
                    self.at = self.at.behind(n);
                    return Ok(Fill::Bytes(n));
                }
                other => return Ok(other),
            }
        }
    }

    fn wait(&mut self, patience: Option<Duration>) -> io::Result<bool> {
        std::thread::sleep(patience.unwrap_or(Duration::from_millis(1)).min(Duration::from_millis(1)));
        Ok(false)
    }
}

/// Who writes the files, and all that was written, without the newlines.
struct Database {
    dir: PathBuf,
    file: u64,
    count: u64,
    all: Vec<u8>,
}

impl Database {
    fn write(&mut self, dice: &mut Dice) {
        let mut text = String::new();
        for _ in 0..dice.below(6) {
            self.count += 1;
            let size = if dice.below(30) == 0 { 3_000 + dice.below(6_000) } else { dice.below(200) };
            text.push_str(&format!("{{\"id\":\"1.0.{}\",\"message\":\"{}\"}}\n", self.count, "x".repeat(size)));
        }
        self.all.extend(text.bytes().filter(|b| *b != b'\n'));
        let path = self.dir.join(self.file.to_string());
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
        self.file += u64::from(dice.below(4) == 0);
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }
}

/// What lives as long as a keeper.
struct Family {
    ring: Arc<Ring>,
    relay: Arc<(OwnedFd, OwnedFd)>,
    memory: Arc<MemoryDisk>,
}

impl Family {
    fn new(dice: &mut Dice) -> Family {
        let ring = Ring::create(4096, 1_000_000 + dice.below(1 << 30) as u64).unwrap();
        let (ring, relay) = (Arc::new(ring), Arc::new(pipe::pair().unwrap()));
        Family { ring, relay, memory: Arc::new(MemoryDisk::open(MemoryDisk::create().unwrap()).unwrap()) }
    }

    /// A worker, up to where it begins.
    fn worker(&self, disk: &Arc<MemoryDisk>, dir: &Path) -> (Arc<Spool>, Reader, Arc<Cushion>, Taker, Writer) {
        let settings = Settings {
            max: 64 << 20,
            full: Full::Block,
            retain_ms: 0,
            memory_max: 1 << 20,
            identity: Identity::default(),
            receivers: vec![("r1".into(), false)],
            owner: None,
            sealing: None,
        };
        let spool = Spool::open(disk.clone(), self.memory.clone(), settings, Some(self.ring.clone()), 0).unwrap();
        let spool = Arc::new(spool);
        let filler = Filler::resume(self.ring.clone(), self.relay.clone()).unwrap();
        let cushion = Arc::new(Cushion::new(self.ring.clone(), false));
        let choice = Choice {
            old_dir: None,
            row: &FILES,
            filename: Some(dir.to_path_buf()),
            from_end: false,
            once: false,
            matches: Vec::new(),
            stream: false,
            mode: 0o660,
        };
        let mut reader = Reader::new(cushion.clone(), filler, &choice);
        let kept = Kept::of(&spool.account());
        reader.resume(kept);
        let mut taker = Taker::new(self.ring.clone());
        catch_up(&spool, &self.ring, &mut taker);
        let writer = Writer::new(spool.clone(), 1_000, false);
        (spool, reader, cushion, taker, writer)
    }
}

fn one_seed(seed: u64) {
    let mut dice = Dice(seed);
    let dir = std::env::temp_dir().join(format!("gostech-source-{seed}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    let mut database = Database { dir: dir.clone(), file: 1, count: 0, all: Vec::new() };
    let disk = Arc::new(MemoryDisk::open(MemoryDisk::create().unwrap()).unwrap());
    let mut family = Family::new(&mut dice);
    for _ in 0..12 {
        if dice.below(3) == 0 {
            family = Family::new(&mut dice);
        }
        let (spool, mut reader, _, mut taker, mut writer) = family.worker(&disk, &dir);
        for _ in 0..dice.below(60) {
            match dice.below(6) {
                0 | 1 => database.write(&mut dice),
                2 | 3 => drop(reader.fill().unwrap()),
                4 => drop(spool.save_state(true)),
                _ => {
                    begin(&mut writer, &mut taker);
                    let ends = taker.ends_here();
                    let ending = match taker.peek().len() {
                        _ if ends => Ending::Ended,
                        4096 => Ending::Crowded,
                        _ => Ending::Open,
                    };
                    let Done::Bytes(n) = writer.step(taker.peek(), taker.place().into(), ending, 0) else { continue };
                    if dice.below(8) == 0 {
                        // Dead before the bytes leave the ring.
                        break;
                    }
                    taker.consume(n);
                }
            }
        }
    }
    let (spool, reader, cushion, taker, writer) = family.worker(&disk, &dir);
    cushion.stop.store(true, Ordering::Release);
    let reading = std::thread::spawn(move || reader.run());
    let orders = Arc::new(Orders::default());
    orders.last_call.store(true, Ordering::Release);
    Writing { writer, taker, cushion, spool: spool.clone(), orders, careful_until: 0, half_waits: true }.run();
    reading.join().unwrap();
    let (mut records, mut got, mut part) = (read::Reader::new(1), Vec::new(), 0);
    while let Next::Record(r, _) = records.next(&spool) {
        got.extend_from_slice(r.raw);
        // Whoever dies between two pieces of a line, they are those of one line.
        assert_eq!(r.part, if r.part > 0 { part + 1 } else { 0 }, "seed {seed}: record {}", r.seq);
        assert!(part == 0 || r.part > 0, "seed {seed}: record {}", r.seq);
        part = if r.part == r.parts { 0 } else { r.part };
    }
    let same = got.iter().zip(&database.all).take_while(|(a, b)| a == b).count();
    assert!(got == database.all, "seed {seed}: {} of {} bytes, the first {same} alike", got.len(), database.all.len());
    let c = spool.account().counters.clone();
    assert_eq!((c.repeats, c.gaps, c.late), (0, 0, 0), "seed {seed}: {c:?}");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_can_be_read_again_comes_once_whoever_dies() {
    crate::log::mute();
    (0..60).for_each(one_seed);
}

#[test]
fn the_table_says_what_there_is() {
    for row in TABLE {
        assert_eq!(find(row.name).map(|found| found.name), Ok(row.name));
        assert!(NAMES.split('|').any(|name| name == row.name), "{NAMES}");
        assert!(HELP.en.contains(row.what.en) && HELP.ru.contains(row.what.ru), "{HELP:?}");
    }
    assert_eq!(find("files").map(|row| row.name), Err("there is no such source"));
}
